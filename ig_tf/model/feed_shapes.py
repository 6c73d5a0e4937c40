"""Shapes of tensors of a GraphDef: recorded, or inferred by an import that runs nothing."""

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from ig_tf.model.edges import SHAPES, Edges, attribute, data_of
from ig_tf.model.nodes import canonical, producer

_KNOWN = "ig_tf_known"  # what stands for a tensor behind which nothing is looked at
_STALE = ("_output_shapes", "_class")


def recorded(node, index):
    """The shape that an exporter wrote down for an output of a node; unknown where none did."""
    listed = attribute(node, "_output_shapes").list.shape if "_output_shapes" in node.attr else ()
    return tf.TensorShape(listed[index]) if index < len(listed) else tf.TensorShape(None)


def inferred(graph_def, tensor, known=None):
    """(type, shape) of a tensor, as TensorFlow infers them; (None, unknown) where it cannot.

    `known`: {tensor name: (type, shape)} of tensors behind which nothing is looked at.
    """
    known = known or {}
    if tensor in known:
        return known[tensor]
    graph = _imported(graph_def, [tensor], known)
    if graph is None:
        return None, recorded(Edges(graph_def).node(tensor), int(tensor.rpartition(":")[2]))
    try:
        found = graph.get_tensor_by_name(canonical(tensor))
    except (KeyError, ValueError):
        return None, tf.TensorShape(None)
    return found.dtype.base_dtype, found.shape


def _imported(graph_def, tensors, known=()):
    """What some tensors need by data, in a tf.Graph; None where TensorFlow refuses it."""
    edges, needed = Edges(graph_def), set()
    queue = [producer(tensor) for tensor in tensors]
    while queue:
        name = queue.pop()
        if name in edges.nodes and name not in needed:
            needed.add(name)
            queue.extend(producer(value) for value in data_of(edges.nodes[name])
                         if value not in known)
    part = graph_pb2.GraphDef()
    part.versions.CopyFrom(graph_def.versions)
    part.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        if node.name in needed:
            copied = part.node.add()
            copied.CopyFrom(node)
            copied.device = ""
            copied.input[:] = [value for value in node.input if not value.startswith("^")]
            for name in _STALE:
                copied.attr.pop(name, None)
    graph = tf.Graph()
    try:
        with graph.as_default():
            given = {tensor: tf.compat.v1.placeholder(*known[tensor], name=_KNOWN)
                     for tensor in known if _is_read(part, tensor)}
            tf.graph_util.import_graph_def(part, name="", input_map=given)
    except (ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError):
        return None
    return graph


def _is_read(part, tensor):
    return any(tensor in data_of(node) for node in part.node)


def freed(graph_def, placeholders, outputs):
    """A copy in which a Reshape to a number of rows that was written down takes any number.

    Args:
      graph_def: a GraphDef in which the feeds are placeholders already; not changed.
      placeholders: {tensor name of a placeholder: batch size that the graph had fixed, or None}.
      outputs: names of tensors.

    Returns:
      (GraphDef, names of what was changed). With the old batch size the values stay the same.
    """
    sizes = {name: size for name, size in placeholders.items() if size}
    graph = _imported(graph_def, outputs, _as_before(graph_def, sizes)) if sizes else None
    if graph is None:
        return graph_def, ()
    wanted = {}
    entering = {op.name for op in graph.get_operations() if op.name.startswith(_KNOWN)}
    for op in _moved(graph, entering):
        if op.type == "Reshape" and op.inputs[1].op.type == "Const" and _is_batch(
                op.inputs[0].shape, op.outputs[0].shape, set(sizes.values())):
            wanted[op.name] = [-1, *op.outputs[0].shape.as_list()[1:]]
    return _reshaped(graph_def, wanted), tuple(wanted)


def _as_before(graph_def, sizes):
    """{placeholder tensor: (type, shape)} with the batch size that the graph had fixed."""
    nodes, known = Edges(graph_def).nodes, {}
    for tensor, size in sizes.items():
        node = nodes[producer(tensor)]
        shape = tf.TensorShape(attribute(node, "shape").shape)
        known[tensor] = (tf.as_dtype(attribute(node, "dtype").type),
                         tf.TensorShape([size]).concatenate(shape[1:]))
    return known


def _is_batch(before, after, sizes):
    """Whether both shapes begin with the batch, folded perhaps, and the rest is known."""
    if not before.rank or not after.rank or not after.is_fully_defined() or not before[0]:
        return False
    return any(before[0] % size == 0 and after[0] % size == 0 if size > 1
               else before[0] == after[0] == 1 for size in sizes)


def _reshaped(graph_def, wanted):
    """A copy in which some Reshapes have constant shapes of their own."""
    result = graph_pb2.GraphDef()
    result.CopyFrom(graph_def)
    added = []
    for node in result.node:
        if node.name in wanted:
            dtype = tf.as_dtype(attribute(node, "Tshape").type or tf.int32.as_datatype_enum)
            shape = type(node)(name=node.name + "/any_batch", op="Const",
                               input=["^" + producer(node.input[0])])  # in a loop, if it is in one
            shape.attr["dtype"].type = dtype.as_datatype_enum
            shape.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(wanted[node.name], dtype))
            node.input[1] = shape.name
            added.append(shape)
    result.node.extend(added)
    return result


def _moved(graph, names):
    """Ops that depend on placeholders by value, in order (an import is in topological order)."""
    moved, found = set(names), []
    for op in graph.get_operations():
        if op.type not in SHAPES and any(operand.op.name in moved for operand in op.inputs):
            moved.add(op.name)
            found.append(op)
    return found


def fixed_batches(graph_def, placeholders, outputs):
    """Sentences on ops that keep the batch size of swapped feeds fixed.

    Args:
      graph_def: a GraphDef in which the feeds are placeholders already.
      placeholders: {tensor name of a placeholder: batch size that the graph had fixed}.
      outputs: names of tensors.

    Returns:
      A sentence for each op whose rows are a multiple of that batch size although the number of
      rows that it reads is not known: a Reshape to a constant shape, a constant state. Empty where
      the batch size is free.
    """
    sizes = {size for size in placeholders.values() if size and size > 1}
    if not sizes:
        return ()
    graph = _imported(graph_def, outputs)
    if graph is None:
        return ("TensorFlow refuses to infer shapes behind the swapped inputs, so whether another "
                f"batch size than {max(sizes)} works is not known.",)
    names = {producer(tensor) for tensor in placeholders}
    moving = _moved(graph, names)
    names |= {op.name for op in moving}
    sentences = []
    for op in moving:
        operands = [operand for operand in op.inputs if operand.op.name in names]
        rows = {operand.shape[0] for operand in operands if operand.shape.rank}
        for output in op.outputs[:1]:
            size = output.shape[0] if output.shape.rank else None
            if rows == {None} and size and _counts_examples(op, size, sizes):
                sentences.append(f"{op.type} {op.name!r} makes {size} rows whatever the batch is: "
                                 f"the graph was built for batches of {max(sizes)}, and another "
                                 "size fails there.")
    return tuple(sentences)


def _counts_examples(op, size, sizes):
    """Whether a number of rows is the batch's: folded with other axes only by a Reshape."""
    if op.type == "Reshape":
        return any(size % one == 0 for one in sizes)
    reduced = op.inputs[0].shape.rank and op.outputs[0].shape.rank < op.inputs[0].shape.rank
    return size in sizes and not reduced
