"""Reads .npz files, whatever is in them."""

import struct
import tokenize
import zipfile
import zlib

import numpy as np

# What NumPy and zipfile raise for files that are broken, or not theirs.
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError, SyntaxError,
           OverflowError, MemoryError, RuntimeError, NotImplementedError,
           zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError)
MOST_BYTES = 2**36  # of all arrays together, as their headers say
MOST_RATIO = 2000  # bytes for each of the file, once they are many: zlib reaches 1000
_MANY_BYTES = 2**30


class BrokenFile(Exception):
    """It is no .npz of plain arrays; the message says why."""


def arrays(path):
    """{name: array} of a .npz file; nothing in it is unpickled.

    Raises:
      BrokenFile: it is broken, holds objects, or would take too much memory.
      OSError: it cannot be opened.
    """
    try:
        with open(path, "rb") as stream:
            _refuse_huge(stream)
            with np.load(stream, allow_pickle=False) as data:
                return {name: data[name] for name in data.files}
    except BrokenFile:
        raise
    except _BROKEN as error:
        raise BrokenFile(f"{type(error).__name__}: {error}" if not str(error) else
                         str(error)) from error


def _refuse_huge(stream):
    with zipfile.ZipFile(stream) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    size = stream.seek(0, 2)
    stream.seek(0)
    if total > MOST_BYTES or (total > _MANY_BYTES and total > MOST_RATIO * size):
        raise BrokenFile(f"its {size:,} bytes would become {total:,}")
