"""The examples of a batch by themselves: how many, one cut out, its results filled up."""

import tensorflow as tf

from ig_tf.ig.tokens import padding


def _sparse(work, inputs):
    """The sparse inputs as such: lists of the names of their parts, and a tf.SparseTensor each."""
    for keys in work.sparse.values():
        names = [work.inputs[key].name for key in keys]
        yield names, tf.SparseTensor(*(inputs[name] for name in names))


def _axes(work, axes, inputs):
    """{tensor name: axis of its examples} of the inputs that are neither scalar nor sparse."""
    return {work.inputs[name].name: axis for name, axis in axes.items()
            if work.inputs[name].name in inputs}


def examples_of(work, axes, inputs):
    """How many examples a batch has; `axes` is {input name: axis of the examples}."""
    for name, axis in _axes(work, axes, inputs).items():
        return tf.shape(inputs[name])[axis]
    *_, (_, sparse) = _sparse(work, inputs)
    return tf.cast(sparse.dense_shape[0], tf.int32)


def one_row_each(work, axes, inputs, examples, answer):
    """Checks: examples lie along their axis of every input and of the answer, nowhere else.

    Args:
      work: the `Work`.
      axes: {input name: axis}.
      inputs: {tensor name: tensor}.
      examples: how many there are.
      answer: {tensor name: (tensor, axis)}.
    """
    counted = {name: (inputs[name], axis) for name, axis in _axes(work, axes, inputs).items()}
    counted.update(answer)
    checks = [tf.debugging.assert_equal(tf.shape(tensor)[axis], examples, message=(
        f"{name} does not have one row for each example along axis {axis}; each example would "
        "have to run alone, and it cannot be told apart (time-major tensors, folded batches)."))
        for name, (tensor, axis) in counted.items()]
    return [check for check in checks if check is not None]


def one_example(work, axes, inputs, example):
    """Inputs {tensor name: tensor} of one example; scalars belong to all."""
    sliced = dict(inputs)
    for name, axis in _axes(work, axes, inputs).items():
        sliced[name] = inputs[name][(*[slice(None)] * axis, slice(example, example + 1))]
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
