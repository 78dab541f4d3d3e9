"""Writing to an archive: interrupted anywhere, it stays what it was; parts are merged."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.stores.archive.test_archive import InMemory
from tests.stores.mlmd_files import write_store
from tfx_graphlets.errors import ArchiveError, StoreNotFoundError
from tfx_graphlets.stores.archive import archive
from tfx_graphlets.stores.archive import files as archive_files
from tfx_graphlets.stores.archive.archive import ArchiveUpdate, compact_archive, update_archive
from tfx_graphlets.stores.archive.format import MANIFEST, TABLES, Manifest, ranges_of
from tfx_graphlets.stores.archive.hashing import row_hashes, text_hashes
from tfx_graphlets.stores.archive.mark import LATE_IDS, TableMark
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


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Stops at the n-th step on the disk: for good, as a power cut, or once, as by Ctrl-C."""
    left, for_good = [10**9], [True]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] == -1 or (left[0] < 0 and for_good[0]):
                raise PowerCutError
            return call(*arguments, **options)

        return wrapper

    for owner, name in (
        (Path, "replace"), (Path, "unlink"), (Path, "open"), (os, "fsync"),
        (archive_files.PartFiles, "write"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))

    def set_steps(number: int, last: bool = True) -> None:
        left[0], for_good[0] = number, last

    return set_steps


@pytest.mark.parametrize("for_good", [True, False], ids=["power", "interrupt"])
@pytest.mark.parametrize("write", ["append", "compact"])
def test_a_write_may_stop_anywhere(
    write: str, for_good: bool, tmp_path: Path, steps: Callable[[int, bool], None]
) -> None:
    """After a stop at any step the archive is the old one or the new one, and can be written to."""
    update(tmp_path, 2)
    update(tmp_path, 3)
    directory = tmp_path / "archive"
    old = trace_of(directory)
    store = tmp_path / "store.sqlite"
    store.unlink()
    write_store(store, history(5 if write == "append" else 3).raw())
    with open_store(store) as opened:
        new = opened.read_trace()
        seen = set()
        for number in range(1000):
            steps(number, for_good)
            stopped = False
            try:
                if write == "append":
                    update_archive(opened, files(5), directory, created_ms=9)
                else:
                    compact_archive(directory)
            except PowerCutError:
                stopped = True
            steps(10**9, True)
            now = trace_of(directory)
            is_new = first_difference(now, new) is None
            assert is_new or first_difference(now, old) is None
            seen.add(is_new and write == "append")
            if not stopped:
                break
    assert number > 10
    assert seen == ({False, True} if write == "append" else {False})
    update(tmp_path, 6)
    assert (
        first_difference(trace_of(directory).executions, _store_trace(tmp_path).executions) is None
    )
    named = {
        part.file
        for parts in Manifest.read(directory, "a").tables.values() for part in parts
    }  # fmt: skip
    assert named <= {file.name for file in directory.iterdir()}
    assert not [file.name for file in directory.iterdir() if file.name.endswith(".new")]


def _store_trace(folder: Path) -> Trace:
    with open_store(folder / "store.sqlite") as store:
        return store.read_trace()


def test_what_an_interrupted_write_left_is_removed(tmp_path: Path) -> None:
    """Stray parts and temporary files go with the next write; files of others stay."""
    update(tmp_path, 2)
    directory = tmp_path / "archive"
    strays = ["events-000007-0123abcd.parquet", "events-000008.77.new", "manifest.json.new"]
    for name in (*strays, "notes.txt"):
        (directory / name).write_text("left behind", encoding="utf-8")
    update(tmp_path, 3)
    names = {file.name for file in directory.iterdir()}
    assert not names & {*strays}
    assert "notes.txt" in names


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
    read = InMemory.read

    def meanwhile(self: InMemory, uri: str, name: str) -> bytes | None:
        (directory / MANIFEST).write_text(manifest + " ", encoding="utf-8")
        return read(self, uri, name)

    monkeypatch.setattr(InMemory, "read", meanwhile)
    with pytest.raises(ArchiveError, match="changed by another program meanwhile"):
        update(tmp_path, 3)
    assert len(trace_of(directory).executions) == 2
    assert not [file for file in directory.iterdir() if "-000001" in file.name]


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


def test_many_parts_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the most parts there is one of each table again, with the same content."""
    monkeypatch.setattr(archive, "MOST_PARTS", 3)
    merged = [update(tmp_path, runs).compacted for runs in range(1, 6)]
    assert merged == [False, False, False, True, False]
    directory = tmp_path / "archive"
    assert first_difference(trace_of(directory), _store_trace(tmp_path)) is None
    with ArchiveStore(directory) as store:
        for number in range(1, 6):
            assert store.payloads.read(f"schema/{number}", "schema.pbtxt") == (
                b"schema %d" % (number // 2)
            )
        assert dict(store.pipelines()) == {
            one.name: one.executions for one in store.manifest.pipelines
        }


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


def test_who_reads_while_parts_are_merged_reads_on(tmp_path: Path) -> None:
    """An archive that was opened before is still whole after a merge, until the next write."""
    for runs in (2, 4):
        update(tmp_path, runs)
    directory = tmp_path / "archive"
    with open_store(directory) as store:
        compact_archive(directory)
        assert first_difference(store.read_trace(), _store_trace(tmp_path)) is None
    update(tmp_path, 5)
    assert len([*directory.iterdir()]) == sum(
        len(parts) for parts in Manifest.read(directory, "a").tables.values()
    ) + 1  # fmt: skip


def test_there_must_be_something_to_merge(tmp_path: Path) -> None:
    """A directory that is no archive is not merged."""
    with pytest.raises((ArchiveError, StoreNotFoundError), match=r"manifest\.json"):
        compact_archive(tmp_path)


def test_a_first_write_has_a_part_of_each_table(tmp_path: Path) -> None:
    """Tables without rows are there too, so that every reader finds every table."""
    result = update(tmp_path, 1)
    assert {table: len(parts) for table, parts in result.manifest.tables.items()} == dict.fromkeys(
        TABLES, 1
    )


# -- marks, ranges and hashes ---------------------------------------------------------------


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 90)))
def test_a_mark_tells_what_was_read(there: set[int], later: set[int]) -> None:
    """Ids that were there are read; every other one is not, above and below the highest."""
    ids = np.array(sorted(there), np.int64)
    mark = TableMark.after(int(ids.max(initial=-1)), ids)
    unread = mark.unread(np.array(sorted(later), np.int64))
    assert [one for one, new in zip(sorted(later), unread) if new] == sorted(later - there)
    assert all(one >= mark.lowest_late for one in later - there)


def test_a_mark_forgets_what_is_long_gone() -> None:
    """Gaps far below the highest id are of rows that were deleted, or never were."""
    highest = 3 * LATE_IDS
    mark = TableMark.after(highest, np.arange(2 * LATE_IDS, highest + 1))
    assert mark.missing == ()
    assert not mark.unread(np.array([5])).any()


@strategies.deterministic
@given(texts=st.lists(st.one_of(st.none(), st.text(max_size=12))))
def test_texts_hash_by_content_alone(texts: list[str | None]) -> None:
    """The same text gives the same number wherever it stands and however it is kept."""
    array = pa.array([None, *texts], pa.string())
    hashes = text_hashes(array)
    number_of = dict(zip([None, *texts], hashes.tolist()))
    assert [number_of[text] for text in [None, *texts]] == hashes.tolist()
    assert len({*number_of.values()}) == len(number_of)
    assert number_of[None] == 0
    for same in (
        array.dictionary_encode(),
        array.cast(pa.large_string()),
        pa.chunked_array([array]),
    ):
        assert text_hashes(same).tolist() == hashes.tolist()
    assert text_hashes(array.slice(1)).tolist() == hashes[1:].tolist()


def test_row_hashes_tell_columns_and_values_apart() -> None:
    """Swapped columns, another sign and another kind of NaN give other numbers."""
    one, two = np.array([1, 2, -1]), np.array([2, 1, 1])
    hashes = {*row_hashes(one, two).tolist(), *row_hashes(two, one).tolist()}
    assert len(hashes) == 4  # (1, 2) and (2, 1) stand in both
    numbers = np.array([0.0, -0.0, np.nan, 1.0])
    assert len({*row_hashes(numbers).tolist()}) == 4


def test_ranges_are_short() -> None:
    """Neighbouring numbers become one range."""
    assert ranges_of([]) == ()
    assert ranges_of([0, 1, 2, 7]) == ((0, 2), (7, 7))


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
    assert [part for _, _, part in told][:3] == ["the store", "texts", "executions"]
    assert all(done < total for done, total, _ in told)
