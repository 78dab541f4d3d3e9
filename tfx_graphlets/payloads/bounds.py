"""Bounds on what a payload may make of this process, and the reading of files within them.

A store and its files are written by others. Past a bound a payload is missing,
as one that cannot be decoded is, and the log says so once for each kind.
"""

from __future__ import annotations

import json
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from tfx_graphlets.trace.properties import with_bytes

MAX_DECOMPRESSED: Final = 256 * 2**20  # bytes of one file, once it is unpacked
MAX_NESTING: Final = 100  # levels of a JSON or a text-format message; real ones have ten
MAX_FEATURES: Final = 20_000  # of one dataset
MAX_NAME: Final = 1_000  # characters of a feature's or metric's name

_LOG = logging.getLogger(__name__)
_GZIP: Final = 16 + zlib.MAX_WBITS
_STEP: Final = np.zeros(256, np.int8)  # levels that a byte opens or closes
_STEP[np.frombuffer(b"{[<", np.uint8)] = 1
_STEP[np.frombuffer(b"}]>", np.uint8)] = -1
_warned_of: set[tuple[str, str]] = set()


def decompressed(content: bytes, most: int = MAX_DECOMPRESSED) -> bytes:
    """What a gzip file holds.

    Args:
      content: of the file, one member or several.
      most: bytes that it may hold.

    Raises:
      ValueError: it is no gzip file, is cut off, or holds more.

    >>> import gzip
    >>> decompressed(gzip.compress(b"abc"))
    b'abc'
    """
    parts: list[bytes] = []
    size = 0
    while content:
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(content, most - size + 1)
        except zlib.error as error:
            raise ValueError("not a readable gzip file") from error
        size += len(part)
        if size > most:
            raise ValueError(f"a gzip file that holds more than {most:,} bytes")
        if not member.eof:
            raise ValueError("not a readable gzip file: it is cut off")
        parts.append(part)
        content = member.unused_data.lstrip(b"\0")
    return b"".join(parts)


def check_nesting(text: str | bytes, most: int = MAX_NESTING) -> None:
    """Refuses a text whose brackets nest too deeply for a parser that recurses.

    Args:
      text: JSON or a text-format message; brackets inside strings count.
      most: levels.

    Raises:
      ValueError: it has more levels.
    """
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    step = _STEP[np.frombuffer(raw, np.uint8)]
    depth = np.cumsum(step[step != 0], dtype=np.int64)
    if len(depth) and int(depth.max() - min(0, int(depth.min()))) > most:
        raise ValueError(f"nested more than {most} levels deep")


def parsed_json(text: object) -> object:
    """The value of a JSON text; None for what is no text, no JSON, or nested too deeply.

    >>> parsed_json('{"a": [1]}'), parsed_json("["), parsed_json(None)
    ({'a': [1]}, None, None)
    """
    if not isinstance(text, str) or not text:
        return None
    try:
        check_nesting(text)
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def as_text(value: str | bytes) -> str:
    r"""A string field of a message.

    Raises:
      ValueError: it is no UTF-8.

    >>> as_text(b"tip"), as_text("tip")
    ('tip', 'tip')
    """
    return value.decode("utf-8") if isinstance(value, bytes) else value


def as_message(kind: Any, content: bytes) -> Any:
    """A message of a protobuf class, with ``bytes`` for its strings, see ``with_bytes``.

    Raises:
      DecodeError: they are none.
      ValueError: a part of them is none, of which protobuf 3 only warns.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return with_bytes(kind).FromString(content)
        except (SystemError, RuntimeWarning) as error:  # the warning, raised in native code
            raise ValueError(f"not all of it is a {kind.__name__}") from error


def enum_name(enum: Any, number: int) -> str:
    """Name of an enum's value; its number where the writer knew a value that this enum lacks."""
    return str(enum.Name(number)) if number in enum.values() else str(number)


def left_out(what: str, uri: str, error: Exception) -> None:
    """Logs that a file is left out: the first of a kind as a warning, others as information.

    Args:
      what: name of the file.
      uri: of its artifact.
      error: why.
    """
    kind = (what.rpartition("/")[2], type(error).__name__)
    level = logging.INFO if kind in _warned_of else logging.WARNING
    more = "" if kind in _warned_of else " (further ones of this kind are logged as information)"
    _warned_of.add(kind)
    _LOG.log(level, "%s of %.200r is left out: %.200s%s", what, uri, error, more)


_GZIP_MAGIC = b"\x1f\x8b"


def tfrecords(content: bytes) -> Iterator[bytes]:
    """Records of a TFRecord file, plain or gzip; checksums are not checked.

    Args:
      content: the file's bytes: per record its length (uint64, little
        endian), the length's checksum (4 bytes), the data, its checksum.

    Raises:
      ValueError: the file is cut off or is no TFRecord file.
    """
    if content.startswith(_GZIP_MAGIC):
        content = decompressed(content)
    offset = 0
    while offset < len(content):
        if offset + 12 > len(content):
            raise ValueError("cut off within a record's length")
        (length,) = struct.unpack_from("<Q", content, offset)
        offset += 12
        if offset + length + 4 > len(content):
            raise ValueError("cut off within a record")
        yield content[offset : offset + length]
        offset += length + 4
