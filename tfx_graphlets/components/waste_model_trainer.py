"""WasteModelTrainer: learns from the history that GraphletGen wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tfx import v1 as tfx
from tfx.dsl.components.base import executor_spec
from tfx.types import component_spec

from tfx_graphlets.components import artifacts, executors
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.checks import check_stage
from tfx_graphlets.policy.freshness import check_freshness
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


class WasteModelTrainer(tfx.types.BaseComponent):
    """Trains a waste model on the labelled history of the pipeline.

    In the pipeline of the gate::

        graphlets = graphlet_gen.outputs["graphlets"]
        waste_model_trainer = WasteModelTrainer(graphlets=graphlets)
        gate = WasteGate(graphlets=graphlets, model=waste_model_trainer.outputs["model"])

    It never fails: with too little history the artifact holds no model, its
    custom property ``usable`` is 0 and ``problem`` says why, and a gate that is
    given it proceeds.

    Output ``model``: a WasteModel whose directory ``load_waste_model`` reads;
    custom properties ``usable`` (1 or 0), ``problem``, ``stage``,
    ``model_fingerprint``.
    """

    SPEC_CLASS = WasteModelTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executors.WasteModelTrainerExecutor)

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
