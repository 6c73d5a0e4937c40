"""What trials work on: models and files, made once in a folder."""

import csv
import dataclasses
import itertools
import pathlib

from tools.jobs import data, models


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is tried, and how much of it.

    Attributes:
      work: folder for everything; files that are there are used again.
      records: rows of a census.
      sentences: texts.
      stopped_records: rows of the jobs that are killed, or whose disk is full.
      memory_records: rows of the trial of memory.
      kills: how often a job is killed.
      fills: how often a disk is full.
      seed: of moments and rows.
      census: folder with `examples` (a SavedModel) and `rows.csv`, instead of a model of our own.
      engines: names.
    """

    work: pathlib.Path
    records: int
    sentences: int
    stopped_records: int
    memory_records: int
    kills: int
    fills: int
    seed: int
    census: object
    engines: tuple

    def folder(self, name):
        """A new folder in the work folder."""
        for number in itertools.count():
            found = self.work / f"{name}-{number:03d}"
            if not found.exists():
                found.mkdir(parents=True)
                return found


def census(settings, count):
    """(instrumented model, {input format: file of so many rows})."""
    if settings.census is None:
        model = _made(settings, "census", models.census)
        return model, _files(settings, "census", count, data.census)
    given = pathlib.Path(settings.census)
    model = _made(settings, "given", lambda folder: models.instrumented(
        given / "examples", folder / "model", 50))
    return model, _given_files(settings, model, given / "rows.csv", count)


def sentences(settings, count):
    """As `census`, of texts."""
    model = _made(settings, "sentences", models.sentences)
    return model, _files(settings, "sentences", count, data.sentences)


def pairs(settings, count):
    """(instrumented model, file of so many rows) of the cheapest kind."""
    file = settings.work / f"pairs-{count}.jsonl"
    if not file.exists():
        with open(file, "wb") as stream:
            stream.writelines(data.pairs(count))
    return _made(settings, "product", models.product), file


def _made(settings, name, make):
    folder = settings.work / "models" / name
    if not (folder / "model").exists():
        folder.mkdir(parents=True)
        make(folder)
    return folder / "model"


def _files(settings, name, count, rows):
    files = {kind: settings.work / f"{name}-{count}.{kind}" for kind in data.INPUTS}
    for file in files.values():
        if not file.exists():
            data.write(rows(count, settings.seed), file)
    return files


def _given_files(settings, model, rows, count):
    """Rows of somebody's CSV file, again and again; numbers stay texts where a format has them."""
    from ig_tf.run import artifact, parsing
    name, = artifact.load(model).inputs
    spec = parsing.spec_of(str(model), artifact.SIGNATURE, name)
    with open(rows, newline="", encoding="utf-8") as stream:
        given = list(csv.DictReader(stream))
    files = {kind: settings.work / f"given-{count}.{kind}" for kind in data.INPUTS}
    for kind, file in files.items():
        if not file.exists():
            repeated = itertools.islice(itertools.cycle(given), count)
            if kind == "tfrecord":
                data.write_examples((_serialized(spec, row) for row in repeated), file)
            else:
                data.write(repeated, file)
    return files


def _serialized(spec, row):
    import tensorflow as tf
    example = tf.train.Example.FromString(spec.example(row, "a row"))
    example.features.feature["label"].bytes_list.value.append(row["label"].encode("utf-8"))
    return example.SerializeToString(deterministic=True)
