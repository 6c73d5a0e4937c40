"""CSV that a spreadsheet shows and never runs."""

import csv
import io
from collections.abc import Iterable, Sequence

from ig_tf.rendering.markup import visible

# Spreadsheets take cells that begin so for formulas; those of East Asia the wide forms too.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_LONGEST = 32_000


def cell(value: object) -> object:
    """A value as a cell: text that begins like a formula gets an apostrophe, None is empty."""
    if not isinstance(value, str):
        return "" if value is None else value
    words = visible(value, _LONGEST)
    return f"'{words}" if words.startswith(FORMULA) else words


def text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV, lines ended by CR and LF."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\r\n").writerows([cell(v) for v in row] for row in rows)
    return file.getvalue()
