"""Row states of what functional loops and branches give.

Three proofs for a loop. Its number of turns is the same for all examples, and so are the states of
its variables from turn to turn. Or it has one turn for each example, which sees that example alone
(map_fn). Or it turns as often as the longest example needs, and leaves the others as they are
(dynamic_rnn with sequence lengths).
"""

import dataclasses

import numpy as np

from ig_tf.graph.fixed_rules import lifted_variables
from ig_tf.graph.functional import bodies_of
from ig_tf.graph.shape_values import static
from ig_tf.graph.states import BATCH, Elements, Mixed, Size, Turn, is_shared, join
from ig_tf.graph.walk import through

MAX_TURNS = 8  # of the fixed point over a loop body; states only ever get less precise


def of_branches(op, inputs, body_of, analyse):
    """All branches, if all examples take the same."""
    if not is_shared(inputs[0]):
        return [Mixed(f"{op.type} {op.name}, whose branch depends on the examples")] * len(
            op.outputs)
    joined = [None] * len(op.outputs)
    for body in bodies_of(op, body_of):
        known = {t.name: s for t, s in zip(body.arguments, inputs[1:])}
        states = analyse(body.graph, known, body.results, body_of)
        joined = [join(first, states[t.name]) for first, t in zip(joined, body.results)]
    return joined


def of_while(op, inputs, states, body_of, analyse, count=None):
    """States of the outputs of a functional loop; `states` are those of the graph around it.

    `count`: the number of examples, where it is fixed; what starts equal for all may be rows then.
    """
    found = _of_while(op, inputs, states, body_of, analyse)
    if count and _unproved(found):
        for starts in _Loop(op, inputs, body_of, analyse).starts_of_rows(count):
            other = found if starts == inputs else _of_while(op, starts, states, body_of, analyse)
            found = min(found, other, key=_unproved)
    return found


def _unproved(states):
    """How many of them are not; that of the number of turns often is not, and nobody asks."""
    return sum(isinstance(state, Mixed) for state in states)


def _of_while(op, inputs, states, body_of, analyse):
    loop = _Loop(op, inputs, body_of, analyse)
    if any(isinstance(state, Elements) for state in inputs):
        found = loop.over_examples()
        if found is not None:
            return found
    current = loop.fixed_point()
    if current is None:
        return [Mixed(f"{op.type} {op.name}")] * len(op.outputs)
    if is_shared(loop.condition_state(current)):
        return current
    if loop.finished_examples_stay(current, states):
        return [Mixed(f"the number of turns of {op.name}") if number in loop.counters else state
                for number, state in enumerate(current)]
    return [Mixed(f"{op.type} {op.name}, whose number of turns depends on the examples")] * len(
        op.outputs)


@dataclasses.dataclass(frozen=True)
class _Limit:
    """The loop goes on while the turn's number is less than this."""

    tensor: object  # of the condition
    outside: object  # the same before the loop, or None


class _Loop:
    """One functional loop under analysis."""

    def __init__(self, op, inputs, body_of, analyse):
        self.op, self.inputs, self.body_of, self.analyse = op, inputs, body_of, analyse
        # What goes round has the shape that holds for all turns; a handle knows more outside.
        self.arguments = [outer if outer.dtype == "resource" else inner
                          for outer, inner in zip(op.inputs, op.outputs)]
        self.body = body_of(op.get_attr("body").name, self.arguments)
        self.condition = body_of(op.get_attr("cond").name, self.arguments)
        self.counters = [k for k in range(len(self.body.results)) if self._counts(k)]

    def _counts(self, number):
        """Whether a variable is 0, 1, 2, ... in the turns."""
        add = through(self.body.results[number]).op
        if add.type not in ("Add", "AddV2") or not _is(self.op.inputs[number], 0):
            return False
        return any(self._argument(one, self.body) == number and _is(other, 1)
                   for one, other in (add.inputs, list(add.inputs)[::-1]))

    def _argument(self, tensor, body):
        """The number of the loop variable that a tensor inside is, or None."""
        tensor = through(tensor)
        for number, argument in enumerate(body.arguments):
            if argument.name == tensor.name:
                return number
        return None

    def _outside(self, tensor, body):
        """The tensor before the loop that one inside is, if the loop does not change it."""
        number = self._argument(tensor, body)
        if number is None or self._argument(self.body.results[number], self.body) != number:
            return None
        return through(self.op.inputs[number])

    def starts_of_rows(self, count):
        """States of the variables to try where constants hold one slice for each example."""
        numbers = range(len(self.body.results))
        changed = [number for number in numbers
                   if self._argument(self.body.results[number], self.body) != number]
        yield lifted_variables(self.op.inputs, self.inputs, changed, count)
        wide = [number for number in numbers if (self.op.inputs[number].shape.rank or 0) > 1]
        yield lifted_variables(self.op.inputs, self.inputs, {*changed, *wide}, count)

    def states_of(self, body, known):
        return self.analyse(body.graph, {t.name: s for t, s in zip(body.arguments, known)},
                            body.results, self.body_of)

    def fixed_point(self):
        current = list(self.inputs)
        for _ in range(MAX_TURNS):
            states = self.states_of(self.body, current)
            after = [states[t.name] for t in self.body.results]
            joined = [join(first, second) for first, second in zip(current, after)]
            if joined == current:
                return current
            current = joined
        return None

    def condition_state(self, current):
        return self.states_of(self.condition, current)[self.condition.results[0].name]

    def _limits(self):
        """All that the turn's number must be less than, or None if it is about anything else."""
        found, queue = [], [self.condition.results[0]]
        while queue:
            tensor = through(queue.pop())
            op = tensor.op
            if op.type == "LogicalAnd":
                queue.extend(op.inputs)
            elif op.type == "Less" and self._argument(op.inputs[0],
                                                      self.condition) in self.counters:
                found.append(_Limit(op.inputs[1], self._outside(op.inputs[1], self.condition)))
            elif not _is(tensor, True):
                return None
        return found

    def over_examples(self):
        """The states if there is one turn for each example, else None."""
        limits = self._limits()
        if not limits:
            return None
        known = [Turn() if number in self.counters else state
                 for number, state in enumerate(self.inputs)]
        states = self.states_of(self.condition, known)
        tensors = {t.name: s for t, s in zip(self.condition.arguments, known)}
        for limit in limits:
            name = limit.tensor.name
            if states.get(name, tensors.get(name)) != Size((BATCH,)):
                return None
        states = self.states_of(self.body, known)
        found = []
        for number, (tensor, before) in enumerate(zip(self.body.results, known)):
            after = states[tensor.name]
            if number in self.counters:
                found.append(Size((BATCH,)))
            elif self._argument(tensor, self.body) == number:  # or turns would tell places
                found.append(before)
            elif isinstance(before, Elements) and isinstance(after, Elements):
                found.append(after)
            else:
                return None
        return found

    def finished_examples_stay(self, current, around):
        """Whether turns beyond an example's own length change nothing of it.

        The loop goes on while turn < limit, and each limit is made by minimum and maximum of
        shared numbers and of the greatest of the lengths. For a turn within an example's length
        whether it takes place then does not depend on other examples.
        """
        limits = self._limits()
        if not limits:
            return False
        lengths = set()
        states = self.states_of(self.condition, current)
        for limit in limits:
            if not is_shared(states.get(limit.tensor.name)) and not (
                    limit.outside is not None and _longest(limit.outside, around, lengths)):
                return False
        return len(lengths) == 1 and all(
            self._stays(number, lengths) for number in range(len(self.body.results)))

    def _stays(self, number, lengths):
        result = through(self.body.results[number])
        if number in self.counters or self._argument(result, self.body) == number:
            return True
        if result.op.type == "TensorListSetItem":
            return self._writes_zeros(number, result.op, lengths)
        chosen = self._if_finished(result, lengths)
        return chosen is not None and self._argument(chosen, self.body) == number

    def _writes_zeros(self, number, op, lengths):
        """Whether finished examples get zeros, which is what was never written too."""
        made = through(self.op.inputs[number]).op
        chosen = self._if_finished(through(op.inputs[2]), lengths)
        return (made.type == "TensorListReserve" and chosen is not None
                and self._argument(op.inputs[0], self.body) == number
                and self._argument(op.inputs[1], self.body) in self.counters
                and _readers(self.body.arguments[number]) == [op.name]
                and self._is_zero(chosen))

    def _is_zero(self, tensor):
        outside = self._outside(tensor, self.body)
        tensor = through(outside if outside is not None else tensor)
        while tensor.op.type in ("Fill", "Identity", "ZerosLike"):
            if tensor.op.type == "ZerosLike":
                return True
            tensor = tensor.op.inputs[-1]
        value = static(tensor)
        return value is not None and not np.any(value)

    def _if_finished(self, tensor, lengths):
        """What is chosen where turn >= length, or None."""
        op = tensor.op
        if op.type not in ("Select", "SelectV2"):
            return None
        asked = through(op.inputs[0])
        while asked.op.type in ("ExpandDims", "Reshape", "Tile", "BroadcastTo"):
            asked = through(asked.op.inputs[0])
        if asked.op.type == "GreaterEqual":
            turn, length = asked.op.inputs
        elif asked.op.type == "LessEqual":
            length, turn = asked.op.inputs
        else:
            return None
        outside = self._outside(length, self.body)
        known = outside is not None and outside.name in lengths
        if not known or self._argument(turn, self.body) not in self.counters:
            return None
        return op.inputs[1]


def _longest(tensor, around, lengths):
    """Whether a number is made of shared ones and of the greatest length; collects the lengths."""
    tensor = through(tensor)
    if is_shared(around.get(tensor.name)):
        return True
    if tensor.op.type in ("Minimum", "Maximum"):
        return all([_longest(operand, around, lengths) for operand in tensor.op.inputs])
    if tensor.op.type == "Max" and tensor.op.inputs[0].shape.rank == 1:
        lengths.add(through(tensor.op.inputs[0]).name)
        return True
    return False


def _readers(tensor):
    """Names of the ops that read a tensor, or an Identity of it."""
    found = []
    for op in tensor.consumers():
        found.extend(_readers(op.outputs[0]) if op.type == "Identity" else [op.name])
    return found


def _is(tensor, number):
    value = static(tensor)
    return value is not None and np.ndim(value) == 0 and value == number
