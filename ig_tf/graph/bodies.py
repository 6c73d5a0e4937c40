"""A part of a flat graph as a FunctionDef: bodies and conditions of loops, branches."""

import dataclasses

import tensorflow as tf
from tensorflow.core.framework import function_pb2

from ig_tf.graph import registry
from ig_tf.graph.edges import behind, has_effects, output_types
from ig_tf.model.nodes import data, producer, set_inputs

AttrValue = tf.compat.v1.AttrValue


@dataclasses.dataclass
class Region:
    """A part of a graph.

    Attributes:
      nodes: {name: NodeDef} of its own; inputs are written NODE:k.
      arguments: {name: type enum}; one is read as NAME:0.
      results: tensors that it gives, in order.
      ordered: control edges from nodes that must run too.
    """

    nodes: dict
    arguments: dict
    results: list
    ordered: list = dataclasses.field(default_factory=list)

    def type_of(self, tensor):
        name = producer(tensor)
        if name in self.arguments:
            return self.arguments[name]
        return output_types(self.nodes[name])[int(tensor.partition(":")[2] or 0)]

    def pruned(self):
        """Drops what leads to no result, and what only orders ops that nobody need order."""
        moved = effective(self.nodes)
        for node in self.nodes.values():
            ordered = [v for v in node.input if v[0] == "^" and producer(v) in moved]
            set_inputs(node, [*data(node), *dict.fromkeys(ordered)])
        self.ordered = [value for value in self.ordered if producer(value) in moved]
        needed = behind(self.nodes, [*self.results, *self.ordered])
        self.nodes = {name: node for name, node in self.nodes.items() if name in needed}
        return self

    @property
    def stateful(self):
        return any(registry.is_stateful(node.op) for node in self.nodes.values())


def effective(nodes):
    """Names of the nodes with effects, and of all that comes after them."""
    found, readers = {}, {}
    for node in nodes.values():
        for value in node.input:
            readers.setdefault(producer(value), []).append(node.name)
    queue = [node.name for node in nodes.values() if has_effects(node)]
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = None
            queue.extend(readers.get(name, ()))
    return found


def function_def(name, region):
    """The FunctionDef of a region; what has effects in it always runs."""
    function = function_pb2.FunctionDef()
    function.signature.name = name
    for argument, dtype in region.arguments.items():
        function.signature.input_arg.add(name=argument, type=dtype)
    outputs = {node.name: _output_names(node) for node in region.nodes.values()}
    for index, tensor in enumerate(region.results):
        result = f"result_{index}"
        function.signature.output_arg.add(name=result, type=region.type_of(tensor))
        function.ret[result] = _written(tensor, region.arguments, outputs)
    for node in region.nodes.values():
        copy = function.node_def.add()
        copy.CopyFrom(node)
        set_inputs(copy, [value if value[0] == "^" else _written(value, region.arguments, outputs)
                          for value in node.input])
        if has_effects(node):
            function.control_ret[node.name] = node.name
            function.signature.control_output.append(node.name)
    function.signature.is_stateful = region.stateful
    return function


def _output_names(node):
    """For each output of a node: its name in a FunctionDef."""
    offsets, count = registry.output_offsets(node)
    starts = sorted(offsets.items(), key=lambda item: item[1])
    ends = [start for _, start in starts[1:]] + [count]
    return [f"{node.name}:{output}:{index}" for (output, start), end in zip(starts, ends)
            for index in range(end - start)]


def _written(tensor, arguments, outputs):
    name, _, index = tensor.partition(":")
    return name if name in arguments else outputs[name][int(index or 0)]


def func(name):
    made = AttrValue()
    made.func.name = name
    return made


def types(values):
    return AttrValue(list=AttrValue.ListValue(type=values))


def shapes(values):
    return AttrValue(list=AttrValue.ListValue(shape=[shape.as_proto() for shape in values]))
