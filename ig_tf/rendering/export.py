"""Each picture as a file of its own: PNG, SVG or CSV, with its legend, scale and caption."""

import itertools
import pathlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ig_tf.errors import ResultsError
from ig_tf.rendering import (
    alignment, card, cells, curves, global_view, image, numerals, palette, photo, scales, scene,
    signal, strips, table, text, verdict, waterfall)
from ig_tf.rendering import look as looks
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import visible
from ig_tf.rendering.palette import Palette
from ig_tf.rendering.scene import Mark, Raster, Rect, Scene, Text, fitted
from ig_tf.run import pieces
from ig_tf.run import results as files
from ig_tf.run.results import PointScores, Result

_WIDTH = 760.0
_LINE = 26.0
_TOP = 52.0  # where a picture begins, under two lines of heading
_MOST_WORDS = 1500
COLUMNS = ("id", "target", "label", "prediction", "baseline_prediction", "relative_error",
           "point", "kind", "place", "token", "value", "score")


def write(results: Sequence[Result], folder: str, kind: str, look: Look = looks.DEFAULT,
          check: Mapping[str, Any] | None = None) -> list[pathlib.Path]:
    """Writes one file for each picture of each example, and of the set (all_...).

    Args:
      results: the rows.
      folder: is made where it is not there.
      kind: "png", "svg" or "csv".
      look: how pictures are drawn.
      check: what `ig-tf check --format=json` wrote, for its curves.

    Returns:
      The files; their names begin with the number of the example or all, and say what they show.

    Raises:
      ResultsError: the folder or a file cannot be written.
    """
    look = scales.shared(results, look)
    place = pathlib.Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be made: {error}") from error
    written = []
    for name, made in of_set(results, look, check):
        path = place / f"all_{_safe(name)}.{kind}"
        files.write_file(path, _DRAWN[kind](made, look.colours) if kind in _DRAWN
                         else cells.text(made.values).encode("utf-8"))
        written.append(path)
    digits = len(str(len(results)))
    for number, result in enumerate(results, start=1):
        for name, content in _contents(result, kind, look):
            path = place / f"{number:0{digits}}_{_safe(result.id)}_{_safe(name)}.{kind}"
            files.write_file(path, content)
            written.append(path)
    return written


def drawings(result: Result, look: Look = looks.DEFAULT) -> Iterator[tuple[str, Scene]]:
    """(name, drawing) of each picture of an example."""
    drawn = set()
    for point in result.points:
        if point.kind == "image" and point.scores.size:
            drawn.add(point.name)
            yield point.name, image_scene(point, result, look)
        elif point.kind == "tokens" and point.tokens and (
                len(point.tokens) > 1 or len(result.points) == 1):
            drawn.add(point.name)
            yield point.name, text_scene(point, result, look)
        elif point.kind == "dense" and point.scores.size > card.MOST_ELEMENTS:
            drawn.add(point.name)
            yield point.name, signal.scene(point, caption(result), look.colours.legend())
    bars = card.bars_of(result)
    if len(bars) > 1 or (bars and not drawn):
        made = waterfall.scene(result, bars, caption(result), look.colours.legend())
        if made:
            yield "features", made


def of_set(results: Sequence[Result], look: Look = looks.DEFAULT,
           check: Mapping[str, Any] | None = None) -> Iterator[tuple[str, Scene]]:
    """(name, drawing) of what belongs to several examples: strips, matrices, a check's curves."""
    for number, curve in enumerate(curves.of_check(check or {}), start=1):
        yield f"check_{number}", curve
    means = global_view.feature_means(results)
    if len(means) > 1:
        yield "features", strips.scene(results, [name for name, _, _ in means],
                                       look.colours.legend())
    for name, rows_of in itertools.groupby(results, key=lambda result: result.id):
        together = list(rows_of)
        matrix = alignment.gathered(together)
        if matrix:
            yield f"{name}_outputs", alignment.scene(*matrix, look, verdict.of_several(together))


def sheet(results: Sequence[Result], look: Look = looks.DEFAULT, columns: int = 5,
          side: int = 120) -> Scene:
    """A contact sheet: the last view of each image of each example, with class and error under it.

    Args:
      results: the rows; those without an image are left out.
      look: its last view is drawn.
      columns: pictures in a line.
      side: pixels of the longer side of each.

    Raises:
      ResultsError: no example has an image.
    """
    found = [(result, point) for result in results for point in result.points
             if point.kind == "image" and point.scores.size]
    if not found:
        raise ResultsError("a contact sheet needs points of kind image; these results have none")
    look = scales.shared(results, look)
    pitch_x, pitch_y = side + 24.0, side + 54.0
    marks: list[Mark] = []
    for place, (result, point) in enumerate(found):
        x, y = 10 + place % columns * pitch_x, 10 + place // columns * pitch_y
        made = image.plate(point, result, look)
        marks.append(Raster(x, y, photo.fitted(made.pictures[-1][2], side)))
        label = result.target.label or result.target.text()
        for line, words in enumerate((
                f"{result.id}: {label} {numerals.plain(result.prediction)}",
                f"error {numerals.percent(result.relative_error)}, "
                f"{verdict.verdict(result).words}",
                f"full colour ±{numerals.plain(made.scale)}")):
            marks.append(Text(x, y + side + 12 + 12 * line, fitted(words, 9, pitch_x - 8), 9,
                              "ink" if line == 0 else "soft"))
    lines = -(-len(found) // columns)
    width = max(20 + min(columns, len(found)) * pitch_x, 420)
    marks.append(Text(10, 10 + lines * pitch_y + 10, look.colours.legend(), 10, "soft"))
    return Scene(width, 10 + lines * pitch_y + 24, tuple(marks), "contact sheet of attributions")


def image_scene(point: PointScores, result: Result, look: Look = looks.DEFAULT) -> Scene:
    """The views of an image with class, score, error, legend and caption."""
    made = image.plate(point, result, look)
    marks = _heading(result)
    x, bottom = 10.0, _TOP
    for _, words, rgb in made.pictures:
        marks.append(Raster(x, _TOP, rgb))
        marks.append(Text(x, _TOP + rgb.shape[0] + 14, words, 10, "soft"))
        x, bottom = x + rgb.shape[1] + 14, _TOP + rgb.shape[0] + 20
    width = max(_WIDTH, x)
    legend, bottom = _legend(made.scale, look, bottom + 8)
    marks += legend
    said, bottom = _paragraph(made.caption, bottom + 6, width)
    return Scene(width, bottom + 8, tuple(marks + said), ", ".join(caption(result)))


def text_scene(point: PointScores, result: Result, look: Look = looks.DEFAULT) -> Scene:
    """The coloured text with class, score, error, legend and caption."""
    found = pieces.cut(point.tokens, pieces.token_scores(point), look.words == "merged")
    scale = look.scale_of(point.name, text.own_scale(found))
    marks = _heading(result)
    x, y, size = 10.0, _TOP + 18, 13.0
    leftwards = _is_leftwards(found)
    for piece in found[:_MOST_WORDS]:
        words, width = _word(piece, size)
        if x + width > _WIDTH - 10 and x > 10:
            x, y = 10.0, y + _LINE
        at = _WIDTH - x - width if leftwards else x
        side = palette.side(piece.score) if piece.kind != "pad" else "none"
        if side != "none":
            weight = float(palette.strength(piece.score, scale))
            marks.append(Rect(at, y - 15, width, 20, side, 0.65 * weight,
                              numerals.signed(piece.score)))
            # Under what is for the target a line, under what is against it dashes.
            marks += _underline(at, y + 6, width, side)
        marks.append(Text(at + 3, y, words, size, "ink" if piece.kind == "word" else "soft"))
        x += width + 4
    if len(found) > _MOST_WORDS:
        y += _LINE
        marks.append(Text(10, y, f"… {len(found) - _MOST_WORDS:,} more are not drawn", 11, "soft"))
    legend, bottom = _legend(scale, look, y + 24)
    said, bottom = _paragraph(text.caption(point, found, scale, look), bottom + 6, _WIDTH)
    return Scene(_WIDTH, bottom + 8, tuple(marks + legend + said),
                 ", ".join(caption(result)))


def caption(result: Result) -> tuple[str, str]:
    """Class and score of an example; and its completeness error with the verdict."""
    return (f"{result.id}: {result.target.named()} {numerals.plain(result.prediction)}, "
            f"baseline {numerals.plain(result.baseline_prediction)}",
            f"completeness error {_error(result)}")


def rows(result: Result) -> Iterator[dict[str, object]]:
    """Every score of an example as flat rows with the keys COLUMNS."""
    known = {
        "id": result.id, "target": result.target.text(), "label": result.target.label or "",
        "prediction": result.prediction, "baseline_prediction": result.baseline_prediction,
        "relative_error": result.relative_error}
    for point in result.points:
        for index, score in np.ndenumerate(point.scores):
            token = point.tokens[index[0]] if point.tokens and index else ""
            yield {**known, "point": point.name, "kind": point.kind,
                   "place": " ".join(map(str, index)), "token": token, "score": float(score)}
    for bar in table.feature_bars(result):
        yield {**known, "point": bar.name, "kind": "feature", "value": bar.value,
               "score": bar.score}


def _csv(result: Result) -> bytes:
    lines = ([row.get(column) for column in COLUMNS] for row in rows(result))
    return cells.text(itertools.chain([COLUMNS], lines)).encode("utf-8")


_DRAWN: dict[str, Callable[[Scene, Palette], bytes]] = {"png": scene.png, "svg": scene.svg}


def _contents(result: Result, kind: str, look: Look) -> Iterator[tuple[str, bytes]]:
    if kind == "csv":
        yield "scores", _csv(result)
    else:
        for name, made in drawings(result, look):
            yield name, _DRAWN[kind](made, look.colours)


def _error(result: Result) -> str:
    judged = verdict.verdict(result)
    return f"{verdict.error_text(result)}: {judged.words}"


def _safe(words: str) -> str:
    """A part of a file name: letters, digits, - and _ alone."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", words).strip("-")[:40] or "x"


def _heading(result: Result) -> list[Mark]:
    first, second = caption(result)
    return [Text(10, 20, fitted(first, 13, _WIDTH - 20), 13),
            Text(10, 38, fitted(second, 11, _WIDTH - 20), 11, "soft")]


def _word(piece: pieces.Piece, size: float) -> tuple[str, float]:
    words = visible(piece.text if piece.text != "" else "(empty)", 60)
    count = piece.stop - piece.start
    if piece.kind == "pad" and count > 1:
        words = f"{count:,} × {words}"
    words = fitted(words, size, _WIDTH - 40)
    return words, scene.text_width(words, size) + 6


def _is_leftwards(found: Sequence[pieces.Piece]) -> bool:
    """Whether the first letter that has a direction is written from right to left."""
    letters = (unicodedata.bidirectional(c) for piece in found if piece.kind == "word"
               for c in str(piece.text)[:60])
    return next((kind for kind in letters if kind in ("L", "R", "AL")), "L") != "L"


def _underline(x: float, y: float, width: float, side: str) -> list[Mark]:
    if side == "for":
        return [Rect(x, y, width, 1.5, side)]
    return [Rect(x + at, y, min(4, width - at), 1.5, side)
            for at in np.arange(0, width, 7).tolist()]


def _legend(scale: float, look: Look, y: float) -> tuple[list[Mark], float]:
    """The colours with what they mean and the score of full colour; (marks, where it ends)."""
    marks: list[Mark] = []
    for words, fill, x in ((f"+ {palette.FOR_WORDS}", "for", 10.0),
                           (f"− {palette.AGAINST_WORDS}", "against", 190.0)):
        marks.append(Rect(x, y, 12, 12, fill))
        marks.append(Text(x + 18, y + 10, words, 11))
    at = f"full colour at ±{numerals.plain(scale)}" if scale else "no score to colour"
    marks.append(Text(400, y + 10, at, 11))
    return marks, y + 16


def _paragraph(words: str, y: float, width: float) -> tuple[list[Mark], float]:
    """Text in lines of this width; (marks, where it ends)."""
    marks: list[Mark] = []
    line, size = "", 10.0
    for word in visible(words).split(" "):
        if line and scene.text_width(f"{line} {word}", size) > width - 20:
            y += 14
            marks.append(Text(10, y, line, size, "soft"))
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        y += 14
        marks.append(Text(10, y, fitted(line, size, width - 20), size, "soft"))
    return marks, y


