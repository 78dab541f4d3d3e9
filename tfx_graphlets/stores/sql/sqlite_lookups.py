"""Look-ups by SQL in an MLMD SQLite file; every query goes by an index."""

# ruff: noqa: S608 - only numbers and names of columns are put into the texts
from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.lookups import (
    EVENTS_LOOKED_AT,
    IDS_PER_QUERY,
    ArtifactRow,
    ContextRow,
    EventRow,
    ExecutionRow,
)
from tfx_graphlets.stores.sql import sqlite_file
from tfx_graphlets.trace.raw_tables import RawProperties
from tfx_graphlets.trace.struct_text import struct_to_json
from tfx_graphlets.trace.trace import PropertyKind
from tfx_graphlets.vocabulary import ExecutionState

_INPUTS: Final = ", ".join(str(int(kind)) for kind in vocabulary.INPUT_EVENTS)
_OUTPUTS: Final = ", ".join(str(int(kind)) for kind in vocabulary.OUTPUT_EVENTS)
# The execution property that holds the state where the column has none (schema 4).
_STATE_TEXT: Final = (
    "(SELECT string_value FROM ExecutionProperty WHERE execution_id = x.id "
    "AND name = 'state' ORDER BY is_custom_property DESC LIMIT 1)"
)
# For each artifact no more than so many entries of the index are looked at.
_TOUCHING: Final = """
SELECT a.id, e.execution_id, e.type
FROM Artifact AS a
CROSS JOIN Event AS e ON e.id IN (
  SELECT id FROM Event WHERE artifact_id = a.id
  ORDER BY execution_id {order}, type {order} LIMIT {looked_at})
CROSS JOIN Execution AS x ON x.id = e.execution_id
WHERE a.id IN ({{ids}}) AND e.type IN ({events}) AND x.type_id IN ({types}) {state}
"""


class SqliteLookups:
    """Look-ups through one connection; see ``Lookups``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._columns = {
            table: sqlite_file.columns(connection, table)
            for table in ("Context", "Execution", "Artifact", "ExecutionProperty", "ParentContext")
        }
        self._type_name: dict[int, str] = dict(connection.execute("SELECT id, name FROM Type"))
        self._state = (
            f"coalesce(nullif(x.last_known_state, 0), {_STATE_TEXT})"
            if "last_known_state" in self._columns["Execution"]
            else _STATE_TEXT
        )

    @property
    def execution_types(self) -> Collection[str]:
        """Names of all types; there are few, and only executions' are asked for."""
        return frozenset(self._type_name.values())

    # -- contexts ------------------------------------------------------------------

    def contexts_named(self, type_names: Sequence[str], name: str) -> list[ContextRow]:
        """By the unique index of (type, name)."""
        wanted = self._type_ids(type_names)
        return [
            row
            for kind in wanted
            for row in self._contexts("type_id = ? AND c.name = ?", kind, name)
        ]

    def parents(self, contexts: Sequence[int]) -> list[ContextRow]:
        """By the primary key of ParentContext."""
        if not self._columns["ParentContext"]:
            return []
        found = [
            row
            for context in contexts
            for row in self._contexts(
                "c.id IN (SELECT parent_context_id FROM ParentContext WHERE context_id = ?)",
                context,
            )
        ]
        return list(dict.fromkeys(found))

    def newest_children(self, contexts: Sequence[int], count: int) -> list[ContextRow]:
        """By the index of ParentContext on the parent."""
        if not self._columns["ParentContext"]:
            return []
        found = [
            row
            for context in contexts
            for row in self._contexts(
                "c.id IN (SELECT context_id FROM ParentContext WHERE parent_context_id = ? "
                "ORDER BY context_id DESC LIMIT ?)",
                context,
                count,
            )
        ]
        return sorted(found, key=lambda row: -row.id)[:count]

    def members(self, contexts: Sequence[int]) -> list[tuple[int, int]]:
        """By the unique index of Association."""
        return self._in_chunks(
            "SELECT context_id, execution_id FROM Association WHERE context_id IN ({ids})", contexts
        )

    def members_of_pipeline(
        self, pipelines: Sequence[int], executions: Sequence[int]
    ) -> list[tuple[int, int]]:
        """By the unique index of Association, both columns."""
        return self._in_chunks(
            "SELECT context_id, execution_id FROM Association "
            f"WHERE context_id IN ({_numbers(pipelines)}) AND execution_id IN ({{ids}})",
            executions,
        )

    def nodes_of(
        self, pipeline: str, executions: Sequence[ExecutionRow]
    ) -> tuple[list[ContextRow], list[tuple[int, int]]]:
        """By a range of the index of (type, name): names that begin with the pipeline's."""
        contexts = [
            row
            for kind in self._type_ids(vocabulary.NODE_CONTEXTS)
            for row in self._contexts(
                "type_id = ? AND c.name >= ? AND c.name < ?", kind, f"{pipeline}.", f"{pipeline}/"
            )
        ]
        ids = [row.id for row in executions]
        pairs = self.members_of_pipeline([context.id for context in contexts], ids)
        return contexts, pairs

    def nodes_named(
        self, names: Collection[str], executions: Sequence[int]
    ) -> tuple[list[ContextRow], list[tuple[int, int]]]:
        """By the index of (type, name), over all nodes' names."""
        contexts = [
            row
            for kind in self._type_ids(vocabulary.NODE_CONTEXTS)
            for name in names
            for row in self._contexts(
                "type_id = ? AND (c.name = ? OR substr(c.name, ?) = ?)",
                kind,
                name,
                -len(name) - 1,
                f".{name}",
            )
        ]
        pairs = self.members_of_pipeline([context.id for context in contexts], executions)
        return contexts, pairs

    def _contexts(self, condition: str, *arguments: object) -> list[ContextRow]:
        create = _or_zero("create_time_since_epoch", self._columns["Context"], "c.")
        rows = self._connection.execute(
            f"SELECT c.id, c.type_id, coalesce(c.name, ''), {create} FROM Context AS c "
            f"WHERE {condition}",
            arguments,
        )
        return [ContextRow(row[0], self._name(row[1]), row[2], row[3]) for row in rows]

    # -- executions, artifacts, events -----------------------------------------------

    def executions(self, ids: Sequence[int]) -> list[ExecutionRow]:
        """By id."""
        known = self._columns["Execution"]
        create = _or_zero("create_time_since_epoch", known, "x.")
        update = _or_zero("last_update_time_since_epoch", known, "x.")
        rows = self._in_chunks(
            f"SELECT x.id, x.type_id, {self._state}, {create}, {update} FROM Execution AS x "
            "WHERE x.id IN ({ids})",
            ids,
        )
        return [
            ExecutionRow(row[0], self._name(row[1]), _state(row[2]), row[3], row[4]) for row in rows
        ]

    def artifacts(self, ids: Sequence[int]) -> list[ArtifactRow]:
        """By id."""
        return self._artifacts("id IN ({ids})", ids)

    def artifacts_at(self, uris: Sequence[str]) -> list[ArtifactRow]:
        """By the index on the URI."""
        ids = [
            number
            for uri in uris
            for (number,) in self._connection.execute(
                "SELECT id FROM Artifact WHERE uri = ? ORDER BY id DESC LIMIT ?",
                (uri, IDS_PER_QUERY),
            )
        ]
        return self.artifacts(ids)

    def events(self, executions: Sequence[int]) -> list[EventRow]:
        """By the index of Event on the execution, and that of EventPath on the event."""
        rows = self._in_chunks(
            "SELECT execution_id, artifact_id, coalesce(type, 0), "
            "(SELECT step_key FROM EventPath WHERE event_id = Event.id AND step_key IS NOT NULL "
            "ORDER BY rowid LIMIT 1), coalesce(milliseconds_since_epoch, 0) "
            "FROM Event WHERE execution_id IN ({ids})",
            executions,
        )
        return [EventRow(*row) for row in rows]

    def touching(
        self,
        artifacts: Sequence[int],
        *,
        producing: Collection[str],
        consuming: Collection[str],
        cached: bool,
        most: int,
    ) -> list[tuple[int, int, int]]:
        """By the unique index of Event, artifact by artifact, so that each can have its bound."""
        state = "" if cached else self._not_cached()
        result: list[tuple[int, int, int]] = []
        for sign, order, events, names in (
            (1, "ASC", _OUTPUTS, producing),
            (-1, "DESC", _INPUTS, consuming),
        ):
            types = self._type_ids(names)
            if types and artifacts:
                found = self._in_chunks(
                    _TOUCHING.format(
                        order=order,
                        events=events,
                        types=_numbers(types),
                        state=state,
                        looked_at=EVENTS_LOOKED_AT,
                    ),
                    artifacts,
                )
                result += _at_most(most, found, sign)
        return result

    def _not_cached(self) -> str:
        if "last_known_state" not in self._columns["Execution"]:
            return f"AND coalesce({_STATE_TEXT}, '') <> 'cached'"
        return f"AND coalesce(x.last_known_state, 0) <> {int(ExecutionState.CACHED)}"

    def _artifacts(self, condition: str, ids: Sequence[int]) -> list[ArtifactRow]:
        known = self._columns["Artifact"]
        columns = ", ".join(
            (
                "id",
                "type_id",
                _or_zero("state", known),
                _or_zero("create_time_since_epoch", known),
                _or_zero("last_update_time_since_epoch", known),
                "coalesce(uri, '')",
            )
        )
        rows = self._in_chunks(f"SELECT {columns} FROM Artifact WHERE {condition}", ids)
        return [ArtifactRow(row[0], self._name(row[1]), *row[2:]) for row in rows]

    # -- properties --------------------------------------------------------------------

    def execution_properties(
        self, ids: Sequence[int], names: Collection[str] | None
    ) -> RawProperties:
        """By the primary key of ExecutionProperty."""
        return self._properties("Execution", ids, names)

    def artifact_properties(
        self, ids: Sequence[int], names: Collection[str] | None
    ) -> RawProperties:
        """By the primary key of ArtifactProperty."""
        return self._properties("Artifact", ids, names)

    def _properties(
        self, table: str, ids: Sequence[int], names: Collection[str] | None
    ) -> RawProperties:
        raw = RawProperties()
        if names is not None and not names:
            return raw
        boolean = "bool_value" if "bool_value" in self._columns["ExecutionProperty"] else "NULL"
        owner = f"{table.lower()}_id"
        rows = self._in_chunks(
            f"SELECT {owner}, name, is_custom_property, int_value, double_value, string_value, "
            f"{boolean} FROM {table}Property WHERE {owner} IN ({{ids}})",
            ids,
        )
        for row in rows:
            if names is None or row[1] in names:
                _add_property(raw, row)
        return raw

    # -- how -----------------------------------------------------------------------------

    def _in_chunks(self, text: str, ids: Sequence[int]) -> list[Any]:
        execute = self._connection.execute
        return [row for chunk in _chunks(ids) for row in execute(text.format(ids=_numbers(chunk)))]

    def _type_ids(self, names: Collection[str]) -> list[int]:
        return [number for number, name in self._type_name.items() if name in names]

    def _name(self, type_id: int) -> str:
        return self._type_name.get(type_id, "")


def _at_most(
    most: int, found: Sequence[tuple[int, int, int]], sign: int
) -> list[tuple[int, int, int]]:
    """Of each artifact those with the lowest (sign 1) or highest (-1) execution ids."""
    if len(found) <= most:
        return list(found)
    count: dict[int, int] = {}
    result = []
    for row in sorted(found, key=lambda row: sign * row[1]):
        count[row[0]] = count.get(row[0], 0) + 1
        if count[row[0]] <= most:
            result.append(row)
    return result


def _add_property(raw: RawProperties, row: tuple[Any, ...]) -> None:
    owner, name, is_custom, integer, double, string, boolean = row
    if integer is not None:
        raw.add(owner, name, is_custom, PropertyKind.INT, integer)
    elif double is not None:
        # MLMD itself hands out 15 significant digits (SQLite's text form).
        raw.add(owner, name, is_custom, PropertyKind.DOUBLE, float(f"{double:.15g}"))
    elif string is not None:
        struct = struct_to_json(string)
        if struct is not None:
            raw.add(owner, name, is_custom, PropertyKind.STRUCT, struct)
        else:
            raw.add(owner, name, is_custom, PropertyKind.STRING, string)
    elif boolean is not None:
        raw.add(owner, name, is_custom, PropertyKind.BOOL, int(boolean))


def _state(value: int | str | None) -> int:
    if isinstance(value, str):
        return int(vocabulary.STATE_OF_PROPERTY.get(value.lower(), 0))
    return value or 0


def _or_zero(column: str, known: Collection[str], table: str = "") -> str:
    return f"coalesce({table}{column}, 0)" if column in known else "0"


def _numbers(ids: Collection[int]) -> str:
    return ", ".join(str(int(number)) for number in ids)


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + IDS_PER_QUERY] for start in range(0, len(ids), IDS_PER_QUERY))
