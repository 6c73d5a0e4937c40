"""Results as a NumPy archive.

The arrays are for those who work with NumPy. What arrays cannot hold (kinds, exact text, which
rows have which points) is in the JSON of `about`, which makes the rows whole again.
"""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ig_tf.errors import ResultsError
from ig_tf.run import npz
from ig_tf.run.results_columns import (
    index_array, number_array, ordered, string_array, token_array)
from ig_tf.run.results_files import written_aside
from ig_tf.run.results_json import (
    about_of, about_row, inputs_of, own_row, target_of, target_row, value_row)
from ig_tf.run.results_rows import NUMBERS, About, PointScores, Result
from ig_tf.run.results_values import dump, load, located, take, type_name

# A longer input than this, as JSON, is left out of the row (stacked arrays are not).
_SMALL_INPUT = 1 << 20


def write(path: pathlib.Path, results: Iterable[Result], about: About) -> None:
    """Writes all rows as stacked arrays; ResultsError where their shapes differ."""
    results = list(results)
    arrays: dict[str, np.ndarray] = {
        "id": string_array([result.id for result in results]),
        "status": string_array([result.status for result in results]),
        "message": string_array([result.message for result in results]),
        "target_index": index_array([result.target.index for result in results]),
    }
    for name in NUMBERS:
        arrays[name] = number_array([getattr(result, name) for result in results])
    for name in ordered(result.features for result in results):
        arrays[f"features/{name}"] = number_array([r.features.get(name) for r in results])
    rows = [_npz_row(result) for result in results]
    for name in ordered([p.name for p in result.points] for result in results):
        arrays.update(_point_arrays(name, results, rows))
    arrays.update(_input_arrays(results, rows))
    arrays["about"] = np.array(dump({"about": about_row(about), "rows": rows}).decode("ascii"))
    with written_aside(path) as file:
        np.savez_compressed(file, **arrays)


def _npz_row(result: Result) -> dict[str, Any]:
    """What the arrays of a row do not hold."""
    return {
        "id": result.id,
        "status": result.status,
        "message": result.message,
        "target": target_row(result.target),
        "points": [
            {"name": point.name, "kind": point.kind, "features": list(point.features)}
            for point in result.points
        ],
        "features": list(result.features),
        "inputs": {},
        **own_row(result),
    }


def _point_arrays(
    name: str, results: list[Result], rows: list[dict[str, Any]]
) -> dict[str, np.ndarray]:
    """attributions/NAME, and tokens/NAME and length/NAME where the point has tokens.

    Rows without the point get NaN (0 for tokens, with length 0). Tokens that do not come back
    from the padded array as they were (mixed types, a trailing NUL, very long) are added to
    their row in `rows`.
    """
    found = {i: p for i, result in enumerate(results) for p in result.points if p.name == name}
    first = next(iter(found.values()))
    ragged = first.kind == "tokens"
    for i, point in found.items():
        shapes = [p.scores.shape[1:] if ragged else p.scores.shape for p in (first, point)]
        if point.kind != first.kind or shapes[0] != shapes[1]:
            raise ResultsError(
                f"point {name!r} is {first.kind} {list(first.scores.shape)} in one row and "
                f"{point.kind} {list(point.scores.shape)} in row {results[i].id!r}: .npz stacks "
                "rows of one shape; write .jsonl instead")
    dtype = np.result_type(*(point.scores.dtype for point in found.values()))
    if not ragged:
        stacked = np.full((len(results), *first.scores.shape), np.nan, dtype)
        for i, point in found.items():
            stacked[i] = point.scores
        return {f"attributions/{name}": stacked}
    lengths = np.zeros(len(results), np.int64)
    longest = max(len(point.tokens) for point in found.values())
    stacked = np.zeros((len(results), longest, *first.scores.shape[1:]), dtype)
    for i, point in found.items():
        lengths[i] = len(point.tokens)
        stacked[i, :lengths[i]] = point.scores
    tokens = token_array({i: point.tokens for i, point in found.items()}, len(results), longest)
    for i, point in found.items():
        if tokens[i, :lengths[i]].tolist() != list(point.tokens):
            rows[i].setdefault("tokens", {})[name] = list(point.tokens)
    return {f"attributions/{name}": stacked, f"tokens/{name}": tokens, f"length/{name}": lengths}


def _input_arrays(results: list[Result], rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """inputs/NAME where each row has a numeric array of one shape; other inputs go to `rows`."""
    arrays = {}
    for name in ordered(result.inputs for result in results):
        values = [result.inputs.get(name) for result in results]
        if all(isinstance(v, np.ndarray) and v.dtype.kind in "biuf" for v in values) and (
                len({v.shape for v in values}) == 1):
            arrays[f"inputs/{name}"] = np.stack(values)
            continue
        for result, row in zip(results, rows):
            if name in result.inputs:
                value = value_row(result.inputs[name])
                if len(dump(value)) <= _SMALL_INPUT:
                    row["inputs"][str(name)] = value
    return arrays


def read(path: pathlib.Path) -> tuple[About, list[Result]]:
    """Reads what `write` wrote."""
    try:
        arrays = npz.arrays(path)
    except npz.BrokenFile as error:
        raise ResultsError(f"{path}: not a whole .npz file: {error}") from error
    if "about" not in arrays:
        raise ResultsError(
            f"{path}: no array 'about' among {sorted(arrays)}: not written by ig_tf")
    with located(f"{path}"):
        card = load(str(arrays["about"]))
        if not isinstance(card, dict):
            raise ResultsError(f"'about' must be a JSON object, not {type_name(card)}")
        about = about_of(take(card, "about", (dict,)))
        rows = take(card, "rows", (list,))
        for name, array in arrays.items():
            if name != "about" and (array.ndim == 0 or len(array) != len(rows)):
                raise ResultsError(f"array {name!r} has shape {list(array.shape)}, but the file "
                                   f"has {len(rows)} rows")
    results = []
    for i, row in enumerate(rows):
        with located(f"{path}, row {i}"):
            results.append(_npz_result(i, row, arrays))
    return about, results


def _npz_result(i: int, row: Any, arrays: Mapping[str, np.ndarray]) -> Result:
    """Row `i`, from its JSON and the arrays. KeyError: an array that is not there."""
    if not isinstance(row, dict):
        raise ResultsError(f"a row must be a JSON object, not {type_name(row)}")
    points = []
    for point in take(row, "points", (list,)):
        name, kind = take(point, "name", (str,)), take(point, "kind", (str,))
        scores, tokens = arrays[f"attributions/{name}"][i], None
        if kind == "tokens":
            length = int(arrays[f"length/{name}"][i])
            exact = take(row, "tokens", (dict,), {})
            tokens = exact.get(name, arrays[f"tokens/{name}"][i, :length].tolist())
            scores = scores[:length]
        points.append(PointScores(
            name, kind, scores, tokens, tuple(take(point, "features", (list,), []))))
    inputs = inputs_of(take(row, "inputs", (dict,), {}))
    for name, array in arrays.items():
        if name.startswith("inputs/"):
            inputs[name.removeprefix("inputs/")] = array[i]
    return Result(
        id=take(row, "id", (str,)),
        status=take(row, "status", (str,)),
        message=take(row, "message", (str,), ""),
        target=target_of(take(row, "target", (dict,), {})),
        **{name: arrays[name][i] for name in NUMBERS},
        points=tuple(points),
        features={name: arrays[f"features/{name}"][i]
                  for name in take(row, "features", (list,), [])},
        inputs=inputs,
        steps=take(row, "steps", (int, type(None)), None),
        spread=take(row, "spread", (int, float, type(None)), None),
    )
