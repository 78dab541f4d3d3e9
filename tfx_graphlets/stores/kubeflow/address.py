"""Names of Kubeflow Pipelines API servers, and the token that opens them."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tfx_graphlets.errors import InvalidArgumentError
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
