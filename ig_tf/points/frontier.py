"""The differentiable frontier (D5a): one walk from the target back to where gradients end.

A tensor at which the walk stops is either a place of attribution, or carries structure only
(masks, lengths, scalars such as keep_prob) and is held constant. Every path from the inputs to
the target crosses the frontier once.
"""

import dataclasses

from ig_tf.errors import GraphError
from ig_tf.graph import registry
from ig_tf.graph.frames import EXITS, entering
from ig_tf.graph.functional import BRANCHES, LOOPS
from ig_tf.graph.states import Distinct, Rows, Values
from ig_tf.graph.walk import SHAPE_OPS, through
from ig_tf.graph.partitions import STITCHES
from ig_tf.graph.work import same_value
from ig_tf.points.bags import POOLINGS, QUOTIENTS
from ig_tf.points.bodies import MERGES, inner_lookups, lookup_of_branches
from ig_tf.points.lookups import (LOOKUPS, lookup_at, lookup_behind, of_distinct_ids,
                                  one_hot_behind)

# Their gradient exists and is zero almost everywhere: nothing behind them gets attribution.
ZERO_GRADIENT = frozenset({"Round", "Rint", "Floor", "Ceil", "Sign", "FloorDiv", "FloorMod",
                           "TruncateDiv", "Mod"})
# Their rows are bags of values; which rows of the data belong to an example, only the ids know.
POOLING = ("SparseSegment", "Segment", "UnsortedSegment", "ScatterNd")
SPARSE_PRODUCTS = ("SparseTensorDenseMatMul", "SparseMatMul", "SparseMatrixMatMul")
# They move numbers without changing them.
MOVES = frozenset({"Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "Transpose",
                   "StridedSlice", "Slice", "Concat", "ConcatV2", "Pack", "Unpack", "Split",
                   "SplitV", "Tile", "SparseToDense", "GatherNd", "EnsureShape", "Snapshot",
                   "PlaceholderWithDefault", "Pad", "PadV2", "SelectV2", "Select"})
# An integer or bool out of these says how much or where, not what.
STRUCTURE = frozenset({"Sum", "Size", "Shape", "Rank", "ArgMax", "ArgMin", "Range", "Cumsum",
                       "All", "Any", "Count", "Where", "Prod", "Max", "Min", "Unique"})


@dataclasses.dataclass(frozen=True)
class Stop:
    """A tensor at which the walk stopped. `structure`: why it is not attributed, or None."""

    tensor: object
    kind: str
    structure: object = None


def frontier(work, target, features, states):
    """All stops of the walk from `target`, in the order of the walk.

    Args:
      work: the `Work`.
      target: tensor that is explained.
      features: `Features` of the same graph.
      states: row states by tensor name.

    Raises:
      GraphError: a TensorFlow 1 loop that could not be raised stands between a float input and
        the target.
    """
    inputs = {tensor.name for tensor in work.inputs.values()}
    stops, seen, queue = [], set(), [target]
    while queue:
        tensor = queue.pop(0)
        if tensor.name in seen or not features.depends(tensor):
            continue
        seen.add(tensor.name)
        source = tensor.op.inputs[0] if same_value(tensor.op) else tensor
        ends = source.name in inputs or _hides_lookups(source.op, features)
        operands = None if ends else continued(source, features, states)
        if operands:
            queue.extend(operands)
        else:
            stops.append(classify(tensor, features, inputs))
    return _ids_are_ids(stops, features)


def _hides_lookups(op, features):
    """Whether something is looked up in the bodies of an op: behind it, that would be lost."""
    return op.type in (*LOOPS, *BRANCHES, *MERGES) and bool(inner_lookups(op, features))


def continued(tensor, features, states):
    """The operands through which the derivative goes on, or None where it ends."""
    op = tensor.op
    if op.type in ZERO_GRADIENT or tensor.name in features.roots:
        return None
    if op.type in EXITS or op.type.startswith("TensorArray"):
        return _through_loop(op, features)
    operands = [t for t in op.inputs if carries_gradient(t) and features.depends(t)]
    if not operands or not registry.has_gradient(op):
        return None
    if _rows_end(op, operands, features, states):
        return None  # behind it rows are values or distinct ids, no longer examples
    return [t for t in operands if t.dtype != "variant" or continued(t, features, states)] or None


def _rows_end(op, operands, features, states):
    """Whether the rows behind an op are no examples: values of bags, ids that examples share."""
    if op.type.startswith(POOLING):
        return _pools_a_lookup(op, features) or _is_denominator(op.outputs[0])
    if op.type in SPARSE_PRODUCTS:
        return True
    if op.type == "Reshape" and (_stitched(operands[0]) or _regathered(operands[0])):
        return True
    if _regathered(op.outputs[0]):
        return True
    return any(isinstance(states.get(t.name), (Values, Distinct)) and not _of_rows(t, states)
               for t in operands)


def _of_rows(tensor, states):
    """Whether values were picked out of rows that belong to examples."""
    op = tensor.op
    return op.type in LOOKUPS and op.inputs[0].dtype.is_floating and isinstance(
        states.get(op.inputs[0].name), Rows)


def _regathered(tensor):
    """Whether these are the vectors of `Unique` ids, gathered once more for each id."""
    if tensor.op.type not in LOOKUPS:
        return False
    return of_distinct_ids(through(tensor.op.inputs[0]))


_TOWARDS_A_QUOTIENT = ("Identity", "Sqrt", "Reshape", "Maximum", "Cast", "ExpandDims", "Pow",
                       "AddV2", "Add", "Squeeze", "BroadcastTo", "Tile", "Select", "SelectV2")


def _is_denominator(tensor):
    """Whether a pooled number only divides: the count or the weights of a mean."""
    queue, seen, found = [tensor], set(), False
    while queue:
        current = queue.pop()
        for op in current.consumers():
            if op.type in QUOTIENTS and op.inputs[1] is current:
                found = True
            elif op.type in _TOWARDS_A_QUOTIENT and op.name not in seen:
                seen.add(op.name)
                queue.extend(op.outputs)
            elif op.type not in SHAPE_OPS and op.name not in seen:
                return False
    return found


def _pools_a_lookup(op, features):
    """Whether the pooled rows were looked up (and perhaps weighted) one per id."""
    data = op.inputs[POOLINGS[op.type].data if op.type in POOLINGS else 0]
    if op.type.startswith("SparseSegment") and not features.depends(data):
        return True  # the table itself: newer TensorFlow looks up and pools in one op
    return lookup_behind(data, features) is not None


def _stitched(tensor):
    """Whether these are rows looked up in the parts of a partitioned table."""
    return through(tensor).op.type in STITCHES


def carries_gradient(tensor):
    """Floating-point or complex, or a tensor list of such."""
    if tensor.dtype.is_floating or tensor.dtype.is_complex:
        return True
    op = tensor.op
    if tensor.dtype != "variant":
        return False
    if op.type in ("While", "StatelessWhile"):
        return carries_gradient(op.inputs[tensor.value_index])
    if op.type in EXITS:
        return True  # of a loop that is still a frame: what goes through it is seen there
    if op.type in ("Identity", "Switch", "Merge", "TensorListSetItem", "TensorListPushBack"):
        return any(carries_gradient(operand) for operand in op.inputs)
    return "element_dtype" in op.node_def.attr and op.get_attr("element_dtype").is_floating


def _through_loop(op, features):
    """A frame that could not be raised is one step of the walk; no derivative goes through."""
    frames, tensors = entering(op)
    for tensor in tensors:
        scattered = tensor.op.type.startswith(("TensorArrayScatter", "TensorArrayUnpack"))
        source = tensor.op.inputs[-2] if scattered else tensor
        if carries_gradient(source) and features.depends(source):
            why = "; ".join(features.unraised.get(name, f"frame {name!r}") for name in frames)
            raise GraphError(
                f"a while loop of TensorFlow 1 stands between {source.name!r} and the target (it "
                f"ends in {op.name!r}); it cannot be made a functional loop, so no derivative goes "
                f"through it: {why}. Choose points or a target on one side of it.")
    return None


def classify(tensor, features, inputs):
    """What a stop is."""
    source = tensor.op.inputs[0] if same_value(tensor.op) else tensor
    op = source.op
    if tensor.shape.rank == 0:
        return Stop(tensor, "dense", "a scalar")
    if not tensor.dtype.is_floating:
        return Stop(tensor, "dense", f"{tensor.dtype.name}, which has no derivative")
    if tensor.name in inputs or tensor.name in features.roots:
        return Stop(tensor, _numbers(tensor))
    if op.type == "Switch" and not features.depends(op.inputs[0]):
        return Stop(tensor, "dense", "constants of a branch")
    lookup = lookup_at(op, features)
    if lookup and _is_position(lookup.ids, features):
        return Stop(tensor, "tokens", f"looked up in {lookup.table.name} by positions that are "
                                      "counted from a mask, not by what was sent")
    if lookup or _is_reshaped_lookup(op, features):
        return Stop(tensor, "tokens")
    if lookup_of_branches(source, features):
        return Stop(tensor, "tokens")
    if op.type == "OneHot" or op.type == "Cast" and one_hot_behind(tensor):
        return Stop(tensor, "one_hot", "a one-hot that only picks among numbers"
                    if _only_picks(tensor, features) else None)
    if op.type.startswith(POOLING):
        only_divides = not _pools_a_lookup(op, features) and (
            _is_denominator(tensor) or not features.depends(op.inputs[0]))
        return Stop(tensor, "pooled",
                    "the count or the weights of a mean" if only_divides else None)
    if op.type in SPARSE_PRODUCTS:
        return Stop(tensor, "pooled")
    sources = [t for t in op.inputs if features.depends(t)]
    if op.type in ZERO_GRADIENT | {"Cast"} and not all(map(_is_value, sources)):
        return Stop(tensor, "dense", "a mask, length or count")
    return Stop(tensor, _numbers(tensor))


def _only_picks(one_hot, features):
    """Whether every use of a one-hot is a product, element by element, with what is computed."""
    users = [op for op in one_hot.consumers() if op.type not in SHAPE_OPS]
    return bool(users) and all(
        op.type in ("Mul", "MulNoNan") and all(
            features.depends(operand) for operand in op.inputs) for op in users)


_COUNTING = frozenset({"Mul", "Add", "AddV2", "Sub", "Maximum", "Minimum"})


def _is_position(ids, features):
    """Whether ids are a running count of a mask: positions of the tokens that are there."""
    counted, queue, seen = False, [ids], set()
    while queue:
        tensor = queue.pop()
        if tensor.name in seen or tensor.dtype == "bool":
            continue
        seen.add(tensor.name)
        counted = counted or tensor.op.type == "Cumsum"
        if tensor.op.type != "Cumsum" and tensor.op.type not in MOVES | _COUNTING:
            return False
        queue.extend(t for t in tensor.op.inputs if features.depends(t))
    return counted


def _is_reshaped_lookup(op, features):
    """Whether rows that were looked up one by one are put back in the shape of the ids."""
    return op.type == "Reshape" and (_stitched(op.inputs[0]) or _regathered(op.inputs[0])) and (
        lookup_behind(op.inputs[0], features) is not None)


def _numbers(tensor):
    """A picture has height, width and a known small number of channels."""
    shape = tensor.shape
    picture = shape.rank == 4 and shape[3] in (1, 3, 4)
    return "image" if picture else "dense"


def _is_value(tensor):
    """Whether an integer, bool or rounded number is a value that was sent, not one counted."""
    queue, seen = [tensor], set()
    while queue:
        current = queue.pop()
        if current.name in seen:
            continue
        seen.add(current.name)
        op = current.op
        if current.dtype == "bool" or op.type in STRUCTURE:
            return False
        if op.type in MOVES:
            queue.extend(t for t in op.inputs if t.dtype != "bool")
    return True


def _ids_are_ids(stops, features):
    """A number whose feature is looked up in a table elsewhere is an id: it is no quantity."""
    looked_up = {feature for stop in stops if stop.kind in ("tokens", "pooled")
                 for feature in features.of(stop.tensor)}
    result = []
    for stop in stops:
        from_integers = stop.tensor.op.type == "Cast" and not stop.structure
        if from_integers and looked_up & set(features.of(stop.tensor)):
            stop = Stop(stop.tensor, stop.kind, "ids as numbers; they are attributed where they "
                                                "are looked up")
        elif from_integers and any(_beside_tokens(stop.tensor, token.tensor) for token in stops):
            stop = Stop(stop.tensor, stop.kind, "integers of the same shape as the tokens: taken "
                                                "as their mask")
        result.append(stop)
    return result


def _beside_tokens(tensor, lookup):
    """Whether an integer input has one number for each looked-up id: [batch, length] both."""
    if lookup.op.type not in LOOKUPS or lookup is tensor:
        return False
    source = tensor.op.inputs[0]
    while source.op.type in MOVES and len(source.op.inputs) and source.shape.rank != 2:
        source = source.op.inputs[0]  # [batch, 1, 1, length] of an attention
    ids = lookup.op.inputs[1].shape
    return (source.shape.rank == 2 and ids.rank == 2 and source.shape[1] != 1
            and source.shape.is_compatible_with(ids))
