"""Runs an instrumented SavedModel on a file of inputs and writes results."""

import collections

from ig_tf.errors import ArtifactError, RecordError
from ig_tf.run import artifact as artifacts
from ig_tf.run import choices, explain, metadata, records, results
from ig_tf.run.fields import Fields
from ig_tf.run.progress import progress

BATCH_SIZE = 64


def attribute(model, input, output=None, batch_size=BATCH_SIZE, limit=None, labels=None,
              vocabulary=None, row_error=None, target_column=None, baselines=None, columns=None,
              allow_unsafe_ops=False):
    """Attributes every record of an input.

    Args:
      model: directory of an instrumented SavedModel, or an `Artifact`.
      input: files, patterns, folders (see `ig_tf.run.records.read`), or an iterable of
        {input: value}.
      output: .jsonl or .npz file to write, or None. To .jsonl rows go one at a time, to .npz
        together. For a folder of many files see `ig_tf.run.job`.
      batch_size: records per request. Only records of equal shapes share a request; nothing is
        padded.
      limit: stop after so many records.
      labels: names of the classes, in order, or None.
      vocabulary: words by token id, in order, or None.
      row_error: relative completeness error that each row should have at most; rows over it are
        asked again with more nodes, where a request may choose its `refinement`.
      target_column: field of the records with the index of the class to explain; by default
        `target`, where a request may choose that.
      baselines: .npz with one array per point, of one example, for records without a field
        `baseline/NAME`.
      columns: {input: column of the records}, for inputs that are called otherwise there.
      allow_unsafe_ops: whether the model may read and write files that are not its own, use the
        network and run Python. Without it such a model is refused.

    Returns:
      The results as a list of `Result` with their model card (`about`), or their number where
      `output` is given.

    Raises:
      ArtifactError: the model is not instrumented or cannot be loaded.
      RecordError: a record does not fit the model's inputs.
    """
    loaded = model if isinstance(model, artifacts.Artifact) else artifacts.load(
        model, allow_unsafe_ops)
    asked = (loaded, input, batch_size, limit, labels, vocabulary, row_error, target_column,
             baselines, Fields(loaded, columns or {}))
    if output is None:
        return results.Results(_rows(*asked), about(loaded))
    return _write(output, _rows(*asked), loaded).total()


def to_file(model, input, output, batch_size, limit, labels, vocabulary, row_error, target_column,
            baselines, columns, image_range, allow_unsafe_ops=False):
    """`attribute` for the command line.

    Returns:
      collections.Counter of the statuses of the results that were written.
    """
    loaded = model if isinstance(model, artifacts.Artifact) else artifacts.load(
        model, allow_unsafe_ops)
    fields = Fields(loaded, columns, image_range)
    return _write(output, _rows(loaded, input, batch_size, limit, labels, vocabulary, row_error,
                                target_column, baselines, fields), loaded)


def _rows(loaded, input, batch_size, limit, labels, vocabulary, row_error, target_column, baselines,
          fields):
    explainer = explainer_of(loaded, labels, vocabulary, row_error, target_column, baselines)
    return _results(explainer, _source(input, limit, fields), batch_size)


def explainer_of(loaded, labels=None, vocabulary=None, row_error=None, target_column=None,
                 baselines=None):
    """An `Explainer`; the arguments are those of `attribute`.

    Raises:
      RecordError: the artifact does not take what is asked for.
    """
    if metadata.diagnosis(loaded.metadata):
        raise ArtifactError(f"{loaded.path!r} was written for diagnosis: it gives no attributions.")
    if row_error is not None:
        method = loaded.metadata.get("method", {"sums": True})
        if not method["sums"]:
            raise RecordError(f"row error {row_error:g}: attributions by {method['text']} do not "
                              "sum to a difference of scores, so they have no such error.")
        choices.require(loaded, [choices.REFINEMENT], f"row error {row_error:g}")
    common = {} if baselines is None else choices.common_baselines(baselines)
    return explain.Explainer(loaded, choices.Choices(loaded, target_column, common), labels,
                             vocabulary, row_error)


def _write(output, rows, loaded):
    """Writes results as they come; returns a Counter of their statuses."""
    statuses = collections.Counter()

    def counted():
        for result in progress(rows, "records"):
            statuses[result.status] += 1
            yield result

    results.write(output, counted(), about(loaded))
    return statuses


def about(loaded):
    """The model card of an artifact, as reports show it."""
    record = loaded.metadata
    return results.About(
        model=loaded.path.rstrip("/").rpartition("/")[2],
        signature=record["source"]["signature"],
        target=record["target"]["text"],
        points=tuple({key: point[key] for key in ("name", "kind", "tensor", "features")}
                     for point in record["points"]),
        baseline=record["baseline"], steps=record["rule"]["steps"],
        rule=record["rule"]["name"], tensorflow=_tensorflow_version(),
        held_constant=tuple(record["held_constant"]),
        notes=tuple(record["choices"] + record["changed_in_the_copy"]))


def _tensorflow_version():
    import tensorflow as tf
    return tf.__version__


def input_values(loaded, input, wanted):
    """Arrays of some records: [{input: array}] for the positions `wanted`, in their order."""
    found = {}
    for count, record in enumerate(_source(input, max(wanted, default=-1) + 1, Fields(loaded))):
        if count in wanted:
            found[count] = explain.values_of(loaded, record)
    return [found[position] for position in wanted]


def some_records(loaded, input, limit):
    """The first records as [(id, {input: array})]."""
    return [(str(record.values.get("id", record.position)), explain.values_of(loaded, record))
            for record in _source(input, limit, Fields(loaded))]


def _source(input, limit, fields=None):
    is_path = isinstance(input, (str, bytes)) or hasattr(input, "__fspath__")
    source = records.read(input) if is_path else input
    for count, record in enumerate(source):
        if limit is not None and count >= limit:
            return
        record = record if isinstance(record, records.Record) else records.Record(count, record)
        yield fields.of(record) if fields else record


def _results(explainer, source, batch_size):
    prepared = (explainer.prepared(record) for record in source)
    for group in _batches(prepared, explainer.loaded.examples or batch_size):
        try:
            found = explainer.results(group)
        except RecordError as error:
            raise RecordError(f"records {group[0].record.position} to {group[-1].record.position}: "
                              f"{error}") from error
        for several in found:
            yield from several


def _batches(prepared, batch_size):
    """Lists of `Prepared`. A change of shape, or of a scalar, ends a batch."""
    group = []
    for one in prepared:
        if group and (len(group) == batch_size or one.alike != group[0].alike):
            yield group
            group = []
        group.append(one)
    if group:
        yield group
