"""Attributions written by one TensorFlow and read by others: a matrix of the largest differences.

  python -m tools.version_matrix --pythons=ENV_2_16/bin/python,ENV_2_21/bin/python --work_dir=DIR

Each Python instruments the models of saved_models/, and one that its TensorFlow saves itself (with
a loop, plain and for XLA), and keeps its answers; each then reads what all have written. Status 1
where one cannot be read or a difference is above 1e-5 of the largest attribution.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

REPO = pathlib.Path(__file__).resolve().parent.parent
STEPS, ROWS, TOLERANCE = 12, 4, 1e-5
MODELS = {"diabetes_columns": "examples.csv", "review_tokens": "examples.jsonl",
          "digits_cnn": "examples.npz"}
OWN = {"loop": "cpu", "loop_xla": "accelerator"}  # {name: runtime profile}


def write(folder):
    """Instruments all models into a folder, with this Python's TensorFlow."""
    import tensorflow as tf
    import ig_tf
    for name in MODELS:
        model = ig_tf.load(REPO / "saved_models" / name)
        ig_tf.save(ig_tf.instrument(model, steps=STEPS), folder / name)
    _save_loop(folder / "source")
    for name, runtime in OWN.items():
        plan = ig_tf.instrument(ig_tf.load(folder / "source"), steps=STEPS, runtime=runtime)
        ig_tf.save(plan, folder / name)
    (folder / "version").write_text(tf.__version__)


def _save_loop(path):
    import tensorflow as tf
    module = tf.Module()
    module.w = tf.Variable(np.float32([[0.5, -1.0], [1.0, 0.25]]))

    def turn(index, state, x):
        return index + 1, tf.tanh(state @ module.w + x[:, index]), x

    @tf.function(input_signature=[tf.TensorSpec([None, 5, 2], tf.float32, name="x")])
    def serve(x):
        _, state, _ = tf.while_loop(lambda index, *_: index < 5, turn,
                                    (0, tf.zeros_like(x[:, 0]), x), maximum_iterations=5)
        return {"score": tf.reduce_sum(state, 1)}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})


def read(folder, answers):
    """Answers of all models of a folder, by this Python's TensorFlow."""
    from ig_tf.run import artifact, attribute
    answers.mkdir(parents=True)
    for name in [*MODELS, *OWN]:
        rows = np.random.default_rng(4).normal(size=[ROWS, 5, 2]).astype(np.float32)
        source = (REPO / "saved_models" / name / MODELS[name] if name in MODELS
                  else [{"x": row} for row in rows])
        loaded = artifact.load(folder / name)
        found = loaded.answer([values for _, values in attribute.some_records(loaded, source,
                                                                              ROWS)])
        np.savez(answers / name, **{key.replace("/", "|"): value for key, value in found.items()
                                    if value.dtype != object and key != "relative_error"})


def difference(first, second):
    """The largest difference of two files of answers, as a share of the largest attribution."""
    with np.load(first) as one, np.load(second) as other:
        if set(one.files) != set(other.files):
            return np.inf
        largest = max(np.abs(one[key]).max() for key in one.files
                      if key.startswith("attributions"))
        return max(np.abs(one[key] - other[key]).max(initial=0) for key in one.files) / largest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythons", help="with commas between")
    parser.add_argument("--work_dir", type=pathlib.Path, required=True)
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.write:
        return write(flags.work_dir / flags.write)
    if flags.read:
        return read(flags.work_dir / flags.read, flags.work_dir / f"{flags.read}_by"
                    / os.environ["READER"])
    pythons = flags.pythons.split(",")
    for number, python in enumerate(pythons):
        (flags.work_dir / str(number)).mkdir(parents=True)
        _run(python, flags.work_dir, f"--write={number}")
    return _matrix(pythons, flags.work_dir)


def _matrix(pythons, folder):
    versions = [(folder / str(number) / "version").read_text() for number in range(len(pythons))]
    status, found = 0, {}
    for writer, version in enumerate(versions):
        for reader, python in enumerate(pythons):
            _run(python, folder, f"--read={writer}", READER=str(reader))
        for reader, other in enumerate(versions):
            own, its = (folder / f"{writer}_by" / str(one) for one in (writer, reader))
            shares = {name: float(difference(own / f"{name}.npz", its / f"{name}.npz"))
                      for name in [*MODELS, *OWN]}
            worst = max(shares, key=shares.get)
            status |= not shares[worst] <= TOLERANCE
            print(f"written by {version:<10} read by {other:<10} largest difference "
                  f"{shares[worst]:.2g} ({worst})", flush=True)
            found[f"{version} read by {other}"] = shares
    (folder / "matrix.json").write_text(json.dumps(found, indent=1))
    return int(status)


def _run(python, folder, what, **environment):
    done = subprocess.run(
        [python, "-m", "tools.version_matrix", f"--work_dir={folder.resolve()}", what],
        capture_output=True, text=True, check=False, cwd=REPO, timeout=900,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "",
             "PYTHONPATH": str(REPO), **environment})
    if done.returncode:
        sys.exit(f"{python} {what} ended with {done.returncode}:\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    sys.exit(main())
