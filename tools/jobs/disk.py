"""A disk that is full: a small tmpfs, of which a file beside the job takes the most."""

import contextlib
import os
import random
import shutil
import subprocess

from tools.jobs import kills, outputs, processes
from tools.jobs.findings import Findings

_SPARE = 8 << 20  # bytes beyond what the job needs
_BLOCK = 512  # bytes of what st_blocks counts
_SAID = "No space left"


@contextlib.contextmanager
def small(folder, size):
    """A tmpfs of so many bytes.

    Raises:
      OSError: it may not be mounted here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "ig_tf_trial", folder],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def leave(folder, size):
    """Writes a file that leaves so many bytes; returns its path."""
    ballast = folder / "ballast"
    stat = os.statvfs(folder)
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, stat.f_bavail * stat.f_frsize - size))
    return ballast


def run(settings):
    """[`Findings`] of jobs that find the disk full at random fillings."""
    findings = Findings(f"A full disk, {settings.stopped_records:,} records")
    place, chance = settings.folder("disk"), random.Random(settings.seed)
    try:
        with small(place / "probe", 1 << 20):
            pass
    except OSError as error:
        findings.note(f"Skipped: {error}.")
        return [findings]
    quiet = {}
    for number in range(settings.fills):
        kind, workers = outputs.OUTPUTS[number % len(outputs.OUTPUTS)], 1 + number // 3 % 2
        asked = kills.asked_of(settings, kind)
        if kind not in quiet:
            quiet[kind] = kills.calm(asked, place / f"calm-{kind}")
        size = sum(file.stat().st_blocks * _BLOCK for file in (place / f"calm-{kind}").rglob("*")
                   if file.is_file())
        free = 0 if number == settings.fills - 1 else int(size * chance.uniform(0.02, 0.9))
        with small(place / f"disk-{number}", 2 * size + _SPARE) as disk:
            filled(findings, asked, quiet[kind], disk, free, workers)
    shutil.rmtree(place, ignore_errors=True)
    return [findings]


def filled(findings, asked, quiet, disk, free, workers=1):
    """Runs a job where so many bytes are free, makes space, and runs it again."""
    where, output = f"{asked.format}, {free:,} bytes free", disk / "out"
    ballast = leave(disk, free)
    log = disk.with_name(f"{disk.name}-log")
    log.mkdir()
    status, _, errors = _result(asked, output, log / "first", workers)
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    findings.check(status == 2, f"{where}: status {status} and not 2: {errors[-500:]}")
    findings.check(len(lines) == 1 and _SAID in lines[0] and "Traceback" not in errors,
                   f"{where}: no clear error: {errors[-500:]}")
    done = processes.finished(output)
    findings.check(not done or "run the same command again" in errors,
                   f"{where}: the error does not say what to do: {errors[-500:]}")
    findings.none(outputs.unsound(output, len(quiet.files)) if done else (), where)
    findings.check(not (output / "_SUCCESS").exists(), f"{where}: _SUCCESS is there")
    ballast.unlink()
    status, summary, errors = _result(asked, output, log / "second", workers)
    findings.check(status == 0, f"{where}: again: status {status}: {errors[-500:]}")
    if status == 0:
        findings.check(summary["shards_done_before"] == done, f"{where}: {done} shards were "
                       f"finished, {summary['shards_done_before']} were taken up")
        findings.none(outputs.differences(outputs.read(output), quiet.rows), where)
        findings.none(outputs.other_bytes(output, quiet.files), where)
        findings.none(outputs.leftovers(output), f"{where}: files that were begun are left")
    findings.row(output=asked.format, workers=workers, free_bytes=f"{free:,}",
                 shards_then=done, of=len(quiet.files), error=_short(lines, output),
                 again="equal" if status == 0 else f"status {status}")


def _short(lines, output):
    if not lines:
        return "none"
    text = lines[0].removeprefix("error: ").replace(str(output), "out")
    return text.partition(". Finished")[0]


def _result(asked, output, log, workers):
    return processes.Running(asked, output, f"--workers={workers}", log=log).result()
