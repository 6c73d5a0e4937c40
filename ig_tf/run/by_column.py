"""Records that lie beside each other, checked against what a model takes, by column.

What the checks of single records (`explain`, `fields`, `choices`) accept, and what they make of it,
is the measure: where a column is not as plain as that can be told of all its values at once, there
is no `Table`, and the records are looked at one by one.
"""

import dataclasses

import numpy as np

from ig_tf.errors import RecordError
from ig_tf.run import records, sparse, tables
from ig_tf.run.alike import Alike
from ig_tf.run.choices import OF_POINT, TARGET, taken
from ig_tf.run.items import Numbers, listed

_WHOLE = 2**53  # whole numbers up to here are the same as float64
_PLAIN = {"int64": {int}, "double": {float}, "bool": {bool}, "string": {str}}


@dataclasses.dataclass(frozen=True)
class Table:
    """Records that fit the model.

    Attributes:
      start: position of the first.
      count: how many.
      given: {name: column}, as the model's fields.
      kept: {pass-through column: list of values in its type}.
      groups: `Alike`, in the order of the first record of each.
    """

    start: int
    count: int
    given: dict
    kept: dict
    groups: tuple

    def ids(self):
        """What the caller calls each."""
        return [*map(str, listed(self.given["id"]) if "id" in self.given
                     else range(self.start, self.start + self.count))]


class ByColumn:
    """Reads windows of a job.

    Args:
      explainer: an `Explainer`.
      fields: `Fields`.
      kept: {pass-through column: type}.

    Attributes:
      fits: whether there may be tables at all.
    """

    def __init__(self, explainer, fields, kept):
        self._explainer, self._fields, self._kept = explainer, fields, kept
        loaded = explainer.loaded
        self._inputs = {name: None if isinstance(spec, sparse.SparseSpec) else (
            spec.dtype, None if spec.shape.rank is None else spec.shape.as_list()[1:])
            for name, spec in loaded.inputs.items()}
        # One row of results for each record, of one request, and axes that begin with the batch.
        self.fits = not loaded.folded and explainer.row_error is None and not any(
            one is None or loaded.axis(name) or loaded.scalar(name)
            for name, one in self._inputs.items())

    def table(self, parts):
        """The `Table` of a window; None: its records have to be looked at one by one.

        Args:
          parts: its `Part`s.
        """
        columns = _joined(parts) if self.fits else None
        if not columns:
            return None
        start, count = parts[0].position, sum(map(len, parts))
        kept = self._kept_of(columns, start)
        given = None if kept is None else self._fields.of_columns(columns, start)
        chosen = None if given is None else self._chosen(given, start, count)
        groups = None if chosen is None else self._groups(given, chosen, count)
        return None if groups is None else Table(start, count, given, kept, groups)

    def _kept_of(self, columns, start):
        if not self._kept:
            return {}
        if None in columns:
            columns = _of_examples(columns[None], self._kept)
        if columns is None or not {*self._kept} <= {*columns}:
            return None
        found = {name: _kept(listed(columns[name]), kind) for name, kind in self._kept.items()}
        return None if any(column is None for column in found.values()) else found

    def _chosen(self, given, start, count):
        """What each record chooses; None: one of them is refused."""
        choosing, inputs = self._explainer.choosing, self._explainer.loaded.inputs
        own = [name for name in given if name is not None and name not in inputs and
               name.startswith(OF_POINT)]
        if not (own or choosing.common or choosing.column is not None or
                TARGET in given and TARGET in taken(self._explainer.loaded)):
            return [{}] * count
        rows = zip(*map(listed, given.values()))
        try:
            return [choosing.of(records.Record(start + place, dict(zip(given, row))),
                                f"record {start + place}") for place, row in enumerate(rows)]
        except RecordError:
            return None

    def _groups(self, given, chosen, count):
        """Every `Alike`; None: a value does not fit."""
        if None in given:
            given = {next(iter(self._inputs)): given[None]} if len(self._inputs) == 1 else {}
        if not {*self._inputs} <= {*given}:
            return None
        arrays = {name: _array(given[name], *takes) for name, takes in self._inputs.items()}
        ragged = [name for name, array in arrays.items() if array is None]
        if not ragged and not any(chosen):
            return (Alike(list(range(count)), arrays, chosen),)
        columns = [given[name] for name in ragged]
        if not all(isinstance(column, list) and {*map(type, column)} == {list}
                   for column in columns):
            return None
        keys = [(*map(len, row), *((name, value.shape) for name, value in one.items()))
                for *row, one in zip(*columns, chosen)]
        places = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        found = [Alike(some, {name: _array([given[name][place] for place in some], *takes)
                              if arrays[name] is None else arrays[name][some]
                              for name, takes in self._inputs.items()},
                       [chosen[place] for place in some]) for some in places.values()]
        return None if any(array is None for one in found for array in one.arrays.values()) else (
            tuple(found))


def _joined(parts):
    """{name: column} of all parts; None: there are none, or other ones in each."""
    found = [part.columns() for part in parts]
    if any(one is None or list(one) != list(found[0] or ()) for one in found):
        return None
    if len(found) == 1:
        return found[0]
    return {name: _one_after_another([one[name] for one in found]) for name in found[0]}


def _one_after_another(columns):
    arrays = [column.array if isinstance(column, Numbers) else column for column in columns]
    if {*map(type, columns)} in ({Numbers}, {np.ndarray}) and (
            len({(array.dtype, array.shape[1:]) for array in arrays}) == 1):
        joined = np.concatenate(arrays)
        return Numbers(joined) if isinstance(columns[0], Numbers) else joined
    return [value for column in columns for value in listed(column)]


def _of_examples(raws, names):
    """Some features of serialized tf.Examples as columns; None: one has not all of them."""
    found = [records.example_features(raw, names) for raw in raws]
    if any(len(one) < len(names) for one in found):
        return None
    return {name: [one[name] for one in found] for name in names}


def _kept(values, kind):
    """Pass-through values in their column's type; None: one is of another type."""
    types = {*map(type, values)}
    if types <= _PLAIN[kind]:
        return values if kind != "string" or "".join(values).isascii() else [
            *map(tables.text, values)]
    try:
        return [tables.as_type(value, kind, "") for value in values]
    except RecordError:
        return None


def _array(column, dtype, shape):
    """A column as the array of an input, in its type; None: it is not one as it stands.

    Args:
      dtype: the tf.DType.
      shape: of one record, None where a size may vary; or None: any.
    """
    array = _texts(column) if dtype.name == "string" else _numbers(column, dtype.as_numpy_dtype)
    if array is None or shape is None or list(array.shape[1:]) == shape:
        return array
    if array.ndim - 1 != len(shape) and array.size == len(array):
        array = array.reshape([len(array)] + [1] * len(shape))
    fits = array.ndim - 1 == len(shape) and all(
        size is None or size == found for size, found in zip(shape, array.shape[1:]))
    return array if fits else None


def _numbers(column, dtype):
    kind = np.dtype(dtype).kind
    if isinstance(column, Numbers):
        array = _cast(column.array, np.dtype(dtype))
        if array is not None:
            return array
    elif isinstance(column, np.ndarray) and (
            column.dtype == dtype or column.dtype.kind == kind == "f"):
        return column.astype(dtype)
    values = listed(column)
    if kind not in "iuf" and not {*map(type, values)} <= {bool}:
        return None
    try:
        return np.array(values, dtype)
    except (ValueError, TypeError, OverflowError):
        return None


def _cast(array, dtype):
    """Python's numbers in another type, as NumPy casts each of them; None: not so simple."""
    if array.dtype == dtype:
        return array
    kinds = array.dtype.kind, dtype.kind
    if kinds == ("f", "f"):
        return array.astype(dtype)
    if array.dtype.kind not in "iu" or not array.size:
        return None
    low, high = int(array.min()), int(array.max())
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return array.astype(dtype) if limits.min <= low and high <= limits.max else None
    fits = dtype in (np.float32, np.float64) and -_WHOLE <= low and high <= _WHOLE
    return array.astype(dtype) if fits else None


def _texts(column):
    """Texts and bytes as bytes, an array of objects; lists of them, where all have one length."""
    values = listed(column)
    types = {*map(type, values)}
    if types == {list} and len({*map(len, values)}) == 1:
        flat = _texts([value for row in values for value in row])
        return None if flat is None or flat.ndim > 1 else flat.reshape(len(values), -1)
    if not all(issubclass(one, (str, bytes)) for one in types):
        return None
    try:
        values = [*map(str.encode, values)] if types == {str} else [
            value.encode("utf-8") if isinstance(value, str) else value for value in values]
    except UnicodeEncodeError:
        return None
    array = np.empty(len(values), object)
    array[:] = values
    return array
