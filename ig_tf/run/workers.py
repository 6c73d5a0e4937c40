"""A job in several processes on one machine, each with the model loaded once.

A worker reads lines of JSON (the job, then numbers of shards) and writes lines of JSON (records
done, notes of finished shards, an error). One that dies loses the shard that it had, which another
one begins anew.
"""

import collections
import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading

from ig_tf.errors import JobError

MODULE = f"{__package__}.worker"
_TRIES = 3  # of a shard; then it is the shard that kills workers
_PATIENCE = 0.5  # seconds between looks at the event of SIGTERM


def run(context, folder, missing, meter, stopped, count):
    """Answers shards in `count` processes.

    Args:
      context: the job's `Context`.
      folder: its `JobFolder`.
      missing: the shards.
      meter: function `add` of it is told of records that are done.
      stopped: event: shards that were begun are finished, no more are begun.
      count: how many processes.

    Raises:
      JobError: a worker reports an error, or dies of one shard again and again.
    """
    waiting, said = collections.deque(missing), queue.Queue()
    crew = [_Process(context, min(count, len(missing)), said)
            for _ in range(min(count, len(missing)))]
    tries, busy = collections.Counter(), {}
    try:
        for process in crew:
            _next(process, waiting, busy, stopped)
        while busy:
            try:
                process, line = said.get(timeout=_PATIENCE)
            except queue.Empty:
                continue
            if line is None:  # it died
                if process in busy:
                    crew.remove(process)
                    shard = busy.pop(process)
                    tries[shard.number] += 1
                    if tries[shard.number] == _TRIES:
                        raise JobError(_died(process, shard, folder))
                    waiting.appendleft(shard)
                    crew.append(_Process(context, count, said))
                    _next(crew[-1], waiting, busy, stopped)
            elif "error" in line:
                raise JobError(line["error"])
            elif "finished" in line:
                del busy[process]
                _next(process, waiting, busy, stopped)
            else:
                meter.add(line["done"], line["sentence"])
    finally:
        for process in crew:
            process.end()


def _next(process, waiting, busy, stopped):
    if waiting and not stopped.is_set():
        busy[process] = shard = waiting.popleft()
        process.send(dataclasses.asdict(shard))


def _died(process, shard, folder):
    status = process.status()
    how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    return (f"{_TRIES} workers died {how} of shard {shard.number} (records {shard.start} to "
            f"{shard.stop - 1}). Where it is memory: fewer --workers or a smaller --batch_size. "
            f"Finished shards are kept in {folder.path!r}.")


class _Process:
    """One worker; its lines go to a queue as (process, line), (process, None) at its end."""

    def __init__(self, context, count, said):
        self._popen = subprocess.Popen(
            [sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=_environment(count), text=True, encoding="utf-8")
        self.send({"job": dataclasses.asdict(context.job), "counts": context.counts,
                   "kept": context.kept, "parent": os.getpid()})
        threading.Thread(target=self._listen, args=(said,), daemon=True).start()

    def _listen(self, said):
        for line in self._popen.stdout:
            try:
                said.put((self, json.loads(line)))
            except ValueError:  # it died within a line
                break
        said.put((self, None))

    def send(self, value):
        with contextlib.suppress(BrokenPipeError):  # it died: _listen says so
            self._popen.stdin.write(json.dumps(value) + "\n")
            self._popen.stdin.flush()

    def status(self):
        return self._popen.wait()

    def end(self):
        """Stops it; what it has not finished is no loss."""
        self._popen.kill()
        self._popen.wait()
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.close()


def _environment(count):
    """The surroundings of a worker: this Python's modules, its share of the processors."""
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    found.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    found.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    share = max(1, len(os.sched_getaffinity(0)) // count)
    found.setdefault("TF_NUM_INTRAOP_THREADS", str(share))
    return found
