"""Cuts a trace at a moment: what a store would have held when a gate decided.

The proof that features leak nothing: a graphlet's features in the whole trace
and in the trace cut at its moment must be the same. It serves this project's
tests, and those of groups of features that users write.
"""

from __future__ import annotations

import json

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.features.user_code import GraphletCodes
from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.graphlets.timeline import Timeline, finished_ms
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder, Rows
from tfx_graphlets.trace.trace import BoolArray, PropertyKind, Trace
from tfx_graphlets.vocabulary import ExecutionState, PropertyName, Role, Stage


def cut_trace(
    graphlets: Graphlets,
    number: int,
    stage: Stage,
    moment_ms: int,
    *,
    with_trainer: bool = True,
) -> Trace:
    """The trace as a gate saw it that decided about one graphlet.

    - Executions that had not been created are dropped.
    - An execution that had not finished is RUNNING and has put out nothing; but
      a Trainer that was to be a cache hit, and so is no graphlet, is dropped.
    - Before stage ``trainer`` the graphlet's Trainer is a pending one, created
      at the moment: RUNNING, without outputs, and of its properties with the
      hashes of the code alone, which the compiled pipeline holds. At ``pre`` it has
      the Trainer's inputs. At ``input`` it has those that were there by then;
      for what the run had yet to make, what that was going to be made from.
    - Artifacts that nothing of this refers to and that did not exist are
      dropped.

    Args:
      graphlets: graphlets of the whole trace.
      number: the graphlet that is decided about.
      stage: where the gate stands.
      moment_ms: when it decides.
      with_trainer: False leaves the graphlet's Trainer out.

    Returns:
      The trace; ids are kept, so the graphlet is found by its Trainer's id.
    """
    trace = graphlets.trace
    executions, events = trace.executions, trace.events
    trainer = int(graphlets.trainer[number])
    finished = finished_ms(trace)
    done = finished <= moment_ms
    recorded = done | (np.maximum(executions.update_ms, executions.create_ms) <= moment_ms)
    kept = (executions.create_ms < moment_ms) | done
    cached_trainer = (graphlets.role == Role.TRAINER) & (executions.state == ExecutionState.CACHED)
    kept &= done | ~cached_trainer
    kept[trainer] = with_trainer
    pending = stage.order < Stage.TRAINER.order
    if pending:
        recorded[trainer] = False

    is_input = np.isin(events.type, (*vocabulary.INPUT_EVENTS, vocabulary.EventType.INTERNAL_INPUT))
    kept_event = kept[events.execution] & (recorded[events.execution] | is_input)
    added: list[tuple[int, int]] = []
    if pending and stage is Stage.INPUT:
        own = events.execution == trainer
        there = _inputs_there(graphlets, number, done, moment_ms)
        kept_event &= ~own | np.isin(events.artifact, there)
        direct = set(events.artifact[own & kept_event].tolist())
        if with_trainer:
            added = [(trainer, artifact) for artifact in there if artifact not in direct]

    artifact_kept = trace.artifacts.create_ms <= moment_ms
    put = np.isin(events.type, vocabulary.OUTPUT_EVENTS)
    artifact_kept[events.artifact[put]] = False
    artifact_kept[events.artifact[kept_event]] = True
    artifact_kept[[artifact for _, artifact in added]] = True

    create_ms = executions.create_ms.copy()
    update_ms = np.where(recorded, executions.update_ms, moment_ms)
    if pending:
        create_ms[trainer] = min(create_ms[trainer], moment_ms)
        update_ms[trainer] = min(executions.update_ms[trainer], moment_ms)

    described = kept.copy()
    described[trainer] &= not pending
    rows, added_rows = Rows.of(trace), RowBuilder()
    rows["Execution"]["state"] = np.where(recorded, executions.state, ExecutionState.RUNNING)
    rows["Execution"]["create_ms"], rows["Execution"]["update_ms"] = create_ms, update_ms
    said, of_artifacts = executions.properties, trace.artifacts.properties
    is_state = rows["ExecutionProperty"]["name"].among({PropertyName.STATE})
    for table, chosen in (
        ("Execution", kept),
        ("Artifact", artifact_kept),
        ("Event", kept_event),
        ("ExecutionProperty", described[said.owner] & ~is_state),
        ("ArtifactProperty", artifact_kept[of_artifacts.owner]),
    ):
        rows.keep(table, chosen)
    for execution, artifact in added:
        added_rows.add(
            "Event",
            execution=int(executions.id[execution]),
            artifact=int(trace.artifacts.id[artifact]),
            type=int(vocabulary.EventType.INPUT),
            key=None,
            time_ms=moment_ms,
        )
    if pending and with_trainer:
        codes = GraphletCodes.of(graphlets, Timeline.of(graphlets, graphlets.edges))
        text = json.dumps(codes.known(number), sort_keys=True)
        number_of = int(executions.id[trainer])
        name, kind = PropertyName.CODE_KNOWN, PropertyKind.STRING
        added_rows.add_property("Execution", number_of, name, True, kind, text)
    for table in ("Event", "ExecutionProperty"):
        rows.append(table, added_rows.rows()[table])
    return assemble(rows)


def _inputs_there(graphlets: Graphlets, number: int, done: BoolArray, moment_ms: int) -> list[int]:
    """Artifacts that existed at the moment and that the Trainer was going to be fed from.

    Its own inputs, and those of what its run had yet to finish on the way to it.
    """
    trace = graphlets.trace
    edges, trainer = graphlets.edges, int(graphlets.trainer[number])
    members = graphlets.executions.of(number)
    upstream = graphlets.part[
        graphlets.executions.start[number] : graphlets.executions.start[number + 1]
    ]
    walked = set(members[upstream == Part.UPSTREAM].tolist())
    in_run = dict(
        zip(
            members.tolist(),
            edges.shares_run(members, np.full(len(members), trainer, np.int64)).tolist(),
        )
    )
    entered = ~trace.artifacts_of_types(vocabulary.NOT_ENTERED_UPSTREAM)
    there: set[int] = set()
    seen, pending = {trainer}, [trainer]
    while pending:
        execution = pending.pop()
        to_come = execution == trainer or not done[execution]
        for artifact in edges.inputs.of(execution).tolist():
            producers = edges.producers.of(artifact).tolist()
            exists = any(done[producer] for producer in producers) or (
                not producers and trace.artifacts.create_ms[artifact] <= moment_ms
            )
            if exists and to_come and (entered[artifact] or execution == trainer):
                there.add(artifact)
            for producer in producers if entered[artifact] else ():
                passes = done[producer] or in_run.get(producer, False)
                if passes and producer in walked and producer not in seen:
                    seen.add(producer)
                    pending.append(producer)
    return sorted(there)
