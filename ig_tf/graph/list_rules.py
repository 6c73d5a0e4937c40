"""Rules for tensor lists (the arrays of TensorFlow 2 loops); their form is that of row_rules.py.

The examples are an axis of every element, or each element is one example.
"""

from ig_tf.graph.states import (BATCH, Elements, Index, ListOf, OfTurn, Rows, Size, Turn,
                                is_shared, join)


def list_from_tensor(op, inputs):
    if inputs[0] == Rows(0):
        return Elements(True)
    if isinstance(inputs[0], Rows) and inputs[0].axis > 0:
        return ListOf(Rows(inputs[0].axis - 1, inputs[0].unit))
    return None


def empty_list(op, inputs):
    """An empty list; its element shape may speak of the batch, its length is shared or is it."""
    if inputs[1] == Size((BATCH,)):
        return Elements(False)
    return ListOf(None) if is_shared(inputs[1]) else None


def list_get(op, inputs):
    if isinstance(inputs[0], Elements) and isinstance(inputs[1], Turn):
        return OfTurn()
    same = isinstance(inputs[0], ListOf) and is_shared(inputs[1])
    return inputs[0].element if same else None


def list_set(op, inputs):
    if isinstance(inputs[0], Elements) and isinstance(inputs[1], Turn):
        own = isinstance(inputs[2], OfTurn) or is_shared(inputs[2])
        return Elements(True) if own else None
    if not isinstance(inputs[0], ListOf) or not is_shared(inputs[1]):
        return None
    return ListOf(join(inputs[0].element, inputs[2]))


def list_scatter(op, inputs):
    """The rows of a tensor become elements at given places."""
    made, rows, places = inputs
    if made == Elements(False) and rows == Rows(0) and places == Index():
        return Elements(True)
    inner = isinstance(rows, Rows) and rows.axis > 0 and is_shared(places)
    if not isinstance(made, ListOf) or not inner:
        return None
    return ListOf(join(made.element, Rows(rows.axis - 1, rows.unit)))


def list_gather(op, inputs):
    return list_stack(op, inputs) if is_shared(inputs[1]) and isinstance(
        inputs[0], ListOf) else None


def list_stack(op, inputs):
    if inputs[0] == Elements(True):
        return Rows(0)
    element = inputs[0].element if isinstance(inputs[0], ListOf) else None
    if isinstance(element, Rows):
        return Rows(element.axis + 1, element.unit)
    return element if is_shared(element) else None


RULES = {
    "TensorListFromTensor": list_from_tensor,
    "TensorListGetItem": list_get,
    "TensorListSetItem": list_set,
    "TensorListStack": list_stack,
    "TensorListGather": list_gather,
    "TensorListScatterIntoExistingList": list_scatter,
}

# These say something even where all their inputs are shared.
MAKERS = {"TensorListReserve": empty_list, "EmptyTensorList": empty_list}
