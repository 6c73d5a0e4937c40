"""The folder of a job's output: what is where, who may write, what is finished.

    part-00003-of-00012.parquet    results of a shard
    _dead_letters/part-00003.jsonl records of it that failed: position, file, reason, base64
    _about.json                    the model card
    _summary.json                  the whole in numbers: summary.py
    _SUCCESS                       the manifest, as JSON: written last, so that where it is, all is
    _job/plan.json                 what the job is: another one is refused
    _job/shards/00003.json         note of a finished shard
    _job/summaries/00003.json      its part of the summary
    _job/lock, _job/workers        held while a job, or a worker of one, runs
"""

import contextlib
import fcntl
import json
import os
import shutil
import time

from ig_tf.errors import JobError, ResultsError
from ig_tf.run.results import write_file
from ig_tf.run.results_values import dump

KEPT = "Finished shards are kept: run the same command again."
MANIFEST, ABOUT, SUMMARY = "_SUCCESS", "_about.json", "_summary.json"
_OWN = ("_dead_letters", ABOUT, SUMMARY, MANIFEST, "_job")
_NOTES = ("shards", "summaries")  # in _job, a file per shard
_WAIT_SECONDS = 60.0  # for workers of a job that was killed; they end by themselves


class JobFolder:
    """A job's output.

    Args:
      path: the folder; made where it is not there.
    """

    def __init__(self, path):
        self.path = os.path.abspath(os.fspath(path))

    def results(self, name):
        return os.path.join(self.path, name)

    def dead_letters(self, number):
        return os.path.join(self.path, "_dead_letters", f"part-{number:05d}.jsonl")

    def _job(self, *names):
        return os.path.join(self.path, "_job", *names)

    @contextlib.contextmanager
    def locked(self):
        """Keeps other jobs out of this folder; the lock goes with the process.

        Raises:
          JobError: a job is running in it, or it is no folder for one.
        """
        self._require_own()
        try:
            for place in _NOTES:
                os.makedirs(self._job(place), exist_ok=True)
            opened = open(self._job("lock"), "a", encoding="utf-8")
        except OSError as error:
            raise JobError(f"cannot make the folder {self.path!r}: {error}") from error
        with opened as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise JobError(f"another job is writing to {self.path!r}.") from error
            except OSError as error:
                raise JobError(f"{self.path!r} is on a file system without locks: {error}") from (
                    error)
            with open(self._job("workers"), "a", encoding="utf-8") as workers:
                _wait_for(workers, self.path)
            yield

    def worker_lock(self):
        """An open file that says that a worker is alive, as long as it is open."""
        workers = open(self._job("workers"), "a", encoding="utf-8")
        fcntl.flock(workers, fcntl.LOCK_SH)
        return workers

    def _require_own(self):
        if not os.path.exists(self.path) or os.path.isdir(self._job()):
            return
        if not os.path.isdir(self.path) or os.listdir(self.path):
            raise JobError(f"{self.path!r} exists and holds something else: name a new folder, or "
                           "one that a job of ig-tf wrote.")

    def begin(self, plan, overwrite=False):
        """Takes up the job where it was left, or begins it.

        Args:
          plan: what the job is, as JSON.
          overwrite: whether another job's results are removed.

        Raises:
          JobError: the folder holds another job.
        """
        before = self.plan()
        if before is not None and before != plan and not overwrite:
            changed = sorted(key for key in {*before, *plan} if before.get(key) != plan.get(key))
            raise JobError(
                f"{self.path!r} holds another job: {_difference(before, plan, changed[0])}. Name "
                "another folder, or give --overwrite to begin anew.")
        with self._changing():
            if before != plan:
                self._clear()
                write_file(self._job("plan.json"), dump(plan, indent=1))
            self.sweep()

    @contextlib.contextmanager
    def _changing(self):
        """What the file system refuses is said as an error of the job."""
        try:
            yield
        except (OSError, ResultsError) as error:
            raise JobError(f"{self.path!r} cannot be changed: {error}") from error

    def sweep(self):
        """Removes what processes that were killed had begun to write; nobody may be writing."""
        notes = (os.path.join("_job", name) for name in _NOTES)
        for place in ("", "_dead_letters", "_job", *notes):
            place = os.path.join(self.path, place)
            for name in os.listdir(place) if os.path.isdir(place) else ():
                if name.startswith(".") and name.endswith(".tmp"):
                    os.unlink(os.path.join(place, name))

    def plan(self):
        """What the job in this folder is, or None."""
        try:
            with open(self._job("plan.json"), "rb") as file:
                return json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise JobError(f"cannot read {self._job('plan.json')!r}: {error}") from error

    def _clear(self):
        for name in os.listdir(self.path):
            if name.startswith(("part-", ".part-")):
                os.unlink(os.path.join(self.path, name))
        for name in _OWN[:-1]:
            path = os.path.join(self.path, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)
        for place in _NOTES:
            shutil.rmtree(self._job(place))
            os.makedirs(self._job(place))

    def finish(self, number, note, summary):
        """Notes that a shard is finished; its file has to be there already."""
        self.write(self._job("summaries", f"{number:05d}.json"), dump(summary))
        self.write(self._job("shards", f"{number:05d}.json"), dump(note))
        return note

    def write(self, path, data):
        """Writes one of the folder's own files.

        Raises:
          JobError: it cannot be written.
        """
        try:
            write_file(self.results(path), data)
        except ResultsError as error:
            raise JobError(f"{error}. {KEPT}") from error

    def note(self, number):
        """The note of a shard, or None: not finished."""
        try:
            with open(self._job("shards", f"{number:05d}.json"), "rb") as file:
                note = json.load(file)
            whole = os.path.getsize(self.results(note["file"])) == note["bytes"] and (
                os.path.exists(self._job("summaries", f"{number:05d}.json")))
        except (OSError, ValueError, KeyError):
            return None
        return note if whole else None

    def summary(self, number):
        """What a finished shard adds to the summary, as `Summary.merge` takes it."""
        with open(self._job("summaries", f"{number:05d}.json"), "rb") as file:
            return json.load(file)

    def succeed(self, manifest):
        """Writes the manifest: everything is there."""
        self.write(MANIFEST, dump(manifest, indent=1) + b"\n")

    def reopen(self):
        """Takes the manifest away while shards are missing."""
        with self._changing(), contextlib.suppress(FileNotFoundError):
            os.unlink(self.results(MANIFEST))


def _wait_for(workers, path):
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            fcntl.flock(workers, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise JobError(f"a worker of an earlier job still writes to {path!r}.") from error
            time.sleep(0.2)


def _difference(before, plan, key):
    """One sentence about the first thing that is not as it was."""
    return f"{key} was {_short(before.get(key))}, now {_short(plan.get(key))}"


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 160 else text[:157] + "..."
