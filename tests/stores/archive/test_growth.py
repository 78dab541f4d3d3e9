"""An archive that is updated holds what one made anew would hold."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from pipelines.flights import history
from tests import strategies
from tests.stores.archive.growth import grown
from tests.stores.archive.test_archive import InMemory
from tests.stores.mlmd_files import write_store
from tests.stores.readers import Reader, by_mlmd, by_sql, needs_mlmd
from tfx_graphlets.errors import ArchiveError, EmptyStoreError
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads
from tfx_graphlets.stores.archive import append as archive_append
from tfx_graphlets.stores.archive import files as archive_files
from tfx_graphlets.stores.archive.archive import ArchiveUpdate, compact_archive, update_archive
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import RawTables
from tfx_graphlets.trace.trace import Trace, first_difference
from tfx_graphlets.vocabulary import PIPELINE_CONTEXTS, ExecutionState

NOW_MS = 3_000_000

by_each = pytest.mark.parametrize(
    "reader", [pytest.param(by_sql, id="sql"), pytest.param(by_mlmd, id="mlmd", marks=needs_mlmd)]
)


@pytest.fixture(autouse=True, scope="module")
def exact_clocks() -> Iterator[None]:
    """What was not updated since is not read again; files have many portions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_append, "CLOCK_SLACK_MS", 0)
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


def _names(raw: RawTables) -> list[str]:
    return sorted({
        name for name, kind in zip(raw.context_name, raw.context_type) if kind in PIPELINE_CONTEXTS
    })  # fmt: skip


def _in_pipeline(store: Path, name: str) -> Trace | None:
    with by_sql(store) as opened:
        try:
            return opened.read_trace(pipelines=[name])
        except EmptyStoreError:
            return None


def check_growth(raw: RawTables, reader: Reader, folder: Path) -> None:
    """Holds an updated archive against the store, whole and of each pipeline."""
    before, after = grown(raw, random.Random(len(raw.event_execution)))
    first = write_store(folder / "first.sqlite", before)
    second = write_store(folder / "second.sqlite", after)
    directory = folder / "archive"
    try:
        since = update(first, directory, reader).manifest
    except EmptyStoreError:
        return
    with by_sql(second) as store:
        wanted = store.read_trace()
    result = update(second, directory, reader)
    assert first_difference(trace_of(directory), wanted) is None
    assert not update(second, directory, reader).written

    changed = result.changed_pipelines
    assert changed == result.manifest.changed_pipelines(since)
    for compacted in (False, True):
        if compacted:
            manifest = compact_archive(directory)
            assert manifest.by_pipeline
            assert not manifest.changed_pipelines(result.manifest)
            assert first_difference(trace_of(directory), wanted) is None
        for name in _names(after):
            mine = _in_pipeline(second, name)
            if mine is not None:
                assert first_difference(trace_of(directory, pipelines=[name]), mine) is None
            earlier = _in_pipeline(first, name) if name in _names(before) else None
            if mine is not None and (earlier is None or not earlier.equals(mine)):
                assert name in changed


@by_each
@settings(strategies.deterministic, max_examples=15)
@given(raw=strategies.rows())
def test_an_updated_archive_is_one_made_anew(reader: Reader, raw: RawTables) -> None:
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


def test_only_what_is_new_is_written(tmp_path: Path) -> None:
    """Files that were there stay as they are; a new part holds the new rows alone."""
    build, directory = two_runs(), tmp_path / "archive"
    update(stored(tmp_path, build), directory)
    before = bytes_of(directory)
    build.execution("Evaluator", inputs={"model": [2]}, run="r2", pipeline="second")
    result = update(stored(tmp_path, build), directory)
    after = bytes_of(directory)
    assert {name: after[name] for name in before if name != "manifest.json"} == {
        name: content for name, content in before.items() if name != "manifest.json"
    }
    added = [name.partition("-000001-")[0] for name in sorted(after.keys() - before.keys())]
    assert added == ["associations", "events", "executions"]
    assert (result.new_executions, result.new_artifacts, result.new_events) == (1, 0, 1)
    assert result.changed == 0
    assert result.manifest.tables["executions"][1].num_rows == 1
    assert result.manifest.counts["executions"] == 3
    assert result.changed_pipelines == {"second"}
    assert result.manifest.pipelines[0].executions == 1


def test_a_push_is_noticed(tmp_path: Path) -> None:
    """An artifact that gets a property later replaces the one that was archived, once."""
    build, directory = two_runs(), tmp_path / "archive"
    update(stored(tmp_path, build), directory)
    raw = build.raw()
    raw.artifact_update_ms[1] = NOW_MS
    raw.artifact_properties.add(2, "pushed", True, 1, 1)
    result = update(stored(tmp_path, build), directory)
    assert (result.changed, result.manifest.counts["artifacts"]) == (1, 2)
    trace = trace_of(directory)
    assert trace.artifacts.properties.numbers("pushed", 2).tolist()[1] == 1.0
    assert result.changed_pipelines == {"second"}


def test_properties_that_are_gone_are_gone(tmp_path: Path) -> None:
    """The last part's properties are all that an execution has."""
    build, directory = TraceBuilder(), tmp_path / "archive"
    build.execution("Trainer", run="r", pipeline="p", steps=3, epochs=2)
    update(stored(tmp_path, build), directory)
    properties = build.raw().execution_properties
    for column in ("owner", "name", "is_custom", "kind", "value"):
        setattr(properties, column, getattr(properties, column)[:1])
    build.raw().execution_update_ms[0] = NOW_MS
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
    assert not result.manifest.by_pipeline
    assert trace_of(directory, pipeline="second").executions.id.tolist() == [1, 2]
    assert compact_archive(directory).by_pipeline
    assert trace_of(directory, pipeline="second").executions.id.tolist() == [1, 2]


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
    for _ in range(2):
        with ArchiveStore(directory) as archive:
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
        other.raw().execution_create_ms[0] += 1
    else:
        archived.raw().execution_id[:] = [11, 12]
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


@pytest.mark.parametrize("reader", [by_sql, pytest.param(by_mlmd, marks=needs_mlmd)])
def test_an_archive_of_the_first_format_is_continued(reader: Reader, tmp_path: Path) -> None:
    """A recorded archive of format 1 is read, appended to, and merged into the new format."""
    recorded = next(
        one for one in history.archives()
        if json.loads((one / "manifest.json").read_text())["format_version"] == 1
    )  # fmt: skip
    directory = tmp_path / "archive"
    shutil.copytree(recorded, directory)
    with open_store(recorded) as archive:
        trace = archive.read_trace()
        uri = next(uri for uri in trace.artifacts.uri if archive.payloads.files(uri))
        content = archive.payloads.read(uri, archive.payloads.files(uri)[0])
        raw = _raw_of(trace)
    raw.execution_id.append(10_000)
    for column, value in (
        ("type", "tfx.Trainer"), ("state", int(ExecutionState.COMPLETE)), ("create_ms", NOW_MS),
        ("update_ms", NOW_MS),
    ):  # fmt: skip
        getattr(raw, f"execution_{column}").append(value)
    raw.association.append((raw.context_id[0], 10_000))
    store = write_store(tmp_path / "store.sqlite", raw)
    result = update(store, directory, reader, scrub=True)
    assert (result.new_executions, result.new_artifacts, result.changed) == (1, 0, 0)
    assert not update(store, directory, reader, scrub=True).written
    assert {file.name: file.read_bytes() for file in recorded.glob("*.parquet")}.items() <= (
        bytes_of(directory).items()
    )
    with by_sql(store) as opened:
        wanted = opened.read_trace()
    for _ in range(2):
        with open_store(directory) as archive:
            assert first_difference(archive.read_trace(), wanted) is None
            assert archive.payloads.read(uri, archive.payloads.files(uri)[0]) == content
        manifest = compact_archive(directory)
    assert manifest.by_pipeline
    assert manifest.counts["payloads"] == archive.manifest.counts["payloads"]


def _raw_of(trace: Trace) -> RawTables:
    """The rows of a trace."""
    from tfx_graphlets.trace.assembly import RawProperties

    raw = RawTables()
    for kind in ("execution", "artifact"):
        nodes = getattr(trace, f"{kind}s")
        properties = RawProperties()
        values = nodes.properties
        for row, owner in enumerate(nodes.id[values.owner].tolist()):
            code, number = int(values.string_code[row]), int(values.kind[row])
            value = (
                values.strings[code] if code >= 0
                else float(values.double_value[row]) if number == 2
                else int(values.int_value[row])
            )  # fmt: skip
            properties.add(
                owner, values.names[values.name[row]], bool(values.is_custom[row]), number, value
            )
        setattr(raw, f"{kind}_id", nodes.id.tolist())
        setattr(raw, f"{kind}_type", [nodes.type_names[code] for code in nodes.type])
        for column in ("state", "create_ms", "update_ms"):
            setattr(raw, f"{kind}_{column}", getattr(nodes, column).tolist())
        setattr(raw, f"{kind}_properties", properties)
    raw.artifact_uri = list(trace.artifacts.uri)
    events, contexts = trace.events, trace.contexts
    raw.event_execution = trace.executions.id[events.execution].tolist()
    raw.event_artifact = trace.artifacts.id[events.artifact].tolist()
    raw.event_type, raw.event_ms = events.type.tolist(), events.time_ms.tolist()
    raw.event_key = [events.keys[code] if code >= 0 else None for code in events.key]
    raw.context_id, raw.context_name = contexts.id.tolist(), list(contexts.name)
    raw.context_type = [contexts.type_names[code] for code in contexts.type]
    raw.context_create_ms = contexts.create_ms.tolist()
    raw.association = list(zip(
        contexts.id[contexts.association_context].tolist(),
        trace.executions.id[contexts.association_execution].tolist(),
    ))  # fmt: skip
    raw.attribution = list(zip(
        contexts.id[contexts.attribution_context].tolist(),
        trace.artifacts.id[contexts.attribution_artifact].tolist(),
    ))  # fmt: skip
    return raw
