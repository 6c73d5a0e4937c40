"""From the integral at a pooled vector to one attribution per id (see points/bags.py)."""

import tensorflow as tf

# What one value counts for in its example's pooled vector, from the number of values.
SHARES = {
    "sum": lambda count: tf.ones_like(count),
    "mean": lambda count: 1 / count,
    "sqrtn": lambda count: tf.math.rsqrt(count),
}


def per_id(bag, values, integral):
    """Attribution of each id of a bag, for a zero baseline.

    Args:
      bag: a `Bag`.
      values: {tensor name: tensor} with all of `bag.tensors()`.
      integral: [batch, dim], the integral of dF/d(pooled vector) along the path.

    Returns:
      (attributions [batch, longest], tokens [batch, longest] padded with "" or -1,
      length [batch] int64).
    """
    segments = values[bag.segments]
    batch = tf.shape(integral)[0]
    vectors = tf.cast(tf.gather(values[bag.data], values[bag.indices]), integral.dtype)
    count = tf.math.unsorted_segment_sum(
        tf.ones_like(segments, integral.dtype), segments, batch)
    share = SHARES[bag.combiner](tf.gather(count, segments))
    scores = share * tf.reduce_sum(vectors * tf.gather(integral, segments), -1)
    if bag.places is not None:
        scores = tf.gather(scores, values[bag.places])
    tokens = values[bag.tokens]
    if bag.kept is not None:  # what the model does not know has no part in its answer
        scores = tf.scatter_nd(tf.cast(values[bag.kept], tf.int32)[:, None], scores,
                               [tf.size(tokens)])
    return _by_example(values[bag.examples][:, 0], scores, tokens, batch)


def _by_example(examples, scores, tokens, batch):
    """Rows of a padded matrix, one per example, in the order in which the ids were sent."""
    order = tf.argsort(examples, stable=True)
    examples = tf.cast(tf.gather(examples, order), tf.int32)
    length = tf.math.unsorted_segment_sum(tf.ones_like(examples), examples, batch)
    place = tf.range(tf.size(examples)) - tf.gather(tf.cumsum(length, exclusive=True), examples)
    where = tf.stack([examples, place], 1)
    shape = tf.stack([batch, tf.reduce_max(tf.concat([[0], length], 0))])
    if tokens.dtype == tf.string:
        padding = tf.constant("")
    else:
        tokens, padding = tf.cast(tokens, tf.int64), tf.constant(-1, tf.int64)
    matrix = tf.tensor_scatter_nd_update(tf.fill(shape, padding), where, tf.gather(tokens, order))
    attributions = tf.scatter_nd(where, tf.gather(scores, order), shape)
    return attributions, matrix, tf.cast(length, tf.int64)
