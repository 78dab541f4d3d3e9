"""MlmdStore: any backend that the ML Metadata API connects to."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import (
    NotAMetadataStoreError,
    StoreError,
    StoreNotFoundError,
    UnsupportedSchemaError,
)
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.files import FilePayloads
from tfx_graphlets.stores.lookups import Lookups
from tfx_graphlets.stores.mlmd.client import (
    answers,
    connect,
    first_line,
    ml_metadata,
    without_secrets,
)
from tfx_graphlets.stores.selection import Selection
from tfx_graphlets.stores.sql import sqlite_file
from tfx_graphlets.stores.store import Store
from tfx_graphlets.stores.uris import Server
from tfx_graphlets.trace.trace import Trace

if TYPE_CHECKING:
    from ml_metadata.metadata_store import metadata_store
    from typing_extensions import Self

    from tfx_graphlets.stores.sql.sqlite_file import SqliteStore

_LOGGER = logging.getLogger(__name__)
_GRPC_MESSAGE_BYTES: Final = 2**31 - 1  # the most; gRPC accepts 4 MB by default


class MlmdStore(Store):
    """A metadata store behind the ML Metadata API, open for reading.

    The API knows no transaction over several calls: what is written while
    ``read_trace`` runs may be in the trace in part. A store of an older schema
    is refused, never migrated.
    """

    def __init__(
        self,
        store: metadata_store.MetadataStore,
        name: str,
        *,
        payloads: Payloads,
        server: Server | None = None,
    ) -> None:
        self._store: metadata_store.MetadataStore | None = store
        self._name = name
        self._payloads = payloads
        self._server = server

    @classmethod
    def from_store(
        cls,
        store: metadata_store.MetadataStore,
        name: str,
        *,
        payload_root: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Reads through a connection that is already open; it stays the caller's.

        Args:
          store: the connection, for example that of a TFX driver.
          name: how messages name it; no credentials.
          payload_root: folder that relative artifact URIs are relative to; by
            default that of the SQLite file, where the store is one.
        """
        root = _folder_of_sqlite(store) if payload_root is None else payload_root
        return cls(store, name, payloads=FilePayloads(root))

    @classmethod
    def from_sqlite(
        cls, path: str | os.PathLike[str], *, name: str | None = None
    ) -> Self | SqliteStore:
        """Opens a SQLite file through the API, read-only.

        Only schema 10 can be read so; SqliteStore reads 4 to 10, and here, too, a file that the
        API cannot open, or has odd rows (``trace.odd_rows``), at most of which it ends the process.

        Raises:
          StoreError, MissingDependencyError: as ``open_store``.
        """
        shown = os.fspath(path) if name is None else name
        from tfx_graphlets.stores.sql.sqlite_file import SqliteStore

        place = Path(path).absolute()
        # The API would make its tables in an empty file.
        connection = sqlite_file.connect(place, shown)
        version = sqlite_file.schema_version(connection)
        with contextlib.closing(connection), sqlite_file.translated(shown, place):
            odd = sqlite_file.first_odd_table(connection)
        if version != vocabulary.NEWEST_SCHEMA_VERSION:
            raise UnsupportedSchemaError(
                shown,
                version,
                f"has MLMD schema {version}, which only its own release of "
                "ml-metadata reads; name the file by its path alone",
            )
        _, pb = ml_metadata()
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(place)
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
        if not odd:
            try:
                return cls(connect(config, shown), shown, payloads=FilePayloads(place.parent))
            except UnsupportedSchemaError:
                raise
            except StoreError as error:  # it misses types of its own, which it would write
                odd = str(error)
        _LOGGER.info("%s is read by SQL, for the MLMD API cannot: %s", shown, odd)
        return SqliteStore(place, name=shown)

    @classmethod
    def from_server(cls, server: Server) -> Self:
        """Connects to MySQL, PostgreSQL or a gRPC metadata service.

        The database itself is never created; ml-metadata makes its tables in
        one that has none.

        Raises:
          StoreError, MissingDependencyError: as ``open_store``.
        """
        _, pb = ml_metadata()
        if not answers(server):
            raise StoreNotFoundError(
                server.name, "does not answer; check host and port, and that the service is running"
            )
        if server.backend == "grpc":
            config = pb.MetadataStoreClientConfig(
                host=server.host, port=server.port, client_timeout_sec=server.statement_seconds
            )
            if server.tls is not None:
                config.ssl_config.custom_ca = Path(server.tls.authority).read_text("ascii")
                if server.tls.certificate:
                    own = config.ssl_config
                    own.server_cert = Path(server.tls.certificate).read_text("ascii")
                    own.client_key = Path(server.tls.key).read_text("ascii")
            config.channel_arguments.max_receive_message_length = _GRPC_MESSAGE_BYTES
        elif server.tls is not None:
            raise StoreError(
                server.name,
                "cannot be read over TLS by ml-metadata, whose releases are built without it; "
                "leave out +mlmd, with the extra bulk installed",
            )
        else:
            config = pb.ConnectionConfig()
            database = config.mysql if server.backend == "mysql" else config.postgresql
            database.host = server.host
            database.user, database.password = server.user, server.password
            database.skip_db_creation = True
            if server.backend == "mysql":
                database.database, database.port = server.database, server.port
            else:
                database.dbname, database.port = server.database, str(server.port)
        store = cls(
            connect(config, server.name, server),
            server.name,
            payloads=FilePayloads(None),
            server=server,
        )
        with store._open() as api:
            api.get_context_types()  # a gRPC channel connects at its first call
        return store

    @classmethod
    def from_config(
        cls, kind: str, config: bytes, name: str, *, payload_root: str | os.PathLike[str]
    ) -> Self:
        """Connects as another process of this machine is connected.

        Args:
          kind: ConnectionConfig or MetadataStoreClientConfig.
          config: such a message, serialized; it may hold a password.
          name, payload_root: as ``from_store``.

        Raises:
          StoreError, MissingDependencyError: as ``open_store``.
        """
        _, pb = ml_metadata()
        message = getattr(pb, kind).FromString(config)
        return cls(connect(message, name), name, payloads=FilePayloads(payload_root))

    @property
    def name(self) -> str:
        """The store as the user named it, without credentials."""
        return self._name

    def _read(self, selection: Selection) -> Trace:
        from tfx_graphlets.stores import rows
        from tfx_graphlets.stores.mlmd.reader import Reader

        with self._open() as api:
            reader = Reader(api, selection.columns)
            chosen = selection.pipelines
            raw = reader.whole() if chosen is None else reader.of_pipelines(chosen)
        return rows.finish(raw, self._name, selection)

    def pipelines(self) -> Mapping[str, int]:
        """Number of executions of each pipeline; see ``Store.pipelines``."""
        from tfx_graphlets.stores.mlmd.reader import Reader

        with self._open() as api:
            return Reader(api).pipeline_sizes()

    @contextlib.contextmanager
    def lookups(self) -> Iterator[Lookups]:
        """Look-ups in the store.

        A SQLite file that the MLMD API has open is read by SQL beside it: the API
        takes several times as long, and cannot ask for some of an artifact's events.

        Raises:
          StoreError: the store cannot be read.
        """
        beside = self._beside()
        if beside is not None:
            with beside, beside.lookups() as found:
                yield found
            return
        from tfx_graphlets.stores.mlmd.lookups import MlmdLookups

        with self._open() as api:
            yield MlmdLookups(api, self._name)

    def _beside(self) -> SqliteStore | None:
        """The SQLite file that the API has open, opened for reading; None if that cannot be."""
        file = None if self._store is None else _sqlite_file(self._store)
        if file is None:
            return None
        from tfx_graphlets.stores.sql.sqlite_file import SqliteStore

        try:
            return SqliteStore(file, name=self._name)
        except StoreError as error:
            _LOGGER.info("%s is read by the MLMD API: %s", self._name, error)
            return None

    def close(self) -> None:
        """Lets go of the connection, and closes it if nobody else holds it."""
        self._store = None

    @contextlib.contextmanager
    def _open(self) -> Iterator[metadata_store.MetadataStore]:
        from ml_metadata import errors

        if self._store is None:
            raise StoreError(self._name, "is closed; open it again")
        try:
            yield self._store
        except errors.UnavailableError as error:
            raise StoreNotFoundError(
                self._name, "does not answer; check host and port, and that the service is running"
            ) from without_secrets(error, self._server)
        except errors.DeadlineExceededError as error:
            raise StoreNotFoundError(
                self._name,
                f"has not answered for {_seconds(self._server)}; check host and "
                "port, and that the service is running",
            ) from without_secrets(error, self._server)
        except errors.UnimplementedError as error:
            raise NotAMetadataStoreError(
                self._name,
                "does not speak ML Metadata's protocol "
                f"({first_line(error, self._server)}); check the port, and that the service is "
                "ML Metadata's, of a release that is not much older than this ml-metadata",
            ) from without_secrets(error, self._server)
        except errors.StatusError as error:
            raise StoreError(
                self._name,
                f"cannot be read by ml-metadata ({first_line(error, self._server)}); check that "
                "it can be reached and that its user may read all tables",
            ) from without_secrets(error, self._server)


def _seconds(server: Server | None) -> str:
    return "long" if server is None else f"{server.statement_seconds:g} s"


def _folder_of_sqlite(store: metadata_store.MetadataStore) -> Path | None:
    file = _sqlite_file(store)
    return None if file is None else file.parent


def _sqlite_file(store: metadata_store.MetadataStore) -> Path | None:
    # The API itself does not say what it is connected to.
    sqlite = getattr(getattr(store, "_config", None), "sqlite", None)
    file = Path(getattr(sqlite, "filename_uri", ""))
    return file.absolute() if file.is_file() else None
