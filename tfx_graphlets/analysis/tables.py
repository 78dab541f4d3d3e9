"""Tables: rows of plain values under columns that say what they mean."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Final, Literal, Union

import numpy as np

from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import DAY_MS

Cell = Union[str, float, int, bool, None]

_MOST_DAYS: Final = 92  # beyond, time is told in months


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
      name: key, in lower case.
      title: for people.
      unit: ``ms``, ``share`` (0..1), ``count``, ``name``, ``per day`` and so on.
      definition: a sentence.
    """

    name: str
    title: str
    unit: str
    definition: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A small table.

    Attributes:
      name: key, in lower case.
      title: for people.
      definition: what a row is.
      columns: the columns.
      rows: cells in the order of the columns; None where a value is not known.
    """

    name: str
    title: str
    definition: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def column(self, name: str) -> list[Cell]:
        """Cells of one column, from the first row to the last.

        Raises:
          KeyError: there is no such column.
        """
        names = [column.name for column in self.columns]
        if name not in names:
            raise KeyError(name)
        at = names.index(name)
        return [row[at] for row in self.rows]

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "definition": self.definition,
            "columns": [dataclasses.asdict(column) for column in self.columns],
            "rows": [list(row) for row in self.rows],
        }


def made(
    name: str,
    title: str,
    definition: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell]],
) -> Table:
    """A table; NaN and infinity become None.

    >>> made("t", "T", "A row.", [Column("a", "A", "count", "Of it.")], [[float("nan")]]).rows
    ((None,),)
    """
    plain = tuple(tuple(map(known, row)) for row in rows)
    return Table(name, title, definition, tuple(columns), plain)


STORE: Final = Column("store", "Store", "name", "Where it is recorded.")
PIPELINE: Final = Column("pipeline", "Pipeline", "name", "Pipeline context of the Trainer.")
PUSH_RATE: Final = Column("push_rate", "Push rate", "share", "Pushed among pushed and unpushed.")

QUANTILES: Final = (
    (0.0, "Least"),
    (0.1, "10 %"),
    (0.25, "25 %"),
    (0.5, "Median"),
    (0.75, "75 %"),
    (0.9, "90 %"),
    (1.0, "Most"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Measure:
    """What is measured of each of many things.

    Attributes:
      title: for people.
      unit: of the values, as for ``Column``.
      definition: a sentence.
      values: float64 [n], NaN where not known.
    """

    title: str
    unit: str
    definition: str
    values: FloatArray


def spread(name: str, title: str, things: str, measures: Iterable[Measure]) -> Table:
    """How measures differ between things: mean and quantiles of those that are known.

    >>> table = spread("t", "T", "pipelines", [Measure("A", "count", "Of it.", np.array([1., 3.]))])
    >>> table.column("mean"), table.column("q50"), table.column("q100")
    ([2.0], [2.0], [3.0])

    Args:
      name, title: of the table.
      things: what is measured, a plural.
      measures: a row each.
    """
    rows: list[list[Cell]] = []
    for one in measures:
        there = one.values[~np.isnan(one.values)]
        figures: list[Cell] = [None] * (1 + len(QUANTILES))
        if len(there):
            shares = [share for share, _ in QUANTILES]
            figures = [float(there.mean()), *np.quantile(there, shares).tolist()]
        rows.append([one.title, one.unit, one.definition, len(there), *figures])
    columns = [
        Column("measure", "Measure", "name", f"What is measured of each of the {things}."),
        Column("unit", "Unit", "name", "Of the row's values."),
        Column("definition", "Definition", "name", "What the measure is."),
        Column("known", "Known", "count", f"How many {things} it is known of."),
        Column("mean", "Mean", "as the row", "Over these."),
    ]
    for part, words in QUANTILES:
        definition = f"{part:.0%} of these are at most this."
        columns.append(Column(f"q{round(part * 100)}", words, "as the row", definition))
    return made(name, title, f"A row is a measure over all {things}.", columns, rows)


def known(value: Cell) -> Cell:
    """The value; None for NaN and infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def share(part: float, whole: float) -> float | None:
    """``part / whole``; None where the whole is nothing."""
    return part / whole if whole > 0 else None


def stretches(times_ms: IntArray) -> tuple[IntArray, list[str], str]:
    """Days, or months where the times span more than 92 days, in UTC.

    >>> stretches(np.array([0, 86_400_000, 86_400_001]))
    (array([0, 1, 1]), ['unknown', '1970-01-02'], 'Day')

    Args:
      times_ms: int64 [n], milliseconds since the epoch; 0 where missing.

    Returns:
      Number of each one's stretch, int64 [n]; names of the stretches, the
      missing first as ``unknown``; ``Day`` or ``Month``.
    """
    there = times_ms > 0
    span = int(times_ms[there].max() - times_ms[there].min()) if there.any() else 0
    unit: Literal["D", "M"] = "D" if span <= _MOST_DAYS * DAY_MS else "M"
    stretch = times_ms.astype("datetime64[ms]").astype(f"datetime64[{unit}]").astype(np.int64)
    missing = np.iinfo(np.int64).min
    found, number = np.unique(np.where(there, stretch, missing), return_inverse=True)
    names = [
        "unknown" if value == missing else str(np.datetime64(value, unit))
        for value in found.tolist()
    ]
    return number.reshape(-1).astype(np.int64), names, "Day" if unit == "D" else "Month"
