"""A window of penguins as TFX artifacts, and what a Rehearsal says of it, without a runner."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.trainer.executor import GenericExecutor
from tfx.types.artifact import Artifact

from pipelines.penguin import data
from pipelines.penguin.pipeline import MODULE_FILE
from tests.components.histories import pipeline_history
from tfx_graphlets.components.artifacts import GateDecision, Graphlets, Rehearsal, write_files
from tfx_graphlets.components.rehearsal.executor import RehearsalExecutor
from tfx_graphlets.gate import graphlets_file, keys
from tfx_graphlets.gate.rehearsals import RehearsalPast

STEPS = 50
CODE = {
    "module_file": MODULE_FILE,
    "train_args": json.dumps({"num_steps": STEPS}),
    "eval_args": json.dumps({"num_steps": 1}),
    "custom_config": "{}",
}


def accuracy_config(accuracy: float, gain: float = -0.01) -> str:
    """An EvalConfig: an accuracy to reach, and how much better than the serving model."""
    threshold = {
        "value_threshold": {"lower_bound": {"value": accuracy}},
        "change_threshold": {"absolute": {"value": gain}, "direction": "HIGHER_IS_BETTER"},
    }
    metrics = [{"class_name": "SparseCategoricalAccuracy", "threshold": threshold}]
    spec = {"label_key": data.LABEL, "signature_name": "serving_default"}
    return json.dumps({"model_specs": [spec], "metrics_specs": [{"metrics": metrics}]})


def penguins(folder: Path, count: int, *, seed: int = 0, shuffled: bool = False) -> Artifact:
    """Examples with the splits train and eval, half each; their labels shuffled if asked for."""
    rows = list(
        csv.DictReader(data.write_penguins(folder / "csv", count, seed=seed).read_text().split())
    )
    labels = [int(row[data.LABEL]) for row in rows]
    if shuffled:
        labels = np.random.default_rng(0).permutation(labels).tolist()
    artifact = tfx.types.standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(folder / "examples"), '["train", "eval"]'
    for part, split in enumerate(("train", "eval")):
        place = folder / "examples" / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
        place.parent.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(place), "GZIP") as writer:
            for row, label in list(zip(rows, labels))[part::2]:
                example = tf.train.Example()
                for name, value in row.items():
                    if name == data.LABEL:
                        example.features.feature[name].int64_list.value.append(label)
                    else:
                        example.features.feature[name].float_list.value.append(float(value))
                writer.write(example.SerializeToString(deterministic=True))
    return artifact


def trained(folder: Path, examples: Artifact, steps: int = STEPS) -> Artifact:
    """A Model that the penguins' own code trained."""
    model, run = tfx.types.standard_artifacts.Model(), tfx.types.standard_artifacts.ModelRun()
    model.uri, run.uri = str(folder / "model"), str(folder / "model_run")
    properties = {**CODE, "train_args": json.dumps({"num_steps": steps})}
    GenericExecutor().Do(
        {"examples": [examples]}, {"model": [model], "model_run": [run]}, properties
    )
    return model


def decision(**properties: float) -> Artifact:
    """What a first gate decided."""
    artifact = GateDecision()
    values = {keys.PROCEED: 1, keys.FAILED_OPEN: 0, keys.EXPLORED: 0, **properties}
    for name, value in values.items():
        if isinstance(value, int):
            artifact.set_int_custom_property(name, value)
        else:
            artifact.set_float_custom_property(name, value)
    return artifact


def rehearsed(
    folder: Path, inputs: Mapping[str, Artifact], past: RehearsalPast | None = None, **given: Any
) -> tuple[dict[str, Any], Artifact]:
    """Custom properties of the Rehearsal artifact that the executor writes, and the artifact."""
    graphlets = Graphlets()
    graphlets.uri = str(folder / "graphlets")
    found = pipeline_history(rehearsals=past or RehearsalPast())
    write_files(graphlets.uri, graphlets_file.to_files(found))
    artifact = Rehearsal()
    artifact.uri = str(folder / "rehearsal")
    properties = {
        keys.STAGE: "pre", keys.MODE: "scout", keys.EVAL_CONFIG: accuracy_config(0.6),
        keys.TRAIN_SPLITS: '["train"]', keys.EXAMPLE_SPLITS: '["eval"]', keys.SEED: 0,
        keys.STEPS_SHARE: 0.1, **given,
    }  # fmt: skip
    wired = {keys.GRAPHLETS: [graphlets], **{key: [one] for key, one in inputs.items()}}
    RehearsalExecutor().Do(wired, {keys.REHEARSAL: [artifact]}, properties)
    return {
        name: artifact.get_custom_property(name)
        for name in artifact.mlmd_artifact.custom_properties
    }, artifact
