"""Attributions from elsewhere: each common error is recognised by its name, and right ones pass.

F = sum w x^3, from x' to x: every part of the path is known in closed form.
"""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import ResultsError
from ig_tf.run import elsewhere, results
from tests import builders

RNG = np.random.default_rng(9)
W = RNG.normal(size=5)
X = RNG.normal(size=(6, 5)) + 1.0
START = np.array([0.3, -0.2, 0.5, 0.1, -0.4])


def score(x):
    return (W * x ** 3).sum(-1)


AVERAGE = W * (X ** 2 + X * START + START ** 2)
AT_X = 3 * W * X ** 2
RIGHT = AVERAGE * (X - START)
DIFFERENCE = score(X) - score(START)
REFERENCES = [elsewhere.Reference(
    RIGHT[i], AVERAGE[i], AT_X[i], AT_X[i] * (X - START)[i], AVERAGE[i] * X[i],
    score(X)[i], score(START)) for i in range(len(X))]
STEPS = 50


def riemann(nodes, count):
    """An average gradient by hand: sum over nodes, divided by a count, times (x - x')."""
    total = sum(3 * W * (START + alpha * (X - START)) ** 2 for alpha in nodes)
    return total / count * (X - START)


ENDS = np.linspace(0, 1, STEPS + 1)
MIDDLES = (np.arange(STEPS) + 0.5) / STEPS
FILES = {
    "right": (RIGHT, None),
    "right, by the midpoint rule": (riemann(MIDDLES, STEPS), None),
    "right, in half precision": (RIGHT.astype(np.float16), None),
    "missing factor": (AVERAGE, "missing (x - x') factor"),
    "times x": (AVERAGE * X, "multiplied by x"),
    "gradient": (AT_X, "gradient at x"),
    "one step": (AT_X * (X - START), "gradient * input"),
    "sign": (-RIGHT, "sign"),
    "absolute": (np.abs(RIGHT), "absolute values"),
    "stretched to F(x)": (RIGHT * (score(X) / DIFFERENCE)[:, None], "baseline's score forgotten"),
    "score spread": (RIGHT + score(START) / 5 + 0.0, "baseline's score forgotten"),
    "never divided": (riemann(MIDDLES, 1), "wrong count"),
    "divided by one too many": (riemann(MIDDLES, STEPS + 1), "wrong count"),
    "one point left out of the sum": (RIGHT * (STEPS - 1) / STEPS, "wrong count"),
    "divided twice": (RIGHT / STEPS, "wrong count"),
    "scaled to its largest": (RIGHT / np.abs(RIGHT).max(1, keepdims=True), "another scale"),
    "shuffled": (RIGHT[:, ::-1] + 0.3, "unknown"),
}


@pytest.mark.parametrize("name", FILES)
def test_errors_are_recognised(name):
    given, expected = FILES[name]
    start = REFERENCES
    if name == "score spread":  # a baseline that scores something
        start = [elsewhere.Reference(*[*vars(one).values()][:5], one.prediction + 2.0,
                                     one.baseline_prediction + 2.0) for one in REFERENCES]
        given = RIGHT + (score(START) + 2.0) / 5
    found = elsewhere.judged(list(np.asarray(given, np.float64)), start)
    assert found.error == expected, found
    assert found.examples == len(X) and bool(found.advice) == (expected is not None)


@pytest.mark.parametrize("factor, said", [
    (50, "sum of 50 steps was not divided"), (1 / 8, "divided by 8 once too often"),
    (50 / 51, "51 points"), (51 / 50, "With 50 steps there was one point more")])
def test_the_count_is_named(factor, said):
    found = elsewhere.judged(list(RIGHT * factor), REFERENCES)
    assert found.error == "wrong count" and said in found.advice
    assert f"{factor:.4g} times" in found.text


def test_another_baseline_is_told_by_its_score():
    other = np.full(5, 0.8)
    given = W * (X ** 2 + X * other + other ** 2) * (X - other)
    found = elsewhere.judged(list(given), REFERENCES)
    assert found.error == "unknown" and "another baseline" in found.advice
    assert "sum to F(x) - " in found.text


def test_what_is_no_file_of_attributions(tmp_path):
    with pytest.raises(ResultsError, match="no file"):
        elsewhere.read(str(tmp_path / "none.npz"), ["x"])
    np.savez(tmp_path / "other.npz", y=RIGHT, z=RIGHT)
    with pytest.raises(ResultsError, match="the points are x, the file has y, z"):
        elsewhere.read(str(tmp_path / "other.npz"), ["x"])
    with pytest.raises(ResultsError, match="the point has"):
        elsewhere.as_given(np.zeros(3), (5,), None)


@pytest.fixture(scope="module", name="built")
def fixture_built(tmp_path_factory):
    """F with its baseline, instrumented."""
    folder = tmp_path_factory.mktemp("elsewhere")
    return builders.build(folder, lambda x: tf.reduce_sum(tf.constant(W) * x ** 3, 1),
                          {"x": builders.spec([None, 5])}, baseline={"x": START}, steps=8)


RECORDS = [{"x": row.tolist()} for row in X]


def test_results_of_ours_pass(built, tmp_path):
    rows = ig_tf.attribute(built.path, RECORDS)
    results.write(tmp_path / "ours.jsonl", rows, rows.about)
    found = ig_tf.check(built.path, RECORDS, attributions=str(tmp_path / "ours.jsonl"))
    verdict = found.verdicts[-1]
    assert verdict.name == "attributions_file" and verdict.verdict == "pass"
    assert verdict.value < 1e-6 and found.passed


def test_a_file_with_an_error_fails(built, tmp_path):
    np.savez(tmp_path / "theirs.npz", anything=AVERAGE)
    found = ig_tf.check(built.path, RECORDS, attributions=str(tmp_path / "theirs.npz"))
    verdict = found.verdicts[-1]
    assert verdict.verdict == "fail" and not found.passed
    assert "missing (x - x') factor" in verdict.text and "(x - baseline)" in verdict.advice


def test_sums_over_an_embedding(tmp_path):
    """A file with one number per word, of vectors of four."""
    table = RNG.normal(size=(7, 4))
    path = builders.save_tf2(tmp_path / "model", lambda ids, table: tf.reduce_sum(
        tf.nn.embedding_lookup(table, ids) ** 3, [1, 2]),
        {"ids": builders.spec([None, 3], tf.int64)}, {"table": table})
    built = builders.explain(path, tmp_path / "out", steps=8)
    ids = np.array([[1, 2, 3], [4, 5, 6]])
    for name, given, expected in (("right", table[ids] ** 3, "pass"),
                                  ("gradients", table[ids] ** 2, "fail")):
        np.savez(tmp_path / f"{name}.npz", given.sum(-1))
        found = ig_tf.check(built.path, [{"ids": row.tolist()} for row in ids],
                            attributions=str(tmp_path / f"{name}.npz"))
        assert found.verdicts[-1].verdict == expected, name
        assert ("missing" in found.verdicts[-1].text) == (expected == "fail")
