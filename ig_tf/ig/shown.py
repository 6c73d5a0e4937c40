"""What each point shows of its integral: numbers, or one per id with its token."""

import tensorflow as tf

from ig_tf.ig import front, integrate, winners
from ig_tf.ig.measure import RowSpec, as_many
from ig_tf.ig.methods import CHANGE, NOTHING
from ig_tf.ig.tokens import longest, padding, per_id, sent
from ig_tf.points.sent import CROSSES

# {what the sum of gradients is multiplied with: attributions of a line and the integrals}
TIMES = {CHANGE: integrate.attributions, NOTHING: integrate.gradients}


def rows_of(point, recipe, values, batch):
    """{key: RowSpec} of what a point shows; alone, an example may be narrower than in its batch."""
    tensor = front.unfolded(point, as_many(point, values[point.tensor], batch), batch)
    wide = integrate.accumulator(tensor.dtype)
    if not point.bag:
        return {f"attributions/{point.name}":
                RowSpec(tf.TensorSpec(tensor.shape[1:], wide), tf.shape(tensor)[1:])}
    width = longest(point.bag, values, batch)[None]
    tokens = tf.string if _of_strings(recipe.work, point.bag.sent) else tf.int64
    return {f"attributions/{point.name}": RowSpec(tf.TensorSpec([None], wide), width),
            f"tokens/{point.name}": RowSpec(tf.TensorSpec([None], tokens), width),
            f"length/{point.name}": RowSpec(tf.TensorSpec([], tf.int64))}


def integrated(recipe, path, values, request):
    """For each F a list: what each point shows, each point's total, and F at the baseline."""
    width, found = len(path.inputs), []
    answered = winners.integrated(recipe, path, values, request)
    starts, integrals = answered[:path.count], answered[path.count:]
    for place, start in enumerate(starts):
        mine = path.line.pulled_back(integrals[place * width:(place + 1) * width])
        found.append([*_of_one(recipe, path, values, mine), start])
    return found


def _of_one(recipe, path, values, integrals):
    """What each point shows of the integrals of one F, and each point's total."""
    attributions, totals = TIMES[recipe.method.factor](path.line, integrals)
    shown = []
    for point, attribution, integral in zip(recipe.points, attributions, integrals):
        batch = tf.shape(attribution)[0]
        shown += (per_id(point.bag, recipe.work, values, integral, batch) if point.bag
                  else [attribution])
    return [*shown, *totals]


def keys_of(point, work, values, found):
    """{key: tensor} of a point, out of what `integrated` gave by the keys of `rows_of`."""
    keys = [f"{word}/{point.name}" for word in ("attributions", "tokens", "length")]
    attribution = found[keys[0]]
    if point.bag:
        return {key: found[key] for key in keys}
    if not point.per_id:
        return {keys[0]: attribution}
    batch = tf.shape(attribution)[0]
    tokens = sent(point.sent, work, values)
    if point.axis or point.steps_first:
        tokens = front.unfolded(point, tokens, batch)
    shape = by_id(tokens, attribution)
    count = shape[1]
    if tokens.shape.rank != 2:
        tokens = tf.reshape(tokens, shape[:2])
    if point.kind == "one_hot":  # what only fills a row up is hot nowhere
        vectors = front.unfolded(point, values[point.tensor], batch)
        hot = tf.reduce_any(tf.not_equal(tf.reshape(vectors, shape), 0), -1)
        sent_one = tf.not_equal(tokens, padding(tokens.dtype))
        there = tf.cast(tf.logical_or(hot, sent_one), tf.int64)
        places = tf.range(1, tf.cast(count, tf.int64) + 1)
        length = tf.maximum(tf.reduce_max(there * places, 1), 0)  # of nothing: the least int64
    else:
        length = tf.fill([batch], tf.cast(count, tf.int64))
    return dict(zip(keys, (tf.reduce_sum(tf.reshape(attribution, shape), -1), tokens, length)))


def groups(recipe, values, batch):
    """{point name: how many numbers of a point belong to an id}, where they are summed by id."""
    found = {}
    for point in recipe.points:
        if point.per_id and not point.bag:
            tokens = sent(point.sent, recipe.work, values)
            if point.axis or point.steps_first:
                tokens = front.unfolded(point, tokens, batch)
            found[point.name] = by_id(tokens, front.unfolded(point, values[point.tensor],
                                                             batch))[-1]
    return found


def by_id(tokens, attribution, axes=1):
    """The shape [..., ids, numbers of an id]: `axes` as they are, the first of them of examples."""
    shape = tf.shape(attribution)
    count = tf.size(tokens) // tf.maximum(shape[0], 1)
    return [*tf.unstack(shape[:axes]), count,
            tf.reduce_prod(shape[axes:]) // tf.maximum(count, 1)]


def _of_strings(work, what):
    source = work.tensor(what.source)
    return (source.dtype == tf.string or source.dtype.is_floating
            or source.op.type in CROSSES)
