"""What may be new in a store since an archive was made of it, read by index where possible."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets.stores.archive.known import Known, KnownNodes
from tfx_graphlets.stores.archive.mark import LATE_IDS, Mark, TableMark
from tfx_graphlets.stores.sql import sqlite_file
from tfx_graphlets.stores.sql.sqlite_store import SqliteStore
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.assembly import RawProperties, RawTables, assemble, struct_to_json
from tfx_graphlets.trace.ordering import positions_of
from tfx_graphlets.trace.trace import IntArray, PropertyKind, Trace

# Times are written by the clocks of many machines, and before rows are shown.
CLOCK_SLACK_MS: Final = 3_600_000
_WITNESSES: Final = 128  # archived executions that are looked for again, and as many at the end
_MOST_GROWTH: Final = 0.5  # share of new executions above which all is read anew
_TABLE_OF_MARK: Final = {
    "events": "Event",
    "contexts": "Context",
    "associations": "Association",
    "attributions": "Attribution",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Changes:
    """What may be new in a store.

    Attributes:
      trace: all new rows, every node that may have changed, and the archived
        nodes that new rows name.
      highest: the highest id of an execution in the store, -1 where there is none.
      mark: up to where the store was read.
      dropped: number of new events that name an execution or artifact that is not there.
    """

    trace: Trace
    highest: int
    mark: Mark
    dropped: int


def mark_of(store: Store) -> Mark | None:
    """Up to where a store can be read now; None for one that cannot be read by index."""
    if not isinstance(store, SqliteStore):
        return None
    with store.connected() as connection:
        return _mark(connection) if _can_be_read(connection) else None


def changes_since(store: Store, known: Known, mark: Mark | None, since_ms: int) -> Changes | None:
    """Reads what may be new.

    Args:
      store: the store.
      known: what was archived.
      mark: up to where the store was read then.
      since_ms: nodes that were updated at this time or later are read again,
        milliseconds since the epoch.

    Returns:
      The changes; None where all of the store has to be read, because it
      cannot be read by index or because most of it is new.

    Raises:
      StoreError: the store cannot be read.
    """
    if mark is None or not isinstance(store, SqliteStore):
        return None
    with store.connected() as connection:
        if not _can_be_read(connection):
            return None
        return _Reader(connection, known, mark, since_ms).read()


def _can_be_read(connection: sqlite3.Connection) -> bool:
    # Schema 4 keeps no times; what is told of Kubeflow's executions (type_kind 0) stands in more
    # than their own rows.
    if "last_update_time_since_epoch" not in sqlite_file.columns(connection, "Execution"):
        return False
    (found,) = connection.execute(
        "SELECT count(*) FROM Type WHERE type_kind = 0 AND name LIKE 'system.%'"
    ).fetchone()
    return not found


def _mark(connection: sqlite3.Connection) -> Mark:
    marks = {}
    for name, table in _TABLE_OF_MARK.items():
        highest = _highest(connection, table)
        recent = _ids(
            connection, _joined("SELECT id FROM", table, "WHERE id >= ?"), highest - LATE_IDS
        )
        marks[name] = TableMark.after(highest, recent)
    return Mark(**marks)


def _highest(connection: sqlite3.Connection, table: str) -> int:
    (highest,) = connection.execute(_joined("SELECT max(id) FROM", table)).fetchone()
    return -1 if highest is None else int(highest)


def _ids(connection: sqlite3.Connection, query: str, *arguments: object) -> IntArray:
    rows = connection.execute(query, arguments)
    return np.sort(np.fromiter((row[0] for row in rows), np.int64))


class _Reader:
    def __init__(
        self, connection: sqlite3.Connection, known: Known, mark: Mark, since_ms: int
    ) -> None:
        self.connection, self.known, self.mark, self.since_ms = connection, known, mark, since_ms

    def read(self) -> Changes | None:
        """The changes; None where most of the store is new."""
        highest = _highest(self.connection, "Execution")
        known = self.known.executions
        if highest - known.highest > _MOST_GROWTH * max(len(known), 1):
            return None
        events = self.unread(
            "events",
            "execution_id",
            "artifact_id",
            "coalesce(type, 0)",
            "coalesce(milliseconds_since_epoch, 0)",
        )
        associations = self.unread("associations", "context_id", "execution_id")
        attributions = self.unread("attributions", "context_id", "artifact_id")
        executions = np.concatenate(
            (
                self.candidates("Execution", known),
                _column(events, 1),
                _column(associations, 2),
                _spread(known.id),
            )
        )
        artifacts = np.concatenate(
            (
                self.candidates("Artifact", self.known.artifacts),
                _column(events, 2),
                _column(attributions, 2),
            )
        )
        contexts = np.concatenate(
            (
                _column(self.unread("contexts"), 0),
                _column(associations, 1),
                _column(attributions, 1),
            )
        )
        raw = self.rows(executions, artifacts, contexts)
        keys = self.keys(_column(events, 0))
        raw = dataclasses.replace(
            raw,
            event_execution=_column(events, 1),
            event_artifact=_column(events, 2),
            event_type=_column(events, 3),
            event_key=[keys.get(number) for number in _column(events, 0).tolist()],
            event_ms=_column(events, 4),
            association=np.column_stack((_column(associations, 1), _column(associations, 2))),
            attribution=np.column_stack((_column(attributions, 1), _column(attributions, 2))),
        )
        trace = assemble(raw, count_lost=False)
        return Changes(trace, highest, _mark(self.connection), trace.events.dropped)

    def unread(self, name: str, *columns: str) -> list[tuple[int, ...]]:
        """Rows (id, columns) of a table that were not read before."""
        mark: TableMark = getattr(self.mark, name)
        rows = self.connection.execute(
            _joined(
                "SELECT", ", ".join(("id", *columns)), "FROM", _TABLE_OF_MARK[name], "WHERE id >= ?"
            ),
            (mark.lowest_late,),
        ).fetchall()
        unread = mark.unread(_column(rows, 0))
        return [row for row, wanted in zip(rows, unread.tolist()) if wanted]

    def candidates(self, table: str, known: KnownNodes) -> IntArray:
        """Ids of nodes that are new or may have changed."""
        late = _ids(
            self.connection,
            _joined("SELECT id FROM", table, "WHERE id > ?"),
            known.highest - LATE_IDS,
        )
        updated = _ids(
            self.connection,
            _joined("SELECT id FROM", table, "WHERE last_update_time_since_epoch >= ?"),
            self.since_ms,
        )
        unfinished = known.unfinished(executions=table == "Execution")
        return np.concatenate((late[positions_of(known.id, late) < 0], updated, unfinished))

    def rows(self, executions: IntArray, artifacts: IntArray, contexts: IntArray) -> RawTables:
        """The rows of these nodes and contexts, with their properties."""
        self.want("Execution", executions)
        self.want("Artifact", artifacts)
        self.want("Context", contexts)
        execution = self.nodes("Execution", "coalesce(last_known_state, 0)", "''")
        artifact = self.nodes("Artifact", "coalesce(state, 0)", "coalesce(uri, '')")
        context = self.connection.execute(
            "SELECT Context.id, coalesce(Type.name, ''), coalesce(Context.name, ''), "
            "Context.create_time_since_epoch FROM temp.wanted_Context "
            "JOIN Context USING (id) LEFT JOIN Type ON Type.id = type_id"
        ).fetchall()
        return RawTables(
            execution_id=_column(execution, 0),
            execution_type=[row[1] for row in execution],
            execution_state=_column(execution, 2),
            execution_create_ms=_column(execution, 3),
            execution_update_ms=_column(execution, 4),
            artifact_id=_column(artifact, 0),
            artifact_type=[row[1] for row in artifact],
            artifact_state=_column(artifact, 2),
            artifact_create_ms=_column(artifact, 3),
            artifact_update_ms=_column(artifact, 4),
            artifact_uri=[row[5] for row in artifact],
            context_id=_column(context, 0),
            context_type=[row[1] for row in context],
            context_name=[row[2] for row in context],
            context_create_ms=_column(context, 3),
            execution_properties=self.properties("Execution"),
            artifact_properties=self.properties("Artifact"),
        )

    def want(self, table: str, ids: IntArray) -> None:
        """Puts the ids into the table ``wanted_TABLE``, which queries join."""
        wanted = f"temp.wanted_{table}"
        self.connection.execute(f"CREATE TABLE {wanted} (id INTEGER PRIMARY KEY)")
        self.connection.executemany(
            _joined("INSERT INTO", wanted, "VALUES (?)"),
            ((number,) for number in np.unique(ids).tolist()),
        )

    def nodes(self, table: str, state: str, uri: str) -> Sequence[tuple[Any, ...]]:
        """Rows (id, type, state, create, update, uri) of the wanted nodes."""
        return self.connection.execute(
            _joined(
                "SELECT node.id, coalesce(Type.name, ''),",
                state,
                ", coalesce(node.create_time_since_epoch, 0),",
                "coalesce(node.last_update_time_since_epoch, 0),",
                uri,
                f"FROM temp.wanted_{table} JOIN {table} AS node USING (id)",
                "LEFT JOIN Type ON Type.id = type_id",
            )
        ).fetchall()

    def properties(self, table: str) -> RawProperties:
        """All properties of the wanted nodes."""
        owner = f"{table.lower()}_id"
        there = sqlite_file.columns(self.connection, f"{table}Property")
        boolean = "bool_value" if "bool_value" in there else "NULL"
        raw = RawProperties()
        for node, name, is_custom, integer, double, string, truth in self.connection.execute(
            _joined(
                "SELECT",
                owner,
                ", name, is_custom_property, int_value, double_value,",
                "string_value,",
                boolean,
                "FROM",
                f"{table}Property",
                "WHERE",
                owner,
                "IN (SELECT id FROM",
                f"temp.wanted_{table})",
            )
        ):
            if integer is not None:
                raw.add(node, name, is_custom, PropertyKind.INT, integer)
            elif double is not None:
                # As SqliteStore does: MLMD itself hands out 15 significant digits.
                raw.add(node, name, is_custom, PropertyKind.DOUBLE, float(f"{double:.15g}"))
            elif string is not None:
                struct = struct_to_json(string)
                kind = PropertyKind.STRING if struct is None else PropertyKind.STRUCT
                raw.add(node, name, is_custom, kind, string if struct is None else struct)
            elif truth is not None:
                raw.add(node, name, is_custom, PropertyKind.BOOL, int(truth))
        return raw

    def keys(self, events: IntArray) -> dict[int, str]:
        """First key step of the path of each event, by the event's id."""
        self.want("Event", events)
        rows = self.connection.execute(
            "SELECT event_id, step_key FROM EventPath "
            "WHERE event_id IN (SELECT id FROM temp.wanted_Event) AND step_key IS NOT NULL "
            "ORDER BY EventPath.rowid DESC"
        )
        return dict(rows.fetchall())


def _column(rows: Iterable[Sequence[Any]], number: int) -> IntArray:
    return np.fromiter((row[number] for row in rows), np.int64)


def _spread(ids: IntArray) -> IntArray:
    """Some of the ids: evenly from all, and the last."""
    places = np.linspace(0, len(ids) - 1, _WITNESSES).astype(np.int64)
    return np.unique(np.concatenate((ids[places], ids[-_WITNESSES:]))) if len(ids) else ids


def _joined(*words: str) -> str:
    """A query of words of this module alone; values are bound."""
    return " ".join(words)
