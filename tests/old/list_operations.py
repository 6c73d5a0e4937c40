"""What ops this TensorFlow has: their attributes with the values allowed, and kernels of the CPU.

    python list_operations.py FILE.json

Written with TensorFlow 1.15.5 to ig_tf/export/tensorflow_1_15.json. One op per line:
{"attributes": {name: allowed values or null}, "kernels": [{type attribute: types}]}.
"""

import collections
import json
import sys

import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python import pywrap_tensorflow
from tensorflow.python.framework import kernels

REWRITTEN = ("AccumulateNV2",)  # has no kernel: TensorFlow rewrites it before it runs a graph


def op_list():
    """Every OpDef of the registry, of C++ ops without a Python wrapper too."""
    found = op_def_pb2.OpList()
    buffer = pywrap_tensorflow.TF_GetAllOpList()
    found.ParseFromString(pywrap_tensorflow.TF_GetBuffer(buffer))
    return found.op


def allowed(attribute):
    values = attribute.allowed_values.list
    if attribute.type == "type" and values.type:
        return sorted(tf.as_dtype(value).name for value in values.type)
    return sorted(value.decode() for value in values.s) or None


def cpu_kernels():
    """{op: [{type attribute: types}]} without repetitions."""
    found = collections.defaultdict(list, {op: [{}] for op in REWRITTEN})
    for kernel in kernels.get_all_registered_kernels().kernel:
        if kernel.device_type not in ("CPU", "DEFAULT") or kernel.label:
            continue
        types = {one.name: sorted(tf.as_dtype(value).name for value in one.allowed_values.list.type)
                 for one in kernel.constraint}
        if types not in found[kernel.op]:
            found[kernel.op].append(types)
    return {op: merged(entries) for op, entries in found.items()}


def merged(entries):
    """Kernels that differ in one attribute are one entry."""
    if any(len(entry) != 1 for entry in entries) or len({tuple(e) for e in entries}) != 1:
        return sorted(entries, key=lambda entry: json.dumps(entry, sort_keys=True))
    (name,) = entries[0]
    return [{name: sorted({value for entry in entries for value in entry[name]})}]


def main(path):
    runnable = cpu_kernels()
    lines = []
    for op in sorted(op_list(), key=lambda op: op.name):
        entry = {"attributes": {one.name: allowed(one) for one in op.attr},
                 "kernels": runnable.get(op.name, [])}
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        lines.append("%s: %s" % (json.dumps(op.name), text))
    with open(path, "w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1])
