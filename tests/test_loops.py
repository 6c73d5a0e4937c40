"""Loops of TensorFlow 1 raised to functional While: values, gradients, rows, what is refused.

The graphs of tests/fixtures/loops_1_15 were written by TensorFlow 1.15.5 (tests/old/write_loops.py)
with what it answers and its own gradients, which it can take as long as the Python that wrote the
loop is there. Everything there is float64, so that differences of the function tell derivatives.
"""

import itertools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
from builders import old_control_flow
from ig_tf.errors import GraphError
from ig_tf.graph import branches, frames, raise_loops, rows
from ig_tf.graph import work as working
from ig_tf.graph.edges import consumers
from ig_tf.graph.inline import inline

tf1 = tf.compat.v1
FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures" / "loops_1_15"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.pb"))
OLD_OPS = {"Enter", "RefEnter", "Exit", "RefExit", "NextIteration", "LoopCond"}
_IMPORTS = itertools.count()


def plain_session(graph):
    """Without optimisers: they fuse other ops in a function's body than at the top level."""
    config = tf1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf1.Session(graph=graph, config=config)


class Fixture:
    """One case: its graph, the request, what 1.15 answered."""

    def __init__(self, name):
        arrays = np.load(FIXTURES / f"{name}.npz")
        self.graph_def = tf1.GraphDef.FromString((FIXTURES / f"{name}.pb").read_bytes())
        self.fed = {key[3:]: arrays[key] for key in arrays.files if key.startswith("in/")}
        self.fed.update({key[5:]: arrays[key].astype(object) for key in arrays.files
                         if key.startswith("text/")})
        self.y = arrays["y"]
        self.gradients = {key[2:]: arrays[key] for key in arrays.files if key.startswith("d/")}

    def original(self, **changed):
        """What the graph as it is answers."""
        graph = tf.Graph()
        with graph.as_default():
            tf.graph_util.import_graph_def(self.graph_def, name="")
        return self._run(graph, graph.get_tensor_by_name("y:0"), {**self.fed, **changed})

    def _run(self, graph, tensors, fed):
        with plain_session(graph) as session:
            return session.run(tensors, {f"{key}:0": value for key, value in fed.items()})


def raised(graph_def, fetches):
    """The raised GraphDef as `work.build` makes it, and the `Raised`."""
    flat = inline(graph_def, fetches)
    found = raise_loops.raise_loops(flat.graph_def, flat.originals, fetches, working.import_graph)
    copy = type(found.graph_def)()
    copy.CopyFrom(found.graph_def)
    working._rename_functions(copy, f"test_{next(_IMPORTS)}_")
    return copy, found


def raised_graph(fixture):
    fetches = ["y:0", *(f"{key}:0" for key in fixture.fed)]
    graph_def, found = raised(fixture.graph_def, fetches)
    assert not found.refused
    graph_def, _ = working._differentiable(graph_def)
    return working.import_graph(graph_def)


def all_ops(graph_def):
    return {node.op for node in graph_def.node} | {
        node.op for function in graph_def.library.function for node in function.node_def}


def near(found, expected):
    """Equal up to the rounding of float64 sums in another order."""
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_those_of_the_old_loop(name):
    """Bit-equal values; the gradient is 1.15's own, and agrees with differences of the values."""
    fixture = Fixture(name)
    graph = raised_graph(fixture)
    assert not all_ops(graph.as_graph_def()) & OLD_OPS
    assert not [op for op in all_ops(graph.as_graph_def()) if op.startswith("TensorArray")]
    with graph.as_default():
        y = graph.get_tensor_by_name("y:0")
        inputs = [graph.get_tensor_by_name(f"{key}:0") for key in fixture.gradients]
        gradients = tf.gradients(y, inputs)
        found = fixture._run(graph, [y, *gradients], fixture.fed)
    assert y.shape.is_compatible_with(fixture.y.shape) and y.shape.rank == fixture.y.ndim
    np.testing.assert_array_equal(found[0], fixture.original())
    near(found[0], fixture.y)
    for key, gradient in zip(fixture.gradients, found[1:]):
        near(gradient, fixture.gradients[key])
        direction = np.random.default_rng(3).uniform(-1, 1, gradient.shape)
        step = 1e-5  # central differences err by step^2 and by rounding / step: both below 1e-9
        moved = [fixture.original(**{key: fixture.fed[key] + sign * step * direction}).sum()
                 for sign in (1, -1)]
        np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), (gradient * direction).sum(),
                                   rtol=1e-6, atol=1e-7 * np.abs(gradient).sum())


IN_CHUNKS = ["turns_known", "turns_by_value", "nested_thrice", "nested_with_arrays",
             "array_that_grows", "cond_by_value", "loop_in_cond_in_loop", "loop_in_cond",
             "loop_in_cond_not_taken", "rnn_lengths", "rnn_both_ways", "mapped_pair"]


@pytest.mark.parametrize("name", IN_CHUNKS)
def test_gradients_inside_another_loop(name):
    """Copies in the body of a while loop of a tf.function, differentiated there, made twice."""
    fixture = Fixture(name)
    key = next(iter(fixture.gradients))
    for _ in range(2):
        graph_def, _ = working._differentiable(raised(
            fixture.graph_def, ["y:0", *(f"{k}:0" for k in fixture.fed)])[0])

        def turn(index, total):
            x = tf.constant(fixture.fed[key]) * 1.0
            fed = {f"{k}:0": tf.constant(v) for k, v in fixture.fed.items() if k != key}
            y, = tf.graph_util.import_graph_def(graph_def, {**fed, f"{key}:0": x}, ["y:0"])
            return index + 1, total + tf.gradients(y, x)[0] * tf.cast(index + 1, tf.float64)

        @tf.function(autograph=False)
        def summed():
            start = tf.zeros(fixture.fed[key].shape, tf.float64)
            return tf.while_loop(lambda index, _: index < 3, turn, (tf.constant(0), start))[1]

        with tf.Graph().as_default(), tf1.Session() as session:
            near(session.run(summed()), 6 * fixture.gradients[key])  # 1 + 2 + 3


def test_the_result_depends_on_nothing_but_the_graph():
    for name in ("rnn_lengths", "conds_in_conds", "nested_with_arrays"):
        fixture = Fixture(name)
        flat = inline(fixture.graph_def, ["y:0"])
        first, second = (raise_loops.raise_loops(flat.graph_def, flat.originals, ["y:0"],
                                                 working.import_graph) for _ in range(2))
        assert first.graph_def == second.graph_def
        assert flat.graph_def == inline(fixture.graph_def, ["y:0"]).graph_def  # not changed


def test_a_graph_without_loops_stays_as_it_is():
    with tf.Graph().as_default() as graph:
        tf.identity(tf.sin(tf1.placeholder(tf.float32, [2])), name="y")
    graph_def = graph.as_graph_def()
    found = raise_loops.raise_loops(graph_def, frozenset({"y"}), ["y:0"], None)
    assert found.graph_def is graph_def and found.originals == {"y"}


def test_names_outside_the_frames_stay():
    """Exits and what is read from arrays keep their names and values; lists have new names."""
    fixture = Fixture("rnn_lengths")
    flat = inline(fixture.graph_def, ["y:0"])
    found = raise_loops.raise_loops(flat.graph_def, flat.originals, ["y:0"], working.import_graph)
    nodes = {node.name: node for node in found.graph_def.node}
    added = {name for name in nodes if name not in flat.originals}
    assert added and all(name.startswith("ig_tf/raised/") for name in added)
    assert {name for name in found.originals} == set(nodes) - added
    exits = [node.name for node in flat.graph_def.node if node.op == "Exit"]
    assert [name for name in exits if name in found.originals]
    graph = working.import_graph(found.graph_def)
    kept = sorted(f"{name}:0" for name in found.originals if nodes[name].op != "NoOp"
                  and graph.get_operation_by_name(name).outputs)
    old = tf.Graph()
    with old.as_default():
        tf.graph_util.import_graph_def(fixture.graph_def, name="")
    for tensor, before, after in zip(kept, fixture._run(old, kept, fixture.fed),
                                     fixture._run(graph, kept, fixture.fed)):
        np.testing.assert_array_equal(before, after, err_msg=tensor)


def test_loops_whose_shapes_cannot_be_inferred():
    """They are raised all the same, with shapes unknown inside."""
    def refuses(graph_def):
        raise GraphError("not this one")

    fixture = Fixture("nested_with_arrays")
    flat = inline(fixture.graph_def, ["y:0", "x:0"])
    found = raise_loops.raise_loops(flat.graph_def, flat.originals, ["y:0", "x:0"], refuses)
    graph = working.import_graph(found.graph_def)
    assert graph.get_tensor_by_name("y:0").shape.rank is None
    np.testing.assert_array_equal(fixture._run(graph, "y:0", fixture.fed), fixture.original())


def older_arrays(graph_def):
    """The same with TensorArrayV2: a string for a handle, and a flow that starts as a constant."""
    text = tf.string.as_datatype_enum
    flows, handles = {}, set()
    for node in list(graph_def.node):
        if node.op == "TensorArrayV3":
            flows[f"{node.name}:1"] = flow = f"{node.name}/flow"
            handles.add(node.name)
            made = graph_def.node.add(name=flow, op="Const", input=[f"^{node.name}"])
            made.attr["dtype"].type = tf.float32.as_datatype_enum
            made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0.0))
            del node.attr["identical_element_shapes"]
        if node.op.startswith("TensorArray"):
            node.op = node.op.replace("V3", "V2")
    for node in graph_def.node:
        node.input[:] = [flows.get(value, value) for value in node.input]
        if node.op == "Enter" and node.input[0] in handles:
            node.attr["T"].type = text
    graph_def.versions.producer = 25  # later ones have no TensorArrayV2
    return graph_def


@pytest.mark.parametrize("name", ["array_backwards", "nested_with_arrays", "rnn_lengths",
                                  "scanned"])
def test_older_arrays(name):
    fixture = Fixture(name)
    fixture.graph_def = older_arrays(fixture.graph_def)
    graph = raised_graph(fixture)
    assert not [op for op in all_ops(graph.as_graph_def()) if op.startswith("TensorArray")]
    np.testing.assert_array_equal(fixture._run(graph, "y:0", fixture.fed), Fixture(name).original())


# Loops that this TensorFlow writes in the old way ---------------------------------------------



def old(function):
    def built(*given, **named):
        with old_control_flow():
            return function(*given, **named)
    return built


def turns(body, count=3):
    """A loop of `count` turns with one variable."""
    def run(start):
        return tf.while_loop(lambda index, _: index < count,
                             lambda index, y: (index + 1, body(index, y)), (0, start))[1]
    return run


X = np.random.default_rng(5).uniform(-1, 1, (4, 3)).astype(np.float32)
W = np.random.default_rng(6).uniform(-1, 1, (3, 3)).astype(np.float32)
IDS = np.array([[1, 2, 0], [2, 2, 1]], np.int64)


def save_old(path, function, inputs, resource, tables=False):
    """A SavedModel with loops of TensorFlow 1 over a variable of either kind."""
    with tf.Graph().as_default(), old_control_flow():
        given = {key: tf1.placeholder(one.dtype, one.shape, key) for key, one in inputs.items()}
        w = tf1.get_variable("w", initializer=W, use_resource=resource)
        outputs = {"score": tf.identity(function(w=w, **given))}
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer())
            assert "Enter" in {op.type for op in session.graph.get_operations()} | {
                "Enter" if op.type == "RefEnter" else "" for op in session.graph.get_operations()}
            tf1.saved_model.simple_save(session, str(path), given, outputs,
                                        tf1.tables_initializer() if tables else None)
    return path


def brute_force(function, x, steps=50):
    """IG of the sum of function [batch] from zero, the path one node at a time, eagerly."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros(x.shape)
    for node, weight in zip((nodes + 1) / 2, weights / 2):
        point = tf.constant(x * node, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = function(point)
        total += weight * tape.gradient(value, point).numpy()
    return total * x


def close(found, expected):
    """Within 1e-4 of the largest attribution."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("loader", sorted(builders.LOADERS))
def test_variables_in_a_loop(tmp_path, resource, loader):
    """A ref variable enters by RefEnter or Enter, a resource variable is read inside."""
    def model(x, w):
        return tf.reduce_sum(turns(lambda index, y: tf.tanh(tf.matmul(y, w)) + x)(x) ** 2, 1)

    save_old(tmp_path / "m", model, {"x": builders.spec([None, 3], tf.float32)}, resource)
    made = builders.explain(tmp_path / "m", tmp_path / "out", loader)
    assert made.plan.recipe.reason is None
    found = made.run(x=X)
    wide = tf.constant(W, tf.float64)
    close(found["attributions/x"], brute_force(lambda x: model(x, wide), X))
    np.testing.assert_allclose(found["prediction"], model(tf.constant(X), tf.constant(W)),
                               rtol=1e-5)
    alone = [made.run(x=X[row:row + 1])["attributions/x"][0] for row in range(4)]
    close(found["attributions/x"], np.array(alone))


@pytest.mark.parametrize("resource", [False, True])
def test_a_lookup_inside_a_loop(tmp_path, resource):
    """Ids are looked up turn by turn: what leaves the loop is the point, and is complete."""
    def model(ids, x, w):
        def step(index, y):
            return tf.tanh(y * x) + tf.nn.embedding_lookup(w, ids[:, index])
        return tf.reduce_sum(turns(step)(tf.zeros_like(x)) ** 2, 1)

    save_old(tmp_path / "m", model, {"ids": builders.spec([None, 3], tf.int64),
                                     "x": builders.spec([None, 3], tf.float32)}, resource)
    made = builders.explain(tmp_path / "m", tmp_path / "out", points=["x"])
    found = made.run(ids=IDS, x=X[:2])
    table = tf.constant(W, tf.float64)
    close(found["attributions/x"], brute_force(lambda x: model(IDS, x, table), X[:2]))


def test_a_table_and_strings_in_a_map(tmp_path):
    """map_fn over strings: one turn per example, a table that enters the loop."""
    def model(text, w):
        keys = tf.constant(["a", "b", "c"])
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, tf.constant([0, 1, 2], tf.int64)), -1)

        def row(one):
            words = tf.reshape(tf.strings.bytes_split(one), [2])
            return tf.gather(w, tf.maximum(table.lookup(words), 0))
        return tf.reduce_sum(tf.map_fn(row, text, tf.float32), [1, 2]) ** 2

    save_old(tmp_path / "m", model, {"text": builders.spec([None], tf.string)}, False, True)
    made = builders.explain(tmp_path / "m", tmp_path / "out")
    assert made.plan.recipe.reason is None
    point, = made.plan.recipe.points
    assert point.shape == (None, 2, 3) and "TensorArrayGather" in point.source
    found = made.run(text=np.array([b"ab", b"cc"], object))
    vectors = W[[[0, 1], [2, 2]]]
    close(found[f"attributions/{point.name}"], vectors * vectors.sum((1, 2), keepdims=True))


def test_an_exit_is_a_point_a_target_and_an_output(tmp_path):
    """The tensor that leaves a loop keeps its name for who asks by it."""
    def model(x, w):
        left = turns(lambda index, y: tf.sin(y) + x)(x)
        assert left.op.type == "Exit"
        model.name = left.op.name
        return {"left": left, "score": tf.reduce_sum(left ** 3, 1)}

    with tf.Graph().as_default(), tf1.Session() as session, old_control_flow():
        x = tf1.placeholder(tf.float32, [None, 3], "x")
        tf1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, model(x, None))
    made = builders.explain(tmp_path / "m", tmp_path / "at_exit", target="score",
                            points=[model.name])
    left = np.array(X)
    for _ in range(3):
        left = np.sin(left) + X
    close(made.run(x=X)[f"attributions/{model.name.rpartition('/')[2]}"], left ** 3)
    made = builders.explain(tmp_path / "m", tmp_path / "to_exit", target="left:1")
    np.testing.assert_allclose(made.run(x=X)["prediction"], left[:, 1], rtol=1e-6)


# What stays a frame ---------------------------------------------------------------------------


def refused(build):
    """The reasons why the loops of a graph are not raised."""
    with tf.Graph().as_default() as graph, old_control_flow():
        fetches = [tensor.name for tensor in build()]
    _, found = raised(graph.as_graph_def(), fetches)
    return found


def gradient_of_a_loop():
    x = tf1.placeholder(tf.float32, [2], "x")
    y = turns(lambda index, y: tf.sin(y) * x)(x)
    return [y, tf1.gradients(y, x)[0]]


def queue_in_a_loop():
    x = tf1.placeholder(tf.float32, [2], "x")
    queue = tf.queue.FIFOQueue(3, tf.float32, [2])
    return [turns(lambda index, y: y + queue.dequeue())(x)]


def variable_that_is_written():
    x = tf1.placeholder(tf.float32, [2], "x")
    w = tf1.get_variable("w", [2], use_resource=False)
    return [turns(lambda index, y: y + tf1.assign(w, y))(x)]


@pytest.mark.parametrize("build, reason", [
    (gradient_of_a_loop, "Stack"), (queue_in_a_loop, "queue QueueDequeue"),
    (variable_that_is_written, "variable that is written: Assign")])
def test_what_is_no_plain_loop_stays(build, reason):
    found = refused(build)
    assert any(reason in text for text in found.refused.values()), found.refused
    assert OLD_OPS & {node.op for node in found.graph_def.node}
    before = found.graph_def.SerializeToString(deterministic=True)
    branches.tie(found.graph_def)  # no condition is seen in a loop
    assert found.graph_def.SerializeToString(deterministic=True) == before
    working.import_graph(found.graph_def)  # still a graph


def test_other_loops_are_raised_all_the_same():
    def build():
        x = tf1.placeholder(tf.float32, [2], "x")
        return [*queue_in_a_loop(), turns(lambda index, y: tf.sin(y))(x)]
    found = refused(build)
    assert len(found.refused) == 1
    assert "StatelessWhile" in {node.op for node in found.graph_def.node}


def multiplied(x, queue):
    return turns(lambda index, y: y * queue.dequeue())(x)


def multiplied_steps(x, queue):
    source = tf.TensorArray(tf.float32, 2).unstack(tf.transpose(x))
    made = tf.TensorArray(tf.float32, 2)
    made = tf.while_loop(
        lambda index, _: index < 2, lambda index, made: (index + 1, made.write(
            index, source.read(index) * tf.reduce_sum(queue.dequeue()))), (0, made))[1]
    return tf.transpose(made.stack())


@pytest.mark.parametrize("model", [multiplied, multiplied_steps])
def test_the_refusal_says_why(tmp_path, model):
    """A derivative would go through a loop that stays a frame: of a number, of an array."""
    with tf.Graph().as_default(), tf1.Session() as session, old_control_flow():
        x = tf1.placeholder(tf.float32, [None, 2], "x")
        queue = tf.queue.FIFOQueue(3, tf.float32, [2])
        y = tf.ensure_shape(model(x, queue), [None, 2])
        tf1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x},
                                    {"y": tf.reduce_sum(y, 1)})
    with pytest.raises(GraphError, match="QueueDequeueV2 .* stands inside a while loop"):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "m")))


def test_random_numbers_in_a_loop_are_refused(tmp_path):
    """Run for every step they would differ: as outside of a loop."""
    with tf.Graph().as_default(), tf1.Session() as session, old_control_flow():
        x = tf1.placeholder(tf.float32, [None, 2], "x")
        y = turns(lambda index, y: y * tf1.random_uniform([2]))(x)
        tf1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x},
                                    {"y": tf.reduce_sum(y, 1)})
    with pytest.raises(GraphError, match="RandomUniform"):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "m")))


def malformed(change):
    """A loop of three turns with one node changed."""
    with tf.Graph().as_default() as graph, old_control_flow():
        turns(lambda index, y: tf.sin(y))(tf1.placeholder(tf.float32, [2], "x"))
    graph_def = graph.as_graph_def()
    nodes = {node.name: node for node in graph_def.node}
    change(nodes)
    for node in nodes.values():
        for place, value in enumerate(node.input):
            if value[0] != "^" and ":" not in value:
                node.input[place] = f"{value}:0"
    frame, = frames.find(nodes)
    return frame, nodes


def no_longer_constant(nodes):
    enter = next(node for node in nodes.values() if node.op == "Enter"
                 and not node.attr["is_constant"].b)
    extra = type(enter)()
    extra.CopyFrom(enter)
    extra.name = "second"
    nodes["second"] = extra
    reader = next(node for node in nodes.values() if node.op == "Less")
    reader.input[1] = "second"


def read_from_outside(nodes):
    next(node for node in nodes.values() if node.op == "Exit").input[0] = "while/Sin"


def read_after_the_last_turn(nodes):
    next(node for node in nodes.values() if node.op == "Exit").op = "Identity"


@pytest.mark.parametrize("change, reason", [
    (no_longer_constant, "neither constant nor a loop variable"),
    (read_from_outside, "reads 'while/Sin' inside"),
    (read_after_the_last_turn, "after the last turn")])
def test_malformed_frames_say_what_is_wrong(change, reason):
    frame, nodes = malformed(change)
    with pytest.raises(frames.NotStructured, match=reason):
        frames.read(frame, nodes, consumers(nodes))


# Whole models ---------------------------------------------------------------------------------


def lstm_weights(path):
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    return {name.rpartition("/")[2]: reader.get_tensor(name).astype(np.float64)
            for name in reader.get_variable_to_shape_map()}


def unrolled(weights, e, length):
    """The classifier of one example again, from its weights: F of embeddings [steps, 4]."""
    c = h = tf.zeros([1, 5], tf.float64)
    for step in range(length):
        gates = tf.concat([e[step:step + 1], h], 1) @ weights["kernel"] + weights["bias"]
        i, j, f, o = tf.split(gates, 4, 1)
        c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(j)
        h = tf.sigmoid(o) * tf.tanh(c)
    return tf.nn.softmax(h @ weights["w"])[0]


TEXTS = np.array([[1, 5, 7, 3, 0, 0], [2, 0, 0, 0, 0, 0], [11, 10, 9, 8, 7, 6]])
LENGTHS = np.array([4, 1, 6], np.int32)


@pytest.mark.parametrize("loader", sorted(builders.LOADERS))
def test_a_recurrent_classifier(tmp_path, loader):
    """dynamic_rnn with sequence_length over a lookup: instrument, save, serve, brute force."""
    source = FIXTURES / "classifier"
    made = builders.explain(source, tmp_path / "out", loader)
    assert made.plan.recipe.reason is None  # by rows: finished examples stay as they are
    assert [(p.name, p.kind) for p in made.plan.recipe.points] == [("ids", "tokens")]
    found = made.run(ids=TEXTS, lengths=LENGTHS)
    weights = lstm_weights(source)
    for row in range(3):
        e = weights["table"][TEXTS[row]]
        best = found["target_index"][row]
        scores = unrolled(weights, tf.constant(e), LENGTHS[row]).numpy()
        assert best == scores.argmax()
        np.testing.assert_allclose(found["prediction"][row], scores[best], rtol=1e-5)
        expected = brute_force(lambda e: unrolled(weights, e, LENGTHS[row])[best], e).sum(1)
        close(found["attributions/ids"][row], expected)
        assert not found["attributions/ids"][row, LENGTHS[row]:].any()
        alone = made.run(ids=TEXTS[row:row + 1, :LENGTHS[row]], lengths=LENGTHS[row:row + 1])
        close(found["attributions/ids"][row, :LENGTHS[row]], alone["attributions/ids"][0])
    assert (found["relative_error"] < 1e-3).all()


def test_an_old_frozen_graph_in_a_function(tmp_path):
    """TensorFlow 2 saves a frozen graph inside functions, its frames with it."""
    fixture = Fixture("rnn_lengths")
    wrapped = tf1.wrap_function(
        lambda x, lengths: tf.graph_util.import_graph_def(
            fixture.graph_def, {"x:0": x, "lengths:0": lengths}, ["y:0"], name="")[0],
        [tf.TensorSpec([None, None, 3], tf.float64), tf.TensorSpec([None], tf.int32)])

    def model(x, lengths):
        return tf.reduce_sum(tf.reshape(wrapped(x, lengths), [-1, 10]), 1)

    builders.save_tf2(tmp_path / "m", model, {"x": builders.spec([None, None, 3]),
                                              "lengths": builders.spec([None], tf.int32)})
    library = ig_tf.load(str(tmp_path / "m")).graph_def.library
    assert any(node.op == "Enter" for function in library.function for node in function.node_def)
    made = builders.explain(tmp_path / "m", tmp_path / "out", points=["x"])
    assert made.plan.recipe.reason is None
    found = made.run(**fixture.fed)
    np.testing.assert_allclose(found["prediction"], fixture.y.sum(1), rtol=1e-10)
    assert (found["completeness_error"] < 1e-8).all()


CELLS = (512, 256, 128)  # of cutkum


def gru_stack(weights, x):
    """cutkum's layers again, unrolled: x [time, batch, 80] to shares [time, batch, 5]."""
    states = [tf.zeros([x.shape[1], size], tf.float64) for size in CELLS]
    outputs = []
    for step in tf.unstack(x):
        below = step
        for layer, state in enumerate(states):
            kernel = f"rnn/multi_rnn_cell/cell_{layer}/gru_cell"
            gates = tf.sigmoid(tf.concat([below, state], 1) @ weights[f"{kernel}/gates/kernel"]
                               + weights[f"{kernel}/gates/bias"])
            reset, update = tf.split(gates, 2, 1)
            new = tf.tanh(tf.concat([below, reset * state], 1)
                          @ weights[f"{kernel}/candidate/kernel"]
                          + weights[f"{kernel}/candidate/bias"])
            below = states[layer] = update * state + (1 - update) * new
        outputs.append(tf.sigmoid(below @ weights["fully_connected/weights"]
                                  + weights["fully_connected/biases"]))
    return tf.nn.softmax(tf.stack(outputs))


def test_cutkum(zoo_model):
    """A frozen three-layer GRU in two loops, whose gradient no TensorFlow can take as it is."""
    path = zoo_model("cutkum") / "frozen_model.pb"
    graph_def = tf1.GraphDef.FromString(path.read_bytes())
    fetches = ["probs:0", *(f"placeholder/{key}:0" for key in (
        "inputs", "seq_lengths", "fw_state", "keep_prob"))]
    made, found = raised(graph_def, fetches)
    assert not found.refused and not all_ops(made) & OLD_OPS
    rng = np.random.default_rng(1)
    x = np.eye(80, dtype=np.float32)[rng.integers(0, 80, (6, 2))] * 0.9
    fed = {"placeholder/inputs:0": x, "placeholder/seq_lengths:0": np.array([6, 6], np.int32),
           "placeholder/keep_prob:0": 1.0, "placeholder/fw_state:0": np.zeros((1, 2, 896))}
    old_graph, graph = tf.Graph(), working.import_graph(made)
    with old_graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    chosen = rng.uniform(-1, 1, (6, 2, 5))
    with graph.as_default():
        probs, inputs = (graph.get_tensor_by_name(name) for name in fetches[:2])
        gradient, = tf.gradients(tf.reduce_sum(probs * tf.constant(chosen, tf.float32)), inputs)
    with plain_session(old_graph) as session:
        before = session.run("probs:0", fed)
    with plain_session(graph) as session:
        after, gradient = session.run([probs, gradient], fed)
    np.testing.assert_array_equal(before, after)
    weights = {node.name: tf.constant(tf.make_ndarray(node.attr["value"].tensor), tf.float64)
               for node in graph_def.node if node.op == "Const"
               and node.attr["dtype"].type == tf.float32.as_datatype_enum}
    point = tf.constant(x, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = tf.reduce_sum(gru_stack(weights, point) * chosen)
    expected = tape.gradient(value, point).numpy()
    np.testing.assert_allclose(after, gru_stack(weights, point), rtol=1e-4, atol=1e-6)
    close(gradient, expected)
    direction = rng.uniform(-1, 1, x.shape)  # and the rebuild is held by differences
    moved = [(gru_stack(weights, point + sign * 1e-5 * direction).numpy() * chosen).sum()
             for sign in (1, -1)]
    np.testing.assert_allclose((moved[0] - moved[1]) / 2e-5, (expected * direction).sum(),
                               rtol=1e-6)


def test_rows_of_old_recurrent_layers():
    """Examples along axis 0, or along axis 1 where time is first."""
    expected = {"rnn_lengths": ("x", 0), "rnn_whole": ("x", 0), "rnn_both_ways": ("x", 0),
                "keras_lstm": ("x", 0), "mapped": ("x", 0), "mapped_pair": ("x", 0)}
    for name, (key, axis) in expected.items():
        fixture = Fixture(name)
        graph = raised_graph(fixture)
        work = working.Work(graph.as_graph_def(), graph, {}, {}, frozenset(), {})
        known = {f"{k}:0": rows.input_state(graph.get_tensor_by_name(f"{k}:0"))
                 for k in fixture.fed}
        states = rows.analyse(graph, known, [graph.get_tensor_by_name("y:0")], work.body_of)
        assert states["y:0"] == rows.Rows(axis), (name, states["y:0"])
