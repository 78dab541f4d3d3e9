"""From rows as a store returns them, in any order, to a canonical Trace.

Every reader and every builder hands its rows to ``assemble``, so that equal
stores give equal traces whatever the way they were read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.trace.odd_rows import Missing, OddRows
from tfx_graphlets.trace.ordering import order_of, positions_of, sort_rows
from tfx_graphlets.trace.properties import struct_message_to_json, struct_to_json
from tfx_graphlets.trace.raw_tables import (
    Integers,
    PropertyColumns,
    RawColumns,
    RawProperties,
    RawTables,
)
from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import (
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

__all__ = (
    "PropertyColumns",
    "RawColumns",
    "RawProperties",
    "RawTables",
    "assemble",
    "encode",
    "fill_states",
    "positions_of",
    "struct_message_to_json",
    "struct_to_json",
)

# Positions until they are in order: half the memory of the Trace's own int64.
_NARROW = np.int32


def assemble(
    raw: RawTables | RawColumns,
    *,
    consume: bool = False,
    count_lost: bool = True,
    odd: OddRows | None = None,
    all_contexts: bool = True,
) -> Trace:
    """Builds the canonical Trace of raw rows.

    Args:
      raw: the rows.
      consume: takes each column out of RawColumns when it is used, so that
        they and the Trace are not both in memory; ``raw`` is of no use
        afterwards.
      count_lost: counts an event of which neither end is there as dropped.
        (Readers do not: the MLMD API finds events by their ends.)
      odd: counts all rows that name what is not there, each of which is dropped; None where the
        rows are a part of a store.
      all_contexts: ``raw`` has all contexts of the store; else what names another is no such row.

    Raises:
      MalformedTraceError: two executions or two artifacts have the same id.
    """
    if isinstance(raw, RawTables):
        raw = raw.columns()
    elif not consume:
        raw = dataclasses.replace(raw)
    fill_states(raw)
    order = order_of([raw.execution_id])
    execution_types, execution_names = _names(raw, "execution_type", order)
    execution_ids = _ints(raw, "execution_id", order)
    executions = Executions(
        id=execution_ids,
        type=execution_types,
        state=_ints(raw, "execution_state", order).astype(np.int8),
        create_ms=_ints(raw, "execution_create_ms", order),
        update_ms=_ints(raw, "execution_update_ms", order),
        type_names=execution_names,
        properties=_properties(raw, "execution", execution_ids, odd),
    )
    order = order_of([raw.artifact_id])
    artifact_types, artifact_names = _names(raw, "artifact_type", order)
    artifact_ids = _ints(raw, "artifact_id", order)
    uris = _taken(raw, "artifact_uri")
    if order is not None:
        is_packed = isinstance(uris, Texts)
        uris = uris.take(order) if is_packed else [uris[row] for row in order]
    artifacts = Artifacts(
        id=artifact_ids,
        type=artifact_types,
        state=_ints(raw, "artifact_state", order).astype(np.int8),
        create_ms=_ints(raw, "artifact_create_ms", order),
        update_ms=_ints(raw, "artifact_update_ms", order),
        uri=uris if isinstance(uris, Texts) else tuple(uris),
        type_names=artifact_names,
        properties=_properties(raw, "artifact", artifact_ids, odd),
    )
    contexts = _contexts(raw, execution_ids, artifact_ids, odd, all_contexts=all_contexts)
    events = _events(raw, execution_ids, artifact_ids, odd, count_lost=count_lost)
    return Trace(executions, artifacts, events, contexts)


def fill_states(raw: RawColumns) -> None:
    """Fills the column of states from the property ``state`` where it has none.

    MLMD's schema 4 keeps the state there; a custom property counts before a declared one.
    """
    table = raw.execution_properties
    is_state = table.name.among((vocabulary.PropertyName.STATE,))
    states = table.take(is_state & (table.kind == PropertyKind.STRING))
    if not len(states) or bool(raw.execution_state.all()):
        return
    states = states.take(np.argsort(states.is_custom, kind="stable"))  # the last one stays
    codes, place_of_code = np.unique(states.text.code, return_inverse=True)
    of_code = [vocabulary.state_of_text(states.text.values[code]) for code in codes.tolist()]
    order = np.argsort(raw.execution_id, kind="stable")
    place = positions_of(raw.execution_id[order].astype(np.int64), states.owner)
    known = place >= 0
    state = np.zeros(len(order), np.int8)
    state[order[place[known]]] = np.array(of_code, np.int8)[place_of_code][known]
    raw.execution_state = np.where(raw.execution_state == 0, state, raw.execution_state)


def encode(values: Sequence[str]) -> tuple[CodeArray, tuple[str, ...]]:
    """Codes into the sorted distinct values: int32 [n] and the values."""
    return _encoded(Coded.of(values))


def _encoded(column: Coded) -> tuple[CodeArray, tuple[str, ...]]:
    column = column.sorted()
    return column.code, tuple(column.values)


def _taken(raw: RawColumns, name: str) -> Any:
    """A column, which ``raw`` lets go of."""
    values = getattr(raw, name)
    setattr(raw, name, None)
    return values


def _ints(raw: RawColumns, name: str, order: IntArray | None) -> IntArray:
    values: Integers = _taken(raw, name)
    if order is not None:
        values = values[order]
    return values.astype(np.int64, copy=False)


def _names(raw: RawColumns, name: str, order: IntArray | None) -> tuple[CodeArray, tuple[str, ...]]:
    codes, names = _encoded(_taken(raw, name))
    return (codes if order is None else codes[order]), names


def _properties(
    raw: RawColumns, table: str, owner_ids: IntArray, odd: OddRows | None
) -> Properties:
    columns = _taken(raw, f"{table}_properties")
    owner = positions_of(owner_ids, columns.owner)
    if bool((owner < 0).any()):
        if odd is not None:
            no_owner = Missing.of(owner, columns.owner, owner_ids)
            odd.add_gone(f"{table.capitalize()}Property", {table: no_owner})
        known = np.flatnonzero(owner >= 0)
        owner, columns = owner[known], columns.take(known)
    names, texts = columns.name.sorted(), columns.text.sorted()
    order = order_of([owner, names.code, columns.is_custom])

    def in_order(column: Any) -> Any:
        return column if order is None else column[order]

    double = columns.double_value
    return Properties(
        owner=in_order(owner),
        name=in_order(names.code),
        is_custom=in_order(columns.is_custom),
        kind=in_order(columns.kind),
        int_value=in_order(columns.int_value).astype(np.int64, copy=False),
        # Few are doubles, and zeros take no memory until they are written to.
        double_value=in_order(double) if bool(double.any()) else np.zeros(len(double)),
        string_code=in_order(texts.code),
        names=tuple(names.values),
        strings=texts.values,
    )


def _events(
    raw: RawColumns,
    execution_ids: IntArray,
    artifact_ids: IntArray,
    odd: OddRows | None,
    *,
    count_lost: bool,
) -> Events:
    execution, no_execution = _placed(execution_ids, _taken(raw, "event_execution"))
    artifact, no_artifact = _placed(artifact_ids, _taken(raw, "event_artifact"))
    kinds = _taken(raw, "event_type").astype(np.int8, copy=False)
    keys = _taken(raw, "event_key")
    times = _taken(raw, "event_ms")
    lost = (execution < 0) | (artifact < 0)
    dropped = int(lost.sum())
    if dropped:
        if odd is not None:
            odd.add_gone("Event", {"execution": no_execution, "artifact": no_artifact})
        if not count_lost:
            dropped -= int(((execution < 0) & (artifact < 0)).sum())
        known = np.flatnonzero(~lost)
        execution, artifact, kinds = execution[known], artifact[known], kinds[known]
        keys, times = keys.take(known), times[known]
    del lost
    keys = keys.sorted()
    names = tuple(keys.values)
    columns: list[Integers] = [execution, artifact, kinds, keys.code]
    del execution, artifact, kinds, keys
    types = (np.int64, np.int64, np.int8, np.int32)
    if bool(times.any()):
        # Events that are the same in all other columns keep no order: the time decides.
        order = order_of([*columns, times])
        if order is not None:
            columns, times = [column[order] for column in columns], times[order]
        columns = [one.astype(dtype, copy=False) for one, dtype in zip(columns, types)]
    else:
        columns = sort_rows(columns, types)
        times = np.zeros(len(times), np.int64)  # in no memory until it is written to
    return Events(
        execution=columns[0],
        artifact=columns[1],
        type=columns[2],
        key=columns[3],
        time_ms=times.astype(np.int64, copy=False),
        keys=names,
        dropped=dropped,
    )


def _placed(known: IntArray, ids: Integers) -> tuple[Any, Missing]:
    """Positions of ids among those that there are, int32 [n], and what is not there."""
    position = positions_of(known, ids, _NARROW)
    return position, Missing.of(position, ids, known)


def _contexts(
    raw: RawColumns,
    execution_ids: IntArray,
    artifact_ids: IntArray,
    odd: OddRows | None,
    *,
    all_contexts: bool,
) -> Contexts:
    order = order_of([raw.context_id])
    types, type_names = _names(raw, "context_type", order)
    ids = _ints(raw, "context_id", order)
    names = tuple(_taken(raw, "context_name"))
    in_context, execution = _members(
        raw, "association", "execution", (ids, execution_ids), odd, all_contexts=all_contexts
    )
    holds_context, artifact = _members(
        raw, "attribution", "artifact", (ids, artifact_ids), odd, all_contexts=all_contexts
    )
    return Contexts(
        id=ids,
        type=types,
        name=names if order is None else tuple(names[row] for row in order),
        create_ms=_ints(raw, "context_create_ms", order),
        type_names=type_names,
        association_context=in_context,
        association_execution=execution,
        attribution_context=holds_context,
        attribution_artifact=artifact,
    )


def _members(
    raw: RawColumns,
    table: str,
    member_name: str,
    known: tuple[IntArray, IntArray],
    odd: OddRows | None,
    *,
    all_contexts: bool,
) -> tuple[IntArray, IntArray]:
    """Positions of contexts and of their members, of ``known`` ids of both."""
    context, no_context = _placed(known[0], _taken(raw, f"{table}_context"))
    member, no_member = _placed(known[1], _taken(raw, f"{table}_{member_name}"))
    if odd is not None:
        named = {"context": no_context} if all_contexts else {}
        odd.add_gone(table.capitalize(), {**named, member_name: no_member})
    gone = (context < 0) | (member < 0)
    if bool(gone.any()):
        context, member = context[~gone], member[~gone]
    columns: list[Integers] = [member, context]
    del member, context, gone
    member, context = sort_rows(columns, (np.int64, np.int64))
    return context, member
