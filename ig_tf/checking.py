"""The verb `check`: are an instrumented model's attributions to be believed, and if not, what then.

It instruments the same model again with other settings, in a temporary folder, and runs these on
a few examples; the artifact itself is not touched. What is asked is the table of
`ig_tf.run.verdicts`.
"""

import dataclasses
import itertools
import os
import tempfile

from ig_tf import baseline_candidates, measuring
from ig_tf.errors import TargetError
from ig_tf.ig import targets
from ig_tf.ig.quadrature import RuleError
from ig_tf.rerun import Rerun
from ig_tf.run import again, apart, artifact, checks, verdicts
from ig_tf.run import targets as target_words
from ig_tf.run.attribute import attribute, some_records

MAX_TRIED = 3  # failing examples that other settings are tried on: the worst and the median ones
SANITY, BASELINES = "sanity", "baselines"
ALSO = (SANITY, BASELINES)
_OTHER_RULES = ("graded_2", "graded_3", "pilot")
_NOISE = ("noise:0.001", "noise:0.01")


def check(model, input, limit=16, tolerance=checks.TOLERANCE, max_steps=checks.MAX_STEPS,
          say=lambda text: None, also=(), attributions=None, baselines_to=None,
          allow_unsafe_ops=False):
    """Checks attributions on some inputs.

    Args:
      model: directory of an instrumented SavedModel.
      input: file of records.
      limit: so many records at most.
      tolerance: relative completeness error per example that is asked for.
      max_steps: nodes to try at most.
      say: called with a sentence before each longer step.
      also: what takes longer, out of ALSO: "sanity" (random weights; agreement of three
        baselines), "baselines" (tries those that make sense and ranks them).
      attributions: file of attributions computed elsewhere, to be compared, or None.
      baselines_to: folder to write baselines to that are arrays, or None.
      allow_unsafe_ops: as in `attribute`.

    Returns:
      A `ig_tf.run.checks.Check`.

    Raises:
      RecordError: a record does not fit the model.
      ResultsError: the file of attributions cannot be read, or does not fit.
    """
    unknown = sorted(set(also) - set(ALSO))
    if unknown:
        raise ValueError(f"no check {', '.join(unknown)}; there are: {', '.join(ALSO)}")
    if not isinstance(input, (str, bytes, os.PathLike)):
        input = list(itertools.islice(input, limit))  # it is read more than once
    loaded = artifact.load(model, allow_unsafe_ops)
    results = attribute(loaded, input, limit=limit)
    rows = [checks.Row(r.id, r.status, r.prediction, r.baseline_prediction, r.relative_error)
            for r in results]
    measured, reasons, tried, ranked = {}, {}, (), ()
    if results:
        measured = _of_batch(loaded, some_records(loaded, input, limit), len(results), say)
    fixed = target_words.not_tried(loaded.metadata["target"])
    if results and fixed:
        reasons = dict.fromkeys(("looks", "norms", "agreement", "random", "elsewhere"), fixed[0])
    elif results:
        with tempfile.TemporaryDirectory() as folder:
            rerun = Rerun(loaded, input, folder, say)
            failing = _worst_and_median(rows)
            examples = _examples(rerun, results, failing, tolerance)
            found = _looked(examples, rows, failing, also, attributions, baselines_to)
            rows, more, reasons, ranked = found
            measured.update(more)
            if failing:
                rows = _more_steps(rerun, rows, failing, tolerance, max_steps)
                tried = _tried(rerun, failing, tolerance)
    return _check(loaded, rows, tolerance, tried, measured, reasons, ranked)


def _check(loaded, rows, tolerance, tried, measured, reasons, ranked):
    steps = loaded.metadata["rule"]["steps"]
    sentences = checks.advice(rows, tried, tolerance, steps, ranked)
    sentences += target_words.not_tried(loaded.metadata["target"])
    if rows:
        measured.update(rows=rows, tolerance=tolerance, helps=checks.what_helps(sentences))
    entropy = None
    if "looks" in measured:
        entropy = checks.normalized_entropy(measured["looks"][0].baseline_scores,
                                            measured["squashed"])
    return checks.Check(tuple(rows), tolerance, steps, entropy, tuple(tried), sentences,
                        measured.get("apart"), verdicts.judged(measured, reasons), ranked)


def _of_batch(loaded, given, count, say):
    """What is asked of the artifact as it is."""
    say("comparing a batch with its examples one by one, and with itself")
    return {"apart": apart.measure(loaded, given), "twice": again.measure(loaded, given),
            "limit": again.LIMIT, "targets": max(count // len(given), 1),
            "targets_why": loaded.metadata["target"]["rows"]}


def _examples(rerun, results, failing, tolerance):
    """Those that fail, then the first ones."""
    order = list(dict.fromkeys([*failing, *range(len(results))]))
    wanted = sorted(order[:measuring.MOST_LOOKED])
    return measuring.Examples(rerun, wanted, [results[place] for place in wanted], tolerance)


def _looked(examples, rows, failing, also, attributions, baselines_to):
    """(rows with their path, measurements, reasons for those that are missing, ranking)."""
    rerun, reasons, ranked = examples.rerun, {}, ()
    rerun.say(f"taking the path of {len(examples.wanted)} examples apart")
    plan = rerun.plan()
    looked = examples.looks(plan)
    paths = {place: look.path for place, look in zip(examples.wanted, looked)}
    rows = [dataclasses.replace(row, path=tuple(map(float, paths[place])))
            if place in failing else row for place, row in enumerate(rows)]
    of_target = measuring.of_target(rerun)
    measured = {"looks": looked, "norms": measuring.norms(plan, looked), **of_target}
    if also:
        found = measuring.candidates(examples, looked)
        found = found if BASELINES in also else found[:baseline_candidates.THREE]
        by_baseline = measuring.of_baselines(examples, looked, found)
        first = list(by_baseline)[:baseline_candidates.THREE]
        measured["agreement"] = verdicts.agreement({name: by_baseline[name] for name in first})
        if BASELINES in also:
            ranked = measuring.ranked(examples, by_baseline, found, of_target, baselines_to)
    if SANITY in also:
        measured["random"] = measuring.random(examples, plan, looked)
        if measured["random"] is None:
            del measured["random"]
            reasons["random"] = "no matrix of weights stands between the points and the target"
    if attributions is not None:
        measured["elsewhere"] = measuring.file(examples, attributions)
    return rows, measured, reasons, ranked


def _worst_and_median(rows):
    failing = [index for index, row in enumerate(rows) if row.status == "capped"]
    order = sorted(failing, key=lambda index: rows[index].relative_error)
    if len(order) <= MAX_TRIED:
        return failing
    return sorted({order[-1], order[-2], order[len(order) // 2]})


def _more_steps(rerun, rows, failing, tolerance, max_steps):
    """Doubles the nodes until each failing row is fine twice in a row, or up to the limit."""
    max_steps -= max_steps % 2  # nodes of a pilot come in pairs
    steps, left, good = rerun.loaded.metadata["rule"]["steps"], list(failing), {}
    while left and steps < max_steps:
        steps = min(2 * steps, max_steps)
        rerun.say(f"trying {steps} nodes on {len(left)} examples")
        errors = rerun.run(rerun.plan(steps=steps), left)["relative_error"]
        for index, error in zip(list(left), errors):
            tried = (*(rows[index].errors or _first(rerun, rows[index])), (steps, float(error)))
            rows[index] = dataclasses.replace(rows[index], steps_tried=steps, errors=tried)
            if error > tolerance:
                good.pop(index, None)
            elif index in good or steps == max_steps:
                rows[index] = dataclasses.replace(rows[index],
                                                  steps_needed=good.get(index, steps))
                left.remove(index)
            else:
                good[index] = steps
    return rows


def _first(rerun, row):
    """The number of nodes that the artifact has, and its error."""
    return ((rerun.loaded.metadata["rule"]["steps"], float(row.relative_error)),)


def _tried(rerun, failing, tolerance):
    """Other rules, the scores behind a probability, other baselines."""
    found = []
    for flags, changes in _candidates(rerun):
        rerun.say(f"trying {flags}")
        try:
            errors = rerun.run(rerun.plan(**changes), failing)["relative_error"]
            doubled = ()
            if max(errors) <= tolerance:
                twice = {**changes, "steps": min(2 * changes["steps"], checks.MAX_STEPS)}
                doubled = rerun.run(rerun.plan(**twice), failing)["relative_error"]
        except (*measuring.NOT_FOR_THIS_MODEL, TargetError, RuleError) as error:
            rerun.say(f"{flags} is not for this model: {error}")
            continue
        found.append(checks.Trial(flags, tuple(map(float, errors)), tuple(map(float, doubled))))
    return found


def _candidates(rerun):
    """(flags, what they change) of what is worth a try."""
    steps, located = rerun.loaded.metadata["rule"]["steps"], rerun.located()
    own = rerun.loaded.metadata["rule"]["name"]
    logits = targets.before_squashing(located.work, located.target)
    if logits:
        yield f"--target={logits}", {"target": logits, "steps": steps}
    for rule in _OTHER_RULES:
        for more in (steps, 4 * steps):
            more += more % 2 if rule == "pilot" else 0  # its nodes come in pairs
            if rule != own:
                yield f"--rule={rule} --steps={more}", {"rule": rule, "steps": more}
    if any(point["kind"] in ("dense", "image") for point in rerun.loaded.metadata["points"]):
        for noise in _NOISE:
            for more in (steps, 4 * steps):
                yield (f"--baseline={noise} --steps={more}", {"baseline": noise, "steps": more})
