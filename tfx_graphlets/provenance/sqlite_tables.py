"""The queries of SqliteStore: whole tables, or the rows of one pipeline."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, Final

from tfx_graphlets import vocabulary
from tfx_graphlets.provenance import sqlite_file, system_types

Rows = Sequence[tuple[Any, ...]]

# Indexed in every schema version: Association and Attribution by context, Event
# by execution and by artifact. Association by execution is not: see _choose.
_CHOSEN_EXECUTION: Final = "IN (SELECT id FROM temp.chosen_execution)"
_CHOSEN_ARTIFACT: Final = "IN (SELECT id FROM temp.chosen_artifact)"
_CHOSEN_CONTEXT: Final = "IN (SELECT id FROM temp.chosen_context)"
_CHOOSE: Final = """
INSERT INTO temp.chosen_execution SELECT DISTINCT execution_id FROM Association
  WHERE context_id IN (SELECT id FROM temp.chosen_pipeline);
INSERT INTO temp.chosen_artifact SELECT DISTINCT artifact_id FROM Event
  WHERE execution_id IN (SELECT id FROM temp.chosen_execution);
-- No index leads from an execution to its contexts: one pass over the index
-- that holds both columns is the cheapest there is.
INSERT INTO temp.chosen_context SELECT context_id FROM Association
  WHERE execution_id IN (SELECT id FROM temp.chosen_execution)
  UNION SELECT id FROM temp.chosen_pipeline;
"""


class Tables:
    """The tables of one file; ``choose`` restricts all queries after it.

    Columns that a schema version does not have, and NULL, read as 0 or ''.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.restricted = False

    def pipelines(self) -> Rows:
        """Rows (id, name) of the contexts that stand for pipelines."""
        return self.connection.execute(
            "SELECT Context.id, Context.name FROM Context JOIN Type ON Type.id = type_id "
            "WHERE Type.name IN (?, ?)", vocabulary.PIPELINE_CONTEXTS,
        ).fetchall()  # fmt: skip

    def pipeline_sizes(self) -> Rows:
        """Rows (name, number of executions) of the pipelines, by name."""
        return self.connection.execute(
            "SELECT Context.name, count(DISTINCT Execution.id) FROM Context "
            "JOIN Type ON Type.id = Context.type_id "
            "LEFT JOIN Association ON Association.context_id = Context.id "
            "LEFT JOIN Execution ON Execution.id = Association.execution_id "
            "WHERE Type.name IN (?, ?) GROUP BY Context.name ORDER BY Context.name",
            vocabulary.PIPELINE_CONTEXTS,
        ).fetchall()  # fmt: skip

    def choose(self, contexts: Sequence[int]) -> None:
        """Restricts the queries to what belongs to these pipeline contexts."""
        execute = self.connection.execute
        for table in ("execution", "artifact", "context", "pipeline"):
            execute(f"CREATE TEMP TABLE IF NOT EXISTS chosen_{table} (id INTEGER PRIMARY KEY)")
            execute(f"DELETE FROM temp.chosen_{table}")  # noqa: S608 - a name of four
        self.connection.executemany(
            "INSERT INTO temp.chosen_pipeline VALUES (?)", [(number,) for number in contexts]
        )
        for statement in _CHOOSE.split(";"):
            execute(statement)
        self.restricted = True

    def nodes(self, table: str) -> Rows:
        """Rows (id, type, state, create, update, uri) of Execution or Artifact."""
        known = sqlite_file.columns(self.connection, table)
        state = "last_known_state" if table == "Execution" else "state"
        chosen = _CHOSEN_EXECUTION if table == "Execution" else _CHOSEN_ARTIFACT
        return self._select(
            f"{table}.id", "coalesce(Type.name, '')", _or_zero(state, known),
            _or_zero("create_time_since_epoch", known),
            _or_zero("last_update_time_since_epoch", known),
            "coalesce(uri, '')" if "uri" in known else "''",
            source=f"{table} LEFT JOIN Type ON Type.id = type_id", where=f"{table}.id {chosen}",
        )  # fmt: skip

    def properties(self, table: str, names: Collection[str] | None) -> Rows:
        """Rows (owner, name, custom, int, double, string, bool) of a node table."""
        known = sqlite_file.columns(self.connection, f"{table}Property")
        owner = f"{table.lower()}_id"
        chosen = _CHOSEN_EXECUTION if table == "Execution" else _CHOSEN_ARTIFACT
        conditions = [f"{owner} {chosen}"] if self.restricted else []
        wanted = {*(names or ()), vocabulary.PropertyName.STATE, *system_types.PROPERTIES_READ}
        arguments = [] if names is None else sorted(wanted)
        if names is not None:
            conditions.append(f"name IN ({', '.join('?' * len(arguments))})")
        text = " ".join((
            "SELECT", owner, ", name, is_custom_property, int_value, double_value, string_value,",
            "bool_value" if "bool_value" in known else "NULL", f"FROM {table}Property",
            f"WHERE {' AND '.join(conditions)}" if conditions else "",
        ))  # fmt: skip
        return self.connection.execute(text, arguments).fetchall()

    def events(self) -> Rows:
        """Rows (id, execution, artifact, type, time) of Event."""
        return self._select(
            "id", "execution_id", "artifact_id", "coalesce(type, 0)",
            "coalesce(milliseconds_since_epoch, 0)", source="Event",
            where=f"execution_id {_CHOSEN_EXECUTION}",
        )  # fmt: skip

    def key_steps(self) -> Rows:
        """Rows (event id, key) of the key steps of event paths, in order."""
        found = self._select(
            "event_id", "step_key", "EventPath.rowid",
            source="EventPath" + (" JOIN Event ON Event.id = event_id" if self.restricted else ""),
            where=f"execution_id {_CHOSEN_EXECUTION}",
        )  # fmt: skip
        found = [row for row in found if row[1] is not None]
        return [(event, key) for event, key, _ in sorted(found, key=lambda row: int(row[2]))]

    def contexts(self) -> Rows:
        """Rows (id, type, name, create) of Context."""
        known = sqlite_file.columns(self.connection, "Context")
        return self._select(
            "Context.id", "coalesce(Type.name, '')", "coalesce(Context.name, '')",
            _or_zero("create_time_since_epoch", known),
            source="Context LEFT JOIN Type ON Type.id = type_id",
            where=f"Context.id {_CHOSEN_CONTEXT}",
        )  # fmt: skip

    def associations(self) -> Rows:
        """Rows (context, execution) of Association."""
        return self._members("Association", "execution_id", _CHOSEN_EXECUTION)

    def attributions(self) -> Rows:
        """Rows (context, artifact) of Attribution."""
        return self._members("Attribution", "artifact_id", _CHOSEN_ARTIFACT)

    def _members(self, table: str, member: str, chosen: str) -> Rows:
        where = f"context_id {_CHOSEN_CONTEXT} AND {member} {chosen}"
        return self._select("context_id", member, source=table, where=where)

    def _select(self, *columns: str, source: str, where: str) -> Rows:
        condition = ("WHERE", where) if self.restricted else ()
        text = " ".join(("SELECT", ", ".join(columns), "FROM", source, *condition))
        return self.connection.execute(text).fetchall()


def _or_zero(column: str, known: Collection[str]) -> str:
    return f"coalesce({column}, 0)" if column in known else "0"
