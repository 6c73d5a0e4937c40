"""Rules for integers computed from shapes: which of them are the number of examples.

A rule takes the op and its inputs' states and returns the state of its outputs, or None where the
row rules should answer.
"""

import numpy as np

from ig_tf.graph.shape_values import entries_of, static
from ig_tf.graph.states import (BATCH, FOLDED, SHARED, CountOf, Cycle, Distinct, Elements, Index,
                                ListOf, Mixed, Rows, Shared, Size, SparseShape, Values, is_shared)


def shape(op, inputs):
    tensor, state = op.inputs[0], inputs[0]
    if isinstance(state, Mixed):
        return state
    if is_shared(state):
        return SHARED
    if isinstance(state, (Values, Distinct)):
        return CountOf(state) if tensor.shape.rank else None
    if not isinstance(state, (Rows, Cycle)) or tensor.shape.rank is None:
        return None
    entries = tensor.shape.as_list()
    if isinstance(state, Cycle):
        return Size((FOLDED, *entries[1:]))
    entries[state.axis] = BATCH if state.unit else FOLDED
    return Size(tuple(entries))


def number_of_elements(op, inputs):
    if isinstance(inputs[0], Rows):
        return Size((FOLDED,))
    return None


def rank(op, inputs):
    return SHARED if op.inputs[0].shape.rank is not None else None


def unchanged(op, inputs):
    """Identity, Cast, Reshape and the like of a number or a vector."""
    if isinstance(inputs[0], Size) and (op.outputs[0].dtype.is_integer
                                        or not inputs[0].depends_on_batch):
        return inputs[0]
    return None


def strided_slice(op, inputs):
    if not isinstance(inputs[0], Size):
        return _of_sparse_shape(op, inputs)
    spec = [static(tensor) for tensor in op.inputs[1:]]
    if any(part is None or len(part) != 1 for part in spec):
        return None
    if op.get_attr("new_axis_mask") or op.get_attr("ellipsis_mask"):
        return None
    begin = None if op.get_attr("begin_mask") & 1 else int(spec[0][0])
    end = None if op.get_attr("end_mask") & 1 else int(spec[1][0])
    if op.get_attr("shrink_axis_mask") & 1:
        return Size((inputs[0].entries[int(spec[0][0])],))
    return Size(inputs[0].entries[begin:end:int(spec[2][0])])


def slice_(op, inputs):
    begin, size = static(op.inputs[1]), static(op.inputs[2])
    if begin is None or size is None or len(begin) != 1:
        return None
    begin, size = int(begin[0]), int(size[0])
    entries = _entries(inputs[0])
    if entries is None:
        return None
    return Size(entries[begin:] if size == -1 else entries[begin:begin + size])


def gather(op, inputs):
    indices, entries = static(op.inputs[1]), _entries(inputs[0])
    if indices is None or entries is None:
        return None
    return Size(tuple(entries[int(i)] for i in np.ravel(indices)))


def _of_sparse_shape(op, inputs):
    if not isinstance(inputs[0], SparseShape):
        return None
    begin = static(op.inputs[1])
    if begin is not None and op.get_attr("shrink_axis_mask") & 1:
        return Size((_entries(inputs[0])[int(begin[0])],))
    return None


def _entries(state):
    if isinstance(state, Size):
        return state.entries
    if isinstance(state, SparseShape):
        return (BATCH,) + (None,) * (state.rank - 1)
    return None


def joined(scalars):
    """Pack, and ConcatV2 of vectors."""
    def rule(op, inputs):
        tensors, states = list(op.inputs), list(inputs)
        if not scalars:
            tensors, states = tensors[:-1], states[:-1]
        elif any(tensor.shape.rank != 0 for tensor in tensors):
            return None  # vectors on top of each other are no vector
        if isinstance(states[0], CountOf) and all(map(is_shared, states[1:])):
            return states[0]
        if not any(isinstance(s, (Size, SparseShape)) for s in states):
            return None
        entries = []
        for tensor, state in zip(tensors, states):
            part = _entries(state) or entries_of(tensor, state)
            if part is None and is_shared(state) and tensor.shape.rank == 0:
                part = (None,)
            if part is None:
                return None
            entries.extend(part)
        return Size(tuple(entries))
    return rule


def product(op, inputs):
    """Prod of a vector: a multiple of the batch where one factor is."""
    entries = _entries(inputs[0])
    return None if entries is None else Size((_times(entries),))


def multiply(op, inputs):
    states = [_scalar(tensor, state) for tensor, state in zip(op.inputs, inputs)]
    if None in states or not any(isinstance(s, Size) for s in inputs):
        return None
    return Size((_times([s[0] for s in states]),))


def _times(entries):
    if not entries:
        return 1
    examples = [entry for entry in entries if entry in (BATCH, FOLDED)]
    rest = [entry for entry in entries if entry not in (BATCH, FOLDED)]
    if len(examples) == 1:
        return examples[0] if all(entry == 1 for entry in rest) else FOLDED
    if examples:
        return FOLDED
    return None if None in rest else int(np.prod(rest))


def arithmetic(op, inputs):
    """Other sums of sizes: a shared number if no factor is the batch; else it is not followed."""
    if any(not isinstance(s, (Size, Shared)) for s in inputs):
        return None
    if all(is_shared(s) for s in inputs):
        return SHARED
    return None


def maximum(op, inputs):
    """max(batch, 1) and the like do not change what a non-empty batch gives."""
    states = [_scalar(tensor, state) for tensor, state in zip(op.inputs, inputs)]
    if None in states:
        return None
    examples = [s[0] for s in states if s[0] in (BATCH, FOLDED)]
    others = [s[0] for s in states if s[0] not in (BATCH, FOLDED)]
    if len(examples) == 1 and all(isinstance(o, int) and o <= 1 for o in others):
        return Size((examples[0],))
    return None


def range_(op, inputs):
    start, step = static(op.inputs[0]), static(op.inputs[2])
    limit = _entries(inputs[1])
    if start == 0 and step == 1 and limit == (BATCH,):
        return Index()
    return None


def _scalar(tensor, state):
    if isinstance(state, Size):
        return state.entries if len(state.entries) == 1 else None
    if not is_shared(state):
        return None
    value = static(tensor)
    if value is None or not tensor.dtype.is_integer:
        return (None,) if tensor.shape.rank == 0 else None
    return (int(np.ravel(value)[0]),) if np.size(value) == 1 else None


def list_length(op, inputs):
    """Rules make lists of a shared length, or of one element for each example."""
    if isinstance(inputs[0], Elements):
        return Size((BATCH,))
    return SHARED if is_shared(inputs[0]) or isinstance(inputs[0], ListOf) else None


RULES = {
    "Shape": shape,
    "ShapeN": lambda op, inputs: None,
    "Size": number_of_elements,
    "Rank": rank,
    **dict.fromkeys(("Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "EnsureShape"),
                    unchanged),
    "StridedSlice": strided_slice,
    "Slice": slice_,
    "Gather": gather,
    "GatherV2": gather,
    "Pack": joined(True),
    "ConcatV2": joined(False),
    "Prod": product,
    "Mul": multiply,
    **dict.fromkeys(("Add", "AddV2", "Sub", "FloorDiv", "Minimum"), arithmetic),
    "Maximum": maximum,
    "TensorListLength": list_length,
    "Range": range_,
}
