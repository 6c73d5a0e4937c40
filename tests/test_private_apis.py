"""The private TensorFlow APIs that graph analysis stands on behave as it relies on."""

import re

import pytest
import tensorflow as tf
from google.protobuf import message

from ig_tf.errors import GraphError

TRIED = ("2.16", "2.21")
MOVED = (f"TensorFlow {tf.__version__}: a private API that ig_tf/graph/registry.py or "
         "ig_tf/model/ops.py relies on is gone or behaves otherwise; it was tried on "
         f"{TRIED[0]} to {TRIED[1]}. Mend the one file that uses it, and say so there")

try:
    from ig_tf.graph import registry
    from ig_tf.model import ops
except (ImportError, AttributeError) as error:
    pytest.fail(f"{MOVED}: {error}", pytrace=False)

tf1 = tf.compat.v1
FLOAT = tf.float32.as_datatype_enum


def relied_on(holds, what):
    assert holds, f"{MOVED}: {what}"


def test_the_versions_tried_are_those_of_the_module():
    for module in (registry, ops):
        stated = re.search(r"TensorFlow (\S+) to (\S+);", module.__doc__)
        assert stated and stated.groups() == TRIED


@pytest.mark.parametrize("op_type", ["MatMul", "ParseExampleV2", "While", "StatefulPartitionedCall",
                                     "VarHandleOp", "TensorArrayGatherV3", "ResourceGather"])
def test_an_op_is_found_by_its_name(op_type):
    found = registry.op_def(op_type)
    relied_on(isinstance(found, message.Message), f"op_def_registry.get gives {type(found)}")
    relied_on(found.name == op_type, f"op_def_registry.get({op_type!r}) gives {found.name!r}")
    relied_on(registry.is_known(op_type), "a registered op is not known")


def test_an_unknown_op_is_none_and_refused_by_name():
    relied_on(not registry.is_known("NoSuchOpAnywhere"), "an unknown op is found")
    with pytest.raises(GraphError, match="'NoSuchOpAnywhere' is not known to this TensorFlow"):
        registry.op_def("NoSuchOpAnywhere")


@pytest.mark.parametrize("op_type, runs", [("MatMul", True), ("RestoreV2", True),
                                           ("TPUReplicateMetadata", False)])
def test_whether_an_op_has_a_kernel(op_type, runs):
    relied_on(ops.has_kernel(op_type) is runs, f"get_registered_kernels_for_op({op_type!r})")


@pytest.mark.parametrize("op_type, stateful", [
    ("Add", False), ("MatMul", False), ("Const", False), ("StatelessWhile", False),
    ("RandomUniform", True), ("AssignAddVariableOp", True), ("PrintV2", True), ("While", True),
    ("QueueDequeueV2", True)])
def test_whether_an_op_is_stateful(op_type, stateful):
    relied_on(registry.is_stateful(op_type) is stateful, f"is_stateful of {op_type}")


def operations(build):
    """{op type: op} of a graph."""
    with tf.Graph().as_default() as graph:
        x = tf1.placeholder(tf.float32, [None, 3])
        build(x)
    return {op.type: op for op in graph.get_operations()}


def several_ops(x):
    table = tf1.get_variable("table", [4, 2], use_resource=True)
    tf.nn.embedding_lookup(table, tf.argmax(x, 1))
    tf.matmul(tf.nn.relu(x), x, transpose_b=True)
    tf.raw_ops.Bucketize(input=x, boundaries=[0.0])
    tf.cast(tf.round(x), tf.int32)
    tf.strings.to_hash_bucket_fast(tf.as_string(x), 10)
    tf.where(x > 0)
    tf.one_hot(tf.argmax(x, 1), 3)


@pytest.mark.parametrize("op_type, has", [
    ("MatMul", True), ("Relu", True), ("ResourceGather", True), ("Cast", True), ("Round", True),
    ("Greater", False), ("Where", False), ("OneHot", False), ("Const", False),
    ("Placeholder", False), ("VarHandleOp", False)])
def test_declared_gradients(op_type, has):
    """A gradient function, or one declared not to exist (None): both are registered."""
    found = registry.has_gradient(operations(several_ops)[op_type])
    relied_on(found is has, f"has_gradient of {op_type} is {found}")


@pytest.mark.parametrize("op_type", ["Bucketize", "StringToHashBucketFast", "AsString"])
def test_ops_without_a_registered_gradient(op_type):
    found = registry.has_gradient(operations(several_ops)[op_type])
    relied_on(found is False, f"has_gradient of {op_type} is {found}, and no error")


def test_what_has_a_gradient_can_be_differentiated_and_what_has_none_cannot():
    """The registry agrees with tf.gradients, for each op of the graph."""
    with tf.Graph().as_default():
        x = tf1.placeholder(tf.float32, [None, 3])
        for op, expected in ((tf.sin(x).op, True), (tf.nn.softmax(x).op, True),
                             (tf.cumsum(x).op, True), (tf.greater(x, 0.0).op, False),
                             (tf.raw_ops.Bucketize(input=x, boundaries=[0.0]).op, False)):
            try:
                gradient = tf.gradients(tf.cast(op.outputs[0], tf.float32), x)[0]
            except LookupError:
                gradient = None
            assert (gradient is not None) is expected
            relied_on(registry.has_gradient(op) is expected, f"has_gradient of {op.type}")


def test_a_custom_gradient_whose_python_is_gone_is_none():
    """A loaded silu is an IdentityN with a name that no registry knows: so copies drop the name."""
    with tf.Graph().as_default() as graph:
        x = tf1.placeholder(tf.float32, [None])
        definition = tf.identity_n([x])[0].op.node_def
    definition.attr["_gradient_op_type"].s = b"CustomGradient-12345"
    graph_def = graph.as_graph_def()
    for node in graph_def.node:
        if node.op == "IdentityN":
            node.CopyFrom(definition)
    with tf.Graph().as_default() as again:
        tf.graph_util.import_graph_def(graph_def, name="")
    op = next(op for op in again.get_operations() if op.type == "IdentityN")
    relied_on(not registry.has_gradient(op), "an unknown _gradient_op_type counts as a gradient")
    del definition.attr["_gradient_op_type"]
    with tf.Graph().as_default() as dropped:
        tf.graph_util.import_graph_def(graph.as_graph_def(), name="")
    op = next(op for op in dropped.get_operations() if op.type == "IdentityN")
    relied_on(registry.has_gradient(op), "IdentityN without it has no gradient")


def node(op_type, **attributes):
    made = tf1.NodeDef(name="n", op=op_type)
    for key, value in attributes.items():
        made.attr[key].CopyFrom(value)
    return made


@pytest.mark.parametrize("definition, offsets, count", [
    (node("Neg", T=tf1.AttrValue(type=FLOAT)), {"y": 0}, 1),
    (node("TopKV2"), {"values": 0, "indices": 1}, 2),
    (node("Split", num_split=tf1.AttrValue(i=3)), {"output": 0}, 3),
    (node("NoOp"), {}, 0),
    (node("FusedBatchNormV3"), {"y": 0, "batch_mean": 1, "batch_variance": 2, "reserve_space_1": 3,
                                "reserve_space_2": 4, "reserve_space_3": 5}, 6),
    (node("ParseExample", Nsparse=tf1.AttrValue(i=2), sparse_types=tf1.AttrValue(
        list=tf1.AttrValue.ListValue(type=[FLOAT, FLOAT])), Tdense=tf1.AttrValue(
            list=tf1.AttrValue.ListValue(type=[FLOAT] * 3))),
     {"sparse_indices": 0, "sparse_values": 2, "sparse_shapes": 4, "dense_values": 6}, 9),
])
def test_where_each_output_argument_starts(definition, offsets, count):
    relied_on(registry.output_offsets(definition) == (offsets, count),
              f"output_offsets of {definition.op} are {registry.output_offsets(definition)}")


def test_offsets_agree_with_real_ops():
    with tf.Graph().as_default():
        x = tf1.placeholder(tf.float32, [None, 6])
        made = (tf.split(x, 3, 1)[0].op, tf.math.top_k(x, 2).values.op, tf.unstack(x, axis=1)[0].op,
                tf.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, y), (0, x))[0].op)
    for op in made:
        relied_on(registry.output_offsets(op.node_def)[1] == len(op.outputs),
                  f"output_offsets of {op.type} count other outputs than the op has")
