"""Questions to a tf.Graph: what leads where. Nothing here changes a graph."""

# Their outputs depend on the shape of their input, not on its values.
SHAPE_OPS = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike",
                       "TensorListElementShape", "TensorListLength"})
BACK_EDGES = frozenset({"NextIteration", "RefNextIteration"})


def ancestors_in_order(graph, targets, stop=()):
    """Ops that lead to `targets` by data edges, each after the ones it reads.

    Args:
      graph: the tf.Graph (for the order of ties only).
      targets: tensors.
      stop: names of tensors behind which the walk does not go.

    What a TensorFlow 1 loop carries back to its start comes after its NextIteration.
    """
    order, state = [], {}
    roots = [target for target in targets if target.name not in stop]
    while roots:
        stack = [(roots.pop(0).op, False)]
        while stack:
            op, finished = stack.pop()
            if finished:
                order.append(op)
                continue
            if op.name in state:
                continue
            state[op.name] = True
            stack.append((op, True))
            if op.type in BACK_EDGES:
                roots.extend(op.inputs)
                continue
            for tensor in op.inputs:
                if tensor.name not in stop and tensor.op.name not in state:
                    stack.append((tensor.op, False))
    return order


def through(tensor, types=("Identity",)):
    """The tensor that comes in, behind ops of these types that hand on their first input."""
    while tensor.op.type in types and len(tensor.op.inputs):
        tensor = tensor.op.inputs[0]
    return tensor


def reached_from(tensors):
    """Names of all tensors whose VALUES depend on one of `tensors` (themselves included)."""
    reached = set()
    queue = list(tensors)
    while queue:
        tensor = queue.pop()
        if tensor.name in reached:
            continue
        reached.add(tensor.name)
        for op in tensor.consumers():
            if op.type not in SHAPE_OPS:
                queue.extend(op.outputs)
    return reached


def path_between(source, target):
    """Names of the ops on a shortest data path from one tensor to another, or None."""
    previous = {source.name: None}
    queue = [source]
    while queue:
        following = []
        for tensor in queue:
            if tensor.name == target.name:
                return _trail(previous, tensor.name)
            for op in tensor.consumers():
                for output in op.outputs:
                    if output.name not in previous:
                        previous[output.name] = tensor.name
                        following.append(output)
        queue = following
    return None


def _trail(previous, name):
    trail = []
    while name is not None:
        trail.append(name.rpartition(":")[0])
        name = previous[name]
    return trail[::-1]
