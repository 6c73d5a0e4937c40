"""The integral of the gradient along the straight path, in one chunked loop in the graph (D7).

IG_i = (x_i - x'_i) * integral over alpha in [0,1] of dF(x' + alpha (x - x')) / dx_i
(Sundararajan, Taly, Yan 2017, equation 1).
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ig_tf.errors import GraphError


@dataclasses.dataclass(frozen=True)
class Path:
    """What is integrated.

    Attributes:
      function: callable(points [rows, ...] each, extras [rows, ...] each) -> F [rows].
      scores: the same, but the whole output that F is one number of.
      inputs: tensors x, one per point, [batch, ...].
      baselines: tensors x', of the same shapes.
      extras: {name: (tensor, axis)} that the function also needs, repeated along their axis with
        the rows of their example.
      sizes: callable(rows) -> {name: integer tensor} of shapes from outside for that many rows;
        the function makes what is not among its extras itself.
      varying: tensors from outside that belong to all rows and differ from request to request.
    """

    function: object
    scores: object
    inputs: list
    baselines: list
    extras: dict
    sizes: object = lambda rows: {}
    varying: list = ()

    @property
    def fixed(self):
        """The extras as they are, for one row per example."""
        return {name: tensor for name, (tensor, _) in self.extras.items()}


class Chunks:
    """How the path is cut into chunks, and how one is computed: here as it comes."""

    def sizes(self, steps, rows, batch):
        """Examples and steps of one chunk, scalars: whole examples with all their steps, or
        steps of one example."""
        del batch
        rows = tf.maximum(rows, 1)
        return tf.maximum(rows // steps, 1), tf.minimum(steps, rows)

    def sums(self, path, rule, width, examples, first_step, end_step):
        """Weighted gradient sums [examples, ...] over some steps of one chunk."""
        del width
        return _chunk(path, rule, examples, first_step, end_step)

    def whole(self, path, rule, step):
        """The weighted gradients of the whole batch at one step."""
        return _whole(path, rule, step)


def integrals(path, rule, rows_per_chunk, chunks=Chunks()):
    """The integral of dF/dx over the path, for each point.

    Args:
      path: a `Path`.
      rule: a quadrature `Rule`.
      rows_per_chunk: scalar int32 tensor or int: rows of (example, step) pairs at a time.
      chunks: a `Chunks`.

    Returns:
      One tensor per point, of its shape; float32 for half precision.
    """
    batch = tf.shape(path.inputs[0])[0]
    steps = rule.steps
    width = chunks.sizes(steps, rows_per_chunk, batch)
    examples_at_once, steps_at_once = width
    step_chunks = -(-steps // steps_at_once)
    turns = step_chunks * -(-batch // examples_at_once)
    start = [tf.zeros_like(x, accumulator(x.dtype)) for x in path.inputs]

    def turn(index, *sums):
        first = index // step_chunks * examples_at_once
        examples = tf.range(first, tf.minimum(first + examples_at_once, batch))
        step = index % step_chunks * steps_at_once
        gradients = chunks.sums(path, rule, width, examples, step,
                                tf.minimum(step + steps_at_once, steps))
        return (index + 1, *(_added(total, examples, gradient)
                             for total, gradient in zip(sums, gradients)))

    shapes = [tf.TensorShape([])] + [x.shape for x in path.inputs]
    sums = tf.while_loop(lambda index, *_: index < turns, turn, (tf.constant(0), *start),
                         shape_invariants=(shapes[0], *shapes[1:]))[1:]
    return list(sums)


def attributions(path, integrals):
    """(x - x') times the integral, for each point; exactly zero where either is.

    Either may be NaN then: a gradient at a pole, or an input that the model replaces (NaN for
    "missing") and does not look at.
    """
    found = []
    for total, x, baseline in zip(integrals, path.inputs, path.baselines):
        change = tf.cast(x, total.dtype) - tf.cast(baseline, total.dtype)
        product = tf.math.multiply_no_nan(total, change)
        found.append(tf.where(tf.equal(total, 0), tf.zeros_like(total), product))
    return found


def _added(total, examples, gradient):
    """Rows added at the examples' places; a point may be empty for all (no words in the batch)."""
    def add():
        return tf.tensor_scatter_nd_add(total, examples[:, None], gradient)
    if None not in total.shape.as_list()[1:]:
        return add()
    return tf.cond(tf.size(total) > 0, add, lambda: total)


def integrals_stepwise(path, rule, chunks=Chunks()):
    """The same, one step at a time over the whole batch: needs nothing but independent rows."""
    start = [tf.zeros_like(x, accumulator(x.dtype)) for x in path.inputs]

    def turn(index, *sums):
        gradients = chunks.whole(path, rule, index)
        return (index + 1, *(total + gradient for total, gradient in zip(sums, gradients)))

    shapes = tuple(x.shape for x in path.inputs)
    sums = tf.while_loop(lambda index, *_: index < rule.steps, turn, (tf.constant(0), *start),
                         shape_invariants=(tf.TensorShape([]), *shapes))[1:]
    return list(sums)


def along(path, alphas):
    """F at some places of the path [batch, alphas]; no gradients."""
    values = tf.map_fn(lambda alpha: path.function(_at(path, alpha), path.fixed),
                       tf.constant(alphas, tf.float64), parallel_iterations=1,
                       fn_output_signature=tf.TensorSpec([None], path.function(
                           path.baselines, path.fixed).dtype))
    return tf.transpose(values)


def _at(path, alpha):
    """The points of the whole batch at one scalar alpha."""
    rows = []
    for x, baseline in zip(path.inputs, path.baselines):
        wide = accumulator(x.dtype)
        start, end = tf.cast(baseline, wide), tf.cast(x, wide)
        rows.append(tf.cast(start + tf.cast(alpha, wide) * (end - start), x.dtype))
    return rows


def _whole(path, rule, index):
    alpha = tf.constant(rule.nodes, tf.float64)[index]
    weights = tf.fill(tf.shape(path.inputs[0])[:1],
                      tf.constant(rule.weights, tf.float64)[index])
    return weighted_gradients(path.function, _at(path, alpha), path.fixed, weights)


def _chunk(path, rule, examples, first_step, end_step):
    """Weighted gradient sums [examples, ...] over some steps."""
    count, width = tf.size(examples), end_step - first_step
    row_of = tf.repeat(examples, width)  # example of each row; its steps are neighbours
    rows = []
    for x, baseline in zip(path.inputs, path.baselines):
        wide = accumulator(x.dtype)
        alphas = tf.constant(rule.nodes, wide)[first_step:end_step]
        alphas = tf.reshape(alphas, [1, -1] + [1] * (x.shape.rank - 1))
        start = tf.cast(tf.gather(baseline, examples), wide)[:, None]
        end = tf.cast(tf.gather(x, examples), wide)[:, None]
        points = start + alphas * (end - start)
        flat = tf.reshape(points, tf.concat([[count * width], tf.shape(x)[1:]], 0))
        flat.set_shape([None] + x.shape[1:].as_list())
        rows.append(tf.cast(flat, x.dtype))
    weights = tf.tile(tf.constant(rule.weights, tf.float64)[first_step:end_step], [count])
    extras = {name: tf.gather(tensor, row_of, axis=axis)
              for name, (tensor, axis) in path.extras.items()}
    gradients = weighted_gradients(path.function, rows, extras, weights)
    return [tf.reduce_sum(tf.reshape(gradient, tf.concat([[count, width], tf.shape(x)[1:]], 0)), 1)
            for gradient, x in zip(gradients, path.inputs)]


def weighted_gradients(function, rows, extras, weights):
    """dF/drows times the weight of each row, in the accumulator's type.

    The weights enter as the upstream gradient, which costs nothing; in half precision they would
    lose too much there and are multiplied in afterwards.
    """
    value = function(rows, extras)
    narrow = value.dtype.size < 4
    upstream = tf.ones_like(value) if narrow else tf.cast(weights, value.dtype)
    gradients = _gradients(value, rows, upstream)
    results = []
    for gradient, row in zip(gradients, rows):
        gradient = tf.cast(gradient, accumulator(row.dtype))
        if narrow:
            ones = [1] * (row.shape.rank - 1)
            gradient *= tf.reshape(tf.cast(weights, gradient.dtype), [-1] + ones)
        results.append(gradient)
    return results


def _gradients(value, rows, upstream):
    try:
        gradients = tf.gradients(value, rows, grad_ys=[upstream],
                                 unconnected_gradients=tf.UnconnectedGradients.NONE)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise GraphError(f"TensorFlow cannot differentiate the path: {error}") from error
    missing = [row.name for row, gradient in zip(rows, gradients) if gradient is None]
    if missing:
        raise GraphError(f"no gradient reaches {', '.join(missing)} of the copied path.")
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def accumulator(dtype):
    """Sums are never kept in half precision."""
    return dtype if dtype.size >= 4 else tf.float32


def rows_for_budget(budget, bytes_per_row, points, shapes):
    """Rows whose activations fit the budget.

    Args:
      budget: bytes.
      bytes_per_row: activations of one row where every unknown dimension is 1.
      points: tensors x.
      shapes: their static shapes, None where unknown.

    Returns:
      Scalar int32 tensor; it shrinks as the unknown dimensions of a request grow.
    """
    growth = tf.constant(1, tf.int64)
    for x, shape in zip(points, shapes):
        unknown = [axis for axis, dim in enumerate(shape) if dim is None and axis > 0]
        if unknown:
            sizes = tf.gather(tf.shape(x, out_type=tf.int64), unknown)
            growth = tf.maximum(growth, tf.reduce_prod(sizes))
    rows = np.int64(budget // max(bytes_per_row, 1)) // tf.maximum(growth, 1)
    return tf.cast(tf.clip_by_value(rows, 1, 1 << 20), tf.int32)
