"""Keras models, live and in files: exported, then read as any SavedModel."""

import os

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import ArtifactError
from tests import builders

KINDS = ("live", ".keras", ".h5")


def package(name):
    return pytest.importorskip(name, reason=f"{name} is not installed")


def network(keras):
    keras.utils.set_random_seed(3)
    ids = keras.Input([4], dtype="int32", name="ids")
    numbers = keras.Input([2], name="numbers")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(9, 3)(ids))
    joined = keras.layers.Concatenate()([pooled, keras.layers.Dense(3, "tanh")(numbers)])
    score = keras.layers.Dense(1, "sigmoid", name="score")(keras.layers.Dropout(0.5)(joined))
    return keras.Model({"ids": ids, "numbers": numbers}, {"score": score})


FEED = {"ids": np.array([[1, 2, 0, 0], [8, 7, 6, 5]], np.int32),
        "numbers": np.array([[0.5, -1], [2, 1]], np.float32)}


def given(model, kind, folder):
    """The model itself, or a file of it."""
    if kind == "live":
        return model
    path = folder / f"model{kind}"
    model.save(path)
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_each_way(name, kind, tmp_path):
    """The prediction is the model's own; attributions are complete."""
    model = network(package(name))
    loaded = ig_tf.load(given(model, kind, tmp_path))
    assert "runs the model's Python code" in loaded.chosen[0]
    ig_tf.save(ig_tf.instrument(loaded, steps=60), tmp_path / "out")
    wanted = np.asarray(model(FEED)["score"])[:, 0]
    for open_it in builders.LOADERS.values():
        answer = open_it(tmp_path / "out")(**FEED)
        np.testing.assert_allclose(answer["prediction"], wanted, rtol=1e-5)
        assert answer["relative_error"].max() < 1e-3
        assert {"features/ids", "features/numbers"} <= set(answer)


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_equals_finite_steps_of_the_model_itself(name, tmp_path):
    """A numeric input's attribution, against differences of the live model along the path."""
    model = network(package(name))
    plan = ig_tf.instrument(ig_tf.load(model), points=["numbers"], steps=40)
    ig_tf.save(plan, tmp_path / "out")
    found = builders.open_v2(tmp_path / "out")(**FEED)["attributions/numbers"]
    truth, nodes, width = np.zeros((2, 2)), 200, 1e-2
    for alpha in (np.arange(nodes) + 0.5) / nodes:
        for column in range(2):
            step = np.zeros((1, 2))
            step[0, column] = width
            high, low = (np.float64(model({**FEED, "numbers": np.float32(
                alpha * FEED["numbers"] + sign * step)})["score"])[:, 0] for sign in (1, -1))
            truth[:, column] += (high - low) / (2 * width) / nodes
    # Float32 predictions differ by 1e-7 of rounding over 2e-2; the difference itself is off by
    # the width squared.
    np.testing.assert_allclose(found, truth * FEED["numbers"], atol=1e-4)

@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_a_recurrent_layer_with_a_kernel_for_cuda_beside_it(layer, tmp_path):
    """Keras 2 saves a recurrent layer twice, once by a kernel of cuDNN."""
    keras = package("tf_keras")
    keras.utils.set_random_seed(1)
    inputs = keras.Input([5, 3], name="x")
    hidden = getattr(keras.layers, layer)(4)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="y")(hidden))
    model.save(tmp_path / "model", save_format="tf")
    library = ig_tf.load(tmp_path / "model").graph_def.library
    assert any(node.op.startswith("CudnnRNN") for function in library.function
               for node in function.node_def)
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=20)
    assert plan.described()["chunking"]["mode"].startswith("rows")
    ig_tf.save(plan, tmp_path / "out")
    x = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)
    total = np.zeros(x.shape)
    for node, weight in zip(plan.recipe.rule.nodes, plan.recipe.rule.weights):
        place = tf.constant(np.float32(node * x))
        with tf.GradientTape() as tape:
            tape.watch(place)
            value = tf.reduce_sum(model(place))
        total += weight * tape.gradient(value, place).numpy()
    for open_it in builders.LOADERS.values():
        found = open_it(tmp_path / "out")(x=x)["attributions/x"]
        # float32, a few hundred operations in another order
        np.testing.assert_allclose(found, total * x, rtol=0, atol=1e-5 * np.abs(total * x).max())


def test_the_export_lives_as_long_as_the_model():
    loaded = ig_tf.load(network(package("keras")))
    index = loaded.files["variables/variables.index"]
    assert os.path.exists(index)
    del loaded
    assert not os.path.exists(index)


def test_a_model_that_was_never_built():
    keras = package("keras")
    with pytest.raises(ArtifactError, match="cannot export"):
        ig_tf.load(keras.Sequential([keras.layers.Dense(2)]))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("data", [b"", b"layers: 3\n", b"PK\x03\x04" + b"0" * 40,
                                  b"\x89HDF\r\n\x1a\n" + b"0" * 40])
def test_a_file_that_is_no_model(tmp_path, ending, data):
    path = tmp_path / f"model{ending}"
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match="found a file") as caught:
        ig_tf.load(path)
    assert f"model{ending}" in str(caught.value)


def test_weights_without_a_model(tmp_path):
    keras = package("keras")
    network(keras).save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(ArtifactError, match="weights alone"):
        ig_tf.load(tmp_path / "only.weights.h5")


def test_a_layer_of_the_users_own(tmp_path):
    """Without its Python the file cannot be loaded; the message says what to import."""
    keras = package("keras")

    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    inputs = keras.Input([2])
    keras.Model(inputs, Twice()(inputs)).save(tmp_path / "own.keras")
    with pytest.raises(ArtifactError, match="--import=MODULE") as caught:
        ig_tf.load(tmp_path / "own.keras")
    assert "Twice" in str(caught.value)
