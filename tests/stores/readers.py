"""The readers that the contract suite runs over, each opening the same SQLite file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from tfx_graphlets.errors import EmptyStoreError
from tfx_graphlets.stores.archive.archive import write_archive
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.sql import sqlite_tables
from tfx_graphlets.stores.sql.sqlite_file import SqliteStore
from tfx_graphlets.stores.store import Store, open_store
from tfx_graphlets.testing import TraceBuilder

needs_bulk = pytest.mark.skipif(
    not sqlite_tables.is_installed(), reason="adbc-driver-sqlite is not installed"
)
Reader = Callable[[Path], Store]

needs_mlmd = pytest.mark.skipif(
    importlib.util.find_spec("ml_metadata") is None, reason="ml-metadata is not installed"
)


def by_sql(path: Path) -> Store:
    """Opens the file by SQL."""
    return open_store(path)


def by_bulk(path: Path) -> Store:
    """Opens the file by SQL, read in columns."""
    return SqliteStore(path, bulk=True)


def by_mlmd(path: Path) -> Store:
    """Opens the file by the MLMD API."""
    return open_store(f"sqlite+mlmd://{path}")


def by_archive(path: Path) -> Store:
    """Archives the file beside itself, and opens the archive."""
    directory = path.with_suffix(".archive")
    with SqliteStore(path) as store:
        try:
            trace = store.read_trace()
        except EmptyStoreError:
            trace = TraceBuilder().trace()
        write_archive(trace, store.payloads, directory, created_ms=0, scrub=False)
    return ArchiveStore(directory)


READERS = [
    pytest.param(by_sql, id="sql"),
    pytest.param(by_bulk, id="bulk", marks=needs_bulk),
    pytest.param(by_mlmd, id="mlmd", marks=needs_mlmd),
    pytest.param(by_archive, id="archive"),
]
