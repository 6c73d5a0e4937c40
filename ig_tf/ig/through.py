"""Pools that can be seen through, and the path behind them, planned before a tensor is made."""

import dataclasses

from ig_tf.graph import surgery, winners
from ig_tf.graph.states import SHARED, Rows, is_shared
from ig_tf.ig import front


@dataclasses.dataclass(frozen=True)
class Through:
    """The pools of a recipe, and the path behind them.

    Attributes:
      pools: `ig_tf.graph.winners.Pool`s, in the order of `front.places`.
      front: `Front` of their outputs; its copy leads from the first front to their operands.
      copy: `CopyPlan` from their outputs to the target.
      steps: for each pool a `CopyPlan` for each op of its chain, and one for itself.
    """

    pools: tuple
    front: object
    copy: object
    steps: tuple

    def described(self):
        """As in the plan and the metadata (JSON)."""
        return [place["tensor"] for place in self.front.described()["tensors"]]


def plan(work, first, goal, states):
    """The pools behind a front, or None; where rows are proved to be examples.

    Args:
      work: the `Work`.
      first: `Front` where the path is integrated otherwise.
      goal: tensor that is explained.
      states: row states by tensor name.
    """
    pools = winners.find(work.graph, first.tensors(work), goal)
    outputs = [work.tensor(pool.output) for pool in pools]
    rows = [states.get(tensor.name) for tensor in outputs]
    if not pools or not all(isinstance(one, Rows) and one.unit for one in rows):
        return None
    given = {place.tensor for place in first.places}
    operands = [work.tensor(pool.operand) for pool in pools]
    everything = {tensor.name: SHARED for op in work.graph.get_operations()
                  for tensor in op.outputs}
    stage = surgery.plan_copy(work, first.tensors(work), list({
        tensor.name: tensor for tensor in operands if tensor.name not in given}.values()),
        everything)
    alike = first.row_wise and all(map(is_shared, map(states.get, stage.shared))) and all(
        states.get(tensor.name) == Rows(0) for tensor in operands)
    places = tuple(front.place_of(tensor, state) for tensor, state in zip(outputs, rows))
    steps = tuple(tuple(_step(work, name) for name in (*pool.chain, pool.operation))
                  for pool in pools)
    return Through(pools, front.Front(places, stage, stage.operations, alike),
                   surgery.plan_copy(work, outputs, [goal], states), steps)


def _step(work, name):
    op = work.graph.get_operation_by_name(name)
    return surgery.plan_copy(work, [op.inputs[0]], [op.outputs[0]], {})
