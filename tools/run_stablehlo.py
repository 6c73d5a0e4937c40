"""Runs what tools/export_stablehlo.py wrote, by jax alone: no TensorFlow, nothing of ig_tf.

  python run_stablehlo.py OUT [--input=ROWS.npz] [--output=ANSWERS.npz] [--repeat=20]

Without --input the example in the folder is run and compared with what TensorFlow answered: status
1 if the attributions differ by more than 1e-4 of the largest. It runs on the first device that jax
finds: `pip install jax` for CPUs, `pip install "jax[cuda12]"` for GPUs. --repeat says how many
examples per second.
"""

import argparse
import json
import pathlib
import sys
import time

import numpy as np

TOLERANCE = 1e-4  # of the largest attribution: other kernels, other order of sums


def load(folder):
    """A function {input: array} -> {output: array} of an exported folder.

    Returns:
      (the function, the manifest, the device that it runs on).
    """
    import jax
    jax.config.update("jax_enable_x64", True)  # int64 ids stay what they are
    from jax._src.lib import xla_client  # jax has no public way to run a module of another maker
    folder = pathlib.Path(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    device = jax.devices()[0]
    executable = device.client.compile_and_load(
        (folder / "attributions.mlir").read_bytes(), xla_client.DeviceList((device,)),
        xla_client.CompileOptions())
    with np.load(folder / "weights.npz") as archive:
        weights = [jax.device_put(archive[name], device) for name in manifest["weights"]]

    def run(arrays):
        given = []
        for entry in manifest["inputs"]:
            array = np.asarray(arrays[entry["name"]], entry["dtype"])
            if list(array.shape) != entry["shape"]:
                raise ValueError(f"{entry['name']} has the shape {list(array.shape)}; the module "
                                 f"takes {entry['shape']}")
            given.append(jax.device_put(array, device))
        found = executable.execute_sharded([*given, *weights])
        outputs = [shards[0] for shards in found.disassemble_into_single_device_arrays()]
        return {key: np.asarray(array) for key, array in zip(manifest["outputs"], outputs)}

    return run, manifest, device


def difference(found, wanted):
    """The largest difference of an attribution, as a share of the largest attribution."""
    keys = [key for key in wanted if key.startswith("attributions/")]
    largest = max(np.abs(wanted[key]).max(initial=0) for key in keys)
    return max(np.abs(found[key] - wanted[key]).max(initial=0) for key in keys) / largest


def example(folder, kind):
    """{name: array} of the example's inputs or outputs."""
    with np.load(pathlib.Path(folder) / "example.npz") as archive:
        return {name.partition("/")[2]: archive[name] for name in archive.files
                if name.startswith(kind + "/")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--input", help="an .npz with an array per input")
    parser.add_argument("--output", help="an .npz to write")
    parser.add_argument("--repeat", type=int, default=0, help="so often, for the time")
    flags = parser.parse_args()
    if not (flags.folder / "manifest.json").exists():
        parser.error(f"{flags.folder} has no manifest.json: it is not what export_stablehlo wrote")
    if not flags.input and not (flags.folder / "example.npz").exists():
        parser.error(f"{flags.folder} has no example (export with --input): name rows by --input")
    run, manifest, device = load(flags.folder)
    if flags.input:
        with np.load(flags.input) as archive:
            arrays = dict(archive)
    else:
        arrays = example(flags.folder, "input")
    found, status = run(arrays), 0
    print(f"ran on {device.device_kind} ({device.platform}): {', '.join(found)}")
    if flags.output:
        np.savez(flags.output, **found)
    if not flags.input:
        share = difference(found, example(flags.folder, "output"))
        status = int(not share <= TOLERANCE)
        print(f"largest difference to TensorFlow: {share:.2g} of the largest attribution")
    if flags.repeat:
        start = time.perf_counter()
        for _ in range(flags.repeat):
            run(arrays)
        seconds = (time.perf_counter() - start) / flags.repeat
        examples = manifest["inputs"][0]["shape"][0]
        print(f"{seconds * 1e3:.3g} ms per request of {examples}, {examples / seconds:.4g} "
              "examples per second")
    return status


if __name__ == "__main__":
    sys.exit(main())
