"""Every quadrature rule against theory: weights, exactness degree, order of convergence."""

import math

import numpy as np
import pytest

from ig_tf.ig.quadrature import MAX_STEPS, RULES, Rule, RuleError, build

STEPS = (1, 2, 3, 4, 5, 7, 10, 50, 333)
E = math.e - 1.0  # the integral of exp over [0, 1]

# What textbooks promise: the exactness degree for n nodes.
DEGREE = {
    "gauss_legendre": lambda n: 2 * n - 1,
    "graded_1.5": lambda n: 0,  # 2 n - 1 in u, where alpha = u^1.5: of alpha = u^1.5 not exact
    "graded_2": lambda n: n - 1,  # 2 n - 1 in u, where alpha = u^2 and d alpha = 2 u du
    "graded_3": lambda n: (2 * n - 3) // 3,
    "midpoint": lambda n: 1,
    "trapezoid": lambda n: 1,
    "left": lambda n: 0,
    "right": lambda n: 0,
}
# (order, error of exp in units of the cell width to that power), from the Euler-Maclaurin formula.
ORDER = {
    "left": (1, -E / 2), "right": (1, E / 2), "midpoint": (2, -E / 24), "trapezoid": (2, E / 12)}
SPECTRAL = ("gauss_legendre", "graded_2", "graded_3")  # error falls faster than any power
ALGEBRAIC = ("graded_1.5",)  # tests/test_pilot.py has its order
FEWEST = {"graded_2": 2, "graded_3": 3}


def rules():
    return [(name, steps) for name in RULES for steps in STEPS if steps >= FEWEST.get(name, 1)]


def integral(rule, function):
    return float(rule.weights @ function(rule.nodes))


def test_each_rule_is_in_the_tables_of_this_test():
    assert set(DEGREE) == set(RULES)
    assert {*ORDER, *SPECTRAL, *ALGEBRAIC} == set(RULES)


@pytest.mark.parametrize("name, steps", rules())
def test_nodes_and_weights(name, steps):
    rule = build(name, steps)
    assert rule.steps == steps == len(rule.weights)
    assert rule.nodes.dtype == rule.weights.dtype == np.float64
    assert abs(rule.weights.sum() - 1) < 1e-13
    assert (rule.weights >= 0).all()
    assert rule.nodes[0] >= 0 and rule.nodes[-1] <= 1 and (np.diff(rule.nodes) > 0).all()


@pytest.mark.parametrize("name, steps", rules())
def test_exactness_degree(name, steps):
    rule = build(name, steps)
    if not (name == "trapezoid" and steps == 1):
        assert rule.name == name
    assert rule.degree == DEGREE[name](steps)
    for degree in range(rule.degree + 1):
        np.testing.assert_allclose(integral(rule, lambda a, d=degree: a ** d), 1 / (degree + 1),
                                   rtol=1e-11)


@pytest.mark.parametrize("steps", range(1, 7))
def test_gauss_legendre_misses_the_next_degree_by_what_theory_says(steps):
    error = 1 / (2 * steps + 1) - integral(build("gauss_legendre", steps),
                                           lambda a: a ** (2 * steps))
    theory = math.factorial(steps) ** 4 / ((2 * steps + 1) * math.factorial(2 * steps) ** 2)
    np.testing.assert_allclose(error, theory, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"gauss_legendre"}))
@pytest.mark.parametrize("steps", [3, 4, 5])
def test_no_other_rule_is_better_than_it_says(name, steps):
    rule = build(name, steps)
    beyond = [abs(integral(rule, lambda a, d=degree: a ** d) * (degree + 1) - 1)
              for degree in range(rule.degree + 1, rule.degree + 3)]
    assert max(beyond) > 1e-6


@pytest.mark.parametrize("name", sorted(ORDER))
def test_order_of_convergence(name):
    order, constant = ORDER[name]
    for steps in (40, 80, 160):
        cells = steps - 1 if name == "trapezoid" else steps
        error = integral(build(name, steps), np.exp) - E
        np.testing.assert_allclose(error * cells ** order, constant, rtol=0.03)


@pytest.mark.parametrize("name", SPECTRAL)
def test_spectral_convergence(name):
    first = FEWEST.get(name, 1)
    errors = [abs(integral(build(name, steps), np.exp) - E) for steps in range(first, first + 5)]
    assert all(after < before / 5 for before, after in zip(errors, errors[1:])), errors
    assert abs(integral(build(name, 16), np.exp) - E) < 1e-13


@pytest.mark.parametrize("name, steps", [("graded_2", 20), ("graded_3", 20)])
def test_graded_rules_crowd_where_the_path_starts(name, steps):
    graded, plain = build(name, steps), build("gauss_legendre", steps)
    assert (graded.nodes < plain.nodes).all()

    def kink(a):
        """The gradient of a unit that turns on at once."""
        return (a > 0.013).astype(float)

    assert abs(integral(graded, kink) - 0.987) < abs(integral(plain, kink) - 0.987)


# Numbers from other projects' tests: numeric_cases.md, 27 to 29 ---------------------------------


def test_case_27_trapezoid_of_seven_gradients():
    gradients = np.array([0.1, 0.4, 0.6, 0.8, 0.9, 1.0, 0.8])
    rule = build("trapezoid", 7)
    np.testing.assert_allclose(rule.nodes, np.arange(7) / 6, atol=1e-15)
    assert rule.weights @ gradients == pytest.approx(0.6916667, abs=1e-7)


def test_case_28_trapezoid_of_three():
    weights = build("trapezoid", 3).weights
    assert weights @ np.array([0.0, 1.0, 2.0]) == 1.0
    np.testing.assert_array_equal(weights @ np.array([[0, 0], [0, 0], [0, 1.0]]), [0, 0.25])


@pytest.mark.parametrize("name, nodes, weights", [
    ("left", (0, 1 / 3, 2 / 3), (1 / 3, 1 / 3, 1 / 3)),
    ("right", (1 / 3, 2 / 3, 1), (1 / 3, 1 / 3, 1 / 3)),
    ("midpoint", (1 / 6, 1 / 2, 5 / 6), (1 / 3, 1 / 3, 1 / 3)),
    ("trapezoid", (0, 1 / 2, 1), (1 / 4, 1 / 2, 1 / 4)),
])
def test_case_29_three_nodes(name, nodes, weights):
    rule = build(name, 3)
    np.testing.assert_allclose(rule.nodes, nodes, atol=1e-15)
    np.testing.assert_allclose(rule.weights, weights, atol=1e-15)


def test_case_29_a_trapezoid_whose_weights_do_not_sum_to_one_cannot_be_built():
    with pytest.raises(RuleError, match=r"weights of theirs sum to .*0\.666"):
        Rule("theirs", np.array([0, 0.5, 1]), np.array([1 / 6, 1 / 3, 1 / 6]), 0)


def test_case_e5_what_coarse_rules_give_for_powers():
    assert integral(build("gauss_legendre", 2), lambda a: 4 * a ** 3) == pytest.approx(1, abs=1e-14)
    assert integral(build("right", 50), lambda a: 2 * a) == pytest.approx(1.02, abs=1e-12)
    assert integral(build("trapezoid", 50), lambda a: 2 * a) == pytest.approx(1, abs=1e-12)


# Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("steps", [0, -1, -50, MAX_STEPS + 1])
def test_steps_out_of_range(name, steps):
    with pytest.raises(RuleError, match=rf"1 to {MAX_STEPS}; found {steps}"):
        build(name, steps)


@pytest.mark.parametrize("name, fewest", FEWEST.items())
def test_a_graded_rule_with_too_few_steps(name, fewest):
    with pytest.raises(RuleError, match=f"at least {fewest} steps; found {fewest - 1}"):
        build(name, fewest - 1)


@pytest.mark.parametrize("name", sorted(set(ORDER)))
def test_the_largest_number_of_steps(name):
    assert build(name, MAX_STEPS).steps == MAX_STEPS


def test_an_unknown_rule_lists_those_that_exist():
    with pytest.raises(RuleError) as caught:
        build("simpson", 3)
    assert "'simpson'" in str(caught.value)
    assert all(name in str(caught.value) for name in RULES)


HALVES = np.array([0.5, 0.5])
GAUSS = build("gauss_legendre", 2)


@pytest.mark.parametrize("nodes, weights, degree, message", [
    ([0.2, 0.8], [0.5, 0.6], 0, r"sum to .*1\.1"),
    ([0.2, 0.8], [0.5, 0.5 + 1e-10], 0, "not to 1"),
    ([0.8, 0.2], HALVES, 0, "not ascending"),
    ([0.5, 0.5], HALVES, 0, "not ascending"),
    ([-0.1, 0.8], HALVES, 0, "not ascending in"),
    ([0.2, 1.1], HALVES, 0, "not ascending in"),
    ([0.2, 0.7], HALVES, 1, r"for the integral of alpha\^1"),
    ([0.2, 0.8], HALVES, 2, r"for the integral of alpha\^2"),
    (GAUSS.nodes, GAUSS.weights, 4, r"for the integral of alpha\^4"),
    (GAUSS.nodes + [0, 1e-6], GAUSS.weights, 3, "for the integral"),
])
def test_a_wrong_rule_cannot_be_built(nodes, weights, degree, message):
    with pytest.raises(RuleError, match=message):
        Rule("mine", np.array(nodes), np.array(weights), degree)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("nodes, weights", [
    ([0.2, 0.8], [np.nan, 0.5]), ([np.nan, 0.8], HALVES), ([0.2, 0.8], [np.inf, -np.inf])])
def test_a_rule_that_is_not_finite_cannot_be_built(nodes, weights):
    with pytest.raises(RuleError):
        Rule("mine", np.array(nodes), np.array(weights), 0)
