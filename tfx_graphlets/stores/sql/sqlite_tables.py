"""Queries to a SQLite file through sqlite3, and what restricts them to some pipelines."""

# ruff: noqa: S608 - all that stands in these queries is names of MLMD, and ids

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from tfx_graphlets.stores.sql import sqlite_file
from tfx_graphlets.stores.sql.fetched import Columns, Fetched
from tfx_graphlets.stores.sql.queries import Chosen, Queries, Query

ROWS_AT_ONCE: Final = 50_000

CHOSEN: Final = Chosen(
    executions="SELECT id FROM temp.chosen_execution",
    artifacts="SELECT id FROM temp.chosen_artifact",
    contexts="SELECT id FROM temp.chosen_context",
)
# Indexed in every schema version: Association and Attribution by context, Event
# by execution and by artifact. No index leads from an execution to its
# contexts: one pass over the index that holds both columns is the cheapest.
_CHOOSE: Final = """
INSERT INTO temp.chosen_execution SELECT DISTINCT execution_id FROM Association
  WHERE context_id IN (SELECT id FROM temp.chosen_pipeline);
INSERT INTO temp.chosen_artifact SELECT DISTINCT artifact_id FROM Event
  WHERE execution_id IN (SELECT id FROM temp.chosen_execution);
INSERT INTO temp.chosen_context SELECT context_id FROM Association
  WHERE execution_id IN (SELECT id FROM temp.chosen_execution)
  UNION SELECT id FROM temp.chosen_pipeline
"""


def choosing(contexts: Collection[int]) -> list[str]:
    """Statements that put what belongs to some pipeline contexts where CHOSEN looks."""
    names = [f"chosen_{one}" for one in ("execution", "artifact", "context", "pipeline")]
    return [
        *(f"CREATE TEMP TABLE IF NOT EXISTS {name} (id INTEGER PRIMARY KEY)" for name in names),
        *(f"DELETE FROM temp.{name}" for name in names),
        *(f"INSERT INTO temp.chosen_pipeline VALUES ({int(one)})" for one in contexts),
        *_CHOOSE.split(";"),
    ]


def known_columns(connection: sqlite3.Connection) -> Mapping[str, Collection[str]]:
    """Names of the columns of every table that is read."""
    return {table: sqlite_file.columns(connection, table) for table in sqlite_file.TABLES}


def fetch(connection: sqlite3.Connection, query: Query) -> list[Fetched]:
    """The columns of a query."""
    columns = Columns(query)
    cursor = connection.execute(query.text)
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        columns.add_rows(rows)
    return columns.done()


def fetch_all(connection: sqlite3.Connection, queries: Queries) -> dict[str, list[Fetched]]:
    """The columns of all queries, by table."""
    return {table: fetch(connection, query) for table, query in queries.all().items()}


def pipelines(connection: sqlite3.Connection, queries: Queries) -> Sequence[tuple[int, str]]:
    """Rows (id, name) of the contexts that stand for pipelines."""
    return connection.execute(queries.pipelines().text).fetchall()
