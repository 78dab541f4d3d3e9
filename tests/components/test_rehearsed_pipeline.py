"""A pipeline that is gated in one line with a rehearsal, run by TFX's own runners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

from pipelines.penguin import data, pipeline
from tests.components import light_nodes, waste_models
from tests.components.runs import LightPipeline
from tests.components.test_gate_pipeline import Light, pipeline_of, wired
from tfx_graphlets.components.placement import PlacementError, gate_pipeline
from tfx_graphlets.errors import InvalidArgumentError

pytestmark = pytest.mark.tfx

SETTINGS = {"threshold": 0.5, "min_labelled": 0, "min_pushes": 0, "exploration": 0.0}


class Rehearsals(LightPipeline):
    """Reads what Rehearsals left in the store of a pipeline."""

    def rehearsals(self) -> list[dict[str, object]]:
        """Custom properties of the Rehearsal artifacts, oldest first."""
        artifacts = self.store().get_artifacts_by_type("tfx_graphlets.Rehearsal")
        return [
            {k: getattr(v, v.WhichOneof("value")) for k, v in artifact.custom_properties.items()}
            for artifact in sorted(artifacts, key=lambda artifact: artifact.id)
        ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runner", "mode"),
    [
        pytest.param(tfx.orchestration.LocalDagRunner, "full", id="LocalDagRunner"),
        pytest.param(BeamDagRunner, "scout", id="BeamDagRunner", marks=pytest.mark.long),
    ],
)
def test_penguins_are_rehearsed(
    tmp_path: Path, runner: Callable[[], tfx.orchestration.LocalDagRunner], mode: str
) -> None:
    """Two runs: both gates proceed, the rehearsal foretells the accuracy, the next one knows it."""
    model = waste_models.saved(tmp_path / "model")
    read = Rehearsals(tmp_path)
    for seed in (1, 2):
        data.write_penguins(tmp_path / "data", 60, seed=seed)
        made = gate_pipeline(
            pipeline.create_pipeline(str(tmp_path)), model_directory=model, rehearsal=mode,
            **SETTINGS,
        )  # fmt: skip
        runner().run(made)
    for states in read.executions():
        assert set(states.values()) == {"COMPLETE"}
        assert {"FirstWasteGate", "Rehearsal", "WasteGate", "Pusher"} <= states.keys()
    found = read.rehearsals()
    assert [one["rehearsed"] for one in found] == [1, 1], found
    assert [one["trainer"] for one in found] == ["Trainer"] * 2
    assert all(one["scout"] > 0.6 for one in found)  # type: ignore[operator]
    assert ("probe" in found[1]) == (mode == "full"), found[1]
    # The second snapshot names the scout of the blessed first run, and what rehearsing took.
    past = read.histories()[1].rehearsals
    assert past.scout
    assert (past.scout_s or past.full_s) == (found[0]["seconds"],)
    assert past.behind_s[0] > 0
    assert "previous_scout" in found[1]


def test_what_the_first_gate_skips_is_not_rehearsed(tmp_path: Path) -> None:
    """Many penguins are wasteful to the tests' waste model: nothing is read, nothing is trained."""
    model = waste_models.saved(tmp_path / "model")
    read = Rehearsals(tmp_path)
    data.write_penguins(tmp_path / "data", 3_000, seed=1)
    made = gate_pipeline(
        pipeline.create_pipeline(str(tmp_path)), model_directory=model, rehearsal="scout",
        **SETTINGS,
    )  # fmt: skip
    tfx.orchestration.LocalDagRunner().run(made)
    (states,) = read.executions()
    assert states["Rehearsal"] == "COMPLETE"
    assert "Trainer" not in states
    (found,) = read.rehearsals()
    assert (found["rehearsed"], found["mode"]) == (0, "off")
    assert [one["proceed"] for one in read.decisions()] == [0, 0]


def test_the_rehearsal_takes_what_trainer_and_evaluator_take(tmp_path: Path) -> None:
    """Examples and eval_config of the Evaluator, inputs and code of the Trainer, in one line."""
    made = gate_pipeline(
        pipeline.create_pipeline(str(tmp_path)), model_directory="model", rehearsal="auto",
        freshness=0.9,
    )  # fmt: skip
    assert wired(made, "Rehearsal") == {
        "graphlets": ["GraphletGen"], "decision": ["FirstWasteGate"],
        "examples": ["CsvExampleGen"], "schema": ["SchemaGen"],
    }  # fmt: skip
    assert wired(made, "WasteGate")["rehearsal"] == ["Rehearsal"]
    assert wired(made, "WasteGate")["outer"] == ["FirstWasteGate"]
    nodes = {node.id: node for node in made.components}
    for gate in ("FirstWasteGate", "WasteGate"):
        assert nodes[gate].exec_properties["freshness"] == pytest.approx(0.95)
    assert "penguin_model" in nodes["Rehearsal"].exec_properties["code"]


def test_the_rehearsal_measures_as_the_evaluator_that_the_pusher_listens_to() -> None:
    """A lenient Evaluator beside it stands first in the pipeline, and decides about no push."""
    light = Light()
    lenient, strict = (
        tfx.components.Evaluator(
            examples=light.examples, model=light.model,
            eval_config=pipeline.evaluation_config(accuracy),
        ).with_id(name)
        for name, accuracy in (("A_Lenient", 0.01), ("Strict", 0.99))
    )  # fmt: skip
    pusher = light_nodes.Pusher(model=light.model, blessing=strict.outputs["blessing"])
    made = gate_pipeline(
        pipeline_of([*light.nodes[:3], lenient, strict, pusher]),
        model_directory="model", rehearsal="scout", freshness=0.9,
    )  # fmt: skip
    (rehearsal,) = [node for node in made.components if node.id == "Rehearsal"]
    assert rehearsal.exec_properties["eval_config"] == strict.exec_properties["eval_config"]
    assert rehearsal.exec_properties["eval_config"] != lenient.exec_properties["eval_config"]


def test_two_gates_need_a_freshness_to_share(tmp_path: Path) -> None:
    """Without a number nothing can be halved: the error says so, and the pipeline is as it was."""
    plain = pipeline.create_pipeline(str(tmp_path))
    with pytest.raises(InvalidArgumentError, match="two gates share"):
        gate_pipeline(plain, model_directory="model", rehearsal="scout")
    assert "Rehearsal" not in {node.id for node in plain.components}


def test_what_cannot_be_rehearsed_is_named(tmp_path: Path) -> None:
    """No eval_config, two Trainers under one gate, a gate behind the Trainer: each is a problem."""
    light = Light()
    with pytest.raises(PlacementError, match="nothing to measure by"):
        gate_pipeline(
            pipeline_of(light.nodes), model_directory="m", rehearsal="scout", freshness=0.9
        )
    with pytest.raises(PlacementError, match="before the Trainer"):
        gate_pipeline(
            pipeline.create_pipeline(str(tmp_path)), model_directory="m", stage="validation",
            rehearsal="scout", freshness=0.9,
        )  # fmt: skip
    pair = Light()
    second = pair.train("Second")
    evaluator = light_nodes.Evaluator(model=second.outputs["model"]).with_id("Judge")
    with pytest.raises(PlacementError, match="share one gate"):
        gate_pipeline(
            pipeline_of([*pair.nodes, second, evaluator]), model_directory="m", stage="input",
            rehearsal="scout", freshness=0.9,
        )  # fmt: skip


def test_off_is_the_gate_alone(tmp_path: Path) -> None:
    """rehearsal="off", the default: one gate, and nothing else."""
    made = gate_pipeline(
        pipeline.create_pipeline(str(tmp_path)), model_directory="m", rehearsal="off"
    )
    names = {node.id for node in made.components}
    assert not {"Rehearsal", "FirstWasteGate"} & names
