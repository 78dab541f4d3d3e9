"""Gates at every stage of one pipeline, run for real."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx

from tests.components import light_nodes, waste_models
from tests.components.runs import PIPELINE, LightPipeline
from tests.components.waste_models import BETWEEN, PUSHED_SPAN, WASTED_SPAN
from tfx_graphlets.components.conditions import check_gated, proceed
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.vocabulary import Stage

pytestmark = pytest.mark.tfx


def staged_pipeline(folder: Path, span: int, thresholds: dict[Stage, float]) -> tfx.dsl.Pipeline:
    """A gate at each stage, which knows the decision of the one before it."""

    def gate(stage: Stage, **channels: tfx.types.BaseChannel) -> WasteGate:
        generator = GraphletGen(stage=stage, **channels).with_id(f"GraphletGen_{stage}")
        made = WasteGate(
            graphlets=generator.outputs["graphlets"],
            model_directory=waste_models.saved(folder / f"model_{stage}", stage),
            outer=nodes[-1].outputs["decision"] if nodes else None,
            stage=stage,
            threshold=thresholds.get(stage, 0.0),
            min_labelled=0,
            min_pushes=0,
            exploration=0.0,
        ).with_id(f"WasteGate_{stage}")
        nodes.extend((generator, made))
        return made

    nodes: list[tfx.types.BaseNode] = []
    examples = light_nodes.LightExampleGen(span=span)
    data = examples.outputs["examples"]
    with tfx.dsl.Cond(proceed(gate(Stage.INPUT, examples=data))):
        transform = light_nodes.Transform(examples=data)
    graph = transform.outputs["transform_graph"]
    with tfx.dsl.Cond(proceed(gate(Stage.PRE, examples=data, transform_graph=graph))):
        trainer = light_nodes.Trainer(examples=data, transform_graph=graph)
    model = trainer.outputs["model"]
    with tfx.dsl.Cond(proceed(gate(Stage.TRAINER, model=model))):
        evaluator = light_nodes.Evaluator(model=model)
    blessing = evaluator.outputs["blessing"]
    with tfx.dsl.Cond(proceed(gate(Stage.VALIDATION, model=model, blessing=blessing))):
        pusher = light_nodes.Pusher(model=model, blessing=blessing)
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=PIPELINE,
        pipeline_root=str(folder / "root"),
        components=[examples, transform, trainer, evaluator, pusher, *nodes],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(folder / "metadata.sqlite")
        ),
    )
    check_gated(pipeline)
    return pipeline


@pytest.mark.parametrize(
    ("stage", "runs"),
    [
        (Stage.INPUT, {"LightExampleGen"}),
        (Stage.PRE, {"LightExampleGen", "Transform"}),
        (Stage.TRAINER, {"LightExampleGen", "Transform", "Trainer"}),
        (Stage.VALIDATION, {"LightExampleGen", "Transform", "Trainer", "Evaluator"}),
    ],
)
def test_a_gate_stops_what_comes_after_its_stage(
    tmp_path: Path, stage: Stage, runs: set[str]
) -> None:
    """The gate at a stage skips by its own model, the later gates follow, nothing fails."""
    tfx.orchestration.LocalDagRunner().run(staged_pipeline(tmp_path, WASTED_SPAN, {stage: BETWEEN}))
    light = LightPipeline(tmp_path)
    [executions] = light.executions()
    assert set(executions.values()) == {"COMPLETE"}
    assert {name for name in executions if "_" not in name} == runs
    decisions = light.decisions()
    assert [(d["stage"], d["proceed"], d["failed_open"]) for d in decisions] == [
        (str(other), int(other.order < stage.order), 0) for other in Stage
    ]
    for later in decisions[stage.order + 1 :]:
        assert "has skipped this run" in str(later["reason"])
        assert "probability" not in later


def test_all_gates_let_a_good_run_through(tmp_path: Path) -> None:
    """Four decisions to proceed, and everything ran."""
    every = dict.fromkeys(Stage, BETWEEN)
    tfx.orchestration.LocalDagRunner().run(staged_pipeline(tmp_path, PUSHED_SPAN, every))
    light = LightPipeline(tmp_path)
    [executions] = light.executions()
    assert {"Trainer", "Evaluator", "Pusher"} <= executions.keys()
    assert set(executions.values()) == {"COMPLETE"}
    assert [(d["proceed"], d["failed_open"]) for d in light.decisions()] == [(1, 0)] * 4
