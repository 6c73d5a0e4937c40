"""Blocks as serialized tf.Examples, written column by column.

The wire format of protobuf: fields are a tag (number * 8 + 2: bytes follow), a length, the bytes; a
map is a field per entry, with the key in field 1 and the value in field 2.
"""

import itertools

import numpy as np

from ig_tf.run import block_tables
from ig_tf.run.block_tables import Lists

_BYTES, _FLOATS, _INTS = 1, 2, 3  # the kinds of a Feature, by field
_KINDS = {"string": _BYTES, "strings": _BYTES, "int64": _INTS, "int64s": _INTS, "bool": _INTS}


def serialized(block, schema):
    """The tf.Example of each row; a feature that is null is not there.

    Args:
      block: the `Block`.
      schema: [(name, type)], as `tables.schema` has it.
    """
    found = block_tables.columns(block, schema)
    entries = [_entries(name, found[name], _KINDS.get(kind, _FLOATS), len(block))
               for name, kind in sorted(schema) if found[name] is not None]  # protobuf's own order
    return [_field(1, b"".join(row)) for row in zip(*entries)]


def _entries(name, column, kind, count):
    """For each row the entry of a feature; empty where it is null."""
    key = _field(1, name.encode("utf-8"))
    if isinstance(column, Lists):
        wide = np.diff(column.ends)
        if kind == _FLOATS and len(column.values) and (wide == wide[0]).all():
            return _of_equal_sizes(key, column.values, int(wide[0]), count)
        rows = itertools.pairwise(column.ends.tolist())
        if kind == _FLOATS:
            return [_entry(key, kind, column.values[start:stop]) for start, stop in rows]
        values = column.values.tolist() if isinstance(column.values, np.ndarray) else column.values
        return _each([(*values[start:stop],) for start, stop in rows], key, kind)
    if kind == _FLOATS and isinstance(column.values, np.ndarray):
        found = _of_equal_sizes(key, column.values, 1, count)
        return found if column.valid is None else [
            one if valid else b"" for one, valid in zip(found, column.valid.tolist())]
    values = column.values.tolist() if isinstance(column.values, np.ndarray) else column.values
    if kind != _FLOATS:
        return _each([value if value is None else (value,) for value in values], key, kind)
    return [b"" if value is None else _entry(key, kind, [value]) for value in values]


def _each(rows, key, kind):
    """The entry of each row, a tuple or None; what is there several times is made once."""
    known = {row: b"" if row is None else _entry(key, kind, row) for row in {*rows}}
    return [known[row] for row in rows]


def _of_equal_sizes(key, values, size, count):
    """Entries of as many floats in each row."""
    data, width = _single(values), 4 * size
    before = _entry_of(key, _FLOATS, data[:width])[:-width]
    return [before + data[place:place + width] for place in range(0, count * width, width)]


def _single(values):
    with np.errstate(over="ignore"):
        return np.asarray(values, "<f4").tobytes()


def _entry(key, kind, values):
    """The entry of a feature with some values."""
    if kind == _BYTES:
        content = b"".join(_field(1, value.encode("utf-8")) for value in values)
        return _field(1, key + _field(2, _field(_BYTES, content)))
    if kind == _FLOATS:
        return _entry_of(key, kind, _single(values))
    return _entry_of(key, kind, b"".join(_varint(int(value) & (1 << 64) - 1) for value in values))


def _entry_of(key, kind, packed):
    """The entry of a feature of numbers, which stand in field 1 one after the other."""
    return _field(1, key + _field(2, _field(kind, _field(1, packed) if packed else b"")))


def _field(number, content):
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value):
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
