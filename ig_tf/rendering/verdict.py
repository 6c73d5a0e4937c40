"""Whether to believe an example's attributions, in plain words."""

import dataclasses
import math
from collections.abc import Sequence

from ig_tf.rendering import numerals
from ig_tf.rendering.markup import Html, element, escape, join, visible
from ig_tf.run.results import TOLERANCE, Result

_LONGEST = 60


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of an example.

    Attributes:
      words: a few of them, for a badge.
      tone: CSS class of their colour: "good", "fix" or "bad".
      advice: what it means for a reader.
    """

    words: str
    tone: str
    advice: str


ADDS_UP = Verdict(
    "adds up", "good",
    "The attributions below account for it.")
DOES_NOT = Verdict(
    "does not add up: treat with care", "bad",
    "The attributions do not add up to the difference: do not rely on them. `ig-tf check` tries "
    "more steps and other settings, and says which help.")
MISMATCH = Verdict(
    "scores contradict the stated error: treat with care", "bad",
    "The scores in the file do not have the sum that the file says they have: do not rely on "
    "them, and look at how the file was made.")
NOT_CHECKED = Verdict(
    "not checked: treat with care", "fix",
    "The file does not say how far the attributions add up to the difference.")

# Statuses that decide by themselves; for the others the numbers do.
_BY_STATUS = {
    "unchecked": Verdict(
        "no sum to check", "fix",
        "The attributions are by a method that does not account for a difference of scores, so "
        "there is no sum to check."),
    "baseline_equal": Verdict(
        "nothing to explain: same output as the baseline", "fix",
        "The model says the same of the baseline, so there is no difference to explain; scores "
        "only say which inputs cancel out."),
    "invalid_input": Verdict(
        "not finite: no explanation", "bad",
        "A number of the model or of the input is not finite: there is no explanation."),
    "error": Verdict(
        "failed: no explanation", "bad", "This example failed: there is no explanation."),
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


def adding_up(results: Sequence[Result]) -> str:
    """How many of them add up, such as "2 of 3 explanations add up"."""
    within = sum(verdict(result) is ADDS_UP for result in results)
    return f"{within:,} of {numerals.counted(len(results), 'explanation')} add up"


def of_several(results: Sequence[Result]) -> str:
    """A heading over the outputs of one example: its name, their number, and how many add up."""
    outputs = numerals.counted(len(results), "output")
    return f"Example {visible(results[0].id, _LONGEST)}, {outputs}: {adding_up(results)}"


def story(result: Result) -> Html:
    """One example in a sentence or two: what the model said, against what, and the verdict."""
    judged = verdict(result)
    here, there = result.prediction, result.baseline_prediction
    if here is None or there is None:
        return escape(judged.advice)
    name = result.target.label
    # <bdi>: a name that is written from right to left leaves the sentence in order.
    of = join(["“", element("bdi", name), "”"]) if name is not None else element(
        "bdi", result.target.text() or "this example")
    moved = "raised" if here >= there else "lowered"
    difference = "" if judged is _BY_STATUS["baseline_equal"] else (
        f": the input {moved} it by {numerals.plain(abs(here - there))}")
    return join(["The model gives ", of, f" {numerals.plain(here)}, and {numerals.plain(there)} "
                 f"for the baseline{difference}. {judged.advice}"])


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
    return " ".join(error_parts(result))


def error_parts(result: Result) -> tuple[str, ...]:
    """The same in parts that should not be broken over lines."""
    if result.completeness_error is None:
        return ("–",)
    text = numerals.plain(result.completeness_error)
    if result.relative_error is None or result.status == "baseline_equal":
        return (text,)
    return text, f"({numerals.percent(abs(result.relative_error))})"
