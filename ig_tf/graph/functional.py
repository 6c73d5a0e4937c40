"""Ops that run functions: which of their attributes name them, and what these are given."""

LOOPS = frozenset({"While", "StatelessWhile"})
BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
# The functions that compute an op's outputs; the condition of a loop does not.
_ATTRIBUTES = {
    "While": ("body",), "StatelessWhile": ("body",),
    "If": ("then_branch", "else_branch"), "StatelessIf": ("then_branch", "else_branch"),
    "Case": ("branches",), "StatelessCase": ("branches",),
}


def arguments_of(op):
    """The inputs of an op that its functions take: all, but for what chooses a branch."""
    return list(op.inputs)[1:] if op.type in BRANCHES else list(op.inputs)


def bodies_of(op, body_of):
    """The `Body` of each function that computes an op's outputs.

    Args:
      op: of LOOPS or BRANCHES.
      body_of: function(function name, argument tensors) -> `Body`.
    """
    for name in _ATTRIBUTES[op.type]:
        named = op.get_attr(name)
        for function in named if isinstance(named, (list, tuple)) else [named]:
            yield body_of(function.name, arguments_of(op))
