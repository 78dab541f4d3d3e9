"""Group ``model``: what is trained, how long, and from what it starts."""

from __future__ import annotations

import math

import numpy as np

from tfx_graphlets.features.registry import FeatureGroup, Value, category, numbers
from tfx_graphlets.features.view import View
from tfx_graphlets.payloads.bounds import parsed_json
from tfx_graphlets.vocabulary import (
    ArtifactType,
    ExecutionState,
    PropertyName,
    Role,
    Stage,
    base_name,
)

_NO_STEPS = "train_args without num_steps, or no earlier graphlet"
_NO_CONFIG = "no custom_config recorded, or no such earlier graphlet"
_STEPS = "MLMD Trainer.train_args"
_CONFIG = "MLMD Trainer.custom_config, SHA-256"
_TIMES = "MLMD Trainer create and last update time"

FEATURES = (
    *numbers(
        "model",
        Stage.PRE,
        "never",
        "HyperParameters artifact upstream; Xin et al. 2021",
        hyperparameters="0 or 1, given by a Tuner or Importer",
    ),
    category(
        "model.trainer_type",
        Stage.TRAINER,
        missing="never",
        source="MLMD execution type; Xin et al. 2021",
        unit="last part of the execution type",
    ),
    *numbers(
        "model",
        Stage.TRAINER,
        _NO_STEPS,
        _STEPS,
        train_steps="steps",
        train_steps_ratio_1="ratio to the previous graphlet",
    ),
    *numbers(
        "model",
        Stage.TRAINER,
        _NO_CONFIG,
        _CONFIG,
        config_same_1="0 or 1, as in the previous graphlet",
        config_same_pushed="0 or 1, as in the last pushed",
    ),
    *numbers(
        "model",
        Stage.TRAINER,
        "never",
        "MLMD input event of a Model, key base_model",
        warm_start="0 or 1, starts from an earlier Model",
    ),
    *numbers(
        "model",
        Stage.TRAINER,
        "never",
        _TIMES,
        duration_ms="ms",
    ),
    *numbers(
        "model",
        Stage.TRAINER,
        "no earlier graphlet",
        _TIMES,
        duration_ratio="ratio to the mean of the last 5",
    ),
    *numbers(
        "model",
        Stage.TRAINER,
        "never",
        "MLMD Trainer state",
        failed="0 or 1",
    ),
    *numbers(
        "model",
        Stage.TRAINER,
        "never",
        "MLMD output events of the Trainer",
        models="Models put out, count",
    ),
)


def describe(view: View) -> dict[str, Value]:
    """Values of one row."""
    values: dict[str, Value] = {}
    if view.reaches(Stage.PRE):
        values["model.hyperparameters"] = float(_has_hyperparameters(view))
    if view.reaches(Stage.TRAINER):
        values.update(_of_trainer(view))
    return values


GROUP = FeatureGroup(FEATURES, describe)


def num_steps(train_args: str | None) -> float:
    """Training steps of a Trainer's ``train_args`` (JSON); NaN where not given."""
    parsed = parsed_json(train_args)
    if not isinstance(parsed, dict):
        return math.nan
    value = parsed.get("num_steps", parsed.get("numSteps"))
    try:
        return float(value) if value is not None else math.nan
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _has_hyperparameters(view: View) -> bool:
    return any(
        member.role in (Role.TUNER, Role.IMPORTER)
        and view.facts.outputs(member.execution, ArtifactType.HYPER_PARAMETERS)
        for member in view.own
    )


def _of_trainer(view: View) -> dict[str, Value]:
    facts, trainer = view.facts, view.trainer
    executions = facts.trace.executions
    trainer_of = facts.graphlets.trainer
    steps = num_steps(facts.execution_text(PropertyName.TRAIN_ARGS, trainer))
    duration = float(executions.update_ms[trainer] - executions.create_ms[trainer])
    finished = facts.timeline.finished_ms
    ended = [int(trainer_of[g]) for g in view.previous if finished[trainer_of[g]] <= view.moment_ms]
    before = [float(executions.update_ms[t] - executions.create_ms[t]) for t in ended[-5:]]
    values: dict[str, Value] = {
        "model.trainer_type": base_name(executions.type_names[executions.type[trainer]]),
        "model.train_steps": steps,
        "model.warm_start": float(len(facts.graphlets.warm_start.of(view.graphlet)) > 0),
        "model.duration_ms": duration,
        "model.failed": float(executions.state[trainer] == ExecutionState.FAILED),
        "model.models": float(len(facts.outputs(trainer, ArtifactType.MODEL))),
    }
    if before and np.mean(before) > 0:
        values["model.duration_ratio"] = duration / float(np.mean(before))
    config = facts.text_hash(PropertyName.CUSTOM_CONFIG, trainer)
    for graphlet, name in ((view.nth_previous(1), "1"), (view.last_pushed, "pushed")):
        if graphlet is None:
            continue
        other = int(trainer_of[graphlet])
        earlier = facts.text_hash(PropertyName.CUSTOM_CONFIG, other)
        if config is not None and earlier is not None:
            values[f"model.config_same_{name}"] = float(config == earlier)
        if name == "1":
            other_steps = num_steps(facts.execution_text(PropertyName.TRAIN_ARGS, other))
            if other_steps > 0:
                values["model.train_steps_ratio_1"] = steps / other_steps
    return values
