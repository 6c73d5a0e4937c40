"""What instrumenting must not change: the model's messages, files, answers and side effects.

Each model is copied, instrumented, and the copy is deleted before the output is loaded, so nothing
of the source can be reached. Comparisons are of parsed messages and of bytes on disk; which nodes,
functions and objects count as added is decided here.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

from google.protobuf import text_format
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import conftest
import ig_tf
import zoo_inputs

tf1 = tf.compat.v1

NAMES = tuple("own/" + name for name in zoo_inputs.OWN_NAMES) + zoo_inputs.NAMES
WITH_OBJECTS = ("own/digits_cnn", "penguin", "reactionrnn", "nsfw_mobilenet", "basic_pitch")
SCOPE, FUNCTIONS, SIGNATURE, COLLECTION = "ig_tf/", "ig_tf_", "attributions", "ig_tf"
ROWS = 3
STEPS = 4  # the path does not matter here


# ------------------------------------------------------------------------------------------------
# Models, by one kind of name for the zoo and for our own.


def find(name):
    """The folder of a model; skips where the zoo is absent."""
    if name.startswith("own/"):
        return zoo_inputs.OWN_MODELS / name.removeprefix("own/")
    path = conftest.zoo_path() / name
    if not path.exists():
        pytest.skip(f"no {name} in the zoo of real models: set IG_TF_ZOO to its folder")
    return path


def request_for(name):
    """{input: array} that a client would send."""
    if name.startswith("own/"):
        return zoo_inputs.own_inputs(name.removeprefix("own/"), ROWS)
    return zoo_inputs.inputs(conftest.zoo_path(), name, 1 if name in (
        "nsfw_mobilenet", "basic_pitch") else ROWS)


def copied(source, target):
    """A copy that can be written to and deleted, whatever the modes of the source."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for folder, _, _ in os.walk(target):
        os.chmod(folder, 0o755)
    return target


def instrumented(name, source, output, **options):
    """Instruments a model as its name asks for; returns the output folder."""
    model = ig_tf.load(source, signature=zoo_inputs.SIGNATURES.get(name))
    plan = ig_tf.instrument(model, target=zoo_inputs.TARGETS.get(name), steps=STEPS)
    ig_tf.save(plan, output, **options)
    return output


def parsed(folder):
    """The SavedModel message of a folder."""
    return saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())


def same(one, other):
    """Whether messages are equal; unlike ==, also where they hold NaN, and unknown fields count."""
    return one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def files(folder):
    """{relative path: bytes} of all files."""
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def written(folder):
    """The two files that instrumenting writes."""
    return {name: (folder / name).read_bytes()
            for name in ("saved_model.pb", "assets.extra/ig_tf.json")}


@dataclasses.dataclass(frozen=True)
class Pair:
    """A model before and after.

    Attributes:
      name: of the model.
      source: folder of the original.
      before: its files, as they were before anything was done.
      output: folder of the instrumented model, whose own source is gone.
      linked: the same made with link=True, and {file: inode} of its source while that was there.
    """

    name: str
    source: pathlib.Path
    before: dict
    output: pathlib.Path
    linked: tuple


@pytest.fixture(scope="module", name="pair", params=NAMES)
def fixture_pair(request, tmp_path_factory):
    name = request.param
    source = find(name)
    before = files(source)
    place = tmp_path_factory.mktemp("surgery")
    copy = copied(source, place / "source")
    output = instrumented(name, copy, place / "output")
    linked = instrumented(name, copy, place / "linked", link=True)
    inodes = {path: (copy / path).stat().st_ino for path in before}
    shutil.rmtree(copy)
    return Pair(name, source, before, output, (linked, inodes))


# ------------------------------------------------------------------------------------------------
# Messages and files.


def test_graph_messages_are_equal(pair):
    """Every NodeDef and FunctionDef of the original, in order and equal; the new ones are named."""
    before, after = (parsed(folder).meta_graphs for folder in (pair.source, pair.output))
    assert len(before) == len(after) == 1
    old, new = before[0].graph_def, after[0].graph_def
    assert not [node.name for node in old.node if node.name.startswith(SCOPE)]
    for one, other in zip(old.node, new.node):
        assert same(one, other), one.name
    added = list(new.node)[len(old.node):]
    assert added and all(node.name.startswith(SCOPE) for node in added)
    for one, other in zip(old.library.function, new.library.function):
        assert same(one, other), one.signature.name
    functions = list(new.library.function)[len(old.library.function):]
    assert functions and all(f.signature.name.startswith(FUNCTIONS) for f in functions)
    for graph, extra in ((new, added), (new.library, functions)):
        kept = graph.node if graph is new else graph.function
        del kept[len(kept) - len(extra):]
    if not old.HasField("library"):
        new.ClearField("library")
    assert same(old, new)  # versions, registered gradients, and whatever else there is


def test_everything_else_of_the_message_is_equal(pair):
    """Signatures, collections, saver, asset files, tags: one signature and one collection more."""
    before, after = parsed(pair.source), parsed(pair.output)
    old, new = before.meta_graphs[0], after.meta_graphs[0]
    assert set(new.signature_def) - set(old.signature_def) == {SIGNATURE}
    assert set(new.collection_def) - set(old.collection_def) == {COLLECTION}
    for key in old.signature_def:
        assert same(old.signature_def[key], new.signature_def[key]), key
    for key in old.collection_def:
        assert same(old.collection_def[key], new.collection_def[key]), key
    del new.signature_def[SIGNATURE]
    del new.collection_def[COLLECTION]
    for proto in (old, new):
        proto.ClearField("graph_def")
        proto.ClearField("object_graph_def")
    assert same(before, after)


def test_object_graph(pair):
    """Original objects are equal, but for one new child of the signature map."""
    old, new = (parsed(folder).meta_graphs[0] for folder in (pair.source, pair.output))
    assert old.HasField("object_graph_def") == new.HasField("object_graph_def")
    assert old.HasField("object_graph_def") == (pair.name in WITH_OBJECTS)
    if pair.name not in WITH_OBJECTS:
        return  # a model of TensorFlow 1
    old, new = old.object_graph_def, new.object_graph_def
    (signatures,) = [child.node_id for child in old.nodes[0].children
                     if child.local_name == "signatures"]
    assert len(new.nodes) == len(old.nodes) + 1
    children = new.nodes[signatures].children
    assert children[-1].local_name == SIGNATURE and children[-1].node_id == len(old.nodes)
    del children[-1]
    for number, (one, other) in enumerate(zip(old.nodes, new.nodes)):
        assert same(one, other), number
    assert new.nodes[-1].WhichOneof("kind") == "bare_concrete_function"
    assert new.nodes[-1].bare_concrete_function.concrete_function_name.startswith(FUNCTIONS)
    (extra,) = set(new.concrete_functions) - set(old.concrete_functions)
    assert extra.startswith(FUNCTIONS)
    del new.nodes[-1]
    del new.concrete_functions[extra]
    assert same(old, new)


def test_other_files_are_byte_equal(pair):
    """variables/, assets/ and the rest are taken over; two files are new, the fingerprint goes."""
    after = files(pair.output)
    own = {"saved_model.pb", "assets.extra/ig_tf.json"}
    stale = {"saved_model.pb", "fingerprint.pb"}
    assert set(after) - own == set(pair.before) - stale
    assert own <= set(after)
    for path in set(pair.before) - stale:
        assert after[path] == pair.before[path], path


def test_the_source_is_untouched(pair):
    """Not a byte of the original has changed, though files were read and linked."""
    assert files(pair.source) == pair.before


def test_links_share_the_files(pair):
    """link=True: hard links instead of copies, for all but the message and the record."""
    folder, inodes = pair.linked
    assert written(folder) == written(pair.output)
    shared = set(inodes) - {"saved_model.pb", "fingerprint.pb"}
    for path in shared:
        assert (folder / path).stat().st_ino == inodes[path], path
        assert (pair.output / path).stat().st_ino != inodes[path], path
    assert (folder / "saved_model.pb").stat().st_ino != inodes["saved_model.pb"]


# ------------------------------------------------------------------------------------------------
# Answers.


def requests(name, folder):
    """{signature: request} for all signatures of the original that this request can be sent to."""
    fed = request_for(name)
    meta_graph = parsed(folder).meta_graphs[0]
    found = {}
    for signature, message in meta_graph.signature_def.items():
        if signature.startswith("__") or signature == SIGNATURE:
            continue
        if set(message.inputs) == set(fed):
            found[signature] = fed
        elif len(message.inputs) == len(fed) == 1:  # the same examples, called otherwise
            found[signature] = dict(zip(message.inputs, fed.values()))
    return found


def assert_identical(one, other):
    """The same keys, the same bits."""
    assert set(one) == set(other)
    for key, value in one.items():
        assert value.dtype == other[key].dtype and value.shape == other[key].shape, key
        if value.dtype == object:
            assert value.tolist() == other[key].tolist(), key
        else:
            assert value.tobytes() == other[key].tobytes(), key


def all_in_session(folder, asked):
    """{signature: answers} of one load by TensorFlow 1."""
    with tf.Graph().as_default(), tf1.Session() as session:
        meta_graph = tf1.saved_model.load(session, ["serve"], str(folder))
        return {signature: zoo_inputs.ask_loaded(session, meta_graph, signature, fed)
                for signature, fed in asked.items()}


def all_in_object(folder, asked):
    """The same by TensorFlow 2."""
    loaded = tf.saved_model.load(str(folder))
    return {signature: zoo_inputs.ask_function(loaded.signatures[signature], fed)
            for signature, fed in asked.items()}


@pytest.mark.parametrize("ask_all", [all_in_session, all_in_object])
def test_original_signatures_answer_bit_identically(pair, ask_all):
    """In both loaders, every original signature; the source that was instrumented is gone."""
    asked = requests(pair.name, pair.source)
    assert asked
    before, after = ask_all(pair.source, asked), ask_all(pair.output, asked)
    for signature in asked:
        assert_identical(before[signature], after[signature])


# ------------------------------------------------------------------------------------------------
# The same bytes.


@pytest.fixture(scope="module", name="elsewhere")
def fixture_elsewhere(tmp_path_factory):
    """Folder of every model that is there, instrumented by a process with other hashes."""
    place = tmp_path_factory.mktemp("elsewhere")
    program = "\n".join([
        "import pathlib, sys",
        "sys.path[:0] = sys.argv[1:3]",
        "import test_surgery_invariants as tests",
        "for name in sys.argv[4:]:",
        "    output = pathlib.Path(sys.argv[3]) / name",
        "    tests.instrumented(name, tests.find(name), output)",
    ])
    there = [name for name in NAMES[::-1]  # another order, too: counters start elsewhere
             if name.startswith("own/") or (conftest.zoo_path() / name).exists()]
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    tests = pathlib.Path(__file__).resolve().parent
    subprocess.run(
        [sys.executable, "-c", program, str(tests), str(tests.parent), str(place), *there],
        check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    return place


def test_same_bytes_again(pair, tmp_path):
    """Instrumenting the same model a second time in one process, read from elsewhere."""
    again = instrumented(pair.name, pair.source, tmp_path / "again")
    assert written(again) == written(pair.output)


def test_same_bytes_in_another_process(pair, elsewhere):
    """A fresh process with another PYTHONHASHSEED and other models before this one."""
    assert written(elsewhere / pair.name) == written(pair.output)


def test_same_bytes_from_an_instrumented_model(pair, tmp_path):
    """What an earlier instrumentation added is built anew, even with other settings before."""
    again = instrumented(pair.name, pair.output, tmp_path / "again")
    assert written(again) == written(pair.output)
    model = ig_tf.load(pair.output, signature=zoo_inputs.SIGNATURES.get(pair.name))
    other = ig_tf.instrument(model, target=zoo_inputs.TARGETS.get(pair.name), steps=STEPS + 1)
    ig_tf.save(other, tmp_path / "other")
    assert written(tmp_path / "other") != written(pair.output)
    back = instrumented(pair.name, tmp_path / "other", tmp_path / "back")
    assert written(back) == written(pair.output)
    in_place = instrumented(pair.name, again, tmp_path / "other", overwrite=True)
    assert files(in_place) == files(pair.output)


def test_same_bytes_from_text(pair, tmp_path):
    """saved_model.pbtxt as input: the binary message comes out, and no text beside it."""
    source = copied(pair.source, tmp_path / "source")
    text = text_format.MessageToString(parsed(source))
    (source / "saved_model.pb").unlink()
    (source / "saved_model.pbtxt").write_text(text, encoding="utf-8")
    output = instrumented(pair.name, source, tmp_path / "output")
    assert files(output) == files(pair.output)


# ------------------------------------------------------------------------------------------------
# Several in one process.


@pytest.mark.parametrize("names", [
    ("own/review_tokens", "own/digits_cnn", "own/diabetes_columns"),
    ("reactionrnn", "penguin", "taxi"),
])
def test_several_models_side_by_side(names, tmp_path):
    """Instrumented together, loaded together, answering in turns: each as it does alone."""
    located = {name: ig_tf.locate(ig_tf.load(find(name))) for name in names}
    plans = {name: ig_tf.instrument(one, steps=STEPS) for name, one in located.items()}
    for number, (name, plan) in enumerate(plans.items()):
        ig_tf.save(plan, tmp_path / str(number))
    alone = [zoo_inputs.ask_session(tmp_path / str(number), SIGNATURE, request_for(name))
             for number, name in enumerate(names)]
    loaded = [tf.saved_model.load(str(tmp_path / str(number))) for number in range(len(names))]
    for _ in range(2):
        for model, name, wanted in zip(loaded, names, alone):
            assert_identical(wanted, zoo_inputs.ask_function(
                model.signatures[SIGNATURE], request_for(name)))


@pytest.mark.parametrize("name", ["own/digits_cnn", "own/diabetes_columns", "reactionrnn"])
def test_one_model_twice_side_by_side(name, tmp_path):
    """Two instrumentations of one model, and one of them loaded twice, in one process."""
    fed, source = request_for(name), find(name)
    first = instrumented(name, source, tmp_path / "first")
    plan = ig_tf.instrument(ig_tf.load(source), steps=2 * STEPS, baseline=0.125)
    ig_tf.save(plan, tmp_path / "second")
    alone = [zoo_inputs.ask_session(folder, SIGNATURE, fed)
             for folder in (first, tmp_path / "second")]
    loaded = [tf.saved_model.load(str(folder))
              for folder in (first, tmp_path / "second", first)]
    answers = [zoo_inputs.ask_function(model.signatures[SIGNATURE], fed) for model in loaded]
    assert_identical(answers[0], alone[0])
    assert_identical(answers[1], alone[1])
    assert_identical(answers[2], alone[0])
    assert np.any(alone[0]["baseline_prediction"] != alone[1]["baseline_prediction"])


# ------------------------------------------------------------------------------------------------
# Keras.


@pytest.mark.parametrize("endpoint", ["serving_default", "serve"])
def test_keras_layer_of_an_exported_model(endpoint, tmp_path):
    """Keras 3 loads an exported model as a layer: the same answers as from the source."""
    import keras

    source = find("own/digits_cnn")
    output = instrumented("own/digits_cnn", source, tmp_path / "output")
    image = request_for("own/digits_cnn")["image"]
    before, after = (keras.layers.TFSMLayer(str(folder), call_endpoint=endpoint)(image)
                     for folder in (source, output))
    assert_identical({key: value.numpy() for key, value in before.items()},
                     {key: value.numpy() for key, value in after.items()})
    layer = keras.layers.TFSMLayer(str(output), call_endpoint=SIGNATURE)
    assert_identical({key: value.numpy() for key, value in layer(image).items()},
                     zoo_inputs.ask_object(output, SIGNATURE, {"image": image}))


def test_keras_2_model_is_still_one(tmp_path):
    """A model saved by Keras 2 loads as the same Keras model: layers, weights, predictions."""
    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.utils.set_random_seed(7)
    model = tf_keras.Sequential([
        tf_keras.layers.Input([6], name="x"), tf_keras.layers.Dense(5, activation="tanh"),
        tf_keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    model.save(str(tmp_path / "source"), save_format="tf")
    values = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
    output = instrumented("keras", tmp_path / "source", tmp_path / "output")
    shutil.rmtree(tmp_path / "source")
    loaded = tf_keras.models.load_model(str(output))
    assert [type(layer).__name__ for layer in loaded.layers] == ["Dense", "Dense"]
    np.testing.assert_array_equal(loaded.predict(values, verbose=0),
                                  model.predict(values, verbose=0))
    loaded.fit(values, np.eye(3, dtype=np.float32)[[0, 1, 2, 0]], verbose=0)  # optimizer, loss


# ------------------------------------------------------------------------------------------------
# Nothing runs while instrumenting, and what the model does besides is done once per request.


def save_v1(session, folder, signatures, **options):
    """Writes a TensorFlow 1 SavedModel. signatures: {name: ({input: tensor}, {output: tensor})}."""
    builder = tf1.saved_model.Builder(str(folder))
    info = tf1.saved_model.build_tensor_info
    builder.add_meta_graph_and_variables(session, ["serve"], {
        name: tf1.saved_model.build_signature_def(
            {key: info(tensor) for key, tensor in inputs.items()},
            {key: info(tensor) for key, tensor in outputs.items()},
            "tensorflow/serving/predict")
        for name, (inputs, outputs) in signatures.items()}, **options)
    builder.save()


def counting_model(folder, kind, references):
    """A model whose requests are counted by a variable; signature `count` reads it."""
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 3], name="x")
        weights = tf1.get_variable(
            "weights", initializer=np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2),
            use_resource=not references)
        counter = tf1.get_variable("counter", initializer=np.float32(0), trainable=False,
                                   use_resource=not references)
        hidden = tf.tanh(x @ weights)
        if kind == "alone":  # examples are not independent, so each of them runs alone
            hidden -= tf.reduce_mean(hidden, 0)
        counted = tf1.assign_add(counter, np.float32(1))
        with tf.control_dependencies([counted]):
            if kind == "middle":
                hidden = tf.identity(hidden)
            if kind == "value":
                hidden += 0.01 * counted
            y = tf.nn.softmax(hidden)
            y = tf.identity(y, name="y") if kind != "middle" else y
        extra = tf1.placeholder_with_default(np.float32(0), [])
        session.run(tf1.global_variables_initializer())
        save_v1(session, folder, {"serving_default": ({"x": x}, {"y": y}), "count": (
            {"extra": extra}, {"total": tf.identity(counter) + extra})})


@pytest.mark.parametrize("references", [True, False], ids=["reference", "resource"])
@pytest.mark.parametrize("kind", ["output", "middle", "value", "alone"])
def test_side_effects_once_per_request(kind, references, tmp_path):
    """A counter behind a control edge goes up once per request, not once per step or example."""
    counting_model(tmp_path / "source", kind, references)
    output = instrumented("counting", tmp_path / "source", tmp_path / "output")
    one = {"x": np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)}
    zero = {"extra": np.float32(0)}
    asked = ("serving_default", SIGNATURE, SIGNATURE, "serving_default", SIGNATURE)
    with tf.Graph().as_default(), tf1.Session() as session:
        meta_graph = tf1.saved_model.load(session, ["serve"], str(output))
        for number, signature in enumerate(asked):
            count = zoo_inputs.ask_loaded(session, meta_graph, "count", zero)["total"]
            assert count == number
            answers = zoo_inputs.ask_loaded(session, meta_graph, signature, one)
            assert len(next(iter(answers.values()))) == 4
    loaded = tf.saved_model.load(str(output)).signatures
    for number, signature in enumerate(asked):
        assert zoo_inputs.ask_function(loaded["count"], zero)["total"] == number
        zoo_inputs.ask_function(loaded[signature], one)


class Counting(tf.Module):
    """The same in TensorFlow 2: the counter is assigned in the function of the signature."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2))
        self.counter = tf.Variable(0, dtype=tf.int64, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def answer(self, x):
        self.counter.assign_add(1)
        return {"y": tf.nn.softmax(tf.tanh(x @ self.weights))}


def test_side_effects_once_per_request_in_functions(tmp_path):
    """An automatic control dependency inside a function counts each request, and once."""
    module = Counting()
    tf.saved_model.save(module, str(tmp_path / "source"), signatures=module.answer)
    output = instrumented("counting", tmp_path / "source", tmp_path / "output")
    one = {"x": np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)}
    loaded = tf.saved_model.load(str(output))
    for number, signature in enumerate(("serving_default", SIGNATURE, SIGNATURE), 1):
        zoo_inputs.ask_function(loaded.signatures[signature], one)
        assert loaded.counter.numpy() == number


@pytest.mark.parametrize("where", ["main_op", "path"])
def test_nothing_is_executed(where, tmp_path):
    """A model that writes a file when it is loaded, or when it answers, writes none before that."""
    mark = tmp_path / "mark"
    with tf.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 3], name="x")
        write = tf.io.write_file(str(mark), "it ran")
        with tf.control_dependencies([write] if where == "path" else []):
            y = tf.identity(tf.reduce_sum(tf.tanh(x), 1))
        save_v1(session, tmp_path / "source", {"serving_default": ({"x": x}, {"y": y})},
                main_op=write if where == "main_op" else None)
    assert not mark.exists()
    output = instrumented("marking", tmp_path / "source", tmp_path / "output")
    assert not mark.exists()
    zoo_inputs.ask_session(output, SIGNATURE, {"x": np.ones([2, 3], np.float32)})
    assert mark.exists()


def test_python_of_the_model_is_not_called(tmp_path):
    """A py_function in the model's initializer and one on the way to its output: not called."""
    calls = []

    def note(value):
        calls.append(float(value))
        return value

    graph = tf.Graph()  # the functions live as long as it does
    with graph.as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 3], name="x")
        init = tf1.py_func(note, [tf.constant(1.0)], tf.float32).op
        with tf.control_dependencies([tf1.py_func(note, [tf.constant(2.0)], tf.float32)]):
            y = tf.identity(tf.reduce_sum(tf.tanh(x), 1))
        save_v1(session, tmp_path / "source", {"serving_default": ({"x": x}, {"y": y})},
                main_op=init)
    output = instrumented("python", tmp_path / "source", tmp_path / "output")
    assert not calls
    zoo_inputs.ask_session(output, SIGNATURE, {"x": np.ones([2, 3], np.float32)})
    assert calls == [1.0, 2.0]


@pytest.mark.parametrize("name", ["own/digits_cnn", "own/diabetes_columns"])
def test_weights_are_not_read(name, tmp_path):
    """With the variables' files replaced by rubbish the same message comes out, rubbish beside."""
    good = instrumented(name, find(name), tmp_path / "good")
    source = copied(find(name), tmp_path / "source")
    rubbish = {}
    for path in sorted((source / "variables").iterdir()):
        path.write_bytes(b"rubbish of " + path.name.encode())
        rubbish[f"variables/{path.name}"] = path.read_bytes()
    output = instrumented(name, source, tmp_path / "output")
    assert written(output) == written(good)
    assert {path: files(output)[path] for path in rubbish} == rubbish


def test_other_metagraphs_are_left_alone(tmp_path):
    """Of two tag sets one is instrumented; the other is equal as a message and still answers."""
    folder = tmp_path / "source"
    builder = tf1.saved_model.Builder(str(folder))
    info = tf1.saved_model.build_tensor_info
    for number, tags in enumerate((["train"], ["serve"])):
        with tf.Graph().as_default(), tf1.Session() as session:
            x = tf1.placeholder(tf.float32, [None, 2], name="x")
            weight = tf1.get_variable("weight", initializer=np.float32(3))
            y = tf.reduce_sum(tf.tanh(x * weight), 1) + number
            signature = {"serving_default": tf1.saved_model.build_signature_def(
                {"x": info(x)}, {"y": info(y)}, "tensorflow/serving/predict")}
            session.run(tf1.global_variables_initializer())
            if number:
                builder.add_meta_graph(tags, signature)
            else:
                builder.add_meta_graph_and_variables(session, tags, signature)
    builder.save()
    output = instrumented("two", folder, tmp_path / "output")
    before, after = parsed(folder).meta_graphs, parsed(output).meta_graphs
    assert same(before[0], after[0]) and SIGNATURE in after[1].signature_def
    fed = {"x": np.array([[0.5, -0.25]], np.float32)}
    for tags in (("train",), ("serve",)):
        assert_identical(zoo_inputs.ask_session(folder, "serving_default", fed, tags=tags),
                         zoo_inputs.ask_session(output, "serving_default", fed, tags=tags))
    record = json.loads((output / "assets.extra" / "ig_tf.json").read_text(encoding="utf-8"))
    assert record["source"]["tags"] == ["serve"]
