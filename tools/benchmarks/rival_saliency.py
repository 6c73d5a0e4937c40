"""PAIR saliency's IntegratedGradients: one example at a time, the mean over equal steps with both
ends; its user writes the gradients, here as a compiled function of TensorFlow.

  python -m tools.benchmarks.rival_saliency
"""

import numpy as np

from tools.benchmarks import serving


class Saliency:
    """A contender; a choice is `batch_size` and whether the user's function is compiled."""

    def __init__(self):
        self.model = self.weights = self.gradients = None

    def load(self, place, threads):
        import tensorflow as tf
        from tools.benchmarks import keras_model, networks_tensorflow
        keras_model.set_threads(threads)
        self.model = place.model
        self.weights = {name: tf.constant(value) for name, value in place.weights().items()}

        @tf.function(reduce_retracing=True)
        def gradients(x, label):
            scores = networks_tensorflow.head(self.model, self.weights, x)
            score = scores if self.model.classes == 1 else tf.gather(scores, label, axis=1)
            return tf.gradients(score, x)[0]
        self.gradients = gradients

    def facts(self):
        import importlib.metadata
        import tensorflow as tf
        return {"tensorflow": tf.__version__, "saliency": importlib.metadata.version("saliency"),
                "rule": "mean over both ends"}

    def choices(self, batch, nodes):
        return [{"name": f"batch_size={size}", "size": size} for size in (nodes, -(-nodes // 2))]

    def predict(self, inputs):
        from tools.benchmarks import networks_tensorflow
        x = networks_tensorflow.lookup(self.model, self.weights, inputs)
        return networks_tensorflow.head(self.model, self.weights, x).numpy()

    def attribute(self, inputs, target, nodes, choice):
        import tensorflow as tf
        from saliency import core
        from tools.benchmarks import networks_tensorflow
        method = core.IntegratedGradients()
        key = core.base.INPUT_OUTPUT_GRADIENTS

        def call(values, call_model_args=None, expected_keys=None):
            x = np.asarray(values, np.float32)
            return {key: self.gradients(x, call_model_args).numpy()}

        embedded = np.asarray(networks_tensorflow.lookup(self.model, self.weights, inputs))
        return np.stack([
            method.GetMask(x, call, tf.constant(label), x_baseline=np.zeros_like(x),
                           x_steps=nodes, batch_size=choice["size"])
            for x, label in zip(embedded, target)])


if __name__ == "__main__":
    serving.serve(Saliency)
