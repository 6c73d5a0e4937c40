"""Compiles the attributions of a model ahead of time into a C++ program, runs and compares it.

  python -m tools.aot_compile --model=DIR --input=ROWS --output=OUT --examples=2

tools/export_stablehlo.py fixes the sizes, `saved_model_cli aot_compile_cpu` makes object files and
a header, g++ links them with tools/aot_harness.cc, and the program's answers are compared with
TensorFlow's. It shows that it can be done, and how; status 1 if the numbers differ.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np

from tools import run_stablehlo

HARNESS = pathlib.Path(__file__).with_name("aot_harness.cc")
CLASS = "Attributions"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "input", "output"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--examples", default="2")
    parser.add_argument("--steps", default="50")
    flags = parser.parse_args()
    folder = pathlib.Path(flags.output).resolve()
    folder.mkdir()
    module = folder / "stablehlo"
    _run(sys.executable, "-m", "tools.export_stablehlo", f"--model={flags.model}",
         f"--output={module}", f"--examples={flags.examples}", f"--steps={flags.steps}",
         f"--input={flags.input}", f"--saved_model={folder / 'saved_model'}")
    _run(sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "aot_compile_cpu",
         "--dir", folder / "saved_model", "--tag_set", "serve", "--signature_def_key",
         "attributions", "--output_prefix", folder / "attributions", "--cpp_class", CLASS)
    program = _linked(folder)
    found = _answer(program, folder, module)
    share = run_stablehlo.difference(found, run_stablehlo.example(module, "output"))
    print(f"{program}: largest difference to TensorFlow: {share:.2g} of the largest attribution")
    return int(not share <= run_stablehlo.TOLERANCE)


def _linked(folder):
    """The program: generated objects, the harness, and TensorFlow's runtime for such functions."""
    import tensorflow as tf
    library = pathlib.Path(tf.sysconfig.get_lib())
    runtime = library / "xla_aot_runtime_src"
    source = runtime / "tensorflow" / "compiler" / "tf2xla" / "xla_compiled_cpu_function.cc"
    program = folder / "attributions"
    shared = [next(library.glob(f"lib{name}.so*")).name
              for name in ("tensorflow_cc", "tensorflow_framework")]
    _run("g++", "-std=c++17", "-O1", "-w", f'-DHEADER="{folder / "attributions.h"}"',
         f"-I{tf.sysconfig.get_include()}", f"-I{runtime}", HARNESS, source,
         *sorted(folder.glob("*.o")), f"-L{library}", *(f"-l:{name}" for name in shared),
         f"-Wl,-rpath,{library}", "-o", program)
    return program


def _answer(program, folder, module):
    """{output: array} of the program for the example."""
    manifest = json.loads((module / "manifest.json").read_text())
    arrays = run_stablehlo.example(module, "input")
    (folder / "request").write_bytes(b"".join(arrays[entry["name"]].tobytes()
                                              for entry in manifest["inputs"]))
    _run(program, folder / "request", folder / "answer")
    wanted = run_stablehlo.example(module, "output")
    plain = {re.sub(r"\W", "_", key): key for key in wanted}
    header = (folder / "attributions.h").read_text()
    data, found = (folder / "answer").read_bytes(), {}
    for name in re.findall(r"const \w+\* result_fetch_(\w+)_data\(\) const", header):
        like = wanted[plain[name]]
        found[plain[name]] = np.frombuffer(data[:like.nbytes], like.dtype).reshape(like.shape)
        data = data[like.nbytes:]
    return found


def _run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                          env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    sys.exit(main())
