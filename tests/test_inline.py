"""Inlining: the flat graph computes what the calls compute, and side effects happen once."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

from ig_tf.errors import GraphError
from ig_tf.graph.inline import CALLS, inline

tf1 = tf.compat.v1
FLOAT = tf.float32.as_datatype_enum
SPEC = tf.TensorSpec([None, 3], tf.float32, "x")


class Exported:
    """A module written with tf.saved_model.save: its own signature and its flat graph, together."""

    def __init__(self, module, folder):
        tf.saved_model.save(module, str(folder), signatures=module.serve)
        self.folder = str(folder)
        proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.graph_def = proto.meta_graphs[0].graph_def
        signature = proto.meta_graphs[0].signature_def["serving_default"]
        self.inputs = {key: info.name for key, info in signature.inputs.items()}
        self.outputs = {key: info.name for key, info in signature.outputs.items()}
        self.flat = inline(self.graph_def, [*self.inputs.values(), *self.outputs.values()])

    def tensor(self, key):
        return self.flat.tensors.get(self.outputs[key], self.outputs[key])

    def values(self, feed, reads=()):
        """(of the signature, of the flat graph, of variables before, between and after)."""
        with tf1.Session(graph=tf.Graph()) as session:
            tf1.saved_model.load(session, ["serve"], self.folder)
            graph = session.graph
            names = {key: self.tensor(key) for key in self.outputs}
            made = tf.graph_util.import_graph_def(
                self.flat.graph_def, name="flat", return_elements=list(names.values()),
                input_map={name: graph.get_tensor_by_name(name) for name in self.inputs.values()})
            variables = [tf.raw_ops.ReadVariableOp(resource=tf.raw_ops.VarHandleOp(
                dtype=dtype, shape=[], shared_name=name), dtype=dtype) for name, dtype in reads]
            feed = {self.inputs[key]: value for key, value in feed.items()}
            states = [session.run(variables)]
            original = session.run(self.outputs, feed)
            states.append(session.run(variables))
            flat = session.run(dict(zip(names, made)), feed)
            return original, flat, [*states, session.run(variables)]


def assert_equal_values(exported, feed):
    original, flat, _ = exported.values(feed)
    assert sorted(original) == sorted(flat)
    for key, value in original.items():
        np.testing.assert_array_equal(flat[key], value, key)


def data(rows=4):
    return np.random.default_rng(0).standard_normal((rows, 3)).astype(np.float32)


def ops(graph_def):
    return [node.op for node in graph_def.node]


class Nested(tf.Module):
    """Calls three deep, one function called twice, several outputs of one call."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2) / 7)

    @tf.function
    def inner(self, x):
        return tf.matmul(x, self.weights), tf.reduce_sum(x, 1), tf.cast(x, tf.int32)

    @tf.function
    def middle(self, x):
        first, second, third = self.inner(x)
        again, *_ = self.inner(x * 2)
        return {"both": first - again, "sum": second, "ints": third}

    @tf.function(input_signature=[SPEC])
    def serve(self, x):
        found = self.middle(tf.sin(x))
        return {"both": found["both"], "sum": found["sum"], "ints": found["ints"], "x": x}


def test_nested_calls_with_several_outputs(tmp_path):
    exported = Exported(Nested(), tmp_path / "model")
    assert not set(ops(exported.flat.graph_def)) & set(CALLS)
    assert ops(exported.flat.graph_def).count("MatMul") == 2  # one per call, not one per function
    assert not exported.flat.graph_def.library.function
    assert_equal_values(exported, {"x": data()})


def test_names_say_where_a_node_comes_from(tmp_path):
    exported = Exported(Nested(), tmp_path / "model")
    flat, top = exported.flat, {node.name for node in exported.graph_def.node}
    for node in flat.graph_def.node:
        assert (node.name in flat.originals) == (node.name in top)
        if node.name not in top:
            assert node.name.startswith("ig_tf/inlined/")
    functions = {f.signature.name: f for f in exported.graph_def.library.function}
    for name, function in flat.frames.items():
        assert name.rpartition("/")[2] in {n.name for n in functions[function].node_def} or any(
            name.endswith("/" + node.name) for node in functions[function].node_def)
    assert {f for f in flat.frames.values()} <= set(functions)


def test_the_source_is_not_changed(tmp_path):
    exported = Exported(Nested(), tmp_path / "model")
    before = exported.graph_def.SerializeToString(deterministic=True)
    inline(exported.graph_def, list(exported.outputs.values()))
    assert exported.graph_def.SerializeToString(deterministic=True) == before


class Loops(tf.Module):
    """While and If stay, with the functions that they need, calls in their bodies too."""

    @tf.function
    def turn(self, x):
        return x * 0.5 + 1

    @tf.function(input_signature=[SPEC])
    def serve(self, x):
        y = x
        for _ in tf.range(tf.shape(x)[1]):
            y = self.turn(y)
        return {"y": tf.cond(tf.reduce_sum(y) > 0, lambda: self.turn(y), lambda: -y)}


def test_loops_and_conditions_keep_their_functions(tmp_path):
    exported = Exported(Loops(), tmp_path / "model")
    flat = exported.flat.graph_def
    assert {"While", "StatelessWhile"} & set(ops(flat)) and {"If", "StatelessIf"} & set(ops(flat))
    named = {value.func.name for node in flat.node for value in node.attr.values()
             if value.HasField("func")}
    assert named <= {function.signature.name for function in flat.library.function}
    assert_equal_values(exported, {"x": data()})


class Counting(tf.Module):
    """A counter in a nested function: the output does not depend on it by data."""

    def __init__(self):
        super().__init__()
        self.calls = tf.Variable(0, name="calls")
        self.total = tf.Variable(0.0, name="total")

    @tf.function
    def count(self, x):
        self.calls.assign_add(1)
        return x + 1

    @tf.function(input_signature=[SPEC])
    def serve(self, x):
        y = self.count(x)
        self.total.assign_add(tf.reduce_sum(y))
        return {"y": y * 2, "z": y * 3}


def test_side_effects_happen_once(tmp_path):
    exported = Exported(Counting(), tmp_path / "model")
    original, flat, states = exported.values(
        {"x": data()}, [("calls", tf.int32), ("total", tf.float32)])
    np.testing.assert_array_equal(flat["z"], original["z"])
    (none, _), (one, first), (two, second) = states
    assert (none, one, two) == (0, 1, 2)
    np.testing.assert_allclose(second, 2 * first, rtol=1e-6)


def test_each_output_brings_the_side_effects(tmp_path):
    exported = Exported(Counting(), tmp_path / "model")
    for key in ("y", "z"):
        flat = inline(exported.graph_def, [exported.outputs[key]])
        needed = before(flat.graph_def, flat.tensors[exported.outputs[key]])
        assert needed.count("AssignAddVariableOp") == 2


def before(graph_def, tensor):
    """Ops that must have run when this tensor (or node) has its value, by name of their type."""
    nodes = {node.name: node for node in graph_def.node}
    queue, seen = [tensor.lstrip("^").partition(":")[0]], set()
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue.extend(value.lstrip("^").partition(":")[0] for value in nodes[name].input)
    return [nodes[name].op for name in seen]


class Ordered(tf.Module):
    """A nested function reads between two assignments."""

    def __init__(self):
        super().__init__()
        self.state = tf.Variable(1.0, name="state")

    @tf.function
    def read(self, x):
        return x * self.state

    @tf.function(input_signature=[SPEC])
    def serve(self, x):
        self.state.assign_add(1.0)
        y = self.read(x)
        self.state.assign_add(10.0)
        return {"y": y}


def test_a_read_in_a_called_function_keeps_its_place_among_assignments(tmp_path):
    flat = Exported(Ordered(), tmp_path / "model").flat.graph_def
    (read,) = [node for node in flat.node if node.op == "ReadVariableOp"]
    assert "AssignAddVariableOp" in before(flat, read.name)
    assigned = [before(flat, node.name) for node in flat.node if node.op == "AssignAddVariableOp"]
    assert any("ReadVariableOp" in kinds for kinds in assigned)


class Random(tf.Module):
    """Random functions that call each other."""

    def __init__(self, seed):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.weights = [tf.Variable(rng.standard_normal((3, 3)).astype(np.float32))
                        for _ in range(4)]
        menu = (tf.sin, tf.nn.relu, tf.nn.silu, lambda x: x * 0.5, lambda x: tf.reverse(x, [1]),
                lambda x: x[:, ::-1] + 1, lambda x: tf.concat([x[:, 1:], x[:, :1]], 1),
                lambda x: tf.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, y * 0.9),
                                        (0, x))[1])
        self.functions = []
        for depth in range(4):
            self.functions.append(self.made(rng, menu, depth))

    def made(self, rng, menu, depth):
        steps = [menu[i] for i in rng.integers(len(menu), size=3)]
        callees = [self.functions[i] for i in rng.integers(depth, size=2)] if depth else []
        weights = self.weights[depth]

        @tf.function
        def function(x, y):
            for step in steps:
                x, y = step(y), tf.matmul(x, weights)
            for callee in callees:
                y, x = callee(x, y)
            return x, y
        return function

    @tf.function(input_signature=[SPEC])
    def serve(self, x):
        first, second = self.functions[-1](x, -x)
        third, _ = self.functions[1](second, x)
        return {"first": first, "second": second, "third": third}


@pytest.mark.parametrize("seed", range(5))
def test_random_models_keep_their_values(tmp_path, seed):
    exported = Exported(Random(seed), tmp_path / "model")
    assert not set(ops(exported.flat.graph_def)) & set(CALLS)
    assert_equal_values(exported, {"x": data()})


# GraphDefs by hand ----------------------------------------------------------------------------


def node(made, name, op, *inputs, **types):
    added = made.add(name=name, op=op, input=inputs)
    for key, value in types.items():
        added.attr[key].CopyFrom(value)
    return added


def a_type(number=FLOAT):
    return tf1.AttrValue(type=number)


def of_caller(name="T"):
    return tf1.AttrValue(placeholder=name)


def function(graph_def, name, inputs=("x",), output="y"):
    """A function of floats whose output is the tensor `output`; its nodes are added after."""
    made = graph_def.library.function.add()
    made.signature.name = name
    for argument in inputs:
        made.signature.input_arg.add(name=argument, type=FLOAT)
    made.signature.output_arg.add(name="result", type=FLOAT)
    made.ret["result"] = output
    return made


def call(made, name, callee, *inputs):
    added = made.add(name=name, op="PartitionedCall", input=inputs)
    added.attr["f"].func.name = callee
    count = sum(not value.startswith("^") for value in inputs)
    added.attr["Tin"].list.type.extend([FLOAT] * count)
    added.attr["Tout"].list.type.append(FLOAT)
    return added


def top():
    graph_def = graph_pb2.GraphDef()
    graph_def.versions.producer = 1882
    node(graph_def.node, "x", "Placeholder", dtype=a_type())
    return graph_def


def run(graph_def, fetch, value):
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        with tf1.Session(graph=graph) as session:
            return session.run(fetch, {"x:0": value})


def old_style():
    """A Defun of TensorFlow 1: called by its name as op, with a type that the caller gives."""
    graph_def = top()
    made = graph_def.library.function.add()
    made.signature.name = "Cubed"
    made.signature.attr.add(name="T", type="type")
    made.signature.input_arg.add(name="value", type_attr="T")
    made.signature.output_arg.add(name="squared", type_attr="T")
    made.signature.output_arg.add(name="cubed", type_attr="T")
    node(made.node_def, "square", "Mul", "value", "value", T=of_caller())
    node(made.node_def, "cube", "Mul", "square:z:0", "value", T=of_caller())
    made.ret["squared"], made.ret["cubed"] = "square:z:0", "cube:z:0"
    outer = graph_def.library.function.add()
    outer.signature.name = "Outer"
    outer.signature.attr.add(name="T", type="type")
    outer.signature.input_arg.add(name="value", type_attr="T")
    outer.signature.output_arg.add(name="cubed", type_attr="T")
    node(outer.node_def, "inner", "Cubed", "value", T=of_caller())
    node(outer.node_def, "negative", "Neg", "inner:cubed:0", T=of_caller())
    outer.ret["cubed"] = "negative:y:0"
    node(graph_def.node, "direct", "Cubed", "x", T=a_type())
    node(graph_def.node, "nested", "Outer", "direct:0", T=a_type())
    node(graph_def.node, "sum", "AddV2", "nested", "direct:1", T=a_type())
    return graph_def


def test_old_style_functions_get_their_callers_types():
    graph_def = old_style()
    flat = inline(graph_def, ["sum:0"])
    assert set(ops(flat.graph_def)) == {"Placeholder", "Mul", "Neg", "AddV2", "NoOp"}
    for made in flat.graph_def.node:
        assert not any(value.placeholder for value in made.attr.values())
        assert made.op in ("Placeholder", "NoOp") or made.attr["T"].type == FLOAT
    value = np.float32([1.5, -2])
    np.testing.assert_allclose(run(flat.graph_def, "sum:0", value), -value**6 + value**3, 1e-6)


def test_a_function_that_returns_its_argument():
    graph_def = top()
    function(graph_def, "same", output="x")
    call(graph_def.node, "call", "same", "x")
    flat = inline(graph_def, ["call:0"])
    assert flat.tensors == {"call:0": "x:0"}


def test_an_output_that_is_a_list():
    graph_def = top()
    made = function(graph_def, "second_half", output="split:output:1")
    node(made.node_def, "axis", "Const", dtype=a_type(tf.int32.as_datatype_enum),
         value=tf1.AttrValue(tensor=tf.make_tensor_proto(0)))
    node(made.node_def, "split", "Split", "axis:output:0", "x", T=a_type(),
         num_split=tf1.AttrValue(i=2))
    call(graph_def.node, "call", "second_half", "x")
    flat = inline(graph_def, ["call:0"])
    value = np.float32([1, 2, 3, 4])
    np.testing.assert_array_equal(run(flat.graph_def, flat.tensors["call:0"], value), [3, 4])


def says_something(graph_def):
    """A function whose output does not wait for what it prints."""
    made = function(graph_def, "speaks", output="x")
    node(made.node_def, "text", "Const", dtype=a_type(tf.string.as_datatype_enum),
         value=tf1.AttrValue(tensor=tf.make_tensor_proto("said")))
    node(made.node_def, "say", "PrintV2", "text:output:0")
    made.control_ret["said"] = "say"
    made.signature.control_output.append("said")
    call(graph_def.node, "call", "speaks", "x")


def test_an_output_waits_for_the_side_effects_of_its_call():
    graph_def = top()
    says_something(graph_def)
    flat = inline(graph_def, ["call:0"])
    assert sorted(before(flat.graph_def, flat.tensors["call:0"])) == [
        "Const", "Identity", "Placeholder", "PrintV2"]


def test_a_control_edge_from_a_call_waits_for_its_side_effects():
    graph_def = top()
    says_something(graph_def)
    node(graph_def.node, "after", "Identity", "x", "^call", T=a_type())
    flat = inline(graph_def, ["after:0"])
    assert "PrintV2" in before(flat.graph_def, "after:0")


def test_what_no_fetch_needs_is_left_out():
    graph_def = top()
    call(graph_def.node, "broken", "nowhere", "x")
    node(graph_def.node, "fine", "Neg", "x", T=a_type())
    assert ops(inline(graph_def, ["fine:0"]).graph_def) == ["Placeholder", "Neg"]


def calls_itself(graph_def):
    first, second = function(graph_def, "ping", output="go:output:0"), function(
        graph_def, "pong", output="go:output:0")
    call(first.node_def, "go", "pong", "x")
    call(second.node_def, "go", "ping", "x")
    call(graph_def.node, "call", "ping", "x")


def has_a_cycle(graph_def):
    made = function(graph_def, "round", output="first:z:0")
    node(made.node_def, "first", "AddV2", "x", "second:y:0", T=a_type())
    node(made.node_def, "second", "Neg", "first:z:0", T=a_type())
    call(graph_def.node, "call", "round", "x")


def reads_nothing(graph_def):
    made = function(graph_def, "reader", output="minus:y:0")
    node(made.node_def, "minus", "Neg", "gone:y:0", T=a_type())
    call(graph_def.node, "call", "reader", "x")


def has_a_wrong_output_name(graph_def):
    made = function(graph_def, "misnamed", output="minus:wrong:0")
    node(made.node_def, "minus", "Neg", "x", T=a_type())
    call(graph_def.node, "call", "misnamed", "x")


def takes_another_number_of_inputs(graph_def):
    function(graph_def, "two", inputs=("x", "y"), output="x")
    call(graph_def.node, "call", "two", "x")


def has_an_unknown_op(graph_def):
    made = function(graph_def, "custom", output="made:y:0")
    node(made.node_def, "made", "OpOfAnotherPackage", "x", T=a_type())
    call(graph_def.node, "call", "custom", "x")


REFUSALS = {
    calls_itself: r"'ping' calls itself.*ping -> pong -> ping",
    has_a_cycle: r"'round' has a cycle through node '(first|second)'",
    reads_nothing: r"'reader' reads 'gone:y:0', which is neither an argument nor a node",
    has_a_wrong_output_name: r"op Neg of node 'minus' has no output 'wrong'",
    takes_another_number_of_inputs: r"'two' with 1 inputs; it takes 2",
    has_an_unknown_op: r"'OpOfAnotherPackage' is not known to this TensorFlow",
    lambda graph_def: call(graph_def.node, "call", "nowhere", "x"):
        r"call 'call' of a function that is not in the library: 'nowhere'",
    lambda graph_def: node(graph_def.node, "call", "Neg", "missing", T=a_type()):
        r"no node 'missing' \(asked for tensor 'missing'\)",
    lambda graph_def: node(graph_def.node, "call", "Identity", "x", "^missing", T=a_type()):
        r"control edge from a node that is not there: 'missing'",
}


@pytest.mark.parametrize("broken, message", REFUSALS.items(), ids=range(len(REFUSALS)))
def test_broken_graphs_are_refused(broken, message):
    graph_def = top()
    broken(graph_def)
    with pytest.raises(GraphError, match=message):
        inline(graph_def, ["call:0"])


def test_an_output_that_a_call_does_not_have_is_refused():
    graph_def = top()
    function(graph_def, "same", output="x")
    call(graph_def.node, "call", "same", "x")
    with pytest.raises(GraphError, match="call 'call' has no output 1"):
        inline(graph_def, ["call:1"])


def chain(length):
    graph_def = top()
    made = function(graph_def, "minus", output="minus:y:0")
    node(made.node_def, "minus", "Neg", "x", T=a_type())
    for index in range(length):
        call(graph_def.node, f"call_{index}", "minus", f"call_{index - 1}" if index else "x")
    return graph_def


def test_many_calls_in_a_row():
    flat = inline(chain(100), ["call_99:0"])
    assert ops(flat.graph_def).count("Neg") == 100


def test_too_many_calls_in_a_row_are_refused():
    with pytest.raises(GraphError, match="a chain that is too long to follow"):
        inline(chain(2000), ["call_1999:0"])


def test_a_cycle_of_calls_at_the_top_is_refused():
    graph_def = top()
    function(graph_def, "same", output="x")
    call(graph_def.node, "first", "same", "second")
    call(graph_def.node, "second", "same", "first")
    with pytest.raises(GraphError, match="feed each other in a cycle"):
        inline(graph_def, ["first:0"])


def test_deep_nesting_is_followed_and_endless_nesting_refused():
    for depth, fits in ((40, True), (80, False)):
        graph_def = top()
        for index in range(depth):
            made = function(graph_def, f"level_{index}", output="go:output:0")
            call(made.node_def, "go", f"level_{index + 1}", "x")
        function(graph_def, f"level_{depth}", output="x")
        call(graph_def.node, "call", "level_0", "x")
        if fits:
            assert inline(graph_def, ["call:0"]).tensors["call:0"] == "x:0"
        else:
            with pytest.raises(GraphError, match="calls nest too deep"):
                inline(graph_def, ["call:0"])
