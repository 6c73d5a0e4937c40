"""The recorder of feature columns: in this TensorFlow, and in the real 1.15.5.

What each entry point leaves in a graph, in either version, is built by tests/old/, in processes of
their own: graphs are compared byte for byte, with the recorder and without.
"""

import concurrent.futures
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import types
import warnings

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import ig_tf
import old_tensorflow
from ig_tf.points import feature_columns
from ig_tf.points.feature_columns import COLLECTION, record_feature_columns, records

v1 = tf.compat.v1
fc = tf.feature_column
ENTRY_POINTS = old_tensorflow.PROGRAMS / "every_entry_point.py"
FAILING = old_tensorflow.PROGRAMS / "failing_model.py"
ESTIMATOR = old_tensorflow.PROGRAMS / "recorded_estimator.py"
SOURCE = pathlib.Path(feature_columns.__file__)
# TensorFlow may multiply with the reciprocal instead: rounded twice, and what is expected once.
QUOTIENT = 3 * 2.0**-24
embedding_lookup = v1.nn.embedding_lookup  # a reference of this module's own


@pytest.fixture(autouse=True)
def fixture_nothing_left():
    """The recorder warns where it fails; and no test leaves it on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="ig_tf could not record")
        yield
    assert not feature_columns._state.users
    assert not feature_columns._state.layer_modules
    assert v1.nn.embedding_lookup.__code__.co_filename != feature_columns.__file__


def run_here(program, *arguments):
    """Standard output of a program in this TensorFlow; as old_tensorflow.run."""
    environment = {**os.environ, "PYTHONPATH": str(old_tensorflow.REPO)}
    start = [str(program)] if isinstance(program, pathlib.Path) else ["-c", program]
    done = subprocess.run([sys.executable, *start, *map(str, arguments)], env=environment,
                          capture_output=True, text=True, timeout=300, check=False)
    assert not done.returncode, done.stderr[-8000:]
    return done.stdout


def in_versions(*names, only_in_1=(), both=((),)):
    """Parametrizes a test by `run` and these values, some of which TensorFlow 2 does not have."""
    cases = [pytest.param(run, *values, id="-".join([version, *values[:1]]))
             for version, run in (("1.15", old_tensorflow.run), ("here", run_here))
             for values in (*both, *(only_in_1 if version == "1.15" else ()))]
    return pytest.mark.parametrize(["run", *names], cases)


VERSIONS = in_versions()


# --- each entry point, in both versions ----------------------------------------------------------


@functools.lru_cache(maxsize=None)
def every_entry_point(run, mode):
    return json.loads(run(ENTRY_POINTS, mode))["ways"]


@VERSIONS
def test_graphs_are_the_same_byte_for_byte(run):
    plain, recorded = (every_entry_point(run, mode) for mode in ("plain", "recorded"))
    assert plain.keys() == recorded.keys() and len(plain) >= 10
    for way, made in plain.items():
        assert made["nodes"] > 100, way
        assert not made["items"], way
        assert recorded[way]["items"], way
        assert recorded[way]["graph"] == made["graph"], way


# column -> (kind, features, name of the table beneath the scope, combiner)
DENSE_COLUMNS = {
    "age": ("NumericColumn", ["age"], None, None),
    "age_bucketized": ("BucketizedColumn", ["age"], None, None),
    "age_bucketized_X_edu_X_job_embedding": (
        "EmbeddingColumn", ["age", "edu", "job"],
        "age_bucketized_X_edu_X_job_embedding/embedding_weights", "sum"),
    "edu_indicator": ("IndicatorColumn", ["edu"], None, None),
    "job_embedding": ("EmbeddingColumn", ["job"], "job_embedding/embedding_weights", "mean"),
    "size": ("NumericColumn", ["size"], None, None),
    "words_weighted_by_counts_embedding": (
        "EmbeddingColumn", ["counts", "words"],
        "words_weighted_by_counts_embedding/embedding_weights", "sqrtn"),
}
SHARED = {f"{place}_shared_embedding": ("SharedEmbeddingColumn", [place], None, "mean")
          for place in ("home", "away")}
WIDE_COLUMNS = {  # of each the table is "NAME/weights"; a combiner where ids are looked up
    "age": ("NumericColumn", ["age"], False),
    "age_bucketized": ("BucketizedColumn", ["age"], True),
    "age_bucketized_X_edu": ("CrossedColumn", ["age", "edu"], True),
    "edu_embedding": ("EmbeddingColumn", ["edu"], False),
    "job": ("VocabularyListCategoricalColumn", ["job"], True),
    "words_weighted_by_counts": ("WeightedCategoricalColumn", ["counts", "words"], True),
}


@in_versions("way", "call", "scope", both=[
    ("input_layer", "input_layer", "input_layer"),
    ("input_layer_own_arguments", "input_layer", "input_layer"),
    ("input_layer_shared", "input_layer", "input_layer"),
    ("dense_features", "DenseFeatures", "dense_features"),
    ("dense_features_of_v2", "DenseFeatures", "dense_features")])
def test_dense_columns(run, way, call, scope):
    found = every_entry_point(run, "recorded")[way]
    shared = way in ("input_layer_shared", "dense_features")
    expected = {**DENSE_COLUMNS, **(SHARED if shared else {})}
    assert [one["column"] for one in found["records"]] == sorted(expected)
    for one in found["records"]:
        kind, features, table, combiner = expected[one["column"]]
        assert one["version"] == 1 and one["role"] == "dense" and one["call"] == call
        assert (one["kind"], one["features"], one["combiner"]) == (kind, features, combiner)
        assert one["tensor"].startswith(f"{scope}/") and "/Reshape" in one["tensor"]
        if kind != "SharedEmbeddingColumn":
            assert one["table"] == (table and f"{scope}/{table}")
    tables = {one["table"] for one in found["records"] if one["column"] in SHARED}
    assert tables == ({"input_layer/away_home_shared_embedding/embedding_weights"}
                      if way == "input_layer_shared" else
                      {"away_home_shared_embedding"} if shared else set())


@VERSIONS
def test_towers_share_their_tables(run):
    found = every_entry_point(run, "recorded")["input_layer_twice"]["records"]
    columns = [one["column"] for one in found]
    assert columns == 4 * sorted(DENSE_COLUMNS)
    assert len({one["tensor"] for one in found}) == len(found)
    tables = [one["table"] for one in found if one["column"] == "job_embedding"]
    # Partitioned tables by the name that the parts have in common.
    assert tables == 2 * ["net/input_layer/job_embedding/embedding_weights"] + 2 * [
        "feature_column_input_layer/job_embedding/embedding_weights"]


@in_versions("way", "call", "combiner", "scope", both=[
    ("linear_model", "linear_model", "mean", "linear_model/"),
    ("linear_model_in_parts", "linear_model", "sum", "wide/linear_model/")],
    only_in_1=[("linear_model_of_layers", "LinearModel", "sqrtn", "linear_model/")])
def test_linear_columns(run, way, call, combiner, scope):
    found = every_entry_point(run, "recorded")[way]["records"]
    assert [one["column"] for one in found] == sorted(WIDE_COLUMNS)
    for one in found:
        kind, features, looks_up = WIDE_COLUMNS[one["column"]]
        assert one["role"] == "weights" and one["call"] == call
        assert (one["kind"], one["features"]) == (kind, features)
        assert one["combiner"] == (combiner if looks_up else None)
        assert one["table"] == f"{scope}{one['column']}/weights"


@in_versions("way", "call", both=[("sequence_features", "SequenceFeatures")],
             only_in_1=[("sequence_input_layer", "sequence_input_layer")])
def test_sequence_columns(run, way, call):
    found = every_entry_point(run, "recorded")[way]["records"]
    expected = [("counts", "SequenceNumericColumn", None, None),
                ("words_embedding", "EmbeddingColumn", f"{way}/words_embedding/embedding_weights",
                 "mean")]
    if way == "sequence_input_layer":
        expected.append(("words_indicator", "IndicatorColumn", None, None))
    assert [(one["column"], one["kind"], one["table"], one["combiner"]) for one in found
            ] == expected
    assert {(one["role"], one["call"]) for one in found} == {("sequence", call)}


@VERSIONS
def test_plain_lookups(run):
    found = every_entry_point(run, "recorded")["lookups"]["records"]
    assert [(one["column"], one["table"], one["call"], one["combiner"]) for one in found] == [
        ("whole", "whole", "embedding_lookup", None),
        ("old", "old", "embedding_lookup", None),
        ("parts", "parts", "embedding_lookup_sparse", "sum"),
        ("whole", "whole", "safe_embedding_lookup_sparse", "mean"),
        ("old", "old", "embedding_lookup", None),
        ("table", None, "embedding_lookup", None)]
    assert {(one["kind"], one["role"], tuple(one["features"])) for one in found} == {
        ("embedding_lookup", "lookup", ())}


@VERSIONS
def test_everything_is_as_before_when_a_model_fails(run):
    assert run(FAILING).split("\n")[-2] == "as before"


@VERSIONS
def test_the_file_stands_alone(run, tmp_path):
    """Copied to any place, by any name, with nothing of ig_tf beside it."""
    shutil.copy(SOURCE, tmp_path / "copied.py")
    program = """
import sys
sys.path = [sys.argv[1]] + [path for path in sys.path if path != sys.argv[2]]
import copied
assert 'tensorflow' not in sys.modules
import tensorflow as tf
copied.enable()
age = tf.feature_column.numeric_column('age')
with tf.Graph().as_default() as graph:
    given = {'age': tf.compat.v1.placeholder(tf.float32, [None, 1])}
    tf.compat.v1.feature_column.input_layer(given, [age])
print([one['column'] for one in copied.records(graph)])
assert not [name for name in sys.modules if name.split('.')[0] == 'ig_tf'], 'ig_tf imported'
"""
    assert run(program, tmp_path, old_tensorflow.REPO).split("\n")[-2] == "['age']"


@VERSIONS
def test_the_package_leads_to_it(run):
    program = """
import sys, ig_tf
loaded = set(sys.modules)
assert ig_tf.record_feature_columns.__module__ == 'ig_tf.points.feature_columns'
with_tensorflow = {name.split('.')[0] for name in set(sys.modules)}
assert not {'tensorflow', 'numpy'} & with_tensorflow, with_tensorflow
import tensorflow as tf
before = tf.nn.embedding_lookup, tf.compat.v1.nn.embedding_lookup
ig_tf.enable_feature_column_recording()
assert tf.compat.v1.nn.embedding_lookup is not before[1]
ig_tf.disable_feature_column_recording()
assert (tf.nn.embedding_lookup, tf.compat.v1.nn.embedding_lookup) == before
print('done')
"""
    assert run(program).split("\n")[-2] == "done"


# --- values --------------------------------------------------------------------------------------

GIVEN = {
    "age": np.array([[20.0], [35.0], [70.0]], np.float32),
    "job": np.array([["a"], ["c"], ["?"]]),
    "words": np.array([["x", "y"], ["y", ""], ["x", "x"]]),
}


def dense_inputs():
    return {key: tf.constant(value) for key, value in GIVEN.items()}


def some_columns():
    age = fc.numeric_column("age", normalizer_fn=lambda years: years / 10.0)
    job = fc.categorical_column_with_vocabulary_list("job", ["a", "b", "c"])
    words = fc.categorical_column_with_vocabulary_list("words", ["x", "y"])
    return [age, fc.bucketized_column(fc.numeric_column("age"), [30.0, 60.0]),
            fc.embedding_column(words, 3, combiner="sum"), fc.indicator_column(job)]


def evaluated(graph, fetches):
    with v1.Session(graph=graph) as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        return session.run(fetches)


def by_column(graph):
    return {one["column"]: one for one in records(graph)}


def test_tensors_have_the_columns_values():
    with tf.Graph().as_default() as graph, record_feature_columns():
        layer = v1.feature_column.input_layer(dense_inputs(), some_columns())
        table = v1.global_variables()[0]
    found = by_column(graph)
    values, whole, table = evaluated(
        graph, [{name: one["tensor"] for name, one in found.items()}, layer, table])
    np.testing.assert_array_equal(
        whole, np.concatenate([values[name] for name in sorted(values)], 1))
    # Every number by hand. Sums of two are rounded once, so equal.
    np.testing.assert_allclose(values["age"], [[2.0], [3.5], [7.0]], rtol=QUOTIENT)
    np.testing.assert_array_equal(values["age_bucketized"], np.eye(3))
    np.testing.assert_array_equal(values["job_indicator"], [[1, 0, 0], [0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(
        values["words_embedding"], [table[0] + table[1], table[1], table[0] + table[0]])
    assert found["words_embedding"]["table"] == "input_layer/words_embedding/embedding_weights"


def test_weights_are_the_terms_of_the_sum():
    with tf.Graph().as_default() as graph, record_feature_columns():
        columns = [some_columns()[1], fc.numeric_column("age"),
                   fc.categorical_column_with_vocabulary_list("words", ["x", "y"])]
        variables = {}
        logits = v1.feature_column.linear_model(dense_inputs(), columns, cols_to_vars=variables)
        drawn = np.random.RandomState(1)
        assigned = [one.assign(drawn.standard_normal(one.shape).astype(np.float32))
                    for one in v1.global_variables()]
        by_name = {one.op.name: one for one in v1.global_variables()}
        bias = variables["bias"][0]
    found = by_column(graph)
    with v1.Session(graph=graph) as session:
        session.run(v1.tables_initializer())
        session.run(assigned)
        terms, logits, bias, tables = session.run(
            [{name: one["tensor"] for name, one in found.items()}, logits, bias,
             {name: by_name[one["table"]] for name, one in found.items()}])
    # Four float32 terms of size up to 70 |weight|: a few units in the last place of 200.
    np.testing.assert_allclose(sum(terms.values()) + bias, logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(terms["age"], GIVEN["age"] @ tables["age"], rtol=QUOTIENT)
    np.testing.assert_array_equal(terms["age_bucketized"], tables["age_bucketized"])
    x, y = tables["words"]
    np.testing.assert_array_equal(terms["words"], [x + y, y, x + x])


def test_sequence_tensors_have_the_columns_values():
    layers = pytest.importorskip("tf_keras", reason="feature columns in Keras need tf_keras")
    words = fc.sequence_categorical_column_with_vocabulary_list("words", ["x", "y"])
    with tf.Graph().as_default() as graph, record_feature_columns():
        given = {"words": tf.sparse.from_dense(GIVEN["words"])}
        sequence, _ = layers.experimental.SequenceFeatures(
            [fc.embedding_column(words, 3), fc.indicator_column(words)])(given)
    found = by_column(graph)
    values, whole = evaluated(graph, [{n: one["tensor"] for n, one in found.items()}, sequence])
    assert values["words_embedding"].shape == (3, 2, 3)
    np.testing.assert_array_equal(
        whole, np.concatenate([values["words_embedding"], values["words_indicator"]], -1))


# --- lookups, and whose they are -----------------------------------------------------------------


def recorded(build):
    """The records of a graph, and what built it returned."""
    with tf.Graph().as_default() as graph, record_feature_columns():
        result = build()
    return records(graph), result


def test_lookups_of_each_kind_of_table():
    def build():
        ids = tf.constant([1, 0])
        variable = v1.get_variable("scope/variable", [4, 2])
        apart = [v1.get_variable(f"apart_{i}", [4, 2]) for i in range(2)]
        return [
            tf.nn.embedding_lookup(variable, ids),
            v1.nn.embedding_lookup(apart, ids),
            tf.nn.embedding_lookup(variable + 1.0, ids),
            tf.nn.embedding_lookup(np.eye(2, dtype=np.float32), ids, name="plain"),
            tf.nn.embedding_lookup(variable, tf.ragged.constant([[1], [0, 1]])).flat_values,
            tf.nn.embedding_lookup_sparse(variable, tf.sparse.from_dense([[1, 2]]), None),
            tf.nn.safe_embedding_lookup_sparse(variable, tf.sparse.from_dense([[1, 2]]),
                                               combiner="sqrtn")]

    found, tensors = recorded(build)
    assert [one["tensor"] for one in found] == [tensor.name for tensor in tensors]
    assert [(one["column"], one["table"], one["combiner"]) for one in found] == [
        ("scope/variable", "scope/variable", None),
        ("apart_0", None, None),  # two variables: no one name
        (tensors[2].op.inputs[0].name and found[2]["column"], None, None),
        (tensors[3].op.name, None, None),
        ("scope/variable", "scope/variable", None),
        ("scope/variable", "scope/variable", "mean"),
        ("scope/variable", "scope/variable", "sqrtn")]


def test_a_function_imported_by_name_is_recorded():
    def build():
        from tensorflow.compat.v1.nn import embedding_lookup as imported_inside
        kept.append(imported_inside)
        table = v1.get_variable("table", [4, 2])
        return [embedding_lookup(table, [1]), imported_inside(table, [2])]

    kept, original = [], embedding_lookup
    found, tensors = recorded(build)
    assert [one["tensor"] for one in found] == [tensor.name for tensor in tensors]
    assert embedding_lookup is original is v1.nn.embedding_lookup
    # What was imported inside is a wrapper for ever, but does nothing outside.
    assert kept[0] is not original
    with tf.Graph().as_default() as graph:
        kept[0](v1.get_variable("table", [4, 2]), [1])
    assert records(graph) == []


def test_a_column_class_of_the_users_own_may_look_up_what_it_likes():
    """Its lookup is the column's, not one more; and the class may be made at any time."""

    def build():
        from tensorflow.python.feature_column import feature_column_v2

        class Doubled(feature_column_v2.DenseColumn, feature_column_v2.fc_old._DenseColumn):
            _is_v2_column = True
            name = "doubled"
            parents = ["id"]
            parse_example_spec = _parse_example_spec = {"id": tf.io.FixedLenFeature([1], tf.int64)}
            variable_shape = _variable_shape = tf.TensorShape([2])

            def transform_feature(self, cache, state_manager):
                return cache.get("id", state_manager)

            def get_dense_tensor(self, cache, state_manager):
                raise NotImplementedError

            def _transform_feature(self, inputs):
                return inputs.get("id")

            def _get_dense_tensor(self, inputs, weight_collections=None, trainable=None):
                table = v1.get_variable("rows", [4, 2])
                return 2.0 * tf.nn.embedding_lookup(table, inputs.get(self)[:, 0])

            _get_config = _from_config = None

        Doubled.__hash__ = object.__hash__
        v1.feature_column.input_layer({"id": tf.constant([[1], [2]])}, [Doubled()])
        return tf.nn.embedding_lookup(v1.get_variable("mine", [4, 2]), [1])

    found, _ = recorded(build)
    assert [(one["column"], one["kind"], one["features"], one["table"]) for one in found] == [
        ("doubled", "Doubled", ["id"], "input_layer/doubled/rows"),
        ("mine", "embedding_lookup", [], "mine")]


def test_the_table_of_a_failed_model_is_not_anothers():
    """A lookup that led to nothing says nothing of the next column of that name."""
    job = fc.categorical_column_with_hash_bucket("job", 4)
    with record_feature_columns():
        with tf.Graph().as_default(), pytest.raises(ZeroDivisionError):
            last = fc.numeric_column("years", normalizer_fn=lambda years: 1 / 0)
            v1.feature_column.input_layer(
                {"job": tf.constant([["a"]]), "years": tf.constant([[1.0]])},
                [fc.embedding_column(job, 2), last])
        with tf.Graph().as_default() as graph:
            v1.feature_column.input_layer(
                {"job_embedding": tf.constant([[1.0]])}, [fc.numeric_column("job_embedding")])
    assert [(one["column"], one["table"], one["combiner"]) for one in records(graph)] == [
        ("job_embedding", None, None)]


def test_eager_tensors_are_left_alone():
    with record_feature_columns():
        rows = tf.nn.embedding_lookup(tf.Variable([[1.0], [2.0]], name="table"), [1, 0])

        @tf.function
        def traced(ids):
            return tf.nn.embedding_lookup(tf.constant([[1.0], [2.0]]), ids)

        np.testing.assert_array_equal(traced(tf.constant([1, 0])), rows)
    np.testing.assert_array_equal(rows, [[2.0], [1.0]])


def test_keras_layers_in_functions_are_left_alone():
    keras = pytest.importorskip("tf_keras", reason="feature columns in Keras need tf_keras")
    with record_feature_columns():
        layer = keras.layers.DenseFeatures([fc.numeric_column("age")])
        np.testing.assert_array_equal(layer({"age": tf.constant([[4.0]])}), [[4.0]])
        given = keras.Input([1], name="age")
        model = keras.Model(given, layer({"age": given}))
        np.testing.assert_array_equal(model(tf.constant([[5.0]])), [[5.0]])


# --- on and off ----------------------------------------------------------------------------------


def look_up(name="table"):
    with tf.Graph().as_default() as graph:
        v1.nn.embedding_lookup(v1.get_variable(name, [4, 2]), [1])
    return len(records(graph))


def test_blocks_nest():
    original = v1.nn.embedding_lookup
    with record_feature_columns():
        with record_feature_columns():
            assert look_up() == 1
        assert look_up() == 1
        with pytest.raises(KeyError), record_feature_columns():
            raise KeyError
        assert look_up() == 1
    assert look_up() == 0
    assert v1.nn.embedding_lookup is original


def test_enable_and_disable():
    feature_columns.disable()  # nothing to end
    feature_columns.enable()
    try:
        feature_columns.enable()  # twice is as once
        assert look_up() == 1
        with record_feature_columns():
            feature_columns.disable()
            assert look_up() == 1  # the block goes on
        assert look_up() == 0
        with record_feature_columns():
            feature_columns.enable()
        assert look_up() == 1  # and enable() outlives a block
    finally:
        feature_columns.disable()
    feature_columns.disable()
    assert look_up() == 0


def test_a_decorated_model_function():
    assert record_feature_columns()(look_up)() == 1
    assert look_up() == 0


def columns_of_thread(number):
    columns = [fc.numeric_column(f"age{number}")] + [
        fc.embedding_column(fc.categorical_column_with_identity(f"id{number}_{i}", 4), 2)
        for i in range(5)]
    given = {f"age{number}": tf.constant([[1.0]])}
    given.update({f"id{number}_{i}": tf.constant([[i % 4]], tf.int64) for i in range(5)})
    return given, columns


def test_threads_record_each_in_its_own_graph():
    threads, rounds = 6, 4
    together = threading.Barrier(threads)

    def build(number):
        found = []
        for _ in range(rounds):
            together.wait(60)
            with tf.Graph().as_default() as graph, record_feature_columns():
                v1.feature_column.input_layer(*columns_of_thread(number))
                tf.nn.embedding_lookup(v1.get_variable(f"table{number}", [4, 2]), [1])
            found.append(records(graph))
        return found

    original = v1.nn.embedding_lookup
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(build, range(threads)))
    for number in range(threads):
        expected = [(f"age{number}", None)] + [
            (f"id{number}_{i}_embedding", f"input_layer/id{number}_{i}_embedding/embedding_weights")
            for i in range(5)] + [(f"table{number}", f"table{number}")]
        for one in found[number]:
            assert [(r["column"], r["table"]) for r in one] == expected
    assert v1.nn.embedding_lookup is original


# --- when something is not as it should be -------------------------------------------------------


@pytest.mark.parametrize("module, name", [
    (feature_columns._V1_COLUMNS, "_verify_static_batch_size_equality"),
    (feature_columns._V2_COLUMNS, "_create_weighted_sum"),
    (feature_columns._V2_COLUMNS, "FeatureTransformationCache"),
    (feature_columns._LOOKUPS, "safe_embedding_lookup_sparse")])
def test_a_tensorflow_without_what_is_wrapped_is_refused(monkeypatch, module, name):
    original = v1.nn.embedding_lookup
    monkeypatch.delattr(sys.modules[module], name)
    with pytest.raises(RuntimeError, match=f"no .*{name}.*Nothing was changed"):
        feature_columns.enable()
    assert v1.nn.embedding_lookup is original
    feature_columns.disable()


def test_a_module_that_cannot_be_wrapped_undoes_the_rest(monkeypatch):
    class Rigid(types.ModuleType):
        def __setattr__(self, name, value):
            raise TypeError("as it is")

    original = v1.nn.embedding_lookup
    rigid = Rigid("rigid")
    vars(rigid)["embedding_lookup"] = original
    monkeypatch.setitem(sys.modules, "rigid", rigid)
    with pytest.raises(TypeError, match="as it is"):
        feature_columns.enable()
    assert v1.nn.embedding_lookup is original


def test_lazy_modules_stay_unloaded(monkeypatch):
    class Lazy(types.ModuleType):
        @property
        def __dict__(self):
            raise AssertionError("asked what it holds")

    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))
    monkeypatch.setitem(sys.modules, "none", None)
    with record_feature_columns():
        assert look_up() == 1


def test_an_error_of_the_recorder_is_a_warning(monkeypatch):
    def fail(column):
        raise OSError("unforeseen")

    monkeypatch.setattr(feature_columns, "_features", fail)
    with tf.Graph().as_default() as graph, record_feature_columns():
        with pytest.warns(RuntimeWarning, match="could not record .*OSError: unforeseen"):
            layer = v1.feature_column.input_layer(dense_inputs(), some_columns())
    assert layer.shape[1] == 10 and records(graph) == []


# --- the record in files -------------------------------------------------------------------------

RECORD = {"version": 1, "column": "c", "kind": "k", "role": "dense", "tensor": "t:0",
          "features": ["f"], "table": None, "combiner": None, "call": "input_layer"}


@pytest.mark.parametrize("junk", [
    "", "{", "null", "1", "[]", b"\xff\xfe", None, 7, object(), json.dumps({"version": 1}),
    json.dumps({**RECORD, "version": 2}), json.dumps({**RECORD, "features": "f"}),
    json.dumps({**RECORD, "features": [1]}), json.dumps({**RECORD, "tensor": None}),
    "[" * 100_000])
def test_junk_is_ignored(junk):
    good = json.dumps(RECORD)
    assert records([junk, good, junk]) == [RECORD]
    graph = tf.Graph()
    for item in (junk, good.encode()):
        graph.add_to_collection(COLLECTION, item)
    assert records(graph) == [RECORD]


def test_a_record_is_read_once():
    other = {**RECORD, "column": "d"}
    items = [json.dumps(one) for one in (RECORD, other, {**RECORD, "kind": "later"})]
    assert records(items) == [RECORD, other]
    assert records([]) == [] and records(tf.Graph()) == []


def test_the_record_survives_export_and_import(tmp_path):
    with tf.Graph().as_default() as graph, record_feature_columns():
        given = {**dense_inputs(), "age": v1.placeholder(tf.float32, [None, 1])}
        layer = v1.feature_column.input_layer(given, some_columns())
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            meta_graph = v1.train.export_meta_graph(str(tmp_path / "model.meta"))
            v1.saved_model.simple_save(session, str(tmp_path / "saved"), {"age": given["age"]},
                                       {"layer": layer})
    written = graph.get_collection(COLLECTION)
    assert written == [json.dumps(json.loads(item), sort_keys=True) for item in written]
    expected = records(graph)
    assert len(expected) == 4
    assert records(meta_graph.collection_def[COLLECTION].bytes_list.value) == expected
    for load in (lambda _: v1.train.import_meta_graph(str(tmp_path / "model.meta")),
                 lambda session: v1.saved_model.load(session, ["serve"], str(tmp_path / "saved"))):
        with tf.Graph().as_default() as again, v1.Session() as session:
            load(session)
            assert records(again) == expected


# --- an Estimator of TensorFlow 1.15 -------------------------------------------------------------

DEEP = {
    "age": ("NumericColumn", ["age"]),
    "age_bucketized_X_edu_embedding": ("EmbeddingColumn", ["age", "edu"]),
    "away_shared_embedding": ("SharedEmbeddingColumn", ["away"]),
    "home_shared_embedding": ("SharedEmbeddingColumn", ["home"]),
    "hours_bucketized": ("BucketizedColumn", ["hours"]),
    "job_embedding": ("EmbeddingColumn", ["job"]),
    "job_indicator": ("IndicatorColumn", ["job"]),
    "words_weighted_by_counts_embedding": ("EmbeddingColumn", ["counts", "words"]),
}
WIDE = {
    "age_bucketized": ("BucketizedColumn", ["age"]),
    "age_bucketized_X_job": ("CrossedColumn", ["age", "job"]),
    "edu": ("HashedCategoricalColumn", ["edu"]),
    "hours": ("NumericColumn", ["hours"]),
}
WAYS = pytest.mark.parametrize("way, call", [("layers", "DenseFeatures"),
                                             ("functions", "input_layer")])


@pytest.fixture(name="estimator", scope="module")
def fixture_estimator(tmp_path_factory):
    """A function from "layers" or "functions" to the SavedModel of such an Estimator."""

    @functools.lru_cache(maxsize=None)
    def export(way):
        return old_tensorflow.run(ESTIMATOR, tmp_path_factory.mktemp(way), way).split("\n")[-2]

    return export


def meta_graph_of(path):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((pathlib.Path(path) / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0]


def records_of(path):
    return records(meta_graph_of(path).collection_def[COLLECTION].bytes_list.value)


@WAYS
def test_an_exported_estimator_carries_the_record(estimator, way, call):
    path = estimator(way)
    nodes = {node.name: node for node in meta_graph_of(path).graph_def.node}
    found = records_of(path)
    deep = {one["column"]: one for one in found if one["role"] == "dense"}
    wide = {one["column"]: one for one in found if one["role"] == "weights"}
    assert len(deep) + len(wide) == len(found)
    for expected, part, called in ((DEEP, deep, call), (WIDE, wide, "LinearModel")):
        assert {name: (one["kind"], one["features"]) for name, one in part.items()} == expected
        assert {one["call"] for one in part.values()} == {called}
    assert all(one["tensor"].rpartition(":")[0] in nodes for one in found)
    tables = {one["table"] for one in found if one["table"]}
    assert len(tables) == 8  # four embeddings, of which two columns share one; four of weights
    for table in tables:
        assert nodes[f"{table}/part_0"].op in ("VarHandleOp", "VariableV2")
    assert {name: one["combiner"] for name, one in deep.items() if one["combiner"]} == {
        name: "sum" if name.startswith("words") else "mean"
        for name, (kind, _) in DEEP.items() if "Embedding" in kind}


def examples():
    """Serialized tf.Examples, and what they say, by hand."""
    rows = [
        {"age": [40.0], "hours": [2.0], "job": [b"nurse"], "edu": [b"BSc"], "home": [b"Oslo"],
         "away": [b"Rome"], "words": [b"a", b"b"], "counts": [2.0, 0.5]},
        {"age": [20.0], "hours": [39.0], "job": [b"clerk", b"pilot"], "home": [b"Rome"],
         "away": [b"Oslo"], "words": [b"b"], "counts": [4.0]}]

    def feature(values):
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    return [tf.train.Example(features=tf.train.Features(
        feature={key: feature(value) for key, value in row.items()})).SerializeToString()
        for row in rows]


@WAYS
def test_the_recorded_tensors_of_an_estimator_have_the_columns_values(estimator, way, call):
    path = estimator(way)
    with tf.Graph().as_default(), v1.Session() as session:
        loaded = v1.saved_model.load(session, ["serve"], path)
        found = records(tf.compat.v1.get_default_graph())
        signature = loaded.signature_def["predict"]
        tables = {one["table"]: sorted(
            (v for v in v1.global_variables() if v.op.name.startswith(f"{one['table']}/part_")),
            key=lambda v: v.name) for one in found if one["table"]}
        fetches = {role: {one["column"]: one["tensor"] for one in found if one["role"] == role}
                   for role in ("dense", "weights")}
        layer = "dnn/input_from_feature_columns/input_layer/concat:0"
        bias = next(v for v in v1.global_variables() if "linear_model/bias_weights" in v.name)
        values, whole, bias, logits, network, tables = session.run(
            [fetches, layer, bias, signature.outputs["logits"].name, "dnn/logits/BiasAdd:0",
             tables], {signature.inputs["examples"].name: examples()})
    deep, wide = values["dense"], values["weights"]
    np.testing.assert_array_equal(whole, np.concatenate([deep[n] for n in sorted(deep)], 1))
    np.testing.assert_allclose(logits, network + sum(wide.values()) + bias, rtol=1e-5)

    table = {one["column"]: np.concatenate(tables[one["table"]])
             for one in found if one["table"]}
    np.testing.assert_allclose(deep["age"], [[0.4], [0.2]], rtol=QUOTIENT)
    np.testing.assert_array_equal(deep["hours_bucketized"], [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(deep["job_indicator"], [[0, 1, 0], [1, 0, 1]])
    clerk, nurse, pilot = table["job_embedding"]
    # One addition; halves are exact.
    np.testing.assert_array_equal(deep["job_embedding"], [nurse, (clerk + pilot) / 2])
    np.testing.assert_array_equal(deep["home_shared_embedding"][0],
                                  deep["away_shared_embedding"][1])  # Oslo
    home = table["home_shared_embedding"]
    np.testing.assert_array_equal(home, table["away_shared_embedding"])
    assert any(np.array_equal(row, deep["home_shared_embedding"][0]) for row in home)
    # "b" alone, four times; and in the first row with "a", which is some row of the table.
    four = deep["words_weighted_by_counts_embedding"][1]
    rest = deep["words_weighted_by_counts_embedding"][0] - 0.5 * four / 4.0
    distance = np.abs(2.0 * table["words_weighted_by_counts_embedding"] - rest).max(1)
    assert distance.min() < 1e-6
    np.testing.assert_allclose(wide["hours"], [[2.0], [39.0]] @ table["hours"], rtol=1e-6)
    np.testing.assert_array_equal(wide["age_bucketized"][:, 0], table["age_bucketized"][[1, 0], 0])


@WAYS
def test_an_instrumented_estimator_keeps_the_record(estimator, way, call, tmp_path):
    path = estimator(way)
    plan = ig_tf.instrument(ig_tf.load(path, signature="predict"), target="logits")
    ig_tf.save(plan, str(tmp_path / "out"))
    written = meta_graph_of(tmp_path / "out")
    assert "attributions" in written.signature_def
    found = records_of(tmp_path / "out")
    assert found and found == records_of(path)
    nodes = {node.name for node in written.graph_def.node}
    assert all(one["tensor"].rpartition(":")[0] in nodes for one in found)
