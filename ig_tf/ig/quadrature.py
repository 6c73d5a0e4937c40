"""Rules for the integral over alpha in [0, 1]. Plain numpy: no TensorFlow here.

A rule is data: nodes, weights, and the degree up to which it integrates polynomials exactly. Each
is checked when it is built, so a wrong one cannot exist. A new rule is a row of RULES.
"""

import dataclasses

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
    """

    name: str
    nodes: np.ndarray
    weights: np.ndarray
    degree: int

    def __post_init__(self):
        if not (np.all(np.isfinite(self.nodes)) and np.all(np.isfinite(self.weights))):
            raise RuleError(f"{self.name} has nodes or weights that are not finite.")
        if abs(self.weights.sum() - 1.0) > 1e-12:
            raise RuleError(f"weights of {self.name} sum to {float(self.weights.sum())!r}, "
                            "not to 1.")
        if self.nodes.min() < 0 or self.nodes.max() > 1 or np.any(np.diff(self.nodes) <= 0):
            raise RuleError(f"nodes of {self.name} are not ascending in [0, 1].")
        for power in range(min(self.degree, 40) + 1):
            found = float(self.weights @ self.nodes ** power)
            if abs(found * (power + 1) - 1.0) > 1e-10:
                raise RuleError(f"{self.name} gives {found!r} for the integral of alpha^{power}.")

    @property
    def steps(self):
        return len(self.nodes)


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
                    (2 * steps - power) // power)
    return rule


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
         "graded_2": graded(2), "graded_3": graded(3), "left": left, "right": right}


def build(name, steps):
    """A rule by name.

    Raises:
      RuleError: no such rule, or steps outside 1..MAX_STEPS.
    """
    if name not in RULES:
        raise RuleError(f"no integration rule {name!r}; there are: {', '.join(RULES)}.")
    if not 1 <= steps <= MAX_STEPS:
        raise RuleError(f"steps must be 1 to {MAX_STEPS}; found {steps}.")
    return RULES[name](steps)
