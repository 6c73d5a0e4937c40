"""Results as flat rows of a table with fixed columns: what Parquet and tf.Example files hold.

| column | type | what |
|---|---|---|
| id, position | string, int64 | what the caller calls the record; its place in the whole input |
| status, message | string | as in `Result`; message where the status is error |
| target, target_index, target_label | string, int64, string | the explained number |
| prediction, baseline_prediction, completeness_error, relative_error | double | as in `Result` |
| steps | int64 | nodes, where rows differ |
| spread | double | as in `Result`, where there are several baselines |
| features/NAME | double | total of a raw feature |
| attributions/NAME | floats or doubles | scores of a point, in C order |
| shape/NAME | int64s | their shape |
| tokens/NAME | strings | what each score belongs to, for points of ids |
| others | as they came | pass-through columns |

What a row does not have is null.
"""

import json

import numpy as np

from ig_tf.errors import RecordError
from ig_tf.run.results_rows import NUMBERS
from ig_tf.run.results_values import plain

_HEAD = (("id", "string"), ("position", "int64"), ("status", "string"), ("message", "string"),
         ("target", "string"), ("target_index", "int64"), ("target_label", "string"),
         *((name, "double") for name in NUMBERS), ("steps", "int64"), ("spread", "double"))
_LISTS = {"float64": "doubles"}  # of scores, by type; all others fit in floats
_OF_IDS = ("tokens", "one_hot", "pooled")  # kinds of points whose answers may have tokens


def schema(loaded, kept):
    """Columns as [(name, type)].

    Args:
      loaded: the `Artifact`.
      kept: {pass-through column: type}.

    Raises:
      RecordError: a pass-through column has the name of another one.
    """
    found = dict(_HEAD)
    found.update({key: "double" for key in sorted(loaded.outputs)  # theirs differs by process
                  if key.startswith("features/")})
    for point in loaded.metadata["points"]:
        name = point["name"]
        scores = loaded.outputs.get(f"attributions/{name}")
        found[f"attributions/{name}"] = _LISTS.get(scores, "floats")
        found[f"shape/{name}"] = "int64s"
        if f"tokens/{name}" in loaded.outputs or point["kind"] in _OF_IDS:
            found[f"tokens/{name}"] = "strings"
    clash = sorted(set(kept) & set(found))
    if clash:
        raise RecordError(f"--keep={clash[0]}: the results have a column of that name.")
    return [*found.items(), *kept.items()]


def row(position, result, kept):
    """A result as {column: value}; columns that it does not have are left out."""
    index = result.target.index
    found = {"id": result.id, "position": position, "status": result.status,
             "message": result.message or None, "target": result.target.text() or None,
             "target_index": index if isinstance(index, int) else None,
             "target_label": result.target.label, "steps": result.steps,
             "spread": result.spread,
             **{name: getattr(result, name) for name in NUMBERS}, **kept}
    found.update({f"features/{name}": value for name, value in result.features.items()})
    for point in result.points:
        found[f"attributions/{point.name}"] = np.ravel(point.scores)
        found[f"shape/{point.name}"] = list(np.shape(point.scores))
        if point.tokens is not None:
            found[f"tokens/{point.name}"] = [text(token) for token in point.tokens]
    return found


def text(value):
    """Text that UTF-8 can hold; lone surrogates get escapes."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def type_of(value):
    """The type of a pass-through column by its first value."""
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, (int, np.integer)):
        return "int64"
    return "double" if isinstance(value, (float, np.floating)) else "string"


def as_type(value, kind, where):
    """A pass-through value in its column's type; lists and objects become JSON text.

    Raises:
      RecordError: it is of another type than the first one was.
    """
    if value is None:
        return None
    found = type_of(value)
    if kind == "string":
        if found == "string" and isinstance(value, (str, bytes)):
            return text(value.decode("utf-8", "backslashreplace")
                         if isinstance(value, bytes) else value)
        return json.dumps(plain(value))
    if found == kind or (found, kind) == ("int64", "double"):
        return {"bool": bool, "int64": int, "double": float}[kind](value)
    raise RecordError(f"{where}: {value!r} is no {kind}, the type of the first record's.")
