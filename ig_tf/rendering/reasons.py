"""Why, in a sentence: the strongest words or features of one example."""

from collections.abc import Sequence

import numpy as np

from ig_tf.rendering import numerals, table
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, escape, join
from ig_tf.rendering.verdict import ADDS_UP, verdict
from ig_tf.run import pieces
from ig_tf.run.results import Result

# What is less than this share of the difference is not worth a word.
_LEAST_SHARE = 0.1
_NAMED = 3
_LONGEST = 40


def reasons(result: Result, look: Look) -> Html | None:
    """What most of the difference comes from, and what works against it.

    None where there are no words or features, or where the scores should not be relied on.
    """
    if verdict(result) is not ADDS_UP or None in (result.prediction, result.baseline_prediction):
        return None
    difference = result.prediction - result.baseline_prediction
    named = [(name, score) for name, score in _parts(result, look)
             if abs(score) >= _LEAST_SHARE * abs(difference) > 0]
    named.sort(key=lambda part: -abs(part[1]))
    along = [part for part in named if part[1] * difference > 0][:_NAMED]
    against = [part for part in named if part[1] * difference < 0][:1]
    if not along:
        return None
    most = abs(sum(score for _, score in along)) >= 0.5 * abs(difference)
    return join([" Most of that comes from " if most else " The largest parts of that come from ",
                 _listed(along), ".",
                 join([" The strongest part the other way is ", _listed(against), "."])
                 if against else None])


def _parts(result: Result, look: Look) -> list[tuple[str, float]]:
    """(name, score) of features, where there are several, or of the words of the one text."""
    if len(result.features) > 1:
        return [(bar.name, bar.score) for bar in table.feature_bars(result)]
    texts = [point for point in result.points if point.kind == "tokens" and point.tokens]
    if len(texts) != 1 or len(result.points) > 1:
        return []
    point = texts[0]
    found = pieces.cut(point.tokens, pieces.token_scores(point), look.words == "merged")
    return [(str(piece.text), piece.score) for piece in found
            if piece.kind == "word" and np.isfinite(piece.score)]


def _listed(parts: Sequence[tuple[str, float]]) -> Html:
    shown = [join([element("b", element("bdi", escape(name, _LONGEST))),
                   f" ({numerals.signed(score)})"]) for name, score in parts]
    between = [", "] * max(0, len(shown) - 2) + [" and "] * (len(shown) > 1)
    return join(part for pair in zip(shown, [*between, None]) for part in pair)
