"""Frozen graphs, checkpoints with their metagraphs and Keras files, and mutations of them."""

import io
import json
import pathlib
import zipfile

import numpy as np

from tools.fuzzing import bases, mutate_files, mutate_model

FROZEN, CHECKPOINT, KERAS = "frozen", "checkpoint", "keras"
KINDS = (FROZEN, CHECKPOINT, KERAS)
PREFIX = "model.ckpt-7"
X, SCORE = "x", "score"  # the input and the output of every graph here


def made(kind, folder):
    """[`bases.Base`] of a kind, made once in a folder that is used again."""
    folder = pathlib.Path(folder)
    x = np.random.default_rng(7).normal(size=(2, 3)).astype(np.float32)
    found = []
    for name, make in _MAKERS[kind].items():
        path = folder / name
        if not path.exists():
            path.mkdir(parents=True)
            make(path)
        found.append(bases.Base(name, str(path), {X: x}))
    return found


def _dense(v1, x, trained):
    """A layer and a sum; its weights are variables or constants."""
    import tensorflow as tf
    values = np.random.default_rng(3).normal(size=(3, 5)).astype(np.float32)
    weights = v1.get_variable("weights", initializer=values, use_resource=False) if (
        trained) else tf.constant(values, name="weights")
    hidden = tf.concat([tf.nn.relu(tf.matmul(x, weights)), x], 1)
    tf.reduce_sum(tf.sigmoid(hidden) * tf.reshape(tf.range(8.0), [1, 8]), 1, name=SCORE)


def _looped(v1, x, trained):
    """A loop of TensorFlow 1: frames, not functions."""
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util
    values = np.random.default_rng(4).normal(size=(3, 3)).astype(np.float32)
    weights = v1.get_variable("weights", initializer=values, use_resource=True) if (
        trained) else tf.constant(values, name="weights")
    enabled = control_flow_util.ENABLE_CONTROL_FLOW_V2
    v1.disable_control_flow_v2()
    try:
        _, state = tf.while_loop(lambda turn, _: turn < 3,
                                 lambda turn, state: (turn + 1, tf.tanh(tf.matmul(state, weights))),
                                 (tf.constant(0), x))
    finally:
        control_flow_util.ENABLE_CONTROL_FLOW_V2 = enabled
    tf.reduce_sum(state, 1, name=SCORE)


def _frozen(build, ending):
    def make(path):
        import tensorflow as tf
        from google.protobuf import text_format
        v1 = tf.compat.v1
        with tf.Graph().as_default() as graph:
            build(v1, v1.placeholder(tf.float32, [None, 3], X), False)
        proto = graph.as_graph_def()
        data = text_format.MessageToString(proto).encode() if ending == "pbtxt" else (
            proto.SerializeToString(deterministic=True))
        (path / f"graph.{ending}").write_bytes(data)
    return make


def _checkpoint(build):
    def make(path):
        import tensorflow as tf
        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as session:
            build(v1, v1.placeholder(tf.float32, [None, 3], X), True)
            session.run(v1.global_variables_initializer())
            v1.train.Saver().save(session, str(path / "model.ckpt"), global_step=7)
    return make


def _keras(ending):
    def make(path):
        import keras
        keras.utils.set_random_seed(5)
        x = keras.Input([3], name=X)
        hidden = keras.layers.Dense(4, activation="tanh", name="hidden")(x)
        hidden = keras.layers.BatchNormalization(name="norm")(hidden)
        out = keras.layers.Dense(2, activation="softmax", name=SCORE)(
            keras.layers.Concatenate(name="both")([hidden, x]))
        keras.Model(x, out).save(str(path / f"model.{ending}"))
    return make


_MAKERS = {
    FROZEN: {"frozen": _frozen(_dense, "pb"), "frozen_loop": _frozen(_looped, "pb"),
             "frozen_text": _frozen(_dense, "pbtxt")},
    CHECKPOINT: {"checkpoint": _checkpoint(_dense), "checkpoint_loop": _checkpoint(_looped)},
    KERAS: {"keras": _keras("keras"), "keras_h5": _keras("h5")}}


def mutate(kind, dice, folder):
    """Changes one file of a folder in place; returns the names of what was done."""
    folder = pathlib.Path(folder)
    if kind == FROZEN:
        file, = folder.iterdir()
        return _changed(file, dice, "graph" if file.suffix == ".pb" else "bytes")
    if kind == CHECKPOINT:
        ending = dice.choice((".meta",) * 6 + (".index", ".data-00000-of-00001", "checkpoint"))
        file = folder / (ending if ending == "checkpoint" else PREFIX + ending)
        if ending != ".meta" and dice.random() < 0.1:
            file.unlink()
            return [f"{ending}: removed"]
        return _changed(file, dice, "meta" if ending == ".meta" else "bytes")
    file, = folder.iterdir()
    return _changed(file, dice, dice.choice(("bytes", "config", "config", "config")))


def _changed(file, dice, how):
    data, names = _WAYS[how](dice, file.read_bytes())
    file.unlink()  # it may be a link to the sound one
    file.write_bytes(data)
    return [f"{file.suffix or file.name}: {name}" for name in names]


def _bytes(dice, data):
    changed, name = mutate_files.mutate_bytes(dice, data)
    return changed, [name]


def _message(wrap, unwrap):
    """Mutations of a SavedModel's message for a part of one."""
    def change(dice, data):
        if dice.random() < 0.15:
            return _bytes(dice, data)
        from tensorflow.core.protobuf import saved_model_pb2
        proto = saved_model_pb2.SavedModel()
        wrap(proto).ParseFromString(data)
        names = mutate_model.change(dice, proto)
        return unwrap(proto).SerializeToString(deterministic=True), names
    return change


def _config(dice, data):
    """The description of the layers: a file of an archive, or an attribute of an HDF5 file."""
    return (_zipped if data.startswith(b"PK") else _of_hdf5)(dice, data)


def _zipped(dice, data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = dice.choice(("config.json",) * 4 + ("metadata.json", "model.weights.h5"))
    kind = dice.randrange(12)
    said = f"{name}: "
    if kind == 0:
        del files[name]
        said += "removed"
    elif kind == 1:
        strange = dice.choice(("../escaped", "/tmp/escaped", name.upper(), "x" * 300, "é"))
        files[strange] = files.pop(name)
        said += "renamed"
    elif name.endswith("json"):
        files[name], done = mutate_files.mutate_json_bytes(dice, files[name])
        said += done
    else:
        files[name], done = mutate_files.mutate_bytes(dice, files[name])
        said += done
    made_of = io.BytesIO()
    with zipfile.ZipFile(made_of, "w") as archive:
        for one, content in files.items():
            archive.writestr(one, content)
    return made_of.getvalue(), [said]


def _of_hdf5(dice, data):
    import h5py
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        if dice.random() < 0.8:
            changed, name = mutate_files.mutate_json(dice, json.loads(file.attrs["model_config"]))
            file.attrs["model_config"] = json.dumps(changed)
            name = f"model_config: {name}"
        else:
            names = []
            file["model_weights"].visit(names.append)
            one = dice.choice(sorted(names))
            del file["model_weights"][one]
            name = "weights: removed"
    return stream.getvalue(), [name]


_WAYS = {
    "bytes": _bytes, "config": _config,
    "graph": _message(lambda proto: proto.meta_graphs.add().graph_def,
                      lambda proto: proto.meta_graphs[0].graph_def),
    "meta": _message(lambda proto: proto.meta_graphs.add(), lambda proto: proto.meta_graphs[0])}
