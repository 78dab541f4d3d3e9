"""The tables of a SQLite file as a Trace: queries through sqlite3, and what restricts them."""

# ruff: noqa: S608 - all that stands in these queries is names of MLMD, and ids

from __future__ import annotations

import dataclasses
import logging
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from tfx_graphlets.stores import rows
from tfx_graphlets.stores.selection import Selection
from tfx_graphlets.stores.sql import sqlite_bulk, sqlite_file
from tfx_graphlets.stores.sql.dialects import SQLITE
from tfx_graphlets.stores.sql.fetched import Fetched, QueryColumns
from tfx_graphlets.stores.sql.queries import Chosen, Queries, Query
from tfx_graphlets.stores.sql.rows import rows_of
from tfx_graphlets.trace.odd_rows import OddRows
from tfx_graphlets.trace.trace import Trace

_LOGGER = logging.getLogger(__name__)
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
    columns = QueryColumns(query)
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


@dataclasses.dataclass(frozen=True)
class OpenFile:
    """A SQLite file that is open: the connection, the path, how messages name it."""

    connection: sqlite3.Connection
    path: Path
    name: str


def read(file: OpenFile, selection: Selection, *, in_bulk: bool) -> Trace:
    """What a selection names, all of one state of the file.

    Args:
      file: the store.
      selection: what is read.
      in_bulk: by ADBC, if that can; the Trace is the same.

    Raises:
      StoreError: the file cannot be read.
    """
    if in_bulk:
        try:
            return _read(file, selection, in_bulk=True)
        except sqlite_bulk.UnreadableInBulkError as error:
            _LOGGER.debug("%s is read row by row: %s", file.name, error)
    return _read(file, selection, in_bulk=False)


def _read(file: OpenFile, selection: Selection, *, in_bulk: bool) -> Trace:
    with sqlite_file.translated(file.name, file.path):
        queries = Queries(
            SQLITE,
            known=known_columns(file.connection),
            columns=selection.columns,
            properties=selection.properties,
            chosen=None if selection.pipelines is None else CHOSEN,
        )
        fetch = _fetched_in_bulk if in_bulk else _fetched
        odd = OddRows(file.name)
        raw = rows_of(fetch(file, queries, selection), queries, odd)
    return rows.finish(raw, file.name, selection, odd)


def _fetched(file: OpenFile, queries: Queries, selection: Selection) -> dict[str, list[Fetched]]:
    with sqlite_file.snapshot(file.connection):
        for statement in _choosing(file, queries, selection):
            file.connection.execute(statement)
        return fetch_all(file.connection, queries)


def _fetched_in_bulk(
    file: OpenFile, queries: Queries, selection: Selection
) -> dict[str, list[Fetched]]:
    is_part = selection.pipelines is not None
    return sqlite_bulk.fetch_all(
        sqlite_file.uri_of(file.path),
        queries.all(),
        # What is chosen would be worked out on every connection again.
        num_connections=1 if is_part else sqlite_bulk.default_connections(),
        prepare=_choosing(file, queries, selection),
    )


def _choosing(file: OpenFile, queries: Queries, selection: Selection) -> list[str]:
    if selection.pipelines is None:
        return []
    found = pipelines(file.connection, queries)
    rows.check_pipelines(file.name, selection, {name for _, name in found})
    return choosing([number for number, name in found if name in selection.pipelines])
