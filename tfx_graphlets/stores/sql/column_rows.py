"""From the results of the queries to RawColumns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.sql.fetched import Fetched
from tfx_graphlets.stores.sql.queries import ODD_KIND, Queries
from tfx_graphlets.trace.odd_rows import ODD, OddRows
from tfx_graphlets.trace.ordering import is_ascending, positions_of
from tfx_graphlets.trace.properties import struct_to_json
from tfx_graphlets.trace.raw_tables import PropertyColumns, RawColumns
from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import PropertyKind

_NONE = np.zeros(0, np.int64)


def raw_columns(fetched: dict[str, list[Fetched]], queries: Queries, odd: OddRows) -> RawColumns:
    """The rows of a store; ``fetched`` is emptied.

    Args:
      fetched: the columns of each query of ``queries.all()``, by its name.
      queries: which they were.
      odd: counts rows of the tables that RawColumns does not have, which are left out.
    """
    tables: dict[str, list[Any]] = dict(fetched)
    fetched.clear()
    for table, named in (("Type", "id"), ("EventPath", "event")):
        if table in tables:
            keys = tables[table][0]
            odd.add_columns(table, keys == ODD, {named: keys})
    type_names = _Types(*tables.pop("Type"))
    execution, artifact = tables.pop("Execution"), tables.pop("Artifact")
    context = tables.pop("Context")
    with_uris = queries.columns.uris
    return RawColumns(
        execution_id=execution[0],
        execution_type=type_names.of(execution[1]),
        execution_state=execution[2],
        execution_create_ms=execution[3],
        execution_update_ms=execution[4],
        artifact_id=artifact[0],
        artifact_type=type_names.of(artifact[1]),
        artifact_state=artifact[2],
        artifact_create_ms=artifact[3],
        artifact_update_ms=artifact[4],
        artifact_uri=artifact[5] if with_uris else Texts.blank(len(artifact[0])),
        **_events(tables.pop("Event"), tables.pop("EventPath", None), queries),
        context_id=context[0],
        context_type=type_names.of(context[1]),
        context_name=context[2],
        context_create_ms=context[3],
        **_pairs("association_context", "association_execution", tables.pop("Association")),
        **_pairs("attribution_context", "attribution_artifact", tables.pop("Attribution", None)),
        execution_properties=property_columns(tables.pop("ExecutionProperty")),
        artifact_properties=property_columns(tables.pop("ArtifactProperty")),
    )


class _Types:
    """Names of types by id; no name for an id that is not there."""

    def __init__(self, ids: NDArray[Any], names: Texts) -> None:
        order = np.unique(ids, return_index=True)[1]
        self._ids = ids[order].astype(np.int64)
        self._names = ["", *(names[int(row)] for row in order)]

    def of(self, type_id: NDArray[Any]) -> Coded:
        """Name of the type of each row."""
        return Coded((positions_of(self._ids, type_id) + 1).astype(np.int32), self._names)


def _pairs(first: str, second: str, table: list[Any] | None) -> dict[str, Any]:
    columns = [_NONE, _NONE] if table is None else table
    return {first: columns[0], second: columns[1]}


def _events(event: list[Any], keys: list[Any] | None, queries: Queries) -> dict[str, Any]:
    event_ids = event.pop(0) if queries.with_event_ids else None
    length = len(event[0])
    return {
        "event_execution": event[0],
        "event_artifact": event[1],
        "event_type": event[2],
        "event_ms": event[3] if queries.columns.event_times else np.zeros(length, np.int8),
        "event_key": (
            Coded.none(length)
            if event_ids is None or keys is None
            else _first_keys(event_ids, keys[0], keys[1])
        ),
    }


def _first_keys(event_ids: NDArray[Any], owner: NDArray[Any], keys: Coded) -> Coded:
    """The first key of each event."""
    order = None if is_ascending(event_ids) else np.argsort(event_ids, kind="stable")
    ids = event_ids if order is None else event_ids[order]
    place = positions_of(ids, owner)
    known = place >= 0
    if not bool(known.all()):
        place, keys = place[known], keys.take(known)
    code = np.full(len(event_ids), -1, np.int32)
    # The last assignment stays: backward, that is the first step.
    code[(place if order is None else order[place])[::-1]] = keys.code[::-1]
    return Coded(code, keys.values)


def property_columns(columns: list[Any]) -> PropertyColumns:
    """From the columns of ``Queries.properties``."""
    owner, name, is_custom, kind, integer, real, text = columns
    held = kind != 0
    if not bool(held.all()):
        owner, name, is_custom, kind = owner[held], name.take(held), is_custom[held], kind[held]
        integer, real, text = integer[held], real[held], text.take(held)
    kind = kind.astype(np.int8, copy=False)
    if len(is_custom) and is_custom.min() == ODD:
        kind = np.where(is_custom == ODD, np.int8(ODD_KIND), kind)
    is_text = kind == PropertyKind.STRING
    texts, is_struct = _with_structs(text.values)
    code = np.where(is_text, text.code, np.int32(-1))
    if bool(is_struct.any()):
        kind = kind.copy()
        kind[is_text & np.append(is_struct, False)[code]] = PropertyKind.STRUCT
    if bool(real.any()):
        real = np.where(kind == PropertyKind.DOUBLE, _as_mlmd(real), 0.0)
    has_integer = (kind == PropertyKind.INT) | (kind == PropertyKind.BOOL)
    if bool(integer[~has_integer].any()):
        integer = np.where(has_integer, integer, 0)
    return PropertyColumns(
        owner=owner,
        name=name,
        is_custom=is_custom.astype(bool),
        kind=kind,
        int_value=integer,
        double_value=real,
        text=Coded(code, texts),
    )


def _with_structs(values: Any) -> tuple[Any, NDArray[np.bool_]]:
    """The strings, those of Structs as their JSON text, and which these are."""
    is_struct = np.zeros(len(values), bool)
    if isinstance(values, Texts):
        import pyarrow.compute as pc

        found = pc.starts_with(values.to_arrow(), vocabulary.STRUCT_PREFIX)
        rows = np.flatnonzero(found.to_numpy(zero_copy_only=False)).tolist()
    else:
        rows = list(range(len(values)))
    told: Mapping[int, str | None] = {row: struct_to_json(values[row]) for row in rows}
    if not any(text is not None for text in told.values()):
        return values, is_struct
    texts = list(values)
    for row, text in told.items():
        if text is not None:
            texts[row], is_struct[row] = text, True
    return (Texts.of(texts) if isinstance(values, Texts) else tuple(texts)), is_struct


def _as_mlmd(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """With the 15 significant digits that MLMD hands out (SQLite's text form)."""
    distinct, place = np.unique(values, return_inverse=True)
    return np.array([float(f"{value:.15g}") for value in distinct], np.float64)[place]
