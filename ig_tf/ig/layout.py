"""Tensors of the model with their examples first, as everything in the answer is, and back."""

import tensorflow as tf

from ig_tf.graph.batch_axes import STEPS


def examples_first(tensor, axis):
    """[batch, ...] of a tensor whose examples lie along `axis`."""
    return tf.transpose(tensor, [axis, *_others(tensor, axis)]) if axis else tensor


def examples_back(tensor, axis):
    """The model's own order of axes again."""
    if not axis:
        return tensor
    rest = list(range(1, tensor.shape.rank))
    return tf.transpose(tensor, [*rest[:axis], 0, *rest[axis:]])


def shape_first(shape, axis):
    """The static shape that `examples_first` gives, as a list."""
    dims = list(shape)
    return [dims[axis], *dims[:axis], *dims[axis + 1:]] if axis else dims


def folds_apart(tensor, folds, examples):
    """[batch, k, ...] of a tensor with several rows per example, [batch * k, ...]."""
    sizes = [examples, folds_of(tensor, examples)]
    if folds == STEPS:
        sizes = sizes[::-1]
    apart = tf.reshape(tensor, tf.concat([sizes, tf.shape(tensor)[1:]], 0))
    apart = tf.ensure_shape(apart, [None, None, *tensor.shape[1:]])
    return examples_first(apart, 1) if folds == STEPS else apart


def folds_together(tensor, folds):
    """The model's own rows again."""
    tensor = examples_back(tensor, 1) if folds == STEPS else tensor
    shape = tf.shape(tensor)
    merged = tf.reshape(tensor, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
    return tf.ensure_shape(merged, [None, *tensor.shape[2:]])


def one_fold(tensor, folds, examples, number):
    """[batch, ...]: row `number` of each example, of a tensor with several rows per example.

    Args:
      tensor: [batch * k, ...].
      folds: how the rows lie, BLOCKS or STEPS.
      examples: scalar int32 tensor.
      number: scalar int32 tensor, less than k.
    """
    return tf.gather(folds_apart(tensor, folds, examples), number, axis=1)


def folds_of(tensor, examples):
    """How many rows of a tensor each example has."""
    return tf.shape(tensor)[0] // tf.maximum(examples, 1)


def _others(tensor, axis):
    return [other for other in range(tensor.shape.rank) if other != axis]
