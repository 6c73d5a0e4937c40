"""The verb `check`: is an instrumented model's attribution to be believed, and if not, what then.

It instruments the same model again with other settings, in a temporary folder, and runs these on
the examples that fail; the artifact itself is not touched.
"""

import dataclasses
import tempfile

import numpy as np

from ig_tf import api, starting, trials
from ig_tf.errors import BaselineError, IgTfError
from ig_tf.ig import attach, methods, targets
from ig_tf.run import apart, artifact, checks
from ig_tf.run.attribute import attribute, input_values, some_records

MAX_TRIED = 3  # failing examples that other settings are tried on: the worst and the median ones
_OTHER_RULES = ("graded_2", "graded_3")
_NOISE = ("noise:0.001", "noise:0.01")


def check(model, input, limit=16, tolerance=checks.TOLERANCE, max_steps=checks.MAX_STEPS,
          say=lambda text: None):
    """Checks attributions on some inputs.

    Args:
      model: directory of an instrumented SavedModel.
      input: file of records.
      limit: so many records at most.
      tolerance: relative completeness error per example that is asked for.
      max_steps: nodes to try at most.
      say: called with a sentence before each longer step.

    Returns:
      A `ig_tf.run.checks.Check`.
    """
    loaded = artifact.load(model)
    results = attribute(loaded, input, limit=limit)
    rows = [checks.Row(r.id, r.status, r.prediction, r.baseline_prediction, r.relative_error)
            for r in results]
    failing = [index for index, row in enumerate(rows) if row.status == "capped"]
    failing = _worst_and_median(failing, rows)
    tried, entropy, rows_apart = (), None, None
    if results:
        say("comparing a batch with its examples one by one")
        rows_apart = apart.measure(loaded, some_records(loaded, input, limit))
    if results and not loaded.folded:
        with tempfile.TemporaryDirectory() as folder:
            bench = _Bench(loaded, input, folder, say)
            rows, entropy = _profiled(bench, rows, failing)
            if failing:
                rows = _more_steps(bench, rows, failing, tolerance, max_steps)
                tried = _tried(bench, failing, tolerance)
    steps = loaded.metadata["rule"]["steps"]
    return checks.Check(tuple(rows), tolerance, steps, entropy, tuple(tried),
                        checks.advice(rows, entropy, tried, tolerance, steps), rows_apart)


def _worst_and_median(failing, rows):
    order = sorted(failing, key=lambda index: rows[index].relative_error)
    if len(order) <= MAX_TRIED:
        return failing
    return sorted({order[-1], order[-2], order[len(order) // 2]})


@dataclasses.dataclass
class _Bench:
    """The same model, to be instrumented with one thing changed."""

    loaded: artifact.Artifact
    input: object
    folder: str
    say: object

    def plan(self, **changes):
        metadata = self.loaded.metadata
        model = api.load(self.loaded.path, metadata["source"]["tags"],
                         metadata["source"]["signature"], **metadata["source"].get("asked", {}))
        settings = {"target": metadata["target"]["text"],
                    "points": [point["tensor"] for point in metadata["points"]],
                    "baseline": None, "steps": metadata["rule"]["steps"],
                    "rule": metadata["rule"]["name"], **changes}
        method = methods.resolve(metadata.get("method", {}).get("text", methods.DEFAULT))
        if method.row.nodes != methods.ALONG:  # it has no rule; its steps are of all baselines
            settings.update(rule=changes.get("rule"), steps=None)
        if method.row.nodes == methods.STRATA:
            steps = changes.get("steps", metadata["rule"]["steps"])
            settings["steps"] = steps * metadata["baseline_samples"]["count"]
        baseline = settings.pop("baseline")
        located = api.locate(model, settings.pop("target"), settings.pop("points"))
        values = metadata["baseline_values"]
        if baseline is None and values is None:  # samples, or inputs: made again as asked for
            baseline = _made_again(metadata["baseline"], located)
        elif baseline is None:  # points may be named differently when they are named by tensor
            baseline = {point.name: values[old["name"]] for point, old in zip(
                located.cut.points, metadata["points"])}
        return api.instrument(located, baseline=baseline, method=method, **settings)

    def run(self, plan, wanted, build=attach.outputs):
        """Raw outputs of another artifact, for the wanted examples only: {key: [wanted, ...]}."""
        other = trials.opened(plan, self.folder, build)
        rows = input_values(other, self.input, wanted)
        answers = [other.answer([row]) for row in rows]
        return {key: np.concatenate([answer[key] for answer in answers]) for key in answers[0]}


def _made_again(text, located):
    """The baseline of an artifact by what it was asked for as."""
    try:
        return starting.resolve(text, located)
    except IgTfError as error:
        raise BaselineError(
            f"the check looks at variants of the artifact, which need its baseline, {text!r}, once "
            "more: samples that were given in Python are not kept, and a file has to be where it "
            f"was ({error})") from error


def _profiled(bench, rows, failing):
    """F along the path of the failing rows, and the entropy of the output at the baseline."""
    bench.say("looking at F along the path")
    wanted = failing or [0]
    found = bench.run(bench.plan(), wanted, attach.profile(checks.ALPHAS))
    for index, path in zip(failing, found["path"]):
        rows[index] = dataclasses.replace(rows[index], path=tuple(map(float, path)))
    return rows, checks.normalized_entropy(found["baseline_scores"][0])


def _more_steps(bench, rows, failing, tolerance, max_steps):
    """Doubles the nodes until each failing row is fine twice in a row, or up to the limit."""
    max_steps -= max_steps % 2  # nodes of a pilot come in pairs
    steps, left, good = bench.loaded.metadata["rule"]["steps"], list(failing), {}
    while left and steps < max_steps:
        steps = min(2 * steps, max_steps)
        bench.say(f"trying {steps} nodes on {len(left)} examples")
        errors = bench.run(bench.plan(steps=steps), left)["relative_error"]
        for index, error in zip(list(left), errors):
            tried = (*(rows[index].errors or _first(bench, rows[index])), (steps, float(error)))
            rows[index] = dataclasses.replace(rows[index], steps_tried=steps, errors=tried)
            if error > tolerance:
                good.pop(index, None)
            elif index in good or steps == max_steps:
                rows[index] = dataclasses.replace(rows[index],
                                                  steps_needed=good.get(index, steps))
                left.remove(index)
            else:
                good[index] = steps
    return rows


def _first(bench, row):
    """The number of nodes that the artifact has, and its error."""
    return ((bench.loaded.metadata["rule"]["steps"], float(row.relative_error)),)


def _tried(bench, failing, tolerance):
    """Other rules, the scores behind a probability, other baselines."""
    found = []
    for flags, changes in _candidates(bench):
        bench.say(f"trying {flags}")
        try:
            errors = bench.run(bench.plan(**changes), failing)["relative_error"]
            doubled = ()
            if max(errors) <= tolerance:
                twice = {**changes, "steps": min(2 * changes["steps"], checks.MAX_STEPS)}
                doubled = bench.run(bench.plan(**twice), failing)["relative_error"]
        except IgTfError:  # a candidate that this model does not allow is none
            continue
        found.append(checks.Trial(flags, tuple(map(float, errors)), tuple(map(float, doubled))))
    return found


def _candidates(bench):
    """(flags, what they change) of what is worth a try."""
    steps = bench.loaded.metadata["rule"]["steps"]
    logits = targets.before_squashing(*_target(bench))
    if logits:
        yield f"--target={logits}", {"target": logits, "steps": steps}
    for rule in _OTHER_RULES:
        for more in (steps, 4 * steps):
            yield f"--rule={rule} --steps={more}", {"rule": rule, "steps": more}
    if any(point["kind"] in ("dense", "image") for point in bench.loaded.metadata["points"]):
        for noise in _NOISE:
            for more in (steps, 4 * steps):
                yield (f"--baseline={noise} --steps={more}", {"baseline": noise, "steps": more})


def _target(bench):
    recipe = bench.plan().recipe
    return recipe.work, recipe.target
