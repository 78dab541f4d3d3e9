"""proceed and check_gated."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx

from tests.components import light_nodes
from tfx_graphlets.components.conditions import (
    NestedGateError,
    Ungated,
    UngatedNodeError,
    check_gated,
    proceed,
)
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.errors import InvalidArgumentError

pytestmark = pytest.mark.tfx


class Nodes:
    """A pipeline's nodes by name, made in the order that the test wants."""

    def __init__(self) -> None:
        self.example_gen = light_nodes.LightExampleGen(span=1)
        self.transform = light_nodes.Transform(examples=self.example_gen.outputs["examples"])
        self.gate = light_nodes.Gate()

    def train(self) -> None:
        self.trainer = light_nodes.Trainer(
            examples=self.example_gen.outputs["examples"],
            transform_graph=self.transform.outputs["transform_graph"],
        )

    def evaluate(self) -> None:
        self.evaluator = light_nodes.Evaluator(model=self.trainer.outputs["model"])

    def push(self) -> None:
        self.pusher = light_nodes.Pusher(
            model=self.trainer.outputs["model"], blessing=self.evaluator.outputs["blessing"]
        )

    def pipeline(self) -> tfx.dsl.Pipeline:
        return tfx.dsl.Pipeline(
            pipeline_name="test", pipeline_root="root", components=list(vars(self).values())
        )


def test_a_pipeline_with_every_descendant_inside_passes() -> None:
    """check_gated returns nothing when Trainer, Evaluator and Pusher all stand inside."""
    nodes = Nodes()
    with tfx.dsl.Cond(proceed(nodes.gate)):
        nodes.train()
        nodes.evaluate()
        nodes.push()
    assert check_gated(nodes.pipeline()) is None


def test_every_descendant_left_outside_is_named_with_its_path() -> None:
    """Direct and indirect descendants outside the condition are all in the error."""
    nodes = Nodes()
    with tfx.dsl.Cond(proceed(nodes.gate)):
        nodes.train()
    nodes.evaluate()
    nodes.push()
    with pytest.raises(UngatedNodeError, match=r"Evaluator is outside.*Pusher is") as caught:
        check_gated(nodes.pipeline())
    assert caught.value.ungated == (
        Ungated("Evaluator", "Gate", ("Trainer", "Evaluator")),
        Ungated("Pusher", "Gate", ("Trainer", "Evaluator", "Pusher")),
    )


def test_a_pipeline_without_a_gate_passes() -> None:
    """Where no node asks a GateDecision there is nothing to check."""
    nodes = Nodes()
    nodes.train()
    nodes.evaluate()
    with tfx.dsl.Cond(
        nodes.evaluator.outputs["blessing"].future()[0].custom_property("blessed") == 1
    ):
        nodes.push()
    report = light_nodes.Report(pushed_model=nodes.pusher.outputs["pushed_model"])
    nodes.report = report  # type: ignore[attr-defined]
    check_gated(nodes.pipeline())


def test_a_node_below_two_gates_must_stand_under_both() -> None:
    """Under the second gate only, the Trainer's descendants miss the first gate's condition."""
    nodes = Nodes()
    nodes.second = light_nodes.Gate().with_id("Second")  # type: ignore[attr-defined]
    with tfx.dsl.Cond(proceed(nodes.gate)):
        nodes.train()
        with tfx.dsl.Cond(proceed(nodes.second)):  # type: ignore[attr-defined]
            nodes.evaluate()
    with tfx.dsl.Cond(proceed(nodes.second)):  # type: ignore[attr-defined]
        nodes.push()
    with pytest.raises(UngatedNodeError) as caught:
        check_gated(nodes.pipeline())
    assert [(u.node, u.gate) for u in caught.value.ungated] == [("Pusher", "Gate")]


def test_a_gate_inside_another_gates_condition_is_refused() -> None:
    """When the outer gate says no, TFX would fail at random what asks the inner one."""
    nodes = Nodes()
    with tfx.dsl.Cond(proceed(nodes.gate)):
        nodes.inner = light_nodes.Gate().with_id("Inner")  # type: ignore[attr-defined]
        with tfx.dsl.Cond(proceed(nodes.inner)):  # type: ignore[attr-defined]
            nodes.train()
    with pytest.raises(NestedGateError, match="Inner is inside the condition of Gate") as caught:
        check_gated(nodes.pipeline())
    assert caught.value.nested == (("Inner", "Gate"),)


@dataclasses.dataclass
class TwoGates:
    """A gate before Transform and one before the Trainer, all optional wiring by argument."""

    outer_is_wired: bool = True
    generator_is_inside: bool = False
    trainer_is_under: str = "pre"

    def pipeline(self) -> tfx.dsl.Pipeline:
        examples = light_nodes.LightExampleGen(span=1)
        data = examples.outputs["examples"]
        first = light_nodes.Gate()
        with tfx.dsl.Cond(proceed(first)):
            transform = light_nodes.Transform(examples=data)
            graph = transform.outputs["transform_graph"]
            if self.generator_is_inside:
                generator = GraphletGen(examples=data, transform_graph=graph)
        if not self.generator_is_inside:
            generator = GraphletGen(examples=data, transform_graph=graph)
        second = WasteGate(
            graphlets=generator.outputs["graphlets"],
            model_directory="model",
            outer=first.outputs["decision"] if self.outer_is_wired else None,
        )
        with tfx.dsl.Cond(proceed(second if self.trainer_is_under == "pre" else first)):
            trainer = light_nodes.Trainer(examples=data, transform_graph=graph)
        nodes = [examples, first, transform, generator, second, trainer]
        return tfx.dsl.Pipeline(pipeline_name="two", pipeline_root="root", components=nodes)


def test_a_later_gate_that_knows_the_earlier_one_implies_its_condition() -> None:
    """With outer wired the Trainer stands under both by standing under the later gate."""
    check_gated(TwoGates().pipeline())


def test_a_later_gate_that_does_not_know_the_earlier_one_is_named() -> None:
    """Without outer neither the gate nor what it gates follows the earlier decision."""
    with pytest.raises(UngatedNodeError, match="outer=") as caught:
        check_gated(TwoGates(outer_is_wired=False).pipeline())
    assert [(u.node, u.gate) for u in caught.value.ungated] == [
        ("WasteGate", "Gate"),
        ("Trainer", "Gate"),
    ]


def test_a_gate_whose_graphlets_would_be_missing_is_named() -> None:
    """A GraphletGen inside the earlier condition leaves the later gate without input."""
    with pytest.raises(UngatedNodeError) as caught:
        check_gated(TwoGates(generator_is_inside=True).pipeline())
    assert ("WasteGate", "Gate") in [(u.node, u.gate) for u in caught.value.ungated]


def test_a_condition_of_the_users_own_is_a_dependency_too() -> None:
    """A node that asks a gated Evaluator in its own Cond must stand inside as well."""
    nodes = Nodes()
    with tfx.dsl.Cond(proceed(nodes.gate)):
        nodes.train()
        nodes.evaluate()
    blessed = nodes.evaluator.outputs["blessing"].future()[0].custom_property("blessed") == 1
    with tfx.dsl.Cond(blessed):
        nodes.late = light_nodes.LightExampleGen(span=2).with_id("Late")  # type: ignore[attr-defined]
    with pytest.raises(UngatedNodeError, match=r"Late is outside"):
        check_gated(nodes.pipeline())


def test_the_opposite_condition_is_not_the_same_condition() -> None:
    """A node that runs only when the gate says no may not take an output from inside."""
    nodes = Nodes()
    decision = nodes.gate.outputs["decision"].future()[0].custom_property("proceed")
    with tfx.dsl.Cond(proceed(nodes.gate)):
        nodes.train()
    with tfx.dsl.Cond(decision == 0):
        nodes.evaluate()
    with pytest.raises(UngatedNodeError, match="Evaluator"):
        check_gated(nodes.pipeline())


def test_an_allowed_node_may_stand_outside() -> None:
    """Allow takes a node out of the check; a name that is no node is an error."""
    nodes = Nodes()
    with tfx.dsl.Cond(proceed(nodes.gate)):
        nodes.train()
        nodes.evaluate()
        nodes.push()
    report = light_nodes.Report(pushed_model=nodes.pusher.outputs["pushed_model"])
    nodes.report = report  # type: ignore[attr-defined]
    pipeline = nodes.pipeline()
    with pytest.raises(UngatedNodeError, match="Report"):
        check_gated(pipeline)
    check_gated(pipeline, allow=("Report",))
    with pytest.raises(InvalidArgumentError, match="Reprot"):
        check_gated(pipeline, allow=("Reprot",))


def test_proceed_wants_a_node_that_decides() -> None:
    """A node without a GateDecision is refused when the pipeline is written, not when it runs."""
    example_gen = light_nodes.LightExampleGen(span=1)
    with pytest.raises(InvalidArgumentError, match=r"LightExampleGen.*WasteGate"):
        proceed(example_gen)
