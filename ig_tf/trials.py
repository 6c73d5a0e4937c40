"""Runs rules on sample rows and measures them: what calibration is made of."""

import dataclasses
import math
import os
import time

import numpy as np

from ig_tf import api
from ig_tf.errors import ArtifactError, OutputError
from ig_tf.ig import attach, by_rules, runtime
from ig_tf.run import artifact
from ig_tf.run.attribute import input_values
from ig_tf.run.results_rows import relative_error, status_of

QUIET_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """One row, explained with one rule.

    Attributes:
      vector: all attributions, float64 [numbers].
      completeness: relative completeness error.
      counts: whether F(x) is finite and differs from F(baseline): else there is no relative error.
    """

    vector: np.ndarray
    completeness: float
    counts: bool


@dataclasses.dataclass(frozen=True)
class Errors:
    """Relative errors of one rule, one number per row."""

    completeness: tuple
    attribution: tuple

    @staticmethod
    def of(answers, reference):
        """Errors of `Answer`s, against finer ones of the same rows."""
        return Errors(tuple(answer.completeness for answer in answers),
                      tuple(attribution_error(answer.vector, fine.vector)
                            for answer, fine in zip(answers, reference)))

    def completeness_at(self, percent):
        return percentile(self.completeness, percent)

    def attribution_at(self, percent):
        return percentile(self.attribution, percent)

    def text(self, percent):
        return (f"completeness error {self.completeness_at(percent):.3%}, attribution error "
                f"{self.attribution_at(percent):.3%}")

    def described(self, percent):
        """As in the metadata, to four digits: what differs between machines is rounding."""
        return {kind: {"median": rounded(np.median(values)),
                       f"p{percent}": rounded(percentile(values, percent))}
                for kind, values in (("completeness", self.completeness),
                                     ("attribution", self.attribution))}


@dataclasses.dataclass(frozen=True)
class Trial:
    """A rule that was tried.

    Attributes:
      rule: a `Rule` or `Pilot`.
      cost: of one example, in forward and backward passes.
      errors: its `Errors`.
    """

    rule: object
    cost: float
    errors: Errors

    def described(self, percent):
        """As in the metadata."""
        return {"rule": self.rule.name, "steps": self.rule.steps, "cost": rounded(self.cost),
                **self.errors.described(percent)}


def percentile(values, percent):
    """The smallest value that so many per cent of all do not exceed: an upper one, for few rows."""
    order = np.sort(np.where(np.isfinite(values), values, np.inf))
    return float(order[max(math.ceil(percent / 100 * len(order)), 1) - 1])


def attribution_error(found, reference):
    """sum(|found - reference|) / sum(|reference|)."""
    difference, size = np.abs(found - reference).sum(), np.abs(reference).sum()
    if size == 0:
        return 0.0 if difference == 0 else math.inf
    return float(difference / size)


def rounded(number):
    """Four digits; None where it is not finite, which JSON does not know."""
    return float(f"{number:.4g}") if math.isfinite(number) else None


def opened(plan, folder, build=attach.outputs, allow_unsafe_ops=False):
    """A plan, saved into a place of its own in a folder and loaded: an `Artifact`.

    Raises:
      ArtifactError: the model reaches outside, and that was not allowed; or cannot be loaded.
    """
    path = os.path.join(folder, f"trial_{len(os.listdir(folder))}")
    try:
        api.save(plan, path, link=True, build=build)
    except OutputError:  # another disk than the model's
        api.save(plan, path, overwrite=True, build=build)
    try:
        return artifact.load(path, allow_unsafe_ops)
    except ArtifactError as error:  # about the model, not about the place of the trial
        raise ArtifactError(str(error).replace(repr(path), repr(str(plan.model.path)))) from error


@dataclasses.dataclass
class Bench:
    """A plan, to be saved and run with other rules on rows: `Record`s or {input: value}.

    Attributes:
      plan: the `Plan`.
      folder: where artifacts are written.
      say: called with a sentence every few seconds.
      allow_unsafe_ops: as in `attribute`.
    """

    plan: object
    folder: str
    say: object
    allow_unsafe_ops: bool = False

    def ladder(self, rules, rows):
        """Answers of several rules: a list for each rule, of an `Answer` for each row."""
        recipe = dataclasses.replace(self.plan.recipe, runtime=runtime.DEFAULT)  # numbers are equal
        loaded = opened(dataclasses.replace(self.plan, recipe=recipe), self.folder,
                        by_rules.by_each_rule(rules), self.allow_unsafe_ops)
        found = [[] for _ in rules]
        for answer in self._run(loaded, rows):
            keys = _attribution_keys(answer)
            for place, answers in enumerate(found):
                answers.append(_answer([answer[key][0, place] for key in keys],
                                       answer["total"][0, place], answer))
        return found

    def shipped(self, rule, rows):
        """Answers of one rule, by the artifact that it would be saved as."""
        recipe = dataclasses.replace(self.plan.recipe, rule=rule)
        loaded = opened(dataclasses.replace(self.plan, recipe=recipe), self.folder,
                        allow_unsafe_ops=self.allow_unsafe_ops)
        found = []
        for answer in self._run(loaded, rows):
            parts = [answer[key][0] for key in _attribution_keys(answer)]
            total = sum(part.sum(dtype=np.float64) for part in parts)
            one = _answer(parts, total, answer)
            found.append(dataclasses.replace(one, completeness=float(answer["relative_error"][0])))
        return found

    def _run(self, loaded, rows):
        """One row at a time: nothing is padded, and each has its own rule."""
        said = time.monotonic()
        for count, row in enumerate(input_values(loaded, rows, range(len(rows)))):
            yield loaded.answer([row])
            if time.monotonic() - said > QUIET_SECONDS:
                said = time.monotonic()
                self.say(f"  {count + 1} of {len(rows)} rows")


def _attribution_keys(answer):
    return sorted(key for key in answer if key.startswith("attributions/"))


def _answer(parts, total, answer):
    end, begin = float(answer["prediction"][0]), float(answer["baseline_prediction"][0])
    error = abs(float(total) - (end - begin))
    relative = relative_error(end, begin, error)
    status = status_of(end, begin, error, relative)
    vector = np.concatenate([np.ravel(part).astype(np.float64) for part in parts])
    return Answer(vector, relative, status in ("converged", "capped"))
