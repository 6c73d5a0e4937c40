"""What `pip install` gives: a wheel with all that is needed, no more, few packages behind it."""

import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

from tests import conftest

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = None

CORE = {"absl-py", "numpy", "pillow", "tensorflow", "tensorflow-hub"}
# What tensorflow-hub forgets to name.
CORE_TOOLS = {"setuptools"}


@pytest.fixture(name="project", scope="module")
def fixture_project():
    if tomllib is None:
        pytest.skip("tomllib came with Python 3.11")
    return tomllib.loads((conftest.REPO / "pyproject.toml").read_text())["project"]


@pytest.fixture(name="wheel", scope="module")
def fixture_wheel(tmp_path_factory):
    """The wheel that `pip wheel` builds of a copy of the tracked files."""
    setuptools = pytest.importorskip("setuptools", reason="setuptools is not installed")
    if int(setuptools.__version__.partition(".")[0]) < 77:
        pytest.skip(f"setuptools {setuptools.__version__} cannot build it; 77 can")
    folder = tmp_path_factory.mktemp("wheel")
    copied = folder / "source"
    ignored = {".git", ".venv", "build", "saved_models", "tests", "docs", "requirements"}
    copied.mkdir()
    for path in sorted(conftest.REPO.rglob("*")):
        relative = path.relative_to(conftest.REPO)
        if path.is_file() and not ignored & set(relative.parts) and "__pycache__" not in str(path):
            (copied / relative).parent.mkdir(parents=True, exist_ok=True)
            (copied / relative).write_bytes(path.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         f"--wheel-dir={folder}", str(copied)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def names_of(requirements):
    return {re.match(r"[A-Za-z0-9._-]+", text).group().lower() for text in requirements}


def test_the_core_needs_five_packages(project):
    assert names_of(project["dependencies"]) == CORE | CORE_TOOLS
    extras = {name for one in project["optional-dependencies"].values() for name in names_of(one)}
    assert not extras & CORE


def test_locked_versions_have_hashes():
    files = sorted((conftest.REPO / "requirements").glob("*.txt"))
    assert files
    for file in files:
        pins = re.findall(r"^([a-z][^ ]*)==[^\\]*\\\n(    --hash=sha256:[0-9a-f]{64})?",
                          file.read_text(), re.MULTILINE)
        assert len(pins) > 20 and all(digest for _, digest in pins), file.name


def test_the_wheel_has_all_modules_and_data_and_no_more(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packed = {name for name in names if ".dist-info/" not in name}
    wanted = {str(path.relative_to(conftest.REPO)) for folder in ("ig_tf", "tools")
              for path in (conftest.REPO / folder).rglob("*")
              if path.suffix in (".py", ".css", ".html", ".js", ".json")
              and "__pycache__" not in path.parts}
    packages = {pathlib.PurePosixPath(name).parent for name in wanted if name.endswith(".py")}
    wanted = {name for name in wanted if pathlib.PurePosixPath(name).parent in packages}
    assert packed == wanted
    assert any(name.endswith("LICENSE") for name in names)
    assert any(name.endswith("entry_points.txt") for name in names)


def test_the_wheel_works_elsewhere(wheel, tmp_path):
    """Installed into a folder of its own, run from another one."""
    target = tmp_path / "target"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
                    f"--target={target}", str(wheel)], check=True, capture_output=True)
    model = conftest.REPO / "saved_models/digits_cnn"
    code = ("import sys, ig_tf; sys.path.append(sys.argv[1]); "
            f"assert ig_tf.__file__.startswith({str(target)!r}), ig_tf.__file__; "
            "from ig_tf import cli; sys.exit(cli.main(['ig-tf', 'inspect', "
            f"'--model={model}']))")
    done = subprocess.run([sys.executable, "-c", code, str(target)], cwd=tmp_path, text=True,
                          capture_output=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(target)})
    assert done.returncode == 0, done.stderr
    assert "image" in done.stdout


BLOCKED = ("pyarrow", "tqdm", "pytest", "hypothesis", "matplotlib", "pandas", "sklearn", "torch",
           "jax", "IPython", "tf_keras", "scipy")


def test_the_core_runs_without_the_extras(tmp_path):
    """With everything else hidden, a model is instrumented and its attributions are drawn."""
    model = conftest.REPO / "saved_models/digits_cnn"
    code = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ImportError(name + " is hidden")
sys.meta_path.insert(0, Hidden())
import ig_tf
ig_tf.save(ig_tf.instrument(ig_tf.load({str(model)!r}), steps=4), "out")
found = ig_tf.attribute("out", {str(model / 'examples.npz')!r}, limit=2)
assert "<html" in ig_tf.render(found)
loaded = {{name.partition(".")[0] for name in sys.modules}}
assert not loaded & set({BLOCKED!r}), loaded & set({BLOCKED!r})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True,
                          capture_output=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(conftest.REPO)})
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("name", ["LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_the_pages_that_a_project_has(name):
    text = (conftest.REPO / name).read_text(encoding="utf-8")
    assert text.strip()
    if name == "LICENSE":
        assert "Apache License" in text and "Version 2.0, January 2004" in text
        assert "END OF TERMS AND CONDITIONS" in text
    if name == "CONTRIBUTING.md":
        assert len(text.splitlines()) <= 50  # one screen
    if name == "CHANGELOG.md":
        from ig_tf import __version__
        assert f"## {__version__}" in text
