"""What a component of a queue or an iterator is called, read off the side that fills it."""

import dataclasses
import re

import tensorflow as tf

from ig_tf.model.edges import attribute, data_of
from ig_tf.model.feed_ops import SOURCES, is_fed_by_itself
from ig_tf.model.nodes import canonical, producer

_DEEP = 16
_WIDE = 200  # nodes looked at for one name
# Ops whose value comes in at one input; what else they read says how.
_MAIN_INPUT = {"Reshape": 0, "ExpandDims": 0, "Squeeze": 0, "SparseToDense": 2, "Tile": 0,
               "Slice": 0, "StridedSlice": 0, "Pad": 0, "PadV2": 0, "Transpose": 0, "Cast": 0,
               "DecodeRaw": 0, "Identity": 0, "ResizeBilinear": 0, "ResizeNearestNeighbor": 0,
               "ResizeBicubic": 0, "ResizeArea": 0, "CropAndResize": 0, "OneHot": 0,
               "StringToNumber": 0, "Switch": 0, "RefSwitch": 0}
# Names that TensorFlow gives by itself and that are no other spelling of the op's type.
_DEFAULTS = frozenset({
    "toint32", "toint64", "tofloat", "todouble", "stack", "unstack", "concat", "truediv", "div",
    "floordiv", "neg", "pow", "mul", "add", "sub", "read", "batch", "cond", "merge", "decodeimage",
    "maybebatch", "perimagestandardization", "dequeue", "resizeimages", "convertimage",
    "decodejpeg", "decodepng", "tensor", "zeroslike", "oneslike",
    "split", "where", "cast"})


@dataclasses.dataclass(frozen=True)
class Traced:
    """A name and where it comes from."""

    name: str
    how: str


def sanitised(text):
    """Letters, digits and _ only, not beginning with a digit."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")
    return name if name and not name[0].isdigit() else f"input_{name}".rstrip("_")


def unique(names, taken=()):
    """The same names, later ones numbered where they repeat or are taken."""
    used, result = set(taken), []
    for name in names:
        number, candidate = 1, name
        while candidate in used:
            candidate, number = f"{name}_{number}", number + 1
        used.add(candidate)
        result.append(candidate)
    return result


def own_name(node):
    """The last part of a node's name where somebody chose it, else None."""
    last = node.name.rpartition("/")[2]
    plain = re.sub(r"_\d+$", "", last).replace("_", "").lower()
    op = re.sub(r"V\d+$", "", node.op).lower()
    return None if plain in (op, node.op.lower()) or plain in _DEFAULTS else last


class GraphScope:
    """The top level of a graph, to trace in."""

    def __init__(self, edges, stores):
        self.edges = edges
        self.stores = stores

    def producer(self, value):
        """(node, output argument or None, index) of a data input, or None."""
        node = self.edges.node(value)
        return None if node is None else (node, None, int(canonical(value).rpartition(":")[2]))

    def inputs(self, node):
        return data_of(node)

    def filled_from(self, node, index):
        """Tensors that fill an output of a dequeue."""
        return [put.tensor for put in self.stores.put_in(node, index)]

    def constant(self, value):
        found = self.edges.node(self.edges.back(value))
        return _constant(found)


class BodyScope:
    """A function body, to trace in; its inputs are written NODE:OUTPUT:k, its arguments NAME."""

    def __init__(self, function):
        self.function = function
        self.nodes = {node.name: node for node in function.node_def}
        self.arguments = [argument.name for argument in function.signature.input_arg]

    def producer(self, value):
        head, _, rest = value.partition(":")
        output, _, index = rest.partition(":")
        node = self.nodes.get(head)
        return None if node is None else (node, output, int(index or 0))

    def inputs(self, node):
        return [value for value in node.input if not value.startswith("^")]

    def filled_from(self, node, index):
        return []

    def constant(self, value):
        return _constant(self.nodes.get(producer(value)))


def trace(scope, value):
    """Follows a value back to what names it.

    Args:
      scope: a `GraphScope` or a `BodyScope`.
      value: a data input, as the scope writes it.

    Returns:
      (a `Traced` or None, the argument of the body where the trail ends there, else None). A key
      of a parsed record or a placeholder names it before any node on the way does.
    """
    worker = _Trail(scope)
    keys = worker.keys(value, 0)
    if len({key.name for key in keys}) == 1:
        return keys[0], None
    arguments = set(worker.arguments)
    argument = arguments.pop() if not keys and len(arguments) == 1 else None
    return worker.named, argument


class _Trail:
    """State of one trace."""

    def __init__(self, scope):
        self.scope = scope
        self.seen = set()
        self.named = None  # the nearest node with a name of its own, before values are mixed
        self.mixed = False
        self.arguments = []

    def keys(self, value, depth):
        """Keys that the value was made of; what is constant counts for nothing."""
        if value in self.seen or depth > _DEEP or len(self.seen) > _WIDE:
            return []
        self.seen.add(value)
        found = self.scope.producer(value)
        if found is None:
            if value in getattr(self.scope, "arguments", ()):
                self.arguments.append(value)
            return []
        node, output, index = found
        key = self._key(node, output, index)
        if key is not None:
            return [key]
        if node.op in SOURCES:
            return [key for tensor in self.scope.filled_from(node, index)
                    for key in self.keys(tensor, depth + 1)]
        if node.op == "Const" or is_fed_by_itself(node):
            return []
        name = own_name(node)
        if name and self.named is None and not self.mixed:
            self.named = Traced(sanitised(name), f"node {node.name!r}")
        inputs = self.scope.inputs(node)
        main = _MAIN_INPUT.get(node.op)
        inputs = inputs[main:main + 1] if main is not None else inputs
        inputs = [one for one in inputs if not self._is_constant(one)]
        self.mixed = self.mixed or len(inputs) > 1
        return [key for one in inputs for key in self.keys(one, depth + 1)]

    def _is_constant(self, value):
        found = self.scope.producer(value)
        return found is not None and found[0].op == "Const"

    def _key(self, node, output, index):
        if node.op in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"):
            name = sanitised(node.name.rpartition("/")[2])
            return Traced(name, f"placeholder {node.name!r}")
        if node.op == "DecodeCSV":
            return Traced(f"column_{index}", f"column {index} of {node.name!r} (DecodeCSV)")
        if node.op in _READS and index < 2:
            part = _READS[node.op][index]
            return Traced(part, f"the {part} that a reader gives")
        if node.op in _LAYOUTS:
            key = _parsed(self.scope, node, output, index)
            return key and Traced(sanitised(key), f"parsed feature {key!r}")
        return None


_READS = dict.fromkeys(("ReaderRead", "ReaderReadV2", "ReaderReadUpTo", "ReaderReadUpToV2"),
                       ("key", "record"))


def _lists(node, attributes):
    """Keys that attributes hold."""
    return [[key.decode() for key in attribute(node, name).list.s] for name in attributes]


def _single(scope, node):
    return _lists(node, ("sparse_keys", "dense_keys"))


def _many(scope, node):
    """ParseExample: each key is a constant input of its own."""
    inputs, count = scope.inputs(node)[2:], attribute(node, "Nsparse").i
    keys = [_text(scope.constant(value)) for value in inputs]
    return keys[:count], keys[count:count + attribute(node, "Ndense").i]


def _second(scope, node):
    """ParseExampleV2: each kind has its keys in one constant."""
    return [_texts(scope.constant(value)) for value in scope.inputs(node)[2:5]]


def _single_sequence(scope, node):
    inputs, found = scope.inputs(node)[2:], []
    for count in ("Ncontext_sparse", "Ncontext_dense", "Nfeature_list_sparse",
                  "Nfeature_list_dense"):
        size = attribute(node, count).i
        found.append([_text(scope.constant(value)) for value in inputs[:size]])
        inputs = inputs[size:]
    return found


def _sequence(scope, node):
    return _lists(node, ("context_sparse_keys", "context_dense_keys", "feature_list_sparse_keys",
                         "feature_list_dense_keys"))


# {op: (where its keys are, its output arguments in order: (name, which list of keys))}.
_SPARSE = ("sparse_indices", "sparse_values", "sparse_shapes")
_FLAT = [*((name, 0) for name in _SPARSE), ("dense_values", 1)]
_SEQUENCE = [*((f"context_{name}", 0) for name in _SPARSE), ("context_dense_values", 1),
             *((f"feature_list_{name}", 2) for name in _SPARSE), ("feature_list_dense_values", 3)]
_LAYOUTS = {
    "ParseSingleExample": (_single, _FLAT),
    "ParseExample": (_many, _FLAT),
    "ParseExampleV2": (_second, [*_FLAT, ("ragged_values", 2), ("ragged_row_splits", 2)]),
    "ParseSingleSequenceExample": (_single_sequence, _SEQUENCE),
    "ParseSequenceExample": (_sequence, [*_SEQUENCE, ("feature_list_dense_lengths", 3)]),
}


def _parsed(scope, node, output, index):
    """The key of an output of a parsing op, or None."""
    keys_of, layout = _LAYOUTS[node.op]
    keys = keys_of(scope, node)
    for name, which in layout:
        listed = keys[which]
        if output is not None:  # inside a function outputs are written by argument
            if output == name:
                return listed[index] if index < len(listed) else None
        elif index < len(listed):
            return listed[index]
        else:
            index -= len(listed)
    return None


def _constant(node):
    if node is None or node.op != "Const":
        return None
    return tf.make_ndarray(attribute(node, "value").tensor)


def _text(array):
    return array.flat[0].decode() if array is not None and array.size else None


def _texts(array):
    return [key.decode() for key in array.flat] if array is not None else []
