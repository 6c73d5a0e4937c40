"""One attribution per place of an output's axis ([batch, output, input]), and reductions of axes.

Each place is compared with an export of that place alone, reductions with the brute force of
brute_force.py: one example and one node at a time, from the same nodes.
"""

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import GraphError, TargetError
from ig_tf.ig import index as indices
from ig_tf.ig.runtime import RuntimeProfile
from ig_tf.run import results
from tests import builders, zoo_inputs
from tests.brute_force import assert_close, brute_force
from tests.builders import matrix

STEPS, CLOSE = 5, 1e-12
TABLE = np.sin(np.arange(24.0)).reshape(6, 4)
IDS = np.random.default_rng(2).integers(0, 6, (3, 4))


def tagger(ids):
    """[batch, time] to [batch, time, 3]: each tag sees all words before it."""
    words = tf.gather(tf.constant(TABLE), ids)
    states = tf.tanh(tf.cumsum(words, 1) @ matrix(4, 5))
    return {"tags": tf.nn.softmax(states @ matrix(5, 3)), "sizes": tf.reduce_sum(states ** 2, 2),
            "turned": tf.transpose(tf.tanh(states @ matrix(5, 3)), [0, 2, 1])}


@pytest.fixture(scope="module", name="saved")
def fixture_saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("positions")
    return builders.save_tf2(folder / "model", tagger,
                             {"ids": builders.spec([None, None], tf.int64)})


@pytest.mark.parametrize("target, at", [
    ("tags:each,top", "tags:{},top"), ("tags:each,2", "tags:{},2"), ("sizes:each", "sizes:{}"),
    ("turned:1,each", "turned:1,{}"), ("tags:each,2-each,0", "tags:{0},2-{0},0"),
    ("tags:each,max", "tags:{},max")])
def test_each_place_is_what_it_is_by_itself(saved, tmp_path, target, at):
    made = builders.explain(saved, tmp_path / "each", target=target, steps=STEPS)
    assert made.plan.recipe.target.text() == target
    assert "one per place along axis" in made.plan.described()["target"]["rows"]
    found = made.run(ids=IDS)
    name = made.plan.recipe.points[0].name
    assert found[f"attributions/{name}"].shape == (3, 4, 4)
    assert found["prediction"].shape == (3, 4)
    place = 2
    one = builders.explain(saved, tmp_path / "one", target=at.format(place), steps=STEPS)
    one = one.run(ids=IDS)
    for key, value in found.items():
        if key == "target_index" and "top" not in target:
            continue  # of one place the index says the place too
        np.testing.assert_allclose(value[:, place], one[key], rtol=1e-9, atol=CLOSE, err_msg=key)
    later = np.abs(found[f"attributions/{name}"])[:, 1, 2:]
    assert not later.any()  # no tag sees the words behind it


def test_lengths_come_with_the_request(saved, tmp_path):
    run = builders.explain(saved, tmp_path / "each", target="tags:each,top", steps=STEPS).run
    for shape in ((2, 1), (1, 6), (3, 3), (0, 2)):
        ids = np.random.default_rng(5).integers(0, 6, shape)
        found = run(ids=ids)
        assert found["prediction"].shape == shape
        if shape[0]:
            assert found["attributions/ids"].shape == (*shape, shape[1])
            assert found["completeness_error"].max() < 1e-3


def test_compiled_and_by_the_pilot(saved, tmp_path):
    """XLA gives the same numbers; the pilot's nodes and finer ones come nearer to no error."""
    plain = builders.explain(saved, tmp_path / "plain", target="tags:each,top", steps=8)
    plain = plain.run(ids=IDS)
    compiled = builders.explain(saved, tmp_path / "xla", target="tags:each,top", steps=8,
                                runtime=RuntimeProfile("x", xla=True, batch_buckets=(1, 4),
                                                       lengths=(4, 5)))
    assert compiled.plan.described()["runtime"]["xla"] is True
    found = compiled.run(ids=IDS)
    for key, value in plain.items():
        np.testing.assert_allclose(found[key], value, atol=CLOSE, err_msg=key)
    custom = builders.explain(saved, tmp_path / "custom", target="tags:each,top", steps=8,
                              rule="pilot:5", custom=("refinement",))
    finer = builders.open_v2(custom.path, "attributions_custom")(ids=IDS, refinement=[0, 1, 2])
    np.testing.assert_allclose(finer["attributions/ids"], plain["attributions/ids"], atol=1e-5)
    coarse = custom.run(ids=IDS)  # cells of two nodes are of order 4: 16 times as many, 1e-4 left
    np.testing.assert_array_equal(finer["prediction"], coarse["prediction"])
    assert finer["completeness_error"][2].max() < 1e-3 * coarse["completeness_error"][2].max()


def coupled(ids):
    words = tf.gather(tf.constant(TABLE), ids)
    words += tf.cos(words - tf.reduce_mean(words, 0, keepdims=True))
    return tf.tanh(tf.cumsum(words, 1) @ matrix(4, 2))


def test_examples_alone(tmp_path):
    builders.save_tf1(tmp_path / "model", coupled, {"ids": builders.spec([None, None], tf.int64)})
    made = builders.explain(tmp_path / "model", tmp_path / "each", target="score:each,1",
                            steps=STEPS)
    assert made.plan.described()["chunking"]["mode"].startswith("one example")
    found = made.run(ids=IDS)
    one = builders.explain(tmp_path / "model", tmp_path / "one", target="score:2,1", steps=STEPS)
    one = one.run(ids=IDS)
    for key in ("prediction", "attributions/ids", "features/ids"):
        np.testing.assert_allclose(found[key][:, 2], one[key], rtol=1e-9, atol=CLOSE)


def test_fewer_places_alone_than_in_the_batch(tmp_path):
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
        ["a", "b"], tf.constant([1, 2], tf.int64)), 0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def serve(text):
        words = tf.strings.split(text).to_sparse()
        return {"score": coupled(tf.sparse.to_dense(tf.sparse.SparseTensor(
            words.indices, module.table.lookup(words.values), words.dense_shape)))}

    module.serve = serve
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=serve)
    made = builders.explain(tmp_path / "model", tmp_path / "each", target="score:each,1", steps=2)
    assert made.run(text=[b"a b", b"b b"])["prediction"].shape == (2, 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="score:each,1.*only.*places"):
        made.run(text=[b"a", b"b b a"])


def test_time_first(tmp_path):
    """[time, batch, ...]: the place is along the time, whichever axis the examples have."""
    def model(x):
        return tf.tanh(tf.cumsum(x, 0) @ matrix(4, 3))

    builders.save_tf2(tmp_path / "model", model, {"x": builders.spec([5, None, 4])})
    x = np.random.default_rng(3).normal(size=(5, 2, 4))
    made = builders.explain(tmp_path / "model", tmp_path / "each", target="score:each,1",
                            steps=STEPS)
    assert made.plan.recipe.target.axis == 1
    found = made.run(x=x)
    one = builders.explain(tmp_path / "model", tmp_path / "one", target="score:2,1", steps=STEPS)
    np.testing.assert_allclose(found["attributions/x"][:, 2], one.run(x=x)["attributions/x"],
                               atol=CLOSE)


def test_a_result_for_each_place(saved, tmp_path):
    made = builders.explain(saved, tmp_path / "each", target="tags:each,top", steps=STEPS)
    ig_tf.attribute(made.path, [{"ids": row, "id": f"r{place}"} for place, row in enumerate(IDS)],
                    tmp_path / "out.jsonl", labels=["N", "V", "O"])
    _, found = results.read(tmp_path / "out.jsonl")
    whole = made.run(ids=IDS)
    assert len(found) == 3 * 4
    for number, row in enumerate(found):
        example, place = divmod(number, 4)
        top = int(whole["target_index"][example, place])
        assert (row.id, row.target.index) == (f"r{example}", (place, top))
        assert (row.target.output, row.target.label) == ("tags", "NVO"[top])
        np.testing.assert_allclose(row.points[0].scores, whole["attributions/ids"][example, place])


# Reductions ------------------------------------------------------------------------------------


def detector(x):
    """A map [batch, 2, 3, 2] of what was found where."""
    found = tf.tanh(tf.reshape(tf.tanh(x @ matrix(4, 6)) @ matrix(6, 12), [-1, 2, 3, 2]) * 3)
    return {"map": found, "scores": found[:, 0, 0] ** 2}


REDUCED = {
    "map:max": lambda found: tf.reduce_max(found, [1, 2, 3]),
    "map:max,max,1": lambda found: tf.reduce_max(found[..., 1], [1, 2]),
    "map:sum": lambda found: tf.reduce_sum(found, [1, 2, 3]),
    "map:mean,0,sum": lambda found: tf.reduce_sum(tf.reduce_mean(found, 1)[:, 0], 1),
    "map:max,mean,0": lambda found: tf.reduce_mean(tf.reduce_max(found[..., 0], 1), 1),
    "map:max,max,1-max,max,0": lambda found: (tf.reduce_max(found[..., 1], [1, 2])
                                              - tf.reduce_max(found[..., 0], [1, 2])),
}
X = np.random.default_rng(7).normal(size=(4, 4)) * 2


@pytest.mark.parametrize("target", REDUCED)
def test_reductions_by_brute_force(target, tmp_path):
    made = builders.build(tmp_path, detector, {"x": builders.spec([None, 4])}, steps=STEPS,
                          target=target)

    def one(x):
        return REDUCED[target](detector(x)["map"])

    found = made.run(x=X)
    assert_close(found, brute_force(one, {"x": X}, steps=STEPS))
    np.testing.assert_allclose(found["prediction"], one(X), rtol=1e-12)
    described = made.plan.described()["target"]
    words = [word for word in indices.REDUCTIONS if word in target]
    assert described["text"] == target and len(described["meanings"]) == len(words)
    assert all(meaning.startswith(tuple(words)) for meaning in described["meanings"])


def test_the_maximum_is_not_pinned(tmp_path):
    """max(x, 1 - x) from 0 to 0.8 changes by -0.2 only if the maximum may move along the path."""
    made = builders.build(tmp_path, lambda x: tf.concat([x, 1 - x], 1), {
        "x": builders.spec([None, 1])}, steps=64, target="score:max")
    found = made.run(x=[[0.8]])
    np.testing.assert_allclose(found["attributions/x"], [[-0.2]], atol=0.02)
    pinned = builders.explain(tmp_path / "model", tmp_path / "top", target="score:top", steps=8)
    np.testing.assert_allclose(pinned.run(x=[[0.8]])["attributions/x"], [[0.8]], atol=1e-12)


def test_classes_of_a_reduced_map(tmp_path):
    """The highest class of a map, pinned at x; a result names class and reduction."""
    made = builders.build(tmp_path, detector, {"x": builders.spec([None, 4])}, steps=STEPS,
                          target="map:max,max,all")
    found = made.run(x=X)
    for place in (0, 1):
        one = builders.explain(tmp_path / "model", tmp_path / str(place), steps=STEPS,
                               target=f"map:max,max,{place}").run(x=X)
        np.testing.assert_array_equal(found["target_index"][:, place], one["target_index"])
        np.testing.assert_allclose(found["attributions/x"][:, place], one["attributions/x"],
                                   atol=CLOSE)
    rows = ig_tf.attribute(made.path, [{"x": row} for row in X], labels=["cat", "dog"])
    assert len(rows) == 8
    assert rows[1].target.text() == "map:max,max[1]" and rows[1].target.label == "dog"


@pytest.mark.parametrize("target, message", [
    ("map:max,max", "needs 3"), ("map:each,each,0", "more than one `each`"),
    ("map:top,all,0", "more than one choice"), ("map:each,0,top2", "too many at once"),
    ("scores:each,0-0,each", "same place"), ("map:median", "neither `top`"),
    ("scores:top3", "scores"), ("map:0,0,top3", "index top3 is out of range.*at most 2")])
def test_refusals(target, message, tmp_path):
    builders.save_tf2(tmp_path / "model", detector, {"x": builders.spec([None, 4])})
    with pytest.raises(TargetError, match=message):
        ig_tf.instrument(ig_tf.load(str(tmp_path / "model")), target=target)


def test_a_request_cannot_choose_of_what_is_reduced(tmp_path):
    builders.save_tf2(tmp_path / "model", lambda x: x * x, {"x": builders.spec([None, 4])})
    model = ig_tf.load(str(tmp_path / "model"))
    for target, message in (("score:max", "one number of several"),
                            ("score:each", "explains several numbers")):
        with pytest.raises(TargetError, match=message):
            ig_tf.instrument(model, target=target, custom=("target",))


def test_places_of_what_is_folded_already(tmp_path):
    builders.save_tf2(tmp_path / "model", lambda x: tf.tanh(tf.reshape(x, [-1, 3])),
                      {"x": builders.spec([None, 2, 3])})
    model = ig_tf.load(str(tmp_path / "model"))
    with pytest.raises((TargetError, GraphError), match="another such axis"):
        ig_tf.instrument(model, target="score:each")
    with pytest.raises(TargetError, match="too many at once"):
        ig_tf.instrument(model, target="score:all")


# Real models -----------------------------------------------------------------------------------


def test_the_notes_of_basic_pitch(zoo, zoo_model, tmp_path):
    """Three outputs [batch, time, pitch]: each pitch at one time is what it is by itself."""
    fed = zoo_inputs.inputs(zoo, "basic_pitch")
    each, one = (builders.explain(zoo_model("basic_pitch"), tmp_path / name, steps=1, target=target)
                 for name, target in (("each", "note:86,each"), ("one", "note:86,48")))
    found, alone = each.run(**fed), one.run(**fed)
    assert found["prediction"].shape == (1, 88) and int(found["prediction"].argmax()) == 48
    for key in ("attributions/input_2", "prediction", "baseline_prediction"):
        largest = np.abs(alone[key]).max()
        np.testing.assert_allclose(found[key][:, 48], alone[key], rtol=0, atol=1e-4 * largest)
