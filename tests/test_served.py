"""What a served artifact promises: limits, neighbours, threads, and the same bytes each time."""

import concurrent.futures
import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import RecordError, SignatureError
from ig_tf.ig.limits import Limits
from ig_tf.run import artifact
from tests import builders, conftest

WEIGHTS = np.random.default_rng(3).normal(size=(6, 9)).astype(np.float32)
KIND = ("tf1", "tf2")


def network(x, weights):
    """Each row by itself; rank and length are open."""
    hidden = tf.nn.relu(tf.matmul(x, weights) + 0.25)
    return tf.reduce_sum(tf.tanh(hidden) ** 2, 1)


def lengths(x, scale):
    return tf.reduce_sum(scale * tf.tanh(x) ** 2, [1, 2])


def made(folder, kind="tf2", **choices):
    builders.SAVERS[kind](folder / "model", network, {"x": builders.spec([None, 6], tf.float32)},
                          {"weights": WEIGHTS})
    plan = ig_tf.instrument(ig_tf.load(folder / "model"), **{"steps": 20, **choices})
    ig_tf.save(plan, folder / "out")
    return artifact.load(folder / "out")


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)


@pytest.fixture(name="served", scope="module")
def fixture_served(tmp_path_factory):
    return {kind: made(tmp_path_factory.mktemp(kind), kind)
            for kind in KIND}


@pytest.mark.parametrize("kind", KIND)
def test_a_batch_beyond_the_limit_is_refused(tmp_path, kind):
    loaded = made(tmp_path, kind, limits=Limits(batch=4))
    assert loaded.metadata["limits"] == {"batch": 4}
    free = loaded.run({"x": rows(4)})
    assert free["prediction"].shape == (4,)
    with pytest.raises(RecordError, match="x: at most 4 examples are answered in one request"):
        loaded.run({"x": rows(5)})


def test_a_length_beyond_the_limit_is_refused(tmp_path):
    builders.save_tf2(tmp_path / "model", lengths, {"x": builders.spec([None, None, 2])},
                      {"scale": np.float64(2)})
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=4,
                            limits=Limits(batch=3, length=5), custom=("refinement",))
    ig_tf.save(plan, tmp_path / "out")
    loaded = artifact.load(tmp_path / "out")
    loaded.run({"x": np.ones((3, 5, 2))})
    with pytest.raises(RecordError, match="x: at most 5 along axis 1"):
        loaded.run({"x": np.ones((1, 6, 2))})
    custom = loaded.custom
    with pytest.raises(RecordError, match="x: at most 3 examples"):
        custom.run({"x": np.ones((4, 5, 2)), "refinement": np.zeros(4, np.int64)})
    with pytest.raises(RecordError, match="refinement out of range"):  # the limit of steps
        custom.run({"x": np.ones((1, 5, 2)), "refinement": np.array([3])})


def test_the_dense_shape_of_a_sparse_input_is_limited(tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.sparse_placeholder(tf.float32, [None, 6], name="x")
        dense = tf.reshape(tf.sparse.to_dense(x), [-1, 6])
        signature = v1.saved_model.predict_signature_def(
            {"x": x}, {"score": tf.reduce_sum(dense ** 2, 1)})
        builder = v1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=4, limits=Limits(2)),
               tmp_path / "out")
    loaded = artifact.load(tmp_path / "out")
    row = {"x": {"indices": [[0], [1], [5]], "values": [2.0, 1.0, 1.0], "dense_shape": [6]}}
    assert len(ig_tf.attribute(loaded, [row] * 2)) == 2  # six values of two examples
    with pytest.raises(RecordError, match="x_dense_shape: at most 2 examples"):
        ig_tf.attribute(loaded, [row] * 3)


def test_limits_change_no_number(tmp_path, served):
    loaded = made(tmp_path, limits=Limits(batch=8, length=8))
    x = rows(8)
    for key, value in served["tf2"].run({"x": x}).items():
        np.testing.assert_array_equal(loaded.run({"x": x})[key], value, err_msg=key)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "4"])
def test_limits_are_whole_numbers(wrong):
    with pytest.raises(SignatureError, match="a limit is a whole number"):
        Limits(batch=wrong)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", KIND)
def test_a_row_that_is_not_finite_leaves_its_neighbours(served, kind, bad):
    x = rows(5)
    clean = served[kind].run({"x": x})
    spoilt = x.copy()
    spoilt[2, 3] = bad
    found = served[kind].run({"x": spoilt})
    others = [0, 1, 3, 4]
    largest = np.abs(clean["attributions/x"]).max()
    for key, value in clean.items():
        np.testing.assert_allclose(found[key][others], value[others], rtol=0, atol=1e-6 * largest,
                                   err_msg=key)
    results = ig_tf.attribute(served[kind], [{"x": row} for row in spoilt])
    assert results[2].status != "converged"
    assert [results[place].status for place in others] == [
        ig_tf.attribute(served[kind], [{"x": x[place]}])[0].status for place in others]


def test_a_row_that_is_not_finite_where_rows_go_one_by_one(tmp_path):
    """Also where chunks hold rows of several examples."""
    loaded = made(tmp_path, rows_per_chunk=7)
    x = rows(6)
    clean = loaded.run({"x": x})["attributions/x"]
    x[0, 0] = np.nan
    found = loaded.run({"x": x})["attributions/x"]
    np.testing.assert_allclose(found[1:], clean[1:], rtol=0, atol=1e-6 * np.abs(clean).max())


@pytest.mark.parametrize("kind", KIND)
def test_the_same_request_has_the_same_bits_from_eight_threads(served, kind):
    loaded, x = served[kind], rows(16)
    expected = loaded.run({"x": x})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: loaded.run({"x": x}), range(24)):
            for key, value in expected.items():
                np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.parametrize("kind", KIND)
def test_other_company_in_the_batch_moves_little(served, kind):
    x = rows(32)
    together = served[kind].run({"x": x})["attributions/x"]
    largest = np.abs(together).max()
    for size in (1, 3, 8):
        parts = [served[kind].run({"x": x[begin:begin + size]})["attributions/x"]
                 for begin in range(0, 32, size)]
        assert np.abs(np.concatenate(parts) - together).max() <= 1e-6 * largest


def test_two_models_at_once_do_not_meet(tmp_path):
    """Instrumented in two threads, each is what it is when it is alone."""
    def one(name, factor):
        builders.save_tf2(tmp_path / name, lambda x, w: tf.reduce_sum(w * x ** 3, 1),
                          {"x": builders.spec([None, 2])}, {"w": np.array([1.0, factor])})
        ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / name), steps=4), tmp_path / f"{name}_out")

    for name, factor in (("a", 2.0), ("b", 5.0)):
        one(name, factor)
    alone = {name: tree_digest(tmp_path / f"{name}_out") for name in "ab"}

    def again(name):
        output = tmp_path / f"{name}_again"
        ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / name), steps=4), output)
        return name, tree_digest(output)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, digest in pool.map(again, "abab"[:2]):
            assert digest == alone[name]


def tree_digest(folder):
    """SHA-256 over names and bytes of all files."""
    digest = hashlib.sha256()
    for file in sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize("kind", KIND)
def test_exporting_twice_and_instrumenting_again_give_the_same_bytes(tmp_path, kind):
    made(tmp_path, kind, custom=("baseline", "refinement"))
    first = tree_digest(tmp_path / "out")
    for source, output in (("model", "second"), ("out", "third"), ("third", "fourth")):
        plan = ig_tf.instrument(ig_tf.load(tmp_path / source), steps=20,
                                custom=("baseline", "refinement"))
        ig_tf.save(plan, tmp_path / output)
        assert tree_digest(tmp_path / output) == first, output


def test_bytes_do_not_depend_on_the_hash_seed(tmp_path):
    builders.save_tf2(tmp_path / "model", network, {"x": builders.spec([None, 6], tf.float32)},
                      {"weights": WEIGHTS})
    for seed in ("0", "1"):
        subprocess.run(
            [sys.executable, "-m", "tools.instrument_model", f"--model={tmp_path / 'model'}",
             f"--output={tmp_path / seed}", "--steps=4", "--custom=baseline,refinement"],
            cwd=conftest.REPO, check=True, capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed})
    assert tree_digest(tmp_path / "0") == tree_digest(tmp_path / "1")
