"""Shapes inside the loops of TensorFlow 1, which TensorFlow forgets when it reads a graph.

The graph is cut where a loop goes back to its start and imported without its cycles. A loop
variable has the shape that it starts with, made less precise until it fits what comes back.
"""

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from ig_tf.graph.edges import attribute
from ig_tf.graph.tensor_lists import set_shapes
from ig_tf.graph.walk import BACK_EDGES
from ig_tf.model.nodes import data, producer, set_inputs

_LOOKUPS = ("LookupTableFind", "LookupTableFindV2")
_ONE_INPUT = BACK_EDGES | {"Enter", "Exit", "LoopCond"}
MAX_TURNS = 20  # shapes only ever get less precise, and there are few axes
LARGE = 1024  # bytes of a constant whose value is no shape
_VARIANT = tf.variant.as_datatype_enum


def infer(nodes, library, arrays, import_graph):
    """Shapes of all tensors; the shapes of list elements are said in `nodes`.

    Args:
      nodes: {name: NodeDef} of a flat graph with loops whose TensorArrays are lists.
      library: its FunctionDefLibrary.
      arrays: the `Array`s.
      import_graph: function(GraphDef) -> tf.Graph.

    Returns:
      {tensor name: TensorShape}.
    """
    starts = {node.name: _start_and_return(node, nodes) for node in nodes.values()
              if is_loop_merge(node, nodes)}
    guesses = {}

    def imported():
        return _imported(nodes, library, starts, guesses, import_graph)

    shapes = imported()
    for _ in range(MAX_TURNS):  # what is written to arrays while variables are as they start
        if not _say_elements(arrays, shapes, nodes, lambda before, now: now):
            break
        shapes = imported()
    for _ in range(MAX_TURNS):
        changed = _say_elements(arrays, shapes, nodes, wider)
        if not _widened(starts, shapes, guesses, nodes) and not changed:
            return shapes
        shapes = imported()
    guesses.update({name: tf.TensorShape(None) for name in starts})
    for array in arrays:
        set_shapes(array, array.stated, nodes)
    return imported()


def _say_elements(arrays, shapes, nodes, choose):
    """Sets the shape of the elements of each array; returns whether any is new."""
    changed = False
    for array in arrays:
        shape = choose(array.shape, _element_shape(array, shapes))
        if _differs(shape, array.shape):
            set_shapes(array, shape, nodes)
            changed = True
    return changed


def _widened(starts, shapes, guesses, nodes):
    """Makes guesses of loop variables fit what comes back; returns whether any is new."""
    changed = False
    for name, (start, comes_back) in starts.items():
        if attribute(nodes[name], "T").type == _VARIANT:
            continue  # a list is a scalar
        now = shapes[f"{name}:0"]
        guess = wider(wider(shapes[start], shapes[comes_back]), now)
        if _differs(guess, now):
            guesses[name], changed = guess, True
    return changed


def _element_shape(array, shapes):
    """What holds of all that is written, and what the graph says."""
    found = None
    for tensor, how in array.written:
        if tensor not in shapes:
            continue  # what leads to no result is not there any more
        shape = shapes[tensor]
        if how == "rows":
            shape = shape[1:]
        elif how == "parts" and shape.rank is not None:
            shape = tf.TensorShape([None]).concatenate(shape[1:])
        if found is None:
            found = shape
        elif array.alike and found.is_compatible_with(shape):
            found = found.merge_with(shape)
        else:
            found = wider(found, shape)
    if found is None or not found.is_compatible_with(array.stated):
        return array.stated
    return found.merge_with(array.stated)


def wider(first, second):
    """The most precise shape that both are."""
    if first.rank is None or second.rank is None or first.rank != second.rank:
        return tf.TensorShape(None)
    return tf.TensorShape([a if a == b else None
                           for a, b in zip(first.as_list(), second.as_list())])


def _differs(first, second):
    """Unknown dimensions are equal here."""
    if first.rank is None or second.rank is None:
        return first.rank != second.rank
    return first.as_list() != second.as_list()


def is_loop_merge(node, nodes):
    return node.op in ("Merge", "RefMerge") and any(
        nodes[producer(value)].op in BACK_EDGES for value in data(node))


def _start_and_return(merge, nodes):
    first, second = data(merge)[:2]
    return (second, first) if nodes[producer(first)].op in BACK_EDGES else (first, second)


def _imported(nodes, library, starts, guesses, import_graph):
    """Shapes of an import of the graph without cycles, the guesses taken for true."""
    graph_def = graph_pb2.GraphDef()
    graph_def.library.CopyFrom(library)
    for node in nodes.values():
        copy = graph_def.node.add()
        copy.CopyFrom(node)
        set_inputs(copy, data(node))
        dtype = attribute(node, "T").type
        if node.name in starts and dtype == _VARIANT:  # an Identity would know its elements
            _placeholder(copy, dtype, tf.TensorShape([]))
        elif node.name in guesses:
            _placeholder(copy, dtype, guesses[node.name])
        elif node.name in starts:
            _identity(copy, dtype, starts[node.name][0])
        elif node.op in _ONE_INPUT:
            _identity(copy, dtype or tf.bool.as_datatype_enum, data(node)[0])
        elif node.op == "Const" and node.attr["value"].tensor.ByteSize() > LARGE:
            shape = tf.TensorShape(node.attr["value"].tensor.tensor_shape)
            _placeholder(copy, node.attr["dtype"].type, shape)
        elif node.op in _LOOKUPS and _scalar_default(node, nodes):
            _filled_like(copy, graph_def)
    graph = import_graph(graph_def)
    found = {tensor.name: tensor.shape for op in graph.get_operations() for tensor in op.outputs}
    found.update({f"{name}:0": tf.TensorShape([]) for name in starts
                  if attribute(nodes[name], "T").type == _VARIANT})
    return found


def _scalar_default(node, nodes):
    """Whether a table's value for what it does not have is one number or string."""
    source = nodes[producer(data(node)[2])]
    while source.op in ("Enter", "Identity"):
        source = nodes[producer(data(source)[0])]
    return source.op == "Const" and not source.attr["value"].tensor.tensor_shape.dim


def _filled_like(node, graph_def):
    """A lookup's shape, which TensorFlow does not infer, is that of its keys."""
    _, keys, default = data(node)
    size = graph_def.node.add(name=f"{node.name}/shape_of_keys", op="Shape", input=[keys])
    size.attr["T"].type = node.attr["Tin"].type
    size.attr["out_type"].type = tf.int32.as_datatype_enum
    dtype = node.attr["Tout"].type
    node.op = "Fill"
    node.attr.clear()
    node.attr["T"].type = dtype
    node.attr["index_type"].type = tf.int32.as_datatype_enum
    set_inputs(node, [f"{size.name}:0", default])


def _placeholder(node, dtype, shape):
    node.op = "Placeholder"
    node.attr.clear()
    node.attr["dtype"].type = dtype
    node.attr["shape"].shape.CopyFrom(shape.as_proto())
    set_inputs(node, [])


def _identity(node, dtype, value):
    node.op = "Identity"
    node.attr.clear()
    node.attr["T"].type = dtype
    set_inputs(node, [value])
