"""WasteModelTrainer: learns from the history that GraphletGen wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, Final

from absl import logging
from tfx import v1 as tfx
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.types import component_spec

from tfx_graphlets.components import artifacts, executors
from tfx_graphlets.components.artifacts import local_place, local_target
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.request import check_stage
from tfx_graphlets.policy.freshness import check_freshness
from tfx_graphlets.supervision.defence import defended, set_properties
from tfx_graphlets.supervision.parent import Limits, run_task
from tfx_graphlets.supervision.tasks import MODEL_FILE
from tfx_graphlets.vocabulary import Stage


class WasteModelTrainerSpec(component_spec.ComponentSpec):
    """Interface of WasteModelTrainer."""

    PARAMETERS: ClassVar[Mapping[str, component_spec.ExecutionParameter]] = {
        keys.STAGE: component_spec.ExecutionParameter(type=str),
        keys.FRESHNESS: component_spec.ExecutionParameter(type=float),
        keys.SEED: component_spec.ExecutionParameter(type=int),
    }
    INPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {
        keys.GRAPHLETS: component_spec.ChannelParameter(type=artifacts.Graphlets)
    }
    OUTPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {
        keys.MODEL: component_spec.ChannelParameter(type=artifacts.WasteModel)
    }


# Long enough for any history: what this is for is an abort, not a wait.
_SECONDS: Final = 6 * 3_600.0
_MEMORY_MB: Final = 1 << 20


class WasteModelTrainerExecutor(base_executor.BaseExecutor):
    """Trains a waste model, in a process of its own: YDF ends its process where a disk is full."""

    def Do(
        self,
        input_dict: executors.Artifacts,
        output_dict: executors.Artifacts,
        exec_properties: executors.ExecProperties,
    ) -> None:
        """Writes the WasteModel artifact; one without a model says why."""
        artifact = output_dict[keys.MODEL][0]

        def train() -> executors.Fields:
            limits = Limits(_SECONDS, _MEMORY_MB)
            graphlets = input_dict[keys.GRAPHLETS][0].uri
            with (
                local_place(graphlets, limits) as folder,
                local_target(artifact.uri) as place,
            ):
                arguments = {
                    "graphlets": folder,
                    "output": place,
                    "exec_properties": executors.plain(exec_properties),
                }
                said = json.loads(run_task("train", arguments, limits)[MODEL_FILE])
            logging.info("WasteModelTrainer: %s", said["text"])
            return {keys.USABLE: 1, keys.MODEL_FINGERPRINT: said["fingerprint"]}

        stage = str(exec_properties.get(keys.STAGE) or "")
        made = defended(
            train, lambda error: executors.unusable("WasteModelTrainer made no model", error)
        )
        set_properties(artifact, {keys.STAGE: stage, **made})


class WasteModelTrainer(tfx.types.BaseComponent):
    """Trains a waste model on the labelled history of the pipeline.

    In the pipeline of the gate::

        graphlets = graphlet_gen.outputs["graphlets"]
        waste_model_trainer = WasteModelTrainer(graphlets=graphlets)
        gate = WasteGate(graphlets=graphlets, model=waste_model_trainer.outputs["model"])

    >>> from tfx import v1 as tfx
    >>> gen = tfx.components.CsvExampleGen(input_base="data")
    >>> from tfx_graphlets import GraphletGen
    >>> graphlet_gen = GraphletGen(examples=gen.outputs["examples"])
    >>> trainer = WasteModelTrainer(graphlets=graphlet_gen.outputs["graphlets"], freshness=0.9)
    >>> list(trainer.outputs)
    ['model']

    It never fails: with too little history the artifact holds no model, its
    custom property ``usable`` is 0 and ``problem`` says why, and a gate that is
    given it proceeds.

    Output ``model``: a WasteModel whose directory ``load_waste_model`` reads;
    custom properties ``usable`` (1 or 0), ``problem``, ``stage``,
    ``model_fingerprint``.
    """

    SPEC_CLASS = WasteModelTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(WasteModelTrainerExecutor)

    def __init__(
        self,
        graphlets: tfx.types.BaseChannel,
        *,
        stage: Stage | str = Stage.PRE,
        freshness: float = 0.95,
        seed: int = 0,
    ) -> None:
        """Makes the node.

        Args:
          graphlets: output of a GraphletGen of the same stage.
          stage: the stage of the gate that will use the model.
          freshness: share of pushes that its threshold is to keep, 0..1.
          seed: of training, 0 or more: same history, same model.

        Raises:
          InvalidArgumentError: a value is outside its range.
        """
        check_freshness(freshness)
        if seed < 0:
            raise InvalidArgumentError("seed", seed, "must be 0 or more")
        spec = WasteModelTrainerSpec(
            graphlets=graphlets,
            model=tfx.dsl.Channel(type=artifacts.WasteModel),
            stage=str(check_stage(stage)),
            freshness=float(freshness),
            seed=seed,
        )
        super().__init__(spec=spec)
