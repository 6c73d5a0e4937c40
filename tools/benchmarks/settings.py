"""The ways to instrument that are compared: objects in a table.

A setting turns a plan's ingredients into the arguments of `ig_tf.instrument`. What this version of
ig_tf does not offer is `Lacking`, with the reason; the benchmark prints it and goes on.
"""

import dataclasses
import importlib


class Lacking(Exception):
    """This version of ig_tf has no such option; the text says which."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to instrument.

    Attributes:
      title: what it is, in a table.
      arguments: callable(nodes, sample) -> keyword arguments of `ig_tf.instrument`; `sample` is
        {input: array} of examples that it may calibrate on.
    """

    title: str
    arguments: object


def _default(nodes, sample):
    return {"steps": nodes}


def _xla(nodes, sample):
    runtime = _module("ig_tf.ig.runtime")
    profile = runtime.RuntimeProfile("cpu, XLA", xla=True, batch_buckets=(1, 4, 16, 64))
    return {"steps": nodes, "runtime": profile}


def _calibrated(nodes, sample):
    calibration = _module("ig_tf.calibration")
    names = list(sample)
    rows = [dict(zip(names, values)) for values in zip(*sample.values())]
    return {"steps": calibration.Calibration(rows, error=0.01)}


def _both(nodes, sample):
    return {**_xla(nodes, sample), **_calibrated(nodes, sample)}


def _module(name):
    """A module of later versions."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Lacking(f"this version of ig_tf has no {error.name}") from error


SETTINGS = {
    "default": Setting("ig_tf, as it comes", _default),
    "xla": Setting("ig_tf, XLA", _xla),
    "calibrated": Setting("ig_tf, calibrated to 1 %", _calibrated),
    "calibrated_xla": Setting("ig_tf, calibrated to 1 %, XLA", _both),
}
