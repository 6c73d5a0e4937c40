"""What a model's graph needs beyond TensorFlow itself."""

import importlib
import os
import sys

from ig_tf.errors import ArtifactError


def load(op_libraries, modules):
    """Loads libraries of custom ops, and imports modules that register ops or Keras layers.

    Raises:
      ArtifactError: one cannot be loaded.
    """
    import tensorflow as tf
    for file in op_libraries:
        try:
            tf.load_op_library(file)
        except (tf.errors.OpError, OSError, RuntimeError) as error:
            raise ArtifactError(f"--load_op_library={file} cannot be loaded: {error}") from error
    sys.path.append(os.getcwd())  # a module of the user's own
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ArtifactError(f"--import={module} cannot be imported: {error}") from error
