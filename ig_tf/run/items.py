"""Records of an input file, not decoded yet: what is broken costs itself and no other."""

import dataclasses
import functools
import json
from collections.abc import Callable

from ig_tf.errors import RecordError
from ig_tf.run.results_values import plain


@dataclasses.dataclass(frozen=True)
class Item:
    """A record as it stands in its file.

    Attributes:
      payload: what was read: bytes, or Python values.
      decode: function(payload) -> {name: value}, or {None: bytes} for a serialized record. It
        raises RecordError where the record is broken.
    """

    payload: object
    decode: Callable

    def values(self):
        """The record's values.

        Raises:
          RecordError: it is broken; the message says where.
        """
        return self.decode(self.payload)

    def raw(self):
        """The record's bytes as they stand in the file; JSON where the file has no bytes of it."""
        if isinstance(self.payload, bytes):
            return self.payload
        return json.dumps(plain(self.payload)).encode("ascii")


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Records that stand one after the other in a file, and were read together.

    Attributes:
      count: how many.
      item: function(place) -> the `Item`.
      columns: function(start, stop) -> {name: column} of the records from `start` to `stop` - 1,
        with the values that their items have, in their order; None: they do not make columns, or
        one of them is broken. A column is a list, an array of NumPy's, or `Numbers`.
    """

    count: int
    item: Callable
    columns: Callable = lambda start, stop: None

    def items(self):
        """All of them, one after the other."""
        return map(self.item, range(self.count))


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A column of Python's numbers, or lists of them, as an array.

    Attributes:
      array: [records, ...], of a type that holds each number as it is.
    """

    array: object

    def tolist(self):
        """The numbers, or lists of them, themselves."""
        return self.array.tolist()


def listed(column):
    """The values of a column as the items have them, as a list."""
    if isinstance(column, list):
        return column
    return column.tolist() if isinstance(column, Numbers) else list(column)


def apart(items):
    """A `Chunk` of items that make no columns.

    Args:
      items: a list.
    """
    return Chunk(len(items), functools.partial(list.__getitem__, items))


def broken(payload, reason):
    """An item that cannot be decoded."""
    def refuse(_):
        raise RecordError(reason)
    return Item(payload, refuse)
