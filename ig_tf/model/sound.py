"""Whether a MetaGraph says what a MetaGraph has to say, before anybody reads it.

Everything after this takes for granted: names are there and mean one thing, each node has the
inputs and the attributes of its op, constants have the size that they say, objects refer to
objects. TensorFlow asks for the same when it loads the model, in words of its own and later.
"""

import collections
import functools
import math

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from ig_tf.errors import ArtifactError
from ig_tf.model import ops

_TYPES = frozenset(types_pb2.DataType.values()) - {types_pb2.DT_INVALID}
# {type of an attribute in an OpDef: field of an AttrValue}
_FIELDS = {"int": "i", "float": "f", "bool": "b", "type": "type", "shape": "shape",
           "tensor": "tensor", "string": "s", "func": "func"}
_VALUES = tuple(field.name for field in tensor_pb2.TensorProto.DESCRIPTOR.fields
                if field.name.endswith("_val"))
_MOST_BYTES = 2**31  # of one constant, written out; and of one input, a byte each at least
_LARGEST_SIZE = 2**31 - 1  # of one axis of an input: sizes are int32 in most graphs
_MOST_DIMS = 254  # TensorFlow's own limit


def refuse_broken(path, meta_graph):
    """Refuses a MetaGraphDef that is broken.

    Args:
      path: where it was read, for the message.
      meta_graph: a MetaGraphDef; ops that nobody knows are not looked at.

    Raises:
      ArtifactError: with the first thing that is wrong and where.
    """
    graph_def = meta_graph.graph_def
    library = {}
    for function in graph_def.library.function:
        name = function.signature.name
        if not name or library.setdefault(name, function) != function:
            raise _error(path, f"two functions are called {name!r}" if name else
                         "a function has no name")
    places = [("", graph_def.node), *((f" of function {name!r}", function.node_def)
                                      for name, function in library.items())]
    for where, nodes in places:
        wrong = _twice(nodes) or next(filter(None, (_wrong(node, library) for node in nodes)), None)
        if wrong:
            raise _error(path, wrong + where)
    wrong = _wrong_edge(graph_def.node, library) or _wrong_objects(meta_graph)
    if wrong:
        raise _error(path, wrong)


def _error(path, what):
    return ArtifactError(f"the graph of {path!r} is broken: {what}. Was the file changed or cut "
                         "off? TensorFlow would not load it either.")


def _twice(nodes):
    names = collections.Counter(node.name for node in nodes)
    twice = sorted(name for name, count in names.items() if count > 1)
    return f"{names[twice[0]]} nodes are called {twice[0]!r}" if twice else None


def _wrong(node, library):
    """What is wrong with a node, or None."""
    if not node.name or not node.op:
        return f"a node has no {'op' if node.name else 'name'} ({node.name or node.op!r})"
    wrong = next(filter(None, (_wrong_input(value) for value in node.input)), None)
    if not wrong and node.op in library:
        wrong = _wrong_count(node, len(library[node.op].signature.input_arg))
    elif not wrong and ops.is_known(node.op):
        wrong = _wrong_attributes(node) or _wrong_count(node, _count(node, _stated(node.op)[1]))
    if not wrong and node.op == "Placeholder":
        wrong = _wrong_placeholder(node)
    if not wrong and node.op == "Const":
        wrong = _wrong_constant(node.attr["value"].tensor, node.attr["dtype"])
    return f"{wrong}; node {node.name!r} ({node.op})" if wrong else None


def _wrong_placeholder(node):
    """An input that no request can fill: an axis that is too long, or too many numbers in all."""
    sizes = [dim.size for dim in node.attr["shape"].shape.dim] if "shape" in node.attr else []
    numbers = math.prod(size for size in sizes if size > 0)
    if max(sizes, default=0) > _LARGEST_SIZE or numbers > _MOST_BYTES:
        return f"an input of shape {sizes}"
    return None


def _wrong_input(value):
    name = value.removeprefix("^")
    if not name or name.startswith("^"):
        return f"an input is called {value!r}"
    return None


def _wrong_edge(nodes, library):
    """An edge from an output that a node of the top level does not have; what else, or None."""
    counts = {}
    for node in nodes:
        if node.op in library:
            counts[node.name] = len(library[node.op].signature.output_arg)
        elif ops.is_known(node.op):
            counts[node.name] = _count(node, _stated(node.op)[2])
    for node in nodes:
        for value in node.input:
            name, colon, index = value.partition(":")
            if colon and not index.isdecimal():
                return f"node {node.name!r} reads {value!r}, which is no tensor"
            count = counts.get(name)
            if count is not None and int(index or 0) >= count:
                return f"node {node.name!r} reads {value!r} of {count} outputs"
    return None


def _wrong_count(node, wanted):
    """Data inputs come first and are as many as the op takes."""
    count = sum(not value.startswith("^") for value in node.input)
    if any(value.startswith("^") for value in node.input[:count]):
        return "a control input stands before a data input"
    if wanted is not None and count != wanted:
        return f"the op takes {wanted} inputs, found {count}"
    return None


@functools.lru_cache(maxsize=None)
def _stated(op):
    """[(attribute, field, is a list, kind, has a default)]; (number, types) of inputs, outputs."""
    definition = ops.op_def(op)
    attributes = []
    for attribute in definition.attr:
        kind = attribute.type.removeprefix("list(").removesuffix(")")
        attributes.append((attribute.name, _FIELDS.get(kind), attribute.type != kind, kind,
                           attribute.HasField("default_value")))
    return attributes, *([(one.number_attr, one.type_list_attr) for one in arguments]
                         for arguments in (definition.input_arg, definition.output_arg))


def _wrong_attributes(node):
    for name, field, is_list, kind, has_default in _stated(node.op)[0]:
        if name not in node.attr:
            if has_default:
                continue
            return f"attribute {name!r} is missing"
        value = node.attr[name]
        found = value.WhichOneof("value")
        if found == "placeholder":
            continue
        if field is None or found != ("list" if is_list else field):
            return f"attribute {name!r} is no {'list of ' if is_list else ''}{kind}"
        wrong = _wrong_type(value, is_list, kind)
        if wrong:
            return f"attribute {name!r}: {wrong}"
    return None


def _wrong_type(value, is_list, kind):
    if kind == "type":
        wrong = set(value.list.type if is_list else [value.type]) - _TYPES
        return f"there is no type of number {sorted(wrong)[0]}" if wrong else None
    if kind == "shape":
        shapes = value.list.shape if is_list else [value.shape]
        return next(filter(None, (_wrong_shape(shape, -1) for shape in shapes)), None)
    return None


def _wrong_shape(shape, least):
    if len(shape.dim) > _MOST_DIMS:
        return f"a shape of {len(shape.dim)} axes"
    sizes = [dim.size for dim in shape.dim]
    if any(size < least for size in sizes):
        return f"a shape {sizes}"
    if math.prod(size for size in sizes if size > 0) >= 2**63:
        return f"a shape {sizes}: more numbers than there are"
    return None


def _count(node, arguments):
    """How many tensors the arguments of an op are in a node, or None: the caller decides."""
    total = 0
    for number, types in arguments:
        name = number or types
        if name and node.attr[name].WhichOneof("value") == "placeholder":
            return None
        total += node.attr[number].i if number else len(node.attr[types].list.type) if types else 1
    return total


def _wrong_constant(tensor, stated):
    """Whether it has the type that the node states and as many numbers as its shape says.

    The last number may stand for all that follow.
    """
    if tensor.dtype not in _TYPES:
        return f"there is no type of number {tensor.dtype}"
    if stated.type and stated.type != tensor.dtype:
        return f"a constant of type {tensor.dtype}, stated as {stated.type}"
    wrong = "an unknown shape" if tensor.tensor_shape.unknown_rank else (
        _wrong_shape(tensor.tensor_shape, 0))
    if wrong:
        return f"a constant of {wrong}"
    dtype = tf.as_dtype(tensor.dtype)
    count = math.prod(dim.size for dim in tensor.tensor_shape.dim)
    if count * max(dtype.size or 1, 1) > _MOST_BYTES:
        return f"a constant of {count:,} numbers"
    if tensor.tensor_content and dtype.size and not _packed(dtype) and (
            len(tensor.tensor_content) != count * dtype.size):
        return f"a constant of {count} numbers in {len(tensor.tensor_content)} bytes"
    said = sum(len(getattr(tensor, name)) for name in _VALUES)
    if not tensor.tensor_content and said > count * (2 if dtype.is_complex else 1):
        return f"a constant of {count} numbers, of which {said} are said"
    return None


def _packed(dtype):
    """Types of which several numbers share a byte, or that say no size: not judged here."""
    return dtype.name in ("string", "variant", "resource", "int4", "uint4", "int2", "uint2")


def _wrong_objects(meta_graph):
    """Whether objects and functions refer to objects that are there."""
    if not meta_graph.HasField("object_graph_def"):
        return None
    objects = meta_graph.object_graph_def
    count = len(objects.nodes)
    if not count:
        return "it has an object graph without objects"
    for number, node in enumerate(objects.nodes):
        for child in node.children:
            if not 0 <= child.node_id < count:
                return (f"object {number} refers to object {child.node_id} "
                        f"({child.local_name!r}); there are {count}")
    for name, function in objects.concrete_functions.items():
        wrong = [place for place in function.bound_inputs if not 0 <= place < count]
        if wrong:
            return f"function {name!r} captures object {wrong[0]}; there are {count}"
    return None
