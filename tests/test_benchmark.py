"""The benchmark's own numbers: errors by closed forms, the reference by a plain loop, one run."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tools.benchmarks import (accuracy, measure, models, networks_tensorflow, prepare, process,
                              report, serving, settings, workplace)

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
EPSILON = np.finfo(np.float32).eps


def test_errors_of_a_linear_function():
    """F = w x from zeros: w * x is exact; a tenth more of it is wrong by a tenth, both ways."""
    random = np.random.default_rng(2)
    exact = random.uniform(0.5, 1, [3, 4])  # one sign: then both errors are the same share
    reference = {"attributions": exact, "start": np.zeros(3), "end": exact.sum(1)}
    right = accuracy.errors(exact, reference)
    np.testing.assert_allclose(right["completeness"], 0, atol=1e-15)
    np.testing.assert_array_equal(right["attribution"], 0)
    wrong = accuracy.errors(1.1 * exact, reference)
    np.testing.assert_allclose(wrong["completeness"], 0.1)
    np.testing.assert_allclose(wrong["attribution"], 0.1)


def test_completeness_alone_misses_what_attribution_error_sees():
    """Two features swapped: the sum is right, the attributions are not. |3-1| + |1-3| of 4."""
    reference = {"attributions": np.array([[3.0, 1.0]]), "start": np.zeros(1),
                 "end": np.array([4.0])}
    found = accuracy.errors([[1.0, 3.0]], reference)
    assert found["completeness"] == [0] and found["attribution"] == [1]


def test_equal_ends_have_a_floor():
    """f(x) = f(x') = 2: an error of 0.0002 counts against a ten-thousandth of 2, not against 0."""
    reference = {"attributions": np.array([[1.0, -1.0]]), "start": np.array([2.0]),
                 "end": np.array([2.0])}
    found = accuracy.errors([[1.0001, -0.9999]], reference)
    np.testing.assert_allclose(found["completeness"], 0.0002 / (accuracy.FLOOR * 2))


def test_summaries():
    found = accuracy.summary(np.arange(101) / 100)
    assert found == {"median": 0.5, "p95": pytest.approx(0.95)}
    assert accuracy.disagreement([[1, 2]], np.array([1, 4.0])) == 0.5
    assert accuracy.disagreement([1, 2, 3], np.array([1, 2.0])) == float("inf")


@pytest.mark.parametrize("name", models.MODELS)
def test_reference_is_a_plain_loop_over_the_whole_network(name):
    """Pulled back from the frontier or not: the same integral, at the same few nodes."""
    model, nodes = models.MODELS[name], 3
    weights = {key: tf.constant(value) for key, value in model.first_weights().items()}
    inputs, labels = model.examples(model, np.random.default_rng(4), 2)
    labels = labels % model.classes
    found = prepare.referenced(model, weights, inputs, labels, nodes)
    alphas, shares = np.polynomial.legendre.leggauss(nodes)
    x = networks_tensorflow.lookup(model, weights, inputs)
    total, gross = np.zeros(x.shape), np.zeros(x.shape)
    for alpha, share in zip((alphas + 1) / 2, shares / 2):
        row = tf.cast(alpha, tf.float32) * x
        with tf.GradientTape() as tape:
            tape.watch(row)
            score = prepare.picked(model, networks_tensorflow.head(model, weights, row),
                                   tf.constant(labels))
        part = share * np.float64(tape.gradient(score, row)) * x.numpy()
        total, gross = total + part, gross + np.abs(part)
    # Sums of thousands of float32 products in another order; the largest part gives the scale.
    assert np.max(np.abs(found["attributions"] - total)) <= 4096 * EPSILON * gross.max()
    ends = prepare.picked(model, networks_tensorflow.head(model, weights, x), tf.constant(labels))
    np.testing.assert_allclose(found["end"], ends, rtol=64 * EPSILON)


class Fake:
    """A contender that answers by a table: seconds per choice, and scores."""

    name = "fake"

    def __init__(self, seconds=(), scores=None):
        self.seconds, self.scores = dict(seconds), scores

    def ask(self, do, **request):
        if do == "choices":
            return {"choices": [{"name": name} for name in self.seconds]}
        if do == "attribute":
            return {"seconds": self.seconds[request["choice"]["name"]]}
        if "save" in request:
            np.save(request["save"], self.scores)
        return {"facts": {}}


def test_the_fastest_way_is_taken():
    found = measure.best_choice(Fake({"slow": 3.0, "fast": 1.0, "hopeless": 99.0}), 4, 50)
    assert found == {"name": "fast"}


def test_another_model_is_not_timed(tmp_path):
    """Outputs that differ by 1e-5 of the largest are another model's, or lower precision."""
    place = workplace.place(tmp_path, "tiny")
    place.folder.mkdir()
    scores = np.array([0.25, 0.5])
    np.savez(place.folder / "examples.npz", inputs=np.zeros([2, 6]), scores=scores)
    assert measure._compared(place, Fake(scores=scores), 1) == {"parity": 0}
    with pytest.raises(process.Failed, match="outputs differ by 1.0e-05"):
        measure._compared(place, Fake(scores=scores + [0, 5e-6]), 1)


def test_a_contender_that_ends_says_so(tmp_path):
    module = ["tools.benchmarks.models"]  # serves nothing
    with process.Contender("gone", sys.executable, module, 1, tmp_path / "log", 60) as gone:
        with pytest.raises(process.Failed, match="ended without an answer"):
            gone.ask("predict", batch=1)


def test_nothing_is_left_of_the_model_before(tmp_path):
    """A contender may cache compiled functions: each model gets a new one."""
    class Counted:
        def load(self, place, threads):
            self.loaded = [*getattr(self, "loaded", []), place.model.name]

        def facts(self):
            return self.loaded

    desk = serving._Desk(Counted)
    for name in ("tiny", "gru"):
        place = workplace.place(tmp_path, name)
        place.folder.mkdir()
        np.savez(place.folder / "examples.npz", inputs=np.zeros(1))
        assert desk.on_load(str(tmp_path), name, 1) == {"facts": [name]}


def test_a_run_of_some_models_keeps_the_rows_of_others():
    def results(**times):
        rows = [{"model": name, "threads": 1, "batch": 1, "contender": "default", "ms": ms}
                for name, ms in times.items()]
        return {"rows": rows, "memory": [], "real": [], "training": {}, "machine": {}}

    found = report.merged(results(gru=1, ranker=2), results(ranker=3))
    assert {row["model"]: row["ms"] for row in found["rows"]} == {"gru": 1, "ranker": 3}


def test_what_this_version_lacks_has_a_reason():
    assert settings.SETTINGS["default"].arguments(7, {}) == {"steps": 7}
    with pytest.raises(settings.Lacking, match="has no ig_tf.nowhere"):
        settings._module("ig_tf.nowhere")


@pytest.fixture(name="run", scope="module")
def fixture_run(tmp_path_factory):
    """One run for the tiny model, without other tools: (results, page, said)."""
    folder = tmp_path_factory.mktemp("benchmark")
    page = folder / "page.md"
    done = subprocess.run(
        [sys.executable, "-m", "tools.benchmark", f"--work_dir={folder / 'work'}",
         f"--page={page}", "--models=tiny", "--settings=default", "--threads=1", "--batches=1,4",
         "--nodes=20", "--repeats=5", "--examples=8"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "work" / "results.json").read_text())
    return results, page.read_text(), done.stdout


def test_rows_of_a_run(run):
    results, _, _ = run
    assert [(row["contender"], row["batch"]) for row in results["rows"]] == [
        ("default", 1), ("limit", 1), ("default", 4), ("limit", 4)]
    for row in results["rows"]:
        assert row["facts"]["parity"] <= 1e-6 and len(row["ms_runs"]) == 5
        assert row["ms_per_example"] == np.median(row["ms_runs"]) > 0
        assert row["predictions"] == row["ms_per_example"] / row["prediction_ms"]
    assert not results["lacking"]


def test_errors_of_a_run(run):
    """The limit is other code at the same nodes: its errors are ours. Few nodes cost accuracy."""
    results, _, _ = run
    ours, limit = ({key: row[key] for key in ("completeness_error", "attribution_error")}
                   for row in results["rows"][:2])
    for kind, found in ours.items():
        assert found == pytest.approx(limit[kind], abs=1e-4)
        assert 1e-6 < found["median"] <= found["p95"] < 0.5


def test_ratios_are_times_of_others_over_ours():
    """3 ms against 2 ms and 0.5 ms: 1.50 and 6.00 times longer."""
    times = {"default": 2.0, "calibrated": 0.5, "captum": 3.0}
    error = {"median": 0, "p95": 0}
    rows = [{"model": "ranker", "threads": 1, "batch": 64, "contender": name,
             "ms_per_example": ms, "predictions": 1, "choice": "", "completeness_error": error,
             "attribution_error": error} for name, ms in times.items()]
    [_, (heading, columns, lines)] = report.tables({"rows": rows})
    assert heading == "times longer than ours" and len(columns) == 6
    assert lines == [("ranker", "1", "64", "captum", "1.50", "6.00")]


def test_page_of_a_run(run):
    """All rows are there; nothing of this machine but its kind."""
    results, page, said = run
    assert page.count("| ig_tf, as it comes |") == 2 and "| 1.00 |" in page
    assert "ig_tf, as it comes" in said and "times the limit" in page
    assert "--work_dir=..." in page and "/work" not in page and "/tmp" not in page
    assert results["machine"]["cores"] and report.number(1234.5) == "1234"
