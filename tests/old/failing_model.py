"""A model whose code fails under the recorder: everything is then as it was before.

    python failing_model.py

Runs in TensorFlow 1.15 and 2. Prints "as before", or ends with an AssertionError.
"""

import importlib
import inspect
import sys
import types

import tensorflow as tf

from ig_tf.points import feature_columns
from tensorflow.python.ops.embedding_ops import embedding_lookup  # a name of its own

v1 = tf.compat.v1
fc = tf.feature_column
try:
    import tf_keras  # noqa: F401
except ImportError:
    pass


class Broken(Exception):
    pass


def fail(years):
    raise Broken("in the model's code")


def model(features, labels=None, mode=None):
    """Fails after the first lookup: columns are evaluated in the order of their names."""
    job = fc.embedding_column(fc.categorical_column_with_hash_bucket("job", 5), 2)
    last = fc.numeric_column("years", normalizer_fn=fail)
    v1.feature_column.input_layer(features, [job, last])


def build():
    with tf.Graph().as_default():
        model({"job": tf.constant([["a"]]), "years": tf.constant([[1.0]])})


def train():
    def inputs():
        return tf.data.Dataset.from_tensors(({"job": [["a"]], "years": [[1.0]]}, [[0]]))

    tf.estimator.Estimator(model).train(inputs, steps=1)


def functions():
    """{where a function stands: the function} of TensorFlow, of its classes and of this file."""
    found = {}
    for module in list(sys.modules.values()):
        if not isinstance(module, types.ModuleType):
            continue
        if module.__name__.partition(".")[0] not in ("tensorflow", "tf_keras", "__main__"):
            continue
        for name, value in list(vars(module).items()):
            if inspect.isfunction(value):
                found[module.__name__, name] = value
            elif inspect.isclass(value):
                for member, part in list(vars(value).items()):
                    if inspect.isfunction(part):
                        found[module.__name__, name, member] = part
    return found


def wrappers(found):
    return [place for place, function in found.items()
            if function.__code__.co_filename == feature_columns.__file__]


def check(failing):
    before = functions()
    embeddings = importlib.import_module("tensorflow.python.ops.embedding_ops")
    assert not wrappers(before)
    try:
        with feature_columns.record_feature_columns():
            assert embedding_lookup is embeddings.embedding_lookup
            assert embedding_lookup is v1.nn.embedding_lookup
            assert ("__main__", "embedding_lookup") in wrappers(functions())
            with feature_columns.record_feature_columns():
                failing()
    except Broken:
        pass
    else:
        raise AssertionError("the model did not fail")
    after = functions()
    assert not wrappers(after), wrappers(after)
    changed = [place for place, function in before.items() if after.get(place) is not function]
    assert not changed, changed
    assert not feature_columns._here.lookups and feature_columns._here.column is None
    with tf.Graph().as_default() as graph:
        embedding_lookup(v1.get_variable("table", [3, 2]), [1])
    assert not feature_columns.records(graph)


def main():
    check(build)
    if tf.__version__.startswith("1."):
        check(train)
    print("as before")


if __name__ == "__main__":
    main()
