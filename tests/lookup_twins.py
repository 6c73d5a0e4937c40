"""Graphs that look like lookups and are none: negative twins of the rows of lookup_patterns.py.

What is expected of them are their own points, which have no table, and words that must stand in the
sentences on what is held constant or was passed over. `lookup_patterns.Pattern.twin` names them.
"""

import dataclasses

import numpy as np
import tensorflow as tf

import lookup_patterns as patterns
from lookup_patterns import LONGEST, Expected, Record

v1 = tf.compat.v1


@dataclasses.dataclass(frozen=True)
class Twin:
    """One row; see `lookup_patterns.Pattern`.

    Attributes:
      name, build, points, rows, steps: as there.
      said: words that must stand in what is held constant or missed.
      may_refuse: whether a refusal that speaks of no lookup is right too.
    """

    name: str
    build: object
    points: tuple
    rows: tuple
    said: tuple = ()
    steps: int = 16
    may_refuse: bool = False
    values: object = None
    dtype: str = "float32"


X = Expected(("x",), None, None, None, kinds=("dense",))
NUMBERS = tuple({"x": x} for x in ([0.5, -1.0, 2.0, 0.25], [1.5, 0.5, -0.5, -2.0]))


def beside(name, values):
    """NUMBERS with one more input."""
    return tuple(dict(row, **{name: value}) for row, value in zip(NUMBERS, values))


IDS = beside("ids", ([1, 2, 3, 0], [3, 3, 1, 0]))


def x_input():
    return v1.placeholder(tf.float32, [None, LONGEST], name="x")


def gather_of_positions(keep):
    """Rows of weights by constant numbers."""
    x = x_input()
    weights = tf.gather(keep("gates", patterns.vectors_of("gates", 5, LONGEST)), [0, 2])
    return {"x": x}, tf.concat([x * weights[0], x * weights[1]], 1)


def clip_of_numbers(keep):
    del keep
    x = x_input()
    return {"x": x}, tf.clip_by_norm(x, 1.2, axes=[1])


def flattened_numbers(keep):
    """All numbers of the batch in one line, through one small layer."""
    x = x_input()
    found = tf.matmul(tf.reshape(x, [-1, 1]), keep("kernel", patterns.vectors_of("kernel", 1, 3)))
    return {"x": x}, tf.reshape(tf.tanh(found), [-1, LONGEST * 3])


def picked_by_gather_nd(keep):
    """One number of each example, by an index that is sent: which one is structure."""
    del keep
    x, place = x_input(), v1.placeholder(tf.int32, [None], name="place")
    where = tf.stack([tf.range(tf.shape(x)[0]), place], 1)
    return {"x": x, "place": place}, tf.gather_nd(tf.tanh(x), where)[:, None]


def gather_of_a_computed_table(keep):
    """What is gathered from is the input itself: values picked out of it, no embedding table."""
    del keep
    memory = v1.placeholder(tf.float32, [None, 5, 3], name="memory")
    ids = patterns.ids_input()
    found = tf.gather(memory, ids, batch_dims=1)
    return {"memory": memory, "ids": ids}, tf.reshape(found, [-1, LONGEST * 3])


def rounded_number(keep):
    """A number cast to an integer that is only compared."""
    del keep
    x = x_input()
    return {"x": x}, x * tf.cast(tf.greater(tf.cast(x, tf.int32), 0), tf.float32)


def gather_on_integers(keep):
    """Flags by id: a mask."""
    del keep
    x, ids = x_input(), patterns.ids_input()
    flags = tf.gather(tf.constant([0, 1, 0, 1, 1, 0, 1]), ids)
    return {"x": x, "ids": ids}, x * tf.cast(tf.greater(flags, 0), tf.float32)


def masked_numbers(keep):
    del keep
    x, ids = x_input(), patterns.ids_input()
    return {"x": x, "ids": ids}, x * tf.cast(tf.not_equal(ids, 0), tf.float32)


def counted_words(keep):
    """How many words there are, not which."""
    del keep
    x, words = x_input(), patterns.words_input()
    count = tf.reduce_sum(tf.cast(tf.not_equal(words, ""), tf.float32), 1, keepdims=True)
    return {"x": x, "words": words}, x / (count + 1)


def one_hot_as_a_mask(keep):
    """The one-hot of a place picks one of the numbers."""
    del keep
    x, place = x_input(), v1.placeholder(tf.int32, [None], name="place")
    return {"x": x, "place": place}, x * tf.one_hot(place, LONGEST)


def segment_sum_of_numbers(keep):
    """Numbers that were sent, pooled by example: nothing was looked up."""
    del keep
    inputs, parsed = patterns.records_input(values=tf.io.VarLenFeature(tf.float32))
    rows, count = patterns.examples_of(parsed["values"])
    found = tf.math.unsorted_segment_sum(parsed["values"].values, rows, count)
    return inputs, found[:, None]


def weights_alone(keep):
    """The weights of a weighted column without its words."""
    del keep
    inputs, parsed = patterns.records_input(words=tf.io.VarLenFeature(tf.string),
                                            weights=tf.io.VarLenFeature(tf.float32))
    size = tf.cast(tf.size(parsed["words"].values), tf.float32)
    found = tf.reduce_sum(tf.sparse.to_dense(parsed["weights"]), 1, keepdims=True)
    return inputs, found * tf.minimum(size + 1, 1.0)


def dense_layer(keep):
    """A matrix product of numbers: the matrix is no table of vectors."""
    x = x_input()
    return {"x": x}, tf.matmul(x, keep("kernel", patterns.vectors_of("kernel", LONGEST, 3)))


def condition_on_numbers(keep):
    del keep
    x = x_input()
    return {"x": x}, tf.cond(tf.less(tf.shape(x)[0], 1000), lambda: tf.tanh(x), lambda: x)


def loop_over_numbers(keep):
    del keep
    x = x_input()

    def turn(time, state):
        return time + 1, 0.5 * state + x[:, time]

    _, state = tf.while_loop(lambda time, _: tf.less(time, LONGEST), turn,
                             [tf.constant(0), tf.zeros(tf.shape(x)[:1])],
                             shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])])
    return {"x": x}, tf.reshape(state, [-1, 1])


def _sums(name):
    return (Expected((name,), None, None, None, kinds=("dense", "pooled")),)


_RECORDS = tuple({"examples": Record(words=["a", "b"][:len(one)], values=one, weights=one)}
                 for one in ([0.5, -1.0], [2.0], [0.25, 1.5]))
_PLACES = beside("place", (2, 0))

TWINS = [
    Twin("gather_of_positions", gather_of_positions, (X,), NUMBERS, ("position",)),
    Twin("clip_of_numbers", clip_of_numbers, (X,), NUMBERS, steps=256),
    Twin("flattened_numbers", flattened_numbers, (X,), NUMBERS),
    Twin("picked_by_gather_nd", picked_by_gather_nd, (X,), _PLACES, ("place",)),
    Twin("gather_of_a_computed_table", gather_of_a_computed_table,
         (Expected(("memory",), None, None, None, kinds=("dense",)),),
         tuple({"memory": np.sin(np.arange(15.0) + row).reshape(5, 3).tolist(), "ids": ids}
               for row, ids in enumerate(([1, 2, 3, 0], [3, 3, 1, 0]))), ("ids",)),
    Twin("rounded_number", rounded_number, (X,), NUMBERS, ("mask",)),
    Twin("gather_on_integers", gather_on_integers, (X,), IDS, ("mask", "ids")),
    Twin("masked_numbers", masked_numbers, (X,), IDS, ("mask", "ids")),
    Twin("counted_words", counted_words, (X,),
         beside("words", (["a", "b"], ["c"])), ("words",)),
    Twin("one_hot_as_a_mask", one_hot_as_a_mask, (X,), _PLACES, ("place",)),
    Twin("segment_sum_of_numbers", segment_sum_of_numbers, _sums("values"), _RECORDS,
         may_refuse=True),
    Twin("weights_alone", weights_alone, _sums("weights"), _RECORDS),
    Twin("dense_layer", dense_layer, (X,), NUMBERS),
    Twin("condition_on_numbers", condition_on_numbers, (X,), NUMBERS),
    Twin("loop_over_numbers", loop_over_numbers, (X,), NUMBERS),
]
