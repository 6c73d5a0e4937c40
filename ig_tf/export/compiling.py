"""Traces the attribution function as its runtime profile asks, and says what became of it.

What XLA cannot compile is found before anything is written, by TensorFlow's own list of what XLA
has: a served model must not fail at its first request.
"""

import dataclasses
import functools

import tensorflow as tf

from ig_tf.errors import CompileError, GraphError
from ig_tf.export import functions, half_precision, old_runtime
from ig_tf.graph import work as working
from ig_tf.ig import attach, compiled
from ig_tf.ig.runtime import AUTO, FULL
from ig_tf.model.model import ATTRIBUTIONS
from ig_tf.model.nodes import data, needed_functions
from ig_tf.model.ops import kernels_of

MUST_COMPILE = "_XlaMustCompile"
LOWER = "_lower_using_switch_merge"
_DEVICE = "XLA_CPU_JIT"  # each kind of device has such a list; this one is in every TensorFlow
# Ops that the lists of kernels do not have: calls are looked into, arguments are what is given.
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# {op: (input that must be a constant of the function, what it is)}: XLA's lists of tensors cannot
# grow, so a loop must say how often it turns at most.
_BOUNDED = {"EmptyTensorList": (1, "the largest size"), "TensorListReserve": (1, "the size")}

_SIZES = frozenset({"Shape", "ShapeN", "Size", "Rank", "TensorListLength"})


def trace(model, recipe, build=attach.outputs, signature=ATTRIBUTIONS):
    """The attribution function for the recipe's runtime profile.

    Args:
      model: the `Model`.
      recipe: a `Recipe`.
      build: function(recipe, given) -> {key: tensor}, what the function computes.
      signature: what its functions are named after.

    Returns:
      A `Traced`, and a sentence: whether XLA compiles the path, and why not.

    Raises:
      CompileError: the profile demands XLA, and something cannot be compiled; it is named.
      GraphError: TensorFlow refuses the copy or its gradient, or the profile's TensorFlow does.
    """
    traced, said = _traced(model, recipe, build, signature)
    if recipe.runtime.compute_dtype == FULL:
        return traced, said
    traced, computed = half_precision.narrowed(traced, recipe.runtime.compute_dtype)
    return traced, f"{said}; {computed}"


def _traced(model, recipe, build, signature):
    """`trace` in the model's own types."""
    profile = recipe.runtime
    if profile.tensorflow:
        old_runtime.refuse_model(model.meta_graph.graph_def, profile.tensorflow)
        traced = functions.trace(recipe, build, signature)
        old_runtime.fit(traced.functions, profile.tensorflow)
        said = old_runtime.said_of_model(model.meta_graph.graph_def, profile.tensorflow)
        return traced, f"no: for TensorFlow {profile.tensorflow}{said}"
    if not profile.xla:
        return functions.trace(recipe, build, signature), "no: the runtime profile leaves XLA off"
    # Loops are differentiated in another way for XLA, and TensorFlow keeps what it made for them
    # under their functions' names: what is traced for XLA has functions with names of its own.
    own = dataclasses.replace(recipe, work=working.build(model))
    try:
        traced = functions.trace(own, build, signature)
        _unmark(traced.functions)
        _keep_functional(traced.functions)
        refuse_uncompilable(traced.functions)
        return traced, _said(profile)
    except CompileError as error:
        if profile.xla != AUTO:
            raise
        reason = str(error)
    plain = dataclasses.replace(recipe, runtime=dataclasses.replace(profile, xla=False))
    return functions.trace(plain, build, signature), f"no: {reason}"


def _unmark(functions_):
    """The same function, called where it shall run as it is."""
    for function in functions_:
        for node in function.node_def:
            if MUST_COMPILE in node.attr and compiled.AS_IT_IS in node.name.split("/"):
                node.attr[MUST_COMPILE].b = False


def _keep_functional(functions_):
    """Loops and conditions stay what XLA can compile: a session (as in TensorFlow Serving) would
    make Enter, Switch and Merge of those that say so, in compiled functions too."""
    for function in needed_functions(_compiled_calls(functions_), _library(functions_)).values():
        for node in function.node_def:
            if LOWER in node.attr:
                node.attr[LOWER].b = False


def _library(functions_):
    return {function.signature.name: function for function in functions_}


def _compiled_calls(functions_):
    return [node for function in functions_ for node in function.node_def
            if MUST_COMPILE in node.attr and node.attr[MUST_COMPILE].b]


def _said(profile):
    text = f"yes: chunks of {', '.join(map(str, profile.batch_buckets))} examples"
    return text + (f"; where the request decides sizes, {', '.join(map(str, profile.lengths))}"
                   if profile.lengths else "")


def refuse_uncompilable(functions_):
    """Names the nodes of compiled functions that XLA has no kernel for, before anything runs.

    Args:
      functions_: FunctionDefs.

    Raises:
      CompileError: op types and nodes, or that nothing is marked to be compiled.
    """
    calls = _compiled_calls(functions_)
    if not calls:
        raise CompileError("nothing of the path could be marked for XLA")
    found = {}
    for function in needed_functions(calls, _library(functions_)).values():
        nodes = {node.name: node for node in function.node_def}
        for node in function.node_def:
            reason = _uncompilable(node, nodes)
            if reason:
                found.setdefault(reason, node.name)
    if found:
        listed = "; ".join(f"{reason} (node {node!r})" for reason, node in sorted(found.items()))
        raise CompileError(
            f"XLA cannot compile the path from the points to the target: {listed}. Choose points "
            "behind these ops (--points), or a runtime profile with \"xla\": false or \"auto\".")


def _uncompilable(node, nodes):
    """What stands in the way of this node, or None."""
    if node.op in _CALLS:
        return None
    entries = xla_kernels().get(node.op)
    if entries is None:
        return f"op {node.op} has no XLA kernel"
    types = {name: {value.type} if value.type else set(value.list.type)
             for name, value in node.attr.items()}
    if not any(all(types.get(name, set()) <= allowed for name, allowed in entry.items())
               for entry in entries):
        said = ", ".join(sorted(f"{name} = {tf.as_dtype(one).name}" for name, values in
                                types.items() for one in values))
        return f"op {node.op} has no XLA kernel for {said}"
    if node.op in _BOUNDED:
        place, what = _BOUNDED[node.op]
        if not _known(node.input[place], nodes):
            return f"op {node.op} needs {what} as a constant (a loop without a known most of turns)"
    return None


def _known(name, nodes):
    """Whether a size is made of constants and of sizes of tensors, which XLA knows by then.

    Args:
      name: of the tensor, as a node of a function has it among its inputs.
      nodes: {name: NodeDef} of the function.
    """
    waiting, seen = [name], set()
    while waiting:
        name = waiting.pop().partition(":")[0]
        if name in seen:
            continue
        seen.add(name)
        node = nodes.get(name)
        if node is None:  # an argument of the function
            return False
        if node.op == "Const":
            value = tf.make_ndarray(node.attr["value"].tensor)
            if value.shape == () and value < 0 and len(seen) == 1:  # "as large as it gets"
                return False
        elif node.op not in _SIZES:
            waiting += data(node)
    return True


@functools.lru_cache(maxsize=None)
def xla_kernels():
    """{op type: [{type attribute: set of allowed DataType enums}]} of what XLA compiles.

    TensorFlow fills this list when it first compiles something: here, one addition of our own.
    """
    tf.function(lambda number: number + 1, jit_compile=True, autograph=False)(tf.constant(1.0))
    found = kernels_of(_DEVICE)
    if not found:
        raise GraphError(f"TensorFlow {tf.__version__} does not say what XLA can compile; use a "
                         "runtime profile with \"xla\": false.")
    return found
