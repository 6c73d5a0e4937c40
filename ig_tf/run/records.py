"""Files of inputs, as records, and values as results show them."""

import base64
import dataclasses

import numpy as np

from ig_tf.run import sources


@dataclasses.dataclass(frozen=True)
class Record:
    """One example of a file.

    Attributes:
      position: 0-based place in the input.
      values: {name: value}, or {None: bytes} for a serialized record.
    """

    position: int
    values: dict


def read(input):
    """The records of an input, one after the other.

    Args:
      input: files, patterns and folders (`sources.find`): .npz (one array per input, batch first),
        .jsonl (an object per line), .csv (a header, then one line per record), .parquet (columns
        named like the inputs), .tfrecord (serialized tf.Examples or SequenceExamples), each of the
        text and TFRecord files also with .gz; images. How sparse inputs are written, sparse.py
        says.

    Raises:
      RecordError: no such file, an unknown ending, or a broken record, with its place.
    """
    items = (item for source in sources.find(input) for item in source.items())
    for position, item in enumerate(items):
        yield Record(position, item.values())


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


def example_features(raw, names=None):
    """The features of a serialized tf.Example, for showing; {} if it is something else.

    Args:
      raw: its bytes.
      names: of the features that are wanted; None: all.
    """
    from google.protobuf import message
    from tensorflow.core.example import example_pb2
    example = example_pb2.Example()
    try:
        example.ParseFromString(raw)
    except message.DecodeError:
        return {}
    found = {}
    for name in sorted(example.features.feature):
        if names is not None and name not in names:
            continue
        feature = example.features.feature[name]
        values = list(getattr(feature, feature.WhichOneof("kind") or "bytes_list").value)
        values = [shown(value) for value in values]
        found[name] = values[0] if len(values) == 1 else values
    return found
