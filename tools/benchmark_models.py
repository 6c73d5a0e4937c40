"""Models of any size for tools/benchmark_instrument.py; only their graphs matter, not their values.

Each is a function(folder, nodes) that writes a SavedModel of about so many nodes. Weights are never
initialised: instrumenting reads the graph alone.
"""

import itertools
import os
import pathlib

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
BLOCK = 64 << 20  # bytes written at a time


def deep(folder, nodes):
    """A deep perceptron of ref variables."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 64], name="x")
        h = x
        for layer in itertools.count():
            weights = v1.get_variable(f"layer_{layer}/weights", [64, 64], use_resource=False)
            bias = v1.get_variable(f"layer_{layer}/bias", [64], use_resource=False)
            h = tf.nn.relu(tf.matmul(h, weights) + bias)
            if len(graph.get_operations()) > nodes - 400:
                break
        _write(folder, graph, {"x": x}, tf.reduce_sum(h, 1))


def wide(folder, nodes):
    """Categorical columns out of tf.Examples, hashed, looked up safely and pooled; and numbers."""
    with tf.Graph().as_default() as graph:
        serialized = v1.placeholder(tf.string, [None], name="examples")
        columns = max(nodes // 71, 1)
        spec = {f"words_{k}": tf.io.VarLenFeature(tf.string) for k in range(columns)}
        spec.update({f"number_{k}": tf.io.FixedLenFeature([], tf.float32) for k in range(columns)})
        parsed = v1.io.parse_example(serialized, spec)
        parts = [parsed[f"number_{k}"][:, None] for k in range(columns)]
        for k in range(columns):
            words = parsed[f"words_{k}"]
            ids = tf.SparseTensor(words.indices, tf.strings.to_hash_bucket_fast(words.values, 1000),
                                  words.dense_shape)
            table = v1.get_variable(f"words_{k}/table", [1000, 16], use_resource=k % 2 == 0)
            parts.append(v1.nn.safe_embedding_lookup_sparse([table], ids, combiner="mean"))
        h = tf.concat(parts, 1)
        for layer, width in enumerate((256, 64, 1)):
            weights = v1.get_variable(f"top_{layer}", [h.shape[1], width], use_resource=False)
            h = tf.tanh(tf.matmul(h, weights))
        _write(folder, graph, {"examples": serialized}, h[:, 0])


def towers(folder, nodes):
    """Convolutions in several towers that are joined again and again, frozen, with batch norm."""
    with tf.Graph().as_default() as graph:
        image = v1.placeholder(tf.float32, [None, 32, 32, 3], name="image")
        h = tf.nn.conv2d(image, _constant(3, 3, 3, 32), 1, "SAME")
        while len(graph.get_operations()) < nodes - 100:
            branches = [_convolution(h, 1), _convolution(_convolution(h, 1), 3),
                        _convolution(_convolution(_convolution(h, 1), 3), 3),
                        _convolution(tf.nn.avg_pool2d(h, 3, 1, "SAME"), 1)]
            h = tf.concat(branches, 3)
        logits = tf.matmul(tf.reduce_mean(h, [1, 2]), _constant(h.shape[3], 10))
        _write(folder, graph, {"image": image}, tf.nn.softmax(logits))


def _convolution(x, size):
    """Eight channels, normalised by constants, as slim writes it."""
    y = tf.nn.conv2d(x, _constant(size, size, x.shape[3], 8), 1, "SAME")
    normal = v1.nn.fused_batch_norm(y, _constant(8), _constant(8), _constant(8), _constant(8),
                                    is_training=False)[0]
    return tf.nn.relu(normal)


def _constant(*shape):
    return tf.identity(tf.constant(np.full(shape, 0.01, np.float32)))


def nested(folder, nodes):
    """A TensorFlow 2 model: a function per layer, called in blocks, which are functions too."""
    model = tf.Module()
    model.kept = []

    def layer():
        weights = tf.Variable(np.full([32, 32], 0.01, np.float32))
        model.kept.append(weights)
        return tf.function(lambda x: x + tf.nn.gelu(tf.matmul(tf.nn.l2_normalize(x, 1), weights)))

    def block():
        layers = [layer() for _ in range(4)]

        def call(x):
            for one in layers:
                x = one(x)
            return x
        return tf.function(call)

    blocks = [block() for _ in range(max(nodes // 120, 1))]

    @tf.function(input_signature=[tf.TensorSpec([None, 32], tf.float32, name="x")])
    def serve(x):
        for one in blocks:
            x = one(x)
        return {"score": tf.reduce_sum(x, 1)}

    model.serve = serve
    tf.saved_model.save(model, str(folder), signatures={"serving_default": serve})


def conditions(folder, nodes):
    """TensorFlow 1 layers that ask the caller, each with a condition of its own, what to do."""
    was_on = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            x = v1.placeholder(tf.float32, [None, 32], name="x")
            training = v1.placeholder(tf.bool, [], name="training")
            h = x
            for layer in itertools.count():
                weights = v1.get_variable(f"layer_{layer}", [32, 32], use_resource=True)
                h = tf.matmul(h, weights)
                h = v1.cond(training, lambda: tf.tanh(h), lambda: tf.nn.relu(h) * weights[0])
                if len(graph.get_operations()) > nodes - 100:
                    break
            _write(folder, graph, {"x": x, "training": training}, tf.reduce_sum(h, 1))
    finally:
        if was_on:
            v1.enable_control_flow_v2()


def _write(folder, graph, inputs, output):
    """A SavedModel of a graph, with the ops that restore its variables and an empty checkpoint."""
    with graph.as_default():
        saver = v1.train.Saver().saver_def if v1.global_variables() else None
    signature = v1.saved_model.predict_signature_def(inputs, {"score": tf.identity(output)})
    proto = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    meta_graph = proto.meta_graphs.add()
    meta_graph.CopyFrom(v1.train.export_meta_graph(graph=graph, saver_def=saver))
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.signature_def["serving_default"].CopyFrom(signature)
    folder = pathlib.Path(folder)
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    (folder / "variables" / "variables.index").write_bytes(b"index")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"data")


def heavy(folder, gigabytes):
    """A ranker whose variables file has so many gigabytes of bytes that are not zero."""
    wide(folder, 1000)
    block = np.random.RandomState(0).randint(1, 256, BLOCK, np.uint8).tobytes()
    file = pathlib.Path(folder) / "variables" / "variables.data-00000-of-00001"
    with open(file, "wb") as stream:
        for _ in range(int(gigabytes * (1 << 30)) // BLOCK):
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())


KINDS = {"deep": deep, "wide": wide, "towers": towers, "nested": nested, "conditions": conditions}
