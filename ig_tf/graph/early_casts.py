"""Integers that are put together before they become floats: each part becomes a float by itself.

Cast(Concat(a, b)) is Concat(Cast(a), Cast(b)), to the bit. In the second form each part is a tensor
that can be attributed to, as one-hots of several categories have to be.
"""

from tensorflow.core.framework import graph_pb2, types_pb2

from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import controls, data, producer, set_inputs

_FLOATS = frozenset({types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_HALF,
                     types_pb2.DT_BFLOAT16})
# Which of the inputs of each op are parts; the others say the axis.
_PARTS = {"ConcatV2": slice(0, -1), "Concat": slice(1, None), "Pack": slice(0, None)}


def cast_parts(graph_def):
    """A copy of a flat GraphDef with such casts moved; nodes keep their names and values."""
    result = graph_pb2.GraphDef()
    result.CopyFrom(graph_def)
    nodes = {node.name: node for node in result.node}
    queue = [node for node in result.node if node.op == "Cast"]
    while queue:
        cast = queue.pop()
        joined = nodes.get(producer(cast.input[0]))
        if joined is None or joined.op not in _PARTS or cast.attr["SrcT"].type in _FLOATS or (
                cast.attr["DstT"].type not in _FLOATS):
            continue
        source, goal = cast.attr["SrcT"].type, cast.attr["DstT"].type
        operands = data(joined)
        for place in range(len(operands))[_PARTS[joined.op]]:
            part = result.node.add(name=f"{SCOPE}cast/{cast.name}/{place}", op="Cast",
                                   input=[operands[place]])
            part.attr["SrcT"].type, part.attr["DstT"].type = source, goal
            nodes[part.name] = part
            operands[place] = part.name + ":0"
            queue.append(part)
        set_inputs(cast, [*operands, *controls(cast)])
        cast.op = joined.op
        cast.attr.clear()
        for name, value in joined.attr.items():
            cast.attr[name].CopyFrom(value)
        cast.attr["T"].type = goal
        cast.attr.pop("_output_shapes", None)
    return result
