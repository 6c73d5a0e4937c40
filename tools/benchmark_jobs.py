"""What a job costs beside the model: its shards against bare calls of the signature.

  python -m tools.benchmark_jobs --model=OUT --input=rows.jsonl --records=4096 \
    --reads=jsonl,parquet --formats=jsonl,parquet

The records of --input are repeated until there are --records, and written in every format of
--reads. Bare calls get full batches that are tensors already and give NumPy arrays; the job reads
the same records from their file, and writes results, notes and its summary. The model is loaded and
both have run once before. One line of JSON for each format that is read and written. Of --rounds
the least is taken:

  clock       by the clock, on all processors.
  processor   processor time of this process; threads that run beside each other count twice.
  one_thread  processor time of the calling thread, where the job runs in one: all that is not
              TensorFlow's own threads, so what a busy machine disturbs least. Its overhead is the
              difference as a share of the bare calls' processor time.
"""

import csv
import itertools
import json
import os
import sys
import tempfile
import time
from unittest import mock

from absl import flags

from ig_tf.errors import RecordError
from tools import program

_MODEL = flags.DEFINE_string("model", None, "Directory that `ig-tf instrument` wrote.",
                             required=True)
_INPUT = flags.DEFINE_string("input", None, "Records, as for `ig-tf attribute`.", required=True)
_RECORDS = flags.DEFINE_integer("records", 4096, "So many, full batches of them.", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch_size", 64, "Records per request.", lower_bound=1)
_READS = flags.DEFINE_list("reads", ["jsonl"], "Formats of the records: jsonl, csv, parquet, npz.")
_FORMATS = flags.DEFINE_list("formats", ["jsonl"], "Of the results: jsonl, parquet, tfrecord.")
_KEEP = flags.DEFINE_list("keep", [], "Columns that the results keep, and slices are made by.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each is timed.", lower_bound=1)
_PROFILE = flags.DEFINE_string("profile", None, "File to write a cProfile of one shard to.")


def main(_):
    from ig_tf.run import artifact
    loaded = artifact.load(_MODEL.value)
    rows = _repeated()
    for kind in _READS.value:
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, f"rows.{kind}")
            _WRITERS[kind](file, rows)
            for written in _FORMATS.value:
                print(json.dumps({"read": kind, **_measured(loaded, file, written, len(rows))}),
                      flush=True)
    return 0


def _measured(loaded, file, written, count):
    """The figures of one job."""
    from ig_tf.run import job, shards
    asked = job.Job(_MODEL.value, file, os.path.join(os.path.dirname(file), written), written,
                    keep=tuple(_KEEP.value), batch_size=_BATCH.value, shard_records=count)
    context = job.Context.of(asked, loaded)
    shard, = context.shards()
    output = job.JobFolder(asked.output)
    with output.locked():
        worker = context.worker(output, lambda *_: None)
        bare, timed = _bare(context), []
        bare()
        worker.run(shard)
        for _ in range(_ROUNDS.value):
            timed.append((_timed(bare), _timed(lambda: worker.run(shard))))
            with mock.patch.object(shards, "ahead", _in_this_thread):
                timed[-1] += (_timed(lambda: worker.run(shard)),)
        if _PROFILE.value:
            with mock.patch.object(shards, "ahead", _in_this_thread):
                _profiled(lambda: worker.run(shard))
    return _figures(timed, written, count)


def _in_this_thread(items):
    """What `ahead` gives, without a thread."""
    yield from items


def _repeated():
    """Full batches of records."""
    from ig_tf.run import records
    from ig_tf.run.results_values import plain
    given = [plain(record.values) for record in records.read(_INPUT.value)]
    if not given or "None" in given[0]:
        raise RecordError("--input: records of columns are needed, at least one.")
    count = -(-_RECORDS.value // _BATCH.value) * _BATCH.value
    return list(itertools.islice(itertools.cycle(given), count))


def _write_jsonl(file, rows):
    from ig_tf.run.results_values import dump
    with open(file, "wb") as stream:
        stream.writelines(dump(row) + b"\n" for row in rows)


def _write_csv(file, rows):
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(file, rows):
    from ig_tf.run import readers
    pyarrow = readers.parquet_library("to write Parquet")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)


def _write_npz(file, rows):
    import numpy as np
    np.savez(file, **{name: np.array([row[name] for row in rows]) for name in rows[0]})


_WRITERS = {"jsonl": _write_jsonl, "csv": _write_csv, "parquet": _write_parquet, "npz": _write_npz}


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
    """(seconds by the clock, seconds of processors, those of this thread)."""
    clock, processors, thread = time.perf_counter(), time.process_time(), time.thread_time()
    call()
    return (time.perf_counter() - clock, time.process_time() - processors,
            time.thread_time() - thread)


def _profiled(call):
    import cProfile
    profile = cProfile.Profile()
    profile.runcall(call)
    profile.dump_stats(_PROFILE.value)


def _figures(timed, written, count):
    found = {"written": written, "model": os.path.basename(_MODEL.value.rstrip(os.sep)),
             "records": count, "batch_size": _BATCH.value}
    least = [[min(one[kind][place] for one in timed) * 1e3 / count for place in range(3)]
             for kind in range(3)]
    (clock, processor, thread), job, single = least
    for name, bare, ours, whole in (("clock", clock, job[0], clock),
                                    ("processor", processor, job[1], processor),
                                    ("one_thread", thread, single[2], processor)):
        found[name] = {"bare_ms_per_record": round(bare, 4), "job_ms_per_record": round(ours, 4),
                       "overhead_percent": round(100 * (ours - bare) / whole, 1)}
    return found


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
