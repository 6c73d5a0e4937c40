"""The affine frontier: each rule against numbers, what bends, what is worth crossing.

A rule says that f(a x + (1 - a) x') = a f(x) + (1 - a) f(x') and that the derivative is the same
everywhere; both are checked with random numbers, for each row of the table. The twins that bend are
shown to bend.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from ig_tf.graph import affine, affine_rules
from ig_tf.graph.min_cut import INFINITE, Flow

v1, raw = tf.compat.v1, tf.raw_ops


def number(*shape, dtype=tf.float64, seed=7):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), dtype)


def norm(training):
    def make(x):
        ones = number(3, dtype=tf.float32)
        return raw.FusedBatchNormV3(x=x, scale=ones, offset=2 * ones, mean=ones,
                                    variance=ones ** 2, is_training=training)[0]
    return make


def older_norm(version):
    def make(x):
        ones = number(3, dtype=tf.float32)
        return getattr(raw, version)(x=x, scale=ones, offset=2 * ones, mean=ones,
                                     variance=ones ** 2, is_training=False)[0]
    return make


def patches(x):
    return raw.ExtractImagePatches(images=x, ksizes=[1, 2, 2, 1], strides=[1, 1, 1, 1],
                                   rates=[1, 1, 1, 1], padding="VALID")


def sparse_times(values, dense):
    return raw.SparseTensorDenseMatMul(a_indices=[[0, 1], [2, 0], [2, 1]], a_values=values,
                                       a_shape=[3, 2], b=dense)


def segments(name, **more):
    return lambda x: getattr(raw, name)(data=x, segment_ids=[0, 0, 1], **more)


def sparse_segments(name, **more):
    return lambda x: getattr(raw, name)(data=x, indices=[2, 0, 0, 1], segment_ids=[0, 0, 1, 3],
                                        **more)


def image(name, **more):
    return lambda x: getattr(raw, name)(images=x, size=[5, 6], **more)


IMAGE, WIDE, SINGLE = (2, 4, 4, 3), (2, 3), tf.float32
STRIDES = {"strides": [1, 1, 1, 1], "padding": "SAME"}
# What moves (shapes), and a function of it that is one op of that type. A dtype that is not float64
# stands third.
CASES = {
    "Identity": [([WIDE], lambda x: raw.Identity(input=x))],
    "EnsureShape": [([WIDE], lambda x: tf.ensure_shape(x, [None, 3]))],
    "CheckNumerics": [([WIDE], lambda x: raw.CheckNumerics(tensor=x, message=""))],
    "Reshape": [([WIDE], lambda x: tf.reshape(x, [tf.shape(x)[1], -1]))],
    "Squeeze": [([(2, 1, 3)], lambda x: tf.squeeze(x, 1))],
    "ExpandDims": [([WIDE], lambda x: tf.expand_dims(x, 1))],
    "Neg": [([WIDE], lambda x: -x)],
    "Transpose": [([WIDE], lambda x: raw.Transpose(x=x, perm=[1, 0]))],
    "SplitV": [([WIDE], lambda x: tf.split(x, [1, 2], 1)[1])],
    "Slice": [([WIDE], lambda x: tf.slice(x, [0, 1], [-1, 2]))],
    "StridedSlice": [([WIDE], lambda x: x[:, ::2])],
    "Pad": [([WIDE], lambda x: tf.pad(x, [[0, 0], [1, 2]]))],
    "PadV2": [([WIDE], lambda x: tf.pad(x, [[0, 0], [1, 2]], constant_values=3.0))],
    "MirrorPad": [([WIDE], lambda x: tf.pad(x, [[0, 0], [1, 2]], "REFLECT"))],
    "Unpack": [([WIDE], lambda x: tf.unstack(x, axis=1)[1])],
    "Tile": [([WIDE], lambda x: tf.tile(x, [1, 2]))],
    "BroadcastTo": [([(2, 1, 3)], lambda x: tf.broadcast_to(x, [2, 2, 3]))],
    "Sum": [([WIDE], lambda x: tf.reduce_sum(x, 1))],
    "Mean": [([WIDE], lambda x: tf.reduce_mean(x, 1))],
    "Cumsum": [([WIDE], lambda x: tf.cumsum(x, 1, exclusive=True))],
    "ReverseV2": [([WIDE], lambda x: tf.reverse(x, [1]))],
    "ReverseSequence": [([WIDE], lambda x: tf.reverse_sequence(x, [3, 2], 1))],
    "Roll": [([WIDE], lambda x: tf.roll(x, 1, 1))],
    "Gather": [([WIDE], lambda x: raw.Gather(params=x, indices=[1, 0, 1]))],
    "GatherV2": [([WIDE], lambda x: raw.GatherV2(params=x, indices=[2, 0, 2], axis=1))],
    "GatherNd": [([WIDE], lambda x: tf.gather_nd(x, [[1, 2], [0, 0]]))],
    "SegmentSum": [([(3, 2)], segments("SegmentSum"))],
    "SegmentMean": [([(3, 2)], segments("SegmentMean"))],
    "UnsortedSegmentSum": [([(3, 2)], segments("UnsortedSegmentSum", num_segments=4))],
    **{f"SparseSegment{how}": [([(3, 2)], sparse_segments(f"SparseSegment{how}"))]
       for how in ("Sum", "Mean", "SqrtN")},
    **{f"SparseSegment{how}WithNumSegments": [
        ([(3, 2)], sparse_segments(f"SparseSegment{how}WithNumSegments", num_segments=5))]
       for how in ("Sum", "Mean", "SqrtN")},
    "AvgPool": [([IMAGE], lambda x: tf.nn.avg_pool2d(x, 2, 1, "SAME"))],
    "AvgPool3D": [([(1, 3, 4, 4, 2)], lambda x: tf.nn.avg_pool3d(x, 2, 1, "SAME"),
                   SINGLE)],
    "ResizeBilinear": [([IMAGE], image("ResizeBilinear"), SINGLE)],
    "ResizeNearestNeighbor": [([IMAGE], image("ResizeNearestNeighbor"), SINGLE)],
    "ResizeBicubic": [([IMAGE], image("ResizeBicubic"), SINGLE)],
    "CropAndResize": [([IMAGE], lambda x: tf.image.crop_and_resize(
        x, [[0.1, 0.2, 0.8, 0.9]], [1], [3, 2]), SINGLE)],
    "ScaleAndTranslate": [([IMAGE], image("ScaleAndTranslate", scale=[1.3, 1.5],
                                          translation=[0.1, 0.2]), SINGLE)],
    "SpaceToDepth": [([IMAGE], lambda x: tf.nn.space_to_depth(x, 2))],
    "DepthToSpace": [([(2, 2, 2, 4)], lambda x: tf.nn.depth_to_space(x, 2))],
    "SpaceToBatchND": [([IMAGE], lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]]))],
    "BatchToSpaceND": [([(4, 2, 2, 1)], lambda x: tf.batch_to_space(x, [2, 2], [[0, 0], [0, 1]]))],
    "SpaceToBatch": [([IMAGE], lambda x: raw.SpaceToBatch(
        input=x, paddings=[[0, 0], [0, 0]], block_size=2))],
    "BatchToSpace": [([(4, 2, 2, 1)], lambda x: raw.BatchToSpace(
        input=x, crops=[[0, 0], [0, 1]], block_size=2))],
    "ExtractImagePatches": [([IMAGE], patches)],
    "MatrixBandPart": [([(2, 3, 3)], lambda x: tf.linalg.band_part(x, 1, 0))],
    "MatrixDiag": [([WIDE], lambda x: raw.MatrixDiag(diagonal=x))],
    "MatrixDiagV3": [([WIDE], tf.linalg.diag)],
    "MatrixDiagPart": [([(2, 3, 3)], lambda x: raw.MatrixDiagPart(input=x))],
    "MatrixDiagPartV3": [([(2, 3, 3)], tf.linalg.diag_part)],
    "MatrixSetDiag": [([(2, 3, 3), WIDE], lambda x, d: raw.MatrixSetDiag(input=x, diagonal=d))],
    "MatrixSetDiagV3": [([(2, 3, 3), WIDE], tf.linalg.set_diag)],
    "Div": [([WIDE], lambda x: raw.Div(x=x, y=number(3)))],
    "RealDiv": [([WIDE], lambda x: x / number(3))],
    "DivNoNan": [([WIDE], lambda x: tf.math.divide_no_nan(x, tf.constant([2.0, 0, 3], x.dtype)))],
    "MulNoNan": [([WIDE], lambda x: tf.math.multiply_no_nan(x, number(3)))],
    "DynamicPartition": [([(3, 2)], lambda x: tf.dynamic_partition(x, [1, 0, 1], 2)[1])],
    "DynamicStitch": [([(2, 2), (1, 2)], lambda x, y: tf.dynamic_stitch([[2, 0], [1]], [x, y]))],
    "ParallelDynamicStitch": [([(2, 2), (1, 2)], lambda x, y: raw.ParallelDynamicStitch(
        indices=[[2, 0], [1]], data=[x, y]))],
    "Add": [([WIDE, (3,)], lambda x, y: raw.Add(x=x, y=y))],
    "AddV2": [([WIDE, (3,)], lambda x, y: x + y), ([WIDE], lambda x: x + number(2, 2, 3))],
    "Sub": [([WIDE, (3,)], lambda x, y: x - y), ([WIDE], lambda x: 1 - x)],
    "BiasAdd": [([WIDE, (3,)], tf.nn.bias_add), ([IMAGE], lambda x: tf.nn.bias_add(x, number(3)))],
    "BiasAddV1": [([WIDE], lambda x: raw.BiasAddV1(value=x, bias=number(3)))],
    "AddN": [([WIDE, WIDE], lambda x, y: tf.add_n([x, y, number(2, 3)]))],
    "AccumulateNV2": [([WIDE, WIDE], lambda x, y: raw.AccumulateNV2(inputs=[x, y], shape=[2, 3]))],
    "Pack": [([WIDE, WIDE], lambda x, y: tf.stack([x, number(2, 3), y], 1))],
    "IdentityN": [([WIDE, WIDE], lambda x, y: raw.IdentityN(input=[x, y])[1])],
    "ConcatV2": [([WIDE, WIDE], lambda x, y: tf.concat([x, number(2, 1), y], 1))],
    "Concat": [([WIDE, WIDE], lambda x, y: raw.Concat(concat_dim=1, values=[x, number(2, 1), y]))],
    "Split": [([(2, 4)], lambda x: tf.split(x, 2, 1)[1])],
    "Mul": [([WIDE], lambda x: x * number(2, 3)), ([WIDE], lambda x: number() * x)],
    "MatMul": [([WIDE], lambda x: tf.matmul(x, number(4, 3), transpose_b=True)),
               ([WIDE], lambda x: raw.MatMul(a=number(5, 2), b=x))],
    "BatchMatMul": [([(2, 3, 4)], lambda x: raw.BatchMatMul(x=x, y=number(2, 4, 5)))],
    "BatchMatMulV2": [([(2, 3, 4)], lambda x: raw.BatchMatMulV2(x=x, y=number(4, 5))),
                      ([(2, 3, 4)], lambda x: raw.BatchMatMulV2(x=number(5, 3), y=x))],
    "BatchMatMulV3": [([(2, 3, 4)], lambda x: raw.BatchMatMulV3(x=x, y=number(4, 5),
                                                                Tout=tf.float64))],
    "Einsum": [([(2, 3, 4)], lambda x: tf.einsum("bij,jk->bik", x, number(4, 5))),
               ([(2, 3, 4)], lambda x: raw.Einsum(inputs=[x], equation="bij->bj"))],
    "SparseTensorDenseMatMul": [([(2, 4)], lambda x: sparse_times(number(3), x)),
                                ([(3,)], lambda x: sparse_times(x, number(2, 4)))],
    "Conv2D": [([IMAGE], lambda x: raw.Conv2D(input=x, filter=number(3, 3, 3, 2), **STRIDES))],
    "Conv3D": [([(1, 3, 4, 4, 2)], lambda x: tf.nn.conv3d(
        x, number(2, 2, 2, 2, 3), [1] * 5, "SAME"))],
    "DepthwiseConv2dNative": [([IMAGE], lambda x: raw.DepthwiseConv2dNative(
        input=x, filter=number(3, 3, 3, 2), **STRIDES))],
    "Conv2DBackpropInput": [([IMAGE], lambda x: raw.Conv2DBackpropInput(
        input_sizes=[2, 4, 4, 2], filter=number(3, 3, 2, 3), out_backprop=x, **STRIDES))],
    "Conv3DBackpropInputV2": [([(1, 3, 4, 4, 2)], lambda x: tf.nn.conv3d_transpose(
        x, number(2, 2, 2, 3, 2), [1, 3, 4, 4, 3], [1] * 5, "SAME"))],
    "DepthwiseConv2dNativeBackpropInput": [([(2, 4, 4, 6)], lambda x: (
        raw.DepthwiseConv2dNativeBackpropInput(
            input_sizes=[2, 4, 4, 3], filter=number(3, 3, 3, 2), out_backprop=x, **STRIDES)))],
    "Select": [([WIDE, WIDE], lambda x, y: raw.Select(condition=[True, False], x=x, y=y))],
    "SelectV2": [([WIDE], lambda x: tf.where([[True], [False]], x, number(2, 3)))],
    "ScatterNd": [([(2, 3)], lambda x: tf.scatter_nd([[3], [0]], x, [4, 3]))],
    "SparseToDense": [([(2,), ()], lambda x, d: raw.SparseToDense(
        sparse_indices=[[0, 1], [1, 2]], output_shape=[2, 3], sparse_values=x, default_value=d))],
    "RaggedTensorToTensor": [([(3,), ()], lambda x, d: raw.RaggedTensorToTensor(
        shape=[2, 3], values=x, default_value=d, row_partition_tensors=[[0, 2, 3]],
        row_partition_types=["ROW_SPLITS"]))],
    **{f"TensorScatter{how}": [([(4,), (2,)], lambda x, y, how=how: getattr(
        raw, f"TensorScatter{how}")(tensor=x, indices=[[3], [1]], updates=y))]
       for how in ("Add", "Sub", "Update")},
    "FusedBatchNorm": [([IMAGE], older_norm("FusedBatchNorm"), SINGLE)],
    "FusedBatchNormV2": [([IMAGE], older_norm("FusedBatchNormV2"), SINGLE)],
    "FusedBatchNormV3": [([IMAGE], norm(False), SINGLE)],
    "Cast": [([WIDE], lambda x: tf.cast(x, tf.float64), SINGLE)],
}
ROWS = [(name, number_) for name, cases in CASES.items() for number_ in range(len(cases))]


def test_every_rule_has_a_case():
    assert set(CASES) == set(affine_rules.RULES)


class Made:
    """A function in a graph of its own: its inputs (placeholders) and its result."""

    def __init__(self, shapes, function, dtype=tf.float64):
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.inputs = [v1.placeholder(dtype, shape) for shape in shapes]
            self.result = function(*self.inputs)

    def frontier(self, **choices):
        choices.setdefault("usable", lambda tensor: True)
        return affine.find(self.graph, self.inputs, self.result, **choices)

    def is_affine(self):
        return self.result.name in affine.region(self.graph, self.inputs, self.result)[2]

    def numbers(self, seed):
        generator = np.random.default_rng(seed)
        return [generator.normal(size=tensor.shape.as_list()) for tensor in self.inputs]

    def answers(self, *many, upstream=None):
        """(result, derivatives) at each of many places; derivatives of <result, upstream>."""
        with self.graph.as_default(), v1.Session(graph=self.graph) as session:
            shape = session.run(self.result, dict(zip(self.inputs, many[0]))).shape
            upstream = np.random.default_rng(3).normal(size=shape)
            gradients = [tf.convert_to_tensor(gradient) for gradient in tf.gradients(
                self.result, self.inputs, [tf.constant(upstream, self.result.dtype)])]
            return upstream, [session.run([self.result, gradients], dict(zip(self.inputs, at)))
                              for at in many]


@pytest.mark.parametrize("name, which", ROWS)
def test_a_rule_is_right(name, which):
    """The value at 0.3 x + 0.7 x' is that mix of both values, and the derivative is the same."""
    made = Made(*CASES[name][which])
    assert made.result.op.type == name
    assert made.is_affine()
    ends, starts = made.numbers(1), made.numbers(2)
    for start in starts:  # as baselines are: some derivatives look at zeros, and are no constants
        start.reshape(-1)[:1] = 0
    middle = [0.3 * x + 0.7 * start for x, start in zip(ends, starts)]
    upstream, [(end, back), (start, there), (between, here)] = made.answers(ends, starts, middle)
    # A few hundred products of numbers of size one at most: their rounding.
    bound = 500 * np.finfo(made.inputs[0].dtype.as_numpy_dtype).eps
    np.testing.assert_allclose(between, 0.3 * end + 0.7 * start, rtol=bound, atol=bound)
    change = sum(np.sum(gradient * (x - y)) for gradient, x, y in zip(back, ends, starts))
    np.testing.assert_allclose(change, np.sum(upstream * (end.astype(float) - start)),
                               rtol=10 * bound, atol=10 * bound)
    for first, second, third in zip(back, there, here):
        np.testing.assert_allclose(first, second, rtol=bound, atol=bound)
        np.testing.assert_allclose(first, third, rtol=bound, atol=bound)


def positive(x):
    return tf.reduce_sum(x, 1, keepdims=True) > 0


# The twins: what looks like a rule of the table, and bends.
BENDS = {
    "relu": ([WIDE], tf.nn.relu),
    "square by Mul": ([WIDE], lambda x: raw.Mul(x=x, y=x)),
    "product of two": ([WIDE, WIDE], lambda x, y: x * y),
    "matrix product of two": ([(2, 3, 3), (2, 3, 3)], tf.matmul),
    "matrix product with itself": ([(3, 3)], lambda x: raw.MatMul(a=x, b=x)),
    "einsum of two": ([WIDE, WIDE], lambda x, y: raw.Einsum(inputs=[x, y], equation="ij,ij->i")),
    "einsum with itself": ([WIDE], lambda x: raw.Einsum(inputs=[x, x], equation="ij,ij->i")),
    "sparse matrix and vector": ([(3,), (2, 4)], sparse_times),
    "filter that moves too": ([IMAGE, (2, 2, 3, 1)],
                              lambda x, y: raw.Conv2D(input=x, filter=y, **STRIDES)),
    "divisor": ([WIDE], lambda x: 1 / (3 + x)),
    "softmax": ([WIDE], tf.nn.softmax),
    "maximum": ([WIDE], lambda x: tf.reduce_max(x, 1)),
    "max-pool": ([IMAGE], lambda x: tf.nn.max_pool2d(x, 2, 1, "SAME")),
    "normalisation": ([WIDE], lambda x: tf.math.l2_normalize(x, 1)),
    "batch norm in training": ([IMAGE], norm(True), SINGLE),
    "condition that moves": ([WIDE], lambda x: raw.SelectV2(
        condition=positive(x), t=x, e=number(2, 3))),
    "indices that move": ([(3, 1)], lambda x: tf.gather(x, tf.argmax(x, 0))),
    "segments that move": ([(3, 2)], lambda x: tf.math.unsorted_segment_sum(
        x, tf.cast(tf.reduce_max(x, 1) > 0.3, tf.int32), 2)),
    "mask of its own": ([WIDE], lambda x: x * tf.cast(x > 0, x.dtype)),
    "rounding": ([WIDE], tf.round),
}


@pytest.mark.parametrize("name", BENDS)
def test_what_bends_is_not_crossed(name):
    made = Made(*BENDS[name])
    assert not made.is_affine()
    bends = False
    for seed in range(10):  # one pair of places where it bends is enough
        ends, starts = made.numbers(2 * seed), made.numbers(2 * seed + 1)
        middle = [0.3 * x + 0.7 * start for x, start in zip(ends, starts)]
        with v1.Session(graph=made.graph) as session:
            end, start, between = (session.run(made.result, dict(zip(made.inputs, at)))
                                   for at in (ends, starts, middle))
        bends = bends or np.abs(between - 0.3 * end - 0.7 * start).max() > 1e-3
    assert bends


@pytest.mark.parametrize("narrow", [tf.float16, tf.bfloat16])
def test_half_precision_is_not_crossed(narrow):
    """It would round the integral once more on its way back: neither into it nor out of it."""
    assert not Made([WIDE], lambda x: tf.cast(x, narrow)).is_affine()
    assert not Made([WIDE], lambda x: tf.cast(x, tf.float32), narrow).is_affine()
    assert not Made([WIDE], lambda x: x * tf.constant(2, narrow), narrow).is_affine()


def test_what_has_no_derivative_is_not_crossed():
    """Affine in what it pads with, but TensorFlow has no derivative for that; x / y where 0 / 0
    is 0 has one that is zero where x is."""
    assert not Made([WIDE], lambda x: tf.math.xdivy(x, number(3))).is_affine()
    made = Made([WIDE, ()], lambda x, c: raw.PadV2(input=x, paddings=[[0, 0], [1, 2]],
                                                   constant_values=c))
    assert not made.is_affine()


# What is worth it --------------------------------------------------------------------------------


def types(made):
    """Types of the ops that are crossed, and shapes of the frontier."""
    found = made.frontier()
    graph = made.graph
    return ([graph.get_operation_by_name(name).type for name in found.operations],
            [tensor.shape.as_list() for tensor in found.tensors])


def test_a_large_product_is_crossed_and_a_large_copy_is_not():
    crossed, shapes = types(Made([(None, 64)], lambda x: tf.nn.relu(x @ number(64, 512))))
    assert (crossed, shapes) == (["MatMul"], [[None, 512]])
    crossed, shapes = types(Made([(None, 8)], lambda x: tf.nn.relu(tf.tile(x, [1, 500]))))
    assert (crossed, shapes) == ([], [[None, 8]])


def test_what_grows_a_little_is_crossed_for_what_comes_behind_it():
    """Padding alone makes the frontier larger; the convolution behind it pays for that."""
    def padded(x):
        return tf.pad(x, [[0, 0], [0, 0], [200, 200]])
    crossed, _ = types(Made([(None, 8, 16)], lambda x: tf.nn.relu(padded(x))))
    assert crossed == []
    crossed, shapes = types(Made([(None, 8, 16)], lambda x: tf.nn.relu(
        tf.reshape(padded(x), [-1, 8 * 416]) @ number(8 * 416, 4))))
    assert "MatMul" in crossed and shapes == [[None, 4]]


def test_several_tensors_and_one_behind_another():
    """A residual is read where it is made, and what a layer makes of it, too."""
    def model(x):
        first = x @ number(16, 16)
        second = first @ number(16, 16, seed=8)
        return tf.nn.relu(second) + tf.tanh(first) * first
    made = Made([(None, 16)], model)
    assert len(made.frontier().tensors) == 2 and len(made.frontier().operations) == 2


def test_a_target_that_is_affine_is_its_own_frontier():
    made = Made([(None, 16)], lambda x: tf.reduce_sum(x @ number(16, 3), 1))
    assert [tensor.name for tensor in made.frontier().tensors] == [made.result.name]


def test_what_may_not_be_used_is_crossed_or_not_reached():
    """Rows that are no examples are no frontier; what they are pooled to may be one."""
    def model(x):
        return tf.nn.relu(tf.math.segment_sum(tf.reshape(x, [-1, 4]) @ number(4, 64), [0, 1]))
    made = Made([(2, 4)], model)
    pooled = made.result.op.inputs[0]
    frontier = made.frontier(usable=lambda tensor: tensor.name in (
        made.inputs[0].name, pooled.name))
    assert [tensor.name for tensor in frontier.tensors] in ([pooled.name], [made.inputs[0].name])
    none = made.frontier(usable=lambda tensor: tensor.name == made.inputs[0].name)
    assert none.operations == ()


def test_a_small_saving_is_not_worth_another_rounding():
    crossed, _ = types(Made([(None, 16)], lambda x: tf.nn.relu(
        tf.nn.relu(x @ number(16, 16)) @ number(16, 400)) @ number(400, 1)))
    assert crossed == []


def test_shapes_do_not_move():
    """A reshape to the point's own batch size; a mask of the shape of what moves."""
    def model(x):
        flat = tf.reshape(x, [tf.shape(x)[0], 8]) * tf.ones_like(x[:, 0])
        return tf.tanh(flat @ number(8, 8))
    made = Made([(None, 2, 8)], lambda x: model(x[:, :1]))
    assert made.result.op.inputs[0].name == made.frontier().tensors[0].name


# The cut -----------------------------------------------------------------------------------------


def test_the_cut_is_a_cheapest_one():
    """Against all cuts of 200 random graphs of six nodes."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        edges = {}
        for start, end in itertools.permutations(range(6), 2):
            if generator.random() < 0.45:
                edges[start, end] = int(generator.integers(1, 30))
        flow = Flow()
        for (start, end), capacity in edges.items():
            flow.add(start, end, capacity)
        side = flow.source_side(0, 5)

        def price(inside):
            return sum(capacity for (start, end), capacity in edges.items()
                       if start in inside and end not in inside)
        cheapest = min(price({0, *chosen}) for count in range(5)
                       for chosen in itertools.combinations(range(1, 5), count))
        assert 0 in side and 5 not in side and price(side) == cheapest


def test_an_infinite_edge_is_never_cut():
    flow = Flow()
    for start, end, capacity in (("s", "a", 1000), ("a", "b", INFINITE), ("b", "t", 5000)):
        flow.add(start, end, capacity)
    assert flow.source_side("s", "t") == {"s"}
