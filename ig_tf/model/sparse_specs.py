"""Sparse arguments of a TensorFlow 2 signature, which its MetaGraph shows as three plain tensors.

`tf.saved_model.save` flattens a tf.SparseTensor argument NAME into NAME, NAME_1 and NAME_2:
indices, values and dense shape. That they belong together only the object graph says, of the
function that the signature calls.
"""

from tensorflow.core.protobuf import struct_pb2

_SPARSE = struct_pb2.TypeSpecProto.SPARSE_TENSOR_SPEC


def sparse_arguments(meta_graph, signature_name):
    """{name: (keys of the signature's inputs, shape)} of the sparse arguments.

    Args:
      meta_graph: MetaGraphDef.
      signature_name: name of a signature.

    Returns:
      A dict; empty for a model without an object graph. `shape` has None for unknown sizes.
    """
    if not meta_graph.HasField("object_graph_def"):
        return {}
    library = {function.signature.name: function
               for function in meta_graph.graph_def.library.function}
    calls = {_callee(node): node for node in meta_graph.graph_def.node
             if _callee(node) in library}
    keys = {info.name: key for key, info in
            meta_graph.signature_def[signature_name].inputs.items()}
    for info in meta_graph.signature_def[signature_name].outputs.values():
        for name, call in calls.items():
            if call.name == info.name.partition(":")[0]:
                fed = [keys.get(value if ":" in value else value + ":0") for value in call.input]
                return _of_function(meta_graph.object_graph_def, library, name, fed)
    return {}


def _of_function(objects, library, name, fed):
    """Sparse arguments of a function or of the one that it hands its arguments on to."""
    for _ in range(len(library)):
        concrete = objects.concrete_functions.get(name)
        if concrete is not None:
            found = _grouped(concrete.canonicalized_input_signature, fed)
            if found:
                return found
        body = library[name]
        arguments = [argument.name for argument in body.signature.input_arg]
        inner = next((node for node in body.node_def if _callee(node) in library
                      and set(node.input) & set(arguments)), None)
        if inner is None:
            return {}
        given = dict(zip(arguments, fed))
        fed = [given.get(value) for value in inner.input]
        name = _callee(inner)
    return {}


def _callee(node):
    """The function that a node calls. To read an attribute that is not there would add it."""
    return node.attr["f"].func.name if "f" in node.attr else None


def _grouped(structure, fed):
    """{name: (keys, shape)} where a flattened structure has sparse parts."""
    found, place = {}, 0
    for spec in _leaves(structure):
        count = 1
        if spec.WhichOneof("kind") == "type_spec_value":
            count = spec.type_spec_value.num_flat_components or 1
            keys = tuple(fed[place:place + count])
            if spec.type_spec_value.type_spec_class == _SPARSE and len(keys) == 3 and all(keys):
                found[keys[0]] = (keys, _shape(spec.type_spec_value))
        place += count
    return found


def _leaves(value):
    """The tensors of a structure, in the order in which TensorFlow flattens it."""
    kind = value.WhichOneof("kind")
    if kind in ("tuple_value", "list_value"):
        for item in getattr(value, kind).values:
            yield from _leaves(item)
    elif kind == "dict_value":
        for key in sorted(value.dict_value.fields):
            yield from _leaves(value.dict_value.fields[key])
    elif kind in ("tensor_spec_value", "bounded_tensor_spec_value", "type_spec_value"):
        yield value


def _shape(spec):
    for value in spec.type_state.tuple_value.values:
        if value.WhichOneof("kind") == "tensor_shape_value":
            return tuple(None if dim.size < 0 else dim.size
                         for dim in value.tensor_shape_value.dim)
    return ()
