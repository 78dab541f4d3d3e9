"""Gated pipelines, each runner with each backend that can hold the history of its runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

from tests.components import waste_models
from tests.components.runs import LightPipeline
from tests.components.test_gated_pipeline import by_directory
from tests.components.waste_models import PUSHED_SPAN, WASTED_SPAN
from tests.stores import servers
from tests.stores.kubeflow.retelling import as_system_rows, retold
from tests.stores.mlmd_files import write_store
from tests.stores.places import Places, opened_places, without_password
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.rows import RowBuilder

pytestmark = [pytest.mark.tfx, pytest.mark.server, pytest.mark.long]

RUNNERS = {"local": tfx.orchestration.LocalDagRunner, "beam": BeamDagRunner}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Servers of this module."""
    with opened_places(tmp_path_factory.mktemp("servers")) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Directory of a waste model that finds large input wasteful."""
    return waste_models.saved(tmp_path_factory.mktemp("model") / "waste_model")


class ServerPipeline(LightPipeline):
    """The light pipeline whose runner records its runs in a database server."""

    config: metadata_store_pb2.ConnectionConfig

    def build(self, *arguments: object, **options: object) -> tfx.dsl.Pipeline:
        pipeline = super().build(*arguments, **options)  # type: ignore[arg-type]
        pipeline.metadata_connection_config = self.config
        return pipeline

    def store(self) -> metadata_store.MetadataStore:
        return metadata_store.MetadataStore(self.config)


@pytest.mark.parametrize("backend", ["mysql", "postgresql"])
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_runner_that_records_in_a_server(
    runner: str, backend: str, places: Places, model: str, tmp_path: Path
) -> None:
    """Both decisions, the history read through the runner's own handle and by the server's name."""
    database, name = places.database(backend)
    database.filled(name)
    pipeline = ServerPipeline(tmp_path, runner=RUNNERS[runner])
    pipeline.config = database.config(name)
    gate = by_directory(model, min_labelled=1)
    pipeline.run(gate, span=PUSHED_SPAN)
    for store in (None, without_password(database, name)):
        pipeline.run(gate, span=WASTED_SPAN, store=store)
    ran, *skipped = pipeline.decisions()
    assert (ran["proceed"], ran["failed_open"]) == (1, 0)
    assert [(one["proceed"], one["failed_open"]) for one in skipped] == [(0, 0)] * 2
    assert [history.problem for history in pipeline.histories()] == [""] * 3
    assert ["Trainer" in run for run in pipeline.executions()] == [True, False, False]
    with open_store(without_password(database, name)) as store:
        for text in store.read_trace().executions.properties.strings:
            assert servers.PASSWORD not in text


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_runner_whose_store_is_read_through_the_service(
    runner: str, places: Places, model: str, tmp_path: Path
) -> None:
    """The service of ML Metadata in front of the runner's store: both decisions."""
    pipeline = LightPipeline(tmp_path, runner=RUNNERS[runner])
    gate = by_directory(model, min_labelled=1)
    pipeline.run(gate, span=PUSHED_SPAN)
    store = places.uri("grpc", pipeline.store_file)
    for span in (PUSHED_SPAN, WASTED_SPAN):
        pipeline.run(gate, span=span, store=store)
    assert [one["proceed"] for one in pipeline.decisions()] == [1, 1, 0]
    assert [history.problem for history in pipeline.histories()] == [""] * 3


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_archive_beside_the_runner_lets_the_run_through(
    runner: str, places: Places, model: str, tmp_path: Path
) -> None:
    """It ends before the present run, which the runner names: the gate says that it is missing."""
    pipeline = LightPipeline(tmp_path, runner=RUNNERS[runner])
    gate = by_directory(model, min_labelled=1)
    pipeline.run(gate, span=PUSHED_SPAN)
    pipeline.run(gate, span=WASTED_SPAN, store=places.uri("archive", pipeline.store_file))
    *_, decision = pipeline.decisions()
    assert "needs a store that the current run is recorded in" in str(decision["reason"])
    assert (decision["proceed"], decision["failed_open"]) == (1, 1)


# -- Kubeflow, container by container ------------------------------------------------


@pytest.fixture(scope="module")
def recorded() -> RowBuilder:
    """The history that the emulated pipeline has in its archive."""
    pytest.importorskip("kfp")
    from tests.kubeflow import gated

    with open_store(gated.ARCHIVE) as store:
        return retold(store.read_trace())


KUBEFLOW: dict[str, Callable[[RowBuilder], RowBuilder]] = {
    "vertex": lambda raw: raw,  # what TFX recorded elsewhere
    "kfp": as_system_rows,  # what Kubeflow Pipelines keeps
}


@pytest.mark.parametrize(
    ("platform", "backend"),
    [
        *(("vertex", backend) for backend in ("sqlite", "mysql", "postgresql", "grpc")),
        *(("kfp", backend) for backend in ("sqlite", "mysql", "postgresql", "grpc", "kfp")),
    ],
)
def test_containers_read_the_history(
    platform: str, backend: str, places: Places, model: str, recorded: RowBuilder, tmp_path: Path
) -> None:
    """GraphletGen's container opens the store by its name; the gate stops what is not worth it."""
    pytest.importorskip("celpy")
    from tests.kubeflow import gated
    from tests.kubeflow.emulator import Backend, Emulator, State
    from tests.kubeflow.test_running import run_here
    from tfx_graphlets.components.kubeflow import compile_for_kubeflow

    path = write_store(tmp_path / "store.sqlite", KUBEFLOW[platform](recorded))
    pipeline = gated.pipeline(
        tmp_path, model, span=WASTED_SPAN, store=places.uri(backend, path, recorded)
    )
    target = tmp_path / "pipeline.json"
    compile_for_kubeflow(pipeline, target, image="image", backend=platform)
    assert servers.PASSWORD not in target.read_text()
    job = json.loads(target.read_text())
    if platform == "kfp":
        job = {"pipelineSpec": job, "runtimeConfig": {}}
    emulated = Backend.VERTEX if platform == "vertex" else Backend.OPEN_SOURCE
    runs = Emulator(job, tmp_path / "run", emulated, launch=run_here).run()
    graphlets = runs["GraphletGen"].metadata("graphlets")
    assert (graphlets["usable"], graphlets["num_graphlets"]) == (1.0, 42.0)
    decision = runs["WasteGate"].metadata("decision")
    assert (decision["proceed"], decision["failed_open"]) == (0.0, 0.0)
    assert runs["Trainer"].state is State.NOT_TRIGGERED
