"""Per id, through the combiner: each id of a bag gets its own share of the pooled attribution.

The models are F = (direction . pooled)^2, of which IG from zero is known in closed form: with
pooled = sum of c_i v_i, id i gets c_i (direction . v_i) (direction . pooled), whatever the rule.
"""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf

v1 = tf.compat.v1
WORDS = ["a", "b", "c", "d", "e"]
TABLE = np.arange(1.0, 16.0).reshape(5, 3) * [[1, -1, 0.5]]
DIRECTION = np.array([0.3, 1.0, -0.7])
SHARE = {"sum": lambda n: 1, "mean": lambda n: 1 / n, "sqrtn": lambda n: n ** -0.5}
TEXTS = [["a", "b"], ["b"], [], ["c", "c", "d"], ["nothing"], ["e", "unknown", "a", "b"]]


def saved(folder, combiner, lookup="safe", weights=False):
    """Words in a [batch, 4] string matrix, "" where there is none; unknown words have id -1."""
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None, 4], name="words")
        with tf.device("/cpu:0"):  # a table with a device is looked up through Unique, as 1.x did
            table = v1.get_variable("table", initializer=tf.constant(TABLE, tf.float32),
                                    use_resource=lookup != "ref")
        known = v1.tables_initializer
        vocabulary = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
            WORDS, tf.range(5, dtype=tf.int64)), -1)
        sparse = tf.sparse.from_dense(words)
        ids = tf.SparseTensor(sparse.indices, vocabulary.lookup(sparse.values),
                              sparse.dense_shape)
        weighting = None
        if weights:
            weighting = tf.SparseTensor(
                sparse.indices, tf.ones_like(sparse.values, dtype=tf.float32) * 2,
                sparse.dense_shape)
        pooled = v1.nn.safe_embedding_lookup_sparse(table, ids, weighting, combiner=combiner)
        score = tf.linalg.matvec(pooled, tf.constant(DIRECTION, tf.float32)) ** 2
        session.run([v1.global_variables_initializer(), known()])
        v1.saved_model.simple_save(session, str(folder), {"words": words}, {"score": score},
                                   legacy_init_op=known())
    return folder


def matrix(texts):
    return tf.constant([text + [""] * (4 - len(text)) for text in texts])


def answers(folder, texts=TEXTS):
    signature = tf.saved_model.load(str(folder)).signatures["attributions"]
    return {key: value.numpy() for key, value in signature(words=matrix(texts)).items()}


def expected(text, combiner):
    """Attribution of each word of a text: unknown ones have no vector, and count for nothing."""
    vectors = np.array([TABLE[WORDS.index(word)] if word in WORDS else np.zeros(3)
                        for word in text]).reshape(-1, 3)
    known = sum(word in WORDS for word in text)
    along = (SHARE[combiner](known) if known else 0) * vectors @ DIRECTION
    return along * along.sum()


@pytest.mark.parametrize("lookup", ["safe", "ref"])
@pytest.mark.parametrize("combiner", sorted(SHARE))
def test_each_word_gets_its_share(tmp_path, combiner, lookup):
    """Repeated, unknown and missing words, words that two examples share: by closed form."""
    model = saved(tmp_path / "m", combiner, lookup)
    plan = ig_tf.instrument(ig_tf.load(model), steps=4)
    point, = plan.described()["points"]
    assert (point["kind"], point["combiner"]) == ("tokens", combiner)
    ig_tf.save(plan, tmp_path / "out")
    found = answers(tmp_path / "out")
    assert found["attributions/words"].shape == (6, 4)  # the longest has four words
    largest = np.abs(found["attributions/words"]).max()
    for row, text in enumerate(TEXTS):
        scores, count = expected(text, combiner), len(text)
        assert found["length/words"][row] == count
        assert found["tokens/words"][row].tolist() == [
            word.encode() for word in text] + [b""] * (4 - count)
        np.testing.assert_allclose(found["attributions/words"][row, :count], scores,
                                   atol=1e-6 * largest)
        assert not found["attributions/words"][row, count:].any()
    np.testing.assert_allclose(found["features/words"], found["attributions/words"].sum(1),
                               atol=1e-6 * largest)
    np.testing.assert_allclose(found["completeness_error"], 0, atol=1e-5 * largest)


def test_the_same_word_twice_gets_the_same_twice(tmp_path):
    """Case E7: ids (1, 1, 2): separate, equal attributions."""
    ig_tf.save(ig_tf.instrument(ig_tf.load(saved(tmp_path / "m", "sum"))), tmp_path / "out")
    found = answers(tmp_path / "out", [["b", "b", "c"]])["attributions/words"][0]
    assert found[0] == found[1] != found[2]


def test_company_in_the_batch_changes_nothing(tmp_path):
    """The `Unique` trap: alone, permuted, or beside others with the same words."""
    ig_tf.save(ig_tf.instrument(ig_tf.load(saved(tmp_path / "m", "mean"))), tmp_path / "out")
    together = answers(tmp_path / "out")["attributions/words"]
    largest = np.abs(together).max()
    order = [3, 0, 5, 1, 4, 2]
    permuted = answers(tmp_path / "out", [TEXTS[place] for place in order])["attributions/words"]
    np.testing.assert_allclose(permuted, together[order], atol=1e-6 * largest)
    for row, text in enumerate(TEXTS):
        alone = answers(tmp_path / "out", [text])["attributions/words"][0]
        np.testing.assert_allclose(alone, together[row, :len(alone)], atol=1e-6 * largest)


def test_weighted_ids_get_their_share(tmp_path):
    """A weight of 2 for every word doubles the pooled vector of a sum."""
    ig_tf.save(ig_tf.instrument(ig_tf.load(saved(tmp_path / "w", "sum", weights=True))),
               tmp_path / "out")
    found = answers(tmp_path / "out")
    for row, text in enumerate(TEXTS):
        np.testing.assert_allclose(
            found["attributions/words"][row, :len(text)], 4 * expected(text, "sum"),
            atol=1e-5 * 4 * max(1, np.abs(expected(text, "sum")).max(initial=0)))
        assert found["length/words"][row] == len(text)


def test_what_cannot_be_given_back_stays_pooled(tmp_path):
    """Baselines that are not zero: one attribution per element of the vector."""
    model = ig_tf.load(saved(tmp_path / "m", "sum"))
    plan = ig_tf.instrument(model, baseline=0.5)
    assert [point.kind for point in plan.recipe.points] == ["pooled"]
    ig_tf.save(plan, tmp_path / "out")
    found = answers(tmp_path / "out", [["a", "c"]])
    assert found["attributions/words"].shape == (1, 3)
    np.testing.assert_allclose(found["completeness_error"], 0,
                               atol=1e-5 * np.abs(found["attributions/words"]).max())


def test_empty_examples_at_the_end_that_have_no_row(tmp_path):
    """embedding_lookup_sparse without filling gives them no vector: an error, not a shift."""
    model = saved_unfilled(tmp_path / "m")
    ig_tf.save(ig_tf.instrument(ig_tf.load(model)), tmp_path / "out")
    found = answers(tmp_path / "out", [["a"], [], ["b", "c"]])
    for row, text in enumerate([["a"], [], ["b", "c"]]):
        np.testing.assert_allclose(found["attributions/words"][row, :len(text)],
                                   expected(text, "sum"), rtol=1e-5, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="no row of their own"):
        answers(tmp_path / "out", [["a"], []])


def saved_unfilled(folder):
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None, 4], name="words")
        bias = tf.zeros([tf.shape(words)[0], 3])
        table = v1.get_variable("table", initializer=tf.constant(TABLE, tf.float32))
        sparse = tf.sparse.from_dense(words)
        ids = sparse.with_values(tf.argmax(tf.equal(sparse.values[:, None], WORDS), 1))
        pooled = v1.nn.embedding_lookup_sparse(table, ids, None, combiner="sum")
        score = tf.linalg.matvec(pooled + bias, tf.constant(DIRECTION, tf.float32)) ** 2
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"words": words}, {"score": score})
    return folder
