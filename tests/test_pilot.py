"""Nodes where F moves: what theory says of them, and that each example gets its own.

Tolerances: everything is float64. A Gauss rule of two nodes on a cell of width h misses at most
h^5 / 4320 times the largest fourth derivative; what is exact is so to the rounding of the sums.
"""

import math

import numpy as np
import pytest
import tensorflow as tf

from ig_tf.ig import integrate, pilot
from ig_tf.ig.quadrature import MAX_STEPS, Pilot, Rule, RuleError, build as rule_of
from tests import builders

EPS = np.finfo(np.float64).eps
PROBES = 33
STEEPNESS, TURN = 400.0, 0.3  # sigmoid(STEEPNESS (alpha - TURN)) along the path


def placed(values, steps, probes=PROBES):
    """(nodes, weights) as arrays, of F [batch, probes]."""
    found = pilot.nodes(Pilot(steps, probes), tf.constant(values, tf.float64))
    return found.nodes.numpy(), found.weights.numpy()


def expected(values, steps):
    """The same for one example, by numpy's interpolation of the inverse."""
    moves = np.abs(np.diff(values))
    moves = np.array([moves[max(i - 1, 0):i + 2].max() for i in range(len(moves))])
    mass = 0.9 * moves ** (2 / 3) / (moves ** (2 / 3)).sum() + 0.1 / len(moves)
    cells = steps // 2
    edges = np.interp(np.arange(cells + 1) / cells, np.concatenate([[0], np.cumsum(mass)]),
                      np.linspace(0, 1, len(values)))
    edges[-1] = 1
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    nodes = np.stack([middle - half / math.sqrt(3), middle + half / math.sqrt(3)], 1).ravel()
    return nodes, np.repeat(half, 2), edges


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def curves(probes=PROBES):
    """F [examples, probes] of many kinds."""
    alphas = np.linspace(0, 1, probes)
    draw = np.random.RandomState(0)
    return np.stack([
        sigmoid(STEEPNESS * (alphas - TURN)), alphas ** 3, np.zeros(probes), alphas * 1e-300,
        (alphas > 0.99) * 1e12, draw.randn(probes), np.cumsum(draw.rand(probes)),
        np.sin(40 * alphas)])


# Placement -------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 4, 10, 50, 512])
def test_weights_sum_to_one_and_nodes_ascend(steps):
    nodes, weights = placed(curves(), steps)
    assert nodes.shape == weights.shape == (len(curves()), steps)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=0, atol=steps * EPS)
    assert (weights > 0).all() and (nodes > 0).all() and (nodes < 1).all()
    assert (np.diff(nodes, axis=1) > 0).all()


@pytest.mark.parametrize("steps", [2, 6, 50])
@pytest.mark.parametrize("degree", range(4))
def test_cubics_are_exact_wherever_the_nodes_are(steps, degree):
    nodes, weights = placed(curves(), steps)
    np.testing.assert_allclose((weights * nodes ** degree).sum(1), 1 / (degree + 1),
                               rtol=8 * steps * EPS)


def test_quartics_are_not_exact():
    """The negative twin: one cell of two nodes misses 1/5 by 1/180."""
    nodes, weights = placed(curves(), 2)
    np.testing.assert_allclose(0.2 - (weights * nodes ** 4).sum(1), 1 / 180, rtol=1e-12)


@pytest.mark.parametrize("steps", [2, 8, 64])
@pytest.mark.parametrize("row", [0, 1, 5, 6, 7])
def test_cells_have_equal_mass(row, steps):
    values = curves()[row]
    nodes, weights = placed(values[None], steps)
    wanted_nodes, wanted_weights, _ = expected(values, steps)
    np.testing.assert_allclose(nodes[0], wanted_nodes, rtol=1e-11)
    np.testing.assert_allclose(weights[0], wanted_weights, rtol=1e-9)


def test_where_f_does_not_move_nodes_lie_evenly():
    """Of a constant, and of what cannot be compared."""
    strange = np.full([3, PROBES], np.nan)
    strange[1], strange[2] = 7.0, np.inf
    nodes, weights = placed(strange, 8)
    np.testing.assert_allclose(weights, 1 / 8, rtol=1e-13)
    cell = np.array([0.5 - 0.5 / math.sqrt(3), 0.5 + 0.5 / math.sqrt(3)])
    np.testing.assert_allclose(nodes[0], ((np.arange(4)[:, None] + cell) / 4).ravel(), rtol=1e-12)


def test_a_step_gets_nine_tenths_of_the_nodes_and_the_rest_is_not_empty():
    """All moves lie between two probes; these and their neighbours are three stretches of 32."""
    values = (np.arange(PROBES) > 9).astype(float)
    nodes, _ = placed(values[None], 400)
    inside = ((nodes > 8 / 32) & (nodes < 11 / 32)).sum()
    assert abs(inside - 400 * (0.9 + 0.1 * 3 / 32)) <= 4
    assert np.diff(nodes[0]).max() < 2 / (200 * 0.1)


def test_each_example_is_placed_by_itself():
    together = placed(curves(), 20)
    for row, values in enumerate(curves()):
        for all_rows, alone in zip(together, placed(values[None], 20)):
            np.testing.assert_array_equal(all_rows[row], alone[0])


# Rules -----------------------------------------------------------------------------------------


def test_a_pilot_says_what_it_is():
    assert rule_of("pilot", 50) == Pilot(50)
    assert rule_of("pilot:65", 50) == Pilot(50, 65)
    for name in ("pilot", "pilot:65"):
        rule = rule_of(name, 50)
        assert rule.name == name and rule.degree == 3
        assert rule.described()["probes"] == rule.probes


@pytest.mark.parametrize("name, steps, message", [
    ("pilot", 51, "must be even; found 51"), ("pilot:2", 50, "3 to 4096 probes; found 2"),
    ("pilot:many", 50, "no integration rule 'pilot:many'.*pilot:PROBES"),
    ("pilot", MAX_STEPS + 2, "1 to 4096"), ("midpoint:3", 4, "no integration rule")])
def test_refusals(name, steps, message):
    with pytest.raises(RuleError, match=message):
        rule_of(name, steps)


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 50])
def test_graded_between_is_exact_in_u(steps):
    """The integral of u^j where alpha = u^1.5 is 1.5 / (j + 1.5); degree 2 steps is the first that
    is not exact."""
    rule = rule_of("graded_1.5", steps)
    u = rule.nodes ** (1 / 1.5)
    for degree in range(2 * steps):
        np.testing.assert_allclose(rule.weights @ u ** degree, 1.5 / (degree + 1.5), rtol=1e-11)
    if steps <= 3:
        beyond = rule.weights @ u ** (2 * steps) * (2 * steps + 1.5) / 1.5 - 1
        assert abs(beyond) > 1e-4


def test_graded_between_converges_as_its_singularity_allows():
    """The integral of alpha is that of 3 |t|^5 over half a symmetric interval: order 6."""
    errors = [abs(rule_of("graded_1.5", steps).weights @ rule_of("graded_1.5", steps).nodes - 0.5)
              for steps in (8, 16, 32)]
    for coarse, fine in zip(errors, errors[1:]):
        assert 64 * 0.7 < coarse / fine < 64 * 1.3


def test_a_rule_that_is_not_exact_in_u_cannot_be_built():
    good = rule_of("graded_2", 3)
    with pytest.raises(RuleError, match=r"for the integral of u\^1"):
        Rule("mine", good.nodes, good.weights, 0, 1.5, 4)


# Through artifacts ------------------------------------------------------------------------------


def steep(x, w):
    """sigmoid(w.x - STEEPNESS TURN): the attribution of x_i is w_i x_i / w.x of the change."""
    return tf.sigmoid(tf.reduce_sum(w * x, 1) - STEEPNESS * TURN)


def coupled(x, w):
    """The same, but rows cannot be proved independent: each example runs alone."""
    return steep(x + 0.0 * tf.reverse(x, [0]), w)


WEIGHTS = np.array([3.0, -1.0, 2.0])
SPEC = {"x": builders.spec([None, 3])}


def steep_inputs(reaches):
    """Examples in random directions, with w.x as given."""
    x = np.random.RandomState(1).randn(len(reaches), 3)
    return x * (np.array(reaches) / (x @ WEIGHTS))[:, None]


def gradient(alpha, reach=STEEPNESS):
    """dF/dalpha along the path of an example with w.x = reach."""
    value = sigmoid(reach * alpha - STEEPNESS * TURN)
    return reach * value * (1 - value)


def fourth(alpha):
    """The fourth derivative of `gradient`."""
    value = sigmoid(STEEPNESS * (alpha - TURN))
    slope = value * (1 - value)
    return STEEPNESS ** 5 * slope * (1 - 30 * slope + 120 * slope ** 2)


@pytest.fixture(name="explained", scope="module")
def fixture_explained(tmp_path_factory):
    """Instruments `steep` or `coupled` under a rule."""
    saved, kept = {}, {}

    def explained(function, **choices):
        if function not in saved:
            folder = tmp_path_factory.mktemp("steep")
            saved[function] = builders.save_tf2(folder / "model", function, SPEC, {"w": WEIGHTS})
        key = (function, repr(choices))
        if key not in kept:
            kept[key] = builders.explain(saved[function], tmp_path_factory.mktemp("out") / "o",
                                         **choices)
        return kept[key]

    return explained


@pytest.mark.parametrize("function", [steep, coupled])
def test_a_steep_sigmoid(explained, function):
    """At 100 gradients: Gauss-Legendre is as wrong as its poles say, the pilot as its cells say,
    which is less by a factor of more than a hundred."""
    x = steep_inputs([STEEPNESS])
    exact = WEIGHTS * x / STEEPNESS * (sigmoid(STEEPNESS * (1 - TURN)) - sigmoid(-STEEPNESS * TURN))
    plain = explained(function, steps=100).run(x=x)
    rule = rule_of("gauss_legendre", 100)
    by_hand = rule.weights @ gradient(rule.nodes)
    np.testing.assert_allclose(plain["attributions/x"], WEIGHTS * x / STEEPNESS * by_hand,
                               rtol=1e-10)
    z = (2 * TURN - 1) + 2j * math.pi / STEEPNESS  # the nearest pole of the gradient
    ratio = max(abs(z + np.sqrt(z * z - 1)), abs(z - np.sqrt(z * z - 1)))
    missed = abs(plain["attributions/x"] / exact - 1).max()
    assert missed < 8 * ratio ** -200

    found = explained(function, steps=100, rule="pilot").run(x=x)
    curve = sigmoid(STEEPNESS * (np.linspace(0, 1, PROBES) - TURN))
    nodes, weights, edges = expected(curve, 100)
    np.testing.assert_allclose(found["attributions/x"],
                               WEIGHTS * x / STEEPNESS * (weights @ gradient(nodes)), rtol=1e-7)
    bound = 0.0
    for low, high in zip(edges, edges[1:]):
        steepest = np.abs(fourth(np.linspace(low, high, 50))).max()
        bound += (high - low) ** 5 / 4320 * steepest
    assert abs(found["attributions/x"] / exact - 1).max() < bound
    assert bound < missed / 100
    assert found["relative_error"].max() < bound


def test_each_example_is_as_if_alone_with_its_own_rule(explained):
    """Turns at different places of the path, one that turns nowhere, and the baseline itself."""
    reaches = [400.0, 130.0, 2000.0, 20.0, -50.0]
    x = np.concatenate([steep_inputs(reaches), np.zeros([1, 3])])
    model = explained(steep, steps=40, rule="pilot")
    together = model.run(x=x)
    for row, reach in enumerate(reaches):
        curve = sigmoid(reach * np.linspace(0, 1, PROBES) - STEEPNESS * TURN)
        nodes, weights, _ = expected(curve, 40)
        share = WEIGHTS * x[row] / reach * (weights @ gradient(nodes, reach))
        np.testing.assert_allclose(together["attributions/x"][row], share, rtol=1e-6, atol=1e-60)
        alone = model.run(x=x[row:row + 1])
        for key, value in alone.items():
            np.testing.assert_allclose(together[key][row], value[0], rtol=1e-9, atol=1e-14)
    assert np.all(together["attributions/x"][-1] == 0)


@pytest.mark.parametrize("rows", [1, 7, 33, 40, 90, 10_000])
def test_chunks_do_not_matter(explained, rows):
    x = steep_inputs([400.0, 130.0, 2000.0, 20.0, -50.0])
    wanted = explained(steep, steps=40, rule="pilot").run(x=x)
    found = explained(steep, steps=40, rule="pilot", rows_per_chunk=rows).run(x=x)
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-14)


def test_alone_is_the_same(explained):
    x = steep_inputs([400.0, 130.0, 2000.0])
    model = explained(coupled, steps=40, rule="pilot")
    assert model.plan.recipe.prefix is not None
    wanted = explained(steep, steps=40, rule="pilot").run(x=x)
    for key, value in model.run(x=x).items():
        np.testing.assert_allclose(value, wanted[key], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("function", [steep, coupled])
def test_no_examples(explained, function):
    found = explained(function, steps=40, rule="pilot").run(x=np.zeros([0, 3]))
    assert found["attributions/x"].shape == (0, 3) and found["prediction"].shape == (0,)


def test_completeness_is_not_forced(explained):
    """Two nodes are one cell, that is Gauss-Legendre with two nodes, wherever F moves."""
    x = steep_inputs([400.0])
    found = explained(steep, steps=2, rule="pilot").run(x=x)
    plain = explained(steep, steps=2).run(x=x)
    np.testing.assert_allclose(found["attributions/x"], plain["attributions/x"], rtol=1e-9)
    assert found["relative_error"][0] > 0.99


def test_the_metadata_say_how_the_nodes_are_placed(explained):
    described = explained(steep, steps=40, rule="pilot:65").plan.described()
    assert described["rule"] == {"name": "pilot:65", "steps": 40, "degree": 3, "probes": 65,
                                 "uniform": 0.1}


def test_constant_rules_as_tensors_change_nothing():
    """`integrals` with the nodes of a rule given to each example is that of the rule."""
    rule = rule_of("gauss_legendre", 5)

    def function(rows, _):
        return [tf.reduce_sum(rows[0] ** 4, 1)]

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.constant(np.random.RandomState(2).randn(6, 2))
        path = integrate.Path(function, function, [x], [tf.zeros_like(x)], {}, (False,))
        each = integrate.Placed(tf.tile(tf.constant(rule.nodes)[None], [6, 1]),
                                tf.tile(tf.constant(rule.weights)[None], [6, 1]), tf.constant(5))
        for rows in (1, 3, 5, 12, 100):
            shared, own = session.run([integrate.integrals(path, rule, rows),
                                       integrate.integrals(path, each, rows)])
            np.testing.assert_array_equal(shared, own)
        shared, own = session.run([integrate.integrals_stepwise(path, rule),
                                   integrate.integrals_stepwise(path, each)])
        np.testing.assert_array_equal(shared, own)
