"""Columns as serialized tf.Examples, by what a model parses: answers are those of raw records."""

import json

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import RecordError
from ig_tf.run import attribute, job, parsing

FEATURES = {
    "age": tf.io.FixedLenFeature([], tf.float32),
    "pair": tf.io.FixedLenFeature([2], tf.int64, [3, 4]),
    "rest": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True, default_value=0.5),
    "words": tf.io.VarLenFeature(tf.string),
    "bag": tf.io.RaggedFeature(tf.int64),
}


def numbers_of(serialized):
    """Total of all numbers, words by their length, of the whole batch's features."""
    found = tf.io.parse_example(serialized, FEATURES)
    words = tf.strings.length(found["words"].values)
    words = tf.math.unsorted_segment_sum(words, found["words"].indices[:, 0],
                                         tf.size(serialized))
    bag = tf.reduce_sum(found["bag"], axis=1)
    parts = [tf.reduce_sum(tf.cast(found["pair"], tf.float32), 1),
             tf.reduce_sum(found["rest"], 1), tf.cast(words, tf.float32), tf.cast(bag, tf.float32)]
    return found["age"], tf.add_n(parts)


@pytest.fixture(scope="module", name="model")
def fixture_model(tmp_path_factory):
    """score = age * (1 + total of everything else), instrumented."""
    folder = tmp_path_factory.mktemp("parsing")
    module = tf.Module()

    def serve(examples):
        age, others = numbers_of(examples)
        return {"score": age * (1 + others)}

    module.serve = tf.function(serve, autograph=False, input_signature=[
        tf.TensorSpec([None], tf.string, "examples")])
    tf.saved_model.save(module, str(folder / "plain"), signatures=module.serve)
    ig_tf.save(ig_tf.instrument(ig_tf.load(folder / "plain"), steps=2), folder / "model")
    return str(folder / "model")


def test_the_spec_is_that_of_the_graph(model):
    found = {one.key: one for one in parsing.spec_of(model, "attributions", "examples").features}
    assert found == {
        "age": parsing.Feature("age", "float32", (), True),
        "pair": parsing.Feature("pair", "int64", (2,), False),
        "rest": parsing.Feature("rest", "float32", (-1,), False),
        "words": parsing.Feature("words", "string", None, False),
        "bag": parsing.Feature("bag", "int64", None, False)}


ROWS = [  # record, the total of what is not age, by hand
    ({"age": 2, "pair": [1, 2], "rest": [0.25, 1], "words": ["ab", "c"], "bag": [5]}, 12.25),
    ({"age": "3.5", "words": "ä"}, 7 + 2), ({"age": 1.5, "bag": [], "pair": None}, 7),
    ({"age": -1, "rest": 2.0, "bag": np.array([1, 2]), "pair": (True, 0)}, 2 + 3 + 1)]


@pytest.mark.parametrize("batch", [1, 4])
def test_columns_are_answered_as_by_hand(model, batch):
    """Defaults are the graph's where nothing is given; what was sent is shown as columns."""
    found = attribute.attribute(model, [row for row, _ in ROWS], batch_size=batch)
    for result, (row, total) in zip(found, ROWS, strict=True):
        age = float(row["age"])
        assert result.prediction == pytest.approx(age * (1 + total))
        # Of a product of two that go the same way each gets a half.
        assert result.features["age"] == pytest.approx(age * (1 + total / 2))
        assert "examples" not in result.inputs and result.inputs["age"] == row["age"]


@pytest.mark.parametrize("row, reason", [
    ({"pair": [1, 2]}, "record 0 has no value of 'age', a feature without default"),
    ({"age": ""}, "no value of 'age'"),
    ({"age": "old"}, "record 0, column 'age': 'old' is no float32"),
    ({"age": [1, 2]}, r"column 'age': found 2 values; the model parses \[\]"),
    ({"age": 1, "pair": [1]}, r"column 'pair': found 1 values; the model parses \[2\]"),
    ({"age": 1, "bag": [1.5]}, "column 'bag': 1.5 is no int64"),
    ({"age": 1, "bag": 2**70}, "column 'bag'"),
    ({"age": 1, "words": 7}, "column 'words': 7 is no string: expected text"),
    ({"age": None, "other": 1}, "no value of 'age'")])
def test_what_does_not_fit_names_its_column(model, row, reason):
    with pytest.raises(RecordError, match=reason):
        attribute.attribute(model, [row])


@pytest.mark.parametrize("ending", ["csv", "jsonl", "npz", "tfrecord"])
def test_each_input_of_a_job(model, tmp_path, ending):
    """The same rows as columns in each format, and as TFRecords, which stay as they are."""
    file, ages = tmp_path / f"rows.{ending}", [1.0, 2.5, -3.0]
    if ending == "csv":
        file.write_text("years,words\n" + "".join(f"{age},abc\n" for age in ages))
    elif ending == "jsonl":
        file.write_text("".join(json.dumps({"years": age, "words": "abc"}) + "\n" for age in ages))
    elif ending == "npz":
        np.savez(file, years=np.array(ages, np.float32), words=np.array(["abc"] * 3))
    else:
        with tf.io.TFRecordWriter(str(file)) as writer:
            for age in ages:
                writer.write(tf.train.Example(features=tf.train.Features(feature={
                    "age": tf.train.Feature(float_list=tf.train.FloatList(value=[age])),
                    "words": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"abc"])),
                })).SerializeToString())
    job.run(job.Job(model, file, tmp_path / "out",
                    columns={} if ending == "tfrecord" else {"age": "years"}))
    part, = (tmp_path / "out").glob("part-*")
    rows = [json.loads(line) for line in part.read_text().splitlines()]
    assert [row["prediction"] for row in rows] == pytest.approx([11 * age for age in ages])
    with pytest.raises(RecordError, match="no input 'height'; it takes examples, words, bag, age"):
        job.run(job.Job(model, file, tmp_path / "other", columns={"height": "years"}))


def graph_with(build, folder):
    """A SavedModel of TensorFlow 1's kind: `build` makes the output of a placeholder of strings."""
    graph = tf.Graph()
    with graph.as_default():
        given = tf.compat.v1.placeholder(tf.string, [None], "given")
        found = build(given)
        with tf.compat.v1.Session(graph=graph) as session:
            tf.compat.v1.saved_model.simple_save(session, str(folder), {"in": given},
                                                 {"out": found})
    return str(folder)


def single(given):
    return tf.map_fn(lambda one: tf.io.parse_single_example(one, {
        "age": FEATURES["age"], "pair": FEATURES["pair"]})["age"], given, tf.float32)


def first(given):
    """The op of old models, whose keys are inputs of their own and whose defaults are reshaped."""
    keys, dense = ["words"], ["age", "pair"]
    defaults = [tf.reshape(tf.constant([], tf.float32), [0]),
                tf.reshape(tf.constant([3, 4], tf.int64), [2])]
    return tf.raw_ops.ParseExample(
        serialized=tf.identity(given), names=tf.constant([], tf.string), sparse_keys=keys,
        dense_keys=dense, dense_defaults=defaults, sparse_types=[tf.string],
        dense_shapes=[[], [2]]).dense_values[0]


@pytest.mark.parametrize("build, keys", [(single, {"age", "pair"}),
                                         (first, {"age", "pair", "words"})])
def test_other_parsers(tmp_path, build, keys):
    spec = parsing.spec_of(graph_with(build, tmp_path / "m"), "serving_default", "in")
    found = {one.key: one for one in spec.features}
    assert set(found) == keys
    assert found["age"].needed and not found["pair"].needed and found["pair"].shape == (2,)


def test_what_parses_nothing_or_two_things(tmp_path):
    assert parsing.spec_of(graph_with(tf.strings.length, tmp_path / "none"), "serving_default",
                           "in") is None
    two = graph_with(lambda given: first(given) + tf.io.parse_example(
        given, {"age": FEATURES["age"]})["age"], tmp_path / "two")
    with pytest.raises(RecordError, match="2 ops parse its examples"):
        parsing.spec_of(two, "serving_default", "in")


def test_census_rows_as_columns(zoo, tmp_path):
    """An Estimator that takes tf.Examples and its twin that takes columns answer alike."""
    rows = zoo / "census_wide_deep/rows.csv"
    answers = []
    for name in ("raw", "examples"):
        made = ig_tf.instrument(ig_tf.load(zoo / "census_wide_deep" / name), steps=5)
        ig_tf.save(made, tmp_path / name)
        answers.append(attribute.attribute(tmp_path / name, rows, limit=8))
    assert len(answers[0]) == 8
    for one, other in zip(*answers, strict=True):
        assert one.prediction == pytest.approx(other.prediction, rel=1e-5)
        assert one.features == pytest.approx(other.features, rel=1e-3, abs=1e-6)
