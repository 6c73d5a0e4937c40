"""Apache Beam: `Attribute`, a PTransform of records for any pipeline, and jobs of whole files.

Needs Beam (`pip install 'ig_tf[beam]'`); without it this module can be imported, and says so when
it is used.

A job has the same shards as elsewhere, as elements of a PCollection. Its folder, its input and the
model are files that all workers see under the same paths. A shard that a runner does again is
written aside and renamed, so once is enough. `Attribute` answers records with the same code, but
writes nothing: a PCollection has no order and no shards that could be finished.
"""

import dataclasses
import functools
import threading

from ig_tf.errors import JobError, RecordError
from ig_tf.run import beam_rows
from ig_tf.run.job import Job

try:
    import apache_beam
    from apache_beam import DoFn, PTransform
    from apache_beam.options import pipeline_options
    from apache_beam.utils import shared
except ImportError as missing:
    apache_beam, DoFn, PTransform, _MISSING = None, object, object, missing

RUNNER = "DirectRunner"
REFUSED = {"DaskRunner": "it ends with status 0 and writes nothing"}


class Attribute(PTransform):
    """Records with their attributions: `records | Attribute(model=...)`.

    What comes in are dictionaries {name: value}, or serialized tf.Examples (bytes) where the model
    takes those. What goes out are rows as `tables` has them, as dictionaries of Python's values
    with all columns of the results: `id` (None where the record has none), `status`, `prediction`,
    `features/NAME`, `attributions/NAME`, ..., and the columns that are kept; no `position`.

    The model is loaded once per process of a worker. Records are put together in batches within a
    bundle.

    Args:
      model: directory of an instrumented SavedModel, which workers see under the same path.
      keep: {column of the records: its type in the rows}: string, int64, double or bool.
      options: of `job.Job`: `batch_size`, `columns`, `on_error` ("fail", or "skip": a record that
        fails is a row of status error), `form` ("wide", or "long": a row per feature or token),
        `labels`, `vocabulary`, `row_error`, `target_column`, `baselines`, `op_libraries`,
        `modules`, `allow_unsafe_ops`.

    Raises:
      JobError: Beam is not there, or an option is none.
    """

    def __init__(self, model, keep=None, **options):
        require("ig_tf.run.beam.Attribute")
        super().__init__()
        unknown = sorted({*options} - beam_rows.OPTIONS)
        if unknown:
            raise JobError(f"Attribute(..., {unknown[0]}=): no such option; there are "
                           f"{', '.join(sorted(beam_rows.OPTIONS))}.")
        self._job, self._keep = Job(model, (), "", **options), dict(keep or {})
        beam_rows.require(self._job, self._keep)

    def expand(self, records):
        """As Beam asks for it.

        Raises:
          JobError: the runner is refused.
        """
        _refuse(type(records.pipeline.runner).__name__, "this pipeline's runner")
        return (records
                | apache_beam.BatchElements(1, self._job.batch_size)
                | apache_beam.ParDo(_Explain(dataclasses.asdict(self._job), self._keep))
                .with_output_types(dict))


class _Explain(DoFn):
    """Batches of records to rows.

    Args:
      asked: the `Job` as a dictionary.
      keep: {column: type}.
    """

    def __init__(self, asked, keep):
        super().__init__()
        self._asked, self._keep = asked, keep
        self._shared, self._rows = shared.Shared(), None

    def setup(self):
        """Once per thread; the model is that of the process."""
        self._rows = self._shared.acquire(functools.partial(_Rows, self._asked, self._keep))

    def process(self, batch):
        try:
            yield from self._rows.of(batch)
        except RecordError as error:
            raise JobError(str(error)) from error


class _Rows:
    """`beam_rows.Rows` for the threads of a process, one at a time: they share one batch size."""

    def __init__(self, asked, keep):
        self._rows, self._one_at_a_time = beam_rows.Rows(Job(**asked), keep), threading.Lock()

    def of(self, batch):
        with self._one_at_a_time:
            return self._rows.of(batch)


def run(context, folder, missing, meter, stopped, runner=None, options=()):
    """Answers shards with a pipeline of its own.

    Args:
      context: the job's `Context`.
      folder: its `JobFolder`.
      missing: the shards.
      meter: function `add` of it is told of all records at the end.
      stopped: event: where it is set nothing is begun.
      runner: Beam's; None is RUNNER.
      options: further options of the pipeline, as `--name=value`.

    Raises:
      JobError: Beam is not there, the runner is refused, or the pipeline fails.
    """
    runner = runner or RUNNER
    _refuse(runner, f"--master={runner}")
    require("--engine=beam")
    if stopped.is_set():
        return
    options = pipeline_options.PipelineOptions([f"--runner={runner}", *options])
    try:
        with apache_beam.Pipeline(options=options) as pipeline:
            _ = pipeline | apache_beam.Create([
                dataclasses.asdict(shard) for shard in missing]) | of_shards(context)
    except Exception as error:  # whatever a runner raises
        raise JobError(f"Beam: {_short(error)} Finished shards are kept in "
                       f"{folder.path!r}.") from error
    meter.add(sum(shard.stop - shard.start for shard in missing))


def of_shards(context):
    """A PTransform of shards, as dictionaries, to the numbers of their records.

    Args:
      context: the job's `Context`.
    """
    from ig_tf.run import engine_worker
    asked, counts = dataclasses.asdict(context.job), list(context.counts)
    kept = context.kept
    return "Attribute" >> (apache_beam.Reshuffle() | apache_beam.Map(
        lambda shard: engine_worker.answered(asked, counts, kept, shard)))


def require(what):
    """Refuses what needs Beam where it is not there.

    Raises:
      JobError: it is not.
    """
    if apache_beam is None:
        raise JobError(f"{what} needs Apache Beam: pip install 'ig_tf[beam]'; {_MISSING}")


def _refuse(runner, named):
    if runner in REFUSED:
        raise JobError(f"{named}: {runner}: {REFUSED[runner]}; take {RUNNER}, or another runner.")


def _short(error):
    return str(error).strip().partition("\n")[0][:2_000]
