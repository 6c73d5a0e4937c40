"""Text files of names, one per line."""

from ig_tf.errors import RecordError


def lines(path):
    """The lines of a text file, or None for no file.

    Raises:
      RecordError: it cannot be read.
    """
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"cannot read {path!r}: {error}") from error
