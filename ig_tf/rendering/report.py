"""The report: one HTML page that needs nothing else."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ig_tf.rendering import (
    alignment, check_view, global_view, overview, photo, saving, scales, script,
    style, text)
from ig_tf.rendering import look as looks
from ig_tf.rendering.card import Beside, card
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, join
from ig_tf.rendering.verdict import adding_up, of_several
from ig_tf.run.results import About, Result

# Nothing may be fetched, and nothing run but the page's own script, whatever a token says.
POLICY = ("default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
          f"script-src '{script.HASH}'; base-uri 'none'; form-action 'none'")

_LEAD = ("For each example: what the model answered, what in the input moved that answer away from "
         "its answer for a baseline, and whether these numbers add up. By Integrated Gradients.")


def render(results: Iterable[Result], about: About | None = None,
           title: str = "Attributions", look: Look = looks.DEFAULT,
           by: Sequence[str] = (), check: Mapping[str, Any] | None = None,
           beside: Beside | None = None, summary: Mapping[str, Any] | None = None) -> str:
    """A self-contained HTML page: no network, light and dark, printable.

    Args:
      results: the rows, in the order in which they are shown; none is fine.
      about: the model card; None for that of the rows, where they have one.
      title: heading of the page.
      look: how pictures are drawn.
      by: what the set is sliced by: "target" or names of inputs.
      check: what `ig-tf check --format=json` wrote about the model.
      beside: other attributions of the same examples.
      summary: `_summary.json` of a job of which the rows are the first ones: the set as a whole is
        that of the job, and not cut by `by`, which is for the rows.

    Returns:
      The page, which encodes to UTF-8.
    """
    about = about or getattr(results, "about", About())
    results = list(results)
    look = _with_room(results, scales.shared(results, look))
    shown = list(cards(results, look, beside))
    body = join([
        element("a", "Skip to the examples", href="#examples", class_="skip"),
        element("header", element("h1", title), element("p", _LEAD, class_="lead")),
        element(
            "main",
            overview.tiles(results),
            overview.how_to_read(look, about.baseline),
            element("h2", "Model"),
            overview.model_card(about),
            join([element("h2", "Check"), check_view.figure(check)]) if check else None,
            global_view.figure(results, look, by) if summary is None else join([
                _of_many(results, summary), global_view.summary_figure(summary, look)]),
            element("h2", "Examples", id="examples", tabindex="-1"),
            overview.index(results),
            script.tools(results),
            element("div", *shown, id="cards") if shown else
            element("p", "The results file holds no example.", class_="note"))])
    return page(element("body", body, script.needed(body)), title, look)


def _with_room(results: Sequence[Result], look: Look) -> Look:
    """The look with what one picture may take, so that a page of many pictures stays small."""
    if look.picture_bytes:
        return look
    points = [point for result in results for point in result.points]
    pictures = len(look.views) * sum(point.kind == "image" for point in points)
    words = sum(min(len(point.tokens or ()), text.MOST_PIECES) for point in points)
    return dataclasses.replace(look, picture_bytes=photo.share(pictures, len(results), words))


def _of_many(results: Sequence[Result], summary: Mapping[str, Any]) -> Html:
    """What is counted where: a page shows fewer results than a job has."""
    return element("p", f"The job has {summary['rows']:,} results, of which "
                   f"{summary['rows_without_attributions']:,} have no attributions; what follows "
                   f"counts all others. Counts above and the examples below are the first "
                   f"{len(results):,}.", class_="note")


def page(body: Html, title: str, look: Look = looks.DEFAULT) -> str:
    """A whole page around a body, with style sheet and policy."""
    return join([Html("<!DOCTYPE html>\n"),
                 element("html", _head(title, look), Html("\n"), body, lang="en"), Html("\n")])


def cards(results: Sequence[Result], look: Look, beside: Beside | None = None
          ) -> Iterator[Html]:
    """A card an example; rows that explain several outputs of one input begin with a matrix."""
    numbered = enumerate(results, start=1)
    for _, together in itertools.groupby(numbered, key=lambda pair: pair[1].id):
        rows = list(together)
        matrix = alignment.gathered([result for _, result in rows])
        first = None if matrix is None else _together([result for _, result in rows], matrix, look)
        for place, (number, result) in enumerate(rows):
            yield card(number, result, look, beside, more=None if place else first)


def _together(results: Sequence[Result], matrix: tuple[np.ndarray, tuple, tuple], look: Look
              ) -> Html:
    """The matrix of all outputs of one example, with how many of them add up."""
    return join([
        element("h4", f"All {len(results):,} outputs of this example: {adding_up(results)}"),
        saving.picture(alignment.figure(*matrix, look), "all outputs", of_several(results))])


def _head(title: str, look: Look) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(style.css(look.colours))))
