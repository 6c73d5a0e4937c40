"""While loops of TensorFlow 1 raised to functional While (D12).

A loop of Enter, Merge, Switch and Exit has no gradient once the Python that wrote it is gone, and
cannot stand in another loop. A functional While has one, and can. Values are the same.
"""

import collections
import dataclasses

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from ig_tf.errors import GraphError
from ig_tf.graph import frames, loop_functions, loop_shapes, tensor_lists
from ig_tf.graph.edges import behind, consumers
from ig_tf.model.model import SCOPE
from ig_tf.model.nodes import controls, producer, set_inputs

RAISED = SCOPE + "raised/"


@dataclasses.dataclass(frozen=True)
class Raised:
    """A graph without the loops of TensorFlow 1.

    Attributes:
      graph_def: flat; what was added is named ig_tf/raised/... An Exit of a number became an
        Identity of the same name; an op that makes a tensor list is named anew.
      originals: names of the nodes that compute what they computed before.
      refused: {name of a frame that is left as it was: why}.
    """

    graph_def: object
    originals: frozenset
    refused: dict


def raise_loops(graph_def, originals, fetches, import_graph):
    """Replaces each frame by one functional While.

    Args:
      graph_def: a flat GraphDef. Not changed.
      originals: names of nodes whose values the caller knows by name.
      fetches: names of tensors that are wanted; what does not lead to them is dropped.
      import_graph: function(GraphDef) -> tf.Graph.

    Returns:
      A `Raised`; the same graph where there is no loop and no TensorArray.
    """
    if not any(node.op in frames.ENTERS + tensor_lists.CREATORS for node in graph_def.node):
        return Raised(graph_def, originals, {})
    return _Raiser(graph_def, originals, fetches, import_graph).run()


class _Raiser:
    """One raising: the nodes so far, the functions that were made."""

    def __init__(self, graph_def, originals, fetches, import_graph):
        self.source = graph_def
        self.originals = originals
        self.fetches = fetches
        self.import_graph = import_graph
        self.nodes = {}
        for node in graph_def.node:
            self.nodes[node.name] = node_def_pb2.NodeDef()
            self.nodes[node.name].CopyFrom(node)
        self.functions = {f.signature.name: None for f in graph_def.library.function}
        self.refused = {}
        self.shapes = {}

    def run(self):
        arrays, kept, lists = tensor_lists.convert(self.nodes)
        needed = behind(self.nodes, self.fetches)  # handles of arrays are not
        self.nodes = {name: node for name, node in self.nodes.items() if name in needed}
        try:
            self.shapes = loop_shapes.infer(self.nodes, self.source.library, arrays, self._import)
        except GraphError:  # no shape is known in loops; the graph itself is judged when it is done
            self.shapes = collections.defaultdict(lambda: tf.TensorShape(None))
        left = set()
        while True:
            found = [frame for frame in frames.find(self.nodes) if frame.nodes not in left]
            if not found:
                break
            for frame in [frame for frame in found if frame.depth == found[0].depth]:
                try:
                    self._raise(frame, kept)
                except frames.NotStructured as reason:
                    left.add(frame.nodes)
                    self.refused[frame.name] = str(reason)
        return self._result(lists)

    def _import(self, part):
        part.versions.CopyFrom(self.source.versions)
        return self.import_graph(part)

    def _raise(self, frame, kept):
        """One loop: two functions, a While, and its Exits."""
        try:
            loop = frames.read(frame, self.nodes, consumers(self.nodes))
            made = loop_functions.build(loop, frame, self.nodes, self.shapes, self.functions)
        except frames.NotStructured as reason:
            arrays = [text for name, text in kept.items() if name in str(reason)]
            raise frames.NotStructured("; ".join([str(reason), *arrays])) from None
        self.functions.update(made.functions)
        self._replace(frame, loop, made)

    def _replace(self, frame, loop, made):
        for node in made.nodes:
            self.nodes[node.name] = node
        for exit_name, number in loop.exits.items():
            node = self.nodes[exit_name]
            dtype = node.attr["T"].type
            node.op = "Identity"
            node.attr.clear()
            node.attr["T"].type = dtype
            set_inputs(node, [made.output(number), *controls(node)])
        for name in frame.nodes:
            del self.nodes[name]
        after = f"^{made.nodes[-1].name}"
        for node in self.nodes.values():  # who waited for a node inside waits for the loop
            if any(value[0] == "^" and value[1:] in frame.nodes for value in node.input):
                set_inputs(node, dict.fromkeys(
                    after if value[0] == "^" and value[1:] in frame.nodes else value
                    for value in node.input))

    def _result(self, lists):
        needed = behind(self.nodes, self.fetches)
        renamed = {name: f"{RAISED}{name}" for name in lists if name in needed}
        result = graph_pb2.GraphDef()
        result.versions.CopyFrom(self.source.versions)
        result.library.CopyFrom(self.source.library)
        result.library.function.extend(f for f in self.functions.values() if f is not None)
        for name, node in self.nodes.items():
            if name not in needed:
                continue
            copy = result.node.add()
            copy.CopyFrom(node)
            copy.name = renamed.get(name, name)
            set_inputs(copy, [_renamed(value, renamed) for value in node.input])
        originals = frozenset(name for name in self.originals if name in needed) - set(renamed)
        return Raised(result, originals, dict(self.refused))


def _renamed(value, names):
    name = producer(value)
    return value if name not in names else value.replace(name, names[name], 1)
