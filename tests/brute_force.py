"""Integrated gradients written once more, plainly: what ig_tf answers is compared with these loops.

Nothing of ig_tf is used: the nodes are numpy's Gauss-Legendre, one is evaluated at a time, and the
gradient is TensorFlow's own, of a Python function or of a live graph whose tensors are fed.
"""

import numpy as np
import tensorflow as tf

STEPS = 6  # of a model and of its truth, where a test does not need others
# Both use the same nodes, so the quadrature's error is the same and only rounding is left: float64
# rounds to 1e-16, the functions of these tests do at most 1e4 operations, so 1e-11 of the largest
# attribution is far above it and far below what a row of the wrong example would make (1e-2 and
# more).
CLOSE = 1e-11


def brute_force(function, inputs, points=("x",), steps=STEPS, index=None, baseline=0.0):
    """Attributions by a GradientTape, one example and one node at a time.

    Args:
      function: {input: tensor} as keywords -> scores [examples] or [examples, classes].
      inputs: {input: array}; what has no axis belongs to all examples.
      points: inputs that move along the path.
      steps: number of nodes.
      index: of the class that is explained; None where there is one score.
      baseline: where the path begins, a number for all points.

    Returns:
      {point: attributions}.
    """
    inputs = {name: np.asarray(value) for name, value in inputs.items()}
    found = {point: np.zeros_like(inputs[point], np.float64) for point in points}
    for example in range(len(inputs[points[0]])):
        mine = {name: tf.constant(value[example:example + 1] if value.ndim else value)
                for name, value in inputs.items()}
        for alpha, weight in _nodes(steps):
            moved = {p: baseline + alpha * (mine[p] - baseline) for p in points}
            with tf.GradientTape() as tape:
                tape.watch(moved)
                scores = function(**{**mine, **moved})
                score = scores[0] if index is None else scores[0, index]
            for point, gradient in tape.gradient(score, moved).items():
                if gradient is not None:
                    moves = mine[point][0] - baseline
                    found[point][example] += weight * gradient[0].numpy() * moves
    return found


def brute_force_in_session(session, scores, points, feed, steps=STEPS):
    """Attributions from zeros of a live graph, all examples at once, one node at a time.

    Args:
      session: of the graph; tables and variables have their values.
      scores: tensor [examples].
      points: tensors that are fed along the path, whatever computes them.
      feed: {tensor: value} of the request.
      steps: number of nodes.

    Returns:
      [attributions] of the points.
    """
    with session.graph.as_default():
        gradients = [tf.convert_to_tensor(one) for one in tf.gradients(scores, points)]
    ends = session.run(points, feed)
    totals = [np.zeros(end.shape) for end in ends]
    for node, weight in _nodes(steps):
        along = {point: (node * end).astype(end.dtype) for point, end in zip(points, ends)}
        for total, slope in zip(totals, session.run(gradients, {**feed, **along})):
            total += weight * slope
    return [total * end for total, end in zip(totals, ends)]


def _nodes(steps):
    """[(node, weight)] on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return list(zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist()))


def assert_close(found, expected, message=""):
    """The answer `found` of an artifact has the attributions {point: array}, but for rounding."""
    assert expected
    for point, values in expected.items():
        largest = max(np.abs(values).max(initial=0), 1e-3)
        np.testing.assert_allclose(found[f"attributions/{point}"], values, rtol=0,
                                   atol=CLOSE * largest, err_msg=f"{message} {point}")
