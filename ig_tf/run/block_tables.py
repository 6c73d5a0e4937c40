"""Blocks as columns of a table, the same as `tables.row` makes of single results.

A column is None (null in all rows), `Some` (a value per row) or `Lists`.
"""

import dataclasses
import itertools

import numpy as np

from ig_tf.run import tables
from ig_tf.run.results import NUMBERS

_FLOATS = {"floats": np.float32, "doubles": np.float64}


@dataclasses.dataclass(frozen=True)
class Some:
    """A value per row.

    Attributes:
      values: a list, where None is null; or an array.
      valid: bool [rows], where an array has values; None: everywhere.
    """

    values: object
    valid: object = None


@dataclasses.dataclass(frozen=True)
class Lists:
    """A list per row.

    Attributes:
      values: of all rows, one after the other: an array, or a list of texts.
      ends: where those of each row end, int64 [rows + 1] from 0.
    """

    values: object
    ends: np.ndarray


def columns(block, schema):
    """{name: column} of a block, for all columns of a schema (`tables.schema`)."""
    table, count = block.table, len(block)
    found, types = {}, dict(schema)
    found.update(
        id=Some(block.of(table.ids())), status=Some(block.statuses),
        position=Some(np.array(block.group.places, np.int64) + table.start),
        target=Some(block.by_target(lambda target: target.text() or None)),
        target_index=Some(block.by_target(
            lambda target: target.index if isinstance(target.index, int) else None)),
        target_label=Some(block.by_target(lambda target: target.label)))
    for name in NUMBERS:
        if block.numbers[name] is not None:
            found[name] = _finite(block.numbers[name])
    if block.spread is not None:
        found["spread"] = _finite(np.array(block.spread, np.float64))
    for name, values in block.features.items():
        found[f"features/{name}"] = Some(values)
    for point in block.points:
        found.update(_point(point, types, count))
    for name, values in table.kept.items():
        found[name] = Some(block.of(values))
    return {name: found.get(name) for name in types}


def rows(block, schema):
    """The same as dictionaries of Python's values, one for each row."""
    found = {name: _values(column, len(block)) for name, column in columns(block, schema).items()}
    return [dict(zip(found, row)) for row in zip(*found.values())]


def _values(column, count):
    if column is None:
        return [None] * count
    values = column.values.tolist() if isinstance(column.values, np.ndarray) else column.values
    if isinstance(column, Lists):
        return [values[start:stop] for start, stop in itertools.pairwise(column.ends.tolist())]
    if column.valid is None:
        return values
    return [value if valid else None for value, valid in zip(values, column.valid.tolist())]


def joined(several):
    """The columns of several blocks of one schema, one after the other."""
    return {name: _joined([one[name] for one in several]) for name in several[0]}


def _joined(columns):
    first = columns[0]
    if first is None or len(columns) == 1:
        return first
    values = np.concatenate([one.values for one in columns]) if isinstance(
        first.values, np.ndarray) else [value for one in columns for value in one.values]
    if isinstance(first, Lists):
        before = np.cumsum([0, *(one.ends[-1] for one in columns[:-1])])
        return Lists(values, np.concatenate([first.ends[:1], *(
            one.ends[1:] + start for one, start in zip(columns, before))]))
    if all(one.valid is None for one in columns):
        return Some(values)
    return Some(values, np.concatenate([
        np.ones(len(one.values), bool) if one.valid is None else one.valid for one in columns]))


def _finite(values):
    valid = np.isfinite(values)
    return Some(values, None if valid.all() else valid)


def _point(point, types, count):
    """The columns of a point."""
    name, sizes = point.name, list(point.scores.shape[1:])
    width = int(np.prod(sizes, dtype=np.int64))
    if point.tokens is None:
        ends = np.arange(count + 1) * width
        shapes = np.tile(np.array(sizes, np.int64), count)
    else:
        ends = point.ends * width
        shapes = np.tile(np.array([0, *sizes], np.int64), (count, 1))
        shapes[:, 0] = np.diff(point.ends)
        shapes = shapes.ravel()
    scores = point.scores.ravel().astype(_FLOATS[types[f"attributions/{name}"]], copy=False)
    found = {f"attributions/{name}": Lists(scores, ends), f"shape/{name}": Lists(
        shapes, np.arange(count + 1) * (len(shapes) // count))}
    if point.tokens is not None:
        found[f"tokens/{name}"] = Lists(_texts(point.tokens), point.ends)
    return found


def _texts(tokens):
    texts = [*map(str, tokens)]
    return texts if "".join(texts).isascii() else [*map(tables.text, texts)]
