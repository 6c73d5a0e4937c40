"""The signature `attributions_custom`: targets, baselines and refinement chosen by the request."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import builders
import ig_tf
from builders import spec
from test_sparse_inputs import MATRIX, NUMBERS
from test_sparse_inputs import SAVERS as SPARSE_SAVERS
from ig_tf.errors import BaselineError, GraphError, RecordError, SignatureError, TargetError
from ig_tf.ig import integrate, ladder, quadrature
from ig_tf.run import results

CUSTOM = "attributions_custom"
ALL = ("target", "baseline", "refinement")
WEIGHTS = np.array([[1.0, 2.0, -1.0], [0.5, -3.0, 2.0]])
KINDS = [("tf1", "v1"), ("tf1", "v2"), ("tf2", "v1"), ("tf2", "v2")]
KNEE = 0.3


def cubes(x, many, w):
    """Scores [batch, 3] of degree 3 in x; `many` stands between the names of the choices."""
    return tf.matmul(x ** 3, w) * tf.cast(many, tf.float64)[:, None]


def hinge(x):
    """A kink on the path: no rule is exact, and each has its own error."""
    return tf.nn.relu(x - KNEE)


def coupled(x):
    """The same with rows that are not proved to be examples: each runs alone."""
    return tf.nn.relu(x - KNEE) + 0 * tf.reduce_sum(x, 0, keepdims=True)


def instrumented(folder, function, inputs, variables=None, kind="tf2", custom=ALL, **choices):
    builders.SAVERS[kind](folder / "model", function, inputs, variables)
    return again(folder / "model", folder / "out", custom=custom, **choices)


def again(model, output, **choices):
    plan = ig_tf.instrument(ig_tf.load(str(model)), **choices)
    ig_tf.save(plan, str(output))
    return output


@pytest.fixture(scope="module", name="cubic")
def fixture_cubic(tmp_path_factory):
    """{kind: folder with `model` and `out`} of `cubes`."""
    found = {}
    for kind in ("tf1", "tf2"):
        found[kind] = tmp_path_factory.mktemp(kind)
        instrumented(found[kind], cubes, {"x": spec([None, 2]), "many": spec([None], tf.int64)},
                     {"w": WEIGHTS}, kind, points=["x"], steps=2)
    return found


def request(rows=4, **changes):
    generator = np.random.default_rng(5)
    return {"x": generator.normal(size=(rows, 2)), "many": np.arange(1, rows + 1),
            "target": np.arange(rows) % 3, "refinement": np.arange(rows) % 3,
            "baseline/x": generator.normal(size=(rows, 2)), **changes}


# The numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, loader", KINDS)
def test_closed_form(cubic, kind, loader):
    """w (x^3 - x'^3) for each row's own class and baseline; two nodes are exact for squares."""
    sent = request()
    found = builders.LOADERS[loader](cubic[kind] / "out", CUSTOM)(**sent)
    scale = WEIGHTS.T[sent["target"]] * sent["many"][:, None]
    expected = scale * (sent["x"] ** 3 - sent["baseline/x"] ** 3)
    np.testing.assert_allclose(found["attributions/x"], expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found["prediction"], (scale * sent["x"] ** 3).sum(1), rtol=1e-12)
    np.testing.assert_allclose(found["baseline_prediction"],
                               (scale * sent["baseline/x"] ** 3).sum(1), rtol=1e-12)
    assert found["target_index"].tolist() == sent["target"].tolist()
    assert set(found) == set(builders.LOADERS[loader](cubic[kind] / "out")(
        x=sent["x"], many=sent["many"]))


@pytest.mark.parametrize("shape", [(1, 2), (4, 1), (1, 1)])
def test_a_baseline_may_be_one_for_all(cubic, shape):
    """1 along an axis stands for all of it."""
    run = builders.open_v2(cubic["tf2"] / "out", CUSTOM)
    small = np.random.default_rng(1).normal(size=shape)
    one = run(**request(**{"baseline/x": small}))
    other = run(**request(**{"baseline/x": np.broadcast_to(small, (4, 2))}))
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])


def test_no_examples(cubic):
    found = builders.open_v2(cubic["tf2"] / "out", CUSTOM)(**request(rows=0))
    assert found["attributions/x"].shape == (0, 2) and found["prediction"].shape == (0,)


def test_targets_and_baselines_equal_those_of_the_export(cubic, tmp_path):
    """Each class and each baseline once more, fixed in an artifact of its own."""
    sent = request(rows=3, target=np.array([2, 2, 0]), **{"baseline/x": np.full((1, 2), 0.7)})
    found = builders.open_v2(cubic["tf2"] / "out", CUSTOM)(**sent)
    for target in (0, 2):
        fixed = builders.open_v2(again(cubic["tf2"] / "model", tmp_path / str(target), steps=2,
                                       points=["x"], target=f"score:{target}", baseline=0.7))
        expected = fixed(x=sent["x"], many=sent["many"])
        for row in np.flatnonzero(sent["target"] == target):
            for key, value in expected.items():
                np.testing.assert_allclose(found[key][row], value[row], rtol=1e-12, atol=1e-14)


def by_hand(x, steps):
    """x times the weights of the nodes behind the knee, for one x."""
    rule = quadrature.build("gauss_legendre", steps)
    return x * rule.weights[rule.nodes * x > KNEE].sum()


@pytest.mark.parametrize("model", [hinge, coupled])
@pytest.mark.parametrize("rows_per_chunk", [None, 3, 20])
def test_refinement_is_n_4n_16n_nodes(tmp_path, model, rows_per_chunk):
    """Mixed in one batch, each row gets what its own rule gives; all or none of a rung too."""
    out = instrumented(tmp_path, model, {"x": spec([None, 1])}, custom=("refinement",), steps=3,
                       rows_per_chunk=rows_per_chunk)
    run = builders.open_v2(out, CUSTOM)
    x = np.array([[0.5], [0.9], [2.0], [0.5], [-1.0], [0.9], [2.0]])
    for rungs in ([0, 1, 2, 2, 0, 0, 0], [1] * 7, [2, 2, 0, 0, 2, 2, 0]):
        found = run(x=x, refinement=np.array(rungs))
        expected = [by_hand(one, 3 * 4 ** rung) for one, rung in zip(x[:, 0], rungs)]
        np.testing.assert_allclose(found["attributions/x"][:, 0], expected, rtol=1e-12, atol=1e-15)
    assert len({by_hand(0.9, 3 * 4 ** rung) for rung in range(3)}) == 3  # else it shows nothing
    plain = builders.open_v2(out)(x=x)
    np.testing.assert_array_equal(
        plain["attributions/x"], run(x=x, refinement=np.zeros(7, int))["attributions/x"])


def test_alone(tmp_path):
    """Examples that run alone take their own choices, too."""
    def model(x, w):
        return tf.matmul(x ** 3, w) + 0 * tf.reduce_sum(x)

    out = instrumented(tmp_path, model, {"x": spec([None, 2])}, {"w": WEIGHTS}, steps=2)
    assert "one example at a time" in str(ig_tf.instrument(
        ig_tf.load(str(tmp_path / "model"))).described()["chunking"])
    for loader in ("v1", "v2"):
        sent = request()
        del sent["many"]
        found = builders.LOADERS[loader](out, CUSTOM)(**sent)
        expected = WEIGHTS.T[sent["target"]] * (sent["x"] ** 3 - sent["baseline/x"] ** 3)
        np.testing.assert_allclose(found["attributions/x"], expected, rtol=1e-10, atol=1e-12)
        one = builders.LOADERS[loader](out, CUSTOM)(**{**sent, "baseline/x": np.ones((1, 1))})
        np.testing.assert_allclose(one["attributions/x"], WEIGHTS.T[sent["target"]]
                                   * (sent["x"] ** 3 - 1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["tf1", "tf2"])
def test_serialized_examples(tmp_path, kind):
    """The model takes strings; baselines are those of what is parsed out of them."""
    def model(examples):
        parsed = tf.io.parse_example(examples, {"a": tf.io.FixedLenFeature([2], tf.float32),
                                                "b": tf.io.FixedLenFeature([1], tf.float32)})
        return tf.concat([tf.reduce_prod(parsed["a"], 1, keepdims=True) * parsed["b"],
                          parsed["b"] ** 2], 1)

    def serialized(a, b):
        example = tf.train.Example()
        example.features.feature["a"].float_list.value.extend(a)
        example.features.feature["b"].float_list.value.append(b)
        return example.SerializeToString()

    out = instrumented(tmp_path, model, {"examples": spec([None], tf.string)}, kind=kind, steps=4)
    records = [{"examples": serialized([1, 2], 3), "target": 1, "baseline/b": 1.0},
               {"examples": serialized([1, 2], 3), "target": 0, "baseline/a": [1.0, 2.0]},
               {"examples": serialized([1, 2], 3), "target": 0}]
    square, product, zero = ig_tf.attribute(out, records)
    assert square.features == pytest.approx({"a": 0, "b": 8}, abs=1e-5)  # 3^2 - 1^2
    assert product.features == pytest.approx({"a": 0, "b": 6}, abs=1e-5)
    assert zero.features == pytest.approx({"a": 4, "b": 2}, abs=1e-5)  # two thirds in a, one in b


# Lookups --------------------------------------------------------------------------------------

TABLE = np.array([[1.0, -1.0], [2.0, 0.5], [0.0, 3.0], [4.0, 1.0]])


def looked_up(ids, table):
    return tf.reduce_sum(tf.gather(table, ids), 1) ** 2


def bags(ids, table):
    values = tf.sparse.from_dense(ids + 1)
    pooled = tf.nn.embedding_lookup_sparse(
        table, tf.SparseTensor(values.indices, values.values - 1, values.dense_shape), None,
        combiner="sum")
    return pooled ** 2


def test_a_word_as_the_baseline_of_all_words(tmp_path):
    """The vector of a pad token, sent once for all places of all examples."""
    out = instrumented(tmp_path, looked_up, {"ids": spec([None, None], tf.int64)},
                       {"table": TABLE}, custom=("baseline", "target"), steps=2)
    ids, pad = np.array([[1, 2], [3, 3]]), TABLE[0]
    found = builders.open_v2(out, CUSTOM)(
        **{"ids": ids, "target": np.array([0, 1]), "baseline/ids": pad[None, None]})
    for row, (words, target) in enumerate(zip(ids, (0, 1))):
        e = TABLE[words, target]  # F = (sum of e)^2 on a line from pad: mean slope is the sum of
        expected = (e - pad[target]) * (e.sum() + len(e) * pad[target])  # both ends
        np.testing.assert_allclose(found["attributions/ids"][row], expected, rtol=1e-12)
    assert found["tokens/ids"].tolist() == ids.tolist()


def test_pooled_ids_keep_their_baseline_unless_named(tmp_path):
    inputs = {"ids": spec([None, None], tf.int64), "x": spec([None, 2])}

    def model(ids, x, table):
        return bags(ids, table) * x

    builders.save_tf2(tmp_path / "model", model, inputs, {"table": TABLE})
    loaded = ig_tf.load(str(tmp_path / "model"))
    plan = ig_tf.instrument(loaded, custom=("baseline",), steps=3)
    (bag,) = [point.name for point in plan.recipe.points if point.bag]
    described = plan.described()["custom"]
    assert list(described["inputs"]) == ["baseline/x"]
    (sentence,) = described["left_out"]
    assert f"(baseline/{bag})" in sentence and bag in sentence and "one by one" in sentence
    sent = {"ids": np.array([[1, 2], [3, -1]]), "x": np.array([[1.0, 2.0], [3.0, -1.0]])}
    ig_tf.save(plan, tmp_path / "some")
    start = np.array([[0.5, 0.5]])
    run = builders.open_v2(tmp_path / "some", CUSTOM)
    found = run(**sent, **{"baseline/x": start})
    assert found[f"tokens/{bag}"].tolist() == [[1, 2], [3, -1]]
    named = ig_tf.instrument(loaded, custom=(f"baseline/{bag}", "baseline/x"), steps=3)
    ig_tf.save(named, tmp_path / "named")
    run = builders.open_v2(tmp_path / "named", CUSTOM)
    pooled = run(**sent, **{"baseline/x": start, f"baseline/{bag}": np.zeros((1, 2))})
    assert f"tokens/{bag}" not in pooled
    np.testing.assert_allclose(pooled[f"attributions/{bag}"].sum(1),  # the same baseline
                               found[f"attributions/{bag}"].sum(1), rtol=1e-12)
    other = run(**sent, **{"baseline/x": start, f"baseline/{bag}": np.array([[1.0, 2.0]])})
    for one in (found, pooled, other):
        np.testing.assert_allclose(one["completeness_error"], 0, atol=1e-9)
    assert other["target_index"].tolist() == [1, 0]  # the highest at x
    np.testing.assert_allclose(other["baseline_prediction"], [2.0 ** 2 * 0.5, 1.0 ** 2 * 0.5])


# Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, loader", KINDS)
def test_the_graph_says_what_is_wrong(cubic, kind, loader):
    """Asserts in the graph: they speak in every runtime, with the name, shape and limit."""
    run = builders.LOADERS[loader](cubic[kind] / "out", CUSTOM)
    for change, words in [
            ({"target": np.array([0, 1, 3, 0])}, ["target out of range", "[3]", "'score'"]),
            ({"target": np.array([0, -1, 0, 0])}, ["target out of range", "[-1]"]),
            ({"target": np.array([0, 1])}, ["target: one number is needed", "[2]", "[4]"]),
            ({"refinement": np.array([0, 3, 0, 7])}, ["refinement out of range", "[3 7]"]),
            ({"baseline/x": np.zeros((4, 3))}, ["baseline/x does not fit", "[4 3]", "[4 2]"]),
            ({"baseline/x": np.zeros((3, 2))}, ["baseline/x does not fit", "[3 2]", "[4 2]"]),
            ({"baseline/x": np.zeros((4, 2, 1))}, ["baseline/x does not fit", "[4 2 1]"])]:
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            run(**request(**change))
        for word in words:
            assert word in str(caught.value).replace("\\'", "'"), change


def test_choices_that_cannot_be_offered(tmp_path):
    inputs = {"target": spec([None, 2]), "refinement": spec([None, 2])}
    builders.save_tf2(tmp_path / "m", lambda target, refinement: {
        "two": target * refinement, "one": tf.reduce_sum(target, 1),
        "grid": target[:, :, None] * refinement[:, None]}, inputs)
    model = ig_tf.load(str(tmp_path / "m"))
    for options, error, words in [
            ({"custom": ("targets",)}, SignatureError, "'targets'"),
            ({"custom": ("target",), "target": "two:0"}, SignatureError, "an input 'target'"),
            ({"custom": ("refinement",)}, SignatureError, "an input 'refinement'"),
            ({"custom": ("target",), "target": "one"}, TargetError, "'one' has shape"),
            ({"custom": ("target",), "target": "grid:0,1"}, TargetError, "'grid' has shape"),
            ({"custom": ("baseline/x",)}, BaselineError, "the points are: .*target"),
            ({"custom": ("refinement",), "steps": 257}, quadrature.RuleError, "At most 256")]:
        with pytest.raises(error, match=words):
            ig_tf.instrument(model, **{"target": "two:0", **options})


def test_only_pooled_ids_leave_no_baseline_to_choose(tmp_path):
    builders.save_tf2(tmp_path / "m", bags, {"ids": spec([None, None], tf.int64)},
                      {"table": TABLE})
    with pytest.raises(BaselineError, match="baseline of zero only"):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "m")), custom=("baseline",))


# The artifact ---------------------------------------------------------------------------------


def message(folder):
    return saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())


@pytest.mark.parametrize("kind", ["tf1", "tf2"])
def test_what_is_added_and_taken_out_again(cubic, tmp_path, kind):
    """Two signatures more; instrumenting again gives the same bytes, or those without it."""
    model, out = cubic[kind] / "model", cubic[kind] / "out"
    old, new = message(model).meta_graphs[0], message(out).meta_graphs[0]
    assert set(new.signature_def) - set(old.signature_def) == {"attributions", CUSTOM}
    for one, other in zip(old.graph_def.node, new.graph_def.node):
        assert one == other
    added = list(new.graph_def.node)[len(old.graph_def.node):]
    assert added and all(node.name.startswith("ig_tf/") for node in added)
    assert len({node.name for node in new.graph_def.node}) == len(new.graph_def.node)
    for key in old.signature_def:
        assert old.signature_def[key] == new.signature_def[key]
    more = len(new.object_graph_def.nodes) - len(old.object_graph_def.nodes)
    assert more == (2 if kind == "tf2" else 0)
    options = {"points": ["x"], "steps": 2}
    same = again(out, tmp_path / "same", custom=ALL, **options)
    without = again(out, tmp_path / "without", **options)
    never = again(model, tmp_path / "never", **options)
    for name in ("saved_model.pb", "assets.extra/ig_tf.json"):
        assert (same / name).read_bytes() == (out / name).read_bytes()
        assert (without / name).read_bytes() == (never / name).read_bytes()


def test_the_plan_tells(cubic):
    plan = ig_tf.instrument(ig_tf.load(str(cubic["tf2"] / "model")), points=["x"], custom=ALL,
                            steps=10)
    described = plan.described()["custom"]
    assert described["refinement_steps"] == [10, 40, 160]
    assert described["inputs"]["target"]["takes"].endswith("0 to 2")
    from ig_tf import describe
    assert "10, 40, 160 nodes" in describe.plan_text(plan.described())


def test_a_signature_of_the_model_that_is_called_so(tmp_path):
    """It stays, also where the model is instrumented twice; only a second one is refused."""
    builders.save_tf1(tmp_path / "m", hinge, {"x": spec([None, 1])})
    proto = message(tmp_path / "m")
    signatures = proto.meta_graphs[0].signature_def
    signatures[CUSTOM].CopyFrom(signatures["serving_default"])
    (tmp_path / "m" / "saved_model.pb").write_bytes(proto.SerializeToString())
    with pytest.raises(GraphError, match="signature attributions_custom"):
        again(tmp_path / "m", tmp_path / "refused", custom=("refinement",))
    again(again(tmp_path / "m", tmp_path / "out"), tmp_path / "twice")
    assert message(tmp_path / "twice").meta_graphs[0].signature_def[CUSTOM] == signatures[CUSTOM]


# The verb `attribute` -------------------------------------------------------------------------


@pytest.fixture(scope="module", name="kinked")
def fixture_kinked(tmp_path_factory):
    """A hinge with 3, 12 and 48 nodes."""
    return instrumented(tmp_path_factory.mktemp("kinked"), hinge, {"x": spec([None, 1])},
                        custom=("refinement",), steps=3)


def test_rows_are_refined_one_by_one(kinked):
    """Each row stops at the first rung within the error; what none brings there is capped."""
    values = [0.5, 0.9, 2.0, 0.31, 0.1, 5.0]
    limit = 0.02
    found = ig_tf.attribute(kinked, [{"x": [value]} for value in values], row_error=limit)
    statuses = set()
    for value, result in zip(values, found):
        errors = {steps: abs(by_hand(value, steps) / max(value - KNEE, 1e-300) - 1)
                  for steps in (3, 12, 48)}
        within = [steps for steps, error in errors.items() if error <= limit]
        if value < KNEE:
            expected = ("baseline_equal", 3)  # F is zero at both ends
        else:
            expected = ("converged", within[0]) if within else ("capped", 48)
        assert (result.status, result.steps) == expected
        np.testing.assert_allclose(result.points[0].scores, [by_hand(value, result.steps)],
                                   rtol=1e-12)
        statuses.add(expected)
    assert len(statuses) >= 4  # else the values do not show much


def test_the_rung_reaches_the_files(kinked, tmp_path):
    """What was refined says so in each format; without --row_error nothing does."""
    rows = [{"x": [0.9]}, {"x": [2.0]}]
    plain = ig_tf.attribute(kinked, rows)
    assert [row.steps for row in plain] == [None, None]
    expected = [row.steps for row in ig_tf.attribute(kinked, rows, row_error=0.001)]
    for ending in (".jsonl", ".npz"):
        ig_tf.attribute(kinked, rows, tmp_path / f"rows{ending}", row_error=0.001)
        assert [row.steps for row in results.read(tmp_path / f"rows{ending}")[1]] == expected


def test_equal_scores_with_attributions_that_do_not_cancel():
    """F(x) = F(x') explains nothing; but a sum that is off by a part of F is a wrong answer."""
    assert results.status_of(1.0, 1.0, 0.01, 100.0) == "baseline_equal"
    assert results.status_of(1.0, 1.0, 0.2, 2000.0) == "capped"
    assert results.status_of(1.0, 1.0, 0.02, 200.0, tolerance=0.01) == "capped"


@pytest.mark.parametrize("ending", [".npz", ".jsonl", "rows"])
def test_records_choose(cubic, tmp_path, ending):
    """Fields `target` and `baseline/NAME` of records; another column for the target."""
    sent = request()
    arrays = {key: sent[key] for key in ("x", "many", "baseline/x")}
    file = str(tmp_path / f"file{ending}")
    column = "target" if ending != ".jsonl" else "class"
    if ending == ".npz":
        np.savez(file, **arrays, target=sent["target"])
    elif ending == ".jsonl":
        with open(file, "w", encoding="utf-8") as stream:
            for row in range(4):
                one = {key: array[row].tolist() for key, array in arrays.items()}
                stream.write(json.dumps({**one, column: int(sent["target"][row])}) + "\n")
    else:  # texts, as in .csv; one number for both elements
        rows = [{"x": x.tolist(), "many": int(n), "target": str(t), "baseline/x": "0.5"}
                for x, n, t in zip(sent["x"], sent["many"], sent["target"])]
        arrays["baseline/x"] = np.full((4, 2), 0.5)
        file = iter(rows)
    out = cubic["tf2"] / "out"
    found = ig_tf.attribute(out, file, batch_size=3, row_error=0.1,
                            target_column=None if column == "target" else column)
    scale = WEIGHTS.T[sent["target"]] * sent["many"][:, None]
    expected = scale * (sent["x"] ** 3 - arrays["baseline/x"] ** 3)
    for row, result in enumerate(found):
        np.testing.assert_allclose(result.points[0].scores, expected[row], rtol=1e-10, atol=1e-12)
        assert result.target.index == sent["target"][row]
        assert "baseline/x" not in result.inputs


def test_what_records_do_not_choose_is_as_it_was_exported(cubic, tmp_path):
    """Records with a target only, a baseline only, one of a file, or nothing, in one run."""
    np.savez(tmp_path / "start.npz", x=np.array([0.5, -0.5]))
    out, x = cubic["tf2"] / "out", [1.0, 2.0]
    rows = [{"x": x, "many": 1, **more} for more in (
        {}, {"target": 1}, {"baseline/x": [1.0, 1.0]}, {"target": 2, "baseline/x": 2.0}, {})]
    top = int(np.argmax(np.array(x) ** 3 @ WEIGHTS))
    for common, start in ((None, [0.0, 0.0]), (tmp_path / "start.npz", [0.5, -0.5])):
        found = ig_tf.attribute(out, rows, baselines=common)
        for result, (target, begin) in zip(found, (
                (top, start), (1, start), (top, [1, 1]), (2, [2, 2]), (top, start)), strict=True):
            expected = WEIGHTS[:, target] * (np.array(x) ** 3 - np.array(begin) ** 3)
            np.testing.assert_allclose(result.points[0].scores, expected, rtol=1e-12, atol=1e-12)
            assert result.target.index == target


def test_an_artifact_that_takes_no_choices_says_how_it_would(kinked, cubic, tmp_path):
    plain = again(cubic["tf2"] / "model", tmp_path / "plain", points=["x"], steps=2)
    row = {"x": [1.0, 2.0], "many": 1}
    for model, record, options, words in [
            (plain, {**row, "baseline/x": 1.0}, {}, r"no signature.*--custom=baseline/x "),
            (plain, row, {"row_error": 0.01}, r"row error 0.01.*--custom=refinement "),
            (plain, {**row, "class": 1}, {"target_column": "class"}, r"--custom=target "),
            (plain, row, {"target_column": "class"}, "no 'class'"),
            (kinked, {"x": [1.0], "baseline/x": 1.0}, {},
             r"it takes refinement.*--custom=baseline/x,refinement "),
            (cubic["tf2"] / "out", {**row, "baseline/y": 1.0}, {}, r"baseline/y.*points: x\)"),
            (cubic["tf2"] / "out", {**row, "target": "b"}, {}, "'target'.*int64"),
            (cubic["tf2"] / "out", {**row, "target": 3}, {}, "target out of range"),
            (cubic["tf2"] / "out", {**row, "baseline/x": [[1.0]]}, {}, r"shape \[1, 1\]"),
            (cubic["tf2"] / "out", row, {"baselines": tmp_path / "no.npz"}, "no.npz")]:
        with pytest.raises(RecordError, match=words):
            ig_tf.attribute(model, [record], **options)
    (result,) = ig_tf.attribute(plain, [{**row, "target": 1}])  # a column like any other
    assert result.inputs["target"] == 1


def test_inputs_that_were_a_queue(tmp_path):
    """What `tf.saved_model.load` refuses is opened in a session, the second signature too."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        rows = v1.FIFOQueue(9, [tf.float64], [[2]], name="queue").dequeue_up_to(4, name="rows")
        score = tf.matmul(rows ** 3, tf.constant(WEIGHTS), name="score")
        signature = v1.saved_model.build_signature_def(
            {}, {"score": v1.saved_model.build_tensor_info(score)}, "tensorflow/serving/predict")
        builder = v1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={
            "serving_default": signature})
        builder.save()
    out = again(tmp_path / "model", tmp_path / "out", custom=ALL, steps=2)
    (name,) = ig_tf.load(str(tmp_path / "model")).inputs()
    (result,) = ig_tf.attribute(out, [{name: [1.0, 2.0], "target": 2, f"baseline/{name}": 1.0}],
                                row_error=0.01)
    np.testing.assert_allclose(result.points[0].scores, WEIGHTS[:, 2] * [0, 7], rtol=1e-12)
    assert (result.status, result.target.index, result.steps) == ("converged", 2, 2)


def test_the_check_leaves_the_choices_alone(kinked):
    """It instruments again without them."""
    found = ig_tf.check(str(kinked), [{"x": [0.9]}, {"x": [0.1]}], max_steps=6)
    assert [row.status for row in found.rows] == ["capped", "baseline_equal"]


def test_a_rung_without_rows_costs_nothing():
    """The function sees each example as often as its rule has nodes, and no row besides."""
    seen, rules = [], ladder.rungs(quadrature.build("gauss_legendre", 2))

    def function(rows, extras):
        note = tf.py_function(lambda count: seen.append(int(count)), [tf.shape(rows[0])[0]], [])
        with tf.control_dependencies([note]):
            return [tf.reduce_sum(tf.identity(rows[0]) ** 4, 1) * extras["scale"]]

    @tf.function
    def run(x, refinement):
        scale = tf.range(1, tf.cast(tf.shape(x)[0], x.dtype) + 1)
        path = integrate.Path(function, None, [x], [tf.zeros_like(x)], {"scale": (scale, 0)},
                              (False,))
        return ladder.integrals(path, rules, refinement, 5)[0]

    x = tf.constant([[1.0], [2.0], [3.0], [4.0]], tf.float64)
    for rungs in ([0, 0, 0, 0], [1, 0, 1, 0], [2, 2, 0, 1]):
        seen.clear()
        found = run(x, tf.constant(rungs, tf.int64))
        assert sum(seen) == sum(rules[rung].steps for rung in rungs)
        expected = x ** 3 * [[1], [2], [3], [4]]  # the mean of 4 (alpha x)^3, exact with two nodes
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("saver", ["v1", "v2"])
def test_sparse_inputs(tmp_path, saver):
    """Their three arguments stand among the choices in the order that each loader wants."""
    def scores(x, d, weights):
        return tf.sparse.sparse_dense_matmul(x, weights) ** 2 + d[:, :1]

    SPARSE_SAVERS[saver](tmp_path / "m", scores, MATRIX, *NUMBERS)
    out = again(tmp_path / "m", tmp_path / "out", custom=("baseline/d", "target", "refinement"),
                steps=2)
    record = {"x": {"indices": [1, 4], "values": [2.0, -1.0]}, "d": [3.0, 1.0], "target": 2,
              "baseline/d": [1.0, 0.0]}
    (found,) = ig_tf.attribute(out, [record], row_error=0.01)
    pooled = 2 * MATRIX[1, 2] - MATRIX[4, 2]
    assert found.prediction == pytest.approx(pooled ** 2 + 3)
    assert found.baseline_prediction == pytest.approx(1)
    assert found.features["d"] == pytest.approx(2)
