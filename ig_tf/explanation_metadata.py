"""Google's explanation_metadata.json, read and written: what the Explainable AI SDK and Vertex AI
know of a model's inputs, their encodings and baselines, in the terms of ig_tf.

The format: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/ExplanationSpec
(ExplanationMetadata); files have snake_case keys, the service's JSON has camelCase, both are read.
"""

import dataclasses
import json
import os
import re

import numpy as np

from ig_tf import api
from ig_tf.errors import BaselineError, ExplanationMetadataError
from ig_tf.points.point import unique_names

# An encoding -> what it says of the tensor that attribution belongs to.
ENCODINGS = {
    "identity": "the tensor is the feature",
    "bag_of_features": "each place of the tensor is a feature of its own",
    "bag_of_features_sparse": "the same of a sparse tensor",
    "indicator": "the tensor says of each feature whether it is there",
    "combined_embedding": "one embedding vector for all values of the feature",
    "concat_embedding": "an embedding vector for each value of the feature",
}
_NAMED = ("bag_of_features", "bag_of_features_sparse", "indicator")  # need index_feature_mapping
# The kind of a point -> its encoding.
_ENCODING_OF = {"dense": "identity", "image": "identity", "tokens": "concat_embedding",
                "one_hot": "indicator", "pooled": "combined_embedding"}
_FRAMEWORK = "Tensorflow"


@dataclasses.dataclass(frozen=True)
class Input:
    """One input of the file.

    Attributes:
      name: its key.
      fields: all that the file says of it, keys in snake_case.
    """

    name: str
    fields: dict

    @property
    def tensor(self):
        """Where attribution belongs: the encoded tensor, else the input itself."""
        return self.fields.get("encoded_tensor_name") or self.fields["input_tensor_name"]

    @property
    def baselines(self):
        """Of that tensor: a list of numbers or nested lists, empty where none is given."""
        encoded = self.fields.get("encoded_tensor_name")
        if encoded and not self.fields.get("encoded_baselines") and (
                self.fields.get("input_baselines")):
            raise BaselineError(
                f"explanation metadata: {self.name!r} has input_baselines of its raw input, but "
                f"attribution belongs to {encoded!r}; give encoded_baselines, or a baseline of "
                "records (--baseline=record:FILE).")
        return self.fields.get("encoded_baselines" if encoded else "input_baselines") or []


@dataclasses.dataclass(frozen=True)
class ExplanationMetadata:
    """What the file says.

    Attributes:
      inputs: the `Input`s.
      outputs: {name: fields, keys in snake_case}.
    """

    inputs: tuple
    outputs: dict

    def locate(self, model, target=None):
        """Where attribution belongs, as `ig_tf.locate` says it.

        Args:
          model: a `Model`.
          target: as `ig_tf.locate` takes it; None for the output of the file.

        Returns:
          A `Located`: points are the tensors of the file, totals are by its groups.

        Raises:
          PointError, TargetError: no such tensor, or one that cannot be explained.
        """
        located = api.locate(model, target or self._target(model),
                             [_short(one.tensor) for one in self.inputs])
        names = unique_names([one.name for one in self.inputs])
        points = [dataclasses.replace(point, name=name, named_by="explanation metadata",
                                      feature=one.fields.get("group_name") or one.name)
                  for point, name, one in zip(located.cut.points, names, self.inputs)]
        return dataclasses.replace(located, cut=dataclasses.replace(
            located.cut, points=tuple(points)))

    def baseline(self, points):
        """The file's baselines of these points, as `ig_tf.instrument` takes them.

        Where inputs have several, the first ones belong together, then the second ones; a single
        one belongs to all.

        Args:
          points: the `Point`s of `locate`.

        Raises:
          BaselineError: inputs have different numbers of baselines.
        """
        given = {point.name: one.baselines for point, one in zip(points, self.inputs)}
        counts = {len(one) for one in given.values()} - {0, 1}
        if len(counts) > 1:
            listed = ", ".join(f"{name}: {len(one)}" for name, one in given.items())
            raise BaselineError("explanation metadata: inputs have different numbers of baselines, "
                                f"which do not belong together: {listed}.")
        samples = [{name: np.asarray(one[place if len(one) > 1 else 0], np.float64)
                    for name, one in given.items() if one}
                   for place in range(max(counts, default=1))]
        return samples if len(samples) > 1 else samples[0]

    def _target(self, model):
        """The output of the file; of several classes the top one, as other tools explain it."""
        if len(self.outputs) != 1:
            return None
        [fields] = self.outputs.values()
        tensor = fields["output_tensor_name"]
        infos = {info.name: (key, info) for key, info in model.signature.outputs.items()}
        if tensor not in infos:
            return _short(tensor)
        key, info = infos[tensor]
        sizes = [dim.size for dim in info.tensor_shape.dim]
        return f"{key}:top" if len(sizes) == 2 and sizes[1] > 1 else key


def read(path):
    """Reads explanation_metadata.json.

    Args:
      path: the file, or the folder of a model that has it.

    Raises:
      ExplanationMetadataError: no such file, no JSON, or something is missing or of a wrong type;
        the key is named.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        path = os.path.join(path, "explanation_metadata.json")
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError) as error:
        raise ExplanationMetadataError(f"cannot read {path!r}: {error}") from error
    if not isinstance(found, dict):
        raise ExplanationMetadataError(f"{path!r} is no JSON object.")
    inputs = [Input(name, _fields(path, "inputs", name, fields, "input_tensor_name"))
              for name, fields in _table(path, found, "inputs").items()]
    if not inputs:
        raise ExplanationMetadataError(f"{path!r} names no inputs.")
    for one in inputs:
        _check(path, one)
    return ExplanationMetadata(tuple(inputs), {
        name: _fields(path, "outputs", name, fields, "output_tensor_name")
        for name, fields in _table(path, found, "outputs").items()})


def _table(path, found, key):
    table = found.get(key, {})
    if not isinstance(table, dict):
        raise ExplanationMetadataError(f"{path!r}: {key!r} is no JSON object.")
    return table


def _fields(path, where, name, fields, needed):
    if not isinstance(fields, dict):
        raise ExplanationMetadataError(f"{path!r}: {where}/{name} is no JSON object.")
    fields = {re.sub("([A-Z])", lambda one: "_" + one[0].lower(), key): value
              for key, value in fields.items()}
    if not isinstance(fields.get(needed), str) or not fields[needed]:
        raise ExplanationMetadataError(f"{path!r}: {where}/{name} has no {needed}.")
    return fields


def _check(path, one):
    where = f"{path!r}: inputs/{one.name}"
    encoding = str(one.fields.get("encoding") or "identity").lower()
    if encoding == "encoding_unspecified":
        encoding = "identity"
    if encoding not in ENCODINGS:
        raise ExplanationMetadataError(f"{where} has encoding {one.fields['encoding']!r}; known "
                                       f"are: {', '.join(ENCODINGS)}.")
    one.fields["encoding"] = encoding
    if encoding in _NAMED and not one.fields.get("index_feature_mapping"):
        raise ExplanationMetadataError(f"{where} has encoding {encoding!r} and needs "
                                       "index_feature_mapping.")
    if "indices_tensor_name" in one.fields and not one.fields.get("encoded_tensor_name"):
        raise ExplanationMetadataError(
            f"{where} is a sparse tensor, whose values are no rows of examples; it needs "
            "encoded_tensor_name, the tensor that they become.")
    for key in ("input_baselines", "encoded_baselines"):
        given = one.fields.get(key)
        if given is None:
            continue
        try:
            fits = isinstance(given, list) and all(
                np.asarray(value, np.float64).dtype == np.float64 for value in given)
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ExplanationMetadataError(f"{where}: {key} is no list of numbers or arrays of "
                                           "equal rows.")


def _short(tensor):
    """NODE for NODE:0, which names of points and targets do without."""
    return tensor.removesuffix(":0")


def written(plan, followed=None):
    """A plan as explanation_metadata.json says it.

    Args:
      plan: a `Plan`.
      followed: the `ExplanationMetadata` that the plan was made by, or None; what only that knows
        (names of columns, domains, visualization) is kept.

    Returns:
      A JSON-able dict. Tensors are named as in the original model; those inside a function of
      TensorFlow 2 by their path of calls, which other tools cannot follow.
    """
    recipe, known = plan.recipe, {}
    if followed is not None:
        known = {_short(one.tensor): one for one in followed.inputs}
    inputs = {}
    for point in recipe.points:
        one = known.get(_short(point.source))
        name = one.name if one else point.name
        fields = dict(one.fields) if one else _of_point(plan, point)
        baselines = recipe.baseline.values.get(point.name)
        key = "encoded_baselines" if "encoded_tensor_name" in fields else "input_baselines"
        if baselines is not None and point.name not in recipe.baseline.led:
            fields[key] = [value.tolist() for value in baselines]
        inputs[name] = fields
    target = recipe.target
    output = {"output_tensor_name": _indexed(target.source)}
    return {"framework": _FRAMEWORK, "inputs": inputs, "outputs": {target.output: output}}


def _of_point(plan, point):
    signature = plan.model.signature.inputs
    raw = next((signature[feature].name for feature in point.features if feature in signature),
               None)
    own = _indexed(point.source)
    fields = {"input_tensor_name": raw or own, "encoding": _ENCODING_OF[point.kind],
              "modality": {"image": "image", "tokens": "text", "dense": "numeric"}.get(
                  point.kind, "categorical")}
    if own != fields["input_tensor_name"]:
        fields["encoded_tensor_name"] = own
    if point.feature != point.name:
        fields["group_name"] = point.feature
    return fields


def _indexed(source):
    return source if re.search(r":\d+$", source) else source + ":0"
