"""Baselines: samples averaged in the graph, and points that start at what the model computes.

Each is compared with exports of single baselines of numbers, whose closed forms other tests have,
or with a loop in numpy. Several baselines change nothing but the order of sums, so only rounding is
left: 1e-12 in float64 and 1e-5 in float32, of numbers near 1.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
from builders import spec
from ig_tf import describe
from ig_tf.errors import BaselineError, RecordError
from ig_tf.ig import baselines
from ig_tf.ig.recipe import Mode
from ig_tf.rendering import report
from ig_tf.run import results
from ig_tf.starting import Records

v1 = tf.compat.v1
CUSTOM = "attributions_custom"
WEIGHTS = {"w": np.random.default_rng(1).normal(size=(3, 4)),
           "v": np.random.default_rng(2).normal(size=(4,))}
X = np.random.default_rng(3).normal(size=(5, 3))
STARTS = np.random.default_rng(4).normal(size=(3, 3))
SHARES = np.array([0.5, 0.25, 0.25])


def layered(x, w, v):
    """The affine frontier lies behind the product."""
    return tf.linalg.matvec(tf.tanh(x @ w), v)


def coupled(x, w, v):
    """Rows that are not proved to be examples: each runs alone."""
    return layered(x, w, v) + 0 * tf.reduce_sum(x)


MODES = {"rows": (layered, None, Mode.ROWS), "batch": (layered, 5, Mode.BATCH),
         "alone": (coupled, None, Mode.ALONE)}


def written(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def instrumented(model, output, signature="attributions", **choices):
    """(plan, function) of another export of a model."""
    plan = ig_tf.instrument(ig_tf.load(str(model)), **choices)
    ig_tf.save(plan, str(output))
    return plan, builders.open_v2(output, signature)


# Several baselines ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_several_are_averaged_with_their_spread(tmp_path, mode):
    """Means and deviations of exports with one baseline each; the sum is exact for the mean."""
    function, batch, expected = MODES[mode]
    builders.save_tf2(tmp_path / "m", function, {"x": spec([batch, 3])}, WEIGHTS)
    singles = [instrumented(tmp_path / "m", tmp_path / f"one{place}", baseline={"x": start},
                            steps=9)[1](x=X) for place, start in enumerate(STARTS)]
    rows = [{"x": start.tolist(), "share": 4 * share} for start, share in zip(STARTS, SHARES)]
    file = written(tmp_path / "starts.jsonl", rows)
    plan, run = instrumented(tmp_path / "m", tmp_path / "all", steps=9,
                             baseline=f"record:{file}:share")
    found = run(x=X)
    assert plan.recipe.mode is expected
    each = np.stack([one["attributions/x"] for one in singles])
    mean = np.einsum("s,sbi->bi", SHARES, each)
    spread = np.sqrt(np.einsum("s,sbi->bi", SHARES, (each - mean) ** 2))
    np.testing.assert_allclose(found["attributions/x"], mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["spread/x"], spread, rtol=0, atol=1e-12)
    starts = SHARES @ [one["baseline_prediction"] for one in singles]
    np.testing.assert_allclose(found["baseline_prediction"], starts, rtol=0, atol=1e-12)
    error = abs(mean.sum(1) - (found["prediction"] - starts))
    np.testing.assert_allclose(found["completeness_error"], error, rtol=0, atol=1e-12)
    assert "spread/x" not in singles[0] and set(singles[0]) == set(found) - {"spread/x"}


@pytest.mark.parametrize("runtime", ["tf1.15", {"xla": True, "batch_buckets": [1, 4]}],
                         ids=["tf1.15", "xla"])
def test_in_every_runtime(tmp_path, runtime):
    if isinstance(runtime, dict):
        (tmp_path / "profile.json").write_text(json.dumps(runtime))
        runtime = str(tmp_path / "profile.json")
    builders.save_tf1(tmp_path / "m", layered, {"x": spec([None, 3])}, WEIGHTS)
    choices = {"steps": 5, "baseline": [{"x": start} for start in STARTS],
               "method": "integrated_gradients:noise=0.1,2"}
    _, plain = instrumented(tmp_path / "m", tmp_path / "plain", **choices)
    _, other = instrumented(tmp_path / "m", tmp_path / "other", runtime=runtime, **choices)
    for rows in (5, 0):
        expected, found = plain(x=X[:rows]), other(x=X[:rows])
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-12, err_msg=key)


def test_ten_rows_at_a_time_and_all_are_one(tmp_path):
    builders.save_tf2(tmp_path / "m", layered, {"x": spec([None, 3])}, WEIGHTS)
    choices = {"steps": 7, "baseline": [{"x": start} for start in STARTS]}
    found = [instrumented(tmp_path / "m", tmp_path / f"out{rows}", rows_per_chunk=rows,
                          **choices)[1](x=X)["attributions/x"] for rows in (1, 10, None)]
    np.testing.assert_allclose(found[0], found[2], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1], found[2], rtol=0, atol=1e-12)


def test_a_record_on_the_decision_boundary_scores_on_it(tmp_path):
    """Boundary attributions: from the nearest point where a logistic score is 1/2."""
    weights = np.array([2.0, -1.0, 0.5])

    def logistic(x, w):
        return tf.sigmoid(tf.linalg.matvec(x, w) - 0.75)

    builders.save_tf2(tmp_path / "m", logistic, {"x": spec([None, 3])}, {"w": weights})
    nearest = X[0] - (X[0] @ weights - 0.75) * weights / (weights @ weights)
    (tmp_path / "boundary.jsonl").write_text(json.dumps({"x": nearest.tolist()}))
    _, run = instrumented(tmp_path / "m", tmp_path / "out", steps=30,
                          baseline=f"record:{tmp_path / 'boundary.jsonl'}")
    found = run(x=X[:1])
    np.testing.assert_allclose(found["baseline_prediction"], 0.5, rtol=1e-12)
    np.testing.assert_allclose(found["attributions/x"].sum(), found["prediction"][0] - 0.5,
                               rtol=1e-9)
    # The way there is along w: what is explained is shared out as w squared.
    shares = found["attributions/x"][0] / found["attributions/x"].sum()
    np.testing.assert_allclose(shares, weights ** 2 / (weights @ weights), rtol=1e-9)


def test_results_say_how_far_the_baselines_lie_apart(tmp_path):
    """The share of the attributions that their standard deviations are, in files and pages."""
    builders.save_tf2(tmp_path / "m", layered, {"x": spec([None, 3])}, WEIGHTS)
    instrumented(tmp_path / "m", tmp_path / "one", steps=5)
    _, run = instrumented(tmp_path / "m", tmp_path / "all", steps=5,
                          baseline=[{"x": start} for start in STARTS])
    answer = run(x=X)
    expected = answer["spread/x"].sum(1) / np.abs(answer["attributions/x"]).sum(1)
    records = [{"x": row.tolist()} for row in X]
    found = ig_tf.attribute(str(tmp_path / "all"), records)
    np.testing.assert_allclose([one.spread for one in found], expected, rtol=1e-12)
    for file in ("found.jsonl", "found.npz"):
        results.write(tmp_path / file, found, found.about)
        _, again = results.read(tmp_path / file)
        assert [one.spread for one in again] == [one.spread for one in found]
    assert "spread over the baselines" in report.render(found)
    assert ig_tf.attribute(str(tmp_path / "one"), records)[0].spread is None


def test_the_pilot_looks_at_each_baseline(tmp_path):
    """Nodes lie where F moves on the path of that baseline: as in exports of one each."""
    builders.save_tf2(tmp_path / "m", layered, {"x": spec([None, 3])}, WEIGHTS)
    choices = {"steps": 6, "rule": "pilot:9"}
    singles = [instrumented(tmp_path / "m", tmp_path / f"one{place}", baseline={"x": start},
                            **choices)[1](x=X)["attributions/x"]
               for place, start in enumerate(STARTS[:2])]
    plan, run = instrumented(tmp_path / "m", tmp_path / "all", **choices,
                             baseline=[{"x": start} for start in STARTS[:2]])
    np.testing.assert_allclose(run(x=X)["attributions/x"], np.mean(singles, 0), rtol=0, atol=1e-12)
    assert plan.described()["method"]["probes_per_example"] == 18


def test_drawn_with_a_seed(tmp_path):
    """The draws are numpy's, so that every runtime has the same."""
    builders.save_tf2(tmp_path / "m", layered, {"x": spec([None, 3])}, WEIGHTS)
    model = ig_tf.load(str(tmp_path / "m"))
    draws = {"uniform:-1,2:4:7": np.random.default_rng(7).uniform(-1, 2, (4, 3)),
             "gaussian:0.5:4:7": np.random.default_rng(7).normal(0, 0.5, (4, 3)),
             "gaussian:1,0.5:4": np.random.default_rng(0).normal(1, 0.5, (4, 3)),
             "noise:0.1:3": np.random.default_rng(3).normal(0, 0.1, (1, 3))}
    for text, expected in draws.items():
        found = ig_tf.instrument(model, baseline=text, steps=2).recipe.baseline
        assert found.text == text and np.array_equal(found.values["x"], expected)
    _, run = instrumented(tmp_path / "m", tmp_path / "u", baseline="uniform:-1,2:2:7", steps=3)
    _, same = instrumented(tmp_path / "m", tmp_path / "s", steps=3, baseline=[
        {"x": start} for start in np.random.default_rng(7).uniform(-1, 2, (2, 3))])
    np.testing.assert_array_equal(run(x=X)["attributions/x"], same(x=X)["attributions/x"])


# What the model computes of other inputs --------------------------------------------------------


TABLE = np.random.default_rng(8).normal(size=(6, 3))
IDS = np.array([[1, 2, 5], [4, 4, 0]])


def sequence(ids, mask, table):
    """Words in their order, and a mask that is no word."""
    vectors = tf.gather(table, ids) * mask[:, :, None]
    places = tf.cast(tf.range(1, tf.shape(ids)[1] + 1), tf.float64)[:, None]
    return tf.reduce_sum(tf.tanh(tf.cumsum(vectors, 1) * places), [1, 2])


def alone_sequence(ids, mask, table):
    return sequence(ids, mask, table) + 0 * tf.reduce_sum(mask)


SEQUENCE = {"ids": spec([None, None], tf.int64), "mask": spec([None, None])}


@pytest.mark.parametrize("function", [sequence, alone_sequence], ids=["rows", "alone"])
def test_a_token_is_its_embedding(tmp_path, function):
    """token:3 is an export with row 3 of the table, for a request of any length; by id and alone
    too; and two tokens are the mean, with a spread for each id."""
    builders.save_tf2(tmp_path / "m", function, SEQUENCE, {"table": TABLE})
    points = {"points": ["ids"], "steps": 6}
    token, run = instrumented(tmp_path / "m", tmp_path / "t", baseline="token:3", **points)
    assert (token.recipe.mode is Mode.ALONE) == (function is alone_sequence)
    given = {"ids": IDS, "mask": np.array([[1, 1, 0.5], [1, 0, 1]])}
    singles = []
    for row in (3, 5):
        np.savez(tmp_path / f"{row}.npz", ids=TABLE[row])
        singles.append(instrumented(tmp_path / "m", tmp_path / f"r{row}", **points,
                                    baseline=str(tmp_path / f"{row}.npz"))[1](**given))
    found = run(**given)
    assert found["attributions/ids"].shape == (2, 3) and found["attributions/ids"].any()
    for key, value in singles[0].items():
        np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-12, err_msg=key)
    file = written(tmp_path / "two.jsonl", [{"ids": [row] * 3} for row in (3, 5)])
    plan, run = instrumented(tmp_path / "m", tmp_path / "two", baseline=f"record:{file}", **points)
    both, found = [one["attributions/ids"] for one in singles], run(**given)
    np.testing.assert_allclose(found["attributions/ids"], np.mean(both, 0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["spread/ids"], np.std(both, 0), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found["tokens/ids"], IDS)
    np.testing.assert_array_equal(found["length/ids"], [3, 3])
    said = describe.plan_text(plan.described())
    assert "2 starts" in said and "record:" in said
    with pytest.raises(tf.errors.InvalidArgumentError, match="input ids does not fit: found"):
        run(ids=IDS[:, :2], mask=np.ones([2, 2]))


def saved_words(path):
    """Words as strings, found in a vocabulary, pooled: a bag as TensorFlow 1 writes it."""
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None, None], name="words")
        table = v1.get_variable("table", initializer=tf.constant(TABLE), use_resource=False)
        vocabulary = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
            ["the", "b", "c", "d", "e", "f"], tf.range(6, dtype=tf.int64)), 0)
        vectors = tf.nn.embedding_lookup(table, vocabulary.lookup(words))
        score = tf.reduce_sum(tf.tanh(vectors[:, :, 0]) * vectors[:, :, 1] ** 2, 1)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        v1.saved_model.simple_save(session, str(path), {"words": words}, {"score": score},
                                   legacy_init_op=v1.tables_initializer())


def test_a_word_repeated_to_the_length(tmp_path):
    """"the the the": a string, through the model's own vocabulary; in both loaders."""
    saved_words(tmp_path / "m")
    plan, run = instrumented(tmp_path / "m", tmp_path / "t", baseline="token:the", steps=8)
    _, row = instrumented(tmp_path / "m", tmp_path / "r", baseline=[{"words": TABLE[0]}], steps=8)
    assert plan.described()["baseline"] == "token:the"
    for words in (np.array([["b", "the", "e"]]), np.array([["c"], ["d"]])):
        found, expected = run(words=words), row(words=words)
        np.testing.assert_allclose(found["attributions/words"], expected["attributions/words"],
                                   rtol=0, atol=1e-12)
    assert found["attributions/words"].any() and run(words=np.array([["the"]]))[
        "attributions/words"] == 0
    old = builders.open_v1(tmp_path / "t")(words=words)
    np.testing.assert_allclose(old["attributions/words"], found["attributions/words"], atol=1e-12)


def test_ids_that_are_sent_as_floats(tmp_path):
    """As Keras does; numbers that are put in buckets are no ids."""
    def floats(ids, age, table):
        words = tf.reduce_sum(tf.gather(table, tf.cast(ids, tf.int32)) ** 2, [1, 2])
        buckets = tf.raw_ops.Bucketize(input=age, boundaries=[20.0, 40.0])
        return words * tf.reduce_sum(tf.gather(table, buckets), 1)

    builders.save_tf2(tmp_path / "m", floats, {
        "ids": spec([None, None], tf.float32), "age": spec([None], tf.float32)}, {"table": TABLE})
    plan, run = instrumented(tmp_path / "m", tmp_path / "out", baseline="token:3", steps=4)
    _, row = instrumented(tmp_path / "m", tmp_path / "row", baseline=[{"ids": TABLE[3]}], steps=4)
    assert plan.recipe.baseline.led == ("ids",)
    given = {"ids": [[1.0, 3.0]], "age": [30.0]}
    found, expected = run(**given), row(**given)
    np.testing.assert_allclose(found["attributions/ids"], expected["attributions/ids"], atol=1e-12)
    assert found["baseline_prediction"] == expected["baseline_prediction"]


def test_a_record_at_a_tensor_inside_is_layer_ig(tmp_path):
    """(h(x) - h(x')) times the path integral of the gradient at h, by a loop over midpoints; what
    the record does not say is as in the request."""
    def network(x, scale, w, v):
        hidden = tf.identity(tf.nn.softplus(x @ w) * scale[:, None], name="hidden_layer")
        return tf.linalg.matvec(tf.sin(hidden), v) * tf.reduce_sum(hidden, 1)

    builders.save_tf1(tmp_path / "m", network, {"x": spec([None, 3]), "scale": spec([None])},
                      WEIGHTS)
    plan, run = instrumented(tmp_path / "m", tmp_path / "out", points=["hidden_layer"],
                             baseline=Records([{"x": STARTS[0]}]), steps=24)
    scale = np.linspace(0.5, 1, 5)
    found = run(x=X, scale=scale)
    assert "scale stay as in the request" in describe.plan_text(plan.described())
    (name,) = (point.name for point in plan.recipe.points)
    here, there = (np.log1p(np.exp(at @ WEIGHTS["w"])) * scale[:, None] for at in (X, STARTS[:1]))
    total, count = np.zeros_like(here), 4000
    for alpha in (np.arange(count) + 0.5) / count:
        h = there + alpha * (here - there)
        total += (np.cos(h) * WEIGHTS["v"] * h.sum(1, keepdims=True)
                  + (np.sin(h) @ WEIGHTS["v"])[:, None]) / count
    # The midpoint rule of the loop is off by at most max|g''| / (24 * 4000^2), about 1e-8 here.
    np.testing.assert_allclose(found[f"attributions/{name}"], (here - there) * total, atol=1e-7)
    assert found["completeness_error"].max() < 1e-10


def test_a_serialized_record(tmp_path):
    """A tf.Example is a string of the request: numbers and pooled words inside start at its own."""
    def parsed(examples):
        found = v1.parse_example(examples, {"age": v1.FixedLenFeature([], tf.float32),
                                            "size": v1.FixedLenFeature([2], tf.float32)})
        return found["age"] ** 2 * tf.reduce_sum(found["size"], 1)

    def example(age, size):
        features = {"age": [age], "size": size}
        return tf.train.Example(features=tf.train.Features(feature={
            key: tf.train.Feature(float_list=tf.train.FloatList(value=value))
            for key, value in features.items()})).SerializeToString()

    builders.save_tf1(tmp_path / "m", parsed, {"examples": spec([None], tf.string)})
    with tf.io.TFRecordWriter(str(tmp_path / "one.tfrecord")) as writer:
        writer.write(example(2.0, [1.0, -1.5]))
    plan, run = instrumented(tmp_path / "m", tmp_path / "out", steps=4,
                             baseline=f"record:{tmp_path / 'one.tfrecord'}")
    _, plain = instrumented(tmp_path / "m", tmp_path / "plain", steps=4,
                            baseline={"age": 2.0, "size": [1.0, -1.5]})
    sent = np.array([example(3.0, [0.5, 2.0]), example(-1.0, [4.0, 0.0])], object)
    found, expected = run(examples=sent), plain(examples=sent)
    for key in ("attributions/age", "attributions/size", "baseline_prediction"):
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-6)
    assert set(plan.recipe.baseline.led) == {"age", "size"}


def mixed(age, size, kind, table):
    vectors = tf.gather(table, kind)
    return (age ** 2 * tf.reduce_sum(size ** 3, 1) * tf.reduce_sum(vectors, 1))


@pytest.fixture(scope="module", name="mixed_model")
def fixture_mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    builders.save_tf2(folder / "m", mixed, {
        "age": spec([None]), "size": spec([None, 2]), "kind": spec([None], tf.int64)},
        {"table": TABLE})
    return folder


def test_statistics_of_a_file(mixed_model, tmp_path):
    """Points whose inputs the file lacks start at zero, and that is said; ids have no mean."""
    rows = [{"age": age, "size": [age, -1.0], "other": 3} for age in (1.0, 2.0, 9.0, 2.0)]
    file = written(tmp_path / "rows.jsonl", rows)
    model = ig_tf.load(str(mixed_model / "m"))
    for kind, age in (("mean", 3.5), ("median", 2.0), ("mode", 2.0)):
        plan = ig_tf.instrument(model, baseline=f"{kind}:{file}", steps=2)
        inputs = plan.recipe.baseline.inputs
        assert inputs["age"].tolist() == [age] and inputs["size"].tolist() == [[age, -1.0]]
        assert "kind start at zero" in describe.plan_text(plan.described())
        assert plan.described()["baseline_values"] is None
    with_ids = written(tmp_path / "ids.jsonl", [{**row, "kind": place // 3}
                                                for place, row in enumerate(rows)])
    for kind in ("mean", "median"):
        with pytest.raises(BaselineError, match="'kind' holds ids or texts.*mode:FILE"):
            ig_tf.instrument(model, baseline=f"{kind}:{with_ids}")
    _, run = instrumented(mixed_model / "m", tmp_path / "mode", baseline=f"mode:{with_ids}",
                          steps=4)
    _, same = instrumented(mixed_model / "m", tmp_path / "same", steps=4,
                           baseline={"age": 2.0, "size": [2.0, -1.0], "kind": TABLE[0]})
    given = {"age": [3.0, -1.0], "size": [[1.0, 2.0], [0.5, -2.0]], "kind": [4, 0]}
    found, expected = run(**given), same(**given)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-10, err_msg=key)


def test_a_file_without_the_texts_of_the_model(tmp_path):
    """An input of strings that the records lack is no place for serialized examples to be made."""
    def priced(age, word):
        return age ** 2 * tf.cast(tf.strings.length(word), tf.float64)

    builders.save_tf2(tmp_path / "m", priced, {
        "age": spec([None]), "word": spec([None], tf.string)})
    (tmp_path / "rows.csv").write_text("age\n1\n2\n6\n")
    plan, run = instrumented(tmp_path / "m", tmp_path / "out", steps=3,
                             baseline=f"median:{tmp_path / 'rows.csv'}")
    assert list(plan.recipe.baseline.inputs) == ["age"]
    found = run(age=[5.0], word=np.array(["plum"], object))["attributions/age"]
    # The length starts at zero too: the integral of (5 - 2) * 2 (2 + 3 alpha) * 4 alpha.
    np.testing.assert_allclose(found, [48], rtol=1e-6)
    (tmp_path / "other.csv").write_text("weight\n1\n")
    with pytest.raises(BaselineError, match="none of the model's inputs"):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "m")),
                         baseline=f"median:{tmp_path / 'other.csv'}")


def test_whole_numbers_that_are_numbers_have_a_mean(tmp_path):
    def squared(age):
        return tf.cast(age, tf.float32) ** 2

    builders.save_tf2(tmp_path / "m", squared, {"age": spec([None], tf.int64)})
    (tmp_path / "rows.csv").write_text("age\n1\n2\n5\n")
    plan, run = instrumented(tmp_path / "m", tmp_path / "out", steps=3,
                             baseline=f"mean:{tmp_path / 'rows.csv'}")
    assert plan.recipe.baseline.inputs["age"].tolist() == [3]
    np.testing.assert_allclose(run(age=[5])["attributions/age"], [16.0], rtol=1e-6)


def test_white_and_black(tmp_path):
    """Bytes have a range; of floats it has to be said."""
    def bright(image):
        return tf.reduce_sum((tf.cast(image, tf.float32) / 127.5 - 1) ** 2, [1, 2, 3])

    builders.save_tf2(tmp_path / "m", bright, {"image": spec([None, 2, 2, 3], tf.uint8)})
    model = ig_tf.load(str(tmp_path / "m"))
    image = np.arange(12).reshape(1, 2, 2, 3)
    for shade, level in (("white", 255), ("black", 0)):
        _, run = instrumented(tmp_path / "m", tmp_path / shade, baseline=shade, steps=2)
        found = run(image=image)
        ends = (image / 127.5 - 1) ** 2 - (level / 127.5 - 1) ** 2
        np.testing.assert_allclose(found["attributions/image"], ends, atol=1e-5)
    said = ig_tf.instrument(model, baseline="white:-1,1", steps=2).recipe.baseline
    assert [array.tolist() for array in said.values.values()] == [[1.0]]
    builders.save_tf2(tmp_path / "f", layered, {"x": spec([None, 3])}, WEIGHTS)
    with pytest.raises(BaselineError, match="range of the pictures is not known.*black:LOW,HIGH"):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "f")), baseline="black")


def test_time_major_records_lie_along_the_axis_of_the_examples(tmp_path):
    """Of [time, batch, 3] a record is [time, 3]."""
    def recurrent(x, count, w, v):
        running = tf.cumsum(tf.tanh(tf.einsum("tbi,ij->tbj", x, w)), 0)
        return tf.linalg.matvec(running[-1] * running[0], v) * count

    builders.save_tf2(tmp_path / "m", recurrent, {"x": spec([4, None, 3]), "count": spec([None])},
                      WEIGHTS)
    generator = np.random.default_rng(5)
    given = {"x": generator.normal(size=(4, 2, 3)), "count": np.array([1.0, 2.0])}
    record = generator.normal(size=(4, 3))
    plan, run = instrumented(tmp_path / "m", tmp_path / "out", steps=5,
                             baseline=Records([{"x": record, "count": 0.5}]))
    _, same = instrumented(tmp_path / "m", tmp_path / "same", steps=5,
                           baseline={"x": record, "count": 0.5})
    found, expected = run(**given), same(**given)
    assert plan.recipe.layout.axes["x"] == 1
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-12, err_msg=key)


# At request time --------------------------------------------------------------------------------


def test_a_baseline_that_is_sent_replaces_all_samples(tmp_path):
    builders.save_tf2(tmp_path / "m", layered, {"x": spec([None, 3])}, WEIGHTS)
    _, run = instrumented(tmp_path / "m", tmp_path / "out", CUSTOM, steps=6,
                          custom=("baseline", "refinement"),
                          baseline=[{"x": start} for start in STARTS])
    _, zeros = instrumented(tmp_path / "m", tmp_path / "zeros", CUSTOM, steps=6,
                            custom=("baseline", "refinement"))
    sent = {"x": X, "baseline/x": X[::-1], "refinement": np.arange(5) % 3}
    found, expected = run(**sent), zeros(**sent)
    np.testing.assert_allclose(found.pop("spread/x"), 0, atol=0)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-12, err_msg=key)
    with pytest.raises(tf.errors.InvalidArgumentError, match="baseline/x does not fit"):
        run(**{**sent, "baseline/x": X[:, :2]})
    rows = [{"x": x.tolist(), "baseline/x": [0.0] * 3} for x in X]
    answered = ig_tf.attribute(str(tmp_path / "out"), rows)
    assert {row.baseline_prediction for row in answered} == {0.0}
    mixed_rows = rows[:1] + [{"x": X[1].tolist(), "refinement": 1}]
    assert [row.status for row in ig_tf.attribute(str(tmp_path / "out"), mixed_rows)]


def test_the_samples_of_an_export_cannot_be_sent(tmp_path):
    """A record that chooses its class but no baseline: one array cannot stand for several."""
    def scores(x, w):
        return tf.tanh(x @ w)

    builders.save_tf2(tmp_path / "m", scores, {"x": spec([None, 3])}, {"w": WEIGHTS["w"]})
    instrumented(tmp_path / "m", tmp_path / "out", custom=("baseline", "target"), steps=2,
                 target="score:top", baseline=[{"x": start} for start in STARTS])
    with pytest.raises(RecordError, match="2 baselines|3 baselines.*has to say baseline/x"):
        ig_tf.attribute(str(tmp_path / "out"), [{"x": [1.0, 2.0, 3.0], "target": 1}])


# What is refused --------------------------------------------------------------------------------


WRONG = [
    ("uniform:1:2", "uniform:LOW,HIGH"), ("gaussian:a", "gaussian:"), ("uniform:0,1:0", "uniform:"),
    ("token:3", "no input holds ids"), ("record:", "needs a file"), ("mean:", "needs a file"),
    ("black:1", "LOW,HIGH"), ("nothing", "none of: zeros"), ("gone.npz", "no baseline file"),
    ("noise:0.1:1:2", "noise:STD"), ([{"y": 1.0}], "no point"),
    ([{"x": "a"}], "no array of numbers"), ([{"x": [1.0, 2.0]}], "one example has shape"),
    (Records([]), "no record"),
    (Records([{"y": 1.0}]), "none of the model's inputs"),
    (Records([{"x": [1.0, 2, 3]}], [1.0, 2.0]), "as many positive weights"),
    (Records([{"x": [1.0, 2, 3]}], [0.0]), "positive weights"),
    (Records([{"x": [1.0, 2, 3]}], "share"), "no number in the column 'share'"),
]


@pytest.mark.parametrize("given, message", WRONG, ids=[str(place) for place in range(len(WRONG))])
def test_refusals_say_what_to_do(one_model, given, message):
    with pytest.raises(BaselineError, match=message) as caught:
        ig_tf.instrument(one_model, baseline=given)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module", name="one_model")
def fixture_one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    builders.save_tf2(folder / "m", layered, {"x": spec([None, 3])}, WEIGHTS)
    return ig_tf.load(str(folder / "m"))


def test_a_record_of_another_shape(one_model):
    with pytest.raises(RecordError, match=r"input 'x': found shape \[2\]; the model takes \[3\]"):
        ig_tf.instrument(one_model, baseline=Records([{"x": [1.0, 2.0]}]))


def test_samples_have_a_limit_of_size(one_model, monkeypatch):
    monkeypatch.setattr(baselines, "MOST_BYTES", 1 << 20)
    with pytest.raises(BaselineError, match="at most 1 MiB. Take fewer samples"):
        ig_tf.instrument(one_model, baseline="uniform:0,1:65536")


def test_several_inputs_of_ids_must_be_named(tmp_path):
    def pair(first, second, table):
        return tf.reduce_sum(tf.gather(table, first) * tf.gather(table, second) ** 2, [1, 2])

    ids = spec([None, None], tf.int32)
    builders.save_tf2(tmp_path / "m", pair, {"first": ids, "second": ids}, {"table": TABLE})
    model = ig_tf.load(str(tmp_path / "m"))
    with pytest.raises(BaselineError, match="first, second hold ids: say which, token:INPUT=ID"):
        ig_tf.instrument(model, baseline="token:3")
    with pytest.raises(BaselineError, match="takes int32; 'pad' is none"):
        ig_tf.instrument(model, baseline="token:first=pad")
    plan = ig_tf.instrument(model, baseline="token:first=3", steps=2)
    assert plan.recipe.baseline.led == ("first",) and plan.recipe.baseline.is_zero(
        plan.recipe.points[1])


def test_a_file_of_arrays_as_json(one_model, tmp_path):
    """Constants per feature without Python."""
    (tmp_path / "b.json").write_text('{"x": [1, 2, 3]}')
    plan = ig_tf.instrument(one_model, baseline=str(tmp_path / "b.json"))
    assert plan.recipe.baseline.described() == {"x": [1.0, 2.0, 3.0]}
    assert ig_tf.instrument(one_model, baseline=plan.recipe.baseline.described()
                            ).recipe.baseline.described() == {"x": [1.0, 2.0, 3.0]}
