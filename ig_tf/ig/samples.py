"""Samples of a path: where each starts and ends, and how what is found of them becomes one answer.

A sample is a baseline and a draw of noise. They go one after the other, since each is as large as
a request without samples; the mean and the spread need no more than one of them at a time.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.ig import front
from ig_tf.ig.integrate import accumulator
from ig_tf.ig.ladder import Rung
from ig_tf.ig.quadrature import Strata

MEAN, SPREAD, SAME = "mean", "spread", "same"  # of all samples; SAME: equal in all, ids


def weights(recipe):
    """The weight of each sample; they sum to 1. The draws of noise are neighbours."""
    return np.repeat(recipe.baseline.weights / recipe.draws, recipe.draws)


def ends(recipe, xs, sample):
    """Where the path ends at each point: x, or x and a draw of noise, in the current graph."""
    xs = [tf.identity(x) if x.graph is not tf.compat.v1.get_default_graph() else x for x in xs]
    if not recipe.noise:
        return xs
    return [x + _of_sample(recipe.noise[point.name], sample % recipe.draws, x.dtype)
            for point, x in zip(recipe.points, xs)]


def starts(recipe, request, xs, values, sample):
    """Where it begins at each point, in the shape of x.

    Args:
      recipe: a `Recipe`.
      request: the `Request`: what it sends replaces every sample.
      xs: tensor x of each point, unfolded.
      values: {tensor name: tensor} with all that `recipe.lead` takes.
      sample: its number, a Python number or a tensor.
    """
    place = sample // recipe.draws
    found = [request.start(point, x) for point, x in zip(recipe.points, xs)]
    if any(one is None and point.name in recipe.baseline.led
           for point, one in zip(recipe.points, found)):
        led = _led(recipe, values, place)
    for index, (point, x) in enumerate(zip(recipe.points, xs)):
        if found[index] is None and point.name in recipe.baseline.led:
            found[index] = _fitting(recipe, point, led[point.tensor], x)
        elif found[index] is None:
            fixed = _of_sample(recipe.baseline.values[point.name], place, x.dtype)
            found[index] = tf.broadcast_to(fixed, tf.shape(x))
    return found


def rule(recipe, sample):
    """The nodes of a sample, where each has its own; else None."""
    if not isinstance(recipe.rule, Strata):
        return None
    place = sample // recipe.draws
    return Rung(_of_sample(recipe.rule.nodes, place, tf.float64),
                tf.constant(recipe.rule.weights, tf.float64), recipe.rule.steps)


def _of_sample(array, place, dtype):
    """One of the samples of a constant."""
    if isinstance(place, int):
        return tf.constant(array[place].astype(dtype.as_numpy_dtype), dtype)
    return tf.constant(array.astype(dtype.as_numpy_dtype), dtype)[place]


def _led(recipe, values, place):
    """{point's tensor: what the model computes there of the baseline's inputs}."""
    work, lead = recipe.work, recipe.lead
    given = {name: values[name] for name in (*lead.shared, *lead.replaced)}
    for key, array in recipe.baseline.inputs.items():
        name = work.inputs[key].name
        given[name] = _filled(key, array, place, values[name], recipe.layout.axes.get(key, 0))
    return surgery.copy(work, lead, given)


def _filled(key, array, place, sent, axis):
    """An input of the baseline for as many examples as were sent, in that shape."""
    value = tf.constant(array.tolist() if array.dtype == object else array, sent.dtype,
                        array.shape)[place]
    if not value.shape.rank:
        return tf.broadcast_to(value, tf.shape(sent))
    value = tf.expand_dims(value, axis)
    wanted = tf.shape(sent)
    others = [other for other in range(value.shape.rank) if other != axis]
    fits = tf.debugging.Assert(
        tf.reduce_all(tf.equal(tf.gather(tf.shape(value), others), tf.gather(wanted, others))),
        [f"baseline: its input {key} does not fit: found shape", tf.shape(value),
         "for a request of shape", wanted, f"(axis {axis} has the examples)"])
    with tf.control_dependencies([fits]):
        return tf.broadcast_to(value, wanted)


def _fitting(recipe, point, tensor, x):
    """What the model computes of the baseline at a point, once it is known to have x's shape."""
    start = front.unfolded(point, tensor, tf.shape(x)[0])
    fits = tf.debugging.Assert(
        tf.reduce_all(tf.equal(tf.shape(start), tf.shape(x))),
        [f"baseline {recipe.baseline.text} does not fit at point {point.name}: found shape",
         tf.shape(start), "for a request of shape", tf.shape(x)])
    with tf.control_dependencies([fits]):
        return tf.ensure_shape(tf.identity(start), x.shape)


def over(recipe, found_of, rows):
    """What is found of all samples.

    Args:
      recipe: a `Recipe`.
      found_of: function(number of a sample) -> tensors [batch, ...].
      rows: a `RowSpec` of each: what becomes of the samples.

    Returns:
      Tensors [batch, ...].
    """
    each = weights(recipe)
    if len(each) == 1:
        return found_of(0)
    mass = tf.constant(each, tf.float64)
    share = tf.constant(each / np.cumsum(each), tf.float64)  # of the newest among those so far
    kinds = [row.samples if row.spec.dtype.is_floating else SAME for row in rows]

    def turn(sample, *state):
        return (sample + 1, *(_GATHER[kind](before, tensor, mass[sample], share[sample])
                              for kind, before, tensor in zip(kinds, state, found_of(sample))))

    state = [_BEGIN[kind](row.spec.dtype) for kind, row in zip(kinds, rows)]
    anything = [tuple(tf.TensorShape(None) for _ in before) for before in state]
    found = tf.while_loop(lambda sample, *_: sample < len(each), turn, (tf.constant(0), *state),
                          shape_invariants=(tf.TensorShape([]), *anything),
                          parallel_iterations=1)[1:]
    return [tf.ensure_shape(_END[kind](tensors, row.spec.dtype), _batched(row.spec.shape))
            for kind, tensors, row in zip(kinds, found, rows)]


def _batched(shape):
    return tf.TensorShape(None if shape.rank is None else [None, *shape])


# What is kept between samples, at first: scalars, which broadcast to whatever comes.
_BEGIN = {
    MEAN: lambda dtype: (tf.zeros([], accumulator(dtype)),),
    SPREAD: lambda dtype: (tf.zeros([], accumulator(dtype)),) * 2,
    SAME: lambda dtype: (tf.constant("" if dtype == tf.string else 0, dtype),),
}


def _mean(before, tensor, mass, share):
    return (before[0] + (tf.cast(tensor, before[0].dtype) - before[0])
            * tf.cast(share, before[0].dtype),)


def _spread(before, tensor, mass, share):
    """The mean, and the weighted sum of squares around it, in one pass (West 1979)."""
    mean, = _mean(before, tensor, mass, share)
    tensor = tf.cast(tensor, mean.dtype)
    return mean, before[1] + tf.cast(mass, mean.dtype) * (tensor - before[0]) * (tensor - mean)


_GATHER = {MEAN: _mean, SPREAD: _spread,
           SAME: lambda before, tensor, mass, share: (tensor,)}
_END = {MEAN: lambda found, dtype: tf.cast(found[0], dtype),
        SPREAD: lambda found, dtype: tf.cast(tf.sqrt(found[1]), dtype),
        SAME: lambda found, dtype: found[0]}


def spread_rows(recipe, shown, groups):
    """{spread/NAME: `RowSpec`} of the points; empty where there is one sample.

    Args:
      recipe: a `Recipe`.
      shown: {attributions/NAME: `RowSpec`}, among others.
      groups: {point name: how many numbers an id has}, of points whose numbers are summed by id.
    """
    if len(weights(recipe)) == 1:
        return {}
    found = {}
    for point in recipe.points:
        row = shown[f"attributions/{point.name}"]
        if point.name in groups:
            width = tf.reduce_prod(row.width) // tf.maximum(groups[point.name], 1)
            row = dataclasses.replace(row, spec=tf.TensorSpec([None], row.spec.dtype),
                                      width=width[None])
        found[f"spread/{point.name}"] = dataclasses.replace(row, samples=SPREAD)
    return found


def by_group(attribution, count):
    """Sums [batch, ids] of each `count` numbers of an example; None: as they are."""
    if count is None:
        return attribution
    shape = tf.shape(attribution)
    ids = tf.reduce_prod(shape[1:]) // tf.maximum(count, 1)
    return tf.reduce_sum(tf.reshape(attribution, [shape[0], ids, count]), -1)
