"""Re-tells a TFX trace as Kubeflow Pipelines v2 would have recorded it in ML Metadata."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping

from tests.row_lists import lists_of, properties_of, put, rows_of
from tfx_graphlets.stores.system_types import class_of_task
from tfx_graphlets.trace.rows import RowBuilder, Rows
from tfx_graphlets.trace.trace import PropertyKind, Trace
from tfx_graphlets.vocabulary import EventType, ExecutionState, base_name

CONTEXT_TYPES = {"pipeline": "system.Pipeline", "pipeline_run": "system.PipelineRun"}
FIRST_BOX = 1_000_000  # ids of what Kubeflow Pipelines records besides


def task_names(raw: RowBuilder) -> dict[int, str]:
    """Name of the task of every execution: its node's id, else its class."""
    contexts = {
        number: (kind, name)
        for number, kind, name in zip(
            raw["Context"]["id"], raw["Context"]["type"], raw["Context"]["name"]
        )
    }
    of_execution: dict[int, dict[str, str]] = {}
    for context, execution in rows_of(raw, "Association"):
        kind, name = contexts.get(context, ("", ""))
        of_execution.setdefault(execution, {})[kind] = name
    result = {}
    for execution, type_name in zip(raw["Execution"]["id"], raw["Execution"]["type"]):
        found, class_name = of_execution.get(execution, {}), base_name(type_name)
        node = found.get("node", "").removeprefix(found.get("pipeline", "") + ".") or class_name
        result[execution] = node if class_of_task(node) == class_name else f"{class_name}.{node}"
    return result


def as_system_rows(raw: RowBuilder, *, boxes: bool = True) -> RowBuilder:
    """The rows in the types of Kubeflow Pipelines v2.

    Args:
      raw: rows of TFX pipelines, run contexts of type ``pipeline_run``.
      boxes: add, to every run, its DAG execution, a condition that takes in
        every Model, and a skipped task that would have pushed it.
    """
    raw = copy.deepcopy(raw)
    names = task_names(raw)
    producer = _producers(raw)
    parameters = values_of(raw, "Execution")
    put(raw, "ExecutionProperty", [])
    kinds = []
    for execution, type_name in zip(raw["Execution"]["id"], raw["Execution"]["type"]):
        is_importer = base_name(type_name) in ("Importer", "ImporterNode")
        kinds.append("system.ImporterExecution" if is_importer else "system.ContainerExecution")
        for name in ("task_name", "display_name"):
            raw.add_property(
                "Execution", execution, name, True, PropertyKind.STRING, names[execution]
            )
        if execution in parameters:
            text = json.dumps(parameters[execution], sort_keys=True)
            raw.add_property("Execution", execution, "inputs", True, PropertyKind.STRUCT, text)
    raw["Execution"]["type"] = kinds
    raw["Artifact"]["type"] = [
        name if "." in name else f"tfx.{name}" for name in map(_known, raw["Artifact"]["type"])
    ]
    _drop_contexts(raw, "node")
    raw["Context"]["type"] = [CONTEXT_TYPES.get(kind, kind) for kind in raw["Context"]["type"]]
    _forget_cached_outputs(raw, producer)
    if boxes:
        _add_boxes(raw)
    return raw


def _known(type_name: str) -> str:
    return type_name if type_name.startswith(("acme.", "tfx_graphlets.")) else base_name(type_name)


def _producers(raw: RowBuilder) -> dict[int, frozenset[int]]:
    """What every execution put out."""
    found: dict[int, set[int]] = {}
    for execution, artifact, kind in zip(
        raw["Event"]["execution"], raw["Event"]["artifact"], raw["Event"]["type"]
    ):
        if kind == EventType.OUTPUT:
            found.setdefault(execution, set()).add(artifact)
    return {execution: frozenset(artifacts) for execution, artifacts in found.items()}


def values_of(raw: RowBuilder, table: str) -> dict[int, dict[str, object]]:
    """Properties by owner and name, structs and booleans as JSON has them."""
    found: dict[int, dict[str, object]] = {}
    for owner, name, _, kind, value in properties_of(raw, table):
        known: Mapping[int, object] = {
            PropertyKind.STRUCT: json.loads(value) if kind == PropertyKind.STRUCT else None,
            PropertyKind.BOOL: bool(value),
        }
        found.setdefault(owner, {})[name] = known.get(kind, value)
    return found


def _drop_contexts(raw: RowBuilder, kind: str) -> None:
    put(raw, "Context", [row for row in rows_of(raw, "Context") if row[1] != kind])
    ids = set(raw["Context"]["id"])
    put(raw, "Association", [pair for pair in rows_of(raw, "Association") if pair[0] in ids])


def _forget_cached_outputs(raw: RowBuilder, put_out: Mapping[int, frozenset[int]]) -> None:
    """Cache hits name the execution whose outputs they reuse, in place of the outputs."""
    state_of = dict(zip(raw["Execution"]["id"], raw["Execution"]["state"]))
    first: dict[frozenset[int], int] = {}
    keys: dict[int, set[tuple[int, str | None]]] = {}
    for row, execution in enumerate(raw["Event"]["execution"]):
        if raw["Event"]["type"][row] == EventType.OUTPUT:
            pair = (raw["Event"]["artifact"][row], raw["Event"]["key"][row])
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
            raw.add_property(
                "Execution",
                execution,
                "cached_execution_id",
                True,
                PropertyKind.STRING,
                str(source),
            )
    kept = [
        row
        for row in rows_of(raw, "Event")
        if not (row[0] in forgotten and row[2] == EventType.OUTPUT)
    ]
    put(raw, "Event", kept)


def _add_boxes(raw: RowBuilder) -> None:
    names = dict(zip(raw["Context"]["id"], raw["Context"]["type"]))
    pipelines: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    for context, execution in rows_of(raw, "Association"):
        if names[context] == "system.Pipeline":
            pipelines[execution] = context
        elif names[context] == "system.PipelineRun":
            members.setdefault(context, []).append(execution)
    times = dict(
        zip(
            raw["Execution"]["id"],
            zip(raw["Execution"]["create_ms"], raw["Execution"]["update_ms"]),
        )
    )
    artifact_type = dict(zip(raw["Artifact"]["id"], raw["Artifact"]["type"]))
    number = FIRST_BOX
    for run, executions in sorted(members.items()):
        models = [
            artifact
            for execution, artifact, kind in zip(
                list(raw["Event"]["execution"]),
                list(raw["Event"]["artifact"]),
                list(raw["Event"]["type"]),
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
            began = min(times[one][0] for one in executions)
            ended = max(times[one][1] for one in executions)
            raw.extend("Execution", [(number, kind, int(state), began, ended)])
            raw.add_property("Execution", number, "task_name", True, PropertyKind.STRING, name)
            raw.extend("Association", [(run, number)])
            if executions[0] in pipelines:
                raw.extend("Association", [(pipelines[executions[0]], number)])
            for artifact in models if name else ():
                raw.extend("Event", [(number, artifact, int(EventType.INPUT), "model", 0)])


def retold(trace: Trace) -> RowBuilder:
    """Rows that assemble to the trace, without attributions; events that were dropped are gone."""
    raw = lists_of(Rows.of(trace))
    put(raw, "Attribution", [])
    return raw
