"""The gate of the flights pipeline: what adding tfx_graphlets to it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.placeholder.placeholder import Predicate

from pipelines.flights.pipeline import Gate
from tfx_graphlets import GraphletGen, Stage, WasteGate, proceed


def waste_gate(model_directory: str, *, min_labelled: int | None = None) -> Gate:
    """A gate before the Trainer that asks a trained waste model.

    Args:
      model_directory: directory of a waste model of stage `pre`.
      min_labelled: labelled graphlets of this pipeline before the gate may skip; the policy's
        default (cold start) if None.

    Returns:
      What pipeline.create_pipeline takes as its gate.
    """

    def gate(before: Mapping[str, BaseNode]) -> tuple[Sequence[BaseNode], Predicate]:
        graphlet_gen = GraphletGen(
            examples=before["WindowResolver"].outputs["examples"],
            transform_graph=before["Transform"].outputs["transform_graph"],
            schema=before["SchemaGen"].outputs["schema"],
            anomalies=before["ExampleValidator"].outputs["anomalies"],
            stage=Stage.PRE,
        )
        decision = WasteGate(
            graphlets=graphlet_gen.outputs["graphlets"],
            model_directory=model_directory,
            stage=Stage.PRE,
            min_labelled=min_labelled,
        )
        return (graphlet_gen, decision), proceed(decision)

    return gate
