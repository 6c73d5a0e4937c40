"""TensorArrays of TensorFlow 1 become tensor lists, which can stand in functions.

A TensorArray is a resource that is written in place; every op on it takes its handle and a float,
the flow, that only orders the ops. A tensor list is a value: it stands where the flow stood.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from ig_tf.graph.edges import attribute, consumers
from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import controls, data, producer, set_inputs

INT32, INT64 = tf.int32.as_datatype_enum, tf.int64.as_datatype_enum
VARIANT = tf.variant.as_datatype_enum
CREATORS = ("TensorArrayV3", "TensorArrayV2", "TensorArray")
# They hand a flow on; the number is the place of their input that is none.
_PASSES = {"Identity": None, "Enter": None, "Exit": None, "NextIteration": None, "Merge": None,
           "Switch": 1}
_HANDLE_PASSES = ("Identity", "Enter", "RefEnter", "Switch", "RefSwitch")


@dataclasses.dataclass
class Array:
    """One TensorArray.

    Attributes:
      name: of the node that makes it.
      dtype: enum of its elements' type.
      stated: TensorShape of its elements as the graph says it.
      alike: whether all elements have one shape.
      shape: what is known of the shape of all elements.
      shapes: {name of a Const node that says the elements' shape to one of the list's ops:
        whether their first axis is of any length there}.
      written: [(tensor, how)] of what becomes its elements: "element", "rows" or "parts".
    """

    name: str
    dtype: int
    stated: object
    alike: bool
    shape: object
    shapes: dict = dataclasses.field(default_factory=dict)
    written: list = dataclasses.field(default_factory=list)


def convert(nodes):
    """Rewrites all TensorArrays that can be tensor lists, in place.

    Args:
      nodes: {name: NodeDef} of a flat graph.

    Returns:
      (the `Array`s, {name of an array that stays: why}, names of the nodes that now make lists
      and not numbers).
    """
    arrays, refused, lists = [], {}, set()
    read = consumers(nodes)
    for creator in [node for node in nodes.values() if node.op in CREATORS]:
        try:
            uses = _uses(creator, nodes, read)
            flows = _flows(creator, uses, nodes, read)
        except _Stays as reason:
            refused[creator.name] = str(reason)
            continue
        arrays.append(_rewritten(creator, uses, flows, nodes))
        lists.update(flows)
    return arrays, refused, lists


def set_shapes(array, shape, nodes):
    """Says the shape of an array's elements to all its ops that are still there."""
    array.shape = shape
    for name, any_length in array.shapes.items():
        if name not in nodes:
            continue
        value = np.array(-1, np.int32)
        if shape.rank is not None:
            dims = [-1 if dim is None else dim for dim in shape.as_list()]
            value = np.array([-1] + dims[1:] if any_length else dims, np.int32)
        nodes[name].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


class _Stays(Exception):
    """Why an array cannot be a list."""


def _kind(op):
    """"Write" of TensorArrayWriteV3, or None."""
    if not op.startswith("TensorArray") or op in CREATORS:
        return None
    return op[len("TensorArray"):].removesuffix("V3").removesuffix("V2")


def _uses(creator, nodes, read):
    """The ops on an array, found by its handle."""
    uses, queue, seen = [], [f"{creator.name}:0"], set()
    while queue:
        value = queue.pop()
        for node, position in read.get(value, ()):
            if node.op in _HANDLE_PASSES and position == 0:
                if node.name not in seen:
                    seen.add(node.name)
                    queue.extend(f"{node.name}:{k}" for k in (0, 1))
            elif _kind(node.op) in RULES and position == 0:
                uses.append(node)
            else:
                raise _Stays(f"TensorArray {creator.name!r} is used by {node.op} {node.name!r}")
    return uses


def _flows(creator, uses, nodes, read):
    """Names of the nodes whose outputs are the array's flow."""
    names = {node.name for node in uses}
    if creator.op == "TensorArrayV3":
        queue, flows = [f"{creator.name}:1"], {creator.name}
    else:  # the flow starts as a constant beside the handle
        starts = [node.name for node in nodes.values()
                  if node.op == "Const" and f"^{creator.name}" in node.input
                  and attribute(node, "dtype").type == tf.float32.as_datatype_enum]
        queue, flows = [f"{name}:0" for name in starts], set(starts)
    while queue:
        value = queue.pop()
        for node, position in read.get(value, ()):
            rule = RULES.get(_kind(node.op))
            if rule and rule.flow is not None and node.name in names and position == rule.flow:
                made = [f"{node.name}:0"] if rule.writes else []
            elif node.op in _PASSES and position != _PASSES[node.op]:
                made = [f"{node.name}:{k}" for k in ((0, 1) if node.op == "Switch" else (0,))]
            else:
                raise _Stays(f"the flow of TensorArray {creator.name!r} is read by {node.op} "
                             f"{node.name!r}")
            if made and node.name not in flows:
                flows.add(node.name)
                queue.extend(made)
    for node in uses:
        place = RULES[_kind(node.op)].flow
        if place is not None and producer(data(node)[place]) not in flows:
            raise _Stays(f"{node.op} {node.name!r} has a flow that is not its array's")
    for name in flows:
        if nodes[name].op == "Merge" and any(producer(v) not in flows for v in data(nodes[name])):
            raise _Stays(f"{name!r} merges TensorArray {creator.name!r} with something else")
    return flows


def _rewritten(creator, uses, flows, nodes):
    """All ops of one array, as ops of a list."""
    alike = attribute(creator, "identical_element_shapes").b
    stated = tf.TensorShape(creator.attr["element_shape"].shape if "element_shape" in creator.attr
                            else None)
    array = Array(creator.name, creator.attr["dtype"].type, stated, alike, stated)
    builder = _Builder(array, creator, nodes, flows)
    plans = [(node, RULES[_kind(node.op)].build(builder, node)) for node in uses]
    for name in sorted(flows - {creator.name}):
        if nodes[name].op == "Const":
            _become(nodes[name], "Identity", [f"{creator.name}:0"], {})
        if nodes[name].op in _PASSES:
            nodes[name].attr["T"].type = VARIANT
    for node, (op, inputs, attributes) in plans:
        _become(node, op, inputs, attributes)
    builder.reserve(creator)
    set_shapes(array, stated, nodes)
    return array


def _become(node, op, inputs, attributes):
    ordered = controls(node)
    node.op = op
    node.attr.clear()
    for key, value in attributes.items():
        node.attr[key].CopyFrom(value)
    set_inputs(node, [*inputs, *ordered])


class _Builder:
    """What the rules need to know of one array."""

    def __init__(self, array, creator, nodes, flows):
        self.array = array
        self.creator = creator
        self.nodes = nodes
        self.flows = flows
        self.dynamic = attribute(creator, "dynamic_size").b
        self.size = data(creator)[0]

    def flow(self, node):
        """The list that an op reads; the flow of a new array was its output 1, a list's is 0."""
        return self._list(data(node)[RULES[_kind(node.op)].flow])

    def _list(self, value):
        return f"{self.creator.name}:0" if producer(value) == self.creator.name else value

    def attributes(self, **more):
        made = {"element_dtype": tf.compat.v1.AttrValue(type=self.array.dtype)}
        made.update({key: tf.compat.v1.AttrValue(type=value) for key, value in more.items()})
        return made

    def shape(self, node, any_length=False):
        """A Const that says the elements' shape; `set_shapes` says it better later."""
        value = self.constant(node, "element_shape", np.array(-1, np.int32))
        self.array.shapes[producer(value)] = any_length
        return value

    def constant(self, node, word, value):
        name = f"{SCOPE}raised/{node.name}/{word}"
        made = self.nodes[name] = tf.compat.v1.NodeDef(name=name, op="Const")
        made.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        return f"{name}:0"

    def reserve(self, creator):
        shape = self.shape(creator)
        _become(creator, "TensorListReserve", [shape, self.size],
                self.attributes(shape_type=INT32))
        for name in self.flows:  # who passed the flow on reads output 0 now
            node = self.nodes[name]
            set_inputs(node, [f"{creator.name}:0" if value == f"{creator.name}:1" else value
                              for value in node.input])

    def is_whole(self, indices, flow):
        """Whether these are 0, 1, ... up to the number of elements."""
        node = self.nodes[producer(indices)]
        if node.op == "Const":
            value, size = constant_of(node), constant_of(self.nodes[producer(self.size)])
            return (not self.dynamic and size is not None and value.ndim == 1
                    and np.array_equal(value, np.arange(int(size))))
        if node.op != "Range":
            return False
        start, limit, step = data(node)
        ends = [constant_of(self.nodes[producer(value)]) for value in (start, step)]
        if any(value is None for value in ends) or (int(ends[0]), int(ends[1])) != (0, 1):
            return False
        counted = self.nodes[producer(limit)]
        if _kind(counted.op) == "Size" and producer(data(counted)[0]) == producer(
                self.handle_of(counted)):
            return not self.dynamic or data(counted)[1] == flow
        return not self.dynamic and same(limit, self.size, self.nodes)

    def handle_of(self, node):
        """The handle as this node reads it, if it is this array's."""
        value = data(node)[0]
        while self.nodes[producer(value)].op in _HANDLE_PASSES:
            value = data(self.nodes[producer(value)])[0]
        return data(node)[0] if producer(value) == self.creator.name else "?"

    def is_new(self, flow):
        while self.nodes[producer(flow)].op == "Identity":
            flow = data(self.nodes[producer(flow)])[0]
        node = self.nodes[producer(flow)]
        return node.name == self.creator.name or node.op == "Const"


def constant_of(node):
    """The value of a Const node, or None."""
    return tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None


# Equal inputs give equal outputs, and they are cheap to compare: how sizes are computed.
_COUNTING = frozenset({"Shape", "StridedSlice", "Identity", "Pack", "Add", "AddV2", "Sub", "Mul",
                       "Cast", "Minimum", "Maximum", "Size", "Reshape", "ExpandDims", "Squeeze",
                       "Gather", "GatherV2"})


def same(first, second, nodes, depth=8):
    """Whether two tensors are one by construction: the same ops on the same tensors."""
    if first == second:
        return True
    one, other = nodes[producer(first)], nodes[producer(second)]
    if depth == 0 or one.op != other.op or first.partition(":")[2] != second.partition(":")[2]:
        return False
    if one.op == "Const":
        return np.array_equal(constant_of(one), constant_of(other))
    if one.op not in _COUNTING or dict(one.attr) != dict(other.attr):
        return False
    return len(data(one)) == len(data(other)) and all(
        same(a, b, nodes, depth - 1) for a, b in zip(data(one), data(other)))


# One rule for each op on an array: where its flow stands, whether it gives a flow back, and what
# it becomes: (op, inputs, attributes).

def _write(builder, node):
    _, index, value, _ = data(node)
    builder.array.written.append((value, "element"))
    attributes = builder.attributes()
    if builder.dynamic:
        attributes["resize_if_index_out_of_bounds"] = tf.compat.v1.AttrValue(b=True)
    return "TensorListSetItem", [builder.flow(node), index, value], attributes


def _read(builder, node):
    index = data(node)[1]
    return ("TensorListGetItem", [builder.flow(node), index, builder.shape(node)],
            builder.attributes())


def _gather(builder, node):
    indices, flow = data(node)[1:]
    if builder.is_whole(indices, flow):
        return _stack(builder, node)
    return ("TensorListGather", [builder.flow(node), indices, builder.shape(node)],
            builder.attributes())


def _stack(builder, node):
    attributes = builder.attributes()
    attributes["num_elements"] = tf.compat.v1.AttrValue(i=-1)
    return "TensorListStack", [builder.flow(node), builder.shape(node)], attributes


def _scatter(builder, node):
    _, indices, value, flow = data(node)
    if builder.is_new(flow) and builder.is_whole(indices, flow):
        return _unstack(builder, node, value)
    builder.array.written.append((value, "rows"))
    return ("TensorListScatterIntoExistingList", [builder.flow(node), value, indices],
            builder.attributes())


def _unpack(builder, node):
    return _unstack(builder, node, data(node)[1])


def _unstack(builder, node, value):
    builder.array.written.append((value, "rows"))
    return ("TensorListFromTensor", [value, builder.shape(node)],
            builder.attributes(shape_type=INT32))


def _split(builder, node):
    _, value, lengths, _ = data(node)
    builder.array.written.append((value, "parts"))
    return ("TensorListSplit", [value, builder.shape(node, any_length=True), lengths],
            builder.attributes(shape_type=INT32))


def _concat(builder, node):
    leading = builder.constant(node, "leading_dims", np.zeros([0], np.int64))
    return ("TensorListConcatV2",
            [builder.flow(node), builder.shape(node, any_length=True), leading],
            builder.attributes(shape_type=INT32))


def _size(builder, node):
    return "TensorListLength", [builder.flow(node)], {}


def _close(builder, node):
    return "NoOp", [], {}


@dataclasses.dataclass(frozen=True)
class _Rule:
    flow: object  # None: it has none
    writes: bool
    build: object


RULES = {
    "Write": _Rule(3, True, _write),
    "Scatter": _Rule(3, True, _scatter),
    "Unpack": _Rule(2, True, _unpack),
    "Split": _Rule(3, True, _split),
    "Read": _Rule(2, False, _read),
    "Gather": _Rule(2, False, _gather),
    "Pack": _Rule(1, False, _stack),
    "Concat": _Rule(1, False, _concat),
    "Size": _Rule(1, False, _size),
    "Close": _Rule(None, False, _close),
}
