"""The attributions of each example by several rules at once, for calibration."""

import dataclasses

import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.ig import ladder, loops
from ig_tf.ig import request as requests
from ig_tf.ig.measure import Asked, Measure, RowSpec, TargetRows, measured
from ig_tf.ig.shown import by_id, integrated, rows_of
from ig_tf.ig.tokens import sent


def by_each_rule(rules):
    """Instead of attributions by the recipe's rule: those by each of several, for calibration.

    Args:
      rules: `Rule`s and `Pilot`s.

    Returns:
      A function like `outputs` that gives {"attributions/NAME": [batch, rules, ...], "total": their
      sums [batch, rules], "baseline_prediction": F, "prediction": F}.
    """
    def build(recipe, given):
        values = surgery.realise(recipe.work, recipe.needed(), given)
        rows_of_target, shown = TargetRows(recipe.target), {}
        batch = tf.shape(rows_of_target(values[recipe.target.tensor]))[0]
        for point in recipe.points:
            shown.update(rows_of(point, recipe, values, batch))
        keys = list(shown)
        wanted = [place for place, key in enumerate(keys) if key.startswith("attributions/")]

        def one_by_one(path, mine, request):
            rule_at = ladder.picker(rules, path, loops.rows_at_once(recipe, path))

            def by_one(index):
                step = dataclasses.replace(recipe, rule=rule_at(index))
                *found, start = integrated(step, path, mine, request)
                total = tf.add_n(found[len(keys):])
                return [*(found[place] for place in wanted), total, start]

            specs = [tf.TensorSpec([None, *row.spec.shape], row.spec.dtype) for row in rows]
            found = tf.map_fn(by_one, tf.range(len(rules)), parallel_iterations=1,
                              fn_output_signature=specs)
            return [_swapped(tensor) for tensor in found]

        goal = recipe.work.tensor(recipe.target.tensor)
        rows = [*(shown[keys[place]] for place in wanted), RowSpec(tf.TensorSpec([], tf.float64)),
                RowSpec(tf.TensorSpec([], goal.dtype))]
        measure = Measure(one_by_one, [_several(row, len(rules)) for row in rows])
        asked = Asked(rows_of_target, requests.Request())
        *found, total, start, prediction, _ = measured(recipe, values, asked, measure)
        found = [_each_id(point, recipe.work, values, tensor)
                 for point, tensor in zip(recipe.points, found)]
        return {**{keys[place]: tensor for place, tensor in zip(wanted, found)}, "total": total,
                "baseline_prediction": start[:, 0], "prediction": prediction}
    return build


def _each_id(point, work, values, attributions):
    """[batch, rules, ids] where the signature shows ids, else as it is."""
    if point.bag or not point.per_id:
        return attributions
    shape = by_id(sent(point.sent, work, values), attributions, 2)
    return tf.reduce_sum(tf.reshape(attributions, shape), -1)


def _several(row, count):
    """A `RowSpec` with an axis of rules before its own."""
    width = None if row.width is None else tf.concat([[count], row.width], 0)
    return RowSpec(tf.TensorSpec([count, *row.spec.shape], row.spec.dtype), width)


def _swapped(tensor):
    """[batch, rules, ...] of [rules, batch, ...]."""
    return tf.transpose(tensor, tf.concat([[1, 0], tf.range(2, tf.rank(tensor))], 0))
