"""The instrumented SavedModel, as `ig_tf` runs it.

  python -m tools.benchmarks.contender_ours SETTING
"""

import sys

import numpy as np

from tools.benchmarks import serving


class Ours:
    """A contender: nodes and chunks are in the artifact."""

    def __init__(self, setting):
        self.setting = setting
        self.artifact = self.key = self.served = None

    def load(self, place, threads):
        import tensorflow as tf
        from ig_tf.run import artifact
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.artifact = artifact.load(place.instrumented(self.setting))
        self.served = self.artifact.owner.signatures["serving_default"]
        [self.key] = [key for key in self.artifact.metadata["outputs"]
                      if key.startswith("attributions/")]

    def facts(self):
        import tensorflow as tf
        recorded = self.artifact.metadata
        said = ("rule", "chunking", "frontier", "calibration", "runtime")
        return {"tensorflow": tf.__version__,
                **{key: recorded[key] for key in said if key in recorded}}

    def choices(self, batch, nodes):
        rule = self.artifact.metadata["rule"]
        return [{"name": f"{rule['name']}, {rule['steps']} nodes"}]

    def predict(self, inputs):
        import tensorflow as tf
        [scores] = self.served(**self._named(tf.constant(inputs))).values()
        return scores.numpy()

    def attribute(self, inputs, target, nodes, choice):
        return self.artifact.run(self._named(np.asarray(inputs)))[self.key]

    def _named(self, value):
        [name] = self.artifact.inputs
        return {name: value}


if __name__ == "__main__":
    serving.serve(lambda: Ours(sys.argv[1]))
