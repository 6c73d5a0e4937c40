"""Names and batches of what an iterator gives, read off the dataset that fills it."""

import dataclasses

from ig_tf.model.edges import attribute
from ig_tf.model.feed_names import BodyScope, Traced, trace

_MAPS = ("MapDataset", "ParallelMapDataset", "ParallelMapDatasetV2", "MapAndBatchDataset",
         "MapAndBatchDatasetV2", "ExperimentalMapAndBatchDataset", "NumaMapAndBatchDataset")
_FLAT_MAPS = ("FlatMapDataset", "InterleaveDataset", "ParallelInterleaveDataset",
              "ParallelInterleaveDatasetV2", "ParallelInterleaveDatasetV3",
              "ParallelInterleaveDatasetV4", "LegacyParallelInterleaveDatasetV2",
              "ExperimentalParallelInterleaveDataset")
_TENSORS = ("TensorSliceDataset", "TensorDataset")
_RECORDS = ("TFRecordDataset", "TFRecordDatasetV2", "TextLineDataset", "FixedLengthRecordDataset",
            "FixedLengthRecordDatasetV2")
_DEEP = 64


@dataclasses.dataclass(frozen=True)
class Component:
    """What is known of one component: a `Traced` or None, and whether a dataset op batches it."""

    name: object
    batched: bool


def component(edges, scope, node, index):
    """What fills an output of IteratorGetNext.

    Args:
      edges: `Edges` of the graph.
      scope: its `GraphScope`.
      node: the node that takes from an iterator.
      index: which output.

    Returns:
      A `Component`, or None where the graph has no data set for it (frozen, or chosen by
      a handle).
    """
    handle = edges.back(scope.inputs(node)[0]) if scope.inputs(node) else ""
    iterator = edges.node(handle)
    if iterator is None:
        return None
    if iterator.op == "OneShotIterator":
        function = edges.functions.get(attribute(iterator, "dataset_factory").func.name)
        if function is None:
            return None
        return _Walk(edges).follow(BodyScope(function), _result(function, 0), index, False)
    for maker_node in edges.nodes.values():
        if maker_node.op == "MakeIterator":
            dataset, target = scope.inputs(maker_node)
            if edges.back(target) == handle:
                return _Walk(edges).follow(scope, dataset, index, False)
    return None


def _result(function, index):
    """What a function returns as one of its outputs, as its body writes it."""
    return function.ret[function.signature.output_arg[index].name]


class _Walk:
    """Goes from a dataset to the ones that it is made of."""

    def __init__(self, edges):
        self.edges = edges
        self.left = _DEEP

    def follow(self, scope, value, index, batched):
        found = scope.producer(value)
        self.left -= 1
        if found is None or self.left < 0:
            return Component(None, batched)
        node = found[0]
        batched = batched or "Batch" in node.op
        inputs = scope.inputs(node)
        if node.op in _RECORDS:
            return Component(Traced("record", f"the record of a {node.op}"), batched)
        if node.op in _TENSORS:
            traced = trace(scope, inputs[index])[0] if index < len(inputs) else None
            return Component(traced, batched)
        if node.op in _MAPS or node.op in _FLAT_MAPS:
            return self._mapped(scope, node, index, batched)
        if node.op == "ZipDataset":
            return self._zipped(scope, inputs, index, batched)
        if "Dataset" in node.op and inputs and self._is_dataset(scope, inputs[0]):
            return self.follow(scope, inputs[0], index, batched)
        return Component(None, batched)

    def _mapped(self, scope, node, index, batched):
        function = self.edges.functions.get(attribute(node, "f").func.name)
        if function is None:
            return Component(None, batched)
        body = BodyScope(function)
        if node.op in _FLAT_MAPS:
            return self.follow(body, _result(function, 0), index, batched)
        if index >= len(function.signature.output_arg):
            return Component(None, batched)
        traced, argument = trace(body, _result(function, index))
        if argument is not None:
            before = self.follow(scope, scope.inputs(node)[0], body.arguments.index(argument),
                                 batched)
            return Component(before.name or traced, before.batched)
        below = self.follow(scope, scope.inputs(node)[0], 0, batched)
        return Component(traced, below.batched)

    def _zipped(self, scope, inputs, index, batched):
        for value in inputs:
            found = scope.producer(value)
            width = len(attribute(found[0], "output_types").list.type) if found else 1
            if index < width:
                return self.follow(scope, value, index, batched)
            index -= width
        return Component(None, batched)

    @staticmethod
    def _is_dataset(scope, value):
        found = scope.producer(value)
        return found is not None and "Dataset" in found[0].op
