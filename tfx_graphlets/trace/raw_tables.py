"""RawTables: the rows of a store as a reader hands them on, in any order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import (
    BoolArray,
    FloatArray,
    IntArray,
    Properties,
    PropertyKind,
    SmallArray,
    Trace,
)

Integers = NDArray[Any]
IntColumn = Union[Sequence[int], Integers]


@dataclasses.dataclass
class RawProperties:
    """Property rows in any order, one list per column, equally long.

    For a builder, and for readers that come by the rows one by one.

    Attributes:
      owner: id of the execution or artifact.
      name: property name.
      is_custom: 1 for a custom property, else 0.
      kind: a PropertyKind.
      value: int for INT and BOOL, float for DOUBLE, str for STRING; for
        STRUCT the JSON text (see ``properties.struct_to_json``).
    """

    owner: list[int] = dataclasses.field(default_factory=list)
    name: list[str] = dataclasses.field(default_factory=list)
    is_custom: list[int] = dataclasses.field(default_factory=list)
    kind: list[int] = dataclasses.field(default_factory=list)
    value: list[int | float | str] = dataclasses.field(default_factory=list)

    def add(self, owner: int, name: str, is_custom: bool, kind: int, value: float | str) -> None:
        """Appends one row."""
        self.owner.append(owner)
        self.name.append(name)
        self.is_custom.append(int(is_custom))
        self.kind.append(kind)
        self.value.append(value)

    def columns(self) -> PropertyColumns:
        """The same rows as columns."""
        kind = np.asarray(self.kind, np.int8).reshape(-1)
        ints, doubles, texts = [], [], []
        for one, value in zip(self.kind, self.value):
            ints.append(int(value) if one in (PropertyKind.INT, PropertyKind.BOOL) else 0)
            doubles.append(float(value) if one == PropertyKind.DOUBLE else 0.0)
            is_text = one in (PropertyKind.STRING, PropertyKind.STRUCT)
            texts.append(str(value) if is_text else None)
        return PropertyColumns(
            owner=_integers(self.owner),
            name=Coded.of(self.name),
            is_custom=np.asarray(self.is_custom, bool).reshape(-1),
            kind=kind,
            int_value=np.asarray(ints, np.int64),
            double_value=np.asarray(doubles, np.float64),
            text=Coded.of(texts),
        )


@dataclasses.dataclass
class PropertyColumns:
    """Property rows in any order, as columns, equally long.

    Attributes:
      owner: integers [n], id of the execution or artifact.
      name: property names.
      is_custom: bool [n].
      kind: int8 [n], a PropertyKind.
      int_value: int64 [n], 0 where the kind is neither INT nor BOOL.
      double_value: float64 [n], 0.0 where the kind is not DOUBLE.
      text: string, or the JSON text of a STRUCT; none for other kinds.
    """

    owner: Integers
    name: Coded
    is_custom: BoolArray
    kind: SmallArray
    int_value: IntArray
    double_value: FloatArray
    text: Coded

    def __len__(self) -> int:
        return len(self.owner)

    def take(self, rows: IntArray | BoolArray) -> PropertyColumns:
        """The rows of these numbers, or those that are true."""
        return PropertyColumns(
            self.owner[rows],
            self.name.take(rows),
            self.is_custom[rows],
            self.kind[rows],
            self.int_value[rows],
            self.double_value[rows],
            self.text.take(rows),
        )

    def rows(self) -> RawProperties:
        """The same rows one by one."""
        value: list[Any] = [
            {
                PropertyKind.INT: integer,
                PropertyKind.BOOL: integer,
                PropertyKind.DOUBLE: double,
            }.get(kind, text)
            for kind, integer, double, text in zip(
                self.kind.tolist(),
                self.int_value.tolist(),
                self.double_value.tolist(),
                self.text.rows(),
            )
        ]
        return RawProperties(
            self.owner.tolist(),
            [str(name) for name in self.name.rows()],
            self.is_custom.astype(int).tolist(),
            self.kind.tolist(),
            value,
        )


@dataclasses.dataclass
class RawTables:
    """Rows of a store, by id, in any order, one by one.

    Attributes:
      execution_*: one entry per execution; ``execution_type`` the type's full
        name; ``execution_state`` 0 where the column holds none (then the
        property ``state`` counts).
      artifact_*: one entry per artifact.
      event_*: one entry per event; ``event_key`` the first key step of its
        path, None where there is none; ids that do not exist are allowed.
      context_*: one entry per context.
      association: pairs (context id, execution id).
      attribution: pairs (context id, artifact id).
      execution_properties, artifact_properties: see RawProperties.
    """

    execution_id: IntColumn = ()
    execution_type: Sequence[str] = ()
    execution_state: IntColumn = ()
    execution_create_ms: IntColumn = ()
    execution_update_ms: IntColumn = ()
    artifact_id: IntColumn = ()
    artifact_type: Sequence[str] = ()
    artifact_state: IntColumn = ()
    artifact_create_ms: IntColumn = ()
    artifact_update_ms: IntColumn = ()
    artifact_uri: Sequence[str] = ()
    event_execution: IntColumn = ()
    event_artifact: IntColumn = ()
    event_type: IntColumn = ()
    event_key: Sequence[str | None] = ()
    event_ms: IntColumn = ()
    context_id: IntColumn = ()
    context_type: Sequence[str] = ()
    context_name: Sequence[str] = ()
    context_create_ms: IntColumn = ()
    association: Sequence[tuple[int, int]] | IntArray = ()
    attribution: Sequence[tuple[int, int]] | IntArray = ()
    execution_properties: RawProperties | PropertyColumns = dataclasses.field(
        default_factory=RawProperties
    )
    artifact_properties: RawProperties | PropertyColumns = dataclasses.field(
        default_factory=RawProperties
    )

    def columns(self) -> RawColumns:
        """The same rows as columns."""
        association, attribution = _pairs(self.association), _pairs(self.attribution)
        return RawColumns(
            execution_id=_integers(self.execution_id),
            execution_type=Coded.of(self.execution_type),
            execution_state=_integers(self.execution_state),
            execution_create_ms=_integers(self.execution_create_ms),
            execution_update_ms=_integers(self.execution_update_ms),
            artifact_id=_integers(self.artifact_id),
            artifact_type=Coded.of(self.artifact_type),
            artifact_state=_integers(self.artifact_state),
            artifact_create_ms=_integers(self.artifact_create_ms),
            artifact_update_ms=_integers(self.artifact_update_ms),
            artifact_uri=self.artifact_uri,
            event_execution=_integers(self.event_execution),
            event_artifact=_integers(self.event_artifact),
            event_type=_integers(self.event_type),
            event_key=Coded.of(self.event_key),
            event_ms=_integers(self.event_ms),
            context_id=_integers(self.context_id),
            context_type=Coded.of(self.context_type),
            context_name=self.context_name,
            context_create_ms=_integers(self.context_create_ms),
            association_context=association[:, 0],
            association_execution=association[:, 1],
            attribution_context=attribution[:, 0],
            attribution_artifact=attribution[:, 1],
            execution_properties=_in_columns(self.execution_properties),
            artifact_properties=_in_columns(self.artifact_properties),
        )


@dataclasses.dataclass
class RawColumns:
    """The same as RawTables in arrays, for many rows.

    Attributes:
      as in RawTables: integers of any width, [n] each; texts coded.
      event_key: no code where an event has no key.
    """

    execution_id: Integers
    execution_type: Coded
    execution_state: Integers
    execution_create_ms: Integers
    execution_update_ms: Integers
    artifact_id: Integers
    artifact_type: Coded
    artifact_state: Integers
    artifact_create_ms: Integers
    artifact_update_ms: Integers
    artifact_uri: Sequence[str]
    event_execution: Integers
    event_artifact: Integers
    event_type: Integers
    event_key: Coded
    event_ms: Integers
    context_id: Integers
    context_type: Coded
    context_name: Sequence[str]
    context_create_ms: Integers
    association_context: Integers
    association_execution: Integers
    attribution_context: Integers
    attribution_artifact: Integers
    execution_properties: PropertyColumns
    artifact_properties: PropertyColumns

    @classmethod
    def of(cls, trace: Trace) -> RawColumns:
        """The rows that ``assemble`` makes a trace of; events that were dropped are gone."""
        executions, artifacts = trace.executions, trace.artifacts
        events, contexts = trace.events, trace.contexts
        return cls(
            execution_id=executions.id,
            execution_type=Coded(executions.type, executions.type_names),
            execution_state=executions.state,
            execution_create_ms=executions.create_ms,
            execution_update_ms=executions.update_ms,
            artifact_id=artifacts.id,
            artifact_type=Coded(artifacts.type, artifacts.type_names),
            artifact_state=artifacts.state,
            artifact_create_ms=artifacts.create_ms,
            artifact_update_ms=artifacts.update_ms,
            artifact_uri=artifacts.uri,
            event_execution=executions.id[events.execution],
            event_artifact=artifacts.id[events.artifact],
            event_type=events.type,
            event_key=Coded(events.key, events.keys),
            event_ms=events.time_ms,
            context_id=contexts.id,
            context_type=Coded(contexts.type, contexts.type_names),
            context_name=contexts.name,
            context_create_ms=contexts.create_ms,
            association_context=contexts.id[contexts.association_context],
            association_execution=executions.id[contexts.association_execution],
            attribution_context=contexts.id[contexts.attribution_context],
            attribution_artifact=artifacts.id[contexts.attribution_artifact],
            execution_properties=_properties_of(executions.properties, executions.id),
            artifact_properties=_properties_of(artifacts.properties, artifacts.id),
        )

    def rows(self) -> RawTables:
        """The same rows one by one."""
        columns: dict[str, Any] = {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.name in RawTables.__dataclass_fields__
        }
        return RawTables(
            **columns,
            association=list(
                zip(self.association_context.tolist(), self.association_execution.tolist())
            ),
            attribution=list(
                zip(self.attribution_context.tolist(), self.attribution_artifact.tolist())
            ),
        )

    def take(self, table: str, chosen: BoolArray | IntArray) -> dict[str, Any]:
        """The rows of one table that are chosen, by the names of its columns.

        Args:
          table: ``execution``, ``artifact``, ``event``, ``context``,
            ``association`` or ``attribution``.
          chosen: bool [n], or row numbers.
        """
        rows: IntArray = np.flatnonzero(chosen) if chosen.dtype == bool else np.asarray(chosen)
        return {
            field.name: _chosen(getattr(self, field.name), rows)
            for field in dataclasses.fields(self)
            if field.name.startswith(f"{table}_") and not field.name.endswith("_properties")
        }


def _properties_of(table: Properties, ids: IntArray) -> PropertyColumns:
    return PropertyColumns(
        owner=ids[table.owner],
        name=Coded(table.name, table.names),
        is_custom=table.is_custom,
        kind=table.kind,
        int_value=table.int_value,
        double_value=table.double_value,
        text=Coded(table.string_code, table.strings),
    )


def _in_columns(properties: RawProperties | PropertyColumns) -> PropertyColumns:
    return properties.columns() if isinstance(properties, RawProperties) else properties


def _plain(column: Any) -> Any:
    if isinstance(column, (Coded, PropertyColumns)):
        return column.rows()
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def _chosen(column: Any, rows: IntArray) -> Any:
    if isinstance(column, (Coded, Texts)):
        return column.take(rows)
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows]


def _integers(values: IntColumn) -> Integers:
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return values.reshape(-1)
    return np.asarray(values, np.int64).reshape(-1)


def _pairs(values: Sequence[tuple[int, int]] | IntArray) -> IntArray:
    return np.asarray(values, np.int64).reshape(-1, 2)
