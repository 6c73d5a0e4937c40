"""Lookups inside the bodies of If, Case and While: they are attributed at the op's result."""

import dataclasses

from ig_tf.graph.functional import BRANCHES, LOOPS, arguments_of, bodies_of
from ig_tf.graph.walk import SHAPE_OPS, ancestors_in_order, through
from ig_tf.points.content import is_content
from ig_tf.points.lookups import lookup_at, lookup_behind
from ig_tf.points.sent import integers_of

MERGES = ("Merge", "RefMerge")  # of a condition of TensorFlow 1; its branches begin with a Switch
SWITCHES = ("Switch", "RefSwitch")


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
        self._next = dict(zip(self._outside, body.results)) if op.type in LOOPS else {}
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

    def sources(self, tensor):
        """What an argument is, as (tensor, features): outside, and what the last turn made."""
        if tensor.name not in self._outside:
            return []
        found = [(self._outside[tensor.name], self._outer)]
        return found + ([(self._next[tensor.name], self)] if tensor.name in self._next else [])


def inner_lookups(op, features):
    """The `InnerLookup`s of content in the bodies of an op, nested ones included.

    Ids that are computed from numbers alone (an argmax) do not count: see `is_content`.
    """
    if op.type in MERGES:
        return _between(op, features)
    found = []
    for body, inner in _bodies(op, features):
        for inner_op in ancestors_in_order(body.graph, body.results):
            lookup = lookup_at(inner_op, inner)
            if lookup is not None and is_content(lookup.ids, inner):
                found.append(InnerLookup(lookup.table, inner.beyond(integers_of(lookup.ids)),
                                         inner_op.name))
            elif inner_op.type in LOOPS | BRANCHES:
                found.extend(inner_lookups(inner_op, inner))
    return found


def lookup_of_branches(tensor, features):
    """The `InnerLookup`s where each branch of an If or Case gives rows of the same ids, else []."""
    op, found = tensor.op, []
    if op.type in MERGES:
        return _merged(op, features)
    if op.type not in BRANCHES:
        return []
    for body, inner in _bodies(op, features):
        lookup = lookup_behind(body.results[tensor.value_index], inner)
        ids = lookup and inner.beyond(integers_of(lookup.ids))
        if ids is None:
            return []
        found.append(InnerLookup(lookup.table, ids, lookup.gather.name))
    return found if len({lookup.ids.name for lookup in found}) == 1 else []


def _between(merge, features):
    """What is looked up between a Merge and the Switches that its branches begin with."""
    found, seen, queue = [], set(), list(merge.inputs)
    while queue:
        op = queue.pop().op
        if op.name in seen or op.type in SWITCHES:
            continue
        seen.add(op.name)
        lookup = lookup_at(op, features)
        if lookup is not None and _in_branch(lookup.ids) and is_content(lookup.ids, features):
            found.append(InnerLookup(lookup.table, _before_switch(lookup.ids), op.name))
        queue.extend(op.inputs)
    return found


def _merged(merge, features):
    found = []
    for value in merge.inputs:
        lookup = lookup_behind(value, features)
        if lookup is None or not _in_branch(lookup.ids):
            return []
        found.append(InnerLookup(lookup.table, _before_switch(lookup.ids), lookup.gather.name))
    return found if len({lookup.ids.name for lookup in found}) == 1 else []


def _in_branch(tensor):
    """Whether a tensor is there only if a condition holds."""
    seen, queue = set(), [tensor]
    while queue:
        op = queue.pop().op
        if op.type in SWITCHES:
            return True
        if op.name not in seen and op.type not in MERGES:
            seen.add(op.name)
            queue.extend(op.inputs)
    return False


def _before_switch(ids):
    return through(ids, (*SWITCHES, "Identity", "Cast"))


def _bodies(op, features):
    for body in bodies_of(op, features.body_of):
        yield body, BodyFeatures(op, body, features, arguments_of(op))
