"""Writes ig_tf/model/operations.json: which ops and attributes each TensorFlow knows.

  python -m tools.operations_table --pythons=ENV_1_15/bin/python,ENV_2_16/bin/python,...
  python tools/operations_table.py --list      what the TensorFlow of this Python has, as JSON

Each Python lists what its TensorFlow has registered, and the lists become one table, from the
oldest to the newest. `--list` runs in TensorFlow 1.15 on Python 3.7 too, without this repository.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parent.parent
TABLE = REPO / "ig_tf" / "model" / "operations.json"
# Kernels are kept of the versions that something is exported for by name.
WITH_KERNELS = ("1.15",)
REWRITTEN = ("AccumulateNV2",)  # has no kernel: TensorFlow rewrites it before it runs a graph
LEFT_OUT = ("_Mkl",)  # of one build of TensorFlow for one processor; in no file


def listed():
    """What the TensorFlow of this Python has, as JSON-able data."""
    import tensorflow as tf
    kernels = cpu_kernels() if tf.__version__.startswith(WITH_KERNELS) else {}
    found = {}
    for op in op_list():
        if not op.name.startswith(LEFT_OUT):
            found[op.name] = {"attributes": {one.name: attribute(one) for one in op.attr}}
            if kernels:
                found[op.name]["kernels"] = kernels.get(op.name, [])
    return {"version": tf.__version__, "operations": found,
            "graph": [tf.version.GRAPH_DEF_VERSION, tf.version.GRAPH_DEF_VERSION_MIN_CONSUMER]}


def op_list():
    """Every OpDef of the registry, of C++ ops without a Python wrapper too."""
    from tensorflow.core.framework import op_def_pb2
    try:
        from tensorflow.python.client import pywrap_tf_session as c_api
        buffer = c_api.TF_GetAllOpList()
    except (ImportError, AttributeError):  # TensorFlow 1
        from tensorflow.python import pywrap_tensorflow as c_api
        buffer = c_api.TF_GetAllOpList()
    found = op_def_pb2.OpList()
    found.ParseFromString(c_api.TF_GetBuffer(buffer))
    return found.op


def attribute(stated):
    """One attribute of an OpDef: its type, the values allowed, its default as text."""
    from google.protobuf import text_format
    values = stated.allowed_values.list
    allowed = sorted({*map(type_name, values.type), *(one.decode() for one in values.s)})
    found = {"type": stated.type}
    if allowed:
        found["allowed"] = allowed
    if stated.HasField("default_value"):
        found["default"] = text_format.MessageToString(
            stated.default_value, as_one_line=True).strip()
    return found


def type_name(number):
    import tensorflow as tf
    from tensorflow.core.framework import types_pb2
    try:
        return tf.as_dtype(number).name
    except TypeError:
        return types_pb2.DataType.Name(number)


def cpu_kernels():
    """{op: [{type attribute: types}]} without repetitions."""
    from tensorflow.python.framework import kernels
    found = collections.defaultdict(list, {op: [{}] for op in REWRITTEN})
    for kernel in kernels.get_all_registered_kernels().kernel:
        if kernel.device_type not in ("CPU", "DEFAULT") or kernel.label:
            continue
        types = {one.name: sorted({*map(type_name, one.allowed_values.list.type)})
                 for one in kernel.constraint}
        if types not in found[kernel.op]:
            found[kernel.op].append(types)
    return {op: merged_kernels(entries) for op, entries in found.items()}


def merged_kernels(entries):
    """Kernels that differ in one attribute are one entry."""
    if any(len(entry) != 1 for entry in entries) or len({tuple(e) for e in entries}) != 1:
        return sorted(entries, key=lambda entry: json.dumps(entry, sort_keys=True))
    (name,) = entries[0]
    return [{name: sorted({value for entry in entries for value in entry[name]})}]


def table(lists):
    """The text of the table.

    Args:
      lists: what `listed` gave in each TensorFlow, oldest first.

    An op's entry has the attributes by version; a version that says the same as one before it has
    that one's name. Sets of values stand in a list of their own, since few are met often.
    """
    versions = {one["version"]: one["graph"] for one in lists}
    sets = sorted({_text(values) for one in lists for values in _sets(one["operations"])})
    places = {text: place for place, text in enumerate(sets)}
    lines = []
    for op in sorted({op for one in lists for op in one["operations"]}):
        known, entry = {}, {}
        for one in lists:
            if op in one["operations"]:
                _add(one["version"], one["operations"][op], places, known, entry)
        lines.append("{}:{}".format(json.dumps(op), _text(entry)))
    return '{{"versions":{},\n"sets":[\n{}],\n"operations":{{\n{}}}}}\n'.format(
        _text(versions), ",\n".join(sets), ",\n".join(lines))


def _sets(operations):
    for operation in operations.values():
        for one in operation["attributes"].values():
            if "allowed" in one:
                yield one["allowed"]
        for kernel in operation.get("kernels", []):
            for values in kernel.values():
                yield values


def _add(version, operation, places, known, entry):
    """Adds what one version says of an op to its entry; `known`: {what was said: version}."""
    attributes = {name: dict(one, **({"allowed": places[_text(one["allowed"])]}
                                     if "allowed" in one else {}))
                  for name, one in operation["attributes"].items()}
    said = known.setdefault(_text(attributes), version)
    entry[version] = attributes if said == version else said
    if "kernels" in operation:
        entry.setdefault("kernels", {})[version] = [
            {name: places[_text(values)] for name, values in kernel.items()}
            for kernel in operation["kernels"]]


def _text(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def asked(python):
    """What another Python lists."""
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="",
                       PYTHONWARNINGS="ignore")
    done = subprocess.run([python, str(pathlib.Path(__file__).resolve()), "--list"],
                          stdout=subprocess.PIPE, env=environment, timeout=300, check=True)
    return json.loads(done.stdout.decode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="list this Python's TensorFlow")
    parser.add_argument("--pythons", help="with commas between")
    flags = parser.parse_args()
    if flags.list:
        print(json.dumps(listed(), sort_keys=True))
        return 0
    if not flags.pythons:
        parser.error("--pythons=A,B,... is needed, or --list")
    lists = [asked(python) for python in flags.pythons.split(",")]
    lists.sort(key=lambda one: [int(part) for part in one["version"].split(".")])
    TABLE.write_text(table(lists), encoding="utf-8")
    print("{}: {} ops of TensorFlow {}".format(
        TABLE, len({op for one in lists for op in one["operations"]}),
        ", ".join(one["version"] for one in lists)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
