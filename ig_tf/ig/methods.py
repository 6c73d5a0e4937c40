"""Methods: rows of one table. Each is a measure over (start, alpha, end) and a factor.

All of them are sums of gradients along straight lines: nodes on the line (the rule's own, one at x,
or drawn), samples of where it starts (the baseline) and where it ends (x with noise), and what the
sum is multiplied with: the change, or nothing.

Conductance (Dhamdhere, Sundararajan, Yan 2018) is no row: it needs the derivative of each neuron
along the line at each node besides the gradient of F at the neuron, a product under the integral
and not one sum of gradients. The gradient at a tensor inside, times its change, is layer IG.
"""

import dataclasses

import numpy as np

from ig_tf.errors import MethodError
from ig_tf.ig import baselines, quadrature
from ig_tf.ig.quadrature import Rule

CHANGE, NOTHING = "x - baseline", "nothing"  # what the sum of gradients is multiplied with
ALONG, AT_X, STRATA = "along the path", "at x", "drawn along the path"  # where the nodes lie
MOST_SAMPLES = 4096
DEFAULT_STEPS = 50
DEFAULT_RULE = "gauss_legendre"


@dataclasses.dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
      paper: where it is from.
      factor: CHANGE or NOTHING.
      nodes: ALONG, AT_X or STRATA.
      noisy: whether it is nothing without noise.
      sums: whether its attributions sum to F(x) - F(baseline).
    """

    paper: str
    factor: str
    nodes: str
    noisy: bool = False
    sums: bool = False


METHODS = {
    "integrated_gradients": Row("Sundararajan, Taly, Yan 2017", CHANGE, ALONG, sums=True),
    "expected_gradients": Row("Erion, Janizek, Sturmfels, Lundberg, Lee 2021", CHANGE, STRATA,
                              sums=True),
    "gradient": Row("Simonyan, Vedaldi, Zisserman 2013", NOTHING, AT_X),
    "gradient_x_input": Row("Shrikumar, Greenside, Shcherbina, Kundaje 2016", CHANGE, AT_X),
    "smoothgrad": Row("Smilkov, Thorat, Kim, Viegas, Wattenberg 2017", NOTHING, AT_X, noisy=True),
    "internal_influence": Row("Leino, Sen, Datta, Fredrikson, Li 2018", NOTHING, ALONG),
}
DEFAULT = "integrated_gradients"


@dataclasses.dataclass(frozen=True)
class Noise:
    """Gaussian noise at the end of the path.

    Attributes:
      deviation: standard deviation, in the units of the points.
      count: number of draws.
      seed: of numpy's generator: every runtime has the same draws.
    """

    deviation: float
    count: int
    seed: int = 0

    def __post_init__(self):
        if not (np.isfinite(self.deviation) and self.deviation >= 0):
            raise MethodError(f"noise needs a standard deviation of 0 or more; found "
                              f"{self.deviation!r}.")
        if self.count < 1 or self.seed < 0:
            raise MethodError(f"noise needs 1 draw or more and a seed of 0 or more; found "
                              f"{self.count} and {self.seed}.")

    def draws(self, points):
        """{point name: array [count, ...]} for points of known shape."""
        generator = np.random.default_rng(self.seed)
        found = {point.name: generator.normal(
            0, self.deviation, (self.count, *baselines.static_row(point))) for point in points}
        size = sum(array.nbytes for array in found.values())
        if size > baselines.MOST_BYTES:
            raise MethodError(f"{self.count} draws of noise take {size >> 20} MiB as constants of "
                              f"the graph; at most {baselines.MOST_BYTES >> 20} MiB.")
        return found

    def text(self):
        return f"noise={self.deviation:g},{self.count},{self.seed}"


@dataclasses.dataclass(frozen=True)
class Method:
    """A method as it was asked for.

    Attributes:
      name: a key of METHODS.
      noise: `Noise`, or None.
      seed: of the nodes that are drawn.
      path: None for the straight one, or a function(alpha, x, start) -> places, in TensorFlow:
        tensors of one shape, and alpha has one for each number, which alone may move that number.
    """

    name: str = DEFAULT
    noise: object = None
    seed: int = 0
    path: object = None

    def __post_init__(self):
        if self.name not in METHODS:
            raise MethodError(f"no method {self.name!r}; there are: {', '.join(METHODS)}.")
        if self.row.noisy and self.noise is None:
            raise MethodError(f"{self.name} averages over noise: say how much, "
                              f"{self.name}:noise=DEVIATION,COUNT[,SEED], the deviation in the "
                              "units of the points (the paper takes 10 to 20 % of their range).")
        if self.seed and self.row.nodes != STRATA:
            raise MethodError(f"{self.name} draws no nodes, so it has no seed of its own; that of "
                              "noise is noise=DEVIATION,COUNT,SEED.")

        if self.path and (self.row.nodes == AT_X or self.row.factor == NOTHING):
            raise MethodError(f"{self.name} takes no path of its own: the derivative of a path "
                              "stands in place of x - baseline.")

    @property
    def factor(self):
        """What the sum is multiplied with; a path of one's own has moved by 1 in alpha."""
        return NOTHING if self.path else self.row.factor

    @property
    def row(self):
        return METHODS[self.name]

    @property
    def sums(self):
        """Whether attributions sum to F(x) - F(baseline): not where x itself is moved."""
        return self.row.sums and self.noise is None

    @property
    def text(self):
        """`resolve` makes the same of it again, but for a path."""
        return ":".join([self.name, *([f"seed={self.seed}"] if self.seed else []),
                         *([self.noise.text()] if self.noise else []),
                         *([f"path={getattr(self.path, '__name__', 'path')}"] if self.path
                           else [])])

    def calibrated(self, rule):
        """Refuses a calibration, which measures how far sums are from F(x) - F(baseline).

        Raises:
          MethodError: the method does not sum to that, or has nodes of its own.
        """
        if not self.sums or self.row.nodes != ALONG:
            raise MethodError(f"calibration chooses the nodes of a path by how far attributions "
                              f"are from F(x) - F(baseline); {self.text} has no such choice. "
                              "Leave --calibrate out.")
        if isinstance(rule, Rule) or str(rule or "").startswith(quadrature.NODES):
            raise MethodError("calibration chooses the nodes; a rule that has its own leaves "
                              "nothing to choose.")

    def keeps_ids(self):
        """Whether pooled ids can have shares: of the change from zero to what they pooled to."""
        return self.factor == CHANGE and self.noise is None

    def rule(self, asked, steps, samples):
        """The nodes of a path.

        Args:
          asked: a `Rule`, the name of one, or None.
          steps: number of nodes, or None; of expected gradients, of all samples together.
          samples: number of baselines.

        Raises:
          MethodError: the method has nodes of its own.
        """
        if self.row.nodes == ALONG:
            if isinstance(asked, Rule):
                return _of_steps(asked, steps)
            return quadrature.build(asked or DEFAULT_RULE, _default(asked, steps))
        if asked is not None:
            raise MethodError(f"{self.name} takes gradients {self.row.nodes}: it has no rule to "
                              "choose.")
        if self.row.nodes == AT_X:
            if steps not in (None, 1):
                raise MethodError(f"{self.name} takes one gradient, at x: it has no steps.")
            return Rule("at_x", np.ones(1), np.ones(1), 0)
        steps = DEFAULT_STEPS if steps is None else steps
        return quadrature.strata(samples, max(-(-steps // samples), 1), self.seed)

    def described(self, rule, baseline):
        """As in the plan and the metadata (JSON)."""
        draws = self.noise.count if self.noise else 1
        probes = getattr(rule, "probes", 0)
        return {"name": self.name, "text": self.text, "paper": self.row.paper,
                "times": self.factor, "nodes": self.row.nodes, "sums": self.sums,
                "baselines": baseline.count, "noise": self.noise and dataclasses.asdict(self.noise),
                "gradients_per_example": baseline.count * draws * rule.steps,
                "probes_per_example": baseline.count * draws * probes}


def _default(rule, steps):
    """Nodes of a file are as many as they are."""
    named = rule is not None and rule.startswith(quadrature.NODES)
    return DEFAULT_STEPS if steps is None and not named else steps


def _of_steps(rule, steps):
    if steps not in (None, rule.steps):
        raise MethodError(f"the rule {rule.name!r} has {rule.steps} nodes; steps asks for {steps}. "
                          "Leave steps out.")
    return rule


def resolve(given):
    """The method that a user means.

    Args:
      given: a `Method`; or NAME, with :noise=DEVIATION,COUNT[,SEED] and :seed=NUMBER behind it.

    Raises:
      MethodError: it is none.
    """
    if isinstance(given, Method):
        return given
    name, *options = str(given).split(":")
    found = {}
    for option in options:
        key, equals, value = option.partition("=")
        if key == "path":
            raise MethodError(f"the path of method {given!r} is a function in Python: Method(NAME, "
                              "path=FUNCTION).")
        if key not in _OPTIONS or not equals or key in found:
            raise MethodError(f"{option!r} of method {given!r} is none of noise=DEVIATION,COUNT"
                              "[,SEED] and seed=NUMBER, each once.")
        try:
            found[key] = _OPTIONS[key](value.split(","))
        except (ValueError, TypeError):
            raise MethodError(f"{option!r} of method {given!r}: expected noise=DEVIATION,COUNT"
                              "[,SEED] or seed=NUMBER.") from None
    return Method(name, **found)


def _noise(parts):
    deviation, count, seed = (*parts, 0)[:3] if len(parts) < 4 else (None, None, None)
    return Noise(float(deviation), int(count), int(seed))


_OPTIONS = {"noise": _noise, "seed": lambda parts: int(*parts)}
