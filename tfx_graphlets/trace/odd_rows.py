"""Odd rows: what a store holds and its writer never writes, left out and said once.

SQLite keeps any value in any column, a copy of a store may have lost its keys, and an API may
answer with anything. One such row must neither end a reading nor count as something that it is
not. Rows that name what is not there are said in the same line: garbage collection leaves such.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tfx_graphlets.trace.rows import TABLES, Rows, Table
from tfx_graphlets.trace.strings import Coded
from tfx_graphlets.trace.trace import BoolArray, IntArray, PropertyKind

# A number in place of a value that is none, or of an id that is NULL; one that nobody writes.
ODD: Final = -(2**63) + 20_210_617
_LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999, milliseconds since the epoch
# Least and most of a number, by the column's name.
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "id": (0, 2**63 - 1),  # none is negative: the difference of two is a number too
    "state": (0, 127),  # states and event types are int8
    "type": (0, 127),
    **dict.fromkeys(("create_ms", "update_ms", "time_ms"), (-_LATEST_MS, _LATEST_MS)),
    "kind": (PropertyKind.INT, PropertyKind.BOOL),
    **dict.fromkeys(("code of name", "code of type"), (0, 2**31 - 1)),  # -1 where there is none
}
_SHOWN: Final = 3  # rows of a table in the message
_UNDER_WAY: Final = 100  # ids that transactions which are not over may hold

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass
class Missing:
    """One column of a table, in what names what is not there.

    Attributes:
      rows: int [n], numbers of its rows, ascending.
      ids: int [n], what each of them names; below 0 where even that is not known.
      highest: the highest id that is there.
    """

    rows: IntArray
    ids: IntArray
    highest: int

    @classmethod
    def of(cls, position: IntArray, ids: IntArray, known: IntArray) -> Missing:
        """What ``positions_of`` did not find of ``ids`` among ``known``, which ascends."""
        rows = np.flatnonzero(position < 0)
        return cls(rows, ids[rows], int(known[-1]) if len(known) else -1)

    def older(self) -> Missing:
        """Those whose ids are none of the newest."""
        kept = self.ids <= self.highest - _UNDER_WAY
        return Missing(self.rows[kept], self.ids[kept], self.highest)


@dataclasses.dataclass
class OddRows:
    """The rows of one store that were left out.

    Attributes:
      store: its name, for the message.
      writer: who writes such stores.
      moving: what is written during the reading may be seen in part. So a row that names one of
        the newest ids is not counted: those above the highest that was read, and 100 below it,
        which transactions under way may hold.
      odd: by table, rows with odd values: how many, and what names the first ones.
      gone: the same of rows that name what is not there.
    """

    store: str
    writer: str = "ML Metadata"
    moving: bool = False
    odd: dict[str, tuple[int, list[str]]] = dataclasses.field(default_factory=dict)
    gone: dict[str, tuple[int, list[str]]] = dataclasses.field(default_factory=dict)

    def add(self, table: str, names: list[str], count: int) -> None:
        """Counts rows of a table with odd values.

        Args:
          table: its name.
          names: what names the first of them.
          count: how many they are.
        """
        _add(self.odd, table, names, count)

    def add_columns(self, table: str, odd: BoolArray, columns: Mapping[str, Any]) -> None:
        """Counts the rows for which ``odd`` is true; integer columns by name say which they are."""
        first = np.flatnonzero(odd)[:_SHOWN].tolist()
        names = [
            " ".join(
                f"{name} {'unknown' if values[row] == ODD else values[row]}"
                for name, values in columns.items()
            )
            for row in first
        ]
        self.add(table, names, int(odd.sum()))

    def add_gone(self, table: str, columns: Mapping[str, Missing]) -> None:
        """Counts the rows that name what is not there, by the names of the columns that do."""
        if self.moving:
            columns = {name: one.older() for name, one in columns.items()}
        rows = np.unique(np.concatenate([one.rows for one in columns.values()]))
        names = [
            " ".join(
                f"{name} {one.ids[at] if one.ids[at] >= 0 else 'unknown'}"
                for name, one in columns.items()
                for at in np.flatnonzero(one.rows == row)
            )
            for row in rows[:_SHOWN]
        ]
        _add(self.gone, table, names, len(rows))

    def __str__(self) -> str:
        parts = [
            _in_words(rows, why)
            for rows, why in (
                (self.odd, f"with values that {self.writer} does not write"),
                (self.gone, "naming what is not there"),
            )
            if rows
        ]
        return f"{self.store}: {'; '.join(parts)}"

    def say(self) -> None:
        """Logs one line, where there are any, and forgets them."""
        if self.odd or self.gone:
            _LOGGER.warning("%s", self)
        self.odd, self.gone = {}, {}


def _add(rows: dict[str, tuple[int, list[str]]], table: str, names: list[str], count: int) -> None:
    if count:
        before, first = rows.get(table, (0, []))
        rows[table] = before + count, [*first, *names][:_SHOWN]


def _in_words(rows: Mapping[str, tuple[int, list[str]]], why: str) -> str:
    tables = "; ".join(
        f"{table} {count} ({', '.join(first)}{', ...' if count > _SHOWN else ''})"
        for table, (count, first) in sorted(rows.items())
    )
    total = sum(count for count, _ in rows.values())
    return f"{total} row{'s' if total > 1 else ''} {why} left out: {tables}"


def leave_out_odd_rows(rows: Rows, odd: OddRows) -> None:
    """Takes rows out of ``rows`` that no Trace can hold.

    An id is a number, 0 or more, and stands for one row, the first; a time is none (0) or within
    8,000 years of the epoch; states and event types are 0 to 127; a property has a name and is of
    one kind, and a node or context is of a type. Rows that name what is not there stay:
    ``assemble`` drops and counts these.

    Args:
      rows: rows of a store; ODD stands for what is no number.
      odd: counts them.
    """
    for name, kinds in TABLES.items():
        table = rows[name]
        numbers = {one: table[one] for one, kind in kinds.items() if issubclass(kind, np.integer)}
        codes = {f"code of {one}": table[one].code for one, kind in kinds.items() if kind is Coded}
        known = {one: values for one, values in codes.items() if one in _RANGES}
        wrong = _wrong({**numbers, **known})
        if "id" in table:
            wrong = _or(wrong, _repeated(table["id"]))
        if wrong is not None:
            odd.add_columns(name, wrong, _named(name, table))
            rows.keep(name, ~wrong)


def _named(name: str, table: Table) -> Mapping[str, Any]:
    """The columns that say in a message which row of a table it is."""
    if "owner" in table:
        return {name.removesuffix("Property").lower(): table["owner"]}
    keys = ("id",) if "id" in table else ("context", "execution", "artifact")
    return {key: table[key] for key in keys if key in table}


def _wrong(columns: Mapping[str, Any]) -> BoolArray | None:
    """Rows with ODD or a number out of its range, bool [n]; None where there is none."""
    result: BoolArray | None = None
    for name, values in columns.items():
        least, most = _RANGES.get(name, (None, None))
        if not len(values) or (least is None and int(values.min()) > ODD):
            continue
        wrong = values == ODD if least is None else (values < least) | (values > most)
        if bool(wrong.any()):
            result = _or(result, wrong)
    return result


def _repeated(ids: Any) -> BoolArray | None:
    """Rows with an id that an earlier row has, bool [n]; None where there is none."""
    if len(ids) < 2 or bool((ids[1:] > ids[:-1]).all()):
        return None
    _, first = np.unique(ids, return_index=True)
    result = np.ones(len(ids), bool)
    result[first] = False
    return result if bool(result.any()) else None


def _or(*wrong: BoolArray | None) -> BoolArray | None:
    found = [one for one in wrong if one is not None]
    return np.logical_or.reduce(found) if found else None
