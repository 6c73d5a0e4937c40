"""One colour scale for all examples, where that is asked for."""

import dataclasses
from collections.abc import Sequence

from ig_tf.rendering import alignment, maps, text
from ig_tf.rendering.look import Look
from ig_tf.run import pieces
from ig_tf.run.results import PointScores, Result


def shared(results: Sequence[Result], look: Look) -> Look:
    """The look with the scale of each point over the whole set; as it was for scale "example".

    The scale of the set is the largest that any example has by itself: nothing that is at full
    colour in one example is beyond it in another.
    """
    if look.scale != "set":
        return look
    found: dict[str, float] = {}
    for result in results:
        for point in result.points:
            found[point.name] = max(found.get(point.name, 0.0), _own(point, look))
            if point.kind == "tokens" and point.scores.size:
                size = float(abs(maps.finite(pieces.token_scores(point))).max())
                found[alignment.POINT] = max(found.get(alignment.POINT, 0.0), size)
    return dataclasses.replace(look, scales=found)


def _own(point: PointScores, look: Look) -> float:
    if point.kind == "tokens":
        found = pieces.cut(point.tokens or (), pieces.token_scores(point), look.words == "merged")
        return text.own_scale(found)
    if point.kind == "image":
        full = maps.signed_map(point.scores, look.channels)
        return maps.full_colour(maps.drawn(maps.shrunk(full), look), look.clip) if full.size else 0
    return 0.0
