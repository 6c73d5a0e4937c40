"""One example: what the model said, whether the explanation adds up, and its pictures."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from ig_tf.rendering import image, numerals, saving, signal, table, text, waterfall
from ig_tf.rendering import look as looks
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, escape, join
from ig_tf.rendering.reasons import reasons
from ig_tf.rendering.verdict import error_parts, error_text, story, verdict
from ig_tf.run.results import PointScores, Result, Target

# Dense points up to this size get a bar per element; longer ones are drawn along their axis.
MOST_ELEMENTS = 200
_MOST_SENT = 12  # further values of the record

# Kinds that have a picture of their own, whatever their size.
_PICTURES: dict[str, Callable[[PointScores, Result, Look], Html]] = {
    "tokens": lambda point, result, look: text.figure(point, look),
    "image": image.figure,
}


@dataclasses.dataclass(frozen=True)
class Beside:
    """Other attributions of the same examples, to be drawn beside.

    Attributes:
      name: what they are.
      rows: by id, and by (id, target as text) where an example has several.
    """

    name: str
    rows: Mapping[str | tuple[str, str], Result]


def card(number: int, result: Result, look: Look = looks.DEFAULT, beside: Beside | None = None,
         more: Html | None = None) -> Html:
    """The card of one example.

    Args:
      number: place in the report, from 1; it makes the anchor, since an id can be any text.
      result: the row.
      look: how pictures are drawn.
      beside: other attributions of the same example.
      more: what else there is to show of it.
    """
    judged = verdict(result)
    head = element(
        "header",
        element("h3", "Example ", element("code", element("bdi", result.id))),
        element("span", target_text(result.target)),
        element("span", judged.words, class_=f"badge {judged.tone}"))
    message = element("p", result.message, class_="bad") if result.message else None
    facts = None if result.prediction is None and not result.points else _facts(result)
    return element(
        "article", head, element("p", story(result), reasons(result, look), class_="story"),
        _also_sent(result),
        message,
        more, *_figures(result, look), _other(result, beside, look), facts,
        class_="card", id=f"example-{number}", data_number=number, data_verdict=judged.words,
        data_target=result.target.named(), data_prediction=_number(result.prediction),
        data_error=_number(result.relative_error))


def target_text(target: Target) -> Html:
    """The target, with the class's label in brackets where it is known."""
    label = None if target.label is None else join(
        [" [", element("b", element("bdi", target.label)), "]"])
    return join([element("code", target.text()), label])


def needs_bars(result: Result, drawn: set[str]) -> bool:
    """Whether bars add something: a lone feature that has its own picture needs none."""
    if len(result.features) > 1 or (not result.features and len(result.points) > 1):
        return True
    return any(point.name not in drawn for point in result.points) or (
        bool(result.features) and not result.points)


def _number(value: float | None) -> str | None:
    return None if value is None else repr(float(value))


def _other(result: Result, beside: Beside | None, look: Look) -> Html | None:
    """The pictures of another file for the same example; said where there are none."""
    if beside is None:
        return None
    own = (result.id, result.target.text())
    other = beside.rows.get(own) or beside.rows.get(result.id)
    if other is None:
        return element("p", f"{beside.name} has no example of this id.", class_="note")
    differs = other.target.text() != result.target.text()  # labels may have been left out
    return element(
        "section", element("h4", f"Beside it: {beside.name}",
                           f" (of another target: {other.target.named()})" if differs
                           else None),
        element("p", f"error {error_text(other)}: {verdict(other).words}", class_="note"),
        *_figures(other, look), class_="beside")


def _unbroken(words: str) -> Html:
    return element("span", words, class_="unbroken")


def _is_single(value: object) -> bool:
    return not isinstance(value, (list, tuple, Mapping)) and getattr(value, "ndim", 0) == 0


def bars_of(result: Result) -> list[table.Bar]:
    """The bars of an example: its features, or the elements of the one vector that it is."""
    only = result.points[0] if len(result.points) == 1 and len(result.features) <= 1 else None
    if only is not None and only.kind == "dense" and 1 < only.scores.size <= MOST_ELEMENTS:
        return table.element_bars(only, result)
    return table.feature_bars(result)


def _also_sent(result: Result) -> Html | None:
    """What the record holds besides the explained inputs: a label, the text before its ids."""
    known = {*result.features, *(point.name for point in result.points),
             *(name for point in result.points for name in point.features)}
    sent = [(name, value) for name, value in result.inputs.items()
            if name not in known and _is_single(value)]
    if not sent:
        return None
    parts = [join([element("bdi", escape(name, 60)), ": ", element(
        "b", element("bdi", escape(numerals.value_text(value), 300)))])
        for name, value in sent[:_MOST_SENT]]
    return element("p", "Also in the record: ", *[
        part for i, words in enumerate(parts) for part in ((", ", words) if i else (words,))],
        class_="note")


def _facts(result: Result) -> Html:
    here, there = result.prediction, result.baseline_prediction
    difference = None if here is None or there is None else here - there
    facts = (
        ("prediction", numerals.plain(here)),
        ("baseline prediction", numerals.plain(there)),
        ("difference", numerals.signed(difference)),
        ("sum of attributions", numerals.signed(result.total())),
        ("completeness error", join(
            part for words in error_parts(result) for part in (_unbroken(words), " "))),
        ("status", result.status.replace("_", " ")),
        *((("nodes", f"{result.steps:,}"),) if result.steps is not None else ()),
        *((("spread over the baselines", f"{result.spread:.1%} of the attributions"),)
          if result.spread is not None else ()),
    )
    return element(
        "dl", *(element("div", element("dt", name), element("dd", value)) for name, value in facts),
        class_="facts")


def _figures(result: Result, look: Look) -> Iterator[Html]:
    drawn = set()
    named = len(result.points) > 1
    for point in result.points:
        picture = _picture(point, result, look)
        if picture is not None:
            drawn.add(point.name)
            if named:
                yield element("h4", point.name)
            yield saving.picture(picture, point.name)
            yield _input_text(point, result)
    if needs_bars(result, drawn):
        yield from _bars(result, drawn, look)


def _picture(point: PointScores, result: Result, look: Look) -> Html | None:
    if point.kind == "tokens" and len(point.tokens or ()) <= 1 < len(result.points):
        return None  # a category of one word among others: its bar says all
    if point.kind in _PICTURES:
        return _PICTURES[point.kind](point, result, look)
    if point.kind == "dense" and point.scores.size > MOST_ELEMENTS:
        return signal.figure(point, look)
    return None


def _input_text(point: PointScores, result: Result) -> Html:
    """The sentence behind the ids, where tokens are ids and the caller sent text."""
    sent = [result.inputs[name] for name in point.features if name in result.inputs]
    if point.kind != "tokens" or not any(isinstance(token, int) for token in point.tokens):
        return Html("")
    return join(element("p", "Input: ", value, class_="note")
                for value in sent if isinstance(value, str))


def _bars(result: Result, drawn: set[str], look: Look) -> Iterator[Html]:
    parts = [point for point in result.points
             if point.name not in drawn and point.kind == "dense" and point.scores.size > 1]
    if len(result.points) == 1 and parts and len(result.features) <= 1:
        # One vector is the whole input: its elements are the features.
        yield element("h4", parts[0].name)
        yield saving.picture(
            table.figure(table.element_bars(parts[0], result), "element", look), parts[0].name)
        return
    yield saving.picture(waterfall.figure(result, table.feature_bars(result), look), "features")
    for point in parts:
        if len(point.features) <= 1:
            yield element(
                "details", element("summary", f"{point.name}, element by element"),
                saving.picture(table.figure(table.element_bars(point, result), "element", look),
                               point.name))
