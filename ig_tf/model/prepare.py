"""One call that makes a graph answer by itself: scalars fixed, data's places turned into inputs."""

import dataclasses

from ig_tf.errors import GraphError, SignatureError
from ig_tf.model import feed_choice, feed_shapes, feeds, fixes, randomness


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


def prepare(graph_def, outputs, feed=None, fix=None, given=(), taken=(), scope=""):
    """Swaps and fixes all that stands between a graph and its answers.

    Args:
      graph_def: a GraphDef; not changed.
      outputs: names of tensors.
      feed: what `select` takes: which tensors shall be inputs and their names; others that the
        outputs still wait for are swapped too, under names of their own.
      fix: PLACEHOLDER:VALUE,... or a mapping.
      given: names of tensors that are inputs already.
      taken: names that no new input may have.
      scope: what the names of new nodes begin with.

    Returns:
      A `Prepared`.

    Raises:
      SignatureError: a feed or a fix names what is not there.
      GraphError: the outputs still need a queue.
    """
    chosen_fixes = tuple(fixes.Fix(name, value, f"{name} is set to {value}, as asked")
                         for name, value in fixes.parsed(fix or {}).items())
    graph = fixes.fix(graph_def, {one.placeholder: one.value for one in chosen_fixes})
    wanted = _wanted(graph, outputs, feed, given)
    given = {*given, *(one.tensor for one in wanted)}
    needed = fixes.required(graph, outputs, given)
    known = tuple(one for one in needed if one.value is not None)
    graph = fixes.fix(graph, {one.placeholder: one.value for one in known})
    found = feeds.found(graph, outputs, given, {*taken, *(one.name for one in wanted)})
    swapped = (*wanted, *found)
    _refuse_taken(wanted, taken)
    result, names = feeds.swap(graph, swapped, scope)
    replaced = {one.tensor: names[one.name] for one in swapped}
    final = tuple(replaced.get(_full(value), value) for value in outputs)
    batches = {names[one.name]: one.fixed for one in swapped}
    result, freed = feed_shapes.freed(result, batches, final)
    result, settled = randomness.neutralise(result, final, given)
    _refuse_waiting(result, final, given)
    still = {*given, *names.values()}
    notes = [one.reason for one in (*chosen_fixes, *known)]
    notes += [f"input {one.name}: {one.source}" for one in swapped]
    notes += feeds.cut_edges(graph, swapped, final)
    notes += [f"Reshape {name} takes any number of rows now" for name in freed]
    notes += feed_shapes.fixed_batches(result, batches, final)
    notes += [f"random op {name} makes no difference: it draws zeros" for name in settled]
    return Prepared(result, names, final, swapped, (*chosen_fixes, *known),
                    tuple(one for one in fixes.required(result, final, still) if one.value is None),
                    randomness.active_random(result, final, given), tuple(notes))


def _wanted(graph, outputs, feed, given):
    """The feeds that were asked for."""
    if not feed:
        return ()
    return feed_choice.select(feeds.found(graph, outputs, given), feed, graph)


def _refuse_taken(wanted, taken):
    for one in wanted:
        if one.name in taken:
            raise SignatureError(f"--feed: input {one.name!r} is there already; choose another "
                                 f"name for {one.tensor}.")


def _refuse_waiting(graph, outputs, given):
    waiting = feeds.still_needed(graph, outputs, given)
    if waiting:
        listed = ", ".join(waiting[:5])
        raise GraphError(f"the outputs still need {listed} of a queue, a reader or an iterator. "
                         "Cut nearer to the outputs: --feed=TENSOR:NAME takes any tensor.")


def _full(value):
    return value if ":" in value else value + ":0"
