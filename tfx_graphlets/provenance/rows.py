"""What every reader does alike to the rows it read, before they are assembled."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.assembly import RawProperties, RawTables, assemble
from tfx_graphlets.errors import EmptyStoreError, TraceNotFoundError
from tfx_graphlets.trace import BoolArray, IntArray, PropertyKind, Trace

# Contexts that a trace of one pipeline keeps: those that say where an
# execution belongs. (TFX writes one ``execution_cache`` context per execution.)
KEPT_CONTEXTS: Final = (
    *vocabulary.PIPELINE_CONTEXTS,
    *vocabulary.RUN_CONTEXTS,
    *vocabulary.NODE_CONTEXTS,
)
_NAMES_SHOWN: Final = 5


def finish(
    raw: RawTables, store: str, pipeline: str | None, properties: Collection[str] | None
) -> Trace:
    """The Trace of the rows, restricted as ``Store.read_trace`` says.

    Args:
      raw: rows of the store, at least all that belong to the pipeline.
      store: the store's name, for messages.
      pipeline, properties: as in ``Store.read_trace``.

    Raises:
      EmptyStoreError, TraceNotFoundError: as in ``Store.read_trace``.
    """
    if pipeline is not None:
        raw = restrict_to_pipeline(raw, store, pipeline)
    if not len(raw.execution_id):
        which = "the store" if pipeline is None else f"pipeline {pipeline!r}"
        raise EmptyStoreError(
            store, f"{which} holds no execution; run a pipeline first, or name another store"
        )
    if properties is not None:
        raw = keep_properties(raw, frozenset(properties))
    return assemble(raw)


def no_such_pipeline(store: str, pipeline: str, known: Iterable[str]) -> TraceNotFoundError:
    """The error for a pipeline that the store does not hold."""
    names = sorted(known)
    shown = ", ".join(map(repr, names[:_NAMES_SHOWN]))
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    holds = f"it holds {shown}{more}" if names else "it holds no pipeline context"
    return TraceNotFoundError(pipeline, f"pipeline={pipeline!r}: {store} holds none; {holds}")


def restrict_to_pipeline(raw: RawTables, store: str, pipeline: str) -> RawTables:
    """The rows that belong to the executions of a pipeline context.

    Raises:
      TraceNotFoundError: there is no such context.
    """
    is_pipeline = _among(raw.context_type, vocabulary.PIPELINE_CONTEXTS)
    named = is_pipeline & _among(raw.context_name, (pipeline,))
    if not named.any():
        known = {raw.context_name[row] for row in np.flatnonzero(is_pipeline)}
        raise no_such_pipeline(store, pipeline, known)
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
        _among(raw.context_type, KEPT_CONTEXTS) & np.isin(context_id, association[:, 0])
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
