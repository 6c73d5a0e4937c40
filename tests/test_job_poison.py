"""Inputs of which a part is broken, in every format: what it costs, and that the rest is right."""

import base64
import csv
import gzip
import json
import pathlib
import random

import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import IgTfError, RecordError
from ig_tf.run import job

COUNT = 2_000
ENDINGS = ("jsonl", "csv", "tfrecord")


@pytest.fixture(scope="module", name="model")
def fixture_model(tmp_path_factory):
    """score = a * b of columns or examples, of which each gets half."""
    def serve(examples):
        parsed = tf.io.parse_example(examples, {name: tf.io.FixedLenFeature([], tf.float32)
                                                for name in ("a", "b")})
        return {"score": parsed["a"] * parsed["b"]}

    folder = tmp_path_factory.mktemp("poison")
    module = tf.Module()
    module.serve = tf.function(serve, autograph=False, input_signature=[
        tf.TensorSpec([None], tf.string, "examples")])
    tf.saved_model.save(module, str(folder / "plain"), signatures=module.serve)
    ig_tf.save(ig_tf.instrument(ig_tf.load(folder / "plain"), steps=2), folder / "model")
    return folder / "model"


def rows(count=COUNT):
    chance = random.Random(1)  # so that gzip does not make almost nothing of them
    return [{"a": number % 50, "b": number % 7 + 0.5, "note": f"{chance.random()}"}
            for number in range(count)]


def example(row):
    found = tf.train.Example()
    for name in ("a", "b"):
        if row.get(name) is not None:
            found.features.feature[name].float_list.value.append(row[name])
    note = row["note"] if isinstance(row["note"], bytes) else row["note"].encode()
    found.features.feature["note"].bytes_list.value.append(note)
    return found.SerializeToString()


def write(file, given):
    if file.suffix == ".tfrecord":
        with tf.io.TFRecordWriter(str(file)) as writer:
            for row in given:
                writer.write(example(row))
    elif file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in given))
    else:
        with open(file, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, ["a", "b", "note"])
            writer.writeheader()
            writer.writerows(given)
    return file


def answered(model, given, tmp_path, **more):
    """(summary, rows of results by position)."""
    asked = job.Job(model, given, tmp_path / "out", on_error="skip", keep=("note",), **more)
    summary = job.run(asked)
    found = [json.loads(line) for file in sorted(pathlib.Path(asked.output).glob("part-*"))
             for line in file.read_text().splitlines()]
    assert [row["position"] for row in found] == list(range(summary["records"]))
    return summary, found


def require_right(found, wanted):
    for row, one in zip(found, wanted):
        assert row["prediction"] == pytest.approx(one["a"] * one["b"], rel=1e-6)
        half = one["a"] * one["b"] / 2
        assert row["features"] == pytest.approx({"a": half, "b": half}, rel=1e-5)


def letters(tmp_path):
    return [json.loads(line) for file in sorted((tmp_path / "out/_dead_letters").iterdir())
            for line in file.read_text().splitlines()]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_truncated_gzip_costs_what_is_behind_the_cut(model, tmp_path, ending):
    """All before it, one row of status error for the rest, and the next file is untouched."""
    whole = write(tmp_path / f"whole.{ending}", rows()).read_bytes()
    packed = gzip.compress(whole)
    (tmp_path / f"a.{ending}.gz").write_bytes(packed[:len(packed) // 2])
    write(tmp_path / f"b.{ending}", rows(20))
    summary, found = answered(model, [tmp_path / f"a.{ending}.gz", tmp_path / f"b.{ending}"],
                              tmp_path, shard_records=500)
    before = summary["records"] - 21
    assert 500 < before < COUNT and summary["dead_letters"] == 1
    assert found[before]["status"] == "error" and (
        "read further" in found[before]["message"] or "decompressed" in found[before]["message"])
    require_right(found[:before], rows())
    require_right(found[before + 1:], rows(20))


def parquet_of(file, given, text=True):
    """Parquet; where `text` is False the notes are bytes that the file calls text."""
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional extra")
    import pyarrow as arrow
    columns = {name: [row[name] for row in given] for name in ("a", "b", "note")}
    notes = columns.pop("note")
    if text:
        column = arrow.array(notes, arrow.string())
    else:
        data = arrow.array(notes, arrow.binary())
        column = arrow.StringArray.from_buffers(len(data), *data.buffers()[1:])
    table = arrow.table({name: arrow.array(map(float, values)) for name, values in columns.items()})
    pyarrow.write_table(table.append_column("note", column), file)
    return file


@pytest.mark.parametrize("ending", [*ENDINGS, "parquet"])
def test_text_that_is_no_utf8_costs_its_record(model, tmp_path, ending):
    """In a tf.Example it is no fault: what cannot be shown gets escapes."""
    given, file = rows(30), tmp_path / f"a.{ending}"
    if ending in ("tfrecord", "parquet"):
        given[4]["note"] = b"caf\xe9"
    if ending == "parquet":
        for row in given:
            row["note"] = row["note"] if isinstance(row["note"], bytes) else row["note"].encode()
        parquet_of(file, given, text=False)
    elif ending == "tfrecord":
        write(file, given)
    else:
        given[4]["note"] = "QQ"
        file.write_bytes(write(file, given).read_bytes().replace(b"QQ", b"caf\xe9"))
    summary, found = answered(model, file, tmp_path, shard_records=10)
    assert summary["records"] == 30
    require_right([*found[:4], *found[5:]], [*given[:4], *given[5:]])
    if ending == "tfrecord":
        assert summary["dead_letters"] == 0 and found[4]["kept"] == {"note": "caf\\xe9"}
    else:
        assert found[4]["status"] == "error" and "utf" in found[4]["message"].lower()
        letter, = letters(tmp_path)
        assert letter["position"] == 4 and (
            ending == "parquet" or b"caf\xe9" in base64.b64decode(letter["base64"]))


@pytest.mark.parametrize("ending", ENDINGS)
def test_values_that_are_no_numbers_and_features_that_are_not_there(model, tmp_path, ending):
    given = rows(40)
    given[3]["a"], given[12]["b"], given[13]["b"] = float("nan"), float("inf"), None
    if ending != "tfrecord":
        given[25]["a"] = "seven"
    summary, found = answered(model, write(tmp_path / f"a.{ending}", given), tmp_path,
                              shard_records=10)
    wrong = {13, 25} if ending != "tfrecord" else {13}
    assert {row["position"] for row in found if row["status"] == "error"} == wrong
    assert {row["position"] for row in found if row["status"] == "invalid_input"} == {3, 12}
    fine = [number for number in range(40) if number not in wrong | {3, 12}]
    require_right([found[number] for number in fine], [given[number] for number in fine])
    assert summary["dead_letters"] == len(wrong)


def test_empty_files_add_nothing(model, tmp_path):
    """Of no bytes, of a header alone, of nothing that gzip packed, of no rows: between others."""
    write(tmp_path / "b.jsonl", rows(7))
    for name, data in (("a.jsonl", b""), ("c.csv", b""), ("d.csv", b"a,b,note\n"),
                       ("e.tfrecord", b""), ("f.jsonl.gz", gzip.compress(b"")),
                       ("g.tfrecord.gz", gzip.compress(b""))):
        (tmp_path / name).write_bytes(data)
    write(tmp_path / "h.tfrecord", rows(5))
    files = sorted(file for file in tmp_path.iterdir() if file.is_file())
    summary, found = answered(model, files, tmp_path, shard_records=10)
    assert summary["records"] == 12 and summary["dead_letters"] == 0
    require_right(found, [*rows(7), *rows(5)])


@pytest.mark.parametrize("name, data", [
    ("a.csv", b"a,b,note\n"), ("a.tfrecord", b""), ("a.jsonl.gz", gzip.compress(b""))])
def test_no_rows_at_all_are_a_job_that_is_complete(model, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    summary, found = answered(model, tmp_path / name, tmp_path)
    assert summary["complete"] and summary["records"] == 0 and found == []
    assert (tmp_path / "out/_SUCCESS").exists()


def test_parquet_of_no_rows_and_of_no_bytes(model, tmp_path):
    parquet_of(tmp_path / "a.parquet", [])
    assert answered(model, tmp_path / "a.parquet", tmp_path)[0]["records"] == 0
    (tmp_path / "b.parquet").write_bytes(b"")
    with pytest.raises(RecordError, match="b.parquet.*cannot be read as Parquet"):
        answered(model, tmp_path / "b.parquet", tmp_path / "other")


@pytest.mark.parametrize("ending", ENDINGS)
def test_ten_megabytes_in_one_record(model, tmp_path, ending):
    """As a value that is kept they come out as they went in; the others are untouched."""
    given = rows(30)
    given[17]["note"] = "x" * 10_000_000
    summary, found = answered(model, write(tmp_path / f"a.{ending}", given), tmp_path,
                              shard_records=10)
    assert summary["dead_letters"] == 0 and found[17]["kept"]["note"] == given[17]["note"]
    require_right(found, given)


@pytest.mark.parametrize("data", [b"\x1f\x8b", b"\x1f\x8b\x08\x00"])
def test_a_gzip_of_its_first_bytes_alone(model, tmp_path, data):
    """Of which nothing can be read, so that nothing fits: said before anything is run."""
    (tmp_path / "a.jsonl.gz").write_bytes(data)
    with pytest.raises(IgTfError, match="a.jsonl.gz: none of the first records fits"):
        answered(model, tmp_path / "a.jsonl.gz", tmp_path)
