"""check_gated: a gate describes the graphlet that it stops, as far as the wiring shows."""

from __future__ import annotations

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx

from tests.components import light_nodes
from tests.components.light_trainers import Fit, TunedTrainer, Tuner
from tfx_graphlets.components.conditions import check_gated, proceed
from tfx_graphlets.components.graphlet_gen import DescriptionError, GraphletGen
from tfx_graphlets.components.kubeflow import compile_for_kubeflow
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.vocabulary import Stage

pytestmark = pytest.mark.tfx


def pipeline(*nodes: tfx.types.BaseNode) -> tfx.dsl.Pipeline:
    """A pipeline of these nodes."""
    return tfx.dsl.Pipeline(pipeline_name="test", pipeline_root="root", components=list(nodes))


def gated(generator: GraphletGen, stage: Stage = Stage.PRE) -> WasteGate:
    """A gate that reads a GraphletGen."""
    return WasteGate(graphlets=generator.outputs["graphlets"], model_directory="model", stage=stage)


def tuned(stage: Stage, *, behind: bool) -> tfx.dsl.Pipeline:
    """A pipeline with a Tuner, which stands behind the gate, or before it."""
    example_gen = light_nodes.LightExampleGen(span=1)
    examples = example_gen.outputs["examples"]
    inputs: dict[str, tfx.types.BaseChannel] = {"examples": examples}
    if not behind:
        tuner = Tuner(examples=examples)
        inputs["hyperparameters"] = tuner.outputs["best_hyperparameters"]
    generator = GraphletGen(**inputs, stage=stage)
    gate = gated(generator, stage)
    with tfx.dsl.Cond(proceed(gate)):
        if behind:
            tuner = Tuner(examples=examples)
        trainer = TunedTrainer(
            examples=examples, hyperparameters=tuner.outputs["best_hyperparameters"]
        )
    return pipeline(example_gen, tuner, generator, gate, trainer)


def test_a_tuner_behind_a_gate_at_pre_is_refused() -> None:
    """The past graphlets were all described with their Tuner: this one would not be."""
    check_gated(tuned(Stage.PRE, behind=False))
    check_gated(tuned(Stage.INPUT, behind=True))
    with pytest.raises(DescriptionError, match=r"Tuner stands behind WasteGate.*stage='input'"):
        check_gated(tuned(Stage.PRE, behind=True))


def test_kubeflow_is_refused_the_same(tmp_path: object) -> None:
    """compile_for_kubeflow checks before it compiles."""
    with pytest.raises(DescriptionError, match="Tuner"):
        compile_for_kubeflow(
            tuned(Stage.PRE, behind=True), f"{tmp_path}/pipeline.json", image="image"
        )


def test_data_analysis_behind_a_gate_at_pre_is_refused() -> None:
    """ExampleValidator is no input of the Trainer, and its anomalies are features at pre."""
    example_gen = tfx.components.CsvExampleGen(input_base="data")
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"])
    generator = GraphletGen(examples=example_gen.outputs["examples"])
    gate = gated(generator)
    with tfx.dsl.Cond(proceed(gate)):
        fit = Fit(dataset=example_gen.outputs["examples"])
        validator = tfx.components.ExampleValidator(
            statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
        )
    nodes = (example_gen, statistics_gen, schema_gen, generator, gate, fit, validator)
    with pytest.raises(DescriptionError, match="ExampleValidator stands behind WasteGate"):
        check_gated(pipeline(*nodes))


def light(
    stage: Stage = Stage.PRE, *, taken: tuple[str, ...] = (), after: bool = False
) -> tfx.dsl.Pipeline:
    """ExampleGen, Transform and a gated Trainer; GraphletGen takes in what is named."""
    example_gen = light_nodes.LightExampleGen(span=1)
    transform = light_nodes.Transform(examples=example_gen.outputs["examples"])
    channels = {
        "examples": example_gen.outputs["examples"],
        "transform_graph": transform.outputs["transform_graph"],
    }
    generator = GraphletGen(**{key: channels[key] for key in taken}, stage=stage)
    if after:
        generator.add_upstream_node(transform)
    gate = gated(generator, stage)
    with tfx.dsl.Cond(proceed(gate)):
        trainer = light_nodes.Trainer(**channels)
    return pipeline(example_gen, transform, generator, gate, trainer)


@pytest.mark.parametrize(
    ("stage", "taken", "lacks"),
    [
        (Stage.PRE, ("examples",), "transform_graph=<Transform>"),
        (Stage.PRE, ("transform_graph",), "examples=<LightExampleGen>"),
        (Stage.PRE, (), "examples=<LightExampleGen>"),
        (Stage.INPUT, (), "examples=<LightExampleGen>"),
    ],
)
def test_a_graphlet_gen_that_lacks_an_input_is_refused(
    stage: Stage, taken: tuple[str, ...], lacks: str
) -> None:
    """Named with the key, and the node that puts it out."""
    with pytest.raises(DescriptionError, match=f"GraphletGen lacks.*Trainer.*{lacks}"):
        check_gated(light(stage, taken=taken))


def test_what_is_wired_or_has_run_before_passes() -> None:
    """All inputs; at input the examples alone; or none at all, and an order by hand."""
    check_gated(light(taken=("examples", "transform_graph")))
    check_gated(light(Stage.INPUT, taken=("examples",)))
    check_gated(light(after=True))


def test_a_gate_behind_the_trainer_has_to_know_whose_model() -> None:
    """At stages trainer and validation the graphlet is that of the wired model."""
    example_gen = light_nodes.LightExampleGen(span=1)
    fit = Fit(dataset=example_gen.outputs["examples"])
    generator = GraphletGen(examples=example_gen.outputs["examples"], stage=Stage.TRAINER)
    gate = gated(generator, Stage.TRAINER)
    with tfx.dsl.Cond(proceed(gate)):
        evaluator = light_nodes.Evaluator(model=fit.outputs["model"])
    with pytest.raises(DescriptionError, match=r"has no model.*model=<the Trainer>"):
        check_gated(pipeline(example_gen, fit, generator, gate, evaluator))


def test_an_evaluator_behind_a_gate_at_validation_is_refused() -> None:
    """Its verdict is what that stage knows."""
    example_gen = light_nodes.LightExampleGen(span=1)
    fit = Fit(dataset=example_gen.outputs["examples"])
    generator = GraphletGen(model=fit.outputs["model"], stage=Stage.VALIDATION)
    gate = gated(generator, Stage.VALIDATION)
    with tfx.dsl.Cond(proceed(gate)):
        evaluator = light_nodes.Evaluator(model=fit.outputs["model"])
    with pytest.raises(DescriptionError, match="Evaluator stands behind WasteGate"):
        check_gated(pipeline(example_gen, fit, generator, gate, evaluator))
