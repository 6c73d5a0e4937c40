"""What the bytes of a file are, whatever its name says."""

import os

from google.protobuf import message, text_format
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from ig_tf.errors import ArtifactError

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
GZIP = b"\x1f\x8b"
# Endings of the bytes of other formats, for messages: (first bytes, where they start, what it is).
_OTHERS = ((HDF5, 0, "an HDF5 file (Keras weights or a model)"), (ZIP, 0, "a ZIP archive"),
           (GZIP, 0, "a gzip file"), (b"TFL3", 4, "a TensorFlow Lite model"),
           (b"\x80", 0, "a Python pickle"))


# A message of more bytes is no protobuf; as text it takes many times its size in memory.
MOST_BYTES = 2**31 - 1
MOST_TEXT_BYTES = 2**28


def read_file(path, limit=None):
    """All bytes of a file, or the first `limit`.

    Raises:
      ArtifactError: it cannot be read, or is too large for what it would hold.
    """
    most = MOST_TEXT_BYTES if os.fspath(path).endswith(".pbtxt") else MOST_BYTES
    try:
        size = os.stat(path).st_size
        if limit is None and size > most:
            raise ArtifactError(f"{os.fspath(path)!r} has {size:,} bytes: too large for a message "
                                f"of a graph; at most {most:,} are read.")
        with open(path, "rb") as stream:
            return stream.read() if limit is None else stream.read(limit)
    except OSError as error:
        raise ArtifactError(f"cannot read {path!r}: {error}") from error


def is_text(data):
    """Whether these bytes are text (a protobuf has bytes that no text has)."""
    head = data[:4096]
    if not head or any(byte < 9 or 13 < byte < 32 for byte in head):
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def is_graph(graph_def):
    """Whether a message that was parsed speaks of a graph; bytes of another kind parse at times."""
    return bool(graph_def.node) and all(node.name and node.op for node in graph_def.node)


def parsed(data, kind):
    """The bytes as a message of a kind, or None; text or binary."""
    proto = kind()
    try:
        if is_text(data):
            text_format.Parse(data.decode("utf-8"), proto)
        else:
            proto.ParseFromString(data)
    except (message.DecodeError, text_format.ParseError, RecursionError):
        return None
    return proto


def graph_def(data):
    """The GraphDef in these bytes, or None."""
    proto = parsed(data, graph_pb2.GraphDef)
    return proto if proto is not None and is_graph(proto) else None


def described(data):
    """What these bytes are, in words: for messages about a wrong file."""
    if not data:
        return "the file is empty"
    for start, offset, what in _OTHERS:
        if data[offset:offset + len(start)] == start:
            return f"it is {what}"
    if graph_def(data) is not None:
        return "it is a GraphDef (a frozen graph): give it as a file, with --inputs and --outputs"
    saved = parsed(data, saved_model_pb2.SavedModel)
    if saved is not None and any(is_graph(one.graph_def) for one in saved.meta_graphs):
        return "it is the message of a SavedModel: give the folder that it lies in"
    meta = parsed(data, meta_graph_pb2.MetaGraphDef)
    if meta is not None and is_graph(meta.graph_def):
        return ("it is a metagraph: give the prefix of its checkpoint (model.ckpt-1000), whose "
                "file ends in .meta")
    if is_text(data):
        first = data.decode("utf-8").strip().partition("\n")[0]
        return f"it is a text file that begins with {first[:60]!r}"
    return "it was cut off, or is another kind of file"
