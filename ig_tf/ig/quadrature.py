"""Rules for the integral over alpha in [0, 1]. Plain numpy: no TensorFlow here.

A rule is data: nodes, weights, and the degree up to which it integrates polynomials exactly. Each
is checked when it is built, so a wrong one cannot exist. A new rule is a row of RULES; a rule that
places its nodes for each example, by what F does there, is a row of PLACED.
"""

import dataclasses
import json

import numpy as np

from ig_tf.errors import IgTfError

MAX_STEPS = 4096


class RuleError(IgTfError):
    """An integration rule that does not do what it says, or a number of steps out of range."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A quadrature rule on [0, 1].

    Attributes:
      name: a key of RULES.
      nodes: float64 [steps], alphas in ascending order.
      weights: float64 [steps]; they sum to 1.
      degree: the rule is exact for polynomials of this degree in alpha.
      power: of a graded rule: alpha = u^power.
      graded_degree: of a graded rule: it is exact for polynomials of this degree in u.
    """

    name: str
    nodes: np.ndarray
    weights: np.ndarray
    degree: int
    power: float = 1.0
    graded_degree: int = 0

    def __post_init__(self):
        if not (np.all(np.isfinite(self.nodes)) and np.all(np.isfinite(self.weights))):
            raise RuleError(f"{self.name} has nodes or weights that are not finite.")
        if abs(self.weights.sum() - 1.0) > 1e-12:
            raise RuleError(f"weights of {self.name} sum to {float(self.weights.sum())!r}, "
                            "not to 1.")
        if self.nodes.min() < 0 or self.nodes.max() > 1 or np.any(np.diff(self.nodes) <= 0):
            raise RuleError(f"nodes of {self.name} are not ascending in [0, 1].")
        self._check_degree("alpha", self.degree, 1.0)
        self._check_degree("u", self.graded_degree, self.power)

    def _check_degree(self, variable, degree, power):
        """Exact for 1, u, u^2, ... where alpha = u^power."""
        u = self.nodes ** (1 / power)
        for exponent in range(min(degree, 40) + 1):
            found = float(self.weights @ u ** exponent)
            if abs(found * (exponent / power + 1) - 1.0) > 1e-10:
                raise RuleError(f"{self.name} gives {found!r} for the integral of "
                                f"{variable}^{exponent}.")

    @property
    def steps(self):
        return len(self.nodes)

    def described(self):
        """As in the metadata."""
        return {"name": self.name, "steps": self.steps, "degree": self.degree}


@dataclasses.dataclass(frozen=True)
class Strata:
    """Nodes of their own for each sample of a baseline, drawn one in each stratum of alpha.

    Attributes:
      nodes: float64 [samples, steps].
      weights: float64 [steps].
    """

    nodes: np.ndarray
    weights: np.ndarray

    name = "strata"
    degree = 0

    @property
    def steps(self):
        return len(self.weights)

    def described(self):
        """As in the metadata."""
        return {"name": self.name, "steps": self.steps, "degree": self.degree}


def strata(samples, steps, seed):
    """One node in each of `steps` cells of a sample's path, and, over all samples, one in each of
    samples * steps cells: so a few nodes per sample lie evenly in all of them together."""
    generator = np.random.default_rng(seed)
    order = np.stack([generator.permutation(samples) for _ in range(steps)], 1)
    inside = (order + generator.uniform(size=(samples, steps))) / samples
    return Strata((np.arange(steps) + inside) / steps, np.full(steps, 1 / steps))


@dataclasses.dataclass(frozen=True)
class Pilot:
    """Nodes where F moves: each example is looked at in a few places first, without gradients.

    The path is cut into steps / 2 cells of equal mass, and each gets two Gauss nodes and weights
    that sum to its width: so the weights of an example sum to 1, and polynomials of degree 3 are
    integrated exactly wherever the cells are. The mass is (1 - UNIFORM) times how F moves, to the
    power SHARPNESS, and UNIFORM times alpha. `ig_tf.ig.pilot` computes it in the graph.

    Attributes:
      steps: nodes with a gradient; even.
      probes: places where F alone is computed; it costs about a third of a gradient.
    """

    steps: int
    probes: int = 33

    UNIFORM = 0.1  # the share of nodes that lie evenly, for what happens between the probes
    # A cell of width h where gradients jump by about s misses about s h^1.5: the sum of squares
    # over all cells is least where 1 / h is proportional to s^(2/3).
    SHARPNESS = 2 / 3
    CELL = 2  # Gauss nodes in each cell

    def __post_init__(self):
        if self.steps % self.CELL:
            raise RuleError(f"a pilot has two nodes in each cell: steps must be even; found "
                            f"{self.steps}.")
        if not 3 <= self.probes <= MAX_STEPS:
            raise RuleError(f"a pilot has 3 to {MAX_STEPS} probes; found {self.probes}.")

    @property
    def name(self):
        return "pilot" if self.probes == Pilot.probes else f"pilot:{self.probes}"

    @property
    def degree(self):
        return 2 * self.CELL - 1

    def described(self):
        """As in the metadata."""
        return {"name": self.name, "steps": self.steps, "degree": self.degree,
                "probes": self.probes, "uniform": self.UNIFORM}


def gauss_legendre(steps):
    """Gauss-Legendre: exact to degree 2 steps - 1.

    Nodes are the zeros of the Legendre polynomial by Newton's method (Press et al., Numerical
    Recipes, section 4.6): numpy's eigenvalues take ten seconds for 4,096 of them.
    """
    nodes = -np.cos(np.pi * (np.arange(steps) + 0.75) / (steps + 0.5))
    for _ in range(100):
        value, slope = _legendre(steps, nodes)
        change = value / slope
        nodes = nodes - change
        if np.max(np.abs(change)) < 1e-15:
            break
    slope = _legendre(steps, nodes)[1]
    weights = 1 / ((1 - nodes ** 2) * slope ** 2)
    weights = weights / weights.sum()  # rounding only, below 1e-12
    return Rule("gauss_legendre", (nodes + 1) / 2, weights, 2 * steps - 1)


def _legendre(degree, x):
    """The Legendre polynomial and its derivative at x, by the three-term recurrence."""
    before, value = np.ones_like(x), x
    for n in range(2, degree + 1):
        before, value = value, ((2 * n - 1) * x * value - (n - 1) * before) / n
    if degree == 1:
        return value, np.ones_like(x)
    return value, degree * (x * value - before) / (x ** 2 - 1)


def graded(power):
    """Gauss-Legendre in u with alpha = u^power: nodes crowd near alpha = 0, where a ReLU network
    has its kinks if the baseline is zero-like. Exact to degree 2 steps / power - 1."""
    def rule(steps):
        base = gauss_legendre(steps)
        weights = base.weights * power * base.nodes ** (power - 1)
        if steps < power:  # too few nodes to integrate the substitution itself
            raise RuleError(f"graded_{power} needs at least {power} steps; found {steps}.")
        return Rule(f"graded_{power}", base.nodes ** power, weights,
                    (2 * steps - power) // power, power, 2 * steps - power)
    return rule


def graded_between(steps):
    """Gauss-Jacobi in u with alpha = u^1.5: between Gauss-Legendre and graded_2.

    With u = t^2 it is the positive half of the Gauss-Legendre rule of 2 steps + 1 nodes for
    alpha = t^3 (the one in the middle has no weight): exact to degree 2 steps - 1 in u, where
    d alpha = 3 t^2 dt. In alpha it is exact for constants, and not for alpha itself, a t^3 that is
    odd over both halves.
    """
    both = gauss_legendre(2 * steps + 1)
    t, weights = 2 * both.nodes[steps + 1:] - 1, 2 * both.weights[steps + 1:]
    return Rule("graded_1.5", t ** 3, weights * 3 * t ** 2, 0, 1.5, 2 * steps - 1)


def midpoint(steps):
    """The middle of equal cells: exact to degree 1."""
    return Rule("midpoint", (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps), 1)


def trapezoid(steps):
    """Both ends at half weight: exact to degree 1; one step is the midpoint."""
    if steps == 1:
        return dataclasses.replace(midpoint(1), name="trapezoid")
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return Rule("trapezoid", np.linspace(0, 1, steps), weights, 1)


def left(steps):
    """Left Riemann sum: exact to degree 0."""
    return Rule("left", np.arange(steps) / steps, np.full(steps, 1 / steps), 0)


def right(steps):
    """Right Riemann sum: exact to degree 0."""
    return Rule("right", (np.arange(steps) + 1) / steps, np.full(steps, 1 / steps), 0)


RULES = {"gauss_legendre": gauss_legendre, "midpoint": midpoint, "trapezoid": trapezoid,
         "graded_1.5": graded_between, "graded_2": graded(2), "graded_3": graded(3),
         "left": left, "right": right}
PLACED = {"pilot": Pilot}
NODES = "nodes:"  # then a file: a distribution of interest of one's own


def from_file(name, steps=None):
    """A distribution over alpha of one's own.

    Args:
      name: nodes:FILE, an .npz with arrays `nodes`, ascending in [0, 1], and `weights`, which sum
        to 1; or a .json with lists of these names.
      steps: None, or the number of nodes that it must have.
    """
    file = name.removeprefix(NODES)
    try:
        if file.endswith(".npz"):
            with np.load(file, allow_pickle=False) as data:
                found = {key: data[key] for key in data.files}
        else:
            with open(file, encoding="utf-8") as stream:
                found = json.load(stream)
        nodes, weights = (np.asarray(found[key], np.float64) for key in ("nodes", "weights"))
    except (OSError, ValueError, TypeError, KeyError, IndexError, EOFError) as error:
        raise RuleError(f"{name}: expected an .npz or .json with `nodes` and `weights`: "
                        f"{type(error).__name__}: {error}.") from error
    if nodes.ndim != 1 or nodes.shape != weights.shape or not 1 <= len(nodes) <= MAX_STEPS:
        raise RuleError(f"{name}: expected 1 to {MAX_STEPS} nodes and as many weights; found "
                        f"shapes {list(nodes.shape)} and {list(weights.shape)}.")
    if steps not in (None, len(nodes)):
        raise RuleError(f"{name} has {len(nodes)} nodes; {steps} steps are asked for. Leave steps "
                        "out.")
    return Rule(name, nodes, weights, 0)


def build(name, steps):
    """A rule by name.

    Args:
      name: a key of RULES or PLACED; a pilot's number of probes may follow it (pilot:65). Or
        nodes:FILE, see `from_file`.
      steps: its number of nodes.

    Returns:
      A `Rule`, or a `Pilot`.

    Raises:
      RuleError: no such rule, or steps outside 1..MAX_STEPS.
    """
    if name.startswith(NODES):
        return from_file(name, steps)
    kind, _, probes = name.partition(":")
    if name not in RULES and (kind not in PLACED or not (probes or "0").isdigit()):
        raise RuleError(f"no integration rule {name!r}; there are: {', '.join(RULES)}, "
                        f"{', '.join(PLACED)}, pilot:PROBES and nodes:FILE.")
    if not 1 <= steps <= MAX_STEPS:
        raise RuleError(f"steps must be 1 to {MAX_STEPS}; found {steps}.")
    if kind in PLACED:
        return PLACED[kind](steps, *([int(probes)] if probes else []))
    return RULES[name](steps)
