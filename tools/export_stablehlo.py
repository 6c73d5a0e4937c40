"""Writes the attributions of a model as StableHLO with its weights, for XLA without TensorFlow.

  python -m tools.export_stablehlo --model=DIR --output=OUT --examples=16 [--input=ROWS]
  python tools/run_stablehlo.py OUT            # needs jax and numpy only; a CPU, a GPU or a TPU

Every size is fixed: --examples rows per request, --shapes for inputs of several lengths. With
--input the first rows and TensorFlow's answers are kept in OUT/example.npz, and run_stablehlo
compares. --saved_model=DIR2 keeps the SavedModel of these sizes, for saved_model_cli
aot_compile_cpu; it is no replacement of the model, whose own signature takes any batch.
"""

import os
import sys
import tempfile

from absl import flags

from ig_tf.errors import RecordError, SignatureError
from tools import model_flags, program

model_flags.define_choice()
model_flags.define_trust()
flags.adopt_module_key_flags(model_flags)
_OUTPUT = flags.DEFINE_string("output", None, "Directory to write.", required=True)
_EXAMPLES = flags.DEFINE_integer("examples", 2, "Rows of every request, 2 at least.", lower_bound=2)
_SHAPES = flags.DEFINE_list("shapes", [], "INPUT=4x32,... for inputs with more unknown sizes.")
_BASELINE = flags.DEFINE_string("baseline", "zeros", "As for `ig-tf instrument`.")
_STEPS = flags.DEFINE_integer("steps", 50, "Nodes on the path.", lower_bound=1)
_RULE = flags.DEFINE_string("rule", None, "As for `ig-tf instrument`.")
_INPUT = flags.DEFINE_string("input", None, "File of inputs; the first rows become an example.")
_SAVED_MODEL = flags.DEFINE_string("saved_model", None, "Keep the SavedModel of these sizes here.")


def main(_):
    from ig_tf import api
    from ig_tf.export import stablehlo
    from ig_tf.ig import runtime
    from ig_tf.model.model import ATTRIBUTIONS
    from ig_tf.model import fixed_shapes
    from ig_tf.run import outside_ops
    model = fixed_shapes.fixed(model_flags.load(), _EXAMPLES.value, _shapes())
    profile = runtime.RuntimeProfile("fixed", xla=True, batch_buckets=(_EXAMPLES.value,))
    plan = api.instrument(model, flags.FLAGS.target, model_flags.points(flags.FLAGS.points),
                          _BASELINE.value, _STEPS.value, _RULE.value, runtime=profile)
    with tempfile.TemporaryDirectory() as folder:
        saved = _SAVED_MODEL.value or os.path.join(folder, "model")
        api.save(plan, saved)
        if not flags.FLAGS.allow_unsafe_ops:  # compiling loads the model, which may run it
            outside_ops.refuse(saved, model.tags, [ATTRIBUTIONS])
        function, *described = stablehlo.compiled(saved, model.tags)
        manifest = stablehlo.export(function, *described, _OUTPUT.value)
        if _INPUT.value:
            _keep_example(saved, function, *described[:2])
    size = os.path.getsize(os.path.join(_OUTPUT.value, stablehlo.MODULE))
    print(f"wrote {_OUTPUT.value}: a module of {size:,} bytes, {len(manifest['weights'])} weights, "
          f"outputs {', '.join(manifest['outputs'])}")
    if manifest["left_out"]:
        print(f"left out, since XLA has no strings: {', '.join(manifest['left_out'])}")
    return 0


def _shapes():
    found = {}
    for one in _SHAPES.value:
        key, _, sizes = one.partition("=")
        try:
            found[key] = [int(size) for size in sizes.split("x")]
        except ValueError:
            raise SignatureError(f"--shapes={one}: expected INPUT=4x32.") from None
    return found


def _keep_example(saved, function, specs, keys):
    """The first rows and what TensorFlow answers, by the same compiled function."""
    import numpy as np
    import tensorflow as tf
    from ig_tf.run import artifact, attribute
    loaded = artifact.load(saved, flags.FLAGS.allow_unsafe_ops)
    rows = attribute.some_records(loaded, _INPUT.value, _EXAMPLES.value)
    if len(rows) < _EXAMPLES.value:
        raise RecordError(f"{_INPUT.value!r} has {len(rows)} rows; --examples={_EXAMPLES.value}.")
    arrays = {key: np.stack([values[key] for _, values in rows]).astype(spec.dtype.as_numpy_dtype)
              for key, spec in specs.items()}
    answer = function(**{key: tf.constant(array) for key, array in arrays.items()})
    np.savez(os.path.join(_OUTPUT.value, "example.npz"),
             **{f"input/{key}": array for key, array in arrays.items()},
             **{f"output/{key}": value.numpy() for key, value in zip(keys, answer)})


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
