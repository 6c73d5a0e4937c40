"""The signature `attributions` as a StableHLO module with its weights: XLA without TensorFlow.

In the folder: attributions.mlir (MLIR bytecode), weights.npz and manifest.json, which says in what
order the module takes inputs and weights and what it gives. tools/run_stablehlo.py runs it.
"""

import json
import os
import re

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from ig_tf.errors import ArtifactError, CompileError, OutputError
from ig_tf.model.model import ATTRIBUTIONS

MODULE, WEIGHTS, MANIFEST = "attributions.mlir", "weights.npz", "manifest.json"
_TYPES = {"f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16", "i1": "bool",
          "i8": "int8", "ui8": "uint8", "i16": "int16", "i32": "int32", "i64": "int64",
          "ui32": "uint32", "ui64": "uint64"}


def compiled(folder, tags=("serve",)):
    """The signature as one function that XLA must compile.

    Args:
      folder: an instrumented SavedModel whose inputs have fixed shapes.
      tags: of its MetaGraph.

    Returns:
      (tf.function of keyword tensors -> list of tensors, {input: tf.TensorSpec}, its output keys,
       keys of outputs that are left out since XLA has no strings).

    Raises:
      ArtifactError: TensorFlow cannot load it, or it has no such signature.
      CompileError: it takes strings, or an input has no fixed shape.
    """
    try:
        loaded = tf.saved_model.load(folder, tags=list(tags))
        function = loaded.signatures[ATTRIBUTIONS]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise ArtifactError(f"cannot load {ATTRIBUTIONS!r} of {folder!r}: {error}") from error
    specs = _specs(folder, tags)  # loaded functions keep the shapes that they were traced with
    strings = sorted(key for key, spec in specs.items() if spec.dtype == tf.string)
    if strings:
        raise CompileError(f"XLA takes no strings, and these inputs are: {', '.join(strings)}. "
                           "Explain a signature behind the parsing, of numbers and ids.")
    free = [key for key, spec in specs.items() if not spec.shape.is_fully_defined()]
    if free:
        raise CompileError(f"XLA compiles one shape, and these inputs have several: "
                           f"{', '.join(map(str, (specs[key] for key in free)))}.")
    outputs = sorted(function.structured_outputs)
    left_out = [key for key in outputs if function.structured_outputs[key].dtype == tf.string]
    keys = [key for key in outputs if key not in left_out]

    def attributions(**given):
        found = function(**given)
        return [found[key] for key in keys]

    made = tf.function(attributions, jit_compile=True, autograph=False)
    made.owner = loaded  # its variables live as long as it does
    return made, specs, keys, left_out


def _specs(folder, tags):
    """{input: tf.TensorSpec} as the SavedModel says."""
    with open(os.path.join(folder, "saved_model.pb"), "rb") as stream:
        proto = saved_model_pb2.SavedModel.FromString(stream.read())
    meta_graph, = (one for one in proto.meta_graphs
                   if sorted(one.meta_info_def.tags) == sorted(tags))
    inputs = meta_graph.signature_def[ATTRIBUTIONS].inputs
    return {key: tf.TensorSpec(tf.TensorShape(inputs[key].tensor_shape), inputs[key].dtype, key)
            for key in sorted(inputs)}


def export(function, specs, keys, left_out, output):
    """Writes the module, its weights and the manifest.

    Args:
      function, specs, keys, left_out: of `compiled`, with fixed shapes.
      output: directory to make.

    Returns:
      The manifest.

    Raises:
      CompileError: XLA cannot compile it.
      OutputError: the output exists.
    """
    if os.path.lexists(output):
        raise OutputError(f"{os.fspath(output)!r} exists; nothing was written.")
    try:
        lowered = function.experimental_get_compiler_ir(**specs)
        module, text = lowered(stage="stablehlo_serialized"), lowered(stage="stablehlo")
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise CompileError(f"XLA cannot compile the attributions (TensorFlow {tf.__version__}): "
                           f"{_first_lines(error)}") from error
    arguments = _arguments(text)
    weights = _weights(function.get_concrete_function(**specs), arguments[len(specs):])
    manifest = {
        "inputs": [{"name": key, "dtype": dtype, "shape": shape}
                   for key, (dtype, shape) in zip(specs, arguments)],
        "weights": list(weights), "outputs": keys, "left_out": left_out,
        "tensorflow": tf.__version__}
    for key, (dtype, shape) in zip(specs, arguments):
        if [dtype, shape] != [specs[key].dtype.name, specs[key].shape.as_list()]:
            raise CompileError(f"the module takes {dtype} {shape} where {key!r} was expected.")
    os.makedirs(output)
    with open(os.path.join(output, MODULE), "wb") as stream:
        stream.write(module)
    np.savez(os.path.join(output, WEIGHTS), **weights)
    with open(os.path.join(output, MANIFEST), "w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=1)
    return manifest


def _arguments(text):
    """[(dtype, shape)] of the module's main function."""
    main = re.search(r"@main\((.*?)\) ->", text, re.DOTALL)
    found = []
    for one in re.findall(r"%arg\d+: tensor<([^>]*)>", main[1]):
        *sizes, kind = one.split("x")
        found.append((_TYPES[kind], [int(size) for size in sizes]))
    return found


def _weights(function, arguments):
    """{name: array} of what the function has captured, in the order of the module."""
    captured = function.captured_inputs
    if len(captured) != len(arguments):
        raise CompileError(f"the module takes {len(arguments)} weights, the function "
                           f"{len(captured)}.")
    found = {}
    for place, (tensor, (dtype, shape)) in enumerate(zip(captured, arguments)):
        try:
            value = tensor if tensor.dtype != tf.resource else tf.raw_ops.ReadVariableOp(
                resource=tensor, dtype=tf.as_dtype(dtype))
        except tf.errors.OpError as error:
            raise CompileError(f"weight {place} is no variable of {dtype}: {_first_lines(error)}"
                               ) from error
        if value.shape.as_list() != shape:
            raise CompileError(f"weight {place} is {value.shape.as_list()}; the module takes "
                               f"{shape}.")
        found[f"weight_{place:04}"] = value.numpy()
    return found


def _first_lines(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])
