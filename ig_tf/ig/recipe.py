"""All that decides one attribution function, planned before a tensor is made."""

import dataclasses
import enum

import numpy as np

from ig_tf.errors import GraphError, MethodError, PointError
from ig_tf.graph import affine, surgery
from ig_tf.graph.states import SHARED, Cycle, Distinct, Mixed, Rows, Values
from ig_tf.ig import runtime as runtimes
from ig_tf.ig.front import front_alone, front_by_rows
from ig_tf.ig.methods import MOST_SAMPLES, Method
from ig_tf.ig.through import plan as plan_through


class Mode(enum.Enum):
    """How examples and steps go through the copy; in words, as the plan says it."""

    ROWS = "rows of (example, step) pairs"
    BATCH = "the whole batch of {}, one step at a time"
    ALONE = "one example at a time, one step at a time"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that decides the attribution function, before a tensor is made.

    Attributes:
      work: the `Work`.
      target: the `Target`.
      points: the `Point`s.
      baseline: the `Baseline`.
      rule: the quadrature `Rule`.
      front: `Front`: where the path is integrated, and what leads there from the points.
      copy: `CopyPlan` of the path from the front to the target.
      prefix: `CopyPlan` from the inputs to the points where each example runs alone, else None.
      reason: why each example runs alone, else None.
      rows_per_chunk: a fixed number of rows, or None for the memory budget.
      bytes_per_row: estimate of the activations of one row.
      layout: along which axes the examples lie (`Layout`).
      custom: what a request may choose (`request.Custom`), or None.
      runtime: the `RuntimeProfile`.
      method: the `Method`.
      noise: {point name: array [draws, ...]} that x is moved by; empty: it stays.
      lead: `CopyPlan` from the inputs to the points that start at what the model computes of other
        inputs, or None.
      through: the pools behind the front that can be seen through (`Through`), or None.
    """

    work: object
    target: object
    points: tuple
    baseline: object
    rule: object
    front: object
    copy: object
    prefix: object
    reason: object
    rows_per_chunk: object
    bytes_per_row: int
    layout: object
    custom: object = None
    runtime: object = runtimes.DEFAULT
    method: object = Method()
    noise: dict = dataclasses.field(default_factory=dict)
    lead: object = None
    through: object = None

    @property
    def draws(self):
        """How many ends a path has for each start."""
        return self.method.noise.count if self.method.noise else 1

    @property
    def samples(self):
        """How many paths an example has."""
        return self.baseline.count * self.draws

    @property
    def mode(self):
        if self.prefix is not None:
            return Mode.ALONE
        return Mode.BATCH if self.layout.count else Mode.ROWS

    def frontier_described(self):
        """Where the path is integrated, as in the plan and the metadata (JSON)."""
        behind = {"through_pools": self.through.described()} if self.through else {}
        return {**self.front.described(), **behind}

    def copies(self):
        """The `CopyPlan`s from where the path may be integrated to the target."""
        return [self.copy, *([self.through.copy] if self.through else [])]

    def behind_pools(self):
        """The recipe of the path behind the pools that can be seen through."""
        return dataclasses.replace(
            self, front=self.through.front, copy=self.through.copy, through=None,
            bytes_per_row=_bytes_per_row(self.work, self.through.copy))

    def needed(self):
        """Tensors of the working graph that the function takes from the model, run once."""
        names = [self.target.tensor, *(p.tensor for p in self.points)]
        names += [name for p in self.points for name in p.token_tensors()]
        names += [name for copy in self.copies() for name in copy.shared]
        names += self.front.copy.shared
        if self.through is not None:
            names += self.through.front.copy.shared
        if self.lead is not None:
            names += [*self.lead.replaced, *self.lead.shared]
        if self.mode is Mode.ALONE:
            names += [*self.prefix.replaced, *self.prefix.shared]
        else:
            names += [name for copy in self.copies() for name in (*copy.per_example, *copy.sizes)]
        return [self.work.tensor(name) for name in dict.fromkeys(names)]


def prepare(work, layout, target, points, baseline, rule, rows_per_chunk=None,
            runtime=runtimes.DEFAULT, frontier=affine.find, method=Method()):
    """Plans the copy, by rows where these are proved independent, else example by example.

    `frontier`: chooses where the path is integrated; `affine.at_points` for the points themselves.
    """
    if method.path:
        frontier = affine.at_points  # a path that is bent is not straight behind an affine op
    states = layout.states
    tensors = [work.tensor(point.tensor) for point in points]
    goal = work.tensor(target.tensor)
    _refuse_values(states, tensors)
    if not all(method.keeps_ids() and baseline.is_zero(point) for point in points if point.bag):
        points = [point.without_bag() for point in points]  # an id's share needs a zero baseline
    reason = _not_by_rows(states, points, target)
    prefix = through = None
    if reason is None:
        front = front_by_rows(work, points, goal, layout, frontier)
        copy = surgery.plan_copy(work, front.tensors(work), [goal], states)
        if frontier is not affine.at_points:
            through = plan_through(work, front, goal, states)
    else:
        _refuse_alone(work, target, layout.axes, reason)
        inputs = list(work.inputs.values())
        alone = _alone(work, inputs)
        front = front_alone(work, points, goal, alone, frontier)
        copy = surgery.plan_copy(work, front.tensors(work), [goal], alone)
        outside = [work.tensor(name) for name in (*copy.per_example, *front.copy.per_example)]
        outside += [work.tensor(name) for point in points if point.bag
                    for name in point.token_tensors()]
        prefix = surgery.plan_copy(
            work, inputs, list({t.name: t for t in [*tensors, *outside, goal]}.values()),
            {name: state for name, state in alone.items() if state == SHARED})
    recipe = Recipe(work, target, tuple(points), baseline, rule, front, copy, prefix, reason,
                    rows_per_chunk, _bytes_per_row(work, copy), layout, runtime=runtime,
                    method=method, noise=method.noise.draws(points) if method.noise else {},
                    lead=_lead(work, baseline, points, prefix is not None), through=through)
    if recipe.samples > MOST_SAMPLES:
        raise MethodError(f"{baseline.count} baselines times {recipe.draws} draws of noise are "
                          f"{recipe.samples} paths per example; at most {MOST_SAMPLES}.")
    return recipe


def _lead(work, baseline, points, alone):
    """From the baseline's inputs to the points; alone, from one example's slices of all inputs."""
    if not baseline.led:
        return None
    given = list(work.inputs.values()) if alone else [work.inputs[key] for key in baseline.inputs]
    moved = surgery.downstream(given)
    states = {tensor.name: SHARED for op in work.graph.get_operations() for tensor in op.outputs
              if tensor.name not in moved}
    return surgery.plan_copy(work, given, [work.tensor(point.tensor) for point in points
                                           if point.name in baseline.led], states)


def _refuse_values(states, tensors):
    """A point's rows must be examples, not the values of a sparse feature or distinct ids."""
    for tensor in tensors:
        if isinstance(states.get(tensor.name), (Values, Distinct)):
            raise PointError(
                f"the rows of {tensor.name!r} ({tensor.op.type}) are values of a sparse feature or "
                "ids that examples share, not examples. Choose a point behind the pooling.")


def _not_by_rows(states, points, target):
    """Why rows may not be repeated and regrouped, or None where they may."""
    wanted = {point.tensor: Cycle() if point.steps_first else Rows(point.axis, not point.folded)
              for point in points}
    if not target.folds:
        wanted[target.tensor] = Rows(target.axis)
    for name, rows in wanted.items():
        state = states.get(name)
        if state != rows:
            detail = f": {state.reason} is not known to keep examples apart" if isinstance(
                state, Mixed) else " does not have one row per example"
            return f"{name}{detail}"
    return None


def _refuse_alone(work, target, axes, reason):
    """Alone, an example is a slice of every input."""
    parts = {part for keys in work.sparse.values() for part in keys}
    if target.folds:
        raise GraphError(f"the target has several rows per example, which can only be explained "
                         f"where rows are proved to be examples; they are not: {reason}.")
    for name, axis in axes.items():
        tensor = work.inputs[name]
        if tensor.shape.rank and tensor.shape[axis] not in (None, 1):
            raise GraphError(f"each example would have to run alone ({reason}), but input "
                             f"{name!r} has a fixed batch of {tensor.shape[axis]}.")
    if any(axes.values()):
        return  # proved, not assumed
    free = [name for name, tensor in work.inputs.items()
            if name not in parts and tensor.shape.rank and tensor.shape[0] is None]
    for name, tensor in work.inputs.items():
        if free and tensor.shape.rank and tensor.shape.rank > 1 and tensor.shape[0] == 1 and (
                tensor.shape[1] is None):
            raise GraphError(
                f"input {name!r} {tensor.shape.as_list()} has its examples along axis 1 "
                f"(time-major), others ({', '.join(free)}) along axis 0 or not said. Rows are not "
                f"proved to be examples ({reason}), and examples cannot be run alone that way.")


def _alone(work, inputs):
    """States where one example runs alone: what depends on no input is shared, the rest is not."""
    moved = surgery.downstream(inputs)
    return {tensor.name: (Rows(0) if tensor.name in moved else SHARED)
            for op in work.graph.get_operations() for tensor in op.outputs}


def _bytes_per_row(work, copy):
    total = 0
    operations = {op.name: op for op in work.graph.get_operations()}
    for name in copy.operations:
        for tensor in operations[name].outputs:
            if tensor.dtype.is_floating and tensor.shape.rank:
                dims = [dim or 1 for dim in tensor.shape.as_list()[1:]]
                total += int(np.prod(dims)) * tensor.dtype.size
    return 2 * total  # forward values are kept for the backward pass
