"""The tables of a SQLite file as a Trace: queries through sqlite3, or in columns through ADBC.

ADBC reads over several connections with one state of the file, and rows become Arrow arrays
without a Python object each. This is an optional way: sqlite3 reads the same, only more slowly.
"""

# ruff: noqa: S608 - all that stands in these queries is names of MLMD, and ids

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import dataclasses
import importlib.util
import logging
import os
import queue
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tfx_graphlets.stores import rows
from tfx_graphlets.stores.selection import Selection
from tfx_graphlets.stores.sql import sqlite_file
from tfx_graphlets.stores.sql.queries import SQLITE, Chosen, Queries, Query
from tfx_graphlets.stores.sql.rows import Fetched, QueryColumns, rows_of
from tfx_graphlets.trace.odd_rows import OddRows
from tfx_graphlets.trace.trace import Trace

_LOGGER = logging.getLogger(__name__)
ROWS_AT_ONCE: Final = 50_000
MAX_CONNECTIONS: Final = 4
_ATTEMPTS: Final = 5  # to begin at one state of a file that is being written
_ROWS_AT_ONCE: Final = 32_768
_OPTION_ROWS: Final = "adbc.sqlite.query.batch_rows"
_WAIT_MILLISECONDS: Final = 30_000

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
        except _UnreadableInBulkError as error:
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
    return _fetch_in_bulk(
        sqlite_file.uri_of(file.path),
        queries.all(),
        # What is chosen would be worked out on every connection again.
        num_connections=1 if is_part else _default_connections(),
        prepare=_choosing(file, queries, selection),
    )


def _choosing(file: OpenFile, queries: Queries, selection: Selection) -> list[str]:
    if selection.pipelines is None:
        return []
    found = pipelines(file.connection, queries)
    rows.check_pipelines(file.name, selection, {name for _, name in found})
    return choosing([number for number, name in found if name in selection.pipelines])


class _UnreadableInBulkError(Exception):
    """ADBC cannot read the file; sqlite3 may, or says what is wrong with it."""


def is_installed() -> bool:
    """Whether the packages are there (extra ``bulk``)."""
    names = ("adbc_driver_manager", "adbc_driver_sqlite", "pyarrow")
    return all(importlib.util.find_spec(name) is not None for name in names)


def _default_connections() -> int:
    """How many connections read at once: one a processor, at most four."""
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return min(MAX_CONNECTIONS, processors)


def _fetch_in_bulk(
    uri: str,
    queries: Mapping[str, Query],
    *,
    num_connections: int,
    prepare: Sequence[str] = (),
) -> dict[str, list[Fetched]]:
    """The columns of all queries, all of one state of the file.

    Args:
      uri: SQLite's URI of the file, ``file:...?mode=ro`` or ``immutable=1``.
      queries: by name, the slowest first.
      num_connections: how many read at once.
      prepare: statements for every connection before the queries.

    Raises:
      _UnreadableInBulkError: ADBC cannot read the file, or it is being written
        all the time.
    """
    import adbc_driver_manager
    import pyarrow as pa

    # ImportError: its wheels differ in what they need themselves.
    refusals = (adbc_driver_manager.Error, pa.ArrowException, OSError, ImportError)
    num_connections = max(1, min(num_connections, len(queries)))
    for _ in range(_ATTEMPTS):
        try:
            with contextlib.ExitStack() as stack:
                watch = stack.enter_context(_Watch.over(uri))
                connections = [stack.enter_context(_connected(uri)) for _ in range(num_connections)]
                if watch.has_changed():
                    continue
                fetched = _fetched_by(connections, queries, prepare)
                # A writer waits for readers, unless the file is in write-ahead
                # mode. That it did not can only be the doing of this process:
                # whoever in it closes the file lets go of all its locks.
                if watch.writers_wait and watch.has_changed():
                    continue
                return fetched
        except refusals as error:
            raise _UnreadableInBulkError(str(error)) from error
    raise _UnreadableInBulkError("it is being written all the time")


class _Watch:
    """Sees whether another program has changed the file, and keeps its state meanwhile.

    Two copies of SQLite are in this process, Python's and ADBC's, and locks of
    a file belong to the process: when one copy lets go of its last lock, that of
    the other is gone. So Python's holds on to a state of its own throughout.
    """

    def __init__(self, holder: sqlite3.Connection, prober: sqlite3.Connection) -> None:
        self._prober = prober
        self._version = self._data_version()
        mode = holder.execute("PRAGMA journal_mode").fetchone()[0]
        self.writers_wait = str(mode).lower() != "wal"
        holder.execute("BEGIN")
        holder.execute("SELECT count(*) FROM MLMDEnv").fetchall()

    @classmethod
    @contextlib.contextmanager
    def over(cls, uri: str) -> Iterator[_Watch]:
        """Watches the file until the end of the block."""
        wait = _WAIT_MILLISECONDS / 1_000
        with (
            contextlib.closing(
                sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None)
            ) as holder,
            contextlib.closing(
                sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None)
            ) as prober,
        ):
            yield cls(holder, prober)

    def has_changed(self) -> bool:
        """True if another program has written to the file since this began."""
        return self._data_version() != self._version

    def _data_version(self) -> int:
        return int(self._prober.execute("PRAGMA data_version").fetchone()[0])


@contextlib.contextmanager
def _connected(uri: str) -> Iterator[Any]:
    """An ADBC connection with a transaction that has begun."""
    from adbc_driver_sqlite import dbapi

    with dbapi.connect(uri, autocommit=True) as connection:
        for statement in (
            f"PRAGMA busy_timeout = {_WAIT_MILLISECONDS}",
            "PRAGMA temp_store = MEMORY",
            "BEGIN",
            "SELECT count(*) FROM MLMDEnv",
        ):
            _execute(connection, statement)
        yield connection


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.fetch_arrow_table()  # also of one without rows: only now it has run to its end


def _fetched_by(
    connections: Sequence[Any], queries: Mapping[str, Query], prepare: Sequence[str]
) -> dict[str, list[Fetched]]:
    waiting: queue.SimpleQueue[tuple[str, Query]] = queue.SimpleQueue()
    for item in queries.items():
        waiting.put(item)
    result: dict[str, list[Fetched]] = {}

    def work(connection: Any) -> None:
        for statement in prepare:
            _execute(connection, statement)
        with contextlib.suppress(queue.Empty):
            while True:
                name, query = waiting.get_nowait()
                result[name] = _fetch_batches(connection, query)

    with concurrent.futures.ThreadPoolExecutor(len(connections)) as pool:
        for future in [pool.submit(work, connection) for connection in connections]:
            future.result()
    _give_back_memory()
    return result


def _fetch_batches(connection: Any, query: Query) -> list[Fetched]:
    columns = QueryColumns(query)
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{_OPTION_ROWS: str(_ROWS_AT_ONCE)})
        cursor.execute(query.text)
        with cursor.fetch_record_batch() as reader:
            for batch in reader:
                columns.add(batch.columns)
    return columns.done()


def _give_back_memory() -> None:
    """Has the C library give back what the portions left in its heaps, where it is glibc."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
