"""One recorded store, put wherever a history can be read from."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores import servers
from tests.stores.kubeflow.installation import installation_of
from tests.stores.kubeflow.server import serving as serving_api
from tests.stores.mlmd_files import SCHEMA
from tests.stores.readers import by_archive
from tests.stores.test_servers import Database
from tfx_graphlets.stores.uris import PASSWORD_FILE_VARIABLE
from tfx_graphlets.trace.rows import RowBuilder

BACKENDS = ("sqlite", "mysql", "postgresql", "grpc", "kfp", "archive")
_ROWS_AT_ONCE = 500
_STARTED_BY = {
    "mysql": (servers.mariadb, servers.needs_mariadb),
    "postgresql": (servers.postgresql, servers.needs_postgresql),
}


class Places:
    """Puts SQLite files into databases, behind services and into archives.

    Servers are started when they are first needed, and asked for their password
    in a file, as a mounted secret. What cannot be started skips the test.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._databases: dict[str, Database] = {}
        self._count = 0

    def database(self, backend: str) -> tuple[Database, str]:
        """A server, and the name of a database that is not there yet."""
        pytest.importorskip("ml_metadata")
        if backend not in self._databases:
            start, needed = _STARTED_BY[backend]
            if needed.args[0]:
                pytest.skip(needed.kwargs["reason"])
            port = self._stack.enter_context(start())
            self._databases[backend] = Database(backend, port)
        self._count += 1
        return self._databases[backend], f"store_{self._count}"

    def uri(self, backend: str, path: Path, raw: RowBuilder | None = None) -> str:
        """Where the store of a SQLite file is read from.

        Args:
          backend: one of BACKENDS.
          path: the file.
          raw: its rows, of which an API of Kubeflow Pipelines tells.
        """
        if backend == "sqlite":
            return str(path)
        if backend == "archive":
            by_archive(path).close()
            return str(path.with_suffix(".archive"))
        if backend == "kfp":
            assert raw is not None
            return self._stack.enter_context(serving_api(installation_of(raw)))[0]
        if backend == "grpc":
            pytest.importorskip("ml_metadata")
            from tests.stores.grpc_server import serving

            return self._stack.enter_context(serving(path))[0]
        database, name = self.database(backend)
        database.filled(name)
        database.run(name, statements(path, backend))
        return without_password(database, name)


@contextlib.contextmanager
def opened_places(folder: Path) -> Iterator[Places]:
    """Places whose servers end with it; ``folder`` takes the file with the password."""
    secret = folder / "secret"
    secret.write_text(f"{servers.PASSWORD}\n")
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASSWORD_FILE_VARIABLE, str(secret))
        yield Places(stack)


def without_password(database: Database, name: str) -> str:
    """The URI of a database, as a component may be given it."""
    return f"{database.backend}://mlmd@127.0.0.1:{database.port}/{name}"


def statements(path: Path, backend: str) -> str:
    """SQL that puts the rows of a SQLite file into tables which ML Metadata made."""
    lines = ["SET NAMES utf8mb4; SET sql_mode = 'NO_BACKSLASH_ESCAPES';"]
    if backend != "mysql":
        lines = []
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for table in SCHEMA:
            if table == "MLMDEnv":
                continue
            lines.append(f"DELETE FROM {table};")
            rows = connection.execute(f"SELECT * FROM {table}")
            names = ", ".join(column[0] for column in rows.description)
            while block := rows.fetchmany(_ROWS_AT_ONCE):
                values = ", ".join(f"({', '.join(map(_literal, row))})" for row in block)
                lines.append(f"INSERT INTO {table} ({names}) VALUES {values};")
    return os.linesep.join(lines)


def _literal(value: object) -> str:
    """A text that each server takes for a number, too, where the column holds numbers."""
    if value is None:
        return "NULL"
    quoted = str(value).replace("'", "''")
    return f"'{quoted}'"
