"""Properties: what executions and artifacts say of themselves, as columns."""

from __future__ import annotations

import base64
import binascii
import bisect
import dataclasses
import functools
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets import vocabulary
from tfx_graphlets.trace.strings import Texts

if TYPE_CHECKING:
    from google.protobuf import struct_pb2
    from google.protobuf.descriptor import FileDescriptor
    from google.protobuf.descriptor_pb2 import DescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

IntArray = NDArray[np.int64]
CodeArray = NDArray[np.int32]
SmallArray = NDArray[np.int8]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

NO_STRING = -1  # Properties.string_code of a value that is no string


class PropertyKind:
    """Which column of a Properties row holds the value (``Properties.kind``)."""

    INT = 1
    DOUBLE = 2
    STRING = 3
    STRUCT = 4  # JSON text with sorted keys, in the string column
    BOOL = 5  # 0 or 1, in the int column


_KIND_OF_FIELD: Final = {  # of MLMD's message Value
    "int_value": PropertyKind.INT,
    "double_value": PropertyKind.DOUBLE,
    "string_value": PropertyKind.STRING,
    "bool_value": PropertyKind.BOOL,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Properties:
    """Declared and custom properties of executions or of artifacts, long form.

    Rows are sorted by (owner, name, is_custom). Proto and bytes values are
    left out.

    Attributes:
      owner: int64 [n], position of the execution or artifact.
      name: int32 [n], code into ``names``.
      is_custom: bool [n], true for MLMD ``custom_properties``.
      kind: int8 [n], a PropertyKind.
      int_value: int64 [n], 0 where the kind is neither INT nor BOOL.
      double_value: float64 [n], 0.0 where the kind is not DOUBLE.
      string_code: int32 [n], code into ``strings``, NO_STRING where none.
      names: property names, sorted.
      strings: distinct string values, sorted; a tuple, or ``strings.Texts``
        where there are many.
    """

    owner: IntArray
    name: CodeArray
    is_custom: BoolArray
    kind: SmallArray
    int_value: IntArray
    double_value: FloatArray
    string_code: CodeArray
    names: tuple[str, ...]
    strings: Sequence[str]

    def __len__(self) -> int:
        return len(self.owner)

    def rows(self, name: str) -> IntArray:
        """Row numbers of the property ``name``, int64 [k]; empty if unknown."""
        if name not in self._code_of_name:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.name == self._code_of_name[name]).astype(np.int64)

    @functools.cached_property
    def _code_of_name(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.names)}

    def numbers(self, name: str, num_owners: int) -> FloatArray:
        """Numeric value of ``name`` per owner.

        A custom property counts where both kinds are set. A string that reads
        as a number counts as that number (older TFX wrote ``span`` so).

        Returns:
          float64 [num_owners]; NaN where the owner has no such number.
        """
        owner, value = self._numbers(name)
        result = np.full(num_owners, np.nan)
        result[owner] = value  # of an owner's rows the last one stays
        return result

    def has_number(self, name: str, wanted: float, num_owners: int) -> BoolArray:
        """True for owners whose ``name``, declared or custom, is the wanted number.

        Returns: bool [num_owners]; strings count as in ``numbers``.
        """
        owner, value = self._numbers(name)
        result = np.zeros(num_owners, bool)
        result[owner[value == wanted]] = True
        return result

    def _numbers(self, name: str) -> tuple[IntArray, FloatArray]:
        """Owner and value of every row of ``name`` that is a number, custom rows last."""
        rows = self.rows(name)
        kind, code = self.kind[rows], self.string_code[rows]
        value = np.where(
            kind == PropertyKind.DOUBLE,
            self.double_value[rows],
            self.int_value[rows].astype(np.float64),
        )
        is_number = code == NO_STRING
        codes, place = np.unique(code[~is_number], return_inverse=True)
        parsed = [_number(self.strings[one]) for one in codes]
        read = np.array([one is not None for one in parsed], bool)[place]
        value[~is_number] = np.array([one or 0.0 for one in parsed], np.float64)[place]
        is_number[~is_number] = read
        return self.owner[rows][is_number], value[is_number]

    def texts(self, name: str, num_owners: int) -> list[str | None]:
        """String value of ``name`` per owner; None where there is none."""
        codes, place = np.unique(self.text_codes(name, num_owners), return_inverse=True)
        pool = np.empty(len(codes), object)
        pool[:] = [None if one == NO_STRING else self.strings[one] for one in codes.tolist()]
        return list(pool[place.reshape(-1)])

    def text_codes(self, name: str, num_owners: int) -> IntArray:
        """Code into ``strings`` of the string value of ``name`` per owner.

        A custom property counts where both kinds are set.

        Returns: int64 [num_owners]; NO_STRING where the owner has no such text.
        """
        rows = self.rows(name)
        rows = rows[self.string_code[rows] != NO_STRING]
        result = np.full(num_owners, NO_STRING, np.int64)
        result[self.owner[rows]] = self.string_code[rows]  # of an owner's rows the last one stays
        return result

    def with_last(self, owner: int, name: str, text: str) -> Properties:
        """The same with one more custom property, a text, of an owner behind all others."""
        names, name_code, place = _inserted(self.names, self.name, name)
        strings, string_code, string = _inserted(self.strings, self.string_code, text)
        return Properties(
            owner=np.append(self.owner, owner),
            name=np.append(name_code, np.int32(place)),
            is_custom=np.append(self.is_custom, True),
            kind=np.append(self.kind, np.int8(PropertyKind.STRING)),
            int_value=np.append(self.int_value, 0),
            double_value=np.append(self.double_value, 0.0),
            string_code=np.append(string_code, np.int32(string)),
            names=tuple(names),
            strings=strings,
        )


def _inserted(
    texts: Sequence[str], codes: CodeArray, text: str
) -> tuple[Sequence[str], CodeArray, int]:
    """Sorted texts with one more, the codes that follow from it, and its own code; -1 stays."""
    place = bisect.bisect_left(texts, text)
    if place < len(texts) and texts[place] == text:
        return texts, codes, place
    wider: Sequence[str] = (*texts[:place], text, *texts[place:])
    if isinstance(texts, Texts):
        wider = Texts.joined([texts[:place], Texts.of([text]), texts[place:]])
    return wider, np.where(codes >= place, codes + 1, codes).astype(np.int32), place


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# -- Values of a property, whatever they came as ------------------------------------------


def property_value(content: object) -> tuple[int, float | str]:
    """Kind and value of the property that holds a JSON value which is not null.

    A whole number is an INT, as ``struct_message_to_json`` writes it, and one of more
    than 64 bits a DOUBLE; an object is a STRUCT; a list is a STRING of
    JSON. In a text, halves of pairs are replaced.
    """
    if isinstance(content, bool):
        return PropertyKind.BOOL, int(content)
    if isinstance(content, int):
        if -(2**63) <= content < 2**63:
            return PropertyKind.INT, content
        try:
            return PropertyKind.DOUBLE, float(content)
        except OverflowError:
            return PropertyKind.DOUBLE, math.inf if content > 0 else -math.inf
    if isinstance(content, float):
        return PropertyKind.DOUBLE, content
    if isinstance(content, str):
        return PropertyKind.STRING, content.encode("utf-8", "replace").decode()
    kind = PropertyKind.STRUCT if isinstance(content, dict) else PropertyKind.STRING
    return kind, json.dumps(content, sort_keys=True)


def property_of_message(value: Any) -> tuple[int, float | str] | None:
    """Kind and value of what MLMD's API hands out, a Struct as its JSON text.

    Args:
      value: MLMD's message ``Value``.

    Returns: None for what a Trace leaves out: a proto, or nothing.
    """
    field = value.WhichOneof("value")
    if field == "struct_value":
        return PropertyKind.STRUCT, struct_message_to_json(value.struct_value)
    if field not in _KIND_OF_FIELD:
        return None
    content = getattr(value, field)
    return _KIND_OF_FIELD[field], int(content) if field == "bool_value" else content


# -- Structs as JSON text: the same whatever way they were read ---------------------------


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
        _check_texts(with_bytes(struct_pb2.Struct).FromString(payload))
        struct = struct_pb2.Struct.FromString(payload)
    except (binascii.Error, message.DecodeError, UnicodeDecodeError):
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


# -- messages of others, whose texts may be none --------------------------------------------


def with_bytes(kind: type[Message]) -> type[Message]:
    r"""The message class with ``bytes`` for every string, and with lists of entries for maps.

    Before release 4, protobuf prints a line on standard error for each string that is no UTF-8,
    from C++, where it cannot be kept back without what others print.

    >>> from google.protobuf.struct_pb2 import Value
    >>> with_bytes(Value).FromString(b"\x1a\x02\xff\xfe").string_value
    b'\xff\xfe'
    """
    return _with_bytes(kind.DESCRIPTOR.file)[kind.DESCRIPTOR.full_name]


@functools.lru_cache(maxsize=16)
def _with_bytes(file: FileDescriptor) -> Mapping[str, type[Message]]:
    from google.protobuf import descriptor_pb2, descriptor_pool

    pool, added = descriptor_pool.DescriptorPool(), set()

    def add(one: FileDescriptor) -> None:
        if one.name in added:
            return
        added.add(one.name)
        for needed in one.dependencies:
            add(needed)
        copy = descriptor_pb2.FileDescriptorProto()
        one.CopyToProto(copy)
        for message in copy.message_type:
            _without_strings(message)
        pool.Add(copy)

    add(file)
    names = [message.full_name for message in file.message_types_by_name.values()]
    return message_classes(pool, names)


def _without_strings(message: DescriptorProto) -> None:
    message.options.ClearField("map_entry")  # the key of a map cannot be of bytes
    for field in message.field:
        if field.type == field.TYPE_STRING:
            field.type = field.TYPE_BYTES
    for nested in message.nested_type:
        _without_strings(nested)


def message_classes(pool: DescriptorPool, names: Sequence[str]) -> Mapping[str, type[Message]]:
    """Classes of the messages of these full names, by name."""
    from google.protobuf import message_factory

    descriptors = {name: pool.FindMessageTypeByName(name) for name in names}
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
        return {name: message_factory.GetMessageClass(one) for name, one in descriptors.items()}
    factory = message_factory.MessageFactory(pool)
    prototype = getattr(factory, "GetPrototype")  # noqa: B009  # newer stubs have it no more
    return {name: prototype(one) for name, one in descriptors.items()}


def _check_texts(message: Message) -> None:
    """Raises UnicodeDecodeError where ``bytes`` anywhere in the message are no UTF-8."""
    for _, value in message.ListFields():
        for one in value if hasattr(value, "__len__") and not isinstance(value, bytes) else [value]:
            if isinstance(one, bytes):
                one.decode("utf-8")
            elif hasattr(one, "ListFields"):
                _check_texts(one)
