"""Image attributions: a signed map over the picture that the model saw.

Pure functions from arrays to arrays, and to PNG or JPEG bytes at the end; `figure` puts them
together.
"""

import base64
import binascii
import dataclasses
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from ig_tf.rendering import markup, numerals, palette
from ig_tf.rendering.markup import Html, element
from ig_tf.run.results import PointScores, Result

SMALLEST = 160  # pixels on the longer side; smaller maps are enlarged by whole pixels
LARGEST = 320  # larger ones are shrunk before they are drawn
PERCENTILE = 99.0

# Where the colour is full, this share of it is laid over the picture.
_OPACITY = 0.9
# What one embedded picture may take: two for each of a hundred photographs make under 5 MB.
_LARGEST_FILE = 18_000
# JPEG qualities for what is larger as PNG, the first that fits.
_QUALITIES = (85, 75, 65, 50)
_LARGEST_INPUT = 50_000_000
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
_LUMA = (0.299, 0.587, 0.114)


@dataclasses.dataclass(frozen=True)
class Picture:
    """What was drawn of an input.

    Attributes:
      rgb: uint8 [H, W, 3], or None where it cannot be drawn.
      note: what a reader must know about it; may be empty.
    """

    rgb: np.ndarray | None
    note: str = ""


def signed_map(scores: np.ndarray) -> np.ndarray:
    """One signed score per pixel.

    Args:
      scores: [H, W] or [H, W, C], also with leading axes, which are summed like channels; fewer
        axes make one row of pixels.

    Returns:
      float64 [H, W]; NaN and infinities are kept, so that they can be counted.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim < 2:
        return scores.reshape(1, -1)
    while scores.ndim > 3:
        scores = scores.sum(axis=0)
    # Infinities of both signs in one pixel make a NaN, which is what is reported.
    with np.errstate(invalid="ignore"):
        return scores.sum(axis=2) if scores.ndim == 3 else scores


def clip_scale(signed: np.ndarray, percentile: float = PERCENTILE) -> float:
    """The |score| that gets the full colour: a percentile, so that one pixel cannot hide all.

    Returns:
      The percentile of the finite |scores|; their largest where that is 0; 0 for an empty, zero
      or NaN map.
    """
    sizes = np.abs(signed[np.isfinite(signed)])
    if not sizes.size:
        return 0.0
    return float(np.percentile(sizes, percentile)) or float(sizes.max())


def overlay(signed: np.ndarray, background: np.ndarray, scale: float) -> np.ndarray:
    """The map in green (for) and red (against) over a grey version of the background.

    Args:
      signed: [H, W] scores.
      background: uint8 [H, W, 3].
      scale: the |score| that gets the full colour.

    Returns:
      uint8 [H, W, 3].
    """
    grey = (background @ np.array(_LUMA))[..., None]
    # Light and of little contrast, so that both colours are seen on black and on white.
    grey = 150.0 + 0.4 * grey
    colour = np.where(signed[..., None] > 0, palette.FOR, palette.AGAINST)
    weight = _OPACITY * palette.strength(signed, scale)[..., None]
    return np.rint((1 - weight) * grey + weight * colour).astype(np.uint8)


def enlarge(rgb: np.ndarray, smallest: int = SMALLEST) -> np.ndarray:
    """Repeats pixels until the longer side has at least `smallest`; larger ones stay.

    Args:
      rgb: [H, W, 3].
      smallest: pixels.
    """
    factor = max(1, -(-smallest // max(rgb.shape[:2])))
    return rgb.repeat(factor, axis=0).repeat(factor, axis=1)


def png(rgb: np.ndarray) -> bytes:
    """PNG file of a uint8 [H, W, 3] array."""
    return _encoded(rgb, format="PNG", optimize=True)


def compressed(rgb: np.ndarray, is_photo: bool) -> tuple[str, bytes]:
    """A picture as PNG where that is small, else as JPEG.

    Args:
      rgb: uint8 [H, W, 3].
      is_photo: whether colours may be coarser than brightness; in an overlay they carry the sign,
        pixel by pixel.

    Returns:
      (media type, content of the file).
    """
    content = png(rgb)
    if len(content) <= _LARGEST_FILE:
        return "image/png", content
    for quality in _QUALITIES:
        # Not optimize=True: Pillow's buffer for it is too small for pictures of pure noise.
        content = _encoded(rgb, format="JPEG", quality=quality, subsampling=2 if is_photo else 0)
        if len(content) <= _LARGEST_FILE:
            break
    return "image/jpeg", content


def input_picture(
    value: Any, shape: tuple[int, int], size: tuple[int, int] | None = None
) -> Picture:
    """The input as a picture.

    Args:
      value: numbers [H, W], [H, W, C] or flat, in [0, 1], [-1, 1] or [0, 255] (other ranges are
        stretched, and the note says so), or {"base64": image file}.
      shape: height and width of its scores, which tell how a flat input is to be read.
      size: height and width that the picture gets; None for `shape`.
    """
    if value is None:
        return Picture(None, "the results hold no input to draw")
    try:
        found = _decoded(value) if isinstance(value, Mapping) else _from_numbers(value, shape)
    except (ValueError, TypeError, OSError, binascii.Error, SyntaxError) as error:
        return Picture(None, f"the input could not be drawn: {error}")
    size = size or shape
    if found.rgb.shape[:2] == size:
        return found
    shrinks = size[0] <= found.rgb.shape[0] and size[1] <= found.rgb.shape[1]
    how = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return Picture(np.asarray(Image.fromarray(found.rgb).resize(size[::-1], how)), found.note)


def figure(point: PointScores, result: Result) -> Html:
    """Input and overlay side by side, with a caption that states scale and clipping.

    Args:
      point: the scores.
      result: the row that they are from, for the input.
    """
    full = signed_map(point.scores)
    if not full.size:
        return element("p", f"{point.name}: the map has no pixels.", class_="note")
    signed = _shrunk(full)
    picture = input_picture(_input_of(point, result), full.shape, signed.shape)
    scale = clip_scale(signed)
    background = picture.rgb
    if background is None:
        background = np.full((*signed.shape, 3), palette.GREY, np.uint8)
    images = []
    if picture.rgb is not None:
        images.append(_labelled(picture.rgb, "input", f"input {point.name}", is_photo=True))
    images.append(_labelled(overlay(signed, background, scale), "attributions over it",
                            f"attributions of {point.name} over the input"))
    return element(
        "figure",
        element("div", *images, class_="pair"),
        _scale_bar(scale) if scale else None,
        element("figcaption", _caption(full, signed, point.scores, scale, picture.note)),
        class_="image")


def _labelled(rgb: np.ndarray, words: str, alt: str, is_photo: bool = False) -> Html:
    rgb = enlarge(rgb)
    media, content = compressed(rgb, is_photo)
    drawn = markup.data_image(media, base64.b64encode(content).decode("ascii"), alt,
                              width=rgb.shape[1], height=rgb.shape[0])
    return element("div", drawn, element("small", words))


def _scale_bar(scale: float) -> Html:
    return element(
        "div",
        element("span", numerals.signed(-scale)),
        element("span", class_="ramp"),
        element("span", numerals.signed(scale)),
        class_="scale")


def _caption(
    full: np.ndarray, signed: np.ndarray, scores: np.ndarray, scale: float, note: str
) -> str:
    finite = full[np.isfinite(full)]
    parts = []
    if scale:
        clipped = int((np.abs(signed[np.isfinite(signed)]) > scale).sum())
        parts.append(
            f"Full colour at ±{numerals.plain(scale)} a pixel, the {PERCENTILE:g}th percentile "
            f"of |score| ({clipped:,} of {signed.size:,} pixels are clipped; "
            f"the largest is {numerals.plain(float(np.abs(finite).max()))}).")
        parts.append(f"Green sums to {numerals.signed(float(finite[finite > 0].sum()))}, "
                     f"red to {numerals.signed(float(finite[finite < 0].sum()))}.")
    elif finite.size:
        parts.append("Every score is 0: there is nothing to colour.")
    if finite.size < full.size:
        parts.append(f"{full.size - finite.size:,} of {full.size:,} pixels have no finite score "
                     "and are left grey.")
    if scores.ndim > 2 and scores.shape[-1] > 1:
        parts.append(f"Summed over {scores.shape[-1]} channels.")
    if signed.shape != full.shape:
        parts.append(f"Shown at {signed.shape[1]} × {signed.shape[0]} of "
                     f"{full.shape[1]} × {full.shape[0]} pixels, each the mean of those under it.")
    if note:
        parts.append(note[0].upper() + note[1:] + ".")
    return " ".join(parts)


def _shrunk(signed: np.ndarray) -> np.ndarray:
    """The map with its longer side at most LARGEST, by means; what is not finite counts as 0."""
    height, width = signed.shape
    longer = max(height, width)
    if longer <= LARGEST:
        return signed
    size = (max(1, round(width * LARGEST / longer)), max(1, round(height * LARGEST / longer)))
    finite = np.where(np.isfinite(signed), signed, 0.0)
    # float32 images: scores of 1e-40 would vanish, so the map travels in units of its largest.
    unit = float(np.abs(finite).max()) or 1.0
    small = Image.fromarray((finite / unit).astype(np.float32)).resize(size, Image.Resampling.BOX)
    return np.asarray(small, np.float64) * unit


def _input_of(point: PointScores, result: Result) -> Any:
    for name in (*point.features, point.name):
        if name in result.inputs:
            return result.inputs[name]
    return next(iter(result.inputs.values())) if len(result.inputs) == 1 else None


def _decoded(value: Mapping) -> Picture:
    content = base64.b64decode(value["base64"] if "base64" in value else "", validate=True)
    with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
        if opened.width * opened.height > _LARGEST_INPUT:
            raise ValueError(f"{opened.width} × {opened.height} pixels are too many")
        opened.draft("RGB", (LARGEST, LARGEST))
        return Picture(np.asarray(opened.convert("RGB")))


def _from_numbers(value: Any, shape: tuple[int, int]) -> Picture:
    numbers = np.asarray(value, np.float64)
    while numbers.ndim > 3 and numbers.shape[0] == 1:
        numbers = numbers[0]
    if numbers.ndim == 3 and numbers.shape[0] == 1 and numbers.shape[1:] == shape:
        numbers = numbers[0]  # a batch of one grey image
    if numbers.ndim == 1 and numbers.size and numbers.size % (shape[0] * shape[1]) == 0:
        numbers = numbers.reshape(*shape, -1)
    if numbers.ndim == 2:
        numbers = numbers[..., None]
    if numbers.ndim != 3 or not numbers.size:
        raise ValueError(f"its shape is {list(np.shape(value))}")
    if numbers.shape[2] != 3:
        # RGBA loses its alpha; other numbers of channels have no colours of their own.
        colours = numbers[..., :3] if numbers.shape[2] == 4 else numbers.mean(axis=2)[..., None]
        numbers = np.broadcast_to(colours, (*numbers.shape[:2], 3))
    return _to_bytes(numbers)


def _to_bytes(numbers: np.ndarray) -> Picture:
    finite = np.where(np.isfinite(numbers), numbers, 0.0)
    low, high = float(finite.min()), float(finite.max())
    note = ""
    if 0 <= low and high <= 1:
        low, high = 0.0, 1.0
    elif -1 <= low and high <= 1:
        low, high = -1.0, 1.0
    elif 0 <= low and 64 <= high <= 255:
        low, high = 0.0, 255.0
    else:
        low = min(low, 0.0)
        note = (f"the input runs from {numerals.plain(low)} (black) to "
                f"{numerals.plain(high)} (white)")
    scaled = 255.0 * ((finite - low) / ((high - low) or 1.0))
    return Picture(np.rint(np.clip(scaled, 0, 255)).astype(np.uint8), note)


def _encoded(rgb: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, **options)
    return file.getvalue()
