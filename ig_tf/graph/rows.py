"""Row independence, proved op by op with an allow-list.

`analyse` walks from the inputs to some tensors and gives each tensor a state (states.py). What no
rule covers becomes `Mixed`: not proved, hence treated as if every example could touch every other.
The rules are the tables in row_rules.py, size_rules.py and sparse_rules.py.
"""

from ig_tf.graph import list_rules, row_rules, size_rules, sparse_rules
from ig_tf.graph.loops import map_loop_body
from ig_tf.graph.states import (BATCH, SHARED, Mixed, Rows, Size, SparseIndices, SparseShape,
                                Values, is_shared, join)
from ig_tf.graph.walk import ancestors_in_order

MAX_TURNS = 8  # of the fixed point over a loop body; states only ever get less precise


def input_state(tensor):
    """The state of a signature input: its first axis is the batch; a scalar is shared."""
    if tensor.shape.rank == 0:
        return SHARED
    return Rows(0)


def input_states(work):
    """{tensor name: state} of all inputs of a working graph, the parts of sparse ones too."""
    states = {tensor.name: input_state(tensor) for tensor in work.inputs.values()}
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


def analyse(graph, known, targets, body_of):
    """States of all tensors that lead to `targets`.

    Args:
      graph: a tf.Graph, flat (no calls on the way).
      known: {tensor name: state} of the inputs, and of what else is known.
      targets: tensors.
      body_of: function(function name, argument tensors) -> a `Body` of a functional loop.

    Returns:
      {tensor name: state}.
    """
    states = dict(known)
    for op in ancestors_in_order(graph, targets, stop=known):
        computed = _states_of(op, states, body_of)
        for tensor, state in zip(op.outputs, computed):
            states.setdefault(tensor.name, state)
    return states


def _states_of(op, states, body_of):
    inputs = [states.get(t.name, Mixed("a loop of TensorFlow 1")) for t in op.inputs]
    if op.type in WHILE:
        return _while(op, inputs, body_of)
    if op.type == "TensorArrayGatherV3":
        return [_map_loop(op, states, body_of)]
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
    for table in (sparse_rules.RULES, row_rules.RULES):
        if op.type in table:
            result = table[op.type](op, inputs)
            if result is not None:
                return result if isinstance(result, list) else [result] * len(op.outputs)
    return [Mixed(f"{op.type} {op.name}")] * len(op.outputs)


WHILE = ("While", "StatelessWhile")


def _while(op, inputs, body_of):
    """Fixed point over the loop variables; the number of turns must not depend on examples."""
    current = list(inputs)
    for _ in range(MAX_TURNS):
        body = body_of(op.get_attr("body").name, op.inputs)
        known = {t.name: s for t, s in zip(body.arguments, current)}
        states = analyse(body.graph, known, body.results, body_of)
        after = [states[t.name] for t in body.results]
        joined = [join(first, second) for first, second in zip(current, after)]
        if joined == current:
            return _if_shared_turns(op, current, body_of)
        current = joined
    return [Mixed(f"{op.type} {op.name}")] * len(op.outputs)


def _if_shared_turns(op, current, body_of):
    condition = body_of(op.get_attr("cond").name, op.inputs)
    known = {t.name: s for t, s in zip(condition.arguments, current)}
    state = analyse(condition.graph, known, condition.results, body_of)[condition.results[0].name]
    if is_shared(state):
        return current
    return [Mixed(f"{op.type} {op.name}, whose number of turns depends on the examples")] * len(
        op.outputs)


def _map_loop(op, states, body_of):
    """tf.map_fn of TensorFlow 1 over the batch: element i is computed from example i alone."""
    loop = map_loop_body(op)
    unproved = Mixed(f"a loop of TensorFlow 1 that ends in {op.name}")
    if loop is None:
        return unproved
    outside = [*loop.mapped, *loop.invariants, *loop.lengths]
    known = analyse(op.graph, states, outside, body_of)  # the order of loops is not that of reading
    if (all(known[tensor.name] == Rows(0) for tensor in loop.mapped)
            and all(is_shared(known[tensor.name]) for tensor in loop.invariants)
            and all(known[tensor.name] == Size((BATCH,)) for tensor in loop.lengths)):
        return Rows(0)
    return unproved
