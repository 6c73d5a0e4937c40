"""Peak memory of the attributions signature over steps and batches, each in a fresh process.

  python -m tools.benchmarks.memory ARTIFACT EXAMPLES.npz BATCH THREADS

Prints one line of JSON: bytes at the peak of a prediction of the same batch (the process, the
model and its own activations) and at the peak of the attributions.
"""

import json
import resource
import sys
import time

import numpy as np

STEPS, BATCHES = (50, 200, 1000), (1, 16, 128, 1024)
FIXED_BATCH, FIXED_STEPS = 16, 50


def cells():
    """(steps, batch) of the table: over steps at one batch, over batches at one number of steps."""
    found = [(steps, FIXED_BATCH) for steps in STEPS] + [(FIXED_STEPS, batch) for batch in BATCHES]
    return list(dict.fromkeys(found))


def main():
    import tensorflow as tf
    from ig_tf.run import artifact
    path, file, batch, threads = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    loaded = artifact.load(path)
    with np.load(file) as arrays:
        inputs = np.resize(arrays["inputs"], [int(batch), *arrays["inputs"].shape[1:]])
    [name] = loaded.inputs
    loaded.owner.signatures["serving_default"](**{name: tf.constant(inputs)})
    before = _peak()
    began = time.perf_counter()
    loaded.run({name: inputs})
    print(json.dumps({"prediction_bytes": before, "bytes": _peak(),
                      "seconds": time.perf_counter() - began}))


def _peak():
    """Of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    main()
