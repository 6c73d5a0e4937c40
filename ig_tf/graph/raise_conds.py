"""Conditions of TensorFlow 1 (Switch, Merge) at the top level become functional If.

A tensor in a branch that is not taken is dead, and what is dead cannot be attributed to, shared
with a copy, or looked up. A copy cannot switch the handle of a variable either. A functional If
has none of that, and its gradient is TensorFlow's own. Values are the same.
"""

import dataclasses

from tensorflow.core.framework import graph_pb2, node_def_pb2

from ig_tf.errors import GraphError
from ig_tf.graph.bodies import Region
from ig_tf.graph.branches import MERGES, Known, groups, raise_group
from ig_tf.graph.edges import behind, in_order
from ig_tf.graph.frames import NotStructured
from ig_tf.graph.walk import BACK_EDGES
from ig_tf.model.nodes import data, producer, set_inputs


@dataclasses.dataclass(frozen=True)
class Raised:
    """A graph whose conditions are functional.

    Attributes:
      graph_def: flat; a Merge became an Identity of the same name, which reads an If.
      changed: {(function or None, node name): sentence} for the nodes where they stand now.
      refused: {Merge of a condition that is left as it was: why}.
    """

    graph_def: object
    changed: dict
    refused: dict


def has_conditions(graph_def):
    """Whether there is a Merge that no loop needs."""
    back = {node.name for node in graph_def.node if node.op in BACK_EDGES}
    return any(node.op in MERGES and not any(producer(value) in back for value in node.input)
               for node in graph_def.node)


def raise_conditions(graph_def, graph, originals, fetches, changed, name):
    """Replaces conditions by If nodes where that can be done.

    Args:
      graph_def: a flat GraphDef; data inputs are written NODE:k. Not changed.
      graph: the same, imported, for the shapes of the Merges.
      originals: names of nodes whose effects happen elsewhere: what they only wait for is left
        out of the branches.
      fetches: names of tensors that are wanted.
      changed: as `Raised.changed`, for the graph as it is.
      name: start of the names of the functions that are added.

    Returns:
      A `Raised`.
    """
    nodes = {}
    for node in graph_def.node:
        nodes[node.name] = node_def_pb2.NodeDef()
        nodes[node.name].CopyFrom(node)
    region, functions = Region(nodes, {}, list(fetches)), []
    shapes = {f"{node.name}:0": graph.get_tensor_by_name(f"{node.name}:0").shape
              for node in graph_def.node if node.op in MERGES}
    known = Known.of(region, shapes)
    _drop_effects(nodes, known, originals)
    found, others = groups(nodes, known.guards)
    refused = {merge: "no condition of two branches switched what it merges" for merge in others
               if not any(nodes[producer(value)].op in BACK_EDGES for value in data(nodes[merge]))}
    for number, group in enumerate(found):
        try:
            raise_group(region, group, known, f"{name}_{number}", functions)
        except NotStructured as reason:
            refused.update((merge, str(reason)) for merge, *_ in group.merges)
    try:
        in_order(region.nodes)
    except GraphError:  # conditions that share nodes and feed each other
        return Raised(graph_def, changed, {merge: "conditions feed each other in a cycle"
                                           for group in found for merge, *_ in group.merges})
    return Raised(_written(region, graph_def, functions, fetches),
                  _moved(changed, functions), refused)


def _drop_effects(nodes, known, originals):
    """Copies do not repeat what a branch does besides computing; the model's own nodes do it."""
    for node in nodes.values():
        inside = node.op in MERGES or known.guards[node.name]
        if inside and node.name in originals:
            set_inputs(node, [value for value in node.input
                              if value[0] != "^" or producer(value) not in known.moved])


def _written(region, source, functions, fetches):
    needed = behind(region.nodes, fetches)
    result = graph_pb2.GraphDef()
    result.versions.CopyFrom(source.versions)
    result.library.CopyFrom(source.library)
    result.library.function.extend(functions)
    result.node.extend(node for node in region.nodes.values() if node.name in needed)
    return result


def _moved(changed, functions):
    """A sentence about a node holds for its copies in the new functions too."""
    found = dict(changed)
    for function in functions:
        for node in function.node_def:
            if (None, node.name) in changed:
                found[function.signature.name, node.name] = changed[None, node.name]
    return found
