"""Bags of ids: an `embedding_lookup_sparse`, read so that its total can be given back to each id.

Pooling is linear in the looked-up vectors, and its coefficients do not change on the path. With a
zero baseline the attribution of id i of an example is therefore its own share of the pooled vector
times the integral that was computed for that vector: nothing has to be gathered again in the loop.
"""

import dataclasses

from ig_tf.graph.work import is_shaped
from ig_tf.points.features import what_was_sent

COMBINERS = {"SparseSegmentSum": "sum", "SparseSegmentMean": "mean",
             "SparseSegmentSqrtN": "sqrtn"}


@dataclasses.dataclass(frozen=True)
class Bag:
    """Tensors of one pooled lookup, by name in the working graph.

    Attributes:
      combiner: sum, mean or sqrtn.
      data: vectors [rows, dim].
      indices: for each pooled value, its row of `data`.
      segments: for each pooled value, its example.
      examples: sparse indices [values, rank] of the ids that were sent; column 0 is the example.
      places: for each id that was looked up, its place among the pooled values; None where they
        are the same (no empty examples were filled in between).
      kept: places among `tokens` of the ids that were looked up, the others being unknown to the
        model; None for all.
      tokens: what was sent [all values]: strings where the graph still knows them, else ids.
    """

    combiner: str
    data: str
    indices: str
    segments: str
    examples: str
    places: object
    kept: object
    tokens: str

    def tensors(self):
        """Names of all its tensors."""
        names = (self.data, self.indices, self.segments, self.examples, self.places, self.kept,
                 self.tokens)
        return [name for name in names if name is not None]


def read_bag(tensor, features):
    """The `Bag` behind a pooled tensor, or None where its structure is another.

    Args:
      tensor: the pooled tensor.
      features: `Features` of its graph.
    """
    op = tensor.op
    if op.type not in COMBINERS:
        return None
    data, indices, segments = op.inputs[:3]
    pooled_indices = _column_source(segments)
    values = _looked_up(indices)
    if pooled_indices is None or values is None:
        return None
    filled = values.op
    if filled.type == "SparseFillEmptyRows":
        if pooled_indices.op is not filled:
            return None
        examples, values, places = filled.inputs[0], filled.inputs[1], filled.outputs[3].name
    else:
        examples, places = pooled_indices, None
    kept = None
    retained = _through(values)
    if retained.op.type == "GatherV2" and _through(examples).op.type == "GatherV2":
        if retained.op.inputs[1] is not _through(examples).op.inputs[1]:
            return None
        kept, values = retained.op.inputs[1].name, retained.op.inputs[0]
        examples = _through(examples).op.inputs[0]
    tokens = what_was_sent(values, features)
    return Bag(COMBINERS[op.type], data.name, indices.name, segments.name, examples.name, places,
               kept, tokens.name)


def _column_source(segments):
    """The sparse indices whose column 0 the segment numbers are."""
    op = _through(segments).op
    if op.type != "StridedSlice" or op.get_attr("shrink_axis_mask") != 2:
        return None
    return _through(op.inputs[0])


def _looked_up(indices):
    """The pooled values: behind `Unique`, or the indices themselves."""
    op = indices.op
    if op.type == "Unique" and indices.value_index == 1:
        return _through(op.inputs[0])
    return _through(indices)


def _through(tensor):
    while tensor.op.type in ("Identity", "Cast") or is_shaped(tensor.op):
        tensor = tensor.op.inputs[0]
    return tensor
