"""Scalars that a graph needs: recognised by structure, by name; dropout that draws no more."""

import numpy as np
import pytest
import tensorflow as tf

from ig_tf.errors import SignatureError
from ig_tf.model import feeds
from ig_tf.model.fixes import parsed
from tests.test_feeds import run, written_by_1_15

tf1 = tf.compat.v1
ROWS = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -4.0]], np.float32)


def graph_of(build):
    """The GraphDef of `build(x)`, its result named `y`; conditions are Switch and Merge."""
    with tf.Graph().as_default() as graph:
        tf1.disable_control_flow_v2()
        try:
            tf.identity(build(tf1.placeholder(tf.float32, [None, 3], "x")), name="y")
        finally:
            tf1.enable_control_flow_v2()
        return graph.as_graph_def()


def graph_with_functions(build):
    with tf.Graph().as_default() as graph:
        tf1.enable_control_flow_v2()
        tf.identity(build(tf1.placeholder(tf.float32, [None, 3], "x")), name="y")
        return graph.as_graph_def()


def scalar(name, dtype=tf.float32, shape=()):
    return tf1.placeholder(dtype, shape, name)


def uniform(x):
    return tf.random.uniform(tf.shape(x))


def floored(x, keep):
    """tf.nn.dropout before 1.13."""
    return x / keep * tf.floor(keep + uniform(x))


def drawn_in_range(x, keep):
    """The same with the range written out, as 1.x draws numbers."""
    drawn = uniform(x) * tf.constant(1.0) + tf.constant(0.0)
    return x / keep * tf.floor(keep + drawn)


def from_rate(x, keep):
    """tf.nn.dropout(keep_prob) of 1.13 to 1.15 makes a rate of it, and a probability again."""
    rate = 1 - keep
    scale = 1 / (1 - rate)
    return x * scale * tf.cast(uniform(x) >= rate, tf.float32)


def by_rate(x, rate):
    """tf.nn.dropout(rate) of 2.x."""
    return tf.where(uniform(x) >= rate, x / (1 - rate), tf.zeros([]))


def less_than(x, keep):
    return x * tf.cast(uniform(x) < keep, tf.float32)


def drop_where(x, rate):
    return tf.where(uniform(x) < rate, tf.zeros_like(x), x)


def noise(x, spread):
    return x + spread * tf.random.normal(tf.shape(x))


def by_a_reshaped_mask(x, keep):
    """One number does not do for the mask here: its shape matters."""
    return x * tf.reshape(tf.floor(keep + tf.random.uniform([1, 1, 3])), [1, 3])


def in_a_loop(x, keep, dropout=floored):
    """As a recurrent net's wrapper: the probability enters a loop."""
    def body(step, value):
        return step + 1, tf.ensure_shape(dropout(value, keep), [None, 3])

    return tf1.while_loop(lambda step, value: step < 3, body, [0, x])[1]


def reshaped_in_a_loop(x, keep):
    return in_a_loop(x, keep, by_a_reshaped_mask)


DROPOUTS = [(floored, 1.0), (drawn_in_range, 1.0), (from_rate, 1.0), (by_rate, 0.0),
            (less_than, 1.0), (drop_where, 0.0), (noise, 0.0), (by_a_reshaped_mask, 1.0),
            (in_a_loop, 1.0), (reshaped_in_a_loop, 1.0)]


@pytest.mark.parametrize("shape", [(), None], ids=["scalar", "no-shape"])
@pytest.mark.parametrize("dropout, value", DROPOUTS, ids=lambda one: getattr(one, "__name__", ""))
def test_dropout_is_recognised_by_what_it_does(dropout, value, shape):
    """The name says nothing here; the answer is x itself, twice the same."""
    graph_def = graph_of(lambda x: dropout(x, scalar("p", shape=shape)))
    one, = feeds.required(graph_def, ["y"], ["x:0"])
    assert (one.placeholder, one.value) == ("p", value)
    assert "by the graph" in one.reason
    prepared = feeds.prepare(graph_def, ["y"], given=["x:0"])
    assert prepared.random == () and prepared.open == ()
    left = {node.op for node in tf1.graph_util.extract_sub_graph(
        prepared.graph_def, ["y"]).node}
    assert not [op for op in left if "Random" in op]
    for count in (1, 2):
        np.testing.assert_allclose(run(prepared.graph_def, "y:0", {"x:0": ROWS[:count]}),
                                   ROWS[:count], rtol=1e-6)


@pytest.mark.parametrize("dropout, value", DROPOUTS, ids=lambda one: getattr(one, "__name__", ""))
def test_dropout_left_active_is_named(dropout, value):
    graph_def = graph_of(lambda x: dropout(x, scalar("p")))
    prepared = feeds.prepare(graph_def, ["y"], fixed={"p": 0.5}, given=["x:0"])
    assert len(prepared.random) == 1
    assert "andom" in prepared.random[0]


def test_fixture_of_1_15():
    """tf.nn.dropout and tf.cond as 1.15.5 writes them."""
    prepared = feeds.prepare(written_by_1_15("condition_of_queues"), ["scores"])
    assert {one.placeholder: one.value for one in prepared.fixes} == {
        "is_training": False, "keep_prob": 1.0}
    active = feeds.prepare(written_by_1_15("condition_of_queues"), ["scores"],
                           fixed="keep_prob:0.7")
    assert active.random == ("dropout/random_uniform/RandomUniform",)


@pytest.mark.parametrize("name, dtype, value", [
    ("keep_prob", tf.float32, 1.0), ("net/dropout_keep_prob_1", tf.float32, 1.0),
    ("dropout_rate", tf.float32, 0.0), ("is_training", tf.bool, False), ("phase", tf.bool, False),
    ("train", tf.bool, False), ("phase_train", tf.bool, False), ("is_test", tf.bool, True),
    ("keras_learning_phase", tf.int32, 0), ("inference", tf.bool, True)])
def test_recognised_by_name(name, dtype, value):
    graph_def = graph_of(lambda x: x * tf.cast(scalar(name, dtype), tf.float32))
    one, = feeds.required(graph_def, ["y"], ["x"])
    assert (one.placeholder, one.value) == (name, value)
    assert type(one.value) is type(value) and "by its name" in one.reason


@pytest.mark.parametrize("name, dtype", [
    ("dropout", tf.float32), ("batch_size", tf.int32), ("alpha", tf.float32), ("flag", tf.bool)])
def test_not_guessed(name, dtype):
    graph_def = graph_of(lambda x: x * tf.cast(scalar(name, dtype), tf.float32))
    one, = feeds.required(graph_def, ["y"], ["x"])
    assert one.value is None and f"--fix={name}:VALUE" in one.reason
    prepared = feeds.prepare(graph_def, ["y"], given=["x:0"])
    assert [one.placeholder for one in prepared.open] == [name]
    assert feeds.prepare(graph_def, ["y"], fixed=f"{name}:1", given=["x:0"]).open == ()
    assert feeds.prepare(graph_def, ["y"], f"{name}:an_input", given=["x:0"]).open == ()


def test_data_is_not_taken_for_a_scalar():
    """No shape, no sign of being a scalar; strings; what is given; what nothing needs."""
    graph_def = graph_of(lambda x: x + tf1.placeholder(tf.float32, name="other"))
    assert feeds.required(graph_def, ["y"], ["x"]) == ()
    graph_def = graph_of(lambda x: x + tf.strings.to_number(scalar("text", tf.string)))
    assert feeds.required(graph_def, ["y"], ["x"]) == ()
    graph_def = graph_of(lambda x: x * scalar("keep_prob"))
    assert feeds.required(graph_def, ["y"], ["x", "keep_prob:0"]) == ()
    assert feeds.required(graph_def, ["x"]) == ()


def test_data_of_unknown_shape_is_no_scalar():
    """Noise times the input: with 0 it would be gone, but an input is what it is."""
    graph_def = graph_of(lambda x: tf.matmul(
        tf1.placeholder(tf.float32, name="data"), tf.ones([3, 3])) + (
            tf.random.normal([1]) * graph_input("data")))
    assert feeds.required(graph_def, ["y"], ["x"]) == ()


def graph_input(name):
    return tf1.get_default_graph().get_tensor_by_name(name + ":0")


def normalised(x, training):
    """Batch statistics in training, kept ones else, by ops of their own."""
    kept = tf1.get_variable("moving_mean", [3], initializer=tf1.zeros_initializer())
    mean, variance = tf.nn.moments(x, [0])
    return (x - tf1.cond(training, lambda: mean, lambda: kept.read_value())) * (
        tf1.cond(training, lambda: tf1.rsqrt(variance), lambda: tf.ones([3])))


def fused(x, training):
    picture = tf.reshape(x, [-1, 1, 1, 3])
    ones, zeros = tf.ones([3]), tf.zeros([3])

    def batch():
        return tf1.nn.fused_batch_norm(picture, ones, zeros, is_training=True)[0]

    def kept():
        return tf1.nn.fused_batch_norm(picture, ones, zeros, zeros, ones, is_training=False)[0]

    return tf.reshape(tf1.cond(training, batch, kept), [-1, 3])


def dropped(x, training):
    return tf1.cond(training, lambda: floored(x, 0.5), lambda: x)


@pytest.mark.parametrize("graph_from", [graph_of, graph_with_functions])
@pytest.mark.parametrize("layer", [normalised, fused, dropped])
def test_switches_of_training_by_what_they_run(layer, graph_from):
    graph_def = graph_from(lambda x: layer(x, scalar("p", tf.bool)))
    one, = feeds.required(graph_def, ["y"], ["x"])
    assert one.value is False and "by the graph" in one.reason
    assert feeds.prepare(graph_def, ["y"], given=["x:0"]).random == ()
    turned = graph_from(lambda x: layer(x, tf.logical_not(scalar("p", tf.bool))))
    one, = feeds.required(turned, ["y"], ["x"])
    assert one.value is True
    if layer is dropped:
        active = feeds.prepare(graph_def, ["y"], fixed="p:true", given=["x:0"]).random
        assert len(active) == 1 and "RandomUniform" in active[0]


def test_a_phase_as_a_number():
    graph_def = graph_of(lambda x: dropped(x, tf.equal(scalar("p", tf.int32), 1)))
    one, = feeds.required(graph_def, ["y"], ["x"])
    assert one.value == 0 and "by the graph" in one.reason


def test_stateless_numbers_of_a_constant_seed_are_constant():
    graph_def = graph_of(lambda x: x * tf.random.stateless_uniform([3], [1, 2]))
    assert feeds.active_random(graph_def, ["y"]) == ()
    graph_def = graph_of(lambda x: x * tf.random.stateless_uniform(tf.shape(x), [1, 2]))
    assert len(feeds.active_random(graph_def, ["y"])) == 1


@pytest.mark.parametrize("build", [
    lambda x: x + uniform(x), lambda x: x * tf.floor(uniform(x) * 2),
    lambda x: x * tf.cast(uniform(x) >= 0.5, tf.float32),
    lambda x: x * tf.floor(1.5 + uniform(x)), lambda x: x - tf.random.shuffle(x),
    lambda x: x * tf.cast(uniform(x) <= 0.0, tf.float32)])
def test_what_depends_on_the_draw_stays_active(build):
    graph_def = graph_of(build)
    assert len(feeds.active_random(graph_def, ["y"])) == 1
    same, changed = feeds.neutralise(graph_def, ["y"])
    assert changed == () and same == graph_def


def test_a_mask_of_a_written_down_shape_takes_any_batch():
    """Python writes the shape as a constant where the batch size is known."""
    graph_def = graph_of(
        lambda x: x * tf.cast(tf.random.uniform([8, 3]) >= scalar("rate"), tf.float32))
    prepared = feeds.prepare(graph_def, ["y"], given=["x:0"])
    np.testing.assert_array_equal(run(prepared.graph_def, "y:0", {"x:0": ROWS}), ROWS)


@pytest.mark.parametrize("dtype, text, value", [
    (tf.float32, "0.5", 0.5), (tf.float64, 2, 2.0), (tf.int32, "3", 3), (tf.bool, "false", False),
    (tf.bool, "True", True), (tf.bool, "1", True), (tf.bool, False, False),
    (tf.float16, "1.0", 1.0), (tf.string, "a", b"a")])
def test_fix_reads_a_value_by_type(dtype, text, value):
    graph_def = graph_of(lambda x: x)
    with tf.Graph().as_default() as graph:
        scalar("p", dtype)
        graph_def = graph.as_graph_def()
    fixed = feeds.fix(graph_def, {"p:0": text})
    found = run(fixed, "p:0")
    assert found == value and tf.as_dtype(fixed.node[0].attr["dtype"].type) == dtype


@pytest.mark.parametrize("dtype, shape, value, message", [
    (tf.float32, (), "half", "is no float32"), (tf.int32, (), "0.5", "is no int32"),
    (tf.int32, (), 0.5, "rounded"), (tf.bool, (), "maybe", "is no bool"),
    (tf.float32, (), [1.0, 2.0], "has shape"), (tf.float32, (None,), "1.0", "has shape")])
def test_fix_refuses(dtype, shape, value, message):
    with tf.Graph().as_default() as graph:
        scalar("p", dtype, shape)
        graph_def = graph.as_graph_def()
    with pytest.raises(SignatureError, match=message):
        feeds.fix(graph_def, {"p": value})


def test_fix_fills_shapes_and_overrides_defaults():
    with tf.Graph().as_default() as graph:
        scalar("filled", tf.float32, (2,))
        tf1.placeholder_with_default(0.5, [], "default")
        graph_def = graph.as_graph_def()
    fixed = feeds.fix(graph_def, {"filled": 3, "default": "1.0"})
    assert run(fixed, "filled:0").tolist() == [3, 3] and run(fixed, "default:0") == 1
    with pytest.raises(SignatureError, match="no placeholder of that name; the graph has: filled"):
        feeds.fix(graph_def, {"nothing": 1})


def test_parsed():
    assert parsed("a/keep_prob:1.0, is_training:false") == {
        "a/keep_prob": "1.0", "is_training": "false"}
    assert parsed("keep_prob:0:1.0") == {"keep_prob:0": "1.0"}
    for text in ("keep_prob", ":1", "keep_prob:"):
        with pytest.raises(SignatureError, match="PLACEHOLDER:VALUE"):
            parsed(text)
