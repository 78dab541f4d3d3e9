"""What operations ask the metadata store: how a run ended, and whether a push may follow."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

import ml_metadata
from ml_metadata.proto import metadata_store_pb2

_RUN_CONTEXT = "pipeline_run"
_DAY_MS = 24 * 3600 * 1000
# Every column of ML Metadata's schema that holds a time, milliseconds since the epoch.
_TIME_COLUMNS = (
    *(
        (table, column)
        for table in ("Artifact", "Execution", "Context")
        for column in ("create_time_since_epoch", "last_update_time_since_epoch")
    ),
    ("Event", "milliseconds_since_epoch"),
)
_FAILED = metadata_store_pb2.Execution.FAILED


@dataclass(frozen=True)
class RunOutcome:
    """How one pipeline run ended, as the store records it.

    pushed: a PushedModel of the run says so.
    blessed: verdict of the Evaluator; None if it did not get that far.
    trained: the Trainer ran (it may have failed); False if it was skipped or never reached.
    failed_node: node id of the execution that failed; empty if none did.
    cached_nodes: node ids that were answered from the cache.
    evaluation_uri: where the run's evaluation lies; empty if there is none.
    node_seconds: wall time of each node's execution by node id.
    """

    pushed: bool
    blessed: bool | None
    trained: bool
    failed_node: str
    cached_nodes: tuple[str, ...]
    evaluation_uri: str
    node_seconds: Mapping[str, float]


def connect(metadata_file: str) -> ml_metadata.MetadataStore:
    """Opens the SQLite store at a path."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = metadata_file
    return ml_metadata.MetadataStore(config)


def run_outcome(store: ml_metadata.MetadataStore, run_id: str) -> RunOutcome:
    """How the run ended; of a run that failed before its first node all fields are empty."""
    context = store.get_context_by_type_and_name(_RUN_CONTEXT, run_id)
    if context is None:
        return RunOutcome(False, None, False, "", (), "", {})
    artifact_types = {kind.id: kind.name for kind in store.get_artifact_types()}
    # Resolvers attribute artifacts of earlier runs to this one: keep what its executions put out.
    executions = {
        execution.id: execution for execution in store.get_executions_by_context(context.id)
    }
    execution_types = {
        kind.id: kind.name.rpartition(".")[2] for kind in store.get_execution_types()
    }
    nodes = _node_ids(store, executions)
    put_out = {
        event.artifact_id
        for event in store.get_events_by_execution_ids(list(executions))
        if event.type == metadata_store_pb2.Event.OUTPUT
    }
    by_type: dict[str, metadata_store_pb2.Artifact] = {}
    for artifact in store.get_artifacts_by_id(sorted(put_out)):
        by_type[artifact_types[artifact.type_id]] = artifact
    pushed_model, blessing = by_type.get("PushedModel"), by_type.get("ModelBlessing")
    evaluation = by_type.get("ModelEvaluation")
    return RunOutcome(
        pushed=pushed_model is not None and pushed_model.custom_properties["pushed"].int_value == 1,
        blessed=None if blessing is None else blessing.custom_properties["blessed"].int_value == 1,
        trained=any(
            execution_types[execution.type_id] == "Trainer" for execution in executions.values()
        ),
        failed_node=next(
            (
                nodes[number]
                for number, one in executions.items()
                if one.last_known_state == _FAILED
            ),
            "",
        ),
        cached_nodes=tuple(
            sorted(
                nodes[number]
                for number, one in executions.items()
                if one.last_known_state == metadata_store_pb2.Execution.CACHED
            )
        ),
        evaluation_uri="" if evaluation is None else evaluation.uri,
        node_seconds={
            nodes[number]: round(
                (one.last_update_time_since_epoch - one.create_time_since_epoch) / 1000, 2
            )
            for number, one in executions.items()
        },
    )


def runs_since_push(store: ml_metadata.MetadataStore) -> int | None:
    """Pipeline runs in the store after that of the last push; None if nothing was ever pushed."""
    try:
        pushes = store.get_artifacts_by_type("PushedModel")
    except ml_metadata.errors.NotFoundError:
        return None
    pushed = [one.id for one in pushes if one.custom_properties["pushed"].int_value == 1]
    if not pushed:
        return None
    run_ids = sorted(context.id for context in store.get_contexts_by_type(_RUN_CONTEXT))
    pushing = [
        context.id
        for context in store.get_contexts_by_artifact(max(pushed))
        if context.id in set(run_ids)
    ]
    return sum(number > max(pushing) for number in run_ids)


def hold_push(store: ml_metadata.MetadataStore, push_interval: int) -> bool:
    """Whether a push in the next run is too soon: fewer than `push_interval` runs lie between."""
    passed = runs_since_push(store)
    return passed is not None and passed < push_interval


def move_to_clock(metadata_file: str, started: float, at: dt.datetime) -> None:
    """Moves what a run has left in a SQLite store to the schedule's clock, durations kept.

    ML Metadata stamps executions, artifacts, contexts and events with the time of the recording.
    What lies more than a day after `at` is of this run (or of an interrupted attempt at it), since
    earlier runs were moved and a recording is later than the days it replays.

    Args:
      metadata_file: path of the store; nothing happens without one.
      started: when the run started by the wall clock, seconds since the epoch.
      at: when it starts by the schedule's clock; taken as UTC.
    """
    if not os.path.exists(metadata_file):
        return
    at_ms = round(at.replace(tzinfo=dt.timezone.utc).timestamp() * 1000)
    offset = at_ms - round(started * 1000)
    with closing(sqlite3.connect(metadata_file)) as connection, connection:
        for table, column in _TIME_COLUMNS:
            connection.execute(
                f"UPDATE {table} SET {column} = {column} + ? WHERE {column} > ?",  # noqa: S608
                (offset, at_ms + _DAY_MS),
            )


def latest_blessed_model(store: ml_metadata.MetadataStore) -> str:
    """URI of the newest model with a blessing: the next run's baseline. Empty if there is none."""
    try:
        blessings = store.get_artifacts_by_type("ModelBlessing")
    except ml_metadata.errors.NotFoundError:
        return ""
    blessed = [one for one in blessings if one.custom_properties["blessed"].int_value == 1]
    return (
        max(blessed, key=lambda one: one.id).custom_properties["current_model"].string_value
        if blessed
        else ""
    )


def _node_ids(store: ml_metadata.MetadataStore, execution_ids: Iterable[int]) -> dict[int, str]:
    """The node of each execution, from its context of type node, named "<pipeline>.<node>"."""
    node_type = store.get_context_type("node").id
    return {
        number: context.name.rpartition(".")[2]
        for number in execution_ids
        for context in store.get_contexts_by_execution(number)
        if context.type_id == node_type
    }
