"""Questions to a GraphDef: what makes a tensor, what reads it, what it always is. Runs nothing."""

import collections
import math
import operator

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2

from ig_tf.model.nodes import (canonical, data, function_names, library_of, needed_functions,
                                producer)

SWITCHES = ("Switch", "RefSwitch")
MERGES = ("Merge", "RefMerge")
# They hand on what they are given, as far as one number is concerned.
PASSES = frozenset({
    "Identity", "RefIdentity", "IdentityN", "Enter", "RefEnter", "Exit", "RefExit", "Switch",
    "RefSwitch", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot", "EnsureShape",
    "Reshape", "ExpandDims", "Squeeze", "BroadcastTo", "PlaceholderWithDefault"})
SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})
_NONE = attr_value_pb2.AttrValue()
_CONDITIONS = ("If", "StatelessIf")
_MOST = 4096  # elements of a constant that is looked at
_DEEP = 40  # ops behind each other that are computed
_TWO = {
    "Add": operator.add, "AddV2": operator.add, "Sub": operator.sub, "Mul": operator.mul,
    "RealDiv": operator.truediv, "Div": operator.truediv, "Maximum": max, "Minimum": min,
    "Pow": operator.pow, "Equal": operator.eq, "NotEqual": operator.ne,
    "Less": operator.lt, "LessEqual": operator.le, "Greater": operator.gt,
    "GreaterEqual": operator.ge, "LogicalAnd": lambda a, b: bool(a and b),
    "LogicalOr": lambda a, b: bool(a or b)}
_ONE = {"LogicalNot": operator.not_, "Neg": operator.neg, "Floor": math.floor, "Abs": abs,
        "Inv": lambda a: 1 / a, "Reciprocal": lambda a: 1 / a}


def data_of(node):
    """The data inputs of a node as NODE:k, in order."""
    return [canonical(value) for value in data(node)]


def attribute(node, name):
    """An attribute of a node, empty where there is none; to read it must not add it."""
    return node.attr[name] if name in node.attr else _NONE


class Edges:
    """A GraphDef to walk in, with some placeholders taken to be known.

    Attributes:
      nodes: {name: NodeDef}.
      functions: {name: FunctionDef} of the library.
      given: names of tensors that the caller feeds: what lies behind them does not matter.
      assumed: {node name: scalar} placeholders that are taken to have a value.
    """

    def __init__(self, graph_def, given=(), assumed=None):
        self.nodes = {node.name: node for node in graph_def.node}
        self.functions = library_of(graph_def)
        self.given = frozenset(canonical(value) for value in given)
        self.assumed = dict(assumed or {})
        self._consumers = None
        self._values = {}
        self._dead = None

    def node(self, tensor):
        """The node that makes a tensor, or None."""
        return self.nodes.get(producer(tensor))

    def consumers(self, name):
        """[(node, position among its data inputs, tensor)] that read outputs of a node."""
        if self._consumers is None:
            self._consumers = collections.defaultdict(list)
            for node in self.nodes.values():
                for position, value in enumerate(data_of(node)):
                    self._consumers[producer(value)].append((node, position, value))
        return self._consumers[name]

    def back(self, tensor, passes=PASSES):
        """The tensor that comes in where values are only handed on."""
        for _ in range(_DEEP):
            node = self.node(tensor)
            if node is None or node.op not in passes or not data_of(node):
                break
            tensor = data_of(node)[0]
        return tensor

    def path(self, tensors):
        """Names of nodes that tensors need by data edges, in order; branches not taken are out."""
        found, queue = {}, [canonical(value) for value in tensors]
        while queue:
            tensor = queue.pop()
            node = self.node(tensor)
            if node is None or tensor in self.given or self.is_dead(tensor):
                continue
            if node.name not in found:
                found[node.name] = None
                if node.name not in self.assumed:
                    queue.extend(self.read_by(node))
        return list(found)

    def read_by(self, node):
        """The data inputs of a node; of a constant condition those that its branch reads."""
        inputs = data_of(node)
        bodies = self._called(node) if node.op in _CONDITIONS else ()
        if len(bodies) != 1 or bodies[0] not in self.functions:
            return inputs
        body = self.functions[bodies[0]]
        read = {producer(value) for inner in body.node_def for value in inner.input}
        read.update(producer(value) for value in body.ret.values())
        return inputs[:1] + [value for value, argument in zip(
            inputs[1:], body.signature.input_arg) if argument.name in read]

    def bodies(self, node):
        """FunctionDefs that a node may run, those that they call included."""
        called = {name: self.functions[name] for name in self._called(node)
                  if name in self.functions}
        nodes = [inner for function in called.values() for inner in function.node_def]
        return list({**called, **needed_functions(nodes, self.functions)}.values())

    def _called(self, node):
        if node.op in _CONDITIONS and data_of(node):
            taken = self.value(data_of(node)[0])
            if taken is not None:
                return [attribute(node, "then_branch" if taken else "else_branch").func.name]
        return function_names(node)

    def is_dead(self, tensor):
        """Whether a tensor stands in a branch (Switch, Merge) that is never taken."""
        if self._dead is None:
            self._dead = self._dead_branches()
        return tensor in self._dead or producer(tensor) in self._dead

    def value(self, tensor, depth=0):
        """The number or bool that a tensor (all elements of it) always is, or None."""
        tensor = canonical(tensor)
        if tensor not in self._values:
            self._values[tensor] = None  # what depends on itself is not known
            self._values[tensor] = self._computed(tensor, depth)
        return self._values[tensor]

    def _computed(self, tensor, depth):
        node = self.node(tensor)
        if node is None or depth > _DEEP:
            return None
        if node.name in self.assumed:
            return self.assumed[node.name]
        if tensor in self.given:
            return None
        if node.op == "Const":
            return _uniform(node)
        inputs = data_of(node)
        if node.op in PASSES and inputs:
            return self.value(inputs[int(tensor.rpartition(":")[2])] if node.op == "IdentityN"
                              else inputs[0], depth + 1)
        if node.op == "Fill":
            return self.value(inputs[1], depth + 1)
        if node.op == "Cast":
            value = self.value(inputs[0], depth + 1)
            return None if value is None else tf.as_dtype(
                attribute(node, "DstT").type).as_numpy_dtype(value).item()
        operands = [self.value(value, depth + 1) for value in inputs]
        if None in operands:
            return None
        try:
            if node.op in _TWO and len(operands) == 2:
                return _TWO[node.op](*operands)
            if node.op in _ONE and len(operands) == 1:
                return _ONE[node.op](*operands)
        except (ArithmeticError, ValueError, TypeError):
            pass
        return None

    def _dead_branches(self):
        """Names of nodes and of outputs of Switch that are never computed."""
        dead = set()
        for node in self.nodes.values():
            if node.op in SWITCHES:
                taken = self.value(data_of(node)[1])
                if taken is not None:
                    dead.add(f"{node.name}:{0 if taken else 1}")
        if not dead:
            return dead
        after = collections.defaultdict(list)
        for node in self.nodes.values():
            for value in node.input:
                after[producer(value)].append(node)
        queue = [producer(tensor) for tensor in dead]
        while queue:
            for node in after[queue.pop()]:
                if node.name not in dead and _starved(node, dead):
                    dead.add(node.name)
                    queue.append(node.name)
        return dead


def _starved(node, dead):
    """Whether a node waits for what never comes; a Merge needs one of its inputs only."""
    gone = [producer(value) in dead or not value.startswith("^") and canonical(value) in dead
            for value in node.input]
    if node.op in MERGES:
        return all(lost for lost, value in zip(gone, node.input) if not value.startswith("^"))
    return any(gone)


def _uniform(node):
    """The one number of which a constant consists, or None."""
    proto = attribute(node, "value").tensor
    if proto.dtype == tf.string.as_datatype_enum or (
            math.prod(dim.size for dim in proto.tensor_shape.dim) > _MOST):
        return None
    array = tf.make_ndarray(proto)
    if array.dtype.kind not in "biuf" and proto.dtype not in (tf.bfloat16.as_datatype_enum,):
        return None
    if not array.size or not np.all(array == array.flat[0]):
        return None
    return array.flat[0].item()
