"""The affine frontier: how far behind some tensors a straight line stays a straight line (D6).

Behind matrix products with weights, convolutions, sums, moves and the like, the value is as affine
in alpha as the path itself. Everything up to the frontier need not run at every node of the path:
IG = (x - x') * J^T * integral(dF/dz), with J the derivative of that part, which is constant.

The frontier is a cut: what the target depends on comes through it. A frontier tensor may stand
behind another one; each is a straight line of its own then, and each has its own derivative.
"""

import dataclasses

from ig_tf.graph import affine_rules, registry, surgery
from ig_tf.graph.min_cut import INFINITE, Flow
from ig_tf.graph.walk import SHAPE_OPS, ancestors_in_order

# How often the path itself touches each number of a frontier tensor: written as a sum of two
# products, and its derivative read for the integral.
PASSES = 4
# Crossing has to save this share of the work per node. Rounding is another one behind the frontier,
# and a network with many kinks shows it: two image classifiers moved by 1e-3 of the largest
# attribution, as they do when the nodes move by 3e-7, for a saving of 3 % and 14 %.
WORTH = 0.2
# Their gradient is zero, or there is none, whatever TensorFlow has registered.
_FLAT = frozenset({"Round", "Rint", "Floor", "Ceil", "Sign", "FloorDiv", "FloorMod", "TruncateDiv",
                   "Mod"})


@dataclasses.dataclass(frozen=True)
class Frontier:
    """Where the path is integrated.

    Attributes:
      tensors: of the working graph, in the order of the graph; each is affine in the points.
      operations: names of the ops between the points and these.
      silent: names of those that no derivative comes back to: only a comparison, say, reads them.
    """

    tensors: tuple
    operations: tuple
    silent: frozenset = frozenset()


def at_points(graph, points, target, usable):
    """No op is crossed: the frontier that is the points themselves. Arguments as `find`."""
    del graph, target, usable
    return Frontier(tuple(points), ())


def find(graph, points, target, usable):
    """The cheapest frontier between some points and the target.

    Of all affine ops behind the points those are crossed that make the work per node of the path
    least: their own, and that of the path in the tensors that it is integrated in.

    Args:
      graph: a tf.Graph, flat.
      points: tensors.
      target: tensor.
      usable: function(tensor) -> whether the path may be integrated there.

    Returns:
      A `Frontier`; the points themselves where nothing is worth crossing.
    """
    order, moving, affine = region(graph, points, target)
    users = _users(moving)
    if not all(_reaches(point, target, users) for point in points):
        return at_points(graph, points, target, usable)  # the error says which has no derivative
    crossed = _worth_crossing(order, points, target, moving, affine, users, usable)
    made = [tensor for op in order if op.name in crossed for tensor in op.outputs]
    tensors = [tensor for tensor in (*points, *made) if tensor.name in affine and (
        tensor.name == target.name or any(
            op.name not in crossed for op in users.get(tensor.name, ())))]
    at_start = [op for op in order if op in moving]
    kept = [op for op in at_start if op.name not in crossed]
    if price(kept, tensors) > (1 - WORTH) * price(at_start, points):
        return at_points(graph, points, target, usable)
    left = {name: [op for op in ops if op.name not in crossed] for name, ops in users.items()}
    silent = {tensor.name for tensor in tensors if not _reaches(tensor, target, left)}
    return Frontier(tuple(tensors), tuple(op.name for op in order if op.name in crossed),
                    frozenset(silent))


def region(graph, points, target):
    """What moves along the path, and which of it along a straight line.

    Returns:
      (ops that lead to the target, in order; {op: places of its inputs that move}; names of the
      tensors that are affine in the points, the points among them).
    """
    order = ancestors_in_order(graph, [target], {tensor.name for tensor in points})
    moving = _moving(points, {op.name for op in order})
    return order, moving, _affine(order, points, moving)


def _moving(points, leading):
    """{op: places of the inputs whose values move along the path} of the ops in `leading`.

    Shapes do not move, nor do the ids that numbers become (they have points of their own).
    """
    moving, seen, queue = {}, set(), list(points)
    names = {point.name for point in points}
    while queue:
        tensor = queue.pop()
        if tensor.name in seen:
            continue
        seen.add(tensor.name)
        for op in tensor.consumers():
            if op.name not in leading or op.type in SHAPE_OPS or surgery.makes_ids(op):
                continue
            moving.setdefault(op, set()).update(
                place for place, operand in enumerate(op.inputs) if operand is tensor)
            queue.extend(output for output in op.outputs if output.name not in names)
    return moving


def _affine(order, points, moving):
    """Names of the tensors that are affine in the points, the points among them."""
    affine = {point.name for point in points}
    for op in order:
        places = moving.get(op, set())
        if places and all(op.inputs[place].name in affine for place in places) and (
                affine_rules.keeps_coefficients(op, places) and registry.has_gradient(op)):
            affine.update(tensor.name for tensor in op.outputs)
    return affine


def price(operations, tensors):
    """The work per node: of some ops, and of the path in some tensors."""
    return sum(map(affine_rules.cost, operations)) + PASSES * sum(map(affine_rules.size, tensors))


def _users(moving):
    """{tensor name: ops that the path reaches through it}."""
    users = {}
    for op, places in moving.items():
        for place in places:
            users.setdefault(op.inputs[place].name, set()).add(op)
    return users


def _reaches(tensor, target, users):
    """Whether a derivative can get from the target to a tensor, as far as TensorFlow says."""
    seen, queue = set(), [tensor]
    while queue:
        tensor = queue.pop()
        if tensor.name == target.name:
            return True
        for op in users.get(tensor.name, ()):
            if op not in seen and op.type not in _FLAT and registry.has_gradient(op):
                seen.add(op)
                queue.extend(op.outputs)
    return False


def _worth_crossing(order, points, target, moving, affine, users, usable):
    """Names of the ops to cross: the source's side of a cheapest cut.

    An op on the sink's side costs its own work at every node. A tensor that is made (or is a point)
    on the source's side and read on the sink's costs what the path does with it.
    """
    flow = Flow()
    candidates = {op.name for op in order if op in moving
                  and all(tensor.name in affine for tensor in op.outputs)}
    given = {point.name for point in points}
    for op in order:
        if op.name in candidates:
            flow.add("", op.name, affine_rules.cost(op))
            for place in moving[op]:
                if op.inputs[place].name not in given:
                    flow.add(op.name, op.inputs[place].op.name, INFINITE)
    tensors = [*points, *(tensor for op in order if op.name in candidates
                          for tensor in op.outputs if tensor.name not in given)]
    for tensor in tensors:
        readers = [op.name if op.name in candidates else None
                   for op in users.get(tensor.name, ())]
        if tensor.name == target.name:
            readers.append(None)
        if not readers:
            continue
        price = PASSES * affine_rules.size(tensor) if usable(tensor) else INFINITE
        if tensor.name in given:
            flow.add("", tensor.name, price)
        else:
            flow.add(tensor.op.name, tensor.name, price)
        for reader in readers:
            flow.add(tensor.name, reader, INFINITE)
    return flow.source_side("", None) & candidates
