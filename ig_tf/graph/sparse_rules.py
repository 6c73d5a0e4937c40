"""Rules for sparse tensors whose first axis is the batch, and for what is pooled from them."""

import dataclasses

import numpy as np

from ig_tf.graph import row_rules
from ig_tf.graph.shape_values import entries_of, static
from ig_tf.graph.states import (BATCH, FOLDED, CountOf, Distinct, Elements, Index, IndexPair,
                                ListOf, Positions, Rows, Segments, Shared, Size, SparseIndices,
                                SparseShape, Turn, Values, is_shared)


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
            and examples == Size((BATCH,)) and isinstance(rows, Segments) and rows.unit)
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
        return SparseIndices(unit=inputs[0].unit)
    return Values() if _per_value(inputs[0]) else None


def flattened(op, inputs):
    """Reshape of numbers that say which rows are meant."""
    if isinstance(inputs[0], Index):
        return inputs[0] if op.inputs[0].shape.rank == 1 else Index(False)
    return inputs[0] if isinstance(inputs[0], Positions) else None


def gather_nd(op, inputs):
    if is_shared(inputs[0]) and isinstance(inputs[1], Rows):  # ids are vectors along the last axis
        rank = op.inputs[1].shape.rank
        return inputs[1] if rank is not None and inputs[1].axis < rank - 1 else None
    if not isinstance(inputs[0], Rows) or not isinstance(inputs[1], SparseIndices) or (
            inputs[0].unit != inputs[1].unit):
        return None
    return Rows(0) if inputs[1].one_each and inputs[0] == Rows(0) else Values()


def sparse_reshape(op, inputs):
    """To [batch, everything else] and back, or to [batch * k, last]: examples stay in order."""
    if not isinstance(inputs[0], SparseIndices) or not isinstance(inputs[1], (SparseShape, Size)):
        return None
    entries = entries_of(op.inputs[2], inputs[2])
    if entries and entries[0] == BATCH:
        return [dataclasses.replace(inputs[0], unit=True), SparseShape(len(entries))]
    if entries and entries[0] == FOLDED and inputs[0].unit:
        return [SparseIndices(unit=False), Size(entries)]
    return None


def fill_empty_rows(op, inputs):
    indices, values, shape = inputs[:3]
    if (isinstance(indices, SparseIndices) and _per_value(values)
            and isinstance(shape, (SparseShape, Size))):
        return [SparseIndices(True, unit=indices.unit), Values(), Rows(0, indices.unit), Values()]
    return None


def slice_of_indices(op, inputs):
    """indices[:, 0]: the example of each value."""
    if not isinstance(inputs[0], SparseIndices):
        return None
    begin = static(op.inputs[1])
    column_only = op.get_attr("shrink_axis_mask") == 2 and begin is not None and len(begin) == 2
    return _column(inputs[0], begin[1]) if column_only else None


def gathered_column(op, inputs):
    """The same by tf.gather(indices, 0, axis=1)."""
    if not isinstance(inputs[0], SparseIndices) or len(op.inputs) < 3:
        return None
    column = static(op.inputs[1])
    if static(op.inputs[2]) not in (1, -1) or column is None or np.ndim(column):
        return None
    return _column(inputs[0], column)


def columns(op, inputs):
    """The same by tf.unstack(indices, axis=1)."""
    if not isinstance(inputs[0], SparseIndices) or op.get_attr("axis") not in (1, -1):
        return None
    return [_column(inputs[0], place) for place in range(len(op.outputs))]


def _column(indices, place):
    return Segments(indices.filled, indices.unit) if place == 0 else Values()


def unchanged(op, inputs):
    """Identity and Cast of any part of a sparse tensor."""
    parts = (Segments, Distinct, SparseIndices, SparseShape, Positions, Index, IndexPair,
             CountOf, ListOf, Elements, Turn)
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
    the batch have no row unless every example was filled: the model gives no answer for these."""
    data, indices, segments = inputs[:3]
    known = isinstance(data, (Distinct, Shared)) and isinstance(indices, Values)
    return Rows(0, segments.unit) if known and isinstance(segments, Segments) else None


def segment(op, inputs):
    known = isinstance(inputs[0], Values) and isinstance(inputs[1], Segments)
    return Rows(0, inputs[1].unit) if known else None


def numbered_segment(op, inputs):
    """Pooling into as many rows as there are examples, empty ones included."""
    numbers = entries_of(op.inputs[-1], inputs[-1])
    if numbers != (BATCH,) or not isinstance(inputs[-2], Segments) or not inputs[-2].unit:
        return None
    if op.type.startswith("Unsorted"):
        return Rows(0) if isinstance(inputs[0], Values) else None
    known = isinstance(inputs[0], (Distinct, Shared)) and isinstance(inputs[1], Values)
    return Rows(0) if known else None


def sparse_matmul(op, inputs):
    """[batch, vocabulary] times a matrix: one row per example."""
    indices, values, shape, dense = inputs
    entries = entries_of(op.inputs[2], shape)
    examples = isinstance(shape, SparseShape) or bool(entries) and entries[0] == BATCH
    fits = (isinstance(indices, SparseIndices) and indices.unit
            and (_per_value(values) or is_shared(values))
            and examples and is_shared(dense) and not op.get_attr("adjoint_a"))
    return Rows(0) if fits else None


def sparse_to_dense(op, inputs):
    shape_known = isinstance(inputs[1], SparseShape) or (
        isinstance(inputs[1], Size) and inputs[1].entries[0] == BATCH)
    if isinstance(inputs[0], SparseIndices) and shape_known and isinstance(
            inputs[2], (Values, Shared)):
        return Rows(0) if inputs[0].unit else None
    return None


def reorder(op, inputs):
    """The same values, in the order of their examples."""
    fits = isinstance(inputs[0], SparseIndices) and _per_value(inputs[1])
    kept = fits and dataclasses.replace(inputs[0], one_each=False)
    return [kept, Values()] if fits else None


def sparse_cross(op, inputs):
    """Crossed features: sparse in, sparse out; dense parts are per example."""
    parts = (SparseIndices, Values, SparseShape, Size, Rows, Shared)
    fits = all(isinstance(state, parts) for state in inputs) and all(
        state.unit for state in inputs if isinstance(state, SparseIndices))
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
    "ResourceGatherNd": gather_nd,
    "SparseReshape": sparse_reshape,
    "SparseFillEmptyRows": fill_empty_rows,
    "StridedSlice": _with_row_rule(slice_of_indices, "StridedSlice"),
    "Reshape": _with_row_rule(flattened, "Reshape"),
    "Cast": _with_row_rule(unchanged, "Cast"),
    "Identity": _with_row_rule(unchanged, "Identity"),
    "Unique": unique,
    **{name: _either(gathered_column, _either(retain, _with_row_rule(gather_distinct, name)))
       for name in ("Gather", "GatherV2", "ResourceGather")},
    "Unpack": _with_row_rule(columns, "Unpack"),
    **dict.fromkeys(("SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN"),
                    sparse_segment),
    **dict.fromkeys(("SegmentSum", "SegmentMean"), segment),
    **dict.fromkeys(("UnsortedSegmentSum", "SparseSegmentSumWithNumSegments",
                     "SparseSegmentMeanWithNumSegments", "SparseSegmentSqrtNWithNumSegments"),
                    numbered_segment),
    "SparseTensorDenseMatMul": sparse_matmul,
    "SparseToDense": sparse_to_dense,
    "SparseReorder": reorder,
    **dict.fromkeys(("SparseCross", "SparseCrossV2", "SparseCrossHashed"), sparse_cross),
}
