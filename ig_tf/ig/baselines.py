"""Baselines: where paths start, as data. One sample, or several with weights.

What a sample is at a point is a number or an array of the point; or it is what the model itself
computes at that point of other inputs (the embedding of a pad token, a record). Kinds that are read
from files stand in `ig_tf.starting`.
"""

import dataclasses
import json
import os

import numpy as np

from ig_tf.errors import BaselineError

MOST_BYTES = 256 << 20  # of all samples together: they are constants of the graph


@dataclasses.dataclass(frozen=True)
class Baseline:
    """Where the paths of an example start.

    Attributes:
      text: how it was asked for.
      values: {point name: array [samples, ...]}, one example's value each; with no more axes, a
        constant for the whole tensor.
      weights: float64 [samples]; they sum to 1.
      inputs: {input name: array [samples, ...]} likewise; the points of `led` start at what the
        model computes of these, and of all other inputs as the request has them.
      led: names of these points.
    """

    text: str
    values: dict
    weights: np.ndarray = dataclasses.field(default_factory=lambda: np.ones(1))
    inputs: dict = dataclasses.field(default_factory=dict)
    led: tuple = ()

    def __post_init__(self):
        size = sum(array.nbytes for array in (*self.values.values(), *self.inputs.values()))
        if size > MOST_BYTES:
            raise BaselineError(f"baseline {self.text} takes {size >> 20} MiB as constants of the "
                                f"graph; at most {MOST_BYTES >> 20} MiB. Take fewer samples.")

    @property
    def count(self):
        return len(self.weights)

    def is_zero(self, point):
        """Whether all samples are zero at a point."""
        return point.name not in self.led and not np.any(self.values[point.name])

    def described(self):
        """As in the metadata: {point name: number or nested lists} of a single sample, from which
        `resolve` makes the same again; None where several, or other inputs, are needed."""
        if self.count > 1 or self.led:
            return None
        return {name: array[0].tolist() for name, array in sorted(self.values.items())}

    def samples_described(self):
        """As in the metadata: how many there are, and what decides them."""
        return {"count": self.count, "weights": self.weights.tolist(),
                "inputs": sorted(self.inputs), "led_points": sorted(self.led),
                "zero_points": sorted(name for name, array in self.values.items()
                                      if not np.any(array))}


def resolve(given, points):
    """The baseline that a user means, where no file of records and no input is needed.

    Args:
      given: None for zeros; a number; a mapping {point name: number or array}, or a list of such
        mappings, each a sample of equal weight; one array for the only point; "zeros", "NUMBER",
        "NAME=NUMBER,...", the path of an .npz or .json with one array per point, or a key of DRAWN
        with what it takes. Points that a mapping does not name start at zero.
      points: the `Point`s.

    Raises:
      BaselineError: an unknown name, or a shape that does not fit the point's.
    """
    if given is None or isinstance(given, str) and given == "zeros":
        return fixed("zeros", [{}], points)
    if isinstance(given, str) and given.partition(":")[0] in DRAWN:
        return _drawn(given, points)
    if isinstance(given, str):
        given = _parsed(given)
    if isinstance(given, (list, tuple)) and given and all(isinstance(one, dict) for one in given):
        return fixed(f"{len(given)} baselines", given, points)
    if isinstance(given, dict):
        text = ", ".join(f"{name}={_short(value)}" for name, value in sorted(given.items()))
        return fixed(text, [given], points)
    array = np.asarray(given, np.float64)
    if array.ndim and len(points) > 1:
        raise BaselineError("one array cannot be the baseline of several points; give "
                            f"{{name: array}} for: {', '.join(p.name for p in points)}.")
    text = str(array) if not array.ndim else f"array {array.shape}"
    return fixed(text, [{point.name: array for point in points}], points)


def fixed(text, samples, points, weights=None):
    """A baseline of numbers at the points.

    Args:
      text: how it was asked for.
      samples: a mapping {point name: number or array} for each sample.
      points: the `Point`s.
      weights: of the samples; None for equal ones.
    """
    unknown = sorted({name for one in samples for name in one} - {point.name for point in points})
    if unknown:
        raise BaselineError(f"baseline for {', '.join(unknown)}, which is no point; the points "
                            f"are: {', '.join(point.name for point in points)}.")
    values = {}
    for point in points:
        each = [_fitting(point, one.get(point.name, 0.0)) for one in samples]
        values[point.name] = np.stack(np.broadcast_arrays(*each))
    return Baseline(text, values, shares(weights, len(samples)))


def shares(weights, count):
    """Weights that sum to 1; None are equal ones.

    Raises:
      BaselineError: a weight is not positive.
    """
    weights = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != (count,) or not np.all(np.isfinite(weights)) or np.any(weights <= 0):
        raise BaselineError(f"{count} baselines need as many positive weights; found "
                            f"{_short(weights)}.")
    return weights / weights.sum()


def _parsed(text):
    if text.endswith((".npz", ".json")):
        return _file(text)
    try:
        if "=" in text:
            return {name: float(value) for name, value in
                    (part.split("=") for part in text.split(","))}
        return float(text)
    except ValueError:
        raise BaselineError(
            f"baseline {text!r} is none of: zeros, NUMBER, NAME=NUMBER,..., FILE.npz or FILE.json "
            "with an array per point, white, black, token:ID, record:FILE, mean:FILE, median:FILE, "
            f"mode:FILE, {', '.join(f'{name}:{kind.takes}' for name, kind in DRAWN.items())}."
        ) from None


def _file(file):
    if not os.path.exists(file):
        raise BaselineError(f"no baseline file {file!r}.")
    try:
        if file.endswith(".json"):
            with open(file, encoding="utf-8") as stream:
                found = json.load(stream)
        else:
            with np.load(file, allow_pickle=False) as data:
                found = {name: data[name] for name in data.files}
    except Exception as error:  # NumPy and zipfile raise what they like
        what = "JSON" if file.endswith(".json") else ".npz of plain arrays"
        raise BaselineError(f"baseline file {file!r} is no {what}: {error}") from error
    if not isinstance(found, dict):
        raise BaselineError(f"baseline file {file!r} has no arrays by the names of points.")
    return found


@dataclasses.dataclass(frozen=True)
class Draw:
    """A kind of random samples.

    Attributes:
      takes: what stands behind its name.
      numbers: how many numbers may come first, in one part with commas between.
      draw: function(generator, numbers, shape) -> array.
    """

    takes: str
    numbers: tuple
    draw: object


DRAWN = {
    "noise": Draw("STD[:SEED]", (1,),
                  lambda generator, numbers, shape: generator.normal(0, *numbers, shape)),
    "gaussian": Draw("[MEAN,]STD[:COUNT[:SEED]]", (1, 2),
                     lambda generator, numbers, shape: generator.normal(
                         *((0, *numbers)[-2:]), shape)),
    "uniform": Draw("LOW,HIGH[:COUNT[:SEED]]", (2,),
                    lambda generator, numbers, shape: generator.uniform(*numbers, shape)),
}


def _drawn(text, points):
    """Samples drawn here, so that every runtime answers alike; looked-up vectors start at zero."""
    kind, *rest = text.split(":")
    numbers, *whole = rest or [""]
    wrong = BaselineError(f"baseline {text!r} is not {kind}:{DRAWN[kind].takes}.")
    try:
        numbers, whole = [float(part) for part in numbers.split(",")], [int(part) for part in whole]
    except ValueError:
        raise wrong from None
    count, seed = ((1, *whole, 0) if kind == "noise" else (*whole, *(1, 0)[len(whole):]))[:2]
    if len(numbers) not in DRAWN[kind].numbers or len(whole) > 2 - (kind == "noise") or (
            count < 1 or seed < 0 or not np.all(np.isfinite(numbers))):
        raise wrong
    generator = np.random.default_rng(seed)
    of_numbers = [point for point in points if point.kind in ("dense", "image")]
    if not of_numbers:
        raise BaselineError(f"{kind} is for points that are sent as numbers; there are none: "
                            f"{', '.join(f'{p.name} ({p.kind})' for p in points)}.")
    try:
        drawn = {point.name: DRAWN[kind].draw(generator, numbers, (count, *static_row(point)))
                 for point in of_numbers}
    except ValueError as error:
        raise BaselineError(f"baseline {text!r}: {error}.") from error
    return fixed(text, [{name: array[place] for name, array in drawn.items()}
                        for place in range(count)], points)


def static_row(point):
    """The shape of one example of a point.

    Raises:
      BaselineError: it is not known before a request.
    """
    if None in point.shape[1:]:
        raise BaselineError(f"noise needs a known shape; point {point.name!r} has "
                            f"{list(point.shape)}.")
    return point.shape[1:]


def _fitting(point, value):
    try:
        array = np.asarray(value, np.float64)
    except (ValueError, TypeError) as error:
        raise BaselineError(f"the baseline of {point.name!r} is no array of numbers: "
                            f"{error}.") from error
    if not np.all(np.isfinite(array)):
        raise BaselineError(f"the baseline of {point.name!r} is not finite.")
    row = point.shape[1:]
    if array.ndim and not (array.ndim <= len(row) and all(
            mine in (1, theirs) or theirs is None
            for mine, theirs in zip(array.shape[::-1], row[::-1]))):
        raise BaselineError(f"baseline of shape {list(array.shape)} does not fit point "
                            f"{point.name!r}: one example has shape "
                            f"[{', '.join('?' if d is None else str(d) for d in row)}].")
    return array


def _short(value):
    array = np.asarray(value)
    return str(array.tolist()) if array.size <= 8 else f"array{list(array.shape)}"
