"""The record of an instrumentation, assets.extra/ig_tf.json: read and checked before it is used."""

import json
import os

from ig_tf.errors import ArtifactError

FILE = os.path.join("assets.extra", "ig_tf.json")
MOST_BYTES = 2**28
ONE_ROW = "one per example"  # what a record says of most targets


class _Optional:
    """A part that a record may leave out; earlier versions did."""

    def __init__(self, shape):
        self.shape = shape


class _Of:
    """An object whose values all have one shape."""

    def __init__(self, shape):
        self.shape = shape


# What is asked of a record. A type, or a tuple of them; [shape] is a list, {key: shape} an object.
_RECORD = {
    "source": {"signature": str, "tags": [str],
               "asked": _Optional({"feeds": _Optional(_Of(str)), "fixes": _Optional(dict),
                                   "outputs": _Optional(_Of(str))})},
    "choices": [str],
    "target": {"output": str, "index": (type(None), int, str, list), "text": str,
               "rows": _Optional(str)},
    "points": [{"name": str, "kind": str, "tensor": str, "features": [str]}],
    "held_constant": [str],
    "changed_in_the_copy": [str],
    "baseline": str,
    "baseline_values": _Optional((dict, type(None))),
    "baseline_samples": _Optional({"count": int}),
    "method": _Optional({"text": str, "sums": bool}),
    "rule": {"name": str, "steps": int},
    "batch": _Optional({"axes": _Optional(_Of(int))}),
    "sparse_inputs": _Optional(_Of({"keys": [str], "shape": (type(None), list)})),
    "outputs": _Optional(dict),
    "custom": _Optional({"signature": str, "inputs": dict, "refinement_steps": [int]}),
}
_ANSWERED = {"prediction", "baseline_prediction", "target_index"}
_NAMES = {str: "text", int: "a whole number", list: "a list", dict: "an object",
          type(None): "null", float: "a number", bool: "true or false"}


def read(path):
    """The record that `save` left in a SavedModel.

    Raises:
      ArtifactError: not instrumented, or the record is broken; the place in it is named.
    """
    file = os.path.join(os.fspath(path), FILE)
    try:
        size = os.stat(file).st_size
        if size > MOST_BYTES:
            raise ArtifactError(f"{file!r} has {size:,} bytes; a record has at most "
                                f"{MOST_BYTES:,}.")
        with open(file, encoding="utf-8") as stream:
            record = json.load(stream)
    except FileNotFoundError:
        raise ArtifactError(
            f"{os.fspath(path)!r} has no {FILE}: it is not instrumented (or no SavedModel). "
            "Run `ig-tf instrument` first.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"cannot read {file!r}: {error}") from error
    wrong = _wrong(record, _RECORD, "")
    if wrong:
        raise ArtifactError(f"{file!r} is no record of an instrumentation: {wrong}. Instrument the "
                            "model again.")
    return record


def _wrong(value, shape, place):
    """The first thing that is not as `shape` says, in words; or None."""
    if isinstance(shape, dict):
        return _wrong_object(value, shape, place)
    if isinstance(shape, _Of):
        if not isinstance(value, dict):
            return _found(value, "an object", place)
        parts = ((value[key], shape.shape, f"{place}.{key}") for key in value)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            return _found(value, "a list", place)
        parts = ((one, shape[0], f"{place}[{number}]") for number, one in enumerate(value))
    else:
        kinds = shape if isinstance(shape, tuple) else (shape,)
        fits = isinstance(value, kinds) and isinstance(value, bool) == (kinds == (bool,))
        return None if fits else _found(value, " or ".join(_NAMES[kind] for kind in kinds), place)
    return next(filter(None, (_wrong(*part) for part in parts)), None)


def _wrong_object(value, shape, place):
    if not isinstance(value, dict):
        return _found(value, "an object", place)
    for key, inner in shape.items():
        where = f"{place}.{key}".lstrip(".")
        if isinstance(inner, _Optional):
            wrong = _wrong(value[key], inner.shape, where) if key in value else None
        elif key not in value:
            wrong = f"{where!r} is missing"
        else:
            wrong = _wrong(value[key], inner, where)
        if wrong:
            return wrong
    return None


def _found(value, wanted, place):
    name = _NAMES.get(type(value), type(value).__name__)
    return f"{place or 'the whole'!r} is {name}, not {wanted}"


def diagnosis(record):
    """Whether the signature computes something else than attributions (`ig_tf.save`, build)."""
    return "outputs" in record and not _ANSWERED <= record["outputs"].keys()


def refuse_unlike(path, record, inputs, outputs):
    """Refuses a record that speaks of another model than the one beside it.

    Args:
      path: of the artifact, for the message.
      record: from `read`.
      inputs: {input: tf.TensorSpec} of its signature.
      outputs: {output: what has a shape}.

    Raises:
      ArtifactError: the record names points, inputs or axes that are not there.
    """
    wrong = []
    if not diagnosis(record):
        needed = [*sorted(_ANSWERED),
                  *(f"attributions/{point['name']}" for point in record["points"])]
        wrong += [f"an output {key!r}" for key in needed if key not in outputs]
    for name, entry in record.get("sparse_inputs", {}).items():
        if len(entry["keys"]) != 3:
            wrong.append(f"a sparse input {name!r} of three parts")
        wrong += [f"an input {key!r}" for key in entry["keys"] if key not in inputs]
    for name, axis in record.get("batch", {}).get("axes", {}).items():
        rank = inputs[name].shape.rank if name in inputs else None
        if axis < 0 or rank is not None and axis >= max(rank, 1):
            wrong.append(f"an axis {axis} of input {name!r}")
    index = record["target"]["index"]
    if isinstance(index, list) and not all(type(part) in (int, str) for part in index):
        wrong.append(f"a target at {index!r}")
    folded = record["target"].get("rows", ONE_ROW) != ONE_ROW
    rank = outputs["prediction"].shape.rank if "prediction" in outputs else None
    if rank is not None and folded != (rank > 1):
        wrong.append(f"{record['target'].get('rows', ONE_ROW)!r} rows of the target")
    if wrong:
        raise ArtifactError(f"the record {FILE!r} in {path!r} speaks of another model: it says "
                            f"{', '.join(wrong[:5])}, which the model does not have. Instrument "
                            "the model again.")
