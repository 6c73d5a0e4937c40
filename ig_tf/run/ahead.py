"""What comes next, made in a thread of its own while what came before is used."""

import threading

_END = object()


def ahead(items):
    """Yields items that another thread makes, one at a time: the next one while this one is used.

    At most one item waits, and none is begun before it has been taken. What the other thread raises
    is raised here. Closing this generator ends the thread after the item that it is making.

    Args:
      items: a generator.
    """
    handed = _Handed()

    def make():
        try:
            for item in items:
                if not handed.give(item):
                    return
            handed.give(_END)
        except BaseException as error:  # whatever it is, it belongs to who waits for the item
            handed.give(_END, error)
        finally:
            items.close()

    thread = threading.Thread(target=make, name="ig_tf_ahead", daemon=True)
    thread.start()
    try:
        while (item := handed.take()) is not _END:
            yield item
            del item
    finally:
        handed.end()
        thread.join()


class _Handed:
    """A place for one item."""

    def __init__(self):
        self._changed = threading.Condition()
        self._item, self._error, self._is_full, self._ended = None, None, False, False

    def give(self, item, error=None):
        """Waits until the item was taken; False: nobody wants any."""
        with self._changed:
            self._item, self._error, self._is_full = item, error, True
            self._changed.notify_all()
            del item
            self._changed.wait_for(lambda: not self._is_full or self._ended)
            return not self._ended

    def take(self):
        with self._changed:
            self._changed.wait_for(lambda: self._is_full)
            item, self._item, self._is_full = self._item, None, False
            self._changed.notify_all()
            if self._error is not None:
                raise self._error
            return item

    def end(self):
        with self._changed:
            self._ended = True
            self._changed.notify_all()
