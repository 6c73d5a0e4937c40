"""Function calls on the way to a tensor, replaced by the bodies that they call.

A TF2 model is one call node for who reads its top level; a lookup or a parsed feature is visible
only inside the functions. `inline` reads a GraphDef and writes another: nothing is executed and
the original is not touched. While, If and Case stay functional.
"""

import dataclasses

from tensorflow.core.framework import graph_pb2, node_def_pb2

from ig_tf.errors import GraphError
from ig_tf.graph import registry
from ig_tf.graph.edges import has_effects, in_order
from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import library_of, needed_functions

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
MAX_DEPTH = 64  # nested calls; a model that goes deeper calls itself
# Attributes that speak of the graph a node came from. They are wrong in any other.
STALE_ATTRIBUTES = ("_output_shapes", "_class")


@dataclasses.dataclass(frozen=True)
class FlatGraph:
    """A GraphDef without calls on the way to the fetched tensors.

    Attributes:
      graph_def: the nodes that lead to the fetches, and the library that they still need.
      originals: names of the nodes that stand in the source's top level too; each computes the
        same value there.
      tensors: {name of a call's output in the source: name of the tensor here}.
      frames: {name of an inlined node: the function it came from}.
    """

    graph_def: object
    originals: frozenset
    tensors: dict
    frames: dict


def inline(graph_def, fetches):
    """Copies what leads to `fetches`, with every call on the way replaced by its body.

    Args:
      graph_def: a GraphDef with its function library. Not changed.
      fetches: names of tensors ("node:0") of its top level.

    Returns:
      A `FlatGraph`. Inlined nodes are named ig_tf/inlined/CALL/NODE.

    Raises:
      GraphError: a dangling input or function, recursion, or an unknown op in a body.
    """
    worker = _Inliner(graph_def)
    try:
        for fetch in fetches:
            worker.tensor(fetch)
        worker.run()
    except RecursionError:
        raise GraphError("calls of functions feed each other in a cycle, or in a chain that is "
                         "too long to follow.") from None
    return worker.result()


class _Inliner:
    """State of one inlining: what is done, what is still to be visited."""

    def __init__(self, graph_def):
        self.source = graph_def
        self.top = {node.name: node for node in graph_def.node}
        self.functions = library_of(graph_def)
        self.done = {}  # name -> NodeDef in the result
        self.originals = set()
        self.tensors = {}  # call output -> replacement tensor
        self.calls = {}  # call node name -> name of its "done" node
        self.effects = {}  # call node name -> control edges from what it does besides computing
        self.frames = {}
        self.queue = []

    def run(self):
        while self.queue:
            self._visit(self.queue.pop())

    def result(self):
        flat = graph_pb2.GraphDef()
        flat.versions.CopyFrom(self.source.versions)
        order = [node.name for node in self.source.node if node.name in self.done]
        order += [name for name in self.done if name not in self.top]
        flat.node.extend(self.done[name] for name in order)
        for name in sorted(needed_functions(flat.node, self.functions)):
            flat.library.function.add().CopyFrom(self.functions[name])
        for gradient in self.source.library.gradient:
            if gradient.function_name in self.functions:
                flat.library.gradient.add().CopyFrom(gradient)
        return FlatGraph(flat, frozenset(self.originals), dict(self.tensors), dict(self.frames))

    def tensor(self, name):
        """The tensor here that stands for one of the top level; asks for what leads to it."""
        node_name, _, index = name.partition(":")
        node = self.top.get(node_name)
        if node is None:
            raise GraphError(f"the graph has no node {node_name!r} (asked for tensor {name!r}).")
        if self._callee(node) is None:
            if node_name not in self.originals:
                self.originals.add(node_name)
                self.queue.append(node_name)
            return _canonical(node_name, index)
        self._expand_top(node)
        full = f"{node_name}:{index or 0}"
        if full not in self.tensors:
            raise GraphError(f"call {node_name!r} has no output {index or 0}.")
        return self.tensors[full]

    def _visit(self, name):
        copy = _cleaned(self.top[name])
        inputs = [self._input(value) for value in copy.input]
        del copy.input[:]
        copy.input.extend(inputs)
        self.done[name] = copy

    def _input(self, value):
        if not value.startswith("^"):
            return self.tensor(value)
        node = self.top.get(value[1:])
        if node is None:
            raise GraphError(f"control edge from a node that is not there: {value[1:]!r}.")
        if self._callee(node) is None:
            self.tensor(node.name)
            return value
        self._expand_top(node)
        return "^" + self.calls[node.name]

    def _callee(self, node):
        if node.op in CALLS:
            return node.attr["f"].func.name
        return node.op if node.op in self.functions else None

    def _expand_top(self, node):
        if node.name in self.calls:
            return
        data = [self.tensor(i) for i in node.input if not i.startswith("^")]
        control = [self._input(i) for i in node.input if i.startswith("^")]
        self._expand(node, SCOPE + "inlined/" + node.name, node.name, data, control, ())

    def _expand(self, call, prefix, key, data, control, stack):
        """Writes the body of a call under `prefix`; records the outputs of the call under `key`."""
        callee = self._callee(call)
        function = self.functions.get(callee)
        if function is None:
            raise GraphError(f"call {key!r} of a function that is not in the library: {callee!r}.")
        if callee in stack or len(stack) >= MAX_DEPTH:
            raise GraphError(f"function {callee!r} calls itself, or calls nest too deep: "
                             f"{' -> '.join(stack[-4:] + (callee,))}.")
        body = _Body(self, function, prefix, data, dict(call.attr), stack + (callee,))
        body.write(control)
        effects = self.effects[key] = body.side_effects()
        for index, argument in enumerate(function.signature.output_arg):
            tensor = body.tensor(function.ret[argument.name])
            if effects:
                tensor = self._after(f"{prefix}/output_{index}", tensor, effects,
                                     body.argument_type(argument))
            self.tensors[f"{key}:{index}"] = tensor
        done = node_def_pb2.NodeDef(name=f"{prefix}/done", op="NoOp", input=body.finished())
        self.done[done.name] = done
        self.calls[key] = done.name

    def _after(self, name, tensor, effects, dtype):
        """The same value, once the side effects of its function have happened."""
        node = node_def_pb2.NodeDef(name=name, op="Identity", input=[tensor] + effects)
        node.attr["T"].type = dtype
        self.done[name] = node
        return name + ":0"


class _Body:
    """One function body being written out under a prefix."""

    def __init__(self, worker, function, prefix, data, attributes, stack):
        self.worker = worker
        self.function = function
        self.prefix = prefix
        self.attributes = attributes
        self.stack = stack
        arguments = [argument.name for argument in function.signature.input_arg]
        if len(arguments) != len(data):
            raise GraphError(f"call of {function.signature.name!r} with {len(data)} inputs; "
                             f"it takes {len(arguments)}.")
        self.arguments = dict(zip(arguments, data))
        self.nodes = {node.name: node for node in function.node_def}
        self.offsets = {}

    def write(self, control):
        for name in in_order(self.nodes, f"function {self.function.signature.name!r}"):
            node = self._instantiated(self.nodes[name])
            inputs = [self._input(value) for value in node.input]
            called = self.worker._callee(node) is not None
            if control and node.op != "Const" and (
                    not inputs or called or registry.is_stateful(node.op)):
                inputs = list(dict.fromkeys([*inputs, *control]))
            name = f"{self.prefix}/{node.name}"
            if called:
                data = [i for i in inputs if not i.startswith("^")]
                after = [i for i in inputs if i.startswith("^")]
                self.worker._expand(node, name, name, data, after, self.stack)
                continue
            copy = _cleaned(node)
            copy.name = name
            del copy.input[:]
            copy.input.extend(inputs)
            self.worker.done[name] = copy
            self.worker.frames[name] = self.function.signature.name

    def tensor(self, value):
        """A FunctionDef input ("argument", "node:output:index") as a tensor of the result."""
        head, _, rest = value.partition(":")
        if head in self.arguments:
            return self.arguments[head]
        node = self.nodes.get(head)
        if node is None:
            raise GraphError(f"function {self.function.signature.name!r} reads {value!r}, "
                             "which is neither an argument nor a node of it.")
        output, _, index = rest.partition(":")
        if self.worker._callee(node) is not None:
            position = self._call_output(node, output, index)
            full = f"{self.prefix}/{head}:{position}"
            if full not in self.worker.tensors:
                raise GraphError(f"function {self.function.signature.name!r} reads {value!r}, "
                                 "which the function that is called there does not give.")
            return self.worker.tensors[full]
        if head not in self.offsets:
            self.offsets[head] = registry.output_offsets(self._instantiated(node))[0]
        if output not in self.offsets[head]:
            raise GraphError(f"op {node.op} of node {head!r} has no output {output!r}.")
        return f"{self.prefix}/{head}:{self.offsets[head][output] + int(index or 0)}"

    def _call_output(self, node, output, index):
        if node.op in CALLS:  # one output argument, a list
            return int(index or 0)
        callee = self.worker.functions[node.op]
        names = [argument.name for argument in callee.signature.output_arg]
        return names.index(output) if output in names else len(names)

    def side_effects(self):
        """Control edges from what the function does besides computing its outputs."""
        found = []
        for name in sorted(set(self.function.control_ret.values())):
            node = self.nodes.get(name)
            if node is None:
                continue
            if self.worker._callee(node) is not None:
                found.extend(self.worker.effects[f"{self.prefix}/{name}"])
            elif has_effects(node):
                found.append(f"^{self.prefix}/{name}")
        return sorted(set(found))

    def finished(self):
        """Control edges that wait for all that the function must run, its reads too."""
        names = sorted(name for name in set(self.function.control_ret.values())
                       if name in self.nodes)
        return [self._input("^" + name) for name in names]

    def argument_type(self, argument):
        return argument.type or self.attributes[argument.type_attr].type

    def _input(self, value):
        if not value.startswith("^"):
            return self.tensor(value)
        name = f"{self.prefix}/{value[1:]}"
        return "^" + self.worker.calls.get(name, name)

    def _instantiated(self, node):
        """Attributes that the caller decides ($T of an old Defun) get the caller's values."""
        if not any(value.placeholder for value in node.attr.values()):
            return node
        copy = type(node)()
        copy.CopyFrom(node)
        for value in copy.attr.values():
            if value.placeholder:
                value.CopyFrom(self.attributes[value.placeholder])
        return copy


def _cleaned(node):
    copy = type(node)()
    copy.CopyFrom(node)
    for name in STALE_ATTRIBUTES:
        if name in copy.attr:
            del copy.attr[name]
    return copy


def _canonical(node_name, index):
    return f"{node_name}:{index or 0}"
