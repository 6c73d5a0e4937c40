"""The examples of a batch by themselves: how many, one cut out, its results filled up."""

import tensorflow as tf

from ig_tf.ig.tokens import padding


def _sparse(work, inputs):
    """The sparse inputs as such: lists of the names of their parts, and a tf.SparseTensor each."""
    for keys in work.sparse.values():
        names = [work.inputs[key].name for key in keys]
        yield names, tf.SparseTensor(*(inputs[name] for name in names))


def examples_of(work, inputs):
    """How many examples a batch has."""
    parts = []
    for names, sparse in _sparse(work, inputs):
        parts.extend(names)
        examples = sparse.dense_shape[0]
    dense = [tensor for name, tensor in inputs.items()
             if name not in parts and tensor.shape.rank != 0]
    return tf.shape(dense[0])[0] if dense else tf.cast(examples, tf.int32)


def one_row_each(work, inputs, examples, answer):
    """Checks: examples lie along axis 0 of every input and of the answer, nowhere else."""
    parts = [name for names, _ in _sparse(work, inputs) for name in names]
    counted = {name: tensor for name, tensor in inputs.items()
               if name not in parts and tensor.shape.rank != 0}
    counted.update(answer)
    checks = [tf.debugging.assert_equal(tf.shape(tensor)[0], examples, message=(
        f"{name} does not have one row for each example along its first axis; each example would "
        "have to run alone, and it cannot be told apart (time-major tensors, folded batches)."))
        for name, tensor in counted.items()]
    return [check for check in checks if check is not None]


def one_example(work, inputs, example):
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


def padded(row, width):
    """Zeros, or padding tokens, behind a row, up to the shape that it has in the batch."""
    if width is None or row.shape.is_fully_defined():
        return row
    missing = tf.maximum(width - tf.shape(row), 0)
    filling = tf.zeros([], row.dtype) if row.dtype.is_floating else padding(row.dtype)
    return tf.pad(row, tf.stack([tf.zeros_like(missing), missing], 1), constant_values=filling)


def nothing(specs, widths):
    """Results for no examples; stacking cannot make them where a dimension is unknown.

    Args:
      specs: tf.TensorSpec of one example's results.
      widths: for the first of them, how wide they are in this batch, or None: as the spec says.
    """
    shapes = [[0, *(dim or 0 for dim in spec.shape)] for spec in specs]
    for place, width in enumerate(widths):
        if width is not None:
            shapes[place] = tf.concat([[0], width], 0)
    return [tf.zeros(shape, spec.dtype) if spec.dtype != tf.string else tf.fill(shape, "")
            for shape, spec in zip(shapes, specs)]
