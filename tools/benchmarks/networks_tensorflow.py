"""The networks in TensorFlow: lookup, the affine part in front, and the rest, one row per example.

The split is what the limit and the reference are computed with; the exported model is their chain.
"""

import tensorflow as tf

from tools.benchmarks.models import RESNET_STAGES


def lookup(model, weights, inputs):
    """The tensor at which attribution belongs."""
    return tf.gather(weights["table"], inputs) if model.vocabulary else tf.convert_to_tensor(
        inputs)


def head(model, weights, x):
    """Scores of x: [rows] for one class, else [rows, classes]."""
    return rest(model, weights, affine(model, weights, x))


def affine(model, weights, x):
    """The tensors behind the affine part of the network."""
    return _NETWORKS[model.name][0](weights, x)


def rest(model, weights, frontier):
    """Scores from there on."""
    return _scores(model, _NETWORKS[model.name][1](weights, frontier))


def straight(model, weights, x):
    """The last tensors that run along a straight line from a baseline of zeros.

    Behind a convolution of zeros all places are the bias, so the one that is largest at x is so
    all along the path: there the largest of all places is a straight line, too.
    """
    found = affine(model, weights, x)
    return [tf.reduce_max(z, 1) for z in found] if model.name in _POOLED_LAST else found


def behind_straight(model, weights, tensors):
    """Scores from there on."""
    if model.name not in _POOLED_LAST:
        return rest(model, weights, tensors)
    return _scores(model, _POOLED_LAST[model.name](weights, tensors))


def _scores(model, logits):
    return tf.sigmoid(logits[:, 0]) if model.classes == 1 else tf.nn.softmax(logits)


def _dense(weights, x, name):
    return tf.nn.bias_add(tf.matmul(x, weights[name]), weights[f"{name}_bias"])


def _chain(weights, z, count, prefix="dense"):
    """The dense layers behind the first pre-activation."""
    for number in range(1, count):
        z = _dense(weights, tf.nn.relu(z), f"{prefix}{number}")
    return z


def _flat_affine(weights, x):
    width = x.shape[1] * x.shape[2]
    return [_dense(weights, tf.reshape(x, [-1, width]), "dense0")]


def _pooled_affine(weights, x):
    return [_dense(weights, tf.reduce_mean(x, 1), "dense0")]


def _convolved(weights, x):
    return [tf.nn.bias_add(tf.nn.conv1d(x, weights[f"conv{size}"], 1, "VALID"),
                           weights[f"conv{size}_bias"]) for size in (3, 4, 5)]


def _text_cnn_rest(weights, frontier):
    found = [tf.reduce_max(tf.nn.relu(z), 1) for z in frontier]
    return _dense(weights, tf.concat(found, 1), "dense0")


def _of_maxima(weights, found):
    return _dense(weights, tf.nn.relu(tf.concat(found, 1)), "dense0")


def _gru_affine(weights, x):
    return [tf.nn.bias_add(tf.tensordot(x, weights["input"], 1), weights["input_bias"])]


def _gru_rest(weights, frontier):
    """Gates in the order of torch.nn.GRU: reset, update, new; the steps come out of a TensorArray,
    as those of tf.nn.dynamic_rnn and Keras do."""
    steps = frontier[0].shape[1]
    projected = tf.transpose(frontier[0], [1, 0, 2])
    start = tf.zeros([tf.shape(projected)[1], 128], projected.dtype)
    inputs = tf.TensorArray(projected.dtype, steps).unstack(projected)

    def step(time, state):
        mine = inputs.read(time)
        recurrent = tf.nn.bias_add(tf.matmul(state, weights["state"]), weights["state_bias"])
        reset, update, new = tf.split(mine, 3, 1)
        again = tf.split(recurrent, 3, 1)
        reset, update = tf.sigmoid(reset + again[0]), tf.sigmoid(update + again[1])
        new = tf.tanh(new + reset * again[2])
        return time + 1, (1 - update) * new + update * state

    state = tf.while_loop(lambda time, _: time < steps, step, (0, start),
                          shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 128])),
                          maximum_iterations=steps)[1]
    return _dense(weights, state, "dense0")


def _split_heads(x):
    shape = [-1, x.shape[1], 4, x.shape[2] // 4]
    return tf.transpose(tf.reshape(x, shape), [0, 2, 1, 3])


def _normal(weights, x, name):
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, weights[f"{name}_shift"],
                                     weights[f"{name}_scale"], 1e-5)


def _projections(weights, x, layer):
    return [tf.nn.bias_add(tf.tensordot(x, weights[f"{name}{layer}"], 1),
                           weights[f"{name}{layer}_bias"]) for name in ("query", "key", "value")]


def _transformer_affine(weights, x):
    placed = x + weights["positions"]
    return [*_projections(weights, placed, 0), placed]


def _attended(weights, frontier, layer):
    query, key, value = (_split_heads(part) for part in frontier[:3])
    scale = tf.cast(query.shape[-1], query.dtype) ** -0.5
    shares = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * scale)
    mixed = tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3])
    mixed = tf.reshape(mixed, tf.shape(frontier[3]))
    mixed = tf.ensure_shape(mixed, [None, *frontier[3].shape[1:]])
    mixed = tf.nn.bias_add(tf.tensordot(mixed, weights[f"mixed{layer}"], 1),
                           weights[f"mixed{layer}_bias"])
    x = _normal(weights, frontier[3] + mixed, f"first{layer}")
    wide = tf.tensordot(x, weights[f"wide{layer}_0"], 1) + weights[f"wide{layer}_0_bias"]
    narrow = tf.tensordot(tf.nn.relu(wide), weights[f"wide{layer}_1"], 1)
    return _normal(weights, x + narrow + weights[f"wide{layer}_1_bias"], f"second{layer}")


def _transformer_rest(weights, frontier):
    x = _attended(weights, frontier, 0)
    x = _attended(weights, [*_projections(weights, x, 1), x], 1)
    return _dense(weights, tf.reduce_mean(x, 1), "dense0")


def _normed(weights, x, name, stride):
    """Convolution and batch norm as it is after training: a scale and a shift."""
    kernel = weights[name]
    before, after = ((kernel.shape[0] - 1) // 2, kernel.shape[0] // 2)
    if stride > 1:  # as torch does it; "SAME" would start elsewhere
        x = tf.pad(x, [[0, 0], [before, after], [before, after], [0, 0]])
    x = tf.nn.conv2d(x, kernel, stride, "VALID" if stride > 1 else "SAME")
    ones = tf.ones([kernel.shape[-1]], x.dtype)
    return tf.compat.v1.nn.fused_batch_norm(
        x, weights[f"{name}_scale"], weights[f"{name}_shift"], tf.zeros_like(ones), ones,
        epsilon=1.001e-5, is_training=False)[0]


def _resnet_affine(weights, x):
    return [_normed(weights, x, "stem", 2)]


def _resnet_rest(weights, frontier):
    x = tf.nn.relu(frontier[0])
    for stage, (_, blocks) in enumerate(RESNET_STAGES):
        for block in range(blocks):
            name = f"block{stage}_{block}"
            first = block == 0 and stage > 0
            y = tf.nn.relu(_normed(weights, x, f"{name}_a", 2 if first else 1))
            y = _normed(weights, y, f"{name}_b", 1)
            skip = _normed(weights, x, f"{name}_skip", 2) if first else x
            x = tf.nn.relu(skip + y)
    return _dense(weights, tf.reduce_mean(x, [1, 2]), "dense0")


_NETWORKS = {
    "ranker": (_flat_affine, lambda weights, z: _chain(weights, z[0], 4)),
    "text_cnn": (_convolved, _text_cnn_rest),
    "pooled": (_pooled_affine, lambda weights, z: _chain(weights, z[0], 3)),
    "gru": (_gru_affine, _gru_rest),
    "transformer": (_transformer_affine, _transformer_rest),
    "resnet": (_resnet_affine, _resnet_rest),
    "tiny": (_flat_affine, lambda weights, z: _chain(weights, z[0], 2)),
}
_POOLED_LAST = {"text_cnn": _of_maxima}
