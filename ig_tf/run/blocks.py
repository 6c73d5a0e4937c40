"""Answers of a batch as columns of results: what `answers` says of single rows, of all at once."""

import dataclasses
import functools
import itertools
import math

import numpy as np

from ig_tf.run import answers, pieces, results_values
from ig_tf.run.results import EQUAL_SHARE, NUMBERS, TOLERANCE, PointScores
from ig_tf.run.summaries import words_of


@dataclasses.dataclass(frozen=True)
class PointColumn:
    """Attributions of all rows at one point.

    Attributes:
      name, kind, features: as of `PointScores`.
      scores: [rows, ...]; of tokens [tokens of all rows, ...], one row after the other.
      tokens: those of all rows, one after the other; None: the point has none.
      ends: where the tokens of each row end, [rows + 1] from 0; None as above.
    """

    name: str
    kind: str
    features: tuple
    scores: np.ndarray
    tokens: list | None
    ends: np.ndarray | None

    def rows(self):
        """[(start, stop)] of the tokens of each row."""
        return itertools.pairwise(self.ends.tolist())


class Block:
    """Results of records that were answered together, in the order of the request.

    Args:
      explainer: the `Explainer`.
      table: the `Table` that they are from.
      group: the `Alike` that was asked.
      answer: {key: array [records, ...]}.

    Attributes:
      table, group: as above.
    """

    def __init__(self, explainer, table, group, answer):
        self.table, self.group, self._answer = table, group, answer
        self.loaded, self._target_of = explainer.loaded, explainer.target_of
        self._vocabulary = explainer.vocabulary

    def __len__(self):
        return len(self.group)

    @functools.cached_property
    def whole(self):
        """Whether these are all records of the table, in its order."""
        return len(self) == self.table.count and len(self.table.groups) == 1

    def of(self, column):
        """What a list of the whole table says of these records."""
        return column if self.whole else [column[place] for place in self.group.places]

    @functools.cached_property
    def numbers(self):
        """{key: float64 [records], or None: the method makes no such claim}."""
        return {key: np.asarray(self._answer[key], np.float64) if key in self._answer else None
                for key in NUMBERS}

    @functools.cached_property
    def statuses(self):
        """The status of each."""
        return statuses(**self.numbers)

    @functools.cached_property
    def indices(self):
        """`target_index` of each."""
        return self._answer["target_index"].tolist()

    def by_target(self, function):
        """What function(`Target`) says of each record; it is asked once for each target."""
        known = {index: function(self._target_of(int(index))) for index in {*self.indices}}
        return [known[index] for index in self.indices]

    @functools.cached_property
    def spread(self):
        """As `Result` has it, NaN where there is none; None: there is one baseline."""
        return answers.spreads(self._answer, self.loaded.metadata["points"])

    @functools.cached_property
    def features(self):
        """{feature: float64 [records]}, in the order of the results."""
        return {key.partition("/")[2]: np.asarray(value, np.float64)
                for key, value in sorted(self._answer.items()) if key.startswith("features/")}

    @functools.cached_property
    def points(self):
        """Every `PointColumn`."""
        return [self._point(point) for point in self.loaded.metadata["points"]]

    def _point(self, point):
        name, kind, features = point["name"], point["kind"], tuple(point["features"])
        scores = results_values.float_array(self._answer[f"attributions/{name}"], name)
        scores = scores + 0.0  # a zero has no sign
        tokens = self._answer.get(f"tokens/{name}")
        if tokens is None:
            kind = "pooled" if kind == "tokens" else kind  # for a baseline that was chosen
            return PointColumn(name, kind, features, scores, None, None)
        lengths = np.asarray(self._answer[f"length/{name}"]).astype(np.int64)
        longest = tokens.shape[1]
        taken = np.arange(longest) < np.where(  # as a slice of a list takes them
            lengths < 0, np.maximum(lengths + longest, 0), lengths)[:, None]
        flat = tokens[taken].tolist()
        if {*map(type, flat)} == {bytes}:
            flat = results_values.decoded(flat)
        elif self._vocabulary or tokens.dtype == object:
            flat = [answers.token_of(token, self._vocabulary) for token in flat]
        ends = np.concatenate([[0], np.cumsum(taken.sum(1))])
        return PointColumn(name, "tokens", features, scores[taken], flat, ends)

    def words(self):
        """For each record [(word, attribution)] of its texts; None: there are none."""
        found = [_words(point) for point in self.points if point.tokens is not None and
                 np.diff(point.ends).max() > 1 and str in {*map(type, point.tokens)}]
        return [[*itertools.chain(*row)] for row in zip(*found)] if found else None


def statuses(prediction, baseline_prediction, completeness_error, relative_error):
    """The status of each row, as `requests.status` has it of one; arrays of float64, or None."""
    here, there, error = prediction, baseline_prediction, completeness_error
    if error is None:
        fine = np.isfinite(here) & np.isfinite(there)
        return np.where(fine, "unchecked", "invalid_input").tolist()
    relative = np.full(len(here), np.nan) if relative_error is None else relative_error
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.maximum(np.abs(here), np.abs(there))
        equal = (size == 0) | (np.abs(here - there) < EQUAL_SHARE * size)
        adds_up = np.where(equal, (error <= TOLERANCE * size) | (size == 0),
                           np.abs(relative) <= TOLERANCE)
    valid = np.isfinite(here) & np.isfinite(there) & np.isfinite(error) & (
        equal | np.isfinite(relative))
    names = np.where(adds_up, np.where(equal, "baseline_equal", "converged"), "capped")
    return np.where(valid, names, "invalid_input").tolist()


@functools.lru_cache(1 << 16)
def _kind(token):
    """What a text is to `pieces.cut`: "" for what is no word, "marked" for a piece of one."""
    if token in pieces.PADS or token in pieces.SPECIAL:
        return ""
    return "marked" if pieces.family_of([token]) else "word"


def _words(point):
    """For each row [(word, attribution)] of one point, as `summaries.words_of` has them."""
    scores = pieces.token_scores(point).tolist()
    kinds = [_kind(token) if isinstance(token, str) else "" for token in point.tokens]
    found = []
    for start, stop in point.rows():
        if stop - start < 2:
            found.append([])
        elif "marked" in kinds[start:stop]:
            found.append([*words_of(_OfRow((PointScores.known(
                point.name, "tokens", point.scores[start:stop], tuple(point.tokens[start:stop]),
                point.features, None),)))])
        else:
            found.append([(token, score) for token, score, kind in zip(
                point.tokens[start:stop], scores[start:stop], kinds[start:stop])
                if kind and math.isfinite(score)])
    return found


@dataclasses.dataclass(frozen=True)
class _OfRow:
    """What `words_of` reads of a result."""

    points: tuple
