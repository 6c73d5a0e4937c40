"""The difference of two scores as a target: why A rather than B."""

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
from builders import spec
from ig_tf.errors import TargetError
from ig_tf.run import results

WEIGHTS = np.random.default_rng(3).normal(size=(3, 4))
X = np.random.default_rng(4).normal(size=(5, 3))


def model(x, w):
    scores = tf.matmul(tf.tanh(x), w)
    return {"probabilities": tf.nn.softmax(scores),
            "grid": scores[:, :, None] * tf.constant([1.0, 2.0], tf.float64)}


@pytest.fixture(scope="module", name="folder")
def fixture_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("differences")
    builders.save_tf2(folder / "model", model, {"x": spec([None, 3])}, {"w": WEIGHTS})
    return folder


@pytest.mark.parametrize("output, first, second", [
    ("probabilities", "2", "0"), ("probabilities", "1", "3"), ("grid", "2,1", "0,0")])
def test_is_the_difference_of_the_attributions(folder, tmp_path, output, first, second):
    found = {}
    for index in (first, second, f"{first}-{second}"):
        target = f"{output}:{index}"
        one = builders.explain(folder / "model", tmp_path / index, target=target, steps=20)
        assert one.plan.recipe.target.text() == target
        found[index] = one.run(x=X)
    both = found[f"{first}-{second}"]
    for key in ("attributions/x", "features/x", "prediction", "baseline_prediction"):
        np.testing.assert_allclose(both[key], found[first][key] - found[second][key],
                                   rtol=1e-10, atol=1e-14)
    assert both["target_index"].tolist() == [-1] * len(X)
    assert np.all(both["completeness_error"] < 1e-6)


def test_results_name_both(folder, tmp_path):
    plan = ig_tf.instrument(ig_tf.load(str(folder / "model")), target="probabilities:2-0",
                            custom=("refinement", "baseline"))
    ig_tf.save(plan, tmp_path / "out")
    assert plan.described()["target"]["index"] == "2-0"
    labels = ["cat", "dog", "owl", "fox"]
    ig_tf.attribute(tmp_path / "out", [{"x": row} for row in X], tmp_path / "rows.jsonl",
                    labels=labels, row_error=0.01)
    about, rows = results.read(tmp_path / "rows.jsonl")
    assert about.target == "probabilities:2-0"
    assert {(row.target.text(), row.target.label) for row in rows} == {
        ("probabilities:2-0", "owl - cat")}
    assert {row.status for row in rows} == {"converged"}


def test_the_check_tries_the_scores_behind_both(folder):
    from ig_tf.graph import work as working
    from ig_tf.ig import targets
    work = working.build(ig_tf.load(str(folder / "model")))
    target = targets.resolve(work, "probabilities:2-0")
    scores = targets.before_squashing(work, target)
    assert scores.endswith(":2-0")
    assert targets.resolve(work, scores).index == target.index


@pytest.mark.parametrize("target, words", [
    ("probabilities:2-4", "index 4 is out of range"), ("probabilities:5-1", "index 5 is out"),
    ("probabilities:1-1", "and itself"), ("probabilities:1-2-3", "A-B"),
    ("probabilities:1-", "A-B"), ("probabilities:top-1", "A-B"), ("grid:1-2,0", "needs 2")])
def test_refusals(folder, target, words):
    with pytest.raises(TargetError, match=words):
        ig_tf.instrument(ig_tf.load(str(folder / "model")), target=target)


def test_a_request_cannot_choose_a_target_then(folder):
    with pytest.raises(TargetError, match="--target=probabilities:top"):
        ig_tf.instrument(ig_tf.load(str(folder / "model")), target="probabilities:2-0",
                         custom=("target",))
