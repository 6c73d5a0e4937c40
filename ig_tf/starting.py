"""Where paths start, in a user's words: a table of kinds that need files or the model's inputs.

What is no such kind is a baseline of numbers at the points (`ig_tf.ig.baselines`). Nothing of the
model is run: of a file the inputs are kept, and the graph computes what they are at the points.
"""

import collections
import dataclasses
import os

import numpy as np
import tensorflow as tf

from ig_tf.errors import BaselineError
from ig_tf.graph import surgery
from ig_tf.ig import baselines, methods
from ig_tf.ig.baselines import Baseline
from ig_tf.run import artifact, records
from ig_tf.run.fields import Fields

WHITE, BLACK = 255, 0  # of images of bytes


@dataclasses.dataclass(frozen=True)
class Records:
    """Records as baselines: each is a sample, led through the model to the points.

    Attributes:
      source: file of records as for `attribute`, or an iterable of {input: value}. Inputs that it
        does not have stay as in the request.
      weights: numbers, the name of a column, or None: equal ones.
    """

    source: object
    weights: object = None

    def baseline(self, located):
        """The `Baseline` for a `Located`."""
        rows, columns = _rows(self.source, located)
        weights = self.weights
        if isinstance(weights, str):
            weights = [_number(values, weights, place) for place, values in enumerate(columns)]
        is_path = isinstance(self.source, (str, os.PathLike))
        text = f"record:{os.fspath(self.source)}" if is_path else f"{len(rows)} records"
        if isinstance(self.weights, str):
            text += f":{self.weights}"
        return led(text, _stacked(rows, text), located, weights)


def resolve(given, located):
    """The baseline that a user means.

    Args:
      given: a `Baseline`, `Records`, a text "KIND:..." of KINDS, or what `baselines.resolve` takes.
      located: a `Located`.

    Raises:
      BaselineError: it does not fit the model.
      RecordError: a file cannot be read, or its values do not fit.
    """
    if isinstance(given, Baseline):
        names = {point.name for point in located.cut.points}
        if {*given.values, *given.led} != names:
            raise BaselineError(f"the baseline is of the points {', '.join(sorted(given.values))}; "
                                f"the points are: {', '.join(sorted(names))}.")
        return given
    if isinstance(given, Records):
        return given.baseline(located)
    if isinstance(given, str):
        kind, _, rest = given.partition(":")
        if kind in KINDS:
            return KINDS[kind](given, rest, located)
    return baselines.resolve(given, located.cut.points)


def led(text, inputs, located, weights=None):
    """Samples of inputs; the points that depend on them start at what the model computes of them.

    Args:
      text: how it was asked for.
      inputs: {input name: array [samples, ...]}.
      located: a `Located`.
      weights: of the samples, or None: equal ones.
    """
    count = len(next(iter(inputs.values())))
    work, points = located.work, located.cut.points
    moved = surgery.downstream([work.inputs[key] for key in inputs])
    found = tuple(point.name for point in points if point.tensor in moved)
    if not found:
        raise BaselineError(f"baseline {text}: no point depends on {', '.join(inputs)}; the points "
                            f"are: {', '.join(point.name for point in points)}.")
    zeros = {point.name: np.zeros(count) for point in points if point.name not in found}
    return Baseline(text, zeros, baselines.shares(weights, count), inputs, found)


def said(recipe):
    """Sentences for the plan: what a baseline of inputs leaves as it is, and what a method is."""
    found, baseline, names = [], recipe.baseline, recipe.work.input_names()
    inputs = recipe.work.inputs
    if baseline.led:
        led_points = {point.tensor for point in recipe.points if point.name in baseline.led}
        replaced = sorted({names[inputs[key].name] for key in baseline.inputs})
        kept = sorted({names[tensor.name] for tensor in inputs.values()
                       if led_points & surgery.downstream([tensor])} - set(replaced))
        zero = [point.name for point in recipe.points if point.name not in baseline.led]
        computed = ", ".join(baseline.led) if zero else "all points"
        found += [f"baseline: {', '.join(replaced)} are the baseline's, and the model "
                  f"computes {computed} from them"
                  + (f"; {', '.join(kept)} stay as in the request" if kept else "")
                  + (f"; {', '.join(zero)} start at zero" if zero else "")]
    if recipe.samples > 1:
        found.append(f"{recipe.samples} paths per example ({baseline.count} starts, {recipe.draws} "
                     "ends) are averaged, one after the other; spread/NAME is their weighted "
                     "standard deviation")
    if not recipe.method.sums:
        found.append(f"attributions by {recipe.method.text} do not sum to a difference of scores: "
                     "no completeness error is given")
    return found


# Files ----------------------------------------------------------------------------------------


def _records(text, rest, located):
    """record:FILE or record:FILE:COLUMN."""
    file, colon, column = rest.rpartition(":")
    if not colon or os.path.exists(rest):
        return dataclasses.replace(Records(_needed(text, rest)).baseline(located), text=text)
    return Records(file, column).baseline(located)


def _needed(text, file):
    if not file:
        raise BaselineError(f"baseline {text!r} needs a file: {text.partition(':')[0]}:FILE.")
    return file


def _statistic(reduce):
    """A kind that makes one record of a file."""
    def kind(text, rest, located):
        rows, _ = _rows(_needed(text, rest), located)
        stacked = _stacked(rows, text)
        return led(text, {key: reduce(text, key, array, located)[None]
                          for key, array in stacked.items()}, located)
    return kind


def _averaged(function):
    def reduce(text, key, array, located):
        if array.dtype.kind not in "fiu" or array.dtype.kind != "f" and not _counts(key, located):
            raise BaselineError(f"baseline {text}: input {key!r} holds ids or texts, which have no "
                                f"{text.partition(':')[0]}; take mode:FILE, or a file without that "
                                "column (its points then start at zero).")
        found = function(array.astype(np.float64), axis=0)
        return (found if array.dtype.kind == "f" else np.rint(found)).astype(array.dtype)
    return reduce


def _counts(key, located):
    """Whether whole numbers of an input are numbers, not ids."""
    kinds = {point.kind for point in located.cut.points if key in point.features}
    return bool(kinds) and kinds <= {"dense", "image"}


def _most_frequent(text, key, array, located):
    """The most frequent value of each element; of equally frequent ones the smallest."""
    del text, key, located
    columns = array.reshape(len(array), -1)
    found = np.empty(columns.shape[1:], array.dtype)
    for place in range(columns.shape[1]):
        counts = collections.Counter(columns[:, place].tolist())
        most = max(counts.values())
        found[place] = min(value for value, count in counts.items() if count == most)
    return found.reshape(array.shape[1:])


def _rows(source, located):
    """([{input: array}], [the values that records have besides]) of a file or of mappings."""
    work = located.work
    parts = {key for keys in work.sparse.values() for key in keys}
    inputs = {key: tf.TensorSpec(tensor.shape, tensor.dtype) for key, tensor in work.inputs.items()
              if key not in parts and tensor.shape.rank != 0}
    taking = artifact.Artifact("", {"batch": {"axes": located.layout.axes}}, inputs, None, None)
    fields, rows, columns = Fields(taking), [], []
    is_path = isinstance(source, (str, os.PathLike))
    found = records.read(source) if is_path else (
        records.Record(place, dict(values)) for place, values in enumerate(source))
    for record in found:
        values = fields.of(record).values
        if None in values and len(work.inputs) == 1:
            values = {next(iter(work.inputs)): values[None]}
        rows.append({key: artifact.as_array(values[key], spec, f"baseline record "
                                            f"{record.position}, input {key!r}", taking.axis(key))
                     for key, spec in inputs.items() if key in values})
        columns.append({key: value for key, value in values.items() if key not in inputs})
        if len(rows) > methods.MOST_SAMPLES:
            raise BaselineError(f"the baseline's file has more than {methods.MOST_SAMPLES} "
                                "records; take fewer.")
    if not rows or not rows[0]:
        raise BaselineError(f"the baseline's records have none of the model's inputs "
                            f"({', '.join(inputs)}); found "
                            f"{', '.join(map(str, columns[0])) if columns else 'no record'}.")
    return rows, columns


def _stacked(rows, text):
    """{input: array [records, ...]}."""
    found = {}
    for key in rows[0]:
        lacking = [place for place, row in enumerate(rows) if key not in row]
        if lacking:
            raise BaselineError(f"baseline {text}: record {lacking[0]} has no {key!r}, others do.")
        shapes = {row[key].shape for row in rows}
        if len(shapes) > 1:
            listed = ", ".join(map(str, sorted(shapes)))
            raise BaselineError(f"baseline {text}: records have different shapes of {key!r}: "
                                f"{listed}; give records of one shape.")
        found[key] = np.stack([row[key] for row in rows])
    return found


def _number(values, column, place):
    try:
        return float(values[column])
    except (KeyError, ValueError, TypeError):
        raise BaselineError(f"record {place} of the baseline has no number in the column {column!r}"
                            f" of weights; it has {', '.join(map(str, values)) or 'no other'}."
                            ) from None


# Inputs filled with one value -----------------------------------------------------------------


def _token(text, rest, located):
    """token:ID for the only input of ids, or token:INPUT=ID,..."""
    holding = _inputs_of_ids(located)
    pairs = [part.partition("=") for part in rest.split(",")]
    if all(name in holding and equals for name, equals, _ in pairs):
        wanted = {name: value for name, _, value in pairs}
    elif len(holding) == 1 and rest:
        wanted = {next(iter(holding)): rest}
    else:
        raise BaselineError(
            f"baseline {text!r}: " + (
                f"the inputs {', '.join(holding)} hold ids: say which, token:INPUT=ID,...."
                if holding else "no input holds ids or words that are looked up (a feature inside "
                "a serialized example is none); take record:FILE."))
    return led(text, {holding[name]: _filling(text, name, value, located.work.inputs[holding[name]])
                      for name, value in wanted.items()}, located)


def _inputs_of_ids(located):
    """{input as the user calls it: input that holds its ids}, those that are looked up."""
    work, found = located.work, {}
    for point in located.cut.points:
        for name in point.features:
            key = work.sparse[name][1] if name in work.sparse else name
            if point.kind in ("dense", "image") or key not in work.inputs:
                continue
            dtype = work.inputs[key].dtype
            read = work.tensor(point.tokens).dtype if point.tokens else dtype
            if dtype.is_integer or dtype == tf.string or read.is_integer:  # of floats: no buckets
                found[name] = key
    return found


def _filling(text, name, value, tensor):
    if tensor.dtype == tf.string:
        return np.array([value.encode("utf-8")], object)
    try:
        return np.array([int(value)], tensor.dtype.as_numpy_dtype)
    except (ValueError, OverflowError):
        raise BaselineError(f"baseline {text!r}: input {name!r} takes {tensor.dtype.name}; "
                            f"{value!r} is none.") from None


def _shade(of_bytes, place):
    """white or black: an end of the range, which is known of bytes and must be said of others."""
    def kind(text, rest, located):
        pictures = [point for point in located.cut.points if point.kind == "image"] or [
            point for point in located.cut.points if point.kind == "dense"]
        if rest:
            try:
                low, high = (float(number) for number in rest.split(","))
            except ValueError:
                raise BaselineError(f"baseline {text!r} is not {text.partition(':')[0]}:LOW,HIGH."
                                    ) from None
            sample = {point.name: (low, high)[place] for point in pictures}
            return baselines.fixed(text, [sample], located.cut.points)
        inputs = {name for point in pictures for name in point.features
                  if name in located.work.inputs and located.work.inputs[name].dtype == tf.uint8}
        if not inputs:
            raise BaselineError(f"the range of the pictures is not known: no point comes from an "
                                f"input of bytes (uint8). Say it: {text}:LOW,HIGH.")
        return led(text, {name: np.array([of_bytes], np.uint8) for name in sorted(inputs)}, located)
    return kind


KINDS = {
    "white": _shade(WHITE, 1),
    "black": _shade(BLACK, 0),
    "token": _token,
    "record": _records,
    "mean": _statistic(_averaged(np.mean)),
    "median": _statistic(_averaged(np.median)),
    "mode": _statistic(_most_frequent),
}
