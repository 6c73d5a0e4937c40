"""What TensorFlow's registries know of an op. The private APIs stand here and in model/ops.py.

Tried on TensorFlow 2.16 to 2.21; tests/test_private_apis.py says so when they move.
"""

import functools

from tensorflow.python.framework import ops

from ig_tf.model.ops import is_known, op_def  # noqa: F401  (found here by graph analysis)


def is_stateful(op_type):
    return op_def(op_type).is_stateful


@functools.lru_cache(maxsize=None)
def takes_functions(op_type):
    """Whether an op runs functions that its attributes name."""
    return any(stated.type in ("func", "list(func)") for stated in op_def(op_type).attr)


def has_gradient(operation):
    """Whether TensorFlow has a gradient for this op; a gradient that is declared None is none."""
    try:
        return ops.get_gradient_function(operation) is not None
    except LookupError:
        return False


def output_offsets(node):
    """{output argument name: index of its first tensor} and the number of outputs of a NodeDef."""
    offsets, count = {}, 0
    for argument in op_def(node.op).output_arg:
        offsets[argument.name] = count
        if argument.number_attr:
            count += node.attr[argument.number_attr].i
        elif argument.type_list_attr:
            count += len(node.attr[argument.type_list_attr].list.type)
        else:
            count += 1
    return offsets, count
