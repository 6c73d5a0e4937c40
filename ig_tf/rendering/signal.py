"""Long signals (audio, sensors): where along the axis the attribution lies, as a small SVG."""

from collections.abc import Sequence

import numpy as np

from ig_tf.rendering import look as looks
from ig_tf.rendering import numerals, saving
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element
from ig_tf.rendering.scene import Line, Mark, Rect, Scene, Text, fitted
from ig_tf.run.results import PointScores

MOST_BINS = 300
_LISTED = 3
_HEIGHT = 40  # of each half, in SVG units; the width is the number of bins


def along_axis(scores: np.ndarray) -> np.ndarray:
    """Scores along the longest axis, float64 [length]; the other axes are summed."""
    scores = np.asarray(scores, np.float64)
    longest = int(np.argmax(scores.shape))
    return np.moveaxis(scores, longest, 0).reshape(scores.shape[longest], -1).sum(axis=1)


def binned(scores: np.ndarray, most: int = MOST_BINS) -> tuple[np.ndarray, np.ndarray]:
    """Positive and negative mass in at most `most` bins of nearly equal width.

    Args:
      scores: [length]; what is not finite counts as 0.
      most: number of bins.

    Returns:
      Two float64 arrays [bins], the first at least 0 and the second at most 0; their sums are
      those of the scores.
    """
    finite = np.where(np.isfinite(scores), scores, 0.0)
    bins = max(1, min(most, finite.size))
    which = np.arange(finite.size) * bins // max(1, finite.size)
    return (np.bincount(which, np.maximum(finite, 0), bins),
            np.bincount(which, np.minimum(finite, 0), bins))


def scene(point: PointScores, heading: Sequence[str], legend: str) -> Scene:
    """The strip as a drawing, under two lines of heading."""
    scores = along_axis(point.scores)
    up, down = binned(scores)
    scale = float(max(up.max(), -down.min()))
    left, middle, half, width = 10.0, 130.0, 70.0, 720.0 / len(up)
    unit = half / scale if scale else 0.0
    marks: list[Mark] = [Text(left, 20, fitted(heading[0], 13, 720), 13),
                         Text(left, 38, fitted(heading[1], 11, 720), 11, "soft")]
    for place, (more, less) in enumerate(zip(up, down)):
        x = left + place * width
        if more:
            marks.append(Rect(x, middle - more * unit, width, more * unit, "for"))
        if less:
            marks.append(Rect(x, middle, width, -less * unit, "against"))
    words = f"{legend}; the tallest of {len(up)} bins sums to {numerals.plain(scale)}"
    name = fitted(f"{point.name}: {len(scores):,} values, left to right", 10, 720)
    marks += [Line(((left, middle), (left + 720, middle)), "soft", 1),
              Text(left, middle + half + 18, words, 10, "soft"),
              Text(left, middle + half + 33, name, 10, "soft")]
    return Scene(740, middle + half + 44, tuple(marks), ", ".join(heading))


def figure(point: PointScores, look: Look = looks.DEFAULT) -> Html:
    """A strip: mass for the target upwards, mass against it downwards, per bin of its axis."""
    colours = look.colours
    scores = along_axis(point.scores)
    up, down = binned(scores)
    scale = float(max(up.max(), -down.min()))
    words = [f"{point.name}: {len(scores):,} values in {len(up)} bins, left to right; "
             f"{colours.positive_name} (for) upwards, {colours.negative_name} (against) downwards."]
    if scale:
        words.append(f"The tallest bin sums to {numerals.plain(scale)}.")
        order = np.argsort(-np.abs(np.where(np.isfinite(scores), scores, 0.0)))[:_LISTED]
        words.append("Largest: " + ", ".join(
            f"[{i:,}] {numerals.signed(float(scores[i]))}" for i in order if scores[i]) + ".")
    else:
        words.append("Every score is 0: there is nothing to draw.")
    if point.scores.ndim > 1 and point.scores.size > len(scores):
        words.append(f"Summed over the other axes of {list(point.scores.shape)}.")
    missing = int((~np.isfinite(scores)).sum())
    if missing:
        words.append(f"{missing:,} values have no finite score and count as 0.")
    return element("figure", _strip(up, down, scale),
                   element("figcaption", " ".join(words)), class_="signal",
                   data_signal=len(scores), data_values=saving.packed(np.concatenate([up, down])))


def _strip(up: np.ndarray, down: np.ndarray, scale: float) -> Html:
    unit = _HEIGHT / scale if scale else 0.0
    return element(
        "svg",
        element("path", d=_bars(up, unit), class_="for"),
        element("path", d=_bars(down, unit), class_="against"),
        element("path", d=f"M0 0H{len(up)}", class_="zero"),
        viewBox=f"0 {-_HEIGHT} {len(up)} {2 * _HEIGHT}", preserveAspectRatio="none", role="img",
        aria_label="attribution along the signal")


def _bars(values: np.ndarray, unit: float) -> Html:
    """Path data, one box a bin; ours, so not to be cut like text."""
    return Html("".join(
        f"M{i} 0v{-value * unit:.2f}h1V0z" for i, value in enumerate(values) if value))
