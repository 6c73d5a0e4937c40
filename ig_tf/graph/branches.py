"""Conditions of TensorFlow 1 (Switch, Merge) inside a loop's body become functional If.

The gradient of a functional loop keeps what its body computes in every turn, which a branch that
is not taken does not have.
"""

import dataclasses

from tensorflow.core.framework import node_def_pb2

from ig_tf.graph.bodies import Region, effective, func, function_def, shapes, types
from ig_tf.graph.edges import behind, in_order
from ig_tf.graph.frames import NotStructured
from ig_tf.graph.walk import BACK_EDGES
from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import data, producer, set_inputs


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
    for number in range(len(region.nodes)):
        guards = conditions(region.nodes)
        groups = _groups(region, guards)
        if not groups:
            return
        _raise(region, groups[0], guards, known, f"{name}_if_{number}", library)


@dataclasses.dataclass(frozen=True)
class _Group:
    """Merges of one condition: (name, input if it holds, input if not)."""

    predicate: str
    outer: frozenset
    merges: tuple


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
    if value[0] != "^" and name in nodes and nodes[name].op == "Switch":
        held |= {(origin(data(nodes[name])[1], nodes), int(index or 0))}
    return held


def origin(tensor, nodes):
    while producer(tensor) in nodes and nodes[producer(tensor)].op == "Identity":
        tensor = data(nodes[producer(tensor)])[0]
    return tensor


def branch_of(merge, nodes, guards):
    """(predicate, input if it holds, input if not, what holds outside) of a Merge, or None."""
    values = data(merge)
    if len(values) != 2:
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


def _groups(region, guards):
    """Conditions, those inside others first; Merges that read each other stand apart."""
    found = {}
    for name in in_order(region.nodes):
        node = region.nodes[name]
        if node.op != "Merge":
            continue
        branch = branch_of(node, region.nodes, guards)
        if branch is None:
            raise NotStructured(f"{name!r} merges what no condition of two branches switched")
        predicate, then, otherwise, outer = branch
        before = behind(region.nodes, node.input)
        level = 0
        while any(other in before for other, *_ in found.get((predicate, outer, level), ())):
            level += 1
        found.setdefault((predicate, outer, level), []).append((name, then, otherwise))
    order = sorted(found.items(), key=lambda item: -len(item[0][1]))
    return [_Group(predicate, outer, tuple(merges)) for (predicate, outer, _), merges in order]


def _raise(region, group, guards, known, name, library):
    """One If for all Merges of a condition."""
    merges = [merge for merge, *_ in group.merges]
    read = {value for node in region.nodes.values() for value in node.input} | set(region.results)
    if any(f"{merge}:1" in read for merge in merges):
        raise NotStructured(f"which branch {merges[0]!r} took is read as a number")
    taken, before, sides = {}, {}, []
    for side in (1, 0):
        roots = [then if side else otherwise for _, then, otherwise in group.merges]
        sides.append(_branch(region, roots, (group.predicate, side), guards, taken, before))
    arguments = {argument: region.type_of(tensor) for tensor, argument in taken.items()}
    functions = []
    for branch, word in zip(sides, ("then", "else")):
        branch.arguments = arguments
        branch.pruned()
        functions.append(function_def(f"{name}_{word}", branch))
    library.extend(functions)
    node = _if_node(region, group, [*taken, *before], sides, functions, known)
    region.nodes[node.name] = node
    outputs = {f"{merge}:0": f"{node.name}:{index}" for index, merge in enumerate(merges)}
    outputs.update({f"^{merge}": f"^{node.name}" for merge in merges})
    for merge in merges:
        del region.nodes[merge]
    region.ordered = [outputs.get(value, value) for value in region.ordered]
    for other in region.nodes.values():
        set_inputs(other, [outputs.get(value, value) for value in other.input])
    region.results[:] = [outputs.get(value, value) for value in region.results]


def _branch(region, roots, taken_if, guards, taken, before):
    """What one branch computes.

    `taken`, {tensor outside: argument}, and `before`, control edges from outside, grow.
    """
    nodes, results, queue = {}, [], []
    moved = effective(region.nodes)

    def inside(value):
        """The tensor in the branch that stands for one of the region."""
        name = producer(value)
        node = region.nodes.get(name)
        held = of_tensor(value, region.nodes, guards)
        if node is not None and node.op == "Switch" and origin(
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
        copy = nodes[name] = type(region.nodes[name])()
        copy.CopyFrom(region.nodes[name])
        ordered = [v for v in copy.input if v[0] == "^" and producer(v) in moved]
        before.update((v, None) for v in ordered if taken_if not in guards[producer(v)])
        ordered = [v for v in ordered if taken_if in guards[producer(v)]]
        queue.extend(producer(v) for v in ordered)
        set_inputs(copy, [inside(v) for v in data(copy)] + ordered)
    return Region(nodes, {}, results)


def _if_node(region, group, given, sides, functions, known):
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
    node.attr["output_shapes"].CopyFrom(shapes([known[f"{merge}:0"] for merge in merges]))
    node.attr["_lower_using_switch_merge"].b = True
    return node
