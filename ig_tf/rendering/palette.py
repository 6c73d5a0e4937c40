"""The colours of every picture, and what they mean.

A palette has one colour for what speaks for the target and one for what speaks against it, the
same in every picture of a page. Colour is never alone: the sign is always given in another way
too (+ and -, side of the axis, kind of underline), and every picture has a legend.
"""

import dataclasses

import numpy as np

from ig_tf.errors import ResultsError

Colour = tuple[int, int, int]

FOR_WORDS = "for the target"
AGAINST_WORDS = "against the target"
GREY = (200, 200, 200)


@dataclasses.dataclass(frozen=True)
class Palette:
    """Two colours with their names.

    Attributes:
      positive, negative: red, green and blue, 0 to 255.
      positive_name, negative_name: what a legend calls them.
      positive_ink, negative_ink: the same hues as text, on light and on dark paper.
    """

    positive: Colour
    negative: Colour
    positive_name: str
    negative_name: str
    positive_ink: tuple[str, str]
    negative_ink: tuple[str, str]

    def legend(self) -> str:
        """What the colours mean, in one line."""
        return (f"+ {self.positive_name}: {FOR_WORDS}; "
                f"− {self.negative_name}: {AGAINST_WORDS}")


# The name says the colour of + first.
PALETTES = {
    # Okabe and Ito's bluish green and a deep vermilion: most colour-blind readers can tell them
    # apart.
    "green-red": Palette((0, 158, 115), (213, 60, 20), "green", "red",
                         ("#00694b", "#4fd3a6"), ("#a82e0d", "#ff8f68")),
    # Blue and orange differ in brightness and hue for every kind of colour vision.
    "blue-orange": Palette((0, 114, 178), (230, 130, 0), "blue", "orange",
                           ("#005a8f", "#6cbcf0"), ("#8f4f00", "#ffb04d")),
    # As in the text figures of the paper on Integrated Gradients: red is positive there.
    "red-blue": Palette((200, 30, 50), (40, 90, 190), "red", "blue",
                        ("#9c1528", "#ff8b97"), ("#1f4a9e", "#8ab4ff")),
}
DEFAULT = "green-red"


def named(name: str) -> Palette:
    """The palette of that name.

    Raises:
      ResultsError: there is none.
    """
    if name not in PALETTES:
        raise ResultsError(f"no palette {name!r}; known: {', '.join(PALETTES)}")
    return PALETTES[name]


def side(score: float) -> str:
    """CSS class of a signed score: "for", "against", or "none" for zero and NaN."""
    if score > 0:
        return "for"
    return "against" if score < 0 else "none"


def strength(scores: np.ndarray | float, scale: float) -> np.ndarray:
    """|scores| / scale, at most 1; 0 where there is no number or no scale.

    Args:
      scores: signed scores of any shape.
      scale: the score that gets the full colour.
    """
    finite = np.where(np.isfinite(scores), scores, 0.0)
    if not scale > 0:
        return np.zeros(np.shape(scores))
    # Denormal scales: the quotient may overflow before it is cut to 1.
    with np.errstate(over="ignore"):
        return np.minimum(np.abs(finite) / scale, 1.0)
