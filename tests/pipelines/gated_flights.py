"""Two runs of the gated flights pipeline: python -m tests.pipelines.gated_flights FOLDER MODEL.

In a process of its own, because the shortcuts of pipelines.flights patch Beam and TFX.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.placeholder.placeholder import Predicate

from pipelines.flights import live, shortcuts
from pipelines.flights.run import planned_day
from pipelines.flights.variants import ALL, VariantConfig
from tfx_graphlets import GraphletGen, WasteGate, proceed

# One span, few steps, and every model is good enough: what is pushed is decided by the gate alone.
VARIANT = VariantConfig(
    "flights-beam", ALL, "linear", 1, dt.date(2013, 1, 14), seed=0, train_steps=5,
    minimum_auc=0.0, maximum_loss=100.0, minimum_gain=None,
)  # fmt: skip
# Flights before it are little input to the tests' waste model; those of a whole day too much.
EARLY_HOUR = 7


def main(folder: Path, model: str) -> None:
    """Runs twice with BeamDagRunner: little input, then more than the waste model finds useful."""

    def gate(before: Mapping[str, BaseNode]) -> tuple[Sequence[BaseNode], Predicate]:
        graphlet_gen = GraphletGen(
            examples=before["WindowResolver"].outputs["examples"],
            transform_graph=before["Transform"].outputs["transform_graph"],
            schema=before["SchemaGen"].outputs["schema"],
            anomalies=before["ExampleValidator"].outputs["anomalies"],
        )
        # The waste model alone decides: no cold start, and no chance.
        decision = WasteGate(
            graphlets=graphlet_gen.outputs["graphlets"], model_directory=model, threshold=0.5,
            min_labelled=0, min_pushes=0, exploration=0.0,
        )  # fmt: skip
        return (graphlet_gen, decision), proceed(decision)

    pipeline = live.LivePipeline(VARIANT, folder, runner="beam", gate=gate)
    first = VARIANT.first_day
    for planned in (
        planned_day(0, first, before_hour=EARLY_HOUR),
        planned_day(1, first + dt.timedelta(days=1)),
    ):
        live.append_log(folder, pipeline.run(planned))


if __name__ == "__main__":
    shortcuts.install()
    main(Path(sys.argv[1]), sys.argv[2])
