"""Builds the attribution function of one model, target, cut, baseline and rule."""

import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.ig import integrate, samples
from ig_tf.ig import request as requests
from ig_tf.ig.examples import examples_of, nothing
from ig_tf.ig.layout import examples_first, folds_of, shape_first
from ig_tf.ig.measure import Asked, Measure, RowSpec, TargetRows, measured
from ig_tf.ig.shown import groups, integrated, keys_of, rows_of

# |F(x) - F(x')| below this share of the larger of both counts as this share: f(x) = f(x') is
# common, and float32 leaves about a hundredth of it as rounding.
RELATIVE_FLOOR = 1e-4


def profile(alphas):
    """Instead of attributions: F along the path, for the diagnosis of a path that fails; of a
    target with one number per example.

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
            lambda path, *_: [*integrate.along(path, alphas),
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
    if recipe.target.folds or recipe.target.each is not None:
        return _each_fold(recipe, values, given)
    return _answered(recipe, values, given, TargetRows(recipe.target))


def _each_fold(recipe, values, given):
    """The same for each of an example's rows of the target, or for each place of an axis of it:
    [batch, k, ...] under each key."""
    examples = examples_of(recipe.work, recipe.layout.axes, given)

    def explain(fold):
        return _answered(recipe, values, given, TargetRows(recipe.target, examples, fold))

    traced = tf.function(explain, autograph=False).get_concrete_function(
        tf.TensorSpec([], tf.int32))
    specs = {key: tf.TensorSpec(one.shape, one.dtype)
             for key, one in traced.structured_outputs.items()}
    goal = values[recipe.target.tensor]
    folds = folds_of(goal, examples) if recipe.target.folds else tf.shape(
        examples_first(goal, recipe.target.axis))[recipe.target.each + 1]
    found = tf.cond(
        folds > 0,
        lambda: list(tf.map_fn(explain, tf.range(folds), parallel_iterations=1,
                               fn_output_signature=specs).values()),
        lambda: nothing(list(specs.values()), []))
    return {key: examples_first(tensor, 1) for key, tensor in zip(specs, found)}


def _answered(recipe, values, given, rows_of_target):
    """The outputs for one row of the target per example; of several scores [batch, k, ...]."""
    goal = recipe.work.tensor(recipe.target.tensor)
    shown = {}
    scores = rows_of_target(values[recipe.target.tensor])
    batch = tf.shape(scores)[0]
    for point in recipe.points:
        shown.update(rows_of(point, recipe, values, batch))
    ids = groups(recipe, values, batch) if recipe.samples > 1 else {}
    spreads = samples.spread_rows(recipe, shown, ids)
    names = [*shown, *(("total", point.name) for point in recipe.points), "start", *spreads]
    rows = [*shown.values(), *(RowSpec(tf.TensorSpec([], tf.float64)) for _ in recipe.points),
            RowSpec(tf.TensorSpec([], goal.dtype)), *spreads.values()]
    count = recipe.target.count or 1

    def function(path, mine, request):
        found = []
        for one in integrated(recipe, path, mine, request):
            each = dict(zip(shown, one))
            found += [*one, *(samples.by_group(each[f"attributions/{point.name}"],
                                               ids.get(point.name))
                              for point in recipe.points if spreads)]
        return found

    measure = Measure(function, rows * count)
    asked = Asked(rows_of_target, requests.read(recipe, given, values, scores))
    *found, prediction, index = measured(recipe, values, asked, measure)
    with tf.control_dependencies([values[recipe.target.tensor]]):  # what the model does besides
        prediction = tf.identity(prediction)
    each = [_keys(recipe, values, dict(zip(names, found[place * len(names):])),
                  prediction[:, place], index[:, place]) for place in range(count)]
    if recipe.target.count is None:
        return each[0]
    return {key: tf.stack([one[key] for one in each], 1) for key in each[0]}


def _keys(recipe, values, found, prediction, index):
    """The outputs under the names of D10."""
    result, totals = {}, {}
    for point in recipe.points:
        result.update(keys_of(point, recipe.work, values, found))
        result.update({key: found[key] for key in [f"spread/{point.name}"] if key in found})
        parts, wide = totals.get(point.feature, (0, tf.float32))
        double = integrate.accumulator(values[point.tensor].dtype) == tf.float64
        totals[point.feature] = (parts + found["total", point.name],
                                 tf.float64 if double else wide)
    for name, (total, wide) in totals.items():
        result[f"features/{name}"] = tf.cast(total, wide)
    wide = integrate.accumulator(prediction.dtype)
    end, begin = tf.cast(prediction, wide), tf.cast(found["start"], wide)
    result.update({"prediction": end, "baseline_prediction": begin, "target_index": index})
    if not recipe.method.sums:  # no error is claimed of a sum that nothing is said of
        return result
    total = tf.add_n([part for part, _ in totals.values()])
    difference = tf.cast(end, tf.float64) - tf.cast(begin, tf.float64)
    error = tf.abs(total - difference)
    floor = RELATIVE_FLOOR * tf.cast(tf.maximum(tf.abs(end), tf.abs(begin)), tf.float64)
    relative = tf.math.divide_no_nan(error, tf.maximum(tf.abs(difference), floor))
    result.update({"completeness_error": tf.cast(error, wide),
                   "relative_error": tf.cast(relative, wide)})
    return result
