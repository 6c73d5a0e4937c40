"""Memory of a job over time: whether it grows with the number of records."""

import json
import threading
import time

from tools.jobs import processes, work
from tools.jobs.findings import Findings

PARTS = 10
ALLOWED = 1.05  # peak at the end against that at a tenth
_EVERY = 0.2  # seconds


def run(settings):
    """[`Findings`] of one job of many small records in one process."""
    count = settings.memory_records
    findings = Findings(f"Memory over {count:,} small records, one process")
    model, file = work.pairs(settings, count)
    place = settings.folder("memory")
    asked = processes.Asked(model, file, "parquet", max(1, count // 100), ())
    running = processes.Running(asked, place / "out", "--workers=1")
    samples = _sampled(running)
    status, summary, errors = running.result()
    findings.check(status == 0, f"status {status}: {errors[-500:]}")
    if status == 0:
        findings.check(summary["rows"] == count, f"{summary['rows']} rows of {count}")
        peaks = _rows(findings, samples(), count)
        findings.check(peaks[-1] <= ALLOWED * peaks[0], f"the peak grew from {peaks[0]:.0f} MiB at "
                       f"a tenth to {peaks[-1]:.0f} MiB")
        findings.note(f"Peak at 100 % against 10 %: {peaks[-1] / peaks[0]:.3f}, allowed {ALLOWED}. "
                      f"{summary['seconds']:.0f} s, {summary['records_per_second']:.0f} records "
                      "per second.")
        manifest = json.loads((place / "out" / "_SUCCESS").read_bytes())
        findings.check(sum(note["rows"] for note in manifest["shards"]) == count,
                       "rows of the shards do not add up")
    return [findings]


def _sampled(running):
    """Samples memory in a thread; returns a function that gives [(share of shards, MiB)]."""
    found = []

    def sample():
        while not running.ended():
            one = time.monotonic() - running.began, running.finished()
            held = processes.resident(running.pid)
            if held:  # it may just have ended
                found.append((*one, held))
            time.sleep(_EVERY)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()

    def samples():
        thread.join()
        return found
    return samples


def _rows(findings, samples, count):
    """A row for each tenth; returns the peaks up to there."""
    peaks, last = [], max(finished for _, finished, _ in samples) or 1
    for part in range(1, PARTS + 1):
        until = [one for one in samples if one[1] <= last * part / PARTS] if (
            part < PARTS) else samples
        peaks.append(max(mib for *_, mib in until))
        findings.row(records=f"{count * part // PARTS:,}", seconds=round(until[-1][0], 1),
                     MiB_now=round(until[-1][2]), peak_MiB=round(peaks[-1]))
    return peaks
