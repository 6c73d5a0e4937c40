"""What a job says of its results as a whole, against all of them at once; and the report of it."""

import dataclasses
import json
import math
import pathlib

import numpy as np
import pytest

from ig_tf.errors import ResultsError
from ig_tf.rendering import global_view, report
from ig_tf.rendering.look import Look
from ig_tf.rendering.slices import word_means
from ig_tf.run import job, job_results, summaries
from ig_tf.run.results import PointScores, Result, Target
from ig_tf.run.summary import Summary
from tests import job_models

COUNT = 53


def result(number, target, features, words=()):
    points = (PointScores("text", "tokens", np.array([score for _, score in words]),
                          tuple(word for word, _ in words)),) if words else ()
    return Result(str(number), "converged", target=Target("p", target), points=points,
                  features=features)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e200])
def test_quantiles_are_within_their_error(scale):
    """Against the sorted numbers, over many sizes, both signs and zeros."""
    chance = np.random.default_rng(3)
    values = scale * chance.normal(size=20_000) * np.exp(3 * chance.normal(size=20_000))
    values[:500] = 0
    parts = [summaries.Sketch() for _ in range(3)]
    for part, some in zip(parts, np.array_split(values, 3)):
        part.add(some)
    whole = parts[0]
    for part in parts[1:]:
        whole.merge(summaries.Sketch.of_state(json.loads(json.dumps(part.state()))))
    ordered = np.sort(values)
    largest = np.abs(values).max()
    for share in (0, *summaries.QUANTILES, 1):
        true = ordered[math.floor(share * (len(values) - 1))]
        assert abs(whole.quantile(share) - true) <= (
            summaries.RELATIVE * abs(true) * (1 + 1e-9) + largest * 2.0 ** -summaries.BITS)


def test_a_sketch_does_not_grow():
    sketch = summaries.Sketch()
    for exponent in range(-300, 300):
        sketch.add(np.array([1.0, -2.0, 3.0]) * 10.0 ** exponent)
    assert sum(map(len, sketch.state()[1:])) <= 2 * (summaries._SPAN + 1)
    assert sketch.quantile(1) == pytest.approx(3e299, rel=summaries.RELATIVE)


def test_parts_make_the_whole_and_targets_are_not_mixed():
    rows = [result(n, n % 2, {"age": (n - 5) * (1 if n % 2 else -1), "job": n / 7},
                   [("good", n), ("bad", -n)]) for n in range(40)]
    whole, merged = Summary(), Summary()
    for part in (rows[:13], rows[13:14], rows[14:]):
        one = Summary()
        for row in part:
            one.add(row, {"label": int(row.id) % 3})
            whole.add(row, {"label": int(row.id) % 3})
        merged.merge(json.loads(json.dumps(one.state())))
    found, once = merged.row(), whole.row()
    assert {one["target"]: one["rows"] for one in found["targets"]} == {"p[0]": 20, "p[1]": 20}
    for target, other in zip(found["targets"], once["targets"]):
        mine = [row for row in rows if row.target.text() == target["target"]]
        ages = np.array([row.features["age"] for row in mine])
        line, = (line for line in target["features"] if line["feature"] == "age")
        assert line["mean"] == pytest.approx(ages.mean())
        assert line["mean_absolute"] == pytest.approx(np.abs(ages).mean())
        assert [line["feature"] for line in target["features"]] == [
            name for name, _, _ in global_view.feature_means(mine)]
        assert {line["token"]: pytest.approx(line["mean"]) for line in target["tokens"]} == {
            word: mean for word, mean, _ in word_means(mine, Look())}
        for one in target["slices"]["label"]["values"]:
            part = [row for row in mine if int(row.id) % 3 == int(one["value"])]
            means = {line["feature"]: line["mean"] for line in one["features"]}
            assert one["rows"] == len(part) and means["age"] == pytest.approx(
                np.mean([row.features["age"] for row in part]))
        assert target["slices"].keys() == other["slices"].keys()


def test_what_has_too_many_values_is_counted(monkeypatch):
    monkeypatch.setattr("ig_tf.run.summary.MOST_TARGETS", 2)
    monkeypatch.setattr("ig_tf.run.summary.MOST_VALUES", 4)
    monkeypatch.setattr(summaries, "MOST_WORDS", 5)
    found = Summary()
    for number in range(60):
        found.add(result(number, number % 3, {"a": 1.0}, [("often", 1), (f"w{number}", 2)]),
                  {"id": number})
    found.add(Result("x", "error"), {})
    row = found.row()
    assert row["rows"] == 61 and row["rows_without_attributions"] == 1
    assert row["rows_of_other_targets"] == 20 and len(row["targets"]) == 2
    target = row["targets"][0]
    slices = target["slices"]["id"]
    assert len(slices["values"]) == 4 and slices["rows_of_other_values"] == 16
    often = next(line for line in target["tokens"] if line["token"] == "often")
    assert often["count"] == 20 and len(target["tokens"]) <= 10 and target["occurrences_missed"]


@pytest.fixture(scope="module", name="done")
def fixture_done(tmp_path_factory):
    """A job that is complete, as JSON Lines, and its folder."""
    folder = tmp_path_factory.mktemp("summary")
    (folder / "rows.jsonl").write_text("".join(
        json.dumps(row) + "\n" for row in job_models.rows(COUNT)))
    asked = job.Job(job_models.save(folder), folder / "rows.jsonl", folder / "out",
                    keep=("label",), shard_records=20, batch_size=8)
    job.run(asked)
    return asked


def test_a_job_s_summary_is_that_of_its_rows(done):
    """Against the closed form of each row, by label."""
    summary = json.loads(pathlib.Path(done.output, "_summary.json").read_text())
    target, = summary["targets"]
    rows = job_models.rows(COUNT)
    truth = [job_models.truth(row)[1] for row in rows]
    line, = (line for line in target["features"] if line["feature"] == "text")
    assert summary["rows"] == target["rows"] == line["count"] == COUNT
    assert line["mean"] == pytest.approx(np.mean(truth), rel=1e-4)
    assert line["mean_absolute"] == pytest.approx(np.mean(np.abs(truth)), rel=1e-4)
    for one in target["slices"]["label"]["values"]:
        mine = [value for value, row in zip(truth, rows) if str(row["label"]) == one["value"]]
        means = {line["feature"]: line["mean"] for line in one["features"]}
        assert one["rows"] == len(mine) and means["text"] == pytest.approx(np.mean(mine), rel=1e-4)


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "tfrecord"])
def test_a_report_of_a_job(done, tmp_path, kind):
    """The first rows of whatever format are the rows; the page counts all of them."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
    if kind != "jsonl":
        job.run(dataclasses.replace(done, format=kind, output=tmp_path / "out"))
    found = job_results.read(tmp_path / "out" if kind != "jsonl" else done.output, 30)
    first = job_results.read(done.output, 30)
    assert found.total == COUNT and len(found.rows) == 30 and found.summary == first.summary
    for row, other, given in zip(found.rows, first.rows, job_models.rows(COUNT)):
        assert (row.id, row.status, row.target) == (given["id"], other.status, other.target)
        assert row.features == pytest.approx(other.features)
        assert row.inputs["label"] == given["label"]
        for point, wanted in zip(row.points, other.points, strict=True):
            assert (point.kind, point.features) == (wanted.kind, wanted.features)
            assert list(map(str, point.tokens or ())) == list(map(str, wanted.tokens or ()))
            np.testing.assert_allclose(point.scores, wanted.scores)
    page = report.render(found.rows, summary=found.summary)
    assert f"all {COUNT} results" in page and "By label" in page and "first 30" in page


def test_what_is_no_complete_job_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="no folder of a job, or the job is not complete"):
        job_results.read(tmp_path)
