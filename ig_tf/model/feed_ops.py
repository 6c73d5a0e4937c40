"""The ops at which data enters a graph by itself: one row each."""

import dataclasses
import re

import tensorflow as tf

from ig_tf.model.edges import attribute, canonical, data_of, maker

# What a row says of the first axis of its outputs.
ELEMENT, MANY, UP_TO = "one element", "a batch of fixed size", "a batch of at most that size"


@dataclasses.dataclass(frozen=True)
class Source:
    """An op at which data enters.

    Attributes:
      what: what it reads from, for sentences.
      types: attribute with the type of each component, or the types themselves.
      shapes: attribute with the shape of each component, or None.
      taken: ELEMENT, MANY or UP_TO.
      before: types of outputs that stand before the components.
    """

    what: str
    types: object
    shapes: object = None
    taken: str = ELEMENT
    before: tuple = ()

    def type_of(self, node, index):
        """The type of an output of a node of this op, or None where it has no such output."""
        if isinstance(self.types, tuple):
            types = [*self.before, *self.types]
        else:
            value = attribute(node, self.types)
            listed = list(value.list.type) or ([value.type] if value.type else [])
            types = [*self.before, *(tf.as_dtype(one) for one in listed)]
        return types[index] if index < len(types) else None

    def shape_of(self, node, index):
        """The shape that the node itself declares, or None."""
        value = attribute(node, self.shapes) if self.shapes and self.shapes in node.attr else None
        index -= len(self.before)
        if value is None or index < 0:
            return None
        listed = list(value.list.shape) or ([value.shape] if value.HasField("shape") else [])
        return tf.TensorShape(listed[index]) if index < len(listed) else None


_STRINGS = (tf.string, tf.string)
SOURCES = {
    "QueueDequeue": Source("queue", "component_types"),
    "QueueDequeueMany": Source("queue", "component_types", taken=MANY),
    "QueueDequeueUpTo": Source("queue", "component_types", taken=UP_TO),
    "ReaderRead": Source("reader", _STRINGS),
    "ReaderReadUpTo": Source("reader", _STRINGS, taken=UP_TO),
    "RecordInput": Source("files", (tf.string,), taken=MANY),
    "IteratorGetNext": Source("iterator", "output_types", "output_shapes"),
    "IteratorGetNextSync": Source("iterator", "output_types", "output_shapes"),
    "OptionalGetValue": Source("iterator", "output_types", "output_shapes"),
    "MultiDeviceIteratorGetNextFromShard": Source("iterator", "output_types", "output_shapes"),
    "Unstage": Source("staging area", "dtypes"),
    "MapUnstage": Source("staging area", "dtypes"),
    "MapUnstageNoKey": Source("staging area", "dtypes", before=(tf.int64,)),
    "OrderedMapUnstage": Source("staging area", "dtypes"),
    "OrderedMapUnstageNoKey": Source("staging area", "dtypes", before=(tf.int64,)),
    "BarrierTakeMany": Source("barrier", "component_types", taken=MANY,
                              before=(tf.int64, tf.string)),
    "InfeedDequeue": Source("infeed", "dtype", "shape", MANY),
    "InfeedDequeueTuple": Source("infeed", "dtypes", "shapes", MANY),
    "PyFunc": Source("Python function", "Tout"),
    "PyFuncStateless": Source("Python function", "Tout"),
    "EagerPyFunc": Source("Python function", "Tout"),
}
for _name in ("QueueDequeue", "QueueDequeueMany", "QueueDequeueUpTo", "ReaderRead",
              "ReaderReadUpTo"):
    SOURCES[_name + "V2"] = SOURCES[_name]  # handles are resources; older ones are ref strings

_QUEUES = re.compile(r"(FIFO|PaddingFIFO|RandomShuffle|Priority)Queue(V2)?")
_STORES = re.compile(
    r"(FIFO|PaddingFIFO|RandomShuffle|Priority|Fake)Queue(V2)?|Queue[A-Z]\w*|Reader[A-Z]\w*|"
    r"(TFRecord|TextLine|WholeFile|FixedLengthRecord|Identity|LMDB)Reader(V2)?|"
    r"(OneShot|MultiDevice|Anonymous|Make)?Iterator\w*|(OrderedMap|Map)?(Stage|Unstage)\w*|"
    r"Infeed\w*|Barrier\w*")
_ENQUEUES = ("QueueEnqueue", "QueueEnqueueMany", "QueueEnqueueV2", "QueueEnqueueManyV2")
_PUTS = ("Stage", "MapStage", "OrderedMapStage")
_CARRIES_HANDLES = ("Identity", "RefIdentity", "Switch", "RefSwitch", "RefSelect", "Enter",
                    "RefEnter", "FakeQueue", "Pack", "Gather", "GatherV2")


def is_fed_by_itself(node):
    """Whether a node belongs to the machinery of queues, readers, iterators or infeeds.

    A Python function is none of it: what only waits for one goes on waiting.
    """
    if node.op in SOURCES:
        return SOURCES[node.op].what != "Python function"
    return _STORES.fullmatch(node.op) is not None


@dataclasses.dataclass(frozen=True)
class Enqueued:
    """A tensor that is put into a queue or staging area; `many`: its rows are the elements."""

    tensor: str
    many: bool


class Stores:
    """The queues and staging areas of a graph: which op reads which, and what is put in."""

    def __init__(self, edges):
        self.edges = edges
        self._puts = None

    def behind(self, node):
        """Queue nodes that a dequeue may read from: their handles may be selected among."""
        handles, found, seen = data_of(node)[:1], [], set()
        while handles:
            store = self.edges.node(handles.pop())
            if store is None or store.name in seen:
                continue
            seen.add(store.name)
            if store.op in _CARRIES_HANDLES and data_of(store):
                inputs = data_of(store)
                if store.op == "RefSelect":  # the first says which
                    handles.extend(inputs[1:])
                else:
                    handles.extend(inputs if store.op == "Pack" else inputs[:1])
            else:
                found.append(store)
        return found

    def put_in(self, node, index):
        """`Enqueued`s: what goes into the component that a dequeue or unstage gives."""
        source = SOURCES[node.op]
        position = index - len(source.before)
        if self._puts is None:
            self._puts = self._all_puts()
        found = []
        if source.what == "queue":
            for store in self.behind(node):
                for put in self._puts.get(store.name, ()):
                    found.append(Enqueued(data_of(put)[1 + position], "Many" in put.op))
        elif source.what == "staging area" and position >= 0:
            for put in self._puts.get(_area(node), ()):
                found.extend(self._staged(put, position))
        return found

    def _staged(self, put, position):
        """A map stage may be given some components only, by their indices."""
        inputs = data_of(put)
        if put.op == "Stage":
            return [Enqueued(inputs[position], False)]
        indices = self.edges.node(inputs[1])
        if indices is None or indices.op != "Const":
            return []
        listed = tf.make_ndarray(attribute(indices, "value").tensor).tolist()
        return [Enqueued(inputs[2 + at], False)
                for at, value in enumerate(listed) if value == position]

    def _all_puts(self):
        puts = {}
        for node in self.edges.nodes.values():
            if node.op in _ENQUEUES:
                for store in self.behind(node):
                    puts.setdefault(store.name, []).append(node)
            elif node.op in _PUTS:
                puts.setdefault(_area(node), []).append(node)
        return puts

    def declared(self, node, index):
        """The shape that every queue behind a dequeue declares for a component, or None."""
        shapes = [_component_shape(store, index) for store in self.behind(node)]
        if not shapes or None in shapes:
            return None
        return most_specific(shapes)

    def taken(self, node):
        """The number of elements that a dequeue takes, where it is a constant."""
        inputs = data_of(node)
        if SOURCES[node.op].taken == ELEMENT or len(inputs) < 2:
            return None
        return self.edges.value(inputs[-1] if "Reader" in node.op else inputs[1])


def most_specific(shapes):
    """A shape that all of these have."""
    merged = shapes[0]
    for shape in shapes[1:]:
        merged = merged.most_specific_compatible_shape(shape)
    return merged


def _component_shape(store, index):
    if not _QUEUES.fullmatch(store.op):
        return None
    if store.op.startswith("Priority"):  # the priority itself comes first and is not declared
        if index == 0:
            return tf.TensorShape([])
        index -= 1
    listed = attribute(store, "shapes").list.shape
    return tf.TensorShape(listed[index]) if index < len(listed) else None


def _area(node):
    """Stages and unstages meet by name."""
    return (node.op.replace("Unstage", "Stage").replace("NoKey", "").replace("Peek", ""),
            attribute(node, "container").s, attribute(node, "shared_name").s)


def gate_of(edges, node):
    """The branch of a condition in which a node stands: (predicate tensor, 0 or 1), or None."""
    for value in data_of(node)[:1]:
        switch = edges.node(value)
        while switch is not None and switch.op in ("Identity", "RefIdentity"):
            value = data_of(switch)[0]
            switch = edges.node(value)
        if switch is not None and switch.op in ("Switch", "RefSwitch"):
            return data_of(switch)[1], int(value.rpartition(":")[2])
    for value in node.input:
        pivot = edges.nodes.get(maker(value)) if value.startswith("^") else None
        if pivot is not None and pivot.op == "Identity":
            switch = edges.node(data_of(pivot)[0])
            if switch is not None and switch.op == "Switch":
                return data_of(switch)[1], int(canonical(pivot.input[0]).rpartition(":")[2])
    return None
