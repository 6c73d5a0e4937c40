"""The shape of the code: imports run one way, BUILD files draw it, `import ig_tf` stays light."""

import ast
import pathlib
import subprocess
import sys

import pytest

from tools import build_files

REPO = pathlib.Path(__file__).resolve().parent.parent
MODULES = build_files.read_modules(REPO)
SOURCES = [name for name in MODULES if not name.startswith("tests.")]

# The folders of ig_tf: each sees itself and those before it. What lies in ig_tf/ itself, but for
# errors.py, is above them all (the command line, the public names).
FLOORS = ("errors", "model", "graph", "points", "ig", "export", "top")
# Two folders stand beside them: all that they may import of ig_tf, a folder or single modules.
ASIDE = {
    "run": ("errors", "run"),
    "rendering": ("errors", "rendering", "ig_tf.run.results", "ig_tf.run.pieces",
                  "ig_tf.run.summaries"),
}
WITHOUT_TENSORFLOW = ("ig_tf.ig.quadrature", "ig_tf.run.results", "ig_tf.run.summary")
MAX_FILE_LINES = 450  # in ig_tf/
MAX_FUNCTION_LINES = 60  # in ig_tf/ and tools/
IMPORT_SECONDS = 0.5


def floor_of(name):
    """Which floor of FLOORS, or which folder of ASIDE, a module of ig_tf belongs to."""
    parts = name.split(".")
    if parts[:2] == ["ig_tf", "errors"]:
        return "errors"
    return parts[1] if len(parts) > 2 else "top"


def may_import(importer, imported):
    """Whether the import direction lets one module of ig_tf import another."""
    above, below = floor_of(importer), floor_of(imported)
    if above in ASIDE:
        return below in ASIDE[above] or imported in ASIDE[above]
    if above == "top":
        return True
    return below in FLOORS and FLOORS.index(below) <= FLOORS.index(above)


def in_package(names):
    return sorted(name for name in names if name.split(".")[0] == "ig_tf")


def test_build_files_are_current():
    stale = build_files.stale_files(REPO)
    text = "".join(build_files.difference(*entry) for entry in stale)
    assert not stale, f"run `python tools/build_files.py`:\n{text}"


@pytest.mark.parametrize("name", in_package(MODULES))
def test_imports_run_one_way(name):
    known = {*FLOORS, *ASIDE}
    assert floor_of(name) in known, f"{name}: say in FLOORS or ASIDE where its folder belongs"
    wrong = [other for other in in_package(MODULES[name].imports) if not may_import(name, other)]
    assert not wrong, f"{name} must not import {', '.join(wrong)}"


def test_only_the_top_of_the_package_imports_its_programs():
    wrong = [
        f"{name} imports {other}"
        for name in in_package(SOURCES)
        for other in MODULES[name].imports
        if floor_of(name) != "top" and other.startswith("tools.")
    ]
    assert not wrong


def test_only_tests_import_tests():
    imports = {(name, other) for name in SOURCES for other in MODULES[name].imports}
    assert not {pair for pair in imports if pair[1].startswith("tests.")}


@pytest.mark.parametrize(
    "importer, imported, allowed",
    [
        ("ig_tf.graph.walk", "ig_tf.model.model", True),
        ("ig_tf.graph.walk", "ig_tf.graph.rows", True),
        ("ig_tf.graph.walk", "ig_tf.points.point", False),
        ("ig_tf.graph.walk", "ig_tf.ig.attach", False),
        ("ig_tf.graph.walk", "ig_tf.export.saved_model", False),
        ("ig_tf.graph.walk", "ig_tf.cli", False),
        ("ig_tf.graph.walk", "ig_tf.__init__", False),
        ("ig_tf.export.saved_model", "ig_tf.ig.attach", True),
        ("ig_tf.export.saved_model", "ig_tf.run.results", False),
        ("ig_tf.run.attribute", "ig_tf.errors", True),
        ("ig_tf.run.attribute", "ig_tf.run.results", True),
        ("ig_tf.run.attribute", "ig_tf.model.model", False),
        ("ig_tf.rendering.report", "ig_tf.run.results", True),
        ("ig_tf.rendering.report", "ig_tf.run.attribute", False),
        ("ig_tf.errors", "ig_tf.model.model", False),
        ("ig_tf.cli", "ig_tf.rendering.report", True),
    ],
)
def test_the_import_direction_itself(importer, imported, allowed):
    assert may_import(importer, imported) is allowed


def test_no_circular_imports():
    graph = {name: set(module.imports) for name, module in MODULES.items()}
    # One step first: a name reaches itself by no step at all.
    circular = [
        name
        for name in graph
        if any(name in build_files.reachable(graph, other) for other in graph[name])
    ]
    assert not circular, f"in or behind a circle of imports: {', '.join(circular)}"


@pytest.mark.parametrize("name", WITHOUT_TENSORFLOW)
def test_needs_no_tensorflow(name):
    if name not in MODULES:
        pytest.skip(f"{name} does not exist yet")
    graph = {other: set(module.imports) for other, module in MODULES.items()}
    needing = [
        other
        for other in sorted(build_files.reachable(graph, name))
        if {"tensorflow", "keras"} & MODULES[other].requirements
    ]
    assert not needing, f"{name} comes to TensorFlow by {', '.join(needing)}"
    assert "tensorflow" not in imported_by(name)[1]


def imported_by(name):
    """(seconds, top-level modules loaded) of importing one module in a fresh Python."""
    code = (
        "import sys, time; start = time.perf_counter(); "
        f"import {name}; "
        "print(time.perf_counter() - start, *{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds, *loaded = done.stdout.split()
    return float(seconds), set(loaded)


def test_importing_the_package_is_light():
    runs = [imported_by("ig_tf") for _ in range(3)]
    heavy = {"tensorflow", "tensorflow_hub", "keras", "numpy", "PIL", "absl"} & runs[0][1]
    assert not heavy, f"`import ig_tf` imports {', '.join(sorted(heavy))}"
    # The best of three: the machine may be busy with other tests.
    assert min(seconds for seconds, _ in runs) < IMPORT_SECONDS


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_files_and_functions_are_short(name):
    path = REPO / MODULES[name].path
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    if name.startswith("ig_tf."):
        assert lines <= MAX_FILE_LINES, f"{path.name} has {lines} lines"
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, functions):
            length = node.end_lineno - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{name}: {node.name} has {length} lines"


@pytest.fixture(name="small_repo")
def fixture_small_repo(tmp_path):
    """A repository of few modules, with each way to import."""
    files = {
        "ig_tf/__init__.py": 'NAMES = {"load": "ig_tf.model.model"}\n',
        "ig_tf/errors.py": "",
        "ig_tf/model/__init__.py": "",
        "ig_tf/model/model.py": "import numpy\nfrom ig_tf import errors\nfrom . import names\n",
        "ig_tf/model/names.py": "def late():\n    from ..errors import Wrong\n",
        "tools/show.py": "from absl import app\nfrom ig_tf.model import model\nimport shared\n",
        "tools/shared.py": "import os\n",
        "tests/bazel_main.py": "",
        "tests/conftest.py": "",
        "tests/test_model.py": 'from ig_tf.model.model import Model\nMODELS = "saved_models/a"\n',
        "saved_models/a/saved_model.pb": "",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def test_build_files_see_each_way_to_import(small_repo):
    modules = build_files.read_modules(small_repo)
    assert build_files.dependencies(modules) == {
        "ig_tf.__init__": ["ig_tf.model.model"],
        "ig_tf.errors": [],
        "ig_tf.model.__init__": [],
        "ig_tf.model.model": ["ig_tf.errors", "ig_tf.model.__init__", "ig_tf.model.names"],
        "ig_tf.model.names": ["ig_tf.errors", "ig_tf.model.__init__"],
        "tools.shared": [],
        "tools.show": ["ig_tf.model.model", "tools.shared"],
        "tests.bazel_main": [],
        "tests.conftest": [],
        "tests.test_model": ["ig_tf.model.model"],
    }
    texts = build_files.build_files(small_repo)
    assert "# requirement: numpy" in texts["ig_tf/model/BUILD"]
    assert "# requirement: absl-py" in texts["tools/BUILD"]
    assert 'data = ["//saved_models"]' in texts["tests/BUILD"]
    assert 'main = ":bazel_main.py"' in texts["tests/BUILD"]


def test_build_files_check_and_write(small_repo):
    program = [sys.executable, str(REPO / "tools" / "build_files.py"), f"--repo={small_repo}"]

    def run(*flags):
        return subprocess.run([*program, *flags], capture_output=True, text=True, check=False)

    assert run("--check").returncode == 1
    assert run().returncode == 0
    assert run("--check").returncode == 0
    (small_repo / "ig_tf" / "errors.py").write_text("import numpy\n", encoding="utf-8")
    stale = run("--check")
    assert stale.returncode == 1
    assert "+        # requirement: numpy" in stale.stdout
    (small_repo / "ig_tf" / "model" / "BUILD").write_text("# by hand\n", encoding="utf-8")
    (small_repo / "tools" / "show.py").unlink()
    (small_repo / "tools" / "shared.py").unlink()
    assert "removed tools/BUILD" in run().stdout
    assert run("--check").returncode == 0
