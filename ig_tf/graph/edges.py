"""Nodes of a GraphDef and their edges: in which order, who reads what, of which type it is."""

from tensorflow.core.framework import attr_value_pb2

from ig_tf.errors import GraphError
from ig_tf.graph import registry
from ig_tf.graph.walk import BACK_EDGES
from ig_tf.model.nodes import data, producer

# Stateful, but reading only: what comes of them is seen by their consumers anyway.
READERS = frozenset({"ReadVariableOp", "VarHandleOp", "ResourceGather", "ResourceGatherNd",
                     "HashTableV2", "LookupTableFindV2", "LookupTableSizeV2", "VariableV2",
                     "VarIsInitializedOp", "Placeholder", "PlaceholderWithDefault", "NoOp",
                     "Identity", "Const"})


def consumers(nodes):
    """{tensor: [(node, position among the data inputs)]}."""
    found = {}
    for node in nodes.values():
        for position, value in enumerate(data(node)):
            found.setdefault(value, []).append((node, position))
    return found


def in_order(nodes, whole="the graph"):
    """Names, each after what it reads; what a TensorFlow 1 loop carries back does not count.

    Args:
      nodes: {name: NodeDef}.
      whole: what they are, for the message.

    Raises:
      GraphError: nodes feed each other in a cycle that is no loop.
    """
    order, state = [], {}
    for root in nodes:
        stack = [(root, False)]
        while stack:
            name, finished = stack.pop()
            if finished:
                state[name] = "done"
                order.append(name)
            elif name not in state:
                state[name] = "open"
                stack.append((name, True))
                for value in nodes[name].input:
                    source = producer(value)
                    if source not in nodes or nodes[source].op in BACK_EDGES:
                        continue
                    if state.get(source) == "open":
                        raise GraphError(f"{whole} has a cycle through node {source!r}.")
                    if source not in state:
                        stack.append((source, False))
    return order


def behind(nodes, roots):
    """Names of the nodes that lead to some tensors or control edges, these included."""
    found, queue = {}, [producer(value) for value in roots]
    while queue:
        name = queue.pop()
        if name in nodes and name not in found:
            found[name] = None
            queue.extend(producer(value) for value in nodes[name].input)
    return found


def attribute(node, name):
    """An attribute, with its default where the graph leaves it out. Reading adds nothing."""
    if name in node.attr:
        return node.attr[name]
    for stated in registry.op_def(node.op).attr:
        if stated.name == name:
            return stated.default_value
    return attr_value_pb2.AttrValue()


def output_types(node):
    """DataType enums of a node's outputs, none of them a reference."""
    types = []
    for argument in registry.op_def(node.op).output_arg:
        if argument.type_list_attr:
            types.extend(attribute(node, argument.type_list_attr).list.type)
            continue
        dtype = argument.type or attribute(node, argument.type_attr).type
        count = attribute(node, argument.number_attr).i if argument.number_attr else 1
        types.extend([dtype] * count)
    return types


def has_effects(node):
    """Whether a node must run as often as the graph says, and in its place."""
    return node.op not in READERS and registry.is_stateful(node.op)
