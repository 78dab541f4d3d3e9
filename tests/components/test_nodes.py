"""What can be checked when a pipeline is written, and the executors without a runner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.types import Artifact

from tests.components import waste_models
from tests.components.histories import pipeline_history
from tfx_graphlets.components import artifacts
from tfx_graphlets.components.artifacts import write_files
from tfx_graphlets.components.executors import (
    GraphletGenExecutor,
    WasteGateExecutor,
)
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.components.waste_model_trainer import (
    WasteModelTrainer,
    WasteModelTrainerExecutor,
)
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate import graphlets_file
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model import load_waste_model

pytestmark = pytest.mark.tfx

GRAPHLETS = tfx.dsl.Channel(type=artifacts.Graphlets)
MODEL = tfx.dsl.Channel(type=artifacts.WasteModel)


def artifact(artifact_type: type[Artifact], folder: Path) -> Artifact:
    """An artifact of the type whose directory is ``folder``."""
    result = artifact_type()
    result.uri = str(folder)
    return result


@pytest.mark.parametrize("password", ["secret", "p@ss:word", "s/e?c#r"])
def test_a_store_with_a_password_is_refused_without_repeating_it(password: str) -> None:
    """TFX would record it: the error names the environment variable, not the password."""
    with pytest.raises(InvalidArgumentError, match="TFX_GRAPHLETS_DB_PASSWORD") as caught:
        GraphletGen(store=f"mysql://reader:{password}@host/metadata")
    assert password not in str(caught.value)
    assert password not in str(vars(caught.value))


@pytest.mark.parametrize(
    "store",
    [
        "metadata.sqlite",
        "history/archive",
        "grpc://metadata-grpc-service:8080",
        "mysql://reader@host:3306/metadata",
        "gs://bucket/archive",
    ],
)
def test_a_store_without_a_password_is_taken_as_it_is(store: str) -> None:
    """Ports and user names are no passwords."""
    assert GraphletGen(store=store).exec_properties["store"] == store


def test_the_stage_must_be_one() -> None:
    """A misspelt stage is refused by every component, with the names that exist."""
    for make in (
        lambda: GraphletGen(stage="per"),
        lambda: WasteGate(graphlets=GRAPHLETS, model_directory="model", stage="per"),
        lambda: WasteModelTrainer(graphlets=GRAPHLETS, stage="per"),
    ):
        with pytest.raises(InvalidArgumentError, match=r"'per'.*input, pre, trainer, validation"):
            make()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one"),
        ({"model": MODEL, "model_directory": "model"}, "exactly one"),
        ({"model_directory": "model", "freshness": 1.5}, "freshness=1.5"),
        ({"model_directory": "model", "threshold": -1}, "threshold=-1"),
        ({"model_directory": "model", "max_consecutive_skips": -1}, "max_consecutive_skips=-1"),
        ({"model_directory": "model", "max_staleness_hours": 0}, "max_staleness_hours=0"),
        ({"model_directory": "model", "exploration": 2}, "exploration=2"),
        (
            {"model_directory": "model", "max_hours_without_attempt": -1},
            "max_hours_without_attempt=-1",
        ),
        ({"model_directory": "model", "shadow": "yes"}, "shadow='yes'"),
        (
            {
                "model_directory": "model",
                "force_run": tfx.dsl.experimental.RuntimeParameter(name="force", ptype=str),
            },
            "ptype=int",
        ),
    ],
)
def test_a_gate_is_checked_where_it_is_written(options: dict[str, object], message: str) -> None:
    """What cannot work is refused when the pipeline is made, not when it runs."""
    with pytest.raises(InvalidArgumentError, match=message):
        WasteGate(graphlets=GRAPHLETS, **options)  # type: ignore[arg-type]


def test_what_is_not_set_is_no_execution_property() -> None:
    """Defaults are the policy's and the model's; the store records only what was chosen."""
    gate = WasteGate(
        graphlets=GRAPHLETS, model_directory="model", max_staleness_hours=12, exploration=0
    )
    assert gate.exec_properties == {
        "stage": "pre",
        "model_directory": "model",
        "max_staleness_hours": 12.0,
        "exploration": 0.0,
        "force_run": 0,
        "shadow": 0,
    }
    assert GraphletGen().exec_properties == {"stage": "pre"}


def test_a_waste_model_is_trained_from_the_artifacts_history(tmp_path: Path) -> None:
    """WasteModelTrainer writes a directory that load_waste_model reads, and names the model."""
    data = waste_models.training_data(Stage.PRE)
    written = pipeline_history(past=data, current=data.table.take(data.time_order[:1]))
    graphlets = artifact(artifacts.Graphlets, tmp_path / "graphlets")
    write_files(graphlets.uri, graphlets_file.to_files(written))
    model = artifact(artifacts.WasteModel, tmp_path / "trainer" / "model" / "7")
    Path(model.uri).mkdir(parents=True)
    WasteModelTrainerExecutor().Do(
        {"graphlets": [graphlets]},
        {"model": [model]},
        {"stage": "pre", "freshness": 0.5, "seed": 0},
    )
    assert model.get_int_custom_property("usable") == 1
    loaded = load_waste_model(model.uri, stage=Stage.PRE)
    assert loaded.fingerprint == model.get_string_custom_property("model_fingerprint")
    assert loaded.fingerprint == waste_models.by_size().fingerprint


def test_too_little_history_makes_no_model_and_says_so(tmp_path: Path) -> None:
    """The artifact is there, not usable, and tells the number of graphlets."""
    graphlets = artifact(artifacts.Graphlets, tmp_path / "graphlets")
    write_files(graphlets.uri, graphlets_file.to_files(pipeline_history("pu")))
    model = artifact(artifacts.WasteModel, tmp_path / "model")
    Path(model.uri).mkdir()
    WasteModelTrainerExecutor().Do(
        {"graphlets": [graphlets]},
        {"model": [model]},
        {"stage": "pre", "freshness": 0.95, "seed": 0},
    )
    assert model.get_int_custom_property("usable") == 0
    assert "2" in model.get_string_custom_property("problem")
    assert not list(Path(model.uri).iterdir())


@pytest.mark.parametrize(("row", "proceed"), [(0, 1), (1, 0)])
def test_a_gate_takes_its_model_from_an_artifact(tmp_path: Path, row: int, proceed: int) -> None:
    """Without a runner too: Graphlets and WasteModel in, GateDecision out."""
    data = waste_models.training_data(Stage.PRE)
    current = data.table.take(np.array([row]))
    graphlets = artifact(artifacts.Graphlets, tmp_path / "graphlets")
    write_files(
        graphlets.uri, graphlets_file.to_files(pipeline_history(past=data, current=current))
    )
    model = artifact(artifacts.WasteModel, Path(waste_models.saved(tmp_path / "model")))
    decision = artifact(artifacts.GateDecision, tmp_path / "decision")
    WasteGateExecutor().Do(
        {"graphlets": [graphlets], "model": [model]},
        {"decision": [decision]},
        {"stage": "pre", "threshold": 0.5, "shadow": 0, "force_run": 0, "exploration": 0.0},
    )
    assert decision.get_int_custom_property("proceed") == proceed
    assert decision.get_int_custom_property("failed_open") == 0
    assert decision.get_string_custom_property("model_fingerprint") == (
        waste_models.by_size().fingerprint
    )
    assert not decision.has_custom_property("gate")


def test_a_gate_that_knows_another_one_follows_its_no(tmp_path: Path) -> None:
    """A run that was skipped before is skipped, whatever else is there."""
    outer = artifact(artifacts.GateDecision, tmp_path / "outer")
    outer.set_int_custom_property("proceed", 0)
    outer.set_string_custom_property("gate", "First")
    decision = artifact(artifacts.GateDecision, tmp_path / "decision")
    WasteGateExecutor().Do(
        {"outer": [outer]},
        {"decision": [decision]},
        {"stage": "pre", "model_directory": "nowhere"},
    )
    assert decision.get_int_custom_property("proceed") == 0
    assert "First has skipped this run" in decision.get_string_custom_property("reason")


def test_without_a_driver_and_without_a_store_the_problem_is_told(tmp_path: Path) -> None:
    """Where no driver ran, GraphletGen says that it needs a store, and does not fail."""
    graphlets = artifact(artifacts.Graphlets, tmp_path / "graphlets")
    Path(graphlets.uri).mkdir()
    GraphletGenExecutor().Do({}, {"graphlets": [graphlets]}, {"stage": "pre"})
    assert graphlets.get_int_custom_property("usable") == 0
    assert "give GraphletGen a store" in graphlets.get_string_custom_property("problem")


def test_without_a_run_and_without_inputs_nothing_is_guessed(tmp_path: Path) -> None:
    """With a store, no run and nothing wired, GraphletGen does not guess."""
    graphlets = artifact(artifacts.Graphlets, tmp_path / "graphlets")
    properties = {"stage": "pre", "store": "metadata.sqlite", "pipeline_name": "light"}
    GraphletGenExecutor().Do({}, {"graphlets": [graphlets]}, properties)
    assert graphlets.get_int_custom_property("usable") == 0
    assert "wire GraphletGen's inputs" in graphlets.get_string_custom_property("problem")
