"""Serialized tf.Examples out of columns, by what the model's own graph parses them with."""

import collections
import dataclasses
import math
import os

import numpy as np

from ig_tf.errors import RecordError

_SINGLE, _FIRST, _SECOND = "ParseSingleExample", "ParseExample", "ParseExampleV2"
PARSERS = (_FIRST, _SECOND, _SINGLE)
_PASSING = ("Identity", "IdentityN", "Reshape", "ExpandDims", "Squeeze", "StopGradient",
            "PlaceholderWithDefault", "EnsureShape")


class Built(bytes):
    """A serialized tf.Example that was built here, and not sent."""


@dataclasses.dataclass(frozen=True)
class Feature:
    """One feature that the graph parses.

    Attributes:
      key: its name.
      dtype: "string", "int64" or "float32".
      shape: of its values, -1 for any number; None where any number of values is fine.
      needed: whether an example has to have it: it is dense, and has no default.
    """

    key: str
    dtype: str
    shape: tuple | None
    needed: bool


@dataclasses.dataclass(frozen=True)
class Spec:
    """What an input of serialized tf.Examples is parsed with.

    Attributes:
      features: each `Feature`.
    """

    features: tuple

    def example(self, values, where):
        """A record's columns, serialized.

        Args:
          values: {column: value}. None, and in a number's place an empty text, is no value.
          where: for messages, for example "record 3".

        Raises:
          RecordError: a column is missing whose feature has no default, or does not fit.
        """
        from tensorflow.core.example import example_pb2
        found = example_pb2.Example()
        for feature in self.features:
            given = _given(values.get(feature.key), feature)
            if given is not None:
                _fill(found.features.feature[feature.key], given, feature,
                      f"{where}, column {feature.key!r}")
            elif feature.needed:
                raise RecordError(f"{where} has no value of {feature.key!r}, a feature without "
                                  "default of the examples that the model parses; it has "
                                  f"{_names(values)}.")
        if self.features and not found.features.feature:
            raise RecordError(f"{where} has none of the features that the model parses from its "
                              f"examples ({_names(one.key for one in self.features)}); it has "
                              f"{_names(values)}.")
        return Built(found.SerializeToString(deterministic=True))


def _names(names):
    return ", ".join(map(repr, map(str, names))) or "nothing"


def _given(value, feature):
    """A flat list of values, or None: nothing was given."""
    if value is None or isinstance(value, str) and not value and feature.dtype != "string":
        return None
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return [value]
    while any(isinstance(one, (list, tuple)) for one in value):
        value = [one for part in value for one in (
            part if isinstance(part, (list, tuple)) else [part])]
    return list(value)


def _fill(message, given, feature, where):
    size = None if feature.shape is None else math.prod(feature.shape)
    if size is not None and (size >= 0 and len(given) != size or
                             size < 0 and len(given) % -size):
        shape = ["?" if one < 0 else str(one) for one in feature.shape]
        raise RecordError(f"{where}: found {len(given)} values; the model parses "
                          f"[{', '.join(shape)}].")
    to, kind = _KINDS[feature.dtype]
    try:
        getattr(message, kind).value.extend([to(one) for one in given])
    except (TypeError, ValueError, OverflowError) as error:
        short = repr(given if len(given) != 1 else given[0])[:60]
        raise RecordError(f"{where}: {short} is no {feature.dtype}: {error}") from error


def _bytes(value):
    if isinstance(value, (bytes, np.bytes_)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8")
    raise TypeError(f"expected text or bytes, found {type(value).__name__}")


def _integer(value):
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not whole")
    return int(value)


_KINDS = {"string": (_bytes, "bytes_list"), "int64": (_integer, "int64_list"),
          "float32": (float, "float_list")}


def spec_of(path, signature, name):
    """The `Spec` of a signature's input, or None: nothing parses tf.Examples from it.

    Args:
      path: directory of a SavedModel.
      signature: its key.
      name: of the input.

    Raises:
      RecordError: its parsers do not agree, or their keys are no constants.
    """
    from tensorflow.core.protobuf import saved_model_pb2
    saved = saved_model_pb2.SavedModel()
    with open(os.path.join(path, "saved_model.pb"), "rb") as file:
        saved.ParseFromString(file.read())
    meta_graph = next((one for one in saved.meta_graphs if signature in one.signature_def), None)
    tensor = "" if meta_graph is None else meta_graph.signature_def[signature].inputs[name].name
    if not tensor:
        return None
    bodies = _Bodies(meta_graph.graph_def)
    found = bodies.parsers_of(tensor.partition(":")[0])
    specs = {_spec(body, node) for body, node in found}
    if len(specs) > 1:
        raise RecordError(f"input {name!r}: {len(specs)} ops parse its examples, each other "
                          "features; columns do not say which they are: send tf.Examples.")
    return next(iter(specs), None)


class _Body:
    """Nodes of the graph, or of a function."""

    def __init__(self, nodes, arguments=()):
        self.nodes = {node.name: node for node in nodes}
        self.arguments = arguments
        self.readers = collections.defaultdict(list)
        for node in nodes:
            for place, source in enumerate(node.input):
                if not source.startswith("^"):
                    self.readers[source.partition(":")[0]].append((place, node))

    def source(self, node, place):
        """The node that an input comes from, or None: from outside."""
        return self.nodes.get(node.input[place].partition(":")[0])


class _Bodies:
    """All bodies of a SavedModel's graph."""

    def __init__(self, graph):
        self._graph = _Body(graph.node)
        self._functions = {one.signature.name: _Body(
            one.node_def, [arg.name for arg in one.signature.input_arg])
            for one in graph.library.function}

    def parsers_of(self, name):
        """[(body, node)] of what parses a placeholder: straight from it; else of all there are."""
        waiting, seen, found = [(self._graph, name)], set(), []
        while waiting:
            body, source = waiting.pop()
            if (id(body), source) in seen:
                continue
            seen.add((id(body), source))
            for place, node in body.readers[source]:
                if node.op in PARSERS and place == 0:
                    found.append((body, node))
                elif node.op in _PASSING and place == 0:
                    waiting.append((body, node.name))
                else:
                    called = self._functions.get(node.attr["f"].func.name if "f" in node.attr
                                                 else node.op)
                    if called and place < len(called.arguments):
                        waiting.append((called, called.arguments[place]))
        return found or [(body, node) for body in (self._graph, *self._functions.values())
                         for node in body.nodes.values() if node.op in PARSERS]


def _spec(body, node):
    """The `Spec` of a parser.

    Raises:
      RecordError: its keys are no constants.
    """
    sparse, dense, ragged, first = _KEYS[node.op](body, node)
    types = [*_types(node, "sparse_types"), *_types(node, "ragged_value_types")]
    found = [Feature(key, dtype, None, False) for key, dtype in zip([*sparse, *ragged], types)]
    shapes = node.attr["dense_shapes"].list.shape
    for place, (key, dtype, dims) in enumerate(zip(dense, _types(node, "Tdense"), shapes)):
        shape = tuple(dim.size for dim in dims.dim)
        varies = -1 in shape
        found.append(Feature(key, dtype, shape,
                             not varies and _is_empty(body, node, first + place)))
    return Spec(tuple(found))


def _types(node, name):
    import tensorflow as tf
    return [tf.dtypes.as_dtype(one).name for one in node.attr[name].list.type]


def _keys_of_first(body, node):
    """One input per key."""
    sparse, dense = node.attr["Nsparse"].i, node.attr["Ndense"].i
    keys = [_constant(body, node, 2 + place)[0] for place in range(sparse + dense)]
    return keys[:sparse], keys[sparse:], [], 2 + sparse + dense


def _keys_of_second(body, node):
    """One input for all keys of a kind."""
    return (*(_constant(body, node, place) for place in (2, 3, 4)), 5)


def _keys_of_single(_, node):
    sparse, dense = ([key.decode("utf-8") for key in node.attr[name].list.s]
                     for name in ("sparse_keys", "dense_keys"))
    return sparse, dense, [], 1


_KEYS = {_FIRST: _keys_of_first, _SECOND: _keys_of_second, _SINGLE: _keys_of_single}


def _constant(body, node, place):
    """The texts of an input."""
    import tensorflow as tf
    source = body.source(node, place)
    while source is not None and source.op == "Identity":
        source = body.source(source, 0)
    if source is None or source.op != "Const":
        raise RecordError(f"op {node.name!r} ({node.op}) parses examples by keys that are no "
                          "constants: columns cannot become examples; send tf.Examples.")
    return [key.decode("utf-8") for key in np.ravel(tf.make_ndarray(source.attr["value"].tensor))]


def _is_empty(body, node, place):
    """Whether a default is one of no values: a feature without default is written so."""
    import tensorflow as tf
    source = body.source(node, place)
    while source is not None and source.op in ("Identity", "Reshape"):
        source = body.source(source, 0)
    return source is not None and source.op == "Const" and (
        tf.make_ndarray(source.attr["value"].tensor).size == 0)
