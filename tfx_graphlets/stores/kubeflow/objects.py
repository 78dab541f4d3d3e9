"""The objects of Kubeflow Pipelines' API by UUID: runs, tasks, artifacts, and what joins them.

An object with a value that the API does not write is left out and counted, as an odd row of a
database is (``trace.odd_rows``).

Sources: kubeflow/pipelines, ``backend/api/v2beta1/run.proto``; what a run's pipeline spec says,
``api/v2alpha1/pipeline_spec.proto``.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from tfx_graphlets.payloads.bounds import MAX_NESTING, parsed_json
from tfx_graphlets.trace.odd_rows import OddRows

# An instance schema is YAML, or JSON, with the title among its first lines.
_TITLE: Final = re.compile(
    r"""^[^\S\n]*["']?title["']?\s*:\s*["']?([\w.\-]+)["']?[^\S\n]*(?:,[^\S\n]*)?$""", re.MULTILINE
)


def name_of(spec: Mapping[str, Any]) -> str:
    """Name of the pipeline, ``pipelineInfo.name``; empty where the spec has none.

    >>> name_of({"pipeline_spec": {"pipelineInfo": {"name": "penguin"}}})
    'penguin'
    """
    info = _unwrapped(spec).get("pipelineInfo")
    return as_text(info.get("name")) if isinstance(info, Mapping) else ""


def output_titles(spec: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Schema title of what tasks put out, by name of the task and of the output.

    A task that stands in several sub-pipelines has the title of the last.
    """
    spec = _unwrapped(spec)
    components = _in(spec, "components")
    titles: dict[tuple[str, str], str] = {}
    for task, component_name in _tasks([_in(spec, "root"), *components.values()]):
        for key, artifact in _in(
            components, component_name, "outputDefinitions", "artifacts"
        ).items():
            title = _title(_in(artifact, "artifactType"))
            if title:
                titles[task, key] = title
    return titles


def as_text(value: object) -> str:
    """A name as Unicode, halves of pairs replaced; empty for none."""
    return str(value or "").encode("utf-8", "replace").decode()


def _in(content: object, *names: str) -> Mapping[str, Any]:
    """The object within an object, by the names of the fields; empty if there is none."""
    for name in names:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content if isinstance(content, Mapping) else {}


def _tasks(components: list[Any]) -> Iterator[tuple[str, str]]:
    """Name and component's name of every task in the DAGs of the components."""
    for component in components:
        for task, content in _in(component, "dag", "tasks").items():
            yield task, str(_in(content, "componentRef").get("name") or "")


def _title(artifact_type: Mapping[str, Any]) -> str:
    title = artifact_type.get("schemaTitle")
    if title:
        return as_text(title)
    schema = as_text(artifact_type.get("instanceSchema"))
    content = parsed_json(schema)
    if content is None:
        found = _TITLE.search(schema)
        return found[1] if found else schema if re.fullmatch(r"[\w.\-]+", schema) else ""
    return as_text(_in(content).get("title"))


def _unwrapped(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return _in(spec, "pipeline_spec") or spec


WRITER: Final = "Kubeflow Pipelines"
_OUTPUT_TYPES: Final = frozenset(
    {
        "OUTPUT",
        "ITERATOR_OUTPUT",
        "ONE_OF_OUTPUT",
        "TASK_FINAL_STATUS_OUTPUT",
    }
)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
_LATEST_S: Final = 2**32 - 1  # ids hold so many seconds since the epoch: until the year 2106
_NAME_LENGTH: Final = 60


def milliseconds(text: object) -> int:
    """Milliseconds of a time in RFC 3339; 0 for none, for the epoch itself and before it.

    Raises:
      ValueError: it is no time, or one after the year 2106.

    >>> milliseconds("2024-01-01T00:00:00.250+01:00"), milliseconds(None)
    (1704063600250, 0)
    """
    if text is None or text == "":
        return 0
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r:.60} does not read as RFC 3339")
    zone = "+00:00" if found[3] == "Z" else found[3]
    seconds = int(datetime.datetime.fromisoformat(found[1] + zone).timestamp())
    if seconds > _LATEST_S:
        raise ValueError(f"{text!r} is too late")
    return max(0, seconds * 1_000 + int(float(found[2] or 0) * 1_000))


# -- what the API writes -----------------------------------------------------------------


def fits(value: object, shape: Any) -> bool:
    """Whether a JSON value is of a shape; null is of every one.

    Args:
      value: the value.
      shape: shapes by the names of an object's fields, of which any may lack and others are not
        looked at; a list of the shape of every item; or a function that says.
    """
    if value is None:
        return True
    if isinstance(shape, Mapping):
        return isinstance(value, Mapping) and all(
            fits(value.get(name), inner) for name, inner in shape.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    return bool(shape(value))


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair
        return False
    return True


def _is_word(value: object) -> bool:
    """An id, or a value of an enum: one that a server does not know is a number."""
    return _is_text(value) or (isinstance(value, int) and not isinstance(value, bool))


def _is_any(_: object) -> bool:
    return True


def _is_time(value: object) -> bool:
    try:
        milliseconds(value)
    except ValueError:
        return False
    return True


def _is_json(value: object) -> bool:
    """Texts are Unicode as far as they stand at the top; nothing nests too deeply."""
    if isinstance(value, str):
        return _is_text(value)
    level: list[Any] = [value]
    for _ in range(MAX_NESTING):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return not level


def _are_values(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        _is_text(key) and _is_json(one) for key, one in value.items()
    )


def _is_side(value: object) -> bool:
    """The inputs or outputs of a task."""
    return isinstance(value, Mapping) and all(
        _is_text(key) and fits(one, _LISTED[key] if isinstance(one, list) else _IDS)
        for key, one in value.items()
        if key in _LISTED or not isinstance(one, list)
    )


_IDS: Final = {"artifact_ids": [_is_word]}  # before the task API, by key
_LISTED: Final = {
    "artifacts": [{"artifact_key": _is_text, "artifacts": [_is_any]}],
    "parameters": [{"parameter_key": _is_text, "value": _is_json}],
}
_REFERENCE: Final = {"pipeline_id": _is_text, "pipeline_version_id": _is_text}
_RUN: Final = {
    "run_id": _is_word,
    "created_at": _is_time,
    "experiment_id": _is_text,
    "pipeline_spec": {},
    "pipeline_reference": _REFERENCE,
    "pipeline_version_reference": _REFERENCE,
    "pipeline_version_id": _is_text,
}
_UNREAD: Final = {"error": lambda _: False}  # a run that the server could not read
_TASK: Final = {
    "task_id": _is_word,
    "name": _is_text,
    "display_name": _is_text,
    "type": _is_word,
    "state": _is_word,
    "status": _is_word,
    "create_time": _is_time,
    "start_time": _is_time,
    "end_time": _is_time,
    "state_history": [{"update_time": _is_time}],
    "inputs": _is_side,
    "outputs": _is_side,
}
_ARTIFACT: Final = {
    "artifact_id": _is_word,
    "created_at": _is_time,
    "type": _is_word,
    "uri": _is_text,
    "metadata": _are_values,
}
_LINK: Final = {"task_id": _is_word, "artifact_id": _is_word, "key": _is_text, "type": _is_word}


# -- what was read ------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Link:
    """That a task took in or put out an artifact."""

    task: str
    artifact: str
    key: str
    is_output: bool


@dataclasses.dataclass
class Objects:
    """Objects of the API, by UUID.

    Attributes:
      runs: ``Run``.
      pipeline_of_run: name of the pipeline of each run; empty for none.
      titles_of_run: see ``output_titles``.
      tasks: ``PipelineTask`` (or ``PipelineTaskDetail``), with their runs.
      artifacts: ``Artifact``; an empty object where only its id is known.
      links: what tasks took in and put out.
      odd: the objects that were left out.
    """

    runs: dict[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    pipeline_of_run: dict[str, str] = dataclasses.field(default_factory=dict)
    titles_of_run: dict[str, Mapping[tuple[str, str], str]] = dataclasses.field(
        default_factory=dict
    )
    tasks: dict[str, tuple[str, Mapping[str, Any]]] = dataclasses.field(default_factory=dict)
    artifacts: dict[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    links: dict[Link, None] = dataclasses.field(default_factory=dict)
    odd: OddRows = dataclasses.field(default_factory=lambda: OddRows("the server", WRITER))
    _left_out: set[str] = dataclasses.field(default_factory=set)

    def run_id(self, run: Any) -> str:
        """The id of a run; empty for one that is left out, or that the server could not read."""
        is_read = not isinstance(run, Mapping) or run.get("created_at") or not run.get("error")
        return self._id("Run", "run_id", run, _RUN if is_read else _UNREAD)

    def add_task(self, run: str, task: Any) -> None:
        """Adds a task of a run, and the artifacts that stand in it."""
        identifier = self._id("Task", "task_id", task, _TASK)
        if not identifier:
            return
        self.tasks[identifier] = (run, task)
        for side, is_output in (("inputs", False), ("outputs", True)):
            for key, artifact in _artifacts_of(task.get(side) or {}):
                number = self.add_artifact(artifact)
                if number:
                    self.links[Link(identifier, number, key, is_output)] = None

    def add_artifact(self, artifact: Any) -> str:
        """Adds an artifact; what says more of it counts. Returns its id, empty if left out."""
        number = self._id("Artifact", "artifact_id", artifact, _ARTIFACT)
        if number and len(artifact) > len(self.artifacts.get(number, {})):
            self.artifacts[number] = artifact
        return number

    def add_artifact_task(self, link: Any) -> None:
        """Adds an ``ArtifactTask``."""
        artifact = self._id("ArtifactTask", "artifact_id", link, _LINK)
        kind = str(link.get("type") or "") if artifact else ""
        if kind not in ("", "UNSPECIFIED"):
            self.artifacts.setdefault(artifact, {})
            task, key = str(link.get("task_id") or ""), str(link.get("key") or "")
            self.links[Link(task, artifact, key, kind in _OUTPUT_TYPES)] = None

    def unknown_artifacts(self) -> list[str]:
        """Ids of artifacts of which nothing but the id is known."""
        return [number for number, content in self.artifacts.items() if len(content) < 2]

    def forget_artifacts(self, gone: Collection[str]) -> None:
        """Takes artifacts out; the links to them stay, and lead nowhere."""
        for number in gone:
            del self.artifacts[number]

    def _id(self, table: str, key: str, content: Any, shape: Mapping[str, Any]) -> str:
        """What an object is called; empty, and counted once, where it is left out."""
        named = content.get(key) if isinstance(content, Mapping) else None
        if named and fits(content, shape):
            return str(named)
        name = f"{named!a:.{_NAME_LENGTH}}" if named else "id unknown"
        if not named or f"{table} {name}" not in self._left_out:
            self._left_out.add(f"{table} {name}")
            self.odd.add(table, [name], 1)
        return ""


def _artifacts_of(side: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Key and artifact of each artifact at one side of a task."""
    listed = side.get("artifacts")
    if isinstance(listed, list):
        for entry in listed:
            for artifact in (entry or {}).get("artifacts") or ():
                yield str(entry.get("artifact_key") or ""), artifact
        return
    for key, entry in side.items():
        if isinstance(entry, Mapping):
            for number in entry.get("artifact_ids") or ():
                yield key, {"artifact_id": str(number)}
