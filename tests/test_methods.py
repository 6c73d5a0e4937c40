"""Methods: each row of the table against its own definition, in numpy or by a GradientTape.

In float64 only rounding is left where a method is a finite sum of gradients: 1e-12 of numbers near
1. Where an integral is taken, the rule is exact for the function or the tolerance says why.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
from builders import spec
from ig_tf import describe
from ig_tf.calibration import Calibration
from ig_tf.errors import MethodError
from ig_tf.ig import methods, quadrature
from ig_tf.ig.methods import METHODS, Method, Noise
from ig_tf.rendering import check_view
from ig_tf.run import checks, results
from test_baselines import MODES, STARTS, TABLE, WEIGHTS, X, instrumented, layered

BASELINES = [{"x": start} for start in STARTS]


def gradient(x):
    """dF/dx of `layered`, of each row."""
    return ((1 - np.tanh(x @ WEIGHTS["w"]) ** 2) * WEIGHTS["v"]) @ WEIGHTS["w"].T


def score(x):
    return np.tanh(x @ WEIGHTS["w"]) @ WEIGHTS["v"]


def along(start, end, nodes, weights):
    """The sum of weighted gradients on a line."""
    return sum(weight * gradient(start + node * (end - start))
               for node, weight in zip(nodes, weights))


@pytest.fixture(scope="module", name="folder")
def fixture_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layered")
    builders.save_tf2(folder / "m", layered, {"x": spec([None, 3])}, WEIGHTS)
    return folder


def found_by(folder, output, **choices):
    plan, run = instrumented(folder / "m", output, **choices)
    return plan, run(x=X)


def test_the_gradient_here_is_that_of_tensorflow():
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        value = layered(x, **WEIGHTS)
    np.testing.assert_allclose(gradient(X), tape.gradient(value, x), atol=1e-14)


LEGENDRE = quadrature.build("gauss_legendre", 7)
START = STARTS[0]
DEFINITIONS = {
    "integrated_gradients": lambda: (X - START) * along(START, X, LEGENDRE.nodes, LEGENDRE.weights),
    "gradient": lambda: gradient(X),
    "gradient_x_input": lambda: (X - START) * gradient(X),
    "internal_influence": lambda: along(START, X, LEGENDRE.nodes, LEGENDRE.weights),
}


@pytest.mark.parametrize("name, mode", [*((name, "rows") for name in DEFINITIONS),
                                        ("gradient", "batch"), ("internal_influence", "alone")])
def test_definitions(tmp_path, name, mode):
    """Behind the affine frontier, at once, the batch as it is, and alone."""
    function, batch, expected = MODES[mode]
    builders.save_tf2(tmp_path / "m", function, {"x": spec([batch, 3])}, WEIGHTS)
    plan, found = found_by(tmp_path, tmp_path / "out", method=name, baseline={"x": START},
                           steps=7 if METHODS[name].nodes == methods.ALONG else None)
    assert plan.recipe.mode is expected
    np.testing.assert_allclose(found["attributions/x"], DEFINITIONS[name](), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["prediction"], score(X), rtol=0, atol=1e-12)
    assert ("completeness_error" in found) == (name == "integrated_gradients")
    assert "spread/x" not in found


def cross(x):
    return tf.nn.relu(tf.nn.relu(x[:, 0]) - 1.0 - tf.nn.relu(x[:, 1]))


def three_layers(x):
    total = tf.reduce_sum(x, 1)
    return tf.nn.relu(total - 10.0) + 3 * tf.nn.relu(total + 1.0) - 1.0


@pytest.mark.parametrize("function, x, expected", [
    (cross, [3.0, 1.0], [0.5, -0.5]), (three_layers, [100.0] * 3, [29 / 30 + 3] * 3)],
    ids=["6", "9"])
def test_the_average_gradient_of_other_libraries(tmp_path, function, x, expected):
    """Cases 6 and 9 of the list in test_numeric_cases.py, which captum has as attributions without
    the change; their kinks, at 1/2 and 1/30 of the path, are borders of 30 cells."""
    builders.save_tf2(tmp_path / "m", function, {"x": spec([None, len(x)])})
    _, run = instrumented(tmp_path / "m", tmp_path / "out", method="internal_influence",
                          rule="midpoint", steps=30)
    np.testing.assert_allclose(run(x=[x])["attributions/x"], [expected], rtol=1e-12)


@pytest.mark.parametrize("name", ["smoothgrad", "integrated_gradients", "gradient_x_input"])
def test_noise_at_the_end_of_the_path(folder, tmp_path, name):
    """The mean over numpy's own draws, for each start; the prediction stays that of x."""
    ways = {"smoothgrad": lambda end, start: gradient(end),
            "integrated_gradients": lambda end, start: (end - start) * along(
                start, end, LEGENDRE.nodes, LEGENDRE.weights),
            "gradient_x_input": lambda end, start: (end - start) * gradient(end)}
    draws = np.random.default_rng(5).normal(0, 0.3, (4, 3))
    plan, found = found_by(folder, tmp_path / "out", method=f"{name}:noise=0.3,4,5",
                           baseline=BASELINES[:2],
                           steps=7 if METHODS[name].nodes == methods.ALONG else None)
    each = [ways[name](X + draw, start) for start in STARTS[:2] for draw in draws]
    np.testing.assert_allclose(found["attributions/x"], np.mean(each, 0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["spread/x"], np.std(each, 0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["prediction"], score(X), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["baseline_prediction"], score(STARTS[:2]).mean(), atol=1e-12)
    assert "completeness_error" not in found
    cost = plan.described()["method"]["gradients_per_example"]
    assert cost == 8 * (7 if name == "integrated_gradients" else 1)


def test_no_noise_is_the_plain_method(folder, tmp_path):
    _, plain = found_by(folder, tmp_path / "plain", steps=6)
    _, still = found_by(folder, tmp_path / "still", steps=6,
                        method=Method(noise=Noise(0.0, 3)))
    np.testing.assert_array_equal(still["attributions/x"], plain["attributions/x"])
    np.testing.assert_array_equal(still["spread/x"], 0 * X)


# Expected gradients ---------------------------------------------------------------------------


@pytest.mark.parametrize("samples, steps", [(1, 1), (3, 1), (3, 5), (10, 4)])
def test_strata(samples, steps):
    """One node in each cell of a sample; over all samples one in each of as many finer cells."""
    rule = quadrature.strata(samples, steps, seed=2)
    assert rule.nodes.shape == (samples, steps) and abs(rule.weights.sum() - 1) < 1e-15
    assert (np.floor(rule.nodes * steps) == np.arange(steps)).all()
    assert sorted(np.floor(rule.nodes.ravel() * samples * steps)) == list(range(samples * steps))
    assert (quadrature.strata(samples, steps, 2).nodes == rule.nodes).all()
    assert samples == 1 or (quadrature.strata(samples, steps, 3).nodes != rule.nodes).any()


def test_expected_gradients_at_their_nodes(folder, tmp_path):
    """Each baseline at its own nodes: 8 nodes over 3 baselines are 3 each."""
    plan, found = found_by(folder, tmp_path / "out", steps=8, baseline=BASELINES,
                           method="expected_gradients:seed=4")
    rule = quadrature.strata(3, 3, 4)
    each = [(X - start) * along(start, X, nodes, rule.weights)
            for start, nodes in zip(STARTS, rule.nodes)]
    np.testing.assert_allclose(found["attributions/x"], np.mean(each, 0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["spread/x"], np.std(each, 0), rtol=0, atol=1e-12)
    starts = score(STARTS).mean()
    error = abs(np.mean(each, 0).sum(1) - (score(X) - starts))
    np.testing.assert_allclose(found["completeness_error"], error, rtol=0, atol=1e-12)
    assert plan.described()["method"]["gradients_per_example"] == 9


def test_expected_gradients_are_the_mean_of_integrated_gradients(tmp_path):
    """For squares, dF/dx moves by 2 |x - x'| along the path: one node in each of n cells is off by
    at most 2 |x - x'|^2 / n."""
    def squares(x):
        return tf.reduce_sum(x ** 2, 1)

    builders.save_tf2(tmp_path / "m", squares, {"x": spec([None, 3])})
    steps = 3000
    _, found = found_by(tmp_path, tmp_path / "expected", steps=3 * steps, baseline=BASELINES,
                        method="expected_gradients")
    _, exact = found_by(tmp_path, tmp_path / "exact", steps=1, baseline=BASELINES)
    np.testing.assert_allclose(exact["attributions/x"], np.mean(
        [X ** 2 - start ** 2 for start in STARTS], 0), rtol=0, atol=1e-12)
    bound = np.mean([2 * (X - start) ** 2 for start in STARTS], 0) / steps
    assert (np.abs(found["attributions/x"] - exact["attributions/x"]) <= bound + 1e-12).all()


def test_of_a_linear_function_all_that_sum_agree(tmp_path):
    def linear(x, w):
        return tf.linalg.matvec(x, w)

    builders.save_tf2(tmp_path / "m", linear, {"x": spec([None, 3])}, {"w": WEIGHTS["w"][:, 0]})
    expected = (X - STARTS.mean(0)) * WEIGHTS["w"][:, 0]
    for name in ("expected_gradients", "gradient_x_input"):
        _, found = found_by(tmp_path, tmp_path / name, method=name, baseline=BASELINES)
        np.testing.assert_allclose(found["attributions/x"], expected, rtol=0, atol=1e-12)


# A distribution of interest of one's own --------------------------------------------------------


def test_nodes_of_a_file(folder, tmp_path):
    own = {"nodes": [0.1, 0.5, 1.0], "weights": [0.2, 0.5, 0.3]}
    (tmp_path / "own.json").write_text(json.dumps(own))
    np.savez(tmp_path / "own.npz", **own)
    expected = along(START, X, own["nodes"], own["weights"])
    model, choices = ig_tf.load(str(folder / "m")), {"method": "internal_influence",
                                                     "baseline": {"x": START}}
    plan, found = found_by(folder, tmp_path / "out", rule=f"nodes:{tmp_path / 'own.json'}",
                           **choices)
    np.testing.assert_allclose(found["attributions/x"], expected, rtol=0, atol=1e-12)
    assert plan.described()["rule"]["steps"] == 3
    mine = quadrature.Rule("mine", np.array(own["nodes"]), np.array(own["weights"]), 0)
    for rule in (f"nodes:{tmp_path / 'own.npz'}", mine):
        found = ig_tf.instrument(model, rule=rule, **choices).recipe.rule
        assert found.nodes.tolist() == own["nodes"] and found.weights.tolist() == own["weights"]


# A path of one's own ----------------------------------------------------------------------------


def product(x):
    return x[:, 0] * x[:, 1]


def alone_product(x):
    return product(x) + 0 * tf.reduce_sum(x)


def powers(alpha, x, start):
    """The second number goes late: alpha, and alpha^2."""
    return start + alpha ** tf.constant([1.0, 2.0], x.dtype) * (x - start)


@pytest.mark.parametrize("function", [product, alone_product], ids=["rows", "alone"])
def test_a_path_of_ones_own(tmp_path, function):
    """Of x y from zero, x gets the integral of alpha^2 and y that of 2 alpha^2: a third and two
    thirds, where the straight path gives halves; three nodes are exact."""
    builders.save_tf2(tmp_path / "m", function, {"x": spec([None, 2])})
    _, run = instrumented(tmp_path / "m", tmp_path / "out", steps=3, method=Method(path=powers))
    x = np.array([[3.0, 2.0], [-1.0, 0.5]])
    found = run(x=x)
    np.testing.assert_allclose(found["attributions/x"], np.prod(x, 1)[:, None] * [[1 / 3, 2 / 3]],
                               rtol=1e-12)
    assert found["completeness_error"].max() < 1e-12


def test_a_path_through_a_network_with_baselines_of_its_own(folder, tmp_path):
    """By a loop: the gradient on the path times the path's own derivative."""
    def bent(alpha, x, start):
        return start + alpha * (x - start) + alpha * (1 - alpha) * x * start

    rule, each = quadrature.build("gauss_legendre", 9), []
    for start in STARTS[:2]:
        each.append(sum(weight * gradient(start + a * (X - start) + a * (1 - a) * X * start)
                        * (X - start + (1 - 2 * a) * X * start)
                        for a, weight in zip(rule.nodes, rule.weights)))
    plan, found = found_by(folder, tmp_path / "out", steps=9, baseline=BASELINES[:2],
                           method=Method(path=bent))
    np.testing.assert_allclose(found["attributions/x"], np.mean(each, 0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["spread/x"], np.std(each, 0), rtol=0, atol=1e-12)
    assert plan.described()["method"]["text"] == "integrated_gradients:path=bent"
    with pytest.raises(MethodError, match="a function in Python"):
        methods.resolve(plan.recipe.method.text)


def test_a_path_must_lead_from_the_baseline_to_x(tmp_path):
    builders.save_tf2(tmp_path / "m", product, {"x": spec([None, 2])})
    _, run = instrumented(tmp_path / "m", tmp_path / "out", steps=3,
                          method=Method(path=lambda alpha, x, start: start + 0.9 * alpha * x))
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not lead from the baseline"):
        run(x=np.ones([1, 2]))


# At points of other kinds -----------------------------------------------------------------------


def test_words_get_the_sum_over_their_vector(tmp_path):
    """gradient by id, with a spread by id."""
    def words(ids, table):
        return tf.reduce_sum(tf.cumsum(tf.gather(table, ids), 1) ** 3, [1, 2])

    builders.save_tf2(tmp_path / "m", words, {"ids": spec([None, 4], tf.int64)}, {"table": TABLE})
    ids = np.array([[1, 2, 5, 0], [4, 4, 0, 1]])
    _, run = instrumented(tmp_path / "m", tmp_path / "out", method="smoothgrad:noise=0.2,3,1")
    draws, each = np.random.default_rng(1).normal(0, 0.2, (3, 4, 3)), []
    for draw in draws:
        steps = 3 * np.cumsum(TABLE[ids] + draw, 1) ** 2  # of each place, all before it
        each.append(np.cumsum(steps[:, ::-1], 1)[:, ::-1].sum(2))
    found = run(ids=ids)
    np.testing.assert_allclose(found["attributions/ids"], np.mean(each, 0), rtol=1e-12)
    np.testing.assert_allclose(found["spread/ids"], np.std(each, 0), rtol=1e-10)
    np.testing.assert_array_equal(found["tokens/ids"], ids)


def test_pooled_ids_have_no_share_of_a_gradient(tmp_path):
    """An id's share is of the change; a gradient is given at the pooled vector."""
    def pooled(ids, table):
        rows = tf.where(tf.not_equal(ids, -1))
        values = tf.gather_nd(ids, rows)
        vector = tf.nn.embedding_lookup_sparse(
            table, tf.SparseTensor(rows, values, tf.shape(ids, tf.int64)), None, combiner="sum")
        return tf.reduce_sum(vector ** 2, 1)

    builders.save_tf1(tmp_path / "m", pooled, {"ids": spec([None, 3], tf.int64)}, {"table": TABLE})
    ids = np.array([[1, 2, -1], [5, -1, -1]])
    plan, run = instrumented(tmp_path / "m", tmp_path / "ig", steps=1)
    assert plan.recipe.points[0].bag
    plan, run = instrumented(tmp_path / "m", tmp_path / "out", method="gradient")
    (point,) = plan.recipe.points
    vectors = np.stack([TABLE[1] + TABLE[2], TABLE[5]])
    np.testing.assert_allclose(run(ids=ids)[f"attributions/{point.name}"], 2 * vectors, rtol=1e-12)


# What is claimed --------------------------------------------------------------------------------


def test_no_sum_is_claimed_where_there_is_none(folder, tmp_path):
    """No key in the signature, none in the metadata, a status and a verdict of their own."""
    plan, _ = found_by(folder, tmp_path / "out", method="smoothgrad:noise=0.1,2")
    described = plan.described()
    assert described["method"]["sums"] is False
    assert "do not sum to a difference" in describe.plan_text(described)
    metadata = json.loads((tmp_path / "out/assets.extra/ig_tf.json").read_text())
    assert not {"completeness_error", "relative_error"} & set(metadata["outputs"])
    rows = [{"x": x.tolist()} for x in X] + [{"x": [float("nan"), 0.0, 0.0]}]
    found = ig_tf.attribute(str(tmp_path / "out"), rows)
    assert [row.status for row in found] == ["unchecked"] * 5 + ["invalid_input"]
    assert found[0].completeness_error is None and found[0].relative_error is None
    path = tmp_path / "found.jsonl"
    results.write(str(path), found, found.about)
    assert [row.status for row in results.read(str(path))[1]][:5] == ["unchecked"] * 5
    page = ig_tf.render(found, found.about)
    assert "no sum to check" in page and "add up</" not in page
    checked = checks.text(ig_tf.check(str(tmp_path / "out"), rows[:3]))
    assert "no known difference" in checked and "within the tolerance" not in checked
    box = str(check_view.figure({"rows": [{"status": "unchecked"}], "tolerance": 0.05}))
    assert "no known difference" in box and "are within" not in box


def test_the_check_makes_several_baselines_again(folder, tmp_path):
    """It looks at another artifact of the same baselines: they are drawn, or read, once more."""
    found_by(folder, tmp_path / "out", baseline="uniform:-1,1:3:2")
    found = ig_tf.check(str(tmp_path / "out"), [{"x": x.tolist()} for x in X[:2]])
    assert found.passed and [row.status for row in found.rows] == ["converged"] * 2
    found_by(folder, tmp_path / "python", baseline=BASELINES)
    with pytest.raises(ig_tf.errors.BaselineError, match="given in Python are not kept"):
        ig_tf.check(str(tmp_path / "python"), [{"x": X[0].tolist()}])


def test_calibration_over_several_baselines(folder, tmp_path):
    """Its errors are those of the average, which is what the artifact answers."""
    rows = [{"x": x.tolist()} for x in X]
    plan, found = found_by(folder, tmp_path / "out", baseline=BASELINES[:2],
                           rule="gauss_legendre", steps=Calibration(rows, 0.001))
    assert found["relative_error"].max() < 0.001 and plan.calibration["chosen"]["steps"] < 50


REFUSED = [
    ({"method": "magic"}, "no method 'magic'; there are: integrated_gradients"),
    ({"method": "smoothgrad"}, "say how much, smoothgrad:noise=DEVIATION,COUNT"),
    ({"method": "gradient:noise=1"}, "expected noise=DEVIATION,COUNT"),
    ({"method": "gradient:noise=-1,3"}, "standard deviation of 0 or more"),
    ({"method": "gradient:noise=1,0"}, "1 draw or more"),
    ({"method": "gradient:seed=3"}, "draws no nodes"),
    ({"method": "gradient:path=bent"}, "a function in Python"),
    ({"method": "gradient:often=3"}, "'often=3' of method"),
    ({"method": "gradient", "steps": 20}, "it has no steps"),
    ({"method": "gradient", "rule": "midpoint"}, "it has no rule"),
    ({"method": "expected_gradients", "rule": "midpoint"}, "it has no rule"),
    ({"method": "gradient", "steps": Calibration([])}, "calibration chooses"),
    ({"method": "expected_gradients", "steps": Calibration([])}, "calibration chooses"),
    ({"method": "gradient:noise=1,100", "baseline": "uniform:0,1:100"}, "10000 paths per example"),
    ({"rule": "nodes:gone.npz"}, "nodes:gone.npz: expected an .npz or .json"),
    ({"rule": quadrature.build("midpoint", 3), "steps": 4}, "has 3 nodes; steps asks for 4"),
    ({"method": "expected_gradients", "custom": ("refinement",)}, "nodes that it has"),
    ({"method": "gradient", "custom": ("refinement",)}, "nodes that it has"),
]


@pytest.mark.parametrize("choices, message", REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_refusals(folder, choices, message):
    with pytest.raises((MethodError, quadrature.RuleError), match=message) as caught:
        ig_tf.instrument(ig_tf.load(str(folder / "m")), **choices)
    assert "\n" not in str(caught.value)


def test_noise_needs_a_known_shape(tmp_path):
    def free(x):
        return tf.reduce_sum(x ** 2, 1)

    builders.save_tf2(tmp_path / "m", free, {"x": spec([None, None])})
    with pytest.raises(ig_tf.errors.BaselineError, match="known shape; point 'x' has"):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "m")), method="smoothgrad:noise=1,2")


def test_a_path_is_for_what_is_multiplied_with_the_change():
    for name in ("gradient", "gradient_x_input", "internal_influence"):
        with pytest.raises(MethodError, match="no path of its own"):
            Method(name, path=powers)


def test_a_text_makes_the_same_method_again():
    for text in ("gradient", "smoothgrad:noise=0.1,5,3", "expected_gradients:seed=2:noise=0.5,2,0"):
        method = methods.resolve(text)
        assert methods.resolve(method.text) == method and methods.resolve(method) is method
