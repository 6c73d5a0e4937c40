"""What attributions of looked-up vectors must be, in numpy, one example at a time.

Every model of lookup_patterns.py ends in the same small network (`HEAD_UNITS` tanh units and their
weighted sum) on a vector h, and h is a sum of looked-up vectors:

    h = constant + sum over the leaves of (share * vector, placed at `start`)

Along the straight path from zero vectors, h(a) = constant + a * (h - constant), so a leaf's share
of the attribution is its part of h times the integral of the network's derivative. The integral is
taken at the middles of 2,000 steps: not the rule of the signature, so that both cannot be wrong
alike.

Nothing of ig_tf is used here. The file runs under Python 3.7 too: old/write_lookups.py imports it.
"""

import dataclasses

import numpy as np

HEAD_UNITS = 3
NODES = 2000
ANY = object()  # a token of which only the presence is checked


def numbers(name, *shape):
    """Fixed pseudo-random numbers that belong to a name."""
    seed = sum((place + 1) * letter for place, letter in enumerate(name.encode()))
    return np.random.RandomState(seed).standard_normal(shape)


def head(width):
    """Weights of the network for an h of that width: first layer, bias, last layer."""
    first = numbers("head", width, HEAD_UNITS) / np.sqrt(max(width / 2.0, 1.0))
    return (first.astype(np.float32), np.array([0.3, -0.2, 0.1], np.float32),
            np.array([1.0, -1.5, 0.7], np.float32))


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One looked-up vector (or number) of one example.

    Attributes:
      place: which of the pattern's expected points it belongs to.
      token: what the user sent for it, "" for the vector of an empty bag; None where its place
        shows no tokens, ANY where what is shown is not laid down.
      vector: its values.
      share: what it counts for in h.
      start: where in h it stands.
      until: 1, or the place on the path from which on the vector stays where it is: a vector that
        is clipped to a length behind the place of attribution.
    """

    place: int
    token: object
    vector: np.ndarray
    share: float = 1.0
    start: int = 0
    until: float = 1.0


@dataclasses.dataclass(frozen=True)
class Example:
    """All leaves of one example, the value of h at the baseline, and what rounding may do.

    Attributes:
      leaves: tuple of `Leaf`.
      constant: h where all vectors are zero.
      close: how far a right answer may be off, relative to the batch's largest attribution.
    """

    leaves: tuple
    constant: np.ndarray
    close: float = 2e-5


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one example's answer must be.

    Attributes:
      tokens: for each point, the tokens that were sent.
      scores: for each point, the attribution of each of these tokens.
      totals: for each point, its total.
      prediction, baseline_prediction: F(x) and F(x').
    """

    tokens: tuple
    scores: tuple
    totals: tuple
    prediction: float
    baseline_prediction: float


def answer(example, points):
    """The `Answer` for an `Example` of a pattern with so many points."""
    width = len(example.constant)
    first, bias, last = (weights.astype(np.float64) for weights in head(width))
    alphas = (np.arange(NODES) + 0.5) / NODES

    def h(alphas):
        found = np.tile(example.constant.astype(np.float64), (len(alphas), 1))
        for leaf in example.leaves:
            along = np.minimum(alphas, leaf.until)[:, None] * leaf.share * leaf.vector
            found[:, leaf.start:leaf.start + len(leaf.vector)] += along
        return found

    def network(alphas):
        return np.tanh(h(alphas) @ first + bias) @ last

    units = np.tanh(h(alphas) @ first + bias)
    slopes = ((1 - units ** 2) * last) @ first.T  # dF/dh at each node
    tokens, scores = [[] for _ in range(points)], [[] for _ in range(points)]
    totals = [0.0] * points
    for leaf in example.leaves:
        slope = slopes[:, leaf.start:leaf.start + len(leaf.vector)]
        moving = (alphas < leaf.until)[:, None]
        score = leaf.share * float(leaf.vector @ (slope * moving).mean(0))
        totals[leaf.place] += score
        if leaf.token is not None:
            tokens[leaf.place].append(leaf.token)
            scores[leaf.place].append(score)
    return Answer(tuple(tokens), tuple(scores), tuple(totals),
                  float(network(np.array([1.0]))[0]), float(network(np.array([0.0]))[0]))


def shares(combiner, weights):
    """What each value of a bag counts for in the pooled vector."""
    weights = np.asarray(weights, np.float64)
    if combiner == "sum":
        return weights
    if combiner == "mean":
        return weights / weights.sum()
    return weights / np.sqrt((weights ** 2).sum())


def bag(tokens, vectors, combiner, place=0, start=0, weights=None):
    """Leaves of a bag; a vector of None is dropped by the model and counts for nothing."""
    kept = [index for index, vector in enumerate(vectors) if vector is not None]
    weights = np.ones(len(tokens)) if weights is None else np.asarray(weights)
    share = dict(zip(kept, shares(combiner, weights[kept]))) if kept else {}
    width = [len(vector) for vector in vectors if vector is not None] or [1]
    return tuple(Leaf(place, token, np.zeros(width[0]) if index not in share else vectors[index],
                      share.get(index, 0.0), start)
                 for index, token in enumerate(tokens))
