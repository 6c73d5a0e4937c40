"""What this TensorFlow knows of ops: registered or not, with a kernel or not, and whose they are.

The private APIs stand here and in graph/registry.py. Tried on TensorFlow 2.16 to 2.21;
tests/test_private_apis.py says so when they move.
"""

import functools
import itertools
import re

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.python.framework import kernels
from tensorflow.python.framework import op_def_registry

from ig_tf.errors import GraphError
from ig_tf.model import versions

# Ops of known packages: (pattern of the op's name, what it belongs to, module to import or None).
PACKAGES = (
    (r"TFText>|Sentencepiece|Wordpiece|FastWordpiece|FastBertNormalize|UnicodeScriptTokenize"
     r"|WhitespaceTokenize|CaseFoldUTF8|NormalizeUTF8|RegexSplitWithOffsets|RougeL"
     r"|SentenceFragments|ConstrainedSequence|MaxSpanningTree|SplitMergeTokenize",
     "TensorFlow Text", "tensorflow_text"),
    (r"SimpleML", "TensorFlow Decision Forests", "tensorflow_decision_forests"),
    (r"Addons>", "TensorFlow Addons", "tensorflow_addons"),
    (r"IO>", "TensorFlow I/O", "tensorflow_io"),
    (r"DecodeProtoSparse|EquiJoin|RunLengthBefore", "struct2tensor", "struct2tensor"),
    (r"Horovod", "Horovod", "horovod.tensorflow"),
    (r"TFRA>", "TensorFlow Recommenders Addons", "tensorflow_recommenders_addons"),
    (r"BoostedTrees", "the boosted trees of tf.estimator, which TensorFlow has removed", None),
    (r"TreeEnsemble|GradientTrees|QuantileAccumulator|DecisionTree|FertileStats|TensorForest",
     "the tree models of tf.contrib in TensorFlow 1", None),
    (r"_?TPU|Infeed|Outfeed|_?Xla", "TPUs or XLA", None),
)
# Ops without a kernel of their own: TensorFlow rewrites them before it runs a graph.
_REWRITTEN = frozenset({"AccumulateNV2", "XlaClusterOutput"})


def _registered(op_type):
    """The OpDef of an op type, or None."""
    return op_def_registry.get(op_type)


def op_def(op_type):
    """The OpDef of an op type.

    Raises:
      GraphError: the op is not registered in this process (a custom op, or a removed one).
    """
    found = _registered(op_type)
    if found is None:
        raise GraphError(
            f"op {op_type!r} is not known to this TensorFlow ({tf.__version__}): a custom op whose "
            f"library is not loaded, or one that was removed. {_advice([op_type])}")
    return found


def is_known(op_type):
    return _registered(op_type) is not None


def has_kernel(op_type):
    """Whether an op that is known can be run here, on any device."""
    return op_type in _REWRITTEN or bool(kernels.get_registered_kernels_for_op(op_type).kernel)


def kernels_of(device):
    """{op type: [{type attribute: set of DataType enums}]} of the kernels of one kind of device."""
    found = {}
    for kernel in kernels.get_all_registered_kernels().kernel:
        if kernel.device_type == device:
            found.setdefault(kernel.op, []).append(
                {one.name: set(one.allowed_values.list.type) for one in kernel.constraint})
    return found


def import_graph(graph_def, producer_ops=None):
    """A GraphDef in a new tf.Graph; nothing is run.

    Raises:
      GraphError: unknown ops (all are named), what only a newer TensorFlow knows, or a graph that
        TensorFlow refuses.
    """
    refuse_unknown(graph_def)
    graph = tf.Graph()
    copy = graph_pb2.GraphDef()  # import_graph_def may change what it is given
    copy.CopyFrom(graph_def)
    if producer_ops is not None and not producer_ops.op:
        producer_ops = None
    _fit_here(copy, producer_ops)
    try:
        with graph.as_default():
            tf.graph_util.import_graph_def(copy, name="", producer_op_list=producer_ops)
    except Exception as error:  # of many kinds, all about the graph
        raise GraphError(f"TensorFlow refuses the model's graph: {error}") from error
    return graph


def _fit_here(graph_def, producer_ops):
    """Makes a graph of a newer TensorFlow one of this: attributes that came since are left off
    where they have their default, in place.

    Raises:
      GraphError: it is for newer readers alone, or has another value of such an attribute.
    """
    here = tf.version.GRAPH_DEF_VERSION
    if graph_def.versions.min_consumer > here:
        raise GraphError(
            f"the graph is for readers of graph version {graph_def.versions.min_consumer} or later "
            f"and this TensorFlow ({tf.__version__}) has {here}: use a newer one.")
    defaults = {} if producer_ops is None else {
        (op.name, one.name): one.default_value for op in producer_ops.op for one in op.attr
        if one.HasField("default_value")}
    for node in _nodes(graph_def):
        for name in _unknown_attributes(node):
            default = defaults.get((node.op, name), versions.default(node.op, name))
            if node.attr[name] != default:
                raise GraphError(_of_a_newer(graph_def, node, name))
            del node.attr[name]


def _nodes(graph_def):
    """Of the top level and of the functions."""
    return itertools.chain(
        graph_def.node, *(function.node_def for function in graph_def.library.function))


def _unknown_attributes(node):
    """Names; those with an underscore belong to no op."""
    if not is_known(node.op):  # a call of a function
        return []
    known = _attributes(node.op)
    return [name for name in node.attr if name not in known and not name.startswith("_")]


@functools.lru_cache(maxsize=None)
def _attributes(op_type):
    return frozenset(one.name for one in op_def(op_type).attr)


def _of_a_newer(graph_def, node, name):
    having = versions.having(node.op, name)
    owner = (f"TensorFlow {having[0]} has it" if having else
             f"TensorFlow {versions.known()[-1]} has none either")
    produced, here = graph_def.versions.producer, tf.version.GRAPH_DEF_VERSION
    written = (f" The graph is of version {produced}, this TensorFlow of {here}: a newer one wrote "
               "it." if produced > here else "")
    return (f"node {node.name!r} says {name!r} of op {node.op}, an attribute that this TensorFlow "
            f"({tf.__version__}) does not know; {owner}.{written} Use the TensorFlow that wrote "
            "the model, or a newer one.")


def op_types(graph_def):
    """{op type: name of a node of it} of a GraphDef and its functions, calls left out."""
    functions = {function.signature.name for function in graph_def.library.function}
    found = {}
    for node in _nodes(graph_def):
        if node.op not in functions:
            found.setdefault(node.op, node.name)
    return found


def refuse_unknown(graph_def):
    """Names all ops that this TensorFlow does not know, and whose they are."""
    unknown = {op: node for op, node in op_types(graph_def).items() if not is_known(op)}
    if unknown:
        raise GraphError(
            f"ops that this TensorFlow ({tf.__version__}) does not know: "
            f"{', '.join(sorted(unknown))} (for example node {next(iter(unknown.values()))!r}). "
            f"{_advice(unknown)}")


def refuse_without_kernel(graph_def):
    """Names all ops of a GraphDef that are known and cannot be run here."""
    found = {op: node for op, node in op_types(graph_def).items()
             if is_known(op) and not has_kernel(op)}
    if found:
        listed = ", ".join(f"{op} (node {node!r})" for op, node in sorted(found.items()))
        raise GraphError(
            f"ops that this TensorFlow ({tf.__version__}) knows and has no kernel for, so that the "
            f"model cannot run: {listed}. {_owners(found)}Use a TensorFlow that still has them.")


def _advice(unknown):
    elsewhere = _versions_with(unknown)
    if elsewhere:
        return f"{_owners(unknown)}{elsewhere}"
    modules = sorted({module for _, _, module in map(_package, unknown) if module})
    if modules:
        imports = ",".join(modules)
        return (f"{_owners(unknown)}Import what registers them first: --import={imports} on the "
                f"command line, `import {modules[0]}` in Python.")
    return (f"{_owners(unknown)}Import the package that registers them first: --import=MODULE on "
            "the command line (for example tensorflow_text), or --load_op_library=FILE.so for a "
            "library of your own.")


def _versions_with(unknown):
    """A sentence for each op that another TensorFlow has, newer or older; "" where one is of none:
    then a package is missing."""
    found = {op: versions.having(op) for op in sorted(unknown)}
    if not all(found.values()):
        return ""
    return " ".join(f"TensorFlow {having[-1]} has {op}: use that version, or save the model "
                    "without it." for op, having in found.items())


def _owners(unknown):
    """A sentence for each package that is known to have the ops, or ""."""
    owners = {}
    for op in sorted(unknown):
        _, owner, _ = _package(op)
        if owner:
            owners.setdefault(owner, []).append(op)
    return "".join(f"{', '.join(names)}: of {owner}. " for owner, names in owners.items())


def _package(op_type):
    for row in PACKAGES:
        if re.match(row[0], op_type):
            return row
    return None, None, None
