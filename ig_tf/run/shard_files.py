"""Files of a shard's results. A new format is a row of FORMATS."""

import contextlib
import csv
import dataclasses
from collections.abc import Callable

from ig_tf.errors import RecordError
from ig_tf.run import block_examples, block_json, block_parquet, long_form, readers, tables
from ig_tf.run.results_json import row_of
from ig_tf.run.results_values import dump, plain

_TOGETHER = 1024  # rows that Parquet encodes at once
_ELEMENTS = 1 << 22  # of scores, at most: larger rows are encoded sooner


@dataclasses.dataclass(frozen=True)
class Writer:
    """A file of a shard's results that is open.

    Attributes:
      row: function(position, `Result`, {pass-through column: value}) writes a result.
      blocks: function(list of `Block`) writes all results of a window, in its order; None: the file
        takes single results alone.
    """

    row: Callable
    blocks: Callable | None = None


@contextlib.contextmanager
def _jsonl(path, schema, rows):
    """The rows of results files of one run, with `position`, and `kept` besides; in long form an
    object per row, with all columns."""
    with open(path, "wb") as file:
        def write(position, result, kept):
            if rows is not wide:
                for one in rows(position, result, kept):
                    file.write(dump({name: plain(one.get(name)) for name, _ in schema}) + b"\n")
                return
            row = {"position": position, **row_of(result)}
            file.write(dump({**row, "kept": plain(kept)} if kept else row) + b"\n")

        def write_blocks(blocks):
            lines = in_order(blocks, [block_json.Lines(block).made() for block in blocks])
            file.write(("\n".join(lines) + "\n").encode("ascii"))
        yield Writer(write, write_blocks if rows is wide else None)


@contextlib.contextmanager
def _csv(path, schema, rows):
    """Long form: a header, then a line per row. What is null, or no finite number, is empty."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([name for name, _ in schema])

        def write(position, result, kept):
            for one in rows(position, result, kept):
                values = (plain(one.get(name)) for name, _ in schema)
                writer.writerow(["" if value is None else value for value in values])
        yield Writer(write)


@contextlib.contextmanager
def _parquet(path, schema, rows):
    pyarrow = readers.parquet_library("to write Parquet")
    lists = {"floats": pyarrow.float32(), "doubles": pyarrow.float64(),
             "strings": pyarrow.string(), "int64s": pyarrow.int64()}
    scalars = {"string": pyarrow.string(), "int64": pyarrow.int64(), "double": pyarrow.float64(),
               "bool": pyarrow.bool_()}
    types = {**scalars, **{name: pyarrow.list_(inner) for name, inner in lists.items()}}
    columns = pyarrow.schema([(name, types[kind]) for name, kind in schema])
    with pyarrow.parquet.ParquetWriter(path, columns, compression="zstd") as writer:
        waiting = _Waiting(
            lambda rows: pyarrow.Table.from_pydict(
                {name: [row.get(name) for row in rows] for name, _ in schema}, columns),
            lambda blocks: block_parquet.table(blocks, schema, columns, pyarrow),
            lambda tables: writer.write_table(pyarrow.concat_tables(tables)))

        def write(position, result, kept):
            waiting.rows(rows(position, result, kept),
                         sum(point.scores.size for point in result.points))

        yield Writer(write, waiting.blocks if rows is wide else None)
        waiting.flush()


class _Waiting:
    """What Parquet encodes together: blocks and single rows, in their order.

    Args:
      of_rows, of_blocks: function(list of them) -> table.
      write: function(list of tables) writes them as one.
    """

    def __init__(self, of_rows, of_blocks, write):
        self._of_rows, self._of_blocks, self._write = of_rows, of_blocks, write
        self._rows, self._blocks, self._tables, self._count, self._size = [], [], [], 0, 0

    def rows(self, rows, size):
        """Takes rows with so many scores."""
        self._end_blocks()
        self._rows.extend(rows)
        self._more(len(rows), size)

    def blocks(self, blocks):
        """Takes a window."""
        self._end_rows()
        self._blocks.extend(blocks)
        self._more(sum(map(len, blocks)), sum(
            point.scores.size for block in blocks for point in block.points))

    def _more(self, count, size):
        self._count += count
        self._size += size
        if self._count >= _TOGETHER or self._size > _ELEMENTS:
            self.flush()

    def _end_rows(self):
        if self._rows:
            self._tables.append(self._of_rows(self._rows))
            self._rows = []

    def _end_blocks(self):
        if self._blocks:
            self._tables.append(self._of_blocks(self._blocks))
            self._blocks = []

    def flush(self):
        """Writes what there is."""
        self._end_rows()
        self._end_blocks()
        if self._tables:
            self._write(self._tables)
        self._tables, self._count, self._size = [], 0, 0


@contextlib.contextmanager
def _tfrecord(path, schema, rows):
    """A tf.Example per row; a feature that is null is not there."""
    import tensorflow as tf
    kinds = {"string": "bytes_list", "strings": "bytes_list", "int64": "int64_list",
             "int64s": "int64_list", "bool": "int64_list"}
    try:
        with tf.io.TFRecordWriter(path) as writer:
            def write(position, result, kept):
                for row in rows(position, result, kept):
                    example = tf.train.Example()
                    for name, kind in schema:
                        if row.get(name) is not None:
                            _add(example.features.feature[name], kinds.get(kind, "float_list"),
                                 row[name])
                    writer.write(example.SerializeToString(deterministic=True))

            def write_blocks(blocks):
                for raw in in_order(blocks, [
                        block_examples.serialized(block, schema) for block in blocks]):
                    writer.write(raw)
            yield Writer(write, write_blocks if rows is wide else None)
    except tf.errors.OpError as error:
        raise OSError(error.message) from error


def _add(feature, kind, value):
    values = [value] if isinstance(value, (str, bool, int, float)) else value
    if kind == "bytes_list":
        values = [text.encode("utf-8") for text in values]
    getattr(feature, kind).value.extend(values)


def in_order(blocks, rows):
    """What all blocks of a window have of each row, in the order of the window."""
    if len(blocks) == 1:
        return rows[0]
    found = [None] * sum(map(len, blocks))
    for block, own in zip(blocks, rows):
        for place, row in zip(block.group.places, own):
            found[place] = row
    return found


def wide(position, result, kept):
    """A result as one row of `tables`."""
    return [tables.row(position, result, kept)]


# format: (context manager(path, schema, rows) that gives a `Writer`, ending)
FORMATS = {"jsonl": (_jsonl, ".jsonl"), "parquet": (_parquet, ".parquet"),
           "tfrecord": (_tfrecord, ".tfrecord"), "csv": (_csv, ".csv")}
# form: (function(artifact, {pass-through column: type}) -> schema,
#        function(position, result, kept) -> [{column: value}])
FORMS = {"wide": (tables.schema, wide), "long": (long_form.schema, long_form.rows)}


def opener(name, form, loaded, kept):
    """How a shard is written.

    Returns:
      (context manager(path) that gives a `Writer`, ending of the file).
    """
    opened, ending = FORMATS[name]
    schema, rows = FORMS[form]
    columns = schema(loaded, kept)
    return lambda path: opened(path, columns, rows), ending


def takes_blocks(name, form):
    """Whether such files take the results of a window by column."""
    return form == "wide" and name != "csv"


def require(name, form="wide"):
    """Refuses a format that cannot be written here.

    Raises:
      RecordError: nobody knows it, a library is missing, or it cannot hold that form.
    """
    if name not in FORMATS:
        raise RecordError(f"unknown format {name!r}; known: {', '.join(FORMATS)}.")
    if form not in FORMS:
        raise RecordError(f"unknown form {form!r}; known: {', '.join(FORMS)}.")
    if name == "csv" and form != "long":
        raise RecordError("--format=csv holds no lists of scores: give --form=long, one row per "
                          "feature or token.")
    if name == "parquet":
        readers.parquet_library("to write Parquet")
