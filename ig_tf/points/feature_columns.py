"""Records which tensor of a graph is which feature column's, where the model's own code is run.

A graph does not say which of its tensors is `occupation_embedding`: TensorFlow knows it while the
feature columns are evaluated and forgets it. This module writes it down, in the training process:

    with record_feature_columns():
        estimator.export_saved_model(...)      # or input_layer, linear_model, DenseFeatures, ...

`enable()` does so for the whole process, `disable()` ends it. What is recorded goes into the
collection COLLECTION of the graph that the column is built in, so that SavedModels and metagraphs
carry it; `records` reads it again. The graph itself is built as it would be without: no op, name
or seed changes.

This file stands alone: copied into an environment of Python 3.7 and TensorFlow 1.15, it needs
nothing else of ig_tf. What is wrapped, while somebody records; TensorFlow 1.15.5 and 2.16 to 2.21
were tried:
- `_verify_static_batch_size_equality` of v1 feature columns: `input_layer`, `InputLayer` and
  `sequence_input_layer` show all their columns and tensors to it, whoever holds those by name;
- `_create_weighted_sum`: what `linear_model` and `LinearModel` evaluate each column with;
- `_verify_and_concat_tensors` of the Keras layers: DenseFeatures and SequenceFeatures;
- `embedding_lookup*`, in each loaded module that holds one by its name.
The wrappers are the process's, not a thread's: what other threads build in the meantime is
recorded too, each in its own graph.
"""

import contextlib
import functools
import importlib
import inspect
import json
import re
import sys
import threading
import types
import warnings
import weakref

COLLECTION = "ig_tf_feature_columns"
VERSION = 1

# The fields of one record beside "version", and what each may be.
_FIELDS = {
    "column": str, "kind": str, "role": str, "tensor": str, "features": list,
    "table": (str, type(None)), "combiner": (str, type(None)), "call": str}

_V1_COLUMNS = "tensorflow.python.feature_column.feature_column"
_V2_COLUMNS = "tensorflow.python.feature_column.feature_column_v2"
_LOOKUPS = "tensorflow.python.ops.embedding_ops"
# Where the base class of DenseFeatures and SequenceFeatures stands. TensorFlow 2 has it in
# tf_keras, which may be imported at any time, or never.
_LAYER_MODULES = (_V2_COLUMNS, "tf_keras.src.feature_column.base_feature_layer")
# What every class of feature columns is derived from, of v1 or v2 or, as TensorFlow's own, of both.
_COLUMN_CLASSES = (
    (_V1_COLUMNS, "_FeatureColumn"), (_V2_COLUMNS, "DenseColumn"),
    (_V2_COLUMNS, "SequenceDenseColumn"), (_V2_COLUMNS, "CategoricalColumn"))
# embedding lookup -> its argument that is the table
_TABLE_ARGUMENTS = {
    "embedding_lookup": "params", "embedding_lookup_sparse": "params",
    "safe_embedding_lookup_sparse": "embedding_weights"}
# Function that shows its columns to _verify_static_batch_size_equality -> (role, call). Another
# one that does so is the linear model, whose columns are recorded one by one.
_V1_CALLERS = {
    "_get_logits": ("dense", "input_layer"),
    "sequence_input_layer": ("sequence", "sequence_input_layer")}


@contextlib.contextmanager
def record_feature_columns():
    """Records feature columns and embedding lookups that are built inside the `with` block.

    May be nested, and used by several threads at once; everything is as it was when the last block
    is left, by an exception too.

    Raises:
      RuntimeError: this TensorFlow lacks a function that the recorder wraps.
    """
    _begin()
    try:
        yield
    finally:
        _end()


def enable():
    """Records from now on, in the whole process, until `disable()`. Twice is as once."""
    with _lock:
        if not _state.enabled:
            _begin()
            _state.enabled = True


def disable():
    """Ends what `enable()` began; blocks of `record_feature_columns` go on."""
    with _lock:
        if _state.enabled:
            _state.enabled = False
            _end()


def records(graph_or_items):
    """Reads what was recorded.

    Args:
      graph_or_items: a graph, or the items of its collection COLLECTION (str or bytes), as in
        `meta_graph.collection_def[COLLECTION].bytes_list.value`.

    Returns:
      A list of dicts in the order recorded, one for each tensor and column. Items that are no
      record of this VERSION are ignored.
      column: the column's name, as TensorFlow has it; of a plain lookup, the table's.
      kind: the column's class without "_" and "V2" ("EmbeddingColumn"), or "embedding_lookup".
      role: "dense" (a part of a dense input), "weights" (a term of a linear model's sum),
        "sequence" (a part of a sequence input) or "lookup" (of no column).
      tensor: the name of the tensor that is the column's output.
      features: the keys of the raw features that the column is made of, sorted.
      table: the name of the variable that is looked up or multiplied with, or None. Of a
        partitioned one, without "/part_0".
      combiner: "mean", "sum", "sqrtn" or None.
      call: the TensorFlow function or layer that was called.
    """
    found, of_graph = {}, hasattr(graph_or_items, "get_collection")
    items = graph_or_items.get_collection(COLLECTION) if of_graph else graph_or_items
    for one in map(_parsed, items):
        if one is not None:
            found.setdefault((one["tensor"], one["column"]), one)
    return list(found.values())


def _parsed(item):
    """The record that an item of a collection is, or None."""
    try:
        one = json.loads(item.decode("utf-8") if isinstance(item, bytes) else item)
    except (TypeError, ValueError, RecursionError):
        return None
    if not isinstance(one, dict) or one.get("version") != VERSION:
        return None
    if not all(isinstance(one.get(field, ...), kind) for field, kind in _FIELDS.items()):
        return None
    return one if all(isinstance(key, str) for key in one["features"]) else None


class _Here(threading.local):
    """What one thread is in the middle of."""

    def __init__(self):
        self.lookups = 0  # how many embedding lookups call one another
        self.column = None  # the column that a linear model is evaluating
        # name of a column -> (graph, table, combiner) of the lookup in it that was built last,
        # until the column's output is known
        self.tables = {}


_here = _Here()
# What is wrapped, and for how many users; changed under the lock only.
_lock = threading.RLock()
_state = types.SimpleNamespace(
    users=0, enabled=False, undo=contextlib.ExitStack(), column_classes=(), layer_modules=set())


def _begin():
    with _lock:
        if not _state.users:
            _wrap()
        _state.users += 1


def _end():
    with _lock:
        _state.users -= 1
        if not _state.users:
            _state.undo.close()


def _wrap():
    """Wraps everything, or raises and wraps nothing."""
    _state.column_classes = tuple(_found(*names) for names in _COLUMN_CLASSES)
    cache = _found(_V2_COLUMNS, "FeatureTransformationCache")
    makers = [
        (_V1_COLUMNS, "_verify_static_batch_size_equality", _recording_v1_columns),
        (_V1_COLUMNS, "_create_weighted_sum", _recording_weights, "linear_model"),
        (_V2_COLUMNS, "_create_weighted_sum", _recording_weights, "LinearModel"),
    ] + [(_LOOKUPS, name, _recording_lookup, name) for name in _TABLE_ARGUMENTS]
    originals = [_found(module, name) for module, name, *_ in makers]
    wrappers = [make(original, *call) for original, (_, _, make, *call) in zip(originals, makers)]
    with contextlib.ExitStack() as undo:
        undo.callback(_replace_everywhere, wrappers, originals)
        _replace_everywhere(originals, wrappers)
        undo.callback(_state.layer_modules.clear)
        # Every layer of feature columns makes one: the time to look for layers imported since.
        _replace_method(cache, "__init__", _wrapping_layers, undo)
        _wrap_layers(undo)
        _state.undo = undo.pop_all()


def _found(module, name):
    """What stands in TensorFlow under that name, mostly a private one."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise _not_for_this_tensorflow("there is no {}.{}".format(module, name)) from error


def _not_for_this_tensorflow(why):
    import tensorflow as tf
    return RuntimeError(
        "ig_tf cannot record feature columns in TensorFlow {}: {}. Recording was tried on "
        "TensorFlow 1.15.5 and 2.16 to 2.21. Nothing was changed".format(tf.__version__, why))


def _replace_everywhere(functions, others):
    """Puts each function's other in its place, in every loaded module that holds it.

    Modules import functions by name (`tf.nn` itself does so), and each has its own reference.
    """
    replacements = {id(one): other for one, other in zip(functions, others)}
    # Not vars(), which asks the module: a lazy one might load what it stands for.
    contents = types.ModuleType.__dict__["__dict__"].__get__
    for module in list(sys.modules.values()):
        if issubclass(type(module), types.ModuleType):
            for name, value in list(contents(module).items()):
                if id(value) in replacements:
                    setattr(module, name, replacements[id(value)])


def _replace_method(owner, name, make, undo):
    if not hasattr(owner, name):
        raise _not_for_this_tensorflow("{} has no {}".format(owner, name))
    original = getattr(owner, name)
    undo.callback(setattr, owner, name, original)
    setattr(owner, name, make(original))


def _wrap_layers(undo):
    """Wraps the layers of the modules that are loaded by now."""
    for module in _LAYER_MODULES:
        base = getattr(sys.modules.get(module), "_BaseFeaturesLayer", None)
        if base is not None and module not in _state.layer_modules:
            _replace_method(base, "_verify_and_concat_tensors", _recording_layers, undo)
            _state.layer_modules.add(module)


def _never_in_the_way(record):
    """Makes a warning of any error: the model is built all the same."""

    @functools.wraps(record)
    def recorded(*args):
        try:
            record(*args)
        except Exception as error:  # pylint: disable=broad-except
            warnings.warn("ig_tf could not record a feature column ({}: {}); the model is not "
                          "affected".format(type(error).__name__, error), RuntimeWarning,
                          stacklevel=3)

    return recorded


# The wrappers. Whoever keeps one beyond its time (`from tensorflow.nn import embedding_lookup` in a
# `with` block) has a function that only calls the original.


def _wrapping_layers(original):
    @_never_in_the_way
    def wrap_those_imported_since():
        with _lock:
            if _state.users:
                _wrap_layers(_state.undo)

    @functools.wraps(original)
    def __init__(self, *args, **kwargs):
        wrap_those_imported_since()
        return original(self, *args, **kwargs)

    return __init__


def _recording_v1_columns(original):
    @functools.wraps(original)
    def verify(tensors, columns):
        result = original(tensors, columns)
        caller = sys._getframe(1).f_code.co_name
        if _state.users and caller in _V1_CALLERS:
            _record_columns(columns, tensors, *_V1_CALLERS[caller])
        return result

    return verify


def _recording_layers(original):
    @functools.wraps(original)
    def verify_and_concat(self, output_tensors):
        result = original(self, output_tensors)
        if _state.users:
            sequence = any(one.__name__ == "SequenceFeatures" for one in type(self).__mro__)
            called = ("sequence", "SequenceFeatures") if sequence else ("dense", "DenseFeatures")
            _record_columns(self._feature_columns, output_tensors, *called)
        return result

    return verify_and_concat


def _recording_weights(original, call):
    @functools.wraps(original)
    def create_weighted_sum(*args, **kwargs):
        outer, _here.column = _here.column, kwargs.get("column")
        try:
            result = original(*args, **kwargs)
        finally:
            _here.column = outer
        if _state.users:
            _record_weights(result, call, original, args, kwargs)
        return result

    return create_weighted_sum


def _recording_lookup(original, call):
    @functools.wraps(original)
    def lookup(*args, **kwargs):
        _here.lookups += 1
        try:
            result = original(*args, **kwargs)
        finally:
            _here.lookups -= 1
        # One lookup calls another; the outermost is what the model asked for.
        if _state.users and not _here.lookups:
            _record_lookup(result, call, original, args, kwargs)
        return result

    return lookup


@_never_in_the_way
def _record_columns(columns, tensors, role, call):
    for column, tensor in zip(columns, tensors):
        # sequence_input_layer shows its columns twice: their outputs, then the lengths.
        if role != "sequence" or not tensor.dtype.is_integer:
            _write_column(column, tensor, role, call, *_table_looked_up(column, tensor))


@_never_in_the_way
def _record_weights(tensor, call, function, args, kwargs):
    arguments = _arguments(function, args, kwargs)
    column, table = arguments["column"], _table_name(arguments["weight_var"])
    looked_up, combiner = _table_looked_up(column, tensor)
    # Numbers are multiplied with their weights, categories look theirs up.
    combiner = combiner if looked_up == table else None
    _write_column(column, tensor, "weights", call, table, combiner)


@_never_in_the_way
def _record_lookup(result, call, function, args, kwargs):
    tensor = getattr(result, "flat_values", result)  # of ragged ids
    if not _is_symbolic(tensor):
        return
    arguments = _arguments(function, args, kwargs)
    params = arguments[_TABLE_ARGUMENTS[call]]
    combiner = (arguments["combiner"] or "mean") if "combiner" in arguments else None
    table, column = _table_name(params), _column_at_work()
    if column is None:
        name = table or _any_name(params) or tensor.op.name
        _write(tensor, name, "embedding_lookup", "lookup", [], table, combiner, call)
    else:
        _here.tables[column.name] = (weakref.ref(tensor.graph), table, combiner)


def _arguments(function, args, kwargs):
    """{name: value}, with defaults, of the arguments that a function was called with."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def _column_at_work():
    """The feature column in whose own code this thread is, or None.

    Found on the stack: column classes may be anybody's, defined at any time.
    """
    if _here.column is not None:
        return _here.column
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        # Not isinstance, which asks the object: it may be anything.
        if not set(_state.column_classes).isdisjoint(type(owner).__mro__):
            return owner
        frame = frame.f_back
    return None


def _table_looked_up(column, tensor):
    """(table, combiner) of the lookup in that column's code, of which the tensor was made."""
    graph, *looked_up = _here.tables.pop(column.name, (lambda: None, None, None))
    return looked_up if _is_symbolic(tensor) and graph() is tensor.graph else (None, None)


def _write_column(column, tensor, role, call, table, combiner):
    if _is_symbolic(tensor):
        # Not type(): Keras wraps some columns, to keep track of them.
        kind = re.sub("V2$", "", column.__class__.__name__.lstrip("_"))
        _write(tensor, column.name, kind, role, _features(column), table, combiner, call)


def _write(tensor, column, kind, role, features, table, combiner, call):
    values = (column, kind, role, tensor.name, features, table, combiner, call)
    item = json.dumps(dict(zip(_FIELDS, values), version=VERSION), sort_keys=True)
    if item not in tensor.graph.get_collection(COLLECTION):
        tensor.graph.add_to_collection(COLLECTION, item)


def _is_symbolic(tensor):
    """Whether it is a tensor of a graph: eager ones have no name, and no graph to record in."""
    return getattr(tensor, "op", None) is not None and hasattr(tensor, "graph")


def _features(column):
    """The keys of the raw features that a column is made of."""
    for attribute in ("parse_example_spec", "_parse_example_spec"):
        try:
            return sorted(str(key) for key in getattr(column, attribute))
        except (AttributeError, ValueError):
            continue  # a v1 column has the second only; of a v2 shared embedding that raises
    return []


def _table_name(params):
    """The name of the variable that a table is: one, its read value, or its partitions.

    None where it is no variable, or where several variables have no name in common.
    """
    if isinstance(params, (list, tuple)):
        names = {_table_name(part) for part in params}
        return names.pop() if len(names) == 1 else None
    name = _any_name(params)
    if hasattr(params, "value_index"):  # A tensor, not a variable, of which there are many classes.
        op = params.op
        while op.type in ("Identity", "ReadVariableOp"):
            op = op.inputs[0].op
        name = op.name if op.type in ("VarHandleOp", "Variable", "VariableV2") else None
    return re.sub(r"/part_\d+$", "", name) if name else None


def _any_name(params):
    """The name of a table, or of its first part, without ":0"; None of a NumPy array."""
    if isinstance(params, (list, tuple)):
        return _any_name(params[0]) if params else None
    try:
        return params.name.split(":")[0]
    except (AttributeError, ValueError):
        return None
