"""What a job wrote, read without ig_tf: a digest per row, by which two outputs are compared.

A digest covers the position, the id, the status, the label, both predictions and all attributions
with their shapes and tokens; numbers as float32, bit for bit. It does not depend on the format.
"""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np

OUTPUTS = ("parquet", "tfrecord", "jsonl")
LABEL = "label"
_SCORES, _SHAPE, _TOKENS, _FEATURE = "attributions/", "shape/", "tokens/", "features/"


@dataclasses.dataclass(frozen=True)
class Rows:
    """An output.

    Attributes:
      positions: of each row, as it says.
      digests: of each row.
      statuses: of each row.
    """

    positions: tuple
    digests: tuple
    statuses: tuple

    def checksum(self):
        """Of all digests in their order, in short."""
        return hashlib.sha256(b"".join(self.digests)).hexdigest()[:16]


def read(folder):
    """`Rows` of a complete job, whatever its format."""
    folder = pathlib.Path(folder)
    manifest = json.loads((folder / "_SUCCESS").read_bytes())
    reader = _READERS[manifest["job"]["format"]]
    found = []
    for note in manifest["shards"]:
        for row in reader(folder / note["file"], dict(map(tuple, manifest["schema"]))):
            found.append((row["position"], _digest(row), row["status"]))
    return Rows(*(tuple(column) for column in zip(*found))) if found else Rows((), (), ())


def differences(found, wanted):
    """Sentences about what is not as it should be; none: equal, row for row.

    Args:
      found, wanted: `Rows`.
    """
    said = []
    counts = np.bincount(found.positions, minlength=len(wanted.positions)) if (
        found.positions) else np.zeros(len(wanted.positions), int)
    for what, places in (("lost", np.flatnonzero(counts[:len(wanted.positions)] == 0)),
                         ("doubled", np.flatnonzero(counts > 1)),
                         ("too many", np.arange(len(wanted.positions), len(counts)))):
        if len(places):
            said.append(f"{len(places)} rows {what}, the first is {places[0]}")
    if not said and found.positions != wanted.positions:
        said.append("rows are in another order")
    if not said:
        other = [place for place, pair in enumerate(zip(found.digests, wanted.digests))
                 if pair[0] != pair[1]]
        if other:
            said.append(f"{len(other)} rows have other contents, the first is {other[0]}")
    return said


def files(folder):
    """{name: SHA-256} of the files of results."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(pathlib.Path(folder).glob("part-*"))}


def notes(folder):
    """The notes of finished shards."""
    return [json.loads(file.read_bytes())
            for file in sorted(pathlib.Path(folder).glob("_job/shards/[0-9]*.json"))]


def unsound(folder, shards):
    """Sentences about a job that was stopped: what is finished has to be whole.

    Args:
      folder: its output.
      shards: how many there are when it is complete.
    """
    folder, found, done = pathlib.Path(folder), files(folder), notes(folder)
    said = [f"{note['file']} is noted as finished and is not what was noted" for note in done
            if found.get(note["file"]) != note["sha256"]]
    if (folder / "_SUCCESS").exists() and len(done) != shards:
        said.append(f"_SUCCESS with {len(done)} of {shards} shards")
    return said


def other_bytes(folder, wanted):
    """Sentences: files that are not those of the same job, undisturbed (its `files`)."""
    found = files(folder)
    return [f"{name} has other bytes" for name in sorted({*found, *wanted})
            if found.get(name) != wanted.get(name)]


def leftovers(folder):
    """Names of files that were begun and not finished."""
    return [file.name for file in pathlib.Path(folder).rglob(".*.tmp")]


def _digest(row):
    parts = [f"{row['position']}\0{row['id']}\0{row['status']}\0{row.get(LABEL)}"]
    numbers = [row[name] for name in ("prediction", "baseline_prediction")]
    for name in sorted(row["features"]):
        parts.append(name)
        numbers.append(row["features"][name])
    for name, (shape, scores, tokens) in sorted(row["points"].items()):
        parts.append(f"{name}\0{list(shape)}\0{tokens}")
        numbers.extend(scores)
    digest = hashlib.blake2b("\1".join(parts).encode("utf-8"), digest_size=16)
    digest.update(np.array([np.nan if one is None else one for one in numbers],
                           np.float32).tobytes())
    return digest.digest()


def _jsonl(file, _):
    with open(file, "rb") as stream:
        for line in stream:
            row = json.loads(line)
            points = {point["name"]: (point["shape"], np.ravel(np.array(point["scores"], float)),
                                      point.get("tokens")) for point in row["points"]}
            yield {**row, "points": {name: (shape, scores, _texts(tokens))
                                     for name, (shape, scores, tokens) in points.items()},
                   LABEL: row.get("kept", {}).get(LABEL)}


def _texts(tokens):
    return None if tokens is None else [str(token) for token in tokens]


def _parquet(file, _):
    import pyarrow.parquet
    with pyarrow.parquet.ParquetFile(file) as opened:
        for batch in opened.iter_batches():
            for row in batch.to_pylist():
                yield _of_columns(row)


def _tfrecord(file, schema):
    import tensorflow as tf
    for raw in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        row = dict.fromkeys(schema)
        for name, feature in tf.train.Example.FromString(raw).features.feature.items():
            values = list(getattr(feature, feature.WhichOneof("kind")).value)
            if schema[name] in ("string", "strings"):
                values = [value.decode("utf-8") for value in values]
            row[name] = values if schema[name].endswith("s") else values[0]
        yield _of_columns(row)


def _of_columns(row):
    points = {name.removeprefix(_SHAPE): (
        shape, row[name.replace(_SHAPE, _SCORES, 1)] or [], row.get(name.replace(
            _SHAPE, _TOKENS, 1))) for name, shape in row.items()
        if name.startswith(_SHAPE) and shape is not None}
    features = {name.removeprefix(_FEATURE): value for name, value in row.items()
                if name.startswith(_FEATURE) and value is not None}
    return {**row, "points": points, "features": features}


_READERS = {"jsonl": _jsonl, "parquet": _parquet, "tfrecord": _tfrecord}
