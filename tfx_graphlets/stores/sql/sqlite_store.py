"""SqliteStore: an MLMD SQLite file, read by SQL; schema versions 4 to 10.

Who only looks up loads nothing of what reads whole tables.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tfx_graphlets.stores.base import BaseStore
from tfx_graphlets.stores.files import FilePayloads
from tfx_graphlets.stores.lookups import Lookups
from tfx_graphlets.stores.selection import Selection
from tfx_graphlets.stores.sql import sqlite_file
from tfx_graphlets.trace.trace import Trace

# From this size on, what reading in bulk saves is more than what it costs to begin.
BULK_BYTES: Final = 32 * 2**20


class SqliteStore(BaseStore):
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

    def _read(self, selection: Selection) -> Trace:
        """The rows that are selected.

        All is read in one transaction: a program that writes to the file waits
        until the rows are in memory.
        """
        from tfx_graphlets.stores.sql import sqlite_tables

        file = sqlite_tables.OpenFile(self._connection, self._path, self._name)
        return sqlite_tables.read(file, selection, in_bulk=self._in_bulk())

    def _in_bulk(self) -> bool:
        if self._bulk is not None:
            return self._bulk
        from tfx_graphlets.stores.sql import sqlite_tables

        with contextlib.suppress(OSError):
            return self._path.stat().st_size >= BULK_BYTES and sqlite_tables.is_installed()
        return False

    def pipelines(self) -> Mapping[str, int]:
        """Number of executions of each pipeline; see ``Store.pipelines``."""
        from tfx_graphlets.stores.sql.dialects import SQLITE
        from tfx_graphlets.stores.sql.queries import Queries

        with sqlite_file.translated(self._name, self._path):
            query = Queries(SQLITE).pipeline_sizes()
            return dict(sorted(self._connection.execute(query.text)))

    @contextlib.contextmanager
    def lookups(self) -> Iterator[Lookups]:
        """Look-ups in one state of the file.

        Raises:
          StoreError: the file cannot be read.
        """
        from tfx_graphlets.stores.sql.sqlite_lookups import SqliteLookups

        with (
            sqlite_file.translated(self._name, self._path),
            sqlite_file.snapshot(self._connection),
        ):
            yield SqliteLookups(self._connection, self._name)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()
