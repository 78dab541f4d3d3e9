"""What every reader does alike to the rows it read, before they are assembled."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import EmptyStoreError, TraceNotFoundError
from tfx_graphlets.stores import system_types
from tfx_graphlets.stores.selection import WHERE_CONTEXTS, Columns, Selection
from tfx_graphlets.trace.assembly import assemble, fill_states
from tfx_graphlets.trace.odd_rows import OddRows, leave_out_odd_rows
from tfx_graphlets.trace.ordering import positions_of
from tfx_graphlets.trace.rows import Rows
from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import Trace

_NAMES_SHOWN: Final = 5


def finish(rows: Rows, store: str, selection: Selection, odd: OddRows | None = None) -> Trace:
    """The Trace of the rows, restricted as ``Store.read_trace`` says.

    Args:
      rows: rows of the store, at least all that are selected; of no use
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
        return _finished(rows, store, selection, odd)
    finally:
        odd.say()


def _finished(rows: Rows, store: str, selection: Selection, odd: OddRows) -> Trace:
    leave_out_odd_rows(rows, odd)
    if selection.pipelines is not None:
        restrict_to_pipelines(rows, store, selection)
    rows = system_types.in_words_of_tfx(rows)
    if not len(rows["Execution"]["id"]):
        names = sorted(selection.pipelines or ())
        which = f"pipeline {', '.join(map(repr, names))}" if names else "the store"
        raise EmptyStoreError(
            store, f"{which} holds no execution; run a pipeline first, or name another store"
        )
    if selection.properties is not None:
        keep_properties(rows, selection.properties)
    keep_columns(rows, selection.columns)
    return assemble(
        rows,
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


def pipeline_sizes(rows: Rows) -> dict[str, int]:
    """Number of executions in the pipeline contexts of each name, by name."""
    contexts, members = rows["Context"], rows["Association"]
    code_of_name: dict[str, int] = {}
    code_of_context = {
        number: code_of_name.setdefault(name, len(code_of_name))
        for number, kind, name in zip(
            contexts["id"].tolist(), contexts["type"].rows(), contexts["name"]
        )
        if kind in vocabulary.PIPELINE_CONTEXTS
    }
    ids = np.array(sorted(code_of_context), np.int64)
    codes = np.array([code_of_context[number] for number in ids.tolist()], np.int64)
    place = positions_of(ids, members["context"])
    known = (place >= 0) & np.isin(members["execution"], rows["Execution"]["id"])
    pairs = np.column_stack((codes[place[known]], members["execution"][known])).reshape(-1, 2)
    sizes = np.bincount(np.unique(pairs, axis=0)[:, 0], minlength=len(code_of_name))
    return {name: int(sizes[code_of_name[name]]) for name in sorted(code_of_name)}


def keep_columns(rows: Rows, columns: Columns) -> None:
    """Takes away what ``columns`` leaves out."""
    artifacts, events = rows["Artifact"], rows["Event"]
    if not columns.uris:
        artifacts["uri"] = Texts.blank(len(artifacts["id"]))
    elif columns.uri_types is not None:
        bases = {name: vocabulary.base_name(name) for name in set(artifacts["type"].values)}
        of_types = {name for name, base in bases.items() if base in columns.uri_types}
        uris = artifacts["uri"]
        uris = uris if isinstance(uris, Texts) else Texts.of(uris)
        artifacts["uri"] = uris.where(artifacts["type"].among(of_types))
    if not columns.event_times:
        events["time_ms"] = np.zeros(len(events["type"]), np.int8)
    if columns.event_keys is not None:
        key = events["key"]
        wanted = key.among(columns.event_keys)
        if int(wanted.sum()) < int((key.code >= 0).sum()):
            events["key"] = Coded(np.where(wanted, key.code, np.int32(-1)), key.values)
    if not columns.attributions:
        rows.keep("Attribution", np.zeros(0, np.int64))
    if columns.context_types is not None:
        chosen = rows["Context"]["type"].among(columns.context_types)
        if not bool(chosen.all()):
            rows.keep("Context", chosen)


def restrict_to_pipelines(rows: Rows, store: str, selection: Selection) -> None:
    """Takes away what does not belong to the executions of some pipeline contexts.

    Raises:
      TraceNotFoundError: there is no such context.
    """
    contexts, events, associations = rows["Context"], rows["Event"], rows["Association"]
    is_pipeline = contexts["type"].among(vocabulary.PIPELINE_CONTEXTS)
    known = [(row, contexts["name"][row]) for row in np.flatnonzero(is_pipeline).tolist()]
    check_pipelines(store, selection, {name for _, name in known})
    named = np.zeros(len(is_pipeline), bool)
    named[[row for row, name in known if name in (selection.pipelines or ())]] = True

    of_named = np.isin(associations["context"], contexts["id"][named])
    execution = np.isin(rows["Execution"]["id"], associations["execution"][of_named])
    executions = rows["Execution"]["id"][execution]
    event = np.isin(events["execution"], executions)
    artifact = np.isin(rows["Artifact"]["id"], events["artifact"][event])
    artifacts = rows["Artifact"]["id"][artifact]
    event &= np.isin(events["artifact"], artifacts)
    association = np.isin(associations["execution"], executions)
    context = named | (
        contexts["type"].among(WHERE_CONTEXTS)
        & np.isin(contexts["id"], associations["context"][association])
    )
    kept = contexts["id"][context]
    association &= np.isin(associations["context"], kept)
    attribution = np.isin(rows["Attribution"]["context"], kept)
    attribution &= np.isin(rows["Attribution"]["artifact"], artifacts)
    for table, chosen in (
        ("Execution", execution),
        ("Artifact", artifact),
        ("Event", event),
        ("Context", context),
        ("Association", association),
        ("Attribution", attribution),
    ):
        rows.keep(table, chosen)


def keep_properties(rows: Rows, names: Collection[str]) -> None:
    """Takes away the properties of other names.

    The execution property ``state``, by which schema 4 keeps the state, is put
    into the state column before it goes.
    """
    fill_states(rows)
    for table in ("ExecutionProperty", "ArtifactProperty"):
        chosen = rows[table]["name"].among(names)
        if not bool(chosen.all()):
            rows.keep(table, chosen)
