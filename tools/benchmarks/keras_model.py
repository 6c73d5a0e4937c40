"""The head of a network as a Keras model, which the rivals of TensorFlow want."""

import tensorflow as tf

from tools.benchmarks import networks_tensorflow


def build(model, weights):
    """A Keras model from the embedded ids (or the picture) to scores [rows, classes]."""
    class Head(tf.keras.layers.Layer):
        def call(self, x):
            scores = networks_tensorflow.head(model, weights, x)
            return scores[:, None] if model.classes == 1 else scores

    shape = (*model.shape, model.width) if model.vocabulary else model.shape
    x = tf.keras.Input(shape)
    return tf.keras.Model(x, Head()(x))


def set_threads(threads):
    """Of TensorFlow, before it starts."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
