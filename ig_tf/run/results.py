"""Result rows, and the files that hold them: the public names of the modules results_*.

A `Result` is one explained example. The same row goes to JSON Lines, to .npz and to the HTML
report; `row_of` and `result_of` turn it to and from a plain JSON object. `FORMATS` maps a file
extension to its writer and reader: a new output format is one more row there.

Needs NumPy and the standard library, and no TensorFlow.
"""

import os
import pathlib
from collections.abc import Callable, Iterable

from ig_tf.errors import ResultsError
from ig_tf.run import results_jsonl, results_npz
from ig_tf.run.results_files import written_aside
from ig_tf.run.results_json import about_of, about_row, result_of, row_of
from ig_tf.run.results_jsonl import about_path
from ig_tf.run.results_rows import (
    DRAWN_BY, EQUAL_SHARE, KINDS, NUMBERS, STATUSES, TOLERANCE, About, PointScores, Result,
    Results, Target, status_of)

__all__ = [
    "DRAWN_BY", "EQUAL_SHARE", "FORMATS", "KINDS", "NUMBERS", "STATUSES", "TOLERANCE", "About",
    "PointScores", "Result", "Results", "ResultsError", "Target", "about_of", "about_path",
    "about_row", "read", "result_of", "row_of", "status_of", "write", "write_file",
]

# extension: (writer, reader)
FORMATS: dict[str, tuple[Callable, Callable]] = {
    ".jsonl": (results_jsonl.write, results_jsonl.read),
    ".npz": (results_npz.write, results_npz.read),
}


def write(path: str | os.PathLike, results: Iterable[Result], about: About) -> None:
    """Writes results in the format that the extension of `path` names.

    The file is written aside in the same folder and renamed, so there is never half a file.

    Args:
      path: the file; one that exists is replaced.
      results: the rows; .jsonl takes them one at a time, .npz gathers them.
      about: the model card.

    Raises:
      ResultsError: an unknown extension, a file that cannot be written, or rows that the format
        cannot hold.
    """
    path = pathlib.Path(path)
    writer, _ = _format_of(path)
    try:
        writer(path, results, about)
    except (OSError, UnicodeError) as error:
        raise ResultsError(f"{path}: cannot be written: {error}") from error


def read(path: str | os.PathLike) -> tuple[About, Results]:
    """Reads what `write` wrote.

    Raises:
      ResultsError: an unknown extension, no such file, or a broken one (with the line).
    """
    path = pathlib.Path(path)
    _, reader = _format_of(path)
    try:
        about, rows = reader(path)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error}") from error
    return about, Results(rows, about)


def write_file(path: str | os.PathLike, data: bytes) -> None:
    """Writes any file aside and renames it.

    Raises:
      ResultsError: it cannot be written.
    """
    try:
        with written_aside(pathlib.Path(path)) as file:
            file.write(data)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error}") from error


def _format_of(path: pathlib.Path) -> tuple[Callable, Callable]:
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise ResultsError(
            f"{path}: unknown results format {path.suffix!r}; known: {', '.join(FORMATS)}"
        ) from None
