"""The set in parts: mean attributions by target, by a feature's value, and of single words."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ig_tf.errors import ResultsError
from ig_tf.rendering import numerals
from ig_tf.rendering.look import Look
from ig_tf.run import summaries
from ig_tf.run.results import Result

MOST_SLICES = 8
_PARTS = 4  # of a number's range, with equally many examples each
TARGET = "target"


@dataclasses.dataclass(frozen=True)
class Slice:
    """Some of the examples.

    Attributes:
      name: the value that they have in common.
      results: the examples.
    """

    name: str
    results: tuple[Result, ...]

    def means(self) -> dict[str, float]:
        """Mean signed attribution of each feature, over the examples that have it."""
        return {name: moments.mean
                for name, moments in summaries.feature_moments(self.results).items()}


def by(results: Sequence[Result], key: str) -> list[Slice]:
    """The examples cut by their target or by an input of theirs.

    Args:
      results: the rows.
      key: "target", or the name of an input: numbers are cut in four parts of equally many
        examples, other values are slices of their own, the largest MOST_SLICES of them.

    Raises:
      ResultsError: no row has such an input.
    """
    values = [_single(result.inputs.get(key)) for result in results]
    if key == TARGET and all(value is None for value in values):
        return _largest(results, [result.target.named() for result in results])
    if all(value is None for value in values):
        known = sorted({str(name) for result in results for name in result.inputs})
        raise ResultsError(f"no example has an input {key!r} of one value to slice by; inputs: "
                           f"{', '.join(known[:20]) or 'none'}; or {TARGET!r}")
    if _are_numbers(values):
        return _parts(results, values)
    return _largest(results, [None if v is None else str(v) for v in values])


def has(results: Sequence[Result], key: str) -> bool:
    """Whether any of them has an input of one value of that name."""
    return any(_single(result.inputs.get(key)) is not None for result in results)


def by_target(results: Sequence[Result]) -> list[Slice]:
    """The examples cut by what is explained of them, whatever their inputs are called."""
    return _largest(results, [result.target.named() for result in results])


def word_means(results: Sequence[Result], look: Look, least: int = 2
               ) -> list[tuple[str, float, int]]:
    """(word, mean attribution, occurrences) of words that occur often enough, strongest first.

    A text of one token is a category: a feature, and no word.
    """
    means = [(word, summaries.Moments(scores).mean, len(scores))
             for word, scores in word_scores(results, look).items() if len(scores) >= least]
    return sorted(means, key=lambda line: -abs(line[1]))


def word_scores(results: Sequence[Result], look: Look) -> dict[str, list[float]]:
    """{word: its attribution wherever it occurs}."""
    found: dict[str, list[float]] = {}
    for result in results:
        for word, score in summaries.words_of(result, look.words == "merged"):
            found.setdefault(word, []).append(score)
    return found


def _largest(results: Sequence[Result], names: Sequence[str | None]) -> list[Slice]:
    """A slice for each name, largest first; None is in no slice."""
    groups: dict[str, list[Result]] = {}
    for result, name in zip(results, names):
        if name is not None:
            groups.setdefault(name, []).append(result)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [Slice(name, tuple(members)) for name, members in ordered[:MOST_SLICES]]


def _parts(results: Sequence[Result], values: Sequence[float | None]) -> list[Slice]:
    """Parts of equally many examples along the numbers; each ends where the next begins."""
    known = [value for value in values if value is not None]
    edges = np.quantile(known, np.linspace(0, 1, _PARTS + 1), method="higher").tolist()
    edges = sorted(set(edges))
    members: list[list[Result]] = [[] for _ in edges[1:]]
    for result, value in zip(results, values):
        if value is not None:
            part = int(np.searchsorted(edges, value, side="right")) - 1
            members[min(part, len(members) - 1)].append(result)
    return [Slice(f"{numerals.plain(low)} to {numerals.plain(high)}", tuple(part))
            for low, high, part in zip(edges, edges[1:], members) if part]


def _single(value: Any) -> Any:
    """A value as one number or one text; None where it is neither."""
    while isinstance(value, (list, tuple, np.ndarray)) and np.size(value) == 1 and len(
            np.shape(value)):
        value = value[0]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    return None if value is None or isinstance(value, (list, tuple, Mapping, np.ndarray, float)
                                               ) else str(value)


def _are_numbers(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    numbers = [value for value in known if isinstance(value, (int, float))]
    return len(numbers) == len(known) and len(set(numbers)) > MOST_SLICES
