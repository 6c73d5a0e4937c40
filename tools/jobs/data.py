"""Rows for trials of jobs, the same every time, and files of them in each input format."""

import csv
import itertools
import random

DISTINCT = 2_000  # rows; more are these again
INPUTS = ("csv", "tfrecord", "parquet")
_WORKCLASS = ("Private", "Self-emp-not-inc", "Local-gov", "State-gov", "Federal-gov", "?")
_EDUCATION = ("HS-grad", "Some-college", "Bachelors", "Masters", "11th", "Doctorate", "Assoc-voc")
_OCCUPATION = ("Craft-repair", "Sales", "Tech-support", "Exec-managerial", "Other-service",
               "Prof-specialty", "Transport-moving", "Farming-fishing")
_SYLLABLES = ("ba", "ko", "li", "mur", "ne", "po", "ra", "sti", "tu", "wen")


def census(count, seed=0):
    """Rows like those of a census, with a label."""
    chance = random.Random(seed)
    rows = [{"age": float(chance.randrange(17, 91)),
             "hours_per_week": float(chance.randrange(1, 100)),
             "capital_gain": float(chance.choice((0, 0, 0, chance.randrange(100, 99_999)))),
             "workclass": chance.choice(_WORKCLASS), "education": chance.choice(_EDUCATION),
             "occupation": chance.choice(_OCCUPATION), "sex": chance.choice(("Male", "Female")),
             "label": chance.randrange(2)} for _ in range(min(count, DISTINCT))]
    return itertools.islice(itertools.cycle(rows), count)


def sentences(count, seed=0):
    """Texts of 1 to 40 words, with a label."""
    chance = random.Random(seed)
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randrange(1, 4))) for _ in range(400)]
    for _ in range(count):
        yield {"text": " ".join(chance.choices(words, k=chance.randrange(1, 41))),
               "label": chance.randrange(2)}


def pairs(count):
    """Two small numbers; a line of JSON each."""
    for number in range(count):
        yield b'{"a": %d, "b": %d.5}\n' % (number % 97, number % 89)


def write(rows, file):
    """Writes rows to a file, in the format that its ending names; returns the file."""
    _WRITERS[file.suffix](rows, file)
    return file


def _csv(rows, file):
    rows = iter(rows)
    first = next(rows)
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(first))
        writer.writeheader()
        writer.writerows(itertools.chain([first], rows))


def _parquet(rows, file):
    import pyarrow
    import pyarrow.parquet
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), file)


def _tfrecord(rows, file):
    """tf.Examples of all columns."""
    write_examples(map(_example, rows), file)


def write_examples(examples, file):
    """Writes serialized examples as TFRecords."""
    import tensorflow as tf
    with tf.io.TFRecordWriter(str(file)) as writer:
        for example in examples:
            writer.write(example)


def _example(row):
    import tensorflow as tf
    example = tf.train.Example()
    for name, value in row.items():
        feature = example.features.feature[name]
        if isinstance(value, str):
            feature.bytes_list.value.append(value.encode("utf-8"))
        elif isinstance(value, float):
            feature.float_list.value.append(value)
        else:
            feature.int64_list.value.append(value)
    return example.SerializeToString(deterministic=True)


_WRITERS = {".csv": _csv, ".parquet": _parquet, ".tfrecord": _tfrecord}
