"""Writes an instrumented SavedModel: aside first, then renamed into place."""

import json
import os
import shutil
import tempfile

from ig_tf.errors import OutputError
from ig_tf.export import exchange
from ig_tf.model.model import EXTRA, METADATA_FILE

PROTO_FILE = "saved_model.pb"
BLOCK = 256 << 10  # bytes


def copy_file(source, target):
    """Bytes copied; the file's times and mode too. In blocks that stay in a processor's cache:
    faster than calls that leave the copying to the system."""
    with open(source, "rb", buffering=0) as given, open(target, "wb") as made:
        shutil.copyfileobj(given, made, BLOCK)
    shutil.copystat(source, target)


def link_file(source, target):
    """A hard link: no bytes are copied, and source and output share the file."""
    os.link(source, target)


def version_folder(output, version):
    """The directory OUTPUT/N of a version, as TensorFlow Serving looks for it.

    Raises:
      OutputError: no such version, or the output is itself a SavedModel.
    """
    if not isinstance(version, int) or isinstance(version, bool) or not 0 < version < 2**63:
        raise OutputError(f"a version is a positive whole number; found {version!r}.")
    if os.path.exists(os.path.join(output, PROTO_FILE)):
        raise OutputError(f"{os.fspath(output)!r} is a SavedModel; with a version it should be the "
                          "directory of the versions, which a server is given as base path.")
    return os.path.join(output, str(version))


def write(model, output, proto, metadata, place=copy_file, overwrite=False,
          finish=lambda folder: None):
    """Writes a SavedModel directory.

    Args:
      model: the `Model`; its files (variables, assets and others) are taken over as they are.
      output: directory to make.
      proto: the `SavedModel` message.
      metadata: JSON-able record, written to assets.extra/ig_tf.json.
      place: `copy_file` or `link_file`.
      overwrite: replaces an output that exists.
      finish: called with the folder when all is written, before it gets its name.

    Raises:
      OutputError: the output exists, or cannot be written; nothing is left half-written.
    """
    output = os.path.abspath(os.fspath(output))
    refuse(model, output, overwrite)
    parent = os.path.dirname(output)
    try:
        os.makedirs(parent, exist_ok=True)
        aside = tempfile.mkdtemp(prefix=f".{os.path.basename(output)}.", dir=parent)
    except OSError as error:
        raise OutputError(f"cannot write beside {output!r}: {error}") from error
    try:
        os.chmod(aside, 0o755)
        _place_files(model.files, aside, place)
        _write_bytes(os.path.join(aside, PROTO_FILE), proto.SerializeToString(deterministic=True))
        text = json.dumps(metadata, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        os.makedirs(os.path.join(aside, EXTRA), exist_ok=True)
        _write_bytes(os.path.join(aside, EXTRA, METADATA_FILE), text.encode())
        finish(aside)
        _sync_folders(aside)
        _into_place(aside, output)
    except OSError as error:
        raise OutputError(f"cannot write {output!r}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def refuse(model, output, overwrite):
    """Refuses an output that `write` would refuse, before there is anything to write.

    Raises:
      OutputError: it exists already, or is the model itself, in it or around it.
    """
    output = os.path.abspath(os.fspath(output))
    for source in _sources(model):
        if os.path.realpath(output) == source:
            raise OutputError(f"the output {output!r} is the model itself; choose another "
                              "directory.")
        if os.path.isdir(source) and os.path.realpath(output).startswith(source + os.sep):
            raise OutputError(f"the output {output!r} lies inside the model, which would change "
                              "it; choose another directory.")
        if source.startswith(os.path.realpath(output) + os.sep):
            raise OutputError(f"the model lies inside the output {output!r}; choose another "
                              "directory.")
    if os.path.lexists(output) and not overwrite:
        raise OutputError(f"{output!r} exists; nothing was written. --overwrite replaces it.")
    if os.path.lexists(output) and not os.path.isdir(output):
        raise OutputError(f"{output!r} exists and is no directory.")


def _sources(model):
    """Real paths that must not be overwritten: of the model, and of each file of it."""
    found = [os.path.realpath(file) for file in model.files.values()]
    if os.path.exists(model.path):
        found.insert(0, os.path.realpath(model.path))
    return found


def _place_files(files, aside, place):
    for relative, source in files.items():
        target = os.path.join(aside, *relative.split("/"))
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        place(source, target)
        if place is not link_file:  # a linked file is on the disk already
            _sync(target)


def _write_bytes(path, data):
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(path):
    """Brings a file, or the names in a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _sync_folders(top):
    for folder, _, _ in os.walk(top):
        _sync(folder)


def _into_place(aside, output):
    """The new directory takes the name; the old one, if any, is then aside, to be removed."""
    if not os.path.isdir(output):
        os.rename(aside, output)
    elif not exchange.exchanged(aside, output):
        _by_two_renames(aside, output)
    _sync(os.path.dirname(output))


def _by_two_renames(aside, output):
    """The old directory steps aside and is removed only when the new one stands."""
    folder = tempfile.mkdtemp(prefix=f".{os.path.basename(output)}.old.",
                              dir=os.path.dirname(output))
    old = os.path.join(folder, "model")
    try:
        os.rename(output, old)
        os.rename(aside, output)
    finally:  # whatever interrupted it: an old directory without a successor goes back
        if os.path.isdir(old) and not os.path.isdir(output):
            os.rename(old, output)
        shutil.rmtree(folder, ignore_errors=True)
