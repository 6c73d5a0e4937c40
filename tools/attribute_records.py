"""Runs an instrumented SavedModel on a file or a data set and writes the attributions.

  ig-tf attribute --model=OUT --input=FILE --output=results.jsonl
  ig-tf attribute --model=OUT --input='rows-*.parquet' --output=DIR/ --format=parquet

Inputs are .npz (one array per input), .jsonl (one object per line), .csv and .parquet (columns
named like the inputs), .tfrecord (serialized tf.Examples or SequenceExamples) or images. A folder
as output is a batch job: shards, a manifest, and run again it goes on where it was killed.
"""

import json
import os
import sys

from absl import flags

from ig_tf.errors import RecordError
from tools import model_flags, program

model_flags.define_libraries()
model_flags.define_trust()
flags.adopt_module_key_flags(model_flags)

_MODEL = flags.DEFINE_string("model", None, "Directory that `ig-tf instrument` wrote.",
                             required=True)
_INPUT = flags.DEFINE_string("input", None, "Files of inputs: a file, a folder, a pattern, or "
                             "several with commas between.", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "File to write: .jsonl or .npz. Or a folder (DIR/, or with --format), for a "
    "batch job.", required=True)
_FORMAT = flags.DEFINE_enum("format", None, ["jsonl", "parquet", "tfrecord", "csv"], "Of a batch "
                            "job's files. By default jsonl; csv for --form=long only.")
_FORM = flags.DEFINE_enum("form", "wide", ["wide", "long"], "Job: a row per result, or one per "
                          "feature and token.")
_COLUMNS = flags.DEFINE_list("columns", [], "INPUT=COLUMN,... for inputs of the model that are "
                             "called otherwise in the records (id=COLUMN too).")
_KEEP = flags.DEFINE_list("keep", [], "Job: columns of the records that the results keep, for "
                          "example label.")
_SHARD = flags.DEFINE_integer("shard_records", 10_000, "Job: records per file. A job that is "
                              "killed loses what it has of one.", lower_bound=1)
_ON_ERROR = flags.DEFINE_enum(
    "on_error", "fail", ["fail", "skip"], "Job: whether a record that cannot be attributed ends "
    "the job, or costs one row of status error and a line in _dead_letters.")
_WORKERS = flags.DEFINE_integer("workers", 1, "Job: processes, each with a copy of the model.",
                                lower_bound=1)
_ENGINE = flags.DEFINE_enum("engine", "local", ["local", "spark", "beam"], "Job: who answers the "
                            "shards. spark needs ig_tf[spark] and Java 17, beam ig_tf[beam].")
_MASTER = flags.DEFINE_string("master", None, "Job: Spark's master (local[*]), or Beam's runner "
                              "(DirectRunner).")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Job: remove another job's results that the "
                               "folder holds.")
_IMAGE_RANGE = flags.DEFINE_list("image_range", ["0", "1"], "Image files, for inputs of floats: "
                                 "what black and white are, for example -1,1 or 0,255.")
_BATCH = flags.DEFINE_integer("batch_size", 64, "Records per request.", lower_bound=1)
_LIMIT = flags.DEFINE_integer("limit", None, "Stop after so many records.", lower_bound=1)
_LABELS = flags.DEFINE_string("labels", None, "Text file with the names of the classes, one per "
                              "line, for the report.")
_VOCABULARY = flags.DEFINE_string("vocabulary", None, "Text file with the word of each token id, "
                                  "one per line, for the report.")
_ROW_ERROR = flags.DEFINE_float(
    "row_error", None, "Relative completeness error that each row should have at most, for example "
    "0.01. Rows over it are asked again with 4 and 16 times the nodes; needs a model that was "
    "instrumented with --custom=refinement.", lower_bound=0)
_TARGET_COLUMN = flags.DEFINE_string(
    "target_column", None, "Field of the records with the index of the class to explain; by "
    "default `target`, where the model was instrumented with --custom=target.")
_BASELINES = flags.DEFINE_string(
    "baselines", None, "An .npz with one array per point, of one example, for records without "
    "fields baseline/NAME; needs --custom=baseline.")

_SERVER = flags.DEFINE_string(
    "server", None, "A server that has the model: http://HOST:PORT/v1/models/NAME or "
    "grpc://HOST:PORT/NAME of TensorFlow Serving. --model is the folder that it serves; the "
    "numbers come from there.")

_TERMINATED = 128 + 15  # the status of a process that SIGTERM ended


def main(_):
    model_flags.load_libraries()
    return _job() if _is_job() else _one_file()


def _is_job():
    output = _OUTPUT.value
    return _FORMAT.value is not None or output.endswith(os.sep) or os.path.isdir(output)


def _job():
    from ig_tf.run import fields, job
    if _SERVER.value:
        raise RecordError("--server answers one file: --output=FILE.jsonl or FILE.npz. A batch job "
                          "loads the model itself.")
    asked = job.Job(
        _MODEL.value, _INPUT.value, _OUTPUT.value, _FORMAT.value or "jsonl",
        fields.columns_of(_COLUMNS.value), tuple(_KEEP.value), _image_range(), _BATCH.value,
        _SHARD.value, _ON_ERROR.value, _LIMIT.value, _LABELS.value, _VOCABULARY.value,
        _ROW_ERROR.value, _TARGET_COLUMN.value, _BASELINES.value,
        tuple(flags.FLAGS.load_op_library), tuple(flags.FLAGS["import"].value),
        flags.FLAGS.allow_unsafe_ops, _FORM.value)
    summary = job.run(asked, _WORKERS.value, _OVERWRITE.value, None, _ENGINE.value, _MASTER.value)
    print(json.dumps(summary))
    if not summary["complete"]:
        print("stopped by SIGTERM: run the same command again for the rest", file=sys.stderr)
        return _TERMINATED
    return 0


def _one_file():
    from ig_tf.run import attribute, fields, words
    for flag in (_KEEP, _FORM, _ENGINE, _MASTER, _WORKERS, _OVERWRITE, _ON_ERROR, _SHARD):
        if flag.present:
            raise RecordError(f"--{flag.name} belongs to a batch job: name a folder, "
                              "--output=DIR/.")
    if _SERVER.value:
        from ig_tf.run import serving
        model = serving.load(_MODEL.value, _SERVER.value)
    else:
        model = _MODEL.value
    statuses = attribute.to_file(
        model, _INPUT.value, _OUTPUT.value, _BATCH.value, _LIMIT.value,
        words.lines(_LABELS.value), words.lines(_VOCABULARY.value), _ROW_ERROR.value,
        _TARGET_COLUMN.value, _BASELINES.value, fields.columns_of(_COLUMNS.value), _image_range(),
        flags.FLAGS.allow_unsafe_ops)
    found = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
    print(f"wrote {statuses.total()} results to {_OUTPUT.value}" + (f" ({found})" if found else ""))
    if statuses["capped"]:
        share = 0.05 if _ROW_ERROR.value is None else _ROW_ERROR.value
        print(f"capped: the attributions do not add up within {share:.4g} of the difference; "
              "`ig-tf check` says why and what to do")
    return 0


def _image_range():
    try:
        low, high = map(float, _IMAGE_RANGE.value)
    except ValueError:
        raise RecordError(f"--image_range={','.join(_IMAGE_RANGE.value)}: expected two numbers, "
                          "for example -1,1.") from None
    return low, high


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
