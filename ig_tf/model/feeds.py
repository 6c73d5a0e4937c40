"""Inputs that are no placeholders: queues, readers, iterators, staging areas and infeeds.

Data that enters a graph by itself is found on the way from its outputs and swapped for
placeholders in a copy; scalars such as keep_prob are fixed; dropout that keeps everything draws
no more. Functions of GraphDefs: nothing is run, and no queue runner, reader or iterator is needed
by what comes out. `prepare` does all of it; the other names do one step each.
"""

import dataclasses

from ig_tf.errors import GraphError, SignatureError
from ig_tf.model import fixes
from ig_tf.model.edges import Edges, data_of
from ig_tf.model.feed import Feed
from ig_tf.model.feed_choice import select
from ig_tf.model.feed_ops import UNPACKS
from ig_tf.model.feed_shapes import fixed_batches, freed
from ig_tf.model.feed_swap import cut_edges, found, still_needed, swap
from ig_tf.model.fixes import Fix, required
from ig_tf.model.randomness import active_random, neutralise
from ig_tf.model.nodes import canonical

__all__ = ["Feed", "Fix", "Prepared", "active_random", "cut_edges", "fix", "fixed_batches", "found",
           "freed", "neutralise", "prepare", "required", "select", "still_needed", "swap"]
fix = fixes.fix


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A copy of a graph that needs no queue, reader or iterator for some outputs.

    Attributes:
      graph_def: the copy.
      inputs: {name: tensor name} of the placeholders that stand for feeds.
      outputs: what stands for the wanted tensors, in their order.
      feeds: `Feed`s that were swapped.
      fixes: `Fix`es that were made.
      open: `Fix`es without a value: scalars that the outputs need and nobody gave.
      random: names of random ops that are still active on the way to the outputs.
      notes: sentences: what was decided, and what falls short.
    """

    graph_def: object
    inputs: dict
    outputs: tuple
    feeds: tuple
    fixes: tuple
    open: tuple
    random: tuple
    notes: tuple

    @property
    def changed(self):
        """Whether anything had to be done."""
        return bool(self.notes)


def prepare(graph_def, outputs, feed=None, fixed=None, given=(), taken=(), scope=""):
    """Swaps and fixes all that stands between a graph and its answers.

    Args:
      graph_def: a GraphDef; not changed.
      outputs: names of tensors.
      feed: what `select` takes: which tensors shall be inputs and their names; others that the
        outputs still wait for are swapped too, under names of their own.
      fixed: PLACEHOLDER:VALUE,... or a mapping.
      given: names of tensors that are inputs already.
      taken: names that no new input may have.
      scope: what the names of new nodes begin with.

    Returns:
      A `Prepared`.

    Raises:
      SignatureError: a feed or a fix names what is not there.
      GraphError: the outputs still need a queue.
    """
    made = [Fix(name, value, f"{name} is set to {value}, as asked")
            for name, value in fixes.parsed(fixed or {}).items()]
    graph = fix(graph_def, {one.placeholder: one.value for one in made}) if made else graph_def
    wanted = select(found(graph, outputs, given), feed, graph) if feed else ()
    _refuse_taken(wanted, taken)
    _refuse_idle(graph, outputs, wanted)
    given = {*given, *(one.tensor for one in wanted)}
    known = [one for one in required(graph, outputs, given) if one.value is not None]
    graph = fix(graph, {one.placeholder: one.value for one in known}) if known else graph
    more = found(graph, outputs, given, {*taken, *(one.name for one in wanted)})
    swapped = (*wanted, *more)
    result, names = swap(graph, swapped, scope)
    replaced = {one.tensor: names[one.name] for one in swapped}
    final = tuple(replaced.get(canonical(value), value) for value in outputs)
    batches = {names[one.name]: one.fixed for one in swapped}
    result, reshaped = freed(result, batches, final)
    result, settled = neutralise(result, final, given)
    _refuse_waiting(result, final, given)
    notes = (*(one.reason for one in (*made, *known)),
             *(f"input {one.name}: {one.source}" for one in swapped),
             *cut_edges(graph, swapped, final),
             *(f"Reshape {name} takes any number of rows now" for name in reshaped),
             *fixed_batches(result, batches, final),
             *(f"random op {name} makes no difference: it draws zeros" for name in settled))
    still = {*given, *names.values()}
    return Prepared(result, names, final, swapped, (*made, *known),
                    tuple(one for one in required(result, final, still) if one.value is None),
                    active_random(result, final, given), notes)


def _refuse_taken(wanted, taken):
    for one in wanted:
        if one.name in taken:
            raise SignatureError(f"--feed: input {one.name!r} is there already; choose another "
                                 f"name for {one.tensor}.")


def _refuse_idle(graph, outputs, wanted):
    """An input that no output depends on would be asked for in vain; but a sparse tensor is taken
    whole."""
    edges = Edges(graph)
    wanted = [one for one in wanted if edges.node(one.tensor).op not in UNPACKS]
    read = {value for name in edges.path(outputs) for value in data_of(edges.nodes[name])}
    for one in wanted:
        if one.tensor not in read | {canonical(value) for value in outputs}:
            raise SignatureError(f"--feed: no output depends on {one.tensor} ({one.name}). The "
                                 f"outputs are {', '.join(outputs)}.")


def _refuse_waiting(graph, outputs, given):
    waiting = still_needed(graph, outputs, given)
    if waiting:
        listed = ", ".join(waiting[:5])
        raise GraphError(f"the outputs still need {listed} of a queue, a reader or an iterator. "
                         "Cut nearer to the outputs: --feed=TENSOR:NAME takes any tensor.")
