"""Real models from a folder of them: how many nodes, and how much time, an error takes.

  python -m tools.benchmarks.real ZOO WORK_DIR MODEL RULE THREADS

Prints one line of JSON: the rows of one model by one rule.
"""

import csv
import dataclasses
import json
import pathlib
import statistics
import sys
import time

import numpy as np

from tools.benchmarks import accuracy, process
from tools.benchmarks.process import Failed

REFERENCE_NODES = 2048
WANTED = 0.05  # attribution error
ROWS = 16      # of the reference at a time
REPEATS = 3


@dataclasses.dataclass(frozen=True)
class Real:
    """A model of the folder.

    Attributes:
      target: what is explained.
      inputs: callable(zoo) -> {signature input: array}.
      steps: numbers of nodes that are tried, until every example's error is WANTED.
    """

    target: str
    inputs: object
    steps: tuple


def _photos(zoo):
    from PIL import Image
    files = sorted((zoo / "nsfw_mobilenet").glob("*.jpg"))
    photos = [Image.open(file).convert("RGB").resize((224, 224)) for file in files]
    return {"input_1": np.stack([np.asarray(photo, np.float32) / 255 for photo in photos])}


CENSUS_NUMBERS = ("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
CENSUS_STRINGS = ("workclass", "education", "marital_status", "occupation", "relationship",
                  "race", "gender", "native_country")


def _census(zoo):
    with open(zoo / "census_wide_deep" / "rows.csv", encoding="utf-8", newline="") as file:
        rows = [row for _, row in zip(range(16), csv.DictReader(file))]
    fed = {name: np.array([float(row[name]) for row in rows], np.float32)
           for name in CENSUS_NUMBERS}
    fed.update({name: np.array([row[name].encode() for row in rows], object)
                for name in CENSUS_STRINGS})
    return fed


MODELS = {
    "nsfw_mobilenet": Real("output_0:top", _photos, (25, 50, 75, 100, 150, 200, 300, 400)),
    "census_wide_deep/raw": Real("probabilities:top", _census, (8, 16, 32, 50, 100, 200)),
}
RULES = ("gauss_legendre", "pilot")


def measured(zoo, work_dir, threads, results, say):
    """Adds the rows of every model that is there, and what is lacking, to the results."""
    for name in MODELS:
        if not (pathlib.Path(zoo) / name).is_dir():
            results["lacking"][name] = "not in the folder of real models"
            continue
        for rule in RULES:
            say(f"{name}, {rule}")
            try:
                rows = process.run(sys.executable, ["tools.benchmarks.real", zoo, work_dir, name,
                                                    rule, threads], threads,
                                   work_dir / "real.log")
            except Failed as error:
                results["lacking"][f"{name}, {rule}"] = str(error)
                say(f"  {error}")
                continue
            results["real"] += rows
            for row in rows:
                say(f"  {row['steps']} nodes: {row['ms_per_example']:.1f} ms per example, error "
                    f"{row['attribution_error']['median']:.3f}")


def rows_of(name, rule, zoo, work_dir):
    """Rows of one model by one rule, from few nodes up."""
    from ig_tf import api
    from ig_tf.run import artifact
    model, folder = MODELS[name], work_dir / "real" / name
    folder.mkdir(parents=True, exist_ok=True)
    inputs = model.inputs(zoo)
    located = api.locate(api.load(zoo / name), model.target)
    rows = []
    for steps in model.steps:
        _instrumented(api, located, folder / rule, steps, rule)
        loaded = artifact.load(folder / rule)
        reference = _reference(api, located, loaded, folder, inputs)
        answer = loaded.run(inputs)
        errors = accuracy.errors(_flat(answer), reference)
        count = len(next(iter(inputs.values())))
        seconds = _median_seconds(lambda: loaded.run(inputs))
        predicted = _median_seconds(lambda: _predict(loaded, inputs))
        rows.append({
            "model": name, "rule": rule, "steps": steps, "examples": count,
            "ms_per_example": 1000 * seconds / count, "predictions": seconds / predicted,
            **{f"{key}_error": {**accuracy.summary(value), "each": value.tolist()}
               for key, value in errors.items()}})
        if errors["attribution"].max() <= WANTED:
            break
    return rows


def _instrumented(api, located, output, steps, rule):
    api.save(api.instrument(located, steps=steps, rule=rule), output, link=True, overwrite=True)


def _flat(answer):
    """Attributions of all points, one row per example."""
    parts = [np.reshape(value, [len(value), -1]) for key, value in sorted(answer.items())
             if key.startswith("attributions/")]
    return np.concatenate(parts, 1)


def _predict(loaded, inputs):
    import tensorflow as tf
    served = loaded.owner.signatures[loaded.metadata["source"]["signature"]]
    given = {key: tf.constant(value.tolist() if value.dtype == object else value)
             for key, value in inputs.items()}
    return [value.numpy() for value in served(**given).values()]


def _median_seconds(work):
    """Of REPEATS runs after one that may compile."""
    seconds = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def _reference(api, located, loaded, folder, inputs):
    """By a loop of this program where the one input is what is attributed, else by the artifact
    itself at 2,048 nodes; kept in a file."""
    file = folder / "reference.npz"
    if not file.exists():
        arrays = list(inputs.values())
        if len(arrays) == 1 and arrays[0].dtype == np.float32:
            found = _looped(loaded, inputs)
        else:
            from ig_tf.run import artifact
            _instrumented(api, located, folder / "fine", REFERENCE_NODES, "gauss_legendre")
            answer = artifact.load(folder / "fine").run(inputs)
            found = {"attributions": _flat(answer), "start": answer["baseline_prediction"],
                     "end": answer["prediction"]}
        np.savez(file, **found)
    with np.load(file) as arrays:
        return {key: np.asarray(value, np.float64) for key, value in arrays.items()}


def _looped(loaded, inputs):
    """Integrated gradients of a model of one float input from zeros, by the original signature."""
    import tensorflow as tf
    served = loaded.owner.signatures[loaded.metadata["source"]["signature"]]
    [(key, values)] = inputs.items()
    alphas, shares = np.polynomial.legendre.leggauss(REFERENCE_NODES)
    alphas, shares = (alphas + 1) / 2, shares / 2

    @tf.function
    def slopes(x, index):
        [scores] = served(**{key: x}).values()
        return tf.gradients(scores[:, index], x)[0]

    found = {"attributions": [], "start": [], "end": []}
    for value in values:
        [ends] = served(**{key: tf.constant(np.stack([0 * value, value]))}).values()
        index, total = int(np.argmax(ends[1])), np.zeros(value.shape)
        for first in range(0, REFERENCE_NODES, ROWS):
            part = slice(first, first + ROWS)
            rows = np.float32(alphas[part])[:, None, None, None] * value
            slope = slopes(tf.constant(rows), tf.constant(index))
            total += np.tensordot(shares[part], np.float64(slope), 1)
        found["attributions"].append(np.ravel(total * value))
        found["start"].append(float(ends[0, index]))
        found["end"].append(float(ends[1, index]))
    return found


def main():
    import tensorflow as tf
    zoo, work_dir, name, rule, threads = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(json.dumps(rows_of(name, rule, pathlib.Path(zoo), pathlib.Path(work_dir))))


if __name__ == "__main__":
    main()
