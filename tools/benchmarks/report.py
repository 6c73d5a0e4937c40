"""The results as text, JSON and a page of markdown."""

import datetime
import json
import os
import platform

from tools.benchmarks.models import MODELS
from tools.benchmarks.settings import SETTINGS
from tools.benchmarks.team import LIMIT, TITLES

COLUMNS = ("batch", "threads", "who", "ms per example", "ratio to ours", "predictions",
           "completeness median", "p95", "attribution median", "p95", "best way")


def machine(versions):
    """Facts of the machine that figures depend on; no names, no paths."""
    return {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(),
            "processor": _processor(), "system": platform.system(),
            "python": platform.python_version(), **versions}


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def tables(results):
    """[(heading, columns, rows of text)] of everything measured."""
    found = []
    for name in dict.fromkeys(row["model"] for row in results["rows"]):
        rows = [row for row in results["rows"] if row["model"] == name]
        found.append((_title(name), COLUMNS, [_line(row, rows) for row in _sorted(rows)]))
    if found:
        found.append(_ratios(results["rows"]))
    if results.get("memory"):
        found.append(_memory(results["memory"]))
    if results.get("real"):
        found.append(_real(results["real"]))
    return found


def _title(name):
    return MODELS[name].title if name in MODELS else name


def _sorted(rows):
    order = list(TITLES)
    return sorted(rows, key=lambda row: (row["threads"], row["batch"],
                                         order.index(row["contender"])))


def _line(row, rows):
    ours = next((other["ms_per_example"] for other in rows if other["contender"] == "default"
                 and all(other[key] == row[key] for key in ("batch", "threads"))), None)
    ratio = "" if ours is None else f"{row['ms_per_example'] / ours:.2f}"
    completeness, attribution = row["completeness_error"], row["attribution_error"]
    return (str(row["batch"]), str(row["threads"]), TITLES[row["contender"]],
            number(row["ms_per_example"]), ratio, number(row["predictions"]),
            percent(completeness["median"]), percent(completeness["p95"]),
            percent(attribution["median"]), percent(attribution["p95"]), row["choice"])


def _ratios(rows):
    """How many times longer each other tool, and the limit, takes than each setting of ours."""
    settings = [name for name in SETTINGS if any(row["contender"] == name for row in rows)]
    columns = ("model", "threads", "batch", "who", *(f"over {TITLES[name]}" for name in settings))
    times = {(row["model"], row["threads"], row["batch"], row["contender"]): row["ms_per_example"]
             for row in rows}
    lines = []
    for (*cell, who), ms in times.items():
        if who not in settings:
            ours = [times.get((*cell, name)) for name in settings]
            lines.append((*map(str, cell), who,
                          *("" if one is None else f"{ms / one:.2f}" for one in ours)))
    return "times longer than ours", columns, lines


def _memory(cells):
    columns = ("model", "steps", "batch", "peak MB", "above a prediction, MB", "seconds")
    rows = [(cell["model"], str(cell["steps"]), str(cell["batch"]),
             f"{cell['bytes'] / 1e6:.0f}",
             f"{(cell['bytes'] - cell['prediction_bytes']) / 1e6:.0f}",
             number(cell["seconds"])) for cell in cells]
    return "peak memory of the attributions signature", columns, rows


def _real(rows):
    columns = ("model", "rule", "steps", "examples", "ms per example", "predictions",
               "completeness median", "p95", "attribution median", "p95")
    lines = [(row["model"], row["rule"], str(row["steps"]), str(row["examples"]),
              number(row["ms_per_example"]), number(row["predictions"]),
              *(percent(row[f"{kind}_error"][which]) for kind in ("completeness", "attribution")
                for which in ("median", "p95"))) for row in rows]
    return "real models", columns, lines


def number(value):
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def percent(value):
    """An error as a share of what it is an error of."""
    value *= 100
    return f"{value:.1f} %" if value >= 10 else f"{value:.2g} %"


def limits(results):
    """[(model, threads, batch, overhead over the limit)]."""
    rows = {(row["model"], row["threads"], row["batch"], row["contender"]): row["ms_per_example"]
            for row in results["rows"]}
    return [(model, threads, batch, ms / rows[model, threads, batch, LIMIT])
            for (model, threads, batch, who), ms in rows.items()
            if who == "default" and (model, threads, batch, LIMIT) in rows]


def text(results):
    """For the terminal."""
    lines = [", ".join(f"{key} {value}" for key, value in results["machine"].items())]
    for heading, columns, rows in tables(results):
        widths = [max(map(len, column)) for column in zip(columns, *rows)]
        lines += ["", heading, *("  " + "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in [columns, *rows])]
    lines += ["", *_notes(results)]
    return "\n".join(lines)


def markdown(results, command):
    """The page."""
    facts = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    lines = ["# Results of the benchmark", "", "Written by `tools/benchmark.py`; not by hand.", "",
             f"    {command}", "", f"Measured on: {facts}.", "",
             "Equal weights (outputs agree to 1e-6), zero baseline, "
             f"{results['nodes']} nodes (Gauss-Legendre where a tool has it), medians of at least "
             f"{results['repeats']} runs in turns, each tool in its own process at its fastest way "
             "to cut the work. *Ratio to ours*: time over that of `ig_tf` as it comes. "
             "*Predictions*: time of one attribution over that of one prediction of the same "
             "batch, in the tool's own framework. Errors: of the first "
             f"{results['examples']} examples, completeness relative to F(x) - F(0), attribution "
             "as sum of absolute differences over sum of absolute values against "
             f"{results['reference_nodes']:,} nodes. The limit is the gradient from the affine "
             "frontier alone, at the best chunk, with or without XLA, and the affine part once.",
             "", *([results["remark"], ""] if results.get("remark") else [])]
    for heading, columns, rows in tables(results):
        lines += [f"## {heading[0].upper()}{heading[1:]}", "", "| " + " | ".join(columns) + " |",
                  "|" + "---|" * len(columns),
                  *("| " + " | ".join(row) + " |" for row in rows), ""]
    return "\n".join(lines + ["## Notes", "", *(f"- {note}" for note in _notes(results)), ""])


def _notes(results):
    notes = [f"{model}, {threads} threads, batch {batch}: {over:.2f} times the limit"
             for model, threads, batch, over in limits(results)]
    notes += [f"{model}: {why}" for model, why in results.get("lacking", {}).items()]
    for model, facts in results.get("training", {}).items():
        notes.append(f"{model}: accuracy {facts['accuracy']:.2f} after training for the benchmark")
    return notes


def merged(earlier, results):
    """The results, with the rows of an earlier run that this one did not measure again."""
    kept = {}
    for key, identity in (("rows", ("model", "threads", "batch", "contender")),
                          ("memory", ("model", "steps", "batch")),
                          ("real", ("model", "rule", "steps"))):
        found = {tuple(row[part] for part in identity): row
                 for row in [*earlier[key], *results[key]]}
        kept[key] = list(found.values())
    for key in ("training", "machine"):
        kept[key] = {**earlier[key], **results[key]}
    return {**results, **kept}


def write(results, json_file, page, command):
    """The JSON file and, where `page` is given, the page."""
    with open(json_file, "w", encoding="utf-8") as out:
        json.dump(results, out, indent=1)
    if page:
        with open(page, "w", encoding="utf-8") as out:
            out.write(markdown(results, command))
