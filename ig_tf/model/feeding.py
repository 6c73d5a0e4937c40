"""From a graph without a signature to one that can be fed: GraphDef in, GraphDef and inputs out.

What the user names becomes a placeholder if it is none. What stands on the way to the outputs and
feeds itself (queues, readers, iterators) is swapped for placeholders, and scalars that no caller
should be asked for (keep_prob) are fixed, by feeds.py.
"""

import dataclasses

from ig_tf.errors import SignatureError
from ig_tf.model import feed_sparse, feeds, named, prune
from ig_tf.model.nodes import canonical, producer


@dataclasses.dataclass(frozen=True)
class Fed:
    """A graph whose inputs are placeholders.

    Attributes:
      graph_def: GraphDef.
      inputs, outputs: {key: tensor name or TensorInfo}.
      notes: sentences that say what was chosen.
      feeds: the `Feed`s that were swapped for placeholders.
      fixes: the `Fix`es that were made.
    """

    graph_def: object
    inputs: dict
    outputs: dict
    notes: tuple = ()
    feeds: tuple = ()
    fixes: tuple = ()


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
    made = _swapped(Fed(graph_def, given or {}, outputs), asked)
    missing = unfed(made)
    if given is None and missing:
        added = named.tensors(missing, "input")
        listed = ", ".join(f"{key}={tensor}" for key, tensor in added.items())
        made = dataclasses.replace(made, inputs={**made.inputs, **added}, notes=(
            *made.notes, f"inputs {listed} (all placeholders that the outputs need)"))
    elif missing:
        raise SignatureError(
            f"the outputs need {', '.join(map(repr, missing))} to be fed, and no input is that: "
            "name it with --inputs too, or set a scalar with --fix=NAME:VALUE.\n"
            f"{named.candidates(graph_def)}")
    if not made.inputs:
        raise SignatureError(f"nothing that could be fed leads to {', '.join(_names(outputs))}."
                             f"\n{named.candidates(graph_def)}")
    return made


def _swapped(made, asked):
    """What is no placeholder and has to be one, is; what needs no caller is fixed."""
    nodes = prune.nodes_by_name(made.graph_def)
    computed = {key: tensor for key, tensor in made.inputs.items() if isinstance(tensor, str)
                and not nodes[producer(tensor)].op.startswith("Placeholder")}
    kept = {key: info for key, info in made.inputs.items() if key not in computed}
    goals = _names(made.outputs)
    if computed and asked.feeds:
        raise SignatureError("name what shall be fed either with --inputs or with --feed, not "
                             "both.")
    feed = {tensor: key for key, tensor in computed.items()} or asked.feeds
    prepared = feeds.prepare(made.graph_def, goals, feed=feed, fixed=asked.fixes,
                             given=_names(kept), taken=tuple(kept))
    stands = dict(zip(goals, map(canonical, prepared.outputs)))
    swapped = {key: canonical(tensor) for key, tensor in prepared.inputs.items()}
    inputs = {key: swapped.pop(key, info) for key, info in made.inputs.items()}
    outputs = {key: _renamed(info, stands) for key, info in made.outputs.items()}
    swapped = feed_sparse.inputs_of([one for one in prepared.feeds if one.name in swapped], swapped)
    return Fed(prepared.graph_def, {**inputs, **swapped}, outputs, tuple(prepared.notes),
               prepared.feeds, prepared.fixes)


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
    behind = prune.ancestors(nodes, map(producer, _names(made.outputs)))
    return {name: node for name, node in nodes.items() if name in behind}


def unfed(made):
    """Tensors of placeholders that the outputs need and that no input is, in order."""
    inputs = set(map(producer, _names(made.inputs)))
    return [name + ":0" for name, node in _behind(made).items()
            if node.op in prune.PLACEHOLDERS and name not in inputs]
