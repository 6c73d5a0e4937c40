"""Signatures that take sparse tensors: TensorFlow 1's composites, TensorFlow 2's flattened ones.

The attributions equal closed forms, or those of the same model fed with dense ids; they are the
same by both loaders, and from records of each format.
"""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import ig_tf
from ig_tf.errors import RecordError, SignatureError
from tests import builders

v1 = tf.compat.v1
TABLE = np.random.default_rng(1).normal(size=(10, 4))
MATRIX = np.random.default_rng(2).normal(size=(6, 3))
# Rows of one, two and three values; a value that comes twice.
ROWS = ([4], [1, 7], [2, 2, 9])
STEPS = 30


def pooled(x, d, weights):
    """Mean of looked-up vectors and a dense input."""
    vectors = tf.nn.embedding_lookup_sparse(weights, x, None, combiner="mean")
    return tf.reduce_sum(tf.tanh(vectors), 1) + tf.reduce_sum(d ** 2, 1)


def safe(x, d, weights):
    """The same, and an example may have no value."""
    vectors = tf.nn.safe_embedding_lookup_sparse(weights, x, None, combiner="sum")
    return tf.reduce_sum(tf.tanh(vectors), 1) + tf.reduce_sum(d ** 2, 1)


def multiplied(x, d, weights):
    """A linear layer of sparse numbers, and something behind it."""
    hidden = tf.sparse.sparse_dense_matmul(x, weights)
    return tf.reduce_sum(tf.tanh(hidden), 1) + tf.reduce_sum(d ** 2, 1)


def densified(x, d, weights):
    dense = tf.reshape(tf.sparse.to_dense(x), [-1, 6])
    return tf.reduce_sum(tf.tanh(dense @ weights), 1) + tf.reduce_sum(d ** 2, 1)


def save_v1(path, function, weights, dtype, shape):
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.sparse_placeholder(dtype, shape, name="x")
        d = v1.placeholder(tf.float64, [None, 2], name="d")
        score = function(x, d, v1.get_variable("w", initializer=weights, use_resource=False))
        signature = v1.saved_model.predict_signature_def({"x": x, "d": d}, {"score": score})
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def save_v2(path, function, weights, dtype, shape):
    module = tf.Module()
    module.w = tf.Variable(weights)
    module.call = tf.function(
        lambda x, d: {"score": function(x, d, module.w)}, input_signature=[
            tf.SparseTensorSpec(shape, dtype), tf.TensorSpec([None, 2], tf.float64, "d")])
    tf.saved_model.save(module, str(path), signatures=module.call)


SAVERS = {"v1": save_v1, "v2": save_v2}
KEYS = {"v1": ("x_indices", "x_values", "x_dense_shape"), "v2": ("x", "x_1", "x_2")}
IDS = (tf.int64, [None, None])
NUMBERS = (tf.float64, [None, 6])
D = np.arange(6.0).reshape(3, 2) / 4


def parts(rows, width):
    """Indices, values and dense shape of rows of values at 0, 1, ..."""
    indices = [[row, place] for row, values in enumerate(rows) for place in range(len(values))]
    return (np.array(indices), np.array([value for values in rows for value in values]),
            np.array([len(rows), width]))


SPARSE_NUMBERS = (np.array([[0, 5], [1, 0], [1, 3], [2, 1], [2, 2]]),
                  np.array([0.5, -1.0, 2.0, 1.5, 0.25]), np.array([3, 6]))


def dense_numbers():
    found = np.zeros((3, 6))
    found[tuple(SPARSE_NUMBERS[0].T)] = SPARSE_NUMBERS[1]
    return found


@pytest.fixture(name="explained", params=SAVERS)
def fixture_explained(request, tmp_path):
    """A function from a model to (the plan, {loader: function of a sparse x and d})."""
    kind = request.param

    def make(function, weights, dtype, shape):
        SAVERS[kind](tmp_path / "model", function, weights, dtype, shape)
        plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=STEPS)
        ig_tf.save(plan, tmp_path / "out")
        return plan, {
            "v2": lambda x, d: by_v2(tmp_path / "out", KEYS[kind], x, d),
            "v1": lambda x, d: by_v1(tmp_path / "out", KEYS[kind], x, d)}, tmp_path / "out"

    return make


def by_v2(path, keys, x, d):
    return builders.open_v2(path)(**dict(zip(keys, x)), d=d)


def by_v1(path, keys, x, d):
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        found = v1.saved_model.load(session, ["serve"], str(path)).signature_def["attributions"]
        if "x_1" in found.inputs:
            names = [found.inputs[key].name for key in keys]
        else:
            sparse = found.inputs["x"].coo_sparse
            names = [sparse.indices_tensor_name, sparse.values_tensor_name,
                     sparse.dense_shape_tensor_name]
        feed = {**dict(zip(names, x)), found.inputs["d"].name: d}
        return session.run({key: info.name for key, info in found.outputs.items()}, feed)


def test_the_signature_is_that_of_the_original(explained):
    """`attributions` takes the composite as it was, and both parts of the plan say so."""
    plan, _, path = explained(pooled, TABLE, *IDS)
    model = ig_tf.load(path)
    signature = model.meta_graph.signature_def["serving_default"]
    proto = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    assert proto.meta_graphs[0].signature_def["attributions"].inputs == signature.inputs
    assert list(plan.described()["sparse_inputs"]) == ["x"]
    assert {name for point in plan.recipe.points for name in point.features} == {"x", "d"}


@pytest.mark.parametrize("loader", ["v1", "v2"])
@pytest.mark.parametrize("function, rows", [(pooled, ROWS), (safe, (*ROWS[:2], []))])
def test_pooled_vectors(explained, function, rows, loader):
    """F is a sum over the pooled vector's numbers: each is attributed its own tanh."""
    plan, run, _ = explained(function, TABLE, *IDS)
    x = parts(rows, 3)
    answer = run[loader](x, D)
    combine = np.mean if function is pooled else np.sum
    vectors = np.array([combine(TABLE[list(row)], axis=0) if row else np.zeros(4)
                        for row in rows])
    np.testing.assert_allclose(answer["prediction"], np.tanh(vectors).sum(1) + (D ** 2).sum(1))
    np.testing.assert_allclose(answer["features/d"], (D ** 2).sum(1), atol=1e-12)
    np.testing.assert_allclose(answer["features/x"], np.tanh(vectors).sum(1), rtol=1e-9,
                               atol=1e-12)


@pytest.mark.parametrize("loader", ["v1", "v2"])
@pytest.mark.parametrize("function", [multiplied, densified])
def test_sparse_numbers(explained, function, loader):
    _, run, _ = explained(function, MATRIX, *NUMBERS)
    answer = run[loader](SPARSE_NUMBERS, D)
    hidden = np.tanh(dense_numbers() @ MATRIX).sum(1)
    np.testing.assert_allclose(answer["prediction"], hidden + (D ** 2).sum(1))
    np.testing.assert_allclose(answer["features/x"], hidden, rtol=1e-8)


def test_rows_are_proved_where_they_can_be(explained):
    """A product with a matrix keeps examples apart: rows of (example, step) pairs run together."""
    plan, _, _ = explained(multiplied, MATRIX, *NUMBERS)
    assert plan.described()["chunking"]["mode"] == "rows of (example, step) pairs"


def test_a_batch_is_each_example_alone(explained):
    _, run, _ = explained(safe, TABLE, *IDS)
    together = run["v2"](parts(ROWS, 3), D)
    for row in range(3):
        alone = run["v2"](parts(ROWS[row:row + 1], 3), D[row:row + 1])
        for key in ("prediction", "features/x", "features/d"):
            np.testing.assert_allclose(alone[key][0], together[key][row], rtol=1e-12)


# Records --------------------------------------------------------------------------------------


def jsonl(path, key, values):
    path.write_text("".join(json.dumps({key: value, "d": d}) + "\n"
                            for value, d in zip(values, D.tolist())))
    return path


def test_records_of_each_format(explained, tmp_path):
    """Lists of values, values with their places, three arrays: the same answers."""
    _, run, path = explained(pooled, TABLE, *IDS)
    truth = run["v2"](parts(ROWS, 3), D)["prediction"]
    placed = [{"indices": list(range(len(row))), "values": list(row)} for row in ROWS]
    indices, values, shape = parts(ROWS, 3)
    np.savez(tmp_path / "x.npz", d=D, **{"x/indices": indices, "x/values": values,
                                         "x/dense_shape": shape})
    for file in (jsonl(tmp_path / "a.jsonl", "x", ROWS), jsonl(tmp_path / "b.jsonl", "x", placed),
                 tmp_path / "x.npz"):
        found = ig_tf.attribute(str(path), str(file))
        np.testing.assert_allclose([result.prediction for result in found], truth, rtol=1e-12)
        assert [list(result.inputs["x"]) for result in found] == [list(row) for row in ROWS]


def test_places_are_put_in_order(explained, tmp_path):
    """The dense shape is the signature's where it is known."""
    _, run, path = explained(multiplied, MATRIX, *NUMBERS)
    truth = run["v2"](SPARSE_NUMBERS, D)["prediction"]
    rows = [{"indices": [5], "values": [0.5]}, {"indices": [3, 0], "values": [2, -1]},
            {"indices": [[2], [1]], "values": [0.25, 1.5], "dense_shape": [6]}]
    found = ig_tf.attribute(str(path), str(jsonl(tmp_path / "a.jsonl", "x", rows)))
    np.testing.assert_allclose([result.prediction for result in found], truth, rtol=1e-12)
    assert found[1].inputs["x"] == {"indices": [[0], [3]], "values": [-1.0, 2.0]}


def test_check_runs_on_sparse_records(explained, tmp_path):
    _, _, path = explained(multiplied, MATRIX, *NUMBERS)
    rows = [{"indices": [1], "values": [0.5]}] * 2
    assert ig_tf.check(str(path), str(jsonl(tmp_path / "a.jsonl", "x", rows))).passed


@pytest.mark.parametrize("value, words", [
    ({"indices": [9], "values": [1.0]}, "index 9 does not fit"),
    ({"indices": [1, 2], "values": [1.0]}, "2 indices and 1 values"),
    ({"indices": [-1], "values": [1.0]}, "from 0"), ({"values": [1.0]}, "'values'"),
    ({"indices": [0], "values": ["red"]}, "is no float64"),
    ({"indices": [[0, 1]], "values": [1.0]}, "1 numbers"),
    ({"indices": [0.5], "values": [[1.0, 2.0]]}, "plain list"), (["red"], "is no float64")])
def test_records_that_do_not_fit(explained, tmp_path, value, words):
    _, _, path = explained(multiplied, MATRIX, *NUMBERS)
    with pytest.raises(RecordError) as caught:
        ig_tf.attribute(str(path), str(jsonl(tmp_path / "a.jsonl", "x", [value])))
    assert words in str(caught.value) and "'x'" in str(caught.value)


def test_arrays_that_are_no_sparse_tensor(explained, tmp_path):
    _, _, path = explained(multiplied, MATRIX, *NUMBERS)
    np.savez(tmp_path / "x.npz", d=D, **{"x/indices": [[7, 0]], "x/values": [1.0],
                                         "x/dense_shape": [3, 6]})
    with pytest.raises(RecordError, match="not one sparse tensor"):
        ig_tf.attribute(str(path), str(tmp_path / "x.npz"))


def test_a_ragged_input_is_refused(tmp_path):
    """Its rows cannot be taken apart yet: the message says so."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.ragged.placeholder(tf.float32, 1, [], name="x")
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": tf.reduce_sum(x, 1)})
        builder = v1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    with pytest.raises(SignatureError, match="composite tensor"):
        ig_tf.instrument(ig_tf.load(tmp_path / "model"))
