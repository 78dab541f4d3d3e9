"""The upkeep as a TFX pipeline: what it leaves in its own records and in service."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

from pipelines.upkeep import component, pipeline
from pipelines.upkeep.retraining import Settings
from tests.components.runs import LightPipeline
from tests.pipelines.upkeep_stores import store_of
from tfx_graphlets import load_waste_model
from tfx_graphlets.components.artifacts import local_copy

pytestmark = [pytest.mark.tfx, pytest.mark.long]

SETTINGS = Settings(freshness=0.8)


def run(
    folder: Path,
    store: Path,
    *,
    archive: str | None = None,
    model: str | None = None,
    runner: Callable[[], tfx.orchestration.LocalDagRunner] = tfx.orchestration.LocalDagRunner,
) -> None:
    """Runs the pipeline once, its records below ``folder``/runs."""
    runner().run(
        pipeline.create_pipeline(
            str(folder / "runs"), store=str(store), archive=archive or str(folder / "archive"),
            model_directory=model or str(folder / "model"), settings=SETTINGS,
        )
    )  # fmt: skip


def told(folder: Path) -> list[dict[str, object]]:
    """Custom properties of the WasteModel artifacts, oldest first."""
    artifacts = (
        LightPipeline(folder / "runs").store().get_artifacts_by_type("tfx_graphlets.WasteModel")
    )
    return [
        {
            "uri": artifact.uri,
            **{
                key: getattr(value, value.WhichOneof("value"))
                for key, value in artifact.custom_properties.items()
            },
        }
        for artifact in sorted(artifacts, key=lambda artifact: artifact.id)
    ]


def test_it_archives_trains_and_replaces(tmp_path: Path) -> None:
    """Three runs: a first model, nothing new, a better informed one; each leaves its record.

    The second one is with BeamDagRunner.
    """
    store = store_of(tmp_path, 60)
    run(tmp_path, store)
    run(tmp_path, store, runner=BeamDagRunner)
    run(tmp_path, store_of(tmp_path, 90))
    records = told(tmp_path)
    assert [one["replaced"] for one in records] == [1, 0, 1]
    assert [one["usable"] for one in records] == [1, 1, 1]
    assert records[1]["reason"] == "nothing new to learn from"
    fingerprints = [one["model_fingerprint"] for one in records]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
    assert load_waste_model(tmp_path / "model").fingerprint == fingerprints[2]
    assert load_waste_model(tmp_path / "previous-model").fingerprint == fingerprints[0]
    # The artifact holds a copy, which a Resolver hands to a WasteGate.
    for one in records:
        copy = Path(str(one["uri"]))
        assert load_waste_model(copy).fingerprint == one["model_fingerprint"]
        report = json.loads((copy / component.REPORT_FILE).read_text())
        assert report["replaced"] is bool(one["replaced"])
    assert LightPipeline(tmp_path / "runs").executions() == [
        {"Archiver": "COMPLETE", "WasteModelKeeper": "COMPLETE"}
    ] * 3  # fmt: skip


def test_too_little_history_is_no_failure(tmp_path: Path) -> None:
    """The run completes; the artifact holds no model and says why."""
    run(tmp_path, store_of(tmp_path, 5))
    [one] = told(tmp_path)
    assert (one["usable"], one["replaced"]) == (0, 0)
    assert "not enough to train a waste model" in str(one["problem"])
    assert not (tmp_path / "model").exists()


def test_a_store_that_cannot_be_read_fails_the_run(tmp_path: Path) -> None:
    """Somebody should see it; the model in service stays, byte for byte."""
    run(tmp_path, store_of(tmp_path, 60))
    fingerprint = load_waste_model(tmp_path / "model").fingerprint
    with pytest.raises(Exception, match=r"was not archived.*nowhere\.sqlite"):
        run(tmp_path, tmp_path / "nowhere.sqlite")
    assert load_waste_model(tmp_path / "model").fingerprint == fingerprint
    assert LightPipeline(tmp_path / "runs").executions()[-1] == {
        "Archiver": "COMPLETE", "WasteModelKeeper": "FAILED",
    }  # fmt: skip


def test_archive_and_model_may_be_in_a_bucket(tmp_path: Path) -> None:
    """TensorFlow's file system in memory stands for it; the old model stays beside the new one."""
    bucket = f"ram://{tmp_path.name}"
    places = {"archive": f"{bucket}/archive", "model": f"{bucket}/model"}
    run(tmp_path, store_of(tmp_path, 60), **places)
    run(tmp_path, store_of(tmp_path, 90), **places)
    first, second = (one["model_fingerprint"] for one in told(tmp_path))
    assert first != second
    for name, fingerprint in (("model", second), ("previous-model", first)):
        with local_copy(f"{bucket}/{name}") as copied:
            assert load_waste_model(copied).fingerprint == fingerprint


@pytest.mark.parametrize("backend", ["vertex", "kfp"])
def test_it_compiles_for_kubeflow(tmp_path: Path, backend: str) -> None:
    """The command writes what a recurring run starts; both steps are never cached."""
    pytest.importorskip("kfp")
    target = tmp_path / ("upkeep.yaml" if backend == "kfp" else "upkeep.json")
    arguments = [
        "grpc://", "--archive", "gs://bucket/history", "--model", "gs://bucket/waste_model",
        "--folder", "gs://bucket/upkeep", "--runner", backend, "--image", "image",
        "--output", str(target),
    ]  # fmt: skip
    assert pipeline.main(arguments) == 0
    document = json.loads(target.read_text())
    tasks = document.get("pipelineSpec", document)["root"]["dag"]["tasks"]
    assert set(tasks) == {"Archiver", "WasteModelKeeper"}
    assert not any(task.get("cachingOptions", {}).get("enableCache") for task in tasks.values())


@pytest.mark.parametrize("backend", ["vertex", "kfp"])
def test_its_containers_do_the_same_on_kubeflow(tmp_path: Path, backend: str) -> None:
    """The compiled commands, run one after the other: an archive, and a first model in place."""
    pytest.importorskip("kfp")
    pytest.importorskip("celpy")
    from tests.kubeflow.emulator import Backend, Emulator
    from tests.kubeflow.test_running import run_here
    from tfx_graphlets.components.kubeflow import compile_for_kubeflow

    made = pipeline.create_pipeline(
        str(tmp_path / "runs"), store=str(store_of(tmp_path, 60)),
        archive=str(tmp_path / "archive"), model_directory=str(tmp_path / "model"),
        settings=SETTINGS,
    )  # fmt: skip
    written = compile_for_kubeflow(made, tmp_path / "upkeep.json", image="image", backend=backend)
    job = written if backend == "vertex" else {"pipelineSpec": written}
    emulated = Backend.VERTEX if backend == "vertex" else Backend.OPEN_SOURCE
    runs = Emulator(job, tmp_path / "run", emulated, launch=run_here).run()
    assert runs["Archiver"].metadata("archive")["num_executions"] == 240
    kept = runs["WasteModelKeeper"].metadata("model")
    assert (kept["usable"], kept["replaced"]) == (1, 1)
    assert load_waste_model(tmp_path / "model").fingerprint == kept["model_fingerprint"]


def test_the_command_runs_on_a_recorded_history(tmp_path: Path) -> None:
    """The archive of a recorded pipeline stands for its store."""
    from pipelines.flights import history

    recorded = tmp_path / "recorded"
    shutil.copytree(history.DIRECTORY / "flights-lga-linear-w1-value" / "archive", recorded)
    arguments = [
        str(recorded), "--archive", str(tmp_path / "archive"), "--model", str(tmp_path / "model"),
        "--folder", str(tmp_path / "runs"), "--freshness", "0.8",
    ]  # fmt: skip
    assert pipeline.main(arguments) == 0
    [one] = told(tmp_path)
    assert (one["usable"], one["replaced"]) == (1, 1)
