"""More proofs for a batch whose number of examples the model fixes: constants speak of it then.

What is proved here holds for that number of examples only. The copy is run with the whole batch,
one step at a time, and never with other rows.
"""

import numpy as np

from ig_tf.graph import axis_rules
from ig_tf.graph.registry import is_stateful
from ig_tf.graph.shape_values import static
from ig_tf.graph.states import SHARED, Cycle, Rows, is_shared
from ig_tf.graph.tables import by_rules
from ig_tf.graph.walk import through

MOST_ELEMENTS = 1 << 20  # of a constant whose slices are compared with each other
MAX_DEPTH = 12  # ops between such constants and where they are used


def states_of(op, inputs, count):
    """States of an op's outputs that the ordinary rules do not know, or None.

    Args:
      op: the op.
      inputs: states of its inputs, none of them mixed.
      count: number of examples.
    """
    if op.type == "Reshape":
        state = _reshaped(op, inputs[0], count)
        return None if state is None else [state]
    lifted = [_rows_of_constant(tensor, count) or state if is_shared(state) else state
              for tensor, state in zip(op.inputs, inputs)]
    return None if lifted == list(inputs) else by_rules(op, lifted)


def lifted_variables(tensors, states, chosen, count):
    """States of loop variables, where those that start equal for all examples are rows.

    Args:
      tensors: what they start as.
      states: their states.
      chosen: numbers of the variables that may be such.
      count: number of examples.
    """
    found = list(states)
    for number in chosen:
        if is_shared(states[number]):
            found[number] = _rows_of_constant(tensors[number], count) or states[number]
    return found


def _reshaped(op, state, count):
    """By the sizes alone, all of which are known: examples stay blocks, or steps of blocks."""
    shape = op.outputs[0].shape
    if shape.rank in (None, 0):
        return None
    if state in (Rows(0), Rows(0, False)):
        whole = shape[0] is not None and shape[0] > 0 and shape[0] % count == 0
        return Rows(0, shape[0] == count) if whole else None
    if isinstance(state, Cycle) or isinstance(state, Rows) and state.unit:
        own = op.inputs[0].shape[1 if isinstance(state, Cycle) else state.axis + 1:]
        for axis in range(1, shape.rank):
            if shape[axis] == count and axis_rules.same_size(own, shape[axis + 1:].as_list()):
                return Rows(axis)
    return None


def _rows_of_constant(tensor, count, depth=0):
    """Rows(axis) of a shared tensor that has `count` equal slices along an axis, or None.

    What is computed row by row from such constants has equal rows too.
    """
    for axis, size in enumerate(tensor.shape.as_list() if tensor.shape.rank else ()):
        if size == count and _equal_along(tensor, axis):
            return Rows(axis)
    op = tensor.op
    if depth == MAX_DEPTH or not op.inputs or not tensor.shape.rank or is_stateful(op.type):
        return None
    states = [_rows_of_constant(operand, count, depth + 1) or SHARED for operand in op.inputs]
    if all(is_shared(state) for state in states):
        return None
    found = (by_rules(op, states) or [None] * len(op.outputs))[tensor.value_index]
    return found if isinstance(found, Rows) and found.unit else None


def _equal_along(tensor, axis):
    """Whether the graph alone tells that all slices along an axis are the same."""
    source = through(tensor)
    if source.op.type in ("Fill", "ZerosLike", "OnesLike"):
        return True
    if source.op.type in ("Tile", "BroadcastTo"):
        inner = source.op.inputs[0].shape
        return inner.rank == tensor.shape.rank and inner[axis] == 1
    if (source.shape.num_elements() or MOST_ELEMENTS + 1) > MOST_ELEMENTS:
        return False
    value = static(source)
    return value is not None and bool(np.all(value == np.take(value, [0], axis)))
