"""The set at a glance: each feature's attributions as a strip of dots, one dot an example."""

import math
from collections.abc import Sequence

import numpy as np

from ig_tf.rendering import numerals, palette
from ig_tf.rendering.scene import Dots, Line, Mark, Scene, Text, fitted
from ig_tf.run.results import Result

MOST_FEATURES = 15
MOST_DOTS = 400  # of a feature; more are thinned out evenly, and that is said
_PITCH = 34.0
_BINS = 90
_LEFT, _WIDTH = 210.0, 430.0
_LONGEST = 60  # characters of an id in the values


def swarm(scores: np.ndarray, limit: float, height: float) -> list[tuple[float, float]]:
    """Places of dots: x by score in [-1, 1], y so that dots of one place spread up and down.

    Args:
      scores: finite scores.
      limit: the |score| at x = 1.
      height: largest |y|; crowded places are pressed together to fit.
    """
    x = np.clip(np.asarray(scores, np.float64) / limit, -1, 1) if limit else np.zeros(len(scores))
    bins = np.floor((x + 1) / 2 * _BINS).astype(int)
    counts: dict[int, int] = {}
    levels = []
    for place in bins.tolist():
        nth = counts.get(place, 0)
        counts[place] = nth + 1
        levels.append((nth + 1) // 2 * (1 if nth % 2 else -1))
    step = min(3.0, height / max(1, max(map(abs, levels), default=1)))
    return [(float(a), b * step) for a, b in zip(x, levels)]


def scene(results: Sequence[Result], names: Sequence[str], legend: str) -> Scene:
    """Strips of the features, in the order given."""
    names = list(names)[:MOST_FEATURES]
    columns = {name: [(r, r.features[name]) for r in results
                      if math.isfinite(r.features.get(name, math.nan))] for name in names}
    limit = max((abs(v) for column in columns.values() for _, v in column), default=0.0)
    middle, half = _LEFT + _WIDTH / 2, _WIDTH / 2
    bottom = 16 + _PITCH * len(names)
    marks: list[Mark] = [Line(((middle, 8), (middle, bottom)), "soft", 1)]
    values: list[tuple[object, ...]] = [("feature", "example", "target", "attribution")]
    thinned = 0
    for number, name in enumerate(names):
        y = 16 + _PITCH * (number + 0.5)
        marks.append(Text(10, y + 4, fitted(name, 12, _LEFT - 30), 12))
        marks.append(Line(((_LEFT, y), (_LEFT + _WIDTH, y)), "line", 0.6))
        column = columns[name]
        every = max(1, -(-len(column) // MOST_DOTS))
        thinned = max(thinned, every)
        kept = np.array([score for _, score in column[::every]])
        values += [(name, r.id[:_LONGEST], r.target.named()[:_LONGEST], score)
                   for r, score in column[::every]]
        placed = swarm(kept, limit, _PITCH / 2 - 3)
        for side in ("for", "against", "none"):
            points = tuple((middle + half * x, y + dy) for (x, dy), score in zip(placed, kept)
                           if palette.side(score) == side)
            if points:
                marks.append(Dots(points, "soft" if side == "none" else side, 2.2, 0.75))
    for x, value, anchor in ((_LEFT, -limit, "start"), (middle, 0.0, "middle"),
                             (_LEFT + _WIDTH, limit, "end")):
        marks.append(Text(x, bottom + 14, numerals.signed(value), 11, "soft", anchor))
    note = legend + (f"; every {thinned}th example is drawn" if thinned > 1 else "")
    marks.append(Text(10, bottom + 32, note, 11, "soft"))
    return Scene(_LEFT + _WIDTH + 20, bottom + 42, tuple(marks),
                 "attributions of each feature over the examples, a dot an example", tuple(values))
