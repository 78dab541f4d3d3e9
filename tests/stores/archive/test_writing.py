"""Writing to an archive: interrupted anywhere, it stays what it was; parts are merged."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.stores.archive.test_archive import InMemory
from tests.stores.mlmd_files import write_store
from tfx_graphlets.errors import ArchiveError, StoreNotFoundError
from tfx_graphlets.stores.archive import archive
from tfx_graphlets.stores.archive import files as archive_files
from tfx_graphlets.stores.archive.archive import ArchiveUpdate, compact_archive, update_archive
from tfx_graphlets.stores.archive.format import MANIFEST, TABLES, Manifest
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import Trace, first_difference


def history(runs: int) -> TraceBuilder:
    """So many runs of a pipeline, each with a schema."""
    build = TraceBuilder()
    for number in range(1, runs + 1):
        build.artifact("Schema", uri=f"schema/{number}", run=number)
        build.execution(
            "SchemaGen", outputs={"schema": [number]}, run=f"r{number}",
            pipeline=f"pipeline-{number % 3}", steps=number,
        )  # fmt: skip
    return build


def files(runs: int) -> InMemory:
    """The schemas of ``history``."""
    return InMemory({
        f"schema/{number}": {"schema.pbtxt": b"schema %d" % (number // 2)}
        for number in range(1, runs + 1)
    })  # fmt: skip


def update(folder: Path, runs: int) -> ArchiveUpdate:
    """The archive ``archive`` in the folder, of a store with so many runs."""
    store = folder / "store.sqlite"
    store.unlink(missing_ok=True)
    with open_store(write_store(store, history(runs).raw())) as opened:
        return update_archive(opened, files(runs), folder / "archive", created_ms=runs)


def trace_of(directory: Path) -> Trace:
    """What the archive holds."""
    with open_store(directory) as store:
        return store.read_trace()


def bytes_of(directory: Path) -> dict[str, bytes]:
    """Every file of an archive."""
    return {file.name: file.read_bytes() for file in directory.iterdir()}


class PowerCutError(BaseException):
    """The machine stops: nothing more is done."""


# What touches the disk while an archive is written, and reading it anew meanwhile.
STEPS = (
    (Path, "mkdir"), (Path, "open"), (Path, "read_bytes"), (Path, "rename"), (Path, "replace"),
    (Path, "rmdir"), (Path, "stat"), (Path, "unlink"), (Path, "write_text"), (os, "fsync"),
    (os, "open"), (pq.ParquetWriter, "__init__"), (pq.ParquetWriter, "write_table"),
    (pq.ParquetWriter, "close"),
)  # fmt: skip


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Stops at the n-th step on the disk: for good, as a power cut, or once, as by Ctrl-C.

    Says whether it has stopped since it was called last.
    """
    left, last, error = [10**9], [True], [BaseException()]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] == -1 or (left[0] < 0 and last[0]):
                raise error[0]
            return call(*arguments, **options)

        return wrapper

    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))

    def set_steps(
        number: int = 10**9, *, for_good: bool = True, raised: BaseException | None = None
    ) -> bool:
        has_stopped = left[0] < 0
        left[0], last[0], error[0] = number, for_good, raised or PowerCutError()
        return has_stopped

    return set_steps


STOPS = {
    "power": (True, PowerCutError()),
    "interrupt": (False, KeyboardInterrupt()),
    "full": (False, OSError(errno.ENOSPC, "No space left on device")),
}


@pytest.mark.parametrize(
    ("write", "stop"),
    [("replace", "power"), *itertools.product(("first", "update", "compact"), STOPS)],
)
def test_a_write_may_stop_anywhere(
    write: str,
    stop: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    steps: Callable[..., bool],
) -> None:
    """After a stop at any step the archive is the old one or the new one, and can be written to."""
    for_good, raised = STOPS[stop]
    directory, old = tmp_path / "archive", None
    if write != "first":
        update(tmp_path, 2)
        update(tmp_path, 3)
        old = trace_of(directory)
    saved = tmp_path_factory.mktemp("saved") / "archive"
    store = tmp_path / "store.sqlite"
    store.unlink(missing_ok=True)
    write_store(store, history({"replace": 1, "compact": 3}.get(write, 5)).raw())
    with open_store(store) as opened:
        new = opened.read_trace()
        seen = set()
        if old is not None:
            shutil.copytree(directory, saved)
        for number in range(1000):
            steps(number, for_good=for_good, raised=raised)
            message = ""
            try:
                if write == "compact":
                    compact_archive(directory)
                else:
                    update_archive(
                        opened, files(5), directory, created_ms=9, replace=write == "replace"
                    )
            except (PowerCutError, KeyboardInterrupt):
                pass
            except ArchiveError as error:
                message = str(error)
            stopped = steps()
            assert not message or "No space left" in message
            is_new = False
            if (directory / MANIFEST).is_file():
                now = trace_of(directory)
                is_new = first_difference(now, new) is None
                assert is_new or (old is not None and first_difference(now, old) is None)
            else:
                assert old is None
                assert not directory.exists()
            seen.add(is_new)
            if not stopped:
                break
            if is_new:  # for the next steps: as it was
                shutil.rmtree(directory)
                if old is not None:
                    shutil.copytree(saved, directory)
    assert number > (8 if write == "compact" else 100)
    assert seen == ({True} if write == "compact" else {False, True})
    update(tmp_path, 6)
    assert (
        first_difference(trace_of(directory).executions, _store_trace(tmp_path).executions) is None
    )
    assert {file.name for file in directory.iterdir()} == {
        MANIFEST, *Manifest.read(directory, "a").files,
    }  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "store.sqlite"}


def _write_for_ever(folder: str) -> None:
    """Updates an archive with the stores that stand beside it, in turn; nothing is forgotten."""
    while True:
        for runs in (2, 4, 3, 5):
            with open_store(Path(folder) / f"{runs}.sqlite") as opened:
                update_archive(
                    opened, files(5), Path(folder) / "archive", created_ms=runs,
                    replace=runs in (2, 3),
                )  # fmt: skip


@pytest.mark.long
def test_a_writer_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    """kill -9 at random moments: the archive is whole, and the next write leaves nothing about."""
    held = set()
    for runs in (2, 3, 4, 5):
        write_store(tmp_path / f"{runs}.sqlite", history(runs).raw())
    context = multiprocessing.get_context("spawn")
    randomness = random.Random(0)
    for _ in range(12):
        process = context.Process(target=_write_for_ever, args=(str(tmp_path),))
        process.start()
        while not (tmp_path / "archive" / MANIFEST).exists():
            time.sleep(0.01)
        time.sleep(randomness.uniform(0.5, 1.2))
        process.kill()
        process.join()
        with open_store(tmp_path / "archive") as archive:
            trace = archive.read_trace()
            held.add(len(trace.executions))
            for uri in trace.artifacts.uri:
                assert archive.payloads.read(uri, "schema.pbtxt") is not None
    assert held <= {2, 3, 4, 5}
    update(tmp_path, 6)
    assert {file.name for file in (tmp_path / "archive").iterdir()} == {
        MANIFEST, *Manifest.read(tmp_path / "archive", "a").files,
    }  # fmt: skip


def test_who_reads_is_not_disturbed_by_who_writes(tmp_path: Path) -> None:
    """While another process writes, every reader opens and reads one state of the archive."""
    for runs in (2, 3, 4, 5):
        write_store(tmp_path / f"{runs}.sqlite", history(runs).raw())
    update(tmp_path, 2)
    process = multiprocessing.get_context("spawn").Process(
        target=_write_for_ever, args=(str(tmp_path),)
    )
    process.start()
    try:
        seen, until = set(), time.monotonic() + 60
        while len(seen) < 4 and time.monotonic() < until:
            with open_store(tmp_path / "archive") as archive:
                trace = archive.read_trace()
                seen.add(len(trace.executions))
                assert len(trace.events) == len(trace.executions)
                for uri in trace.artifacts.uri:
                    assert archive.payloads.read(uri, "schema.pbtxt") is not None
    finally:
        process.kill()
        process.join()
    assert seen == {2, 3, 4, 5}


def _store_trace(folder: Path) -> Trace:
    with open_store(folder / "store.sqlite") as store:
        return store.read_trace()


def test_what_an_interrupted_write_left_is_removed(tmp_path: Path) -> None:
    """Strays and drafts go with the next call, though nothing is new; files of others stay."""
    update(tmp_path, 2)
    directory = tmp_path / "archive"
    strays = [
        "events-0123456789abcdef.parquet", ".events.tfx-graphlets-draft.77",
        ".manifest.json.tfx-graphlets-draft.999999999",
    ]  # fmt: skip
    for name in (*strays, "notes.txt"):
        (directory / name).write_text("left behind", encoding="utf-8")
    assert not update(tmp_path, 2).written
    names = {file.name for file in directory.iterdir()}
    assert not names & {*strays}
    assert "notes.txt" in names


def test_a_directory_without_a_manifest_is_left_alone(tmp_path: Path) -> None:
    """It may be what is left of an archive, and hold what the store has forgotten."""
    update(tmp_path, 2)
    (tmp_path / "archive" / MANIFEST).unlink()
    before = bytes_of(tmp_path / "archive")
    with pytest.raises(ArchiveError, match="is no archive"):
        update(tmp_path, 3)
    assert bytes_of(tmp_path / "archive") == before


def test_a_failure_leaves_no_part_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a payload cannot be read half way, the directory is as it was."""
    update(tmp_path, 2)
    before = bytes_of(tmp_path / "archive")

    def broken(*_: object) -> bytes:
        raise OSError("disk on fire")

    monkeypatch.setattr(InMemory, "read", broken)
    with pytest.raises(ArchiveError, match="disk on fire"):
        update(tmp_path, 3)
    assert bytes_of(tmp_path / "archive") == before


def test_a_change_by_another_writer_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where locks do not work, the slower of two writers is refused and leaves nothing."""
    update(tmp_path, 2)
    directory = tmp_path / "archive"
    manifest = (directory / MANIFEST).read_text(encoding="utf-8")
    before = {file.name for file in directory.iterdir()}
    read = InMemory.read

    def meanwhile(self: InMemory, uri: str, name: str) -> bytes | None:
        (directory / MANIFEST).write_text(manifest + " ", encoding="utf-8")
        return read(self, uri, name)

    monkeypatch.setattr(InMemory, "read", meanwhile)
    with pytest.raises(ArchiveError, match="changed by another program meanwhile"):
        update(tmp_path, 3)
    assert len(trace_of(directory).executions) == 2
    assert {file.name for file in directory.iterdir()} == before


def _hold(directory: str, pipe: object) -> None:
    with archive_files.locked(Path(directory), directory):
        pipe.send("held")  # type: ignore[attr-defined]
        pipe.recv()  # type: ignore[attr-defined]


def test_a_second_writer_is_told_to_wait(tmp_path: Path) -> None:
    """While another process writes, a write is refused; afterwards it is not."""
    update(tmp_path, 2)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_hold, args=(str(tmp_path / "archive"), there))
    process.start()
    assert here.recv() == "held"
    with pytest.raises(ArchiveError, match="being written by another program"):
        update(tmp_path, 3)
    here.send("done")
    process.join()
    assert update(tmp_path, 3).new_executions == 1


# -- merging ------------------------------------------------------------------------------


def test_many_files_of_contents_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents of files are not written again with each update, but for every so many updates."""
    monkeypatch.setattr(archive, "MOST_PARTS", 3)
    parts = [
        len(update(tmp_path, runs).manifest.tables["payload_contents"]) for runs in range(1, 11, 2)
    ]
    assert parts == [1, 2, 3, 1, 2]
    directory = tmp_path / "archive"
    assert first_difference(trace_of(directory), _store_trace(tmp_path)) is None
    with ArchiveStore(directory) as store:
        for number in range(1, 10):
            assert store.payloads.read(f"schema/{number}", "schema.pbtxt") == (
                b"schema %d" % (number // 2)
            )


def test_merging_is_deterministic_and_done_once(tmp_path: Path) -> None:
    """The same archive gives the same bytes; one that is merged stays as it is."""
    results = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        for runs in (2, 4, 5):
            update(folder, runs)
        compact_archive(folder / "archive")
        results.append(bytes_of(folder / "archive"))
        compact_archive(folder / "archive")
        assert bytes_of(folder / "archive") == results[-1]
    assert results[0] == results[1]


def test_who_opened_an_archive_reads_on(tmp_path: Path) -> None:
    """What was opened before a write, or before files are merged, holds what it held."""
    for runs in (2, 4):
        update(tmp_path, runs)
    directory, before = tmp_path / "archive", _store_trace(tmp_path)
    with open_store(directory) as store:
        compact_archive(directory)
        update(tmp_path, 5)
        update(tmp_path, 6)
        assert first_difference(store.read_trace(), before) is None
        assert store.payloads.read("schema/4", "schema.pbtxt") == b"schema 2"


def test_there_must_be_something_to_merge(tmp_path: Path) -> None:
    """A directory that is no archive is not merged."""
    with pytest.raises((ArchiveError, StoreNotFoundError), match=r"manifest\.json"):
        compact_archive(tmp_path)


def test_a_first_write_has_a_file_of_each_table(tmp_path: Path) -> None:
    """Tables without rows are there too, so that every reader finds every table."""
    result = update(tmp_path, 1)
    assert {table: len(parts) for table, parts in result.manifest.tables.items()} == dict.fromkeys(
        TABLES, 1
    )


def test_work_is_told(tmp_path: Path) -> None:
    """Whoever shows progress learns of every step, and never more steps than there are."""
    told: list[tuple[int, int, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "store.sqlite", history(2).raw())
        with open_store(store) as opened:
            update_archive(
                opened, files(2), tmp_path / "archive", created_ms=0,
                progress=lambda *step: told.append(step),
            )  # fmt: skip
    steps = [part for _, _, part in told]
    assert steps[:3] == [f"reading {store}", "texts", "executions"]
    assert all(done < total for done, total, _ in told)
