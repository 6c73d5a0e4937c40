"""Bags of ids: a pooled lookup, read so that its total can be given back to each id.

A pooled vector is a sum of rows, one per id, with factors that do not change on the path. With a
zero baseline the attribution of id i of an example is therefore its own row's part of the pooled
vector times the integral that was computed for that vector: nothing has to be gathered again in
the loop, whatever the rows are made of (weights, a clipped norm, a table in parts).
"""

import dataclasses

from ig_tf.graph.walk import through
from ig_tf.points.lookups import UNIQUE, Lookup, lookup_behind
from ig_tf.points.sent import Sent, what_was_sent
from ig_tf.points.tables import table_of


@dataclasses.dataclass(frozen=True)
class Pooling:
    """How an op pools rows.

    Attributes:
      combiner: as feature columns call it.
      data: which input holds the rows, or the vectors that rows are picked from.
      indices: which input picks a vector for each row; None where `data` has the rows.
      segments: which input says the example of each row.
    """

    combiner: str
    data: int
    indices: object
    segments: int


POOLINGS = {
    "SparseSegmentSum": Pooling("sum", 0, 1, 2),
    "SparseSegmentMean": Pooling("mean", 0, 1, 2),
    "SparseSegmentSqrtN": Pooling("sqrtn", 0, 1, 2),
    "SparseSegmentSumWithNumSegments": Pooling("sum", 0, 1, 2),
    "SparseSegmentMeanWithNumSegments": Pooling("mean", 0, 1, 2),
    "SparseSegmentSqrtNWithNumSegments": Pooling("sqrtn", 0, 1, 2),
    "SegmentSum": Pooling("sum", 0, None, 1),
    "SegmentSumV2": Pooling("sum", 0, None, 1),
    "SegmentMean": Pooling("mean", 0, None, 1),
    "UnsortedSegmentSum": Pooling("sum", 0, None, 1),
    "ScatterNd": Pooling("sum", 1, None, 0),
}
QUOTIENTS = frozenset({"RealDiv", "Div", "DivNoNan", "Xdivy"})
# A [batch, vocabulary] sparse tensor times a table: column numbers are the ids.
PRODUCT = "SparseTensorDenseMatMul"


@dataclasses.dataclass(frozen=True)
class Bag:
    """Tensors of one pooled lookup, by name in the working graph.

    Attributes:
      combiner: sum, mean or sqrtn, as the owner knows it.
      share: the same for the pooling op alone: a weighted mean is a sum that is divided later.
      operation: type of the pooling op.
      operands: the inputs of the pooling op that say rows and their examples.
      examples: the example of each id that was sent: indices [values, rank] with the example in
        column 0, or [values].
      filled: (place of each id among the rows, whether an example was empty) where empty
        examples were given a row; None else.
      default_counts: whether the row of an empty example has a part in the answer.
      kept: positions of the ids that were looked up among those that were sent, the others being
        unknown to the model; one for each time that some were left out, the last time first.
      sent: the `Sent` of all values.
    """

    combiner: str
    share: str
    operation: str
    operands: tuple
    examples: str
    filled: object
    default_counts: bool
    kept: tuple
    sent: Sent

    def tensors(self):
        """Names of all its tensors."""
        return tuple(dict.fromkeys((*self.operands, self.examples, *(self.filled or ()),
                                    *self.kept, *self.sent.inputs)))


def read_bag(tensor, features):
    """The bag behind a pooled tensor.

    Args:
      tensor: the pooled tensor.
      features: `Features` of its graph.

    Returns:
      (`Bag` or None, `Lookup` or None): None where the structure is another.
    """
    op = tensor.op
    if op.type == PRODUCT:
        return _read_product(op, features)
    pooling = POOLINGS.get(op.type)
    if pooling is None:
        return None, None
    lookup, values = _rows(op, pooling, features)
    if lookup is None:
        return None, None
    operands = [op.inputs[place].name for place in (pooling.data, pooling.indices,
                                                    pooling.segments) if place is not None]
    return _placed(op, pooling, operands, values, features), lookup


def _rows(op, pooling, features):
    """The lookup whose rows are pooled, and the id of each pooled row."""
    data = op.inputs[pooling.data]
    if pooling.indices is None:
        lookup = lookup_behind(data, features)
        return lookup, lookup and lookup.ids
    indices = _source(op.inputs[pooling.indices])
    values = indices.op.inputs[0] if indices.op.type in UNIQUE else indices
    if not features.depends(data):  # newer TensorFlow looks up and pools in one op
        table = table_of([data], features)
        return table and Lookup(table, values, op), values
    return lookup_behind(data, features), values


def _read_product(op, features):
    indices, values, _, dense = op.inputs
    table = table_of([dense], features)
    if table is None or op.get_attr("adjoint_a") or op.get_attr("adjoint_b"):
        return None, None
    ids = _second_column(indices)
    operands = (indices.name, values.name, dense.name)
    return Bag("sum", "sum", op.type, operands, indices.name, None, False, (),
               what_was_sent(ids, features) if ids is not None
               else Sent(indices.name, (), (indices.name,), 1)), Lookup(table, indices, op)


def _placed(op, pooling, operands, values, features):
    """Where each pooled id stood in what was sent; None where that cannot be read."""
    segments = op.inputs[pooling.segments]
    values, examples = _source(values), _column_source(segments)
    filled, counts = None, False
    if values.op.type == "SparseFillEmptyRows":
        if examples is None or examples.op is not values.op:
            return None
        fill = values.op
        filled = fill.outputs[3].name, fill.outputs[2].name
        counts = not fill.outputs[2].consumers()  # without a default, empty rows become zero
        examples, values = fill.inputs[0], fill.inputs[1]
    if examples is None:
        examples = segments
    kept = []
    while True:
        values, examples = _source(values), _source(examples)
        if not (_picks(values) and _picks(examples)
                and values.op.inputs[1] is examples.op.inputs[1]):
            break
        kept.append(values.op.inputs[1].name)
        values, examples = values.op.inputs[0], examples.op.inputs[0]
    while examples.op.type == "SparseReshape":  # the example is the first number before it, too
        examples = _source(examples.op.inputs[0])
    if values.shape.rank not in (1, None):
        return None
    return Bag(_combiner(op, pooling), pooling.combiner, op.type, tuple(operands), examples.name,
               filled, counts, tuple(kept), what_was_sent(values, features))


def _combiner(op, pooling):
    """What a sum is once it has been divided: by a number or by the root of one."""
    for consumer in op.outputs[0].consumers():
        if consumer.type in QUOTIENTS and consumer.inputs[0] is op.outputs[0]:
            divisor = through(consumer.inputs[1], ("Reshape", "Maximum", "ExpandDims", "Cast",
                                                   "Identity"))
            return "sqrtn" if divisor.op.type == "Sqrt" else "mean"
    return pooling.combiner


def _picks(tensor):
    """Whether these are some rows of something, as sparse_retain takes them."""
    return tensor.op.type == "GatherV2" and tensor.op.inputs[1].dtype.is_integer and (
        not tensor.dtype.is_floating)


def _column_source(segments):
    """The sparse indices whose column 0 the segment numbers are, or None."""
    op = _source(segments).op
    if op.type == "StridedSlice" and op.get_attr("shrink_axis_mask") == 2:
        return _source(op.inputs[0])
    if op.type == "Unpack" and op.get_attr("axis") in (1, -1):
        return _source(op.inputs[0])
    return None


def _second_column(indices):
    """The numbers that were put in column 1 of sparse indices, or None."""
    op = _source(indices).op
    if op.type == "Pack" and len(op.inputs) == 2 and op.get_attr("axis") in (1, -1):
        return op.inputs[1]
    return None


def _source(tensor):
    return through(tensor, ("Identity", "Cast", "EnsureShape"))
