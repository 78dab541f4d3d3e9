"""SqliteStore: an MLMD SQLite file, read by SQL; schema versions 4 to 10."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores import rows
from tfx_graphlets.stores.belonging import belonging_to
from tfx_graphlets.stores.files import FilePayloads
from tfx_graphlets.stores.selection import Columns, Selection
from tfx_graphlets.stores.sql import queries as queries_module
from tfx_graphlets.stores.sql import sqlite_bulk, sqlite_file, sqlite_tables
from tfx_graphlets.stores.sql.column_rows import raw_columns
from tfx_graphlets.stores.sql.fetched import Fetched
from tfx_graphlets.stores.sql.queries import Queries
from tfx_graphlets.trace.trace import Trace

if TYPE_CHECKING:
    from typing_extensions import Self

# From this size on, what reading in bulk saves is more than what it costs to begin.
BULK_BYTES: Final = 32 * 2**20

_LOGGER = logging.getLogger(__name__)
_Fetch = Callable[[Queries, Selection], "dict[str, list[Fetched]]"]


class SqliteStore:
    """An MLMD SQLite file, open for reading; never written, never migrated.

    A relative artifact URI is relative to the folder of the file.

    >>> SqliteStore("no/such.sqlite")
    Traceback (most recent call last):
      ...
    tfx_graphlets.errors.StoreNotFoundError: no/such.sqlite: there is no such file; check the path
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        bulk: bool | None = None,
        payload_root: str | os.PathLike[str] | None = None,
    ) -> None:
        """Opens the file.

        Args:
          path: the file.
          name: how messages name it; the path by default.
          bulk: whether to read by ADBC (extra ``bulk``), in columns and over
            several connections; by default where it is installed and the file
            is of some size. The Trace is the same.
          payload_root: folder that relative artifact URIs are relative to; that
            of the file by default.

        Raises:
          StoreError: as ``open_store``.
        """
        self._name = os.fspath(path) if name is None else name
        self._path = Path(path).absolute()
        self._connection = sqlite_file.connect(self._path, self._name)
        self._payloads = FilePayloads(self._path.parent if payload_root is None else payload_root)
        self._bulk = bulk

    @property
    def name(self) -> str:
        """The file as the user named it."""
        return self._name

    @property
    def payloads(self) -> Payloads:
        """The files below the artifacts' URIs."""
        return self._payloads

    def read_trace(
        self,
        *,
        pipeline: str | None = None,
        pipelines: Collection[str] | None = None,
        properties: Collection[str] | None = None,
        columns: Columns = Columns.ALL,
    ) -> Trace:
        """Reads the store; see ``Store.read_trace``.

        All is read in one transaction: a program that writes to the file waits
        until the rows are in memory.
        """
        selection = Selection.of(
            pipeline=pipeline, pipelines=pipelines, properties=properties, columns=columns
        )
        if pipeline is not None:
            whole = self.read_trace(properties=properties, columns=columns.for_belonging())
            return belonging_to(whole, pipeline, self.name)
        if self._in_bulk():
            try:
                return self._trace(selection, self._fetched_in_bulk)
            except sqlite_bulk.UnreadableInBulkError as error:
                _LOGGER.debug("%s is read row by row: %s", self._name, error)
        return self._trace(selection, self._fetched)

    def _trace(self, selection: Selection, fetch: _Fetch) -> Trace:
        with sqlite_file.translated(self._name, self._path):
            queries = Queries(
                queries_module.SQLITE,
                known=sqlite_tables.known_columns(self._connection),
                columns=selection.columns,
                properties=selection.properties,
                chosen=None if selection.pipelines is None else sqlite_tables.CHOSEN,
            )
            raw = raw_columns(fetch(queries, selection), queries)
        return rows.finish(raw, self._name, selection)

    def _fetched(self, queries: Queries, selection: Selection) -> dict[str, list[Fetched]]:
        connection = self._connection
        with sqlite_file.snapshot(connection):
            for statement in self._choosing(queries, selection):
                connection.execute(statement)
            return sqlite_tables.fetch_all(connection, queries)

    def _fetched_in_bulk(self, queries: Queries, selection: Selection) -> dict[str, list[Fetched]]:
        is_part = selection.pipelines is not None
        return sqlite_bulk.fetch_all(
            sqlite_file.uri_of(self._path),
            queries.all(),
            # What is chosen would be worked out on every connection again.
            num_connections=1 if is_part else sqlite_bulk.default_connections(),
            prepare=self._choosing(queries, selection),
        )

    def _choosing(self, queries: Queries, selection: Selection) -> list[str]:
        if selection.pipelines is None:
            return []
        found = sqlite_tables.pipelines(self._connection, queries)
        rows.check_pipelines(self._name, selection, {name for _, name in found})
        return sqlite_tables.choosing(
            [number for number, name in found if name in selection.pipelines]
        )

    def _in_bulk(self) -> bool:
        if self._bulk is not None:
            return self._bulk
        with contextlib.suppress(OSError):
            return self._path.stat().st_size >= BULK_BYTES and sqlite_bulk.is_installed()
        return False

    def pipelines(self) -> Mapping[str, int]:
        """Number of executions of each pipeline; see ``Store.pipelines``."""
        with sqlite_file.translated(self._name, self._path):
            query = Queries(queries_module.SQLITE).pipeline_sizes()
            return dict(sorted(self._connection.execute(query.text)))

    @contextlib.contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, for queries of one state of the file.

        Raises:
          StoreError: the file cannot be read.
        """
        with (
            sqlite_file.translated(self._name, self._path),
            sqlite_file.snapshot(self._connection),
        ):
            yield self._connection

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()
