"""What every reader does alike to the rows it read, before they are assembled."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.assembly import RawProperties, RawTables, assemble
from tfx_graphlets.errors import EmptyStoreError, TraceNotFoundError
from tfx_graphlets.provenance import system_types
from tfx_graphlets.provenance.selection import WHERE_CONTEXTS, Columns, Selection
from tfx_graphlets.trace import BoolArray, IntArray, PropertyKind, Trace

_NAMES_SHOWN: Final = 5


def finish(raw: RawTables, store: str, selection: Selection) -> Trace:
    """The Trace of the rows, restricted as ``Store.read_trace`` says.

    Args:
      raw: rows of the store, at least all that are selected.
      store: the store's name, for messages.
      selection: what is wanted of them.

    Raises:
      EmptyStoreError, TraceNotFoundError: as in ``Store.read_trace``.
    """
    if selection.pipelines is not None:
        raw = restrict_to_pipelines(raw, store, selection)
    raw = system_types.in_words_of_tfx(raw)
    if not len(raw.execution_id):
        names = sorted(selection.pipelines or ())
        which = f"pipeline {', '.join(map(repr, names))}" if names else "the store"
        raise EmptyStoreError(
            store, f"{which} holds no execution; run a pipeline first, or name another store"
        )
    if selection.properties is not None:
        raw = keep_properties(raw, selection.properties)
    return assemble(keep_columns(raw, selection.columns))


def no_such_pipeline(store: str, pipeline: str, known: Iterable[str]) -> TraceNotFoundError:
    """The error for a pipeline that the store does not hold."""
    names = sorted(known)
    shown = ", ".join(map(repr, names[:_NAMES_SHOWN]))
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    holds = f"it holds {shown}{more}" if names else "it holds no pipeline context"
    return TraceNotFoundError(pipeline, f"pipeline={pipeline!r}: {store} holds none; {holds}")


def check_pipelines(store: str, selection: Selection, known: Collection[str]) -> None:
    """Holds the names of pipelines that are wanted against those that there are.

    Raises:
      TraceNotFoundError: there is no such pipeline.
    """
    for name in sorted(selection.pipelines or ()):
        if name not in known:
            raise no_such_pipeline(store, name, known)


def pipeline_sizes(
    context_id: IntArray, context_type: Sequence[str], context_name: Sequence[str],
    member_context: IntArray, member_execution: IntArray, execution_id: IntArray,
) -> dict[str, int]:  # fmt: skip
    """Number of executions in the pipeline contexts of each name, by name.

    Args:
      context_id, context_type, context_name: the contexts.
      member_context, member_execution: ids of the associations.
      execution_id: ids of the executions there are.
    """
    known = np.isin(member_execution, execution_id)
    sizes: dict[str, int] = {}
    is_pipeline = _among(context_type, vocabulary.PIPELINE_CONTEXTS)
    ids_of_name: dict[str, list[int]] = {}
    for row in np.flatnonzero(is_pipeline):
        ids_of_name.setdefault(context_name[row], []).append(int(context_id[row]))
    for name in sorted(ids_of_name):
        members = member_execution[known & np.isin(member_context, ids_of_name[name])]
        sizes[name] = len(np.unique(members))
    return sizes


def keep_columns(raw: RawTables, columns: Columns) -> RawTables:
    """The rows without what ``columns`` leaves out."""
    changes: dict[str, Any] = {}
    if not columns.uris:
        changes["artifact_uri"] = [""] * len(raw.artifact_uri)
    if not columns.event_times:
        changes["event_ms"] = np.zeros(len(raw.event_ms), np.int64)
    if columns.event_keys is not None:
        changes["event_key"] = [key if key in columns.event_keys else None for key in raw.event_key]
    if not columns.attributions:
        changes["attribution"] = ()
    if columns.context_types is not None:
        changes |= _rows(raw, "context_", _among(raw.context_type, columns.context_types))
    return dataclasses.replace(raw, **changes)


def restrict_to_pipelines(raw: RawTables, store: str, selection: Selection) -> RawTables:
    """The rows that belong to the executions of some pipeline contexts.

    Raises:
      TraceNotFoundError: there is no such context.
    """
    is_pipeline = _among(raw.context_type, vocabulary.PIPELINE_CONTEXTS)
    known = {raw.context_name[row] for row in np.flatnonzero(is_pipeline)}
    check_pipelines(store, selection, known)
    named = is_pipeline & _among(raw.context_name, selection.pipelines or ())
    context_id, association = _ints(raw.context_id), _pairs(raw.association)
    executions = association[np.isin(association[:, 0], context_id[named]), 1]
    execution = np.isin(_ints(raw.execution_id), executions)
    executions = _ints(raw.execution_id)[execution]

    event = np.isin(_ints(raw.event_execution), executions)
    artifact = np.isin(_ints(raw.artifact_id), _ints(raw.event_artifact)[event])
    artifacts = _ints(raw.artifact_id)[artifact]
    event &= np.isin(_ints(raw.event_artifact), artifacts)

    association = association[np.isin(association[:, 1], executions)]
    attribution = _pairs(raw.attribution)
    context = named | (
        _among(raw.context_type, WHERE_CONTEXTS) & np.isin(context_id, association[:, 0])
    )
    contexts = context_id[context]
    return dataclasses.replace(
        raw,
        **_rows(raw, "execution_", execution),
        **_rows(raw, "artifact_", artifact),
        **_rows(raw, "event_", event),
        **_rows(raw, "context_", context),
        association=association[np.isin(association[:, 0], contexts)],
        attribution=attribution[
            np.isin(attribution[:, 0], contexts) & np.isin(attribution[:, 1], artifacts)
        ],
    )


def keep_properties(raw: RawTables, names: Collection[str]) -> RawTables:
    """The rows with only the properties of these names.

    The execution property ``state``, by which schema 4 keeps the state, is put
    into the state column before it goes.
    """
    table = raw.execution_properties
    text_of_owner = {
        table.owner[row]: str(table.value[row])
        for row in sorted(range(len(table.owner)), key=table.is_custom.__getitem__)
        if table.name[row] == vocabulary.PropertyName.STATE
        and table.kind[row] == PropertyKind.STRING
    }
    states = [
        int(state) or int(_state_of(text_of_owner.get(int(execution))))
        for execution, state in zip(raw.execution_id, raw.execution_state)
    ]
    return dataclasses.replace(
        raw,
        execution_state=states,
        execution_properties=_named(raw.execution_properties, names),
        artifact_properties=_named(raw.artifact_properties, names),
    )


def _state_of(text: str | None) -> int:
    return vocabulary.STATE_OF_PROPERTY.get((text or "").lower(), 0)


def _named(table: RawProperties, names: Collection[str]) -> RawProperties:
    rows = [row for row, name in enumerate(table.name) if name in names]
    return RawProperties(
        owner=[table.owner[row] for row in rows],
        name=[table.name[row] for row in rows],
        is_custom=[table.is_custom[row] for row in rows],
        kind=[table.kind[row] for row in rows],
        value=[table.value[row] for row in rows],
    )


def _rows(raw: RawTables, prefix: str, chosen: BoolArray) -> dict[str, Any]:
    positions = np.flatnonzero(chosen).tolist()
    return {
        field.name: [getattr(raw, field.name)[position] for position in positions]
        for field in dataclasses.fields(raw)
        if field.name.startswith(prefix) and not field.name.endswith("_properties")
    }


def _among(values: Sequence[str], wanted: Collection[str]) -> BoolArray:
    return np.fromiter((value in wanted for value in values), bool, len(values))


def _ints(values: Sequence[int] | IntArray) -> IntArray:
    return np.asarray(values, np.int64).reshape(-1)


def _pairs(values: Sequence[tuple[int, int]] | IntArray) -> IntArray:
    return np.asarray(values, np.int64).reshape(-1, 2)
