"""Rules for tensor lists (the arrays of TensorFlow 2 loops); their form is that of row_rules.py."""

from ig_tf.graph.states import ListOf, Rows, is_shared, join


def list_from_tensor(op, inputs):
    if isinstance(inputs[0], Rows) and inputs[0].axis > 0:
        return ListOf(Rows(inputs[0].axis - 1, inputs[0].unit))
    return None


def empty_list(op, inputs):
    """An empty list; its element shape may speak of the batch, its length may not."""
    return ListOf(None) if is_shared(inputs[1]) else None


def list_get(op, inputs):
    same = isinstance(inputs[0], ListOf) and is_shared(inputs[1])
    return inputs[0].element if same else None


def list_set(op, inputs):
    if not isinstance(inputs[0], ListOf) or not is_shared(inputs[1]):
        return None
    return ListOf(join(inputs[0].element, inputs[2]))


def list_stack(op, inputs):
    element = inputs[0].element if isinstance(inputs[0], ListOf) else None
    if isinstance(element, Rows):
        return Rows(element.axis + 1, element.unit)
    return element if is_shared(element) else None


RULES = {
    "TensorListFromTensor": list_from_tensor,
    "TensorListGetItem": list_get,
    "TensorListSetItem": list_set,
    "TensorListStack": list_stack,
}

# These say something even where all their inputs are shared.
MAKERS = {"TensorListReserve": empty_list, "EmptyTensorList": empty_list}
