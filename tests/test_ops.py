"""Ops that this TensorFlow does not have, or cannot run: named, with whose they are and what to do.

A library of a custom op is compiled where there is a compiler, and used from the command line.
"""

import json
import shutil
import subprocess

import pytest
import tensorflow as tf
from tensorflow.core.framework import graph_pb2

import ig_tf
from ig_tf.errors import GraphError
from ig_tf.model import ops
from tests.test_programs import REPOSITORY
from tests.test_programs import ig_tf as program

OWN = "IgTfTestDouble"
SOURCE = """
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
using namespace tensorflow;
REGISTER_OP("IgTfTestDouble").Input("x: float").Output("y: float").SetShapeFn(
    [](shape_inference::InferenceContext* c) {
      c->set_output(0, c->input(0));
      return absl::OkStatus();
    });
class Double : public OpKernel {
 public:
  explicit Double(OpKernelConstruction* c) : OpKernel(c) {}
  void Compute(OpKernelContext* c) override {
    Tensor* y;
    OP_REQUIRES_OK(c, c->allocate_output(0, c->input(0).shape(), &y));
    for (int i = 0; i < c->input(0).NumElements(); ++i)
      y->flat<float>()(i) = 2 * c->input(0).flat<float>()(i);
  }
};
REGISTER_KERNEL_BUILDER(Name("IgTfTestDouble").Device(DEVICE_CPU), Double);
"""


def graph_with(op):
    """x [?, 2] -> op -> its squares, summed: a GraphDef that need not be importable here."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 2], "x")
        tf.reduce_sum(tf.square(tf.sign(x, name="middle")), 1, name="y")
    proto = graph.as_graph_def()
    node = next(node for node in proto.node if node.name == "middle")
    node.op = op
    node.attr.clear()
    return proto


def written(folder, proto):
    path = folder / "graph.pb"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize("op, words", [
    ("SentencepieceTokenizeOp", ["TensorFlow Text", "--import=tensorflow_text"]),
    ("TFText>FastBertNormalize", ["TensorFlow Text", "--import=tensorflow_text"]),
    ("SimpleMLInferenceOp", ["Decision Forests", "--import=tensorflow_decision_forests"]),
    ("Addons>Resampler", ["TensorFlow Addons", "--import=tensorflow_addons"]),
    ("HorovodAllreduce", ["Horovod", "horovod.tensorflow"]),
    ("GradientTreesPrediction", ["tf.contrib"]),
    ("OurOwnOp", ["--import=MODULE", "--load_op_library=FILE.so"])])
def test_an_op_of_another_package(tmp_path, op, words):
    with pytest.raises(GraphError) as caught:
        ig_tf.load(written(tmp_path, graph_with(op)), outputs=["y"])
    message = str(caught.value)
    assert all(word in message for word in [op, "'middle'", tf.__version__, *words]), message


def test_all_unknown_ops_are_named_at_once():
    proto = graph_pb2.GraphDef()
    proto.node.add(name="a", op="FirstUnknown")
    proto.library.function.add().node_def.add(name="b", op="SecondUnknown")
    with pytest.raises(GraphError, match="FirstUnknown, SecondUnknown"):
        ops.refuse_unknown(proto)


def test_an_op_that_has_no_kernel_any_more(tmp_path):
    """BoostedTreesBucketize is registered and cannot run."""
    op = "BoostedTreesBucketize"
    if not ops.is_known(op) or ops.has_kernel(op):
        pytest.skip(f"{op} is not such an op in TensorFlow {tf.__version__}")
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        buckets = tf.raw_ops.BoostedTreesBucketize(
            float_values=[x], bucket_boundaries=[tf.constant([0.5])])[0]
        tf.gather(tf.constant([1.0, 2.0]), buckets, name="y")
    model = ig_tf.load(written(tmp_path, graph.as_graph_def()), outputs=["y"])
    with pytest.raises(GraphError) as caught:
        ig_tf.instrument(model)
    message = str(caught.value)
    assert op in message and "no kernel" in message and "boosted trees" in message


@pytest.mark.parametrize("op", ["MatMul", "While", "Placeholder", "HashTableV2", "ParseExampleV2",
                                "AccumulateNV2"])
def test_ops_that_can_run(op):
    """AccumulateNV2 has no kernel of its own: it is rewritten before a graph runs."""
    assert ops.has_kernel(op)


def test_an_op_for_tpus_alone_cannot_run():
    assert not ops.has_kernel("TPUReplicateMetadata")


def test_an_unknown_op_that_is_not_served_does_not_matter(tmp_path):
    proto = graph_with("Sign")
    proto.node.add(name="elsewhere", op="OurOwnOp", input=["x"])
    next(node for node in proto.node if node.name == "middle").attr["T"].type = 1
    model = ig_tf.load(written(tmp_path, proto), outputs=["y"])
    assert "elsewhere" not in {node.name for node in model.graph_def.node}


@pytest.fixture(name="library", scope="module")
def fixture_library(tmp_path_factory):
    """A compiled library of the custom op."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler to make a custom op with")
    folder = tmp_path_factory.mktemp("library")
    (folder / "double.cc").write_text(SOURCE)
    command = [compiler, "-std=c++17", "-O0", "-shared", "-fPIC", "-w", str(folder / "double.cc"),
               "-o", str(folder / "double.so"), *tf.sysconfig.get_compile_flags(),
               *tf.sysconfig.get_link_flags()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the custom op does not compile here: {done.stderr[-300:]}")
    return folder / "double.so"


def test_a_library_of_a_custom_op(library, tmp_path):
    """Asked for without it; with it instrumented and run. The op has no gradient: it is a point."""
    model, out = written(tmp_path, graph_with(OWN)), tmp_path / "out"
    (tmp_path / "in.jsonl").write_text('{"x": [1, 3]}\n')
    choice = [f"--model={model}", "--outputs=y"]
    status, _, said = program("inspect", *choice)
    assert status == 2 and OWN in said and "--load_op_library" in said
    load = f"--load_op_library={library}"
    status, said, errors = program("instrument", *choice, f"--output={out}", "--steps=4", load)
    assert status == 0 and "middle" in said, errors
    run = [f"--model={out}", f"--input={tmp_path / 'in.jsonl'}", f"--output={tmp_path / 'r.jsonl'}"]
    status, _, said = program("attribute", *run)
    assert status == 2 and OWN in said and "--load_op_library" in said
    assert program("attribute", *run, load)[0] == 0
    result = json.loads((tmp_path / "r.jsonl").read_text().splitlines()[-1])
    assert result["prediction"] == 40 and result["status"] == "converged"


@pytest.mark.parametrize("flag, words", [
    ("--import=no_such_module_anywhere", "no_such_module_anywhere"),
    ("--load_op_library=none.so", "none.so")])
def test_a_library_that_is_not_there(tmp_path, flag, words):
    model = written(tmp_path, graph_with("Sign"))
    status, _, said = program("inspect", f"--model={model}", "--outputs=y", flag)
    assert status == 2 and words in said and "Traceback" not in said


def test_a_module_of_the_users_own_is_imported_first(tmp_path, monkeypatch):
    """From the working folder, before the model is read."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    (tmp_path / "registers.py").write_text("print('registered')\n")
    proto = graph_with("Sign")
    next(node for node in proto.node if node.name == "middle").attr["T"].type = 1
    model = written(tmp_path, proto)
    code = [f"--model={model}", "--outputs=y", "--points=x", "--import=registers"]
    _, said, _ = program("inspect", *code, cwd=tmp_path)
    assert said.startswith("registered")
