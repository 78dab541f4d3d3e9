"""Look-ups by SQL in an MLMD SQLite file; every query goes by an index."""

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
from tfx_graphlets.stores.sql.queries import SQLITE, Queries
from tfx_graphlets.stores.sql.rows import QueryColumns, property_rows
from tfx_graphlets.trace.assembly import states_in
from tfx_graphlets.trace.odd_rows import ODD, OddRows
from tfx_graphlets.trace.rows import TABLES, Table, take
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
WHERE a.id IN ({{ids}}) AND typeof(e.execution_id) = 'integer'
  AND e.type IN ({events}) AND x.type_id IN ({types}) {state}
"""


class SqliteLookups:
    """Look-ups through one connection; see ``Lookups``."""

    def __init__(self, connection: sqlite3.Connection, store: str = "the store") -> None:
        """Takes an open connection; ``store`` is its name, for messages."""
        self._connection = connection
        self.odd = OddRows(store)
        known = {table: sqlite_file.columns(connection, table) for table in sqlite_file.TABLES}
        self._queries = Queries(SQLITE, known=known)
        queries, by_id = self._queries, "id IN ({ids})"
        # Made once: a look-up takes less time than the text of its query.
        self._by_ids = {
            "Execution": queries.nodes("Execution", by_id),
            "Artifact": queries.nodes("Artifact", by_id),
            "Event": queries.events("execution_id IN ({ids})"),
            "EventPath": queries.keys("event_id IN ({ids})"),
            "Association": queries.members("Association", "execution", "context_id IN ({ids})"),
            "ExecutionProperty": queries.properties("Execution", f"execution_{by_id}"),
            "ArtifactProperty": queries.properties("Artifact", f"artifact_{by_id}"),
        }
        self._has_parents = bool(sqlite_file.columns(connection, "ParentContext"))
        self._has_states = "last_known_state" in known["Execution"]
        self._type_name: dict[int, str] = dict(self._rows("Type", self._queries.types().text))

    @property
    def execution_types(self) -> Collection[str]:
        """Names of all types; there are few, and only executions' are asked for."""
        return frozenset(self._type_name.values())

    # -- contexts ------------------------------------------------------------------

    def contexts_named(self, type_names: Sequence[str], name: str) -> list[ContextRow]:
        """By the unique index of (type, name)."""
        wanted = self._type_ids(type_names)
        return [
            row for kind in wanted for row in self._contexts("type_id = ? AND name = ?", kind, name)
        ]

    def parents(self, contexts: Sequence[int]) -> list[ContextRow]:
        """By the primary key of ParentContext."""
        if not self._has_parents:
            return []
        found = [
            row
            for context in contexts
            for row in self._contexts(
                "id IN (SELECT parent_context_id FROM ParentContext WHERE context_id = ?)",
                context,
            )
        ]
        return list(dict.fromkeys(found))

    def newest_children(self, contexts: Sequence[int], count: int) -> list[ContextRow]:
        """By the index of ParentContext on the parent."""
        if not self._has_parents:
            return []
        found = [
            row
            for context in contexts
            for row in self._contexts(
                "id IN (SELECT context_id FROM ParentContext WHERE parent_context_id = ? "
                "ORDER BY context_id DESC LIMIT ?)",
                context,
                count,
            )
        ]
        return sorted(found, key=lambda row: -row.id)[:count]

    def members(self, contexts: Sequence[int]) -> list[tuple[int, int]]:
        """By the unique index of Association."""
        return self._in_chunks("Association", contexts)

    def members_of_pipeline(
        self, pipelines: Sequence[int], executions: Sequence[int]
    ) -> list[tuple[int, int]]:
        """By the unique index of Association, both columns."""
        where = f"context_id IN ({_numbers(pipelines)}) AND execution_id IN ({{ids}})"
        query = self._queries.members("Association", "execution", where)
        return self._in_chunks("Association", executions, query.text)

    def nodes_of(
        self, pipeline: str, executions: Sequence[ExecutionRow]
    ) -> tuple[list[ContextRow], list[tuple[int, int]]]:
        """By a range of the index of (type, name): names that begin with the pipeline's."""
        contexts = [
            row
            for kind in self._type_ids(vocabulary.NODE_CONTEXTS)
            for row in self._contexts(
                "type_id = ? AND name >= ? AND name < ?", kind, f"{pipeline}.", f"{pipeline}/"
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
                "type_id = ? AND (name = ? OR substr(name, ?) = ?)",
                kind,
                name,
                -len(name) - 1,
                f".{name}",
            )
        ]
        pairs = self.members_of_pipeline([context.id for context in contexts], executions)
        return contexts, pairs

    def _contexts(self, condition: str, *arguments: object) -> list[ContextRow]:
        rows = self._rows("Context", self._queries.contexts(condition).text, arguments)
        return [ContextRow(row[0], self._name(row[1]), row[2], row[3]) for row in rows]

    # -- executions, artifacts, events -----------------------------------------------

    def executions(self, ids: Sequence[int]) -> list[ExecutionRow]:
        """By id."""
        rows = self._in_chunks("Execution", ids)
        states = self._states_in_properties([row[0] for row in rows if not row[2]])
        return [
            ExecutionRow(row[0], self._name(row[1]), row[2] or states.get(row[0], 0), *row[3:])
            for row in rows
        ]

    def _states_in_properties(self, ids: Sequence[int]) -> dict[int, int]:
        """States that executions hold in the property ``state``; a custom one counts first."""
        found = self._properties("Execution", ids, (vocabulary.PropertyName.STATE,))
        return dict(zip(*(column.tolist() for column in states_in(found)))) if found else {}

    def artifacts(self, ids: Sequence[int]) -> list[ArtifactRow]:
        """By id."""
        rows = self._in_chunks("Artifact", ids)
        return [ArtifactRow(row[0], self._name(row[1]), *row[2:]) for row in rows]

    def artifacts_at(self, uris: Sequence[str]) -> list[ArtifactRow]:
        """By the index on the URI."""
        ids = [
            number
            for uri in uris
            for (number,) in self._connection.execute(
                "SELECT id FROM Artifact WHERE uri = ? ORDER BY id DESC LIMIT ?",
                (uri, IDS_PER_QUERY),
            )
            if isinstance(number, int)
        ]
        return self.artifacts(ids)

    def events(self, executions: Sequence[int]) -> list[EventRow]:
        """By the index of Event on the execution, and that of EventPath on the event."""
        rows = self._in_chunks("Event", executions)
        key_of: dict[int, str] = {}
        for event, key in self._in_chunks("EventPath", [row[0] for row in rows]):
            key_of.setdefault(event, key)
        return [
            EventRow(execution, artifact, kind, key_of.get(event), time_ms)
            for event, execution, artifact, kind, time_ms in rows
        ]

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
                text = _TOUCHING.format(
                    order=order,
                    events=events,
                    types=_numbers(types),
                    state=state,
                    looked_at=EVENTS_LOOKED_AT,
                )
                found = self._in_chunks("Association", artifacts, text)
                result += _at_most(most, found, sign)
        return result

    def _not_cached(self) -> str:
        if not self._has_states:
            return f"AND coalesce({_STATE_TEXT}, '') <> 'cached'"
        return f"AND coalesce(x.last_known_state, 0) <> {int(ExecutionState.CACHED)}"

    # -- properties --------------------------------------------------------------------

    def execution_properties(self, ids: Sequence[int], names: Collection[str] | None) -> Table:
        """By the primary key of ExecutionProperty."""
        return self._properties("Execution", ids, names)

    def artifact_properties(self, ids: Sequence[int], names: Collection[str] | None) -> Table:
        """By the primary key of ArtifactProperty."""
        return self._properties("Artifact", ids, names)

    def _properties(self, table: str, ids: Sequence[int], names: Collection[str] | None) -> Table:
        if not ids or (names is not None and not names):
            return {}
        table += "Property"
        columns = QueryColumns(self._by_ids[table])
        columns.add_rows(self._in_chunks(table, ids))
        found = property_rows(dict(zip(TABLES[table], columns.done())))
        return found if names is None else take(found, found["name"].among(names))

    # -- how -----------------------------------------------------------------------------

    def _in_chunks(self, table: str, ids: Sequence[int], text: str = "") -> list[Any]:
        text = text or self._by_ids[table].text
        return [
            row
            for chunk in _chunks(ids)
            for row in self._rows(table, text.replace("{ids}", _numbers(chunk)))
        ]

    def _rows(self, table: str, text: str, arguments: Sequence[object] = ()) -> list[Any]:
        """The rows, but those whose keys are no ids (see ``trace.odd_rows``)."""
        rows = self._connection.execute(text, arguments).fetchall()
        if table == "Event":
            sound = [row for row in rows if row[1] != ODD and row[2] != ODD]
        elif table == "Association":
            sound = [row for row in rows if row[0] != ODD and row[1] != ODD]
        else:
            sound = [row for row in rows if row[0] != ODD]
        if len(sound) < len(rows):
            self.odd.add(table, ["id unknown"], len(rows) - len(sound))
        return sound

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


def _numbers(ids: Collection[int]) -> str:
    return ", ".join(str(int(number)) for number in ids)


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + IDS_PER_QUERY] for start in range(0, len(ids), IDS_PER_QUERY))
