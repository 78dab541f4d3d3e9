"""Groups ``model`` and ``shape``: the training, and what ran around it.

``model`` is what is trained, how long, and from what it starts. ``shape`` are the shape
features of Xin et al., SIGMOD 2021: per operator the number of executions and the mean
number of artifacts that they took in and put out, before, at and after the Trainer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.look_back import Rows, at, ratio
from tfx_graphlets.features.table import Feature, FeatureGroup, Values, category, numbers
from tfx_graphlets.graphlets.graphlet import Part
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
        "a time of the Trainer is not recorded",
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

# -- shape -------------------------------------------------------------------------

_AT_INPUT = (Role.EXAMPLE_GEN, Role.IMPORTER)
_BEFORE = (
    Role.STATISTICS_GEN,
    Role.SCHEMA_GEN,
    Role.DATA_VALIDATOR,
    Role.TRANSFORM,
    Role.TUNER,
    Role.CUSTOM,
)
_AFTER = (Role.MODEL_VALIDATOR, Role.INFRA_VALIDATOR, Role.BULK_INFERRER, Role.CUSTOM)
_EVENTS = "MLMD executions and events; Xin et al. 2021"
_NO_EXECUTION = "no such execution"


def _name_of(role: Role, after: bool) -> str:
    return f"{'after_' if after else ''}{role.name.lower()}"


def _declared(role: Role, stage: Stage, after: bool = False) -> tuple[Feature, ...]:
    name = _name_of(role, after)
    mean = "mean artifacts per execution"
    return (
        *numbers("shape", stage, "never", _EVENTS, **{f"{name}_executions": "count"}),
        *numbers(
            "shape", stage, _NO_EXECUTION, _EVENTS, **{f"{name}_in": mean, f"{name}_out": mean}
        ),
    )


SHAPE_FEATURES = (
    *(feature for role in _AT_INPUT for feature in _declared(role, Stage.INPUT)),
    *(feature for role in _BEFORE for feature in _declared(role, Stage.PRE)),
    *numbers(
        "shape", Stage.TRAINER, "never", _EVENTS, trainer_in="artifacts", trainer_out="artifacts"
    ),
    *(feature for role in _AFTER for feature in _declared(role, Stage.VALIDATION, after=True)),
)


def shape_columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by the second part of the feature's name, float64 [rows], NaN where missing."""
    entries, row, execution = rows.entries, rows.own_row, rows.own_execution
    part, role = entries.part[rows.own_entry], entries.role[rows.own_entry]
    num_in = np.diff(entries.edges.inputs.start)
    num_out = np.diff(entries.edges.outputs.start)
    values: dict[str, FloatArray] = {}
    before = (part != Part.TRAINER) & (part != Part.DOWNSTREAM)
    groups = [(before, False, (*_AT_INPUT, *(_BEFORE if rows.reaches(Stage.PRE) else ())))]
    if rows.reaches(Stage.VALIDATION):
        groups.append((part == Part.DOWNSTREAM, True, _AFTER))
    for chosen, is_after, wanted in groups:
        cell = row[chosen] * len(Role) + role[chosen]
        num_cells = len(rows) * len(Role)
        count = np.bincount(cell, minlength=num_cells).reshape(len(rows), -1)
        taken = np.bincount(cell, num_in[execution[chosen]], num_cells).reshape(len(rows), -1)
        put = np.bincount(cell, num_out[execution[chosen]], num_cells).reshape(len(rows), -1)
        for one in wanted:
            name = _name_of(one, is_after)
            values[f"{name}_executions"] = count[:, one].astype(float)
            values[f"{name}_in"] = ratio(taken[:, one], count[:, one])
            values[f"{name}_out"] = ratio(put[:, one], count[:, one])
    if rows.reaches(Stage.TRAINER):
        values["trainer_in"] = num_in[rows.trainer].astype(float)
        values["trainer_out"] = num_out[rows.trainer].astype(float)
    return values


SHAPE = FeatureGroup("shape", SHAPE_FEATURES, shape_columns)
