"""What is computed of the straight path of each example: by rows, or each example alone."""

import dataclasses

import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.graph.shape_values import known_entries
from ig_tf.ig import front, integrate
from ig_tf.ig.examples import examples_of, nothing, one_example, one_row_each, padded
from ig_tf.ig.layout import examples_first, one_fold
from ig_tf.ig.recipe import Mode
from ig_tf.ig.targets import TOP, Difference


@dataclasses.dataclass(frozen=True)
class RowSpec:
    """One row of what is measured: its spec, and how wide it is in this batch (None: as it is)."""

    spec: object
    width: object = None


@dataclasses.dataclass(frozen=True)
class TargetRows:
    """One row per example out of the target's tensor, of the model or of a copy.

    Attributes:
      target: the `Target`.
      examples: how many the model's own tensor has; None where it has one row each.
      fold: which of an example's rows, where it has several.
    """

    target: object
    examples: object = None
    fold: object = None

    def __call__(self, tensor, beside=None):
        """`beside`: a tensor with one row for each example of the copy; None: of the model."""
        if not self.target.folds:
            return examples_first(tensor, self.target.axis)
        count = self.examples if beside is None else tf.shape(beside)[0]
        return one_fold(tensor, self.target.folds, count, self.fold)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is explained: the `TargetRows` of the target, and what the `Request` chooses."""

    rows: object
    request: object

    def of(self, example):
        """The same of one example alone."""
        return Asked(TargetRows(self.rows.target), self.request.of(example))


@dataclasses.dataclass(frozen=True)
class Measure:
    """What is computed of a path.

    Attributes:
      function: callable(path, values of the examples, their `Request`) -> tensors [batch, ...].
      rows: a `RowSpec` for each.
    """

    function: object
    rows: list


def measured(recipe, values, asked, measure):
    """What is measured of each example's path, then F(x) and the pinned index, [batch, ...]."""
    explain = _alone_each if recipe.mode is Mode.ALONE else _all_at_once
    return explain(recipe, values, asked, measure)


def _path(recipe, asked, xs, values, extras, index, shared, sizes=None):
    """The straight path from the baseline to x, as functions in the current graph."""
    if recipe.target.index == TOP:
        extras = {**extras, TOP: (index, 0)}
    examples = tf.shape(xs[0])[0]
    baselines = [_start(recipe, asked.request, point, x) for point, x in zip(recipe.points, xs)]
    line = front.line(recipe, xs, baselines, values)

    def resized(rows):
        return {name: surgery.resized(value, recipe.copy.sizes[name], examples, rows)
                for name, value in (sizes or {}).items()}

    def scores(rows, given_extras):
        given = {**shared, **given_extras}
        if not given.keys() >= (sizes or {}).keys():
            given.update(resized(tf.shape(rows[0])[0]))
        given.update({place.tensor: front.folded(place, row)
                      for place, row in zip(recipe.front.places, rows)})
        given.pop(TOP, None)
        answer = surgery.copy(recipe.work, recipe.copy, given)[recipe.target.tensor]
        return asked.rows(answer, rows[0])

    def function(rows, given_extras):
        return _selected(recipe.target, scores(rows, given_extras), given_extras.get(TOP))

    return integrate.Path(function, scores, line.ends, line.starts, extras,
                          tuple(place.silent for place in recipe.front.places), line, resized,
                          _of_request(recipe, shared, sizes or {}))


def _of_request(recipe, shared, sizes):
    """What all rows share and the request decides: whole tensors, and numbers of shapes."""
    moved = surgery.downstream(recipe.work.inputs.values())
    found = [shared[name] for name in recipe.copy.shared if name in moved]
    for name, counts in recipe.copy.sizes.items():
        known = known_entries(recipe.work.tensor(name))
        places = [place for place, counted in enumerate(counts)
                  if not counted and (known is None or known[place] is None)]
        if places and name in sizes:
            found.append(tf.gather(tf.reshape(sizes[name], [-1]), places))
    return found


def _start(recipe, request, point, x):
    """Where the path begins at a point, in the shape of x."""
    sent = request.start(point, x)
    if sent is not None:
        return sent
    fixed = tf.cast(tf.constant(recipe.baseline.values[point.name]), x.dtype)
    return tf.broadcast_to(fixed, tf.shape(x))


def _all_at_once(recipe, values, asked, measure):
    """The whole batch, whose rows are proved to be examples."""
    shared = {name: values[name] for name in recipe.copy.shared}
    sizes = {name: values[name] for name in recipe.copy.sizes}
    extras = {name: (values[name], axis) for name, axis in recipe.copy.per_example.items()}
    scores = asked.rows(values[recipe.target.tensor])
    xs = [_one_each(point, values[point.tensor], scores) for point in recipe.points]
    xs = [front.unfolded(point, x, tf.shape(scores)[0]) for point, x in zip(recipe.points, xs)]
    index = _pinned(recipe.target, scores, asked.request)
    path = _path(recipe, asked, xs, values, extras, index, shared, sizes)
    found = measure.function(path, values, asked.request)
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


def _alone_each(recipe, values, asked, measure):
    """Each example by itself, from the inputs on; right for any model whose inputs are rows.

    F(x) is that of the example alone too: where a batch is coupled, its figures belong together.
    """
    shared = {name: values[name] for name in (
        *recipe.copy.shared, *recipe.front.copy.shared, *recipe.prefix.shared)}
    inputs = {name: values[name] for name in recipe.prefix.replaced}
    axes = recipe.layout.axes
    examples = examples_of(recipe.work, axes, inputs)
    goal = recipe.target.tensor
    checks = one_row_each(recipe.work, axes, inputs, examples,
                          {goal: (values[goal], recipe.target.axis)})
    with tf.control_dependencies(checks):
        examples = tf.identity(examples)

    def explain(example):
        sliced = one_example(recipe.work, axes, inputs, example)
        mine = surgery.copy(recipe.work, recipe.prefix, {**shared, **sliced})
        mine.update(sliced)
        # One example must give one row; anything else is no value per example.
        rows = [tf.ensure_shape(front.unfolded(point, mine[point.tensor], 1), [1, *point.shape[1:]])
                for point in recipe.points]
        extras = {name: (mine[name], 0) for name in recipe.copy.per_example}
        scores = examples_first(mine[goal], recipe.target.axis)
        scores = tf.ensure_shape(scores, [1, *scores.shape[1:]])
        alone = asked.of(example)
        index = _pinned(recipe.target, scores, alone.request)
        path = _path(recipe, alone, rows, {**shared, **mine}, extras, index, shared)
        found = measure.function(path, mine, alone.request)
        found = [padded(tensor[0], row.width) for tensor, row in zip(found, measure.rows)]
        return [*found, _selected(recipe.target, scores, index)[0], index[0]]

    specs = [*(row.spec for row in measure.rows), tf.TensorSpec([], values[goal].dtype),
             tf.TensorSpec([], tf.int64)]
    return tf.cond(
        examples > 0,
        lambda: tf.map_fn(explain, tf.range(examples), parallel_iterations=1,
                          fn_output_signature=specs),
        lambda: nothing(specs, [row.width for row in measure.rows]))


def _pinned(target, scores, request):
    """The target's index of each example [batch] int64; -1 where there is none."""
    if request.target is not None:
        return request.target
    batch = tf.shape(scores)[0]
    if target.index is None or isinstance(target.index, Difference):
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
    if isinstance(target.index, Difference):
        return (scores[(slice(None), *target.index.first)]
                - scores[(slice(None), *target.index.second)])
    return scores[(slice(None), *target.index)]
