"""The model of an artifact, instrumented again with one thing changed, and run on some records."""

import dataclasses
import functools

import numpy as np

from ig_tf import api, starting, trials
from ig_tf.errors import BaselineError, IgTfError
from ig_tf.ig import attach, look, methods, random_weights
from ig_tf.run import artifact, checks, looks
from ig_tf.run.attribute import input_values


@dataclasses.dataclass
class Rerun:
    """An artifact and its records; trial artifacts go into a folder, nothing else is touched.

    Attributes:
      loaded: the `Artifact`.
      input: as for `attribute`.
      folder: where trial artifacts are written.
      say: called with a sentence before each longer step.
    """

    loaded: artifact.Artifact
    input: object
    folder: str
    say: object

    @functools.cached_property
    def _model(self):
        source = self.loaded.metadata["source"]
        return api.load(self.loaded.path, source["tags"], source["signature"],
                        **source.get("asked", {}))

    @functools.cached_property
    def _located(self):
        return {}

    def located(self, target=None):
        """The `Located` of a target, by default the artifact's own."""
        target = target or self.loaded.metadata["target"]["text"]
        if target not in self._located:
            points = [point["tensor"] for point in self.loaded.metadata["points"]]
            self._located[target] = api.locate(self._model, target, points)
        return self._located[target]

    def plan(self, target=None, baseline=None, **changes):
        """The artifact's `Plan`, with other settings where they are given (see `instrument`)."""
        metadata, located = self.loaded.metadata, self.located(target)
        values = metadata["baseline_values"]
        if baseline is None and values is None:  # samples, or inputs: made again as asked for
            baseline = _made_again(metadata["baseline"], located)
        elif baseline is None:  # points may be named differently when they are named by tensor
            baseline = {point.name: values[old["name"]] for point, old in zip(
                located.cut.points, metadata["points"])}
        settings = {"steps": metadata["rule"]["steps"], "rule": metadata["rule"]["name"],
                    **changes}
        method = methods.resolve(metadata.get("method", {}).get("text", methods.DEFAULT))
        if method.row.nodes != methods.ALONG:  # it has no rule; its steps are of all baselines
            settings.update(rule=changes.get("rule"), steps=None)
        if method.row.nodes == methods.STRATA:
            steps = changes.get("steps", metadata["rule"]["steps"])
            settings["steps"] = steps * metadata["baseline_samples"]["count"]
        return api.instrument(located, baseline=baseline, method=method, **settings)

    def run(self, plan, wanted, build=attach.outputs):
        """Raw outputs of another artifact, for the wanted examples only: {key: [wanted, ...]}."""
        answers = self._answers(plan, wanted, build)
        return {key: np.concatenate([answer[key] for answer in answers]) for key in answers[0]}

    def looks(self, plan, wanted, names, replaced=()):
        """The `Look`s of the wanted examples.

        Args:
          plan: a `Plan`.
          wanted: positions of records.
          names: their ids.
          replaced: names of weights that get random numbers.
        """
        other = random_weights.replace(replaced) if replaced else None
        answers = self._answers(plan, wanted, look.taken_apart(checks.ALPHAS, other))
        kinds = [(point.name, "pooled" if point.bag else point.kind)
                 for point in plan.recipe.points]
        return [looks.of(answer, 0, name, kinds) for answer, name in zip(answers, names)]

    def _answers(self, plan, wanted, build):
        """One row at a time, since shapes may differ."""
        other = trials.opened(plan, self.folder, build, self.loaded.allow_unsafe_ops)
        return [other.answer([row]) for row in input_values(other, self.input, wanted)]


def _made_again(text, located):
    """The baseline of an artifact by what it was asked for as."""
    try:
        return starting.resolve(text, located)
    except IgTfError as error:
        raise BaselineError(
            f"the check looks at variants of the artifact, which need its baseline, {text!r}, once "
            "more: samples that were given in Python are not kept, and a file has to be where it "
            f"was ({error})") from error
