"""Small models for trials of jobs: untrained, the same weights every time, quick to make."""

import numpy as np

STEPS = 8
NUMBERS = {"age": (38.0, 14.0), "hours_per_week": (40.0, 12.0), "capital_gain": (1000.0, 7000.0)}
WORDS = ("workclass", "education", "occupation", "sex")  # of census rows
_BUCKETS, _WIDTH = 64, 8


def census(folder):
    """A model of serialized tf.Examples: standardized numbers, hashed words, two dense layers."""
    import tensorflow as tf
    chance = np.random.default_rng(11)
    tables = {name: tf.constant(_weights(chance, _BUCKETS, _WIDTH)) for name in WORDS}
    first = tf.constant(_weights(chance, len(NUMBERS) + _WIDTH * len(WORDS), 16))
    second = tf.constant(_weights(chance, 16, 1))
    parsed_as = {**{name: tf.io.FixedLenFeature([], tf.float32) for name in NUMBERS},
                 **{name: tf.io.FixedLenFeature([], tf.string) for name in WORDS}}

    def serve(examples):
        parsed = tf.io.parse_example(examples, parsed_as)
        numbers = [tf.expand_dims((parsed[name] - middle) / size, 1)
                   for name, (middle, size) in NUMBERS.items()]
        words = [tf.gather(tables[name], tf.strings.to_hash_bucket_fast(parsed[name], _BUCKETS))
                 for name in WORDS]
        hidden = tf.nn.relu(tf.concat([*numbers, *words], 1) @ first)
        return {"probability": tf.sigmoid(tf.squeeze(hidden @ second, 1))}

    return _saved(folder, serve, [tf.TensorSpec([None], tf.string, "examples")])


def sentences(folder):
    """A model of serialized tf.Examples with a text each: split, hashed, looked up, averaged."""
    import tensorflow as tf
    chance = np.random.default_rng(12)
    table = tf.constant(_weights(chance, 1000, _WIDTH))
    weights = tf.constant(_weights(chance, _WIDTH, 1))

    def serve(examples):
        parsed = tf.io.parse_example(examples, {"text": tf.io.FixedLenFeature([], tf.string)})
        words = tf.strings.split(parsed["text"]).to_tensor("")
        found = tf.gather(table, tf.strings.to_hash_bucket_fast(words, 1000))
        there = tf.expand_dims(tf.cast(words != "", tf.float32), 2)
        mean = tf.reduce_sum(found * there, 1) / tf.maximum(tf.reduce_sum(there, 1), 1.0)
        return {"probability": tf.sigmoid(tf.squeeze(tf.tanh(mean * 4) @ weights, 1))}

    return _saved(folder, serve, [tf.TensorSpec([None], tf.string, "examples")])


def product(folder):
    """The cheapest: score = a * b of two columns, of which each gets half."""
    import tensorflow as tf
    return _saved(folder, lambda a, b: {"score": a * b},
                  [tf.TensorSpec([None], tf.float32, name) for name in ("a", "b")], 2)


def instrumented(plain, folder, steps=STEPS):
    """Instruments a SavedModel; returns the folder of the result."""
    import ig_tf
    ig_tf.save(ig_tf.instrument(ig_tf.load(plain), steps=steps), folder)
    return folder


def _weights(chance, rows, columns):
    return chance.normal(size=[rows, columns]).astype(np.float32) / np.float32(np.sqrt(columns))


def _saved(folder, serve, takes, steps=STEPS):
    """Writes `plain` and `model` into a folder; returns the latter."""
    import tensorflow as tf
    module = tf.Module()
    module.serve = tf.function(serve, autograph=False, input_signature=takes)
    tf.saved_model.save(module, str(folder / "plain"), signatures=module.serve)
    return instrumented(folder / "plain", folder / "model", steps)
