"""The verb `attribute`: files of inputs in, result files out, one clear error for a misfit."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import ArtifactError, RecordError
from ig_tf.run import artifact, records, results
from tests import builders

MODELS = pathlib.Path(__file__).resolve().parent.parent / "saved_models"


@pytest.fixture(scope="module")
def instrumented(tmp_path_factory):
    """{model: directory} of the own models, instrumented with few nodes."""
    folder = tmp_path_factory.mktemp("instrumented")
    found = {}
    for name in ("diabetes_columns", "review_tokens", "digits_cnn"):
        ig_tf.save(ig_tf.instrument(ig_tf.load(MODELS / name), steps=8), folder / name)
        found[name] = folder / name
    return found


EXAMPLES = {"diabetes_columns": "examples.csv", "review_tokens": "examples.jsonl",
            "digits_cnn": "examples.npz"}


@pytest.mark.parametrize("ending", [".jsonl", ".npz"])
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_files_in_files_out(instrumented, tmp_path, name, ending):
    """Each input format and each output format: as many results as records, each adding up."""
    output = tmp_path / f"results{ending}"
    count = ig_tf.attribute(instrumented[name], MODELS / name / EXAMPLES[name], output,
                            batch_size=7)
    about, rows = results.read(output)
    assert count == len(rows) == sum(1 for _ in records.read(MODELS / name / EXAMPLES[name]))
    assert about.steps == 8 and about.model == name
    for row in rows:
        found = sum(np.sum(point.scores) for point in row.points)
        difference = row.prediction - row.baseline_prediction
        assert abs(abs(found - difference) - row.completeness_error) < 1e-5
        assert abs(sum(row.features.values()) - found) < 1e-5


def test_results_do_not_depend_on_the_batch(instrumented):
    """One record a request, or all in one: the same numbers within rounding."""
    name = "diabetes_columns"
    source = MODELS / name / EXAMPLES[name]
    alone = ig_tf.attribute(instrumented[name], source, batch_size=1, limit=9)
    together = ig_tf.attribute(instrumented[name], source, batch_size=9, limit=9)
    assert len(alone) == len(together) == 9
    for one, other in zip(alone, together):
        assert one.features and one.features.keys() == other.features.keys()
        largest = max(abs(value) for value in one.features.values())
        for feature, value in one.features.items():
            assert abs(value - other.features[feature]) <= 1e-5 * largest


def test_labels_vocabulary_and_inputs_reach_the_results(instrumented):
    """What the report needs to be read by people: words, class names, what was sent."""
    words = (MODELS / "review_tokens/assets.extra/vocab.txt").read_text().splitlines()
    source = MODELS / "review_tokens/examples.jsonl"
    first = json.loads(source.open().readline())
    found, = ig_tf.attribute(instrumented["review_tokens"], source, limit=1,
                             labels=["negative", "positive"], vocabulary=words)
    assert found.points[0].tokens == tuple(words[token] for token in first["tokens"])
    assert found.target.label == ["negative", "positive"][found.target.index]
    assert found.inputs["text"] == first["text"]


def test_records_of_other_lengths_share_no_request(tmp_path):
    """Token lists of different lengths are answered without padding any of them."""
    def model(ids):
        table = tf.constant([[0.0], [1.0], [2.0], [4.0]])
        return tf.reduce_sum(tf.gather(table, ids), [1, 2]) ** 2

    module = tf.Module()
    module.serve = tf.function(lambda ids: {"score": model(ids)}, autograph=False,
                               input_signature=[tf.TensorSpec([None, None], tf.int32, "ids")])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.serve)
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "m")), tmp_path / "out")
    rows = [{"ids": [1]}, {"ids": [1, 2, 3]}, {"ids": [3, 3, 1]}, {"ids": [2, 2]}]
    found = ig_tf.attribute(tmp_path / "out", rows)
    assert [result.prediction for result in found] == [1.0, 49.0, 81.0, 16.0]
    assert [len(result.points[0].tokens) for result in found] == [1, 3, 3, 2]
    # IG of (sum of e)^2 from zero is e_i * sum: exact for a quadratic with any rule of degree 1
    np.testing.assert_allclose(found[1].points[0].scores, [7, 14, 28], rtol=1e-5)


def test_serialized_examples_from_a_tfrecord(tmp_path):
    """Raw records go to the only input; their features are shown in the results."""
    def serve(examples):
        parsed = tf.io.parse_example(examples, {"a": tf.io.FixedLenFeature([], tf.float32),
                                                "b": tf.io.FixedLenFeature([], tf.float32)})
        return {"score": parsed["a"] * parsed["b"]}

    module = tf.Module()
    module.serve = tf.function(serve, autograph=False, input_signature=[
        tf.TensorSpec([None], tf.string, "examples")])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.serve)
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "m")), tmp_path / "out")
    file = str(tmp_path / "rows.tfrecord")
    with tf.io.TFRecordWriter(file) as writer:
        for a, b in ((2.0, 3.0), (1.0, -5.0)):
            example = tf.train.Example()
            example.features.feature["a"].float_list.value.append(a)
            example.features.feature["b"].float_list.value.append(b)
            writer.write(example.SerializeToString())
    found = ig_tf.attribute(tmp_path / "out", file)
    for result, (a, b) in zip(found, ((2.0, 3.0), (1.0, -5.0)), strict=True):
        assert result.inputs == {"a": a, "b": b}
        assert result.features == pytest.approx({"a": a * b / 2, "b": a * b / 2}, rel=1e-5)


def broken(folder, name, text):
    file = folder / name
    file.write_bytes(text)
    return file


BROKEN = {
    "no_such_file.jsonl": (None, "no input file"),
    "rows.txt": (b"x", "known endings"),
    "rows.jsonl": (b'{"image": 1\n', "rows.jsonl:1"),
    "list.jsonl": (b"[1, 2]\n", "JSON object"),
    "short.csv": (b"image,label\n1\n", "short.csv:2"),
    "rows.npz": (b"not a zip", "no .npz"),
    "rows.tfrecord": (b"garbage that is no record", "after record 0"),
    "missing.jsonl": (b'{"picture": 3}\n', "has no 'image'"),
    "shape.jsonl": (b'{"image": [1, 2, 3]}\n', "found shape [3]; the model takes [8, 8, 1]"),
    "type.jsonl": (b'{"image": "seven"}\n', "is no float32"),
    "latin.jsonl": (b'{"image": "\xe9"}\n', "UTF-8"),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_bad_input_is_one_clear_error(instrumented, tmp_path, name):
    """Each kind of broken input names the file or record and what was wrong; nothing is written."""
    text, said = BROKEN[name]
    file = tmp_path / name if text is None else broken(tmp_path, name, text)
    output = tmp_path / "out.jsonl"
    with pytest.raises(RecordError) as raised:
        ig_tf.attribute(instrumented["digits_cnn"], file, output)
    assert said in str(raised.value)
    assert not output.exists()


def test_a_model_that_is_not_instrumented():
    """The message says which command comes first."""
    with pytest.raises(ArtifactError, match="ig-tf instrument"):
        artifact.load(MODELS / "digits_cnn")


def test_pictures_are_recognised_for_showing():
    """A JPEG or PNG that was sent as bytes or (web-safe) base64 can be drawn later."""
    import base64
    raw = b"\x89PNG\r\n" + bytes(range(256))
    for value in (raw, base64.b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"=").decode()):
        assert base64.b64decode(records.shown(value)["base64"]) == raw
    assert records.shown("a plain sentence that is longer than any base64 header " * 2) is not None
    assert isinstance(records.shown("word " * 40), str)


def test_fewer_answers_than_records_are_an_error(tmp_path, monkeypatch):
    """The output has a batch of one written into its graph, which the input does not say. The graph
    asserts that there is a row for each; TensorFlow's optimizer may leave that out."""
    def fixed(x):
        return tf.reduce_sum(tf.reshape(tf.sigmoid(x), [1, 3]) * [1.0, 2.0, 3.0], 1)

    builders.save_tf2(tmp_path / "model", fixed, {"x": builders.spec([None, 3], tf.float32)})
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "model")), tmp_path / "out")
    rows = [{"x": [1.0, 2.0, 3.0]}, {"x": [3.0, 2.0, 1.0]}]
    with pytest.raises(RecordError, match="one row for each example|fixed batch"):
        ig_tf.attribute(tmp_path / "out", rows)
    one_by_one = ig_tf.attribute(tmp_path / "out", rows, batch_size=1)
    for row, result in zip(rows, one_by_one, strict=True):
        truth = np.dot(1 / (1 + np.exp(-np.array(row["x"]))), [1, 2, 3])
        np.testing.assert_allclose(result.prediction, truth, rtol=1e-6)

    loaded = artifact.load(tmp_path / "out")
    monkeypatch.setattr(type(loaded), "run", lambda *_: {"prediction": np.zeros(1)})
    with pytest.raises(RecordError, match="1 rows of prediction for 2 examples.*fixed batch"):
        loaded.answer([{"x": np.zeros(3, np.float32)}] * 2)
