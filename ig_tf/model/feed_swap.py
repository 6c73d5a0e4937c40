"""Data that enters a graph by itself: found on the way to outputs, swapped for placeholders."""

import dataclasses

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from ig_tf.errors import GraphError
from ig_tf.model.edges import Edges, data_of
from ig_tf.model.feed import Describer, Search
from ig_tf.model.feed_names import unique
from ig_tf.model.feed_ops import UNPACKS, gate_of, is_fed_by_itself
from ig_tf.model.nodes import canonical, producer


def found(graph_def, outputs, given=(), taken=()):
    """Where data enters by itself on the way to some tensors: the places nearest to them.

    Args:
      graph_def: a GraphDef; not changed.
      outputs: names of tensors.
      given: names of tensors that are inputs already; nothing is looked for behind them.
      taken: names that no feed may have.

    Returns:
      `Feed`s, in the order of the graph, with unique names. Branches of a condition that is
      constant count only where they are taken. Nothing is looked for behind a dequeue.
    """
    edges = Edges(graph_def, given)
    tensors = _with_parts(edges, Search(edges).frontier(outputs))
    order = {name: position for position, name in enumerate(edges.nodes)}
    tensors.sort(key=lambda tensor: (order[producer(tensor)], int(tensor.rpartition(":")[2])))
    describer = Describer(graph_def, edges)
    feeds = [describer.feed(tensor) for tensor in tensors]
    names = unique([feed.name for feed in feeds], taken)
    return tuple(dataclasses.replace(feed, name=name) for feed, name in zip(feeds, names))


def _with_parts(edges, tensors):
    """All parts of a sparse tensor of which some are read: a signature takes it whole."""
    found = dict.fromkeys(tensors)
    for tensor in tensors:
        node = edges.node(tensor)
        parts = [f"{node.name}:{index}" for index in range(len(UNPACKS.get(node.op, ())))]
        if not edges.given.intersection(parts):
            found.update(dict.fromkeys(parts))
    return list(found)


def swap(graph_def, feeds, scope=""):
    """A copy in which feeds are placeholders.

    Args:
      graph_def: a GraphDef; not changed.
      feeds: `Feed`s.
      scope: what the names of the new nodes begin with.

    Returns:
      (GraphDef, {feed name: tensor name of its placeholder}). What read a feed's tensor reads the
      placeholder. The queue side stays among the nodes, but no data edge leads to it from what the
      feeds cut off, and control edges from it are cut (`cut_edges` names them). Recorded shapes
      behind the feeds are dropped. A feed inside a branch of a condition stays inside it.

    Raises:
      GraphError: no such tensor; a queue that nothing feeds and whose shapes are not known.
    """
    result = graph_pb2.GraphDef()
    result.CopyFrom(graph_def)
    edges = Edges(result)
    names, replaced, added = {}, {}, []
    for feed in feeds:
        node = edges.node(feed.tensor)
        if node is None:
            raise GraphError(f"no input {feed.tensor!r}: the graph has no node "
                             f"{producer(feed.tensor)!r}.")
        if feed.idle and feed.shape.rank is None:
            raise GraphError(f"{feed.idle}. Say it: --feed={feed.tensor}:{feed.name}[?,60], with "
                             "? for the batch.")
        if feed.dtype in (tf.variant, tf.resource):
            raise GraphError(f"{feed.tensor} ({feed.source}) is a {feed.dtype.name}, which nobody "
                             "can feed. Name a tensor behind it with --feed=TENSOR:NAME.")
        new = _placeholder(feed, _free(scope + feed.name, edges, added))
        added.append(new)
        names[feed.name] = new.name + ":0"
        replaced[feed.tensor] = new.name
        gate = gate_of(edges, node)
        if gate is not None:
            added.append(_gated(new, gate, replaced, feed))
    stale = _behind(edges, replaced)
    for node in result.node:
        _rewire(node, replaced)
        if node.name in stale and "_output_shapes" in node.attr:
            del node.attr["_output_shapes"]
    result.node.extend(added)
    for node, value in _controls_from_queues(result):
        node.input.remove(value)
    return result, names


def _placeholder(feed, name):
    node = node_def_pb2.NodeDef(name=name, op="Placeholder")
    node.attr["dtype"].type = feed.dtype.as_datatype_enum
    node.attr["shape"].shape.CopyFrom(feed.shape.as_proto())
    return node


def _gated(placeholder, gate, replaced, feed):
    """What is fed goes on only where the dequeue would have run."""
    predicate, branch = gate
    node = node_def_pb2.NodeDef(name=placeholder.name + "/gated", op="Switch",
                                input=[placeholder.name, predicate])
    node.attr["T"].type = feed.dtype.as_datatype_enum
    replaced[feed.tensor] = f"{node.name}:{branch}"
    return node


def _free(name, edges, added):
    return unique([name], {*edges.nodes, *(node.name for node in added)})[0]


def _rewire(node, replaced):
    for position, value in enumerate(node.input):
        if not value.startswith("^") and canonical(value) in replaced:
            node.input[position] = replaced[canonical(value)]


def _behind(edges, tensors):
    """Names of nodes that depend on some tensors."""
    reached = set()
    queue = [reader.name for tensor in tensors
             for reader, _, value in edges.consumers(producer(tensor)) if value == tensor]
    while queue:
        name = queue.pop()
        if name not in reached:
            reached.add(name)
            queue.extend(reader.name for reader, _, _ in edges.consumers(name))
    return reached


def _controls_from_queues(graph_def):
    """[(node, control input)] through which queues and readers would be waited for.

    What depends on a queue by data cannot do without it; what only waits for such a node can.
    """
    edges = Edges(graph_def)
    reached = {node.name for node in graph_def.node if is_fed_by_itself(node)}
    queue = list(reached)
    while queue:
        for reader, _, _ in edges.consumers(queue.pop()):
            if reader.name not in reached:
                reached.add(reader.name)
                queue.append(reader.name)
    return [(node, value) for node in graph_def.node if node.name not in reached
            for value in list(node.input) if value.startswith("^") and value[1:] in reached]


def cut_edges(graph_def, feeds, outputs):
    """Sentences on control edges that `swap` cuts on the way to outputs."""
    swapped = swap(graph_def, feeds)[0]
    before, after = Edges(graph_def), Edges(swapped)
    sentences = []
    for name in after.path(outputs):
        if name in before.nodes:
            kept = {value for value in after.nodes[name].input if value.startswith("^")}
            lost = [value[1:] for value in before.nodes[name].input
                    if value.startswith("^") and value not in kept]
            sentences += [f"{name} no longer waits for {other} ({before.nodes[other].op}), which "
                          "needs a queue, a reader or an iterator" for other in lost]
    return tuple(sentences)


def still_needed(graph_def, outputs, given=()):
    """Names of nodes of queues, readers, iterators or infeeds that outputs need."""
    edges = Edges(graph_def, given)
    waiting, seen = [canonical(value) for value in outputs], set()
    found = {}
    while waiting:
        value = waiting.pop()
        node = edges.node(value)
        if node is None or value in seen or value in edges.given or edges.is_dead(value):
            continue
        seen.add(value)
        if is_fed_by_itself(node):
            found[node.name] = None
        waiting.extend(data_of(node))
        waiting.extend(producer(one) + ":0" for one in node.input if one.startswith("^"))
    return tuple(sorted(found))
