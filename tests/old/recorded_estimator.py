"""Trains and exports a canned Estimator of TensorFlow 1.15 under the recorder.

    python recorded_estimator.py FOLDER layers|functions

layers: columns of v2, which the Estimator evaluates with DenseFeatures and LinearModel.
functions: with a shared embedding of v1 among them the Estimator falls back to InputLayer. Prints
the path of the SavedModel.
"""

import sys

import tensorflow as tf

from ig_tf.points.feature_columns import record_feature_columns

fc = tf.feature_column
JOBS = ["clerk", "nurse", "pilot"]
EXAMPLES = {
    "age": [[25.0], [61.0], [42.0], [18.0]],
    "hours": [[10.0], [40.0], [38.5], [0.0]],
    "job": [["clerk"], ["pilot"], ["nurse"], ["unheard of"]],
    "edu": [["BSc"], ["MSc"], ["BSc"], [""]],
    "home": [["Paris"], ["Oslo"], ["Rome"], ["Oslo"]],
    "away": [["Oslo"], ["Paris"], ["Oslo"], ["Rome"]],
    "words": [["a", "b"], ["b", "c"], ["a", "a"], ["c", "d"]],
    "counts": [[1.0, 2.0], [3.0, 1.0], [1.0, 1.0], [2.0, 5.0]],
}


def deep_columns(way):
    age = fc.numeric_column("age", normalizer_fn=lambda years: years / 100.0)
    job = fc.categorical_column_with_vocabulary_list("job", JOBS)
    places = [fc.categorical_column_with_hash_bucket(key, 6) for key in ("home", "away")]
    share = {"layers": tf.compat.v2.feature_column.shared_embeddings,
             "functions": fc.shared_embedding_columns}[way]
    words = fc.weighted_categorical_column(
        fc.categorical_column_with_hash_bucket("words", 9), "counts")
    cross = fc.crossed_column([fc.bucketized_column(fc.numeric_column("age"), [30.0]), "edu"], 8)
    return [age, fc.bucketized_column(fc.numeric_column("hours"), [5.0, 39.0]),
            fc.embedding_column(job, 4), fc.indicator_column(job),
            fc.embedding_column(words, 3, combiner="sum"), fc.embedding_column(cross, 2)
            ] + share(places, 3)


def wide_columns():
    age = fc.bucketized_column(fc.numeric_column("age"), [30.0, 50.0])
    return [fc.numeric_column("hours"), age,
            fc.categorical_column_with_hash_bucket("edu", 5),
            fc.crossed_column([age, "job"], 16)]


def inputs():
    def batch(examples, label):
        examples["words"] = tf.contrib.layers.dense_to_sparse(examples["words"], "")
        examples["counts"] = tf.SparseTensor(
            examples["words"].indices, tf.reshape(examples["counts"], [-1]),
            examples["words"].dense_shape)
        return examples, label

    data = tf.data.Dataset.from_tensor_slices((EXAMPLES, [[0], [1], [1], [0]]))
    return data.repeat().batch(4).map(batch)


def main(folder, way):
    columns = deep_columns(way)
    estimator = tf.estimator.DNNLinearCombinedClassifier(
        model_dir=folder + "/training", linear_feature_columns=wide_columns(),
        dnn_feature_columns=columns, dnn_hidden_units=[6],
        config=tf.estimator.RunConfig(tf_random_seed=5),
        # Small enough for the embedding of jobs and no smaller table to lie in two parts.
        input_layer_partitioner=tf.min_max_variable_partitioner(max_partitions=2,
                                                                min_slice_size=24))
    estimator.train(inputs, steps=20)
    spec = tf.feature_column.make_parse_example_spec(
        wide_columns() + [one for one in columns if way == "functions" or "shared" not in one.name])
    for place in ("home", "away"):
        spec[place] = tf.io.VarLenFeature(tf.string)
    receiver = tf.estimator.export.build_parsing_serving_input_receiver_fn(spec)
    with record_feature_columns():
        print(estimator.export_saved_model(folder + "/export", receiver).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
