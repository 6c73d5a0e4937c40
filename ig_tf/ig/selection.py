"""The explained numbers out of the target's scores, in the current graph."""

import tensorflow as tf

from ig_tf.ig.index import (ALL, REDUCTIONS, TOP, Difference, of_classes, reduces_all, tuples)


def pinned(target, scores, chosen=None):
    """Which element is explained of each example [batch, k] int64; -1 where there is none.

    Args:
      target: the `Target`.
      scores: the output at x, [batch, ...] without the axis of `each`.
      chosen: [batch] int64, what a request chooses, or None.
    """
    if chosen is not None:
        return chosen[:, None]
    classes = of_classes(target.index)
    if classes is not None:
        return _classes(target, classes, _left(scores, *tuples(target.at_each)))
    batch, flat = tf.shape(scores)[0], tf.constant(-1, tf.int64)
    if not isinstance(target.index, Difference):
        flat = _flat(scores, target.at_each)
    return tf.fill([batch, 1], flat)


def _classes(target, classes, scores):
    """The classes themselves, the highest of them first where it is about these."""
    batch = tf.shape(scores)[0]
    if classes == TOP:
        return tf.argmax(scores, axis=1, output_type=tf.int64)[:, None]
    if classes == ALL:
        every = tf.range(target.count, dtype=tf.int64)[None]
        return tf.tile(every, [batch, 1])
    found = tf.shape(scores)[1]
    enough = tf.debugging.Assert(
        found >= target.count, [f"target {target.text()}: the output has only", found, "scores"])
    with tf.control_dependencies([enough] if enough is not None else []):
        return tf.cast(tf.math.top_k(tf.identity(scores), target.count).indices, tf.int64)


def _flat(scores, index):
    """The numbers of an index as one, row-major over the axes that have a number; else -1."""
    flat = None
    for entries in tuples(index):
        for axis, entry in enumerate(entries):
            if isinstance(entry, int):
                before = tf.constant(0, tf.int64) if flat is None else flat
                flat = before * tf.shape(scores, out_type=tf.int64)[axis + 1] + entry
    return tf.constant(-1, tf.int64) if flat is None else flat


def selected(target, scores, index):
    """The explained numbers: for each of the k scores [rows].

    Args:
      target: the `Target`.
      scores: the output [rows, ...] without the axis of `each`.
      index: what `pinned` gave, repeated for the rows.
    """
    entries = tuples(target.at_each)
    if not entries:
        return [tf.reshape(scores, tf.shape(scores)[:1])]
    if len(entries) == 2:
        first, second = (_left(scores, one) for one in entries)
        return [first - second]
    classes, left = of_classes(target.index), _left(scores, *entries)
    if classes is None:
        return [left]
    if classes == ALL:
        return [left[:, place] for place in range(target.count)]
    rows = tf.range(tf.shape(left, out_type=tf.int64)[0])  # 1.15 has no batch_dims here
    return [tf.gather_nd(left, tf.stack([rows, index[:, place]], 1))
            for place in range(target.count or 1)]


def _left(scores, entries):
    """[rows], or [rows, classes]: numbers taken first, then reductions from left to right."""
    if reduces_all(entries):
        entries *= scores.shape.rank - 1
    numbers = (slice(None), *(entry if isinstance(entry, int) else slice(None)
                              for entry in entries))
    if any(isinstance(entry, int) for entry in entries):
        scores = scores[numbers]
    axis = 1
    for entry in entries:
        if entry in REDUCTIONS:
            scores = REDUCTIONS[entry].reduce(scores, axis)
        elif not isinstance(entry, int):
            axis += 1
    return scores
