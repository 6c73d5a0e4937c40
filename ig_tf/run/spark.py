"""A job on Spark: the same shards, each answered by a Python worker of an executor.

Needs PySpark (`pip install 'ig_tf[spark]'`) and Java 17. The folder of the job, its input and the
model are files that driver and executors see under the same paths. What Spark does again (a lost
executor, a lost Python worker) is a shard that is written aside and renamed, so once is enough.
"""

import dataclasses
import functools
import gc
import os
import sys

from ig_tf.errors import JobError

MASTER = "local[*]"
_LINES = 3  # of an executor's error


def run(context, folder, missing, meter, stopped, master=None):
    """Answers shards with Spark; where a session is active, with that one.

    Args:
      context: the job's `Context`.
      folder: its `JobFolder`.
      missing: the shards.
      meter: function `add` of it is told of all records at the end; Spark shows how far it is.
      stopped: event: where it is set nothing is begun. Spark has all shards at once.
      master: Spark's; None is MASTER.

    Raises:
      JobError: PySpark is not there, or a shard failed as often as Spark tries.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise JobError("--engine=spark needs PySpark: pip install 'ig_tf[spark]', and Java 17; "
                       f"{error}") from error
    if stopped.is_set():
        return
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # of this Python's modules
    found = SparkSession.getActiveSession()
    session = found or SparkSession.builder.master(master or MASTER).appName("ig_tf").config(
        "spark.executorEnv.PYTHONPATH", path).getOrCreate()
    try:
        _run(session.sparkContext, context, missing, meter)
    except Exception as error:  # of the gateway: its classes differ by version
        raise JobError(f"Spark: {_short(error)} Finished shards are kept in "
                       f"{folder.path!r}.") from error
    finally:
        if found is None:
            session.stop()


def _run(spark, context, missing, meter):
    asked = dataclasses.asdict(context.job)
    given = [(asked, list(context.counts), context.kept, dataclasses.asdict(shard))
             for shard in missing]
    # A partition per shard: what is lost is one of them.
    meter.add(sum(spark.parallelize(given, len(given)).map(answered).collect()))


def answered(given):
    """Answers a shard in a Python worker, where the model is loaded once; its records' number."""
    from ig_tf.run import engine_worker
    records = engine_worker.answered(*given)
    _keep_what_is_loaded()
    return records


@functools.cache
def _keep_what_is_loaded():
    """Spark looks for garbage after every task: half a second through all that TensorFlow has."""
    gc.collect()
    gc.freeze()


def _short(error):
    lines = [line.strip() for line in str(error).splitlines()
             if "Error: " in line and "Traceback" not in line]
    return " ".join(lines[-1:] or str(error).splitlines()[:_LINES])[:2_000]
