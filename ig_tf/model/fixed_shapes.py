"""A model whose inputs have sizes that no request changes, as compilers ahead of time want them."""

import copy
import dataclasses

from ig_tf.errors import SignatureError


def fixed(model, examples, shapes=None):
    """The model with so many examples in every request.

    Args:
      model: a `Model`.
      examples: size of axis 0 wherever it is not said.
      shapes: {input: shape} of those with other unknown sizes.

    Returns:
      A `Model`; the given one stays as it is. Its own signature has these sizes too, so what is
      made of it is no replacement for the model.

    Raises:
      SignatureError: an input that there is not, a size that is not said, or another than the
        model's.
    """
    shapes = dict(shapes or {})
    unknown = sorted(set(shapes) - set(model.inputs()))
    if unknown:
        raise SignatureError(f"shapes are given for {', '.join(unknown)}; the inputs are "
                             f"{', '.join(model.inputs())}.")
    proto, working = copy.deepcopy(model.proto), copy.deepcopy(model.working)
    explained = copy.deepcopy(model.explained)
    made = dataclasses.replace(model, proto=proto, working=working, explained=explained)
    sizes = {}
    for key, info in made.signature.inputs.items():
        if info.WhichOneof("encoding") != "name":
            raise SignatureError(f"input {key!r} is sparse or ragged: it has no fixed size.")
        sizes[info.name.partition(":")[0]] = _set(key, info.tensor_shape, examples, shapes.get(key))
    for graph_def in (made.graph_def, made.working_graph_def):
        for node in graph_def.node:
            if node.name in sizes:
                node.attr["shape"].shape.CopyFrom(sizes[node.name])
                if "_output_shapes" in node.attr:
                    del node.attr["_output_shapes"]
    return made


def _set(key, shape, examples, wanted):
    """Sets the unknown sizes of a TensorShapeProto; returns it."""
    found = [dim.size for dim in shape.dim]
    if wanted is None:
        wanted = [examples, *found[1:]] if found and found[0] < 0 else found
    if shape.unknown_rank and wanted:
        found = [-1] * len(wanted)
    if len(wanted) != len(found) or any(size not in (-1, new) for size, new in zip(found, wanted)):
        raise SignatureError(f"input {key!r} has the shape {_text(found)}; asked for "
                             f"{_text(wanted)}.")
    if shape.unknown_rank or min(wanted, default=0) < 0:
        raise SignatureError(f"input {key!r} has the shape {_text(wanted)}: say what it shall be "
                             "(--shapes).")
    shape.Clear()
    for size in wanted:
        shape.dim.add(size=size)
    return shape


def _text(sizes):
    return "[" + ", ".join("?" if size < 0 else str(size) for size in sizes) + "]"
