"""Every private name of TensorFlow and Keras that ig_tf uses, and the one place that does.

What each has to do stands in the test that its row names; here: that the table is whole, and that
the running TensorFlow still has each name.
"""

import ast
import dataclasses
import importlib
import pathlib

import pytest
import tensorflow as tf

REPO = pathlib.Path(__file__).resolve().parent.parent
OPS, REGISTRY = "ig_tf/model/ops.py", "ig_tf/graph/registry.py"
COLUMNS = "ig_tf/points/feature_columns.py"
_FRAMEWORK, _COLUMN = "tensorflow.python.framework", "tensorflow.python.feature_column"
_LAYERS = "tf_keras.src.feature_column.base_feature_layer"
# Python's own: no package can move them.
OF_PYTHON = {"_getframe", "_exit", "_replace", "_asdict", "_fields"}


@dataclasses.dataclass(frozen=True)
class Private:
    """A private name.

    Attributes:
      module, name: what it is; a name with a dot is of a class.
      place: file of ig_tf.
      function: the one function in it that uses the name, or "" where it is a row of a table there.
      tested: the test that says what is relied on.
      tried: versions of TensorFlow.
    """

    module: str
    name: str
    place: str
    function: str
    tested: str
    tried: tuple = ("2.16.2", "2.21.0")


_OF_OPS, _RECORDED = "test_private_apis.py", "test_feature_columns.py"
ALSO_1_15 = ("1.15.5", "2.16.2", "2.21.0")
PRIVATE = (
    Private(f"{_FRAMEWORK}.op_def_registry", "get", OPS, "_registered", _OF_OPS),
    Private(f"{_FRAMEWORK}.kernels", "get_registered_kernels_for_op", OPS, "has_kernel", _OF_OPS),
    Private(f"{_FRAMEWORK}.kernels", "get_all_registered_kernels", OPS, "kernels_of",
            "test_runtime.py"),
    Private(f"{_FRAMEWORK}.ops", "get_gradient_function", REGISTRY, "has_gradient", _OF_OPS),
    *(Private(f"{_COLUMN}.{module}", name, COLUMNS, "", _RECORDED, ALSO_1_15)
      for module, name in (
          ("feature_column", "_FeatureColumn"), ("feature_column_v2", "DenseColumn"),
          ("feature_column_v2", "SequenceDenseColumn"), ("feature_column_v2", "CategoricalColumn"),
          ("feature_column_v2", "FeatureTransformationCache"),
          ("feature_column", "_verify_static_batch_size_equality"),
          ("feature_column", "_create_weighted_sum"),
          ("feature_column_v2", "_create_weighted_sum"))),
    *(Private("tensorflow.python.ops.embedding_ops", name, COLUMNS, "", _RECORDED, ALSO_1_15)
      for name in ("embedding_lookup", "embedding_lookup_sparse", "safe_embedding_lookup_sparse")),
    Private(_LAYERS, "_BaseFeaturesLayer", COLUMNS, "_wrap_layers", _RECORDED),
    Private(_LAYERS, "_BaseFeaturesLayer._verify_and_concat_tensors", COLUMNS, "_wrap_layers",
            _RECORDED),
    Private(_LAYERS, "_BaseFeaturesLayer._feature_columns", COLUMNS, "verify_and_concat",
            _RECORDED),
)
MODULES = sorted({row.module for row in PRIVATE})
# Set by an instance's __init__, so a class does not show it.
OF_INSTANCES = {"_BaseFeaturesLayer._feature_columns"}


def trees():
    for path in sorted((REPO / "ig_tf").rglob("*.py")):
        yield path.relative_to(REPO).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def is_private(module):
    """Whether a module's name says that it is nobody else's."""
    parts = module.split(".")
    return parts[:2] == ["tensorflow", "python"] or (
        parts[0] in ("tensorflow", "keras", "tf_keras") and ("src" in parts or any(
            part.startswith("_") for part in parts)))


def modules_named(tree):
    """Private modules that a file imports, or names in a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if is_private(one.name))
        elif isinstance(node, ast.ImportFrom) and node.module and is_private(node.module):
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (
                is_private(node.value) and " " not in node.value):
            yield node.value


def test_every_private_module_is_in_the_table():
    found = {(place, module) for place, tree in trees() for module in modules_named(tree)}
    assert found == {(row.place, row.module) for row in PRIVATE}


def test_the_functions_of_private_modules_are_each_called_in_one_place():
    """kernels.x and op_def_registry.x: which function of the file says it."""
    wanted = {(row.place, row.module.rpartition(".")[2], row.name): row.function
              for row in PRIVATE if row.function and row.module.startswith(_FRAMEWORK)}
    files = {place for place, *_ in wanted}
    aliases = {alias for _, alias, _ in wanted}
    found = {}
    for place, tree in trees():
        if place not in files:
            continue
        for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (
                        node.value.id in aliases):
                    found.setdefault((place, node.value.id, node.attr), []).append(function.name)
    assert found == {key: [function] for key, function in wanted.items()}


def test_no_other_private_attribute_is_used():
    """x._name, where nothing in ig_tf is called so."""
    own, used = set(OF_PYTHON), {}
    for place, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                own.add(node.attr)
            elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and (
                    not node.attr.endswith("__")):
                used.setdefault(node.attr, set()).add(place)
    foreign = {(place, name) for name, places in used.items() for place in places
               if name not in own}
    known = {(row.place, row.name.rpartition(".")[2]) for row in PRIVATE}
    assert foreign and foreign <= known, f"private names that PRIVATE lacks: {foreign - known}"


@pytest.mark.parametrize("row", PRIVATE, ids=lambda row: f"{row.module}.{row.name}")
def test_this_tensorflow_has_it(row):
    said = (f"TensorFlow {tf.__version__} has no {row.module}.{row.name} any more. "
            f"{row.place} uses it{f' in {row.function}' if row.function else ''}; it was there in "
            f"{', '.join(row.tried)}. Mend that place, say here what was tried, and see what "
            f"tests/{row.tested} asks of it")
    try:
        found = importlib.import_module(row.module)
    except ImportError as error:
        if row.module.startswith("tf_keras"):
            pytest.skip(f"tf_keras is not installed: {error}")
        pytest.fail(f"{said} ({error})", pytrace=False)
    for part in row.name.split("."):
        if row.name in OF_INSTANCES and part == row.name.split(".")[-1]:
            source = pathlib.Path(importlib.import_module(row.module).__file__).read_text()
            assert f"self.{part} =" in source, said
            return
        assert hasattr(found, part), said
        found = getattr(found, part)


@pytest.mark.parametrize("row", PRIVATE, ids=lambda row: f"{row.module}.{row.name}")
def test_the_rows_name_what_is_there(row):
    text = (REPO / row.place).read_text(encoding="utf-8")
    assert row.name.rpartition(".")[2] in text
    assert not row.function or f"def {row.function}(" in text
    assert (REPO / "tests" / row.tested).is_file()
