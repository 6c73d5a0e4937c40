"""The part of a target behind its colon: which numbers of an output [batch, ...] are explained.

An index has one entry for each axis behind the batch: a number, a reduction (max, sum, mean), a
choice of classes (top, top5, all) on one of them, or `each` on one of them.
"""

import dataclasses
import re

import tensorflow as tf

from ig_tf.errors import TargetError

TOP = "top"
ALL = "all"
EACH = "each"
MOST = 64  # each of several scores has its own backward pass in the graph


@dataclasses.dataclass(frozen=True)
class Reduction:
    """What makes one number of an axis.

    Attributes:
      reduce: function(tensor, axis) -> tensor without that axis.
      meaning: a sentence for the plan and the metadata.
    """

    reduce: object
    meaning: str


REDUCTIONS = {
    "max": Reduction(tf.reduce_max, "max is the largest number at each place of the path: it may "
                     "stand elsewhere than at x"),
    "sum": Reduction(tf.reduce_sum, "sum is over the whole axis"),
    "mean": Reduction(tf.reduce_mean, "mean is over the whole axis"),
}

_CLASSES = re.compile(rf"{TOP}[1-9]\d*|{TOP}|{ALL}")
_FORMS = ("(A, or A-B for a difference), nor `topK` or `all` for several classes, nor one of these "
          f"or `{EACH}`, {', '.join(REDUCTIONS)} for each axis, as in {EACH},{TOP}")


@dataclasses.dataclass(frozen=True)
class Difference:
    """Two elements of an output: why the first rather than the second.

    Attributes:
      first, second: tuples of entries behind the batch axis.
    """

    first: tuple
    second: tuple

    def text(self):
        """FIRST-SECOND, as --target takes it behind the colon."""
        return "-".join(",".join(map(str, one)) for one in (self.first, self.second))


def parse(text, target):
    """The index that a text means: "top", "top5", "all", a tuple of entries or a `Difference`.

    Args:
      text: what stands behind the colon.
      target: the whole target, for messages.

    Raises:
      TargetError: it has another form.
    """
    parts = [tuple(map(_entry, one.split(","))) for one in text.split("-")]
    known = len(parts) < 3 and all(entry is not None for one in parts for entry in one)
    if not known or (len(parts) == 2 and any(is_classes(e) for one in parts for e in one)):
        raise TargetError(f"index {text!r} of target {target!r} is neither `top` nor whole numbers "
                          f"{_FORMS}.")
    for one in parts:
        for what, found in (("choice of classes", sum(map(is_classes, one))),
                            (f"`{EACH}`", one.count(EACH))):
            if found > 1:
                raise TargetError(f"target {target!r} has more than one {what}.")
    if len(parts) == 1:
        return parts[0][0] if len(parts[0]) == 1 and is_classes(parts[0][0]) else parts[0]
    return _difference(*parts, target)


def _entry(text):
    if re.fullmatch(r"\d+", text):
        return int(text)
    return text if text in REDUCTIONS or text == EACH or _CLASSES.fullmatch(text) else None


def _difference(first, second, target):
    if first == second:
        raise TargetError(f"target {target!r} is the difference of a score and itself.")
    places = [one.index(EACH) if EACH in one else None for one in (first, second)]
    if places[0] != places[1]:
        raise TargetError(f"target {target!r} is a difference at each place of an axis: `{EACH}` "
                          "stands at the same place of both, for example each,2-each,0.")
    return Difference(first, second)


def is_classes(entry):
    """Whether an entry chooses among classes: top, top5, all."""
    return isinstance(entry, str) and bool(_CLASSES.fullmatch(entry))


def text_of(index):
    """An index as --target takes it behind the colon."""
    if isinstance(index, Difference):
        return index.text()
    return index if isinstance(index, str) else ",".join(map(str, index))


def tuples(index):
    """The entries of an index: one tuple, or the two of a difference; none of None."""
    if index is None:
        return ()
    if isinstance(index, Difference):
        return index.first, index.second
    return ((index,) if isinstance(index, str) else index,)


def of_classes(index):
    """The entry that chooses among classes, or None."""
    return next((entry for one in tuples(index) for entry in one if is_classes(entry)), None)


def each_axis(index):
    """The place of `each` behind the batch axis, or None."""
    return next((one.index(EACH) for one in tuples(index) if EACH in one), None)


def at_each(index):
    """The index of what is left at one place of its `each` axis; itself where it has none."""
    if each_axis(index) is None:
        return index
    left = [tuple(entry for entry in one if entry != EACH) for one in tuples(index)]
    if isinstance(index, Difference):
        return Difference(*left)
    return (left[0][0] if len(left[0]) == 1 and is_classes(left[0][0]) else left[0]) or None


def words(index):
    """The reductions in an index, in order."""
    return tuple(dict.fromkeys(entry for one in tuples(index) for entry in one
                               if entry in REDUCTIONS))


def reduces_all(entries):
    """Whether it is one reduction alone, which stands for all axes."""
    return len(entries) == 1 and entries[0] in REDUCTIONS


def count_of(index, rest):
    """How many scores are explained of each example at once.

    Args:
      index: what `at_each` gives.
      rest: sizes of the axes behind the batch, None where unknown; None: not even how many.

    Returns:
      None where it is one score and the answer has no axis for several.

    Raises:
      TargetError: too many, or their number is not known.
    """
    chosen = of_classes(index)
    if chosen in (None, TOP):
        return None
    (entries,) = tuples(index)
    classes = rest[entries.index(chosen)] if rest else None
    count = classes if chosen == ALL else int(chosen.removeprefix(TOP))
    if count is None:
        raise TargetError(f"`{ALL}` needs a number of classes that the graph knows. Take the "
                          f"highest instead: {TOP}5.")
    if count > MOST:
        raise TargetError(
            f"`{chosen}` is {count} scores, and each has its own backward pass in the graph: at "
            f"most {MOST} are explained from one path. Take the highest: {TOP}5.")
    return count
