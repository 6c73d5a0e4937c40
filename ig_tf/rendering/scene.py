"""Drawings as data: a list of marks, written as SVG or as PNG.

Colours are roles ("for", "against", "ink", "soft", "line", "paper"), so that one drawing follows
a page into dark mode and takes any palette.
"""

import base64
import dataclasses
import functools
import html
import io
import unicodedata

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ig_tf.rendering import cells, photo
from ig_tf.rendering.markup import Html, element, escape, visible
from ig_tf.rendering.palette import Colour, Palette

ROLES: dict[str, Colour] = {
    "ink": (28, 34, 38), "soft": (91, 102, 110), "line": (208, 214, 218), "paper": (255, 255, 255)}
# Width of one character, as a share of the size of the text; wide scripts take two.
ADVANCE = 0.6
# Fonts of a PNG by the scripts that they have, looked for in this order; an SVG or a page leaves
# that to who shows it.
_LATIN = ("DejaVuSansMono.ttf", "LiberationMono-Regular.ttf", "Menlo.ttc", "consola.ttf")
_NEAR_EAST = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "arial.ttf")
_FAR_EAST = ("NotoSansCJK-Regular.ttc", "NotoSerifCJK-Regular.ttc", "NotoSansCJK-Bold.ttc",
             "NotoSerifCJK-Bold.ttc", "wqy-microhei.ttc", "msgothic.ttc", "Arial Unicode.ttf")
_PIXELS = 2  # of a PNG for each unit of a drawing
_LARGEST_SIDE = 16_000  # pixels of a PNG


@dataclasses.dataclass(frozen=True)
class Rect:
    """A filled box; `words` are shown when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    opacity: float = 1.0
    words: str = ""


@dataclasses.dataclass(frozen=True)
class Text:
    """One line of text; (x, y) is the left, middle or right end of its base line."""

    x: float
    y: float
    words: str
    size: float = 12.0
    fill: str = "ink"
    anchor: str = "start"


@dataclasses.dataclass(frozen=True)
class Line:
    """Straight lines through points."""

    points: tuple[tuple[float, float], ...]
    stroke: str = "ink"
    width: float = 1.0


@dataclasses.dataclass(frozen=True)
class Dots:
    """Round dots of one colour."""

    points: tuple[tuple[float, float], ...]
    fill: str
    radius: float = 2.0
    opacity: float = 1.0


@dataclasses.dataclass(frozen=True)
class Raster:
    """A picture, pixel for unit."""

    x: float
    y: float
    rgb: np.ndarray


Mark = Rect | Text | Line | Dots | Raster


@dataclasses.dataclass(frozen=True)
class Scene:
    """A drawing: its size, its marks in the order in which they are laid, and what it shows.

    `values` are the numbers that are drawn, as rows of a table under a row of names, where the
    drawing is all that a page has of them.
    """

    width: float
    height: float
    marks: tuple[Mark, ...]
    title: str
    values: tuple[tuple[object, ...], ...] = ()


def text_width(words: str, size: float) -> float:
    """Width of a text, by a fixed advance per character."""
    return ADVANCE * size * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in words)


def inline(scene: Scene) -> Html:
    """SVG for a page that has the style sheet: colours follow the page."""
    return element(
        "svg", *[_svg(mark) for mark in scene.marks], class_="scene",
        viewBox=f"0 0 {scene.width:g} {scene.height:g}", width=f"{scene.width:g}",
        height=f"{scene.height:g}", role="img", aria_label=scene.title,
        data_csv=_csv(scene) if scene.values else None)


def svg(scene: Scene, colours: Palette) -> bytes:
    """An SVG file that needs nothing else."""
    style = " ".join(f".f-{role}{{fill:{_hex(rgb)}}} .s-{role}{{stroke:{_hex(rgb)};fill:none}}"
                     for role, rgb in _roles(colours).items())
    style += " text{font-family:monospace;white-space:pre}"
    body = element(
        "svg", element("title", scene.title), element("style", Html(style)),
        element("rect", width="100%", height="100%", class_="f-paper"),
        *[_svg(mark) for mark in scene.marks], xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {scene.width:g} {scene.height:g}", width=f"{scene.width:g}",
        height=f"{scene.height:g}")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'.encode("utf-8")


def png(scene: Scene, colours: Palette) -> bytes:
    """A PNG file, two pixels for each unit where that is not too large."""
    unit = max(min(_PIXELS, _LARGEST_SIDE / max(scene.width, scene.height, 1)), 0.05)
    size = (max(1, round(scene.width * unit)), max(1, round(scene.height * unit)))
    roles = _roles(colours)
    canvas = Image.new("RGB", size, roles["paper"])
    draw = ImageDraw.Draw(canvas)
    for mark in scene.marks:
        _paint(canvas, draw, mark, unit, roles)
    file = io.BytesIO()
    canvas.save(file, format="PNG")
    return file.getvalue()


def _csv(scene: Scene) -> Html:
    """The values for an attribute, where line ends are characters of their own."""
    written = html.escape(cells.text(scene.values))
    return Html(written.replace("\r", "&#13;").replace("\n", "&#10;"))


def _roles(colours: Palette) -> dict[str, Colour]:
    return {**ROLES, "for": colours.positive, "against": colours.negative}


def _hex(rgb: Colour) -> str:
    return "#" + "".join(f"{v:02x}" for v in rgb)


def _svg(mark: Mark) -> Html:
    if isinstance(mark, Rect):
        return element(
            "rect", element("title", mark.words) if mark.words else None, x=f"{mark.x:.2f}",
            y=f"{mark.y:.2f}", width=f"{max(mark.width, 0):.2f}",
            height=f"{max(mark.height, 0):.2f}", class_=f"f-{mark.fill}",
            fill_opacity=f"{mark.opacity:.3f}" if mark.opacity < 1 else None)
    if isinstance(mark, Text):
        return element("text", escape(mark.words), x=f"{mark.x:.2f}", y=f"{mark.y:.2f}",
                       font_size=f"{mark.size:g}", class_=f"f-{mark.fill}",
                       text_anchor=mark.anchor if mark.anchor != "start" else None)
    if isinstance(mark, Line):
        return element("polyline", points=_points(mark.points), class_=f"s-{mark.stroke}",
                       stroke_width=f"{mark.width:g}")
    if isinstance(mark, Dots):
        # One path of dots without length: a tenth of the size of circles.
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in mark.points)
        return element("path", d=Html(path), class_=f"s-{mark.fill}", stroke_linecap="round",
                       stroke_width=f"{2 * mark.radius:g}",
                       stroke_opacity=f"{mark.opacity:g}" if mark.opacity < 1 else None)
    content = base64.b64encode(photo.png(mark.rgb)).decode("ascii")
    return element("image", x=f"{mark.x:.2f}", y=f"{mark.y:.2f}", width=mark.rgb.shape[1],
                   height=mark.rgb.shape[0], href=Html(f"data:image/png;base64,{content}"),
                   style="image-rendering:pixelated")


def _points(points: tuple[tuple[float, float], ...]) -> Html:
    return Html(" ".join(f"{x:.2f},{y:.2f}" for x, y in points))


def _paint(canvas: Image.Image, draw: ImageDraw.ImageDraw, mark: Mark, unit: float,
           roles: dict[str, Colour]) -> None:
    if isinstance(mark, Rect):
        if mark.width > 0 and mark.height > 0:
            box = [mark.x * unit, mark.y * unit, (mark.x + mark.width) * unit - 1,
                   (mark.y + mark.height) * unit - 1]
            box[2:] = [max(box[0], box[2]), max(box[1], box[3])]
            draw.rectangle(box, _faded(roles[mark.fill], mark.opacity, roles))
    elif isinstance(mark, Text):
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[mark.anchor]
        words = visible(mark.words)
        draw.text((mark.x * unit, mark.y * unit), words, roles[mark.fill],
                  _font(round(mark.size * unit), _fonts_of(words)), anchor)
    elif isinstance(mark, Line):
        draw.line([(x * unit, y * unit) for x, y in mark.points], roles[mark.stroke],
                  max(1, round(mark.width * unit)))
    elif isinstance(mark, Dots):
        reach, colour = mark.radius * unit, _faded(roles[mark.fill], mark.opacity, roles)
        for x, y in mark.points:
            draw.ellipse([x * unit - reach, y * unit - reach, x * unit + reach, y * unit + reach],
                         colour)
    else:
        height, width = mark.rgb.shape[:2]
        size = (max(1, round(width * unit)), max(1, round(height * unit)))
        canvas.paste(Image.fromarray(mark.rgb).resize(size, Image.Resampling.NEAREST),
                     (round(mark.x * unit), round(mark.y * unit)))


def _faded(colour: Colour, opacity: float, roles: dict[str, Colour]) -> Colour:
    red, green, blue = (round(opacity * c + (1 - opacity) * p)
                        for c, p in zip(colour, roles["paper"]))
    return red, green, blue


def _fonts_of(words: str) -> tuple[str, ...]:
    highest = max(map(ord, words), default=0)
    return _FAR_EAST if highest >= 0x2e80 else _NEAR_EAST if highest >= 0x590 and any(
        unicodedata.bidirectional(c) in ("R", "AL") for c in words) else _LATIN


@functools.lru_cache(maxsize=64)
def _font(size: int, names: tuple[str, ...]) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The first of the fonts that the system has; else Pillow's own, Latin only."""
    for name in names:
        try:
            return ImageFont.truetype(name, max(1, size))
        except OSError:
            continue
    return ImageFont.load_default(max(1, size))


def fitted(words: str, size: float, width: float) -> str:
    """The text, cut with an ellipsis where it is wider than this."""
    words = visible(words)
    if text_width(words, size) <= width:
        return words
    kept, used = [], ADVANCE * size
    for character in words:
        used += text_width(character, size)
        if used > width:
            break
        kept.append(character)
    return "".join(kept) + "…"
