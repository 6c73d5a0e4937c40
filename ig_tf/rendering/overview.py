"""The top of the report: model card, counts, global view, and how to read it."""

import math
import statistics
from collections.abc import Sequence

from ig_tf.rendering import numerals, palette
from ig_tf.rendering.card import target_text
from ig_tf.rendering.markup import Html, element, escape, join
from ig_tf.rendering.verdict import ADDS_UP, error_text, verdict
from ig_tf.run.results import STATUSES, TOLERANCE, About, Result

MOST_FEATURES = 15
_LONGEST = 60

_CAUTIONS = (
    "They are not causes: they say how this model's output moved, not how the world works.",
    "They do not show interactions: what two inputs do only together is split between them.",
    "They are relative to this baseline: another baseline asks another question.",
)


def tiles(results: Sequence[Result]) -> Html:
    """Number of examples by status, how many add up, and the median completeness error."""
    counts = {s: sum(result.status == s for result in results) for s in STATUSES}
    words = ", ".join(f"{n:,} {s.replace('_', ' ')}" for s, n in counts.items() if n)
    judged = [result for result in results
              if result.relative_error is not None and result.status in ("converged", "capped")]
    errors = [abs(result.relative_error) for result in judged]
    within = sum(verdict(result) is ADDS_UP for result in judged)
    made = [_tile(f"{len(results):,}", "examples" if len(results) != 1 else "example",
                  words or "none")]
    if errors:
        made.append(_tile(
            numerals.percent(within / len(errors)), "add up",
            f"{within:,} of {len(errors):,} within {numerals.percent(TOLERANCE)} of the "
            "difference that they explain"))
        made.append(_tile(numerals.percent(statistics.median(errors)),
                          "median completeness error", "as a share of that difference"))
    return element("div", *made, class_="tiles")


def how_to_read() -> Html:
    """The legend of signs and scale, and what attributions do not say."""
    legend = element(
        "section",
        element("h2", "How to read it"),
        element("p", element("span", class_="key for"), element("b", "+ green"),
                f": {palette.FOR_WORDS}. It raised the explained output, compared with the "
                "baseline."),
        element("p", element("span", class_="key against"), element("b", "− red"),
                f": {palette.AGAINST_WORDS}. It lowered it."),
        element("p", "Scores are in units of the explained output. Added up they give prediction "
                "minus baseline prediction; the completeness error is what is missing. Colours "
                "are scaled per example, so compare numbers, not shades, between examples.",
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
    lines = [join([element("dt", name), element("dd", value)]) for name, value in facts if value]
    notes = [join([element("dt", "note"), element("dd", note)]) for note in about.notes]
    points = _points_table(about) if about.points else None
    if not (lines or notes or points):
        return element("p", "The results file came without a model card.", class_="note")
    return element("section", element("dl", *lines, *notes, class_="model"), points,
                   class_="box")


def feature_means(results: Sequence[Result]) -> list[tuple[str, float, int]]:
    """(feature, mean |attribution|, rows) of features in two rows or more, largest first."""
    sizes: dict[str, list[float]] = {}
    for result in results:
        for name, score in result.features.items():
            if math.isfinite(score):
                sizes.setdefault(name, []).append(abs(score))
    means = [(name, statistics.fmean(v), len(v)) for name, v in sizes.items() if len(v) > 1]
    return sorted(means, key=lambda line: -line[1])


def global_view(results: Sequence[Result]) -> Html:
    """Mean |attribution| per feature over the examples; empty where none is shared."""
    means = feature_means(results)
    if len(means) < 2:
        return Html("")
    largest = means[0][1]
    lines = [_mean_line(line, largest, len(results)) for line in means[:MOST_FEATURES]]
    left = len(means) - MOST_FEATURES
    return join([
        element("h2", "Which features matter over all examples"),
        element(
            "section",
            element("table", element("tbody", *lines), class_="bars"),
            element("p", "Mean |attribution|: sizes without signs, so a feature that pushes both "
                    "ways is not cancelled out."
                    + (f" The weakest {left:,} features are left out." if left > 0 else ""),
                    class_="note"),
            class_="box")])


def index(results: Sequence[Result]) -> Html:
    """One line per example with a link to its card; empty for a few examples."""
    if len(results) <= 5:
        return Html("")
    lines = [
        element("tr", element("td", element("a", escape(result.id, _LONGEST),
                                            href=f"#example-{number}")),
                element("td", target_text(result.target)),
                element("td", numerals.plain(result.prediction), class_="number"),
                element("td", error_text(result), class_="number"),
                element("td", verdict(result).words, class_=verdict(result).tone))
        for number, result in enumerate(results, start=1)
    ]
    head = element("tr", *(
        element("th", words, scope="col", class_=kind) for words, kind in (
            ("id", None), ("target", None), ("prediction", "number"),
            ("completeness error", "number"), ("", None))))
    return element(
        "details", element("summary", f"List of all {len(results):,} examples"),
        element("div", element("table", element("thead", head), element("tbody", *lines)),
                class_="scroll"))


def _tile(number: str, words: str, note: str) -> Html:
    return element("div", element("b", number), words, element("br"), element("small", note),
                   class_="box tile")


def _mean_line(line: tuple[str, float, int], largest: float, rows: int) -> Html:
    name, mean, count = line
    width = 100 * mean / largest if largest else 0.0
    drawn = element("span", class_="bar size", style=f"left:0;width:{width:.2f}%")
    return element(
        "tr",
        element("th", escape(name, _LONGEST), scope="row"),
        element("td", f"{count:,} of {rows:,} rows" if count < rows else "", class_="value"),
        element("td", element("span", drawn, class_="track whole"), class_="axis"),
        element("td", numerals.plain(mean), class_="number", title=numerals.exact(mean)))


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
    return element("details", element("summary", f"{len(lines):,} attribution points"), table,
                   open="" if len(lines) <= 6 else None)


def _steps_text(about: About) -> str:
    if about.steps is None:
        return about.rule
    return f"{about.steps:,} ({about.rule})" if about.rule else f"{about.steps:,}"


def _names(features: object) -> str:
    return ", ".join(map(str, features)) if isinstance(features, (list, tuple)) else str(features)
