"""The command line as a user meets it: exit codes, messages, files; each run is a process."""

import json
import pathlib
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
MODEL = REPOSITORY / "saved_models" / "digits_cnn"


def ig_tf(*arguments, cwd=None):
    """(status, standard output, standard error) of `ig-tf ARGUMENTS`."""
    program = [sys.executable, "-c", "import sys; from ig_tf import cli; sys.exit(cli.main())"]
    done = subprocess.run(program + list(map(str, arguments)), capture_output=True, text=True,
                          cwd=cwd or REPOSITORY, timeout=300)
    return done.returncode, done.stdout, done.stderr


def test_from_a_model_to_a_page(tmp_path):
    """inspect, instrument, attribute, check, report: each says what it did and leaves its file."""
    out, results, page = tmp_path / "out", tmp_path / "results.npz", tmp_path / "page.html"
    plan = tmp_path / "plan.json"
    status, said, _ = ig_tf("inspect", f"--model={MODEL}")
    assert status == 0 and "image" in said and "[?, 8, 8, 1]" in said
    status, said, _ = ig_tf("instrument", f"--model={MODEL}", f"--output={out}", f"--plan={plan}")
    assert status == 0 and "probabilities:top" in said and (out / "saved_model.pb").exists()
    assert json.loads(plan.read_text())["points"][0]["kind"] == "image"
    status, said, errors = ig_tf("attribute", f"--model={out}", f"--output={results}",
                                 f"--input={MODEL / 'examples.npz'}", "--limit=5")
    assert status == 0 and "wrote 5 results" in said and "Traceback" not in errors
    status, said, _ = ig_tf("report", f"--results={results}", f"--output={page}", "--title=Digits")
    assert status == 0 and "5 examples" in said and "<h1" in page.read_text()
    status, said, _ = ig_tf("check", f"--model={out}", f"--input={MODEL / 'examples.npz'}",
                            "--limit=4", f"--attributions={results}")
    assert status == 0 and "PASS: 4 of 4" in said and "4 examples: as computed here" in said


@pytest.mark.parametrize("arguments, said", [
    (["instrument", f"--model={MODEL}"], "--output=DIR is needed"),
    (["instrument", "--model=nowhere", "--output=o"], "found nothing at 'nowhere'"),
    (["instrument", f"--model={MODEL}", "--output=o", "--tags=train"], "--tags=serve"),
    (["instrument", f"--model={MODEL}", "--output=o", "--target=probabilities:10"], "at most 9"),
    (["attribute", f"--model={MODEL}", "--input=x.npz", "--output=r.npz"], "ig-tf instrument"),
    (["report", "--results=none.jsonl", "--output=p.html"], "none.jsonl"),
])
def test_a_mistake_is_one_line(tmp_path, arguments, said):
    """Status 2, one line that starts with `error:`, no traceback, nothing written."""
    status, _, errors = ig_tf(*arguments, cwd=tmp_path)
    assert status == 2 and said in errors and "Traceback" not in errors
    assert [line for line in errors.splitlines() if line.startswith("error: ")]
    assert not list(tmp_path.iterdir())


def test_help_and_dry_run(tmp_path):
    """Help names every flag of the word; a dry run prints the plan and writes nothing."""
    status, said, _ = ig_tf("instrument", "--help")
    assert status == 0
    for flag in ("model", "output", "tags", "signature", "target", "points", "baseline", "steps",
                 "dry_run", "plan", "link", "overwrite"):
        assert f"--{flag}:" in said or f"--[no]{flag}:" in said
    status, said, _ = ig_tf("instrument", f"--model={MODEL}", "--dry_run", cwd=tmp_path)
    assert status == 0 and "nothing was written" in said and not list(tmp_path.iterdir())
    assert ig_tf()[0] == 0 and ig_tf("explain")[0] == 2


def test_the_programs_run_by_themselves():
    """python tools/instrument_model.py --help, from the repository."""
    done = subprocess.run([sys.executable, "tools/instrument_model.py", "--help"],
                          capture_output=True, text=True, cwd=REPOSITORY, timeout=300,
                          env={**__import__("os").environ, "PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 0 and "--target" in done.stdout
