"""Baselines that make sense for a model's points, made from the examples that were looked at.

A kind of baseline is a row of KINDS: its name, the question that attributions from it answer, and
what it is for one point. A new one is one more row.
"""

import collections
import dataclasses
import os

import numpy as np

_SEED = 0


@dataclasses.dataclass(frozen=True)
class Seen:
    """One point over the examples.

    Attributes:
      name, kind: of the point ("pooled" for ids that are pooled).
      values: float64, one array per example.
      tokens: what was sent for each id, one tuple per example; None where it is not known.
    """

    name: str
    kind: str
    values: list
    tokens: object = None

    @property
    def one_shape(self):
        return len({value.shape for value in self.values}) == 1


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A baseline to try.

    Attributes:
      name: of its row of KINDS.
      question: what attributions from it answer.
      values: {point: number or array of one example}.
    """

    name: str
    question: str
    values: dict

    def flag(self, folder=None):
        """As `ig-tf instrument` takes it; arrays are written as FOLDER/NAME.npz."""
        if all(np.size(value) == 1 for value in self.values.values()):
            numbers = {point: float(np.ravel(value)[0]) for point, value in self.values.items()}
            if not any(numbers.values()):
                return "--baseline=zeros"
            return "--baseline=" + ",".join(f"{point}={number:.6g}"  # others start at zero
                                            for point, number in numbers.items() if number)
        if folder is None:
            return "(an array: --baselines_to=FOLDER writes it for --baseline=FILE.npz)"
        path = os.path.join(folder, self.name.replace(" ", "_") + ".npz")
        os.makedirs(folder, exist_ok=True)
        np.savez(path, **self.values)
        return f"--baseline={path}"


def _zeros(seen):
    return np.float64(0)


def _mean(seen):
    if seen.kind in ("tokens", "pooled"):  # the mean of all vectors
        vectors = [value.reshape(-1, value.shape[-1]) for value in seen.values if value.ndim]
        return np.concatenate(vectors).mean(0) if vectors else None
    return _mean_value(seen)


def _mean_value(seen):
    if seen.one_shape:
        return np.mean(seen.values, 0)
    return np.concatenate([np.ravel(value) for value in seen.values]).mean()


def _median(seen):
    return np.median(seen.values, 0) if seen.kind == "dense" and seen.one_shape else None


def _grey(seen):
    if seen.kind != "image":
        return None
    return (min(v.min() for v in seen.values) + max(v.max() for v in seen.values)) / 2


def _white(seen):
    return max(v.max() for v in seen.values) if seen.kind == "image" else None


def _noise(seen):
    """One draw: uniform over the range of a picture, normal around the mean for other numbers."""
    if seen.kind not in ("dense", "image") or not seen.one_shape:
        return None
    generator, values = np.random.default_rng(_SEED), np.array(seen.values)
    if seen.kind == "image":
        return generator.uniform(values.min(), values.max(), values.shape[1:])
    spread = values.std(0) if len(values) > 1 else np.abs(values[0]).mean()
    return generator.normal(values.mean(0), spread)


def _pad(seen):
    """The vector of the id that rows are filled up with, as the data show it; else None."""
    if seen.kind != "tokens" or seen.tokens is None:
        return None
    runs = collections.Counter()
    for tokens in seen.tokens:
        for ordered in (tokens, tokens[::-1]):
            run = _run(ordered)
            if run > 1:
                runs[ordered[0]] += run
    if not runs:
        return None
    pad = runs.most_common(1)[0][0]
    for tokens, value in zip(seen.tokens, seen.values):
        if pad in tokens and value.ndim > 1 and tokens.index(pad) < len(value):
            return value.reshape(len(value), -1)[tokens.index(pad)].reshape(value.shape[1:])
    return None


def _run(tokens):
    """How many of the first ones are the same; 0 where all are."""
    count = next((place for place, token in enumerate(tokens) if token != tokens[0]), len(tokens))
    return 0 if count == len(tokens) else count


# (name, question, function of a `Seen` -> number or array, None: leaves the point at zero)
KINDS = (
    ("zeros", "what does each input do against nothing at all (zero)?", _zeros),
    ("pad token", "what does each word do against an empty text?", _pad),
    ("mean", "what sets this example apart from the average one?", _mean),
    ("median", "what sets this example apart from the middling one?", _median),
    ("grey", "what does each pixel do against a grey picture?", _grey),
    ("white", "what does each pixel do against a white picture?", _white),
    ("noise", "what does each number do against another one that was drawn?", _noise),
)
THREE = 3  # so many, from the first on, are compared by the check of agreement


def candidates(points):
    """The candidates that differ, in the order of KINDS.

    Args:
      points: the `Seen`s.
    """
    found = []
    for name, question, make in KINDS:
        made = {seen.name: make(seen) for seen in points}
        if all(value is None for value in made.values()):
            continue
        values = {point: np.float64(0) if value is None else np.asarray(value, np.float64)
                  for point, value in made.items()}
        if not any(_same(values, other.values) for other in found):
            found.append(Candidate(name, question, values))
    return found


def _same(first, second):
    return all(np.all(first[name] == second[name]) for name in first)


def seen(looks, tokens):
    """The `Seen`s of some examples.

    Args:
      looks: `Look`s.
      tokens: {point: one tuple of tokens per look} where they are known.
    """
    found = []
    for place, point in enumerate(looks[0].points):
        values = [look.points[place].x for look in looks]
        found.append(Seen(point.name, point.kind, values, tokens.get(point.name)))
    return found
