"""The explained quantity: what is chosen, what can be named, and refusals whose advice works."""

import re

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from ig_tf import api
from ig_tf.errors import PointError, TargetError
from ig_tf.graph import work as working
from ig_tf.ig import targets
from ig_tf.model.model import Model

tf1 = tf.compat.v1


def model(**outputs):
    """A model of x [batch, 6] with these outputs: {name: function of x}; nothing is written."""
    proto = saved_model_pb2.SavedModel()
    with tf.Graph().as_default() as graph:
        x = tf1.placeholder(tf.float32, [None, 6], "x")
        made = {name: function(x) for name, function in outputs.items()}
        signature = tf1.saved_model.predict_signature_def({"x": x}, made)
        meta_graph = tf1.train.export_meta_graph(graph=graph)
    meta_graph.signature_def["serving_default"].CopyFrom(signature)
    proto.meta_graphs.add().CopyFrom(meta_graph)
    return Model("nowhere", proto, 0, "serving_default")


def resolved(given, text=None):
    """As `locate` does it, for examples along axis 0."""
    work = working.build(given)
    return targets.along(work, targets.resolve(work, text), 0)


def of_shape(*rest):
    """An output [batch, *rest] that depends on x; None where the graph does not tell."""
    def build(x):
        shape = [tf1.placeholder_with_default(2, []) if dim is None else dim for dim in rest]
        value = tf.reduce_sum(x, 1)
        for _ in rest:
            value = value[..., None]
        return tf.tile(tf.sin(value), tf.stack([1, *shape])) if rest else tf.sin(value)
    return build


def probabilities(x):
    return tf.nn.softmax(x[:, :3])


def logits(x):
    return x[:, :3] * 2


# What is chosen -------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs, expected", [
    ({"y": of_shape()}, ("y", None)),
    ({"y": of_shape(1)}, ("y", None)),
    ({"y": of_shape(4)}, ("y", "top")),
    ({"y": of_shape(None)}, ("y", "top")),
    ({"a_logits": logits, "z_softmax": probabilities}, ("z_softmax", "top")),
    ({"a": logits, "b": lambda x: tf.sigmoid(x[:, :1])}, ("b", None)),
    ({"a": lambda x: tf.sigmoid(x[:, :1]), "b": probabilities}, ("b", "top")),
    ({"a": logits, "b": lambda x: tf.reshape(tf.identity(probabilities(x)), [-1, 3])},
     ("b", "top")),
    ({"a": logits, "scores": logits}, ("scores", "top")),
    ({"scores": logits, "probabilities": logits}, ("probabilities", "top")),
    ({"a": lambda x: tf.argmax(x, 1), "b": logits}, ("b", "top")),
    ({"a": of_shape(3, 4), "b": logits}, ("b", "top")),
    ({"a": tf.reduce_sum, "b": logits}, ("b", "top")),
    ({"one": lambda x: x[:, 0], "two": lambda x: x[:, 1]}, ("one", None)),
])
def test_the_default(outputs, expected):
    target = resolved(model(**outputs))
    assert (target.output, target.index) == expected
    assert target.chosen.startswith(f"target {target.text()}")


def test_the_choice_names_what_else_was_possible():
    target = resolved(model(one=logits, two=probabilities, three=of_shape(2, 2)))
    assert target.chosen == "target two:top (also possible: one)"


# What can be named ----------------------------------------------------------------------------


@pytest.mark.parametrize("text, output, index", [
    ("flat", "flat", None),
    ("column", "column", None),
    ("column:0", "column", (0,)),
    ("column:top", "column", "top"),
    ("scores:top", "scores", "top"),
    ("scores:2", "scores", (2,)),
    ("grid:2,3", "grid", (2, 3)),
    ("ones", "ones", None),
    ("ones:0,0", "ones", (0, 0)),
    ("with:colon", "with:colon", None),
    ("with:colon:0", "with:colon", (0,)),
])
def test_a_target_by_name(text, output, index):
    given = model(flat=of_shape(), column=of_shape(1), scores=of_shape(3), grid=of_shape(3, 4),
                  ones=of_shape(1, 1), **{"with:colon": of_shape(1)})
    target = resolved(given, text)
    assert (target.output, target.index) == (output, index)
    assert target.chosen is None
    assert target.text() == text
    assert resolved(given, target.text()) == target
    assert api.instrument(given, target=text).recipe.target == target


def test_a_tensor_inside_the_model():
    given = model(y=lambda x: tf.nn.softmax(tf.identity(x[:, :3] * 2, "head/scores")))
    assert resolved(given, "head/scores:1").index == (1,)
    assert resolved(given, "head/scores:top").tensor == "head/scores:0"
    with pytest.raises(TargetError, match=r"'head/scores' has shape \[\?, 3\]"):
        resolved(given, "head/scores")


@pytest.mark.parametrize("text, expected", [
    ("y:top", "head/scores:top"), ("y:2", "head/scores:2"), ("z", "gate"), ("raw:1", None)])
def test_the_scores_behind_a_probability(text, expected):
    def squashed(x):
        return tf.reshape(tf.nn.softmax(tf.identity(x[:, :3], "head/scores")), [-1, 3])
    given = model(y=squashed, z=lambda x: tf.sigmoid(tf.identity(x[:, 0], "gate")),
                  raw=logits)
    work = working.build(given)
    assert targets.before_squashing(work, targets.resolve(work, text)) == expected
    if expected:
        assert targets.resolve(work, expected).text() == expected


# What is refused, and the advice --------------------------------------------------------------


def advised(message):
    """Each target that a message advises."""
    return [flag.rstrip(".,)") for flag in re.findall(r"--target=(\S+)", message)]


def refusal(given, text=None):
    with pytest.raises(TargetError) as caught:
        resolved(given, text)
    return str(caught.value)


@pytest.mark.parametrize("output, text, shape, advice", [
    (of_shape(3), "y", "[?, 3]", ["y:top", "y:0"]),
    (of_shape(None), "y", "[?, ?]", ["y:top", "y:0"]),
    (of_shape(3, 4), "y", "[?, 3, 4]", ["y:1,2"]),
    (of_shape(3, 4), None, "[?, 3, 4]", ["y:1,2"]),
    (of_shape(3, None), "y:top", "[?, 3, ?]", ["y:1,0"]),
    (of_shape(3, 4), "y:1", "[?, 3, 4]", ["y:1,2"]),
    (of_shape(3, 4), "y:1,1,1", "[?, 3, 4]", ["y:1,2"]),
    (of_shape(1, 1), None, "[?, 1, 1]", ["y:0,0"]),
    (of_shape(5, 1, 2), "y", "[?, 5, 1, 2]", ["y:2,0,1"]),
    (of_shape(), "y:0", "[?]", ["y"]),
    (of_shape(), "y:top", "[?]", ["y"]),
    (of_shape(1), "y:0,0", "[?, 1]", ["y:top", "y:0"]),
    (of_shape(3), "y:1,1", "[?, 3]", ["y:top", "y:0"]),
])
def test_a_shape_that_does_not_fit_is_named_and_the_advice_works(output, text, shape, advice):
    given = model(y=output)
    message = refusal(given, text)
    assert shape in message
    assert advised(message) == advice
    for flag in advice:
        assert api.instrument(given, target=flag).recipe.target.text() == flag


@pytest.mark.parametrize("text, number, most", [
    ("scores:3", 3, 2), ("scores:1000", 1000, 2), ("grid:3,0", 3, 2), ("grid:0,4", 4, 3)])
def test_an_index_out_of_range_says_the_range(text, number, most):
    given = model(scores=of_shape(3), grid=of_shape(3, 4))
    message = refusal(given, text)
    assert f"index {number} is out of range" in message and f"at most {most}" in message
    assert re.search(r"shape \[\?, 3(, 4)?\]", message)
    corrected = re.sub(rf"\b{number}\b", str(most), text)
    assert resolved(given, corrected).text() == corrected


@pytest.mark.parametrize("text", ["y:-1", "y:x", "y:1.5", "y:", "y:1,", "y:TOP", "y:1 2"])
def test_an_index_that_is_no_number(text):
    message = refusal(model(y=of_shape(3)), text)
    assert "neither `top` nor whole numbers" in message and repr(text) in message


@pytest.mark.parametrize("text", ["nothing", "nothing:top", "Y:0", "", ":0"])
def test_an_output_that_is_not_there_lists_those_that_are(text):
    message = refusal(model(y=of_shape(3), n=lambda x: tf.argmax(x, 1)), text)
    assert "y float32 [?, 3]" in message and "n int64 [?]" in message


def test_an_integer_output_lists_those_with_a_derivative():
    given = model(label=lambda x: tf.argmax(x, 1), scores=of_shape(3), word=tf.as_string)
    for text, dtype in (("label", "int64"), ("word:0", "string")):
        message = refusal(given, text)
        assert f"is {dtype}: a target needs a derivative" in message
        assert message.endswith("Floating-point outputs: scores [?, 3].")


def test_a_model_of_integers_only():
    given = model(label=lambda x: tf.argmax(x, 1))
    assert "no output has a derivative" in refusal(given) and "label int64 [?]" in refusal(given)
    assert "Floating-point outputs: none" in refusal(given, "label")


def test_a_number_for_the_whole_batch():
    given = model(loss=tf.reduce_sum)
    assert "scalar for the whole batch, shape []" in refusal(given, "loss")
    assert "loss float32 []" in refusal(given)


def test_no_advice_is_given_where_none_can_work():
    given = model(loss=tf.reduce_sum)
    for flag in advised(refusal(given)):
        resolved(given, flag)


def test_a_tensor_that_is_not_one():
    """A name at the end of several paths of calls (only inlined nodes may be named so)."""
    @tf.function
    def twice(x):
        return tf.identity(x * 2, "scores")

    given = model(a=lambda x: twice(twice(x)))
    message = refusal(given, "scores:top")
    assert "'scores' is not one tensor" in message


def test_a_target_that_depends_on_no_input_is_refused():
    given = model(y=lambda x: tf.zeros([tf.shape(x)[0], 2]))
    with pytest.raises(PointError, match="depends on no floating-point place"):
        api.locate(given)
