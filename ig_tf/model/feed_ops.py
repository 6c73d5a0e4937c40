"""The ops at which data enters a graph by itself: one row each."""

import dataclasses
import re

import tensorflow as tf

from ig_tf.errors import GraphError
from ig_tf.model.edges import MERGES, SWITCHES, attribute, data_of
from ig_tf.model.nodes import canonical

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
    "RecvTPUEmbeddingActivations": Source("infeed", (tf.float32,) * 256),
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


# A sparse or ragged tensor travels packed in one: what unpacks it is where it can be fed.
UNPACKS = {
    "DeserializeSparse": ("indices", "values", "dense_shape"),
    "DeserializeManySparse": ("indices", "values", "dense_shape"),
    "TakeManySparseFromTensorsMap": ("indices", "values", "dense_shape"),
    "RaggedTensorFromVariant": ()}


def unpacked(node, index):
    """(suffix of the name, type, shape) of an output of an op of UNPACKS."""
    if node.op == "RaggedTensorFromVariant":
        splits = attribute(node, "output_ragged_rank").i
        if index < splits:
            return (f"row_splits_{index}",
                    tf.as_dtype(attribute(node, "Tsplits").type or tf.int64.as_datatype_enum),
                    tf.TensorShape([None]))
        return "values", tf.as_dtype(attribute(node, "Tvalues").type), tf.TensorShape(None)
    dtype = tf.as_dtype(attribute(node, "dtype").type) if index == 1 else tf.int64
    shape = tf.TensorShape([None, None] if index == 0 else [None])
    return UNPACKS[node.op][index], dtype, shape


def gate_of(edges, node):
    """The branch of a condition in which a node stands: (predicate tensor, 0 or 1), or None.

    Raises:
      GraphError: it stands inside a while loop.
    """
    if node.op in MERGES:  # of a condition inside another, the predicate stands in the outer one
        switch = _innermost(edges, data_of(node))
        start = [data_of(switch[0])[1]] if switch else []
    else:
        start = [canonical(value.removeprefix("^")) for value in node.input]
    found = _innermost(edges, start)
    if found is None:
        return None
    switch, branch = found
    predicate = data_of(switch)[1]
    if edges.node(predicate) is not None and edges.node(predicate).op == "LoopCond":
        raise GraphError(f"{node.op} {node.name!r} stands inside a while loop: it cannot be fed "
                         "from outside. Name a tensor before or behind the loop with --feed.")
    return predicate, branch


def _innermost(edges, tensors):
    """The nearest Switch behind some tensors and which of its outputs is read, or None."""
    queue, seen = list(tensors), set()
    while queue:
        value = queue.pop(0)
        node = edges.node(value)
        if node is None or node.name in seen or node.op in _CLOSES:
            continue
        seen.add(node.name)
        if node.op in SWITCHES:
            return node, int(value.rpartition(":")[2])
        queue.extend(canonical(one.removeprefix("^")) for one in node.input)
    return None


_CLOSES = (*MERGES, "Exit", "RefExit")  # behind them no branch or loop is open
