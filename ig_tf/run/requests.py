"""One batch of records, answered: by which signature, and again with more nodes where needed."""

import numpy as np

from ig_tf.errors import RecordError
from ig_tf.run.choices import OF_POINT, REFINEMENT, TARGET, rank, taken
from ig_tf.run.results import NUMBERS, status_of


def answered(loaded, values, chosen, row_error=None):
    """Answers for a batch.

    Args:
      loaded: the `Artifact`.
      values: {input: array} of each record.
      chosen: what each record chooses (`Choices.of`); the same inputs in all of them.
      row_error: relative completeness error up to which a row is not refined; None: never.

    Returns:
      For each record (answer, row in it, rung): the outputs of the request that it was last in.

    Raises:
      RecordError: TensorFlow refuses the batch.
    """
    answer = first(loaded, values, chosen)
    found = [(answer, row, 0) for row in range(len(values))]
    if row_error is None:
        return found
    for rung in range(1, len(loaded.metadata["custom"]["refinement_steps"])):
        over = [place for place, (answer, row, _) in enumerate(found)
                if _is_over(answer, row, row_error)]
        if not over:
            break
        targets = [found[place][0]["target_index"][found[place][1]] for place in over]
        again = _custom(loaded, [values[place] for place in over],
                        [chosen[place] for place in over], targets, rung)
        for row, place in enumerate(over):
            found[place] = (again, row, rung)
    return found


def numbers(answer, row):
    """What a row says of itself; None: the method makes no such claim."""
    return {key: float(answer[key][row]) if key in answer else None for key in NUMBERS}


def status(found):
    """The status of a row by its `numbers`."""
    if found["completeness_error"] is None:
        both = np.isfinite([found["prediction"], found["baseline_prediction"]])
        return "unchecked" if all(both) else "invalid_input"
    return status_of(**found)


def _is_over(answer, row, row_error):
    """Whether the error of a record, or of one of its rows of the target, is too large."""
    columns = [np.atleast_1d(answer[key][row]) for key in NUMBERS]
    return any(status_of(**dict(zip(NUMBERS, map(float, one))), tolerance=row_error) == "capped"
               for one in zip(*columns))


def first(loaded, values, chosen):
    """The answer of the first request of a batch: {key: array [batch, ...]}.

    Args:
      loaded, values, chosen: as of `answered`; values may be `Alike`.
    """
    if not any(chosen):
        return loaded.answer(values)
    targets = None
    if TARGET in taken(loaded) and not all(TARGET in one for one in chosen):
        targets = _fixed_target(loaded, len(values))
        if targets is None:  # the highest class: the model has to say which
            targets = loaded.answer(values)["target_index"]
    return _custom(loaded, values, chosen, targets, 0)


def _fixed_target(loaded, count):
    index = loaded.metadata["target"]["index"]
    return [index[0]] * count if isinstance(index, list) else None


def _custom(loaded, values, chosen, targets, rung):
    """A request of `attributions_custom`; what nobody chooses is as it was exported."""
    sent = {}
    for key in taken(loaded):
        if all(key in one for one in chosen):
            sent[key] = np.stack([one[key] for one in chosen])
        elif key == TARGET:
            sent[key] = np.asarray(targets, np.int64)
        elif key == REFINEMENT:
            sent[key] = np.full(len(values), rung, np.int64)
        else:
            sent[key] = _fixed_baseline(loaded, key)
    return loaded.custom.answer(values, sent)


def _fixed_baseline(loaded, key):
    """The baseline of the export, for all examples [1, ...].

    Raises:
      RecordError: it is no single array.
    """
    if loaded.metadata["baseline_values"] is None:
        raise RecordError(f"the exported baseline, {loaded.metadata['baseline']}, is no single "
                          f"array at the points, so it cannot be sent as {key}: every record of "
                          f"this signature has to say {key}.")
    array = np.asarray(loaded.metadata["baseline_values"][key.removeprefix(OF_POINT)])
    array = array.reshape([1] * (rank(loaded, key) - array.ndim) + list(array.shape))
    return array.astype(loaded.custom.inputs[key].dtype.as_numpy_dtype)
