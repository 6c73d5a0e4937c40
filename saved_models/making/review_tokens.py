"""review_tokens: a TF1 convolutional net over token ids."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

from absl import flags
import numpy as np
import tensorflow as tf

from making.rows import accuracy, split
from making.version_1 import classify, dense, export_v1, initializer, predict_v1, train_v1

tf1 = tf.compat.v1

_VADER_SDIST = flags.DEFINE_string(
    "vader_sdist", None,
    "The file vaderSentiment-3.3.2.tar.gz (data of review_tokens); left out, pip downloads it.")

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


def make(folder):
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
