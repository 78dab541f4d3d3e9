"""From a metadata store to a PipelineHistory: what GraphletGen does."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tfx_graphlets.components import gate_run, keys
from tfx_graphlets.components.checks import check_stage
from tfx_graphlets.components.history import PipelineHistory
from tfx_graphlets.provenance.store import Store
from tfx_graphlets.vocabulary import Stage

_LOGGER = logging.getLogger(__name__)


class InputArtifact(Protocol):
    """What is asked of a TFX artifact."""

    id: int
    uri: str
    type_name: str


@dataclasses.dataclass(frozen=True)
class Request:
    """Which graphlet is asked for.

    Attributes:
      stage: where the gate stands.
      pipeline: name of the pipeline; "" where it is not known.
      run: name of the current run; "" where it is not known.
      inputs: artifacts that are wired to GraphletGen, by key.
    """

    stage: Stage
    pipeline: str
    run: str
    inputs: Mapping[str, tuple[InputArtifact, ...]]

    @classmethod
    def of(
        cls,
        exec_properties: Mapping[str, object],
        input_dict: Mapping[str, Sequence[InputArtifact]],
        *,
        pipeline: str,
        run: str,
    ) -> Request:
        """The request of a GraphletGen node.

        Args:
          exec_properties, input_dict: the node's.
          pipeline: what the runner says; the execution property counts first.
          run: the current run's name.
        """
        return cls(
            stage=check_stage(str(exec_properties.get(keys.STAGE))),
            pipeline=str(exec_properties.get(keys.PIPELINE_NAME) or pipeline),
            run=run,
            inputs={key: tuple(artifacts) for key, artifacts in input_dict.items()},
        )


def collect_or_explain(
    open_store: Callable[[], Store], request: Request, now_ms: int
) -> PipelineHistory:
    """``collect``, or a history that holds only the problem. Never raises."""
    try:
        with open_store() as store:
            return collect(store, request, now_ms)
    except Exception as error:
        _LOGGER.exception("the graphlets could not be collected")
        return PipelineHistory(
            stage=request.stage,
            pipeline=request.pipeline,
            run=request.run,
            read_ms=now_ms,
            current=None,
            past=None,
            problem=gate_run.in_one_line(error),
        )


def collect(store: Store, request: Request, now_ms: int) -> PipelineHistory:
    raise NotImplementedError("not yet")


def custom_properties(history: PipelineHistory) -> dict[str, int | float | str]:
    """What is written on the Graphlets artifact, by key; see ``keys``."""
    properties: dict[str, int | float | str] = {
        keys.USABLE: int(not history.problem),
        keys.STAGE: str(history.stage),
        keys.NUM_GRAPHLETS: history.num_labelled,
    }
    if history.problem:
        properties[keys.PROBLEM] = history.problem
    return properties
