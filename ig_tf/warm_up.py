"""Requests that TensorFlow Serving answers for itself before it serves a new version.

An object for `save`: `ig_tf.save(plan, "out", version=3, warm_up=WarmUp("rows.csv"))`. A request
that fails would keep the server from loading the model. So each is answered once, here, before the
model gets its name: like calibration, this runs the model.
"""

import dataclasses
import itertools
import os

from ig_tf.errors import RecordError
from ig_tf.run import artifact as artifacts
from ig_tf.run import attribute, serving_messages

FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
MOST = 1000  # records that Serving reads


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """One request per size of batch and per shape that the rows have.

    Attributes:
      file: file of records as for `attribute`, or an iterable of {input: value}.
      batches: numbers of examples; None for the batch buckets of the runtime profile, or 1.
      limit: so many records of the file at most.
      say: called with a sentence when it is done.
      allow_unsafe_ops: as in `attribute`.
    """

    file: object
    batches: object = None
    limit: int = 64
    say: object = dataclasses.field(default=lambda text: None, repr=False, compare=False)
    allow_unsafe_ops: bool = False

    def write(self, folder):
        """Adds the requests to a SavedModel that is not yet in its place; what it had stays.

        Raises:
          ArtifactError: the model reaches outside, and `allow_unsafe_ops` is not set.
          RecordError: a row does not fit the model or is refused by it, or there are none.
        """
        import tensorflow as tf
        path = os.path.join(folder, FILE)
        loaded = artifacts.load(folder, self.allow_unsafe_ops)
        before = [] if not os.path.exists(path) else [
            record.numpy() for record in tf.data.TFRecordDataset(path)]
        records = [*before, *self._records(loaded)]
        if len(records) > MOST:
            raise RecordError(f"{len(records)} requests to warm up, {len(before)} of them the "
                              f"model's own; TensorFlow Serving takes {MOST}: give fewer rows or "
                              "sizes.")
        if before:
            os.remove(path)  # it may be a link to the file of the model
        with tf.io.TFRecordWriter(path) as writer:
            for record in records:
                writer.write(record)
        self.say(f"{len(records) - len(before)} requests to warm up, each answered once"
                 + (f"; {len(before)} of the model's own" if before else ""))

    def _records(self, loaded):
        sent = []

        def recorded(**tensors):
            sent.append({key: value.numpy() for key, value in tensors.items()})
            return loaded.function(**tensors)

        asking = dataclasses.replace(loaded, function=recorded)
        for rows, size in itertools.product(self._alike(loaded), self._sizes(loaded)):
            asking.answer(list(itertools.islice(itertools.cycle(rows), size)))
        return [serving_messages.warm_up_record(serving_messages.request(
            arrays, artifacts.SIGNATURE)) for arrays in sent]

    def _alike(self, loaded):
        """Rows by their shapes: those of one shape share a request."""
        groups = []
        for _, values in attribute.some_records(loaded, self.file, self.limit):
            shapes = loaded.alike(values)
            same = next((rows for known, rows in groups if known == shapes), None)
            if same is None:
                groups.append((shapes, [values]))
            else:
                same.append(values)
        if not groups:
            raise RecordError("no record to warm up with.")
        return [rows for _, rows in groups]

    def _sizes(self, loaded):
        if loaded.examples:
            return [loaded.examples]
        return self.batches or loaded.metadata["runtime"]["batch_buckets"] or [1]
