"""Which loop integrates a path: by rows or step by step, compiled or not, by which rule."""

from ig_tf.ig import compiled, integrate, ladder, pilot
from ig_tf.ig.recipe import Mode


def integrals(recipe, path, request):
    """The integral of dF/dz, by the recipe's rule or by those that the request chooses."""
    rows = rows_at_once(recipe, path)
    chunks = compiled.Chunks(recipe.runtime) if recipe.runtime.xla else integrate.Chunks()
    if request.refinement is None:
        rule = pilot.placed(recipe.rule, path, rows)
        if recipe.mode is Mode.ALONE:
            rule = pilot.of_one(rule)
        if rows is None:
            return integrate.integrals_stepwise(path, rule, chunks)
        return integrate.integrals(path, rule, rows, chunks)
    rules = recipe.custom.rules
    if recipe.mode is Mode.ALONE:
        return ladder.integrals_alone(path, rules, request.refinement, chunks)
    if rows is None:
        return ladder.integrals_stepwise(path, rules, request.refinement, chunks)
    return ladder.integrals(path, rules, request.refinement, rows, chunks)


def rows_at_once(recipe, path):
    """Rows of a chunk; None where the whole batch, or one example, goes step by step."""
    if recipe.mode is not Mode.ROWS:
        return None
    if recipe.rows_per_chunk is not None:
        return recipe.rows_per_chunk
    return integrate.rows_for_budget(recipe.runtime.memory_budget, recipe.bytes_per_row,
                                     path.inputs, [place.shape for place in recipe.front.places])
