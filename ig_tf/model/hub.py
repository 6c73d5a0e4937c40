"""Models of TensorFlow Hub: a handle, an archive, or a folder in the first Hub format."""

import dataclasses
import http.client
import os
import socket
import tarfile
import tempfile
import threading

import tensorflow as tf

from ig_tf.errors import ArtifactError
from ig_tf.model import saved_model

MODULE_FILE = "tfhub_module.pb"  # beside saved_model.pb in the first Hub format
ARCHIVES = (".tar.gz", ".tgz", ".tar")
SILENCE_SECONDS = 20  # a server that says nothing for so long is not reachable
LIMIT_SECONDS = 1800  # for a whole download
# An archive is unpacked up to these: what has more is no model, but made to fill the disk.
MOST_MEMBERS = 100_000
MOST_BYTES = 2**36
MOST_RATIO = 200  # bytes unpacked for each of the archive, once they are many
_MANY_BYTES = 2**30
_FAILURES = (OSError, ValueError, RuntimeError, EOFError, tarfile.TarError, tf.errors.OpError,
             http.client.HTTPException)


def read(handle, asked):
    """Reads a model that `tensorflow_hub.resolve` finds: from its cache, or downloaded.

    Args:
      handle: what hub.load takes: https://..., gs://..., or a path.
      asked: `Asked`.

    Raises:
      ArtifactError: tensorflow_hub is not there, or the handle cannot be reached.
    """
    handle = os.fspath(handle)
    folder = _resolved(handle)
    model = read_module(folder, asked)
    return dataclasses.replace(model, chosen=(
        f"TensorFlow Hub handle {handle} (resolved to {folder})", *model.chosen))


def read_module(folder, asked):
    """Reads a folder that Hub knows: a SavedModel, or a module in the first Hub format.

    Such a module is a SavedModel whose tag set to serve is empty and whose signature is called
    `default`.
    """
    folder = os.fspath(folder)
    if not os.path.exists(os.path.join(folder, MODULE_FILE)):
        return saved_model.read(folder, asked)
    if asked.tags is None:
        asked = dataclasses.replace(asked, tags=())
    return saved_model.read(folder, asked, usual=("default",),
                            note=f"TensorFlow Hub module in the first format ({MODULE_FILE})")


def read_archive(path, asked):
    """Reads a module that was downloaded as an archive (.tar.gz)."""
    path = os.fspath(path)
    owner = tempfile.TemporaryDirectory(prefix="ig_tf_hub_")
    try:
        with tarfile.open(path) as archive:
            _unpack(archive, owner.name, os.stat(path).st_size)
    except _FAILURES as error:
        raise ArtifactError(f"{path!r} is no archive of a model (cut off, or another kind of "
                            f"file): {error}") from error
    model = read_module(_top(owner.name), asked)
    return dataclasses.replace(model, path=path, owner=owner,
                               chosen=(f"archive {path}", *model.chosen))


def _unpack(archive, folder, size):
    """Writes the members of an archive, while they stay within the folder and the limits.

    Raises:
      tarfile.TarError: one leads outside, is a device, or they are too many or too large.
    """
    total = 0
    for count, member in enumerate(archive, 1):
        total += member.size
        if count > MOST_MEMBERS or total > MOST_BYTES or (
                total > _MANY_BYTES and total > MOST_RATIO * size):
            raise tarfile.TarError(f"it would unpack to more than {count - 1:,} files or "
                                   f"{total:,} bytes, from {size:,}")
        archive.extract(member, folder, filter="data")


def _top(folder):
    """The folder of the model: the archive's top, or the only folder in it."""
    names = sorted(os.listdir(folder))
    while len(names) == 1 and os.path.isdir(os.path.join(folder, names[0])):
        folder = os.path.join(folder, names[0])
        names = sorted(os.listdir(folder))
    return folder


def _resolved(handle):
    """The folder that a handle stands for."""
    try:
        import tensorflow_hub
    except ImportError as error:
        raise ArtifactError(f"{handle!r} needs the package tensorflow_hub (and tf_keras, which it "
                            f"imports): {error}") from error
    found = []

    def resolve():
        try:
            found.append(tensorflow_hub.resolve(handle))
        except _FAILURES as error:
            found.append(error)

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        thread = threading.Thread(target=resolve, daemon=True)
        thread.start()
        thread.join(LIMIT_SECONDS if handle.startswith("http") else 6 * SILENCE_SECONDS)
    finally:
        socket.setdefaulttimeout(before)
    answer = found[0] if found else "no answer in time"
    if isinstance(answer, str) and found and os.path.isdir(answer):
        return answer
    raise ArtifactError(
        f"TensorFlow Hub handle {handle!r} cannot be reached: {answer}. Without a network: "
        "download it elsewhere and give the folder or the .tar.gz, or point TFHUB_CACHE_DIR "
        f"(now {os.environ.get('TFHUB_CACHE_DIR', 'not set')}) to a cache that has it.")
