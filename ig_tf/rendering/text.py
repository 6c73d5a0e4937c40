"""Token attributions: the text, each word coloured by its signed score."""

from collections.abc import Sequence

import numpy as np

from ig_tf.rendering import look as looks
from ig_tf.rendering import numerals, palette
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, escape, join
from ig_tf.run import pieces
from ig_tf.run.pieces import Piece
from ig_tf.run.results import PointScores

MOST_PIECES = 2000
_LONGEST = 80
_LISTED = 5


def figure(point: PointScores, look: Look = looks.DEFAULT) -> Html:
    """The coloured text, its legend and scale, and the strongest words with exact scores."""
    if not point.tokens:
        return element("p", f"{point.name}: no tokens.", class_="note")
    scores = pieces.token_scores(point)
    found = pieces.cut(point.tokens, scores, look.words == "merged")
    scale = look.scale_of(point.name, own_scale(found))
    spans = [_span(piece, point.tokens, scores, scale) for piece in found[:MOST_PIECES]]
    return element(
        "figure",
        # A space between words, so that a copied text is one and a reader aloud pauses.
        element("p", *[part for span in spans for part in (span, " ")],
                _left_out(found[MOST_PIECES:], scores), class_="tokens", dir="auto"),
        _strongest(found),
        element("figcaption", caption(point, found, scale, look)),
        class_="text")


def own_scale(found: Sequence[Piece]) -> float:
    """The largest finite |score| of a text."""
    return max((abs(piece.score) for piece in found if np.isfinite(piece.score)), default=0.0)


def caption(point: PointScores, found: Sequence[Piece], scale: float, look: Look) -> str:
    """Scale, legend and what is missing, in sentences."""
    parts, colours = [], look.colours
    if scale:
        parts.append(
            f"Full colour at ±{numerals.plain(scale)} "
            f"({look.scale_words('the largest |score| of this text')}). "
            f"{colours.positive_name.capitalize()}, solid underline: {palette.FOR_WORDS}; "
            f"{colours.negative_name}, dotted underline: {palette.AGAINST_WORDS}.")
    elif any(np.isfinite(piece.score) for piece in found):
        parts.append("Every score is 0: there is nothing to colour.")
    together = sum(piece.kind == "word" and piece.stop - piece.start > 1 for piece in found)
    if together:
        family = pieces.family_of(point.tokens)
        parts.append(f"{together:,} word{'s are' if together > 1 else ' is'} put together from "
                     f"pieces ({family.name}); scores of pieces are added up.")
    missing = int((~np.isfinite(pieces.token_scores(point))).sum())
    if missing:
        parts.append(f"{missing:,} of {len(point.tokens):,} tokens have no finite score.")
    return " ".join(parts)


def piece_words(piece: Piece) -> Html:
    """A piece as text: padding with its number, and what scores without being a word."""
    if piece.kind == "word":
        return escape(piece.text, _LONGEST)
    count = piece.stop - piece.start
    name = "(empty)" if piece.text == "" else piece.text
    return join([f"{count:,} × " if count > 1 else None, escape(name, _LONGEST),
                 f" {numerals.signed(piece.score)}" if piece.score else None])


def _span(piece: Piece, tokens: Sequence[str | int], scores: np.ndarray, scale: float) -> Html:
    words = piece_words(piece)
    if piece.kind == "pad":
        return element("span", words, class_="pad",
                       title=f"{numerals.exact(piece.score)} in all, of "
                             f"{numerals.counted(piece.stop - piece.start, 'padding token')}")
    title = numerals.exact(piece.score)
    if piece.stop - piece.start > 1:
        title += " = " + " + ".join(
            f"{token} {numerals.signed(float(score))}" for token, score in zip(
                tokens[piece.start:piece.stop], scores[piece.start:piece.stop]))
    weight = float(palette.strength(piece.score, scale))
    kind = f"t {palette.side(piece.score)}" + (" special" if piece.kind == "special" else "")
    return element("span", words, class_=kind, style=f"--s:{weight:.3f}" if weight else None,
                   title=title)


def _left_out(left: Sequence[Piece], scores: np.ndarray) -> Html | None:
    if not left:
        return None
    sizes = np.abs(np.where(np.isfinite(scores), scores, 0.0))
    mass = sizes[left[0].start:].sum() / (sizes.sum() or 1.0)
    return element("span", f"… {len(scores) - left[0].start:,} more tokens are not drawn; they "
                   f"hold {numerals.percent(float(mass))} of all |score|", class_="pad")


def _strongest(found: Sequence[Piece]) -> Html:
    lines = []
    for words, sign in ((palette.FOR_WORDS, 1), (palette.AGAINST_WORDS, -1)):
        ranked = sorted((piece for piece in found if piece.kind == "word"
                         and np.isfinite(piece.score) and sign * piece.score > 0),
                        key=lambda piece: -sign * piece.score)
        items = [
            element("li", element("b", escape(piece.text, _LONGEST), dir="auto"), " ",
                    numerals.signed(piece.score), title=numerals.exact(piece.score))
            for piece in ranked[:_LISTED]
        ]
        if items:
            lines.append(element("div", element("small", f"Most {words}"), element("ol", *items),
                                 class_="for" if sign > 0 else "against"))
    return element("div", *lines, class_="strongest")
