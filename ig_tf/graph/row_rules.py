"""Rules for tensors whose slices along one axis belong to one example each.

A rule takes the op and its inputs' states (none of them Mixed, at least one not shared) and
returns the state of its outputs, or None where it cannot prove any. A new op is a row of RULES.
"""

import numpy as np
import tensorflow as tf

from ig_tf.graph.states import (BATCH, FOLDED, SHARED, CountOfValues, Index, IndexPair, ListOf,
                                Rows, Size, SparseIndices, Values, is_shared, join)


def elementwise(op, inputs):
    """Broadcasting ops: every example axis must lie at the same place from the right."""
    if any(isinstance(state, Values) for state in inputs):
        return _elementwise_values(op, inputs)
    plain = [state for tensor, state in zip(op.inputs, inputs)
             if not is_shared(state) or tensor.shape.rank != 0]
    if len(plain) == 1 and isinstance(plain[0], Rows):
        return plain[0]
    places, unit = set(), True
    for tensor, state in zip(op.inputs, inputs):
        if isinstance(state, Rows):
            if tensor.shape.rank is None:
                return None
            places.add(tensor.shape.rank - state.axis)
            unit = unit and state.unit
        elif not is_shared(state):
            return None
    if len(places) != 1:
        return None
    place = places.pop()
    for tensor, state in zip(op.inputs, inputs):
        if is_shared(state) and not _broadcasts_over(tensor, place):
            return None
    rank = op.outputs[0].shape.rank
    return None if rank is None else Rows(rank - place, unit)


def _broadcasts_over(tensor, place):
    """Whether a shared tensor has no extent of its own at this place from the right."""
    rank = tensor.shape.rank
    if rank is None:
        return False
    return rank < place or tensor.shape[rank - place] == 1


def _elementwise_values(op, inputs):
    for tensor, state in zip(op.inputs, inputs):
        if is_shared(state) and tensor.shape.rank == 0:
            continue
        if not isinstance(state, Values):
            return None
    return Values()


def select(op, inputs):
    """Select of TensorFlow 1 also takes a condition of rank 1, one entry per row."""
    condition, chosen = op.inputs[0], op.inputs[1]
    if condition.shape.rank == 1 and (chosen.shape.rank or 0) > 1:
        if inputs[0] == Rows(0) and all(s == Rows(0) for s in inputs[1:] if not is_shared(s)):
            return None if any(is_shared(s) for s in inputs[1:]) else Rows(0)
        return None
    return elementwise(op, inputs)


def first_input(op, inputs):
    """Along other axes, or per element: what holds of the data holds of the result."""
    if isinstance(inputs[0], (Rows, Values)) and all(is_shared(s) for s in inputs[1:]):
        return inputs[0]
    return None


def batch_first(op, inputs):
    """Images and sequences: axis 0 is the batch, the filter and statistics are shared."""
    if isinstance(inputs[0], Rows) and inputs[0].axis == 0 and all(map(is_shared, inputs[1:])):
        return inputs[0]
    return None


def batch_norm(op, inputs):
    """In training mode the statistics come from the batch: never row-wise."""
    return None if op.get_attr("is_training") else batch_first(op, inputs)


def matmul(op, inputs):
    flags = [name for name in ("transpose_a", "transpose_b", "adj_x", "adj_y")
             if name in op.node_def.attr]
    first_turned = op.get_attr(flags[0]) if flags else False
    second_turned = op.get_attr(flags[1]) if flags else False
    first, second = inputs
    ranks = [tensor.shape.rank for tensor in op.inputs]
    if None in ranks:
        return None
    if isinstance(first, Rows) and isinstance(second, Rows):
        same = ranks[0] == ranks[1] and first.axis == second.axis < ranks[0] - 2
        return Rows(first.axis, first.unit and second.unit) if same else None
    if isinstance(first, Rows) and is_shared(second):
        return _matmul_side(first, ranks[0], ranks[1], first_turned, contracted=1)
    if isinstance(second, Rows) and is_shared(first):
        return _matmul_side(second, ranks[1], ranks[0], second_turned, contracted=2)
    return None


def _matmul_side(state, rank, other_rank, turned, contracted):
    """`contracted`: the axis, from the right, that is summed over where nothing is transposed."""
    place = rank - state.axis
    if place > 2:
        return state if other_rank <= rank and place > other_rank else None
    if turned:
        place = 3 - place
    return None if place == contracted else Rows(max(rank, other_rank) - place, state.unit)


def einsum(op, inputs):
    """The example's letter must be in every per-example operand and in the result, only."""
    equation = op.get_attr("equation").decode()
    sides = equation.split("->")
    operands = sides[0].split(",")
    if len(sides) != 2 or "..." in equation:
        return None
    letters, unit = set(), True
    for labels, state in zip(operands, inputs):
        if isinstance(state, Rows):
            letters.add(labels[state.axis])
            unit = unit and state.unit
    if len(letters) != 1:
        return None
    letter = letters.pop()
    for labels, state in zip(operands, inputs):
        if is_shared(state) and letter in labels or labels.count(letter) > 1:
            return None
    return Rows(sides[1].index(letter), unit) if sides[1].count(letter) == 1 else None


def reduce(op, inputs):
    """Sum, Mean and the like over axes that do not hold the examples."""
    state, rank = inputs[0], op.inputs[0].shape.rank
    axes = static(op.inputs[1])
    if not isinstance(state, Rows) or rank is None or axes is None:
        return None
    axes = {int(axis) % rank for axis in np.ravel(axes)}
    if state.axis in axes:
        return None
    if op.get_attr("keep_dims"):
        return state
    return Rows(state.axis - sum(axis < state.axis for axis in axes), state.unit)


def along_axis(position):
    """ArgMax, Cumsum, Reverse: the axis given by input `position` must not be the examples'."""
    def rule(op, inputs):
        state, rank = inputs[0], op.inputs[0].shape.rank
        axes = static(op.inputs[position])
        if not isinstance(state, Rows) or rank is None or axes is None:
            return None
        axes = {int(axis) % rank for axis in np.ravel(axes)}
        if state.axis in axes or not all(is_shared(s) for s in inputs[1:]):
            return None
        if op.outputs[0].shape.rank == rank:
            return state
        return Rows(state.axis - sum(axis < state.axis for axis in axes), state.unit)
    return rule


def last_axis(op, inputs):
    """Softmax, TopK and the like, which mix the last axis."""
    rank = op.inputs[0].shape.rank
    if rank is None or not isinstance(inputs[0], Rows) or inputs[0].axis == rank - 1:
        return None
    return inputs[0] if all(is_shared(state) for state in inputs[1:]) else None


def cross_entropy(op, inputs):
    return elementwise(op, inputs) if last_axis(op, inputs[:1]) else None


def bias_add(op, inputs):
    rank = op.inputs[0].shape.rank
    if rank is None or not isinstance(inputs[0], Rows) or not is_shared(inputs[1]):
        return None
    return inputs[0] if inputs[0].axis < rank - 1 or rank > 2 and inputs[0].axis == 0 else None


def reshape(op, inputs):
    """Row-major order is kept, so examples stay blocks; axis 0 must stay a whole number of them."""
    state, target = inputs[0], op.inputs[1]
    entries = entries_of(target, inputs[1])
    if not isinstance(state, Rows) or not entries:
        return None
    if state.unit and op.inputs[0].shape.rank == 1 and entries in ((1, BATCH), (-1, BATCH)):
        return Rows(1)
    if state.unit and entries == (BATCH,):  # one number per example: other axes have extent 1
        return Rows(0)
    if state.axis != 0:
        return None
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
    if isinstance(inputs[0], Index) and len(inputs) == 2:
        other = isinstance(inputs[1], Rows) and inputs[1].axis == 0
        if other and rank == 2:
            return IndexPair() if axis == 0 else SparseIndices(True)
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
    whole = begin[axis] == 0 and size[axis] in (-1, BATCH)
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
    return inputs[0] if entries[axis] == 1 else None


def fill(op, inputs):
    """A tensor of one value whose extent along some axis is the batch."""
    if isinstance(inputs[0], CountOfValues):
        return Values() if is_shared(inputs[1]) else None
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
        return made if made and _broadcasts_over(op.inputs[0], place) else None
    if not isinstance(inputs[0], Rows) or op.inputs[0].shape.rank is None:
        return None
    return Rows(inputs[0].axis + len(entries) - op.inputs[0].shape.rank, inputs[0].unit)


def _rows_of_entries(entries):
    found = [axis for axis, entry in enumerate(entries) if entry in (BATCH, FOLDED)]
    if len(found) != 1:
        return None
    return Rows(found[0], entries[found[0]] == BATCH)


def gather(op, inputs):
    """Rows of a shared table, or columns of per-example data."""
    params, indices = inputs[:2]
    axis = static(op.inputs[2]) if len(op.inputs) > 2 else 0
    batch_dims = op.get_attr("batch_dims") if "batch_dims" in op.node_def.attr else 0
    if axis is None:
        return None
    axis = int(axis)
    if is_shared(params) and axis == 0:
        return indices if isinstance(indices, (Rows, Values)) else None
    if isinstance(params, Rows) and is_shared(indices):
        rank = op.inputs[0].shape.rank
        if rank is None or batch_dims or axis % rank == params.axis:
            return None
        shift = (op.inputs[1].shape.rank or 0) - 1 if axis % rank < params.axis else 0
        return Rows(params.axis + shift, params.unit)
    both = isinstance(params, Rows) and params == indices
    return params if both and params.axis < batch_dims else None


def search_sorted(op, inputs):
    """LowerBound and UpperBound of per-example values in shared boundaries."""
    return inputs[1] if is_shared(inputs[0]) and isinstance(inputs[1], Rows) else None


def one_hot(op, inputs):
    """The new axis stands at `axis`; -1 is the last."""
    if not isinstance(inputs[0], (Rows, Values)) or not all(is_shared(s) for s in inputs[1:]):
        return None
    axis = op.get_attr("axis")
    if axis == -1 or isinstance(inputs[0], Rows) and axis > inputs[0].axis:
        return inputs[0]
    return None


def add_n(op, inputs):
    return inputs[0] if len(set(inputs)) == 1 and isinstance(inputs[0], Rows) else None


def list_from_tensor(op, inputs):
    if isinstance(inputs[0], Rows) and inputs[0].axis > 0:
        return ListOf(Rows(inputs[0].axis - 1, inputs[0].unit))
    return None


def empty_list(op, inputs):
    """An empty list; its element shape may speak of the batch, its length may not."""
    return ListOf(None) if is_shared(inputs[1]) else None


def list_get(op, inputs):
    same = isinstance(inputs[0], ListOf) and is_shared(inputs[1])
    return inputs[0].element if same else None


def list_set(op, inputs):
    if not isinstance(inputs[0], ListOf) or not is_shared(inputs[1]):
        return None
    return ListOf(join(inputs[0].element, inputs[2]))


def list_stack(op, inputs):
    element = inputs[0].element if isinstance(inputs[0], ListOf) else None
    if isinstance(element, Rows):
        return Rows(element.axis + 1, element.unit)
    return element if is_shared(element) else None


def merge(op, inputs):
    """A cond of TensorFlow 1: its predicate is shared, else Switch had given up."""
    state = inputs[0]
    for other in inputs[1:]:
        state = join(state, other)
    return [state, SHARED]


def switch(op, inputs):
    return inputs[0] if is_shared(inputs[1]) else None


def static(tensor):
    """Its value as numpy where the graph alone tells it, else None."""
    return tf.get_static_value(tensor)


def entries_of(tensor, state):
    """Entries of a shape vector: ints, BATCH, FOLDED or None for an unknown shared number."""
    if isinstance(state, Size):
        return state.entries
    value = static(tensor)
    if value is not None:
        return tuple(int(entry) for entry in np.ravel(value))
    if is_shared(state) and tensor.shape.rank == 1 and tensor.shape[0] is not None:
        return (None,) * tensor.shape[0]
    return None


_UNARY = """Identity Abs Neg Square Sqrt Rsqrt Exp Expm1 Log Log1p Sigmoid Tanh Relu Relu6 Elu Selu
LeakyRelu Softplus Softsign Erf Erfc Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Sign
Reciprocal Inv Cast Bitcast StopGradient PreventGradient IsNan IsInf IsFinite Floor Ceil Round Rint
LogicalNot ZerosLike OnesLike CheckNumerics Lgamma Digamma StringToHashBucketFast
StringToHashBucket StringToHashBucketStrong StringToNumber AsString StringLower StringUpper
StringStrip RegexReplace StaticRegexReplace Bucketize DecodeBase64 Invert EnsureShape Snapshot
FakeQuantWithMinMaxArgs Ndtri ErfInv BesselI0e BesselI1e RegexFullMatch StaticRegexFullMatch
StringLength DeepCopy""".split()
_BINARY = """Add AddV2 Sub Mul Div RealDiv DivNoNan FloorDiv FloorMod Mod TruncateDiv TruncateMod
Maximum Minimum Pow SquaredDifference MulNoNan Xdivy Xlogy Xlog1py Atan2 Less LessEqual Greater
GreaterEqual Equal NotEqual LogicalAnd LogicalOr BitwiseAnd BitwiseOr BitwiseXor SelectV2
ClipByValue Igamma Igammac Zeta Polygamma ApproximateEqual NextAfter StringJoin""".split()
_BATCH_FIRST = """Conv2D Conv3D DepthwiseConv2dNative Conv MaxPool MaxPoolV2 MaxPool3D AvgPool AvgPool3D
Dilation2D LRN ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea DepthToSpace
SpaceToDepth MaxPoolWithArgmax""".split()
_REDUCE = "Sum Mean Max Min Prod All Any EuclideanNorm".split()

RULES = {
    **dict.fromkeys(_UNARY, first_input),
    **dict.fromkeys(_BINARY, elementwise),
    **dict.fromkeys(_BATCH_FIRST, batch_first),
    **dict.fromkeys(_REDUCE, reduce),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), batch_norm),
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), matmul),
    **dict.fromkeys(("Softmax", "LogSoftmax", "TopK", "TopKV2"), last_axis),
    **dict.fromkeys(("ArgMax", "ArgMin", "Cumsum", "Cumprod", "ReverseV2"), along_axis(1)),
    **dict.fromkeys(("LookupTableFind", "LookupTableFindV2"),
                    lambda op, inputs: first_input(op, [inputs[1], inputs[0], inputs[2]])),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), pad),
    **dict.fromkeys(("Gather", "GatherV2", "ResourceGather"), gather),
    **dict.fromkeys(("IdentityN",), lambda op, inputs: list(inputs)),
    "Select": select,
    "BiasAdd": bias_add,
    "BiasAddV1": bias_add,
    "SoftmaxCrossEntropyWithLogits": cross_entropy,
    "Einsum": einsum,
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
    "Tile": tile,
    "Fill": fill,
    "BroadcastTo": broadcast_to,
    "OneHot": one_hot,
    "LowerBound": search_sorted,
    "UpperBound": search_sorted,
    "AddN": add_n,
    "TensorListFromTensor": list_from_tensor,
    "TensorListGetItem": list_get,
    "TensorListSetItem": list_set,
    "TensorListStack": list_stack,
    "Merge": merge,
    "Switch": switch,
}

# These say something even where all their inputs are shared.
MAKERS = {"TensorListReserve": empty_list, "EmptyTensorList": empty_list}
