"""Odd rows: what a store holds and ML Metadata never writes, left out and said once.

SQLite keeps any value in any column, and a copy of a store may have lost its keys. One such
row must neither end a reading nor count as something that it is not.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tfx_graphlets.trace.raw_tables import RawColumns
from tfx_graphlets.trace.trace import BoolArray, PropertyKind

# A number in place of a value that is none, or of an id that is NULL; one that nobody writes.
ODD: Final = -(2**63) + 20_210_617
_LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999, milliseconds since the epoch
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "id": (0, 2**63 - 1),  # none is negative: the difference of two is a number too
    "state": (0, 127),  # states and event types are int8
    "type": (0, 127),
    "create_ms": (-_LATEST_MS, _LATEST_MS),
    "update_ms": (-_LATEST_MS, _LATEST_MS),
    "ms": (-_LATEST_MS, _LATEST_MS),
    "kind": (PropertyKind.INT, PropertyKind.BOOL),
}
_TABLES: Final = ("execution", "artifact", "event", "context", "association", "attribution")
_WITH_IDS: Final = ("execution", "artifact", "context")
_SHOWN: Final = 3  # rows of a table in the message

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass
class OddRows:
    """The rows of one store that were left out.

    Attributes:
      store: its name, for the message.
      rows: by table, what names the first ones.
      count: by table, how many there are.
    """

    store: str
    rows: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    count: dict[str, int] = dataclasses.field(default_factory=dict)

    def add(self, table: str, names: list[str], count: int) -> None:
        """Counts rows of a table.

        Args:
          table: its name.
          names: what names the first of them.
          count: how many they are.
        """
        if count:
            self.rows[table] = [*self.rows.get(table, ()), *names][:_SHOWN]
            self.count[table] = self.count.get(table, 0) + count

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

    def __str__(self) -> str:
        tables = "; ".join(
            f"{table} {count} ({', '.join(self.rows[table])}{', ...' if count > _SHOWN else ''})"
            for table, count in sorted(self.count.items())
        )
        total = sum(self.count.values())
        return (
            f"{self.store}: {total} row{'s' if total > 1 else ''} with values that ML Metadata "
            f"does not write left out: {tables}"
        )

    def say(self) -> None:
        """Logs one line, where there are any, and forgets them."""
        if self.count:
            _LOGGER.warning("%s", self)
        self.rows, self.count = {}, {}


def leave_out_odd_rows(raw: RawColumns, odd: OddRows) -> None:
    """Takes rows out of ``raw`` that no Trace can hold.

    An id is a number, 0 or more, and stands for one row, the first; a time is none (0) or
    within 8,000 years of the epoch; states and event types are 0 to 127; a property is of one
    kind. Rows that name what is not there stay: readers drop these, and count events
    (``Events.dropped``).

    Args:
      raw: rows of a store; ODD stands for what is no number.
      odd: counts them.
    """
    for table in _TABLES:
        columns = {
            name.removeprefix(f"{table}_"): column
            for name, column in vars(raw).items()
            if name.startswith(f"{table}_") and isinstance(column, np.ndarray)
        }
        wrong = _wrong(columns)
        if table in _WITH_IDS:
            wrong = _or(wrong, _repeated(columns["id"]))
        if wrong is None:
            continue
        keys = ("id",) if table in _WITH_IDS else ("context", "execution", "artifact")
        named = {key: columns[key] for key in keys if key in columns}
        odd.add_columns(table.capitalize(), wrong, named)
        for name, column in raw.take(table, ~wrong).items():
            setattr(raw, name, column)
    for table in ("execution", "artifact"):
        name = f"{table}_properties"
        rows = getattr(raw, name)
        wrong = _wrong({one: getattr(rows, one) for one in ("owner", "kind", "int_value")})
        if wrong is not None:
            odd.add_columns(f"{table.capitalize()}Property", wrong, {table: rows.owner})
            setattr(raw, name, rows.take(~wrong))


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
