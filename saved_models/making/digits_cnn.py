"""digits_cnn: a TF2 Keras convolutional net."""

import os

import numpy as np
from sklearn import datasets
import tensorflow as tf

from making.rows import SEED, accuracy, split

_DIGITS_HELD_OUT = 400
_DIGITS_EXAMPLES = 40


def digits_model(training):
    """Returns the Keras model: image -> {'logits', 'probabilities'}.

    The serving one has no dropout: with it a seed, which is no weight, would be exported.
    """
    layers = tf.keras.layers
    image = tf.keras.Input([8, 8, 1], name="image")
    net = layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    net = layers.Conv2D(32, 3, padding="same", activation="relu")(net)
    net = layers.MaxPooling2D()(net)
    net = layers.Flatten()(net)
    net = layers.Dropout(0.4, seed=SEED)(net) if training else net
    net = layers.Dense(32, activation="relu")(net)
    logits = layers.Dense(10, name="logits")(net)
    probabilities = layers.Softmax(name="probabilities")(logits)
    return tf.keras.Model(image, {"logits": logits, "probabilities": probabilities})


def make(folder):
    """Makes the model `digits_cnn`; returns its held-out and its examples' accuracy."""
    bunch = datasets.load_digits()
    images = (bunch.images / 16.0).astype(np.float32)[..., np.newaxis]
    labels = bunch.target
    train, held_out = split(len(labels), _DIGITS_HELD_OUT)
    tf.keras.utils.set_random_seed(SEED)
    model = digits_model(training=True)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss={"logits": loss, "probabilities": None})
    model.fit(images[train], {"logits": labels[train]}, batch_size=32, epochs=25, verbose=0)
    serving = digits_model(training=False)
    serving.set_weights(model.get_weights())
    serving.export(folder, verbose=False)
    examples = held_out[:_DIGITS_EXAMPLES]
    np.savez_compressed(os.path.join(folder, "examples.npz"),
                        image=images[examples], label=labels[examples])
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    return tuple(accuracy(serve(image=tf.constant(images[rows]))["probabilities"], labels[rows])
                 for rows in (held_out, examples))
