"""kill -9 of jobs and of single workers at random moments; then the same command again."""

import dataclasses
import os
import random
import shutil
import signal
import time

from tools.jobs import engines, outputs, processes, work
from tools.jobs.findings import Findings

SHARDS = 100
_EARLY = 0.2  # share of kills before the first shard is finished: while the model is loaded
_PARTS = 6  # of a whole job's work: how long one may go on, at most, before it is killed


@dataclasses.dataclass(frozen=True)
class Calm:
    """A job that nobody disturbed.

    Attributes:
      first: seconds until its first shard was finished.
      total: seconds until its end.
      rows: its `outputs.Rows`.
      files: its `outputs.files`.
    """

    first: float
    total: float
    rows: object
    files: dict


def calm(asked, output):
    """Runs a job in one process; returns its `Calm`."""
    running = processes.Running(asked, output, "--workers=1")
    running.wait(lambda: running.finished() > 0)
    first = time.monotonic() - running.began
    status, _, errors = running.result()
    if status != 0:
        raise RuntimeError(f"the undisturbed job ended with {status}: {errors[-2000:]}")
    return Calm(first, time.monotonic() - running.began, outputs.read(output),
                outputs.files(output))


def asked_of(settings, output="jsonl"):
    """The job that is disturbed: small shards of census rows."""
    model, files = work.census(settings, settings.stopped_records)
    return processes.Asked(model, files["csv"], output, max(1, settings.stopped_records // SHARDS))


def run(settings):
    """[`Findings`] of jobs, of single workers, and of engines."""
    place, asked = settings.folder("kills"), asked_of(settings)
    quiet = calm(asked, place / "calm")
    records = f"{settings.stopped_records:,} records, {len(quiet.files)} shards"
    jobs = Findings(f"kill -9 of the job, {settings.kills} times ({records})")
    of_jobs(jobs, asked, quiet, place, settings.kills, random.Random(settings.seed))
    workers = Findings(f"kill -9 of single workers of two ({records})")
    of_workers(workers, asked, quiet, place, settings.kills // 2, random.Random(settings.seed + 1))
    others = Findings(f"kill -9 of an engine's job; one process does the rest ({records})")
    for engine in settings.engines:
        if engine != "local":
            of_engine(others, engine, asked, quiet, place, random.Random(settings.seed + 2))
    shutil.rmtree(place, ignore_errors=True)
    return [jobs, workers, others]


def of_jobs(findings, asked, quiet, place, count, chance):
    """Kills jobs so often, in turns of one process and of two workers, and goes on each time."""
    number, killed, before = 0, 0, 0
    while killed < count:
        output = place / f"job-{number}"
        workers = 1 + killed % 2
        running = processes.Running(asked, output, f"--workers={workers}")
        what = _wait_for_a_moment(running, before, chance, quiet)
        if running.ended():
            _require_whole(findings, running, output, quiet, f"job {number}")
            number, before = number + 1, 0
            continue
        running.kill()
        killed, now = killed + 1, processes.finished(output)
        findings.check(now >= before, f"kill {killed}: {before} shards were finished, now {now}")
        findings.none(outputs.unsound(output, len(quiet.files)), f"after kill {killed}")
        findings.row(kill=killed, job=number, processes=workers, moment=what, shards_before=before,
                     shards_then=now, begun=len(outputs.leftovers(output)))
        before = now
    _again(findings, asked, place / f"job-{number}", quiet, f"job {number}")
    findings.note(f"{number + 1} jobs, each killed until it came to its end; undisturbed it takes "
                  f"{quiet.total:.1f} s, {quiet.first:.1f} s to the first shard. Rows of each: "
                  f"checksum {quiet.rows.checksum()}, as undisturbed.")


def _wait_for_a_moment(running, before, chance, quiet):
    """Waits until a job is to be killed, or has ended; says which moment that is."""
    if chance.random() < _EARLY:
        seconds = chance.uniform(0.05, quiet.first)
        running.wait(lambda: False, seconds)
        return f"{seconds:.2f} s after its start"
    seconds = chance.uniform(0, (quiet.total - quiet.first) / _PARTS)
    running.wait(lambda: running.finished() > before)
    running.wait(lambda: False, seconds)
    return f"{seconds:.2f} s after its first shard"


def of_workers(findings, asked, quiet, place, count, chance):
    """Kills one of two workers so often, each time after some more shards."""
    number, killed = 0, 0
    while killed < count:
        output = place / f"workers-{number}"
        running = processes.Running(asked, output, "--workers=2")
        while killed < count:
            goal = running.finished() + chance.randrange(2, 10)
            if not running.wait(lambda: running.finished() >= goal) or running.ended():
                break
            time.sleep(chance.random() * 0.05)
            crew = sorted(processes.descendants(running.pid))
            if not crew:
                break
            chosen = chance.choice(crew)
            os.kill(chosen, signal.SIGKILL)
            killed += 1
            findings.row(kill=killed, job=number, shards_then=running.finished(),
                         workers=len(crew))
        status, _, errors = running.result()
        if status == 2 and "workers died by signal SIGKILL" in errors:
            findings.note(f"job {number}: three workers died of one shard, which ends it as "
                          "documented; the same command went on.")
            _again(findings, asked, output, quiet, f"workers, job {number}")
        else:
            _require_right(findings, status, errors, output, quiet, f"workers, job {number}")
        number += 1
    findings.note(f"{number} jobs; no row lost or doubled, checksum {quiet.rows.checksum()}.")


def of_engine(findings, engine, asked, quiet, place, chance):
    """Kills the job of an engine once, in the middle; one process does what is left."""
    if engines.missing(engine):
        findings.note(f"{engine}: skipped, {engines.missing(engine)}.")
        return
    output = place / engine
    running = processes.Running(asked, output, *engines.ENGINES[engine])
    goal = chance.randrange(5, len(quiet.files) // 2)
    running.wait(lambda: running.finished() >= goal)
    below = processes.descendants(running.pid)
    findings.check(not running.ended(), f"{engine}: ended before it was killed: "
                   f"{running.errors()[-500:]}")
    running.kill()
    began, then = time.monotonic(), processes.finished(output)
    findings.none(outputs.unsound(output, len(quiet.files)), engine)
    _again(findings, asked, output, quiet, engine)
    findings.none([pid for pid in below if processes.is_alive(pid)],
                  f"{engine}: processes of the killed job that are still there")
    findings.row(engine=engine, shards_then=then, processes_below=len(below),
                 seconds_of_the_rest=round(time.monotonic() - began, 1))


def _again(findings, asked, output, quiet, where):
    """The same job again, in one process, to its end."""
    _require_whole(findings, processes.Running(asked, output, "--workers=1"), output, quiet, where)


def _require_whole(findings, running, output, quiet, where):
    status, _, errors = running.result()
    _require_right(findings, status, errors, output, quiet, where)


def _require_right(findings, status, errors, output, quiet, where):
    """Checks that a job has ended, and that its output is that of the undisturbed one."""
    findings.check(status == 0, f"{where}: status {status}: {errors[-500:]}")
    if status == 0:
        findings.none(outputs.differences(outputs.read(output), quiet.rows), where)
        findings.none(outputs.other_bytes(output, quiet.files), where)
        findings.none(outputs.leftovers(output), f"{where}: files that were begun are left")
