"""Where the path is integrated: at the affine frontier, with one vector-Jacobian product behind it.

What lies between the points and the frontier is affine, so its value runs along a straight line
too, and its derivative J is the same all along: IG = (x - x') * J^T * integral(dF/dz).
"""

import dataclasses

import tensorflow as tf

from ig_tf.graph import affine, surgery
from ig_tf.graph.batch_axes import BLOCKS, STEPS
from ig_tf.graph.states import SHARED, Rows, is_shared
from ig_tf.graph.work import source_name
from ig_tf.ig import integrate
from ig_tf.ig.layout import (examples_back, examples_first, folds_apart, folds_together,
                             shape_first)


@dataclasses.dataclass(frozen=True)
class Place:
    """A tensor that the path is integrated in.

    Attributes:
      tensor: its name in the working graph.
      shape: static shape as a tuple, None where unknown; with `folded`, axis 1 holds the rows of
        one example.
      folded: whether an example has several rows of the tensor, one after another.
      axis: where its examples lie in the model's own tensor; they come first in `shape`.
      steps_first: how these rows lie in the model's own tensor: each step of all examples after
        the other, or each example after the other.
      silent: whether no derivative comes back to it.
    """

    tensor: str
    shape: tuple
    folded: bool
    axis: int = 0
    steps_first: bool = False
    silent: bool = False


@dataclasses.dataclass(frozen=True)
class Front:
    """The tensors that the path is integrated in, and what leads there from the points.

    Attributes:
      places: a `Place` for each.
      copy: `CopyPlan` from the points to those that are no points themselves.
      crossed: names of the ops in between, which run once per request.
      row_wise: whether a row of each of these depends on the same row of the points alone.
    """

    places: tuple
    copy: object
    crossed: tuple
    row_wise: bool

    def tensors(self, work):
        return [work.tensor(place.tensor) for place in self.places]

    def described(self):
        """As in the plan and the metadata (JSON)."""
        return {"tensors": [{"tensor": source_name(place.tensor),
                             "shape": None if place.shape is None else list(place.shape)}
                            for place in self.places],
                "hoisted_ops": len(self.crossed)}


def front_by_rows(work, points, goal, layout, choose=affine.find):
    """The front where rows are examples: each of its tensors has rows of examples, too.

    Args:
      work: the `Work`.
      points: the `Point`s.
      goal: tensor that is explained.
      layout: how the examples lie (`Layout`).
      choose: `affine.find`, `affine.at_points` or another with the same arguments.
    """
    given, states = {point.tensor for point in points}, layout.states

    def usable(tensor):
        state = states.get(tensor.name)
        return tensor.name in given or (tensor.shape.rank and isinstance(state, Rows)
                                        and (state.unit or state.axis == 0))

    found = choose(work.graph, [work.tensor(p.tensor) for p in points], goal, usable)
    places = _places(points, found, lambda tensor: states[tensor.name])
    # The whole batch goes through once: all else is as the model has it.
    copy = _copy(work, points, found, {tensor.name: SHARED for op in work.graph.get_operations()
                                       for tensor in op.outputs})
    rows = [*found.tensors, *(work.tensor(point.tensor) for point in points)]
    own = layout.count is None and all(states.get(tensor.name) == Rows(0) for tensor in rows)
    row_wise = own and all(is_shared(states.get(name)) for name in copy.shared)
    return Front(places, copy, found.operations, row_wise)


def front_alone(work, points, goal, alone, choose=affine.find):
    """The front where one example runs at a time; arguments as `front_by_rows`."""
    found = choose(work.graph, [work.tensor(p.tensor) for p in points], goal, lambda tensor: True)
    places = _places(points, found, lambda tensor: Rows(0))
    return Front(places, _copy(work, points, found, alone), found.operations, False)


def _places(points, found, state_of):
    of_points = {point.tensor: Place(point.tensor, point.shape, point.folded, point.axis,
                                     point.steps_first, point.tensor in found.silent)
                 for point in points}
    return tuple(of_points.get(tensor.name)
                 or place_of(tensor, state_of(tensor), tensor.name in found.silent)
                 for tensor in found.tensors)


def place_of(tensor, state, silent=False):
    """The `Place` of a tensor whose rows have a state."""
    if tensor.shape.rank is None:
        return Place(tensor.name, None, not state.unit, state.axis, silent=silent)
    shape = shape_first(tensor.shape.as_list(), state.axis)
    return Place(tensor.name, tuple(shape if state.unit else [None, None, *shape[1:]]),
                 not state.unit, state.axis, silent=silent)


def _copy(work, points, found, states):
    given = [work.tensor(point.tensor) for point in points]
    names = {tensor.name for tensor in given}
    return surgery.plan_copy(work, given, [t for t in found.tensors if t.name not in names],
                             states)


def unfolded(place, tensor, batch):
    """[batch, k, ...] of a folded tensor's [batch * k, ...]; others with their examples first."""
    if not place.folded:
        return examples_first(tensor, place.axis)
    return folds_apart(tensor, _layout(place), batch)


def folded(place, rows):
    """The rows of the graph's own tensor again."""
    return folds_together(rows, _layout(place)) if place.folded else examples_back(rows, place.axis)


def placed(recipe, rows):
    """{tensor name: value} of rows of the path in the recipe's front."""
    return {place.tensor: folded(place, row) for place, row in zip(recipe.front.places, rows)}


def _layout(place):
    return STEPS if place.steps_first else BLOCKS


@dataclasses.dataclass(frozen=True)
class Line:
    """The straight line at the points and at the front, in the current graph.

    Attributes:
      inputs: tensors x, one per point.
      baselines: tensors x', or what they are broadcast from.
      ends: values of the front at x, one per place.
      starts: the same at x'.
      pulled_back: function(integrals of dF/dz, one per place) -> of dF/dx, one per point.
    """

    inputs: list
    baselines: list
    ends: list
    starts: list
    pulled_back: object


def line(recipe, xs, baselines, values):
    """The line between points.

    Args:
      recipe: a `Recipe`.
      xs, baselines: one tensor per point, unfolded.
      values: {tensor name: tensor} with the front's tensors at x, and what its copy needs.
    """
    front, batch = recipe.front, tf.shape(xs[0])[0]
    outside = {name: values[name] for name in (*front.copy.shared, *front.copy.per_example)}
    at_x = {point.tensor: x for point, x in zip(recipe.points, xs)}
    at_start = {point.tensor: start for point, start in zip(recipe.points, baselines)}
    raw = {point.tensor: folded(point, x) for point, x in zip(recipe.points, xs)}
    # Not taken from the model: a tensor that is read twice is not fused with what comes behind it,
    # and the model's answer would be another one, in its last bit.
    made = surgery.copy(recipe.work, front.copy, {**outside, **raw})
    places = {place.tensor: place for place in front.places}
    at_x.update({name: unfolded(places[name], tensor, batch) for name, tensor in made.items()})
    at_start.update(_starts(recipe, xs, baselines, outside, batch))

    def pulled_back(integrals):
        return _pulled_back(recipe, raw, made, integrals, batch)

    return Line(xs, [_narrow(start) for start in baselines], [at_x[name] for name in places],
                [at_start[name] for name in places], pulled_back)


def _starts(recipe, xs, baselines, outside, batch):
    """{tensor name: value at the baseline} of the front; of one row where all rows are alike."""
    front = recipe.front
    places = {place.tensor: place for place in front.places}
    alike = front.row_wise and all(_narrow(start) is not start for start in baselines)
    given = {}
    for point, start, x in zip(recipe.points, baselines, xs):
        if alike:  # neither a slice of all rows nor their shape: they would have to be made for it
            row = tf.concat([[1], tf.shape(x)[1:]], 0)
            start = tf.ensure_shape(tf.broadcast_to(_narrow(start), row), [1, *start.shape[1:]])
        given[point.tensor] = folded(point, start)
    made = surgery.copy(recipe.work, front.copy, {**outside, **given})
    if alike:
        return {name: tf.broadcast_to(tensor, tf.concat([[batch], tf.shape(tensor)[1:]], 0))
                for name, tensor in made.items()}
    return {name: unfolded(places[name], tensor, batch) for name, tensor in made.items()}


def _narrow(start):
    """A baseline before it was repeated for all rows; itself where they may differ."""
    if start.op.type != "BroadcastTo" or start.shape.rank is None:
        return start
    source = start.op.inputs[0]
    known = source.shape.rank is not None
    return source if known and source.shape.rank < start.shape.rank else start


def _pulled_back(recipe, raw, made, integrals, batch):
    """One vector-Jacobian product; the integral at a point that the front has itself is its own."""
    own = {place.tensor: integral for place, integral in zip(recipe.front.places, integrals)}
    upstream = {place.tensor: tf.cast(folded(place, integral), made[place.tensor].dtype)
                for place, integral in zip(recipe.front.places, integrals)
                if place.tensor in made}
    gradients = [None] * len(raw)
    if made:
        inputs = list(raw.values())  # one may be what the model computes of another
        gradients = tf.gradients(list(made.values()), inputs, stop_gradients=inputs,
                                 grad_ys=[upstream[name] for name in made])
    results = []
    for point, gradient in zip(recipe.points, gradients):
        wide = integrate.accumulator(raw[point.tensor].dtype)
        parts = [own[point.tensor]] if point.tensor in own else []
        if gradient is not None:
            gradient = tf.cast(tf.convert_to_tensor(gradient), wide)
            parts.append(unfolded(point, gradient, batch))
        results.append(tf.add_n(parts))
    return results
