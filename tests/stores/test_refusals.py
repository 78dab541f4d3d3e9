"""What real servers refuse, at once, and what of it is asked again; TLS; a read-only user."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import re
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.import_graph import ROOT
from tests.stores import certificates, servers
from tests.stores.readers import needs_mlmd
from tests.stores.test_servers import QUOTED, Database, fill
from tfx_graphlets.errors import Fault, InvalidArgumentError, StoreError, StoreNotFoundError
from tfx_graphlets.stores.lookups import lookups_of
from tfx_graphlets.stores.sql import driver
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.stores.uris import TLS_VARIABLES, parse_server
from tfx_graphlets.trace.trace import first_difference

pytestmark = [
    pytest.mark.server,
    needs_mlmd,
    certificates.needs_openssl,
    *(
        pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is missing")
        for name in ("connectorx", "pymysql", "pg8000")
    ),
]
AT_ONCE_SECONDS = 5.0


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificates:
    """Certificates of this run."""
    return certificates.made_in(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("mysql", marks=servers.needs_mariadb),
        pytest.param("postgresql", marks=servers.needs_postgresql),
    ],
)
def database(request: pytest.FixtureRequest, tls: certificates.Certificates) -> Iterator[Database]:
    """A server that answers with TLS and without, with a filled store and a careful reader."""
    start = servers.mariadb if request.param == "mysql" else servers.postgresql
    with start(tls) as port:
        result = Database(request.param, port)
        result.filled("store", fill)
        result.run("store", grant(request.param))
        yield result


def grant(backend: str) -> str:
    """The statements of docs/operations.md that make a read-only user, and one with TLS."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    found = re.search(rf"```sql\n-- {backend}\n(.*?)```", text, re.DOTALL | re.IGNORECASE)
    assert found is not None
    return found[1].replace("'...'", f"'{servers.PASSWORD}'").replace("mlmd.", "store.")


def as_user(database: Database, user: str, query: str = "") -> str:
    """The URI of the filled store for one of the users."""
    return database.uri("store").replace("://mlmd:", f"://{user}:") + (query and f"?{query}")


def files(**places: Path) -> str:
    """A query that names files."""
    return urllib.parse.urlencode({name: str(place) for name, place in places.items()})


# -- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((QUOTED, "wr%40ng"), "password"),
        (("/store", "/nosuch"), "nosuch"),
        (("://mlmd:", "://nobody:"), "nobody"),
    ],
)
@pytest.mark.parametrize("scheme", ["", "+mlmd"])
def test_a_refusal_that_will_not_change_is_told_at_once(
    scheme: str, change: tuple[str, str], said: str, database: Database,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A wrong password, database or user: one error without the password, in a moment."""
    uri = database.uri("store", scheme=f"{database.backend}{scheme}").replace(*change)
    started = time.monotonic()
    with pytest.raises(StoreError) as caught:
        open_store(uri)
    assert time.monotonic() - started < AT_ONCE_SECONDS
    # ml-metadata's own words may be none.
    assert scheme or (said in str(caught.value) and caught.value.fault is Fault.STORE_REFUSED)
    said_elsewhere = f"{caught.value.__cause__!r} {capfd.readouterr()}"
    assert "wr@ng" not in f"{caught.value} {said_elsewhere}"
    assert "r2d2" not in said_elsewhere


@pytest.mark.parametrize(
    "uri",
    [
        "mysql://u@no-such-host.invalid/db", "postgresql://u@no-such-host.invalid/db",
        "mysql+mlmd://u@no-such-host.invalid/db", "grpc://no-such-host.invalid:1",
        "kfp+http://no-such-host.invalid:1", "grpc://127.0.0.1:1",
    ],
)  # fmt: skip
def test_an_unknown_host_is_told_at_once(uri: str) -> None:
    """Nothing is tried again where nobody is."""
    started = time.monotonic()
    with pytest.raises(StoreNotFoundError, match="does not answer"):
        open_store(uri)
    assert time.monotonic() - started < AT_ONCE_SECONDS


@pytest.mark.parametrize("backend", ["mysql", "postgresql"])
def test_a_server_that_says_nothing_is_left(backend: str) -> None:
    """It takes the connection and is silent: the limit on connecting holds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(StoreError):
            open_store(f"{backend}://u:p@127.0.0.1:{port}/db?connect_timeout=1")
        assert time.monotonic() - started < AT_ONCE_SECONDS


def test_a_statement_has_a_limit(database: Database) -> None:
    """A table that another client holds locked ends in an error that names the limit."""
    lock = (
        "LOCK TABLES Execution WRITE; SELECT SLEEP(8);"
        if database.backend == "mysql"
        else "BEGIN; LOCK TABLE Execution IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(8);"
    )
    holder = threading.Thread(target=database.run, args=("store", lock))
    with open_store(as_user(database, "mlmd", "statement_timeout=1")) as store:
        holder.start()
        time.sleep(0.7)
        started = time.monotonic()
        try:
            with pytest.raises(StoreError, match="statement_timeout=SECONDS"):
                store.read_trace()
            assert time.monotonic() - started < AT_ONCE_SECONDS
        finally:
            holder.join()


class _AnswerError(Exception):
    """As a driver raises it."""


@pytest.mark.parametrize(
    ("backend", "error", "attempts"),
    [
        ("mysql", _AnswerError(1213, "Deadlock found"), driver.ATTEMPTS),
        ("mysql", _AnswerError(1040, "Too many connections"), driver.ATTEMPTS),
        ("mysql", _AnswerError(1045, "Access denied"), 1),
        ("mysql", _AnswerError(1049, "Unknown database"), 1),
        ("postgresql", _AnswerError({"C": "53300", "M": "too many clients"}), driver.ATTEMPTS),
        ("postgresql", _AnswerError({"C": "40P01", "M": "deadlock detected"}), driver.ATTEMPTS),
        ("postgresql", _AnswerError({"C": "28P01", "M": "password authentication failed"}), 1),
        ("postgresql", RuntimeError("db error: ERROR: deadlock detected"), driver.ATTEMPTS),
        ("postgresql", RuntimeError("db error: ERROR: no such table"), 1),
    ],
)
def test_what_can_pass_is_asked_again(backend: str, error: Exception, attempts: int) -> None:
    """With growing waits, and no more than a few times; what will not change is asked once."""
    asked, waits = [], list[float]()

    def ask() -> Any:
        asked.append(1)
        raise error

    with pytest.raises(StoreError):
        driver.again(parse_server(f"{backend}://u:p@h/d", {}), ask, sleep=waits.append)
    assert len(asked) == attempts
    assert waits == [driver.FIRST_WAIT_SECONDS * 2**n for n in range(attempts - 1)]


# -- TLS -----------------------------------------------------------------------------


def test_a_database_is_read_over_tls(
    database: Database, tls: certificates.Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the URI or by the environment, with the client's certificate: the trace of elsewhere."""
    with open_store(database.uri("store")) as store:
        plain = store.read_trace()
    own = {"tls_cert": tls.client, "tls_key": tls.client_key}
    with open_store(as_user(database, "mlmd", files(tls_ca=tls.authority))) as store:
        assert first_difference(store.read_trace(), plain) is None
        assert store.pipelines()["second"] == 1
        with lookups_of(store) as lookups:
            assert lookups is None
    certified = as_user(database, "careful_tls", files(tls_ca=tls.authority, **own))
    with open_store(certified) as store:
        assert first_difference(store.read_trace(), plain) is None
    for name, place in {"tls_ca": tls.authority, **own}.items():
        monkeypatch.setenv(TLS_VARIABLES[name], str(place))
    with open_store(as_user(database, "careful_tls")) as store:
        assert first_difference(store.read_trace(), plain) is None
    with pytest.raises(StoreError):
        open_store(as_user(database, "careful_tls", "tls_ca="))


def test_a_server_that_the_authority_does_not_vouch_for_is_refused(
    database: Database, tls: certificates.Certificates
) -> None:
    """At once, in words of TLS; also where the client's certificate is missing."""
    started = time.monotonic()
    with pytest.raises(StoreError, match="check tls_ca, tls_cert and tls_key"):
        open_store(as_user(database, "mlmd", files(tls_ca=tls.stranger)))
    with pytest.raises(StoreError):
        open_store(as_user(database, "careful_tls", files(tls_ca=tls.authority)))
    assert time.monotonic() - started < AT_ONCE_SECONDS


def test_a_library_without_tls_refuses(database: Database, tls: certificates.Certificates) -> None:
    """ml-metadata's releases have none: nothing is sent in the open instead."""
    uri = as_user(database, "mlmd", files(tls_ca=tls.authority)).replace("://", "+mlmd://", 1)
    with pytest.raises(StoreError, match="built without it"):
        open_store(uri)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("tls_ca=/no/such", "tls_ca='/no/such'"), ("tls_cert=x&tls_key=y", "needs tls_ca"),
        ("connect_timeout=0", "above 0"), ("statement_timeout=soon", "statement_timeout='soon'"),
        ("tls_ca=a&tls_ca=b", "once each"), ("ssl=1", "only tls_ca"),
    ],
)  # fmt: skip
def test_a_query_that_says_nothing_is_refused(query: str, said: str) -> None:
    """Names the parameter, and what it must be."""
    for place in ("mysql://h/d", "grpc://h:1"):
        with pytest.raises(InvalidArgumentError, match=re.escape(said)):
            parse_server(f"{place}?{query}", {})


def test_a_service_is_read_over_tls(tls: certificates.Certificates, tmp_path: Path) -> None:
    """gRPC: the authority's server with the client's certificate; any other is refused."""
    import grpc

    from tests.stores import test_readers as contract
    from tests.stores.grpc_server import serving
    from tests.stores.mlmd_files import write_store

    credentials = grpc.ssl_server_credentials(
        [(tls.server_key.read_bytes(), tls.server.read_bytes())],
        root_certificates=tls.authority.read_bytes(),
        require_client_auth=True,
    )
    path = write_store(tmp_path / "store.sqlite", contract.two_pipelines().raw())
    own = {"tls_cert": tls.client, "tls_key": tls.client_key}
    with serving(path, credentials) as (uri, _):
        with open_store(f"{uri}?{files(tls_ca=tls.authority, **own)}") as store:
            assert len(store.read_trace().executions) == 2
        for query in (files(tls_ca=tls.stranger, **own), files(tls_ca=tls.authority), ""):
            with pytest.raises(StoreError):
                open_store(f"{uri}?{query}" if query else uri)


# -- a user that may read alone ------------------------------------------------------


def test_the_documented_grant_is_enough_to_read(database: Database) -> None:
    """Whole, by pipeline and by look-ups; and no more than reading is allowed."""
    with open_store(database.uri("store")) as store:
        everything = store.read_trace()
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(open_store(as_user(database, "careful")))
        assert first_difference(store.read_trace(), everything) is None
        assert stack.enter_context(lookups_of(store)) is not None
    server = dataclasses.replace(parse_server(database.uri("store"), {}), user="careful")
    connection = driver._connected(server, 10.0)
    statement = "DELETE FROM Event"
    run = connection.cursor().execute if database.backend == "mysql" else connection.run
    with contextlib.closing(connection), pytest.raises(Exception, match=r"(?i)denied"):
        run(statement)
