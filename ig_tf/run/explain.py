"""Records into results: what a record means to a model, and what an answer says of the record."""

import dataclasses
import functools

import numpy as np

from ig_tf.errors import RecordError
from ig_tf.run import artifact as artifacts
from ig_tf.run import answers, blocks, choices, parsing, records, requests, results, sparse, targets


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A record that fits the model.

    Attributes:
      record: the `Record`.
      values: {input: array}.
      chosen: {input of `attributions_custom`: array} that the record chooses.
      alike: what must be equal of records that share a request.
    """

    record: object
    values: dict
    chosen: dict
    alike: tuple


@dataclasses.dataclass(frozen=True)
class Explainer:
    """How records of one input are explained.

    Attributes:
      loaded: the `Artifact`.
      choosing: `Choices`: what the records may choose.
      labels: names of the classes, or None.
      vocabulary: words by token id, or None.
      row_error: relative completeness error that each row should have at most, or None.
    """

    loaded: object
    choosing: choices.Choices
    labels: object = None
    vocabulary: object = None
    row_error: object = None

    def prepared(self, record):
        """A record, checked against the model's inputs.

        Raises:
          RecordError: it does not fit.
        """
        values = values_of(self.loaded, record)
        chosen = self.choosing.of(record, f"record {record.position}")
        alike = (self.loaded.alike(values), {name: value.shape for name, value in chosen.items()})
        return Prepared(record, values, chosen, alike)

    def results(self, group):
        """Explains records that share a request, `Prepared` with equal `alike`.

        Returns:
          For each record a tuple of `Result`: one, or one per row of the target that it has.

        Raises:
          RecordError: TensorFlow refuses the batch.
        """
        return [one() for one in self.answered(group)]

    def answered(self, group):
        """As `results`, but that results are made when they are wanted, elsewhere perhaps.

        Returns:
          For each record a function that gives its tuple of `Result`.

        Raises:
          RecordError: TensorFlow refuses the batch.
        """
        found = requests.answered(self.loaded, [one.values for one in group],
                                  [one.chosen for one in group], self.row_error)
        made = {id(answer): functools.partial(self._folds, answer) for answer, _, _ in found}
        made = {key: functools.cache(folds) for key, folds in made.items()}
        return [functools.partial(self._results, one, made[id(answer)], row, rung)
                for one, (answer, row, rung) in zip(group, found)]

    def blocks(self, table, group, answers):
        """What answers say of records, by column.

        Args:
          table: the `by_column.Table` that they are from.
          group: an `Alike` of it.
          answers: those of `request` to its parts, in their order.

        Returns:
          A list of `Block`, one where all answers have the same shapes.
        """
        shapes = {repr([(key, value.shape[1:]) for key, value in one.items()]) for one in answers}
        if len(answers) > 1 and len(shapes) == 1:
            answers = [{key: np.concatenate([one[key] for one in answers]) for key in answers[0]}]
        found, start = [], 0
        for answer in answers:
            part = group.part(start, start + len(answer["prediction"]))
            found.append(blocks.Block(self, table, part, answer))
            start += len(part)
        return found

    def request(self, group):
        """The answer to some of an `Alike`, no more than a request takes: {key: array}.

        Raises:
          RecordError: TensorFlow refuses the batch.
        """
        return requests.first(self.loaded, group, group.chosen)

    @functools.cached_property
    def target_of(self):
        """function(`target_index`) -> `Target` of a record that has one row."""
        return functools.lru_cache(1 << 16)(lambda index: targets.of_row(
            self.loaded.metadata["target"], index, 0, self.labels))

    def _folds(self, answer):
        """`Rows` of an answer: one, or one for each explained number of a record."""
        if not self.loaded.folded:
            return [answers.Rows(self.loaded, answer, self.vocabulary)]
        return [answers.Rows(self.loaded, {key: value[:, fold] for key, value in answer.items()},
                             self.vocabulary) for fold in range(answer["prediction"].shape[1])]

    def _results(self, one, folds, row, rung):
        name = str(one.record.values.get("id", one.record.position))
        inputs = _shown_inputs(self.loaded, one.record, one.values)
        said, found = self.loaded.metadata["target"], []
        for place, rows in enumerate(folds()):
            target = targets.of_row(said, rows.index(row), place, self.labels)
            own = targets.row_id(said, name, place) if self.loaded.folded else name
            result = _result(own, target, inputs, rows, row)
            found.append(_judged(self.loaded, result, rung, self.row_error))
        return tuple(found)


def _judged(loaded, result, rung, row_error):
    """The result by the error that was asked for, with the nodes that it took."""
    if row_error is None:
        return result
    numbers = {name: getattr(result, name) for name in results.NUMBERS}
    return dataclasses.replace(result, status=results.status_of(**numbers, tolerance=row_error),
                               steps=loaded.metadata["custom"]["refinement_steps"][rung])


def values_of(loaded, record):
    """{input: array} of a record.

    Raises:
      RecordError: an input is missing, or has another type or shape.
    """
    where = f"record {record.position}"
    given = record.values
    if None in given:  # a serialized record goes to the only input
        if len(loaded.inputs) != 1:
            raise RecordError(f"{where}: serialized records fit a signature with one string input; "
                              f"this one takes {', '.join(loaded.inputs)}.")
        given = {next(iter(loaded.inputs)): given[None]}
    missing = [name for name in loaded.inputs if name not in given]
    if missing:
        raise RecordError(f"{where} has no {', '.join(map(repr, missing))}; the model takes "
                          f"{', '.join(loaded.inputs)}, the record has "
                          f"{', '.join(map(str, given)) or 'nothing'}.")
    return {name: artifacts.as_array(given[name], spec, f"{where}, input {name!r}",
                                     loaded.axis(name))
            for name, spec in loaded.inputs.items()}


def _result(name, target, inputs, rows, row):
    numbers = rows.numbers(row)
    return results.Result(
        id=name, status=requests.status(numbers), target=target, points=rows.points(row),
        features=rows.features(row), inputs=inputs, spread=rows.spread(row), **numbers)


def _shown_inputs(loaded, record, values):
    """What the caller sent, so that the input can be drawn beside its attribution."""
    found = {}
    for name, value in values.items():
        spec = loaded.inputs[name]
        if isinstance(value, sparse.SparseRow):
            found[name] = value.shown()
        elif spec.dtype.name == "string" and value.ndim == 0:
            is_built = isinstance(value.item(), parsing.Built)
            parsed = records.example_features(value.item()) if (
                is_built or None in record.values) else {}
            found.update(parsed or {name: records.shown(value.item())})
        else:
            found[name] = records.shown(value)
    for name, value in record.values.items():
        if name is not None and name not in loaded.inputs and name != "id" and (
                not name.startswith(choices.OF_POINT)):
            found[name] = records.shown(value)
    return found
