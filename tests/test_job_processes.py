"""Jobs as processes: killed at any moment and begun again; several workers, of which some die."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from ig_tf.errors import JobError
from ig_tf.run import job
from tests import job_models

REPO = pathlib.Path(__file__).resolve().parent.parent
COUNT, SHARD = 800, 4
PROGRAM = "import sys; from ig_tf import cli; sys.exit(cli.main())"


@pytest.fixture(scope="module", name="data")
def fixture_data(tmp_path_factory):
    """(model, file of records)."""
    folder = tmp_path_factory.mktemp("processes")
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in job_models.rows(COUNT)))
    return job_models.save(folder), file


def start(data, output, *flags):
    model, file = data
    command = [sys.executable, "-c", PROGRAM, "attribute", f"--model={model}", f"--input={file}",
               f"--output={output}{os.sep}", f"--shard_records={SHARD}", "--batch_size=2", *flags]
    return subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def finished(output):
    return len(list(output.glob("_job/shards/*.json")))


def wait_for(process, output, shards):
    """Until so many shards are finished, or the process has ended."""
    while finished(output) < shards and process.poll() is None:
        time.sleep(0.005)


def require_every_record_once(output):
    rows = [json.loads(line) for file in sorted(output.glob("part-*.jsonl"))
            for line in file.read_text().splitlines()]
    wanted = job_models.rows(COUNT)
    assert [row["id"] for row in rows] == [row["id"] for row in wanted]
    for row, one in zip(rows, wanted):
        assert row["prediction"] == pytest.approx(job_models.truth(one)[0], rel=1e-6)
    assert not list(output.rglob("*.tmp")) and (output / "_SUCCESS").exists()


def test_killed_at_any_moment_and_begun_again(data, tmp_path):
    """kill -9 three times while shards are written; every record ends up in one row."""
    output, chance = tmp_path / "out", random.Random(5)
    before = 0
    for _ in range(3):
        process = start(data, output)
        wait_for(process, output, before + chance.randrange(10, 50))
        time.sleep(chance.random() * 0.02)
        process.kill()
        process.communicate()
        assert not (output / "_SUCCESS").exists()
        assert before < finished(output) < COUNT // SHARD
        before = finished(output)
    said, errors = start(data, output).communicate(timeout=120)
    summary = json.loads(said)
    assert summary["complete"] and summary["rows"] == COUNT, errors
    assert summary["shards_done_before"] == before
    require_every_record_once(output)


def children(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        return [int(number) for number in file.read().split()]


def test_a_worker_is_killed_and_then_the_job(data, tmp_path):
    """Of two workers one dies: its shard is done again. The job dies: its workers leave too."""
    output = tmp_path / "out"
    process = start(data, output, "--workers=2")
    wait_for(process, output, 20)
    crew = children(process)
    assert len(crew) == 2
    os.kill(crew[0], signal.SIGKILL)
    wait_for(process, output, 40)
    assert process.poll() is None
    process.kill()
    process.communicate()
    again = start(data, output)
    said, errors = again.communicate(timeout=120)
    assert again.returncode == 0 and json.loads(said)["complete"], errors
    require_every_record_once(output)


def test_sigterm_has_a_status_of_its_own(data, tmp_path):
    output = tmp_path / "out"
    process = start(data, output)
    wait_for(process, output, 5)
    process.terminate()
    said, errors = process.communicate(timeout=60)
    summary = json.loads(said)
    assert process.returncode == 143 and "same command again" in errors
    assert not summary["complete"] and summary["records"] == finished(output) * SHARD
    assert not list(output.rglob("*.tmp"))


def test_a_worker_s_error_is_the_job_s(data, tmp_path):
    rows = job_models.rows(12)
    rows[8]["text"] = "poison"
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = job.Job(data[0], tmp_path / "rows.jsonl", tmp_path / "out")
    with pytest.raises(JobError, match="record 8 fails"):
        job.run(asked, workers=2)  # of which one shard needs one
