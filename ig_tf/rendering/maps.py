"""Signed maps: one score per pixel, and what can be done to it before it is drawn.

Pure functions on float64 arrays [H, W]. What is not finite counts as 0 everywhere but in
`signed_map`, which keeps it so that it can be counted.
"""

import math

import numpy as np
from PIL import Image

from ig_tf.rendering import regions
from ig_tf.rendering.look import Look

LARGEST = 320  # pixels on the longer side; larger maps are shrunk before they are drawn

# Sizes of a first axis that is colour, where both others are at least so long.
_COLOURS = (1, 3, 4)
_LEAST_SIDE = 8


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether three axes are read as [C, H, W]: few colours, then two longer axes."""
    return (len(shape) == 3 and shape[0] in _COLOURS and min(shape[1:]) >= _LEAST_SIDE
            and shape[2] not in _COLOURS)


def channels_last(values: np.ndarray) -> np.ndarray:
    """[H, W, C] of [H, W, C] or [C, H, W]."""
    return np.moveaxis(values, 0, -1) if channels_first(values.shape) else values


def signed_map(scores: np.ndarray, channels: str = "sum") -> np.ndarray:
    """One signed score per pixel.

    Args:
      scores: [H, W], [H, W, C] or [C, H, W], also with leading axes, which are summed; fewer axes
        make one row of pixels.
      channels: "sum", or "largest" for the channel of the largest |score|.

    Returns:
      float64 [H, W]; NaN and infinities are kept, so that they can be counted.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim < 2:
        return scores.reshape(1, -1)
    # Infinities of both signs in one pixel make a NaN, which is what is reported.
    with np.errstate(invalid="ignore", over="ignore"):
        while scores.ndim > 3:
            scores = scores.sum(axis=0)
        if scores.ndim == 2:
            return scores
        scores = channels_last(scores)
        if channels == "sum" or not scores.shape[2]:
            return scores.sum(axis=2)
    largest = np.argmax(np.abs(scores), axis=2)[..., None]
    return np.take_along_axis(scores, largest, axis=2)[..., 0]


def finite(signed: np.ndarray) -> np.ndarray:
    """The map with 0 where there is no number."""
    return np.where(np.isfinite(signed), signed, 0.0)


def full_colour(signed: np.ndarray, clip: float) -> float:
    """The |score| from which on the colour is full.

    Args:
      signed: the map; what is not finite does not count.
      clip: share, in percent, of the sum of all |scores| that lies in smaller or equal ones.

    Returns:
      That |score|; 0 for an empty, zero or NaN map.
    """
    sizes = np.sort(np.abs(signed[np.isfinite(signed)]), axis=None)
    if not sizes.size or not sizes[-1]:
        return 0.0
    mass = np.cumsum(sizes / sizes[-1])  # in units of the largest: sums of 1e308 would overflow
    # Rounding must not ask for more than there is.
    position = int(np.searchsorted(mass, min(clip / 100.0, 1.0) * mass[-1] * (1 - 1e-12)))
    return float(sizes[min(position, sizes.size - 1)]) or float(sizes[-1])


def smooth(signed: np.ndarray, width: float) -> np.ndarray:
    """The map under a Gaussian of this width; its sum stays, nothing leaks over the border.

    Args:
      signed: [H, W].
      width: standard deviation in pixels; 0 leaves the map as it is.
    """
    if not width > 0 or not signed.size:
        return signed
    reach = max(1, math.ceil(3 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        # Mirrored borders, mirrored again where the map is smaller than the reach.
        signed = np.moveaxis(signed, axis, 0)
        around = np.pad(signed, ((reach, reach), (0, 0)), mode="symmetric")
        signed = sum(weight * around[i:i + len(signed)] for i, weight in enumerate(kernel))
        signed = np.moveaxis(signed, 0, axis)
    return signed


def drawn(signed: np.ndarray, look: Look) -> np.ndarray:
    """The map as it is to be coloured: blurred, of the polarity asked for, its strongest pixels.

    Args:
      signed: [H, W].
      look: blur, polarity, mass and clean are used.
    """
    result = smooth(finite(signed), look.blur)
    if look.polarity == "positive":
        result = np.maximum(result, 0.0)
    elif look.polarity == "negative":
        result = np.minimum(result, 0.0)
    if look.mass < 100:
        result = np.where(regions.strongest(result, look.mass), result, 0.0)
    if look.clean:
        result = cleaned(result, look.clean)
    return result


def cleaned(signed: np.ndarray, radius: int) -> np.ndarray:
    """Closes small holes and takes single pixels away, sign by sign.

    A grey closing and a grey opening with a square: what is narrower than the square goes.
    """
    result = np.zeros_like(signed)
    for sign in (1.0, -1.0):
        part = np.maximum(sign * signed, 0.0)
        result += sign * regions.opened(regions.closed(part, radius), radius)
    return result


def shrunk(signed: np.ndarray) -> np.ndarray:
    """The map with its longer side at most LARGEST, by means; what is not finite counts as 0."""
    height, width = signed.shape
    longer = max(height, width)
    if longer <= LARGEST:
        return signed
    size = (max(1, round(width * LARGEST / longer)), max(1, round(height * LARGEST / longer)))
    known = finite(signed)
    # float32 images: scores of 1e-40 would vanish, so the map travels in units of its largest.
    unit = float(np.abs(known).max()) or 1.0
    small = Image.fromarray((known / unit).astype(np.float32)).resize(size, Image.Resampling.BOX)
    return np.asarray(small, np.float64) * unit


def sums(signed: np.ndarray) -> tuple[float, float]:
    """Sums of what is above and of what is below zero."""
    known = signed[np.isfinite(signed)]
    with np.errstate(over="ignore"):  # beyond the largest float it is said to be infinite
        return float(known[known > 0].sum()), float(known[known < 0].sum())
