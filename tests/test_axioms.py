"""The axioms of integrated gradients (Sundararajan, Taly, Yan 2017), as properties of the artifact.

One SavedModel per architecture: weights and baseline-like shifts are inputs that are held
constant, so hypothesis changes all the numbers of a function without a new instrumentation, and
every batch asks for several functions at once.

Tolerances: everything is float64. What the quadrature leaves is said at each test (nothing, where
the integrand is a polynomial of degree 2 steps - 1, or analytic far enough around the path); the
rest is rounding, at most (steps + 64) * eps times the sum of absolute terms, which each test
bounds from above by the same function with absolute values.
"""

import hypothesis
import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from tests import builders

BATCH = 4
EPS = np.finfo(np.float64).eps
quick = hypothesis.settings(max_examples=15, deadline=None, derandomize=True, database=None)


def numbers(*shape, size=2.0):
    """Arrays [BATCH, *shape] within +-size; no tiny ones, whose products would be denormal."""
    element = st.floats(-size, size, allow_subnormal=False, width=32).filter(
        lambda value: value == 0 or abs(value) > 1e-3)
    return arrays.arrays(np.float64, (BATCH, *shape), elements=element)


@pytest.fixture(name="build", scope="module")
def fixture_build(tmp_path_factory):
    """Builds, or finds, the instrumented model of a function and some choices."""
    kept = {}

    def build(function, shapes, kind="tf2", **choices):
        key = (function, kind, repr(choices))
        if key not in kept:
            specs = {name: builders.spec([None, *shape]) for name, shape in shapes.items()}
            kept[key] = builders.build(tmp_path_factory.mktemp("axiom"), function, specs,
                                       kind=kind, points=["x"], **choices)
        return kept[key]

    return build


def rounding(scale, steps=50):
    return (steps + 64) * EPS * scale


# Completeness ------------------------------------------------------------------------------------


def polynomial(x, u, c):
    """c0 z + c1 z^2 + c2 z^3 + c3 z^4 with z = u.x + u0."""
    z = tf.reduce_sum(u[:, 1:] * x, 1) + u[:, 0]
    return sum(c[:, power] * z ** (power + 1) for power in range(4))


POLYNOMIAL = {"x": [3], "u": [4], "c": [4]}


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("steps", [2, 3, 5])
def test_completeness_is_exact_for_polynomials(build, steps, kind):
    """The gradient along the path has degree 3: two Gauss-Legendre nodes integrate it exactly."""
    model = build(polynomial, POLYNOMIAL, kind, steps=steps, baseline=0.5)

    @quick
    @hypothesis.given(numbers(3), numbers(4), numbers(4))
    def check(x, u, c):
        found = model.run(x=x, u=u, c=c)
        start = np.full_like(x, 0.5)
        difference = _polynomial(x, u, c) - _polynomial(start, u, c)
        reach = (np.abs(u[:, 1:]) * (np.abs(x) + 1)).sum(1) + np.abs(u[:, 0])
        scale = sum(np.abs(c[:, power]) * (power + 1) * reach ** (power + 1)
                    for power in range(4))
        bound = rounding(scale, steps)
        assert np.all(np.abs(found["attributions/x"].sum(1) - difference) <= bound)
        assert np.all(np.abs(found["features/x"] - difference) <= bound)
        assert np.all(found["completeness_error"] <= bound)

    check()


def _polynomial(x, u, c):
    z = (u[:, 1:] * x).sum(1) + u[:, 0]
    return sum(c[:, power] * z ** (power + 1) for power in range(4))


def test_one_node_is_not_complete_and_says_so(build):
    """The negative twin: with one node in the middle, z^4 misses by 1 - 4 / 2^3 of itself."""
    model = build(polynomial, POLYNOMIAL, steps=1)
    x, u, c = np.zeros([BATCH, 3]), np.zeros([BATCH, 4]), np.zeros([BATCH, 4])
    x[:, 0] = u[:, 1] = c[:, 3] = 1
    found = model.run(x=x, u=u, c=c)
    np.testing.assert_allclose(found["attributions/x"], [[0.5, 0, 0]] * BATCH, rtol=1e-14)
    np.testing.assert_allclose(found["completeness_error"], 0.5, rtol=1e-14)
    np.testing.assert_allclose(found["relative_error"], 0.5, rtol=1e-14)


def network(x, w, v):
    """v . tanh(W (x, 1))."""
    hidden = tf.tanh(tf.linalg.matvec(w[:, :, 1:], x) + w[:, :, 0])
    return tf.reduce_sum(v * hidden, 1)


NETWORK = {"x": [3], "w": [4, 4], "v": [4]}


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_completeness_of_a_smooth_network(build, kind):
    """|x| <= 2 and |w| <= 1: what tanh is taken of moves by at most 6 along the path, so its poles
    lie at least pi / 12 from [0, 1], and Gauss-Legendre 50 misses less than 1.65^-100 of it."""
    model = build(network, NETWORK, kind)

    @quick
    @hypothesis.given(numbers(3), numbers(4, 4, size=1.0), numbers(4))
    def check(x, w, v):
        found = model.run(x=x, w=w, v=v)
        before = (w[:, :, 1:] @ x[:, :, None])[:, :, 0] + w[:, :, 0]
        difference = (v * (np.tanh(before) - np.tanh(w[:, :, 0]))).sum(1)
        scale = (np.abs(v) * ((np.abs(w[:, :, 1:]) @ np.abs(x)[:, :, None])[:, :, 0] + 1)).sum(1)
        assert np.all(np.abs(found["attributions/x"].sum(1) - difference) <= rounding(scale))
        assert np.all(found["completeness_error"] <= rounding(scale))

    check()


# Sensitivity and insensitivity -------------------------------------------------------------------


def test_sensitivity(build):
    """x and the baseline differ in one feature: it gets all of F(x) - F(b), the others exactly
    nothing."""
    model = build(network, NETWORK)

    @quick
    @hypothesis.given(numbers(3), numbers(4, 4, size=1.0), numbers(4), st.integers(0, 2))
    def check(x, w, v, feature):
        alone = np.zeros_like(x)
        alone[:, feature] = x[:, feature]
        found = model.run(x=alone, w=w, v=v)
        difference = found["prediction"] - found["baseline_prediction"]
        scale = (np.abs(v) * (np.abs(w[:, :, feature + 1]) * np.abs(x[:, [feature]]) + 1)).sum(1)
        got = found["attributions/x"]
        assert np.all(np.abs(got[:, feature] - difference) <= rounding(scale))
        assert np.all(np.delete(got, feature, 1) == 0)
        assert np.all(got[:, feature][np.abs(difference) > rounding(scale)] != 0)

    check()


def partly_used(x, w):
    """x[:, 2] is never read; x[:, 1] is multiplied by weights that may all be 0."""
    return tf.reduce_sum(tf.tanh(w[:, :2] * x[:, :2]) * tf.exp(w[:, :1] * x[:, :1]), 1)


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_dummies_get_exactly_zero(build, kind):
    model = build(partly_used, {"x": [3], "w": [2]}, kind, steps=9)

    @quick
    @hypothesis.given(numbers(3), numbers(2, size=1.0))
    def check(x, w):
        got = model.run(x=x, w=w)["attributions/x"]
        assert np.all(got[:, 2] == 0)
        muted = w * [1.0, 0.0]
        got = model.run(x=x, w=muted)["attributions/x"]
        assert np.all(got[:, 1:] == 0)
        moving = (w[:, 0] != 0) & (x[:, 0] != 0)
        assert np.all(got[moving, 0] != 0)  # tanh(z) exp(z) has F(x) != F(0) for z != 0

    check()


# Implementation invariance -----------------------------------------------------------------------


def softplus(x, w):
    return tf.math.softplus(tf.reduce_sum(w * x, 1))


def logarithm(x, w):
    """The same function: log(1 + exp(z)) by a softmax over (0, z)."""
    z = tf.linalg.matmul(w[:, None, :], x[:, :, None])[:, 0, 0]
    return -tf.math.log(tf.nn.softmax(tf.stack([tf.zeros_like(z), z], 1))[:, 0])


def rectified(x, w):
    z = w * x
    return tf.nn.relu(tf.nn.relu(z[:, 0]) - 1.0 - tf.nn.relu(z[:, 1]))


def rectified_twin(x, w):
    """The same function, by maxima and absolute values."""
    first, second = x[:, 0] * w[:, 0], x[:, 1] * w[:, 1]
    inner = tf.maximum(first - 1.0, 0.0) - (second + tf.abs(second)) / 2.0
    return -tf.minimum(-inner, 0.0)


@pytest.mark.parametrize("first, second", [(softplus, logarithm), (rectified, rectified_twin)])
def test_implementation_invariance(build, first, second):
    """Equal functions have equal gradients (but on kinks, where no node of 7 lands: they are
    irrational or 1/2), so even the few nodes' sums are equal, far from converged."""
    shapes = {"x": [2], "w": [2]}
    models = [build(first, shapes, "tf1", steps=7), build(second, shapes, "tf2", steps=7)]

    @quick
    @hypothesis.given(numbers(2, size=3.0), numbers(2, size=1.0))
    def check(x, w):
        hypothesis.assume(not _on_a_kink(w * x))
        found = [model.run(x=x, w=w) for model in models]
        scale = np.abs(w * x).sum(1, keepdims=True) + 1
        assert np.all(np.abs(found[0]["attributions/x"] - found[1]["attributions/x"])
                      <= 64 * EPS * scale * np.exp(6))  # exp(z), z <= 6, grows what z rounds
        assert np.all(np.abs(found[0]["prediction"] - found[1]["prediction"])
                      <= 64 * EPS * scale * np.exp(6))

    check()


def _on_a_kink(z):
    """Whether a node comes within rounding of a kink of `rectified`."""
    nodes = (np.polynomial.legendre.leggauss(7)[0][:, None] + 1) / 2
    first, second = nodes * z[:, 0], nodes * z[:, 1]
    near = [first - 1, np.maximum(first - 1, 0) - np.maximum(second, 0)]
    return any(np.any((np.abs(part) < 1e-9) & (first > 0.5)) for part in near)


# Linearity and symmetry --------------------------------------------------------------------------


def combination(x, w, v, a, b):
    first = tf.sin(tf.reduce_sum(w * x, 1)) * x[:, 0]
    second = tf.reduce_sum(tf.exp(v * x), 1)
    return {"first": first, "second": second, "both": a * first + b * second}


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_linearity(build, kind):
    """IG(a F + b G) = a IG(F) + b IG(G): the quadrature is linear too, so at any node count."""
    shapes = {"x": [3], "w": [3], "v": [3], "a": [], "b": []}
    models = [build(combination, shapes, kind, steps=5, target=target)
              for target in ("first", "second", "both")]

    @quick
    @hypothesis.given(numbers(3), numbers(3, size=1.0), numbers(3, size=1.0), numbers(), numbers())
    def check(x, w, v, a, b):
        first, second, both = (
            model.run(x=x, w=w, v=v, a=a, b=b)["attributions/x"] for model in models)
        expected = a[:, None] * first + b[:, None] * second
        # |x| times the largest gradient: 1 + |w||x| for the sine's, |v| exp(|v x|) for the other.
        scale = np.abs(x).max() * (2 * (1 + 3 * 2) + 2 * np.exp(2))
        assert np.all(np.abs(both - expected) <= rounding(scale, 5))

    check()


def symmetric(x, w):
    """Unchanged when x[:, 0] and x[:, 1] change places, though the graph is not."""
    left, right, other = x[:, 0], x[:, 1], x[:, 2]
    z = w[:, 0] * (left + right) + w[:, 1] * left * right + other
    return left * (tf.sin(z) * right) + (tf.exp(left) + tf.exp(right)) * w[:, 1] * other


@pytest.mark.parametrize("baseline", ["zeros", {"x": [0.25, 0.25, -1.0]}], ids=["zeros", "other"])
def test_symmetry_is_kept(build, baseline):
    """Variables that F treats alike, with equal values and equal baselines, get the same."""
    model = build(symmetric, {"x": [3], "w": [2]}, steps=6, baseline=baseline)

    @quick
    @hypothesis.given(numbers(3), numbers(2, size=1.0))
    def check(x, w):
        x[:, 1] = x[:, 0]
        got = model.run(x=x, w=w)["attributions/x"]
        # |x - b| <= 3, each of the gradient's terms at most |x|^2 (1 + 2 |x|) + exp(2) |x|.
        assert np.all(np.abs(got[:, 0] - got[:, 1]) <= rounding(3 * (4 * 5 + np.exp(2) * 2), 6))

    check()


def test_affine_functions_get_their_weights(build):
    """Linear agreement: w (x - b), at one node already."""
    def affine(x, w):
        return tf.reduce_sum(w[:, 1:] * x, 1) + w[:, 0]

    model = build(affine, {"x": [3], "w": [4]}, steps=1, baseline={"x": [1.0, -2.0, 0.5]})

    @quick
    @hypothesis.given(numbers(3), numbers(4))
    def check(x, w):
        got = model.run(x=x, w=w)["attributions/x"]
        np.testing.assert_allclose(got, w[:, 1:] * (x - [1.0, -2.0, 0.5]), rtol=4 * EPS)

    check()
