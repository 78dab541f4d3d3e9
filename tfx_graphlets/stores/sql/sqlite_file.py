"""SqliteStore: an MLMD SQLite file, opened without ever changing it, and read by SQL.

Schema versions 4 to 10. Who only looks up loads nothing of what reads whole tables.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import (
    Fault,
    NotAMetadataStoreError,
    StoreError,
    StoreNotFoundError,
    UnsupportedSchemaError,
)
from tfx_graphlets.stores.files import FilePayloads
from tfx_graphlets.stores.lookups import Lookups
from tfx_graphlets.stores.selection import Selection
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.trace import Trace

TABLES: Final = (
    "Type",
    "Artifact",
    "ArtifactProperty",
    "Execution",
    "ExecutionProperty",
    "Event",
    "EventPath",
    "Context",
    "Association",
    "Attribution",
)
_READ: Final = frozenset({*TABLES, "MLMDEnv", "ParentContext"})
_STORED: Final = re.compile(r"\s*CREATE\s+TABLE\b", re.IGNORECASE)
# Columns that are read, and the first schema version that has them (ml-metadata,
# metadata_source_query_config.cc); all others are as old as version 4.
_SINCE: Final = {
    "Artifact": {"state": 5, "create_time_since_epoch": 5, "last_update_time_since_epoch": 5},
    "Execution": {
        "last_known_state": 5,
        "create_time_since_epoch": 5,
        "last_update_time_since_epoch": 5,
    },
    "Context": {"create_time_since_epoch": 5},
    "ArtifactProperty": {"bool_value": 9},
    "ExecutionProperty": {"bool_value": 9},
}
# Columns of integers; of these the small ones, and those without which a row is of nothing.
_KEYS: Final = ("id", "type_id", "artifact_id", "execution_id", "context_id", "event_id")
_SMALL: Final = ("state", "last_known_state", "type", "is_custom_property")
_INTEGERS: Final = (
    *_KEYS,
    *_SMALL,
    "int_value",
    "bool_value",
    "create_time_since_epoch",
    "last_update_time_since_epoch",
    "milliseconds_since_epoch",
)
_TEXTS: Final = ("name", "uri", "string_value", "step_key")
_HEADER: Final = b"SQLite format 3\0"
_WRITE_VERSION: Final = 18  # offset in the header; 2 means write-ahead logging
_WAIT_SECONDS: Final = 30.0  # for a program that is writing


def connect(path: Path, name: str) -> sqlite3.Connection:
    """Opens an MLMD SQLite file, read-only, and checks its schema.

    Args:
      path: the file.
      name: the store's name, for messages.

    Raises:
      StoreNotFoundError, NotAMetadataStoreError, UnsupportedSchemaError: see
        ``open_store``.
      StoreError: the file cannot be read.
    """
    _check_file(path, name)
    with translated(name, path):
        connection = sqlite3.connect(
            uri_of(path),
            uri=True,
            timeout=_WAIT_SECONDS,
            isolation_level=None,
        )
        try:
            # What is no text must not keep the rest from being read.
            connection.text_factory = _decoded
            connection.execute("PRAGMA temp_store = MEMORY")
            _check_schema(connection, name)
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def translated(name: str, path: Path) -> Iterator[None]:
    """Turns errors of sqlite3 about the store ``name`` at ``path`` into this library's.

    Raises:
      NotAMetadataStoreError: the file is no database, or a damaged one.
      StoreError: it cannot be read for another reason.
    """
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise StoreError(name, f"cannot be read ({error}); open it again") from error
    except sqlite3.OperationalError as error:
        journal = path.with_name(path.name + "-journal")
        advice = (
            f"a program ended while writing and left {journal.name}: open the file once for "
            "writing, for example with ml-metadata, so that SQLite takes the half back"
            if journal.exists() and journal.stat().st_size
            else "see that no program keeps it locked and that it can be read, then try again"
        )
        failed = StoreError(name, f"cannot be read ({error}); {advice}")
        # Python 3.10 tells of the code in the message alone.
        busy = "locked" in str(error)
        raise failed.with_fault(Fault.STORE_BUSY if busy else failed.fault) from error
    except sqlite3.DatabaseError as error:
        raise NotAMetadataStoreError(
            name,
            f"is no SQLite database, or a damaged one ({error}); restore it from a copy, or "
            "name another file",
        ) from error


@contextlib.contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """One state of the file for all queries inside; a writer waits meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def uri_of(path: Path) -> str:
    """SQLite's URI that opens the file for reading only."""
    return f"{path.absolute().as_uri()}?{_mode(path)}"


def columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Names of the columns of a table."""
    return frozenset(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))


def schema_version(connection: sqlite3.Connection) -> int:
    """The version that the table MLMDEnv states; 0 where it states none, or several."""
    versions = connection.execute("SELECT schema_version FROM MLMDEnv").fetchall()
    stated = versions[0][0] if len(versions) == 1 else 0
    return stated if isinstance(stated, int) else 0


def first_odd_table(connection: sqlite3.Connection) -> str:
    """The first table with a value that ml-metadata does not write; "" if there is none.

    One pass over each table: a small part of what the API takes to read them.
    """
    for table in TABLES:
        known = columns(connection, table)
        # The state of Type's rows and what else is not read does not count.
        odd = [f"typeof({one}) <> 'integer'" for one in _KEYS if one in known]
        odd += [f"typeof({one}) NOT IN ('integer', 'null')" for one in _INTEGERS if one in known]
        odd += [f"{one} NOT BETWEEN 0 AND 127" for one in _SMALL if one in known]
        odd += [f"typeof({one}) NOT IN ('text', 'null')" for one in _TEXTS if one in known]
        if table == "Type":
            odd.append("name IS NULL")
        if "double_value" in known:
            odd.append("typeof(double_value) IN ('text', 'blob')")
            values = [one for one in known if one.endswith("_value")]
            odd.append(f"coalesce({', '.join(values)}) IS NULL")
        if "type_id" in known:
            odd.append("type_id NOT IN (SELECT id FROM Type)")
        query = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {' OR '.join(odd)})"  # noqa: S608 - MLMD's names
        if connection.execute(query).fetchone()[0]:
            return table
    return ""


def check_columns(name: str, version: int, known: Mapping[str, Collection[str]]) -> None:
    """Whether the columns are those of the schema version that a store states.

    Otherwise it would be read as an older one, without states and times, and a
    gate would believe it.

    Raises:
      NotAMetadataStoreError: one is missing.
    """
    for table, since in _SINCE.items():
        for column, first in since.items():
            if first <= version and column not in known[table]:
                raise NotAMetadataStoreError(
                    name,
                    f"states MLMD schema {version}, and its table {table} lacks the column "
                    f"{column} of it; restore it from a copy",
                )


def _check_file(path: Path, name: str) -> None:
    try:
        if not path.exists():
            raise StoreNotFoundError(name, "there is no such file; check the path")
        if path.is_dir():
            raise NotAMetadataStoreError(name, "is a directory; name the SQLite file in it")
        if not path.is_file():  # to open a named pipe is to wait for who writes
            raise NotAMetadataStoreError(name, "is no regular file; name a SQLite file")
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
    except OSError as error:
        raise StoreError(name, f"cannot be read ({error.strerror}); check its rights").with_fault(
            Fault.NO_RIGHTS if isinstance(error, PermissionError) else Fault.STORE_FAILED
        ) from error
    if not header:
        raise NotAMetadataStoreError(
            name, "is an empty file; name the SQLite file that TFX or ml-metadata wrote"
        )
    if header != _HEADER:
        raise NotAMetadataStoreError(
            name, "is no SQLite database; name the SQLite file that TFX or ml-metadata wrote"
        )


def _mode(path: Path) -> str:
    # A file in write-ahead mode cannot be opened without writing beside it,
    # unless it is declared immutable; which is true while it has no log.
    with path.open("rb") as file:
        header = file.read(_WRITE_VERSION + 1)
    log = path.with_name(path.name + "-wal")
    in_write_ahead_mode = header[_WRITE_VERSION:] == b"\2"
    if in_write_ahead_mode and not (log.exists() and log.stat().st_size):
        return "immutable=1"
    return "mode=ro"


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _check_schema(connection: sqlite3.Connection, name: str) -> None:
    schema = connection.execute("SELECT name, type, sql FROM sqlite_master").fetchall()
    found = {name for name, _, _ in schema}
    missing = [table for table in TABLES if table not in found]
    if len(missing) == len(TABLES):
        raise NotAMetadataStoreError(
            name,
            "is a SQLite database without the tables of ML Metadata; name the file that TFX "
            "or ml-metadata wrote",
        )
    for table, kind, sql in schema:
        if table in _READ and (kind == "view" or (kind == "table" and not _STORED.match(sql))):
            raise _computed(name, f"has a view, or a virtual table, by the name {table}")
    for table in sorted(_READ & found):
        if any(row[6] for row in connection.execute(f"PRAGMA table_xinfo({table})")):
            raise _computed(name, f"has a generated column in its table {table}")
    version = schema_version(connection) if "MLMDEnv" in found else 0
    # A schema to come may have other tables: its version is looked at first.
    oldest, newest = vocabulary.OLDEST_SCHEMA_VERSION, vocabulary.NEWEST_SCHEMA_VERSION
    if version > newest:
        raise UnsupportedSchemaError(
            name,
            version,
            f"has MLMD schema {version}, newer than {newest}, the newest that this "
            "release reads; upgrade tfx-graphlets",
        )
    if missing:
        raise NotAMetadataStoreError(
            name, f"lacks the table {missing[0]} of ML Metadata; restore it from a copy"
        )
    if version < oldest:
        shown = f"MLMD schema {version}" if version else "an MLMD schema without a version"
        raise UnsupportedSchemaError(
            name,
            version,
            f"has {shown}, older than {oldest}, the oldest that this release reads; "
            "let ml-metadata upgrade a copy (enable_upgrade_migration) and name that",
        )
    check_columns(name, version, {table: columns(connection, table) for table in _SINCE})


def _computed(name: str, problem: str) -> NotAMetadataStoreError:
    """An error about what is computed when it is read, which may take for ever or all memory."""
    return NotAMetadataStoreError(
        name, f"{problem}, which ML Metadata never makes; name the file that it wrote"
    )


# From this size on, what reading in bulk saves is more than what it costs to begin.
BULK_BYTES: Final = 32 * 2**20


class SqliteStore(Store):
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
        self._connection = connect(self._path, self._name)
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
        from tfx_graphlets.stores.sql.queries import SQLITE, Queries

        with translated(self._name, self._path):
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
            translated(self._name, self._path),
            snapshot(self._connection),
        ):
            yield SqliteLookups(self._connection, self._name)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()
