"""What the graph alone tells of a tensor: its value, its entries as a shape, how it broadcasts."""

import numpy as np
import tensorflow as tf

from ig_tf.graph.states import Size, is_shared


def static(tensor):
    """Its value as numpy where the graph alone tells it, else None."""
    return tf.get_static_value(tensor)


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
