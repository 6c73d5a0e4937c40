"""Bad input at the Python level: one clear refusal each, and nothing written or changed."""

import json
import os
import pathlib
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import ig_tf
from ig_tf import errors
from ig_tf.errors import (ArtifactError, GraphError, IgTfError, OutputError, PointError,
                          SignatureError, TargetError)
from ig_tf.export import saved_model as writer

tf1 = tf.compat.v1


def save_model(folder, tag_sets=(("serve",),), names=("serving_default",)):
    """A small model of x [batch, 3] with a variable, in MetaGraphs of these tags."""
    builder = tf1.saved_model.Builder(str(folder))
    for number, tags in enumerate(tag_sets):
        with tf.Graph().as_default():
            x = tf1.placeholder(tf.float32, [None, 3], "x")
            unused = tf1.placeholder(tf.float32, [None], "unused")
            weights = tf1.get_variable("weights", initializer=np.ones((3, 2), np.float32))
            scores = tf.nn.softmax(tf.matmul(tf.tanh(x), weights), name="scores")
            outputs = {"scores": scores, "label": tf.argmax(scores, 1), "loss": tf.reduce_sum(x)}
            signature = tf1.saved_model.predict_signature_def({"x": x, "unused": unused}, outputs)
            signatures = {name: signature for name in names}
            with tf1.Session() as session:
                session.run(tf1.global_variables_initializer())
                if number == 0:
                    builder.add_meta_graph_and_variables(session, tags, signatures)
                else:
                    builder.add_meta_graph(tags, signatures)
    builder.save()
    return folder


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture(name="several", scope="module")
def fixture_several(tmp_path_factory):
    """Three MetaGraphs, none tagged `serve` alone, and two signatures, none the default."""
    return save_model(tmp_path_factory.mktemp("models") / "several",
                      [("serve", "gpu"), ("train",), ("serve", "tpu")], ["classify", "regress"])


@pytest.fixture(name="plan", scope="module")
def fixture_plan(folder):
    return ig_tf.instrument(ig_tf.load(folder), steps=4)


def tree(folder):
    """{relative path: bytes} of all files of a folder, its empty folders too."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        found[path.relative_to(folder).as_posix()] = path.read_bytes() if path.is_file() else None
    return found


# Reading --------------------------------------------------------------------------------------


def message_of(kind, function, *args, **kwargs):
    with pytest.raises(kind) as caught:
        function(*args, **kwargs)
    assert isinstance(caught.value, IgTfError)
    return str(caught.value)


def test_nothing_there(tmp_path):
    message = message_of(ArtifactError, ig_tf.load, tmp_path / "gone")
    assert "found nothing" in message and str(tmp_path / "gone") in message


def test_a_file_is_no_saved_model(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(b"anything")
    assert "found a file" in message_of(ArtifactError, ig_tf.load, path)


def test_the_message_file_itself_is_no_saved_model(folder):
    assert "found a file" in message_of(ArtifactError, ig_tf.load, folder / "saved_model.pb")


def test_a_folder_without_a_message_says_what_it_found(tmp_path):
    (tmp_path / "checkpoint").write_text("")
    message = message_of(ArtifactError, ig_tf.load, tmp_path)
    assert "neither saved_model.pb nor saved_model.pbtxt" in message
    assert "['checkpoint']" in message


@pytest.mark.parametrize("change", [
    lambda data: data[:len(data) // 2], lambda data: data[:-1], lambda data: b"\xff" * 100,
    lambda data: b"PK\x03\x04" + data])
def test_a_truncated_or_foreign_message(folder, tmp_path, change):
    data = (folder / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(change(data))
    message = message_of(ArtifactError, ig_tf.load, tmp_path)
    assert "is not a SavedModel message" in message and "saved_model.pb" in message


@pytest.mark.parametrize("data", [b"meta_graphs { not text", b"\xff\xfe\x00"])
def test_a_broken_text_message(tmp_path, data):
    (tmp_path / "saved_model.pbtxt").write_bytes(data)
    message = message_of(ArtifactError, ig_tf.load, tmp_path)
    assert "saved_model.pbtxt" in message and "is not a SavedModel message" in message


def test_an_empty_message(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert "without any MetaGraph" in message_of(ArtifactError, ig_tf.load, tmp_path)


def test_a_message_that_cannot_be_read(tmp_path):
    (tmp_path / "saved_model.pb").mkdir()
    assert "cannot read" in message_of(ArtifactError, ig_tf.load, tmp_path)


@pytest.mark.parametrize("tags", [["gpu"], ["serve", "gpu"], []])
def test_wrong_tags_list_those_that_exist(folder, tags):
    message = message_of(SignatureError, ig_tf.load, folder, tags=tags)
    assert str(sorted(tags)) in message and "--tags=serve" in message


def test_several_meta_graphs_are_listed_and_each_can_be_named(several):
    message = message_of(SignatureError, ig_tf.load, several, signature="classify")
    listed = {frozenset(flag.rstrip(".;").removeprefix("--tags=").split(","))
              for flag in message.split() if flag.startswith("--tags=")}
    assert listed == {frozenset({"serve", "gpu"}), frozenset({"train"}),
                      frozenset({"serve", "tpu"})}
    for tags in listed:
        assert set(ig_tf.load(several, tags=tags, signature="classify").tags) == tags


def test_wrong_tags_of_several(several):
    message = message_of(SignatureError, ig_tf.load, several, tags=["serve"])
    assert all(flag in message for flag in ("--tags=gpu,serve", "--tags=train", "--tags=serve,tpu"))


def test_no_such_signature_lists_those_that_exist(folder, several):
    message = message_of(SignatureError, ig_tf.load, folder, signature="predict")
    assert "'predict'" in message and "'serving_default'" in message
    message = message_of(SignatureError, ig_tf.load, several, tags=["train"])
    assert "'classify'" in message and "'regress'" in message
    assert "--signature=classify" in message
    assert ig_tf.load(several, tags=["train"], signature="classify").signature_name == "classify"


def test_a_model_without_signatures(tmp_path):
    bare = save_model(tmp_path / "bare", names=())
    assert "no signature to explain" in message_of(SignatureError, ig_tf.load, bare)
    assert "it has: none" in message_of(SignatureError, ig_tf.load, bare, signature="x")


def edited(folder, tmp_path, change):
    """A copy of a model whose GraphDef was changed."""
    copy = tmp_path / "edited"
    shutil.copytree(folder, copy)
    proto = saved_model_pb2.SavedModel.FromString((copy / "saved_model.pb").read_bytes())
    change(proto.meta_graphs[0])
    (copy / "saved_model.pb").write_bytes(proto.SerializeToString())
    return copy


def custom_op(meta_graph):
    next(node for node in meta_graph.graph_def.node if node.op == "Tanh").op = "SentencepieceOp"


def test_an_op_of_another_package_is_named(folder, tmp_path):
    model = ig_tf.load(edited(folder, tmp_path, custom_op))
    message = message_of(GraphError, ig_tf.instrument, model)
    assert "SentencepieceOp" in message and tf.__version__ in message and "Import" in message


def missing_node(meta_graph):
    nodes = meta_graph.graph_def.node
    del nodes[next(i for i, node in enumerate(nodes) if node.op == "Tanh")]


def test_a_missing_node_is_named(folder, tmp_path):
    model = ig_tf.load(edited(folder, tmp_path, missing_node))
    assert "no node 'Tanh'" in message_of(GraphError, ig_tf.instrument, model)


def missing_output(meta_graph):
    meta_graph.signature_def["serving_default"].outputs["scores"].name = "nowhere:0"


def test_a_signature_of_a_missing_tensor(folder, tmp_path):
    model = ig_tf.load(edited(folder, tmp_path, missing_output))
    assert "'nowhere'" in message_of(GraphError, ig_tf.instrument, model)


def missing_output_of_node(meta_graph):
    meta_graph.signature_def["serving_default"].outputs["scores"].name = "scores:5"


def test_a_signature_of_a_missing_output_of_a_node(folder, tmp_path):
    model = ig_tf.load(edited(folder, tmp_path, missing_output_of_node))
    assert "scores:5" in message_of(GraphError, ig_tf.instrument, model)


# Targets and points ---------------------------------------------------------------------------


@pytest.mark.parametrize("target, words", [
    ("nothing", ["'nothing'", "scores float32 [?, 2]", "label int64 [?]"]),
    ("scores:2", ["index 2 is out of range", "[?, 2]", "at most 1"]),
    ("scores:0,0", ["has 2 numbers", "[?, 2]", "--target=scores:top"]),
    ("scores", ["[?, 2]", "--target=scores:top"]),
    ("label", ["is int64", "scores [?, 2]"]),
    ("loss", ["shape []", "[batch]"]),
])
def test_targets_that_cannot_be_explained(folder, target, words):
    message = message_of(TargetError, ig_tf.instrument, ig_tf.load(folder), target=target)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("points, words", [
    (["nothing"], ["'nothing'", "Points: x", "signature inputs: unused, x"]),
    (["unused"], ["'scores:0' does not depend on point 'unused:0'", "leads to nothing"]),
    (["label"], ["'ArgMax:0' is int64"]),
    (["x", "Tanh"], ["lies behind", "twice"]),
])
def test_points_that_cannot_be_attributed_to(folder, points, words):
    points = ["ArgMax" if name == "label" else name for name in points]
    message = message_of(PointError, ig_tf.instrument, ig_tf.load(folder), points=points)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("points", [[], ()])
def test_no_points_at_all(folder, points):
    message_of(PointError, ig_tf.instrument, ig_tf.load(folder), points=points)


@pytest.mark.parametrize("steps", [0, -3, 5000])
def test_steps_out_of_range(folder, steps):
    assert f"found {steps}" in message_of(
        IgTfError, ig_tf.instrument, ig_tf.load(folder), steps=steps)


@pytest.mark.parametrize("baseline, words", [
    ("ones", ["'ones'"]), ("gone.npz", ["gone.npz"]), ({"y": 1.0}, ["y", "x"]),
    ({"x": [1.0, 2.0]}, ["[2]", "[3]"]), (float("nan"), ["not finite"])])
def test_baselines_that_do_not_fit(folder, baseline, words):
    message = message_of(errors.BaselineError, ig_tf.instrument, ig_tf.load(folder),
                         baseline=baseline)
    assert all(word in message for word in words), message


def test_refusals_write_nothing(folder, tmp_path):
    before = tree(folder)
    for target in ("nothing", "scores:9", "label"):
        with pytest.raises(IgTfError):
            ig_tf.save(ig_tf.instrument(ig_tf.load(folder), target=target), tmp_path / "out")
    assert tree(folder) == before and not os.listdir(tmp_path)


# Writing --------------------------------------------------------------------------------------


def test_an_output_that_exists_is_left_alone(plan, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "precious").write_text("data")
    message = message_of(OutputError, ig_tf.save, plan, output)
    assert str(output) in message and "--overwrite" in message
    assert tree(tmp_path) == {"out": None, "out/precious": b"data"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_in_the_way_is_left_alone(plan, tmp_path, overwrite):
    (tmp_path / "out").write_text("data")
    message_of(OutputError, ig_tf.save, plan, tmp_path / "out", overwrite=overwrite)
    assert tree(tmp_path) == {"out": b"data"}


def test_a_link_to_nowhere_is_left_alone(plan, tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    message_of(OutputError, ig_tf.save, plan, tmp_path / "out")
    assert os.readlink(tmp_path / "out") == str(tmp_path / "gone")


def test_overwrite_replaces_and_leaves_nothing_beside(plan, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "old").write_text("data")
    ig_tf.save(plan, output, overwrite=True)
    assert os.listdir(tmp_path) == ["out"] and not (output / "old").exists()
    assert "attributions" in saved_model_pb2.SavedModel.FromString(
        (output / "saved_model.pb").read_bytes()).meta_graphs[0].signature_def


def test_the_model_is_never_its_own_output(plan, folder, tmp_path):
    before = tree(folder)
    link = tmp_path / "link"
    link.symlink_to(folder)
    for output in (folder, link, str(folder) + os.sep, folder / ".." / folder.name):
        for overwrite in (False, True):
            message_of(OutputError, ig_tf.save, plan, output, overwrite=overwrite)
    assert tree(folder) == before


def test_an_output_inside_the_model(folder, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    before = tree(copy)
    plan = ig_tf.instrument(ig_tf.load(copy), steps=2)
    message_of(OutputError, ig_tf.save, plan, copy / "inside")
    assert tree(copy) == before


def test_a_parent_that_is_a_file(plan, tmp_path):
    (tmp_path / "file").write_text("data")
    message = message_of(OutputError, ig_tf.save, plan, tmp_path / "file" / "out")
    assert "cannot write" in message
    assert tree(tmp_path) == {"file": b"data"}


def test_parents_are_made(plan, tmp_path):
    ig_tf.save(plan, tmp_path / "a" / "b" / "out")
    assert os.listdir(tmp_path / "a" / "b") == ["out"]


class Failure(Exception):
    """Something that nobody expects."""


def raising(kind):
    def fail(*_, **__):
        raise kind("simulated")
    return fail


def after(number, function, kind):
    """The function, but call `number` (from 0) raises."""
    calls = []

    def sometimes(*args, **kwargs):
        calls.append(args)
        if len(calls) == number + 1:
            raise kind("simulated")
        return function(*args, **kwargs)
    return sometimes


BREAKS = {
    "copying the first file": lambda patch, kind: patch(
        writer.shutil, "copyfileobj", raising(kind)),
    "copying the second file": lambda patch, kind: patch(
        writer.shutil, "copyfileobj", after(1, shutil.copyfileobj, kind)),
    "writing the message": lambda patch, kind: patch(writer, "_write_bytes", raising(kind)),
    "writing the record": lambda patch, kind: patch(
        writer, "_write_bytes", after(1, writer._write_bytes, kind)),
    "flushing to the disk": lambda patch, kind: patch(writer.os, "fsync", raising(kind)),
    "making the record": lambda patch, kind: patch(
        writer, "json", types.SimpleNamespace(dumps=raising(kind))),
    "renaming": lambda patch, kind: (patch(writer.exchange, "exchanged", lambda *_: False),
                                     patch(writer.os, "rename", raising(kind))),
    "exchanging": lambda patch, kind: (patch(writer.exchange, "exchanged", raising(kind)),
                                       patch(writer.os, "rename", raising(kind))),
}


@pytest.mark.parametrize("kind", [OSError, Failure, KeyboardInterrupt])
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("name", BREAKS)
def test_no_output_is_half_written(plan, tmp_path, monkeypatch, name, kind, exists):
    output = tmp_path / "out"
    if exists:
        output.mkdir()
        (output / "precious").write_text("data")
    before = tree(tmp_path)
    with monkeypatch.context() as context:
        BREAKS[name](context.setattr, kind)
        with pytest.raises(OutputError if kind is OSError else kind) as caught:
            ig_tf.save(plan, output, overwrite=exists)
    if kind is OSError:
        assert "simulated" in str(caught.value) and str(output) in str(caught.value)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_the_old_output_comes_back_when_the_new_one_cannot_take_its_place(
        plan, tmp_path, monkeypatch, kind):
    output = tmp_path / "out"
    output.mkdir()
    (output / "precious").write_text("data")
    before = tree(tmp_path)
    with monkeypatch.context() as context:
        context.setattr(writer.exchange, "exchanged", lambda *_: False)
        context.setattr(writer.os, "rename", after(1, os.rename, kind))
        with pytest.raises((OutputError, kind)):
            ig_tf.save(plan, output, overwrite=True)
    assert tree(tmp_path) == before


def test_saving_does_not_touch_the_model(plan, folder, tmp_path):
    before = tree(folder)
    ig_tf.save(plan, tmp_path / "copied")
    ig_tf.save(plan, tmp_path / "linked", link=True)
    assert tree(folder) == before
    record = json.loads((tmp_path / "copied" / "assets.extra" / "ig_tf.json").read_text())
    assert record["points"][0]["name"] == "x"


# The classes themselves -----------------------------------------------------------------------


def test_each_refusal_is_of_one_family():
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(kinds) >= 9
    assert all(issubclass(kind, IgTfError) for kind in kinds)
    assert all(kind.__doc__ for kind in kinds)
