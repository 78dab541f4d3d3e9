"""A store as plain rows, for the reference implementation of the graphlet rules.

Its own SQL and its own tables: it imports nothing of the package.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path
from typing import Any

STATES = {"new": 1, "running": 2, "complete": 3, "published": 3, "failed": 4, "cached": 5}
DOUBLE = 2  # kind of a property


@dataclasses.dataclass
class Rows:
    """A store as plain rows.

    Attributes:
      executions: id to type (full name), state, create, update.
      artifacts: id to type (full name); pushed, the set of numbers that its
        properties ``pushed`` hold; speaks, whether it has such a property; and
        blessed, the number that its property ``blessed`` holds, or None.
      events: (execution, artifact, event type, first key step or None).
      contexts: id to (type, name).
      associations: (context, execution).
    """

    executions: dict[int, dict[str, Any]] = dataclasses.field(default_factory=dict)
    artifacts: dict[int, dict[str, Any]] = dataclasses.field(default_factory=dict)
    events: list[tuple[int, int, int, str | None]] = dataclasses.field(default_factory=list)
    contexts: dict[int, tuple[str, str]] = dataclasses.field(default_factory=dict)
    associations: list[tuple[int, int]] = dataclasses.field(default_factory=list)


def read_sqlite(path: Path | str) -> Rows:
    """The rows of an MLMD store in a SQLite file, schema 4 to 10."""
    connection = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.row_factory = sqlite3.Row
    select = connection.execute
    type_names = {row["id"]: row["name"] for row in select("SELECT id, name FROM Type")}
    rows = Rows()
    states = {
        row["execution_id"]: row["string_value"]
        for row in select("SELECT * FROM ExecutionProperty WHERE name = 'state'")
    }
    for row in map(dict, select("SELECT * FROM Execution")):
        state = row.get("last_known_state") or STATES.get((states.get(row["id"]) or "").lower(), 0)
        rows.executions[row["id"]] = {
            "type": type_names[row["type_id"]],
            "state": state,
            "create": row.get("create_time_since_epoch") or 0,
            "update": row.get("last_update_time_since_epoch") or 0,
        }
    for row in select(
        "SELECT * FROM ExecutionProperty WHERE name IN ('parent_dag_id', 'iteration_index')"
    ):
        if row["execution_id"] in rows.executions:
            rows.executions[row["execution_id"]][row["name"]] = row["int_value"]
    for row in select("SELECT id, type_id FROM Artifact"):
        rows.artifacts[row["id"]] = {
            "type": type_names[row["type_id"]], "pushed": set(), "speaks": False, "blessed": None,
        }  # fmt: skip
    for row in map(dict, select("SELECT * FROM ArtifactProperty WHERE name = 'pushed'")):
        if row["artifact_id"] in rows.artifacts:
            rows.artifacts[row["artifact_id"]]["speaks"] = True
        for column in ("int_value", "double_value", "string_value", "bool_value"):
            if row.get(column) is not None and row["artifact_id"] in rows.artifacts:
                rows.artifacts[row["artifact_id"]]["pushed"].add(_number(row[column]))
    blessings = "SELECT * FROM ArtifactProperty WHERE name = 'blessed' ORDER BY is_custom_property"
    for row in map(dict, select(blessings)):
        for column in ("int_value", "double_value", "string_value", "bool_value"):
            number = None if row.get(column) is None else _number(row[column])
            if number is not None and row["artifact_id"] in rows.artifacts:
                rows.artifacts[row["artifact_id"]]["blessed"] = number
    keys: dict[int, str] = {}
    for row in select("SELECT * FROM EventPath ORDER BY rowid"):
        if not row["is_index_step"]:
            keys.setdefault(row["event_id"], row["step_key"])
    for row in select("SELECT id, execution_id, artifact_id, type FROM Event"):
        event = (row["execution_id"], row["artifact_id"], row["type"], keys.get(row["id"]))
        rows.events.append(event)
    for row in select("SELECT id, type_id, name FROM Context"):
        rows.contexts[row["id"]] = (type_names[row["type_id"]], row["name"])
    for row in select("SELECT context_id, execution_id FROM Association"):
        rows.associations.append((row["context_id"], row["execution_id"]))
    connection.close()
    return rows


def rows_of_raw(raw: Any) -> Rows:
    """The rows of a RowBuilder, read by the names of its columns alone."""
    rows = Rows()
    states = {
        owner: value
        for owner, name, value in _properties(raw["ExecutionProperty"])
        if name == "state" and isinstance(value, str)
    }
    for execution, type_name, state, create, update in _columns(
        raw["Execution"], "id", "type", "state", "create_ms", "update_ms"
    ):
        rows.executions[execution] = {
            "type": type_name,
            "state": state or STATES.get(states.get(execution, "").lower(), 0),
            "create": create,
            "update": update,
        }
    for owner, name, value in _properties(raw["ExecutionProperty"]):
        if name in ("parent_dag_id", "iteration_index") and owner in rows.executions:
            rows.executions[owner][name] = value
    for artifact, type_name in zip(raw["Artifact"]["id"], raw["Artifact"]["type"]):
        rows.artifacts[artifact] = {
            "type": type_name, "pushed": set(), "speaks": False, "blessed": None,
        }  # fmt: skip
    for owner, name, value in _properties(raw["ArtifactProperty"]):
        if name == "pushed" and owner in rows.artifacts:
            rows.artifacts[owner]["pushed"].add(_number(value))
            rows.artifacts[owner]["speaks"] = True
        if name == "blessed" and owner in rows.artifacts and _number(value) is not None:
            rows.artifacts[owner]["blessed"] = _number(value)
    rows.events = list(_columns(raw["Event"], "execution", "artifact", "type", "key"))
    rows.contexts = dict(
        zip(raw["Context"]["id"], zip(raw["Context"]["type"], raw["Context"]["name"]))
    )
    rows.associations = list(_columns(raw["Association"], "context", "execution"))
    return rows


def _columns(table: Any, *names: str) -> Any:
    return zip(*(table[name] for name in names))


def _properties(table: Any) -> list[tuple[int, str, Any]]:
    """Owner, name and value."""
    return [
        (owner, name, text if text is not None else real if kind == DOUBLE else number)
        for owner, name, kind, number, real, text in _columns(
            table, "owner", "name", "kind", "int_value", "double_value", "string_value"
        )
    ]


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
