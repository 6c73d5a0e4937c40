"""What an input names: files, patterns and folders, as sources of items in a fixed order."""

import bisect
import dataclasses
import functools
import glob
import itertools
import os

from ig_tf.errors import RecordError
from ig_tf.run import images, readers
from ig_tf.run.items import Chunk, Item

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

    def chunks(self):
        """Yields the `Chunk`s, always in the same order."""
        if self.format != IMAGE:
            return readers.FORMATS[self.format](self.files[0])
        return iter([Chunk(len(self.files), self._picture)])

    def _picture(self, place):
        file = self.files[place]
        return Item({"id": os.path.basename(file), "path": file}, _image)

    def items(self):
        """Yields the items, always in the same order."""
        for chunk in self.chunks():
            yield from chunk.items()

    def count(self):
        """The number of items."""
        return sum(chunk.count for chunk in self.chunks())


@dataclasses.dataclass(frozen=True)
class Part:
    """Some records of a chunk.

    Attributes:
      position: of the first of them in the whole input.
      files: of the source: one, or one for each of its records.
      first: position of the source's first record.
      chunk: the `Chunk`.
      start, stop: places in it.
    """

    position: int
    files: tuple
    first: int
    chunk: Chunk
    start: int
    stop: int

    def __len__(self):
        return self.stop - self.start

    def records(self):
        """Yields (position, file, item)."""
        for place in range(self.start, self.stop):
            position = self.position + place - self.start
            file = self.files[position - self.first] if len(self.files) > 1 else self.files[0]
            yield position, file, self.chunk.item(place)

    def columns(self):
        """As `Chunk.columns` has them."""
        return self.chunk.columns(self.start, self.stop)


def cut(parts, size):
    """Yields lists of `Part`s of `size` records each, but for the last, of all in `parts`."""
    found, left = [], size
    for part in parts:
        start = part.start
        while start < part.stop:
            stop = min(part.stop, start + left)
            found.append(dataclasses.replace(
                part, position=part.position + start - part.start, start=start, stop=stop))
            left -= stop - start
            start = stop
            if not left:
                yield found
                found, left = [], size
    if found:
        yield found


class Stream:
    """The records of several sources by their position in all of them; forward is cheap.

    Args:
      found: the sources.
      counts: the number of records of each.
    """

    def __init__(self, found, counts):
        self._ends = list(itertools.accumulate(counts))
        self._found, self._source, self._chunks = found, None, None
        self._chunk, self._first = None, 0  # the chunk that is open, the position it starts at

    def parts(self, start, stop):
        """Yields the `Part`s that hold the records from `start` to `stop` - 1.

        Raises:
          RecordError: a source has fewer records than it had.
        """
        while start < stop:
            source = bisect.bisect_right(self._ends, start)
            begin = self._ends[source - 1] if source else 0
            if source != self._source or start < self._first:
                self._source, self._chunks = source, self._found[source].chunks()
                self._chunk, self._first = next(self._chunks, None), begin
            while self._chunk is not None and start >= self._first + self._chunk.count:
                self._first += self._chunk.count
                self._chunk = next(self._chunks, None)
            if self._chunk is None:
                self._source = None
                raise RecordError(f"{self._found[source].files[0]!r} has changed: it had a "
                                  f"record {start} when the job began.")
            place = start - self._first
            taken = min(stop, self._ends[source]) - start
            taken = min(taken, self._chunk.count - place)
            yield Part(start, self._found[source].files, begin, self._chunk, place, place + taken)
            start += taken


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
