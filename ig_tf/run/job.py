"""Batch jobs: a whole input into a folder of shards, begun again where it was left."""

import contextlib
import dataclasses
import datetime
import hashlib
import importlib
import os
import signal
import threading
import time

from ig_tf.errors import JobError, RecordError
from ig_tf.run import artifact as artifacts
from ig_tf.run import (
    answering, attribute, images, libraries, shard_files, shards, sources, tables)
from ig_tf.run.fields import Fields
from ig_tf.run.job_folder import ABOUT, SUMMARY, JobFolder
from ig_tf.run.progress import Meter
from ig_tf.run.records import Record
from ig_tf.run.results_json import about_row
from ig_tf.run.results_values import dump, load
from ig_tf.run.summary import Summary
from ig_tf.run.words import lines

SHARD_RECORDS = 10_000
ENGINES = ("spark", "beam")  # modules beside this one, each with a function `run`
_TRIED = 10  # records of a source of which one has to fit before anything is run
_MEANING = ("format", "form", "columns", "keep", "image_range", "shard_records", "limit", "labels",
            "vocabulary", "row_error", "target_column", "baselines")  # what decides the results


@dataclasses.dataclass(frozen=True)
class Job:
    """What to do; only JSON-able values, so that it can be sent to a worker.

    Attributes:
      model: directory of an instrumented SavedModel.
      input: files, patterns and folders (`sources.find`).
      output: the folder.
      format: jsonl, parquet, tfrecord, or csv in long form.
      form: wide (a row per result), or long (one per feature or token, see long_form.py).
      columns: {input: column}.
      keep: columns of the records that the results keep.
      image_range: what black and white are for inputs of floats.
      batch_size: records per request, at most.
      shard_records: records per file of results.
      on_error: "fail", or "skip": a record that fails costs a row of status error.
      limit: stop after so many records, or None.
      labels, vocabulary: text files, or None.
      row_error, target_column, baselines: as in `attribute`.
      op_libraries, modules: what workers load first for custom ops.
      allow_unsafe_ops: as in `attribute`.
    """

    model: str
    input: object
    output: str
    format: str = "jsonl"
    columns: dict = dataclasses.field(default_factory=dict)
    keep: tuple = ()
    image_range: tuple = images.RANGE
    batch_size: int = attribute.BATCH_SIZE
    shard_records: int = SHARD_RECORDS
    on_error: str = "fail"
    limit: object = None
    labels: object = None
    vocabulary: object = None
    row_error: object = None
    target_column: object = None
    baselines: object = None
    op_libraries: tuple = ()
    modules: tuple = ()
    allow_unsafe_ops: bool = False
    form: str = "wide"

    def __post_init__(self):
        one = isinstance(self.input, (str, bytes)) or hasattr(self.input, "__fspath__")
        for name in ("model", "output", "labels", "vocabulary", "baselines"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, os.fspath(getattr(self, name)))
        object.__setattr__(self, "input", os.fsdecode(self.input) if one else [
            os.fsdecode(file) for file in self.input])


def run(job, workers=1, overwrite=False, stream=None, engine="local", master=None):
    """Runs a job, or what is left of it.

    Args:
      job: the `Job`.
      workers: processes, each with the model loaded once; 1 is this process.
      overwrite: whether another job's results in the folder are removed.
      stream: where progress is said; None is standard error.
      engine: "local", or one of ENGINES, which has workers of its own.
      master: Spark's master, or Beam's runner; None is this machine.

    Returns:
      A summary as JSON: {"complete", "records", "rows", "statuses", "dead_letters", "shards",
      "shards_done_before", "seconds", "records_per_second", "output"}. Not complete: SIGTERM came,
      and the shard that was being written was finished.

    Raises:
      JobError: another job has the folder, or a record failed and none may.
      RecordError: the input does not fit the model.
    """
    began = time.monotonic()
    if job.on_error not in ("fail", "skip"):
        raise JobError(f"--on_error={job.on_error}: fail or skip.")
    if engine != "local" and engine not in ENGINES:
        raise JobError(f"--engine={engine}: local, {', '.join(ENGINES)}.")
    if engine == "local" and master is not None:
        raise JobError(f"--master={master} belongs to --engine={' or '.join(ENGINES)}.")
    shard_files.require(job.format, job.form)
    folder = JobFolder(job.output)
    with folder.locked(), _until_sigterm() as stopped:
        context = Context.of(job, artifacts.load(job.model, job.allow_unsafe_ops))
        shard_files.opener(job.format, job.form, context.loaded, context.kept)  # names may clash
        folder.begin(plan_of(context), overwrite)
        missing = [shard for shard in context.shards() if folder.note(shard.number) is None]
        if missing:
            folder.reopen()
            meter = Meter("records", sum(shard.stop - shard.start for shard in missing), stream)
            with contextlib.closing(meter):
                if engine in ENGINES:
                    importlib.import_module(f"{__package__}.{engine}").run(
                        context, folder, missing, meter, stopped, master)
                elif workers == 1:
                    _here(context, folder, missing, meter, stopped)
                else:
                    from ig_tf.run import workers as processes
                    processes.run(context, folder, missing, meter, stopped, workers)
            folder.sweep()
        return _finish(context, folder, missing, time.monotonic() - began)


@dataclasses.dataclass(frozen=True)
class Context:
    """A job, with what was found of its model and its input.

    Attributes:
      job: the `Job`.
      loaded: the `Artifact`.
      found: its sources.
      counts: the number of records of each.
      kept: {pass-through column: type}.
    """

    job: Job
    loaded: object
    found: tuple
    counts: tuple
    kept: dict

    @classmethod
    def of(cls, job, loaded):
        """Looks at the input, and tries its first records.

        Raises:
          RecordError: there is none, or its records do not fit.
        """
        found = sources.find(job.input)
        kept = _tried(job, loaded, found)
        before = JobFolder(job.output).plan()
        files = _files(found)
        if before and before["input"] == files:  # nothing has changed: no need to count again
            return cls(job, loaded, found, tuple(before["counts"]), kept)
        return cls(job, loaded, found, tuple(source.count() for source in found), kept)

    def records(self):
        total = sum(self.counts)
        return total if self.job.limit is None else min(total, self.job.limit)

    def shards(self):
        """The shards of the job: at least one, so that there is a file with a schema."""
        total, size = self.records(), self.job.shard_records
        count = max(1, -(-total // size))
        return [shards.Shard(number, count, number * size, min(total, (number + 1) * size))
                for number in range(count)]

    def worker(self, folder, said):
        """A `shards.Worker` for the job."""
        job = self.job
        explainer = attribute.explainer_of(
            self.loaded, lines(job.labels), lines(job.vocabulary), job.row_error,
            job.target_column, job.baselines)
        return shards.Worker(folder, sources.Stream(self.found, self.counts), explainer,
                             fields_of(job, self.loaded), self.kept, job.format, job.form,
                             job.batch_size, job.on_error == "skip", said)


def worker_elsewhere(job, counts, kept, said):
    """What another process or machine needs to answer shards of a job that `run` has begun.

    Args:
      job: the `Job`; its folder and its input are the same files there.
      counts, kept: of the job's `Context`, as its plan has them.
      said: function(number of records just done, sentence or None).

    Returns:
      (`JobFolder`, `shards.Worker`). Whoever uses them holds `JobFolder.worker_lock`.
    """
    libraries.load(job.op_libraries, job.modules)
    loaded = artifacts.load(job.model, job.allow_unsafe_ops)
    context = Context(job, loaded, sources.find(job.input), tuple(counts), kept)
    folder = JobFolder(job.output)
    return folder, context.worker(folder, said)


def fields_of(job, loaded):
    """`Fields` of a job."""
    return Fields(loaded, dict(job.columns), tuple(job.image_range))


def _tried(job, loaded, found):
    """{pass-through column: type} by the first records; of each source one of them has to fit.

    Raises:
      RecordError: of a source none of the first records fits.
    """
    explainer = attribute.explainer_of(loaded, None, None, job.row_error, job.target_column,
                                       job.baselines)
    fields, kept = fields_of(job, loaded), {}
    for source in found:
        wrong, fits = None, False
        for number, item in zip(range(_TRIED), source.items()):
            try:
                values = item.values()
                given = answering.kept_values(values, job.keep, f"record {number}")
                explainer.prepared(fields.of(Record(number, values)))
            except RecordError as error:
                wrong = wrong or error
                continue
            fits = True
            for name, value in given.items():
                if value is not None:
                    kept.setdefault(name, tables.type_of(value))
        if wrong and not fits:
            raise RecordError(f"{source.files[0]}: none of the first records fits: {wrong}")
    return {name: kept.get(name, "string") for name in job.keep}


def plan_of(context):
    """What the job is, for comparing: whoever has another plan may not continue it."""
    job = dataclasses.asdict(context.job)
    found = {name: job[name] for name in _MEANING}
    for name in ("labels", "vocabulary", "baselines"):
        if found[name] is not None:
            found[name] = [found[name], _digest([found[name]])]
    found.update(input=_files(context.found), counts=list(context.counts), kept=context.kept,
                 model=fingerprint(job["model"]))
    return load(dump(found))  # as it comes back from a file


def fingerprint(model):
    """SHA-256 over the names and contents of all files of a model."""
    files = sorted(os.path.join(place, name) for place, _, names in os.walk(model)
                   for name in names)
    return _digest(files, model)


def _digest(files, relative_to=None):
    digest = hashlib.sha256()
    for file in files:
        name = os.path.relpath(file, relative_to) if relative_to else ""
        try:
            digest.update(f"{name}\0{shards.checksum(file)[1]}\0".encode())
        except OSError as error:
            raise JobError(f"cannot read {file!r}: {error}") from error
    return digest.hexdigest()


def _files(found):
    """[path, bytes, time of change] of every file of the input."""
    files = [file for source in found for file in source.files]
    return [[os.path.abspath(file), os.stat(file).st_size, os.stat(file).st_mtime_ns]
            for file in files]


def _here(context, folder, missing, meter, stopped):
    worker = context.worker(folder, meter.add)
    for shard in missing:
        if stopped.is_set():
            return
        worker.run(shard)


@contextlib.contextmanager
def _until_sigterm():
    """An event that SIGTERM sets, where signals can be handled (the main thread)."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)


def _finish(context, folder, missing, seconds):
    """The summary; the manifest too, where all shards are there."""
    notes = [folder.note(shard.number) for shard in context.shards()]
    done = [note for note in notes if note is not None]
    statuses = {}
    for note in done:
        for status, count in note["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    now = sum(shard.stop - shard.start for shard in missing
              if notes[shard.number] is not None)
    totals = {"records": sum(note["records"] for note in done),
              "rows": sum(note["rows"] for note in done),
              "statuses": dict(sorted(statuses.items())),
              "dead_letters": sum(note["dead_letters"] for note in done)}
    summary = {"complete": len(done) == len(notes), **totals, "shards": len(notes),
               "shards_done_before": len(notes) - len(missing), "seconds": round(seconds, 3),
               "records_per_second": round(now / seconds, 2), "output": folder.path}
    if summary["complete"]:
        folder.write(ABOUT, dump(about_row(attribute.about(context.loaded)), indent=1))
        folder.write(SUMMARY, dump(_summary(folder, len(notes)), indent=1))
        folder.succeed(_manifest(context, totals, notes, seconds))
    return summary


def _summary(folder, shards_done):
    """The summaries of all shards as one, in their order: the same by whatever workers."""
    found = Summary()
    for number in range(shards_done):
        found.merge(folder.summary(number))
    return found.row()


def _manifest(context, totals, notes, seconds):
    import numpy
    import tensorflow
    job, metadata = context.job, context.loaded.metadata
    return {
        **totals, "shards": notes,
        "schema": shard_files.FORMS[job.form][0](context.loaded, context.kept),
        "model": {"path": os.path.abspath(job.model), "sha256": fingerprint(job.model),
                  "signature": metadata["source"]["signature"],
                  "target": metadata["target"]["text"]},
        "job": dataclasses.asdict(job),
        "input": [{"file": file, "bytes": size} for file, size, _ in _files(context.found)],
        "versions": {"ig_tf": importlib.import_module("ig_tf").__version__,
                     "tensorflow": tensorflow.__version__, "numpy": numpy.__version__},
        "seconds_of_last_run": round(seconds, 3),
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}
