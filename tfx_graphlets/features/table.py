"""FeatureTable: one row per graphlet, one column per feature, no labels.

A feature is declared once, with the stage from which on it may be known, its unit, what
missing means, where it comes from and how it is told; its values are a column.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Union

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features.wording import Wording, duration, figure, percent
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import Stage

if TYPE_CHECKING:
    import pyarrow

    from tfx_graphlets.features.look_back import Rows

# A number column, float64 [n], or a category column.
Value = Union[float, str, None]  # one, None where missing
Values = Union[FloatArray, Sequence[Union[str, None]]]
FeatureColumn = Union[FloatArray, tuple[Union[str, None], ...]]

_OF_WHICH: Final = {
    " 1": " (against the last trained run)",
    " pushed": " (against the last pushed run)",
}


class FeatureKind(str, enum.Enum):
    """How a learner treats a column."""

    NUMBER = "number"  # float64 [n], missing is NaN; booleans are 0.0 and 1.0
    CATEGORY = "category"  # str or None [n], missing is None


@dataclasses.dataclass(frozen=True)
class Feature:
    """Declaration of one feature.

    Attributes:
      name: column name, ``group.what`` in snake case.
      stage: earliest stage at which it is known.
      kind: number or category.
      unit: unit or range of the value, e.g. ``ms``, ``count``, ``share 0..1``.
      missing: what a missing value means.
      source: the paper's section or the MLMD field that it is read from.
      wording: how it is told; without one by its name and unit. Two declarations
        that differ in this alone are equal.
    """

    name: str
    stage: Stage
    kind: FeatureKind
    unit: str
    missing: str
    source: str
    wording: Wording | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def group(self) -> str:
        """The part of the name before the first dot."""
        return self.name.partition(".")[0]

    @property
    def topic(self) -> str:
        """Name of what it is about; without a wording its group and the first word of its name."""
        return self.wording.topic.name if self.wording else self.name.partition("_")[0]

    def phrase(self, value: Value) -> str:
        """What a value says, as half a sentence without a full stop.

        >>> from tfx_graphlets.features import all_features
        >>> named = {feature.name: feature for feature in all_features(Stage.INPUT)}
        >>> named["history.runs_since_push"].phrase(3.0)
        'the last push was 3 trained runs before'

        Args:
          value: None or NaN where it is missing.
        """
        if value is None or (isinstance(value, float) and math.isnan(value)):
            unknown = self.wording.topic.unknown if self.wording else self._in_words
            why = "" if self.missing == "never" else f": {self.missing}"
            return f"{unknown} is not known{why}"
        if isinstance(value, str):
            return (
                self.wording.text.format(value) if self.wording else f"{self._in_words} is {value}"
            )
        return self.wording.phrase(float(value)) if self.wording else self._by_unit(float(value))

    @property
    def _in_words(self) -> str:
        """``label share (against the last trained run)``."""
        words = self.name.partition(".")[2].replace("_", " ")
        for ending, which in _OF_WHICH.items():
            if words.endswith(ending):
                return words.removesuffix(ending) + which
        return words

    def _by_unit(self, value: float) -> str:
        unit, _, of_what = self.unit.partition(", ")
        if unit == "0 or 1":
            what = f"{self._in_words} ({of_what})" if of_what else self._in_words
            return f"{what}: {'yes' if value else 'no'}"
        if "0..1" in self.unit:
            return f"{self._in_words} is {percent(value)} ({self.unit})"
        if unit == "ms":
            return f"{self._in_words} is {duration(value)}"
        return f"{self._in_words} is {figure(value)} ({self.unit})"


def advice(features: Iterable[Feature], values: Mapping[str, Value]) -> str:
    """What to do where features have such values; the most pressing alone, "" for nothing.

    Args:
      features: of one topic.
      values: by feature name, also of others; None or absent where missing.
    """
    found = []
    for feature in features:
        rule, value = feature.wording and feature.wording.advice, values.get(feature.name)
        if (
            rule
            and isinstance(value, (int, float))
            and rule.holds(value)
            and not any(values.get(name) == 0 for name in rule.unless_new)
        ):
            found.append(rule)
    return min(found, key=lambda rule: rule.rank).sentence if found else ""


def numbers(
    group: str, stage: Stage, missing: str, source: str, **declared: str | tuple[str, Wording]
) -> tuple[Feature, ...]:
    """Declares numbers that share stage, meaning of missing and source.

    Args:
      group: first part of their names.
      stage: earliest stage at which they are known.
      missing: what a missing value means.
      source: where they come from.
      declared: unit, or unit and wording, by the second part of each name.
    """
    return tuple(
        Feature(f"{group}.{name}", stage, FeatureKind.NUMBER, unit, missing, source, wording)
        for name, one in declared.items()
        for unit, wording in [(one, None) if isinstance(one, str) else one]
    )


@dataclasses.dataclass(frozen=True)
class FeatureGroup:
    """Features that are computed together.

    Attributes:
      name: first part of their names.
      features: their declarations.
      columns: the values of rows by the second part of the name: of each feature
        that is declared for the rows' stage or an earlier one, and no other.
      properties: names of the MLMD properties that it reads, by the stage from
        which on it does.
    """

    name: str
    features: tuple[Feature, ...]
    columns: Callable[[Rows], Mapping[str, Values]]
    properties: Mapping[Stage, Collection[str]] = dataclasses.field(default_factory=dict)

    def known_at(self, stage: Stage) -> tuple[Feature, ...]:
        """Declarations of the features that are known at a stage."""
        return tuple(one for one in self.features if one.stage.order <= stage.order)

    def values(self, rows: Rows) -> dict[str, Values]:
        """The columns of rows by feature name, [rows] each.

        Raises:
          InvalidArgumentError: ``columns`` leaves out a feature that is known at the
            rows' stage, or returns a value under another name.
        """
        found = {f"{self.name}.{name}": values for name, values in self.columns(rows).items()}
        differing = found.keys() ^ {feature.name for feature in self.known_at(rows.stage)}
        if differing:
            raise InvalidArgumentError(
                f"group {self.name!r}",
                sorted(differing),
                f"its columns must be the features that it declares for stage {rows.stage}",
            )
        return found

    def properties_at(self, stage: Stage) -> frozenset[str]:
        """Names of the MLMD properties that it reads at a stage."""
        read = (names for at, names in self.properties.items() if at.order <= stage.order)
        return frozenset(name for names in read for name in names)


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of graphlets.

    >>> table = FeatureTable(
    ...     Stage.INPUT,
    ...     np.array([7, 9]),
    ...     numbers("own", Stage.INPUT, "never", "nowhere", age="hours"),
    ...     {"own.age": np.array([1.5, np.nan])},
    ... )
    >>> table.row(0), table.row(1)
    ({'own.age': 1.5}, {'own.age': None})

    Attributes:
      stage: the stage that the table was made for.
      trainer: int64 [n], MLMD id of each graphlet's Trainer execution; the id
        that the graphlet would get for one that has no Trainer yet is 0.
      features: declarations, in column order.
      columns: column by feature name, each [n].
    """

    stage: Stage
    trainer: IntArray
    features: tuple[Feature, ...]
    columns: Mapping[str, FeatureColumn]

    def __post_init__(self) -> None:
        for feature in self.features:
            if len(self.columns[feature.name]) != len(self.trainer):
                raise InvalidArgumentError(
                    f"columns[{feature.name!r}]",
                    len(self.columns[feature.name]),
                    f"its length must be the number of rows, {len(self.trainer)}",
                )

    def __len__(self) -> int:
        return len(self.trainer)

    def numbers(self, name: str) -> FloatArray:
        """A NUMBER column, float64 [n], NaN where missing."""
        return np.asarray(self.columns[name], np.float64)

    def take(self, rows: IntArray) -> FeatureTable:
        """The rows at the given positions, in the given order."""
        taken: dict[str, FeatureColumn] = {}
        for feature in self.features:
            column = self.columns[feature.name]
            if isinstance(column, tuple):
                taken[feature.name] = tuple(column[row] for row in rows)
            else:
                taken[feature.name] = column[rows]
        return FeatureTable(self.stage, self.trainer[rows], self.features, taken)

    @classmethod
    def concatenate(cls, tables: Sequence[FeatureTable]) -> FeatureTable:
        """Rows of all tables, which must have the same stage and features.

        Raises:
          InvalidArgumentError: ``tables`` is empty or its members differ in
            stage or features.
        """
        if not tables:
            raise InvalidArgumentError("tables", tables, "give at least one table")
        first = tables[0]
        for table in tables[1:]:
            if table.stage != first.stage or table.features != first.features:
                raise InvalidArgumentError(
                    "tables",
                    str(table.stage),
                    f"all must have stage {first.stage} and its features",
                )
        columns: dict[str, FeatureColumn] = {}
        for feature in first.features:
            parts = [table.columns[feature.name] for table in tables]
            if feature.kind is FeatureKind.CATEGORY:
                columns[feature.name] = tuple(value for part in parts for value in part)
            else:
                columns[feature.name] = np.concatenate([np.asarray(p, np.float64) for p in parts])
        trainer = np.concatenate([table.trainer for table in tables])
        return cls(first.stage, trainer, first.features, columns)

    def row(self, number: int) -> dict[str, float | str | None]:
        """One row as plain values; a missing number is None."""
        values: dict[str, float | str | None] = {}
        for feature in self.features:
            if feature.kind is FeatureKind.NUMBER:
                value = float(self.numbers(feature.name)[number])
                values[feature.name] = None if np.isnan(value) else value
            else:
                name = self.columns[feature.name][number]
                values[feature.name] = None if name is None else str(name)
        return values

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table, ``trainer`` first; missing values are null."""
        import pyarrow as pa

        arrays: dict[str, pa.Array] = {"trainer": pa.array(self.trainer, pa.int64())}
        for feature in self.features:
            if feature.kind is FeatureKind.NUMBER:
                arrays[feature.name] = pa.array(self.numbers(feature.name), from_pandas=True)
            else:
                arrays[feature.name] = pa.array(self.columns[feature.name], pa.string())
        return pa.table(arrays)
