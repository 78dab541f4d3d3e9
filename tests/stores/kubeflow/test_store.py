"""Kubeflow Pipelines' own API, read through a server that speaks its protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import real_runs
from tests.stores.kubeflow.history import history, opened, outline
from tests.stores.kubeflow.installation import Installation, installation_of
from tests.stores.kubeflow.retelling import retold
from tests.stores.kubeflow.server import Behaviour, serving
from tests.stores.readers import by_sql
from tfx_graphlets.errors import (
    EmptyStoreError,
    StoreError,
    TraceNotFoundError,
)
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.archive.archive import update_archive, write_archive
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.selection import Columns
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.trace import first_difference
from tfx_graphlets.vocabulary import ExecutionState, Stage

SECRET = "kubeflow-token-1234"  # noqa: S105 - looked for in what is shown


WAYS = {
    "as released": Behaviour(),
    "links and artifacts in lists": Behaviour(embed=False),
    "tasks in one list": Behaviour(tasks="flat"),
    "tasks in run details": Behaviour(tasks="details"),
    "version 2, below a path": Behaviour(version="v2", prefix="/pipeline"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("titles", ["metadata", "spec", "version"])
def test_the_same_history_gives_the_same_graphlets(way: str, titles: str) -> None:
    """What TFX recorded, and what Kubeflow's API shows of the same runs, is cut the same."""
    raw = history()
    behaviour = dataclasses.replace(WAYS[way], calls=[], tokens=[], answers=[])
    with serving(installation_of(raw, titles=titles), behaviour) as (uri, _), opened(uri) as store:
        trace = store.read_trace()
    kubeflow, tfx = segment(trace), segment(assemble(raw.rows()))
    assert outline(kubeflow) == outline(tfx)
    assert {str(one.outcome) for one in kubeflow} == {"pushed", "unpushed", "failed"}
    assert trace.events.dropped == 0


@pytest.mark.parametrize("path", real_runs()[:2], ids=lambda path: path.parent.name)
def test_recorded_runs_through_the_api(path: Path) -> None:
    """A recorded store, shown by the API, gives the same graphlets and the same features."""
    with by_sql(path) as store:
        tfx = segment(store.read_trace())
    with serving(installation_of(retold(tfx.trace))) as (uri, _), opened(uri) as store:
        kubeflow = segment(store.read_trace())
    assert outline(kubeflow) == outline(tfx)
    order = [np.lexsort((one.trace.executions.create_ms[one.trainer],)) for one in (tfx, kubeflow)]
    for stage in Stage:
        left, right = describe(tfx, stage), describe(kubeflow, stage)
        for feature in left.features:
            np.testing.assert_array_equal(
                np.asarray(left.columns[feature.name])[order[0]],
                np.asarray(right.columns[feature.name])[order[1]],
                f"{stage}: {feature.name}",
            )


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    """A server with the runs of ``history``."""
    with serving(installation_of(history())) as found:
        yield found


def test_open_store_reads_it(
    server: tuple[str, Behaviour], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheme ``kfp+http`` opens it, with the token of the environment."""
    monkeypatch.setenv("TFX_GRAPHLETS_KFP_TOKEN", SECRET)
    uri, behaviour = server
    with open_store(uri) as store:
        assert store.name == uri
        assert len(store.read_trace().executions) == 36
    assert set(behaviour.tokens) == {f"Bearer {SECRET}"}


def test_only_gets_are_sent_and_pages_are_followed(server: tuple[str, Behaviour]) -> None:
    """More runs and tasks than a page holds are read; each page once."""
    build = TraceBuilder(clock_ms=1_700_000_000_000)
    for number in range(401):
        build.execution("Trainer", run=f"run-{number % 250}", duration_ms=1, node="n.Trainer")
    for _ in range(203):
        build.execution("Trainer", run="run-7", duration_ms=1)
    with serving(installation_of(build.raw())) as (uri, behaviour), opened(uri) as store:
        assert len(store.read_trace().executions) == 604
    calls = [call.partition("?")[0].rpartition("/")[2] for call in behaviour.calls]
    assert calls.count("runs") == 1 + 2
    assert calls.count("tasks") == 250 + 1
    assert len(set(behaviour.calls)) == len(behaviour.calls)


def test_a_pipeline_is_read_alone(server: tuple[str, Behaviour]) -> None:
    """Only the runs of named pipelines are asked for tasks; ids are those of the whole."""
    uri, behaviour = server
    with opened(uri) as store:
        whole = store.read_trace()
        behaviour.calls.clear()
        part = store.read_trace(pipelines=["taxi"], properties=["span"])
        assert sum("/tasks" in call for call in behaviour.calls) == 4
        both = store.read_trace(pipelines=["taxi", "penguin"])
        with pytest.raises(TraceNotFoundError, match="'penguin', 'taxi'"):
            store.read_trace(pipeline="zebra")
        assert store.pipelines() == {"penguin": 18, "taxi": 18}
    assert len(part.executions) == 18
    assert part.artifacts.properties.names == ("span",)
    assert part.executions.properties.names == ()
    assert set(part.executions.id) < set(whole.executions.id)
    assert set(part.artifacts.id) < set(whole.artifacts.id)
    assert set(part.contexts.id) < set(whole.contexts.id)
    assert first_difference(both, whole) is None


def test_columns_are_left_out(server: tuple[str, Behaviour]) -> None:
    """What is not wanted is empty in the trace, and what is cut of it the same."""
    with opened(server[0]) as store:
        whole, part = store.read_trace(), store.read_trace(columns=Columns.FOR_FEATURES)
    assert not any(part.artifacts.uri)
    assert any(whole.artifacts.uri)
    assert [one.to_dict() for one in segment(part)] == [one.to_dict() for one in segment(whole)]


def test_ids_stay_when_runs_come_and_go() -> None:
    """Reading again, after new runs and without deleted ones, gives every object its old id."""
    traces = []
    for num_runs, first in ((2, 0), (4, 0), (4, 3)):
        held = installation_of(history(num_runs))
        held.runs = held.runs[first:]
        with serving(held) as (uri, _), opened(uri) as store:
            traces.append(store.read_trace())
    early, late, rest = traces
    for table in ("executions", "artifacts", "contexts"):
        ids = [set(getattr(one, table).id.tolist()) for one in (early, late, rest)]
        assert ids[0] < ids[1], table
        assert ids[2] < ids[1], table
    # Ids order by time of creation.
    assert (np.diff(late.executions.create_ms // 1_000) >= 0).all()


def test_an_archive_of_it_is_the_same(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    """What was read over the network and what the archive of it holds are one trace."""
    with opened(server[0]) as store:
        trace = store.read_trace()
        write_archive(trace, store.payloads, tmp_path / "archive", created_ms=0, scrub=False)
    with ArchiveStore(tmp_path / "archive") as archive:
        assert first_difference(archive.read_trace(), trace) is None


def test_an_archive_outlives_what_the_server_forgets(tmp_path: Path) -> None:
    """Runs that were deleted, and those that came later, are in an archive kept up to date."""
    whole, early = installation_of(history(4)), installation_of(history(2))
    late = dataclasses.replace(whole, runs=whole.runs[3:])
    for number, held in enumerate((early, late, late)):
        with serving(held) as (uri, _), opened(uri) as store:
            # One server, whatever its port.
            store._address = dataclasses.replace(store._address, base="http://kubeflow")
            archived = update_archive(
                store, store.payloads, tmp_path / "archive", created_ms=number, scrub=False
            )
    assert not archived.written
    with serving(whole) as (uri, _), opened(uri) as store:
        trace = store.read_trace()
    with ArchiveStore(tmp_path / "archive") as archive:
        assert first_difference(archive.read_trace(), trace) is None


def test_times_states_and_kinds_of_tasks() -> None:
    """Boxes and skipped tasks are left out; what a user stopped failed; times are read exactly."""
    held = installation_of(history(1))
    run = held.runs[0]["run_id"]
    for number, (kind, state) in enumerate([
        ("CONDITION", "SUCCEEDED"), ("LOOP", "RUNNING"), ("RUNTIME", "SKIPPED"),
        ("RUNTIME", "CANCELED"), ("RUNTIME", "RUNNING"),
    ]):  # fmt: skip
        held.tasks[run].append({
            "task_id": f"more-{number}", "run_id": run, "name": f"More.{state}", "type": kind,
            "state": state, "create_time": "2024-01-02T03:04:05.678912345Z",
            "end_time": "1970-01-01T00:00:00Z",
            "state_history": [{"state": "RUNNING", "update_time": "2024-01-02T05:04:06+01:00"}],
            "inputs": {"parameters": [{"parameter_key": "a"}, {"parameter_key": "b", "value": 2}]},
        })  # fmt: skip
    with serving(held) as (uri, _), opened(uri) as store:
        trace = store.read_trace()
    more = [
        row
        for row, code in enumerate(trace.executions.type)
        if trace.executions.type_names[code].endswith(".More")
    ]
    assert sorted(trace.executions.state[more].tolist()) == [
        ExecutionState.RUNNING, ExecutionState.FAILED
    ]  # fmt: skip
    assert set(trace.executions.create_ms[more].tolist()) == {1_704_164_645_678}
    assert set(trace.executions.update_ms[more].tolist()) == {1_704_168_246_000}
    numbers = trace.executions.properties.numbers("b", len(trace.executions))
    assert numbers[more].tolist() == [2.0, 2.0]


def test_artifacts_of_native_types() -> None:
    """Without a schema title anywhere, the API's own type is that of ML Metadata."""
    held = installation_of(history(1), titles="none")
    for run in held.runs:
        run["pipeline_spec"]["components"] = {}
    kinds = ("Metric", "ClassificationMetric", "HTML", "Model")
    for artifact, kind in zip(held.artifacts.values(), kinds):
        artifact["type"] = kind
    with serving(held) as (uri, _), opened(uri) as store:
        names = set(store.read_trace().artifacts.type_names)
    assert names > {
        "system.Metrics", "system.ClassificationMetrics", "system.HTML", "system.Model"
    }  # fmt: skip


def test_artifacts_that_are_gone_are_counted() -> None:
    """A link to an artifact that the server no longer has is an event that is dropped."""
    held = installation_of(history(1))
    gone = next(iter(held.artifacts))
    del held.artifacts[gone]
    behaviour = Behaviour(embed=False)
    with serving(held, behaviour) as (uri, _), opened(uri) as store:
        trace = store.read_trace()
    links = [one for one in held.artifact_tasks if one["artifact_id"] == gone]
    assert trace.events.dropped == len(links) > 0


@pytest.mark.parametrize("missing", ["embed", "lists"])
def test_a_server_that_keeps_artifacts_elsewhere_says_where(missing: str) -> None:
    """Before the task API the history is in ML Metadata; the error names it."""
    behaviour = dataclasses.replace(Behaviour(tasks="details"), **{missing: False})
    with (
        serving(installation_of(history()), behaviour) as (uri, _),
        opened(uri) as store,
        pytest.raises(StoreError, match="grpc://host:8080"),
    ):
        store.read_trace()


def test_a_server_without_runs_is_empty() -> None:
    """A sound server on which nothing ever ran has no trace."""
    with serving(Installation()) as (uri, _), opened(uri) as store:
        assert store.pipelines() == {}
        with pytest.raises(EmptyStoreError, match="holds no execution"):
            store.read_trace()


def test_a_run_that_is_deleted_meanwhile_is_left_out() -> None:
    """Listed, and gone when its tasks are asked for: the others are read."""
    held = installation_of(history())
    del held.tasks[held.runs[0]["run_id"]]
    with serving(held) as (uri, _), opened(uri) as store:
        assert len(store.read_trace().executions) == 36 - 5


def test_a_pipeline_that_was_deleted_keeps_its_id_as_name() -> None:
    """Its runs stay together under the id; one that is still there has its name."""
    held = installation_of(history(), titles="version")
    gone = next(number for number, one in held.pipelines.items() if one["display_name"] == "taxi")
    del held.pipelines[gone]
    held.versions = {}
    with serving(held) as (uri, _), opened(uri) as store:
        assert set(store.pipelines()) == {"penguin", gone}


def test_namespaces_and_experiments_are_asked_for() -> None:
    """They stand in the query of the URI, and in the store's name."""
    held = installation_of(history())
    experiment = held.runs[1]["experiment_id"]
    with serving(held, Behaviour(namespace="team a")) as (uri, _):
        with pytest.raises(StoreError, match=r"HTTP 400: Namespace cannot be empty.*\?namespace="):
            opened(uri)
        with opened(f"{uri}?namespace=team+a") as store:
            assert len(store.read_trace().executions) == 36
        with opened(f"{uri}?namespace=team%20a&experiment={experiment}") as store:
            assert store.name == f"{uri}?namespace=team+a&experiment={experiment}"
            assert list(store.pipelines()) == ["taxi"]


def test_kubeflows_own_client_reads_the_same_server() -> None:
    """The server of these tests speaks what ``kfp_server_api`` understands."""
    api = pytest.importorskip("kfp_server_api")
    held = installation_of(history())
    with serving(held, Behaviour(tasks="details")) as (uri, _):
        configuration = api.Configuration(host=uri.removeprefix("kfp+"))
        with api.ApiClient(configuration) as client:
            runs = api.RunServiceApi(client)
            # kfp-server-api 2.16 gave the methods the name of their service.
            prefix = "run_service_" if hasattr(runs, "run_service_list_runs") else ""
            list_runs = getattr(runs, f"{prefix}list_runs")
            first = list_runs(page_size=3)
            rest = list_runs(page_size=200, page_token=first.next_page_token)
            run = getattr(runs, f"{prefix}get_run")(first.runs[0].run_id)
    found = [one.run_id for one in (*first.runs, *rest.runs)]
    assert found == [one["run_id"] for one in held.runs]
    assert run.pipeline_spec["pipelineInfo"]["name"] == "penguin"
    details = {one.display_name: one for one in run.run_details.task_details}
    assert details["CsvExampleGen"].outputs["examples"].artifact_ids == [
        held.tasks[run.run_id][2]["outputs"]["artifacts"][0]["artifacts"][0]["artifact_id"]
    ]
    created = details["CsvExampleGen"].create_time
    assert created.timestamp() * 1_000 == history()["Execution"]["create_ms"][1]
