"""Any model artifact, told by what it is and read by the reader for it. A new kind is a row."""

import dataclasses
import os

from ig_tf.errors import ArtifactError, SignatureError
from ig_tf.model.asked import Asked
from ig_tf.model import checkpoint, contents, graph_file, hub, keras, live, saved_model


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of artifact.

    Attributes:
      name: what it is called in messages.
      recognises: callable(source) -> bool.
      read: callable(source, `Asked`) -> `Model`.
    """

    name: str
    recognises: object
    read: object


def read(source, asked=Asked()):
    """Reads a model, whatever it is.

    Args:
      source: a path, a TensorFlow Hub handle, a Keras model, a tf.Graph or a tf.compat.v1.Session.
      asked: `Asked`.

    Returns:
      A `Model`.

    Raises:
      ArtifactError: it is none of the kinds, or broken.
      SignatureError: tags, signature, inputs or outputs are missing, not there or not clear.
    """
    if asked.session is not None and not live.is_live(source):
        raise SignatureError("a session belongs to a live graph: ig_tf.load(graph, "
                             "session=session).")
    if live.is_live(source):
        return live.read(source, asked)
    if not isinstance(source, (str, os.PathLike)) and not keras.is_model(source):
        raise ArtifactError(
            f"a model is a path, a Hub handle, a Keras model, a tf.Graph or a "
            f"tf.compat.v1.Session; found {type(source).__name__}.")
    for kind in KINDS:
        if kind.recognises(source):
            return kind.read(source, asked)
    raise _unknown(os.fspath(source))


def _file(test):
    """A recogniser of files by their path and first bytes."""
    def recognises(source):
        path = os.fspath(source)
        return os.path.isfile(path) and test(path, contents.read_file(path, 16))
    return recognises


def _folder(test):
    def recognises(source):
        path = os.fspath(source)
        return os.path.isdir(path) and test(path)
    return recognises


def _has(*names):
    return lambda folder: any(os.path.exists(os.path.join(folder, name)) for name in names)


def _is_saved_model_folder(folder):
    return _has(*saved_model.PROTO_FILES)(folder)


def _is_checkpoint(source):
    """A prefix, whose files have more to their names, or one of the files."""
    path = os.fspath(source)
    ending = path.endswith((".meta", ".index")) or ".data-" in os.path.basename(path)
    return not os.path.isdir(path) and (checkpoint.is_prefix(path)
                                        or os.path.exists(path) and ending)


def _is_archive(path, head):
    return path.endswith(hub.ARCHIVES) or head.startswith(contents.GZIP)


def _is_keras_file(path, head):
    return path.endswith(keras.ENDINGS) or head.startswith((contents.HDF5, contents.ZIP))


KINDS = (
    Kind("Keras model", keras.is_model, keras.read),
    Kind("Hub handle", lambda source: "://" in os.fspath(source), hub.read),
    Kind("Hub module", _folder(_has(hub.MODULE_FILE)), hub.read_module),
    Kind("SavedModel", _folder(_is_saved_model_folder), saved_model.read),
    Kind("checkpoint folder", _folder(checkpoint.names_one), checkpoint.read),
    Kind("checkpoint", _is_checkpoint, checkpoint.read),
    Kind("Keras file", _file(_is_keras_file), keras.read),
    Kind("Hub archive", _file(_is_archive), hub.read_archive),
    Kind("graph file", _file(lambda path, head: True), graph_file.read),
)


def _unknown(path):
    """Why a path is no model."""
    if not os.path.isdir(path):
        return ArtifactError(f"a model is a SavedModel folder, a graph file, a checkpoint prefix, "
                             f"a Keras file or a Hub handle; found nothing at {path!r}.")
    names = sorted(os.listdir(path))
    inner = [name for name in names if _is_saved_model_folder(os.path.join(path, name))]
    if inner:
        return ArtifactError(f"{path!r} is not a SavedModel; it holds some: give one of them, for "
                             f"example {os.path.join(path, inner[-1])!r}.")
    return ArtifactError(
        f"{path!r} is not a SavedModel: it has neither {' nor '.join(saved_model.PROTO_FILES)}; "
        f"found {names[:10]}.")
