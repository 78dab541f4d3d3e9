"""Store: what every reader of a metadata store answers; and open_store, which finds the reader."""

from __future__ import annotations

import abc
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tfx_graphlets.errors import InvalidArgumentError, NotAMetadataStoreError
from tfx_graphlets.graphlets import roles, verdicts
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores import uris
from tfx_graphlets.stores.selection import Columns, Selection
from tfx_graphlets.trace.trace import Trace

if TYPE_CHECKING:
    from typing_extensions import Self

ACCEPTED = (
    "give the path of a SQLite file or of an archive, mysql://user@host:port/database, "
    "postgresql://user@host:port/database, grpc://host:port or kfp+http://host:port"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


class Store(abc.ABC):
    """A metadata store that is open for reading; what all of them do in the same way."""

    _payloads: Payloads

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The store as the user named it, without credentials."""

    @property
    def payloads(self) -> Payloads:
        """The files below the artifacts' URIs, or those that an archive keeps."""
        return self._payloads

    @property
    def declared(self) -> Declared:
        """Roles and pushers that the store declares of itself: an archive may, others do not."""
        return Declared()

    def read_trace(
        self,
        *,
        pipeline: str | None = None,
        pipelines: Collection[str] | None = None,
        properties: Collection[str] | None = None,
        columns: Columns = Columns.ALL,
    ) -> Trace:
        """Reads the store.

        Args:
          pipeline: name of a pipeline context (MLMD type ``pipeline`` or
            ``system.Pipeline``); None for the whole store. It selects
            graphlets and cuts nothing: the trace holds what the graphlets of
            that pipeline are made of, in whatever pipeline it stands (see
            ``belonging.belonging_to``); ``events.dropped`` is 0. The whole
            store is read for it.
          pipelines: names of such contexts, of which the rows alone are read:
            a part of a store that is larger than memory. The trace holds the
            executions of these contexts, their events, the artifacts that
            these name, and the pipeline, run and node contexts that hold one
            of the executions; what stands in other pipelines is cut off.
          properties: names of the properties to keep, of executions and
            artifacts alike; None for all.
          columns: what is read beside them; the rest is empty, 0 or -1.

        Returns:
          A Trace, the same from every reader of the same store.

        Raises:
          EmptyStoreError: the store, or the pipeline, holds no execution.
          TraceNotFoundError: the store holds no pipeline of such a name.
          InvalidArgumentError: both ``pipeline`` and ``pipelines`` are given,
            or ``pipelines`` is empty.
          StoreError: the store cannot be read (see its children).
        """
        if pipeline is None:
            return self._read(Selection.of(pipelines, properties, columns))
        if pipelines is not None:
            raise InvalidArgumentError(
                "pipeline", pipeline, "either pipeline or pipelines can be given; leave one out"
            )
        from tfx_graphlets.stores.belonging import belonging_to

        whole = self.read_trace(properties=properties, columns=columns.for_belonging())
        return belonging_to(whole, pipeline, self.name, self.declared.role_of_type)

    @abc.abstractmethod
    def _read(self, selection: Selection) -> Trace:
        """The rows that are selected."""

    @abc.abstractmethod
    def pipelines(self) -> Mapping[str, int]:
        """The store's pipelines and their sizes.

        Returns:
          Number of executions in the pipeline contexts of each name, by name,
          sorted. Executions in no pipeline context count nowhere.

        Raises:
          StoreError: the store cannot be read (see its children).
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Lets go of the store; it cannot be read afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()


def open_store(uri: str | os.PathLike[str]) -> Store:
    """Opens a metadata store, or an archive of one, for reading.

    >>> import pathlib, sqlite3, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "notes.sqlite"
    >>> sqlite3.connect(file).close()
    >>> open_store(file).read_trace()  # of a metadata store: a Trace
    Traceback (most recent call last):
    tfx_graphlets.errors.NotAMetadataStoreError: ...

    Nothing is ever written to a SQLite file or to an archive, and no store is
    migrated. (The MLMD API makes its tables in a MySQL or PostgreSQL database
    that has none: name one that exists.)

    Args:
      uri: one of
        - a path, or ``sqlite://PATH``: a SQLite file, read by SQL;
        - a path to a directory that ``write_archive`` wrote;
        - ``sqlite+mlmd://PATH``: a SQLite file, read by the MLMD API;
        - ``mysql://user@host:port/database``,
          ``postgresql://user@host:port/database``, ``grpc://host:port``. The
          password is taken from the environment variable
          TFX_GRAPHLETS_DB_PASSWORD, or from the file that
          TFX_GRAPHLETS_DB_PASSWORD_FILE names, or from the URI. ``grpc://``
          alone is the service that METADATA_GRPC_SERVICE_HOST and _PORT name, as they are
          set in the pods of Kubeflow Pipelines. A database is read by SQL,
          in columns, where ConnectorX is installed (extra ``bulk``), else by
          the MLMD API, as ``mysql+mlmd://`` and ``postgresql+mlmd://`` always;
        - ``kfp+http://host:port/path?namespace=name`` or ``kfp+https://...``:
          Kubeflow Pipelines' own API; its token is taken from
          TFX_GRAPHLETS_KFP_TOKEN, or from the file that
          TFX_GRAPHLETS_KFP_TOKEN_FILE names.

    Raises:
      InvalidArgumentError: the URI is of no such form.
      StoreNotFoundError: there is nothing there.
      NotAMetadataStoreError: what is there is no metadata store.
      UnsupportedSchemaError: its MLMD schema is older than 4 or newer than 10.
      ArchiveError: the archive is damaged or of a newer format.
      MissingDependencyError: the MLMD API is needed and not installed.
    """
    text = os.fspath(uri)
    if not text:
        raise InvalidArgumentError("uri", text, ACCEPTED)
    scheme_and_rest = _SCHEME.fullmatch(text)
    if scheme_and_rest is None:
        return _open_path(text, text)
    scheme, rest = scheme_and_rest[1].lower(), scheme_and_rest[2]
    if scheme in ("sqlite", "file"):
        return _open_path(rest, text)
    if scheme == "sqlite+mlmd":
        from tfx_graphlets.stores.mlmd.store import MlmdStore

        _check_no_server(rest, text)
        return MlmdStore.from_sqlite(_expanded(rest), name=text)
    scheme, by_api = scheme.removesuffix("+mlmd"), scheme.endswith("+mlmd")
    if scheme in uris.SERVER_SCHEMES:
        plain = f"{scheme}://{rest}" if by_api else text
        return _open_server(uris.parse_server(plain, os.environ), by_api=by_api)
    if scheme in uris.KFP_SCHEMES:
        from tfx_graphlets.stores.kubeflow.client import parse_address
        from tfx_graphlets.stores.kubeflow.store import KfpStore

        return KfpStore(parse_address(text, os.environ))
    raise InvalidArgumentError("uri", uris.redacted(text), ACCEPTED)


def _open_server(server: uris.Server, *, by_api: bool) -> Store:
    if server.backend != "grpc" and not by_api:
        from tfx_graphlets.stores.sql import server_store

        if server_store.is_installed():
            return server_store.ServerStore(server)
    from tfx_graphlets.stores.mlmd.store import MlmdStore

    return MlmdStore.from_server(server)


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # ~ and a user whom this machine does not know
        return Path(path)


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _check_no_server(path: str, name: str) -> None:
    if uris.is_server_like(path) and not _exists(_expanded(path)):
        raise InvalidArgumentError("uri", uris.redacted(name), ACCEPTED)


def _open_path(path: str, name: str) -> Store:
    from tfx_graphlets.stores.archive.format import MANIFEST

    _check_no_server(path, name)
    place = _expanded(path)
    if not place.is_dir():
        from tfx_graphlets.stores.sql.sqlite_file import SqliteStore

        return SqliteStore(place, name=name)
    if (place / MANIFEST).is_file():
        from tfx_graphlets.stores.archive.store import ArchiveStore

        return ArchiveStore(place, name=name)
    raise NotAMetadataStoreError(
        name,
        f"this directory is no archive (it has no {MANIFEST}); name the SQLite file in it, "
        f"for example {place / 'metadata.sqlite'}",
    )


_WAY_OUT = "leave it out, or declare it anew by `tfx-graphlets archive --replace`"


def declared_by(store: Store, given: Declared) -> Declared:
    """Roles and pushers for a store: its own, and those that the user gives besides.

    Args:
      store: an archive, or any other store, which declares nothing.
      given: what the user gives.

    Raises:
      InvalidArgumentError: the user contradicts what the store declares.
    """
    own = store.declared
    for name in sorted(given.role_of_type.keys() & own.role_of_type.keys()):
        role, mine = (one.role_of_type[name].name.lower() for one in (given, own))
        if role != mine:
            rule = f"the archive {store.name} declares {name}={mine}; {_WAY_OUT}"
            raise InvalidArgumentError("role_of_type", f"{name}={role}", rule)
    if given.pushers is not None and own.pushers not in (None, given.pushers):
        rule = f"the archive {store.name} declares {', '.join(own.pushers)}; {_WAY_OUT}"
        raise InvalidArgumentError("pushers", list(given.pushers), rule)
    return Declared(
        {**own.role_of_type, **given.role_of_type},
        own.pushers if given.pushers is None else given.pushers,
    )


def declared_in(trace: Trace, store: Store, given: Declared) -> Declared:
    """``declared_by``, for ``segment``: of what the store declares, that which the trace holds.

    What the user gives stays, so that a slip of the pen is told.

    Args:
      trace: what was read of the store.
      store, given: as for ``declared_by``.

    Raises:
      InvalidArgumentError: as ``declared_by``.
    """
    merged = declared_by(store, given)
    there = roles.present(trace, merged.role_of_type)
    counting = given.pushers
    if counting is None:
        role = roles.roles_of_executions(trace, there)
        counting = verdicts.present(trace, role, merged.pushers)
    return Declared.of({**there, **given.role_of_type}, counting)


def check_names(trace: Trace, given: Declared) -> None:
    """Refuses roles and pushers whose names a store does not hold.

    Raises:
      InvalidArgumentError: no execution has the type, or no pusher the name.
    """
    role = roles.roles_of_executions(trace, given.role_of_type)
    verdicts.counted(trace, role, given.pushers)
