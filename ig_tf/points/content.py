"""Whether ids are what the caller sent, or were computed from numbers inside (a decoder's argmax).

Ids that a model chooses by its own numbers carry no content of their own: what is attributed are
the numbers behind them.
"""

# Integers of these are the numbers that they read, written in another way.
_REWRITTEN = frozenset({"Cast", "Bucketize", "AsString"})
# Numbers out of these are the numbers that go in: ids may be sent as floats.
_MOVES = frozenset({"Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "Transpose",
                    "StridedSlice", "Slice", "Concat", "ConcatV2", "Pack", "Unpack", "Split",
                    "SplitV", "Tile", "SparseToDense", "Gather", "GatherV2", "GatherNd",
                    "EnsureShape", "Snapshot", "PlaceholderWithDefault", "Pad", "PadV2",
                    "SelectV2", "Select", "StringToNumber", "ReverseV2", "ReverseSequence",
                    "Switch", "Merge"})
_LISTS = ("TensorList", "TensorArray")


def is_content(ids, features):
    """Whether a way leads back from ids to an input that computes no number in between.

    Args:
      ids: tensor of ids or strings.
      features: `Features` or `BodyFeatures` of its graph.
    """
    queue, seen = [(ids, features)], set()
    while queue:
        tensor, inside = queue.pop()
        key = id(inside), tensor.name
        if key in seen or not inside.depends(tensor):
            continue
        seen.add(key)
        if tensor.name in inside.roots:
            return True
        queue.extend(inside.sources(tensor))
        queue.extend((operand, inside) for operand in _followed(tensor))
    return False


def _followed(tensor):
    """The operands that can give a tensor what it says."""
    op = tensor.op
    of_lists = op.type.startswith(_LISTS)
    if tensor.dtype.is_floating and op.type not in _MOVES and not of_lists:
        return
    for operand in op.inputs:
        if operand.dtype == "bool":
            if op.type == "Cast":
                yield operand
        elif not operand.dtype.is_floating or tensor.dtype.is_floating or of_lists or (
                op.type in _REWRITTEN):
            yield operand
