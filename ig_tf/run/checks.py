"""What the numbers of a check mean: plain numpy, no TensorFlow, no model."""

import dataclasses

import numpy as np

from ig_tf.run import looks
from ig_tf.run.results import TOLERANCE

# Where F is looked at along the path: close to the baseline too, where many models change.
ALPHAS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
          0.97, 1.0)
MAX_STEPS = 4096


@dataclasses.dataclass(frozen=True)
class Row:
    """The check of one example.

    Attributes:
      id: of the record.
      status: of the result (converged, capped, unchecked, baseline_equal, invalid_input).
      prediction, baseline_prediction, relative_error: as attributed.
      steps_needed: nodes that bring the error under the tolerance, and keep it there when they
        are doubled (once is luck); None where no number up to `steps_tried` does, or where the
        row is fine.
      steps_tried: the largest number tried; 0 where none was.
      path: F at ALPHAS, or None where the row is fine.
      errors: (steps, relative error) of every number tried, the artifact's own first.
    """

    id: str
    status: str
    prediction: float
    baseline_prediction: float
    relative_error: float
    steps_needed: object = None
    steps_tried: int = 0
    path: object = None
    errors: tuple = ()


@dataclasses.dataclass(frozen=True)
class Trial:
    """Something else that was tried on the rows that fail.

    Attributes:
      flags: as `ig-tf instrument` takes them.
      errors: relative error of each of these rows.
      doubled: the same with twice the nodes, where the first was good: once is luck.
    """

    flags: str
    errors: tuple
    doubled: tuple = ()

    def works(self, tolerance):
        return (bool(self.errors) and max(self.errors) <= tolerance
                and bool(self.doubled) and max(self.doubled) <= tolerance)


@dataclasses.dataclass(frozen=True)
class Check:
    """The whole check.

    Attributes:
      rows: every example.
      tolerance: relative completeness error that is asked for.
      steps: nodes of the artifact.
      entropy: of the output's distribution at the baseline, as a share of its maximum (0 certain,
        1 undecided); None where the output is no distribution.
      trials: what else was tried.
      advice: sentences about completeness.
      apart: whether examples leave each other alone (`apart.Apart`), or None: not asked.
      verdicts: a `verdicts.Verdict` for each check of its table.
      baselines: `Ranked`, best first; empty where they were not asked for.
    """

    rows: tuple
    tolerance: float
    steps: int
    entropy: object
    trials: tuple
    advice: tuple
    apart: object = None
    verdicts: tuple = ()
    baselines: tuple = ()

    @property
    def failing(self):
        return [row for row in self.rows if row.status in ("capped", "invalid_input")]

    @property
    def passed(self):
        return (not self.failing and (self.apart is None or self.apart.passed)
                and all(one.verdict != "fail" for one in self.verdicts))


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A baseline that was tried.

    Attributes:
      name: what it is.
      question: what attributions from it answer.
      flag: as `ig-tf instrument` takes it.
      error: median relative completeness error; None where no example has anything to explain.
      verdicts: of the checks that a baseline decides.
    """

    name: str
    question: str
    flag: str
    error: object
    verdicts: tuple

    def order(self):
        """What explains nothing last; then by failures, warnings, and the error (to 0.1 %)."""
        found = [one.verdict for one in self.verdicts]
        return (self.error is None, found.count("fail"), found.count("warn"),
                np.round(self.error or 0.0, 3))


def normalized_entropy(scores, squashed=True):
    """Entropy of a distribution [classes], or of a single probability, divided by its maximum.

    Returns:
      A number in [0, 1], or None where the scores are no probabilities.
    """
    found = looks.distribution(scores, squashed)
    return None if found is None else looks.entropy(found)


def where_it_moves(path):
    """The part of the path that holds most of the change of F: (alpha from, alpha to, share)."""
    change = np.abs(np.diff(np.asarray(path, np.float64)))
    total = change.sum()
    if not np.isfinite(total) or total == 0:
        return None
    first = last = int(np.argmax(change))
    while change[first:last + 1].sum() < 0.5 * total:
        before = change[first - 1] if first > 0 else -1
        after = change[last + 1] if last + 1 < len(change) else -1
        first, last = (first - 1, last) if before >= after else (first, last + 1)
    return ALPHAS[first], ALPHAS[last + 1], float(change[first:last + 1].sum() / total)


def advice(rows, trials, tolerance, steps, ranked=()):
    """Sentences about completeness: what is wrong where something is, and what to do."""
    found = []
    failing = [row for row in rows if row.status in ("capped", "invalid_input")]
    if failing:
        found += _about_steps(failing, steps)
        found += _about_path(failing)
        found += _about_trials(trials, tolerance)
        found += _about_baselines(ranked)
    equal = sum(row.status == "baseline_equal" for row in rows)
    if equal:
        found.append(f"{equal} of {len(rows)} examples score what the baseline scores: their "
                     "attributions sum to nothing, and a relative error says little.")
    return tuple(found)


def what_helps(sentences):
    """The one of these that says what to do."""
    for start in ("More nodes help", "This works", "Nothing that was tried"):
        for sentence in sentences:
            if sentence.startswith(start):
                return sentence
    return "Take more nodes (--steps), or have them chosen on your data (--calibrate=FILE)."


def _about_steps(failing, steps):
    needed = [row.steps_needed for row in failing if row.steps_needed]
    tried = [row for row in failing if row.steps_tried]
    none = [row for row in tried if not row.steps_needed]
    found = []
    if needed and not none:
        found.append(f"More nodes help: --steps={max(needed)} (now {steps}).")
    elif none:
        most = max(row.steps_tried for row in none)
        found.append(f"More nodes alone do not help: {len(none)} of {len(tried)} examples that "
                     f"were tried stay above the tolerance with up to {most} nodes.")
    return found


def _about_path(failing):
    moves = [where_it_moves(row.path) for row in failing if row.path is not None]
    moves = [move for move in moves if move]
    if not moves:
        return []
    low, high, share = moves[0]
    sentence = f"F changes mostly between alpha {low:g} and {high:g} ({share:.0%} of all change)."
    if high <= 0.01:
        sentence += (" That is almost at the baseline: the baseline is a place where the model "
                     "is degenerate; start from noise or from a real neutral record.")
    elif high - low <= 0.3:
        sentence += " The rest of the path is flat: the output is saturated; explain its logit."
    return [sentence]


def _about_trials(trials, tolerance):
    works = [trial for trial in trials if trial.works(tolerance)]
    if works:
        return [f"This works on the failing examples: {trial.flags} (largest error "
                f"{max(trial.errors):.2%})." for trial in works[:3]]
    if trials:
        best = min(trials, key=lambda trial: max(trial.errors + trial.doubled))
        return [f"Nothing that was tried brings every failing example under {tolerance:.0%}; best: "
                f"{best.flags} (largest error "
                f"{max(best.errors + best.doubled):.1%})."]
    return []


def _about_baselines(ranked):
    """Another baseline whose path is easy; never as an answer to the same question."""
    for one in ranked:
        if any(found.name == "completeness" and found.verdict == "pass" for found in one.verdicts):
            return [f"From the baseline {one.name!r} every example that was looked at is within "
                    f"the tolerance (median error {_percent(one.error)}). That asks: "
                    f"{one.question}"]
    return []


def text(check):
    """The check as lines for a terminal."""
    lines = [f"{len(check.rows)} examples, {check.steps} nodes, tolerance {check.tolerance:.0%}",
             f"{'id':>8}  {'status':<15}{'F(x)':>12}{'F(baseline)':>13}{'error':>10}  nodes needed"]
    for row in check.rows:
        lines.append(f"{row.id[:8]:>8}  {row.status:<15}{_number(row.prediction):>12}"
                     f"{_number(row.baseline_prediction):>13}{_percent(row.relative_error):>10}"
                     f"  {_needed(row, check)}")
    for row in check.rows:
        if row.path is not None:
            lines.append(f"F along the path of {row.id}: " + "  ".join(
                f"{alpha:g}:{value:.4g}" for alpha, value in zip(ALPHAS, row.path)))
    for trial in check.trials:
        doubled = f", {max(trial.doubled):.2%} with twice the nodes" if trial.doubled else ""
        lines.append(f"tried {trial.flags}: largest error {max(trial.errors):.2%}{doubled}")
    lines += list(check.advice)
    if check.apart is not None:
        lines += _apart(check.apart)
    lines += _table(check.verdicts) + _ranking(check.baselines)
    judged = [row for row in check.rows if row.status != "unchecked"]
    within = (f"{len(judged) - len(check.failing)} of {len(judged)} examples are within the "
              "tolerance") if judged or not check.rows else (
                  "the method's attributions sum to no known difference, which is not checked")
    verdict = "PASS" if check.passed else "FAIL"
    warned = sum(one.verdict == "warn" for one in check.verdicts)
    lines.append(f"{verdict}: {within}" + (
                     "" if check.apart is None or check.apart.passed
                     else "; examples of a batch are not independent")
                 + (f"; {warned} warning{'s' * (warned > 1)}" if warned else ""))
    return "\n".join(lines)


def _table(verdicts):
    """A line for each check; its advice below it."""
    if not verdicts:
        return []
    width = max(len(one.name) for one in verdicts)
    lines = ["", f"{'verdict':<15} {'check':<{width}}  what was found"]
    for one in verdicts:
        lines.append(f"{one.verdict:<15} {one.name:<{width}}  {one.text}")
        if one.advice:
            lines.append(f"{'':<15} {'':<{width}}  -> {one.advice}")
    return [*lines, ""]


QUESTION = ("A baseline is part of the question: what is ranked here is how well each question can "
            "be answered, not which one you should ask. With another baseline the attributions "
            "explain another difference.")


def _ranking(ranked):
    if not ranked:
        return []
    lines = ["baselines, by these checks:"]
    for place, one in enumerate(ranked, 1):
        error = _percent(one.error)
        bad = ", ".join(f"{found.name} {found.verdict}" for found in one.verdicts
                        if found.verdict in ("warn", "fail"))
        lines += [f"{place:>3}. {one.name}: completeness error {error}; {bad or 'no warning'}",
                  f"     asks: {one.question}", f"     {one.flag}"]
    return [*lines, QUESTION, ""]


def _apart(apart):
    lines = []
    if apart.alone is not None:
        lines += [f"batch of {apart.examples} against its examples one by one: largest difference "
                  f"{apart.alone:.1e} of the largest (limit {apart.limit:.0e})",
                  f"rows: {apart.moved} examples moved, the others change by {apart.across:.1e}, "
                  f"they themselves by {apart.own:.1e} of the largest (limit {apart.limit:.0e})"]
    if apart.note:
        lines.append(f"rows: not tested: {apart.note}")
    return lines + list(apart.findings)


def _needed(row, check):
    if row.status == "unchecked":
        return "-"
    if row.status == "converged":
        return f"<= {check.steps}"
    if row.steps_needed:
        return f"<= {row.steps_needed}"
    return f"none up to {row.steps_tried}" if row.steps_tried else "not tried"


def _number(value):
    return "-" if value is None else f"{value:.6g}"


def _percent(value):
    return "-" if value is None else f"{value:.2%}"


__all__ = ["ALPHAS", "MAX_STEPS", "QUESTION", "TOLERANCE", "Check", "Ranked", "Row", "Trial",
           "advice", "normalized_entropy", "text", "what_helps", "where_it_moves"]
