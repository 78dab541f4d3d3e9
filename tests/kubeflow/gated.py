"""Small gated pipelines for Kubeflow: the gate is real, and so are Trainer and Pusher."""

from __future__ import annotations

from pathlib import Path

from tfx import v1 as tfx

from tests.components import light_nodes
from tests.import_graph import ROOT
from tfx_graphlets.components.conditions import proceed
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.vocabulary import Stage

# Where there is no metadata store to ask: an archive, and the name of the pipeline in it.
PIPELINE = "flights-lga-linear-w1-value"
ARCHIVE = ROOT / "pipelines" / "flights" / "history" / PIPELINE / "archive"


def pipeline(
    folder: Path,
    model_directory: str,
    *,
    span: int,
    enable_cache: bool = False,
    store: str | None = str(ARCHIVE),
    pipeline_name: str | None = PIPELINE,
) -> tfx.dsl.Pipeline:
    """Examples, Transform and Evaluator are light; the runtime parameter is force_run."""
    examples = light_nodes.LightExampleGen(span=span)
    transform = light_nodes.Transform(examples=examples.outputs["examples"])
    graphlet_gen = GraphletGen(
        examples=examples.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
        store=store,
        pipeline_name=pipeline_name,
    )
    gate = WasteGate(
        graphlets=graphlet_gen.outputs["graphlets"],
        model_directory=model_directory,
        # The waste model alone decides: no cold start, and no chance.
        threshold=0.5,
        min_labelled=0,
        min_pushes=0,
        exploration=0.0,
        force_run=tfx.dsl.experimental.RuntimeParameter(name="force_run", ptype=int, default=0),
    )
    with tfx.dsl.Cond(proceed(gate)):
        trainer = tfx.components.Trainer(
            examples=examples.outputs["examples"],
            transform_graph=transform.outputs["transform_graph"],
            module_file=str(Path(__file__).with_name("tiny_trainer.py")),
            train_args=tfx.proto.TrainArgs(num_steps=7),
            eval_args=tfx.proto.EvalArgs(num_steps=1),
        )
        evaluator = light_nodes.Evaluator(model=trainer.outputs["model"])
        pusher = tfx.components.Pusher(
            model=trainer.outputs["model"],
            model_blessing=evaluator.outputs["blessing"],
            push_destination=tfx.proto.PushDestination(
                filesystem=tfx.proto.PushDestination.Filesystem(
                    base_directory=str(folder / "serving")
                )
            ),
        )
    return tfx.dsl.Pipeline(
        pipeline_name=PIPELINE,
        pipeline_root=str(folder / "root"),
        components=[examples, transform, graphlet_gen, gate, trainer, evaluator, pusher],
        enable_cache=enable_cache,
    )


def two_gates(
    folder: Path, model_directory_input: str, model_directory_pre: str, *, span: int
) -> tfx.dsl.Pipeline:
    """A gate before preprocessing and one before the Trainer, which knows the first."""
    examples = light_nodes.LightExampleGen(span=span)
    data = examples.outputs["examples"]
    gates: list[tfx.types.BaseNode] = []

    def gate(stage: Stage, model_directory: str, threshold: float, **inputs: object) -> WasteGate:
        outer = gates[-1].outputs["decision"] if gates else None
        generator = GraphletGen(
            stage=stage, store=str(ARCHIVE), pipeline_name=PIPELINE, **inputs
        ).with_id(f"GraphletGen_{stage}")
        made = WasteGate(
            graphlets=generator.outputs["graphlets"],
            model_directory=model_directory,
            outer=outer,
            stage=stage,
            threshold=threshold,
            min_labelled=0,
            min_pushes=0,
            exploration=0.0,
        ).with_id(f"WasteGate_{stage}")
        gates.extend((generator, made))
        return made

    with tfx.dsl.Cond(proceed(gate(Stage.INPUT, model_directory_input, 0.5, examples=data))):
        transform = light_nodes.Transform(examples=data)
    graph = transform.outputs["transform_graph"]
    second = gate(Stage.PRE, model_directory_pre, 0.0, examples=data, transform_graph=graph)
    with tfx.dsl.Cond(proceed(second)):
        trainer = light_nodes.Trainer(examples=data, transform_graph=graph)
    return tfx.dsl.Pipeline(
        pipeline_name=PIPELINE,
        pipeline_root=str(folder / "root"),
        components=[examples, transform, trainer, *gates],
    )
