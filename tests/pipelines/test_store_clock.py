"""The store of a recording carries the schedule's clock."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from ml_metadata.proto import metadata_store_pb2 as pb

from pipelines.flights import operations
from tfx_graphlets import open_store

AT = dt.datetime(2013, 6, 3, 10, 30)  # noqa: DTZ001 - the schedule's clock has no zone
AT_MS = round(AT.replace(tzinfo=dt.timezone.utc).timestamp() * 1000)
HOUR_MS = 3600 * 1000


def add_run(store_file: Path) -> None:
    """Leaves an execution with an output in a store, as a run does."""
    store = operations.connect(str(store_file))
    kind = store.put_execution_type(pb.ExecutionType(name="Trainer"))
    model = store.put_artifact_type(pb.ArtifactType(name="Model"))
    context = store.put_context_type(pb.ContextType(name="pipeline_run"))
    number = len(store.get_executions())
    store.put_execution(
        pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE),
        [(pb.Artifact(type_id=model, uri="m"), pb.Event(type=pb.Event.OUTPUT))],
        [pb.Context(type_id=context, name=f"run-{number}")],
    )


def times(store_file: Path) -> list[int]:
    """Every time in the store, milliseconds since the epoch."""
    with closing(sqlite3.connect(store_file)) as connection:
        found: list[int] = []
        for table in ("Artifact", "Execution", "Context"):
            columns = "create_time_since_epoch, last_update_time_since_epoch"
            for row in connection.execute(f"SELECT {columns} FROM {table}"):
                found += row
        found += [
            row[0] for row in connection.execute("SELECT milliseconds_since_epoch FROM Event")
        ]
    return found


@pytest.mark.tfx
def test_a_run_is_moved_and_those_before_it_stay(tmp_path: Path) -> None:
    """Each run lies at its own start by the schedule's clock, with the distances it had."""
    file = tmp_path / "metadata.sqlite"
    started = time.time()
    add_run(file)
    before = times(file)
    operations.move_to_clock(str(file), started, AT)
    first = times(file)
    assert {after - was for after, was in zip(first, before)} == {AT_MS - round(started * 1000)}
    assert all(AT_MS - 1000 <= one < AT_MS + HOUR_MS for one in first)
    started = time.time()
    add_run(file)
    operations.move_to_clock(str(file), started, AT + dt.timedelta(hours=30))
    second = times(file)
    assert sorted(second)[: len(first)] == sorted(first)
    assert all(one >= AT_MS + 30 * HOUR_MS - 1000 for one in sorted(second)[len(first) :])


@pytest.mark.tfx
def test_what_an_interrupted_attempt_left_is_moved_with_the_next(tmp_path: Path) -> None:
    """Nothing keeps the time of the recording."""
    file = tmp_path / "metadata.sqlite"
    add_run(file)
    add_run(file)
    operations.move_to_clock(str(file), time.time(), AT)
    assert all(one < AT_MS + HOUR_MS for one in times(file))


@pytest.mark.tfx
def test_the_trace_has_the_hours_between_runs(tmp_path: Path) -> None:
    """What is read from the store lies 30 hours apart, as the schedule says."""
    file = tmp_path / "metadata.sqlite"
    for hours in (0, 30):
        started = time.time()
        add_run(file)
        operations.move_to_clock(str(file), started, AT + dt.timedelta(hours=hours))
    with open_store(file) as store:
        create = store.read_trace().executions.create_ms
    assert abs(int(create[1] - create[0]) - 30 * HOUR_MS) < 1000


def test_without_a_store_nothing_happens(tmp_path: Path) -> None:
    """A run that failed before its first node left no store."""
    operations.move_to_clock(str(tmp_path / "none.sqlite"), 0.0, AT)
    assert list(tmp_path.iterdir()) == []
