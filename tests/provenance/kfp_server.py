"""A server that speaks the REST protocol of Kubeflow Pipelines' API, over a re-told TFX trace.

Shapes and paths are those of kubeflow/pipelines, ``backend/api/v2beta1`` (run,
artifact, pipeline): lists in pages, objects with the proto's field names, times
in RFC 3339, enums by name, errors as google.rpc.Status.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.server
import json
import ssl
import threading
import urllib.parse
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.provenance.kfp_retelling import task_names, values_of
from tfx_graphlets.assembly import RawTables
from tfx_graphlets.vocabulary import EventType, ExecutionState, base_name

STATES = {
    ExecutionState.NEW: "RUNNING", ExecutionState.RUNNING: "RUNNING",
    ExecutionState.COMPLETE: "SUCCEEDED", ExecutionState.FAILED: "FAILED",
    ExecutionState.CACHED: "CACHED", ExecutionState.UNKNOWN: "RUNTIME_STATE_UNSPECIFIED",
}  # fmt: skip
NATIVE_TYPES = {"Model": "Model", "Examples": "Dataset"}
LARGEST_PAGE = 200


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


def installation_of(raw: RawTables, *, titles: str = "metadata") -> Installation:
    """The runs of a TFX trace as Kubeflow Pipelines' API would show them.

    Args:
      raw: rows of TFX pipelines with ``pipeline_run`` contexts.
      titles: where the schema title of an artifact stands: in its ``metadata``,
        or only in the ``spec`` of the run's pipeline, or in the spec of a
        pipeline ``version``.
    """
    return _Teller(raw, titles).tell()


class _Teller:
    def __init__(self, raw: RawTables, titles: str) -> None:
        self.raw, self.titles = raw, titles
        self.names = task_names(raw)
        self.result = Installation()
        self.specs: dict[str, dict[str, Any]] = {}
        self.kinds = dict(zip(raw.artifact_id, raw.artifact_type))
        self.events: dict[int, list[int]] = {}
        for row, execution in enumerate(raw.event_execution):
            self.events.setdefault(execution, []).append(row)
        contexts = dict(zip(raw.context_id, zip(raw.context_type, raw.context_name)))
        self.run_of: dict[int, str] = {}
        self.pipeline_of: dict[int, str] = {}
        for context, execution in map(tuple, raw.association):
            kind, name = contexts[context]
            if kind == "pipeline_run":
                self.run_of[execution] = name
            elif kind == "pipeline":
                self.pipeline_of[execution] = name

    def tell(self) -> Installation:
        """Everything."""
        metadata = values_of(self.raw.artifact_properties)
        for number, kind, created, uri in zip(
            self.raw.artifact_id, self.raw.artifact_type, self.raw.artifact_create_ms,
            self.raw.artifact_uri,
        ):  # fmt: skip
            self._artifact(number, kind, created, uri, metadata.get(number, {}))
        order = sorted(range(len(self.raw.execution_id)), key=self._created)
        parameters = values_of(self.raw.execution_properties)
        for row in order:
            execution = self.raw.execution_id[row]
            if execution in self.run_of:
                self._task(row, execution, parameters.get(execution, {}))
        return self.result

    def _created(self, row: int) -> tuple[int, int]:
        return self.raw.execution_create_ms[row], self.raw.execution_id[row]

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
        created, updated = self.raw.execution_create_ms[row], self.raw.execution_update_ms[row]
        pipeline = self.pipeline_of.get(execution, "")
        run = self._run(self.run_of[execution], pipeline, created)
        name, state = self.names[execution], ExecutionState(self.raw.execution_state[row])
        is_importer = base_name(self.raw.execution_type[row]) in ("Importer", "ImporterNode")
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
            artifact, key = self.raw.event_artifact[event], self.raw.event_key[event]
            kind, number = self.raw.event_type[event], identifier("artifact", artifact)
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


# -- the server ----------------------------------------------------------------------


@dataclasses.dataclass
class Behaviour:
    """How the server is, and what it saw.

    Attributes:
      version: version of the API in its paths.
      prefix: path before ``/apis``.
      tasks: where tasks are listed: below their ``run``, ``flat`` (as it was
        first merged), or in ``details`` of the run (before the task API).
      embed: artifacts stand in the tasks (of ``details``: their ids).
      lists: artifacts, and what tasks have to do with them, are listed.
      token: the bearer token it wants; empty for none.
      namespace: the namespace it wants to be named; empty for none.
      answers: status, headers and body to answer the next calls with.
      calls: path and query of every call.
      tokens: ``Authorization`` of every call.
      same_page: names the same page again and again.
    """

    version: str = "v2beta1"
    prefix: str = ""
    tasks: str = "run"
    embed: bool = True
    lists: bool = True
    token: str = ""
    namespace: str = ""
    answers: list[tuple[int, Mapping[str, str], bytes]] = dataclasses.field(default_factory=list)
    calls: list[str] = dataclasses.field(default_factory=list)
    tokens: list[str | None] = dataclasses.field(default_factory=list)
    same_page: bool = False


class RefusedError(Exception):
    """An answer that is no 200."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GETs over ``installation``."""

    installation: Installation
    behaviour: Behaviour

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """Answers one call."""
        behaviour = self.behaviour
        behaviour.calls.append(self.path)
        behaviour.tokens.append(self.headers.get("Authorization"))
        if behaviour.answers:
            self.answer(*behaviour.answers.pop(0))
            return
        try:
            status, content = 200, self.content()
        except RefusedError as error:
            status, said = error.args
            content = {"code": 5, "message": said, "details": []}
        self.answer(status, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Sends an answer; status 0 breaks it off."""
        self.send_response(status or 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (100 if not status else 0)))
        self.end_headers()
        self.wfile.write(body)

    def content(self) -> dict[str, Any]:
        """What is asked for."""
        behaviour, held = self.behaviour, self.installation
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if behaviour.token and self.headers.get("Authorization") != f"Bearer {behaviour.token}":
            raise RefusedError(401, "Request header error: there is no user identity header.")
        start = f"{behaviour.prefix}/apis/{behaviour.version}/"
        parts = [urllib.parse.unquote(part) for part in url.path.removeprefix(start).split("/")]
        if not url.path.startswith(start):
            raise RefusedError(404, "Not Found")
        if parts == ["runs"]:
            if behaviour.namespace and query.get("namespace") != [behaviour.namespace]:
                raise RefusedError(400, "Namespace cannot be empty in multi-user mode")
            return self.page("runs", self.chosen(held.runs, query), query)
        if parts == ["artifact_tasks"] and behaviour.lists:
            runs = query.get("run_ids", [])
            links = [one for one in held.artifact_tasks if one["run_id"] in runs]
            return self.page("artifact_tasks", links, query)
        if parts == ["artifacts"] and behaviour.lists:
            return self.page("artifacts", list(held.artifacts.values()), query)
        if parts == ["tasks"] and behaviour.tasks == "flat":
            return self.page("tasks", self.tasks(query.get("run_id", [""])[0]), query)
        if parts[0] == "runs" and parts[2:] == ["tasks"] and behaviour.tasks == "run":
            return self.page("tasks", self.tasks(parts[1]), query)
        if parts[0] == "runs" and len(parts) == 2 and parts[1] in held.tasks:
            run = next(one for one in held.runs if one["run_id"] == parts[1])
            return {**run, "run_details": {"task_details": self.details(parts[1])}}
        if parts[0] == "pipelines" and parts[1] in held.pipelines:
            if len(parts) == 2:
                return held.pipelines[parts[1]]
            if parts[2] == "versions" and (parts[1], parts[3]) in held.versions:
                return held.versions[parts[1], parts[3]]
        raise RefusedError(404, "Not Found")

    def chosen(
        self, runs: Sequence[dict[str, Any]], query: Mapping[str, Sequence[str]]
    ) -> list[dict[str, Any]]:
        """The runs of the experiment that is asked for."""
        wanted = query.get("experiment_id", [""])[0]
        return [run for run in runs if wanted in ("", run["experiment_id"])]

    def tasks(self, run: str) -> list[dict[str, Any]]:
        """The tasks of a run."""
        if run not in self.installation.tasks:
            raise RefusedError(404, f"Run {run} not found")
        tasks = self.installation.tasks[run]
        if self.behaviour.embed:
            return tasks
        return [
            {
                name: {"parameters": value.get("parameters", [])}
                if name in ("inputs", "outputs")
                else value
                for name, value in task.items()
            }
            for task in tasks
        ]

    def details(self, run: str) -> list[dict[str, Any]]:
        """The tasks of a run as they were shown before the task API."""
        found: list[dict[str, Any]] = [{
            "run_id": run, "task_id": identifier("driver", run), "display_name": "trainer-driver",
            "create_time": "1970-01-01T00:00:00Z", "state": "SUCCEEDED",
        }]  # fmt: skip
        for task in self.installation.tasks.get(run, ()):
            if task["type"] == "ROOT":
                continue
            detail = {
                name: task[name] for name in ("run_id", "task_id", "display_name", "create_time")
            }
            detail["end_time"] = task["end_time"]
            # It knew no CACHED: a task that was not run was skipped.
            detail["state"] = "SKIPPED" if task["state"] == "CACHED" else task["state"]
            for side in ("inputs", "outputs"):
                lists: dict[str, dict[str, list[str]]] = {}
                for entry in task[side]["artifacts"] if self.behaviour.embed else ():
                    ids = [one["artifact_id"] for one in entry["artifacts"]]
                    listed = lists.setdefault(entry["artifact_key"], {"artifact_ids": []})
                    listed["artifact_ids"] += ids
                detail[side] = lists
            found.append(detail)
        return found

    def page(
        self, name: str, items: Sequence[dict[str, Any]], query: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        """One page of a list; an empty list is left out, as protobuf's JSON does."""
        start = int(query.get("page_token", ["0"])[0])
        size = min(int(query.get("page_size", ["20"])[0]), LARGEST_PAGE)
        page: dict[str, Any] = {"total_size": len(items)}
        if items[start : start + size]:
            page[name] = list(items[start : start + size])
        if self.behaviour.same_page:
            page["next_page_token"] = "1"  # noqa: S105 - of a page
        elif start + size < len(items):
            page["next_page_token"] = str(start + size)
        return page


@contextlib.contextmanager
def serving(
    installation: Installation,
    behaviour: Behaviour | None = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> Iterator[tuple[str, Behaviour]]:
    """A server on a free port: its URI and its behaviour."""
    behaviour = behaviour or Behaviour()
    kind = type("BoundHandler", (Handler,), {"installation": installation, "behaviour": behaviour})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    place = f"kfp+http://127.0.0.1:{server.server_port}"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        place = f"kfp+https://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{place}{behaviour.prefix}", behaviour
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
