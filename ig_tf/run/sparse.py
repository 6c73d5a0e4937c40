"""Sparse inputs in records: one example is a list of values, or values with their places.

In .jsonl, for an input NAME [batch, ...]:

    {"NAME": ["red", "green"]}                                      values at 0, 1, ...
    {"NAME": {"indices": [3, 17], "values": [1.0, 0.5]}}            values at places of axis 1
    {"NAME": {"indices": [[0, 3]], "values": [1.0], "dense_shape": [4, 100]}}   of more axes

In .npz the three arrays of the whole batch: NAME/indices [values, rank], NAME/values [values],
NAME/dense_shape [rank].
"""

import dataclasses

import numpy as np

from ig_tf.errors import RecordError

PARTS = ("indices", "values", "dense_shape")


@dataclasses.dataclass(frozen=True)
class SparseSpec:
    """What a sparse input takes.

    Attributes:
      dtype: tf.DType of the values.
      keys: names of the three arguments of the signature: indices, values, dense shape.
      shape: of the whole batch, None where a size is not known; () where the rank is not.
    """

    dtype: object
    keys: tuple
    shape: tuple

    @property
    def rank(self):
        return len(self.shape) or 2


@dataclasses.dataclass(frozen=True)
class SparseRow:
    """One example of a sparse input, without the axis of the batch.

    Attributes:
      indices: int64 [values, rank - 1].
      values: [values].
      dense_shape: rank - 1 sizes.
    """

    indices: np.ndarray
    values: np.ndarray
    dense_shape: tuple

    @property
    def shape(self):
        """Rows of any number of values share a request."""
        return ()

    def shown(self):
        """JSON-able: the values alone where their places say nothing more."""
        values = [v.decode("utf-8", "backslashreplace") if isinstance(v, bytes) else v
                  for v in self.values.tolist()]
        if len(self.dense_shape) == 1 and self.indices[:, 0].tolist() == list(range(len(values))):
            return values
        return {"indices": self.indices.tolist(), "values": values}


def specs(inputs, described):
    """Replaces the three arguments of each sparse input by one `SparseSpec`.

    Args:
      inputs: {argument: tf.TensorSpec} of the loaded signature.
      described: the record's {name: {"keys": ..., "shape": ...}}.
    """
    found = dict(inputs)
    for name, entry in described.items():
        parts = [found.pop(key) for key in entry["keys"]]
        shape = tuple(entry["shape"] or ())
        if not shape and parts[2].shape.rank == 1 and parts[2].shape[0]:
            shape = (None,) * parts[2].shape[0]
        found[name] = SparseSpec(parts[1].dtype, tuple(entry["keys"]), shape)
    return dict(sorted(found.items()))


def as_row(value, spec, where, as_values):
    """One record's value as a `SparseRow`.

    Args:
      value: a list of values, {"indices", "values", "dense_shape"}, or a `SparseRow` already.
      spec: the `SparseSpec`.
      where: for messages.
      as_values: function(list) -> 1-D array of the input's type.

    Raises:
      RecordError: it is neither, or does not fit.
    """
    if isinstance(value, SparseRow):
        value = {"indices": value.indices, "values": value.values,
                 "dense_shape": value.dense_shape}
    if not isinstance(value, dict):
        values = np.atleast_1d(as_values(value))
        value = {"indices": np.arange(len(values)), "values": values}
        if spec.rank != 2:
            raise RecordError(f"{where}: a sparse input of {spec.rank} axes needs its places: "
                              '{"indices": [[...]], "values": [...]}.')
    unknown = set(value) - set(PARTS)
    if unknown or not {"indices", "values"} <= set(value):
        raise RecordError(f'{where}: a sparse value is a list, or {{"indices", "values", '
                          f'"dense_shape"}}; found {", ".join(map(repr, value)) or "nothing"}.')
    values = np.atleast_1d(as_values(value["values"]))
    if values.ndim != 1:
        raise RecordError(f"{where}: the values of one example are a plain list; found shape "
                          f"{list(values.shape)}.")
    indices = _indices(value["indices"], spec.rank - 1, where)
    if len(indices) != len(values):
        raise RecordError(f"{where}: {len(indices)} indices and {len(values)} values.")
    sizes = _sizes(value.get("dense_shape"), indices, spec, where)
    order = np.lexsort(indices.T[::-1])
    return SparseRow(indices[order], values[order], sizes)


def _indices(given, axes, where):
    try:
        indices = np.array(given, dtype=np.int64)
    except (ValueError, TypeError, OverflowError) as error:
        raise RecordError(f"{where}: indices are integers: {error}") from error
    if not indices.size or indices.ndim == 1 and axes == 1:
        indices = indices.reshape([-1, axes])
    if indices.ndim != 2 or indices.shape[1] != axes or (indices < 0).any():
        raise RecordError(f"{where}: indices of one example are {axes} numbers from 0 for each "
                          f"value; found shape {list(np.shape(given))}.")
    return indices


def _sizes(given, indices, spec, where):
    """The example's dense shape: as given, as the model says, or as large as is needed."""
    needed = indices.max(0) + 1 if len(indices) else np.zeros(spec.rank - 1, np.int64)
    known = spec.shape[1:] or (None,) * (spec.rank - 1)
    given = tuple(known if given is None else np.ravel(given).tolist())
    if len(given) != len(needed):
        raise RecordError(f"{where}: dense_shape has {len(given)} sizes; one example has "
                          f"{len(needed)} axes.")
    sizes = tuple(int(need if size is None else size) for size, need in zip(given, needed))
    if any(need > size for need, size in zip(needed, sizes)):
        raise RecordError(f"{where}: index {int(needed.max()) - 1} does not fit "
                          f"the dense shape {list(sizes)}.")
    return sizes


def batch(rows, spec):
    """{argument: array} of a batch of `SparseRow`s."""
    number = np.repeat(np.arange(len(rows)), [len(row.values) for row in rows])
    indices = np.concatenate([row.indices for row in rows]).astype(np.int64)
    sizes = np.max([row.dense_shape for row in rows], axis=0)
    parts = (np.concatenate([number[:, None], indices], 1).astype(np.int64),
             np.concatenate([row.values for row in rows]),
             np.array([len(rows), *sizes], np.int64))
    return dict(zip(spec.keys, parts))


def split(indices, values, dense_shape):
    """The rows of a batch in three arrays: a `SparseRow` for each example.

    Raises:
      RecordError: the arrays do not belong together.
    """
    indices, dense_shape = np.asarray(indices), np.asarray(dense_shape).ravel()
    rank = len(dense_shape)
    if indices.ndim != 2 or indices.shape[1] != rank or len(indices) != len(values) or (
            len(indices) and (indices[:, 0].max() >= dense_shape[0] or indices.min() < 0)):
        raise RecordError(f"indices {list(indices.shape)}, values {list(np.shape(values))} and "
                          f"dense_shape {dense_shape.tolist()} are not one sparse tensor.")
    for example in range(int(dense_shape[0])):
        mine = indices[:, 0] == example
        yield SparseRow(indices[mine, 1:], np.asarray(values)[mine],
                        tuple(dense_shape[1:].tolist()))
