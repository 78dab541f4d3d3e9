"""Belonging: what of a store belongs to the graphlets of one pipeline.

A pipeline that is given by name selects graphlets and cuts nothing: their ingestion and their
deployment may stand in other pipelines of the store (docs/graphlets.md, The unit of a
decision).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import EmptyStoreError
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.graphlets.verdicts import Classes
from tfx_graphlets.stores.rows import no_such_pipeline
from tfx_graphlets.stores.selection import WHERE_CONTEXTS
from tfx_graphlets.trace.properties import Properties
from tfx_graphlets.trace.trace import BoolArray, IntArray, Trace
from tfx_graphlets.vocabulary import Role


def belonging_to(
    trace: Trace,
    pipeline: str | None,
    store: str,
    role_of_type: Mapping[str, Role] | None = None,
    node: str | None = None,
) -> Trace:
    """The part of a whole store that the graphlets of a pipeline, or of a node, are made of.

    Its executions, whatever pipeline they stand in: those of the pipeline; those that belong to
    a graphlet whose Trainer is of the pipeline; and those of the graphlets that were
    warm-started from one of these, transitively, which say whether it was needed. Their events,
    the artifacts that these name, and the pipeline, run and node contexts that hold one of the
    executions. Where a node is named, what belongs to graphlets of other nodes alone is left out;
    gates, and what no graphlet holds, stay.

    Args:
      trace: the whole store.
      pipeline: name of a pipeline context; None for all.
      store: the store's name, for messages.
      role_of_type: roles that the user gives; a type that is not there is passed over.
      node: of the graphlets' Trainers, as for ``Graphlets.of``; None for any.

    Raises:
      TraceNotFoundError: the store holds no pipeline of such a name, or no such node in it.
      EmptyStoreError: the pipeline holds no execution.
    """
    kept = _members(trace, pipeline, store)
    graphlets = segment(trace, role_of_type=roles.present(trace, role_of_type))
    chosen = kept[graphlets.trainer]
    if node is not None:
        chosen = np.isin(np.arange(len(graphlets)), graphlets.of(pipeline=pipeline, node=node))
    wanted = _with_followers(graphlets, chosen)
    if node is not None:
        kept[graphlets.executions.index] = False
    kept[graphlets.executions.index[wanted[graphlets.executions.rows()]]] = True
    return _part(trace, kept, pipeline)


def _members(trace: Trace, pipeline: str | None, store: str) -> BoolArray:
    """The executions of a pipeline, or all, bool [num_executions]; see ``belonging_to``."""
    if pipeline is None:
        return np.ones(len(trace.executions), bool)
    contexts = trace.contexts
    is_pipeline = np.flatnonzero(contexts.of_types(vocabulary.PIPELINE_CONTEXTS)).tolist()
    known = {contexts.name[at] for at in is_pipeline}
    if pipeline not in known:
        raise no_such_pipeline(store, pipeline, known)
    members = trace.members_of_pipeline(pipeline)
    if not len(members):
        raise EmptyStoreError(
            store, f"pipeline {pipeline!r} holds no execution; run it first, or name another"
        )
    kept = np.zeros(len(trace.executions), bool)
    kept[members] = True
    return kept


def roles_lost(
    whole: Trace, part: Trace, role_of_type: Mapping[str, Role] | None = None
) -> dict[str, Role]:
    """Roles of custom classes that a part of a store does not give away, by their full names.

    The role of a class that TFX does not know follows from all its executions in the store. A
    pusher that shows itself as one elsewhere alone has pushed nothing here, and is left out.

    Args:
      whole: the whole store.
      part: a part of it.
      role_of_type: roles that the user gives.
    """
    of_whole, of_part = (
        Classes.of(trace, roles.present(trace, role_of_type)).role for trace in (whole, part)
    )
    return {
        name: of_whole[name]
        for name, role in of_part.items()
        if of_whole[name] not in (role, Role.PUSHER)
    }


def _with_followers(graphlets: Graphlets, wanted: BoolArray) -> BoolArray:
    """The graphlets, and those that were warm-started from them, transitively, bool [n]."""
    wanted = wanted.copy()
    is_model = np.zeros(len(graphlets.trace.artifacts), bool)
    rows, taken = graphlets.warm_start.rows(), graphlets.warm_start.index
    frontier = np.flatnonzero(wanted)
    while len(frontier):
        _, put_out = graphlets.edges.outputs.expand(graphlets.trainer[frontier])
        is_model[put_out] = True
        following = np.unique(rows[is_model[taken]])
        frontier = following[~wanted[following]]
        wanted[frontier] = True
    return wanted


def _part(trace: Trace, kept: BoolArray, pipeline: str | None) -> Trace:
    """The trace of some executions, and of what their events and contexts name."""
    events, contexts = trace.events, trace.contexts
    event = np.flatnonzero(kept[events.execution])
    artifact = np.zeros(len(trace.artifacts), bool)
    artifact[events.artifact[event]] = True
    association = kept[contexts.association_execution]
    held = np.zeros(len(contexts), bool)
    held[contexts.association_context[association]] = True
    held &= contexts.of_types(WHERE_CONTEXTS)
    named = contexts.of_types(vocabulary.PIPELINE_CONTEXTS)
    held |= named & np.array([name == pipeline for name in contexts.name], bool)
    association &= held[contexts.association_context]
    attribution = artifact[contexts.attribution_artifact] & held[contexts.attribution_context]
    to_execution, to_artifact, to_context = map(_new_positions, (kept, artifact, held))

    executions, artifacts = trace.executions, trace.artifacts
    types, type_names = _codes(executions.type[kept], executions.type_names)
    artifact_types, artifact_type_names = _codes(artifacts.type[artifact], artifacts.type_names)
    context_types, context_type_names = _codes(contexts.type[held], contexts.type_names)
    keys, key_names = _codes(events.key[event], events.keys)
    uris = [artifacts.uri[at] for at in np.flatnonzero(artifact).tolist()]
    return Trace(
        executions=dataclasses.replace(
            executions,
            id=executions.id[kept],
            type=types,
            state=executions.state[kept],
            create_ms=executions.create_ms[kept],
            update_ms=executions.update_ms[kept],
            type_names=type_names,
            properties=_properties(executions.properties, to_execution),
        ),
        artifacts=dataclasses.replace(
            artifacts,
            id=artifacts.id[artifact],
            type=artifact_types,
            state=artifacts.state[artifact],
            create_ms=artifacts.create_ms[artifact],
            update_ms=artifacts.update_ms[artifact],
            uri=tuple(uris),
            type_names=artifact_type_names,
            properties=_properties(artifacts.properties, to_artifact),
        ),
        events=dataclasses.replace(
            events,
            execution=to_execution[events.execution[event]],
            artifact=to_artifact[events.artifact[event]],
            type=events.type[event],
            key=keys,
            time_ms=events.time_ms[event],
            keys=key_names,
            dropped=0,
        ),
        contexts=dataclasses.replace(
            contexts,
            id=contexts.id[held],
            type=context_types,
            name=tuple(contexts.name[at] for at in np.flatnonzero(held).tolist()),
            create_ms=contexts.create_ms[held],
            type_names=context_type_names,
            association_context=to_context[contexts.association_context[association]],
            association_execution=to_execution[contexts.association_execution[association]],
            attribution_context=to_context[contexts.attribution_context[attribution]],
            attribution_artifact=to_artifact[contexts.attribution_artifact[attribution]],
        ),
    )


def _new_positions(kept: BoolArray) -> IntArray:
    """Position of each row among those that are kept, -1 for others, int64 [n]."""
    return np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int64)


def _codes(code: NDArray[Any], names: tuple[str, ...]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Codes of the names that are left, and those; -1 stays."""
    left = np.unique(code[code >= 0])
    place = np.full(len(names) + 1, -1, code.dtype)
    place[left] = np.arange(len(left))
    return place[code], tuple(names[at] for at in left.tolist())


def _properties(properties: Properties, to: IntArray) -> Properties:
    """Rows of the owners that are kept."""
    rows = np.flatnonzero(to[properties.owner] >= 0)
    name, names = _codes(properties.name[rows], properties.names)
    code = properties.string_code[rows]
    left = np.unique(code[code >= 0])
    place = np.searchsorted(left, code)
    return dataclasses.replace(
        properties,
        owner=to[properties.owner[rows]],
        name=name,
        is_custom=properties.is_custom[rows],
        kind=properties.kind[rows],
        int_value=properties.int_value[rows],
        double_value=properties.double_value[rows],
        string_code=np.where(code >= 0, place, code).astype(properties.string_code.dtype),
        names=names,
        strings=tuple(properties.strings[at] for at in left.tolist()),
    )
