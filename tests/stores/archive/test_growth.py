"""An archive that is updated holds what one made anew would hold."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.row_lists import rows_of
from tests.stores.archive.growth import grown
from tests.stores.archive.test_archive import InMemory
from tests.stores.mlmd_files import write_store
from tests.stores.readers import Reader, by_mlmd, by_sql, needs_mlmd
from tfx_graphlets.errors import ArchiveError, EmptyStoreError
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads
from tfx_graphlets.stores.archive import files as archive_files
from tfx_graphlets.stores.archive.archive import ArchiveUpdate, compact_archive, update_archive
from tfx_graphlets.stores.archive.format import TABLES
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import Trace, first_difference
from tfx_graphlets.vocabulary import PIPELINE_CONTEXTS

NOW_MS = 3_000_000

by_each = pytest.mark.parametrize(
    "reader", [pytest.param(by_sql, id="sql"), pytest.param(by_mlmd, id="mlmd", marks=needs_mlmd)]
)


@pytest.fixture(autouse=True, scope="module")
def small_portions() -> Iterator[None]:
    """Files have many portions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_files, "_ROWS_AT_ONCE", 3)
        yield


def update(
    store: Path, directory: Path, reader: Reader = by_sql, payloads: Payloads | None = None,
    **options: object,
) -> ArchiveUpdate:  # fmt: skip
    """The archive of a SQLite file, brought up to date."""
    with reader(store) as opened:
        return update_archive(
            opened, payloads or NoPayloads(), directory, created_ms=NOW_MS,
            **{"scrub": False, **options},
        )  # fmt: skip


def trace_of(directory: Path, **options: object) -> Trace:
    """The trace that an archive holds."""
    with open_store(directory) as store:
        return store.read_trace(**options)


def bytes_of(directory: Path) -> dict[str, bytes]:
    """Every file of an archive."""
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def _names(raw: RowBuilder) -> list[str]:
    return sorted({
        name for _, kind, name, _ in rows_of(raw, "Context") if kind in PIPELINE_CONTEXTS
    })  # fmt: skip


def _in_pipeline(store: Path, name: str) -> Trace | None:
    with by_sql(store) as opened:
        try:
            return opened.read_trace(pipelines=[name])
        except EmptyStoreError:
            return None


def check_growth(raw: RowBuilder, reader: Reader, folder: Path) -> None:
    """Holds an updated archive against the store, whole and of each pipeline, and one made anew."""
    before, after = grown(raw, random.Random(len(raw["Event"]["execution"])))
    first = write_store(folder / "first.sqlite", before)
    second = write_store(folder / "second.sqlite", after)
    directory = folder / "archive"
    try:
        update(first, directory, reader)
    except EmptyStoreError:
        return
    with by_sql(second) as store:
        wanted = store.read_trace()
    result = update(second, directory, reader)
    assert first_difference(trace_of(directory), wanted) is None
    assert not update(second, directory, reader).written

    for name in _names(after):
        mine = _in_pipeline(second, name)
        if mine is not None:
            assert first_difference(trace_of(directory, pipelines=[name]), mine) is None
        earlier = _in_pipeline(first, name) if name in _names(before) else None
        if mine is not None and (earlier is None or not earlier.equals(mine)):
            assert name in result.changed_pipelines

    update(second, folder / "anew", reader)
    assert bytes_of(directory).keys() == bytes_of(folder / "anew").keys()  # named by content


@by_each
@settings(strategies.deterministic, max_examples=15)
@given(raw=strategies.rows())
def test_an_updated_archive_is_one_made_anew(reader: Reader, raw: RowBuilder) -> None:
    """Whatever a store had before, its archive holds what the store holds now, by pipeline too."""
    with tempfile.TemporaryDirectory() as folder:
        check_growth(raw, reader, Path(folder))


# -- what is appended ---------------------------------------------------------------------


def two_runs() -> TraceBuilder:
    """Two pipelines with a run each; the model of the second is not yet pushed."""
    build = TraceBuilder()
    data = build.artifact("Examples", uri="gen/1")
    build.execution("CsvExampleGen", outputs={"examples": [data]}, run="r1", pipeline="first")
    model = build.artifact("Model", uri="model/2")
    build.execution("Trainer", outputs={"model": [model]}, run="r2", pipeline="second")
    return build


def stored(folder: Path, build: TraceBuilder, name: str = "store") -> Path:
    """The builder's rows as a SQLite file that replaces the last one of the name."""
    path = folder / f"{name}.sqlite"
    path.unlink(missing_ok=True)
    return write_store(path, build.raw())


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    """A second run leaves every byte as it was, and says so."""
    store, directory = stored(tmp_path, two_runs()), tmp_path / "archive"
    assert update(store, directory).written
    before = bytes_of(directory)
    result = update(store, directory)
    assert not result.written
    assert str(result).endswith("nothing is new")
    assert bytes_of(directory) == before


def test_what_is_new_is_told(tmp_path: Path) -> None:
    """How many rows were added, and in which pipelines; one file a table, old ones are gone."""
    build, directory = two_runs(), tmp_path / "archive"
    update(stored(tmp_path, build), directory)
    before = bytes_of(directory)
    build.execution("Evaluator", inputs={"model": [2]}, run="r2", pipeline="second")
    result = update(stored(tmp_path, build), directory)
    after = bytes_of(directory)
    assert (result.new_executions, result.new_artifacts, result.new_events) == (1, 0, 1)
    assert result.changed == 0
    assert result.manifest.counts["executions"] == 3
    assert result.changed_pipelines == {"second"}
    assert sorted(name.rpartition("-")[0] for name in after) == ["", *sorted(TABLES)]
    same = {name.rpartition("-")[0] for name in before.keys() & after.keys()} - {""}
    assert same == {  # as before to the last byte
        "artifacts", "artifact_properties", "attributions", "contexts", "execution_properties",
        "payloads", "payload_contents",
    }  # fmt: skip


def test_a_push_is_noticed(tmp_path: Path) -> None:
    """An artifact that gets a property later replaces the one that was archived, once."""
    build, directory = two_runs(), tmp_path / "archive"
    update(stored(tmp_path, build), directory)
    raw = build.raw()
    raw["Artifact"]["update_ms"][1] = NOW_MS
    raw.add_property("Artifact", 2, "pushed", True, 1, 1)
    result = update(stored(tmp_path, build), directory)
    assert (result.changed, result.manifest.counts["artifacts"]) == (1, 2)
    trace = trace_of(directory)
    assert trace.artifacts.properties.numbers("pushed", 2).tolist()[1] == 1.0
    assert result.changed_pipelines == {"second"}


def test_properties_that_are_gone_are_gone(tmp_path: Path) -> None:
    """Of a changed execution the store's properties are all that it has."""
    build, directory = TraceBuilder(), tmp_path / "archive"
    build.execution("Trainer", run="r", pipeline="p", steps=3, epochs=2)
    update(stored(tmp_path, build), directory)
    for column in build.raw()["ExecutionProperty"].values():
        del column[1:]
    build.raw()["Execution"]["update_ms"][0] = NOW_MS
    update(stored(tmp_path, build), directory)
    assert len(trace_of(directory).executions.properties) == 1


@by_each
def test_what_was_deleted_stays(reader: Reader, tmp_path: Path) -> None:
    """Kubeflow Pipelines collects old runs as garbage; their history is kept."""
    build, directory = two_runs(), tmp_path / "archive"
    store = stored(tmp_path, build)
    update(store, directory, reader)
    wanted = trace_of(directory)
    with sqlite3.connect(store) as connection:
        for query in (
            "Execution WHERE id = 1", "Artifact WHERE id = 1", "Event WHERE execution_id = 1",
            "Association WHERE execution_id = 1",
        ):  # fmt: skip
            connection.execute(f"DELETE FROM {query}")
    connection.close()
    assert update(store, directory, reader).new_executions == 0
    trace = trace_of(directory)
    assert first_difference(trace.executions, wanted.executions) is None
    assert first_difference(trace.contexts, wanted.contexts) is None
    assert trace.events.artifact.tolist() == [0, 1]


def test_a_shared_artifact_is_read_with_each_pipeline(tmp_path: Path) -> None:
    """An archived artifact that another pipeline takes in is found by that pipeline too."""
    build, directory = two_runs(), tmp_path / "archive"
    update(stored(tmp_path, build), directory)
    build.execution("Transform", inputs={"examples": [1]}, run="r3", pipeline="third")
    result = update(stored(tmp_path, build), directory)
    assert result.changed_pipelines == {"third"}
    assert trace_of(directory, pipeline="third").artifacts.id.tolist() == [1]
    assert trace_of(directory, pipeline="first").artifacts.id.tolist() == [1]


def test_an_execution_in_another_pipeline_is_found_there(tmp_path: Path) -> None:
    """What is put into a second pipeline is read with it, although its rows stand elsewhere."""
    build, directory = two_runs(), tmp_path / "archive"
    update(stored(tmp_path, build), directory)
    build.associate(1, "pipeline", "second")
    result = update(stored(tmp_path, build), directory)
    assert result.changed_pipelines == {"first", "second"}
    for name, wanted in (("first", [1]), ("second", [1, 2])):
        assert trace_of(directory, pipelines=[name]).executions.id.tolist() == wanted


def test_rows_that_turn_up_late_are_read(tmp_path: Path) -> None:
    """A server may show a row after rows with higher ids: it is appended when it is there."""
    build, directory = two_runs(), tmp_path / "archive"
    store = stored(tmp_path, build)
    with by_sql(store) as opened:
        wanted = opened.read_trace()
    late = ("Event", "Association", "Execution", "Artifact", "Context")
    with sqlite3.connect(store) as connection:
        kept = {
            table: connection.execute(f"SELECT * FROM {table} WHERE id = 1").fetchone()
            for table in late
        }
        for table in late:
            connection.execute(f"DELETE FROM {table} WHERE id = 1")
        connection.execute("DELETE FROM Association WHERE execution_id = 1 OR context_id = 1")
        second = (2, kept["Association"][1] + 1, 1)
    connection.close()
    update(store, directory)
    with sqlite3.connect(store) as connection:
        for table in late:
            marks = ", ".join("?" * len(kept[table]))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", kept[table])
        connection.execute("INSERT INTO Association VALUES (?, ?, ?)", second)
    connection.close()
    update(store, directory)
    assert first_difference(trace_of(directory), wanted) is None


def test_new_files_are_kept_and_old_ones_not_read_again(tmp_path: Path) -> None:
    """Only files of new and changed artifacts are read; a content that is there is not repeated."""
    build, directory = TraceBuilder(), tmp_path / "archive"
    build.artifact("Schema", uri="schema/1")
    build.execution("SchemaGen", outputs={"schema": [1]}, run="r", pipeline="p")
    files = {"schema/1": {"schema.pbtxt": b"a"}}
    update(stored(tmp_path, build), directory, payloads=InMemory(files))
    build.artifact("Schema", uri="schema/2")
    build.artifact("Schema", uri="schema/3")
    build.execution("SchemaGen", outputs={"schema": [2, 3]}, run="r", pipeline="p")
    more = {"schema/2": {"schema.pbtxt": b"a"}, "schema/3": {"schema.pbtxt": b"b"}}
    result = update(stored(tmp_path, build), directory, payloads=InMemory(more))
    for num_files in (2, 1):
        with ArchiveStore(directory) as archive:
            assert len(archive.manifest.tables["payload_contents"]) == num_files
            counts = archive.manifest.counts
            assert (counts["payloads"], counts["payload_contents"]) == (3, 2)
            for uri, names in {**files, **more}.items():
                assert archive.payloads.files(uri) == ("schema.pbtxt",)
                assert archive.payloads.read(uri, "schema.pbtxt") == names["schema.pbtxt"]
        compact_archive(directory)
    assert result.manifest.tables["payload_contents"][1].num_rows == 1


# -- which archive, which store ------------------------------------------------------------


@by_each
@pytest.mark.parametrize("difference", ["time", "shorter"])
def test_another_store_is_refused(reader: Reader, difference: str, tmp_path: Path) -> None:
    """Ids that stand for other executions are found before anything is written."""
    directory = tmp_path / "archive"
    archived, other = two_runs(), two_runs()
    if difference == "time":
        other.raw()["Execution"]["create_ms"][0] += 1
    else:
        archived.raw()["Execution"]["id"][:] = [11, 12]
    update(stored(tmp_path, archived), directory, reader)
    before = bytes_of(directory)
    with pytest.raises(ArchiveError, match=r"another store.*--replace"):
        update(stored(tmp_path, other, "other"), directory, reader)
    assert bytes_of(directory) == before


def test_other_options_are_refused(tmp_path: Path) -> None:
    """An archive of all is not continued by that of one pipeline, nor a scrubbed one unscrubbed."""
    store, directory = stored(tmp_path, two_runs()), tmp_path / "archive"
    update(store, directory)
    with pytest.raises(ArchiveError, match=r"archive of all pipelines.*'first' is asked for"):
        update(store, directory, pipeline="first")
    with pytest.raises(ArchiveError, match="written with scrub=False"):
        update(store, directory, scrub=True)


@by_each
def test_one_pipeline_is_continued(reader: Reader, tmp_path: Path) -> None:
    """An archive of one pipeline gets what is new in its graphlets, in whatever pipeline."""
    build, directory = two_runs(), tmp_path / "archive"
    update(stored(tmp_path, build), directory, reader, pipeline="second")
    build.execution("Pusher", inputs={"model": [2]}, run="r2", pipeline="second")
    build.execution("Pusher", inputs={"model": [2]}, run="r1", pipeline="first")
    build.execution("CsvExampleGen", run="r1", pipeline="first")
    store = stored(tmp_path, build)
    result = update(store, directory, reader, pipeline="second")
    assert result.new_executions == 2
    with by_sql(store) as opened:
        wanted = opened.read_trace(pipeline="second")
    assert first_difference(trace_of(directory), wanted) is None
    assert not update(store, directory, reader, pipeline="second").written
