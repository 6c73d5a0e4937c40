"""SavedModels as they are found: tag sets, names with "/", text messages, none or new signatures.

And what the command line says of each kind of artifact.
"""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

import ig_tf
from ig_tf.errors import SignatureError
from tests import builders, trained
from tests.test_programs import ig_tf as program

v1 = tf.compat.v1
X = np.array([[1.0, -2.0], [0.5, 3.0]])
TAGS = ((), ("eval",), ("transform",), ("serve", "gpu"))


def save(folder, tag_sets, signatures):
    """y = sum of factor * x^3, by another factor in each MetaGraph; float64."""
    builder = v1.saved_model.Builder(str(folder))
    for number, tags in enumerate(tag_sets):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float64, [None, 2], "x")
            weights = v1.get_variable("weights", initializer=np.array([1.0, 2.0]))
            y = tf.reduce_sum((number + 1.0) * weights * x ** 3, 1, name="y")
            info = v1.saved_model.predict_signature_def({"in/x": x}, {"out/y": y})
            session.run(v1.global_variables_initializer())
            if number == 0:
                builder.add_meta_graph_and_variables(session, tags, dict.fromkeys(signatures, info))
            else:
                builder.add_meta_graph(tags, dict.fromkeys(signatures, info))
    builder.save()
    return folder


@pytest.fixture(name="tagged", scope="module")
def fixture_tagged(tmp_path_factory):
    return save(tmp_path_factory.mktemp("kinds") / "tagged", TAGS, ["predict/it"])


@pytest.mark.parametrize("number, tags", enumerate(TAGS))
def test_each_tag_set_and_names_with_a_slash(tagged, tmp_path, number, tags):
    """By both loaders and by the runner, which remembers the tags; the others are left alone."""
    plan = ig_tf.instrument(ig_tf.load(tagged, tags=tags), steps=4)
    ig_tf.save(plan, tmp_path / "out")
    truth = (number + 1) * np.array([1.0, 2.0]) * X ** 3
    point = plan.recipe.points[0].name
    v2 = builders.open_v2_of_tags(tmp_path / "out", list(tags))
    np.testing.assert_allclose(v2(**{"in/x": X})[f"attributions/{point}"], truth)
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        found = v1.saved_model.load(session, list(tags), str(tmp_path / "out"))
        info = found.signature_def["attributions"]
        np.testing.assert_allclose(session.run(
            info.outputs[f"attributions/{point}"].name, {info.inputs["in/x"].name: X}), truth)
    results = ig_tf.attribute(str(tmp_path / "out"), [{"in/x": row} for row in X])
    np.testing.assert_allclose([r.prediction for r in results], truth.sum(1))
    written = saved_model_pb2.SavedModel.FromString(
        (tmp_path / "out/saved_model.pb").read_bytes())
    original = saved_model_pb2.SavedModel.FromString((tagged / "saved_model.pb").read_bytes())
    for index, meta_graph in enumerate(written.meta_graphs):
        assert (meta_graph == original.meta_graphs[index]) is (index != number)


def test_several_tag_sets_and_none_named(tagged):
    with pytest.raises(SignatureError, match="--tags=eval"):
        ig_tf.load(tagged)


@pytest.mark.parametrize("tags", [(), ("eval",)])
def test_check_knows_the_tags(tagged, tmp_path, tags):
    ig_tf.save(ig_tf.instrument(ig_tf.load(tagged, tags=tags), steps=4), tmp_path / "out")
    np.savez(tmp_path / "x.npz", **{"in/x": X})
    assert ig_tf.check(str(tmp_path / "out"), str(tmp_path / "x.npz")).passed


def test_a_text_message_becomes_a_binary_one(tmp_path):
    folder = save(tmp_path / "text", [("serve",)], ["serving_default"])
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (folder / "saved_model.pbtxt").write_text(text_format.MessageToString(proto))
    os.remove(folder / "saved_model.pb")
    ig_tf.save(ig_tf.instrument(ig_tf.load(folder), steps=4), tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["assets.extra", "saved_model.pb", "variables"]
    answer = builders.open_v2(tmp_path / "out")(**{"in/x": X})
    np.testing.assert_allclose(answer["prediction"], (np.array([1.0, 2.0]) * X ** 3).sum(1))


def test_variables_behind_a_link_are_taken_along(tmp_path):
    """Serving systems mount folders so; a link that leads back is not followed for ever."""
    folder = save(tmp_path / "model", [("serve",)], ["serving_default"])
    (folder / "variables").rename(tmp_path / "elsewhere")
    (folder / "variables").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(folder)
    ig_tf.save(ig_tf.instrument(ig_tf.load(folder), steps=4), tmp_path / "out")
    answer = builders.open_v2(tmp_path / "out")(**{"in/x": X})
    np.testing.assert_allclose(answer["prediction"], (np.array([1.0, 2.0]) * X ** 3).sum(1))


@pytest.fixture(name="unsigned", scope="module")
def fixture_unsigned(tmp_path_factory):
    return save(tmp_path_factory.mktemp("kinds") / "unsigned", [("serve",)], [])


def test_a_saved_model_without_a_signature_gets_one(unsigned, tmp_path):
    """Of named tensors; its nodes stay as they are, and the new signature is served too."""
    model = ig_tf.load(unsigned, inputs=["x"], outputs=["y"])
    ig_tf.save(ig_tf.instrument(model, steps=4), tmp_path / "out")
    for loader in builders.LOADERS.values():
        assert loader(tmp_path / "out", "serving_default")(x=X)["y"].shape == (2,)
        np.testing.assert_allclose(loader(tmp_path / "out")(x=X)["attributions/x"],
                                   np.array([1.0, 2.0]) * X ** 3)
    original = saved_model_pb2.SavedModel.FromString((unsigned / "saved_model.pb").read_bytes())
    nodes = {node.name: node for node in model.graph_def.node}
    assert all(nodes[node.name] == node for node in original.meta_graphs[0].graph_def.node)


def test_a_signature_is_asked_for_where_there_is_none(unsigned):
    with pytest.raises(SignatureError, match="--inputs=NAME,... and --outputs"):
        ig_tf.load(unsigned)
    with pytest.raises(SignatureError, match="it could give"):
        ig_tf.load(unsigned, inputs=["x"])
    model = ig_tf.load(unsigned, outputs=["y"])  # all that these need are its inputs
    assert model.signature_name == "serving_default" and list(model.inputs()) == ["x"]


def test_a_signature_beside_others(tagged):
    model = ig_tf.load(tagged, tags=[], inputs=["x"], outputs=["y"], signature="new")
    assert model.signature_name == "new"
    with pytest.raises(SignatureError, match="already"):
        ig_tf.load(tagged, tags=[], inputs=["x"], outputs=["y"], signature="predict/it")


def test_no_signature_is_made_of_tensors_in_a_model_of_functions(tmp_path):
    builders.save_tf2(tmp_path / "model", lambda x: tf.reduce_sum(x, 1),
                      {"x": builders.spec([None, 2])})
    with pytest.raises(SignatureError, match="TensorFlow 2"):
        ig_tf.load(tmp_path / "model", inputs=["x"], outputs=["y"])


def test_a_live_graph_with_a_sparse_input(tmp_path):
    """A composite is named by the tensor itself."""
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.sparse_placeholder(tf.float64, [None, 3], "x")
        weights = v1.get_variable("w", initializer=np.array([[1.0], [2.0], [3.0]]))
        y = tf.reduce_sum(tf.sparse.sparse_dense_matmul(x, weights) ** 2, 1)
        session.run(v1.global_variables_initializer())
        model = ig_tf.load(graph, session=session, inputs={"x": x}, outputs={"y": y})
    ig_tf.save(ig_tf.instrument(model, steps=4), tmp_path / "out")
    answer = builders.open_v2(tmp_path / "out")(
        x_indices=[[0, 0], [0, 2], [1, 1]], x_values=[1.0, 2.0, 3.0], x_dense_shape=[2, 3])
    np.testing.assert_allclose(answer["prediction"], [49, 36])
    np.testing.assert_allclose(answer["features/x"], [49, 36])


# The command line -----------------------------------------------------------------------------


@pytest.fixture(name="artifacts", scope="module")
def fixture_artifacts(tmp_path_factory):
    """{kind: (path, further flags)}."""
    folder = tmp_path_factory.mktemp("artifacts")
    model = trained.trained(folder, steps=1)
    prefix = model.save(folder)
    (folder / "frozen.pb").write_bytes(trained.frozen(model).SerializeToString())
    named = ["--inputs=words,numbers", "--outputs=model/scores"]
    found = {"checkpoint": (prefix, named), "frozen graph": (folder / "frozen.pb", named)}
    try:
        import keras
        inputs = keras.Input([2], name="x")
        keras.Model(inputs, keras.layers.Dense(2, "softmax")(inputs)).save(folder / "m.keras")
        found["Keras"] = (folder / "m.keras", [])
    except ImportError:
        pass
    return found


@pytest.mark.parametrize("kind", ["checkpoint", "frozen graph", "Keras"])
def test_inspect_says_what_was_recognised(artifacts, kind):
    if kind not in artifacts:
        pytest.skip(f"{kind} is not installed")
    path, flags = artifacts[kind]
    status, said, errors = program("inspect", f"--model={path}", *flags, "--format=json")
    assert status == 0, errors
    found = json.loads(said)
    assert kind in found["choices"][0] and found["points"]


def test_instrument_writes_what_attribute_reads(artifacts, tmp_path):
    path, flags = artifacts["checkpoint"]
    status, said, errors = program("instrument", f"--model={path}", *flags, "--target=scores:1",
                                   f"--output={tmp_path / 'out'}", "--steps=20")
    assert status == 0 and "checkpoint and metagraph" in said, errors
    (tmp_path / "in.jsonl").write_text('{"words": ["fig", "lime", "?"], "numbers": [1, -1]}\n')
    status, said, errors = program("attribute", f"--model={tmp_path / 'out'}",
                                   f"--input={tmp_path / 'in.jsonl'}",
                                   f"--output={tmp_path / 'r.jsonl'}")
    assert status == 0 and "1 converged" in said, errors


def test_what_is_missing_is_asked_for(artifacts):
    path, _ = artifacts["frozen graph"]
    status, _, errors = program("inspect", f"--model={path}")
    assert status == 2 and "Traceback" not in errors
    assert "--inputs=NAME" in errors and "  words: string [?, 3]" in errors
