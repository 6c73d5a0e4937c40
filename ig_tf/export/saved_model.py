"""Writes an instrumented SavedModel: aside first, then renamed into place."""

import json
import os
import shutil
import tempfile

from ig_tf.errors import OutputError
from ig_tf.model.model import METADATA_FILE

PROTO_FILE = "saved_model.pb"
EXTRA = "assets.extra"
# Written anew, or no longer true of the changed message.
_NOT_COPIED = ("saved_model.pb", "saved_model.pbtxt", "fingerprint.pb")


def copy_file(source, target):
    """Bytes copied; the file's times and mode too."""
    shutil.copy2(source, target)


def link_file(source, target):
    """A hard link: no bytes are copied, and source and output share the file."""
    os.link(source, target)


def write(source, output, proto, metadata, place=copy_file, overwrite=False):
    """Writes a SavedModel directory.

    Args:
      source: directory of the original; its variables, assets and other files are taken over.
      output: directory to make.
      proto: the `SavedModel` message.
      metadata: JSON-able record, written to assets.extra/ig_tf.json.
      place: `copy_file` or `link_file`.
      overwrite: replaces an output that exists.

    Raises:
      OutputError: the output exists, or cannot be written; nothing is left half-written.
    """
    source, output = os.path.abspath(source), os.path.abspath(os.fspath(output))
    _refuse(source, output, overwrite)
    parent = os.path.dirname(output)
    try:
        os.makedirs(parent, exist_ok=True)
        aside = tempfile.mkdtemp(prefix=f".{os.path.basename(output)}.", dir=parent)
    except OSError as error:
        raise OutputError(f"cannot write beside {output!r}: {error}") from error
    try:
        os.chmod(aside, 0o755)
        _copy_tree(source, aside, place)
        _write_bytes(os.path.join(aside, PROTO_FILE), proto.SerializeToString(deterministic=True))
        text = json.dumps(metadata, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        os.makedirs(os.path.join(aside, EXTRA), exist_ok=True)
        _write_bytes(os.path.join(aside, EXTRA, METADATA_FILE), text.encode())
        _into_place(aside, output)
    except OSError as error:
        raise OutputError(f"cannot write {output!r}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _refuse(source, output, overwrite):
    if os.path.realpath(output) == os.path.realpath(source):
        raise OutputError(f"the output {output!r} is the model itself; choose another directory.")
    if os.path.realpath(output).startswith(os.path.realpath(source) + os.sep):
        raise OutputError(f"the output {output!r} lies inside the model, which would change it; "
                          "choose another directory.")
    if os.path.realpath(source).startswith(os.path.realpath(output) + os.sep):
        raise OutputError(f"the model lies inside the output {output!r}; choose another directory.")
    if os.path.lexists(output) and not overwrite:
        raise OutputError(f"{output!r} exists; nothing was written. --overwrite replaces it.")
    if os.path.lexists(output) and not os.path.isdir(output):
        raise OutputError(f"{output!r} exists and is no directory.")


def _copy_tree(source, aside, place):
    for folder, folders, files in os.walk(source):
        folders.sort()
        relative = os.path.relpath(folder, source)
        os.makedirs(os.path.join(aside, relative), exist_ok=True)
        for name in sorted(files):
            if relative == "." and name in _NOT_COPIED:
                continue
            if relative == EXTRA and name == METADATA_FILE:
                continue
            place(os.path.join(folder, name), os.path.join(aside, relative, name))


def _write_bytes(path, data):
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _into_place(aside, output):
    """The old directory, if any, steps aside and is removed only when the new one stands."""
    if not os.path.isdir(output):
        os.rename(aside, output)
        return
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
