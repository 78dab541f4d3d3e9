"""Belonging: what of a store belongs to the graphlets of one pipeline.

A pipeline that is given by name selects graphlets and cuts nothing: their ingestion and their
deployment may stand in other pipelines of the store (docs/graphlets.md, The unit of a
decision).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import EmptyStoreError
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.graphlets.verdicts import Classes
from tfx_graphlets.stores.rows import no_such_pipeline
from tfx_graphlets.stores.selection import WHERE_CONTEXTS
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import Rows
from tfx_graphlets.trace.trace import BoolArray, Trace
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
    event = kept[events.execution]
    artifact = np.zeros(len(trace.artifacts), bool)
    artifact[events.artifact[event]] = True
    association = kept[contexts.association_execution]
    held = np.zeros(len(contexts), bool)
    held[contexts.association_context[association]] = True
    held &= contexts.of_types(WHERE_CONTEXTS)
    named = contexts.of_types(vocabulary.PIPELINE_CONTEXTS)
    held |= named & np.array([name == pipeline for name in contexts.name], bool)
    rows = Rows.of(trace)
    for table, chosen in (
        ("Execution", kept),
        ("Artifact", artifact),
        ("Event", event),
        ("Context", held),
        ("Association", association & held[contexts.association_context]),
        (
            "Attribution",
            artifact[contexts.attribution_artifact] & held[contexts.attribution_context],
        ),
        ("ExecutionProperty", kept[trace.executions.properties.owner]),
        ("ArtifactProperty", artifact[trace.artifacts.properties.owner]),
    ):
        rows.keep(table, chosen)
    return assemble(rows, consume=True)
