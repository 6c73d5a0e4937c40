"""A Keras model, live or in a file: Keras exports it, and the export is read."""

import dataclasses
import importlib
import json
import os
import tempfile
import zipfile

from ig_tf.errors import ArtifactError
from ig_tf.model import contents, saved_model

ENDINGS = (".keras", ".h5", ".hdf5")
_PACKAGES = ("keras", "tf_keras")
_MOST_METADATA = 2**20  # bytes of metadata.json


def is_model(source):
    """Whether an object is a Keras model, of Keras 3 or tf_keras; imports neither."""
    return any(kind.__name__ == "Model" and kind.__module__.partition(".")[0] in _PACKAGES
               for kind in type(source).__mro__)


def read(source, asked):
    """Reads a Keras model by exporting it to a temporary SavedModel.

    Keras traces the model for that: its Python runs, as the user asks by giving a Keras model.

    Args:
      source: a keras.Model or tf_keras.Model, or a .keras or .h5 file of one.
      asked: `Asked`, of the export.

    Returns:
      A `Model` that owns the temporary folder.

    Raises:
      ArtifactError: the file cannot be loaded, Keras is missing, or the model cannot be exported.
    """
    if is_model(source):
        model, path = source, f"Keras model {getattr(source, 'name', '')!r}"
        word = f"live Keras model {getattr(source, 'name', '')!r}"
    else:
        path = os.fspath(source)
        model, package = _loaded(path)
        word = f"Keras file {path} (loaded by {package})"
    owner = tempfile.TemporaryDirectory(prefix="ig_tf_keras_")
    folder = os.path.join(owner.name, "model")
    _export(model, folder, path)
    read_back = saved_model.read(folder, asked)
    return dataclasses.replace(read_back, path=path, owner=owner, chosen=(
        f"{word}: exported as a SavedModel first, which runs the model's Python code",
        *read_back.chosen))


def _export(model, folder, path):
    try:
        model.export(folder, verbose=False) if _is_keras_3(model) else model.export(folder)
    except Exception as error:  # whatever the user's layers raise
        raise ArtifactError(
            f"Keras cannot export {path}: {type(error).__name__}: {error} (a model must have been "
            "built or called once, and run on the TensorFlow backend).") from error


def _is_keras_3(model):
    return any(kind.__module__.partition(".")[0] == "keras" for kind in type(model).__mro__)


def _loaded(path):
    """(the model of a file, the package that loaded it)."""
    errors = []
    for package in _packages_for(path):
        try:
            keras = importlib.import_module(package)
        except ImportError as error:
            errors.append(f"{package}: not installed ({error})")
            continue
        try:
            return keras.models.load_model(path, compile=False), package
        except Exception as error:  # whatever the user's layers raise
            errors.append(f"{package}: {_first_lines(error)}")
    raise ArtifactError(
        f"found a file, {path!r}, that Keras cannot load as a model. {'; '.join(errors)}. Layers "
        "of your own: import the module that registers them first (--import=MODULE). Files of "
        "Keras 2: install tf_keras. A file of weights alone has no model.")


def _first_lines(error):
    text = " ".join(line.strip() for line in str(error).strip().splitlines())
    return f"{type(error).__name__}: {text[:600]}"


def _packages_for(path):
    """Which package wrote the file, first."""
    head = contents.read_file(path, 8)
    if not head.startswith((contents.ZIP, contents.HDF5)):
        raise ArtifactError(f"found a file, {path!r}, that is no Keras model: "
                            f"{contents.described(contents.read_file(path))}.")
    if head.startswith(contents.HDF5):
        _refuse_stored_code(path)
    version = _version(path, head)
    return _PACKAGES[::-1] if version.startswith(("1.", "2.")) else _PACKAGES


def _refuse_stored_code(path):
    """An HDF5 file can hold Python of Lambda layers, which tf_keras would run without asking.

    Files that end in .keras are read by Keras in its safe mode, which refuses it by itself.
    """
    import h5py
    try:
        with h5py.File(path, "r") as file:
            config = json.loads(file.attrs.get("model_config", "{}"))
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"found a file, {path!r}, that Keras cannot load as a model: "
                            f"{error}") from error
    queue = [config]
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            if value.get("class_name") == "__lambda__" or any(
                    key.endswith("_type") and kind == "lambda" for key, kind in value.items()):
                raise ArtifactError(
                    f"the Keras file {path!r} holds Python code of a Lambda layer, which would run "
                    "on loading. If you trust whoever made it, load it yourself and give the live "
                    "model: ig_tf.load(tf_keras.models.load_model(path)).")
            queue.extend(value.values())
        elif isinstance(value, list):
            queue.extend(value)


def _version(path, head):
    """The Keras version that wrote a file, or ""."""
    try:
        if head.startswith(contents.ZIP):
            with zipfile.ZipFile(path) as archive, archive.open("metadata.json") as file:
                found = json.loads(file.read(_MOST_METADATA))
            return str(found.get("keras_version", "")) if isinstance(found, dict) else ""
        import h5py
        with h5py.File(path, "r") as file:
            version = file.attrs.get("keras_version", "")
        return version.decode() if isinstance(version, bytes) else str(version)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return ""
