"""Decoders that choose their own next token: a loop that looks up what it computed itself.

The ids of these lookups are an argmax of numbers. They carry no content and no derivative, so the
loop hides nothing: attribution belongs to what the encoder reads. The truth is the original model's
own gradient, taken place by place along the path.
"""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from brute_force import brute_force
from builders import build, old_control_flow, open_v1, spec
from ig_tf.graph import work as working
from ig_tf.points.content import is_content
from ig_tf.points.features import Features

v1 = tf.compat.v1
WIDTH, WORDS, TURNS, STEPS = 3, 5, 4, 16
_RANDOM = np.random.RandomState(3)
ENCODER = _RANDOM.uniform(-1, 1, (2, WIDTH))
TABLE = _RANDOM.uniform(-1, 1, (WORDS, WIDTH))
LOGITS = _RANDOM.uniform(-1, 1, (WIDTH, WORDS))
SOURCE = _RANDOM.uniform(-1, 1, (6, 2))
X = np.array([[0.9, -0.4], [-1.2, 0.3], [0.2, 1.1]])
IDS = np.array([[1, 4, 2], [5, 0, 3]], np.int64)
VARIABLES = {"encoder": ENCODER, "table": TABLE, "logits": LOGITS}


def decoded(state, table, logits):
    """Greedy: each turn looks up the word that the last turn chose; the score is their sum."""
    def turn(index, ids, state, score):
        state = tf.tanh(state + 0.3 * tf.nn.embedding_lookup(table, ids))
        out = tf.matmul(state, logits)
        best = tf.argmax(out, 1)
        return index + 1, best, state, score + tf.reduce_max(out, 1)

    start = tf.zeros(tf.shape(state)[:1], tf.int64)
    score = tf.zeros(tf.shape(state)[:1], state.dtype)
    return tf.while_loop(lambda index, *_: index < TURNS, turn,
                         (tf.constant(0), start, state, score))[3]


def from_numbers(x, encoder, table, logits):
    return decoded(tf.tanh(tf.matmul(x, encoder)), table, logits)


def from_words(ids, source, encoder, table, logits):
    read = tf.reduce_mean(tf.nn.embedding_lookup(source, ids), 1)
    return decoded(tf.tanh(tf.matmul(read, encoder)), table, logits)


def truth(function, x):
    """Attributions from zeros."""
    return brute_force(function, {"x": x}, steps=STEPS)["x"]


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["tf1", "tf2"])
def test_numbers_behind_a_decoder(tmp_path, kind):
    made = build(tmp_path, from_numbers, {"x": spec([None, 2])}, VARIABLES, kind, steps=STEPS)
    (point,) = made.plan.recipe.points
    assert point.name == "x" and not made.plan.cut.misses
    found = made.run(x=X)
    assert_close(found["attributions/x"], truth(lambda x: from_numbers(x, **VARIABLES), X))


def test_words_behind_a_decoder(tmp_path):
    """The encoder's lookup stands outside of the loop, and each word gets its own share."""
    made = build(tmp_path, from_words, {"ids": spec([None, 3], tf.int64)},
                 {"source": SOURCE, **VARIABLES}, steps=STEPS)
    (point,) = made.plan.recipe.points
    assert point.kind == "tokens" and not made.plan.cut.misses
    found = made.run(ids=IDS)
    expected = truth(lambda x: decoded(tf.tanh(tf.reduce_mean(x, 1) @ ENCODER), TABLE, LOGITS),
                     SOURCE[IDS])
    np.testing.assert_array_equal(found[f"tokens/{point.name}"], IDS)
    assert_close(found[f"attributions/{point.name}"], expected.sum(-1))


@pytest.mark.parametrize("resource", [True, False])
def test_an_old_decoder(tmp_path, resource):
    """A loop of TensorFlow 1, its truth by the live graph's gradient."""
    with tf.Graph().as_default(), v1.Session() as session, old_control_flow():
        x = v1.placeholder(tf.float64, [None, 2], name="x")
        kept = {name: v1.get_variable(name, initializer=value, use_resource=resource)
                for name, value in VARIABLES.items()}
        y = from_numbers(x, **kept)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "m"), steps=STEPS)
    assert [point.name for point in plan.recipe.points] == ["x"]
    ig_tf.save(plan, tmp_path / "out")
    found = open_v1(tmp_path / "out")(x=X)
    assert_close(found["attributions/x"], truth(lambda x: from_numbers(x, **VARIABLES), X))


def taught(x, ids, encoder, table, logits):
    """Teacher forcing: each turn looks up the word that was sent, which is content."""
    def turn(index, state, score):
        state = tf.tanh(state + tf.nn.embedding_lookup(table, ids[:, index]))
        return index + 1, state, score + tf.reduce_max(tf.matmul(state, logits), 1)

    state = tf.tanh(tf.matmul(x, encoder))
    return tf.while_loop(lambda index, *_: index < 3, turn,
                         (tf.constant(0), state, tf.zeros(tf.shape(x)[:1], x.dtype)))[2]


def sampled(x, ids, encoder, table, logits):
    """The first word is sent, the others are chosen: the loop carries content in its ids."""
    def turn(index, chosen, state):
        state = tf.tanh(state + tf.nn.embedding_lookup(table, chosen))
        return index + 1, tf.argmax(tf.matmul(state, logits), 1), state

    state = tf.tanh(tf.matmul(x, encoder))
    state = tf.while_loop(lambda index, *_: index < 3, turn, (tf.constant(0), ids[:, 0], state))[2]
    return tf.reduce_sum(state ** 2 * tf.range(1.0, 4, dtype=x.dtype), 1)


@pytest.mark.parametrize("function", [taught, sampled])
def test_what_was_sent_is_not_walked_past(tmp_path, function):
    """Words that were sent are looked up inside: the loop's result stays the place."""
    made = build(tmp_path, lambda **given: tf.nn.softplus(function(**given)),
                 {"x": spec([None, 2]), "ids": spec([None, 3], tf.int64)}, VARIABLES, steps=2)
    (point,) = made.plan.recipe.points
    assert point.name != "x" and any("While" in miss for miss in made.plan.cut.misses)


@pytest.mark.parametrize("name,expected", [
    ("sent", True), ("as_floats", True), ("buckets", True), ("masked", True), ("largest", False),
    ("rounded", False), ("chosen_where", False)])
def test_content(tmp_path, name, expected):
    """Ids that were sent, whatever they were sent as, against ids that numbers decide."""
    def model(x, ids):
        numbers = tf.matmul(x, tf.constant(ENCODER))
        found = {
            "sent": lambda: tf.concat([ids[:, :1] + 1, tf.argmax(numbers, 1)[:, None]], 1),
            "as_floats": lambda: tf.cast(tf.reshape(x, [-1, 2])[:, 1:], tf.int64),
            "buckets": lambda: tf.cast(tf.raw_ops.Bucketize(
                input=tf.cast(x, tf.float32), boundaries=[0.0, 1.0]), tf.int64),
            "masked": lambda: tf.where(numbers[:, :1] > 0, ids, 0 * ids),
            "largest": lambda: tf.math.top_k(numbers, 2)[1],
            "rounded": lambda: tf.cast(tf.round(numbers * 2), tf.int32),
            "chosen_where": lambda: tf.where(ids[:, 0] > 2, tf.argmax(numbers, 1), 0),
        }[name]()
        return {"score": tf.reduce_sum(numbers, 1), "ids": found}

    build(tmp_path, model, {"x": spec([None, 2]), "ids": spec([None, 3], tf.int64)}, steps=1,
          target="score")
    work = working.build(ig_tf.load(tmp_path / "model"))
    features = Features(work, [work.outputs["ids"]])
    assert is_content(work.outputs["ids"], features) == expected

