"""compute_dtype: matrix products of the attribution function in half precision, sums in float32."""

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
from builders import spec
from ig_tf.errors import CompileError
from ig_tf.ig.runtime import RuntimeProfile
from test_c_library import MODELS
from test_saved_models import read_examples

HALF = ("bfloat16", "float16")
BITS = {"bfloat16": 8, "float16": 11}  # of the significand: a rounding is up to 2 ** -BITS
RNG = np.random.default_rng(11)
KERNEL = RNG.normal(size=[6, 1]).astype(np.float32)
FIRST, SECOND = (RNG.normal(size=size).astype(np.float32) for size in ([6, 5], [5, 1]))


def linear(x, kernel):
    return tf.matmul(x, kernel)[:, 0]


def curved(x, first, second):
    return tf.matmul(tf.tanh(tf.matmul(x, first)), second)[:, 0]


def profile(dtype, **more):
    return RuntimeProfile("half", compute_dtype=dtype, **more)


@pytest.mark.parametrize("dtype, steps", [("bfloat16", 1024), ("float16", 1)])
def test_a_linear_model_is_rounded_once(dtype, steps, tmp_path):
    """The gradient is the kernel, rounded. Sums of as many steps as one likes stay in float32, in
    which half precision would count no further than to 2 ** BITS."""
    explained = builders.build(tmp_path, linear, {"x": spec([None, 6], tf.float32)},
                               {"kernel": KERNEL}, steps=steps, runtime=profile(dtype))
    x = RNG.normal(size=[3, 6]).astype(np.float32)
    rounded = tf.cast(tf.cast(KERNEL[:, 0], dtype), tf.float32).numpy()
    assert np.abs(rounded - KERNEL[:, 0]).max() > 1e-5  # the rounding shows
    found = explained.run(x=x)
    np.testing.assert_allclose(found["attributions/x"], x * rounded, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["prediction"], (x @ KERNEL)[:, 0], rtol=1e-6)


@pytest.mark.parametrize("dtype, kind", zip(HALF, builders.SAVERS))
def test_what_is_narrow_and_what_is_not(dtype, kind, tmp_path):
    builders.SAVERS[kind](tmp_path / "model", curved, {"x": spec([None, 6], tf.float32)},
                          {"first": FIRST, "second": SECOND})
    model = ig_tf.load(tmp_path / "model")
    before = model.proto.SerializeToString(deterministic=True)
    metadata = ig_tf.save(ig_tf.instrument(model, runtime=profile(dtype)), tmp_path / "out")
    assert f"; in {dtype}: " in metadata["compiled"] and "MatMul" in metadata["compiled"]
    assert model.proto.SerializeToString(deterministic=True) == before
    narrow = tf.as_dtype(dtype).as_datatype_enum
    meta_graph = ig_tf.load(tmp_path / "out", signature="serving_default").meta_graph
    for function in meta_graph.graph_def.library.function:
        own = function.signature.name in metadata["functions"]
        types = {node.attr["T"].type == narrow for node in function.node_def
                 if node.op == "MatMul" and not node.name.startswith("model/")}
        assert types <= {own}
    assert {"shape": [-1, 6], "dtype": "float32"} == metadata["outputs"]["attributions/x"]


@pytest.mark.parametrize("dtype, xla", [("bfloat16", True), ("float16", False)])
def test_the_error_is_that_of_the_roundings(dtype, xla, tmp_path):
    """Against float32: some roundings along the path and back."""
    given = profile(dtype, **({"xla": True, "batch_buckets": (4,)} if xla else {}))
    inputs, weights = {"x": spec([None, 6], tf.float32)}, {"first": FIRST, "second": SECOND}
    path = builders.save_tf2(tmp_path / "model", curved, inputs, weights)
    narrow = builders.explain(path, tmp_path / "narrow", runtime=given)
    full = builders.explain(path, tmp_path / "full")
    x = RNG.normal(size=[4, 6]).astype(np.float32)
    found, wanted = narrow.run(x=x), full.run(x=x)
    error = np.abs(found["attributions/x"] - wanted["attributions/x"]).sum(1)
    # 7 roundings: x, both kernels and tanh, and both products on the way back and the sum.
    bound = 7 * 2.0 ** -BITS[dtype] * np.abs(x[:, :, None] * FIRST * SECOND[:, 0]).sum((1, 2))
    assert np.all(error <= bound) and error.max() > 0
    np.testing.assert_array_equal(found["prediction"], wanted["prediction"])
    # What half precision costs shows in the answer: its sum no longer is F(x) - F(baseline).
    assert np.all(found["completeness_error"] <= bound + 1e-4)


def test_a_trained_model_in_bfloat16(tmp_path):
    name = "review_tokens"
    ask = {key: value[:12] for key, value in read_examples(name)[0].items()}
    answers = []
    for dtype in ("float32", "bfloat16"):
        explained = builders.explain(MODELS / name, tmp_path / dtype, "v1", steps=20,
                                     runtime=profile(dtype))
        answers.append(explained.run(**ask))
    full, narrow = answers
    key, = (key for key in full if key.startswith("attributions/"))
    axes = tuple(range(1, full[key].ndim))
    share = np.abs(narrow[key] - full[key]).sum(axes) / np.abs(full[key]).sum(axes)
    # Four layers there and back, each rounded twice, errors adding up as they do by chance.
    assert 0 < np.median(share) < np.sqrt(2 * 8) * 2.0 ** -8
    np.testing.assert_array_equal(full["prediction"], narrow["prediction"])


def test_without_a_product_of_float32_it_is_refused(tmp_path):
    builders.save_tf2(tmp_path / "model", linear, {"x": spec([None, 6])},
                      {"kernel": KERNEL.astype(np.float64)})
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), runtime=profile("bfloat16"))
    with pytest.raises(CompileError, match="no matrix product or convolution of float32"):
        ig_tf.save(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_narrow_and_full_stand_in_one_graph(tmp_path):
    """Their functions have other names."""
    path = builders.save_tf2(tmp_path / "model", curved, {"x": spec([None, 6], tf.float32)},
                             {"first": FIRST, "second": SECOND})
    answers = []
    x = RNG.normal(size=[2, 6]).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for place, given in enumerate((profile("bfloat16"), profile("float32"))):
            ig_tf.save(ig_tf.instrument(ig_tf.load(path), runtime=given), tmp_path / f"{place}")
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(
                tmp_path / f"{place}"), import_scope=f"scope_{place}")
            signature = meta_graph.signature_def["attributions"]
            answers.append(session.run(f"scope_{place}/{signature.outputs['attributions/x'].name}",
                                       {f"scope_{place}/{signature.inputs['x'].name}": x}))
    assert np.abs(answers[0] - answers[1]).max() > 1e-5
    wanted = builders.open_v2(tmp_path / "1")(x=x)["attributions/x"]
    np.testing.assert_allclose(answers[1], wanted, rtol=1e-5, atol=1e-6)
