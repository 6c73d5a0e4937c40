"""Runs an instrumented SavedModel on a file of inputs and writes results."""

import dataclasses

from ig_tf.errors import RecordError
from ig_tf.run import artifact as artifacts
from ig_tf.run import choices, records, requests, results, sparse
from ig_tf.run.progress import progress

BATCH_SIZE = 64


def attribute(model, input, output=None, batch_size=BATCH_SIZE, limit=None, labels=None,
              vocabulary=None, row_error=None, target_column=None, baselines=None):
    """Attributes every record of a file.

    Args:
      model: directory of an instrumented SavedModel, or an `Artifact`.
      input: file of records (see `ig_tf.run.records.read`), or an iterable of {input: value}.
      output: .jsonl or .npz file to write, or None.
      batch_size: records per request. Only records of equal shapes share a request; nothing is
        padded.
      limit: stop after so many records.
      labels: names of the classes, in order, or None.
      vocabulary: words by token id, in order, or None.
      row_error: relative completeness error that each row should have at most; rows over it are
        asked again with more nodes, where a request may choose its `refinement`.
      target_column: field of the records with the index of the class to explain; by default
        `target`, where a request may choose that.
      baselines: .npz with one array per point, of one example, for records without a field
        `baseline/NAME`.

    Returns:
      The results as a list of `Result` with their model card (`about`), or their number where
      `output` is given.

    Raises:
      ArtifactError: the model is not instrumented or cannot be loaded.
      RecordError: a record does not fit the model's inputs.
    """
    loaded = model if isinstance(model, artifacts.Artifact) else artifacts.load(model)
    if row_error is not None:
        choices.require(loaded, [choices.REFINEMENT], f"row error {row_error:g}")
    common = {} if baselines is None else choices.common_baselines(baselines)
    rows = _results(loaded, _source(input, limit), batch_size, labels, vocabulary, row_error,
                    choices.Choices(loaded, target_column, common))
    if output is None:
        return results.Results(rows, about(loaded))
    kept = list(progress(rows, "records"))
    results.write(output, kept, about(loaded))
    return len(kept)


def about(loaded):
    """The model card of an artifact, as reports show it."""
    metadata = loaded.metadata
    return results.About(
        model=loaded.path.rstrip("/").rpartition("/")[2],
        signature=metadata["source"]["signature"],
        target=metadata["target"]["text"],
        points=tuple({key: point[key] for key in ("name", "kind", "tensor", "features")}
                     for point in metadata["points"]),
        baseline=metadata["baseline"], steps=metadata["rule"]["steps"],
        rule=metadata["rule"]["name"], tensorflow=_tensorflow_version(),
        held_constant=tuple(metadata["held_constant"]),
        notes=tuple(metadata["choices"] + metadata["changed_in_the_copy"]))


def _tensorflow_version():
    import tensorflow as tf
    return tf.__version__


def input_values(loaded, input, wanted):
    """Arrays of some records: [{input: array}] for the positions `wanted`, in their order."""
    found = {}
    for count, record in enumerate(_source(input, max(wanted, default=-1) + 1)):
        if count in wanted:
            found[count] = _values(loaded, record)
    return [found[position] for position in wanted]


def some_records(loaded, input, limit):
    """The first records as [(id, {input: array})]."""
    return [(str(record.values.get("id", record.position)), _values(loaded, record))
            for record in _source(input, limit)]


def _source(input, limit):
    is_path = isinstance(input, (str, bytes)) or hasattr(input, "__fspath__")
    source = records.read(input) if is_path else input
    for count, record in enumerate(source):
        if limit is not None and count >= limit:
            return
        yield record if isinstance(record, records.Record) else records.Record(count, record)


def _results(loaded, source, batch_size, labels, vocabulary, row_error, choosing):
    for group in _batches(loaded, source, loaded.examples or batch_size, choosing):
        found, values, chosen = zip(*group)
        try:
            answers = requests.answered(loaded, values, chosen, row_error)
        except RecordError as error:
            raise RecordError(f"records {found[0].position} to {found[-1].position}: "
                              f"{error}") from error
        for record, mine, (answer, row, rung) in zip(found, values, answers):
            for name, one in _explained(record, answer, loaded.folded):
                result = _result(loaded, record, name, mine, one, row, labels, vocabulary)
                yield _judged(loaded, result, rung, row_error)


def _explained(record, answer, folded):
    """(id, answer [batch, ...]) for each row of the target that a record has."""
    name = str(record.values.get("id", record.position))
    if not folded:
        return [(name, answer)]
    return [(f"{name}:{fold}", {key: value[:, fold] for key, value in answer.items()})
            for fold in range(answer["prediction"].shape[1])]


def _judged(loaded, result, rung, row_error):
    """The result by the error that was asked for, with the nodes that it took."""
    if row_error is None:
        return result
    numbers = {name: getattr(result, name) for name in results.NUMBERS}
    return dataclasses.replace(result, status=results.status_of(**numbers, tolerance=row_error),
                               steps=loaded.metadata["custom"]["refinement_steps"][rung])


def _batches(loaded, source, batch_size, choosing):
    """Lists of (record, {input: array}, its choices).

    A change of shape, or of a scalar, ends a batch.
    """
    group, shapes = [], None
    for record in source:
        values = _values(loaded, record)
        chosen = choosing.of(record, f"record {record.position}")
        mine = loaded.alike(values), {name: value.shape for name, value in chosen.items()}
        if group and (len(group) == batch_size or mine != shapes):
            yield group
            group = []
        shapes = mine
        group.append((record, values, chosen))
    if group:
        yield group


def _values(loaded, record):
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


def _result(loaded, record, name, values, answer, row, labels, vocabulary):
    numbers = requests.numbers(answer, row)
    points = tuple(_point(point, answer, row, vocabulary) for point in loaded.metadata["points"])
    features = {key.partition("/")[2]: float(value[row]) for key, value in answer.items()
                if key.startswith("features/")}
    return results.Result(
        id=name, status=results.status_of(**numbers),
        target=_target(loaded.metadata["target"], int(answer["target_index"][row]), labels),
        points=points, features=features, inputs=_shown_inputs(loaded, record, values), **numbers)


def _target(target, index, labels):
    if target["index"] is None:
        return results.Target(target["output"])
    if index < 0:  # a difference of two
        return results.Target(target["text"], label=_versus(target["index"], labels))
    if isinstance(target["index"], list) and len(target["index"]) > 1:
        return results.Target(target["output"], tuple(target["index"]))
    label = labels[index] if labels and index < len(labels) else None
    return results.Target(target["output"], index, label)


def _versus(index, labels):
    """Of a difference of two classes the names, where they are known."""
    numbers = [int(part) for part in index.split("-")] if "," not in index else []
    if not labels or not numbers or max(numbers) >= len(labels):
        return None
    return " - ".join(labels[number] for number in numbers)


def _point(point, answer, row, vocabulary):
    scores, tokens, kind = answer[f"attributions/{point['name']}"][row], None, point["kind"]
    if f"tokens/{point['name']}" in answer:
        kind = "tokens"
        length = int(answer[f"length/{point['name']}"][row])
        scores, tokens = scores[:length], answer[f"tokens/{point['name']}"][row][:length]
        tokens = tuple(_token(token, vocabulary) for token in tokens.tolist())
    elif kind == "tokens":  # pooled, for a baseline that the request chose
        kind = "pooled"
    return results.PointScores(point["name"], kind, scores, tokens,
                               tuple(point["features"]))


def _token(token, vocabulary):
    if isinstance(token, bytes):
        return token.decode("utf-8", "backslashreplace")
    if vocabulary and 0 <= token < len(vocabulary):
        return vocabulary[token]
    return token


def _shown_inputs(loaded, record, values):
    """What the caller sent, so that the input can be drawn beside its attribution."""
    found = {}
    for name, value in values.items():
        spec = loaded.inputs[name]
        if isinstance(value, sparse.SparseRow):
            found[name] = value.shown()
        elif spec.dtype.name == "string" and value.ndim == 0:
            parsed = records.example_features(value.item()) if None in record.values else {}
            found.update(parsed or {name: records.shown(value.item())})
        else:
            found[name] = records.shown(value)
    for name, value in record.values.items():
        if name is not None and name not in loaded.inputs and name != "id" and (
                not name.startswith(choices.OF_POINT)):
            found[name] = records.shown(value)
    return found
