"""Questions to a GraphDef, and smaller copies of one. What is given is never changed."""

from tensorflow.core.framework import graph_pb2

from ig_tf.errors import GraphError
from ig_tf.model.nodes import data, library_of, needed_functions, producer

# Where variables live.
VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp"})
PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})


def nodes_by_name(graph_def):
    return {node.name: node for node in graph_def.node}


def ancestors(nodes, names, stop=(), control=True):
    """Names of all nodes that the named ones need, themselves too.

    Args:
      nodes: {name: NodeDef}.
      names: names of nodes.
      stop: names of nodes behind which the walk does not go.
      control: whether control edges count.

    Raises:
      GraphError: a node that is read does not exist.
    """
    found, queue = set(), list(names)
    while queue:
        name = queue.pop()
        if name in found:
            continue
        if name not in nodes:
            raise GraphError(f"the graph has no node {name!r}, which another node reads: the file "
                             "is cut off, or was made by hand.")
        found.add(name)
        if name not in stop:
            queue.extend(producer(value) for value in nodes[name].input
                         if control or not value.startswith("^"))
    return found


def root(nodes, value, through=("Identity", "PlaceholderWithDefault")):
    """The node that a tensor comes from, behind ops that only pass it on."""
    node = nodes[producer(value)]
    while node.op in through and data(node):
        node = nodes[producer(data(node)[0])]
    return node


def part(graph_def, names, added=(), result=None):
    """A copy with some of the nodes, in their order, and the functions that they call.

    Attributes that speak of the graph that it was (stale shapes, colocation with nodes that are
    not there) and devices (a job or a card of the training cluster) are left out.

    Args:
      graph_def: a GraphDef.
      names: names of the nodes to keep.
      added: further NodeDefs.
      result: an empty GraphDef to write to (large ones should not be copied twice), or None.
    """
    result = graph_pb2.GraphDef() if result is None else result
    result.versions.CopyFrom(graph_def.versions)
    names = set(names)
    kept = names | {node.name for node in added}
    for node in [node for node in graph_def.node if node.name in names] + list(added):
        _clean(result.node.add(), node, kept)
    needed = needed_functions(result.node, library_of(graph_def))
    for function in graph_def.library.function:
        if function.signature.name in needed:
            copied = result.library.function.add()
            copied.CopyFrom(function)
            for node in copied.node_def:
                node.device = ""
    result.library.gradient.extend(gradient for gradient in graph_def.library.gradient
                                   if gradient.function_name in needed)
    return result


def _clean(copy, node, kept):
    copy.CopyFrom(node)
    copy.device = ""
    if "_output_shapes" in copy.attr:
        del copy.attr["_output_shapes"]
    if "_class" in copy.attr:
        places = copy.attr["_class"].list.s
        there = [place for place in places if place.decode().removeprefix("loc:@") in kept]
        if there:
            places[:] = there
        else:
            del copy.attr["_class"]


def unused_name(wanted, taken):
    """`wanted`, with a number if it is taken."""
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
