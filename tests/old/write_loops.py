"""Writes tests/fixtures/loops_1_15: loops as TensorFlow 1.15 wrote them. Run with 1.15.5:

    python3.7 tests/old/write_loops.py

For each case NAME.pb is the GraphDef, without what only its gradient needs, and NAME.npz holds what
goes in (in/NAME), what comes out (y) and the gradient of the sum of y by each float input (d/NAME),
by TensorFlow 1.15's own gradient of its loops. classifier/ is a SavedModel of a recurrent text
classifier.
"""

import os
import pathlib
import shutil

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf  # noqa: E402
from tensorflow.python.ops import tensor_array_ops  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "loops_1_15"
DTYPE = tf.float64
CASES = {}


def case(**shapes):
    """Registers a function of placeholders; a value is a shape, or an array that is fed."""
    def register(function):
        CASES[function.__name__] = (function, shapes)
        return function
    return register


def weights(*shape):
    rng = np.random.RandomState(sum(shape))
    return tf.constant(rng.uniform(-0.7, 0.7, shape))


def frozen_init(shape, dtype=None, partition_info=None):
    rng = np.random.RandomState(sum(shape) + len(shape))
    return tf.constant(rng.uniform(-0.7, 0.7, shape))


def turns(count, body, start):
    """A loop of `count` turns with one variable."""
    return tf.while_loop(lambda i, y: i < count, lambda i, y: (i + 1, body(y)), (0, start))[1]


@case(x=[3, 4])
def turns_known(x):
    w = weights(4, 4)
    return tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, tf.tanh(tf.matmul(y, w)) + x),
                         (0, x), swap_memory=True, parallel_iterations=1)[1]


@case(x=[2, 3])
def turns_by_value(x):
    """How often it turns depends on what it computes."""
    return tf.while_loop(lambda y, i: tf.reduce_sum(y ** 2) < 30.0,
                         lambda y, i: (y * 1.5 + 0.1 * tf.sin(x), i + 1), (x, 0))[0]


@case(x=[2, 3])
def most_turns(x):
    return tf.while_loop(lambda y: tf.reduce_sum(y ** 2) < 1e9, lambda y: y * tf.sin(y) + x, (x,),
                         maximum_iterations=4)


@case(x=[2, 3])
def no_turn(x):
    return x * tf.while_loop(lambda i, y: i < 0, lambda i, y: (i + 1, y * y), (0, x))[1]


@case(x=[2, 3])
def variable_that_grows(x):
    grown = tf.while_loop(lambda i, y: i < 3,
                          lambda i, y: (i + 1, tf.concat([y, tf.sin(y[-2:]) * x], 0)),
                          (0, x), (tf.TensorShape([]), tf.TensorShape([None, 3])))[1]
    return tf.reduce_sum(grown, 0)


@case(x=[2, 3])
def variables_that_swap(x):
    return tf.while_loop(lambda i, a, b: i < 3, lambda i, a, b: (i + 1, b * 0.5, tf.sin(a) + b),
                         (0, x, x * x))[1]


@case(x=[2, 3])
def nested(x):
    w = weights(3, 3)

    def outer(i, y):
        inner = tf.while_loop(lambda j, z: j < i + 2,
                              lambda j, z: (j + 1, tf.tanh(tf.matmul(z, w) + y * x)), (0, y))
        return i + 1, inner[1] + y
    return tf.while_loop(lambda i, y: i < 3, outer, (0, x))[1]


@case(x=[2, 3])
def nested_thrice(x):
    def turn(depth):
        def body(i, y):
            if depth:
                y = tf.while_loop(lambda j, z: j < 2, turn(depth - 1), (0, y))[1]
            return i + 1, tf.sin(y) * x + 0.1 * tf.cast(i, DTYPE)
        return body
    return tf.while_loop(lambda i, y: i < 3, turn(2), (0, x))[1]


@case(x=[4, 3])
def nested_with_arrays(x):
    """An array of each turn's own, filled in a loop inside and read behind it."""
    source = tf.TensorArray(DTYPE, 4, clear_after_read=False).unstack(x)

    def outer(i, total):
        made = tf.TensorArray(DTYPE, i + 1)
        made = tf.while_loop(lambda j, made: j <= i,
                             lambda j, made: (j + 1, made.write(j, source.read(j) * total)),
                             (0, made))[1]
        return i + 1, total + tf.reduce_sum(made.stack(), 0)
    return tf.while_loop(lambda i, y: i < 4, outer, (0, tf.ones([3], DTYPE)))[1]


@case(x=[5, 3])
def array_backwards(x):
    """Read from the end, write from the start, stack a part."""
    source = tf.TensorArray(DTYPE, 5).unstack(x)
    made = tf.TensorArray(DTYPE, 5, element_shape=[3])

    def turn(i, carry, made):
        carry = tf.sin(carry) + source.read(4 - i)
        return i + 1, carry, made.write(i, carry * carry)
    made = tf.while_loop(lambda i, *_: i < 5, turn, (0, tf.zeros([3], DTYPE), made))[2]
    return made.gather([3, 1]) * tf.cast(made.size(), DTYPE)


@case(x=[4, 3])
def array_that_grows(x):
    made = tf.TensorArray(DTYPE, 0, dynamic_size=True)
    made = tf.while_loop(lambda i, *_: i < tf.shape(x)[0] * 2,
                         lambda i, made: (i + 1, made.write(i, x[i // 2] ** 2)), (0, made))[1]
    return made.stack() * tf.cast(made.size(), DTYPE)


@case(x=[6, 2])
def array_split_and_concat(x):
    parts = tf.TensorArray(DTYPE, 3, infer_shape=False).split(x, [1, 3, 2])
    made = tf.TensorArray(DTYPE, 3, infer_shape=False)
    made = tf.while_loop(lambda i, *_: i < 3,
                         lambda i, made: (i + 1, made.write(i, tf.sin(parts.read(i)) ** 2)),
                         (0, made))[1]
    return made.concat()


@case(x=[4, 3])
def array_without_loop(x):
    made = tf.TensorArray(DTYPE, 4, clear_after_read=False).scatter([2, 0, 3, 1], x ** 2)
    return made.read(2) + tf.reduce_sum(made.stack()[1:], 0)


@case(x=[3])
def array_not_all_written(x):
    """What was never written reads as zeros where the elements' shape is known."""
    made = tf.TensorArray(DTYPE, 4, element_shape=[3])
    made = tf.while_loop(lambda i, *_: i < 3, lambda i, made: (i + 2, made.write(i, x * x)),
                         (0, made))[1]
    return made.stack()


@case(x=[2, 3])
def cond_inside(x):
    def turn(i, y):
        return i + 1, tf.cond(tf.equal(i % 2, 0), lambda: tf.sin(y) * x, lambda: y + 0.5)
    return tf.while_loop(lambda i, y: i < 4, turn, (0, x))[1]


@case(x=[2, 3])
def cond_by_value(x):
    """Constants alone in a branch, several results, one of them not changed."""
    def turn(i, y, z):
        big = tf.reduce_sum(y) > 1.0
        y, z, k = tf.cond(big, lambda: (y * 0.5, z + y, tf.constant(1.0, DTYPE)),
                          lambda: (y * x + 1.0, z, tf.constant(2.0, DTYPE)))
        return i + 1, y * k, z
    return tf.while_loop(lambda i, *_: i < 5, turn, (0, x, x * x))[2]


@case(x=[2, 3])
def conds_in_conds(x):
    def turn(i, y):
        def inner():
            return tf.cond(tf.equal(i, 3), lambda: y ** 3, lambda: tf.cos(y) * x)
        y = tf.cond(i > 1, inner, lambda: y * x)
        return i + 1, tf.cond(i > 1, lambda: y + 1.0, lambda: y * 2.0)
    return tf.while_loop(lambda i, y: i < 5, turn, (0, x))[1]


@case(x=[2, 3])
def loop_in_cond_in_loop(x):
    def turn(i, y):
        def more():
            return turns(2, lambda z: tf.sin(z) + x, y)
        return i + 1, tf.cond(i > 0, more, lambda: y * x)
    return tf.while_loop(lambda i, y: i < 3, turn, (0, x))[1]


@case(x=[2, 3], p=np.array(True))
def loop_in_cond(x, p):
    return tf.cond(p, lambda: turns(3, lambda z: tf.sin(z) + x, x), lambda: tf.ones_like(x) * 2.0)


@case(x=[2, 3], p=np.array(False))
def loop_in_cond_not_taken(x, p):
    start = np.ones([2, 3])
    return tf.cond(p, lambda: turns(3, lambda z: tf.sin(z) + 1.0, start), lambda: x * x)


@case(x=[2, 3])
def cond_of_arrays(x):
    """An array that is written in one branch only."""
    made = tf.TensorArray(DTYPE, 3, element_shape=[2, 3])

    def turn(i, made):
        flow = tf.cond(i > 0, lambda: made.write(i, x * tf.cast(i, DTYPE)).flow, lambda: made.flow)
        return i + 1, tensor_array_ops.build_ta_with_new_flow(made, flow)
    return tf.while_loop(lambda i, *_: i < 3, turn, (0, made))[1].stack() ** 2


@case(x=[2, 3])
def checked(x):
    """An assertion and a print in the body: their order is that of their control edges."""
    def turn(i, y):
        with tf.control_dependencies([tf.debugging.assert_less(i, 10, message="too far")]):
            y = tf.Print(tf.sin(y), [i], message="", first_n=0)
        return i + 1, y * x
    return tf.while_loop(lambda i, y: i < 3, turn, (0, x))[1]


@case(x=[2, 5, 3])
def mapped(x):
    w = weights(3, 3)
    return tf.map_fn(lambda row: tf.tanh(tf.matmul(row, w)), x)


@case(x=[4, 3], z=[4, 1])
def mapped_pair(x, z):
    return tf.map_fn(lambda pair: pair[0] * pair[1] ** 2, (x, z), dtype=DTYPE)


@case(x=[4, 3])
def scanned(x):
    return tf.scan(lambda total, row: tf.sin(total) + row, x)


@case(x=[4, 3])
def scanned_backwards(x):
    return tf.scan(lambda total, row: total * row, x, initializer=tf.ones([3], DTYPE), reverse=True)


@case(x=[4, 3])
def folded(x):
    return tf.foldl(lambda total, row: total * tf.cos(row), x) + tf.foldr(
        lambda total, row: total * tf.sin(row), x)


def cells():
    kernel = {"dtype": DTYPE}
    return {
        "lstm": lambda: tf.nn.rnn_cell.LSTMCell(4, initializer=frozen_init, use_peepholes=True,
                                                num_proj=3, **kernel),
        "gru": lambda: tf.nn.rnn_cell.GRUCell(4, kernel_initializer=frozen_init, **kernel),
        "stack": lambda: tf.nn.rnn_cell.MultiRNNCell(
            [tf.nn.rnn_cell.LSTMCell(n, initializer=frozen_init, **kernel) for n in (4, 3)]),
    }


LENGTHS = np.array([5, 2, 0, 4], np.int32)


@case(x=[4, 5, 3], lengths=LENGTHS)
def rnn_lengths(x, lengths):
    outputs, state = tf.nn.dynamic_rnn(cells()["lstm"](), x, lengths, dtype=DTYPE)
    return tf.concat([tf.reduce_sum(outputs, 1), state.h, state.c], 1)


@case(x=[4, 5, 3])
def rnn_whole(x):
    return tf.nn.dynamic_rnn(cells()["gru"](), x, dtype=DTYPE)[0][:, -1]


@case(x=[5, 4, 3], lengths=LENGTHS)
def rnn_time_major(x, lengths):
    return tf.nn.dynamic_rnn(cells()["stack"](), x, lengths, dtype=DTYPE, time_major=True)[0]


@case(x=[4, 5, 3], lengths=LENGTHS)
def rnn_both_ways(x, lengths):
    outputs, states = tf.nn.bidirectional_dynamic_rnn(
        cells()["gru"](), cells()["gru"](), x, lengths, dtype=DTYPE)
    return tf.concat([*states, outputs[0][:, 0], outputs[1][:, 0]], 1)


@case(x=[4, 5, 3])
def keras_lstm(x):
    keras = tf.keras.layers
    layer = keras.RNN(keras.LSTMCell(4, kernel_initializer=frozen_init,
                                     recurrent_initializer=frozen_init, dtype=DTYPE),
                      return_sequences=True, dtype=DTYPE)
    return layer(x)


@case(x=[4, 5, 3])
def keras_masked_gru(x):
    keras = tf.keras.layers
    layer = keras.RNN(keras.GRUCell(4, kernel_initializer=frozen_init, reset_after=False,
                                    recurrent_initializer=frozen_init, dtype=DTYPE), dtype=DTYPE)
    mask = tf.constant(np.arange(5) < LENGTHS[:, None])
    return layer(x, mask=mask)


@case(x=[4, 3], t=np.array([b"1 2 3", b"4 5 6", b"-1 0 1", b"2 2 2"], object))
def mapped_strings(x, t):
    def numbers(text):
        return tf.reshape(tf.string_to_number(tf.string_split([text]).values, DTYPE), [3])
    return x ** 2 * tf.map_fn(numbers, t, dtype=DTYPE)


def write(name, function, shapes):
    graph = tf.Graph()
    rng = np.random.RandomState(len(name))
    with graph.as_default(), tf.compat.v1.Session() as session:
        fed, given = {}, {}
        for key, shape in shapes.items():
            if isinstance(shape, np.ndarray):
                given[key] = shape
                dtype = tf.string if shape.dtype == object else shape.dtype
                known = [None] * shape.ndim
            else:
                given[key] = rng.uniform(-1, 1, shape)
                dtype, known = DTYPE, [None if place < 2 and len(shape) > 1 else size
                                       for place, size in enumerate(shape[:-1])] + shape[-1:]
            fed[key] = tf.compat.v1.placeholder(dtype, known, name=key)
        y = tf.identity(function(**fed), name="y")
        before = {node.name for node in graph.as_graph_def().node}
        floats = [key for key in fed if fed[key].dtype == DTYPE]
        gradients = tf.gradients(y, [fed[key] for key in floats])
        session.run(tf.compat.v1.global_variables_initializer())
        found = session.run([y] + gradients, {fed[key]: given[key] for key in given})
        frozen = tf.compat.v1.graph_util.convert_variables_to_constants(
            session, _only(graph.as_graph_def(), before), ["y"])
    assert any(node.op in ("Enter", "TensorArrayV3") for node in frozen.node), name
    (FOLDER / (name + ".pb")).write_bytes(frozen.SerializeToString(deterministic=True))
    arrays = {"in/" + key: value for key, value in given.items() if value.dtype != object}
    arrays.update({"text/" + key: value.astype("S") for key, value in given.items()
                   if value.dtype == object})
    arrays.update({"d/" + key: value for key, value in zip(floats, found[1:])})
    np.savez_compressed(str(FOLDER / (name + ".npz")), y=found[0], **arrays)
    return len(frozen.node)


def write_classifier(folder):
    """A SavedModel of ids and their number to classes: lookup, LSTM as long as the ids, softmax."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        ids = tf.compat.v1.placeholder(tf.int64, [None, None], name="ids")
        lengths = tf.compat.v1.placeholder(tf.int32, [None], name="lengths")
        rng = np.random.RandomState(11)

        def start(shape, dtype=None, partition_info=None):
            return tf.constant(rng.uniform(-1.2, 1.2, shape), tf.float32)
        table = tf.compat.v1.get_variable("table", [12, 4], initializer=start, use_resource=False)
        cell = tf.nn.rnn_cell.LSTMCell(5, initializer=start)
        _, state = tf.nn.dynamic_rnn(cell, tf.nn.embedding_lookup(table, ids), lengths,
                                     dtype=tf.float32)
        w = tf.compat.v1.get_variable("w", [5, 3], initializer=start, use_resource=False)
        classes = tf.nn.softmax(tf.matmul(state.h, w), name="classes")
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(folder), {"ids": ids, "lengths": lengths},
                                             {"classes": classes})


def _only(graph_def, names):
    """Without the nodes that the gradient added, and the control edges that it put in."""
    kept = type(graph_def)()
    kept.versions.CopyFrom(graph_def.versions)
    for node in graph_def.node:
        if node.name in names:
            copy = kept.node.add()
            copy.CopyFrom(node)
            inputs = [v for v in node.input if v.lstrip("^").split(":")[0] in names]
            del copy.input[:]
            copy.input.extend(inputs)
    return kept


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (function, shapes) in sorted(CASES.items()):
        print(name, write(name, function, shapes))
    shutil.rmtree(str(FOLDER / "classifier"), ignore_errors=True)
    write_classifier(FOLDER / "classifier")


if __name__ == "__main__":
    tf.compat.v1.disable_eager_execution()
    tf.compat.v1.disable_control_flow_v2()
    main()
