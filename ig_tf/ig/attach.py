"""Builds the attribution function of one model, target, cut, baseline and rule."""

import dataclasses
import functools

import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.ig import compiled, front, integrate, ladder, pilot
from ig_tf.ig import request as requests
from ig_tf.ig.examples import examples_of, nothing
from ig_tf.ig.layout import examples_first, folds_of, shape_first
from ig_tf.ig.measure import Asked, Measure, Row, Rows, measured
from ig_tf.ig.tokens import longest, padding, per_id, sent
from ig_tf.points.sent import CROSSES

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
            [Row(tf.TensorSpec([len(alphas)], goal.dtype)),
             Row(tf.TensorSpec(shape_first(goal.shape, recipe.target.axis)[1:], goal.dtype))])
        asked = Asked(Rows(recipe.target), requests.Request())
        return dict(zip(("path", "baseline_scores"), measured(recipe, values, asked, measure)))
    return build


def by_each_rule(rules):
    """Instead of attributions by the recipe's rule: those by each of several, for calibration.

    Args:
      rules: `Rule`s and `Pilot`s.

    Returns:
      A function like `outputs` that gives {"attributions/NAME": [batch, rules, ...], "total": their
      sums [batch, rules], "baseline_prediction": F, "prediction": F}.
    """
    def build(recipe, given):
        values = surgery.realise(recipe.work, recipe.needed(), given)
        rows_of_target, shown = Rows(recipe.target), {}
        batch = tf.shape(rows_of_target(values[recipe.target.tensor]))[0]
        for point in recipe.points:
            shown.update(_rows_of(point, recipe, values, batch))
        keys = list(shown)
        wanted = [place for place, key in enumerate(keys) if key.startswith("attributions/")]

        def one_by_one(path, mine, request):
            rule_at = ladder.chosen(rules, path, _rows_at_once(recipe, path))

            def by_one(index):
                step = dataclasses.replace(recipe, rule=rule_at(index))
                *found, start = _integrated(step, path, mine, request)
                total = tf.add_n(found[len(keys):])
                return [*(found[place] for place in wanted), total, start]

            specs = [tf.TensorSpec([None, *row.spec.shape], row.spec.dtype) for row in rows]
            found = tf.map_fn(by_one, tf.range(len(rules)), parallel_iterations=1,
                              fn_output_signature=specs)
            return [_swapped(tensor) for tensor in found]

        goal = recipe.work.tensor(recipe.target.tensor)
        rows = [*(shown[keys[place]] for place in wanted), Row(tf.TensorSpec([], tf.float64)),
                Row(tf.TensorSpec([], goal.dtype))]
        measure = Measure(one_by_one, [_several(row, len(rules)) for row in rows])
        asked = Asked(rows_of_target, requests.Request())
        *found, total, start, prediction, _ = measured(recipe, values, asked, measure)
        found = [_each_id(point, recipe.work, values, tensor)
                 for point, tensor in zip(recipe.points, found)]
        return {**{keys[place]: tensor for place, tensor in zip(wanted, found)}, "total": total,
                "baseline_prediction": start[:, 0], "prediction": prediction}
    return build


def _each_id(point, work, values, attributions):
    """[batch, rules, ids] where the signature shows ids, else as it is."""
    if point.bag or not point.per_id:
        return attributions
    shape = tf.shape(attributions)
    count = tf.size(sent(point.sent, work, values)) // tf.maximum(shape[0], 1)
    rest = tf.reduce_prod(shape[2:]) // tf.maximum(count, 1)
    return tf.reduce_sum(tf.reshape(attributions, [shape[0], shape[1], count, rest]), -1)


def _several(row, count):
    """A `Row` with an axis of rules before its own."""
    width = None if row.width is None else tf.concat([[count], row.width], 0)
    return Row(tf.TensorSpec([count, *row.spec.shape], row.spec.dtype), width)


def _swapped(tensor):
    """[batch, rules, ...] of [rules, batch, ...]."""
    return tf.transpose(tensor, tf.concat([[1, 0], tf.range(2, tf.rank(tensor))], 0))


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
    return _answered(recipe, values, given, Rows(recipe.target))


def _each_fold(recipe, values, given):
    """The same for each of an example's rows of the target: [batch, k, ...] under each key."""
    examples = examples_of(recipe.work, recipe.lie.axes, given)

    def explain(fold):
        return _answered(recipe, values, given, Rows(recipe.target, examples, fold))

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
        shown.update(_rows_of(point, recipe, values, batch))
    names = [*shown, *(("total", point.name) for point in recipe.points), "start"]
    rows = [*shown.values(), *(Row(tf.TensorSpec([], tf.float64)) for _ in recipe.points),
            Row(tf.TensorSpec([], goal.dtype))]
    measure = Measure(functools.partial(_integrated, recipe), rows)
    asked = Asked(rows_of_target, requests.read(recipe, given, values, scores))
    *found, prediction, index = measured(recipe, values, asked, measure)
    with tf.control_dependencies([values[recipe.target.tensor]]):  # what the model does besides
        prediction = tf.identity(prediction)
    return _keys(recipe, values, dict(zip(names, found)), prediction, index)


def _rows_of(point, recipe, values, batch):
    """{key: Row} of what a point shows; alone, an example may be narrower than in its batch."""
    tensor = front.unfolded(point, values[point.tensor], batch)
    wide = integrate.accumulator(tensor.dtype)
    if not point.bag:
        return {f"attributions/{point.name}":
                Row(tf.TensorSpec(tensor.shape[1:], wide), tf.shape(tensor)[1:])}
    width = longest(point.bag, values, batch)[None]
    tokens = tf.string if _of_strings(recipe.work, point.bag.sent) else tf.int64
    return {f"attributions/{point.name}": Row(tf.TensorSpec([None], wide), width),
            f"tokens/{point.name}": Row(tf.TensorSpec([None], tokens), width),
            f"length/{point.name}": Row(tf.TensorSpec([], tf.int64))}


def _integrated(recipe, path, values, request):
    """What each point shows, each point's total, and F at the baseline."""
    start = path.function(path.baselines, path.fixed)
    integrals = path.line.pulled_back(_integrals(recipe, path, request))
    attributions = integrate.attributions(path.line, integrals)
    shown = []
    for point, attribution, integral in zip(recipe.points, attributions, integrals):
        batch = tf.shape(attribution)[0]
        shown += (per_id(point.bag, recipe.work, values, integral, batch) if point.bag
                  else [attribution])
    totals = [tf.reduce_sum(tf.cast(attribution, tf.float64), tf.range(1, tf.rank(attribution)))
              for attribution in attributions]  # parts may cancel
    return [*shown, *totals, start]


def _integrals(recipe, path, request):
    """The integral of dF/dz, by the recipe's rule or by those that the request chooses."""
    rows = _rows_at_once(recipe, path)
    chunks = compiled.Chunks(recipe.runtime) if recipe.runtime.xla else integrate.Chunks()
    if request.refinement is None:
        rule = pilot.placed(recipe.rule, path, rows)
        if recipe.prefix is not None:
            rule = pilot.of_one(rule)
        if rows is None:
            return integrate.integrals_stepwise(path, rule, chunks)
        return integrate.integrals(path, rule, rows, chunks)
    rules = recipe.custom.rules
    if recipe.prefix is not None:
        return ladder.integrals_alone(path, rules, request.refinement, chunks)
    if rows is None:
        return ladder.integrals_stepwise(path, rules, request.refinement, chunks)
    return ladder.integrals(path, rules, request.refinement, rows, chunks)


def _rows_at_once(recipe, path):
    """Rows of a chunk; None where the whole batch, or one example, goes step by step."""
    if recipe.prefix is not None or recipe.lie.count:
        return None
    if recipe.rows_per_chunk is not None:
        return recipe.rows_per_chunk
    return integrate.rows_for_budget(recipe.runtime.memory_budget, recipe.bytes_per_row,
                                     path.inputs, [place.shape for place in recipe.front.places])


def _keys(recipe, values, found, prediction, index):
    """The outputs under the names of D10."""
    result, totals = {}, {}
    for point in recipe.points:
        result.update(_point_keys(point, recipe.work, values, found))
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


def _point_keys(point, work, values, found):
    keys = [f"{word}/{point.name}" for word in ("attributions", "tokens", "length")]
    attribution = found[keys[0]]
    if point.bag:
        return {key: found[key] for key in keys}
    if not point.per_id:
        return {keys[0]: attribution}
    batch = tf.shape(attribution)[0]
    tokens = sent(point.sent, work, values)
    if point.axis or point.steps_first:
        tokens = front.unfolded(point, tokens, batch)
    count = tf.size(tokens) // tf.maximum(batch, 1)
    shape = [batch, count, tf.reduce_prod(tf.shape(attribution)[1:]) // tf.maximum(count, 1)]
    if tokens.shape.rank != 2:
        tokens = tf.reshape(tokens, shape[:2])
    if point.kind == "one_hot":  # what only fills a row up is hot nowhere
        vectors = front.unfolded(point, values[point.tensor], batch)
        hot = tf.reduce_any(tf.not_equal(tf.reshape(vectors, shape), 0), -1)
        sent_one = tf.not_equal(tokens, padding(tokens.dtype))
        there = tf.cast(tf.logical_or(hot, sent_one), tf.int64)
        places = tf.range(1, tf.cast(count, tf.int64) + 1)
        length = tf.maximum(tf.reduce_max(there * places, 1), 0)  # of nothing: the least int64
    else:
        length = tf.fill([batch], tf.cast(count, tf.int64))
    return dict(zip(keys, (tf.reduce_sum(tf.reshape(attribution, shape), -1), tokens, length)))


def _of_strings(work, what):
    source = work.tensor(what.source)
    return (source.dtype == tf.string or source.dtype.is_floating
            or source.op.type in CROSSES)
