"""Records without files, to rows of results: what `beam.Attribute` does with a batch."""

import numpy as np

from ig_tf.errors import JobError, RecordError
from ig_tf.run import artifact, attribute, block_tables, libraries, shard_files, sources
from ig_tf.run.answering import Answering, Blocks, Failure
from ig_tf.run.fields import Fields
from ig_tf.run.items import Chunk, Item
from ig_tf.run.words import lines

OPTIONS = {"batch_size", "columns", "on_error", "form", "image_range", "labels", "vocabulary",
           "row_error", "target_column", "baselines", "op_libraries", "modules", "allow_unsafe_ops"}
_TYPES = ("string", "int64", "double", "bool")


def require(job, keep):
    """Refuses options that are none.

    Raises:
      JobError: one of them is.
    """
    wrong = sorted(set(keep.values()) - set(_TYPES))
    if wrong:
        raise JobError(f"keep: {wrong[0]!r} is no type of a column; there are {', '.join(_TYPES)}.")
    if job.form not in shard_files.FORMS or job.on_error not in ("fail", "skip"):
        raise JobError(f"form={job.form!r}, on_error={job.on_error!r}: there are "
                       f"{', '.join(shard_files.FORMS)}; fail, skip.")


class Rows:
    """Answers batches with a model that is loaded once.

    Args:
      job: a `Job`, of which input, output and format are nothing.
      keep: {pass-through column: type}.
    """

    def __init__(self, job, keep):
        libraries.load(job.op_libraries, job.modules)
        self._loaded = artifact.load(job.model, job.allow_unsafe_ops)
        explainer = attribute.explainer_of(
            self._loaded, lines(job.labels), lines(job.vocabulary), job.row_error,
            job.target_column, job.baselines)
        fields = Fields(self._loaded, dict(job.columns), tuple(job.image_range))
        self._answering = Answering(explainer, fields, keep, job.batch_size, True, lambda *_: None,
                                    job.form == "wide")
        schema, self._rows = shard_files.FORMS[job.form]
        self._schema = [one for one in schema(self._loaded, keep) if one[0] != "position"]
        self._fail, self._id = job.on_error == "fail", fields.columns.get("id", "id")

    def of(self, batch):
        """The rows of some records, in their order.

        Args:
          batch: dictionaries, or serialized tf.Examples; not both.

        Raises:
          JobError: a record fails, and none may.
        """
        stream = sources.Stream([_Given(batch)], [len(batch)])
        found = []
        for window in self._answering.windows(stream, 0, len(batch)):
            for part in self._answering.answers(*window):
                found += self._of_blocks(part, batch) if isinstance(part, Blocks) else (
                    self._of_results(part, batch))
        return found

    def _of_blocks(self, window, batch):
        rows = shard_files.in_order(window.blocks, [
            block_tables.rows(block, self._schema) for block in window.blocks])
        for row, record in zip(rows, batch[window.table.start:]):
            row["id"] = self._named(record, row["id"])
        return rows

    def _of_results(self, window, batch):
        found = []
        for position, _, item, results, kept in window:
            if isinstance(results, Failure):
                if self._fail:
                    raise JobError(f"a record fails: {results.reason.rstrip('.')}. With "
                                   "on_error='skip' it costs one row of status error.")
                several = (self._answering.without(position, item, results),)
            else:
                several = results()
            for row in (row for result in several for row in self._rows(position, result, kept)):
                row["id"] = self._named(batch[position], row["id"])
                found.append({name: _plain(row.get(name)) for name, _ in self._schema})
        return found

    def _named(self, record, name):
        return name if isinstance(record, dict) and self._id in record else None


class _Given:
    """Records that are there, as a source.

    Args:
      batch: dictionaries, or bytes.
    """

    files = ("the records",)

    def __init__(self, batch):
        self._batch = batch

    def chunks(self):
        return iter([Chunk(len(self._batch), lambda place: Item(self._batch[place], _values),
                           self._columns)])

    def _columns(self, start, stop):
        some = self._batch[start:stop]
        if all(isinstance(one, bytes) for one in some):
            return {None: some}
        if not all(isinstance(one, dict) and list(one) == list(some[0]) for one in some):
            return None
        return {name: [one[name] for one in some] for name in some[0]}


def _values(record):
    if isinstance(record, bytes):
        return {None: record}
    if not isinstance(record, dict):
        raise RecordError(f"a record is a dictionary, or bytes; found {type(record).__name__}.")
    return record


def _plain(value):
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
