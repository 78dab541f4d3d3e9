"""Servers of Kubeflow Pipelines that fail, refuse or are not there; tokens and addresses."""

from __future__ import annotations

import json
import logging
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.kubeflow.history import Naps, history, opened
from tests.stores.kubeflow.installation import Installation, installation_of
from tests.stores.kubeflow.server import Behaviour, serving
from tfx_graphlets.errors import (
    InvalidArgumentError,
    NotAMetadataStoreError,
    StoreError,
    StoreNotFoundError,
)
from tfx_graphlets.stores.kubeflow.client import Address, parse_address
from tfx_graphlets.stores.kubeflow.store import KfpStore
from tfx_graphlets.stores.store import Store, open_store

SECRET = "kubeflow-token-1234"  # noqa: S105 - looked for in what is shown


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    """A server with the runs of ``history``."""
    with serving(installation_of(history())) as found:
        yield found


# -- what goes wrong -----------------------------------------------------------------


def failure(status: int, said: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """An answer with a google.rpc.Status."""
    return status, headers, json.dumps({"code": 13, "message": said}).encode()


def test_passing_failures_are_tried_again(server: tuple[str, Behaviour]) -> None:
    """5xx, 429 and broken answers are asked for again, waiting longer each time."""
    uri, behaviour = server
    naps = Naps()
    store = opened(uri, naps=naps)
    behaviour.answers = [failure(503), failure(500), (0, {}, b'{"runs"')]
    assert len(store.read_trace().executions) == 36
    assert naps.seconds == [0.5, 1.0, 2.0]
    naps.seconds.clear()
    retry = {"Retry-After": "7"}
    behaviour.answers = [(429, retry, b""), (503, {"Retry-After": "9999"}, b"")]
    assert len(store.read_trace().executions) == 36
    assert naps.seconds == [7.0, 20.0]


def test_lasting_failures_end(server: tuple[str, Behaviour]) -> None:
    """After four attempts the error says what the server said."""
    uri, behaviour = server
    naps = Naps()
    store = opened(uri, naps=naps)
    behaviour.answers = [failure(502, "the database\nis away")] * 4
    behaviour.calls.clear()
    with pytest.raises(StoreError, match=r"fails .HTTP 502: the database is away.; try again"):
        store.read_trace()
    assert (len(behaviour.calls), naps.seconds) == (4, [0.5, 1.0, 2.0])


@pytest.mark.parametrize(
    ("answer", "kind", "match"),
    [
        (failure(401, "no user"), StoreError, "HTTP 401: no user.*TFX_GRAPHLETS_KFP_TOKEN"),
        (failure(403), StoreError, "HTTP 403.*another namespace"),
        ((302, {"Location": "http://127.0.0.1:9/login"}, b""), StoreError, "login page"),
        ((200, {}, b"<html>login</html>"), NotAMetadataStoreError, "no JSON object"),
        ((200, {}, b"[1]"), NotAMetadataStoreError, "no JSON object"),
        ((200, {}, b'{"runs": {"a": 1}}'), StoreError, "no list"),
        ((200, {}, b'{"runs": ' + b"[" * 100_000), NotAMetadataStoreError, "no JSON object"),
    ],
)  # fmt: skip
def test_refusals_are_not_tried_again(
    server: tuple[str, Behaviour], answer: tuple[int, dict[str, str], bytes],
    kind: type[StoreError], match: str,
) -> None:  # fmt: skip
    """Each says what is wrong and what to do; nothing is followed, nothing is waited for."""
    uri, behaviour = server
    naps = Naps()
    store = opened(uri, naps=naps)
    behaviour.answers = [answer]
    with pytest.raises(kind, match=match) as caught:
        store.read_trace()
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"{uri}: ")
    assert naps.seconds == []


def test_a_server_that_repeats_itself_is_left() -> None:
    """A page token that comes again ends the reading."""
    with (
        serving(installation_of(history()), Behaviour(same_page=True)) as (uri, _),
        opened(uri) as store,
        pytest.raises(StoreError, match="same page of /runs twice"),
    ):
        store.read_trace()


def test_no_such_api() -> None:
    """A web server that is something else is told from one that is not there."""
    with (
        serving(Installation(), Behaviour(prefix="/elsewhere")) as (uri, behaviour),
        pytest.raises(NotAMetadataStoreError, match="gateway: /pipeline"),
    ):
        opened(uri.removesuffix("/elsewhere"))
    assert len(behaviour.calls) == 2
    naps = Naps()
    with pytest.raises(StoreNotFoundError, match=r"does not answer .ConnectionRefusedError"):
        opened("kfp+http://127.0.0.1:9", naps=naps)
    assert naps.seconds == [0.5, 1.0, 2.0]


def test_a_silent_server_is_not_waited_for(server: tuple[str, Behaviour]) -> None:
    """A time-out ends every attempt."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreNotFoundError, match=r"has not answered for 0.05 s"):
            opened(f"kfp+http://127.0.0.1:{port}", timeout=0.05)


def test_a_closed_store_says_so(server: tuple[str, Behaviour]) -> None:
    """Reading after close is an error of this library, with what to do."""
    store: Store = opened(server[0])
    store.close()
    with pytest.raises(StoreError, match="open it again"):
        store.read_trace()


def test_certificates_are_checked(tmp_path: Path) -> None:
    """A server whose certificate nobody vouches for is not read; SSL_CERT_FILE can vouch."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key),
            "-out", str(certificate),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(installation_of(history()), tls=context) as (uri, _):
        assert uri.startswith("kfp+https://localhost:")
        with pytest.raises(StoreError, match=r"certificate is not trusted.*SSL_CERT_FILE"):
            opened(uri)
        program = f"from tfx_graphlets import open_store\nopen_store({uri!r}).read_trace()"
        environment = {**os.environ, "SSL_CERT_FILE": str(certificate)}
        subprocess.run([sys.executable, "-c", program], check=True, env=environment)


# -- secrets and addresses -----------------------------------------------------------


def test_the_token_is_shown_nowhere(
    server: tuple[str, Behaviour], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in a log, nor in an error or what caused it, also if the server says it."""
    uri, behaviour = server
    caplog.set_level(logging.DEBUG)
    store = opened(uri, token=SECRET)
    behaviour.answers = [failure(500, f"cannot handle {SECRET}")] * 4
    with pytest.raises(StoreError) as caught:
        store.read_trace()
    behaviour.answers = [failure(401, f"unknown: Bearer {SECRET}")]
    with pytest.raises(StoreError) as refused:
        store.read_trace()
    shown = [repr(error.value) + repr(error.value.__cause__) for error in (caught, refused)]
    assert SECRET not in "".join([*shown, caplog.text, store.name, repr(store._address)])
    assert "cannot handle ***" in shown[0]
    assert behaviour.tokens[-1] == f"Bearer {SECRET}"


def test_a_token_in_a_file_is_read_anew(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    """The token of a pod is renewed while a program runs."""
    uri, behaviour = server
    file = tmp_path / "token"
    file.write_text("first\n")
    address = parse_address(uri, {"KF_PIPELINES_SA_TOKEN_PATH": str(file)})
    with KfpStore(address, sleep=Naps()) as store:
        file.write_text("second\n")
        store.read_trace()
        assert {behaviour.tokens[0], behaviour.tokens[-1]} == {"Bearer first", "Bearer second"}
        file.unlink()
        with pytest.raises(InvalidArgumentError, match="TFX_GRAPHLETS_KFP_TOKEN_FILE"):
            store.read_trace()


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "zeichen-ü"])
def test_a_token_is_one_word(token: str) -> None:
    """Anything else would end up in the headers of a call; the error does not show it."""
    with pytest.raises(InvalidArgumentError, match="one word") as caught:
        opened("kfp+http://127.0.0.1:9", token=token)
    assert token not in str(caught.value)


def test_a_uri_is_taken_apart() -> None:
    """Scheme, path and query are kept; the URI of IPv6 hosts has brackets."""
    environment = {
        "TFX_GRAPHLETS_KFP_TOKEN_FILE": "/run/t", "KF_PIPELINES_SA_TOKEN_PATH": "/run/other"
    }  # fmt: skip
    assert parse_address("kfp+https://Kube.example/pipeline/?namespace=a", environment) == Address(
        "https://kube.example/pipeline",
        namespace="a",
        token_file="/run/t",  # noqa: S106
    )
    assert parse_address("kfp+http://[::1]:8888", {}).base == "http://[::1]:8888"


@pytest.mark.parametrize(
    "uri",
    [
        "kfp+http://", "kfp+http://host:port", "kfp+http://me:secret@host",
        "kfp+http://host?token=secret", "kfp+http://host?namespace=a&namespace=secret",
        "kfp+http://host?secret", "kfp+http://host#secret", "kfp+http://[::1",
    ],
)  # fmt: skip
def test_a_misspelt_uri_shows_no_secret(uri: str) -> None:
    """Credentials do not belong into it, and are not repeated."""
    with pytest.raises(InvalidArgumentError) as caught:
        open_store(uri)
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"
