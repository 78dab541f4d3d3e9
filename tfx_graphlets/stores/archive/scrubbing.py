"""Takes secrets and machine paths out of texts that go into an archive."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Final

SCRUBBED: Final = "[scrubbed]"

_SENSITIVE: Final = (
    r"(?:password|passwd|passphrase|pwd|secret|credentials?|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|(?:auth|access|bearer|refresh|secret|api)[_-]?token)"
)
_SENSITIVE_NAME = re.compile(rf"(?:^|[^a-z]){_SENSITIVE}(?:$|[^a-z])|^token$", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^\s/@\"'\\]+@")
# "password": "...", in JSON, or in JSON that is itself a string of JSON.
_JSON_SECRET = re.compile(
    rf"(?P<quote>\\*\")(?P<key>[\w.-]*{_SENSITIVE}[\w.-]*)(?P=quote)(?P<colon>\s*:\s*)"
    r"(?P=quote)(?:(?!(?<!\\)(?P=quote)).)*(?<!\\)(?P=quote)",
    re.IGNORECASE | re.DOTALL,
)
# --password=..., password=... of command lines and connection strings.
_OPTION_SECRET = re.compile(rf"([\w.-]*{_SENSITIVE}[\w.-]*=)[^\s\"'&;,\\]+", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """True for a property name that says that its value is a secret.

    >>> [is_secret_name(name) for name in ("db_password", "apiKey", "num_tokens", "module_file")]
    [True, True, False, False]
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return _SENSITIVE_NAME.search(spaced) is not None


def without_secrets(text: str) -> str:
    """``text`` without user and password of URIs and without values of secret keys.

    >>> without_secrets("mysql://me:pass@host/db")
    'mysql://host/db'
    >>> without_secrets('{"db_password": "x", "steps": 3}')
    '{"db_password": "[scrubbed]", "steps": 3}'
    >>> without_secrets("--api_key=abc --steps=3")
    '--api_key=[scrubbed] --steps=3'
    """
    text = _USERINFO.sub("", text)
    text = _JSON_SECRET.sub(
        rf"\g<quote>\g<key>\g<quote>\g<colon>\g<quote>{SCRUBBED}\g<quote>", text
    )
    return _OPTION_SECRET.sub(rf"\g<1>{SCRUBBED}", text)


@dataclasses.dataclass(frozen=True)
class Relativizer:
    r"""Strips path prefixes of a machine, wherever they begin a path in a text.

    >>> strip = Relativizer(["/srv/ml/pipelines"])
    >>> strip("/srv/ml/pipelines/flights/runs/Trainer/7")
    'flights/runs/Trainer/7'
    >>> strip('{"module": "file:///srv/ml/pipelines/m.py", "other": "/data/srv/ml/pipelines/x"}')
    '{"module": "m.py", "other": "/data/srv/ml/pipelines/x"}'
    >>> strip("/srv/ml/pipelines")
    '.'

    Attributes:
      prefixes: folders, absolute; the longest that fits counts.
    """

    prefixes: Sequence[str]

    def __call__(self, text: str) -> str:
        """``text`` with the prefixes taken off."""
        for prefix in sorted({one.rstrip("/\\") for one in self.prefixes}, key=len, reverse=True):
            if not prefix:
                continue
            # In JSON a backslash stands doubled, and a line may begin after \\n.
            for spelling in dict.fromkeys((prefix, prefix.replace("\\", "\\\\"))):
                pattern = (
                    rf"(?:(?<![\w.~/\\-])|(?<=\\n))(?:file://(?:localhost)?)?{re.escape(spelling)}"
                    r"(?:(?P<separator>/+|\\+)(?=[^\s/\\\"'])|[/\\]?(?![\w.~-]))"
                )
                text = re.sub(pattern, _replacement, text)
        return text


def _replacement(match: re.Match[str]) -> str:
    return "" if match["separator"] else "."
