"""Attributions integrated at the affine frontier are those integrated at the points themselves.

Each model is instrumented twice: with the frontier that ig_tf finds, and with the points in its
place. In float64 both agree to rounding, however the quadrature fares.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf import api, describe
from ig_tf.graph import affine
from ig_tf.ig import recipe as recipes
from tests import builders, zoo_inputs

ROUNDING = 1e-12  # of the largest attribution, float64: a few thousand operations


def at_points(located, plan):
    """The same plan without an op crossed."""
    old = plan.recipe
    recipe = recipes.prepare(located.work, located.layout, old.target, located.cut.points,
                             old.baseline, old.rule, old.rows_per_chunk,
                             frontier=affine.at_points)
    return dataclasses.replace(plan, recipe=recipe)


def number(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def both(folder, function, shapes, variables=None, dtype=tf.float64, fed=None, **choices):
    """(plan, answers at the frontier, at the points); inputs are random numbers [5, ...]."""
    specs = {name: builders.spec([None, *shape], dtype) for name, shape in shapes.items()}
    builders.save_tf2(folder / "model", function, specs, variables)
    located = ig_tf.locate(ig_tf.load(folder / "model"))
    plan = ig_tf.instrument(located, **{"steps": 7, **choices})
    ig_tf.save(plan, folder / "front")
    ig_tf.save(at_points(located, plan), folder / "points")
    fed = fed or {name: number(5, *shape, seed=place)
                  for place, (name, shape) in enumerate(shapes.items())}
    return plan, *(builders.open_v2(folder / where)(**fed) for where in ("front", "points"))


def agree(front, points, bound=ROUNDING):
    assert set(front) == set(points)
    largest = max(np.abs(value).max() for key, value in points.items()
                  if key.startswith("attributions/"))
    assert largest > 0
    for key, value in points.items():
        if value.dtype.kind == "f" and key not in ("relative_error", "completeness_error"):
            np.testing.assert_allclose(front[key], value, rtol=0, atol=bound * max(
                largest, np.abs(value).max()), err_msg=key)


def layered(x, w, v):
    return tf.reduce_sum(tf.tanh(x @ w) @ v, 1)


WEIGHTS = {"w": number(24, 8) / 4, "v": number(8, 3, seed=1)}


def conv_widths(x, a, b):
    """Two widths and a residual: three places, one of them behind another."""
    first, second = (tf.nn.conv1d(x, kernel, 1, "SAME") for kernel in (a, b))
    pooled = [tf.reduce_max(tf.nn.relu(part), 1) for part in (first, second)]
    return tf.reduce_sum(tf.concat(pooled, 1), 1) * tf.reduce_sum(tf.square(first), [1, 2])


def attention(x, q, k, v):
    """Queries, keys and values of what moves, and a residual."""
    scores = tf.matmul(x @ q, x @ k, transpose_b=True)
    return tf.reduce_sum((x + tf.nn.softmax(scores) @ (x @ v)) ** 3, [1, 2])


def masked(x, length, w):
    """-inf is added where a row is no part of the text: it must not become NaN as a difference."""
    lengths = tf.cast(length, tf.int32)[:, :1]
    there = tf.range(4)[None] < lengths
    scores = tf.reduce_sum(tf.reshape(x, [-1, 4, 6]) @ w, -1)
    away = tf.fill(tf.shape(scores), tf.constant(-np.inf, tf.float64))
    scores += tf.where(there, tf.zeros_like(scores), away)
    return tf.reduce_sum(tf.nn.softmax(scores) * scores[:, :1], 1)


def folded(x, w, v):
    """Four rows of each example go through one layer before they are put together."""
    rows = tf.tanh(tf.reshape(x, [-1, 6]) @ w)
    return tf.reduce_sum(tf.reshape(rows, [tf.shape(x)[0], 32]) @ v, 1)


def watched(x, w, v):
    """What is only compared moves as well, and has no derivative."""
    hidden = x @ w
    sign = tf.cast(tf.reduce_sum(x @ v, 1, keepdims=True) > 0, x.dtype)
    return tf.reduce_sum(hidden ** 2 * (1 + sign), 1)


def linear(x, w):
    return tf.reduce_sum(x @ w, 1)


def unknown_length(x, w):
    return tf.reduce_sum(tf.tanh(x @ w), [1, 2])


MODELS = {
    "two inputs": (lambda x, y, w, v: layered(x, w, v) * tf.reduce_sum(tf.tanh(y @ w), 1),
                   {"x": [24], "y": [24]}, WEIGHTS, 2),
    "widths": (conv_widths, {"x": [5, 6]}, {"a": number(2, 6, 3), "b": number(3, 6, 3)}, 2),
    "folded": (folded, {"x": [4, 6]}, {"w": number(6, 8), "v": number(32, 2)}, 1),
    "watched": (watched, {"x": [6]}, {"w": number(6, 6), "v": number(6, 6)}, 2),
    "linear": (linear, {"x": [6]}, {"w": number(6, 3)}, 1),
    "unknown length": (unknown_length, {"x": [None, 6]}, {"w": number(6, 6)}, 1),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_frontier_changes_nothing(tmp_path, name):
    function, shapes, variables, places = MODELS[name]
    fed = {"x": number(5, 3, 6)} if name == "unknown length" else None
    baseline = {"x": 0.25} if name != "widths" else "zeros"
    plan, front, points = both(tmp_path, function, shapes, variables, fed=fed, baseline=baseline,
                               rows_per_chunk={"folded": 3, "two inputs": 20}.get(name))
    assert len(plan.recipe.front.places) == places and plan.recipe.front.crossed
    agree(front, points)


def test_a_baseline_for_each_element(tmp_path):
    """Rows of the baseline are alike: what lies before the frontier is computed for one of them."""
    plan, front, points = both(tmp_path, layered, {"x": [24]}, WEIGHTS,
                               baseline={"x": number(24, seed=3)})
    assert plan.recipe.front.row_wise
    agree(front, points)


def weighted(x, weight, w):
    """The weights of each example are held constant: rows of the baseline differ behind them."""
    return tf.reduce_sum(tf.tanh((x * weight) @ w), 1)


def test_coefficients_of_each_example(tmp_path):
    specs = {name: builders.spec([None, 6]) for name in ("x", "weight")}
    builders.save_tf2(tmp_path / "model", weighted, specs, {"w": number(6, 6)})
    located = ig_tf.locate(ig_tf.load(tmp_path / "model"), points=["x"])
    plan = ig_tf.instrument(located, steps=5, baseline=0.5)
    assert plan.recipe.front.crossed and not plan.recipe.front.row_wise
    ig_tf.save(plan, tmp_path / "front")
    ig_tf.save(at_points(located, plan), tmp_path / "points")
    fed = {"x": number(5, 6), "weight": number(5, 6, seed=2)}
    agree(*(builders.open_v2(tmp_path / where)(**fed) for where in ("front", "points")))


def test_an_infinite_mask(tmp_path):
    specs = {"x": builders.spec([None, 24]), "length": builders.spec([None, 1], tf.int64)}
    builders.save_tf2(tmp_path / "model", masked, specs, {"w": number(6, 2)})
    located = ig_tf.locate(ig_tf.load(tmp_path / "model"), points=["x"])
    plan = ig_tf.instrument(located, steps=5)
    assert plan.recipe.front.crossed
    ig_tf.save(plan, tmp_path / "front")
    ig_tf.save(at_points(located, plan), tmp_path / "points")
    fed = {"x": number(4, 24), "length": np.array([[4], [3], [2], [1]])}
    front, points = (builders.open_v2(tmp_path / where)(**fed) for where in ("front", "points"))
    assert np.all(np.isfinite(front["attributions/x"]))
    agree(front, points)


def coupled(x, w, v):
    """Every example reads the mean of its batch: each runs alone."""
    hidden = tf.tanh(x @ w)
    return tf.reduce_sum((hidden - tf.reduce_mean(hidden, 0)) @ v + hidden @ v, 1)


def test_examples_that_run_alone(tmp_path):
    plan, front, points = both(tmp_path, coupled, {"x": [24]}, WEIGHTS)
    assert plan.recipe.prefix is not None and plan.recipe.front.crossed
    agree(front, points)


def test_a_batch_without_examples(tmp_path):
    _, front, points = both(tmp_path, layered, {"x": [24]}, WEIGHTS, fed={"x": np.zeros([0, 24])})
    assert front["attributions/x"].shape == points["attributions/x"].shape == (0, 24)


def test_attention_is_right_wherever_it_is_integrated(tmp_path):
    variables = {name: number(6, 6, seed=place) / 4 for place, name in enumerate("qkv")}
    agree(*both(tmp_path, attention, {"x": [3, 6]}, variables)[1:])


def test_chunks_of_any_size(tmp_path):
    """One node at a time; parts of an example; whole ones, the last chunk smaller; all at once."""
    _, front, points = both(tmp_path, layered, {"x": [24]}, WEIGHTS)
    agree(front, points)
    located = ig_tf.locate(ig_tf.load(tmp_path / "model"))
    for rows in (1, 3, 14):
        plan = ig_tf.instrument(located, steps=7, rows_per_chunk=rows)
        ig_tf.save(plan, tmp_path / str(rows))
        agree(builders.open_v2(tmp_path / str(rows))(x=number(5, 24)), points)


def test_the_plan_says_where_it_integrates(tmp_path):
    builders.save_tf2(tmp_path / "model", layered, {"x": builders.spec([None, 24])}, WEIGHTS)
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"))
    described = plan.described()["frontier"]
    assert described["hoisted_ops"] == len(plan.recipe.front.crossed) == 1
    (place,) = described["tensors"]
    assert place["shape"] == [None, 8] and place["tensor"].endswith("matmul:0")
    assert f"frontier    {place['tensor']} [?, 8]; 1 affine" in describe.plan_text(
        plan.described())


# Real models -------------------------------------------------------------------------------------

SAME = 1e-4  # of the largest attribution, float32


@pytest.mark.parametrize("name", zoo_inputs.NAMES)
def test_the_zoo_answers_alike(zoo, zoo_model, tmp_path, name):
    located = ig_tf.locate(ig_tf.load(zoo_model(name), signature=zoo_inputs.SIGNATURES.get(name)),
                           target=zoo_inputs.TARGETS.get(name))
    plan = api.instrument(located, steps=6)
    if not plan.recipe.front.crossed:
        places = {place.tensor for place in plan.recipe.front.places}
        assert places == {point.tensor for point in plan.recipe.points}
        return
    ig_tf.save(plan, tmp_path / "front")
    ig_tf.save(at_points(located, plan), tmp_path / "points")
    fed = zoo_inputs.inputs(zoo, name, 3)
    agree(*(zoo_inputs.ask_object(tmp_path / where, "attributions", fed)
            for where in ("front", "points")), SAME)
