"""From the objects of Kubeflow Pipelines' API to rows.

The rows are those that Kubeflow Pipelines v2 would have left in ML Metadata
(types ``system.*``), so that ``system_types`` tells both in TFX's words.

Ids. The API names everything by a UUID; a Trace by an int64. An id is the
second of creation (32 bits) before a hash of the UUID (31 bits): it orders by
time, and it is the same whenever it is read. Two UUIDs of one second and one
hash (for 10,000 objects of one second a chance of 2 %) are told apart in the
order of their UUIDs; only then does an id depend on what else is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tfx_graphlets.stores.kubeflow.objects import Link, Objects, milliseconds
from tfx_graphlets.trace.properties import property_value
from tfx_graphlets.trace.rows import RowBuilder, Rows
from tfx_graphlets.trace.trace import PropertyKind
from tfx_graphlets.vocabulary import (
    ContextType,
    EventType,
    ExecutionState,
    PropertyName,
    SystemType,
)

# PipelineTask.TaskState and RuntimeState. CANCELED in ML Metadata is a task
# that was skipped: one that a user stopped has run, and failed.
STATE_OF_TASK: Final[Mapping[str, ExecutionState]] = {
    "PENDING": ExecutionState.NEW,
    "RUNNING": ExecutionState.RUNNING,
    "CANCELING": ExecutionState.RUNNING,
    "PAUSED": ExecutionState.RUNNING,
    "SUCCEEDED": ExecutionState.COMPLETE,
    "SKIPPED": ExecutionState.CANCELED,
    "FAILED": ExecutionState.FAILED,
    "CANCELED": ExecutionState.FAILED,
    "CACHED": ExecutionState.CACHED,
}
TYPE_OF_TASK: Final[Mapping[str, str]] = {
    "RUNTIME": SystemType.CONTAINER,
    "IMPORTER": SystemType.IMPORTER,
}
# Artifact.ArtifactType where it is not the schema title's last part.
_TITLE_OF_TYPE: Final[Mapping[str, str]] = {
    "Metric": "system.Metrics",
    "ClassificationMetric": "system.ClassificationMetrics",
    "SlicedClassificationMetric": "system.SlicedClassificationMetrics",
}
# Where the server keeps a schema title that is none of its own types.
_TITLE_KEYS: Final = ("_kfp_schema_title", "schema_title")
_INTERNAL: Final = "_kfp_"
_LIVE: Final = 2  # MLMD Artifact.State
_GONE: Final = -1  # id of no artifact: an event that names one is dropped and counted
_HASH_BITS: Final = 31


def rows_of(objects: Objects) -> Rows:
    """The rows of the objects."""
    return _Rows(objects).rows()


class _Rows:
    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.outputs = {link.task for link in objects.links if link.is_output}
        self.times = {task: _task_times(content) for task, (_, content) in objects.tasks.items()}
        self.task_ids = stable_ids(
            "task", ((task, created) for task, (created, _) in self.times.items())
        )
        producers: dict[str, Link] = {}
        for link in objects.links:
            if link.is_output and link.task in objects.tasks:
                best = producers.setdefault(link.artifact, link)
                if self.times[link.task] < self.times[best.task]:
                    producers[link.artifact] = link
        self.producers = producers
        self.artifact_times = {
            artifact: milliseconds(content.get("created_at"))
            or (self.times[producers[artifact].task][1] if artifact in producers else 0)
            for artifact, content in objects.artifacts.items()
        }
        self.artifact_ids = stable_ids("artifact", self.artifact_times.items())

    def rows(self) -> Rows:
        """All rows."""
        build = RowBuilder()
        self._executions(build)
        self._artifacts(build)
        self._contexts(build)
        for link in self.objects.links:
            if link.task in self.task_ids:
                build.add(
                    "Event",
                    execution=self.task_ids[link.task],
                    artifact=self.artifact_ids.get(link.artifact, _GONE),
                    type=int(EventType.OUTPUT if link.is_output else EventType.INPUT),
                    key=link.key or None,
                    time_ms=self.times[link.task][link.is_output],
                )
        return build.rows()

    def _executions(self, build: RowBuilder) -> None:
        for task, (_, content) in self.objects.tasks.items():
            number, (create_ms, update_ms) = self.task_ids[task], self.times[task]
            # Before the task API a task was of no type.
            kind = TYPE_OF_TASK.get(str(content.get("type") or "RUNTIME"), SystemType.DAG)
            row = (number, kind, self._state(task, content), create_ms, update_ms)
            build.extend("Execution", [row])

            def add(name: str, kind: int, value: int | str, number: int = number) -> None:
                build.add_property("Execution", number, name, True, kind, value)

            add(PropertyName.TASK_NAME, PropertyKind.STRING, _task_name(content))
            display_name = str(content.get("display_name") or "")
            add(PropertyName.DISPLAY_NAME, PropertyKind.STRING, display_name)
            parent = self.task_ids.get(str(content.get("parent_task_id") or ""))
            if parent is not None:
                add(PropertyName.PARENT_DAG_ID, PropertyKind.INT, parent)
            parameters = _parameters(content)
            if parameters:
                text = json.dumps(parameters, sort_keys=True)
                add(PropertyName.INPUTS, PropertyKind.STRUCT, text)

    def _state(self, task: str, content: Mapping[str, Any]) -> int:
        state = STATE_OF_TASK.get(
            str(content.get("state") or content.get("status") or ""), ExecutionState.UNKNOWN
        )
        # Older servers say SKIPPED of a cache hit, too.
        is_hit = state == ExecutionState.CANCELED and task in self.outputs
        return int(ExecutionState.CACHED if is_hit else state)

    def _artifacts(self, build: RowBuilder) -> None:
        for artifact, content in self.objects.artifacts.items():
            number, when = self.artifact_ids[artifact], self.artifact_times[artifact]
            title, uri = self._title(artifact, content), str(content.get("uri") or "")
            build.extend("Artifact", [(number, title, _LIVE, when, when, uri)])
            for name, value in (content.get("metadata") or {}).items():
                if value is not None and not name.startswith(_INTERNAL):
                    build.add_property("Artifact", number, name, True, *property_value(value))

    def _title(self, artifact: str, content: Mapping[str, Any]) -> str:
        """The schema title of an artifact, its type in ML Metadata."""
        metadata = content.get("metadata") or {}
        for key in _TITLE_KEYS:
            if metadata.get(key):
                return str(metadata[key])
        link = self.producers.get(artifact)
        if link is not None:
            run, task = self.objects.tasks[link.task]
            titles = self.objects.titles_of_run.get(run, {})
            title = titles.get((_task_name(task), link.key))
            if title:
                return title
        kind = str(content.get("type") or "Artifact")
        return _TITLE_OF_TYPE.get(kind, f"system.{kind}")

    def _contexts(self, build: RowBuilder) -> None:
        runs = self.objects.runs
        created = {run: milliseconds(content.get("created_at")) for run, content in runs.items()}
        run_ids = stable_ids("run", created.items())
        pipelines = self.objects.pipeline_of_run
        first: dict[str, int] = {}
        for run, name in pipelines.items():
            first[name] = min(first.get(name, created[run]), created[run])
        pipeline_ids = {
            name: int.from_bytes(_digest("pipeline", name)[:8], "big") >> 2
            for name in sorted(first)
            if name
        }
        for name, number in pipeline_ids.items():
            build.extend("Context", [(number, ContextType.SYSTEM_PIPELINE, name, first[name])])
        for run, number in run_ids.items():
            build.extend("Context", [(number, ContextType.SYSTEM_PIPELINE_RUN, run, created[run])])
        for task, (run, _) in self.objects.tasks.items():
            build.add("Association", context=run_ids[run], execution=self.task_ids[task])
            if pipelines.get(run):
                pipeline = pipeline_ids[pipelines[run]]
                build.add("Association", context=pipeline, execution=self.task_ids[task])


def _task_times(task: Mapping[str, Any]) -> tuple[int, int]:
    """When a task began, and when it was last heard of, in ms."""
    created = milliseconds(task.get("create_time")) or milliseconds(task.get("start_time"))
    ended = milliseconds(task.get("end_time"))
    history = [
        milliseconds(one.get("update_time")) for one in task.get("state_history") or () if one
    ]
    return created, ended or max([created, *history])


def stable_ids(kind: str, created: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Ids of objects of one kind (module docstring, Ids), by UUID, in the order given.

    Args:
      kind: which objects; the same UUID of another kind has another id.
      created: UUID and time of creation in ms, 0 where it is not known.

    >>> ids = stable_ids("task", [("b", 1_700_000_000_000), ("a", 1_700_000_000_999)])
    >>> sorted(number >> 31 for number in ids.values())
    [1700000000, 1700000000]
    """
    objects = list(created)
    seconds = {identifier: ms // 1_000 for identifier, ms in objects}
    taken: dict[int, str] = {}
    for identifier in sorted(seconds):
        attempt = 0
        while True:
            digest = _digest(kind, f"{identifier}{attempt or ''}")
            low = int.from_bytes(digest[:4], "big") >> (32 - _HASH_BITS)
            number = seconds[identifier] << _HASH_BITS | low
            if number not in taken:
                break
            attempt += 1
        taken[number] = identifier
    by_object = {identifier: number for number, identifier in taken.items()}
    return {identifier: by_object[identifier] for identifier, _ in objects}


def _digest(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{text}".encode()).digest()


def _task_name(task: Mapping[str, Any]) -> str:
    return str(task.get("name") or task.get("display_name") or "")


def _parameters(task: Mapping[str, Any]) -> dict[str, Any]:
    """Value of every parameter that a task took in, by key."""
    listed = (task.get("inputs") or {}).get("parameters")
    if not isinstance(listed, list):
        return {}
    return {
        str(one["parameter_key"]): one["value"]
        for one in listed
        if one and one.get("parameter_key") and one.get("value") is not None
    }
