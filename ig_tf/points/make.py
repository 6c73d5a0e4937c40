"""From the stops of the walk to points: lookups read, features and tables found, names given."""

import dataclasses

from ig_tf.errors import PointError
from ig_tf.graph.states import Cycle, Mixed, Rows
from ig_tf.graph.work import same_value, source_name
from ig_tf.points import names
from ig_tf.points.bags import read_bag
from ig_tf.points.bodies import lookup_of_branches
from ig_tf.points.lookups import (Lookup, lookup_behind, matrix_of_one_hot, of_distinct_ids,
                                  one_hot_behind)
from ig_tf.points.point import KINDS, Point, unique_names
from ig_tf.points.sent import what_was_sent
from ig_tf.points.tables import Table


@dataclasses.dataclass(frozen=True)
class _Read:
    """A stop and what its structure tells."""

    stop: object
    kind: str
    features: tuple
    table: object = None
    ids: object = None
    sent: object = None
    bag: object = None

    def is_folded(self, state):
        """Whether an example has several rows; where nothing is proved, flat ids are taken so."""
        if isinstance(state, Mixed):
            flat = self.sent is not None and self.ids.shape.rank == 1
            return self.bag is not None or flat
        return state == Rows(0, False) or isinstance(state, Cycle)


def make_points(stops, features, work, states, recorded):
    """Points of stops, in the order of KINDS, each with a name of its own.

    Args:
      stops: `Stop`s without structure.
      features: `Features`.
      work: the `Work`.
      states: row states by tensor name.
      recorded: {tensor name: column name} from a recording of feature columns.

    Returns:
      (points, sentences that say why a stop can be none).
    """
    order = list(KINDS)
    reads = [read(stop, features) for stop in sorted(stops, key=lambda s: order.index(s.kind))]
    wanted, reasons, alternatives = [], [], []
    for one in reads:
        name, reason = _wanted(one, features, recorded, work)
        wanted.append(name)
        reasons.append(reason)
        alternatives.append(None if reason == "recorded" else _structural(one, features, work))
    chosen = names.distinct(wanted, alternatives)
    reasons = [reason if name == before else "structure"
               for reason, name, before in zip(reasons, chosen, wanted)]
    totals = _totals(reads, chosen, features, work)
    points, refused = [], []
    for name, one, reason, total in zip(unique_names(chosen), reads, reasons, totals):
        try:
            points.append(_point(name, one, reason, total, states))
        except PointError as error:  # a cut that is named by hand may not need it
            refused.append(str(error))
    return points, refused


def make_point(name, stop, features, work, states):
    """One point under a name that the user gave.

    Raises:
      PointError: its rank is not known, or its rows are not examples.
    """
    one = read(stop, features)
    (total,) = _totals([one], [name], features, work)
    return _point(unique_names([name])[0], one, "you", total, states)


def read(stop, features):
    """What the structure behind a stop tells."""
    tensor = stop.tensor.op.inputs[0] if same_value(stop.tensor.op) else stop.tensor
    if stop.kind == "pooled":
        return _read_pooled(stop, tensor, features)
    if stop.kind == "tokens":
        lookup = lookup_behind(tensor, features) or _of_branches(tensor, features)
        if lookup is not None and lookup.ids.shape.rank != 0:
            sent = what_was_sent(lookup.ids, features)
            return _Read(stop, "tokens", _features_of(sent, lookup.ids, features), lookup.table,
                         lookup.ids, sent)
        return _Read(stop, "pooled", features.of(tensor), lookup and lookup.table)
    if stop.kind == "one_hot":
        one_hot = one_hot_behind(tensor)
        ids = one_hot.inputs[0]
        last = one_hot.get_attr("axis") in (-1, ids.shape.rank)
        sent = what_was_sent(ids, features)
        return _Read(stop, "one_hot", _features_of(sent, ids, features),
                     matrix_of_one_hot(tensor, features), ids,
                     sent if last and ids.shape.rank else None)
    return _Read(stop, stop.kind, features.of(stop.tensor))


def _read_pooled(stop, tensor, features):
    bag, lookup = read_bag(tensor, features)
    if lookup is None:
        return _Read(stop, "pooled", features.of(tensor))
    if bag is None:
        return _Read(stop, "pooled", features.of(lookup.ids), lookup.table, lookup.ids)
    return _Read(stop, "tokens", _features_of(bag.sent, lookup.ids, features), lookup.table,
                 lookup.ids, None, bag)


def _of_branches(tensor, features):
    """One lookup for those of the branches: they may read several tables at the same ids."""
    inner = lookup_of_branches(tensor, features)
    if not inner:
        return None
    tables = {lookup.table.name: lookup.table for lookup in inner}
    return Lookup(Table(", ".join(tables), *(
        sizes.pop() if len(sizes) == 1 else None for sizes in (
            {table.vocabulary for table in tables.values()},
            {table.dimension for table in tables.values()}))), inner[0].ids, tensor.op)


def _features_of(sent, ids, features):
    """Of what was sent; weights and masks that ids were picked by are no part of it."""
    source = ids.graph.get_tensor_by_name(sent.source)
    return features.of(source) or features.of(ids)


def _source(one, work):
    sent = one.bag.sent if one.bag else one.sent
    return work.tensor(sent.source) if sent else None


def _structural(one, features, work):
    return names.structural(one.kind, one.features, _source(one, work),
                            one.table.dimension if one.table else None, features)


def _wanted(one, features, recorded, work):
    """(the name that a place should have, who gave it)."""
    tensor = one.stop.tensor
    if tensor.name in recorded:
        return recorded[tensor.name], "recorded"
    places = [source_name(tensor.name)] + ([one.table.name] if one.table else [])
    hint = names.hinted(places, one.features) if one.kind not in ("dense", "image") else None
    if hint:
        return hint, "name scope"
    cross = names.crossed(_source(one, work), features)
    if cross:
        return cross, "structure"
    joined = names.combined(one.features)
    if joined:
        return joined, "feature"
    if one.table:
        return one.table.name, "table"
    return tensor.op.name.rpartition("/")[2], "tensor"


def _totals(reads, chosen, features, work):
    """For each place the feature that its total belongs to; a cross is a feature of its own."""
    wanted = [names.crossed(_source(one, work), features) or names.combined(one.features) or name
              for one, name in zip(reads, chosen)]
    texts = list(dict.fromkeys(wanted))
    unique = dict(zip(texts, unique_names(texts)))
    return [unique[text] for text in wanted]


def _point(name, one, reason, total, states):
    tensor = one.stop.tensor
    if tensor.shape.rank is None:
        raise PointError(f"the rank of {tensor.name!r} ({tensor.op.type}) is not known; a point "
                         "needs [batch, ...]. Name another point with --points.")
    if of_distinct_ids(tensor):
        raise PointError(
            f"{tensor.name!r} has one row for each of the distinct ids of a batch: examples share "
            "them. Choose a point behind the place where each example's rows are put together.")
    table = one.table or Table(None, None, None)
    state = states.get(tensor.name)
    folded = one.is_folded(state)
    axis = state.axis if isinstance(state, Rows) and state.unit and one.bag is None else 0
    dims = tensor.shape.as_list()
    shape = (None, None) if folded else dims[axis:axis + 1]
    return Point(
        name=name, kind=one.kind, tensor=tensor.name, source=source_name(tensor.name),
        shape=(*shape, *dims[:axis], *dims[axis + 1:]) if tensor.shape.rank else (),
        dtype=tensor.dtype.name, features=one.features,
        feature=total, named_by=reason,
        table=table.name, vocabulary=table.vocabulary, dimension=table.dimension,
        ids=source_name(one.ids.name) if one.ids is not None else None, sent=one.sent, bag=one.bag,
        folded=folded, steps_first=isinstance(state, Cycle), axis=axis)
