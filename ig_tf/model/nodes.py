"""NodeDefs and how they name each other: the words that all walks over GraphDefs share.

An input is NODE:k (a tensor; output 0 is often written NODE) or ^NODE (a control edge).
"""


def producer(value):
    """The name of the node that a tensor or a control edge comes from."""
    return value.removeprefix("^").partition(":")[0]


def canonical(value):
    """NODE:k of a tensor."""
    return value if ":" in value else value + ":0"


def data(node):
    """The data inputs of a node as they are written, in order."""
    return [value for value in node.input if not value.startswith("^")]


def controls(node):
    """Its control edges."""
    return [value for value in node.input if value.startswith("^")]


def set_inputs(node, values):
    values = list(values)
    del node.input[:]
    node.input.extend(values)


def function_names(node):
    """Names of the functions that a node's attributes speak of, or that it calls by its type."""
    names = [node.op]
    for value in node.attr.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            names.append(value.func.name)
        elif kind == "list":
            names.extend(function.name for function in value.list.func)
    return names


def needed_functions(nodes, functions):
    """{name: FunctionDef} of what some nodes call, directly or by what they call, as found.

    Args:
      nodes: NodeDefs.
      functions: {name: FunctionDef} of the library.
    """
    needed, queue = {}, list(nodes) if functions else []
    while queue:
        for name in function_names(queue.pop()):
            if name in functions and name not in needed:
                needed[name] = functions[name]
                queue.extend(functions[name].node_def)
    return needed


def library_of(graph_def):
    """{name: FunctionDef} of a GraphDef."""
    return {function.signature.name: function for function in graph_def.library.function}
