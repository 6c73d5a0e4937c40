"""Blocks as tables of Arrow."""

import numpy as np

from ig_tf.run import block_tables
from ig_tf.run.block_tables import Lists


def table(blocks, schema, types, pyarrow):
    """A `pyarrow.Table` of blocks, in the order of the input.

    Args:
      blocks: every `Block` of some windows.
      schema: [(name, type)], as `tables.schema` has it.
      types: the same as a `pyarrow.Schema`.
      pyarrow: the module.
    """
    found = block_tables.joined([block_tables.columns(block, schema) for block in blocks])
    count = sum(map(len, blocks))
    made = pyarrow.Table.from_arrays([
        _array(found[field.name], field.type, count, pyarrow) for field in types], schema=types)
    if all(block.whole for block in blocks):
        return made
    return made.take(np.argsort(np.concatenate([
        np.array(block.group.places) + block.table.start for block in blocks])))


def _array(column, kind, count, pyarrow):
    if column is None:
        return pyarrow.nulls(count, kind)
    if isinstance(column, Lists):
        values = pyarrow.array(column.values, kind.value_type)
        return pyarrow.ListArray.from_arrays(
            pyarrow.array(column.ends.astype(np.int32)), values, type=kind)
    return pyarrow.array(column.values, kind, mask=None if column.valid is None else ~column.valid)
