"""From rows as a store returns them, in any order, to a canonical Trace.

Every reader and every builder hands its rows to ``assemble``, so that equal
stores give equal traces whatever the way they were read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets import vocabulary
from tfx_graphlets.trace.odd_rows import Missing, OddRows
from tfx_graphlets.trace.ordering import order_of, positions_of, sort_rows
from tfx_graphlets.trace.rows import Rows, Table, take, taken
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.trace.trace import (
    Artifacts,
    CodeArray,
    Contexts,
    Events,
    Executions,
    IntArray,
    Properties,
    PropertyKind,
    SmallArray,
    Trace,
)

Integers = NDArray[Any]  # of any width
# Positions until they are in order: half the memory of the Trace's own int64.
_NARROW = np.int32
_Nodes = TypeVar("_Nodes", Executions, Artifacts)


def assemble(
    rows: Rows,
    *,
    consume: bool = False,
    count_lost: bool = True,
    odd: OddRows | None = None,
    all_contexts: bool = True,
) -> Trace:
    """Builds the canonical Trace of rows.

    Args:
      rows: the rows.
      consume: takes each column out of ``rows`` when it is used, so that they
        and the Trace are not both in memory; ``rows`` is of no use afterwards.
      count_lost: counts an event of which neither end is there as dropped.
        (Readers do not: the MLMD API finds events by their ends.)
      odd: counts all rows that name what is not there, each of which is dropped; None where the
        rows are a part of a store.
      all_contexts: ``rows`` has all contexts of the store; else what names another is no such row.

    Raises:
      MalformedTraceError: two executions or two artifacts have the same id.
    """
    if not consume:
        rows = rows.copy()
    fill_states(rows)
    executions = _nodes(rows, "Execution", odd, Executions)
    table = rows["Artifact"]
    order = order_of([table["id"]])
    uris = table.pop("uri")
    if order is not None:
        uris = taken(uris, order)
    uris = uris if isinstance(uris, Texts) else tuple(uris)
    artifacts = _nodes(rows, "Artifact", odd, functools.partial(Artifacts, uri=uris))
    contexts = _contexts(rows, executions.id, artifacts.id, odd, all_contexts=all_contexts)
    events = _events(rows["Event"], executions.id, artifacts.id, odd, count_lost=count_lost)
    return Trace(executions, artifacts, events, contexts)


def _nodes(rows: Rows, name: str, odd: OddRows | None, made: Callable[..., _Nodes]) -> _Nodes:
    """What Executions and Artifacts have in common."""
    table = rows[name]
    order = order_of([table["id"]])
    types, type_names = _names(table, order)
    ids = _ints(table, "id", order)
    return made(
        id=ids,
        type=types,
        state=_ints(table, "state", order).astype(np.int8),
        create_ms=_ints(table, "create_ms", order),
        update_ms=_ints(table, "update_ms", order),
        type_names=type_names,
        properties=_properties(rows, name, ids, odd),
    )


def fill_states(rows: Rows) -> None:
    """Fills the column of states from the property ``state`` where it has none.

    MLMD's schema 4 keeps the state there.
    """
    executions = rows["Execution"]
    owner, found = states_in(rows["ExecutionProperty"])
    if not len(owner) or bool(executions["state"].all()):
        return
    order = np.argsort(executions["id"], kind="stable")
    place = positions_of(executions["id"][order].astype(np.int64), owner)
    known = place >= 0
    state = np.zeros(len(order), np.int8)
    state[order[place[known]]] = found[known]
    executions["state"] = np.where(executions["state"] == 0, state, executions["state"])


def states_in(table: Table) -> tuple[IntArray, SmallArray]:
    """Ids of executions and the states that properties ``state`` give them, each [n].

    Of an execution the last one counts: a custom property before a declared one.
    """
    is_state = table["name"].among({vocabulary.PropertyName.STATE})
    states = take(table, is_state & (table["kind"] == PropertyKind.STRING))
    states = take(states, np.argsort(states["is_custom"], kind="stable"))
    text = states["string_value"]
    codes, place_of_code = np.unique(text.code, return_inverse=True)
    of_code = [vocabulary.state_of_text(text.values[code]) for code in codes.tolist()]
    return states["owner"], np.array(of_code, np.int8)[place_of_code]


def _ints(table: Table, name: str, order: IntArray | None) -> IntArray:
    values: Integers = table.pop(name)
    if order is not None:
        values = values[order]
    return values.astype(np.int64, copy=False)


def _names(table: Table, order: IntArray | None) -> tuple[CodeArray, tuple[str, ...]]:
    types = table.pop("type").sorted()
    return (types.code if order is None else types.code[order]), tuple(types.values)


def _properties(rows: Rows, name: str, owner_ids: IntArray, odd: OddRows | None) -> Properties:
    table = {**rows[f"{name}Property"]}
    rows[f"{name}Property"].clear()
    owner = positions_of(owner_ids, table["owner"])
    if bool((owner < 0).any()):
        if odd is not None:
            no_owner = Missing.of(owner, table["owner"], owner_ids)
            odd.add_gone(f"{name}Property", {name.lower(): no_owner})
        known = np.flatnonzero(owner >= 0)
        owner, table = owner[known], take(table, known)
    names, texts = table.pop("name").sorted(), table.pop("string_value").sorted()
    order = order_of([owner, names.code, table["is_custom"]])

    def in_order(column: Any) -> Any:
        return column if order is None else column[order]

    double = table["double_value"]
    return Properties(
        owner=in_order(owner),
        name=in_order(names.code),
        is_custom=in_order(table["is_custom"]),
        kind=in_order(table["kind"]).astype(np.int8, copy=False),
        int_value=in_order(table["int_value"]).astype(np.int64, copy=False),
        # Few are doubles, and zeros take no memory until they are written to.
        double_value=in_order(double) if bool(double.any()) else np.zeros(len(double)),
        string_code=in_order(texts.code),
        names=tuple(names.values),
        strings=texts.values,
    )


def _events(
    table: Table,
    execution_ids: IntArray,
    artifact_ids: IntArray,
    odd: OddRows | None,
    *,
    count_lost: bool,
) -> Events:
    execution, no_execution = _placed(execution_ids, table.pop("execution"))
    artifact, no_artifact = _placed(artifact_ids, table.pop("artifact"))
    kinds = table.pop("type").astype(np.int8, copy=False)
    keys, times = table.pop("key"), table.pop("time_ms")
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
    rows: Rows,
    execution_ids: IntArray,
    artifact_ids: IntArray,
    odd: OddRows | None,
    *,
    all_contexts: bool,
) -> Contexts:
    table = rows["Context"]
    order = order_of([table["id"]])
    types, type_names = _names(table, order)
    ids = _ints(table, "id", order)
    names = tuple(table.pop("name"))
    in_context, execution = _members(
        rows, "Association", "execution", (ids, execution_ids), odd, all_contexts=all_contexts
    )
    holds_context, artifact = _members(
        rows, "Attribution", "artifact", (ids, artifact_ids), odd, all_contexts=all_contexts
    )
    return Contexts(
        id=ids,
        type=types,
        name=names if order is None else taken(names, order),
        create_ms=_ints(table, "create_ms", order),
        type_names=type_names,
        association_context=in_context,
        association_execution=execution,
        attribution_context=holds_context,
        attribution_artifact=artifact,
    )


def _members(
    rows: Rows,
    table: str,
    member_name: str,
    known: tuple[IntArray, IntArray],
    odd: OddRows | None,
    *,
    all_contexts: bool,
) -> tuple[IntArray, IntArray]:
    """Positions of contexts and of their members, of ``known`` ids of both."""
    context, no_context = _placed(known[0], rows[table].pop("context"))
    member, no_member = _placed(known[1], rows[table].pop(member_name))
    if odd is not None:
        named = {"context": no_context} if all_contexts else {}
        odd.add_gone(table, {**named, member_name: no_member})
    gone = (context < 0) | (member < 0)
    if bool(gone.any()):
        context, member = context[~gone], member[~gone]
    columns: list[Integers] = [member, context]
    del member, context, gone
    member, context = sort_rows(columns, (np.int64, np.int64))
    return context, member
