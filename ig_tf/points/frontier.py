"""The differentiable frontier (D5a): one walk from the target back to where gradients end.

A tensor at which the walk stops is either a place of attribution, or carries structure only
(masks, lengths, scalars such as keep_prob) and is held constant. Every path from the inputs to
the target crosses the frontier once.
"""

import dataclasses

from ig_tf.errors import GraphError
from ig_tf.graph import registry
from ig_tf.graph.loops import SCATTERS, frame_of
from ig_tf.graph.states import Distinct, Values
from ig_tf.graph.work import is_shaped

# Their gradient exists and is zero almost everywhere: nothing behind them gets attribution.
ZERO_GRADIENT = frozenset({"Round", "Rint", "Floor", "Ceil", "Sign", "FloorDiv", "FloorMod",
                           "TruncateDiv", "Mod"})
LOOKUPS = frozenset({"Gather", "GatherV2", "ResourceGather", "GatherNd", "ResourceGatherNd"})
# Their rows are bags of values; which rows of the data belong to an example, only the ids know.
POOLING = ("SparseSegment", "Segment", "UnsortedSegment")
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
      GraphError: a TensorFlow 1 loop stands between a float input and the target.
    """
    inputs = {tensor.name for tensor in work.inputs.values()}
    stops, seen, queue = [], set(), [target]
    while queue:
        tensor = queue.pop(0)
        if tensor.name in seen or not features.depends(tensor):
            continue
        seen.add(tensor.name)
        source = tensor.op.inputs[0] if is_shaped(tensor.op) else tensor
        operands = None if source.name in inputs else continued(source, features, states)
        if operands:
            queue.extend(operands)
        else:
            stops.append(classify(tensor, features, inputs))
    return _ids_are_ids(stops, features)


def continued(tensor, features, states):
    """The operands through which the derivative goes on, or None where it ends."""
    op = tensor.op
    if op.type in ZERO_GRADIENT or tensor.name in features.roots:
        return None
    if op.type == "TensorArrayGatherV3":
        return _through_loop(op, features)
    operands = [t for t in op.inputs if carries_gradient(t) and features.depends(t)]
    if not operands or not registry.has_gradient(op):
        return None
    if op.type.startswith(POOLING) and _pools_a_lookup(op, features):
        return None  # behind it rows are values or distinct ids, no longer examples
    if any(isinstance(states.get(t.name), (Values, Distinct)) for t in operands):
        return None
    if op.type == "Reshape" and _stitched(operands[0]):
        return None  # a partitioned table's rows, put together again
    return operands


def _pools_a_lookup(op, features):
    """Whether the pooled rows were looked up (and perhaps weighted) one per id."""
    queue, seen = [op.inputs[0]], 0
    while queue and seen < 20:
        source, seen = queue.pop().op, seen + 1
        if source.type in LOOKUPS and not features.depends(source.inputs[0]):
            return True
        if source.type in LOOKUPS:  # distinct rows, repeated for each value
            queue.append(source.inputs[0])
        elif source.type in ("Identity", "Cast", "Mul", "Reshape", "EnsureShape", "RealDiv"):
            queue.extend(t for t in source.inputs if t.dtype.is_floating)
    return not features.depends(op.inputs[0])


def _stitched(tensor):
    """Whether these are rows looked up in the parts of a partitioned table."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor.op.type in ("DynamicStitch", "ParallelDynamicStitch")


def carries_gradient(tensor):
    """Floating-point, or a tensor list of such."""
    if tensor.dtype.is_floating:
        return True
    op = tensor.op
    if tensor.dtype != "variant":
        return False
    if op.type in ("While", "StatelessWhile"):
        return carries_gradient(op.inputs[tensor.value_index])
    if op.type in ("Identity", "TensorListSetItem", "TensorListPushBack"):
        return any(carries_gradient(operand) for operand in op.inputs)
    return "element_dtype" in op.node_def.attr and op.get_attr("element_dtype").is_floating


def _through_loop(gather, features):
    """A loop of TensorFlow 1 is one step of the walk; no derivative goes through it yet."""
    flow = gather.inputs[2]
    if flow.op.type != "Exit":
        return None
    for tensor in frame_of(flow.op).entering:
        source = tensor.op.inputs[2] if tensor.op.type in SCATTERS else tensor
        if source.dtype.is_floating and features.depends(source):
            raise GraphError(
                f"a while loop of TensorFlow 1 stands between {source.name!r} and the target (it "
                f"ends in {gather.name!r}); its derivative cannot be taken yet. Choose points "
                "behind the loop with --points.")
    return None


def classify(tensor, features, inputs):
    """What a stop is."""
    op = tensor.op.inputs[0].op if is_shaped(tensor.op) else tensor.op
    if tensor.shape.rank == 0:
        return Stop(tensor, "dense", "a scalar")
    if not tensor.dtype.is_floating:
        return Stop(tensor, "dense", f"{tensor.dtype.name}, which has no derivative")
    if tensor.name in inputs or tensor.name in features.roots:
        return Stop(tensor, _numbers(tensor))
    if op.type in LOOKUPS and not features.depends(op.inputs[0]):
        return Stop(tensor, "tokens" if op.inputs[1].shape.rank == 2 else "pooled")
    if op.type == "OneHot":
        return Stop(tensor, "one_hot")
    if op.type.startswith(POOLING):
        return Stop(tensor, "pooled")
    sources = [t for t in op.inputs if features.depends(t)]
    if op.type in ZERO_GRADIENT | {"Cast"} and not all(map(_is_value, sources)):
        return Stop(tensor, "dense", "a mask, length or count")
    return Stop(tensor, _numbers(tensor))


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
        result.append(stop)
    return result
