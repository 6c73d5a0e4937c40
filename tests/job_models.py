"""A model for tests of jobs: small, exact, and with inputs that it refuses."""

import tensorflow as tf

import ig_tf

TABLE = (0.0, 1.0, 2.0, 4.0)


def save(folder):
    """An instrumented model: score = (number of `text` + sum of a table at `ids`) ** 2.

    Its attributions are exact for any rule: what was added times the sum. A text that is no number
    is an error of TensorFlow's for the whole batch.
    """
    def serve(text, ids):
        found = tf.gather(tf.constant([[value] for value in TABLE]), ids)
        return {"score": (tf.strings.to_number(text) + tf.reduce_sum(found, [1, 2])) ** 2}

    module = tf.Module()
    module.serve = tf.function(serve, autograph=False, input_signature=[
        tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None, None], tf.int32, "ids")])
    tf.saved_model.save(module, str(folder / "plain"), signatures=module.serve)
    ig_tf.save(ig_tf.instrument(ig_tf.load(folder / "plain"), steps=2), folder / "model")
    return folder / "model"


def rows(count):
    """Records of different lengths, with a label each."""
    return [{"id": f"r{number}", "text": str(number % 7 - 3), "label": number % 3,
             "ids": [(number + place) % 4 for place in range(1 + number % 3)]}
            for number in range(count)]


def truth(row):
    """(score, attribution of the number, attributions of the ids)."""
    number, values = float(row["text"]), [TABLE[place] for place in row["ids"]]
    total = number + sum(values)
    return total ** 2, number * total, [value * total for value in values]
