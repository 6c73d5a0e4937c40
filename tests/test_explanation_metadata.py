"""Google's explanation_metadata.json: what it says is what is explained, and it is written back."""

import json

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
from ig_tf import explanation_metadata
from ig_tf.errors import BaselineError, ExplanationMetadataError, PointError

TABLE = np.sin(np.arange(20.0)).reshape(5, 4)
WEIGHTS = np.cos(np.arange(18.0)).reshape(6, 3)


def model(ids, numbers, table, weights):
    """An embedding, named, beside two numbers; three classes."""
    vectors = tf.identity(tf.reduce_mean(tf.gather(table, ids), 1), name="encoded")
    joined = tf.concat([vectors, numbers], 1)
    return tf.nn.softmax(tf.matmul(joined ** 2, weights))


@pytest.fixture(name="saved", scope="module")
def fixture_saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model"
    builders.save_tf1(path, model, {"ids": builders.spec([None, 3], tf.int64),
                                    "numbers": builders.spec([None, 2])},
                      {"table": TABLE, "weights": WEIGHTS})
    return ig_tf.load(path)


def said(saved, **changed):
    """A file about it, as the SDK writes it for a TensorFlow 1 model."""
    inputs = {
        "words": {"input_tensor_name": saved.signature.inputs["ids"].name,
                  "encoded_tensor_name": "encoded:0", "encoding": "combined_embedding",
                  "encoded_baselines": [[0.1, 0.2, 0.3, 0.4]], "modality": "categorical"},
        "age and height": {"input_tensor_name": saved.signature.inputs["numbers"].name,
                           "encoding": "bag_of_features", "modality": "numeric",
                           "index_feature_mapping": ["age", "height"],
                           "input_baselines": [[1.0, -1.0], 0.5], "group_name": "body"}}
    for key, value in changed.items():
        inputs["age and height"][key] = value
    [output] = saved.signature.outputs.values()
    return {"framework": "Tensorflow", "inputs": inputs,
            "outputs": {"classes": {"output_tensor_name": output.name}}}


def written(tmp_path, found):
    path = tmp_path / "explanation_metadata.json"
    path.write_text(json.dumps(found))
    return path


def brute_force(ids, numbers, starts, nodes=60):
    """Of the top class, for each start (vector, numbers), averaged; midpoints, float64."""
    vectors = TABLE[ids].mean(1)
    end = np.concatenate([vectors, numbers], 1)
    scores = np.exp(end ** 2 @ WEIGHTS)
    top = (scores / scores.sum(1, keepdims=True)).argmax(1)
    total = 0
    for start in starts:
        begin = np.broadcast_to(np.concatenate(start), end.shape)
        for alpha in (np.arange(nodes) + 0.5) / nodes:
            x = tf.constant(begin + alpha * (end - begin))
            with tf.GradientTape() as tape:
                tape.watch(x)
                probabilities = tf.nn.softmax(tf.matmul(x ** 2, WEIGHTS))
                chosen = tf.gather(probabilities, top, batch_dims=1)
            total = total + tape.gradient(chosen, x).numpy() * (end - begin) / nodes / len(starts)
    return total, top


def test_what_the_file_says_is_explained(saved, tmp_path):
    followed = explanation_metadata.read(written(tmp_path, said(saved)))
    located = followed.locate(saved)
    assert [(p.name, p.feature, p.source.removesuffix(":0")) for p in located.cut.points] == [
        ("words", "words", "encoded"),
        ("age_and_height", "body", saved.signature.inputs["numbers"].name.removesuffix(":0"))]
    plan = ig_tf.instrument(located, baseline=followed.baseline(located.cut.points), steps=60,
                            rule="midpoint")
    ig_tf.save(plan, tmp_path / "out")
    ids, numbers = np.array([[0, 1, 2], [4, 4, 3]]), np.array([[0.5, 2.0], [-1.0, 0.3]])
    found = builders.open_v1(tmp_path / "out")(ids=ids, numbers=numbers)
    vector = np.array([0.1, 0.2, 0.3, 0.4])
    expected, top = brute_force(ids, numbers, [(vector, np.array([1.0, -1.0])),
                                               (vector, np.array([0.5, 0.5]))])
    np.testing.assert_array_equal(found["target_index"], top)
    np.testing.assert_allclose(found["attributions/words"], expected[:, :4], atol=1e-12)
    np.testing.assert_allclose(found["attributions/age_and_height"], expected[:, 4:], atol=1e-12)
    np.testing.assert_allclose(found["features/body"], expected[:, 4:].sum(1), atol=1e-12)


def test_it_is_written_as_it_was_read(saved, tmp_path):
    """What only the file knows is kept; baselines of one sample stand for all."""
    given = said(saved)
    followed = explanation_metadata.read(written(tmp_path, given))
    located = followed.locate(saved)
    plan = ig_tf.instrument(located, baseline=followed.baseline(located.cut.points))
    again = json.loads(json.dumps(explanation_metadata.written(plan, followed)))
    assert set(again["inputs"]) == set(given["inputs"])
    body, words = again["inputs"]["age and height"], again["inputs"]["words"]
    assert body["index_feature_mapping"] == ["age", "height"] and body["group_name"] == "body"
    assert body["input_baselines"] == [[1.0, -1.0], [0.5, 0.5]]
    assert words["encoded_baselines"] == [[0.1, 0.2, 0.3, 0.4]] * 2
    [output] = again["outputs"].values()
    assert output == given["outputs"]["classes"]
    second = explanation_metadata.read(written(tmp_path, again))
    assert second.locate(saved).cut.points == located.cut.points


def test_a_plan_of_our_own_can_be_read_again(saved, tmp_path):
    plan = ig_tf.instrument(saved, target="score:top", baseline=0.25)
    found = explanation_metadata.written(plan)
    encodings = {one["encoding"] for one in found["inputs"].values()}
    assert encodings == {"identity", "concat_embedding"}
    followed = explanation_metadata.read(written(tmp_path, found))
    located = followed.locate(saved)
    assert {p.tensor for p in located.cut.points} == {p.tensor for p in plan.recipe.points}
    [start] = {float(np.ravel(v)[0]) for v in followed.baseline(located.cut.points).values()}
    assert start == 0.25


def test_the_keys_of_the_service_are_read_too(saved, tmp_path):
    found = said(saved)
    found["inputs"] = {name: {"".join(part if not place else part.capitalize() for place, part in
                                      enumerate(key.split("_"))): value
                              for key, value in fields.items()}
                       for name, fields in found["inputs"].items()}
    found["inputs"]["words"]["encoding"] = "COMBINED_EMBEDDING"
    found["outputs"]["classes"] = {"outputTensorName": found["outputs"]["classes"][
        "output_tensor_name"]}
    followed = explanation_metadata.read(written(tmp_path, found))
    assert followed.inputs[0].tensor == "encoded:0"
    assert followed.inputs[1].baselines == [[1.0, -1.0], 0.5]


@pytest.mark.parametrize("changed, message", [
    ({"encoding": "hashed"}, "encoding 'hashed'.*identity"),
    ({"index_feature_mapping": []}, "needs index_feature_mapping"),
    ({"input_tensor_name": None}, "age and height has no input_tensor_name"),
    ({"input_baselines": "zeros"}, "input_baselines is no list"),
    ({"input_baselines": [["a", 1.0]]}, "input_baselines is no list"),
    ({"indices_tensor_name": "i:0"}, "sparse tensor.*encoded_tensor_name"),
])
def test_wrong_files_are_one_clear_error(changed, message, saved, tmp_path):
    with pytest.raises(ExplanationMetadataError, match=message):
        explanation_metadata.read(written(tmp_path, said(saved, **changed)))


@pytest.mark.parametrize("text", ["[]", "{", "{}", '{"inputs": []}', '{"inputs": {"a": 1}}'])
def test_what_is_no_such_file(text, tmp_path):
    path = tmp_path / "explanation_metadata.json"
    path.write_text(text)
    with pytest.raises(ExplanationMetadataError):
        explanation_metadata.read(path)


def test_baselines_that_do_not_belong_together(saved, tmp_path):
    followed = explanation_metadata.read(written(tmp_path, said(
        saved, input_baselines=[0.0, 1.0, 2.0])))
    found = followed.locate(saved).cut.points
    assert len(followed.baseline(found)) == 3
    given = said(saved, input_baselines=[0.0, 1.0, 2.0])
    given["inputs"]["words"]["encoded_baselines"] = [0.0, 1.0]
    with pytest.raises(BaselineError, match="different numbers of baselines"):
        explanation_metadata.read(written(tmp_path, given)).baseline(found)
    del given["inputs"]["words"]["encoded_baselines"]
    given["inputs"]["words"]["input_baselines"] = [3]
    with pytest.raises(BaselineError, match="raw input.*record:FILE"):
        explanation_metadata.read(written(tmp_path, given)).baseline(found)


def test_a_tensor_that_is_not_there(saved, tmp_path):
    followed = explanation_metadata.read(written(tmp_path, said(
        saved, input_tensor_name="nothing:0")))
    with pytest.raises(PointError, match="no point, signature input or tensor 'nothing'"):
        followed.locate(saved)
