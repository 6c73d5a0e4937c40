"""2,000 records in each input and output format, by each engine, against one process; and the
comparison itself: what is lost, doubled, moved or changed is found."""

import contextlib
import dataclasses
import functools
import importlib.util
import json
import shutil

import pytest

from ig_tf.errors import JobError
from ig_tf.run import artifact, job, tables
from tools.jobs import cluster, data, disk, engines, kills, models, outputs, processes
from tools.jobs.findings import Findings

# Shards of full batches: the same batches, and so the same last bits, in shards of any such size.
COUNT, SHARD, BATCH = 2_000, 512, 64
MAKERS = {"census": (models.census, data.census), "sentences": (models.sentences, data.sentences)}


@dataclasses.dataclass(frozen=True)
class Made:
    """A model, its rows and files of them, and what one process makes of CSV."""

    model: object
    rows: list
    files: dict
    one: object  # the folder, of JSON Lines
    wanted: object  # its `outputs.Rows`

    def asked(self, kind, output, folder, shard=SHARD):
        if "parquet" in (kind, output):
            pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
        return job.Job(self.model, self.files[kind], folder, output, keep=("label",),
                       shard_records=shard, batch_size=BATCH)


def made_of(name, folder):
    make, rows = MAKERS[name]
    files = {}
    for kind in data.INPUTS:
        if kind != "parquet" or importlib.util.find_spec("pyarrow"):
            files[kind] = data.write(rows(COUNT), folder / f"rows.{kind}")
    made = Made(make(folder), list(rows(COUNT)), files, folder / "one", None)
    job.run(made.asked("csv", "jsonl", made.one))
    return dataclasses.replace(made, wanted=outputs.read(made.one))


@pytest.fixture(scope="module", name="once")
def fixture_once(tmp_path_factory):
    """A function from a name to its `Made`."""
    return functools.cache(lambda name: made_of(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="module", name="made", params=MAKERS)
def fixture_made(request, once):
    return once(request.param)


@pytest.fixture(scope="module", name="census")
def fixture_census(once):
    return once("census")


def require_equal(made, kind, output, folder, **more):
    summary = job.run(made.asked(kind, output, folder), **more)
    rows = outputs.read(folder)
    assert summary["records"] == summary["rows"] == len(rows.digests) == COUNT
    assert not outputs.differences(rows, made.wanted)
    assert rows.checksum() == made.wanted.checksum()
    assert not outputs.unsound(folder, 4) and not outputs.leftovers(folder)


def test_one_process_is_right_about_what_it_read(made):
    """Rows are not all the same, and labels are as they were."""
    rows = [json.loads(line) for file in sorted(made.one.glob("part-*"))
            for line in file.read_text().splitlines()]
    assert [row["kept"]["label"] for row in rows] == [str(row["label"]) for row in made.rows]
    assert {row["status"] for row in rows} <= {"converged", "capped", "baseline_equal"}
    assert len({row["prediction"] for row in rows}) > COUNT // 2
    assert len(set(made.wanted.digests)) == COUNT


@pytest.mark.parametrize("kind, output", list(zip(data.INPUTS, outputs.OUTPUTS)))
def test_formats_agree(made, tmp_path, kind, output):
    """Each input and each output: that of one process is CSV to JSON Lines."""
    require_equal(made, kind, output, tmp_path / "out")


@pytest.mark.parametrize("engine, kind, output", [
    one for one in engines.square(tuple(engines.ENGINES)) if one[0] != "local"])
def test_engines_agree(made, tmp_path, engine, kind, output):
    require(engine)
    require_equal(made, kind, output, tmp_path / "out", engine=engine)


def require(engine):
    """Skips where an engine is not there."""
    if engines.missing(engine):
        pytest.skip(f"{engines.missing(engine)}: pip install 'ig_tf[{engine}]'")


def test_columns_have_the_same_order_in_every_process(census):
    """TensorFlow gives the answers of a loaded signature in another order in each."""
    loaded = artifact.load(census.model)
    assert list(loaded.outputs) == sorted(loaded.outputs)
    names = [name for name, _ in tables.schema(loaded, {}) if name.startswith("features/")]
    assert names == sorted(names) and len(names) == 7


def without(rows, place):
    return outputs.Rows(*(column[:place] + column[place + 1:]
                          for column in (rows.positions, rows.digests, rows.statuses)))


def test_what_is_not_equal_is_found(census):
    wanted = census.wanted
    assert not outputs.differences(wanted, wanted)
    assert outputs.differences(without(wanted, 7), wanted) == ["1 rows lost, the first is 7"]
    twice = dataclasses.replace(wanted, positions=(*wanted.positions, 5),
                                digests=(*wanted.digests, wanted.digests[5]))
    assert outputs.differences(twice, wanted) == ["1 rows doubled, the first is 5"]
    more = dataclasses.replace(wanted, positions=(*wanted.positions, COUNT))
    assert outputs.differences(more, wanted) == [f"1 rows too many, the first is {COUNT}"]
    other = dataclasses.replace(wanted, digests=(b"", *wanted.digests[1:]))
    assert outputs.differences(other, wanted) == ["1 rows have other contents, the first is 0"]
    moved = dataclasses.replace(wanted, positions=wanted.positions[::-1])
    assert outputs.differences(moved, wanted) == ["rows are in another order"]
    assert outputs.differences(outputs.Rows((), (), ()), wanted) == [
        f"{COUNT} rows lost, the first is 0"]


@pytest.mark.parametrize("change", [
    lambda row: row.update(prediction=row["prediction"] * (1 + 1e-6)),
    lambda row: row.update(status="error"), lambda row: row.update(id="other"),
    lambda row: row["kept"].update(label="2"),
    lambda row: row["features"].update({next(iter(row["features"])): 0.123}),
    lambda row: row["points"][0].update(scores=[[0.5]]),
    lambda row: row["points"][-1].update(tokens=["other"])])
def test_a_digest_covers_everything(census, tmp_path, change):
    line = next(census.one.glob("part-00000*")).read_text().splitlines()[0]
    file, digests = tmp_path / "row.jsonl", []
    for changed in (False, True):
        row = json.loads(line)
        if changed:
            change(row)
        file.write_text(json.dumps(row) + "\n")
        digests.append(outputs._digest(next(outputs._jsonl(file, None))))
    assert digests[0] != digests[1]


def test_a_shard_that_is_not_what_was_noted_is_found(census, tmp_path):
    folder = shutil.copytree(census.one, tmp_path / "out")
    assert not outputs.unsound(folder, 4)
    assert outputs.unsound(folder, 5) == ["_SUCCESS with 4 of 5 shards"]
    part = folder / "part-00002-of-00004.jsonl"
    part.write_bytes(part.read_bytes().replace(b"1", b"2", 1))
    assert outputs.unsound(folder, 4) == [f"{part.name} is noted as finished and is not what was "
                                          "noted"]
    assert outputs.other_bytes(folder, outputs.files(census.one)) == [
        f"{part.name} has other bytes"]


def test_a_small_disk_is_full(census, tmp_path):
    """A real one, of memory, on which a file leaves the space of some shards."""
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(disk.small(tmp_path / "disk", 16 << 20))
        except OSError as error:
            pytest.skip(str(error))
        ballast = disk.leave(place, 1 << 20)
        asked = census.asked("csv", "jsonl", place / "out", BATCH)
        with pytest.raises(JobError, match="No space left.*run the same command again"):
            job.run(asked)
        done = processes.finished(place / "out")
        assert 0 < done < 32 and not outputs.unsound(place / "out", 32)
        ballast.unlink()
        assert job.run(asked)["shards_done_before"] == done
        assert not outputs.differences(outputs.read(place / "out"), census.wanted)
        assert not outputs.leftovers(place / "out")


def test_a_cluster_that_loses_processes(census, tmp_path):
    """Master and two workers on this machine: a Python worker, an executor and a worker die."""
    require("spark")
    asked = processes.Asked(census.model, census.files["csv"], "jsonl", BATCH)
    quiet = kills.calm(asked, tmp_path / "calm")
    assert not outputs.differences(quiet.rows, census.wanted)
    findings = Findings("a cluster")
    with contextlib.closing(cluster.Cluster(tmp_path)) as standalone:
        cluster.disturbed(findings, asked, quiet, standalone.wait(), tmp_path / "out")
    assert not findings.failures, findings.text()


def test_failures_are_said():
    findings = Findings("A title")
    findings.row(kill=1, shards_then=3)
    findings.check(True, "nothing")
    findings.none(["1 rows lost"], "job 0")
    assert findings.failures == ["job 0: 1 rows lost"]
    assert "| kill | shards then |\n|---|---|\n| 1 | 3 |" in findings.text()
    assert "2 checks, 1 failed.\n- FAILED: job 0: 1 rows lost" in findings.text()
