"""A C program that knows nothing of ig_tf asks the signature `attributions`, as a server would.

c_client.c loads by TF_LoadSessionFromSavedModel of the TensorFlow that is installed here, and finds
tensors through the signature. Its answers are those of Python, for dense inputs, strings,
serialized examples, and what a request chooses.
"""

import shutil

import numpy as np
import pytest
import tensorflow as tf

import builders
import c_client
import ig_tf
from builders import spec
from test_saved_models import MODELS, read_examples

STEPS = 8
ROWS = 5


def over_examples(examples, table):
    """Serialized tf.Examples: numbers, and words that are hashed to rows of a table."""
    parsed = tf.io.parse_example(examples, {
        "size": tf.io.FixedLenFeature([2], tf.float32),
        "words": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True,
                                               default_value="")})
    words = parsed["words"]
    vectors = tf.gather(table, tf.strings.to_hash_bucket_fast(words, 11))
    kept = tf.cast(tf.not_equal(words, ""), tf.float32)[..., None]
    pooled = tf.reduce_sum(vectors * kept, 1)
    return tf.tanh(tf.reduce_sum(pooled, 1)) * parsed["size"][:, 0] + parsed["size"][:, 1] ** 2


def example(size, words):
    """One serialized tf.Example."""
    return tf.train.Example(features=tf.train.Features(feature={
        "size": tf.train.Feature(float_list=tf.train.FloatList(value=size)),
        "words": tf.train.Feature(bytes_list=tf.train.BytesList(value=words)),
    })).SerializeToString()


TABLE = {"table": np.random.default_rng(2).normal(size=[11, 3]).astype(np.float32)}
EXAMPLES = np.array([example([1.5, -2.0], [b"plum", b"fig"]), example([0.5, 1.0], []),
                     example([-1.0, 3.0], ["Käse".encode(), b"a\0b", b"fig"])], object)


def dense(_):
    return MODELS / "digits_cnn", first_rows("digits_cnn")


def strings(_):
    return MODELS / "diabetes_columns", first_rows("diabetes_columns")


def serialized(folder, saver="tf2"):
    path = builders.SAVERS[saver](folder / saver, over_examples,
                                  {"examples": spec([None], tf.string)}, TABLE)
    return path, {"examples": EXAMPLES}


def serialized_v1(folder):
    return serialized(folder, "tf1")


def first_rows(name):
    feeds, _ = read_examples(name)
    return {key: encoded(value[:ROWS]) for key, value in feeds.items()}


def encoded(array):
    """Text as bytes, which is what tensors hold."""
    if array.dtype != object:
        return array
    return np.array([text.encode() for text in array.ravel()], object).reshape(array.shape)


def assert_same(found, wanted, tolerance=1e-6):
    """Equal but for the order of sums; tolerance is of the largest attribution and prediction."""
    assert set(found) == set(wanted)
    largest = max(np.abs(value).max(initial=0) for key, value in wanted.items()
                  if key.startswith("attributions/"))
    assert largest > 0
    largest = max(largest, np.abs(wanted["prediction"]).max(initial=0))
    for key, value in wanted.items():
        assert found[key].shape == value.shape, key
        if value.dtype == object:
            assert found[key].tolist() == value.tolist(), key
        elif key == "relative_error":  # a quotient of roundings
            np.testing.assert_allclose(found[key], value, atol=1e-3)
        else:
            assert found[key].dtype == value.dtype
            np.testing.assert_allclose(found[key], value, rtol=1e-5,
                                       atol=tolerance * largest, err_msg=key)


@pytest.mark.parametrize("kind", [dense, strings, serialized, serialized_v1])
def test_answers_are_those_of_python(kind, tmp_path):
    path, request = kind(tmp_path)
    explained = builders.explain(path, tmp_path / "explained", "v1", steps=STEPS)
    found = c_client.ask(explained.path, "attributions", request, tmp_path)
    assert_same(found, explained.run(**request))


def test_the_model_moved_and_its_source_gone(tmp_path):
    """Vocabulary files come along: nothing outside of the folder is read."""
    path, request = strings(tmp_path)
    shutil.copytree(path, tmp_path / "source")
    explained = builders.explain(tmp_path / "source", tmp_path / "explained", "v1", steps=STEPS)
    wanted = explained.run(**request)
    shutil.rmtree(tmp_path / "source")
    (tmp_path / "explained").rename(tmp_path / "moved")
    assert_same(c_client.ask(tmp_path / "moved", "attributions", request, tmp_path), wanted)


def test_what_a_request_chooses(tmp_path):
    path, request = dense(tmp_path)
    ig_tf.save(ig_tf.instrument(ig_tf.load(path), steps=STEPS, target="logits:top",
                                custom=("target",)), tmp_path / "explained")
    request["target"] = np.arange(ROWS, dtype=np.int64)
    found = c_client.ask(tmp_path / "explained", "attributions_custom", request, tmp_path)
    assert found["target_index"].tolist() == list(range(ROWS))
    assert_same(found, builders.open_v2(tmp_path / "explained", "attributions_custom")(**request))


def test_the_original_signature_answers_as_before(tmp_path):
    path, request = strings(tmp_path)
    explained = builders.explain(path, tmp_path / "explained", "v1", steps=STEPS)
    before = builders.open_v1(path, "serving_default")(**request)
    found = c_client.ask(explained.path, "serving_default", request, tmp_path)
    np.testing.assert_array_equal(found["probabilities"], before["probabilities"])


def test_a_wrong_key_is_said(tmp_path):
    path, _ = dense(tmp_path)
    explained = builders.explain(path, tmp_path / "explained", "v1", steps=STEPS)
    done = c_client.attempt(explained.path, "attributions", {"imag": np.zeros(1)}, tmp_path)
    assert done.returncode == 1 and "no such key: imag" in done.stderr
