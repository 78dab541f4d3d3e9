"""Plain connections to MySQL and PostgreSQL, whose drivers answer a refusal at once.

ConnectorX reads in columns, and asks again for half a minute whatever the server
said. So a server is asked for a connection here first. MySQL over TLS, which
ConnectorX cannot, is read here row by row.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from tfx_graphlets.errors import Fault, MissingDependencyError, StoreError, StoreNotFoundError
from tfx_graphlets.stores.uris import PASSWORD_VARIABLE, Server, Tls

_logger = logging.getLogger(__name__)
_DRIVERS: Final = {"mysql": "pymysql", "postgresql": "pg8000"}
_ROWS_AT_ONCE: Final = 16_384
ATTEMPTS: Final = 4
FIRST_WAIT_SECONDS: Final = 0.25  # doubled after every attempt

# What can pass, as a server says it by its code, in a text of ConnectorX too: too many
# connections or users, a lock that was waited for too long, a deadlock; PostgreSQL also
# while it starts or stops.
_PASSING: Final = {
    "mysql": ("1040", "1203", "1205", "1213"),
    "postgresql": ("53300", "55P03", "40P01", "40001", "57P03", "57P01"),
}
_PASSING_WORDS: Final = (
    "deadlock",
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "lock wait timeout",
    "is starting up",
    "is shutting down",
    "could not serialize",
)
# Codes of a refused user, password, database or right; those of PostgreSQL by their beginnings.
_REFUSED: Final = ("1044", "1045", "1049", "1142", "1698", "28", "3D", "42501")
# Codes of a server that has stopped a statement which took too long.
_TOO_LONG: Final = ("1969", "3024", "57014")

Answer = TypeVar("Answer")


def is_installed(backend: str) -> bool:
    """Whether the driver of a backend is there (extra ``bulk``)."""
    return importlib.util.find_spec(_DRIVERS[backend]) is not None


def check_login(server: Server) -> None:
    """Connects once, where the driver is there.

    Raises:
      StoreNotFoundError: no server answers there.
      StoreError: it refuses user, password, database or certificate.
    """
    if is_installed(server.backend):
        again(server, lambda: _connected(server, server.connect_seconds).close())


def rows(server: Server, query: str) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows of a query on MySQL, portion by portion.

    Raises:
      MissingDependencyError: PyMySQL is not there.
      StoreError: as ``check_login``, and what the server says of the query.
    """
    if not is_installed(server.backend):
        raise MissingDependencyError(_DRIVERS[server.backend], "bulk", "reading MySQL over TLS")
    import pymysql

    seconds = server.statement_seconds
    with contextlib.closing(again(server, lambda: _connected(server, seconds))) as connection:
        try:
            with connection.cursor(pymysql.cursors.SSCursor) as cursor:
                cursor.execute(limits_of_statements(server))
                cursor.execute(query)
                while portion := cursor.fetchmany(_ROWS_AT_ONCE):
                    yield portion
        except pymysql.MySQLError as error:
            raise refusal(server, error) from None  # its text may hold the password


def limits_of_statements(server: Server) -> str:
    """The statement that limits how long MySQL, or MariaDB, works on each of the next ones."""
    seconds = server.statement_seconds
    return (
        f"SET SESSION /*M! max_statement_time={seconds:.3f} */"
        f"/*!50708 max_execution_time={seconds * 1000:.0f} */"
    )


def again(
    server: Server, ask: Callable[[], Answer], *, sleep: Callable[[float], None] = time.sleep
) -> Answer:
    """What ``ask`` returns, asked again with growing waits where the server says what can pass.

    Raises:
      StoreError: a refusal that will not change, or the last one; see ``refusal``.
    """
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except StoreError:  # noqa: PERF203 - each attempt may fail
            raise
        except Exception as error:  # noqa: BLE001 - each driver has a base of its own
            found = refusal(server, error)
            if not can_pass(server, error) or attempt == ATTEMPTS - 1:
                raise found from None  # its text may hold the password
            seconds = FIRST_WAIT_SECONDS * 2**attempt
            _logger.info("%s; attempt %d in %.2f s", found, attempt + 2, seconds)
            sleep(seconds)
    raise AssertionError  # not reached: the last attempt returns or raises


def can_pass(server: Server, error: BaseException) -> bool:
    """Whether what the server said may be different in a moment."""
    code = _code(error)
    text = str(error).lower()
    return code in _PASSING[server.backend] or (
        not code and any(words in text for words in _PASSING_WORDS)
    )


def refusal(server: Server, error: BaseException) -> StoreError:
    """An error of a driver as this library's, without the password."""
    said = server.without_secrets(_message(error).strip().partition("\n")[0])
    if isinstance(error, ssl.SSLError) or "certificate" in said.lower():
        return StoreError(
            server.name, f"does not agree on TLS ({said}); check tls_ca, tls_cert and tls_key"
        )
    if _code(error) in _TOO_LONG or "statement timeout" in said or "max_statement_time" in said:
        return StoreError(
            server.name,
            f"has worked on one statement for {server.statement_seconds:g} s; raise "
            "?statement_timeout=SECONDS, or read one pipeline at a time",
        )
    if isinstance(error, OSError) or _code(error) in ("2002", "2003", "2005"):
        return StoreNotFoundError(
            server.name, "does not answer; check host and port, and that the server is running"
        )
    found = StoreError(
        server.name,
        f"cannot be read ({said}); check the database, user and password "
        f"({PASSWORD_VARIABLE}), and that the user may read all tables",
    )
    if _code(error).startswith(_REFUSED):
        found.fault = Fault.STORE_REFUSED
    elif can_pass(server, error):
        found.fault = Fault.STORE_BUSY
    return found


def context_of(tls: Tls) -> ssl.SSLContext:
    """What Python's ssl needs; the server's name is checked.

    Raises:
      OSError: a file holds no certificate or key.
    """
    context = ssl.create_default_context(cafile=tls.authority)
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return context


def _connected(server: Server, silence_seconds: float) -> Any:
    """A connection of the driver's own kind, on which nobody may be silent for longer.

    What goes wrong is the driver's own error, or one of the socket.
    """
    tls = None if server.tls is None else context_of(server.tls)
    if server.backend == "mysql":
        import pymysql

        return pymysql.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database=server.database,
            charset="utf8mb4",
            connect_timeout=server.connect_seconds,
            read_timeout=silence_seconds,
            write_timeout=silence_seconds,
            ssl=tls,
        )
    from pg8000.native import Connection

    address = (server.host, server.port)
    # pg8000 leaves a socket of its own open where the server is silent before the login.
    connection = socket.create_connection(address, server.connect_seconds)
    try:
        connection.settimeout(silence_seconds)
        return Connection(
            server.user or None,
            host=server.host,  # the name that a certificate has to be for
            sock=connection,
            password=server.password,
            database=server.database,
            ssl_context=tls,  # None: TLS where the server has it
        )
    except BaseException:
        connection.close()
        raise


def _code(error: BaseException) -> str:
    """The server's own code of an error; empty where the driver gives none."""
    first = error.args[0] if error.args else ""
    if isinstance(first, dict):  # pg8000: the fields of the server's message
        return str(first.get("C", ""))
    return str(first) if isinstance(first, int) else ""


def _message(error: BaseException) -> str:
    first = error.args[0] if error.args else ""
    if isinstance(first, dict):
        return str(first.get("M", ""))
    return str(error)
