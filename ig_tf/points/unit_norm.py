"""Vectors that are scaled to a length of their own norm's making: max_norm, l2_normalize.

Where each word has the same length, the zero vector is no word, and a path from it runs where the
model has never been. Found in the graph by what is computed, not by names of ops or scopes.
"""

from ig_tf.points.lookups import LOOKUPS

VECTOR, SQUARE, SUM, NORM, UNIT = "vector", "square", "sum of squares", "norm", "unit"
_MOST = 200  # ops behind a point that are looked at
_KEPT = frozenset({"Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "EnsureShape",
                   "StopGradient"})
_BOUNDS = frozenset({"Maximum", "Minimum", "Select", "SelectV2", "AddV2", "Add", "Where"})
_ROOTS = frozenset({"Sqrt", "Rsqrt", "Reciprocal", "Pow"})
_SCALES = frozenset({"Mul", "RealDiv", "Div", "DivNoNan"})
_NEAR = _KEPT | _BOUNDS | _ROOTS | _SCALES | {"Square", "Sum", "L2Loss", "Greater", "OnesLike",
                                             "ZerosLike"}


def scaled_by_own_norm(tensor):
    """The op that scales these vectors, or those that they are made of, by their norm; or None.

    Args:
      tensor: the vectors of a point, in the working graph.
    """
    for source in _sources(tensor):
        found = _scaled(source)
        if found is not None:
            return found
    return None


def _sources(tensor):
    """The point, and the lookups that it is made of, also of distinct ids and before pooling."""
    found, queue, seen = {tensor.name: tensor}, [tensor], set()
    while queue and len(seen) < _MOST:
        op = queue.pop(0).op
        if op.name in seen:
            continue
        seen.add(op.name)
        if op.type in LOOKUPS and op.outputs[0].dtype.is_floating:
            found[op.outputs[0].name] = op.outputs[0]
        queue.extend(t for t in op.inputs if t.dtype.is_floating)
    return list(found.values())


def _scaled(source):
    """Forward from a vector: what each tensor is made of it, until one is of unit length."""
    kinds = {source.name: VECTOR}
    for op in _near(source):
        kind = _made(op, [kinds.get(operand.name) for operand in op.inputs])
        if kind == UNIT:
            return op
        if kind is not None and op.outputs:
            kinds[op.outputs[0].name] = kind
    return None


def _near(source):
    """Ops that may compute a norm of it, each after those that it reads."""
    found, queue = set(), [source]
    while queue:
        for op in queue.pop().consumers():
            if op.name not in found and op.type in _NEAR:
                found.add(op.name)
                queue.extend(op.outputs)
    return [op for op in source.graph.get_operations() if op.name in found]


def _made(op, kinds):
    """What comes out of an op, from what goes in; None where it is neither."""
    present = [kind for kind in kinds if kind is not None]
    if not present:
        return None
    if op.type in _KEPT:
        return kinds[0]
    if op.type == "Square":
        return SQUARE if kinds[0] == VECTOR else None
    if op.type == "Sum":
        return SUM if kinds[0] == SQUARE else None
    if op.type in _ROOTS:
        return NORM if kinds[0] in (SUM, NORM) else None
    if op.type in _BOUNDS:
        return next((kind for kind in (NORM, SUM) if kind in present), None)
    if op.type in _SCALES:
        if present == [VECTOR, VECTOR] and op.type == "Mul":
            return SQUARE if op.inputs[0] is op.inputs[1] else None
        if VECTOR in present and NORM in present:
            return UNIT
        return present[0] if len(present) == 1 else None  # by something else
    return None
