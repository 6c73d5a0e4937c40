"""What a request of `attributions_custom` chooses: planned as inputs, read in the graph (D10)."""

import dataclasses

import tensorflow as tf

from ig_tf.errors import BaselineError, SignatureError, TargetError
from ig_tf.ig import front, ladder
from ig_tf.ig import recipe as recipes
from ig_tf.ig.layout import shape_first
from ig_tf.ig.targets import TOP, Difference

TARGET, BASELINE, REFINEMENT = "target", "baseline", "refinement"
CHOICES = (TARGET, BASELINE, REFINEMENT)
_OF_POINT = BASELINE + "/"


@dataclasses.dataclass(frozen=True)
class Input:
    """One input of the signature besides those of the model.

    Attributes:
      key: target, baseline/NAME or refinement.
      dtype: name of its type.
      rank: its number of axes; axis 0 is the example.
      takes: a sentence: what may be sent.
    """

    key: str
    dtype: str
    rank: int
    takes: str

    def described(self):
        """As in the plan and the metadata (JSON)."""
        return {"dtype": self.dtype, "shape": [None] * self.rank, "takes": self.takes}


@dataclasses.dataclass(frozen=True)
class Custom:
    """What may be chosen at request time.

    Attributes:
      inputs: the `Input`s, by key.
      rules: the rules that `refinement` chooses from; empty where it is not asked for.
      left_out: sentences: which points keep the baseline of the export, and why.
    """

    inputs: tuple
    rules: tuple
    left_out: tuple

    def described(self):
        """As in the plan and the metadata (JSON)."""
        return {"inputs": {one.key: one.described() for one in self.inputs},
                "refinement_steps": [rule.steps for rule in self.rules],
                "left_out": list(self.left_out)}


@dataclasses.dataclass(frozen=True)
class Request:
    """The choices of one request, checked, in the current graph.

    Attributes:
      target: [batch] int64, or None: the recipe's.
      baselines: {point name: [batch or 1, ...]}; other points start at the recipe's.
      refinement: [batch] int64, places of `Custom.rules`, or None: the recipe's rule.
    """

    target: object = None
    baselines: dict = dataclasses.field(default_factory=dict)
    refinement: object = None

    def of(self, example):
        """The choices for one example, as a request of that example alone."""
        def one(tensor):
            place = tf.minimum(example, tf.shape(tensor)[0] - 1)
            return tensor[place:place + 1]
        return Request(None if self.target is None else one(self.target),
                       {name: one(tensor) for name, tensor in self.baselines.items()},
                       None if self.refinement is None else one(self.refinement))

    def start(self, point, x):
        """The baseline of a point [batch, ...] in the shape of x, or None where it is fixed.

        Alone an example may be narrower than in its batch; its baseline then ends with it.
        """
        sent = self.baselines.get(point.name)
        if sent is None:
            return None
        sent = tf.slice(sent, tf.zeros_like(tf.shape(sent)), tf.minimum(tf.shape(sent),
                                                                       tf.shape(x)))
        return tf.ensure_shape(tf.broadcast_to(sent, tf.shape(x)), x.shape)


def plan(located, recipe, asked):
    """The recipe of `attributions_custom`.

    Args:
      located: with `work`, `layout`.
      recipe: the `Recipe` of `attributions`.
      asked: names of CHOICES, and baseline/NAME for single points. A pooled lookup keeps its
        baseline, and its attributions by id, unless it is named; then it is attributed as the
        vector that it is.

    Returns:
      A `Recipe` with `custom`, or None where nothing is asked for.

    Raises:
      SignatureError: an unknown choice, or the model has an input of that name.
      TargetError: there is one number per example, nothing to choose from.
      BaselineError: no such point, or no point that could take one.
    """
    asked = tuple(dict.fromkeys(asked))
    if not asked:
        return None
    _refuse_unknown(asked)
    target, inputs, rules = recipe.target, [], ()
    points = _points(recipe.points, asked)
    kept = [point for point in points if point.bag] if BASELINE in asked else []
    for point in points:
        if point not in kept and {BASELINE, _OF_POINT + point.name} & set(asked):
            inputs.append(_baseline_input(point))
    if TARGET in asked:
        inputs.append(_target_input(recipe))
        target = dataclasses.replace(target, index=TOP)  # one of axis 1, and not by a constant
    if REFINEMENT in asked:
        rules = ladder.rungs(recipe.rule)
        steps = ", ".join(str(rule.steps) for rule in rules)
        inputs.append(Input(REFINEMENT, "int64", 1, f"0, 1 or 2: {steps} nodes"))
    left_out = (_left_out(kept),) if kept else ()
    if not inputs:
        raise BaselineError(*left_out)
    _refuse_taken(recipe.work, inputs)
    custom = Custom(tuple(sorted(inputs, key=lambda one: one.key)), rules, left_out)
    if points != recipe.points:  # pooled: other tensors are needed of them
        recipe = recipes.prepare(located.work, located.layout, target, points, recipe.baseline,
                                 recipe.rule, recipe.rows_per_chunk, recipe.runtime)
    return dataclasses.replace(recipe, target=target, custom=custom)


def _refuse_unknown(asked):
    unknown = [name for name in asked if name not in CHOICES and not name.startswith(_OF_POINT)]
    if unknown:
        raise SignatureError(f"no choice {', '.join(map(repr, unknown))} for a request; there are: "
                             f"{', '.join(CHOICES)}, and {_OF_POINT}NAME for single points.")


def _points(points, asked):
    """The points as the custom signature has them: pooled where their baseline is asked for."""
    named = [name.removeprefix(_OF_POINT) for name in asked if name.startswith(_OF_POINT)]
    unknown = sorted(set(named) - {point.name for point in points})
    if unknown:
        raise BaselineError(f"{_OF_POINT}{unknown[0]}: there is no such point; the points are: "
                            f"{', '.join(point.name for point in points)}.")
    return tuple(point.without_bag() if point.name in named else point for point in points)


def _left_out(points):
    names = ", ".join(point.name for point in points)
    return (f"{names}: ids that are pooled keep their baseline, since they are attributed one by "
            f"one for a baseline of zero only. Ask by name ({_OF_POINT}{points[0].name}) to have "
            "the pooled vector attributed instead.")


def _baseline_input(point):
    sizes = ", ".join("?" if dim is None else str(dim) for dim in point.shape[1:])
    return Input(_OF_POINT + point.name, point.dtype, len(point.shape),
                 f"[batch{', ' if sizes else ''}{sizes}], or 1 along any axis")


def _target_input(recipe):
    if isinstance(recipe.target.index, Difference):
        raise TargetError(f"target {recipe.target.text()!r} is a difference of two scores; a "
                          "request can choose one score. Leave `target` out of the choices, or "
                          f"take --target={recipe.target.output}:top.")
    if recipe.target.folds:
        raise TargetError(f"output {recipe.target.output!r} has several rows per example, each of "
                          "them explained; a request cannot choose one score. Leave `target` out "
                          "of the choices.")
    tensor = recipe.work.tensor(recipe.target.tensor)
    rest = [] if tensor.shape.rank is None else shape_first(tensor.shape, recipe.target.axis)[1:]
    if len(rest) != 1 or rest[0] == 1:
        raise TargetError(
            f"a target can be chosen per request among the scores of an output [batch, classes]; "
            f"{recipe.target.output!r} has shape {tensor.shape}. Leave `target` out of the "
            "choices, or name another output.")
    most = "its classes - 1" if rest[0] is None else rest[0] - 1
    return Input(TARGET, "int64", 1, f"which score of {recipe.target.output!r}: 0 to {most}")


def _refuse_taken(work, inputs):
    taken = {argument_name(key): key for key in work.inputs}
    for one in inputs:
        name = argument_name(one.key)
        if name in taken:
            raise SignatureError(
                f"there is an input {taken[name]!r} already, so that a request cannot choose "
                f"{one.key!r}; leave it out, or rename the input.")
        taken[name] = one.key


def argument_name(key):
    """What an input is called as an argument: as tf.saved_model.load does it."""
    letters = "".join(letter if letter.isalnum() else "_" for letter in key)
    return letters if letters[:1].isalpha() else "arg_" + letters


def read(recipe, given, values, scores):
    """The choices of a request, checked.

    Args:
      recipe: a `Recipe`.
      given: {key: tensor} of what was sent, among others.
      values: {tensor name: tensor} of the points.
      scores: the target's tensor, one row per example.

    Returns:
      A `Request`; one without choices where the recipe has no `custom`.
    """
    if recipe.custom is None:
        return Request()
    keys = [one.key for one in recipe.custom.inputs]
    batch = tf.shape(scores)[0]
    target = refinement = None
    if TARGET in keys:
        target = _in_range(TARGET, given[TARGET], batch, tf.shape(scores, tf.int64)[1],
                           f"scores of output {recipe.target.output!r}")
    if REFINEMENT in keys:
        refinement = _in_range(REFINEMENT, given[REFINEMENT], batch,
                               tf.constant(len(recipe.custom.rules), tf.int64), "refinements")
    return Request(target, {
        point.name: _fitting(point, given[_OF_POINT + point.name], values[point.tensor], batch)
        for point in recipe.points if _OF_POINT + point.name in keys}, refinement)


def _in_range(key, sent, batch, count, what):
    sent = tf.reshape(sent, [-1])
    number = tf.debugging.Assert(
        tf.equal(tf.size(sent), batch),
        [f"{key}: one number is needed for each example; found", tf.size(sent), "for", batch,
         "examples"])
    wrong = (sent < 0) | (sent >= count)
    within = tf.debugging.Assert(
        tf.logical_not(tf.reduce_any(wrong)),
        [f"{key} out of range: there are", count, f"{what}, from 0 on; found",
         tf.boolean_mask(sent, wrong)])
    with tf.control_dependencies([number, within]):
        return tf.identity(sent)


def _fitting(point, sent, x, batch):
    """The baseline once it is known to have the shape of x, or 1 along an axis."""
    wanted = tf.shape(front.unfolded(point, x, batch))
    rank, found = len(point.shape), tf.shape(sent)
    unknown = tf.equal(batch, 0) & tf.equal(wanted, 0)  # how many rows no example has
    fits = tf.cond(
        tf.equal(tf.rank(sent), rank),
        lambda: tf.reduce_all(tf.equal(tf.reshape(found, [rank]), wanted) | tf.equal(found, 1)
                              | unknown),
        lambda: tf.constant(False))
    fitting = tf.debugging.Assert(
        fits, [f"{_OF_POINT}{point.name} does not fit: found shape", found, "for a point of shape",
               wanted, "(1 along an axis stands for all)"])
    with tf.control_dependencies([fitting]):
        # EnsureShape would let the optimizer take the rank for granted above, too.
        return tf.reshape(sent, tf.stack([found[axis] for axis in range(rank)]))
