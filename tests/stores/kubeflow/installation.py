"""What a Kubeflow Pipelines API server would hold, made from a TFX trace.

Shapes are those of kubeflow/pipelines, ``backend/api/v2beta1`` (run, artifact,
pipeline): objects with the proto's field names, times in RFC 3339, enums by name.
"""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Mapping
from typing import Any

from tests.row_lists import rows_of
from tests.stores.kubeflow.retelling import task_names, values_of
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.vocabulary import EventType, ExecutionState, base_name

STATES = {
    ExecutionState.NEW: "RUNNING", ExecutionState.RUNNING: "RUNNING",
    ExecutionState.COMPLETE: "SUCCEEDED", ExecutionState.FAILED: "FAILED",
    ExecutionState.CACHED: "CACHED", ExecutionState.UNKNOWN: "RUNTIME_STATE_UNSPECIFIED",
}  # fmt: skip
NATIVE_TYPES = {"Model": "Model", "Examples": "Dataset"}


def identifier(kind: str, number: object) -> str:
    """The UUID of an object."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}"))


def moment(milliseconds: int) -> str:
    """A time as protobuf's JSON writes it."""
    when = datetime.datetime.fromtimestamp(milliseconds / 1_000, datetime.timezone.utc)
    text = when.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{milliseconds % 1_000:03d}Z" if milliseconds % 1_000 else f"{text}Z"


@dataclasses.dataclass
class Installation:
    """What an API server holds.

    Attributes:
      runs: ``Run`` without tasks, in the order of their creation.
      tasks: ``PipelineTask`` by run.
      artifacts: ``Artifact`` by id.
      artifact_tasks: ``ArtifactTask``.
      pipelines: ``Pipeline`` by id.
      versions: ``PipelineVersion`` by the ids of pipeline and version.
    """

    runs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    tasks: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    artifact_tasks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    pipelines: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    versions: dict[tuple[str, str], dict[str, Any]] = dataclasses.field(default_factory=dict)


def installation_of(raw: RowBuilder, *, titles: str = "metadata") -> Installation:
    """The runs of a TFX trace as Kubeflow Pipelines' API would show them.

    Args:
      raw: rows of TFX pipelines with ``pipeline_run`` contexts.
      titles: where the schema title of an artifact stands: in its ``metadata``,
        or only in the ``spec`` of the run's pipeline, or in the spec of a
        pipeline ``version``.
    """
    return _Teller(raw, titles).tell()


class _Teller:
    def __init__(self, raw: RowBuilder, titles: str) -> None:
        self.raw, self.titles = raw, titles
        self.names = task_names(raw)
        self.result = Installation()
        self.specs: dict[str, dict[str, Any]] = {}
        self.kinds = dict(zip(raw["Artifact"]["id"], raw["Artifact"]["type"]))
        self.events: dict[int, list[int]] = {}
        for row, execution in enumerate(raw["Event"]["execution"]):
            self.events.setdefault(execution, []).append(row)
        contexts = dict(
            zip(raw["Context"]["id"], zip(raw["Context"]["type"], raw["Context"]["name"]))
        )
        self.run_of: dict[int, str] = {}
        self.pipeline_of: dict[int, str] = {}
        for context, execution in rows_of(raw, "Association"):
            kind, name = contexts[context]
            if kind == "pipeline_run":
                self.run_of[execution] = name
            elif kind == "pipeline":
                self.pipeline_of[execution] = name

    def tell(self) -> Installation:
        """Everything."""
        metadata = values_of(self.raw, "Artifact")
        for number, kind, created, uri in zip(
            self.raw["Artifact"]["id"], self.raw["Artifact"]["type"],
            self.raw["Artifact"]["create_ms"],
            self.raw["Artifact"]["uri"],
        ):  # fmt: skip
            self._artifact(number, kind, created, uri, metadata.get(number, {}))
        order = sorted(range(len(self.raw["Execution"]["id"])), key=self._created)
        parameters = values_of(self.raw, "Execution")
        for row in order:
            execution = self.raw["Execution"]["id"][row]
            if execution in self.run_of:
                self._task(row, execution, parameters.get(execution, {}))
        return self.result

    def _created(self, row: int) -> tuple[int, int]:
        return self.raw["Execution"]["create_ms"][row], self.raw["Execution"]["id"][row]

    def _artifact(
        self, number: int, kind: str, created: int, uri: str, metadata: dict[str, Any]
    ) -> None:
        title = self.title(kind)
        if self.titles == "metadata":
            metadata = {**metadata, "_kfp_schema_title": title, "_kfp_schema_version": "0.0.1"}
        self.result.artifacts[identifier("artifact", number)] = {
            "artifact_id": identifier("artifact", number), "name": base_name(kind).lower(),
            "type": NATIVE_TYPES.get(base_name(kind), "Artifact"), "uri": uri,
            "metadata": metadata, "created_at": moment(created), "namespace": "kubeflow",
        }  # fmt: skip

    def title(self, kind: str) -> str:
        """Schema title of an artifact type."""
        return kind if kind.startswith(("acme.", "tfx_graphlets.")) else f"tfx.{base_name(kind)}"

    def _run(self, name: str, pipeline: str, created: int) -> str:
        run = identifier("run", name)
        if run in self.result.tasks:
            return run
        self.result.tasks[run] = [{
            "task_id": identifier("root", run), "run_id": run, "name": "root", "type": "ROOT",
            "state": "SUCCEEDED", "create_time": moment(created), "end_time": moment(created),
        }]  # fmt: skip
        content: dict[str, Any] = {
            "run_id": run, "display_name": name, "state": "SUCCEEDED",
            "experiment_id": identifier("experiment", pipeline), "storage_state": "AVAILABLE",
            "created_at": moment(created), "finished_at": "1970-01-01T00:00:00Z",
            "namespace": "kubeflow",
        }  # fmt: skip
        spec: dict[str, Any] = {
            "pipelineInfo": {"name": pipeline}, "root": {"dag": {"tasks": {}}}
        }  # fmt: skip
        self.specs[run] = spec
        if self.titles == "version":
            reference = {
                "pipeline_id": identifier("pipeline", pipeline),
                "pipeline_version_id": identifier("version", run),
            }
            content["pipeline_version_reference"] = reference
            self.result.pipelines[reference["pipeline_id"]] = {"display_name": pipeline}
            self.result.versions[tuple(reference.values())] = {  # type: ignore[index]
                "pipeline_spec": {"pipeline_spec": spec, "platform_spec": {}}
            }
        else:
            content["pipeline_spec"] = spec
        self.result.runs.append(content)
        return run

    def _task(self, row: int, execution: int, parameters: Mapping[str, Any]) -> None:
        created, updated = (
            self.raw["Execution"]["create_ms"][row],
            self.raw["Execution"]["update_ms"][row],
        )
        pipeline = self.pipeline_of.get(execution, "")
        run = self._run(self.run_of[execution], pipeline, created)
        name, state = self.names[execution], ExecutionState(self.raw["Execution"]["state"][row])
        is_importer = base_name(self.raw["Execution"]["type"][row]) in ("Importer", "ImporterNode")
        task: dict[str, Any] = {
            "task_id": identifier("task", execution), "run_id": run, "name": name,
            "display_name": name, "type": "IMPORTER" if is_importer else "RUNTIME",
            "state": STATES[state], "create_time": moment(created), "end_time": moment(updated),
            "parent_task_id": identifier("root", run), "pods": [],
            "inputs": {
                "parameters": [
                    {"parameter_key": key, "value": value, "type": "RUNTIME_VALUE_INPUT"}
                    for key, value in parameters.items()
                ],
                "artifacts": [],
            },
            "outputs": {"artifacts": []},
        }  # fmt: skip
        for event in self.events.get(execution, ()):
            artifact, key = self.raw["Event"]["artifact"][event], self.raw["Event"]["key"][event]
            kind, number = self.raw["Event"]["type"][event], identifier("artifact", artifact)
            known = number in self.result.artifacts
            if not known or kind not in (EventType.INPUT, EventType.OUTPUT):
                continue
            side = "outputs" if kind == EventType.OUTPUT else "inputs"
            io_type = "OUTPUT" if kind == EventType.OUTPUT else "TASK_OUTPUT_INPUT"
            task[side]["artifacts"].append({
                "artifact_key": key or "", "type": io_type,
                "artifacts": [self.result.artifacts[number]],
            })  # fmt: skip
            self.result.artifact_tasks.append({
                "id": identifier("link", event), "artifact_id": number, "run_id": run,
                "task_id": task["task_id"], "type": io_type, "key": key or "",
            })  # fmt: skip
            if kind == EventType.OUTPUT:
                self._define(run, name, key or "", self.title(self.kinds[artifact]))
        self.result.tasks[run].append(task)

    def _define(self, run: str, task: str, key: str, title: str) -> None:
        """Writes into the spec what the task's output is."""
        spec = self.specs[run]
        spec["root"]["dag"]["tasks"][task] = {"componentRef": {"name": f"comp-{task}"}}
        component = spec.setdefault("components", {}).setdefault(f"comp-{task}", {})
        outputs = component.setdefault("outputDefinitions", {}).setdefault("artifacts", {})
        schema = f"title: {title}\ntype: object\nproperties:\n  title:\n    type: string\n"
        outputs[key] = {"artifactType": {"instanceSchema": schema}}
