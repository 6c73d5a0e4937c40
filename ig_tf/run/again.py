"""Whether the same request gets the same answer twice: dropout left on is found by that."""

import numpy as np

from ig_tf.run.apart import LIMIT, MOST

__all__ = ["LIMIT", "measure"]


def measure(loaded, given):
    """Asks a saved artifact the same thing twice.

    Args:
      loaded: an `Artifact`.
      given: (id, {input: one example's array}) of each record.

    Returns:
      The largest difference of any number, as a share of the largest number of its key; 0.0 where
      all bits are equal.
    """
    alike = [row for _, row in given if loaded.alike(row) == loaded.alike(given[0][1])]
    rows = alike[:min(MOST, loaded.examples or MOST)]
    first, second = loaded.answer(rows), loaded.answer(rows)
    return max((_share(first[key], second[key]) for key in first), default=0.0)


def _share(one, other):
    if one.dtype.kind != "f":
        return float(one.shape != other.shape or not np.array_equal(one, other))
    if one.tobytes() == other.tobytes():
        return 0.0
    if one.shape != other.shape or np.any(np.isfinite(one) != np.isfinite(other)):
        return 1.0
    finite = np.isfinite(one)
    size = np.abs(one[finite]).max(initial=0) or 1.0
    return float(np.abs(one[finite] - other[finite]).max(initial=0) / size)
