"""A checkpoint and its metagraph: the files are a SavedModel's variables as they are (D1)."""

import dataclasses
import glob
import os
import re

import tensorflow as tf
from google.protobuf import message, text_format
from tensorflow.core.protobuf import meta_graph_pb2

from ig_tf.errors import ArtifactError
from ig_tf.model import assemble, contents

_STATE = "checkpoint"  # the file in which TensorFlow says which checkpoint is the latest
_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})$")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The files of a checkpoint, and what they hold.

    Attributes:
      prefix: path without .index or .data-...
      shapes: {tensor name: shape} of its contents.
      dtypes: {tensor name: tf.DType}.
    """

    prefix: str
    shapes: dict
    dtypes: dict

    def has(self, name):
        return name in self.shapes

    def files(self):
        """{place in a SavedModel: file}."""
        found = {"variables/variables.index": self.prefix + ".index"}
        for path in _shards(self.prefix):
            found["variables/variables" + path[len(self.prefix):]] = path
        return found

    def refuse_missing(self, entries):
        """Refuses entries (`restore.Entry`) that are not there, or of another type."""
        missing = [entry.name for entry in entries if entry.name not in self.shapes]
        if missing:
            raise ArtifactError(
                f"checkpoint {self.prefix!r} lacks variables that the graph needs: "
                f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''} "
                f"({len(missing)} of {len(entries)}); it has "
                f"{', '.join(sorted(self.shapes)[:5]) or 'none'}, ... "
                "Is it the checkpoint of this graph?")
        for entry in entries:
            wanted = tf.as_dtype(entry.dtype).base_dtype
            if self.dtypes[entry.name] != wanted:
                raise ArtifactError(f"variable {entry.name!r} is {wanted.name} in the graph and "
                                    f"{self.dtypes[entry.name].name} in checkpoint "
                                    f"{self.prefix!r}.")


def read(path, asked):
    """Reads a checkpoint and its metagraph.

    Args:
      path: the prefix (model.ckpt-1000), one of the files, or the folder with the state file.
      asked: `Asked`; inputs and outputs are needed where the metagraph has no signature.

    Returns:
      A `Model`; the checkpoint's files are its variables.
    """
    prefix, note = _prefix(os.fspath(path))
    meta = prefix + ".meta"
    if not os.path.exists(meta):
        raise ArtifactError(f"{meta!r} is not there: a checkpoint has weights but no graph. Give "
                            "the .meta file too (tf.compat.v1.train.export_meta_graph writes it "
                            "where the model is built; checkpoints of TensorFlow 2 objects never "
                            "have one), or a SavedModel.")
    checkpoint = opened(prefix)
    source = assemble.Source(
        path=str(path), meta_graph=read_meta_graph(meta), checkpoint=checkpoint,
        chosen=(f"checkpoint and metagraph {prefix}{note}; its files become variables/ as they "
                "are",), folders=(os.path.dirname(prefix) or ".",))
    return assemble.assembled(source, asked)


def is_prefix(path):
    """Whether a path that may not exist names a checkpoint."""
    return bool(os.path.exists(path + ".meta") or os.path.exists(path + ".index")
                or _shards(path))


def names_one(folder):
    """Whether a folder holds checkpoints: the state file, or metagraphs."""
    return bool(_stated(folder) or glob.glob(os.path.join(glob.escape(folder), "*.meta")))


def _prefix(path):
    """(prefix, words that say how it was found)."""
    if os.path.isdir(path):
        return _latest(path)
    for ending in (".meta", ".index"):
        if path.endswith(ending):
            return path[:-len(ending)], ""
    return _SHARD.sub("", path), ""


def _latest(folder):
    latest = _stated(folder)
    if latest:
        return latest, f" (the latest of {folder})"
    metas = sorted(glob.glob(os.path.join(glob.escape(folder), "*.meta")))
    if len(metas) != 1:
        listed = ", ".join(os.path.basename(meta)[:-5] for meta in metas) or "none"
        raise ArtifactError(f"{folder!r} has no state file `{_STATE}` that says which checkpoint "
                            f"is the latest; name one: {listed}.")
    return metas[0][:-5], f" (the only one of {folder})"


def _stated(folder):
    """The latest checkpoint that the state file names; it may have been moved with its folder."""
    try:
        state = tf.train.get_checkpoint_state(folder)
    except (tf.errors.OpError, text_format.ParseError, ValueError):  # another file of that name
        return None
    if state is None or not state.model_checkpoint_path:
        return None
    moved = os.path.join(folder, os.path.basename(state.model_checkpoint_path))
    return next((prefix for prefix in (moved, state.model_checkpoint_path)
                 if is_prefix(prefix)), None)


def _shards(prefix):
    return [path for path in sorted(glob.glob(glob.escape(prefix) + ".data-*"))
            if _SHARD.search(path)]


def opened(prefix):
    """The `Checkpoint` at a prefix; its index is read, its weights are not.

    Raises:
      ArtifactError: no such checkpoint, a missing or cut-off file, the format before 2016.
    """
    index, shards = prefix + ".index", _shards(prefix)
    if not os.path.exists(index):
        old = os.path.exists(prefix) or glob.glob(glob.escape(prefix) + "-?????-of-?????")
        if old:
            raise ArtifactError(
                f"{prefix!r} is a checkpoint in the first format (one file, no .index), which no "
                "SavedModel can hold: restore it and save it again with "
                "tf.compat.v1.train.Saver(write_version=tf.compat.v1.train.SaverDef.V2).")
        raise ArtifactError(f"no checkpoint at {prefix!r}: {index!r} is not there.")
    found = [tuple(map(int, _SHARD.search(path).groups())) for path in shards]
    total = found[0][1] if found else 1
    if found != [(number, total) for number in range(total)]:
        raise ArtifactError(f"checkpoint {prefix!r} is not complete: of its {total} data files "
                            f"there are {[os.path.basename(path) for path in shards]}.")
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = dict(reader.get_variable_to_shape_map())
        dtypes = dict(reader.get_variable_to_dtype_map())
    except Exception as error:  # TensorFlow's reader raises IndexError and others, too
        raise ArtifactError(f"TensorFlow cannot read {index!r} (cut off, or another kind of "
                            f"file): {error}") from error
    _refuse_short(prefix, shards, shapes, dtypes)
    return Checkpoint(prefix, shapes, dtypes)


def _refuse_short(prefix, shards, shapes, dtypes):
    """Data files that are shorter than what they hold were cut off."""
    needed = 0
    for name, shape in shapes.items():
        count = 1
        for dim in shape:
            count *= dim
        needed += count * (0 if dtypes[name] == tf.string else dtypes[name].size)
    there = sum(os.path.getsize(path) for path in shards)
    if there < needed:
        raise ArtifactError(f"the data files of checkpoint {prefix!r} have {there} bytes; its "
                            f"index speaks of {needed}: they were cut off.")


def read_meta_graph(path):
    """The MetaGraphDef of a .meta file, binary or text.

    Raises:
      ArtifactError: it is something else, or cut off.
    """
    data = contents.read_file(path)
    proto = meta_graph_pb2.MetaGraphDef()
    try:
        if contents.is_text(data):
            text_format.Parse(data.decode("utf-8"), proto)
        else:
            proto.ParseFromString(data)
    except (message.DecodeError, text_format.ParseError, UnicodeDecodeError,
            RecursionError) as error:
        raise ArtifactError(f"{path!r} is not a metagraph (truncated, or another kind of file): "
                            f"{error}") from error
    if not contents.is_graph(proto.graph_def):
        raise ArtifactError(f"{path!r} is not a metagraph with a graph: "
                            f"{contents.described(data)}.")
    return proto
