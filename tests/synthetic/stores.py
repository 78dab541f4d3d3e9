"""Looks into stores that were written."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

TABLES = (
    "Type", "TypeProperty", "ParentType", "Artifact", "ArtifactProperty", "Execution",
    "ExecutionProperty", "Event", "EventPath", "Context", "ContextProperty", "ParentContext",
    "Association", "Attribution", "MLMDEnv", "sqlite_sequence",
)  # fmt: skip


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, in the order of its number."""
    # MLMD writes the properties of a type in an order that differs from process to process.
    order = {"sqlite_sequence": "name", "TypeProperty": "type_id, name"}
    return {
        table: query(path, f"SELECT * FROM {table} ORDER BY {order.get(table, 'rowid')}")
        for table in TABLES
    }


def schema(path: Path) -> list[tuple[Any, ...]]:
    """Tables and indexes with what makes them, by name."""
    return sorted(query(path, "SELECT type, name, tbl_name, sql FROM sqlite_master"))
