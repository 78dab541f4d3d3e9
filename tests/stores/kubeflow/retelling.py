"""Re-tells a TFX trace as Kubeflow Pipelines v2 would have recorded it in ML Metadata."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping

from tfx_graphlets.stores.system_types import class_of_task
from tfx_graphlets.trace.assembly import RawColumns, RawProperties, RawTables
from tfx_graphlets.trace.trace import PropertyKind, Trace
from tfx_graphlets.vocabulary import EventType, ExecutionState, base_name

CONTEXT_TYPES = {"pipeline": "system.Pipeline", "pipeline_run": "system.PipelineRun"}
FIRST_BOX = 1_000_000  # ids of what Kubeflow Pipelines records besides


def task_names(raw: RawTables) -> dict[int, str]:
    """Name of the task of every execution: its node's id, else its class."""
    contexts = {
        number: (kind, name)
        for number, kind, name in zip(raw.context_id, raw.context_type, raw.context_name)
    }
    of_execution: dict[int, dict[str, str]] = {}
    for context, execution in map(tuple, raw.association):
        kind, name = contexts.get(context, ("", ""))
        of_execution.setdefault(execution, {})[kind] = name
    result = {}
    for execution, type_name in zip(raw.execution_id, raw.execution_type):
        found, class_name = of_execution.get(execution, {}), base_name(type_name)
        node = found.get("node", "").removeprefix(found.get("pipeline", "") + ".") or class_name
        result[execution] = node if class_of_task(node) == class_name else f"{class_name}.{node}"
    return result


def as_system_rows(raw: RawTables, *, boxes: bool = True) -> RawTables:
    """The rows in the types of Kubeflow Pipelines v2.

    Args:
      raw: rows of TFX pipelines, run contexts of type ``pipeline_run``.
      boxes: add, to every run, its DAG execution, a condition that takes in
        every Model, and a skipped task that would have pushed it.
    """
    raw = copy.deepcopy(raw)
    names = task_names(raw)
    producer = _producers(raw)
    properties, parameters = RawProperties(), values_of(raw.execution_properties)
    kinds = []
    for execution, type_name in zip(raw.execution_id, raw.execution_type):
        is_importer = base_name(type_name) in ("Importer", "ImporterNode")
        kinds.append("system.ImporterExecution" if is_importer else "system.ContainerExecution")
        for name in ("task_name", "display_name"):
            properties.add(execution, name, True, PropertyKind.STRING, names[execution])
        if execution in parameters:
            text = json.dumps(parameters[execution], sort_keys=True)
            properties.add(execution, "inputs", True, PropertyKind.STRUCT, text)
    raw.execution_type = kinds
    raw.execution_properties = properties
    raw.artifact_type = [
        name if "." in name else f"tfx.{name}" for name in map(_known, raw.artifact_type)
    ]
    _drop_contexts(raw, "node")
    raw.context_type = [CONTEXT_TYPES.get(kind, kind) for kind in raw.context_type]
    _forget_cached_outputs(raw, producer)
    if boxes:
        _add_boxes(raw)
    return raw


def _known(type_name: str) -> str:
    return type_name if type_name.startswith(("acme.", "tfx_graphlets.")) else base_name(type_name)


def _producers(raw: RawTables) -> dict[int, frozenset[int]]:
    """What every execution put out."""
    found: dict[int, set[int]] = {}
    for execution, artifact, kind in zip(raw.event_execution, raw.event_artifact, raw.event_type):
        if kind == EventType.OUTPUT:
            found.setdefault(execution, set()).add(artifact)
    return {execution: frozenset(artifacts) for execution, artifacts in found.items()}


def values_of(table: RawProperties) -> dict[int, dict[str, object]]:
    """Properties by owner and name, structs and booleans as JSON has them."""
    found: dict[int, dict[str, object]] = {}
    for owner, name, kind, value in zip(table.owner, table.name, table.kind, table.value):
        known: Mapping[int, object] = {
            PropertyKind.STRUCT: json.loads(value) if kind == PropertyKind.STRUCT else None,
            PropertyKind.BOOL: bool(value),
        }
        found.setdefault(owner, {})[name] = known.get(kind, value)
    return found


def _drop_contexts(raw: RawTables, kind: str) -> None:
    kept = [row for row, name in enumerate(raw.context_type) if name != kind]
    for column in ("context_id", "context_type", "context_name", "context_create_ms"):
        setattr(raw, column, [getattr(raw, column)[row] for row in kept])
    ids = set(raw.context_id)
    raw.association = [tuple(pair) for pair in raw.association if pair[0] in ids]


def _forget_cached_outputs(raw: RawTables, put_out: Mapping[int, frozenset[int]]) -> None:
    """Cache hits name the execution whose outputs they reuse, in place of the outputs."""
    state_of = dict(zip(raw.execution_id, raw.execution_state))
    first: dict[frozenset[int], int] = {}
    keys: dict[int, set[tuple[int, str | None]]] = {}
    for row, execution in enumerate(raw.event_execution):
        if raw.event_type[row] == EventType.OUTPUT:
            pair = (raw.event_artifact[row], raw.event_key[row])
            keys.setdefault(execution, set()).add(pair)
    for execution in sorted(put_out):
        if state_of.get(execution) == ExecutionState.COMPLETE:
            first.setdefault(put_out[execution], execution)
    forgotten = set()
    for execution, artifacts in put_out.items():
        source = first.get(artifacts)
        is_hit = state_of.get(execution) == ExecutionState.CACHED and source is not None
        if is_hit and keys[source] == keys[execution]:
            forgotten.add(execution)
            raw.execution_properties.add(
                execution, "cached_execution_id", True, PropertyKind.STRING, str(source)
            )
    kept = [
        row
        for row, execution in enumerate(raw.event_execution)
        if not (execution in forgotten and raw.event_type[row] == EventType.OUTPUT)
    ]
    for column in ("execution", "artifact", "type", "key", "ms"):
        values = getattr(raw, f"event_{column}")
        setattr(raw, f"event_{column}", [values[row] for row in kept])


def _add_boxes(raw: RawTables) -> None:
    names = dict(zip(raw.context_id, raw.context_type))
    pipelines: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    for context, execution in map(tuple, raw.association):
        if names[context] == "system.Pipeline":
            pipelines[execution] = context
        elif names[context] == "system.PipelineRun":
            members.setdefault(context, []).append(execution)
    times = dict(zip(raw.execution_id, zip(raw.execution_create_ms, raw.execution_update_ms)))
    artifact_type = dict(zip(raw.artifact_id, raw.artifact_type))
    number = FIRST_BOX
    for run, executions in sorted(members.items()):
        models = [
            artifact
            for execution, artifact, kind in zip(
                list(raw.event_execution), list(raw.event_artifact), list(raw.event_type)
            )
            if execution in executions
            and kind == EventType.OUTPUT
            and base_name(artifact_type.get(artifact, "")) == "Model"
        ]
        for kind, state, name in (
            ("system.DAGExecution", ExecutionState.COMPLETE, ""),
            ("system.DAGExecution", ExecutionState.COMPLETE, "condition-1"),
            ("system.ContainerExecution", ExecutionState.CANCELED, "Pusher.skipped"),
            ("system.ContainerExecution", ExecutionState.CANCELED, "Trainer.skipped"),
        ):
            number += 1
            raw.execution_id.append(number)
            raw.execution_type.append(kind)
            raw.execution_state.append(int(state))
            raw.execution_create_ms.append(min(times[one][0] for one in executions))
            raw.execution_update_ms.append(max(times[one][1] for one in executions))
            raw.execution_properties.add(number, "task_name", True, PropertyKind.STRING, name)
            raw.association.append((run, number))
            if executions[0] in pipelines:
                raw.association.append((pipelines[executions[0]], number))
            for artifact in models if name else ():
                raw.event_execution.append(number)
                raw.event_artifact.append(artifact)
                raw.event_type.append(int(EventType.INPUT))
                raw.event_key.append("model")
                raw.event_ms.append(0)


def rows_of(trace: Trace) -> RawTables:
    """Rows that assemble to the trace, without attributions; events that were dropped are gone."""
    return dataclasses.replace(RawColumns.of(trace).rows(), attribution=[])
