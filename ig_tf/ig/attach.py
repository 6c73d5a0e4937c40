"""Builds the attribution function of one model, target, cut, baseline and rule."""

import dataclasses

import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.ig import integrate
from ig_tf.ig.targets import TOP
from ig_tf.ig.tokens import per_id

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
            lambda path: [integrate.along(path, alphas), path.scores(path.baselines, path.fixed)],
            [tf.TensorSpec([len(alphas)], goal.dtype), tf.TensorSpec(goal.shape[1:], goal.dtype)],
            (None, None))
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
    wide = [tf.TensorSpec(values[point.tensor].shape[1:],
                          integrate.accumulator(values[point.tensor].dtype))
            for point in recipe.points]
    number = tf.TensorSpec([], goal.dtype)
    names = tuple(point.tensor for point in recipe.points)
    measure = _Measure(lambda path: _integrated(recipe, path), wide + wide + [number],
                       names + names + (None,))
    *found, start, prediction, index = _measured(recipe, values, measure)
    attributions, integrals = found[:len(recipe.points)], found[len(recipe.points):]
    with tf.control_dependencies([values[recipe.target.tensor]]):  # what the model does besides
        prediction = tf.identity(prediction)
    return _keys(recipe, values, attributions, integrals, prediction, start, index)


@dataclasses.dataclass(frozen=True)
class _Measure:
    """What is computed of a path.

    Attributes:
      function: callable(path) -> tensors [batch, ...].
      specs: one row of each.
      like: for each, the name of the point whose shape it has, or None.
    """

    function: object
    specs: list
    like: tuple


def _integrated(recipe, path):
    """Attributions of all points, their integrals, and F at the baseline."""
    start = path.function(path.baselines, path.fixed)
    if recipe.prefix is not None:
        integrals = integrate.integrals_stepwise(path, recipe.rule)
        return integrate.attributions(path, integrals) + integrals + [start]
    rows = recipe.rows_per_chunk
    if rows is None:
        rows = integrate.rows_for_budget(recipe.bytes_per_row, path.inputs,
                                         [point.shape for point in recipe.points])
    integrals = integrate.integrals(path, recipe.rule, rows)
    return integrate.attributions(path, integrals) + integrals + [start]


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

    def scores(rows, given_extras):
        given = {**shared, **given_extras}
        for name, value in (sizes or {}).items():
            given[name] = surgery.resized(value, recipe.copy.sizes[name], examples,
                                          tf.shape(rows[0])[0])
        given.update({point.tensor: row for point, row in zip(recipe.points, rows)})
        given.pop(TOP, None)
        return surgery.copy(recipe.work, recipe.copy, given)[recipe.target.tensor]

    def function(rows, given_extras):
        return _selected(recipe.target, scores(rows, given_extras), given_extras.get(TOP))

    return integrate.Path(function, scores, xs, baselines, extras)


def _by_rows(recipe, values, measure):
    shared = {name: values[name] for name in recipe.copy.shared}
    sizes = {name: values[name] for name in recipe.copy.sizes}
    extras = {name: (values[name], axis) for name, axis in recipe.copy.per_example.items()}
    xs = [values[point.tensor] for point in recipe.points]
    scores = values[recipe.target.tensor]
    index = _pinned(recipe.target, scores)
    found = measure.function(_path(recipe, xs, extras, index, shared, sizes))
    return [*found, _selected(recipe.target, scores, index), index]


def _alone_each(recipe, values, measure):
    """Each example by itself, from the inputs on; right for any model whose inputs are rows.

    F(x) is that of the example alone too: where a batch is coupled, its figures belong together.
    """
    shared = {name: values[name] for name in (*recipe.copy.shared, *recipe.prefix.shared)}
    inputs = {name: values[name] for name in recipe.prefix.replaced}
    examples = _examples(recipe.work, inputs)
    # Alone, an example may be narrower than in its batch (fewer words): it is padded again.
    widths = {point.tensor: tf.shape(values[point.tensor])[1:] for point in recipe.points}

    def explain(example):
        sliced = _one_example(recipe.work, inputs, example)
        mine = surgery.copy(recipe.work, recipe.prefix, {**shared, **sliced})
        mine.update(sliced)
        # One example must give one row; anything else is no value per example.
        rows = [tf.ensure_shape(mine[point.tensor], [1, *point.shape[1:]])
                for point in recipe.points]
        extras = {name: (mine[name], 0) for name in recipe.copy.per_example}
        scores = mine[recipe.target.tensor]
        index = _pinned(recipe.target, scores)
        found = measure.function(_path(recipe, rows, extras, index, shared))
        found = [_padded(tensor[0], widths.get(name)) for tensor, name in zip(found, measure.like)]
        return [*found, _selected(recipe.target, scores, index)[0], index[0]]

    goal = recipe.work.tensor(recipe.target.tensor)
    specs = [*measure.specs, tf.TensorSpec([], goal.dtype), tf.TensorSpec([], tf.int64)]
    return tf.cond(
        examples > 0,
        lambda: tf.map_fn(explain, tf.range(examples), parallel_iterations=1,
                          fn_output_signature=specs),
        lambda: _nothing(measure, specs, widths))


def _sparse(work, inputs):
    """The sparse inputs as such: lists of the names of their parts, and a tf.SparseTensor each."""
    for keys in work.sparse.values():
        names = [work.inputs[key].name for key in keys]
        yield names, tf.SparseTensor(*(inputs[name] for name in names))


def _examples(work, inputs):
    """How many examples a batch has."""
    parts = []
    for names, sparse in _sparse(work, inputs):
        parts.extend(names)
        examples = sparse.dense_shape[0]
    dense = [tensor for name, tensor in inputs.items()
             if name not in parts and tensor.shape.rank != 0]
    return tf.shape(dense[0])[0] if dense else tf.cast(examples, tf.int32)


def _one_example(work, inputs, example):
    """Inputs {tensor name: tensor} of one example; scalars belong to all."""
    sliced = {name: tensor[example:example + 1] if tensor.shape.rank != 0 else tensor
              for name, tensor in inputs.items()}
    for names, sparse in _sparse(work, inputs):
        others = tf.zeros_like(sparse.dense_shape)[1:]
        start = tf.concat([[tf.cast(example, tf.int64)], others], 0)
        size = tf.concat([[tf.constant(1, tf.int64)], sparse.dense_shape[1:]], 0)
        one = tf.sparse.slice(sparse, start, size)
        sliced.update(zip(names, (one.indices, one.values, one.dense_shape)))
    return sliced


def _padded(row, width):
    """Zeros behind a row, up to the shape that it has in the batch."""
    if width is None or row.shape.is_fully_defined():
        return row
    missing = tf.maximum(width - tf.shape(row), 0)
    return tf.pad(row, tf.stack([tf.zeros_like(missing), missing], 1))


def _nothing(measure, specs, widths):
    """Results for no examples; stacking cannot make them where a dimension is unknown."""
    shapes = [[0, *(dim or 0 for dim in spec.shape)] for spec in specs]
    for place, name in enumerate(measure.like):
        if name is not None:
            shapes[place] = tf.concat([[0], widths[name]], 0)
    return [tf.zeros(shape, spec.dtype) for shape, spec in zip(shapes, specs)]


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
        return tf.gather(scores, index, batch_dims=1, axis=1)
    return scores[(slice(None), *target.index)]


def _keys(recipe, values, attributions, integrals, prediction, start, index):
    """The outputs under the names of D10."""
    result, totals = {}, {}
    for point, attribution, integral in zip(recipe.points, attributions, integrals):
        result.update(_point_keys(point, values, attribution, integral))
        axes = tf.range(1, tf.rank(attribution))
        total = tf.reduce_sum(tf.cast(attribution, tf.float64), axes)  # parts may cancel
        parts, wide = totals.get(feature_name(point), (0, tf.float32))
        totals[feature_name(point)] = (parts + total,
                                       tf.float64 if attribution.dtype == tf.float64 else wide)
    for name, (total, wide) in totals.items():
        result[f"features/{name}"] = tf.cast(total, wide)
    wide = integrate.accumulator(prediction.dtype)
    end, begin = tf.cast(prediction, wide), tf.cast(start, wide)
    total = tf.add_n([part for part, _ in totals.values()])
    difference = tf.cast(end, tf.float64) - tf.cast(begin, tf.float64)
    error = tf.abs(total - difference)
    floor = RELATIVE_FLOOR * tf.cast(tf.maximum(tf.abs(end), tf.abs(begin)), tf.float64)
    relative = tf.math.divide_no_nan(error, tf.maximum(tf.abs(difference), floor))
    result.update({"prediction": end, "baseline_prediction": begin,
                   "completeness_error": tf.cast(error, wide),
                   "relative_error": tf.cast(relative, wide), "target_index": index})
    return result


def _point_keys(point, values, attribution, integral):
    if point.kind != "tokens":
        return {f"attributions/{point.name}": attribution}
    if point.bag:
        attribution, tokens, length = per_id(point.bag, values, integral)
    else:
        attribution, tokens = tf.reduce_sum(attribution, -1), values[point.tokens]
        tokens = tokens if tokens.dtype == tf.string else tf.cast(tokens, tf.int64)
        shape = tf.shape(tokens, out_type=tf.int64)
        length = tf.fill(shape[:1], shape[1])
    return {f"attributions/{point.name}": attribution, f"tokens/{point.name}": tokens,
            f"length/{point.name}": length}


def feature_name(point):
    """The raw feature that a point's total belongs to; a cross is a feature of its own."""
    if not point.features or len(point.features) > 3:
        return point.name
    return "_X_".join(point.features).replace("/", "_")
