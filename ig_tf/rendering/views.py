"""The pictures of a map: overlay, heat map, mask and outlines, each from arrays to an array."""

from collections.abc import Callable

import numpy as np

from ig_tf.rendering import palette, regions
from ig_tf.rendering.palette import Palette

SMALLEST = 160  # pixels on the longer side; smaller maps are enlarged by whole pixels

# Where the colour is full, this share of it is laid over the picture.
_OPACITY = 0.9
_LUMA = (0.299, 0.587, 0.114)
_PAPER = 245
# Outlines go around the strongest connected regions that hold this share of the map.
OUTLINED = 90.0
# What is outlined: the strongest pixels with this share; all pixels would make one region.
OUTLINED_PIXELS = 60.0
# Fine maps are blurred first, or each of their specks would be a region: this many pixels of the
# longer side make one pixel of blur.
_FINE = 80


def overlay(signed: np.ndarray, background: np.ndarray, scale: float, colours: Palette
            ) -> np.ndarray:
    """The map in its two colours over a grey version of the background.

    Args:
      signed: [H, W] scores.
      background: uint8 [H, W, 3].
      scale: the |score| that gets the full colour.
      colours: the palette.

    Returns:
      uint8 [H, W, 3].
    """
    grey = (background @ np.array(_LUMA))[..., None]
    # Light and of little contrast, so that both colours are seen on black and on white.
    return _mixed(signed, 150.0 + 0.4 * grey, scale, colours, _OPACITY)


def heat(signed: np.ndarray, background: np.ndarray, scale: float, colours: Palette
         ) -> np.ndarray:
    """The map alone, on paper."""
    return _mixed(signed, np.full((*signed.shape, 1), _PAPER), scale, colours, 1.0)


def mask(signed: np.ndarray, background: np.ndarray, scale: float, colours: Palette
         ) -> np.ndarray:
    """The input, its brightness the square root of its |score|: what has none is black."""
    weight = np.sqrt(palette.strength(signed, scale))[..., None]
    return np.rint(weight * background).astype(np.uint8)


def outlines(signed: np.ndarray, background: np.ndarray, scale: float, colours: Palette
             ) -> np.ndarray:
    """The input, with a line around the connected regions that hold most of the map."""
    known = np.where(np.isfinite(signed), signed, 0.0)
    drawn = background.copy()
    for sign, colour in ((1, colours.positive), (-1, colours.negative)):
        part = np.where(sign * known > 0, known, 0.0)
        # Each sign for itself, or the weaker would have no region at all.
        part = np.where(regions.strongest(part, OUTLINED_PIXELS), part, 0.0)
        drawn[regions.outline(regions.largest(part, OUTLINED))] = colour
    return drawn


def outline_blur(shape: tuple[int, int], blurred: float) -> float:
    """Pixels of blur before a map of this size is outlined; none where it is blurred already."""
    return 0.0 if blurred or max(shape) < _FINE else float(max(shape) // _FINE)


def untouched(signed: np.ndarray, background: np.ndarray, scale: float, colours: Palette
              ) -> np.ndarray:
    """The input itself."""
    return background


# view: (what draws it, words under it, whether it can do without the input)
VIEWS: dict[str, tuple[Callable[..., np.ndarray], str, bool]] = {
    "input": (untouched, "input", False),
    "overlay": (overlay, "attributions over it", True),
    "heat": (heat, "attributions alone", True),
    "mask": (mask, "input, bright where attributed", False),
    "outlines": (outlines, "strongest regions", True),
}


def enlarge(rgb: np.ndarray, smallest: int = SMALLEST) -> np.ndarray:
    """Repeats pixels until the longer side has at least `smallest`; larger ones stay.

    Args:
      rgb: [H, W, ...].
      smallest: pixels.
    """
    factor = max(1, -(-smallest // max(rgb.shape[:2])))
    return rgb.repeat(factor, axis=0).repeat(factor, axis=1)


def _mixed(signed: np.ndarray, under: np.ndarray, scale: float, colours: Palette, opacity: float
           ) -> np.ndarray:
    colour = np.where(signed[..., None] > 0, colours.positive, colours.negative)
    weight = opacity * palette.strength(signed, scale)[..., None]
    return np.rint((1 - weight) * under + weight * colour).astype(np.uint8)
