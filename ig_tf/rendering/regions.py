"""Regions of a map: its strongest pixels, connected parts, outlines, and clean-up by squares."""

import itertools

import numpy as np


def strongest(signed: np.ndarray, share: float) -> np.ndarray:
    """The fewest pixels that together hold this share of the sum of all |scores|.

    Args:
      signed: finite scores of any shape.
      share: percent.

    Returns:
      Booleans of the same shape; equal |scores| are in or out together. Nothing for a zero map.
    """
    sizes = np.abs(signed)
    ordered = np.sort(sizes, axis=None)[::-1]
    if not ordered.size or not ordered[0] or share <= 0:
        return np.zeros(signed.shape, bool)
    mass = np.cumsum(ordered / ordered[0])
    position = np.searchsorted(mass, min(share / 100.0, 1.0) * mass[-1] * (1 - 1e-12))
    least = ordered[min(int(position), ordered.size - 1)]
    return (sizes >= least) & (sizes > 0)


def labelled(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected regions (pixels that touch by a side or a corner) of a mask.

    Args:
      mask: booleans [H, W].

    Returns:
      (int64 [H, W] with 0 outside and 1.. in the regions, their number), numbered from the top.
    """
    numbers = np.zeros(mask.shape, np.int64)
    parents = [0]

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    above: list[tuple[int, int, int]] = []
    for row, line in enumerate(np.asarray(mask, bool)):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], line.view(np.int8), [0]))))
        runs, first = [], 0
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist()):
            mine = len(parents)
            parents.append(mine)
            while first < len(above) and above[first][1] < start:
                first += 1
            for left, _, other in itertools.islice(above, first, None):
                if left > stop:  # up to stop: corners touch
                    break
                parents[root(mine)] = root(other)
            runs.append((start, stop, mine))
            numbers[row, start:stop] = mine
        above = runs
    roots = np.array([root(number) for number in range(len(parents))])
    kept, places = np.unique(roots, return_inverse=True)
    return places.reshape(-1)[numbers], len(kept) - 1


def largest(signed: np.ndarray, share: float) -> np.ndarray:
    """The connected regions that hold most: the strongest until they have this share of the mass.

    Args:
      signed: finite scores [H, W]; a region is where they are not 0.
      share: percent of the sum of all |scores|.

    Returns:
      Booleans [H, W].
    """
    numbers, count = labelled(signed != 0)
    if not count:
        return np.zeros(signed.shape, bool)
    sizes = np.abs(signed) / np.abs(signed).max()
    mass = np.bincount(numbers.ravel(), sizes.ravel(), count + 1)
    mass[0] = 0.0
    order = np.argsort(-mass, kind="stable")
    reached = np.cumsum(mass[order])
    needed = int(np.searchsorted(reached, min(share / 100.0, 1.0) * reached[-1] * (1 - 1e-12)))
    return np.isin(numbers, order[:min(needed, count - 1) + 1]) & (numbers > 0)


def outline(mask: np.ndarray, width: int = 2) -> np.ndarray:
    """The border of a mask: its pixels that are at most `width` from what is outside."""
    inner = np.pad(np.asarray(mask, bool), 1)
    for _ in range(width):
        inner = _spread(inner.astype(np.float64), np.minimum, 1, 0.0) > 0
    return mask & ~inner[1:-1, 1:-1]


def closed(values: np.ndarray, radius: int) -> np.ndarray:
    """Grey closing with a square of side 2 * radius + 1: fills what is narrower."""
    return _spread(_spread(values, np.maximum, radius, -np.inf), np.minimum, radius, np.inf)


def opened(values: np.ndarray, radius: int) -> np.ndarray:
    """Grey opening with a square of side 2 * radius + 1: takes away what is narrower."""
    return _spread(_spread(values, np.minimum, radius, np.inf), np.maximum, radius, -np.inf)


def _spread(values: np.ndarray, choose: np.ufunc, radius: int, outside: float) -> np.ndarray:
    """The largest or smallest value in a square around each pixel, one axis after the other."""
    for axis in (0, 1):
        values = np.moveaxis(values, axis, 0)
        around = np.pad(values, ((radius, radius), (0, 0)), constant_values=outside)
        result = values
        for shift in range(2 * radius + 1):
            result = choose(result, around[shift:shift + len(values)])
        values = np.moveaxis(result, 0, axis)
    return values
