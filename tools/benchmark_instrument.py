"""Times instrumenting models of many nodes, and one of many gigabytes; each in its own process.

  python -m tools.benchmark_instrument [--nodes=5000,20000] [--kinds=deep,wide] [--gigabytes=10]

It makes its models in a temporary folder. What it prints: seconds of each verb, the import of
TensorFlow by itself, and the process's peak memory; for the heavy model the copy's rate against
that of `cp`, in the same run.
"""

import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from absl import flags

from tools import program

_NODES = flags.DEFINE_list("nodes", ["5000", "20000"], "Sizes of the graphs; none for none.")
_KINDS = flags.DEFINE_list("kinds", ["deep", "wide", "towers", "nested", "conditions"],
                           "Which graphs, see tools/benchmark_models.py.")
_GIGABYTES = flags.DEFINE_float("gigabytes", 10, "Size of the heavy model's variables; 0 for none.")
_FOLDER = flags.DEFINE_string("folder", None, "Where the temporary folder is made.")
_OUTPUT = flags.DEFINE_string("output", None, "A .json file for the results.")
_STEP = flags.DEFINE_enum("step", "all", ["all", "make", "instrument", "profile"],
                          "What one process does; all starts the others.")
_MODEL = flags.DEFINE_string("model", None, "Of one step: the model's folder.")
_LINK = flags.DEFINE_bool("link", False, "Of one step: save with hard links.")

_STARTED = time.perf_counter()
_VERBS = ("load", "locate", "instrument", "save")
_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_SPARE = 2 << 30  # bytes of the disk that are left free


def main(_):
    if _STEP.value == "make":
        return _make()
    if _STEP.value == "instrument":
        print(json.dumps(_instrument(_MODEL.value)))
        return 0
    if _STEP.value == "profile":
        return _profile()
    with tempfile.TemporaryDirectory(dir=_FOLDER.value) as folder:
        found = [_measured(pathlib.Path(folder), kind, int(nodes))
                 for kind in _KINDS.value for nodes in _NODES.value]
        if _GIGABYTES.value:
            found += _heavy(pathlib.Path(folder), _GIGABYTES.value)
    print(_table(found))
    if _OUTPUT.value:
        pathlib.Path(_OUTPUT.value).write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


def _make():
    """Writes the one model that the flags name."""
    from tools import benchmark_models
    kind = _KINDS.value[0]
    if kind == "heavy":
        benchmark_models.heavy(_MODEL.value, _GIGABYTES.value)
    else:
        benchmark_models.KINDS[kind](_MODEL.value, int(_NODES.value[0]))
    return 0


def _instrument(model):
    """Seconds of each verb and peak memory of this process; TensorFlow is imported before."""
    from ig_tf import api as ig_tf
    output = pathlib.Path(f"{model}.out")
    shutil.rmtree(output, ignore_errors=True)
    seconds, clock = {"import": time.perf_counter() - _STARTED}, time.perf_counter()
    state, cpu = {"nodes": 0}, time.process_time()
    for verb in _VERBS:
        if verb == "load":
            state["loaded"] = ig_tf.load(model)
            graph_def = state["loaded"].graph_def
            state["nodes"] = len(graph_def.node) + sum(
                len(function.node_def) for function in graph_def.library.function)
        elif verb == "locate":
            state["located"] = ig_tf.locate(state["loaded"])
        elif verb == "instrument":
            state["plan"] = ig_tf.instrument(state["located"])
        else:
            ig_tf.save(state["plan"], output, link=_LINK.value)
        seconds[verb], clock = time.perf_counter() - clock, time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    return {"nodes": state["nodes"], "seconds": seconds, "cpu": time.process_time() - cpu,
            "peak": peak, "bytes": size}


def _profile():
    """The same under the profiler; prints the functions that took longest."""
    import cProfile
    import pstats
    import ig_tf  # noqa: F401
    profiler = cProfile.Profile()
    profiler.enable()
    found = _instrument(_MODEL.value)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(40)
    print(json.dumps(found))
    return 0


def _measured(folder, kind, nodes):
    model = folder / f"{kind}_{nodes}"
    _child("make", model, f"--kinds={kind}", f"--nodes={nodes}")
    started = time.perf_counter()
    found = _child("instrument", model)
    found["process"] = time.perf_counter() - started
    shutil.rmtree(model)
    shutil.rmtree(f"{model}.out")
    return {"model": f"{kind} {nodes}", **found}


def _heavy(folder, gigabytes):
    """The model of many gigabytes: copied by ig_tf, by cp, and linked."""
    needed = int(2 * gigabytes * (1 << 30)) + _SPARE
    free = shutil.disk_usage(folder).free
    if free < needed:
        print(f"{folder} has {free >> 30} GiB free; a model of {gigabytes} GB and its copy need "
              f"{needed >> 30}: left out.", file=sys.stderr)
        return []
    model = folder / "heavy"
    _child("make", model, "--kinds=heavy", f"--gigabytes={gigabytes}")
    copied = _child("instrument", model)
    started = time.perf_counter()
    shutil.rmtree(f"{model}.out")
    subprocess.run(["cp", "-r", str(model), f"{model}.cp"], check=True)
    by_cp = time.perf_counter() - started
    shutil.rmtree(f"{model}.cp")
    linked = _child("instrument", model, "--link")
    copying = copied["seconds"]["save"] - linked["seconds"]["save"]  # the rest is the graph's
    copied["rate"] = copied["bytes"] / max(copying, 1e-3)
    copied["rate_of_cp"] = copied["bytes"] / by_cp
    shutil.rmtree(f"{model}.out")
    return [{"model": f"{gigabytes:g} GB, copied", **copied},
            {"model": f"{gigabytes:g} GB, --link", **linked}]


def _child(step, model, *more):
    command = [sys.executable, "-m", "tools.benchmark_instrument", f"--step={step}",
               f"--model={model}", *more]
    done = subprocess.run(command, cwd=_REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if step == "instrument" else None


def _table(found):
    lines = ["| model | nodes | load | locate | instrument | save | all four "
             "(of it CPU) | import | peak GB |", "|---|---|---|---|---|---|---|---|---|"]
    for one in found:
        seconds = one["seconds"]
        verbs = [seconds[verb] for verb in _VERBS]
        cells = [one["model"], str(one["nodes"]), *(f"{value:.2f}" for value in verbs),
                 f"{sum(verbs):.1f} ({one['cpu']:.1f})", f"{seconds['import']:.1f}",
                 f"{one['peak'] / 1e9:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    for one in found:
        if "rate" in one:
            lines.append(f"\ncopy: {one['rate'] / 1e6:.0f} MB/s; cp: {one['rate_of_cp'] / 1e6:.0f} "
                         f"MB/s; {one['rate'] / one['rate_of_cp']:.0%}")
    return "\n".join(lines)


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
