"""Lookups in a table that is stored in parts: partition the ids, gather, stitch together again."""

import dataclasses

import tensorflow as tf

from ig_tf.graph.walk import through

STITCHES = frozenset({"DynamicStitch", "ParallelDynamicStitch"})
GATHERS = frozenset({"Gather", "GatherV2", "ResourceGather"})
# Between the rows of a part and the stitch: each row stays where it is.
_ROW_WISE = frozenset({"Identity", "Cast", "EnsureShape"})


@dataclasses.dataclass(frozen=True)
class PartedLookup:
    """Row j of the stitched tensor is the table's row for id j.

    Attributes:
      ids: the flat ids [rows], as they were before the partition.
      within: the same, as places within their parts.
      assignment: for each id, its part.
      parts: the tables' parts, in order.
    """

    ids: object
    within: object
    assignment: object
    parts: tuple


def parted_lookup(stitch):
    """The `PartedLookup` that ends in a stitch, or None where it is another use of one."""
    count = len(stitch.inputs) // 2
    places = [tensor.op for tensor in stitch.inputs[:count]]
    order = places[0]
    if order.type != "DynamicPartition" or any(op is not order for op in places) or any(
            tensor.value_index != part for part, tensor in enumerate(stitch.inputs[:count])):
        return None
    if len(order.outputs) != count:
        return None
    ids = _counted(order.inputs[0])
    gathers = [_gather_behind(tensor) for tensor in stitch.inputs[count:]]
    if ids is None or None in gathers:
        return None
    split = gathers[0].inputs[1].op
    for part, gather in enumerate(gathers):
        if gather.inputs[1].op is not split or gather.inputs[1].value_index != part:
            return None
    if split.type != "DynamicPartition" or split.inputs[1] is not order.inputs[1]:
        return None
    return PartedLookup(ids, split.inputs[0], order.inputs[1],
                        tuple(gather.inputs[0] for gather in gathers))


def _gather_behind(tensor):
    """The gather of a part, through a clip of each row's norm and the like; None if another."""
    queue, seen, found = [tensor], set(), {}
    while queue:
        op = queue.pop().op
        if op.name in seen:
            continue
        seen.add(op.name)
        if op.type in GATHERS:
            found[op.name] = op
        elif op.type in _ROW_WISE | CLIPPING:
            queue.extend(t for t in op.inputs if t.dtype.is_floating)
        elif op.type != "Const":
            return None
    return next(iter(found.values())) if len(found) == 1 else None


# What tf.clip_by_norm is made of.
CLIPPING = frozenset({"Mul", "RealDiv", "Minimum", "Maximum", "Sum", "Sqrt", "Rsqrt", "Square",
                      "Select", "SelectV2", "Reciprocal"})


def _counted(tensor):
    """x where the tensor is range(size of x), x of rank 1; else None."""
    if tensor.op.type != "Range":
        return None
    start, limit, step = tensor.op.inputs
    if tf.get_static_value(start) != 0 or tf.get_static_value(step) != 1:
        return None
    limit = through(limit, ("Cast", "Identity"))
    return limit.op.inputs[0] if limit.op.type == "Size" else None
