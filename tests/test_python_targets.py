"""A target given as a Python function of the outputs, by brute force and in what is saved."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import GraphError, TargetError
from ig_tf.ig.runtime import RuntimeProfile
from tests import builders
from tests.brute_force import assert_close, brute_force
from tests.builders import matrix

STEPS = 6
X = np.random.default_rng(1).normal(size=(4, 3))


def model(x):
    scores = tf.tanh(x @ matrix(3, 4)) @ matrix(4, 3)
    return {"probabilities": tf.nn.softmax(scores), "size": tf.reduce_sum(x ** 2, 1)}


def margin(outputs):
    """How far the first class is before the best of the others, per size."""
    scores = tf.math.log(outputs["probabilities"])
    return (scores[:, 0] - tf.reduce_max(scores[:, 1:], 1)) / (1 + outputs["size"])


def looped(outputs):
    """With a loop, which is a function of the library."""
    scores = outputs["probabilities"]
    return tf.while_loop(lambda turn, _: turn < 3, lambda turn, found: (
        turn + 1, found * tf.nn.silu(scores[:, 1])), (0, outputs["size"]))[1]


def entropy(outputs):
    return -tf.reduce_sum(outputs["probabilities"] * tf.math.log(outputs["probabilities"]), 1,
                          keepdims=True)


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("function", [margin, looped, entropy])
def test_by_brute_force(function, kind, tmp_path):
    made = builders.build(tmp_path, model, {"x": builders.spec([None, 3])}, kind=kind,
                          steps=STEPS, target=function)
    found = made.run(x=X)

    def one(x):
        return tf.reshape(function(model(x)), [-1])

    assert_close(found, brute_force(one, {"x": X}, steps=STEPS))
    np.testing.assert_allclose(found["prediction"], one(X), rtol=1e-12)
    target = json.loads((pathlib.Path(made.path) / "assets.extra" / "ig_tf.json").read_text())[
        "target"]
    assert target["text"] == function.__name__
    assert target["function"] == f"{function.__name__}, given in Python"
    assert made.plan.described()["chunking"]["mode"].startswith("rows of")


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_the_model_itself_stays(kind, tmp_path):
    """Its signature has no output more, what is added is added under one name, and loads again."""
    made = builders.build(tmp_path, model, {"x": builders.spec([None, 3])}, kind=kind, steps=2,
                          target=margin)
    before = ig_tf.load(str(tmp_path / "model"))
    again = ig_tf.load(made.path)
    assert list(again.outputs()) == ["probabilities", "size"]
    assert again.fingerprint() == before.fingerprint()
    assert "asked" not in made.plan.described()["source"]
    for loader in builders.LOADERS:
        np.testing.assert_array_equal(
            builders.LOADERS[loader](made.path, "serving_default")(x=X)["size"],
            builders.LOADERS[loader](tmp_path / "model", "serving_default")(x=X)["size"])
    twice = ig_tf.instrument(before, target=margin, steps=2)
    ig_tf.save(twice, str(tmp_path / "twice"))
    files = [(tmp_path / name / "saved_model.pb").read_bytes() for name in ("explained", "twice")]
    assert files[0] == files[1]


def test_with_XLA_and_several_choices(tmp_path):
    """XLA builds the working graph anew: the function's part is in it."""
    made = builders.build(tmp_path, model, {"x": builders.spec([None, 3])}, steps=STEPS,
                          target=margin, runtime=RuntimeProfile("x", xla=True, batch_buckets=(4,)),
                          custom=("baseline", "refinement"))
    found = made.run(x=X)
    assert_close(found, brute_force(lambda x: margin(model(x)), {"x": X}, steps=STEPS))
    custom = builders.open_v2(made.path, "attributions_custom")
    finer = custom(**{"x": X, "baseline/x": np.zeros((1, 3)), "refinement": [0] * 4})
    np.testing.assert_allclose(finer["attributions/x"], found["attributions/x"], atol=1e-12)


def test_examples_that_the_function_mixes_are_explained_alone(tmp_path):
    """Batch-coupled by the function itself: alone, each example is its own mean."""
    def centred(outputs):
        return outputs["size"] - tf.reduce_mean(outputs["size"]) + outputs["probabilities"][:, 1]

    made = builders.build(tmp_path, model, {"x": builders.spec([None, 3])}, steps=STEPS,
                          target=centred)
    assert made.plan.described()["chunking"]["mode"].startswith("one example")
    assert_close(made.run(x=X), brute_force(lambda x: model(x)["probabilities"][:, 1], {"x": X},
                                     steps=STEPS))


def test_results_and_check(tmp_path):
    made = builders.build(tmp_path, model, {"x": builders.spec([None, 3])}, steps=2,
                          target=margin)
    (row,) = ig_tf.attribute(made.path, [{"x": X[0]}])
    assert row.target.text() == "margin"
    checked = ig_tf.check(made.path, [{"x": row} for row in X])
    assert any("given in Python" in one for one in checked.advice)


@pytest.mark.parametrize("function, error, message", [
    (lambda outputs: outputs["nothing"], TargetError, r"'lambda' fails.*probabilities.*KeyError"),
    (lambda outputs: 3.0, TargetError, "gave float"),
    (lambda outputs: tf.argmax(outputs["probabilities"], 1), TargetError, "int64"),
    (lambda outputs: outputs["probabilities"], TargetError, "one floating-point number"),
    (lambda outputs: tf.reduce_sum(outputs["size"]), TargetError, "one floating-point number"),
    (lambda outputs: outputs["size"] * tf.random.uniform([], dtype=tf.float64), GraphError,
     "random ops are active"),
])
def test_refusals(function, error, message, tmp_path):
    builders.save_tf2(tmp_path / "model", model, {"x": builders.spec([None, 3])})
    with pytest.raises(error, match=message):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "model")), target=function)


def test_an_output_of_that_name(tmp_path):
    def size(outputs):
        return outputs["size"] * 2

    made = builders.build(tmp_path, model, {"x": builders.spec([None, 3])}, steps=2, target=size)
    np.testing.assert_allclose(made.run(x=X)["prediction"], 2 * np.sum(X ** 2, 1))
