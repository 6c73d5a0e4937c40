"""`check` asks whether the examples of a batch leave each other alone, and faults are caught."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.graph import row_rules
from ig_tf.graph.states import Rows
from ig_tf.run import apart, artifact, checks
from tests import builders

KERNEL = np.sin(np.arange(12.0)).reshape(4, 3)
RECORDS = [{"x": row.tolist()} for row in np.random.default_rng(2).normal(size=(5, 4))]
ROWS = [(name, {"x": np.array(record["x"])}) for name, record in zip("abcde", RECORDS)]


def independent(x):
    return tf.nn.softmax(tf.tanh(x) @ KERNEL)


def centred(x):
    """Each example minus the mean of its batch: no example is alone."""
    return tf.reduce_sum((x - tf.reduce_mean(x, 0, keepdims=True)) ** 3, 1)


def lie(op, inputs):
    """A mean over the batch that claims to have one row per example."""
    return Rows(0)


def saved(folder, function):
    return builders.build(folder, function, {"x": builders.spec([None, 4])}, steps=20).path


def test_independent_examples_pass(tmp_path):
    found = ig_tf.check(saved(tmp_path, independent), RECORDS)
    assert found.passed and found.apart.passed
    assert found.apart.examples == 5 and found.apart.moved == 3
    assert found.apart.alone <= 1e-12 and found.apart.across <= 1e-12
    assert found.apart.own > 1e-3  # the moves were seen
    lines = checks.text(found)
    assert "against its examples one by one" in lines and "independent" not in lines
    assert json.loads(json.dumps(dataclasses.asdict(found)))["apart"]["examples"] == 5


def test_coupled_examples_that_run_alone_pass(tmp_path):
    """What is answered is each example by itself, so nothing in a batch reaches another."""
    found = ig_tf.check(saved(tmp_path, centred), [{"x": [1.0, 2, 3, 4]}, {"x": [0.5, 0, 1, 2]}])
    assert found.apart.passed and found.apart.across == 0


def test_a_lying_rule_is_caught(tmp_path, monkeypatch):
    """The proof is planted with a fault: the copy then takes the mean over steps and examples."""
    monkeypatch.setitem(row_rules.RULES, "Mean", lie)
    path = saved(tmp_path, centred)
    assert "reason" not in artifact.read_metadata(path)["chunking"]
    found = ig_tf.check(path, RECORDS, max_steps=20)
    assert not found.apart.passed and not found.passed
    assert found.apart.alone > 1e-2 and found.apart.across > 1e-3  # a fifth of a move of 1 %
    assert any("alone than in a batch of 5" in one for one in found.apart.findings)
    assert any("other records of the batch change" in one for one in found.apart.findings)
    text = checks.text(found)
    assert "FAIL" in text and "not independent" in text


def answering(function):
    """An `Artifact` whose signature is a Python function of x [batch, 4]."""
    def signature(x):
        return {key: tf.constant(value) for key, value in function(x.numpy()).items()}

    return artifact.Artifact("here", {"points": []}, {"x": tf.TensorSpec([None, 4], tf.float64)},
                             signature, None)


def answer(x, shares):
    score = x.sum(1)
    return {"attributions/x": shares, "prediction": score, "baseline_prediction": 0 * score,
            "relative_error": np.random.default_rng().random(len(x))}


FAULTS = {
    "shares of a neighbour": lambda x: answer(x, np.roll(x, 1, 0)),
    "places in the batch": lambda x: answer(x, x * (1 + np.arange(len(x)))[:, None]),
    "a mean of the batch": lambda x: answer(x, x + 1e-3 * x.mean(0)),
    "the size of the batch": lambda x: answer(x, x / len(x)),
    "predictions in another order": lambda x: {**answer(x, x), "prediction": x.sum(1)[::-1]},
    "a class of the batch": lambda x: {**answer(x, x), "target_index": np.full(
        len(x), x.sum(1).argmax())},
    "a number that is none": lambda x: answer(x, np.where(len(x) > 1, np.nan, x)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_any_artifact_are_found(name):
    found = apart.measure(answering(FAULTS[name]), ROWS)
    assert not found.passed, name


def test_no_fault_is_found_where_there_is_none():
    found = apart.measure(answering(lambda x: answer(x, x)), ROWS)
    assert found.passed and found.alone == 0 and found.across == 0 and found.note is None


def test_ids_as_floats_are_moved_by_another_record():
    found = apart.measure(answering(lambda x: answer(np.round(x * 3), np.round(x * 3))), ROWS)
    assert found.passed and found.moved == 3 and found.own > 0 and found.note is None


def test_one_record_says_so():
    found = apart.measure(answering(lambda x: answer(x, x)), [("a", {"x": np.ones(4)})])
    assert found.passed and "two records" in found.note


def test_moves_that_change_nothing_say_so():
    found = apart.measure(answering(lambda x: answer(0 * x, 0 * x)), ROWS)
    assert found.passed and "could be moved" in found.note
