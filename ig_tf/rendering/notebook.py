"""Results in a notebook: importing this module is all; a cell that ends with rows draws them.

They are drawn in a frame that runs nothing, so neither style nor text of theirs reaches the
notebook around it.
"""

from collections.abc import Sequence

from ig_tf.rendering import look as looks
from ig_tf.rendering import report, table
from ig_tf.rendering.card import card
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, join
from ig_tf.rendering.report import page, render
from ig_tf.run import results as rows_of
from ig_tf.run.results import About, Result

MOST = 20  # examples of a list
# Pixels of a frame: a card of text, for each line of bars, for an image, at most; it can be drawn
# larger by its corner.
_CARD, _LINE, _IMAGE, _TALLEST = 330, 27, 190, 720


def show(results: Result | Sequence[Result], look: Look = looks.DEFAULT) -> "Shown":
    """Rows, drawn with choices of one's own.

    Args:
      results: a row, or a list of them.
      look: how pictures are drawn.
    """
    return Shown(results, look)


class Shown:
    """What a cell ends with; notebooks ask it for its markup."""

    def __init__(self, results: Result | Sequence[Result], look: Look) -> None:
        self._results, self._look = results, look

    def _repr_html_(self) -> str:
        return html(self._results, self._look)


def html(results: Result | Sequence[Result], look: Look = looks.DEFAULT) -> str:
    """The rows as a frame for a notebook: a card for one, a report of the first MOST for a list."""
    if isinstance(results, Result):
        body = element("body", card(1, results, look), class_="alone")
        return _frame(page(body, "Attributions", look), _height(results))
    if len(results) > len({result.id for result in results}) == 1:  # the outputs of one example
        cards = list(report.cards(results[:MOST], look))
        body = element("body", *cards, class_="alone")
        return _frame(page(body, "Attributions", look), _TALLEST)
    left = len(results) - MOST
    framed = _frame(render(results[:MOST], getattr(results, "about", About()), look=look),
                    _TALLEST)
    note = f"The first {MOST} of {len(results):,}; ig_tf.render(results) draws all." if (
        left > 0) else None
    return join([framed, element("p", note) if note else None])


def _height(result: Result) -> int:
    bars = min(len(result.features), table.MOST_BARS + 1) + 4 if len(result.features) > 1 else 0
    images = sum(point.kind == "image" for point in result.points)
    return min(_CARD + _LINE * bars + _IMAGE * images, _TALLEST)


def _frame(source: str, height: int) -> Html:
    # All of the page is the value of one attribute, escaped once more; no script, no origin.
    style = ("width:100%;border:0;resize:vertical;overflow:auto;"
             f"height:{height}px")
    return Html('<iframe sandbox="" title="attributions" srcdoc="'
                + source.replace("&", "&amp;").replace('"', "&quot;")
                + f'" style="{style}"></iframe>')


rows_of.DRAWN_BY["html"] = html
