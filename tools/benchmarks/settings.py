"""The ways to instrument that are compared: objects in a table.

A setting turns a plan's ingredients into the arguments of `ig_tf.instrument`. What this version of
ig_tf does not offer is `Lacking`, with the reason; the benchmark prints it and goes on.
"""

import dataclasses
import importlib
import inspect


class Lacking(Exception):
    """This version of ig_tf has no such option; the text says which."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to instrument.

    Attributes:
      title: what it is, in a table.
      arguments: callable(api, nodes, sample) -> keyword arguments of `api.instrument`; `sample`
        is {input: array} of examples that it may calibrate on.
    """

    title: str
    arguments: object


def _default(api, nodes, sample):
    return {"steps": nodes}


def _xla(api, nodes, sample):
    _needs(api, "runtime")
    runtime = importlib.import_module("ig_tf.ig.runtime")
    profile = runtime.RuntimeProfile("cpu, XLA", xla=True, batch_buckets=(1, 4, 16, 64))
    return {"steps": nodes, "runtime": profile}


def _calibrated(api, nodes, sample):
    _needs(api, "calibrate")
    return {"calibrate": sample, "error": 0.01}


def _needs(api, argument):
    if argument not in inspect.signature(api.instrument).parameters:
        raise Lacking(f"ig_tf.instrument has no argument {argument!r} yet")


SETTINGS = {
    "default": Setting("ig_tf, as it comes", _default),
    "xla": Setting("ig_tf, XLA", _xla),
    "calibrated": Setting("ig_tf, calibrated to 1 %", _calibrated),
}
