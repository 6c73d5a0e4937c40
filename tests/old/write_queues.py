"""Small graphs that are fed by queues, readers, iterators and the like; runs on 1.15 and on 2.x.

Each graph ends in a network with constant weights, `scores` [batch, 2], of rows [batch, 4] or of
word ids. Run with TensorFlow 1.15.5 it writes the fixtures of tests/test_feeds.py:

  python tests/old/write_queues.py tests/fixtures/queues_1_15
"""

import os
import sys

import numpy as np
import tensorflow.compat.v1 as tf

_DRAWN = np.random.RandomState(7)
FIRST = _DRAWN.uniform(-1, 1, (4, 3)).astype(np.float32)
SECOND = _DRAWN.uniform(-1, 1, (3, 2)).astype(np.float32)
TABLE = _DRAWN.uniform(-1, 1, (20, 4)).astype(np.float32)
BATCH = 8


def network(rows):
    """Scores of rows of 4 numbers."""
    hidden = tf.tanh(tf.matmul(rows, tf.constant(FIRST)))
    return tf.nn.softmax(tf.matmul(hidden, tf.constant(SECOND)), name="scores")


def words_network(ids):
    """Scores of [batch, length] word ids; 0 is padding."""
    return network(tf.reduce_mean(tf.gather(tf.constant(TABLE), ids), 1))


def _record():
    """One parsed record, out of a reader."""
    files = tf.train.string_input_producer(["no_such_file.tfrecord"])
    _, record = tf.TFRecordReader().read(files)
    parsed = tf.parse_single_example(record, {
        "features": tf.FixedLenFeature([4], tf.float32),
        "label": tf.FixedLenFeature([], tf.int64),
        "ids": tf.VarLenFeature(tf.int64)})
    ids = parsed["ids"]
    parsed["ids"] = tf.sparse_to_dense(ids.indices, ids.dense_shape, ids.values, 0)
    return parsed


def _filled(queue, *tensors):
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [queue.enqueue(list(tensors))]))
    return queue


def fifo_many():
    parsed = _record()
    queue = _filled(tf.FIFOQueue(30, [tf.float32, tf.int64], [[4], []]),
                    parsed["features"], parsed["label"])
    rows, _ = queue.dequeue_many(BATCH)
    network(rows)


def fifo_up_to():
    parsed = _record()
    queue = _filled(tf.FIFOQueue(30, [tf.float32], [[4]]), parsed["features"] * 2.0)
    network(queue.dequeue_up_to(BATCH))


def fifo_one():
    """A queue of batches, as slim's prefetch_queue; the queue says no shapes."""
    parsed = _record()
    rows = tf.train.batch([parsed["features"]], BATCH)
    queue = _filled(tf.FIFOQueue(2, [tf.float32]), rows)
    network(tf.reshape(queue.dequeue(), [-1, 4]))


def fifo_element():
    """One example at a time; the graph makes a batch of one."""
    queue = _filled(tf.FIFOQueue(30, [tf.float32], [[4]]), _record()["features"])
    network(tf.expand_dims(queue.dequeue(), 0))


def padding_up_to():
    parsed = _record()
    ids, _ = tf.train.batch([parsed["ids"], parsed["label"]], BATCH, dynamic_pad=True,
                            allow_smaller_final_batch=True)
    words_network(ids)


def padding_many():
    queue = _filled(tf.PaddingFIFOQueue(30, [tf.int64], [[None]]), _record()["ids"])
    words_network(queue.dequeue_many(BATCH))


def padding_one():
    queue = _filled(tf.PaddingFIFOQueue(30, [tf.int64], [[None]]), _record()["ids"])
    words_network(tf.expand_dims(queue.dequeue(), 0))


def shuffle_many():
    parsed = _record()
    label, rows = tf.train.shuffle_batch([parsed["label"], parsed["features"]], BATCH, 50, 10)
    tf.identity(label, name="labels")
    network(rows)


def shuffle_up_to():
    parsed = _record()
    rows, _ = tf.train.shuffle_batch([parsed["features"], parsed["label"]], BATCH, 50, 10,
                                     allow_smaller_final_batch=True)
    network(rows)


def shuffle_one():
    queue = _filled(tf.RandomShuffleQueue(30, 10, [tf.float32], [[4]]), _record()["features"])
    network(tf.expand_dims(queue.dequeue(), 0))


def priority_many():
    parsed = _record()
    queue = _filled(tf.PriorityQueue(30, [tf.float32], [[4]]), parsed["label"],
                    parsed["features"])
    _, rows = queue.dequeue_many(BATCH)
    network(rows)


def priority_up_to():
    parsed = _record()
    queue = _filled(tf.PriorityQueue(30, [tf.float32], [[4]]), parsed["label"],
                    parsed["features"])
    network(queue.dequeue_up_to(BATCH)[1])


def priority_one():
    parsed = _record()
    queue = _filled(tf.PriorityQueue(30, [tf.float32], [[4]]), parsed["label"],
                    parsed["features"])
    network(tf.expand_dims(queue.dequeue()[1], 0))


def batch_join():
    parsed = [[one["features"], one["label"]] for one in (_record(), _record())]
    network(tf.train.batch_join(parsed, BATCH)[0])


def batch_of_batches():
    """Rows come in many at a time and leave in batches."""
    files = tf.train.string_input_producer(["no_such_file.tfrecord"])
    _, records = tf.TFRecordReader().read_up_to(files, 16)
    parsed = tf.parse_example(records, {"features": tf.FixedLenFeature([4], tf.float32)})
    network(tf.train.batch(parsed, BATCH, enqueue_many=True)["features"])


def reader_read():
    """Nothing but a reader: a line of text, read as four numbers."""
    files = tf.train.string_input_producer(["no_such_file.csv"])
    _, line = tf.TextLineReader().read(files)
    network(tf.expand_dims(tf.stack(tf.decode_csv(line, [[0.0]] * 4)), 0))


def reader_read_up_to():
    files = tf.train.string_input_producer(["no_such_file.csv"])
    _, lines = tf.TextLineReader().read_up_to(files, BATCH)
    network(tf.stack(tf.decode_csv(lines, [[0.0]] * 4), 1))


def _dataset():
    def parse(record):
        parsed = tf.parse_single_example(record, {
            "features": tf.FixedLenFeature([4], tf.float32),
            "label": tf.FixedLenFeature([], tf.int64)})
        return parsed["features"], parsed["label"]

    dataset = tf.data.TFRecordDataset(["no_such_file.tfrecord"]).map(parse).shuffle(10)
    return dataset.batch(BATCH, drop_remainder=True)


def iterator():
    rows, _ = tf.data.make_initializable_iterator(_dataset()).get_next()
    network(rows)


def one_shot_iterator():
    rows, _ = tf.data.make_one_shot_iterator(_dataset()).get_next()
    network(rows)


def unstage():
    from tensorflow.python.ops import data_flow_ops
    area = data_flow_ops.StagingArea([tf.float32], [[None, 4]])
    area.put([tf.train.batch([_record()["features"]], BATCH)])
    rows = area.get()
    network(rows[0] if isinstance(rows, (list, tuple)) else rows)


def _tpu_ops():
    """Where 1.15 has them, else where 2.x has."""
    try:
        from tensorflow.python.tpu.ops import tpu_ops
    except ImportError:
        from tensorflow.python.ops import gen_tpu_ops as tpu_ops
    return tpu_ops


def infeed():
    rows, _ = _tpu_ops().infeed_dequeue_tuple([tf.float32, tf.int32], [[BATCH, 4], [BATCH]])
    network(rows)


def infeed_one():
    network(_tpu_ops().infeed_dequeue(tf.float32, [BATCH, 4]))


def map_unstage():
    """Batches under keys; whichever is there is taken."""
    from tensorflow.python.ops import data_flow_ops
    area = data_flow_ops.MapStagingArea([tf.float32], [[None, 4]])
    area.put(tf.constant(0, tf.int64), [tf.train.batch([_record()["features"]], BATCH)], [0])
    _, rows = area.get()
    network(rows[0] if isinstance(rows, (list, tuple)) else rows)


def iterator_of_a_handle():
    """Which data set it is comes with each run, as a string."""
    handle = tf.placeholder(tf.string, [], "handle")
    rows, _ = tf.data.Iterator.from_string_handle(
        handle, (tf.float32, tf.int64), ([BATCH, 4], [BATCH])).get_next()
    network(rows)


def condition_of_queues():
    """Training and validation queues, one of which is taken; dropout; all in one graph."""
    training = tf.placeholder(tf.bool, [], name="is_training")
    keep_prob = tf.placeholder(tf.float32, name="keep_prob")
    queues = [_filled(tf.FIFOQueue(30, [tf.float32], [[4]]), _record()["features"])
              for _ in range(2)]
    rows = tf.cond(training, lambda: queues[0].dequeue_many(BATCH),
                   lambda: queues[1].dequeue_many(BATCH))
    network(tf.nn.dropout(rows, keep_prob))


def selected_queue():
    """QueueBase.from_list: the handle is chosen by a number."""
    which = tf.placeholder(tf.int32, [], name="which")
    queues = [_filled(tf.FIFOQueue(30, [tf.float32], [[4]]), _record()["features"])
              for _ in range(2)]
    network(tf.QueueBase.from_list(which, queues).dequeue_many(BATCH))


def waits_for_queue():
    """A control edge on the way waits for how full the queue is, and for the filling."""
    parsed = _record()
    queue = tf.FIFOQueue(30, [tf.float32], [[4]])
    filling = queue.enqueue([parsed["features"]])
    rows = queue.dequeue_many(BATCH)
    enough = tf.Assert(tf.greater(queue.size(), 0), ["empty"])
    with tf.control_dependencies([filling, enough]):
        network(tf.identity(rows))


def fixed_rows():
    """The batch size is written into a shape behind the queue."""
    queue = _filled(tf.FIFOQueue(30, [tf.float32], [[2, 2]]),
                    tf.reshape(_record()["features"], [2, 2]))
    network(tf.reshape(queue.dequeue_many(BATCH), [BATCH, 4]))


def sparse_batch():
    """Sparse tensors go through a queue as numbers of a map that the graph keeps."""
    files = tf.train.string_input_producer(["no_such_file.tfrecord"])
    _, record = tf.TFRecordReader().read(files)
    ids = tf.parse_single_example(record, {"ids": tf.VarLenFeature(tf.int64)})["ids"]
    words_network(tf.sparse_tensor_to_dense(tf.train.batch([ids], BATCH)))


def sparse_iterator():
    """Sparse tensors leave an iterator packed in one, as a variant."""
    dataset = tf.data.TFRecordDataset(["no_such_file.tfrecord"]).batch(BATCH).map(
        lambda records: tf.parse_example(records, {"ids": tf.VarLenFeature(tf.int64)})["ids"])
    words_network(tf.sparse_tensor_to_dense(
        tf.data.make_initializable_iterator(dataset).get_next()))


GRAPHS = (fifo_many, fifo_up_to, fifo_one, fifo_element, padding_many, padding_up_to, padding_one,
          shuffle_many, shuffle_up_to, shuffle_one, priority_many, priority_up_to, priority_one,
          batch_join, batch_of_batches, reader_read, reader_read_up_to, iterator,
          one_shot_iterator, iterator_of_a_handle, unstage, map_unstage, infeed, infeed_one,
          condition_of_queues, selected_queue, waits_for_queue, fixed_rows, sparse_batch,
          sparse_iterator)


def graph_def(build):
    """The graph that a function builds, as a GraphDef."""
    with tf.Graph().as_default() as graph:
        build()
        return graph.as_graph_def(add_shapes=True)


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for build in GRAPHS:
        with open(os.path.join(folder, build.__name__ + ".pb"), "wb") as file:
            file.write(graph_def(build).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(sys.argv[1])
