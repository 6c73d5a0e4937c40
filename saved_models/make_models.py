r"""Trains the small models of this folder on real data and exports them with held-out examples.

    pip install -r saved_models/requirements.txt
    python saved_models/make_models.py --output_dir=OUT [--models=NAME,...] [--vader_sdist=FILE]

Each model becomes a folder OUT/NAME: a SavedModel, and a file of held-out rows beside it. An
existing OUT/NAME is replaced. The accuracies that are printed are those of README.md.
"""

import os
import shutil
import tempfile

from absl import app
from absl import flags
import tensorflow as tf

from making import diabetes_columns
from making import digits_cnn
from making import question_types
from making import review_tokens
from making import shapes
from making import translation

MAKERS = {
    "diabetes_columns": diabetes_columns.make,
    "review_tokens": review_tokens.make,
    "digits_cnn": digits_cnn.make,
    "question_types": question_types.make,
    "shapes": shapes.make,
    "translation": translation.make,
}

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the folders of the models are written.", required=True)
_MODELS = flags.DEFINE_list("models", list(MAKERS), "Which models to make.")


def make(name, output_dir):
    """Makes one model beside the old one, and only then replaces that."""
    target = os.path.join(output_dir, name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, name)
        held_out, examples = MAKERS[name](folder)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
    print(f"{name}: accuracy {held_out:.3f} on the held-out rows, {examples:.3f} on the examples")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    unknown = sorted(set(_MODELS.value) - set(MAKERS))
    if unknown:
        raise app.UsageError(f"--models: needed names among {sorted(MAKERS)}; found {unknown}.")
    # Two runs on one machine give the same weights.
    tf.config.experimental.enable_op_determinism()
    # Feature columns warn that they are deprecated.
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    output_dir = os.path.abspath(_OUTPUT_DIR.value)
    os.makedirs(output_dir, exist_ok=True)
    for name in _MODELS.value:
        make(name, output_dir)


if __name__ == "__main__":
    app.run(main)
