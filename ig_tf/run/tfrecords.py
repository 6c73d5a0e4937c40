"""TFRecord files, past broken records.

TensorFlow reads them as long as nothing is wrong. From the first broken record on, the frames are
read here, checksums and all: a record with a wrong checksum costs itself, while a broken length, or
a file that ends in the middle, ends the file.
"""

import gzip
import struct
import zlib

from ig_tf.errors import RecordError
from ig_tf.run.items import Chunk, Item, apart, broken

_TOGETHER = 256  # records that TensorFlow hands over at once
_FRAME = 16  # bytes of a record beside its own
_GZIP = b"\x1f\x8b"


def chunks(path):
    """Yields the `Chunk`s of a file, compressed by gzip (by its first bytes) or not.

    Raises:
      RecordError: the file cannot be opened.
    """
    import tensorflow as tf
    number, size = 0, 0
    try:
        dataset = tf.data.TFRecordDataset(path, "GZIP" if is_gzip(path) else "")
        for together in dataset.batch(_TOGETHER).as_numpy_iterator():
            raws = together.tolist()
            yield _of_raws(raws)
            number, size = number + len(raws), size + sum(map(len, raws)) + _FRAME * len(raws)
        if _ends_at(path, size):
            return
    except tf.errors.OpError:
        pass
    for item in _past_what_is_broken(path, number):
        yield apart([item])


def _of_raws(raws):
    return Chunk(len(raws), lambda place: Item(raws[place], serialized),
                 lambda start, stop: {None: raws[start:stop]})


def _ends_at(path, size):
    """Whether a file is so long: TensorFlow takes a length that is cut off for the end.

    Of a compressed file its last bytes say how long it is; where it has several parts they speak of
    the last one alone, and the answer is no.
    """
    with open(path, "rb") as stream:
        stream.seek(0, 2)
        found = stream.tell()
        if is_gzip(path):
            stream.seek(-4, 2)
            found, size = struct.unpack("<I", stream.read(4))[0], size % 2**32
    return found == size


def serialized(raw):
    """A serialized record as values: they go to the only input."""
    return {None: raw}


def is_gzip(path):
    """Whether a file starts like one that gzip wrote.

    Raises:
      RecordError: it cannot be opened.
    """
    try:
        with open(path, "rb") as stream:
            return stream.read(2) == _GZIP
    except OSError as error:
        raise RecordError(f"cannot open {path!r}: {error}") from error


def _past_what_is_broken(path, skipped):
    opener = gzip.open if is_gzip(path) else open
    number = 0
    with opener(path, "rb") as stream:
        while True:
            where = f"{path}, after record {number}"
            try:
                data, reason, last = _frame(stream, number >= skipped)
            except (EOFError, OSError, zlib.error) as error:
                data, reason, last = b"", f"cannot be decompressed further: {error}", True
            if reason:
                yield broken(data, f"{where}: {reason}")
            elif data is not None and number >= skipped:
                yield Item(data, serialized)
            if last:
                return
            number += 1


def _frame(stream, checked):
    """(data, what is wrong or None, whether nothing can be read after it) of the next record.

    data is None at the end of the file.
    """
    head = stream.read(12)
    if not head:
        return None, None, True
    if len(head) < 12:
        return head, "the file ends within the length of a record", True
    length, length_sum = struct.unpack("<QI", head)
    if _masked(head[:8]) != length_sum:
        return head, "the length of a record is corrupt (wrong checksum); the rest is lost", True
    data, tail = stream.read(length), stream.read(4)
    if len(data) < length or len(tail) < 4:
        return data, f"the file ends within a record of {length:,} bytes", True
    if checked and struct.unpack("<I", tail)[0] != _masked(data):
        return data, "a corrupt record (wrong checksum)", False
    return data, None, False


def _masked(data):
    """The checksum of a frame: CRC-32C, rotated and shifted as the format says."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table():
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        found.append(byte)
    return found


_TABLE = _table()
