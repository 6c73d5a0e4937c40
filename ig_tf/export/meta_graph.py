"""Adds the attribution function to a MetaGraphDef (D1): appends only, changes no original."""

import json

from tensorflow.core.protobuf import meta_graph_pb2, saved_object_graph_pb2, struct_pb2

from ig_tf.errors import GraphError
from ig_tf.model.model import COLLECTION, SCOPE

PREDICT = "tensorflow/serving/predict"
_REF = 100  # DataType enums of ref types are 100 above those of the values


def call_of(signature):
    """The name of the node that answers an added signature."""
    return SCOPE + signature


def add(model, work, functions, metadata):
    """A copy of the model's SavedModel message with more signatures.

    Args:
      model: the `Model`.
      work: the `Work` of it.
      functions: a `Traced` for each signature to add.
      metadata: JSON-able record, kept in a collection.

    Returns:
      A new `SavedModel` message.

    Raises:
      GraphError: a name that ig_tf would add is taken.
    """
    proto = type(model.proto)()
    proto.CopyFrom(model.proto)
    meta_graph = proto.meta_graphs[model.index]
    _refuse_taken(meta_graph, [traced.signature for traced in functions])
    _add_feeds(meta_graph.graph_def, model)
    values = _Values(meta_graph.graph_def, work)
    for traced in functions:
        meta_graph.graph_def.library.function.extend(traced.functions)
        _add_call(meta_graph.graph_def, values, traced)
        _add_signature(meta_graph, model, traced)
    record = json.dumps(metadata, sort_keys=True, ensure_ascii=False)
    meta_graph.collection_def[COLLECTION].bytes_list.value.append(record.encode())
    if meta_graph.HasField("object_graph_def"):
        for traced in functions:
            _add_object(meta_graph, model, traced)
    return proto


def _refuse_taken(meta_graph, names):
    taken = [node.name for node in meta_graph.graph_def.node if node.name.startswith(SCOPE)]
    taken += [f"signature {name}" for name in names if name in meta_graph.signature_def]
    if taken:
        raise GraphError(f"the model already uses names that ig_tf adds: {', '.join(taken[:5])}.")


def _add_feeds(graph_def, model):
    """Placeholders of inputs that the model itself takes from a queue or the like."""
    if model.working is None:
        return
    inputs = {name.partition(":")[0] for name in model.inputs().values()}
    own = {node.name for node in graph_def.node}
    graph_def.node.extend(node for node in model.working.node
                          if node.name in inputs and node.name not in own)


class _Values:
    """What the added nodes take of the model; ref tensors through an Identity, one for all."""

    def __init__(self, graph_def, work):
        self._graph_def = graph_def
        self._work = work
        self._reads = {}

    def dtype(self, name):
        return self._work.tensor(name).dtype.base_dtype.as_datatype_enum

    def input(self, name):
        """The input of a node that takes this tensor."""
        if self._work.tensor(name).dtype.as_datatype_enum <= _REF:
            return _short(name)
        if name not in self._reads:
            read = self._graph_def.node.add(name=f"{SCOPE}read_{len(self._reads)}", op="Identity",
                                            input=[name])
            read.attr["T"].type = self.dtype(name)
            self._reads[name] = read.name
        return self._reads[name]


def _add_call(graph_def, values, traced):
    """One node calls the function; what a request chooses are placeholders under its name."""
    node = call_of(traced.signature)
    for key, (dtype, _) in traced.sent.items():
        placeholder = graph_def.node.add(name=f"{node}/{key}", op="Placeholder")
        placeholder.attr["dtype"].type = dtype
        placeholder.attr["shape"].shape.unknown_rank = True  # shapes are checked in the graph
    inputs = [values.input(name) if name else f"{node}/{key}"
              for key, name in traced.arguments.items()]
    inputs += [values.input(name) for name in traced.captured]
    op = "StatefulPartitionedCall" if traced.stateful else "PartitionedCall"
    call = graph_def.node.add(name=node, op=op, input=inputs)
    call.attr["f"].func.name = traced.name
    types = [values.dtype(name) if name else traced.sent[key][0]
             for key, name in traced.arguments.items()]
    call.attr["Tin"].list.type.extend(types)
    call.attr["Tin"].list.type.extend(values.dtype(name) for name in traced.captured)
    call.attr["Tout"].list.type.extend(traced.specs[key][0] for key in traced.keys)


def _set_unknown(shape, rank):
    """A shape of so many axes, all of unknown size."""
    for _ in range(rank):
        shape.dim.add(size=-1)


def _short(name):
    """Output 0 is written without its number, as TensorFlow does."""
    return name[:-2] if name.endswith(":0") else name


def _add_signature(meta_graph, model, traced):
    signature = meta_graph_pb2.SignatureDef(method_name=PREDICT)
    for key, info in model.signature.inputs.items():
        signature.inputs[key].CopyFrom(info)
    for key, (dtype, rank) in traced.sent.items():
        signature.inputs[key].name = f"{call_of(traced.signature)}/{key}:0"
        signature.inputs[key].dtype = dtype
        _set_unknown(signature.inputs[key].tensor_shape, rank)
    for index, key in enumerate(traced.keys):
        dtype, shape = traced.specs[key]
        signature.outputs[key].name = f"{call_of(traced.signature)}:{index}"
        signature.outputs[key].dtype = dtype
        signature.outputs[key].tensor_shape.CopyFrom(shape)
    meta_graph.signature_def[traced.signature].CopyFrom(signature)


def _add_object(meta_graph, model, traced):
    """The same function for tf.saved_model.load: a sibling of the explained signature's object."""
    objects = meta_graph.object_graph_def
    signatures = _signature_map(objects)
    sibling = next((child.node_id for child in signatures.children
                    if child.local_name == model.signature_name), None) if signatures else None
    if sibling is None:
        return  # a SavedModel whose object graph has no signatures; the MetaGraph's serve
    original = objects.nodes[sibling]
    function = _concrete_name(original)
    _refuse_other_inputs(original, model, traced)
    node = saved_object_graph_pb2.SavedObject()
    node.CopyFrom(original)
    if node.WhichOneof("kind") == "bare_concrete_function":
        node.bare_concrete_function.concrete_function_name = traced.name
    else:
        node.function.concrete_functions[:] = [traced.name]
    concrete = objects.concrete_functions[traced.name]
    concrete.canonicalized_input_signature.CopyFrom(
        objects.concrete_functions[function].canonicalized_input_signature)
    _add_arguments(node, concrete, traced)
    concrete.output_signature.CopyFrom(_structure(traced))
    concrete.bound_inputs.extend(_bound_inputs(meta_graph, model, traced, function))
    signatures.children.add(node_id=len(objects.nodes), local_name=traced.signature)
    objects.nodes.append(node)


def _refuse_other_inputs(original, model, traced):
    """The MetaGraph and the objects must speak of the same inputs of a signature."""
    keywords = original.bare_concrete_function.argument_keywords
    own = [key for key, name in traced.arguments.items() if name]
    if original.WhichOneof("kind") == "bare_concrete_function" and len(keywords) != len(own):
        raise GraphError(
            f"signature {model.signature_name!r} takes {', '.join(own)} in the MetaGraph, and its "
            f"function takes {', '.join(keywords) or 'nothing'}: the SavedModel is broken.")


def _add_arguments(node, concrete, traced):
    """What a request chooses, among the inputs of the original signature."""
    if not traced.sent:
        return
    # Behind an object of another kind stands a Python signature, which would have to be extended.
    own = list(node.bare_concrete_function.argument_keywords)
    names = dict(zip((key for key, name in traced.arguments.items() if name), own))
    bare = node.bare_concrete_function
    bare.Clear()  # the Python signature too: without it TensorFlow goes by the keywords
    bare.concrete_function_name = traced.name
    bare.argument_keywords.extend(names.get(key, key) for key in traced.arguments)
    named = concrete.canonicalized_input_signature.tuple_value.values[1].dict_value
    for key, (dtype, rank) in traced.sent.items():
        spec = named.fields[key].tensor_spec_value
        spec.name = key
        spec.dtype = dtype
        _set_unknown(spec.shape, rank)


def _signature_map(objects):
    for child in objects.nodes[0].children:
        if child.local_name == "signatures":
            return objects.nodes[child.node_id]
    return None


def _concrete_name(node):
    if node.WhichOneof("kind") == "bare_concrete_function":
        return node.bare_concrete_function.concrete_function_name
    return node.function.concrete_functions[0]


def _bound_inputs(meta_graph, model, traced, function):
    """Objects for the captured arguments, read off the original signature's call node."""
    bound = meta_graph.object_graph_def.concrete_functions[function].bound_inputs
    call = _call_of(meta_graph.graph_def, model, function)
    data = [value for value in call.input if not value.startswith("^")]
    captured = dict(zip((_canonical(value) for value in data[len(data) - len(bound):]), bound))
    missing = [name for name in traced.captured if name not in captured]
    if missing:
        raise GraphError(f"tensor {missing[0]!r} is no object of the model: the attribution "
                         "function could not be found by tf.saved_model.load.")
    return [captured[name] for name in traced.captured]


def _call_of(graph_def, model, function):
    """The top-level node that runs the signature."""
    nodes = {node.name: node for node in graph_def.node}
    for info in model.signature.outputs.values():
        node = nodes.get(info.name.partition(":")[0])
        if node is not None and node.attr["f"].func.name == function:
            return node
    raise GraphError(f"no node of the top level calls {function!r}, the function of signature "
                     f"{model.signature_name!r}.")


def _canonical(name):
    return name if ":" in name else name + ":0"


def _structure(traced):
    value = struct_pb2.StructuredValue()
    for key in traced.keys:
        dtype, shape = traced.specs[key]
        spec = value.dict_value.fields[key].tensor_spec_value
        spec.name = key
        spec.dtype = dtype
        spec.shape.CopyFrom(shape)
    return value
