"""Builders for traces, for this project's tests and for those of its users.

>>> from tfx_graphlets.testing import TraceBuilder
>>> build = TraceBuilder()
>>> examples, model = build.artifact("Examples", span=1), build.artifact("Model")
>>> gen = build.execution("CsvExampleGen", outputs={"examples": [examples]}, run="r1")
>>> trainer = build.execution(
...     "Trainer", inputs={"examples": [examples]}, outputs={"model": [model]}, run="r1")
>>> str(build.trace())
'Trace of 2 executions, 2 artifacts, 3 events, 2 contexts'
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Union

from tfx_graphlets.trace.assembly import RawProperties, RawTables, assemble
from tfx_graphlets.trace.trace import PropertyKind, Trace
from tfx_graphlets.vocabulary import ContextType, EventType, ExecutionState

Value = Union[int, float, str, bool]


@dataclasses.dataclass
class TraceBuilder:
    """Builds a Trace a line at a time; ids are handed out from 1 upward.

    Attributes:
      clock_ms: create time of the next execution or artifact; every execution
        that is built moves it forward by its duration.
    """

    clock_ms: int = 1_000_000
    _rows: dict[str, list] = dataclasses.field(default_factory=dict)  # type: ignore[type-arg]
    _execution_properties: RawProperties = dataclasses.field(default_factory=RawProperties)
    _artifact_properties: RawProperties = dataclasses.field(default_factory=RawProperties)
    _contexts: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)

    def artifact(
        self,
        type_name: str = "Examples",
        *,
        artifact_id: int | None = None,
        uri: str = "",
        create_ms: int | None = None,
        **properties: Value,
    ) -> int:
        """Adds an artifact with custom properties; returns its id."""
        ids = self._column("artifact_id")
        new_id = len(ids) + 1 if artifact_id is None else artifact_id
        when = self.clock_ms if create_ms is None else create_ms
        ids.append(new_id)
        self._column("artifact_type").append(type_name)
        self._column("artifact_state").append(2)
        self._column("artifact_create_ms").append(when)
        self._column("artifact_update_ms").append(when)
        self._column("artifact_uri").append(uri)
        _add_properties(self._artifact_properties, new_id, properties)
        return new_id

    def execution(
        self,
        type_name: str,
        *,
        inputs: Mapping[str, Sequence[int]] | None = None,
        outputs: Mapping[str, Sequence[int]] | None = None,
        state: ExecutionState = ExecutionState.COMPLETE,
        run: str | None = None,
        pipeline: str | None = "pipeline",
        node: str | None = None,
        duration_ms: int = 1000,
        create_ms: int | None = None,
        execution_id: int | None = None,
        **properties: Value,
    ) -> int:
        """Adds an execution, its events and its contexts; returns its id.

        Args:
          type_name: full or last part of the execution type's name.
          inputs, outputs: artifact ids per key; events INPUT and OUTPUT.
          state: MLMD state.
          run: name of its ``pipeline_run`` context; None for none.
          pipeline: name of its ``pipeline`` context, if it has a run.
          node: name of its ``node`` context; None for none.
          duration_ms: last update minus create time.
          create_ms: create time; the builder's clock by default.
          execution_id: the id; the next free number by default.
          properties: custom properties.
        """
        ids = self._column("execution_id")
        new_id = len(ids) + 1 if execution_id is None else execution_id
        when = self.clock_ms if create_ms is None else create_ms
        ids.append(new_id)
        self._column("execution_type").append(type_name)
        self._column("execution_state").append(int(state))
        self._column("execution_create_ms").append(when)
        self._column("execution_update_ms").append(when + duration_ms)
        self.clock_ms = max(self.clock_ms, when + duration_ms)
        for key, artifacts in (inputs or {}).items():
            for artifact in artifacts:
                self.event(new_id, artifact, EventType.INPUT, key, when)
        for key, artifacts in (outputs or {}).items():
            for artifact in artifacts:
                self.event(new_id, artifact, EventType.OUTPUT, key, when + duration_ms)
        if run is not None:
            self.associate(new_id, ContextType.PIPELINE_RUN, run)
            if pipeline is not None:
                self.associate(new_id, ContextType.PIPELINE, pipeline)
        if node is not None:
            self.associate(new_id, ContextType.NODE, node)
        _add_properties(self._execution_properties, new_id, properties)
        return new_id

    def event(
        self,
        execution: int,
        artifact: int,
        event_type: EventType,
        key: str | None = None,
        time_ms: int = 0,
    ) -> None:
        """Adds an event; the ids need not exist."""
        self._column("event_execution").append(execution)
        self._column("event_artifact").append(artifact)
        self._column("event_type").append(int(event_type))
        self._column("event_key").append(key)
        self._column("event_ms").append(time_ms)

    def associate(self, execution: int, context_type: str, context_name: str) -> None:
        """Puts an execution into a context, which is made if it is new."""
        key = (context_type, context_name)
        if key not in self._contexts:
            self._contexts[key] = len(self._contexts) + 1
            self._column("context_id").append(self._contexts[key])
            self._column("context_type").append(context_type)
            self._column("context_name").append(context_name)
            self._column("context_create_ms").append(self.clock_ms)
        self._column("association").append((self._contexts[key], execution))

    def raw(self) -> RawTables:
        """The rows so far."""
        return RawTables(
            **self._rows,
            execution_properties=self._execution_properties,
            artifact_properties=self._artifact_properties,
        )

    def trace(self) -> Trace:
        """The Trace of the rows so far."""
        return assemble(self.raw())

    def _column(self, name: str) -> list:  # type: ignore[type-arg]
        return self._rows.setdefault(name, [])


def _add_properties(table: RawProperties, owner: int, values: Mapping[str, Value]) -> None:
    for name, value in values.items():
        if isinstance(value, bool):
            table.add(owner, name, True, PropertyKind.BOOL, int(value))
        elif isinstance(value, int):
            table.add(owner, name, True, PropertyKind.INT, value)
        elif isinstance(value, float):
            table.add(owner, name, True, PropertyKind.DOUBLE, value)
        else:
            table.add(owner, name, True, PropertyKind.STRING, value)
