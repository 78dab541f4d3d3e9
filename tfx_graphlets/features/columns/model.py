"""Group ``model`` in columns; see ``features.model``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union

import numpy as np

from tfx_graphlets.features.columns.entries import Entries
from tfx_graphlets.features.columns.rows import Rows
from tfx_graphlets.features.columns.windows import at, ratio
from tfx_graphlets.features.model import num_steps
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import (
    ArtifactType,
    ExecutionState,
    PropertyName,
    Role,
    Stage,
    base_name,
)

Values = Union[FloatArray, Sequence[str]]


def columns(rows: Rows) -> dict[str, Values]:
    """Values by feature name, float64 [rows], NaN where missing; names as str [rows]."""
    values: dict[str, Values] = {}
    if rows.reaches(Stage.PRE):
        gives = np.isin(rows.entries.role[rows.own_entry], (Role.TUNER, Role.IMPORTER))
        made = rows.entries.num_outputs(ArtifactType.HYPER_PARAMETERS)[rows.own_execution]
        values["model.hyperparameters"] = rows.any_own(gives & (made > 0)).astype(float)
    if rows.reaches(Stage.TRAINER):
        values.update(_of_trainer(rows))
    return values


def _of_trainer(rows: Rows) -> Mapping[str, Values]:
    entries, window, trainer = rows.entries, rows.window, rows.trainer
    executions, trainer_of = entries.trace.executions, entries.graphlets.trainer
    names = [base_name(name) for name in executions.type_names]
    steps = entries.once("train_steps", "", lambda: _steps(entries))
    duration = (executions.update_ms - executions.create_ms).astype(float)
    others = trainer_of[window.graphlet]
    ended = entries.timeline.finished_ms[others] <= rows.moment_ms[window.row]
    recent = window.in_last_flagged(ended, 5)
    total = np.bincount(window.row[recent], duration[others[recent]], len(rows))
    mean = ratio(total, window.count(recent))
    config = entries.text_codes(PropertyName.CUSTOM_CONFIG)
    previous = window.nth(1)
    warm_starts = entries.graphlets.warm_start.counts()
    return {
        "model.trainer_type": tuple(names[code] for code in executions.type[trainer].tolist()),
        "model.train_steps": steps[trainer],
        "model.train_steps_ratio_1": ratio(
            steps[trainer], np.nan_to_num(at(steps[others], previous))
        ),
        "model.warm_start": (warm_starts[rows.graphlet] > 0).astype(float),
        "model.duration_ms": duration[trainer],
        "model.duration_ratio": ratio(duration[trainer], np.nan_to_num(mean)),
        "model.failed": (executions.state[trainer] == ExecutionState.FAILED).astype(float),
        "model.models": entries.num_outputs(ArtifactType.MODEL)[trainer].astype(float),
        "model.config_same_1": _same(config[trainer], config[others], previous),
        "model.config_same_pushed": _same(config[trainer], config[others], window.last_pushed),
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
