"""The summary of a job: groups of results by target, and of those slices by columns."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from ig_tf.run.results_rows import Result
from ig_tf.run.summaries import (
    MOST_TARGETS, MOST_VALUES, Column, Moments, Words, quantile_error, slice_value, words_of)


@dataclasses.dataclass(frozen=True)
class Columns:
    """Results by column.

    Attributes:
      rows: how many.
      features: {feature: scores}.
      words: the words of each result with their scores; None: no result has any.
      kept: {pass-through column: values}.
    """

    rows: int
    features: Mapping[str, list[float]]
    words: list[list[tuple[str, float]]] | None
    kept: Mapping[str, list[Any]]

    def of(self, places: list[int]) -> "Columns":
        """Those of some results."""
        if len(places) == self.rows:
            return self
        return Columns(len(places), {name: [scores[place] for place in places]
                                     for name, scores in self.features.items()},
                       self.words and [self.words[place] for place in places],
                       {name: [values[place] for place in places]
                        for name, values in self.kept.items()})


def _places(names: Iterable[Any]) -> dict[Any, list[int]]:
    """{name: where it stands}, in the order of first sight."""
    found: dict[Any, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found


class Group:
    """Results of one target, or of one slice of it.

    Args:
      kind: what gathers the scores of a feature: `Column`, or `Moments` where there are many.

    Attributes:
      rows: how many.
    """

    def __init__(self, kind: Any) -> None:
        self.rows, self._kind = 0, kind
        self._features: dict[str, Any] = {}

    def add(self, result: Result) -> None:
        self.rows += 1
        for name, score in result.features.items():
            if name not in self._features:
                self._features[name] = self._kind()
            self._features[name].append(score)

    def extend(self, rows: int, features: Mapping[str, list[float]]) -> None:
        """Counts so many results, with all scores of each feature."""
        self.rows += rows
        for name, scores in features.items():
            if name not in self._features:
                self._features[name] = self._kind()
            self._features[name].extend(scores)

    def merge(self, other: "Group") -> None:
        self.rows += other.rows
        for name, column in other._features.items():
            self._features.setdefault(name, self._kind()).merge(column)

    def state(self) -> list[Any]:
        return [self.rows, {name: column.state() for name, column in self._features.items()}]

    @classmethod
    def of_state(cls, kind: Any, state: list[Any]) -> "Group":
        made = cls(kind)
        made.rows = state[0]
        made._features = {name: kind.of_state(one) for name, one in state[1].items()}
        return made

    def row(self) -> dict[str, Any]:
        """As JSON: features by mean |attribution|, the largest first."""
        rows = [{"feature": name, **column.row()} for name, column in self._features.items()
                if column.count]
        return {"rows": self.rows,
                "features": sorted(rows, key=lambda row: (-row["mean_absolute"], row["feature"]))}


class Targets:
    """Everything of one target: all of its results, words, and slices by column and value."""

    def __init__(self) -> None:
        self.all, self._words = Group(Column), Words()
        self._slices: dict[str, dict[str, Group]] = {}
        self._left_out: collections.Counter = collections.Counter()

    def add(self, result: Result, kept: Mapping[str, Any]) -> None:
        self.all.add(result)
        for word, score in words_of(result):
            self._words.add(word, score)
        for column, value in kept.items():
            value = slice_value(value)
            found = self._slice(column, value) if value is not None else None
            if found:
                found.add(result)

    def extend(self, columns: "Columns") -> None:
        """As `add` for each of some results."""
        self.all.extend(columns.rows, columns.features)
        for words in columns.words or ():
            for word, score in words:
                self._words.add(word, score)
        for column, values in columns.kept.items():
            for value, places in _places(map(slice_value, values)).items():
                found = self._slice(column, value, len(places)) if value is not None else None
                if found:
                    found.extend(len(places), columns.of(places).features)

    def _slice(self, column: str, value: str, rows: int = 1) -> Group | None:
        groups = self._slices.setdefault(column, {})
        if value not in groups and len(groups) >= MOST_VALUES:
            self._left_out[column] += rows
            return None
        return groups.setdefault(value, Group(Moments))

    def merge(self, other: "Targets") -> None:
        self.all.merge(other.all)
        self._words.merge(other._words)
        self._left_out.update(other._left_out)
        for column, groups in other._slices.items():
            for value, group in groups.items():
                mine = self._slice(column, value, group.rows)
                if mine:
                    mine.merge(group)

    def state(self) -> list[Any]:
        slices = {column: {value: group.state() for value, group in groups.items()}
                  for column, groups in self._slices.items()}
        return [self.all.state(), self._words.state(), slices, dict(self._left_out)]

    @classmethod
    def of_state(cls, state: list[Any]) -> "Targets":
        made = cls()
        made.all, made._words = Group.of_state(Column, state[0]), Words.of_state(state[1])
        made._slices = {column: {value: Group.of_state(Moments, one)
                                 for value, one in groups.items()}
                        for column, groups in state[2].items()}
        made._left_out.update(state[3])
        return made

    def row(self) -> dict[str, Any]:
        slices = {}
        for column, groups in self._slices.items():
            ordered = sorted(groups.items(), key=lambda pair: (-pair[1].rows, pair[0]))
            slices[column] = {"values": [{"value": value, **group.row()}
                                         for value, group in ordered],
                              "rows_of_other_values": self._left_out[column]}
        return {**self.all.row(), "tokens": self._words.rows(),
                "occurrences_missed": self._words.missed, "slices": slices}


class Summary:
    """Results as they come, target by target.

    Attributes:
      rows: how many there were.
    """

    def __init__(self) -> None:
        self.rows, self._without, self._left_out = 0, 0, 0
        self._targets: dict[str, Targets] = {}

    def add(self, result: Result, kept: Mapping[str, Any]) -> None:
        """Counts a result.

        Args:
          result: the row.
          kept: its pass-through columns, which slices are made by.
        """
        self.rows += 1
        if result.status in ("error", "invalid_input"):
            self._without += 1
            return
        found = self._target(result.target.named())
        if found:
            found.add(result, kept)

    def extend(self, targets: list[str], statuses: list[str], columns: Columns) -> None:
        """Counts some results as `add` does each.

        Args:
          targets: the target of each, as `Target.named` has it.
          statuses: the status of each.
          columns: all else of them.
        """
        self.rows += columns.rows
        named = [None if status in ("error", "invalid_input") else target
                 for target, status in zip(targets, statuses)]
        for name, places in _places(named).items():
            if name is None:
                self._without += len(places)
                continue
            found = self._target(name, len(places))
            if found:
                found.extend(columns.of(places))

    def _target(self, name: str, rows: int = 1) -> Targets | None:
        if name not in self._targets and len(self._targets) >= MOST_TARGETS:
            self._left_out += rows
            return None
        return self._targets.setdefault(name, Targets())

    def merge(self, state: list[Any]) -> None:
        """Adds what `state` gave of another one."""
        rows, without, left_out, targets = state
        self.rows += rows
        self._without += without
        self._left_out += left_out
        for name, one in targets.items():
            other = Targets.of_state(one)
            mine = self._target(name, other.all.rows)
            if mine:
                mine.merge(other)

    def state(self) -> list[Any]:
        """Everything, as JSON, for `merge`."""
        return [self.rows, self._without, self._left_out,
                {name: one.state() for name, one in self._targets.items()}]

    def row(self) -> dict[str, Any]:
        """As JSON, for people and for the report; targets with the most results first."""
        ordered = sorted(self._targets.items(), key=lambda pair: (-pair[1].all.rows, pair[0]))
        return {"rows": self.rows, "rows_without_attributions": self._without,
                "rows_of_other_targets": self._left_out, "quantile_error": quantile_error(),
                "targets": [{"target": name, **one.row()} for name, one in ordered]}
