"""The report: one HTML page that needs nothing else."""

from collections.abc import Iterable

from ig_tf.rendering import overview
from ig_tf.rendering.card import card
from ig_tf.rendering.markup import Html, element, join
from ig_tf.rendering.style import CSS
from ig_tf.run.results import About, Result

# Nothing may be fetched or run, whatever a token says.
POLICY = ("default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
          "form-action 'none'")

_LEAD = ("What in each input moved the model's output away from its output for a baseline, by "
         "Integrated Gradients.")


def render(results: Iterable[Result], about: About, title: str = "Attributions") -> str:
    """A self-contained HTML page: no network, no script, light and dark, printable.

    Args:
      results: the rows, in the order in which they are shown; none is fine.
      about: the model card.
      title: heading of the page.

    Returns:
      The page, which encodes to UTF-8.
    """
    results = list(results)
    cards = [card(number, result) for number, result in enumerate(results, start=1)]
    body = element(
        "body",
        element("header", element("h1", title), element("p", _LEAD, class_="lead")),
        element(
            "main",
            overview.tiles(results),
            overview.how_to_read(),
            element("h2", "Model"),
            overview.model_card(about),
            overview.global_view(results),
            element("h2", "Examples"),
            overview.index(results),
            *(cards or [element("p", "The results file holds no example.", class_="note")])))
    return join([Html("<!DOCTYPE html>\n"),
                 element("html", _head(title), Html("\n"), body, lang="en"), Html("\n")])


def _head(title: str) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(CSS)))
