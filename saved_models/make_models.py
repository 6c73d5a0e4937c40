r"""Trains the small models of this folder on real data and exports them with held-out examples.

    pip install -r saved_models/requirements.txt
    python saved_models/make_models.py --output_dir=OUT [--models=NAME,...] [--vader_sdist=FILE]

Each model becomes a folder OUT/NAME: a SavedModel, and a file of held-out rows beside it. An
existing OUT/NAME is replaced. The accuracies that are printed are those of README.md.
"""

import contextlib
import csv
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from absl import app
from absl import flags
import numpy as np
from sklearn import datasets
import tensorflow as tf

tf1 = tf.compat.v1

SEED = 20240229

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the folders of the models are written.", required=True)
_MODELS = flags.DEFINE_list(
    "models", ["diabetes_columns", "review_tokens", "digits_cnn"], "Which models to make.")
_VADER_SDIST = flags.DEFINE_string(
    "vader_sdist", None,
    "The file vaderSentiment-3.3.2.tar.gz (data of review_tokens); left out, pip downloads it.")


# ------------------------------------------------------------------------------------------------
# What the models share.


def split(count, held_out):
    """Returns shuffled row numbers as (training rows, held-out rows)."""
    order = np.random.RandomState(SEED).permutation(count)
    return order[held_out:], order[:held_out]


def batches(rows, size, epochs):
    """Yields arrays of row numbers, shuffled anew in each epoch, without the ragged last one."""
    random = np.random.RandomState(SEED)
    for _ in range(epochs):
        order = random.permutation(rows)
        for start in range(0, len(order) - size + 1, size):
            yield order[start:start + size]


def accuracy(probabilities, labels):
    """Returns the share of rows whose most probable class is the label."""
    return float(np.mean(np.argmax(probabilities, axis=1) == labels))


def initializer(training):
    """Returns what variables start from: zeros for serving, where they are loaded at once.

    So no random op is left in an exported graph.
    """
    return tf1.glorot_uniform_initializer() if training else tf1.zeros_initializer()


def dense(net, units, name, training, activation=tf.identity):
    """Returns a fully connected layer over `net`."""
    with tf1.variable_scope(name):
        kernel = tf1.get_variable(
            "kernel", [net.shape[-1], units], initializer=initializer(training))
        bias = tf1.get_variable("bias", [units], initializer=tf1.zeros_initializer())
        return activation(tf.matmul(net, kernel) + bias)


def classify(logits):
    """Names the two outputs of a classifier; both TF1 models end with this."""
    return {
        "logits": tf.identity(logits, name="logits"),
        "probabilities": tf.nn.softmax(logits, name="probabilities"),
    }


def train_v1(build, feeds, labels, rows, *, size, epochs, learning_rate, l2):
    """Trains a TF1 model in a graph of its own and returns its variables' values by name.

    Args:
        build: function (training) -> (inputs by name, outputs by name), called inside the graph.
        feeds: arrays by input name, all rows.
        labels: int array [rows].
        rows: the numbers of the rows to train on.
        size: rows in a batch.
        epochs: passes over the rows.
        learning_rate: of Adam.
        l2: weight in the loss of the squared weights of matrices and kernels (not of biases).

    Returns:
        Array by variable name; Adam's slots are not among them.
    """
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(SEED)
        inputs, outputs = build(training=True)
        target = tf1.placeholder(tf.int32, [None])
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=target, logits=outputs["logits"]))
        variables = tf1.trainable_variables()
        loss += l2 * tf.add_n([tf.nn.l2_loss(v) for v in variables if v.shape.rank > 1])
        step = tf1.train.AdamOptimizer(learning_rate).minimize(loss)
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        for batch in batches(rows, size, epochs):
            feed = {inputs[name]: feeds[name][batch] for name in inputs}
            session.run(step, {**feed, target: labels[batch]})
        return {v.op.name: session.run(v) for v in variables}


def export_v1(build, values, folder):
    """Builds the serving graph afresh, loads the variables and writes a TF1 SavedModel."""
    with tf.Graph().as_default(), tf1.Session() as session:
        inputs, outputs = build(training=False)
        # Not by a Saver: its nodes would be exported beside those that the builder adds.
        for variable in tf1.global_variables():
            variable.load(values[variable.op.name], session)
        signature = tf1.saved_model.predict_signature_def(inputs, outputs)
        builder = tf1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature},
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
            main_op=tf1.tables_initializer(), clear_devices=True,
            # Attributes left at their defaults are often all that an older runtime cannot read.
            strip_default_attrs=True)
        builder.save()


def predict_v1(folder, feeds):
    """Runs the exported model, from its files alone, and returns the probabilities."""
    with tf.Graph().as_default(), tf1.Session() as session:
        meta_graph = tf1.saved_model.load(session, ["serve"], folder)
        signature = meta_graph.signature_def["serving_default"]
        feed = {signature.inputs[name].name: value for name, value in feeds.items()}
        return session.run(signature.outputs["probabilities"].name, feed)


# ------------------------------------------------------------------------------------------------
# diabetes_columns: a TF1 wide and deep model over feature columns.

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


def make_diabetes_columns(folder):
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


# ------------------------------------------------------------------------------------------------
# review_tokens: a TF1 convolutional net over token ids.

_VADER = "vaderSentiment==3.3.2"
_VADER_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
_VADER_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_VADER_LICENCE = "vaderSentiment-3.3.2/LICENSE.txt"
_VADER_FILES = (
    "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
    "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
)
_REVIEW_MIN_SCORE = 0.8
_REVIEW_HELD_OUT = 1500
_REVIEW_EXAMPLES = 40
_REVIEW_LENGTH = 32
_REVIEW_MIN_COUNT = 3
_PAD, _UNKNOWN = "<pad>", "<unk>"
_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+|[!?]")


def vader_sdist(scratch):
    """Returns the path of the source package with the sentences, downloaded if need be."""
    path = _VADER_SDIST.value
    if path is None:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary",
             ":all:", "--dest", scratch, _VADER], check=True)
        path = os.path.join(scratch, "vaderSentiment-3.3.2.tar.gz")
    digest = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    if digest != _VADER_SHA256:
        raise ValueError(f"Needed the source package of {_VADER} with SHA-256 {_VADER_SHA256}; "
                         f"found {digest} in {path}. Leave --vader_sdist out to download it.")
    return path


def read_vader():
    """Returns (lines of the files with reviews, text of the licence) of the source package."""
    lines = []
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(vader_sdist(scratch)) as outer:
        licence = outer.extractfile(_VADER_LICENCE).read().decode("utf-8")
        with tarfile.open(fileobj=outer.extractfile(_VADER_INNER)) as inner:
            for name in _VADER_FILES:
                content = inner.extractfile(name).read().decode("utf-8")
                lines.extend(content.rstrip("\r\n").split("\r\n"))
    return lines, licence


def polar_reviews(lines):
    """Returns the sentences that are not neutral: (texts, labels 0 or 1)."""
    reviews = {}  # By text: a few sentences are there twice and must not fall on both sides.
    for line in lines:
        _, score, text = line.split("\t")
        if abs(float(score)) >= _REVIEW_MIN_SCORE:
            reviews.setdefault(text, float(score) > 0)
    return list(reviews), np.array(list(reviews.values())).astype(int)


def tokenize(text):
    """Returns the lower-case words, numbers, `!` and `?` of a text."""
    return _TOKEN.findall(text.lower())


def vocabulary(texts):
    """Returns the words that are not rare, most frequent first, after the two special ones."""
    counts = {}
    for text in texts:
        for token in tokenize(text):
            counts[token] = counts.get(token, 0) + 1
    words = [word for word, count in counts.items() if count >= _REVIEW_MIN_COUNT]
    return [_PAD, _UNKNOWN] + sorted(words, key=lambda word: (-counts[word], word))


def token_ids(texts, words):
    """Returns int64 [texts, _REVIEW_LENGTH]: ids, cut or padded with 0."""
    numbers = {word: number for number, word in enumerate(words)}
    ids = np.zeros([len(texts), _REVIEW_LENGTH], np.int64)
    for row, text in enumerate(texts):
        found = [numbers.get(token, 1) for token in tokenize(text)][:_REVIEW_LENGTH]
        ids[row, :len(found)] = found
    return ids


def convolution(net, width, filters, training):
    """Returns the greatest response of each filter over the positions of `net`."""
    with tf1.variable_scope(f"convolution_{width}"):
        kernel = tf1.get_variable("kernel", [width, net.shape[-1], filters],
                                  initializer=initializer(training))
        bias = tf1.get_variable("bias", [filters], initializer=tf1.zeros_initializer())
        net = tf.nn.conv1d(net, kernel, stride=1, padding="SAME")
        return tf.reduce_max(tf.nn.relu(net + bias), axis=1)


def review_builder(words):
    """Returns the function that builds the model in the current graph."""
    def build(training):
        tokens = tf1.placeholder(tf.int64, [None, _REVIEW_LENGTH], name="tokens")
        with tf1.variable_scope("model", use_resource=True):
            table = tf1.get_variable("embedding", [len(words), 16],
                                     initializer=initializer(training))
            net = tf.nn.embedding_lookup(table, tokens)
            # Padding is as silent as the zeros that the convolutions see beyond the edges.
            net *= tf.cast(tf.not_equal(tokens, 0), tf.float32)[:, :, tf.newaxis]
            net = tf.nn.dropout(net, rate=0.5) if training else net
            net = tf.concat([convolution(net, width, 16, training) for width in (1, 2, 3)], axis=1)
            net = tf.nn.dropout(net, rate=0.5) if training else net
            logits = dense(net, 2, "logits", training)
        return {"tokens": tokens}, classify(logits)
    return build


def write_jsonl(path, tokens, texts, labels, rows):
    """Writes rows as JSON Lines, a request's input beside the text that it came from."""
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            record = {"tokens": tokens[row].tolist(), "text": texts[row],
                      "label": int(labels[row])}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def make_review_tokens(folder):
    """Makes the model `review_tokens`; returns its held-out and its examples' accuracy."""
    lines, licence = read_vader()
    texts, labels = polar_reviews(lines)
    train, held_out = split(len(texts), _REVIEW_HELD_OUT)
    words = vocabulary([texts[row] for row in train])
    tokens = token_ids(texts, words)
    build = review_builder(words)
    values = train_v1(build, {"tokens": tokens}, labels, train,
                      size=64, epochs=12, learning_rate=2e-3, l2=1e-4)
    export_v1(build, values, folder)
    extra = pathlib.Path(folder, "assets.extra")
    extra.mkdir()
    (extra / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    # The examples quote sentences; their licence goes where they go.
    pathlib.Path(folder, "LICENSE.txt").write_text(licence.rstrip() + "\n", encoding="utf-8")
    examples = held_out[:_REVIEW_EXAMPLES]
    write_jsonl(os.path.join(folder, "examples.jsonl"), tokens, texts, labels, examples)
    return tuple(accuracy(predict_v1(folder, {"tokens": tokens[rows]}), labels[rows])
                 for rows in (held_out, examples))


# ------------------------------------------------------------------------------------------------
# digits_cnn: a TF2 Keras convolutional net.

_DIGITS_HELD_OUT = 400
_DIGITS_EXAMPLES = 40


def digits_model(training):
    """Returns the Keras model: image -> {'logits', 'probabilities'}.

    The serving one has no dropout: with it a seed, which is no weight, would be exported.
    """
    layers = tf.keras.layers
    image = tf.keras.Input([8, 8, 1], name="image")
    net = layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    net = layers.Conv2D(32, 3, padding="same", activation="relu")(net)
    net = layers.MaxPooling2D()(net)
    net = layers.Flatten()(net)
    net = layers.Dropout(0.4, seed=SEED)(net) if training else net
    net = layers.Dense(32, activation="relu")(net)
    logits = layers.Dense(10, name="logits")(net)
    probabilities = layers.Softmax(name="probabilities")(logits)
    return tf.keras.Model(image, {"logits": logits, "probabilities": probabilities})


def make_digits_cnn(folder):
    """Makes the model `digits_cnn`; returns its held-out and its examples' accuracy."""
    bunch = datasets.load_digits()
    images = (bunch.images / 16.0).astype(np.float32)[..., np.newaxis]
    labels = bunch.target
    train, held_out = split(len(labels), _DIGITS_HELD_OUT)
    tf.keras.utils.set_random_seed(SEED)
    model = digits_model(training=True)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss={"logits": loss, "probabilities": None})
    model.fit(images[train], {"logits": labels[train]}, batch_size=32, epochs=25, verbose=0)
    serving = digits_model(training=False)
    serving.set_weights(model.get_weights())
    serving.export(folder, verbose=False)
    examples = held_out[:_DIGITS_EXAMPLES]
    np.savez_compressed(os.path.join(folder, "examples.npz"),
                        image=images[examples], label=labels[examples])
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    return tuple(accuracy(serve(image=tf.constant(images[rows]))["probabilities"], labels[rows])
                 for rows in (held_out, examples))


# ------------------------------------------------------------------------------------------------

_MAKERS = {
    "diabetes_columns": make_diabetes_columns,
    "review_tokens": make_review_tokens,
    "digits_cnn": make_digits_cnn,
}


def make(name, output_dir):
    """Makes one model beside the old one, and only then replaces that."""
    target = os.path.join(output_dir, name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, name)
        held_out, examples = _MAKERS[name](folder)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
    print(f"{name}: accuracy {held_out:.3f} on the held-out rows, {examples:.3f} on the examples")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    unknown = sorted(set(_MODELS.value) - set(_MAKERS))
    if unknown:
        raise app.UsageError(f"--models: needed names among {sorted(_MAKERS)}; found {unknown}.")
    # Two runs on one machine give the same weights.
    tf.config.experimental.enable_op_determinism()
    tf1.logging.set_verbosity(tf1.logging.ERROR)  # Feature columns warn that they are deprecated.
    output_dir = os.path.abspath(_OUTPUT_DIR.value)
    os.makedirs(output_dir, exist_ok=True)
    for name in _MODELS.value:
        make(name, output_dir)


if __name__ == "__main__":
    app.run(main)
