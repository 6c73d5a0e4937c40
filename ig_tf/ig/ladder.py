"""A ladder of rules of n, 4n and 16n nodes, of which each example of a batch takes one."""

import dataclasses

import tensorflow as tf

from ig_tf.ig import integrate, pilot, quadrature

FACTORS = (1, 4, 16)


@dataclasses.dataclass(frozen=True)
class _Rung:
    """A rule that is chosen in the graph; what `integrate` needs of a `Rule`.

    Attributes:
      nodes, weights: float64 [steps].
      steps: scalar int32.
    """

    nodes: object
    weights: object
    steps: object


def rungs(rule):
    """The rules of the ladder, the given one first.

    Raises:
      RuleError: the last one would have more nodes than a rule may have.
    """
    last = rule.steps * FACTORS[-1]
    if last > quadrature.MAX_STEPS:
        raise quadrature.RuleError(
            f"refinement goes up to {FACTORS[-1]} times the nodes: {last} for {rule.steps} steps, "
            f"more than {quadrature.MAX_STEPS}. At most "
            f"{quadrature.MAX_STEPS // FACTORS[-1]} steps can be refined.")
    return (rule, *(quadrature.build(rule.name, rule.steps * factor) for factor in FACTORS[1:]))


def integrals(path, rules, refinement, rows_per_chunk, chunks=integrate.Chunks()):
    """As `integrate.integrals`, each example by its own rule.

    The examples of one rule go through the loop together, so that a rule that no example takes
    costs no turn of it, and each example gets what it gets in a request of its rule alone.

    Args:
      path: a `Path`.
      rules: the rules.
      refinement: [batch] int64, places of `rules`.
      rows_per_chunk, chunks: as `integrate.integrals` takes them.
    """
    start = [tf.zeros_like(x, integrate.accumulator(x.dtype)) for x in path.inputs]
    rule_at = picker(rules, path, rows_per_chunk)

    def turn(place, *sums):
        examples = tf.cast(tf.where(tf.equal(refinement, place))[:, 0], tf.int32)

        def added():
            found = integrate.integrals(integrate.of_examples(path, examples),
                                        _placed_at(rule_at(place), examples), rows_per_chunk,
                                        chunks)
            return [_added(total, examples, one) for total, one in zip(sums, found)]

        return (place + 1, *tf.cond(tf.size(examples) > 0, added, lambda: list(sums)))

    return _each_rung(path, rules, turn, start)


def _added(total, examples, found):
    """Rows added at the examples' places; a point may be empty for all (no words in the batch)."""
    def add():
        return tf.tensor_scatter_nd_add(total, examples[:, None], found)
    if None not in total.shape.as_list()[1:]:
        return add()
    return tf.cond(tf.size(total) > 0, add, lambda: total)


def integrals_alone(path, rules, refinement, chunks=integrate.Chunks()):
    """As `integrate.integrals_stepwise`, for one example [1] by its own rule."""
    rule = pilot.of_one(picker(rules, path)(refinement[0]))
    return integrate.integrals_stepwise(path, rule, chunks)


def integrals_stepwise(path, rules, refinement, chunks=integrate.Chunks()):
    """As `integrate.integrals_stepwise`, each example of the batch by its own rule."""
    start = [tf.zeros_like(x, integrate.accumulator(x.dtype)) for x in path.inputs]
    rule_at = picker(rules, path)

    def turn(place, *sums):
        mine = tf.equal(refinement, place)
        found = tf.cond(tf.reduce_any(mine),
                        lambda: integrate.integrals_stepwise(path, rule_at(place), chunks),
                        lambda: list(sums))
        return (place + 1, *(
            tf.ensure_shape(tf.where(_along(mine, total), one, total), total.shape)
            for total, one in zip(sums, found)))

    return _each_rung(path, rules, turn, start)


def _along(mine, total):
    """[batch, 1, ...] of the rank of another tensor."""
    return tf.reshape(mine, [-1] + [1] * (total.shape.rank - 1))


def _each_rung(path, rules, turn, start):
    shapes = (tf.TensorShape([]), *(x.shape for x in path.inputs))
    return list(tf.while_loop(lambda place, *_: place < len(rules), turn,
                              (tf.constant(0, tf.int64), *start), shape_invariants=shapes)[1:])


def picker(rules, path, rows_per_chunk=None):
    """A function from a place in `rules`, a tensor, to the rule there.

    Args:
      rules: `Rule`s and `Pilot`s.
      path, rows_per_chunk: as `pilot.placed` takes them.
    """
    if any(isinstance(rule, quadrature.Pilot) for rule in rules):
        return pilot.picker(rules, path, rows_per_chunk)
    return lambda place: _rung(rules, place)


def _placed_at(rule, examples):
    """The rule of some examples, where each has its own."""
    if not isinstance(rule, integrate.Placed):
        return rule
    return dataclasses.replace(rule, nodes=tf.gather(rule.nodes, examples),
                               weights=tf.gather(rule.weights, examples))


def _rung(rules, place):
    """The rule at a place, which is a tensor."""
    steps = tf.constant([rule.steps for rule in rules])
    first = tf.cumsum(steps, exclusive=True)[place]
    end = first + steps[place]
    nodes, weights = (tf.concat([getattr(rule, name) for rule in rules], 0)[first:end]
                      for name in ("nodes", "weights"))
    return _Rung(nodes, weights, steps[place])
