"""Image attributions: pictures of a signed map beside the picture that the model saw."""

import base64
import dataclasses

import numpy as np

from ig_tf.rendering import look as looks
from ig_tf.rendering import maps, markup, numerals, palette, photo, saving, views
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element
from ig_tf.run.results import PointScores, Result


@dataclasses.dataclass(frozen=True)
class Plate:
    """The pictures of one map, drawn, and what has to be said about them.

    Attributes:
      pictures: (view, words under it, uint8 [H, W, 3]) each.
      scale: the |score| of full colour; 0 where there is nothing to colour.
      caption: sentences: scale, clipping, sums, and everything that was done to the map.
    """

    pictures: tuple[tuple[str, str, np.ndarray], ...]
    scale: float
    caption: str


def plate(point: PointScores, result: Result, look: Look = looks.DEFAULT) -> Plate:
    """Draws the views of a point of kind image.

    Args:
      point: the scores.
      result: the row that they are from, for the input.
      look: which views, and how.

    Returns:
      The pictures; none where the map has no pixels.
    """
    full = maps.signed_map(point.scores, look.channels)
    if not full.size:
        return Plate((), 0.0, f"{point.name}: the map has no pixels.")
    small = maps.shrunk(full)
    shown = maps.drawn(small, look)
    sent = photo.input_picture(photo.input_of(point, result), full.shape, small.shape)
    scale = look.scale_of(point.name, maps.full_colour(shown, look.clip))
    background = sent.rgb
    if background is None:
        background = np.full((*small.shape, 3), palette.GREY, np.uint8)
    large, behind = views.enlarge(shown), views.enlarge(background)
    blur = views.outline_blur(small.shape, look.blur)
    pictures = []
    for view in look.views:
        draw, words, alone = views.VIEWS[view]
        if sent.rgb is not None or alone:
            signed = views.enlarge(maps.smooth(shown, blur)) if view == "outlines" else large
            if view == "overlay" and sent.rgb is None:
                words = "attributions"
            pictures.append((view, words, draw(signed, behind, scale, look.colours)))
    if not pictures:  # views of the input alone, and no input
        draw, words, _ = views.VIEWS["heat"]
        pictures.append(("heat", words, draw(large, behind, scale, look.colours)))
    caption = _caption(point, look, full, small, shown, scale, sent.note)
    return Plate(tuple(pictures), scale, caption)


def figure(point: PointScores, result: Result, look: Look = looks.DEFAULT) -> Html:
    """The views side by side, with a legend of signs and scale, and a caption."""
    made = plate(point, result, look)
    if not made.pictures:
        return element("p", made.caption, class_="note")
    images = [
        _labelled(rgb, words, f"{words}: {point.name}", view in ("input", "mask"), look)
        for view, words, rgb in made.pictures]
    return element(
        "figure",
        element("div", *images, class_="pair"),
        scale_bar(made.scale, look) if made.scale else None,
        element("figcaption", made.caption),
        class_="image", **values(maps.signed_map(point.scores, look.channels)))


def values(signed: np.ndarray) -> dict[str, object]:
    """Attributes that hold a map's scores, or sums over blocks of it, for who saves it."""
    sums, side = saving.blocks(signed)
    height, width = signed.shape
    return {"data_map": f"{height} {width} {side}", "data_values": saving.packed(sums)}


def embedded(rgb: np.ndarray, alt: str, is_photo: bool, look: Look) -> tuple[Html, str]:
    """(the picture inside the page, what to say where it is kept in fewer pixels)."""
    media, content = photo.compressed(rgb, is_photo, look.picture_bytes or photo.LARGEST_FILE)
    width, height = photo.size(content)
    fewer = (height, width) != rgb.shape[:2]  # where a page of many pictures has no room for all
    drawn = markup.data_image(media, base64.b64encode(content).decode("ascii"), alt,
                              width=rgb.shape[1], height=rgb.shape[0], decoding="async",
                              style="image-rendering:auto" if fewer else None)
    return drawn, f" (kept in {width} × {height} pixels)" if fewer else ""


def _labelled(rgb: np.ndarray, words: str, alt: str, is_photo: bool, look: Look) -> Html:
    drawn, said = embedded(rgb, alt, is_photo, look)
    return element("div", drawn, element("small", words + said))


def scale_bar(scale: float | None, look: Look) -> Html:
    """The legend: which colour is which sign, and which score (if one) has the full colour."""
    less = "against" if scale is None else f"against {numerals.signed(-scale)}"
    more = "for" if scale is None else f"{numerals.signed(scale)} for"
    kind, left, right = {"both": ("ramp", less, more), "positive": ("ramp up", "0", more),
                         "negative": ("ramp down", less, "0")}[look.polarity]
    return element("div", element("span", left), element("span", class_=kind),
                   element("span", right), class_="scale")


def _caption(point: PointScores, look: Look, full: np.ndarray, small: np.ndarray,
             shown: np.ndarray, scale: float, note: str) -> str:
    parts = [*_about_colours(look, full, shown, scale), *_about_map(look, point, full, small)]
    blur = views.outline_blur(small.shape, look.blur)
    if "outlines" in look.views and scale:
        parts.append(
            f"Outlined, sign by sign: of the pixels that hold {views.OUTLINED_PIXELS:g} % of the "
            f"sum, the connected regions with {views.OUTLINED:g} % of that"
            + (f", after a blur of {blur:g} pixels." if blur else "."))
    if note:
        parts.append(note[0].upper() + note[1:] + ".")
    return " ".join(parts)


def _about_colours(look: Look, full: np.ndarray, shown: np.ndarray, scale: float) -> list[str]:
    finite, parts = np.abs(full[np.isfinite(full)]), []
    if scale:
        clipped = int((np.abs(shown) > scale).sum())
        own = f"below it lie {look.clip:g} % of the sum of |scores|" if look.clip < 100 else (
            "the largest")
        parts.append(
            f"Full colour from ±{numerals.plain(scale)} a pixel on "
            f"({look.scale_words(own)}; {clipped:,} of {shown.size:,} pixels are beyond it, "
            f"the largest is {numerals.plain(float(finite.max(initial=0.0)))}).")
        up, down = maps.sums(full)
        colours = look.colours
        parts.append(f"{colours.positive_name.capitalize()} sums to {numerals.signed(up)}, "
                     f"{colours.negative_name} to {numerals.signed(down)}.")
    elif finite.size and finite.any():
        parts.append(f"No score is {look.polarity}: there is nothing to colour.")
    elif finite.size:
        parts.append("Every score is 0: there is nothing to colour.")
    if finite.size < full.size:
        parts.append(f"{full.size - finite.size:,} of {full.size:,} pixels have no finite score "
                     "and are left grey.")
    return parts


def _about_map(look: Look, point: PointScores, full: np.ndarray, small: np.ndarray) -> list[str]:
    parts = []
    shape = point.scores.shape[-3:]
    first = maps.channels_first(shape)
    channels = 1 if len(shape) < 3 else shape[0] if first else shape[2]
    if channels > 1:
        words = "Summed over" if look.channels == "sum" else "The largest |score| of"
        parts.append(f"{words} {channels} channels{', read as the first axis' if first else ''}.")
    if small.shape != full.shape:
        parts.append(f"Shown at {small.shape[1]} × {small.shape[0]} of "
                     f"{full.shape[1]} × {full.shape[0]} pixels, each the mean of those under it.")
    if look.blur:
        parts.append(f"Blurred by {look.blur:g} pixels.")
    if look.polarity != "both":
        parts.append(f"Only {look.polarity} scores are drawn.")
    if look.mass < 100:
        parts.append(f"Coloured are the strongest pixels that hold {look.mass:g} % of the sum of "
                     "|scores|.")
    if look.clean:
        parts.append(f"Cleaned up: what is narrower than {2 * look.clean + 1} pixels is filled or "
                     "taken away.")
    return parts
