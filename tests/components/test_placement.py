"""gate_downstream: a gate before nodes that were made without one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

from tests.components import light_nodes, waste_models
from tests.components.runs import PIPELINE, LightPipeline
from tests.components.waste_models import BETWEEN, PUSHED_SPAN, WASTED_SPAN
from tfx_graphlets.components.conditions import (
    NestedConditionError,
    UngatedNodeError,
    check_gated,
    proceed,
)
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.placement import PlacementError, gate_downstream
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.vocabulary import Stage

pytestmark = pytest.mark.tfx

standard = tfx.types.standard_artifacts


class Template:
    """A pipeline's nodes, as a template makes them: all at once, and no gate among them."""

    def __init__(self, span: int = 1) -> None:
        self.example_gen = light_nodes.LightExampleGen(span=span)
        self.transform = light_nodes.Transform(examples=self.example_gen.outputs["examples"])
        self.trainer = light_nodes.Trainer(
            examples=self.example_gen.outputs["examples"],
            transform_graph=self.transform.outputs["transform_graph"],
        )
        self.evaluator = light_nodes.Evaluator(model=self.trainer.outputs["model"])
        self.pusher = light_nodes.Pusher(
            model=self.trainer.outputs["model"], blessing=self.evaluator.outputs["blessing"]
        )

    @property
    def components(self) -> list[tfx.types.BaseNode]:
        """In no order that helps."""
        return [self.pusher, self.evaluator, self.trainer, self.transform, self.example_gen]

    def pipeline(self, folder: Path, *more: tfx.types.BaseNode) -> tfx.dsl.Pipeline:
        """The pipeline, with more nodes."""
        pipeline = tfx.dsl.Pipeline(
            pipeline_name=PIPELINE,
            pipeline_root=str(folder / "root"),
            components=[*self.components, *more],
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                str(folder / "metadata.sqlite")
            ),
        )
        check_gated(pipeline)
        return pipeline


@pytest.mark.parametrize("runner", [tfx.orchestration.LocalDagRunner, BeamDagRunner])
def test_what_was_made_without_a_gate_is_gated_afterwards(tmp_path: Path, runner: type) -> None:
    """Trainer, Evaluator and Pusher run when the gate says yes, and are skipped when it says no."""
    for answer in (1, 0):
        nodes, gate = Template(), light_nodes.Gate(proceed=answer)
        gated = gate_downstream(nodes.components, gate, of=nodes.trainer)
        assert [node.id for node in gated] == ["Pusher", "Evaluator", "Trainer"]
        runner().run(nodes.pipeline(tmp_path, gate))
    ran, skipped = LightPipeline(tmp_path).executions()
    before = {"LightExampleGen", "Transform", "Gate"}
    assert ran == dict.fromkeys(before | {"Trainer", "Evaluator", "Pusher"}, "COMPLETE")
    assert skipped == dict.fromkeys(before, "COMPLETE")


def test_a_list_that_was_not_gated_is_refused_by_the_check(tmp_path: Path) -> None:
    """The same nodes with the Trainer alone inside do not pass check_gated."""
    nodes, gate = Template(), light_nodes.Gate()
    gate_downstream([nodes.trainer], gate, of=nodes.trainer)
    with pytest.raises(UngatedNodeError, match="Evaluator is outside"):
        nodes.pipeline(tmp_path, gate)


def staged(folder: Path, span: int, thresholds: dict[Stage, float]) -> tfx.dsl.Pipeline:
    """Gates at input, pre and validation, put into a template one after the other."""
    nodes, gates = Template(span), []

    def gate(stage: Stage, of: tfx.types.BaseNode, **inputs: tfx.types.BaseChannel) -> None:
        generator = GraphletGen(stage=stage, **inputs).with_id(f"GraphletGen_{stage}")
        made = WasteGate(
            graphlets=generator.outputs["graphlets"],
            model_directory=waste_models.saved(folder / f"model_{stage}", stage),
            outer=gates[-1].outputs["decision"] if gates else None,
            stage=stage,
            threshold=thresholds.get(stage, 0.0),
            min_labelled=0,
            min_pushes=0,
            exploration=0.0,
        ).with_id(f"WasteGate_{stage}")
        gate_downstream([*nodes.components, *gates], made, of=of)
        gates.extend((generator, made))

    data = nodes.example_gen.outputs["examples"]
    gate(Stage.INPUT, nodes.transform, examples=data)
    graph = nodes.transform.outputs["transform_graph"]
    gate(Stage.PRE, nodes.trainer, examples=data, transform_graph=graph)
    model, blessing = nodes.trainer.outputs["model"], nodes.evaluator.outputs["blessing"]
    gate(Stage.VALIDATION, nodes.pusher, model=model, blessing=blessing)
    return nodes.pipeline(folder, *gates)


@pytest.mark.parametrize(
    ("stage", "runs"),
    [
        (Stage.INPUT, {"LightExampleGen"}),
        (Stage.PRE, {"LightExampleGen", "Transform"}),
        (Stage.VALIDATION, {"LightExampleGen", "Transform", "Trainer", "Evaluator"}),
    ],
)
def test_gates_at_three_stages_nest_and_agree(tmp_path: Path, stage: Stage, runs: set[str]) -> None:
    """Each gate's nodes stand under all gates before it; the first to say no is followed."""
    tfx.orchestration.LocalDagRunner().run(staged(tmp_path, WASTED_SPAN, {stage: BETWEEN}))
    light = LightPipeline(tmp_path)
    [executions] = light.executions()
    assert set(executions.values()) == {"COMPLETE"}
    assert {name for name in executions if "_" not in name} == runs
    order = [Stage.INPUT, Stage.PRE, Stage.VALIDATION]
    assert {(d["stage"], d["proceed"], d["failed_open"]) for d in light.decisions()} == {
        (str(other), int(other.order < stage.order), 0) for other in order
    }


def test_gates_at_three_stages_let_a_good_run_through(tmp_path: Path) -> None:
    """Three decisions to proceed, and the Pusher under all three conditions ran."""
    every = dict.fromkeys(Stage, BETWEEN)
    tfx.orchestration.LocalDagRunner().run(staged(tmp_path, PUSHED_SPAN, every))
    light = LightPipeline(tmp_path)
    [executions] = light.executions()
    assert set(executions.values()) == {"COMPLETE"}
    assert {"Trainer", "Evaluator", "Pusher"} <= executions.keys()
    assert [(d["proceed"], d["failed_open"]) for d in light.decisions()] == [(1, 0)] * 3


def test_what_only_follows_stays_outside() -> None:
    """A node that add_upstream_node alone puts behind the Trainer runs without it too."""
    nodes, gate = Template(), light_nodes.Gate()
    follower = light_nodes.LightExampleGen(span=2).with_id("Follower")
    follower.add_upstream_node(nodes.trainer)
    gated = gate_downstream([*nodes.components, follower], gate, of=nodes.trainer)
    assert "Follower" not in [node.id for node in gated]


def test_a_resolver_behind_the_trainer_cannot_be_gated() -> None:
    """TFX resolves before it asks the condition; nothing is changed, and the error says so."""
    nodes, gate = Template(), light_nodes.Gate()
    latest = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        model=nodes.trainer.outputs["model"],
    ).with_id("Latest")
    components = [*nodes.components, latest]
    with pytest.raises(PlacementError, match="Latest is a Resolver") as caught:
        gate_downstream(components, gate, of=nodes.trainer)
    assert len(caught.value.problems) == 1
    assert gate_downstream([nodes.pusher], gate, of=nodes.pusher) == (nodes.pusher,)


def conditional_template() -> tuple[Template, list[tfx.types.BaseNode]]:
    """A template whose Pusher stands under a condition of the user's own."""
    nodes = Template()
    with tfx.dsl.Cond(
        nodes.evaluator.outputs["blessing"].future()[0].custom_property("blessed") == 1
    ):
        report = light_nodes.Report(pushed_model=nodes.pusher.outputs["pushed_model"])
    return nodes, [*nodes.components, report]


def test_a_condition_of_ones_own_on_a_gated_node_is_refused() -> None:
    """With the gate's no there is no blessing to ask, and TFX would fail the node at random."""
    nodes, components = conditional_template()
    with pytest.raises(PlacementError, match="Report asks Evaluator in a condition of its own"):
        gate_downstream(components, light_nodes.Gate(), of=nodes.trainer)


def test_check_gated_refuses_a_condition_of_ones_own_inside_a_gates(tmp_path: Path) -> None:
    """The same, written with `with`: NestedConditionError names the node and whom it asks."""
    nodes, gate = Template(), light_nodes.Gate()
    with tfx.dsl.Cond(proceed(gate)):
        trainer = light_nodes.Trainer(
            examples=nodes.example_gen.outputs["examples"],
            transform_graph=nodes.transform.outputs["transform_graph"],
        ).with_id("GatedTrainer")
        evaluator = light_nodes.Evaluator(model=trainer.outputs["model"]).with_id("Gated")
        blessed = evaluator.outputs["blessing"].future()[0].custom_property("blessed") == 1
        with tfx.dsl.Cond(blessed):
            late = light_nodes.LightExampleGen(span=3).with_id("Late")
    with pytest.raises(NestedConditionError, match="Late asks Gated") as caught:
        nodes.pipeline(tmp_path, gate, trainer, evaluator, late)
    assert caught.value.nested == (("Late", "Gated"),)


def test_a_gate_cannot_stop_what_it_needs_itself() -> None:
    """A gate whose GraphletGen takes in the model cannot stand before the Trainer."""
    nodes = Template()
    generator = GraphletGen(model=nodes.trainer.outputs["model"], stage="trainer")
    gate = WasteGate(
        graphlets=generator.outputs["graphlets"], model_directory="model", stage="trainer"
    )
    with pytest.raises(PlacementError, match="WasteGate itself depends on Trainer"):
        gate_downstream(nodes.components, gate, of=nodes.trainer)
    gated = gate_downstream(nodes.components, gate, of=nodes.evaluator)
    assert [node.id for node in gated] == ["Pusher", "Evaluator"]


def test_a_finished_pipeline_is_too_late(tmp_path: Path) -> None:
    """The nodes of a pipeline are in a registry of its own."""
    nodes, gate = Template(), light_nodes.Gate()
    nodes.pipeline(tmp_path)
    with pytest.raises(PlacementError, match="belongs to a pipeline already"):
        gate_downstream(nodes.components, gate, of=nodes.trainer)


def test_inside_a_with_is_the_wrong_place() -> None:
    """The call would put the nodes under that condition as well."""
    nodes, gate = Template(), light_nodes.Gate()
    with tfx.dsl.Cond(proceed(gate)), pytest.raises(PlacementError, match="move it out"):
        gate_downstream(nodes.components, light_nodes.Gate().with_id("B"), of=nodes.trainer)


def test_arguments_are_checked() -> None:
    """A node that is no gate, one that is not there, one that is gated already."""
    nodes, gate = Template(), light_nodes.Gate()
    with pytest.raises(InvalidArgumentError, match="GateDecision"):
        gate_downstream(nodes.components, nodes.transform, of=nodes.trainer)
    with pytest.raises(InvalidArgumentError, match="must be one of the components"):
        gate_downstream([nodes.pusher], gate, of=nodes.trainer)
    gate_downstream(nodes.components, gate, of=nodes.trainer)
    with pytest.raises(InvalidArgumentError, match="already"):
        gate_downstream(nodes.components, gate, of=nodes.trainer)
