"""The way from the baseline's prediction to the example's, one feature at a time."""

import dataclasses
import math
from collections.abc import Sequence

from ig_tf.rendering import look as looks
from ig_tf.rendering import numerals, palette, table
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, escape
from ig_tf.rendering.scene import Line, Mark, Rect, Scene, Text, fitted
from ig_tf.rendering.table import Bar
from ig_tf.run.results import Result

# A gap smaller than this share of the difference is no line of its own.
_LEAST_GAP = 1e-3
_LONGEST = 60


@dataclasses.dataclass(frozen=True)
class Step:
    """One line: from where to where it goes.

    Attributes:
      name, value: the feature, and what the caller sent for it.
      start, stop: the running sum before and after it.
      kind: "step", "end" for the two predictions, "gap" for what is missing between them.
      given: its attribution, which `stop - start` has but for rounding; None where it is no bar.
    """

    name: str
    value: str
    start: float
    stop: float
    kind: str = "step"
    given: float | None = None

    @property
    def score(self) -> float:
        """The attribution of the line."""
        return self.stop - self.start if self.given is None else self.given

    @property
    def side(self) -> str:
        """Colour of its bar: that of its sign; what nothing accounts for has no colour."""
        return "none" if self.kind == "gap" else palette.side(self.score)


def steps(result: Result, bars: Sequence[Bar], most: int = table.MOST_BARS) -> list[Step]:
    """The lines from F(baseline) to F(x), strongest first; empty where a number is missing.

    Args:
      result: for the two predictions.
      bars: all features, in any order.
      most: lines that are drawn before the rest is summed.
    """
    here, there = result.prediction, result.baseline_prediction
    if here is None or there is None or not all(math.isfinite(bar.score) for bar in bars):
        return []
    shown, rest = table.ranked(bars, most)
    if rest:
        shown = [*shown, Bar(f"{len(rest):,} others, summed", "", sum(b.score for b in rest))]
    found, level = [Step("baseline", "", there, there, "end")], there
    for bar in shown:
        found.append(Step(bar.name, bar.value, level, level + bar.score,
                          given=bar.score))
        level += bar.score
    if abs(here - level) > _LEAST_GAP * max(abs(here - there), abs(level - there)):
        found.append(Step("not accounted for", "", level, here, "gap"))
    found.append(Step("prediction", "", here, here, "end"))
    return found if all(math.isfinite(v) for s in found for v in (s.start, s.stop)) else []


def figure(result: Result, bars: Sequence[Bar], look: Look = looks.DEFAULT) -> Html:
    """A table of floating bars, or of plain ones where there are no predictions to go between."""
    found = steps(result, bars)
    if not found:
        return table.figure(bars, "feature", look)
    low, high = _range(found)
    head = element("tr", element("th", "feature", scope="col"),
                   element("th", "value", scope="col"),
                   element("th", f"{numerals.plain(low)} to {numerals.plain(high)}", scope="col",
                           class_="axis"),
                   element("th", "attribution", scope="col", class_="number"))
    lines = [_line(step, low, high) for step in found]
    gap = " Hatched: what the attributions do not account for." if any(
        step.kind == "gap" for step in found) else ""
    return element(
        "figure",
        element("table", element("thead", head), element("tbody", *lines),
                class_="bars waterfall"),
        element("figcaption", f"{look.colours.legend()}. From the baseline's output, each bar goes "
                "on where the one above it ended, to the output that is explained. The axis goes "
                f"from {numerals.plain(low)} to {numerals.plain(high)}.{gap}"), class_="chart")


def scene(result: Result, bars: Sequence[Bar], heading: Sequence[str], legend: str
          ) -> Scene | None:
    """The same as a drawing, under two lines of heading; None where a number is missing."""
    found = steps(result, bars)
    if not found:
        return None
    low, high = _range(found)
    left, width, pitch, top = 330.0, 300.0, 22.0, 54.0
    unit = width / (high - low)
    marks: list[Mark] = [Text(10, 20, fitted(heading[0], 13, 720), 13),
                         Text(10, 38, fitted(heading[1], 11, 720), 11, "soft")]
    for number, step in enumerate(found):
        y = top + number * pitch
        start, stop = (left + (v - low) * unit for v in (step.start, step.stop))
        marks.append(Text(10, y + 14, fitted(step.name, 11, 190), 11))
        marks.append(Text(left - 10, y + 14, fitted(step.value, 11, 110), 11, "soft", "end"))
        if step.kind == "end":
            marks.append(Rect(start - 1, y + 2, 2, pitch - 4, "ink"))
            words = numerals.plain(step.stop)
        else:
            marks.append(Rect(min(start, stop), y + 3, max(abs(stop - start), 1), pitch - 6,
                              "soft" if step.side == "none" else step.side))
            words = numerals.signed(step.score)
        if number + 1 < len(found):
            marks.append(Line(((stop, y + 3), (stop, y + pitch + 3)), "soft", 0.6))
        marks.append(Text(left + width + 90, y + 14, words, 11, "ink", "end"))
    bottom = top + len(found) * pitch
    marks.append(Text(10, bottom + 18, legend, 10, "soft"))
    marks.append(Text(10, bottom + 34, f"axis from {numerals.plain(low)} to "
                      f"{numerals.plain(high)}", 10, "soft"))
    return Scene(740, bottom + 46, tuple(marks), ", ".join(heading))


def _range(found: Sequence[Step]) -> tuple[float, float]:
    values = [v for step in found for v in (step.start, step.stop)]
    low, high = min(values), max(values)
    if high - low <= 1e-12 * max(abs(high), abs(low)):
        width = abs(high) or 1.0
        return low - width / 2, high + width / 2
    return low, high


def _line(step: Step, low: float, high: float) -> Html:
    start, stop = (100 * (v - low) / (high - low) for v in (step.start, step.stop))
    if step.kind == "end":
        drawn = element("span", class_="stop", style=f"left:{stop:.2f}%")
        number, exact = numerals.plain(step.stop), numerals.exact(step.stop)
    else:
        # A bar without a side is what nothing accounts for; a score of 0 has no bar.
        drawn = element(
            "span", class_=f"bar {step.side}",
            style=f"left:{min(start, stop):.2f}%;width:{abs(stop - start):.2f}%"
        ) if step.kind == "gap" or step.score else None
        number, exact = numerals.signed(step.score), numerals.exact(step.score)
    return element(
        "tr",
        element("th", escape(step.name, _LONGEST), scope="row"),
        element("td", escape(step.value, _LONGEST), class_="value"),
        element("td", element("span", drawn, class_="track whole"), class_="axis"),
        element("td", number, class_="number", title=exact),
        class_=step.kind if step.kind == "end" else None)
