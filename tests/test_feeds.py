"""Inputs that are no placeholders: each kind blocks before, and answers any batch after.

The graphs of tests/old/write_queues.py are built here by `tf.compat.v1` and read from fixtures
that TensorFlow 1.15.5 wrote; with the op names of old graphs (ref handles) too.
"""

import dataclasses
import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf

from ig_tf.errors import GraphError, SignatureError
from ig_tf.model import feeds
from tests.old import write_queues

tf1 = tf.compat.v1
FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "queues_1_15"
BLOCKED = 300  # milliseconds after which a run counts as waiting for ever
ROWS = np.random.RandomState(1).uniform(-1, 1, (3, 4)).astype(np.float32)
WORDS = np.array([[3, 1, 19, 0, 0], [7, 7, 2, 5, 11], [1, 0, 0, 0, 0]])
LINES = np.array([",".join(f"{number:.9g}" for number in row).encode() for row in ROWS], object)


def network(rows):
    """The same network as in write_queues, in numpy."""
    logits = np.tanh(rows @ write_queues.FIRST) @ write_queues.SECOND
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class Case:
    """What is to be found in one graph: the feed, what is fed, and how the graph fails before."""

    name: str
    dtype: str
    shape: object
    fed: object = None
    error: object = tf.errors.DeadlineExceededError
    before: object = None

    def batches(self):
        """[(what is fed, rows that the network then sees)] of one and of three examples."""
        if self.shape == [None, None]:
            return [(WORDS[:count], write_queues.TABLE[WORDS[:count]].mean(1)) for count in (1, 3)]
        if self.shape == [None] and self.dtype == "int64":
            return [(ids, write_queues.TABLE[ids].mean(0)[None]) for ids in WORDS]
        if self.shape == [4] or self.shape == []:
            values = ROWS if self.shape else LINES
            return [(value, row[None]) for value, row in zip(values, ROWS)]
        values = LINES if self.dtype == "string" else ROWS
        shape = [-1, *self.shape[1:]]
        return [(values[:count].reshape(shape), ROWS[:count]) for count in (1, 3)]


FEATURES = Case("features", "float32", [None, 4])
FEATURES_OF_ONE = dataclasses.replace(FEATURES, shape=[4])
IDS = Case("ids", "int64", [None, None])
UNKNOWN_OP = (tf.errors.InvalidArgumentError, tf.errors.NotFoundError)
CASES = {
    "fifo_many": FEATURES,
    "fifo_up_to": FEATURES,
    "fifo_one": FEATURES,
    "fifo_element": FEATURES_OF_ONE,
    "padding_many": IDS,
    "padding_up_to": IDS,
    "padding_one": dataclasses.replace(IDS, shape=[None]),
    "shuffle_many": FEATURES,
    "shuffle_up_to": FEATURES,
    "shuffle_one": FEATURES_OF_ONE,
    "priority_many": FEATURES,
    "priority_up_to": FEATURES,
    "priority_one": FEATURES_OF_ONE,
    "batch_join": FEATURES,
    "batch_of_batches": FEATURES,
    "reader_read": Case("record", "string", []),
    "reader_read_up_to": Case("record", "string", [None]),
    "iterator": dataclasses.replace(FEATURES, error=tf.errors.FailedPreconditionError),
    "one_shot_iterator": dataclasses.replace(FEATURES, error=tf.errors.NotFoundError),
    "iterator_of_a_handle": dataclasses.replace(
        FEATURES, name="IteratorGetNext", error=tf.errors.InvalidArgumentError,
        before={"handle:0": "no handle"}),
    "unstage": FEATURES,
    "map_unstage": FEATURES,
    "infeed": dataclasses.replace(FEATURES, name="InfeedDequeueTuple", error=UNKNOWN_OP),
    "infeed_one": dataclasses.replace(FEATURES, name="InfeedDequeue", error=UNKNOWN_OP),
    "condition_of_queues": dataclasses.replace(
        FEATURES, before={"is_training:0": False, "keep_prob:0": 1.0}),
    "selected_queue": dataclasses.replace(FEATURES, before={"which:0": 1}),
    "waits_for_queue": dataclasses.replace(FEATURES, error=tf.errors.InvalidArgumentError),
    "fixed_rows": dataclasses.replace(FEATURES, shape=[None, 2, 2]),
}
SPARSE = {"sparse_batch": tf.errors.DeadlineExceededError,
          "sparse_iterator": tf.errors.FailedPreconditionError}
OLD_OPS = ("fifo_many", "fifo_up_to", "fifo_element", "padding_many", "padding_up_to",
           "padding_one", "shuffle_many", "shuffle_up_to", "shuffle_one", "priority_many",
           "priority_up_to", "priority_one", "batch_join", "reader_read", "reader_read_up_to")


def built_here(name):
    return write_queues.graph_def(getattr(write_queues, name))


def written_by_1_15(name):
    return tf1.GraphDef.FromString((FIXTURES / f"{name}.pb").read_bytes())


def with_old_ops(name):
    """As graphs before version 1.0 have them: handles are ref strings."""
    graph_def = written_by_1_15(name)
    graph_def.versions.producer = 22  # readers with ref handles are refused in newer graphs
    for node in graph_def.node:
        if node.op.endswith("V2") and ("Queue" in node.op or "Reader" in node.op):
            node.op = node.op[:-2]
            node.attr.pop("_output_shapes", None)  # a ref handle is a vector
    return graph_def


GRAPHS = ([(built_here, name) for name in CASES] + [(written_by_1_15, name) for name in CASES]
          + [(with_old_ops, name) for name in OLD_OPS])


def run(graph_def, fetch, fed=None):
    """One run in a session that gives up when it waits; no queue runner is started."""
    config = tf1.ConfigProto(operation_timeout_in_ms=BLOCKED)
    config.graph_options.rewrite_options.disable_meta_optimizer = True  # the graph as it is
    with tf.Graph().as_default(), tf1.Session(config=config) as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        return session.run(fetch, fed or {})


def assert_waits_for_stage(graph_def):
    """An Unstage cannot be interrupted: it waits in a thread until something is put in."""
    put = next(node for node in graph_def.node if node.op in ("Stage", "MapStage"))
    # Threads of its own: what waits would hold those that other sessions of the process share.
    config = tf1.ConfigProto(use_per_session_threads=True, inter_op_parallelism_threads=4)
    with tf.Graph().as_default(), tf1.Session(config=config) as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        waiting = threading.Thread(target=session.run, args=["scores:0"], daemon=True)
        waiting.start()
        waiting.join(BLOCKED / 1000)
        assert waiting.is_alive()
        session.run(put.name, {put.input[-1] + ":0": np.zeros((write_queues.BATCH, 4))})
        waiting.join(60)
        assert not waiting.is_alive()


def test_every_fixture_has_a_case():
    cases = sorted([*CASES, *SPARSE])
    assert cases == sorted(file.stem for file in FIXTURES.glob("*.pb"))
    assert cases == sorted(build.__name__ for build in write_queues.GRAPHS)


@pytest.mark.parametrize("source, name", GRAPHS,
                         ids=[f"{name}-{source.__name__}" for source, name in GRAPHS])
def test_blocks_before_and_answers_after(source, name):
    case, graph_def = CASES[name], source(name)
    if name in ("unstage", "map_unstage"):
        assert_waits_for_stage(graph_def)
    else:
        with pytest.raises(case.error):
            run(graph_def, "scores:0", case.before)
    untouched = graph_def.SerializeToString(deterministic=True)
    prepared = feeds.prepare(graph_def, ["scores:0"])
    assert graph_def.SerializeToString(deterministic=True) == untouched
    feed, = prepared.feeds
    if source is not built_here or name != "condition_of_queues":  # its queues are in functions
        assert feed.name == case.name
    assert (feed.dtype.name, feed.shape.as_list()) == (case.dtype, case.shape)
    assert prepared.open == () and prepared.random == ()
    placeholder, = prepared.inputs.values()
    served = tf1.graph_util.extract_sub_graph(prepared.graph_def, ["scores"])
    left = {node.op for node in served.node if any(
        word in node.op for word in ("Queue", "Reader", "Iterator", "nstage", "Infeed"))}
    assert not left
    for fed, rows in case.batches():
        found = run(served, "scores:0", {placeholder: fed})
        np.testing.assert_allclose(found, network(rows), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("source", [built_here, written_by_1_15])
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_tensors_are_fed_in_parts(source, name):
    """Not the packed one, which nobody could feed: what is unpacked from it."""
    graph_def = source(name)
    with pytest.raises(SPARSE[name]):
        run(graph_def, "scores:0")
    prepared = feeds.prepare(graph_def, ["scores"])
    assert {feed.name: (feed.dtype.name, feed.shape.as_list()) for feed in prepared.feeds} == {
        "ids_indices": ("int64", [None, 2]),
        "ids_values": ("int64", [None]), "ids_dense_shape": ("int64", [2])}
    for count in (1, 3):
        parts = {"indices": np.argwhere(WORDS[:count] >= 0), "dense_shape": [count, 5],
                 "values": WORDS[:count].ravel()}
        found = run(prepared.graph_def, "scores:0", {
            prepared.inputs[f"ids_{part}"]: value for part, value in parts.items()})
        rows = write_queues.TABLE[WORDS[:count]].mean(1)
        np.testing.assert_allclose(found, network(rows), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name, words", [
    ("fifo_many", ["'fifo_queue' (FIFOQueueV2)", "QueueDequeueManyV2", "in batches of 8",
                   "parsed feature 'features'"]),
    ("padding_up_to", ["PaddingFIFOQueueV2", "up to 8 at a time"]),
    ("priority_many", ["component 1", "PriorityQueueV2"]),
    ("iterator", ["IteratorV2", "IteratorGetNext", "parsed feature 'features'"]),
    ("condition_of_queues", ["cond/Merge", "fifo_queue_1"]),
    ("selected_queue", ["'fifo_queue' (FIFOQueueV2)", "'fifo_queue_1' (FIFOQueueV2)"])])
def test_says_where_it_comes_from(name, words):
    feed, = feeds.prepare(written_by_1_15(name), ["scores"]).feeds
    assert not [word for word in words if word not in feed.source]


def test_only_what_the_outputs_need_and_the_nearest():
    graph_def = written_by_1_15("shuffle_many")
    assert [feed.name for feed in feeds.found(graph_def, ["scores:0"])] == ["features"]
    both = feeds.found(graph_def, ["scores", "labels:0"])
    assert [(feed.tensor, feed.name) for feed in both] == [
        ("shuffle_batch:0", "label"), ("shuffle_batch:1", "features")]
    assert feeds.found(graph_def, ["scores"], given=["shuffle_batch:1"]) == ()
    taken = feeds.found(graph_def, ["scores"], taken=["features"])
    assert [feed.name for feed in taken] == ["features_1"]


def test_an_output_that_is_a_dequeue_itself():
    prepared = feeds.prepare(written_by_1_15("shuffle_many"), ["shuffle_batch:0", "scores"])
    assert prepared.outputs == (prepared.inputs["label"], "scores")
    found = run(prepared.graph_def, prepared.outputs, {
        prepared.inputs["label"]: [1, 0, 1], prepared.inputs["features"]: ROWS})
    assert found[0].tolist() == [1, 0, 1]


def test_waits_are_cut_and_said():
    prepared = feeds.prepare(written_by_1_15("waits_for_queue"), ["scores"])
    said = [note for note in prepared.notes if "no longer waits" in note]
    assert any("Identity" in note and "QueueEnqueueV2" in note for note in said)
    assert any("Assert" in note for note in said)


def frozen(build, outputs):
    """A graph as freezing leaves it: nothing that fills the queues."""
    return tf1.graph_util.extract_sub_graph(write_queues.graph_def(build), outputs)


def test_frozen_graphs_have_no_side_that_fills():
    graph_def = frozen(write_queues.shuffle_many, ["scores", "labels"])
    found = feeds.found(graph_def, ["scores", "labels"])
    assert [feed.name for feed in found] == ["labels", "shuffle_batch_1"]
    assert [feed.shape.as_list() for feed in found] == [[None], [None, 4]]


def an_iterator(types, shapes):
    handle = tf.raw_ops.IteratorV2(shared_name="", container="", output_types=types,
                                   output_shapes=shapes)
    return tf.raw_ops.IteratorGetNext(iterator=handle, output_types=types, output_shapes=shapes)


def a_queue(types, shapes):
    taken = tf1.FIFOQueue(2, types, shapes).dequeue()
    return taken if isinstance(taken, list) else [taken]


@pytest.mark.parametrize("taken", [an_iterator, a_queue])
@pytest.mark.parametrize("shapes, wanted", [
    ([[8, 4], [8]], [None, 4]),  # features and labels: 8 is the batch
    ([[8, 4], []], [8, 4]), ([[8, 4], [3]], [8, 4]), ([[8, 4]], [8, 4])])
def test_batches_of_what_nothing_in_the_graph_fills(taken, shapes, wanted):
    """As frozen graphs have it: a size that all components share is the batch's, and is said."""
    graph_def = frozen(lambda: write_queues.network(
        taken([tf.float32, tf.int64][:len(shapes)], shapes)[0]), ["scores"])
    feed, = feeds.found(graph_def, ["scores"])
    assert feed.shape.as_list() == wanted
    assert ("in batches of 8 (as many rows as all its components have)" in feed.source) == (
        wanted == [None, 4])


def test_a_queue_that_nothing_feeds():
    def build():
        write_queues.network(tf.reshape(tf1.FIFOQueue(3, [tf.float32]).dequeue(), [-1, 4]))

    graph_def = write_queues.graph_def(build)
    graph_def.node[[n.op for n in graph_def.node].index("QueueDequeueV2")].attr.pop(
        "_output_shapes", None)
    with pytest.raises(GraphError, match="nothing in the graph feeds it.*--feed=fifo_queue_Deq"):
        feeds.prepare(graph_def, ["scores"])
    prepared = feeds.prepare(graph_def, ["scores"], "fifo_queue_Dequeue:rows[?,4]")
    assert prepared.feeds[0].shape.as_list() == [None, 4]
    assert run(prepared.graph_def, "scores:0", {"rows:0": ROWS}).shape == (3, 2)


def test_a_feed_in_a_branch_stays_in_it():
    """One branch works on what it takes, so the cut is not behind the condition."""
    def build():
        wanted = tf1.placeholder(tf.bool, [], "wanted")
        queues = [tf1.FIFOQueue(9, [tf.float32], [[4]]) for _ in range(2)]
        for queue in queues:
            queue.enqueue([tf1.placeholder(tf.float32, [4], "row")])
        tf1.disable_control_flow_v2()
        try:
            rows = tf1.cond(wanted, lambda: 2 * queues[0].dequeue_many(8),
                            lambda: queues[1].dequeue_many(8))
        finally:
            tf1.enable_control_flow_v2()
        tf.identity(rows, name="rows")

    graph_def = write_queues.graph_def(build)
    prepared = feeds.prepare(graph_def, ["rows"], given=["wanted:0"])
    assert sorted(prepared.inputs) == ["row", "row_1"]
    fed = {prepared.inputs["row"]: ROWS, prepared.inputs["row_1"]: ROWS + 5}
    answers = [run(prepared.graph_def, "rows:0", {**fed, "wanted:0": wanted})
               for wanted in (False, True)]
    doubled = [feed for feed in prepared.feeds if "'fifo_queue' " in feed.source][0].name
    first, second = (ROWS, ROWS + 5) if doubled == "row" else (ROWS + 5, ROWS)
    np.testing.assert_array_equal(answers[1], 2 * first)
    np.testing.assert_array_equal(answers[0], second)


def test_a_named_tensor_in_a_branch_stays_in_it():
    def build():
        wanted = tf1.placeholder(tf.bool, [], "wanted")
        x = tf1.placeholder(tf.float32, [None, 4], "x")
        tf1.disable_control_flow_v2()
        try:
            rows = tf1.cond(wanted, lambda: tf.negative(x * 2, "turned"), lambda: x)
            nested = tf1.cond(wanted, lambda: tf1.cond(
                wanted, lambda: tf.square(x, "deep"), lambda: -x), lambda: x)
        finally:
            tf1.enable_control_flow_v2()
        tf.identity(rows, name="rows")
        tf.identity(nested, name="nested")

    graph_def = write_queues.graph_def(build)
    for output, tensor in (("rows", "cond/turned"), ("nested", "cond_1/cond/deep"),
                           ("nested", "cond_1/cond/Merge")):
        prepared = feeds.prepare(graph_def, [output], f"{tensor}:y", given=["x:0", "wanted:0"])
        fed = {prepared.inputs["y"]: ROWS + 1, "x:0": ROWS}
        for _ in range(3):
            np.testing.assert_array_equal(
                run(prepared.graph_def, output + ":0", {**fed, "wanted:0": True}), ROWS + 1)
            np.testing.assert_array_equal(
                run(prepared.graph_def, output + ":0", {**fed, "wanted:0": False}), ROWS)


def test_inside_a_loop_is_refused():
    def build():
        tf1.disable_control_flow_v2()
        try:
            tf1.while_loop(lambda n, value: n < 3, lambda n, value: (
                n + 1, tf.square(value, "inside")), [0, tf1.placeholder(tf.float32, [], "x")])
        finally:
            tf1.enable_control_flow_v2()

    graph_def = write_queues.graph_def(build)
    with pytest.raises(GraphError, match="inside a while loop"):
        feeds.prepare(graph_def, ["while/Exit_1"], "while/inside:y")


def test_a_default_that_comes_from_a_queue():
    def build():
        rows = tf1.FIFOQueue(9, [tf.float32], [[4]]).dequeue_many(8)
        write_queues.network(tf1.placeholder_with_default(rows, [8, 4], "rows"))

    prepared = feeds.prepare(write_queues.graph_def(build), ["scores"])
    assert [(f.tensor, f.name, f.shape.as_list()) for f in prepared.feeds] == [
        ("rows:0", "rows", [None, 4])]
    placeholder, = prepared.inputs.values()
    np.testing.assert_allclose(run(prepared.graph_def, "scores:0", {placeholder: ROWS}),
                               network(ROWS), rtol=2e-6)


def test_a_batch_size_that_stays_fixed_is_said():
    def build():
        rows = tf1.FIFOQueue(9, [tf.float32], [[4]]).dequeue_many(8)
        write_queues.network(rows + tf.constant(np.ones((8, 4), np.float32)))

    prepared = feeds.prepare(write_queues.graph_def(build), ["scores"])
    assert any("makes 8 rows whatever the batch is" in note for note in prepared.notes)
    free = feeds.prepare(written_by_1_15("fixed_rows"), ["scores"])
    assert any("takes any number of rows" in note for note in free.notes)
    assert not any("whatever the batch" in note for note in free.notes)


def test_python_functions_are_cut():
    def build():
        rows = tf1.py_func(lambda: ROWS, [], tf.float32)
        rows.set_shape([None, 4])
        write_queues.network(rows)

    graph_def = write_queues.graph_def(build)
    prepared = feeds.prepare(graph_def, ["scores"])
    placeholder, = prepared.inputs.values()
    np.testing.assert_allclose(run(prepared.graph_def, "scores:0", {placeholder: ROWS}),
                               network(ROWS), rtol=2e-6)


FOUND = feeds.found(written_by_1_15("shuffle_many"), ["scores", "labels"])


@pytest.mark.parametrize("wanted, expected", [
    ("shuffle_batch:1:numbers", {"shuffle_batch:1": "numbers"}),
    ("shuffle_batch:1", {"shuffle_batch:1": "features"}),
    ("features:numbers", {"shuffle_batch:1": "numbers"}),
    ("shuffle_batch:1:a,shuffle_batch:0:b", {"shuffle_batch:1": "a", "shuffle_batch:0": "b"}),
    ("shuffle_batch:1:a[?,4],label", {"shuffle_batch:1": "a", "shuffle_batch:0": "label"}),
    (["label:y"], {"shuffle_batch:0": "y"}),
    ({"shuffle_batch:1": "a", "label": None}, {"shuffle_batch:1": "a",
                                               "shuffle_batch:0": "label"})])
def test_select(wanted, expected):
    assert {feed.tensor: feed.name for feed in feeds.select(FOUND, wanted)} == expected


@pytest.mark.parametrize("wanted, message", [
    ("shuffle_batch:2:x", "Found: shuffle_batch:0:label; shuffle_batch:1:features"),
    ("nothing", "no input 'nothing'"),
    ("shuffle_batch:x", "several inputs"),
    ("shuffle_batch:1:a,features:b", "twice"),
    ("shuffle_batch:0:a,shuffle_batch:1:a", "twice"),
    ("shuffle_batch:1:a[?,5]", "has shape"),
    ("shuffle_batch:1:a[?,x]", "not numbers"),
    ("a:b:c:d", "not TENSOR:NAME")])
def test_select_refuses(wanted, message):
    with pytest.raises(SignatureError, match=message):
        feeds.select(FOUND, wanted)


def test_any_tensor_can_be_an_input():
    """Cut behind the queue, at the hidden layer; and in a graph without any queue."""
    graph_def = written_by_1_15("fifo_many")
    prepared = feeds.prepare(graph_def, ["scores"], "Tanh:hidden")
    assert prepared.feeds[0].shape.as_list() == [None, 3]
    hidden = np.tanh(ROWS @ write_queues.FIRST)
    found = run(prepared.graph_def, "scores:0", {prepared.inputs["hidden"]: hidden})
    np.testing.assert_allclose(found, network(ROWS), rtol=2e-6)

    def plain():
        write_queues.network(tf1.placeholder(tf.float32, [None, 4], "x"))

    prepared = feeds.prepare(write_queues.graph_def(plain), ["scores"], {"Tanh": "hidden"})
    assert list(prepared.inputs) == ["hidden"]


def test_an_input_that_no_output_needs():
    with pytest.raises(SignatureError, match="no output depends on shuffle_batch:0"):
        feeds.prepare(written_by_1_15("shuffle_many"), ["scores"], "shuffle_batch:0:label")
    with pytest.raises(SignatureError, match="no input 'shuffle_batch:5"):
        feeds.prepare(written_by_1_15("shuffle_many"), ["scores"], "shuffle_batch:5:label")


@pytest.fixture(name="polarity", scope="module")
def fixture_polarity(zoo_model):
    return Polarity(zoo_model("polarity_queue_cnn"))


@dataclasses.dataclass
class Polarity:
    """A real text CNN that only queues feed, and real sentences for it."""

    folder: pathlib.Path

    def sentences(self, count=400):
        words = (self.folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        ids = {word: number for number, word in enumerate(words)}
        labels, rows = [], []
        for line in (self.folder / "test.tsv").read_text(encoding="utf-8").splitlines()[:count]:
            label, _, text = line.partition("\t")
            labels.append(int(label))
            rows.append([ids.get(word, 1) for word in text.split()][:60])
        return np.array(labels), rows

    def accuracy(self, answer):
        labels, rows = self.sentences()
        right = 0
        for begin in range(0, len(rows), 50):
            part = rows[begin:begin + 50]
            padded = np.zeros((len(part), max(map(len, part))), np.int64)
            for row, ids in zip(padded, part):
                row[:len(ids)] = ids
            right += (answer(padded).argmax(1) == labels[begin:begin + 50]).sum()
        return right / len(rows)


def test_polarity_frozen(polarity):
    graph_def = tf1.GraphDef.FromString((polarity.folder / "frozen.pb").read_bytes())
    with pytest.raises(tf.errors.DeadlineExceededError):
        run(graph_def, "probabilities:0")
    prepared = feeds.prepare(graph_def, ["probabilities"], "input_batch:0:tokens")
    assert [(f.name, f.dtype.name, f.shape.as_list()) for f in prepared.feeds] == [
        ("tokens", "int64", [None, None])]
    with tf.Graph().as_default(), tf1.Session() as session:
        tf.graph_util.import_graph_def(prepared.graph_def, name="")
        assert abs(polarity.accuracy(lambda ids: session.run(
            "probabilities:0", {prepared.inputs["tokens"]: ids})) - 0.774) < 0.04


def test_polarity_checkpoint(polarity):
    folder = polarity.folder / "ckpt"
    meta_graph = tf1.MetaGraphDef.FromString((folder / "model.meta").read_bytes())
    saver = meta_graph.saver_def
    prepared = feeds.prepare(meta_graph.graph_def, ["probabilities", "labels"])
    assert sorted(prepared.inputs) == ["ids", "label"]
    served = tf1.graph_util.extract_sub_graph(
        prepared.graph_def, ["probabilities", saver.restore_op_name])
    with tf.Graph().as_default(), tf1.Session() as session:
        tf.graph_util.import_graph_def(served, name="")
        session.run(saver.restore_op_name, {saver.filename_tensor_name: str(folder / "model")})
        assert abs(polarity.accuracy(lambda ids: session.run(
            "probabilities:0", {prepared.inputs["ids"]: ids})) - 0.774) < 0.04
