"""Embedding lookups, recognised by structure: a table that no input changes, rows picked by ids.

A lookup is a gather, one out of a table in parts, a gather of distinct ids that is gathered again
for each id, or a one-hot times a matrix. Names of ops or scopes do not count.
"""

import dataclasses

from ig_tf.graph.partitions import CLIPPING, GATHERS, STITCHES, parted_lookup
from ig_tf.graph.walk import through
from ig_tf.points.tables import Table, table_of

LOOKUPS = GATHERS | {"GatherNd", "ResourceGatherNd"}
UNIQUE = frozenset({"Unique", "UniqueV2"})
# Behind looked-up vectors: the same vectors, in the same order.
_SAME_ROWS = frozenset({"Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "EnsureShape",
                        "Snapshot"})
PRODUCTS = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum",
                      "XlaEinsum"})
_TURNS = ("Reshape", "Transpose", "Identity", "Tile", "BroadcastTo", "ExpandDims")
_TOWARDS_A_PRODUCT = _SAME_ROWS | {"Transpose", "Sum", "BroadcastTo"}


@dataclasses.dataclass(frozen=True)
class Lookup:
    """Attributes:
      table: the `Table`.
      ids: tensor of ids, one per looked-up row; behind `Unique` where the rows were distinct.
      gather: the op that does it.
    """

    table: Table
    ids: object
    gather: object


def lookup_behind(tensor, features):
    """The one `Lookup` whose rows these are, perhaps weighted, clipped or reshaped; else None."""
    found, queue, seen = {}, [tensor], set()
    while queue:
        current = queue.pop()
        if current.name in seen or not features.depends(current):
            continue
        seen.add(current.name)
        lookup = lookup_at(current.op, features)
        if lookup is not None:
            found[lookup.gather.name] = lookup
        elif current.op.type in _SAME_ROWS:
            queue.append(current.op.inputs[0])
        elif current.op.type in CLIPPING:
            queue.extend(t for t in current.op.inputs if t.dtype.is_floating)
    return next(iter(found.values())) if len(found) == 1 else None


def lookup_at(op, features):
    """The `Lookup` that this op itself ends, or None."""
    if op.type in STITCHES:
        parted = parted_lookup(op)
        table = parted and table_of(parted.parts, features)
        return Lookup(table, _before_unique(parted.ids), op) if table else None
    if op.type not in LOOKUPS or not op.outputs[0].dtype.is_floating:
        return None
    params, ids = op.inputs[:2]
    if not features.depends(ids):
        return None
    if features.depends(params):  # the vectors of distinct ids, once more for each id
        inner = lookup_behind(params, features)
        again = inner and _flat(ids).op.type in UNIQUE
        return Lookup(inner.table, _before_unique(ids), op) if again else None
    table = table_of([params], features)
    return Lookup(table, _before_unique(ids), op) if table else None


def of_distinct_ids(tensor):
    """Whether these are the vectors of `Unique` ids, which all examples share."""
    op = tensor.op
    if op.type in STITCHES:
        parted = parted_lookup(op)
        return parted is not None and _flat(parted.ids).op.type in UNIQUE
    if op.type not in LOOKUPS:
        return False
    ids = _flat(op.inputs[1])
    return ids.op.type in UNIQUE and ids.value_index == 0


def one_hot_behind(tensor):
    """The OneHot op whose numbers these are, perhaps as floats and in another shape, or None."""
    op = through(tensor, _SAME_ROWS).op
    return op if op.type == "OneHot" else None


def matrix_of_one_hot(one_hot, features):
    """The `Table` that a one-hot is multiplied with, or None where it goes on as it is."""
    queue, seen = [one_hot], set()
    while queue:
        current = queue.pop(0)
        for op in current.consumers():
            if op.name in seen:
                continue
            seen.add(op.name)
            if op.type in PRODUCTS and len(op.inputs) == 2:
                other = op.inputs[1] if op.inputs[0] is current else op.inputs[0]
                table = table_of([through(other, _TURNS)], features)
                if table is not None:
                    return table
            elif op.type in _TOWARDS_A_PRODUCT:
                queue.extend(op.outputs)
    return None


def _before_unique(ids):
    """The ids of which these are the distinct ones, or places among them."""
    source = _flat(ids)
    return source.op.inputs[0] if source.op.type in UNIQUE else ids


def _flat(ids):
    return through(ids, ("Identity", "Cast", "Reshape", "EnsureShape"))
