"""Group ``model``: what is trained, how long, and from what it starts."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np

from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.look_back import Rows, at, ratio
from tfx_graphlets.features.table import Feature, FeatureGroup, FeatureKind, Values, numbers
from tfx_graphlets.features.wording import (
    PUSHED,
    TRAINED,
    Topic,
    Wording,
    counted,
    duration,
    flag,
    times,
)
from tfx_graphlets.payloads.bounds import parsed_json
from tfx_graphlets.trace.trace import FloatArray, IntArray
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
_TRAINING = Topic("training", "how this model was trained, compared with earlier ones")


def _same_config(run: str) -> Wording:
    return flag(
        _TRAINING,
        f"the Trainer's configuration is that of {run}",
        f"the Trainer's configuration is not that of {run}",
    ).ranked(1)


_at_pre = functools.partial(numbers, "model", Stage.PRE)
_at_trainer = functools.partial(numbers, "model", Stage.TRAINER)

FEATURES = (
    *_at_pre(
        "never",
        "HyperParameters artifact upstream; Xin et al. 2021",
        hyperparameters=(
            "0 or 1, given by a Tuner or Importer",
            flag(
                _TRAINING,
                "the hyperparameters are given by a node",
                "no node gives hyperparameters",
            ),
        ),
    ),
    Feature(
        "model.trainer_type",
        Stage.TRAINER,
        FeatureKind.CATEGORY,
        unit="last part of the execution type",
        missing="never",
        source="MLMD execution type; Xin et al. 2021",
        wording=Wording(_TRAINING, "the Trainer is a {}"),
    ),
    *_at_trainer(
        _NO_STEPS,
        _STEPS,
        train_steps=("steps", Wording(_TRAINING, "it was trained for {}", counted("step"))),
        train_steps_ratio_1=(
            "ratio to the previous graphlet",
            Wording(
                _TRAINING,
                f"it was trained for {{}} as many steps as {TRAINED}",
                times,
                {1.0: f"it was trained for as many steps as {TRAINED}"},
            ),
        ),
    ),
    *_at_trainer(
        _NO_CONFIG,
        _CONFIG,
        config_same_1=("0 or 1, as in the previous graphlet", _same_config(TRAINED)),
        config_same_pushed=("0 or 1, as in the last pushed", _same_config(PUSHED)),
    ),
    *_at_trainer(
        "never",
        "MLMD input event of a Model, key base_model",
        warm_start=(
            "0 or 1, starts from an earlier Model",
            flag(
                _TRAINING, "training started from an earlier model", "training started from nothing"
            ),
        ),
    ),
    *_at_trainer(
        "a time of the Trainer is not recorded",
        _TIMES,
        duration_ms=("ms", Wording(_TRAINING, "training took {}", duration)),
    ),
    *_at_trainer(
        "no earlier graphlet",
        _TIMES,
        duration_ratio=(
            "ratio to the mean of the last 5",
            Wording(_TRAINING, "training took {} as long as on average", times),
        ),
    ),
    *_at_trainer(
        "never",
        "MLMD Trainer state",
        failed=("0 or 1", flag(_TRAINING, "the Trainer failed", "the Trainer succeeded")),
    ),
    *_at_trainer(
        "never",
        "MLMD output events of the Trainer",
        models=(
            "Models put out, count",
            Wording(_TRAINING, "the Trainer put out {}", counted("model")),
        ),
    ),
)


def columns(rows: Rows) -> dict[str, Values]:
    """Values by the second part of the feature's name: float64, NaN where missing; or str."""
    values: dict[str, Values] = {}
    if rows.reaches(Stage.PRE):
        gives = np.isin(rows.entries.role[rows.own_entry], (Role.TUNER, Role.IMPORTER))
        made = rows.entries.num_outputs(ArtifactType.HYPER_PARAMETERS)[rows.own_execution]
        values["hyperparameters"] = rows.any_own(gives & (made > 0)).astype(float)
    if rows.reaches(Stage.TRAINER):
        values.update(_of_trainer(rows))
    return values


def _of_trainer(rows: Rows) -> Mapping[str, Values]:
    entries, window, trainer = rows.entries, rows.window, rows.trainer
    executions, trainer_of = entries.trace.executions, entries.graphlets.trainer
    names = [base_name(name) for name in executions.type_names]
    steps = entries.once("train_steps", lambda: _steps(entries))
    timed = (executions.create_ms > 0) & (executions.update_ms > 0)
    duration = np.where(timed, executions.update_ms - executions.create_ms, np.nan)
    others = trainer_of[window.graphlet]
    ended = entries.timeline.finished_ms[others] <= rows.moment_ms[window.row]
    recent = window.in_last_flagged(ended & timed[others], 5)
    total = np.bincount(window.row[recent], duration[others[recent]], len(rows))
    mean = ratio(total, window.count(recent))
    config = entries.text_codes(PropertyName.CUSTOM_CONFIG)
    previous = window.nth(1)
    warm_starts = entries.graphlets.warm_start.counts()
    return {
        "trainer_type": tuple(names[code] for code in executions.type[trainer].tolist()),
        "train_steps": steps[trainer],
        "train_steps_ratio_1": ratio(steps[trainer], np.nan_to_num(at(steps[others], previous))),
        "warm_start": (warm_starts[rows.graphlet] > 0).astype(float),
        "duration_ms": duration[trainer],
        "duration_ratio": ratio(duration[trainer], np.nan_to_num(mean)),
        "failed": (executions.state[trainer] == ExecutionState.FAILED).astype(float),
        "models": entries.num_outputs(ArtifactType.MODEL)[trainer].astype(float),
        "config_same_1": _same(config[trainer], config[others], previous),
        "config_same_pushed": _same(config[trainer], config[others], window.last_pushed),
    }


def _steps(entries: Entries) -> FloatArray:
    """Training steps of every execution, float64 [E]; NaN where not given."""
    code = entries.text_codes(PropertyName.TRAIN_ARGS)
    distinct, place = np.unique(code, return_inverse=True)
    strings = entries.trace.executions.properties.strings
    steps = [num_steps(strings[one]) if one >= 0 else np.nan for one in distinct.tolist()]
    return np.array(steps or [np.nan])[place.reshape(-1)]


def _same(own: IntArray, others: IntArray, places: IntArray) -> FloatArray:
    """1 where two texts are the same, 0 where not, NaN where one is not recorded."""
    other = at(others, places)
    return np.where((own < 0) | np.isnan(other) | (other < 0), np.nan, other == own)


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


GROUP = FeatureGroup(
    "model",
    FEATURES,
    columns,
    {Stage.TRAINER: (PropertyName.TRAIN_ARGS, PropertyName.CUSTOM_CONFIG)},
)
