"""A seeded part of what tools/fuzz.py does, and every failure that it found."""

import json
import pathlib
import random
import shutil
import zipfile

import numpy as np
import pytest
from google.protobuf import message
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

import ig_tf
from ig_tf.errors import ArtifactError, GraphError, IgTfError, RecordError, ResultsError
from ig_tf.model import sound
from ig_tf.run import metadata, npz, readers, results
from tools.fuzzing import artifact_cases, artifacts, bases, cases, mutate_files, mutate_model


@pytest.fixture(name="models", scope="module")
def fixture_models(tmp_path_factory):
    return {base.name: base for base in bases.small(tmp_path_factory.mktemp("bases"))}


@pytest.fixture(name="files", scope="module")
def fixture_files(models, tmp_path_factory):
    return cases.Sound(str(tmp_path_factory.mktemp("sound")), models)


def judged(case, base, number, folder):
    kind, detail, names = case(base, number, str(folder), lambda phase: None)
    assert kind in cases.FINE, f"{kind} of case {number} ({names}): {detail}"
    return kind


@pytest.mark.parametrize("case, count", [(cases.of_results, 60), (cases.of_input, 60)])
def test_changed_files(files, tmp_path, case, count):
    found = []
    for number in range(10_000, 10_000 + count):
        (tmp_path / str(number)).mkdir()
        found.append(judged(case, files, number, tmp_path / str(number)))
    assert set(found) == {"refused", "answered"}  # neither all nor none


@pytest.fixture(name="artifact_bases", scope="module")
def fixture_artifact_bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    return {kind: artifacts.made(kind, folder / kind) for kind in artifacts.KINDS}


@pytest.mark.parametrize("kind", artifacts.KINDS)
def test_changed_artifacts(artifact_bases, tmp_path, kind):
    found = []
    for number in range(12, 24):
        (tmp_path / str(number)).mkdir()
        models = artifact_bases[kind]
        found.append(judged(artifact_cases.case_of(kind), models[number % len(models)], number,
                            tmp_path / str(number)))
    assert {"refused", "agrees"} <= set(found)


@pytest.mark.parametrize("kind", artifacts.KINDS)
def test_what_artifacts_are_compared_with(artifact_bases, tmp_path, kind):
    """Unchanged, each agrees; an answer that is off by a percent does not."""
    base = artifact_bases[kind][0]
    plan = artifact_cases.instrumented(kind, base.folder, str(tmp_path / "out"))
    answer = cases.answer_of(str(tmp_path / "out"), base.inputs)

    def opened():
        return artifact_cases.PLAIN[kind](plan, base.folder, base.inputs[artifacts.X])

    assert cases.judged(opened, answer) == ("agrees", "1 points")
    changed_ = {key: value * 1.01 + 0.01 if key.startswith("attributions/") else value
                for key, value in answer.items()}
    assert cases.judged(opened, changed_)[0] == "disagrees"
    answer["prediction"] = answer["prediction"] * 1.01 + 0.01
    assert cases.judged(opened, answer)[0] == "disagrees"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "npz", "tfrecord"])
def test_what_is_changed_was_right(files, tmp_path, ending):
    (tmp_path / f"rows.{ending}").write_bytes(files.inputs[ending])
    found = ig_tf.attribute(files.loaded(ending), str(tmp_path / f"rows.{ending}"))
    assert len(found) in (2, 3) and all(np.isfinite(result.prediction) for result in found)


def test_a_call_that_gives_less_than_is_read(models, tmp_path):
    def drop(meta_graph):
        functions = {function.signature.name: function
                     for function in meta_graph.graph_def.library.function}
        for function in functions.values():
            for node in function.node_def:
                if node.op == "StatefulPartitionedCall":
                    called = functions[node.attr["f"].func.name]
                    del called.signature.output_arg[:]
                    called.ret.clear()

    with pytest.raises(GraphError, match="which the function that is called there does not give"):
        ig_tf.instrument(ig_tf.load(changed(models, "dense_2", tmp_path, drop)), steps=2)


def test_names_of_features_that_cannot_be_read(models, tmp_path):
    """Texts packed as bytes: TensorFlow's C++ reads them, its Python does not."""
    def pack(meta_graph):
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "Const" and node.attr["value"].tensor.string_val:
                    tensor = node.attr["value"].tensor
                    texts = list(tensor.string_val)
                    del tensor.string_val[:]
                    tensor.tensor_content = bytes(map(len, texts)) + b"".join(texts)

    folder = changed(models, "examples_2", tmp_path, pack)
    plan = ig_tf.instrument(ig_tf.load(folder), steps=3)
    ig_tf.save(plan, tmp_path / "out")
    answer = cases.answer_of(str(tmp_path / "out"), models["examples_2"].inputs)
    assert cases._judged(plan, str(folder), models["examples_2"].inputs, answer)[0] == "agrees"


@pytest.mark.parametrize("index", [2**70, [2**63], [None], [True]])
def test_an_index_that_is_no_index(index):
    with pytest.raises(ResultsError, match="'index' must be whole numbers"):
        results.result_of({"id": "a", "status": "converged", "target": {"index": index}})


def test_changed_records(files):
    """Of the checks alone: a changed record is refused, or has all that is asked of it. Most of a
    record is for people, and not asked for."""
    text = pathlib.Path(files.model, metadata.FILE).read_bytes()
    refused = 0
    for number in range(400):
        data, _ = mutate_files.mutate_json(random.Random(number), json.loads(text))
        wrong = metadata._wrong(json.loads(json.dumps(data)), metadata._RECORD, "")
        refused += wrong is not None
        if not wrong:
            assert data["rule"]["steps"] * 1 == data["rule"]["steps"]
            assert all(point["name"] + point["kind"] for point in data["points"])
            assert isinstance(data.get("method", {"sums": True})["sums"], bool)
    assert 40 < refused < 360


@pytest.mark.parametrize("number", range(3))
def test_changed_records_loaded(files, tmp_path, number):
    judged(cases.of_metadata, files, number, tmp_path)


def test_changed_messages_are_read_or_refused(models):
    """What happens before anything is instrumented: parsing and the check of the graph."""
    refused = 0
    base = models["branches_2"]
    data = pathlib.Path(base.folder, "saved_model.pb").read_bytes()
    for number in range(150):
        changed, names = mutate_model.mutate(random.Random(number), data)
        try:
            proto = saved_model_pb2.SavedModel.FromString(changed)
        except message.DecodeError:
            continue
        for meta_graph in proto.meta_graphs:
            try:
                sound.refuse_broken("model", meta_graph)
            except ArtifactError as error:
                refused += 1
                assert "is broken: " in str(error), names
    assert 20 < refused < 140


@pytest.mark.parametrize("name", ["dense_2", "branches_2", "dense_1", "loop_1"])
def test_what_fuzzing_compares_with(models, tmp_path, name):
    """Unchanged, each model agrees with the plain loop that judges the changed ones."""
    base = models[name]
    plan = cases._instrumented(base.folder, str(tmp_path / "out"))
    answer = cases.answer_of(str(tmp_path / "out"), base.inputs)
    assert cases._judged(plan, base.folder, base.inputs, answer)[0] == "agrees"
    answer["prediction"] = answer["prediction"] * 1.01 + 0.01
    assert cases._judged(plan, base.folder, base.inputs, answer)[0] == "disagrees"


def test_a_metagraph_whose_variables_are_no_descriptions(artifact_bases, tmp_path):
    base = artifact_bases[artifacts.CHECKPOINT][0]
    shutil.copytree(base.folder, tmp_path / "model")
    file = tmp_path / "model" / (artifacts.PREFIX + ".meta")
    proto = meta_graph_pb2.MetaGraphDef.FromString(file.read_bytes())
    proto.collection_def["variables"].bytes_list.value.append(b"\xff\x00\x81")
    file.write_bytes(proto.SerializeToString())
    with pytest.raises(ArtifactError, match="collection 'variables' holds what is no description"):
        artifact_cases.loaded(artifacts.CHECKPOINT, tmp_path / "model")


def test_a_saver_that_sets_a_variable_to_what_is_not_read(artifact_bases, tmp_path):
    """Another value of the graph: nothing of the checkpoint is left."""
    base = artifact_bases[artifacts.CHECKPOINT][0]
    model = tmp_path / "model"
    shutil.copytree(base.folder, model)
    file = model / (artifacts.PREFIX + ".meta")
    proto = meta_graph_pb2.MetaGraphDef.FromString(file.read_bytes())
    nodes = {node.name: node for node in proto.graph_def.node}
    nodes["save/Assign"].input[1] = nodes["weights/Assign"].input[1]
    file.write_bytes(proto.SerializeToString())
    with pytest.raises(ArtifactError, match="reads nothing of its checkpoint; it sets weights"):
        artifact_cases.loaded(artifacts.CHECKPOINT, model)


@pytest.mark.parametrize("content, words", [
    (dict(tensor_content=b"\x01\x02\x03"), "names that the saver of the graph reads cannot be"),
    (dict(string_val=[b"\xff\xfe"]), "names that the saver of the graph reads cannot be")])
def test_a_saver_whose_names_are_no_texts(artifact_bases, tmp_path, content, words):
    base = artifact_bases[artifacts.CHECKPOINT][0]
    shutil.copytree(base.folder, tmp_path / "model")
    file = tmp_path / "model" / (artifacts.PREFIX + ".meta")
    proto = meta_graph_pb2.MetaGraphDef.FromString(file.read_bytes())
    nodes = {node.name: node for node in proto.graph_def.node}
    tensor = nodes["save/RestoreV2/tensor_names"].attr["value"].tensor
    del tensor.string_val[:]
    tensor.MergeFrom(type(tensor)(**content))
    file.write_bytes(proto.SerializeToString())
    with pytest.raises(ArtifactError, match=words):
        artifact_cases.loaded(artifacts.CHECKPOINT, tmp_path / "model")


def test_every_index_that_is_cut_off_is_refused(artifact_bases, tmp_path):
    """TensorFlow's reader has errors of many kinds for it."""
    base = artifact_bases[artifacts.CHECKPOINT][0]
    shutil.copytree(base.folder, tmp_path / "model")
    file = tmp_path / "model" / (artifacts.PREFIX + ".index")
    data = file.read_bytes()
    for length in range(0, len(data), 5):
        file.write_bytes(data[:length])
        with pytest.raises(ArtifactError, match="TensorFlow cannot read"):
            artifact_cases.loaded(artifacts.CHECKPOINT, tmp_path / "model")


def changed(models, name, tmp_path, change):
    """A folder with one model changed by a function of its MetaGraph."""
    base = models[name]
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "variables").symlink_to(pathlib.Path(base.folder, "variables"))
    proto = saved_model_pb2.SavedModel.FromString(
        pathlib.Path(base.folder, "saved_model.pb").read_bytes())
    change(proto.meta_graphs[0])
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    return folder


def a_node(meta_graph, op):
    lists = [meta_graph.graph_def.node,
             *(function.node_def for function in meta_graph.graph_def.library.function)]
    return next(node for nodes in lists for node in nodes if node.op == op)


def unknown_type(meta_graph):
    a_node(meta_graph, "Const").attr["value"].tensor.dtype = 999


def other_type(meta_graph):
    """TensorFlow's optimizer aborts the process on it."""
    a_node(meta_graph, "Const").attr["value"].tensor.dtype = 19


def no_type(meta_graph):
    a_node(meta_graph, "Const").attr["dtype"].type = 0


def negative_shape(meta_graph):
    a_node(meta_graph, "Const").attr["value"].tensor.tensor_shape.dim.add(size=-5)


def huge_shape(meta_graph):
    a_node(meta_graph, "Const").attr["value"].tensor.tensor_shape.dim.add(size=2**40)


def huge_input(meta_graph):
    a_node(meta_graph, "Placeholder").attr["shape"].shape.dim.add(size=2**40)


def endless_batch(meta_graph):
    """Axes that are fine each; TensorFlow's optimizer makes a constant of such a shape."""
    shape = a_node(meta_graph, "Placeholder").attr["shape"].shape
    del shape.dim[:]
    shape.dim.add(size=2**31 - 1)
    shape.dim.add(size=3)


def short_content(meta_graph):
    constant = a_node(meta_graph, "Const").attr["value"].tensor
    constant.dtype = 1  # floats have four bytes each
    constant.tensor_content = b"\x01\x02\x03\x04\x05"


def no_inputs(meta_graph):
    del a_node(meta_graph, "MatMul").input[:]


def no_attribute(meta_graph):
    del a_node(meta_graph, "MatMul").attr["T"]


def other_attribute(meta_graph):
    a_node(meta_graph, "MatMul").attr["T"].s = b"float"


def duplicate(meta_graph):
    meta_graph.graph_def.node.add().CopyFrom(meta_graph.graph_def.node[0])


def nameless(meta_graph):
    meta_graph.graph_def.node[0].name = ""


def output_that_is_not_there(meta_graph):
    node = next(node for node in meta_graph.graph_def.node if node.input)
    node.input[0] = node.input[0].partition(":")[0] + ":7"


def no_tensor(meta_graph):
    next(node for node in meta_graph.graph_def.node if node.input).input[0] = "x:y"


def empty_input(meta_graph):
    a_node(meta_graph, "MatMul").input[0] = ""


@pytest.mark.parametrize("change", [
    unknown_type, other_type, no_type, negative_shape, huge_shape, huge_input, endless_batch,
    short_content,
    no_inputs, no_attribute, other_attribute, duplicate, nameless, empty_input,
    output_that_is_not_there, no_tensor],
    ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", ["loop_1", "dense_2"])
def test_a_broken_graph(models, tmp_path, name, change):
    with pytest.raises(ArtifactError, match="the graph of .* is broken"):
        ig_tf.load(changed(models, name, tmp_path, change))


def lost_object(meta_graph):
    meta_graph.object_graph_def.nodes[0].children[0].node_id = 10**6


def lost_capture(meta_graph):
    functions = meta_graph.object_graph_def.concrete_functions
    functions[sorted(functions)[0]].bound_inputs.append(10**6)


def no_objects(meta_graph):
    del meta_graph.object_graph_def.nodes[:]


def two_functions(meta_graph):
    library = meta_graph.graph_def.library.function
    one = library.add()
    one.CopyFrom(library[0])
    del one.node_def[:]


@pytest.mark.parametrize("change", [lost_object, lost_capture, no_objects, two_functions],
                         ids=lambda change: change.__name__)
def test_broken_objects_and_functions(models, tmp_path, change):
    with pytest.raises(ArtifactError, match="the graph of .* is broken"):
        ig_tf.load(changed(models, "branches_2", tmp_path, change))


def test_a_signature_that_its_function_does_not_know(models, tmp_path):
    def add(meta_graph):
        signature = meta_graph.signature_def["serving_default"]
        signature.inputs["added"].CopyFrom(signature.inputs["x"])

    plan = ig_tf.instrument(ig_tf.load(changed(models, "dense_2", tmp_path, add)), steps=2)
    with pytest.raises(GraphError, match="takes added, x in the MetaGraph, and its function"):
        ig_tf.save(plan, tmp_path / "out")


def test_a_branch_that_is_not_there(models, tmp_path):
    def drop(meta_graph):
        library = meta_graph.graph_def.library.function
        name = a_node(meta_graph, "If" if any(
            node.op == "If" for function in library for node in function.node_def)
            else "StatelessIf").attr["then_branch"].func.name
        del library[[function.signature.name for function in library].index(name)]

    with pytest.raises(GraphError, match="which the model's library does not have"):
        ig_tf.instrument(ig_tf.load(changed(models, "branches_2", tmp_path, drop)), steps=2)


@pytest.mark.parametrize("place, value, words", [
    (("source",), None, "'source' is null, not an object"),
    (("source", "tags"), [["serve"]], r"'source.tags\[0\]' is a list, not text"),
    (("source", "tags"), [3], "is a whole number, not text"),
    (("points",), {}, "'points' is an object, not a list"),
    (("points", 0, "name"), 2**63, r"'points\[0\].name' is a whole number"),
    (("points", 0, "features"), None, "is null, not a list"),
    (("rule", "steps"), True, "'rule.steps' is true or false, not a whole number"),
    (("batch",), 3, "'batch' is a whole number, not an object"),
    (("batch", "axes"), {"x": 0.5}, "'batch.axes.x' is a number, not a whole number"),
    (("sparse_inputs",), "x", "'sparse_inputs' is text"),
    (("held_constant",), ..., "'held_constant' is missing"),
    (("target", "index"), {}, "'target.index' is an object"),
    (("batch", "axes"), {"x": 7}, "an axis 7 of input 'x'"),
    (("target", "rows"), "another text", "'another text' rows of the target"),
    (("points", 0, "name"), "other", "an output 'attributions/other'"),
    (("sparse_inputs",), {"x": {"keys": ["a", "b"], "shape": None}}, "of three parts"),
])
def test_a_record_that_is_wrong(files, tmp_path, place, value, words):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("saved_model.pb", "variables"):
        (folder / name).symlink_to(pathlib.Path(files.model, name))
    record = json.loads(pathlib.Path(files.model, metadata.FILE).read_text())
    inner = record
    for key in place[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    (folder / "assets.extra").mkdir()
    (folder / metadata.FILE).write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match=words):
        ig_tf.attribute(str(folder), files.rows)


@pytest.mark.parametrize("change", [
    lambda data: data[:-30], lambda data: data[:60] + b"\x00" + data[61:],
    lambda data: b"PK\x03\x04",
    lambda data: data.replace(b"words.npy", b"woRds.npy", 1),
    lambda data: data.replace(b"PK\x01\x02", b"PK\x01\x03", 1)])
def test_an_npz_that_is_broken(tmp_path, change):
    file = tmp_path / "rows.npz"
    np.savez(file, words=np.array(["a", "b"]), x=np.ones((2, 3)))
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(RecordError, match="no .npz of plain arrays"):
        list(readers.npz(str(file)))
    with pytest.raises(ResultsError):
        results.read(file)


def test_an_npz_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "_MANY_BYTES", 1000)
    monkeypatch.setattr(npz, "MOST_RATIO", 10)
    with zipfile.ZipFile(tmp_path / "rows.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(10**6))
    with pytest.raises(npz.BrokenFile, match="would become 1,000,000"):
        npz.arrays(tmp_path / "rows.npz")


def test_a_baseline_file_that_is_broken(models, tmp_path):
    (tmp_path / "baseline.npz").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(IgTfError, match="no .npz of plain arrays"):
        ig_tf.instrument(ig_tf.load(models["dense_2"].folder),
                         baseline=str(tmp_path / "baseline.npz"))
