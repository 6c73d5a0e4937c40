"""Windows of records, answered: by column where they are plain, one by one where they are not."""

import dataclasses
import functools
import math

from ig_tf.errors import JobError, RecordError
from ig_tf.run import by_column, records, results, shard_files, sources, summary, tables

# Batches that are read before they are answered, where shapes vary: records of equal shapes go
# together. One window is read, one answered and one written at a time.
WINDOW = 4
# Where all records have one shape: as many as have so many numbers, so that what is done once for a
# window costs little.
_NUMBERS, _MOST = 1 << 18, 16

_REASON = 2_000


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a record has no attributions: in so many characters that a page can show it."""

    reason: str

    def __post_init__(self):
        if len(self.reason) > _REASON:  # it quotes a value of megabytes
            object.__setattr__(self, "reason", self.reason[:_REASON - 3] + "...")


class Answering:
    """Answers records with one loaded model.

    Args:
      explainer: an `Explainer`.
      fields: `Fields`.
      kept: {pass-through column: type}.
      batch_size: records per request; halved where memory runs out.
      skip: whether a record that fails is a `Failure`, and no JobError.
      said: function(number of records just done, sentence or None).
      takes_blocks: whether whole windows may be answered by `Blocks`.
    """

    def __init__(self, explainer, fields, kept, batch_size, skip, said, takes_blocks):
        self._by_column = by_column.ByColumn(explainer, fields, kept)
        self._columns = self._by_column.fits and takes_blocks
        self._explainer, self._fields, self._kept = explainer, fields, kept
        self._batch, self._skip, self._said = batch_size, skip, said

    def windows(self, stream, start, stop):
        """Reads records, and checks them.

        Args:
          stream: a `sources.Stream`.
          start, stop: those from `start` to `stop` - 1.

        Yields:
          ([`Part`], `Table`, None), or where the records make none ([`Part`], None, [(`Prepared` or
          `Failure`, pass-through values)]).
        """
        while start < stop:
            least = self._least()
            end = min(stop, start + least * self._batches())
            parts, start = list(stream.parts(start, end)), end
            table = self._by_column.table(parts) if self._columns else None
            if table is not None:
                yield parts, table, None
                continue
            for some in sources.cut(parts, least):  # what makes no columns may be in one of them
                table = self._by_column.table(some) if self._columns else None
                yield some, table, None if table else [
                    self._read(*one) for part in some for one in part.records()]

    def answers(self, parts, table, read, known=()):
        """Answers a window, as `windows` yields it; what is refused is looked at batch by batch.

        Args:
          parts, table, read: of the window.
          known: answers to its first requests, where there are some.

        Yields:
          `Blocks`, or a list of (position, file, item, found, pass-through values), where found is
          a `Failure`, or a function that gives the results; together all records, in their order.

        Raises:
          JobError: a record fails, and none may.
        """
        if table is not None:
            found, known = self._blocks(table, known)
            if found is not None:
                yield Blocks(table, found)
                return
            smaller = list(sources.cut(parts, self._least()))
            if len(smaller) > 1:
                each = self._batch // (self._explainer.loaded.examples or self._batch)
                for place, some in enumerate(smaller):
                    yield from self.answers(some, self._by_column.table(some), None,
                                            known[place * each:(place + 1) * each])
                return
        yield from self._singly(parts, read)

    def _singly(self, parts, read):
        """Yields the records of a window, each looked at by itself."""
        window = [one for part in parts for one in part.records()]
        read = [self._read(*one) for one in window] if read is None else read
        answers, done = self._window([one for one, _ in read]), []
        for (position, file, item), found, (_, kept) in zip(window, answers, read):
            if isinstance(found, Failure) and not self._skip:
                yield done
                raise JobError(
                    f"{file}: record {position} fails: {found.reason.rstrip('.')}. "
                    "Finished shards are kept. With --on_error=skip it costs one row of "
                    "status error.")
            done.append((position, file, item, found, kept))
        yield done

    def without(self, position, item, failure):
        """The row of a record that has no attributions."""
        try:
            name = item.values().get(self._fields.columns.get("id", "id"), position)
        except RecordError:
            name = position
        return results.Result(id=str(name), status="error", message=failure.reason)

    def _least(self):
        """Records of the smallest window."""
        return self._batch * (WINDOW if self._explainer.loaded.varied else 1)

    def _batches(self):
        """So many times as many are read by column."""
        loaded = self._explainer.loaded
        if not self._columns or loaded.varied or self._batch % (loaded.examples or 1):
            return 1
        size = sum(math.prod(dim or 1 for dim in spec.shape.as_list())
                   for spec in loaded.inputs.values())
        return max(1, min(_MOST, _NUMBERS // (size * self._batch)))

    def _blocks(self, table, known):
        """(every `Block` of a window, None); (None, answers before it) where a request was refused,
        so that the records have to be looked at in less of a crowd."""
        import tensorflow as tf
        found, fixed = [], self._explainer.loaded.examples
        for group in table.groups:
            answers, start = list(known), sum(len(one["prediction"]) for one in known)
            while start < len(group):
                asked = group.part(start, start + (fixed or self._batch))
                try:
                    answers.append(self._explainer.request(asked))
                except RecordError:
                    return None, answers if len(table.groups) == 1 else []
                except tf.errors.ResourceExhaustedError:
                    if not fixed:
                        self._smaller(len(asked))
                    return None, []
                start += len(asked)
            found += self._explainer.blocks(table, group, answers)
        return found, None

    def _read(self, position, file, item):
        """(`Prepared` or Failure, pass-through values)."""
        try:
            values = item.values()
            where = f"record {position}"
            kept = _typed(kept_values(values, self._kept, where), self._kept, where)
        except RecordError as error:
            return Failure(str(error)), {}
        try:
            return self._explainer.prepared(self._fields.of(records.Record(position, values))), kept
        except RecordError as error:
            return Failure(str(error)), kept

    def _window(self, read):
        """What gives the results, or Failure, of each; those of equal shapes share requests."""
        found, alike = list(read), {}
        for place, one in enumerate(read):
            if not isinstance(one, Failure):
                alike.setdefault(repr(one.alike), []).append(place)
        for places in alike.values():
            while places:
                size = self._explainer.loaded.examples or self._batch
                now, places = places[:size], places[size:]
                for place, answer in zip(now, self._answer([read[place] for place in now])):
                    found[place] = answer
        return found

    def _answer(self, group):
        """As `_window`, of one request; what is refused is halved."""
        import tensorflow as tf
        if len(group) > self._batch and not self._explainer.loaded.examples:
            return self._halves(group)
        try:
            return self._explainer.answered(group)
        except tf.errors.ResourceExhaustedError as error:
            reason = f"out of memory: {error.message.strip().partition(chr(10))[0]}"
            if self._explainer.loaded.examples:
                raise JobError(f"{reason} (the model fixes {self._explainer.loaded.examples} "
                               "examples per request, so that the batch cannot be halved).") from (
                                   error)
            self._smaller(len(group))
        except RecordError as error:
            reason = str(error)
        if len(group) == 1:
            return [Failure(reason)]
        return self._halves(group)

    def _halves(self, group):
        middle = (len(group) + 1) // 2
        return self._answer(group[:middle]) + self._answer(group[middle:])

    def _smaller(self, size):
        half = max(1, size // 2)
        if half < self._batch:
            self._batch = half
            self._said(0, f"out of memory with {size} records per request: {half} from here on")


@dataclasses.dataclass(frozen=True)
class Blocks:
    """A window of records that all have results.

    Attributes:
      table: the `Table`.
      blocks: every `Block`.
    """

    table: object
    blocks: list

    def add_to(self, writer, statuses, whole):
        """Writes the results and counts them.

        Args:
          writer: a `shard_files.Writer`.
          statuses: collections.Counter.
          whole: a `summary.Summary`.
        """
        writer.blocks(self.blocks)
        in_order = functools.partial(shard_files.in_order, self.blocks)
        found = in_order([block.statuses for block in self.blocks])
        statuses.update(found)
        words = [block.words() for block in self.blocks]
        whole.extend(
            in_order([block.by_target(results.Target.named) for block in self.blocks]), found,
            summary.Columns(
                self.table.count,
                {name: in_order([block.features[name].tolist() for block in self.blocks])
                 for name in self.blocks[0].features},
                in_order([own or [[]] * len(block) for own, block in zip(words, self.blocks)])
                if any(words) else None, self.table.kept))


def kept_values(values, names, where):
    """{column: value} of the pass-through columns of a record.

    Raises:
      RecordError: a column is missing.
    """
    if not names:
        return {}
    given = records.example_features(values[None]) if None in values else values
    missing = [name for name in names if name not in given]
    if missing:
        raise RecordError(f"{where} has no column {missing[0]!r}, which --keep names; it has "
                          f"{', '.join(map(str, given)) or 'nothing'}.")
    return {name: given[name] for name in names}


def _typed(given, kept, where):
    return {name: tables.as_type(value, kept[name], f"{where}, column {name!r}")
            for name, value in given.items()}
