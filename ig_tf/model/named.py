"""Which tensors of a graph are its inputs and outputs: as the user says, or else asked for."""

import difflib

import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import meta_graph_pb2

from ig_tf.errors import IgTfError, SignatureError
from ig_tf.model import feed_ops, ops, prune
from ig_tf.model.nodes import canonical, data, producer

PREDICT = "tensorflow/serving/predict"
_SHOWN = 12  # candidates of a kind
# What comes out of them is fed by the training process, which a caller is not.
SOURCES = tuple(feed_ops.SOURCES)
# They end a model or measure it; what they read may be what it answers.
_ENDS = ("ArgMax", "ArgMin", "TopK", "InTopK", "Equal", "NotEqual", "Greater", "Less", "Round",
         "SoftmaxCrossEntropy", "SparseSoftmaxCrossEntropy", "Assert", "Print", "Save", "Shape",
         "QueueEnqueue", "LookupTableFind", "LogSoftmax", "ZerosLike", "Size")
# Nothing that they give is an answer.
_NO_OUTPUTS = ("Assign", "Apply", "ResourceApply", "Scatter", "Variable", "Restore", "Save",
               "Queue", "FIFOQueue", "Iterator", "Reader", "Random", "TruncatedNormal", "CountUpTo")


def tensors(values, what):
    """The user's inputs or outputs as {key: tensor name or TensorInfo}.

    Args:
      values: None; {key: name or tensor}; or an iterable of NAME, NAME:k, KEY=NAME or tensors.
      what: "input" or "output", for messages.

    Returns:
      A dict in the given order, or None for None. A key that was not given is the last part of
      the tensor's name, or all of it where two would be the same.
    """
    if values is None:
        return None
    if isinstance(values, str):
        values = values.split(",")
    if isinstance(values, dict):
        pairs = [(str(key), _tensor(value)) for key, value in values.items()]
    else:
        pairs = [_pair(value) for value in values if value != ""]
    if not pairs:
        raise SignatureError(f"no {what} was named.")
    short = [_key(tensor) for key, tensor in pairs if key is None]
    found = {}
    for key, tensor in pairs:
        if key is None:
            key = _key(tensor) if short.count(_key(tensor)) == 1 else _key(tensor, whole=True)
        if key in found:
            raise SignatureError(f"two {what}s are called {key!r}; name them with KEY=NAME.")
        found[key] = tensor
    return found


def _pair(value):
    if isinstance(value, str) and "=" in value:
        key, _, tensor = value.partition("=")
        return key.strip(), _tensor(tensor.strip())
    return None, _tensor(value)


def _tensor(value):
    """A tensor's name, or the TensorInfo of a composite one."""
    if isinstance(value, str):
        return canonical(value)
    if isinstance(value, tf.Operation):
        return value.name + ":0"
    if isinstance(value, tf.Tensor):
        return value.name
    if isinstance(value, message.Message):
        return value
    try:
        with tf.Graph().as_default():  # TensorFlow describes no tensor of a graph outside of one
            return tf.compat.v1.saved_model.build_tensor_info(value)
    except (TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise SignatureError(f"an input or output is a tensor or the name of one; found "
                             f"{type(value).__name__}: {error}") from error


def _key(tensor, whole=False):
    if isinstance(tensor, message.Message):
        parts = tensor.coo_sparse.values_tensor_name or "input"
        return producer(parts).rpartition("/")[0] or producer(parts)
    name, _, index = tensor.partition(":")
    name = name.replace("/", "_") if whole else name.rpartition("/")[2]
    return name if index in ("", "0") else f"{name}_{index}"


def tensors_of(info):
    """Names of the tensors of a TensorInfo, or of a tensor's name."""
    if isinstance(info, str):
        return (info,)
    if info.WhichOneof("encoding") == "coo_sparse":
        sparse = info.coo_sparse
        return (sparse.indices_tensor_name, sparse.values_tensor_name,
                sparse.dense_shape_tensor_name)
    if info.WhichOneof("encoding") == "composite_tensor":
        return tuple(part.name for part in info.composite_tensor.components)
    return (info.name,)


def refuse_missing(graph_def, wanted, what):
    """Names a tensor that the graph does not have, and those that it may have meant."""
    nodes = prune.nodes_by_name(graph_def)
    for info in wanted.values():
        for tensor in tensors_of(info):
            name = producer(tensor)
            if name in nodes:
                continue
            close = difflib.get_close_matches(name, nodes, 3, 0.6)
            meant = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
            raise SignatureError(f"no such {what}: the graph has no node {name!r}.{meant}"
                                 f"\n{candidates(graph_def)}")


def signature_of(graph_def, inputs, outputs):
    """A SignatureDef of a graph's tensors, with their types and shapes.

    Args:
      graph_def: a GraphDef that has them.
      inputs, outputs: {key: tensor name or TensorInfo}.
    """
    wanted = [producer(tensor) for info in [*inputs.values(), *outputs.values()]
              for tensor in tensors_of(info)]
    nodes = prune.nodes_by_name(graph_def)
    graph = ops.import_graph(prune.part(graph_def, prune.ancestors(nodes, wanted)))
    signature = meta_graph_pb2.SignatureDef(method_name=PREDICT)
    for given, made in ((inputs, signature.inputs), (outputs, signature.outputs)):
        for key, info in given.items():
            if isinstance(info, str):
                _describe(made[key], graph, info)
            else:
                made[key].CopyFrom(info)
    return signature


def _describe(info, graph, name):
    try:
        tensor = graph.get_tensor_by_name(name)
    except (KeyError, ValueError):
        count = len(graph.get_operation_by_name(producer(name)).outputs)
        raise SignatureError(f"no tensor {name!r}: its node has {count} outputs.") from None
    info.name = name
    info.dtype = tensor.dtype.base_dtype.as_datatype_enum
    info.tensor_shape.CopyFrom(tensor.shape.as_proto())


def ask(graph_def, what="inputs and outputs"):
    """The refusal that asks for them."""
    return SignatureError(
        f"the graph has no signature to explain: say its {what} with --inputs=NAME,... and "
        "--outputs=NAME,... (inputs= and outputs= in Python); NAME, NAME:k, or KEY=NAME to call "
        f"it so.\n{candidates(graph_def)}")


def candidates(graph_def):
    """What a graph could take and give, as lines of text."""
    nodes = prune.nodes_by_name(graph_def)
    shown = _Shown(graph_def)
    inputs = [node.name for node in graph_def.node
              if node.op in prune.PLACEHOLDERS or node.op == "PlaceholderWithDefault"]
    inputs = [name for name in inputs if not _is_file_name(nodes[name], nodes)]
    inputs += [node.name for node in graph_def.node if node.op.startswith(SOURCES)]
    lines = ["it could take:"]
    lines += [f"  {shown.text(name)}" for name in inputs[:_SHOWN]] or ["  (no placeholder found)"]
    lines += [f"  ... and {len(inputs) - _SHOWN} more"] * (len(inputs) > _SHOWN)
    outputs = _outputs(graph_def, shown)
    lines.append("it could give:")
    lines += [f"  {shown.text(name)}" for name in outputs[:_SHOWN]] or ["  (nothing found)"]
    return "\n".join(lines)


def _is_file_name(node, nodes):
    """The name of a checkpoint, which savers take."""
    if node.op != "PlaceholderWithDefault":
        return False
    source = prune.root(nodes, node.name)
    return source.op == "Const" and source.attr["dtype"].type == tf.string.as_datatype_enum


def _outputs(graph_def, shown):
    """Names of nodes that may be what a model answers, last one first.

    Floats of a batch that nothing reads, or only what ends or measures a model; where there is
    none, floats of a batch that are read together with an input of their own (the labels of a
    loss), then other floats, else the rest.
    """
    readers = {}
    for node in graph_def.node:
        for value in data(node):
            readers.setdefault(producer(value), []).append(node)
    reached = _reached(graph_def, readers)
    found = []
    for node in graph_def.node:
        rank = shown.rank(node.name)
        if node.name not in reached or _no_output(node) or rank is None:
            continue
        going_on = [reader for reader in readers.get(node.name, ()) if not _measures(reader)]
        if not going_on:
            found.append((rank, node.name))
        elif rank == 0 and set.intersection(*(
                reached[reader.name] for reader in going_on)) - reached[node.name]:
            found.append((0.5, node.name))
    best = min((rank for rank, _ in found), default=None)
    return [name for rank, name in found[::-1] if rank == best]


def _no_output(node):
    return node.op.startswith(_NO_OUTPUTS) or "Summary" in node.op or _in_gradients(node)


def _measures(node):
    """Whether a node only ends or measures a model, or belongs to its training."""
    return node.op.startswith(_ENDS) or "Summary" in node.op or _in_gradients(node)


def _in_gradients(node):
    return any(part.startswith("gradients") for part in node.name.split("/"))


def _reached(graph_def, readers):
    """{node: names of the inputs that it depends on}: placeholders, queues, readers, iterators."""
    reached = {}
    for node in graph_def.node:
        if node.op.startswith(("Placeholder", *SOURCES)):
            queue, seen = list(readers.get(node.name, ())), set()
            while queue:
                reader = queue.pop()
                if reader.name not in seen:
                    seen.add(reader.name)
                    reached.setdefault(reader.name, set()).add(node.name)
                    queue.extend(readers.get(reader.name, ()))
    return reached


class _Shown:
    """Types and shapes of a graph's tensors, as far as TensorFlow can tell them."""

    def __init__(self, graph_def):
        try:
            self.graph = ops.import_graph(prune.part(
                graph_def, [node.name for node in graph_def.node]))
        except IgTfError:
            self.graph = None

    def _tensor(self, name):
        operation = self.graph.get_operation_by_name(name) if self.graph else None
        return operation.outputs[0] if operation and operation.outputs else None

    def rank(self, name):
        """Floats of a batch, other floats, the rest; None for what is no tensor."""
        if self.graph is None:
            return 1
        tensor = self._tensor(name)
        if tensor is None or tensor.dtype in (tf.resource, tf.variant):
            return None
        if not tensor.dtype.is_floating:
            return 2
        return 1 if tensor.shape.rank == 0 else 0

    def text(self, name):
        """The tensors of a node: one as a rule, several of a queue."""
        if self.graph is None:
            return name
        operation = self.graph.get_operation_by_name(name)
        return "; ".join(map(_text, operation.outputs)) + (
            f"  (out of a {operation.type})" if operation.type.startswith(SOURCES) else "")


def _text(tensor):
    if tensor.shape.rank is None:
        shape = "of unknown rank"
    else:
        shape = f"[{', '.join('?' if dim is None else str(dim) for dim in tensor.shape)}]"
    return f"{tensor.name.removesuffix(':0')}: {tensor.dtype.base_dtype.name} {shape}"
