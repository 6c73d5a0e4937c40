"""Compares the attributions signature with other tools, on models that it trains itself.

  python -m tools.benchmark --work_dir=DIR
  python -m tools.benchmark --work_dir=DIR --rivals=captum --python_of=captum=VENV/bin/python

For each model: time per example, ratio, errors against a fine reference, cost in predictions, and
the limit. Each contender runs in a process of its own, with the same weights. The environments of
the others are made by tools/benchmarks/rivals.sh.
"""

import json
import os
import pathlib
import sys

from absl import flags

from tools import program
from tools.benchmarks import benchmark, models, real, report, settings, team
from tools.benchmarks.measure import Amount

_WORK = flags.DEFINE_string("work_dir", None, "Folder for models, artifacts and results; what is "
                            "trained already is used again.", required=True)
_MODELS = flags.DEFINE_list("models", list(models.DEFAULT_MODELS), "Models of: "
                            f"{', '.join(models.MODELS)}.")
_SETTINGS = flags.DEFINE_list("settings", list(settings.SETTINGS), "Ways to instrument; `default` "
                              f"is always among them: {', '.join(settings.SETTINGS)}.")
_RIVALS = flags.DEFINE_list("rivals", [], f"Other tools: {', '.join(team.RIVALS)}.")
_PYTHONS = flags.DEFINE_multi_string("python_of", [], "RIVAL=INTERPRETER that has its libraries.")
_ENVIRONMENTS = flags.DEFINE_string("environments", None, "The folder that rivals.sh made, "
                                    "instead of --python_of.")
_THREADS = flags.DEFINE_list("threads", ["1", "all"], "Numbers of threads; `all` for all cores.")
_BATCHES = flags.DEFINE_list("batches", ["1", "64"], "Examples at once, 64 at most.")
_NODES = flags.DEFINE_integer("nodes", 50, "Nodes of the rule.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Runs of each, in turns.", lower_bound=1)
_EXAMPLES = flags.DEFINE_integer("examples", 16, "Examples that errors are measured on.",
                                 lower_bound=1, upper_bound=models.MEASURED)
_REFERENCE = flags.DEFINE_integer("reference_nodes", 2048, "Nodes of the reference.",
                                  lower_bound=1)
_LIMIT = flags.DEFINE_bool("limit", True, "Measure the limit too.")
_MEMORY = flags.DEFINE_list("memory", [], "Models whose peak memory is measured.")
_ZOO = flags.DEFINE_string("zoo", None, "Folder of real models: "
                           f"{', '.join(real.MODELS)}; nothing else is done with it.")
_SECONDS = flags.DEFINE_integer("answer_seconds", 300, "A contender that takes longer for one "
                                "answer is left out.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File of results; results.json in the work folder.")
_KEEP = flags.DEFINE_bool("keep", False, "Keep what the JSON file has of earlier runs, where this "
                          "one does not measure it again.")
_REMARK = flags.DEFINE_string("remark", None, "A sentence for the page, about the machine say.")
_PAGE = flags.DEFINE_string("page", None, "Page of markdown to write.")


def main(_):
    for flag, known in ((_MODELS, models.MODELS), (_SETTINGS, settings.SETTINGS),
                        (_RIVALS, team.RIVALS), (_MEMORY, models.MODELS)):
        unknown = set(flag.value) - set(known)
        if unknown:
            print(f"error: --{flag.name}: no {', '.join(sorted(unknown))}; there are: "
                  f"{', '.join(known)}.", file=sys.stderr)
            return 2
    amount = Amount(_NODES.value, tuple(map(int, _BATCHES.value)), _REPEATS.value, _EXAMPLES.value)
    asked = benchmark.Asked(
        pathlib.Path(_WORK.value).absolute(), tuple(_MODELS.value),
        tuple(dict.fromkeys(["default", *_SETTINGS.value])), tuple(_RIVALS.value), _pythons(),
        tuple(os.cpu_count() if n == "all" else int(n) for n in _THREADS.value), amount,
        _REFERENCE.value, _LIMIT.value, tuple(_MEMORY.value), _ZOO.value, _SECONDS.value)
    results = benchmark.run(asked, lambda line: print(line, file=sys.stderr, flush=True))
    json_file = pathlib.Path(_JSON.value or asked.work_dir / "results.json")
    if _KEEP.value and json_file.exists():
        results = report.merged(json.loads(json_file.read_text(encoding="utf-8")), results)
    if _REMARK.value:
        results["remark"] = _REMARK.value
    print(report.text(results))
    report.write(results, json_file, _PAGE.value, _command())
    return 0 if results["rows"] or results["memory"] or results["real"] else 1


def _pythons():
    """{rival: interpreter}."""
    found = {}
    if _ENVIRONMENTS.value:
        found = {name: os.path.join(_ENVIRONMENTS.value, name, "bin", "python")
                 for name in _RIVALS.value}
    found.update(text.partition("=")[::2] for text in _PYTHONS.value)
    return found


def _command():
    """The command line without the places that mean nothing elsewhere."""
    kept = []
    for argument in sys.argv[1:]:
        key, _, value = argument.partition("=")
        if key == "--remark":
            continue
        kept.append(f"{key}=..." if os.sep in value else argument)
    return " ".join(["python -m tools.benchmark", *kept])


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
