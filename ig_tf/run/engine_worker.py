"""A shard of a job, answered in a process of an engine's: the model is loaded once in each."""

import functools
import json
import threading

from ig_tf.run import job
from ig_tf.run.shards import Shard

_ONE_AT_A_TIME = threading.Lock()  # threads of a process share a worker, which has one batch size


def answered(asked, counts, kept, shard):
    """Answers a shard, unless it is finished; returns the number of its records.

    Args:
      asked: the `Job` as a dictionary.
      counts, kept: as in `job.worker_elsewhere`.
      shard: the `Shard` as a dictionary.
    """
    one = Shard(**shard)
    with _ONE_AT_A_TIME:
        folder, worker = _worker(json.dumps([asked, counts, kept]))
        if folder.note(one.number) is None:
            with folder.worker_lock():
                worker.run(one)
    return one.stop - one.start


@functools.lru_cache(1)
def _worker(text):
    asked, counts, kept = json.loads(text)
    return job.worker_elsewhere(job.Job(**asked), counts, kept, lambda *_: None)
