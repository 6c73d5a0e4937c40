"""Records of equal shapes as arrays of all of them: what a request takes."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Alike:
    """Records that share requests.

    Attributes:
      places: of the records, in the window that they are from.
      arrays: {input: array [records, ...]}.
      chosen: {input of `attributions_custom`: array} of each.
    """

    places: list
    arrays: dict
    chosen: list

    def __len__(self):
        return len(self.places)

    def part(self, start, stop):
        """Those from `start` to `stop` - 1."""
        if start == 0 and stop >= len(self):
            return self
        return Alike(self.places[start:stop], {
            name: array[start:stop] for name, array in self.arrays.items()},
            self.chosen[start:stop])

    def filled(self, missing):
        """The arrays with the last record repeated so many times."""
        if not missing:
            return dict(self.arrays)
        return {name: np.concatenate([array, np.repeat(array[-1:], missing, 0)])
                for name, array in self.arrays.items()}
