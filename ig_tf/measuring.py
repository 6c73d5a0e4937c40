"""The measurements that the checks of `ig_tf.run.verdicts` need: these run the model."""

import dataclasses

import numpy as np

from ig_tf import baseline_candidates
from ig_tf.errors import BaselineError, GraphError, PointError, ResultsError
from ig_tf.ig import random_weights, targets
from ig_tf.points import unit_norm
from ig_tf.run import checks, elsewhere, looks, verdicts
from ig_tf.run.results import status_of

MOST_LOOKED = 8  # examples that are taken apart
_FINER = 4  # times as many nodes for what a file is compared with
# Parts of a `Reference` that are known of a point's own numbers alone.
_BEHIND = ("integral", "at_x", "at_x_times_change", "integral_times_x")
# What a model may refuse of a setting that it was not exported with.
NOT_FOR_THIS_MODEL = (BaselineError, GraphError, PointError)


@dataclasses.dataclass(frozen=True)
class Examples:
    """Those that are taken apart.

    Attributes:
      rerun: the `Rerun`.
      wanted: positions of records.
      results: the `Result` of each.
      tolerance: relative completeness error that is asked for.
    """

    rerun: object
    wanted: list
    results: list
    tolerance: float

    @property
    def names(self):
        return [result.id for result in self.results]

    def looks(self, plan, replaced=()):
        return self.rerun.looks(plan, self.wanted, self.names, replaced)


def of_target(rerun):
    """{measurement: value} of the target alone."""
    located = rerun.located()
    logits = targets.before_squashing(located.work, located.target)
    return {"logits": logits, "squashed": logits is not None}


def norms(plan, looked):
    """Points of ids whose vectors are held to one length, by the graph or by their numbers."""
    found = []
    for point in plan.recipe.points:
        if point.kind not in ("tokens", "pooled"):
            continue
        op = unit_norm.scaled_by_own_norm(plan.recipe.work.tensor(point.tensor))
        how = f"scaled by its norm at {op.name.rpartition('/')[2]}" if op is not None else (
            "all vectors have one length" if looks.one_length(looked, point.name) else None)
        if how:
            zero = not np.any(plan.recipe.baseline.values[point.name])
            found.append({"point": point.name, "how": how, "zero": zero})
    return found


def random(examples, plan, looked):
    """Attributions with random weights against the model's own; None where there are no weights."""
    names = random_weights.weights(plan.recipe)
    if not names:
        return None
    found = {"count": {}, "tables": sorted({point.name for point in plan.recipe.points
                                            if point.table}),
             "inside": random_weights.read_inside(plan.recipe)}
    for part, share in random_weights.SHARES.items():
        chosen = random_weights.nearest(names, share)
        examples.rerun.say(f"attributions with {len(chosen)} of {len(names)} weights random")
        found["count"][part] = len(chosen)
        found[part] = verdicts.likeness(looked, examples.looks(plan, chosen))
    return found


def of_baselines(examples, looked, candidates):
    """{name of a candidate: its `Look`s}; what the model does not allow is left out, and said."""
    found = {}
    for candidate in candidates:
        examples.rerun.say(f"trying baseline {candidate.name}")
        try:
            found[candidate.name] = examples.looks(examples.rerun.plan(baseline=candidate.values))
        except NOT_FOR_THIS_MODEL as error:
            examples.rerun.say(f"baseline {candidate.name} is not for this model: {error}")
    return found


def candidates(examples, looked):
    """The baselines that make sense for the points of these examples."""
    tokens = {}
    for point in looked[0].points:
        shown = [next((p.tokens for p in result.points if p.name == point.name), None)
                 for result in examples.results]
        if all(one is not None for one in shown):
            tokens[point.name] = shown
    return baseline_candidates.candidates(baseline_candidates.seen(looked, tokens))


def ranked(examples, by_baseline, tried, of_the_target, folder):
    """`checks.Ranked`, best first."""
    found = []
    for candidate in tried:
        if candidate.name not in by_baseline:
            continue
        looked = by_baseline[candidate.name]
        errors = [error for error in (look.completeness_error() for look in looked)
                  if error is not None]
        measured = {"rows": [_row(look) for look in looked], "tolerance": examples.tolerance,
                    "helps": "", "looks": looked, **of_the_target}
        found.append(checks.Ranked(
            candidate.name, candidate.question, candidate.flag(folder),
            float(np.median(errors)) if errors else None,
            verdicts.judged(measured, names=verdicts.OF_BASELINE)))
    return tuple(sorted(found, key=lambda one: one.order()))


def _row(look):
    error = look.completeness_error()
    absolute = abs(float(look.features().sum()) - (look.prediction - look.baseline_prediction))
    status = status_of(look.prediction, look.baseline_prediction, absolute, error)
    return checks.Row(look.id, status, look.prediction, look.baseline_prediction, error or 0.0)


def file(examples, path):
    """What a file of attributions is, against the model's own with more nodes.

    Raises:
      ResultsError: it does not fit the examples or the points.
    """
    steps = min(_FINER * examples.rerun.loaded.metadata["rule"]["steps"], checks.MAX_STEPS)
    examples.rerun.say(f"comparing {path} with {steps} nodes")
    plan = examples.rerun.plan(steps=steps)
    given = elsewhere.read(path, [point["name"] for point in
                                  examples.rerun.loaded.metadata["points"]])
    count = min(len(arrays) for arrays in given.values())
    kept = [place for place, position in enumerate(examples.wanted) if position < count]
    if not kept:
        raise ResultsError(f"{path} has {count} examples, none of those that were looked at.")
    looked = examples.looks(plan)
    pairs = [_pair(examples, given, place, looked[place]) for place in kept]
    return elsewhere.judged([one for one, _ in pairs], [other for _, other in pairs])


def _pair(examples, given, place, look):
    """(vector of the file, `Reference`) of one example."""
    vectors, parts = [], {"right": [], **{name: [] for name in _BEHIND}}
    metadata = examples.rerun.loaded.metadata["points"]
    for point, described in zip(look.points, metadata):
        array = given.get(described["name"], [None] * (examples.wanted[place] + 1))[
            examples.wanted[place]]
        if array is None:
            continue
        shown = next((p.scores for p in examples.results[place].points
                      if p.name == described["name"]), None)
        form = elsewhere.as_given(array, point.x.shape, np.shape(shown))
        vectors.append(np.ravel(array))
        if form is None:  # ids of a bag: their sums are known, and nothing behind them
            parts["right"].append(np.ravel(shown))
            parts.update(dict.fromkeys(_BEHIND))
            continue
        parts["right"].append(form(point.attributions))
        for name in _BEHIND:
            if parts[name] is not None:
                parts[name].append(form(getattr(point, name)))
    joined = {name: None if arrays is None else np.concatenate(arrays)
              for name, arrays in parts.items()}
    return np.concatenate(vectors), elsewhere.Reference(
        prediction=look.prediction, baseline_prediction=look.baseline_prediction, **joined)
