"""What a pipeline spec of Kubeflow Pipelines says of a run.

Source: kubeflow/pipelines, ``api/v2alpha1/pipeline_spec.proto``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

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
    return str(info.get("name") or "") if isinstance(info, Mapping) else ""


def output_titles(spec: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Schema title of what tasks put out, by name of the task and of the output.

    A task that stands in several sub-pipelines has the title of the last.
    """
    spec = _unwrapped(spec)
    components = spec.get("components")
    components = components if isinstance(components, Mapping) else {}
    titles: dict[tuple[str, str], str] = {}
    for task, component_name in _tasks([spec.get("root"), *components.values()]):
        component = components.get(component_name)
        outputs = component.get("outputDefinitions") if isinstance(component, Mapping) else None
        artifacts = outputs.get("artifacts") if isinstance(outputs, Mapping) else None
        for key, artifact in (artifacts or {}).items():
            title = _title(artifact.get("artifactType") or {})
            if title:
                titles[task, key] = title
    return titles


def _tasks(components: list[Any]) -> Iterator[tuple[str, str]]:
    """Name and component's name of every task in the DAGs of the components."""
    for component in components:
        dag = component.get("dag") if isinstance(component, Mapping) else None
        for task, content in ((dag or {}).get("tasks") or {}).items():
            yield task, str((content.get("componentRef") or {}).get("name") or "")


def _title(artifact_type: Mapping[str, Any]) -> str:
    title = artifact_type.get("schemaTitle")
    if title:
        return str(title)
    schema = str(artifact_type.get("instanceSchema") or "")
    try:
        content = json.loads(schema)
    except ValueError:
        found = _TITLE.search(schema)
        return found[1] if found else schema if re.fullmatch(r"[\w.\-]+", schema) else ""
    return str(content.get("title") or "") if isinstance(content, dict) else ""


def _unwrapped(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = spec.get("pipeline_spec")
    return inner if isinstance(inner, Mapping) else spec
