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
