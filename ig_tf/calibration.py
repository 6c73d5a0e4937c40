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

FAMILIES = ("gauss_legendre", "graded_1.5", "graded_2", "pilot:9", "pilot")
RUNGS = ((4, 8, 12, 16, 24, 32, 48, 64), (96, 128, 192, 256), (384, 512, 768, 1024))
LAST_FAMILIES = 2  # so many are tried at the last, costly rungs: those nearest to the reference
REFERENCES = ((256, 512), (1024, 2048))  # Gauss-Legendre: doubled until two agree
PERCENTILE = 95
PROBE_COST = 1 / 3  # of a forward and a backward pass; what a probe costs without the backward


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Chooses the cheapest rule whose error on sample rows is small enough.

    Every other row is held out: the rule is chosen on the one half and, saved as it will be,
    checked on the other. Where it misses the error there, it is chosen anew on all rows, and that
    is said. A rule counts as good only if all that was tried of it with more nodes is good too:
    an error can be small by luck.

    Attributes:
      file: file of records as for `attribute`, or an iterable of {input: value}.
      error: the relative completeness error that PERCENTILE % of the rows shall stay below.
      attribution_error: the same for sum(|a - reference|) / sum(|reference|) over all points; None
        reports it only.
      limit: so many records of the file at most.
      max_steps: nodes to try at most.
      say: called with a sentence before each longer step, and every few seconds.
      allow_unsafe_ops: whether a model is run that reads or writes files other than its own, uses
        the network or runs Python: as in `attribute`.
    """

    file: object
    error: float = 0.01
    attribution_error: object = None
    limit: int = 64
    max_steps: int = 1024
    say: object = dataclasses.field(default=lambda text: None, repr=False, compare=False)
    allow_unsafe_ops: bool = False

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

    def up_to(self, steps):
        """The same with so many nodes at most."""
        return dataclasses.replace(self, max_steps=min(self.max_steps, steps))

    def choose(self, plan, rule=None):
        """Tries rules on the rows.

        Args:
          plan: a `Plan`, whose rule is replaced.
          rule: name of the only rule to try, or None for FAMILIES.

        Returns:
          The `Plan` with the rule chosen, and with what was measured as its `calibration`.

        Raises:
          ArtifactError: the model reaches outside, and `allow_unsafe_ops` is not set.
          CalibrationError: too few rows that explain anything, or no rule is good enough; or an
            example has several rows of the target.
          RecordError: a row does not fit the model.
        """
        if plan.recipe.target.several:
            raise CalibrationError(
                f"the target {plan.recipe.target.text()!r} has several rows per example "
                f"({plan.recipe.target.several}), each with errors of its own; calibration is for "
                "one number per example. Calibrate one of them, and give --steps and --rule.")
        with tempfile.TemporaryDirectory() as folder:
            bench = trials.Bench(plan, folder, self.say, self.allow_unsafe_ops)
            rows = self._rows()
            reference, agreement = self._reference(bench, rows)
            asked, (rows, reference) = len(rows), _usable(rows, reference)
            outcome = self._outcome(bench, rows, reference, (rule,) if rule else FAMILIES)
        chosen = outcome.pop("rule")
        described = {
            "error": self.error, "attribution_error": self.attribution_error,
            "percentile": PERCENTILE, "reference": agreement, "rows": len(rows),
            "rows_without_difference": asked - len(rows), **outcome}
        recipe = dataclasses.replace(plan.recipe, rule=chosen)
        return dataclasses.replace(plan, recipe=recipe, calibration=described)

    def _rows(self):
        """The sample rows: `Record`s or {input: value}."""
        is_path = isinstance(self.file, (str, os.PathLike))
        found = list(itertools.islice(records.read(self.file) if is_path else self.file,
                                      self.limit))
        if len(found) < 2:
            raise CalibrationError("calibration needs at least 2 rows, one of them held out; "
                                   f"found {len(found)}.")
        return [row if isinstance(row, records.Record) else records.Record(place, row)
                for place, row in enumerate(found)]

    def _reference(self, bench, rows):
        """A fine answer for each row, and what is known of it."""
        for pair in REFERENCES:
            self.say(f"a reference for {len(rows)} rows: {' and '.join(map(str, pair))} nodes")
            coarse, fine = bench.ladder([quadrature.build("gauss_legendre", n) for n in pair], rows)
            differences = [trials.attribution_error(a.vector, b.vector)
                           for a, b in zip(coarse, fine) if b.counts]
            agreement = trials.percentile(differences, PERCENTILE) if differences else 0.0
            fine_enough = agreement <= min(self.error, self.attribution_error or self.error) / 2
            if fine_enough:
                break
        if not fine_enough:
            self.say(f"the reference with {pair[-1]} nodes differs by {agreement:.2%} from half of "
                     "them: attribution errors are not better known than that")
        return fine, {"rule": "gauss_legendre", "steps": pair[-1], "fine_enough": fine_enough,
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

    def _outcome(self, bench, rows, reference, families):
        """The rule, and what was measured of it and of others."""
        choosing, held_out, missed = slice(0, None, 2), slice(1, None, 2), None
        tried, good = self._search(bench, rows[choosing], reference[choosing], families)
        found = self._shipped(bench, good[0].rule, rows, reference,
                              {"chosen_on": choosing, "held_out": held_out})
        if not self._good(found["held_out"]):
            rule, errors = good[0].rule, found["held_out"]
            self.say(f"{rule.name} with {rule.steps} nodes misses it on held-out rows "
                     f"({errors.text(PERCENTILE)}): choosing on all rows")
            missed = {"rule": rule.name, "steps": rule.steps, **errors.described(PERCENTILE)}
            tried, good = self._search(bench, rows, reference, families)
            found = self._shipped(bench, good[0].rule, rows, reference,
                                  {"chosen_on": slice(None)})
        rule = good[0].rule
        return {"rule": rule, "missed_on_held_out": missed,
                "tried": [trial.described(PERCENTILE) for trial in tried],
                "chosen": {"rule": rule.name, "steps": rule.steps,
                           "cost": trials.rounded(good[0].cost),
                           **{half: {"rows": len(errors.completeness),
                                     **errors.described(PERCENTILE)}
                              for half, errors in found.items()}}}

    def _shipped(self, bench, rule, rows, reference, parts):
        """{part: Errors} of a rule on some of the rows, by the artifact that it is saved as."""
        self.say(f"checking {rule.name} with {rule.steps} nodes as it will be saved, on "
                 f"{len(rows)} rows")
        answers = bench.shipped(rule, rows)
        return {name: trials.Errors.of(answers[part], reference[part])
                for name, part in parts.items()}

    def _nothing(self, tried):
        def excess(trial):
            shares = [trial.errors.completeness_at(PERCENTILE) / self.error]
            if self.attribution_error:
                shares.append(trial.errors.attribution_at(PERCENTILE) / self.attribution_error)
            return max(shares), trial.cost

        best = min(tried, key=excess)
        asked = f"a completeness error of {self.error:.3g}" + (
            f" and an attribution error of {self.attribution_error:.3g}"
            if self.attribution_error else "")
        return (f"no rule with up to {max(trial.rule.steps for trial in tried)} nodes keeps "
                f"{PERCENTILE} % of the rows under {asked}. Best: "
                f"{best.rule.name} with {best.rule.steps} nodes, "
                f"{best.errors.text(PERCENTILE)}. Allow a larger error, explain the logits instead "
                "of a probability (--target), start from another baseline (`ig-tf check` says "
                f"which helps), or take it as it is: --rule={best.rule.name} "
                f"--steps={best.rule.steps}.")


def _cost(rule):
    """Of a rule, in forward and backward passes of one example."""
    return rule.steps + PROBE_COST * (rule.probes if isinstance(rule, quadrature.Pilot) else 0)


def _usable(rows, reference):
    """Rows with something to explain, and their reference."""
    kept = [place for place, answer in enumerate(reference) if answer.counts]
    if len(kept) < 2:
        raise CalibrationError(
            f"{len(kept)} of {len(rows)} sample rows have a finite F(x) that differs from "
            "F(baseline); at least 2 are needed, one of them held out. Give other rows.")
    return [rows[place] for place in kept], [reference[place] for place in kept]


def _nearest(tried, families):
    """The families whose largest rungs came nearest to the reference."""
    last = {trial.rule.name: trial.errors.attribution_at(PERCENTILE) for trial in tried}
    if not last:
        return families
    order = sorted(families, key=lambda name: last.get(name, math.inf))
    return tuple(name for name in families if name in order[:LAST_FAMILIES])


def text(described):
    """What was measured, as lines for a terminal."""
    reference, chosen = described["reference"], described["chosen"]
    missed = described["missed_on_held_out"]
    lines = [f"calibrated on {chosen['chosen_on']['rows']} of {described['rows']} rows; "
             f"{described['rows_without_difference']} more have F(x) = F(baseline)",
             f"reference: {reference['rule']}, {reference['steps']} nodes; with half of them it "
             f"differs by {_percent(reference['difference_to_half_the_nodes'])}", "",
             f"{'':<32}{'completeness error':>22}{'attribution error':>22}",
             f"{'rule':<16}{'nodes':>7}{'cost':>9}" + f"{'median':>11}{f'p{PERCENTILE}':>11}" * 2]
    for trial in described["tried"]:
        lines.append(f"{trial['rule']:<16}{trial['steps']:>7}{trial['cost']:>9.1f}"
                     + _errors(trial))
    lines += ["", f"chosen: {chosen['rule']}, {chosen['steps']} nodes"]
    lines += [f"{'  ' + half.replace('_', ' '):<32}{_errors(chosen[half])}"
              for half in ("chosen_on", "held_out") if half in chosen]
    if not reference["fine_enough"]:
        lines.append("The reference is not fine enough: attribution errors are not better known "
                     "than the difference to half of its nodes.")
    if missed:
        lines.append(f"The first choice ({missed['rule']}, {missed['steps']} nodes) missed the "
                     "error on held-out rows, so all rows were chosen on: none is left to check.")
    return "\n".join(lines)


def _errors(found):
    return "".join(f"{_percent(found[kind][key]):>11}" for kind in ("completeness", "attribution")
                   for key in ("median", f"p{PERCENTILE}"))


def _percent(share):
    return "-" if share is None else f"{share:.3%}"
