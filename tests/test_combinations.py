"""Features together: what a request chooses, pilots, frontiers, batch layouts, XLA, calibration."""

import errno
import os

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
from builders import spec
from ig_tf.calibration import Calibration
from ig_tf.errors import CalibrationError, SignatureError
from ig_tf.ig.runtime import RuntimeProfile

CUSTOM = "attributions_custom"
ALL = ("target", "baseline", "refinement")
GENERATOR = np.random.default_rng(3)
WEIGHTS = GENERATOR.normal(size=(24, 3)) / 4
X = GENERATOR.normal(size=(4, 24))
START = GENERATOR.normal(size=(4, 24))
TARGETS, RUNGS = np.array([0, 2, 1, 2]), np.array([0, 1, 2, 0])


def fourth(x, w):
    """Gradients of degree 3 along the path: a pilot and two Gauss-Legendre nodes are exact."""
    return tf.matmul(x, w) ** 4


def coupled(x, w):
    """The same, but each runs alone; the frontier has a tensor without any axis."""
    return fourth(x, w) + 0 * tf.reduce_sum(x)


def merged(ids, table, w):
    """Two rows of the point to each example."""
    rows = fourth(tf.gather(table, tf.reshape(ids, [-1])), w)
    return tf.reduce_sum(tf.reshape(rows, [-1, 2, 3]), 1)


def looped(x, w):
    """A loop whose turns are known."""
    return tf.while_loop(lambda h, i: i < 3, lambda h, i: (tf.tanh(h @ w), i + 1),
                         (x, tf.constant(0)), maximum_iterations=3)[0]


def exact(x, start, targets):
    """(x - x') w (h^4 - h'^4) / (h - h') with h = w.x of each row's class."""
    w = WEIGHTS.T[targets]
    h, before = (x * w).sum(-1), (start * w).sum(-1)
    return (x - start) * w * ((h ** 4 - before ** 4) / (h - before))[..., None]


def instrumented(folder, function, inputs, variables, **choices):
    """(plan, folder of the artifact)"""
    builders.save_tf2(folder / "model", function, inputs, variables)
    plan = ig_tf.instrument(ig_tf.load(str(folder / "model")), **choices)
    ig_tf.save(plan, str(folder / "out"))
    return plan, folder / "out"


@pytest.mark.parametrize("rule", ["gauss_legendre", "pilot"])
@pytest.mark.parametrize("function, batch", [(fourth, None), (fourth, 4), (coupled, None)])
def test_a_request_chooses_at_the_frontier(tmp_path, function, batch, rule):
    """Baselines of each example, or one for all; each example's own class and rung."""
    plan, out = instrumented(tmp_path, function, {"x": spec([batch, 24])}, {"w": WEIGHTS},
                             custom=ALL, rule=rule, steps=4)
    assert plan.recipe.front.crossed
    assert (plan.recipe.prefix is not None) == (function is coupled)
    run = builders.open_v2(out, CUSTOM)
    for start in (START, START[:1]):
        found = run(**{"x": X, "target": TARGETS, "refinement": RUNGS, "baseline/x": start})
        np.testing.assert_allclose(found["attributions/x"], exact(X, start, TARGETS), rtol=1e-9,
                                   atol=1e-11)
        assert found["relative_error"].max() < 1e-9


@pytest.mark.parametrize("rule", ["gauss_legendre", "pilot"])
@pytest.mark.parametrize("function, batch", [(fourth, None), (fourth, 4), (coupled, None)])
def test_several_scores_of_several_baselines(tmp_path, function, batch, rule):
    """Each class's mean over the baselines, and its spread."""
    starts = [{"x": one} for one in START[:3]]
    _, out = instrumented(tmp_path, function, {"x": spec([batch, 24])}, {"w": WEIGHTS},
                          target="score:all", baseline=starts, rule=rule, steps=4)
    found = builders.open_v2(out)(x=X)
    for number in range(3):
        each = np.stack([exact(X, one["x"], np.full(4, number)) for one in starts])
        np.testing.assert_allclose(found["attributions/x"][:, number], each.mean(0), rtol=1e-9,
                                   atol=1e-11)
        np.testing.assert_allclose(found["spread/x"][:, number], each.std(0), rtol=1e-6,
                                   atol=1e-9)
        scores = np.stack([(one["x"] @ WEIGHTS[:, number]) ** 4 for one in starts])
        np.testing.assert_allclose(found["baseline_prediction"][:, number], scores.mean(),
                                   rtol=1e-12)
    assert found["relative_error"].max() < 1e-9


@pytest.mark.parametrize("rule", ["gauss_legendre", "pilot"])
def test_a_frontier_without_axes(tmp_path, rule):
    plan, out = instrumented(tmp_path, coupled, {"x": spec([None, 24])}, {"w": WEIGHTS}, steps=4,
                             rule=rule, target="score:1")
    assert () in [place.shape for place in plan.recipe.front.places]
    found = builders.open_v2(out)(x=X)
    np.testing.assert_allclose(found["attributions/x"], exact(X, 0 * X, np.ones(4, int)), rtol=1e-9,
                               atol=1e-11)


def test_a_request_chooses_for_merged_rows(tmp_path):
    """And without examples, where nobody knows how many rows each would have."""
    table = GENERATOR.normal(size=(5, 24))
    plan, out = instrumented(tmp_path, merged, {"ids": spec([None, 2], tf.int64)},
                             {"table": table, "w": WEIGHTS}, custom=ALL, rule="pilot", steps=4)
    (point,) = plan.recipe.points
    assert point.folded
    ids, start = np.array([[0, 1], [2, 3], [4, 4]]), GENERATOR.normal(size=(3, 2, 24))
    sent = {"ids": ids, "target": TARGETS[:3], "refinement": RUNGS[:3],
            f"baseline/{point.name}": start}
    run = builders.open_v2(out, CUSTOM)
    found = run(**sent)[f"attributions/{point.name}"]
    expected = exact(table[ids], start, TARGETS[:3, None]).sum(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    nothing = run(**{key: value[:0] for key, value in sent.items()})
    assert nothing["prediction"].shape == (0,)


# XLA: only traced here, nothing is compiled ----------------------------------------------------

DEMANDED = RuntimeProfile("demanded", xla=True, batch_buckets=(1, 4))


def test_a_loop_is_compiled_after_it_was_differentiated(tmp_path):
    """TensorFlow differentiates loops in another way for XLA, under the same functions' names."""
    square = GENERATOR.normal(size=(3, 3))
    builders.save_tf2(tmp_path / "model", looped, {"x": spec([None, 3])}, {"w": square})
    located = ig_tf.locate(ig_tf.load(str(tmp_path / "model")), "score:1")
    for place, runtime in enumerate(("cpu", DEMANDED, "cpu", DEMANDED)):
        found = ig_tf.save(ig_tf.instrument(located, runtime=runtime, steps=2, custom=["target"]),
                           str(tmp_path / str(place)))
        compiled = found["compiled"], found["custom"]["compiled"]
        assert [one.startswith("yes") for one in compiled] == [runtime is DEMANDED] * 2


def test_the_class_of_an_example_alone_is_no_size(tmp_path):
    """A profile that lists no lengths compiles it all the same."""
    plan, _ = instrumented(tmp_path, coupled, {"x": spec([None, 24])}, {"w": WEIGHTS}, steps=2,
                           runtime=DEMANDED, target="score:top")
    assert plan.recipe.prefix is not None


# What runs the model to decide -----------------------------------------------------------------


def test_calibration_is_for_one_row_per_example(tmp_path):
    def folded(x, w):
        return fourth(tf.reshape(x, [-1, 24]), w)[:, 0]

    builders.save_tf2(tmp_path / "model", folded, {"x": spec([None, 2, 24])}, {"w": WEIGHTS})
    with pytest.raises(CalibrationError, match="several rows per example"):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "model")), steps=Calibration([{"x": X[:2]}] * 2))


def test_choices_are_refused_before_rows_are_run(tmp_path):
    def rows():
        raise AssertionError("rows were read")
        yield

    builders.save_tf2(tmp_path / "model", fourth, {"x": spec([None, 24])}, {"w": WEIGHTS})
    with pytest.raises(SignatureError, match="no choice 'tragte'"):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "model")), steps=Calibration(rows()),
                         custom=["tragte"])


def test_a_check_of_a_pilot_with_an_odd_limit(tmp_path):
    """Its nodes come in pairs; the step is so steep that no number of nodes up to 9 will do."""
    def steep(x, w):
        return tf.sigmoid(4000 * (tf.matmul(x, w)[:, 0] ** 2 - 0.01))

    _, out = instrumented(tmp_path, steep, {"x": spec([None, 24])}, {"w": WEIGHTS}, steps=4,
                          rule="pilot")
    (row,) = ig_tf.check(str(out), [{"x": X[0]}], max_steps=9, tolerance=1e-9).rows
    assert row.status == "capped" and row.steps_tried == 8


@pytest.mark.parametrize("rule", ["gauss_legendre", "pilot"])
def test_a_check_on_another_disk_than_the_models(tmp_path, monkeypatch, rule):
    """Where trial artifacts cannot be hard links of the model's files, these are copied."""
    def refused(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    _, out = instrumented(tmp_path, fourth, {"x": spec([None, 24])}, {"w": WEIGHTS}, steps=4,
                          rule=rule, target="score:1")
    monkeypatch.setattr(os, "link", refused)
    assert ig_tf.check(str(out), [{"x": X[0]}, {"x": X[1]}]).passed


def test_calibration_leaves_room_for_refinement(tmp_path):
    """Sixteen times the nodes must still be a rule: more are not tried."""
    builders.save_tf2(tmp_path / "model", fourth, {"x": spec([None, 24])}, {"w": WEIGHTS})
    seen = []

    class Watched(Calibration):
        def choose(self, plan, rule=None):
            seen.append(self.max_steps)
            return plan

    for custom in ((), ("refinement",)):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "model")), target="score:1", custom=custom,
                         steps=Watched([{"x": one} for one in X]))
    assert seen == [1024, 256]
