"""What the graph alone tells of a tensor: its value, its entries as a shape, how it broadcasts."""

import numpy as np
import tensorflow as tf

from ig_tf.graph.states import Size, is_shared


_ARITHMETIC = {"Add": np.add, "AddV2": np.add, "Sub": np.subtract, "Mul": np.multiply}


def static(tensor):
    """Its value as numpy where the graph alone tells it, else None."""
    value = tf.get_static_value(tensor)
    return _computed(tensor) if value is None else value


def _computed(tensor):
    """Integers computed from others, such as the last axis: [rank - 1]."""
    op = tensor.op
    if not tensor.dtype.is_integer or op.type not in ("Pack", *_ARITHMETIC):
        return None
    if op.type == "Pack" and (op.get_attr("axis") or op.inputs[0].shape.rank != 0):
        return None
    operands = [static(operand) for operand in op.inputs]
    if any(operand is None for operand in operands):
        return None
    return np.stack(operands) if op.type == "Pack" else _ARITHMETIC[op.type](*operands)


def known_entries(tensor):
    """Entries of a vector of sizes, None for one that is not known; else None: its length is not.

    Other than TensorFlow it also cuts slices out of a shape that is known in part.
    """
    op = tensor.op
    if op.type == "Shape":
        shape = op.inputs[0].shape
        return None if shape.rank is None else shape.as_list()
    if op.type == "ConcatV2" and tensor.shape.rank == 1:
        parts = [known_entries(part) for part in op.inputs[:-1]]
        return None if None in parts else [entry for part in parts for entry in part]
    if op.type == "Slice" and op.inputs[0].op.type == "Shape":
        begin, size = static(op.inputs[1]), static(op.inputs[2])
        whole = op.inputs[0].op.inputs[0].shape
        if begin is None or size is None or whole.rank is None or begin.size != 1:
            return None
        rest = whole.as_list()[int(begin[0]):]
        return rest if size[0] == -1 else rest[:int(size[0])]
    value = tf.get_static_value(tensor, partial=True)
    return None if value is None else [None if one is None else int(one) for one in np.ravel(value)]


def entries_of(tensor, state):
    """Entries of a shape vector: ints, BATCH, FOLDED or None for an unknown shared number."""
    if isinstance(state, Size):
        return state.entries
    value = tf.get_static_value(tensor, partial=True)
    if value is not None and (is_shared(state) or not np.any(np.equal(value, None))):
        return tuple(None if entry is None else int(entry) for entry in np.ravel(value))
    if is_shared(state) and tensor.shape.rank == 1 and tensor.shape[0] is not None:
        return (None,) * tensor.shape[0]
    return None


def broadcasts_over(tensor, place):
    """Whether a shared tensor has no extent of its own at this place from the right."""
    rank = tensor.shape.rank
    if rank is None:
        return False
    return rank < place or tensor.shape[rank - place] == 1
