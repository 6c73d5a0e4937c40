"""Other numbers in the place of the weights behind the points, for a sanity check.

Attributions that stay when what the model has learned is thrown away show the input, not the model
(Adebayo et al., Sanity Checks for Saliency Maps, 2018). Only the copied path gets the numbers: the
model, its variables and its constants stay as they are.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from ig_tf.graph import surgery

# Ops whose operands are weights where no input changes them.
WEIGHING = frozenset({
    "MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "SparseMatMul", "Einsum",
    "XlaEinsum", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput",
    "Conv3DBackpropInputV2", "While", "StatelessWhile", "CudnnRNN", "CudnnRNNV3", "LSTMBlockCell",
    "GRUBlockCell", "BlockLSTM", "BlockLSTMV2", "PartitionedCall", "StatefulPartitionedCall",
    "If", "StatelessIf"})
LAST, ALL = "last", "all"
SHARES = {LAST: 1 / 3, ALL: 1.0}  # of the weights, counted from the target back
_SEED = (7, 11)


def weights(recipe):
    """Names of the weights of the path, those next to the target first."""
    graph, moved = recipe.work.graph, surgery.downstream(recipe.work.inputs.values())
    copied = {*recipe.copy.operations, *recipe.front.copy.operations}
    found, seen = {}, set()
    queue = [graph.get_tensor_by_name(recipe.target.tensor)]
    while queue:
        op = queue.pop(0).op
        if op.name in seen or op.name not in copied:
            continue
        seen.add(op.name)
        for operand in op.inputs:
            if op.type in WEIGHING and _is_weight(operand, moved):
                found[operand.name] = None
        queue.extend(op.inputs)
    return tuple(found)


def _is_weight(tensor, moved):
    return (tensor.dtype.is_floating and tensor.name not in moved
            and tensor.shape.rank is not None and tensor.shape.rank >= 2)


def read_inside(recipe):
    """Whether loops or branches of the path read variables themselves: these keep their numbers."""
    copied = {*recipe.copy.operations, *recipe.front.copy.operations}
    return any(operand.dtype == tf.resource for op in recipe.work.graph.get_operations()
               if op.name in copied and op.type in WEIGHING for operand in op.inputs)


def nearest(names, share):
    """The first so many of them, one at least."""
    return names[:max(math.ceil(share * len(names)), 1)]


def replace(names):
    """Puts normal noise of the weights' own size (root of the mean square) in their place.

    Args:
      names: of tensors of the working graph.

    Returns:
      function(recipe, values) -> (recipe, values), for `look.taken_apart`.
    """
    def replaced(recipe, values):
        found, copies = dict(values), []
        for copy in (recipe.copy, recipe.front.copy):  # small constants are copied, not shared
            inside = [name for name in names if name not in copy.shared
                      and recipe.work.tensor(name).op.name in copy.operations]
            copies.append(dataclasses.replace(copy, shared=(*copy.shared, *inside)))
        for place, name in enumerate(names):
            tensor = recipe.work.tensor(name)
            known = tf.get_static_value(tensor) if name not in values else None
            value = values[name] if known is None else tf.constant(known)
            found[name] = _noise(value, place)
        front = dataclasses.replace(recipe.front, copy=copies[1])
        return dataclasses.replace(recipe, copy=copies[0], front=front), found
    return replaced


def _noise(value, place):
    wide = tf.float32 if value.dtype.size < 4 else value.dtype
    size = tf.sqrt(tf.reduce_mean(tf.square(tf.cast(value, wide))))
    noise = tf.random.stateless_normal(tf.shape(value), np.add(_SEED, place), dtype=wide)
    return tf.ensure_shape(tf.cast(size * noise, value.dtype), value.shape)
