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

from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.properties import property_value
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import Trace
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
    _rows: RowBuilder = dataclasses.field(default_factory=RowBuilder)
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
        new_id = len(self._rows["Artifact"]["id"]) + 1 if artifact_id is None else artifact_id
        when = self.clock_ms if create_ms is None else create_ms
        self._rows.extend("Artifact", [(new_id, type_name, 2, when, when, uri)])
        self._add_properties("Artifact", new_id, properties)
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
        new_id = len(self._rows["Execution"]["id"]) + 1 if execution_id is None else execution_id
        when = self.clock_ms if create_ms is None else create_ms
        self._rows.extend("Execution", [(new_id, type_name, int(state), when, when + duration_ms)])
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
        self._add_properties("Execution", new_id, properties)
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
        self._rows.extend("Event", [(execution, artifact, int(event_type), key, time_ms)])

    def associate(self, execution: int, context_type: str, context_name: str) -> None:
        """Puts an execution into a context, which is made if it is new."""
        key = (context_type, context_name)
        if key not in self._contexts:
            self._contexts[key] = len(self._contexts) + 1
            row = (self._contexts[key], context_type, context_name, self.clock_ms)
            self._rows.extend("Context", [row])
        self._rows.extend("Association", [(self._contexts[key], execution)])

    def raw(self) -> RowBuilder:
        """The rows so far, to which more can be added."""
        return self._rows

    def trace(self) -> Trace:
        """The Trace of the rows so far."""
        return assemble(self._rows.rows())

    def _add_properties(self, table: str, owner: int, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            self._rows.add_property(table, owner, name, True, *property_value(value))
