"""Numeric cases that other attribution libraries test themselves with, and closed forms of our own.

Numbers in the names of the cases (1 to 29, E1 to E7) are those of one list, made from the tests of
captum, DeepExplain, PAIR saliency, xplique and LIT; each is described here by its mathematics.
Every case runs through a TensorFlow 1 and a TensorFlow 2 artifact, in float64 and float32.

Tolerances. Each case is arranged so that its quadrature is exact: the integrand is a polynomial or
analytic (Gauss-Legendre 50), or it is constant between kinks and a midpoint rule has the kinks at
borders of its cells. So only rounding is left. An attribution is (x - b) times a sum of `steps`
weighted gradients; the sum loses at most steps * eps, and the nodes, F's gradient and the products
less than 32 * eps (no function here is more than a dozen operations deep, and each has a condition
number near 1). The magnitude that eps multiplies is |x - b| * max(1, |gradient|), and here no
gradient changes its sign, or it stays below 1: so it is at most max(|x - b|, |IG|).
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from ig_tf.ig import quadrature
from tests import builders

DTYPES = {"float64": tf.float64, "float32": tf.float32}
ROUNDINGS = 32


def relu(z):
    return tf.nn.relu(z)


def cross(x):  # 1
    return relu(relu(x[:, 0]) - 1.0 - relu(x[:, 1]))


def cross_twin(x):  # 2: the same function, written another way
    return relu(relu(x[:, 0] - 1.0) - relu(x[:, 1]))


def one_relu(x):  # 7
    return 1.0 - relu(1.0 - x[:, 0])


ML3 = {"kernel": np.ones([3, 4]), "bias": np.array([-10.0, 1, 1, 1])}


def multi_layer(x, kernel, bias):  # 8 to 14, 19
    before = tf.matmul(x, kernel) + bias
    hidden = relu(before)
    total = tf.reduce_sum(hidden, 1, keepdims=True)
    return {"logits": tf.concat([total - 1.0, total + 1.0], 1), "before": before,
            "hidden": hidden, "last_two": hidden[:, 2] + hidden[:, 3],
            "first_two": tf.reduce_sum(hidden[:, :2], 1)}


def three_inputs(a, b, c, kernel, bias):  # 16, 17
    return relu(tf.matmul(0.5 * (a + b + c), kernel) + bias)


def parallel_layers(x, kernel, bias):  # 20
    hidden = relu(tf.matmul(x, kernel) + bias)
    u, v = tf.identity(hidden, name="u"), tf.identity(hidden, name="v")
    return tf.reduce_sum(u + v, 1) - 1.0


def smooth(x):  # 22, 23
    return 5.0 * x[:, 0] + x[:, 1] ** 2 + tf.sin(x[:, 2])


def two_inputs(a, c):  # 24
    return tf.reduce_sum(relu(3.0 * a), 1) + tf.reduce_sum(relu(2.0 * c), 1)


def two_widths(a, c):  # 25: c is one number per example, [batch]
    return tf.reduce_sum(relu(3.0 * a), 1) + relu(2.0 * c)


def product(x, y):  # E1
    return x * y


def softmax(x):  # E2
    return tf.nn.softmax(tf.stack([x[:, 0], 2.0 * x[:, 1], tf.zeros_like(x[:, 0])], 1))


def sigmoid(x):  # E3
    return tf.sigmoid(2.0 * x[:, 0] - x[:, 1] + 0.5)


def fourth_power(x):  # E5
    return tf.reduce_sum(x ** 4, 1)


def square(x):  # E5
    return tf.reduce_sum(x ** 2, 1)


def cube(x):  # E5
    return tf.reduce_sum(x ** 3, 1)


def bag(ids, table, direction):  # E7: not linear in the sum over the bag
    pooled = tf.reduce_sum(tf.gather(table, ids), 1)
    return tf.linalg.matvec(pooled, direction) ** 2


def softmax_reference(index):
    """IG of E2 at (1, 1) from 0, by Simpson's rule in numpy; h^4 / 180 is below 1e-17."""
    alphas = np.linspace(0, 1, 10_001)
    powers = np.stack([np.exp(alphas), np.exp(2 * alphas), np.ones_like(alphas)])
    p = powers / powers.sum(0)
    weights = np.where(np.arange(10_001) % 2, 4, 2) / 30_000
    weights[[0, -1]] /= 2
    gradient = [p[index] * ((index == 0) - p[0]), 2 * p[index] * ((index == 1) - p[1])]
    return [[float(part @ weights) for part in gradient]]


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table; `peer` is the tolerance of the library that the case comes from."""

    name: str
    function: object
    inputs: dict  # {name: batch of values}
    expected: dict  # {point: attributions}
    baseline: object = "zeros"
    points: object = "auto"
    target: object = None
    rule: str = "gauss_legendre"
    steps: int = 50
    variables: dict = dataclasses.field(default_factory=dict)
    peer: float = 1e-10


def ml3(name, x, expected, target, **more):
    return Case(name, multi_layer, {"x": [x]}, {"x": [expected]}, target=target, variables=ML3,
                peer=0.1, **more)


THREE = {"points": ["a", "b"], "target": "score:0", "variables": ML3, "rule": "midpoint",
         "peer": 0.1}
SIGMOID_SLOPE = np.exp(-0.5) / (1 + np.exp(-0.5)) ** 2
CASES = [
    Case("1", cross, {"x": [[3, 1]]}, {"x": [[1.5, -0.5]]}, rule="midpoint", peer=0.05),
    Case("1 right, as its peer", cross, {"x": [[3, 1]]}, {"x": [[1.5, -0.5]]}, rule="right",
         steps=500, peer=0.05),
    Case("2", cross_twin, {"x": [[3, 1]]}, {"x": [[1.5, -0.5]]}, rule="midpoint", peer=0.05),
    Case("3", cross_twin, {"x": [[-10, -5], [3, 1]]}, {"x": [[0, 0], [1.5, -0.5]]},
         rule="midpoint"),
    Case("3 right 100, as its peer", cross_twin, {"x": [[-10, -5], [3, 1]]},
         {"x": [[0, 0], [1.5, -0.5]]}, rule="right", steps=100),
    Case("4", cross_twin, {"x": [[2, 0]]}, {"x": [[1, 0]]}, {"x": [1.0, 0.0]}),
    Case("5", cross_twin, {"x": [[2, 0], [3, 0]]}, {"x": [[1, 0], [2, 0]]}, {"x": [1.0, 0.0]}),
    Case("7 from 0", one_relu, {"x": [[1], [0]]}, {"x": [[1], [0]]}, peer=0.07),
    Case("7 from 1e-5", one_relu, {"x": [[-1]]}, {"x": [[-1.00001]]}, 1e-5, peer=0.07),
    ml3("8", [0, 100, 0], [0, 390, 0], "logits:0", rule="midpoint"),
    ml3("9", [100, 100, 100], [1190 / 3] * 3, "logits:0", rule="midpoint", steps=30),
    ml3("10", [0, 100, 0], [0, 100, 0], "before:0"),
    ml3("11", [0, 6, 14], [0, 3, 7], "hidden:0", rule="midpoint"),
    ml3("12", [0, 5, 4], [0, 5, 4], "hidden:1"),
    ml3("13", [0, 5, 4], [0, 10, 8], "last_two"),
    ml3("14", [0, 5, 4], [0, 5, 4], "first_two"),
    Case("16", three_inputs, {"a": [[0, 6, 14]], "b": [[0, 6, 14]], "c": [[0, 0, 0]]},
         {"a": [[0, 1.5, 3.5]], "b": [[0, 1.5, 3.5]]}, **THREE),
    Case("17", three_inputs,
         {"a": [[0, 6, 14], [0, 80, 0]], "b": [[0, 6, 14], [0, 20, 0]],
          "c": [[0, 0, 0], [0, 20, 0]]},
         {"a": [[0, 1.5, 3.5], [0, 40, 0]], "b": [[0, 1.5, 3.5], [0, 10, 0]]}, **THREE),
    Case("19", multi_layer, {"x": [[1.5, 2, 1.3], [0.5, 0.1, 2.3], [1.5, 2, 1.3]]},
         {"x": [[4.5, 6, 3.9], [1.5, 0.3, 6.9], [4.5, 6, 3.9]]}, target="logits:0",
         variables=ML3, peer=0.005),
    Case("20", parallel_layers, {"x": [[0, 100, 0]]},
         {"u": [[90, 100, 100, 100]], "v": [[90, 100, 100, 100]]},
         {"u": [0.0, 1, 1, 1], "v": [0.0, 1, 1, 1]}, ["u", "v"], variables=ML3, peer=0.01),
    Case("22", smooth, {"x": [[1, 2, 3]]}, {"x": [[2.5, 3, np.sin(3) - np.sin(1)]]},
         {"x": [0.5, 1.0, 1.0]}, peer=0.005),
    Case("23", smooth, {"x": [[1, 2, 3]]}, {"x": [[2.5, 3.36, np.sin(3) - np.sin(1)]]},
         {"x": [0.5, 0.8, 1.0]}, peer=0.005),
    Case("24", two_inputs, {"a": [[-10, -5]], "c": [[3, 1]]}, {"a": [[0, 0]], "c": [[6, 2]]}),
    Case("25", two_widths, {"a": [[-10, -5]], "c": [3]}, {"a": [[0, 0]], "c": [6]}),
    Case("E1", product, {"x": [2], "y": [3]}, {"x": [3], "y": [3]}),
    Case("E1 from 1", product, {"x": [2], "y": [3]}, {"x": [2], "y": [3]}, 1.0),
    *(Case(f"E2 class {index}", softmax, {"x": [[1, 1]]}, {"x": softmax_reference(index)},
           target=f"score:{index}") for index in range(3)),
    Case("E3", sigmoid, {"x": [[1, 2]]}, {"x": [[2 * SIGMOID_SLOPE, -2 * SIGMOID_SLOPE]]}),
    Case("E5 two nodes", fourth_power, {"x": [[1]]}, {"x": [[1]]}, steps=2),
    Case("E5 right", square, {"x": [[1]]}, {"x": [[1.02]]}, rule="right"),
    Case("E5 left", square, {"x": [[1]]}, {"x": [[0.98]]}, rule="left"),
    Case("E5 trapezoid", square, {"x": [[1]]}, {"x": [[1]]}, rule="trapezoid"),
    # h^2 / 12 * (f'(1) - f'(0)) is all of the trapezoid's error on f = 3 alpha^2, h = 1 / 49.
    Case("E5 trapezoid cube", cube, {"x": [[1]]}, {"x": [[1 + 6 / (12 * 49 ** 2)]]},
         rule="trapezoid"),
    Case("E5 midpoint cube", cube, {"x": [[1]]}, {"x": [[1 - 6 / (24 * 50 ** 2)]]},
         rule="midpoint"),
]


def tolerance(case, dtype):
    """See the head of this file."""
    start = case.baseline if isinstance(case.baseline, dict) else {}
    number = case.baseline if isinstance(case.baseline, float) else 0.0
    scale = 0.0
    for point, expected in case.expected.items():
        scale = max(scale, np.abs(expected).max())
        if point in case.inputs:
            moved = np.array(case.inputs[point], float) - start.get(point, number)
            scale = max(scale, np.abs(moved).max())
    eps = np.finfo(dtype.as_numpy_dtype).eps
    return (case.steps + ROUNDINGS) * eps * scale


def explained(folder, case, kind, dtype, loader="v2"):
    specs = {name: builders.spec([None, *np.shape(value)[1:]], dtype)
             for name, value in case.inputs.items()}
    weights = {name: np.asarray(value, dtype.as_numpy_dtype)
               for name, value in case.variables.items()}
    return builders.build(folder, case.function, specs, weights, kind, loader,
                          points=case.points, baseline=case.baseline, target=case.target,
                          rule=case.rule, steps=case.steps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case, kind, dtype, tmp_path):
    dtype = DTYPES[dtype]
    found = explained(tmp_path, case, kind, dtype).run(**case.inputs)
    bound = tolerance(case, dtype)
    if dtype == tf.float64:
        assert bound <= case.peer
    total = 0.0
    for point, expected in case.expected.items():
        values = found[f"attributions/{point}"]
        assert values.dtype == dtype.as_numpy_dtype
        np.testing.assert_allclose(values, expected, rtol=0, atol=bound)
        total = total + np.reshape(expected, [len(expected), -1]).sum(1)
    assert {key for key in found if key.startswith("attributions/")} == {
        f"attributions/{point}" for point in case.expected}
    # What the signature says of its own error is the error against F(x) - F(b).
    ends = np.abs([found["prediction"], found["baseline_prediction"]]).max()
    rounding = 10 * bound + ROUNDINGS * np.finfo(dtype.as_numpy_dtype).eps * ends
    difference = found["prediction"] - found["baseline_prediction"]
    np.testing.assert_allclose(found["completeness_error"], np.abs(total - difference), rtol=0,
                               atol=rounding)
    if not case.name.startswith("E5"):
        assert np.all(found["completeness_error"] <= rounding)


@pytest.mark.parametrize("name", ["1", "17", "20", "22", "25"])
@pytest.mark.parametrize("kind", builders.SAVERS)
def test_both_loaders_agree(name, kind, tmp_path):
    case = next(case for case in CASES if case.name == name)
    first = explained(tmp_path, case, kind, tf.float64)
    inputs = {key: np.asarray(value, np.float64) for key, value in case.inputs.items()}
    other = builders.attributions(first.path, "v1", **inputs)
    here = first.run(**case.inputs)
    assert set(other) == set(here)
    for key, value in here.items():
        # The same kernels on the same numbers; only their grouping may differ.
        np.testing.assert_allclose(other[key], value, rtol=1e-13, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name, expected, peer", [
    ("22", [2.5, 3, -0.70035], 5e-6), ("23", [2.5, 3.36, -0.70035], 5e-6),
    ("9", [396.667] * 3, 5e-4), ("E2 class 0", [0.20968, -0.29829], 5e-6),
    ("E2 class 1", [-0.14914, 0.48105], 5e-6), ("E2 class 2", [-0.06054, -0.18276], 5e-6),
    ("E3", [0.47001, -0.47001], 5e-6)])
def test_closed_forms_are_the_published_numbers(name, expected, peer):
    case = next(case for case in CASES if case.name == name)
    np.testing.assert_allclose(case.expected["x"][0], expected, rtol=0, atol=1.01 * peer)


@pytest.mark.parametrize("steps", [7, 50, 200])
@pytest.mark.parametrize("name, jump", [
    ("1", [3, 1]), ("8", [0, 100, 0]), ("9", [100] * 3), ("11", [0, 6, 14])])
def test_gauss_legendre_over_a_kink(name, jump, steps, tmp_path):
    """A kink is a jump of the gradient at some alpha. The weights of the nodes below alpha sum to
    alpha but for less than one weight (Chebyshev, Markov, Stieltjes), so the error is less than
    |x - b| times the jump times the largest weight."""
    case = next(case for case in CASES if case.name == name)
    case = dataclasses.replace(case, rule="gauss_legendre", steps=steps)
    found = explained(tmp_path, case, "tf1", tf.float64).run(**case.inputs)
    largest = np.polynomial.legendre.leggauss(steps)[1].max() / 2
    error = np.abs(found["attributions/x"] - case.expected["x"])
    assert np.all(error <= np.array(jump) * largest + tolerance(case, tf.float64))


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_average_gradient(kind, tmp_path):
    """6 and 9: without the factor (x - b)."""
    for name, average in (("1", [0.5, -0.5]), ("9", [11.9 / 3] * 3)):
        case = next(case for case in CASES if case.name == name)
        found = explained(tmp_path / name, case, kind, tf.float64).run(**case.inputs)
        np.testing.assert_allclose(found["attributions/x"] / np.array(case.inputs["x"]),
                                   [average], rtol=0, atol=1e-12)


def test_f_equal_at_both_ends_is_no_division_by_zero(tmp_path):
    """E3: F(x) = F(b), so the relative error is measured against its floor."""
    case = next(case for case in CASES if case.name == "E3")
    found = explained(tmp_path, case, "tf2", tf.float64).run(**case.inputs)
    # sigmoid(0.5) at both ends; 2 a - 2 a + 0.5 may round.
    np.testing.assert_allclose(found["prediction"], found["baseline_prediction"], rtol=1e-15)
    assert np.isfinite(found["relative_error"]).all()
    assert found["relative_error"] <= tolerance(case, tf.float64) / (1e-4 * found["prediction"])


def roots(x):
    """Its gradient at 0 has no end."""
    return tf.reduce_sum(tf.sqrt(x), 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("function, variables, target, start", [
    (multi_layer, ML3, "logits:0", [0.3, 5.0, 7.0]), (smooth, {}, None, [0.5, 0.8, 1.0]),
    (sigmoid, {}, None, [1.3, -0.1, 0.0]), (softmax, {}, "score:top", [0.7, 0.1, 0.0]),
    (roots, {}, None, [0.0, 0.0, 0.0])])
def test_x_at_the_baseline(function, variables, target, start, kind, dtype, tmp_path):
    """E6: exactly 0, not nearly."""
    case = Case("E6", function, {"x": [start, [1.0, 2.0, 3.0]]}, {}, {"x": start}, target=target,
                variables=variables, steps=8)
    found = explained(tmp_path, case, kind, DTYPES[dtype]).run(**case.inputs)
    for key in ("attributions/x", "features/x", "completeness_error", "relative_error"):
        assert np.all(found[key][0] == 0), key
    assert np.any(found["attributions/x"][1] != 0)
    assert all(np.isfinite(value).all() for value in found.values())


def test_one_coordinate_at_an_infinite_gradient(tmp_path):
    case = Case("roots", roots, {"x": [[4.0, 0.0]]}, {}, steps=50)
    found = explained(tmp_path, case, "tf2", tf.float64).run(**case.inputs)
    assert found["attributions/x"][0, 1] == 0
    # Gauss-Legendre on alpha^(-1/2) misses about 1 / (2 steps) of it: the mass of the first cell.
    assert 0 < 2 - found["attributions/x"][0, 0] < 2 / 50


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", builders.SAVERS)
def test_repeated_id_in_one_bag(kind, dtype, tmp_path):
    """E7: F = (sum of v.e)^2, so a token gets (v.e) times the sum, each occurrence for itself."""
    numpy_type = DTYPES[dtype].as_numpy_dtype
    table = np.array([[9, 9], [0.5, -1], [2, 0.25]], numpy_type)
    direction = np.array([1, -2], numpy_type)
    ids = np.array([[1, 1, 2], [2, 2, 2]], np.int64)
    found = builders.build(
        tmp_path, bag, {"ids": builders.spec([None, None], tf.int64)},
        {"table": table, "direction": direction}, kind, steps=3).run(ids=ids)
    parts = (table @ direction)[ids]
    total = parts.sum(1, keepdims=True)
    eps = np.finfo(numpy_type).eps
    bound = ROUNDINGS * eps * np.abs(parts * total).sum()
    scores = found["attributions/ids"]
    np.testing.assert_allclose(scores, parts * total, rtol=0, atol=bound)
    assert scores[0, 0] == scores[0, 1] != scores[0, 2]
    np.testing.assert_array_equal(found["tokens/ids"], ids)
    np.testing.assert_array_equal(found["length/ids"], [3, 3])
    np.testing.assert_allclose(scores.sum(1), total[:, 0] ** 2, rtol=0, atol=bound)
    np.testing.assert_allclose(found["prediction"] - found["baseline_prediction"],
                               total[:, 0] ** 2, rtol=0, atol=bound)


@pytest.mark.parametrize("values, expected", [
    ([0.1, 0.4, 0.6, 0.8, 0.9, 1.0, 0.8], 4.15 / 6),
    ([0.0, 1.0, 2.0], 1.0), ([[0, 0], [0, 0], [0, 1]], [0, 0.25])])
def test_trapezoid_of_given_gradients(values, expected):
    """27 and 28."""
    rule = quadrature.build("trapezoid", len(values))
    np.testing.assert_allclose(rule.nodes, np.arange(len(values)) / (len(values) - 1), rtol=1e-15)
    np.testing.assert_allclose(rule.weights @ np.array(values), expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("name, nodes, weights", [
    ("left", [0, 1 / 3, 2 / 3], [1 / 3] * 3), ("right", [1 / 3, 2 / 3, 1], [1 / 3] * 3),
    ("midpoint", [1 / 6, 1 / 2, 5 / 6], [1 / 3] * 3),
    # captum's are (1/6, 1/3, 1/6), which sum to 2/3.
    ("trapezoid", [0, 1 / 2, 1], [1 / 4, 1 / 2, 1 / 4]),
    ("gauss_legendre", [0.5 - np.sqrt(0.15), 0.5, 0.5 + np.sqrt(0.15)], [5 / 18, 8 / 18, 5 / 18])])
def test_nodes_and_weights(name, nodes, weights):
    """29, and the textbook's three Gauss-Legendre nodes."""
    rule = quadrature.build(name, 3)
    np.testing.assert_allclose(rule.nodes, nodes, rtol=0, atol=1e-15)
    np.testing.assert_allclose(rule.weights, weights, rtol=0, atol=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50, 257])
@pytest.mark.parametrize("name", quadrature.RULES)
def test_weights_sum_to_one_and_degrees_hold(name, steps):
    try:
        rule = quadrature.build(name, steps)
    except quadrature.RuleError as error:
        assert steps < 5 and "at least" in str(error)  # a rule may need a few nodes, and says so
        return
    assert rule.steps == steps
    assert abs(rule.weights.sum() - 1) < 1e-14 * steps
    for power in range(min(rule.degree, 30) + 1):
        assert abs(rule.weights @ rule.nodes ** power - 1 / (power + 1)) < 1e-14 * steps


@pytest.mark.parametrize("name, order", [("left", 1), ("right", 1), ("midpoint", 2),
                                         ("trapezoid", 2)])
def test_order_of_convergence(name, order):
    """The error on exp falls like h^order, within a tenth where h is small."""
    def error(cells):
        steps = cells + (name == "trapezoid")
        rule = quadrature.build(name, steps)
        return abs(rule.weights @ np.exp(rule.nodes) - (np.e - 1))

    assert error(64) / error(128) == pytest.approx(2 ** order, rel=0.1)


def test_gauss_legendre_is_not_exact_beyond_its_degree():
    """The integral of alpha^(2n) is missed by (n!)^4 / ((2n + 1) ((2n)!)^2) exactly: 1/180 at 2."""
    rule = quadrature.build("gauss_legendre", 2)
    assert 1 / 5 - rule.weights @ rule.nodes ** 4 == pytest.approx(1 / 180, rel=1e-12)
