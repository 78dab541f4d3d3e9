"""check_gated: what stands around a gate, and what pipelines inside the pipeline put out."""

from __future__ import annotations

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.orchestration.pipeline import PipelineInputs

from tests.components import light_nodes
from tfx_graphlets.components.conditions import (
    OuterConditionError,
    Ungated,
    UngatedNodeError,
    check_gated,
    proceed,
)
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.waste_gate import WasteGate

pytestmark = pytest.mark.tfx


def pipeline(name: str, *nodes: tfx.types.BaseNode, **options: object) -> tfx.dsl.Pipeline:
    """A pipeline of these nodes."""
    return tfx.dsl.Pipeline(
        pipeline_name=name, pipeline_root="root", components=list(nodes), **options
    )


def new_data(example_gen: tfx.types.BaseNode) -> tfx.dsl.Cond:
    """The condition that people write first: is there anything new?"""
    return tfx.dsl.Cond(example_gen.outputs["examples"].future()[0].property("span") > 5)


def test_a_gate_under_the_users_condition_is_refused_with_the_way_out() -> None:
    """When that condition is false there is no decision, and TFX fails gated nodes at random."""
    example_gen = light_nodes.LightExampleGen(span=1)
    with new_data(example_gen):
        transform = light_nodes.Transform(examples=example_gen.outputs["examples"])
        generator = GraphletGen(examples=example_gen.outputs["examples"])
        gate = WasteGate(graphlets=generator.outputs["graphlets"], model_directory="model")
        with tfx.dsl.Cond(proceed(gate)):
            trainer = light_nodes.Trainer(
                examples=example_gen.outputs["examples"],
                transform_graph=transform.outputs["transform_graph"],
            )
    made = pipeline("outer", example_gen, transform, generator, gate, trainer)
    with pytest.raises(OuterConditionError, match=r"stage='input'.*inside") as caught:
        check_gated(made)
    assert caught.value.outer == (
        ("GraphletGen", "LightExampleGen"),
        ("WasteGate", "LightExampleGen"),
    )


def test_a_graphlet_gen_under_the_users_condition_is_refused() -> None:
    """The gate outside has then nothing to read, and fails as the inner one would."""
    example_gen = light_nodes.LightExampleGen(span=1)
    with new_data(example_gen):
        generator = GraphletGen(examples=example_gen.outputs["examples"])
    gate = WasteGate(graphlets=generator.outputs["graphlets"], model_directory="model")
    with pytest.raises(OuterConditionError) as caught:
        check_gated(pipeline("outer", example_gen, generator, gate))
    assert caught.value.outer == (("GraphletGen", "LightExampleGen"),)


def test_the_users_condition_inside_the_gates_passes() -> None:
    """It asks a node that always runs, so that TFX skips what is under it in an orderly way."""
    example_gen = light_nodes.LightExampleGen(span=1)
    transform = light_nodes.Transform(examples=example_gen.outputs["examples"])
    gate = light_nodes.Gate()
    with tfx.dsl.Cond(proceed(gate)), new_data(example_gen):
        trainer = light_nodes.Trainer(
            examples=example_gen.outputs["examples"],
            transform_graph=transform.outputs["transform_graph"],
        )
    check_gated(pipeline("inside", example_gen, transform, gate, trainer))


def inner(name: str, *, gated: bool) -> tfx.dsl.Pipeline:
    """A pipeline that trains, and puts out its model and its data."""
    example_gen = light_nodes.LightExampleGen(span=1)
    transform = light_nodes.Transform(examples=example_gen.outputs["examples"])
    gate = light_nodes.Gate()
    inputs = {
        "examples": example_gen.outputs["examples"],
        "transform_graph": transform.outputs["transform_graph"],
    }
    if gated:
        with tfx.dsl.Cond(proceed(gate)):
            trainer = light_nodes.Trainer(**inputs)
    else:
        trainer = light_nodes.Trainer(**inputs)
    return pipeline(
        name, example_gen, transform, gate, trainer,
        outputs={
            "model": trainer.outputs["model"],
            "graph": transform.outputs["transform_graph"],
            "examples": example_gen.outputs["examples"],
        },
    )  # fmt: skip


def test_what_a_pipeline_puts_out_of_gated_nodes_may_not_be_taken_outside() -> None:
    """The Evaluator beside the inner pipeline can ask no gate that is inside of it."""
    train = inner("train", gated=True)
    evaluator = light_nodes.Evaluator(model=train.outputs["model"])
    with pytest.raises(UngatedNodeError, match="Evaluator is outside") as caught:
        check_gated(pipeline("whole", train, evaluator))
    assert caught.value.ungated == (
        Ungated("Evaluator", "Gate", ("Trainer", "train", "Evaluator")),
    )


def test_what_a_pipeline_puts_out_of_other_nodes_may_be_taken() -> None:
    """Its data are there whatever the gate inside decides; and so is the model without a gate."""
    train = inner("train", gated=True)
    again = light_nodes.Transform(examples=train.outputs["examples"])
    check_gated(pipeline("whole", train, again))
    plain = inner("plain", gated=False)
    evaluator = light_nodes.Evaluator(model=plain.outputs["model"])
    check_gated(pipeline("both", plain, evaluator))


def test_a_pipeline_that_takes_a_gated_output_must_be_gated() -> None:
    """A pipeline is a node as any other: what it takes in it depends on."""
    example_gen = light_nodes.LightExampleGen(span=1)
    transform = light_nodes.Transform(examples=example_gen.outputs["examples"])
    gate = light_nodes.Gate()
    with tfx.dsl.Cond(proceed(gate)):
        trainer = light_nodes.Trainer(
            examples=example_gen.outputs["examples"],
            transform_graph=transform.outputs["transform_graph"],
        )
    taken = PipelineInputs({"model": trainer.outputs["model"]})
    evaluate = pipeline(
        "evaluate", light_nodes.Evaluator(model=taken.inputs["model"]), inputs=taken
    )
    with pytest.raises(UngatedNodeError, match="evaluate is outside the condition of Gate"):
        check_gated(pipeline("whole", example_gen, transform, gate, trainer, evaluate))


def test_a_pipeline_two_levels_down_is_looked_into() -> None:
    """An output that is handed on by the pipeline around it is gated as well."""
    train = inner("train", gated=True)
    around = pipeline("around", train, outputs={"model": train.outputs["model"]})
    evaluator = light_nodes.Evaluator(model=around.outputs["model"])
    with pytest.raises(UngatedNodeError) as caught:
        check_gated(pipeline("whole", around, evaluator))
    assert caught.value.ungated[0].path == ("Trainer", "train", "around", "Evaluator")
