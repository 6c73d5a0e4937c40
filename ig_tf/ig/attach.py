"""Builds the attribution function of one model, target, cut, baseline and rule."""

import dataclasses

import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.ig import compiled, integrate
from ig_tf.ig.examples import examples_of, nothing, one_example, one_row_each, padded
from ig_tf.ig.targets import TOP
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
        measure = _Measure(
            lambda path, _: [integrate.along(path, alphas),
                             path.scores(path.baselines, path.fixed)],
            [_Row(tf.TensorSpec([len(alphas)], goal.dtype)),
             _Row(tf.TensorSpec(goal.shape[1:], goal.dtype))])
        return dict(zip(("path", "baseline_scores"), _measured(recipe, values, measure)))
    return build


def outputs(recipe, given):
    """The outputs of the signature, in the current graph.

    Args:
      recipe: a `Recipe`.
      given: {tensor name: tensor} of the model's top level, for `needed()`.

    Returns:
      {key of D10: tensor}.
    """
    values = surgery.realise(recipe.work, recipe.needed(), given)
    goal = recipe.work.tensor(recipe.target.tensor)
    shown = {}
    for point in recipe.points:
        shown.update(_rows_of(point, recipe, values))
    names = [*shown, *(("total", point.name) for point in recipe.points), "start"]
    rows = [*shown.values(), *(_Row(tf.TensorSpec([], tf.float64)) for _ in recipe.points),
            _Row(tf.TensorSpec([], goal.dtype))]
    measure = _Measure(lambda path, mine: _integrated(recipe, path, mine), rows)
    *found, prediction, index = _measured(recipe, values, measure)
    with tf.control_dependencies([values[recipe.target.tensor]]):  # what the model does besides
        prediction = tf.identity(prediction)
    return _keys(recipe, values, dict(zip(names, found)), prediction, index)


@dataclasses.dataclass(frozen=True)
class _Row:
    """One row of what is measured: its spec, and how wide it is in this batch (None: as it is)."""

    spec: object
    width: object = None


@dataclasses.dataclass(frozen=True)
class _Measure:
    """What is computed of a path.

    Attributes:
      function: callable(path, values of the examples) -> tensors [batch, ...].
      rows: a `_Row` for each.
    """

    function: object
    rows: list


def _rows_of(point, recipe, values):
    """{key: _Row} of what a point shows; alone, an example may be narrower than in its batch."""
    batch = tf.shape(values[recipe.target.tensor])[0]
    tensor = _unfolded(point, values[point.tensor], batch)
    wide = integrate.accumulator(tensor.dtype)
    if not point.bag:
        return {f"attributions/{point.name}":
                _Row(tf.TensorSpec(tensor.shape[1:], wide), tf.shape(tensor)[1:])}
    width = longest(point.bag, values, batch)[None]
    tokens = tf.string if _of_strings(recipe.work, point.bag.sent) else tf.int64
    return {f"attributions/{point.name}": _Row(tf.TensorSpec([None], wide), width),
            f"tokens/{point.name}": _Row(tf.TensorSpec([None], tokens), width),
            f"length/{point.name}": _Row(tf.TensorSpec([], tf.int64))}


def _integrated(recipe, path, values):
    """What each point shows, each point's total, and F at the baseline."""
    start = path.function(path.baselines, path.fixed)
    chunks = compiled.Chunks(recipe.runtime) if recipe.runtime.xla else integrate.Chunks()
    if recipe.prefix is not None:
        integrals = integrate.integrals_stepwise(path, recipe.rule, chunks)
    else:
        rows = recipe.rows_per_chunk
        if rows is None:
            rows = integrate.rows_for_budget(recipe.runtime.memory_budget, recipe.bytes_per_row,
                                             path.inputs, [point.shape for point in recipe.points])
        integrals = integrate.integrals(path, recipe.rule, rows, chunks)
    attributions = integrate.attributions(path, integrals)
    shown = []
    for point, attribution, integral in zip(recipe.points, attributions, integrals):
        batch = tf.shape(attribution)[0]
        shown += (per_id(point.bag, recipe.work, values, integral, batch) if point.bag
                  else [attribution])
    totals = [tf.reduce_sum(tf.cast(attribution, tf.float64), tf.range(1, tf.rank(attribution)))
              for attribution in attributions]  # parts may cancel
    return [*shown, *totals, start]


def _measured(recipe, values, measure):
    """What is measured of each example's path, then F(x) and the pinned index, [batch, ...]."""
    return (_by_rows if recipe.prefix is None else _alone_each)(recipe, values, measure)


def _path(recipe, xs, extras, index, shared, sizes=None):
    """The straight path from the baseline to x, as functions in the current graph."""
    if recipe.target.index == TOP:
        extras = {**extras, TOP: (index, 0)}
    examples = tf.shape(xs[0])[0]
    baselines = [tf.broadcast_to(tf.cast(tf.constant(recipe.baseline.values[point.name]), x.dtype),
                                 tf.shape(x)) for point, x in zip(recipe.points, xs)]

    def resized(rows):
        return {name: surgery.resized(value, recipe.copy.sizes[name], examples, rows)
                for name, value in (sizes or {}).items()}

    def scores(rows, given_extras):
        given = {**shared, **given_extras}
        if not given.keys() >= (sizes or {}).keys():
            given.update(resized(tf.shape(rows[0])[0]))
        given.update({point.tensor: _folded(point, row)
                      for point, row in zip(recipe.points, rows)})
        given.pop(TOP, None)
        return surgery.copy(recipe.work, recipe.copy, given)[recipe.target.tensor]

    def function(rows, given_extras):
        return _selected(recipe.target, scores(rows, given_extras), given_extras.get(TOP))

    return integrate.Path(function, scores, xs, baselines, extras, resized,
                          _of_request(recipe, shared, sizes or {}))


def _of_request(recipe, shared, sizes):
    """What all rows share and the request decides: whole tensors, and numbers of shapes."""
    moved = surgery.downstream(recipe.work.inputs.values())
    found = [shared[name] for name in recipe.copy.shared if name in moved]
    for name, counts in recipe.copy.sizes.items():
        known = compiled.known_entries(recipe.work.tensor(name))
        places = [place for place, counted in enumerate(counts)
                  if not counted and (known is None or known[place] is None)]
        if places and name in sizes:
            found.append(tf.gather(tf.reshape(sizes[name], [-1]), places))
    return found


def _unfolded(point, tensor, batch):
    """[batch, k, ...] of a folded point's [batch * k, ...]; others as they are."""
    if not point.folded:
        return tensor
    each = tf.shape(tensor)[0] // tf.maximum(batch, 1)
    shape = tf.concat([[batch, each], tf.shape(tensor)[1:]], 0)
    return tf.ensure_shape(tf.reshape(tensor, shape), [None, None, *tensor.shape[1:]])


def _folded(point, rows):
    """The rows of the graph's own tensor again."""
    if not point.folded:
        return rows
    shape = tf.shape(rows)
    merged = tf.reshape(rows, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
    return tf.ensure_shape(merged, [None, *rows.shape[2:]])


def _by_rows(recipe, values, measure):
    shared = {name: values[name] for name in recipe.copy.shared}
    sizes = {name: values[name] for name in recipe.copy.sizes}
    extras = {name: (values[name], axis) for name, axis in recipe.copy.per_example.items()}
    scores = values[recipe.target.tensor]
    xs = [_one_each(point, values[point.tensor], scores) for point in recipe.points]
    xs = [_unfolded(point, x, tf.shape(scores)[0]) for point, x in zip(recipe.points, xs)]
    index = _pinned(recipe.target, scores)
    found = measure.function(_path(recipe, xs, extras, index, shared, sizes), values)
    return [*found, _selected(recipe.target, scores, index), index]


def _one_each(point, x, scores):
    """Pooling without filling leaves out empty examples at the end of a batch: never in silence."""
    if not point.bag or point.folded or point.bag.filled is not None:
        return x
    fits = tf.debugging.assert_equal(tf.shape(x)[0], tf.shape(scores)[0], message=(
        f"point {point.name}: the model pools ids without filling empty examples, and the last "
        "examples of the batch have none: they have no row of their own. Put them first."))
    with tf.control_dependencies([fits] if fits is not None else []):
        return tf.identity(x)


def _alone_each(recipe, values, measure):
    """Each example by itself, from the inputs on; right for any model whose inputs are rows.

    F(x) is that of the example alone too: where a batch is coupled, its figures belong together.
    """
    shared = {name: values[name] for name in (*recipe.copy.shared, *recipe.prefix.shared)}
    inputs = {name: values[name] for name in recipe.prefix.replaced}
    examples = examples_of(recipe.work, inputs)
    goal = recipe.target.tensor
    checks = one_row_each(recipe.work, inputs, examples, {goal: values[goal]})
    with tf.control_dependencies(checks):
        examples = tf.identity(examples)

    def explain(example):
        sliced = one_example(recipe.work, inputs, example)
        mine = surgery.copy(recipe.work, recipe.prefix, {**shared, **sliced})
        mine.update(sliced)
        # One example must give one row; anything else is no value per example.
        rows = [tf.ensure_shape(_unfolded(point, mine[point.tensor], 1), [1, *point.shape[1:]])
                for point in recipe.points]
        extras = {name: (mine[name], 0) for name in recipe.copy.per_example}
        scores = mine[recipe.target.tensor]
        index = _pinned(recipe.target, scores)
        found = measure.function(_path(recipe, rows, extras, index, shared), mine)
        found = [padded(tensor[0], row.width) for tensor, row in zip(found, measure.rows)]
        return [*found, _selected(recipe.target, scores, index)[0], index[0]]

    specs = [*(row.spec for row in measure.rows), tf.TensorSpec([], values[goal].dtype),
             tf.TensorSpec([], tf.int64)]
    return tf.cond(
        examples > 0,
        lambda: tf.map_fn(explain, tf.range(examples), parallel_iterations=1,
                          fn_output_signature=specs),
        lambda: nothing(specs, [row.width for row in measure.rows]))


def _pinned(target, scores):
    """The target's index of each example [batch] int64; -1 where there is none."""
    batch = tf.shape(scores)[0]
    if target.index is None:
        return tf.fill([batch], tf.constant(-1, tf.int64))
    if target.index == TOP:
        return tf.argmax(scores, axis=1, output_type=tf.int64)
    flat = tf.constant(0, tf.int64)
    for axis, number in enumerate(target.index):
        flat = flat * tf.shape(scores, out_type=tf.int64)[axis + 1] + number
    return tf.fill([batch], flat)


def _selected(target, scores, index):
    """One number per row [rows]."""
    if target.index is None:
        return tf.reshape(scores, tf.shape(scores)[:1])
    if target.index == TOP:
        rows = tf.range(tf.shape(scores, out_type=tf.int64)[0])  # 1.15 has no batch_dims here
        return tf.gather_nd(scores, tf.stack([rows, index], 1))
    return scores[(slice(None), *target.index)]


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
    count = tf.size(tokens) // tf.maximum(batch, 1)
    shape = [batch, count, tf.reduce_prod(tf.shape(attribution)[1:]) // tf.maximum(count, 1)]
    if tokens.shape.rank != 2:
        tokens = tf.reshape(tokens, shape[:2])
    if point.kind == "one_hot":  # what only fills a row up is hot nowhere
        hot = tf.reduce_any(tf.not_equal(tf.reshape(values[point.tensor], shape), 0), -1)
        sent_one = tf.not_equal(tokens, padding(tokens.dtype))
        there = tf.cast(tf.logical_or(hot, sent_one), tf.int64)
        places = tf.range(1, tf.cast(count, tf.int64) + 1)
        length = tf.reduce_max(tf.pad(there * places, [[0, 0], [1, 0]]), 1)
    else:
        length = tf.fill([batch], tf.cast(count, tf.int64))
    return dict(zip(keys, (tf.reduce_sum(tf.reshape(attribution, shape), -1), tokens, length)))


def _of_strings(work, what):
    source = work.tensor(what.source)
    return (source.dtype == tf.string or source.dtype.is_floating
            or source.op.type in CROSSES)
