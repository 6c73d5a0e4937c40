"""Columns of an archive: one array for all rows, padded where rows differ in length."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

# Padded string arrays cost the longest text everywhere; this bounds one in characters.
_STRING_BUDGET = 1 << 26


def ordered(groups: Iterable[Iterable[str]]) -> list[str]:
    """Each name once, in the order of first sight."""
    return list(dict.fromkeys(name for group in groups for name in group))


def number_array(values: Sequence[float | None]) -> np.ndarray:
    """float64 [rows]; NaN where there is none."""
    return np.array([math.nan if v is None else v for v in values], np.float64)


def string_array(values: Sequence[str]) -> np.ndarray:
    """Text [rows], cut where it would cost too much."""
    longest = max((len(value) for value in values), default=0)
    width = max(1, min(longest, _STRING_BUDGET // max(1, len(values))))
    return np.array([value[:width] for value in values], f"U{width}")


def index_array(indices: Sequence[int | tuple[int, ...] | None]) -> np.ndarray:
    """int64 [rows], or [rows, axes] where one of them is a tuple; -1 where there is none."""
    tuples = [i if isinstance(i, (tuple, list)) else () if i is None else (i,) for i in indices]
    axes = max((len(t) for t in tuples), default=0)
    padded = np.full((len(tuples), max(1, axes)), -1, np.int64)
    for row, index in zip(padded, tuples):
        row[:len(index)] = index
    return padded if any(isinstance(i, (tuple, list)) for i in indices) else padded[:, 0]


def token_array(
    tokens: Mapping[int, Sequence[str | int]], rows: int, longest: int
) -> np.ndarray:
    """[rows, longest]: int64 padded with -1 where all are such ids, else text padded with ""."""
    every = [token for sequence in tokens.values() for token in sequence]
    if every and all(isinstance(t, int) and -2**63 <= t < 2**63 for t in every):
        array = np.full((rows, longest), -1, np.int64)
        width = None
    else:
        width = max((len(str(token)) for token in every), default=1)
        width = max(1, min(width, _STRING_BUDGET // max(1, rows * longest)))
        array = np.full((rows, longest), "", f"U{width}")
    for i, sequence in tokens.items():
        array[i, :len(sequence)] = list(sequence) if width is None else [
            str(token)[:width] for token in sequence]
    return array
