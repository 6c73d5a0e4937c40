"""Where attribution belongs: the whole frontier, or the points that the user names."""

import dataclasses

from ig_tf.errors import PointError
from ig_tf.graph import registry
from ig_tf.graph.functional import BRANCHES, LOOPS
from ig_tf.graph.walk import SHAPE_OPS, ancestors_in_order, path_between
from ig_tf.graph.work import source_name
from ig_tf.points.bodies import MERGES, inner_lookups, lookup_of_branches
from ig_tf.points.features import Features
from ig_tf.points.frontier import (ZERO_GRADIENT, Stop, carries_gradient, classify, continued,
                                   frontier)
from ig_tf.points.lookups import LOOKUPS, lookup_at
from ig_tf.points.make import make_point, make_points
from ig_tf.points.point import Cut, unique_names
from ig_tf.points.recorded import recorded_names
from ig_tf.points.tables import table_of

AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Located:
    """The cut, and the features of the graph it was found in."""

    cut: Cut
    features: Features


def locate(work, target, states, points=AUTO, records=()):
    """The points of a target.

    Args:
      work: the `Work`.
      target: the tensor that is explained.
      states: row states by tensor name.
      points: "auto", or an iterable of names of points, signature inputs or tensors.
      records: what was recorded of the model's feature columns.

    Returns:
      A `Located`.

    Raises:
      PointError: nothing to attribute to; no such point; a point without gradient, or that the
        target does not depend on; a point that lies behind another.
    """
    features = Features(work, [target])
    stops = frontier(work, target, features, states)
    found = [stop for stop in stops if not stop.structure]
    recorded = recorded_names(records, found, work,
                              lambda tensor: continued(tensor, features, states))
    auto, refused = make_points(found, features, work, states, recorded)
    structure = [f"{source_name(stop.tensor.name)}: {stop.structure}" for stop in stops
                 if stop.structure]
    if points == AUTO:
        if refused:
            raise PointError(refused[0])
        if not auto:
            raise PointError(
                f"the target {target.name!r} depends on no floating-point place of attribution; "
                "the walk from it stopped at: " + ("; ".join(structure) or "constants only") + ".")
        if any(point.tensor == target.name for point in auto):
            raise PointError(
                f"no derivative comes out of the target {target.name!r} ({target.op.type}) itself: "
                "there is nothing to attribute to behind it. Choose another target.")
        chosen = auto
    else:
        chosen = _named(work, target, features, states, auto, list(points))
    held = _uncovered(work, features, found, chosen)
    misses = refused + _misses(work, features, target)
    return Located(Cut(tuple(chosen), tuple(structure + held), tuple(misses)), features)


def _named(work, target, features, states, auto, names):
    """Points by name: of the automatic cut, of a signature input, or of a tensor."""
    by_name = {**{point.source: point for point in auto}, **{point.name: point for point in auto}}
    by_tensor = {point.tensor: point for point in auto}
    chosen = []
    for name in names:
        if name in by_name:
            chosen.append(by_name[name])
            continue
        tensor = _tensor(work, name, auto)
        if tensor.name in by_tensor:
            chosen.append(by_tensor[tensor.name])
            continue
        _differentiable(work, target, tensor, features)
        stop = classify(tensor, features, {t.name for t in work.inputs.values()})
        kind = stop.kind if not stop.structure else "dense"
        word = name if name in work.inputs else tensor.op.name.rpartition("/")[2]
        chosen.append(make_point(word, Stop(tensor, kind), features, work, states))
    if not chosen:
        raise PointError("no point was named; --points=auto finds them.")
    chosen = list({point.tensor: point for point in chosen[::-1]}.values())[::-1]
    unique = unique_names([point.name for point in chosen])
    chosen = [dataclasses.replace(point, name=name) for point, name in zip(chosen, unique)]
    _refuse_nested(work, chosen, features)
    return chosen


def _tensor(work, name, auto):
    if name in work.inputs:
        return work.inputs[name]
    matching = work.matching(name)
    if not matching:
        raise PointError(
            f"no point, signature input or tensor {name!r} on the way to the target. Points: "
            f"{', '.join(point.name for point in auto) or 'none'}; signature inputs: "
            f"{', '.join(work.inputs)}.")
    if len(matching) > 1:
        listed = ", ".join(source_name(tensor.name) for tensor in matching[:6])
        raise PointError(f"{name!r} is not one tensor; it could be: {listed}.")
    return matching[0]


def _differentiable(work, target, tensor, features):
    """Refuses what has no derivative, naming the op that cuts it."""
    if not tensor.dtype.is_floating:
        raise PointError(
            f"point {tensor.name!r} is {tensor.dtype.name}: ids, strings and records have no "
            "derivative. Attribute to what they become: --points=auto lists it.")
    reach, queue = {target.name}, [target]
    while queue:
        current = queue.pop()
        if current.name == tensor.name:
            return
        for operand in continued(current, features, {}) or ():
            if operand.name not in reach:
                reach.add(operand.name)
                queue.append(operand)
    trail = path_between(tensor, target)
    if trail is None:
        raise PointError(
            f"the target {target.name!r} does not depend on point {tensor.name!r}: no data path "
            f"from it; it leads to {', '.join(op.name for op in tensor.consumers()) or 'nothing'}.")
    operations = [work.graph.get_operation_by_name(name) for name in trail[1:]]
    cutting = next((op for op in operations if _cuts(op)), operations[-1])
    raise PointError(
        f"point {tensor.name!r} has no gradient to the target: op {cutting.type} "
        f"{cutting.name!r} cuts it. The path is {' -> '.join(trail)}.")


def _cuts(op):
    """Whether no derivative comes out of an op, by its kind or its type."""
    return (op.type in SHAPE_OPS or op.type in ZERO_GRADIENT or not registry.has_gradient(op)
            or not any(carries_gradient(output) for output in op.outputs))


def _refuse_nested(work, chosen, features):
    """A point behind another by a derivative would be counted twice."""
    tensors = {point.tensor: point.name for point in chosen}
    for point in chosen:
        queue, seen = [work.tensor(point.tensor)], set()
        while queue:
            current = queue.pop()
            for operand in continued(current, features, {}) or ():
                if operand.name in tensors:
                    raise PointError(
                        f"point {tensors[operand.name]!r} lies behind point {point.name!r}: its "
                        "attribution would be counted twice. Choose one of them.")
                if operand.name not in seen:
                    seen.add(operand.name)
                    queue.append(operand)


def _uncovered(work, features, stops, chosen):
    """Stops of the walk that no chosen point replaces, and features that no point comes from."""
    tensors = {point.tensor for point in chosen}
    hidden = _behind(work, chosen, features)
    held = [f"{source_name(stop.tensor.name)}: not among the chosen points" for stop in stops
            if stop.tensor.name not in tensors | hidden]
    covered = {feature for point in chosen
               for feature in features.of(work.tensor(point.tensor))}
    return held + [f"input {name}: no chosen point depends on it"
                   for name in features.names if name not in covered]


def _behind(work, chosen, features):
    behind, queue = set(), [work.tensor(point.tensor) for point in chosen]
    while queue:
        for operand in continued(queue.pop(), features, {}) or ():
            if operand.name not in behind:
                behind.add(operand.name)
                queue.append(operand)
    return behind


def _misses(work, features, target):
    """What looks like a lookup on the way and is no place of attribution, with the reason."""
    misses = []
    for op in ancestors_in_order(work.graph, [target]):
        if op.type in (*LOOPS, *BRANCHES, *MERGES):
            inside = {lookup.table.name for lookup in inner_lookups(op, features)}
            if inside and not any(lookup_of_branches(tensor, features) for tensor in op.outputs):
                misses.append(f"{source_name(op.name)}: a lookup in {', '.join(sorted(inside))} "
                              f"stands inside this {op.type}; it is attributed at its result")
        elif op.outputs and op.outputs[0].dtype.is_floating:
            reason = _no_lookup(op, features)
            if reason:
                misses.append(f"{source_name(op.name)}: {reason}")
    return misses


def _no_lookup(op, features):
    """Why an op that looks like a lookup is none, or None where it does not look like one."""
    if op.type in ("Slice", "StridedSlice"):
        return _slice_of_table(op, features)
    if op.type not in LOOKUPS:
        return None
    params, ids = op.inputs[:2]
    if not features.depends(ids):
        if features.depends(params):
            return None  # a slice, written as a gather
        table = table_of([params], features)
        size = f" in {table.name}" if table else ""
        return (f"a lookup{size} that does not depend on the input's content (a position or a "
                "constant)")
    if features.depends(params) and (params.shape.rank or 0) > 1 and not lookup_at(op, features):
        return "picks from values that are computed from the input: they are no table"
    return None


def _slice_of_table(op, features):
    """The first rows of a table, added to what comes from the input: positions."""
    if features.depends(op.inputs[0]) or op.outputs[0].shape.rank not in (2, 3):
        return None
    table = table_of(op.inputs[:1], features)
    added = any(user.type in ("Add", "AddV2") and any(map(features.depends, user.inputs))
                for user in _users(op.outputs[0]))
    if table is None or not added:
        return None
    return (f"the first rows of {table.name}, which do not depend on the input's content "
            "(positions)")


def _users(tensor):
    """What reads a tensor, also through a new axis."""
    for op in tensor.consumers():
        if op.type in ("ExpandDims", "Identity", "Reshape", "Cast"):
            yield from op.outputs[0].consumers()
        yield op
