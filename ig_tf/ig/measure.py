"""What is computed of the straight path of each example: by rows, or each example alone."""

import dataclasses
import functools

import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.graph.shape_values import known_entries
from ig_tf.ig import curves, front, integrate, samples, winners
from ig_tf.ig.examples import examples_of, nothing, one_example, one_row_each, padded
from ig_tf.ig.index import TOP, of_classes
from ig_tf.ig.layout import examples_first, one_fold
from ig_tf.ig.recipe import Mode
from ig_tf.ig.selection import pinned, selected


@dataclasses.dataclass(frozen=True)
class RowSpec:
    """One row of what is measured: its spec, how wide it is in this batch (None: as it is), and
    what becomes of it where there are several samples (`samples`; of floats)."""

    spec: object
    width: object = None
    samples: str = samples.MEAN


@dataclasses.dataclass(frozen=True)
class TargetRows:
    """One row per example out of the target's tensor, of the model or of a copy.

    Attributes:
      target: the `Target`.
      examples: how many the model's own tensor has; None where it has one row each.
      fold: which of an example's rows, or which place of the axis of `each`, where it has several.
    """

    target: object
    examples: object = None
    fold: object = None

    def __call__(self, tensor, beside=None):
        """`beside`: a tensor with one row for each example of the copy; None: of the model."""
        if not self.target.folds:
            tensor = examples_first(tensor, self.target.axis)
            if self.fold is None:
                return tensor
            return tf.gather(tensor, self.fold, axis=self.target.each + 1)
        count = self.examples if beside is None else tf.shape(beside)[0]
        return one_fold(tensor, self.target.folds, count, self.fold)

    def checked(self, tensor):
        """The same for one example alone, which may have fewer places than in its batch."""
        if self.target.each is None:
            return self
        count = tf.shape(examples_first(tensor, self.target.axis))[self.target.each + 1]
        there = tf.debugging.Assert(self.fold < count, [
            f"target {self.target.text()}: alone an example has only", count, "places, in its "
            "batch it has more: send examples of different lengths in requests of their own"])
        with tf.control_dependencies([there] if there is not None else []):
            return dataclasses.replace(self, fold=tf.identity(self.fold))


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is explained: the `TargetRows` of the target, and what the `Request` chooses."""

    rows: object
    request: object

    def of(self, example):
        """The same of one example alone."""
        return Asked(TargetRows(self.rows.target, fold=self.rows.fold), self.request.of(example))


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
    """What is measured of each example's path, then F(x) and the pinned index, [batch, k] each."""
    explain = _alone_each if recipe.mode is Mode.ALONE else _all_at_once
    return explain(recipe, values, asked, measure)


def _path(recipe, asked, xs, values, extras, index, shared, sizes=None, sample=0):
    """The straight path from a sample of the baseline to x, as functions in the current graph."""
    if of_classes(recipe.target.index):
        extras = {**extras, TOP: (index, 0)}
    examples = tf.shape(xs[0])[0]
    xs = samples.ends(recipe, xs, sample)
    baselines = samples.starts(recipe, asked.request, xs, values, sample)
    line = front.line(recipe, xs, baselines, values)

    def path_of(mine, placed, ends, starts, through=None):
        copy = mine.copy
        own_sizes = {name: value for name, value in (sizes or {}).items() if name in copy.sizes}
        own = {name: one for name, one in extras.items() if name in (*copy.per_example, TOP)}

        def resized(rows):
            return {name: surgery.resized(value, copy.sizes[name], examples, rows)
                    for name, value in own_sizes.items()}

        def scores(rows, given_extras):
            given = {**shared, **given_extras}
            if not given.keys() >= own_sizes.keys():
                given.update(resized(tf.shape(rows[0])[0]))
            given.update(placed(rows))
            given.pop(TOP, None)
            answer = surgery.copy(recipe.work, copy, given)[recipe.target.tensor]
            return asked.rows(answer, rows[0])

        if recipe.method.path:
            ends, starts, own, scores = curves.on_curve(recipe.method, line, own, scores)

        def function(rows, given_extras):
            return selected(recipe.target, scores(rows, given_extras), given_extras.get(TOP))

        return integrate.Path(function, scores, ends, starts, own,
                              tuple(place.silent for place in mine.front.places), line, resized,
                              _of_request(mine, shared, own_sizes), recipe.target.count or 1,
                              rule=samples.rule(recipe, sample), through=through)

    through = recipe.through and functools.partial(
        path_of, recipe.behind_pools(), lambda rows: winners.activated(recipe, rows))
    return path_of(recipe, lambda rows: front.placed(recipe, rows), line.ends, line.starts,
                   through)


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


def _all_at_once(recipe, values, asked, measure):
    """The whole batch, whose rows are proved to be examples."""
    shared, sizes, extras = {}, {}, {}
    for copy in recipe.copies():
        shared.update({name: values[name] for name in copy.shared})
        sizes.update({name: values[name] for name in copy.sizes})
        extras.update({name: (values[name], axis) for name, axis in copy.per_example.items()})
    scores = asked.rows(values[recipe.target.tensor])
    xs = [_one_each(point, values[point.tensor], scores) for point in recipe.points]
    xs = [front.unfolded(point, x, tf.shape(scores)[0]) for point, x in zip(recipe.points, xs)]
    index = pinned(recipe.target, scores, asked.request.target)

    def found_of(sample):
        path = _path(recipe, asked, xs, values, extras, index, shared, sizes, sample)
        return measure.function(path, values, asked.request)

    found = samples.over(recipe, found_of, measure.rows)
    return [*found, tf.stack(selected(recipe.target, scores, index), 1), index]


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
        *recipe.copy.shared, *recipe.front.copy.shared, *recipe.prefix.shared,
        *(recipe.lead.shared if recipe.lead else ()))}
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
        rows = [tf.ensure_shape(front.unfolded(point, as_many(point, mine[point.tensor], 1, (
            values[point.tensor], examples)), 1), [1, *point.shape[1:]]) for point in recipe.points]
        extras = {name: (mine[name], 0) for name in recipe.copy.per_example}
        alone = asked.of(example)
        alone = dataclasses.replace(alone, rows=alone.rows.checked(mine[goal]))
        scores = alone.rows(mine[goal])
        scores = tf.ensure_shape(scores, [1, *scores.shape[1:]])
        index = pinned(recipe.target, scores, alone.request.target)

        def found_of(sample):
            path = _path(recipe, alone, rows, {**shared, **mine}, extras, index, shared,
                         sample=sample)
            return measure.function(path, mine, alone.request)

        found = samples.over(recipe, found_of, measure.rows)
        found = [padded(tensor[0], row.width) for tensor, row in zip(found, measure.rows)]
        return [*found, tf.concat(selected(recipe.target, scores, index), 0), index[0]]

    count = recipe.target.count or 1
    specs = [*(row.spec for row in measure.rows), tf.TensorSpec([count], values[goal].dtype),
             tf.TensorSpec([count], tf.int64)]
    return tf.cond(
        examples > 0,
        lambda: tf.map_fn(explain, tf.range(examples), parallel_iterations=1,
                          fn_output_signature=specs),
        lambda: nothing(specs, [row.width for row in measure.rows]))


def as_many(point, tensor, examples, batch=None):
    """A folded point's tensor, checked: each example has as many rows as the others.

    Args:
      point: a `Point`.
      tensor: its tensor, of so many examples.
      examples: their number.
      batch: the same two of the whole batch, where they are not these.
    """
    if not point.folded:
        return tensor
    whole, count = batch or (tensor, examples)
    each = tf.shape(whole)[0] // tf.maximum(count, 1)
    fits = tf.debugging.assert_equal(tf.shape(tensor)[0], each * examples, message=(
        f"point {point.name}: the examples of this batch have different numbers of rows (a ragged "
        "tensor), which one answer cannot hold. Send examples of one length together, or choose "
        "points behind the sum or mean of the rows."))
    with tf.control_dependencies([fits] if fits is not None else []):
        return tf.identity(tensor)
