"""The penguin pipeline, after TFX's template, with a gate before the Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx

from tfx_graphlets import GraphletGen, WasteGate, check_gated, proceed

NAME = "penguin"
MODULE_FILE = str(Path(__file__).with_name("user_code") / "penguin_model.py")


def create_pipeline(
    folder: str, *, accuracy: float = 0.6, waste_model: str = "waste_model", **settings: Any
) -> tfx.dsl.Pipeline:
    """The pipeline below a folder: reads its ``data``, pushes to its ``serving``.

    Args:
      folder: of the pipeline, with the CSV files in ``data``.
      accuracy: a model that does not reach it is not pushed, 0..1.
      waste_model: directory that `tfx-graphlets train` has written.
      settings: of the WasteGate.
    """
    example_gen = tfx.components.CsvExampleGen(input_base=f"{folder}/data")
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"])
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    graphlet_gen = GraphletGen(  # what the Trainer will take in
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        anomalies=example_validator.outputs["anomalies"],
    )
    gate = WasteGate(
        graphlets=graphlet_gen.outputs["graphlets"], model_directory=waste_model, **settings
    )
    with tfx.dsl.Cond(proceed(gate)):
        trainer = tfx.components.Trainer(
            examples=example_gen.outputs["examples"],
            schema=schema_gen.outputs["schema"],
            module_file=MODULE_FILE,
            train_args=tfx.proto.TrainArgs(num_steps=100),
            eval_args=tfx.proto.EvalArgs(num_steps=1),
        )
        evaluator = tfx.components.Evaluator(
            examples=example_gen.outputs["examples"],
            model=trainer.outputs["model"],
            eval_config=evaluation_config(accuracy),
        )
        pusher = tfx.components.Pusher(
            model=trainer.outputs["model"],
            model_blessing=evaluator.outputs["blessing"],
            push_destination=tfx.proto.PushDestination(
                filesystem=tfx.proto.PushDestination.Filesystem(base_directory=f"{folder}/serving")
            ),
        )
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=NAME,
        pipeline_root=f"{folder}/root",
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            graphlet_gen,
            gate,
            trainer,
            evaluator,
            pusher,
        ],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            f"{folder}/metadata.sqlite"
        ),
        beam_pipeline_args=["--direct_num_workers=1", "--sdk_container_image=none"],
    )
    check_gated(pipeline)
    return pipeline


def evaluation_config(accuracy: float) -> tfma.EvalConfig:
    """What the Evaluator demands of a model."""
    bound = tfma.GenericValueThreshold(lower_bound={"value": accuracy})
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default", label_key="species", model_type="tf_generic"
            )
        ],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(
                        class_name="SparseCategoricalAccuracy",
                        threshold=tfma.MetricThreshold(value_threshold=bound),
                    )
                ]
            )
        ],
    )
