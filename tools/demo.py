"""Instruments each model of saved_models/, attributes its examples and draws one report each.

  bash tools/demo.sh [--output=DIR]

Each report says what the model gave each example, what moved it, and whether to believe that.
"""

import os
import pathlib
import sys

from absl import flags

from tools import program

_OUTPUT = flags.DEFINE_string("output", "demo_output", "Folder for models, results and reports.")

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
MODELS = REPOSITORY / "saved_models"

# A patient with middling measurements: "why this patient and not that one" is the question.
MIDDLING = {"age": 48, "bmi": 26, "blood_pressure": 94, "total_cholesterol": 188, "ldl": 115,
            "hdl": 47.5, "cholesterol_ratio": 4, "log_triglycerides": 4.63, "glucose": 92}

# model, examples, title, {labels, vocabulary: files or lists; target; baseline; by: slices of the
# report; views of an image; without: a label whose rows are left out}
DEMOS = (
    ("diabetes_columns", "examples.csv", "Diabetes: which measurements speak for a fast course",
     {"labels": ["below the median", "above the median"], "baseline": MIDDLING,
      "by": ["target", "age_group"]}),
    ("review_tokens", "examples.jsonl", "Reviews: which words make a sentence positive or negative",
     {"labels": ["negative", "positive"], "vocabulary": "assets.extra/vocab.txt"}),
    ("digits_cnn", "examples.npz", "Digits: which pixels make it this digit",
     {"labels": [str(digit) for digit in range(10)]}),
    ("question_types", "examples.jsonl", "Questions: which words say what is asked for",
     {"labels": ["number", "date", "person", "place", "yes or no", "thing"]}),
    ("shapes", "examples.npz", "Objects: where the model sees them",
     {"labels": ["disc", "square", "triangle", "ring", "cross"], "baseline": 0.5,
      "views": ("input", "overlay", "outlines")}),
    ("translation", "examples.jsonl", "A translation: which English words each German word is from",
     {"labels": "assets.extra/german.txt", "vocabulary": "assets.extra/english.txt",
      "target": "probabilities:each,top", "without": "<pad>"}),
)


def main(_):
    import ig_tf
    from ig_tf.rendering import ansi, look
    from ig_tf.run import results
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    pages, review = [], None
    for name, examples, title, words in DEMOS:
        print(f"\n{title}")
        _instrument(ig_tf, folder, name, words)
        about, rows = _attribute(ig_tf, results, folder, name, examples, words)
        page = folder / f"{name}.html"
        drawn = ig_tf.render(rows, about, title=title, by=words.get("by", ()),
                             look=look.Look(views=words.get("views", look.DEFAULT.views)))
        results.write_file(page, drawn.encode("utf-8"))
        pages.append((page.resolve(), title))
        if name == "review_tokens":
            review = ansi.render(rows[1:3], about,
                                 colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    print(f"\nTwo of the reviews, as `ig-tf report --format=ansi` shows them here:\n\n{review}")
    print("Open in a browser:")
    for page, title in pages:
        print(f"  {page.as_uri()}\n      {title}; green speaks for it, red against it")
    return 0


def _instrument(ig_tf, folder, name, words):
    plan = ig_tf.instrument(ig_tf.load(MODELS / name), target=words.get("target"),
                            baseline=words.get("baseline", "zeros"))
    described = plan.described()
    ig_tf.save(plan, folder / name, overwrite=True)
    print(f"  {name}: target {described['target']['text']}, "
          f"{len(described['points'])} points of attribution, {described['copied_ops']} ops "
          f"copied -> {folder / name}")


def _attribute(ig_tf, results, folder, name, examples, words):
    """(model card, rows) of a model's examples, from the file that they are written to."""
    from ig_tf.rendering import counting
    file = folder / f"{name}.jsonl"
    ig_tf.attribute(folder / name, MODELS / name / examples, file,
                    labels=_words(name, words["labels"]),
                    vocabulary=_words(name, words.get("vocabulary")))
    about, rows = results.read(file)
    rows = [row for row in rows if row.target.label != words.get("without", "")]
    errors = sorted(row.relative_error for row in rows)
    good = sum(row.status == "converged" for row in rows)
    print(f"  {counting.all_text(rows)}; {good} of {len(rows)} add up within "
          f"{results.TOLERANCE:.0%}, the median error is {errors[len(errors) // 2]:.2%} -> {file}")
    return about, rows


def _words(name, found):
    """The words of a file beside the model; lists and None as they are."""
    if not isinstance(found, str):
        return found
    return (MODELS / name / found).read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
