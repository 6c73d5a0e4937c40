"""Questions to a GraphDef, and smaller copies of one. What is given is never changed."""

from tensorflow.core.framework import graph_pb2

from ig_tf.errors import GraphError

# Where variables live.
VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp"})
PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})


def node_name(value):
    """The node of a tensor ("node:0", "node") or of a control edge ("^node")."""
    return value.lstrip("^").partition(":")[0]


def canonical(tensor):
    """Every tensor with its number: "node:0"."""
    return tensor if ":" in tensor else tensor + ":0"


def data_inputs(node):
    return [value for value in node.input if not value.startswith("^")]


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
            queue.extend(node_name(value) for value in nodes[name].input
                         if control or not value.startswith("^"))
    return found


def root(nodes, value, through=("Identity", "PlaceholderWithDefault")):
    """The node that a tensor comes from, behind ops that only pass it on."""
    node = nodes[node_name(value)]
    while node.op in through and data_inputs(node):
        node = nodes[node_name(data_inputs(node)[0])]
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
    functions = {function.signature.name: function for function in graph_def.library.function}
    needed = _called(result, functions)
    for name, function in functions.items():
        if name in needed:
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


def _called(graph_def, functions):
    needed, queue = set(), list(graph_def.node)
    while queue:
        node = queue.pop()
        names = [node.op]
        for value in node.attr.values():
            names.append(value.func.name)
            names.extend(function.name for function in value.list.func)
        for name in names:
            if name in functions and name not in needed:
                needed.add(name)
                queue.extend(functions[name].node_def)
    return needed


def unused_name(wanted, taken):
    """`wanted`, with a number if it is taken."""
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
