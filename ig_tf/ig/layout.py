"""Tensors of the model with their examples first, as everything in the answer is, and back."""

import tensorflow as tf

from ig_tf.graph.batch_axes import BLOCKS


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


def one_fold(tensor, folds, examples, number):
    """[batch, ...]: row `number` of each example, of a tensor with several rows per example.

    Args:
      tensor: [batch * k, ...].
      folds: how the rows lie, BLOCKS or STEPS.
      examples: scalar int32 tensor.
      number: scalar int32 tensor, less than k.
    """
    rest = tf.shape(tensor)[1:]
    each = folds_of(tensor, examples)
    if folds == BLOCKS:
        apart = tf.reshape(tensor, tf.concat([[examples, each], rest], 0))
        found = tf.gather(apart, number, axis=1)
    else:
        apart = tf.reshape(tensor, tf.concat([[each, examples], rest], 0))
        found = tf.gather(apart, number, axis=0)
    return tf.ensure_shape(found, [None, *tensor.shape[1:]])


def folds_of(tensor, examples):
    """How many rows of a tensor each example has."""
    return tf.shape(tensor)[0] // tf.maximum(examples, 1)


def _others(tensor, axis):
    return [other for other in range(tensor.shape.rank) if other != axis]
