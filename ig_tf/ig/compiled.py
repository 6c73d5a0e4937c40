"""Chunks of few shapes, each computed by one function that XLA compiles: gradient and sum too.

XLA compiles a function anew for each shape of its inputs and for each value that decides a shape
inside. So a chunk is filled up to one of the profile's buckets, and where the request decides other
sizes, only those that the profile lists are compiled; the rest runs as it is.
"""

import tensorflow as tf

from ig_tf.errors import CompileError
from ig_tf.ig import integrate
from ig_tf.ig.quadrature import MAX_STEPS
from ig_tf.ig.targets import TOP

AS_IT_IS = "as_it_is"  # a call in this scope is written without the mark for XLA


class Chunks(integrate.Chunks):
    """Chunks of a profile's buckets.

    Args:
      profile: a `RuntimeProfile` with XLA.
    """

    def __init__(self, profile):
        self.profile = profile

    def sizes(self, steps, rows, batch):
        """Examples and steps of each chunk: a bucket; all steps or a power of two."""
        buckets = tf.constant(self.profile.batch_buckets)
        rows = tf.maximum(rows, 1)
        cost = -(-batch // buckets) * (buckets + 1)  # a turn counts as one example more
        fitting = tf.logical_or(buckets * steps <= rows, tf.equal(buckets, buckets[0]))
        cost = tf.where(fitting, cost, tf.fill(tf.shape(cost), cost.dtype.max))
        examples = tf.gather(buckets, tf.argmin(cost))
        powers = tf.constant([1 << power for power in range(MAX_STEPS.bit_length())])
        widths = tf.concat([tf.minimum(powers, steps), [steps]], 0)
        fits = tf.logical_or(widths * examples <= rows, tf.equal(widths, widths[0]))
        return examples, tf.reduce_max(tf.where(fits, widths, tf.ones_like(widths)))

    def sums(self, path, rule, width, examples, first_step, end_step):
        return tf.cond(  # no example can be filled up to some
            tf.size(examples) > 0,
            lambda: self._sums(path, rule, width, examples, first_step, end_step),
            lambda: [tf.zeros_like(change[:0]) for change in path.changes])

    def _sums(self, path, rule, width, examples, first_step, end_step):
        count = tf.size(examples)
        places = tf.gather(examples, tf.minimum(tf.range(width[0]), count - 1))  # the last again
        steps = first_step + tf.range(width[1])
        alphas, weights = (tf.gather(integrate.steps_of(numbers, places),
                                     tf.minimum(steps, rule.steps - 1), axis=1)
                           for numbers in (rule.nodes, rule.weights))
        weights = tf.where(steps < end_step, weights, tf.zeros_like(weights))
        filled, sizes = integrate.of_examples(path, places), path.sizes(width[0] * width[1])

        def function():
            return integrate.summed(filled, alphas, weights, sizes)

        rows = [(tensor, 0) for tensor in path.inputs] + list(path.extras.values())
        found = self._run(function, _sizes_of_request(rows) + _values_of_request(path.varying))
        return [gradient[:count] for gradient in found]

    def whole(self, path, rule, step):
        def function():
            return integrate.Chunks.whole(self, path, rule, step)

        extras = [tensor for name, tensor in path.fixed.items() if name != TOP]  # no size: a place
        everything = [*path.inputs, *extras, *path.varying]
        return self._run(function, _values_of_request(everything))

    def _run(self, function, sizes):
        """The function compiled, or as it is where a size of the request is not listed."""
        compiled = tf.function(function, jit_compile=True, autograph=False)
        if not sizes:
            return compiled()
        if not self.profile.lengths:
            raise CompileError("sizes inside differ from request to request, and the runtime "
                               "profile lists no lengths to compile")
        sizes = tf.concat(sizes, 0)
        known = tf.constant((1, *self.profile.lengths))
        listed = tf.reduce_all(tf.reduce_any(tf.equal(sizes[:, None], known), 1))
        compiled = compiled.get_concrete_function()  # traced once, for both branches
        return tf.cond(listed, compiled, lambda: _as_it_is(compiled))


def _as_it_is(compiled):
    with tf.name_scope(AS_IT_IS):
        return compiled()


def _sizes_of_request(tensors):
    """Vectors of the sizes that a request decides of tensors, the axis of rows aside."""
    found = []
    for tensor, rows in tensors:
        if tensor.shape.rank is None:
            raise CompileError(f"{tensor.name} has no known rank")
        unknown = [axis for axis, dim in enumerate(tensor.shape) if dim is None and axis != rows]
        if unknown:
            found.append(tf.gather(tf.shape(tensor), unknown))
    return found


def _values_of_request(tensors):
    """The same of tensors without such an axis; whole numbers may decide shapes inside."""
    numbers = [tf.cast(tf.reshape(tensor, [-1]), tf.int32) for tensor in tensors
               if tensor.dtype.is_integer and tensor.shape.rank in (0, 1)]
    return _sizes_of_request([(tensor, None) for tensor in tensors]) + numbers
