"""SavedModels whose signature waits for what nobody feeds: explained, and left as they are."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import ig_tf
from ig_tf.errors import GraphError, SignatureError
from ig_tf.run import artifact
from tests import builders, zoo_inputs
from tests.test_programs import ig_tf as ig_tf_program

tf1 = tf.compat.v1
WEIGHTS = np.array([1.0, -2.0, 0.5], np.float32)
ROWS = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -4.0], [2.0, 2.0, 2.0]], np.float32)
CUBES = WEIGHTS * ROWS ** 3  # attributions of sum(w x^3) against zeros, in closed form


def save(path, build):
    """A SavedModel of `build(weights) -> (inputs, outputs)`; conditions are Switch and Merge."""
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.disable_control_flow_v2()
        try:
            weights = tf1.get_variable("weights", initializer=WEIGHTS, use_resource=False)
            inputs, outputs = build(weights)
        finally:
            tf1.enable_control_flow_v2()
        session.run(tf1.global_variables_initializer())
        signature = tf1.saved_model.build_signature_def(
            {name: tf1.saved_model.build_tensor_info(one) for name, one in inputs.items()},
            {name: tf1.saved_model.build_tensor_info(one) for name, one in outputs.items()})
        builder = tf1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map={"serving_default": signature})
        builder.save()
    return str(path)


def dropped(weights):
    """A dropout between, whose probability the signature forgot; the name says nothing."""
    x = tf1.placeholder(tf.float32, [None, 3], "x")
    keep = tf1.placeholder(tf.float32, name="p")
    kept = x ** 3 / keep * tf.floor(keep + tf.random.uniform(tf.shape(x)))
    return {"x": x}, {"score": tf.reduce_sum(weights * kept, 1)}


def queued(weights):
    """Nothing but a queue: batches of 8, written into a shape too."""
    parsed = tf.io.parse_single_example(tf1.placeholder(tf.string, [], "record"), {
        "numbers": tf.io.FixedLenFeature([3], tf.float32),
        "id": tf.io.FixedLenFeature([], tf.int64)})
    queue = tf1.FIFOQueue(20, [tf.float32, tf.int64], [[3], []])
    queue.enqueue([parsed["numbers"], parsed["id"]])
    x, number = queue.dequeue_many(8)
    x = tf.reshape(tf.reshape(x, [8, 3, 1]), [-1, 3])
    return {}, {"score": tf.reduce_sum(weights * x ** 3, 1), "id": number}


def bags(weights):
    """Sparse ids through a queue; how wide they are is not read by what pools them."""
    parsed = tf.io.parse_single_example(tf1.placeholder(tf.string, [], "record"), {
        "ids": tf.io.VarLenFeature(tf.int64)})
    batch = tf1.train.batch([parsed["ids"]], 8)
    table = tf1.get_variable("table", initializer=ROWS, use_resource=False)
    pooled = tf.nn.embedding_lookup_sparse(table, batch, None, combiner="sum")
    return {}, {"score": tf.reduce_sum(weights * pooled ** 3, 1)}


def towers(weights):
    """A serving tower and a training tower with the same weights."""
    fed = tf1.placeholder(tf.float32, [None, 3], "x")
    queue = tf1.RandomShuffleQueue(20, 0, [tf.float32], [[3]])
    queue.enqueue([tf1.placeholder(tf.float32, [3], "row")])
    tf.reduce_sum(weights * queue.dequeue_many(8) ** 3, 1, name="training/score")
    return {"x": fed}, {"score": tf.reduce_sum(weights * fed ** 3, 1)}


def instrumented(tmp_path, build, **asked):
    """(model, metadata, {output: answers}) of a model instrumented and asked by an artifact."""
    model = ig_tf.load(save(tmp_path / "model", build), **asked)
    metadata = ig_tf.save(ig_tf.instrument(model, steps=3), tmp_path / "out")
    return model, metadata, artifact.load(tmp_path / "out")


def ask(loaded, **inputs):
    return loaded.run({name: np.asarray(value) for name, value in inputs.items()})


def messages(path):
    proto = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    return proto.meta_graphs[0]


def assert_sacred(tmp_path):
    """Nodes, signatures and collections of the model are in the output as they were."""
    before, after = messages(tmp_path / "model"), messages(tmp_path / "out")
    found = {node.name: node for node in after.graph_def.node}
    assert all(found[node.name] == node for node in before.graph_def.node)
    assert all(name.startswith("ig_tf/")
               for name in set(found) - {node.name for node in before.graph_def.node})
    for name, signature in before.signature_def.items():
        assert after.signature_def[name] == signature
    for name, collection in before.collection_def.items():
        assert after.collection_def[name] == collection


def test_a_scalar_that_the_signature_forgot(tmp_path):
    model, metadata, loaded = instrumented(tmp_path, dropped)
    assert metadata["fixes"][0]["placeholder"] == "p" and metadata["fixes"][0]["value"] == 1.0
    assert any("keeps everything" in sentence for sentence in metadata["choices"])
    assert_sacred(tmp_path)
    answer = ask(loaded, x=ROWS)
    np.testing.assert_allclose(answer["attributions/x"], CUBES, rtol=1e-5)
    np.testing.assert_allclose(answer["prediction"], CUBES.sum(1), rtol=1e-5)
    assert list(loaded.inputs) == ["x"]


def test_a_dropout_that_was_asked_for_is_refused(tmp_path):
    path = save(tmp_path / "model", dropped)
    with pytest.raises(GraphError, match="random ops are active.*andom_uniform.*--fix=keep_prob"):
        ig_tf.instrument(ig_tf.load(path, fixes="p:0.5"))
    with pytest.raises(SignatureError, match="no placeholder of that name"):
        ig_tf.load(path, fixes="nothing:0.5")


def test_a_scalar_can_be_an_input(tmp_path):
    """Then it is sent with each request, and its random numbers are refused."""
    path = save(tmp_path / "model", dropped)
    model = ig_tf.load(path, feeds="p:keep[]")
    assert sorted(model.inputs()) == ["keep", "x"]
    with pytest.raises(GraphError, match="random ops are active"):
        ig_tf.instrument(model)


def test_a_signature_that_waits_for_a_queue(tmp_path):
    model, metadata, loaded = instrumented(tmp_path, queued)
    assert [(feed["name"], feed["shape"]) for feed in metadata["feeds"]] == [
        ("numbers", [None, 3]), ("id", [None])]
    assert_sacred(tmp_path)
    assert sorted(loaded.inputs) == ["id", "numbers"]
    for count in (1, 3):
        answer = ask(loaded, numbers=ROWS[:count], id=np.arange(count))
        np.testing.assert_allclose(answer["attributions/numbers"], CUBES[:count], rtol=1e-5)
        np.testing.assert_allclose(answer["prediction"], CUBES[:count].sum(1), rtol=1e-5)


def test_a_signature_that_waits_for_sparse_ids(tmp_path):
    """One sparse input; each id has its vector's share of the cube of the sum."""
    model, metadata, _ = instrumented(tmp_path, bags)
    assert list(model.sparse_inputs()) == list(metadata["sparse_inputs"]) == ["ids"]
    assert_sacred(tmp_path)
    found = ig_tf.attribute(str(tmp_path / "out"), [{"ids": [2]}, {"ids": [0, 1]}])
    scores = [CUBES[2].sum(), (WEIGHTS * (ROWS[0] + ROWS[1]) ** 3).sum()]
    np.testing.assert_allclose([one.prediction for one in found], scores, rtol=1e-5)
    slopes = [WEIGHTS * ROWS[2] ** 2, WEIGHTS * (ROWS[0] + ROWS[1]) ** 2]
    for one, ids, slope in zip(found, ([2], [0, 1]), slopes):
        np.testing.assert_allclose(one.points[0].scores, ROWS[ids] @ slope, rtol=1e-5)


def test_another_tower_than_the_signature_serves(tmp_path):
    model, metadata, loaded = instrumented(tmp_path, towers, outputs="training/score",
                                           feeds={"random_shuffle_queue_DequeueMany": "row"})
    assert model.outputs() == {"score": "training/score:0"}
    assert_sacred(tmp_path)
    np.testing.assert_allclose(ask(loaded, row=ROWS)["attributions/row"], CUBES, rtol=1e-5)
    served = ig_tf.load(tmp_path / "model")
    assert served.working is None and list(served.inputs()) == ["x"]


def test_outputs_by_name_take_placeholders_as_inputs(tmp_path):
    path = save(tmp_path / "model", towers)
    model = ig_tf.load(path, outputs={"sum": "Sum:0"})
    assert model.inputs() == {"x": "x:0"} and model.outputs() == {"sum": "Sum:0"}
    with pytest.raises(SignatureError, match="no output 'nothing:0'"):
        ig_tf.load(path, outputs="nothing")


@pytest.mark.parametrize("build, asked", [
    (dropped, {}), (queued, {}), (bags, {}), (queued, {"feeds": "fifo_queue_DequeueMany:0:x[?,3]"}),
    (towers, {"outputs": "training/score"})], ids=["fix", "queue", "sparse", "named", "outputs"])
def test_the_record_makes_the_same_again(tmp_path, build, asked):
    """Loading the artifact as its record says gives the same plan, and the same bytes."""
    model, metadata, _ = instrumented(tmp_path, build, **asked)
    source = metadata["source"]
    again = ig_tf.load(tmp_path / "out", source["tags"], source["signature"], **source["asked"])
    assert again.fingerprint() == model.fingerprint()
    plan = ig_tf.instrument(again, steps=3)
    assert plan.described()["points"] == metadata["points"]
    assert [feed["tensor"] for feed in plan.described()["feeds"]] == [
        feed["tensor"] for feed in metadata["feeds"]]
    ig_tf.save(plan, tmp_path / "again")
    third = ig_tf.load(tmp_path / "again", source["tags"], source["signature"], **source["asked"])
    ig_tf.save(ig_tf.instrument(third, steps=3), tmp_path / "third")
    assert (tmp_path / "again" / "saved_model.pb").read_bytes() == (
        tmp_path / "third" / "saved_model.pb").read_bytes()


def test_check_runs_the_model_again(tmp_path):
    _, _, _ = instrumented(tmp_path, queued)
    np.savez(tmp_path / "rows.npz", numbers=ROWS, id=np.arange(3))
    found = ig_tf.check(tmp_path / "out", tmp_path / "rows.npz")
    assert [row.status for row in found.rows] == ["converged"] * 3


def test_tensorflow_2_models_have_functions(tmp_path):
    path = builders.save_tf2(tmp_path / "model", lambda x: tf.reduce_sum(x, 1),
                             {"x": builders.spec([None, 2])})
    with pytest.raises(SignatureError, match="TensorFlow 2"):
        ig_tf.load(path, feeds="x")
    assert ig_tf.load(path).working is None


def test_models_that_answer_are_read_as_they_are(tmp_path):
    """Nothing is swapped, fixed or said where a signature has all that it needs."""
    path = save(tmp_path / "model", towers)
    model = ig_tf.load(path)
    assert (model.working, model.feeds, model.fixes, model.asked()) == (None, (), (), {})
    assert "source" in ig_tf.instrument(model).described()
    assert "asked" not in ig_tf.instrument(model).described()["source"]


def test_zoo_train_tower_equals_serving_tower(zoo, zoo_model, tmp_path):
    """queue_towers: the same weights behind a queue of 1024 and behind a placeholder."""
    path = zoo_model("queue_towers")
    rows = zoo_inputs.inputs(zoo, "queue_towers", 5)
    served = ig_tf.instrument(ig_tf.load(path), target="softmax:top", steps=8)
    ig_tf.save(served, tmp_path / "served")
    trained = ig_tf.load(path, outputs="Softmax", feeds="shuffle_batch:1:features")
    ig_tf.save(ig_tf.instrument(trained, target="Softmax:top", steps=8), tmp_path / "trained")
    first = artifact.load(tmp_path / "served").run(rows)
    second = artifact.load(tmp_path / "trained").run({"features": rows["features"]})
    assert np.abs(first["attributions/features"]).max() > 1e-5
    np.testing.assert_array_equal(first["attributions/features"], second["attributions/features"])
    np.testing.assert_array_equal(first["prediction"], second["prediction"])


def test_zoo_travel_without_keep_prob(zoo_model, tmp_path):
    """travel_textcnn saved with its tokens alone: keep_prob is seen, answers are right."""
    folder = zoo_model("travel_textcnn")
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        saver = tf1.train.import_meta_graph(str(folder / "ckpt" / "best_validation.meta"))
        saver.restore(session, str(folder / "ckpt" / "best_validation"))
        tf1.saved_model.simple_save(
            session, str(tmp_path / "model"), {"tokens": graph.get_tensor_by_name("input_x:0")},
            {"probabilities": graph.get_tensor_by_name("score/Softmax:0")})
    model = ig_tf.load(tmp_path / "model")
    assert {fix.placeholder: fix.value for fix in model.fixes} == {"keep_prob": 1.0}
    ig_tf.save(ig_tf.instrument(model, steps=16), tmp_path / "out")
    ids, labels = travel_sentences(folder, 100)
    answer = artifact.load(tmp_path / "out").run({"tokens": ids})
    assert (answer["target_index"] == labels).mean() > 0.92
    total = answer["attributions/tokens"].sum(1)
    change = answer["prediction"] - answer["baseline_prediction"]
    assert np.median(np.abs(total - change)) < 0.02


def travel_sentences(folder, count):
    words = {word: number for number, word in enumerate(
        (folder / "yufang.vocab.txt").read_text(encoding="utf-8").split("\n"))}
    ids, labels = np.zeros((count, 100), np.int32), []
    lines = (folder / "yufang.test.txt").read_text(encoding="utf-8").splitlines()[:count]
    for row, line in zip(ids, lines):
        label, _, text = line.partition("\t")
        labels.append(int(label))
        known = [words[letter] for letter in text if letter in words][-100:]
        if known:
            row[-len(known):] = known
    return ids, np.array(labels)


def test_inspect_lists_them(tmp_path):
    """On the command line: what is swapped and fixed, and a feed that is not there."""
    path = save(tmp_path / "model", queued)
    status, said, _ = ig_tf_program("inspect", f"--model={path}",
                                    "--feed=fifo_queue_DequeueMany:0:x[?,3]")
    assert status == 0 and "in batches of 8" in said
    assert "x: float32 [?, 3]  (fifo_queue_DequeueMany:0)" in said
    path = save(tmp_path / "dropped", dropped)
    status, said, _ = ig_tf_program("inspect", f"--model={path}", "--format=json", "--fix=p:1.0")
    assert status == 0 and json.loads(said)["fixes"][0]["placeholder"] == "p"
    status, _, errors = ig_tf_program("inspect", f"--model={path}", "--feed=nothing:x")
    assert status == 2 and "no input 'nothing:x'" in errors
