"""Pools that are seen through: the answers are those of the path itself, whoever wins.

Each model is instrumented twice, as it comes and with the points as its frontier; in float64 both
agree to rounding. Which way a request took is seen by breaking one of the two.
"""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf import describe
from ig_tf.graph import winners as graph_winners
from ig_tf.ig import winners
from tests import builders
from tests.test_front import agree, both, number

KERNELS = {"a": number(3, 6, 8) / 4, "b": number(8, seed=1), "v": number(8, seed=2)}


def scored(pooled, v):
    return tf.reduce_sum(tf.tanh(pooled * v), 1)


def convolved(x, a, b):
    return tf.nn.bias_add(tf.nn.conv1d(x, a, 1, "VALID"), b)


def largest(activation):
    """A text CNN: convolution, bias, activation, the largest over time."""
    return lambda x, a, b, v: scored(tf.reduce_max(activation(convolved(x, a, b)), 1), v)


def pooled_by_window(x, a, b, v):
    """The same as models of TensorFlow 1 write it: MaxPool over the whole height."""
    z = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x[..., None], a[:, :, None], 1, "VALID"), b))
    return scored(tf.squeeze(tf.nn.max_pool2d(z, [1, 7, 1, 1], 1, "VALID"), [1, 2]), v)


def of_columns(x, a, b, v):
    """The channels first, moves between activation and pool, and the axis counted from behind."""
    z = tf.nn.leaky_relu(tf.transpose(convolved(x, a, b), [0, 2, 1]))
    return scored(tf.reduce_max(tf.reshape(z, [-1, 8, 7, 1]), [-2, -1]), v)


def masked(x, a, b, v):
    """A place that is not there loses at both ends."""
    z = convolved(x, a, b)
    there = tf.range(7)[None, :, None] < 5
    return scored(tf.reduce_max(tf.where(there, z, tf.constant(-1e9, tf.float64)), 1), v)


def two_widths(x, a, b, v):
    parts = [tf.reduce_max(tf.nn.relu(convolved(x, kernel, b)), 1) for kernel in (a, 2 * a[:2])]
    return tf.reduce_sum(tf.tanh(parts[0] * v + parts[1]) * parts[0], 1)


def all_activations(x, a, b, v):
    z = convolved(x, a, b)
    parts = [tf.reduce_max(getattr(tf.nn, name)(z), 1) for name in (
        "relu", "relu6", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "leaky_relu")]
    parts += [tf.reduce_max(tf.nn.sigmoid(tf.expand_dims(tf.nn.elu(z), 1)), [1, 2])]
    return tf.add_n([scored(part, (place + 1) * v) for place, part in enumerate(parts)])


def of_the_point(x, v):
    """The pool stands right behind the point."""
    return scored(tf.reduce_max(x, 1), v)


MODELS = {
    "relu": (largest(tf.nn.relu), KERNELS),
    "activations": (all_activations, KERNELS),
    "a window": (pooled_by_window, KERNELS),
    "columns": (of_columns, KERNELS),
    "a mask": (masked, KERNELS),
    "two widths": (two_widths, KERNELS),
    "the point": (of_the_point, {"v": number(6)}),
}
SHAPE = {"x": (9, 6)}


@pytest.mark.parametrize("start", ["alike", "apart"])
@pytest.mark.parametrize("name", MODELS)
def test_answers_are_those_of_the_path(tmp_path, name, start):
    """Where all places start alike the winners stay; where each has its own number they do not."""
    function, variables = MODELS[name]
    baseline = {"x": {"alike": np.full([9, 6], 0.5), "apart": number(9, 6, seed=8)}[start]}
    plan, through, plain = both(tmp_path, function, SHAPE, variables, baseline=baseline)
    assert plan.recipe.through is not None
    agree(through, plain)


def test_places_that_are_alike_share(tmp_path):
    """A text that says the same twice: both places win, all along the path."""
    x = number(5, 9, 6)
    x[:, 3:6] = x[:, :3]
    x[:, 6:] = x[:, :3]
    for name in ("relu", "a window"):
        function, variables = MODELS[name]
        _, through, plain = both(tmp_path / name, function, SHAPE, variables, fed={"x": x})
        agree(through, plain)


def test_a_request_takes_the_way_that_is_right(tmp_path, monkeypatch):
    """With the short way broken, answers are wrong exactly where the winners stay."""
    whole = winners._behind

    def broken(*arguments):
        return [7 * one for one in whole(*arguments)]

    monkeypatch.setattr(winners, "_behind", broken)
    function, variables = MODELS["relu"]
    _, through, plain = both(tmp_path / "stay", function, SHAPE, variables)
    np.testing.assert_allclose(through["attributions/x"], 7 * plain["attributions/x"], rtol=1e-9)
    _, through, plain = both(tmp_path / "move", function, SHAPE, variables,
                             baseline={"x": number(9, 6, seed=8)})
    agree(through, plain)


def test_one_example_whose_winner_moves_is_enough(tmp_path, monkeypatch):
    """x = (1, 0) from (0, 3): the second place wins until alpha = 3/4, then the first. The path's
    gradient is (1/4, 3/4), and not that of the winner at x."""
    builders.save_tf2(tmp_path / "model", lambda x: tf.reduce_max(x, 1) * 2,
                      {"x": builders.spec([None, 2])})
    located = ig_tf.locate(ig_tf.load(tmp_path / "model"))
    plan = ig_tf.instrument(located, baseline={"x": np.array([0.0, 3.0])}, steps=400)
    assert plan.recipe.through is not None
    ig_tf.save(plan, tmp_path / "out")
    found = builders.open_v2(tmp_path / "out")(x=np.array([[1.0, 0.0], [0.0, 5.0]]))
    np.testing.assert_allclose(found["attributions/x"],
                               [[2 * 1 / 4, 2 * -3 * 3 / 4], [0, 4]], atol=2 * 3 / 400)


@pytest.mark.parametrize("choices", [
    {"target": "output_0[each]"}, {"baseline": [{"x": 0.0}, {"x": 0.5}]}, {"rows_per_chunk": 3},
    {"runtime": "accelerator"}], ids=str)
def test_with_other_choices(tmp_path, choices):
    def classes(x, a, b, v):
        return tf.nn.softmax(tf.reduce_max(tf.nn.relu(convolved(x, a, b)), 1) * v)

    plan, through, plain = both(tmp_path, classes, SHAPE, KERNELS, **choices)
    assert plan.recipe.through is not None
    agree(through, plain)


def test_a_batch_of_a_fixed_size(tmp_path):
    function, variables = MODELS["two widths"]
    builders.save_tf2(tmp_path / "model", function, {"x": builders.spec([5, 9, 6])}, variables)
    located = ig_tf.locate(ig_tf.load(tmp_path / "model"))
    plan = ig_tf.instrument(located, steps=7)
    assert plan.recipe.through is not None
    ig_tf.save(plan, tmp_path / "out")
    x = number(5, 9, 6)
    _, _, plain = both(tmp_path, function, SHAPE, variables, fed={"x": x})
    agree(builders.open_v2(tmp_path / "out")(x=x), plain)


def falling(x, a, b, v):
    return scored(tf.reduce_max(tf.nn.leaky_relu(convolved(x, a, b), -0.5), 1), v)


def smallest(x, a, b, v):
    return scored(tf.reduce_min(tf.nn.relu(convolved(x, a, b)), 1), v)


def beside(x, a, b, v):
    """The mean of what is pooled comes by another way."""
    z = tf.nn.relu(convolved(x, a, b))
    return scored(tf.reduce_max(z, 1) + tf.reduce_mean(z, 1), v)


def bent(x, a, b, v):
    return scored(tf.reduce_max(tf.nn.relu(convolved(x * x, a, b)), 1), v)


def part_of_a_window(x, a, b, v):
    z = tf.nn.relu(convolved(x, a, b))[:, :, None]
    return scored(tf.reduce_sum(tf.nn.max_pool2d(z, [1, 3, 1, 1], 1, "VALID"), [1, 2]), v)


@pytest.mark.parametrize("function", [falling, smallest, beside, bent, part_of_a_window])
def test_what_cannot_be_seen_through_is_not(tmp_path, function):
    plan, through, plain = both(tmp_path, function, SHAPE, KERNELS)
    assert plan.recipe.through is None
    agree(through, plain)


def test_rising_activations_rise():
    """Of the table: none falls, at numbers near and far, in float32 too."""
    x = np.sort(np.concatenate([number(2000) * scale for scale in (1e-3, 1, 20)]))
    for name in sorted(graph_winners.RISING):
        found = getattr(tf.raw_ops, name)(features=x) if name not in ("Sigmoid", "Tanh") else (
            getattr(tf.raw_ops, name)(x=x))
        assert np.all(np.diff(found.numpy()) >= -1e-15), name


def test_the_plan_says_so(tmp_path):
    function, variables = MODELS["relu"]
    plan, *_ = both(tmp_path, function, SHAPE, variables)
    described = plan.described()["frontier"]
    assert described["through_pools"] == [
        "StatefulPartitionedCall/StatefulPartitionedCall/Max:0"]
    assert "largest" in "\n".join([describe.plan_text(plan.described())])


def test_a_batch_without_examples(tmp_path):
    function, variables = MODELS["two widths"]
    _, through, plain = both(tmp_path, function, SHAPE, variables, fed={"x": np.zeros([0, 9, 6])})
    assert through["attributions/x"].shape == plain["attributions/x"].shape == (0, 9, 6)
