"""What several scores cost from one path: k of them share the forward pass of one.

  python -m tools.measure_several_scores --model=DIR --input=FILE --output=output_0 [--scores=2,5]

One class takes f + b a row, forward and backward; k classes should take f + k b, and nothing else.
f, b and the times are measured in one run of this program, round by round in turn, on the same
rows in chunks of the same size. f is the time of forward passes alone along the same path.
"""

import json
import pathlib
import tempfile
import time

import numpy as np
from absl import app, flags

import ig_tf
from ig_tf import api
from ig_tf.ig import attach
from ig_tf.run import artifact
from ig_tf.run.attribute import input_values

_MODEL = flags.DEFINE_string("model", None, "SavedModel of a classifier.", required=True)
_INPUT = flags.DEFINE_string("input", None, "File of records, at least --rows.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Which output, [batch, classes].", required=True)
_SCORES = flags.DEFINE_list("scores", ["2", "5"], "How many classes.")
_ROWS = flags.DEFINE_integer("rows", 4, "Records in the batch, and rows of a chunk.")
_STEPS = flags.DEFINE_integer("steps", 8, "Nodes on the path.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "How often each is run; the fastest counts.")
_CLOCK = flags.DEFINE_enum("clock", "wall", ["wall", "cpu"], "Seconds of the clock, or of all "
                           "cores together: for a machine that others use too.")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
LIMIT = 1.1


def main(_):
    counts = [int(text) for text in _SCORES.value]
    with tempfile.TemporaryDirectory() as folder:
        runs = {"f": _artifact(folder, "f", ":top", attach.profile(np.linspace(
            0, 1, _STEPS.value))), 1: _artifact(folder, "1", ":top")}
        runs.update({count: _artifact(folder, str(count), f":top{count}") for count in counts})
        times = _timed(runs)
    passes = _ROWS.value * _STEPS.value
    forward, both = times["f"] / passes, times[1] / passes
    backward = both - forward
    found = {"forward_ms": 1e3 * forward, "backward_ms": 1e3 * backward, "scores": {}}
    for count in counts:
        ideal = (forward + count * backward) / both
        found["scores"][count] = {"times_one": times[count] / times[1], "ideal": ideal,
                                  "excess": times[count] / times[1] / ideal}
    print(json.dumps(found, indent=2))
    worst = max(one["excess"] for one in found["scores"].values())
    print(f"largest excess {worst:.3f}, allowed {LIMIT}")
    return int(worst > LIMIT)


def _artifact(folder, name, index, build=attach.outputs):
    path = str(pathlib.Path(folder) / name)
    plan = ig_tf.instrument(ig_tf.load(_MODEL.value), target=_OUTPUT.value + index,
                            steps=_STEPS.value, rows_per_chunk=_ROWS.value)
    api.save(plan, path, build=build)
    return artifact.load(path)


def _timed(runs):
    """{name: seconds of the fastest round}."""
    rows = input_values(runs[1], _INPUT.value, range(_ROWS.value))
    found, clock = {name: float("inf") for name in runs}, CLOCKS[_CLOCK.value]
    for turn in range(_ROUNDS.value + 1):
        for name, loaded in runs.items():
            begin = clock()
            loaded.answer(rows)
            if turn:  # the first one builds what TensorFlow keeps
                found[name] = min(found[name], clock() - begin)
    return found


if __name__ == "__main__":
    app.run(main)
