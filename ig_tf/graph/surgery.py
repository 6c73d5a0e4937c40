"""Copies of a part of the working graph with some tensors replaced (D3). Plan, then apply."""

import dataclasses

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from ig_tf.errors import GraphError
from ig_tf.graph import registry
from ig_tf.graph.edges import READERS
from ig_tf.graph.states import BATCH, FOLDED, Rows, Size, SparseShape, is_shared
from ig_tf.model.nodes import function_names, needed_functions, set_inputs

SMALL = 1024  # elements of a constant that is copied rather than passed in
# Stateful by name, yet they only compute.
COMPUTING = READERS | {"While", "If", "Case", "StatefulPartitionedCall", "PartitionedCall"}
_MESSAGES = frozenset({"Assert", "Print", "PrintV2"})  # in a body; copied once per turn, no harm
_LOOP_OPS = frozenset({"Enter", "RefEnter", "Exit", "RefExit", "NextIteration", "LoopCond"})


@dataclasses.dataclass(frozen=True)
class CopyPlan:
    """What is copied, and what the copy takes from outside.

    Attributes:
      replaced: names of the tensors that something else stands for.
      targets: names of the tensors that are wanted.
      operations: names of the ops that are copied.
      shared: names of tensors taken as they are, the same for all rows.
      per_example: {name: axis} of tensors that are repeated with their example's rows.
      sizes: {name: one bool per entry} of shapes taken from outside, where the entries that are
        True count examples and have to count rows instead.
    """

    replaced: tuple
    targets: tuple
    operations: tuple
    shared: tuple
    per_example: dict
    sizes: dict


def plan_copy(work, replaced, targets, states):
    """Ops that lead to `targets` and depend on `replaced`, or on the number of examples.

    Args:
      work: the `Work`.
      replaced: tensors.
      targets: tensors.
      states: row states by tensor name; a state that is neither shared nor rows with one slice
        per example is computed again in the copy.

    Raises:
      GraphError: the copy would hold an op that must run once (a counter, a queue, a random op).
    """
    names = {tensor.name for tensor in replaced}
    moved = downstream(replaced, through_ids=False)
    operations, shared, per_example, sizes, seen = {}, {}, {}, {}, set()
    queue = list(targets)
    while queue:
        tensor = queue.pop()
        if tensor.name in names or tensor.name in seen:
            continue
        seen.add(tensor.name)
        state = states.get(tensor.name)
        if tensor.name not in moved and is_shared(state) and not _foldable(tensor):
            shared[tensor.name] = None
        elif tensor.name not in moved and isinstance(state, Rows) and state.unit:
            per_example[tensor.name] = state.axis
        elif tensor.name not in moved and isinstance(state, (Size, SparseShape)):
            sizes[tensor.name] = _counts_examples(state)
        else:
            _refuse_effects(work, tensor.op)
            operations[tensor.op.name] = None
            queue.extend(tensor.op.inputs)
    order = [op.name for op in work.graph.get_operations() if op.name in operations]
    return CopyPlan(tuple(t.name for t in replaced), tuple(t.name for t in targets), tuple(order),
                    tuple(sorted(shared)), dict(sorted(per_example.items())),
                    dict(sorted(sizes.items())))


def _counts_examples(state):
    if isinstance(state, SparseShape):
        return (True,) + (False,) * (state.rank - 1)
    return tuple(entry in (BATCH, FOLDED) for entry in state.entries)


def resized(value, counts, examples, rows):
    """A shape that spoke of `examples` examples, for `rows` rows.

    Args:
      value: integer scalar or vector.
      counts: one bool per entry: whether it is a multiple of the number of examples.
      examples, rows: scalar int32 tensors.
    """
    multiple = value // tf.cast(tf.maximum(examples, 1), value.dtype) * tf.cast(rows, value.dtype)
    return tf.where(tf.reshape(tf.constant(counts), tf.shape(value)), multiple, value)


def copy(work, plan, given):
    """Applies a plan in the current graph.

    Args:
      work: the `Work` that the plan is of.
      plan: a `CopyPlan`.
      given: {tensor name: tensor} for `replaced`, `shared`, `per_example` and `sizes`.

    Returns:
      {target name: tensor of the current graph}.
    """
    part = _part(work, plan.operations)
    read = {value for node in part.node for value in node.input}
    wanted = [name for name in plan.targets if name not in given]
    results = tf.graph_util.import_graph_def(
        part, input_map={name: _here(given[name]) for name in given if name in read},
        return_elements=wanted, name="copy") if wanted else []
    found = dict(zip(wanted, results))
    found.update({name: _here(given[name]) for name in plan.targets if name in given})
    for name, tensor in found.items():
        _agree(tensor, work.tensor(name))
    return found


def realise(work, tensors, given):
    """Tensors of the working graph in the current graph, by their own ops, run once.

    Ops that the model's top level does not have (bodies of inlined calls) are imported with their
    control edges; tensors that it has are looked up in `given`.

    Returns:
      {tensor name: tensor}.
    """
    operations, _ = inner_operations(work, tensors)
    part = _part(work, operations, control=True)
    inside = set(operations)
    used = {value for node in part.node for value in node.input if value[0] != "^"}
    wanted = [t.name for t in tensors if t.op.name in inside]
    results = tf.graph_util.import_graph_def(
        part, input_map={name: _here(t) for name, t in given.items() if name in used},
        return_elements=wanted, name="model") if wanted else []
    found = {t.name: given[t.name] for t in tensors if t.op.name not in inside}
    found.update(zip(wanted, results))
    for name, tensor in found.items():
        _agree(tensor, work.tensor(name))
    return found


def inner_operations(work, tensors):
    """Ops behind `tensors` that stand in inlined bodies, and the tensors outside they read.

    Returns:
      (op names in the order of the graph, tensor names in order); tensors of the top level among
      `tensors` count as read.
    """
    operations, outside = {}, {}
    queue = [(tensor, None) for tensor in tensors]
    while queue:
        tensor, op = queue.pop()
        op = op if tensor is None else tensor.op
        if op.name in work.originals:
            if tensor is not None:
                outside[tensor.name] = None
            continue
        if op.name not in operations:
            operations[op.name] = None
            queue.extend((operand, None) for operand in op.inputs)
            queue.extend((None, control) for control in op.control_inputs)
    order = [op.name for op in work.graph.get_operations() if op.name in operations]
    return order, sorted(outside)


def downstream(tensors, through_ids=True):
    """Names of tensors that depend on these, by value or by shape.

    `through_ids`: also through what turns numbers into ids (buckets, casts to integers, strings).
    The values of ids have points of their own; what is left behind them is structure.
    """
    reached, queue = set(), list(tensors)
    while queue:
        tensor = queue.pop()
        if tensor.name not in reached:
            reached.add(tensor.name)
            for op in tensor.consumers():
                if through_ids or not makes_ids(op):
                    queue.extend(op.outputs)
    return reached


def makes_ids(op):
    if op.type == "Cast":
        return op.inputs[0].dtype.is_floating and op.outputs[0].dtype.is_integer
    return op.type in ("Bucketize", "AsString")


def _foldable(tensor, depth=0):
    """Small constants, and integers computed from them: shapes and axes stay known in the copy."""
    op = tensor.op
    if op.type == "Const":
        return (tensor.shape.num_elements() or 0) <= SMALL
    exact = tensor.dtype.is_integer or tensor.dtype.is_bool
    return (exact and depth < 8 and op.inputs and not registry.is_stateful(op.type)
            and all(_foldable(operand, depth + 1) for operand in op.inputs))


def _refuse_effects(work, op):
    if op.type in _LOOP_OPS:
        why = "; ".join(f"{name}: {reason}" for name, reason in work.refused.items())
        raise GraphError(f"a while loop of TensorFlow 1 ({op.name}) would have to be copied: it "
                         "stands between the points and the target, or before points whose rows "
                         f"are not proved to be examples. It cannot be made a functional loop: "
                         f"{why or 'its frame is not structured as one'}.")
    if op.type == "Switch" and op.inputs[0].dtype == "resource":
        why = "; ".join(f"{name}: {reason}" for name, reason in work.refused.items())
        raise GraphError(
            f"variable {op.inputs[0].op.name!r} is read in a branch of a TensorFlow 1 condition "
            f"({op.name}, by {op.inputs[1].name}); such a branch would have to be copied, and "
            f"TensorFlow cannot do that. The condition cannot be made functional: {why}. Freeze "
            "the variables to constants, or rebuild it with TensorFlow 2's control flow.")
    if op.type in ("Placeholder", "PlaceholderV2"):
        raise GraphError(f"the target needs placeholder {op.name!r}, which is not an input of the "
                         f"signature. Give its value, --fix={op.name}:VALUE, or make it an input, "
                         f"--feed={op.name}:NAME.")
    for kind, name in _effects(work, op):
        raise GraphError(f"stateful op {kind} {name!r} stands on the path: run for every "
                         "step it would change what the model does (or be random).")


def _effects(work, op):
    """(type, name) of what must run once, in an op or in the functions of a loop or branch."""
    if not registry.takes_functions(op.type):
        if op.type not in COMPUTING and registry.is_stateful(op.type):
            yield op.type, op.name
        return
    functions = work.library()
    queue, seen = [op.node_def], set()
    while queue:
        node = queue.pop()
        if node.op not in COMPUTING and registry.is_stateful(node.op):
            yield node.op, node.name
        for name in function_names(node):
            if name in functions and name not in seen:
                seen.add(name)
                queue.extend(n for n in functions[name].node_def if n.op not in _MESSAGES)


def _part(work, operations, control=False):
    """The named nodes as a GraphDef with the functions that they need."""
    part = graph_pb2.GraphDef()
    part.versions.CopyFrom(work.graph_def.versions)
    wanted = set(operations)
    for node in work.graph_def.node:
        if node.name in wanted:
            copied = part.node.add()
            copied.CopyFrom(node)
            copied.device = ""
            kept = [v for v in node.input if v[0] != "^" or control and v[1:] in wanted]
            set_inputs(copied, kept)
    needed = needed_functions(part.node, work.library())
    part.library.function.extend(needed[name] for name in sorted(needed))
    return part


def _here(tensor):
    """The tensor in the current graph; Identity captures one from outside a loop body."""
    if isinstance(tensor, (int, float, np.ndarray)):
        return tf.constant(tensor)
    current = tf.compat.v1.get_default_graph()
    return tensor if tensor.graph is current else tf.identity(tensor)


def _agree(tensor, original):
    """What is known of the original's shape holds of the copy, the number of rows aside."""
    shape = original.shape
    if shape.rank is not None and tensor.shape.rank is None:
        tensor.set_shape([None] * bool(shape.rank) + shape.as_list()[1:])
