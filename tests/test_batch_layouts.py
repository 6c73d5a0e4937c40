"""Batches that lie otherwise: time first, a fixed number of examples, examples folded into rows.

Every model is compared with brute force, one example at a time; float64, so that only rounding is
left.
"""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf import errors
from tests import builders
from tests.brute_force import STEPS, assert_close, brute_force
from tests.builders import matrix

tf1 = tf.compat.v1
TIME, BATCH = 4, 3


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1.5, 1.5, shape)


# Time first ------------------------------------------------------------------------------------


def cell(now, state):
    return tf.tanh(now @ matrix(4, 5) + state @ matrix(5, 5))


def recurrent(x, start):
    """[time, batch, 4] and [1, batch, 5] to the states [time, batch, 5]."""
    return tf.scan(lambda state, now: cell(now, state), x, start[0])


def tagger(x, start):
    """As sequence models of TensorFlow 1 end: steps and examples merged, a layer, apart again."""
    states = tf.reshape(recurrent(x, start), [-1, 5])
    scores = tf.nn.softmax(states @ matrix(5, 3))
    return tf.reshape(scores, [-1, tf.shape(x)[1], 3])


def last_state(x, start):
    return recurrent(x, start)[-1] @ matrix(5, 2)


TIME_MAJOR = {"x": builders.spec([None, None, 4]), "start": builders.spec([1, None, 5])}


def one_by_one(function):
    """The function of examples that lie first, as the brute force wants it."""
    def turned(x, start):
        found = function(tf.transpose(x, [1, 0, 2]), tf.transpose(start, [1, 0, 2]))
        return tf.transpose(found, [1, 0, 2]) if len(found.shape) == 3 else found
    return turned


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("function, target, index", [
    (tagger, "score:2,1", (2, 1)), (last_state, "score:1", (1,))],
    ids=["each step", "the last"])
def test_time_first(function, target, index, kind, tmp_path):
    made = builders.build(tmp_path, function, TIME_MAJOR, {}, kind, steps=STEPS, target=target)
    described = made.plan.described()
    assert "reason" not in described["chunking"]
    assert described["batch"] == {"axes": {"x": 1, "start": 1}, "examples": None}
    assert any("along axis 1 of start, x: proved" in one for one in described["choices"])
    x, start = numbers(TIME, BATCH, 4), numbers(1, BATCH, 5)
    found = made.run(x=x, start=start)
    upper = one_by_one(function)

    def chosen(x, start):
        return upper(x, start)[(slice(None), *index)]

    given = {"x": x.transpose(1, 0, 2), "start": start.transpose(1, 0, 2)}
    assert_close(found, brute_force(chosen, given, ("x", "start")))
    np.testing.assert_allclose(found["prediction"], chosen(**given), rtol=1e-12)
    assert found["attributions/x"].shape == (BATCH, TIME, 4)
    # Time and batch can be as many, and one, without being taken for each other.
    for time, batch in ((3, 3), (1, 3), (3, 1), (1, 1)):
        if time <= index[0] and len(index) == 2:
            continue
        x, start = numbers(time, batch, 4, seed=7), numbers(1, batch, 5, seed=8)
        given = {"x": x.transpose(1, 0, 2), "start": start.transpose(1, 0, 2)}
        assert_close(made.run(x=x, start=start), brute_force(chosen, given, ("x", "start")))


def test_time_first_files(tmp_path):
    """A record is one example, as ever; the request has the examples along axis 1."""
    made = builders.build(tmp_path, tagger, TIME_MAJOR, steps=STEPS, target="score:2,1")
    x, start = numbers(5, TIME, 4), numbers(5, 1, 5)
    np.savez(tmp_path / "in.npz", x=x, start=start)
    found = ig_tf.attribute(made.path, tmp_path / "in.npz", batch_size=2)
    whole = made.run(x=x.transpose(1, 0, 2), start=start.transpose(1, 0, 2))
    assert len(found) == 5
    for row, one in enumerate(found):
        assert one.prediction == pytest.approx(whole["prediction"][row], rel=1e-12)
        scores = {point.name: point.scores for point in one.points}
        np.testing.assert_allclose(scores["x"], whole["attributions/x"][row], atol=1e-12)
    checked = ig_tf.check(made.path, tmp_path / "in.npz", max_steps=STEPS)
    assert checked.apart.passed and checked.apart.examples == 5


WORDS = np.sin(np.arange(28.0)).reshape(7, 4)  # a vector for each of seven words


def looked_up(ids, start):
    return last_state(tf.gather(tf.constant(WORDS), ids), start)


def looked_up_merged(ids, start):
    """[time * batch, size] in the model."""
    flat = tf.gather(tf.constant(WORDS), tf.reshape(ids, [-1]))
    return last_state(tf.reshape(flat, [-1, tf.shape(ids)[1], 4]), start)


@pytest.mark.parametrize("model", [looked_up, looked_up_merged])
def test_tokens_of_time_first_ids(model, tmp_path):
    """ids [time, batch]: tokens and attributions are [batch, time] in the answer."""
    made = builders.build(tmp_path, model, {
        "ids": builders.spec([None, None], tf.int64), "start": builders.spec([1, None, 5])},
        steps=STEPS, target="score:0")
    assert "reason" not in made.plan.described()["chunking"]
    ids, start = np.array([[1, 2, 3], [4, 5, 6], [0, 1, 0], [3, 3, 2]]), numbers(1, 3, 5)
    found = made.run(ids=ids, start=start)
    name = next(p.name for p in made.plan.recipe.points if p.kind == "tokens")
    np.testing.assert_array_equal(found[f"tokens/{name}"], ids.T)
    expected = brute_force(one_by_one(last_state), {
        "x": WORDS[ids.T], "start": start.transpose(1, 0, 2)}, ("x", "start"), index=0)
    assert_close(found, {name: expected["x"].sum(-1), "start": expected["start"]})


def test_time_first_that_mixes_is_refused(tmp_path):
    """Centred over the batch, time first: neither axis is proved, and nothing is answered."""
    def model(x, start):
        return tagger(x - tf.reduce_mean(x, 1, keepdims=True), start)

    path = builders.save_tf2(tmp_path / "model", model, TIME_MAJOR)
    with pytest.raises(errors.GraphError, match="time-major"):
        ig_tf.instrument(ig_tf.load(path), target="score:2,1")


def test_as_many_steps_as_examples_are_not_mistaken(tmp_path):
    """[time, batch, size] to [batch] unproved: a step alone would give as many rows as examples."""
    def model(x):
        centred = x - tf.reduce_mean(x, 1, keepdims=True)
        return tf.reduce_sum(tf.tanh(centred) ** 2, [0, 2])

    made = builders.build(tmp_path, model, {"x": builders.spec([None, None, 4])}, steps=STEPS)
    assert "reason" in made.plan.described()["chunking"]
    with pytest.raises(tf.errors.InvalidArgumentError):
        made.run(x=numbers(3, 3, 4))


# A fixed number of examples ----------------------------------------------------------------------


def by_constants(x):
    """As code with batch_size=3 writes it: reshapes and a first state of 3 rows."""
    hidden = tf.reshape(tf.tanh(tf.reshape(x, [3 * 2, 2]) @ matrix(2, 2)), [3, 4])
    state = tf.zeros([3, 5], x.dtype)
    for _ in range(2):
        state = cell(hidden, state)
    return tf.reduce_sum(state ** 2 * matrix(5), 1)


def loop_by_constants(x):
    """The same as a while loop over steps, whose states start as constants of 3 rows."""
    steps = tf.reshape(x, [3, 2, 2])

    def turn(number, state, other):
        now = tf.gather(steps, number, axis=1)
        state = tf.tanh(now @ matrix(2, 5) + state @ matrix(5, 5) + other)
        return number + 1, state, 0.5 * other + state ** 2

    zeros = tf.zeros([3, 5], x.dtype)
    return tf.reduce_sum(tf.while_loop(lambda number, *_: number < 2, turn,
                                       (tf.constant(0), zeros, zeros))[1] ** 3, 1)


class Cell:
    """What dynamic_rnn of TensorFlow 1 takes for a cell."""

    state_size = output_size = 5

    def zero_state(self, batch_size, dtype):
        return tf.zeros([batch_size, 5], dtype)

    def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
        return self.zero_state(batch_size, dtype)

    def __call__(self, inputs, state, scope=None):
        return (cell(inputs, state),) * 2


def lengths_of_a_fixed_batch(x, lengths):
    _, last = tf1.nn.dynamic_rnn(Cell(), x, lengths, dtype=tf.float64)
    return tf.reduce_sum(last ** 2 * matrix(5), 1)


def test_a_fixed_batch_of_sequences_with_lengths(tmp_path):
    """dynamic_rnn writes its first state and what it pads with as constants of 3 rows."""
    def unrolled(x, length):
        state = tf.zeros([1, 5], x.dtype)
        for now in tf.unstack(x, axis=1)[:length]:
            state = cell(now, state)
        return tf.reduce_sum(state ** 2 * matrix(5), 1)

    made = builders.build(tmp_path, lengths_of_a_fixed_batch, {
        "x": builders.spec([3, TIME, 4]), "lengths": builders.spec([3], tf.int32)}, {}, "tf1",
        steps=STEPS, points=["x"])
    assert made.plan.described()["batch"]["examples"] == 3
    x, lengths = numbers(3, TIME, 4), np.array([2, 4, 3], np.int32)
    found = made.run(x=x, lengths=lengths)
    for row, length in enumerate(lengths):
        expected = brute_force(lambda x: unrolled(x, length), {"x": x[row:row + 1]})
        assert_close({"attributions/x": found["attributions/x"][row:row + 1]}, expected)


def of_one(function):
    """The same function of one example: its batch is filled with itself, as nothing is mixed."""
    def single(x):
        return function(tf.repeat(x, 3, 0))[:1]
    return single


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("function", [by_constants, loop_by_constants],
                         ids=lambda function: function.__name__)
def test_constants_of_a_fixed_batch(function, kind, tmp_path):
    made = builders.build(tmp_path, function, {"x": builders.spec([3, 4])}, {}, kind, steps=STEPS)
    described = made.plan.described()
    assert described["batch"]["examples"] == 3
    assert described["chunking"]["mode"] == "the whole batch of 3, one step at a time"
    x = numbers(3, 4)
    assert_close(made.run(x=x), brute_force(of_one(function), {"x": x}))


def test_fixed_batches_are_filled_and_trimmed(tmp_path):
    made = builders.build(tmp_path, by_constants, {"x": builders.spec([3, 4])}, steps=STEPS)
    x = numbers(7, 4)
    np.savez(tmp_path / "in.npz", x=x)
    found = ig_tf.attribute(made.path, tmp_path / "in.npz", batch_size=64)
    assert len(found) == 7
    expected = brute_force(of_one(by_constants), {"x": x})["x"]
    scores = np.stack([one.points[0].scores for one in found])
    assert_close({"attributions/x": scores}, {"x": expected})
    checked = ig_tf.check(made.path, tmp_path / "in.npz", max_steps=STEPS)
    assert checked.apart.passed and checked.apart.examples == 3


MIXED = {
    "mean of the batch": lambda x: by_constants(x - tf.reduce_mean(x, 0, keepdims=True)),
    "weights by the place": lambda x: tf.reduce_sum(tf.tanh(x * matrix(3, 4)), 1),
    "columns that become rows": lambda x: tf.reduce_sum(
        tf.tanh(tf.reshape(tf.transpose(x), [3, 4])), 1),
    "a softmax of the batch": lambda x: tf.nn.softmax(tf.reduce_sum(x, 1)),
    "rows of another number": lambda x: tf.reduce_sum(tf.reshape(tf.reduce_sum(tf.reshape(
        tf.tanh(x), [2, 6]), 1, keepdims=True) * tf.ones([2, 6], x.dtype), [3, 4]), 1),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_fixed_batch_that_mixes_is_refused(name, tmp_path):
    path = builders.save_tf2(tmp_path / "model", MIXED[name], {"x": builders.spec([3, 4])})
    with pytest.raises(errors.GraphError, match="fixed batch of 3"):
        ig_tf.instrument(ig_tf.load(path))


def test_a_batch_of_one_runs_one_record_at_a_time(tmp_path):
    made = builders.build(tmp_path, lambda x: tf.reduce_sum(tf.reshape(tf.tanh(x), [1, 4]), 1) ** 2,
                          {"x": builders.spec([1, 4])}, steps=STEPS)
    records = [{"x": row.tolist()} for row in numbers(3, 4)]
    found = ig_tf.attribute(made.path, records)
    assert len({one.prediction for one in found}) == 3
    assert "one example per request" in ig_tf.check(made.path, records).apart.note


# Several rows of the target per example --------------------------------------------------------


def folded_classes(x):
    """[batch, time, 4] to the classes of each step, [batch * time, 3]: steps see those before."""
    seen = tf.cumsum(tf.tanh(x), 1)
    return tf.nn.softmax(tf.reshape(seen, [-1, 4]) @ matrix(4, 3))


def folded_steps(x, start):
    """The same of a recurrent network with time first: [time * batch, 2]."""
    return tf.reshape(recurrent(x, start), [-1, 5]) @ matrix(5, 2)


@pytest.mark.parametrize("kind", builders.SAVERS)
@pytest.mark.parametrize("index", [1, "top"])
def test_each_row_of_a_folded_target(kind, index, tmp_path):
    made = builders.build(tmp_path, folded_classes, {"x": builders.spec([None, None, 4])}, {}, kind,
                          steps=STEPS, target=f"score:{index}", rows_per_chunk=5)
    x = numbers(BATCH, TIME, 4)
    found = made.run(x=x)
    assert found["attributions/x"].shape == (BATCH, TIME, TIME, 4)
    scores = folded_classes(tf.constant(x)).numpy().reshape(BATCH, TIME, 3)
    for example in range(BATCH):
        for step in range(TIME):
            best = scores[example, step].argmax() if index == "top" else index
            assert found["target_index"][example, step] == best
            row = brute_force(lambda x: folded_classes(x)[step:step + 1],
                              {"x": x[example:example + 1]}, index=best)
            assert_close({"attributions/x": found["attributions/x"][example, step][None]}, row)
            assert found["prediction"][example, step] == pytest.approx(
                scores[example, step, best], rel=1e-12)
            assert not found["attributions/x"][example, step, step + 1:].any()
    none = made.run(x=x[:0])
    assert none["prediction"].shape == (0, 0) or none["prediction"].shape[0] == 0


def test_folded_steps_of_time_first(tmp_path):
    made = builders.build(tmp_path, folded_steps, TIME_MAJOR, steps=STEPS, target="score:0")
    x, start = numbers(TIME, BATCH, 4), numbers(1, BATCH, 5)
    found = made.run(x=x, start=start)
    for example in range(BATCH):
        mine = {"x": x[:, example:example + 1], "start": start[:, example:example + 1]}
        for step in range(TIME):
            def chosen(x, start):
                return folded_steps(tf.transpose(x, [1, 0, 2]),
                                    tf.transpose(start, [1, 0, 2]))[step:step + 1]
            turned = {key: value.transpose(1, 0, 2) for key, value in mine.items()}
            row = brute_force(chosen, turned, ("x", "start"), index=0)
            assert_close({key: found[key][example, step][None] for key in (
                "attributions/x", "attributions/start")}, row)


def test_folded_files(tmp_path):
    """A result for each row of the target: the record's id, a colon and the number of the row."""
    made = builders.build(tmp_path, folded_classes, {"x": builders.spec([None, None, 4])},
                          steps=STEPS, target="score:1")
    records = [{"x": one.tolist()} for one in numbers(2, TIME, 4)]
    found = ig_tf.attribute(made.path, records)
    assert [one.id for one in found] == [f"{r}:{step}" for r in range(2) for step in range(TIME)]
    whole = made.run(x=np.array([one["x"] for one in records]))
    np.testing.assert_allclose([one.prediction for one in found], whole["prediction"].ravel())
    assert ig_tf.check(made.path, records).apart.passed


def test_a_fixed_and_folded_batch(tmp_path):
    """[3, 4] ids to [12, 3] probabilities: a state that starts as 3 rows of zeros."""
    table = np.sin(np.arange(30.0)).reshape(6, 5)

    def model(ids):
        e = tf.gather(tf.constant(table), ids)
        state, states = tf.zeros([3, 5], tf.float64), []
        for now in tf.unstack(e, axis=1):
            state = tf.tanh(now + state @ matrix(5, 5))
            states.append(state)
        flat = tf.reshape(tf.concat(states, 1), [-1, 5])
        return tf.nn.softmax(flat @ matrix(5, 3))

    made = builders.build(tmp_path, model, {"ids": builders.spec([3, 4], tf.int64)}, steps=STEPS,
                          target="score:2")
    ids = np.array([[1, 2, 3, 0], [5, 5, 1, 2], [4, 0, 0, 1]])
    found = made.run(ids=ids)

    def upper(x):
        state, states = tf.zeros([1, 5], tf.float64), []
        for now in tf.unstack(x, axis=1):
            state = tf.tanh(now + state @ matrix(5, 5))
            states.append(state)
        return tf.nn.softmax(tf.concat(states, 0) @ matrix(5, 3))

    name = made.plan.recipe.points[0].name
    assert found[f"attributions/{name}"].shape == (3, 4, 4)
    for example in range(3):
        for step in range(4):
            row = brute_force(lambda x: upper(x)[step:step + 1],
                              {"x": table[ids[example:example + 1]]}, index=2)["x"].sum(-1)
            answer = found[f"attributions/{name}"][example, step][None]
            assert_close({f"attributions/{name}": answer}, {name: row})
            np.testing.assert_array_equal(found[f"tokens/{name}"][example, step], ids[example])


def test_scalars_of_records(tmp_path):
    """A scalar belongs to all examples of a request: records with another one get their own."""
    made = builders.build(tmp_path, lambda x, keep: tf.reduce_sum(x ** 2, 1) * keep, {
        "x": builders.spec([None, 4]), "keep": builders.spec([])}, steps=STEPS, points=["x"])
    x = numbers(5, 4)
    records = [{"x": row.tolist(), "keep": keep} for row, keep in zip(x, (1, 1, 2, 1, 1))]
    found = ig_tf.attribute(made.path, records)
    np.testing.assert_allclose([one.prediction for one in found],
                               (x ** 2).sum(1) * (1, 1, 2, 1, 1), rtol=1e-12)
    assert ig_tf.check(made.path, records).apart.examples == 4
