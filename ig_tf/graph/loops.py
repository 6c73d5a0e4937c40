"""Loops of TensorFlow 1 (Enter, Merge, Switch, NextIteration, Exit) as compound ops."""

import dataclasses

import tensorflow as tf

# From the tensor array's own side: which input of each op is the array, the index, the value.
READS = {"TensorArrayReadV3": 1}
WRITES = {"TensorArrayWriteV3": (1, 2)}
SCATTERS = frozenset({"TensorArrayScatterV3", "TensorArrayUnpackV3"})


@dataclasses.dataclass(frozen=True)
class Frame:
    """One loop: its ops, and the tensors outside that enter it."""

    ops: frozenset  # names
    entering: tuple  # tensors outside


@dataclasses.dataclass(frozen=True)
class MapLoop:
    """A loop that computes element i of its result from element i of `mapped` alone."""

    mapped: tuple
    invariants: tuple
    element: object  # the tensor inside that is written
    lengths: tuple  # how many elements each array has, or is filled from or read into


def frame_of(exit_op):
    """The loop that an Exit op leaves: all ops behind it up to the Enters of its frame."""
    ops, entering, queue = set(), [], [exit_op]
    while queue:
        op = queue.pop()
        if op.name in ops:
            continue
        ops.add(op.name)
        if op.type in ("Enter", "RefEnter"):
            entering.append(op.inputs[0])
            continue
        queue.extend(tensor.op for tensor in op.inputs)
    return Frame(frozenset(ops), tuple(entering))


def map_loop_body(gather):
    """Recognises tf.map_fn in TensorFlow 1 from its final TensorArrayGatherV3, else None.

    The array is written at the loop's counter with a value that comes from arrays read at the
    same counter and from what does not change in the loop; nothing else is carried around.
    """
    flow = gather.inputs[2].op
    if flow.type != "Exit":
        return None
    loop = frame_of(flow)
    write = _written(flow)
    length, turns = _range_limit(gather.inputs[1]), _turns(flow)
    if write is None or length is None or not turns:
        return None
    lengths = [length, *turns]
    counter = _counter(write.inputs[1])
    if counter is None:
        return None
    mapped, invariants = [], []
    queue, seen = [write.inputs[2]], set()
    while queue:
        tensor = queue.pop()
        if tensor.name in seen:
            continue
        seen.add(tensor.name)
        op = tensor.op
        if op.type in READS:
            source, length = _scattered(op.inputs[2])
            if _counter(op.inputs[1]) is not counter or source is None:
                return None
            mapped.append(source)
            lengths.append(length)
        elif op.type == "Enter":
            if not op.get_attr("is_constant"):
                return None
            invariants.append(op.inputs[0])
        elif op.type in ("Merge", "NextIteration") or op.name not in loop.ops:
            return None
        else:
            queue.extend(op.inputs)
    return MapLoop(tuple(mapped), tuple(invariants), write.inputs[2],
                   tuple(lengths)) if mapped else None


def _written(exit_op):
    """The TensorArrayWrite whose flow goes round this loop variable."""
    merge = exit_op.inputs[0].op.inputs[0].op  # Exit <- Switch <- Merge
    if merge.type != "Merge" or merge.inputs[1].op.type != "NextIteration":
        return None
    op = _through_identity(merge.inputs[1].op.inputs[0]).op
    return op if op.type in WRITES else None


def _counter(tensor):
    """The Merge op of the loop variable that this index is, where it counts 0, 1, 2, ..."""
    tensor = _through_identity(tensor)
    merge = tensor.op.inputs[0].op if tensor.op.type == "Switch" else tensor.op
    if merge.type != "Merge" or merge.inputs[1].op.type != "NextIteration":
        return None
    start = merge.inputs[0].op
    if start.type != "Enter" or tf.get_static_value(start.inputs[0]) != 0:
        return None
    add = _through_identity(merge.inputs[1].op.inputs[0]).op
    if add.type not in ("Add", "AddV2"):
        return None
    steps = [tf.get_static_value(operand) for operand in add.inputs]
    return merge if 1 in [step for step in steps if step is not None] else None


def _turns(exit_op):
    """The n of every `counter < n` that keeps the loop going, or None if it is anything else."""
    condition = exit_op.inputs[0].op.inputs[1].op  # Exit <- Switch <- LoopCond
    if condition.type != "LoopCond":
        return None
    found, queue = [], [condition.inputs[0]]
    while queue:
        op = _through_identity(queue.pop()).op
        if op.type == "LogicalAnd":
            queue.extend(op.inputs)
        elif op.type == "Less" and _counter(op.inputs[0]) is not None:
            limit = op.inputs[1]
            found.append(limit.op.inputs[0] if limit.op.type == "Enter" else limit)
        else:
            return None
    return found


def _scattered(flow):
    """The tensor outside whose rows a tensor array was filled with, and their number."""
    flow = _through_identity(flow)
    if flow.op.type == "Enter":
        flow = _through_identity(flow.op.inputs[0])
    if flow.op.type in SCATTERS:
        length = _range_limit(flow.op.inputs[1])
        if length is not None:
            return flow.op.inputs[2], length
    return None, None


def _range_limit(tensor):
    """n of 0, 1, 2, ..., n - 1, or None; the size of a tensor array is the n it was made with."""
    if tensor.op.type != "Range":
        return None
    start, limit, step = tensor.op.inputs
    if tf.get_static_value(start) != 0 or tf.get_static_value(step) != 1:
        return None
    if limit.op.type == "TensorArraySizeV3":
        limit = limit.op.inputs[0].op.inputs[0]  # <- TensorArrayV3 <- size
    return limit


def _through_identity(tensor):
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


__all__ = ["Frame", "MapLoop", "frame_of", "map_loop_body"]
