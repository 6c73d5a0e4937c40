"""Runs an instrumented SavedModel on a file of inputs and writes the attributions.

  ig-tf attribute --model=OUT --input=FILE --output=results.jsonl

FILE is .npz (one array per input), .jsonl (one object per line), .csv (columns named like the
inputs) or .tfrecord (serialized tf.Examples).
"""

import collections
import sys

from absl import flags

from ig_tf.errors import RecordError
from tools import model_flags, program

model_flags.define_libraries()
flags.adopt_module_key_flags(model_flags)

_MODEL = flags.DEFINE_string("model", None, "Directory that `ig-tf instrument` wrote.",
                             required=True)
_INPUT = flags.DEFINE_string("input", None, "File of inputs.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "File to write: .jsonl or .npz.", required=True)
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


def main(_):
    model_flags.load_libraries()
    from ig_tf.run.attribute import attribute
    from ig_tf.run.results import read
    count = attribute(_MODEL.value, _INPUT.value, _OUTPUT.value, _BATCH.value, _LIMIT.value,
                      _lines(_LABELS.value), _lines(_VOCABULARY.value), _ROW_ERROR.value,
                      _TARGET_COLUMN.value, _BASELINES.value)
    statuses = collections.Counter(result.status for result in read(_OUTPUT.value)[1])
    found = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
    print(f"wrote {count} results to {_OUTPUT.value}" + (f" ({found})" if found else ""))
    if statuses["capped"]:
        share = 0.05 if _ROW_ERROR.value is None else _ROW_ERROR.value
        print(f"capped: the attributions do not add up within {share:.4g} of the difference; "
              "`ig-tf check` says why and what to do")
    return 0


def _lines(path):
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"cannot read {path!r}: {error}") from error


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
