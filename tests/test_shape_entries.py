"""Sizes that tf.tensordot forgets are known again: dense layers over sequences, and heads."""

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
from brute_force import brute_force
from builders import spec
from ig_tf.graph import shape_entries

tf1 = tf.compat.v1
RANDOM = np.random.default_rng(0)
WEIGHTS = {"w": RANDOM.normal(size=(6, 8)) / 2, "v": RANDOM.normal(size=(8,))}


def heads(x, w, v):
    """As attention does: project, split into heads, mix the places of each example."""
    split = tf.reshape(tf.tensordot(x, w, [[2], [0]]), [-1, 5, 2, 4])
    shares = tf.nn.softmax(tf.einsum("bqhd,bkhd->bhqk", split, split))
    mixed = tf.reshape(tf.einsum("bhqk,bkhd->bqhd", shares, split), [-1, 5, 8])
    return tf.reduce_sum(tf.tensordot(mixed, v, [[2], [0]]) ** 2, 1)


def test_heads_behind_a_dense_layer_are_proved_to_be_rows(tmp_path):
    builders.save_tf2(tmp_path / "model", heads, {"x": spec([None, 5, 6])}, WEIGHTS)
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=8)
    assert plan.described()["chunking"]["mode"].startswith("rows")
    ig_tf.save(plan, tmp_path / "out")
    x = RANDOM.normal(size=(3, 5, 6))
    found = builders.open_v2(tmp_path / "out")(x=x)["attributions/x"]
    expected = brute_force(lambda x: heads(x, **WEIGHTS), {"x": x}, steps=8)["x"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def gathered(places, axis=0, kind="v2"):
    """Gather out of a shape."""
    with tf.Graph().as_default() as graph:
        shape = tf.shape(tf1.placeholder(tf.float32, [None, 5, 6], name="x"))
        if kind == "v1":
            tf.raw_ops.Gather(params=shape, indices=places, name="y")
        else:
            tf.gather(shape, places, axis=axis, name="y")
    return graph


@pytest.mark.parametrize("kind", ["v1", "v2"])
@pytest.mark.parametrize("places", [[0], [0, 1], [2, 0], [1, 1]])
def test_value_and_name_stay_and_sizes_are_known(places, kind):
    changed = shape_entries.slice_shapes(gathered(places, kind=kind).as_graph_def())
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        tf.graph_util.import_graph_def(changed, name="")
        made = graph.get_operation_by_name("y")
        assert made.type == "Pack"
        found = session.run("y:0", {"x:0": np.zeros((4, 5, 6))})
        np.testing.assert_array_equal(found, np.array([4, 5, 6])[places])
        shaped = tf.raw_ops.Empty(shape=graph.get_tensor_by_name("y:0"), dtype=tf.float32).shape
    assert shaped.as_list() == [(None, 5, 6)[place] for place in places]


def computed():
    with tf.Graph().as_default() as graph:
        x = tf1.placeholder(tf.int32, [3])
        tf.gather(x, [0, 1], name="y")  # no shape
        tf.gather(tf.shape(x), x, name="z")  # no known places
        tf.gather(tf.shape(x), 0, name="scalar")
    return graph


def test_other_gathers_stay_as_they_are():
    before = computed().as_graph_def()
    assert shape_entries.slice_shapes(before) == before


def test_nodes_without_newer_attributes_stay_without():
    """GatherV2 of 1.15 has no batch_dims; an attribute without a value cannot be bound."""
    before = computed().as_graph_def()
    for node in before.node:
        node.attr.pop("batch_dims", None)
    assert shape_entries.slice_shapes(before) == before
