"""Whether the examples of a batch leave each other alone, asked of a saved artifact by running it.

Two questions, by the signature alone: does a record get in a batch what it gets alone; and do the
others stay as they are where one record of a batch is moved (finite differences across rows)?
"""

import dataclasses

import numpy as np

from ig_tf.errors import RecordError
from ig_tf.run.sparse import SparseRow

MOST = 8  # records in the batch
MOVED = 3  # of which so many are moved, one after the other
LIMIT = 1e-5  # difference that rounding may leave, as a share of the largest number of its kind
STEP = 1e-2  # by how much floats are moved, as a share of their size
_ERRORS = ("completeness_error", "relative_error")


@dataclasses.dataclass(frozen=True)
class Apart:
    """What was found.

    Attributes:
      examples: how many records the batch had; below 2 nothing could be asked.
      alone: largest difference between a record in the batch and alone, as a share of the largest
        attribution (or prediction) of the batch; None where nothing was asked.
      moved: how many records were moved, one after the other.
      across: largest change of any other record's numbers then, as such a share; None likewise.
      own: largest change of the moved records' own numbers: that the moves were large enough.
      limit: share that is accepted.
      findings: sentences: what is wrong.
      note: why nothing was asked, or only in part; else None.
    """

    examples: int
    alone: object
    moved: int
    across: object
    own: object
    limit: float
    findings: tuple
    note: object = None

    @property
    def passed(self):
        return not self.findings


def measure(loaded, given, limit=LIMIT):
    """Runs a batch, its records one by one, and the batch with some of them moved.

    Args:
      loaded: an `Artifact`.
      given: (id, {input: one example's array}) of each record.
      limit: share that is accepted.
    """
    if loaded.examples == 1:
        return Apart(1, None, 0, None, None, limit, (), "the model takes one example per request")
    chosen = _most_alike([loaded.alike(row) for _, row in given])[:loaded.examples]
    ids, rows = [given[place][0] for place in chosen], [given[place][1] for place in chosen]
    if len(rows) < 2:
        return Apart(len(rows), None, 0, None, None, limit, (),
                     "needs two records whose inputs have equal shapes")
    batch = loaded.answer(rows)
    scales = _scales(batch)
    alone, findings = 0.0, []
    for place, (row, name) in enumerate(zip(rows, ids)):
        share, key = _largest(batch, [place], loaded.answer([row]), [0], scales)
        alone = max(alone, share)
        if share > limit:
            findings.append(f"record {name} gets other numbers alone than in a batch of "
                            f"{len(rows)}: {key} differs by {share:.2g} of the largest")
    across, own, moved, moves = _moved(loaded, rows, ids, batch, scales, limit)
    return Apart(len(rows), alone, moved, across, own, limit, tuple(findings + moves),
                 None if own else "no record could be moved so that its own numbers change")


def _most_alike(shapes):
    """Places of the first records, at most MOST, that can share a request with most others."""
    usual = max(shapes, key=shapes.count, default=None)
    return [place for place, shape in enumerate(shapes) if shape == usual][:MOST]


def _moved(loaded, rows, ids, batch, scales, limit):
    """(largest change of others, of the moved, how many were moved, findings)."""
    across, own, moved, findings = 0.0, 0.0, 0, []
    for place in _spread(len(rows)):
        others = [other for other in range(len(rows)) if other != place]
        other = rows[others[place % len(others)]]
        found = _with_another(loaded, rows, place, other, batch, scales)
        if found is None:
            continue
        answer, mine = found
        moved, own = moved + 1, max(own, mine)
        share, key = _largest(batch, others, answer, others, scales)
        across = max(across, share)
        if share > limit:
            findings.append(f"where record {ids[place]} is moved, other records of the batch "
                            f"change: {key} by {share:.2g} of the largest")
    return across, own, moved, findings


def _with_another(loaded, rows, place, other, batch, scales):
    """(answer, how much the moved record's own numbers change), or None: no such record is taken.

    By a small step, else (where floats are ids, it changes nothing) by another record.
    """
    found = None
    for another in (_another(rows[place], other), other):
        changed = [*rows]
        changed[place] = {name: rows[place][name] if loaded.scalar(name) else value
                          for name, value in another.items()}
        try:
            answer = loaded.answer(changed)
        except RecordError:
            continue
        found = answer, _largest(batch, [place], answer, [place], scales)[0]
        if found[1]:
            break
    return found


def _spread(count):
    """The first, a middle and the last place."""
    return sorted({0, count // 2, count - 1})[:MOVED]


def _another(row, other):
    """The record moved: floats by a small step, all else as in another record."""
    found = {}
    for name, value in row.items():
        if isinstance(value, SparseRow) or value.dtype.kind != "f":
            found[name] = other[name]
        else:
            size = np.abs(value).max(initial=0) or 1.0
            step = STEP * size * np.cos(np.arange(value.size)).reshape(value.shape)
            found[name] = (value + step).astype(value.dtype)
    return found


def _scales(batch):
    """{key: size of the numbers of its kind}: attributions and totals together, else its own."""
    shares = [key for key in batch if key.startswith(("attributions/", "features/", "spread/"))]
    largest = max((_size(batch[key]) for key in shares), default=0)
    scores = max(_size(batch[key]) for key in ("prediction", "baseline_prediction"))
    found = {key: largest for key in shares}
    found.update(prediction=scores, baseline_prediction=scores)
    return found


def _size(array):
    values = np.abs(array[np.isfinite(array)])
    return float(values.max(initial=0))


def _largest(first, places, second, others, scales):
    """(largest difference between some rows of two answers as a share, its key)."""
    found = (0.0, "")
    for key in first:
        one, other = first[key][places], second[key][others]
        if key in _ERRORS:
            continue
        one, other = _as_wide(one, other)
        if key in scales:
            share = _share(one, other, scales[key])
        else:  # tokens, lengths, the explained class
            share = float(not np.array_equal(one, other))
        found = max(found, (share, key))
    return found


def _share(one, other, scale):
    both = np.isfinite(one) & np.isfinite(other)
    if np.any(np.isfinite(one) != np.isfinite(other)):
        return 1.0
    difference = np.abs(np.where(both, one, 0) - np.where(both, other, 0)).max(initial=0)
    return float(difference / scale) if difference else 0.0


def _as_wide(one, other):
    """Alone, an example may be narrower than in its batch; what is beyond is padding."""
    if one.ndim != other.ndim:
        return one, other
    width = [max(sizes) for sizes in zip(one.shape, other.shape)]
    return _padded(one, width), _padded(other, width)


def _padded(array, width):
    if list(array.shape) == width:
        return array
    filling = {"O": b"", "i": -1}.get(array.dtype.kind, 0)
    missing = [(0, wide - mine) for wide, mine in zip(width, array.shape)]
    return np.pad(array, missing, constant_values=filling)
