"""Which ops are affine in which of their inputs, and what they cost. A new op is a row of RULES.

An op is affine where f(a x + (1 - a) x') = a f(x) + (1 - a) f(x') in the inputs that move along the
path, all at once, while the others keep their values.
"""

import numpy as np

# One float32 read or written costs about as much as this many operations of a matrix product, on a
# CPU's thread and on an accelerator alike (within a factor of three).
OPERATIONS_PER_BYTE = 8
# What starting an op costs, in bytes that could have been moved: decides ties only.
PER_OP = 64


def jointly(*places):
    """Affine in the inputs at these places together; the others must not move."""
    return lambda op, moving: moving <= set(places)


def every(op, moving):
    """Affine in all inputs together."""
    return True


def behind(first):
    """Affine in the inputs from a place on together (AddN's kin with an axis in front)."""
    return lambda op, moving: min(moving) >= first


def one_of(*places):
    """A product: affine in each of these inputs while no other input moves."""
    return lambda op, moving: len(moving) == 1 and moving <= set(places)


def all_but_last(op, moving):
    return len(op.inputs) - 1 not in moving


def operand(op, moving):
    """Any one operand of a product of several."""
    return len(moving) == 1


def cast(op, moving):
    """Between types of at least 32 bits: a narrower one would round the values and the integral."""
    return all(is_wide(tensor) for tensor in (op.inputs[0], op.outputs[0]))


def batch_norm(op, moving):
    """With the statistics of training, which are constants."""
    return not op.get_attr("is_training") and moving == {0}


def stitch(op, moving):
    """Indices first, then the data: jointly affine in the data."""
    return min(moving) >= len(op.inputs) // 2


def is_wide(tensor):
    """A real floating-point type of at least 32 bits."""
    return tensor.dtype.is_floating and tensor.dtype.size >= 4


_MOVES = """Identity EnsureShape CheckNumerics Reshape Squeeze ExpandDims""".split()
_FIRST = """Neg Transpose SplitV Slice StridedSlice Pad PadV2 MirrorPad Unpack Tile BroadcastTo Sum
Mean Cumsum ReverseV2 ReverseSequence Roll Gather GatherV2 GatherNd SegmentSum SegmentMean
UnsortedSegmentSum SparseSegmentSum SparseSegmentMean SparseSegmentSqrtN
SparseSegmentSumWithNumSegments SparseSegmentMeanWithNumSegments SparseSegmentSqrtNWithNumSegments
AvgPool AvgPool3D ResizeBilinear ResizeNearestNeighbor ResizeBicubic CropAndResize ScaleAndTranslate
SpaceToDepth DepthToSpace SpaceToBatchND BatchToSpaceND SpaceToBatch BatchToSpace
ExtractImagePatches MatrixBandPart MatrixDiag MatrixDiagV3 MatrixDiagPart MatrixDiagPartV3 Div
RealDiv DivNoNan MulNoNan DynamicPartition""".split()
_CONVOLUTIONS = "Conv2D Conv3D DepthwiseConv2dNative".split()
_TRANSPOSED = """Conv2DBackpropInput Conv3DBackpropInputV2
DepthwiseConv2dNativeBackpropInput""".split()
_PRODUCTS = "MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3".split()

RULES = {
    **dict.fromkeys((*_MOVES, *_FIRST), jointly(0)),
    **dict.fromkeys(("Add", "AddV2", "Sub", "BiasAdd", "BiasAddV1"), jointly(0, 1)),
    **dict.fromkeys(("AddN", "Pack", "IdentityN", "AccumulateNV2"), every),
    **dict.fromkeys(("Mul", *_PRODUCTS, *_CONVOLUTIONS), one_of(0, 1)),
    **dict.fromkeys(_TRANSPOSED, one_of(1, 2)),
    "SparseTensorDenseMatMul": one_of(1, 3),
    "Einsum": operand,
    "ConcatV2": all_but_last,
    "Concat": behind(1),
    "Split": jointly(1),
    **dict.fromkeys(("Select", "SelectV2"), jointly(1, 2)),
    "ScatterNd": jointly(1),
    "SparseToDense": jointly(2, 3),
    "RaggedTensorToTensor": jointly(1, 2),
    **dict.fromkeys(("MatrixSetDiag", "MatrixSetDiagV3"), jointly(0, 1)),
    **dict.fromkeys(("TensorScatterAdd", "TensorScatterSub", "TensorScatterUpdate"),
                    jointly(0, 2)),
    **dict.fromkeys(("DynamicStitch", "ParallelDynamicStitch"), stitch),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), batch_norm),
    "Cast": cast,
}


def elements(tensor):
    """Elements of a tensor; what is not known, as the number of examples, counts as one."""
    if tensor.shape.rank is None:
        return 1
    return int(np.prod([dim or 1 for dim in tensor.shape.as_list()], dtype=np.float64))


def size(tensor):
    """Its bytes, the same way."""
    return elements(tensor) * tensor.dtype.size


def cost(op):
    """What an op costs forward and backward, in bytes moved (OPERATIONS_PER_BYTE)."""
    if op.type in _MOVES:
        return PER_OP
    floats = [tensor for tensor in op.inputs if tensor.dtype.is_floating]
    moved = size(floats[0]) + sum(map(size, op.outputs)) if floats else 0
    if op.type in ("AddN", "Pack", "Concat", "ConcatV2"):
        moved = 2 * sum(map(size, op.outputs))
    return PER_OP + 2 * moved + 2 * _operations(op) // OPERATIONS_PER_BYTE


def _operations(op):
    """Multiplications and additions forward; none where moving the numbers costs as much."""
    count = _COUNTS.get(op.type)
    return int(count(op)) if count else 0


def _of_matmul(op):
    flag = "transpose_a" if op.type == "MatMul" else "adj_x"
    shape = op.inputs[0].shape
    if shape.rank is None:
        return 0
    return 2 * elements(op.outputs[0]) * (shape[-2 if op.get_attr(flag) else -1] or 1)


def _of_convolution(op):
    """Each number of the result is a sum over the filter, all but its last axis."""
    return 2 * elements(op.outputs[0]) * (elements(op.inputs[1]) // (op.inputs[1].shape[-1] or 1)
                                          if op.inputs[1].shape.rank else 1)


def _of_depthwise(op):
    return 2 * elements(op.outputs[0]) * int(np.prod(
        [dim or 1 for dim in op.inputs[1].shape[:2]])) if op.inputs[1].shape.rank else 0


def _of_transposed(op):
    """As the convolution that it is the transpose of: per number of its data."""
    filters = op.inputs[1].shape
    return 2 * elements(op.inputs[2]) * (elements(op.inputs[1]) // (filters[-1] or 1)
                                         if filters.rank else 1)


def _of_einsum(op):
    """The product of the extents of all letters."""
    extents = {}
    operands = op.get_attr("equation").decode().partition("->")[0].split(",")
    for letters, tensor in zip(operands, op.inputs):
        if "..." in letters or tensor.shape.rank != len(letters):
            return 2 * max(map(elements, op.inputs))
        extents.update({letter: dim or extents.get(letter, 1)
                        for letter, dim in zip(letters, tensor.shape.as_list())})
    return 2 * int(np.prod(list(extents.values()), dtype=np.float64))


_COUNTS = {
    **dict.fromkeys(_PRODUCTS, _of_matmul),
    "Conv2D": _of_convolution,
    "Conv3D": _of_convolution,
    "DepthwiseConv2dNative": _of_depthwise,
    "DepthwiseConv2dNativeBackpropInput": _of_depthwise,
    "Conv2DBackpropInput": _of_transposed,
    "Conv3DBackpropInputV2": _of_transposed,
    "Einsum": _of_einsum,
}


def keeps_coefficients(op, moving):
    """Whether an op is affine in the inputs at the places `moving`, by the table.

    Everything that moves has at least 32 bits: half precision would round the integral once more
    on its way back.
    """
    rule = RULES.get(op.type)
    tensors = [op.inputs[place] for place in moving]
    tensors += [tensor for tensor in op.outputs if tensor.dtype.is_floating]
    return bool(rule is not None and moving and all(map(is_wide, tensors)) and rule(op, moving))

