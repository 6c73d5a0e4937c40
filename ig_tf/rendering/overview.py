"""The top of the report: counts, how to read it, the model card, and the list of examples."""

import statistics
from collections.abc import Sequence

from ig_tf.rendering import look as looks
from ig_tf.rendering import counting, numerals, palette
from ig_tf.rendering.card import target_text
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, escape, join
from ig_tf.rendering.verdict import ADDS_UP, error_text, verdict
from ig_tf.run.results import STATUSES, TOLERANCE, About, Result

_LONGEST = 60

_CAUTIONS = (
    "They are not causes: they say how this model's output moved, not how the world works.",
    "They do not show interactions: what two inputs do only together is split between them.",
    "They are relative to this baseline: another baseline asks another question.",
    "They do not say whether the model is right: a wrong answer has an explanation too.",
)
# What a reader who has never seen a model card needs to know of each line.
_HINTS = {
    "target": "the number that is explained; :top is each example's highest class",
    "baseline": "what each example is compared with",
    ("baseline", "zeros"): "each example is compared with an empty one: zeros everywhere, and "
                           "vectors of zeros for words",
    "steps": "points on the way from baseline to example where the model was asked",
    "held constant": "inputs that get no attribution",
}
# Baselines in words, where they are known to mean one thing.
_BASELINES = {"zeros": "zeros, an empty input"}
_STATUS_WORDS = {
    "capped": "capped (the sum misses the difference by more than "
              f"{numerals.percent(TOLERANCE)})",
    "unchecked": "without a sum to check (the method claims none)",
    "baseline_equal": "baseline equal (no difference to explain)",
}


def tiles(results: Sequence[Result]) -> Html:
    """Numbers of examples and explanations, how many add up, and the median error."""
    counts = {s: sum(result.status == s for result in results) for s in STATUSES}
    words = ", ".join(f"{n:,} {_STATUS_WORDS.get(s, s.replace('_', ' '))}"
                      for s, n in counts.items() if n)
    judged = [result for result in results
              if result.relative_error is not None and result.status in ("converged", "capped")]
    errors = [abs(result.relative_error) for result in judged]
    within = sum(verdict(result) is ADDS_UP for result in judged)
    count = counting.examples(results)
    apart = counting.explanations_text(results)
    made = [_tile(f"{count:,}", "examples" if count != 1 else "example",
                  "; ".join(part for part in (apart, words or "none") if part))]
    if errors:
        made.append(_tile(
            numerals.percent(within / len(errors)), "add up",
            f"{within:,} of {len(errors):,} within {numerals.percent(TOLERANCE)} of the "
            "difference that they explain"))
        made.append(_tile(numerals.percent(statistics.median(errors)),
                          "median completeness error", "as a share of that difference"))
    return element("div", *made, class_="tiles")


def how_to_read(look: Look = looks.DEFAULT, baseline: str = "") -> Html:
    """The legend of signs and scale, and what attributions do not say."""
    colours = look.colours
    scaled = ("Colours are scaled the same in all examples." if look.scale == "set" else
              "Colours are scaled per example, so compare numbers, not shades, between examples.")
    legend = element(
        "section",
        element("h2", "How to read it"),
        element("p", element("span", class_="key for"), element("b", f"+ {colours.positive_name}"),
                f": {palette.FOR_WORDS}. It raised the explained output, compared with the "
                "baseline."),
        element("p", element("span", class_="key against"),
                element("b", f"− {colours.negative_name}"),
                f": {palette.AGAINST_WORDS}. It lowered it."),
        element("p", "The target is the answer of the model that is explained, often that for one "
                "class. The baseline is what an example is compared with"
                + _baseline_text(baseline), class_="note"),
        element("p", "Scores are in units of the explained output. Added up they give prediction "
                f"minus baseline prediction; the completeness error is what is missing. {scaled}",
                class_="note"),
        class_="box")
    cautions = element(
        "section",
        element("h2", "What attributions do not say"),
        element("ul", *(element("li", words) for words in _CAUTIONS)),
        class_="box")
    return element("div", legend, cautions, class_="two")


def model_card(about: About) -> Html:
    """What was explained and how; what is unknown is left out."""
    facts = (
        ("model", about.model),
        ("signature", about.signature),
        ("target", about.target),
        ("baseline", about.baseline),
        ("steps", _steps_text(about)),
        ("TensorFlow", about.tensorflow),
        ("held constant", ", ".join(map(str, about.held_constant))),
    )
    lines = [join([element("dt", name), element("dd", value, _hint(name, value))])
             for name, value in facts if value]
    notes = [join([element("dt", "note"), element("dd", note)]) for note in about.notes]
    points = _points_table(about) if about.points else None
    if not (lines or notes or points):
        return element("p", "The results file came without a model card.", class_="note")
    return element("section", element("dl", *lines, *notes, class_="model"), points,
                   class_="box")


def index(results: Sequence[Result]) -> Html:
    """One line per example with a link to its card; empty for a few examples."""
    if len(results) <= 5:
        return Html("")
    lines = [
        element("tr", element("th", element("a", escape(result.id, _LONGEST),
                                            href=f"#example-{number}"), scope="row"),
                element("td", target_text(result.target)),
                element("td", numerals.plain(result.prediction), class_="number"),
                element("td", error_text(result), class_="number"),
                element("td", verdict(result).words, class_=verdict(result).tone),
                data_example=f"example-{number}")
        for number, result in enumerate(results, start=1)
    ]
    head = element("tr", *(
        element("th", words, scope="col", class_=kind) for words, kind in (
            ("id", None), ("target", None), ("prediction", "number"),
            ("completeness error", "number"), ("verdict", None))))
    return element(
        "details", element("summary", f"List of all {counting.all_text(results)}"),
        element("div", element("table", element("thead", head), element("tbody", *lines)),
                class_="scroll"))


def _tile(number: str, words: str, note: str) -> Html:
    return element("div", element("b", number), words, element("br"), element("small", note),
                   class_="box tile")


def _baseline_text(baseline: str) -> str:
    if not 0 < len(baseline) <= _LONGEST:
        return "."
    number = baseline.replace(".", "", 1).isdigit()
    return f": here {_BASELINES.get(baseline, baseline)}{' everywhere' if number else ''}."


def _hint(name: str, value: str) -> Html | None:
    words = _HINTS.get((name, value)) or _HINTS.get(name)
    return element("small", f" {words}") if words else None


def _points_table(about: About) -> Html:
    head = element("tr", *(element("th", words, scope="col")
                           for words in ("point", "kind", "features", "tensor")))
    lines = [
        element("tr",
                element("td", point.get("name", "")),
                element("td", str(point.get("kind", "")).replace("_", " ")),
                element("td", _names(point.get("features", ()))),
                element("td", element("code", point.get("tensor", ""))))
        for point in about.points if hasattr(point, "get")
    ]
    table = element("div", element("table", element("thead", head), element("tbody", *lines)),
                    class_="scroll")
    words = "1 attribution point" if len(lines) == 1 else f"{len(lines):,} attribution points"
    return element("details", element("summary", words), table,
                   open="" if len(lines) <= 6 else None)


def _steps_text(about: About) -> str:
    if about.steps is None:
        return about.rule
    return f"{about.steps:,} ({about.rule})" if about.rule else f"{about.steps:,}"


def _names(features: object) -> str:
    return ", ".join(map(str, features)) if isinstance(features, (list, tuple)) else str(features)
