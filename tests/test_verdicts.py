"""The checks of `check`: each planted fault is caught by its verdict, and a sound model passes."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf import api, baseline_candidates, checking
from ig_tf.errors import GraphError, OutputError
from ig_tf.ig import look as looking
from ig_tf.ig import random_weights
from ig_tf.points import unit_norm
from ig_tf.run import checks, looks, verdicts
from tests import builders

RNG = np.random.default_rng(5)
W1, W2 = RNG.normal(size=(6, 8)) / 2, RNG.normal(size=(8, 3)) / 2
HALF = RNG.normal(size=(3, 6))
RECORDS = [{"x": row.tolist()} for row in np.concatenate([HALF, -0.9 * HALF])]  # middling: zero


def network(x, w1, w2):
    return {"probabilities": tf.nn.softmax(tf.tanh(x @ w1) @ w2)}


def build(folder, function=network, width=6, variables=None, **choices):
    return builders.build(folder, function, {"x": builders.spec([None, width])}, variables,
                          **choices)


def by_name(found):
    return {one.name: one for one in found.verdicts}


def nothing_else(monkeypatch, rules=()):
    """Other settings are tried elsewhere (test_check); they take most of the time."""
    monkeypatch.setattr(checking, "_OTHER_RULES", rules)
    monkeypatch.setattr(checking, "_NOISE", ())


def digests(folder):
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()}


def test_a_sound_model_passes_everything(tmp_path):
    """A smooth, undecided network: no warning, with all that can be asked; nothing is touched."""
    built = build(tmp_path, variables={"w1": W1, "w2": W2})
    before = digests(tmp_path)
    found = ig_tf.check(built.path, RECORDS, also=("sanity", "baselines"))
    verdict = by_name(found)
    assert list(verdict) == [item.name for item in verdicts.TABLE]
    not_asked = verdict.pop("attributions_file")
    assert not_asked.verdict == "not applicable" and "--attributions" in not_asked.text
    assert {name: one.verdict for name, one in verdict.items()} == dict.fromkeys(verdict, "pass")
    assert found.passed and digests(tmp_path) == before
    assert verdict["baseline_entropy"].value == pytest.approx(1.0)  # tanh(0) = 0: all alike
    assert verdict["baseline_score"].value == pytest.approx(1 / 3)
    assert found.baselines[0].name == "zeros" and found.baselines[0].flag == "--baseline=zeros"
    assert {one.name for one in found.baselines} == {"zeros", "mean", "median", "noise"}
    said = checks.text(found)
    assert checks.QUESTION in said and "changes" not in not_asked.text
    assert json.loads(json.dumps(dataclasses.asdict(found)))["verdicts"][0]["verdict"] == "pass"


def test_what_takes_longer_is_not_asked_for_by_itself(tmp_path):
    found = by_name(ig_tf.check(build(tmp_path, variables={"w1": W1, "w2": W2}).path, RECORDS))
    for name in ("baseline_agreement", "random_weights"):
        assert found[name].verdict == "not applicable" and "--sanity" in found[name].text


def test_a_rule_that_is_too_coarse_is_caught(tmp_path, monkeypatch):
    """One node at x of a fifth power: five times what it should be."""
    nothing_else(monkeypatch)
    path = build(tmp_path, lambda x: tf.reduce_sum(x ** 5, 1), rule="right", steps=1).path
    found = ig_tf.check(path, RECORDS[:2], max_steps=64)
    verdict = by_name(found)["completeness"]
    assert verdict.verdict == "fail" and not found.passed
    assert verdict.value == pytest.approx(4.0) and verdict.advice


def test_a_saturated_score_is_caught_and_the_pilot_offered(tmp_path, monkeypatch):
    """All of F happens within a hundredth of the path, in its middle."""
    nothing_else(monkeypatch, ("pilot",))

    def jump(x):
        return tf.sigmoid(600 * (tf.reduce_sum(x, 1) - 0.61))

    found = ig_tf.check(build(tmp_path, jump, 2, steps=16).path, [{"x": [0.5, 0.5]}], max_steps=32)
    verdict = by_name(found)["saturation"]
    assert verdict.verdict == "warn" and verdict.value < verdicts.POINTWISE
    assert "--target=" in verdict.advice and "--rule=pilot" in verdict.advice
    works = [trial.flags for trial in found.trials if trial.works(found.tolerance)]
    assert "--rule=pilot --steps=64" in works


def test_dropout_left_on_is_caught(tmp_path, monkeypatch):
    """Refused when a model is instrumented; here the refusal is planted with a fault."""
    def dropped(x):
        return tf.reduce_sum(tf.tanh(x * tf.cast(tf.random.uniform([1, 6]) > 0.5, x.dtype)), 1)

    with pytest.raises(GraphError):
        build(tmp_path / "refused", dropped)
    monkeypatch.setattr(api, "_refuse_random", lambda work, goal: None)
    found = ig_tf.check(build(tmp_path, dropped).path, RECORDS)
    verdict = by_name(found)
    assert verdict["determinism"].verdict == "fail" and not found.passed
    assert verdict["determinism"].value > 1e-3 and "dropout" in verdict["determinism"].advice
    assert "determinism" in verdict["batch_of_one"].advice


def test_weights_that_do_not_matter_are_caught(tmp_path):
    """A score that is the input's own: with other weights the attributions stay."""
    def own(x, w1, w2):
        return tf.reduce_sum(x ** 3, 1) + 1e-6 * tf.reduce_sum(tf.tanh(x @ w1) @ w2, 1)

    path = build(tmp_path, own, variables={"w1": W1, "w2": W2}).path
    verdict = by_name(ig_tf.check(path, RECORDS, also=("sanity",)))["random_weights"]
    assert verdict.verdict == "fail" and verdict.value > 0.99


@pytest.mark.parametrize("rank, tables, expected", [
    (0.1, [], "pass"), (0.8, [], "warn"), (0.99, [], "fail"), (0.99, ["words"], "warn"),
    (0.1, ["words"], "pass")])
def test_tables_that_stay_are_no_fault(rank, tables, expected):
    one = {"rank": rank, "cosine": rank}
    found = verdict_of("random_weights", random={
        "last": one, "all": one, "tables": tables, "inside": bool(tables),
        "count": {"last": 1, "all": 2}})
    assert found.verdict == expected
    assert ("Tables" in found.advice) == (expected == "warn" and bool(tables))
    assert ("loops read" in found.text) == bool(tables)


def test_without_weights_nothing_is_randomised(tmp_path):
    path = build(tmp_path, lambda x: tf.reduce_sum(x ** 3, 1)).path
    verdict = by_name(ig_tf.check(path, RECORDS[:2], also=("sanity",)))["random_weights"]
    assert verdict.verdict == "not applicable" and "no matrix" in verdict.text


@pytest.mark.parametrize("kept_as", ["variables", "constants"])
def test_weights_from_the_target_back(tmp_path, kept_as):
    """The last layer first; variables are shared with the copy, small constants stand in it."""
    given = {"w1": W1, "w2": W2} if kept_as == "variables" else None
    function = network if given else lambda x: network(x, tf.constant(W1), tf.constant(W2))
    plan = build(tmp_path, function, variables=given, target="probabilities:0").plan
    names = random_weights.weights(plan.recipe)
    shapes = [plan.recipe.work.tensor(name).shape.as_list() for name in names]
    assert shapes == [[8, 3], [6, 8]]
    assert random_weights.nearest(names, 1 / 3) == names[:1]
    x = np.array([record["x"] for record in RECORDS])
    own = taken_apart(tmp_path / "own", plan, x)
    other = taken_apart(tmp_path / "other", plan, x, random_weights.replace(names[:1]))
    np.testing.assert_allclose(own["prediction"], other["prediction"], rtol=1e-12)  # the model's
    assert np.abs(own["integral/x"] - other["integral/x"]).max() > 1e-2
    # Only the last layer changed: a gradient is still W1 (1 - tanh^2) times something of 8 numbers.
    slopes = (1 - np.tanh(x @ W1) ** 2)[0] * W1
    assert np.linalg.lstsq(slopes, other["at_x/x"][0], rcond=None)[0].shape == (8,)
    logits = np.tanh(x @ W1)
    assert np.isfinite(logits).all() and np.ptp(other["scores"].sum(1)) < 1e-9  # still a softmax


def test_weights_that_a_loop_reads_itself(tmp_path):
    """They are not found; that there are some is."""
    def looped(x, w1, w2):
        cell = tf.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, tf.tanh(h @ w1.read_value())),
                             (0, x))[1]
        return tf.reduce_sum(tf.tanh(cell) @ w2, 1)

    square = RNG.normal(size=(6, 6)) / 3
    recipe = build(tmp_path, looped, variables={"w1": square, "w2": W1}).plan.recipe
    shapes = [recipe.work.tensor(name).shape.as_list() for name in random_weights.weights(recipe)]
    assert shapes == [[6, 8]] and random_weights.read_inside(recipe)
    plain = build(tmp_path / "plain", variables={"w1": W1, "w2": W2}).plan.recipe
    assert not random_weights.read_inside(plain)


def taken_apart(path, plan, x, replaced=None):
    ig_tf.save(plan, path, build=looking.taken_apart((0.0, 0.5, 1.0), replaced))
    return builders.open_v2(path)(x=x)


COUPLED = {"rows": lambda x: tf.reduce_sum(x ** 3, 1),
           "alone": lambda x: tf.reduce_sum(x ** 3, 1) + 0 * tf.reduce_mean(tf.math.top_k(
               tf.transpose(x), 1)[0])}


@pytest.mark.parametrize("mode", COUPLED)
def test_a_path_taken_apart(tmp_path, mode):
    """F = sum x^3 from 1: the average of 3 z^2 is x^2 + x + 1, the gradient at x is 3 x^2."""
    plan = build(tmp_path, COUPLED[mode], 2, baseline=1.0, steps=4).plan
    assert (plan.recipe.prefix is not None) == (mode == "alone")
    x = np.array([[2.0, -3.0], [0.5, 1.0]])
    found = taken_apart(tmp_path / "apart", plan, x)
    np.testing.assert_allclose(found["integral/x"], x ** 2 + x + 1, rtol=1e-12)
    np.testing.assert_allclose(found["at_x/x"], 3 * x ** 2, rtol=1e-12)
    np.testing.assert_allclose(found["start/x"], np.ones_like(x))
    np.testing.assert_allclose(found["path"], np.stack([
        (1 + alpha * (x - 1)) ** 3 for alpha in (0.0, 0.5, 1.0)]).sum(-1).T, rtol=1e-12)
    one = looks.of({**found, "target_index": np.array([-1, -1])}, 0, "a", [("x", "dense")])
    np.testing.assert_allclose(one.features(), x[0] ** 3 - 1, rtol=1e-12)
    assert one.completeness_error() < 1e-12


def words(ids, table, scaled=lambda vectors: vectors):
    return tf.reduce_sum(tf.tanh(scaled(tf.nn.embedding_lookup(table, ids))), [1, 2])


def l2(vectors):
    return tf.nn.l2_normalize(vectors, -1)


LOOKUPS = {
    "l2_normalize": (lambda ids, table: words(ids, table, l2), True),
    "divided by tf.norm": (lambda ids, table: words(
        ids, table, lambda v: v / tf.norm(v, axis=-1, keepdims=True)), True),
    "max_norm": (lambda ids, table: tf.reduce_sum(tf.tanh(tf.nn.embedding_lookup(
        table, ids, max_norm=1.0)), [1, 2]), True),
    "plain": (words, False),
    "scaled by a number": (lambda ids, table: words(ids, table, lambda v: v * 3.0), False),
    "squared": (lambda ids, table: words(ids, table, tf.square), False),
    "times its own sum": (lambda ids, table: words(
        ids, table, lambda v: v * tf.reduce_sum(v, -1, keepdims=True)), False),
    "layer normalisation": (lambda ids, table: words(
        ids, table, lambda v: (v - tf.reduce_mean(v, -1, keepdims=True)) * 0.5), False),
}
TABLE = RNG.normal(size=(7, 4))


@pytest.mark.parametrize("name", LOOKUPS)
def test_vectors_that_are_scaled_by_their_own_norm(tmp_path, name):
    function, expected = LOOKUPS[name]
    path = builders.save_tf1(tmp_path / "model", function, {"ids": builders.spec(
        [None, 3], tf.int64)}, {"table": TABLE})
    located = ig_tf.locate(ig_tf.load(path))
    point, = located.cut.points
    found = unit_norm.scaled_by_own_norm(located.work.tensor(point.tensor))
    assert (found is not None) == expected


def test_unit_vectors_ask_for_the_pad_token(tmp_path, monkeypatch):
    """The pad token, found in the data, is no zero and a baseline of its own."""
    nothing_else(monkeypatch)
    path = builders.save_tf2(tmp_path / "model", LOOKUPS["l2_normalize"][0], {
        "ids": builders.spec([None, 5], tf.int64)}, {"table": TABLE})
    built = builders.explain(path, tmp_path / "out")
    records = [{"ids": [3, 4, 5, 0, 0]}, {"ids": [6, 2, 0, 0, 0]}, {"ids": [1, 2, 3, 4, 0]}]
    found = ig_tf.check(built.path, records, max_steps=50, also=("baselines",),
                        baselines_to=tmp_path / "to")
    verdict = by_name(found)["unit_norm"]
    assert verdict.verdict == "warn" and "pad token" in verdict.advice
    pad = next(one for one in found.baselines if one.name == "pad token")
    file = pad.flag.removeprefix("--baseline=")
    point, = ig_tf.locate(ig_tf.load(path)).cut.points
    with np.load(file) as data:
        start = data[point.name]
    assert min(np.abs(start - TABLE[0]).max(), np.abs(
        start - TABLE[0] / np.linalg.norm(TABLE[0])).max()) < 1e-12
    again = ig_tf.instrument(ig_tf.load(path), baseline=file)
    assert np.any(again.recipe.baseline.values[point.name])


def one_look(start, end, baseline_scores=(), scores=(), index=-1, kind="dense", x=None,
             integral=None):
    """A `Look` with F going straight from start to end."""
    path = start + (end - start) * np.array(checks.ALPHAS)
    x = np.ones(2) if x is None else np.asarray(x, np.float64)
    integral = np.full(x.shape, (end - start) / x.size) if integral is None else integral
    point = looks.PointLook("x", kind, x, np.zeros_like(x), integral, integral)
    return looks.Look("a", path, np.array(scores), np.array(baseline_scores), index, (point,))


def verdict_of(name, **measured):
    return verdicts.judged(measured, names=[name])[0]


BASELINES = {  # (looks, whether a sigmoid or softmax made it): verdict, case
    "zero": ([one_look(0.01, 5)], False, "pass", "near zero"),
    "ordinary": ([one_look(3, 2), one_look(3, 3.1), one_look(3, 9)], False, "pass", "ordinary"),
    "far": ([one_look(-70, 2), one_look(-70, 3)], False, "warn", "far from"),
    "undecided": ([one_look(0.3, 0.9, [0.3, 0.4, 0.3], [0.9, 0, 0.1], 0)], True, "pass",
                  "near neutral"),
    "another class": ([one_look(0.02, 0.9, [0.02, 0.98], [0.9, 0.1], 0)], True, "pass",
                      "default is class 1"),
    "the class itself": ([one_look(0.8, 0.9, [0.2, 0.8], [0.1, 0.9], 1)], True, "warn",
                         "the default class"),
    "a part of it": ([one_look(0.2, 0.9, [0.2, 0.79, 0.01], [0.9, 0.1, 0], 0)], True, "pass",
                     "near neutral"),
    "a single probability": ([one_look(0.9, 0.2, [0.9], [0.2])], True, "warn",
                             "the default class"),
    "labels, each by itself": ([one_look(0.01, 0.9, [0.01, 0.9, 0.8], [0.9] * 3, 0)], True, "pass",
                               "near zero"),
}


@pytest.mark.parametrize("name", BASELINES)
def test_cases_of_the_baselines_score(name):
    looked, squashed, expected, case = BASELINES[name]
    found = verdict_of("baseline_score", looks=looked, squashed=squashed)
    assert found.verdict == expected and case in found.text
    assert bool(found.advice) == (expected == "warn")


def test_examples_without_a_score_are_left_out():
    """NaN was sent: the others decide."""
    broken = one_look(np.nan, np.nan, x=[np.nan, 1.0])
    found = {one.name: one for one in verdicts.judged(
        {"looks": [broken, one_look(0.01, 5)], "squashed": False, "logits": None})}
    assert found["baseline_score"].verdict == "pass" and found["baseline_score"].value == 0.01
    assert found["saturation"].verdict == "pass"
    alone = {one.name: one.verdict for one in verdicts.judged(
        {"looks": [broken], "squashed": False, "logits": None})}
    assert alone["baseline_score"] == alone["saturation"] == "not applicable"


@pytest.mark.parametrize("scores, squashed, expected, said", [
    ([0.31, 0.69], True, "pass", "69%"), ([0.29, 0.71], True, "warn", "third class"),
    ([0.72], True, "warn", "class 1"), ([0.72], False, "not applicable", "no distribution"),
    ([0.6, 0.2, 0.1, 0.1], True, "pass", "class 0 of 4"),
    ([0.97, 0.01, 0.01, 0.01], True, "warn", "class 0"), ([3.0, 4.0], True, "not applicable", "")])
def test_a_baseline_that_is_confident_in_a_class(scores, squashed, expected, said):
    found = verdict_of("baseline_entropy", looks=[one_look(0, 1, scores)], squashed=squashed)
    assert found.verdict == expected and said in found.text + found.advice


def test_black_pixels_that_the_model_looks_at():
    """Half of the pixels are black; it is a fault only where the model would care for them."""
    picture = np.zeros((4, 4, 3))
    picture[:2] = 0.5
    cares, ignores = np.ones_like(picture), np.where(picture, 1.0, 0.0)
    found = verdict_of("equal_features", looks=[one_look(0, 1, kind="image", x=picture,
                                                         integral=cares)])
    assert found.verdict == "warn" and found.value == 0.5 and "black" in found.advice
    found = verdict_of("equal_features", looks=[one_look(0, 1, kind="image", x=picture,
                                                         integral=ignores)])
    assert found.verdict == "pass" and found.value == 0.5
    ids = np.zeros((4, 3))
    ids[:3] = 1
    found = verdict_of("equal_features", looks=[one_look(0, 1, kind="tokens", x=ids)])
    assert found.verdict == "pass" and found.value == 0.25


@pytest.mark.parametrize("share, expected", [(0.0, "pass"), (1e-7, "warn"), (1e-2, "fail")])
def test_bits_of_two_requests(share, expected):
    assert verdict_of("determinism", twice=share, limit=1e-5).verdict == expected


def test_baselines_that_disagree():
    one = one_look(0, 1, x=[1, 2, 3, 4.0], integral=np.array([4.0, 3, 2, 1]) * [1, 1, 3, 9])
    other = one_look(0, 1, x=[1, 2, 3, 4.0], integral=np.array([9.0, 2, 1, 0.1]))
    same = verdicts.agreement({"zeros": [one], "mean": [one]})
    assert same["least"] == pytest.approx(1.0)
    assert verdict_of("baseline_agreement", agreement=same).verdict == "pass"
    apart = verdicts.agreement({"zeros": [one], "pad": [one], "mean": [other]})
    assert apart["least"] < 0 and apart["pair"] == ("zeros", "mean")
    assert verdict_of("baseline_agreement", agreement=apart).verdict == "warn"
    alone = verdicts.agreement({"zeros": [one]})
    assert verdict_of("baseline_agreement", agreement=alone).verdict == "not applicable"


def test_rank_correlation_with_ties():
    """Against the definition: Pearson's of mean ranks."""
    assert looks.rank_correlation([1, 2, 2, 4], [1, 2, 3, 4]) == pytest.approx(
        np.corrcoef([1, 2.5, 2.5, 4], [1, 2, 3, 4])[0, 1])
    assert looks.rank_correlation([1, 2, 3], [30, 20, 10]) == pytest.approx(-1)
    assert looks.rank_correlation([1, 1, 1], [1, 2, 3]) is None
    assert looks.rank_correlation([1, 2], [1, 2]) is None


def test_the_pad_token_is_what_rows_are_filled_with():
    vectors = np.arange(24.0).reshape(6, 4)
    texts = [("a", "b", "#", "#"), ("b", "c", "d", "#"), ("d", "#", "#", "#")]
    number = {"a": 0, "b": 1, "c": 2, "d": 3, "#": 5}
    values = [vectors[[number[word] for word in text]] for text in texts]
    found = {one.name: one for one in baseline_candidates.candidates(
        [baseline_candidates.Seen("w", "tokens", values, texts)])}
    np.testing.assert_array_equal(found["pad token"].values["w"], vectors[5])
    np.testing.assert_allclose(found["mean"].values["w"], np.concatenate(values).mean(0))
    assert "noise" not in found and "white" not in found
    unpadded = baseline_candidates.Seen("w", "tokens", values[:1], [("a", "b", "c", "d")])
    assert {one.name for one in baseline_candidates.candidates([unpadded])} == {"zeros", "mean"}


def test_candidates_of_numbers_are_flags():
    seen = baseline_candidates.Seen("age", "dense", [np.array([40.0]), np.array([50.0])])
    found = {one.name: one for one in baseline_candidates.candidates([seen])}
    assert found["mean"].flag() == "--baseline=age=45" and found["zeros"].flag().endswith("zeros")


class Refusing:
    """A `Rerun` whose plans are refused in one way."""

    def __init__(self, error):
        self.error = error
        self.said = []
        self.loaded = type("Loaded", (), {"metadata": {
            "rule": {"steps": 4, "name": "graded_2"}, "points": []}})

    def located(self):
        raise AssertionError("not needed")

    def plan(self, **changes):
        raise self.error

    def run(self, plan, wanted):
        raise AssertionError("not reached")

    def say(self, text):
        self.said.append(text)


def test_only_what_a_model_refuses_is_passed_over(monkeypatch):
    """A full disk is no property of a candidate."""
    monkeypatch.setattr(checking, "_candidates", lambda rerun: [("--rule=x", {"steps": 4})])
    refusing = Refusing(GraphError("no such path"))
    assert checking._tried(refusing, [0], 0.05) == []
    assert any("no such path" in sentence for sentence in refusing.said)
    with pytest.raises(OutputError):
        checking._tried(Refusing(OutputError("disk full")), [0], 0.05)


def test_where_all_words_have_one_length():
    """A constraint of training leaves no op behind, only vectors of one length."""
    vectors = RNG.normal(size=(5, 4))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert looks.one_length([one_look(0, 1, kind="tokens", x=unit)], "x")
    assert not looks.one_length([one_look(0, 1, kind="tokens", x=vectors)], "x")
    assert not looks.one_length([one_look(0, 1, kind="tokens", x=unit[[0, 0, 1]])], "x")


FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures" / "lookups_1_15"


@pytest.mark.parametrize("name", [
    "lookup_max_norm-ref", "pooled_max_norm-resource", "safe_max_norm-ref", "pooled_mean-ref",
    "safe_mean-resource", "weighted_sqrtn-ref", "lookup_unique-ref"])
def test_max_norm_as_1_15_wrote_it(name):
    """Also behind distinct ids and before pooling; weights and counts are no norms."""
    located = ig_tf.locate(ig_tf.load(FIXTURES / name))
    point, = located.cut.points
    found = unit_norm.scaled_by_own_norm(located.work.tensor(point.tensor))
    assert (found is not None) == ("max_norm" in name)


def test_several_rows_of_the_target_for_each_example(tmp_path):
    """Each is a path of its own: what is asked of one path is not, and that is said."""
    def folded(x):
        return tf.nn.softmax(tf.tanh(tf.reshape(x, [-1, 4])) @ W2[:4])

    path = builders.build(tmp_path, folded, {"x": builders.spec([None, None, 4])},
                          target="score:0").path
    found = ig_tf.check(path, [{"x": RNG.normal(size=(3, 4)).tolist()} for _ in range(2)])
    verdict = by_name(found)
    assert found.passed and verdict["completeness"].verdict == "pass"
    assert verdict["scalar_target"].value == 3 and (
        "several numbers of an example" in verdict["saturation"].text)
    assert verdict["saturation"].verdict == "not applicable"
    assert verdict["determinism"].verdict == "pass"


def test_a_baseline_that_explains_nothing_comes_last():
    useful = checks.Ranked("zeros", "", "", 0.3, verdicts.judged({}))
    failing = verdicts.Verdict("completeness", "fail", 0.3, "")
    useful = dataclasses.replace(useful, verdicts=(failing,))
    nothing = checks.Ranked("mean", "", "", None, ())
    assert sorted([nothing, useful], key=lambda one: one.order()) == [useful, nothing]


def test_the_examples_that_fail_are_looked_at_and_eight_in_all():
    results = [looks.Look(str(i), None, None, None, -1, ()) for i in range(12)]
    found = checking._examples(None, results, [11, 2], 0.05)
    assert found.wanted == [0, 1, 2, 3, 4, 5, 6, 11] and found.names[-1] == "11"


def test_a_baseline_that_would_do_is_named_with_its_question():
    good = checks.Ranked("mean", "against the average?", "", 0.01, (
        verdicts.Verdict("completeness", "pass", 0.01, ""),))
    row = checks.Row("a", "capped", 1.0, 0.0, 0.5)
    said = checks.advice([row], (), 0.05, 50, (good,))
    assert any("'mean'" in one and "against the average?" in one for one in said)
    assert not checks.advice([dataclasses.replace(row, status="converged")], (), 0.05, 50, (good,))


def test_input_that_can_be_read_once(tmp_path):
    path = build(tmp_path, lambda x: tf.reduce_sum(x ** 3, 1)).path
    found = ig_tf.check(path, (record for record in RECORDS), limit=3)
    assert len(found.rows) == 3 and found.passed
    with pytest.raises(ValueError, match="sanity, baselines"):
        ig_tf.check(path, RECORDS, also=("everything",))
