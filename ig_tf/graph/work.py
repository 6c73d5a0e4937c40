"""The working graph: one signature's part of a model, flat, differentiable, in a tf.Graph.

It is a copy; the model's own nodes are never edited. Nothing in it is ever run.
"""

import dataclasses
import functools
import itertools
import re

from tensorflow import TensorShape
from tensorflow.core.framework import graph_pb2, node_def_pb2

from ig_tf.errors import GraphError
from ig_tf.graph import branches, conds, early_casts, shape_entries
from ig_tf.graph.functional import BRANCHES
from ig_tf.graph.inline import inline
from ig_tf.graph.raise_conds import has_conditions, raise_conditions
from ig_tf.graph.raise_loops import RAISED, raise_loops
from ig_tf.graph.shape_values import known_entries
from ig_tf.model.answering import FEED_SCOPE, moved
from ig_tf.model.model import SCOPE
from ig_tf.model.ops import import_graph, refuse_without_kernel
from ig_tf.model.nodes import (controls, data, function_names, library_of, needed_functions,
                               set_inputs)

_IMPORT = "import_{}_"
_IMPORTS = itertools.count()  # a prefix unique to each import: functions of two models never meet

# Ops whose gradient is not the derivative of what they compute; in copies they are Identity (D3a).
PASS_THROUGH = ("StopGradient", "PreventGradient", "Print")
CUSTOM_GRADIENT = "_gradient_op_type"
ARGUMENT = "Placeholder"


@dataclasses.dataclass(frozen=True)
class Body:
    """A function body as a graph: `arguments` and `results` are its tensors, in order."""

    graph: object
    arguments: tuple
    results: tuple


@dataclasses.dataclass
class Work:
    """The working graph of one signature.

    Attributes:
      graph_def: flat GraphDef; functions of While, If and Case have names unique to this import.
      graph: the same, imported, for shapes and walks.
      inputs: {signature input name: tensor of `graph`}.
      outputs: {signature output name: tensor of `graph`}.
      originals: names of nodes that the model's top level has too.
      changed: {(function or None, node name): sentence} what was made differentiable (D3a).
      refused: {frame of a TensorFlow 1 loop, or Merge of a condition, that could not be raised:
        why} (D12).
      sparse: {name: keys of `inputs`} of the sparse inputs, see `Model.sparse_inputs`.
    """

    graph_def: object
    graph: object
    inputs: dict
    outputs: dict
    originals: frozenset
    changed: dict
    refused: dict = dataclasses.field(default_factory=dict)
    sparse: dict = dataclasses.field(default_factory=dict)
    _bodies: dict = dataclasses.field(default_factory=dict)
    _library: dict = dataclasses.field(default_factory=dict)

    def library(self):
        """{name: FunctionDef} of `graph_def`, which does not change any more."""
        if not self._library:
            self._library.update(library_of(self.graph_def))
        return self._library

    def tensor(self, name):
        return self.graph.get_tensor_by_name(name)

    def input_names(self):
        """{tensor name: signature input}: the parts of a sparse input have its name."""
        names = {tensor.name: key for key, tensor in self.inputs.items()}
        for name, parts in self.sparse.items():
            names.update({self.inputs[part].name: name for part in parts})
        return names

    def matching(self, name):
        """Tensors that a name can mean: NODE, NODE:k, or the end of a path of calls.

        Returns:
          A list; empty where nothing has that name (or the node has no such output).
        """
        node, _, index = name.partition(":")
        index = int(index) if index.isdigit() else 0
        try:
            found = [self.graph.get_operation_by_name(node)]
        except (KeyError, ValueError):
            found = [op for op in self.graph.get_operations()
                     if op.name.startswith(SCOPE) and op.name.endswith("/" + node)]
        return [self._with_shape(op.outputs[index]) for op in found if index < len(op.outputs)]

    def _with_shape(self, tensor):
        """The same value where its shape was said again (`_state_shapes`)."""
        for op in tensor.consumers():
            if is_shaped(op):
                return op.outputs[0]
        return tensor

    def body_of(self, function, arguments):
        """The body of a library function, with shapes inferred from the caller's tensors."""
        key = (function, tuple((t.dtype.as_datatype_enum, str(t.shape)) for t in arguments))
        if key not in self._bodies:
            self._bodies[key] = _body(self, function, arguments)
        return self._bodies[key]


def build(model):
    """The working graph of a model's signature.

    Raises:
      GraphError: an op that this TensorFlow does not know, a broken or recursive graph.
    """
    inputs, outputs = model.inputs(), model.outputs()
    flat = inline(model.working_graph_def, [*inputs.values(), *outputs.values()])
    conds.resolve(flat.graph_def, {name.partition(":")[0] for name in inputs.values()})
    producer_ops = model.meta_graph.meta_info_def.stripped_op_list
    fetches = [_named(flat, name) for name in [*inputs.values(), *outputs.values()]]
    raised = raise_loops(flat.graph_def, _originals(model, flat), fetches,
                         functools.partial(import_graph, producer_ops=producer_ops))
    prefix = _IMPORT.format(next(_IMPORTS))
    _rename_functions(raised.graph_def, prefix)
    graph_def, changed = _differentiable(
        shape_entries.slice_shapes(early_casts.cast_parts(raised.graph_def)))
    graph = _imported(graph_def, producer_ops)
    refused = dict(raised.refused)
    if has_conditions(graph_def):
        functional = raise_conditions(graph_def, graph, raised.originals, fetches, changed,
                                      f"{prefix}raised_if")
        graph_def, changed = functional.graph_def, functional.changed
        refused.update(functional.refused)
        branches.tie(graph_def)
        graph = _imported(graph_def, producer_ops)
    refuse_without_kernel(graph_def)

    def find(name):
        try:
            return graph.get_tensor_by_name(_named(flat, name))
        except (KeyError, ValueError):
            raise GraphError(f"the signature names tensor {name!r}, which the graph does not "
                             "have.") from None

    return Work(graph_def, graph, {k: find(v) for k, v in inputs.items()},
                {k: find(v) for k, v in outputs.items()}, raised.originals, changed,
                refused, model.sparse_inputs())


def _imported(graph_def, producer_ops):
    """A graph with the shapes that TensorFlow forgets; these are said in the GraphDef too."""
    graph = import_graph(graph_def, producer_ops)
    while _state_shapes(graph_def, graph):
        graph = import_graph(graph_def, producer_ops)
    return graph


def _named(flat, name):
    """The tensor of a flat graph that stands for one of the model's top level."""
    full = name if ":" in name else name + ":0"
    return flat.tensors.get(full, full)


def _originals(model, flat):
    """Nodes that stand in the model's top level with the same value, and the inputs beside it."""
    if model.working is None:
        return flat.originals
    beside = {name for name in flat.originals if name.startswith(FEED_SCOPE)
              and name + ":0" in model.inputs().values()}
    return (flat.originals - moved(model.graph_def, model.working)) | beside


def _differentiable(graph_def):
    """D3a: no custom gradient whose Python is gone, no op that hides the derivative."""
    result = graph_pb2.GraphDef()
    result.CopyFrom(graph_def)
    changed = {}
    for node in result.node:
        _make_differentiable(node, (None, node.name), source_name(node.name), changed)
    for function in result.library.function:
        name = function.signature.name
        for node in function.node_def:
            text = f"{_without_import(name)}/{node.name}"
            _make_differentiable(node, (name, node.name), text, changed)
    return result, changed


def _make_differentiable(node, key, text, changed):
    if CUSTOM_GRADIENT in node.attr:
        del node.attr[CUSTOM_GRADIENT]
        changed[key] = f"custom gradient of {node.op} {text} replaced by its derivative"
    if node.op in PASS_THROUGH:
        changed[key] = f"{node.op} {text} became Identity"
        dtype = node.attr["T"].type
        node.op = "Identity"
        node.attr.clear()
        node.attr["T"].type = dtype
        set_inputs(node, [*data(node)[:1], *controls(node)])


def _state_shapes(graph_def, graph):
    """Says shapes that TensorFlow forgets on import, by an EnsureShape behind them; in place.

    Returns whether anything was learnt (what follows may then be known too).
    """
    known = {node.name for node in graph_def.node}
    learnt = {}
    for op in graph.get_operations():
        if op.type in FORGOTTEN_SHAPES and _shaped(op.name) not in known:
            if op.outputs[0].shape.is_fully_defined() or not op.outputs[0].consumers():
                continue
            shape = FORGOTTEN_SHAPES[op.type](op)
            if shape is not None and shape.rank is not None:
                learnt[op.name] = (op.outputs[0].dtype.as_datatype_enum, shape.as_proto())
    for node in graph_def.node:
        node.input[:] = [
            _shaped(value[:-2]) + ":0" if value[:-2] in learnt and value.endswith(":0") else value
            for value in node.input]
    for name, (dtype, shape) in learnt.items():
        shaped = graph_def.node.add(name=_shaped(name), op="EnsureShape", input=[name + ":0"])
        shaped.attr["T"].type = dtype
        shaped.attr["shape"].shape.CopyFrom(shape)
    return bool(learnt)


def _shape_of_lookup(op):
    """A table with a scalar default has scalar values: the result is shaped like the keys."""
    if op.outputs[0].shape.rank is None and op.inputs[2].shape.rank == 0:
        return op.inputs[1].shape
    return None


def _shape_of_part(op):
    """What is put together has the rank of the whole."""
    if not op.name.startswith(SCOPE + "cast/") or op.outputs[0].shape.rank is not None:
        return None
    ranks = {user.outputs[0].shape.rank for user in op.outputs[0].consumers()
             if user.type in ("Concat", "ConcatV2")} - {None}
    return TensorShape([None] * ranks.pop()) if ranks else None


def _shape_of_classes(op):
    """A softmax of TensorFlow 1 merges all axes but the last, whose size it cuts out of a shape."""
    if any(user.type not in ("Softmax", "LogSoftmax") for user in op.outputs[0].consumers()):
        return None
    entries = known_entries(op.inputs[1])
    if entries is None or len(entries) != 2 or not entries[1] or entries[1] < 0 or (
            op.outputs[0].shape.rank == 2 and op.outputs[0].shape[1] is not None):
        return None
    return TensorShape([None, entries[1]])


FORGOTTEN_SHAPES = {"LookupTableFindV2": _shape_of_lookup, "Cast": _shape_of_part,
                    "Reshape": _shape_of_classes}


def is_shaped(op):
    """Whether this op only says the shape of its input (`_state_shapes`)."""
    return op.type == "EnsureShape" and op.name.startswith(SCOPE + "shaped/")


def same_value(op):
    """Whether this op only says the shape of its input, or stands for a raised condition's Merge:
    then it has the name that the model's owner knows."""
    return is_shaped(op) or (op.type == "Identity" and op.inputs[0].op.type in BRANCHES
                             and op.inputs[0].op.name.startswith(RAISED))


def source_name(name):
    """The name of a tensor as the model's owner knows it."""
    for prefix in (SCOPE + "shaped/", SCOPE + "raised/", SCOPE + "cast/", SCOPE + "entry/",
                   SCOPE + "inlined/"):
        name = name.removeprefix(prefix)
    return name


def _shaped(name):
    return f"{SCOPE}shaped/{name}"


def _without_import(name):
    """A function's own name, whatever number its import had."""
    return re.sub("^" + _IMPORT.format(r"\d+"), "", name)


def _rename_functions(graph_def, prefix):
    """Every function of the library gets a name that no other import has."""
    names = {f.signature.name: prefix + f.signature.name for f in graph_def.library.function}
    rename_functions(graph_def, names)


def rename_functions(graph_def, names):
    """Renames library functions in place: definitions, calls and attributes. {old: new}."""
    for function in graph_def.library.function:
        function.signature.name = names.get(function.signature.name, function.signature.name)
        for node in function.node_def:
            _rename_in_node(node, names)
    for gradient in graph_def.library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)
    for node in graph_def.node:
        _rename_in_node(node, names)


def _rename_in_node(node, names):
    if not any(name in names for name in function_names(node)):
        return
    node.op = names.get(node.op, node.op)
    for value in node.attr.values():
        if value.HasField("func"):
            value.func.name = names.get(value.func.name, value.func.name)
        for function in value.list.func:
            function.name = names.get(function.name, function.name)


def _body(work, function, arguments):
    """A call of the function, inlined: its arguments are placeholders with the caller's shapes."""
    caller = graph_pb2.GraphDef()
    caller.versions.CopyFrom(work.graph_def.versions)
    called = work.library()[function]
    needed = {function: called, **needed_functions(called.node_def, work.library())}
    caller.library.function.extend(needed.values())
    caller.library.gradient.extend(gradient for gradient in work.graph_def.library.gradient
                                   if gradient.function_name in needed)
    for index, tensor in enumerate(arguments):
        caller.node.extend(_argument(f"argument_{index}", tensor))
    call = caller.node.add(name="call", op="StatefulPartitionedCall")
    call.input.extend(f"argument_{index}" for index in range(len(arguments)))
    call.attr["f"].func.name = function
    call.attr["Tin"].list.type.extend(t.dtype.as_datatype_enum for t in arguments)
    call.attr["Tout"].list.type.extend(a.type for a in called.signature.output_arg)
    fetches = [f"call:{index}" for index in range(len(called.signature.output_arg))]
    flat = inline(caller, [*fetches, *(f"argument_{i}" for i in range(len(arguments)))])
    graph = import_graph(shape_entries.slice_shapes(flat.graph_def))
    return Body(graph,
                tuple(graph.get_tensor_by_name(f"argument_{i}:0") for i in range(len(arguments))),
                tuple(graph.get_tensor_by_name(flat.tensors[fetch]) for fetch in fetches))


def _argument(name, tensor):
    """A variable's handle is made again (it knows its shape), anything else is a placeholder.

    The shape is said behind it: a placeholder of a GraphDef before version 24, as frozen graphs
    often are that say no version, does not know that it is a scalar.
    """
    node = node_def_pb2.NodeDef()
    if tensor.op.type == "VarHandleOp":
        node.CopyFrom(tensor.op.node_def)
        node.name = name
        return [node]
    node.name, node.op = f"{name}/given", ARGUMENT
    node.attr["dtype"].type = tensor.dtype.as_datatype_enum
    node.attr["shape"].shape.CopyFrom(tensor.shape.as_proto())
    shaped = node_def_pb2.NodeDef(name=name, op="EnsureShape", input=[node.name])
    shaped.attr["T"].type = tensor.dtype.as_datatype_enum
    shaped.attr["shape"].shape.CopyFrom(tensor.shape.as_proto())
    return [node, shaped]
