"""A user's own path between the baseline and x, on the loop of the straight one.

The straight line is walked in alpha instead, each number of a point having an alpha of its own,
from 0 to 1, and the function begins with the path: then dF/d alpha_i = dF/dx_i * d path_i / d
alpha_i, and its integral over the line is what the path integral gives to x_i.
"""

import tensorflow as tf

_END, _START = "the end of the path at ", "the start of the path at "
TOLERANCE = 1e-3  # of |x| + |x'|: that a path leads from one to the other


def on_curve(method, line, extras, scores):
    """The line in alpha, and what the function needs for it.

    Args:
      method: a `Method` with a path.
      line: the straight `front.Line`, at the points themselves.
      extras: {name: (tensor, axis)} as `integrate.Path` has them.
      scores: function(rows at the points, extras of these rows) -> scores.

    Returns:
      (ends, starts, extras, scores) of the line in alpha.
    """
    count = len(line.ends)
    ends = [_leading(method.path, x, start) for x, start in zip(line.ends, line.starts)]
    both = {**{f"{_END}{place}": (x, 0) for place, x in enumerate(line.ends)},
            **{f"{_START}{place}": (start, 0) for place, start in enumerate(line.starts)}}

    def bent(alphas, given):
        given = dict(given)
        x = [given.pop(f"{_END}{place}") for place in range(count)]
        start = [given.pop(f"{_START}{place}") for place in range(count)]
        rows = [_on(method.path, *one) for one in zip(alphas, x, start)]
        return scores(rows, given)

    return ends, [tf.zeros_like(end) for end in ends], {**extras, **both}, bent


def _on(path, alpha, x, start):
    found = tf.convert_to_tensor(path(alpha, x, start))
    return tf.ensure_shape(tf.cast(found, x.dtype), x.shape)


def _leading(path, x, start):
    """Ones, once the path is known to lead from the baseline to x."""
    def near(alpha, wanted):
        off = tf.abs(_on(path, tf.fill(tf.shape(x), tf.cast(alpha, x.dtype)), x, start) - wanted)
        far = off > tf.cast(TOLERANCE, x.dtype) * (tf.abs(x) + tf.abs(start))
        return tf.logical_not(tf.reduce_any(far))

    leads = tf.debugging.Assert(near(0, start) & near(1, x), [
        "the path of the method does not lead from the baseline (alpha 0) to x (alpha 1)"])
    with tf.control_dependencies([leads]):
        return tf.ones_like(x)
