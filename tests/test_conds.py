"""Conditions of TensorFlow 1 with a constant predicate: the branch that is never taken is gone."""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import GraphError

v1 = tf.compat.v1


def saved(folder, default, fed=False):
    """y = dropout(3 x) if training else x^2, as tf.layers writes it; `training` is a placeholder
    with a default, and an input of the signature if `fed`."""
    with tf.Graph().as_default(), v1.Session() as session:
        was_on = v1.control_flow_v2_enabled()
        v1.disable_control_flow_v2()
        try:
            x = v1.placeholder(tf.float32, [None, 2], name="x")
            training = v1.placeholder_with_default(default, [], name="training")
            y = tf.reduce_sum(v1.cond(
                tf.logical_not(tf.logical_not(training)),
                lambda: 3 * x * tf.floor(0.5 + tf.random.uniform(tf.shape(x))),
                lambda: x ** 2), 1)
        finally:
            if was_on:
                v1.enable_control_flow_v2()
        assert {"Switch", "Merge"} <= {op.type for op in session.graph.get_operations()}
        inputs = {"x": x, "training": training} if fed else {"x": x}
        v1.saved_model.simple_save(session, str(folder), inputs, {"y": y})
    return folder


def test_the_default_decides(tmp_path):
    """training = False by default: x^2 from zero is x^2 per element, exactly, by rows."""
    model = saved(tmp_path / "m", False)
    plan = ig_tf.instrument(ig_tf.load(model))
    assert plan.recipe.reason is None
    ig_tf.save(plan, tmp_path / "out")
    x = np.array([[1.0, -2.0], [3.0, 0.5]], np.float32)
    found = tf.saved_model.load(str(tmp_path / "out")).signatures["attributions"](x=tf.constant(x))
    np.testing.assert_allclose(found["attributions/x"], x ** 2, rtol=1e-5)
    np.testing.assert_allclose(found["prediction"], (x ** 2).sum(1), rtol=1e-6)


@pytest.mark.parametrize("fed", [False, True])
def test_a_branch_with_random_numbers_is_refused(tmp_path, fed):
    """training = True, or sent by the caller: a random op stands on the path and is named."""
    model = saved(tmp_path / "m", True, fed)
    with pytest.raises(GraphError, match="RandomUniform"):
        ig_tf.instrument(ig_tf.load(model))


@pytest.mark.parametrize("loop", [False, True])
def test_a_branch_of_constants(tmp_path, loop):
    """cond(flag, x^2, constants): the copy takes the branch that the caller chose."""
    with tf.Graph().as_default(), v1.Session() as session:
        was_on = v1.control_flow_v2_enabled()
        v1.disable_control_flow_v2()
        try:
            x = v1.placeholder(tf.float32, [None, 2], name="x")
            flag = v1.placeholder(tf.bool, [], name="flag")

            def constants():
                ones = tf.ones([1, 2])
                return tf.while_loop(lambda y: tf.reduce_sum(y) < 5, lambda y: y * 2,
                                     [ones]) if loop else ones
            y = tf.reduce_sum(v1.cond(flag, lambda: x ** 2, constants) ** 2, 1)
        finally:
            if was_on:
                v1.enable_control_flow_v2()
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x, "flag": flag}, {"y": y})
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "m"), steps=8), tmp_path / "out")
    run = tf.saved_model.load(str(tmp_path / "out")).signatures["attributions"]
    x = np.array([[1.0, -2.0]], np.float32)
    for flag, expected, score in ((True, x ** 4, 17.0), (False, 0 * x, 32.0 if loop else 2.0)):
        for _ in range(10):  # which of two branches came first would be chance
            found = run(x=tf.constant(x), flag=tf.constant(flag))
            np.testing.assert_allclose(found["attributions/x"], expected, rtol=1e-5)
            np.testing.assert_allclose(found["baseline_prediction"], [0.0 if flag else score])
            np.testing.assert_allclose(found["prediction"], [score], rtol=1e-6)
