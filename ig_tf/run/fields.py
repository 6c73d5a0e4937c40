"""Columns of an input as the fields that a model takes: by another name, and images as pixels."""

import dataclasses

from ig_tf.errors import RecordError
from ig_tf.run import images, sparse
from ig_tf.run.choices import OF_POINT, TARGET
from ig_tf.run.records import Record
from ig_tf.run.sources import IMAGE

_OTHERS = ("id", TARGET)


@dataclasses.dataclass(frozen=True)
class Fields:
    """How columns become inputs.

    Attributes:
      loaded: the `Artifact`.
      columns: {input: column}, for inputs that are called otherwise in the records; also for
        `id`, `target` and `baseline/POINT`.
      image_range: what black and white are for inputs of floats.

    Raises:
      RecordError: the model has no such input.
    """

    loaded: object
    columns: dict = dataclasses.field(default_factory=dict)
    image_range: tuple = images.RANGE

    def __post_init__(self):
        for name in self.columns:
            if name not in self.loaded.inputs and name not in _OTHERS and (
                    not name.startswith(OF_POINT)):
                raise RecordError(f"--columns: the model has no input {name!r}; it takes "
                                  f"{', '.join(self.loaded.inputs)}.")

    def of(self, record):
        """The record with the fields that the model takes.

        Raises:
          RecordError: a column is missing, or an image cannot be decoded.
        """
        where, given = f"record {record.position}", record.values
        if self.columns:
            given = self._renamed(given, where)
        pictures = [name for name, value in given.items() if isinstance(value, images.Encoded)]
        if not pictures:
            return record if given is record.values else Record(record.position, given)
        given = dict(given)
        if IMAGE in pictures and IMAGE not in self.loaded.inputs and len(self.loaded.inputs) == 1:
            given[next(iter(self.loaded.inputs))] = given.pop(IMAGE)
        for name, spec in self.loaded.inputs.items():
            if isinstance(given.get(name), images.Encoded):
                given[name] = self._image(given[name], name, spec, where)
        return Record(record.position, given)

    def _renamed(self, given, where):
        if None in given:
            raise RecordError(f"{where}: --columns names columns; serialized records have none.")
        missing = [column for column in self.columns.values() if column not in given]
        if missing:
            raise RecordError(f"{where} has no column {missing[0]!r}; it has "
                              f"{', '.join(map(str, given)) or 'nothing'}.")
        taken = set(self.columns.values())
        return {**{name: value for name, value in given.items() if name not in taken},
                **{name: given[column] for name, column in self.columns.items()}}

    def _image(self, encoded, name, spec, where):
        if isinstance(spec, sparse.SparseSpec) or spec.dtype.name == "string":
            return bytes(encoded)
        return images.pixels(encoded, spec, self.loaded.axis(name), f"{where}, input {name!r}",
                             self.image_range)


def columns_of(pairs):
    """{input: column} of INPUT=COLUMN texts.

    Raises:
      RecordError: one has another form, or an input is named twice.
    """
    found = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not (name and equals and column) or name in found:
            raise RecordError(f"--columns={pair}: expected INPUT=COLUMN, each input once.")
        found[name] = column
    return found
