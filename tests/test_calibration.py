"""Calibration: the rule is good enough where it was not chosen, and what was measured is true."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf import calibration, trials
from ig_tf.calibration import Calibration
from ig_tf.errors import CalibrationError, RecordError
from ig_tf.ig import attach
from ig_tf.ig.quadrature import build as rule_of
from ig_tf.run.results_rows import EQUAL_SHARE, relative_error
from tests import builders, zoo_inputs

SPEC = {"x": builders.spec([None, 3])}
WEIGHTS = np.array([3.0, -1.0, 2.0])


def powers(x, w):
    """(w.x)^6: the gradient has degree 5 along the path, so 3 Gauss-Legendre nodes are exact."""
    return tf.reduce_sum(w * x, 1) ** 6


def steep(x, w):
    """A sigmoid that turns within a hundredth of the path."""
    return tf.sigmoid(tf.reduce_sum(w * x, 1) - 120.0)


def jump(x, w):
    """A step on a slope: no number of nodes sees the step."""
    s = tf.reduce_sum(w * x, 1)
    return tf.cast(s > 0.37, tf.float64) * 10 + 1e-3 * s


def coupled(x, w):
    """`steep`, but rows are not proved independent."""
    return steep(x + 0.0 * tf.reverse(x, [0]), w)


def rows_of(reaches):
    """Records in random directions, with w.x as given."""
    x = np.random.RandomState(1).randn(len(reaches), 3)
    return [{"x": row} for row in x * (np.array(reaches) / (x @ WEIGHTS))[:, None]]


@pytest.fixture(name="saved", scope="module")
def fixture_saved(tmp_path_factory):
    """The folder of a function's model."""
    kept = {}

    def saved(function):
        if function not in kept:
            kept[function] = builders.save_tf2(tmp_path_factory.mktemp("model") / "m", function,
                                               SPEC, {"w": WEIGHTS})
        return kept[function]

    return saved


def calibrated(path, file, error=0.01, **choices):
    given = {name: choices.pop(name) for name in ("rule", "points", "target") if name in choices}
    return ig_tf.instrument(ig_tf.load(str(path)), steps=Calibration(file, error, **choices),
                            **given)


# What is chosen ---------------------------------------------------------------------------------


def test_a_polynomial_needs_the_fewest_nodes(saved):
    """Four Gauss-Legendre nodes, the fewest tried, leave rounding; so does every larger rule."""
    plan = calibrated(saved(powers), rows_of([1.0, -2.0, 3.0, 0.5]))
    assert (plan.recipe.rule.name, plan.recipe.rule.steps) == ("gauss_legendre", 4)
    found = plan.described()["calibration"]
    assert found["reference"]["difference_to_half_the_nodes"] < 1e-12
    for half in ("chosen_on", "held_out"):
        assert found["chosen"][half]["rows"] == 2
        for kind in ("completeness", "attribution"):
            assert found["chosen"][half][kind]["p95"] < 1e-12


@pytest.mark.parametrize("function", [steep, coupled])
def test_a_saturated_model_gets_a_pilot(saved, function, tmp_path):
    """Plain Gauss-Legendre would need hundreds of nodes; the artifact is as good as was said."""
    rows = rows_of([300.0, 380.0, 470.0, 600.0])
    plan = calibrated(saved(function), rows)
    found = plan.described()["calibration"]
    assert plan.recipe.rule.name.startswith("pilot") and plan.recipe.rule.steps <= 64
    plain = [trial for trial in found["tried"] if trial["rule"] == "gauss_legendre"]
    assert plain[-1]["steps"] == 64 and plain[-1]["completeness"]["p95"] > 0.1
    ig_tf.save(plan, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "assets.extra" / "ig_tf.json").read_text())[
        "calibration"] == found
    results = ig_tf.attribute(tmp_path / "out", rows)
    for half, members in (("chosen_on", results[::2]), ("held_out", results[1::2])):
        worst = max(result.relative_error for result in members)
        assert worst <= 0.01
        assert found["chosen"][half]["completeness"]["p95"] == pytest.approx(worst, rel=1e-3)


def test_what_is_measured_is_the_error(saved):
    """Against the closed form: IG_i = w_i x_i / w.x of the change, and each rule's own sum."""
    rows = rows_of([300.0, 350.0, 420.0, 500.0])
    plan = calibrated(saved(steep), rows, error=2.0, rule="graded_2")
    found = plan.described()["calibration"]
    trial = next(t for t in found["tried"] if t["rule"] == "graded_2" and t["steps"] == 48)
    rule, errors = rule_of("graded_2", 48), []
    for row in rows[::2]:
        reach = WEIGHTS @ row["x"]
        value = 1 / (1 + np.exp(-(reach * rule.nodes - 120.0)))
        share = rule.weights @ (reach * value * (1 - value))  # of a change from 0 to 1
        errors.append(abs(share - 1))
    assert trial["completeness"]["p95"] == pytest.approx(max(errors), rel=1e-3)
    assert trial["completeness"]["median"] == pytest.approx(np.median(errors), rel=1e-3)
    # the parts are all wrong by the same factor, so that both errors are the same
    for kind in ("p95", "median"):
        assert trial["attribution"][kind] == pytest.approx(trial["completeness"][kind], rel=1e-3)


def test_it_is_the_same_each_time(saved):
    rows = rows_of([300.0, 350.0, 420.0, 500.0])
    one, other = (calibrated(saved(steep), rows, error=2.0, rule="pilot", max_steps=8).described()
                  for _ in range(2))
    assert one == other


def test_a_rule_that_is_given_is_the_only_one_tried(saved):
    plan = calibrated(saved(steep), rows_of([300.0, 500.0]), rule="pilot:65")
    assert plan.recipe.rule.name == "pilot:65"
    assert {trial["rule"] for trial in plan.calibration["tried"]} == {"pilot:65"}


def test_held_out_rows_that_miss_it_are_taken_in(saved):
    """Chosen on slopes that any rule integrates; held out is one that turns at once."""
    rows = rows_of([1.0, 400.0, 2.0, 500.0])
    plan = calibrated(saved(steep), rows)
    found = plan.described()["calibration"]
    missed = found["missed_on_held_out"]
    assert (missed["rule"], missed["steps"]) == ("gauss_legendre", 4)
    assert missed["completeness"]["p95"] > 0.5
    assert "held_out" not in found["chosen"] and found["chosen"]["chosen_on"]["rows"] == 4
    assert found["chosen"]["chosen_on"]["completeness"]["p95"] <= 0.01
    assert "none is left to check" in calibration.text(found)


def test_an_attribution_error_is_kept_too(saved):
    rows = rows_of([300.0, 350.0, 420.0, 500.0])
    plan = calibrated(saved(steep), rows, error=0.5, attribution_error=0.001, rule="pilot")
    for half in ("chosen_on", "held_out"):
        assert plan.calibration["chosen"][half]["attribution"]["p95"] <= 0.001


def test_without_a_calibration(saved):
    """The rule is the default, and no calibration is recorded."""
    plan = ig_tf.instrument(ig_tf.load(saved(steep)))
    assert (plan.recipe.rule.name, plan.recipe.rule.steps) == ("gauss_legendre", 50)
    assert "calibration" not in plan.described()


# Models that were trained ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["review_tokens/examples.jsonl", "digits_cnn/examples.npz"])
def test_own_models(name):
    """5 % at the 95th percentile, on rows that were not chosen on unless it is said."""
    folder = zoo_inputs.OWN_MODELS / name.split("/")[0]
    plan = calibrated(folder, zoo_inputs.OWN_MODELS / name, error=0.05, limit=8)
    _keeps_what_it_says(plan, 0.05)


def test_census(zoo_model):
    """A wide and deep Estimator: ids in bags, one-hots, numbers."""
    folder = zoo_model("census_wide_deep/raw")
    fed = zoo_inputs.inputs(folder.parent.parent, "census_wide_deep/raw", 8)
    rows = [{key: value[row] for key, value in fed.items()} for row in range(8)]
    model = ig_tf.load(str(folder), signature="predict")
    plan = ig_tf.instrument(model, steps=Calibration(rows, 0.05))
    _keeps_what_it_says(plan, 0.05)


def _keeps_what_it_says(plan, error):
    found = plan.described()["calibration"]
    half = "chosen_on" if found["missed_on_held_out"] else "held_out"
    assert found["chosen"][half]["completeness"]["p95"] <= error
    assert found["chosen"][half]["rows"] >= 3
    cheaper = [trial for trial in found["tried"] if trial["cost"] < found["chosen"]["cost"]]
    by_rule = {}
    for trial in found["tried"]:
        by_rule.setdefault(trial["rule"], []).append(trial)
    for trial in cheaper:  # each misses it, or one with more nodes does
        assert any(other["completeness"]["p95"] > error for other in by_rule[trial["rule"]]
                   if other["steps"] >= trial["steps"])


# Refusals ---------------------------------------------------------------------------------------


def test_nothing_is_good_enough(saved):
    """The best is named, with its error and how to take it."""
    with pytest.raises(CalibrationError) as caught:
        calibrated(saved(jump), rows_of([1.0, 1.0]), max_steps=16)
    message = str(caught.value)
    assert "no rule with up to 16 nodes" in message
    assert "--rule=" in message and "--steps=" in message and "completeness error" in message


@pytest.mark.parametrize("rows, message", [
    ([], "at least 2 rows.*found 0"), ([1.0], "at least 2 rows.*found 1"),
    ([0.0, 0.0, 5.0], "1 of 3 sample rows")])
def test_too_few_rows(saved, rows, message):
    with pytest.raises(CalibrationError, match=message):
        calibrated(saved(powers), rows_of(rows) if any(rows) else
                   [{"x": np.zeros(3)} for _ in rows])


@pytest.mark.parametrize("choices, message", [
    ({"error": 0.0}, "error must be a positive share"), ({"error": float("nan")}, "positive"),
    ({"attribution_error": -1.0}, "attribution_error must be"), ({"limit": 1}, "at least 2 rows"),
    ({"max_steps": 3}, "max_steps must be at least 4")])
def test_settings_out_of_range(choices, message):
    with pytest.raises(CalibrationError, match=message):
        Calibration([], **choices)


def test_rows_that_do_not_fit(saved):
    with pytest.raises(RecordError, match="record 1.*'x'"):
        calibrated(saved(powers), [{"x": [1.0, 2.0, 3.0]}, {"x": [1.0]}])


# Small parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("values, expected", [
    ([0.3], 0.3), (range(1, 21), 19), (range(1, 41), 38), (range(1, 11), 10),
    ([0.1, float("nan")], float("inf"))])
def test_the_percentile_is_that_of_a_row(values, expected):
    assert trials.percentile(list(values), 95) == expected


def test_attribution_error():
    assert trials.attribution_error(np.array([1.0, -2.0]), np.array([1.0, -1.0])) == 0.5
    assert trials.attribution_error(np.zeros(2), np.zeros(2)) == 0.0
    assert trials.attribution_error(np.ones(2), np.zeros(2)) == float("inf")


def test_the_costly_rungs_are_for_the_nearest_two():
    def trial(name, error):
        return trials.Trial(rule_of(name, 256), 256, trials.Errors((0.1,), (error,)))
    tried = [trial("gauss_legendre", 0.3), trial("graded_2", 0.1), trial("pilot", 0.2)]
    assert calibration._nearest(tried, ("gauss_legendre", "graded_2", "pilot")) == (
        "graded_2", "pilot")


def test_a_small_error_with_few_nodes_is_luck():
    """A rule whose larger number of nodes misses the error is not good with the smaller one."""
    task = Calibration([], 0.01)
    few, more = (trials.Trial(rule_of("gauss_legendre", n), n, trials.Errors((e,), (e,)))
                 for n, e in ((8, 0.005), (16, 0.02)))
    assert not task._lasting(few, [few, more])
    assert task._lasting(few, [few, dataclasses.replace(more, errors=few.errors)])


def test_trials_measure_the_error_as_the_signature_does(tmp_path):
    """In numpy and in the graph: a share of the difference, or of the least that counts as one."""
    builders.save_tf2(tmp_path / "m", lambda x: tf.reduce_sum(x ** 4, 1) + 100.0,
                      {"x": builders.spec([None, 2])}, {})
    plan = ig_tf.instrument(ig_tf.load(str(tmp_path / "m")), steps=1)
    ig_tf.save(plan, str(tmp_path / "out"))
    found = builders.open_v2(tmp_path / "out")(x=np.array([[0.5, 1.0], [2.0, 3.0], [0.1, 0.1]]))
    for end, begin, error, relative in zip(*(found[key] for key in (
            "prediction", "baseline_prediction", "completeness_error", "relative_error"))):
        assert relative_error(end, begin, error) == pytest.approx(relative, rel=1e-9)
    assert attach.RELATIVE_FLOOR == EQUAL_SHARE
