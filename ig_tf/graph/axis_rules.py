"""Rules for ops that move axes or say a shape; their form is that of row_rules.py."""

import numpy as np

from ig_tf.graph.shape_values import broadcasts_over, entries_of, static
from ig_tf.graph.states import (BATCH, FOLDED, CountOf, Cycle, Distinct, Index, IndexPair, Rows,
                                Segments, SparseIndices, Values, is_shared)


def reshape(op, inputs):
    """Row-major order is kept, so examples stay blocks; axis 0 must stay a whole number of them."""
    state, target = inputs[0], op.inputs[1]
    if isinstance(inputs[1], CountOf):
        return state if state == inputs[1].rows else None  # other axes of one value each
    entries = entries_of(target, inputs[1])
    if isinstance(state, Distinct):
        return state if entries == (-1,) and op.inputs[0].shape.rank == 1 else None
    if isinstance(state, Cycle) and entries:
        return _by_steps(op.inputs[0].shape[1:], entries) if entries[0] != BATCH else None
    if not isinstance(state, Rows) or not entries:
        return None
    if state.unit and op.inputs[0].shape.rank == 1 and entries in ((1, BATCH), (-1, BATCH)):
        return Rows(1)
    if state.unit and entries == (BATCH,):  # one number per example: other axes have extent 1
        return Rows(0)
    if state.axis != 0:
        return _by_steps(op.inputs[0].shape[state.axis + 1:], entries) if state.unit else None
    if entries[0] == BATCH:
        return Rows(0, True)
    if entries[0] == FOLDED:
        return Rows(0, False)
    if entries[0] != -1:
        return None
    return _inferred_rows(op.inputs[0].shape, state, entries[1:])


def _inferred_rows(shape, state, rest):
    """The leading -1 is a whole number of examples if the rest divides one example's size."""
    if any(not isinstance(entry, int) for entry in rest) or shape.rank is None:
        return None
    asked = int(np.prod(rest)) if rest else 1
    dims = shape.as_list()[1:]
    known = int(np.prod([dim for dim in dims if dim is not None]))
    if None not in dims and known == asked and state.unit:
        return Rows(0, True)
    return Rows(0, False) if asked > 0 and known % asked == 0 else None


def _by_steps(own, entries):
    """[time, batch, ...] or [time * batch, ...] whose steps and examples merge or come apart.

    Row-major order: the place of an element is (step * batch + example) * size + its own place.
    What follows the examples' axis has to stay as much as one step of one example.
    """
    if entries.count(BATCH) == 1 and FOLDED not in entries:
        axis = entries.index(BATCH)
        return Rows(axis) if same_size(own, entries[axis + 1:]) else None
    return Cycle() if BATCH not in entries and same_size(own, entries[1:]) else None


def same_size(shape, entries):
    """Whether some static sizes and some entries of a shape are known, and make as many."""
    sizes = [*shape.as_list(), *entries]
    known = all(isinstance(size, int) and size >= 0 for size in sizes)
    return known and shape.num_elements() == int(np.prod(entries))


def expand_dims(op, inputs):
    axis, rank = static(op.inputs[1]), op.inputs[0].shape.rank
    if axis is None or rank is None:
        return None
    axis = int(np.ravel(axis)[0])
    axis = axis + rank + 1 if axis < 0 else axis
    if isinstance(inputs[0], (Values, Index)):
        return inputs[0] if axis > 0 else None
    if not isinstance(inputs[0], Rows):
        return None
    return Rows(inputs[0].axis + (axis <= inputs[0].axis), inputs[0].unit)


def squeeze(op, inputs):
    rank = op.inputs[0].shape.rank
    if rank is None:
        return None
    axes = {axis % rank for axis in op.get_attr("squeeze_dims")}
    if isinstance(inputs[0], Values):
        return inputs[0] if axes and 0 not in axes else None
    if not isinstance(inputs[0], Rows) or not axes or inputs[0].axis in axes:
        return None
    return Rows(inputs[0].axis - sum(axis < inputs[0].axis for axis in axes), inputs[0].unit)


def transpose(op, inputs):
    if isinstance(inputs[0], IndexPair):
        return SparseIndices(True)
    order = static(op.inputs[1])
    if order is None or not isinstance(inputs[0], Rows):
        return None
    return Rows([int(axis) for axis in order].index(inputs[0].axis), inputs[0].unit)


def concat(axis_at):
    """ConcatV2 has its axis last, Concat first. Shared operands have no rows to join."""
    def rule(op, inputs):
        axis = static(op.inputs[axis_at])
        states = list(inputs)
        del states[axis_at]
        rank = op.outputs[0].shape.rank
        if axis is None or rank is None or len(set(states)) != 1:
            return None
        if not isinstance(states[0], Rows) or int(axis) % rank == states[0].axis:
            return None
        return states[0]
    return rule


def pack(op, inputs):
    axis, rank = op.get_attr("axis"), op.outputs[0].shape.rank
    if len(inputs) == 2 and isinstance(inputs[0], Segments) and isinstance(inputs[1], Values):
        return SparseIndices(inputs[0].filled) if axis in (1, -1) else None
    if isinstance(inputs[0], Index) and len(inputs) == 2:
        other = isinstance(inputs[1], Rows) and inputs[1].axis == 0
        if other and rank == 2:
            one_each = inputs[0].unit and inputs[1].unit
            return IndexPair() if axis == 0 else SparseIndices(True, one_each)
        return None
    if rank is None or len(set(inputs)) != 1 or not isinstance(inputs[0], Rows):
        return None
    return Rows(inputs[0].axis + (axis % rank <= inputs[0].axis), inputs[0].unit)


def unpack(op, inputs):
    axis, rank = op.get_attr("axis"), op.inputs[0].shape.rank
    if rank is None or not isinstance(inputs[0], Rows) or axis % rank == inputs[0].axis:
        return None
    return Rows(inputs[0].axis - (axis % rank < inputs[0].axis), inputs[0].unit)


def split(axis_at, data_at):
    def rule(op, inputs):
        axis, rank = static(op.inputs[axis_at]), op.inputs[data_at].shape.rank
        state = inputs[data_at]
        if axis is None or rank is None or not isinstance(state, Rows):
            return None
        return None if int(np.ravel(axis)[0]) % rank == state.axis else state
    return rule


def slice_(op, inputs):
    begin, size = (entries_of(t, s) for t, s in zip(op.inputs[1:], inputs[1:]))
    if not isinstance(inputs[0], Rows) or begin is None or size is None:
        return None
    axis = inputs[0].axis
    whole = (begin[axis] == 0 and size[axis] in (-1, BATCH)
             and not _elsewhere(begin, None) and not _elsewhere(size, axis))
    return inputs[0] if whole and (size[axis] == -1 or inputs[0].unit) else None


def strided_slice(op, inputs):
    """The examples' axis must be taken whole, forwards."""
    state = inputs[0]
    if not isinstance(state, Rows) or not all(is_shared(s) for s in inputs[1:]):
        return None
    begin, strides = static(op.inputs[1]), static(op.inputs[3])
    length = op.inputs[1].shape[0] if op.inputs[1].shape.rank == 1 else None
    if length is None:
        return None
    masks = {name: op.get_attr(name) for name in (
        "begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")}
    axis, place = 0, 0  # axis of the input, place in the result
    for spec in range(length):
        bit = 1 << spec
        if masks["ellipsis_mask"] & bit:
            if op.inputs[0].shape.rank is None:
                return None
            left = bin(masks["new_axis_mask"] >> (spec + 1)).count("1")
            skipped = op.inputs[0].shape.rank - axis - (length - spec - 1 - left)
            if axis <= state.axis < axis + skipped:
                return Rows(place + state.axis - axis, state.unit)
            axis, place = axis + skipped, place + skipped
        elif masks["new_axis_mask"] & bit:
            place += 1
        elif axis == state.axis:
            whole = (masks["end_mask"] & bit
                     and (masks["begin_mask"] & bit or begin is not None and begin[spec] == 0)
                     and strides is not None and strides[spec] == 1
                     and not masks["shrink_axis_mask"] & bit)
            return Rows(place, state.unit) if whole else None
        else:
            axis += 1
            place += not masks["shrink_axis_mask"] & bit
    return Rows(place + state.axis - axis, state.unit)


def pad(op, inputs):
    paddings = static(op.inputs[1])
    if paddings is None or not isinstance(inputs[0], Rows):
        return None
    return inputs[0] if not np.any(paddings[inputs[0].axis]) else None


def tile(op, inputs):
    entries = entries_of(op.inputs[1], inputs[1])
    if entries in ((BATCH,), (FOLDED,)) and is_shared(inputs[0]):
        return Rows(0, False)
    if entries is None or not isinstance(inputs[0], (Rows, Index)):
        return None
    axis = inputs[0].axis if isinstance(inputs[0], Rows) else 0
    if entries[axis] != 1 or _elsewhere(entries, axis):
        return None
    return inputs[0] if isinstance(inputs[0], Rows) else Index(False)


def fill(op, inputs):
    """A tensor of one value whose extent along some axis is the batch."""
    if isinstance(inputs[0], CountOf):
        return inputs[0].rows if is_shared(inputs[1]) else None
    entries = entries_of(op.inputs[0], inputs[0])
    if entries is None or not is_shared(inputs[1]):
        return None
    return _rows_of_entries(entries)


def broadcast_to(op, inputs):
    entries = entries_of(op.inputs[1], inputs[1])
    if entries is None:
        return None
    made = _rows_of_entries(entries)
    if is_shared(inputs[0]):
        place = len(entries) - made.axis if made else 0
        return made if made and broadcasts_over(op.inputs[0], place) else None
    if not isinstance(inputs[0], Rows) or op.inputs[0].shape.rank is None:
        return None
    axis = inputs[0].axis + len(entries) - op.inputs[0].shape.rank
    return None if _elsewhere(entries, axis) else Rows(axis, inputs[0].unit)


def _elsewhere(entries, axis):
    """Whether the number of examples is the extent of an axis that does not hold them."""
    return any(entry in (BATCH, FOLDED) for place, entry in enumerate(entries) if place != axis)


def _rows_of_entries(entries):
    found = [axis for axis, entry in enumerate(entries) if entry in (BATCH, FOLDED)]
    if len(found) != 1:
        return None
    return Rows(found[0], entries[found[0]] == BATCH)


def reverse_sequence(op, inputs):
    """The first steps of each example in reverse order; how many is the example's own number."""
    state, axis = inputs[0], op.get_attr("batch_dim")
    if not isinstance(state, Rows) or not state.unit or op.get_attr("seq_dim") == state.axis:
        return None
    own = inputs[1] == Rows(0) and axis == state.axis
    return state if own else None


def gather(op, inputs):
    """Rows of a shared table, or columns of per-example data."""
    params, indices = inputs[:2]
    axis = static(op.inputs[2]) if len(op.inputs) > 2 else 0
    batch_dims = op.get_attr("batch_dims") if "batch_dims" in op.node_def.attr else 0
    if axis is None:
        return None
    axis = int(axis)
    if is_shared(params) and axis == 0 and not batch_dims:
        return indices if isinstance(indices, (Rows, Values)) else None
    if isinstance(params, Rows) and is_shared(indices):
        rank, width = op.inputs[0].shape.rank, op.inputs[1].shape.rank
        if rank is None or width is None or batch_dims or axis % rank == params.axis:
            return None
        shift = width - 1 if axis % rank < params.axis else 0
        return Rows(params.axis + shift, params.unit)
    both = isinstance(params, Rows) and params == indices
    return params if both and params.axis < batch_dims else None


def one_hot(op, inputs):
    """The new axis stands at `axis`; -1 is the last."""
    if not isinstance(inputs[0], (Rows, Values)) or not all(is_shared(s) for s in inputs[1:]):
        return None
    axis = op.get_attr("axis")
    if axis == -1 or isinstance(inputs[0], Rows) and axis > inputs[0].axis:
        return inputs[0]
    return None


RULES = {
    "Reshape": reshape,
    "ExpandDims": expand_dims,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "ConcatV2": concat(-1),
    "Concat": concat(0),
    "Pack": pack,
    "Unpack": unpack,
    "Split": split(0, 1),
    "SplitV": split(2, 0),
    "Slice": slice_,
    "StridedSlice": strided_slice,
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), pad),
    "Tile": tile,
    "Fill": fill,
    "BroadcastTo": broadcast_to,
    **dict.fromkeys(("Gather", "GatherV2", "ResourceGather"), gather),
    "OneHot": one_hot,
    "ReverseSequence": reverse_sequence,
}
