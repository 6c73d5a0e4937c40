"""A tensor at which data enters a graph by itself, and what is known of it. Runs nothing."""

import dataclasses

import tensorflow as tf

from ig_tf.model import feed_datasets
from ig_tf.model.edges import MERGES, PASSES, SHAPES, attribute, data_of
from ig_tf.model.feed_names import GraphScope, own_name, sanitised, trace
from ig_tf.model.feed_ops import (ELEMENT, MANY, SOURCES, UNPACKS, UP_TO, Stores,
                                  most_specific, unpacked)
from ig_tf.model.feed_shapes import inferred, recorded
from ig_tf.model.nodes import canonical

# They hand on the data itself, whole.
_HANDS_ON = frozenset({"Identity", "StopGradient", "Switch", "Enter", "EnsureShape"})


@dataclasses.dataclass(frozen=True)
class Feed:
    """A tensor at which data enters a graph, to be swapped for a placeholder.

    Attributes:
      tensor: its name, NODE:k.
      name: what the placeholder and the input of a signature are called.
      dtype: tf.DType.
      shape: tf.TensorShape; axis 0 is None where the op made the batch.
      source: a sentence: which op gives it, from where, and where the name comes from.
      fixed: the batch size that the graph had fixed, or None.
      idle: a sentence if it comes out of a queue that nothing in the graph feeds, else None.
    """

    tensor: str
    name: str
    dtype: object
    shape: object
    source: str
    fixed: object = None
    idle: object = None

    def described(self):
        """As JSON-able data."""
        shape = None if self.shape.rank is None else self.shape.as_list()
        return {"tensor": self.tensor, "name": self.name, "dtype": self.dtype.name,
                "shape": shape, "source": self.source}


class Search:
    """The walk from outputs back to where data enters."""

    def __init__(self, edges):
        self.edges = edges

    def frontier(self, outputs):
        found, seen, queue = [], set(), [canonical(value) for value in outputs]
        while queue:
            tensor = queue.pop()
            if tensor in seen or tensor in self.edges.given or self.edges.is_dead(tensor):
                continue
            seen.add(tensor)
            node = self.edges.node(tensor)
            if node is None:
                continue
            if self.enters_at(tensor, node):
                found.append(tensor)
            else:
                queue.extend(self.edges.read_by(node))
        return found

    def enters_at(self, tensor, node):
        """Whether this tensor itself is a place where data enters."""
        if is_source(self.edges, node):
            return True
        if node.op in MERGES and tensor.endswith(":0"):  # one queue or another, by a condition
            alive = [value for value in data_of(node) if not self.edges.is_dead(value)]
            return bool(alive) and all(self._comes_from_source(value) for value in alive)
        if node.op in UNPACKS:
            return self._comes_from_source(data_of(node)[0], PASSES)
        if node.op == "PlaceholderWithDefault":  # by default a queue's data, else what is fed
            return bool(self.frontier(data_of(node)))
        return False

    def _comes_from_source(self, tensor, passes=_HANDS_ON):
        node = self.edges.node(self.edges.back(tensor, passes))
        return node is not None and is_source(self.edges, node)


def is_source(edges, node):
    """Whether data enters at a node: its op takes it from somewhere, or a function of it does."""
    if node.op in SOURCES:
        return True
    if "Dataset" in node.op or node.op == "OneShotIterator":
        return False  # what a data set's function reads comes out of its iterator
    return bool(_taking(edges, node))


def _taking(edges, node):
    """Ops inside a node's functions that take data from a queue, a reader or an iterator."""
    return [inner.op for body in edges.bodies(node) for inner in body.node_def
            if inner.op in SOURCES and SOURCES[inner.op].what != "Python function"]


class Describer:
    """What is known of the tensors at which data enters."""

    def __init__(self, graph_def, edges):
        self.graph_def = graph_def
        self.edges = edges
        self.stores = Stores(edges)
        self.scope = GraphScope(edges, self.stores)
        self.asked = set()  # tensors whose shapes are being inferred: queues can feed themselves

    def feed(self, tensor):
        node, index = self.edges.node(tensor), int(tensor.rpartition(":")[2])
        if node.op in SOURCES:
            return self._of_source(tensor, node, index)
        if node.op in UNPACKS:
            return self._of_packed(tensor, node, index)
        if node.op in MERGES:
            return self._of_merge(tensor, node)
        if node.op == "PlaceholderWithDefault":
            return self._of_default(tensor, node)
        return self._of_functions(tensor, node, index)

    def _of_default(self, tensor, node):
        shape, fixed = tf.TensorShape(attribute(node, "shape").shape), None
        parts = [self.feed(one) for one in Search(self.edges).frontier(data_of(node))]
        if shape.rank and shape[0] and shape[0] in {part.fixed for part in parts}:
            fixed, shape = shape[0], tf.TensorShape([None]).concatenate(shape[1:])
        listed = "; ".join(part.source for part in parts)
        return Feed(tensor, sanitised(node.name.rpartition("/")[2]),
                    tf.as_dtype(attribute(node, "dtype").type), shape,
                    f"placeholder {node.name!r}, whose default is {listed}", fixed)

    def _of_functions(self, tensor, node, index):
        """An If, a While or a call whose functions take data from somewhere."""
        dtype, shape = inferred(self.graph_def, tensor)
        inner = _taking(self.edges, node)
        fixed = None
        if shape.rank and any(SOURCES[op].taken != ELEMENT for op in inner):
            fixed, shape = shape[0], tf.TensorShape([None]).concatenate(shape[1:])
        listed = ", ".join(sorted(set(inner)))
        name, how = self._name(tensor, node, index, None)
        dtype = dtype or tf.as_dtype(attribute(node, "Tout").list.type[index])
        return Feed(tensor, name, dtype, shape,
                    f"{node.op} {node.name!r}, which takes data inside its functions ({listed}); "
                    f"{how}", fixed)

    def _of_packed(self, tensor, node, index):
        """One part of a sparse or ragged tensor, which a queue or an iterator holds in one."""
        whole = self.feed(self.edges.back(data_of(node)[0]))
        suffix, dtype, shape = unpacked(node, index)
        known = recorded(node, index)
        if known.rank is not None and known.is_compatible_with(shape):
            shape = tf.TensorShape([None]).concatenate(known[1:]) if suffix != "dense_shape" else (
                known)
        return Feed(tensor, f"{whole.name}_{suffix}", dtype, shape,
                    f"{suffix} that {node.name!r} ({node.op}) unpacks from {whole.source}")

    def _of_merge(self, tensor, node):
        parts = [self.feed(self.edges.back(value, _HANDS_ON)) for value in data_of(node)
                 if not self.edges.is_dead(value)]
        shape = most_specific([part.shape for part in parts])
        fixed = next((part.fixed for part in parts if part.fixed), None)
        listed = " or ".join(part.source for part in parts)
        return Feed(tensor, parts[0].name, parts[0].dtype, shape,
                    f"chosen by the condition of {node.name!r}: {listed}", fixed)

    def _of_source(self, tensor, node, index):
        source = SOURCES[node.op]
        put = self.stores.put_in(node, index)
        filled = None
        if source.what == "iterator":
            filled = feed_datasets.component(self.edges, self.scope, node, index)
        shape, fixed = self._shape(node, index, put, filled)
        name, how = self._name(tensor, node, index, filled and filled.name)
        idle = self._idle(node, index, put) if shape.rank is None else None
        guess = " (as many rows as all its components have)" if fixed and (
            filled is None and self._have_as_many_rows(node, put)) else ""
        return Feed(tensor, name, source.type_of(node, index), shape,
                    f"{self._origin(node, index, fixed)}{guess}; {how}", fixed, idle)

    def _origin(self, node, index, fixed):
        source = SOURCES[node.op]
        named = source.what in ("queue", "reader", "iterator")
        listed = " or ".join(f"{store.name!r} ({store.op})"
                             for store in (self.stores.behind(node) if named else ()))
        count = fixed or self.stores.taken(node)
        batch = f", up to {count} at a time" if source.taken == UP_TO and count else (
            f", in batches of {count}" if count else "")
        where = f"{source.what} {listed}".rstrip()
        return f"component {index} of {where}, taken by {node.name!r} ({node.op}){batch}"

    def _name(self, tensor, node, index, named):
        """(name, where it comes from)."""
        if named is None and node.op in SOURCES:
            named = trace(self.scope, tensor)[0]
        if named is not None:
            return named.name, f"named after {named.how}"
        for reader, position, value in self.edges.consumers(node.name):
            if value == tensor and reader.op == "Identity" and own_name(reader):
                return sanitised(own_name(reader)), f"named after {reader.name!r}, which reads it"
        outputs = {value for _, _, value in self.edges.consumers(node.name)} | {tensor}
        last = sanitised(node.name.rpartition("/")[2])
        several = len(outputs) > 1 or index > 0
        return (f"{last}_{index}" if several else last), "named after the op: nothing else names it"

    def _shape(self, node, index, put, filled):
        """(shape with a free batch axis, the batch size that was fixed or None)."""
        source = SOURCES[node.op]
        element = self._element(node, index, put)
        if source.what in ("queue", "reader", "barrier", "files") and source.taken != ELEMENT:
            fixed = self.stores.taken(node) if source.taken == MANY else None
            return tf.TensorShape([None]).concatenate(element), fixed
        if not element.rank:
            return element, None
        batch = element[0]
        batched = source.what == "infeed" or (
            filled.batched if filled is not None else self._have_as_many_rows(node, put))
        if batched or (batch is not None and self._made_behind(put, batch)):
            return tf.TensorShape([None]).concatenate(element[1:]), batch
        return element, None

    def _have_as_many_rows(self, node, put):
        """Whether all components, two or more, of what nothing in the graph fills begin with the
        same size: nobody but a batch does that."""
        source, shapes = SOURCES[node.op], []
        if put or source.taken != ELEMENT or source.what not in ("iterator", "queue"):
            return False
        while source.type_of(node, len(shapes)) is not None:
            shapes.append(self._element(node, len(shapes), put))
        sizes = {shape[0] if shape.rank else None for shape in shapes}
        return len(shapes) > 1 and len(sizes) == 1 and None not in sizes

    def _element(self, node, index, put):
        source = SOURCES[node.op]
        if index < len(source.before) or source.what in ("reader", "files"):
            return tf.TensorShape([])
        if source.what == "queue":
            declared = self.stores.declared(node, index)
            if declared is not None:
                return declared
        own = source.shape_of(node, index)
        if own is not None:
            return own
        if put:
            shapes = []
            for one in put:
                shape = self.inferred(one.tensor)[1]
                shapes.append(shape[1:] if one.many and shape.rank else shape)
            return most_specific(shapes)
        shape = recorded(node, index)
        return shape[1:] if source.taken != ELEMENT and shape.rank else shape

    def inferred(self, tensor):
        """(type, shape) of a tensor; queues behind it would have no shapes in an imported graph."""
        if tensor in self.asked:
            return None, tf.TensorShape(None)
        self.asked.add(tensor)
        known = {}
        for one in Search(self.edges).frontier([tensor]):
            feed = self.feed(one)
            known[one] = (feed.dtype, feed.shape)
        self.asked.discard(tensor)
        return inferred(self.graph_def, tensor, known)

    def _made_behind(self, put, batch):
        """Whether the elements of a queue are batches, which an op before it made of `batch`."""
        queue, seen = [one.tensor for one in put], set()
        while queue and len(seen) < 2000:
            node = self.edges.node(queue.pop())
            if node is None or node.name in seen:
                continue
            seen.add(node.name)
            source = SOURCES.get(node.op)
            if source is not None and source.taken != ELEMENT:
                if self.stores.taken(node) == batch:
                    return True
                continue
            if source is not None and source.what == "queue":
                listed = attribute(node, "component_types").list.type
                queue.extend(one.tensor for index in range(len(listed))
                             for one in self.stores.put_in(node, index))
            elif node.op not in SHAPES:
                queue.extend(data_of(node))
        return False

    def _idle(self, node, index, put):
        if put or SOURCES[node.op].what not in ("queue", "staging area"):
            return None
        names = ", ".join(f"{store.name!r} ({store.op})" for store in self.stores.behind(node))
        where = f"queue {names}" if names else f"the staging area of {node.name!r}"
        return (f"{where} declares no shapes and nothing in the graph feeds it, so the shape of "
                f"{node.name}:{index} is not known")
