"""The two functions of a loop's While: its condition and its body."""

import dataclasses
import re

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import node_def_pb2

from ig_tf.graph import branches
from ig_tf.graph.bodies import Region, func, function_def, shapes, types
from ig_tf.graph.edges import attribute, has_effects
from ig_tf.graph.frames import ENTERS, NotStructured
from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import controls, data, producer, set_inputs

SMALL = 4096  # bytes of a constant that a body has of its own: axes and shapes stay known
# A functional loop of TensorFlow starts with these two: its gradient counts the turns by them.
TURN, MOST_TURNS = "ig_tf_turn", "ig_tf_most_turns"
_INT32 = tf.int32.as_datatype_enum
_RESOURCE = tf.resource.as_datatype_enum


@dataclasses.dataclass(frozen=True)
class Made:
    """What stands for a loop.

    Attributes:
      nodes: NodeDefs outside of it; the While is the last.
      functions: {name: FunctionDef}.
    """

    nodes: tuple
    functions: dict

    def output(self, number):
        """The tensor that is a loop variable after the last turn."""
        return f"{self.nodes[-1].name}:{number + 2}"


def build(loop, frame, nodes, known, taken):
    """Makes the functions and the While of a loop; nothing is changed.

    Args:
      loop: a `Loop`.
      frame: its `Frame`.
      nodes: {name: NodeDef} of the graph.
      known: {tensor: TensorShape}.
      taken: names of functions that exist.

    Raises:
      NotStructured: something in it cannot stand in a function.
    """
    captures = _Captures(loop, frame, nodes)
    condition = _region(loop, frame, nodes, captures, data(nodes[loop.condition]), [])
    body = _region(loop, frame, nodes, captures,
                   [data(nodes[variable.following])[0] for variable in loop.variables],
                   [value for variable in loop.variables
                    for value in controls(nodes[variable.following])])
    for name in condition.nodes:
        if name in body.nodes and has_effects(nodes[name]):
            raise NotStructured(f"condition and body both need {nodes[name].op} {name!r}")
    arguments = {TURN: _INT32, MOST_TURNS: _INT32}
    arguments.update({_argument(k): nodes[v.merge].attr["T"].type
                      for k, v in enumerate(loop.variables)})
    arguments.update(captures.types)
    _count(body, captures)
    word, functions = _free_name(loop.name, taken), {}
    for region, kind in ((condition, "cond"), (body, "body")):
        region.arguments = arguments
        more = []
        branches.raise_all(region, known, f"{word}_{kind}", more)
        more.append(function_def(f"{word}_{kind}", region.pruned()))
        functions.update({function.signature.name: function for function in more})
    outside = _while(loop, frame, nodes, known, captures, arguments, word)
    if condition.stateful or body.stateful:
        outside[-1].op = "While"
    return Made(tuple(outside), functions)


def _argument(number):
    return f"ig_tf_variable_{number}"


class _Captures:
    """What does not change in a loop: constants of its own, or arguments.

    Attributes:
      tensors: {argument: tensor outside}.
      types: {argument: type enum}.
      likeness: {argument: tensor inside that has its shape}.
      nodes: nodes to be added outside.
    """

    def __init__(self, loop, frame, nodes):
        self.loop = loop
        self.source = nodes
        self.tensors, self.types, self.likeness, self.nodes = {}, {}, {}, []
        self.written = any(has_effects(nodes[name]) for name in frame.nodes)

    def constant(self, name):
        """The small Const behind a constant Enter, or None."""
        node = self.source[producer(data(self.source[name])[0])]
        small = node.op == "Const" and node.attr["value"].tensor.ByteSize() <= SMALL
        return node if small else None

    def argument(self, enter):
        """The argument that stands for a constant Enter."""
        node = self.source[enter]
        return self._given(data(node)[0], node.attr["T"].type, f"{enter}:0")

    def variable_read(self, name):
        """The argument for the value of a variable that the loop reads and never writes."""
        node = self.source[name]
        if node.op != "ReadVariableOp" or self.written or producer(
                data(node)[0]) not in self.loop.captures:
            return None
        handle = data(self.source[producer(data(node)[0])])[0]
        read = node_def_pb2.NodeDef()
        read.CopyFrom(node)
        read.name = f"{SCOPE}raised/{name}"
        set_inputs(read, [handle])
        if all(other.name != read.name for other in self.nodes):
            self.nodes.append(read)
        return self._given(f"{read.name}:0", node.attr["dtype"].type, f"{name}:0")

    def _given(self, tensor, dtype, like):
        for argument, other in self.tensors.items():
            if other == tensor:
                return argument
        argument = f"ig_tf_captured_{len(self.tensors)}"
        self.tensors[argument], self.types[argument] = tensor, dtype
        self.likeness[argument] = like
        return argument


def _region(loop, frame, nodes, captures, results, ordered):
    """What leads from the loop variables and captures to some tensors of the frame."""
    inside = {}
    for number, variable in enumerate(loop.variables):
        for value in (f"{variable.merge}:0", *(f"{name}:1" for name in variable.switches)):
            inside[value] = f"{_argument(number)}:0"
    turning = {loop.condition, *(producer(value) for value in inside)}
    copies, queue = {}, []

    def here(value):
        name = producer(value)
        if value in inside:
            return inside[value]
        argument = captures.variable_read(name)
        if argument is None and name in loop.captures and captures.constant(name) is None:
            argument = captures.argument(name)
        if argument is not None:
            return f"{argument}:0"
        queue.append(name)
        return value

    def waits(values):
        """Edges inside; the whole loop waits for what stands outside."""
        kept = [value for value in values if producer(value) in frame.nodes - turning
                and nodes[producer(value)].op not in ENTERS]
        queue.extend(producer(value) for value in kept)
        return kept

    found, waiting = [here(value) for value in results], waits(ordered)
    while queue:
        name = queue.pop()
        if name in copies:
            continue
        node = copies[name] = node_def_pb2.NodeDef()
        constant = name in loop.captures
        node.CopyFrom(captures.constant(name) if constant else nodes[name])
        node.name = name
        set_inputs(node, [] if constant else [here(value) for value in data(node)] + waits(
            controls(node)))
    return Region({name: copies[name] for name in nodes if name in copies}, {}, found, waiting)


def _count(body, captures):
    """The turn's number goes up; what was captured stays."""
    one = _constant(f"{SCOPE}raised/one", 1)
    add = node_def_pb2.NodeDef(name=f"{SCOPE}raised/next", op="AddV2",
                               input=[f"{TURN}:0", f"{one.name}:0"])
    add.attr["T"].type = _INT32
    body.nodes.update({one.name: one, add.name: add})
    body.results[:] = [f"{add.name}:0", f"{MOST_TURNS}:0", *body.results,
                       *(f"{argument}:0" for argument in captures.tensors)]


def _while(loop, frame, nodes, known, captures, arguments, word):
    """The While and the nodes that it needs, outside."""
    name = f"{SCOPE}raised/{loop.name}"
    while name in nodes:
        name += "_"
    start, most = _constant(f"{name}/turn", 0), _constant(f"{name}/most_turns", -1)
    node = node_def_pb2.NodeDef(name=name, op="StatelessWhile")
    entering = [data(nodes[variable.enter])[0] for variable in loop.variables]
    before = sorted({value for inner in frame.nodes for value in controls(nodes[inner])
                     if producer(value) not in frame.nodes})
    for enter in loop.captures:
        constant = captures.constant(enter)
        before.extend(controls(constant) if constant is not None else ())
    set_inputs(node, [f"{start.name}:0", f"{most.name}:0", *entering, *captures.tensors.values(),
                      *dict.fromkeys(before)])
    node.attr["T"].CopyFrom(types(arguments.values()))
    node.attr["cond"].CopyFrom(func(f"{word}_cond"))
    node.attr["body"].CopyFrom(func(f"{word}_body"))
    scalar = tf.TensorShape([])
    node.attr["output_shapes"].CopyFrom(shapes(
        [scalar, scalar, *(known[f"{variable.merge}:0"] for variable in loop.variables),
         *(known[like] for like in captures.likeness.values())]))
    turns = nodes[(loop.variables[0].enter if loop.variables else loop.captures[0])]
    node.attr["parallel_iterations"].i = attribute(turns, "parallel_iterations").i
    node.attr["_lower_using_switch_merge"].b = True
    return [*captures.nodes, start, most, node]


def _constant(name, value):
    node = node_def_pb2.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = _INT32
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.int32(value)))
    return node


def _free_name(name, taken):
    word = "raised_" + re.sub("[^A-Za-z0-9_]+", "_", name)
    number, found = 1, word
    while f"{found}_body" in taken:
        number += 1
        found = f"{word}_{number}"
    return found
