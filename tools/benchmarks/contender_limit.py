"""The limit: nodes times (forward + backward from the frontier, at the best chunk), plus the
part before it forward and backward once, with the frontier put in by hand for each model.

No baseline, no check, no tokens, nothing kept but the sum: what no attribution by gradients at
these nodes can do without.
"""

import numpy as np

from tools.benchmarks import networks_tensorflow, serving

EXAMPLES = (1, 2, 4, 8, 16, 32, 64)  # in one chunk, with all their nodes


class Limit:
    """A contender that answers with the same attributions; its choices are chunks, XLA or not."""

    def __init__(self):
        self.model = self.weights = None
        self.functions = {}

    def load(self, place, threads):
        import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.model = place.model
        self.weights = {name: tf.constant(value) for name, value in place.weights().items()}

    def facts(self):
        return {"frontier": "by hand"}

    def choices(self, batch, nodes):
        halves = [nodes // 2] if nodes % 2 == 0 else []
        chunks = halves + [each * nodes for each in EXAMPLES if batch % each == 0]
        return [{"name": f"{chunk} rows{', XLA' if xla else ''}", "chunk": chunk, "xla": xla}
                for xla in (False, True) for chunk in chunks]

    def predict(self, inputs):
        return self._function("predict", False, self._scores)(inputs).numpy()

    def _scores(self, inputs):
        x = networks_tensorflow.lookup(self.model, self.weights, inputs)
        return networks_tensorflow.head(self.model, self.weights, x)

    def attribute(self, inputs, target, nodes, choice):
        key = "attribute", nodes, choice["chunk"]
        function = self._function(key, choice["xla"], self._whole(nodes, choice["chunk"]))
        return function(inputs, target).numpy()

    def _function(self, key, xla, code):
        import tensorflow as tf
        if (key, xla) not in self.functions:
            self.functions[key, xla] = tf.function(code, jit_compile=xla)
        return self.functions[key, xla]

    def _whole(self, nodes, chunk):
        """Everything for a batch of a fixed size, in one graph."""
        import tensorflow as tf
        def whole(inputs, target):
            each = min(max(chunk // nodes, 1), inputs.shape[0])
            x = networks_tensorflow.lookup(self.model, self.weights, inputs)
            end = networks_tensorflow.straight(self.model, self.weights, x)
            start = networks_tensorflow.straight(self.model, self.weights, tf.zeros_like(x[:1]))
            groups = [tf.reshape(z, [-1, each, *z.shape[1:]]) for z in (*end, target)]
            if groups[0].shape[0] == 1:
                sums = self._turn([z[0] for z in groups], start, nodes, chunk)
            else:
                sums = tf.map_fn(lambda mine: self._turn(mine, start, nodes, chunk), groups,
                                 parallel_iterations=1, fn_output_signature=[z.dtype for z in end])
                sums = [tf.reshape(total, z.shape) for total, z in zip(sums, end)]
            attribution = x * tf.gradients(end, x, sums)[0]
            return tf.reduce_sum(attribution, -1) if self.model.vocabulary else attribution
        return whole

    def _turn(self, mine, start, nodes, chunk):
        """Weighted gradient sums [examples, ...] at the frontier over all nodes."""
        import tensorflow as tf
        *end, target = mine
        alphas, shares = np.polynomial.legendre.leggauss(nodes)
        alphas, shares = np.float32((alphas + 1) / 2), np.float32(shares / 2)
        steps, totals = min(chunk, nodes), None
        for step in range(0, nodes, steps):
            rows = []
            for a, b in zip(start, end):
                alpha = np.reshape(alphas[step:step + steps], [1, -1] + [1] * (b.shape.rank - 1))
                path = a[:, None] + alpha * (b - a)[:, None]
                rows.append(tf.reshape(path, [-1, *b.shape[1:]]))
            scores = networks_tensorflow.behind_straight(self.model, self.weights, rows)
            if self.model.classes > 1:
                scores = tf.gather(scores, tf.repeat(target, steps), batch_dims=1)
            upstream = tf.tile(shares[step:step + steps], [end[0].shape[0]])
            slopes = tf.gradients(scores, rows, [upstream])
            sums = [tf.reduce_sum(tf.reshape(slope, [-1, steps, *b.shape[1:]]), 1)
                    for slope, b in zip(slopes, end)]
            totals = sums if totals is None else [a + b for a, b in zip(totals, sums)]
        return totals


if __name__ == "__main__":
    serving.serve(Limit)
