"""What is asked of attributions, as a table: plain numpy, no TensorFlow, no model.

A check is a row of TABLE: its name, the measurements that it needs, who asks for it, and how the
verdict is made of them. A new check is one more row (and its measurement).
"""

import dataclasses
import itertools

import numpy as np

from ig_tf.run import looks as seen
from ig_tf.run.checks import where_it_moves

PASS, WARN, FAIL, NOT_APPLICABLE = "pass", "warn", "fail", "not applicable"
CONFIDENT_OF_TWO = 0.7  # probability of one class of two at the baseline, from which it leaks
UNDECIDED = 0.5  # entropy of more classes, as a share of its maximum, below which they do
NEAR_ZERO = 0.1  # of the size of F(x)
EQUAL = 0.1  # share of features that equal the baseline, though the model looks at them
LOOKED_AT = 0.1  # their average gradient, as a share of that of all features
STRETCH = 0.1  # part of the path with half of all that F does, below which F is saturated
POINTWISE = 0.05  # size of the gradient at x against the path average, likewise
AGREE, UNCHANGED, ALIKE = 0.7, 0.95, 0.7  # correlations


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What one check found.

    Attributes:
      name: of the row of TABLE.
      verdict: pass, warn, fail or not applicable.
      value: the number behind it, or None.
      text: that number in words.
      advice: one sentence of what to do; empty where there is nothing.
    """

    name: str
    verdict: str
    value: object
    text: str
    advice: str = ""


@dataclasses.dataclass(frozen=True)
class Item:
    """A row of TABLE.

    Attributes:
      name: of the check.
      needs: names of measurements, arguments of `judge` in this order.
      judge: function of them -> (verdict, number, text, advice).
      asked_by: flag without which it is not made; "" where it always is.
    """

    name: str
    needs: tuple
    judge: object
    asked_by: str = ""


def judged(measured, reasons=None, names=None):
    """All verdicts, in the order of the table.

    Args:
      measured: {name: measurement}; what could not be measured is not there.
      reasons: {name of a measurement: why it is not there}.
      names: of the rows to judge; None for all.
    """
    return tuple(_one(item, measured, reasons or {}) for item in TABLE
                 if names is None or item.name in names)


def _one(item, measured, reasons):
    missing = next((name for name in item.needs if name not in measured), None)
    if missing is not None:
        why = reasons.get(missing) or (f"not asked: {item.asked_by} asks" if item.asked_by
                                       else "nothing to look at")
        return Verdict(item.name, NOT_APPLICABLE, None, why)
    return Verdict(item.name, *item.judge(*(measured[name] for name in item.needs)))


def _completeness(rows, tolerance, helps):
    errors = [row.relative_error for row in rows if row.status in ("converged", "capped")]
    failing = [row for row in rows if row.status in ("capped", "invalid_input")]
    if not errors and not failing:
        return (WARN, None, "every example scores what the baseline scores",
                "There is nothing to explain: choose another baseline, or other examples.")
    largest = max(errors, default=None)
    text = f"{len(rows) - len(failing)} of {len(rows)} examples within {tolerance:.0%}" + (
        "" if largest is None else f", largest error {largest:.2%}")
    return (FAIL if failing else PASS), largest, text, helps if failing else ""


def _scalar(count, why):
    if count == 1:
        return PASS, 1, "one number per example is explained", ""
    return (PASS, count, f"{count} numbers per example, each with attributions of its own ({why})",
            "Compare only attributions of the same one.")


def _baseline_score(looks, squashed):
    looks = [look for look in looks if np.isfinite(look.path).all()]
    cases = [_case(look, looks, squashed) for look in looks]
    if not cases:
        return NOT_APPLICABLE, None, "no example with a finite score", ""
    names = [name for name, _, _ in cases]
    usual = max(dict.fromkeys(names), key=names.count)
    start = float(np.median([look.baseline_prediction for look, name in zip(looks, names)
                             if name == usual]))
    others = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names)
                       if name != usual)
    wrong = [case for case in cases if case[2]]
    of_case = (wrong if len(wrong) > 0.2 * len(cases) else
               [case for case in cases if case[0] == usual])[0]
    text = f"F(baseline) {start:.4g}: {usual}" + (f" ({names.count(usual)} of {len(cases)}; "
                                                  f"{others})" if others else "")
    return (WARN if len(wrong) > 0.2 * len(cases) else PASS), start, f"{text}; {of_case[1]}", (
        of_case[2])


def _case(look, looks, squashed):
    """(what the baseline's score is, why, advice) for one example."""
    start, end = look.baseline_prediction, look.prediction
    classes = seen.distribution(look.baseline_scores, squashed)
    own = look.index if look.baseline_scores.size > 1 else 1  # of a single probability
    if classes is not None and own >= 0:
        return _class_case(start, classes, own)
    inside = [one.prediction for one in looks]
    if abs(start) <= NEAR_ZERO * np.median(np.abs(inside)):
        return "near zero", "attributions share out nearly all of the score", ""
    if len(inside) > 2 and min(inside) <= start <= max(inside):
        return "an ordinary score", "other examples score as it does", ""
    if squashed and abs(start - 0.5) <= 0.1:
        return "near neutral", "neither yes nor no", ""
    return ("far from the examples", f"they score {min(inside):.4g} to {max(inside):.4g}",
            f"Attributions explain the way from {start:.4g} to {end:.4g}: start where the model "
            "says nothing, at a middling record or a neutral one (`--baselines` tries some).")


def _class_case(start, classes, own):
    top, neutral = int(classes.argmax()), 1 / classes.size
    of_two = classes.size == 2
    limit = CONFIDENT_OF_TWO if of_two else 0.5
    if classes[top] >= limit and top == own:
        return ("the default class", f"the baseline has {start:.0%} of the class that is explained",
                "What makes the class is in the baseline already and gets no attribution: explain "
                "the other classes, or start where the model is undecided.")
    if abs(start - neutral) <= 0.5 * neutral:
        return "near neutral", f"1 / {classes.size} classes is {neutral:.3g}", ""
    if start <= max(NEAR_ZERO, 0.5 * neutral):
        default = f", the model's default is class {top}" if classes[top] >= limit else ""
        return "near zero", f"the class that is explained is not there{default}", ""
    return ("neither zero nor neutral", f"1 / {classes.size} classes is {neutral:.3g}",
            "Part of the class is in the baseline already: try others (`--baselines`).")


def _entropy(looks, squashed):
    found = [seen.distribution(look.baseline_scores, squashed) for look in looks]
    found = [one for one in found if one is not None]
    if not found:
        return NOT_APPLICABLE, None, "the output is no distribution over classes", ""
    mean = np.mean([one for one in found if one.size == found[0].size], 0)
    share, top = seen.entropy(mean), int(mean.argmax())
    text = (f"entropy {share:.0%} of the maximum, class {top} of {mean.size} has "
            f"{mean[top]:.0%}")
    if mean.size == 2 and mean[top] >= CONFIDENT_OF_TWO:
        return (WARN, share, text, f"At the baseline the model is not undecided: what makes it "
                f"class {top} there will leak into attributions. Give the model a third class for "
                "\"nothing\", or choose a baseline that it leaves open.")
    if mean.size > 2 and share < UNDECIDED:
        return (WARN, share, text, "At the baseline the model is not undecided: attributions "
                f"explain the difference to a case that it already calls class {top}. Where that "
                "is no class for \"nothing\", consider another baseline.")
    return PASS, share, text, ""


def _equal_features(looks):
    equal = np.concatenate([point.equal() for look in looks for point in look.points])
    share = float(equal.mean()) if equal.size else 0.0
    text = f"{share:.0%} of all features equal the baseline: they get exactly nothing"
    wrong = {}
    for name in dict.fromkeys(point.name for look in looks for point in look.points):
        points = [point for look in looks for point in look.points if point.name == name]
        if points[0].kind not in ("dense", "image"):
            continue  # no id, or an empty bag: there is nothing that could matter
        mine = np.concatenate([point.equal() for point in points])
        sizes = np.concatenate([point.by_feature(np.abs(point.integral)) for point in points])
        if mine.any() and mine.mean() >= EQUAL and (
                sizes[mine].mean() >= LOOKED_AT * sizes.mean() > 0):
            wrong[name] = float(mine.mean())
    if not wrong:
        return PASS, share, text, ""
    listed = ", ".join(f"{name} {part:.0%}" for name, part in wrong.items())
    return (WARN, share, f"{text}; the model looks at these ({listed})",
            "Where such a value says something (a black pixel, a zero that was measured), start "
            "from values that do not occur: noise, or black and white in turn.")


def _saturation(looks, logits):
    ratios, stretches = [], []
    for look in looks:
        if np.isfinite(look.path).all() and not look.says_nothing():
            size = np.abs(look.features()).sum()
            at_x = np.abs(look.features("at_x_times_change")).sum()
            ratios.append(float(at_x / size) if size else 0.0)  # too flat for any node to see it
            stretches.append(_stretch(look.path))
    if not ratios:
        return NOT_APPLICABLE, None, "no example has anything to explain", ""
    ratio, stretch = float(np.median(ratios)), float(np.median(stretches))
    text = (f"the gradient at x has {ratio:.0%} of the path average; half of what F does lies in "
            f"{stretch:.3g} of the path")
    if stretch > STRETCH and ratio >= POINTWISE:
        return PASS, ratio, text, ""
    better = f"explain the scores behind it (--target={logits})" if logits else (
        "explain a score that is not squashed")
    return (WARN, ratio, text, f"F is saturated: {better}, or take nodes where it moves "
            "(--rule=pilot); gradients at x alone would miss what matters.")


def _stretch(path):
    """The shortest part of the path with half of all that F does."""
    moves = where_it_moves(path)
    return moves[1] - moves[0] if moves else 1.0


def _batch_of_one(apart, twice, limit):
    if apart.alone is None:
        return NOT_APPLICABLE, None, apart.note or "not compared", ""
    largest = max(apart.alone, apart.across or 0)
    text = f"batch against one by one: {apart.alone:.1e}; others moved: {apart.across:.1e}"
    if apart.passed:
        return PASS, largest, text, ""
    if twice > limit:
        return FAIL, largest, text, "The model is random: see determinism first."
    return (FAIL, largest, text, "Examples of a batch are not independent: ask one at a time, and "
            "report the model.")


def _determinism(share, limit):
    if share == 0:
        return PASS, 0.0, "the same request twice: the same bits", ""
    text = f"the same request twice differs by {share:.1e} of the largest"
    if share <= limit:
        return (WARN, share, text, "Sums are made in another order each time, as some devices do: "
                "do not compare such numbers bit by bit.")
    return (FAIL, share, text, "Something random is on in the model, such as dropout left on: "
            "export it for inference.")


def _unit_norm(norms):
    wrong = [found for found in norms if found["zero"]]
    if not norms:
        return PASS, 0, "no embedding is held to one length", ""
    listed = ", ".join(f"{found['point']} ({found['how']})" for found in norms)
    if not wrong:
        return PASS, len(norms), f"{listed}; the baseline there is not zero", ""
    return (WARN, len(wrong), f"{listed}; the baseline there is zero",
            "Every word has one length, so that zero is no word: start from the embedding of the "
            "pad token (`--baselines` finds it where the data have one).")


def _agreement(found):
    least = found["least"]
    if least is None:
        return NOT_APPLICABLE, None, ("nothing to rank: fewer than three features or "
                                      "two baselines, or attributions of zero"), ""
    text = (f"rank correlation {least:.2f} at least, {' against '.join(found['pair'])} (of "
            f"{', '.join(found['baselines'])})")
    if least >= AGREE:
        return PASS, least, text, ""
    return (WARN, least, text, "The answer depends on the baseline: choose the one whose question "
            "you ask, and say it beside each picture.")


def _random_weights(found):
    last, every = found["last"], found["all"]
    if last is None or every is None:
        return NOT_APPLICABLE, None, "nothing to compare: no attributions but zeros", ""
    text = (f"correlation of ranks {last['rank']:.2f} once {found['count']['last']} of "
            f"{found['count']['all']} weights are random, {every['rank']:.2f} once all are"
            + ("; those that loops read themselves stay" if found["inside"] else ""))
    worst = max(last["rank"], every["rank"])
    if worst > ALIKE and found["tables"]:
        return (WARN, worst, text, f"Tables stay as learned in this test ({len(found['tables'])} "
                "points are looked up), so this may be theirs: a linear model's weights are such "
                "tables. Read the picture beside that of a model with random weights.")
    if all(min(one["rank"], one["cosine"]) > UNCHANGED for one in (last, every)):
        return (FAIL, worst, text, "Attributions hardly depend on what the model learned: they "
                "show the input. Look whether these weights matter for the target at all.")
    if worst > ALIKE:
        return (WARN, worst, text, "Part of the picture is the input's own: read it beside the "
                "picture of a model with random weights.")
    return PASS, worst, text, ""


def _attributions(finding):
    text = f"{finding.examples} examples: {finding.text}"
    if finding.error is None:
        return PASS, finding.difference, text, ""
    return FAIL, finding.difference, f"{finding.error}: {text}", finding.advice


TABLE = (
    Item("completeness", ("rows", "tolerance", "helps"), _completeness),
    Item("scalar_target", ("targets", "targets_why"), _scalar),
    Item("baseline_score", ("looks", "squashed"), _baseline_score),
    Item("baseline_entropy", ("looks", "squashed"), _entropy),
    Item("equal_features", ("looks",), _equal_features),
    Item("saturation", ("looks", "logits"), _saturation),
    Item("batch_of_one", ("apart", "twice", "limit"), _batch_of_one),
    Item("determinism", ("twice", "limit"), _determinism),
    Item("unit_norm", ("norms",), _unit_norm),
    Item("baseline_agreement", ("agreement",), _agreement, "--sanity or --baselines"),
    Item("random_weights", ("random",), _random_weights, "--sanity"),
    Item("attributions_file", ("elsewhere",), _attributions, "--attributions=FILE"),
)
OF_BASELINE = ("completeness", "baseline_score", "baseline_entropy", "equal_features",
               "saturation")  # what candidates are ranked by


def agreement(by_baseline):
    """How alike the attributions of several baselines are.

    Args:
      by_baseline: {baseline: list of `Look`, of the same examples}.

    Returns:
      {"least": Spearman's rank correlation, median over examples, of the two baselines that agree
      least; None where nothing can be ranked; "pair": these two; "baselines": all names}.
    """
    found = {"least": None, "pair": (), "baselines": list(by_baseline)}
    for pair in itertools.combinations(by_baseline, 2):
        ranks = [seen.rank_correlation(one.features(), two.features())
                 for one, two in zip(*(by_baseline[name] for name in pair))]
        ranks = [rank for rank in ranks if rank is not None]
        median = float(np.median(ranks)) if ranks else None
        if median is not None and (found["least"] is None or median < found["least"]):
            found.update(least=median, pair=pair)
    return found


def likeness(looks, others):
    """How alike two ways of the same examples are: medians; None where there is nothing."""
    ranks, angles = [], []
    for one, other in zip(looks, others):
        first, second = one.features(), other.features()
        angle = seen.cosine(first, second)
        if angle is not None:
            rank = seen.rank_correlation(first, second)
            angles.append(angle)
            ranks.append(angle if rank is None else rank)  # of two features nothing is ranked
    return {"rank": float(np.median(ranks)), "cosine": float(np.median(angles))} if ranks else None
