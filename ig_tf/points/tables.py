"""The table behind a lookup: which variable it is, and how large."""

import dataclasses
import re

from tensorflow import TensorShape

VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
# A variable's part is named NAME/part_0, NAME/part_1, ...
_PART = re.compile(r"/part_\d+$")
# Ops that hand a table on, whole.
_UNCHANGED = frozenset({"Identity", "ReadVariableOp", "Cast", "EnsureShape", "Enter", "Snapshot"})


@dataclasses.dataclass(frozen=True)
class Table:
    """What ids are looked up in.

    Attributes:
      name: the variable's, or the constant's in a frozen graph; without the number of a part.
      vocabulary: number of rows, all parts together; None where it is not known.
      dimension: length of one row (the product of its axes); None where it is not known.
    """

    name: str
    vocabulary: object
    dimension: object


def table_of(parts, features):
    """The `Table` of a lookup's params.

    Args:
      parts: tensors, the params of the gathers; several for a table that is stored in parts.
      features: `Features` of the graph.

    Returns:
      A `Table`, or None where the params are computed from the input, or come from no variable and
      no constant of floats.
    """
    if any(features.depends(part) for part in parts):
        return None
    names, rows, widths = [], [], set()
    for part in parts:
        source, shape = _variable_behind(part, features)
        if source is None:
            return None
        names.append(_PART.sub("", source.op.name))
        dims = shape.as_list() if shape.rank is not None else [None, None]
        rows.append(dims[0] if dims else None)
        widths.add(_product(dims[1:]))
    width = widths.pop() if len(widths) == 1 else None
    return Table(names[0], None if None in rows else sum(rows), width)


def _product(dims):
    result = 1
    for dim in dims:
        if dim is None:
            return None
        result *= dim
    return result


def _variable_behind(tensor, features):
    """(variable or constant, shape of the params); through what leaves a table a table."""
    shape, queue, seen = tensor.shape, [tensor], set()
    leaves = []
    while queue:
        current = queue.pop()
        if current.op.name in seen:
            continue
        seen.add(current.op.name)
        outside = features.beyond(current)
        if outside is not None:
            queue.append(outside)
        elif current.op.type in VARIABLES:
            leaves.append((current, _variable_shape(current)))
        elif current.op.type == "Const":
            leaves.append((current, current.shape))
        elif current.op.type in _UNCHANGED:
            queue.append(current.op.inputs[0])
        else:  # a table that is computed first: normalised rows, parts put together
            queue.extend(t for t in current.op.inputs
                         if t.dtype.is_floating or t.dtype == "resource")
    leaves = [(leaf, dims) for leaf, dims in leaves
              if leaf.op.type != "Const" or leaf.dtype.is_floating]
    if not leaves:
        return None, shape
    leaf, dims = max(leaves, key=lambda found: (
        found[0].op.type in VARIABLES, found[1].num_elements() or 0, found[0].op.name))
    same = tensor.dtype != "resource" and shape.is_fully_defined() and shape.rank == dims.rank
    return leaf, shape if same else dims  # a table put together from parts is larger than one


def _variable_shape(tensor):
    return TensorShape(tensor.op.get_attr("shape"))
