"""Lookups inside the bodies of If, Case and While: they are attributed at the op's result."""

import dataclasses

from ig_tf.graph.walk import SHAPE_OPS, ancestors_in_order
from ig_tf.points.lookups import lookup_at, lookup_behind

# Which attributes name functions, and which input is their first argument.
FUNCTIONS = {
    "If": (("then_branch", "else_branch"), 1), "StatelessIf": (("then_branch", "else_branch"), 1),
    "Case": (("branches",), 1), "StatelessCase": (("branches",), 1),
    "While": (("body",), 0), "StatelessWhile": (("body",), 0),
}
LOOPS = ("While", "StatelessWhile")


@dataclasses.dataclass(frozen=True)
class InnerLookup:
    """A lookup in a body. `ids`: the outer tensor that the ids are, or None if computed inside."""

    table: object
    ids: object
    name: str


class BodyFeatures:
    """What `Features` says, for the tensors of one body."""

    def __init__(self, op, body, features, arguments):
        self.body_of, self.roots = features.body_of, {}
        self._outside = {inner.name: outer for inner, outer in zip(body.arguments, arguments)}
        self._outer = features
        self._moved = {inner.name for inner, outer in zip(body.arguments, arguments)
                       if features.depends(outer)}
        order = ancestors_in_order(body.graph, body.results)
        before = None
        while before != self._moved:
            before = set(self._moved)
            for inner_op in order:
                if inner_op.type not in SHAPE_OPS and any(self.depends(t) for t in inner_op.inputs):
                    self._moved.update(t.name for t in inner_op.outputs)
            if op.type in LOOPS:  # what one turn makes, the next one takes
                self._moved.update(inner.name for inner, result in zip(
                    body.arguments, body.results) if self.depends(result))

    def depends(self, tensor):
        return tensor.name in self._moved

    def beyond(self, tensor):
        """The tensor outside that an argument of the body stands for, or None."""
        outer = self._outside.get(tensor.name)
        return outer if outer is None else self._outer.beyond(outer) or outer


def inner_lookups(op, features):
    """The `InnerLookup`s of content in the bodies of an op, nested ones included."""
    found = []
    for body, inner in _bodies(op, features):
        for inner_op in ancestors_in_order(body.graph, body.results):
            lookup = lookup_at(inner_op, inner)
            if lookup is not None:
                found.append(InnerLookup(lookup.table, inner.beyond(_root(lookup.ids)),
                                         inner_op.name))
            elif inner_op.type in FUNCTIONS:
                found.extend(inner_lookups(inner_op, inner))
    return found


def lookup_of_branches(tensor, features):
    """The `InnerLookup`s where each branch of an If or Case gives rows of the same ids, else []."""
    op, found = tensor.op, []
    if op.type not in FUNCTIONS or op.type in LOOPS:
        return []
    for body, inner in _bodies(op, features):
        lookup = lookup_behind(body.results[tensor.value_index], inner)
        ids = lookup and inner.beyond(_root(lookup.ids))
        if ids is None:
            return []
        found.append(InnerLookup(lookup.table, ids, lookup.gather.name))
    return found if len({lookup.ids.name for lookup in found}) == 1 else []


def _bodies(op, features):
    names, first = FUNCTIONS[op.type]
    arguments = op.inputs[first:]
    for name in names:
        attribute = op.get_attr(name)
        for function in attribute if isinstance(attribute, (list, tuple)) else [attribute]:
            body = features.body_of(function.name, arguments)
            yield body, BodyFeatures(op, body, features, arguments)


def _root(ids):
    while ids.op.type in ("Identity", "Cast") and ids.op.inputs[0].dtype.is_integer:
        ids = ids.op.inputs[0]
    return ids
