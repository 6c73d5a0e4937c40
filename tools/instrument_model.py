"""Writes a SavedModel again with the signature `attributions` beside its own.

  ig-tf instrument --model=DIR --output=OUT [--target=OUTPUT:INDEX] [--baseline=zeros] [--steps=50]

The model is not run and its weights are not loaded: its files are copied as they are.
--dry_run shows the plan and writes nothing; --plan=FILE.json keeps it.

How many nodes, and where? The default is 50 of Gauss-Legendre. Better measured than guessed:

  ig-tf instrument --model=DIR --output=OUT --calibrate=ROWS.csv --error=0.01

tries rules on the rows, from the cheapest on, and takes the first that keeps the completeness error
of 95 % of them under 1 %; it prints what it measured and keeps it in the metadata. Half of the rows
are held out to check the choice. This, and nothing else here, runs the model.
"""

import json
import os
import sys

from absl import flags

from ig_tf.errors import IgTfError
from tools import model_flags, program

model_flags.define_choice()
model_flags.define_trust()
flags.adopt_module_key_flags(model_flags)
_OUTPUT = flags.DEFINE_string("output", None, "Directory to write.")
_BASELINE = flags.DEFINE_string(
    "baseline", "zeros", "Where the path starts: zeros; NUMBER; NAME=NUMBER,... per point; "
    "FILE.npz or FILE.json with an array per point; white or black (uint8 images; else "
    "white:LOW,HIGH); "
    "token:ID (a pad token or a word, repeated to the length; token:INPUT=ID where several inputs "
    "hold ids); record:FILE[:WEIGHTS] (records, led through the model to the points; WEIGHTS is a "
    "column); mean:FILE, median:FILE or mode:FILE of its columns; uniform:LOW,HIGH[:COUNT[:SEED]], "
    "gaussian:[MEAN,]STD[:COUNT[:SEED]], noise:STD[:SEED]. Several are averaged in the graph and "
    "cost so many times as much. Blurred images and points of a decision boundary are files of "
    "records; a point that was searched for can carry adversarial artefacts.")
_METHOD = flags.DEFINE_string(
    "method", "integrated_gradients", "integrated_gradients, expected_gradients (--steps nodes "
    "over all baselines together), gradient, gradient_x_input, smoothgrad:noise=STD,COUNT[,SEED], "
    "internal_influence. Behind any of them :noise=STD,COUNT[,SEED] averages over noise at x.")
_STEPS = flags.DEFINE_integer("steps", 50, "Nodes on the path; more is slower and more exact. "
                              "`ig-tf check` says how many are needed.", lower_bound=1)
_RULE = flags.DEFINE_string("rule", None, "Integration rule: gauss_legendre (the default), "
                            "graded_1.5, graded_2 or graded_3 (nodes crowd at the baseline), pilot "
                            "or pilot:PROBES (each example is looked at first, then nodes lie "
                            "where its output moves: for saturated outputs), midpoint, trapezoid, "
                            "left, right, or nodes:FILE (an .npz or .json with nodes and weights: "
                            "a distribution of interest of your own). With --calibrate the only "
                            "one to try; else it tries several.")
_CALIBRATE = flags.DEFINE_string("calibrate", None, "File of inputs, as for `ig-tf attribute`: the "
                                 "rule and the number of nodes are chosen on them. Runs the model.")
_ERROR = flags.DEFINE_float("error", 0.01, "With --calibrate: the relative completeness error that "
                            "95 % of the rows shall stay below.", lower_bound=0)
_ATTRIBUTION_ERROR = flags.DEFINE_float(
    "attribution_error", None, "With --calibrate: the same for sum(|a - reference|) / "
    "sum(|reference|), against a fine reference. By default it is reported only.", lower_bound=0)
_CALIBRATION_ROWS = flags.DEFINE_integer("calibration_rows", 64, "With --calibrate: so many "
                                         "records of the file at most.", lower_bound=2)
_ROWS = flags.DEFINE_integer("rows_per_chunk", None, "Rows of (example, step) pairs at a time; by "
                             "default as many as fit the memory budget.", lower_bound=1)
_CUSTOM = flags.DEFINE_list(
    "custom", [], "What a request may choose, in a second signature attributions_custom: target "
    "(index of the class), baseline (of each point; baseline/NAME for one), refinement (0, 1 or 2: "
    "as many nodes as --steps, 4 or 16 times as many).")
_RUNTIME = flags.DEFINE_string(
    "runtime", "cpu", "For which machine and TensorFlow: cpu; accelerator (the path is compiled by "
    "XLA where it can be, for a few batch sizes); tf1.15 (only what TensorFlow 1.15 can read is "
    "added); or a FILE.json with any of memory_budget (bytes of one chunk's activations), xla "
    "(true, false, \"auto\"), batch_buckets, lengths, compute_dtype, tensorflow.")
_MAX_BATCH = flags.DEFINE_integer("max_batch", None, "Requests of more examples are refused, by "
                                  "an assertion in the graph.", lower_bound=1)
_MAX_LENGTH = flags.DEFINE_integer("max_length", None, "Likewise requests that are longer along "
                                   "any other axis that the signature leaves open.", lower_bound=1)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Show the plan, write no model.")
_PLAN = flags.DEFINE_string("plan", None, "Write the plan as JSON to this file.")
_LINK = flags.DEFINE_bool("link", False, "Hard links instead of copies of variables and assets.")
_EXPLANATION = flags.DEFINE_string(
    "explanation_metadata", None, "An explanation_metadata.json (of Google's Explainable AI SDK) "
    "to take points, groups, baselines and the output from; --target and --baseline go first.")
_WRITE_EXPLANATION = flags.DEFINE_string(
    "write_explanation_metadata", None, "Write the plan in that form too, to this file.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace an output that exists.")
_VERSION = flags.DEFINE_integer("version", None, "For TensorFlow Serving: write into OUTPUT/N.",
                                lower_bound=1)
_WARM_UP = flags.DEFINE_string(
    "warm_up", None, "For TensorFlow Serving: file of inputs, as for `ig-tf attribute`. Of its "
    "rows requests are made that the server answers before it serves. Runs the model.")
_WARM_UP_BATCHES = flags.DEFINE_list(
    "warm_up_batches", [], "With --warm_up: numbers of examples per request; by default the "
    "batch_buckets of the runtime profile, or 1.")


def main(_):
    from ig_tf import api, describe
    from ig_tf.ig.limits import Limits
    from ig_tf.run import results
    values = flags.FLAGS
    if not _DRY_RUN.value and not _OUTPUT.value:
        raise IgTfError("--output=DIR is needed (or --dry_run, to see the plan only).")
    warm_up = _warm_up()
    model = model_flags.load()
    if not _DRY_RUN.value:
        _refuse_output(model)
    followed, located, baseline = _followed(model, values)
    plan = api.instrument(located, values.target, model_flags.points(values.points),
                          baseline, _steps(), _RULE.value, _ROWS.value, _CUSTOM.value,
                          _RUNTIME.value, _METHOD.value,
                          Limits(_MAX_BATCH.value, _MAX_LENGTH.value))
    described = plan.described()
    print(describe.plan_text(described))
    if plan.calibration:
        from ig_tf import calibration
        print("\n" + calibration.text(plan.calibration))
    if _PLAN.value:
        results.write_file(_PLAN.value, json.dumps(described, indent=1, sort_keys=True).encode())
    if _WRITE_EXPLANATION.value:
        from ig_tf import explanation_metadata
        written = explanation_metadata.written(plan, followed)
        results.write_file(_WRITE_EXPLANATION.value, json.dumps(written, indent=1).encode())
    if _DRY_RUN.value:
        print("\ndry run: nothing was written")
        return 0
    metadata = api.save(plan, _OUTPUT.value, _LINK.value, _OVERWRITE.value,
                        version=_VERSION.value, warm_up=warm_up)
    if plan.recipe.runtime.xla or plan.recipe.runtime.tensorflow:
        print(f"\ncompiled by XLA: {metadata['compiled']}")
    folder = os.path.join(_OUTPUT.value, *[str(_VERSION.value)] * _VERSION.present)
    print(f"\nwrote {folder}: its signature `attributions` answers in any TensorFlow")
    print(f"next: ig-tf attribute --model={folder} --input=FILE --output=results.jsonl")
    return 0


def _refuse_output(model):
    """Before anything is measured, which may take minutes."""
    from ig_tf.export import saved_model
    folder = _OUTPUT.value if _VERSION.value is None else saved_model.version_folder(
        _OUTPUT.value, _VERSION.value)
    saved_model.refuse(model, folder, _OVERWRITE.value)


def _followed(model, values):
    """(the explanation metadata or None, what shall be instrumented, its baseline)."""
    if not _EXPLANATION.value:
        return None, model, _BASELINE.value
    if values["points"].present:
        raise IgTfError("--explanation_metadata names the points: leave --points out.")
    from ig_tf import explanation_metadata
    followed = explanation_metadata.read(_EXPLANATION.value)
    located = followed.locate(model, values.target)
    baseline = _BASELINE.value if _BASELINE.present else followed.baseline(located.cut.points)
    return followed, located, baseline


def _warm_up():
    """What makes requests for a server to begin with, or None."""
    if not _WARM_UP.value:
        if _WARM_UP_BATCHES.value:
            raise IgTfError("--warm_up_batches is for --warm_up=FILE, which is missing.")
        return None
    try:
        sizes = [int(size) for size in _WARM_UP_BATCHES.value]
    except ValueError:
        sizes = [0]
    if any(size < 1 for size in sizes):
        raise IgTfError("--warm_up_batches: expected whole numbers from 1 on, for example 1,16.")
    from ig_tf.warm_up import WarmUp
    return WarmUp(_WARM_UP.value, sizes or None, say=lambda text: print(f"\n{text}"),
                  allow_unsafe_ops=flags.FLAGS.allow_unsafe_ops)


def _steps():
    """A number, or the object that chooses it."""
    if not _CALIBRATE.value:
        for flag in (_ERROR, _ATTRIBUTION_ERROR, _CALIBRATION_ROWS):
            if flag.present:
                raise IgTfError(f"--{flag.name} is for --calibrate=FILE, which is missing.")
        return _STEPS.value if _STEPS.present else None  # a method may have its own number
    if _STEPS.present:
        raise IgTfError("--calibrate chooses the number of nodes: leave --steps out, or give "
                        "--steps alone.")
    from ig_tf.calibration import Calibration
    return Calibration(_CALIBRATE.value, _ERROR.value, _ATTRIBUTION_ERROR.value,
                       _CALIBRATION_ROWS.value,
                       say=lambda text: print(f"... {text}", file=sys.stderr, flush=True),
                       allow_unsafe_ops=flags.FLAGS.allow_unsafe_ops)


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
