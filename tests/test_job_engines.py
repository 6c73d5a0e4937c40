"""Jobs on Spark and on Beam: row for row what one process gives. Both are optional extras."""

import dataclasses
import importlib.util
import json
import pathlib
import shutil

import pytest

from ig_tf.errors import JobError
from ig_tf.run import job
from tests import job_models

COUNT = 30


def require(engine):
    """Skips where an engine is not there."""
    name = {"spark": "pyspark", "beam": "apache_beam"}[engine]
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is an optional extra: pip install 'ig_tf[{engine}]'")
    if engine == "spark" and not shutil.which("java"):
        pytest.skip("Spark needs Java 17: no java on the path")


@pytest.fixture(scope="module", name="asked")
def fixture_asked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    (folder / "rows.jsonl").write_text("".join(
        json.dumps(row) + "\n" for row in job_models.rows(COUNT)))
    return job.Job(job_models.save(folder), folder / "rows.jsonl", folder / "local",
                   keep=("label",), shard_records=10, batch_size=4)


def files_of(folder):
    return {file.name: file.read_bytes() for file in pathlib.Path(folder).glob("part-*")}


@pytest.mark.parametrize("engine, master", [("spark", "local[1]"), ("beam", None)])
def test_an_engine_gives_what_one_process_gives(asked, tmp_path, engine, master):
    """The same bytes in the same files, the same summary; and it goes on where it was left."""
    require(engine)
    job.run(asked)
    now = dataclasses.replace(asked, output=tmp_path / "out")
    summary = job.run(now, engine=engine, master=master)
    assert summary["complete"] and summary["records"] == summary["rows"] == COUNT
    assert files_of(now.output) == files_of(asked.output) and len(files_of(now.output)) == 3
    told = [json.loads(pathlib.Path(folder, "_summary.json").read_text())
            for folder in (asked.output, now.output)]
    assert told[0] == told[1] and told[0]["rows"] == COUNT
    (tmp_path / "out/_job/shards/00001.json").unlink()
    assert job.run(now)["shards_done_before"] == 2
    assert files_of(now.output) == files_of(asked.output)


@pytest.mark.parametrize("engine", ["beam"])
def test_a_record_that_fails_is_the_job_s_error(asked, tmp_path, engine):
    require(engine)
    rows = job_models.rows(12)
    rows[8]["text"] = "poison"
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    now = dataclasses.replace(asked, input=tmp_path / "rows.jsonl", output=tmp_path / "out")
    with pytest.raises(JobError, match="record 8 fails"):
        job.run(now, engine=engine)


def test_what_no_engine_does_is_refused(asked, tmp_path):
    now = dataclasses.replace(asked, output=tmp_path / "out")
    with pytest.raises(JobError, match="DaskRunner: it ends with status 0 and writes nothing"):
        job.run(now, engine="beam", master="DaskRunner")
    with pytest.raises(JobError, match="--engine=ray: local, spark, beam"):
        job.run(now, engine="ray")
    with pytest.raises(JobError, match="belongs to --engine"):
        job.run(now, master="local")
    assert not list(tmp_path.glob("out/part-*"))
