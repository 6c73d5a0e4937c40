"""One model: contenders are started, compared, and timed in turns."""

import dataclasses
import statistics

import numpy as np

from tools.benchmarks import accuracy, workplace
from tools.benchmarks.process import Failed

PARITY = 1e-6        # outputs, before anything is timed
SHORTEST = 0.1       # seconds of one run: short calls are repeated within it
SEARCHED = 16        # examples that a choice is tried on
COMPILING = 20       # seconds that the first run of a choice may take longer


@dataclasses.dataclass(frozen=True)
class Amount:
    """How much is measured.

    Attributes:
      nodes: of the rule.
      batches: examples at once.
      repeats: runs of each, in turns.
      examples: that errors are measured on.
    """

    nodes: int
    batches: tuple
    repeats: int
    examples: int


def measured(place, contenders, threads, amount, say):
    """Rows of one model at one number of threads.

    Args:
      place: the `Place`, prepared and instrumented.
      contenders: {name: started `Contender`}.
      threads: as they were started.
      amount: an `Amount`.
      say: callable(text) for progress.

    Returns:
      (rows as dicts, {name: why it is not there}).
    """
    failed, facts, rows = {}, {}, []

    def attempt(name, work):
        try:
            return work()
        except Failed as error:
            failed[name] = str(error)
            say(f"  {error}")
            return None

    for name, contender in contenders.items():
        facts[name] = attempt(name, lambda c=contender: _compared(place, c, threads))
    able = {name: contenders[name] for name, fact in facts.items() if fact}
    accurate = {name: attempt(name, lambda c=c: _accuracy(place, c, amount))
                for name, c in able.items()}
    able = {name: c for name, c in able.items() if accurate[name]}
    for batch in amount.batches:
        found = _timed(able, batch, amount, attempt, say)
        able = {name: c for name, c in able.items() if name not in failed}
        rows += [{"model": place.model.name, "threads": threads, "batch": batch,
                  "contender": name, **row, **accurate[name], "facts": facts[name]}
                 for name, row in found.items()]
    return rows, failed


def _compared(place, contender, threads):
    """Loaded, and its outputs are those of the model."""
    facts = contender.ask("load", work_dir=str(place.folder.parent), model=place.model.name,
                          threads=threads)["facts"]
    file = place.folder / f"scores_{contender.name}.npy"
    examples = place.examples()
    contender.ask("predict", batch=len(examples["inputs"]), save=str(file))
    parity = accuracy.disagreement(np.load(file), examples["scores"])
    if not parity <= PARITY:
        raise Failed(f"{contender.name}: outputs differ by {parity:.1e} of the largest; at most "
                     f"{PARITY:.0e} is the same model")
    return {**facts, "parity": parity}


def _accuracy(place, contender, amount):
    """Errors of the first examples against the reference."""
    choice = contender.ask("choices", batch=1, nodes=amount.nodes)["choices"][-1]
    file = place.folder / f"attributions_{contender.name}.npy"
    contender.ask("attribute", batch=amount.examples, nodes=amount.nodes, choice=choice,
                  save=str(file))
    reference = {key: value[:amount.examples] if np.ndim(value) else value
                 for key, value in place.reference().items()}
    reference["attributions"] = workplace.summed(place.model, reference["attributions"])
    found = accuracy.errors(workplace.summed(place.model, np.load(file)), reference)
    return {f"{name}_error": accuracy.summary(values) for name, values in found.items()}


def _timed(contenders, batch, amount, attempt, say):
    """{name: times} by turns: one run of each contender, then the next of each."""
    choices = {name: attempt(name, lambda c=c: best_choice(c, batch, amount.nodes))
               for name, c in contenders.items()}
    calls, seconds = {}, {}
    for name, choice in choices.items():
        if choice:
            calls[name] = attempt(name, lambda n=name: _warm(contenders[n], batch, amount.nodes,
                                                             choices[n]))
    calls = {name: count for name, count in calls.items() if count}
    for _ in range(amount.repeats):
        for name, (many, few) in list(calls.items()):
            pair = attempt(name, lambda n=name, m=many, f=few: (
                contenders[n].ask("attribute", batch=batch, nodes=amount.nodes,
                                  choice=choices[n], calls=f)["seconds"],
                contenders[n].ask("predict", batch=batch, calls=m)["seconds"]))
            if pair:
                seconds.setdefault(name, []).append(pair)
            else:
                del calls[name]
    found = {name: _row(seconds[name], batch, choices[name]) for name in calls}
    for name, row in found.items():
        say(f"  batch {batch} {name:12} {row['ms_per_example']:9.3f} ms per example, "
            f"{row['predictions']:7.1f} predictions, {row['choice']}")
    return found


def _row(pairs, batch, choice):
    """Medians of the runs."""
    attributed = [1000 * pair[0] / batch for pair in pairs]
    predicted = [1000 * pair[1] / batch for pair in pairs]
    ms, prediction = statistics.median(attributed), statistics.median(predicted)
    return {"choice": choice["name"], "runs": len(pairs), "ms_per_example": ms,
            "ms_runs": attributed, "prediction_ms": prediction, "predictions": ms / prediction}


def best_choice(contender, batch, nodes):
    """The fastest way of a contender to cut the work, tried on a few examples.

    The first run of each may compile; it is tried again unless it was slower beyond that.
    """
    some = min(batch, SEARCHED)
    choices = contender.ask("choices", batch=batch, nodes=nodes)["choices"]
    if len(choices) == 1:
        return choices[0]
    best, least = None, float("inf")
    for choice in choices:
        request = {"batch": some, "nodes": nodes, "choice": choice}
        first = contender.ask("attribute", **request)["seconds"]
        if first > 1.5 * least + COMPILING:
            continue
        seconds = contender.ask("attribute", **request)["seconds"]
        if seconds < least:
            best, least = choice, seconds
    return best


def _warm(contender, batch, nodes, choice):
    """(predictions, attributions) of one run that is not too short to be timed."""
    counts = []
    for request in ({"do": "predict"}, {"do": "attribute", "nodes": nodes, "choice": choice}):
        contender.ask(batch=batch, **request)
        seconds = contender.ask(batch=batch, **request)["seconds"]
        counts.append(max(1, round(SHORTEST / seconds)))
    return counts
