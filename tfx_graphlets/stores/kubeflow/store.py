"""KfpStore: the history that Kubeflow Pipelines' own API server keeps.

Kubeflow Pipelines is replacing ML Metadata by tasks and artifacts of its own
(``/apis/v2beta1/runs/{run_id}/tasks``, ``/artifact_tasks``, ``/artifacts``).
What is read is told as ML Metadata's rows (``kubeflow.rows``).

Not supported: servers of before the task API, unless their
``run_details.task_details`` name artifacts (as a rule they do not). Their
history is in ML Metadata: read it by ``grpc://``.
"""

from __future__ import annotations

import concurrent.futures
import logging
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Final

from tfx_graphlets.errors import StoreError
from tfx_graphlets.stores import rows
from tfx_graphlets.stores.files import FilePayloads
from tfx_graphlets.stores.kubeflow.client import (
    TIMEOUT_SECONDS,
    Address,
    Client,
    NotThereError,
)
from tfx_graphlets.stores.kubeflow.objects import WRITER, Objects, as_text, name_of, output_titles
from tfx_graphlets.stores.kubeflow.rows import rows_of
from tfx_graphlets.stores.selection import Selection
from tfx_graphlets.stores.store import Store
from tfx_graphlets.stores.system_types import in_words_of_tfx
from tfx_graphlets.trace.odd_rows import OddRows
from tfx_graphlets.trace.trace import Trace

_CALLS_AT_ONCE: Final = 4
_RUNS_PER_CALL: Final = 25  # their ids stand in the URL

_logger = logging.getLogger(__name__)


class KfpStore(Store):
    """The runs of a Kubeflow Pipelines API server, open for reading.

    Archived runs count like any others; deleted ones are gone. Ids are made
    from the server's UUIDs (``kubeflow.rows``, Ids). The API knows no transaction
    over several calls: what is written while ``read_trace`` runs may be in the
    trace in part. Payloads are read where the artifacts' URIs name files that
    this machine can open.
    """

    def __init__(
        self,
        address: Address,
        *,
        sleep: Callable[[float], None] = time.sleep,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Asks the server which version of the API it speaks.

        Args:
          address: the server.
          sleep: waits that many seconds; between attempts at a call.
          timeout_seconds: how long the server may stay silent.

        Raises:
          StoreError: as ``open_store``.
        """
        self._address = address
        self._client: Client | None = Client(address, sleep=sleep, timeout_seconds=timeout_seconds)
        self._payloads = FilePayloads(None)
        self._way: Callable[[Client, str], list[Any]] | None = None
        self._specs: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
        self._client.api_version()

    @property
    def name(self) -> str:
        """The server as the user named it, without credentials."""
        return self._address.name

    def _read(self, selection: Selection) -> Trace:
        """What is selected: of ``pipelines`` only the runs are asked for their tasks."""
        objects = self._ask(selection)
        return rows.finish(rows_of(objects), self.name, selection, objects.odd)

    def pipelines(self) -> Mapping[str, int]:
        """Number of executions of each pipeline; see ``Store.pipelines``."""
        return rows.pipeline_sizes(in_words_of_tfx(rows_of(self._ask(Selection()))))

    def close(self) -> None:
        """Lets go of the server."""
        self._client = None

    def _calls(self) -> Client:
        if self._client is None:
            raise StoreError(self.name, "is closed; open it again")
        return self._client

    def _ask(self, selection: Selection) -> Objects:
        client, objects = self._calls(), Objects(odd=OddRows(self.name, WRITER))
        for run in client.pages("/runs", "runs", client.scope()):
            identifier = objects.run_id(run)
            if not identifier:
                continue
            pipeline, spec = self._pipeline_of(run)
            objects.pipeline_of_run[identifier] = pipeline
            if selection.pipelines is None or pipeline in selection.pipelines:
                objects.runs[identifier] = run
                objects.titles_of_run[identifier] = output_titles(spec)
        rows.check_pipelines(self.name, selection, {*objects.pipeline_of_run.values()} - {""})
        objects.pipeline_of_run = {run: objects.pipeline_of_run[run] for run in objects.runs}
        with concurrent.futures.ThreadPoolExecutor(_CALLS_AT_ONCE) as calls:
            for number, tasks in zip(objects.runs, calls.map(self._tasks_of, objects.runs)):
                for task in tasks:
                    objects.add_task(number, task)
        self._complete(objects)
        return objects

    def _tasks_of(self, run: str) -> list[Any]:
        """The tasks of a run, by whichever way the server has; none if it is gone."""
        for way in _WAYS_TO_TASKS if self._way is None else (self._way,):
            try:
                tasks = way(self._calls(), run)
            except NotThereError:
                continue
            self._way = way
            return tasks
        return []

    def _complete(self, objects: Objects) -> None:
        """Asks for links and artifacts that do not stand in the tasks."""
        client = self._calls()
        try:
            if objects.tasks and not objects.links:
                for some in _chunks(list(objects.runs), _RUNS_PER_CALL):
                    query = {"run_ids": some}
                    for link in client.pages("/artifact_tasks", "artifact_tasks", query):
                        objects.add_artifact_task(link)
            unknown = set(objects.unknown_artifacts())
            if unknown:
                scope = {"namespace": self._address.namespace} if self._address.namespace else {}
                for artifact in client.pages("/artifacts", "artifacts", scope):
                    if (
                        not isinstance(artifact, dict)
                        or str(artifact.get("artifact_id")) in unknown
                    ):
                        objects.add_artifact(artifact)
        except NotThereError:
            _logger.info("%s has no artifact API; what its tasks say counts", self.name)
        unknown = set(objects.unknown_artifacts())
        if self._way is _tasks_in_details and unknown == set(objects.artifacts):
            raise StoreError(
                self.name,
                "does not say what its runs put out, as servers do that keep it in ML Metadata; "
                "read that: grpc://host:8080 (service metadata-grpc-service)",
            )
        if unknown:
            _logger.info("%s: artifacts are gone: %s", self.name, ", ".join(sorted(unknown)))
            objects.forget_artifacts(unknown)

    def _pipeline_of(self, run: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Name of a run's pipeline, empty for none, and its spec."""
        spec = run.get("pipeline_spec")
        if isinstance(spec, Mapping) and spec:
            return name_of(spec) or str(run.get("experiment_id") or ""), spec
        reference = run.get("pipeline_version_reference") or run.get("pipeline_reference") or {}
        pipeline = str(reference.get("pipeline_id") or "")
        version = str(reference.get("pipeline_version_id") or run.get("pipeline_version_id") or "")
        if not pipeline:
            return str(run.get("experiment_id") or ""), {}
        if (pipeline, version) not in self._specs:
            self._specs[pipeline, version] = self._pipeline(pipeline, version)
        return self._specs[pipeline, version]

    def _pipeline(self, pipeline: str, version: str) -> tuple[str, Mapping[str, Any]]:
        """Name and spec of a version of a pipeline; either may be deleted since it ran."""
        path = f"/pipelines/{urllib.parse.quote(pipeline, safe='')}"
        if version:
            content = self._there(f"{path}/versions/{urllib.parse.quote(version, safe='')}")
            spec = content.get("pipeline_spec")
            if isinstance(spec, Mapping) and name_of(spec):
                return name_of(spec), spec
        content = self._there(path)
        name = content.get("name") or content.get("display_name") or pipeline
        return as_text(name), {}

    def _there(self, path: str) -> dict[str, Any]:
        """The object at a path; empty if there is none."""
        try:
            return self._calls().get(path)
        except NotThereError:
            return {}


def _tasks_of_run(client: Client, run: str) -> list[Any]:
    return list(client.pages(f"/runs/{urllib.parse.quote(run, safe='')}/tasks", "tasks"))


def _tasks_with_run(client: Client, run: str) -> list[Any]:
    return list(client.pages("/tasks", "tasks", {"run_id": run}))


def _tasks_in_details(client: Client, run: str) -> list[Any]:
    details = client.get(f"/runs/{urllib.parse.quote(run, safe='')}").get("run_details")
    tasks = details.get("task_details") if isinstance(details, dict) else None
    # Of drivers, executors and boxes nothing but the pod is recorded.
    return [
        task
        for task in (tasks if isinstance(tasks, list) else ())
        if not isinstance(task, dict) or task.get("inputs") or task.get("outputs")
    ]


# The task API as it was released, as it was first merged, and what was before it.
_WAYS_TO_TASKS: Final = (_tasks_of_run, _tasks_with_run, _tasks_in_details)


def _chunks(values: list[str], size: int) -> Iterable[list[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))
