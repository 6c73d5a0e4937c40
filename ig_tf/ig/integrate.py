"""The integral of the gradient along the straight path, in one chunked loop in the graph (D7).

IG_i = (x_i - x'_i) * integral over alpha in [0,1] of dF(x' + alpha (x - x')) / dx_i
(Sundararajan, Taly, Yan 2017, equation 1).
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ig_tf.errors import GraphError

SHORT = 1024  # so many float32 are summed as such: by a tree, to about 10 roundings of 6e-8
CHUNK = 20 << 20  # bytes of one chunk's places on the path: measured on CPUs, flat from 10 to 30 MB


@dataclasses.dataclass(frozen=True)
class Path:
    """What is integrated.

    Attributes:
      function: callable(inputs [rows, ...] each, extras [rows, ...] each) -> list of each F [rows].
      scores: the same, but the whole output that F is one number of.
      inputs: tensors z at the end of the path, [batch, ...] each.
      baselines: the same at its start.
      extras: {name: (tensor, axis)} that the function also needs, repeated along their axis with
        the rows of their example.
      silent: for each input, whether no derivative may come back to it.
      line: where inputs and baselines come from; nothing here looks at it.
      sizes: callable(rows) -> {name: integer tensor} of shapes from outside for that many rows;
        the function makes what is not among its extras itself.
      varying: tensors from outside that belong to all rows and differ from request to request.
      count: how many F the function gives; they share the forward pass.
      changes: what each input changes by along the path, in the accumulator's type; computed here.
      rule: the nodes of this path, where those of a recipe's samples differ; else None.
      through: callable(inputs, baselines) -> the `Path` behind pools that can be seen through, or
        None; nothing here looks at it.
    """

    function: object
    scores: object
    inputs: list
    baselines: list
    extras: dict
    silent: tuple
    line: object = None
    sizes: object = lambda rows: {}
    varying: list = ()
    count: int = 1
    changes: list = None
    rule: object = None
    through: object = None

    def __post_init__(self):
        if self.changes is None:
            object.__setattr__(self, "changes", _changes(self.inputs, self.baselines))

    @property
    def integrated(self):
        """For each F all inputs: what the integrals are shaped like."""
        return [*self.inputs] * self.count

    @property
    def fixed(self):
        """The extras as they are, for one row per example."""
        return {name: tensor for name, (tensor, _) in self.extras.items()}


@dataclasses.dataclass(frozen=True)
class Placed:
    """A quadrature rule of each example.

    Attributes:
      nodes: float64 tensor [batch, steps], alphas in ascending order.
      weights: float64 tensor [batch, steps]; those of an example sum to 1.
      steps: how many, a Python number or a scalar int32 tensor.
    """

    nodes: object
    weights: object
    steps: int


class Chunks:
    """How the path is cut into chunks, and how one is computed: here as it comes."""

    def sizes(self, steps, rows, batch):
        """Examples and steps of one chunk, scalars: whole examples with all their steps, or
        steps of one example; all chunks of nearly the same size."""
        return _even(batch, tf.maximum(rows, 1) // steps), _even(steps, rows)

    def sums(self, path, rule, width, examples, first_step, end_step):
        """Weighted gradient sums [examples, ...] over some steps of one chunk."""
        del width
        alphas, weights = (steps_of(numbers, examples)[:, first_step:end_step]
                           for numbers in (rule.nodes, rule.weights))
        return summed(of_examples(path, examples), alphas, weights)

    def whole(self, path, rule, step):
        """The weighted gradients of the whole batch at one step."""
        alpha, weight = (tf.cast(numbers, tf.float64)[..., step]
                         for numbers in (rule.nodes, rule.weights))
        return weighted_gradients(path, at(path, alpha), path.fixed, weight)


def integrals(path, rule, rows_per_chunk, chunks=Chunks()):
    """The integral of dF/dx over the path, for each F and each point.

    Args:
      path: a `Path`.
      rule: a quadrature `Rule`, the same for all examples, or a `Placed`; its nodes, weights and
        steps may be tensors.
      rows_per_chunk: scalar int32 tensor or int: rows of (example, step) pairs at a time.
      chunks: a `Chunks`.

    Returns:
      One tensor per F and point, of the point's shape; float32 for half precision.
    """
    batch = tf.shape(path.inputs[0])[0]
    sizes = chunks.sizes(rule.steps, rows_per_chunk, batch)
    at_once, width = sizes
    groups, parts = tf.maximum(-(-batch // at_once), 1), -(-rule.steps // width)
    kinds = [accumulator(x.dtype) for x in path.integrated]
    shapes = [tf.TensorShape([None, *x.shape[1:]]) for x in path.integrated]
    found = [tf.TensorArray(kind, groups, element_shape=shape, infer_shape=False)
             for kind, shape in zip(kinds, shapes)]
    sums = [tf.zeros_like(x[:0], kind) for x, kind in zip(path.integrated, kinds)]

    def turn(index, found, sums):
        group, part = index // parts, index % parts
        examples = tf.range(group * at_once, tf.minimum((group + 1) * at_once, batch))
        step = part * width
        gradients = chunks.sums(path, rule, sizes, examples, step,
                                tf.minimum(step + width, rule.steps))
        sums = tf.cond(part > 0, lambda: [a + b for a, b in zip(sums, gradients)],
                       lambda: gradients)
        return index + 1, [one.write(group, total) for one, total in zip(found, sums)], sums

    _, found, _ = tf.while_loop(
        lambda index, *_: index < groups * parts, turn, (tf.constant(0), found, sums),
        shape_invariants=(tf.TensorShape([]), [tf.TensorShape(None)] * len(found), shapes))
    return [tf.ensure_shape(one.concat(), shape) for one, shape in zip(found, shapes)]


def _even(count, at_once):
    """The size of chunks of nearly the same size, none larger than asked for."""
    chunks = tf.maximum(-(-count // tf.maximum(at_once, 1)), 1)
    return tf.maximum(-(-count // chunks), 1)


def _changes(ends, starts):
    """Exactly zero where an input stays: an infinity that does (a mask of -inf that was added)
    would be NaN as a difference."""
    found = []
    for x, baseline in zip(ends, starts):
        wide = accumulator(x.dtype)
        start, end = tf.cast(baseline, wide), tf.cast(x, wide)
        found.append(tf.where(tf.equal(start, end), tf.zeros_like(end), end - start))
    return found


def attributions(path, integrals):
    """(x - x') times the integral, for each point; zero where either is.

    Either may be NaN then: a gradient at a pole, or an input that the model replaces (NaN for
    "missing") and does not look at. That is rare, so it is only looked for where a sum is not
    finite: on a CPU each pass over the points counts.

    Returns:
      (the attributions, one tensor per point; their sums per example, float64 [batch] each: parts
      may cancel).
    """
    found, sums = [], []
    for total, x, baseline in zip(integrals, path.inputs, path.baselines):
        change = tf.cast(x, total.dtype) - tf.cast(baseline, total.dtype)
        product = total * change
        whole = _sums(product)

        def cleared(total=total, change=change, product=product):
            nothing = tf.logical_or(tf.equal(total, 0), tf.equal(change, 0))
            product = tf.where(nothing, tf.zeros_like(product), product)
            return product, _sums(product)

        attribution, whole = tf.cond(tf.reduce_all(tf.math.is_finite(whole)),
                                     lambda one=(product, whole): one, cleared)
        found.append(attribution)
        sums.append(whole)
    return found, sums


def gradients(path, integrals):
    """The integrals as they are, and their sums likewise."""
    del path
    return integrals, [_sums(total) for total in integrals]


def _sums(tensor):
    """In double precision, all but the vector of each id or place: these are short, and to make
    doubles of them costs a pass over the points."""
    if tensor.shape.rank is not None and tensor.shape.rank > 2 and (
            tensor.shape[-1] is not None and tensor.shape[-1] <= SHORT):
        tensor = tf.reduce_sum(tensor, -1)
    return tf.reduce_sum(tf.cast(tensor, tf.float64), tf.range(1, tf.rank(tensor)))


def integrals_stepwise(path, rule, chunks=Chunks()):
    """The same, one step at a time over the whole batch: needs nothing but independent rows."""
    start = [tf.zeros_like(x, accumulator(x.dtype)) for x in path.integrated]

    def turn(index, *sums):
        gradients = chunks.whole(path, rule, index)
        return (index + 1, *(total + gradient for total, gradient in zip(sums, gradients)))

    shapes = tuple(x.shape for x in path.integrated)
    sums = tf.while_loop(lambda index, *_: index < rule.steps, turn, (tf.constant(0), *start),
                         shape_invariants=(tf.TensorShape([]), *shapes))[1:]
    return list(sums)


def along(path, alphas):
    """Each F at some places of the path, [batch, alphas] each; no gradients."""
    kinds = [value.dtype for value in path.function(path.baselines, path.fixed)]
    found = tf.map_fn(lambda alpha: path.function(at(path, alpha), path.fixed),
                      tf.constant(alphas, tf.float64), parallel_iterations=1,
                      fn_output_signature=[tf.TensorSpec([None], kind) for kind in kinds])
    return [tf.transpose(values) for values in found]


def at(path, alpha):
    """The inputs at one alpha, or at one of each example [batch]."""
    return [_on_line(start, change, alpha, x.dtype)
            for x, start, change in zip(path.inputs, path.baselines, path.changes)]


def of_examples(path, examples):
    """The paths of some examples [count], which may be the same ones several times."""
    def gathered(tensors):
        return [tf.gather(tensor, examples) for tensor in tensors]

    return dataclasses.replace(
        path, inputs=gathered(path.inputs), baselines=gathered(path.baselines),
        changes=gathered(path.changes),
        extras={name: (tf.gather(tensor, examples, axis=axis), axis)
                for name, (tensor, axis) in path.extras.items()})


def summed(path, alphas, weights, sizes=None):
    """Weighted gradient sums [examples, ...] over some steps, for each F and each input.

    Args:
      path: a `Path`.
      alphas, weights: float64 [examples, steps], or [1, steps] where all share them.
      sizes: as `Path.sizes` gives them for all rows, or None: the function makes them.
    """
    examples, steps = tf.shape(path.changes[0])[0], tf.shape(alphas)[1]
    rows = []
    for x, start, change in zip(path.inputs, path.baselines, path.changes):
        places = _on_line(start[:, None], change[:, None], alphas, x.dtype)
        flat = tf.reshape(places, tf.concat([[examples * steps], tf.shape(change)[1:]], 0))
        rows.append(tf.ensure_shape(flat, [None, *x.shape[1:]]))
    row_of = tf.repeat(tf.range(examples), steps)  # example of each row; its steps are neighbours
    extras = {name: tf.gather(tensor, row_of, axis=axis)
              for name, (tensor, axis) in path.extras.items()}
    weights = tf.reshape(tf.broadcast_to(weights, [examples, steps]), [-1])
    gradients = weighted_gradients(path, rows, {**extras, **(sizes or {})}, weights)
    return [tf.reduce_sum(tf.reshape(gradient, tf.concat(
        [[examples, steps], tf.shape(change)[1:]], 0)), 1)
        for gradient, change in zip(gradients, path.changes * path.count)]


def _on_line(start, change, alphas, dtype):
    """start + alpha * change; the axes of `alphas` are the first ones of these."""
    alphas = tf.cast(alphas, change.dtype)
    if alphas.shape.rank:
        rest = [1] * (change.shape.rank - alphas.shape.rank)
        alphas = tf.reshape(alphas, tf.concat([tf.shape(alphas), rest], 0))
    return tf.cast(tf.cast(start, change.dtype) + alphas * change, dtype)


def steps_of(numbers, examples):
    """Nodes or weights of some examples: [examples, steps], or [1, steps] where all share them."""
    numbers = tf.cast(numbers, tf.float64)
    return numbers[None] if numbers.shape.rank == 1 else tf.gather(numbers, examples)


def weighted_gradients(path, rows, extras, weights):
    """Each dF/drows times the weight of each row (or of all), in the accumulator's type.

    The weights enter as the upstream gradient, which costs nothing; in half precision they would
    lose too much there and are multiplied in afterwards.
    """
    found, before = [], []
    for value in path.function(rows, extras):
        before = _weighted(path, rows, value, weights, before)
        found += before
    return found


def _weighted(path, rows, value, weights, before):
    """The weighted gradients of one F, once some tensors are there: one backward pass after the
    other has the memory of one, and a CPU's caches."""
    narrow = value.dtype.size < 4
    with tf.control_dependencies(before):
        upstream = tf.ones_like(value) if narrow else tf.broadcast_to(
            tf.cast(weights, value.dtype), tf.shape(value))
    gradients = _gradients(value, rows, upstream, path.silent)
    results = []
    for gradient, row in zip(gradients, rows):
        gradient = tf.cast(gradient, accumulator(row.dtype))
        if narrow:
            weight = tf.cast(weights, gradient.dtype)
            ones = [1] * (row.shape.rank - 1) if weights.shape.rank else []
            gradient *= tf.reshape(weight, [-1] + ones) if ones else weight
        results.append(gradient)
    return results


def _gradients(value, rows, upstream, silent):
    try:
        gradients = tf.gradients(value, rows, grad_ys=[upstream],
                                 unconnected_gradients=tf.UnconnectedGradients.NONE)
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise GraphError(f"TensorFlow cannot differentiate the path: {error}") from error
    gradients = [tf.zeros_like(row) if gradient is None and quiet else gradient
                 for row, gradient, quiet in zip(rows, gradients, silent)]
    missing = [row.name for row, gradient in zip(rows, gradients) if gradient is None]
    if missing:
        raise GraphError(f"no gradient reaches {', '.join(missing)} of the copied path.")
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def accumulator(dtype):
    """Sums are never kept in half precision."""
    return dtype if dtype.size >= 4 else tf.float32


def rows_for_budget(budget, bytes_per_row, inputs, shapes):
    """Rows whose activations fit the budget, and whose places on the path fit a CPU's caches best.

    Args:
      budget: bytes.
      bytes_per_row: activations of one row where every unknown dimension is 1.
      inputs: tensors at the end of the path.
      shapes: their static shapes, None where unknown.

    Returns:
      Scalar int32 tensor; it shrinks as the unknown dimensions of a request grow.
    """
    growth, row = tf.constant(1, tf.int64), tf.constant(0, tf.int64)
    for x, shape in zip(inputs, shapes):
        sizes = tf.shape(x, out_type=tf.int64)
        row += tf.reduce_prod(sizes[1:]) * x.dtype.size
        unknown = [axis for axis, dim in enumerate(shape) if dim is None and axis > 0]
        if unknown:
            growth = tf.maximum(growth, tf.reduce_prod(tf.gather(sizes, unknown)))
    budget = np.int64(budget // max(bytes_per_row, 1)) // tf.maximum(growth, 1)
    rows = tf.minimum(budget, np.int64(CHUNK) // tf.maximum(row, 1))
    return tf.cast(tf.clip_by_value(rows, 1, 1 << 20), tf.int32)
