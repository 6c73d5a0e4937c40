"""Conditions of TensorFlow 1 (Switch, Merge) whose predicate is a constant, taken out of a graph.

An exported graph often keeps both branches of `is_training`, a placeholder with the default False.
Where no signature feeds it the default holds, and the other branch (dropout, batch statistics) is
never run.
"""

from ig_tf.model.nodes import data, producer

_PASSES = ("Identity", "PlaceholderWithDefault")


def resolve(graph_def, fed):
    """Replaces conditions with a known predicate by the branch that is taken, in place.

    Args:
      graph_def: a flat GraphDef; data inputs are written NODE:k.
      fed: names of nodes that the caller feeds; their defaults do not hold.
    """
    nodes = {node.name: node for node in graph_def.node}
    taken = {}
    for node in graph_def.node:
        if node.op in ("Switch", "RefSwitch"):
            value = _constant(node.input[1], nodes, fed)
            if value is not None:
                taken[node.name] = int(value)
    if not taken:
        return
    dead = _dead(graph_def, nodes, taken)
    replaced = {f"{name}:{branch}": nodes[name].input[0] for name, branch in taken.items()}
    for node in graph_def.node:
        if node.op in ("Merge", "RefMerge"):
            alive = [value for value in node.input if value[0] != "^" and value not in dead]
            if len(alive) == 1 and len(alive) < len(data(node)):
                replaced[f"{node.name}:0"] = alive[0]
    for node in graph_def.node:
        node.input[:] = [_final(value, replaced) for value in node.input]


def _constant(value, nodes, fed):
    """The bool that a tensor always is, or None."""
    negate = False
    for _ in range(50):
        node = nodes.get(value.partition(":")[0])
        if node is None or node.name in fed:
            return None
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            if tensor.tensor_shape.dim or not (tensor.bool_val or tensor.tensor_content):
                return None
            found = tensor.bool_val[0] if tensor.bool_val else tensor.tensor_content[0] != 0
            return bool(found) != negate
        if node.op == "LogicalNot":
            negate = not negate
        elif node.op not in _PASSES:
            return None
        value = node.input[0]
    return None


def _dead(graph_def, nodes, taken):
    """Names of tensors that are never computed: they depend on a branch that is not taken."""
    consumers = {}
    for node in graph_def.node:
        for value in node.input:
            consumers.setdefault(producer(value), []).append(node)
    dead = {f"{name}:{1 - branch}" for name, branch in taken.items()}
    queue, finished = [nodes[name] for name in taken], set()
    while queue:
        source = queue.pop()
        for node in consumers.get(source.name, ()):
            if node.name in finished or not _starved(node, dead, finished):
                continue
            finished.add(node.name)
            dead.update(value for other in consumers.get(node.name, ()) for value in other.input
                        if producer(value) == node.name)
            queue.append(node)
    return dead


def _starved(node, dead, finished):
    """Whether a node waits for what never comes; a Merge needs one of its inputs only."""
    gone = [value in dead or producer(value) in finished
            for value in node.input]
    if node.op in ("Merge", "RefMerge"):
        return all(gone)
    return any(gone)


def _final(value, replaced):
    while value in replaced:
        value = replaced[value]
    return value
