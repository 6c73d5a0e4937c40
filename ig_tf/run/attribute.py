"""Runs an instrumented SavedModel on a file of inputs and writes results."""

from ig_tf.errors import RecordError
from ig_tf.run import artifact as artifacts
from ig_tf.run import records, results, sparse
from ig_tf.run.progress import progress

BATCH_SIZE = 64


def attribute(model, input, output=None, batch_size=BATCH_SIZE, limit=None, labels=None,
              vocabulary=None):
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

    Returns:
      The results as a list of `Result` with their model card (`about`), or their number where
      `output` is given.

    Raises:
      ArtifactError: the model is not instrumented or cannot be loaded.
      RecordError: a record does not fit the model's inputs.
    """
    loaded = model if isinstance(model, artifacts.Artifact) else artifacts.load(model)
    rows = _results(loaded, _source(input, limit), batch_size, labels, vocabulary)
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


def _source(input, limit):
    is_path = isinstance(input, (str, bytes)) or hasattr(input, "__fspath__")
    source = records.read(input) if is_path else input
    for count, record in enumerate(source):
        if limit is not None and count >= limit:
            return
        yield record if isinstance(record, records.Record) else records.Record(count, record)


def _results(loaded, source, batch_size, labels, vocabulary):
    for group in _batches(loaded, source, batch_size):
        batch = {name: artifacts.stacked([values[name] for _, values in group])
                 for name in loaded.inputs}
        first, last = group[0][0].position, group[-1][0].position
        try:
            answer = loaded.run(batch)
        except RecordError as error:
            raise RecordError(f"records {first} to {last}: {error}") from error
        for row, (record, values) in enumerate(group):
            yield _result(loaded, record, values, answer, row, labels, vocabulary)


def _batches(loaded, source, batch_size):
    """Lists of (record, {input: array}); a change of shape ends a batch."""
    group, shapes = [], None
    for record in source:
        values = _values(loaded, record)
        mine = {name: value.shape for name, value in values.items()}
        if group and (len(group) == batch_size or mine != shapes):
            yield group
            group = []
        shapes = mine
        group.append((record, values))
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
    return {name: artifacts.as_array(given[name], spec, f"{where}, input {name!r}")
            for name, spec in loaded.inputs.items()}


def _result(loaded, record, values, answer, row, labels, vocabulary):
    numbers = {key: float(answer[key][row]) for key in (
        "prediction", "baseline_prediction", "completeness_error", "relative_error")}
    points = tuple(_point(point, answer, row, vocabulary) for point in loaded.metadata["points"])
    features = {key.partition("/")[2]: float(value[row]) for key, value in answer.items()
                if key.startswith("features/")}
    return results.Result(
        id=str(record.values.get("id", record.position)), status=results.status_of(**numbers),
        target=_target(loaded.metadata["target"], int(answer["target_index"][row]), labels),
        points=points, features=features, inputs=_shown_inputs(loaded, record, values), **numbers)


def _target(target, index, labels):
    if target["index"] is None:
        return results.Target(target["output"])
    if isinstance(target["index"], list) and len(target["index"]) > 1:
        return results.Target(target["output"], tuple(target["index"]))
    label = labels[index] if labels and index < len(labels) else None
    return results.Target(target["output"], index, label)


def _point(point, answer, row, vocabulary):
    scores, tokens, kind = answer[f"attributions/{point['name']}"][row], None, point["kind"]
    if f"tokens/{point['name']}" in answer:
        kind = "tokens"
        length = int(answer[f"length/{point['name']}"][row])
        scores, tokens = scores[:length], answer[f"tokens/{point['name']}"][row][:length]
        tokens = tuple(_token(token, vocabulary) for token in tokens.tolist())
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
        if name is not None and name not in loaded.inputs and name != "id":
            found[name] = records.shown(value)
    return found
