"""Result rows and model cards to and from plain JSON objects."""

import dataclasses
from typing import Any

import numpy as np

from ig_tf.errors import ResultsError
from ig_tf.run import results_packed
from ig_tf.run.results_rows import NUMBERS, About, PointScores, Result, Target
from ig_tf.run.results_values import finite_or_none, plain, take, type_name


def row_of(result: Result) -> dict[str, Any]:
    """The result as a JSON object: only str, int, float, bool, None, list and dict.

    Scores and input arrays of more than 10,000 elements become
    {"shape": [...], "dtype": "float32", "base64": "..."}, their bytes in C order, little-endian;
    those keep what is not finite, while in lists it becomes null.
    """
    return {
        "id": result.id,
        "status": result.status,
        "message": result.message,
        "target": target_row(result.target),
        **{name: getattr(result, name) for name in NUMBERS},
        "points": [_point_row(point) for point in result.points],
        "features": {name: finite_or_none(v) for name, v in result.features.items()},
        "inputs": {str(name): value_row(value) for name, value in result.inputs.items()},
        **own_row(result),
    }


def own_row(result: Result) -> dict[str, Any]:
    """What only some rows have, as part of a JSON object: nodes of its own, a spread."""
    return {name: getattr(result, name) for name in ("steps", "spread")
            if getattr(result, name) is not None}


def result_of(row: Any) -> Result:
    """The result that a JSON object holds; null scores become NaN, packed inputs arrays.

    Raises:
      ResultsError: a missing key, or a value of the wrong type or shape.
    """
    if not isinstance(row, dict):
        raise ResultsError(f"a row must be a JSON object, not {type_name(row)}")
    return Result(
        id=str(take(row, "id", (str, int))),
        status=take(row, "status", (str,)),
        message=take(row, "message", (str,), ""),
        target=target_of(take(row, "target", (dict,), {})),
        **{name: take(row, name, (int, float, type(None)), None) for name in NUMBERS},
        points=tuple(_point_of(point) for point in take(row, "points", (list,), [])),
        features=_features_of(take(row, "features", (dict,), {})),
        inputs=inputs_of(take(row, "inputs", (dict,), {})),
        steps=take(row, "steps", (int, type(None)), None),
        spread=take(row, "spread", (int, float, type(None)), None),
    )


def value_row(value: Any) -> Any:
    """An input or scores in JSON's types: large arrays packed, all else as it reads best."""
    return results_packed.pack(value) if results_packed.is_large(value) else plain(value)


def inputs_of(row: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a row, those that were packed as arrays.

    Raises:
      ResultsError: a packed array is broken.
    """
    inputs = dict(row)
    for name, value in row.items():
        if results_packed.is_packed(value):
            try:
                inputs[name] = results_packed.unpack(value)
            except ResultsError as error:
                raise ResultsError(f"input {name!r}: {error}") from error
    return inputs


def target_row(target: Target) -> dict[str, Any]:
    """The target as a JSON object."""
    index = target.index
    if index is not None:
        index = [int(v) for v in index] if isinstance(index, (tuple, list)) else int(index)
    return {"output": target.output, "index": index, "label": target.label}


def target_of(row: dict[str, Any]) -> Target:
    """The target that a JSON object holds; a list as index becomes a tuple."""
    index = take(row, "index", (int, list, type(None)), None)
    numbers = index if isinstance(index, list) else [] if index is None else [index]
    if not all(type(one) is int and abs(one) < 2**63 for one in numbers):
        raise ResultsError(f"'index' must be whole numbers of 64 bits, not {numbers[:5]}")
    return Target(
        output=take(row, "output", (str,), ""),
        index=tuple(int(v) for v in index) if isinstance(index, list) else index,
        label=take(row, "label", (str, type(None)), None),
    )


def _point_row(point: PointScores) -> dict[str, Any]:
    row = {
        "name": point.name,
        "kind": point.kind,
        "features": list(point.features),
        "shape": list(point.scores.shape),
        "scores": point.json() if point.json else value_row(point.scores),
    }
    if point.tokens is not None:
        row["tokens"] = list(point.tokens)
    return row


def _point_of(row: Any) -> PointScores:
    name = take(row, "name", (str,))
    scores = _scores_of(name, take(row, "shape", (list,)),
                        take(row, "scores", (list, dict, int, float, type(None))))
    tokens = take(row, "tokens", (list, type(None)), None)
    features = tuple(str(f) for f in take(row, "features", (list,), []))
    return PointScores(name, take(row, "kind", (str,)), scores, tokens, features)


def _scores_of(name: str, shape: list[int], scores: Any) -> np.ndarray:
    try:
        if results_packed.is_packed(scores):
            array = results_packed.unpack(scores)
        else:
            # NumPy reads None as NaN; an empty list has lost its shape, so `shape` decides.
            array = np.array(scores, np.float64)
        if array.size or array.shape == tuple(shape):
            fits = array.shape == tuple(shape)
        else:
            array, fits = array.reshape(shape), True
    except (ValueError, TypeError) as error:
        raise ResultsError(f"point {name!r}: scores do not make an array: {error}") from error
    if not fits:
        raise ResultsError(f"point {name!r}: scores have shape {list(array.shape)}, but the row "
                           f"says {shape}")
    return array


def _features_of(row: dict[str, Any]) -> dict[str, float]:
    return {name: take(row, name, (int, float, type(None))) for name in row}


def about_row(about: About) -> dict[str, Any]:
    """The model card as a JSON object."""
    return {field.name: plain(getattr(about, field.name)) for field in dataclasses.fields(about)}


def about_of(row: Any) -> About:
    """The model card; keys that a later version may have added are passed over."""
    texts = ("model", "signature", "target", "baseline", "rule", "tensorflow")
    lists = ("points", "held_constant", "notes")
    return About(
        **{name: take(row, name, (str,), "") for name in texts},
        **{name: tuple(take(row, name, (list,), [])) for name in lists},
        steps=take(row, "steps", (int, type(None)), None),
    )
