"""Alignment matrices: for each output of a sequence, which input tokens it comes from."""

from collections.abc import Sequence

import numpy as np

from ig_tf.errors import ResultsError
from ig_tf.rendering import look as looks
from ig_tf.rendering import numerals, palette
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, visible
from ig_tf.rendering.scene import Mark, Rect, Scene, Text, fitted, inline, text_width
from ig_tf.run.results import Result

# What a scale of the set calls the matrices.
POINT = "alignment"
MOST_ROWS = 60
MOST_COLUMNS = 60
_CELL = 32.0
_LONGEST = 130.0  # units that a label may take
_MOST_LETTERS = 40


def scene(scores: np.ndarray, tokens: Sequence[str | int], outputs: Sequence[str],
          look: Look = looks.DEFAULT, title: str = "attributions of outputs to input tokens"
          ) -> Scene:
    """The matrix: a line per output, a column per input token.

    Args:
      scores: [outputs, tokens].
      tokens: what the columns are.
      outputs: what the lines are.
      look: the palette is used, and the scale, for POINT.
      title: what it shows.

    Returns:
      The drawing; what is beyond MOST_ROWS and MOST_COLUMNS is left out, and said.

    Raises:
      ResultsError: the shape is not that of outputs and tokens.
    """
    scores = np.asarray(scores, np.float64)
    if scores.shape != (len(outputs), len(tokens)):
        raise ResultsError(f"an alignment of {len(outputs)} outputs and {len(tokens)} tokens has "
                           f"scores of that shape, not {list(scores.shape)}")
    scale = _scale(scores, look)
    marks, width, bottom = _matrix(scores, tokens[:MOST_COLUMNS], outputs[:MOST_ROWS], scale, 30.0)
    marks.insert(0, Text(10, 18, fitted(title, 13, max(width, 560) - 20), 13))
    for words in _notes(scores, scale, look):
        bottom += 16
        marks.append(Text(10, bottom, words, 11, "soft"))
    return Scene(max(width, 560), bottom + 10, tuple(marks), title,
                 _values(scores, tokens, outputs))


def figure(scores: np.ndarray, tokens: Sequence[str | int], outputs: Sequence[str],
           look: Look = looks.DEFAULT) -> Html:
    """The matrix as a figure of a page, what is to be said of it as text that fits the page."""
    whole = scene(scores, tokens, outputs, look)
    scores = np.asarray(scores, np.float64)
    scale = _scale(scores, look)
    marks, width, bottom = _matrix(scores, tokens[:MOST_COLUMNS], outputs[:MOST_ROWS], scale, 0.0)
    drawn = Scene(width, bottom, tuple(marks), whole.title, whole.values)
    said = ". ".join(words[0].upper() + words[1:] for words in _notes(scores, scale, look))
    return element("figure", element("div", inline(drawn), class_="scroll"),
                   element("figcaption", f"{said}."), class_="alignment")


def gathered(results: Sequence[Result]) -> tuple[np.ndarray, tuple, tuple] | None:
    """Rows that explain several outputs or classes of one input, as one matrix.

    Args:
      results: rows of one example, in the order of their outputs.

    Returns:
      (scores [rows, columns], columns, names of the outputs): columns are the tokens, or the
      features where there are no tokens in common; None where there are neither.
    """
    outputs = tuple(result.target.label or result.target.text() for result in results)
    firsts = [next((p for p in result.points if p.kind == "tokens"), None) for result in results]
    if len(results) < 2:
        return None
    if None in firsts or len({point.tokens for point in firsts}) != 1 or not firsts[0].tokens:
        names = tuple(results[0].features)
        if len(names) < 2 or any(set(result.features) != set(names) for result in results):
            return None
        return np.array([[r.features[name] for name in names] for r in results]), names, outputs
    scores = [point.scores.reshape(len(point.tokens), -1).sum(axis=1) for point in firsts]
    return np.stack(scores), firsts[0].tokens, outputs


def _scale(scores: np.ndarray, look: Look) -> float:
    known = np.where(np.isfinite(scores), scores, 0.0)
    return look.scale_of(POINT, float(np.abs(known).max(initial=0.0)))


def _matrix(scores: np.ndarray, tokens: Sequence[str | int], outputs: Sequence[str], scale: float,
            start: float) -> tuple[list[Mark], float, float]:
    """The labels and cells below `start`; (marks, width, where they end)."""
    widest = max((text_width(visible(output, _MOST_LETTERS), 11) for output in outputs),
                 default=0.0)
    left, top = min(widest, _LONGEST) + 20, start + 44
    marks = _labels(tokens, outputs, left, top)
    for i, output in enumerate(outputs):
        for j, token in enumerate(tokens):
            marks += _cell(scores[i, j], scale, left + j * _CELL, top + i * _CELL,
                           f"{output} ← {token}: ")
    # Labels are wider than their columns.
    return marks, left + (len(tokens) + 0.5) * _CELL, top + len(outputs) * _CELL + 4


def _values(scores: np.ndarray, tokens: Sequence[str | int], outputs: Sequence[str]
            ) -> tuple[tuple[object, ...], ...]:
    """What is drawn, as a table."""
    return (("output", *map(str, tokens[:MOST_COLUMNS])), *(
        (str(output), *map(float, line[:MOST_COLUMNS]))
        for output, line in zip(outputs[:MOST_ROWS], scores[:MOST_ROWS])))


def _labels(tokens: Sequence[str | int], outputs: Sequence[str], left: float, top: float
            ) -> list[Mark]:
    # Columns are narrow: labels stand on two heights, cut to what fits.
    marks: list[Mark] = []
    for j, token in enumerate(tokens):
        words = fitted(str(token), 11, 2 * _CELL - 4)
        marks.append(Text(left + (j + 0.5) * _CELL, top - (8 if j % 2 else 23), words, 11,
                          "ink", "middle"))
    for i, output in enumerate(outputs):
        marks.append(Text(left - 8, top + (i + 0.65) * _CELL, fitted(str(output), 11, _LONGEST),
                          11, "ink", "end"))
    return marks


def _cell(score: float, scale: float, x: float, y: float, words: str) -> list[Mark]:
    inner = _CELL - 2
    marks: list[Mark] = [Rect(x, y, inner, inner, "line", 0.35)]
    side = palette.side(score)
    if not np.isfinite(score):
        marks.append(Text(x + inner / 2, y + inner * 0.65, "?", 11, "soft", "middle"))
    elif side != "none":
        # Area, not colour alone, tells the size; a bar at the bottom tells what is against.
        strength = float(palette.strength(score, scale))
        part = inner * np.sqrt(strength)
        offset = (inner - part) / 2
        marks.append(Rect(x + offset, y + offset, part, part, side, 1.0,
                          words + numerals.signed(float(score))))
        if side == "against":
            bar = min(2.0, part / 3)
            marks.append(Rect(x + offset, y + (inner - bar) / 2, part, bar, "paper"))
    return marks


def _notes(scores: np.ndarray, scale: float, look: Look) -> list[str]:
    lines, columns = min(len(scores), MOST_ROWS), min(scores.shape[1], MOST_COLUMNS)
    notes = ["a line for each output, a column for each part of the input",
             look.colours.legend() + " (with a bar across)"]
    if scale:
        own = look.scale_words("the largest |score| here")
        notes.append(f"a full square is ±{numerals.plain(scale)} ({own}); area shows |score|")
    else:
        notes.append("every score is 0: there is nothing to draw")
    if (lines, columns) != scores.shape:
        notes.append(f"shown: {lines} of {scores.shape[0]:,} outputs, {columns} of "
                     f"{scores.shape[1]:,} tokens")
    missing = int((~np.isfinite(scores)).sum())
    if missing:
        notes.append(f"?: {missing:,} without a finite score")
    return notes
