"""A SavedModel whose signature waits for a queue or a scalar, made to answer where ig_tf works.

The model's own nodes and signatures stay as they are: swaps and fixes are made in a copy of its
graph, which the attribution subgraph is taken from. Placeholders that stand for feeds are added
beside it, for the signature `attributions` alone.
"""

import dataclasses

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from ig_tf.errors import SignatureError
from ig_tf.model import feeds
from ig_tf.model.edges import Edges
from ig_tf.model.feed_names import sanitised, unique
from ig_tf.model.feed_shapes import inferred
from ig_tf.model.feed_sparse import inputs_of
from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import canonical, producer

FEED_SCOPE = SCOPE + "feed/"


def answering(model, outputs=None, feed=None, fixed=None):
    """The same model, with a working graph that answers by itself.

    Args:
      model: a `Model` of a SavedModel.
      outputs: {key: tensor name} or names of tensors to explain instead of its signature's, or
        None. Then the placeholders that they need are inputs.
      feed: TENSOR:NAME,... what shall be an input (see `feeds.select`).
      fixed: PLACEHOLDER:VALUE,...

    Returns:
      The model itself where nothing is in the way, else a copy with `explained`, `working`,
      `feeds` and `fixes`.

    Raises:
      SignatureError: no such output, feed or placeholder; a model of TensorFlow 2.
    """
    if model.meta_graph.HasField("object_graph_def"):
        if outputs or feed or fixed:
            raise SignatureError("outputs, feeds and fixes by tensor are for graphs of "
                                 "TensorFlow 1; in this SavedModel of TensorFlow 2 signatures are "
                                 "functions. Choose one with --signature.")
        return model
    signature = _made(model, outputs, feed, fixed) if outputs else model.signature
    keys = sorted(signature.outputs)
    given = [name for info in signature.inputs.values() for name in _tensors(info)]
    wanted = [signature.outputs[key].name for key in keys if signature.outputs[key].name]
    prepared = feeds.prepare(model.graph_def, wanted, feed, fixed, given,
                             set(signature.inputs), FEED_SCOPE)
    if not outputs and not prepared.changed:
        return model
    explained = meta_graph_pb2.SignatureDef()
    explained.CopyFrom(signature)
    swapped = {one.name: one for one in prepared.feeds}
    for key, tensor in inputs_of(prepared.feeds, prepared.inputs).items():
        if isinstance(tensor, str):
            explained.inputs[key].name = tensor
            explained.inputs[key].dtype = swapped[key].dtype.as_datatype_enum
            explained.inputs[key].tensor_shape.CopyFrom(swapped[key].shape.as_proto())
        else:
            explained.inputs[key].CopyFrom(tensor)
    replaced = dict(zip(wanted, prepared.outputs))
    for key in keys:
        explained.outputs[key].name = replaced.get(explained.outputs[key].name, "")
    return dataclasses.replace(
        model, explained=explained, working=prepared.graph_def, feeds=prepared.feeds,
        fixes=prepared.fixes, chosen=(*model.chosen, *prepared.notes))


def _tensors(info):
    """Names of the tensors that an input of a signature is made of."""
    if info.WhichOneof("encoding") == "coo_sparse":
        sparse = info.coo_sparse
        return [sparse.indices_tensor_name, sparse.values_tensor_name,
                sparse.dense_shape_tensor_name]
    return [info.name] if info.name else []


def _made(model, outputs, feed, fixed):
    """A SignatureDef of named outputs and of the placeholders that they need as data."""
    wanted = _named(model.graph_def, outputs)
    signature = meta_graph_pb2.SignatureDef()
    for key, tensor in wanted.items():
        _describe(signature.outputs[key], model.graph_def, tensor)
    prepared = feeds.prepare(model.graph_def, list(wanted.values()), feed, fixed)
    edges = Edges(prepared.graph_def)
    scalars = {one.placeholder for one in prepared.open}
    fed = {producer(tensor) for tensor in prepared.inputs.values()}
    names = [name for name in edges.path(prepared.outputs)
             if edges.nodes[name].op in ("Placeholder", "PlaceholderV2")
             and name not in scalars | fed]
    keys = _keys(model, names, {one.name for one in prepared.feeds})
    for key, name in zip(keys, names):
        _describe(signature.inputs[key], model.graph_def, name + ":0")
    return signature


def _named(graph_def, outputs):
    """{key: tensor name} of outputs by name."""
    edges = Edges(graph_def)
    if not isinstance(outputs, dict):
        texts = outputs.split(",") if isinstance(outputs, str) else list(outputs)
        pairs = [text.rpartition("=")[::2] for text in texts]
        keys = unique([sanitised(key or producer(tensor).rpartition("/")[2])
                       for key, tensor in pairs])
        outputs = dict(zip(keys, (tensor for _, tensor in pairs)))
    for tensor in outputs.values():
        if producer(tensor) not in edges.nodes:
            raise SignatureError(f"no output {tensor!r}: the graph has no node "
                                 f"{producer(tensor)!r}.")
    return {key: canonical(tensor) for key, tensor in outputs.items()}


def _keys(model, names, taken):
    """What inputs are called: as a signature of the model calls them, else as their nodes."""
    known = {producer(info.name): key for signature in model.meta_graph.signature_def.values()
             for key, info in signature.inputs.items() if info.name}
    return unique([known.get(name, sanitised(name.rpartition("/")[2])) for name in names], taken)


def _describe(info, graph_def, tensor):
    dtype, shape = inferred(graph_def, tensor)
    if dtype is None:
        raise SignatureError(f"TensorFlow cannot tell the type of tensor {tensor!r}.")
    info.name, info.dtype = tensor, dtype.as_datatype_enum
    info.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())


def moved(before, after):
    """Names of nodes of a changed graph that do not compute what the graph's own compute."""
    own, edges = {node.name: node for node in before.node}, Edges(after)
    found = {name for name, node in edges.nodes.items()
             if name not in own or _plain(node) != _plain(own[name])}
    readers = {}
    for node in after.node:
        for value in node.input:
            readers.setdefault(producer(value), []).append(node.name)
    queue = list(found)
    while queue:
        for name in readers.get(queue.pop(), ()):
            if name not in found:
                found.add(name)
                queue.append(name)
    return frozenset(found)


def _plain(node):
    """A node without recorded shapes, in a form that can be compared."""
    copy = type(node)()
    copy.CopyFrom(node)
    copy.attr.pop("_output_shapes", None)
    return copy
