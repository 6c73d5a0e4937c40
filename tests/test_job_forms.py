"""Results of jobs in long form: a row per feature and token, in each format that holds it."""

import csv
import dataclasses
import json
import pathlib

import pytest
import tensorflow as tf

from ig_tf.errors import JobError, RecordError
from ig_tf.run import job, job_results
from tests import job_models

COUNT, BAD = 23, 4


@pytest.fixture(scope="module", name="asked")
def fixture_asked(tmp_path_factory):
    """A job in long form, of whose records one fails."""
    folder = tmp_path_factory.mktemp("forms")
    rows = job_models.rows(COUNT)
    rows[BAD]["text"] = "poison"
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return job.Job(job_models.save(folder), folder / "rows.jsonl", folder / "out", form="long",
                   keep=("label",), shard_records=10, batch_size=4, on_error="skip")


def read_jsonl(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def read_csv(file):
    with open(file, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [{name: value or None for name, value in row.items()} for row in rows]


def read_parquet(file):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional extra")
    return parquet.read_table(file).to_pylist()


def read_tfrecord(file):
    found = []
    for raw in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        example = tf.train.Example.FromString(raw)
        found.append({name: getattr(feature, feature.WhichOneof("kind")).value[0]
                      for name, feature in example.features.feature.items()})
    return [{name: value.decode() if isinstance(value, bytes) else value
             for name, value in row.items()} for row in found]


@pytest.mark.parametrize("kind, read", [("jsonl", read_jsonl), ("csv", read_csv),
                                        ("parquet", read_parquet), ("tfrecord", read_tfrecord)])
def test_a_row_per_feature_and_token(asked, tmp_path, kind, read):
    """Every number against the closed form; the record that failed has a row too."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
    now = dataclasses.replace(asked, format=kind, output=tmp_path / "out")
    assert job.run(now)["records"] == COUNT
    found = {}
    for file in sorted(pathlib.Path(now.output).glob("part-*")):
        for row in read(file):
            found.setdefault(int(row["position"]), []).append(row)
    assert list(found) == list(range(COUNT))
    for position, (given, rows) in enumerate(zip(job_models.rows(COUNT), found.values())):
        assert {row["id"] for row in rows} == {given["id"]}
        assert {int(row["label"]) for row in rows} == {given["label"]}
        units = [(row.get("unit"), row.get("name"), row.get("place")) for row in rows]
        if position == BAD:
            assert units == [(None, None, None)] and rows[0]["status"] == "error"
            continue
        score, of_text, of_ids = job_models.truth(given)
        wanted = [("feature", "text", None, of_text), ("feature", "ids", None, sum(of_ids))]
        wanted += [("token", str(token), place, one)
                   for place, (token, one) in enumerate(zip(given["ids"], of_ids))]
        told = {(row["unit"], row["name"], None if row.get("place") is None else
                 int(row["place"])): float(row["attribution"]) for row in rows}
        assert told == {tuple(one): pytest.approx(value, rel=1e-5, abs=1e-5)
                        for *one, value in wanted}
        assert float(rows[0]["prediction"]) == pytest.approx(score, rel=1e-6)
    assert {row["point"] for row in rows if row["unit"] == "token"} == {"ids"}
    read_again = job_results.read(now.output)
    assert not read_again.rows and read_again.summary["rows"] == COUNT


def test_what_a_form_cannot_be_is_refused(asked):
    with pytest.raises(RecordError, match="csv holds no lists.*--form=long"):
        job.run(dataclasses.replace(asked, format="csv", form="wide"))
    with pytest.raises(RecordError, match="have a column of that name"):
        job.run(dataclasses.replace(asked, keep=("id",)))
    job.run(asked)
    with pytest.raises(JobError, match='form was "long", now "wide"'):
        job.run(dataclasses.replace(asked, form="wide"))
