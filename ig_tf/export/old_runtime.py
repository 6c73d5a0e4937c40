"""What is added fits an older TensorFlow: what that one does not know is left off or refused.

ig_tf/model/versions.py says what ops and attributes each has, and which kernels on a CPU. A table
does not know all: kernels differ within an op too, so the tests run the real one.
"""

import tensorflow as tf
from tensorflow.core.framework import types_pb2

from ig_tf.errors import GraphError
from ig_tf.model import versions
from ig_tf.model.ops import is_known, op_def

# Attributes that change no value: they say that an operand is a gradient, or a name for messages.
HINTS = frozenset({"grad_a", "grad_b", "grad_x", "grad_y", "debug_name"})
_SAID = 8  # reasons that a message gives


def leave_off_new(function):
    """Leaves off, in place, what newer versions brought to an op and what has its default: any
    TensorFlow that has the op at all can read it then.

    Args:
      function: a FunctionDef that ig_tf adds.
    """
    for node in function.node_def:
        having = versions.having(node.op)
        if having:
            for name in [*_new_defaults(node, having[0])]:
                del node.attr[name]


def fit(functions, version):
    """Makes FunctionDefs that this TensorFlow wrote readable and runnable for an older one.

    Attributes that it does not know are left off where they have their default value, in place.

    Args:
      functions: FunctionDefs that ig_tf adds, changed in place.
      version: one of `versions.known()`, with or without the patch.

    Raises:
      GraphError: an op, a value of an attribute or a kernel that it lacks, with the nodes.
    """
    own = {function.signature.name for function in functions}
    lacking = {}
    for function in functions:
        for node in function.node_def:
            if node.op in own:
                continue
            for name in {*_new_defaults(node, version), *_hints(node, version)}:
                del node.attr[name]
            for reason in (*_lacking(node, version), *_without_kernel(node, version)):
                lacking.setdefault(reason, node.name)
    if lacking:
        raise GraphError(
            f"the attribution subgraph needs what TensorFlow {version} does not have: "
            f"{_listed(lacking)}. Choose points behind these ops (--points), or serve it with a "
            "newer TensorFlow (--runtime=cpu).")


def refuse_model(graph_def, version):
    """A model that says what the older TensorFlow does not know cannot be loaded there at all.

    Raises:
      GraphError: it is for newer readers, or has ops or attributes that this one lacks: with their
        names.
    """
    produced, _ = versions.graph_versions(version)
    if graph_def.versions.min_consumer > produced:
        raise GraphError(
            f"the model itself is for readers of graph version {graph_def.versions.min_consumer} "
            f"or later; TensorFlow {version} has {produced}: leave --runtime=tf1.15 off.")
    own = {function.signature.name for function in graph_def.library.function}
    lacking = {}
    for nodes in (graph_def.node, *(one.node_def for one in graph_def.library.function)):
        for node in nodes:
            if node.op not in own and (versions.having(node.op) or is_known(node.op)):
                for reason in _lacking(node, version):
                    lacking.setdefault(reason, node.name)
    if lacking:
        raise GraphError(
            f"the model itself cannot run in TensorFlow {version}, which lacks: "
            f"{_listed(lacking)}. Only what that TensorFlow wrote, or could have, answers there: "
            "leave --runtime=tf1.15 off.")


def said_of_model(graph_def, version):
    """What stands in the model's own nodes and the C library of the older TensorFlow cannot read,
    in words, or "". Its Python leaves such attributes off; the model itself is not changed here."""
    found = {f"{name} of {node.op}": node.name for node in graph_def.node
             for name in _new_defaults(node, version)}
    return found and (
        f"; TensorFlow {version} reads the model in Python alone, not in its C library (TensorFlow "
        f"Serving), for what the model's nodes say at its default: {_listed(found)}. Saved again "
        "with strip_default_attrs=True, it can be read there too") or ""


def _listed(lacking):
    listed = [f"{reason} (node {node!r})" for reason, node in sorted(lacking.items())]
    more = f"; and {len(listed) - _SAID} more" if len(listed) > _SAID else ""
    return "; ".join(listed[:_SAID]) + more


def _new_defaults(node, version):
    """Names of attributes that an older TensorFlow does not know, at their default."""
    known = versions.attributes(node.op, version)
    if known is None:
        return
    for name in sorted(node.attr):
        if name not in known and not name.startswith("_") and (
                node.attr[name] == _default(node.op, name)):
            yield name


def _hints(node, version):
    return HINTS.intersection(node.attr).difference(versions.attributes(node.op, version) or HINTS)


def _default(op, name):
    """By the table; what a newer TensorFlow than those brought, this one knows."""
    found = versions.default(op, name)
    if found is None and is_known(op):
        found = next((one.default_value for one in op_def(op).attr
                      if one.name == name and one.HasField("default_value")), None)
    return found


def _lacking(node, version):
    """What a node says that the older TensorFlow does not know."""
    known = versions.attributes(node.op, version)
    if known is None:
        yield f"op {node.op}{_since(node.op)}"
        return
    for name in sorted(node.attr):
        if name.startswith("_"):
            continue
        value = node.attr[name]
        if name not in known:
            if value != _default(node.op, name):
                yield f"attribute {name} of {node.op}{_since(node.op, name)}"
        elif known[name].allowed and not set(_values(value)) <= set(known[name].allowed):
            yield f"{node.op} with {name} = {', '.join(_values(value))}"


def _since(op, attribute=None):
    """In words, the oldest TensorFlow of the table that has it."""
    found = versions.having(op, attribute)
    return f", which TensorFlow {found[0]} has" if found else ""


def _without_kernel(node, version):
    if versions.attributes(node.op, version) is None:
        return
    types = {name: _values(value) for name, value in node.attr.items()}
    if not any(_serves(kernel, types) for kernel in versions.kernels(node.op, version)):
        known = versions.attributes(node.op, version)
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
