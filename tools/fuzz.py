"""Changes models, records and results in thousands of ways and looks whether ig_tf keeps its word.

  python -m tools.fuzz --work_dir=DIR --cases=1000 --kinds=model,metadata,input,results
  python -m tools.fuzz --work_dir=DIR --cases=1000 --kinds=frozen,checkpoint,keras
  python -m tools.fuzz --work_dir=DIR --kinds=model --first=123 --cases=1    one case again

A case is its kind and its number: the same ones do the same. Each runs in a process with limits of
time and memory. Whatever ends otherwise than in one clear error or in a right answer is a failure;
failures.jsonl in the folder has them, and the status is 1.
"""

import collections
import json
import os
import pathlib
import sys
import time

from absl import flags

from tools import program

KINDS = ("model", "zoo", "metadata", "input", "results", "frozen", "checkpoint", "keras")

_WORK = flags.DEFINE_string("work_dir", None, "Folder for the models and the failures.",
                            required=True)
_KINDS = flags.DEFINE_list("kinds", ["model", "metadata", "input", "results"],
                           f"What is changed: {', '.join(KINDS)}.")
_CASES = flags.DEFINE_integer("cases", 100, "Cases of each kind.", lower_bound=1)
_FIRST = flags.DEFINE_integer("first", 0, "Number of the first case.")
_ZOO = flags.DEFINE_string("zoo", None, "Folder of SavedModels for the kind `zoo`.")
_BASES = flags.DEFINE_list("bases", [], "Only these models; by default all.")
_SECONDS = flags.DEFINE_integer("case_seconds", 60, "A case that takes longer hangs.",
                                lower_bound=1)
_MEMORY = flags.DEFINE_integer("case_gib", 6, "Address space that a case may add.", lower_bound=1)
_TOGETHER = flags.DEFINE_integer("together", 10, "Model cases in one process.", lower_bound=1)


def main(_):
    from tools.fuzzing import artifacts, bases, processes
    unknown = set(_KINDS.value) - set(KINDS)
    if unknown:
        print(f"error: --kinds: no {', '.join(sorted(unknown))}; there are: {', '.join(KINDS)}.",
              file=sys.stderr)
        return 2
    work = pathlib.Path(_WORK.value)
    work.mkdir(parents=True, exist_ok=True)
    processes.apart(bases.small, work / "bases")  # where TensorFlow is used, no process is forked
    for kind in set(_KINDS.value) & set(artifacts.KINDS):
        processes.apart(artifacts.made, kind, work / kind)
    limits = processes.Limits(_SECONDS.value, _MEMORY.value << 30)
    counts, failures = collections.Counter(), []
    for kind in _KINDS.value:
        began = time.monotonic()
        numbers = range(_FIRST.value, _FIRST.value + _CASES.value)
        for outcome in processes.run(kind, numbers, work, limits, _TOGETHER.value, _ZOO.value,
                                     _BASES.value):
            counts[kind, outcome.kind] += 1
            if not outcome.fine:
                failures.append(outcome)
                print(outcome.text(), flush=True)
                with open(work / "failures.jsonl", "a", encoding="utf-8") as file:
                    file.write(json.dumps(outcome.described()) + "\n")
        found = {name: count for (one, name), count in sorted(counts.items()) if one == kind}
        print(json.dumps({"kind": kind, "cases": len(numbers), "outcomes": found,
                          "seconds": round(time.monotonic() - began, 1)}), flush=True)
    return 1 if failures else 0


main.needs_tensorflow = False

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    program.run(main, sys.argv, __doc__)
