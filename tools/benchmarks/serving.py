"""A contender in a process of its own: requests and answers are lines of JSON. Numpy only.

A contender is an object with

  facts()                             versions and what its users should know, a dict
  load(place, threads)                before anything else; `place` is a `workplace.Place`
  choices(batch, nodes)               ways to cut the work: [{"name": ..., ...}], cheapest first
  predict(inputs)                     scores
  attribute(inputs, target, nodes, choice)    attributions [batch, ...]
"""

import json
import os
import sys
import time
import traceback

import numpy as np

from tools.benchmarks import workplace


def serve(make):
    """Answers the requests of standard input until it ends.

    Args:
      make: callable() -> a contender; each model gets one of its own, so that nothing is left of
        the model before.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    desk = _Desk(make)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(desk, f"on_{request.pop('do')}")(**request)
        except Exception as error:  # whatever a library raises is this contender's result
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        print(json.dumps(answer), file=answers, flush=True)


class _Desk:
    """The requests."""

    def __init__(self, make):
        self.make = make
        self.contender = self.examples = None

    def on_load(self, work_dir, model, threads):
        where = workplace.place(work_dir, model)
        self.examples = where.examples()
        self.contender = self.make()
        self.contender.load(where, threads)
        return {"facts": self.contender.facts()}

    def on_choices(self, batch, nodes):
        return {"choices": self.contender.choices(batch, nodes)}

    def on_predict(self, batch, calls=1, save=None):
        inputs = self.examples["inputs"][:batch]
        return _timed(lambda: self.contender.predict(inputs), calls, save)

    def on_attribute(self, batch, nodes, choice, calls=1, save=None):
        inputs, target = (self.examples[key][:batch] for key in ("inputs", "target"))
        return _timed(lambda: self.contender.attribute(inputs, target, nodes, choice), calls, save)


def _timed(work, calls, save):
    """Seconds of one call, on the average of `calls`; what it gave is kept in `save`."""
    began = time.perf_counter()
    for _ in range(calls):
        found = work()
    seconds = (time.perf_counter() - began) / calls
    if save:
        np.save(save, np.asarray(found))
    return {"seconds": seconds}


def parts(inputs, target, size):
    """The batch in pieces of so many examples."""
    for first in range(0, len(inputs), size):
        yield inputs[first:first + size], target[first:first + size]
