"""Readers of input files. A new input format is a row of FORMATS.

A reader yields `Chunk`s. A chunk knows its records one by one, with what is broken about each, and
as columns, which is how whole batches are read: row by row Python costs more than a small model.
"""

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
from ig_tf.run.items import Chunk, Item, Numbers, apart, broken

_LONGEST_FIELD = 2**31 - 1  # of CSV; the default of the csv module is 128 KiB
_ROWS = 256  # of a chunk, at most
_BYTES = 1 << 22  # a chunk of lines ends with the one that goes beyond

_SPACE = b" \t\r\n"  # of JSON
_DECODER = json.JSONDecoder()


def items(kind, path):
    """The `Item`s of a file.

    Args:
      kind: a row of FORMATS.
      path: the file.
    """
    for chunk in FORMATS[kind](path):
        yield from chunk.items()


def jsonl(path):
    """An object per line."""
    lines, numbers, size, position = [], [], 0, 0
    with _opened(path) as stream:
        wrong = None
        try:
            for number, line in enumerate(stream, 1):
                if line.isspace():
                    continue
                lines.append(line)
                numbers.append(number)
                size += len(line)
                if len(lines) == _ROWS or size > _BYTES:
                    yield _of_lines(path, lines, numbers, position)
                    position += len(lines)
                    lines, numbers, size = [], [], 0
        except (EOFError, OSError, zlib.error) as error:
            wrong = error
        if lines:
            yield _of_lines(path, lines, numbers, position)
        if wrong:
            yield apart([broken(b"", f"{path}, after record {position + len(lines)}: cannot be "
                                     f"read further: {wrong}")])


def _of_lines(path, lines, numbers, position):
    return Chunk(len(lines), lambda place: Item(lines[place], functools.partial(
        _object, path, numbers[place], position + place)), functools.partial(_of_objects, lines))


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


def _of_objects(lines, start, stop):
    """Columns of lines that are objects with the same names in the same order."""
    try:
        rows = [_whole(line.strip(_SPACE).decode("utf-8")) for line in lines[start:stop]]
    except (ValueError, RecursionError):
        return None
    if not all(type(row) is dict for row in rows):
        return None
    head = list(rows[0])
    if any(list(row) != head for row in rows):
        return None
    return dict(zip(head, map(list, zip(*map(dict.values, rows)))))


def _whole(text):
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError("more than one value")
    return value


def csv_rows(path):
    """A header, then one line per record."""
    csv.field_size_limit(_LONGEST_FIELD)
    with _opened(path) as binary, io.TextIOWrapper(
            binary, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        header, rows, wrong = None, [], None
        while True:
            numbers, size, wrong, ended = [], 0, None, True
            try:
                for row in reader:
                    if header is None:
                        header = row
                    elif row:
                        rows.append(row)
                        numbers.append(reader.line_num)
                        size += sum(map(len, row))
                        if len(rows) == _ROWS or size > _BYTES:
                            ended = False
                            break
            except csv.Error as error:
                wrong, ended = f"{error}.", False
            except (EOFError, OSError, zlib.error) as error:
                wrong = f"cannot be read further: {error}"
            if rows:
                yield _of_rows(path, header, rows, numbers)
                rows = []
            if wrong:
                yield apart([broken(b"", f"{path}:{reader.line_num}: {wrong}")])
            if ended:
                return


def _of_rows(path, header, rows, numbers):
    return Chunk(len(rows), lambda place: Item(_line(rows[place]), functools.partial(
        _columns, header, rows[place], f"{path}:{numbers[place]}")),
        functools.partial(_of_fields, header, rows))


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


def _of_fields(header, rows, start, stop):
    rows = rows[start:stop]
    if {*map(len, rows)} != {len(header)} or len({*header}) < len(header):
        return None
    columns = [*map(list, zip(*rows))]
    try:
        for column in columns:
            "".join(column).encode("utf-8")
    except UnicodeEncodeError:  # bytes that are no text
        return None
    return dict(zip(header, columns))


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
    yield Chunk(next(iter(counts.values()), 0),
                lambda place: Item({name: array[place] for name, array in arrays.items()}, dict),
                lambda start, stop: {name: array[start:stop] for name, array in arrays.items()})


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
                yield _of_batch(path, batch, pyarrow)
    except (OSError, pyarrow.ArrowException) as error:
        raise RecordError(f"{path!r} cannot be read as Parquet: {error}") from error


def _of_batch(path, batch, pyarrow):
    """The `Chunk` of some rows."""
    @functools.cache
    def rows():
        try:
            return [Item(row, dict) for row in batch.to_pylist()]
        except UnicodeDecodeError:  # one by one: the others are fine
            return [_row(path, batch, place) for place in range(len(batch))]

    def columns(start, stop):
        names = batch.schema.names
        if len({*names}) < len(names):
            return None
        try:
            return {name: _arrow(pyarrow.types, column.slice(start, stop - start))
                    for name, column in zip(names, batch.columns)}
        except (UnicodeDecodeError, pyarrow.ArrowException):
            return None

    return Chunk(len(batch), lambda place: rows()[place], columns)


def _row(path, batch, place):
    try:
        return Item(batch.slice(place, 1).to_pylist()[0], dict)
    except UnicodeDecodeError as error:
        return broken(b"", f"{path}: a record with text that is no UTF-8: {error}")


def _arrow(types, column):
    """A column as Python values; numbers as arrays, where none is null."""
    kind = column.type
    if column.null_count:
        return column.to_pylist()
    if _is_number(types, kind):
        return Numbers(column.to_numpy(zero_copy_only=False))
    if types.is_string(kind) or types.is_binary(kind):
        return column.to_numpy(zero_copy_only=False).tolist()
    if types.is_list(kind):
        array = _nested(types, column)
        if array is not None:
            return Numbers(array)
    return column.to_pylist()


def _nested(types, column):
    """Lists of numbers, of as many axes as they have, as an array; None: they are none."""
    shape, count = [len(column)], 1
    while types.is_list(column.type):
        sizes = np.diff(column.offsets.to_numpy())
        column = column.flatten()
        if column.null_count or not len(sizes) or (sizes != sizes[0]).any():
            return None
        shape.append(int(sizes[0]))
        count *= int(sizes[0])
    if not _is_number(types, column.type) or not count:
        return None
    return column.to_numpy(zero_copy_only=False).reshape(shape)


def _is_number(types, kind):
    return types.is_integer(kind) or types.is_boolean(kind) or (
        types.is_float32(kind) or types.is_float64(kind))


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


# format: function(path) -> iterator of Chunk
FORMATS = {"npz": npz, "jsonl": jsonl, "csv": csv_rows, "tfrecord": tfrecords.chunks,
           "parquet": parquet}
