"""Where attribution belongs, on small graphs: the frontier, points by name, refusals."""

import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from ig_tf import api
from ig_tf.errors import IgTfError, PointError
from ig_tf.model.model import Model
from ig_tf.points.names import hinted
from ig_tf.points.point import unique_names

tf1 = tf.compat.v1

FLOAT = (tf.float32, [None, 4])
IDS = (tf.int64, [None, 5])
FLOAT_IDS = (tf.float32, [None, 5])
NUMBER = (tf.float32, [None])


def model(build, **inputs):
    """A model of these inputs {name: (dtype, shape)} with the output `y`; nothing is written."""
    proto = saved_model_pb2.SavedModel()
    with tf.Graph().as_default() as graph:
        given = {name: tf1.placeholder(dtype, shape, name)
                 for name, (dtype, shape) in inputs.items()}
        made = build(**given)
        signature = tf1.saved_model.predict_signature_def(given, {"y": made})
        meta_graph = tf1.train.export_meta_graph(graph=graph)
    meta_graph.signature_def["serving_default"].CopyFrom(signature)
    proto.meta_graphs.add().CopyFrom(meta_graph)
    return Model("nowhere", proto, 0, "serving_default")


def cut(given, points="auto"):
    return api.locate(given, points=points).cut


def table(name="table", rows=10, width=3, resource=True):
    return tf1.get_variable(name, initializer=np.ones((rows, width), np.float32),
                            use_resource=resource)


def total(x):
    return tf.reduce_sum(tf.sin(x), list(range(1, x.shape.rank)))


def summary(found):
    """{point name: (kind, tensor, features)}."""
    return {point.name: (point.kind, point.tensor, point.features) for point in found.points}


def held(found, word):
    """The sentences on what is held constant that speak of a tensor or input."""
    return [text for text in found.held_constant if re.search(rf"\b{re.escape(word)}\b", text)]


# The frontier ---------------------------------------------------------------------------------


def test_a_dense_input():
    found = cut(model(total, x=FLOAT))
    assert summary(found) == {"x": ("dense", "x:0", ("x",))}
    (point,) = found.points
    assert (point.shape, point.dtype) == ((None, 4), "float32")
    assert found.held_constant == found.misses == ()


def test_several_dense_inputs_of_which_one_is_not_used():
    found = cut(model(lambda a, b, c: total(a) + b, a=FLOAT, b=NUMBER, c=NUMBER))
    assert summary(found) == {"a": ("dense", "a:0", ("a",)), "b": ("dense", "b:0", ("b",))}
    assert held(found, "c") == ["input c: no chosen point depends on it"]


@pytest.mark.parametrize("channels, kind", [(3, "image"), (1, "image"), (16, "dense")])
def test_a_picture_has_few_channels(channels, kind):
    found = cut(model(total, x=(tf.float32, [None, 8, 8, channels])))
    assert [point.kind for point in found.points] == [kind]


@pytest.mark.parametrize("resource", [True, False])
def test_ids_are_attributed_where_they_are_looked_up(resource):
    found = cut(model(lambda ids: total(tf.gather(table(resource=resource), ids, name="look")),
                      ids=IDS))
    assert summary(found) == {"ids": ("tokens", "look:0", ("ids",))}
    (point,) = found.points
    assert (point.table, point.tokens, point.shape) == ("table", "ids:0", (None, 5, 3))


def test_float_ids_are_ids():
    found = cut(model(lambda ids: total(tf.gather(table(), tf.cast(ids, tf.int32), name="look")),
                      ids=FLOAT_IDS))
    assert summary(found) == {"ids": ("tokens", "look:0", ("ids",))}


def test_float_ids_also_used_as_numbers_are_held():
    def build(ids):
        rounded = tf.cast(ids, tf.int32)
        scale = tf.cast(rounded, tf.float32, name="scale")
        return total(tf.gather(table(), rounded)) + tf.reduce_sum(scale, 1)
    found = cut(model(build, ids=FLOAT_IDS))
    assert [point.kind for point in found.points] == ["tokens"]
    assert held(found, "scale") == [
        "scale:0: ids as numbers; they are attributed where they are looked up"]


def test_strings_are_the_tokens_of_their_hashes():
    def build(words):
        ids = tf.strings.to_hash_bucket_fast(tf.strings.lower(words), 10)
        return total(tf.gather(table(), ids))
    (point,) = cut(model(build, words=(tf.string, [None, 5]))).points
    assert (point.name, point.kind, point.tokens) == ("words", "tokens", "words:0")


def test_one_id_per_example():
    (point,) = cut(model(lambda ids: total(tf.gather(table(), ids)), ids=(tf.int64, [None]))).points
    assert (point.kind, point.tokens, point.table) == ("tokens", "ids:0", "table")
    assert (point.vocabulary, point.dimension, point.ids) == (10, 3, "ids:0")


def test_a_one_hot_of_a_category():
    found = cut(model(lambda c: total(tf.one_hot(c, 6, name="hot") @ table(rows=6)),
                      c=(tf.int64, [None])))
    assert summary(found) == {"c": ("one_hot", "hot:0", ("c",))}


def test_a_number_that_is_used_both_as_it_is_and_bucketized():
    def build(x):
        buckets = tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.0, 1.0])
        return tf.sin(x) + total(tf.one_hot(buckets, 4, name="hot") @ table(rows=4))
    found = cut(model(build, x=NUMBER))
    assert summary(found) == {"x": ("dense", "x:0", ("x",)),
                              "x_bucketized": ("one_hot", "hot:0", ("x",))}
    assert not found.held_constant


def test_masks_are_held_constant():
    def build(ids):
        mask = tf.cast(tf.not_equal(ids, 0), tf.float32, name="mask")
        return total(tf.gather(table(), ids) * mask[:, :, None])
    found = cut(model(build, ids=IDS))
    assert [point.kind for point in found.points] == ["tokens"]
    assert held(found, "mask") == ["mask:0: a mask, length or count"]


def test_lengths_are_held_constant():
    def build(x, length):
        mask = tf.cast(tf.sequence_mask(length, 4), tf.float32, name="mask")
        return tf.reduce_sum(x * mask, 1)
    found = cut(model(build, x=FLOAT, length=(tf.int32, [None])))
    assert set(summary(found)) == {"x"}
    assert held(found, "mask") and held(found, "length")


def test_an_integer_that_is_a_quantity_is_attributed_as_one():
    found = cut(model(lambda n: tf.sin(tf.cast(n, tf.float32, name="number")),
                      n=(tf.int32, [None])))
    assert summary(found) == {"n": ("dense", "number:0", ("n",))}


def test_a_count_of_ids_is_no_quantity():
    def build(ids):
        count = tf.cast(tf.reduce_sum(tf.cast(ids > 0, tf.int32), 1), tf.float32, name="count")
        return total(tf.gather(table(), ids)) / (count + 1)
    found = cut(model(build, ids=IDS))
    assert set(summary(found)) == {"ids"}
    assert held(found, "count") == ["count:0: a mask, length or count"]


def test_a_scalar_is_held_constant():
    found = cut(model(lambda x, keep_prob: total(x / keep_prob), x=FLOAT,
                      keep_prob=(tf.float32, [])))
    assert set(summary(found)) == {"x"}
    assert "keep_prob:0: a scalar" in found.held_constant


def test_two_lookups_of_one_table():
    def build(query, document):
        shared = table("words")
        return total(tf.gather(shared, query)) * total(tf.gather(shared, document))
    found = cut(model(build, query=IDS, document=IDS))
    assert {point.name: (point.table, point.features) for point in found.points} == {
        "query": ("words", ("query",)), "document": ("words", ("document",))}


def test_two_lookups_of_one_feature_have_names_of_their_own():
    def build(ids):
        return total(tf.gather(table("deep"), ids)) + total(tf.gather(table("wide"), ids))
    found = cut(model(build, ids=IDS))
    assert {point.name for point in found.points} == {"ids", "ids_2"}
    assert {point.table for point in found.points} == {"deep", "wide"}


@pytest.mark.parametrize("positions", [
    lambda ids: tf.range(5), lambda ids: tf.range(tf.shape(ids)[1])])
def test_a_position_embedding_is_a_miss(positions):
    def build(ids):
        places = tf.gather(table("places"), positions(ids), name="place")
        return total(tf.gather(table(), ids, name="look") + places)
    found = cut(model(build, ids=IDS))
    assert summary(found) == {"ids": ("tokens", "look:0", ("ids",))}
    (miss,) = found.misses
    assert miss.startswith("place:") and "position" in miss


def test_a_feature_cross_names_both():
    def build(a, b):
        crossed = tf.strings.to_hash_bucket_fast(tf.strings.join([a, b]), 10)
        return total(tf.gather(table(), crossed))
    (point,) = cut(model(build, a=(tf.string, [None]), b=(tf.string, [None]))).points
    assert (point.name, point.features) == ("a_X_b", ("a", "b"))


@pytest.mark.parametrize("round_, op", [(tf.round, "Round"), (tf.floor, "Floor"),
                                        (tf.sign, "Sign"), (tf.math.rint, "Rint")])
def test_a_derivative_that_is_zero_everywhere_stops_the_walk(round_, op):
    (point,) = cut(model(lambda x: total(round_(x)), x=FLOAT)).points
    assert point.tensor == f"{op}:0"


def test_stop_gradient_does_not_stop_the_walk():
    found = cut(model(lambda x: total(x * tf.stop_gradient(x)), x=FLOAT))
    assert summary(found) == {"x": ("dense", "x:0", ("x",))}


def test_features_of_parsed_examples():
    def build(serialized):
        parsed = tf.io.parse_example(serialized, {
            "age": tf.io.FixedLenFeature([1], tf.float32),
            "words": tf.io.FixedLenFeature([3], tf.string)})
        ids = tf.strings.to_hash_bucket_fast(parsed["words"], 10)
        return total(parsed["age"]) + total(tf.gather(table(), ids))
    found = cut(model(build, serialized=(tf.string, [None])))
    assert {name: kind for name, (kind, *_) in summary(found).items()} == {
        "age": "dense", "words": "tokens"}


def test_each_path_crosses_the_cut_once():
    """Points one after another, and through what makes ids of a point's own value."""
    def build(x):
        hidden = tf.tanh(x)
        ids = tf.cast(tf.abs(hidden) * 5, tf.int32)
        return total(hidden) + total(tf.gather(table(), ids, name="look"))
    found = cut(model(build, x=FLOAT))
    assert summary(found) == {"x": ("dense", "x:0", ("x",)),
                              "x_embedding": ("tokens", "look:0", ("x",))}


def test_no_place_of_attribution_at_all():
    with pytest.raises(PointError, match="no floating-point place.*mask:0: a mask, length"):
        cut(model(lambda x: tf.cast(tf.reduce_any(x > 0, 1), tf.float32, name="mask"), x=FLOAT))


# Points by name -------------------------------------------------------------------------------


def layered(x, ids, unused):
    hidden = tf.nn.relu(tf.matmul(x, table("first", 4, 3)), "layer/hidden")
    words = tf.reduce_mean(tf.gather(table(), ids, name="look"), 1, name="mean")
    side = tf.square(unused, name="side")
    return tf.reduce_sum(hidden * words, 1) + 0 * tf.cast(tf.shape(side)[0], tf.float32)


@pytest.fixture(name="given", scope="module")
def fixture_given():
    return model(layered, x=FLOAT, ids=IDS, unused=FLOAT)


@pytest.mark.parametrize("names, tensors", [
    (["x"], ["x:0"]),
    (["x:0"], ["x:0"]),
    (["ids"], ["look:0"]),
    (["look"], ["look:0"]),
    (["look:0", "x"], ["look:0", "x:0"]),
    (["layer/hidden"], ["layer/hidden:0"]),
    (["layer/hidden:0", "mean"], ["layer/hidden:0", "mean:0"]),
])
def test_points_by_name(given, names, tensors):
    found = cut(given, names)
    assert [point.tensor for point in found.points] == tensors
    assert api.instrument(given, points=names).cut == found


def test_a_chosen_point_keeps_what_is_known_of_it(given):
    auto = {point.tensor: point for point in cut(given).points}
    found = cut(given, ["look", "x:0"]).points
    assert len(found) == 2
    for point in found:
        assert point == auto[point.tensor]


def test_what_no_chosen_point_covers_is_held_and_named(given):
    found = cut(given, ["x"])
    assert held(found, "look") == ["look:0: not among the chosen points"]
    assert held(found, "ids") == ["input ids: no chosen point depends on it"]
    assert held(found, "unused") == ["input unused: no chosen point depends on it"]
    assert not held(found, "x")


def test_what_lies_behind_a_chosen_point_is_not_held(given):
    found = cut(given, ["layer/hidden", "mean"])
    assert not held(found, "x") and not held(found, "look")


def refusal(given, *names):
    with pytest.raises(PointError) as caught:
        cut(given, list(names))
    return str(caught.value)


def test_an_unknown_name_lists_points_and_inputs(given):
    message = refusal(given, "nonsense")
    assert "'nonsense'" in message
    assert "Points: x, ids" in message and "signature inputs: ids, unused, x" in message


@pytest.mark.parametrize("name", ["x:1", "look:7", "layer/hidden:1"])
def test_an_output_that_an_op_does_not_have(given, name):
    assert name in refusal(given, name)


def test_an_integer_point_has_no_derivative(given):
    assert "'ids:0' is int64" in refusal(given, "ids:0")


def test_a_string_point_has_no_derivative():
    def build(words):
        return total(tf.gather(table(), tf.strings.to_hash_bucket_fast(words, 10)))
    message = refusal(model(build, words=(tf.string, [None, 5])), "words:0")
    assert "'words:0' is string" in message and "--points=auto" in message


@pytest.mark.parametrize("name", ["unused", "side"])
def test_a_point_of_which_only_the_shape_counts(given, name):
    message = refusal(given, name)
    assert "'Shape'" in message and "op Shape" in message


@pytest.mark.parametrize("name", ["unused", "side"])
def test_the_path_from_such_a_point_is_shown(given, name):
    assert f"{name} -> " in refusal(given, name) and "-> Shape -> " in refusal(given, name)


def test_a_point_that_leads_nowhere():
    given = model(lambda x, other: total(x), x=FLOAT, other=FLOAT)
    message = refusal(given, "other")
    assert "does not depend on point 'other:0'" in message and "leads to nothing" in message


def through_round(x):
    return total(tf.round(tf.tanh(x, name="bend"), name="whole"))


def through_argmax(x):
    best = tf.argmax(x, 1, name="best")
    return tf.cast(best, tf.float32, name="number") * 2


def through_comparison(x):
    return tf.reduce_sum(tf.cast(tf.greater(x, 0, name="above"), tf.float32, name="mask"), 1)


def through_buckets(x):
    ids = tf.raw_ops.Bucketize(input=x, boundaries=[0.0], name="bucket")
    return total(tf.gather(table(), ids, name="look"))


@pytest.mark.parametrize("build, culprit, path", [
    (through_round, "Round 'whole'", "x -> bend -> whole -> "),
    (through_argmax, "(Cast 'number'|ArgMax 'best')", "x -> best -> number -> "),
    (through_comparison, "(Cast 'mask'|Greater 'above')", "x -> above -> mask -> "),
    (through_buckets, "(GatherV2|ResourceGather) 'look|Bucketize 'bucket'", "x -> bucket -> look"),
])
def test_a_point_without_gradient_names_what_cuts_it(build, culprit, path):
    message = refusal(model(build, x=FLOAT), "x:0")
    assert "'x:0' has no gradient to the target" in message
    assert re.search(rf"op ({culprit}).* cuts it", message), message
    assert f"The path is {path}" in message


def test_nested_points(given):
    for names in (["x", "layer/hidden"], ["layer/hidden", "x"], ["mean", "ids"]):
        message = refusal(given, *names)
        assert "lies behind point" in message and "counted twice" in message


@pytest.mark.parametrize("names", [["x", "x"], ["x", "x:0"], ["ids", "look"]])
def test_a_point_that_is_named_twice_is_counted_once(given, names):
    try:
        found = cut(given, names)
    except IgTfError:
        return
    assert len(found.points) == 1


def test_names_are_made_for_keys():
    assert unique_names(["a/b:0", "a b 0", "a_b_0", "é", "", "x.y-z_1"]) == [
        "a_b_0", "a_b_0_2", "a_b_0_3", "point", "point_2", "x.y-z_1"]


def test_suffixes_do_not_collide_with_names():
    names = unique_names(["a", "a", "a_2", "a"])
    assert len(set(names)) == 4 and names[0] == "a"


@pytest.mark.parametrize("node, features, column", [
    ("dnn/input_layer/job_embedding/weights/embedding_lookup_sparse:0", ["job"], "job_embedding"),
    ("linear/linear_model/linear_model_1/age_bucketized/w", ["age"], "age_bucketized"),
    ("m/dense_features_2/a_X_b_indicator/one_hot:0", ["a", "b"], "a_X_b_indicator"),
    ("input_layer/away_home_shared_embedding_1/lookup:0", ["home"], "home_shared_embedding"),
    ("input_layer/concat:0", ["job"], None), ("tower/job_embedding/lookup:0", ["job"], None),
    ("input_layer/max_pool/x:0", ["max_pooling"], None)])
def test_scopes_are_a_hint_only(node, features, column):
    """What stands under a container of columns, and only if it agrees with the features."""
    assert hinted([node], features) == column
