"""What a job costs beside the model: its shards against bare calls of the signature.

  python -m tools.benchmark_jobs --model=OUT --input=rows.jsonl --records=4096 --format=jsonl

The records of --input are repeated until there are --records. Bare calls get full batches that are
tensors already and give NumPy arrays; the job reads the same records from a .jsonl file, and writes
results, notes and its summary. The model is loaded and both have run once before. Of --rounds the
least is taken, by the clock and by processor time of this process (which other programs on the
machine disturb less, and which counts threads that run beside each other twice). One line of JSON.
"""

import itertools
import json
import os
import sys
import tempfile
import time

from absl import flags

from ig_tf.errors import RecordError
from tools import program

_MODEL = flags.DEFINE_string("model", None, "Directory that `ig-tf instrument` wrote.",
                             required=True)
_INPUT = flags.DEFINE_string("input", None, "Records, as for `ig-tf attribute`.", required=True)
_RECORDS = flags.DEFINE_integer("records", 4096, "So many, full batches of them.", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch_size", 64, "Records per request.", lower_bound=1)
_FORMAT = flags.DEFINE_enum("format", "jsonl", ["jsonl", "parquet", "tfrecord"], "Of the results.")
_KEEP = flags.DEFINE_list("keep", [], "Columns that the results keep, and slices are made by.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each is timed.", lower_bound=1)
_PROFILE = flags.DEFINE_string("profile", None, "File to write a cProfile of one shard to.")


def main(_):
    from ig_tf.run import artifact, job
    loaded = artifact.load(_MODEL.value)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "rows.jsonl")
        count = _repeated(file)
        asked = job.Job(_MODEL.value, file, os.path.join(folder, "out"), _FORMAT.value,
                        keep=tuple(_KEEP.value), batch_size=_BATCH.value, shard_records=count)
        context = job.Context.of(asked, loaded)
        shard, = context.shards()
        output = job.JobFolder(asked.output)
        with output.locked():
            worker = context.worker(output, lambda *_: None)
            bare = _bare(context)
            bare()
            worker.run(shard)
            timed = [(_timed(bare), _timed(lambda: worker.run(shard)))
                     for _ in range(_ROUNDS.value)]
            if _PROFILE.value:
                _profiled(lambda: worker.run(shard))
    print(json.dumps(_figures(timed, count)))
    return 0


def _repeated(file):
    """Writes full batches of records; returns their number."""
    from ig_tf.run import records
    from ig_tf.run.results_values import dump, plain
    given = [plain(record.values) for record in records.read(_INPUT.value)]
    if not given or "None" in given[0]:
        raise RecordError("--input: records of columns are needed, at least one.")
    count = -(-_RECORDS.value // _BATCH.value) * _BATCH.value
    with open(file, "wb") as stream:
        for row in itertools.islice(itertools.cycle(given), count):
            stream.write(dump(row) + b"\n")
    return count


def _bare(context):
    """A function that calls the signature on all records: batches are made before."""
    import tensorflow as tf
    from ig_tf.run import artifact, attribute, explain, job, records
    loaded, fields = context.loaded, job.fields_of(context.job, context.loaded)
    explainer = attribute.explainer_of(loaded)
    prepared = (explainer.prepared(fields.of(one)) for one in records.read(context.job.input))
    alike = {}
    for one in prepared:
        alike.setdefault(repr(one.alike), []).append(explain.values_of(loaded, one.record))
    batches = []
    for rows in alike.values():
        for start in range(0, len(rows), _BATCH.value):
            some = rows[start:start + _BATCH.value]
            batches.append({name: tf.constant(artifact.stacked(
                [row[name] for row in some], loaded.axis(name)).tolist(), spec.dtype)
                for name, spec in loaded.inputs.items()})

    def call():
        for batch in batches:
            for tensor in loaded.function(**batch).values():
                tensor.numpy()
    return call


def _timed(call):
    """(seconds by the clock, seconds of processors)."""
    clock, processors = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - processors


def _profiled(call):
    import cProfile
    profile = cProfile.Profile()
    profile.runcall(call)
    profile.dump_stats(_PROFILE.value)


def _figures(timed, count):
    found = {"model": os.path.basename(_MODEL.value.rstrip(os.sep)), "format": _FORMAT.value,
             "records": count, "batch_size": _BATCH.value}
    for place, kind in enumerate(("clock", "processor")):
        bare = min(bare[place] for bare, _ in timed)
        job = min(job[place] for _, job in timed)
        found[kind] = {"bare_ms_per_record": round(1e3 * bare / count, 4),
                       "job_ms_per_record": round(1e3 * job / count, 4),
                       "overhead_percent": round(100 * (job / bare - 1), 1)}
    return found


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
