"""What an input names: files, patterns and folders, as sources of items in a fixed order."""

import bisect
import dataclasses
import functools
import glob
import itertools
import os

from ig_tf.errors import RecordError
from ig_tf.run import images, readers
from ig_tf.run.items import Item

# ending: format. Compressed files end in .gz besides.
ENDINGS = {".npz": "npz", ".jsonl": "jsonl", ".csv": "csv", ".tfrecord": "tfrecord",
           ".tfrecords": "tfrecord", ".parquet": "parquet"}
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
IMAGE = "image"  # the format, and the column that holds an image file


@dataclasses.dataclass(frozen=True)
class Source:
    """A file of records, or some image files of one record each.

    Attributes:
      files: paths; more than one for images only.
      format: a row of `readers.FORMATS`, or "image".
    """

    files: tuple
    format: str

    def items(self):
        """Yields the items, always in the same order."""
        if self.format != IMAGE:
            return readers.FORMATS[self.format](self.files[0])
        return (Item({"id": os.path.basename(file), "path": file}, _image) for file in self.files)

    def count(self):
        """The number of items."""
        if self.format == IMAGE:
            return len(self.files)
        return sum(1 for _ in self.items())


class Stream:
    """The items of several sources by their position in all of them; forward is cheap.

    Args:
      found: the sources.
      counts: the number of items of each.
    """

    def __init__(self, found, counts):
        self._ends = list(itertools.accumulate(counts))
        self._found, self._source, self._items, self._next = found, None, None, 0

    def range(self, start, stop):
        """Yields (position, file, item) from `start` to `stop` - 1.

        Raises:
          RecordError: a source has fewer items than it had.
        """
        for position in range(start, stop):
            source = bisect.bisect_right(self._ends, position)
            if source != self._source or position < self._next:
                self._source, self._items = source, self._found[source].items()
                self._next = self._ends[source - 1] if source else 0
            for skipped in range(self._next, position + 1):
                self._next, item = skipped + 1, next(self._items, None)
                if item is None:
                    raise RecordError(f"{self._found[source].files[0]!r} has changed: it had a "
                                      f"record {position} when the job began.")
            yield position, self._file(source, position), item

    def _file(self, source, position):
        files = self._found[source].files
        first = self._ends[source - 1] if source else 0
        return files[position - first] if len(files) > 1 else files[0]


def _image(payload):
    try:
        with open(payload["path"], "rb") as stream:
            return {"id": payload["id"], IMAGE: images.Encoded(stream.read())}
    except OSError as error:
        raise RecordError(f"cannot read the image {payload['path']!r}: {error}") from error


def find(input):
    """The sources that an input names.

    Args:
      input: a file, a folder, a pattern (`rows-*.csv`, `logs/**/*.jsonl`), several of them with
        commas between, or a list of them. Of a folder all files that have a known ending are taken,
        in the order of their names, but those that start with a dot or an underscore.

    Raises:
      RecordError: nothing is found, or a file has an ending that nobody knows.
    """
    files = [file for one in _named(input) for file in _files(os.fspath(one))]
    repeated = sorted({file for file in files if files.count(file) > 1}) if (
        len(set(files)) < len(files)) else []
    if repeated:
        raise RecordError(f"the input names {repeated[0]!r} more than once.")
    found = []
    for file in files:
        kind = format_of(file)
        if kind == IMAGE and found and found[-1].format == IMAGE:
            found[-1] = Source(found[-1].files + (file,), IMAGE)
        else:
            found.append(Source((file,), kind))
    return tuple(found)


def _named(input):
    if isinstance(input, bytes):
        input = os.fsdecode(input)
    if hasattr(input, "__fspath__"):
        return [input]
    if not isinstance(input, str):
        return list(input)
    return [input] if os.path.exists(input) else [one for one in input.split(",") if one]


def _files(name):
    if os.path.isdir(name):
        files = [file for file in sorted(glob.glob(os.path.join(glob.escape(name), "**", "*"),
                                                   recursive=True))
                 if os.path.isfile(file) and _counts(os.path.relpath(file, name))]
        if not files:
            raise RecordError(f"no input file in the folder {name!r}; known endings: {_endings()}.")
        return files
    if os.path.exists(name):
        return [name]
    files = [file for file in sorted(glob.glob(name, recursive=True)) if os.path.isfile(file)]
    if not files:
        raise RecordError(f"no input file {name!r}.")
    return files


def _counts(file):
    """Whether a file of a folder is data; `_SUCCESS` and the like are not."""
    return not any(part.startswith("_") for part in file.split(os.sep)) and (
        _guess(file) is not None)


def format_of(file):
    """The format of a file by its name.

    Raises:
      RecordError: it says nothing.
    """
    found = _guess(file)
    if found is None:
        raise RecordError(f"cannot tell the format of {file!r}; known endings: {_endings()}.")
    return found


@functools.cache
def _guess(file):
    name = os.path.basename(file).lower()
    plain = name.removesuffix(".gz")
    for ending, kind in ENDINGS.items():
        if plain.endswith(ending) and (plain == name or kind in ("jsonl", "csv", "tfrecord")):
            return kind
    if name.endswith(IMAGES):
        return IMAGE
    # data_tfrecord-00000-of-00004.gz, train.tfrecord-00000-of-00010
    return "tfrecord" if "tfrecord" in name else None


def _endings():
    return ", ".join((*ENDINGS, *IMAGES)) + ", and .gz behind .jsonl, .csv and .tfrecord"
