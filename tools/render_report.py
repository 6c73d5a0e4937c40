"""Draws results as one HTML page that needs nothing but a browser.

  ig-tf report --results=results.jsonl --output=report.html
"""

import os
import sys

from absl import flags

from ig_tf.errors import OutputError
from tools import program

_RESULTS = flags.DEFINE_string("results", None, "File that `ig-tf attribute` wrote.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "HTML file to write.", required=True)
_TITLE = flags.DEFINE_string("title", "Attributions", "Heading of the page.")
_OVERWRITE = flags.DEFINE_bool("overwrite", True, "Replace a page that exists.")


def main(_):
    from ig_tf.rendering import report
    from ig_tf.run import results
    about, rows = results.read(_RESULTS.value)
    if os.path.exists(_OUTPUT.value) and not _OVERWRITE.value:
        raise OutputError(f"{_OUTPUT.value!r} exists; nothing was written.")
    page = report.render(rows, about, title=_TITLE.value)
    results.write_file(_OUTPUT.value, page.encode("utf-8"))
    print(f"wrote {_OUTPUT.value}: {len(rows)} examples, {len(page) / 1e6:.1f} MB; open it in a "
          "browser")
    return 0


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
