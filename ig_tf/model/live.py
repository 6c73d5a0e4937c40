"""A live tf.compat.v1 graph, with the session that holds its variables."""

import os
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import variable_pb2

from ig_tf.errors import ArtifactError
from ig_tf.model import assemble, checkpoint, prune, restore
from ig_tf.model.nodes import producer


def is_live(source):
    """Whether an object is a graph or a session."""
    return isinstance(source, (tf.Graph, tf.compat.v1.Session, tf.compat.v1.InteractiveSession))


def read(source, asked):
    """Reads a graph that lives in this process; neither it nor the session is changed.

    The values of the variables are fetched from the session: the only thing that is run.

    Args:
      source: a tf.Graph or a tf.compat.v1.Session.
      asked: `Asked`; its session holds the variables, where `source` is a graph.

    Returns:
      A `Model` that owns a temporary checkpoint.

    Raises:
      ArtifactError: variables and no session, or variables that were not initialised.
    """
    session = asked.session
    if not isinstance(source, tf.Graph):
        source, session = source.graph, source
    if session is not None and session.graph is not source:
        raise ArtifactError("the session holds another graph than the one that was given.")
    with source.as_default():
        meta_graph = tf.compat.v1.train.export_meta_graph(graph=source)
    meta_graph.ClearField("saver_def")  # the values are saved anew, by the variables' names
    owner, saved = None, None
    if session is not None:
        owner = tempfile.TemporaryDirectory(prefix="ig_tf_live_")
        saved = _saved(meta_graph, session, os.path.join(owner.name, "weights"))
    source = assemble.Source(
        path="live graph", meta_graph=meta_graph, checkpoint=saved, owner=owner,
        chosen=("live graph" + (": its session was run once, to read the variables"
                                if saved else ""),),
        without_weights="Pass the session that holds them: ig_tf.load(graph, session=session, "
                        "inputs=..., outputs=...).")
    return assemble.assembled(source, asked)


def _saved(meta_graph, session, prefix):
    """The variables' values as a checkpoint, or None where there are none."""
    definitions = {}
    for key in ("variables", "local_variables"):
        if key in meta_graph.collection_def:
            for raw in meta_graph.collection_def[key].bytes_list.value:
                definition = variable_pb2.VariableDef.FromString(raw)
                definitions[producer(definition.variable_name)] = definition
    reads = _reads(meta_graph.graph_def, definitions)
    if not reads:
        return None
    try:
        values = session.run({name: tensor for name, tensor in reads.items()})
    except tf.errors.FailedPreconditionError as error:
        raise ArtifactError(f"the session has variables without a value: "
                            f"{error.message.partition(chr(10))[0]}") from error
    except (RuntimeError, tf.errors.OpError) as error:
        raise ArtifactError(f"the session cannot read the variables: {error}") from error
    _write(prefix, values, definitions)
    return checkpoint.opened(prefix)


def _reads(graph_def, definitions):
    """{variable: tensor that reads it}."""
    found = {}
    for node in graph_def.node:
        if node.op in ("Variable", "VariableV2"):
            found[node.name] = node.name + ":0"
        elif node.op == "ReadVariableOp":
            found.setdefault(producer(node.input[0]), node.name + ":0")
    nodes = prune.nodes_by_name(graph_def)
    for name, definition in definitions.items():
        if definition.is_resource and producer(definition.snapshot_name) in nodes:
            found[name] = definition.snapshot_name
    return {name: tensor for name, tensor in found.items()
            if name in nodes and nodes[name].op in prune.VARIABLES}


def _write(prefix, values, definitions):
    """Writes arrays as a checkpoint; parts of a partitioned variable under its one name."""
    names, slices, feed = [], [], {}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name in sorted(values):
            definition = definitions.get(name, variable_pb2.VariableDef())
            saved, piece = restore.saved_as(name, definition)
            names.append(saved)
            slices.append(piece)
            value = np.asarray(values[name])
            dtype = tf.string if value.dtype == object else value.dtype
            feed[tf.compat.v1.placeholder(dtype, value.shape)] = value
        session.run(tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=slices,
                                      tensors=list(feed)), feed)
