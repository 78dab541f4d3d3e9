"""Writes rows as the SQLite file that ml-metadata would have left, in any of its schemas."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format, struct_pb2

from tests.row_lists import properties_of, rows_of
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import PropertyKind
from tfx_graphlets.vocabulary import STRUCT_PREFIX

# (column and type, first schema version that has it); ids are those of the rows.
# Without the UNIQUE constraints of MLMD, so that any rows can be written.
_VALUES = (
    ("name TEXT", 4), ("is_custom_property TINYINT(1)", 4), ("int_value INT", 4),
    ("double_value DOUBLE", 4), ("string_value TEXT", 4), ("byte_value BLOB", 7),
    ("proto_value BLOB", 9), ("bool_value BOOLEAN", 9),
)  # fmt: skip
_TIMES = (
    ("create_time_since_epoch INT NOT NULL DEFAULT 0", 5),
    ("last_update_time_since_epoch INT NOT NULL DEFAULT 0", 5),
)
_NODE = (("id INTEGER PRIMARY KEY", 4), ("type_id INT", 4))
_NAMED = (("name VARCHAR(255)", 5), ("external_id VARCHAR(255)", 10), *_TIMES)
SCHEMA = {
    "Type": (
        ("id INTEGER PRIMARY KEY", 4), ("name VARCHAR(255)", 4), ("version VARCHAR(255)", 7),
        ("type_kind TINYINT(1)", 4), ("description TEXT", 7), ("input_type TEXT", 4),
        ("output_type TEXT", 4), ("external_id VARCHAR(255)", 10),
    ),
    "TypeProperty": (("type_id INT", 4), ("name TEXT", 4), ("data_type INT", 4)),
    "ParentType": (("type_id INT", 6), ("parent_type_id INT", 6)),
    "ParentContext": (("context_id INT", 6), ("parent_context_id INT", 6)),
    "Artifact": (*_NODE, ("uri TEXT", 4), ("state INT", 5), *_NAMED),
    "ArtifactProperty": (("artifact_id INT", 4), *_VALUES),
    "Execution": (*_NODE, ("last_known_state INT", 5), *_NAMED),
    "ExecutionProperty": (("execution_id INT", 4), *_VALUES),
    "Context": (*_NODE, ("name VARCHAR(255)", 4), ("external_id VARCHAR(255)", 10), *_TIMES),
    "ContextProperty": (("context_id INT", 4), *_VALUES),
    "Event": (
        ("id INTEGER PRIMARY KEY", 4), ("artifact_id INT", 4), ("execution_id INT", 4),
        ("type INT", 4), ("milliseconds_since_epoch INT", 4),
    ),
    "EventPath": (
        ("event_id INT", 4), ("is_index_step TINYINT(1)", 4), ("step_index INT", 4),
        ("step_key TEXT", 4),
    ),
    "Association": (
        ("id INTEGER PRIMARY KEY", 4), ("context_id INT", 4), ("execution_id INT", 4),
    ),
    "Attribution": (
        ("id INTEGER PRIMARY KEY", 4), ("context_id INT", 4), ("artifact_id INT", 4),
    ),
    "MLMDEnv": (("schema_version INTEGER PRIMARY KEY", 4),),
}  # fmt: skip
_EXECUTION_TYPE, _ARTIFACT_TYPE, _CONTEXT_TYPE = 0, 1, 2  # MLMD TypeKind
# ml-metadata writes these whenever it connects to a store that has them not.
_SYSTEM_TYPES = (
    *((_ARTIFACT_TYPE, f"mlmd.{name}") for name in ("Dataset", "Model", "Metrics", "Statistics")),
    *(
        (_EXECUTION_TYPE, f"mlmd.{name}")
        for name in ("Train", "Transform", "Process", "Evaluate", "Deploy")
    ),
)
_COLUMN_OF_KIND = {
    PropertyKind.INT: "int_value",
    PropertyKind.DOUBLE: "double_value",
    PropertyKind.STRING: "string_value",
    PropertyKind.STRUCT: "string_value",
    PropertyKind.BOOL: "bool_value",
}


def write_store(path: Path, raw: RowBuilder | None = None, *, schema_version: int = 10) -> Path:
    """Writes the rows to a new file; columns that the schema does not have are left out.

    A zero in a column that MLMD leaves NULL is written as NULL.
    """
    raw = raw or RowBuilder()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for table, columns in SCHEMA.items():
            present = [column for column, since in columns if since <= schema_version]
            if present:
                connection.execute(f"CREATE TABLE {table} ({', '.join(present)})")
        connection.execute("INSERT INTO MLMDEnv VALUES (?)", (schema_version,))
        _Writer(connection).write(raw)
    connection.close()
    return path


def mlmd_struct(value: object) -> str:
    """A dictionary as MLMD keeps a Struct in a string."""
    struct = json_format.ParseDict(value, struct_pb2.Struct())
    return STRUCT_PREFIX + base64.b64encode(struct.SerializeToString()).decode()


class _Writer:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.type_ids: dict[tuple[int, str], int] = {}
        self.columns = {
            table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for table in SCHEMA
        }

    def insert(self, table: str, **values: object) -> None:
        """Inserts one row, without the columns that the table does not have."""
        kept = {name: value for name, value in values.items() if name in self.columns[table]}
        marks = ", ".join("?" * len(kept))
        self.connection.execute(
            f"INSERT INTO {table} ({', '.join(kept)}) VALUES ({marks})", tuple(kept.values())
        )

    def type_id(self, kind: int, name: str) -> int:
        """Id of a type, which is written if it is new."""
        if (kind, name) not in self.type_ids:
            self.type_ids[kind, name] = len(self.type_ids) + 1
            self.insert("Type", id=len(self.type_ids), name=name, type_kind=kind)
        return self.type_ids[kind, name]

    def write(self, raw: RowBuilder) -> None:
        """Writes all rows."""
        for kind, name in _SYSTEM_TYPES:
            self.type_id(kind, name)
        for number, name, state, create, update in rows_of(raw, "Execution"):
            self.insert(
                "Execution", id=number, type_id=self.type_id(_EXECUTION_TYPE, name),
                last_known_state=state or None, create_time_since_epoch=create,
                last_update_time_since_epoch=update,
            )  # fmt: skip
        for number, name, state, create, update, uri in rows_of(raw, "Artifact"):
            self.insert(
                "Artifact", id=number, type_id=self.type_id(_ARTIFACT_TYPE, name), uri=uri or None,
                state=state or None, create_time_since_epoch=create,
                last_update_time_since_epoch=update,
            )  # fmt: skip
        events = rows_of(raw, "Event")
        for number, (execution, artifact, kind, key, time_ms) in enumerate(events, start=1):
            self.insert(
                "Event", id=number, execution_id=execution, artifact_id=artifact, type=kind,
                milliseconds_since_epoch=time_ms or None,
            )  # fmt: skip
            self.insert("EventPath", event_id=number, is_index_step=1, step_index=0)
            if key is not None:
                self.insert("EventPath", event_id=number, is_index_step=0, step_key=key)
                self.insert("EventPath", event_id=number, is_index_step=0, step_key="later")
        for number, type_name, name, create in rows_of(raw, "Context"):
            self.insert(
                "Context", id=number, type_id=self.type_id(_CONTEXT_TYPE, type_name), name=name,
                create_time_since_epoch=create,
            )  # fmt: skip
        for context, execution in rows_of(raw, "Association"):
            self.insert("Association", context_id=int(context), execution_id=int(execution))
        for context, artifact in rows_of(raw, "Attribution"):
            self.insert("Attribution", context_id=int(context), artifact_id=int(artifact))
        self.properties("Execution", properties_of(raw, "Execution"))
        self.properties("Artifact", properties_of(raw, "Artifact"))

    def properties(self, table: str, properties: Sequence[tuple[Any, ...]]) -> None:
        """Writes property rows; a Struct's JSON text as MLMD keeps it."""
        for owner, name, is_custom, kind, value in properties:
            text = mlmd_struct(json.loads(str(value))) if kind == PropertyKind.STRUCT else value
            self.insert(
                f"{table}Property", name=name, is_custom_property=is_custom,
                **{f"{table.lower()}_id": owner, _COLUMN_OF_KIND[kind]: text},
            )  # fmt: skip
