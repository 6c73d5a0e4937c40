"""--runtime=tf1.15: what is exported answers in the real TensorFlow 1.15.5, as it does here.

The models are those that 1.15.5 wrote (fixtures/lookups_1_15, fixtures/loops_1_15), with references
and resources, pooled and sparse columns, conditions, loops, each example alone.
"""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import function_pb2, graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

import builders
import ig_tf
import lookup_patterns
import old_tensorflow
from ig_tf.errors import GraphError, RuntimeProfileError
from ig_tf.export import old_runtime
from ig_tf.ig.runtime import RuntimeProfile
from test_lookups import CASES
from test_loops import FIXTURES as LOOPS
from test_loops import Fixture

RUNTIME = "tf1.15"
STEPS = 6
# One of each kind; all 75 were tried, and only the one that is refused for its own sake is.
LOOKUPS = ("lookup-resource", "safe_weighted_mean-resource", "column_parsed-ref",
           "column_sequence-resource", "wide_and_deep-ref", "in_a_loop-ref")
ALONE = ("scanned",)
LOOP_GRAPHS = ("conds_in_conds", "rnn_lengths", *ALONE)


def bytes_of(request):
    """The request with strings as fixed-width bytes, which need no pickle."""
    return {key: np.array(value.tolist(), "S") if value.dtype == object else value
            for key, value in request.items()}


def lookup(name):
    case, = (case for case in CASES
             if case.old and f"{case.pattern.name}-{case.keeping}" == name)
    return ig_tf.load(case.path(None)), lookup_patterns.feed(case.pattern)


def loop(name):
    fixture = Fixture(name)
    model = ig_tf.load(str(LOOPS / f"{name}.pb"), inputs=list(fixture.fed), outputs=["y"])
    return model, fixture.fed


MODELS = {**{name: lookup for name in LOOKUPS}, **{name: loop for name in LOOP_GRAPHS}}
# Other targets: {name: (model, target)}.
TARGETS = {"three_scores": ("rnn_lengths", "y:top3"), "each_place": ("conds_in_conds", "y:each"),
           "largest": ("conds_in_conds", "y:max"),
           "function": ("wide_and_deep-ref", lambda outputs: tf.tanh(outputs["score"]) ** 2)}


@pytest.fixture(name="answers", scope="module")
def fixture_answers(tmp_path_factory):
    """{model: (its metadata, what this TensorFlow answers, what 1.15.5 answers)}."""
    old_tensorflow.python()  # skips where there is none
    folder = tmp_path_factory.mktemp("old")
    found, jobs = {}, []
    for name in (*MODELS, *TARGETS):
        source, target = TARGETS.get(name, (name, None))
        model, request = MODELS[source](source)
        metadata = ig_tf.save(ig_tf.instrument(model, steps=STEPS, runtime=RUNTIME, target=target),
                              folder / name)
        found[name] = metadata, builders.open_v1(folder / name)(**request)
        np.savez(folder / f"{name}.request.npz", **bytes_of(request))
        jobs.append({"model": str(folder / name), "request": str(folder / f"{name}.request.npz"),
                     "answer": str(folder / f"{name}.answer.npz")})
    (folder / "jobs.json").write_text(json.dumps(jobs))
    old_tensorflow.run(old_tensorflow.PROGRAMS / "answer.py", folder / "jobs.json", timeout=600)
    return {name: (*parts, answer_of(folder / f"{name}.answer.npz"))
            for name, parts in found.items()}


def answer_of(path):
    with np.load(path) as archive:
        return {str(key): archive[f"value_{place}"] for place, key in enumerate(archive["keys"])}


@pytest.mark.parametrize("name", [*MODELS, *TARGETS])
def test_answers_in_1_15_are_those_of_here(answers, name):
    metadata, here, old = answers[name]
    assert "error" not in old, old["error"]
    assert metadata["runtime"]["tensorflow"] == "1.15"
    if name in ALONE:
        assert metadata["chunking"]["mode"].startswith("one example")
    assert set(old) == set(here)
    largest = max(np.abs(value).max(initial=0) for key, value in here.items()
                  if key.startswith("attributions/"))
    assert largest > 0
    for key, value in here.items():
        if value.dtype == object:
            np.testing.assert_array_equal(old[key], value.astype("S"))
        elif key == "relative_error":  # a quotient of roundings
            assert old[key].shape == value.shape
        else:
            np.testing.assert_allclose(old[key], value, rtol=1e-5, atol=1e-5 * largest,
                                       err_msg=key)


FIND = "import importlib.util as u; print(u.find_spec('tensorflow_core').origin)"


@pytest.mark.parametrize("name", ["column_parsed-ref", "conds_in_conds"])
def test_the_c_library_of_1_15_answers_the_same(name, tmp_path):
    """As a server of that time has it: no Python of TensorFlow."""
    package = pathlib.Path(old_tensorflow.run(FIND).strip()).parent
    library = package / "python" / "_pywrap_tensorflow_internal.so"
    model, request = MODELS[name](name)
    ig_tf.save(ig_tf.instrument(model, steps=STEPS, runtime=RUNTIME), tmp_path / "out")
    here = builders.open_v1(tmp_path / "out")(**request)
    proto = saved_model_pb2.SavedModel.FromString((tmp_path / "out/saved_model.pb").read_bytes())
    signature = proto.meta_graphs[0].signature_def["attributions"]
    fed = []
    for key, value in bytes_of(request).items():
        info = signature.inputs[key]
        if value.dtype.kind != "S":
            value = value.astype(tf.as_dtype(info.dtype).as_numpy_dtype)
        np.save(tmp_path / f"{key}.npy", value)
        fed.append(f"{info.name}={tmp_path / key}.npy")
    keys = sorted(signature.outputs)
    old_tensorflow.run(pathlib.Path(__file__).with_name("c_session.py"), library, tmp_path / "out",
                       tmp_path / "answer.npz", *fed, "--",
                       *(signature.outputs[key].name for key in keys))
    largest = max(np.abs(value).max(initial=0) for key, value in here.items()
                  if key.startswith("attributions/"))
    with np.load(tmp_path / "answer.npz") as answer:
        for place, key in enumerate(keys):
            found, wanted = answer[f"value_{place}"], here[key]
            if wanted.dtype == object:
                np.testing.assert_array_equal(found, wanted.astype("S"))
            elif key != "relative_error":  # a quotient of roundings
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * largest,
                                           err_msg=key)


# What is left off and what is refused, without the old TensorFlow -------------------------------


def function_of(graph_function, *specs):
    """The FunctionDefs of a Python function, as this TensorFlow writes them."""
    graph = tf.function(graph_function).get_concrete_function(*specs).graph
    made = graph.as_graph_def()
    return [function_pb2.FunctionDef(node_def=made.node), *made.library.function]


FLOATS = tf.TensorSpec([None, 4], tf.float32)


def test_attributes_that_1_15_does_not_know_are_left_off():
    def slope(x):
        return tf.gradients(tf.matmul(x, tf.ones([4, 2])), x)

    functions = function_of(slope, FLOATS)
    before = [node for function in functions for node in function.node_def if node.op == "MatMul"]
    assert any("grad_a" in node.attr for node in before)
    old_runtime.fit(functions, "1.15")
    for node in before:
        assert set(node.attr) <= {"T", "transpose_a", "transpose_b"} | {
            name for name in node.attr if name.startswith("_")}


@pytest.mark.parametrize("function, said", [
    (tf.math.betainc, None),
    (lambda x: tf.raw_ops.BatchMatMulV3(x=x, y=x, Tout=tf.float32, adj_y=True),
     "op BatchMatMulV3"),
    (lambda x: tf.raw_ops.TensorListSetItem(
        input_handle=tf.raw_ops.TensorListReserve(
            element_shape=[4], num_elements=2, element_dtype=tf.float32),
        index=2, item=x[0], resize_if_index_out_of_bounds=True),
     "attribute resize_if_index_out_of_bounds of TensorListSetItem"),
    (lambda x: tf.where(tf.cast(x, tf.uint32)), "a kernel of Where for T = uint32"),
    (lambda x: tf.bitcast(x, tf.uint32) + 1, "AddV2 with T = uint32"),
])
def test_what_1_15_lacks_is_refused_by_name(function, said):
    if said is None:
        functions = function_of(function, *[FLOATS] * 3)
        return old_runtime.fit(functions, "1.15")
    with pytest.raises(GraphError, match=said) as caught:
        old_runtime.fit(function_of(function, FLOATS), "1.15")
    assert "node '" in str(caught.value)
    return None


def test_a_model_that_1_15_cannot_run_is_refused():
    graph_def = graph_pb2.GraphDef()
    graph_def.node.add(name="mine", op="BatchMatMulV3")
    with pytest.raises(GraphError, match="BatchMatMulV3, which TensorFlow 2.16.2 has .node 'mine'"):
        old_runtime.refuse_model(graph_def, "1.15")


def test_xla_is_not_for_1_15():
    with pytest.raises(RuntimeProfileError, match="TensorFlow 2"):
        RuntimeProfile("both", xla=True, batch_buckets=(1,), tensorflow="1.15")


def test_a_model_for_newer_readers_is_refused():
    graph_def = graph_pb2.GraphDef()
    graph_def.versions.min_consumer = 500
    with pytest.raises(GraphError, match="readers of graph version 500 or later.* 1.15 has 134"):
        old_runtime.refuse_model(graph_def, "1.15")


def test_a_model_with_attributes_of_a_newer_tensorflow_is_refused():
    """One at its default says nothing; TensorFlow 1.15 itself leaves it off."""
    graph_def = graph_pb2.GraphDef()
    node = graph_def.node.add(name="mine", op="TensorListSetItem")
    node.attr["resize_if_index_out_of_bounds"].b = False
    old_runtime.refuse_model(graph_def, "1.15")
    node.attr["resize_if_index_out_of_bounds"].b = True
    with pytest.raises(GraphError, match="resize_if_index_out_of_bounds of TensorListSetItem, "
                       "which TensorFlow 2.16.2 has .node 'mine'"):
        old_runtime.refuse_model(graph_def, "1.15")


def test_what_its_c_library_cannot_read_is_said():
    """At run time: NodeDef mentions attr 'grad_a' not in Op<name=MatMul; ...>."""
    graph_def = graph_pb2.GraphDef()
    node = graph_def.node.add(name="mine", op="MatMul")
    node.attr["T"].type = 1
    assert not old_runtime.said_of_model(graph_def, "1.15")
    node.attr["grad_a"].b = False
    said = old_runtime.said_of_model(graph_def, "1.15")
    assert "in Python alone" in said and "grad_a of MatMul (node 'mine')" in said


def test_what_a_newer_tensorflow_brought_is_left_off_for_all():
    """Whatever is exported: only what every TensorFlow that has an op knows of it, but for what
    changes values."""
    def taken(x):
        picked = tf.gather_nd(x, [[0, 1], [0, 2]])
        return tf.tensor_scatter_nd_add(tf.zeros([3]), [[0], [2]], picked)

    functions = function_of(taken, FLOATS)
    for function in functions:
        old_runtime.leave_off_new(function)
    found = {node.op: set(node.attr) for function in functions for node in function.node_def}
    assert "bad_indices_policy" not in found["GatherNd"] | found["TensorScatterAdd"]
    assert {"Tparams", "Tindices"} <= found["GatherNd"]
    other = function_pb2.FunctionDef()
    node = other.node_def.add(name="n", op="GatherNd")
    node.attr["bad_indices_policy"].s = b"IGNORE"
    old_runtime.leave_off_new(other)
    assert node.attr["bad_indices_policy"].s == b"IGNORE"  # it changes what the op gives
