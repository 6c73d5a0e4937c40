"""What is added fits an older TensorFlow: what that one does not know is left off or refused.

tensorflow_1_15.json says what ops TensorFlow 1.15.5 has, and which kernels on a CPU
(tests/old/list_operations.py wrote it there). A table does not know all: kernels differ within an
op too, so the tests run the real one.
"""

import functools
import json
import pathlib

import tensorflow as tf
from tensorflow.core.framework import types_pb2

from ig_tf.errors import GraphError
from ig_tf.model.ops import is_known, op_def, op_types

TABLES = {"1.15": "tensorflow_1_15.json"}  # {target version of a profile: its ops}
# Attributes that change no value: they say that an operand is a gradient, or a name for messages.
HINTS = frozenset({"grad_a", "grad_b", "grad_x", "grad_y", "debug_name"})


@functools.lru_cache(maxsize=None)
def operations(version):
    """{op type: {"attributes": {name: allowed values or None}, "kernels": [{name: types}]}}."""
    path = pathlib.Path(__file__).parent / TABLES[version]
    return json.loads(path.read_text(encoding="utf-8"))


def fit(functions, version):
    """Makes FunctionDefs that this TensorFlow wrote readable and runnable for an older one.

    Attributes that it does not know are left off where they have their default value, in place.

    Args:
      functions: FunctionDefs that ig_tf adds, changed in place.
      version: a key of `TABLES`.

    Raises:
      GraphError: an op, a value of an attribute or a kernel that it lacks, with the nodes.
    """
    table = operations(version)
    own = {function.signature.name for function in functions}
    lacking = {}
    for function in functions:
        for node in function.node_def:
            if node.op in own:
                continue
            for reason in _fit_node(node, table):
                lacking.setdefault(reason, node.name)
    if lacking:
        listed = "; ".join(f"{reason} (node {node!r})" for reason, node in sorted(lacking.items()))
        raise GraphError(
            f"the attribution subgraph needs what TensorFlow {version} does not have: {listed}. "
            "Choose points behind these ops (--points), or serve it with a newer TensorFlow "
            "(--runtime=cpu).")


def refuse_model(graph_def, version):
    """A model with ops that the older TensorFlow does not know cannot be loaded there at all.

    Raises:
      GraphError: with their names.
    """
    table = operations(version)
    unknown = {op: node for op, node in op_types(graph_def).items()
               if op not in table and is_known(op)}
    if unknown:
        listed = ", ".join(f"{op} (node {node!r})" for op, node in sorted(unknown.items())[:8])
        raise GraphError(
            f"the model itself cannot run in TensorFlow {version}, which lacks: {listed}. Only "
            "what that TensorFlow wrote, or could have, answers there: leave --runtime=tf1.15 off.")


def _fit_node(node, table):
    """Leaves attributes off; yields what the older TensorFlow lacks for this node."""
    if node.op not in table:
        yield f"op {node.op}"
        return
    known = table[node.op]["attributes"]
    defaults = {one.name: one.default_value for one in op_def(node.op).attr
                if one.HasField("default_value")}
    for name in sorted(node.attr):
        value = node.attr[name]
        if name.startswith("_"):
            continue
        if name not in known:
            if name in HINTS or name in defaults and defaults[name] == value:
                del node.attr[name]
            else:
                yield f"attribute {name} of {node.op}"
        elif known[name] and not set(_values(value)) <= set(known[name]):
            yield f"{node.op} with {name} = {', '.join(_values(value))}"
    types = {name: _values(value) for name, value in node.attr.items()}
    if not any(_serves(kernel, types) for kernel in table[node.op]["kernels"]):
        said = ", ".join(f"{name} = {', '.join(values)}" for name, values in sorted(types.items())
                         if values and name in known)
        yield f"a kernel of {node.op} for {said}"


def _serves(kernel, types):
    return all(set(types.get(name, ())) <= set(allowed) for name, allowed in kernel.items())


def _values(value):
    """An attribute's types, or its string, as the table writes them; nothing for other kinds."""
    kind = value.WhichOneof("value")
    if kind == "type":
        return [_type_name(value.type)]
    if kind == "s":
        return [value.s.decode("utf-8", "replace")]
    if kind == "list":
        return [_type_name(one) for one in value.list.type] or [
            one.decode("utf-8", "replace") for one in value.list.s]
    return []


def _type_name(number):
    try:
        return tf.as_dtype(number).name
    except TypeError:
        return types_pb2.DataType.Name(number)
