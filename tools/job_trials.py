"""Does to batch jobs what happens to them: kill -9, a lost machine, a full disk; and counts rows.

  python -m tools.job_trials --work_dir=DIR --trials=kills,cluster,disk,memory,engines

kills    the job and single workers are killed at random moments (of --seed), and begun again
cluster  a standalone cluster of Spark loses a Python worker, an executor and a worker's JVM
disk     a small tmpfs is full at random fillings (needs the right to mount one)
memory   memory over --memory_records small records
engines  --records census rows and --sentences texts through each engine, to each output format,
         from each input format, against one process

The models are its own, made in DIR, or that of --census. Each trial prints what it does, then its
table as Markdown. The status is 1 where a check fails. tools/jobs/RESULTS.md has figures.
"""

import os
import pathlib
import sys

from absl import flags

from tools import program

TRIALS = ("kills", "cluster", "disk", "memory", "engines")

_WORK = flags.DEFINE_string("work_dir", None, "Folder for models, inputs and outputs.",
                            required=True)
_TRIALS = flags.DEFINE_list("trials", list(TRIALS), f"Which: {', '.join(TRIALS)}.")
_RECORDS = flags.DEFINE_integer("records", 100_000, "Census rows of `engines`.", lower_bound=1)
_SENTENCES = flags.DEFINE_integer("sentences", 20_000, "Texts of `engines`.", lower_bound=1)
_STOPPED = flags.DEFINE_integer("stopped_records", 20_000, "Rows of `kills`, `cluster` and `disk`, "
                                "in a hundred shards.", lower_bound=1_000)
_MEMORY = flags.DEFINE_integer("memory_records", 1_000_000, "Rows of `memory`.", lower_bound=1_000)
_KILLS = flags.DEFINE_integer("kills", 20, "How often the job is killed; single workers half as "
                              "often.", lower_bound=1)
_FILLS = flags.DEFINE_integer("fills", 7, "How often the disk is full; the last time from the "
                              "start.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 7, "Of rows and moments.")
_CENSUS = flags.DEFINE_string("census", None, "Folder with a SavedModel `examples` of serialized "
                              "tf.Examples and `rows.csv` with a label, instead of our own.")
_ENGINES = flags.DEFINE_list("engines", ["local", "spark", "beam"], "Those that are not installed "
                             "are skipped, and said.")


def main(_):
    import importlib

    from tools.jobs import engines, work
    for name, given, known in (("trials", _TRIALS.value, TRIALS),
                               ("engines", _ENGINES.value, engines.ENGINES)):
        unknown = [one for one in given if one not in known]
        if unknown:
            print(f"error: --{name}: no {unknown[0]!r}; there are: {', '.join(known)}.",
                  file=sys.stderr)
            return 2
    settings = work.Settings(
        pathlib.Path(_WORK.value).absolute(), _RECORDS.value, _SENTENCES.value, _STOPPED.value,
        _MEMORY.value, _KILLS.value, _FILLS.value, _SEED.value, _CENSUS.value,
        tuple(_ENGINES.value))
    settings.work.mkdir(parents=True, exist_ok=True)
    found = []
    for trial in _TRIALS.value:
        print(f"{trial}:", flush=True)
        found += importlib.import_module(f"tools.jobs.{trial}").run(settings)
    print("\n" + "\n".join(findings.text() for findings in found))
    return 1 if any(findings.failures for findings in found) else 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    program.run(main, sys.argv, __doc__)
