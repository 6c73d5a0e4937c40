"""Mutations of files: bytes of any kind, and values of JSON."""

import copy
import json

_VALUES = (None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "x",
           "NaN", "\ud800", "\x00", "é" * 50, [], {}, [[]], [None], [[[[1]]]], {"a": 1}, [1, "a"],
           {"shape": [1], "dtype": "float32", "base64": "!"}, {"shape": [2**40], "dtype": "float64",
                                                               "base64": ""})


def mutate_bytes(random, data):
    """Bytes changed somewhere: (bytes, name of the mutation)."""
    kind = random.choice(("flips", "truncation", "repeated", "inserted", "removed"))
    if not data:
        return b"\x00", "inserted"
    place = random.randrange(len(data))
    end = min(len(data), place + random.randrange(1, 64))
    if kind == "flips":
        changed = bytearray(data)
        for _ in range(random.choice((1, 1, 3, 10))):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        return bytes(changed), kind
    if kind == "truncation":
        return data[:place], kind
    if kind == "repeated":
        return data[:end] + data[place:end] * random.choice((1, 3)) + data[end:], kind
    if kind == "removed":
        return data[:place] + data[end:], kind
    strange = random.choice((b"\x00", b"\xff\xfe", b"\n\n", b'"', b"{[" * 3000, b",,,,", b"1e999",
                             b"9" * 5000, b"\xed\xa0\x80", b"null"))
    return data[:place] + strange + data[place:], kind


def mutate_json(random, value):
    """A JSON value, one to three of whose parts are others: (value, name of the mutation)."""
    value = copy.deepcopy(value)
    kinds = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        parents = list(_parents(value))
        if not parents:
            break
        parent, key = random.choice(parents)
        kind = random.choice(("replaced", "replaced", "removed", "added", "nested"))
        if kind == "replaced":
            parent[key] = copy.deepcopy(random.choice(_VALUES))
        elif kind == "removed":
            del parent[key]
        elif kind == "nested":
            parent[key] = [parent[key]]
        elif isinstance(parent, dict):
            parent[random.choice(("x", "", "id", "points", "inputs"))] = copy.deepcopy(
                random.choice(_VALUES))
        else:
            parent.append(copy.deepcopy(random.choice(_VALUES)))
        kinds.append(kind)
    return value, "+".join(kinds)


def mutate_json_bytes(random, data):
    """Bytes of a JSON value, changed as a value or as bytes: (bytes, name of the mutation)."""
    if random.random() < 0.25:
        return mutate_bytes(random, data)
    value, name = mutate_json(random, json.loads(data))
    return json.dumps(value).encode(), name


def _parents(value):
    """(container, key) of every part."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()
    for key, part in list(entries):
        yield value, key
        yield from _parents(part)
