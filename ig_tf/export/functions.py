"""The attribution function as FunctionDefs with names that depend on nothing but the model."""

import dataclasses
import hashlib

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from ig_tf.errors import GraphError
from ig_tf.export import old_runtime
from ig_tf.graph import surgery
from ig_tf.graph.work import rename_functions
from ig_tf.ig import attach
from ig_tf.ig.request import argument_name
from ig_tf.model.model import ATTRIBUTIONS, FUNCTION_PREFIX
from ig_tf.model.nodes import function_names, library_of

# Attributes that TensorFlow numbers per process, and that only its Python reads.
_PROCESS_ATTRIBUTES = ("_gradient_op_type", "_forward_func_name", "_backward_func_name")


@dataclasses.dataclass(frozen=True)
class Traced:
    """The attribution function of one signature.

    Attributes:
      signature: its name.
      functions: FunctionDefs; the first is the one to call. All names start with FUNCTION_PREFIX
        and the signature's.
      arguments: what it takes, in order: {signature input: name of the model's tensor, or None for
        what a request chooses}.
      sent: {key: (dtype enum, rank)} of what a request chooses.
      captured: names of the model's top-level tensors that it takes behind them.
      keys: output keys, in the order of its results.
      specs: {key: (dtype enum, TensorShapeProto)}.
      stateful: whether it reads variables or tables by handle.
    """

    signature: str
    functions: tuple
    arguments: dict
    sent: dict
    captured: tuple
    keys: tuple
    specs: dict
    stateful: bool

    @property
    def name(self):
        return self.functions[0].signature.name


def trace(recipe, build=attach.outputs, signature=ATTRIBUTIONS):
    """Builds the attribution function of a recipe.

    Args:
      recipe: a `Recipe`.
      build: function(recipe, given) -> {key: tensor}, what the function computes.
      signature: what its functions are named after.

    Raises:
      GraphError: TensorFlow refuses the copy or its gradient.
    """
    work = recipe.work
    arguments, sent = _arguments(recipe)
    captured = [name for name in surgery.inner_operations(work, recipe.needed())[1]
                if name not in arguments.values()]
    names = [*(name or key for key, name in arguments.items()), *captured]
    keys = []

    def attributions(*values):
        given = dict(zip(names, values))
        found = build(recipe, given)
        keys.extend(sorted(found))
        return [tf.identity(found[key]) for key in keys]

    graph = tf.Graph()
    with graph.as_default():
        values = [tf.compat.v1.placeholder(sent[name][0]) if name in sent
                  else _argument(work.tensor(name)) for name in names]
        try:
            results = tf.function(attributions, autograph=False)(*values)
        except (ValueError, TypeError, LookupError, NotImplementedError) as error:
            raise GraphError(f"the attribution subgraph cannot be built: {error}") from error
    call = results[0].op
    while call.type == "Identity":
        call = call.inputs[0].op
    specs = {key: (tensor.dtype.as_datatype_enum, tensor.shape.as_proto())
             for key, tensor in zip(keys, results)}
    functions = _collected(graph.as_graph_def(), call.get_attr("f").name,
                           FUNCTION_PREFIX + signature)
    return Traced(signature, tuple(functions), arguments, sent, tuple(captured), tuple(keys),
                  specs, call.type == "StatefulPartitionedCall")


def _arguments(recipe):
    """`Traced.arguments` and `Traced.sent`.

    What a request chooses stands among the inputs in the order of the names that
    tf.saved_model.load gives to arguments: it passes them in that order.
    """
    inputs = {key: tensor.name for key, tensor in recipe.work.inputs.items()}
    if recipe.custom is None:
        return inputs, {}
    sent = {one.key: (tf.as_dtype(one.dtype).as_datatype_enum, one.rank)
            for one in recipe.custom.inputs}
    inputs.update(dict.fromkeys(sent))
    return {key: inputs[key] for key in sorted(inputs, key=argument_name)}, sent


def _argument(tensor):
    """What stands for a tensor of the model outside; a variable's handle knows its shape."""
    if tensor.op.type == "VarHandleOp":
        return tf.raw_ops.VarHandleOp(dtype=tensor.op.get_attr("dtype"),
                                      shape=tf.TensorShape(tensor.op.get_attr("shape")),
                                      shared_name=tensor.op.name)
    return tf.compat.v1.placeholder(tensor.dtype.base_dtype, tensor.shape)  # refs go by value


def _collected(graph_def, main, prefix):
    """The main function and what it needs, renamed in the order of first use."""
    library = library_of(graph_def)
    order, queue = [], [main]
    while queue:
        name = queue.pop(0)
        if name in order:
            continue
        order.append(name)
        for node in library[name].node_def:
            queue.extend(n for n in sorted(function_names(node)) if n in library)
    names = {name: f"{prefix}_{index}" for index, name in enumerate(order)}
    found = graph_pb2.GraphDef()
    found.library.function.extend(library[name] for name in order)
    for function in found.library.function:
        _without_process_attributes(function)
        old_runtime.leave_off_new(function)
        for index, argument in enumerate(function.signature.input_arg):
            if "__redundant_placeholder" in argument.name:  # numbered per process, and unused
                argument.name = f"unused_{index}"
    rename_functions(found, names)
    # Functions of several instrumented models can stand in one graph: their names must differ.
    digest = hashlib.sha256(found.SerializeToString(deterministic=True)).hexdigest()[:12]
    rename_functions(found, {name: name.replace(prefix, f"{prefix}_{digest}", 1)
                             for name in names.values()})
    return list(found.library.function)


def _without_process_attributes(function):
    for name in list(function.attr):
        if name not in ("_noinline",):
            del function.attr[name]
    for argument in function.arg_attr.values():
        for name in ("_user_specified_name", "_output_shapes"):
            if name in argument.attr:
                del argument.attr[name]
    for node in function.node_def:
        node.ClearField("experimental_debug_info")
        node.device = ""
        for name in _PROCESS_ATTRIBUTES:
            if name in node.attr:
                del node.attr[name]
