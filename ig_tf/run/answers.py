"""The answer of a request as points, features and numbers of its rows.

Arrays of a whole batch become lists at once: row by row that costs as much as a small model.
"""

import functools

import numpy as np

from ig_tf.run import results
from ig_tf.run.results_packed import is_large
from ig_tf.run.results_values import float_array, plain


class Rows:
    """What an answer says of each of its rows.

    Args:
      loaded: the `Artifact`.
      answer: {key: array [batch, ...]}.
      vocabulary: words by token id, or None.
    """

    def __init__(self, loaded, answer, vocabulary):
        self._numbers = [(key, _floats(answer[key])) for key in results.NUMBERS if key in answer]
        self._index = answer["target_index"].tolist()
        self._features = [(key.partition("/")[2], _floats(value))
                          for key, value in sorted(answer.items())  # theirs differs by process
                          if key.startswith("features/")]
        self._spread = spreads(answer, loaded.metadata["points"])
        self._points = [_Point(point, answer, vocabulary) for point in loaded.metadata["points"]]

    def numbers(self, row):
        """What a row says of itself; None: the method makes no such claim."""
        found = dict.fromkeys(results.NUMBERS)
        found.update((key, values[row]) for key, values in self._numbers)
        return found

    def spread(self, row):
        """How far several baselines lie apart, as `Result` has it; None: there is one."""
        return None if self._spread is None else self._spread[row]

    def index(self, row):
        """The class that is explained."""
        return int(self._index[row])

    def features(self, row):
        """{feature: total}."""
        return {name: values[row] for name, values in self._features}

    def points(self, row):
        """The `PointScores`."""
        return tuple(point.of(row) for point in self._points)


class _Point:
    """One point of an answer."""

    def __init__(self, point, answer, vocabulary):
        self._name, self._kind = point["name"], point["kind"]
        self._features, self._vocabulary = tuple(point["features"]), vocabulary
        scores = float_array(answer[f"attributions/{self._name}"], self._name)
        self._scores = scores + 0.0  # a zero has no sign
        self._tokens, self._lengths = answer.get(f"tokens/{self._name}"), None
        if self._tokens is not None:
            self._kind = "tokens"
            self._tokens = self._tokens.tolist()
            self._lengths = answer[f"length/{self._name}"].tolist()
        elif self._kind == "tokens":  # pooled, for a baseline that the request chose
            self._kind = "pooled"

    @functools.cached_property
    def _listed(self):
        return plain(self._scores)

    def _json(self, row, length):
        return self._listed[row] if length is None else self._listed[row][:length]

    def of(self, row):
        scores, tokens, length = self._scores[row], None, None
        if self._tokens is not None:
            length = int(self._lengths[row])
            scores = scores[:length]
            tokens = tuple(token_of(token, self._vocabulary)
                           for token in self._tokens[row][:length])
        json = None if is_large(scores) else functools.partial(self._json, row, length)
        return results.PointScores.known(self._name, self._kind, scores, tokens, self._features,
                                         json)


def spreads(answer, points):
    """The `spread` of each row; None: the answer has none."""
    names = [point["name"] for point in points if f"spread/{point['name']}" in answer]
    if not names:
        return None
    deviations, sizes = (sum(np.abs(answer[f"{key}/{name}"]).astype(np.float64).reshape(
        len(answer["prediction"]), -1).sum(1) for name in names)
        for key in ("spread", "attributions"))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (deviations / sizes).tolist()


def _floats(array):
    return np.asarray(array, np.float64).tolist()


def token_of(token, vocabulary):
    """A token of an answer as text, or as an id without a word."""
    if isinstance(token, bytes):
        return token.decode("utf-8", "backslashreplace")
    if vocabulary and 0 <= token < len(vocabulary):
        return vocabulary[token]
    return token
