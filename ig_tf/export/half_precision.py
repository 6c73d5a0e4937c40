"""Matrix products and convolutions of the attribution function in half precision.

Each such op gets its operands cast down and its result cast back at once, on the path and in its
gradient, so that all sums over steps, examples and features stay in float32. What the function
takes from the model's own nodes stays as it is: `prediction` is what it was, and the errors in the
answer are against it.
"""

import collections
import dataclasses
import re

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from ig_tf.errors import CompileError
from ig_tf.graph.work import rename_functions
from ig_tf.model.nodes import library_of, needed_functions
from ig_tf.model.ops import kernels_of, op_def

# {op: places of the operands that are numbers}; `T` is their type and that of the result.
OPERANDS = {
    "MatMul": (0, 1), "BatchMatMul": (0, 1), "BatchMatMulV2": (0, 1),
    "Conv2D": (0, 1), "Conv2DBackpropInput": (1, 2),
    "DepthwiseConv2dNative": (0, 1), "DepthwiseConv2dNativeBackpropInput": (1, 2),
    "Conv3D": (0, 1), "Conv3DBackpropInputV2": (1, 2),
}
# Nodes that the function has from the model as they are (`surgery.realise`).
_MODEL = re.compile(r"model(_\d+)?/")


def narrowed(traced, dtype):
    """The attribution function with these ops in another type.

    Args:
      traced: a `Traced`; it stays as it is.
      dtype: "bfloat16" or "float16".

    Returns:
      A `Traced`, and a sentence: how many ops of which kind, and what stays in float32.

    Raises:
      CompileError: nothing is there to compute in half precision.
    """
    found = graph_pb2.GraphDef()
    found.library.function.extend(traced.functions)
    done, left = collections.Counter(), collections.Counter()
    kept = _of_the_model(found)
    for function in found.library.function:
        for node in [node for node in function.node_def if _fits(node)]:
            if function.signature.name in kept or _MODEL.match(node.name):
                continue
            if _has_kernel(node.op, dtype):
                _narrow(function, node, tf.as_dtype(dtype).as_datatype_enum)
                done[node.op] += 1
            else:
                left[node.op] += 1
    if not done:
        raise CompileError(f"compute_dtype {dtype}: the attribution function has no matrix product "
                           f"or convolution of float32 to compute in it"
                           + (f" ({_counted(left)} have no kernel)." if left else "."))
    # Other functions than those in float32, which may stand in one graph with them.
    rename_functions(found, {one.signature.name: f"{one.signature.name}_{dtype}"
                             for one in traced.functions})
    said = f"in {dtype}: {_counted(done)}" + (f"; no kernel for {_counted(left)}" if left else "")
    return dataclasses.replace(traced, functions=tuple(found.library.function)), said


def _of_the_model(graph_def):
    """Names of functions that nodes of the model call (loops, branches), whoever else does."""
    library = library_of(graph_def)
    calls = [node for function in library.values() for node in function.node_def
             if _MODEL.match(node.name)]
    return set(needed_functions(calls, library))


def _fits(node):
    return node.op in OPERANDS and node.attr["T"].type == tf.float32.as_datatype_enum


def _has_kernel(op, dtype):
    number = tf.as_dtype(dtype).as_datatype_enum
    return any(number in entry.get("T", {number}) for entry in kernels_of("CPU").get(op, ()))


def _narrow(function, node, number):
    wide = node.attr["T"].type
    result, = op_def(node.op).output_arg
    own = f"{node.name}:{result.name}:0"
    back = _cast(function, f"{node.name}/wide", own, number, wide)
    _replace(function, own, back, f"{node.name}/wide")
    for place in OPERANDS[node.op]:
        node.input[place] = _cast(function, f"{node.name}/narrow_{place}", node.input[place], wide,
                                  number)
    node.attr["T"].type = number


def _cast(function, name, source, found, wanted):
    """A new Cast node; the name of its result."""
    cast = function.node_def.add(name=name, op="Cast", input=[source])
    cast.attr["SrcT"].type, cast.attr["DstT"].type = found, wanted
    cast.attr["Truncate"].b = False
    return f"{name}:y:0"


def _replace(function, old, new, but):
    """Whoever takes one tensor takes another, but for the node that makes it."""
    for node in function.node_def:
        if node.name != but:
            for place, name in enumerate(node.input):
                if name == old:
                    node.input[place] = new
    for key, name in function.ret.items():
        if name == old:
            function.ret[key] = new


def _counted(counter):
    return ", ".join(f"{number} {op}" for op, number in sorted(counter.items()))
