"""Rules for sparse tensors whose first axis is the batch, and for what is pooled from them."""

from ig_tf.graph import row_rules
from ig_tf.graph.shape_values import entries_of, static
from ig_tf.graph.states import (BATCH, CountOfValues, Distinct, Index, IndexPair, ListOf, Positions,
                                Rows, Segments, Shared, Size, SparseIndices, SparseShape, Values,
                                is_shared)


def parse_example(op, inputs):
    """ParseExample and ParseExampleV2 of a batch of records."""
    if inputs[0] != Rows(0):
        return None
    made = []
    for tensor in op.outputs:
        made.append(_parsed(op, tensor))
    return made


def _parsed(op, tensor):
    sparse = op.get_attr("Nsparse" if op.type == "ParseExample" else "num_sparse")
    index = tensor.value_index
    if index < sparse:
        return SparseIndices()
    if index < 2 * sparse:
        return Values()
    if index < 3 * sparse:
        return SparseShape(2)
    dense = len(op.get_attr("Tdense"))
    return Rows(0) if index < 3 * sparse + dense else Values()


def string_split(op, inputs):
    """The words of each example."""
    whole = inputs[0] == Rows(0) and all(is_shared(state) for state in inputs[1:])
    return [SparseIndices(), Values(), SparseShape(2)] if whole else None


def ragged_to_tensor(op, inputs):
    """Values by example, padded: [batch, longest]. A shape that is asked for may cut some off."""
    kinds = op.get_attr("row_partition_types")
    if kinds[:2] != [b"FIRST_DIM_SIZE", b"VALUE_ROWIDS"] or len(kinds) != 2:
        return None
    shape, values, default, examples, rows = inputs
    entries = entries_of(op.inputs[0], shape) or (None,)
    fits = (is_shared(shape) and entries[0] == -1 and is_shared(default) and _per_value(values)
            and examples == Size((BATCH,)) and isinstance(rows, Segments))
    return Rows(0) if fits else None


def where(op, inputs):
    """Indices of what is true, in row-major order: the example is column 0."""
    if isinstance(inputs[0], Values) or inputs[0] == Rows(0, False):
        return Positions()
    return SparseIndices() if inputs[0] == Rows(0) else None


def retain(op, inputs):
    """sparse_retain: the same kind of thing, fewer of them."""
    axis = static(op.inputs[2]) if len(op.inputs) > 2 else 0
    if axis != 0 or not isinstance(inputs[1], Positions):
        return None
    if isinstance(inputs[0], SparseIndices):
        return SparseIndices()
    return Values() if _per_value(inputs[0]) else None


def flattened(op, inputs):
    """Reshape of numbers that say which rows are meant."""
    if isinstance(inputs[0], Index):
        return inputs[0] if op.inputs[0].shape.rank == 1 else Index(False)
    return inputs[0] if isinstance(inputs[0], Positions) else None


def gather_nd(op, inputs):
    if not isinstance(inputs[0], Rows) or not isinstance(inputs[1], SparseIndices):
        return None
    return Rows(0) if inputs[1].one_each and inputs[0] == Rows(0) else Values()


def sparse_reshape(op, inputs):
    """To [batch, everything else] and back: the example stays column 0."""
    if not isinstance(inputs[0], SparseIndices) or not isinstance(inputs[1], (SparseShape, Size)):
        return None
    entries = entries_of(op.inputs[2], inputs[2])
    if not entries or entries[0] != BATCH:
        return None
    return [inputs[0], SparseShape(len(entries))]


def fill_empty_rows(op, inputs):
    indices, values, shape = inputs[:3]
    if (isinstance(indices, SparseIndices) and _per_value(values)
            and isinstance(shape, (SparseShape, Size))):
        return [SparseIndices(True), Values(), Rows(0), Values()]
    return None


def slice_of_indices(op, inputs):
    """indices[:, 0]: the example of each value."""
    if not isinstance(inputs[0], SparseIndices):
        return None
    begin = static(op.inputs[1])
    column_only = op.get_attr("shrink_axis_mask") == 2 and begin is not None and len(begin) == 2
    if column_only and begin[1] == 0:
        return Segments(inputs[0].filled)
    return Values() if column_only else None


def unchanged(op, inputs):
    """Identity and Cast of any part of a sparse tensor."""
    parts = (Segments, Distinct, SparseIndices, SparseShape, Positions, Index, IndexPair,
             CountOfValues, ListOf)
    return inputs[0] if isinstance(inputs[0], parts) else None


def _per_value(state):
    """One row per value; a dense column made sparse has a fixed number of values per example."""
    return isinstance(state, Values) or isinstance(state, Rows) and state.axis == 0


def unique(op, inputs):
    return [Distinct(), Values()] if isinstance(inputs[0], Values) else None


def gather_distinct(op, inputs):
    """The vectors of `Unique` ids; then one per value again, through Unique's index."""
    axis = static(op.inputs[2]) if len(op.inputs) > 2 else 0
    if axis != 0:
        return None
    if is_shared(inputs[0]) and isinstance(inputs[1], Distinct):
        return Distinct()
    if isinstance(inputs[0], Distinct) and isinstance(inputs[1], Values):
        return Values()
    return None


def sparse_segment(op, inputs):
    """Pooling: data rows are gathered by index, summed by example. Empty examples at the end of
    the batch have no row unless every example was filled."""
    data, indices, segments = inputs[:3]
    known = isinstance(data, (Distinct, Shared)) and isinstance(indices, Values)
    return Rows(0) if known and isinstance(segments, Segments) and segments.filled else None


def segment(op, inputs):
    filled = isinstance(inputs[1], Segments) and inputs[1].filled
    return Rows(0) if filled and isinstance(inputs[0], Values) else None


def sparse_to_dense(op, inputs):
    shape_known = isinstance(inputs[1], SparseShape) or (
        isinstance(inputs[1], Size) and inputs[1].entries[0] == BATCH)
    if isinstance(inputs[0], SparseIndices) and shape_known and isinstance(
            inputs[2], (Values, Shared)):
        return Rows(0)
    return None


def sparse_times_dense(op, inputs):
    """[batch, n] times a matrix: row i is made of the values of example i."""
    indices, values, shape, matrix = inputs
    shape_known = isinstance(shape, SparseShape) or (
        isinstance(shape, Size) and shape.entries[0] == BATCH)
    fits = (shape_known and isinstance(indices, SparseIndices) and is_shared(matrix)
            and isinstance(values, (Values, Shared)) and not op.get_attr("adjoint_a"))
    return Rows(0) if fits else None


def sparse_cross(op, inputs):
    """Crossed features: sparse in, sparse out; dense parts are per example."""
    parts = (SparseIndices, Values, SparseShape, Size, Rows, Shared)
    fits = all(isinstance(state, parts) for state in inputs)
    return [SparseIndices(), Values(), SparseShape(2)] if fits else None


def _either(first, second):
    def rule(op, inputs):
        result = first(op, inputs)
        return second(op, inputs) if result is None else result
    return rule


def _with_row_rule(rule, name):
    """Ops that work on sparse parts and on plain rows alike."""
    return _either(rule, row_rules.RULES[name])


RULES = {
    "ParseExample": parse_example,
    "ParseExampleV2": parse_example,
    "StringSplit": string_split,
    "StringSplitV2": string_split,
    "RaggedTensorToTensor": ragged_to_tensor,
    "Where": where,
    "GatherNd": gather_nd,
    "SparseReshape": sparse_reshape,
    "SparseFillEmptyRows": fill_empty_rows,
    "StridedSlice": _with_row_rule(slice_of_indices, "StridedSlice"),
    "Reshape": _with_row_rule(flattened, "Reshape"),
    "Cast": _with_row_rule(unchanged, "Cast"),
    "Identity": _with_row_rule(unchanged, "Identity"),
    "Unique": unique,
    **{name: _either(retain, _with_row_rule(gather_distinct, name))
       for name in ("Gather", "GatherV2", "ResourceGather")},
    **dict.fromkeys(("SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN"),
                    sparse_segment),
    **dict.fromkeys(("SegmentSum", "SegmentMean"), segment),
    "SparseToDense": sparse_to_dense,
    "SparseTensorDenseMatMul": sparse_times_dense,
    **dict.fromkeys(("SparseCross", "SparseCrossV2", "SparseCrossHashed"), sparse_cross),
}
