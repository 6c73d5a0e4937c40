"""Which ops and attributes each TensorFlow knows, as data: operations.json.

tools/operations_table.py wrote it, by asking each TensorFlow itself. What is not in it, a newer
TensorFlow or a library of custom ops brought.
"""

import dataclasses
import functools
import json
import pathlib

from google.protobuf import text_format
from tensorflow.core.framework import attr_value_pb2

_FILE = "operations.json"
_GRAPH, _KERNELS = "versions", "kernels"


@dataclasses.dataclass(frozen=True)
class Attribute:
    """An attribute of an op, in one TensorFlow.

    Attributes:
      type: as in an OpDef, for example "list(type)".
      allowed: names of the types, or the texts, that it may be; None for any.
      default: its default value as text of an AttrValue, or None: it has to be given.
    """

    type: str
    allowed: object = None
    default: object = None


@functools.lru_cache(maxsize=None)
def _table():
    path = pathlib.Path(__file__).parent / _FILE
    return json.loads(path.read_text(encoding="utf-8"))


def known():
    """The versions of TensorFlow in the table, oldest first."""
    return tuple(_table()[_GRAPH])


def full(version):
    """The version of the table that one is, which may leave the patch out: "1.15" is "1.15.5".

    Raises:
      KeyError: the table has no such version.
    """
    for one in known():
        if one == version or one.startswith(version + "."):
            return one
    raise KeyError(f"no TensorFlow {version} in {_FILE}; it has {', '.join(known())}")


def graph_versions(version):
    """(what its graphs say that they are, the oldest reader that they say they are for)."""
    return tuple(_table()[_GRAPH][full(version)])


def operations(version):
    """The names of all ops of a version."""
    version = full(version)
    return {op for op, entry in _table()["operations"].items() if version in entry}


@functools.lru_cache(maxsize=None)
def attributes(op, version):
    """{attribute: `Attribute`} of an op in a version, or None where that does not have the op."""
    entry = _table()["operations"].get(op, {})
    found = entry.get(full(version))
    if isinstance(found, str):  # the same as in an older version
        found = entry[found]
    return found if found is None else {
        name: Attribute(one["type"], _set(one.get("allowed")), one.get("default"))
        for name, one in found.items()}


def kernels(op, version):
    """[{type attribute: names of types}] of an op's kernels on a CPU, in a version.

    Raises:
      KeyError: the table has no kernels of this version.
    """
    found = _table()["operations"][op].get(_KERNELS, {})
    return [{name: _set(place) for name, place in kernel.items()}
            for kernel in found[full(version)]]


def _set(place):
    return None if place is None else tuple(_table()["sets"][place])


def having(op, attribute=None):
    """Those versions, oldest first, that have an op, or an attribute of it."""
    found = [(version, attributes(op, version)) for version in known()]
    return tuple(version for version, names in found if names is not None
                 and (attribute is None or attribute in names))


def default(op, attribute):
    """The AttrValue that an attribute has where it is not given, in the newest version that has
    it; None where it must be given, or nothing is known of it."""
    versions = having(op, attribute)
    text = attributes(op, versions[-1])[attribute].default if versions else None
    if text is None:
        return None
    try:
        return text_format.Parse(text, attr_value_pb2.AttrValue())
    except text_format.ParseError:  # a type that this TensorFlow has no name for
        return None
