"""Which tensors shall be inputs, as a user says it."""

import dataclasses
import re

import tensorflow as tf

from ig_tf.errors import SignatureError
from ig_tf.model.edges import Edges
from ig_tf.model.feed import Describer, Feed, is_source
from ig_tf.model.feed_names import sanitised
from ig_tf.model.feed_ops import SOURCES
from ig_tf.model.nodes import producer

_ITEM = re.compile(r"(?P<node>[^:\[\],]+)(:(?P<index>\d+))?(:(?P<name>[A-Za-z_]\w*))?"
                   r"(?P<shape>\[[^\]]*\])?")


@dataclasses.dataclass(frozen=True)
class Wish:
    """One tensor that shall be an input: node, output or None, name or None, shape or None."""

    node: str
    index: object
    name: object
    shape: object
    text: str


def select(feeds, wanted, graph_def=None):
    """The feeds that a user names, under the names that he gives.

    Args:
      feeds: `Feed`s that were found.
      wanted: TENSOR:NAME,... where TENSOR is NODE or NODE:k, :NAME may be left out, and a shape
        may follow ([?,60]); or an iterable of such; or {TENSOR: NAME or None}.
      graph_def: where a tensor may be named that is no found feed, else None.

    Returns:
      `Feed`s in the order of `wanted`.

    Raises:
      SignatureError: no such input (the candidates are listed), a name twice, bad syntax.
    """
    chosen = [_chosen(feeds, wish, graph_def) for wish in _wishes(wanted)]
    for kind in ("tensor", "name"):
        values = [getattr(feed, kind) for feed in chosen]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise SignatureError(f"--feed names {kind} {twice[0]!r} twice.")
    return tuple(chosen)


def _wishes(wanted):
    if isinstance(wanted, dict):
        return [dataclasses.replace(_wish(tensor), name=name) for tensor, name in wanted.items()]
    texts = re.split(r",(?![^\[]*\])", wanted) if isinstance(wanted, str) else wanted
    return [_wish(text.strip()) for text in texts if text.strip()]


def _wish(text):
    match = _ITEM.fullmatch(text)
    if match is None:
        raise SignatureError(f"--feed={text!r} is not TENSOR:NAME, for example "
                             "--feed=shuffle_batch:1:features (a shape may follow: [?,9]).")
    index = match["index"]
    return Wish(match["node"].strip(), None if index is None else int(index), match["name"],
                match["shape"] and _shape(match["shape"]), text)


def _shape(text):
    inside = text[1:-1].strip()
    dims = [dim.strip() for dim in inside.split(",")] if inside else []
    if not all(dim == "?" or dim.isdigit() for dim in dims):
        raise SignatureError(f"shape {text!r} is not numbers and ?, for example [?,60].")
    return tf.TensorShape([None if dim == "?" else int(dim) for dim in dims])


def _chosen(feeds, wish, graph_def):
    feed = _matching(feeds, wish)
    if feed is None and graph_def is not None:
        feed = _of_tensor(graph_def, wish)
    if feed is None:
        listed = "; ".join(f"{one.tensor}:{one.name}" for one in feeds)
        raise SignatureError(f"no input {wish.text!r}: neither an input that was found nor a "
                             f"tensor of the graph. Found: {listed or 'none'}.")
    shape = feed.shape if wish.shape is None else wish.shape
    if not shape.is_compatible_with(feed.shape):
        raise SignatureError(f"--feed={wish.text}: {feed.tensor} has shape {feed.shape}.")
    return dataclasses.replace(feed, name=wish.name or feed.name, shape=shape)


def _matching(feeds, wish):
    """The found feed that is meant, or None."""
    exact = [feed for feed in feeds if feed.tensor == f"{wish.node}:{wish.index or 0}"]
    if wish.index is not None:
        return exact[0] if exact else None
    of_node = [feed for feed in feeds if producer(feed.tensor) == wish.node]
    if len(of_node) > 1:
        listed = ", ".join(f"{feed.tensor} ({feed.name})" for feed in of_node)
        raise SignatureError(f"--feed={wish.text}: {wish.node!r} gives several inputs: {listed}. "
                             "Say which.")
    named = [feed for feed in feeds if feed.name == wish.node]
    return next(iter(of_node + named), None)


def _of_tensor(graph_def, wish):
    """Any other tensor of the graph, cut where the user wants it; None where there is none."""
    tensor, edges = f"{wish.node}:{wish.index or 0}", Edges(graph_def)
    node = edges.nodes.get(wish.node)
    if node is None:
        return None
    describer = Describer(graph_def, edges)
    if node.op in SOURCES and SOURCES[node.op].type_of(node, wish.index or 0) is None:
        return None
    if is_source(edges, node):
        return describer.feed(tensor)
    dtype, shape = describer.inferred(tensor)
    if dtype is None:
        raise SignatureError(f"--feed={wish.text}: node {wish.node!r} ({node.op}) has no output "
                             f"{wish.index or 0} whose type TensorFlow can tell.")
    last = sanitised(wish.node.rpartition("/")[2])
    return Feed(tensor, last, dtype, shape, f"{node.op} {wish.node!r}, named by --feed")
