"""The while loops of TensorFlow 1 in a flat graph: frames of Enter, Merge, Switch, Exit.

A frame is structured. Each loop variable is an Enter, a Merge, a Switch by the loop's LoopCond, a
NextIteration that goes back to the Merge, and perhaps an Exit; what does not change in the loop
comes in through constant Enters.
"""

import dataclasses

from ig_tf.graph import registry
from ig_tf.graph.edges import attribute, in_order
from ig_tf.graph.walk import BACK_EDGES
from ig_tf.model.nodes import data, producer

ENTERS = ("Enter", "RefEnter")
EXITS = ("Exit", "RefExit")


class NotStructured(Exception):
    """Why a frame is no loop that could be a functional While."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """Nodes that run in one frame.

    Attributes:
      name: what its Enters call it; several loops may have one name.
      depth: 1 for a loop that stands in no other.
      nodes: their names, those of loops inside too.
      inner: names among them that belong to loops inside.
    """

    name: str
    depth: int
    nodes: frozenset
    inner: frozenset


@dataclasses.dataclass(frozen=True)
class Variable:
    """One loop variable, by the names of its nodes."""

    merge: str
    enter: str
    following: str  # its NextIteration
    switches: tuple


@dataclasses.dataclass(frozen=True)
class Loop:
    """A frame that is structured as a loop, by the names of its nodes.

    Attributes:
      name: of the frame.
      condition: its LoopCond.
      variables: in the order of the graph.
      captures: constant Enters.
      exits: {name of an Exit: number of the variable it takes out}.
    """

    name: str
    condition: str
    variables: tuple
    captures: tuple
    exits: dict


def find(nodes):
    """The frames of a graph, the innermost first.

    Raises:
      GraphError: nodes feed each other in a cycle that is no loop.
    """
    paths = _paths(nodes)
    found = []
    for path in sorted({path for path in paths.values() if path}, key=lambda p: (-len(p), p)):
        inside = {name for name, other in paths.items() if other[:len(path)] == path}
        for part in _parts(nodes, inside):
            if any(paths[name] == path for name in part):
                inner = frozenset(name for name in part if paths[name] != path)
                found.append(Frame(path[-1], len(path), frozenset(part), inner))
    return found


def _paths(nodes):
    """{node: the names of the frames that it stands in, from outside in}."""
    paths = {}
    for name in in_order(nodes):
        node = nodes[name]
        path = max((paths[producer(value)] for value in node.input
                    if producer(value) in paths), key=len, default=())
        if node.op in ENTERS:
            path += (attribute(node, "frame_name").s.decode(),)
        elif node.op in EXITS:
            path = path[:-1]
        paths[name] = path
    return paths


def _parts(nodes, inside):
    """Groups of nodes that have to do with each other: two loops may share a frame's name."""
    neighbours = {name: [] for name in inside}
    for name in inside:
        for value in nodes[name].input:
            if producer(value) in inside:
                neighbours[name].append(producer(value))
                neighbours[producer(value)].append(name)
    left = dict.fromkeys(name for name in nodes if name in inside)
    while left:
        part, queue = {}, [next(iter(left))]
        while queue:
            name = queue.pop()
            if name not in part:
                part[name] = None
                left.pop(name, None)
                queue.extend(neighbours[name])
        yield part


def read(frame, nodes, read_by):
    """The `Loop` of a frame.

    Args:
      frame: a `Frame`.
      nodes: {name: NodeDef}.
      read_by: `edges.consumers` of them.

    Raises:
      NotStructured: with the reason.
    """
    mine = [nodes[name] for name in nodes if name in frame.nodes]
    _refuse_ops(frame, mine)
    conditions = [node.name for node in mine if node.op == "LoopCond"]
    if len(conditions) != 1:
        raise NotStructured(f"it has {len(conditions)} LoopCond ops and not one")
    variables = tuple(_variable(node, nodes, conditions[0], read_by) for node in mine
                      if node.op == "Merge" and _goes_back(node, nodes))
    entering = {variable.enter for variable in variables}
    captures = tuple(node.name for node in mine if node.op in ENTERS and node.name not in entering)
    for name in captures:
        if not attribute(nodes[name], "is_constant").b:
            raise NotStructured(f"{name!r} enters it and is neither constant nor a loop variable")
    exits = _exits(frame, variables, nodes, read_by)
    return Loop(frame.name, conditions[0], variables, captures, exits)


def _refuse_ops(frame, mine):
    for node in mine:
        if node.name in frame.inner:
            raise NotStructured(f"a loop inside it could not be raised (at {node.name!r})")
        kind = "Ref" if node.op in ("RefMerge", "RefNextIteration", "RefSwitch", "RefExit") else ""
        if node.op.startswith("TensorArray"):
            kind = "TensorArray"
        elif node.op.startswith("Stack"):
            kind = "stack of a training graph's gradient:"
        elif "Queue" in node.op or node.op in ("_Send", "_Recv"):
            kind = "queue"
        elif node.op not in ENTERS and any(
                argument.is_ref for argument in registry.op_def(node.op).input_arg):
            kind = "variable that is written:"
        if kind:
            raise NotStructured(f"{kind} {node.op} {node.name!r} stands in it".strip())


def _goes_back(merge, nodes):
    return any(nodes[producer(value)].op in BACK_EDGES for value in data(merge))


def _variable(merge, nodes, condition, read_by):
    sources = [nodes[producer(value)] for value in data(merge)]
    enters = [node for node in sources if node.op in ENTERS]
    following = [node for node in sources if node.op == "NextIteration"]
    if len(sources) != 2 or len(enters) != 1 or len(following) != 1:
        raise NotStructured(f"{merge.name!r} is no Merge of one Enter and one NextIteration")
    enter = enters[0]
    if len(read_by.get(f"{enter.name}:0", ())) != 1 or f"{merge.name}:1" in read_by:
        raise NotStructured(f"loop variable {merge.name!r} is read elsewhere than by its loop")
    switches = tuple(
        node.name for node, position in read_by.get(f"{merge.name}:0", ())
        if node.op == "Switch" and position == 0 and producer(data(node)[1]) == condition)
    return Variable(merge.name, enter.name, following[0].name, switches)


def _exits(frame, variables, nodes, read_by):
    """The Exits; nothing else may leave the frame, nor read what leaves it."""
    exits = {}
    for number, variable in enumerate(variables):
        for switch in variable.switches:
            for node, _ in read_by.get(f"{switch}:0", ()):
                if node.op != "Exit":
                    raise NotStructured(f"{node.op} {node.name!r} reads a loop variable after "
                                        "the last turn")
                exits[node.name] = number
    switches = {switch for variable in variables for switch in variable.switches}
    for name in frame.nodes:
        for index in (0, 1):
            for node, position in read_by.get(f"{name}:{index}", ()):
                if nodes[name].op == "LoopCond" and node.name not in switches:
                    raise NotStructured(f"{node.op} {node.name!r} reads its LoopCond")
                if node.name not in frame.nodes and node.name not in exits:
                    raise NotStructured(f"{node.op} {node.name!r} outside reads {name!r} inside")
    return exits


def entering(op):
    """What comes into a loop that is still a frame, in a tf.Graph.

    Args:
      op: an Exit, or an op behind one (of a TensorArray).

    Returns:
      (names of the frames, tensors outside).
    """
    names, tensors, queue, seen = {}, [], [op], set()
    while queue:
        current = queue.pop()
        if current.name in seen:
            continue
        seen.add(current.name)
        if current.type in ENTERS:
            names[current.get_attr("frame_name").decode()] = None
            tensors.append(current.inputs[0])
        else:
            queue.extend(tensor.op for tensor in current.inputs)
    return list(names), tensors
