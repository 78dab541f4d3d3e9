"""Values that ML Metadata never writes: a row is read, or one line says that it was left out."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.stores.mlmd_files import write_store
from tests.stores.readers import Reader, by_bulk, by_mlmd, by_sql, needs_bulk, needs_mlmd
from tests.stores.test_neighbourhood import with_parents
from tests.strategies import deterministic
from tfx_graphlets.errors import GraphletsError
from tfx_graphlets.features import describe
from tfx_graphlets.gate.request import Request
from tfx_graphlets.gate.snapshot import collect
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.archive.archive import update_archive
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.lookups import lookups_of
from tfx_graphlets.stores.neighbourhood import read_neighbourhood
from tfx_graphlets.stores.sql import sqlite_tables
from tfx_graphlets.stores.sql.sqlite_file import SqliteStore
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.odd_rows import OddRows, leave_out_odd_rows
from tfx_graphlets.trace.strings import Coded
from tfx_graphlets.trace.trace import Trace, first_difference
from tfx_graphlets.vocabulary import EventType, Stage

COLUMNS = {
    "Type": ("id", "name"),
    "Artifact": ("id", "type_id", "uri", "state", "create_time_since_epoch"),
    "Execution": ("id", "type_id", "last_known_state", "last_update_time_since_epoch"),
    "ArtifactProperty": (
        "artifact_id", "name", "is_custom_property", "int_value", "double_value", "string_value",
        "bool_value",
    ),
    "ExecutionProperty": ("execution_id", "name", "is_custom_property", "int_value"),
    "Event": ("id", "artifact_id", "execution_id", "type", "milliseconds_since_epoch"),
    "EventPath": ("event_id", "step_key"),
    "Context": ("id", "type_id", "name", "create_time_since_epoch"),
    "Association": ("context_id", "execution_id"),
    "Attribution": ("context_id", "artifact_id"),
    "ParentContext": ("context_id", "parent_context_id"),
    "MLMDEnv": ("schema_version",),
}  # fmt: skip
ODD_VALUES = (
    None, -1, 1, 1_000_000, 2**63 - 1, -(2**63), 3.7, 1e300, float("inf"), "", "x", "1e999",
    b"\xff\xfe\x00", "\x00", "{" * 500,
)  # fmt: skip
damages = st.sampled_from([(table, column) for table in COLUMNS for column in COLUMNS[table]])
RUNS = 4


def sound_store(path: Path) -> Path:
    """Four runs that push or not, in tables that have lost their keys."""
    build = TraceBuilder()
    for run in range(RUNS):
        where: dict[str, Any] = {"pipeline": "p", "run": f"r{run}"}
        span = build.artifact("Examples", span=run, ratio=0.5, input_fingerprint=f"f{run}")
        model = build.artifact("Model", uri=f"m/{run}")
        pushed = build.artifact("PushedModel", pushed=run % 2)
        build.execution("CsvExampleGen", outputs={"examples": [span]}, **where)
        build.execution(
            "Trainer", inputs={"examples": [span]}, outputs={"model": [model]}, node="p.T", **where
        )
        build.execution(
            "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [pushed]}, **where
        )
    with_parents(write_store(path, build.raw()))
    with changing(path) as connection:
        for table in COLUMNS:
            connection.execute(f"CREATE TABLE other AS SELECT * FROM {table}")
            connection.execute(f"DROP TABLE {table}")
            connection.execute(f"ALTER TABLE other RENAME TO {table}")
    return path


@contextlib.contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are kept."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        yield connection


@contextlib.contextmanager
def lines() -> Iterator[list[str]]:
    """Warnings that are logged meanwhile."""
    said: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler, logger = Keeping(logging.WARNING), logging.getLogger("tfx_graphlets")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def read(path: Path, reader: Reader) -> tuple[Trace | str, list[str]]:
    """The trace, or the error, which names the store; and at most one line."""
    with lines() as said:
        try:
            with reader(path) as store:
                found: Trace | str = store.read_trace()
                assert isinstance(store.pipelines(), dict)
        except GraphletsError as error:
            found = str(error)
    assert isinstance(found, Trace) or str(path) in found
    assert len(said) <= 1, said
    return found, said


@settings(deterministic, max_examples=50)
@given(
    damage=damages,
    value=st.sampled_from(ODD_VALUES),
    at=st.integers(0, 40),
    everywhere=st.booleans(),
)
@example(damage=("ExecutionProperty", "execution_id"), value=None, at=0, everywhere=True)
@example(damage=("Execution", "last_update_time_since_epoch"), value=1e300, at=7, everywhere=False)
@example(damage=("Context", "name"), value=b"\xff\xfe\x00", at=1, everywhere=True)
@example(damage=("Execution", "id"), value="x", at=4, everywhere=False)
@example(damage=("Execution", "id"), value=-(2**63), at=0, everywhere=False)
@example(damage=("MLMDEnv", "schema_version"), value="x", at=0, everywhere=True)
def test_an_odd_value_costs_no_more_than_its_row(
    damage: tuple[str, str], value: Any, at: int, everywhere: bool
) -> None:
    """However a store is read, looked up, or archived: no other row, no traceback, one line."""
    table, column = damage
    with tempfile.TemporaryDirectory() as folder:
        path = sound_store(Path(folder) / "store.sqlite")
        archive = Path(folder) / "archive"
        with SqliteStore(path) as store:
            update_archive(store, store.payloads, archive, created_ms=0)
        with changing(path) as connection:
            (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            row = at % max(1, number)
            where = "" if everywhere else f" WHERE rowid = {row + 1}"
            connection.execute(f"UPDATE {table} SET {column} = ?{where}", (value,))
        found, said = read(path, lambda path: SqliteStore(path, bulk=False))
        if sqlite_tables.is_installed():
            other, same = read(path, by_bulk)
            assert said == same
            if isinstance(found, Trace) and isinstance(other, Trace):
                assert first_difference(found, other) is None
            else:
                assert found == other
        if not everywhere and table != "MLMDEnv":
            assert isinstance(found, Trace), found
            assert len(found.executions) >= 3 * RUNS - 1
            assert len(found.artifacts) >= 3 * RUNS - 1
        if isinstance(found, Trace):
            for stage in (Stage.INPUT, Stage.VALIDATION):
                describe(segment(found), stage)
            with contextlib.suppress(GraphletsError), SqliteStore(path) as store:
                # It may be another store now: that is refused.
                update_archive(store, store.payloads, archive, created_ms=0)
            with lines() as of_archive, ArchiveStore(archive) as kept:
                assert len(kept.read_trace().executions) >= 3 * RUNS
            assert not of_archive
        # Without the names of pipeline and run a gate refuses; another row stops no decision.
        is_needed = everywhere or table in ("Type", "Context", "MLMDEnv")
        refusals = (GraphletsError,) if is_needed else ()
        with lines() as of_gate, contextlib.suppress(*refusals), by_sql(path) as gated:
            collect(gated, Request(Stage.PRE, "p", f"r{RUNS - 1}", {}), now_ms=10**13)
        assert sum("left out" in line for line in of_gate) <= 1, of_gate


@needs_mlmd
@settings(deterministic, max_examples=20)
@given(damage=damages, value=st.sampled_from(ODD_VALUES), at=st.integers(0, 40))
@example(damage=("Type", "id"), value="x", at=0)
@example(damage=("Execution", "type_id"), value=None, at=3)
@example(damage=("Execution", "last_known_state"), value=2**63 - 1, at=3)
@example(damage=("ArtifactProperty", "is_custom_property"), value="", at=2)
@example(damage=("Event", "milliseconds_since_epoch"), value=1e300, at=2)
def test_the_api_of_ml_metadata_is_kept_from_what_ends_the_process(
    damage: tuple[str, str], value: Any, at: int
) -> None:
    """A file with an odd row is read by SQL, whatever the URI says: one trace, the same line."""
    table, column = damage
    with tempfile.TemporaryDirectory() as folder:
        path = sound_store(Path(folder) / "store.sqlite")
        with changing(path) as connection:
            (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            where = f"rowid = {at % max(1, number) + 1}"
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
        found, said = read(path, by_sql)

        def compare() -> None:
            other, same = read(path, by_mlmd)
            assert [line.removeprefix("sqlite+mlmd://") for line in same] in (said, [])
            if isinstance(found, Trace):
                assert isinstance(other, Trace), other
                assert first_difference(found, other) is None

        in_fork(compare)


def in_fork(work: Callable[[], None]) -> None:
    """Does what may end the process in one of its own."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(300)
    assert process.exitcode == 0


@pytest.mark.parametrize(
    ("table", "column", "value", "named"),
    [
        ("Execution", "id", "x", "Execution 1 (id unknown)"),
        ("Execution", "create_time_since_epoch", "yesterday", "Execution 1 (id 5)"),
        ("Artifact", "state", 1e300, "Artifact 1 (id 5)"),
        ("Event", "execution_id", None, "Event 1 (execution unknown artifact 3)"),
        ("EventPath", "event_id", b"1", "EventPath 1 (event unknown)"),
        ("Association", "context_id", "x", "Association 1 (context unknown execution 2)"),
        (
            "ArtifactProperty",
            "double_value",
            "half",
            "ArtifactProperty 4 (artifact 1, artifact 4, artifact 7, ...)",
        ),
    ],
)
@pytest.mark.parametrize(
    "reader", [by_sql, pytest.param(by_bulk, marks=needs_bulk)], ids=["sql", "bulk"]
)
def test_one_line_says_which_row_was_left_out(
    table: str, column: str, value: object, named: str, reader: Reader, tmp_path: Path
) -> None:
    """The store, the table, how many, and what names the first."""
    path = sound_store(tmp_path / "store.sqlite")
    with changing(path) as connection:
        where = "name = 'ratio'" if table == "ArtifactProperty" else "rowid = 5"
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
    _, said = read(path, reader)
    (line,) = said
    assert line.startswith(f"{path}: ")
    assert f" with values that ML Metadata does not write left out: {named}" in line


@pytest.mark.parametrize(
    "reader", [by_sql, pytest.param(by_bulk, marks=needs_bulk)], ids=["sql", "bulk"]
)
def test_one_line_says_which_rows_name_what_is_not_there(reader: Reader, tmp_path: Path) -> None:
    """All of them, of each table; a part of the store is no reason to say so."""
    path = sound_store(tmp_path / "store.sqlite")
    assert read(path, reader)[1] == []
    with changing(path) as connection:
        connection.execute("DELETE FROM Execution WHERE id IN (2, 12)")
        connection.execute("DELETE FROM Artifact WHERE id = 1")
        connection.execute("DELETE FROM Context WHERE type_id IN (SELECT id FROM Type WHERE "
                           "name = 'node')")  # fmt: skip
        names = [row[0] for row in connection.execute("SELECT id FROM Context ORDER BY id")]
        count = dict(
            connection.execute(
                "SELECT 'Association', count(*) FROM Association WHERE execution_id IN (2, 12) OR "
                f"context_id NOT IN ({', '.join(map(str, names))}) UNION ALL "
                "SELECT 'Event', count(*) FROM Event WHERE execution_id IN (2, 12) OR "
                "artifact_id = 1 UNION ALL "
                "SELECT 'ArtifactProperty', count(*) FROM ArtifactProperty WHERE artifact_id = 1"
            )
        )
    trace, said = read(path, reader)
    assert isinstance(trace, Trace)
    assert (trace.events.dropped, count["Event"]) == (4, 5)  # one has neither end
    (line,) = said
    assert f"{sum(count.values())} rows naming what is not there left out: " in line
    for table, number in count.items():
        assert f"{table} {number} (" in line
    assert "Event 5 (artifact 1, execution 2 artifact 1, execution 2, ...)" in line
    with lines() as of_part, reader(path) as store:
        store.read_trace(pipelines=["p"])
    assert of_part == []


def test_what_is_written_meanwhile_is_not_said_to_be_gone() -> None:
    """A reader without a snapshot sees events of artifacts that were not there when it asked."""
    build = TraceBuilder()
    execution = build.execution("Trainer")
    for _ in range(150):
        build.artifact()
    for artifact in (200, 151, 10):
        build.event(execution, artifact, EventType.INPUT)
    raw = build.raw()
    assert raw["Artifact"]["id"][9] == 10
    raw["Artifact"]["id"][9] = 160
    for moving, said in ((False, "Event 3 (artifact 200, artifact 151, artifact 10)"),
                         (True, "Event 1 (artifact 10)")):  # fmt: skip
        odd = OddRows("s", moving=moving)
        assert assemble(raw.rows(), odd=odd).events.dropped == 3
        assert str(odd).endswith(said)


def test_a_row_of_the_gate_s_look_ups_is_left_out_and_said(tmp_path: Path) -> None:
    """The others are there, and the next decision says the same again."""
    path = sound_store(tmp_path / "store.sqlite")
    with changing(path) as connection:
        connection.execute("UPDATE Execution SET create_time_since_epoch = 'x' WHERE id = 2")
        connection.execute("UPDATE ExecutionProperty SET int_value = 'x', string_value = NULL")
        connection.execute("UPDATE Event SET artifact_id = NULL WHERE execution_id = 3")
    for _ in range(2):
        with lines() as said, by_sql(path) as store, lookups_of(store) as lookups:
            assert lookups is not None
            found = read_neighbourhood(lookups, run="r3", pipeline="p", runs=9)
        assert found is not None
        assert found.trace.executions.id.tolist() == [1, 3, *range(4, 3 * RUNS + 1)]
        (line,) = said
        assert line.startswith(f"{path}: ")
        assert "Execution 1 (id 2)" in line
        assert "Event 2 (" in line


def test_a_row_with_the_id_of_another_is_left_out() -> None:
    """The first row of an id counts; rows are told by what names them, three of a table."""
    build = TraceBuilder()
    for _ in range(6):
        build.execution("Trainer", run="r")
    rows = build.raw().rows()
    rows["Execution"]["id"] = np.array([1, 1, 1, 1, 1, 6])
    odd = OddRows("s")
    leave_out_odd_rows(rows, odd)
    assert rows["Execution"]["id"].tolist() == [1, 6]
    assert len(rows["Execution"]["type"]) == 2
    assert str(odd).endswith("left out: Execution 4 (id 1, id 1, id 1, ...)")


def test_a_row_without_a_name_or_a_type_is_left_out() -> None:
    """A damaged archive may hold such; a key of an event and a text of a property may be none."""
    build = TraceBuilder()
    for number in range(3):
        one = build.execution("Trainer", run="r", steps=number)
        build.event(one, build.artifact("Model"), EventType.OUTPUT)
    rows = build.raw().rows()
    names = ["steps", None, "steps"]
    rows["ExecutionProperty"]["name"] = Coded.of(names)
    rows["Artifact"]["type"] = Coded.of([None, "Model", "Model"])
    odd = OddRows("s")
    leave_out_odd_rows(rows, odd)
    assert rows["ExecutionProperty"]["int_value"].tolist() == [0, 2]
    assert rows["Artifact"]["id"].tolist() == [2, 3]
    assert len(rows["Event"]["type"]) == 3
    assert str(odd).endswith("left out: Artifact 1 (id 1); ExecutionProperty 1 (execution 2)")
