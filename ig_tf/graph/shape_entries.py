"""Entries gathered out of a shape are sliced out of it: TensorFlow's shapes see through slices.

tf.tensordot, and so every dense layer over a sequence, writes Gather(Shape(x), [0, 1]). The sizes
that x is known to have are forgotten there; after Pack(Shape(x)[0], Shape(x)[1]) they are not.
"""

import numpy as np
from tensorflow import make_ndarray, make_tensor_proto
from tensorflow.core.framework import graph_pb2, types_pb2

from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import controls, data, producer, set_inputs

GATHERS = frozenset({"Gather", "GatherV2"})
_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask")


def slice_shapes(graph_def):
    """A copy of a flat GraphDef with such gathers replaced; nodes keep their names and values."""
    result = graph_pb2.GraphDef()
    result.CopyFrom(graph_def)
    nodes = {node.name: node for node in graph_def.node}
    for gather in list(result.node):
        places = _places(gather, nodes)
        if places is None:
            continue
        dtype, entries = gather.attr["Tparams"].type, []
        for number, place in enumerate(places):
            name = f"{SCOPE}entry/{gather.name}/{number}"
            bounds = [_constant(result, f"{name}/{what}", value) for what, value in (
                ("begin", place), ("end", place + 1), ("strides", 1))]
            entry = result.node.add(name=name, op="StridedSlice",
                                    input=[data(gather)[0], *bounds])
            entry.attr["T"].type, entry.attr["Index"].type = dtype, types_pb2.DT_INT32
            entry.attr["shrink_axis_mask"].i = 1
            for mask in _MASKS:
                entry.attr[mask].i = 0
            entries.append(name + ":0")
        set_inputs(gather, [*entries, *controls(gather)])
        gather.op = "Pack"
        gather.attr.clear()
        gather.attr["T"].type, gather.attr["N"].i, gather.attr["axis"].i = dtype, len(entries), 0
    return result


def _places(node, nodes):
    """The entries that a gather takes out of a shape, or None where it is something else."""
    if node.op not in GATHERS or ("batch_dims" in node.attr and node.attr["batch_dims"].i):
        return None  # to read an attribute that is not there would add it
    operands = [nodes.get(producer(value)) for value in data(node)]
    if operands[0] is None or operands[0].op != "Shape":
        return None
    if any(operand is None or operand.op != "Const" for operand in operands[1:]):
        return None
    places, *axis = (make_ndarray(operand.attr["value"].tensor) for operand in operands[1:])
    if places.ndim != 1 or not places.size or places.min() < 0 or any(map(np.any, axis)):
        return None
    return [int(place) for place in places]


def _constant(graph_def, name, value):
    node = graph_def.node.add(name=name, op="Const")
    node.attr["dtype"].type = types_pb2.DT_INT32
    node.attr["value"].tensor.CopyFrom(make_tensor_proto(np.array([value], np.int32)))
    return name + ":0"
