"""What a place of attribution is."""

import dataclasses
import re

# kind: what a reader of the attributions sees.
KINDS = {
    "dense": "numbers that the caller sends, or that are parsed, decoded or computed from them",
    "image": "a picture [height, width, channels]",
    "tokens": "ids that are looked up, one embedding vector each; attribution is per id",
    "one_hot": "a category as a one-hot vector",
    "pooled": "an embedding vector per example, as it comes out of a lookup or a pooling",
}


@dataclasses.dataclass(frozen=True)
class Point:
    """A tensor of the working graph whose elements get attributions.

    Attributes:
      name: NAME of the keys attributions/NAME; letters, digits and `_.-` only.
      kind: a key of KINDS.
      tensor: name in the working graph.
      source: the same as the model's owner knows it: a node, or a path of calls and a node.
      shape: static shape as a tuple, None where unknown; axis 0 is the example.
      dtype: name of its type.
      features: raw inputs (signature inputs, or keys of a parsed example) that it comes from.
      table: variable that was looked up in, or None.
      tokens: for kind `tokens`, the tensor of what the user sent ([batch, longest], or all values
        of a bag), else None.
      bag: for ids that are pooled, the `Bag`; `tensor` is the pooled vector then.
    """

    name: str
    kind: str
    tensor: str
    source: str
    shape: tuple
    dtype: str
    features: tuple
    table: object = None
    tokens: object = None
    bag: object = None

    def described(self):
        """As in the plan and the metadata (JSON)."""
        return {"name": self.name, "kind": self.kind, "tensor": self.source, "rows": "EXAMPLE",
                "shape": list(self.shape), "dtype": self.dtype, "features": list(self.features),
                "table": self.table, "tokens": self.tokens,
                "combiner": self.bag.combiner if self.bag else None}

    def without_bag(self):
        """The same point, attributed as the pooled vector that it is."""
        return dataclasses.replace(self, kind="pooled", tokens=None, bag=None) if self.bag else self


@dataclasses.dataclass(frozen=True)
class Cut:
    """Where attribution belongs for one target.

    Attributes:
      points: the chosen points.
      held_constant: sentences: what the target also depends on, and keeps its value on the path.
      misses: sentences: what looked like a place of attribution and is none, with the reason.
    """

    points: tuple
    held_constant: tuple
    misses: tuple


def unique_names(wanted):
    """Names of letters, digits and `_.-`, in order, made unique by a suffix."""
    taken, names = set(), []
    for text in wanted:
        base = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_") or "point"
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        names.append(name)
    return names
