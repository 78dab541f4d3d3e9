"""What every reader of a metadata store holds to, whatever it reads from."""

from __future__ import annotations

import copy
import dataclasses
import functools
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tests import strategies
from tests.stores.mlmd_files import write_store
from tests.stores.readers import READERS, Reader, by_bulk, by_mlmd, by_sql, needs_bulk, needs_mlmd
from tfx_graphlets.errors import (
    EmptyStoreError,
    InvalidArgumentError,
    StoreError,
    TraceNotFoundError,
)
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.selection import Columns
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import PropertyKind, first_difference
from tfx_graphlets.vocabulary import EventType, ExecutionState

all_readers = pytest.mark.parametrize("reader", READERS)


def two_pipelines() -> TraceBuilder:
    """Two pipelines; the second takes in the Examples of the first."""
    build = TraceBuilder()
    data = build.artifact("Examples", uri="runs/examples/1", span=7)
    model = build.artifact("Model", uri="runs/model/2")
    build.execution(
        "tfx.CsvExampleGen", outputs={"examples": [data]}, run="r1", pipeline="first",
        node="first.gen", input_base="data", share=0.25,
    )  # fmt: skip
    build.execution(
        "tfx.Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, run="r2",
        pipeline="second", node="second.trainer", module_path="m@1", cold=True,
    )  # fmt: skip
    build.associate(2, "execution_cache", "abc")
    return build


def attributed(build: TraceBuilder, *pairs: tuple[int, int]) -> RowBuilder:
    """The builder's rows with pairs (context, artifact)."""
    build.raw().extend("Attribution", pairs)
    return build.raw()


@all_readers
def test_every_column_comes_back(reader: Reader, tmp_path: Path) -> None:
    """What was written to a store is what the trace of it holds, attributions included."""
    raw = attributed(two_pipelines(), (2, 1), (5, 2), (5, 1))
    with reader(write_store(tmp_path / "store.sqlite", raw)) as store:
        trace = store.read_trace()
    assert first_difference(trace, assemble(raw.rows())) is None
    assert trace.contexts.attribution_artifact.tolist() == [0, 0, 1]


@all_readers
def test_every_kind_of_property_is_read(reader: Reader, tmp_path: Path) -> None:
    """Integers past 2**53, doubles, texts, booleans and structs keep kind and value."""
    build = TraceBuilder()
    artifact = build.artifact("Examples", big=2**62 + 1, ratio=0.3, text="fünf\n", flag=False)
    build.execution("Trainer", inputs={"examples": [artifact]}, run="r")
    add = functools.partial(build.raw().add_property, "Artifact")
    add(artifact, "splits", True, PropertyKind.STRUCT, '{"a": 1, "b": [0.5, null]}')
    add(artifact, "text", False, PropertyKind.STRING, "")
    with reader(write_store(tmp_path / "store.sqlite", build.raw())) as store:
        trace = store.read_trace()
    assert first_difference(trace, assemble(build.raw().rows())) is None
    read = trace.artifacts.properties
    assert read.int_value[read.rows("big")].tolist() == [2**62 + 1]
    assert read.texts("splits", 1) == ['{"a": 1, "b": [0.5, null]}']
    assert set(read.kind.tolist()) == {1, 2, 3, 4, 5}


@all_readers
def test_only_the_properties_asked_for_are_kept(reader: Reader, tmp_path: Path) -> None:
    """With names given, the trace holds no other property, and all else is the same."""
    with reader(write_store(tmp_path / "store.sqlite", two_pipelines().raw())) as store:
        whole, part = store.read_trace(), store.read_trace(properties=["span", "cold", "no such"])
    assert part.artifacts.properties.names == ("span",)
    assert part.executions.properties.names == ("cold",)
    assert part.executions.properties.strings == ()
    assert first_difference(part.events, whole.events) is None
    assert first_difference(part.contexts, whole.contexts) is None


@all_readers
def test_the_state_property_counts_even_if_not_asked_for(reader: Reader, tmp_path: Path) -> None:
    """Without a state in its column, the property ``state`` gives it, whatever is kept."""
    build = TraceBuilder()
    for text in ("complete", "cached", "what"):
        build.execution("Trainer", state=ExecutionState.UNKNOWN, run="r", state_=text)
    names = build.raw()["ExecutionProperty"]["name"]
    names[:] = ["state" for _ in names]
    with reader(write_store(tmp_path / "store.sqlite", build.raw())) as store:
        assert store.read_trace().executions.state.tolist() == [3, 5, 0]
        part = store.read_trace(properties=[])
    assert part.executions.state.tolist() == [3, 5, 0]
    assert len(part.executions.properties) == 0


@all_readers
def test_a_pipeline_is_read_alone(reader: Reader, tmp_path: Path) -> None:
    """Of a pipeline: its executions, what their events name, and the contexts they stand in."""
    raw = attributed(two_pipelines(), (1, 1), (5, 2), (5, 1))
    with reader(write_store(tmp_path / "store.sqlite", raw)) as store:
        trace = store.read_trace(pipelines=["second"])
    assert trace.executions.id.tolist() == [2]
    assert trace.artifacts.id.tolist() == [1, 2]
    assert len(trace.events) == 2
    assert sorted(trace.contexts.name) == ["r2", "second", "second.trainer"]
    assert trace.contexts.association_execution.tolist() == [0, 0, 0]
    assert trace.contexts.id[trace.contexts.attribution_context].tolist() == [5, 5]


@all_readers
def test_several_pipelines_are_read_at_once(reader: Reader, tmp_path: Path) -> None:
    """Both pipelines together are the store without what stands in neither."""
    build = two_pipelines()
    build.execution("Trainer", run="r3", pipeline="third")
    with reader(write_store(tmp_path / "store.sqlite", build.raw())) as store:
        trace = store.read_trace(pipelines=["second", "first"])
    assert trace.executions.id.tolist() == [1, 2]
    assert len(trace.events) == 3
    assert "third" not in trace.contexts.name


@all_readers
@pytest.mark.parametrize(
    "columns", [Columns.ALL, Columns.FOR_FEATURES, Columns(context_types=frozenset())]
)
def test_a_pipeline_by_name_selects_graphlets_and_cuts_nothing(
    reader: Reader, tmp_path: Path, columns: Columns
) -> None:
    """Ingestion, deployment and what was fine-tuned on its models stand in other pipelines."""
    build = spread()
    with reader(write_store(tmp_path / "store.sqlite", build.raw())) as store:
        whole = segment(store.read_trace())
        part = segment(store.read_trace(pipeline="train", columns=columns))
        with pytest.raises(TraceNotFoundError, match="'deploy', 'finetune', 'ingest'"):
            store.read_trace(pipeline="trian")
    mine = [whole[number].to_dict() for number in whole.of(pipeline="train")]
    assert [part[number].to_dict() for number in part.of(pipeline="train")] == mine
    assert [one["outcome"] for one in mine] == ["pushed", "unpushed", "unpushed"]
    assert [one["needed"] for one in mine] == [True, True, False]
    names = set(part.trace.executions.type_names)
    assert "acme.Unrelated" not in names
    assert "acme.Deployer" in names


def spread() -> TraceBuilder:
    """Runs whose data come from a pipeline, and whose models go to two others."""
    build = TraceBuilder()
    for number in range(3):
        data, model = build.artifact("Examples", span=number), build.artifact("Model")
        build.execution(
            "CsvExampleGen", outputs={"examples": [data]}, run=f"i{number}", pipeline="ingest"
        )
        build.execution(
            "StatisticsGen", inputs={"examples": [data]}, run=f"i{number}", pipeline="ingest"
        )
        build.execution(
            "Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, run=f"t{number}",
            pipeline="train", node="train.Trainer",
        )  # fmt: skip
        tuned = build.artifact("Model")
        build.execution(
            "Trainer", inputs={"examples": [data], "base_model": [model]},
            outputs={"model": [tuned]}, run=f"f{number}", pipeline="finetune",
        )  # fmt: skip
        build.execution(
            "acme.Deployer", inputs={"model": [tuned if number else model]}, run=f"d{number}",
            outputs={"pushed": [build.artifact("PushedModel", pushed=int(number < 2))]},
            pipeline="deploy",
        )  # fmt: skip
        build.execution("acme.Unrelated", run=f"u{number}", pipeline="other")
    return build


@all_readers
def test_pipelines_are_named_once(reader: Reader, tmp_path: Path) -> None:
    """Neither both arguments at once, nor an empty list, nor one string for several names."""
    with reader(write_store(tmp_path / "store.sqlite", two_pipelines().raw())) as store:
        for arguments in (
            {"pipeline": "first", "pipelines": ["second"]}, {"pipelines": ()},
            {"pipelines": "first"}, {"properties": "span"},
        ):  # fmt: skip
            with pytest.raises(InvalidArgumentError):
                store.read_trace(**arguments)


@all_readers
def test_pipelines_have_sizes(reader: Reader, tmp_path: Path) -> None:
    """Executions are counted once per pipeline; those that are gone count nowhere."""
    build = two_pipelines()
    build.associate(1, "system.Pipeline", "second")
    build.associate(2, "system.Pipeline", "second")
    build.associate(77, "pipeline", "second")
    build.execution("Trainer")
    with reader(write_store(tmp_path / "store.sqlite", build.raw())) as store:
        assert list(store.pipelines().items()) == [("first", 1), ("second", 2)]


@all_readers
@pytest.mark.parametrize("pipeline", [None, "second"])
def test_columns_that_are_not_asked_for_are_empty(
    reader: Reader, tmp_path: Path, pipeline: str | None
) -> None:
    """What columns leave out is empty, and all else is as in the whole trace."""
    build = two_pipelines()
    build.event(2, 1, EventType.INPUT, "baseline_model", 12)
    raw = attributed(build, (1, 1), (5, 2), (5, 1))
    with reader(write_store(tmp_path / "store.sqlite", raw)) as store:
        names = None if pipeline is None else [pipeline]
        whole = store.read_trace(pipelines=names)
        part = store.read_trace(pipelines=names, columns=Columns.FOR_FEATURES)
        bare = store.read_trace(
            pipelines=names,
            columns=Columns(event_keys=frozenset(), context_types=frozenset({"node"})),
        )
        some = store.read_trace(
            pipelines=names, columns=Columns(uri_types=frozenset({"Examples", "Statistics"}))
        )
    assert list(part.artifacts.uri) == [""] * len(whole.artifacts)
    is_examples = whole.artifacts_of_types(["Examples"])
    assert 0 < is_examples.sum() < len(is_examples)
    assert list(some.artifacts.uri) == [
        uri if kept else "" for uri, kept in zip(whole.artifacts.uri, is_examples)
    ]
    assert part.events.keys == ("baseline_model",)
    assert sorted(part.events.key.tolist()) == [-1] * (len(whole.events) - 1) + [0]
    assert not part.events.time_ms.any()
    assert part.contexts.type_names == ("node", "pipeline", "pipeline_run")
    assert not len(part.contexts.attribution_artifact)
    for name in ("execution", "artifact", "type"):
        assert getattr(part.events, name).tolist() == getattr(whole.events, name).tolist()
    assert first_difference(part.executions, whole.executions) is None
    assert first_difference(part.artifacts.properties, whole.artifacts.properties) is None
    assert bare.events.keys == ()
    assert bare.events.time_ms.any()
    assert bare.contexts.type_names == ("node",)
    assert len(bare.contexts.association_context) == (2 if pipeline is None else 1)


@all_readers
def test_an_unknown_pipeline_is_named_with_those_there_are(reader: Reader, tmp_path: Path) -> None:
    """The error says what was asked for and what the store holds."""
    with (
        reader(write_store(tmp_path / "store.sqlite", two_pipelines().raw())) as store,
        pytest.raises(TraceNotFoundError, match=r"pipeline='third'.*'first', 'second'"),
    ):
        store.read_trace(pipeline="third")


@all_readers
def test_a_store_without_executions_is_an_error(reader: Reader, tmp_path: Path) -> None:
    """A sound store in which nothing ever ran has no trace."""
    with (
        reader(write_store(tmp_path / "store.sqlite")) as store,
        pytest.raises(EmptyStoreError, match="holds no execution"),
    ):
        store.read_trace()


@all_readers
def test_events_that_lead_nowhere_are_counted(reader: Reader, tmp_path: Path) -> None:
    """An event with one end in the store is dropped and counted; with none, it is not seen."""
    build = two_pipelines()
    build.event(1, 99, EventType.OUTPUT, "examples")
    build.event(99, 1, EventType.INPUT, "examples")
    build.event(98, 97, EventType.INPUT, "examples")
    path = write_store(tmp_path / "store.sqlite", build.raw())
    with reader(path) as store:
        trace, part = store.read_trace(), store.read_trace(pipeline="first")
    assert (len(trace.events), trace.events.dropped) == (3, 2)
    assert (len(part.events), part.events.dropped) == (1, 0)


@all_readers
def test_members_that_are_gone_leave_the_rest(reader: Reader, tmp_path: Path) -> None:
    """Contexts that name executions or artifacts that were deleted are read without them."""
    gone = attributed(two_pipelines(), (1, 1), (1, 55), (2, 56))
    gone.extend("Association", [(1, 77), (2, 78)])
    with reader(write_store(tmp_path / "store.sqlite", gone)) as store:
        assert first_difference(store.read_trace(), assemble(gone.rows())) is None


@all_readers
def test_more_rows_than_one_call_returns_are_read(reader: Reader, tmp_path: Path) -> None:
    """2,100 executions of one run, more than a page and more than a portion of ids."""
    build = TraceBuilder()
    for _ in range(2_100):
        build.execution(
            "Trainer", outputs={"model": [build.artifact("Model")]}, run="run", duration_ms=1
        )
    raw = attributed(build, *((1, number) for number in range(1, 2_101)))
    with reader(write_store(tmp_path / "store.sqlite", raw)) as store:
        assert first_difference(store.read_trace(), assemble(raw.rows())) is None


@all_readers
def test_reading_changes_nothing(reader: Reader, tmp_path: Path) -> None:
    """Neither the file nor its folder is another one after it was read."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = write_store(folder / "store.sqlite", two_pipelines().raw())
    content = path.read_bytes()
    with reader(path) as store:
        store.read_trace()
        store.read_trace(pipeline="first")
    assert path.read_bytes() == content
    assert {file.name for file in folder.iterdir()} <= {"store.sqlite", "store.archive"}


@all_readers
def test_a_closed_store_says_so(reader: Reader, tmp_path: Path) -> None:
    """Reading after close is an error of this library, with what to do."""
    store = reader(write_store(tmp_path / "store.sqlite", two_pipelines().raw()))
    store.close()
    with pytest.raises(StoreError, match="open it again"):
        store.read_trace()


@all_readers
def test_a_store_is_named_as_the_user_did(reader: Reader, tmp_path: Path) -> None:
    """The name is what was given, and errors begin with it."""
    path = write_store(tmp_path / "store.sqlite")
    with reader(path) as store:
        assert store.name.endswith(("store.sqlite", "store.archive"))
        with pytest.raises(EmptyStoreError) as caught:
            store.read_trace()
    assert str(caught.value).startswith(store.name)
    assert caught.value.store == store.name


@needs_bulk
def test_a_driver_that_cannot_be_imported_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ADBC lacks something that it needs itself, the file is read row by row."""
    path = write_store(tmp_path / "store.sqlite", two_pipelines().raw())
    with by_sql(path) as store:
        expected = store.read_trace()
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite.dbapi", None)
    monkeypatch.delattr("adbc_driver_sqlite.dbapi", raising=False)
    with by_bulk(path) as store:
        assert first_difference(store.read_trace(), expected) is None


@pytest.mark.parametrize("schema_version", range(4, 11))
def test_every_schema_is_read_by_sql(schema_version: int, tmp_path: Path) -> None:
    """Columns that an older schema does not have read as 0; all others as they are."""
    build = TraceBuilder()
    artifact = build.artifact("Examples", uri="a", span=3)
    build.execution(
        "Trainer", inputs={"examples": [artifact]}, run="r", kept="text", state=ExecutionState.NEW
    )
    build.raw().add_property("Execution", 1, "state", False, PropertyKind.STRING, "failed")
    raw = build.raw()
    if schema_version == 4:
        raw = copy.deepcopy(raw)
        for table in ("Execution", "Artifact", "Context"):
            for column in ("state", "create_ms", "update_ms"):
                if column in raw[table]:
                    raw[table][column] = [0] * len(raw[table]["id"])
    path = write_store(tmp_path / "store.sqlite", build.raw(), schema_version=schema_version)
    with open_store(path) as store:
        trace = store.read_trace()
    assert first_difference(trace, assemble(raw.rows())) is None
    assert trace.executions.state.tolist() == [4 if schema_version == 4 else 1]


def _names(raw: RowBuilder) -> list[str]:
    return sorted({
        name for kind, name in zip(raw["Context"]["type"], raw["Context"]["name"])
        if kind in ("pipeline", "system.Pipeline")
    })  # fmt: skip


@settings(strategies.deterministic, max_examples=40)
@given(raw=strategies.rows())
def test_any_rows_come_back_by_sql(raw: RowBuilder) -> None:
    """The file of any rows reads as the trace of these rows; both ends gone is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_store(Path(folder) / "store.sqlite", raw)
        with by_sql(path) as store:
            trace = store.read_trace()
    expected = assemble(raw.rows())
    seen = np.isin(raw["Event"]["execution"], raw["Execution"]["id"]) | np.isin(
        raw["Event"]["artifact"], raw["Artifact"]["id"]
    )
    dropped = int(seen.sum()) - len(expected.events)
    events = dataclasses.replace(expected.events, dropped=dropped)
    assert first_difference(trace, dataclasses.replace(expected, events=events)) is None


@needs_bulk
@settings(strategies.deterministic, max_examples=25)
@given(raw=strategies.rows())
def test_any_rows_are_the_same_in_bulk(raw: RowBuilder) -> None:
    """Read in columns, and with less of them, the file gives the trace that it gives row by row."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_store(Path(folder) / "store.sqlite", raw)
        with by_sql(path) as by_row, by_bulk(path) as bulk:
            for arguments in (
                {}, {"properties": ["span", "pushed"], "columns": Columns.FOR_FEATURES},
                *({"pipelines": [name]} for name in _names(raw)),
            ):  # fmt: skip
                mine, theirs = bulk.read_trace(**arguments), by_row.read_trace(**arguments)
                assert first_difference(mine, theirs) is None


@needs_mlmd
@settings(strategies.deterministic, max_examples=25)
@given(raw=strategies.rows())
def test_sql_and_api_agree_on_any_rows(raw: RowBuilder) -> None:
    """Both readers give one trace of the same file, whole and of each pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_store(Path(folder) / "store.sqlite", raw)
        with by_sql(path) as sql, by_mlmd(path) as api:
            assert first_difference(sql.read_trace(), api.read_trace()) is None
            for name in _names(raw):
                mine = sql.read_trace(pipeline=name, properties=["pushed"])
                theirs = api.read_trace(pipeline=name, properties=["pushed"])
                assert first_difference(mine, theirs) is None
