"""Builds the attribution function of one model, target, cut, baseline and rule."""

import functools

import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.ig import integrate
from ig_tf.ig import request as requests
from ig_tf.ig.examples import examples_of, nothing
from ig_tf.ig.layout import examples_first, folds_of, shape_first
from ig_tf.ig.measure import Asked, Measure, RowSpec, TargetRows, measured
from ig_tf.ig.shown import integrated, keys_of, rows_of

# |F(x) - F(x')| below this share of the larger of both counts as this share: f(x) = f(x') is
# common, and float32 leaves about a hundredth of it as rounding.
RELATIVE_FLOOR = 1e-4


def profile(alphas):
    """Instead of attributions: F along the path, for the diagnosis of a path that fails.

    Args:
      alphas: places in [0, 1].

    Returns:
      A function like `outputs` that gives {"path": F [batch, alphas], "baseline_scores": the whole
      output at the baseline [batch, ...]}.
    """
    def build(recipe, given):
        values = surgery.realise(recipe.work, recipe.needed(), given)
        goal = recipe.work.tensor(recipe.target.tensor)
        measure = Measure(
            lambda path, *_: [integrate.along(path, alphas),
                              path.scores(path.baselines, path.fixed)],
            [RowSpec(tf.TensorSpec([len(alphas)], goal.dtype)),
             RowSpec(tf.TensorSpec(shape_first(goal.shape, recipe.target.axis)[1:], goal.dtype))])
        asked = Asked(TargetRows(recipe.target), requests.Request())
        return dict(zip(("path", "baseline_scores"), measured(recipe, values, asked, measure)))
    return build


def outputs(recipe, given):
    """The outputs of the signature, in the current graph.

    Args:
      recipe: a `Recipe`.
      given: {tensor name: tensor} of the model's top level, for `needed()`; and {key: tensor} of
        what a request may choose.

    Returns:
      {key of D10: tensor}.
    """
    values = surgery.realise(recipe.work, recipe.needed(), given)
    if recipe.target.folds:
        return _each_fold(recipe, values, given)
    return _answered(recipe, values, given, TargetRows(recipe.target))


def _each_fold(recipe, values, given):
    """The same for each of an example's rows of the target: [batch, k, ...] under each key."""
    examples = examples_of(recipe.work, recipe.layout.axes, given)

    def explain(fold):
        return _answered(recipe, values, given, TargetRows(recipe.target, examples, fold))

    traced = tf.function(explain, autograph=False).get_concrete_function(
        tf.TensorSpec([], tf.int32))
    specs = {key: tf.TensorSpec(one.shape, one.dtype)
             for key, one in traced.structured_outputs.items()}
    folds = folds_of(values[recipe.target.tensor], examples)
    found = tf.cond(
        folds > 0,
        lambda: list(tf.map_fn(explain, tf.range(folds), parallel_iterations=1,
                               fn_output_signature=specs).values()),
        lambda: nothing(list(specs.values()), []))
    return {key: examples_first(tensor, 1) for key, tensor in zip(specs, found)}


def _answered(recipe, values, given, rows_of_target):
    """The outputs for one row of the target per example."""
    goal = recipe.work.tensor(recipe.target.tensor)
    shown = {}
    scores = rows_of_target(values[recipe.target.tensor])
    batch = tf.shape(scores)[0]
    for point in recipe.points:
        shown.update(rows_of(point, recipe, values, batch))
    names = [*shown, *(("total", point.name) for point in recipe.points), "start"]
    rows = [*shown.values(), *(RowSpec(tf.TensorSpec([], tf.float64)) for _ in recipe.points),
            RowSpec(tf.TensorSpec([], goal.dtype))]
    measure = Measure(functools.partial(integrated, recipe), rows)
    asked = Asked(rows_of_target, requests.read(recipe, given, values, scores))
    *found, prediction, index = measured(recipe, values, asked, measure)
    with tf.control_dependencies([values[recipe.target.tensor]]):  # what the model does besides
        prediction = tf.identity(prediction)
    return _keys(recipe, values, dict(zip(names, found)), prediction, index)


def _keys(recipe, values, found, prediction, index):
    """The outputs under the names of D10."""
    result, totals = {}, {}
    for point in recipe.points:
        result.update(keys_of(point, recipe.work, values, found))
        parts, wide = totals.get(point.feature, (0, tf.float32))
        double = integrate.accumulator(values[point.tensor].dtype) == tf.float64
        totals[point.feature] = (parts + found["total", point.name],
                                 tf.float64 if double else wide)
    for name, (total, wide) in totals.items():
        result[f"features/{name}"] = tf.cast(total, wide)
    wide = integrate.accumulator(prediction.dtype)
    end, begin = tf.cast(prediction, wide), tf.cast(found["start"], wide)
    total = tf.add_n([part for part, _ in totals.values()])
    difference = tf.cast(end, tf.float64) - tf.cast(begin, tf.float64)
    error = tf.abs(total - difference)
    floor = RELATIVE_FLOOR * tf.cast(tf.maximum(tf.abs(end), tf.abs(begin)), tf.float64)
    relative = tf.math.divide_no_nan(error, tf.maximum(tf.abs(difference), floor))
    result.update({"prediction": end, "baseline_prediction": begin,
                   "completeness_error": tf.cast(error, wide),
                   "relative_error": tf.cast(relative, wide), "target_index": index})
    return result
