"""Batch jobs: one row per record, in order, however the job is interrupted."""

import base64
import dataclasses
import errno
import gzip
import hashlib
import json
import os
import pathlib
import signal

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import JobError, RecordError
from ig_tf.run import (
    answering, artifact, block_json, by_column, explain, job, job_folder, results, shards, tables)
from tests import job_models

COUNT = 53


@pytest.fixture(scope="module", name="model")
def fixture_model(tmp_path_factory):
    return job_models.save(tmp_path_factory.mktemp("job"))


@pytest.fixture(name="asked")
def fixture_asked(model, tmp_path):
    """A job of 53 records in two files, 10 per shard."""
    rows = job_models.rows(COUNT)
    for name, part in (("rows-0.jsonl", rows[:30]), ("rows-1.jsonl", rows[30:])):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in part))
    return job.Job(model, f"{tmp_path}/rows-*.jsonl", tmp_path / "out", keep=("label",),
                   shard_records=10, batch_size=4)


def read_jsonl(folder):
    return [json.loads(line) for file in sorted(pathlib.Path(folder).glob("part-*.jsonl"))
            for line in file.read_text().splitlines()]


def read_parquet(folder):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional extra")
    return parquet.read_table(folder).to_pylist()


def read_tfrecord(folder):
    """Rows as far as tf.Example can tell: lists of one are taken for scalars but in lists."""
    found = []
    for file in sorted(pathlib.Path(folder).glob("part-*.tfrecord")):
        for raw in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            example = tf.train.Example.FromString(raw)
            row = {}
            for name, feature in example.features.feature.items():
                values = list(getattr(feature, feature.WhichOneof("kind")).value)
                values = [v.decode() if isinstance(v, bytes) else v for v in values]
                row[name] = values if "/" in name and not name.startswith("features/") else (
                    values[0])
            found.append(row)
    return found


@pytest.mark.parametrize("kind, read", [("parquet", read_parquet), ("tfrecord", read_tfrecord)])
def test_tables_hold_what_is_true(asked, kind, read):
    """Each row against the closed form; order, ids, labels, counts and checksums."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
    summary = job.run(dataclasses.replace(asked, format=kind))
    found, rows = read(asked.output), job_models.rows(COUNT)
    assert summary["records"] == summary["rows"] == len(found) == COUNT and summary["complete"]
    for position, (row, one) in enumerate(zip(rows, found)):
        score, of_number, of_ids = job_models.truth(row)
        assert (one["id"], one["position"], one["label"]) == (row["id"], position, row["label"])
        assert one["prediction"] == pytest.approx(score, rel=1e-6)
        np.testing.assert_allclose(one["attributions/ids"], of_ids, rtol=1e-5, atol=1e-5)
        assert one["attributions/text"] == pytest.approx([of_number], rel=1e-5, abs=1e-5)
        assert one["features/text"] == pytest.approx(of_number, rel=1e-5, abs=1e-5)
        assert one["tokens/ids"] == [str(token) for token in row["ids"]]
    assert {one["status"] for one in found} <= {"converged", "baseline_equal"}


def test_the_manifest_says_what_is_there(asked, model):
    job.run(asked)
    folder = pathlib.Path(asked.output)
    manifest = json.loads((folder / "_SUCCESS").read_text())
    assert manifest["records"] == COUNT and len(manifest["shards"]) == 6
    for note in manifest["shards"]:
        data = (folder / note["file"]).read_bytes()
        assert len(data) == note["bytes"] and hashlib.sha256(data).hexdigest() == note["sha256"]
        assert len(data.splitlines()) == note["rows"] == note["records"]
    assert manifest["model"]["sha256"] == job.fingerprint(model)
    assert manifest["job"]["keep"] == ["label"] and manifest["versions"]["tensorflow"]
    assert json.loads((folder / "_about.json").read_text())["steps"] == 2
    assert not [file for file in folder.rglob("*.tmp")]
    rows = read_jsonl(folder)
    assert [row["kept"]["label"] for row in rows] == [n % 3 for n in range(COUNT)]
    assert results.result_of(rows[0]).id == "r0"


def test_run_again_it_does_what_is_missing(asked):
    job.run(asked)
    folder = pathlib.Path(asked.output)
    whole = read_jsonl(folder)
    assert job.run(asked)["shards_done_before"] == 6
    lost = sorted(folder.glob("part-*.jsonl"))
    times = {file: file.stat().st_mtime_ns for file in lost}
    lost[2].write_bytes(lost[2].read_bytes()[:-5])
    (folder / "_job/shards/00004.json").unlink()
    (folder / ".part-00004-of-00006.jsonl.77.tmp").write_text("half")
    summary = job.run(asked)
    assert summary["shards_done_before"] == 4 and read_jsonl(folder) == whole
    changed = [number for number, file in enumerate(lost)
               if file.stat().st_mtime_ns != times[file]]
    assert changed == [2, 4] and not list(folder.glob(".*.tmp"))


def test_another_job_in_the_folder_is_refused(asked, tmp_path):
    job.run(asked)
    with pytest.raises(JobError, match="shard_records was 10, now 11.*--overwrite"):
        job.run(dataclasses.replace(asked, shard_records=11))
    more = tmp_path / "rows-1.jsonl"
    more.write_text(more.read_text() + json.dumps(job_models.rows(1)[0]) + "\n")
    with pytest.raises(JobError, match="holds another job"):
        job.run(asked)
    assert job.run(asked, overwrite=True)["rows"] == COUNT + 1
    assert len(read_jsonl(asked.output)) == COUNT + 1
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(JobError, match="something else"):
        job.run(dataclasses.replace(asked, output=other), overwrite=True)
    assert (other / "thesis.txt").exists()


def test_two_jobs_do_not_share_a_folder(asked):
    with job_folder.JobFolder(asked.output).locked():
        with pytest.raises(JobError, match="another job is writing"):
            job.run(asked)
    with job_folder.JobFolder(asked.output).worker_lock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_folder, "_WAIT_SECONDS", 0.3)
        with pytest.raises(JobError, match="a worker of an earlier job"):
            job.run(asked)


def spoil(tmp_path, number, line):
    """Replaces a record of the second file by other bytes."""
    file = tmp_path / "rows-1.jsonl"
    lines = file.read_bytes().splitlines()
    lines[number - 30] = line
    file.write_bytes(b"\n".join(lines))


POISON = {31: b'{"id": "p", "text": "no number", "ids": [1], "label": 1}', 36: b'{"text": ',
          37: b'{"text": "1", "label": 2}', 38: b'{"text": "1", "ids": ["x"], "label": 2}',
          39: b'{"text": "1", "ids": [9], "label": 0}', 40: b"\xff\xfe", 44: b"[1, 2]",
          46: b'{"text": "1", "ids": [1], "label": "seven"}'}


def test_a_poisoned_record_costs_itself(asked, tmp_path, monkeypatch):
    """Refused by TensorFlow, of a wrong type or shape, no JSON: a row and a letter each."""
    job.run(dataclasses.replace(asked, output=tmp_path / "clean"))
    for number, line in POISON.items():
        spoil(tmp_path, number, line)
    with pytest.raises(JobError, match="record 31 fails.*no number.*--on_error=skip"):
        job.run(asked)
    assert len(read_jsonl(asked.output)) == 30  # what was finished is kept
    requests = []
    answer = artifact.Artifact.answer
    monkeypatch.setattr(artifact.Artifact, "answer", lambda self, rows, *more: (
        requests.append(len(rows)), answer(self, rows, *more))[1])
    summary = job.run(dataclasses.replace(asked, on_error="skip"))
    assert summary["shards_done_before"] == 3 and summary["dead_letters"] == len(POISON)
    assert summary["statuses"]["error"] == len(POISON) and len(requests) < 30
    found, clean = read_jsonl(asked.output), read_jsonl(tmp_path / "clean")
    assert [row["position"] for row in found] == list(range(COUNT))
    for row, other in zip(found, clean):
        if row["position"] in POISON:
            assert row["status"] == "error" and row["message"] and not row["points"]
        else:
            assert row["id"] == other["id"] and row["kept"] == other["kept"]
            assert row["points"] == other["points"]
    letters = [json.loads(line) for file in sorted(
        pathlib.Path(asked.output, "_dead_letters").iterdir())
        for line in file.read_text().splitlines()]
    assert {letter["position"]: base64.b64decode(letter["base64"]).rstrip(b"\n")
            for letter in letters} == POISON
    assert all(letter["file"].endswith("rows-1.jsonl") and letter["reason"] for letter in letters)


def test_values_that_are_no_numbers_and_a_text_of_megabytes(asked, tmp_path):
    """NaN and infinity have a status; a reason that quotes 10 MB is cut, the letter is whole."""
    long = json.dumps({"text": "x" * 10_000_000, "ids": [1], "label": 0}).encode()
    for number, line in ((31, b'{"text": "nan", "ids": [1], "label": 1}'),
                         (32, b'{"text": "inf", "ids": [1], "label": 1}'), (33, long)):
        spoil(tmp_path, number, line)
    job.run(dataclasses.replace(asked, on_error="skip"))
    rows = read_jsonl(asked.output)
    assert [row["status"] for row in rows[31:34]] == ["invalid_input", "invalid_input", "error"]
    assert len(rows) == COUNT > 34
    assert all(row["prediction"] == pytest.approx(job_models.truth(other)[0], rel=1e-6)
               for row, other in zip(rows[34:], job_models.rows(COUNT)[34:]))
    letter, = (json.loads(line) for file in pathlib.Path(
        asked.output, "_dead_letters").iterdir() for line in file.read_text().splitlines())
    assert len(letter["reason"]) <= 2000 and base64.b64decode(letter["base64"]).strip() == long


def test_out_of_memory_halves_the_batch(asked, monkeypatch, tmp_path, capfd):
    job.run(dataclasses.replace(asked, output=tmp_path / "clean"))
    answer, requests = artifact.Artifact.answer, []

    def small(self, rows, *more):
        requests.append(len(rows))
        if len(rows) > 3:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
        return answer(self, rows, *more)

    monkeypatch.setattr(artifact.Artifact, "answer", small)
    job.run(dataclasses.replace(asked, batch_size=16, shard_records=60))
    said = capfd.readouterr().err
    for size in (16, 8, 4):
        assert f"out of memory with {size} records per request: {size // 2} from here on" in said
    assert [size for size in requests if size > 3] == [16, 8, 4]
    found, clean = read_jsonl(asked.output), read_jsonl(tmp_path / "clean")
    assert [row["points"] for row in found] == [row["points"] for row in clean]
    monkeypatch.setattr(artifact.Artifact, "answer", lambda *_: (_ for _ in ()).throw(
        tf.errors.ResourceExhaustedError(None, None, "OOM always")))
    with pytest.raises(JobError, match="record 0 fails: out of memory: OOM always"):
        job.run(dataclasses.replace(asked, output=tmp_path / "never"))


def test_sigterm_ends_after_the_shard(asked, monkeypatch):
    run = shards.Worker.run
    before = signal.getsignal(signal.SIGTERM)

    def terminated(self, shard):
        if shard.number == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return run(self, shard)

    monkeypatch.setattr(shards.Worker, "run", terminated)
    summary = job.run(asked)
    folder = pathlib.Path(asked.output)
    assert not summary["complete"] and summary["records"] == 20
    assert not (folder / "_SUCCESS").exists() and len(list(folder.glob("part-*"))) == 2
    monkeypatch.undo()
    assert job.run(asked)["shards_done_before"] == 2 and len(read_jsonl(folder)) == COUNT
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("place, done", [
    ("plan.json", 0), ("part-00002", 2), ("summaries/00002", 2), ("shards/00002", 2),
    ("_about.json", 6), ("_summary.json", 6), ("_SUCCESS", 6)])
def test_a_full_disk_is_said_and_can_be_continued(asked, monkeypatch, place, done):
    """Wherever it is that a file cannot be written any more."""
    real = os.replace

    def full(source, target):
        if place in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(JobError, match="No space left") as said:
        job.run(asked)
    assert not done or "Finished shards are kept: run the same command again" in str(said.value)
    folder = pathlib.Path(asked.output)
    assert not list(folder.rglob(".*.tmp")) and not (folder / "_SUCCESS").exists()
    monkeypatch.undo()
    assert job.run(asked)["shards_done_before"] == done and len(read_jsonl(folder)) == COUNT


def test_two_machines_do_not_write_one_file(tmp_path, monkeypatch):
    """One shard at once, under equal process ids (they are small in containers): both are whole."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    path = tmp_path / "part"
    with shards._aside(str(path)) as one, shards._aside(str(path)) as other:
        assert one != other
        pathlib.Path(one).write_bytes(b"one")
        pathlib.Path(other).write_bytes(b"other")
    assert path.read_bytes() == b"one" and [file.name for file in tmp_path.iterdir()] == ["part"]


@pytest.mark.parametrize("by_columns", [True, False])
def test_no_more_is_held_than_three_windows(asked, monkeypatch, by_columns):
    """Records that were read and not yet written, at most: what flat memory means.

    One window is read, one answered, one written; by column and one by one.
    """
    read, written, most = [], [], []
    prepared, row_of = explain.Explainer.prepared, shards.shard_files.row_of
    table_of, made = by_column.ByColumn.table, block_json.Lines.made

    def count(positions):
        read.extend(positions)
        most.append(len(read) - len(written))

    def counted(self, record):
        count([record.position])
        return prepared(self, record)

    def table(self, parts):
        found = table_of(self, parts) if by_columns else None
        if found:
            count(range(found.start, found.start + found.count))
        return found

    def lines(self):
        found = made(self)
        written.extend(found)
        return found

    monkeypatch.setattr(explain.Explainer, "prepared", counted)
    monkeypatch.setattr(shards.shard_files, "row_of", lambda result: (
        written.append(result.id), row_of(result))[1])
    monkeypatch.setattr(by_column.ByColumn, "table", table)
    monkeypatch.setattr(block_json.Lines, "made", lines)
    monkeypatch.setattr(job, "_tried", lambda *_: {"label": "int64"})
    job.run(dataclasses.replace(asked, batch_size=2, shard_records=100))
    assert len(written) == len(read) == COUNT
    assert answering.WINDOW * 2 <= max(most) <= 3 * answering.WINDOW * 2


def test_nothing_that_fits_is_said_before_anything_is_run(asked, tmp_path):
    (tmp_path / "rows-0.jsonl").write_text('{"txt": "1", "ids": [1], "label": 1}\n' * 30)
    with pytest.raises(RecordError, match="rows-0.jsonl: none of the first records fits.*'text'"):
        job.run(dataclasses.replace(asked, on_error="skip"))
    with pytest.raises(RecordError, match="no column 'lable', which --keep names"):
        job.run(dataclasses.replace(asked, keep=("lable",), input=tmp_path / "rows-1.jsonl"))
    assert not list(pathlib.Path(asked.output).glob("part-*"))
    (tmp_path / "rows-0.jsonl").write_text("")
    found = job.run(dataclasses.replace(asked, input=tmp_path / "rows-0.jsonl"))
    assert found["complete"] and found["records"] == 0 and found["shards"] == 1


def test_no_records_still_have_columns(asked, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional extra")
    (tmp_path / "none.jsonl").write_text("")
    job.run(dataclasses.replace(asked, input=tmp_path / "none.jsonl", format="parquet"))
    table = parquet.read_table(asked.output)
    assert table.num_rows == 0 and {"id", "tokens/ids", "label"} <= set(table.column_names)


@pytest.mark.parametrize("value, kind, wanted", [
    (1, "int64", 1), (True, "bool", True), (2, "double", 2.0), ("é", "string", "é"),
    (b"\xff", "string", "\\xff"), ([1, "a"], "string", '[1, "a"]'), (None, "int64", None),
    ("\ud800", "string", "\\ud800"), (1.5, "int64", RecordError), ("1", "double", RecordError),
    (True, "int64", RecordError)])
def test_pass_through_values_keep_their_type(value, kind, wanted):
    if wanted is RecordError:
        with pytest.raises(RecordError):
            tables.as_type(value, kind, "here")
    else:
        assert tables.as_type(value, kind, "here") == wanted


@pytest.fixture(scope="module", name="products")
def fixture_products(tmp_path_factory):
    """A model that parses tf.Examples: score = a * b, of which each gets half."""
    def serve(examples):
        parsed = tf.io.parse_example(examples, {"a": tf.io.FixedLenFeature([], tf.float32),
                                                "b": tf.io.FixedLenFeature([], tf.float32)})
        return {"score": parsed["a"] * parsed["b"]}

    folder = tmp_path_factory.mktemp("products")
    module = tf.Module()
    module.serve = tf.function(serve, autograph=False, input_signature=[
        tf.TensorSpec([None], tf.string, "examples")])
    tf.saved_model.save(module, str(folder / "plain"), signatures=module.serve)
    ig_tf.save(ig_tf.instrument(ig_tf.load(folder / "plain"), steps=2), folder / "model")
    return folder / "model"


def test_tfrecords_of_which_one_is_corrupt_and_one_lacks_a_feature(products, tmp_path):
    """Raw records in, one row each out; features that the model does not read can be kept."""
    raws = []
    for number in range(9):
        example = tf.train.Example()
        for name, value in (("a", number), ("b", 2.0)):
            if (number, name) != (6, "b"):
                example.features.feature[name].float_list.value.append(value)
        example.features.feature["day"].bytes_list.value.append(b"2026-11-22")
        example.features.feature["label"].int64_list.value.append(number)
        raws.append(example.SerializeToString())
    file = tmp_path / "a.tfrecord.gz"
    with tf.io.TFRecordWriter(str(tmp_path / "plain")) as writer:
        for raw in raws:
            writer.write(raw)
    data = (tmp_path / "plain").read_bytes()
    place = sum(len(raw) + 16 for raw in raws[:3]) + 14
    file.write_bytes(gzip.compress(data[:place] + b"\xff" + data[place + 1:]))
    summary = job.run(job.Job(products, file, tmp_path / "out", keep=("label", "day"),
                              on_error="skip", shard_records=4))
    found = read_jsonl(tmp_path / "out")
    assert summary["dead_letters"] == 2 and len(found) == 9
    for number, row in enumerate(found):
        if number in (3, 6):
            assert row["status"] == "error"
            assert ("checksum" if number == 3 else "b") in row["message"]
        else:
            assert row["kept"] == {"label": number, "day": "2026-11-22"}
            assert row["features"] == pytest.approx({"a": number, "b": number}, rel=1e-5)
