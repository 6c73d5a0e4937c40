"""The models of saved_models/: small, whole, inference only, and as good as their README says."""

import csv
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

tf1 = tf.compat.v1

MODELS = pathlib.Path(__file__).resolve().parent.parent / "saved_models"
NAMES = ("diabetes_columns", "review_tokens", "digits_cnn", "question_types", "shapes",
         "translation")
TF1_NAMES = ("diabetes_columns", "review_tokens")
MAX_BYTES = 1_000_000
# Of training, of dropout, of an initializer that draws: none belongs into an inference graph.
TRAINING_OP = re.compile(r"Apply|Random|Multinomial|TruncatedNormal|Dropout|Grad$|BackpropInput")
TRAINING_NAME = re.compile(r"adam|optimizer|gradients|dropout|momentum", re.IGNORECASE)
INPUTS = {
    "diabetes_columns": {
        **{
            name: (tf.float32, [None])
            for name in (
                "age", "bmi", "blood_pressure", "total_cholesterol", "ldl", "hdl",
                "cholesterol_ratio", "log_triglycerides", "glucose",
            )
        },
        **{name: (tf.string, [None]) for name in ("age_group", "bmi_class", "sex")},
    },
    "review_tokens": {"tokens": (tf.int64, [None, 32])},
    "digits_cnn": {"image": (tf.float32, [None, 8, 8, 1])},
    "question_types": {"question": (tf.string, [None])},
    "shapes": {"image": (tf.float32, [None, 32, 32, 3])},
    "translation": {"words": (tf.int64, [None, 8])},
}
OUTPUTS = {"diabetes_columns": [2], "review_tokens": [2], "digits_cnn": [10],
           "question_types": [6], "shapes": [5], "translation": [8, 30]}
EXAMPLES = {"diabetes_columns": 60, "review_tokens": 40, "digits_cnn": 40, "question_types": 24,
            "shapes": 20, "translation": 20}
QUESTION_TYPES = ("number", "date", "person", "place", "yes or no", "thing")


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    labels = np.array(columns.pop("label"), int)
    floats = {n for n, (dtype, _) in INPUTS["diabetes_columns"].items() if dtype == tf.float32}
    feeds = {
        name: np.array(values, np.float32 if name in floats else object)
        for name, values in columns.items()
    }
    return feeds, labels


def read_jsonl(path):
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    tokens = np.array([row["tokens"] for row in rows], np.int64)
    return {"tokens": tokens}, np.array([row["label"] for row in rows])


def read_questions(path):
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    labels = np.array([QUESTION_TYPES.index(row["label"]) for row in rows])
    return {"question": np.array([row["question"] for row in rows], object)}, labels


def read_sentences(path):
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    german = path.parent.joinpath("assets.extra", "german.txt").read_text("utf-8").splitlines()
    labels = [[german.index(word) for word in row["german"].split()] for row in rows]
    padded = np.array([row + [german.index("<pad>")] * (8 - len(row)) for row in labels])
    return {"words": np.array([row["words"] for row in rows], np.int64)}, padded


def read_npz(path):
    with np.load(path) as arrays:
        return {"image": arrays["image"]}, arrays["label"]


def read_examples(name):
    """(arrays by input name, labels) of a model's examples."""
    readers = {"question_types": read_questions, "translation": read_sentences,
               ".csv": read_csv, ".jsonl": read_jsonl, ".npz": read_npz}
    (path,) = (MODELS / name).glob("examples.*")
    return readers[name if name in readers else path.suffix](path)


def read_meta_graph(name):
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((MODELS / name / "saved_model.pb").read_bytes())
    (meta_graph,) = saved_model.meta_graphs
    return meta_graph


def all_nodes(meta_graph):
    """The nodes of the graph and of its functions."""
    yield from meta_graph.graph_def.node
    for function in meta_graph.graph_def.library.function:
        yield from function.node_def


def stated_accuracy(name):
    """What the first table of the README says of the examples."""
    for line in (MODELS / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"| [`{name}`]"):
            return float(line.split("|")[5])
    raise AssertionError(f"README.md has no line for {name}")


def run_v1(folder, feeds):
    with tf.Graph().as_default(), tf1.Session() as session:
        meta_graph = tf1.saved_model.load(session, ["serve"], folder)
        signature = meta_graph.signature_def["serving_default"]
        outputs = {name: info.name for name, info in signature.outputs.items()}
        return session.run(outputs, {signature.inputs[n].name: v for n, v in feeds.items()})


def run_v2(folder, feeds):
    model = tf.saved_model.load(folder)
    signature = model.signatures["serving_default"]
    outputs = signature(**{name: tf.constant(value) for name, value in feeds.items()})
    return {name: value.numpy() for name, value in outputs.items()}


@pytest.mark.parametrize("name", NAMES)
def test_small(name):
    size = sum(path.stat().st_size for path in (MODELS / name).rglob("*") if path.is_file())
    assert size < MAX_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_whole(name):
    variables = MODELS / name / "variables"
    assert (variables / "variables.index").is_file()
    assert (variables / "variables.data-00000-of-00001").is_file()


@pytest.mark.parametrize("run", [run_v1, run_v2])
@pytest.mark.parametrize("name", NAMES)
def test_predicts_its_examples_elsewhere(name, run, tmp_path):
    # Elsewhere, and without a folder that the model could have been made in.
    shutil.copytree(MODELS / name, tmp_path / name)
    feeds, labels = read_examples(name)
    assert len(labels) == EXAMPLES[name]
    outputs = run(str(tmp_path / name), feeds)
    assert set(outputs) == {"logits", "probabilities"}
    np.testing.assert_allclose(
        outputs["probabilities"], tf.nn.softmax(outputs["logits"]), atol=1e-6
    )
    accuracy = np.mean(np.argmax(outputs["probabilities"], axis=-1) == labels)
    # Other kernels may turn a row whose two classes are equal but for rounding.
    assert accuracy == pytest.approx(stated_accuracy(name), abs=1.5 / labels.size)


@pytest.mark.parametrize("name", NAMES)
def test_signature(name):
    meta_graph = read_meta_graph(name)
    assert list(meta_graph.meta_info_def.tags) == ["serve"]
    signature = meta_graph.signature_def["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    inputs = {
        key: (tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape).as_list())
        for key, info in signature.inputs.items()
    }
    assert inputs == INPUTS[name]
    for info in signature.outputs.values():
        assert tf.as_dtype(info.dtype) == tf.float32
        assert tf.TensorShape(info.tensor_shape).as_list() == [None, *OUTPUTS[name]]


@pytest.mark.parametrize("name", NAMES)
def test_inference_only(name):
    meta_graph = read_meta_graph(name)
    found = [
        node.name
        for node in all_nodes(meta_graph)
        if TRAINING_OP.search(node.op) or TRAINING_NAME.search(node.name)
    ]
    assert not found
    stored = tf.train.list_variables(str(MODELS / name / "variables" / "variables"))
    assert not [key for key, _ in stored if TRAINING_NAME.search(key)]


@pytest.mark.parametrize("name", NAMES)
def test_object_graph(name):
    meta_graph = read_meta_graph(name)
    assert meta_graph.HasField("object_graph_def") is (name not in TF1_NAMES)
    if name in TF1_NAMES:
        assert not meta_graph.graph_def.library.function


def test_vocabulary_asset():
    meta_graph = read_meta_graph("diabetes_columns")
    (packed,) = meta_graph.collection_def["saved_model_assets"].any_list.value
    asset = meta_graph_pb2.AssetFileDef()
    packed.Unpack(asset)
    words = (MODELS / "diabetes_columns" / "assets" / asset.filename).read_text(encoding="utf-8")
    feeds, _ = read_examples("diabetes_columns")
    assert set(feeds["age_group"]) <= set(words.splitlines())
    # The constant that a loader overrides must not be a path of the machine that trained.
    (node,) = [
        node
        for node in meta_graph.graph_def.node
        if node.name == asset.tensor_info.name.removesuffix(":0")
    ]
    assert tf.make_ndarray(node.attr["value"].tensor).item() == asset.filename.encode()


def test_vocabulary_of_tokens():
    path = MODELS / "review_tokens" / "assets.extra" / "vocab.txt"
    words = path.read_text(encoding="utf-8").splitlines()
    assert words[:2] == ["<pad>", "<unk>"]
    stored = dict(tf.train.list_variables(str(MODELS / "review_tokens/variables/variables")))
    assert stored["model/embedding"][0] == len(words)
    for line in (MODELS / "review_tokens" / "examples.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        shown = [words[token] for token in row["tokens"] if token > 1]
        assert shown and all(word in row["text"].lower() for word in shown)


def test_vocabularies_of_the_translation():
    folder = MODELS / "translation" / "assets.extra"
    english, german = (folder.joinpath(f"{name}.txt").read_text("utf-8").splitlines()
                       for name in ("english", "german"))
    assert len(english) == len(set(english)) and len(german) == OUTPUTS["translation"][1]
    feeds, labels = read_examples("translation")
    rows = [json.loads(line) for line in
            (MODELS / "translation" / "examples.jsonl").read_text("utf-8").splitlines()]
    for row, words, wanted in zip(rows, feeds["words"], labels):
        assert " ".join(english[word] for word in words if word) == row["english"]
        assert " ".join(german[word] for word in wanted if word) == row["german"]


def test_objects_are_where_their_boxes_say():
    """Within the box of the object there is more of its colour than anywhere else."""
    with np.load(MODELS / "shapes" / "examples.npz") as arrays:
        images, boxes = arrays["image"], arrays["box"]
    assert boxes.shape == (20, 4) and images.min() >= 0 and images.max() <= 1
    for image, (top, bottom, left, right) in zip(images, boxes):
        # Objects have colours near 0 or 1; the clouds around them have none.
        strong = (np.abs(image - 0.5) > 0.26).all(axis=2)
        inside = strong[top:bottom + 1, left:right + 1].mean()
        strong[top:bottom + 1, left:right + 1] = False
        outside = strong.sum() / (1024 - (bottom - top + 1) * (right - left + 1))
        assert inside > 0.2 > 2 * outside
