"""Attributions over a set in numbers: mean, size and quantiles of features and words, by target.

Classes are never mixed: what is for one may be against another. Sizes of two examples are
comparable where both start from the same score of the baseline, and it is said where they do not.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ig_tf.rendering import numerals
from ig_tf.rendering.markup import Html, element, escape
from ig_tf.run import summaries
from ig_tf.run.results import Result

QUANTILES = (0.1, 0.5, 0.9)
_LONGEST = 60
_ONE_SCORE = 1e-3  # scores that differ by less, as a share of what is explained, are one


def of_features(results: Sequence[Result]) -> dict[str, list[float]]:
    """{feature: its attribution in each example that has it}; call it with one target's."""
    found: dict[str, list[float]] = {}
    for result in results:
        for name, score in result.features.items():
            if np.isfinite(score):
                found.setdefault(name, []).append(score)
    return found


def summary(scores: Sequence[float]) -> dict[str, float]:
    """Mean, mean size and QUANTILES of some scores."""
    quantiles = np.quantile(np.asarray(scores, np.float64), QUANTILES)
    moments = summaries.Moments(scores)
    return {"mean": moments.mean, "mean_size": moments.mean_absolute,
            **{f"q{share:g}": float(value) for share, value in zip(QUANTILES, quantiles)}}


def table(scores: Mapping[str, Sequence[float]], most: int, what: str) -> Html | None:
    """A line for each name, by mean size; None where no name has two scores.

    Args:
      scores: {name: scores}.
      most: so many lines.
      what: heading of the names.
    """
    lines = [(name, len(values), summary(values)) for name, values in scores.items()
             if len(values) > 1]
    if not lines:
        return None
    lines.sort(key=lambda line: -line[2]["mean_size"])
    heads = [what, "examples", "mean", "mean size", *(f"{share:.0%} below" for share in QUANTILES)]
    head = element("tr", *(element("th", word, scope="col",
                                   class_="number" if place else None)
                           for place, word in enumerate(heads)))
    body = [element("tr", element("th", escape(name, _LONGEST), scope="row"),
                    element("td", f"{count:,}", class_="number"),
                    *(element("td", numerals.plain(value) if key == "mean_size"
                              else numerals.signed(value), class_="number",
                              title=numerals.exact(value)) for key, value in found.items()))
            for name, count, found in lines[:most]]
    return element("div", element("table", element("thead", head), element("tbody", *body)),
                   class_="scroll")


def caveat(results: Sequence[Result]) -> str:
    """Whether examples may be compared: whether those of a target start from one score."""
    starts: dict[str, list[float]] = {}
    size = 0.0
    for result in results:
        if result.prediction is not None and result.baseline_prediction is not None:
            starts.setdefault(result.target.named(), []).append(result.baseline_prediction)
            size = max(size, abs(result.prediction - result.baseline_prediction))
    apart = {name: values for name, values in starts.items()
             if max(values) - min(values) > _ONE_SCORE * size}
    if not starts:
        return ""
    if not apart:
        return ("All examples of a target start from the same score of the baseline, so that their "
                "attributions lie on one scale.")
    name, values = max(apart.items(), key=lambda item: max(item[1]) - min(item[1]))
    return (f"Caution: examples of one target start from different scores ({name}: "
            f"{numerals.plain(min(values))} to {numerals.plain(max(values))}): each has a baseline "
            "of its own, or keeps inputs of its own. Sizes are comparable for one constant "
            "baseline only; read means over such examples as a tendency.")
