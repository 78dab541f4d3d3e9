"""The gate of the flights pipeline: what adding tfx_graphlets to it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.placeholder.placeholder import Predicate

from pipelines.flights.pipeline import Gate, evaluation_config
from pipelines.flights.variants import VariantConfig
from tfx_graphlets import GraphletGen, Stage, WasteGate, proceed
from tfx_graphlets.components.rehearsal.component import Rehearsal

FIRST_GATE = "FirstWasteGate"


def waste_gate(
    model_directory: str,
    *,
    freshness: float | None = None,
    min_labelled: int | None = None,
    rehearsed: VariantConfig | None = None,
) -> Gate:
    """A gate before the Trainer that asks a trained waste model.

    Args:
      model_directory: directory of a waste model of stage `pre`.
      freshness: share of pushes to keep, 0..1; the model's by default.
      min_labelled: labelled graphlets of this pipeline before the gate may skip; the policy's
        default (cold start) if None.
      rehearsed: the variant, to rehearse each run that a first gate (FIRST_GATE) lets go on. Both
        gates then keep `freshness` each.

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
        graphlets = graphlet_gen.outputs["graphlets"]
        asked = {
            "model_directory": model_directory,
            "stage": Stage.PRE,
            "freshness": freshness,
            "min_labelled": min_labelled,
        }
        if rehearsed is None:
            decision = WasteGate(graphlets, **asked)
            return (graphlet_gen, decision), proceed(decision)
        first = WasteGate(graphlets, **asked).with_id(FIRST_GATE)
        rehearsal = Rehearsal(
            graphlets=graphlets,
            decision=first.outputs["decision"],
            examples=before["WindowResolver"].outputs["examples"],
            model=before["LatestBlessedModel"].outputs["model"],
            eval_config=evaluation_config(rehearsed),
            mode="scout",  # by itself it would not rehearse trainings of two seconds
            trainer="Trainer",
        )
        decision = WasteGate(
            graphlets,
            outer=first.outputs["decision"],
            rehearsal=rehearsal.outputs["rehearsal"],
            **asked,
        )
        return (graphlet_gen, first, rehearsal, decision), proceed(decision)

    return gate
