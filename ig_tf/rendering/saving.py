"""What lets a page save its pictures as PNG, SVG and CSV: marks around them, and a script.

The script draws what the browser has laid out, on light paper and always as wide, under the head of
the example: text as text, bars as boxes, pictures as they are. Values come from the titles of
tables and words, which are exact, and from what is packed beside a picture.
"""

import base64
import pathlib

import numpy as np

from ig_tf.rendering.markup import Html, element

SCRIPT = pathlib.Path(__file__).with_name("save.js").read_text(encoding="utf-8")
# What a page with something to save holds.
MARK = 'data-picture="'
# Values of one map that a page holds; of larger maps it holds sums over blocks.
MOST_VALUES = 1024
# Names are read aloud and make file names; longer ones are cut.
_LONGEST = 60


def picture(content: Html, name: str, title: str | None = None) -> Html:
    """A picture that can be saved.

    Args:
      content: the picture with its legend: one figure, table or list; a note that there is none
        comes back as it is.
      name: what it shows, in a few words.
      title: what stands over it when it is saved; None for the head of its example.
    """
    if not content or content.startswith("<p"):
        return content
    name = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
    return element("div", content, data_picture=name, data_title=title)


def packed(values: np.ndarray) -> Html:
    """Numbers as base64 of little-endian float32, for an attribute."""
    with np.errstate(over="ignore"):  # beyond float32 they are infinite, and read so
        numbers = np.asarray(values, np.float64).astype("<f4")
    return Html(base64.b64encode(numbers.tobytes()).decode("ascii"))


def blocks(signed: np.ndarray, most: int = MOST_VALUES) -> tuple[np.ndarray, int]:
    """Sums over square blocks of a map, the smallest blocks that are few enough.

    Args:
      signed: [H, W]; what is no number makes its block none.
      most: number of blocks.

    Returns:
      (float64 sums, side of a block in pixels); blocks at the right and lower edge may be smaller.
    """
    height, width = signed.shape
    side = 1
    while -(-height // side) * -(-width // side) > most:
        side += 1
    with np.errstate(over="ignore", invalid="ignore"):
        for axis, length in enumerate((height, width)):
            signed = np.add.reduceat(signed, np.arange(0, length, side), axis=axis)
    return signed, side
