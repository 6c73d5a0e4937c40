"""Results as one row per feature or token: the long form of a job's tables.

| column | type | what |
|---|---|---|
| id, position, status, message, target, target_index, target_label, prediction,
  baseline_prediction | as in `tables` | of the result, in each of its rows |
| unit | string | feature, token, or point (of which no total of a feature is known) |
| point | string | the point of a token, or the point itself |
| name | string | the feature, the token, or the point |
| place | int64 | of a token in its text |
| attribution | double | total of the feature; score of the token; total of the point |
| others | as they came | pass-through columns |

A result without attributions is one row whose unit is null, so that no record is lost. The tokens
of a text add up to its feature: whoever adds up rows takes one unit.
"""

import numpy as np

from ig_tf.errors import RecordError
from ig_tf.run import pieces, tables

_OF_RESULT = ("id", "position", "status", "message", "target", "target_index", "target_label",
              "prediction", "baseline_prediction")
_OF_UNIT = (("unit", "string"), ("point", "string"), ("name", "string"), ("place", "int64"),
            ("attribution", "double"))


def schema(loaded, kept):
    """Columns as [(name, type)], as `tables.schema`.

    Raises:
      RecordError: a pass-through column has the name of another one.
    """
    head = dict(tables.schema(loaded, {}))
    found = {**{name: head[name] for name in _OF_RESULT}, **dict(_OF_UNIT)}
    clash = sorted(set(kept) & set(found))
    if clash:
        raise RecordError(f"--keep={clash[0]}: the results have a column of that name.")
    return [*found.items(), *kept.items()]


def rows(position, result, kept):
    """A result as [{column: value}]; columns that a row does not have are left out."""
    wide = tables.row(position, result, {})
    common = {**{name: wide[name] for name in _OF_RESULT}, **kept}
    return [{**common, **dict(zip(dict(_OF_UNIT), unit))} for unit in _units(result)] or [common]


def _units(result):
    """Yields (unit, point, name, place, attribution)."""
    for name, score in result.features.items():
        yield "feature", None, name, None, score
    for point in result.points:
        if point.tokens is not None:
            scores = pieces.token_scores(point).tolist()
            for place, (token, score) in enumerate(zip(point.tokens, scores)):
                yield "token", point.name, tables.text(token), place, score
        if not set(point.features) & set(result.features):
            yield "point", point.name, point.name, None, float(
                np.sum(point.scores, dtype=np.float64))
