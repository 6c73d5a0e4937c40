"""A set of results as a whole, in a stream: features, words and slices, target by target.

Memory does not grow with the number of results. Of each feature (per target) there are count, mean,
mean |attribution| and quantiles; of words and of slices count and means. Two summaries make one, so
every shard has its own. What is for one class may be against another: targets are never mixed.

Needs NumPy and the standard library, and no TensorFlow.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ig_tf.run import pieces
from ig_tf.run.results_rows import Result

MOST_TARGETS = 100  # of which there are groups; results of others are counted
MOST_VALUES = 50  # of a column that slices are made by
MOST_WORDS = 20_000  # that a target keeps, the most frequent
SHOWN_WORDS = 1_000  # in a file, those with the largest sum of |attribution|
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

RELATIVE = 0.01  # error of a quantile, as a share of it
BITS = 40  # below 2**-BITS of the largest, sizes count as zero
_BASE = (1 + RELATIVE) / (1 - RELATIVE)  # of the buckets of sizes: DDSketch, VLDB 2019
_SPAN = math.ceil(BITS * math.log(2) / math.log(_BASE))
_SCALE = 2.0 ** -64  # sums are kept so much smaller, so that none is beyond the largest float
_TOGETHER = 512  # scores whose moments are counted at once
_SKETCHED = 8 * _TOGETHER  # scores that are put into buckets at once


class Moments:
    """Count, mean and mean size of numbers, in three floats."""

    __slots__ = ("count", "_total", "_size")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.count, self._total, self._size = 0, 0.0, 0.0
        self.add(values)

    def append(self, score: float) -> None:
        """Counts a score, if it is finite."""
        if math.isfinite(score):
            scaled = score * _SCALE
            self.count += 1
            self._total += scaled
            self._size += abs(scaled)

    def extend(self, scores: Iterable[float]) -> None:
        """As `append` for each."""
        count, total, size = 0, self._total, self._size
        for score in scores:
            if math.isfinite(score):
                scaled = score * _SCALE
                count += 1
                total += scaled
                size += abs(scaled)
        self.count, self._total, self._size = self.count + count, total, size

    def add(self, values: Iterable[float]) -> None:
        """Counts finite numbers; their own sum is exact."""
        scaled = [value * _SCALE for value in values]
        self.count += len(scaled)
        self._total += math.fsum(scaled)
        self._size += math.fsum(map(abs, scaled))

    def merge(self, other: "Moments") -> None:
        self.count += other.count
        self._total += other._total
        self._size += other._size

    @property
    def mean(self) -> float:
        return self._total / self.count / _SCALE

    @property
    def mean_absolute(self) -> float:
        return self._size / self.count / _SCALE

    def state(self) -> list[float]:
        return [self.count, self._total, self._size]

    @classmethod
    def of_state(cls, state: list[float]) -> "Moments":
        made = cls()
        made.count, (made._total, made._size) = int(state[0]), state[1:]
        return made

    def row(self) -> dict[str, float]:
        return {"count": self.count, "mean": self.mean, "mean_absolute": self.mean_absolute}


class Sketch:
    """Quantiles of numbers, by buckets of sizes that grow by a fixed factor.

    A quantile is off by RELATIVE of itself or 2**-BITS of the largest size, at most; there are at
    most 2 * _SPAN + 3 buckets, whatever comes.
    """

    def __init__(self) -> None:
        self._counts: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self._zeros = 0

    def add(self, values: np.ndarray) -> None:
        for sign, counts in self._counts.items():
            sizes = sign * values[sign * values > 0]
            if not len(sizes):
                continue
            buckets = np.ceil(np.log(sizes) / math.log(_BASE)).astype(np.int64)
            least = int(buckets.min())
            found = np.bincount(buckets - least)
            filled = np.flatnonzero(found)
            for bucket, count in zip((filled + least).tolist(), found[filled].tolist()):
                counts[bucket] = counts.get(bucket, 0) + count
        self._zeros += int(np.count_nonzero(values == 0))
        self._fold()

    def merge(self, other: "Sketch") -> None:
        for sign, counts in self._counts.items():
            for bucket, count in other._counts[sign].items():
                counts[bucket] = counts.get(bucket, 0) + count
        self._zeros += other._zeros
        self._fold()

    def _fold(self) -> None:
        """Counts as zero what is too small beside the largest."""
        least = max((bucket for counts in self._counts.values() for bucket in counts),
                    default=0) - _SPAN
        for counts in self._counts.values():
            for bucket in [bucket for bucket in counts if bucket < least]:
                self._zeros += counts.pop(bucket)

    def quantile(self, share: float) -> float:
        """The number of which `share` of the others are below; NaN where there is none."""
        below, above = (sorted(self._counts[sign].items()) for sign in (-1, 1))
        ordered = [(-_middle(bucket), count) for bucket, count in reversed(below)]
        ordered += [(0.0, self._zeros)]
        ordered += [(_middle(bucket), count) for bucket, count in above]
        left = math.floor(share * (sum(count for _, count in ordered) - 1))
        for value, count in ordered:
            left -= count
            if left < 0:
                return value
        return math.nan

    def state(self) -> list[Any]:
        return [self._zeros, *(sorted(self._counts[sign].items()) for sign in (1, -1))]

    @classmethod
    def of_state(cls, state: list[Any]) -> "Sketch":
        made = cls()
        made._zeros = state[0]
        made._counts = {1: dict(map(tuple, state[1])), -1: dict(map(tuple, state[2]))}
        return made


def _middle(bucket: int) -> float:
    """The size that no number of a bucket is further from than RELATIVE of it."""
    exponent = bucket * math.log(_BASE)
    return 2 * math.exp(min(exponent, 709.0)) / (1 + _BASE)


class Column:
    """Scores of a feature: moments and quantiles; waiting ones are counted together."""

    def __init__(self) -> None:
        self._moments, self._sketch = Moments(), Sketch()
        self._waiting: list[float] = []
        self._unsketched: list[np.ndarray] = []

    def append(self, score: float) -> None:
        self._waiting.append(score)
        if len(self._waiting) >= _TOGETHER:
            self._count()

    def extend(self, scores: Iterable[float]) -> None:
        """As `append` for each."""
        self._waiting.extend(scores)
        while len(self._waiting) >= _TOGETHER:
            rest = self._waiting[_TOGETHER:]
            del self._waiting[_TOGETHER:]
            self._count()
            self._waiting.extend(rest)

    def _count(self) -> None:
        values = np.array(self._waiting, np.float64)
        self._waiting.clear()
        values = values[np.isfinite(values)]
        self._moments.add(values.tolist())
        self._unsketched.append(values)
        if len(self._unsketched) * _TOGETHER >= _SKETCHED:
            self._put()

    def _put(self) -> None:
        """Puts into buckets what waits for it."""
        if self._unsketched:
            self._sketch.add(np.concatenate(self._unsketched))
            self._unsketched.clear()

    def _end(self) -> None:
        self._count()
        self._put()

    def merge(self, other: "Column") -> None:
        self._end()
        other._end()
        self._moments.merge(other._moments)
        self._sketch.merge(other._sketch)

    @property
    def count(self) -> int:
        """How many were finite."""
        self._end()
        return self._moments.count

    def state(self) -> list[Any]:
        self._end()
        return [self._moments.state(), self._sketch.state()]

    @classmethod
    def of_state(cls, state: list[Any]) -> "Column":
        made = cls()
        made._moments, made._sketch = Moments.of_state(state[0]), Sketch.of_state(state[1])
        return made

    def row(self) -> dict[str, Any]:
        self._end()
        return {**self._moments.row(),
                "quantiles": {str(share): self._sketch.quantile(share) for share in QUANTILES}}


class Words:
    """Words with their moments, the most frequent ones.

    Attributes:
      missed: a word that is not here occurred so often at most, and one that is here may have
        occurred so many times more than was counted. 0 until there are 2 * MOST_WORDS.
    """

    def __init__(self) -> None:
        self._found: dict[str, Moments] = {}
        self.missed = 0

    def add(self, word: str, score: float) -> None:
        self._of(word).append(score)
        self._drop()

    def merge(self, other: "Words") -> None:
        for word, moments in other._found.items():
            self._of(word).merge(moments)
        self.missed += other.missed
        self._drop()

    def _of(self, word: str) -> Moments:
        found = self._found.get(word)
        if found is None:
            found = self._found[word] = Moments()
        return found

    def _drop(self) -> None:
        if len(self._found) > 2 * MOST_WORDS:
            ordered = sorted(self._found.items(), key=lambda pair: -pair[1].count)
            self._found = dict(ordered[:MOST_WORDS])
            self.missed += ordered[MOST_WORDS][1].count

    def items(self) -> Iterable[tuple[str, Moments]]:
        return self._found.items()

    def state(self) -> list[Any]:
        return [self.missed, {word: moments.state() for word, moments in self._found.items()}]

    @classmethod
    def of_state(cls, state: list[Any]) -> "Words":
        made = cls()
        made.missed = state[0]
        made._found = {word: Moments.of_state(one) for word, one in state[1].items()}
        return made

    def rows(self) -> list[dict[str, Any]]:
        ordered = sorted(self._found.items(),
                         key=lambda pair: (-pair[1].count * pair[1].mean_absolute, pair[0]))
        return [{"token": word, **moments.row()} for word, moments in ordered[:SHOWN_WORDS]]


def feature_moments(results: Iterable[Result]) -> dict[str, Moments]:
    """{feature: moments} of finite attributions."""
    found: dict[str, list[float]] = {}
    for result in results:
        for name, score in result.features.items():
            if math.isfinite(score):
                found.setdefault(name, []).append(score)
    return {name: Moments(scores) for name, scores in found.items()}


def words_of(result: Result, merge: bool = True) -> Iterator[tuple[str, float]]:
    """(word, attribution) of a result's texts, without padding and what a tokenizer adds.

    A text of one token is a category: a feature, and no word.
    """
    for point in result.points:
        if point.kind != "tokens" or len(point.tokens or ()) < 2:
            continue
        scores = pieces.token_scores(point)
        for piece in pieces.cut(point.tokens, scores, merge):
            if piece.kind == "word" and isinstance(piece.text, str) and math.isfinite(piece.score):
                yield piece.text, piece.score


def slice_value(value: Any) -> str | None:
    """The slice that a value of a pass-through column belongs to; None: none."""
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value)[:200]


def quantile_error() -> Mapping[str, float]:
    """How far quantiles may be off."""
    return {"of_the_quantile": RELATIVE, "of_the_largest": 2.0 ** -BITS}
