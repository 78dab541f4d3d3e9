"""What SavedModels predict, and the user's code in short."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.components.trainer import executor as trainer_executor
from tfx.components.util import udf_utils
from tfx.types import standard_artifacts
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

from tfx_graphlets.files import scratch_directory
from tfx_graphlets.gate import keys
from tfx_graphlets.rehearsal import Demand, NotCoveredError
from tfx_graphlets.trace.trace import FloatArray

# Outputs that hold probabilities or numbers, where a signature has several.
_OUTPUTS = ("predictions", "probabilities", "scores")


def predict(model_uri: str, content: Sequence[bytes], demand: Demand) -> FloatArray:
    """What a model's signature answers to serialized examples, float64 [n] or [n, k].

    Args:
      model_uri: URI of a Model artifact with a SavedModel.
      content: serialized tf.Examples.
      demand: names the signature and its output.

    Raises:
      NotCoveredError: the model has no such signature, or one that does not
        take serialized examples in.
    """
    model = tf.saved_model.load(path_utils.serving_model_path(model_uri))
    signatures = model.signatures
    if demand.signature not in signatures:
        raise NotCoveredError([f"The model has no signature {demand.signature!r}."])
    signature = signatures[demand.signature]
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1 or next(iter(inputs.values())).dtype != tf.string:
        raise NotCoveredError(
            [f"The signature {demand.signature!r} does not take serialized examples in."]
        )
    (name,) = inputs
    parts = []
    for start in range(0, len(content), 8192):
        outputs = signature(**{name: tf.constant(content[start : start + 8192])})
        parts.append(outputs[_output(outputs, demand)].numpy().astype(np.float64))
    return np.concatenate(parts)


def _output(outputs: Mapping[str, object], demand: Demand) -> str:
    if demand.prediction_key in outputs:
        return demand.prediction_key
    if len(outputs) == 1:
        return next(iter(outputs))
    for name in _OUTPUTS:
        if name in outputs:
            return name
    raise NotCoveredError([f"None of the outputs {sorted(outputs)} holds predictions by name."])


def probe(
    inputs: Mapping[str, Sequence[Artifact]],
    code: Mapping[str, Any],
    share: float,
    content: Sequence[bytes],
    demand: Demand,
) -> FloatArray:
    """What the user's code, trained with a share of its steps, predicts of examples.

    Args:
      inputs: what the Trainer will take in, by key.
      code: the Trainer's execution properties.
      share: of the steps, above 0 to 1.
      content, demand: see ``predict``.
    """
    train_args = json.loads(str(code["train_args"]))
    steps = int(train_args.get("num_steps") or 0)
    if not steps:
        raise NotCoveredError(["train_args names no num_steps to take a share of."])
    train_args["num_steps"] = max(1, round(share * steps))
    properties = {**code, "train_args": json.dumps(train_args)}
    wheels: list[str] = []
    if properties.get("module_path"):  # as TFX's launcher does: the module, and its wheel
        properties["module_path"], wheels = udf_utils.decode_user_module_key(
            str(properties["module_path"])
        )
    with scratch_directory() as folder, udf_utils.TempPipInstallContext(wheels):
        outputs = {}
        for key, kind in (
            ("model", standard_artifacts.Model),
            ("model_run", standard_artifacts.ModelRun),
        ):
            artifact = kind()
            artifact.uri = f"{folder}/{key}"
            outputs[key] = [artifact]
        wired = {key: list(inputs[key]) for key in keys.TRAINER_INPUTS if inputs.get(key)}
        trainer_executor.GenericExecutor().Do(wired, outputs, properties)
        return predict(outputs["model"][0].uri, content, demand)
