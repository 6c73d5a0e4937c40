"""cutkum of the zoo end to end: a frozen recurrent network with time first, as a SavedModel.

Its three GRU layers stand in a while loop of TensorFlow 1 without context, so that TensorFlow has
no gradient of it; the batch is axis 1 of its inputs and of its output. What is answered is held by
the cells written out again from the frozen weights (`gru_stack` of test_loops.py, itself held by
the frozen graph's own answers and by finite differences there), and by finite differences here.
"""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.run import apart, artifact
from ig_tf.run.attribute import some_records
from tests import builders
from tests.test_loops import gru_stack

tf1 = tf.compat.v1
TIME, BATCH, STEPS = 5, 3, 10
STEP, CLASS = 3, 2  # the explained number: class 2 at step 3
INPUTS = ["placeholder/inputs", "placeholder/seq_lengths", "placeholder/fw_state",
          "placeholder/keep_prob"]


@pytest.fixture(scope="module")
def made(zoo_model, tmp_path_factory):
    """(graph_def, what the frozen weights are, the plan, the folder written)."""
    path = zoo_model("cutkum") / "frozen_model.pb"
    graph_def = tf1.GraphDef.FromString(path.read_bytes())
    weights = {node.name: tf.constant(tf.make_ndarray(node.attr["value"].tensor), tf.float64)
               for node in graph_def.node if node.op == "Const"
               and node.attr["dtype"].type == tf.float32.as_datatype_enum}
    plan = ig_tf.instrument(ig_tf.load(path, outputs=["probs"], inputs=INPUTS[:3],
                                       fixes="placeholder/keep_prob:1.0"),
                            target=f"probs:{STEP},{CLASS}", points=["inputs"], steps=STEPS)
    output = tmp_path_factory.mktemp("cutkum") / "out"
    ig_tf.save(plan, output)
    return graph_def, weights, plan, output


def one_hots(seed, time=TIME, batch=BATCH):
    ids = np.random.default_rng(seed).integers(0, 80, (time, batch))
    return np.eye(80, dtype=np.float32)[ids]


def given(x, lengths=None):
    time, batch = x.shape[:2]
    return {"inputs": x, "fw_state": np.zeros((1, batch, 896), np.float32),
            "seq_lengths": np.array([time] * batch if lengths is None else lengths, np.int32)}


def score(weights, x):
    """The explained number of one example [time, 80], in float64 by the unrolled cells."""
    return gru_stack(weights, x[:, None])[STEP, 0, CLASS]


def gradient(weights, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = score(weights, x)
    return tape.gradient(value, x).numpy()


def brute_force(weights, x):
    """IG from zero of one example, one node at a time."""
    nodes, shares = np.polynomial.legendre.leggauss(STEPS)
    return x * sum(share / 2 * gradient(weights, (node + 1) / 2 * x)
                   for node, share in zip(nodes, shares))


def test_the_plan(made):
    """Rows are proved with the examples along axis 1, so steps and examples go through at once."""
    described = made[2].described()
    assert described["batch"]["axes"] == {"fw_state": 1, "inputs": 1, "seq_lengths": 0}
    assert described["chunking"]["mode"] == "rows of (example, step) pairs"
    assert any("axis 1 of fw_state, inputs: proved" in one for one in described["choices"])
    assert [(p["name"], p["shape"]) for p in described["points"]] == [("inputs", [None, None, 80])]


@pytest.mark.parametrize("loader", builders.LOADERS)
def test_both_loaders_agree_with_brute_force(made, loader):
    """float32 in loops of 5 steps: 1e-4 of the largest attribution."""
    _, weights, _, output = made
    x = one_hots(1)
    found = builders.LOADERS[loader](output)(**given(x))
    assert found["attributions/inputs"].shape == (BATCH, TIME, 80)
    for example in range(BATCH):
        own = x[:, example].astype(np.float64)
        expected = brute_force(weights, own)
        np.testing.assert_allclose(found["attributions/inputs"][example], expected, rtol=0,
                                   atol=1e-4 * np.abs(expected).max())
        assert found["prediction"][example] == pytest.approx(
            float(score(weights, tf.constant(own))), rel=1e-4)
        error = abs(expected.sum() - (found["prediction"][example]
                                      - found["baseline_prediction"][example]))
        assert found["completeness_error"][example] == pytest.approx(error, abs=1e-5)


@pytest.mark.parametrize("loader", builders.LOADERS)
def test_the_served_output_is_the_frozen_graphs(made, loader):
    graph_def, _, plan, output = made
    x = one_hots(2)
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    with tf1.Session(graph=graph) as session:
        fed = {f"placeholder/{key}:0": value for key, value in given(x).items()}
        expected = session.run("probs:0", {**fed, "placeholder/keep_prob:0": 1.0})
    signature = plan.model.signature_name
    found = builders.LOADERS[loader](output, signature)(**given(x))
    np.testing.assert_array_equal(found["probs"], expected)


def test_the_gradient_by_finite_differences(made):
    """The cells written out again, which the attributions are compared with, along a direction."""
    _, weights, _, _ = made
    x = one_hots(3)[:, 0].astype(np.float64)
    direction = np.random.default_rng(4).uniform(-1, 1, x.shape)
    exact = (gradient(weights, x) * direction).sum()
    moved = [float(score(weights, tf.constant(x + sign * 1e-5 * direction))) for sign in (1, -1)]
    assert (moved[0] - moved[1]) / 2e-5 == pytest.approx(exact, rel=1e-6)


def test_the_served_gradient_by_differences_of_the_served_output(made, zoo_model, tmp_path):
    """One node in the middle of the path from 0.98 x: the gradient at 0.99 x, element by element,
    against differences of the model's own signature over 0.02: curvature and float32's rounding
    leave less than 1 % of the largest."""
    path = zoo_model("cutkum") / "frozen_model.pb"
    x = one_hots(5, TIME, 1)
    points = {"inputs": (0.98 * x[:, 0]).tolist()}
    model = ig_tf.load(path, outputs=["probs"], inputs=INPUTS[:3],
                       fixes="placeholder/keep_prob:1.0")
    plan = ig_tf.instrument(model, target=f"probs:{STEP},{CLASS}", points=["inputs"], steps=1,
                            baseline=points)
    ig_tf.save(plan, tmp_path / "out")
    found = builders.open_v2(tmp_path / "out")(**given(x))["attributions/inputs"][0]
    serve = builders.open_v2(tmp_path / "out", plan.model.signature_name)
    width = 0.02
    for step, place in zip(*np.nonzero(x[:, 0])):
        # The attribution of a one is 0.02 * dF/dx at 0.99 x; all others are exactly zero.
        ends = []
        for sign in (1, -1):
            moved = 0.99 * x
            moved[step, 0, place] += sign * 1e-2
            ends.append(serve(**given(moved))["probs"][STEP, 0, CLASS])
        difference = width * (float(ends[0]) - float(ends[1])) / 2e-2
        largest = float(np.abs(found).max())
        assert found[step, place] == pytest.approx(difference, abs=1e-2 * largest)
    assert np.count_nonzero(found) <= TIME


def test_shorter_sequences_and_the_batch_one_by_one(made):
    """What lies behind an example's length has no part, and nothing of another example has one."""
    _, _, _, output = made
    run = builders.open_v2(output)
    x = one_hots(6)
    found = run(**given(x, [TIME, TIME - 1, TIME]))
    assert not found["attributions/inputs"][1, TIME - 1:].any()
    for example in range(BATCH):
        own = given(x[:, example:example + 1], [TIME - (example == 1)])
        alone = run(**own)
        largest = np.abs(alone["attributions/inputs"]).max()
        np.testing.assert_allclose(found["attributions/inputs"][example],
                                   alone["attributions/inputs"][0], rtol=0, atol=1e-5 * largest)


def test_records_one_per_row(made, tmp_path):
    """The files of `attribute` and `check` have one record after the other, whatever the axis."""
    _, _, _, output = made
    x = one_hots(7, batch=4)
    np.savez(tmp_path / "in.npz", inputs=x.transpose(1, 0, 2), seq_lengths=[TIME] * 4,
             fw_state=np.zeros((4, 1, 896), np.float32))
    found = ig_tf.attribute(output, tmp_path / "in.npz", batch_size=3)
    whole = builders.open_v2(output)(**given(x))
    assert len(found) == 4
    largest = np.abs(whole["attributions/inputs"]).max()
    for row, one in enumerate(found):
        np.testing.assert_allclose(one.points[0].scores, whole["attributions/inputs"][row], rtol=0,
                                   atol=1e-5 * largest)
    loaded = artifact.load(output)
    checked = apart.measure(loaded, some_records(loaded, tmp_path / "in.npz", 3))
    assert checked.passed and checked.examples == 3 and checked.own > 1e-3, checked


def test_each_step_by_itself(zoo_model, made, tmp_path):
    """[batch, step, input]: each step's score is attributed as if it alone was asked for."""
    path = zoo_model("cutkum") / "frozen_model.pb"
    plan = ig_tf.instrument(ig_tf.load(path, outputs=["probs"], inputs=INPUTS[:3],
                                       fixes="placeholder/keep_prob:1.0"),
                            target=f"probs:each,{CLASS}", points=["inputs"], steps=STEPS)
    assert plan.described()["batch"]["axes"]["inputs"] == 1
    ig_tf.save(plan, tmp_path / "each")
    x = one_hots(8)
    found = builders.open_v2(tmp_path / "each")(**given(x))
    alone = builders.open_v2(made[3])(**given(x))
    assert found["attributions/inputs"].shape == (BATCH, TIME, TIME, 80)
    for key in ("attributions/inputs", "prediction", "baseline_prediction"):
        largest = np.abs(alone[key]).max()
        np.testing.assert_allclose(found[key][:, STEP], alone[key], rtol=0, atol=1e-5 * largest)
    moves = found["prediction"] - found["baseline_prediction"]
    sums = found["attributions/inputs"].sum((2, 3), dtype=np.float64)
    np.testing.assert_allclose(np.abs(sums - moves), found["completeness_error"], atol=1e-5)
    assert np.abs(sums).max() > 1e-2
