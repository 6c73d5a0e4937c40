"""Users of Hub and Keras: an instrumented model where they expect a layer or a loaded object.

Each way of loading answers as the signature in a session does, and what the original
signature gives, its gradient too, is what it was.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub

import builders
import ig_tf
from test_c_library import MODELS, assert_same, encoded
from test_saved_models import read_examples

STEPS = 6
TWO = ("digits_cnn", "diabetes_columns")  # of TensorFlow 2, and of TensorFlow 1 with strings


@pytest.fixture(name="explained", scope="module")
def fixture_explained(tmp_path_factory):
    """A function from a name to (folder, {input: array}, what a session answers)."""
    folder, found = tmp_path_factory.mktemp("explained"), {}

    def find(name):
        if name not in found:
            feeds, _ = read_examples(name)
            request = {key: encoded(value[:4]) for key, value in feeds.items()}
            ig_tf.save(ig_tf.instrument(ig_tf.load(MODELS / name), steps=STEPS), folder / name)
            found[name] = str(folder / name), request, builders.open_v1(folder / name)(**request)
        return found[name]

    return find


def tensors(request):
    return {key: tf.constant(value.tolist() if value.dtype == object else value)
            for key, value in request.items()}


def arrays(answer):
    return {key: value.numpy() for key, value in answer.items()}


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize("load", [tf.saved_model.load, hub.load])
def test_loaded_objects(explained, name, load):
    folder, request, wanted = explained(name)
    loaded = load(folder)  # its variables live as long as it does
    assert_same(arrays(loaded.signatures["attributions"](**tensors(request))), wanted)


@pytest.mark.parametrize("name", TWO)
def test_hub_keras_layer(explained, name):
    """KerasLayer hands several inputs on as a dictionary."""
    folder, request, wanted = explained(name)
    layer = hub.KerasLayer(folder, signature="attributions", signature_outputs_as_dict=True)
    assert_same(arrays(layer(tensors(request))), wanted)
    one = hub.KerasLayer(folder, signature="attributions", output_key="prediction")
    np.testing.assert_allclose(one(tensors(request)), wanted["prediction"], rtol=1e-5)


@pytest.mark.parametrize("name", ["digits_cnn", "review_tokens"])
def test_tfsm_layer_of_keras_3(explained, name):
    """It hands on one input only, of any signature."""
    import keras
    folder, request, wanted = explained(name)
    layer = keras.layers.TFSMLayer(folder, call_endpoint="attributions")
    value, = tensors(request).values()
    assert_same(arrays(layer(value)), wanted)


def test_a_layer_of_keras_3_with_several_inputs(explained):
    """What the README gives for models of several inputs."""
    import keras
    folder, request, wanted = explained("diabetes_columns")

    class Attributions(keras.layers.Layer):
        def __init__(self, folder):
            super().__init__()
            self.loaded = tf.saved_model.load(folder)

        def call(self, inputs):
            return self.loaded.signatures["attributions"](**inputs)

    assert_same(arrays(Attributions(folder)(tensors(request))), wanted)


def test_tfsm_layer_within_a_keras_model(explained):
    """Preprocessing in Keras, then the attributions: one model, which predicts in batches."""
    import keras
    folder, request, wanted = explained("digits_cnn")
    pixels = keras.Input([8, 8, 1])
    layer = keras.layers.TFSMLayer(folder, call_endpoint="attributions")
    model = keras.Model(pixels, layer(keras.layers.Rescaling(1 / 16)(pixels)))
    found = model.predict(request["image"] * 16, batch_size=3, verbose=0)
    assert_same(found, wanted)


def test_hub_layer_within_a_keras_2_model(explained):
    tf_keras = pytest.importorskip("tf_keras", reason="tf_keras (Keras 2) is not installed")
    folder, request, wanted = explained("digits_cnn")
    pixels = tf_keras.Input([8, 8, 1])
    layer = hub.KerasLayer(folder, signature="attributions", signature_outputs_as_dict=True)
    model = tf_keras.Model(pixels, layer(pixels))
    assert_same(model.predict(request["image"], batch_size=3, verbose=0), wanted)


def test_the_original_signature_as_a_layer_is_as_before(explained):
    """Values, and the gradient through it, as a saliency map by hand would take it."""
    import keras
    folder, request, _ = explained("digits_cnn")
    image = tf.constant(request["image"])

    def scores_and_slopes(path):
        layer = keras.layers.TFSMLayer(path, call_endpoint="serving_default")
        with tf.GradientTape() as tape:
            tape.watch(image)
            scores = layer(image)["probabilities"]
        return scores.numpy(), tape.gradient(scores, image).numpy()

    for found, wanted in zip(scores_and_slopes(folder), scores_and_slopes(str(
            MODELS / "digits_cnn"))):
        np.testing.assert_array_equal(found, wanted)


def test_saved_again_with_a_layer_of_it(explained, tmp_path):
    """A team wraps it and exports the whole: the wrapped SavedModel answers the same."""
    folder, request, wanted = explained("digits_cnn")

    class Wrapped(tf.Module):
        def __init__(self):
            super().__init__()
            self.inner = tf.saved_model.load(folder)

        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32)])
        def serve(self, image):
            return self.inner.signatures["attributions"](image=image)

    wrapped = Wrapped()
    tf.saved_model.save(wrapped, str(tmp_path / "wrapped"),
                        signatures={"serving_default": wrapped.serve})
    assert_same(builders.open_v1(tmp_path / "wrapped", "serving_default")(**request), wanted)
