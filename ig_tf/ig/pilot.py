"""The pilot: F at a few places of each example's path, then nodes where F moves.

Saturated outputs change within a small part of the path, which is another one for each example.
The probes are forward passes alone, about a third of a gradient each.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ig_tf.ig import integrate
from ig_tf.ig.quadrature import Pilot


def placed(rule, path, rows_per_chunk=None):
    """The rule that a path is integrated with.

    Args:
      rule: a `Rule`, which is given back, or a `Pilot`.
      path: an `ig_tf.ig.integrate.Path`.
      rows_per_chunk: rows of (example, probe) pairs at a time; None for one probe at a time over
        the whole batch, where rows are not proved to be examples.

    Returns:
      A `Rule` or `Placed`.
    """
    if not isinstance(rule, Pilot):
        return rule
    return nodes(rule, _looked_at(path, rule.probes, rows_per_chunk))


def picker(rules, path, rows_per_chunk=None):
    """Several rules of one path; the places of their probes are looked at once.

    Args:
      rules: `Rule`s and `Pilot`s, at least one of these.
      path, rows_per_chunk: as for `placed`.

    Returns:
      A function from a scalar integer tensor, a place in `rules`, to a `Placed`.
    """
    seen = {probes: _looked_at(path, probes, rows_per_chunk)
            for probes in sorted({rule.probes for rule in rules if isinstance(rule, Pilot)})}
    batch, longest = tf.shape(next(iter(seen.values())))[0], max(rule.steps for rule in rules)

    def row(numbers, steps):
        return tf.pad(tf.broadcast_to(numbers, [batch, steps]), [[0, 0], [0, longest - steps]])

    found = [nodes(rule, seen[rule.probes]) if isinstance(rule, Pilot) else rule for rule in rules]
    places = tf.stack([row(rule.nodes, rule.steps) for rule in found])
    weights = tf.stack([row(rule.weights, rule.steps) for rule in found])
    steps = tf.constant([rule.steps for rule in found])

    def pick(index):
        mine = steps[index]
        return integrate.Placed(places[index][:, :mine], weights[index][:, :mine], mine)

    return pick


def of_one(rule):
    """The rule of the only example: its path is integrated in tensors of any shape."""
    if not isinstance(rule, integrate.Placed):
        return rule
    return dataclasses.replace(rule, nodes=rule.nodes[0], weights=rule.weights[0])


def _looked_at(path, probes, rows_per_chunk):
    """F at even places of the path [batch, probes]."""
    alphas = np.linspace(0, 1, probes)
    if rows_per_chunk is None:
        return integrate.along(path, alphas)
    return _probed(path, alphas, rows_per_chunk)


def nodes(rule, values):
    """Nodes and weights of each example: cells of equal mass, Gauss nodes in each.

    Args:
      rule: a `Pilot`.
      values: F at even places of the path [batch, probes].

    Returns:
      A `Placed`.
    """
    edges = _edges(_mass(rule, values), rule.steps // rule.CELL)
    widths = edges[:, 1:] - edges[:, :-1]
    places, shares = np.polynomial.legendre.leggauss(rule.CELL)
    inside = edges[:, :-1, None] + widths[:, :, None] * tf.constant((places + 1) / 2, tf.float64)
    weights = widths[:, :, None] * tf.constant(shares / 2, tf.float64)
    flat = [-1, rule.steps]
    return integrate.Placed(tf.reshape(inside, flat), tf.reshape(weights, flat), rule.steps)


def _mass(rule, values):
    """How much of each example's nodes belongs between two probes [batch, probes - 1]; sums to 1.

    F may move there and back between two probes: its neighbours' moves count as a cell's own.
    """
    moves = tf.abs(values[:, 1:] - values[:, :-1])
    moves = tf.where(tf.math.is_finite(moves), moves, tf.zeros_like(moves))  # a pole says nothing
    moves = tf.cast(moves, tf.float64)
    around = tf.pad(moves, [[0, 0], [1, 1]])
    moves = tf.maximum(tf.maximum(around[:, :-2], around[:, 2:]), moves)
    largest = tf.reduce_max(moves, 1, keepdims=True)
    density = tf.math.divide_no_nan(moves, largest) ** rule.SHARPNESS
    total = tf.reduce_sum(density, 1, keepdims=True)
    even = tf.ones_like(density) / (rule.probes - 1)
    moving = tf.where(total > 0, tf.math.divide_no_nan(density, total), even)
    return (1 - rule.UNIFORM) * moving + rule.UNIFORM * even


def _edges(mass, cells):
    """Alphas [batch, cells + 1] between which there is the same mass.

    The inverse of the cumulated mass, which is linear between probes: the sum over all stretches
    of how much of each lies before.
    """
    before = tf.cumsum(mass, axis=1, exclusive=True)[:, None, :]
    wanted = tf.constant(np.arange(1, cells) / cells, tf.float64)[None, :, None]
    passed = tf.clip_by_value((wanted - before) / mass[:, None, :], 0.0, 1.0)
    inner = tf.reduce_mean(passed, 2)
    return tf.concat([tf.zeros_like(mass[:, :1]), inner, tf.ones_like(mass[:, :1])], 1)


def _probed(path, alphas, rows_per_chunk):
    """F at the places [batch, alphas], so many rows of (example, place) pairs at a time."""
    count = len(alphas)
    rows = tf.shape(path.inputs[0])[0] * count
    at_once = tf.maximum(rows_per_chunk, 1)

    def turn(first, values):
        row = tf.range(first, tf.minimum(first + at_once, rows))
        mine = integrate.of_examples(path, row // count)
        places = integrate.at(mine, tf.gather(tf.constant(alphas, tf.float64), row % count))
        found = tf.cast(path.function(places, mine.fixed), tf.float64)
        return first + at_once, tf.concat([values, found], 0)

    found = tf.while_loop(lambda first, _: first < rows, turn,
                          (tf.constant(0), tf.zeros([0], tf.float64)),
                          shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])))[1]
    return tf.reshape(found, [-1, count])
