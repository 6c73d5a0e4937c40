"""Signed bars beside names and values: what tabular attributions look like."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ig_tf.rendering import look as looks
from ig_tf.rendering import numerals, palette
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, escape
from ig_tf.run.results import PointScores, Result

MOST_BARS = 12
_LONGEST = 60


@dataclasses.dataclass(frozen=True)
class Bar:
    """One line: a name, the input's value as text, and a signed score."""

    name: str
    value: str
    score: float


# Attributions of points that belong to no feature get a bar where they are more than this share.
_LEAST_SHARE = 1e-3


def feature_bars(result: Result) -> list[Bar]:
    """One bar per raw feature; per point where the result has no feature totals.

    What points have beyond the features' totals is a bar of its own, so that bars have the sum of
    all attributions.
    """
    if result.features:
        bars = [Bar(name, numerals.value_text(result.inputs.get(name)), score)
                for name, score in result.features.items()]
        return [*bars, *_rest(result)]
    with np.errstate(over="ignore", invalid="ignore"):  # the sum itself says so
        return [
            Bar(point.name, numerals.value_text(_value_of(point, result)),
                float(point.scores.sum(dtype=np.float64)))
            for point in result.points
        ]


def _rest(result: Result) -> list[Bar]:
    if not result.points:
        return []
    rest = result.total() - sum(result.features.values())
    size = sum(abs(score) for score in result.features.values()) + abs(rest)
    if not math.isfinite(rest) or abs(rest) <= _LEAST_SHARE * size:
        return []
    return [Bar("(of no single feature)", "", rest)]


def element_bars(point: PointScores, result: Result) -> list[Bar]:
    """One bar per element of a point, named by its index."""
    values = _value_of(point, result)
    try:
        values = np.asarray(values).reshape(point.scores.shape)
    except ValueError:
        values = np.full(point.scores.shape, None)
    return [
        Bar("[" + ", ".join(map(str, index)) + "]", numerals.value_text(values[index]),
            float(score))
        for index, score in np.ndenumerate(point.scores)
    ]


def ranked(bars: Sequence[Bar], most: int = MOST_BARS) -> tuple[list[Bar], list[Bar]]:
    """The bars by falling |score|, NaN last: the first `most`, and the rest.

    One bar too many is shown and not summed: a rest of one would only hide its name.
    """
    ordered = sorted(bars, key=lambda bar: -math.inf if math.isnan(bar.score) else abs(bar.score),
                     reverse=True)
    cut = most if len(ordered) > most + 1 else len(ordered)
    return ordered[:cut], ordered[cut:]


def figure(bars: Sequence[Bar], heading: str, look: Look = looks.DEFAULT,
           most: int = MOST_BARS) -> Html:
    """A table of signed bars on one axis, strongest first, the rest summed in one line.

    Args:
      bars: the lines, in any order.
      heading: what the names are, such as "feature".
      look: names of the colours.
      most: number of lines that are drawn.
    """
    shown, rest = ranked(bars, most)
    if rest:
        total = sum(bar.score for bar in rest if math.isfinite(bar.score))
        shown = [*shown, Bar(f"{len(rest):,} others, summed", "", total)]
    scale = max((abs(bar.score) for bar in shown if math.isfinite(bar.score)), default=0.0)
    head = element("tr", element("th", heading, scope="col"), element("th", "value", scope="col"),
                   element("th", "− against | for +", scope="col", class_="axis"),
                   element("th", "attribution", scope="col", class_="number"))
    lines = [_line(bar, scale) for bar in shown]
    ends = f"The axis ends at ±{numerals.plain(scale)}." if scale else (
        "Every score is 0: there is nothing to draw.")
    return element(
        "figure",
        element("table", element("thead", head), element("tbody", *lines), class_="bars"),
        element("figcaption", f"{look.colours.legend()}. {ends}"), class_="chart")


def _line(bar: Bar, scale: float) -> Html:
    width = 50 * float(palette.strength(bar.score, scale))
    start = 50 - width if bar.score < 0 else 50
    drawn = element("span", class_=f"bar {palette.side(bar.score)}",
                    style=f"left:{start:.2f}%;width:{width:.2f}%") if width else None
    return element(
        "tr",
        element("th", escape(bar.name, _LONGEST), scope="row"),
        element("td", escape(bar.value, _LONGEST), class_="value"),
        element("td", element("span", drawn, class_="track"), class_="axis"),
        element("td", numerals.signed(bar.score), class_="number",
                title=numerals.exact(bar.score)))


def _value_of(point: PointScores, result: Result) -> Any:
    names = [name for name in (*point.features, point.name) if name in result.inputs]
    return result.inputs[names[0]] if names else None
