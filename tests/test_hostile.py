"""Models from strangers: instrumenting runs nothing, loading refuses what reaches outside."""

import io
import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import ig_tf
from ig_tf.calibration import Calibration
from ig_tf.errors import ArtifactError, GraphError, IgTfError
from ig_tf.model import contents, hub, versions
from ig_tf.run import outside_ops
from ig_tf.warm_up import WarmUp
from tests import builders, conftest

v1 = tf.compat.v1
ROWS = [{"x": [1.0, 2.0]}]
GRAPHS = []  # TensorFlow forgets the Python functions of a graph that is gone


def marked_model(folder, where, mark, python=True):
    """A model of TensorFlow 1 that leaves a file wherever it is run.

    where: "init", "signature" or "other signature": who writes the file.
    python: whether a function of this process does, too.
    """
    def spoil():
        write = tf.io.write_file(str(mark), "run")
        calls = [v1.py_func(lambda: (mark.write_text("python"), np.float32(0))[1], [], tf.float32)
                 ] if python else []
        with tf.control_dependencies([write, *calls]):
            return tf.no_op("spoil")

    with tf.Graph().as_default() as graph, v1.Session() as session:
        GRAPHS.append(graph)
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        weights = v1.get_variable("w", initializer=np.array([1.0, 2.0], np.float32))
        spoiling = spoil()
        main = spoiling if where == "init" else None
        with tf.control_dependencies([spoiling] if where == "signature" else []):
            score = tf.reduce_sum(weights * x ** 2, 1)
        with tf.control_dependencies([spoiling]):
            other = tf.identity(score)
        session.run(v1.global_variables_initializer())
        predict = v1.saved_model.predict_signature_def
        signatures = {"serving_default": predict({"x": x}, {"score": score})}
        if where == "other signature":
            signatures["other"] = predict({"x": x}, {"score": other})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, main_op=main)
        builder.save()
    return folder


@pytest.mark.parametrize("where", ["init", "signature", "other signature"])
def test_instrumenting_runs_nothing(tmp_path, where):
    mark = tmp_path / "mark"
    marked_model(tmp_path / "model", where, mark)
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=4), tmp_path / "out")
    assert not mark.exists()


@pytest.mark.parametrize("where", ["init", "signature"])
def test_attribute_and_check_refuse_what_writes_files(tmp_path, where):
    mark = tmp_path / "mark"
    marked_model(tmp_path / "model", where, mark)
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=4), tmp_path / "out")
    for verb in (ig_tf.attribute, ig_tf.check):
        with pytest.raises(ArtifactError, match="--allow_unsafe_ops") as caught:
            verb(str(tmp_path / "out"), ROWS)
        assert "WriteFile (writes files; node 'WriteFile'" in str(caught.value)
        assert "PyFunc (runs Python" in str(caught.value)
    assert not mark.exists()


def test_what_is_allowed_runs(tmp_path):
    mark = tmp_path / "mark"
    marked_model(tmp_path / "model", "init", mark, python=False)
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=20), tmp_path / "out")
    found = ig_tf.attribute(str(tmp_path / "out"), ROWS, allow_unsafe_ops=True)
    assert mark.exists()
    np.testing.assert_allclose(found[0].points[0].scores, [1.0, 8.0], rtol=1e-5)


def test_what_another_signature_does_is_its_own_matter(tmp_path):
    mark = tmp_path / "mark"
    marked_model(tmp_path / "model", "other signature", mark)
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=20), tmp_path / "out")
    found = ig_tf.attribute(str(tmp_path / "out"), ROWS)
    np.testing.assert_allclose(found[0].points[0].scores, [1.0, 8.0], rtol=1e-5)
    assert not mark.exists()


def test_the_command_has_the_flag(tmp_path):
    mark = tmp_path / "mark"
    marked_model(tmp_path / "model", "init", mark)
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=4), tmp_path / "out")
    (tmp_path / "rows.jsonl").write_text('{"x": [1, 2]}\n')

    def run(*flags):
        return subprocess.run(
            [sys.executable, "-m", "tools.attribute_records", f"--model={tmp_path / 'out'}",
             f"--input={tmp_path / 'rows.jsonl'}", f"--output={tmp_path / 'results.jsonl'}",
             *flags], cwd=conftest.REPO, capture_output=True, text=True, check=False)

    refused = run()
    assert refused.returncode == 2 and "WriteFile (writes files" in refused.stderr
    assert "Traceback" not in refused.stderr and not mark.exists()


def networked_model(folder, mark):
    """A model that tells a debugger when it is loaded; where that is a folder, it is a mark."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        weights = v1.get_variable("w", initializer=np.array([1.0, 2.0], np.float32))
        sent = tf.raw_ops.DebugIdentity(input=tf.constant(1.0), debug_urls=[f"file://{mark}"],
                                        tensor_name="loaded")
        score = tf.reduce_sum(weights * x ** 2, 1)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {
            "serving_default": v1.saved_model.predict_signature_def({"x": x}, {"score": score})},
            main_op=sent.op)
        builder.save()
    return folder


UNSAFE = {
    "python": (lambda folder, mark: marked_model(folder, "signature", mark), "PyFunc (runs Python"),
    "init": (lambda folder, mark: marked_model(folder, "init", mark, python=False),
             "WriteFile (writes files"),
    "network": (networked_model, "DebugIdentity (talks to the network")}
SEVERAL = [{"x": [1.0, 2.0]}, {"x": [2.0, 1.0]}, {"x": [3.0, 0.5]}]


@pytest.mark.parametrize("kind", UNSAFE)
def test_what_runs_the_model_in_order_to_measure_it_asks_first(tmp_path, kind):
    """Calibration, warm-up and check run trials: none does without leave, and nothing is left."""
    make, said = UNSAFE[kind]
    mark, model = tmp_path / "mark", str(tmp_path / "model")
    make(tmp_path / "model", mark)
    with pytest.raises(ArtifactError, match="--allow_unsafe_ops") as caught:
        ig_tf.instrument(ig_tf.load(model), steps=Calibration(SEVERAL))
    assert said in str(caught.value) and repr(model) in str(caught.value)
    plan = ig_tf.instrument(ig_tf.load(model), steps=4)
    with pytest.raises(ArtifactError, match="--allow_unsafe_ops"):
        ig_tf.save(plan, tmp_path / "warm", warm_up=WarmUp(SEVERAL))
    assert not (tmp_path / "warm").exists()
    ig_tf.save(plan, tmp_path / "out")
    with pytest.raises(ArtifactError, match="--allow_unsafe_ops"):
        ig_tf.check(str(tmp_path / "out"), SEVERAL, also=("sanity",))
    assert not mark.exists()
    ig_tf.attribute(str(tmp_path / "out"), SEVERAL, allow_unsafe_ops=True)
    assert mark.exists()  # it would have been left


def test_calibration_that_is_allowed_runs(tmp_path):
    mark = tmp_path / "mark"
    marked_model(tmp_path / "model", "signature", mark, python=False)
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), rule="gauss_legendre",
                            steps=Calibration(SEVERAL, max_steps=4, allow_unsafe_ops=True))
    assert mark.exists() and plan.recipe.rule.steps == 4  # a parabola needs no more
    mark.unlink()
    ig_tf.save(plan, tmp_path / "out", warm_up=WarmUp(SEVERAL, allow_unsafe_ops=True))
    assert mark.exists() and (tmp_path / "out" / "saved_model.pb").exists()


@pytest.mark.parametrize("flag", ["--calibrate", "--warm_up"])
def test_the_command_that_instruments_has_the_flag(tmp_path, flag):
    mark = tmp_path / "mark"
    marked_model(tmp_path / "model", "init", mark)
    (tmp_path / "rows.jsonl").write_text('{"x": [1, 2]}\n{"x": [2, 1]}\n')
    refused = subprocess.run(
        [sys.executable, "-m", "tools.instrument_model", f"--model={tmp_path / 'model'}",
         f"--output={tmp_path / 'out'}", f"{flag}={tmp_path / 'rows.jsonl'}"],
        cwd=conftest.REPO, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "WriteFile (writes files" in refused.stderr
    assert "--allow_unsafe_ops" in refused.stderr and "Traceback" not in refused.stderr
    assert not mark.exists() and not (tmp_path / "out").exists()


class WithTable(tf.Module):
    """A model of TensorFlow 2 with a vocabulary, and a function that reads another file."""

    def __init__(self, vocabulary, outside=None):
        super().__init__()
        lines = tf.lookup.TextFileInitializer(
            vocabulary, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER)
        self.table = tf.lookup.StaticHashTable(lines, 3)
        self.vectors = tf.Variable(np.arange(8.0, dtype=np.float32).reshape(4, 2))
        self.outside = outside

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def serve(self, words):
        score = tf.reduce_sum(tf.gather(self.vectors, self.table.lookup(words)) ** 2, 1)
        if self.outside:
            data = tf.data.Dataset.from_tensors(self.outside).map(tf.io.read_file)
            for content in data:
                score += tf.cast(tf.strings.length(content), tf.float32)
        return {"score": score}


def save_with_table(folder, outside=None):
    (folder / "words.txt").write_text("plum\napple\nfig\n")
    module = WithTable(str(folder / "words.txt"), outside)
    tf.saved_model.save(module, str(folder / "model"),
                        signatures={"serving_default": module.serve})
    return folder / "model"


def found_in(model):
    proto = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    return outside_ops.find(proto.meta_graphs[0], ["serving_default"])


def test_a_vocabulary_of_the_model_is_its_own(tmp_path):
    assert not found_in(save_with_table(tmp_path))


def test_a_file_read_in_a_function_of_a_function_is_found(tmp_path):
    found = found_in(save_with_table(tmp_path, "/etc/hostname"))
    assert [(one.op, one.what) for one in found] == [("ReadFile", outside_ops.READS)]
    assert found[0].function


def test_a_vocabulary_that_is_no_asset_is_outside(tmp_path):
    """The file's name comes from a constant instead of the asset."""
    model = save_with_table(tmp_path)
    proto = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    for node in proto.meta_graphs[0].object_graph_def.nodes:
        if node.WhichOneof("kind") == "asset":
            node.constant.operation = "elsewhere"  # another kind of object
    found = outside_ops.find(proto.meta_graphs[0], ["serving_default"])
    assert [one.op for one in found] == ["InitializeTableFromTextFileV2"]


def test_the_table_speaks_of_ops_that_there_are():
    """In some TensorFlow of the table; the others are of builds for tests or of packages."""
    unknown = {op for op in outside_ops.OPS if not versions.having(op)}
    assert unknown <= {"CloudBigtableClient", "FileSystemSetConfiguration", "RpcCall", "RpcClient",
                       "RpcServer", "RpcServerStart"}, unknown


@pytest.mark.parametrize("name", ["../../etc/hostname", "/etc/hostname", "a/../../b"])
def test_an_asset_outside_the_folder(tmp_path, name):
    model = save_with_table(tmp_path)
    ig_tf.save(ig_tf.instrument(ig_tf.load(model), steps=2), tmp_path / "out")
    for folder, verb in ((model, ig_tf.load),
                         (tmp_path / "out", lambda path: ig_tf.attribute(str(path), []))):
        file = folder / "saved_model.pb"
        proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        proto.meta_graphs[0].asset_file_def[0].filename = name
        file.write_bytes(proto.SerializeToString())
        with pytest.raises(ArtifactError, match="outside its"):
            verb(folder)


def archive_of(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def link(name, target, kind):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("members", [
    [(tarfile.TarInfo("../escaped"), b"x")],
    [(link("variables", "/etc", tarfile.SYMTYPE), b"")],
    [(link("variables", "../..", tarfile.SYMTYPE), b""),
     (tarfile.TarInfo("variables/escaped"), b"x")],
    [(link("passwd", "/etc/passwd", tarfile.LNKTYPE), b"")],
    [(link("device", "", tarfile.CHRTYPE), b"")]])
def test_an_archive_that_leaves_its_folder(tmp_path, members):
    archive_of(tmp_path / "model.tar.gz", *members)
    with pytest.raises(ArtifactError, match="no archive of a model"):
        ig_tf.load(tmp_path / "model.tar.gz")
    assert not list(tmp_path.parent.rglob("escaped"))


def test_an_archive_of_an_absolute_path_stays_inside(tmp_path):
    """tarfile takes the leading slash away: /etc/x is etc/x of the folder."""
    archive_of(tmp_path / "model.tar.gz", (tarfile.TarInfo(f"{tmp_path}/escaped"), b"x"))
    with pytest.raises(ArtifactError, match="not a SavedModel"):
        ig_tf.load(tmp_path / "model.tar.gz")
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("limit, value", [("MOST_MEMBERS", 2), ("MOST_BYTES", 1000),
                                          ("_MANY_BYTES", 1000)])
def test_an_archive_that_would_fill_the_disk(tmp_path, monkeypatch, limit, value):
    monkeypatch.setattr(hub, limit, value)
    monkeypatch.setattr(hub, "MOST_RATIO", 2)
    archive_of(tmp_path / "model.tar.gz",
               *((tarfile.TarInfo(f"file_{number}"), bytes(1000)) for number in range(3)))
    with pytest.raises(ArtifactError, match="would unpack to more than"):
        ig_tf.load(tmp_path / "model.tar.gz")


@pytest.mark.parametrize("name, limit", [("saved_model.pb", "MOST_BYTES"),
                                         ("saved_model.pbtxt", "MOST_TEXT_BYTES")])
def test_a_message_that_is_too_large_is_not_read(tmp_path, monkeypatch, name, limit):
    (tmp_path / name).write_bytes(bytes(101))
    monkeypatch.setattr(contents, limit, 100)
    with pytest.raises(ArtifactError, match="101 bytes: too large"):
        ig_tf.load(tmp_path)


def test_a_text_message_that_nests_without_end(tmp_path):
    deep = 20_000
    text = "meta_graphs { collection_def { key: 'a' value { any_list { value { " + "[a/b] { " * deep
    (tmp_path / "saved_model.pbtxt").write_text(text)
    with pytest.raises(ArtifactError, match="not a SavedModel message"):
        ig_tf.load(tmp_path)


def test_a_keras_file_with_python_in_it(tmp_path):
    """tf_keras would run what a Lambda layer in an .h5 file holds."""
    tf_keras = pytest.importorskip("tf_keras", reason="tf_keras is not installed")
    mark = str(tmp_path / "mark")

    def spoil(x):
        import pathlib
        pathlib.Path(mark).write_text("run")
        return x * 2

    one = tf_keras.Input([3])
    tf_keras.Model(one, tf_keras.layers.Lambda(spoil)(one)).save(tmp_path / "model.h5")
    os.unlink(mark)
    with pytest.raises(ArtifactError, match="Python code of a Lambda layer"):
        ig_tf.load(tmp_path / "model.h5")
    assert not os.path.exists(mark)


def call_chain(folder, depth, recursive=False):
    """A model whose functions call each other so deep; the last one may call the first."""
    builders.save_tf2(folder, lambda x, w: tf.reduce_sum(w * x ** 2, 1),
                      {"x": builders.spec([None, 2])}, {"w": np.array([1.0, 2.0])})
    file = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    library = proto.meta_graphs[0].graph_def.library
    inner = next(f for f in library.function if "signature_wrapper" in f.signature.name)
    name = inner.signature.name
    for number in range(depth):
        outer = library.function.add()
        outer.CopyFrom(inner)
        outer.signature.name = name if number == depth - 1 else f"{name}_{number}"
        callee = f"{name}_{number - 1}" if number else f"{name}_inner"
        del outer.node_def[:]
        node = outer.node_def.add(name="call", op="StatefulPartitionedCall",
                                  input=[one.name for one in outer.signature.input_arg])
        node.attr["f"].func.name = name if recursive and not number else callee
        node.attr["Tin"].list.type.extend(one.type for one in outer.signature.input_arg)
        node.attr["Tout"].list.type.extend(one.type for one in outer.signature.output_arg)
        outer.control_ret.clear()
        del outer.signature.control_output[:]
        for key in outer.ret:
            outer.ret[key] = "call:output:0"
    inner.signature.name = f"{name}_inner"
    file.write_bytes(proto.SerializeToString())
    return folder


@pytest.mark.parametrize("depth, recursive", [(1500, False), (1, True), (3, True)])
def test_calls_without_end(tmp_path, depth, recursive):
    call_chain(tmp_path / "model", depth, recursive)
    with pytest.raises(GraphError, match="calls itself, or calls nest too deep"):
        ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=2)


def test_calls_that_nest_a_little_are_fine(tmp_path):
    call_chain(tmp_path / "model", 20)
    answer = builders.explain(tmp_path / "model", tmp_path / "out", steps=20).run(x=[[1.0, 2.0]])
    np.testing.assert_allclose(answer["attributions/x"], [[1, 8]], rtol=1e-6)


def test_a_chain_of_many_ops_is_no_recursion(tmp_path):
    def long(x, w):
        for _ in range(3000):
            x = tf.identity(x)
        return tf.reduce_sum(w * x ** 2, 1)

    builders.save_tf1(tmp_path / "model", long, {"x": builders.spec([None, 2])},
                      {"w": np.array([1.0, 2.0])})
    ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=2)


def test_all_refusals_are_of_one_family():
    assert issubclass(ArtifactError, IgTfError) and issubclass(GraphError, IgTfError)
