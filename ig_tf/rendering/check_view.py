"""What `ig-tf check` found, for the report: its verdict, its advice and its curves."""

from collections.abc import Mapping, Sequence
from typing import Any

from ig_tf.rendering import curves, numerals, saving
from ig_tf.rendering.markup import Html, element
from ig_tf.rendering.scene import inline


def figure(check: Mapping[str, Any]) -> Html:
    """The box of a check.

    Args:
      check: the JSON object that `ig-tf check --format=json` writes; what it lacks is left out.
    """
    rows = [row for row in _listed(check.get("rows")) if isinstance(row, Mapping)]
    failing = sum(row.get("status") in ("capped", "invalid_input") for row in rows)
    passed = bool(check.get("passed", not failing))
    steps = check.get("steps")
    judged = [row for row in rows if row.get("status") != "unchecked"]
    words = (f"{len(judged) - failing:,} of {len(judged):,} examples are within "
             f"{numerals.percent(_number(check.get('tolerance')))}"
             + (f" with {steps:,} steps." if isinstance(steps, int) else "."))
    if rows and not judged:
        words = "the method's attributions sum to no known difference, which is not checked."
    advice = [element("li", sentence) for sentence in _listed(check.get("advice"))]
    scenes = curves.of_check(check)
    return element(
        "section",
        element("p", element("b", "PASS" if passed else "FAIL", class_="good" if passed else "bad"),
                f": {words}"),
        element("ul", *advice) if advice else None,
        _verdicts(_listed(check.get("verdicts"))),
        _baselines(_listed(check.get("baselines"))),
        _trials(_listed(check.get("trials"))),
        element("div", *[saving.picture(inline(scene), scene.title) for scene in scenes],
                class_="curves")
        if scenes else None,
        element("p", "F at a point of the path, less F at the baseline, is what all attributions "
                "have added up to by then. Where the curve is flat the output is saturated.",
                class_="note") if scenes else None,
        class_="box")


# Class of a verdict's word; others are in plain colour.
_CLASSES = {"pass": "good", "fail": "bad"}


def _verdicts(verdicts: Sequence[Any]) -> Html | None:
    """A row for each check: what was found, and what to do."""
    lines = [
        element("tr", element("th", str(one.get("name", "")).replace("_", " "), scope="row"),
                element("td", element("b", one.get("verdict", ""),
                                      class_=_CLASSES.get(str(one.get("verdict")), None))),
                element("td", one.get("text", ""),
                        *([element("br"), element("small", one["advice"])]
                          if one.get("advice") else [])))
        for one in verdicts if isinstance(one, Mapping)]
    if not lines:
        return None
    head = element("tr", *(element("th", word, scope="col")
                           for word in ("check", "verdict", "what was found, and what to do")))
    return element("div", element("table", element("thead", head), element("tbody", *lines)),
                   class_="scroll trials")


def _baselines(ranked: Sequence[Any]) -> Html | None:
    """Baselines that were tried, best first."""
    lines = []
    for one in ranked:
        if isinstance(one, Mapping):
            bad = ", ".join(f"{found.get('name')} {found.get('verdict')}".replace("_", " ")
                            for found in _listed(one.get("verdicts")) if isinstance(found, Mapping)
                            and found.get("verdict") in ("warn", "fail"))
            error = _number(one.get("error"))
            lines.append(element(
                "tr", element("th", one.get("name", ""), element("br"),
                              element("small", one.get("question", "")), scope="row"),
                element("td", "–" if error is None else numerals.percent(error), class_="number"),
                element("td", bad or "none")))
    if not lines:
        return None
    head = element("tr", element("th", "baseline, and what it asks", scope="col"),
                   element("th", "completeness error", scope="col", class_="number"),
                   element("th", "warnings", scope="col"))
    return element("div", element("table", element("thead", head), element("tbody", *lines)),
                   element("p", "A changed baseline changes the question that is asked.",
                           class_="note"), class_="scroll trials")


def _trials(trials: Sequence[Any]) -> Html | None:
    lines = [
        element("tr", element("th", element("code", trial.get("flags", "")), scope="row"),
                element("td", _worst(trial.get("errors")), class_="number"),
                element("td", _worst(trial.get("doubled")), class_="number"))
        for trial in trials if isinstance(trial, Mapping)]
    if not lines:
        return None
    head = element("tr", element("th", "what was tried", scope="col"),
                   element("th", "largest error", scope="col", class_="number"),
                   element("th", "with twice the steps", scope="col", class_="number"))
    return element("div", element("table", element("thead", head), element("tbody", *lines)),
                   class_="scroll trials")


def _worst(errors: object) -> str:
    known = [error for error in _listed(errors) if isinstance(error, (int, float))]
    return numerals.percent(max(known)) if known else "–"


def _listed(value: object) -> list:
    return list(value) if isinstance(value, (list, tuple)) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
