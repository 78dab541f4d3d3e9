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

import functools
import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.graphlets import pending
from tfx_graphlets.payloads.bounds import parsed_json
from tfx_graphlets.trace.properties import property_value
from tfx_graphlets.trace.rows import RowBuilder, Rows, Table, property_values, take
from tfx_graphlets.trace.strings import Coded
from tfx_graphlets.trace.trace import PropertyKind
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


def in_words_of_tfx(rows: Rows) -> Rows:
    """The rows with ``system.*`` executions told as TFX would have recorded them.

    Rows of a store without such executions come back as they are; applied
    twice, the rules change nothing more.
    """
    if not rows["Execution"]["type"].among(SystemType.EXECUTIONS).any():
        return rows
    rows = rows.copy()
    _leave_out_boxes_and_skipped(rows)
    _Rules(rows).apply()
    return rows


def _leave_out_boxes_and_skipped(rows: Rows) -> None:
    kind, state = rows["Execution"]["type"], rows["Execution"]["state"]
    gone = kind.among(SystemType.TASKS) & (state == ExecutionState.CANCELED)
    gone |= kind.among(SystemType.BOXES)
    ids = rows["Execution"]["id"][gone]
    rows.keep("Execution", ~gone)
    for table, column in (
        ("Event", "execution"),
        ("Association", "execution"),
        ("ExecutionProperty", "owner"),
    ):
        rows.keep(table, ~np.isin(rows[table][column], ids))


class _Rules:
    """Rows of one store, which the rules change, and what is looked up in them."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        executions, table = rows["Execution"], rows["ExecutionProperty"]
        self.task_ids = executions["id"][executions["type"].among(SystemType.TASKS)]
        self.tasks = set(self.task_ids.tolist())
        is_read = table["name"].among(PROPERTIES_READ) & np.isin(table["owner"], self.task_ids)
        read = take(table, is_read)
        keys = zip(read["owner"].tolist(), read["name"].rows())
        self.texts = dict(zip(keys, map(str, property_values(read))))

    def apply(self) -> None:
        """Changes the rows by all rules."""
        self._add_cached_outputs()
        self.rows["Execution"]["type"] = Coded.of(self._types())
        self._add_parameters()
        self._add_nodes()
        _name_plainly(self.rows["ArtifactProperty"])

    def task_name(self, execution: int) -> str:
        """Name of a task; empty where none is recorded."""
        name = self.texts.get((execution, PropertyName.TASK_NAME), "")
        return name or self.texts.get((execution, PropertyName.DISPLAY_NAME), "")

    def _add_cached_outputs(self) -> None:
        executions, events = self.rows["Execution"], self.rows["Event"]
        outputs: dict[int, list[int]] = {}
        put = np.flatnonzero(np.isin(events["type"], vocabulary.OUTPUT_EVENTS))
        for row, execution in zip(put.tolist(), events["execution"][put].tolist()):
            outputs.setdefault(execution, []).append(row)
        copied: list[int] = []
        hits: list[int] = []
        for execution in executions["id"][executions["state"] == ExecutionState.CACHED].tolist():
            if execution in self.tasks:
                found = outputs.get(self._source(execution, outputs), [])
                copied += found
                hits += [execution] * len(found)
        more = take(events, np.array(copied, np.int64))
        self.rows.append("Event", {**more, "execution": np.array(hits, np.int64)})

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
        executions, artifacts = self.rows["Execution"], self.rows["Artifact"]
        events, kinds = self.rows["Event"], artifacts["type"]
        own_types = {name for name in kinds.values if name.startswith(pending.ARTIFACT_PREFIX)}
        own = np.isin(events["artifact"], artifacts["id"][kinds.among(own_types)])
        own &= np.isin(events["type"], vocabulary.OUTPUT_EVENTS)
        own_tasks = set(events["execution"][own].tolist())
        types, class_of = [], functools.lru_cache(maxsize=None)(class_of_task)
        for execution, kind in zip(executions["id"].tolist(), executions["type"].rows()):
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

    def _add_parameters(self) -> None:
        table, build = self.rows["ExecutionProperty"], RowBuilder()
        known = set(zip(table["owner"].tolist(), table["name"].rows()))
        is_inputs = table["name"].among({PropertyName.INPUTS})
        is_inputs &= (table["kind"] == PropertyKind.STRUCT) & np.isin(table["owner"], self.task_ids)
        inputs = take(table, is_inputs)
        for owner, text in zip(inputs["owner"].tolist(), inputs["string_value"].rows()):
            parsed = parsed_json(text or "")
            for parameter, content in parsed.items() if isinstance(parsed, dict) else ():
                if content is not None and (owner, parameter) not in known:
                    known.add((owner, parameter))
                    kind, value = property_value(content)
                    build.add_property("Execution", owner, parameter, True, kind, value)
        self.rows.append("ExecutionProperty", build.rows()["ExecutionProperty"])

    def _add_nodes(self) -> None:
        contexts, members = self.rows["Context"], self.rows["Association"]
        found = zip(contexts["id"].tolist(), contexts["type"].rows(), contexts["name"])
        pipeline = {
            number: name for number, kind, name in found if kind == ContextType.SYSTEM_PIPELINE
        }
        created = dict(zip(contexts["id"].tolist(), contexts["create_ms"].tolist()))
        nodes: dict[int, tuple[str, int]] = {}
        known: dict[tuple[int, str], int] = {}
        build = RowBuilder()
        for context, execution in zip(members["context"].tolist(), members["execution"].tolist()):
            name = self.task_name(execution)
            if context not in pipeline or execution not in self.tasks or not name:
                continue
            node = known.get((context, name))
            if node is None:
                digest = hashlib.sha256(f"{context}\0{name}".encode()).digest()
                node = _FIRST_NODE_ID | int.from_bytes(digest[:8], "big") >> 2
                known[context, name] = node
                nodes[node] = (f"{pipeline[context]}.{name}", created[context])
            build.add("Association", context=node, execution=execution)
        for node in sorted(nodes.keys() - created.keys()):
            name, when = nodes[node]
            build.add("Context", id=node, type=ContextType.NODE, name=name, create_ms=when)
        more = build.rows()
        for table in ("Context", "Association"):
            self.rows.append(table, more[table])


def _name_plainly(table: Table) -> None:
    """Gives custom properties their plain names; what an artifact had by these is declared."""
    name, owner = table["name"], table["owner"]
    prefixed = np.flatnonzero(name.among(_PLAIN_NAME))
    plain = [_PLAIN_NAME.get(value, value) for value in name.values]
    taken = {(int(owner[row]), plain[name.code[row]]) for row in prefixed}
    is_custom = table["is_custom"].copy()
    for row in np.flatnonzero(name.among({*_PLAIN_NAME.values()})).tolist():
        is_custom[row] &= (int(owner[row]), plain[name.code[row]]) not in taken
    table["is_custom"], table["name"] = is_custom, Coded(name.code, plain)
