"""A pipeline in operation, a run per line: builds traces and the payloads they point at."""

from __future__ import annotations

import dataclasses

from tests.features.memory_payloads import MemoryPayloads
from tfx_graphlets.features import describe
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ExecutionState, Stage

COMPLETE, FAILED = ExecutionState.COMPLETE, ExecutionState.FAILED
CODE = "a" * 64
OTHER_CODE = "b" * 64
EVAL_CONFIG = (
    '{"metrics_specs": [{"metrics": [{"class_name": "AUC", "threshold": {"value_threshold":'
    ' {"lower_bound": 0.6}, "change_threshold": {"absolute": 0.01, "direction":'
    ' "HIGHER_IS_BETTER"}}}]}]}'
)


@dataclasses.dataclass(frozen=True)
class Run:
    """Ids of what a run left behind; 0 where it did not get there."""

    examples: int
    transform: int
    trainer: int
    model: int
    evaluator: int = 0
    pusher: int = 0


class Runs:
    """Runs of one pipeline, one after another; every execution takes one second.

    Attributes:
      build: the builder, for what a test adds by hand.
      payloads: where ``statistics``, ``schema``, ``metrics`` of a run are put.
    """

    def __init__(self, pipeline: str = "p") -> None:
        self.build = TraceBuilder()
        self.payloads = MemoryPayloads()
        self.pipeline = pipeline
        self.count = 0

    def run(
        self, *, span: int = 1, size: int = 100, window: tuple[int, ...] = (), code: str = CODE,
        config: str = "{}", steps: int = 10, pushed: bool = True, blessed: bool | None = None,
        trainer_state: ExecutionState = COMPLETE, wait_ms: int = 0, base_model: int | None = None,
        statistics: bytes | None = None, anomalies: bytes | None = None,
        schema: bytes | None = None, metrics: bytes | None = None,
        eval_config: str = EVAL_CONFIG,
    ) -> Run:  # fmt: skip
        """One run, from ExampleGen to Pusher; a failed Trainer ends it.

        Args:
          span, size: of the newest data; equal ones have equal fingerprints.
          window: ids of earlier Examples that it is trained on too.
          code: content hash of the module of Transform and Trainer.
          config, steps: custom_config and train steps.
          pushed, blessed: what became of the model; blessed like pushed.
          trainer_state: COMPLETE or FAILED.
          wait_ms: time between the last run and this one.
          base_model: id of a Model that the Trainer starts from.
          statistics, anomalies, schema, metrics: content of the payload.
          eval_config: of the Evaluator.
        """
        self.count += 1
        build, name = self.build, f"{self.pipeline}-run-{self.count}"
        build.clock_ms += wait_ms

        def node(type_name, inputs, outputs, **rest):  # type: ignore[no-untyped-def]
            return build.execution(
                type_name, inputs=inputs, outputs=outputs, run=name, pipeline=self.pipeline,
                node=f"{self.pipeline}.{type_name}", **rest,
            )  # fmt: skip

        def artifact(type_name: str, file: str = "", content: bytes | None = None, **rest) -> int:  # type: ignore[no-untyped-def]
            uri = f"{name}/{type_name}"
            if content is not None:
                self.payloads.put(uri, file, content)
            return build.artifact(type_name, uri=uri, **rest)

        fingerprint = (
            f"split:all,num_files:1,total_bytes:{size},xor_checksum:{span},sum_checksum:{span}"
        )
        examples = artifact("Examples", span=span, input_fingerprint=fingerprint)
        node("CsvExampleGen", {}, {"examples": [examples]})
        stats = artifact("ExampleStatistics", "Split-train/FeatureStats.pb", statistics)
        node("StatisticsGen", {"examples": [examples]}, {"statistics": [stats]})
        described = artifact("Schema", "schema.pbtxt", schema)
        node("SchemaGen", {"statistics": [stats]}, {"schema": [described]})
        found = artifact("ExampleAnomalies", "Split-train/SchemaDiff.pb", anomalies)
        node(
            "ExampleValidator", {"statistics": [stats], "schema": [described]},
            {"anomalies": [found]},
        )  # fmt: skip
        module = f"m@root/tfx_user_code_{{}}-0.0+{code}-py3-none-any.whl"
        data, graph = [examples, *window], artifact("TransformGraph")
        transform = node(
            "Transform", {"examples": data, "schema": [described]}, {"transform_graph": [graph]},
            module_path=module.format("transform"),
        )  # fmt: skip
        model = artifact("Model")
        warm = {} if base_model is None else {"base_model": [base_model]}
        trainer = node(
            "Trainer",
            {"examples": data, "transform_graph": [graph], "schema": [described], **warm},
            {"model": [model]} if trainer_state == COMPLETE else {},
            state=trainer_state, module_path=module.format("trainer"), custom_config=config,
            train_args=f'{{"num_steps": {steps}}}',
        )  # fmt: skip
        if trainer_state != COMPLETE:
            return Run(examples, transform, trainer, model)
        blessing = artifact("ModelBlessing", blessed=int(pushed if blessed is None else blessed))
        evaluation = artifact("ModelEvaluation", "metrics-00000-of-00001.tfrecord", metrics)
        evaluator = node(
            "Evaluator", {"model": [model], "examples": [examples]},
            {"blessing": [blessing], "evaluation": [evaluation]}, eval_config=eval_config,
        )  # fmt: skip
        served = artifact("PushedModel", pushed=int(pushed))
        pusher = node(
            "Pusher", {"model": [model], "model_blessing": [blessing]}, {"pushed_model": [served]}
        )
        return Run(examples, transform, trainer, model, evaluator, pusher)

    def table(self, stage: Stage = Stage.VALIDATION) -> FeatureTable:
        """Features of all runs so far at one stage."""
        return describe(segment(self.build.trace()), stage, payloads=self.payloads)

    def last(self, stage: Stage = Stage.VALIDATION) -> dict[str, float | str | None]:
        """Features of the last run."""
        table = self.table(stage)
        return table.row(len(table) - 1)


def some(row: dict[str, float | str | None], group: str, *names: str) -> dict[str, object]:
    """The named features of one group, without the group's name."""
    return {name: row[f"{group}.{name}"] for name in names}
