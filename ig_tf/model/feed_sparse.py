"""Sparse tensors that are fed in parts are one input of a signature, as TensorFlow has it."""

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from ig_tf.model.model import sparse_keys
from ig_tf.model.nodes import producer


def inputs_of(feeds, tensors):
    """Inputs of a signature: dense ones by name, the parts of a sparse tensor as one.

    Args:
      feeds: `Feed`s that were swapped.
      tensors: {name of a feed: tensor name of its placeholder}.

    Returns:
      {key: tensor name or TensorInfo}. The parts keep their names: `sparse_keys` of the key.
    """
    by_name = {one.name: one for one in feeds}
    found = dict(tensors)
    for name in tensors:
        key = name.removesuffix("_indices")
        parts = sparse_keys(key)
        if key != name and key not in tensors and all(part in by_name for part in parts) and (
                len({producer(by_name[part].tensor) for part in parts}) == 1):
            found[key] = _info(*(by_name[part] for part in parts),
                               [found.pop(part) for part in parts])
    return found


def _info(indices, values, dense_shape, tensors):
    info = meta_graph_pb2.TensorInfo(dtype=values.dtype.as_datatype_enum)
    sparse = info.coo_sparse
    (sparse.indices_tensor_name, sparse.values_tensor_name,
     sparse.dense_shape_tensor_name) = tensors
    rank = indices.shape[1] if indices.shape.rank == 2 else None
    if rank is None and dense_shape.shape.rank == 1:
        rank = dense_shape.shape[0]
    shape = tf.TensorShape(None if rank is None else [None] * rank)
    info.tensor_shape.CopyFrom(shape.as_proto())
    return info
