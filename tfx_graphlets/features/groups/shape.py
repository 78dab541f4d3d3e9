"""Group ``shape``: what ran around the training.

The shape features of Xin et al., SIGMOD 2021: per operator the number of executions and the
mean number of artifacts that they took in and put out, before, at and after the Trainer.
"""

from __future__ import annotations

import numpy as np

from tfx_graphlets.features.look_back import Rows, ratio
from tfx_graphlets.features.table import Feature, FeatureGroup, numbers
from tfx_graphlets.features.wording import (
    Topic,
    Wording,
    counted,
)
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Role, Stage

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
_SHAPE = Topic("shape", "what nodes ran")


def _name_of(role: Role, after: bool) -> str:
    return f"{'after_' if after else ''}{role.name.lower()}"


def _declared(role: Role, stage: Stage, after: bool = False) -> tuple[Feature, ...]:
    name, mean = _name_of(role, after), "mean artifacts per execution"
    node, when = role.name.lower().replace("_", " "), " after the Trainer" if after else ""
    nodes, artifacts = f"nodes of kind {node}{when}", counted("artifact")
    words = {
        "executions": Wording(
            _SHAPE,
            f"{{}} of kind {node}{when}",
            counted("node ran", "nodes ran"),
            {0.0: f"no node of kind {node} ran{when}"},
        ),
        "in": Wording(_SHAPE, f"{nodes} took in {{}} on average", artifacts),
        "out": Wording(_SHAPE, f"{nodes} put out {{}} on average", artifacts),
    }
    wordings = {f"{name}_{what}": wording.ranked(1 + role) for what, wording in words.items()}
    executions, taken, put = wordings
    return (
        *numbers("shape", stage, "never", _EVENTS, **{executions: ("count", wordings[executions])}),
        *numbers(
            "shape",
            stage,
            _NO_EXECUTION,
            _EVENTS,
            **{one: (mean, wordings[one]) for one in (taken, put)},
        ),
    )


FEATURES = (
    *(feature for role in _AT_INPUT for feature in _declared(role, Stage.INPUT)),
    *(feature for role in _BEFORE for feature in _declared(role, Stage.PRE)),
    *numbers(
        "shape",
        Stage.TRAINER,
        "never",
        _EVENTS,
        trainer_in=("artifacts", Wording(_SHAPE, "the Trainer took in {}", counted("artifact"))),
        trainer_out=("artifacts", Wording(_SHAPE, "the Trainer put out {}", counted("artifact"))),
    ),
    *(feature for role in _AFTER for feature in _declared(role, Stage.VALIDATION, after=True)),
)


def columns(rows: Rows) -> dict[str, FloatArray]:
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


GROUP = FeatureGroup("shape", FEATURES, columns)
