"""Several explained numbers of a record in files, reports and checks; and what heads are chosen."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.describe import plan_text
from ig_tf.rendering import report
from ig_tf.run import job, results
from ig_tf.run import targets as of_rows
from tests import builders
from tests.builders import matrix

X = np.random.default_rng(1).normal(size=(5, 3))
LABELS = ["cat", "dog", "owl", "fox"]


def scores(first, second):
    return tf.nn.softmax(tf.tanh(tf.stack([first, second], 1) @ matrix(2, 3)) @ matrix(3, 4))


@pytest.fixture(scope="module", name="made")
def fixture_made(tmp_path_factory):
    return builders.build(tmp_path_factory.mktemp("rows"), scores, {
        "first": builders.spec([None]), "second": builders.spec([None])}, target="score:top3",
        steps=8, custom=("refinement",))


def records():
    return [{"id": f"r{place}", "first": row[0], "second": row[1]} for place, row in enumerate(X)]


@pytest.mark.parametrize("extension", ["jsonl", "npz"])
def test_a_row_for_each_class_in_files(made, tmp_path, extension):
    ig_tf.attribute(made.path, records(), tmp_path / f"out.{extension}", batch_size=2,
                    labels=LABELS)
    about, found = results.read(tmp_path / f"out.{extension}")
    whole = made.run(first=X[:, 0], second=X[:, 1])
    assert about.target == "score:top3" and len(found) == 15
    for number, row in enumerate(found):
        example, place = divmod(number, 3)
        index = int(whole["target_index"][example, place])
        assert row.id == f"r{example}"
        assert row.target == results.Target("score", index, LABELS[index])
        assert row.prediction == pytest.approx(float(whole["prediction"][example, place]))
        assert row.features == pytest.approx({
            name: float(whole[f"features/{name}"][example, place])
            for name in ("first", "second")})
    assert [row.prediction for row in found[:3]] == sorted(
        (row.prediction for row in found[:3]), reverse=True)


def test_a_row_for_each_class_in_parquet(made, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional extra")
    ig_tf.attribute(made.path, records(), tmp_path / "out.jsonl")
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records()))
    job.run(job.Job(made.path, str(tmp_path / "in.jsonl"), str(tmp_path / "folder"),
                    format="parquet"))
    rows = parquet.read_table(tmp_path / "folder").to_pylist()
    _, expected = results.read(tmp_path / "out.jsonl")
    assert [(row["id"], row["target"], row["target_index"]) for row in rows] == [
        (row.id, row.target.text(), row.target.index) for row in expected]


def test_rows_that_need_more_nodes(made):
    """A record is asked again as a whole, with all its classes."""
    found = ig_tf.attribute(made.path, records(), row_error=1e-12)
    steps = {(row.id, row.steps) for row in found}
    assert len(found) == 15 and len(steps) == 5 and {number for _, number in steps} > {8}
    assert all(row.relative_error <= 1e-12 for row in found)


def test_the_report_draws_the_classes_of_an_example_together(made):
    found = ig_tf.attribute(made.path, records(), labels=LABELS)
    page = report.render(found)
    assert page.count("All 3 outputs of this example") == 5
    assert len(re.findall('class="card"', page)) == 15


def test_the_check(made):
    checked = ig_tf.check(made.path, records(), tolerance=1e-9)
    assert len(checked.rows) == 15 and checked.apart.passed
    assert any("several numbers" in one for one in checked.advice)


@pytest.mark.parametrize("index, chosen, place, expected", [
    (None, -1, 0, ("y", None, None)), ("top", 2, 0, ("y", 2, "owl")),
    ("all", 1, 1, ("y", 1, "dog")),
    ([3], 3, 0, ("y", 3, "fox")), ([1, 2], 6, 0, ("y", (1, 2), None)),
    ([4, "top"], 2, 0, ("y", (4, 2), "owl")), (["each", 1], 1, 7, ("y", (7, 1), "dog")),
    (["each", "top"], 0, 2, ("y", (2, 0), "cat")), (["each"], -1, 2, ("y", 2, None)),
    (["max", "max", 1], 1, 0, ("y:max,max", 1, "dog")), (["max"], -1, 0, ("y:max", None, None)),
    (["mean", 0, "sum"], 0, 0, ("y:mean,0,sum", None, None)),
    ("2-0", -1, 0, ("T", None, "owl - cat")), ("1,2-0,0", -1, 0, ("T", None, None)),
    ("each,2-each,0", -1, 5, ("T", 5, "owl - cat"))])
def test_what_a_row_says_it_explains(index, chosen, place, expected):
    found = of_rows.of_row({"output": "y", "text": "T", "index": index}, chosen, place, LABELS)
    assert (found.output, found.index, found.label) == expected


# Heads -------------------------------------------------------------------------------------------


HEADS = {
    "regression": (lambda x: x @ matrix(3, 1) ** 2, "score", None),
    "ranking": (lambda x: tf.squeeze(tf.tanh(x) @ matrix(3, 1), 1), "score", None),
    "one sigmoid": (lambda x: tf.sigmoid(x @ matrix(3, 1)), "score", None),
    "labels": (lambda x: tf.sigmoid(x @ matrix(3, 4)), "score:top", "probabilities of their own"),
    "classes": (lambda x: tf.nn.softmax(x @ matrix(3, 4)), "score:top", None)}


@pytest.mark.parametrize("head", HEADS)
def test_what_is_chosen_of_a_head(head, tmp_path):
    function, target, words = HEADS[head]
    builders.save_tf2(tmp_path / "model", function, {"x": builders.spec([None, 3])})
    plan = ig_tf.instrument(ig_tf.load(str(tmp_path / "model")))
    assert plan.recipe.target.text() == target
    (said,) = [one for one in plan.described()["choices"] if one.startswith("target")]
    assert (words or "target score") in said
    for flag in re.findall(r"--target=([\w:,]+)", said):  # what is advised works
        ig_tf.instrument(ig_tf.load(str(tmp_path / "model")), target=flag)


def test_each_label_of_a_head_by_itself(tmp_path):
    """Labels do not sum to one: each is what it is alone."""
    function = HEADS["labels"][0]
    made = builders.build(tmp_path, function, {"x": builders.spec([None, 3])}, steps=12,
                          target="score:all")
    found = made.run(x=X)
    for label in (0, 3):
        weights = matrix(3, 4)[:, label].numpy()
        total = 1 / (1 + np.exp(-X @ weights)) - 0.5  # IG of a function of one sum, in closed form
        expected = X * weights / (X @ weights)[:, None] * total[:, None]
        np.testing.assert_allclose(found["attributions/x"][:, label], expected, atol=1e-9)


@pytest.mark.parametrize("head, target", [("one sigmoid", "score"), ("classes", "score:top"),
                                          ("classes", "score:all"), ("labels", "score:2-0")])
def test_the_scores_behind_a_probability_are_shown_as_a_flag(head, target, tmp_path):
    builders.save_tf2(tmp_path / "model", HEADS[head][0], {"x": builders.spec([None, 3])})
    model = ig_tf.load(str(tmp_path / "model"))
    described = ig_tf.instrument(model, target=target).described()
    (flag,) = re.findall(r"--target=(\S+)", plan_text(described).split("\nbaseline")[0])
    assert flag == described["target"]["scores_behind"]
    logits = ig_tf.instrument(model, target=flag)
    ig_tf.save(logits, str(tmp_path / "logits"))
    found = builders.open_v2(tmp_path / "logits")(x=X)
    pre = X @ (matrix(3, 1) if head == "one sigmoid" else matrix(3, 4)).numpy()
    expected = {"score": lambda: pre[:, 0], "score:top": lambda: pre.max(1),
                "score:all": lambda: pre, "score:2-0": lambda: pre[:, 2] - pre[:, 0]}[target]()
    np.testing.assert_allclose(found["prediction"], expected, atol=1e-12)
    np.testing.assert_allclose(found["features/x"], expected, atol=1e-12)


def test_a_request_out_of_range_says_name_shape_and_limit(tmp_path):
    made = builders.build(tmp_path, HEADS["classes"][0], {"x": builders.spec([None, 3])},
                          target="score:top", custom=("target",))
    run = builders.open_v2(made.path, "attributions_custom")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"target out of range.*\[4\].*\[5\]"):
        run(x=X[:2], target=[1, 5])
    with pytest.raises(tf.errors.InvalidArgumentError, match="target: one number .* each example"):
        run(x=X[:2], target=[1])
