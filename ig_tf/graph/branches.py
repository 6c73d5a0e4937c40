"""Conditions of TensorFlow 1 (Switch, Merge) in a region of a graph become functional If.

The gradient of a functional loop keeps what its body computes in every turn, which a branch that
is not taken does not have; and a copy cannot switch the handle of a variable.
"""

import dataclasses

from tensorflow.core.framework import node_def_pb2

from ig_tf.graph import registry
from ig_tf.graph.bodies import Region, effective, func, function_def, shapes, types
from ig_tf.graph.edges import behind, in_order
from ig_tf.graph.frames import ENTERS, EXITS, NotStructured
from ig_tf.graph.walk import BACK_EDGES
from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import data, producer, set_inputs

SWITCHES = ("Switch", "RefSwitch")
MERGES = ("Merge", "RefMerge")
_LOOP_OPS = frozenset({*ENTERS, *EXITS, *BACK_EDGES, "LoopCond"})


def raise_all(region, known, name, library):
    """Replaces the conditions of a region by If nodes, in place.

    Args:
      region: a `Region`.
      known: {tensor: TensorShape} of its Merges.
      name: start of the names of the functions that are added.
      library: list that takes their FunctionDefs.

    Raises:
      NotStructured: a Merge that is not that of a condition.
    """
    if not any(node.op in MERGES for node in region.nodes.values()):
        return
    known_of = Known.of(region, known)
    found, others = groups(region.nodes, known_of.guards)
    for merge in others:
        raise NotStructured(f"{merge!r} merges what no condition of two branches switched")
    for number, group in enumerate(found):
        raise_group(region, group, known_of, f"{name}_if_{number}", library)


@dataclasses.dataclass(frozen=True)
class Group:
    """Merges of one condition.

    Attributes:
      predicate: the tensor that decides.
      outer: what must hold for the condition to be asked, as `conditions` says it.
      merges: (name, input if it holds, input if not) of each Merge.
    """

    predicate: str
    outer: frozenset
    merges: tuple


@dataclasses.dataclass(frozen=True)
class Known:
    """What holds of the nodes of a region while its conditions are raised, one after another.

    Attributes:
      shapes: {tensor: TensorShape} of the Merges.
      guards: {node: what must hold}, see `conditions`.
      moved: names of the nodes with effects, and of all that comes after them.
      read: all tensors and control edges that something reads.
    """

    shapes: dict
    guards: dict
    moved: dict
    read: frozenset

    @classmethod
    def of(cls, region, shapes):
        read = frozenset(value for node in region.nodes.values() for value in node.input)
        return cls(shapes, conditions(region.nodes), effective(region.nodes),
                   read.union(region.results))


def conditions(nodes, through_control=True):
    """{node: what must hold for it to run}, as sets of (predicate, 0 or 1).

    `through_control`: whether a control edge from a branch counts.
    """
    guards = {}
    for name in in_order(nodes):
        node = nodes[name]
        values = node.input if through_control else data(node)
        found = [of_tensor(value, nodes, guards) for value in values]
        if node.op == "Merge":
            sources = [of_tensor(value, nodes, guards) for value in data(node)]
            guards[name] = frozenset.intersection(*sources)
        else:
            guards[name] = frozenset().union(*found)
    return guards


def of_tensor(value, nodes, guards):
    """What must hold for a tensor to be there."""
    name, _, index = value.lstrip("^").partition(":")
    held = guards.get(name, frozenset())
    if value[0] != "^" and name in nodes and nodes[name].op in SWITCHES and not _turns(
            nodes[name], nodes):
        held |= {(origin(data(nodes[name])[1], nodes), int(index or 0))}
    return held


def _turns(switch, nodes):
    """Whether a Switch belongs to a loop."""
    decides = nodes.get(producer(data(switch)[1]))
    return decides is not None and decides.op == "LoopCond"


def origin(tensor, nodes):
    while producer(tensor) in nodes and nodes[producer(tensor)].op == "Identity":
        tensor = data(nodes[producer(tensor)])[0]
    return tensor


def branch_of(merge, nodes, guards):
    """(predicate, input if it holds, input if not, what holds outside) of a Merge, or None."""
    values = data(merge)
    if len(values) != 2 or any(
            producer(v) in nodes and nodes[producer(v)].op in BACK_EDGES for v in values):
        return None
    held = [of_tensor(value, nodes, guards) for value in values]
    for chosen in (0, 1):
        for predicate, side in sorted(held[chosen] - held[1 - chosen]):
            rest = held[chosen] - {(predicate, side)}
            if rest <= held[1 - chosen] | guards[merge.name]:
                pair = values if chosen == 0 else values[::-1]
                return predicate, pair[1 - side], pair[side], guards[merge.name]
    return None


def tie(graph_def):
    """Ties constants of a branch to it by a Switch of their own, in place.

    A branch that is a constant alone, or a loop over constants, hangs on its condition by a control
    edge. Copies have no control edges: there both branches would arrive.
    """
    nodes = {node.name: node for node in graph_def.node}
    merges = [node for node in graph_def.node if node.op == "Merge"
              and all(nodes[producer(value)].op not in BACK_EDGES for value in data(node))]
    if not merges:
        return
    guards, by_data = conditions(nodes), conditions(nodes, through_control=False)
    for merge in merges:
        branch = branch_of(merge, nodes, guards)
        if branch is None:
            continue
        predicate, then, otherwise, _ = branch
        for side, value in enumerate((otherwise, then)):
            if (predicate, side) not in of_tensor(value, nodes, by_data):
                switch = graph_def.node.add(name=f"{SCOPE}raised/{merge.name}/{side}", op="Switch",
                                            input=[value, predicate])
                switch.attr["T"].type = merge.attr["T"].type
                set_inputs(merge, [f"{switch.name}:{side}" if other == value else other
                                   for other in merge.input])


def groups(nodes, guards):
    """The conditions of a graph, those inside others first.

    Merges belong together where their branches share a node. Merges that read each other stand
    apart.

    Returns:
      (a list of `Group`s, names of Merges that no condition explains).
    """
    found, others = {}, []
    for name in in_order(nodes):
        if nodes[name].op != "Merge":
            continue
        branch = branch_of(nodes[name], nodes, guards)
        if branch is None:
            others.append(name)
            continue
        predicate, then, otherwise, outer = branch
        found.setdefault((predicate, outer), []).append((name, then, otherwise))
    order = sorted(found.items(), key=lambda item: -len(item[0][1]))
    return [Group(predicate, outer, tuple(merges)) for (predicate, outer), same in order
            for merges in _apart(same, predicate, nodes, guards)], others


def _apart(merges, predicate, nodes, guards):
    """Merges with the same predicate, in lists of those whose branches share nodes."""
    if len(merges) == 1:
        return [merges]
    parts, part_of = {}, {}
    for number, merge in enumerate(merges):
        inside = _inside(merge[1:], predicate, nodes, guards)
        shared = sorted({part_of[name] for name in inside if name in part_of})
        before = behind(nodes, merge[1:]) if shared else ()
        shared = [part for part in shared if not any(name in before for name, *_ in parts[part])]
        parts[number] = [other for part in shared for other in parts.pop(part)] + [merge]
        for name in [*inside, *(name for name, part in part_of.items() if part in shared)]:
            part_of[name] = number
    return list(parts.values())


def _inside(values, predicate, nodes, guards):
    """Names of the nodes of both branches behind some tensors."""
    sides = {(predicate, 0), (predicate, 1)}
    found, queue = {}, [producer(value) for value in values]
    while queue:
        name = queue.pop()
        if name in found or not sides & guards.get(name, frozenset()):
            continue
        found[name] = None
        queue.extend(producer(value) for value in nodes[name].input)
    return found


def raise_group(region, group, known, name, library):
    """One If for all Merges of a condition; each becomes an Identity of the same name.

    Args:
      region: a `Region`, changed in place.
      group: a `Group` of it; those inside it are raised already.
      known: `Known` of it; the If is added.
      name: start of the names of the functions that are added.
      library: list that takes their FunctionDefs.

    Raises:
      NotStructured: something that cannot stand in a function; nothing was changed.
    """
    for merge, *_ in group.merges:
        if f"{merge}:1" in known.read:
            raise NotStructured(f"which branch {merge!r} took is read as a number")
    taken, before, sides = {}, {}, []
    for side in (1, 0):
        roots = [then if side else otherwise for _, then, otherwise in group.merges]
        sides.append(_branch(region, roots, (group.predicate, side), known, taken, before))
    arguments = {argument: region.type_of(tensor) for tensor, argument in taken.items()}
    functions = []
    for branch, word in zip(sides, ("then", "else")):
        branch.arguments = arguments
        branch.pruned()
        functions.append(function_def(f"{name}_{word}", branch))
    library.extend(functions)
    node = _if_node(region, group, [*taken, *before], sides, functions, known.shapes)
    region.nodes[node.name] = node
    known.guards[node.name] = group.outer
    if any(name in known.moved for branch in sides for name in branch.nodes):
        known.moved[node.name] = None
    for index, (merge, *_) in enumerate(group.merges):
        dtype = region.nodes[merge].attr["T"].type
        identity = node_def_pb2.NodeDef(name=merge, op="Identity", input=[f"{node.name}:{index}"])
        identity.attr["T"].type = dtype
        region.nodes[merge] = identity


def _branch(region, roots, taken_if, known, taken, before):
    """What one branch computes.

    `taken`, {tensor outside: argument}, and `before`, control edges from outside, grow.

    Raises:
      NotStructured: something in it cannot stand in a function.
    """
    nodes, results, queue = {}, [], []
    guards, moved = known.guards, known.moved

    def inside(value):
        """The tensor in the branch that stands for one of the region."""
        name = producer(value)
        node = region.nodes.get(name)
        held = of_tensor(value, region.nodes, guards)
        if node is not None and node.op in SWITCHES and origin(
                data(node)[1], region.nodes) == taken_if[0]:
            value = data(node)[0]
        elif node is not None and taken_if in held:
            queue.append(name)
            return value
        return f"{taken.setdefault(value, f'ig_tf_taken_{len(taken)}')}:0"

    results.extend(inside(root) for root in roots)
    while queue:
        name = queue.pop()
        if name in nodes:
            continue
        _refuse_in_a_branch(region.nodes[name])
        copy = nodes[name] = type(region.nodes[name])()
        copy.CopyFrom(region.nodes[name])
        ordered = [v for v in copy.input if v[0] == "^" and producer(v) in moved]
        before.update((v, None) for v in ordered if taken_if not in guards[producer(v)])
        ordered = [v for v in ordered if taken_if in guards[producer(v)]]
        queue.extend(producer(v) for v in ordered)
        set_inputs(copy, [inside(v) for v in data(copy)] + ordered)
    return Region(nodes, {}, results)


def _refuse_in_a_branch(node):
    definition = registry.op_def(node.op)
    if node.op in MERGES:
        raise NotStructured(f"a condition inside it could not be raised (at {node.name!r})")
    if node.op in _LOOP_OPS:
        raise NotStructured(f"a loop inside it could not be raised (at {node.name!r})")
    if any(argument.is_ref for argument in definition.input_arg):
        raise NotStructured(f"variable that is written: {node.op} {node.name!r} stands in it")
    if definition.is_stateful and not definition.input_arg or node.op.startswith("Placeholder"):
        raise NotStructured(f"{node.op} {node.name!r} stands in it, which belongs to the whole "
                            "graph")


def _if_node(region, group, given, sides, functions, shapes_of):
    merges = [merge for merge, *_ in group.merges]
    stateful = any(branch.stateful for branch in sides)
    node = node_def_pb2.NodeDef(name=f"{SCOPE}raised/{merges[0]}",
                                op="If" if stateful else "StatelessIf")
    outside = [v for merge in merges for v in region.nodes[merge].input if v[0] == "^"]
    set_inputs(node, dict.fromkeys([group.predicate, *given, *outside]))
    given = [value for value in given if value[0] != "^"]
    node.attr["Tcond"].type = region.type_of(group.predicate)
    node.attr["Tin"].CopyFrom(types([region.type_of(tensor) for tensor in given]))
    node.attr["Tout"].CopyFrom(types([region.type_of(f"{merge}:0") for merge in merges]))
    node.attr["then_branch"].CopyFrom(func(functions[0].signature.name))
    node.attr["else_branch"].CopyFrom(func(functions[1].signature.name))
    node.attr["output_shapes"].CopyFrom(shapes([shapes_of[f"{merge}:0"] for merge in merges]))
    node.attr["_lower_using_switch_merge"].b = True
    return node
