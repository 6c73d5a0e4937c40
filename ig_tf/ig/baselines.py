"""Baselines: where the path starts."""

import dataclasses
import os

import numpy as np

from ig_tf.errors import BaselineError


@dataclasses.dataclass(frozen=True)
class Baseline:
    """One baseline for each point.

    Attributes:
      text: how it was asked for; `resolve(described())` gives the same baseline again.
      values: {point name: numpy array}; scalars are a constant for the whole tensor, other
        shapes are one example's value (without the batch axis).
    """

    text: str
    values: dict

    def described(self):
        """As in the metadata: {point name: number or nested lists}."""
        return {name: array.tolist() for name, array in sorted(self.values.items())}


def resolve(given, points):
    """The baseline that a user means.

    Args:
      given: "zeros", a number, "NAME=NUMBER,...", "noise:STD" or "noise:STD:SEED" (one draw
        of Gaussian noise, for points that are sent as numbers), a mapping {point name: number or
        array}, or the path of an .npz with one array per point; points that a mapping does not
        name start at zero.
      points: the `Point`s.

    Raises:
      BaselineError: an unknown name, or a shape that does not fit the point's.
    """
    text = None
    if isinstance(given, str) and given.startswith("noise:"):
        text, given = given, _noise(given, points)
    elif isinstance(given, str) and given != "zeros":
        given = _parsed(given)
    if given is None or isinstance(given, str):
        return Baseline("zeros", {point.name: np.float64(0) for point in points})
    if not isinstance(given, dict):
        array = np.asarray(given, np.float64)
        if array.ndim and len(points) > 1:
            raise BaselineError("one array cannot be the baseline of several points; give "
                                f"{{name: array}} for: {', '.join(p.name for p in points)}.")
        given = {point.name: array for point in points}
        text = str(array) if not array.ndim else f"array {array.shape}"
    else:
        text = text or ", ".join(f"{name}={_short(value)}" for name, value in sorted(given.items()))
    unknown = sorted(set(given) - {point.name for point in points})
    if unknown:
        raise BaselineError(f"baseline for {', '.join(unknown)}, which is no point; the points "
                            f"are: {', '.join(point.name for point in points)}.")
    values = {point.name: _fitting(point, given.get(point.name, 0.0)) for point in points}
    return Baseline(text, values)


def _parsed(text):
    if text.endswith(".npz"):
        if not os.path.exists(text):
            raise BaselineError(f"no baseline file {text!r}.")
        return _arrays(text)
    try:
        if "=" in text:
            return {name: float(value) for name, value in
                    (part.split("=") for part in text.split(","))}
        return float(text)
    except ValueError:
        raise BaselineError(f"baseline {text!r} is neither `zeros`, a number, NAME=NUMBER,..., "
                            "noise:STD, nor an .npz file with one array per point.") from None


def _arrays(file):
    """{name: array} of an .npz file."""
    try:
        with np.load(file, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except Exception as error:  # NumPy and zipfile raise what they like
        raise BaselineError(f"baseline file {file!r} is no .npz of plain arrays: {error}") from (
            error)


def _noise(text, points):
    """noise:STD:SEED as one array per numeric point; looked-up vectors keep the zero baseline."""
    try:
        deviation, *seed = [float(part) for part in text.split(":")[1:]]
    except ValueError:
        raise BaselineError(f"baseline {text!r} is not noise:STD or noise:STD:SEED.") from None
    generator = np.random.default_rng(int(seed[0]) if seed else 0)
    values = {}
    for point in points:
        if point.kind in ("dense", "image"):
            if None in point.shape[1:]:
                raise BaselineError(f"noise needs a known shape; point {point.name!r} has "
                                    f"{list(point.shape)}.")
            values[point.name] = generator.normal(0, deviation, point.shape[1:])
    if not values:
        raise BaselineError("noise is for points that are sent as numbers; there are none: "
                            f"{', '.join(f'{p.name} ({p.kind})' for p in points)}.")
    return values


def _fitting(point, value):
    array = np.asarray(value, np.float64)
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
