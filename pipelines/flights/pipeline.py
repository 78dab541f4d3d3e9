"""The flights pipeline: one span a day, a rolling window, a model per run, pushed if better."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.placeholder.placeholder import Predicate

from pipelines.flights import data
from pipelines.flights.throttle import PushThrottle
from pipelines.flights.variants import VariantConfig
from pipelines.flights.window import LatestVersionSpanRange

BEAM_ARGUMENTS = (
    "--direct_num_workers=1",
    "--direct_running_mode=in_memory",
    "--max_cache_memory_usage_mb=0",  # measuring what to keep costs more than it saves
    # Without an image TFX packs its whole source for remote workers, 1.5 s in every Beam component.
    "--sdk_container_image=none",
)
HOLD_PARAMETER = "hold_push"

# Takes the nodes before the Trainer by id; returns the gate's own nodes and the condition to train.
Gate = Callable[[Mapping[str, BaseNode]], tuple[Sequence[BaseNode], Predicate]]


@dataclass(frozen=True)
class PipelinePaths:
    """Where one pipeline reads and writes; relative paths are relative to the working directory."""

    pipeline_root: str = "root"
    data_root: str = "data"
    serving_root: str = "serving"
    module_file: str = "code/flights_model.py"
    schema_file: str = "schema/schema.pbtxt"
    metadata_file: str = "metadata.sqlite"


def create_pipeline(
    variant: VariantConfig,
    paths: PipelinePaths | None = None,
    *,
    gate: Gate | None = None,
) -> tfx.dsl.Pipeline:
    """The pipeline of one variant.

    Args:
      variant: what to train, on what, and when to push it.
      paths: where to read and write; `PipelinePaths()` by default.
      gate: decides whether to train. Its condition wraps the Trainer and all that depends on it.
        None trains in every run.

    Returns:
      A pipeline for LocalDagRunner or BeamDagRunner; variants with a throttle take the runtime
      parameter HOLD_PARAMETER (0 or 1, 0 by default).
    """
    paths = PipelinePaths() if paths is None else paths
    before = _data_nodes(variant, paths)
    gate_nodes, condition = gate(before) if gate else ((), None)
    with tfx.dsl.Cond(condition) if condition is not None else contextlib.nullcontext():
        training = _training_nodes(variant, paths, before)
    return tfx.dsl.Pipeline(
        pipeline_name=variant.name,
        pipeline_root=paths.pipeline_root,
        components=[*before.values(), *gate_nodes, *training],
        enable_cache=variant.cache,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            paths.metadata_file
        ),
        beam_pipeline_args=list(BEAM_ARGUMENTS),
    )


def _data_nodes(variant: VariantConfig, paths: PipelinePaths) -> dict[str, BaseNode]:
    """Everything up to Transform and the resolver of the latest blessed model, by node id."""
    example_gen = tfx.components.CsvExampleGen(
        input_base=paths.data_root,
        input_config=tfx.proto.Input(
            splits=[tfx.proto.Input.Split(name="single_split", pattern=data.SPAN_PATTERN)]
        ),
        output_config=tfx.proto.Output(
            split_config=tfx.proto.SplitConfig(
                splits=[
                    tfx.proto.SplitConfig.Split(name="train", hash_buckets=1),
                    tfx.proto.SplitConfig.Split(name="eval", hash_buckets=1),
                ]
            )
        ),
    )
    statistics_gen = tfx.components.StatisticsGen(
        examples=example_gen.outputs["examples"], exclude_splits=["eval"]
    )
    schema_gen = tfx.components.ImportSchemaGen(schema_file=paths.schema_file).with_id("SchemaGen")
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        exclude_splits=["eval"],
    )
    window = tfx.dsl.Resolver(
        strategy_class=LatestVersionSpanRange,
        config={"number_of_spans": variant.window},
        examples=tfx.dsl.Channel(
            type=tfx.types.standard_artifacts.Examples, producer_component_id=example_gen.id
        ),
    ).with_id("WindowResolver")
    window.add_upstream_node(example_gen)
    blessed = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("LatestBlessedModel")
    transform = tfx.components.Transform(
        examples=window.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        module_file=paths.module_file,
        materialize=False,
        disable_statistics=True,
        disable_analyzer_cache=True,
        force_tf_compat_v1=True,  # traces once where TF2 mode traces for every phase
    )
    nodes = (example_gen, statistics_gen, schema_gen, example_validator, window, blessed, transform)
    return {node.id: node for node in nodes}


def _training_nodes(
    variant: VariantConfig, paths: PipelinePaths, before: Mapping[str, BaseNode]
) -> list[BaseNode]:
    """The Trainer and everything that depends on it: all of it stands inside a gate's condition."""
    examples = before["WindowResolver"].outputs["examples"]
    blessed_model = before["LatestBlessedModel"].outputs["model"]
    trainer = tfx.components.Trainer(
        examples=examples,
        transform_graph=before["Transform"].outputs["transform_graph"],
        schema=before["SchemaGen"].outputs["schema"],
        base_model=blessed_model if variant.warm_start else None,
        module_file=paths.module_file,
        train_args=tfx.proto.TrainArgs(splits=["train"], num_steps=variant.train_steps),
        eval_args=tfx.proto.EvalArgs(splits=["eval"], num_steps=1),
        custom_config={"model": variant.model, "hidden_units": list(variant.hidden_units)},
    )
    evaluator = tfx.components.Evaluator(
        examples=examples,
        model=trainer.outputs["model"],
        baseline_model=blessed_model,
        eval_config=evaluation_config(variant),
        example_splits=["eval"],
    )
    nodes: list[BaseNode] = [trainer, evaluator]
    infra_blessing = None
    if variant.throttled:
        throttle = PushThrottle(
            model=trainer.outputs["model"],
            model_blessing=evaluator.outputs["blessing"],
            hold=tfx.dsl.experimental.RuntimeParameter(name=HOLD_PARAMETER, ptype=int, default=0),
        )
        infra_blessing = throttle.outputs["blessing"]
        nodes.append(throttle)
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_blessing,
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=paths.serving_root)
        ),
    )
    return [*nodes, pusher]


def evaluation_config(variant: VariantConfig) -> tfma.EvalConfig:
    """What the Evaluator demands: good enough by itself, and better than the blessed model."""
    task = variant.task
    loss = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(upper_bound={"value": variant.maximum_loss})
    )
    if variant.minimum_gain is not None:
        loss.change_threshold.direction = tfma.MetricDirection.LOWER_IS_BETTER
        loss.change_threshold.absolute.value = -variant.minimum_gain
    auc = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": variant.minimum_auc})
    )
    metrics = [tfma.MetricConfig(class_name=task.loss, threshold=loss)]
    if task.binary:
        metrics.append(
            tfma.MetricConfig(
                class_name="AUC", config=json.dumps({"num_thresholds": 200}), threshold=auc
            )
        )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default", label_key=task.label, model_type="tf_generic"
            )
        ],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[
            tfma.MetricsSpec(metrics=[*metrics, tfma.MetricConfig(class_name="ExampleCount")])
        ],
    )
