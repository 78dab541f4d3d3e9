"""A waste model with one clear rule: graphlets of large input are not pushed."""

from __future__ import annotations

import functools
from pathlib import Path

from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model import Dataset, WasteModel, train_waste_model

# Spans of light_nodes.LightExampleGen: 1000 bytes and the span's number.
PUSHED_SPAN, WASTED_SPAN = 1, 90_000
# A threshold between what the models say of the two: at most 0.52, and at least 0.69.
BETWEEN = 0.6
# Thue-Morse: what came before says nothing.
WASTED = "01101001100101101001"


@functools.cache
def by_size(stage: Stage = Stage.PRE) -> WasteModel:
    """The model."""
    return train_waste_model(training_data(stage), stage, freshness=0.5)


def training_data(stage: Stage) -> Dataset:
    """Twenty runs shaped like those of the light pipeline."""
    build = TraceBuilder()
    for number in range(len(WASTED)):
        run, wasted = f"r{number}", int(WASTED[number])
        size = 1000 + number + (WASTED_SPAN if wasted else PUSHED_SPAN)
        examples = build.artifact(
            span=number, input_fingerprint=f"split:s,num_files:1,total_bytes:{size},xor_checksum:1"
        )
        graph, model = build.artifact("TransformGraph"), build.artifact("Model")
        blessing = build.artifact("ModelBlessing", blessed=1 - wasted)
        pushed = build.artifact("PushedModel", pushed=1 - wasted)
        build.execution("LightExampleGen", outputs={"examples": [examples]}, run=run)
        build.execution(
            "Transform", inputs={"examples": [examples]}, outputs={"graph": [graph]}, run=run
        )
        inputs = {"examples": [examples], "transform_graph": [graph]}
        build.execution("Trainer", inputs=inputs, outputs={"model": [model]}, run=run)
        build.execution(
            "Evaluator", inputs={"model": [model]}, outputs={"blessing": [blessing]}, run=run
        )
        build.execution(
            "Pusher",
            inputs={"model": [model], "blessing": [blessing]},
            outputs={"pushed_model": [pushed]},
            run=run,
        )
    graphlets = segment(build.trace())
    return Dataset.from_graphlets(graphlets, describe(graphlets, stage))


def saved(directory: Path, stage: Stage = Stage.PRE) -> str:
    """The model in a directory; returns its path."""
    by_size(stage).save(directory)
    return str(directory)
