"""Mutations of a SavedModel's message. Each is function(random, proto) that changes it in place."""

from tensorflow.core.framework import attr_value_pb2
from tensorflow.core.protobuf import saved_model_pb2

_SIZES = (0, -1, -5, 1, 7, 2**31 - 1, 2**31, 2**40, 2**62, -2**63)
_NUMBERS = (0, 1, -1, 2, 7, 2**31 - 1, -2**31, 2**63 - 1, -2**63)
_TYPES = (0, 1, 2, 3, 7, 9, 10, 14, 19, 20, 21, 23, 101, 120, 999)
_OPS = ("Identity", "MatMul", "Add", "AddV2", "Reshape", "Concat", "ConcatV2", "GatherV2", "Cast",
        "Const", "NoOp", "Placeholder", "Sum", "While", "If", "PartitionedCall", "Switch", "Merge",
        "Enter", "Exit", "NextIteration", "VarHandleOp", "ReadVariableOp", "VariableV2", "Where",
        "StopGradient", "RandomUniform", "PyFunc", "Split", "Unpack", "Pack", "Shape", "Tile",
        "StridedSlice", "TensorListReserve", "LookupTableFindV2", "NoSuchOp", "", "Softmax", "Relu",
        "StatefulPartitionedCall", "IdentityN", "Squeeze", "Max", "TopKV2", "Transpose")


def mutate(random, data):
    """The bytes of a message, changed in one to three ways.

    Returns:
      (bytes, names of the mutations).
    """
    name = random.choice([*_BYTES, *_STRUCTURES, *_STRUCTURES, *_STRUCTURES])
    if name in _BYTES:
        return _BYTES[name](random, data), [name]
    proto = saved_model_pb2.SavedModel.FromString(data)
    names = change(random, proto, name)
    return proto.SerializeToString(), names


def change(random, proto, first=None):
    """Changes a message in place in one to three ways; returns the names of the mutations."""
    names = [first or random.choice(list(_STRUCTURES))]
    names += [random.choice(list(_STRUCTURES)) for _ in range(random.choice((0, 0, 1, 2)))]
    for one in names:
        _STRUCTURES[one](random, proto)
    return names


def _bit_flips(random, data):
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _truncation(random, data):
    return data[:random.randrange(len(data))]


def _repeated_part(random, data):
    begin = random.randrange(len(data))
    end = min(len(data), begin + random.randrange(1, 200))
    return data[:end] + data[begin:end] + data[end:]


def _graph(random, proto):
    """The lists of nodes: of the top level or of a function."""
    graph = random.choice(proto.meta_graphs).graph_def
    lists = [graph.node, *(function.node_def for function in graph.library.function)]
    return random.choice([nodes for nodes in lists if len(nodes)] or [graph.node])


def _node(random, proto):
    nodes = _graph(random, proto)
    return random.choice(nodes) if len(nodes) else None


def _drop_node(random, proto):
    nodes = _graph(random, proto)
    if len(nodes):
        del nodes[random.randrange(len(nodes))]


def _swap_inputs(random, proto):
    nodes = [node for node in _graph(random, proto) if node.input]
    if not nodes:
        return
    one, two = random.choice(nodes), random.choice(nodes)
    i, j = random.randrange(len(one.input)), random.randrange(len(two.input))
    one.input[i], two.input[j] = two.input[j], one.input[i]


def _drop_input(random, proto):
    node = _node(random, proto)
    if node is not None and node.input:
        del node.input[random.randrange(len(node.input))]


def _strange_input(random, proto):
    node = _node(random, proto)
    if node is None:
        return
    strange = random.choice(("", ":", "^", "^^a", "a:b:c", node.name, f"^{node.name}", "nowhere:0",
                             f"{node.name}:99", "x:-1", "x:999999999999999999999", "\x00", "é"))
    if node.input:
        node.input[random.randrange(len(node.input))] = strange
    else:
        node.input.append(strange)


def _cycle(random, proto):
    nodes = list(_graph(random, proto))
    node = random.choice(nodes) if nodes else None
    if node is not None and node.input:
        after = [other for other in nodes
                 if any(value.partition(":")[0] == node.name for value in other.input)]
        node.input[random.randrange(len(node.input))] = random.choice(after or nodes).name


def _duplicate_name(random, proto):
    nodes = _graph(random, proto)
    if len(nodes):
        if random.random() < 0.5:
            random.choice(nodes).name = random.choice(nodes).name
        else:
            nodes.add().CopyFrom(random.choice(nodes))


def _other_op(random, proto):
    node = _node(random, proto)
    if node is not None:
        node.op = random.choice(_OPS)


def _wrong_attribute(random, proto):
    node = _node(random, proto)
    if node is None or not node.attr:
        return
    key = random.choice(sorted(node.attr))
    value = node.attr[key]
    kind = random.randrange(8)
    if kind == 0:
        del node.attr[key]
    elif kind == 1:
        value.CopyFrom(attr_value_pb2.AttrValue())
    elif kind == 2:
        value.type = random.choice(_TYPES)
    elif kind == 3:
        value.i = random.choice(_NUMBERS)
    elif kind == 4:
        value.s = random.choice((b"", b"\xff\xfe", b"SAME", b"x" * 1000))
    elif kind == 5:
        value.func.name = random.choice(("", "nowhere", node.op, "__inference_serve_1"))
    elif kind == 6:
        value.list.i.extend((random.choice(_NUMBERS), 1))
    else:
        value.CopyFrom(random.choice([node.attr[other] for other in sorted(node.attr)]))


def _huge_shape(random, proto):
    """Sizes of shapes and of constants."""
    shapes = [shape for nodes in _lists(proto) for node in nodes for key in sorted(node.attr)
              for shape in _shapes(node.attr[key])]
    if shapes:
        shape = random.choice(shapes)
        if shape.dim and random.random() < 0.8:
            random.choice(shape.dim).size = random.choice(_SIZES)
        else:
            for _ in range(random.choice((1, 3, 300))):
                shape.dim.add(size=random.choice(_SIZES))


def _lists(proto):
    for meta_graph in proto.meta_graphs:
        yield meta_graph.graph_def.node
        for function in meta_graph.graph_def.library.function:
            yield function.node_def


def _shapes(value):
    kind = value.WhichOneof("value")
    if kind == "shape":
        return [value.shape]
    if kind == "tensor":
        return [value.tensor.tensor_shape]
    return list(value.list.shape) if kind == "list" else []


def _constant_content(random, proto):
    tensors = [node.attr["value"].tensor for nodes in _lists(proto) for node in nodes
               if node.op == "Const" and "value" in node.attr]
    if not tensors:
        return
    tensor = random.choice(tensors)
    kind = random.randrange(4)
    if kind == 0:
        tensor.tensor_content = bytes(random.randrange(256) for _ in range(random.randrange(40)))
    elif kind == 1:
        tensor.dtype = random.choice(_TYPES)
    elif kind == 2:
        del tensor.int_val[:]
        tensor.int_val.extend(random.choice((0, 1, -1, 2**31 - 1)) for _ in range(3))
    else:
        tensor.ClearField("tensor_content")


def _function(random, proto):
    functions = random.choice(proto.meta_graphs).graph_def.library.function
    return functions, (random.randrange(len(functions)) if len(functions) else None)


def _dangling_function(random, proto):
    functions, place = _function(random, proto)
    if place is not None:
        if random.random() < 0.5:
            del functions[place]
        else:
            functions[place].signature.name += "_elsewhere"


def _function_signature(random, proto):
    functions, place = _function(random, proto)
    if place is None:
        return
    function, kind = functions[place], random.randrange(6)
    if kind == 0 and function.signature.input_arg:
        del function.signature.input_arg[random.randrange(len(function.signature.input_arg))]
    elif kind == 1 and function.signature.output_arg:
        del function.signature.output_arg[random.randrange(len(function.signature.output_arg))]
    elif kind == 2 and function.ret:
        function.ret[random.choice(sorted(function.ret))] = random.choice(("", "nowhere:x:0", "x"))
    elif kind == 3 and function.ret:
        del function.ret[random.choice(sorted(function.ret))]
    elif kind == 4 and function.signature.input_arg:
        random.choice(function.signature.input_arg).type = random.choice(_TYPES)
    else:
        functions.add().CopyFrom(function)


def _recursion(random, proto):
    functions, place = _function(random, proto)
    if place is None:
        return
    name = functions[place].signature.name
    for function in functions:
        for node in function.node_def:
            for key in node.attr:
                if node.attr[key].HasField("func") and random.random() < 0.5:
                    node.attr[key].func.name = name


def _wrong_signature(random, proto):
    signatures = random.choice(proto.meta_graphs).signature_def
    if not signatures:
        return
    signature = signatures[random.choice(sorted(signatures))]
    side = random.choice((signature.inputs, signature.outputs))
    if not side:
        return
    key, kind = random.choice(sorted(side)), random.randrange(6)
    if kind == 0:
        del side[key]
    elif kind == 1:
        side[key].name = random.choice(("", "nowhere:0", "x", "x:7", "x:y", "^x", ":0", "x:0:0"))
    elif kind == 2:
        side[key].dtype = random.choice(_TYPES)
    elif kind == 3:
        side[key].tensor_shape.dim.add(size=random.choice(_SIZES))
    elif kind == 4:
        side[key].coo_sparse.values_tensor_name = "x:0"
    else:
        side["added"].CopyFrom(side[key])


def _objects(random, proto):
    objects = random.choice(proto.meta_graphs).object_graph_def
    if not objects.nodes:
        return
    node, kind = random.choice(objects.nodes), random.randrange(6)
    if kind == 0 and node.children:
        random.choice(node.children).node_id = random.choice((0, -1, 5, 10**6))
    elif kind == 1 and node.children:
        random.choice(node.children).local_name = random.choice(("", "signatures", "x"))
    elif kind == 2 and objects.concrete_functions:
        one = objects.concrete_functions[random.choice(sorted(objects.concrete_functions))]
        one.bound_inputs.append(random.choice((0, -1, 10**6)))
    elif kind == 3 and objects.concrete_functions:
        del objects.concrete_functions[random.choice(sorted(objects.concrete_functions))]
    elif kind == 4:
        node.ClearField(node.WhichOneof("kind") or "children")
    else:
        del objects.nodes[random.randrange(len(objects.nodes))]


def _meta(random, proto):
    meta_graph, kind = random.choice(proto.meta_graphs), random.randrange(6)
    if kind == 0:
        meta_graph.graph_def.versions.producer = random.choice(_NUMBERS[:6])
    elif kind == 1:
        meta_graph.graph_def.versions.min_consumer = random.choice(_NUMBERS[:6])
    elif kind == 2:
        meta_graph.meta_info_def.tags.append(random.choice(("serve", "", "gpu")))
    elif kind == 3:
        proto.meta_graphs.add().CopyFrom(meta_graph)
    elif kind == 4:
        meta_graph.saver_def.restore_op_name = "nowhere"
    else:
        for key in list(meta_graph.collection_def):
            meta_graph.collection_def[key].bytes_list.value.append(b"\xff\x00\x81")


_BYTES = {"bit flips": _bit_flips, "truncation": _truncation, "repeated part": _repeated_part}
_STRUCTURES = {
    "dropped node": _drop_node, "swapped inputs": _swap_inputs, "dropped input": _drop_input,
    "strange input": _strange_input, "cycle": _cycle, "duplicate name": _duplicate_name,
    "other op": _other_op, "wrong attribute": _wrong_attribute, "huge shape": _huge_shape,
    "constant content": _constant_content, "dangling function": _dangling_function,
    "function signature": _function_signature, "recursion": _recursion,
    "wrong signature": _wrong_signature, "objects": _objects, "meta": _meta}
