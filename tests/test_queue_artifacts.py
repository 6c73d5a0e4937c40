"""Graph files that are fed by queues and the like, by the front door: listed, swapped, served.

The files are those that TensorFlow 1.15.5 wrote for tests/test_feeds.py, which looks at each swap
by itself.
"""

import numpy as np
import pytest

import ig_tf
from ig_tf.errors import SignatureError
from tests import builders
from tests.old import write_queues
from tests.test_feeds import CASES, FIXTURES, ROWS, SPARSE, WORDS, network

STEPS = 20
TAKEN_BY = {  # where it is not QueueDequeue...V2
    "reader_read": "ReaderReadV2", "reader_read_up_to": "ReaderReadUpToV2",
    "iterator": "IteratorGetNext", "one_shot_iterator": "IteratorGetNext",
    "sparse_iterator": "IteratorGetNext", "iterator_of_a_handle": "IteratorGetNext",
    "unstage": "Unstage", "map_unstage": "MapUnstageNoKey", "infeed": "InfeedDequeueTuple",
    "infeed_one": "InfeedDequeue"}


def load(name, **asked):
    return ig_tf.load(FIXTURES / f"{name}.pb", **asked)


@pytest.mark.parametrize("name", [*CASES, *SPARSE])
def test_it_is_among_the_candidates(name):
    """Where inputs are asked for, what a caller could feed is named with the op that gives it."""
    with pytest.raises(SignatureError) as caught:
        load(name)
    before, _, _ = str(caught.value).partition("it could give")
    assert f"(out of a {TAKEN_BY.get(name, 'QueueDequeue')}" in before


@pytest.mark.parametrize("name", CASES)
def test_it_is_an_input_of_what_is_written(name):
    """Its own type and shape, a batch that is free, and nothing that waits in the graph."""
    model, case = load(name, outputs="scores"), CASES[name]
    feed, = model.feeds
    assert (feed.name, feed.dtype.name, feed.shape.as_list()) == (case.name, case.dtype, case.shape)
    assert list(model.inputs()) == [case.name]
    shape = model.signature.inputs[case.name].tensor_shape
    assert [None if dim.size < 0 else dim.size for dim in shape.dim] == case.shape
    assert any(feed.source in sentence for sentence in model.chosen)
    assert not [node.op for node in model.graph_def.node if any(
        word in node.op for word in ("Queue", "Reader", "Iterator", "nstage", "Infeed"))]


def differences(rows, index):
    """IG of a score from zeros by central differences on Gauss-Legendre nodes, in float64."""
    nodes, weights = np.polynomial.legendre.leggauss(STEPS)
    total, step = np.zeros(rows.shape), 1e-5
    for node, weight in zip((nodes + 1) / 2, weights / 2):
        for column in range(rows.shape[1]):
            moved = step * np.eye(rows.shape[1])[column]
            rise = network(node * rows + moved) - network(node * rows - moved)
            total[:, column] += weight * rise[:, index] / (2 * step)
    return total * rows


@pytest.mark.parametrize("name", ["shuffle_up_to", "priority_many", "map_unstage", "infeed_one",
                                  "iterator_of_a_handle", "condition_of_queues"])
def test_what_is_written_answers_any_batch(name, tmp_path):
    """Both signatures, by both loaders. float32 sums of ten numbers: 1e-5."""
    metadata = ig_tf.save(ig_tf.instrument(load(name, outputs="scores"), target="scores:1",
                                           steps=STEPS), tmp_path / "out")
    key = CASES[name].name
    assert [feed["name"] for feed in metadata["feeds"]] == [key]
    assert write_queues.BATCH not in (1, 3)
    for loader in builders.LOADERS.values():
        for count in (1, 3):
            rows = ROWS[:count]
            answer = loader(tmp_path / "out")(**{key: rows})
            np.testing.assert_allclose(answer[f"attributions/{key}"],
                                       differences(rows.astype(np.float64), 1), atol=1e-5)
            served = loader(tmp_path / "out", "serving_default")(**{key: rows})
            np.testing.assert_allclose(served["scores"], network(rows), rtol=1e-5)


@pytest.mark.parametrize("name", SPARSE)
def test_a_sparse_tensor_is_one_input(name, tmp_path):
    """What was packed in a queue or an iterator is taken as TensorFlow takes sparse tensors.

    The network reads the mean of five vectors: each word has its fifth of the mean gradient.
    """
    model = load(name, outputs="scores")
    info = model.signature.inputs["ids"]
    assert list(model.signature.inputs) == ["ids"] and info.WhichOneof("encoding") == "coo_sparse"
    assert [dim.size for dim in info.tensor_shape.dim] == [-1, -1]
    ig_tf.save(ig_tf.instrument(model, target="scores:1", steps=STEPS), tmp_path / "out")
    vectors = write_queues.TABLE[WORDS].astype(np.float64)
    rows = vectors.mean(1)
    expected = (vectors / 5 * (differences(rows, 1) / rows)[:, None]).sum(-1)
    for loader in builders.LOADERS.values():
        for count in (1, 3):
            parts = {"ids_indices": np.argwhere(WORDS[:count] >= 0),
                     "ids_values": WORDS[:count].ravel(), "ids_dense_shape": [count, 5]}
            answer = loader(tmp_path / "out")(**parts)
            np.testing.assert_allclose(answer["attributions/ids"], expected[:count], atol=1e-5)
            served = loader(tmp_path / "out", "serving_default")(**parts)
            np.testing.assert_allclose(served["scores"], network(rows[:count]), rtol=1e-5)
