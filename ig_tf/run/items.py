"""One record of an input file, not decoded yet: what is broken costs itself and no other."""

import dataclasses
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


def broken(payload, reason):
    """An item that cannot be decoded."""
    def refuse(_):
        raise RecordError(reason)
    return Item(payload, refuse)
