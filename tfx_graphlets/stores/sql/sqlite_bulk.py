"""A SQLite file read in columns by ADBC, over several connections with one state of the file.

Rows become Arrow arrays without a Python object each. This is an optional way:
``sqlite_tables`` reads the same, only more slowly.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import importlib.util
import os
import queue
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tfx_graphlets.stores.sql.fetched import Fetched, QueryColumns
from tfx_graphlets.stores.sql.queries import Query

MAX_CONNECTIONS: Final = 4
_ATTEMPTS: Final = 5  # to begin at one state of a file that is being written
_ROWS_AT_ONCE: Final = 32_768
_OPTION_ROWS: Final = "adbc.sqlite.query.batch_rows"
_WAIT_MILLISECONDS: Final = 30_000


class UnreadableInBulkError(Exception):
    """ADBC cannot read the file; sqlite3 may, or says what is wrong with it."""


def is_installed() -> bool:
    """Whether the packages are there (extra ``bulk``)."""
    names = ("adbc_driver_manager", "adbc_driver_sqlite", "pyarrow")
    return all(importlib.util.find_spec(name) is not None for name in names)


def default_connections() -> int:
    """How many connections read at once: one a processor, at most four."""
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return min(MAX_CONNECTIONS, processors)


def fetch_all(
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
      UnreadableInBulkError: ADBC cannot read the file, or it is being written
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
                fetched = _fetched(connections, queries, prepare)
                # A writer waits for readers, unless the file is in write-ahead
                # mode. That it did not can only be the doing of this process:
                # whoever in it closes the file lets go of all its locks.
                if watch.writers_wait and watch.has_changed():
                    continue
                return fetched
        except refusals as error:
            raise UnreadableInBulkError(str(error)) from error
    raise UnreadableInBulkError("it is being written all the time")


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


def _fetched(
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
                result[name] = _fetch(connection, query)

    with concurrent.futures.ThreadPoolExecutor(len(connections)) as pool:
        for future in [pool.submit(work, connection) for connection in connections]:
            future.result()
    _give_back_memory()
    return result


def _fetch(connection: Any, query: Query) -> list[Fetched]:
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
