"""Struct properties as JSON text: the same whatever way they were read."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING

from tfx_graphlets import vocabulary

if TYPE_CHECKING:
    from google.protobuf import struct_pb2


def struct_to_json(text: str) -> str | None:
    """The JSON text, keys sorted, of a Struct as MLMD keeps it in a string.

    Args:
      text: ``mlmd-struct::`` and the base64 of a serialised
        google.protobuf.Struct.

    Returns: the JSON text; None where the text is not such a value.
    """
    if not text.startswith(vocabulary.STRUCT_PREFIX):
        return None
    from google.protobuf import message, struct_pb2

    try:
        payload = base64.b64decode(text[len(vocabulary.STRUCT_PREFIX) :], validate=True)
        struct = struct_pb2.Struct.FromString(payload)
    except (binascii.Error, message.DecodeError):
        return None
    return struct_message_to_json(struct)


def struct_message_to_json(struct: struct_pb2.Struct) -> str:
    """The same JSON text of the message itself, as the MLMD API hands it out.

    Whole numbers are written without a fraction, whatever the release of
    protobuf; NaN and infinities as ``json.dumps`` writes them.
    """
    return json.dumps(_plain_struct(struct), sort_keys=True)


def _plain_struct(struct: struct_pb2.Struct) -> dict[str, object]:
    return {key: _plain_value(value) for key, value in struct.fields.items()}


def _plain_value(value: struct_pb2.Value) -> object:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return _plain_struct(value.struct_value)
    if kind == "list_value":
        return [_plain_value(item) for item in value.list_value.values]
    return None
