"""The path behind pools that can be seen through, where in a request their winners stay.

There the pool of a straight line is a straight line itself (`ig_tf.graph.winners`): F is looked at
behind the pools, where the path is much smaller, and one gradient of the pools brings the integral
back. A request whose winners change takes the path before the pools; the answer is the same.
"""

import dataclasses

import tensorflow as tf

from ig_tf.graph import surgery, winners
from ig_tf.ig import front, loops


def activated(recipe, rows):
    """{output of a pool: its value} of rows of the path behind the pools."""
    found = {}
    for pool, steps, place, row in zip(recipe.through.pools, recipe.through.steps,
                                       recipe.through.front.places, rows):
        value = front.folded(place, row)
        for name, step in zip(pool.chain, steps):
            if winners.rises(recipe.work.graph.get_operation_by_name(name)):
                value = _applied(recipe, step, value)
        found[pool.output] = value
    return found


def _applied(recipe, step, value):
    return surgery.copy(recipe.work, step, {step.replaced[0]: value})[step.targets[0]]


def integrated(recipe, path, values, request):
    """F at the baseline of each F, then the integrals of dF/dz for each F and each place.

    Args:
      recipe: a `Recipe`.
      path: the `Path` of its front.
      values: {tensor name: tensor} with what the copy to the pools' operands needs.
      request: the `Request`.
    """
    if path.through is None:
        return _before(recipe, path, request)
    rows = _starts(recipe, path)
    ends, starts = (_before_pools(recipe, places, values) for places in (path.inputs, rows))

    def by_each():
        baselines = [tf.broadcast_to(row, tf.shape(x)) for row, x in zip(rows, path.inputs)]
        return _before(recipe, dataclasses.replace(path, baselines=baselines, changes=None),
                       request)

    found = tf.cond(_stay(recipe, ends, starts),
                    lambda: _behind(recipe, path, starts, values, request), by_each)
    for one, place in zip(found[path.count:], path.integrated):
        one.set_shape(place.shape)
    return found


def _before(recipe, path, request):
    return [*path.function(path.baselines, path.fixed), *loops.integrals(recipe, path, request)]


def _starts(recipe, path):
    """The start of the path at each place; one row of it where all rows are known to be alike."""
    sources = [start.op.inputs[0] if start.op.type == "BroadcastTo" else None
               for start in path.baselines]
    alike = recipe.through.front.row_wise and all(
        source is not None and source.shape.rank is not None
        and (source.shape.rank < start.shape.rank or source.shape[0] == 1)
        for source, start in zip(sources, path.baselines))
    if not alike:
        return path.baselines
    # The shape of x, not of the start, which would have to be made for that.
    return [tf.ensure_shape(tf.broadcast_to(source, tf.concat([[1], tf.shape(x)[1:]], 0)),
                            [1, *x.shape[1:]])
            for source, x in zip(sources, path.inputs)]


def _before_pools(recipe, places, values):
    """What goes into each pool, activations left out, in the form of the graph's own tensor."""
    stage = recipe.through.front.copy
    raw = {place.tensor: front.folded(place, tensor)
           for place, tensor in zip(recipe.front.places, places)}
    made = {**raw, **surgery.copy(recipe.work, stage,
                                  {**{name: values[name] for name in stage.shared}, **raw})}
    found = []
    for pool, steps in zip(recipe.through.pools, recipe.through.steps):
        value = made[pool.operand]
        for name, step in zip(pool.chain, steps):
            if not winners.rises(recipe.work.graph.get_operation_by_name(name)):
                value = _applied(recipe, step, value)
        found.append(value)
    return found


def _stay(recipe, ends, starts):
    """Whether all that is largest at the end of the path is largest at its start, too."""
    found = []
    for pool, end, start in zip(recipe.through.pools, ends, starts):
        behind = tf.less(end, tf.reduce_max(end, pool.axes, keepdims=True))
        first = tf.greater_equal(start, tf.reduce_max(start, pool.axes, keepdims=True))
        found.append(tf.reduce_all(tf.logical_or(behind, first)))
    return tf.reduce_all(found)


def _behind(recipe, path, starts, values, request):
    """The same by the path behind the pools."""
    batch, places = tf.shape(path.inputs[0])[0], recipe.through.front.places
    zs = [tf.identity(z) for z in path.inputs]
    made = _pooled(recipe, _before_pools(recipe, zs, values))
    ends = [front.unfolded(place, one, batch) for place, one in zip(places, made)]
    starts = [front.unfolded(place, one, tf.shape(one)[0])
              for place, one in zip(places, _pooled(recipe, starts))]
    starts = [tf.broadcast_to(start, tf.shape(end)) for start, end in zip(starts, ends)]
    mine = path.through(ends, starts)
    found = mine.function(mine.baselines, mine.fixed)
    integrals, width = loops.integrals(recipe.behind_pools(), mine, request), len(ends)
    for first in range(0, len(integrals), width):
        upstream = [tf.cast(front.folded(place, one), tensor.dtype) for place, one, tensor in
                    zip(places, integrals[first:first + width], made)]
        found += _brought_back(path, zs, made, upstream)
    return found


def _pooled(recipe, tensors):
    return [_applied(recipe, steps[-1], tensor)
            for steps, tensor in zip(recipe.through.steps, tensors)]


def _brought_back(path, zs, made, upstream):
    gradients = tf.gradients(made, zs, upstream,
                             unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.cast(gradient, change.dtype) for gradient, change in zip(gradients, path.changes)]
