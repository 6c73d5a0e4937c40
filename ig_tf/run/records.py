"""Files of inputs, as records. A new input format is a row of FORMATS."""

import base64
import csv
import dataclasses
import json
import os

import numpy as np

from ig_tf.errors import RecordError
from ig_tf.run import sparse


@dataclasses.dataclass(frozen=True)
class Record:
    """One example of a file.

    Attributes:
      position: 0-based place in the file.
      values: {name: value}, or {None: bytes} for a serialized record.
    """

    position: int
    values: dict


def read(path):
    """The records of a file, one after the other.

    Args:
      path: .npz (one array per input, batch first), .jsonl (an object per line), .csv (a header,
        then one line per record) or .tfrecord (serialized tf.Examples). How sparse inputs are
        written, sparse.py says.

    Raises:
      RecordError: no such file, an unknown ending, or a broken line, with its number.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise RecordError(f"no input file {path!r}.")
    for ending, reader in FORMATS.items():
        if path.endswith(ending):
            return reader(path)
    raise RecordError(f"cannot tell the format of {path!r}; known endings: {', '.join(FORMATS)}.")


def _npz(path):
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except (ValueError, OSError, EOFError) as error:
        raise RecordError(f"{path!r} is no .npz of plain arrays: {error}") from error
    arrays = _with_sparse(path, arrays)
    counts = {name: len(array) if np.ndim(array) or isinstance(array, list) else None
              for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or None in counts.values():
        raise RecordError(f"arrays of {path!r} have different lengths: {counts}.")
    for position in range(next(iter(counts.values()), 0)):
        yield Record(position, {name: array[position] for name, array in arrays.items()})


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


def _jsonl(path):
    with open(path, encoding="utf-8", errors="strict") as stream:
        position = 0
        try:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise RecordError(f"{path}:{number}: a record is a JSON object; found "
                                      f"{type(value).__name__}.")
                yield Record(position, value)
                position += 1
        except json.JSONDecodeError as error:
            raise RecordError(f"{path}:{number}: no JSON: {error}.") from error
        except UnicodeDecodeError as error:
            raise RecordError(f"{path}, after record {position}: no UTF-8 text: {error}") from error


def _csv(path):
    with open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        try:
            for position, row in enumerate(reader):
                if None in row or None in row.values():
                    raise RecordError(f"{path}:{reader.line_num}: the line does not have the "
                                      f"{len(reader.fieldnames)} columns of the header.")
                yield Record(position, row)
        except (csv.Error, UnicodeDecodeError) as error:
            raise RecordError(f"{path}:{reader.line_num}: {error}.") from error


def _tfrecord(path):
    import tensorflow as tf
    compression = "GZIP" if path.endswith(".gz") else ""
    position = 0
    try:
        for raw in tf.data.TFRecordDataset(path, compression_type=compression):
            yield Record(position, {None: raw.numpy()})
            position += 1
    except tf.errors.OpError as error:
        raise RecordError(f"{path}, after record {position}: {error.message}") from error


FORMATS = {".npz": _npz, ".jsonl": _jsonl, ".csv": _csv, ".tfrecord": _tfrecord,
           ".tfrecords": _tfrecord, ".tfrecord.gz": _tfrecord}


def shown(value):
    """A value as the results keep it: JSON-able, pictures recognised."""
    if isinstance(value, np.ndarray):
        return value if value.dtype != object else [shown(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (str, bytes)):
        picture = _picture(value)
        if picture:
            return picture
        return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
    return value


_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n": "image/png", b"GIF8": "image/gif"}


def _picture(value):
    """An encoded picture, raw or in (web-safe) base64, for drawing it later; else None."""
    if len(value) < 64:
        return None
    raw = value.encode("utf-8") if isinstance(value, str) else value
    for data in (raw, _unbased(raw)):
        for magic, media in _MAGIC.items():
            if data and data.startswith(magic):
                return {"base64": base64.b64encode(data).decode("ascii"), "media": media}
    return None


def _unbased(raw):
    if not raw[:4].isalnum() and raw[:1] not in b"_-/+":
        return None
    text = raw.replace(b"-", b"+").replace(b"_", b"/")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None


def example_features(raw):
    """The features of a serialized tf.Example, for showing; {} if it is something else."""
    from google.protobuf import message
    from tensorflow.core.example import example_pb2
    example = example_pb2.Example()
    try:
        example.ParseFromString(raw)
    except message.DecodeError:
        return {}
    found = {}
    for name in sorted(example.features.feature):
        feature = example.features.feature[name]
        values = list(getattr(feature, feature.WhichOneof("kind") or "bytes_list").value)
        values = [shown(value) for value in values]
        found[name] = values[0] if len(values) == 1 else values
    return found
