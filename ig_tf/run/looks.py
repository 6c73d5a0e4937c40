"""One example's path, taken apart, and what is asked of it: numpy alone, and no model."""

import dataclasses

import numpy as np

from ig_tf.run.results_rows import EQUAL_SHARE

SAME_LENGTH = 1e-3  # vectors whose lengths differ by less than this share have one length
_VECTORS = ("tokens", "one_hot")  # kinds whose last axis belongs to one id


@dataclasses.dataclass(frozen=True)
class PointLook:
    """One point of one example.

    Attributes:
      name, kind: of the point.
      x, start: its value and its baseline.
      integral: average gradient along the path.
      at_x: gradient at x.
    """

    name: str
    kind: str
    x: np.ndarray
    start: np.ndarray
    integral: np.ndarray
    at_x: np.ndarray

    @property
    def change(self):
        return np.where(self.x == self.start, 0.0, self.x - self.start)

    @property
    def attributions(self):
        return times(self.integral, self.change)

    @property
    def at_x_times_change(self):
        """What the gradient at x alone would say."""
        return times(self.at_x, self.change)

    @property
    def integral_times_x(self):
        """What forgets the baseline in the factor."""
        return times(self.integral, self.x)

    def by_feature(self, numbers):
        """Sums for each feature: a number that was sent, a pixel, an id; [features]."""
        return self._reduced(numbers, lambda array, axis: array.sum(axis))

    def equal(self):
        """Whether each feature is the baseline's, in all its numbers; [features] of bool."""
        return self._reduced(self.x == self.start, lambda array, axis: array.all(axis))

    def _reduced(self, array, reduce):
        if self.kind == "pooled" or array.ndim == 0:
            return np.atleast_1d(reduce(array, None))
        inner = self.kind in _VECTORS and array.ndim > 1 or self.kind == "image" and array.ndim > 2
        return np.ravel(reduce(array, -1) if inner else array)


@dataclasses.dataclass(frozen=True)
class Look:
    """One example.

    Attributes:
      id: of the record.
      path: F at `checks.ALPHAS`.
      scores, baseline_scores: the whole output that F is one number of, at x and at the baseline.
      index: which of these is explained; -1 where it is none of them alone.
      points: `PointLook`s.
    """

    id: str
    path: np.ndarray
    scores: np.ndarray
    baseline_scores: np.ndarray
    index: int
    points: tuple

    @property
    def prediction(self):
        return float(self.path[-1])

    @property
    def baseline_prediction(self):
        return float(self.path[0])

    def features(self, word="attributions"):
        """Attributions (or another property of the points) of all features, float64 [features]."""
        return np.concatenate([point.by_feature(getattr(point, word)) for point in self.points])

    def completeness_error(self):
        """Of the attributions, as a share of F(x) - F(baseline); None where that is nothing."""
        difference = self.prediction - self.baseline_prediction
        if not np.isfinite(difference) or self.says_nothing():
            return None
        return abs(float(self.features().sum()) - difference) / abs(difference)

    def says_nothing(self):
        """Whether F is the same at both ends, but for rounding."""
        size = max(abs(self.prediction), abs(self.baseline_prediction))
        return not abs(self.prediction - self.baseline_prediction) > EQUAL_SHARE * size


def of(answer, row, name, points):
    """The `Look` of one row of an answer of `ig_tf.ig.look`.

    Args:
      answer: {key: array [batch, ...]}.
      row: which of them.
      name: id of the record.
      points: (name, kind) of each point.
    """
    def wide(key):
        return np.asarray(answer[key][row], np.float64)

    parts = tuple(PointLook(point, kind, *(wide(f"{word}/{point}") for word in (
        "x", "start", "integral", "at_x"))) for point, kind in points)
    return Look(name, wide("path"), np.ravel(wide("scores")), np.ravel(wide("baseline_scores")),
                int(answer["target_index"][row]), parts)


def times(numbers, change):
    """Their product; exactly zero where either is, whatever the other."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where((numbers == 0) | (change == 0), 0.0, numbers * change)


def rank_correlation(first, second):
    """Spearman's, with mean ranks for ties; None where there is nothing to rank."""
    first, second = _ranks(first), _ranks(second)
    if len(first) < 3 or not first.std() or not second.std():
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values):
    values = np.asarray(values, np.float64)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[np.ravel(inverse)]


def cosine(first, second):
    """Of the angle between two vectors; None where one of them is zero."""
    size = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / size) if np.isfinite(size) and size > 0 else None


def one_length(looks, name):
    """Whether all vectors of a point of ids have one length (three different ones at least)."""
    vectors = [point.x.reshape(-1, point.x.shape[-1]) for look in looks for point in look.points
               if point.name == name and point.kind == "tokens" and point.x.ndim > 1]
    if not vectors or vectors[0].shape[1] < 2:
        return False
    lengths = np.linalg.norm(np.unique(np.concatenate(vectors), axis=0), axis=1)
    lengths = lengths[lengths > 0]
    return len(lengths) >= 3 and lengths.std() <= SAME_LENGTH * lengths.mean()


def distribution(scores, squashed):
    """Probabilities of classes [classes], two of a single probability; None where it is neither.

    Args:
      scores: the whole output, flat.
      squashed: whether a softmax or a sigmoid made it.
    """
    scores = np.asarray(scores, np.float64).ravel()
    if scores.size == 1 and squashed and 0 <= scores[0] <= 1:
        scores = np.array([1 - scores[0], scores[0]])
    if scores.size < 2 or np.any(scores < 0) or not abs(scores.sum() - 1) <= 1e-3:
        return None
    return scores


def entropy(probabilities):
    """As a share of its maximum."""
    kept = probabilities[probabilities > 0]
    return abs(float((kept * np.log(kept)).sum() / np.log(probabilities.size)))
