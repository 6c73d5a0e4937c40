"""The runtime profile: its fields, the memory budget, XLA by buckets.

What XLA compiles is counted in the files that XLA itself dumps, in a process of its own.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import builders
import ig_tf
from ig_tf.errors import CompileError, RuntimeProfileError
from ig_tf.export import compiling
from ig_tf.ig import compiled
from ig_tf.ig import runtime as runtimes
from ig_tf.ig.runtime import PROFILES, RuntimeProfile

BUCKETS = (1, 4, 16)
XLA = RuntimeProfile("test", xla=True, batch_buckets=BUCKETS)


# The object and its file --------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROFILES)
def test_a_file_with_the_fields_of_a_profile_is_that_profile(name, tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(PROFILES[name].described()))
    assert runtimes.resolve(str(path)) == PROFILES[name] == runtimes.resolve(name)


def test_fields_left_out_are_as_in_cpu(tmp_path):
    path = tmp_path / "small.json"
    path.write_text('{"memory_budget": 1000}')
    assert runtimes.resolve(path) == RuntimeProfile("small.json", memory_budget=1000)


@pytest.mark.parametrize("text, said", [
    ('{"memory": 5, "xlaa": true}', ["unknown fields: memory, xlaa"]),
    ('{"memory_budget": "128M"}', ["memory_budget", "'128M'", "whole number of bytes"]),
    ('{"memory_budget": true}', ["memory_budget"]),
    ('{"memory_budget": 0}', ["memory_budget"]),
    ('{"xla": 1}', ["xla", 'true, false or "auto"']),
    ('{"xla": true}', ["batch_buckets", "[1, 4, 16, 64]"]),
    ('{"batch_buckets": [4, 1]}', ["rising"]),
    ('{"batch_buckets": [1.5]}', ["rising"]),
    ('{"lengths": 5}', ["lengths", "rising"]),
    ('{"compute_dtype": "int8"}', ["compute_dtype", '"bfloat16" or "float16"', "'int8'"]),
    ('{"compute_dtype": "bfloat16", "tensorflow": "1.15"}', ["compute_dtype", "TensorFlow 2"]),
    ('{"tensorflow": "1.14"}', ["tensorflow", '"1.15"']),
    ("[1]", ["one JSON object"]),
    ("{", ["no JSON"]),
])
def test_one_clear_error_for_a_wrong_file(text, said, tmp_path):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(RuntimeProfileError) as caught:
        runtimes.resolve(path)
    for words in said:
        assert words in str(caught.value)
    if "unknown" in said[0]:
        assert all(field in str(caught.value) for field in runtimes.DEFAULT.described()
                   if field != "name")


def test_no_such_profile_names_those_that_there_are():
    with pytest.raises(RuntimeProfileError, match="cpu, accelerator, tf1.15"):
        runtimes.resolve("gpu")


# Buckets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3, 8, 100, 10_000])
@pytest.mark.parametrize("steps", [1, 5, 50])
def test_chunks_have_few_sizes_that_fit(rows, steps):
    chunks = compiled.Chunks(XLA)
    found = {batch: tuple(map(int, chunks.sizes(steps, rows, tf.constant(batch))))
             for batch in range(65)}
    assert {examples for examples, _ in found.values()} <= set(BUCKETS)
    widths = {width for _, width in found.values()}
    assert all(width == steps or width & (width - 1) == 0 for width in widths)
    for batch, (examples, width) in found.items():
        assert examples * width <= rows
        assert 1 <= width <= steps
        filled = -(-batch // examples) * examples if batch else 0
        if (examples, width) != (1, width):
            assert width == steps  # several examples with all their steps
        assert filled < 4 * max(batch, 1)  # the next bucket is never more than four times as large


# XLA ----------------------------------------------------------------------------------------------

RNG = np.random.default_rng(5)
FIRST, SECOND = RNG.normal(size=(6, 5)) / 2, RNG.normal(size=(5, 3)) / 2
TABLE = RNG.normal(size=(7, 6))


def network(x, first, second):
    return tf.nn.softmax(tf.matmul(tf.tanh(tf.matmul(x, first)), second))


def words(ids, table, first, second):
    """A text of any length: reshaped by its shape, attended to, pooled."""
    vectors = tf.reshape(tf.gather(table, ids), [tf.shape(ids)[0], tf.shape(ids)[1], 6])
    hidden = tf.tanh(tf.einsum("bld,de->ble", vectors, first))
    weights = tf.nn.softmax(tf.reduce_sum(hidden, 2))
    return network(tf.reduce_sum(weights[:, :, None] * vectors, 1), first, second)


def recurrent(x, first, second):
    """A loop that turns as often as the sequence is long, which is known."""
    def turn(index, state):
        return index + 1, tf.tanh(tf.matmul(x[:, index], first) + state)

    start = (tf.constant(0), tf.zeros([tf.shape(x)[0], 5], tf.float64))
    _, state = tf.while_loop(lambda index, _: index < 3, turn, start, maximum_iterations=3)
    return tf.nn.softmax(tf.matmul(state, second))


def arrays(x, first, second):
    """The same by TensorArrays, as tf.nn.dynamic_rnn and Keras write it."""
    x = tf.tanh(x)  # of which the number of steps is asked
    inputs = tf.TensorArray(tf.float64, 3).unstack(tf.transpose(x, [1, 0, 2]))
    states = tf.TensorArray(tf.float64, tf.shape(x)[1], element_shape=[None, 5])

    def turn(index, state, states):
        state = tf.tanh(tf.matmul(inputs.read(index), first) + state)
        return index + 1, state, states.write(index, state)

    start = (tf.constant(0), tf.zeros([tf.shape(x)[0], 5], tf.float64), states)
    _, state, states = tf.while_loop(lambda index, *_: index < 3, turn, start,
                                     maximum_iterations=3)
    return tf.nn.softmax(tf.matmul(state + tf.reduce_max(states.stack(), 0), second))


def by_value(x, first, second):
    """A loop of which nothing says how often it turns at most."""
    def turn(index, state):
        return index + 1, tf.tanh(tf.matmul(x, first) + state * 0.5)

    turns = tf.cast(tf.reduce_max(tf.abs(x)), tf.int32) + 2
    start = (tf.constant(0), tf.zeros([tf.shape(x)[0], 5], tf.float64))
    _, state = tf.while_loop(lambda index, _: index < turns, turn, start)
    return tf.nn.softmax(tf.matmul(state, second))


WEIGHTS = {"first": FIRST, "second": SECOND}
MODELS = {
    "network": (network, {"x": builders.spec([None, 6])}, WEIGHTS),
    "words": (words, {"ids": builders.spec([None, None], tf.int64)}, {"table": TABLE, **WEIGHTS}),
    "recurrent": (recurrent, {"x": builders.spec([None, 3, 6])}, WEIGHTS),
    "arrays": (arrays, {"x": builders.spec([None, 3, 6])}, WEIGHTS),
}


@pytest.fixture(name="saved", scope="module")
def fixture_saved(tmp_path_factory):
    """A function from a model, a saver and a profile to the folder of the instrumented model."""
    made = {}

    def saved(name, saver, runtime):
        key = name, saver
        if key not in made:
            made[key] = str(tmp_path_factory.mktemp("model") / "model")
            builders.SAVERS[saver](made[key], *MODELS[name])
        output = f"{made[key]}_{runtime.name}"
        if not os.path.exists(output):
            # By hand at most 40 rows of 10 steps: a bucket of 16 does not fit, one of 4 does.
            ig_tf.save(ig_tf.instrument(ig_tf.load(made[key]), target="score:top", steps=10,
                                        rows_per_chunk=40, runtime=runtime), output)
        return output

    return saved


def request_of(name, batch, length=3):
    rng = np.random.default_rng(batch)
    if name == "words":
        return {"ids": rng.integers(0, 7, (batch, length))}
    return {"x": rng.normal(size=(batch, *MODELS[name][1]["x"].shape[1:]))}


def assert_same(found, plain):
    assert set(found) == set(plain)
    for key, value in plain.items():
        assert found[key].shape == value.shape
        if key.startswith("attributions/") and value.size:
            np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-5 * np.abs(value).max())
        elif key.endswith("prediction"):
            np.testing.assert_allclose(found[key], value, rtol=1e-6)
        elif key.endswith("index") or value.dtype == object:
            np.testing.assert_array_equal(found[key], value)


LENGTHS = RuntimeProfile("lengths", xla=True, batch_buckets=BUCKETS, lengths=(3, 5))
CASES = [("network", "tf1", "v1", XLA), ("network", "tf2", "v2", XLA),
         ("words", "tf1", "v1", LENGTHS), ("words", "tf2", "v2", LENGTHS),
         *((name, "tf2", loader, XLA) for name in ("recurrent", "arrays")
           for loader in ("v1", "v2"))]  # in a session, loops must not be taken apart


@pytest.mark.parametrize("name, saver, loader, runtime", CASES)
def test_compiled_equals_plain(name, saver, loader, runtime, saved):
    plain = builders.LOADERS[loader](saved(name, saver, PROFILES["cpu"]))
    found = builders.LOADERS[loader](saved(name, saver, runtime))
    for batch, length in ((1, 3), (7, 3), (0, 3), (5, 4), (3, 5)):
        request = request_of(name, batch, length)
        assert_same(found(**request), plain(**request))


def test_the_choice_is_written_down(saved):
    folder = pathlib.Path(saved("network", "tf2", XLA))
    metadata = json.loads((folder / "assets.extra" / "ig_tf.json").read_text())
    assert metadata["compiled"] == "yes: chunks of 1, 4, 16 examples"
    assert metadata["runtime"] == XLA.described()


COUNT = """
import sys
sys.path[:0] = {paths!r}
import builders, test_runtime
run = builders.LOADERS[{loader!r}]({model!r})
for batch, length in {requests!r}:
    run(**test_runtime.request_of({name!r}, batch, length))
"""


def compilations(tmp_path, name, loader, model, requests):
    """How many functions of ours XLA compiles, in another process."""
    dump = tmp_path / "dump"
    here = pathlib.Path(__file__).resolve().parent
    code = COUNT.format(paths=[str(here), str(here.parent)], loader=loader, model=model,
                        requests=requests, name=name)
    flags = f"--xla_dump_to={dump} --xla_dump_hlo_as_text"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "XLA_FLAGS": flags}, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return len([file for file in dump.glob("*before_optimizations.txt")
                if re.search("ig_tf_attributions", file.name)])


@pytest.mark.parametrize("saver", builders.SAVERS)
def test_the_c_library_compiles_and_answers_the_same(saver, saved, tmp_path):
    """As a server loads it: no Python of TensorFlow, and XLA compiles there too."""
    folder = saved("network", saver, XLA)
    request = request_of("network", 7)
    np.save(tmp_path / "x.npy", request["x"])
    model, = saved_model_pb2.SavedModel.FromString(
        pathlib.Path(folder, "saved_model.pb").read_bytes()).meta_graphs
    model = model.signature_def["attributions"]
    keys = sorted(key for key in model.outputs if key.startswith(("attributions/", "prediction")))
    library = next(pathlib.Path(tf.sysconfig.get_lib()).glob("libtensorflow_cc.so*"))
    program = pathlib.Path(__file__).with_name("c_session.py")
    dump = tmp_path / "dump"
    done = subprocess.run(
        [sys.executable, program, library, folder, tmp_path / "answer.npz",
         f"{model.inputs['x'].name}={tmp_path / 'x.npy'}", "--",
         *(model.outputs[key].name for key in keys)], capture_output=True, text=True, timeout=300,
        env={**os.environ, "XLA_FLAGS": f"--xla_dump_to={dump} --xla_dump_hlo_as_text"},
        check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    plain = builders.open_v1(saved("network", saver, PROFILES["cpu"]))(**request)
    with np.load(tmp_path / "answer.npz") as answer:
        assert_same({key: answer[f"value_{place}"] for place, key in enumerate(keys)},
                    {key: plain[key] for key in keys})
    assert list(dump.glob("*ig_tf_attributions*before_optimizations.txt"))


def test_few_shapes_are_compiled_for_batches_of_1_to_64(saved, tmp_path):
    model = saved("network", "tf1", XLA)
    requests = [(batch, 3) for batch in (*range(1, 21), 0, 31, 32, 33, 63, 64)]
    assert compilations(tmp_path, "network", "v1", model, requests) == 2  # 16 do not fit the rows


def test_only_listed_lengths_are_compiled(saved, tmp_path):
    model = saved("words", "tf2", LENGTHS)
    requests = [(batch, length) for batch in (1, 6) for length in (1, 2, 3, 4, 5, 6)]
    # Two buckets that fit, by the lengths 1, 3 and 5.
    assert compilations(tmp_path, "words", "v2", model, requests) == 6


def test_what_cannot_be_compiled_is_named_before_anything_is_written(tmp_path):
    builders.save_tf2(tmp_path / "model", by_value, MODELS["network"][1], WEIGHTS)
    model = ig_tf.load(tmp_path / "model")
    profile = RuntimeProfile("demanded", xla=True, batch_buckets=(1,), lengths=(3,))
    with pytest.raises(CompileError, match="TensorList.*constant.*node '"):
        ig_tf.save(ig_tf.instrument(model, target="score:0", runtime=profile), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    plan = ig_tf.instrument(model, target="score:0", runtime="accelerator")
    metadata = ig_tf.save(plan, tmp_path / "out")
    assert metadata["compiled"].startswith("no: XLA cannot compile")
    answer = builders.open_v2(tmp_path / "out")(x=np.ones((2, 6)))
    assert np.all(np.isfinite(answer["attributions/x"]))


def test_lengths_that_vary_are_refused_where_none_is_listed(tmp_path):
    builders.save_tf2(tmp_path / "model", *MODELS["words"])
    model = ig_tf.load(tmp_path / "model")
    with pytest.raises(CompileError, match="lists no lengths"):
        ig_tf.save(ig_tf.instrument(model, target="score:0", runtime=XLA), tmp_path / "out")


def test_what_xla_compiles_is_what_tensorflow_lists():
    """A private API; tried on TensorFlow 2.16 and 2.21."""
    known = compiling.xla_kernels()
    assert {"MatMul", "While", "Conv2DBackpropInput", "EmptyTensorList"} <= set(known)
    assert not {"StringSplit", "LookupTableFindV2", "SparseSegmentMean"} & set(known)
    assert any(tf.float32.as_datatype_enum in entry.get("T", ()) for entry in known["MatMul"])
