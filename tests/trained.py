"""A training program of TensorFlow 1, as teams have it: what it leaves behind is not all served.

Two inputs (tokens by name, numbers), a vocabulary file, a partitioned table, ref and resource
variables, an optimizer with slots, summaries, a counter and a device of a cluster.
"""

import contextlib
import dataclasses

import numpy as np
import tensorflow as tf

from tests.brute_force import brute_force_in_session

v1 = tf.compat.v1
WORDS = ("plum", "apple", "fig", "kiwi", "lime")


@dataclasses.dataclass
class Trained:
    """A live training graph and its session.

    Attributes:
      graph, session: of TensorFlow 1.
      saver: its Saver.
      inputs, outputs: {name: tensor}.
      points: {point name: tensor} at which attribution belongs.
    """

    graph: object
    session: object
    saver: object
    inputs: dict
    outputs: dict
    points: dict

    def save(self, folder, step=7):
        """Checkpoint, metagraph and state file; the prefix."""
        with self.graph.as_default():
            return self.saver.save(self.session, str(folder / "model.ckpt"), global_step=step)

    def attributions(self, prefix, feed, index, steps):
        """Integrated gradients of a score by a plain loop: {point name: array}.

        In a graph of its own, restored from a checkpoint: the live one stays as it is.
        """
        with tf.Graph().as_default() as graph, v1.Session() as session:
            saver = v1.train.import_meta_graph(prefix + ".meta")
            scores, *points = [graph.get_tensor_by_name(tensor.name) for tensor in (
                self.outputs["scores"], *self.points.values())]
            saver.restore(session, prefix)
            session.run(v1.tables_initializer())
            feed = {self.inputs[name].name: value for name, value in feed.items()}
            found = brute_force_in_session(session, scores[:, index], points, feed, steps)
        return dict(zip(self.points, found))


def trained(folder, resource=True, steps=3, sharded=False):
    """Builds and trains it; the vocabulary file lies in `folder`."""
    vocabulary = folder / "words.txt"
    vocabulary.write_text("\n".join(WORDS) + "\n")
    graph = tf.Graph()
    with graph.as_default(), contextlib.ExitStack() as stack:
        stack.enter_context(graph.device("/cpu:0"))
        words = v1.placeholder(tf.string, [None, 3], "words")
        numbers = v1.placeholder(tf.float64, [None, 2], "numbers")
        label = v1.placeholder(tf.float64, [None, 2], "label")
        v1.set_random_seed(5)
        vectors, hidden = _network(words, numbers, str(vocabulary), resource)
        scores = tf.nn.softmax(hidden, name="model/scores")
        loss = tf.reduce_mean(tf.square(scores - label), name="loss")
        v1.summary.scalar("loss", loss)
        counter = v1.train.get_or_create_global_step()
        train = v1.train.AdamOptimizer(0.05).minimize(loss, counter)
        saver = v1.train.Saver(sharded=sharded)
        session = v1.Session(graph=graph)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        feed = batch(8)
        for _ in range(steps):
            session.run(train, {words: feed["words"], numbers: feed["numbers"],
                                label: np.eye(2)[np.arange(8) % 2]})
    return Trained(graph, session, saver, {"words": words, "numbers": numbers},
                   {"scores": scores}, {"words": vectors, "numbers": numbers})


def _network(words, numbers, vocabulary, resource):
    lines = tf.lookup.TextFileInitializer(
        vocabulary, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER)
    ids = tf.lookup.StaticVocabularyTable(lines, 2).lookup(words)
    with v1.variable_scope("model", use_resource=resource):
        parts = v1.get_variable("vectors", [len(WORDS) + 2, 4], tf.float64,
                                partitioner=v1.fixed_size_partitioner(2))
        vectors = tf.identity(tf.nn.embedding_lookup(parts, ids), "vectors_of_words")
        features = tf.concat([tf.reshape(vectors, [-1, 12]), numbers], 1)
        kernel = v1.get_variable("kernel", [14, 2], tf.float64)
        bias = v1.get_variable("bias", [2], tf.float64)
        return vectors, tf.matmul(tf.tanh(features), kernel) + bias


def batch(size=4):
    """Inputs for it; some words are not in the vocabulary."""
    random = np.random.default_rng(3)
    words = random.choice(np.array([*WORDS, "unknown", "other"], object), [size, 3])
    return {"words": words.astype(object), "numbers": random.normal(size=[size, 2])}


def frozen(model):
    """The GraphDef with variables as constants, tables and their initializers still in it."""
    names = [tensor.op.name for tensor in model.outputs.values()]
    fillers = [op.name for op in model.graph.get_operations()
               if op.type.startswith("InitializeTable")]
    return v1.graph_util.convert_variables_to_constants(
        model.session, model.graph.as_graph_def(), names + fillers)
