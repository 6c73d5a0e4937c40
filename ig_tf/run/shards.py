"""The unit of a job: some records of the input, one file of results.

`Worker.run` is the same in one process, in many, and under any engine: it needs a folder that all
can write to and nothing else.
"""

import base64
import collections
import contextlib
import dataclasses
import hashlib
import os
import secrets

from ig_tf.errors import JobError
from ig_tf.run import answering, shard_files, summary
from ig_tf.run.ahead import ahead
from ig_tf.run.job_folder import KEPT
from ig_tf.run.results_files import sync
from ig_tf.run.results_values import dump

@dataclasses.dataclass(frozen=True)
class Shard:
    """Some records: those from `start` to `stop` - 1.

    Attributes:
      number: its place among all.
      of: how many there are.
    """

    number: int
    of: int
    start: int
    stop: int

    def file(self, ending):
        """The name of its results."""
        return f"part-{self.number:05d}-of-{self.of:05d}{ending}"


class Worker:
    """Answers shards with one loaded model.

    Args:
      folder: a `JobFolder`.
      stream: a `sources.Stream`.
      explainer: an `Explainer`.
      fields: `Fields`.
      kept: {pass-through column: type}.
      format, form: rows of `shard_files.FORMATS` and `shard_files.FORMS`.
      batch_size: records per request; halved where memory runs out.
      skip: whether a record that fails costs a row of status error, and not the job.
      said: function(number of records just done, sentence or None).
    """

    def __init__(self, folder, stream, explainer, fields, kept, format, form, batch_size, skip,
                 said):
        self._folder, self._stream, self._loaded = folder, stream, explainer.loaded
        self._kept, self._format, self._form, self._said = kept, format, form, said
        self._answering = answering.Answering(explainer, fields, kept, batch_size, skip, said,
                                              shard_files.takes_blocks(format, form))

    def run(self, shard):
        """Writes a shard's results, then the note that it is finished.

        Returns:
          The note: {"file", "records", "rows", "statuses", "dead_letters", "bytes", "sha256"}.

        Raises:
          JobError: a record failed, and none may; or a file cannot be written.
        """
        opener, ending = shard_files.opener(self._format, self._form, self._loaded,
                                            self._kept)
        name = shard.file(ending)
        path, dead = self._folder.results(name), self._folder.dead_letters(shard.number)
        statuses, failed, whole = collections.Counter(), 0, summary.Summary()
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(dead)  # of a run that was killed
            with _aside(path) as aside, contextlib.ExitStack() as letters, contextlib.closing(
                    ahead(self._answered(shard))) as answered:
                with opener(aside) as writer:
                    for window in answered:
                        if isinstance(window, answering.Blocks):
                            window.add_to(writer, statuses, whole)
                            continue
                        for position, file, item, found, kept in window:
                            if isinstance(found, answering.Failure):
                                if not failed:
                                    letter = letters.enter_context(_aside(dead))
                                    letters_file = letters.enter_context(open(letter, "wb"))
                                failed += 1
                                letters_file.write(_letter(position, file, item, found))
                                found = (
                                    self._answering.without(position, item, found),)
                            else:
                                found = found()
                            for result in found:
                                writer.row(position, result, kept)
                                statuses[result.status] += 1
                                whole.add(result, kept)
            size, digest = checksum(path)
        except OSError as error:
            raise JobError(f"{path}: cannot be written: {error}. {KEPT}") from error
        return self._folder.finish(shard.number, {
            "file": name, "records": shard.stop - shard.start, "rows": statuses.total(),
            "statuses": dict(sorted(statuses.items())), "dead_letters": failed, "bytes": size,
            "sha256": digest}, whole.state())

    def _answered(self, shard):
        """Yields what `Answering.answers` has of all records, in the order of the input."""
        with contextlib.closing(ahead(self._answering.windows(
                self._stream, shard.start, shard.stop))) as windows:
            for parts, table, read in windows:
                yield from self._answering.answers(parts, table, read)
                self._said(sum(map(len, parts)), None)


def _letter(position, file, item, failure):
    return dump({"position": position, "file": file, "reason": failure.reason,
                 "base64": base64.b64encode(item.raw()).decode("ascii")}) + b"\n"


@contextlib.contextmanager
def _aside(path):
    """A name for a file that gets its own one when it is whole and on the disk.

    Two machines of a cluster may write the same shard (one was given up, and is not dead), and
    their process ids may be equal: in containers they are small.
    """
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    aside = os.path.join(folder, f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield aside
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
        sync(folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)


def checksum(path):
    """(bytes, SHA-256) of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
        return file.tell(), digest.hexdigest()
