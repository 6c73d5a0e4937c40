"""The set as a whole: means, sizes and quantiles by target and slice, and when these compare."""

import math

import numpy as np
import pytest

from ig_tf.rendering import check_view, global_view, slices, spread
from ig_tf.rendering.look import Look
from ig_tf.run.results import About, PointScores, Result, Target
from ig_tf.rendering.report import render

RNG = np.random.default_rng(4)


def row(number, target, features, start=0.25, **changes):
    total = sum(features.values())
    return Result(str(number), "converged", target=Target("p", target), prediction=start + total,
                  baseline_prediction=start, relative_error=0.0, features=features, **changes)


def test_numbers_of_a_feature():
    """Against the definitions."""
    scores = RNG.normal(size=50).tolist()
    found = spread.summary(scores)
    assert found["mean"] == pytest.approx(np.mean(scores))
    assert found["mean_size"] == pytest.approx(np.mean(np.abs(scores)))
    ordered = sorted(scores)
    for share in spread.QUANTILES:
        below = sum(score <= found[f"q{share:g}"] for score in ordered)
        assert abs(below - share * 50) <= 1


def test_classes_are_never_mixed():
    """What is for one class and against another has two lines, and no mean of both."""
    rows = [row(i, i % 2, {"age": 2.0 if i % 2 else -1.0, "job": 0.5}) for i in range(8)]
    parts = slices.by_target(rows)
    assert [part.name for part in parts] == ["p[0]", "p[1]"]
    assert [spread.summary(spread.of_features(part.results)["age"])["mean"] for part in parts] == [
        -1.0, 2.0]
    source = render(rows, About())
    assert "Mean |attribution|, p[0], 4 examples" in source
    assert "Mean |attribution|, p[1], 4 examples" in source
    assert "mean, size and quantiles" in source and "10% below" in source
    one = render([row(i, 0, {"age": 1.0, "job": 0.5}) for i in range(3)], About())
    assert "<h3>Mean |attribution|</h3>" in one


def test_slices_stand_within_a_target():
    rows = [row(i, i % 2, {"age": 1.0 - 2 * (i % 2), "job": 0.5},
                inputs={"job": "ab"[i // 2 % 2]}) for i in range(8)]
    source = str(global_view.figure(rows, Look(), ["job"]))
    assert source.count("Mean attribution with its sign") == 2
    assert "p[0], 4 examples" in source and "+0.00" not in source


def test_words_have_numbers_too():
    rows = [row(i, 0, {}, points=(PointScores("text", "tokens", [score, 0.1], ["good", "x"]),))
            for i, score in enumerate([1.0, 2.0, -3.0])]
    assert slices.word_scores(rows, Look())["good"] == [1.0, 2.0, -3.0]
    source = str(global_view.figure(rows))
    assert "<th scope=\"col\">word</th>" in source and "mean size" in source


def test_the_caveat_says_when_examples_compare():
    same = [row(i, i % 2, {"age": 1.0, "job": i}, start=0.1 * (i % 2)) for i in range(6)]
    assert "the same score" in spread.caveat(same)  # each target has a score of its own
    other = [*same, row(7, 0, {"age": 1.0, "job": 2.0}, start=0.4)]
    assert "Caution" in spread.caveat(other) and "p[0]: 0 to 0.4" in spread.caveat(other)
    assert "Caution" in render(other, About()) and "Caution" not in render(same, About())
    assert spread.caveat([Result("x", "error", "no such file")]) == ""


def test_a_feature_of_one_example_has_no_spread():
    assert spread.table({"age": [1.0]}, 5, "feature") is None
    assert "nan" not in str(spread.table({"age": [1.0, math.pi]}, 5, "feature"))


def test_verdicts_are_drawn():
    check = {"passed": True, "rows": [], "verdicts": [
        {"name": "unit_norm", "verdict": "warn", "value": 1, "text": "ids<1>", "advice": "Pad."},
        {"name": "determinism", "verdict": "pass", "value": 0, "text": "bits", "advice": ""}],
        "baselines": [{"name": "mean", "question": "what?", "flag": "", "error": 0.01,
                       "verdicts": [{"name": "baseline_score", "verdict": "warn"}]}]}
    shown = str(check_view.figure(check))
    for said in ("unit norm", "warn", "ids&lt;1&gt;", "Pad.", "determinism", "what?", "1 %",
                 "baseline score warn", "changes the question"):
        assert said in shown, said


@pytest.mark.parametrize("check", [
    {"verdicts": [3, {}], "baselines": "x"}, {"verdicts": None, "baselines": [{"error": "?"}, 4]},
    {"verdicts": [{"verdict": [1], "text": "<script>"}]}])
def test_verdicts_with_anything_missing(check):
    assert "<script>" not in str(check_view.figure(check))
