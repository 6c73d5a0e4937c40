"""What records choose of their own: the class to explain, and baselines.

A field `target` (or the column that is named) and fields `baseline/NAME` of a record go to the
inputs of that name of `attributions_custom`.
"""

import dataclasses
import os

from ig_tf.errors import RecordError
from ig_tf.run import artifact as artifacts
from ig_tf.run import npz

TARGET, OF_POINT, REFINEMENT = "target", "baseline/", "refinement"


@dataclasses.dataclass(frozen=True)
class Choices:
    """How the records of a file choose.

    Attributes:
      loaded: the `Artifact`.
      column: field with the index of the class; None: `target`, where the artifact takes one.
      common: {baseline/NAME: value} for records that do not say it themselves.
    """

    loaded: object
    column: object = None
    common: dict = dataclasses.field(default_factory=dict)

    def of(self, record, where):
        """{input of `attributions_custom`: array} of one record; empty where it chooses nothing.

        Raises:
          RecordError: the artifact does not take such a choice, or the value does not fit.
        """
        given = {**self.common, **{key: value for key, value in record.values.items()
                                   if key is not None and key.startswith(OF_POINT)
                                   and key not in self.loaded.inputs}}
        if self.column is not None and self.column not in record.values:
            raise RecordError(f"{where} has no {self.column!r}, the column of the target; it has "
                              f"{', '.join(map(str, record.values))}.")
        column = TARGET if self.column is None else self.column
        if column in record.values and (self.column or TARGET in taken(self.loaded)):
            given[TARGET] = record.values[column]
        if given:
            require(self.loaded, given, where)
        return {key: self._array(key, value, f"{where}, {key!r}")
                for key, value in sorted(given.items())}

    def _array(self, key, value, where):
        """One example's choice in the input's type; axes may be left out at the front."""
        array = artifacts.typed(value, self.loaded.custom.inputs[key], where)
        axes = rank(self.loaded, key) - 1
        if axes == 0 and array.size == 1:
            return array.reshape([])
        if array.ndim > axes:
            raise RecordError(f"{where}: found shape {list(array.shape)}; one example has {axes} "
                              "axes.")
        return array.reshape([1] * (axes - array.ndim) + list(array.shape))


def taken(loaded):
    """What a request may choose of an artifact, by input."""
    return loaded.metadata["custom"]["inputs"] if loaded.custom else {}


def rank(loaded, key):
    """The number of axes of such an input, that of the batch too."""
    return len(taken(loaded)[key]["shape"])


def require(loaded, keys, what):
    """Refuses what the artifact does not take, and says how it would.

    Raises:
      RecordError: one of the keys is no input of `attributions_custom`.
    """
    found = taken(loaded)
    missing = sorted(key for key in keys if key not in found)
    if not missing:
        return
    has = f"it takes {', '.join(found)}" if found else "it has no signature attributions_custom"
    points = ", ".join(point["name"] for point in loaded.metadata["points"])
    raise RecordError(
        f"{what}: {', '.join(missing)} cannot be chosen per request of {loaded.path!r}: {has}. "
        f"Instrument with --custom={','.join(sorted({*found, *missing}))} (points: {points}).")


def common_baselines(file):
    """{baseline/NAME: array} of an .npz with one array per point, each of one example.

    Raises:
      RecordError: no such file, or another kind of file.
    """
    file = os.fspath(file)
    try:
        return {OF_POINT + name: array for name, array in npz.arrays(file).items()}
    except (OSError, npz.BrokenFile) as error:
        raise RecordError(f"baselines {file!r} are no .npz of one array per point: "
                          f"{error}") from error
