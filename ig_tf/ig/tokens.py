"""Tokens: what was sent for each id, and what each id of a bag has of the pooled attribution."""

import tensorflow as tf

from ig_tf.points.bags import PRODUCT
from ig_tf.points.sent import CROSSES, PLACING, cross_of

# What one row counts for in its example's pooled vector, from the number of rows.
SHARES = {
    "sum": lambda count: tf.ones_like(count),
    "mean": lambda count: 1 / count,
    "sqrtn": lambda count: tf.math.rsqrt(count),
}


def per_id(bag, work, values, integral, batch):
    """Attribution of each id of a bag, for a zero baseline.

    Args:
      bag: a `Bag`.
      work: the `Work` whose tensors it names.
      values: {tensor name: tensor} with all of `bag.tensors()`.
      integral: [batch, dim], the integral of dF/d(pooled vector) along the path; [batch, k, dim]
        where each example has k pooled vectors.
      batch: number of examples.

    Returns:
      (attributions [batch, longest], tokens [batch, longest] padded with "" or -1,
      length [batch] int64).
    """
    integral = tf.reshape(integral, [-1, integral.shape[-1] or tf.shape(integral)[-1]])
    pooled = tf.shape(integral)[0]
    rows, segments = _rows(bag, values, integral.dtype)
    count = tf.math.unsorted_segment_sum(
        tf.ones_like(segments, integral.dtype), segments, pooled)
    share = SHARES[bag.share](tf.gather(count, segments))
    scores = share * tf.reduce_sum(rows * tf.gather(integral, segments), -1)
    tokens, examples = sent(bag.sent, work, values), _examples(bag, values)
    of_defaults = None
    if bag.filled is not None:
        places, empty = (values[name] for name in bag.filled)
        if bag.default_counts:
            of_defaults = tf.where(empty, tf.math.unsorted_segment_sum(scores, segments, pooled), 0)
        scores = tf.gather(scores, places)
    if bag.kept:  # what the model does not know has no part in its answer
        scores = tf.scatter_nd(tf.cast(_positions(bag, values), tf.int32)[:, None], scores,
                               [tf.size(tokens)])
    if of_defaults is not None:
        scores, tokens, examples = _with_defaults(
            scores, tokens, examples, of_defaults, empty, pooled // tf.maximum(batch, 1))
    return _by_example(examples, scores, tokens, batch)


def _positions(bag, values):
    """Places of the ids that were looked up among those that were sent."""
    positions = values[bag.kept[-1]]
    for name in bag.kept[-2::-1]:
        positions = tf.gather(positions, values[name])
    return positions


def _with_defaults(scores, tokens, examples, of_defaults, empty, rows_each):
    """One more entry for each empty bag: the id that the model puts there by default."""
    rows = tf.cast(tf.where(empty)[:, 0], examples.dtype)
    default = tf.fill(tf.shape(rows), padding(tokens.dtype))
    return (tf.concat([scores, tf.gather(of_defaults, rows)], 0),
            tf.concat([tokens, default], 0),
            tf.concat([examples, rows // tf.cast(tf.maximum(rows_each, 1), rows.dtype)], 0))


def _examples(bag, values):
    found = values[bag.examples]
    return found if found.shape.rank == 1 else found[:, 0]


def padding(dtype):
    """What stands for no token."""
    return tf.constant("" if dtype == tf.string else -1, dtype)


def longest(bag, values, batch):
    """The largest number of tokens that an example of the batch has."""
    examples = _examples(bag, values)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(examples, tf.int32), examples, batch)
    least = 1 if bag.default_counts else 0
    return tf.reduce_max(tf.concat([[least], counts], 0))


def _rows(bag, values, dtype):
    """Each pooled row [rows, dim] and its example [rows]."""
    operands = [values[name] for name in bag.operands]
    if bag.operation == PRODUCT:
        indices, weights, table = operands
        vectors = tf.cast(tf.gather(table, indices[:, 1]), dtype)
        return vectors * tf.cast(weights, dtype)[:, None], indices[:, 0]
    if len(operands) == 3:
        data, indices, segments = operands
        return tf.cast(tf.gather(data, indices), dtype), segments
    data, segments = operands
    return tf.cast(data, dtype), segments if segments.shape.rank == 1 else segments[:, 0]


def sent(what, work, values):
    """Strings, or int64 numbers, in the shape of the ids that were made of them.

    Args:
      what: a `Sent`.
      work: the `Work` whose tensors it names.
      values: {tensor name: tensor} with all of `what.inputs`.
    """
    source = work.tensor(what.source)
    tokens = values[what.source]
    if what.column is not None:
        return tf.cast(tokens[:, what.column], tf.int64)
    if source.op.type in CROSSES:
        tokens = crossed_strings(source.op, values)
    elif tokens.dtype.is_floating:
        tokens = tf.strings.as_string(tokens, shortest=True)
    elif tokens.dtype != tf.string:
        tokens = tf.cast(tokens, tf.int64)
    for name in what.placed:
        op = work.graph.get_operation_by_name(name)
        others = [None if place == PLACING[op.type] else values[tensor.name]
                  for place, tensor in enumerate(op.inputs)]
        tokens = PLACED[op.type](op, tokens, others)
    return tokens


def crossed_strings(op, values):
    """The keys of each crossed value, joined by `_X_`, in the order of the hashed ones."""
    cross = cross_of(op, [values[tensor.name] for tensor in op.inputs])
    return tf.raw_ops.SparseCross(
        indices=cross.indices, values=_as_strings(cross.values), shapes=cross.shapes,
        dense_inputs=_as_strings(cross.dense), hashed_output=False, num_buckets=0, hash_key=0,
        out_type=tf.string, internal_type=tf.string)[1]


def _as_strings(tensors):
    return [t if t.dtype == tf.string else tf.strings.as_string(t) for t in tensors]


def _padded(op, tokens, others):
    return tf.pad(tokens, others[1], constant_values=padding(tokens.dtype))


def _strided(op, tokens, others):
    masks = {name: op.get_attr(name) for name in (
        "begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")}
    return tf.raw_ops.StridedSlice(input=tokens, begin=others[1], end=others[2], strides=others[3],
                                   **masks)


def _from_ragged(op, tokens, others):
    return tf.raw_ops.RaggedTensorToTensor(
        shape=others[0], values=tokens, default_value=padding(tokens.dtype),
        row_partition_tensors=others[3:], row_partition_types=op.get_attr("row_partition_types"))


# The ops of PLACING, once more, with tokens in the place of ids: (op, tokens, its other inputs).
PLACED = {
    "Reshape": lambda op, tokens, others: tf.reshape(tokens, others[1]),
    "ExpandDims": lambda op, tokens, others: tf.expand_dims(tokens, others[1]),
    "Squeeze": lambda op, tokens, others: tf.squeeze(tokens, op.get_attr("squeeze_dims") or None),
    "Transpose": lambda op, tokens, others: tf.transpose(tokens, others[1]),
    "Pad": _padded,
    "PadV2": _padded,
    "Slice": lambda op, tokens, others: tf.slice(tokens, others[1], others[2]),
    "StridedSlice": _strided,
    "GatherNd": lambda op, tokens, others: tf.gather_nd(tokens, others[1]),
    "SparseToDense": lambda op, tokens, others: tf.raw_ops.SparseToDense(
        sparse_indices=others[0], output_shape=others[1], sparse_values=tokens,
        default_value=padding(tokens.dtype), validate_indices=False),
    "RaggedTensorToTensor": _from_ragged,
}


def _by_example(examples, scores, tokens, batch):
    """Rows of a padded matrix, one per example, in the order in which the ids were sent."""
    order = tf.argsort(examples, stable=True)
    examples = tf.cast(tf.gather(examples, order), tf.int32)
    length = tf.math.unsorted_segment_sum(tf.ones_like(examples), examples, batch)
    place = tf.range(tf.size(examples)) - tf.gather(tf.cumsum(length, exclusive=True), examples)
    where = tf.stack([examples, place], 1)
    shape = tf.stack([batch, tf.reduce_max(tf.concat([[0], length], 0))])
    matrix = tf.tensor_scatter_nd_update(tf.fill(shape, padding(tokens.dtype)), where,
                                         tf.gather(tokens, order))
    attributions = tf.scatter_nd(where, tf.gather(scores, order), shape)
    return attributions, matrix, tf.cast(length, tf.int64)
