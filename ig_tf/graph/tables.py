"""What the tables of row rules say of one op, in their order."""

from ig_tf.graph import row_rules, sparse_rules


def by_rules(op, inputs):
    """States of an op's outputs by the first table that knows one, or None.

    Args:
      op: the op.
      inputs: states of its inputs, none of them Mixed.
    """
    for table in (sparse_rules.RULES, row_rules.RULES):
        if op.type in table:
            result = table[op.type](op, inputs)
            if result is not None:
                return result if isinstance(result, list) else [result] * len(op.outputs)
    return None
