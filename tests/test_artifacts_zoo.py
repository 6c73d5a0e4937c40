"""Real checkpoints and frozen graphs: read, instrumented, and equal to a plain loop.

The truth is computed without ig_tf: the graph as it lies there, restored by its own Saver, fed at
the looked-up vectors.
"""

import csv

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import SignatureError
from tests import builders
from tests.brute_force import brute_force_in_session

v1 = tf.compat.v1
STEPS = 30
# float32: what is summed has up to a few thousand parts, each rounded by 6e-8 of its size.
TOLERANCE = 1e-4


def plain_loop(graph, session, point, scores, index, feed):
    """Integrated gradients of scores[:, index] at a tensor of a graph: (values, scores)."""
    point, score = graph.get_tensor_by_name(point), graph.get_tensor_by_name(scores)[:, index]
    (attributions,) = brute_force_in_session(session, score, [point], feed, STEPS)
    return attributions, session.run(score, feed)


def of_checkpoint(prefix, *how):
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        v1.train.import_meta_graph(str(prefix) + ".meta").restore(session, str(prefix))
        return plain_loop(graph, session, *how)


def of_frozen(path, *how):
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        tf.graph_util.import_graph_def(v1.GraphDef.FromString(path.read_bytes()), name="")
        return plain_loop(graph, session, *how)


def agrees(model, output, truth, point, feed, target):
    """Both loaders give the truth; vectors are summed where the point is one of tokens."""
    ig_tf.save(ig_tf.instrument(model, target=target, steps=STEPS), output)
    attributions, prediction = truth
    for loader in builders.LOADERS.values():
        answer = loader(output)(**feed)
        found = answer[f"attributions/{point}"]
        wanted = attributions if found.ndim == attributions.ndim else attributions.sum(-1)
        np.testing.assert_allclose(answer["prediction"], prediction, rtol=1e-5)
        np.testing.assert_allclose(found, wanted, atol=TOLERANCE * np.abs(wanted).max())


@pytest.fixture(name="sentences", scope="module")
def fixture_sentences(zoo_model):
    """Token ids of movie sentences [8, 60], 0 behind their end."""
    folder = zoo_model("polarity_queue_cnn")
    words = {word: number for number, word in enumerate(
        (folder / "vocab.txt").read_text().splitlines())}
    with open(folder / "test.tsv", newline="") as stream:
        rows = [row for row in csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)][1:9]
    text = [max(row, key=len).split()[:60] for row in rows]
    ids = np.zeros((len(text), 60), np.int64)
    for row, sentence in enumerate(text):
        ids[row, :len(sentence)] = [words.get(word, 1) for word in sentence]
    return ids


NAMED = {"inputs": ["ids=input_batch"], "outputs": ["probabilities"]}


@pytest.mark.parametrize("file", ["ckpt/model", "ckpt", "frozen.pb"])
def test_a_text_model_fed_by_queues(zoo_model, sentences, tmp_path, file):
    """What comes out of the queue is named; the same numbers from checkpoint and frozen file."""
    folder = zoo_model("polarity_queue_cnn")
    how = ("cnn/tokens:0", "probabilities:0", 1, {"input_batch:0": sentences})
    truth = (of_frozen(folder / file, *how) if file.endswith(".pb")
             else of_checkpoint(folder / "ckpt/model", *how))
    model = ig_tf.load(folder / file, **NAMED)
    assert not [node.op for node in model.graph_def.node if "Queue" in node.op]
    agrees(model, tmp_path / "out", truth, "ids", {"ids": sentences}, "probabilities:1")


@pytest.mark.parametrize("sentence, word, sign", [
    ("a wonderful film , moving and funny", "wonderful", 1),
    ("an awful , boring mess of a movie", "boring", -1),
    ("the acting is brilliant and the story is beautiful", "brilliant", 1),
    ("too dull and too long to be worth your time", "dull", -1),
    ("the plot is stupid and the jokes are terrible", "stupid", -1),
    ("a charming and touching story", "touching", 1)])
def test_the_right_words_light_up(zoo_model, tmp_path, sentence, word, sign):
    """The word that any reader would name has the largest attribution, with its sign."""
    folder = zoo_model("polarity_queue_cnn")
    words = (folder / "vocab.txt").read_text().splitlines()
    ids = np.zeros((1, 60), np.int64)
    ids[0, :len(sentence.split())] = [words.index(one) for one in sentence.split()]
    model = ig_tf.load(folder / "frozen.pb", **NAMED)
    ig_tf.save(ig_tf.instrument(model, target="probabilities:1", steps=STEPS), tmp_path / "out")
    answer = builders.open_v2(tmp_path / "out")(ids=ids)
    found = answer["attributions/ids"][0]
    place = int(np.argmax(np.abs(found)))
    assert words[ids[0, place]] == word and np.sign(found[place]) == sign
    assert (answer["prediction"][0] > 0.5) == (sign > 0)


def test_a_text_model_with_keep_prob(zoo_model, tmp_path):
    """The checkpoint of a training graph: keep_prob is fixed, the optimizer is left behind."""
    pytest.importorskip("ig_tf.model.feeds", reason="keep_prob is fixed by feeds.py: not there")
    folder = zoo_model("travel_textcnn")
    ids = np.random.default_rng(0).integers(1, 3000, [3, 100])
    how = ("embedding_lookup:0", "score/Softmax:0", 1, {"input_x:0": ids, "keep_prob:0": 1.0})
    truth = of_checkpoint(folder / "ckpt/best_validation", *how)
    model = ig_tf.load(folder / "ckpt", outputs=["score/Softmax"])
    assert list(model.inputs()) == ["input_x"]
    assert any("keep_prob" in note for note in model.chosen)
    agrees(model, tmp_path / "out", truth, "input_x", {"input_x": ids}, "Softmax:1")


def test_a_training_graph_is_served_without_its_training(zoo_model):
    model = ig_tf.load(zoo_model("travel_textcnn") / "ckpt/best_validation",
                       inputs=["input_x", "keep_prob"], outputs=["score/Softmax"])
    variables = {node.name for node in model.graph_def.node if node.op == "VariableV2"}
    assert variables == {"embedding", "conv/kernel", "conv/bias", "fc1/kernel", "fc1/bias",
                         "fc2/kernel", "fc2/bias"}
    assert not [node.name for node in model.graph_def.node
                if node.name.startswith("optimize") or "Adam" in node.name]


def test_a_picture_model_that_was_frozen(zoo_model, tmp_path):
    path = zoo_model("cifar/frozen_model.pb")
    pictures = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    truth = of_frozen(path, "Input:0", "Output:0", 3, {"Input:0": pictures})
    agrees(ig_tf.load(path, outputs=["Output"]), tmp_path / "out", truth, "Input",
           {"Input": pictures}, "Output:3")


@pytest.mark.parametrize("file, candidates", [
    ("cutkum/frozen_model.pb", ["placeholder/inputs: float32 [?, ?, 80]",
                                "placeholder/fw_state: float32 [1, ?, 896]", "probs: float32"]),
    ("cifar/frozen_model.pb", ["Input: float32 [?, 32, 32, 3]", "Output: float32 [?, 10]"]),
    ("polarity_queue_cnn/frozen.pb", ["input_batch: int64", "probabilities: float32 [?, 2]"]),
    ("polarity_queue_cnn/ckpt", ["input_batch: int64", "probabilities: float32 [?, 2]"]),
    ("travel_textcnn/ckpt/best_validation", ["input_x: int32 [?, 100]", "keep_prob: float32",
                                             "score/Softmax: float32 [?, 2]"])])
def test_candidates_are_listed(zoo_model, file, candidates):
    path = zoo_model(file) if "best" not in file else zoo_model("travel_textcnn") / file[15:]
    with pytest.raises(SignatureError) as caught:
        ig_tf.load(path)
    for candidate in candidates:
        assert candidate in str(caught.value)


def test_a_frozen_graph_with_loops_is_read(zoo_model):
    """Its signature is made; what stands between the inputs and the target is another question."""
    model = ig_tf.load(zoo_model("cutkum/frozen_model.pb"), outputs=["probs"],
                       inputs=["placeholder/inputs", "placeholder/seq_lengths",
                               "placeholder/fw_state", "placeholder/keep_prob"])
    assert list(model.inputs()) == ["fw_state", "inputs", "keep_prob", "seq_lengths"]
    assert not model.files
