"""How pictures are to look: every choice that a reader can make, with what it may be."""

import dataclasses
from collections.abc import Mapping

from ig_tf.errors import ResultsError
from ig_tf.rendering import palette
from ig_tf.rendering.palette import Palette

POLARITIES = ("both", "positive", "negative")
CHANNELS = ("sum", "largest")
SCALES = ("example", "set")
WORDS = ("merged", "split")
VIEWS = ("input", "overlay", "heat", "mask", "outlines")


@dataclasses.dataclass(frozen=True)
class Look:
    """Choices for all pictures of a page. The defaults show everything that the scores say.

    Attributes:
      palette: a key of `palette.PALETTES`.
      polarity: which scores of an image are drawn; one of POLARITIES.
      views: pictures of an image, side by side; some of VIEWS.
      clip: full colour starts at the score below which this share (percent) of all |score| lies,
        so that a few extreme pixels do not hide all others.
      mass: only the strongest pixels that together hold this share (percent) are coloured.
      blur: width of a Gaussian over the map, in pixels; 0 for none.
      clean: radius of the clean-up that closes small holes and takes single pixels away; 0 for
        none.
      channels: the score of a pixel is the sum over its channels, which keeps completeness, or
        the channel of the largest |score|; one of CHANNELS.
      scale: colours are scaled by each example, or by all of them; one of SCALES.
      words: pieces of words are put together, or shown one by one; one of WORDS.
      scales: for scale "set": the score of full colour by point name.
      picture_bytes: what an embedded picture may take; a report of many sets it itself.

    Raises:
      ResultsError: a choice that there is not.
    """

    palette: str = palette.DEFAULT
    polarity: str = "both"
    views: tuple[str, ...] = ("input", "overlay")
    clip: float = 98.0
    mass: float = 100.0
    blur: float = 0.0
    clean: int = 0
    channels: str = "sum"
    scale: str = "example"
    words: str = "merged"
    scales: Mapping[str, float] = dataclasses.field(default_factory=dict)
    picture_bytes: int | None = None

    def __post_init__(self) -> None:
        palette.named(self.palette)
        object.__setattr__(self, "views", tuple(self.views))
        for name, known in (("polarity", POLARITIES), ("channels", CHANNELS), ("scale", SCALES),
                            ("words", WORDS)):
            if getattr(self, name) not in known:
                raise ResultsError(f"{name} is one of {', '.join(known)}, not "
                                   f"{getattr(self, name)!r}")
        wrong = [view for view in self.views if view not in VIEWS]
        if wrong or not self.views:
            raise ResultsError(f"views are some of {', '.join(VIEWS)}, not "
                               f"{', '.join(wrong) or 'none'}")
        for name, low, high in (("clip", 0, 100), ("mass", 0, 100), ("blur", 0, 100),
                                ("clean", 0, 20)):
            if not low <= getattr(self, name) <= high:
                raise ResultsError(f"{name} lies between {low} and {high}, not at "
                                   f"{getattr(self, name)!r}")

    @property
    def colours(self) -> Palette:
        """The palette itself."""
        return palette.named(self.palette)

    def scale_of(self, point: str, own: float) -> float:
        """The score of full colour: that of the set where one is shared, else the example's own."""
        return self.scales.get(point, own) if self.scale == "set" else own

    def scale_words(self, own: str) -> str:
        """Where the scale is from, in words."""
        return "the same for all examples" if self.scale == "set" else own


DEFAULT = Look()
