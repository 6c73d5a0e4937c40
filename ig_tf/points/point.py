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
      folded: whether an example has several rows of the tensor, one after another; they are axis
        1 of the shape then.
      steps_first: whether the rows of a folded point are one step of all examples after the other.
      axis: of the tensor, along which the examples lie; the shape has it first.
      dtype: name of its type.
      features: raw inputs (signature inputs, or keys of a parsed example) that it comes from;
        of a lookup, those of its ids.
      feature: the raw feature that its total belongs to; a feature cross is one of its own.
      named_by: what the name was taken from: recorded, name scope, structure, feature, table,
        tensor or you.
      table: name of the variable (or frozen constant) that was looked up in, or None.
      vocabulary, dimension: rows of that table and the length of one, where known.
      ids: the tensor of ids, as the owner knows it, or None.
      sent: what the user sent for each id (`Sent`), or None.
      bag: for ids that are pooled, the `Bag`; `tensor` is the pooled vector then.
    """

    name: str
    kind: str
    tensor: str
    source: str
    shape: tuple
    dtype: str
    features: tuple
    feature: str
    named_by: str
    table: object = None
    vocabulary: object = None
    dimension: object = None
    ids: object = None
    sent: object = None
    bag: object = None
    folded: bool = False
    steps_first: bool = False
    axis: int = 0

    @property
    def tokens(self):
        """Name of the tensor of what the user sent, or None."""
        sent = self.bag.sent if self.bag else self.sent
        return sent.source if sent else None

    @property
    def per_id(self):
        """Whether attributions are given per id: [batch, longest]."""
        return self.bag is not None or self.sent is not None

    def token_tensors(self):
        """Names of the tensors that attributions per id need besides the point's own."""
        if self.bag:
            return self.bag.tensors()
        return self.sent.inputs if self.sent else ()

    def described(self):
        """As in the plan and the metadata (JSON)."""
        return {"name": self.name, "kind": self.kind, "tensor": self.source, "rows": "EXAMPLE",
                "shape": list(self.shape), "dtype": self.dtype, "features": list(self.features),
                "feature": self.feature, "named_by": self.named_by,
                "table": self.table, "vocabulary": self.vocabulary, "dimension": self.dimension,
                "ids": self.ids, "tokens": self.tokens,
                "combiner": self.bag.combiner if self.bag else None}

    def without_bag(self):
        """The same place, attributed as the pooled vector that it is."""
        return dataclasses.replace(self, kind="pooled", bag=None) if self.bag else self


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
