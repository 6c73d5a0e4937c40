"""Row independence, proved op by op with an allow-list.

`analyse` walks from the inputs to some tensors and gives each tensor a state (states.py). What no
rule covers becomes `Mixed`: not proved, hence treated as if every example could touch every other.
The rules are the tables in row_rules.py, size_rules.py and sparse_rules.py.
"""

import functools

from ig_tf.graph import fixed_rules, list_rules, loop_rows, registry, row_rules, size_rules
from ig_tf.graph.edges import READERS
from ig_tf.graph.functional import BRANCHES, LOOPS
from ig_tf.graph.partitions import STITCHES, parted_lookup
from ig_tf.graph.states import (SHARED, Cycle, Distinct, Mixed, OfTurn, Rows, SparseIndices,
                                SparseShape, Values, is_shared)
from ig_tf.graph.tables import by_rules
from ig_tf.graph.walk import ancestors_in_order

PURE = ("StatelessWhile", "StatelessIf")  # whatever they do, they do to what they are given


def input_state(tensor, axis=0):
    """The state of a signature input: this axis is the batch; a scalar is shared."""
    if tensor.shape.rank == 0:
        return SHARED
    return Rows(axis)


def input_states(work, axes):
    """{tensor name: state} of all inputs of a working graph, the parts of sparse ones too.

    `axes`: {input name: axis of the examples}, 0 where a name is missing.
    """
    states = {tensor.name: input_state(tensor, axes.get(name, 0))
              for name, tensor in work.inputs.items()}
    for name, keys in work.sparse.items():
        indices, values, shape = (work.inputs[key] for key in keys)
        rank = shape.shape[0] if shape.shape.rank == 1 else None
        if rank is None and indices.shape.rank == 2:
            rank = indices.shape[1]
        unproved = Mixed(f"sparse input {name}, whose rank is not known")
        states[indices.name] = SparseIndices() if rank else unproved
        states[values.name] = Values() if rank else unproved
        states[shape.name] = SparseShape(rank) if rank else unproved
    return states


def analyse(graph, known, targets, body_of, count=None):
    """States of all tensors that lead to `targets`.

    Args:
      graph: a tf.Graph, flat (no calls on the way).
      known: {tensor name: state} of the inputs, and of what else is known.
      targets: tensors.
      body_of: function(function name, argument tensors) -> a `Body` of a functional loop.
      count: number of examples, if that is fixed and shall be relied on (fixed_rules.py).

    Returns:
      {tensor name: state}.
    """
    states = dict(known)
    for op in ancestors_in_order(graph, targets, stop=known):
        computed = _states_of(op, states, body_of, count)
        for tensor, state in zip(op.outputs, computed):
            states.setdefault(tensor.name, state)
    return states


def _states_of(op, states, body_of, count=None):
    inputs = [states.get(t.name, Mixed("a loop of TensorFlow 1")) for t in op.inputs]
    if op.type in PURE and any(isinstance(state, OfTurn) for state in inputs):
        return _of_turn(op, inputs)
    if op.type in LOOPS:
        within = functools.partial(analyse, count=count)
        return loop_rows.of_while(op, inputs, states, body_of, within, count)
    if op.type in BRANCHES:
        within = functools.partial(analyse, count=count)
        return loop_rows.of_branches(op, inputs, body_of, within)
    if op.type in STITCHES:
        return [_parted_lookup(op, states, body_of)]
    if op.type in size_rules.RULES:
        state = size_rules.RULES[op.type](op, inputs)
        if state is not None:
            return [state] * len(op.outputs)
    if op.type in list_rules.MAKERS:
        return [list_rules.MAKERS[op.type](op, inputs) or Mixed(f"{op.type} {op.name}")]
    if all(is_shared(state) for state in inputs):
        return [SHARED] * len(op.outputs)
    for state in inputs:
        if isinstance(state, Mixed):
            return [state] * len(op.outputs)
    found = by_rules(op, inputs)
    if found is None and any(isinstance(state, OfTurn) for state in inputs):
        return _of_turn(op, inputs)
    found = found or _by_value(op, inputs)
    if found is None and count:
        found = fixed_rules.states_of(op, inputs, count)
    return found or [Mixed(f"{op.type} {op.name}")] * len(op.outputs)


def _by_value(op, inputs):
    """What a row rule says where rows are something else (values), and all else is shared."""
    kinds = {state for state in inputs if isinstance(state, (Values, Distinct, Cycle))}
    if len(kinds) != 1 or op.type not in row_rules.RULES or not all(
            is_shared(state) for state in inputs if state not in kinds):
        return None
    kind = kinds.pop()
    as_rows = [Rows(0) if state == kind else state for state in inputs]
    result = row_rules.RULES[op.type](op, as_rows)
    result = result if isinstance(result, list) else [result] * len(op.outputs)
    if all(state == Rows(0) or state is not None and is_shared(state) for state in result):
        return [kind if state == Rows(0) else state for state in result]
    return None


def _of_turn(op, inputs):
    """Inside a loop over the examples: any computation of one example is that example's."""
    own = all(isinstance(state, OfTurn) or is_shared(state) for state in inputs)
    if own and (op.type in READERS or not registry.is_stateful(op.type)):
        return [OfTurn()] * len(op.outputs)
    return [Mixed(f"{op.type} {op.name}")] * len(op.outputs)


def _parted_lookup(op, states, body_of):
    """Each stitched row comes from its own id, hence from the example of that id."""
    parted = parted_lookup(op)
    unproved = Mixed(f"{op.type} {op.name}")
    if parted is None:
        return unproved
    ids, *others = [parted.ids, parted.within, parted.assignment, *parted.parts]
    known = analyse(op.graph, states, [ids, *others], body_of)
    state = known[ids.name]
    if not isinstance(state, (Rows, Values, Distinct)) or not all(
            known[tensor.name] == state for tensor in others[:2]):
        return unproved
    return state if all(is_shared(known[tensor.name]) for tensor in parted.parts) else unproved
