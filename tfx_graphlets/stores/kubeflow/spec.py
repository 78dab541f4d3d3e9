"""What a pipeline spec of Kubeflow Pipelines says of a run.

Source: kubeflow/pipelines, ``api/v2alpha1/pipeline_spec.proto``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tfx_graphlets.payloads.bounds import parsed_json

# An instance schema is YAML, or JSON, with the title among its first lines.
_TITLE: Final = re.compile(
    r"""^\s*["']?title["']?\s*:\s*["']?([\w.\-]+)["']?\s*,?\s*$""", re.MULTILINE
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
