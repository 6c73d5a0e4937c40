"""Curves of a check: F along the path from baseline to example, and the error over steps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ig_tf.rendering import numerals
from ig_tf.rendering.scene import Dots, Line, Mark, Rect, Scene, Text, fitted

_LEFT, _TOP, _WIDTH, _HEIGHT = 74.0, 34.0, 300.0, 150.0


def path_scene(alphas: Sequence[float], values: Sequence[float], title: str) -> Scene | None:
    """F at points of the straight line from the baseline (0) to the example (1).

    Args:
      alphas: where on the path, rising, in [0, 1].
      values: F there.
      title: what it shows.

    Returns:
      The curve, with the part shaded that holds half of the change; None where nothing is finite.
    """
    pairs = [(a, v) for a, v in zip(alphas, values) if v is not None and math.isfinite(v)]
    if len(pairs) < 2:
        return None
    low, high = _padded(min(v for _, v in pairs), max(v for _, v in pairs))
    points = tuple((_LEFT + a * _WIDTH, _TOP + _HEIGHT * (high - v) / (high - low))
                   for a, v in pairs)
    marks: list[Mark] = [Text(10, 18, fitted(title, 12, 380), 12)]
    first, last = _most_change(pairs)
    marks.append(Rect(_LEFT + first * _WIDTH, _TOP, max((last - first) * _WIDTH, 1.5), _HEIGHT,
                      "line", 0.6, "half of all change of F happens here"))
    marks += _frame(numerals.plain(high), numerals.plain(low), "baseline", "example")
    marks += [Line(points, "ink", 2), Dots(points, "ink", 2.4)]
    marks.append(Text(_LEFT, _TOP + _HEIGHT + 32,
                      f"half of the change: {100 * first:g} % to {100 * last:g} % of the way", 10,
                      "soft"))
    return Scene(_LEFT + _WIDTH + 20, _TOP + _HEIGHT + 44, tuple(marks), title,
                 (("share of the way", "F"), *pairs))


def error_scene(errors: Sequence[tuple[int, float]], tolerance: float, title: str
                ) -> Scene | None:
    """Relative completeness error over the number of steps, both on logarithmic axes.

    Args:
      errors: (steps, relative error) each.
      tolerance: the error that is asked for.
      title: what it shows.
    """
    pairs = sorted((n, max(abs(e), 1e-8)) for n, e in errors
                   if n > 0 and e is not None and math.isfinite(e))
    if len(pairs) < 2:
        return None
    tolerance = max(tolerance, 1e-8)
    logs = [(math.log10(n), math.log10(e)) for n, e in pairs]
    left, right = logs[0][0], logs[-1][0]
    low = min(math.log10(tolerance), *(e for _, e in logs)) - 0.2
    high = max(math.log10(tolerance), *(e for _, e in logs)) + 0.2
    if right <= left:
        return None

    def place(n: float, e: float) -> tuple[float, float]:
        return (_LEFT + _WIDTH * (n - left) / (right - left),
                _TOP + _HEIGHT * (high - e) / (high - low))

    points = tuple(place(n, e) for n, e in logs)
    asked = place(left, math.log10(tolerance))[1]
    marks: list[Mark] = [Text(10, 18, fitted(title, 12, 380), 12)]
    marks += _frame(numerals.percent(10 ** high), numerals.percent(10 ** low),
                    f"{pairs[0][0]:,} steps", f"{pairs[-1][0]:,} steps")
    words = f"asked for: {numerals.percent(tolerance)}"
    marks += [Line(((_LEFT, asked), (_LEFT + _WIDTH, asked)), "soft", 1),
              Text(_LEFT + _WIDTH, asked - 4, words, 10, "soft", "end"),
              Line(points, "ink", 2), Dots(points, "ink", 2.6)]
    return Scene(_LEFT + _WIDTH + 20, _TOP + _HEIGHT + 32, tuple(marks), title,
                 (("steps", "relative error"), *pairs))


def of_check(check: Mapping[str, Any], most: int = 6) -> list[Scene]:
    """The curves that a check holds: of the rows that fail, the worst first.

    Args:
      check: what `ig-tf check --format=json` writes; keys that are missing make no curve.
      most: rows that are drawn.
    """
    alphas = check.get("alphas") or ()
    rows = [row for row in check.get("rows") or () if isinstance(row, Mapping)]
    rows.sort(key=lambda row: -_number(row.get("relative_error")))
    scenes: list[Scene] = []
    for row in [row for row in rows if row.get("path")][:most]:
        name = f"example {row.get('id', '?')}"
        path = path_scene(alphas, row["path"], f"F along the path, {name}")
        tried = row.get("errors") or ()
        error = error_scene([tuple(pair) for pair in tried], _number(check.get("tolerance")),
                            f"completeness error over steps, {name} (log axes)")
        scenes += [scene for scene in (path, error) if scene]
    return scenes


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _padded(low: float, high: float) -> tuple[float, float]:
    width = high - low or abs(high) or 1.0
    return low - 0.06 * width, high + 0.06 * width


def _most_change(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The shortest run of pieces around the steepest one that holds half of all change."""
    change = [abs(b - a) for (_, a), (_, b) in zip(pairs, pairs[1:])]
    first = last = max(range(len(change)), key=change.__getitem__)
    while sum(change[first:last + 1]) < 0.5 * sum(change):
        before = change[first - 1] if first > 0 else -1.0
        after = change[last + 1] if last + 1 < len(change) else -1.0
        first, last = (first - 1, last) if before >= after else (first, last + 1)
    return pairs[first][0], pairs[last + 1][0]


def _frame(high: str, low: str, left: str, right: str) -> list[Mark]:
    bottom = _TOP + _HEIGHT
    return [
        Line(((_LEFT, _TOP), (_LEFT, bottom), (_LEFT + _WIDTH, bottom)), "soft", 1),
        Text(_LEFT - 6, _TOP + 8, high, 10, "soft", "end"),
        Text(_LEFT - 6, bottom, low, 10, "soft", "end"),
        Text(_LEFT, bottom + 15, left, 10, "soft"),
        Text(_LEFT + _WIDTH, bottom + 15, right, 10, "soft", "end")]
