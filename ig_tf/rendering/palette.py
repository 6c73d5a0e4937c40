"""The two colours of every picture, and what they mean.

Green is for the target and red against it, everywhere. The pair is Okabe and Ito's bluish green
and a deep vermilion: most colour-blind readers can tell them apart, and the sign is always given
in another way too (+ and -, side of the axis, kind of underline).
"""

import numpy as np

FOR = (0, 158, 115)
AGAINST = (213, 60, 20)
GREY = (200, 200, 200)

FOR_WORDS = "for the target"
AGAINST_WORDS = "against the target"


def side(score: float) -> str:
    """CSS class of a signed score: "for", "against", or "none" for zero and NaN."""
    if score > 0:
        return "for"
    return "against" if score < 0 else "none"


def strength(scores: np.ndarray, scale: float) -> np.ndarray:
    """|scores| / scale, at most 1; 0 where there is no number or no scale.

    Args:
      scores: signed scores of any shape.
      scale: the score that gets the full colour.
    """
    finite = np.where(np.isfinite(scores), scores, 0.0)
    if not scale > 0:
        return np.zeros(np.shape(scores))
    return np.minimum(np.abs(finite) / scale, 1.0)
