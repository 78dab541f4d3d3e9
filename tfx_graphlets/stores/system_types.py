"""Rows of Kubeflow Pipelines v2 (types ``system.*``), told in TFX's words.

Kubeflow Pipelines v2 records every task as an execution of one and the same
type, ``system.ContainerExecution``. What the task does stands in its name. The
rules, applied to every store alike, whatever it was read from:

- The type of a task's execution becomes ``system.ContainerExecution.CLASS``;
  an importer's ``system.ImporterExecution.Importer``. A role is then decided
  by the last dotted part, as for TFX. The class of a task is ``class_of_task``
  of its name. A task that puts out one of this project's own artifacts is one
  of its nodes: ``tfx_graphlets.components.CLASS``.
- Artifacts keep the schema title that they have as a type: ``tfx.Examples``.
- ``system.DAGExecution`` (the run itself, a condition, a loop) is a box around
  tasks and did nothing itself: it is left out, with its events.
- A task in state CANCELED was skipped, its condition being false: it is left
  out, as TFX leaves no record of one.
- A cache hit (CACHED) without outputs of its own has those of the execution
  that the property ``cached_execution_id`` names.
- The parameters of a task, the property ``inputs``, are its properties.
- An artifact's ``custom:span`` and ``custom:version`` are its custom properties
  ``span`` and ``version``, and what it has by these names are declared ones:
  TFX's containers tell the two kinds apart so (``tfx/types/artifact.py``).
- Every task of a pipeline has a context of type ``node``, ``PIPELINE.TASK``,
  as TFX writes it. Its id is a hash of the pipeline context's id and the
  task's name, 2**62 or more, the same whenever and in whatever part it is read.

Source: kubeflow/pipelines, ``backend/src/v2/metadata/client.go``.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.graphlets import pending
from tfx_graphlets.payloads.bounds import parsed_json
from tfx_graphlets.trace.assembly import PropertyColumns, RawProperties, RawTables
from tfx_graphlets.trace.trace import BoolArray, PropertyKind
from tfx_graphlets.vocabulary import ContextType, ExecutionState, PropertyName, SystemType

_CUSTOM_PREFIX: Final = "custom:"
_PLAIN_NAME: Final[Mapping[str, str]] = {
    _CUSTOM_PREFIX + name: name for name in (PropertyName.SPAN, PropertyName.VERSION)
}
# Properties that these rules look at, whatever the caller wants to keep.
PROPERTIES_READ: Final = frozenset(
    {
        PropertyName.TASK_NAME,
        PropertyName.DISPLAY_NAME,
        PropertyName.CACHED_EXECUTION_ID,
        PropertyName.INPUTS,
        PropertyName.PARENT_DAG_ID,
        PropertyName.ITERATION_INDEX,
        *_PLAIN_NAME,
    }
)

# Own components, and ExampleGens that do not begin with a plain capital.
_OWN_CLASSES: Final = frozenset({"Archiver", "GraphletGen", "WasteGate", "WasteModelTrainer"})
_MORE_CLASSES: Final = (*sorted(_OWN_CLASSES), "BigQueryExampleGen")
_CLASS_OF_KEY: Final[Mapping[str, str]] = {
    name.lower(): name for name in (*vocabulary.ROLE_OF_CLASS, *_MORE_CLASSES)
}
_NUMBERED: Final = re.compile(r"(?<=[A-Za-z])[-_]?\d+$")
_SEPARATORS: Final = re.compile(r"[-_ ]+")
_FIRST_NODE_ID: Final = 2**62


def class_of_task(name: str) -> str:
    """The class of a task of Kubeflow Pipelines, by its name.

    The name up to the first dot (TFX names a node ``Class.instance``). It is a
    class that has a role (``vocabulary.ROLE_OF_CLASS``, one of this project, or
    one that ends in ``ExampleGen``) if it is spelt so but for capitals,
    separators and a number at the end: Kubeflow's SDK writes ``csv-example-gen``
    and numbers the second of its kind. A name that ends in ``resolver`` is a
    Resolver, as TFX's own examples name them. Every other name is a class of
    its own; its role then comes from the artifacts of its tasks, as for any
    custom class.

    >>> [class_of_task(name) for name in ("trainer-2", "Trainer.wide", "infra_validator")]
    ['Trainer', 'Trainer', 'InfraValidator']
    >>> [class_of_task(name) for name in ("csv-example-gen", "CsvExampleGen", "train-model-2")]
    ['CsvExampleGen', 'CsvExampleGen', 'train-model-2']
    """
    first = name.partition(".")[0]
    plain = _NUMBERED.sub("", first)
    key = _SEPARATORS.sub("", plain).lower()
    if key in _CLASS_OF_KEY:
        return _CLASS_OF_KEY[key]
    if key.endswith("resolver"):
        return "Resolver"
    suffix = vocabulary.EXAMPLE_GEN_SUFFIX
    if key.endswith(suffix.lower()):
        if plain.endswith(suffix):
            return plain
        return key[: -len(suffix)].capitalize() + suffix
    return first


def in_words_of_tfx(raw: RawTables) -> RawTables:
    """The rows with ``system.*`` executions told as TFX would have recorded them.

    Rows of a store without such executions come back as they are; applied
    twice, the rules change nothing more.
    """
    types: Any = raw.execution_type
    if SystemType.EXECUTIONS.isdisjoint(getattr(types, "values", types)):
        return raw
    return _Rows(_without_boxes_and_skipped(_as_lists(raw))).by_all_rules()


def _as_lists(raw: RawTables) -> Any:
    """The same rows, with a list for every column that these rules look at."""
    changes: dict[str, Any] = {
        name: _list(getattr(raw, name))
        for prefix in ("execution_", "event_", "context_")
        for name in _columns(prefix)
    }
    changes["artifact_id"], changes["artifact_type"] = (
        _list(raw.artifact_id),
        _list(raw.artifact_type),
    )
    changes["execution_properties"] = _property_lists(raw.execution_properties)
    return dataclasses.replace(raw, **changes)


def _property_lists(table: RawProperties | PropertyColumns) -> RawProperties:
    return table if isinstance(table, RawProperties) else table.rows()


def _without_boxes_and_skipped(raw: Any) -> Any:
    kept = [
        kind not in SystemType.BOXES
        and not (kind in SystemType.TASKS and state == ExecutionState.CANCELED)
        for kind, state in zip(raw.execution_type, raw.execution_state)
    ]
    ids = np.asarray(raw.execution_id, np.int64)
    gone = ids[~np.asarray(kept, bool)]
    event = ~np.isin(np.asarray(raw.event_execution, np.int64), gone)
    association = np.asarray(raw.association, np.int64).reshape(-1, 2)
    owner = np.isin(np.asarray(raw.execution_properties.owner, np.int64), gone)
    changes: dict[str, Any] = {
        **{name: _chosen(getattr(raw, name), kept) for name in _columns("execution_")},
        **{name: _chosen(getattr(raw, name), event.tolist()) for name in _columns("event_")},
    }
    return dataclasses.replace(
        raw,
        **changes,
        association=association[~np.isin(association[:, 1], gone)],
        execution_properties=_chosen_properties(raw.execution_properties, ~owner),
    )


class _Rows:
    """Rows of one store, as lists, and what is looked up in them."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.ids: list[int] = raw.execution_id
        is_task = [kind in SystemType.TASKS for kind in raw.execution_type]
        self.tasks = {number for number, task in zip(self.ids, is_task) if task}
        table = raw.execution_properties
        self.texts: dict[tuple[int, str], str] = {
            (owner, name): str(value)
            for owner, name, value in zip(table.owner, table.name, table.value)
            if name in PROPERTIES_READ and owner in self.tasks
        }

    def by_all_rules(self) -> RawTables:
        """The rows by all rules."""
        self.raw = self._with_cached_outputs()
        changes: dict[str, Any] = {
            "execution_type": self._types(),
            "execution_properties": self._with_parameters(),
            "artifact_properties": _with_plain_names(self.raw.artifact_properties),
            **self._with_nodes(),
        }
        changed: RawTables = dataclasses.replace(self.raw, **changes)
        return changed

    def task_name(self, execution: int) -> str:
        """Name of a task; empty where none is recorded."""
        name = self.texts.get((execution, PropertyName.TASK_NAME), "")
        return name or self.texts.get((execution, PropertyName.DISPLAY_NAME), "")

    def _with_cached_outputs(self) -> Any:
        raw = self.raw
        outputs: dict[int, list[int]] = {}
        for row, (execution, kind) in enumerate(zip(raw.event_execution, raw.event_type)):
            if kind in vocabulary.OUTPUT_EVENTS:
                outputs.setdefault(execution, []).append(row)
        columns = {name: list(getattr(raw, name)) for name in _columns("event_")}
        for execution, state in zip(self.ids, raw.execution_state):
            if execution not in self.tasks or state != ExecutionState.CACHED:
                continue
            for row in outputs.get(self._source(execution, outputs), ()):
                for name, column in columns.items():
                    column.append(execution if name == "event_execution" else column[row])
        return dataclasses.replace(raw, **columns)

    def _source(self, execution: int, outputs: Collection[int]) -> int:
        """The execution whose outputs a cache hit names; -1 if it has its own, or none."""
        seen: set[int] = set()
        if execution in outputs:
            return -1
        while execution not in outputs and execution not in seen:
            seen.add(execution)
            text = self.texts.get((execution, PropertyName.CACHED_EXECUTION_ID), "")
            execution = int(text) if text.isdigit() else -1
        return execution

    def _types(self) -> list[str]:
        raw = self.raw
        own = {
            number
            for number, kind in zip(raw.artifact_id, raw.artifact_type)
            if kind.startswith(pending.ARTIFACT_PREFIX)
        }
        own_tasks = {
            execution
            for execution, artifact, kind in zip(
                raw.event_execution, raw.event_artifact, raw.event_type
            )
            if artifact in own and kind in vocabulary.OUTPUT_EVENTS
        }
        types, class_of = [], functools.lru_cache(maxsize=None)(class_of_task)
        for execution, kind in zip(self.ids, raw.execution_type):
            name = self.task_name(execution)
            if kind in SystemType.IMPORTERS:
                types.append(f"{SystemType.IMPORTER}.Importer")
            elif kind != SystemType.CONTAINER or not name:
                types.append(kind)
            else:
                class_name = class_of(name)
                is_own = class_name in _OWN_CLASSES or execution in own_tasks
                prefix = pending.EXECUTION_PREFIX if is_own else f"{kind}."
                types.append(prefix + class_name)
        return types

    def _with_parameters(self) -> RawProperties:
        table = self.raw.execution_properties
        known = set(zip(table.owner, table.name))
        result = RawProperties(
            list(table.owner),
            list(table.name),
            list(table.is_custom),
            list(table.kind),
            list(table.value),
        )
        for owner, name, kind, value in zip(table.owner, table.name, table.kind, table.value):
            is_inputs = name == PropertyName.INPUTS and kind == PropertyKind.STRUCT
            parsed = parsed_json(value) if is_inputs and owner in self.tasks else None
            for parameter, content in parsed.items() if isinstance(parsed, dict) else ():
                if content is not None and (owner, parameter) not in known:
                    known.add((owner, parameter))
                    result.add(owner, parameter, True, *property_value(content))
        return result

    def _with_nodes(self) -> dict[str, object]:
        raw = self.raw
        pipeline = {
            number: name
            for number, kind, name in zip(raw.context_id, raw.context_type, raw.context_name)
            if kind == ContextType.SYSTEM_PIPELINE
        }
        created = dict(zip(raw.context_id, raw.context_create_ms))
        nodes: dict[int, tuple[str, int]] = {}
        known: dict[tuple[int, str], int] = {}
        members: list[tuple[int, int]] = []
        association = np.asarray(raw.association, np.int64).reshape(-1, 2)
        for context, execution in association.tolist():
            name = self.task_name(execution)
            if context not in pipeline or execution not in self.tasks or not name:
                continue
            node = known.get((context, name))
            if node is None:
                digest = hashlib.sha256(f"{context}\0{name}".encode()).digest()
                node = _FIRST_NODE_ID | int.from_bytes(digest[:8], "big") >> 2
                known[context, name] = node
                nodes[node] = (f"{pipeline[context]}.{name}", created[context])
            members.append((node, execution))
        new = sorted(nodes.keys() - set(raw.context_id))
        return {
            "context_id": [*raw.context_id, *new],
            "context_type": [*raw.context_type, *(ContextType.NODE for _ in new)],
            "context_name": [*raw.context_name, *(nodes[node][0] for node in new)],
            "context_create_ms": [*raw.context_create_ms, *(nodes[node][1] for node in new)],
            "association": np.concatenate(
                [association, np.asarray(members, np.int64).reshape(-1, 2)]
            ),
        }


def _with_plain_names(table: Any) -> RawProperties:
    table = _property_lists(table)
    names = table.name
    prefixed = {
        (owner, _PLAIN_NAME[name]) for owner, name in zip(table.owner, names) if name in _PLAIN_NAME
    }
    is_custom = [
        0 if (owner, name) in prefixed else custom
        for owner, name, custom in zip(table.owner, names, table.is_custom)
    ]
    plain = [_PLAIN_NAME.get(name, name) for name in names]
    return dataclasses.replace(table, name=plain, is_custom=is_custom)


def property_value(content: object) -> tuple[int, float | str]:
    """Kind and value of the property that holds a JSON value which is not null.

    A whole number is an INT, as ``assembly.struct_message_to_json`` writes it, and
    one of more than 64 bits a DOUBLE; an object is a STRUCT; a list is a STRING of
    JSON. In a text, halves of pairs are replaced.
    """
    if isinstance(content, bool):
        return PropertyKind.BOOL, int(content)
    if isinstance(content, int):
        if -(2**63) <= content < 2**63:
            return PropertyKind.INT, content
        try:
            return PropertyKind.DOUBLE, float(content)
        except OverflowError:
            return PropertyKind.DOUBLE, math.inf if content > 0 else -math.inf
    if isinstance(content, float):
        return PropertyKind.DOUBLE, content
    if isinstance(content, str):
        return PropertyKind.STRING, content.encode("utf-8", "replace").decode()
    kind = PropertyKind.STRUCT if isinstance(content, dict) else PropertyKind.STRING
    return kind, json.dumps(content, sort_keys=True)


def _columns(prefix: str) -> list[str]:
    return [
        field.name
        for field in dataclasses.fields(RawTables)
        if field.name.startswith(prefix) and not field.name.endswith("_properties")
    ]


def _list(values: Any) -> list[Any]:
    if isinstance(values, np.ndarray):
        return values.tolist()
    return values.rows() if hasattr(values, "rows") else list(values)


def _chosen(values: Any, kept: Sequence[bool]) -> list[Any]:
    return [value for value, keep in zip(values, kept) if keep]


def _chosen_properties(table: RawProperties, kept: BoolArray) -> RawProperties:
    rows = np.flatnonzero(kept).tolist()
    return RawProperties(
        owner=[table.owner[row] for row in rows],
        name=[table.name[row] for row in rows],
        is_custom=[table.is_custom[row] for row in rows],
        kind=[table.kind[row] for row in rows],
        value=[table.value[row] for row in rows],
    )
