"""Payloads that are well framed and say odd things: protocol buffers, TFRecord, gzip, JSON, text.

A damaged byte mostly breaks the frame of a message, and the file is missing. Here the frame stays:
fields of any message are changed without its declaration, by the wire format alone.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tfx_graphlets.payloads.bounds import tfrecords

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_INTEGERS: Final = (0, 1, 2, 7, 127, 128, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1)
_MOST_BYTES = 50_000_000  # that copies of a field may take
_DOUBLES: Final = (
    0.0, -0.0, -1.0, 1e300, -1e300, 5e-324, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
_TEXTS: Final = (
    b"", b"\xff\xfe", b"x" * 5_000, b"train", b"baseline", b"\0", b"\n", "é".encode(), b"NaN",
)  # fmt: skip
_WORDS: Final = (
    "NaN", "-inf", "1e999", "5" * 400, '"\\377"', "-1", "true", "{", "}", "[", "", "#", '"',
    "<" * 300,
)  # fmt: skip
_DEEP: Final = 2_000  # levels
_BOMB: Final = 300 * 2**20  # bytes, unpacked

Field = tuple[int, int, Any]


def damage(randomness: random.Random, file: Path) -> None:
    """One to three changes of what a file says; its kind is told by its name."""
    content = file.read_bytes()
    for _ in range(randomness.choice((1, 1, 3))):
        with contextlib.suppress(ValueError, RecursionError):
            content = _changed(randomness, file.name, content)
    file.write_bytes(content)


def _changed(randomness: random.Random, name: str, content: bytes) -> bytes:
    if name.endswith(".json"):
        return _changed_json(randomness, content)
    if name.endswith(".pbtxt"):
        return _changed_text(randomness, content)
    if "tfrecord" in name:
        return _changed_records(randomness, content)
    return changed_message(randomness, content)


def _changed_records(randomness: random.Random, content: bytes) -> bytes:
    records = list(tfrecords(content))
    kind = randomness.choice(("one", "one", "one", "none", "twice", "cut", "bomb", "members"))
    if records and kind in ("one", "bomb", "members", "cut"):
        at = randomness.randrange(len(records))
        records[at] = changed_message(randomness, records[at])
    elif kind == "none":
        records = []
    elif kind == "twice":
        records = records * 2
    framed = b"".join(struct.pack("<QI", len(one), 0) + one + bytes(4) for one in records)
    if kind == "bomb" and randomness.random() < 0.1:
        return gzip.compress(framed + bytes(_BOMB), 1)
    if kind == "members":
        return gzip.compress(framed[:50]) + gzip.compress(framed[50:]) + bytes(7)
    if randomness.random() < 0.5:
        framed = gzip.compress(framed)
    return framed[: randomness.randrange(1, len(framed) + 1)] if kind == "cut" else framed


def changed_message(randomness: random.Random, content: bytes) -> bytes:
    """The message with one field, at any depth, that is odd, lost, doubled or of another type."""
    fields = list(_fields(content))
    if not fields:
        return content
    at = randomness.randrange(len(fields))
    number, kind, value = fields[at]
    inner = _is_message(value) if kind == _BYTES else False
    if inner and randomness.random() < 0.85:
        fields[at] = (number, kind, changed_message(randomness, value))
        return _encoded(fields)
    how = randomness.choice(("odd", "odd", "odd", "lost", "double", "type", "deep"))
    if how == "lost":
        del fields[at]
    elif how == "double":
        size = len(value) if kind == _BYTES else 1
        copies = min(randomness.choice((1, 10, 3_000)), _MOST_BYTES // max(size, 1))
        fields[at:at] = [fields[at]] * copies
    elif how == "type":
        fields[at] = (number, _BYTES if kind != _BYTES else _VARINT, b"xy" if kind != _BYTES else 5)
    elif how == "deep":
        fields[at] = (number, _BYTES, _nested(number))
    else:
        fields[at] = (number, kind, _odd(randomness, kind))
    return _encoded(fields)


def _odd(randomness: random.Random, kind: int) -> Any:
    if kind == _VARINT:
        return randomness.choice(_INTEGERS)
    if kind == _FIXED64:
        return struct.pack("<d", randomness.choice(_DOUBLES))
    if kind == _FIXED32:
        return struct.pack("<f", randomness.choice((0.0, float("nan"), float("inf"))))
    return randomness.choice(_TEXTS)


def _nested(number: int) -> bytes:
    content = b""
    for _ in range(_DEEP):
        content = in_field(number, content)
    return content


def in_field(number: int, content: bytes) -> bytes:
    """A message whose one field, of this number, has these bytes."""
    return _encoded([(number, _BYTES, content)])


def _fields(content: bytes) -> Iterator[Field]:
    """The fields of a message.

    Raises:
      ValueError: it is none.
    """
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if not number:
            raise ValueError("field 0")
        value: Any
        if kind == _VARINT:
            value, at = _varint(content, at)
        elif kind in (_FIXED64, _FIXED32, _BYTES):
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind, 0)
            if kind == _BYTES:
                size, at = _varint(content, at)
            value, at = content[at : at + size], at + size
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(content):
            raise ValueError("cut off")
        yield number, kind, value


def _is_message(content: bytes) -> bool:
    try:
        return bool(list(_fields(content)))
    except ValueError:
        return False


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 70:
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if not byte & 128:
            return value, at
    raise ValueError("no varint")


def _encoded(fields: list[Field]) -> bytes:
    parts = []
    for number, kind, value in fields:
        parts.append(_as_varint(number << 3 | kind))
        if kind == _VARINT:
            parts.append(_as_varint(value))
        else:
            parts += [_as_varint(len(value))] * (kind == _BYTES) + [value]
    return b"".join(parts)


def _as_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _changed_text(randomness: random.Random, content: bytes) -> bytes:
    """A text-format message with another word, a line lost or doubled, or many levels."""
    words = re.split(rb"(\s+)", content)
    at = randomness.randrange(len(words))
    how = randomness.choice(("word", "word", "lost", "double", "deep"))
    if how == "word":
        words[at] = randomness.choice(_WORDS).encode()
    elif how == "lost":
        del words[at]
    elif how == "double":
        words[at:at] = words[at : at + 40] * 5
    else:
        words[at:at] = [b" unknown { " * 5_000 + b" } " * 5_000]
    return b"".join(words)


def _changed_json(randomness: random.Random, content: bytes) -> bytes:
    from tests.fuzz.inputs import ODD, places

    document = json.loads(content)
    found = list(places(document))
    if not found:
        return content
    holder, key = randomness.choice(found)
    odd = randomness.choice([one for one in ODD if not isinstance(one, bytes)])
    how = randomness.choice(("odd", "odd", "list", "lost", "deep"))
    if how == "lost":
        del holder[key]
    elif how == "deep":
        holder[key] = "DEEP"
        return json.dumps(document).encode().replace(b'"DEEP"', b"[" * 5_000 + b"]" * 5_000)
    else:
        holder[key] = odd if how == "odd" else [odd, {"name": odd}]
    return json.dumps(document).encode("utf-8", "replace")
