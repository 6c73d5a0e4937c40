"""What the user sent for each id: strings or numbers, as far back as the graph still knows them.

Between what was sent and the ids stand ops that work element by element (hashes, vocabularies,
buckets) and ops that only place elements (padding, reshaping). `Sent` names the source and the
placing ops, which are then repeated for strings.
"""

import dataclasses

from ig_tf.graph.partitions import GATHERS

# Element by element from what was sent to an id: hashes, vocabularies, out-of-vocabulary buckets.
_TO_IDS = frozenset({
    "Identity", "Cast", "EnsureShape", "LookupTableFind", "LookupTableFindV2", "StringLower",
    "StringUpper", "StringToHashBucket", "StringToHashBucketFast", "StringToHashBucketStrong",
    "StringStrip", "RegexReplace", "StaticRegexReplace", "AsString", "Select", "SelectV2", "Add",
    "AddV2", "Sub", "Maximum", "Minimum", "FloorMod", "FloorDiv", "Equal", "NotEqual", "Less",
    "LessEqual", "Greater", "GreaterEqual", "LogicalAnd", "LogicalOr", "LogicalNot", "Bucketize",
    "StringJoin", "ZerosLike", "OnesLike", "Snapshot", "StringToNumber"})
# Ops that place elements: which input holds them.
PLACING = {"Reshape": 0, "ExpandDims": 0, "Squeeze": 0, "Transpose": 0, "Pad": 0, "PadV2": 0,
           "Slice": 0, "StridedSlice": 0, "GatherNd": 0, "SparseToDense": 2,
           "RaggedTensorToTensor": 1}
CROSSES = frozenset({"SparseCross", "SparseCrossV2", "SparseCrossHashed"})


@dataclasses.dataclass(frozen=True)
class Sent:
    """Attributes:
      source: name of the tensor of strings, integers, or numbers before they were put in buckets;
        or of the ids of a feature cross, whose strings are joined again.
      placed: names of the placing ops behind it, in order.
      inputs: names of all tensors that are needed to repeat it.
      column: where the source are sparse indices, the column that holds the ids; else None.
    """

    source: str
    placed: tuple
    inputs: tuple
    column: object = None


def what_was_sent(ids, features):
    """The `Sent` of a tensor of ids; the ids themselves where nothing better is known.

    Args:
      ids: integer tensor.
      features: `Features` of its graph.
    """
    found = _trace(ids, features, {})
    readable = found is not None and (found[0].dtype == "string" or found[0].dtype.is_integer
                                      or found[0].dtype.is_floating)
    source, placed = found if readable else (integers_of(ids), ())
    needed = [source.name]
    if source.op.type in CROSSES:
        needed += [tensor.name for tensor in source.op.inputs]
    for op in placed:
        needed += [tensor.name for place, tensor in enumerate(op.inputs)
                   if place != PLACING[op.type]]
    return Sent(source.name, tuple(op.name for op in placed), tuple(dict.fromkeys(needed)))


@dataclasses.dataclass(frozen=True)
class Cross:
    """What an op of CROSSES is given: sparse columns in three parts each, and dense columns."""

    indices: list
    values: list
    shapes: list
    dense: list


def cross_of(op, inputs):
    """The `Cross` of an op of CROSSES; `inputs`: its operands, or what stands for them."""
    count, dense = op.get_attr("N"), len(op.get_attr("dense_types"))
    return Cross(inputs[:count], inputs[count:2 * count], inputs[2 * count:3 * count],
                 inputs[3 * count:3 * count + dense])


def _trace(tensor, features, known):
    """(source, placing ops) where all ways back from a tensor lead to one, else None."""
    if tensor.name in known:
        return known[tensor.name]
    known[tensor.name] = None  # what loops back to itself has no source
    op = tensor.op
    if tensor.name in features.roots:
        result = tensor, ()
    elif op.type in PLACING:
        before = _trace(op.inputs[PLACING[op.type]], features, known)
        result = before and (before[0], (*before[1], op))
    elif op.type in _TO_IDS and not _from_number(op) or _remaps(op, features):
        ways = [_trace(operand, features, known) for operand in op.inputs
                if features.depends(operand)]
        same = ways and None not in ways and all(way == ways[0] for way in ways)
        result = ways[0] if same else (tensor, ())
    else:
        result = tensor, ()
    known[tensor.name] = result
    return result


def _remaps(op, features):
    """Whether a fixed list of numbers gives another id for each id."""
    return (op.type in GATHERS and not op.outputs[0].dtype.is_floating
            and op.inputs[0].shape.rank == 1 and not features.depends(op.inputs[0]))


def _from_number(op):
    """Ids that came as floats are read where they became integers."""
    return op.type == "Cast" and op.inputs[0].dtype.is_floating


def integers_of(ids):
    """The integers that came in, behind casts from one width to another."""
    while ids.op.type in ("Identity", "Cast") and ids.op.inputs[0].dtype.is_integer:
        ids = ids.op.inputs[0]
    return ids
