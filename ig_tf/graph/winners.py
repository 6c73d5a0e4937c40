"""Pools that can be seen through: the largest of straight lines, where one line stays the largest.

The largest of several lines is a line itself where a line that is largest at x is largest at x'
too: between the two no other can pass it. So it is behind a convolution that meets a baseline of
zeros, where all places start from the bias alone. An activation that never falls may stand before
the pool: max(f(z)) = f(max(z)). Whether the winners stay is for each request to find out.
"""

import dataclasses

from tensorflow import get_static_value

from ig_tf.graph import affine, affine_rules, registry
from ig_tf.graph.shape_values import known_entries

# Activations that never fall, whatever their attributes.
RISING = frozenset({"Relu", "Relu6", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"})
# Ops that only move numbers, and commute with any activation.
MOVES = frozenset({"Identity", "ExpandDims", "Squeeze", "Reshape"})


@dataclasses.dataclass(frozen=True)
class Pool:
    """One of them.

    Attributes:
      operation: name of the pool.
      operand: name of the tensor before it, and before what `chain` says; a straight line.
      chain: names of the ops between the operand and the pool, in order.
      axes: axes of the pool's input that it takes the largest along.
    """

    operation: str
    operand: str
    chain: tuple
    axes: tuple

    @property
    def output(self):
        return self.operation + ":0"


def find(graph, points, target):
    """The pools that can be seen through between some points and the target.

    Args:
      graph: a tf.Graph, flat.
      points: tensors that are straight lines, such as those of a frontier.
      target: tensor.

    Returns:
      A tuple of `Pool`s through one of which all that moves the target comes; empty where there
      are none, or where it is not worth it.
    """
    order, moving, affine_names = affine.region(graph, points, target)
    pools = {}
    for op in order:
        pool = _pool(op, moving, affine_names)
        if pool is not None:
            pools[op.name] = pool
    left = _behind(target, set(pools), moving, {point.name for point in points})
    if left is None:
        return ()
    used = tuple(pool for name, pool in pools.items() if any(
        op.inputs[place].op.name == name for op in left for place in moving[op])
        or target.op.name == name)
    ends = [graph.get_operation_by_name(pool.operation).outputs[0] for pool in used]
    if affine.price(left, ends) > (1 - affine.WORTH) * affine.price(
            [op for op in order if op in moving], points):
        return ()
    return used


def _behind(target, pools, moving, points):
    """Moving ops that lead from the pools to the target; None where a point leads there beside."""
    found, queue = {}, [target]
    while queue:
        tensor = queue.pop()
        if tensor.name in points:
            return None
        if tensor.op.name in pools or tensor.op in found or tensor.op not in moving:
            continue
        found[tensor.op] = None
        queue.extend(tensor.op.inputs[place] for place in moving[tensor.op])
    return list(found)


def _pool(op, moving, affine_names):
    axes = _axes(op)
    if axes is None or moving.get(op) != {0} or not affine_rules.is_wide(op.outputs[0]):
        return None
    chain, tensor = [], op.inputs[0]
    while tensor.name not in affine_names:
        if moving.get(tensor.op) != {0} or not (_moves(tensor.op) or rises(tensor.op)):
            return None
        chain.append(tensor.op.name)
        tensor = tensor.op.inputs[0]
    return Pool(op.name, tensor.name, tuple(chain[::-1]), axes)


def _moves(op):
    """Whether an op moves numbers the same way for any number of rows."""
    return op.type in MOVES and all(get_static_value(one) is not None for one in op.inputs[1:])


def rises(op):
    """Whether an op is an activation that never falls."""
    return op.type in RISING or op.type == "LeakyRelu" and op.get_attr("alpha") >= 0


def _axes(op):
    """The axes that an op takes the largest along, where it takes it of all there is; else None."""
    if not registry.has_gradient(op):
        return None
    shape = op.inputs[0].shape
    if op.type == "Max" and shape.rank is not None:
        axes = known_entries(op.inputs[1])
        if axes is None or None in axes:
            return None
        return tuple(sorted(axis % shape.rank for axis in axes))
    if op.type == "MaxPool" and op.get_attr("padding") == b"VALID" and shape.rank == 4:
        window = op.get_attr("ksize")
        axes = tuple(axis for axis in range(4) if window[axis] != 1)
        if all(shape[axis] == window[axis] for axis in axes):
            return axes
    return None
