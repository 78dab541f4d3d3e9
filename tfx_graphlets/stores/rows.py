"""What every reader does alike to the rows it read, before they are assembled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import EmptyStoreError, TraceNotFoundError
from tfx_graphlets.stores import system_types
from tfx_graphlets.stores.selection import WHERE_CONTEXTS, Columns, Selection
from tfx_graphlets.trace.assembly import assemble, fill_states
from tfx_graphlets.trace.odd_rows import OddRows, leave_out_odd_rows
from tfx_graphlets.trace.ordering import positions_of
from tfx_graphlets.trace.raw_tables import PropertyColumns, RawColumns, RawTables
from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import BoolArray, IntArray, Trace

_NAMES_SHOWN: Final = 5


def finish(
    raw: RawTables | RawColumns, store: str, selection: Selection, odd: OddRows | None = None
) -> Trace:
    """The Trace of the rows, restricted as ``Store.read_trace`` says.

    Args:
      raw: rows of the store, at least all that are selected; of no use
        afterwards.
      store: the store's name, for messages.
      selection: what is wanted of them.
      odd: rows that were left out so far; those that no Trace can hold, or that name what is not
        there (unless pipelines are selected), are added, and one line says of all.

    Raises:
      EmptyStoreError, TraceNotFoundError: as in ``Store.read_trace``.
    """
    odd = odd or OddRows(store)
    try:
        return _finished(raw, store, selection, odd)
    finally:
        odd.say()


def _finished(raw: RawTables | RawColumns, store: str, selection: Selection, odd: OddRows) -> Trace:
    columns = raw.columns() if isinstance(raw, RawTables) else raw
    leave_out_odd_rows(columns, odd)
    if selection.pipelines is not None:
        restrict_to_pipelines(columns, store, selection)
    if columns.execution_type.among(vocabulary.SystemType.EXECUTIONS).any():
        columns = system_types.in_words_of_tfx(columns.rows()).columns()
    if not len(columns.execution_id):
        names = sorted(selection.pipelines or ())
        which = f"pipeline {', '.join(map(repr, names))}" if names else "the store"
        raise EmptyStoreError(
            store, f"{which} holds no execution; run a pipeline first, or name another store"
        )
    if selection.properties is not None:
        keep_properties(columns, selection.properties)
    keep_columns(columns, selection.columns)
    return assemble(
        columns,
        consume=True,
        count_lost=False,
        odd=odd if selection.pipelines is None else None,
        all_contexts=selection.columns.context_types is None,
    )


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
    context_id: IntArray,
    context_type: Sequence[str],
    context_name: Sequence[str],
    member_context: IntArray,
    member_execution: IntArray,
    execution_id: IntArray,
) -> dict[str, int]:
    """Number of executions in the pipeline contexts of each name, by name.

    Args:
      context_id, context_type, context_name: the contexts.
      member_context, member_execution: ids of the associations.
      execution_id: ids of the executions there are.
    """
    code_of_name: dict[str, int] = {}
    code_of_context = {
        int(number): code_of_name.setdefault(name, len(code_of_name))
        for number, kind, name in zip(context_id, context_type, context_name)
        if kind in vocabulary.PIPELINE_CONTEXTS
    }
    ids = np.array(sorted(code_of_context), np.int64)
    codes = np.array([code_of_context[number] for number in ids.tolist()], np.int64)
    place = positions_of(ids, member_context)
    known = (place >= 0) & np.isin(member_execution, execution_id)
    members = np.unique(
        np.column_stack((codes[place[known]], member_execution[known])).reshape(-1, 2), axis=0
    )
    sizes = np.bincount(members[:, 0], minlength=len(code_of_name))
    return {name: int(sizes[code_of_name[name]]) for name in sorted(code_of_name)}


def keep_columns(raw: RawColumns, columns: Columns) -> None:
    """Takes away what ``columns`` leaves out."""
    if not columns.uris:
        raw.artifact_uri = Texts.blank(len(raw.artifact_id))
    elif columns.uri_types is not None:
        bases = {name: vocabulary.base_name(name) for name in set(raw.artifact_type.values)}
        of_types = {name for name, base in bases.items() if base in columns.uri_types}
        uris = raw.artifact_uri
        uris = uris if isinstance(uris, Texts) else Texts.of(uris)
        raw.artifact_uri = uris.where(raw.artifact_type.among(of_types))
    if not columns.event_times:
        raw.event_ms = np.zeros(len(raw.event_type), np.int8)
    if columns.event_keys is not None:
        wanted = raw.event_key.among(columns.event_keys)
        if int(wanted.sum()) < int((raw.event_key.code >= 0).sum()):
            code = np.where(wanted, raw.event_key.code, np.int32(-1))
            raw.event_key = Coded(code, raw.event_key.values)
    if not columns.attributions:
        raw.attribution_context = raw.attribution_artifact = np.zeros(0, np.int64)
    if columns.context_types is not None:
        chosen = raw.context_type.among(columns.context_types)
        if not bool(chosen.all()):
            _keep(raw, "context", chosen)


def restrict_to_pipelines(raw: RawColumns, store: str, selection: Selection) -> None:
    """Takes away what does not belong to the executions of some pipeline contexts.

    Raises:
      TraceNotFoundError: there is no such context.
    """
    is_pipeline = raw.context_type.among(vocabulary.PIPELINE_CONTEXTS)
    names = raw.context_name
    known = [(int(row), names[int(row)]) for row in np.flatnonzero(is_pipeline)]
    check_pipelines(store, selection, {name for _, name in known})
    named = np.zeros(len(raw.context_id), bool)
    named[[row for row, name in known if name in (selection.pipelines or ())]] = True

    of_named = np.isin(raw.association_context, raw.context_id[named])
    execution = np.isin(raw.execution_id, raw.association_execution[of_named])
    executions = raw.execution_id[execution]
    event = np.isin(raw.event_execution, executions)
    artifact = np.isin(raw.artifact_id, raw.event_artifact[event])
    artifacts = raw.artifact_id[artifact]
    event &= np.isin(raw.event_artifact, artifacts)
    association = np.isin(raw.association_execution, executions)
    context = named | (
        raw.context_type.among(WHERE_CONTEXTS)
        & np.isin(raw.context_id, raw.association_context[association])
    )
    contexts = raw.context_id[context]
    association &= np.isin(raw.association_context, contexts)
    attribution = np.isin(raw.attribution_context, contexts)
    attribution &= np.isin(raw.attribution_artifact, artifacts)
    for table, chosen in (
        ("execution", execution),
        ("artifact", artifact),
        ("event", event),
        ("context", context),
        ("association", association),
        ("attribution", attribution),
    ):
        _keep(raw, table, chosen)


def keep_properties(raw: RawColumns, names: Collection[str]) -> None:
    """Takes away the properties of other names.

    The execution property ``state``, by which schema 4 keeps the state, is put
    into the state column before it goes.
    """
    fill_states(raw)
    raw.execution_properties = _named(raw.execution_properties, names)
    raw.artifact_properties = _named(raw.artifact_properties, names)


def _named(table: PropertyColumns, names: Collection[str]) -> PropertyColumns:
    chosen = table.name.among(names)
    return table if bool(chosen.all()) else table.take(chosen)


def _keep(raw: RawColumns, table: str, chosen: BoolArray) -> None:
    for name, column in raw.take(table, chosen).items():
        setattr(raw, name, column)
