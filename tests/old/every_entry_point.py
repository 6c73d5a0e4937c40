"""Builds one graph for each way to evaluate feature columns, and prints what came of it.

    python every_entry_point.py plain|recorded

Runs in TensorFlow 1.15 and 2: what a version does not have, or no more, is left out. Prints JSON:
{way: {"graph": SHA-256 of the GraphDef's bytes, "records": as read back from a metagraph}}.
Two processes are compared: TensorFlow numbers things within one. The names of lookup tables, drawn
at random, are made to count up.
"""

import contextlib
import hashlib
import itertools
import json
import sys
import uuid

import tensorflow as tf

from ig_tf.points import feature_columns

v1 = tf.compat.v1
fc = tf.feature_column


def features():
    given = {name: v1.placeholder(tf.float32, [None, 1], name=name) for name in ("age", "hours")}
    given["size"] = v1.placeholder(tf.float32, [None, 2, 3], name="size")
    for name in ("job", "edu", "home", "away", "words"):
        given[name] = v1.sparse_placeholder(tf.string, name=name)
    given["counts"] = v1.sparse_placeholder(tf.float32, name="counts")
    return given


def columns(shared=()):
    """One of each kind; `shared` are dense columns of "home" and "away"."""
    age = fc.numeric_column("age")
    buckets = fc.bucketized_column(age, [20.0, 40.0])
    job = fc.categorical_column_with_vocabulary_list("job", ["a", "b", "c"])
    edu = fc.categorical_column_with_hash_bucket("edu", 7)
    words = fc.weighted_categorical_column(
        fc.categorical_column_with_hash_bucket("words", 11), "counts")
    cross = fc.crossed_column([buckets, "edu", job], 13)
    return [age, fc.numeric_column("size", shape=(2, 3)), buckets,
            fc.embedding_column(job, 4), fc.indicator_column(edu),
            fc.embedding_column(words, 3, combiner="sqrtn"),
            fc.embedding_column(cross, 2, combiner="sum")] + list(shared)


def wide_columns():
    age = fc.numeric_column("age")
    buckets = fc.bucketized_column(age, [20.0, 40.0])
    job = fc.categorical_column_with_vocabulary_list("job", ["a", "b", "c"])
    words = fc.weighted_categorical_column(
        fc.categorical_column_with_hash_bucket("words", 11), "counts")
    return [age, buckets, job, words, fc.crossed_column([buckets, "edu"], 13),
            fc.embedding_column(fc.categorical_column_with_hash_bucket("edu", 7), 3)]


def homes():
    return [fc.categorical_column_with_hash_bucket(key, 5) for key in ("home", "away")]


def old_shared():
    return v1.feature_column.shared_embedding_columns(homes(), 3)


def new_shared():
    shared = getattr(fc, "shared_embeddings", None) or tf.compat.v2.feature_column.shared_embeddings
    return shared(homes(), 3)


def sequences():
    words = fc.sequence_categorical_column_with_hash_bucket("words", 11)
    return [fc.embedding_column(words, 3), fc.sequence_numeric_column("counts")]


def input_layer():
    v1.feature_column.input_layer(features(), columns())


def input_layer_own_arguments():
    """The user's own dictionaries are filled as ever."""
    outputs, variables = {}, {}
    v1.feature_column.input_layer(features(), columns(), cols_to_vars=variables,
                                  cols_to_output_tensors=outputs)
    assert len(outputs) == len(variables) == len(columns()), (outputs, variables)


def input_layer_shared():
    v1.feature_column.input_layer(features(), columns(old_shared()))


def input_layer_twice():
    """The same columns and variables for two towers, in parts, with one input_layer object."""
    from tensorflow.python.feature_column import feature_column
    given = features()
    with v1.variable_scope("net", partitioner=v1.fixed_size_partitioner(2)):
        v1.feature_column.input_layer(given, columns())
    with v1.variable_scope("net", partitioner=v1.fixed_size_partitioner(2), reuse=True):
        v1.feature_column.input_layer(given, columns())
    layer = feature_column.InputLayer(columns())
    layer(given)
    layer(given)


def linear_model():
    v1.feature_column.linear_model(features(), wide_columns(), units=2, sparse_combiner="mean")


def linear_model_in_parts():
    with v1.variable_scope("wide", partitioner=v1.fixed_size_partitioner(2)):
        v1.feature_column.linear_model(features(), wide_columns())


def linear_model_of_layers():
    from tensorflow.python.feature_column import feature_column_v2
    feature_column_v2.LinearModel(wide_columns(), sparse_combiner="sqrtn")(features())


def keras():
    if tf.__version__.startswith("1."):
        return tf.keras
    import tf_keras
    return tf_keras


def dense_features():
    keras().layers.DenseFeatures(columns(new_shared()))(features())


def dense_features_of_v2():
    if tf.__version__.startswith("1."):
        from tensorflow.python.feature_column import dense_features_v2
    else:
        from tf_keras.src.feature_column import dense_features_v2
    dense_features_v2.DenseFeatures(columns())(features())


def sequence_features():
    keras().experimental.SequenceFeatures(sequences())(features())


def sequence_input_layer():
    contrib = tf.contrib.feature_column
    words = contrib.sequence_categorical_column_with_hash_bucket("words", 11)
    contrib.sequence_input_layer(
        features(), [fc.embedding_column(words, 3), contrib.sequence_numeric_column("counts"),
                     fc.indicator_column(words)])


def lookups():
    ids = v1.sparse_placeholder(tf.int64, [None, None], name="ids")
    whole = v1.get_variable("whole", [6, 2])
    old = v1.get_variable("old", [6, 2], use_resource=False)
    parts = v1.get_variable("parts", [6, 2], partitioner=v1.fixed_size_partitioner(3))
    tf.nn.embedding_lookup(whole, ids.values)
    v1.nn.embedding_lookup(old, ids.values, max_norm=1.0)
    v1.nn.embedding_lookup_sparse(parts, ids, None, combiner="sum")
    tf.compat.v2.nn.safe_embedding_lookup_sparse(whole, ids)
    tf.nn.embedding_lookup(tf.identity(old), ids.values)
    tf.nn.embedding_lookup(tf.constant([[1.0, 2.0]], name="table"), ids.values)


WAYS = (input_layer, input_layer_own_arguments, input_layer_shared, input_layer_twice,
        linear_model, linear_model_in_parts, linear_model_of_layers, dense_features,
        dense_features_of_v2, sequence_features, sequence_input_layer, lookups)
ONLY_IN_1 = ("linear_model_of_layers", "sequence_input_layer")


def made(build):
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(3)
        build()
        v1.train.Saver(allow_empty=True, name="saver") if v1.global_variables() else None
        meta_graph = v1.train.export_meta_graph()
        plain = graph.as_graph_def().SerializeToString(deterministic=True)
    items = meta_graph.collection_def[feature_columns.COLLECTION].bytes_list.value
    return {"graph": hashlib.sha256(plain).hexdigest(), "nodes": len(graph.get_operations()),
            "records": feature_columns.records(items), "items": len(items)}


def main(mode):
    recorder = {"recorded": feature_columns.record_feature_columns,
                "plain": lambda: contextlib.suppress()}[mode]
    numbers = itertools.count()
    uuid.uuid4 = lambda: next(numbers)
    found = {}
    with recorder():
        for way in WAYS:
            if tf.__version__.startswith("1.") or way.__name__ not in ONLY_IN_1:
                found[way.__name__] = made(way)
    json.dump({"tensorflow": tf.__version__, "ways": found}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
