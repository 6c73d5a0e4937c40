"""Shapes of tensors of a GraphDef: recorded, or inferred by an import that runs nothing."""

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from ig_tf.model.edges import SHAPES, Edges, canonical, data_of, maker

_STALE = ("_output_shapes", "_class")


def recorded(node, index):
    """The shape that an exporter wrote down for an output of a node; unknown where none did."""
    listed = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
    return tf.TensorShape(listed[index]) if index < len(listed) else tf.TensorShape(None)


def inferred(graph_def, tensor):
    """(type, shape) of a tensor, as TensorFlow infers them; (None, unknown) where it cannot."""
    graph = _imported(graph_def, [tensor])
    if graph is None:
        return None, recorded(Edges(graph_def).node(tensor), int(tensor.rpartition(":")[2]))
    try:
        found = graph.get_tensor_by_name(canonical(tensor))
    except (KeyError, ValueError):
        return None, tf.TensorShape(None)
    return found.dtype.base_dtype, found.shape


def _imported(graph_def, tensors):
    """What some tensors need by data, in a tf.Graph; None where TensorFlow refuses it."""
    edges, needed = Edges(graph_def), set()
    queue = [maker(tensor) for tensor in tensors]
    while queue:
        name = queue.pop()
        if name in edges.nodes and name not in needed:
            needed.add(name)
            queue.extend(maker(value) for value in data_of(edges.nodes[name]))
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
            tf.graph_util.import_graph_def(part, name="")
    except (ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError):
        return None
    return graph


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
    moved, sentences = set(placeholders), []
    for op in graph.get_operations():  # imported in topological order
        operands = [operand for operand in op.inputs if operand.name in moved]
        if not operands or op.type in SHAPES:
            continue
        moved.update(output.name for output in op.outputs)
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
