"""All that is measured, in order: prepare, instrument, compare, time, memory, real models."""

import dataclasses
import os
import pathlib
import platform
import sys

from tools.benchmarks import measure, memory, process, real, report, workplace
from tools.benchmarks.process import Failed
from tools.benchmarks.team import LIMIT, Team


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Attributes:
      work_dir: folder for everything that is made.
      models: names.
      settings: names of ways to instrument.
      rivals: names of other tools.
      pythons: {rival: interpreter}.
      threads: numbers of threads.
      amount: a `measure.Amount`.
      reference_nodes: of the reference.
      limit: whether the limit is measured.
      memory: names of models whose peak memory is measured.
      zoo: folder of real models, or None.
      seconds: that one answer may take.
    """

    work_dir: pathlib.Path
    models: tuple
    settings: tuple
    rivals: tuple
    pythons: dict
    threads: tuple
    amount: measure.Amount
    reference_nodes: int
    limit: bool
    memory: tuple
    zoo: object
    seconds: int


def run(asked, say):
    """Everything.

    Args:
      asked: an `Asked`.
      say: callable(text) for progress.

    Returns:
      The results as JSON-able data: rows, memory, real, lacking, training, machine.
    """
    asked.work_dir.mkdir(parents=True, exist_ok=True)
    results = {"machine": report.machine({}), "nodes": asked.amount.nodes,
               "repeats": asked.amount.repeats, "examples": asked.amount.examples,
               "reference_nodes": asked.reference_nodes, "rows": [], "memory": [], "real": [],
               "lacking": {}, "training": {}}
    ready = {name: _ready(asked, name, results, say) for name in asked.models}
    for threads in asked.threads:
        with Team(threads, asked.pythons, asked.work_dir, asked.seconds) as team:
            for name, settings in ready.items():
                _compare(asked, team, name, settings, results, say)
    for name in asked.memory:
        _peaks(asked, name, results, say)
    if asked.zoo:
        real.measured(asked.zoo, asked.work_dir, max(asked.threads), results, say)
    results["machine"].update(_versions(results))
    return results


def _ready(asked, name, results, say):
    """Names of the settings that a model is instrumented by."""
    where = workplace.place(asked.work_dir, name)
    where.folder.mkdir(exist_ok=True)
    say(f"{name}: prepare")
    process.run(sys.executable, ["tools.benchmarks.prepare", asked.work_dir, name,
                                 asked.reference_nodes, asked.amount.examples],
                os.cpu_count(), where.folder / "prepare.log")
    results["training"][name] = where.facts()
    return [setting for setting in asked.settings
            if _instrumented(asked, where, setting, asked.amount.nodes, results, say)]


def _instrumented(asked, where, setting, nodes, results, say):
    """Whether this version of ig_tf could; what it lacks is said and noted."""
    answer = process.run(sys.executable, [
        "tools.benchmarks.instrument", asked.work_dir, where.folder.name, setting, nodes],
        os.cpu_count(), where.folder / f"instrument_{setting}.log")
    if "lacking" in answer:
        results["lacking"][setting] = answer["lacking"]
        say(f"  no setting {setting!r}: {answer['lacking']}")
    return "lacking" not in answer


def _compare(asked, team, name, settings, results, say):
    """One model at one number of threads."""
    say(f"{name}, {team.threads} thread{'s' if team.threads > 1 else ''}")
    names = [*settings, *([LIMIT] if asked.limit else []), *asked.rivals]
    rows, failed = measure.measured(workplace.place(asked.work_dir, name), team.members(names),
                                    team.threads, asked.amount, say)
    results["rows"] += rows
    results["lacking"].update({f"{name}, {team.threads} threads": why
                               for why in failed.values()})


def _peaks(asked, name, results, say):
    """The table of peak memory of one model; each cell in a process of its own."""
    where = workplace.place(asked.work_dir, name)
    if name not in asked.models:
        _ready(dataclasses.replace(asked, settings=()), name, results, say)
    for steps, batch in memory.cells():
        _instrumented(asked, where, "default", steps, results, say)
        try:
            found = process.run(sys.executable, [
                "tools.benchmarks.memory", where.instrumented("default"),
                where.folder / "examples.npz", batch, 1], 1, where.folder / "memory.log")
        except Failed as error:
            results["lacking"][f"{name}, {steps} steps, batch {batch}"] = str(error)
            continue
        results["memory"].append({"model": name, "steps": steps, "batch": batch, **found})
        say(f"{name}: {steps} steps, batch {batch}: {found['bytes'] / 1e6:.0f} MB")


def _versions(results):
    """Of every library that took part."""
    found = {"system": platform.system()}
    for row in results["rows"]:
        for key, value in row["facts"].items():
            if key in ("tensorflow", "torch", "captum", "alibi", "xplique", "saliency"):
                who = row["contender"] if key == "tensorflow" else ""
                ours = who in ("", "default", key)
                found[key if ours else f"{key} of {who}"] = value
    return {key: value for key, value in found.items()
            if not (key.startswith("tensorflow of") and value == found.get("tensorflow"))}
