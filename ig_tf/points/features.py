"""Raw features: what the caller sends, by the caller's names, and which tensors depend on them."""

import numpy as np
import tensorflow as tf

from ig_tf.graph.walk import SHAPE_OPS, ancestors_in_order

_PARSERS = ("ParseExample", "ParseExampleV2")
_UNCHANGED = ("Identity", "Reshape", "PlaceholderWithDefault")


class Features:
    """The raw features of a working graph.

    Attributes:
      names: names, in order: signature inputs; a serialized example is replaced by its keys.
      roots: {tensor name: feature name} of the tensors where they enter.
      body_of: the bodies of functions, as `Work.body_of` gives them.
      unraised: {frame of a TensorFlow 1 loop that no derivative goes through: why}.
    """

    def __init__(self, work, targets):
        self.roots, self.body_of = {}, work.body_of
        self.unraised = work.refused
        names = work.input_names()
        for tensor in work.inputs.values():
            parsed = _parsed_features(tensor)
            if parsed:
                self.roots.update(parsed)
            else:
                self.roots[tensor.name] = names[tensor.name]
        self.names = list(dict.fromkeys(self.roots.values()))
        entering = {tensor.name for tensor in work.inputs.values()}
        self._masks = self._propagate(work, targets, entering)

    def _propagate(self, work, targets, entering):
        """One bit per feature, from the inputs down; the last bit stands for the inputs as such."""
        bit = {name: 1 << index for index, name in enumerate(self.names)}
        any_input = 1 << len(self.names)
        masks = {name: bit[feature] for name, feature in self.roots.items()}
        for name in entering:
            masks[name] = masks.get(name, 0) | any_input
        order = ancestors_in_order(work.graph, targets)
        before = None
        while before != masks:  # more than one turn only for what loops carry back
            before = dict(masks)
            for op in order:
                mask = 0
                if op.type not in SHAPE_OPS:
                    for tensor in op.inputs:
                        mask |= masks.get(tensor.name, 0)
                for tensor in op.outputs:
                    if tensor.name in self.roots:
                        masks[tensor.name] = bit[self.roots[tensor.name]] | any_input
                    elif tensor.name not in entering:
                        masks[tensor.name] = mask
        return masks

    def depends(self, tensor):
        """Whether the tensor's values depend on any input (its shape alone does not count)."""
        return self._masks.get(tensor.name, 0) != 0

    def beyond(self, tensor):
        """Nothing lies beyond the top level; see `BodyFeatures`."""
        return None

    def sources(self, tensor):
        """A tensor of the top level is computed there; see `BodyFeatures`."""
        return ()

    def of(self, tensor):
        """Names of the features that the tensor's values depend on."""
        mask = self._masks.get(tensor.name, 0)
        return tuple(name for index, name in enumerate(self.names) if mask >> index & 1)


def _parsed_features(serialized):
    """{tensor name: key} if this input is a batch of serialized tf.Examples."""
    found, queue, seen = {}, [serialized], set()
    while queue:
        tensor = queue.pop()
        for op in tensor.consumers():
            if op.type in _PARSERS and op.inputs[0].name == tensor.name:
                found.update(_outputs_by_key(op))
            elif op.type in _UNCHANGED and op.name not in seen:
                seen.add(op.name)
                queue.extend(op.outputs)
    return found


def _outputs_by_key(op):
    """Outputs of a parsing op: sparse indices, values, shapes, then dense, then ragged."""
    sparse, dense, ragged = _keys(op)
    if sparse is None:
        return {}
    names = sparse * 3 + dense + ragged * 2
    return {tensor.name: name for tensor, name in zip(op.outputs, names)}


def _static(tensor):
    """Its constant value, or None; texts packed as bytes are nothing that Python can read."""
    try:
        return tf.get_static_value(tensor)
    except ValueError:
        return None


def _keys(op):
    if op.type == "ParseExample":
        count = op.get_attr("Nsparse")
        values = [_static(tensor) for tensor in op.inputs[2:]]
        dense = op.get_attr("Ndense")
        groups = [values[:count], values[count:count + dense], []]
    else:
        groups = [_static(tensor) for tensor in op.inputs[2:5]]
    if any(group is None or any(v is None for v in group) for group in groups):
        return None, None, None
    return [[np.ravel(v)[0].decode("utf-8", "replace") for v in group] for group in groups]
