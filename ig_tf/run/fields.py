"""Columns of an input as the fields that a model takes: by another name, images as pixels, and
features as serialized tf.Examples."""

import dataclasses
import functools

from ig_tf.errors import RecordError
from ig_tf.run import artifact, images, parsing, sparse
from ig_tf.run.choices import OF_POINT, TARGET
from ig_tf.run.items import listed
from ig_tf.run.records import Record
from ig_tf.run.sources import IMAGE

_OTHERS = ("id", TARGET)


@dataclasses.dataclass(frozen=True)
class Fields:
    """How columns become inputs.

    Attributes:
      loaded: the `Artifact`.
      columns: {input: column}, for inputs that are called otherwise in the records; also for
        `id`, `target` and `baseline/POINT`, and for features of tf.Examples that the model parses.
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
                    not name.startswith(OF_POINT)) and name not in self._features:
                takes = ", ".join([*self.loaded.inputs, *self._features])
                raise RecordError(f"--columns: the model has no input {name!r}; it takes {takes}.")

    @functools.cached_property
    def _parsed(self):
        """{input: `parsing.Spec`} of inputs that are serialized tf.Examples."""
        if not self.loaded.path:  # a model that is not written yet, and records of its baseline
            return {}
        found = {name: parsing.spec_of(self.loaded.path, artifact.SIGNATURE, name)
                 for name, spec in self.loaded.inputs.items()
                 if not isinstance(spec, sparse.SparseSpec) and spec.dtype.name == "string"}
        return {name: spec for name, spec in found.items() if spec is not None}

    @functools.cached_property
    def _features(self):
        return list(dict.fromkeys(feature.key for spec in self._parsed.values()
                                  for feature in spec.features))

    def of(self, record):
        """The record with the fields that the model takes.

        Raises:
          RecordError: a column is missing, or an image cannot be decoded.
        """
        record = self._with_images(record)
        given, where = record.values, f"record {record.position}"
        if None in given or not any(name not in given for name in self.loaded.inputs):
            return record
        built = {name: spec.example(given, where) for name, spec in self._parsed.items()
                 if name not in given}
        return Record(record.position, {**given, **built}) if built else record

    def of_columns(self, columns, start):
        """As `of`, for records that lie beside each other, the first of them at `start`.

        Args:
          columns: {name: column}, as `Chunk.columns` has them.

        Returns:
          {name: column}; None: the records have to be looked at one by one.
        """
        if self.columns:
            if None in columns or not {*self.columns.values()} <= {*columns}:
                return None
            columns = self._renamed(columns, "")
        if None in columns or not any(name not in columns for name in self.loaded.inputs):
            return columns
        built = {name: _examples(spec, columns, start) for name, spec in self._parsed.items()
                 if name not in columns}
        return None if None in built.values() else {**columns, **built}

    def _with_images(self, record):
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


def _examples(spec, columns, start):
    """A column of serialized tf.Examples; None: a record makes none."""
    rows = zip(*map(listed, columns.values()))
    try:
        return [spec.example(dict(zip(columns, row)), f"record {start + place}")
                for place, row in enumerate(rows)]
    except RecordError:
        return None


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
