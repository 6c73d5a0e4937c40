"""Blocks as batches of Arrow."""

import numpy as np

from ig_tf.run import block_tables
from ig_tf.run.block_tables import Lists


def batch(block, schema, types, pyarrow):
    """A `pyarrow.RecordBatch` of a block.

    Args:
      block: the `Block`.
      schema: [(name, type)], as `tables.schema` has it.
      types: the same as a `pyarrow.Schema`.
      pyarrow: the module.
    """
    found = block_tables.columns(block, schema)
    return pyarrow.RecordBatch.from_arrays([
        _array(found[field.name], field.type, len(block), pyarrow) for field in types],
        schema=types)


def _array(column, kind, count, pyarrow):
    if column is None:
        return pyarrow.nulls(count, kind)
    if isinstance(column, Lists):
        values = pyarrow.array(column.values, kind.value_type)
        return pyarrow.ListArray.from_arrays(
            pyarrow.array(column.ends.astype(np.int32)), values, type=kind)
    return pyarrow.array(column.values, kind, mask=None if column.valid is None else ~column.valid)


def in_order(blocks, batches, pyarrow):
    """A table of all batches, in the order of their window."""
    whole = pyarrow.Table.from_batches(batches)
    if len(batches) == 1:
        return whole
    return whole.take(np.argsort(np.concatenate([block.group.places for block in blocks])))
