"""Throughput on a GPU: our StableHLO in jax against captum on the same device, and on the CPU.

  python -m tools.benchmark_gpu --work_dir=DIR --jax_python=JAX/bin/python \\
      --torch_python=CAPTUM/bin/python

For each model of the benchmark: trained (once) and exported with its weights at a fixed batch here,
run by jax on the accelerator and on the CPU, where its numbers are compared with TensorFlow's, and
by captum at its fastest way to cut the work, equal weights and nodes. TensorFlow needs no GPU.
jax_python wants jax for the device and numpy; torch_python torch for the device and captum.
"""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
from absl import flags

from tools import program
from tools.benchmarks import models, prepare, workplace
from tools.benchmarks.process import REPO, Contender, Failed

_WORK = flags.DEFINE_string("work_dir", None, "Folder for models; what is there is used again.",
                            required=True)
_JAX = flags.DEFINE_string("jax_python", None, "Interpreter with jax.", required=True)
_TORCH = flags.DEFINE_string("torch_python", None, "Interpreter with captum.", required=True)
_MODELS = flags.DEFINE_list("models", ["ranker", "pooled", "text_cnn", "gru"], "Models of: "
                            f"{', '.join(models.MODELS)}.")
_BATCH = flags.DEFINE_integer("batch", 64, "Examples at once.", lower_bound=2,
                              upper_bound=models.EXAMPLES)
_NODES = flags.DEFINE_integer("nodes", 50, "Nodes of the rule.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 20, "Runs that are averaged.", lower_bound=1)
_DEVICE = flags.DEFINE_enum("device", "cuda", ["cuda", "cpu"], "The device; cpu tries the program.")
_SECONDS = 600  # that one answer may take


def main(_):
    failed = 0
    for name in _MODELS.value:
        where = workplace.place(_WORK.value, name)
        prepare.prepare(where, _NODES.value, 1)
        exported = _exported(where)
        found = {}
        for device in dict.fromkeys([_DEVICE.value, "cpu"]):
            found[f"ig_tf, jax on {device}"] = _by_jax(exported, device)
        try:
            found[f"captum on {_DEVICE.value}"] = _by_captum(where)
        except Failed as error:
            failed, found[f"captum on {_DEVICE.value}"] = 1, None
            print(error, file=sys.stderr)
        ours = found[f"ig_tf, jax on {_DEVICE.value}"]
        failed |= any(rate is None for rate in found.values())
        print(f"{name}, batch {_BATCH.value}, {_NODES.value} nodes")
        for who, rate in found.items():
            share = f"{ours / rate:6.2f} times slower than ours" if rate and ours else ""
            print(f"  {who:<22} {rate or float('nan'):12.1f} examples per second  {share}")
    return failed


def _exported(where):
    """The folder of the StableHLO module, with an example and TensorFlow's answer."""
    folder = where.folder / f"stablehlo_{_BATCH.value}_{_NODES.value}"
    if not (folder / "example.npz").exists():
        name = "ids" if where.model.vocabulary else "image"
        rows = where.folder / "rows.npz"
        np.savez(rows, **{name: where.examples()["inputs"][:_BATCH.value]})
        _run(sys.executable, ["-m", "tools.export_stablehlo", f"--model={where.saved_model}",
                              f"--output={folder}", f"--examples={_BATCH.value}",
                              f"--steps={_NODES.value}", f"--input={rows}"])
    return folder


def _by_jax(folder, device):
    """Examples per second; None where it fails or the numbers are not TensorFlow's."""
    variables = {} if device == "cuda" else {"JAX_PLATFORMS": "cpu"}
    try:
        said = _run(_JAX.value, [str(REPO / "tools" / "run_stablehlo.py"), str(folder),
                                 f"--repeat={_REPEATS.value}"], variables)
    except subprocess.CalledProcessError as error:
        print(f"{error.stdout}{error.stderr[-2000:]}", file=sys.stderr)
        return None
    if device == "cuda" and "(cpu)" in said:
        print("jax found no accelerator", file=sys.stderr)
        return None
    return float(re.search(r"([\d.e+]+) examples per second", said)[1])


def _by_captum(where):
    """Examples per second at its fastest choice."""
    log = pathlib.Path(_WORK.value) / "captum_gpu.log"
    variables = {**os.environ, "PYTHONPATH": str(REPO)}
    module = ["tools.benchmarks.rival_captum", _DEVICE.value]
    with Contender("captum", _TORCH.value, module, 1, log, _SECONDS, variables) as captum:
        captum.ask("load", work_dir=_WORK.value, model=where.model.name, threads=os.cpu_count())
        asked = {"batch": _BATCH.value, "nodes": _NODES.value}
        choices = captum.ask("choices", **asked)["choices"]
        for choice in choices:  # the first call of each makes what is kept
            captum.ask("attribute", **asked, choice=choice)
        tried = {place: captum.ask("attribute", **asked, choice=choice)["seconds"]
                 for place, choice in enumerate(choices)}
        best = choices[min(tried, key=tried.get)]
        seconds = captum.ask("attribute", **asked, choice=best, calls=_REPEATS.value)["seconds"]
    return _BATCH.value / seconds


def _run(python, arguments, variables=None):
    return subprocess.run([python, *arguments], cwd=REPO, text=True, check=True,
                          capture_output=True, env={**os.environ, **(variables or {})}).stdout


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
