"""The derivative of the copy is that of the function, whatever the model said about gradients.

Expected values are closed forms: where F is a sum of functions of one coordinate each, coordinate
i gets f_i(x_i) - f_i(b_i). Where there is none, central differences of the function itself stand
for its gradient.
"""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf import errors
from tests import builders

X = np.array([[1.5, -2.0, 0.5], [-0.25, 3.0, -4.0]])
WEIGHTS = np.array([1.0, -0.5, 2.0])
EPS = np.finfo(np.float64).eps
# 50 nodes, some tens of operations, magnitudes below 100.
ROUNDING = 200 * EPS * 100


def build(folder, function, kind="tf2", dtype=tf.float64, width=3, **choices):
    return builders.build(folder, function, {"x": builders.spec([None, width], dtype)}, kind=kind,
                          **choices)


def changed(explained):
    return " | ".join(explained.plan.described()["changed_in_the_copy"])


def differences(function, inputs, steps=50, h=1e-5):
    """IG from zeros by central differences of F along the path, on the same nodes.

    Its error per gradient is h^2 / 6 of the third derivative and eps / h of F: below 1e-9 here.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros_like(inputs)
    for alpha, weight in zip((nodes + 1) / 2, weights / 2):
        for column in range(inputs.shape[1]):
            step = np.zeros(inputs.shape[1])
            step[column] = h
            ends = [function(tf.constant(alpha * inputs + sign * step)).numpy()
                    for sign in (1, -1)]
            total[:, column] += weight * (ends[0] - ends[1]) / (2 * h)
    return total * inputs


# Custom gradients --------------------------------------------------------------------------------


def silu(x):
    return tf.reduce_sum(tf.nn.silu(x) * WEIGHTS, 1)


def silu_ig(x):
    return WEIGHTS * x / (1 + np.exp(-x))


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_silu(kind, tmp_path):
    """Its poles lie pi / 4 away from the path, so 50 nodes leave rounding."""
    explained = build(tmp_path, silu, kind)
    found = explained.run(x=X)
    np.testing.assert_allclose(found["attributions/x"], silu_ig(X), rtol=0, atol=ROUNDING)
    assert np.all(found["completeness_error"] <= ROUNDING)
    assert "custom gradient" in changed(explained)


def swish_network(x):
    kernel = tf.constant(np.sin(np.arange(12.0)).reshape(3, 4))
    hidden = tf.nn.silu(tf.matmul(x, kernel))
    return tf.reduce_sum(tf.nn.silu(hidden * 1.5) ** 2, 1)


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_swish_network_by_finite_differences(kind, tmp_path):
    found = build(tmp_path, swish_network, kind).run(x=X)
    np.testing.assert_allclose(found["attributions/x"], differences(swish_network, X), rtol=0,
                               atol=1e-6)
    assert np.all(found["completeness_error"] <= 1e-6 * np.abs(found["prediction"]))


@tf.custom_gradient
def cube_with_a_wrong_gradient(x):
    return x ** 3, lambda upstream: 7.0 * upstream


@tf.custom_gradient
def cube_without_a_gradient(x):
    def grad(_):
        raise NotImplementedError("nobody may differentiate this")
    return x ** 3, grad


@tf.custom_gradient
def reversed_gradient(x):
    return tf.identity(x), lambda upstream: -upstream


def wrong(x):
    return tf.reduce_sum(cube_with_a_wrong_gradient(x), 1)


def forbidden(x):
    return tf.reduce_sum(cube_without_a_gradient(x), 1)


def reversal(x):
    return tf.reduce_sum(reversed_gradient(x) ** 3, 1)


def inner_function(x):
    return tf.function(wrong)(x)


def in_a_loop(x):
    """x multiplied by itself three times, the wrong gradient inside the loop's body."""
    def turn(index, value):
        return index + 1, reversed_gradient(value) * tf.stop_gradient(x)

    return tf.reduce_sum(tf.while_loop(lambda index, _: index < 2, turn, (tf.constant(0), x))[1],
                         1)


def in_a_branch(x):
    return tf.reduce_sum(tf.cond(tf.shape(x)[1] > 2, lambda: cube_with_a_wrong_gradient(x),
                                 lambda: x), 1)


def in_a_map(x):
    return tf.map_fn(lambda row: tf.reduce_sum(cube_with_a_wrong_gradient(row)), x)


CUBES = [wrong, reversal, inner_function, in_a_loop, in_a_branch, in_a_map]


@pytest.mark.parametrize("function, kind", [
    *((function, "tf2") for function in CUBES), (wrong, "tf1"), (reversal, "tf1"),
    (forbidden, "tf1"), (in_a_loop, "tf1"), (in_a_branch, "tf1")],
    ids=lambda value: getattr(value, "__name__", value))
def test_cubes_that_lie_about_their_gradient(function, kind, tmp_path):
    """All compute the sum of x^3: coordinate i gets x_i^3, by two nodes already."""
    explained = build(tmp_path, function, kind, steps=2)
    found = explained.run(x=X)
    np.testing.assert_allclose(found["attributions/x"], X ** 3, rtol=0, atol=ROUNDING)
    assert np.all(found["completeness_error"] <= ROUNDING)
    assert "custom gradient" in changed(explained)


@pytest.mark.parametrize("function", [forbidden, in_a_loop, silu],
                         ids=lambda function: function.__name__)
def test_custom_gradients_that_were_not_saved(function, tmp_path):
    """The op names a gradient that exists nowhere any more."""
    builders.save_tf2(tmp_path / "model", function, {"x": builders.spec([None, 3])},
                      gradients=False)
    found = builders.explain(tmp_path / "model", tmp_path / "out").run(x=X)
    expected = silu_ig(X) if function is silu else X ** 3
    np.testing.assert_allclose(found["attributions/x"], expected, rtol=0, atol=ROUNDING)


# Gradients that are stopped ----------------------------------------------------------------------


def stopped(x):
    return tf.reduce_sum(x * tf.stop_gradient(x), 1)


def prevented(x):
    return tf.reduce_sum(x * tf.raw_ops.PreventGradient(input=x, message="no"), 1)


def stopped_in_a_loop(x):
    return tf.while_loop(
        lambda index, _: index < 1,
        lambda index, value: (index + 1, value + tf.reduce_sum(x * tf.stop_gradient(x), 1)),
        (tf.constant(0), tf.zeros_like(x[:, 0])))[1]


def stopped_in_a_branch(x):
    return tf.cond(tf.shape(x)[1] > 2, lambda: stopped(x), lambda: x[:, 0])


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("function, op", [
    (stopped, "StopGradient"), (prevented, "PreventGradient"),
    (stopped_in_a_loop, "StopGradient"), (stopped_in_a_branch, "StopGradient")],
    ids=lambda value: getattr(value, "__name__", value))
def test_stopped_gradients_go_on(function, op, kind, tmp_path):
    """x * stop(x) is x^2; with the gradient stopped its attribution would be half of that."""
    explained = build(tmp_path, function, kind, steps=1)
    found = explained.run(x=X)
    np.testing.assert_allclose(found["attributions/x"], X ** 2, rtol=0, atol=ROUNDING)
    assert np.all(found["completeness_error"] <= ROUNDING)
    assert f"{op} " in changed(explained) and "became Identity" in changed(explained)


def only_stopped(x):
    return tf.reduce_sum(tf.stop_gradient(x) ** 2, 1)


def test_a_point_that_only_a_stopped_gradient_reaches(tmp_path):
    found = build(tmp_path, only_stopped, steps=1).run(x=X)
    np.testing.assert_allclose(found["attributions/x"], X ** 2, rtol=0, atol=ROUNDING)


def straight_through(x):
    return tf.reduce_sum(x + tf.stop_gradient(tf.round(x) - x), 1)


def test_straight_through_is_a_step_function(tmp_path):
    """x + stop(round(x) - x) is round(x): x gets exactly what it gives and takes, and what was
    rounded, where the derivative ends, gets the rest."""
    x = X * 1.1
    found = build(tmp_path, straight_through, steps=4).run(x=x)
    np.testing.assert_allclose(found["attributions/x"], 0, atol=ROUNDING)
    np.testing.assert_allclose(found["attributions/x_2"], np.round(x), atol=ROUNDING)
    np.testing.assert_allclose(found["features/x"], np.round(x).sum(1), atol=ROUNDING)
    np.testing.assert_allclose(found["prediction"], np.round(x).sum(1), atol=ROUNDING)


def log_sum_exp(x):
    """TensorFlow writes a StopGradient around the largest; the derivative is the softmax."""
    return tf.reduce_logsumexp(x * WEIGHTS, 1)


def layer_norm(x):
    """tf.nn.moments has a StopGradient around the mean."""
    mean, variance = tf.nn.moments(x, [1], keepdims=True)
    hidden = (x - mean) * tf.math.rsqrt(variance + 0.5)
    return tf.reduce_sum(hidden ** 2 * WEIGHTS, 1)


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("function", [log_sum_exp, layer_norm])
def test_stopped_on_purpose_and_rightly(function, kind, tmp_path):
    found = build(tmp_path, function, kind, steps=30).run(x=X)
    np.testing.assert_allclose(found["attributions/x"], differences(function, X, 30), rtol=0,
                               atol=1e-7)


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("function", [silu, in_a_loop, in_a_branch],
                         ids=lambda function: function.__name__)
def test_what_was_changed_is_said_alike_each_time(function, kind, tmp_path):
    """The plan speaks of the model's own nodes, whatever else this process has imported."""
    builders.SAVERS[kind](tmp_path / "model", function, {"x": builders.spec([None, 3])})
    plans = [ig_tf.instrument(ig_tf.load(str(tmp_path / "model"))).described() for _ in range(2)]
    assert plans[0]["changed_in_the_copy"]
    assert plans[0] == plans[1]


def test_nothing_is_said_where_nothing_was_changed(tmp_path):
    def plain(x):
        return tf.reduce_sum(tf.tanh(x), 1)

    assert build(tmp_path, plain).plan.described()["changed_in_the_copy"] == []


def test_what_was_changed_off_the_path_is_not_said(tmp_path):
    def two(x):
        return {"plain": tf.reduce_sum(tf.tanh(x), 1), "other": stopped(x)}

    explained = build(tmp_path, two, target="plain")
    assert explained.plan.described()["changed_in_the_copy"] == []


# Half precision ----------------------------------------------------------------------------------

# Exact in 8 bits, so that the half and the single model have the same weights and inputs.
HALF_X = np.array([[1.0, -2.0, 0.5], [-0.25, 1.5, -1.0]])
HALF_KERNEL = np.array([[0.5, -0.25, 1.0, 0.125], [0.25, 0.75, -0.5, 0.5],
                        [-1.0, 0.5, 0.25, -0.375]])
HALF_TYPES = {"float16": tf.float16, "bfloat16": tf.bfloat16}


def half_network(x):
    hidden = tf.tanh(tf.matmul(x, tf.constant(HALF_KERNEL, x.dtype)))
    return tf.reduce_sum(hidden * tf.constant([1.0, -0.5, 2.0, 0.25], x.dtype), 1)


def inside_half(dtype):
    def function(x):
        return tf.cast(half_network(tf.cast(x, dtype)), tf.float32)
    return function


def half_bound(dtype):
    """Each node's gradient: some 12 roundings of numbers whose absolute sum is at most
    |x| * sum |W| |v|. The nodes themselves are rounded to half too, which moves the gradient by
    eps |z| times tanh''(z) < 1: the same size."""
    unit = {tf.float16: 2.0 ** -11, tf.bfloat16: 2.0 ** -8}[dtype]
    sizes = np.abs(HALF_KERNEL) @ np.abs([1.0, -0.5, 2.0, 0.25])
    return 24 * unit * np.abs(HALF_X) * sizes


@pytest.mark.parametrize("half", HALF_TYPES)
@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("inside", [False, True], ids=["model", "inside"])
def test_half_precision(inside, kind, half, tmp_path):
    half = HALF_TYPES[half]
    single = build(tmp_path / "single", half_network, kind, tf.float32).run(x=HALF_X)
    if inside:
        explained = build(tmp_path, inside_half(half), kind, tf.float32)
        found = explained.run(x=HALF_X)
    else:
        explained = build(tmp_path, half_network, kind, half)
        found = explained.run(x=tf.constant(HALF_X, half))
    scores = found["attributions/x"]
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert np.all(np.abs(scores - single["attributions/x"]) <= half_bound(half))
    for key in ("prediction", "baseline_prediction", "completeness_error", "relative_error"):
        assert found[key].dtype == np.float32 and np.isfinite(found[key]).all(), key
    assert np.all(found["completeness_error"] <= 2 * half_bound(half).sum(1))


@pytest.mark.parametrize("half", HALF_TYPES)
def test_sums_are_not_kept_in_half(half, tmp_path):
    """One gradient, 1000 nodes: in half a sum of 1000 equal terms of 1/1000 stops growing (adding
    1/1000 to 1/2 is lost in bfloat16) or is off by 1e-2; in float32 it is off by 1000 eps."""
    half = HALF_TYPES[half]

    def linear(x):
        return tf.reduce_sum(x, 1)

    found = build(tmp_path, linear, dtype=half, steps=1000, rule="midpoint", rows_per_chunk=1).run(
        x=tf.constant(HALF_X, half))
    np.testing.assert_allclose(found["attributions/x"], HALF_X, rtol=1000 * 2.0 ** -23)


@pytest.mark.parametrize("half", HALF_TYPES)
def test_half_precision_alone(half, tmp_path):
    """The same where each example runs by itself."""
    half = HALF_TYPES[half]

    def coupled(x):
        return half_network(x - tf.reduce_mean(x, 0, keepdims=True)) + half_network(x)

    explained = build(tmp_path, coupled, dtype=half)
    assert "one example at a time" in explained.plan.described()["chunking"]["mode"]
    for row in range(2):  # alone, x is its own mean: F is half_network(0) + half_network(x)
        found = explained.run(x=tf.constant(HALF_X[row:row + 1], half))
        single = build(tmp_path / f"single_{row}", half_network, dtype=tf.float32).run(
            x=HALF_X[row:row + 1])
        assert found["attributions/x"].dtype == np.float32
        assert np.all(np.abs(found["attributions/x"] - single["attributions/x"])
                      <= 2 * half_bound(half)[row])


# What has no derivative --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("sent", [tf.int64, tf.int32, tf.uint8], ids=lambda sent: sent.name)
def test_integers_that_are_numbers(sent, kind, tmp_path):
    """Cast to float and used as quantities: attributed as what they become."""
    def function(n, x):
        number = tf.cast(n, tf.float64)
        return tf.reduce_sum(number ** 2, 1) + tf.reduce_sum(x * number, 1)

    explained = builders.build(
        tmp_path, function, {"n": builders.spec([None, 2], sent),
                             "x": builders.spec([None, 2])}, kind=kind, steps=2)
    n, x = np.array([[3, 1], [0, 5]]), np.array([[0.5, 2.0], [1.0, -1.0]])
    found = explained.run(n=n.astype(sent.as_numpy_dtype), x=x)
    np.testing.assert_allclose(found["attributions/n"], n ** 2 + x * n / 2, atol=ROUNDING)
    np.testing.assert_allclose(found["attributions/x"], x * n / 2, atol=ROUNDING)
    assert np.all(found["completeness_error"] <= ROUNDING)


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_masks_and_lengths_are_held(kind, tmp_path):
    def function(x, mask, length, keep):
        kept = tf.cast(mask, x.dtype) * tf.sequence_mask(length, 3, x.dtype)
        return tf.reduce_sum(x ** 2 * kept, 1) * keep

    explained = builders.build(
        tmp_path, function,
        {"x": builders.spec([None, 3]), "mask": builders.spec([None, 3], tf.bool),
         "length": builders.spec([None], tf.int32), "keep": builders.spec([])}, kind=kind, steps=1)
    described = explained.plan.described()
    assert [point["name"] for point in described["points"]] == ["x"]
    held = " ".join(described["held_constant"])
    for name in ("mask", "length", "keep"):
        assert name in held, held
    mask = np.array([[True, False, True], [True, True, True]])
    found = explained.run(x=X, mask=mask, length=np.array([3, 2], np.int32), keep=0.5)
    kept = np.array([[1, 0, 1], [1, 1, 0]])
    np.testing.assert_allclose(found["attributions/x"], X ** 2 * kept * 0.5, atol=ROUNDING)
    # The baseline keeps its mask, length and keep_prob: the sums are complete.
    assert np.all(found["completeness_error"] <= ROUNDING)


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("step", [tf.floor, tf.round, tf.math.ceil, tf.sign],
                         ids=["floor", "round", "ceil", "sign"])
def test_steps_stop_the_walk(step, kind, tmp_path):
    """F = sum of x * step(y)^2: attributed to x, and to the stepped value instead of y."""
    def function(x, y):
        return tf.reduce_sum(x * step(y) ** 2, 1)

    shape = {"x": builders.spec([None, 3]), "y": builders.spec([None, 3])}
    explained = builders.build(tmp_path, function, shape, kind=kind, steps=2)
    y = np.array([[1.4, -2.6, 0.3], [2.5, 3.2, -1.0]])
    found = explained.run(x=X, y=y)
    stepped = X * step(tf.constant(y)).numpy() ** 2
    # x alpha * (s alpha)^2: x gets a third of x s^2, s gets two thirds.
    np.testing.assert_allclose(found["attributions/x"], stepped / 3, atol=ROUNDING)
    np.testing.assert_allclose(found["attributions/y"], stepped * 2 / 3, atol=ROUNDING)
    assert np.all(found["completeness_error"] <= ROUNDING)


def test_a_stepped_input_named_by_hand_is_refused(tmp_path):
    """The op that cuts the derivative is named."""
    def function(x, y):
        return tf.reduce_sum(x * tf.floor(y), 1)

    shape = {"x": builders.spec([None, 3]), "y": builders.spec([None, 3])}
    path = builders.save_tf1(tmp_path / "model", function, shape)
    with pytest.raises(errors.PointError, match="Floor"):
        builders.explain(path, tmp_path / "out", points=["y:0"])
