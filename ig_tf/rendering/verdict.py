"""Whether to believe an example's attributions, in plain words."""

import dataclasses
import math

from ig_tf.rendering import numerals
from ig_tf.run.results import TOLERANCE, Result


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Words, and the CSS class of their colour: "good", "fix" or "bad"."""

    words: str
    tone: str


ADDS_UP = Verdict("adds up", "good")
DOES_NOT = Verdict("does not add up: treat with care", "bad")
MISMATCH = Verdict("scores contradict the stated error: treat with care", "bad")
NOT_CHECKED = Verdict("not checked: treat with care", "fix")

# Statuses that decide by themselves; for the others the numbers do.
_BY_STATUS = {
    "baseline_equal": Verdict("nothing to explain: same output as the baseline", "fix"),
    "invalid_input": Verdict("not finite: no explanation", "bad"),
    "error": Verdict("failed: no explanation", "bad"),
}


def verdict(result: Result) -> Verdict:
    """The verdict on one example, from its status and its completeness error."""
    if result.status in _BY_STATUS:
        return _BY_STATUS[result.status]
    if result.relative_error is None:
        return NOT_CHECKED
    if abs(result.relative_error) > TOLERANCE:
        return DOES_NOT
    return ADDS_UP if _agrees(result) else MISMATCH


def _agrees(result: Result) -> bool:
    """Whether the scores of the row, added up here, bear out the error that it states."""
    total = result.total()
    if None in (total, result.prediction, result.baseline_prediction):
        return True
    if not math.isfinite(total):
        return False
    difference = result.prediction - result.baseline_prediction
    slack = TOLERANCE * max(abs(difference), abs(total))
    return abs(total - difference) <= (result.completeness_error or 0.0) + slack


def error_text(result: Result) -> str:
    """The completeness error, absolute and as a share of the difference."""
    if result.completeness_error is None:
        return "–"
    text = numerals.plain(result.completeness_error)
    if result.relative_error is None or result.status == "baseline_equal":
        return text
    return f"{text} ({numerals.percent(abs(result.relative_error))})"
