"""A batch is many examples, each explained as if it were alone.

Every model is compared with `brute_force`: the same integral in eager TensorFlow, for one example
and one node at a time.
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf import errors
from tests import builders
from tests.brute_force import CLOSE, STEPS, assert_close, brute_force
from tests.builders import matrix, weights_of

ALONE = "one example at a time"


# Models whose examples are independent -----------------------------------------------------------


def dense(x):
    return tf.reduce_sum(tf.tanh(tf.matmul(x, matrix(4, 5))) ** 2 * matrix(5), 1)


def classes(x):
    return tf.nn.softmax(tf.matmul(tf.tanh(tf.matmul(x, matrix(4, 5))), matrix(5, 3)))


def folded(x):
    hidden = tf.tanh(tf.matmul(tf.reshape(x, [-1, 4]), matrix(4, 5)))
    return tf.reduce_sum(tf.reshape(hidden, [-1, 3, 5]) ** 2 * matrix(3, 5), [1, 2])


def folded_by_shape(x):
    batch, time = tf.shape(x)[0], tf.shape(x)[1]
    hidden = tf.tanh(tf.matmul(tf.reshape(x, [batch * time, 4]), matrix(4, 5)))
    return tf.reduce_mean(tf.reshape(hidden, [batch, time, 5])[:, :, 0] ** 3, 1)


def folded_softmax(x):
    """A softmax over each step's classes, in a folded batch."""
    scores = tf.nn.softmax(tf.matmul(tf.reshape(x, [-1, 4]), matrix(4, 5)))
    return tf.reduce_sum(tf.reshape(scores, tf.stack([-1, tf.shape(x)[1], 5]))[:, :, 2] ** 2, 1)


def _cell(x, state):
    return tf.tanh(tf.matmul(x, matrix(4, 5)) + tf.matmul(state, matrix(5, 5)))


def time_major_loop(x):
    """A recurrent network as TensorFlow writes it: transposed, a TensorArray, a while loop."""
    by_time = tf.transpose(x, [1, 0, 2])
    steps = tf.shape(by_time)[0]
    array = tf.TensorArray(x.dtype, steps).unstack(by_time)
    states = tf.TensorArray(x.dtype, steps, element_shape=[None, 5])

    def turn(index, state, states):
        state = _cell(array.read(index), state)
        return index + 1, state, states.write(index, state)

    start = (tf.constant(0), tf.zeros([tf.shape(x)[0], 5], x.dtype), states)
    _, last, states = tf.while_loop(
        lambda index, *_: index < steps, turn, start,
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 5]), None))
    outputs = tf.transpose(states.stack(), [1, 0, 2])
    return tf.reduce_sum(last * matrix(5), 1) + tf.reduce_max(outputs[:, :, 1], 1)


def scanned(x):
    states = tf.scan(lambda state, now: _cell(now, state), tf.transpose(x, [1, 0, 2]),
                     tf.zeros([tf.shape(x)[0], 5], x.dtype))
    return tf.reduce_sum(states[-1] * matrix(5), 1)


def picked(x, index):
    """Some steps of each example, by its own numbers."""
    chosen = tf.gather(x, index, batch_dims=1)
    return tf.reduce_sum(tf.tanh(chosen) * matrix(2, 4) + chosen ** 2, [1, 2])


def last_relevant(x, length):
    """The step at length - 1 out of a flattened [batch * time, size]: TensorFlow 1's idiom."""
    states = tf.tanh(tf.matmul(tf.reshape(x, [-1, 4]), matrix(4, 5)))
    rows = tf.range(tf.shape(x)[0]) * tf.shape(x)[1] + length - 1
    return tf.reduce_sum(tf.gather(states, rows) ** 2 * matrix(5), 1)


def last_by_pairs(x, length):
    pairs = tf.stack([tf.range(tf.shape(x)[0]), length - 1], 1)
    return tf.reduce_sum(tf.tanh(tf.gather_nd(x, pairs)) * matrix(4), 1)


def reversed_steps(x, length):
    turned = tf.reverse_sequence(x, length, seq_axis=1, batch_axis=0)
    return tf.reduce_sum(tf.cumsum(tf.tanh(turned * matrix(3, 4)), 1)[:, :, 0] ** 2, 1)


def masked_mean(x, length):
    mask = tf.cast(tf.sequence_mask(length, tf.shape(x)[1]), x.dtype)
    pooled = tf.reduce_sum(x * mask[:, :, None], 1) / tf.reduce_sum(mask, 1)[:, None]
    return tf.reduce_sum(tf.tanh(pooled) * matrix(4), 1)


def attention(x, keep):
    query, key, value = (tf.matmul(x, matrix(4, 5) * turn) for turn in (1.0, 0.5, 2.0))
    scores = tf.matmul(query, key, transpose_b=True) / np.sqrt(5)
    scores += tf.where(keep, tf.zeros([], x.dtype), tf.constant(-1e9, x.dtype))[:, None, :]
    mixed = tf.matmul(tf.nn.softmax(scores), value)
    return tf.reduce_sum(mixed[:, 0] * matrix(5), 1)


def heads(x):
    """Two attention heads: the batch is folded with the heads."""
    batch, time = tf.shape(x)[0], tf.shape(x)[1]

    def split(tensor):
        tensor = tf.transpose(tf.reshape(tensor, [batch, time, 2, 3]), [0, 2, 1, 3])
        return tf.reshape(tensor, [batch * 2, time, 3])

    query, key, value = (split(tf.matmul(x, matrix(4, 6) * turn)) for turn in (1.0, 0.5, 2.0))
    mixed = tf.matmul(tf.nn.softmax(tf.matmul(query, key, transpose_b=True)), value)
    joined = tf.transpose(tf.reshape(mixed, [batch, 2, time, 3]), [0, 2, 1, 3])
    return tf.reduce_sum(tf.reshape(joined, [batch, time, 6])[:, -1] ** 2 * matrix(6), 1)


def einsums(x):
    scores = tf.nn.softmax(tf.einsum("bid,bjd->bij", x, x))
    return tf.einsum("bij,bjd,d->b", scores, x, matrix(4))


def normalised(x):
    mean, variance = tf.nn.moments(x, [2], keepdims=True)
    hidden = (x - mean) * tf.math.rsqrt(variance + 0.1)
    return tf.reduce_sum(hidden ** 3 * matrix(3, 4), [1, 2])


def picture(x):
    hidden = tf.nn.elu(tf.nn.conv2d(x, matrix(2, 2, 3, 4), 1, "SAME"))
    hidden = tf.nn.avg_pool2d(hidden, 2, 2, "VALID")
    return tf.reduce_sum(tf.tanh(tf.reshape(hidden, [tf.shape(x)[0], -1])) * matrix(16), 1)


def extra(x, c, shift):
    """Held-constant numbers of each example, of several shapes."""
    return tf.reduce_sum(tf.tanh(x * c) * x, 1) + tf.sin(x[:, 0] * shift)


def extra_by_time(x, y, length):
    """What is held constant comes transposed and folded, its batch on axis 1 or in axis 0."""
    by_time = tf.tanh(tf.transpose(y, [1, 0, 2])) * tf.transpose(x, [1, 0, 2])
    flat = tf.matmul(tf.reshape(y, [-1, 4]), matrix(4, 4)) * tf.reshape(x, [-1, 4])
    flat = tf.reshape(tf.sin(flat), [tf.shape(y)[0], tf.shape(y)[1], 4])
    ends = tf.cast(length, x.dtype) * tf.reduce_max(flat, [1, 2])
    return tf.reduce_sum(by_time[0] * by_time[-1] * matrix(4), 1) + ends


def rowwise_where(x, y, keep):
    """TensorFlow 1's Select by one bool per example."""
    chosen = tf.compat.v1.where(keep[:, 0], tf.tanh(x) * y, y * x ** 2)
    return tf.reduce_sum(chosen * matrix(4), 1)


def scalars(x, keep, flag):
    scaled = x * keep / (keep + 1.0)
    return tf.reduce_sum(tf.where(flag, scaled ** 3, tf.sin(scaled)), 1)


def branches(x, flag):
    return tf.cond(flag, lambda: tf.reduce_sum(tf.tanh(x) * matrix(4), 1),
                   lambda: tf.reduce_prod(x, 1))


def padded_with_batch(x):
    """Constants whose first axis is made as long as the batch."""
    batch = tf.shape(x)[0]
    more = [tf.zeros([batch, 1], x.dtype), tf.fill([batch, 2], tf.constant(0.5, x.dtype)),
            tf.tile(matrix(1, 3), [batch, 1]), tf.broadcast_to(matrix(2), [batch, 2]),
            tf.ones_like(x)]
    wide = tf.concat([x] + more, 1)
    return tf.reduce_sum(tf.tanh(wide * tf.reverse(wide, [1])) * matrix(16), 1)


def ranked(x):
    """The largest, the sorted and the chosen: all decided anew along the path."""
    values = tf.math.top_k(x, 2).values
    chosen = tf.one_hot(tf.argmax(x, 1), 4, dtype=x.dtype) * x ** 3
    return tf.reduce_sum(values * matrix(2), 1) + tf.reduce_sum(chosen + tf.sort(x) ** 2, 1)


def mapped(x):
    """One loop turn per example."""
    return tf.map_fn(lambda row: tf.reduce_sum(tf.tanh(row) * matrix(4)) * row[0], x)


def unrolled(x):
    """A loop in Python over the steps, as static_rnn writes it."""
    state = tf.zeros([tf.shape(x)[0], 5], x.dtype)
    for now in tf.unstack(x, axis=1):
        state = _cell(now, state)
    return state[:, 2]


def _layer(make, **more):
    """A Keras layer over [batch, 3, 4] with fixed weights, then a number per example."""
    layer = make(dtype="float64", **more)
    layer.build([None, 3, 4])
    layer.set_weights([weights_of(*np.shape(one)) for one in layer.get_weights()])

    def function(x):
        hidden = layer(x)
        return tf.reduce_sum(hidden ** 2 * matrix(3, 5), [1, 2])

    return function, [layer]


def keras_dense():
    return _layer(keras.layers.Dense, units=5, activation="tanh")


def keras_gru():
    return _layer(keras.layers.GRU, units=5, return_sequences=True)


def keras_lstm():
    return _layer(keras.layers.LSTM, units=5, return_sequences=True)


@dataclasses.dataclass(frozen=True)
class Model:
    """A function, and its inputs: {name: (shape of one example, type)}.

    `rows`: whether many examples and steps must go through at once. It is asked where nothing but
    ordinary layers stands on the path; elsewhere only the numbers count.
    """

    function: object
    inputs: dict
    rows: bool = False
    made: bool = False  # whether `function` has to be called first, and says what to track


VECTOR = {"x": ([4], "float64")}
STEPPED = {"x": ([3, 4], "float64")}
ANY_STEPS = {"x": ([None, 4], "float64")}
WITH_LENGTH = {**ANY_STEPS, "length": ([], "int32")}
MODELS = {
    "dense": Model(dense, VECTOR, True),
    "folded": Model(folded, STEPPED),
    "folded_by_shape": Model(folded_by_shape, ANY_STEPS, True),
    "folded_softmax": Model(folded_softmax, ANY_STEPS),
    "time_major_loop": Model(time_major_loop, ANY_STEPS, True),
    "scanned": Model(scanned, STEPPED),
    "picked": Model(picked, {**ANY_STEPS, "index": ([2], "int64")}, True),
    "last_relevant": Model(last_relevant, WITH_LENGTH),
    "last_by_pairs": Model(last_by_pairs, WITH_LENGTH),
    "reversed_steps": Model(reversed_steps, {**STEPPED, "length": ([], "int32")}),
    "masked_mean": Model(masked_mean, WITH_LENGTH, True),
    "attention": Model(attention, {**ANY_STEPS, "keep": ([None], "bool")}, True),
    "heads": Model(heads, ANY_STEPS),
    "einsums": Model(einsums, STEPPED, True),
    "normalised": Model(normalised, STEPPED, True),
    "picture": Model(picture, {"x": ([4, 4, 3], "float64")}, True),
    "extra": Model(extra, {**VECTOR, "c": ([4], "float64"), "shift": ([], "float64")}, True),
    "extra_by_time": Model(extra_by_time, {**WITH_LENGTH, "y": ([None, 4], "float64")}),
    "rowwise_where": Model(
        rowwise_where, {**VECTOR, "y": ([4], "float64"), "keep": ([1], "bool")}, True),
    "scalars": Model(scalars, {**VECTOR, "keep": (None, "float64"), "flag": (None, "bool")}, True),
    "branches": Model(branches, {**VECTOR, "flag": (None, "bool")}),
    "padded_with_batch": Model(padded_with_batch, VECTOR),
    "ranked": Model(ranked, VECTOR),
    "mapped": Model(mapped, VECTOR),
    "unrolled": Model(unrolled, STEPPED, True),
    "keras_dense": Model(keras_dense, STEPPED, True, True),
    "keras_gru": Model(keras_gru, STEPPED, False, True),
    "keras_lstm": Model(keras_lstm, STEPPED, False, True),
}


def specs(model):
    return {name: builders.spec([] if shape is None else [None, *shape], tf.as_dtype(dtype))
            for name, (shape, dtype) in model.inputs.items()}


def sample(model, batch, seed=0, time=3):
    """Inputs: numbers in [-2, 2], lengths and step numbers that fit, scalars."""
    random = np.random.default_rng(seed)
    made = {}
    for name, (shape, dtype) in model.inputs.items():
        full = [] if shape is None else [batch, *(time if dim is None else dim for dim in shape)]
        if dtype == "bool":
            made[name] = random.random(full) < 0.7
        elif dtype.startswith("int"):
            made[name] = random.integers(1 if name == "length" else 0, time, full).astype(dtype)
        else:
            made[name] = random.uniform(-2, 2, full)
    return made


def make(folder, model, kind="tf2", **choices):
    """(function, explained model)"""
    function, track = model.function() if model.made else (model.function, ())
    choices = {"points": ["x"], "steps": STEPS, **choices}
    return function, builders.build(folder, function, specs(model), kind=kind, track=track,
                                    **choices)


def mode(explained):
    return explained.plan.described()["chunking"]["mode"]


@pytest.mark.parametrize("name", MODELS)
def test_batch_is_one_by_one(name, tmp_path):
    model = MODELS[name]
    function, explained = make(tmp_path, model)
    inputs = sample(model, 4)
    found = explained.run(**inputs)
    assert_close(found, brute_force(function, inputs), mode(explained))
    if model.rows:
        assert not mode(explained).startswith(ALONE), explained.plan.described()["chunking"]
    # One by one through the artifact, and in another order.
    scalar = {name for name, (shape, _) in model.inputs.items() if shape is None}
    order = [2, 0, 3, 1]
    turned = explained.run(**{n: v if n in scalar else v[order] for n, v in inputs.items()})
    single = explained.run(**{n: v if n in scalar else v[1:2] for n, v in inputs.items()})
    scale = max(np.abs(value).max(initial=0) for value in found.values())
    for key, value in found.items():
        np.testing.assert_allclose(turned[key], value[order], rtol=0, atol=CLOSE * scale,
                                   err_msg=key)
        np.testing.assert_allclose(single[key], value[1:2], rtol=0, atol=CLOSE * scale,
                                   err_msg=key)


TF1_MODELS = ("dense", "folded_by_shape", "time_major_loop", "last_relevant", "rowwise_where",
              "masked_mean", "attention", "extra",
              "scalars", "padded_with_batch", "unrolled", "heads")


@pytest.mark.parametrize("name", TF1_MODELS)
def test_batch_is_one_by_one_in_a_flat_graph(name, tmp_path):
    function, explained = make(tmp_path, MODELS[name], "tf1")
    inputs = sample(MODELS[name], 3, seed=1)
    assert_close(explained.run(**inputs), brute_force(function, inputs), mode(explained))


@pytest.mark.parametrize("name", ["folded_by_shape", "attention", "time_major_loop", "heads"])
def test_one_artifact_for_any_number_of_steps(name, tmp_path):
    function, explained = make(tmp_path, MODELS[name])
    for batch, time in ((1, 1), (3, 2), (2, 7)):
        inputs = sample(MODELS[name], batch, seed=time, time=time)
        assert_close(explained.run(**inputs), brute_force(function, inputs))


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_several_points_and_a_class_of_each_example(kind, tmp_path):
    """`top` is pinned at x and gathered per row."""
    def towers(x, y):
        return tf.nn.softmax(tf.matmul(tf.tanh(x) * 2.0, matrix(4, 3)) + y * tf.reduce_sum(
            x, 1, keepdims=True))

    model = Model(towers, {**VECTOR, "y": ([3], "float64")})
    inputs = sample(model, 6)
    explained = make(tmp_path, model, kind, target="score:top", points="auto", baseline=0.5)[1]
    found = explained.run(**inputs)
    scores = towers(**inputs).numpy()
    tops = scores.argmax(1)
    assert len(set(tops)) > 1
    np.testing.assert_array_equal(found["target_index"], tops)
    np.testing.assert_allclose(found["prediction"], scores.max(1), rtol=1e-14)
    for row, top in enumerate(tops):
        mine = {name: value[row:row + 1] for name, value in inputs.items()}
        expected = brute_force(towers, mine, ("x", "y"), index=top, baseline=0.5)
        assert_close({key: value[row:row + 1] for key, value in found.items()}, expected)


# Chunks ------------------------------------------------------------------------------------------

BATCH = 5
CHUNKS = {"one row": 1, "part of an example": 4, "a part that divides": 3, "an example": STEPS,
          "an example and more": 8, "two examples of five": 2 * STEPS + 1,
          "all": BATCH * STEPS, "more than all": 1000, "by budget": None}


@pytest.mark.parametrize("name", ["extra", "extra_by_time", "time_major_loop", "attention"])
def test_chunk_sizes_change_nothing(name, tmp_path):
    """Extra inputs differ in each row, so a chunk that takes those of another row shows."""
    model = MODELS[name]
    inputs = sample(model, BATCH)
    expected = brute_force(model.function, inputs)
    for number, (words, rows) in enumerate(CHUNKS.items()):
        explained = make(tmp_path / str(number), model, rows_per_chunk=rows)[1]
        assert_close(explained.run(**inputs), expected, words)
        # The chunk is fixed in the artifact, the batch is not.
        few = {key: value[3:] for key, value in inputs.items()}
        assert_close(explained.run(**few), {"x": expected["x"][3:]}, words)


@pytest.mark.parametrize("rows", [1, 4, 13, None])
def test_chunks_of_classes(rows, tmp_path):
    model = Model(classes, VECTOR)
    inputs = sample(model, BATCH)
    found = make(tmp_path, model, rows_per_chunk=rows, target="score:top")[1].run(**inputs)
    tops = classes(**inputs).numpy().argmax(1)
    for row, top in enumerate(tops):
        mine = {"x": inputs["x"][row:row + 1]}
        assert_close({"attributions/x": found["attributions/x"][row:row + 1]},
                     brute_force(classes, mine, index=top))


# Ends of the path --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["attention", "time_major_loop", "picture", "mapped"])
def test_x_at_the_baseline_is_exactly_zero(name, tmp_path):
    model = MODELS[name]
    explained = make(tmp_path, model)[1]
    inputs = sample(model, 3)
    inputs["x"][1] = 0
    found = explained.run(**inputs)
    for key in ("attributions/x", "features/x", "completeness_error", "relative_error"):
        assert np.all(found[key][1] == 0), key
    assert np.any(found["attributions/x"][0] != 0) and np.any(found["attributions/x"][2] != 0)


@pytest.mark.parametrize("name", ["dense", "mapped"])
def test_equal_ends_give_no_nan(name, tmp_path):
    """An even function of one coordinate, from -1 to 1: F(x) = F(b), and yet attributions."""
    def even(x):
        return tf.reduce_sum(x[:, :2] ** 2 * x[:, 2:], 1)

    def even_by_map(x):
        return tf.map_fn(lambda row: tf.reduce_sum(row[:2] ** 2 * row[2:]), x)

    model = Model(even if name == "dense" else even_by_map, VECTOR)
    explained = make(tmp_path, model, baseline={"x": [-1.0, -1.0, 1.0, 1.0]})[1]
    found = explained.run(x=np.array([[1.0, 1, 1, 1], [1, -1, 1, 1], [2, 1, 1, 1]]))
    np.testing.assert_array_equal(found["prediction"][:2], found["baseline_prediction"][:2])
    assert all(np.isfinite(value).all() for value in found.values())
    # Along the way x1^2 has a gradient of both signs, which cancels: (x - b) * integral = 0.
    np.testing.assert_allclose(found["attributions/x"][:2], 0, atol=1e-14)
    assert np.all(found["relative_error"][:2] <= 1e-14 / (1e-4 * found["prediction"][:2]))
    np.testing.assert_allclose(found["attributions/x"][2], [3, 0, 0, 0], atol=1e-14)


@pytest.mark.parametrize("name", ["dense", "attention", "time_major_loop", "mapped", "heads",
                                  "last_relevant"])
def test_no_examples(name, tmp_path):
    model = MODELS[name]
    explained = make(tmp_path, model)[1]
    inputs = sample(model, 0)
    found = explained.run(**inputs)
    assert found["attributions/x"].shape == inputs["x"].shape
    for key in ("prediction", "baseline_prediction", "completeness_error", "features/x"):
        assert found[key].shape == (0,), key


def test_held_inputs_are_named(tmp_path):
    model = MODELS["extra"]
    described = make(tmp_path, model)[1].plan.described()
    held = " ".join(described["held_constant"])
    assert "c" in held and "shift" in held
    assert [point["name"] for point in described["points"]] == ["x"]


# Models that look at the whole batch -------------------------------------------------------------


def centred(x):
    return tf.reduce_sum((x - 0.5 * tf.reduce_mean(x, 0, keepdims=True)) ** 3, 1)


def in_batch_softmax(x):
    scores = tf.reduce_sum(x * matrix(4), 1)
    return tf.nn.softmax(tf.concat([scores, [0.5]], 0), axis=0)[:-1]


def similarity(x):
    return tf.reduce_sum(tf.tanh(tf.matmul(x, x, transpose_b=True)), 1)


def trained_norm(x):
    hidden, *_ = tf.compat.v1.nn.fused_batch_norm(
        tf.cast(x, tf.float32)[:, None, None, :], np.ones(4, "f"), np.zeros(4, "f"),
        is_training=True, epsilon=0.5)
    return tf.cast(tf.reduce_sum(hidden, [1, 2, 3]), x.dtype) * x[:, 0]


def moments(x):
    mean, variance = tf.nn.moments(x, [0])
    return tf.reduce_sum(tf.nn.batch_normalization(x, 0.5 * mean, variance, None, None, 0.3), 1)


def largest_of_all(x):
    return tf.reduce_sum(x, 1) / (1.0 + tf.reduce_max(tf.abs(x)))


def running(x):
    return tf.reduce_sum(tf.tanh(tf.cumsum(x, 0)), 1)


def backwards(x):
    return tf.reduce_sum(tf.reverse(x, [0]) * tf.tanh(x), 1)


def rolled(x):
    return tf.reduce_sum(tf.roll(x, 1, 0) * tf.tanh(x), 1)


def share_of_batch(x):
    return tf.reduce_sum(tf.tanh(x), 1) / tf.cast(tf.shape(x)[0], x.dtype)


def number_in_batch(x):
    return tf.reduce_sum(x ** 2, 1) * (1.0 + tf.cast(tf.range(tf.shape(x)[0]), x.dtype))


def reshuffled(x):
    """[batch, 4] -> [4, batch] -> read as [batch, 4]: rows are mixed unless there is one."""
    return tf.reduce_sum(tf.reshape(tf.transpose(x), tf.shape(x)) * tf.tanh(x) * matrix(4), 1)


def scan_over_batch(x):
    return tf.reduce_sum(tf.scan(lambda state, row: tf.tanh(state + row), x), 1)


def turns_by_data(x):
    _, halved = tf.while_loop(
        lambda turn, now: (turn < 9) & (tf.reduce_max(tf.abs(now)) > 0.3),
        lambda turn, now: (turn + 1, now * 0.5), (tf.constant(0), x))
    return tf.reduce_sum(tf.sin(halved), 1)


def branch_by_data(x):
    return tf.cond(tf.reduce_mean(x) > 0, lambda: tf.reduce_sum(x ** 3, 1),
                   lambda: tf.reduce_sum(tf.sin(x), 1))


def centred_in_a_branch(x):
    return tf.cond(tf.reduce_sum(matrix(3)) > -9, lambda: centred(x),
                   lambda: tf.reduce_sum(x, 1))


def centred_in_a_loop(x):
    return tf.while_loop(lambda turn, _: turn < 2,
                         lambda turn, now: (turn + 1, now + tf.tanh(centred(x))),
                         (tf.constant(0), tf.zeros_like(x[:, 0])))[1]


def doubled(x):
    both = tf.concat([x, -x], 0)
    weights = tf.nn.softmax(tf.reduce_sum(both, 1))
    return weights[:tf.shape(x)[0]]


def mean_of_losses(x):
    """An op with two outputs of different rank; the mean over the batch is what couples."""
    logits = tf.matmul(x, matrix(4, 3))
    losses = tf.raw_ops.SoftmaxCrossEntropyWithLogits(
        features=logits, labels=tf.nn.softmax(0.3 * logits))[0]
    return tf.sin(losses) + x[:, 0] * tf.reduce_mean(losses, 0)


COUPLED = [centred, in_batch_softmax, similarity, moments, largest_of_all, running, backwards,
           rolled, share_of_batch, number_in_batch, reshuffled, scan_over_batch, turns_by_data,
           branch_by_data, centred_in_a_branch, centred_in_a_loop, doubled,
           mean_of_losses]


@pytest.mark.parametrize("function", COUPLED, ids=lambda function: function.__name__)
def test_coupled_examples_run_alone(function, tmp_path):
    model = Model(function, VECTOR)
    explained = make(tmp_path, model)[1]
    chunking = explained.plan.described()["chunking"]
    assert chunking["mode"].startswith(ALONE), chunking
    assert chunking["reason"]
    inputs = sample(model, 3, seed=5)
    expected = brute_force(function, inputs)
    assert_close(explained.run(**inputs), expected)
    # Of one example everything is right, its own account of the error too.
    for row in range(3):
        found = explained.run(x=inputs["x"][row:row + 1])
        assert_close(found, {"x": expected["x"][row:row + 1]})
        score = function(tf.constant(inputs["x"][row:row + 1])).numpy()
        start = function(tf.zeros([1, 4], tf.float64)).numpy()
        np.testing.assert_allclose(found["prediction"], score, rtol=1e-12)
        np.testing.assert_allclose(found["baseline_prediction"], start, rtol=1e-12)
        np.testing.assert_allclose(
            found["completeness_error"],
            np.abs(expected["x"][row].sum() - (score - start)), rtol=0,
            atol=CLOSE * (1 + np.abs(expected["x"]).max()))


def test_training_mode_batch_norm_runs_alone(tmp_path):
    """Its kernel is float32: 1e-5 is 100 roundings of it."""
    model = Model(trained_norm, VECTOR)
    explained = make(tmp_path, model)[1]
    assert mode(explained).startswith(ALONE)
    inputs = sample(model, 3)
    expected = brute_force(trained_norm, inputs)["x"]
    np.testing.assert_allclose(explained.run(**inputs)["attributions/x"], expected, atol=1e-5)


def test_the_figures_of_a_coupled_batch_belong_together(tmp_path):
    """A cubic, so 6 nodes leave only rounding: the attributions of each example sum to the
    difference of the predictions beside them, and the error is that of the sum."""
    explained = make(tmp_path, Model(centred, VECTOR))[1]
    found = explained.run(**sample(Model(centred, VECTOR), 3))
    difference = found["prediction"] - found["baseline_prediction"]
    np.testing.assert_allclose(found["attributions/x"].sum(1), difference, rtol=1e-12)
    np.testing.assert_allclose(found["completeness_error"], 0, atol=1e-12 * 100)


def by_time(x):
    turned = tf.identity(tf.transpose(x, [1, 0, 2]), name="turned")
    return tf.reduce_sum(tf.tanh(turned) * matrix(4), [0, 2]) * 2.0


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_a_point_whose_examples_come_second(kind, tmp_path):
    """[time, batch, size] in the model is [batch, time, size] in the answer."""
    model = Model(by_time, STEPPED)
    explained = make(tmp_path, model, kind, points=["turned"])[1]
    assert not mode(explained).startswith(ALONE)
    inputs = sample(model, 4)
    expected = brute_force(by_time, inputs)["x"]
    assert_close(explained.run(**inputs), {"turned": expected})


@pytest.mark.parametrize("coupled", [False, True])
def test_fixed_batches(coupled, tmp_path):
    function = centred if coupled else dense
    path = builders.save_tf2(tmp_path / "model", function, {"x": builders.spec([3, 4])})
    if coupled:
        with pytest.raises(errors.GraphError, match="fixed batch of 3"):
            ig_tf.instrument(ig_tf.load(path))
        return
    found = builders.explain(path, tmp_path / "out", steps=STEPS)
    inputs = sample(MODELS["dense"], 3)
    assert_close(found.run(**inputs), brute_force(dense, inputs))


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_embeddings_behind_a_loop(kind, tmp_path):
    """Tokens: attributions are those of the looked-up vectors, summed over each vector."""
    def tokens(ids, table):
        return time_major_loop(tf.gather(table, ids))

    table = weights_of(7, 4)
    explained = builders.build(tmp_path, tokens, {"ids": builders.spec([None, None], tf.int64)},
                               {"table": table}, kind, steps=STEPS)
    ids = np.array([[1, 3, 3, 0], [6, 1, 2, 5], [4, 4, 4, 4]])
    expected = brute_force(time_major_loop, {"x": table[ids]})["x"].sum(-1)
    assert_close(explained.run(ids=ids), {"ids": expected}, mode(explained))


def pooled_bag(ids, table):
    """Zeros are padding. The lookup gathers the distinct ids of the whole batch."""
    sparse = tf.sparse.from_dense(ids)
    return upper_of_bag(tf.nn.embedding_lookup_sparse(table, sparse, None, combiner="mean"))


def upper_of_bag(x):
    return tf.reduce_sum(tf.tanh(x * matrix(4)) * x, 1)


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_pooled_bags(kind, tmp_path):
    table = weights_of(7, 4)
    explained = builders.build(tmp_path, pooled_bag, {"ids": builders.spec([None, 3], tf.int64)},
                               {"table": table}, kind, steps=STEPS)
    ids = np.array([[1, 3, 3], [6, 1, 0], [4, 4, 4]])
    pooled = np.array([table[row[row > 0]].mean(0) for row in ids])
    integral = brute_force(upper_of_bag, {"x": pooled})["x"] / pooled
    expected = np.array([[table[one] @ integral[row] / (sent > 0).sum() if one else 0.0
                          for one in sent] for row, sent in enumerate(ids)])  # each id's share
    point, = explained.plan.described()["points"]
    for order in ([0, 1, 2], [2, 0, 1], [1]):
        found = explained.run(ids=ids[order])[f"attributions/{point['name']}"]
        np.testing.assert_allclose(found, expected[order][:, :found.shape[1]], rtol=0,
                                   atol=CLOSE * np.abs(expected).max())


def test_keras_text_model(tmp_path):
    """Embedding with a mask, an LSTM that skips the padding, a softmax."""
    keras.utils.set_random_seed(7)
    table = keras.layers.Embedding(9, 4, mask_zero=True, dtype="float64")
    recurrent = keras.layers.LSTM(5, dtype="float64")
    head = keras.layers.Dense(3, activation="softmax", dtype="float64")

    def upper(x, keep):
        return head(recurrent(x, mask=keep))

    def whole(ids):
        return upper(table(ids) * 3.0, tf.not_equal(ids, 0))

    ids = np.array([[1, 3, 3, 0], [6, 1, 2, 5], [4, 0, 0, 0]])
    whole(tf.constant(ids))
    explained = builders.build(
        tmp_path, whole, {"ids": builders.spec([None, None], tf.int64)}, kind="tf2",
        track=[table, recurrent, head], steps=STEPS, target="score:1")
    vectors = table(ids).numpy() * 3.0
    expected = brute_force(upper, {"x": vectors, "keep": ids != 0}, index=1)["x"].sum(-1)
    assert_close(explained.run(ids=ids), {"ids": expected}, mode(explained))
