"""alibi's IntegratedGradients on the embedded input, at Gauss-Legendre nodes, its default.

  python -m tools.benchmarks.rival_alibi
"""

import numpy as np

from tools.benchmarks import serving


class Alibi:
    """A contender; a choice is `internal_batch_size`."""

    def __init__(self):
        self.model = self.weights = self.keras = None

    def load(self, place, threads):
        import tensorflow as tf
        from tools.benchmarks import keras_model
        keras_model.set_threads(threads)
        self.model = place.model
        self.weights = {name: tf.constant(value) for name, value in place.weights().items()}
        self.keras = keras_model.build(self.model, self.weights)

    def facts(self):
        import alibi
        import tensorflow as tf
        return {"tensorflow": tf.__version__, "alibi": alibi.__version__}

    def choices(self, batch, nodes):
        sizes = [size for size in (50, 100, 400, 1600, 3200) if size <= batch * nodes]
        return [{"name": f"internal_batch_size={size}", "size": size} for size in sizes]

    def predict(self, inputs):
        return np.squeeze(self.keras(self._embedded(inputs)).numpy())

    def attribute(self, inputs, target, nodes, choice):
        from alibi.explainers import IntegratedGradients
        method = IntegratedGradients(self.keras, method="gausslegendre", n_steps=nodes,
                                     internal_batch_size=choice["size"])
        labels = None if self.model.classes == 1 else target
        return method.explain(self._embedded(inputs), target=labels).attributions[0]

    def _embedded(self, inputs):
        from tools.benchmarks import networks_tensorflow
        return np.asarray(networks_tensorflow.lookup(self.model, self.weights, inputs))


if __name__ == "__main__":
    serving.serve(Alibi)
