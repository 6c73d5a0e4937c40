"""Calibration: the rule and the number of nodes, chosen on sample rows for a stated error.

An object for `instrument`: `ig_tf.instrument(model, steps=Calibration("rows.csv", error=0.01))`.
It is the one thing of instrumentation that runs the model: it saves trial artifacts into a
temporary folder, each with a ladder of rules, and runs these on the rows.
"""

import dataclasses
import itertools
import math
import os
import tempfile

from ig_tf import trials
from ig_tf.errors import CalibrationError
from ig_tf.ig import quadrature
from ig_tf.run import records
from ig_tf.run.attribute import input_values

FAMILIES = ("gauss_legendre", "graded_1.5", "graded_2", "pilot")
RUNGS = ((4, 8, 12, 16, 24, 32, 48, 64), (96, 128, 192, 256), (384, 512, 768, 1024))
LAST_FAMILIES = 2  # so many are tried at the last, costly rungs: those nearest to the reference
REFERENCES = ((256, 512), (1024, 2048))  # Gauss-Legendre: doubled until two agree
PERCENTILE = 95
PROBE_COST = 1 / 3  # of a forward and a backward pass; what a probe costs without the backward


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Chooses the cheapest rule whose error on sample rows is small enough.

    Every other row is held out: the rule is chosen on the one half and, saved as it will be,
    checked on both; where the held-out half misses the error, the next number of nodes is taken.
    A rule counts as good only if all that was tried of it with more nodes is good too: an error
    can be small by luck.

    Attributes:
      file: file of records as for `attribute`, or an iterable of {input: value}.
      error: the relative completeness error that PERCENTILE % of the rows shall stay below.
      attribution_error: the same for sum(|a - reference|) / sum(|reference|) over all points; None
        reports it only.
      limit: so many records of the file at most.
      max_steps: nodes to try at most.
      say: called with a sentence before each longer step, and every few seconds.
    """

    file: object
    error: float = 0.01
    attribution_error: object = None
    limit: int = 64
    max_steps: int = 1024
    say: object = dataclasses.field(default=lambda text: None, repr=False, compare=False)

    def __post_init__(self):
        for name in ("error", "attribution_error"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise CalibrationError(f"{name} must be a positive share, for example 0.01; found "
                                       f"{value!r}.")
        if self.limit < 2:
            raise CalibrationError("calibration needs at least 2 rows, one of them held out; "
                                   f"limit is {self.limit}.")
        if self.max_steps < RUNGS[0][0]:
            raise CalibrationError(f"max_steps must be at least {RUNGS[0][0]}; found "
                                   f"{self.max_steps}.")

    def choose(self, plan, rule=None):
        """Tries rules on the rows.

        Args:
          plan: a `Plan`, whose rule is replaced.
          rule: name of the only rule to try, or None for FAMILIES.

        Returns:
          The `Plan` with the rule chosen, and with what was measured as its `calibration`.

        Raises:
          CalibrationError: too few rows that explain anything, or no rule is good enough.
          RecordError: a row does not fit the model.
        """
        with tempfile.TemporaryDirectory() as folder:
            bench = trials.Bench(plan, folder, self.say)
            rows = self._rows(bench)
            reference, agreement = self._reference(bench, rows)
            rows, reference, halves, left_out = _usable(rows, reference)
            tried, good = self._search(bench, [rows[i] for i in halves["chosen_on"]],
                                       [reference[i] for i in halves["chosen_on"]],
                                       (rule,) if rule else FAMILIES)
            chosen, checked = self._verified(bench, rows, reference, halves, good, tried)
        described = {
            "error": self.error, "attribution_error": self.attribution_error,
            "percentile": PERCENTILE, "reference": agreement,
            "rows": {**{half: len(members) for half, members in halves.items()},
                     "left_out": left_out},
            "tried": [trial.described(PERCENTILE) for trial in tried],
            "chosen": {"rule": chosen.name, "steps": chosen.steps,
                       "cost": trials.rounded(_cost(chosen)), **checked}}
        recipe = dataclasses.replace(plan.recipe, rule=chosen)
        return dataclasses.replace(plan, recipe=recipe, calibration=described)

    def _rows(self, bench):
        """Values of the sample rows: [{input: array}]."""
        is_path = isinstance(self.file, (str, os.PathLike))
        found = list(itertools.islice(records.read(self.file) if is_path else self.file,
                                      self.limit))
        if len(found) < 2:
            raise CalibrationError("calibration needs at least 2 rows, one of them held out; "
                                   f"found {len(found)}.")
        return input_values(bench.specs(), found, range(len(found)))

    def _reference(self, bench, rows):
        """A fine answer for each row, and what is known of it."""
        for pair in REFERENCES:
            self.say(f"a reference for {len(rows)} rows: {' and '.join(map(str, pair))} nodes")
            coarse, fine = bench.ladder([quadrature.build("gauss_legendre", n) for n in pair], rows)
            differences = [trials.attribution_error(a.vector, b.vector)
                           for a, b in zip(coarse, fine) if b.counts]
            agreement = trials.percentile(differences, PERCENTILE) if differences else 0.0
            if agreement <= min(self.error, self.attribution_error or self.error) / 2:
                break
        return fine, {"rule": "gauss_legendre", "steps": pair[-1],
                      "difference_to_half_the_nodes": trials.rounded(agreement)}

    def _search(self, bench, rows, reference, families):
        """All `Trial`s, and those that are good, from the cheapest on."""
        tried = []
        for stage, rungs in enumerate(RUNGS):
            rungs = [steps for steps in rungs if steps <= self.max_steps]
            if stage == len(RUNGS) - 1:
                families = _nearest(tried, families)
            rules = [quadrature.build(family, steps) for family in families for steps in rungs]
            if not rules:
                break
            self.say(f"trying {len(rules)} rules, up to {rungs[-1]} nodes, on {len(rows)} rows")
            tried += [trials.Trial(rule, _cost(rule), trials.Errors.of(answers, reference))
                      for rule, answers in zip(rules, bench.ladder(rules, rows))]
            good = [trial for trial in tried if self._lasting(trial, tried)]
            if good:
                return tried, sorted(good, key=lambda trial: (trial.cost, trial.rule.steps))
        raise CalibrationError(self._nothing(tried))

    def _good(self, errors):
        found = errors.completeness_at(PERCENTILE) <= self.error
        return found and (self.attribution_error is None
                          or errors.attribution_at(PERCENTILE) <= self.attribution_error)

    def _lasting(self, trial, tried):
        """Good, and with more nodes too."""
        return all(self._good(other.errors) for other in tried
                   if other.rule.name == trial.rule.name and other.rule.steps >= trial.rule.steps)

    def _verified(self, bench, rows, reference, halves, good, tried):
        """The first good rule, or the next of its kind, that is good on both halves as saved."""
        name = good[0].rule.name
        steps = [n for n in itertools.chain(*RUNGS) if good[0].rule.steps <= n <= self.max_steps]
        for rule in (quadrature.build(name, n) for n in steps):
            self.say(f"checking {rule.name} with {rule.steps} nodes as it will be saved, on "
                     f"{len(rows)} rows")
            answers = bench.shipped(rule, rows)
            found = {half: trials.Errors.of([answers[i] for i in members],
                                            [reference[i] for i in members])
                     for half, members in halves.items()}
            if all(self._good(errors) for errors in found.values()):
                return rule, {half: errors.described(PERCENTILE) for half, errors in found.items()}
            self.say(f"{rule.name} with {rule.steps} nodes misses it: " + "; ".join(
                f"{half} {errors.text(PERCENTILE)}" for half, errors in found.items()))
        raise CalibrationError(self._nothing(tried, f"{name} was good on the rows that it was "
                                                    "chosen on, and on the held-out ones not"))

    def _nothing(self, tried, why=""):
        best = min(tried, key=lambda trial: (
            max(trial.errors.completeness_at(PERCENTILE) / self.error,
                trial.errors.attribution_at(PERCENTILE) / (self.attribution_error or math.inf)),
            trial.cost))
        asked = f"a completeness error of {self.error:.3g}" + (
            f" and an attribution error of {self.attribution_error:.3g}"
            if self.attribution_error else "")
        return (f"no rule with up to {max(trial.rule.steps for trial in tried)} nodes keeps "
                f"{PERCENTILE} % of the rows under {asked}{': ' + why if why else ''}. Best: "
                f"{best.rule.name} with {best.rule.steps} nodes, "
                f"{best.errors.text(PERCENTILE)}. Allow a larger error, explain the logits instead "
                "of a probability (--target), start from another baseline (`ig-tf check` says "
                f"which helps), or take it as it is: --rule={best.rule.name} "
                f"--steps={best.rule.steps}.")


def _cost(rule):
    """Of a rule, in forward and backward passes of one example."""
    return rule.steps + PROBE_COST * (rule.probes if isinstance(rule, quadrature.Pilot) else 0)


def _usable(rows, reference):
    """Rows with something to explain, their reference, and the halves they belong to."""
    kept = [place for place, answer in enumerate(reference) if answer.counts]
    if len(kept) < 2:
        raise CalibrationError(
            f"{len(kept)} of {len(rows)} sample rows have a finite F(x) that differs from "
            "F(baseline); at least 2 are needed, one of them held out. Give other rows.")
    halves = {"chosen_on": range(0, len(kept), 2), "held_out": range(1, len(kept), 2)}
    return ([rows[i] for i in kept], [reference[i] for i in kept], halves, len(rows) - len(kept))


def _nearest(tried, families):
    """The families whose largest rungs came nearest to the reference."""
    last = {trial.rule.name: trial.errors.attribution_at(PERCENTILE) for trial in tried}
    if not last:
        return families
    order = sorted(families, key=lambda name: last.get(name, math.inf))
    return tuple(name for name in families if name in order[:LAST_FAMILIES])


def text(described):
    """What was measured, as lines for a terminal."""
    rows, reference, chosen = (described[key] for key in ("rows", "reference", "chosen"))
    lines = [f"calibrated on {rows['chosen_on']} rows, {rows['held_out']} held out, "
             f"{rows['left_out']} left out (nothing to explain)",
             f"reference: {reference['rule']}, {reference['steps']} nodes; with half of them it "
             f"differs by {_percent(reference['difference_to_half_the_nodes'])}", "",
             f"{'':<32}{'completeness error':>22}{'attribution error':>22}",
             f"{'rule':<16}{'nodes':>7}{'cost':>9}" + f"{'median':>11}{f'p{PERCENTILE}':>11}" * 2]
    for trial in described["tried"]:
        lines.append(f"{trial['rule']:<16}{trial['steps']:>7}{trial['cost']:>9.1f}"
                     + _errors(trial))
    lines += ["", f"chosen: {chosen['rule']}, {chosen['steps']} nodes"]
    lines += [f"{'  ' + half.replace('_', ' '):<32}{_errors(chosen[half])}"
              for half in ("chosen_on", "held_out")]
    return "\n".join(lines)


def _errors(found):
    return "".join(f"{_percent(found[kind][key]):>11}" for kind in ("completeness", "attribution")
                   for key in ("median", f"p{PERCENTILE}"))


def _percent(share):
    return "-" if share is None else f"{share:.3%}"
