"""What a place of attribution is called: as the model's owner would call it.

In this order: the recorded feature column; the column that name scopes of feature columns tell (a
hint: it must contain a feature that the graph leads to); the raw feature; the table; the tensor.
Where two places would share a name, each is called as TensorFlow names such a column.
"""

import re

from ig_tf.points.sent import CROSSES, cross_of

# Name scopes under which feature columns of TensorFlow 1 and 2 put one scope per column.
_CONTAINERS = re.compile(r"^(input_layer|linear_model|sequence_input_layer|dense_features|"
                         r"sequence_features)(_\d+)?$")
MOST_FEATURES = 3  # in a name made of several


def hinted(names, features):
    """The column that a node's name tells, or None.

    Args:
      names: names of nodes: the place of attribution, the table.
      features: raw features that it comes from.
    """
    for name in names:
        parts = name.rpartition(":")[0].split("/") if ":" in name else name.split("/")
        for place in range(len(parts) - 2, -1, -1):
            if _CONTAINERS.match(parts[place]):
                column = parts[place + 1]
                if any(_mentions(column, feature) for feature in features):
                    return _of_shared(column, features)
                break
    return None


def _of_shared(column, features):
    """A scope of shared embeddings names all that share; each column is called after its own."""
    if len(features) == 1 and re.search(r"_shared_embedding(_\d+)?$", column):
        return f"{features[0]}_shared_embedding"
    return column


def _mentions(column, feature):
    word = re.escape(re.sub(r"[^A-Za-z0-9_.-]+", "_", feature))
    return re.search(rf"(^|_){word}(_|$)", column) is not None


def structural(kind, names, source, dimension, features):
    """The name that TensorFlow would give such a column, or None without a feature.

    Args:
      kind: of the point.
      names: the raw features.
      source: the tensor of what was sent for its ids, or None.
      dimension: of the table, or None.
      features: `Features` of the graph.
    """
    base = crossed(source, features) or combined(names)
    if base is None:
        return None
    if source is not None and source.dtype.is_floating:
        base += "_bucketized"
        return base if kind == "one_hot" or dimension == 1 else base + "_embedding"
    if kind == "one_hot":
        return base + "_indicator"
    return base + "_embedding" if dimension is not None and dimension > 1 else base


def crossed(source, features):
    """The name of a feature cross with its keys, or None where ids come from no cross."""
    if source is None or source.op.type not in CROSSES:
        return None
    cross = cross_of(source.op, list(source.op.inputs))
    names = [_key(tensor, features) for tensor in (*cross.values, *cross.dense)]
    return None if None in names else "_X_".join(sorted(names))


def _key(tensor, features):
    names = features.of(tensor)
    if len(names) != 1:
        return None
    return names[0] + "_bucketized" if _in_buckets(tensor) else names[0]


def _in_buckets(tensor):
    for _ in range(20):
        if tensor.op.type == "Bucketize":
            return True
        if not tensor.op.inputs or tensor.dtype == "string":
            return False
        tensor = tensor.op.inputs[0]
    return False


def combined(names):
    """One name for a few features, or None."""
    return "_X_".join(names) if names and len(names) <= MOST_FEATURES else None


def distinct(wanted, alternatives):
    """Names where those that several places want are replaced by what tells them apart."""
    chosen = list(wanted)
    for name in set(wanted):
        places = [place for place, other in enumerate(wanted) if other == name]
        others = [alternatives[place] or name for place in places]
        if 1 < len(places) == len(set(others)):
            for place, other in zip(places, others):
                chosen[place] = other
    return chosen
