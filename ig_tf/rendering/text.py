"""Token attributions: the text, each token coloured by its signed score."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ig_tf.rendering import numerals, palette
from ig_tf.rendering.markup import Html, element, escape, join
from ig_tf.run.results import PointScores

# Tokens that only fill a row, by what they are.
PADS = ("", "<pad>", "[PAD]", "<PAD>", "[pad]", -1)

MOST_TOKENS = 2000
_LONGEST_TOKEN = 80
_LISTED = 5


@dataclasses.dataclass(frozen=True)
class Run:
    """Tokens [start, stop) that are drawn as one: one token, or a run of padding."""

    start: int
    stop: int
    is_pad: bool


def token_scores(point: PointScores) -> np.ndarray:
    """One signed score per token, float64 [length]; further axes are summed."""
    scores = np.asarray(point.scores, np.float64)
    return scores.reshape(scores.shape[0], -1).sum(axis=1) if scores.size else (
        np.zeros(scores.shape[0]))


def runs(tokens: Sequence[str | int], scores: np.ndarray) -> list[Run]:
    """The sequence cut into single tokens and runs of one padding token.

    Padding is a token of PADS anywhere, or id 0 with score 0 at either end (where 0 is no
    padding it has a score, or text on both sides).

    Args:
      tokens: text or ids.
      scores: [length].
    """
    silent = [token == 0 and not isinstance(token, str) and score == 0
              for token, score in zip(tokens, scores)]
    first = next((i for i, s in enumerate(silent) if not s), len(tokens))
    last = len(tokens) - next((i for i, s in enumerate(reversed(silent)) if not s), len(tokens))
    found: list[Run] = []
    for i, token in enumerate(tokens):
        is_pad = token in PADS or (silent[i] and not first <= i < last)
        if is_pad and found and found[-1].is_pad and tokens[found[-1].start] == token:
            found[-1] = dataclasses.replace(found[-1], stop=i + 1)
        else:
            found.append(Run(i, i + 1, is_pad))
    return found


def figure(point: PointScores) -> Html:
    """The coloured text, its scale, and the strongest tokens with exact scores."""
    scores = token_scores(point)
    if not point.tokens:
        return element("p", f"{point.name}: no tokens.", class_="note")
    finite = np.where(np.isfinite(scores), scores, 0.0)
    scale = float(np.abs(finite).max())
    drawn = runs(point.tokens, scores)
    shown, left = drawn[:MOST_TOKENS], drawn[MOST_TOKENS:]
    pieces = [_piece(run, point.tokens, scores, scale) for run in shown]
    rest = None
    if left:
        mass = np.abs(finite[left[0].start:]).sum() / (np.abs(finite).sum() or 1.0)
        rest = element("span", f"… {len(scores) - left[0].start:,} more tokens are not drawn; "
                       f"they hold {numerals.percent(float(mass))} of all |score|", class_="pad")
    return element(
        "figure",
        element("p", *pieces, rest, class_="tokens", dir="auto"),
        _strongest(drawn, point.tokens, scores),
        element("figcaption", _caption(scores, scale)),
        class_="text")


def _piece(run: Run, tokens: Sequence[str | int], scores: np.ndarray, scale: float) -> Html:
    token = tokens[run.start]
    if run.is_pad:
        count = run.stop - run.start
        total = float(scores[run.start:run.stop].sum())
        name = "(empty)" if token == "" else token
        words = join([f"{count:,} × " if count > 1 else None, escape(name, _LONGEST_TOKEN),
                      f" {numerals.signed(total)}" if total else None])
        return element("span", words, class_="pad",
                       title=f"{count:,} padding tokens, {numerals.exact(total)} in all")
    score = scores[run.start]
    weight = float(palette.strength(score, scale))
    style = f"--s:{weight:.3f}" if weight else None
    return element("span", escape(token, _LONGEST_TOKEN),
                   class_=f"t {palette.side(score)}", style=style, title=numerals.exact(score))


def _strongest(drawn: Sequence[Run], tokens: Sequence[str | int], scores: np.ndarray) -> Html:
    real = [run.start for run in drawn if not run.is_pad and np.isfinite(scores[run.start])]
    lines = []
    for words, sign in ((palette.FOR_WORDS, 1), (palette.AGAINST_WORDS, -1)):
        ranked = sorted((i for i in real if sign * scores[i] > 0), key=lambda i: -sign * scores[i])
        items = [
            element("li", element("b", escape(tokens[i], _LONGEST_TOKEN)), " ",
                    numerals.signed(float(scores[i])), title=numerals.exact(scores[i]))
            for i in ranked[:_LISTED]
        ]
        if items:
            lines.append(element(
                "div", element("small", f"Most {words}"), element("ol", *items),
                class_="for" if sign > 0 else "against"))
    return element("div", *lines, class_="strongest")


def _caption(scores: np.ndarray, scale: float) -> str:
    finite = np.isfinite(scores)
    parts = []
    if scale:
        parts.append(f"Full colour at ±{numerals.plain(scale)}, the largest |score| of this "
                     "text. Solid underline: for; dotted: against.")
    elif finite.any():
        parts.append("Every score is 0: there is nothing to colour.")
    if not finite.all():
        parts.append(f"{int((~finite).sum()):,} of {len(scores):,} tokens have no finite score.")
    return " ".join(parts)
