"""The table of ops and attributes by version says what TensorFlow says, and messages use it.

What the running TensorFlow has is asked of its registry; what 1.15.5 has, of the real one.
"""

import json
import pathlib

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import attr_value_pb2, graph_pb2, op_def_pb2

from ig_tf.errors import GraphError
from ig_tf.model import ops, versions
from tests import old_tensorflow
from tools import operations_table

HERE = ".".join(tf.__version__.split(".")[:2])
REGENERATE = "python -m tools.operations_table --pythons=A,B,C (one of each version of the table)"
FUTURE = {"ops": ("AnOpOfTensorFlow9",), "attribute": "of_tensorflow_9"}


def in_table(version):
    """As `operations_table.listed` has it: {op: {attribute: (type, allowed, default)}}."""
    return {op: {name: (one.type, one.allowed and sorted(one.allowed), value_of(one.default))
                 for name, one in versions.attributes(op, version).items()}
            for op in versions.operations(version)}


def in_list(listed):
    return {op: {name: (one["type"], one.get("allowed"), value_of(one.get("default")))
                 for name, one in entry["attributes"].items()}
            for op, entry in listed["operations"].items()}


def value_of(text):
    """Versions of protobuf write the same number in other ways."""
    if text is None:
        return None
    try:
        value = text_format.Parse(text, attr_value_pb2.AttrValue())
    except text_format.ParseError:  # a type that this TensorFlow has no name for
        return text
    return value.SerializeToString(deterministic=True)


def compare(found, wanted, which):
    """Whether a version has what the table says, with what moved."""
    moved = [f"{op} is new" for op in sorted(set(found) - set(wanted))]
    moved += [f"{op} is gone" for op in sorted(set(wanted) - set(found))]
    for op in sorted(set(found) & set(wanted)):
        moved += [f"{op}.{name}: {found[op].get(name)}, in the table {wanted[op].get(name)}"
                  for name in sorted(found[op].keys() | wanted[op].keys())
                  if found[op].get(name) != wanted[op].get(name)]
    assert not moved, (
        f"TensorFlow {which} and ig_tf/model/operations.json differ in {len(moved)} places: "
        f"{'; '.join(moved[:8])}. Run {REGENERATE}, and look at what changed: the suite should "
        "pass with it before the table says so")


def test_the_running_tensorflow_is_that_of_the_table():
    """Internal ops (with an underscore) differ between builds for other processors."""
    try:
        which = versions.full(HERE)
    except KeyError:
        pytest.fail(f"TensorFlow {tf.__version__} is not in ig_tf/model/operations.json, which has "
                    f"{', '.join(versions.known())}. Run {REGENERATE} with it", pytrace=False)
    listed = operations_table.listed()
    assert listed["version"] == which, (
        f"TensorFlow {listed['version']} runs; the table was made with {which}. Run {REGENERATE}")
    assert tuple(listed["graph"]) == versions.graph_versions(which)
    found, wanted = in_list(listed), in_table(which)
    compare(*({op: entry for op, entry in one.items() if not op.startswith("_")}
              for one in (found, wanted)), which)


def test_1_15_is_that_of_the_table():
    """The only one whose kernels are kept."""
    printed = old_tensorflow.run(pathlib.Path(operations_table.__file__), "--list")
    listed = json.loads(printed)
    which = versions.full("1.15")
    assert listed["version"] == which
    compare(in_list(listed), in_table(which), which)
    for op, entry in listed["operations"].items():
        kernels = [{name: tuple(values) for name, values in kernel.items()}
                   for kernel in entry["kernels"]]
        assert versions.kernels(op, which) == kernels, op


def test_defaults_are_those_of_the_op():
    """Of every attribute that the running TensorFlow has."""
    for op in versions.operations(HERE):
        for stated in ops.op_def(op).attr if ops.is_known(op) else ():
            wanted = stated.default_value if stated.HasField("default_value") else None
            if versions.having(op, stated.name)[-1].startswith(HERE):
                assert versions.default(op, stated.name) == wanted, (op, stated.name)


def test_what_each_version_has():
    assert versions.known() == ("1.15.5", "2.16.2", "2.21.0")
    assert versions.having("MatMul") == versions.known()
    assert versions.having("MatMul", "grad_a") == ("2.16.2", "2.21.0")
    assert versions.having("BatchMatMulV3") == ("2.16.2", "2.21.0")
    assert versions.having("Rpc") == ("1.15.5",)
    assert versions.having("GatherNd", "bad_indices_policy") == ("2.21.0",)
    assert versions.having(*FUTURE["ops"]) == ()
    assert versions.default("MatMul", "transpose_a").b is False
    assert versions.default("MatMul", "T") is None
    assert versions.attributes("MatMul", "1.15").keys() == {"T", "transpose_a", "transpose_b"}
    with pytest.raises(KeyError, match="no TensorFlow 2.1 .*it has 1.15.5, 2.16.2, 2.21.0"):
        versions.full("2.1")


def test_the_table_is_what_the_program_writes():
    """From lists that are made of the table again, the same text."""
    text = (pathlib.Path(versions.__file__).parent / "operations.json").read_text()
    table = json.loads(text)
    lists = []
    for version in versions.known():
        found = {}
        for op in versions.operations(version):
            found[op] = {"attributes": {name: attribute(one) for name, one
                                        in versions.attributes(op, version).items()}}
            if version in table["operations"][op].get("kernels", {}):
                found[op]["kernels"] = [{name: list(values) for name, values in one.items()}
                                        for one in versions.kernels(op, version)]
        lists.append({"version": version, "graph": list(versions.graph_versions(version)),
                      "operations": found})
    assert operations_table.table(lists) == text


def attribute(one):
    found = {"type": one.type, "allowed": one.allowed and list(one.allowed),
             "default": one.default}
    return {key: value for key, value in found.items() if value is not None}


# A graph that a newer TensorFlow wrote ----------------------------------------------------------


def graph(**attributes):
    graph_def = graph_pb2.GraphDef()
    x = graph_def.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = 1
    node = graph_def.node.add(name="mine", op="Neg", input=["x"])
    node.attr["T"].type = 1
    for name, value in attributes.items():
        node.attr[name].s = value
    return graph_def


def test_an_attribute_that_nobody_knows_is_refused_by_name():
    graph_def = graph(of_tensorflow_9=b"other")
    graph_def.versions.producer = 10**6
    with pytest.raises(GraphError) as caught:
        ops.import_graph(graph_def)
    for words in ("node 'mine' says 'of_tensorflow_9' of op Neg", tf.__version__,
                  "TensorFlow 2.21.0 has none either", "of version 1000000", "a newer one wrote"):
        assert words in str(caught.value), words


def test_at_its_default_it_says_nothing():
    """The model has its producer's ops with it, as TensorFlow's own loader wants them."""
    listed = op_def_pb2.OpList()
    listed.op.add(name="Neg").attr.add(name=FUTURE["attribute"], type="string").default_value.s = (
        b"plain")
    imported = ops.import_graph(graph(of_tensorflow_9=b"plain"), listed)
    assert imported.get_operation_by_name("mine").type == "Neg"
    with pytest.raises(GraphError, match="of_tensorflow_9"):
        ops.import_graph(graph(of_tensorflow_9=b"other"), listed)


def test_the_table_knows_the_default_where_the_model_does_not(monkeypatch):
    monkeypatch.setattr(versions, "default", lambda op, name: attr_value_pb2.AttrValue(s=b"plain"))
    monkeypatch.setattr(versions, "having", lambda op, name=None: ("2.21.0",))
    assert ops.import_graph(graph(of_tensorflow_9=b"plain"))
    with pytest.raises(GraphError, match="does not know; TensorFlow 2.21.0 has it"):
        ops.import_graph(graph(of_tensorflow_9=b"other"))


def test_a_graph_for_newer_readers_is_refused():
    graph_def = graph()
    graph_def.versions.min_consumer = tf.version.GRAPH_DEF_VERSION + 1
    with pytest.raises(GraphError, match="use a newer one"):
        ops.import_graph(graph_def)


def test_an_op_that_another_tensorflow_has_is_said_so():
    with pytest.raises(GraphError) as caught:
        ops.op_def("TensorForestTreePredict")
    assert "TensorFlow 1.15.5 has TensorForestTreePredict" in str(caught.value)
    assert "--import" not in str(caught.value)
