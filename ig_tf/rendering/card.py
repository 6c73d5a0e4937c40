"""One example: what the model said, whether the explanation adds up, and its pictures."""

from collections.abc import Callable, Iterator

from ig_tf.rendering import image, numerals, signal, table, text
from ig_tf.rendering.markup import Html, element, join
from ig_tf.rendering.verdict import error_text, verdict
from ig_tf.run.results import PointScores, Result, Target

# Dense points up to this size get a bar per element; longer ones are drawn along their axis.
MOST_ELEMENTS = 200

# Kinds that have a picture of their own, whatever their size.
_PICTURES: dict[str, Callable[[PointScores, Result], Html]] = {
    "tokens": lambda point, result: text.figure(point),
    "image": image.figure,
}


def card(number: int, result: Result) -> Html:
    """The card of one example.

    Args:
      number: place in the report, from 1; it makes the anchor, since an id can be any text.
      result: the row.
    """
    judged = verdict(result)
    head = element(
        "header",
        element("h3", "Example ", element("code", result.id)),
        element("span", target_text(result.target)),
        element("span", judged.words, class_=f"badge {judged.tone}"))
    message = element("p", result.message, class_="bad") if result.message else None
    facts = None if result.prediction is None and not result.points else _facts(result)
    return element("article", head, facts, message, *_figures(result),
                   class_="card", id=f"example-{number}")


def target_text(target: Target) -> Html:
    """The target, with the class's label in brackets where it is known."""
    return join([
        element("code", target.text()),
        join([" [", element("b", target.label), "]"]) if target.label is not None else None])


def _facts(result: Result) -> Html:
    here, there = result.prediction, result.baseline_prediction
    difference = None if here is None or there is None else here - there
    facts = (
        ("prediction", numerals.plain(here)),
        ("baseline prediction", numerals.plain(there)),
        ("difference", numerals.signed(difference)),
        ("sum of attributions", numerals.signed(result.total())),
        ("completeness error", error_text(result)),
        ("status", result.status.replace("_", " ")),
        *((("nodes", f"{result.steps:,}"),) if result.steps is not None else ()),
    )
    return element(
        "dl", *(element("div", element("dt", name), element("dd", value)) for name, value in facts),
        class_="facts")


def _figures(result: Result) -> Iterator[Html]:
    drawn = set()
    named = len(result.points) > 1
    for point in result.points:
        picture = _picture(point, result)
        if picture is not None:
            drawn.add(point.name)
            if named:
                yield element("h4", point.name)
            yield picture
            yield _input_text(point, result)
    if _needs_bars(result, drawn):
        yield from _bars(result, drawn)


def _picture(point: PointScores, result: Result) -> Html | None:
    if point.kind == "tokens" and len(point.tokens or ()) <= 1 < len(result.points):
        return None  # a category of one word among others: its bar says all
    if point.kind in _PICTURES:
        return _PICTURES[point.kind](point, result)
    if point.kind == "dense" and point.scores.size > MOST_ELEMENTS:
        return signal.figure(point)
    return None


def _input_text(point: PointScores, result: Result) -> Html:
    """The sentence behind the ids, where tokens are ids and the caller sent text."""
    sent = [result.inputs[name] for name in point.features if name in result.inputs]
    if point.kind != "tokens" or not any(isinstance(token, int) for token in point.tokens):
        return Html("")
    return join(element("p", "Input: ", value, class_="note")
                for value in sent if isinstance(value, str))


def _needs_bars(result: Result, drawn: set[str]) -> bool:
    """Bars say nothing about a lone feature that has its own picture."""
    if len(result.features) > 1 or (not result.features and len(result.points) > 1):
        return True
    return any(point.name not in drawn for point in result.points) or (
        bool(result.features) and not result.points)


def _bars(result: Result, drawn: set[str]) -> Iterator[Html]:
    parts = [point for point in result.points
             if point.name not in drawn and point.kind == "dense" and point.scores.size > 1]
    if len(result.points) == 1 and parts and len(result.features) <= 1:
        # One vector is the whole input: its elements are the features.
        yield element("h4", parts[0].name)
        yield table.figure(table.element_bars(parts[0], result), "element")
        return
    yield table.figure(table.feature_bars(result), "feature")
    for point in parts:
        if len(point.features) <= 1:
            yield element(
                "details", element("summary", f"{point.name}, element by element"),
                table.figure(table.element_bars(point, result), "element"))
