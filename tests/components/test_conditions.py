"""proceed and check_gated."""

from __future__ import annotations

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx

from tests.components import light_nodes
from tfx_graphlets.components.conditions import Ungated, UngatedNodeError, check_gated, proceed
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


def test_a_second_gate_inside_the_first_makes_its_condition_a_descendant() -> None:
    """A condition that asks a gated gate depends on that gate's own condition."""
    nodes = Nodes()
    with tfx.dsl.Cond(proceed(nodes.gate)):
        nodes.inner = light_nodes.Gate().with_id("Inner")  # type: ignore[attr-defined]
    with tfx.dsl.Cond(proceed(nodes.inner)):  # type: ignore[attr-defined]
        nodes.train()
    with pytest.raises(UngatedNodeError) as caught:
        check_gated(nodes.pipeline())
    assert [(u.node, u.gate) for u in caught.value.ungated] == [("Trainer", "Gate")]


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
