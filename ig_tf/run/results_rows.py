"""Result rows: one explained example, its scores, and the model card of a file of them."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ig_tf.errors import ResultsError
from ig_tf.run.results_values import finite_or_none, float_array, float_or_nan, token_of

# "unchecked": of a method whose attributions sum to nothing that is known.
STATUSES = ("converged", "capped", "unchecked", "baseline_equal", "invalid_input", "error")
KINDS = ("tokens", "dense", "image", "one_hot", "pooled")

# The numbers of a row.
NUMBERS = ("prediction", "baseline_prediction", "completeness_error", "relative_error")

# A completeness error up to this share of the explained difference is said to add up.
TOLERANCE = 0.05

# Below this share of the larger prediction there is no difference left to explain.
EQUAL_SHARE = 1e-4

# How a notebook draws a row or a list of them: "html", a function to markup. What draws stands
# above this folder (`ig_tf.rendering.notebook`) and puts itself here when it is imported; without
# it rows are shown as Python shows objects.
DRAWN_BY: dict[str, Callable[[Any], str]] = {}


@dataclasses.dataclass(frozen=True)
class Target:
    """The explained number: one element of one output.

    Attributes:
      output: key of the output in the signature.
      index: element of that output, per example; an int, several for an output of more axes,
        None where the output has one number per example.
      label: name of that class, where it is known.
    """

    output: str = ""
    index: int | tuple[int, ...] | None = None
    label: str | None = None

    def text(self) -> str:
        """The target as it is written on the command line, such as "probabilities[1]"."""
        if self.index is None:
            return self.output
        index = self.index if isinstance(self.index, tuple) else (self.index,)
        return f"{self.output}[{','.join(map(str, index))}]"

    def named(self) -> str:
        """The same with the class's label in brackets, where it is known."""
        return self.text() + (f" [{self.label}]" if self.label is not None else "")


@dataclasses.dataclass(frozen=True, eq=False)
class PointScores:
    """Attributions of one example at one point.

    Attributes:
      name: name of the point, unique in its row.
      kind: one of KINDS.
      scores: float array in units of the explained output; [length] for tokens, [H, W] or
        [H, W, C] for images, any shape for the others.
      tokens: for kind tokens: what each score belongs to, text or id; else None.
      features: names of the raw input features that the point comes from.

    Raises:
      ResultsError: an unknown kind, scores that are not numbers, or tokens without scores.
    """

    name: str
    kind: str
    scores: np.ndarray
    tokens: tuple[str | int, ...] | None = None
    features: tuple[str, ...] = ()

    @classmethod
    def known(cls, name: str, kind: str, scores: np.ndarray, tokens: tuple[str | int, ...] | None,
              features: tuple[str, ...], json: Callable[[], Any] | None) -> "PointScores":
        """Of values that are of the right types and sizes, which are not looked at again.

        Args:
          name, kind, scores, tokens, features: as above.
          json: gives the scores as JSON has them, where somebody knows that already.
        """
        made = object.__new__(cls)
        made.__dict__.update(name=name, kind=kind, scores=scores, tokens=tokens, features=features,
                             json=json)
        return made

    def __post_init__(self) -> None:
        object.__setattr__(self, "json", None)
        if self.kind not in KINDS:
            raise ResultsError(
                f"point {self.name!r}: unknown kind {self.kind!r}; known: {', '.join(KINDS)}")
        object.__setattr__(self, "scores", float_array(self.scores, self.name))
        object.__setattr__(self, "features", tuple(self.features))
        if self.tokens is not None:
            object.__setattr__(self, "tokens", tuple(token_of(token) for token in self.tokens))
        if self.kind == "tokens" and (
                self.scores.ndim == 0 or len(self.tokens or ()) != self.scores.shape[0]):
            raise ResultsError(
                f"point {self.name!r}: {len(self.tokens or ())} tokens but scores of shape "
                f"{list(self.scores.shape)}; each token needs one score")


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """One explained example.

    A number that is not finite becomes None, so a result that was written and read again is the
    one that was written.

    Attributes:
      id: what the caller calls the example.
      status: one of STATUSES.
      message: why, where the status is error or invalid_input.
      target: the explained number.
      prediction: that number at the example; None where it failed.
      baseline_prediction: that number at the baseline.
      completeness_error: |sum of attributions - (prediction - baseline_prediction)|.
      relative_error: the same as a share of the difference.
      points: the attributions.
      features: total attribution of each raw feature.
      inputs: what the caller sent, so that it can be drawn; may be empty. Values are numbers,
        text, lists, arrays, bytes or {"base64": ..., "media": ...}.
      steps: nodes that this row took, where rows differ; None: those of the model card.
      spread: how much the attributions depend on which of several baselines is taken: the sum of
        their standard deviations over the sum of |attributions|; None: there is one baseline.

    Raises:
      ResultsError: an unknown status, or two points of one name.
    """

    id: str
    status: str
    message: str = ""
    target: Target = Target()
    prediction: float | None = None
    baseline_prediction: float | None = None
    completeness_error: float | None = None
    relative_error: float | None = None
    points: tuple[PointScores, ...] = ()
    features: Mapping[str, float] = dataclasses.field(default_factory=dict)
    inputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    steps: int | None = None
    spread: float | None = None

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ResultsError(f"unknown status {self.status!r}; known: {', '.join(STATUSES)}")
        object.__setattr__(self, "id", str(self.id))
        object.__setattr__(self, "points", tuple(self.points))
        object.__setattr__(self, "features",
                           {name: float_or_nan(v) for name, v in self.features.items()})
        for name in (*NUMBERS, "spread"):
            object.__setattr__(self, name, finite_or_none(getattr(self, name)))
        names = [point.name for point in self.points]
        if len(set(names)) < len(names):
            raise ResultsError(f"two points of one name in {names}")

    def total(self) -> float | None:
        """Sum of all attributions, in units of the output; None where there are none."""
        if self.points:
            # Infinities of both signs, and sums beyond the largest float, are told by the sum.
            with np.errstate(over="ignore", invalid="ignore"):
                return float(sum(point.scores.sum(dtype=np.float64) for point in self.points))
        return float(sum(self.features.values())) if self.features else None

    def _repr_html_(self) -> str | None:
        draw = DRAWN_BY.get("html")
        return draw(self) if draw else None


@dataclasses.dataclass(frozen=True)
class About:
    """The model card of a results file: what was explained, and how.

    Attributes:
      model: name or path of the model.
      signature: key of the explained signature.
      target: the target as text.
      points: one dict a point, with name, kind, tensor and features.
      baseline: the baseline as text.
      steps: nodes of the quadrature rule.
      rule: its name.
      tensorflow: version that ran the model.
      held_constant: inputs that were not attributed to.
      notes: anything else that the reader should know.
    """

    model: str = ""
    signature: str = ""
    target: str = ""
    points: Sequence[Mapping[str, Any]] = ()
    baseline: str = ""
    steps: int | None = None
    rule: str = ""
    tensorflow: str = ""
    held_constant: Sequence[str] = ()
    notes: Sequence[str] = ()


class Results(list):
    """Results with the model card that belongs to them.

    Attributes:
      about: the model card.
    """

    def __init__(self, rows: Iterable[Result] = (), about: About = About()) -> None:
        super().__init__(rows)
        self.about = about

    def _repr_html_(self) -> str | None:
        draw = DRAWN_BY.get("html")
        return draw(self) if draw else None


def relative_error(prediction: float, baseline_prediction: float, error: float) -> float:
    """A completeness error as a share of the difference, or of the least that counts as one: what
    the signature says of itself, once more."""
    least = EQUAL_SHARE * max(abs(prediction), abs(baseline_prediction))
    return error / max(abs(prediction - baseline_prediction), least) if error else 0.0


def status_of(
    prediction: float | None,
    baseline_prediction: float | None,
    completeness_error: float | None,
    relative_error: float | None,
    tolerance: float = TOLERANCE,
) -> str:
    """The status of an example that ran.

    Args:
      prediction: explained number at the example.
      baseline_prediction: the same at the baseline.
      completeness_error: absolute error of the sum, in the same units.
      relative_error: that error as a share of the difference; it may be NaN or infinite where
        there is no difference.
      tolerance: largest share that counts as converged.

    Returns:
      One of STATUSES, never "error".
    """
    numbers = [finite_or_none(v) for v in (prediction, baseline_prediction, completeness_error)]
    if None in numbers:
        return "invalid_input"
    here, there, error = numbers
    size = max(abs(here), abs(there))
    if size == 0 or abs(here - there) < EQUAL_SHARE * size:
        # Nothing to explain, unless the sum is off by a part of the prediction itself.
        return "baseline_equal" if error <= tolerance * size or size == 0 else "capped"
    relative = finite_or_none(relative_error)
    if relative is None:
        return "invalid_input"
    return "converged" if abs(relative) <= tolerance else "capped"
