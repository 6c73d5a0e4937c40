"""The verb `check`: what fails is said, with the number of nodes, the path, and what works."""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.run import checks


def saved(folder, function, width):
    """A TF2 SavedModel of function(x [batch, width]) -> {output: tensor}, instrumented."""
    module = tf.Module()
    module.serve = tf.function(function, autograph=False, input_signature=[
        tf.TensorSpec([None, width], tf.float32, "x")])
    tf.saved_model.save(module, str(folder / "model"), signatures=module.serve)
    return folder / "model"


def test_a_smooth_model_passes(tmp_path):
    """A cubic is exact with 50 nodes: every example converged, nothing tried."""
    model = saved(tmp_path, lambda x: {"y": tf.reduce_sum(x ** 3, 1)}, 2)
    ig_tf.save(ig_tf.instrument(ig_tf.load(model)), tmp_path / "out")
    found = ig_tf.check(tmp_path / "out", [{"x": [1.0, 2.0]}, {"x": [0.5, -3.0]}])
    assert found.passed and not found.trials
    assert [row.status for row in found.rows] == ["converged", "converged"]
    assert "PASS" in checks.text(found)


def test_a_saturated_probability_is_explained(tmp_path):
    """softmax([600 s, 0]) moves within a hundredth of the path: 2 nodes fail, the logit works."""
    def head(x):
        logits = 600 * tf.reduce_sum(x, 1, keepdims=True) * tf.constant([[1.0, 0.0]])
        return {"probabilities": tf.nn.softmax(logits, name="head")}

    model = saved(tmp_path, head, 2)
    plan = ig_tf.instrument(ig_tf.load(model), steps=2)
    ig_tf.save(plan, tmp_path / "out")
    found = ig_tf.check(tmp_path / "out", [{"x": [1.0, 1.0]}], max_steps=1024)
    row, = found.rows
    assert not found.passed and row.status == "capped"
    # softmax(1200 a) rises over a ~ 1/1200: Gauss-Legendre sees it once its first node is there
    assert row.steps_needed is not None and 16 <= row.steps_needed <= 512
    np.testing.assert_allclose(
        row.path, 1 / (1 + np.exp(-1200 * np.array(checks.ALPHAS))), rtol=1e-4)
    assert found.entropy == pytest.approx(1.0)
    works = [trial.flags for trial in found.trials if trial.works(found.tolerance)]
    assert any(flags.startswith("--target=") for flags in works)
    target = next(f for f in works if f.startswith("--target=")).removeprefix("--target=")
    better = ig_tf.instrument(ig_tf.load(model), target=target, steps=2)
    ig_tf.save(better, tmp_path / "better")
    assert ig_tf.check(tmp_path / "better", [{"x": [1.0, 1.0]}]).passed


def test_no_number_of_nodes_helps_a_jump(tmp_path):
    """A step function of the input: nothing up to the limit helps, and that is said."""
    def jump(x):
        s = tf.reduce_sum(x, 1)
        return {"y": tf.cast(s > 0.37, tf.float32) * 10 + 1e-3 * s}

    model = saved(tmp_path, jump, 2)
    ig_tf.save(ig_tf.instrument(ig_tf.load(model)), tmp_path / "out")
    found = ig_tf.check(tmp_path / "out", [{"x": [1.0, 1.0]}], max_steps=200)
    assert found.rows[0].steps_needed is None and found.rows[0].steps_tried == 200
    assert any("More nodes alone do not help" in sentence for sentence in found.advice)
    assert not any(trial.works(found.tolerance) for trial in found.trials)


def test_a_confident_baseline_is_named(tmp_path):
    """A model that calls the zero input something with 99.9 % is said to be decided there."""
    def head(x):
        s = tf.reduce_sum(x, 1, keepdims=True)
        return {"probabilities": tf.nn.softmax(tf.concat([7 - s, s], 1))}

    model = saved(tmp_path, head, 2)
    ig_tf.save(ig_tf.instrument(ig_tf.load(model)), tmp_path / "out")
    found = ig_tf.check(tmp_path / "out", [{"x": [3.0, 3.0]}])
    p = 1 / (1 + np.exp(7))
    assert found.entropy == pytest.approx(-(p * np.log(p) + (1 - p) * np.log(1 - p)) / np.log(2),
                                          rel=1e-3)
    verdict, = [one for one in found.verdicts if one.name == "baseline_entropy"]
    assert verdict.verdict == "warn" and verdict.value == pytest.approx(found.entropy)
    assert "not undecided" in verdict.advice and "third class" in verdict.advice


@pytest.mark.parametrize("scores, expected", [
    ([0.5, 0.5], 1.0), ([1.0, 0.0], 0.0), ([0.25] * 4, 1.0), ([0.5], 1.0), ([3.0, 4.0], None),
    ([-0.1, 1.1], None)])
def test_entropy(scores, expected):
    """A share of the maximum; None for what is no distribution."""
    found = checks.normalized_entropy(scores)
    assert found == expected or found == pytest.approx(expected)


def test_where_it_moves():
    """The stretch of the path with most of the change, in alphas."""
    path = np.zeros(len(checks.ALPHAS))
    path[8:] = 1.0
    assert checks.where_it_moves(path)[:2] == (checks.ALPHAS[7], checks.ALPHAS[8])
    assert checks.where_it_moves(np.ones(len(checks.ALPHAS))) is None


def test_once_is_luck():
    """A trial works only if it still does with twice the nodes."""
    assert not checks.Trial("--rule=x", (0.01,), (0.4,)).works(0.05)
    assert not checks.Trial("--rule=x", (0.01,)).works(0.05)
    assert checks.Trial("--rule=x", (0.01,), (0.02,)).works(0.05)
