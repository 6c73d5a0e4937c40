"""The input as a picture, whatever form it was sent in, and pictures as small files."""

import base64
import binascii
import dataclasses
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from ig_tf.rendering import maps, numerals
from ig_tf.run.results import PointScores, Result

# What one embedded picture may take, and what a page of up to a hundred examples: under 5 MB, with
# what an example takes besides its pictures (its card, the values of a map) and what a word takes.
LARGEST_FILE = 18_000
_SMALLEST_FILE = 3_000
_PAGE = 4_600_000
_CARD = 12_000
_WORD = 75
# JPEG qualities for what is larger as PNG, the first that fits.
_QUALITIES = (85, 75, 65, 50)
# Pixels that the longer side keeps where no quality is enough.
_LEAST_SIDE = 48
_LARGEST_INPUT = 50_000_000
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")


@dataclasses.dataclass(frozen=True)
class Picture:
    """What was drawn of an input.

    Attributes:
      rgb: uint8 [H, W, 3], or None where it cannot be drawn.
      note: what a reader must know about it; may be empty.
    """

    rgb: np.ndarray | None
    note: str = ""


def png(rgb: np.ndarray) -> bytes:
    """PNG file of a uint8 [H, W, 3] array."""
    return _encoded(rgb, format="PNG", optimize=True)


def share(pictures: int, examples: int, words: int) -> int:
    """What one picture may take, in bytes, on a page of so many pictures, examples and words."""
    left = _PAGE * max(1.0, examples / 100) - _CARD * examples - _WORD * words
    each = 0.75 * left / max(1, pictures)  # base64 adds a third
    return int(min(LARGEST_FILE, max(_SMALLEST_FILE, each)))


def compressed(rgb: np.ndarray, is_photo: bool, largest: int = LARGEST_FILE) -> tuple[str, bytes]:
    """A picture as PNG where that is small, else as JPEG, in fewer pixels where that is needed.

    Args:
      rgb: uint8 [H, W, 3].
      is_photo: whether colours may be coarser than brightness; in an overlay they carry the sign,
        pixel by pixel.
      largest: bytes that it may take; a picture of pure noise may take more.

    Returns:
      (media type, content of the file).
    """
    # A quick try tells what is worth the long one, which makes files smaller by up to a half.
    if len(_encoded(rgb, format="PNG", compress_level=1)) <= 2 * largest:
        content = png(rgb)
        if len(content) <= largest:
            return "image/png", content
    least = _jpeg(rgb, is_photo, _QUALITIES[-1])
    if len(least) > largest:
        return "image/jpeg", _smaller(rgb, is_photo, largest, len(least))
    better = (_jpeg(rgb, is_photo, quality) for quality in _QUALITIES[:-1])
    return "image/jpeg", next((found for found in better if len(found) <= largest), least)


def _smaller(rgb: np.ndarray, is_photo: bool, largest: int, size: int) -> bytes:
    """A JPEG of as many pixels as the room allows; `size` is that of one of all pixels."""
    longer = max(rgb.shape[:2])
    # Fewer pixels hold more each, so that the first try is a little larger than the share.
    side = int(longer * min(1.0, 1.1 * (largest / size) ** 0.5))
    content = b""
    while side >= _LEAST_SIDE or not content:
        content = _jpeg(fitted(rgb, max(side, 1)), is_photo, _QUALITIES[-1])
        if len(content) <= largest:
            break
        side = int(0.85 * side)
    return content


def _jpeg(rgb: np.ndarray, is_photo: bool, quality: int) -> bytes:
    # Not optimize=True: Pillow's buffer for it is too small for pictures of pure noise.
    return _encoded(rgb, format="JPEG", quality=quality, subsampling=2 if is_photo else 0)


def size(content: bytes) -> tuple[int, int]:
    """Width and height of a picture's file."""
    with Image.open(io.BytesIO(content)) as opened:
        return opened.size


def fitted(rgb: np.ndarray, side: int) -> np.ndarray:
    """The picture with its longer side at `side` pixels: whole pixels larger, means smaller."""
    height, width = rgb.shape[:2]
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(rgb).resize(size, how))


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


def input_of(point: PointScores, result: Result) -> Any:
    """What the caller sent for a point, or None."""
    for name in (*point.features, point.name):
        if name in result.inputs:
            return result.inputs[name]
    return next(iter(result.inputs.values())) if len(result.inputs) == 1 else None


def _decoded(value: Mapping) -> Picture:
    content = base64.b64decode(value["base64"] if "base64" in value else "", validate=True)
    with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
        if opened.width * opened.height > _LARGEST_INPUT:
            raise ValueError(f"{opened.width} × {opened.height} pixels are too many")
        opened.draft("RGB", (maps.LARGEST, maps.LARGEST))
        return Picture(np.asarray(opened.convert("RGB")))


def _from_numbers(value: Any, shape: tuple[int, int]) -> Picture:
    numbers = np.asarray(value, np.float64)
    while numbers.ndim > 3 and numbers.shape[0] == 1:
        numbers = numbers[0]
    if numbers.ndim == 3 and numbers.shape[0] == 1 and numbers.shape[1:] == shape:
        numbers = numbers[0]  # a batch of one grey image
    if numbers.ndim == 1 and numbers.size and numbers.size % (shape[0] * shape[1]) == 0:
        numbers = numbers.reshape(*shape, -1)
    if numbers.ndim == 3 and numbers.shape[:2] != shape and (
            numbers.shape[1:] == shape or maps.channels_first(numbers.shape)):
        numbers = np.moveaxis(numbers, 0, -1)
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
