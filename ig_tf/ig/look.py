"""What `check` looks at instead of attributions: the path of each example, taken apart.

The same straight path and the same loop as the signature's, but x, x', the integral and the
gradient at x are given one by one, so that numpy can ask of them what it likes.
"""

import dataclasses

import tensorflow as tf

from ig_tf.graph import surgery
from ig_tf.ig import front, integrate, loops, quadrature
from ig_tf.ig import request as requests
from ig_tf.ig.layout import shape_first
from ig_tf.ig.measure import Asked, Measure, RowSpec, TargetRows, measured

# What each point gives, under WORD/NAME.
OF_POINT = ("x", "start", "integral", "at_x")


def taken_apart(alphas, replaced=None):
    """A function like `attach.outputs`, for diagnosis; of a target with one number per example.

    Args:
      alphas: places in [0, 1] where F is looked at.
      replaced: function(recipe, values) -> (recipe, values), which puts other numbers in the place
        of some that the model has (`random_weights.replace`); None: they stay.

    Returns:
      A function(recipe, given) -> {"path": F [batch, alphas], "baseline_scores" and "scores": the
      whole output at the baseline and at x [batch, ...], "prediction", "target_index", and for each
      point x/NAME, start/NAME, integral/NAME (of dF/dx), at_x/NAME (dF/dx at x), of its shape}.
    """
    def build(recipe, given):
        values = surgery.realise(recipe.work, recipe.needed(), given)
        if replaced is not None:
            recipe, values = replaced(recipe, values)
        last = dataclasses.replace(recipe, rule=quadrature.build("right", 1))

        def look(path, _, request):
            found = [*integrate.along(path, alphas), path.scores(path.baselines, path.fixed),
                     path.scores(path.inputs, path.fixed)]
            integrals = path.line.pulled_back(loops.integrals(recipe, path, request))
            alone = dataclasses.replace(path, rule=None)  # a method's own nodes are not asked here
            at_x = path.line.pulled_back(loops.integrals(last, alone, request))
            for x, start, integral, gradient in zip(path.line.inputs, path.line.baselines,
                                                    integrals, at_x):
                wide = integral.dtype
                start = tf.broadcast_to(tf.cast(start, wide), tf.shape(x))
                found += [tf.cast(x, wide), start, integral, gradient]
            return found

        asked = Asked(TargetRows(recipe.target), requests.Request())
        *found, prediction, index = measured(recipe, values, asked,
                                             Measure(look, _rows(recipe, values, alphas)))
        keys = ["path", "baseline_scores", "scores"]
        keys += [f"{word}/{point.name}" for point in recipe.points for word in OF_POINT]
        return {**dict(zip(keys, found)), "prediction": prediction[:, 0],
                "target_index": index[:, 0]}
    return build


def _rows(recipe, values, alphas):
    goal = recipe.work.tensor(recipe.target.tensor)
    scores = RowSpec(tf.TensorSpec(shape_first(goal.shape, recipe.target.axis)[1:], goal.dtype))
    rows = [RowSpec(tf.TensorSpec([len(alphas)], goal.dtype)), scores, scores]
    batch = tf.shape(TargetRows(recipe.target)(values[recipe.target.tensor]))[0]
    for point in recipe.points:
        x = front.unfolded(point, values[point.tensor], batch)
        spec = tf.TensorSpec(x.shape[1:], integrate.accumulator(x.dtype))
        rows += [RowSpec(spec, tf.shape(x)[1:])] * len(OF_POINT)
    return rows
