"""Sound models and files that the mutations start from."""

import dataclasses
import os
import pathlib

import numpy as np


@dataclasses.dataclass(frozen=True)
class Base:
    """A model that works.

    Attributes:
      name: what it is called in reports.
      folder: a SavedModel.
      inputs: {signature input: array} of one request.
    """

    name: str
    folder: str
    inputs: dict


def small(folder):
    """Models of a few dozen nodes, one of each way to say things: [`Base`].

    Made once in a folder, which is used again.
    """
    import tensorflow as tf
    folder = pathlib.Path(folder)
    random = np.random.default_rng(7)
    x = random.normal(size=(2, 3)).astype(np.float32)
    words = np.array([b"plum", b"fig"], object)
    made = {"dense_2": (_dense_2, {"x": x}), "dense_1": (_dense_1, {"x": x}),
            "branches_2": (_branches_2, {"x": x}), "loop_1": (_loop_1, {"x": x}),
            "words_2": (_words_2, {"words": words, "x": x}),
            "columns_2": (_columns_2, {"word": words, "number": x[:, 0]}),
            "examples_2": (_examples_2, {"examples": np.array(
                [example(x=row) for row in x], object)})}
    found = []
    for name, (make, inputs) in made.items():
        path = folder / name
        if not path.exists():
            with tf.Graph().as_default() if name.endswith("1") else tf.init_scope():
                make(path)
        found.append(Base(name, str(path), inputs))
    return found


def example(**features):
    """A serialized tf.Example of floats and texts."""
    import tensorflow as tf
    made = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, str):
            made.features.feature[name].bytes_list.value.append(value.encode())
        else:
            made.features.feature[name].float_list.value.extend(value)
    return made.SerializeToString()


def zoo(folder):
    """SavedModels of a folder, without inputs: they are only instrumented. [`Base`]."""
    found = sorted(pathlib.Path(folder).rglob("saved_model.pb"))
    return [Base(os.path.relpath(path.parent, folder), str(path.parent), {}) for path in found
            if path.stat().st_size < 4 << 20]


def _weights(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def _save_2(path, serve, signature, **kept):
    import tensorflow as tf
    module = tf.Module()
    module.kept = kept
    module.serve = tf.function(serve, autograph=False, input_signature=signature)
    tf.saved_model.save(module, str(path), signatures=module.serve)


def _dense_2(path):
    import tensorflow as tf
    first, second = tf.Variable(_weights(3, 5)), tf.Variable(_weights(5, 2))

    def serve(x):
        hidden = tf.nn.relu(tf.matmul(x, first) + 0.5)
        return {"score": tf.tanh(tf.matmul(hidden, second))[:, 0],
                "all": tf.nn.softmax(tf.matmul(hidden, second))}

    _save_2(path, serve, [tf.TensorSpec([None, 3], tf.float32, "x")], first=first, second=second)


def _branches_2(path):
    import tensorflow as tf
    weights = tf.Variable(_weights(3, 3))

    def serve(x):
        _, x = tf.while_loop(lambda turn, _: turn < 3,
                             lambda turn, x: (turn + 1, tf.tanh(tf.matmul(x, weights)) + x),
                             (0, x), shape_invariants=(tf.TensorShape([]),
                                                       tf.TensorShape([None, 3])))
        flag = tf.size(x) > 0
        x = tf.cond(flag, lambda: x * 2.0, lambda: x - 1.0)
        return {"score": tf.reduce_sum(x ** 2, 1)}

    _save_2(path, serve, [tf.TensorSpec([None, 3], tf.float32, "x")], weights=weights)


def _words_2(path):
    import tensorflow as tf
    keys = tf.constant(["plum", "apple", "fig"])
    table = tf.lookup.StaticVocabularyTable(tf.lookup.KeyValueTensorInitializer(
        keys, tf.range(3, dtype=tf.int64)), 1)
    vectors = tf.Variable(_weights(4, 3))

    def serve(words, x):
        return {"score": tf.reduce_sum(tf.gather(vectors, table.lookup(words)) * x, 1) ** 2}

    _save_2(path, serve, [tf.TensorSpec([None], tf.string, "words"),
                          tf.TensorSpec([None, 3], tf.float32, "x")], vectors=vectors, table=table)


def _columns_2(path):
    import tensorflow as tf
    vectors = tf.Variable(_weights(5, 3))

    def serve(word, number):
        found = tf.gather(vectors, tf.strings.to_hash_bucket_fast(word, 5))
        return {"score": tf.reduce_sum(tf.tanh(found * number[:, None]), 1)}

    _save_2(path, serve, [tf.TensorSpec([None], tf.string, "word"),
                          tf.TensorSpec([None], tf.float32, "number")], vectors=vectors)


def _examples_2(path):
    import tensorflow as tf
    weights = tf.Variable(_weights(3, 1))

    def serve(examples):
        x = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([3], tf.float32)})["x"]
        return {"score": tf.tanh(tf.matmul(x, weights))[:, 0]}

    _save_2(path, serve, [tf.TensorSpec([None], tf.string, "examples")], weights=weights)


def _save_1(path, x, score):
    import tensorflow as tf
    v1 = tf.compat.v1
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {
            "serving_default": v1.saved_model.predict_signature_def({"x": x}, {"score": score})})
        builder.save()


def _dense_1(path):
    import tensorflow as tf
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [None, 3], "x")
    first = v1.get_variable("first", initializer=_weights(3, 5), use_resource=False)
    hidden = tf.concat([tf.nn.relu(tf.matmul(x, first)), x], 1)
    score = tf.reduce_sum(tf.sigmoid(hidden) * tf.reshape(tf.range(8.0), [1, 8]), 1, name="score")
    _save_1(path, x, score)


def _loop_1(path):
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util
    v1 = tf.compat.v1
    enabled = control_flow_util.ENABLE_CONTROL_FLOW_V2
    v1.disable_control_flow_v2()
    try:
        x = v1.placeholder(tf.float32, [None, 3], "x")
        weights = v1.get_variable("weights", initializer=_weights(3, 3), use_resource=False)
        _, state = tf.while_loop(lambda turn, _: turn < 3,
                                 lambda turn, state: (turn + 1, tf.tanh(tf.matmul(state, weights))),
                                 (tf.constant(0), x))
        _save_1(path, x, tf.reduce_sum(state, 1))
    finally:
        control_flow_util.ENABLE_CONTROL_FLOW_V2 = enabled
