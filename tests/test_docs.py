"""README.md and the pages of docs/: what they tell a reader to do works, and prints what they show.

How pages are written stands in `tests/pages.py`.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings

import pytest

from tests import pages, warm_python

PAGES = pages.paths()
# What a reader finds in the root of the repository, and pages use.
REPOSITORY = ("README.md", "docs", "ig_tf", "saved_models", "tests", "tools")
MOST_NOT_RUN = 12
MOST_LINES = {"README.md": 340}
MOST_LINES_OF_A_PAGE = 165
BLOCK_SECONDS = 180
WORDS = ("inspect", "instrument", "attribute", "check", "report")
# Of other programs that pages name.
FOREIGN = {
    "help", "version", "port", "rest_api_port", "model_name", "model_base_path",
    "enable_batching", "batching_parameters_file", "rest_api_timeout_in_ms",
    "all", "dir"}

pytestmark = pytest.mark.skipif(not (pages.REPO / "README.md").exists(),
                                reason="the pages are not here: a build without them")


@pytest.fixture(name="shell", scope="module")
def fixture_shell(tmp_path_factory):
    """The environment of a shell whose `ig-tf` and `python` start at once."""
    if not hasattr(os, "fork"):
        pytest.skip("commands are answered by forks")
    with warm_python.commands(tmp_path_factory.mktemp("bin")) as environment:
        yield environment


@pytest.fixture(name="root")
def fixture_root(tmp_path):
    """A folder that looks like the root of the repository."""
    for name in REPOSITORY:
        (tmp_path / name).symlink_to(pages.REPO / name)
    return tmp_path


# Running ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_to_do_works(page, root, shell, request):
    """Each block in turn; each output that is shown is what came."""
    said = None
    for block in pages.blocks(page):
        if block.kind in pages.RUN:
            said = _run(block, root, shell, request)
        elif block.kind == "output" and said is not None:
            wrong = pages.difference(block.text, said)
            assert wrong is None, f"{block.place}: {wrong}\nWhat came:\n{said}"


def _run(block, root, shell, request):
    """What a block prints, errors among the rest; None where it is not run."""
    if block.not_run is not None:
        return None
    if block.lacking:
        warnings.warn(f"{block.place} needs {block.lacking}, which is not installed: not run")
        return None
    text = block.text
    if "localhost:" in text:
        text = _with_addresses(text, root, shell, request)
    if block.kind == "python":
        program = root / f".line_{block.line}.py"
        program.write_text(text, encoding="utf-8")
        text = f"python {program.name}"
    status, said = _in_bash(text, root, shell)
    assert status == 0, f"{block.place}: status {status}\n{said}"
    return said


def _in_bash(text, folder, shell):
    """(status, all that was printed) of a script; what it started ends where it takes too long."""
    with subprocess.Popen(["bash", "-euo", "pipefail", "-c", text], cwd=folder, env=shell,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:
        try:
            said, _ = process.communicate(timeout=BLOCK_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said


def _with_addresses(text, root, shell, request):
    """The text of a block with the addresses of a stand-in for TensorFlow Serving."""
    if not hasattr(request.node, "served"):
        request.node.served = _started_server(root, shell, request)
    http, grpc = request.node.served
    text = text.replace("localhost:8501", http)
    return text.replace("localhost:8500", grpc)


def _started_server(root, shell, request):
    """HOST:PORT of REST and of gRPC; a server has models/my_model until the test ends."""
    program = root / ".server.py"
    program.write_text(
        "import sys\n"
        "from tests import serving_stand_in as server\n"
        "model = server.Model('models/my_model', 'my_model')\n"
        "with server.rest(model) as http, server.grpc_service(model) as grpc:\n"
        "    print(http, grpc, flush=True)\n"
        "    sys.stdin.read()\n")
    process = subprocess.Popen(["python", program.name], cwd=root, env=shell, text=True,
                               executable=shutil.which("python", path=shell["PATH"]),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def end():
        process.stdin.close()
        process.wait(30)
        process.stdout.close()

    request.addfinalizer(end)
    addresses = process.stdout.readline().split()
    assert len(addresses) == 2, "the stand-in for TensorFlow Serving did not start"
    return [re.match(r"\w+://([^/]+)/", address).group(1) for address in addresses]


def test_a_command_is_a_process_of_its_own(shell, tmp_path):
    """Folder, environment, input, output and status are those of the shell."""
    def run(text):
        return subprocess.run(["bash", "-c", text], cwd=tmp_path, env=shell, text=True,
                              capture_output=True, timeout=60, check=False)

    (tmp_path / "says.py").write_text(
        "import os, sys\nprint(sys.argv[1:], os.environ['WORD'], os.getcwd())\n"
        "print(sys.stdin.read(), file=sys.stderr)\nsys.exit(3)\n")
    done = run("echo sent | WORD='two words' python says.py a 'b c'")
    assert done.stdout == f"['a', 'b c'] two words {tmp_path}\n"
    assert done.returncode == 3 and done.stderr.strip() == "sent"
    assert run("echo 'import missing_module' | python -").returncode == 1
    assert "missing_module" in run("echo 'import missing_module' | python -").stderr
    assert run("echo 'import os; os.abort()' | python -").returncode == warm_python.CRASHED
    (tmp_path / "sleeps.py").write_text("import time\ntime.sleep(50)\n")
    start = time.monotonic()
    assert run("timeout 0.2 python sleeps.py").returncode == 124  # its output is closed: it ended
    assert time.monotonic() - start < 40
    done = run("ig-tf inspect --model=nowhere")
    assert done.returncode == 2 and "found nothing at 'nowhere'" in done.stderr
    assert run("ig-tf --version").stdout.strip() == __import__("ig_tf").__version__


def test_the_demonstration(root, shell):
    """What `bash tools/demo.sh` runs in the environment that it makes."""
    status, said = _in_bash("python tools/demo.py --output=demo", root, shell)
    assert status == 0, said
    names = ("diabetes_columns", "review_tokens", "digits_cnn", "question_types", "shapes",
             "translation")
    assert said.count("points of attribution") == len(names)
    for name in names:
        assert (root / "demo" / f"{name}.html").stat().st_size > 10_000


# What pages are made of ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_run_or_says_why_not(page):
    found, before = pages.blocks(page), None
    for block in found:
        assert block.kind in pages.KINDS, f"{block.place}: ```{block.kind} is none of {pages.KINDS}"
        if block.kind == "output":
            assert before is not None and before.kind in pages.RUN and before.not_run is None, (
                f"{block.place}: an output of no block that is run")
            assert block.text.strip(" .\n"), f"{block.place}: shows nothing"
        if block.not_run is not None:
            assert len(block.not_run.split()) > 2, f"{block.place}: say why it is not run"
        before = block
    for block in found:
        if block.kind in pages.SHOWN:
            assert not re.search(r"^\s*(ig-tf|python|pip|bash|import) ", block.text, re.M), (
                f"{block.place}: commands stand in ```sh or ```python")


def test_few_blocks_are_not_run():
    listed = [block.place for page in PAGES for block in pages.blocks(page) if block.not_run]
    assert len(listed) <= MOST_NOT_RUN, listed


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_short(page):
    lines = len(pages.text_of(page).splitlines())
    assert lines <= MOST_LINES.get(page, MOST_LINES_OF_A_PAGE)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for path, anchor in pages.links(page):
        assert path.exists(), f"{page} links to {path}, which does not exist"
        if anchor:
            known = pages.anchors(path)
            assert anchor in known, f"{page}: no heading #{anchor} in {path.name}: {sorted(known)}"


def test_each_page_is_in_the_index():
    index = {path.resolve() for path, _ in pages.links("docs/README.md")}
    missing = [page for page in PAGES if (pages.REPO / page).resolve() not in index
               and page not in ("README.md", "docs/README.md")]
    assert not missing, f"docs/README.md has no link to {missing}"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_machine(page):
    text = pages.text_of(page)
    found = re.search(r"(?<![\w.~:/-])/(?:tmp|home|root|usr|opt|mnt|var|work|data|Users)/\S*", text)
    assert not found, f"{page}: {found.group()}"


# Flags --------------------------------------------------------------------------------------------


@pytest.fixture(name="flags_of", scope="module")
def fixture_flags_of(shell):
    """A function from a program ('ig-tf check', 'tools.fuzz') to the names of its flags."""
    known = {}

    def find(program):
        if program not in known:
            command = program if program.startswith("ig-tf") else f"python -m {program}"
            done = subprocess.run(["bash", "-c", f"{command} --help"], env=shell, cwd=pages.REPO,
                                  capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, f"{command} --help: {done.stderr}"
            known[program] = set(re.findall(r"--(?:\[no\])?(\w+)", done.stdout))
        return known[program]

    return find


@pytest.mark.parametrize("page", PAGES)
def test_commands_have_flags_that_exist(page, flags_of):
    """In blocks that are not run too."""
    for block in pages.blocks(page):
        if block.kind == "sh":
            for program, flags in pages.commands(block):
                if program.endswith(".sh"):
                    continue
                unknown = flags - flags_of(program) - {"help"}
                assert not unknown, f"{block.place}: {program} has no {sorted(unknown)}"


@pytest.mark.parametrize("page", PAGES)
def test_flags_in_the_text_exist(page, flags_of):
    programs = {program for page in PAGES for program in pages.named_programs(page)}
    known = set().union(*(flags_of(program)
                          for program in programs | {f"ig-tf {word}" for word in WORDS}))
    unknown = {flag.removeprefix("no") if flag not in known else flag
               for flag in pages.named_flags(pages.prose(page))} - known - FOREIGN
    assert not unknown, f"{page}: no program has {sorted(unknown)}"


@pytest.mark.parametrize("word", WORDS)
def test_each_flag_is_described_in_a_page(word, flags_of):
    described = set().union(*(pages.named_flags(pages.text_of(page)) for page in PAGES))
    missing = flags_of(f"ig-tf {word}") - described
    assert not missing, f"ig-tf {word}: no page says what {sorted(missing)} are for"


# The reader of pages itself -----------------------------------------------------------------------


PAGE = """Words.

```sh
# not run: needs a cluster
ig-tf attribute --model=M \\
  --input=IN   # a comment --with=flag
```

```python
# needs pyarrow
```
"""


def test_blocks_and_what_they_say():
    shell, python = pages.blocks("page.md", PAGE)
    assert shell.kind == "sh" and shell.line == 3 and shell.not_run == "needs a cluster"
    assert python.needs == ("pyarrow", None) and python.not_run is None
    for text, lacking in (("pytest", ""), ("bash", ""), ("pytest 5.0", ""),
                          ("pytest 999.1", "pytest 999.1"), ("no_such_one 1.0", "no_such_one")):
        assert pages.Block("p", 1, "sh", f"# needs {text}\n").lacking == lacking
    assert list(pages.commands(shell)) == [("ig-tf attribute", {"model", "input"})]
    block = pages.Block("p", 1, "sh", "A=1 python -m tools.fuzz --cases=1 | python tools/demo.py\n")
    assert list(pages.commands(block)) == [("tools.fuzz", {"cases"}), ("tools.demo", set())]


@pytest.mark.parametrize("text, said", [
    ("Words:\n\n    ig-tf inspect\n", "indented"), ("```sh\nls\n", "without an end")])
def test_blocks_that_are_no_blocks(text, said):
    with pytest.raises(ValueError, match=said):
        pages.blocks("page.md", text)


@pytest.mark.parametrize("shown, came, same", [
    ("wrote 5 results", "wrote 5 results", True),
    ("wrote 5 results", "wrote 6 results", False),
    ("age  0.512 dense", "age 0.5119   dense", True),
    ("age  0.512 dense", "age  0.53 dense", False),
    ("error 0.60 %", "error 0.61 %", True),
    ("error 0.60 %", "error 0.62 %", False),
    ("error 3.1e-07", "error 8.8e-06", True),
    ("error 3.1e-07", "error 0.01", False),
    ("plus +0.5", "plus -0.5", False),
    ("point ... [?, 1]", "point  age tokens  [?, 1]", True),
    ("one\ntwo", "zero\none\ntwo\nthree", True),
    ("one\nthree", "zero\none\ntwo\nthree", False),
    ("one\n...\nthree", "zero\none\ntwo\nthree", True),
    ("two\n...\none", "one\ntwo", False),
    ("one\ntwo", "one\n1 records [00:02, 2.3s/ records]\r9 records [00:05, 8/s]\ntwo", True),
    ("one\ntwo", "one\n50%|##   | 5/10 [00:02<00:02]\n5 of 10 rows, 2.5 a second, 2 s left\ntwo",
     True),
])
def test_what_came_is_what_is_shown(shown, came, same):
    assert (pages.difference(shown, came) is None) is same


def test_anchors_are_those_of_github(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A data set, every night\n## `--runtime`: which?\n## Twice\n## Twice\n"
                    "```sh\n# no heading\n```\n")
    assert pages.anchors(page) == {"a-data-set-every-night", "--runtime-which", "twice", "twice-1"}


def test_the_interpreter_is_the_one_that_runs_the_tests(shell):
    done = subprocess.run(["bash", "-c", "echo 'import sys; print(sys.executable)' | python -"],
                          env=shell, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == sys.executable
