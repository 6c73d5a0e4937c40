"""Random ops on the way to outputs: which still draw, and which no longer matter. Runs nothing.

A dropout whose keep_prob is 1 draws numbers in [0, 1) and keeps everything whatever it draws:
floor(1 + r) is 1, r >= 0 is True. The same is asked of every random op: is what comes out of it
the same for all numbers that it can draw?
"""

import math

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from ig_tf.model.edges import PASSES, SHAPES, Edges, attribute, data_of
from ig_tf.model.nodes import canonical, producer

_UNIFORM, _ANY = (0.0, 1.0), (-math.inf, math.inf)  # [0, 1) and all numbers
_MOST = 100  # ops behind a random one that are looked at for constants
# {op: (numbers that it draws, which input is the shape of what is drawn)}.
DRAWS = {
    "RandomUniform": (_UNIFORM, 0), "StatelessRandomUniform": (_UNIFORM, 0),
    "StatelessRandomUniformV2": (_UNIFORM, 0), "StatefulUniform": (_UNIFORM, 2),
    "RandomStandardNormal": (_ANY, 0), "TruncatedNormal": (_ANY, 0),
    "StatelessRandomNormal": (_ANY, 0), "StatelessRandomNormalV2": (_ANY, 0),
    "StatelessTruncatedNormal": (_ANY, 0), "StatelessTruncatedNormalV2": (_ANY, 0),
    "StatefulStandardNormalV2": (_ANY, 2), "StatefulTruncatedNormal": (_ANY, 2)}
# Where the attribute with the type of that shape is not T.
_INDEX_TYPES = {
    "StatefulUniform": "shape_dtype", "StatefulStandardNormalV2": "shape_dtype",
    "StatefulTruncatedNormal": "shape_dtype", "StatelessRandomUniformV2": "Tshape",
    "StatelessRandomNormalV2": "Tshape", "StatelessTruncatedNormalV2": "Tshape"}
RANDOM = frozenset(DRAWS) | frozenset({
    "RandomUniformInt", "RandomShuffle", "RandomGamma", "RandomPoisson", "RandomPoissonV2",
    "Multinomial", "ParameterizedTruncatedNormal", "RandomCrop", "StatelessMultinomial",
    "StatelessRandomUniformInt", "StatelessRandomUniformIntV2", "StatelessRandomUniformFullInt",
    "StatelessRandomUniformFullIntV2", "StatelessRandomBinomial", "StatelessRandomGammaV2",
    "StatelessRandomGammaV3", "StatelessRandomPoisson", "StatelessParameterizedTruncatedNormal",
    "StatelessShuffle", "StatefulUniformInt", "StatefulUniformFullInt", "StatefulStandardNormal",
    "StatefulRandomBinomial", "SampleDistortedBoundingBox", "SampleDistortedBoundingBoxV2",
    "StatelessSampleDistortedBoundingBox", "UniformCandidateSampler",
    "LogUniformCandidateSampler", "LearnedUnigramCandidateSampler",
    "FixedUnigramCandidateSampler", "AllCandidateSampler", "ThreadUnsafeUnigramCandidateSampler"})
_ROUNDS = {  # op: (lower, upper, number) -> what it always gives, or None
    "GreaterEqual": lambda low, high, c: True if low >= c else False if high <= c else None,
    "Greater": lambda low, high, c: True if low > c else False if high <= c else None,
    "Less": lambda low, high, c: True if high <= c else False if low >= c else None,
    "LessEqual": lambda low, high, c: True if high <= c else False if low > c else None}
_TURNED = {"GreaterEqual": "LessEqual", "Greater": "Less", "Less": "Greater",
           "LessEqual": "GreaterEqual"}

# What they make of one number, they make of a tensor of it.
_ELEMENTWISE = frozenset({*_ROUNDS, "Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Floor", "Cast",
                          "Identity", "LogicalNot", "Switch", "Enter"})


def active_random(graph_def, outputs, given=()):
    """Names of random ops that change what outputs are, from one run to the next.

    Args:
      graph_def: a GraphDef; not changed.
      outputs: names of tensors.
      given: names of tensors that the caller feeds.

    Returns:
      Names, sorted. A random op in a branch that a constant condition never takes, one whose draw
      makes no difference (`settled`), and one of constant seed and shape are not among them. One
      inside a function is named NODE: FUNCTION/NODE.
    """
    edges = Edges(graph_def, given)
    path = edges.path(outputs)
    names = []
    for name in path:
        node = edges.nodes[name]
        if node.op in RANDOM and not _is_constant(edges, node) and (
                settled(edges, node, path, outputs) is None):
            names.append(name)
        for body in edges.bodies(node):
            names += [f"{name}: {body.signature.name}/{inner.name}"
                      for inner in body.node_def if inner.op in RANDOM]
    return tuple(sorted(set(names)))


def neutralise(graph_def, outputs, given=()):
    """A copy in which random ops that make no difference draw 0 every time.

    Returns:
      (GraphDef, names of what was changed); the same GraphDef where there are none. The outputs'
      values stay the same. Where all that reads the zeros broadcasts them, one zero stands for
      all, so that the shape that was drawn (often a batch size that Python had written down) is
      no longer needed.
    """
    edges = Edges(graph_def, given)
    path = edges.path(outputs)
    names = [name for name in path if edges.nodes[name].op in DRAWS
             and settled(edges, edges.nodes[name], path, outputs) is not None]
    if not names:
        return graph_def, ()
    stale = {reader for name in names for reader in _readers(edges, name)} | set(names)
    result = graph_pb2.GraphDef()
    result.CopyFrom(graph_def)
    added = []
    for node in result.node:
        if node.name in stale:
            node.attr.pop("_output_shapes", None)
        if node.name in names:
            added += _drawing_zero(node, edges)
    result.node.extend(added)
    return result, tuple(names)


def _readers(edges, name):
    """Names of nodes that depend on a node."""
    found, queue = set(), [name]
    while queue:
        for reader, _, _ in edges.consumers(queue.pop()):
            if reader.name not in found:
                found.add(reader.name)
                queue.append(reader.name)
    return found


def _drawing_zero(node, edges):
    """Makes a node zero, in place: one number, or its shape filled with an added constant."""
    controls = [value for value in node.input if value.startswith("^")]
    shape, index_type, dtype = data_of(node)[DRAWS[node.op][1]], _index_type(node), _dtype(node)
    frame = "^" + producer(shape)  # a constant inside a loop has to be told that it is there
    if _broadcasts(edges, node.name):
        _make_zero(node, dtype)
        node.input[:] = list(dict.fromkeys([frame, *controls]))
        return []
    zero = type(node)(name=node.name + "/zero", input=[frame])
    while zero.name in edges.nodes:
        zero.name += "_"
    _make_zero(zero, dtype)
    node.op = "Fill"
    node.input[:] = [shape, zero.name, *controls]
    node.attr.clear()
    node.attr["T"].type = dtype
    node.attr["index_type"].type = index_type
    return [zero]


def _make_zero(node, dtype):
    node.op = "Const"
    node.attr.clear()
    node.attr["dtype"].type = dtype
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0, tf.as_dtype(dtype), []))


def _broadcasts(edges, name):
    """Whether one number does as well as a tensor of equal ones, up to where a mask is applied."""
    queue, seen = [name], set()
    while queue:
        for reader, position, value in edges.consumers(queue.pop()):
            applied = reader.op in ("Mul", "RealDiv") and edges.value(
                data_of(reader)[1 - position]) is None
            if applied or reader.op == "SelectV2" or (reader.op == "Select" and position == 0):
                continue
            if reader.op not in _ELEMENTWISE:
                return False
            if reader.name not in seen:
                seen.add(reader.name)
                queue.append(reader.name)
    return True


def _dtype(node):
    return attribute(node, "dtype").type or tf.float32.as_datatype_enum


def _index_type(node):
    name = _INDEX_TYPES.get(node.op, "T")
    default = tf.int64 if name == "shape_dtype" else tf.int32
    return attribute(node, name).type or default.as_datatype_enum


def _is_constant(edges, node):
    """A random op without state, of constant seed and shape, gives the same every time."""
    names = edges.path([f"{node.name}:0"])
    return len(names) < _MOST and all(
        edges.nodes[name].op == "Const" or (data_of(edges.nodes[name]) and (
            edges.nodes[name].op not in RANDOM or edges.nodes[name].op.startswith("Stateless")))
        for name in names)


def settled(edges, node, path, outputs):
    """What becomes of a random op's numbers, whatever they are.

    Args:
      edges: `Edges`.
      node: the random op's node.
      path: names of the nodes that matter.
      outputs: names of tensors that are wanted.

    Returns:
      [(name of the op that no longer depends on them, the number it gives)], or None where
      something does depend on what is drawn.
    """
    if node.op not in DRAWS:
        return None
    inside, wanted = set(path), {canonical(value) for value in outputs}
    found, queue = [], [(f"{node.name}:0", DRAWS[node.op][0])]
    while queue:
        tensor, bounds = queue.pop()
        if tensor in wanted:
            return None
        for reader, position, value in edges.consumers(producer(tensor)):
            if value != tensor or reader.name not in inside or reader.op in SHAPES:
                continue
            after = _after(edges, reader, position, bounds)
            if after is None:
                return None
            if isinstance(after, tuple):
                count = 2 if "Switch" in reader.op else 1
                queue.extend((f"{reader.name}:{index}", after) for index in range(count))
            else:
                found.append((reader.name, after))
    return found


def _after(edges, reader, position, bounds):
    """What an op makes of numbers in [lower, upper): bounds, one number, or None if not known."""
    low, high = bounds
    if reader.op in PASSES or reader.op == "Cast":
        if position > 0 or (reader.op == "Cast" and not _is_floating(reader)):
            return None
        return bounds
    if reader.op == "Floor":
        return math.floor(low) if math.isfinite(low) and high <= math.floor(low) + 1 else None
    operands = data_of(reader)
    other = edges.value(operands[1 - position]) if len(operands) == 2 else None
    if other is None:
        return None
    if reader.op in _ROUNDS:
        compare = reader.op if position == 0 else _TURNED[reader.op]
        return _ROUNDS[compare](low, high, other)
    return _moved(reader.op, position, low, high, other)


def _moved(op, position, low, high, other):
    """The bounds behind a sum, a product or a quotient with a number; one that turns them is none.

    A product with 0 is 0.
    """
    if op in ("Add", "AddV2"):
        return low + other, high + other
    if op == "Sub" and position == 0:
        return low - other, high - other
    if op == "Mul" and other == 0:
        return 0.0
    if op == "Mul" and other > 0:
        return low * other, high * other
    if op in ("RealDiv", "Div") and position == 0 and other > 0:
        return low / other, high / other
    return None


def _is_floating(node):
    return tf.as_dtype(attribute(node, "DstT").type).is_floating
