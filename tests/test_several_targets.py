"""Several scores of an example from one path: top-k and all classes, [batch, k, ...] everywhere.

Each score is compared with what `attributions_custom` answers when a request chooses that class
(held against brute force in test_custom.py). The nodes are the same, in float64: only rounding is
left.
"""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.calibration import Calibration
from ig_tf.errors import CalibrationError, TargetError
from ig_tf.ig import index as indices
from ig_tf.ig.runtime import RuntimeProfile
from tests import builders
from tests.builders import matrix

CLASSES, STEPS, CLOSE = 4, 6, 1e-12
TABLE = np.sin(np.arange(24.0)).reshape(6, 4)


def scores(hidden, ids):
    words = tf.reduce_sum(tf.tanh(tf.gather(tf.constant(TABLE), ids)), 1)
    return tf.nn.softmax(tf.tanh(hidden @ matrix(3, 4)) @ matrix(4, CLASSES) + words)


def rows(x, ids):
    return scores(x, ids)


def alone(x, ids):
    """Centred over the batch: each example runs alone."""
    return scores(x - tf.reduce_mean(x, 0, keepdims=True) + tf.cos(x), ids)


def fixed(x, ids):
    """As code with a fixed batch size writes it."""
    return scores(tf.reshape(tf.reshape(x, [5 * 3]), [5, 3]), ids)


def inputs(batch=None):
    return {"x": builders.spec([batch, 3]), "ids": builders.spec([batch, None], tf.int64)}


XLA = RuntimeProfile("xla", xla=True, batch_buckets=(1, 4), lengths=(7, 8))
GIVEN = {"x": np.random.default_rng(1).normal(size=(5, 3)),
         "ids": np.random.default_rng(2).integers(0, 6, (5, 7))}


def one_by_one(path):
    """{class: answer} of each class by itself, for the whole batch."""
    run = builders.open_v2(path, "attributions_custom")
    return [run(**GIVEN, target=np.full(5, place)) for place in range(CLASSES)]


MODES = {"rows": (rows, None, "rows of (example"), "alone": (alone, None, "one example at a time"),
         "fixed": (fixed, 5, "whole batch of 5")}


@pytest.mark.parametrize("mode", MODES)
def test_each_score_is_what_it_is_alone(mode, tmp_path):
    function, batch, words = MODES[mode]
    builders.save_tf2(tmp_path / "model", function, inputs(batch))
    custom = builders.explain(tmp_path / "model", tmp_path / "custom", steps=STEPS,
                              target="score:top", custom=("target",))
    assert words in custom.plan.described()["chunking"]["mode"]
    each, top = one_by_one(custom.path), custom.run(**GIVEN)
    for text in ("all", "top3"):
        made = builders.explain(tmp_path / "model", tmp_path / text, steps=STEPS,
                                target=f"score:{text}")
        assert made.plan.recipe.target.text() == f"score:{text}"
        found = made.run(**GIVEN)
        count = CLASSES if text == "all" else 3
        order = np.argsort(-np.stack([one["prediction"] for one in each], 1), 1, "stable")
        wanted = np.tile(range(CLASSES), (5, 1)) if text == "all" else order[:, :3]
        np.testing.assert_array_equal(found["target_index"], wanted)
        assert found.keys() == top.keys()
        for key, value in found.items():
            assert value.shape == (5, count, *top[key].shape[1:]), key
            expected = np.stack([[each[place][key][row] for place in places]
                                 for row, places in enumerate(wanted)])
            if value.dtype.kind == "f":
                np.testing.assert_allclose(value, expected, rtol=1e-9, atol=CLOSE, err_msg=key)
            else:
                np.testing.assert_array_equal(value, expected, key)
        if text == "all":  # the probabilities sum to one all along the path
            for key in ("attributions/x", "features/x", "features/ids"):
                np.testing.assert_allclose(found[key].sum(1), 0, atol=CLOSE)
                assert np.abs(found[key]).max() > 1e-2
        else:
            np.testing.assert_allclose(found["features/x"][:, 0], top["features/x"], atol=CLOSE)


def pooled(keys, x):
    """A pooled lookup: shown id by id with tokens."""
    sparse = tf.sparse.from_dense(keys)
    words = tf.nn.safe_embedding_lookup_sparse(tf.constant(TABLE), sparse, combiner="mean")
    return tf.nn.softmax(tf.tanh(words + x @ matrix(3, 4)))


def test_pooled_ids_of_several_scores(tmp_path):
    made = builders.build(tmp_path, pooled, {
        "keys": builders.spec([None, 4], tf.int64), "x": builders.spec([None, 3])},
        steps=STEPS, target="score:all", custom=("refinement",))
    given = {"keys": np.array([[1, 2, 0, 0], [3, 0, 5, 4]]), "x": GIVEN["x"][:2]}
    found = made.run(**given)
    name = next(point.name for point in made.plan.recipe.points if point.kind == "tokens")
    assert found[f"tokens/{name}"].shape == (2, 4, 3)
    np.testing.assert_array_equal(found[f"tokens/{name}"][:, 0], [[1, 2, -1], [3, 5, 4]])
    np.testing.assert_array_equal(found[f"length/{name}"], np.tile([[2], [3]], (1, 4)))
    np.testing.assert_allclose(found[f"attributions/{name}"].sum(1), 0, atol=CLOSE)
    assert np.abs(found[f"attributions/{name}"]).max() > 1e-3
    finer = builders.open_v2(made.path, "attributions_custom")(**given, refinement=[0, 2])
    np.testing.assert_allclose(finer["features/x"][0], found["features/x"][0], atol=CLOSE)
    assert finer["completeness_error"][1].max() < found["completeness_error"][1].max()


@pytest.mark.parametrize("choices", [
    {"rule": "pilot:5", "steps": 8}, {"runtime": XLA}, {"rows_per_chunk": 3}],
    ids=["pilot", "XLA", "small chunks"])
def test_other_loops(choices, tmp_path):
    """The pilot's nodes serve all scores: the sum over all classes is still zero to rounding."""
    builders.save_tf1(tmp_path / "model", rows, inputs())
    made = builders.explain(tmp_path / "model", tmp_path / "out", target="score:all",
                            **{"steps": STEPS, **choices})
    assert made.plan.described()["target"]["count"] == CLASSES
    found = made.run(**GIVEN)
    np.testing.assert_allclose(found["features/x"].sum(1), 0, atol=CLOSE)
    assert np.abs(found["features/x"]).max() > 1e-2
    single = builders.explain(tmp_path / "model", tmp_path / "one", target="score:2",
                              steps=200).run(**GIVEN)
    np.testing.assert_allclose(found["features/x"][:, 2], single["features/x"], atol=1e-4)


def test_in_half_precision(tmp_path):
    def halves(x):
        return tf.nn.softmax(x @ tf.cast(matrix(3, 4), tf.float16))

    made = builders.build(tmp_path, halves, {"x": builders.spec([None, 3], tf.float16)},
                          target="score:top2", steps=STEPS)
    found = made.run(x=GIVEN["x"])
    assert found["attributions/x"].shape == (5, 2, 3)
    single = builders.explain(tmp_path / "model", tmp_path / "one", target="score:top",
                              steps=STEPS).run(x=GIVEN["x"])
    np.testing.assert_array_equal(found["attributions/x"][:, 0], single["attributions/x"])


def test_what_is_too_many_or_not_known(tmp_path):
    builders.save_tf2(tmp_path / "model", lambda x: {
        "many": x @ tf.ones([3, 65], tf.float64), "few": tf.nn.softmax(x),
        "open": tf.concat([x, x], 1)[:, :tf.shape(x)[1]]}, {"x": builders.spec([None, None])})
    model = ig_tf.load(str(tmp_path / "model"))
    for target, message in {
            "many:all": "at most 64 .*: top5", "many:top65": "at most 64",
            "open:all": "graph knows. Take the highest instead: top5"}.items():
        with pytest.raises(TargetError, match=message):
            ig_tf.instrument(model, target=target)
    with pytest.raises(TargetError, match="explains several numbers"):
        ig_tf.instrument(model, target="many:top2", custom=("target",))
    with pytest.raises(CalibrationError, match="several rows per example"):
        ig_tf.instrument(model, target="many:top2", steps=Calibration([{"x": [1, 2, 3]}] * 2))
    made = builders.explain(tmp_path / "model", tmp_path / "out", target="open:top4", steps=2)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"open:top4.*only.*3"):
        made.run(x=GIVEN["x"])


def test_the_limit_is_said():
    assert indices.count_of("all", [indices.MOST]) == indices.MOST
    assert indices.count_of("top", [None]) is None
