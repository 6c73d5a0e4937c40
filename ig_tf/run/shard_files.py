"""Files of a shard's results. A new format is a row of FORMATS."""

import contextlib
import csv

from ig_tf.errors import RecordError
from ig_tf.run import long_form, readers, tables
from ig_tf.run.results_json import row_of
from ig_tf.run.results_values import dump, plain

_TOGETHER = 256  # rows that Parquet encodes at once
_ELEMENTS = 1 << 22  # of scores, at most: larger rows are encoded sooner


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
        yield write


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
        yield write


@contextlib.contextmanager
def _parquet(path, schema, rows):
    pyarrow = readers.parquet_library("to write Parquet")
    lists = {"floats": pyarrow.float32(), "doubles": pyarrow.float64(),
             "strings": pyarrow.string(), "int64s": pyarrow.int64()}
    scalars = {"string": pyarrow.string(), "int64": pyarrow.int64(), "double": pyarrow.float64(),
               "bool": pyarrow.bool_()}
    types = {**scalars, **{name: pyarrow.list_(inner) for name, inner in lists.items()}}
    columns = pyarrow.schema([(name, types[kind]) for name, kind in schema])
    waiting, size = [], 0
    with pyarrow.parquet.ParquetWriter(path, columns, compression="zstd") as writer:
        def flush():
            writer.write_table(pyarrow.Table.from_pydict(
                {name: [row.get(name) for row in waiting] for name, _ in schema}, columns))
            waiting.clear()

        def write(position, result, kept):
            nonlocal size
            waiting.extend(rows(position, result, kept))
            size += sum(point.scores.size for point in result.points)
            if len(waiting) >= _TOGETHER or size > _ELEMENTS:
                flush()
                size = 0
        yield write
        if waiting:
            flush()


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
                    writer.write(example.SerializeToString())
            yield write
    except tf.errors.OpError as error:
        raise OSError(error.message) from error


def _add(feature, kind, value):
    values = [value] if isinstance(value, (str, bool, int, float)) else value
    if kind == "bytes_list":
        values = [text.encode("utf-8") for text in values]
    getattr(feature, kind).value.extend(values)


def wide(position, result, kept):
    """A result as one row of `tables`."""
    return [tables.row(position, result, kept)]


# format: (context manager(path, schema, rows) that gives function(position, result, kept), ending)
FORMATS = {"jsonl": (_jsonl, ".jsonl"), "parquet": (_parquet, ".parquet"),
           "tfrecord": (_tfrecord, ".tfrecord"), "csv": (_csv, ".csv")}
# form: (function(artifact, {pass-through column: type}) -> schema,
#        function(position, result, kept) -> [{column: value}])
FORMS = {"wide": (tables.schema, wide), "long": (long_form.schema, long_form.rows)}


def opener(name, form, loaded, kept):
    """How a shard is written.

    Returns:
      (context manager(path) that gives function(position, result, kept), ending of the file).
    """
    opened, ending = FORMATS[name]
    schema, rows = FORMS[form]
    columns = schema(loaded, kept)
    return lambda path: opened(path, columns, rows), ending


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
