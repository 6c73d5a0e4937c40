"""A job on Apache Beam: the same shards, as elements of a PCollection.

Needs Beam (`pip install 'ig_tf[beam]'`). The folder of the job, its input and the model are files
that all workers see under the same paths. A shard that a runner does again is written aside and
renamed, so once is enough.
"""

import dataclasses

from ig_tf.errors import JobError

RUNNER = "DirectRunner"
REFUSED = {"DaskRunner": "it ends with status 0 and writes nothing"}


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
    if runner in REFUSED:
        raise JobError(f"--master={runner}: {REFUSED[runner]}; take {RUNNER}, or another runner.")
    beam = _beam()
    if stopped.is_set():
        return
    options = beam.options.pipeline_options.PipelineOptions([f"--runner={runner}", *options])
    try:
        with beam.Pipeline(options=options) as pipeline:
            _ = pipeline | beam.Create([
                dataclasses.asdict(shard) for shard in missing]) | attribute(context)
    except Exception as error:  # whatever a runner raises
        raise JobError(f"Beam: {_short(error)} Finished shards are kept in "
                       f"{folder.path!r}.") from error
    meter.add(sum(shard.stop - shard.start for shard in missing))


def attribute(context):
    """A PTransform of shards, as dictionaries, to the numbers of their records.

    Args:
      context: the job's `Context`.
    """
    from ig_tf.run import engine_worker
    beam = _beam()
    asked, counts = dataclasses.asdict(context.job), list(context.counts)
    kept = context.kept
    return "Attribute" >> (beam.Reshuffle() | beam.Map(
        lambda shard: engine_worker.answered(asked, counts, kept, shard)))


def _beam():
    try:
        import apache_beam
        import apache_beam.options.pipeline_options
    except ImportError as error:
        raise JobError("--engine=beam needs Apache Beam: pip install 'ig_tf[beam]'; "
                       f"{error}") from error
    return apache_beam


def _short(error):
    return str(error).strip().partition("\n")[0][:2_000]
