"""What a job wrote, for looking at it: its model card, its summary, and its first rows."""

import dataclasses
import itertools
import json
import os

import numpy as np

from ig_tf.errors import RecordError, ResultsError
from ig_tf.run import readers
from ig_tf.run.job_folder import ABOUT, MANIFEST, SUMMARY
from ig_tf.run.results_json import about_of, result_of
from ig_tf.run.results_rows import NUMBERS, PointScores, Result, Results, Target
from ig_tf.run.results_values import located

SHOWN = 100  # rows, where nobody says how many
_TYPES = {"floats": np.float32, "doubles": np.float64}
_LISTS = ("features/", "attributions/", "shape/", "tokens/")
_TEXTS = ("string", "strings")


def is_job(path):
    """Whether a path is the folder of a job that is complete."""
    return os.path.isfile(os.path.join(path, MANIFEST))


@dataclasses.dataclass(frozen=True)
class JobResults:
    """A job's output, as far as a page can show it.

    Attributes:
      rows: the first `Result`s, in order, with the model card; none of a job in long form.
      summary: what `Summary.row` says of all.
      total: the number of rows of results.
    """

    rows: Results
    summary: dict
    total: int


def read(folder, limit=None):
    """Reads a complete job.

    Args:
      folder: its output.
      limit: so many rows at most; None is SHOWN.

    Raises:
      ResultsError: it is not complete, or a file of it is broken.
    """
    folder = os.fspath(folder)
    if not is_job(folder):
        raise ResultsError(f"{folder!r} has no {MANIFEST}: it is no folder of a job, or the job is "
                           "not complete; run the same command again first.")
    manifest, summary = _json(folder, MANIFEST), _json(folder, SUMMARY)
    with located(os.path.join(folder, ABOUT)):
        about = about_of(_json(folder, ABOUT))
    try:
        rows = [] if manifest["job"].get("form") == "long" else list(itertools.islice(
            _rows(folder, manifest, about), SHOWN if limit is None else limit))
    except RecordError as error:
        raise ResultsError(f"{folder}: {error}") from error
    return JobResults(Results(rows, about), summary, manifest["rows"])


def _json(folder, name):
    path = os.path.join(folder, name)
    try:
        with open(path, "rb") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from error


def _rows(folder, manifest, about):
    kind = manifest["job"]["format"]
    schema = dict(map(tuple, manifest["schema"]))
    for note in manifest["shards"]:
        path = os.path.join(folder, note["file"])
        for number, item in enumerate(readers.items(kind, path), 1):
            with located(f"{path}, row {number}"):
                yield _OF[kind](item.values(), schema, about)


def _of_json(row, _, about):
    result = result_of(row)
    return dataclasses.replace(result, inputs={**row.get("kept", {}), **result.inputs})


def _of_example(values, schema, about):
    """A tf.Example: what is not there is null, and what is a list the schema says."""
    from tensorflow.core.example import example_pb2
    example, row = example_pb2.Example.FromString(values[None]), {}
    for name, feature in example.features.feature.items():
        found = list(getattr(feature, feature.WhichOneof("kind")).value)
        if schema[name] in _TEXTS:
            found = [text.decode("utf-8") for text in found]
        row[name] = found if schema[name].endswith("s") else found[0]
    return _of_table(row, schema, about)


def _of_table(row, schema, about):
    """A row of `tables.row`."""
    own = {"id", "position", "status", "message", "target", "target_index", "target_label",
           "steps", *NUMBERS}
    index, text = row.get("target_index"), row.get("target") or ""
    target = Target(text if index is None else text.rpartition("[")[0], index,
                    row.get("target_label"))
    return Result(
        id=row["id"], status=row["status"], message=row.get("message") or "", target=target,
        **{name: row.get(name) for name in NUMBERS}, steps=row.get("steps"),
        points=tuple(_point(point, row, schema) for point in about.points
                     if row.get(f"shape/{point['name']}") is not None),
        features={name.partition("/")[2]: value for name, value in row.items()
                  if name.startswith("features/") and value is not None},
        inputs={name: value for name, value in row.items()
                if name not in own and not name.startswith(_LISTS)})


def _point(point, row, schema):
    name = point["name"]
    scores = np.array(row.get(f"attributions/{name}") or [], _TYPES[schema[f"attributions/{name}"]])
    scores = scores.reshape(row[f"shape/{name}"])
    tokens, kind = row.get(f"tokens/{name}"), point["kind"]
    if tokens is None and kind == "tokens":
        if scores.size:
            kind = "pooled"
        else:  # a list of nothing is no feature of a tf.Example
            tokens = ()
    return PointScores(name, "tokens" if tokens is not None else kind, scores, tokens,
                       tuple(point["features"]))


_OF = {"jsonl": _of_json, "parquet": _of_table, "tfrecord": _of_example}
