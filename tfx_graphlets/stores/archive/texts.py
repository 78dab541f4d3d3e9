"""Texts as they go into an archive: without secrets and machine paths, or fingerprints alone."""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets.trace.properties import BoolArray, CodeArray, Properties
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.vocabulary import STATE_OF_PROPERTY, PropertyName, Stage

SCRUBBED: Final = "[scrubbed]"

_SENSITIVE: Final = (
    r"(?:password|passwd|passphrase|pwd|secret|credentials?|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|(?:auth|access|bearer|refresh|secret|api)[_-]?token)"
)
_SENSITIVE_NAME = re.compile(rf"(?:^|[^a-z]){_SENSITIVE}(?:$|[^a-z])|^token$", re.IGNORECASE)
_SENSITIVE_KEY: Final = re.compile(_SENSITIVE, re.IGNORECASE)
# Texts are other people's and may be long: each of these looks at a character a few times, whatever
# stands there. (A text that begins a match at every character takes the square of its length.)
_USERINFO = re.compile(r"(?<=://)[^\s/@\"'\\]+@")
# "password": "...", in JSON, or in JSON that is itself a string of JSON: from the key on. What ends
# the key, a quote and the backslashes before it, also begins it, and begins and ends the value.
_JSON_KEY: Final = re.compile(r"\"(?P<key>[\w.-]+)(?P<quote>\\*\")\s*:\s*(?P=quote)")
_JSON_QUOTE: Final = re.compile(r"(?<!\\)\\*\"")
# --password=..., password=... of command lines and connection strings.
_OPTION_SECRET = re.compile(
    rf"(?<![\w.-])(?=[\w.-]+=)([\w.-]*{_SENSITIVE}[\w.-]*=)[^\s\"'&;,\\]+", re.IGNORECASE
)


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
    text = _without_json_secrets(_USERINFO.sub("", text))
    return _OPTION_SECRET.sub(rf"\g<1>{SCRUBBED}", text)


def _without_json_secrets(text: str) -> str:
    """The text with SCRUBBED for what stands between the quotes after a secret's key."""
    kept: list[str] = []
    done = 0  # characters of the text that are dealt with
    ends: dict[str, list[int]] = {}  # where each kind of quote stands
    key = _JSON_KEY.search(text)
    while key is not None:
        begin, quote = key.end(), key["quote"]
        after = begin - 1  # the quote that begins a value may begin a key
        begins = text.endswith(quote, done, key.start("key"))
        if begins and _SENSITIVE_KEY.search(key["key"]) is not None:
            if not ends:
                for one in _JSON_QUOTE.finditer(text):
                    ends.setdefault(one[0], []).append(one.start())
            of_quote = ends.get(quote, [])
            at = bisect.bisect_left(of_quote, begin)
            if at < len(of_quote):
                kept += text[done:begin], SCRUBBED
                done = of_quote[at]
                after = done + len(quote)
        key = _JSON_KEY.search(text, after)
    return "".join((*kept, text[done:]))


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


# A text in which none of these is found holds nothing that ``without_secrets`` looks for.
_SUSPECT: Final = (
    r"(?i)://[^\s/]*@|passw|passphrase|pwd|secret|credential|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|token"
)
# Of these properties a text that is a number, or the name of a state or of a stage, stays.
_KEPT_PROPERTIES: Final = frozenset(
    {
        "stage",  # of a gate's decision, and of a rehearsal
        PropertyName.STATE,
        PropertyName.SPAN,
        PropertyName.VERSION,
        PropertyName.BLESSED,
        PropertyName.PUSHED,
    }
)
_NUMBER: Final = re.compile(r"-?\d{1,18}")
_CODE_HASH: Final = re.compile(r"\+([0-9a-f]{32,64})\b")  # at the end of a ``module_path``


class Rewriter:
    """Texts as they may be kept, as the caller of an archive wants.

    Attributes:
      scrub: whether secrets are taken out.
      key: of the fingerprints that stand for texts; None where texts are kept.
      changes: whether it changes anything at all.
    """

    def __init__(
        self, relativize_root: Sequence[str] = (), *, scrub: bool = True, key: bytes | None = None
    ) -> None:
        self._relativize = Relativizer(tuple(relativize_root))
        self._relative = bool(relativize_root)
        self.scrub, self.key = scrub, key
        self.changes = scrub or self._relative

    @property
    def redaction(self) -> str | None:
        """What tells the key from others; None where texts are kept."""
        return None if self.key is None else self._fingerprint("tfx-graphlets archive")

    def __call__(self, text: str) -> str:
        """The text as it may be kept."""
        if self.key is not None:
            return self._fingerprint(text) if text else text
        if self._relative:
            text = self._relativize(text)
        return without_secrets(text) if self.scrub else text

    def all(self, texts: Sequence[str]) -> Any:
        """The texts as they may be kept, as a pyarrow array of large strings."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._relative or self.key is not None:
            return pa.array([self(text) for text in texts], pa.large_string())
        array = arrow_texts(texts)
        if not self.scrub or not len(array):
            return array
        suspects = pc.match_substring_regex(array, _SUSPECT)
        if not pc.any(suspects).as_py():
            return array
        rewritten = [self(text) for text in array.filter(suspects).to_pylist()]
        return pc.replace_with_mask(array, suspects, pa.array(rewritten, pa.large_string()))

    def of_properties(self, properties: Properties) -> tuple[CodeArray, Any]:
        """The texts of properties as they may be kept.

        Returns:
          int32 [n], code of each row, -1 where it has no text; and the texts,
          a pyarrow array of large strings.
        """
        import pyarrow as pa

        code, count = properties.string_code, len(properties.strings)

        def named(names: Collection[str], kept: Sequence[bool]) -> BoolArray:
            of_name = np.array([name in names for name in properties.names], bool)
            return of_name[properties.name] & np.array([*kept, False], bool)[code]

        texts = [self.all(properties.strings)]
        if self.key is not None:
            # Twice more: as code that was run, and as what is kept.
            plain = [*properties.strings]
            texts.append(pa.array([self._of_code(text) for text in plain], pa.large_string()))
            texts.append(arrow_texts(plain))
            is_code = named({PropertyName.MODULE_PATH}, [True] * count)
            is_kept = named(_KEPT_PROPERTIES, [_is_kept(text) for text in plain])
            code = code + count * is_code + 2 * count * is_kept
        elif self.scrub:
            texts.append(pa.array([SCRUBBED], pa.large_string()))
            secret = {name for name in properties.names if is_secret_name(name)}
            code = np.where(named(secret, [True] * count), count, code)
        return code, pa.concat_arrays(texts)

    def _of_code(self, text: str) -> str:
        """Of a ``module_path``: the same where the code is the same, wherever it lies."""
        found = _CODE_HASH.search(text)
        return f"+{self._fingerprint(found[1])}" if found else self(text)

    def _fingerprint(self, text: str) -> str:
        content = text.encode("utf-8", "surrogatepass")
        return hmac.new(self.key or b"", content, hashlib.sha256).hexdigest()[:32]


def redaction_key() -> bytes:
    """The key in TFX_GRAPHLETS_REDACT_KEY; without one, one that nobody knows afterwards."""
    return os.environ.get("TFX_GRAPHLETS_REDACT_KEY", "").encode() or secrets.token_bytes(32)


def arrow_texts(texts: Any) -> Any:
    """A pyarrow array of large strings."""
    import pyarrow as pa

    if isinstance(texts, pa.Array):
        return texts
    return texts.to_arrow() if isinstance(texts, Texts) else pa.array([*texts], pa.large_string())


def _is_kept(text: str) -> bool:
    return text.lower() in (*STATE_OF_PROPERTY, *map(str, Stage)) or bool(_NUMBER.fullmatch(text))
