"""An output that a Python function makes of a model's outputs, put into its working graph.

The function is called once, on placeholders, before anything is analysed. So the proof that rows
are examples, the frontier and the copies see its ops as if the model had them. The model that is
saved does not have them: only the added signatures do.
"""

import dataclasses
import re

import tensorflow as tf

from ig_tf.errors import TargetError
from ig_tf.graph.work import rename_functions
from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import controls, data, set_inputs

_SCOPE = SCOPE + "target/"


def added(model, work, function):
    """The same model with one more output in its working graph.

    Args:
      model: a `Model`.
      work: its `Work`, for the shapes of the outputs.
      function: of {output name: tensor} to a tensor [batch] or [batch, 1], made of TensorFlow ops.

    Returns:
      (`Model`, name of the output).

    Raises:
      TargetError: the function fails, or gives something else.
    """
    name = _name(function, work.outputs)
    graph, given, value = _traced(work, function, name)
    own = model.outputs()
    working = type(model.graph_def)()
    working.CopyFrom(model.working_graph_def)
    made = graph.as_graph_def()
    _rename_library(made)
    stands = {placeholder.op.name: own[key] for key, placeholder in given.items()}
    for node in made.node:
        if node.name not in stands:
            node.attr.pop("_class", None)
            set_inputs(node, [*(_moved(one, stands) for one in data(node)),
                              *("^" + _SCOPE + one[1:] for one in controls(node)
                                if one[1:] not in stands)])
            node.name = _SCOPE + node.name
            working.node.add().CopyFrom(node)
    working.library.function.extend(made.library.function)
    working.library.gradient.extend(made.library.gradient)
    explained = type(model.signature)()
    explained.CopyFrom(model.signature)
    info = explained.outputs[name]
    info.name, info.dtype = _SCOPE + value.name, value.dtype.as_datatype_enum
    info.tensor_shape.CopyFrom(value.shape.as_proto())
    return dataclasses.replace(model, explained=explained, working=working, beneath=model), name


def _name(function, taken):
    """What the output is called: as the function is, as a word that no other output is."""
    name = getattr(function, "__name__", type(function).__name__)
    name = re.sub(r"\W+", "_", name).strip("_") or "function"
    while name in taken:
        name += "_"
    return name


def _traced(work, function, name):
    """The function in a graph of its own: (graph, {output: placeholder}, what it gives)."""
    graph = tf.Graph()
    with graph.as_default():
        given = {key: tf.compat.v1.placeholder(tensor.dtype.base_dtype, tensor.shape, "output")
                 for key, tensor in work.outputs.items()}
        try:
            value = function(dict(given))
        except Exception as error:
            raise TargetError(
                f"the target function {name!r} fails on the model's outputs "
                f"({', '.join(f'{key} {one.shape}' for key, one in given.items())}), which it gets "
                f"as a dictionary of tensors: {type(error).__name__}: {error}") from error
        if not tf.is_tensor(value) or getattr(value, "graph", None) is not graph:
            raise TargetError(
                f"the target function {name!r} gave {type(value).__name__}; it has to give a "
                "tensor made of its argument by TensorFlow ops.")
        shape = value.shape
        if not value.dtype.is_floating or shape.rank not in (None, 1, 2) or (
                shape.rank == 2 and shape[1] != 1):
            raise TargetError(f"the target function {name!r} gave {value.dtype.name} {shape}; a "
                              "target is one floating-point number per example, [batch].")
        value = tf.identity(value, name)
    return graph, given, value


def _moved(value, stands):
    node, _, place = value.partition(":")
    if node in stands:
        return stands[node]
    return _SCOPE + node + (f":{place}" if place else "")


def _rename_library(graph_def):
    """No function is named as one of the model's."""
    rename_functions(graph_def, {one.signature.name: "ig_tf_target_" + one.signature.name
                                 for one in graph_def.library.function})
