"""One worker process of a job: `python -m` this module; workers.py talks to it."""

import json
import os
import signal
import sys
import threading
import time

from ig_tf.errors import IgTfError
from ig_tf.run import job
from ig_tf.run.shards import Shard

_LOOK_SECONDS = 0.5  # between looks whether the job is still there


def main():
    """Reads the job and its shards from standard input until that ends."""
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what TensorFlow prints is no line of ours
    for number in (signal.SIGTERM, signal.SIGINT):  # the job decides: it lets shards be finished
        signal.signal(number, signal.SIG_IGN)
    line = sys.stdin.readline()
    if not line:  # it was killed
        return
    begin = json.loads(line)
    _die_with(begin["parent"])
    try:
        folder, worker = job.worker_elsewhere(
            job.Job(**begin["job"]), begin["counts"], begin["kept"],
            lambda done, sentence: _say(said, {"done": done, "sentence": sentence}))
        with folder.worker_lock():
            if os.getppid() != begin["parent"]:  # gone before the lock was held
                return
            for line in sys.stdin:
                shard = Shard(**json.loads(line))
                worker.run(shard)
                _say(said, {"finished": shard.number})
    except IgTfError as error:
        _say(said, {"error": str(error)})


def _say(said, value):
    said.write(json.dumps(value) + "\n")
    said.flush()


def _die_with(parent):
    """Ends this process when the job is gone, so that nobody writes to a folder unlocked."""
    def watch():
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
