"""Results as JSON Lines: one row a line, the model card in a file beside it."""

import os
import pathlib
from collections.abc import Iterable

from ig_tf.run.results_files import written_aside
from ig_tf.run.results_json import about_of, about_row, result_of, row_of
from ig_tf.run.results_rows import About, Result
from ig_tf.run.results_values import dump, load, located


def about_path(path: str | os.PathLike) -> pathlib.Path:
    """Where the model card of a .jsonl file lies."""
    path = pathlib.Path(path)
    return path.with_name(path.name + ".about.json")


def write(path: pathlib.Path, results: Iterable[Result], about: About) -> None:
    """Writes the rows one at a time, and the model card beside them."""
    with written_aside(path) as rows, written_aside(about_path(path)) as card:
        card.write(dump(about_row(about), indent=1) + b"\n")
        for result in results:
            rows.write(dump(row_of(result)) + b"\n")


def read(path: pathlib.Path) -> tuple[About, list[Result]]:
    """Reads the rows, and the model card where there is one."""
    card = about_path(path)
    about = About()
    if card.exists():
        with located(f"{card}"):
            about = about_of(load(card.read_bytes()))
    results = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                with located(f"{path}, line {number}"):
                    results.append(result_of(load(line)))
    return about, results
