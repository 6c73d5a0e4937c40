"""A training graph of TensorFlow 1 by each way that leads to it: checkpoint, frozen file, session.

Whatever was read, both loaders answer what a plain loop in the live session answers, and nothing
of the training is in what is served.
"""

import dataclasses
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

import ig_tf
from ig_tf.errors import ArtifactError, OutputError, SignatureError
from tests import builders, trained

v1 = tf.compat.v1
STEPS = 20
NAMED = {"inputs": ["words", "numbers"], "outputs": ["model/scores"]}


@dataclasses.dataclass
class Case:
    """A trained model, its files and the truth."""

    model: trained.Trained
    folder: pathlib.Path
    prefix: str
    feed: dict
    scores: np.ndarray
    truth: dict


@pytest.fixture(name="case", scope="module", params=[True, False], ids=["resource", "ref"])
def fixture_case(request, tmp_path_factory):
    return case_in(tmp_path_factory.mktemp("trained"), request.param)


@pytest.fixture(name="plain", scope="module")
def fixture_plain(tmp_path_factory):
    """One case, where the kind of variables makes no difference."""
    return case_in(tmp_path_factory.mktemp("plain"), True)


def case_in(folder, resource):
    model = trained.trained(folder, resource=resource)
    prefix = model.save(folder)
    feed = trained.batch()
    scores = model.session.run(model.outputs["scores"],
                               {model.inputs[name]: value for name, value in feed.items()})
    (folder / "frozen.pb").write_bytes(trained.frozen(model).SerializeToString())
    (folder / "frozen.pbtxt").write_text(text_format.MessageToString(trained.frozen(model)))
    return Case(model, folder, prefix, feed, scores, model.attributions(prefix, feed, 1, STEPS))


def loaded(case, kind):
    """The same model by one of the ways."""
    if kind == "live":
        return ig_tf.load(case.model.graph, session=case.model.session,
                          inputs=case.model.inputs, outputs=case.model.outputs)
    if kind == "session":
        return ig_tf.load(case.model.session, **NAMED)
    paths = {"prefix": case.prefix, "meta": case.prefix + ".meta", "index": case.prefix + ".index",
             "data": case.prefix + ".data-00000-of-00001", "folder": case.folder,
             "pb": case.folder / "frozen.pb", "pbtxt": case.folder / "frozen.pbtxt"}
    return ig_tf.load(paths[kind], **NAMED)


KINDS = ("prefix", "meta", "index", "data", "folder", "pb", "pbtxt", "live", "session")
EACH_READER = ("prefix", "pb", "live")


@pytest.mark.parametrize("kind", KINDS)
def test_each_way_gives_the_same_graph(case, kind):
    """One signature, both inputs, the vocabulary file as an asset; no training in the graph."""
    model = loaded(case, kind)
    assert model.inputs() == {"numbers": "numbers:0", "words": "words:0"}
    assert list(model.outputs().values()) == ["model/scores:0"]
    assert model.tags == ("serve",) and model.signature_name == "serving_default"
    assert model.files["assets/words.txt"] == str(case.folder / "words.txt")
    names = {node.name for node in model.graph_def.node}
    ops = {node.op for node in model.graph_def.node}
    assert not [op for op in ops if "Adam" in op or "Summary" in op]
    assert not [name for name in names if "Adam" in name or "gradients" in name
                or name in ("global_step", "label", "loss")]
    assert not any(node.device for node in model.graph_def.node)
    assert model.chosen


@pytest.mark.parametrize("kind", EACH_READER)
def test_equals_a_plain_loop_by_both_loaders(case, kind, tmp_path):
    plan = ig_tf.instrument(loaded(case, kind), target="scores:1", steps=STEPS)
    ig_tf.save(plan, tmp_path / "out")
    for loader in builders.LOADERS.values():
        answer = loader(tmp_path / "out")(**case.feed)
        np.testing.assert_allclose(answer["prediction"], case.scores[:, 1], rtol=1e-12)
        np.testing.assert_allclose(answer["attributions/numbers"], case.truth["numbers"],
                                   rtol=1e-9, atol=1e-12)
        words = answer["attributions/words"]  # for each number of a vector, or for each word
        truth = case.truth["words"] if words.ndim == 3 else case.truth["words"].sum(-1)
        np.testing.assert_allclose(words, truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", EACH_READER)
def test_the_signature_itself_is_served(case, kind, tmp_path):
    ig_tf.save(ig_tf.instrument(loaded(case, kind), target="scores:1", steps=2), tmp_path / "out")
    served = next(iter(loaded(case, kind).outputs()))
    for loader in builders.LOADERS.values():
        answer = loader(tmp_path / "out", "serving_default")(**case.feed)
        np.testing.assert_allclose(answer[served], case.scores, rtol=1e-12)


def test_the_files_of_a_checkpoint_are_the_variables_as_they_are(case, tmp_path):
    ig_tf.save(ig_tf.instrument(loaded(case, "prefix"), target="scores:1", steps=2),
               tmp_path / "out")
    found = {path.name: path.read_bytes() for path in (tmp_path / "out/variables").iterdir()}
    assert found == {
        "variables" + ending: pathlib.Path(case.prefix + ending).read_bytes()
        for ending in (".index", ".data-00000-of-00001")}
    assert (tmp_path / "out/assets/words.txt").read_bytes() == (
        case.folder / "words.txt").read_bytes()


@pytest.mark.parametrize("kind", ["prefix", "pb"])
def test_no_session_is_run_and_nothing_restored(plain, kind, monkeypatch, tmp_path):
    """From the files to the plan and the output: no session runs, no Saver restores."""
    def refuse(*_, **__):
        raise AssertionError("a model was run")

    monkeypatch.setattr(v1.Session, "run", refuse)
    monkeypatch.setattr(v1.train.Saver, "restore", refuse)
    with pytest.raises(AssertionError, match="was run"), v1.Session(graph=tf.Graph()) as session:
        session.run([])
    ig_tf.save(ig_tf.instrument(loaded(plain, kind), target="scores:1", steps=2), tmp_path / "out")


def test_a_checkpoint_can_be_linked(case, tmp_path):
    ig_tf.save(ig_tf.instrument(loaded(case, "prefix"), target="scores:1", steps=2),
               tmp_path / "out", link=True)
    assert os.path.samefile(tmp_path / "out/variables/variables.index", case.prefix + ".index")


@pytest.mark.parametrize("kind", EACH_READER)
def test_the_same_bytes_twice_and_after_instrumenting_again(case, kind, tmp_path):
    first = ig_tf.instrument(loaded(case, kind), target="scores:1", steps=3)
    ig_tf.save(first, tmp_path / "one")
    ig_tf.save(ig_tf.instrument(loaded(case, kind), target="scores:1", steps=3), tmp_path / "two")
    again = ig_tf.instrument(ig_tf.load(tmp_path / "one"), target="scores:1", steps=3)
    ig_tf.save(again, tmp_path / "three")
    proto = saved_model_pb2.SavedModel.FromString((tmp_path / "one/saved_model.pb").read_bytes())
    graphs = [saved_model_pb2.SavedModel.FromString(
        (tmp_path / name / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
        for name in ("two", "three")]
    assert graphs == [proto.meta_graphs[0].graph_def] * 2
    assert (tmp_path / "one/saved_model.pb").read_bytes() == (
        tmp_path / "two/saved_model.pb").read_bytes()


def test_only_the_served_variables_are_restored(case):
    model = loaded(case, "prefix")
    read = [node for node in model.graph_def.node if node.op == "RestoreV2"]
    assert len(read) == 1
    nodes = {node.name: node for node in model.graph_def.node}
    names = tf.make_ndarray(nodes[read[0].input[1]].attr["value"].tensor).tolist()
    assert sorted(names) == [b"model/bias", b"model/kernel", b"model/vectors", b"model/vectors"]
    slices = tf.make_ndarray(nodes[read[0].input[2]].attr["value"].tensor).tolist()
    assert sorted(slices) == [b"", b"", b"7 4 0,4:0,4", b"7 4 4,3:0,4"]
    collections = model.meta_graph.collection_def
    assert len(collections["variables"].bytes_list.value) == 4
    assert not {"train_op", "summaries", "queue_runners"} & set(collections)


def test_the_live_graph_is_left_as_it_is(case):
    before = case.model.graph.as_graph_def().SerializeToString(deterministic=True)
    loaded(case, "live")
    assert case.model.graph.as_graph_def().SerializeToString(deterministic=True) == before


def test_the_temporary_weights_live_as_long_as_the_model(case):
    model = loaded(case, "live")
    index = model.files["variables/variables.index"]
    assert os.path.exists(index)
    del model
    assert not os.path.exists(index)


def test_a_sharded_saver(tmp_path):
    model = trained.trained(tmp_path, sharded=True, steps=1)
    prefix = model.save(tmp_path)
    feed = trained.batch()
    ig_tf.save(ig_tf.instrument(ig_tf.load(prefix, **NAMED), target="scores:1", steps=STEPS),
               tmp_path / "out")
    answer = builders.open_v1(tmp_path / "out")(**feed)
    np.testing.assert_allclose(answer["attributions/numbers"],
                               model.attributions(prefix, feed, 1, STEPS)["numbers"], rtol=1e-9,
                               atol=1e-12)


def test_a_metagraph_without_a_saver(tmp_path):
    """Variables are read by their names, the parts of a partitioned one as slices."""
    model = trained.trained(tmp_path, steps=1)
    prefix = model.save(tmp_path)
    with model.graph.as_default():
        meta = v1.train.export_meta_graph()
    meta.ClearField("saver_def")
    pathlib.Path(prefix + ".meta").write_bytes(meta.SerializeToString())
    feed = trained.batch()
    ig_tf.save(ig_tf.instrument(ig_tf.load(prefix, **NAMED), target="scores:1", steps=2),
               tmp_path / "out")
    answer = builders.open_v2(tmp_path / "out")(**feed)
    wanted = model.session.run(model.outputs["scores"], {
        model.inputs[name]: value for name, value in feed.items()})
    np.testing.assert_allclose(answer["prediction"], wanted[:, 1], rtol=1e-12)


def test_a_text_metagraph_and_signatures_of_its_own(tmp_path):
    """A metagraph that has signatures needs no names; written as text it is read too."""
    model = trained.trained(tmp_path, steps=1)
    prefix = model.save(tmp_path)
    with model.graph.as_default():
        meta = v1.train.export_meta_graph(saver_def=model.saver.saver_def)
        meta.signature_def["predict/it"].CopyFrom(v1.saved_model.predict_signature_def(
            model.inputs, model.outputs))
    pathlib.Path(prefix + ".meta").write_text(text_format.MessageToString(meta))
    found = ig_tf.load(prefix)
    assert found.signature_name == "predict/it" and list(found.outputs()) == ["scores"]
    ig_tf.save(ig_tf.instrument(found, target="scores:1", steps=2), tmp_path / "out")
    answer = builders.open_v2(tmp_path / "out")(**trained.batch())
    assert answer["prediction"].shape == (4,)


def test_a_variable_that_no_checkpoint_has_is_set_by_its_initializer(tmp_path):
    """A local variable with a constant value: both loaders set it after restoring."""
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, 2], "x")
        kernel = v1.get_variable("kernel", initializer=np.ones((2, 1), np.float32))
        scale = v1.get_variable("scale", initializer=np.float32(3), trainable=False,
                                collections=[v1.GraphKeys.LOCAL_VARIABLES])
        tf.identity(tf.matmul(x, kernel)[:, 0] * scale, name="y")
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
            prefix = v1.train.Saver([kernel]).save(session, str(tmp_path / "ckpt"))
    model = ig_tf.load(prefix, outputs="y")
    assert any("scale" in note for note in model.chosen)
    ig_tf.save(ig_tf.instrument(model, steps=2), tmp_path / "out")
    for loader in builders.LOADERS.values():
        answer = loader(tmp_path / "out")(x=np.float32([[1, 2]]))
        np.testing.assert_allclose(answer["prediction"], [9])


def test_a_table_that_the_saver_restores(tmp_path):
    """A mutable table lies in the checkpoint; what else that holds is not read."""
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None], "words")
        table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)
        weights = v1.get_variable("weights", initializer=np.arange(6.0).reshape(3, 2) / 4)
        slot = v1.get_variable("weights/slot", initializer=np.zeros((3, 2)))
        tf.reduce_sum(tf.tanh(tf.gather(weights, table.lookup(words))), 1, name="y")
        filled = table.insert(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
        saver = v1.train.Saver([weights, slot, *v1.get_collection(
            v1.GraphKeys.SAVEABLE_OBJECTS)] or None)
        session.run(v1.global_variables_initializer())
        session.run(filled)
        prefix = saver.save(session, str(tmp_path / "ckpt"))
        if not any("table" in name for name, _ in tf.train.list_variables(prefix)):
            pytest.skip(f"TensorFlow {tf.__version__} saves no such table with a Saver")
    model = ig_tf.load(prefix, outputs=["y"])
    assert "weights/slot" not in {node.name for node in model.graph_def.node}
    ig_tf.save(ig_tf.instrument(model, steps=30), tmp_path / "out")
    for loader in builders.LOADERS.values():
        answer = loader(tmp_path / "out")(words=["b", "a", "none"])
        np.testing.assert_allclose(answer["features/words"], np.tanh(
            [[1, 1.25], [0.5, 0.75], [0, 0.25]]).sum(1))


def test_a_graph_that_tensorflow_2_froze(tmp_path):
    """Loops stay functions of its library; no variables folder is written."""
    from tensorflow.python.framework import convert_to_constants
    weights = tf.Variable([[1.0], [2.0]])

    def call(x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.tanh(y @ weights) * x),
                             [0, x])[1]

    concrete = tf.function(call).get_concrete_function(tf.TensorSpec([None, 2], name="x"))
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        concrete, lower_control_flow=False)
    (tmp_path / "graph.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    output = frozen.outputs[0].op.name
    model = ig_tf.load(tmp_path / "graph.pb", outputs={"y": output})
    ig_tf.save(ig_tf.instrument(model, target="y:1", steps=60), tmp_path / "out")
    assert not (tmp_path / "out/variables").exists()
    x = np.float32([[0.5, 1.0], [-1.0, 0.25]])
    answer = builders.open_v2(tmp_path / "out")(x=x)
    np.testing.assert_allclose(answer["prediction"], call(tf.constant(x)).numpy()[:, 1], rtol=1e-6)
    assert answer["relative_error"].max() < 1e-4


def test_the_output_is_never_the_folder_of_the_checkpoint(case):
    plan = ig_tf.instrument(loaded(case, "prefix"), target="scores:1", steps=2)
    with pytest.raises(OutputError, match="lies inside the output"):
        ig_tf.save(plan, case.folder, overwrite=True)
    assert os.path.exists(case.prefix + ".index")


@pytest.fixture(name="queued", scope="module")
def fixture_queued(tmp_path_factory):
    """A checkpoint whose only input is a queue."""
    folder = tmp_path_factory.mktemp("queued")
    with tf.Graph().as_default():
        queue = v1.PaddingFIFOQueue(10, [tf.int64, tf.float32], [[None], [2]], name="queue")
        rows = queue.dequeue_up_to(4, name="rows")
        table = v1.get_variable("table", initializer=np.arange(12, dtype=np.float32).reshape(6, 2))
        vectors = tf.nn.embedding_lookup(table, rows[0])
        tf.identity(tf.reduce_sum(tf.tanh(vectors), [1, 2]) + tf.reduce_sum(rows[1], 1), name="y")
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            return v1.train.Saver().save(session, str(folder / "ckpt"))


def test_what_comes_out_of_a_queue_can_be_named_as_inputs(queued, tmp_path):
    """The queue is gone; its declared shapes are those of the inputs."""
    model = ig_tf.load(queued, inputs={"ids": "rows", "numbers": "rows:1"}, outputs={"y": "y"})
    assert not [node for node in model.graph_def.node if "Queue" in node.op]
    shapes = {key: [dim.size for dim in info.tensor_shape.dim]
              for key, info in model.signature.inputs.items()}
    assert shapes == {"ids": [-1, -1], "numbers": [-1, 2]}
    ig_tf.save(ig_tf.instrument(model, steps=30), tmp_path / "out")
    for loader in builders.LOADERS.values():
        answer = loader(tmp_path / "out")(ids=[[1, 2], [5, 5]], numbers=np.ones((2, 2)))
        np.testing.assert_allclose(answer["features/numbers"], [2, 2], rtol=1e-5)
        np.testing.assert_allclose(
            answer["features/ids"], np.tanh([[2, 3, 4, 5], [10, 11, 10, 11]]).sum(1), rtol=1e-3)


# What is asked for, and what is refused -------------------------------------------------------


def refused(kind, source, **named):
    with pytest.raises(kind) as caught:
        ig_tf.load(source, **named)
    return str(caught.value)


def test_missing_names_are_asked_for_with_the_candidates(plain):
    for source in (plain.prefix, plain.folder / "frozen.pb", plain.model.session):
        message = refused(SignatureError, source)
        assert "--inputs=NAME" in message and "--outputs=NAME" in message
        assert "words: string [?, 3]" in message and "numbers: float64 [?, 2]" in message
        assert "it could give:\n  model/scores: float64 [?, 2]" in message
        assert "Adam" not in message and "save/" not in message


def test_without_inputs_they_are_what_the_outputs_need(plain):
    model = ig_tf.load(plain.prefix, outputs=["model/scores"])
    assert list(model.inputs()) == ["numbers", "words"]
    assert any("inputs words=words:0, numbers=numbers:0" in note for note in model.chosen)


def test_an_input_that_is_needed_and_not_named(plain):
    message = refused(SignatureError, plain.prefix, inputs=["words"], outputs=["model/scores"])
    assert "'numbers:0'" in message and "--inputs" in message


@pytest.mark.parametrize("named, words", [
    ({"inputs": ["word"], "outputs": ["model/scores"]}, ["no such input", "'words'"]),
    ({"inputs": ["words"], "outputs": ["model/score"]}, ["no such output", "'model/scores'"]),
    ({"inputs": ["words:3", "numbers"], "outputs": ["model/scores"]}, ["words:3"]),
    ({"outputs": ["model/scores:1"]}, ["model/scores:1", "1 outputs"]),
    ({"inputs": ["a=words", "a=numbers"], "outputs": ["model/scores"]}, ["two inputs", "'a'"]),
    ({"inputs": [], "outputs": ["model/scores"]}, ["no input was named"]),
    ({"outputs": [3]}, ["int"]),
    ({"outputs": ["model/kernel/Initializer/random_uniform"]}, ["nothing that could be fed"]),
])
def test_names_that_do_not_fit(plain, named, words):
    message = refused(SignatureError, plain.prefix, **named)
    assert all(word in message for word in words), message


def test_names_for_the_caller(plain):
    model = ig_tf.load(plain.prefix, inputs=["text=words", "numbers"], outputs="p=model/scores")
    assert list(model.inputs()) == ["numbers", "text"] and list(model.outputs()) == ["p"]


def test_a_queue_that_nobody_feeds(queued):
    model = ig_tf.load(queued, outputs=["y"])
    assert len(model.inputs()) == 2 and any("rows" in note for note in model.chosen)


def test_a_graph_that_was_not_frozen(plain, tmp_path):
    path = tmp_path / "graph.pb"
    path.write_bytes(plain.model.graph.as_graph_def().SerializeToString())
    message = refused(ArtifactError, path, **NAMED)
    assert "not frozen" in message and "checkpoint" in message and "model/" in message


def test_a_live_graph_without_a_session(plain):
    message = refused(ArtifactError, plain.model.graph, **NAMED)
    assert "session=session" in message


def test_a_session_without_values(plain):
    with v1.Session(graph=plain.model.graph) as empty:
        assert "without a value" in refused(ArtifactError, empty, **NAMED)


def test_a_session_of_another_graph(plain):
    with v1.Session(graph=tf.Graph()) as other:
        assert "another graph" in refused(ArtifactError, plain.model.graph, session=other, **NAMED)
    assert "live graph" in refused(SignatureError, plain.prefix, session=plain.model.session)


def test_a_frozen_graph_whose_table_initializer_is_gone(plain, tmp_path):
    graph = tf.compat.v1.graph_util.extract_sub_graph(trained.frozen(plain.model),
                                                      ["model/scores"])
    (tmp_path / "frozen.pb").write_bytes(graph.SerializeToString())
    message = refused(ArtifactError, tmp_path / "frozen.pb", **NAMED)
    assert "hash_table" in message and "vocabulary" in message


def test_a_vocabulary_file_that_is_gone_or_beside_the_model(plain, tmp_path):
    data = (plain.folder / "frozen.pb").read_bytes()
    nowhere = plain.folder.as_posix().encode()
    (tmp_path / "frozen.pb").write_bytes(data.replace(nowhere, b"x" * len(nowhere)))
    message = refused(ArtifactError, tmp_path / "frozen.pb", **NAMED)
    assert "words.txt" in message and "not there" in message
    shutil.copy(plain.folder / "words.txt", tmp_path)
    assert ig_tf.load(tmp_path / "frozen.pb", **NAMED).files["assets/words.txt"] == str(
        tmp_path / "words.txt")


@pytest.fixture(name="copy")
def fixture_copy(plain, tmp_path):
    """The checkpoint in a folder of its own, to be damaged."""
    for path in plain.folder.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    return tmp_path / "model.ckpt-7"


def test_a_checkpoint_that_was_moved_with_its_folder(copy):
    assert ig_tf.load(copy.parent, **NAMED).files["variables/variables.index"] == str(
        copy.parent / "model.ckpt-7.index")


@pytest.mark.parametrize("ending, words", [
    (".meta", "weights but no graph"), (".index", "is not there"),
    (".data-00000-of-00001", "not complete")])
def test_a_checkpoint_without_one_of_its_files(copy, ending, words):
    os.remove(f"{copy}{ending}")
    message = refused(ArtifactError, copy, **NAMED)
    assert words in message and "model.ckpt-7" in message


@pytest.mark.parametrize("ending, words", [
    (".meta", "is not a metagraph"), (".index", "cannot read"),
    (".data-00000-of-00001", "cut off")])
def test_a_checkpoint_that_was_cut_off(copy, ending, words):
    path = pathlib.Path(f"{copy}{ending}")
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    assert words in refused(ArtifactError, copy, **NAMED)


def test_the_checkpoint_of_another_graph(copy, tmp_path):
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("other", initializer=1.0)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(copy), write_meta_graph=False)
    message = refused(ArtifactError, copy, **NAMED)
    assert "lacks variables" in message and "model/kernel" in message and "other" in message


def test_a_checkpoint_of_the_first_format(tmp_path):
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        tf.multiply(x, v1.get_variable("w", initializer=2.0), name="y")
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(write_version=v1.train.SaverDef.V1)
        prefix = saver.save(session, str(tmp_path / "old.ckpt"))
    message = refused(ArtifactError, prefix, outputs=["y"])
    assert "first format" in message and "V2" in message


def test_several_checkpoints_and_no_state_file(copy):
    os.remove(copy.parent / "checkpoint")
    shutil.copy(f"{copy}.meta", copy.parent / "model.ckpt-9.meta")
    message = refused(ArtifactError, copy.parent, **NAMED)
    assert "model.ckpt-7, model.ckpt-9" in message


def text_file(path):
    path.write_text("learning_rate: 0.1\nlayers: 3\n")


def cut_off(path):
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])


def saved_model_message(path):
    path.write_bytes(saved_model_pb2.SavedModel(
        saved_model_schema_version=1, meta_graphs=[{"graph_def": trained_graph(path)}],
    ).SerializeToString())


def trained_graph(path):
    return tf.compat.v1.GraphDef.FromString(path.read_bytes())


@pytest.mark.parametrize("change, words", [
    (text_file, "text file that begins with 'learning_rate: 0.1'"),
    (cut_off, "cut off"), (lambda path: path.write_bytes(b""), "empty"),
    (saved_model_message, "message of a SavedModel"),
    (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"0" * 50), "Keras"),
    (lambda path: path.write_bytes(b"\x20\0\0\0TFL3" + b"0" * 50), "TensorFlow Lite")])
def test_a_file_that_is_no_graph(plain, tmp_path, change, words):
    path = tmp_path / "frozen.pb"
    shutil.copy(plain.folder / "frozen.pb", path)
    change(path)
    message = refused(ArtifactError, path, **NAMED)
    assert words in message and "frozen.pb" in message


def test_a_graph_given_as_a_saved_model(plain, tmp_path):
    shutil.copy(plain.folder / "frozen.pb", tmp_path / "saved_model.pb")
    message = refused(ArtifactError, tmp_path)
    assert "GraphDef" in message and "--inputs" in message
    assert ig_tf.load(tmp_path / "saved_model.pb", **NAMED).inputs()  # as a file it is read


def test_a_metagraph_given_as_a_graph(plain, tmp_path):
    shutil.copy(plain.prefix + ".meta", tmp_path / "graph.pb")
    assert "metagraph" in refused(ArtifactError, tmp_path / "graph.pb", **NAMED)


def test_what_is_no_model_at_all():
    assert "found int" in refused(ArtifactError, 3)


def test_a_folder_of_versions_names_them(plain, tmp_path):
    ig_tf.save(ig_tf.instrument(loaded(plain, "pb"), target="scores:1", steps=2), tmp_path / "12")
    assert str(tmp_path / "12") in refused(ArtifactError, tmp_path)
