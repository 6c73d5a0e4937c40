"""Along which axis of each input the examples lie: not assumed, but tried by the proof of rows.py.

Most models have [batch, ...]; recurrent ones may have [time, batch, ...] beside [batch] and
[layers, batch, ...]. What proves the target's rows to be examples is taken.
"""

import dataclasses
import itertools

from ig_tf.graph import rows
from ig_tf.graph.states import Cycle, Rows

MAX_FREE = 3  # of so many inputs every combination is tried
BLOCKS = "one example after the other"
STEPS = "one step of all examples after the other"


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the examples lie.

    Attributes:
      axes: {input name: axis}, of inputs that are neither scalar nor part of a sparse one.
      states: row states by tensor name, under these axes.
      target_axis: axis of the target's examples; 0 where none is proved.
      folds: None, or how an example's several rows of the target lie: BLOCKS or STEPS.
      count: the number of examples where the inputs fix it, else None. Rows are then those of the
        whole batch: nothing is proved of another number of them.
    """

    axes: dict
    states: dict = dataclasses.field(repr=False)
    target_axis: int = 0
    folds: object = None
    count: object = None

    def chosen(self):
        """Sentences for the plan; none where all lie along axis 0, as they mostly do."""
        moved = sorted(name for name, axis in self.axes.items() if axis)
        target = "; the target's along axis {}, its index is of the other axes"
        along = target.format(self.target_axis) if self.target_axis else ""
        sentence = f"examples lie along axis 1 of {', '.join(moved)}: proved" if moved else (
            "examples lie along axis 0 of the inputs: proved")
        several = f"the target has several rows per example, {self.folds}: each is explained"
        return [sentence + along] * bool(moved or along) + [several] * bool(self.folds)


def find(work, target):
    """The first way in which examples may lie that the proof allows; else along axis 0.

    Args:
      work: the `Work`.
      target: the tensor that is explained.
    """
    first = None
    for axes in _ways(work):
        count = _fixed(work, axes)
        for known in dict.fromkeys((None, count)):
            states = rows.analyse(work.graph, rows.input_states(work, axes), [target],
                                  work.body_of, known)
            state = states[target.name]
            if isinstance(state, Rows) and (state.unit or state.axis == 0):
                return Layout(axes, states, state.axis, None if state.unit else BLOCKS, count)
            if isinstance(state, Cycle):
                return Layout(axes, states, 0, STEPS, count)
        first = first or Layout(axes, states, count=count)
    return first


def _fixed(work, axes):
    """The number of examples that the inputs fix, or None; 1 is as good as any number."""
    sizes = {work.inputs[name].shape[axis] for name, axis in axes.items()
             if work.inputs[name].shape.rank} - {None}
    return sizes.pop() if len(sizes) == 1 and sizes != {1} else None


def _ways(work):
    """{input name: axis} to try, the usual ones first."""
    parts = {part for keys in work.sparse.values() for part in keys}
    inputs = {name: tensor for name, tensor in work.inputs.items()
              if name not in parts and tensor.shape.rank != 0}
    free = [name for name, tensor in inputs.items() if _may_be_second(tensor)]
    wanted = [[], free, [name for name in free if inputs[name].shape.rank > 2],
              [name for name in free if inputs[name].shape[0] is not None
               and inputs[name].shape[1] is None]]
    if len(free) <= MAX_FREE:
        wanted += [chosen for count in range(1, len(free))
                   for chosen in itertools.combinations(free, count)]
    for moved in dict.fromkeys(map(frozenset, wanted)):
        axes = {name: int(name in moved) for name in inputs}
        sizes = {tensor.shape[axes[name]] for name, tensor in inputs.items() if tensor.shape.rank}
        if not moved or len(sizes - {None}) < 2:  # else they are not examples of one batch
            yield axes


def _may_be_second(tensor):
    """Whether axis 1 may hold the examples: not where it alone has a fixed size."""
    if tensor.shape.rank is None or tensor.shape.rank < 2:
        return False
    return tensor.shape[0] is not None or tensor.shape[1] is None
