"""Conditions of TensorFlow 2 with several branches, and ragged tensors inside of a model."""

import numpy as np
import pytest
import tensorflow as tf

from tests import builders

RANDOM = np.random.default_rng(2)
WEIGHTS, X = RANDOM.normal(size=(3, 4)), RANDOM.normal(size=(4, 3))
TABLE = RANDOM.normal(size=(7, 3))


def three_ways(x, which, w):
    return tf.reduce_sum(tf.switch_case(which, [
        lambda: x @ w, lambda: (x @ w) ** 2, lambda: (x ** 3) @ w]), 1)


@pytest.mark.parametrize("loader", sorted(builders.LOADERS))
@pytest.mark.parametrize("kind", builders.SAVERS)
def test_each_branch_of_a_case(kind, loader, tmp_path):
    """The caller chooses; polynomials, so that the closed forms are exact but for rounding."""
    made = builders.build(tmp_path, three_ways, {
        "x": builders.spec([None, 3]), "which": builders.spec([], tf.int32)}, {"w": WEIGHTS}, kind,
        loader, steps=4)
    sums = WEIGHTS.sum(1)
    expected = {0: X * sums, 1: X * (X @ WEIGHTS @ WEIGHTS.T), 2: X ** 3 * sums}
    for which, wanted in expected.items():
        found = made.run(x=X, which=which)
        np.testing.assert_allclose(found["attributions/x"], wanted, rtol=1e-10)


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_a_ragged_tensor_inside(kind, tmp_path):
    """The square of a sum of as many vectors as there are words: v_t . S of each word, in padding
    nothing."""
    def model(ids, table):
        ragged = tf.RaggedTensor.from_tensor(ids, padding=0)
        vectors = tf.ragged.map_flat_values(
            lambda flat: tf.nn.embedding_lookup(table, flat), ragged)
        return tf.reduce_sum(tf.reduce_sum(vectors, 1) ** 2, 1)

    made = builders.build(tmp_path, model, {"ids": builders.spec([None, 5], tf.int64)},
                          {"table": TABLE}, kind, steps=2)
    ids = np.array([[1, 2, 0, 0, 0], [3, 3, 4, 6, 0], [5, 0, 0, 0, 0]])
    vectors = TABLE[ids] * (ids > 0)[..., None]
    expected = (vectors * vectors.sum(1, keepdims=True)).sum(-1)
    found = made.run(ids=ids)
    width = found["attributions/ids"].shape[1]  # of the longest
    assert width >= 4 and not expected[:, width:].any()
    np.testing.assert_allclose(found["attributions/ids"], expected[:, :width], rtol=1e-10,
                               atol=1e-12)
