"""xplique's IntegratedGradients on the embedded input. It has the trapezoid only, so its errors
are at as many equal steps.

  python -m tools.benchmarks.rival_xplique
"""

import numpy as np

from tools.benchmarks import serving


class Xplique:
    """A contender; a choice is `batch_size`."""

    def __init__(self):
        self.model = self.weights = self.keras = None
        self.methods = {}

    def load(self, place, threads):
        import tensorflow as tf
        from tools.benchmarks import keras_model
        keras_model.set_threads(threads)
        self.model = place.model
        self.weights = {name: tf.constant(value) for name, value in place.weights().items()}
        self.keras = keras_model.build(self.model, self.weights)

    def facts(self):
        import importlib.metadata
        import tensorflow as tf
        return {"tensorflow": tf.__version__, "xplique": importlib.metadata.version("xplique"),
                "rule": "trapezoid"}

    def choices(self, batch, nodes):
        sizes = [size for size in (16, 50, 100, 400, 1600, 3200) if size <= batch * nodes]
        return [{"name": f"batch_size={size}", "size": size} for size in sizes]

    def predict(self, inputs):
        return np.squeeze(self.keras(self._embedded(inputs)).numpy())

    def attribute(self, inputs, target, nodes, choice):
        from xplique.attributions import IntegratedGradients
        key = nodes, choice["size"]
        if key not in self.methods:
            self.methods[key] = IntegratedGradients(
                self.keras, steps=nodes, batch_size=choice["size"], baseline_value=0.0,
                reducer=None)
        one_hot = np.eye(self.model.classes, dtype=np.float32)[target]
        found = np.asarray(self.methods[key].explain(self._embedded(inputs), one_hot))
        shape = (len(inputs), *self.model.shape)
        return found.reshape(*shape, self.model.width) if self.model.vocabulary else (
            found.reshape(shape))

    def _embedded(self, inputs):
        from tools.benchmarks import networks_tensorflow
        return np.asarray(networks_tensorflow.lookup(self.model, self.weights, inputs))


if __name__ == "__main__":
    serving.serve(Xplique)
