"""diabetes_columns: a TF1 wide and deep model over feature columns."""

import contextlib
import csv
import os
import pathlib
import tempfile

import numpy as np
from sklearn import datasets
import tensorflow as tf

from making.rows import accuracy, split
from making.version_1 import classify, dense, export_v1, initializer, predict_v1, train_v1

tf1 = tf.compat.v1

# The numeric inputs, in the order of scikit-learn's columns; `sex` is its column 1.
_DIABETES_COLUMNS = {
    "age": 0, "bmi": 2, "blood_pressure": 3, "total_cholesterol": 4, "ldl": 5, "hdl": 6,
    "cholesterol_ratio": 7, "log_triglycerides": 8, "glucose": 9,
}
_DIABETES_STRINGS = ("age_group", "bmi_class", "sex")
_DIABETES_HELD_OUT = 120
_DIABETES_EXAMPLES = 60
_AGE_GROUPS = ("under_30", "30s", "40s", "50s", "60s", "70s")
_BMI_CLASSES = ("underweight", "normal", "overweight", "obese")
_BLOOD_PRESSURE_BOUNDARIES = (80.0, 90.0, 100.0, 110.0)


def diabetes_features(data):
    """Returns arrays by input name, for scikit-learn's unscaled table."""
    features = {name: data[:, column].astype(np.float32)
                for name, column in _DIABETES_COLUMNS.items()}
    decades = np.clip(features["age"] // 10 - 2, 0, len(_AGE_GROUPS) - 1).astype(int)
    features["age_group"] = np.array(_AGE_GROUPS, dtype=object)[decades]
    # The classes of the World Health Organization.
    classes = np.digitize(features["bmi"], [18.5, 25.0, 30.0])
    features["bmi_class"] = np.array(_BMI_CLASSES, dtype=object)[classes]
    # The data's documentation does not say which of its codes 1 and 2 is which.
    features["sex"] = np.array(["code_1", "code_2"], dtype=object)[data[:, 1].astype(int) - 1]
    return features


def standardizer(values):
    """Returns a function that standardizes a tensor as `values` are distributed."""
    mean, deviation = float(np.mean(values)), float(np.std(values))
    return lambda tensor: (tensor - mean) / deviation


def diabetes_columns(training, train_features):
    """Returns (columns of the deep part, columns of the linear part)."""
    column = tf.feature_column
    deep = [column.numeric_column(name, normalizer_fn=standardizer(train_features[name]))
            for name in _DIABETES_COLUMNS]
    age_group = column.categorical_column_with_vocabulary_file(
        "age_group", "age_groups.txt", vocabulary_size=len(_AGE_GROUPS), num_oov_buckets=1)
    deep.append(column.embedding_column(
        age_group, dimension=4, initializer=initializer(training)))
    bmi_class = column.categorical_column_with_vocabulary_list("bmi_class", _BMI_CLASSES)
    deep.append(column.indicator_column(bmi_class))
    linear = [
        column.bucketized_column(
            column.numeric_column("blood_pressure"), _BLOOD_PRESSURE_BOUNDARIES),
        column.categorical_column_with_hash_bucket("sex", hash_bucket_size=8),
        column.crossed_column(["bmi_class", "sex"], hash_bucket_size=32),
    ]
    return deep, linear


def variables_on_cpu(op):
    """Device function: places variables, and nothing else, as a parameter server did in TF1.

    Where a table has the same device as its ids, today's TensorFlow leaves Unique and GatherV2 out
    of a sparse lookup; what TF1 exported has both. The export clears the devices.
    """
    return "/cpu:0" if op.type == "VariableV2" else ""


def diabetes_builder(train_features):
    """Returns the function that builds the model in the current graph."""
    def build(training):
        inputs = {name: tf1.placeholder(tf.float32, [None], name=name)
                  for name in _DIABETES_COLUMNS}
        inputs.update({name: tf1.placeholder(tf.string, [None], name=name)
                       for name in _DIABETES_STRINGS})
        deep, linear = diabetes_columns(training, train_features)
        # Reference variables, the default of TF1: old exports are full of them.
        with tf1.variable_scope("model", use_resource=False), tf1.device(variables_on_cpu):
            net = tf1.feature_column.input_layer(inputs, deep)
            net = dense(net, 16, "hidden", training, tf.nn.relu)
            net = tf.nn.dropout(net, rate=0.3) if training else net
            logits = dense(net, 2, "deep_logits", training)
            logits += tf1.feature_column.linear_model(inputs, linear, units=2)
        return inputs, classify(logits)
    return build


def write_csv(path, features, labels, rows):
    """Writes rows as CSV; the columns are the model's inputs and `label`."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*features, "label"])
        for row in rows:
            writer.writerow([*(values[row] for values in features.values()), labels[row]])


def make(folder):
    """Makes the model `diabetes_columns`; returns its held-out and its examples' accuracy."""
    bunch = datasets.load_diabetes(scaled=False)
    features = diabetes_features(bunch.data)
    train, held_out = split(len(bunch.target), _DIABETES_HELD_OUT)
    labels = (bunch.target > np.median(bunch.target[train])).astype(int)
    build = diabetes_builder({name: values[train] for name, values in features.items()})
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        # The path of a vocabulary becomes a constant of the exported graph. A name without a
        # directory keeps this machine's paths out of it.
        pathlib.Path("age_groups.txt").write_text("\n".join(_AGE_GROUPS) + "\n", encoding="utf-8")
        values = train_v1(build, features, labels, train,
                          size=32, epochs=15, learning_rate=3e-3, l2=3e-2)
        export_v1(build, values, folder)
    examples = held_out[:_DIABETES_EXAMPLES]
    write_csv(os.path.join(folder, "examples.csv"), features, labels, examples)
    return tuple(
        accuracy(predict_v1(folder, {name: values[rows] for name, values in features.items()}),
                 labels[rows])
        for rows in (held_out, examples))
