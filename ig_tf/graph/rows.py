"""Row independence, proved op by op with an allow-list.

`analyse` walks from the inputs to some tensors and gives each tensor a state (states.py). What no
rule covers becomes `Mixed`: not proved, hence treated as if every example could touch every other.
The rules are the tables in row_rules.py, size_rules.py and sparse_rules.py.
"""

from ig_tf.graph import list_rules, row_rules, size_rules, sparse_rules
from ig_tf.graph.loops import map_loop_body
from ig_tf.graph.partitions import STITCHES, parted_lookup
from ig_tf.graph.states import (BATCH, SHARED, Distinct, Mixed, Rows, Size, SparseIndices,
                                SparseShape, Values, is_shared, join)
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
    if op.type in BRANCHES:
        return _branches(op, inputs, body_of)
    if op.type == "TensorArrayGatherV3":
        return [_map_loop(op, states, body_of)]
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
    for table in (sparse_rules.RULES, row_rules.RULES):
        if op.type in table:
            result = table[op.type](op, inputs)
            if result is not None:
                return result if isinstance(result, list) else [result] * len(op.outputs)
    by_value = _by_value(op, inputs)
    return by_value or [Mixed(f"{op.type} {op.name}")] * len(op.outputs)


def _by_value(op, inputs):
    """What a row rule says where rows are values, or distinct ids, and all else is shared."""
    kinds = {state for state in inputs if isinstance(state, (Values, Distinct))}
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


WHILE = ("While", "StatelessWhile")


BRANCHES = {"If": ("then_branch", "else_branch"), "StatelessIf": ("then_branch", "else_branch"),
            "Case": ("branches",), "StatelessCase": ("branches",)}


def _branches(op, inputs, body_of):
    """If and Case by something shared: one of the branches runs for all examples."""
    if not is_shared(inputs[0]):
        reason = (inputs[0].reason if isinstance(inputs[0], Mixed)
                  else f"{op.type} {op.name}, whose branch depends on the examples")
        return [Mixed(reason)] * len(op.outputs)
    joined = [None] * len(op.outputs)
    for name in BRANCHES[op.type]:
        functions = op.get_attr(name)
        for function in functions if isinstance(functions, (list, tuple)) else [functions]:
            body = body_of(function.name, op.inputs[1:])
            known = {t.name: s for t, s in zip(body.arguments, inputs[1:])}
            states = analyse(body.graph, known, body.results, body_of)
            joined = [join(first, states[t.name]) for first, t in zip(joined, body.results)]
    return joined


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
