"""Readers of input files. A new input format is a row of FORMATS."""

import csv
import functools
import gzip
import io
import json
import zlib

import numpy as np

from ig_tf.errors import RecordError
from ig_tf.run import npz as npz_files
from ig_tf.run import sparse, tfrecords
from ig_tf.run.items import Item, broken

_LONGEST_FIELD = 2**31 - 1  # of CSV; the default of the csv module is 128 KiB
_ROWS = 256  # of Parquet, at once


def jsonl(path):
    """An object per line."""
    with _opened(path) as stream:
        position = 0
        try:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield Item(line, functools.partial(_object, path, number, position))
                    position += 1
        except (EOFError, OSError, zlib.error) as error:
            yield broken(b"", f"{path}, after record {position}: cannot be read further: {error}")


def _object(path, number, position, line):
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}, after record {position}: no UTF-8 text: {error}") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}:{number}: no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise RecordError(f"{path}:{number}: a record is a JSON object; found "
                          f"{type(value).__name__}.")
    return value


def csv_rows(path):
    """A header, then one line per record."""
    csv.field_size_limit(_LONGEST_FIELD)
    with _opened(path) as binary, io.TextIOWrapper(
            binary, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        header = None
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield broken(b"", f"{path}:{reader.line_num}: {error}.")
                continue
            except (EOFError, OSError, zlib.error) as error:
                yield broken(b"", f"{path}:{reader.line_num}: cannot be read further: {error}")
                return
            if row is None:
                return
            if header is None:
                header = row
            elif row:
                yield Item(_line(row), functools.partial(
                    _columns, header, row, f"{path}:{reader.line_num}"))


def _line(row):
    text = io.StringIO()
    csv.writer(text).writerow(row)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _columns(header, row, where, line):
    if len(row) != len(header):
        raise RecordError(f"{where}: the line does not have the {len(header)} columns of the "
                          "header.")
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError(f"{where}: {error}.") from error
    return dict(zip(header, row))


def npz(path):
    """One array per input, batch first."""
    try:
        arrays = npz_files.arrays(path)
    except (OSError, npz_files.BrokenFile) as error:
        raise RecordError(f"{path!r} is no .npz of plain arrays: {error}") from error
    arrays = _with_sparse(path, arrays)
    counts = {name: len(array) if np.ndim(array) or isinstance(array, list) else None
              for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or None in counts.values():
        raise RecordError(f"arrays of {path!r} have different lengths: {counts}.")
    for position in range(next(iter(counts.values()), 0)):
        yield Item({name: array[position] for name, array in arrays.items()}, dict)


def _with_sparse(path, arrays):
    """Replaces NAME/indices, NAME/values and NAME/dense_shape by the rows of NAME."""
    found = dict(arrays)
    for name in [key.removesuffix("/indices") for key in arrays if key.endswith("/indices")]:
        keys = [f"{name}/{part}" for part in sparse.PARTS]
        if all(key in arrays for key in keys):
            try:
                found[name] = list(sparse.split(*(found.pop(key) for key in keys)))
            except RecordError as error:
                raise RecordError(f"sparse input {name!r} of {path!r}: {error}") from error
    return found


def parquet(path):
    """Columns by name; needs pyarrow."""
    pyarrow = parquet_library(f"to read {path!r}")
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS):
                yield from _rows(path, batch)
    except (OSError, pyarrow.ArrowException) as error:
        raise RecordError(f"{path!r} cannot be read as Parquet: {error}") from error


def _rows(path, batch):
    try:
        for row in batch.to_pylist():
            yield Item(row, dict)
    except UnicodeDecodeError:  # one by one: the others are fine
        for number in range(len(batch)):
            try:
                yield Item(batch.slice(number, 1).to_pylist()[0], dict)
            except UnicodeDecodeError as error:
                yield broken(b"", f"{path}: a record with text that is no UTF-8: {error}")


def parquet_library(why):
    """The module pyarrow, with its part for Parquet.

    Raises:
      RecordError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise RecordError(f"pyarrow is needed {why}: pip install pyarrow (or ig_tf[parquet]); "
                          f"{error}") from error
    return pyarrow


def _opened(path):
    """The bytes of a file, decompressed where gzip wrote it."""
    return gzip.open(path, "rb") if tfrecords.is_gzip(path) else open(path, "rb")


# format: function(path) -> iterator of Item
FORMATS = {"npz": npz, "jsonl": jsonl, "csv": csv_rows, "tfrecord": tfrecords.items,
           "parquet": parquet}
