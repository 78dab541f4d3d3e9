"""Stores that SQLite opens, or should, and no ML Metadata ever wrote: each by what is odd in it.

What is odd stands in the schema, in how rows hang together, or in the file; odd values of single
columns are ``inputs.store``'s. Each maker changes a sound store in place.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from google.protobuf import struct_pb2

from tests.benchmarks.synthetic import StoreParameters, write_store
from tests.fuzz.messages import in_field

Damage = Callable[[Path], None]
_LONG: Final = 5_000_000  # characters
_MOST_STEPS: Final = 100  # of 100,000 instructions of SQLite each; the longest change takes 20


def write_sound_store(path: Path, models: int = 40) -> Path:
    """A store of some pipelines that push now and then."""
    write_store(path, StoreParameters(models=models, pipelines=3, seed=3))
    return path


@contextlib.contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are kept; a change that reads without an end is given up."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        steps = itertools.count()
        connection.set_progress_handler(lambda: next(steps) >= _MOST_STEPS, 100_000)
        yield connection


def _sql(*statements: str) -> Damage:
    """What these statements make of a store."""

    def change(path: Path) -> None:
        with changing(path) as connection:
            for statement in statements:
                connection.execute(statement)

    return change


def _without_keys(*tables: str) -> Damage:
    """The tables without keys and declared types, so that any value may stand in any column."""
    return _sql(
        *(
            statement
            for table in tables
            for statement in (
                f"CREATE TABLE other AS SELECT * FROM {table}",
                f"DROP TABLE {table}",
                f"ALTER TABLE other RENAME TO {table}",
            )
        )
    )


def _both(*damages: Damage) -> Damage:
    def change(path: Path) -> None:
        for damage in damages:
            damage(path)

    return change


def _as_view(table: str, select: str) -> Damage:
    return _sql(
        f"ALTER TABLE {table} RENAME TO Kept",
        f"CREATE VIEW {table} AS {select}",
    )


def _virtual(table: str, module: str) -> Damage:
    """The table as a virtual one of a module that is built in, or of one that is not there."""

    def change(path: Path) -> None:
        with changing(path) as connection:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            connection.execute(f"ALTER TABLE {table} RENAME TO Kept")
            connection.execute(f"CREATE VIRTUAL TABLE {table} USING fts4({', '.join(names)})")
            listed = ", ".join(names)
            connection.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM Kept")
            if module != "fts4":
                connection.execute("PRAGMA writable_schema = ON")
                connection.execute(
                    "UPDATE sqlite_master SET sql = replace(sql, 'fts4', ?) WHERE name = ?",
                    (module, table),
                )

    return change


def _schema(table: str, old: str, new: str) -> Damage:
    """Another text in the schema itself, which SQLite then reads."""

    def change(path: Path) -> None:
        with changing(path) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = ?",
                (old, new, table),
            )

    return change


def _one_root(path: Path) -> None:
    with changing(path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE "
            "name = 'Execution') WHERE name = 'Event'"
        )


def _many_steps(path: Path) -> None:
    with changing(path) as connection:
        connection.executemany(
            "INSERT INTO EventPath VALUES (1, ?, ?, ?)",
            ((number % 2, number, f"k{number}") for number in range(100_000)),
        )
        connection.execute(f"UPDATE EventPath SET step_index = {2**63 - 1} WHERE event_id = 2")
        connection.execute(f"UPDATE EventPath SET step_index = {-(2**63)} WHERE event_id = 3")


def _structs(path: Path) -> None:
    struct = struct_pb2.Struct(fields={"a": struct_pb2.Value(string_value="x")}).SerializeToString()
    for _ in range(2_999):  # deeper than any parser goes, and some writers
        value = in_field(5, struct)  # struct_value
        struct = in_field(1, in_field(1, b"a") + in_field(2, value))  # an entry: key, value
    deep = base64.b64encode(struct).decode()
    with changing(path) as connection:
        for number, text in enumerate(
            ("", "###", base64.b64encode(b"\xff\xff\xff").decode(), deep, "=" * 10, "\x00")
        ):
            connection.execute(
                "UPDATE ArtifactProperty SET string_value = ? WHERE artifact_id % 7 = ? AND "
                "string_value IS NOT NULL",
                (f"mlmd-struct::{text}", number),
            )


def _lineage_circle(path: Path) -> None:
    with changing(path) as connection:
        # What an execution put out it has taken in, too; and the last one fed the first.
        connection.execute(
            "INSERT OR IGNORE INTO Event (artifact_id, execution_id, type) "
            "SELECT artifact_id, execution_id, 3 FROM Event WHERE type = 4"
        )
        connection.execute(
            "INSERT OR IGNORE INTO Event (artifact_id, execution_id, type) "
            "SELECT max(artifact_id), min(execution_id), 3 FROM Event"
        )


def _hub(path: Path) -> None:
    with changing(path) as connection:
        connection.execute(
            "INSERT OR IGNORE INTO Event (artifact_id, execution_id, type) "
            "SELECT 1, id, 3 FROM Execution"
        )
        connection.execute(
            "INSERT OR IGNORE INTO Association (context_id, execution_id) "
            "SELECT c.id, e.id FROM Context c, Execution e WHERE c.id < 200"
        )


def _in_wal(path: Path) -> None:
    """A log that its writer left behind, the newest rows in it alone."""
    written = path.with_name("written.sqlite")
    shutil.copyfile(path, written)
    connection = sqlite3.connect(written, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE Execution SET last_known_state = 4 WHERE id % 2")
    for end in ("", "-wal"):
        shutil.copyfile(f"{written}{end}", f"{path}{end}")
    connection.close()
    written.unlink()


def _damaged_wal(path: Path) -> None:
    _in_wal(path)
    wal = Path(f"{path}-wal")
    content = bytearray(wal.read_bytes())
    content[40:90] = b"\xff" * 50
    wal.write_bytes(content)


def _log_in_no_folder(path: Path) -> None:
    _in_wal(path)
    path.parent.chmod(0o555)


def _hot_journal(path: Path) -> None:
    Path(f"{path}-journal").write_bytes(
        b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes([0, 0, 0, 9]) * 5 + b"\0" * 5_000
    )


def _in_utf16(path: Path) -> None:
    other = path.with_name("other.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as source:
        script = [line for line in source.iterdump() if "sqlite_sequence" not in line]
    with contextlib.closing(sqlite3.connect(other)) as target:
        target.execute("PRAGMA encoding = 'UTF-16be'")
        target.executescript("\n".join(script))
    other.replace(path)


def _cut(share: float) -> Damage:
    return lambda path: os.truncate(path, int(path.stat().st_size * share))


def _overwritten(at: int, content: bytes) -> Damage:
    def change(path: Path) -> None:
        with path.open("r+b") as stream:
            stream.seek(at)
            stream.write(content)

    return change


def _in_place(make: Callable[[Path], object]) -> Damage:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


_ENDLESS: Final = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"
_MLMD_ENV: Final = ("DROP TABLE MLMDEnv", "CREATE TABLE MLMDEnv (schema_version)")

ODD_STORES: Final[dict[str, Damage]] = {
    "a version in text": _sql(*_MLMD_ENV, "INSERT INTO MLMDEnv VALUES ('ten')"),
    "a version as text": _sql(*_MLMD_ENV, "INSERT INTO MLMDEnv VALUES ('10')"),
    "two versions": _sql("INSERT INTO MLMDEnv VALUES (4)"),
    "a version of 400 digits": _sql(*_MLMD_ENV, f"INSERT INTO MLMDEnv VALUES ('{'9' * 400}')"),
    "types of one name": _sql(
        "INSERT INTO Type (name, type_kind) SELECT name, type_kind FROM Type",
        "UPDATE Execution SET type_id = type_id + 40 WHERE id % 2",
        "UPDATE Context SET type_id = type_id + 40 WHERE id % 3 = 0",
    ),
    "types of no kind": _sql("UPDATE Type SET type_kind = 99 WHERE id % 2"),
    "types of another kind": _sql("UPDATE Type SET type_kind = (type_kind + 1) % 3"),
    "no types": _sql("DELETE FROM Type"),
    "types that are not there": _sql("UPDATE Execution SET type_id = 10000 + id"),
    "parents in a circle": _sql(
        "INSERT OR IGNORE INTO ParentContext SELECT parent_context_id, context_id "
        "FROM ParentContext",
        "INSERT OR IGNORE INTO ParentContext SELECT id, id FROM Context",
        "INSERT OR IGNORE INTO ParentContext SELECT id, id + 1 FROM Context",
    ),
    "absurd states": _both(
        _without_keys("Execution", "Artifact"),
        _sql(
            "UPDATE Execution SET last_known_state = 1000000007 WHERE rowid % 3 = 0",
            "UPDATE Execution SET last_known_state = 'complete' WHERE rowid % 3 = 1",
            "UPDATE Artifact SET state = x'ff00'",
        ),
    ),
    "names that are blobs": _sql(
        "UPDATE Type SET name = CAST(name AS BLOB)",
        "UPDATE Context SET name = CAST(name AS BLOB)",
        "UPDATE Artifact SET uri = CAST(uri AS BLOB)",
        "UPDATE EventPath SET step_key = CAST(step_key AS BLOB)",
        "UPDATE ExecutionProperty SET name = CAST(name AS BLOB)",
    ),
    "names that are no UTF-8": _sql(
        "UPDATE Context SET name = CAST(x'ff6e' || name AS TEXT)",
        "UPDATE Type SET name = CAST(x'ff6e' || name AS TEXT) WHERE id % 3 = 0",
        "UPDATE ExecutionProperty SET string_value = CAST(x'c328a0' AS TEXT), "
        "name = CAST(CAST(name AS BLOB) || x'ff' AS TEXT)",
    ),
    "names with signs of terminals and pages": _sql(
        "UPDATE Context SET name = '<script>alert(1)</script>' || char(27) || '[2J' || char(10) "
        "|| '\"}]' || char(8238) || name",
        "UPDATE Type SET name = name || char(10) || '</script>' WHERE id % 5 = 0",
    ),
    "empty names": _sql(
        "UPDATE Context SET name = '' WHERE id IN (SELECT min(id) FROM Context GROUP BY type_id)",
        "UPDATE Type SET name = '' WHERE id % 4 = 0",
    ),
    "names of five megabytes": _sql(
        f"UPDATE Context SET name = name || hex(zeroblob({_LONG // 2})) WHERE id IN (1, 2)",
        f"UPDATE Type SET name = hex(zeroblob({_LONG // 2})) WHERE id = 32",
        f"UPDATE ArtifactProperty SET string_value = hex(zeroblob({_LONG // 2})) WHERE "
        "artifact_id < 4",
    ),
    "event paths of many steps": _many_steps,
    "structs that are none": _structs,
    "negative ids": _both(
        _without_keys("Event", "Association", "ExecutionProperty"),
        _sql(
            "UPDATE Execution SET id = -id",
            "UPDATE Event SET execution_id = -execution_id",
            "UPDATE Association SET execution_id = -execution_id",
            "UPDATE ExecutionProperty SET execution_id = -execution_id",
        ),
    ),
    "ids near the largest": _sql(
        f"UPDATE Execution SET id = id + {2**63 - 2_000_000}",
        f"UPDATE Event SET execution_id = execution_id + {2**63 - 2_000_000}",
        f"UPDATE Association SET execution_id = execution_id + {2**63 - 2_000_000}",
    ),
    "ids that are real numbers": _both(
        _without_keys("Execution", "Event"),
        _sql("UPDATE Execution SET id = id + 0.0", "UPDATE Event SET execution_id = 0.5"),
    ),
    "times before and after all": _sql(
        "UPDATE Execution SET create_time_since_epoch = 253402300799999, "
        "last_update_time_since_epoch = -253402300799999 WHERE id % 2",
        "UPDATE Execution SET create_time_since_epoch = -253402300799999, "
        "last_update_time_since_epoch = 253402300799999 WHERE id % 2 = 0",
    ),
    "properties of all kinds at once": _sql(
        "UPDATE ArtifactProperty SET int_value = 1, double_value = 0.5, string_value = 'x', "
        "bool_value = 7, proto_value = x'00', byte_value = x'00'",
        "UPDATE ExecutionProperty SET int_value = NULL, double_value = NULL, string_value = NULL",
    ),
    "properties beyond numbers": _sql(
        "UPDATE ArtifactProperty SET string_value = NULL, int_value = NULL, double_value = 9e999 "
        "WHERE artifact_id % 2",
        f"UPDATE ArtifactProperty SET string_value = NULL, int_value = {-(2**63)} "
        "WHERE artifact_id % 2 = 0",
    ),
    "spans and pushes that are texts": _sql(
        "UPDATE ArtifactProperty SET string_value = int_value, int_value = NULL WHERE name IN "
        "('span', 'version', 'pushed', 'blessed')",
    ),
    "lineage in a circle": _lineage_circle,
    "one artifact that all take in": _hub,
    "a view in place of a table": _as_view("Execution", "SELECT * FROM Kept"),
    "a view without an end": _as_view(
        "Event",
        f"{_ENDLESS} i AS id, 1 AS artifact_id, 1 AS execution_id, 3 AS type, "
        "0 AS milliseconds_since_epoch FROM n",
    ),
    "versions without an end": _as_view("MLMDEnv", f"{_ENDLESS} 10 AS schema_version FROM n"),
    "a view of itself": _as_view("Type", "SELECT * FROM Type"),
    "a trigger": _sql(
        "CREATE TRIGGER t AFTER INSERT ON Execution BEGIN DELETE FROM Event; END",
    ),
    "a table without row numbers": _sql(
        "ALTER TABLE Event RENAME TO Kept",
        "CREATE TABLE Event (id INT, artifact_id INT, execution_id INT, type INT, "
        "milliseconds_since_epoch INT, PRIMARY KEY (id)) WITHOUT ROWID",
        "INSERT INTO Event SELECT * FROM Kept",
    ),
    "a generated column": _sql(
        "ALTER TABLE Execution RENAME TO Kept",
        "CREATE TABLE Execution (id INTEGER PRIMARY KEY, type_id INT, name TEXT, external_id TEXT, "
        "last_known_state INT AS (3), create_time_since_epoch INT AS (id * 60000), "
        "last_update_time_since_epoch INT AS (id * 60000 + 1000))",
        "INSERT INTO Execution (id, type_id) SELECT id, type_id FROM Kept",
    ),
    "values of 300 MB": _sql(
        "CREATE TABLE other (artifact_id INT, name TEXT, is_custom_property INT, int_value INT, "
        "double_value REAL, byte_value BLOB, proto_value BLOB, bool_value INT, "
        "string_value TEXT AS (hex(zeroblob(150000000))))",
        "INSERT INTO other SELECT artifact_id, name, is_custom_property, int_value, double_value, "
        "NULL, NULL, NULL FROM ArtifactProperty LIMIT 40",
        "DROP TABLE ArtifactProperty",
        "ALTER TABLE other RENAME TO ArtifactProperty",
    ),
    "a collation that is not there": _schema("Context", "VARCHAR(255)", "TEXT COLLATE elsewhere"),
    "a virtual table": _virtual("Type", "fts4"),
    "a virtual table of no module": _virtual("Association", "nowhere"),
    "a schema that is no SQL": _schema("Event", "CREATE TABLE", "CREATE TABBLE"),
    "two tables in one place": _one_root,
    "names in lower case": _sql(
        *(f"ALTER TABLE {table} RENAME TO {table}_; "[:-2] for table in ("Execution", "Event")),
        *(f"ALTER TABLE {table}_ RENAME TO {table.lower()}" for table in ("Execution", "Event")),
    ),
    "columns more than there are": _sql(
        "ALTER TABLE Execution ADD COLUMN rowid TEXT DEFAULT 'x'",
        'ALTER TABLE Event ADD COLUMN "a""b;--" TEXT',
    ),
    "nothing but a version": _sql(
        *(
            f"DELETE FROM {table}"
            for table in ("Execution", "Artifact", "Event", "Context", "Association", "Type")
        )
    ),
    "text in UTF-16": _in_utf16,
    "rows in a log that was left": _in_wal,
    "a damaged log": _damaged_wal,
    "a log in a folder without rights": _log_in_no_folder,
    "a journal that was left": _hot_journal,
    "an empty file": _cut(0),
    "half a file": _cut(0.5),
    "a file cut within its header": _overwritten(16, b"\0" * 84),
    "a page size of another file": _overwritten(16, b"\x02\x00"),
    "a number of pages that is not so": _overwritten(28, b"\xff\xff\xff\xf0"),
    "a schema format of tomorrow": _overwritten(44, b"\0\0\0\x09"),
    "a folder": _in_place(Path.mkdir),
    "a pipe": _in_place(os.mkfifo),
    "a link to itself": _in_place(lambda path: path.symlink_to(path)),
    "zeros without an end": _in_place(lambda path: path.symlink_to("/dev/zero")),
}


def damage(randomness: random.Random, path: Path) -> None:
    """One to three of them; what does not go together stays away."""
    names = sorted(ODD_STORES.keys() - {"a log in a folder without rights"})
    for name in randomness.sample(names, randomness.choice((1, 1, 2, 3))):
        with contextlib.suppress(sqlite3.Error, OSError):
            ODD_STORES[name](path)
