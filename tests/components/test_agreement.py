"""What a gate sees of its graphlet is what the history shows of it afterwards; run for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode

from tests.components import light_nodes, waste_models
from tests.components.light_trainers import BaseTrainer, FineTuner, TunedTrainer, Tuner
from tests.components.runs import PIPELINE, LightPipeline
from tfx_graphlets.components.placement import gate_pipeline
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import Stage

pytestmark = pytest.mark.tfx

RUNS = 3


def served(model: tfx.types.BaseChannel, span: int, *names: str) -> list[BaseNode]:
    """Evaluators of a model, of which the Pusher listens to the first; the others bless it."""
    evaluators = [
        light_nodes.Evaluator(model=model, blessed=1 if at else span % 2).with_id(name)
        for at, name in enumerate(names)
    ]
    pusher = light_nodes.Pusher(model=model, blessing=evaluators[0].outputs["blessing"])
    return [*evaluators, pusher]


def tuned(span: int) -> list[BaseNode]:
    """A Tuner before the Trainer: behind a gate at ``input``, before one at ``pre`` (case c13)."""
    source = light_nodes.LightExampleGen(span=span)
    examples = source.outputs["examples"]
    tuner = Tuner(examples=examples)
    trainer = TunedTrainer(examples=examples, hyperparameters=tuner.outputs["best_hyperparameters"])
    return [source, tuner, trainer, *served(trainer.outputs["model"], span, "Evaluator")]


def fine_tuned(span: int) -> list[BaseNode]:
    """A base model and its fine-tuning, before one gate."""
    source = light_nodes.LightExampleGen(span=span)
    examples = source.outputs["examples"]
    base = BaseTrainer(examples=examples)
    tuner = FineTuner(examples=examples, base_model=base.outputs["model"])
    return [source, base, tuner, *served(tuner.outputs["model"], span, "Evaluator")]


def judged_twice(span: int) -> list[BaseNode]:
    """A strict Evaluator that the Pusher listens to, and a lenient one."""
    source = light_nodes.LightExampleGen(span=span)
    graph = light_nodes.Transform(examples=source.outputs["examples"])
    trainer = light_nodes.Trainer(
        examples=source.outputs["examples"], transform_graph=graph.outputs["transform_graph"]
    )
    nodes = served(trainer.outputs["model"], span, "Strict", "Lenient")
    return [source, graph, trainer, *nodes]


@pytest.mark.parametrize(
    ("shape", "stage"),
    [
        *((tuned, stage) for stage in Stage),
        (fine_tuned, Stage.INPUT),
        (fine_tuned, Stage.PRE),
        (judged_twice, Stage.PRE),
        (judged_twice, Stage.VALIDATION),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_current_graphlet_is_described_as_the_past_ones_are(
    shape: Callable[[int], list[BaseNode]], stage: Stage, tmp_path: Path
) -> None:
    """Every feature of every Trainer behind the gate, but for the clock, which went on."""
    model = waste_models.saved(tmp_path / "model", stage)
    for span in range(RUNS):
        pipeline = tfx.dsl.Pipeline(
            pipeline_name=PIPELINE,
            pipeline_root=str(tmp_path / "root"),
            components=shape(span),
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                str(tmp_path / "metadata.sqlite")
            ),
        )
        gated = gate_pipeline(
            pipeline, model_directory=model, stage=stage, threshold=0.0, exploration=0.0,
            min_labelled=0, min_pushes=0,
        )  # fmt: skip
        tfx.orchestration.LocalDagRunner().run(gated)
    light = LightPipeline(tmp_path)
    assert [(one["proceed"], one["failed_open"]) for one in light.decisions()] == [(1, 0)] * RUNS
    last = light.histories()[-1]
    assert last.current is not None
    with open_store(str(light.store_file)) as store:
        graphlets = segment(without_gates(store.read_trace()))
    of_node = {graphlets[int(at)].node: int(at) for at in np.argsort(graphlets.trainer_id)}
    for row, node in enumerate(last.nodes):
        seen = last.current.row(row)
        then = describe(graphlets, stage, rows=np.array([of_node[node]])).row(0)
        moving = {name for name in seen if "hour" in name or "cost" in name or "rhythm" in name}
        assert {name: seen[name] for name in seen.keys() - moving} == {
            name: then[name] for name in then.keys() - moving
        }
        if shape is tuned and stage is not Stage.INPUT:
            assert (seen["shape.tuner_executions"], seen["model.hyperparameters"]) == (1, 1)
        if shape is judged_twice:
            # The first run was refused and the second blessed by whom the Pusher listens to.
            assert (seen["evaluation.blessed_2"], seen["evaluation.blessed_1"]) == (0.0, 1.0)
