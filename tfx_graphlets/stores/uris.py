"""Names of database servers: what stands in a URI, and what may be shown of it."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tfx_graphlets.errors import InvalidArgumentError

PASSWORD_VARIABLE: Final = "TFX_GRAPHLETS_DB_PASSWORD"  # noqa: S105 - where one may stand
PASSWORD_FILE_VARIABLE: Final = "TFX_GRAPHLETS_DB_PASSWORD_FILE"  # noqa: S105

# Files in PEM, where the URI names none: authority, certificate and key of the client.
TLS_VARIABLES: Final = {
    "tls_ca": "TFX_GRAPHLETS_TLS_CA",
    "tls_cert": "TFX_GRAPHLETS_TLS_CERT",
    "tls_key": "TFX_GRAPHLETS_TLS_KEY",
}
CONNECT_SECONDS: Final = 10.0
STATEMENT_SECONDS: Final = 300.0
_LIMITS: Final = {"connect_timeout": CONNECT_SECONDS, "statement_timeout": STATEMENT_SECONDS}
_LONGEST_SECONDS: Final = 86_400.0

# Where a pod of Kubeflow Pipelines finds ML Metadata (its configuration, then
# what Kubernetes sets for the service metadata-grpc-service).
GRPC_HOST_VARIABLES: Final = ("METADATA_GRPC_SERVICE_HOST", "METADATA_GRPC_SERVICE_SERVICE_HOST")
GRPC_PORT_VARIABLES: Final = ("METADATA_GRPC_SERVICE_PORT", "METADATA_GRPC_SERVICE_SERVICE_PORT")

_BACKEND_OF_SCHEME: Final = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "grpc": "grpc",
}
_DEFAULT_PORT: Final = {"mysql": 3306, "postgresql": 5432, "grpc": 8080}
SERVER_SCHEMES: Final = tuple(_BACKEND_OF_SCHEME)
KFP_SCHEMES: Final = ("kfp+http", "kfp+https")  # of Kubeflow Pipelines' own API


@dataclasses.dataclass(frozen=True)
class Tls:
    """How a connection is kept private; a server whose certificate is another's is refused.

    Attributes:
      authority: file of the certificates, in PEM, that the server's must be signed by.
      certificate, key: files of the client's own, in PEM; both empty for none.
    """

    authority: str
    certificate: str = ""
    key: str = ""


@dataclasses.dataclass(frozen=True)
class Server:
    """Where a metadata database or service answers.

    Attributes:
      backend: ``mysql``, ``postgresql`` or ``grpc``.
      host, port: its address.
      database: name of the database; empty for gRPC.
      user: user name, empty where none is given; in no repr, as it may be a password whose
        colon was forgotten.
      password: empty where none is given; in no repr.
      tls: None for a connection that is not told to be private.
      connect_seconds: how long connecting may take.
      statement_seconds: how long the server may work on one statement, or a
        service on one call.
    """

    backend: str
    host: str
    port: int
    database: str = ""
    user: str = dataclasses.field(default="", repr=False)
    password: str = dataclasses.field(default="", repr=False)
    tls: Tls | None = None
    connect_seconds: float = CONNECT_SECONDS
    statement_seconds: float = STATEMENT_SECONDS

    @property
    def name(self) -> str:
        """Its URI without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = f"/{self.database}" if self.database else ""
        return f"{self.backend}://{host}:{self.port}{path}"

    def without_secrets(self, text: str) -> str:
        """``text`` without the password, for messages of others; where there is none, the user."""
        if self.password:
            return text.replace(self.password, "***")
        # Where a colon or an at sign was lost, the user's name holds the password.
        return re.sub(rf"(?<!\w){re.escape(self.user)}(?!\w)", "***", text) if self.user else text


# A URI as it must be: nothing in it but user and password can hide a password.
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)"
_PLACE: Final = rf"(?:{_HOST}(?::\d{{1,5}})?)?(?:/[^\s@:/?#]*)*"
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]*://"
_WHOLE: Final = re.compile(
    rf"(?P<scheme>{_SCHEME})(?:(?P<login>[^/?#]*)@)?(?P<place>{_PLACE})(?:[?#][^@]*)?"
)
# What may stand before and after the at sign: of more colons or at signs some are the password's,
# and so may be what looks like the host.
_LOGIN: Final = re.compile("[^?#@:]*(?::[^?#@:]*)?")
_DATABASE: Final = re.compile(rf"{_HOST}(?::\d{{1,5}})?(?:/[^\s@:/?#]*)?")
_SERVER_WORD: Final = re.compile(r"\W*(?:mysql|maria|postgres|grpc|kfp)", re.IGNORECASE)
# A colon between two digits and two digits stands in a time of day, as in the names of runs.
_MARK: Final = re.compile(r"[?#]|:(?!(?<=\d\d:)\d\d(?!\w))")


def redacted(uri: str) -> str:
    """The URI without user, password and query, however it is misspelt.

    A password follows a colon or stands before an at sign. In a text that is no
    whole URI nothing after the one (but for that of ``://``) or before the other
    is shown; what is shown of a path are names that hold neither. Where there is more before
    the last at sign than a user and a password, or more behind it than a server and a database,
    that sign may be the password's own, and nothing behind it is shown either.

    >>> redacted("mysql://me:secret@host:3306/db"), redacted("mysql:/me:secret@host/db")
    ('mysql://host:3306/db', '***@host/db')
    >>> redacted("postgresql://me:secret.host:1/db"), redacted("grpc://host:8080")
    ('postgresql://me***', 'grpc://host:8080')
    >>> redacted("mysql://me:se:c@ret/host/db"), redacted("mysql://me:s@c:r@et%host/db")
    ('mysql://***', '***')
    >>> redacted("my?sql://me:secret@host"), redacted("runs/2026-01-02T10:30:00/metadata.sqlite")
    ('***@host', 'runs/2026-01-02T10:30:00/metadata.sqlite')
    """
    whole = _WHOLE.fullmatch(uri)
    if whole is not None:
        login, place = whole["login"], whole["place"]
        return whole["scheme"] + (place if login is None or _hides(login, place) else "***")
    before, at, last = uri.rpartition("@")
    if at:
        return f"***@{last}" if _hides(re.sub("^.*?:/+", "", before), last) else "***"
    scheme = re.match(_SCHEME, uri)
    begin = scheme.end() if scheme else 0
    mark = _MARK.search(uri, begin)
    return uri if mark is None else f"{uri[: mark.start()]}***"


def _hides(login: str, place: str) -> bool:
    """Whether the at sign between the two ends the password for certain."""
    return None not in (_LOGIN.fullmatch(login), _DATABASE.fullmatch(place))


def is_server_like(text: str) -> bool:
    """Whether a text that names no file may be meant for a server, and hold a password.

    >>> is_server_like("mysql:/me:secret@host/db"), is_server_like("runs/metadata.sqlite")
    (True, False)
    """
    return _SERVER_WORD.match(text) is not None or redacted(text) != text


def may_hold_password(uri: str) -> bool:
    """Whether a text that was meant for a store's URI may hold a password, however misspelt.

    >>> may_hold_password("mysql:/me:secret@host/db"), may_hold_password("mysql://me@host/db")
    (True, False)
    >>> may_hold_password("mysql://me/secret@host/db"), may_hold_password("gs://bucket/r@1")
    (True, False)
    """
    whole = _WHOLE.fullmatch(uri)
    if whole is not None:
        return ":" in (whole["login"] or "")
    before = re.sub(f"^{_SCHEME}", "", uri).rpartition("@")[0]
    return ":" in before or (_SERVER_WORD.match(uri) is not None and redacted(uri) != uri)


def parse_server(uri: str, environment: Mapping[str, str]) -> Server:
    """Reads the URI of a server.

    Args:
      uri: ``mysql://user:password@host:port/database``, ``postgresql://...`` or
        ``grpc://host:port``; reserved characters of user and password are
        percent-encoded. ``grpc://`` alone names the service of the pod's
        environment. A query may name ``tls_ca``, ``tls_cert`` and ``tls_key``
        (files; an empty ``tls_ca`` says no TLS), ``connect_timeout`` and
        ``statement_timeout`` (seconds, 0 to a day).
      environment: environment variables; TFX_GRAPHLETS_DB_PASSWORD counts
        where the URI holds no password, then the content of the file that
        TFX_GRAPHLETS_DB_PASSWORD_FILE names (a mounted secret), without the
        line's end. TFX_GRAPHLETS_TLS_CA, _CERT and _KEY count where the URI
        names no such file. METADATA_GRPC_SERVICE_HOST and _PORT count where a gRPC URI
        names no host.

    Raises:
      InvalidArgumentError: host, port or database is missing or no such thing,
        the query holds anything else, or a file that is named cannot be read.
    """
    shown = redacted(uri)
    try:
        parts = urllib.parse.urlsplit(uri)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")  # what no resolver takes is a ValueError here
    except ValueError:
        # Not chained: the message of urllib quotes what may be the password.
        raise InvalidArgumentError(
            "uri",
            shown,
            "host and port must read host:port, with reserved characters of user "
            f"and password percent-encoded; the password may stand in {PASSWORD_VARIABLE} instead",
        ) from None
    backend = _BACKEND_OF_SCHEME[parts.scheme.lower()]
    database = urllib.parse.unquote(parts.path.strip("/"))
    if not host and backend == "grpc" and uri.partition("://")[2] in ("", "/"):
        host, port = _grpc_service(shown, environment)
    if not host:
        raise InvalidArgumentError("uri", shown, f"name the host, as in {backend}://host:port")
    if parts.fragment:
        raise InvalidArgumentError("uri", shown, "a fragment has no meaning here")
    query = _query(parts.query, shown)
    if backend == "grpc" and database:
        raise InvalidArgumentError("uri", shown, "a gRPC service is named by grpc://host:port")
    if backend != "grpc" and (not database or "/" in database):
        raise InvalidArgumentError(
            "uri", shown, f"name the database, as in {backend}://user@host:port/database"
        )
    if _WHOLE.fullmatch(uri) is None:
        raise InvalidArgumentError(
            "uri", shown, "reserved characters (@ : / ? # and space) must be percent-encoded"
        )
    given = urllib.parse.unquote(parts.password or "")
    password = "" if backend == "grpc" else given or _password_of(environment)
    return Server(
        backend=backend,
        host=host,
        port=_DEFAULT_PORT[backend] if port is None else port,
        database=database,
        user=urllib.parse.unquote(parts.username or ""),
        password=password,
        tls=_tls(query, environment),
        connect_seconds=_seconds(query, "connect_timeout"),
        statement_seconds=_seconds(query, "statement_timeout"),
    )


def _query(text: str, shown: str) -> dict[str, str]:
    try:
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    except ValueError:
        pairs = [("", "")]
    names = (*TLS_VARIABLES, *_LIMITS)
    if {name for name, _ in pairs} - set(names) or len(dict(pairs)) < len(pairs):
        raise InvalidArgumentError(
            "uri", shown, f"of a query only {', '.join(names)} have a meaning, once each"
        )
    return dict(pairs)


def _tls(query: Mapping[str, str], environment: Mapping[str, str]) -> Tls | None:
    """The files that the URI, or else the environment, names; None for no TLS."""
    if query.get("tls_ca") == "":
        return None
    named = {
        name: query.get(name, environment.get(variable, ""))
        for name, variable in TLS_VARIABLES.items()
    }
    if not any(named.values()):
        return None
    authority, certificate, key = named.values()
    if not authority or bool(certificate) != bool(key):
        raise InvalidArgumentError(
            "tls",
            named,
            "TLS needs tls_ca, the file of the authority's certificates; tls_cert and tls_key, a "
            f"client's own, come together (or {', '.join(TLS_VARIABLES.values())})",
        )
    for name, place in named.items():
        if place and not os.access(place, os.R_OK):
            raise InvalidArgumentError(name, place, "it must be a file that can be read")
    return Tls(authority, certificate, key)


def _seconds(query: Mapping[str, str], name: str) -> float:
    text = query.get(name, str(_LIMITS[name]))
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= _LONGEST_SECONDS:
        raise InvalidArgumentError(
            name, text, f"it must be a number of seconds, above 0 and at most {_LONGEST_SECONDS:g}"
        )
    return value


def _password_of(environment: Mapping[str, str]) -> str:
    """The password that the environment holds, or whose file it names; empty for none."""
    place = environment.get(PASSWORD_FILE_VARIABLE, "")
    if environment.get(PASSWORD_VARIABLE) or not place:
        return environment.get(PASSWORD_VARIABLE, "")
    try:
        password = Path(place).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        # Not chained where it could quote what the file holds.
        cause = error if isinstance(error, OSError) else None
        raise InvalidArgumentError(
            PASSWORD_FILE_VARIABLE, place, "it must name a file of text that can be read"
        ) from cause
    if not password:
        raise InvalidArgumentError(
            PASSWORD_FILE_VARIABLE, place, "the file must hold the password, and is empty"
        )
    return password


def _grpc_service(uri: str, environment: Mapping[str, str]) -> tuple[str, int | None]:
    """Host and port of the metadata service that the environment names."""
    host = next((environment[name] for name in GRPC_HOST_VARIABLES if environment.get(name)), "")
    text = next((environment[name] for name in GRPC_PORT_VARIABLES if environment.get(name)), "")
    if not host:
        raise InvalidArgumentError(
            "uri",
            uri,
            f"name the host, as in grpc://host:port, or set {GRPC_HOST_VARIABLES[0]} "
            f"and {GRPC_PORT_VARIABLES[0]}",
        )
    # Kubernetes sets the variable of the port to tcp://address:port, too.
    port = text.rpartition(":")[2]
    if text and not (port.isdigit() and 0 < int(port) < 65_536):
        raise InvalidArgumentError(
            GRPC_PORT_VARIABLES[0], text, "it must be a port number from 1 to 65535"
        )
    return host, int(port) if text else None
