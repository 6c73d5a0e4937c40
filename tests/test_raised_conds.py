"""Conditions of TensorFlow 1 whose predicate is data: variables, nesting, several outputs.

What an answer must be is computed from the original graph while it is still live, where its
conditions have their contexts: TensorFlow's own gradient, fed place by place along the path.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import ig_tf
from brute_force import brute_force_in_session
from builders import old_control_flow, open_v1, open_v2
from ig_tf.errors import GraphError

v1 = tf.compat.v1
STEPS = 12
X = np.array([[0.7, -1.1], [1.3, 0.4], [-0.5, -0.9]], np.float32)
WEIGHTS = np.array([[0.6, -0.3, 0.8], [-0.7, 0.9, 0.2]], np.float32)
TABLE = np.array([[0.1, 0.9], [-0.8, 0.3], [0.5, -0.6], [1.2, 0.4]], np.float32)


@dataclasses.dataclass(frozen=True)
class Case:
    """A model.

    Attributes:
      build: function(variable(name, value) -> tensor) -> {input: placeholder}, F [batch].
      inputs: values of the inputs besides x, a list of such.
      alone: whether the batch decides, so that each example is its own truth.
    """

    build: object
    inputs: tuple = ({},)
    alone: bool = False


FLAGS = ({"flag": True}, {"flag": False})


def given():
    return v1.placeholder(tf.float32, [None, 2], name="x"), v1.placeholder(tf.bool, [], name="flag")


def read_in_branches(variable):
    """Each branch reads a variable of its own, and one is read in both."""
    x, flag = given()
    first, second = variable("first", WEIGHTS), variable("second", WEIGHTS[::-1].copy())
    y = v1.cond(flag, lambda: tf.reduce_sum(tf.tanh(tf.matmul(x, first)) * second[0], 1),
                lambda: tf.reduce_sum(tf.matmul(x, first) ** 2, 1))
    return {"x": x, "flag": flag}, y


def nested(variable):
    """A condition in a condition, the inner one by a number computed from a variable."""
    x, flag = given()
    low = v1.placeholder(tf.float32, [], name="low")
    weights = variable("weights", WEIGHTS)

    def inner():
        h = tf.matmul(x, weights)
        return v1.cond(tf.reduce_sum(weights) > low, lambda: tf.reduce_sum(tf.tanh(h), 1),
                       lambda: tf.reduce_sum(h ** 3 * weights[0], 1))

    y = v1.cond(flag, inner, lambda: tf.reduce_sum(x, 1)) ** 2
    return {"x": x, "flag": flag, "low": low}, y


def several_outputs(variable):
    """Two outputs of one condition; in one branch each, an outer value goes through as it is."""
    x, flag = given()
    weights = variable("weights", WEIGHTS)
    h = tf.tanh(tf.matmul(x, weights))
    first, second = v1.cond(flag, lambda: (h, tf.matmul(x ** 2, weights)),
                            lambda: (tf.matmul(x, weights) ** 2, h))
    return {"x": x, "flag": flag}, tf.reduce_sum(first * second, 1)


def one_after_another(variable):
    """The second condition has the same predicate and reads the first."""
    x, flag = given()
    weights = variable("weights", WEIGHTS)
    h = v1.cond(flag, lambda: tf.matmul(x, weights), lambda: tf.matmul(x, -weights) ** 2)
    h = v1.cond(flag, lambda: tf.tanh(h), lambda: h * weights[1])
    return {"x": x, "flag": flag}, tf.reduce_sum(h ** 2, 1)


def effects(variable):
    """A check, a message and a counter hang on what the branches compute."""
    x, flag = given()
    weights = variable("weights", WEIGHTS)
    counter = v1.get_variable("counter", initializer=0, use_resource=True, trainable=False)

    def checked():
        assertion = tf.debugging.Assert(tf.reduce_all(x < 1e6), [x])
        message = tf.print("branch", output_stream="file:///dev/null")
        with tf.control_dependencies([assertion, message]):
            return tf.reduce_sum(tf.tanh(tf.matmul(x, weights)), 1)

    def counted():
        with tf.control_dependencies([counter.assign_add(1)]):
            return tf.reduce_sum(tf.matmul(x, weights) ** 2, 1)

    return {"x": x, "flag": flag}, v1.cond(flag, checked, counted)


def by_the_batch(variable):
    """The predicate is a reduction of what is attributed: another branch along the path."""
    x, _ = given()
    weights = variable("weights", WEIGHTS)
    y = v1.cond(tf.reduce_sum(x) > 0.3, lambda: tf.reduce_sum(tf.tanh(tf.matmul(x, weights)), 1),
                lambda: tf.reduce_sum(tf.matmul(x, weights) ** 3, 1))
    return {"x": x}, y


def by_other_inputs(variable):
    """The predicate is a reduction over the batch of what is not attributed."""
    x, _ = given()
    count = v1.placeholder(tf.int32, [None], name="count")
    weights = variable("weights", WEIGHTS)
    y = v1.cond(tf.reduce_max(count) > 3, lambda: tf.reduce_sum(tf.tanh(tf.matmul(x, weights)), 1),
                lambda: tf.reduce_sum(tf.matmul(x, weights) ** 2, 1))
    return {"x": x, "count": count}, y


def a_loop_in_a_branch(variable):
    """One branch turns a loop that reads a variable."""
    x, flag = given()
    weights = variable("square", WEIGHTS[:, :2])

    def turned():
        return tf.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, tf.tanh(h @ weights)),
                             (tf.constant(0), x))[1]

    return {"x": x, "flag": flag}, tf.reduce_sum(v1.cond(flag, turned, lambda: x ** 2), 1)


CASES = {
    "read_in_branches": Case(read_in_branches, FLAGS),
    "nested": Case(nested, ({"flag": True, "low": 0.0}, {"flag": True, "low": 9.0},
                            {"flag": False, "low": 0.0})),
    "several_outputs": Case(several_outputs, FLAGS),
    "one_after_another": Case(one_after_another, FLAGS),
    "effects": Case(effects, FLAGS),
    "by_the_batch": Case(by_the_batch, alone=True),
    "by_other_inputs": Case(by_other_inputs, ({"count": np.array([1, 5, 2], np.int32)},), True),
    "a_loop_in_a_branch": Case(a_loop_in_a_branch, FLAGS),
}
KINDS = ("resource", "ref", "frozen")
TRIED = [(name, "resource") for name in CASES] + [
    ("read_in_branches", "ref"), ("several_outputs", "ref"), ("nested", "frozen"),
    ("one_after_another", "frozen"), ("by_the_batch", "ref")]


@dataclasses.dataclass(frozen=True)
class Truth:
    attributions: np.ndarray
    prediction: np.ndarray
    baseline_prediction: np.ndarray


def truth(session, inputs, y, values):
    """Attributions from zeros to x of the live graph."""
    feed = {inputs[name]: value for name, value in values.items()}
    (found,) = brute_force_in_session(session, y, [inputs["x"]], feed, STEPS)
    start = {**feed, inputs["x"]: np.zeros_like(values["x"])}
    return Truth(found, session.run(y, feed), session.run(y, start))


def one_by_one(session, inputs, y, values):
    """The same where each example is a batch of its own."""
    found = [truth(session, inputs, y, {name: value[k:k + 1] for name, value in values.items()})
             for k in range(len(values["x"]))]
    return Truth(*(np.concatenate([getattr(one, field.name) for one in found])
                   for field in dataclasses.fields(Truth)))


def saved(case, kind, folder):
    """Writes a model, and returns what its answers must be."""
    with tf.Graph().as_default() as graph, v1.Session() as session, old_control_flow():
        def variable(name, value):
            return v1.get_variable(name, initializer=value, use_resource=kind == "resource")
        inputs, y = case.build(variable)
        y = tf.identity(y, "y")
        assert {"Switch", "Merge"} <= {op.type for op in graph.get_operations()}
        graph_def = graph.as_graph_def()
        session.run(v1.global_variables_initializer())
        answer = one_by_one if case.alone else truth
        if kind != "frozen":
            v1.saved_model.simple_save(session, str(folder), inputs, {"y": y})
        else:
            frozen = v1.graph_util.convert_variables_to_constants(session, graph_def, ["y"])
            freeze(frozen, inputs, folder)
        return [answer(session, inputs, y, {"x": X, **values}) for values in case.inputs]


def freeze(graph_def, inputs, folder):
    with tf.Graph().as_default() as graph, v1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        find = graph.get_tensor_by_name
        v1.saved_model.simple_save(session, str(folder), {
            name: find(tensor.name) for name, tensor in inputs.items()}, {"y": find("y:0")})


def compare(run, case, truths):
    assert case.inputs
    for values, expected in zip(case.inputs, truths, strict=True):
        found = run(x=X, **values)
        scale = max(np.abs(expected.attributions).max(), 1e-3)
        np.testing.assert_allclose(found["attributions/x"], expected.attributions,
                                   atol=2e-5 * scale, rtol=2e-5)
        np.testing.assert_allclose(found["prediction"], expected.prediction, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["baseline_prediction"], expected.baseline_prediction,
                                   rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name,kind", TRIED)
def test_attributions_are_those_of_the_live_graph(name, kind, tmp_path):
    case = CASES[name]
    truths = saved(case, kind, tmp_path / "m")
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "m"), steps=STEPS)
    assert (plan.recipe.reason is not None) == case.alone
    ig_tf.save(plan, tmp_path / "out")
    compare(open_v1(tmp_path / "out"), case, truths)
    if kind == "resource":
        compare(open_v2(tmp_path / "out"), case, truths)


def test_no_condition_is_switched_in_what_is_added(tmp_path):
    """The function of the signature holds functional Ifs; the model's own nodes stay."""
    saved(CASES["nested"], "resource", tmp_path / "m")
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "m"), steps=2), tmp_path / "out")
    before, after = (meta_graph(tmp_path / name) for name in ("m", "out"))
    added = [node.op for function in after.graph_def.library.function
             for node in function.node_def]
    assert {"If", "StatelessIf"} & set(added) and not {"Switch", "Merge"} & set(added)
    own = {node.name: node for node in after.graph_def.node}
    assert all(own[node.name] == node for node in before.graph_def.node)


def meta_graph(folder):
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((folder / "saved_model.pb").read_bytes())
    return proto.meta_graphs[0]


def ids_in_branches(variable, lookup):
    """Rows of one table or another, or numbers from integers, by a flag; both of the same ids."""
    ids = v1.placeholder(tf.int32, [None, 2], name="ids")
    flag = v1.placeholder(tf.bool, [], name="flag")
    if lookup:
        first, second = variable("first", TABLE), variable("second", TABLE[::-1].copy())
        h = v1.cond(flag, lambda: tf.gather(first, ids), lambda: tf.gather(second, ids))
        y = tf.reduce_sum(h ** 3 * WEIGHTS[:, :2], [1, 2])
    else:
        h = v1.cond(flag, lambda: tf.cast(ids, tf.float32), lambda: tf.cast(ids, tf.float32) * 2)
        y = tf.reduce_sum(h ** 3 * WEIGHTS[0, :2], 1)
    return {"ids": ids, "flag": flag}, y


@pytest.mark.parametrize("lookup", [True, False])
def test_integers_in_branches(lookup, tmp_path):
    """The place of attribution is the condition's result, which is there whatever the flag says;
    a cube from zero is the cube, value by value."""
    with tf.Graph().as_default(), v1.Session() as session, old_control_flow():
        def variable(name, value):
            return v1.get_variable(name, initializer=value, use_resource=True)
        inputs, y = ids_in_branches(variable, lookup)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "m"), inputs, {"y": y})
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "m"), steps=4)
    (point,) = plan.recipe.points
    assert point.tensor == "cond/Merge:0" and point.kind == ("tokens" if lookup else "dense")
    ig_tf.save(plan, tmp_path / "out")
    run, ids = open_v1(tmp_path / "out"), np.array([[1, 3], [0, 2]], np.int32)
    for flag in (True, False):
        found = run(ids=ids, flag=flag)
        if lookup:
            rows = (TABLE if flag else TABLE[::-1])[ids]
            expected = (rows ** 3 * WEIGHTS[:, :2]).sum(-1)
            np.testing.assert_array_equal(found[f"tokens/{point.name}"], ids)
        else:
            expected = (ids * (1 if flag else 2)) ** 3 * WEIGHTS[0, :2]
        np.testing.assert_allclose(found[f"attributions/{point.name}"], expected, rtol=2e-5,
                                   atol=1e-6)


def which_branch(x, flag, weights):
    """The Merge's number of the branch is read: no If says it."""
    h = v1.cond(flag, lambda: tf.tanh(x), lambda: x * weights)
    number = tf.identity(h.op.inputs[0].graph.get_operation_by_name("cond/Merge").outputs[1])
    return h * tf.cast(number + 1, tf.float32)


def test_what_cannot_be_raised_stays_and_works(tmp_path):
    """Its gradient is TensorFlow's for Switch and Merge."""
    with tf.Graph().as_default(), v1.Session() as session, old_control_flow():
        x, flag = given()
        y = tf.reduce_sum(which_branch(x, flag, tf.constant([2.0, 3.0])) ** 2, 1)
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x, "flag": flag}, {"y": y})
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "m"), steps=8)
    assert "read as a number" in plan.recipe.work.refused["cond/Merge"]
    ig_tf.save(plan, tmp_path / "out")
    found = open_v1(tmp_path / "out")(x=X, flag=False)
    # In cond the first input of a Merge is that of the branch where the predicate is False.
    np.testing.assert_allclose(found["attributions/x"], (X * [2, 3]) ** 2, rtol=1e-5)


def test_a_variable_in_a_branch_that_stays_is_refused_by_name(tmp_path):
    with tf.Graph().as_default(), v1.Session() as session, old_control_flow():
        x, flag = given()
        weights = v1.get_variable("weights", initializer=[2.0, 3.0], use_resource=True)
        y = tf.reduce_sum(which_branch(x, flag, weights) ** 2, 1)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x, "flag": flag}, {"y": y})
    with pytest.raises(GraphError, match="(?s)weights.*read as a number"):
        ig_tf.instrument(ig_tf.load(tmp_path / "m"))
