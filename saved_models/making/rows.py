"""Which rows are trained on, in what order, and how well a model does on others."""

import numpy as np

SEED = 20240229


def split(count, held_out):
    """Returns shuffled row numbers as (training rows, held-out rows)."""
    order = np.random.RandomState(SEED).permutation(count)
    return order[held_out:], order[:held_out]


def batches(rows, size, epochs):
    """Yields arrays of row numbers, shuffled anew in each epoch, without the ragged last one."""
    random = np.random.RandomState(SEED)
    for _ in range(epochs):
        order = random.permutation(rows)
        for start in range(0, len(order) - size + 1, size):
            yield order[start:start + size]


def accuracy(probabilities, labels):
    """Returns the share of rows whose most probable class is the label."""
    return float(np.mean(np.argmax(probabilities, axis=1) == labels))
