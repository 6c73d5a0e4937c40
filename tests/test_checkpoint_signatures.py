"""Checkpoints whose metagraph has signatures: the one to explain is made to answer where it waits.

The weights are those of sum(w x^3): attributions from zeros are w x^3 in closed form, exactly, with
two nodes or more.
"""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import GraphError, SignatureError
from tests import builders
from tests.test_programs import ig_tf as program

tf1 = tf.compat.v1
WEIGHTS = np.array([1.0, -2.0, 0.5], np.float32)
ROWS = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -4.0], [2.0, 2.0, 2.0]], np.float32)
CUBES = WEIGHTS * ROWS ** 3
PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"


def towers(weights):
    """{signature: (inputs, outputs)} of a training graph: one answers, the others wait."""
    def score(x):
        return tf.reduce_sum(weights * x ** 3, 1)

    x = tf1.placeholder(tf.float32, [None, 3], "x")
    served = score(x)
    parsed = tf.io.parse_single_example(tf1.placeholder(tf.string, [], "record"), {
        "numbers": tf.io.FixedLenFeature([3], tf.float32)})
    queue = tf1.FIFOQueue(20, [tf.float32], [[3]])
    queue.enqueue([parsed["numbers"]])
    rows = queue.dequeue_many(8)
    keep, unknown = tf1.placeholder(tf.float32, [], "p"), tf1.placeholder(tf.float32, [], "what")
    kept = score(x) / keep * tf.floor(keep + tf.random.uniform(tf.shape(served)))
    return {
        "serving_default": ({"x": x}, {"score": served}),
        "training": ({}, {"score": score(rows)}),
        "training_rows": ({}, {"rows": rows}),
        "dropped": ({"x": x}, {"score": kept}),
        "dropout": ({"x": x, "keep": keep}, {"score": kept}),
        "scaled": ({"x": x}, {"score": served * unknown})}


@pytest.fixture(name="prefix", scope="module")
def fixture_prefix(tmp_path_factory):
    with tf.Graph().as_default(), tf1.Session() as session:
        found = towers(tf1.get_variable("weights", initializer=WEIGHTS))
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver()
        prefix = saver.save(session, str(tmp_path_factory.mktemp("towers") / "ckpt"))
        meta = tf1.train.export_meta_graph(saver_def=saver.saver_def)
        for name, (inputs, outputs) in found.items():
            infos = [{key: tf1.saved_model.build_tensor_info(tensor)
                      for key, tensor in part.items()} for part in (inputs, outputs)]
            meta.signature_def[name].CopyFrom(tf1.saved_model.build_signature_def(
                *infos, method_name=CLASSIFY if name == "dropped" else PREDICT))
    pathlib.Path(prefix + ".meta").write_bytes(meta.SerializeToString())
    return prefix


def signatures(model):
    return sorted(model.meta_graph.signature_def)


def test_what_answers_is_read_as_it_is(prefix):
    model = ig_tf.load(prefix)
    assert (model.feeds, model.fixes) == ((), ())
    assert signatures(model) == ["dropout", "serving_default"]


def test_a_signature_that_waits_for_a_queue(prefix, tmp_path):
    """Any batch by both loaders; what does not read the queue is served as it was."""
    model = ig_tf.load(prefix, signature="training")
    feed, = model.feeds
    assert (feed.name, feed.shape.as_list(), feed.fixed) == ("numbers", [None, 3], 8)
    assert signatures(model) == ["dropout", "serving_default", "training"]
    assert not [node.op for node in model.graph_def.node if "Queue" in node.op]
    shape = model.signature.outputs["score"].tensor_shape
    assert [dim.size for dim in shape.dim] == [-1]  # it was 8
    kept = ig_tf.load(prefix).meta_graph.signature_def["serving_default"]
    assert model.meta_graph.signature_def["serving_default"] == kept
    metadata = ig_tf.save(ig_tf.instrument(model, steps=3), tmp_path / "out")
    assert [one["tensor"] for one in metadata["feeds"]] == [feed.tensor]
    for loader in builders.LOADERS.values():
        for count in (1, 3):
            answer = loader(tmp_path / "out")(numbers=ROWS[:count])
            np.testing.assert_allclose(answer["attributions/numbers"], CUBES[:count], rtol=1e-5)
            answer = loader(tmp_path / "out", "training")(numbers=ROWS[:count])
            np.testing.assert_allclose(answer["score"], CUBES[:count].sum(1), rtol=1e-5)
        answer = loader(tmp_path / "out", "serving_default")(x=ROWS)
        np.testing.assert_allclose(answer["score"], CUBES.sum(1), rtol=1e-5)


def test_signatures_that_nobody_could_call_are_left_out(prefix):
    """TensorFlow 2 would load nothing with them; what is left out is said."""
    said = " ".join(ig_tf.load(prefix).chosen)
    assert "signature dropped is not served: it needs p:0 and does not take it" in said
    assert "signature scaled is not served: it needs what:0" in said
    assert "signature training is not served: it waits for fifo_queue (explain it" in said
    model = ig_tf.load(prefix, signature="dropped")
    assert signatures(model) == ["dropped", "serving_default"]
    assert "signature dropout is not served: p:0 is no longer what it" in " ".join(model.chosen)


def test_a_scalar_that_the_signature_forgot(prefix, tmp_path):
    model = ig_tf.load(prefix, signature="dropped")
    fix, = model.fixes
    assert (fix.placeholder, fix.value) == ("p", 1.0)
    assert list(model.inputs()) == ["x"] and model.signature.method_name == CLASSIFY
    assert any("keeps everything" in note for note in model.chosen)
    ig_tf.save(ig_tf.instrument(model, steps=3), tmp_path / "out")
    for loader in builders.LOADERS.values():
        np.testing.assert_allclose(loader(tmp_path / "out")(x=ROWS)["attributions/x"], CUBES,
                                   rtol=1e-5)
    with pytest.raises(GraphError, match="random ops are active"):
        ig_tf.instrument(ig_tf.load(prefix, signature="dropped", fixes="p:0.5"))


def test_a_scalar_that_nobody_knows(prefix):
    """It is asked for, and taken."""
    with pytest.raises(SignatureError, match="'what:0' to be fed.*--fix"):
        ig_tf.load(prefix, signature="scaled")
    model = ig_tf.load(prefix, signature="scaled", fixes={"what": 2.0})
    assert [one.value for one in model.fixes] == [2.0]


def test_feeds_and_fixes_that_are_not_there(prefix):
    for asked in ({"feeds": "nothing:x"}, {"fixes": "nothing:1"}):
        with pytest.raises(SignatureError, match="nothing"):
            ig_tf.load(prefix, **asked)


def test_inspect_lists_the_feeds(prefix):
    """On the command line, named as asked."""
    status, said, _ = program("inspect", f"--model={prefix}", "--signature=training",
                              "--feed=fifo_queue_DequeueMany:0:vectors", "--format=json")
    assert status == 0
    feed, = json.loads(said)["feeds"]
    assert feed["name"] == "vectors" and "in batches of 8" in feed["source"]
