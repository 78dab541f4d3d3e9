"""A server that speaks the REST protocol of Kubeflow Pipelines' API.

Paths are those of kubeflow/pipelines, ``backend/api/v2beta1`` (run, artifact,
pipeline); lists come in pages, errors as google.rpc.Status.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import ssl
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.stores.kubeflow.installation import Installation, identifier

LARGEST_PAGE = 200


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
            links = [one for one in held.artifact_tasks if _value(one, "run_id", runs[0]) in runs]
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
        return [run for run in runs if wanted in ("", _value(run, "experiment_id", ""))]

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


def _value(item: object, name: str, otherwise: str) -> object:
    """A field of an item of a list, which a test may have damaged."""
    return item.get(name) if isinstance(item, dict) else otherwise


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
