"""Scalars that a graph needs and that are no data: keep_prob, is_training. Runs nothing.

Each is recognised by what the graph does with it, else by its name, and gets the value that it
has in inference; what is not recognised is left to the user.
"""

import dataclasses
import re

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from ig_tf.errors import SignatureError
from ig_tf.model.edges import Edges, attribute, data_of
from ig_tf.model.randomness import DRAWS, RANDOM, settled
from ig_tf.model.nodes import producer

PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
# What its name says, where the graph does not: (pattern of the last part, value, in words).
_NAMES = (
    (r"(dropout_?)?keep_?prob\w*|(dropout_?)?keep_?rate|retain_?prob\w*|prob_?keep", 1,
     "a probability to keep"),
    (r"drop(out)?_?(rate|ratio)|drop_?prob\w*|rate_?drop(out)?", 0, "a rate of dropout"),
    (r"(is_?|bn_?|batch_?norm_?)?train(ing)?(_?(mode|phase|flag))?|phase(_?train(ing)?)?|"
     r"(keras_?)?learning_?phase|is_?train_?mode|mode_?train", 0, "a switch for training"),
    (r"(is_?)?(inference|infer|predict(ing|ion)?|test(ing)?|eval(uation)?)(_?mode)?|deterministic",
     1, "a switch for inference"))
# Ops that only training runs.
_BATCH_STATISTICS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_STRING = tf.string.as_datatype_enum
# What scalars are used for beside other numbers: to scale, to compare, to choose a branch.
_SCALES = frozenset({"Mul", "RealDiv", "Div", "Add", "AddV2", "Sub", "GreaterEqual", "Greater",
                     "Less", "LessEqual", "Switch", "RefSwitch", "Merge", "Enter", "RefEnter",
                     "If", "StatelessIf", "While", "StatelessWhile", "Select", "SelectV2",
                     "ScalarSummary", "HistogramSummary", "NextIteration"})
_MASK_MOVES = ("Cast", "Identity", "Reshape", "ExpandDims", "Squeeze")


@dataclasses.dataclass(frozen=True)
class Fix:
    """A scalar placeholder that outputs need.

    Attributes:
      placeholder: name of its node.
      value: what it is in inference; None where that was not recognised.
      reason: a sentence: by what it was recognised, or how to say the value.
    """

    placeholder: str
    value: object
    reason: str

    def described(self):
        """As JSON-able data."""
        value = self.value.tolist() if hasattr(self.value, "tolist") else self.value
        return {"placeholder": self.placeholder, "value": value, "reason": self.reason}


def required(graph_def, outputs, given=()):
    """Scalars without a default that outputs need.

    Args:
      graph_def: a GraphDef; not changed.
      outputs: names of tensors.
      given: names of tensors that the caller feeds as data.

    Returns:
      `Fix`es, in the order of the graph. Of rank 0, or of unknown rank and used as a scalar.
    """
    edges = Edges(graph_def, given)
    path = set(edges.path(outputs))
    fixes = []
    for node in graph_def.node:
        if node.name not in path or node.op not in PLACEHOLDERS[:2]:
            continue
        shape = _shape(graph_def, node)
        if (shape.rank or 0) == 0 and f"{node.name}:0" not in edges.given:
            fix_ = _recognised(graph_def, node, outputs, given)
            if fix_ is None and shape.rank == 0 and attribute(node, "dtype").type != _STRING:
                fix_ = Fix(node.name, None, _unknown(node))
            if fix_ is not None:
                fixes.append(fix_)
    return tuple(fixes)


def fix(graph_def, values):
    """A copy in which placeholders are constants.

    Args:
      graph_def: a GraphDef; not changed.
      values: {name of a placeholder: number, bool, text of one, or array}.

    Raises:
      SignatureError: no such placeholder, or a value that does not fit its type or shape.
    """
    result = graph_pb2.GraphDef()
    result.CopyFrom(graph_def)
    nodes = {node.name: node for node in result.node}
    for name, value in values.items():
        node = nodes.get(producer(name))
        if node is None or node.op not in PLACEHOLDERS:
            listed = [one.name for one in result.node if one.op in PLACEHOLDERS]
            raise SignatureError(f"--fix={name}: no placeholder of that name; the graph has: "
                                 f"{', '.join(listed[:20]) or 'none'}.")
        constant = _constant(graph_def, node, value)
        node.CopyFrom(constant)
    return result


def parsed(wanted):
    """{placeholder: text} of PLACEHOLDER:VALUE,... ; a mapping is taken as it is.

    Raises:
      SignatureError: not of that form.
    """
    if isinstance(wanted, dict):
        return dict(wanted)
    found = {}
    for text in wanted.split(",") if isinstance(wanted, str) else wanted:
        name, _, value = text.strip().rpartition(":")
        if not name or not value:
            raise SignatureError(f"--fix={text!r} is not PLACEHOLDER:VALUE, for example "
                                 "--fix=keep_prob:1.0.")
        found[name] = value
    return found


def _shape(graph_def, node):
    """Before version 24 of graphs an unknown shape was written as that of a scalar."""
    shape = tf.TensorShape(attribute(node, "shape").shape) if "shape" in node.attr else (
        tf.TensorShape(None))
    return tf.TensorShape(None) if shape.rank == 0 and graph_def.versions.producer < 24 else shape


def _constant(graph_def, node, value):
    dtype, shape = tf.as_dtype(attribute(node, "dtype").type), _shape(graph_def, node)
    array = _array(node.name, value, dtype)
    if array.ndim == 0 and shape.rank and shape.is_fully_defined():
        array = np.full(shape.as_list(), array)
    if not shape.is_compatible_with(array.shape):
        raise SignatureError(f"--fix={node.name}: the placeholder has shape {shape}; the value has "
                             f"shape {list(array.shape)}.")
    constant = node_def_pb2.NodeDef(name=node.name, op="Const", device=node.device)
    constant.input.extend(one for one in node.input if one.startswith("^"))
    constant.attr["dtype"].type = dtype.as_datatype_enum
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array, dtype, array.shape))
    return constant


_BOOLS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def _array(name, value, dtype):
    """A value as an array of a type; a text is read as that type is written."""
    try:
        if dtype == tf.bool and isinstance(value, str):
            return np.array(_BOOLS[value.lower()])
        if dtype == tf.string:
            return np.array(value, object)
        if isinstance(value, str):
            value = float(value) if dtype.is_floating else int(value)
        array = np.array(value)
        cast = array.astype(dtype.as_numpy_dtype)
        if not dtype.is_floating and np.any(cast != array):
            raise ValueError("it would be rounded")
        return cast
    except (ValueError, TypeError, KeyError) as error:
        raise SignatureError(f"--fix={name}: {value!r} is no {dtype.name}: {error}.") from None


def _recognised(graph_def, node, outputs, given):
    """A `Fix` by what the graph does with a scalar, else by its name, else None."""
    dtype = tf.as_dtype(attribute(node, "dtype").type)
    if dtype == tf.string:
        return None
    known = _shape(graph_def, node).rank == 0
    worlds = {value: _World(graph_def, node.name, value, outputs, given) for value in (0, 1)}
    structure = None
    if known or _only_scales(worlds[1].edges, node.name):
        structure = _keeps_all(worlds) if dtype.is_floating else _no_training(worlds)
    if structure is not None:
        value, reason = structure
    else:
        last = node.name.rpartition("/")[2].lower()
        last = re.sub(r"_\d+$", "", last)
        row = next((row for row in _NAMES if re.fullmatch(row[0], last)), None)
        if row is None:
            return None
        value, reason = row[1], f"by its name: {row[2]}"
    typed = bool(value) if dtype == tf.bool else float(value) if dtype.is_floating else value
    return Fix(node.name, typed, f"{node.name} is set to {typed} for inference, recognised "
                                 f"{reason}")


class _World:
    """A graph in which one scalar is taken to have a value."""

    def __init__(self, graph_def, name, value, outputs, given):
        self.outputs = outputs
        self.edges = Edges(graph_def, given, {name: value})
        self.names = self.edges.path(outputs)

    def masks(self):
        """{random op: [(name of an op that no longer depends on it, what it gives)]}."""
        nodes = self.edges.nodes
        found = {name: settled(self.edges, nodes[name], self.names, self.outputs)
                 for name in self.names if nodes[name].op in DRAWS}
        return {name: ends for name, ends in found.items() if ends}

    def nodes(self):
        """{key: NodeDef} of all that is on the way, in functions too."""
        found = {}
        for name in self.names:
            node = self.edges.nodes[name]
            found[name] = node
            for body in self.edges.bodies(node):
                found.update({(name, body.signature.name, inner.name): inner
                              for inner in body.node_def})
        return found


def _only_scales(edges, name):
    """Whether nothing is done with a placeholder of unknown rank that only data is good for."""
    queue, seen = [name], set()
    while queue:
        for reader, _, _ in edges.consumers(queue.pop()):
            if reader.name in seen:
                continue
            seen.add(reader.name)
            if edges.value(f"{reader.name}:0") is not None:
                queue.append(reader.name)
            elif reader.op not in _SCALES:
                return False
    return True


def _keeps_all(worlds):
    """The value at which a dropout keeps everything, and how it was seen; None where none is."""
    masks = {value: world.masks() for value, world in worlds.items()}
    keeping = {}
    for value, found in masks.items():
        for random, ends in found.items():
            if ends == masks[1 - value].get(random):
                continue  # this scalar has nothing to do with it
            if all(_keeps(worlds[value].edges, name, number) for name, number in ends):
                keeping.setdefault(value, random)
    if len(keeping) != 1:
        return None
    (value, random), = keeping.items()
    kind = "noise" if "Normal" in worlds[value].edges.nodes[random].op else "dropout"
    effect = "adds nothing" if kind == "noise" else "keeps everything"
    return value, f"by the graph: with it the {kind} of {random!r} {effect}"


def _keeps(edges, name, number):
    """Whether a mask that is the same everywhere lets everything through."""
    op = edges.nodes[name].op
    if op == "Mul":
        return number == 0  # noise times nothing
    if op == "Floor":
        return number == 1
    queue = [name]
    while queue:
        current = queue.pop()
        for reader, position, _ in edges.consumers(current):
            if reader.op in ("Select", "SelectV2") and position == 0:
                dropped = data_of(reader)[1 if number else 2]
                if edges.value(dropped) == 0 or (edges.node(dropped) is not None and
                                                 edges.node(dropped).op == "ZerosLike"):
                    return False
            elif reader.op == "LogicalNot":
                number = not number
                queue.append(reader.name)
            elif reader.op == "Mul" and not number:
                return False
            elif reader.op in _MASK_MOVES:
                queue.append(reader.name)
    return True


def _no_training(worlds):
    """The value at which nothing runs that only training runs, and how it was seen."""
    nodes = {value: world.nodes() for value, world in worlds.items()}
    signs = {}
    for value in worlds:
        alone = [node for key, node in nodes[value].items() if key not in nodes[1 - value]]
        signs[value] = next((node for node in alone if _trains(node)), None)
    training = [value for value, node in signs.items() if node is not None]
    if len(training) != 1:
        return None
    node = signs[training[0]]
    return 1 - training[0], (f"by the graph: else it would run {node.name!r} ({node.op}), which "
                             "is of training")


def _trains(node):
    if node.op in _BATCH_STATISTICS:
        return attribute(node, "is_training").b if "is_training" in node.attr else True
    return node.op in RANDOM or node.op == "SquaredDifference"


def _unknown(node):
    dtype = tf.as_dtype(attribute(node, "dtype").type).name
    return (f"the outputs need {node.name!r}, a {dtype} scalar without default whose meaning is "
            f"not known: say its value with --fix={node.name}:VALUE, or make it an input with "
            f"--feed={node.name}")
