"""A progress bar where tqdm is installed, else a line now and then."""

import sys
import time

QUIET_SECONDS = 2.0  # nothing is said before, then not more often


def progress(items, unit, total=None, stream=None):
    """Passes the items on and says how many there were so far.

    Args:
      items: iterable.
      unit: what one item is called.
      total: how many will come, or None.
      stream: where to say it; None is standard error.
    """
    stream = stream or sys.stderr
    try:
        from tqdm import tqdm
    except ImportError:
        return _lines(items, unit, total, stream)
    return tqdm(items, unit=f" {unit}", total=total, file=stream, delay=QUIET_SECONDS)


def _lines(items, unit, total, stream):
    start = said = time.monotonic()
    count = 0
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said > QUIET_SECONDS:
            said = now
            of = f" of {total}" if total else ""
            print(f"{count}{of} {unit}, {count / (now - start):.1f} a second", file=stream)


class Meter:
    """How far a job is: a bar where tqdm is installed, else a line now and then with rate and ETA.

    Args:
      unit: what one item is called.
      total: how many there are.
      stream: where to say it; None is standard error.
    """

    def __init__(self, unit, total, stream=None):
        self._unit, self._total, self._stream = unit, total, stream or sys.stderr
        self._count, self._start = 0, time.monotonic()
        self._line = self._start
        try:
            from tqdm import tqdm
            self._bar = tqdm(unit=f" {unit}", total=total, file=self._stream, delay=QUIET_SECONDS)
        except ImportError:
            self._bar = None

    def add(self, count, sentence=None):
        """So many more are done; the sentence, if any, is said at once."""
        self._count += count
        if sentence:
            print(sentence, file=self._stream, flush=True)
        if self._bar is not None:
            self._bar.update(count)
            return
        now = time.monotonic()
        if now - self._line > QUIET_SECONDS and self._count:
            self._line = now
            rate = self._count / (now - self._start)
            print(f"{self._count} of {self._total} {self._unit}, {rate:.1f} a second, "
                  f"{(self._total - self._count) / rate:.0f} s left", file=self._stream, flush=True)

    def close(self):
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()
