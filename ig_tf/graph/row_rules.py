"""Rules for tensors whose slices along one axis belong to one example each.

A rule takes the op and its inputs' states (none of them Mixed, at least one not shared) and
returns the state of its outputs, or None where it cannot prove any. A new op is a row of RULES.
Here: element by element, algebra and reductions; RULES holds those of axis_rules.py and
list_rules.py too.
"""

import numpy as np

from ig_tf.graph import axis_rules, list_rules
from ig_tf.graph.shape_values import broadcasts_over, entries_of, static
from ig_tf.graph.states import (BATCH, SHARED, Distinct, Rows, SpaceBlocks, Values, is_shared,
                                join)


def elementwise(op, inputs):
    """Broadcasting ops: every example axis must lie at the same place from the right."""
    for kind in (Values, Distinct):
        if any(isinstance(state, kind) for state in inputs):
            return _elementwise_rows(op, inputs, kind)
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
        if is_shared(state) and not broadcasts_over(tensor, place):
            return None
    rank = op.outputs[0].shape.rank
    return None if rank is None else Rows(rank - place, unit)


def _elementwise_rows(op, inputs, kind):
    """One row per value (or per distinct id): the other operands have the same rows, or none."""
    rank = op.outputs[0].shape.rank
    for tensor, state in zip(op.inputs, inputs):
        if isinstance(state, kind):
            if tensor.shape.rank != rank:
                return None
        elif not is_shared(state) or not (tensor.shape.rank == 0 or _along_rows(tensor, rank)):
            return None
    return kind()


def _along_rows(tensor, rank):
    """Whether a shared operand has one row for all, so that it broadcasts over axis 0."""
    if tensor.shape.rank is None or rank is None:
        return False
    return tensor.shape.rank < rank or tensor.shape.rank == rank and tensor.shape[0] == 1


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
    rows = (Rows, Values, Distinct, SpaceBlocks)
    return inputs[0] if isinstance(inputs[0], rows) and all(map(is_shared, inputs[1:])) else None


def batch_first(op, inputs):
    """Images and sequences: axis 0 is the batch, the filter and statistics are shared."""
    if isinstance(inputs[0], SpaceBlocks) and all(map(is_shared, inputs[1:])):
        return inputs[0]
    if isinstance(inputs[0], Rows) and inputs[0].axis == 0 and all(map(is_shared, inputs[1:])):
        return inputs[0]
    return None


def transposed_convolution(op, inputs):
    """Conv2DBackpropInput as a layer: sizes, filter, data."""
    sizes = entries_of(op.inputs[0], inputs[0])
    if sizes is None or sizes[0] != BATCH or not is_shared(inputs[1]):
        return None
    return Rows(0) if inputs[2] == Rows(0) else None


def space_to_batch(op, inputs):
    """A dilated convolution's parts of each example, stacked along axis 0."""
    block = static(op.inputs[1])
    if block is None or inputs[0] != Rows(0) or not all(map(is_shared, inputs[1:])):
        return None
    return SpaceBlocks(tuple(block.tolist()))


def batch_to_space(op, inputs):
    block = static(op.inputs[1])
    if block is None or not all(map(is_shared, inputs[1:])):
        return None
    return Rows(0) if inputs[0] == SpaceBlocks(tuple(block.tolist())) else None


def batch_norm(op, inputs):
    """In training mode the statistics come from the batch: never row-wise."""
    data = None if op.get_attr("is_training") else batch_first(op, inputs)
    return data and [data] + [SHARED] * (len(op.outputs) - 1)


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
    if not all(isinstance(state, Rows) or is_shared(state) for state in inputs):
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
    if not isinstance(state, (Rows, Values, Distinct)) or rank is None or axes is None:
        return None
    axes = {int(axis) % rank for axis in np.ravel(axes)}
    if isinstance(state, (Values, Distinct)):
        return None if 0 in axes else state
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
    """One loss per row, and its gradient."""
    same = all(state == Rows(0) for state in inputs)
    return [Rows(0), Rows(0)] if same and op.inputs[0].shape.rank == 2 else None


def bias_add(op, inputs):
    """The bias lies along the last axis, or along axis 1 (NCHW)."""
    rank = op.inputs[0].shape.rank
    if isinstance(inputs[0], SpaceBlocks):
        return batch_first(op, inputs)
    if rank is None or not isinstance(inputs[0], Rows) or not is_shared(inputs[1]):
        return None
    first = "data_format" in op.node_def.attr and op.get_attr("data_format") == b"NCHW"
    return inputs[0] if inputs[0].axis != (1 if first else rank - 1) else None


def search_sorted(op, inputs):
    """LowerBound and UpperBound of per-example values in shared boundaries."""
    return inputs[1] if is_shared(inputs[0]) and inputs[1] == Rows(1) else None


def add_n(op, inputs):
    return inputs[0] if len(set(inputs)) == 1 and isinstance(inputs[0], Rows) else None


def merge(op, inputs):
    """A cond of TensorFlow 1: its predicate is shared, else Switch had given up."""
    state = inputs[0]
    for other in inputs[1:]:
        state = join(state, other)
    return [state, SHARED]


def switch(op, inputs):
    return inputs[0] if is_shared(inputs[1]) else None


_UNARY = """Identity Abs Neg Square Sqrt Rsqrt Exp Expm1 Log Log1p Sigmoid Tanh Relu Relu6 Elu Selu
LeakyRelu Softplus Softsign Erf Erfc Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Sign
Reciprocal Inv Cast Bitcast StopGradient PreventGradient IsNan IsInf IsFinite Floor Ceil Round Rint
LogicalNot ZerosLike OnesLike CheckNumerics Lgamma Digamma StringToHashBucketFast
StringToHashBucket StringToHashBucketStrong StringToNumber AsString StringLower StringUpper
StringStrip RegexReplace StaticRegexReplace Bucketize DecodeBase64 Invert EnsureShape Snapshot
FakeQuantWithMinMaxArgs Ndtri Erfinv BesselI0e BesselI1e RegexFullMatch StaticRegexFullMatch
StringLength DeepCopy""".split()
_BINARY = """Add AddV2 Sub Mul Div RealDiv DivNoNan FloorDiv FloorMod Mod TruncateDiv TruncateMod
Maximum Minimum Pow SquaredDifference MulNoNan Xdivy Xlogy Xlog1py Atan2 Less LessEqual Greater
GreaterEqual Equal NotEqual LogicalAnd LogicalOr BitwiseAnd BitwiseOr BitwiseXor SelectV2
ClipByValue Igamma Igammac Zeta Polygamma ApproximateEqual NextAfter StringJoin""".split()
_BATCH_FIRST = """Conv2D Conv3D DepthwiseConv2dNative Conv MaxPool MaxPoolV2 MaxPool3D AvgPool
AvgPool3D Dilation2D LRN ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea DepthToSpace
SpaceToDepth""".split()
_REDUCE = "Sum Mean Max Min Prod All Any EuclideanNorm".split()

RULES = {
    **axis_rules.RULES,
    **list_rules.RULES,
    **dict.fromkeys(_UNARY, first_input),
    **dict.fromkeys(_BINARY, elementwise),
    **dict.fromkeys(_BATCH_FIRST, batch_first),
    **dict.fromkeys(_REDUCE, reduce),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2",
                     "DepthwiseConv2dNativeBackpropInput"), transposed_convolution),
    "SpaceToBatchND": space_to_batch,
    "BatchToSpaceND": batch_to_space,
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), batch_norm),
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), matmul),
    **dict.fromkeys(("Softmax", "LogSoftmax", "TopK", "TopKV2"), last_axis),
    **dict.fromkeys(("ArgMax", "ArgMin", "Cumsum", "Cumprod", "ReverseV2"), along_axis(1)),
    **dict.fromkeys(("LookupTableFind", "LookupTableFindV2"),
                    lambda op, inputs: first_input(op, [inputs[1], inputs[0], inputs[2]])),
    **dict.fromkeys(("IdentityN",), lambda op, inputs: list(inputs)),
    "Select": select,
    "BiasAdd": bias_add,
    "BiasAddV1": bias_add,
    "SoftmaxCrossEntropyWithLogits": cross_entropy,
    "Einsum": einsum,
    "LowerBound": search_sorted,
    "UpperBound": search_sorted,
    "AddN": add_n,
    "Merge": merge,
    "Switch": switch,
}
