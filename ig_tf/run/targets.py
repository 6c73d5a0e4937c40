"""Which number a row explains: the target of the metadata, with what is of the row filled in."""

from ig_tf.run import results

ONE_ROW = "one per example"  # what the metadata says of most targets
_EACH = "each"
_REDUCED = ("max", "sum", "mean")


def of_row(target, index, place, labels=None):
    """The `Target` of one result row.

    Args:
      target: that of the metadata; "index" is None, a text, or a list of numbers and words.
      index: `target_index` of the row; -1 where there is none.
      place: which of its example's rows it is.
      labels: names of the classes, in order, or None.
    """
    entries = target["index"]
    if entries is None:
        return results.Target(target["output"])
    if isinstance(entries, str) and "-" in entries:  # a difference of two
        own = place if _EACH in entries else None
        return results.Target(target["text"], own, _versus(entries, labels))
    entries = [entries] if isinstance(entries, str) else entries
    filled = [place if entry == _EACH else index if _is_chosen(entry) else entry
              for entry in entries]
    return results.Target(*_shown(target, filled), _label(entries, index, labels))


def row_id(target, name, place):
    """What a result row is called, of a record that has several.

    Rows of several outputs or classes have the record's id and targets of their own, so that
    reports draw them together; rows that an output has several of are numbered.
    """
    return name if target.get("count") or "each" in target else f"{name}:{place}"


def not_tried(target):
    """Why a check cannot try other settings, as sentences; none where it can."""
    if target.get("function"):
        return (f"Other settings were not tried: the target is {target['function']}. Try them "
                "there, with `instrument` and `attribute`.",)
    if target.get("rows", ONE_ROW) != ONE_ROW:
        return (f"Other settings were not tried: the target {target['text']} is several numbers of "
                "an example. Instrument with one of them and check that.",)
    return ()


def _is_chosen(entry):
    """Whether it is a word for classes: top, top5, all."""
    return isinstance(entry, str) and entry != _EACH and entry not in _REDUCED


def _shown(target, filled):
    """(output, index): what was reduced first stands beside the output, as in map:max,max[3]."""
    words = [entry for entry in filled if entry in _REDUCED]
    numbers = [entry for entry in filled if entry not in _REDUCED]
    if words and filled != words + numbers:
        return f"{target['output']}:{','.join(map(str, filled))}", None
    output = ":".join([target["output"], *([",".join(words)] if words else [])])
    return output, None if not numbers else numbers[0] if len(numbers) == 1 else tuple(numbers)


def _label(entries, index, labels):
    """The name of the class, where one is known to be one."""
    numbers = [entry for entry in entries if isinstance(entry, int)]
    if not any(map(_is_chosen, entries)):
        if len(numbers) != 1 or entries[-1] != numbers[0]:
            return None
        index = numbers[0]
    return labels[index] if labels and 0 <= index < len(labels) else None


def _versus(index, labels):
    """Of a difference of two classes the names, where they are known."""
    parts = [part.rpartition(",") for part in index.split("-")]
    if any(before not in ("", _EACH) for before, _, _ in parts):
        return None
    numbers = [int(number) if number.isdigit() else -1 for _, _, number in parts]
    if not labels or min(numbers) < 0 or max(numbers) >= len(labels):
        return None
    return " - ".join(labels[number] for number in numbers)
