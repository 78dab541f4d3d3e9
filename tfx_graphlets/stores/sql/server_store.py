"""ServerStore: ML Metadata's tables in MySQL or PostgreSQL, read in columns by SQL."""

# ruff: noqa: S608 - names are MLMD's; what a user gives goes through Dialect.literal

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib.util
import logging
import math
import socket
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import (
    MissingDependencyError,
    NotAMetadataStoreError,
    StoreError,
    StoreNotFoundError,
    UnsupportedSchemaError,
)
from tfx_graphlets.stores import rows
from tfx_graphlets.stores.files import FilePayloads
from tfx_graphlets.stores.lookups import Lookups
from tfx_graphlets.stores.selection import Selection
from tfx_graphlets.stores.sql import driver
from tfx_graphlets.stores.sql.queries import MYSQL, POSTGRESQL, Chosen, Kind, Queries, Query
from tfx_graphlets.stores.sql.rows import Fetched, QueryColumns, rows_of
from tfx_graphlets.stores.sql.sqlite_file import TABLES, check_columns
from tfx_graphlets.stores.store import Store
from tfx_graphlets.stores.uris import Server
from tfx_graphlets.trace.odd_rows import OddRows
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.trace.trace import Trace

_LOGGER = logging.getLogger(__name__)
_DIALECTS: Final = {"mysql": MYSQL, "postgresql": POSTGRESQL}
_THIS_SCHEMA: Final = {"mysql": "DATABASE()", "postgresql": "current_schema()"}
_CONNECTIONS: Final = 2
_ROWS_AT_ONCE: Final = 65_536


def is_installed() -> bool:
    """Whether ConnectorX is there (extra ``bulk``)."""
    return all(importlib.util.find_spec(name) is not None for name in ("connectorx", "pyarrow"))


class ServerStore(Store):
    """A metadata database in MySQL or PostgreSQL, open for reading; schema versions 4 to 10.

    Nothing is written to it. Every reading asks over several connections, which
    have no transaction in common: it begins with the highest ids of all tables
    and reads no further, so that what is written meanwhile is left out. What is
    changed or deleted meanwhile may be read in either state.
    """

    def __init__(self, server: Server) -> None:
        """Connects, and checks that it holds ML Metadata's tables.

        Args:
          server: where it answers.

        Raises:
          StoreError: as ``open_store``.
        """
        if not is_installed():
            raise MissingDependencyError(
                "connectorx", "bulk", "reading a database server in columns"
            )
        self._server = server
        self._closed = False
        self._payloads = FilePayloads(None)
        self._known = self._checked_columns()

    @property
    def name(self) -> str:
        """The database, without credentials."""
        return self._server.name

    @property
    def server(self) -> Server:
        """Where it answers."""
        return self._server

    def _read(self, selection: Selection) -> Trace:
        queries = self._queries(
            columns=selection.columns,
            properties=selection.properties,
            chosen=None if selection.pipelines is None else self._chosen(selection),
            bounds=self._bounds(),
        )
        odd = OddRows(self.name, moving=True)
        raw = rows_of(self._fetch_all(queries.all()), queries, odd)
        return rows.finish(raw, self.name, selection, odd)

    def pipelines(self) -> Mapping[str, int]:
        """Number of executions of each pipeline; see ``Store.pipelines``."""
        names, sizes = map(_plain, self._fetch(self._queries().pipeline_sizes()))
        return dict(sorted(zip(names, sizes)))

    @contextlib.contextmanager
    def lookups(self) -> Iterator[Lookups | None]:
        """Look-ups by the MLMD API, which asks for a few rows by their keys; None over TLS.

        Raises:
          StoreError: the store cannot be read.
        """
        if self._server.tls is not None:
            _LOGGER.info("%s is read as a whole: ml-metadata knows no TLS", self.name)
            yield None
            return
        from tfx_graphlets.stores.mlmd.store import MlmdStore

        with MlmdStore.from_server(self._server) as by_api, by_api.lookups() as found:
            yield found

    def close(self) -> None:
        """Lets go of the store; connections last no longer than a query."""
        self._closed = True

    def _queries(self, **arguments: Any) -> Queries:
        return Queries(_DIALECTS[self._server.backend], known=self._known, **arguments)

    def _checked_columns(self) -> Mapping[str, Collection[str]]:
        """Names of the columns of every table.

        Raises:
          StoreNotFoundError, NotAMetadataStoreError, UnsupportedSchemaError.
        """
        server = self._server
        try:
            socket.create_connection((server.host, server.port), server.connect_seconds).close()
        except OSError as error:
            raise StoreNotFoundError(
                self.name, "does not answer; check host and port, and that the server is running"
            ) from error
        driver.check_login(server)
        schema = _THIS_SCHEMA[server.backend]
        # concat: what the catalogue's own columns are is no type that Arrow has.
        tables, columns = self._fetch(
            Query(
                "SELECT concat(table_name, ''), concat(column_name, '') "
                f"FROM information_schema.columns WHERE table_schema = {schema}",
                (Kind.TEXT, Kind.TEXT),
            )
        )
        found: dict[str, set[str]] = {}
        for table, column in zip(_plain(tables), _plain(columns)):
            found.setdefault(str(table).lower(), set()).add(str(column))
        missing = [table for table in (*TABLES, "MLMDEnv") if table.lower() not in found]
        if missing:
            raise NotAMetadataStoreError(
                self.name,
                f"lacks the table {missing[0]} of ML Metadata; name the database that "
                "TFX or ml-metadata wrote",
            )
        (versions,) = self._fetch(Query("SELECT schema_version FROM MLMDEnv", (Kind.INTEGER,)))
        version = _plain(versions)[0] if len(versions) == 1 else 0
        oldest, newest = vocabulary.OLDEST_SCHEMA_VERSION, vocabulary.NEWEST_SCHEMA_VERSION
        if not oldest <= version <= newest:
            raise UnsupportedSchemaError(
                self.name,
                version,
                f"has MLMD schema {version or 'of no version'}; this release "
                f"reads {oldest} to {newest}",
            )
        known = {table: found[table.lower()] for table in TABLES}
        check_columns(self.name, version, known)
        return known

    def _bounds(self) -> dict[str, int]:
        """Highest id of each table that is to be read, all of one moment."""
        tables = ("Execution", "Artifact", "Event", "Context", "Association", "Attribution")
        parts = ", ".join(
            _DIALECTS[self._server.backend].integer.format(
                column=f"(SELECT max(id) FROM {table})", null=0
            )
            for table in tables
        )
        columns = self._fetch(Query(f"SELECT {parts}", (Kind.INTEGER,) * len(tables)))
        bounds = {table: _plain(column)[0] for table, column in zip(tables, columns)}
        return {
            **bounds,
            "ExecutionProperty": bounds["Execution"],
            "ArtifactProperty": bounds["Artifact"],
            "EventPath": bounds["Event"],
        }

    def _chosen(self, selection: Selection) -> Chosen:
        ids, names = map(_plain, self._fetch(self._queries().pipelines()))
        rows.check_pipelines(self.name, selection, set(names))
        wanted = [number for number, name in zip(ids, names) if name in (selection.pipelines or ())]
        return _chosen_by_ids(wanted)

    def _fetch_all(self, queries: Mapping[str, Query]) -> dict[str, list[Fetched]]:
        with concurrent.futures.ThreadPoolExecutor(_CONNECTIONS) as pool:
            waiting = {name: pool.submit(self._fetch, query) for name, query in queries.items()}
            return {name: future.result() for name, future in waiting.items()}

    def _fetch(self, query: Query) -> list[Fetched]:
        if self._closed:
            raise StoreError(self.name, "is closed; open it again")
        return driver.again(self._server, lambda: self._fetch_once(query))

    def _fetch_once(self, query: Query) -> list[Fetched]:
        """One attempt; errors are StoreErrors, or a driver's that can pass."""
        server, columns = self._server, QueryColumns(query)
        if server.backend == "mysql":
            columns.map_texts(_as_mlmd_wrote)
            if server.tls is not None:
                for portion in driver.rows(server, query.text):
                    columns.add_arrays(portion)
                return columns.done()
        import connectorx

        limits = driver.limits_of_statements(server) if server.backend == "mysql" else None
        try:
            reader = connectorx.read_sql(
                _uri(server),
                query.text,
                return_type="arrow_stream",
                batch_size=_ROWS_AT_ONCE,
                pre_execution_query=limits,
            )
            for batch in reader:
                columns.add(batch.columns)
        # What Rust panics with is no Exception.
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
                raise
            if driver.can_pass(server, error):
                raise RuntimeError(_without_secrets(str(error), server)) from None
            said = RuntimeError(_without_secrets(str(error), server))
            raise driver.refusal(server, said) from None  # its text may hold the password
        return columns.done()


def _as_mlmd_wrote(text: str) -> str:
    """The text that ml-metadata gave to MySQL.

    It gives UTF-8 over a connection that it leaves at MySQL's latin1 (Windows'
    code page 1252, its gaps filled), so that each byte becomes a character of
    its own; asked over a connection in UTF-8, MySQL returns these. A text that
    is not of such characters, or that does not read as UTF-8 then, was written
    by another client and is what it is.
    """
    try:
        return bytes(map(_BYTE_OF_CHARACTER.__getitem__, text)).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return text


_BYTE_OF_CHARACTER: Final = {
    (bytes([byte]).decode("cp1252", "ignore") or chr(byte)): byte for byte in range(256)
}


def _uri(server: Server) -> str:
    """As ConnectorX takes it; MySQL's has no words for TLS."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    user = urllib.parse.quote(server.user, safe="")
    password = urllib.parse.quote(server.password, safe="")
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    database = urllib.parse.quote(server.database, safe="")
    place = f"{server.backend}://{login}{host}:{server.port}/{database}"
    if server.backend == "mysql":
        return f"{place}?tcp_connect_timeout_ms={server.connect_seconds * 1000:.0f}"
    options = {
        "connect_timeout": f"{math.ceil(server.connect_seconds)}",
        "options": f"-cstatement_timeout={server.statement_seconds * 1000:.0f}",
    }
    if server.tls is not None:
        options |= {"sslmode": "require", "sslrootcert": server.tls.authority}
        if server.tls.certificate:
            options |= {"sslcert": server.tls.certificate, "sslkey": server.tls.key}
    return f"{place}?{urllib.parse.urlencode(options, quote_via=urllib.parse.quote)}"


def _chosen_by_ids(contexts: Collection[int]) -> Chosen:
    """What belongs to the pipeline contexts of these ids."""
    ids = ", ".join(str(int(number)) for number in contexts)
    executions = f"SELECT execution_id FROM Association WHERE context_id IN ({ids})"
    return Chosen(
        executions=executions,
        artifacts=f"SELECT artifact_id FROM Event WHERE execution_id IN ({executions})",
        contexts=(
            f"SELECT context_id FROM Association WHERE execution_id IN ({executions}) "
            f"UNION SELECT id FROM Context WHERE id IN ({ids})"
        ),
    )


def _without_secrets(text: str, server: Server) -> str:
    text = text.replace(_uri(server), server.name)
    quoted = urllib.parse.quote(server.password, safe="")
    return server.without_secrets(text.replace(quoted, "***") if quoted else text)


def _plain(column: Fetched) -> list[Any]:
    return [*column] if isinstance(column, Texts) else np.asarray(column).tolist()
