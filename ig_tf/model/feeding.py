"""From a graph without a signature to one that can be fed: GraphDef in, GraphDef and inputs out.

What the user names becomes a placeholder if it is none. What stands on the way to the outputs and
feeds itself (queues, readers, iterators) is swapped for placeholders, and scalars that no caller
should be asked for (keep_prob) are fixed, by feeds.py.
"""

import dataclasses

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from ig_tf.errors import SignatureError
from ig_tf.model import named, ops, prune


@dataclasses.dataclass(frozen=True)
class Fed:
    """A graph whose inputs are placeholders.

    Attributes:
      graph_def: GraphDef.
      inputs, outputs: {key: tensor name or TensorInfo}.
      notes: sentences that say what was chosen.
    """

    graph_def: object
    inputs: dict
    outputs: dict
    notes: tuple = ()


def fed(graph_def, asked):
    """Inputs and outputs of a graph, each input a placeholder.

    Args:
      graph_def: a GraphDef; not changed.
      asked: `Asked`; without outputs they are asked for, without inputs they are all that the
        outputs need to be fed.

    Returns:
      A `Fed`.

    Raises:
      SignatureError: something that is not named, not there, or not fed.
    """
    given, outputs = named.tensors(asked.inputs, "input"), named.tensors(asked.outputs, "output")
    if outputs is None:
        raise named.ask(graph_def, "outputs" if given else "inputs and outputs")
    named.refuse_missing(graph_def, outputs, "output")
    named.refuse_missing(graph_def, given or {}, "input")
    made = _swapped(Fed(graph_def, given or {}, outputs))
    missing = _unfed(made)
    if given is None and missing:
        added = named.tensors(missing, "input")
        listed = ", ".join(f"{key}={tensor}" for key, tensor in added.items())
        made = dataclasses.replace(made, inputs={**made.inputs, **added}, notes=(
            *made.notes, f"inputs {listed} (all placeholders that the outputs need)"))
    elif missing:
        raise SignatureError(
            f"the outputs need {', '.join(map(repr, missing))} to be fed, and no input is that: "
            f"name it with --inputs too.\n{named.candidates(graph_def)}")
    if not made.inputs:
        raise SignatureError(f"nothing that could be fed leads to {', '.join(_names(outputs))}."
                             f"\n{named.candidates(graph_def)}")
    return made


def _swapped(made):
    """What is no placeholder and has to be one, is; what needs no caller is fixed."""
    try:
        from ig_tf.model import feeds
    except ImportError:
        made = _cut(made)
        _refuse_sources(made)
        return made
    nodes = prune.nodes_by_name(made.graph_def)
    computed = {key: tensor for key, tensor in made.inputs.items() if isinstance(tensor, str)
                and not nodes[prune.node_name(tensor)].op.startswith("Placeholder")}
    kept = {key: info for key, info in made.inputs.items() if key not in computed}
    goals = _names(made.outputs)
    prepared = feeds.prepare(made.graph_def, goals,
                             feed={tensor: key for key, tensor in computed.items()},
                             given=_names(kept), taken=tuple(kept))
    stands = dict(zip(goals, map(prune.canonical, prepared.outputs)))
    swapped = {key: prune.canonical(tensor) for key, tensor in prepared.inputs.items()}
    inputs = {key: swapped.pop(key, info) for key, info in made.inputs.items()}
    outputs = {key: _renamed(info, stands) for key, info in made.outputs.items()}
    return Fed(prepared.graph_def, {**inputs, **swapped}, outputs, tuple(prepared.notes))


def _cut(made):
    """Named tensors that are computed become placeholders; what leads to them is not needed."""
    nodes = prune.nodes_by_name(made.graph_def)
    computed = [tensor for tensor in _names(made.inputs)
                if not nodes[prune.node_name(tensor)].op.startswith("Placeholder")]
    if not computed:
        return made
    names = [prune.node_name(tensor) for tensor in computed]
    graph = ops.import_graph(prune.part(made.graph_def, prune.ancestors(nodes, names)))
    replaced, taken = {}, set(nodes)
    result = graph_pb2.GraphDef()
    result.CopyFrom(made.graph_def)
    for tensor in computed:
        dtype, shape = _known(graph, nodes, tensor)
        name = prune.unused_name(tensor.replace(":", "_"), taken)
        taken.add(name)
        node = result.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = dtype.as_datatype_enum
        node.attr["shape"].shape.CopyFrom(shape.as_proto())
        replaced[tensor] = name + ":0"
    for node in result.node:
        node.input[:] = [replaced.get(prune.canonical(value), value)
                         if not value.startswith("^") else value for value in node.input]
    inputs = {key: _renamed(info, replaced) for key, info in made.inputs.items()}
    return dataclasses.replace(made, graph_def=result, inputs=inputs)


def _known(graph, nodes, name):
    """(dtype, shape) of a tensor; what comes out of a queue has the shapes that it declares."""
    try:
        tensor = graph.get_tensor_by_name(name)
    except (KeyError, ValueError):
        raise SignatureError(f"no such input: node {prune.node_name(name)!r} has no output "
                             f"{name.partition(':')[2]}.") from None
    node, index = nodes[prune.node_name(name)], int(name.partition(":")[2])
    if tensor.shape.rank is None and node.op.startswith("QueueDequeue"):
        queue = prune.root(nodes, node.input[0])
        declared = queue.attr["shapes"].list.shape if "shapes" in queue.attr else ()
        if index < len(declared):
            batch = [] if node.op in ("QueueDequeue", "QueueDequeueV2") else [None]
            return tensor.dtype, tf.TensorShape(batch).concatenate(
                tf.TensorShape(declared[index]))
    return tensor.dtype.base_dtype, tensor.shape


def _renamed(info, replaced):
    if isinstance(info, str):
        return replaced.get(info, info)
    copy = type(info)()
    copy.CopyFrom(info)
    if copy.WhichOneof("encoding") == "coo_sparse":
        sparse = copy.coo_sparse
        for field in ("indices_tensor_name", "values_tensor_name", "dense_shape_tensor_name"):
            setattr(sparse, field, replaced.get(getattr(sparse, field), getattr(sparse, field)))
    elif copy.name:
        copy.name = replaced.get(copy.name, copy.name)
    return copy


def _names(infos):
    return [tensor for info in infos.values() for tensor in named.tensors_of(info)]


def _behind(made):
    nodes = prune.nodes_by_name(made.graph_def)
    behind = prune.ancestors(nodes, map(prune.node_name, _names(made.outputs)))
    return {name: node for name, node in nodes.items() if name in behind}


def _unfed(made):
    """Tensors of placeholders that the outputs need and that no input is, in order."""
    inputs = set(map(prune.node_name, _names(made.inputs)))
    return [name + ":0" for name, node in _behind(made).items()
            if node.op in prune.PLACEHOLDERS and name not in inputs]


def _refuse_sources(made):
    """A queue that is still there would be read, and block, at every request."""
    for name, node in _behind(made).items():
        if node.op.startswith(named.SOURCES):
            read = sorted({prune.canonical(value) for other in made.graph_def.node
                           for value in prune.data_inputs(other) if prune.node_name(value) == name})
            listed = ",".join(tensor.removesuffix(":0") for tensor in read)
            raise SignatureError(
                f"the outputs read from {node.op} {name!r}: no caller can feed that. Name what "
                f"comes out of it as inputs, for example --inputs={listed}.")
