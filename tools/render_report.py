"""Draws results: one HTML page that needs nothing but a browser, or files of other kinds.

  ig-tf report --results=results.jsonl --output=report.html
  ig-tf report --results=FOLDER_OF_A_JOB --output=report.html         # all of it, 100 examples
  ig-tf report --results=results.jsonl --format=ansi                  # in this terminal
  ig-tf report --results=results.jsonl --format=png --output=FOLDER   # a file for each picture
  ig-tf report --results=results.jsonl --format=sheet --output=sheet.png

The page has the model card, the set as a whole, and every example with its pictures and a verdict
on whether to believe it. --check=FILE adds what `ig-tf check --format=json` said, with F along the
path. --by=target,age cuts the set in slices. --beside=FILE draws other results of the same
examples under each: attributions with `ig-tf instrument --rule=right --steps=1` are gradient times
(input - baseline), as in the second figure of the paper on Integrated Gradients.

Every picture has a legend of signs and says the score of its full colour. In a .csv, text that
begins with = + - @ has an apostrophe before it, so that no spreadsheet runs it.
"""

import json
import os
import sys

from absl import flags

from ig_tf.errors import OutputError, ResultsError
from tools import program

_RESULTS = flags.DEFINE_string(
    "results", None, "File that `ig-tf attribute` wrote, or the folder of a job: its summary, and "
    "its first rows (--limit, 100).", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "What to write: a file for html and sheet, a folder for png, svg and csv; ansi "
    "goes to the terminal where there is none.")
_FORMAT = flags.DEFINE_enum(
    "format", "html", ["html", "ansi", "png", "svg", "csv", "sheet"],
    "html: one page. ansi: text for a terminal with 24-bit colours. png, svg, csv: a file for "
    "each picture. sheet: all images on one PNG.")
_TITLE = flags.DEFINE_string("title", "Attributions", "Heading of the page.")
_OVERWRITE = flags.DEFINE_bool("overwrite", True, "Replace a page that exists.")
_LIMIT = flags.DEFINE_integer("limit", None, "Draw so many examples.", lower_bound=1)
_BY = flags.DEFINE_list("by", [], "Cut the set by these: target, or inputs by name.")
_CHECK = flags.DEFINE_string("check", None, "File with the output of `ig-tf check --format=json`.")
_BESIDE = flags.DEFINE_string("beside", None, "Other results of the same examples.")
_PALETTE = flags.DEFINE_enum(
    "palette", "green-red", ["green-red", "blue-orange", "red-blue"],
    "The colour of + first. blue-orange suits all kinds of colour vision; red-blue is that of the "
    "paper's texts.")
_VIEWS = flags.DEFINE_list(
    "views", ["input", "overlay"], "Pictures of an image: input, overlay, heat, mask (the input "
    "where it is attributed), outlines (of the strongest regions). Each adds up to 25 kB a photo.")
_POLARITY = flags.DEFINE_enum("polarity", "both", ["both", "positive", "negative"],
                              "Which scores of an image are drawn.")
_CLIP = flags.DEFINE_float(
    "clip", 98, "Images: full colour from the score on below which this percentage of the sum of "
    "|scores| lies; 100 clips nothing.", lower_bound=0, upper_bound=100)
_MASS = flags.DEFINE_float(
    "mass", 100, "Images: colour only the strongest pixels that hold this percentage of the sum "
    "of |scores|.", lower_bound=0, upper_bound=100)
_BLUR = flags.DEFINE_float("blur", 0, "Images: blur the map by so many pixels.", lower_bound=0,
                           upper_bound=100)
_CLEAN = flags.DEFINE_integer(
    "clean", 0, "Images: fill holes and drop specks of up to twice this many pixels.",
    lower_bound=0, upper_bound=20)
_CHANNELS = flags.DEFINE_enum(
    "channels", "sum", ["sum", "largest"], "Images: the score of a pixel is the sum over its "
    "channels, or the channel with the largest |score|.")
_SCALE = flags.DEFINE_enum("scale", "example", ["example", "set"],
                           "Colours are scaled by each example, or the same for all.")
_WORDS = flags.DEFINE_enum("words", "merged", ["merged", "split"],
                           "Pieces of words (##, ▁, Ġ, @@) are put together or shown one by one.")


def main(_):
    from ig_tf.run import results
    summary = None
    if os.path.isdir(_RESULTS.value):
        from ig_tf.run import job_results
        found = job_results.read(_RESULTS.value, _LIMIT.value)
        rows, about, summary = found.rows, found.rows.about, found.summary
        if _BY.value:
            raise ResultsError("--by: a job is cut by the columns that `ig-tf attribute --keep` "
                               "names, when it runs.")
    else:
        about, rows = results.read(_RESULTS.value)
        rows = rows[:_LIMIT.value]
    if _FORMAT.value == "ansi" and not _OUTPUT.value:
        from ig_tf.rendering import ansi
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters
        sys.stdout.write(ansi.render(rows, about, _look(), colour="NO_COLOR" not in os.environ))
        return 0
    if not _OUTPUT.value:
        raise OutputError(f"--output is needed for --format={_FORMAT.value}.")
    is_file = _FORMAT.value in ("html", "ansi", "sheet")
    if is_file and os.path.exists(_OUTPUT.value) and not _OVERWRITE.value:
        raise OutputError(f"{_OUTPUT.value!r} exists; nothing was written.")
    print(_file(rows, about, summary) if is_file else _folder(rows))
    return 0


main.needs_tensorflow = False  # results are files of numbers


def _file(rows, about, summary):
    from ig_tf.rendering import ansi, counting, export, report, scene
    from ig_tf.run import results
    if _FORMAT.value == "sheet":
        content = scene.png(export.sheet(rows, _look()), _look().colours)
    elif _FORMAT.value == "ansi":
        content = ansi.render(rows, about, _look()).encode("utf-8")
    else:
        content = report.render(rows, about, _TITLE.value, _look(), _BY.value, _check(),
                                _beside(), summary).encode("utf-8")
    results.write_file(_OUTPUT.value, content)
    tail = "; open it in a browser" if _FORMAT.value == "html" else ""
    return (f"wrote {_OUTPUT.value}: {counting.all_text(rows)}, {len(content) / 1e6:.1f} MB"
            f"{tail}")


def _folder(rows):
    from ig_tf.rendering import counting, export
    written = export.write(rows, _OUTPUT.value, _FORMAT.value, _look(), _check())
    return f"wrote {len(written)} files of {counting.all_text(rows)} to {_OUTPUT.value}"


def _look():
    from ig_tf.rendering import look
    return look.Look(
        palette=_PALETTE.value, polarity=_POLARITY.value, views=tuple(_VIEWS.value),
        clip=_CLIP.value, mass=_MASS.value, blur=_BLUR.value, clean=_CLEAN.value,
        channels=_CHANNELS.value, scale=_SCALE.value, words=_WORDS.value)


def _check():
    if not _CHECK.value:
        return None
    try:
        with open(_CHECK.value, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{_CHECK.value}: cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise ResultsError(f"{_CHECK.value}: `ig-tf check --format=json` writes an object")
    return found


def _beside():
    if not _BESIDE.value:
        return None
    from ig_tf.rendering.card import Beside
    from ig_tf.run import results
    about, rows = results.read(_BESIDE.value)
    steps = "1 step" if about.steps == 1 else f"{about.steps} steps"
    name = f"{os.path.basename(_BESIDE.value)} ({about.rule}, {steps})"
    return Beside(name, {**{row.id: row for row in rows},
                         **{(row.id, row.target.text()): row for row in rows}})


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
