"""Whole batches by column against the same records one by one: the same rows, whatever is read."""

import csv
import dataclasses
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import ig_tf
from ig_tf.errors import RecordError
from ig_tf.run import artifact, by_column, job, shortest
from ig_tf.run.items import Numbers
from tests import job_models

COUNT = 41
ODD = {3: {"amount": float("nan")}, 7: {"label": None}, 11: {"label": "ü\ud800"},
       12: {"amount": 1e300}, 19: {"job": "100 % \"x\""}, 20: {"amount": True}, 23: {"place": "9"},
       29: {"amount": "2.5"}, 30: {"job": "nurse " * 30}}
BROKEN = {5: {"amount": "much"}, 31: {"vector": [1.0]}, 36: {"place": None}}


@pytest.fixture(scope="module", name="model")
def fixture_model(tmp_path_factory):
    """A model of a number, a list, an integer and a text (looked up in a table)."""
    def serve(amount, vector, place, job):
        table = tf.constant([[0.5, 1.0], [2.0, -1.0], [0.25, 3.0]])
        kind = tf.strings.to_hash_bucket_fast(job, 3)
        total = amount + tf.reduce_sum(vector * vector, 1) + tf.reduce_sum(
            tf.gather(table, kind), 1) * tf.reduce_sum(tf.gather(table, place % 3), 1)
        return {"score": tf.stack([total, total ** 2], 1)}

    folder, module = tmp_path_factory.mktemp("mixed"), tf.Module()
    module.serve = tf.function(serve, autograph=False, input_signature=[
        tf.TensorSpec([None], tf.float32, "amount"), tf.TensorSpec([None, 3], tf.float32, "vector"),
        tf.TensorSpec([None], tf.int32, "place"), tf.TensorSpec([None], tf.string, "job")])
    tf.saved_model.save(module, str(folder / "plain"), signatures=module.serve)
    ig_tf.save(ig_tf.instrument(ig_tf.load(folder / "plain"), target="score:top", steps=3),
               folder / "model")
    return folder / "model"


def rows():
    chance = np.random.default_rng(5)
    return [{"id": f"n{number}", "amount": round(float(chance.normal() * 10), 3),
             "vector": chance.normal(size=3).astype(np.float32).tolist(), "place": number % 3,
             "job": ["clerk", "nurse", "smith"][number % 3], "label": number % 4}
            for number in range(COUNT)]


def changed(changes):
    return [{**row, **changes.get(number, {})} for number, row in enumerate(rows())]


def write(path, records):
    """Records as a file of the format that the ending names."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in records))
    elif path.suffix == ".csv":
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(records[0]))
            writer.writeheader()
            writer.writerows(records)
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.array([row[name] for row in records]) for name in records[0]})
    else:
        pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
        pyarrow.parquet = pytest.importorskip("pyarrow.parquet")
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path, row_group_size=17)
    return path


def content(folder, kind):
    """Rows of a job, as exactly as the format holds them; its summary and its dead letters."""
    files, found = sorted(pathlib.Path(folder).glob("part-*")), []
    for file in files:
        if kind == "parquet":
            parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional extra")
            table = parquet.read_table(file)
            found += [repr(table.schema), *map(repr, table.to_pylist())]
        elif kind == "tfrecord":
            found += [tf.train.Example.FromString(raw).SerializeToString(deterministic=True)
                      for raw in tf.data.TFRecordDataset(str(file)).as_numpy_iterator()]
        else:
            found.append(file.read_bytes())
    letters = [file.read_bytes() for file in sorted(
        pathlib.Path(folder, "_dead_letters").glob("*.jsonl"))]
    notes = [{name: value for name, value in json.loads(file.read_text()).items()
              if kind == "jsonl" or name not in ("bytes", "sha256")}
             for file in sorted(pathlib.Path(folder, "_job/shards").glob("*.json"))]
    return found, letters, notes, pathlib.Path(folder, "_summary.json").read_text()


def require_same(asked, monkeypatch):
    """Runs a job by column, as far as it goes, and again with columns switched off."""
    table_of, tables = by_column.ByColumn.table, []

    def counted(self, parts):
        tables.append(table_of(self, parts))
        return tables[-1]

    with monkeypatch.context() as patch:
        patch.setattr(by_column.ByColumn, "table", counted)
        job.run(asked)
    assert any(table is not None for table in tables)
    other = dataclasses.replace(asked, output=f"{asked.output}-singly")
    with monkeypatch.context() as patch:
        patch.setattr(by_column.ByColumn, "table", lambda *_: None)
        job.run(other)
    one, another = content(asked.output, asked.format), content(other.output, asked.format)
    for mine, theirs in zip(one, another):
        assert mine == theirs


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "tfrecord"])
@pytest.mark.parametrize("ending", ["jsonl", "npz", "parquet"])
def test_the_same_rows_in_every_format(model, tmp_path, monkeypatch, ending, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
    file = write(tmp_path / f"rows.{ending}", rows())
    require_same(job.Job(model, file, tmp_path / "out", kind, keep=("label", "job"), batch_size=4,
                         shard_records=19), monkeypatch)


@pytest.mark.parametrize("changes", [ODD, {**ODD, **BROKEN}])
def test_what_is_odd_is_taken_or_refused_as_ever(model, tmp_path, monkeypatch, changes):
    """Values of other types, none, and some that the model does not take."""
    file = write(tmp_path / "rows.jsonl", changed(changes))
    require_same(job.Job(model, file, tmp_path / "out", keep=("job",), batch_size=2,
                         shard_records=30, on_error="skip"), monkeypatch)


def test_texts_and_lengths_of_their_own(tmp_path, monkeypatch):
    """CSV texts become numbers; lists of several lengths share requests by their length."""
    model = job_models.save(tmp_path)
    records = job_models.rows(COUNT)
    asked = job.Job(model, write(tmp_path / "rows.jsonl", records), tmp_path / "out",
                    keep=("label",), batch_size=4, shard_records=25)
    for kind in ("jsonl", "tfrecord"):
        require_same(dataclasses.replace(asked, format=kind, output=tmp_path / kind), monkeypatch)
    for row in records:
        row["ids"] = row["ids"][0]
    file = write(tmp_path / "rows.csv", records)
    require_same(dataclasses.replace(asked, input=file, output=tmp_path / "csv"), monkeypatch)


VALUES = st.one_of(
    st.integers(-2**70, 2**70), st.integers(-300, 300), st.floats(), st.booleans(), st.none(),
    st.sampled_from(["1", "2.5", " 7", "x", "", "1e400", "0x1", "1_0", "nan", "ü", b"3", b"\xff"]),
    st.lists(st.floats(width=32), min_size=1, max_size=3))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(VALUES, min_size=1, max_size=4),
       st.sampled_from(["float32", "float64", "int64", "int32", "uint8", "bool", "string",
                        "float16", "bfloat16"]),
       st.sampled_from([[None], [None, 1], [None, None], [None, 2], None]))
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_column_is_what_its_values_are(values, dtype, shape):
    """What is taken as a column is, value by value, what single records become."""
    spec = tf.TensorSpec(shape, dtype)
    of_one = None if shape is None else shape[1:]
    numbers = np.array(values) if len({*map(type, values)}) == 1 and type(values[0]) in (
        int, float, bool) else None
    columns = [values]
    if numbers is not None and numbers.dtype != object:
        columns.append(Numbers(numbers))
    for column in columns:
        array = by_column._array(column, spec.dtype, of_one)
        if array is None:
            continue
        for mine, value in zip(array, values):
            single = artifact.as_array(value, spec, "here")
            assert np.shape(mine) == single.shape and array.dtype == single.dtype
            assert np.array_equal(mine, single) or repr(np.asarray(mine)) == repr(single)


def test_a_column_that_does_not_fit_is_refused_as_single_values_are():
    with pytest.raises(RecordError):
        artifact.as_array("x", tf.TensorSpec([None], tf.float32), "here")
    assert by_column._array(["1", "x"], tf.float32, []) is None
    for column in ([1, 300], Numbers(np.array([1, 300]))):
        array = by_column._array(column, tf.uint8, [])
        try:  # NumPy 1 takes the last 8 bits, NumPy 2 refuses
            single = artifact.as_array(300, tf.TensorSpec([None], tf.uint8), "here")
        except RecordError:
            assert array is None
        else:
            assert array[1] == single
    assert by_column._array([[1, 2], [3]], tf.int32, [None]) is None


def test_shortest_decimals_are_numpy_s():
    """Random bits, decimals, whole numbers, and what stands next to powers of two and ten."""
    chance = np.random.default_rng(7)
    bits = chance.integers(0, 2**32, 60_000, np.uint64).astype(np.uint32).view(np.float32)
    decimals = np.round(chance.uniform(0, 1000, 60_000), 3).astype(np.float32)
    sizes = (10 ** chance.uniform(-14, 17, 60_000)).astype(np.float32)
    powers = np.concatenate([np.ldexp(np.float32(1), np.arange(-149, 128)),
                             10.0 ** np.arange(-30, 31)]).astype(np.float32)
    ends = [0.0, -0.0, np.inf, -np.inf, np.nan, 2097152.25]
    with np.errstate(all="ignore"):
        every = np.concatenate([
            bits, decimals, -sizes, powers, np.nextafter(powers, np.float32(0)),
            np.nextafter(powers, np.float32(np.inf)), ends]).astype(np.float32)
    found = shortest.decimals(every)
    assert found.tobytes() == every.astype("U32").astype(np.float64).tobytes()
