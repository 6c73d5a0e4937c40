"""Blocks as lines of JSON, the same as `row_of` and `dump` make of single results.

A line is a template that all rows of a block share, filled with texts of single values. Numbers
become texts many at once.
"""

import json
import math

import numpy as np

from ig_tf.run import choices, parsing, records, shortest
from ig_tf.run.items import listed
from ig_tf.run.results import NUMBERS
from ig_tf.run.results_json import target_row, value_row
from ig_tf.run.results_packed import MOST_LISTED
from ig_tf.run.results_values import decoded, dump

_SHORT = 64  # characters: no text of fewer is a picture
_SPLICED = 32  # numbers of an array that stand in the template one by one, at most


class Lines:
    """What the lines of a block are made of.

    Args:
      block: the `Block`.
    """

    def __init__(self, block):
        self._block, self._texts, self._columns = block, [], []

    def made(self):
        """The line of each row, without its end."""
        block, table = self._block, self._block.table
        self._fixed('{"position": ')
        self._column([str(table.start + place) for place in block.group.places])
        self._fixed(', "id": ')
        self._column([*map(_text, block.of(table.ids()))])
        self._fixed(', "status": "')
        self._column(block.statuses)
        self._fixed('", "message": "", "target": ')
        self._column(block.by_target(lambda target: _text(target_row(target))))
        for name in NUMBERS:
            self._fixed(f', "{name}": ')
            self._column(_numbers(block.numbers[name], len(block)))
        self._fixed(', "points": [')
        self._points()
        self._fixed('], "features": {')
        self._named({name: _numbers(values) for name, values in block.features.items()})
        self._fixed('}, "inputs": ')
        self._inputs()
        if block.spread is not None:
            self._column([f', "spread": {value!r}' if math.isfinite(value) else ""
                          for value in block.spread])
        if table.kept:
            self._fixed(', "kept": {')
            self._named({name: _values(block.of(column)) for name, column in table.kept.items()})
            self._fixed("}")
        self._fixed("}")
        template = "".join(self._texts)
        return [template % row for row in zip(*self._columns)]

    def _fixed(self, text):
        """The same in every line."""
        self._texts.append(text.replace("%", "%%"))

    def _column(self, texts):
        """What each line has of its own."""
        self._texts.append("%s")
        self._columns.append(texts)

    def _named(self, columns, before=0):
        """{name: texts} as the inside of an object, behind so many names."""
        for place, (name, texts) in enumerate(columns.items(), before):
            self._fixed(f'{", " if place else ""}{_text(name)}: ')
            self._column(texts)

    def _points(self):
        for place, point in enumerate(self._block.points):
            self._fixed(f'{", " if place else ""}{{"name": {_text(point.name)}, "kind": '
                        f'{_text(point.kind)}, "features": {_text(list(point.features))}')
            self._fixed(', "shape": ')
            if point.tokens is None:
                self._fixed(_text(list(point.scores.shape[1:])) + ', "scores": ')
                self._arrays(point.scores)
            else:
                self._of_tokens(point)
            self._fixed("}")

    def _of_tokens(self, point):
        rows, inner = [*point.rows()], list(point.scores.shape[1:])
        lengths, size = np.diff(point.ends), math.prod(inner)
        most = int(lengths.max())
        if most == lengths.min() and 0 < most * size <= _SPLICED:  # an array like others
            self._fixed(_text([most, *inner]) + ', "scores": ')
            self._arrays(point.scores.reshape(len(rows), most, *inner))
            self._fixed(', "tokens": ')
            self._spliced("[" + ", ".join(["%s"] * most) + "]", _each(point.tokens), most)
            return
        self._column(_each(lengths.tolist(), lambda length: _text([length, *inner])))
        self._fixed(', "scores": ')
        if most * size > MOST_LISTED:
            self._column([_text(value_row(point.scores[start:stop])) for start, stop in rows])
        elif size:
            self._column(_joined(_arrays(point.scores), rows))
        else:
            self._column([_text(point.scores[start:stop].tolist()) for start, stop in rows])
        self._fixed(', "tokens": ')
        self._column(_joined(_each(point.tokens), rows))

    def _arrays(self, array):
        """The rows of an array, [rows, ...], as `value_row` has them."""
        shape = array.shape[1:]
        size = math.prod(shape)
        if not _is_listed(array) or size > _SPLICED:
            self._column(_arrays(array))
            return
        self._spliced(_template(shape), _singly(array), size)

    def _spliced(self, template, texts, size):
        """Texts of single numbers, so many of each row, in their places of a template."""
        self._texts.append(template)
        self._columns.extend(texts[place::size] for place in range(size))

    def _inputs(self):
        """What the caller sent, as `explain` shows it of one record."""
        block, given = self._block, self._block.table.given
        arrays, others = block.group.arrays, {
            name: block.of(listed(column)) for name, column in given.items()
            if name is not None and name not in block.loaded.inputs and name != "id" and (
                not name.startswith(choices.OF_POINT))}
        if not any(_is_example(array, given) for array in arrays.values()):
            self._fixed("{")
            for place, (name, array) in enumerate(arrays.items()):
                self._fixed(f'{", " if place else ""}{_text(name)}: ')
                if array.dtype == object:
                    self._column(_input(array))
                else:
                    self._arrays(array)
            self._named({name: _shown(values) for name, values in others.items()}, len(arrays))
            self._fixed("}")
            return
        found = [_parsed({name: array[place] for name, array in arrays.items()}, given)
                 for place in range(len(block))]
        for name, values in others.items():
            for row, value in zip(found, values):
                row[name] = records.shown(value)
        self._column([_text({str(name): value_row(value) for name, value in row.items()})
                      for row in found])


def _text(value):
    return dump(value).decode("ascii")


def _each(values, text=_text):
    """The text of each value; what is there several times is asked for once."""
    known = {value: text(value) for value in {*values}}
    return [known[value] for value in values]


def _joined(texts, rows):
    """The texts of each row as a list."""
    return [f"[{', '.join(texts[start:stop])}]" for start, stop in rows]


def _numbers(array, count=0):
    """Floats as texts; null for what is not finite, and for all where there is no array."""
    if array is None:
        return ["null"] * count
    if np.isfinite(array).all():
        return repr(array.tolist())[1:-1].split(", ") if array.size else []
    return [repr(value) if math.isfinite(value) else "null" for value in array.tolist()]


def _is_listed(array):
    """Whether the rows of an array become lists of numbers by `_singly`."""
    size = math.prod(array.shape[1:])
    return array.dtype.kind in "iuf" and array.dtype.itemsize <= 8 and 0 < size <= MOST_LISTED


def _singly(array):
    """The text of each number of an array."""
    flat = array.ravel()
    if flat.dtype.kind == "f":
        return _numbers(shortest.decimals(flat) if flat.dtype.itemsize < 8 else flat)
    return repr(flat.tolist())[1:-1].split(", ") if flat.size else []


def _template(shape):
    """The JSON of an array of such a shape, with %s for its numbers."""
    return json.dumps(np.zeros(shape, np.int64).tolist()).replace("0", "%s")


def _arrays(array):
    """The text of each row of an array, [rows, ...], as `value_row` has it of one."""
    shape = array.shape[1:]
    size = math.prod(shape)
    if not _is_listed(array):
        return [_text(value_row(np.asarray(row))) for row in array]
    texts = _singly(array)
    if not shape:
        return texts
    places = range(0, len(texts), size)
    if len(shape) == 1:
        return _joined(texts, [(place, place + size) for place in places])
    template = _template(shape)
    return [template % (*texts[place:place + size],) for place in places]


def _values(values):
    """Plain values as texts."""
    types = {*map(type, values)}
    if types == {int}:
        return [*map(repr, values)]
    if types == {float}:
        return [repr(value) if math.isfinite(value) else "null" for value in values]
    if types == {str}:
        return _each(values)
    return [_text(value_row(value)) for value in values]


def _shown(values):
    """Values of a column that is no input, as results show them."""
    types = {*map(type, values)}
    if types in ({int}, {float}) or types == {str} and max(map(len, values)) < _SHORT:
        return _values(values)
    return [_text(value_row(records.shown(value))) for value in values]


def _input(array):
    """The texts of an input of strings."""
    if array.ndim == 1:
        values = array.tolist()
        return _shown(decoded(values) if max(map(len, values)) < _SHORT else values)
    return [_text(value_row(records.shown(row))) for row in array]


def _is_example(array, given):
    """Whether an input is shown by its features: it was built from columns, or came serialized."""
    return array.dtype == object and array.ndim == 1 and (
        None in given or parsing.Built in {*map(type, array.tolist())})


def _parsed(values, given):
    """The inputs of one record, where one of them is a tf.Example."""
    found = {}
    for name, value in values.items():
        if isinstance(value, bytes):
            is_example = isinstance(value, parsing.Built) or None in given
            found.update((records.example_features(value) if is_example else {}) or {
                name: records.shown(value)})
        else:
            found[name] = records.shown(np.asarray(value))
    return found
