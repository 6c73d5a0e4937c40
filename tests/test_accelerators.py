"""What accelerators want of the attribution subgraph: kernels, no pinned device, fixed shapes.

The whole signature compiles under XLA where the sizes of its inputs are fixed, and what it compiles
to runs in another XLA client (jax) with equal numbers.
"""

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
from builders import spec
from ig_tf.errors import CompileError, OutputError, SignatureError
from ig_tf.export import compiling, stablehlo
from ig_tf.ig.runtime import RuntimeProfile
from ig_tf.model import fixed_shapes
from ig_tf.model.ops import kernels_of
from test_c_library import MODELS, TABLE, assert_same, over_examples
from test_saved_models import read_examples
from test_serving import by_words

STEPS = 6
RUNNER = pathlib.Path(__file__).resolve().parent.parent / "tools" / "run_stablehlo.py"
JAX_VARIABLE = "IG_TF_JAX_PYTHON"
# No accelerator has strings: what reads, hashes and looks them up stays on the CPU.
OF_STRINGS = {"StringToHashBucketFast", "AsString", "SparseCross", "SparseCrossHashed"}


def model(name, folder):
    """A folder of one of our models, or of one that is made there."""
    if name == "words":
        return builders.save_tf2(folder / name, by_words, {
            "words": spec([None, None], tf.string), "size": spec([None, 2], tf.float32)}, TABLE)
    if name == "examples":
        return builders.save_tf1(folder / name, over_examples,
                                 {"examples": spec([None], tf.string)}, TABLE)
    if name == "recurrent":
        return builders.save_tf2(folder / name, recurrent, {"x": spec([None, 5, 2], tf.float32)},
                                 {"w": np.float32([[0.5, -1.0], [1.0, 0.25]])})
    return MODELS / name


def recurrent(x, w):
    """A loop over the time axis, of a known number of turns."""
    def turn(index, state):
        return index + 1, tf.tanh(state @ w + x[:, index])

    _, state = tf.while_loop(lambda index, _: index < 5, turn, (0, tf.zeros_like(x[:, 0])),
                             maximum_iterations=5)
    return tf.reduce_sum(state, 1)


@pytest.mark.parametrize("name", ["digits_cnn", "review_tokens", "diabetes_columns", "words",
                                  "examples", "recurrent"])
def test_only_strings_need_the_cpu(name, tmp_path):
    """By the list of kernels of this TensorFlow, whose wheel has those for GPUs; none is pinned."""
    devices = [kernels_of("GPU"), kernels_of("DEFAULT")]
    if not devices[0]:
        pytest.skip("this TensorFlow was built without kernels for GPUs")
    plan = ig_tf.instrument(ig_tf.load(model(name, tmp_path)), steps=STEPS)
    traced, _ = compiling.trace(plan.model, plan.recipe)
    own = {function.signature.name for function in traced.functions}
    lacking = set()
    for function in traced.functions:
        for node in function.node_def:
            assert node.device == ""
            types = {key: {value.type} if value.type else set(value.list.type)
                     for key, value in node.attr.items()}
            strings = any(tf.string.as_datatype_enum in values for values in types.values())
            entries = [entry for kernels in devices for entry in kernels.get(node.op, ())]
            if node.op not in own and not strings and not any(
                    all(types.get(key, set()) <= allowed for key, allowed in entry.items())
                    for entry in entries):
                lacking.add(node.op)
    assert lacking <= OF_STRINGS | {"NoOp"}


# Fixed shapes -----------------------------------------------------------------------------------


def request_of(name, count):
    if name == "recurrent":
        return {"x": np.random.default_rng(3).normal(size=[count, 5, 2]).astype(np.float32)}
    return {key: value[:count] for key, value in read_examples(name)[0].items()}


def compiled(name, folder, count):
    """What `stablehlo.compiled` gives of a model with so many examples."""
    source = fixed_shapes.fixed(ig_tf.load(model(name, folder)), count)
    profile = RuntimeProfile("fixed", xla=True, batch_buckets=(count,))
    ig_tf.save(ig_tf.instrument(source, steps=STEPS, runtime=profile), folder / f"fixed_{count}")
    return stablehlo.compiled(str(folder / f"fixed_{count}"))


@pytest.mark.parametrize("name, count", [("digits_cnn", 3), ("review_tokens", 2),
                                         ("recurrent", 3)])
def test_the_whole_signature_compiles(name, count, tmp_path):
    """jit_compile: XLA compiles all of it, or fails; the numbers are those of the plain model."""
    function, specs, keys, left_out = compiled(name, tmp_path, count)
    assert not left_out
    request = request_of(name, count)
    found = function(**{key: tf.constant(request[key], specs[key].dtype) for key in specs})
    assert function.experimental_get_tracing_count() == 1
    plain = ig_tf.instrument(ig_tf.load(model(name, tmp_path / "again")), steps=STEPS)
    ig_tf.save(plain, tmp_path / "plain")
    wanted = builders.open_v1(tmp_path / "plain")(**request)
    assert_same({key: value.numpy() for key, value in zip(keys, found)}, wanted, 1e-5)


def test_the_model_that_is_given_stays_as_it_is():
    given = ig_tf.load(MODELS / "digits_cnn")
    before = given.proto.SerializeToString(deterministic=True)
    made = fixed_shapes.fixed(given, 4)
    assert given.proto.SerializeToString(deterministic=True) == before
    assert [dim.size for dim in made.signature.inputs["image"].tensor_shape.dim] == [4, 8, 8, 1]


def test_what_has_no_one_shape_is_refused(tmp_path):
    given = ig_tf.load(model("words", tmp_path))
    with pytest.raises(SignatureError, match=r"'words' has the shape \[2, \?\].*--shapes"):
        fixed_shapes.fixed(given, 2)
    with pytest.raises(SignatureError, match=r"\[\?, 2\]; asked for \[2, 3\]"):
        fixed_shapes.fixed(given, 2, {"words": [2, 4], "size": [2, 3]})
    with pytest.raises(SignatureError, match="given for y; the inputs are size, words"):
        fixed_shapes.fixed(given, 2, {"y": [2]})
    made = fixed_shapes.fixed(given, 2, {"words": [2, 4]})
    assert [dim.size for dim in made.signature.inputs["words"].tensor_shape.dim] == [2, 4]
    ig_tf.save(ig_tf.instrument(ig_tf.load(MODELS / "digits_cnn"), steps=STEPS), tmp_path / "free")
    with pytest.raises(CompileError, match="one shape.*None"):
        stablehlo.compiled(str(tmp_path / "free"))
    ig_tf.save(ig_tf.instrument(ig_tf.load(MODELS / "diabetes_columns"), steps=STEPS),
               tmp_path / "strings")
    with pytest.raises(CompileError, match="no strings.*age_group, bmi_class, sex"):
        stablehlo.compiled(str(tmp_path / "strings"))


# StableHLO --------------------------------------------------------------------------------------


@pytest.fixture(name="exported", scope="module")
def fixture_exported(tmp_path_factory):
    """A function from a name to a folder with module, weights and an example of 3 rows."""
    folder, found = tmp_path_factory.mktemp("exported"), {}

    def find(name):
        if name not in found:
            (folder / name).mkdir()
            function, specs, keys, left_out = compiled(name, folder / name, 3)
            output = folder / name / "module"
            try:
                stablehlo.export(function, specs, keys, left_out, str(output))
            except CompileError as error:
                if "stablehlo" in str(error):
                    pytest.skip(f"TensorFlow {tf.__version__} does not write StableHLO")
                raise
            request = request_of(name, 3)
            arrays = {key: np.asarray(request[key], specs[key].dtype.as_numpy_dtype)
                      for key in specs}
            answer = function(**{key: tf.constant(value) for key, value in arrays.items()})
            np.savez(output / "example.npz",
                     **{f"input/{key}": value for key, value in arrays.items()},
                     **{f"output/{key}": value.numpy() for key, value in zip(keys, answer)})
            found[name] = output
        return found[name]

    return find


def test_module_weights_and_manifest(exported):
    folder = exported("digits_cnn")
    manifest = json.loads((folder / stablehlo.MANIFEST).read_text())
    assert manifest["inputs"] == [{"name": "image", "dtype": "float32", "shape": [3, 8, 8, 1]}]
    assert "attributions/image" in manifest["outputs"] and not manifest["left_out"]
    assert (folder / stablehlo.MODULE).read_bytes().startswith(b"ML\xefR")  # bytecode of MLIR
    with np.load(folder / stablehlo.WEIGHTS) as weights:
        assert list(weights.files) == manifest["weights"]
        found = {weights[name].tobytes() for name in weights.files}
    variables = tf.train.load_checkpoint(str(MODELS / "digits_cnn" / "variables" / "variables"))
    stored = [variables.get_tensor(key) for key in variables.get_variable_to_shape_map()]
    assert found == {value.tobytes() for value in stored
                     if isinstance(value, np.ndarray) and value.dtype == np.float32}
    with pytest.raises(OutputError, match="exists"):
        stablehlo.export(None, {}, [], [], str(folder))


def jax_python():
    """A Python that has jax; skips the test where there is none."""
    named = os.environ.get(JAX_VARIABLE)
    if named:
        if not shutil.which(named):
            raise ValueError(f"{JAX_VARIABLE}={named} cannot be run")
        return named
    if importlib.util.find_spec("jax") is None:
        pytest.skip(f"no jax here, and {JAX_VARIABLE} names no Python that has it")
    return sys.executable


@pytest.mark.parametrize("name", ["digits_cnn", "review_tokens", "recurrent"])
def test_jax_runs_it_with_equal_numbers(exported, name, tmp_path):
    python = jax_python()
    done = subprocess.run(
        [python, RUNNER, exported(name), "--output", tmp_path / "found.npz"], timeout=300,
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": ""})
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    with np.load(tmp_path / "found.npz") as archive:
        found = dict(archive)
    with np.load(exported(name) / "example.npz") as archive:
        wanted = {key.partition("/")[2]: archive[key] for key in archive.files
                  if key.startswith("output/")}
    assert_same(found, wanted, 1e-5)
