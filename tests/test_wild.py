"""Patterns of real models on which a first version went wrong, each against a closed form.

The models are squares of sums, so that IG from zero is known whatever the rule: for
F = (sum of a_i x_i)^2 it is a_i x_i (sum of a_j x_j).
"""

import numpy as np
import pytest
import tensorflow as tf

import builders
from ig_tf.errors import PointError

X = np.array([[1.0, 2.0, -1.0], [0.5, 3.0, 4.0]])
TABLE = np.array([[0.0, 0.0], [1.0, -1.0], [2.0, 0.5], [0.5, 4.0]])


def explained(folder, function, inputs, kind="tf2", **choices):
    return builders.build(folder, function, inputs, {}, kind, steps=8, **choices)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", builders.SAVERS)
def test_the_row_of_a_number_per_example(tmp_path, kind):
    """gather_nd(h, [[0, k0], [1, k1], ...]): the score of a given class, the last valid step."""
    def model(x, k):
        h = x * x
        batch = tf.range(tf.shape(x)[0])
        return tf.gather_nd(h, tf.stack([batch, k], 1))

    made = explained(tmp_path, model, {"x": builders.spec([None, 3]),
                                       "k": builders.spec([None], tf.int32)}, kind)
    assert made.plan.recipe.reason is None
    assert [point.name for point in made.plan.recipe.points] == ["x"]
    found = made.run(x=X, k=np.array([2, 1], np.int32))
    close(found["attributions/x"], [[0, 0, 1], [0, 9, 0]])


def test_the_count_of_a_ragged_mean_is_held(tmp_path):
    """mean over ragged rows: the count divides and is no place of attribution."""
    def model(ids):
        sparse = tf.sparse.from_dense(ids)
        ragged = tf.RaggedTensor.from_value_rowids(
            tf.gather(tf.constant(TABLE), sparse.values), sparse.indices[:, 0],
            tf.shape(ids, tf.int64)[0])
        return tf.reduce_sum(tf.reduce_mean(ragged, 1), 1) ** 2

    made = explained(tmp_path, model, {"ids": builders.spec([None, 3], tf.int64)})
    ids = np.array([[1, 2, 3], [3, 0, 0]])
    found = made.run(ids=ids)
    means = [TABLE[row[row > 0]].mean(0).sum() for row in ids]
    close(found["features/ids"], np.square(means))
    close(found["baseline_prediction"], [0, 0])
    assert any("the count or the weights of a mean" in held
               for held in made.plan.described()["held_constant"])


def test_the_weights_of_a_weighted_mean_are_held(tmp_path):
    """embedding_lookup_sparse with weights, mean: one point, whose total is the whole change."""
    def model(ids, w):
        sparse = tf.sparse.from_dense(ids)
        weights = tf.SparseTensor(sparse.indices, tf.gather_nd(w, sparse.indices),
                                  sparse.dense_shape)
        pooled = tf.nn.safe_embedding_lookup_sparse(tf.constant(TABLE), sparse, weights,
                                                    combiner="mean")
        return tf.reduce_sum(pooled, 1) ** 2

    made = explained(tmp_path, model, {"ids": builders.spec([None, 3], tf.int64),
                                       "w": builders.spec([None, 3])})
    ids, w = np.array([[1, 2, 3], [3, 1, 0]]), np.array([[1.0, 2, 1], [0.5, 3, 1]])
    found = made.run(ids=ids, w=w)
    pooled = [(w[row] * TABLE[ids[row]].sum(1))[ids[row] > 0].sum() / w[row][ids[row] > 0].sum()
              for row in range(2)]
    total = sum(value for key, value in found.items() if key.startswith("features/"))
    close(total, np.square(pooled))


def test_an_integer_mask_beside_tokens_is_held(tmp_path):
    """(1 - mask) * -1e9 in an attention: the mask is no quantity, and is said to be held."""
    def model(ids, mask):
        e = tf.gather(tf.constant(TABLE), ids)
        logits = tf.reduce_sum(e, -1) * 0 + (1 - tf.cast(mask, tf.float64)) * -1e9
        return tf.reduce_sum(e * tf.nn.softmax(logits)[..., None], [1, 2]) ** 2

    inputs = {"ids": builders.spec([None, 3], tf.int32), "mask": builders.spec([None, 3], tf.int32)}
    made = explained(tmp_path, model, inputs)
    assert [point.name for point in made.plan.recipe.points] == ["ids"]
    assert any("mask" in held for held in made.plan.described()["held_constant"])
    ids, mask = np.array([[1, 2, 3]], np.int32), np.array([[1, 1, 0]], np.int32)
    found = made.run(ids=ids, mask=mask)
    rows = TABLE[ids[0]].sum(1) * [0.5, 0.5, 0]
    close(found["attributions/ids"], [rows * rows.sum()])


def test_missing_values_as_nan(tmp_path):
    """where(is_nan(x), 2, x): the missing value has no derivative and gets zero, not NaN."""
    def model(x):
        return tf.reduce_sum(tf.where(tf.math.is_nan(x), tf.constant(0.0, tf.float64), x), 1) ** 2

    made = explained(tmp_path, model, {"x": builders.spec([None, 3])})
    found = made.run(x=np.array([[1.0, np.nan, 2.0]]))
    close(found["attributions/x"], [[3, 0, 6]])
    close(found["completeness_error"], [0])


def test_through_complex_numbers(tmp_path):
    """|rfft(x)|^2 at one frequency is a quadratic form: IG from zero is half of x * gradient."""
    def model(x):
        return tf.abs(tf.signal.rfft(tf.cast(x, tf.float32)))[:, 1] ** 2

    made = explained(tmp_path, model, {"x": builders.spec([None, 4], tf.float32)})
    x = np.array([[1.0, 2.0, -1.0, 0.5]], np.float32)
    found = made.run(x=x)
    turn = np.exp(-2j * np.pi * np.arange(4) / 4)
    expected = x * np.real(np.conj(x @ turn) * turn)
    np.testing.assert_allclose(found["attributions/x"], expected, rtol=1e-4, atol=1e-5)
    assert made.plan.recipe.points[0].tensor == made.plan.recipe.work.inputs["x"].name


def test_texts_of_other_lengths_that_run_alone(tmp_path):
    """Each example alone is narrower than its batch: its row is padded to the batch's width."""
    def model(text):
        words = tf.strings.split(text)
        width = words.bounding_shape(axis=1)  # reads the whole batch: no proof of rows
        ids = tf.strings.to_hash_bucket_fast(words.to_tensor(), 4)
        e = tf.gather(tf.constant(TABLE), ids)
        there = tf.sequence_mask(words.row_lengths(), width, tf.float64)
        return tf.reduce_sum(e * there[..., None], [1, 2]) ** 2

    made = explained(tmp_path, model, {"text": builders.spec([None], tf.string)})
    found = made.run(text=np.array([b"a", b"c d e f"], object))
    alone = made.run(text=np.array([b"a"], object))
    assert found["attributions/text"].shape == (2, 4)
    close(found["attributions/text"][0, :1], alone["attributions/text"][0])
    assert not found["attributions/text"][0, 1:].any()
    close(found["completeness_error"], [0, 0])


def test_a_sparse_matrix_times_a_table(tmp_path):
    """Its product is the point; the values of the sparse matrix are rows of no example."""
    def model(ids):
        where = tf.where(ids > 0)
        sparse = tf.sparse.reorder(tf.SparseTensor(
            tf.stack([where[:, 0], tf.gather_nd(ids, where)], 1),
            tf.ones(tf.shape(where)[:1], tf.float64), [tf.shape(ids, tf.int64)[0], 4]))
        return tf.reduce_sum(tf.sparse.sparse_dense_matmul(sparse, tf.constant(TABLE)), 1) ** 2

    made = explained(tmp_path, model, {"ids": builders.spec([None, 2], tf.int64)})
    ids = np.array([[1, 3], [2, 0]])
    found = made.run(ids=ids)
    close(found["features/ids"], [TABLE[[1, 3]].sum() ** 2, TABLE[2].sum() ** 2])


def test_distinct_ids_put_together_again(tmp_path):
    """unique, gather, gather back: the point lies where each example has its rows again."""
    def model(ids):
        distinct, index = tf.unique(tf.reshape(ids, [-1]))
        e = tf.gather(tf.gather(tf.constant(TABLE), distinct), index)
        return tf.reduce_sum(tf.reshape(e, [-1, 2, 2]), [1, 2]) ** 2

    made = explained(tmp_path, model, {"ids": builders.spec([None, 2], tf.int64)})
    ids = np.array([[1, 3], [3, 3]])
    found = made.run(ids=ids)
    sums = TABLE[ids].sum(2)
    point, = made.plan.recipe.points
    close(found[f"attributions/{point.name}"], sums * sums.sum(1, keepdims=True))


def test_what_examples_share_is_refused(tmp_path):
    """A layer on the distinct rows, before they are put together: no point has examples as rows."""
    def model(ids):
        distinct, index = tf.unique(tf.reshape(ids, [-1]))
        e = tf.nn.relu(tf.gather(tf.constant(TABLE), distinct))
        return tf.reduce_sum(tf.reshape(tf.gather(e, index), [-1, 2, 2], name="together"), [1, 2])

    inputs = {"ids": builders.spec([None, 2], tf.int64)}
    with pytest.raises(PointError, match="examples share"):
        explained(tmp_path / "auto", model, inputs)
    # The message says to name a point behind: that works, and the refused one is a miss.
    made = explained(tmp_path / "named", model, inputs, points=["together"])
    assert any("examples share" in miss for miss in made.plan.described()["misses"])
    ids = np.array([[1, 3], [3, 3]])
    close(made.run(ids=ids)["attributions/together"], np.maximum(TABLE[ids], 0))


def test_a_loop_that_makes_pictures(tmp_path):
    """map_fn whose elements are float (decode, resize): the stacked result is the point."""
    def model(raw):
        def decode(one):
            return tf.reshape(tf.io.decode_raw(one, tf.float64), [2, 2, 1]) * 2

        pictures = tf.map_fn(decode, raw, fn_output_signature=tf.TensorSpec([2, 2, 1], tf.float64))
        return tf.reduce_sum(pictures, [1, 2, 3]) ** 2

    made = explained(tmp_path, model, {"raw": builders.spec([None], tf.string)})
    values = np.array([[1.0, 2.0, 3.0, -1.0], [0.5, 0.5, 0.0, 1.0]])
    found = made.run(raw=np.array([row.tobytes() for row in values], object))
    doubled = (2 * values).reshape(2, 2, 2, 1)
    close(found["attributions/raw"], doubled * doubled.sum((1, 2, 3), keepdims=True))


def test_one_hots_that_are_put_together_as_integers(tmp_path):
    """Categories and a count in one integer matrix that becomes a float: each its own point."""
    kernel = np.random.default_rng(3).normal(size=(3 + 4 + 2, 2))

    def model(a, b, n):
        hots = [tf.one_hot(a, 3, dtype=tf.int32), tf.one_hot(b, 4, dtype=tf.int32)]
        joined = tf.concat([tf.concat(hots, 1), tf.stack([n, 2 * n], 1)], 1)
        return tf.reduce_sum(tf.cast(joined, tf.float64) @ kernel, 1) ** 2

    made = explained(tmp_path, model, {name: builders.spec([None], tf.int32) for name in "abn"})
    given = {"a": np.array([0, 2]), "b": np.array([3, 1]), "n": np.array([5, -1])}
    found = made.run(**{name: value.astype(np.int32) for name, value in given.items()})
    terms = {"a": kernel[given["a"]].sum(1), "b": kernel[3 + given["b"]].sum(1),
             "n": given["n"] * (kernel[7] + 2 * kernel[8]).sum()}
    whole = sum(terms.values())  # (sum of the terms)^2 from zero: each gets itself times the sum
    for name, term in terms.items():
        close(found[f"features/{name}"], term * whole)
    for name in "ab":
        assert found[f"tokens/{name}"].tolist() == given[name][:, None].tolist()
        close(found[f"attributions/{name}"], (terms[name] * whole)[:, None])
    close(found["prediction"], whole ** 2)
