"""An instrumented SavedModel, loaded to answer: what it takes, gives, and what is known of it."""

import dataclasses
import functools
import os

import numpy as np

from ig_tf.errors import ArtifactError, IgTfError, RecordError
from ig_tf.run import metadata as records
from ig_tf.run import outside_ops, sparse, targets
from ig_tf.run.alike import Alike

SIGNATURE = "attributions"
read_metadata = records.read


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A loaded artifact.

    Attributes:
      path: its directory.
      metadata: the record of the instrumentation.
      inputs: {signature input: tf.TensorSpec, or `SparseSpec`}.
      function: the signature as a callable of keyword tensors.
      owner: the loaded object, which keeps variables and tables alive.
      custom: the same artifact as its signature `attributions_custom` answers, or None.
      outputs: {key of an answer: name of its type}.
      allow_unsafe_ops: whether it may read and write files, use the network and run Python.
    """

    path: str
    metadata: dict
    inputs: dict
    function: object = dataclasses.field(repr=False)
    owner: object = dataclasses.field(repr=False)
    custom: object = dataclasses.field(default=None, repr=False)
    outputs: dict = dataclasses.field(default_factory=dict, repr=False)
    allow_unsafe_ops: bool = False

    def axis(self, name):
        """The axis of an input along which its examples lie."""
        return self.metadata.get("batch", {}).get("axes", {}).get(name, 0)

    def scalar(self, name):
        """Whether an input is one number for all examples of a request."""
        spec = self.inputs[name]
        return not isinstance(spec, sparse.SparseSpec) and spec.shape.rank == 0

    def alike(self, row):
        """What must be equal of records that share a request: shapes, and scalars by value."""
        return {name: value.tolist() if self.scalar(name) else value.shape
                for name, value in row.items()} if self.varied else {}

    @functools.cached_property
    def varied(self):
        """Whether records of a file may have different shapes, so that not all share requests."""
        return any(isinstance(spec, sparse.SparseSpec) or spec.shape.rank in (None, 0) or
                   None in _of_one(spec.shape, self.axis(name))
                   for name, spec in self.inputs.items())

    @functools.cached_property
    def examples(self):
        """The number of examples that every request must have, or None: any."""
        sizes = {spec.shape[self.axis(name)] for name, spec in self.inputs.items()
                 if not isinstance(spec, sparse.SparseSpec) and spec.shape.rank} - {None}
        return max(sizes, default=None)

    @property
    def folded(self):
        """Whether an example has several explained numbers (rows of the target, classes, places of
        an axis): [batch, k, ...]."""
        rows = self.metadata.get("target", {}).get("rows", targets.ONE_ROW)
        return rows != targets.ONE_ROW

    def answer(self, rows, chosen=()):
        """Answers some examples, {input: one example's array} each -> {key: [examples, ...]}.

        Where every request must have as many examples, the last one is repeated; there must not be
        more. Scalars, which belong to all, are those of the first.

        Args:
          rows: one dictionary per example; or `Alike`, where examples lie along axis 0.
          chosen: {input: array [examples, ...], or [1, ...] for all} of what a request chooses.

        Raises:
          RecordError: TensorFlow refuses the batch, or answers fewer rows.
        """
        missing = max((self.examples or 0) - len(rows), 0)
        if isinstance(rows, Alike):
            batch = rows.filled(missing)
        else:
            filled = [*rows, *[rows[-1]] * missing]
            batch = {name: rows[0][name] if self.scalar(name) else stacked(
                [row[name] for row in filled], self.axis(name)) for name in rows[0]}
        for name, array in dict(chosen).items():
            more = missing if len(array) == len(rows) else 0
            batch[name] = np.concatenate([array, np.repeat(array[-1:], more, 0)])
        answer = self.run(batch)
        for key, value in answer.items():
            if len(value) < len(rows):
                raise RecordError(f"the signature gives {len(value)} rows of {key} for {len(rows)} "
                                  "examples: somewhere the model's graph has a fixed batch. Send "
                                  "them in requests of that size (--batch_size).")
        return {key: value[:len(rows)] for key, value in answer.items()}

    def run(self, batch):
        """Answers one batch: {input: array of all examples} -> {key: numpy array [batch, ...]}.

        What `stacked` makes of several examples' values is such an array, of sparse inputs too.

        Raises:
          RecordError: TensorFlow refuses the batch.
        """
        import tensorflow as tf
        tensors = {}
        for name, spec in self.inputs.items():
            if isinstance(spec, sparse.SparseSpec):
                parts = sparse.batch(batch[name], spec)
                dtypes = (tf.int64, spec.dtype, tf.int64)
                tensors.update({key: _constant(parts[key], dtype)
                                for key, dtype in zip(spec.keys, dtypes)})
            else:
                tensors[name] = _constant(batch[name], spec.dtype)
        try:
            return {key: value.numpy() for key, value in self.function(**tensors).items()}
        except tf.errors.ResourceExhaustedError:
            raise
        except tf.errors.OpError as error:
            raise RecordError(_first_lines(error.message)) from error
        except (ValueError, TypeError) as error:  # of a signature that does not fit its function
            raise RecordError(f"the signature cannot be called: {_first_lines(str(error))}") from (
                error)


def _constant(array, dtype):
    import tensorflow as tf
    if array.dtype != object:
        return tf.constant(array, dtype)
    return tf.constant(array.tolist(), dtype, array.shape if not array.size else None)


def stacked(values, axis=0):
    """Values of several examples as one batch of an input, whose examples lie along `axis`."""
    if isinstance(values[0], sparse.SparseRow):
        return values
    if values[0].ndim == 0 and axis == 0:  # as np.stack, which takes its time for each
        return np.array([value[()] for value in values], values[0].dtype)
    return np.stack(values, axis)


def load(path, allow_unsafe_ops=False):
    """Loads an instrumented SavedModel with TensorFlow.

    Args:
      path: its directory.
      allow_unsafe_ops: whether ops may run that read or write files other than the model's own,
        use the network, or call Python (`outside_ops`).

    Raises:
      ArtifactError: not instrumented, TensorFlow cannot load it, or it has such ops.
    """
    path, metadata = os.fspath(path), records.read(path)
    if not allow_unsafe_ops:
        outside_ops.refuse(path, metadata["source"]["tags"], _signatures(metadata),
                           bool(metadata["source"].get("asked")))
    import tensorflow as tf
    try:
        if metadata["source"].get("asked"):
            owner, open_signature = _by_session(path, metadata)
        else:
            owner = tf.saved_model.load(path, tags=metadata["source"]["tags"])
            open_signature = functools.partial(_of_object, owner, path, metadata)
        opened = [open_signature(name) for name in _signatures(metadata)]
    except IgTfError:
        raise
    except Exception as error:  # of a broken model TensorFlow raises whatever it stumbles over
        advice = (" An op of another package: import that first (--import=MODULE or "
                  "--load_op_library=FILE.so)." if "not registered" in str(error) else "")
        raise ArtifactError(f"TensorFlow cannot load {path!r}: {type(error).__name__}: {error}"
                            f"{advice}") from error
    # Outputs are in another order in each process; tables of all of them have columns by it.
    main, *custom = (Artifact(path, metadata, inputs, function, owner, None,
                              dict(sorted(outputs.items())), allow_unsafe_ops)
                     for inputs, function, outputs in opened)
    return dataclasses.replace(main, custom=custom[0]) if custom else main


def _signatures(metadata):
    """Names of the added signatures, `attributions` first."""
    return [SIGNATURE] + ([metadata["custom"]["signature"]] if "custom" in metadata else [])


def _of_object(owner, path, metadata, name):
    """({input: spec}, function, {output: type}) of a signature of a loaded object."""
    function = owner.signatures[name]
    records.refuse_unlike(path, metadata, function.structured_input_signature[1],
                          function.structured_outputs)
    outputs = {key: tensor.dtype.name for key, tensor in function.structured_outputs.items()}
    return sparse.specs(function.structured_input_signature[1],
                        metadata.get("sparse_inputs", {})), function, outputs


def _arguments(signature):
    """{argument: (tensor name, tf.TensorSpec)}; of a sparse input three, as TensorFlow 2 has it."""
    import tensorflow as tf
    found = {}
    for key, info in sorted(signature.inputs.items()):
        shape, dtype = tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype)
        if info.WhichOneof("encoding") == "coo_sparse":
            parts = {"indices": ([None, shape.rank], tf.int64), "values": ([None], dtype),
                     "dense_shape": ([shape.rank], tf.int64)}
            found.update({f"{key}_{part}": (getattr(info.coo_sparse, f"{part}_tensor_name"),
                                            tf.TensorSpec(*of_part, f"{key}_{part}"))
                          for part, of_part in parts.items()})
        else:
            found[key] = info.name, tf.TensorSpec(shape, dtype, key)
    return found


def _by_session(path, metadata):
    """As TensorFlow 1 loads it: a model of which another signature waits for what nobody feeds
    (a queue, keep_prob) is refused as a whole by `tf.saved_model.load`.

    Returns:
      (what has to be kept,
       function(name of a signature) -> ({input: tf.TensorSpec}, function, {output: type})).
    """
    import tensorflow as tf
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        meta_graph = tf.compat.v1.saved_model.load(session, metadata["source"]["tags"], path)

    def open_signature(name):
        signature = meta_graph.signature_def[name]
        arguments = _arguments(signature)
        given = {key: spec for key, (_, spec) in arguments.items()}
        records.refuse_unlike(path, metadata, given, {
            key: tf.TensorSpec(tf.TensorShape(info.tensor_shape))
            for key, info in signature.outputs.items()})
        specs = sparse.specs(given, metadata.get("sparse_inputs", {}))
        fetches = {key: info.name for key, info in signature.outputs.items()}

        def function(**tensors):
            fed = {arguments[key][0]: value.numpy() for key, value in tensors.items()}
            return {key: tf.constant(value) for key, value in session.run(fetches, fed).items()}

        return specs, function, {key: tf.as_dtype(info.dtype).name
                                 for key, info in signature.outputs.items()}

    return session, open_signature


def as_array(value, spec, where, axis=0):
    """One record's value as numpy of the input's type and one example's shape.

    Args:
      value: number, string, bytes or nested lists or arrays of them.
      spec: tf.TensorSpec of the whole batch, or a `SparseSpec`.
      where: for messages, for example "record 3, input 'age'".
      axis: of the whole batch, along which the examples lie.

    Returns:
      An array, or a `SparseRow` for a sparse input.

    Raises:
      RecordError: the type or the shape does not fit.
    """
    if isinstance(spec, sparse.SparseSpec):
        return sparse.as_row(value, spec, where, lambda values: typed(values, spec, where))
    array = typed(value, spec, where)
    wanted = _of_one(spec.shape, axis)
    if list(array.shape) == wanted:
        return array
    if wanted is not None and array.ndim != len(wanted) and array.size == 1:
        array = array.reshape([1] * len(wanted))  # one number for [1], or [1] for one number
    if wanted is not None and (array.ndim != len(wanted) or any(
            dim is not None and dim != found for dim, found in zip(wanted, array.shape))):
        raise RecordError(f"{where}: found shape {list(array.shape)}; the model takes "
                          f"[{', '.join('?' if d is None else str(d) for d in wanted)}].")
    return array


@functools.lru_cache(1024)
def _of_one(shape, axis):
    """The shape of one example's value, where all have this one, as a list; None: any."""
    if shape.rank is None:
        return None
    return [size for place, size in enumerate(shape.as_list()) if place != axis]


def typed(value, spec, where):
    """A value as numpy of the input's type, of whatever shape it has.

    Raises:
      RecordError: it is nothing of that type.
    """
    dtype = object if spec.dtype.name == "string" else spec.dtype.as_numpy_dtype
    try:
        array = np.array(_encoded(value) if dtype is object else value, dtype=dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise RecordError(f"{where}: {_short(value)} is no {spec.dtype.name}: {error}") from error
    return array


def _encoded(value):
    """Text as UTF-8 bytes, at any depth."""
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_encoded(item) for item in value]
    if isinstance(value, bytes):
        return value
    raise TypeError(f"expected text or bytes, found {type(value).__name__}")


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _first_lines(message):
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    wanted = [line for line in lines if not line.startswith(("Graph execution", "Detected at",
                                                                   'File "'))]
    return " ".join(wanted[:4]) or message
