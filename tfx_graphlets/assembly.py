"""From rows as a store returns them, in any order, to a canonical Trace.

Every reader and every builder hands its rows to ``assemble``, so that equal
stores give equal traces whatever the way they were read.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Union

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets import vocabulary
from tfx_graphlets.trace import (
    NO_KEY,
    NO_STRING,
    Artifacts,
    CodeArray,
    Contexts,
    Events,
    Executions,
    IntArray,
    Properties,
    PropertyKind,
    Trace,
)

if TYPE_CHECKING:
    from google.protobuf import struct_pb2

IntColumn = Union[Sequence[int], IntArray]


@dataclasses.dataclass
class RawProperties:
    """Property rows in any order, one list per column, equally long.

    Attributes:
      owner: id of the execution or artifact.
      name: property name.
      is_custom: 1 for a custom property, else 0.
      kind: a PropertyKind.
      value: int for INT and BOOL, float for DOUBLE, str for STRING; for
        STRUCT the JSON text (see ``struct_to_json``).
    """

    owner: list[int] = dataclasses.field(default_factory=list)
    name: list[str] = dataclasses.field(default_factory=list)
    is_custom: list[int] = dataclasses.field(default_factory=list)
    kind: list[int] = dataclasses.field(default_factory=list)
    value: list[int | float | str] = dataclasses.field(default_factory=list)

    def add(self, owner: int, name: str, is_custom: bool, kind: int, value: float | str) -> None:
        """Appends one row."""
        self.owner.append(owner)
        self.name.append(name)
        self.is_custom.append(int(is_custom))
        self.kind.append(kind)
        self.value.append(value)


@dataclasses.dataclass
class RawTables:
    """Rows of a store, by id, in any order.

    Attributes:
      execution_*: one entry per execution; ``execution_type`` the type's full
        name; ``execution_state`` 0 where the column holds none (then the
        property ``state`` counts).
      artifact_*: one entry per artifact.
      event_*: one entry per event; ``event_key`` the first key step of its
        path, None where there is none; ids that do not exist are allowed.
      context_*: one entry per context.
      association: pairs (context id, execution id).
      attribution: pairs (context id, artifact id).
      execution_properties, artifact_properties: see RawProperties.
    """

    execution_id: IntColumn = ()
    execution_type: Sequence[str] = ()
    execution_state: IntColumn = ()
    execution_create_ms: IntColumn = ()
    execution_update_ms: IntColumn = ()
    artifact_id: IntColumn = ()
    artifact_type: Sequence[str] = ()
    artifact_state: IntColumn = ()
    artifact_create_ms: IntColumn = ()
    artifact_update_ms: IntColumn = ()
    artifact_uri: Sequence[str] = ()
    event_execution: IntColumn = ()
    event_artifact: IntColumn = ()
    event_type: IntColumn = ()
    event_key: Sequence[str | None] = ()
    event_ms: IntColumn = ()
    context_id: IntColumn = ()
    context_type: Sequence[str] = ()
    context_name: Sequence[str] = ()
    context_create_ms: IntColumn = ()
    association: Sequence[tuple[int, int]] | IntArray = ()
    attribution: Sequence[tuple[int, int]] | IntArray = ()
    execution_properties: RawProperties = dataclasses.field(default_factory=RawProperties)
    artifact_properties: RawProperties = dataclasses.field(default_factory=RawProperties)


def assemble(raw: RawTables) -> Trace:
    """Builds the canonical Trace of raw rows.

    Raises:
      MalformedTraceError: two executions or two artifacts have the same id.
    """
    order = np.argsort(_ints(raw.execution_id), kind="stable")
    execution_ids = _ints(raw.execution_id)[order]
    execution_types, execution_names = encode(raw.execution_type)
    properties = _properties(raw.execution_properties, execution_ids)
    executions = Executions(
        id=execution_ids,
        type=execution_types[order],
        state=_state(_ints(raw.execution_state)[order].astype(np.int8), properties),
        create_ms=_ints(raw.execution_create_ms)[order],
        update_ms=_ints(raw.execution_update_ms)[order],
        type_names=execution_names,
        properties=properties,
    )
    order = np.argsort(_ints(raw.artifact_id), kind="stable")
    artifact_ids = _ints(raw.artifact_id)[order]
    artifact_types, artifact_names = encode(raw.artifact_type)
    artifacts = Artifacts(
        id=artifact_ids,
        type=artifact_types[order],
        state=_ints(raw.artifact_state)[order].astype(np.int8),
        create_ms=_ints(raw.artifact_create_ms)[order],
        update_ms=_ints(raw.artifact_update_ms)[order],
        uri=tuple(raw.artifact_uri[row] for row in order),
        type_names=artifact_names,
        properties=_properties(raw.artifact_properties, artifact_ids),
    )
    return Trace(
        executions, artifacts, _events(raw, execution_ids, artifact_ids),
        _contexts(raw, execution_ids, artifact_ids),
    )  # fmt: skip


def encode(values: Sequence[str]) -> tuple[CodeArray, tuple[str, ...]]:
    """Codes into the sorted distinct values: int32 [n] and the values."""
    names = tuple(sorted(set(values)))
    code_of = {name: code for code, name in enumerate(names)}
    return np.fromiter((code_of[v] for v in values), np.int32, len(values)), names


def positions_of(ids: IntArray, wanted: IntArray) -> IntArray:
    """Position of each wanted id in ascending ``ids``, int64, -1 where absent."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    position = np.searchsorted(ids, wanted)
    clipped = np.minimum(position, len(ids) - 1)
    return np.where(ids[clipped] == wanted, clipped, -1).astype(np.int64)


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


def _ints(values: IntColumn) -> IntArray:
    return np.asarray(values, np.int64).reshape(-1)


def _properties(raw: RawProperties, owner_ids: IntArray) -> Properties:
    owner = positions_of(owner_ids, _ints(raw.owner))
    names, name_values = encode(raw.name)
    custom = np.asarray(raw.is_custom, bool).reshape(-1)
    kind = np.asarray(raw.kind, np.int8).reshape(-1)
    known = np.flatnonzero(owner >= 0)
    order = known[np.lexsort((custom[known], names[known], owner[known]))]
    # Names and strings of rows without an owner must not stay behind.
    kept_names, name_values = encode([name_values[code] for code in names[order]])
    in_ints = np.isin(kind, (PropertyKind.INT, PropertyKind.BOOL))
    in_strings = np.isin(kind, (PropertyKind.STRING, PropertyKind.STRUCT))
    ints = np.fromiter(
        (int(raw.value[row]) if in_ints[row] else 0 for row in order), np.int64, len(order)
    )
    doubles = np.fromiter(
        (float(raw.value[row]) if kind[row] == PropertyKind.DOUBLE else 0.0 for row in order),
        np.float64, len(order),
    )  # fmt: skip
    text_rows = [i for i, row in enumerate(order) if in_strings[row]]
    codes, strings = encode([str(raw.value[order[i]]) for i in text_rows])
    string_code: NDArray[np.int32] = np.full(len(order), NO_STRING, np.int32)
    string_code[text_rows] = codes
    return Properties(
        owner[order], kept_names, custom[order], kind[order], ints, doubles, string_code,
        name_values, strings,
    )  # fmt: skip


def _state(column: NDArray[np.int8], properties: Properties) -> NDArray[np.int8]:
    """The state column, filled from the property ``state`` where it has none."""
    texts = properties.texts(vocabulary.PropertyName.STATE, len(column))
    result = column.copy()
    for position, text in enumerate(texts):
        if result[position] == 0 and text is not None:
            result[position] = vocabulary.STATE_OF_PROPERTY.get(text.lower(), 0)
    return result


def _events(raw: RawTables, execution_ids: IntArray, artifact_ids: IntArray) -> Events:
    execution = positions_of(execution_ids, _ints(raw.event_execution))
    artifact = positions_of(artifact_ids, _ints(raw.event_artifact))
    kinds = _ints(raw.event_type).astype(np.int8)
    known = np.flatnonzero((execution >= 0) & (artifact >= 0))
    # Events that are the same in all columns keep no order: the key decides.
    keys_by_row = [raw.event_key[row] for row in known]
    codes, keys = encode([key for key in keys_by_row if key is not None])
    key = np.full(len(known), NO_KEY, np.int32)
    key[[i for i, name in enumerate(keys_by_row) if name is not None]] = codes
    times = _ints(raw.event_ms)[known]
    order = np.lexsort((times, key, kinds[known], artifact[known], execution[known]))
    return Events(
        execution=execution[known][order],
        artifact=artifact[known][order],
        type=kinds[known][order],
        key=key[order],
        time_ms=times[order],
        keys=keys,
        dropped=len(execution) - len(known),
    )


def _contexts(raw: RawTables, execution_ids: IntArray, artifact_ids: IntArray) -> Contexts:
    order = np.argsort(_ints(raw.context_id), kind="stable")
    ids = _ints(raw.context_id)[order]
    types, type_names = encode(raw.context_type)
    in_context, execution = _pairs(raw.association, ids, execution_ids)
    holds_context, artifact = _pairs(raw.attribution, ids, artifact_ids)
    return Contexts(
        id=ids,
        type=types[order],
        name=tuple(raw.context_name[row] for row in order),
        create_ms=_ints(raw.context_create_ms)[order],
        type_names=type_names,
        association_context=in_context,
        association_execution=execution,
        attribution_context=holds_context,
        attribution_artifact=artifact,
    )


def _pairs(
    pairs: Sequence[tuple[int, int]] | IntArray, context_ids: IntArray, member_ids: IntArray
) -> tuple[IntArray, IntArray]:
    table = np.asarray(pairs, np.int64).reshape(-1, 2)
    context = positions_of(context_ids, table[:, 0])
    member = positions_of(member_ids, table[:, 1])
    known = np.flatnonzero((context >= 0) & (member >= 0))
    order = known[np.lexsort((context[known], member[known]))]
    return context[order], member[order]
