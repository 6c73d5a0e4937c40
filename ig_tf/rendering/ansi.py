"""Results in a terminal: coloured text, bars and small pictures, without escapes of anyone else."""

from collections.abc import Iterable, Sequence

import numpy as np

from ig_tf.rendering import card, maps, numerals, palette, table, text, verdict
from ig_tf.rendering import image as images
from ig_tf.rendering import look as looks
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import visible
from ig_tf.run import pieces
from ig_tf.run.results import About, PointScores, Result

_RESET = "\x1b[0m"
_WIDTH = 24  # characters of a bar on each side
_LONGEST = 40
_SIDE = 32  # pixels of a picture at most; two of them are one character high
_PAPER = (24, 24, 24)


def render(results: Iterable[Result], about: About, look: Look = looks.DEFAULT,
           colour: bool = True) -> str:
    """All results as text for a terminal.

    Args:
      results: the rows.
      about: the model card.
      look: palette, scale and words are used.
      colour: whether 24-bit colours may be used; without them each word has its score behind it.
    """
    parts = [visible(f"{about.model}  target {about.target}  baseline {about.baseline}", 200),
             look.colours.legend() + (", underlined" if colour else
                                         " (scores are written behind the words)")]
    for result in results:
        parts.append("\n".join(_example(result, look, colour)))
    return "\n\n".join(parts) + "\n"


def _example(result: Result, look: Look, colour: bool) -> list[str]:
    judged = verdict.verdict(result)
    label = "" if result.target.label is None else f" [{visible(result.target.label, _LONGEST)}]"
    lines = [f"{visible(result.id, _LONGEST)}  {visible(result.target.text(), _LONGEST)}{label}  "
             f"F(x) {numerals.plain(result.prediction)}, F(baseline) "
             f"{numerals.plain(result.baseline_prediction)}, error "
             f"{verdict.error_text(result)}: {judged.words}"]
    if result.message:
        lines.append(visible(result.message))
    drawn = set()
    for point in result.points:
        if point.kind == "tokens" and (len(point.tokens or ()) > 1 or len(result.points) == 1):
            lines += _text(point, look, colour)
        elif point.kind == "image" and colour:
            lines += _image(point, result, look)
        elif point.kind == "image":
            lines.append(f"{visible(point.name, _LONGEST)}: an image is drawn in colours alone")
        else:
            continue
        drawn.add(point.name)
    if card.needs_bars(result, drawn):
        lines += _bars(table.feature_bars(result), look, colour)
    return lines


def _text(point: PointScores, look: Look, colour: bool) -> list[str]:
    found = pieces.cut(point.tokens, pieces.token_scores(point), look.words == "merged")
    scale = look.scale_of(point.name, text.own_scale(found))
    words = [_word(piece, scale, look, colour) for piece in found[:text.MOST_PIECES]]
    left = len(found) - len(words)
    note = f"full colour at ±{numerals.plain(scale)}" if scale else "every score is 0"
    return [" ".join(words) + (f" … {left:,} more" if left else ""), f"({note})"]


def _word(piece: pieces.Piece, scale: float, look: Look, colour: bool) -> str:
    words = visible(piece.text if piece.text != "" else "(empty)", _LONGEST)
    count = piece.stop - piece.start
    if piece.kind == "pad":
        return f"‹{f'{count:,} × ' if count > 1 else ''}{words}›"
    if piece.kind == "special":
        words = f"‹{words}›"
    if not colour:
        return f"{words}({numerals.signed(piece.score)})" if piece.score else words
    strength = float(palette.strength(piece.score, scale))
    if not strength:
        return words
    return _painted(words, _shade(piece.score, strength, look), underlined=piece.score < 0)


def _bars(bars: Sequence[table.Bar], look: Look, colour: bool) -> list[str]:
    shown, rest = table.ranked(bars)
    if rest:
        total = sum(bar.score for bar in rest if np.isfinite(bar.score))
        shown = [*shown, table.Bar(f"{len(rest):,} others, summed", "", total)]
    scale = max((abs(bar.score) for bar in shown if np.isfinite(bar.score)), default=0.0)
    names = [visible(bar.name, _LONGEST) for bar in shown]
    width = max(map(len, names), default=0)
    lines = []
    for bar, name in zip(shown, names):
        length = round(_WIDTH * float(palette.strength(bar.score, scale)))
        block = "█" * length
        if colour and length:
            block = f"\x1b[38;2;{_triple(_full(bar.score, look))}m{block}{_RESET}"
        space = " " * (_WIDTH - length)
        drawn = (space + block + "│" + " " * _WIDTH if bar.score < 0 else
                 " " * _WIDTH + "│" + block + space)
        lines.append(f"{name:<{width}} {drawn} {numerals.signed(bar.score):>10}  "
                     f"{visible(bar.value, _LONGEST)}".rstrip())
    return lines


def _image(point: PointScores, result: Result, look: Look) -> list[str]:
    """Two pixels a character: the upper half block in one colour, on the other."""
    made = images.plate(point, result, look)
    if not made.pictures:
        return [made.caption]
    signed = maps.drawn(_small(maps.signed_map(point.scores, look.channels)), look)
    scale = look.scale_of(point.name, maps.full_colour(signed, look.clip))
    weight = palette.strength(signed, scale)[..., None]
    colour = np.where(signed[..., None] > 0, look.colours.positive, look.colours.negative)
    rgb = np.rint((1 - weight) * np.array(_PAPER) + weight * colour).astype(int)
    if len(rgb) % 2:
        rgb = np.concatenate([rgb, np.full((1, *rgb.shape[1:]), _PAPER)])
    lines = ["".join(f"\x1b[38;2;{_triple(a)}m\x1b[48;2;{_triple(b)}m▀"
                     for a, b in zip(upper, lower)) + _RESET
             for upper, lower in zip(rgb[::2].tolist(), rgb[1::2].tolist())]
    return [*lines, visible(made.caption)]


def _small(signed: np.ndarray) -> np.ndarray:
    """Means of whole blocks, so that the longer side is at most _SIDE."""
    factor = -(-max(signed.shape) // _SIDE)
    if factor <= 1:
        return signed
    padded = np.pad(maps.finite(signed), [(0, -size % factor) for size in signed.shape])
    height, width = (size // factor for size in padded.shape)
    return padded.reshape(height, factor, width, factor).mean(axis=(1, 3))


def _full(score: float, look: Look) -> palette.Colour:
    return look.colours.positive if score > 0 else look.colours.negative


def _shade(score: float, strength: float, look: Look) -> palette.Colour:
    full = _full(score, look)
    weight = 0.25 + 0.75 * strength
    red, green, blue = (round((1 - weight) * p + weight * c) for p, c in zip(_PAPER, full))
    return red, green, blue


def _painted(words: str, colour: palette.Colour, underlined: bool) -> str:
    # White or black ink, whichever is read better on the shade.
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
    ink = "0;0;0" if bright else "255;255;255"
    line = "\x1b[4m" if underlined else ""
    return f"\x1b[48;2;{_triple(colour)}m\x1b[38;2;{ink}m{line}{words}{_RESET}"


def _triple(colour: Sequence[int]) -> str:
    return ";".join(map(str, colour))
