"""The work folder: what is made once per model and read by every contender. Numpy only."""

import dataclasses
import json
import pathlib

import numpy as np

from tools.benchmarks.models import MODELS


@dataclasses.dataclass(frozen=True)
class Place:
    """Files of one model.

    Attributes:
      folder: where they lie.
    """

    folder: pathlib.Path

    @property
    def model(self):
        """The `Model`."""
        return MODELS[self.folder.name]

    @property
    def saved_model(self):
        """The exported SavedModel."""
        return self.folder / "saved_model"

    def instrumented(self, setting):
        """The SavedModel with attributions, by the name of a setting."""
        return self.folder / f"instrumented_{setting}"

    def weights(self):
        """{name: array} after training."""
        return _arrays(self.folder / "weights.npz")

    def examples(self):
        """{inputs [examples, ...], target [examples], scores}."""
        return _arrays(self.folder / "examples.npz")

    def reference(self):
        """{attributions, start, end} of the first examples, many nodes, own code."""
        return _arrays(self.folder / "reference.npz")

    def facts(self):
        """What is known of the training: accuracy, losses."""
        return json.loads((self.folder / "facts.json").read_text(encoding="utf-8"))


def place(work_dir, name):
    """The `Place` of a model."""
    return Place(pathlib.Path(work_dir) / name)


def summed(model, attributions):
    """Attributions as all contenders are compared: per id, or per element of a picture."""
    attributions = np.asarray(attributions, np.float64)
    ids = model.vocabulary and attributions.ndim == 3
    return attributions.sum(-1) if ids else attributions


def _arrays(file):
    with np.load(file) as arrays:
        return dict(arrays)
