"""Attributions that were computed elsewhere, and the common errors of doing so: plain numpy.

Each error is a row of ERRORS: what it would give, in terms of what is right. A new one is one more
row. The file is compared with each, and the nearest is named.
"""

import dataclasses
import os

import numpy as np

from ig_tf.errors import ResultsError
from ig_tf.run import results

TOLERANCE = 0.05  # relative difference that counts as equal
_CLEARER = 0.25  # an error is named if it explains the numbers so much better than no error
_COUNT = 0.003  # a factor nearer to 1 is rounding


@dataclasses.dataclass(frozen=True)
class Reference:
    """What one example should get, in the form of the file.

    Attributes:
      right: attributions.
      integral, at_x: average gradient along the path, and the gradient at x; None where a point
        shows its ids' sums alone.
      at_x_times_change, integral_times_x: gradient at x times (x - x'), average gradient times x;
        likewise.
      prediction, baseline_prediction: F(x), F(x').
    """

    right: np.ndarray
    integral: object
    at_x: object
    at_x_times_change: object
    integral_times_x: object
    prediction: float
    baseline_prediction: float


@dataclasses.dataclass(frozen=True)
class Error:
    """A row of ERRORS: name, what it gives for a `Reference` (None: not known), what to do."""

    name: str
    gives: object
    advice: str


@dataclasses.dataclass(frozen=True)
class Finding:
    """What the file is.

    Attributes:
      error: name of a row of ERRORS, "wrong count", "another scale", "unknown", or None: right.
      difference: relative difference from what is right, median over examples.
      explained: the same from what the error gives.
      examples: how many were compared.
      text: a sentence.
      advice: what to do; empty where it is right.
    """

    error: object
    difference: float
    explained: float
    examples: int
    text: str
    advice: str


def _for_whole_score(one):
    """Attributions stretched to sum to F(x)."""
    explained = one.prediction - one.baseline_prediction
    return one.right * (one.prediction / explained) if explained else None


def _score_spread(one):
    """The baseline's score shared out among all features, so that they sum to F(x)."""
    return one.right + one.baseline_prediction / one.right.size


ERRORS = (
    Error("missing (x - x') factor", lambda one: one.integral,
          "These are average gradients. Multiply each by (x - baseline)."),
    Error("multiplied by x", lambda one: one.integral_times_x,
          "The factor is (x - baseline), not x."),
    Error("gradient at x", lambda one: one.at_x,
          "This is the gradient at x alone. Average it along the path from the baseline to x, and "
          "multiply by (x - baseline)."),
    Error("gradient * input", lambda one: one.at_x_times_change,
          "This is the gradient at x times (x - baseline). Average the gradient along the path."),
    Error("sign", lambda one: -one.right, "The factor is (x - baseline), not (baseline - x)."),
    Error("absolute values", lambda one: np.abs(one.right),
          "Signs are lost: absolute values do not sum to F(x) - F(baseline)."),
    Error("baseline's score forgotten", _for_whole_score,
          "These sum to F(x). Attributions must sum to F(x) - F(baseline): subtract the baseline's "
          "score, and do not rescale."),
    Error("baseline's score forgotten", _score_spread,
          "The baseline's score is shared out among the features. Attributions must sum to "
          "F(x) - F(baseline)."),
)


def read(path, points):
    """Arrays of a file of attributions.

    Args:
      path: results of `ig-tf attribute` (.jsonl, .npz), or an .npz with an array
        [examples, ...] for each point: NAME or attributions/NAME; one array will do for one point.
      points: names of the points.

    Returns:
      {point: list of one array per example}.

    Raises:
      ResultsError: it is no such file, or has none of the points.
    """
    if not os.path.exists(path):
        raise ResultsError(f"no file of attributions {path!r}.")
    try:
        _, rows = results.read(path)
        found = {name: [_scores(row, name) for row in rows] for name in points}
        return {name: arrays for name, arrays in found.items()
                if any(array is not None for array in arrays)}
    except ResultsError:
        if not path.endswith(".npz"):
            raise
    with np.load(path, allow_pickle=False) as data:
        arrays = {key.removeprefix("attributions/"): data[key] for key in data.files
                  if data[key].dtype.kind in "fiu"}
    if len(points) == 1 and len(arrays) == 1:
        arrays = {points[0]: next(iter(arrays.values()))}
    found = {name: list(np.asarray(arrays[name], np.float64)) for name in points if name in arrays}
    if not found:
        raise ResultsError(f"{path}: no array of attributions for a point; the points are "
                           f"{', '.join(points)}, the file has {', '.join(arrays) or 'none'}.")
    return found


def _scores(row, name):
    return next((np.asarray(point.scores, np.float64) for point in row.points
                 if point.name == name), None)


def as_given(given, full, shown):
    """The form in which a file gives a point, as a function of an array of the point's shape.

    Args:
      given: one example's array in the file.
      full: shape of the point.
      shown: shape that our own signature shows, or None: the same.

    Returns:
      A function, or None where only what is shown has that form.

    Raises:
      ResultsError: it has none of these forms.
    """
    shape = np.shape(given)
    if shape == tuple(full):
        return lambda array: np.ravel(array)
    if len(full) and shape == tuple(full[:-1]):
        return lambda array: np.ravel(array.sum(-1))
    if shown is not None and shape == tuple(shown):
        return None
    raise ResultsError(f"attributions of shape {list(shape)} for one example; the point has "
                       f"{list(full)}, or without its last axis.")


def judged(given, references, tolerance=TOLERANCE):
    """What the file is.

    Args:
      given: one vector per example.
      references: a `Reference` for each.
      tolerance: relative difference that counts as equal.

    Returns:
      A `Finding`.
    """
    rights = [one.right for one in references]
    difference = _apart(given, rights)
    best = min(_candidates(given, references), key=lambda found: found[0], default=None)
    clearer = best is not None and best[0] <= max(_CLEARER * difference, 1e-9)
    if difference <= tolerance and not (clearer and best[1] == "wrong count"):
        return Finding(None, difference, difference, len(given),
                       f"as computed here, but for {difference:.2%}", "")
    if clearer and best[0] <= tolerance:
        explained, name, text, advice = best
        return Finding(name, difference, explained, len(given), text, advice)
    text, advice = _unknown(given, references)
    return Finding("unknown", difference, difference, len(given), text, advice)


def _apart(given, wanted):
    """sum |a - b| / sum |b|, median over examples."""
    shares = []
    for one, other in zip(given, wanted):
        size = np.abs(other).sum()
        apart = np.abs(one - other).sum()
        shares.append(apart / size if size else (0.0 if not apart else np.inf))
    return float(np.median(np.nan_to_num(shares, nan=np.inf)))


def _candidates(given, references):
    """(difference left, name, text, advice) of each error that could be asked about."""
    for error in ERRORS:
        wanted = [error.gives(one) for one in references]
        if all(array is not None for array in wanted):
            left = _apart(given, wanted)
            yield left, error.name, f"{error.name}: explains the numbers but for {left:.2%}", (
                error.advice)
    rights = [one.right for one in references]
    factors = [_factor(one, right) for one, right in zip(given, rights)]
    common = float(np.median(factors))
    left = _apart(given, [common * right for right in rights])
    if common > 0 and abs(common - 1) > max(_COUNT, 3 * left):
        yield (left, "wrong count", f"all are {common:.4g} times what they should be",
               _about_count(common))
    left = _apart(given, [factor * right for factor, right in zip(factors, rights)])
    if len(given) > 1 and np.ptp(factors) > _COUNT * abs(common):
        yield (2 * left + 1e-6, "another scale", "each example has a scale of its own, from "
               f"{min(factors):.3g} to {max(factors):.3g}",
               "Examples were rescaled one by one (by their sum, largest value or norm): they do "
               "not sum to F(x) - F(baseline), and cannot be compared.")


def _factor(given, right):
    size = float(right @ right)
    return float(given @ right) / size if size else 1.0


def _about_count(factor):
    """What count was divided by instead of the number of steps, as far as the factor tells."""
    advice = "The weights of the steps must sum to 1: divide the sum by their number, once. "
    whole = round(factor if factor >= 1 else 1 / factor)
    if factor >= 1.5:
        near = abs(factor - whole) <= 0.01 * whole
        return advice + (f"The sum of {whole} steps was not divided." if near else
                         "The sum was divided by too small a number.")
    if factor <= 0.67:
        near = abs(1 / factor - whole) <= 0.01 * whole
        return advice + (f"It was divided by {whole} once too often, perhaps by the size of the "
                         "batch." if near else "The sum was divided by too large a number.")
    if factor < 1:
        return advice + (f"With {1 / (1 - factor):.0f} points it was divided by one too many, or "
                         "a point was left out (or ends at half weight were counted whole).")
    return advice + (f"With {1 / (factor - 1):.0f} steps there was one point more than it was "
                     "divided by.")


def _unknown(given, references):
    """What can be said of numbers that no row explains."""
    sums = np.array([one.sum() for one in given])
    ends = np.array([one.prediction for one in references])
    starts = np.array([one.baseline_prediction for one in references])
    scale = np.abs(ends - starts).max() or 1.0
    if np.all(np.abs(sums - (ends - starts)) <= TOLERANCE * scale):
        return ("they sum to F(x) - F(baseline), and are others",
                "The path differs: another baseline of the same score, other points, or a method "
                "that is not the straight path.")
    begun = ends - sums
    if len(given) > 1 and np.ptp(begun) <= 0.02 * scale:
        return (f"they sum to F(x) - {np.mean(begun):.4g}, and the baseline scores "
                f"{np.mean(starts):.4g}",
                "They were computed for another baseline, or a target of another scale.")
    return ("they do not sum to F(x) - F(baseline), and no error known here explains them",
            "Compare model, target, baseline and the order of the examples; then the number of "
            "steps.")
