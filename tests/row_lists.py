"""The lists of a RowBuilder as rows, for tests that read or change a store before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfx_graphlets.trace.rows import TABLES, RowBuilder, Rows, property_values
from tfx_graphlets.trace.strings import Coded


def rows_of(raw: RowBuilder, table: str) -> list[tuple[Any, ...]]:
    """The rows of a table, columns as in TABLES."""
    return list(zip(*raw[table].values()))


def put(raw: RowBuilder, table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Exchanges the rows of a table."""
    rows = list(rows)
    for column in raw[table].values():
        column.clear()
    raw.extend(table, rows)


def properties_of(raw: RowBuilder, table: str) -> list[tuple[int, str, bool, int, Any]]:
    """Owner, name, whether it is custom, kind and value of the properties of a table's rows."""
    name = f"{table}Property"
    values = property_values(raw.rows()[name])
    return [(*row[:4], value) for row, value in zip(rows_of(raw, name), values)]


def lists_of(rows: Rows) -> RowBuilder:
    """The same rows in lists."""
    raw = RowBuilder()
    for table, kinds in TABLES.items():
        for name in kinds:
            column = rows[table][name]
            plain = column.rows() if isinstance(column, Coded) else column
            raw[table][name][:] = plain.tolist() if isinstance(plain, np.ndarray) else plain
    return raw
