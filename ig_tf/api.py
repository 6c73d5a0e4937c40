"""The verbs up to `save`: load, locate, instrument, save."""

import dataclasses

import tensorflow as tf

from ig_tf import starting
from ig_tf.errors import GraphError
from ig_tf.export import compiling, meta_graph
from ig_tf.export import saved_model as writer
from ig_tf.graph import batch_axes
from ig_tf.graph import work as working
from ig_tf.ig import attach, ladder, methods, python_output, targets
from ig_tf.ig import limits as bounds
from ig_tf.ig import recipe as recipes
from ig_tf.ig import request as requests
from ig_tf.ig import runtime as runtimes
from ig_tf.model import artifact, randomness
from ig_tf.model.asked import Asked
from ig_tf.model.model import ATTRIBUTIONS, CUSTOM, Model
from ig_tf.model.nodes import needed_functions
from ig_tf.points import feature_columns
from ig_tf.points import locate as locating
from ig_tf.points.point import Cut

METADATA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Located:
    """Where attribution belongs in a model, for one target.

    Attributes:
      model: the `Model`.
      target: the `Target`.
      cut: points, what is held constant, misses.
      layout: along which axes the examples lie, and the row states (`Layout`).
    """

    model: Model
    target: targets.Target
    cut: Cut
    work: object = dataclasses.field(repr=False)
    layout: batch_axes.Layout


@dataclasses.dataclass(frozen=True)
class Plan:
    """All decisions of one instrumentation, made and printable, before anything is written.

    Attributes:
      model: the `Model`.
      recipe: what the attribution function is made of.
      cut: points, what is held constant, misses.
      custom: what the function of `attributions_custom` is made of, or None: no such signature.
      calibration: what was measured to choose the rule, as data; None where it was not.
      limits: the largest request that is answered.
    """

    model: Model
    recipe: recipes.Recipe
    cut: Cut
    custom: object = None
    calibration: object = None
    limits: bounds.Limits = bounds.Limits()

    @property
    def signatures(self):
        """{signature to add: its `Recipe`}."""
        return {ATTRIBUTIONS: self.recipe, **({CUSTOM: self.custom} if self.custom else {})}

    def described(self):
        """The plan as JSON-able data; the metadata of the output is the same."""
        recipe = self.recipe
        return {
            "version": METADATA_VERSION,
            "source": {"fingerprint": self.model.fingerprint(), "tags": list(self.model.tags),
                       "signature": self.model.signature_name,
                       **({"asked": self.model.asked()} if self.model.asked() else {})},
            "choices": list(self.model.chosen) + ([recipe.target.chosen]
                                                  if recipe.target.chosen else [])
            + recipe.layout.chosen() + starting.said(recipe),
            "target": recipe.target.described(recipe.work),
            "points": [point.described() for point in recipe.points],
            "feeds": [feed.described() for feed in self.model.feeds],
            "fixes": [fix.described() for fix in self.model.fixes],
            "held_constant": list(self.cut.held_constant),
            "misses": list(self.cut.misses),
            "changed_in_the_copy": _changed(recipe),
            "baseline": recipe.baseline.text,
            "baseline_values": recipe.baseline.described(),
            "baseline_samples": recipe.baseline.samples_described(),
            "method": recipe.method.described(recipe.rule, recipe.baseline),
            "rule": recipe.rule.described(),
            "frontier": recipe.frontier_described(),
            **({"calibration": self.calibration} if self.calibration else {}),
            "chunking": self._chunking(),
            "runtime": recipe.runtime.described(),
            "copied_ops": len(recipe.copy.operations),
            "shared_tensors": len(recipe.copy.shared) + len(recipe.copy.per_example),
            "batch": {"axes": recipe.layout.axes, "examples": recipe.layout.count},
            "sparse_inputs": self.model.described_sparse_inputs(),
            "added": {"node": meta_graph.call_of(ATTRIBUTIONS), "signature": ATTRIBUTIONS},
            **({"custom": self._custom()} if self.custom else {}),
            **({"limits": self.limits.described()} if self.limits.described() else {}),
        }

    def _custom(self):
        """Of `attributions_custom` what differs from `attributions`."""
        return {"node": meta_graph.call_of(CUSTOM), "signature": CUSTOM,
                **self.custom.custom.described()}

    def _chunking(self):
        recipe = self.recipe
        if recipe.mode is recipes.Mode.ALONE:
            return {"mode": recipe.mode.value, "reason": recipe.reason}
        if recipe.mode is recipes.Mode.BATCH:
            return {"mode": recipe.mode.value.format(recipe.layout.count),
                    "reason": "the inputs fix the number of examples"}
        return {"mode": recipe.mode.value, "rows": recipe.rows_per_chunk or "by memory budget",
                "bytes_per_row": recipe.bytes_per_row}


def load(source, tags=None, signature=None, inputs=None, outputs=None, session=None, feeds=None,
         fixes=None):
    """Reads a model of any kind; its weights are not loaded, and it is not run.

    Args:
      source: a SavedModel folder, a frozen graph (.pb, .pbtxt), a checkpoint prefix or folder with
        its metagraph, a TensorFlow Hub handle, folder or archive, a Keras model or file, a live
        tf.Graph or tf.compat.v1.Session.
      tags: the tag set of the MetaGraph, where there are several.
      signature: name of the signature to explain.
      inputs, outputs: the tensors of a graph without a signature: names (NAME, NAME:k, KEY=NAME),
        tensors, or {key: either}. Without inputs, all that the outputs need.
      session: the session of a live graph: its variables are read from it.
      feeds: TENSOR:NAME,... of tensors that shall be inputs of `attributions`; by default the
        queues, readers and iterators that the outputs wait for.
      fixes: PLACEHOLDER:VALUE,... of scalars; keep_prob and the like are recognised.

    Returns:
      A `Model`.

    Raises:
      ArtifactError: it is none of these, or broken.
      SignatureError: tags, signature, inputs, outputs, feeds or fixes are missing, not there or
        not clear.
    """
    return artifact.read(source, Asked(tags, signature, inputs, outputs, session, feeds, fixes))


def locate(model, target=None, points=locating.AUTO):
    """Where attribution belongs.

    Args:
      model: a `Model` from `load`.
      target: as in `instrument`.
      points: "auto" or an iterable of names of points, signature inputs or tensors.

    Returns:
      A `Located`.
    """
    work = working.build(model)
    function = None
    if callable(target):
        model, function = python_output.added(model, work, target)
        work, target = working.build(model), function
    chosen = dataclasses.replace(targets.resolve(work, target), function=function)
    goal = work.tensor(chosen.tensor)
    _refuse_random(work, goal)
    layout = batch_axes.find(work, goal)
    chosen = targets.along(work, chosen, layout.target_axis, layout.folds)
    recorded = model.meta_graph.collection_def[feature_columns.COLLECTION].bytes_list.value if (
        feature_columns.COLLECTION in model.meta_graph.collection_def) else ()
    found = locating.locate(work, goal, layout.states, points, feature_columns.records(recorded))
    return Located(model, chosen, found.cut, work, layout)


def _refuse_random(work, goal):
    """A target that is another number in each run cannot be explained."""
    active = randomness.active_random(work.graph_def, [goal.name],
                                      [tensor.name for tensor in work.inputs.values()])
    if active:
        listed = ", ".join(working.source_name(name) for name in active[:5])
        raise GraphError(
            f"random ops are active on the way to {goal.name!r}: {listed}. Each run would explain "
            "another number. Where a dropout or a switch for training is behind them, set it: "
            "--fix=keep_prob:1.0, with the name of its placeholder.")


def instrument(model, target=None, points=locating.AUTO, baseline="zeros", steps=None,
               rule=None, rows_per_chunk=None, custom=(), runtime=runtimes.DEFAULT.name,
               method=methods.DEFAULT, limits=bounds.Limits()):
    """Plans the attribution signature of a model; nothing is written or executed, but by a
    `Calibration`.

    Args:
      model: a `Model` from `load`, or a `Located` from `locate` (then `target` and `points` are
        already chosen).
      target: OUTPUT, OUTPUT:INDEX, OUTPUT:A-B, OUTPUT:top, OUTPUT:top5, OUTPUT:all (see
        `ig_tf.ig.index`), a function of {output: tensor} to a tensor [batch], or None to choose.
      points: "auto" or names.
      baseline: "zeros", a number, {point name: number or array}, a list of these (several
        baselines, averaged), a text as `--baseline` takes it, or `ig_tf.starting.Records`.
      steps: number of nodes on the path, 1 to 4096 (of expected gradients: over all baselines
        together), or an `ig_tf.calibration.Calibration` that chooses it on sample rows; None for
        50.
      rule: a rule as `ig_tf.ig.quadrature.build` takes it, or a `Rule`; None for gauss_legendre,
        or for the calibration to choose.
      rows_per_chunk: rows of (example, step) pairs at a time; None for the memory budget.
      custom: what a request may choose: names out of "target", "baseline", "refinement" and
        "baseline/NAME". Where there are any, a second signature `attributions_custom` takes them.
      runtime: a key of `ig_tf.ig.runtime.PROFILES`, a FILE.json with its fields, or a
        `RuntimeProfile`.
      method: a key of `ig_tf.ig.methods.METHODS`, with options behind it, or a `Method`.
      limits: the largest request, as `ig_tf.ig.limits.Limits`: what is larger is refused by
        assertions in the graph.

    Returns:
      A `Plan` for `save`.
    """
    profile = runtimes.resolve(runtime)
    located = model if isinstance(model, Located) else locate(model, target, points)
    start = starting.resolve(baseline, located)
    chosen, choose = methods.resolve(method), getattr(steps, "choose", None)
    if choose:
        chosen.calibrated(rule)
        if requests.REFINEMENT in custom:
            choose = steps.up_to(ladder.MOST_STEPS).choose
    built = chosen.rule(rule, None if choose else steps, start.count)
    recipe = recipes.prepare(located.work, located.layout, located.target, located.cut.points,
                             start, built, rows_per_chunk, profile, method=chosen)
    plan = Plan(located.model, recipe, located.cut, limits=limits)
    asked = requests.plan(located, recipe, custom)  # what is refused is, before rows are run
    if choose:
        plan = choose(plan, rule)
        asked = requests.plan(located, plan.recipe, custom)
    return dataclasses.replace(plan, custom=asked)


def save(plan, output, link=False, overwrite=False, build=attach.outputs, version=None,
         warm_up=None):
    """Writes the instrumented SavedModel.

    Args:
      plan: a `Plan`.
      output: directory to make.
      link: hard links instead of copies of variables and assets.
      overwrite: replaces an output that exists.
      build: what the signature computes; anything but the default is for diagnosis.
      version: a number: writes into OUTPUT/N, as TensorFlow Serving looks for versions.
      warm_up: an `ig_tf.warm_up.WarmUp`: requests for TensorFlow Serving to begin with.

    Returns:
      The metadata, as written to assets.extra/ig_tf.json.
    """
    build = bounds.bounded(build, plan.limits)
    made = [compiling.trace(plan.model, recipe, build, name)
            for name, recipe in plan.signatures.items()]
    traced = [function for function, _ in made]
    metadata = plan.described()
    metadata["compiled"] = made[0][1]
    metadata["functions"] = [function.signature.name for one in traced
                             for function in one.functions]
    metadata["outputs"] = _outputs(traced[0])
    for one, compiled in made[1:]:
        metadata["custom"].update(outputs=_outputs(one), compiled=compiled)
    proto = meta_graph.add(plan.model, plan.recipe.work, traced, metadata)
    place = writer.link_file if link else writer.copy_file
    folder = output if version is None else writer.version_folder(output, version)
    more = {"finish": warm_up.write} if warm_up else {}
    writer.write(plan.model, folder, proto, metadata, place, overwrite, **more)
    return metadata


def _outputs(traced):
    """{key: {dtype, shape}} with -1 for unknown."""
    described = {}
    for key in traced.keys:
        dtype, shape = traced.specs[key]
        described[key] = {"dtype": tf.as_dtype(dtype).name,
                          "shape": [dim.size for dim in shape.dim]}
    return described


def _changed(recipe):
    """What was made differentiable among the copied ops and the functions that they call."""
    work = recipe.work
    copied = {*recipe.copy.operations, *recipe.front.copy.operations}
    called = needed_functions([node for node in work.graph_def.node if node.name in copied],
                              work.library())
    return sorted(text for (function, node), text in work.changed.items()
                  if (node in copied if function is None else function in called))
