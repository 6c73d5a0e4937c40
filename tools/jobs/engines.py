"""Every engine, output format and input format, against one process.

Nine jobs cover all pairs of an engine and an output, an engine and an input, an output and an
input. Each is compared with one process that reads CSV and writes JSON Lines.
"""

import importlib.util
import shutil

from tools.jobs import data, outputs, processes, work
from tools.jobs.findings import Findings

ENGINES = {"local": ("--workers=2",), "spark": ("--engine=spark",), "beam": ("--engine=beam",)}
_MODULES = {"spark": "pyspark", "beam": "apache_beam"}


def missing(engine):
    """Why an engine cannot be tried here, or None."""
    if engine in _MODULES and importlib.util.find_spec(_MODULES[engine]) is None:
        return f"{_MODULES[engine]} is not installed"
    if engine == "spark" and not shutil.which("java"):
        return "Spark needs Java 17: no java on the path"
    return None


def square(engines):
    """[(engine, input, output)]: every two of different kinds meet once."""
    return [(engine, data.INPUTS[(row + column) % len(data.INPUTS)], output)
            for row, engine in enumerate(engines) for column, output in enumerate(outputs.OUTPUTS)]


def run(settings):
    """[`Findings`] of census rows and of sentences."""
    found = []
    for what, given, count in (("census rows", work.census, settings.records),
                               ("sentences", work.sentences, settings.sentences)):
        findings = Findings(f"{count:,} {what}, row for row as one process gives them")
        model, files = given(settings, count)
        shard = max(1, min(10_000, count // 10))
        place = settings.folder("engines")
        _compared(settings, findings, model, files, count, shard, place)
        found.append(findings)
    return found


def _compared(settings, findings, model, files, count, shard, place):
    asked = processes.Asked(model, files["csv"], "jsonl", shard)
    wanted = _row(findings, asked, place / "one", ("--workers=1",), "one process", "csv", count)
    if wanted is None:
        return
    for engine, kind, output in square(settings.engines):
        if missing(engine):
            findings.note(f"{engine} {output}: skipped, {missing(engine)}.")
            continue
        asked = processes.Asked(model, files[kind], output, shard)
        folder = place / f"{engine}-{kind}-{output}"
        _row(findings, asked, folder, ENGINES[engine], engine, kind, count, wanted)
        shutil.rmtree(folder, ignore_errors=True)


def _row(findings, asked, folder, flags, engine, kind, count, wanted=None):
    """Runs a job, adds its row, compares it; returns its `Rows`, or None: it failed."""
    status, summary, errors = processes.Running(asked, folder, *flags).result()
    where = f"{engine}, {kind} to {asked.format}"
    findings.check(status == 0 and bool(summary), f"{where}: status {status}: {errors[-500:]}")
    if status or not summary:
        return None
    rows = outputs.read(folder)
    said = outputs.differences(rows, wanted or rows)
    findings.check(len(rows.digests) == count == summary["records"], f"{where}: {len(rows.digests)}"
                   f" rows of {count} records")
    findings.none(said, where)
    findings.row(engine=engine, input=kind, output=asked.format, rows=f"{len(rows.digests):,}",
                 checksum_of_rows=rows.checksum(), differences=len(said),
                 seconds=round(summary["seconds"], 1),
                 records_per_second=round(summary["records_per_second"]))
    return rows
