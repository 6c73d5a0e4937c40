"""`ig-tf report` in all its formats, from a results file alone: no TensorFlow is imported."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from ig_tf.run import results
from ig_tf.run.results import About, PointScores, Result, Target

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(name="file", scope="module")
def fixture_file(tmp_path_factory):
    rows = [Result(
        id=str(i), status="converged", target=Target("p", i, "ab"[i]), prediction=0.7,
        baseline_prediction=0.0, completeness_error=0.0, relative_error=0.0,
        points=(PointScores("image", "image", np.full((4, 4), 0.025), None, ("image",)),
                PointScores("text", "tokens", [0.2, 0.1], ["un", "##do"], ("text",))),
        features={"image": 0.4, "text": 0.3}, inputs={"age": i}) for i in range(2)]
    path = tmp_path_factory.mktemp("results") / "results.jsonl"
    results.write(path, rows, About(model="some model", rule="gauss_legendre", steps=50))
    return path


def report(*flags, **variables):
    """(status, output, errors) of `ig-tf report`; fails where TensorFlow was imported."""
    program = ("import sys; from ig_tf import cli\n"
               "try: cli.main()\n"
               "finally: assert 'tensorflow' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", program, "report", *map(str, flags)],
                          capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "PYTHONPATH": str(REPOSITORY),
                               "PYTHONIOENCODING": "utf-8", **variables})
    assert "AssertionError" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_page_with_everything(file, tmp_path):
    check = tmp_path / "check.json"
    check.write_text(json.dumps({"rows": [], "advice": ["Do this."], "passed": True}))
    page = tmp_path / "page.html"
    status, said, errors = report(
        f"--results={file}", f"--output={page}", f"--check={check}", f"--beside={file}",
        "--by=target", "--palette=blue-orange", "--views=heat,outlines", "--scale=set")
    assert status == 0, errors
    assert "2 examples" in said and "open it in a browser" in said
    source = page.read_text("utf-8")
    for words in ("some model", "Do this.", "Beside it: results.jsonl (gauss_legendre, 50 steps)",
                  "By target", "+ blue", "strongest regions", "the same for all examples"):
        assert words in source, words


@pytest.mark.parametrize("kind, count", [("png", 7), ("svg", 7), ("csv", 3)])
def test_a_file_for_each_picture(file, tmp_path, kind, count):
    status, said, errors = report(f"--results={file}", f"--format={kind}",
                                  f"--output={tmp_path / 'out'}")
    assert status == 0, errors
    assert len(list((tmp_path / "out").iterdir())) == count and f"{count} files" in said


def test_a_terminal_and_a_sheet(file, tmp_path):
    status, said, errors = report(f"--results={file}", "--format=ansi", "--limit=1")
    assert status == 0 and "\x1b[48;2;" in said and "undo" in said and "p[0] [a]" in said, errors
    assert "p[1]" not in said
    _, without, _ = report(f"--results={file}", "--format=ansi", "--words=split", NO_COLOR="1")
    assert "\x1b" not in without and "un(+0.2) ##do(+0.1)" in without
    status, _, errors = report(f"--results={file}", "--format=sheet",
                               f"--output={tmp_path / 'sheet.png'}")
    assert status == 0 and (tmp_path / "sheet.png").read_bytes()[:4] == b"\x89PNG", errors


@pytest.mark.parametrize("flags, said", [
    (["--format=png"], "--output is needed"),
    (["--views=x", "--output=o.html"], "views are some of input"),
    (["--by=wage", "--output=o.html"], "'wage'"),
    (["--check=none.json", "--output=o.html"], "none.json"),
])
def test_a_mistake_is_one_line(file, tmp_path, monkeypatch, flags, said):
    monkeypatch.chdir(tmp_path)
    status, _, errors = report(f"--results={file}", *flags)
    assert status == 2 and "Traceback" not in errors
    assert [line for line in errors.splitlines() if line.startswith("error: ") and said in line]
    assert not list(tmp_path.iterdir())


def test_help_teaches(file):
    status, said, _ = report("--help")
    assert status == 0
    for words in ("--format=ansi", "--beside", "--rule=right --steps=1", "blue-orange", "outlines"):
        assert words in said, words
