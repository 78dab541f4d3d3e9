"""Kubeflow Pipelines' API server: its address, and its protocol of pages, retries, errors.

Written for ``/apis/v2beta1`` and its successor ``/apis/v2`` (kubeflow/pipelines,
``backend/api/v2beta1/run.proto`` and ``artifact.proto``), with the standard
library only. Nothing but GET is ever sent.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import logging
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Final, Union

from tfx_graphlets.errors import (
    InvalidArgumentError,
    NotAMetadataStoreError,
    StoreError,
    StoreNotFoundError,
)
from tfx_graphlets.stores.uris import redacted

TOKEN_VARIABLE: Final = "TFX_GRAPHLETS_KFP_TOKEN"  # noqa: S105 - where one may stand
TOKEN_FILE_VARIABLE: Final = "TFX_GRAPHLETS_KFP_TOKEN_FILE"  # noqa: S105
# Kubeflow's own: where a pod finds the token that is renewed for it.
POD_TOKEN_FILE_VARIABLE: Final = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105

_FORM: Final = "kfp+https://host:port/path?namespace=name"
_QUERY_NAMES: Final = ("namespace", "experiment")
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a Kubeflow Pipelines API server answers.

    Attributes:
      base: ``http://host:port/path`` or ``https://...``, without a slash at the
        end; the API begins below it with ``/apis``.
      namespace: Kubernetes namespace to read; empty where the server has one
        only, or does not tell them apart.
      experiment: id of the experiment to read; empty for all.
      token: bearer token; in no repr. Empty for none, or where it stands in
        ``token_file``.
      token_file: file that holds the token, which is read before every call,
        because tokens of pods are renewed; empty for none.
    """

    base: str
    namespace: str = ""
    experiment: str = ""
    token: str = dataclasses.field(default="", repr=False)
    token_file: str = ""

    @property
    def name(self) -> str:
        """Its URI without credentials."""
        query = urllib.parse.urlencode(
            {
                name: value
                for name, value in (("namespace", self.namespace), ("experiment", self.experiment))
                if value
            }
        )
        return f"kfp+{self.base}{'?' if query else ''}{query}"

    def current_token(self) -> str:
        """The token as it is now; empty where there is none.

        Raises:
          InvalidArgumentError: the token's file cannot be read, or what is
            found is no token.
        """
        token, source = self.token.strip(), TOKEN_VARIABLE
        if not token and self.token_file:
            source = self.token_file
            try:
                token = Path(self.token_file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                # Not chained where it could quote what the file holds.
                cause = error if isinstance(error, OSError) else None
                raise InvalidArgumentError(
                    "token file",
                    self.token_file,
                    f"it must be a file of text that can be read; see {TOKEN_FILE_VARIABLE}",
                ) from cause
        if token and not _TOKEN.fullmatch(token):
            raise InvalidArgumentError(
                "token", "***", f"the token of {source} must be one word of printable ASCII"
            )
        return token


def parse_address(uri: str, environment: Mapping[str, str]) -> Address:
    """Reads the URI of an API server.

    Args:
      uri: ``kfp+http://host:port`` or ``kfp+https://host:port``, with the path
        under which the API stands (Kubeflow's gateway: ``/pipeline``) and, in
        the query, ``namespace`` and ``experiment`` where wanted.
      environment: environment variables; TFX_GRAPHLETS_KFP_TOKEN holds the
        bearer token, or TFX_GRAPHLETS_KFP_TOKEN_FILE names its file. In a pod
        of Kubeflow, KF_PIPELINES_SA_TOKEN_PATH counts last.

    Raises:
      InvalidArgumentError: it is of no such form, or holds credentials.

    >>> address = parse_address("kfp+http://ml-pipeline:8888?namespace=team", {})
    >>> address.base, address.namespace
    ('http://ml-pipeline:8888', 'team')
    """
    shown = redacted(uri)
    try:
        parts = urllib.parse.urlsplit(uri)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")  # what no resolver takes is a ValueError here
        strict = bool(parts.query)
        query = urllib.parse.parse_qs(parts.query, keep_blank_values=True, strict_parsing=strict)
    except ValueError:
        # Not chained: the message of urllib quotes what may be a secret.
        raise InvalidArgumentError("uri", shown, f"it must read {_FORM}") from None
    if parts.username is not None or parts.password is not None:
        raise InvalidArgumentError(
            "uri", shown, f"no credentials may stand in it; put a token into {TOKEN_VARIABLE}"
        )
    if redacted(uri) != f"{uri.partition('://')[0]}://{parts.netloc}{parts.path}":
        raise InvalidArgumentError(
            "uri", shown, f"it must read {_FORM}, reserved characters percent-encoded"
        )
    unknown = sorted(set(query) - set(_QUERY_NAMES))
    if not host or parts.fragment or unknown or any(len(one) > 1 for one in query.values()):
        raise InvalidArgumentError(
            "uri",
            shown,
            f"it must read {_FORM}; of a query only {' and '.join(_QUERY_NAMES)} "
            "have a meaning, once each",
        )
    host = f"[{host}]" if ":" in host else host
    place = host if port is None else f"{host}:{port}"
    scheme = parts.scheme.lower().removeprefix("kfp+")
    return Address(
        base=f"{scheme}://{place}{parts.path.rstrip('/')}",
        namespace=query.get("namespace", [""])[0],
        experiment=query.get("experiment", [""])[0],
        token=environment.get(TOKEN_VARIABLE, ""),
        token_file=environment.get(TOKEN_FILE_VARIABLE, "")
        or environment.get(POD_TOKEN_FILE_VARIABLE, ""),
    )


Query = Mapping[str, Union[str, int, Sequence[str]]]

VERSIONS: Final = ("v2beta1", "v2")
TIMEOUT_SECONDS: Final = 30.0
ATTEMPTS: Final = 4
FIRST_WAIT_SECONDS: Final = 0.5  # doubled after every attempt
LONGEST_WAIT_SECONDS: Final = 20.0
PAGE_SIZE: Final = 200  # the most that the server gives
_PAGES: Final = 1_000_000  # more than any server holds: it repeats itself
_WORTH_TRYING_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_MESSAGE_LENGTH: Final = 200

_logger = logging.getLogger(__name__)


class NotThereError(StoreError):
    """The server knows no such path (HTTP 404), or does not implement it (501)."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none: a token must not go to another server, nor to a login page."""

    def redirect_request(self, *_args: object) -> None:
        return None


class Client:
    """GETs JSON from an API server."""

    def __init__(
        self,
        address: Address,
        *,
        sleep: Callable[[float], None] = time.sleep,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Keeps what it needs to ask; nothing is sent yet.

        Args:
          address: the server.
          sleep: waits that many seconds; between two attempts.
          timeout_seconds: how long the server may stay silent.
        """
        self._address = address
        self._sleep = sleep
        self._timeout = timeout_seconds
        self._version = ""
        self._opener = urllib.request.build_opener(_NoRedirects)

    def api_version(self) -> str:
        """The version of the API that the server speaks: ``v2beta1`` or ``v2``.

        Raises:
          StoreError: it speaks neither, or refuses; see ``get``.
        """
        for version in VERSIONS if not self._version else ():
            try:
                self._get(f"/apis/{version}/runs", {**self.scope(), "page_size": 1})
            except NotThereError:
                continue
            self._version = version
            break
        if not self._version:
            raise NotAMetadataStoreError(
                self._address.name,
                f"there is no Kubeflow Pipelines API at /apis/{VERSIONS[0]} below it; the path "
                "may be missing (Kubeflow's gateway: /pipeline), or the server is older than 2.0",
            )
        return self._version

    def scope(self) -> dict[str, str]:
        """Namespace and experiment, as ListRuns takes them."""
        named = {
            "namespace": self._address.namespace,
            "experiment_id": self._address.experiment,
        }
        return {name: value for name, value in named.items() if value}

    def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """The JSON object at a path below ``/apis/VERSION``.

        Raises:
          NotThereError: there is none.
          StoreNotFoundError: nobody answers.
          StoreError: the server refuses, fails, or answers with no JSON object.
        """
        return self._get(f"/apis/{self.api_version()}{path}", query or {})

    def pages(self, path: str, items: str, query: Query | None = None) -> Iterator[Any]:
        """What the list ``items`` holds on all pages at a path, in the server's order.

        Raises:
          StoreError: as ``get``; or the server names the same page again.
        """
        token, seen = "", set[str]()
        while True:
            page_query = {**(query or {}), "page_size": PAGE_SIZE}
            page = self.get(path, page_query | ({"page_token": token} if token else {}))
            found = page.get(items) or []
            if not isinstance(found, list):
                raise StoreError(
                    self._address.name,
                    f"answers {path} with a page whose {items!r} is no list; is this a Kubeflow "
                    "Pipelines API server?",
                )
            yield from found
            token = str(page.get("next_page_token") or "")
            if not token:
                return
            if token in seen or len(seen) >= _PAGES:
                raise StoreError(
                    self._address.name,
                    f"names the same page of {path} twice; try again, or "
                    "read less (a namespace, an experiment)",
                )
            seen.add(token)

    def _get(self, path: str, query: Query) -> dict[str, Any]:
        text = urllib.parse.urlencode(query, doseq=True)
        url = f"{self._address.base}{path}{'?' if text else ''}{text}"
        for attempt in range(1, ATTEMPTS + 1):
            error, wait = self._problem(url)
            if not isinstance(error, StoreError):
                return self._decoded(path, error)
            if wait is None or attempt == ATTEMPTS:
                raise error
            seconds = max(wait, FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
            seconds = min(seconds, LONGEST_WAIT_SECONDS)
            _logger.info("%s; attempt %d in %.1f s", error, attempt + 1, seconds)
            self._sleep(seconds)
        raise AssertionError  # not reached: the last attempt returns or raises

    def _problem(self, url: str) -> tuple[StoreError | bytes, float | None]:
        """One attempt: the answer, or the error and how long to wait (None: do not retry)."""
        name, token = self._address.name, self._address.current_token()
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http(s) only
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return answer.read(), None
        except urllib.error.HTTPError as error:
            with error:
                said = _message(error, token)
                return self._refusal(error, said), _seconds_to_wait(error)
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                return StoreError(
                    name,
                    f"its certificate is not trusted ({reason.verify_message}); name the "
                    "file of its authority in SSL_CERT_FILE",
                ), None
            # A server may come back in a few seconds, a host that has no name does not.
            wait = None if isinstance(reason, socket.gaierror) else 0.0
            kind = "does not answer"
            if isinstance(reason, (TimeoutError, socket.timeout)):
                kind = f"has not answered for {self._timeout:g} s"
            elif isinstance(reason, (http.client.IncompleteRead, ConnectionResetError)):
                kind = "broke off its answer"
            return StoreNotFoundError(
                name,
                f"{kind} ({type(reason).__name__}); check host, port and path, and that "
                "the API server (service ml-pipeline, port 8888) is running",
            ), wait

    def _refusal(self, error: urllib.error.HTTPError, said: str) -> StoreError:
        name, status = self._address.name, error.code
        if status in (404, 501):
            return NotThereError(name, f"has no such resource (HTTP {status}{said})")
        if status in (401, 403):
            advice = f"set {TOKEN_VARIABLE} to a token that may list runs there, or name another "
            return StoreError(name, f"refuses (HTTP {status}{said}); {advice}namespace")
        if status in (301, 302, 303, 307, 308):
            return StoreError(
                name,
                f"sends elsewhere (HTTP {status}), as to a login page; give a token in "
                f"{TOKEN_VARIABLE}, or the address of the API server itself",
            )
        if status == 400:
            return StoreError(
                name,
                f"does not accept what was asked (HTTP 400{said}); with several users it "
                "wants ?namespace=NAME",
            )
        return StoreError(name, f"fails (HTTP {status}{said}); try again later")

    def _decoded(self, path: str, answer: bytes) -> dict[str, Any]:
        try:
            value = json.loads(answer)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            # Some proxies answer with a login page and status 200.
            raise NotAMetadataStoreError(
                self._address.name,
                f"answers {path} with no JSON object; is this a Kubeflow Pipelines API server, "
                f"and is {TOKEN_VARIABLE} set where it wants a login?",
            )
        return value


def _message(error: urllib.error.HTTPError, token: str) -> str:
    """What the server says of an error (google.rpc.Status), in one line, without the token."""
    try:
        content = json.loads(error.read(65_536))
        said = str(content.get("message") or content.get("error") or "")
    except (ValueError, AttributeError, OSError, http.client.HTTPException):
        return ""
    if token:
        said = said.replace(token, "***")
    said = " ".join(said.split())[:_MESSAGE_LENGTH]
    return f": {said}" if said else ""


def _seconds_to_wait(error: urllib.error.HTTPError) -> float | None:
    if error.code not in _WORTH_TRYING_AGAIN:
        return None
    text = error.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0
