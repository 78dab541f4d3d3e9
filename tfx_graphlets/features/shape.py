"""Group ``shape``: how many executions of each role, and their artifacts.

The shape features of Xin et al., SIGMOD 2021: per operator the number of executions
and the mean number of artifacts that they took in and put out, before, at and
after the Trainer.
"""

from __future__ import annotations

from tfx_graphlets.features.facts import Member
from tfx_graphlets.features.registry import FeatureGroup, Value, numbers
from tfx_graphlets.features.table import Feature
from tfx_graphlets.features.view import View
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.vocabulary import Role, Stage

AT_INPUT = (Role.EXAMPLE_GEN, Role.IMPORTER)
BEFORE = (
    Role.STATISTICS_GEN,
    Role.SCHEMA_GEN,
    Role.DATA_VALIDATOR,
    Role.TRANSFORM,
    Role.TUNER,
    Role.CUSTOM,
)
AFTER = (Role.MODEL_VALIDATOR, Role.INFRA_VALIDATOR, Role.BULK_INFERRER, Role.CUSTOM)
_SOURCE = "MLMD executions and events; Xin et al. 2021"
_NONE = "no such execution"


def name_of(role: Role, after: bool) -> str:
    """First part of the names of the features about a role."""
    return f"shape.{'after_' if after else ''}{role.name.lower()}"


def _declared(role: Role, stage: Stage, after: bool = False) -> tuple[Feature, ...]:
    name = name_of(role, after).partition(".")[2]
    mean = "mean artifacts per execution"
    return (
        *numbers("shape", stage, "never", _SOURCE, **{f"{name}_executions": "count"}),
        *numbers("shape", stage, _NONE, _SOURCE, **{f"{name}_in": mean, f"{name}_out": mean}),
    )


FEATURES = (
    *(feature for role in AT_INPUT for feature in _declared(role, Stage.INPUT)),
    *(feature for role in BEFORE for feature in _declared(role, Stage.PRE)),
    *numbers(
        "shape", Stage.TRAINER, "never", _SOURCE, trainer_in="artifacts", trainer_out="artifacts"
    ),
    *(feature for role in AFTER for feature in _declared(role, Stage.VALIDATION, after=True)),
)


def describe(view: View) -> dict[str, Value]:
    """Values of one row."""
    before: dict[Role, list[Member]] = {}
    after: dict[Role, list[Member]] = {}
    for member in view.own:
        if member.part is not Part.TRAINER:
            part = after if member.part is Part.DOWNSTREAM else before
            part.setdefault(member.role, []).append(member)
    values: dict[str, Value] = {}
    for roles, members, is_after in (((*AT_INPUT, *BEFORE), before, False), (AFTER, after, True)):
        for role in roles:
            values.update(_counts(view, name_of(role, is_after), members.get(role, [])))
    if view.reaches(Stage.TRAINER):
        values["shape.trainer_in"] = float(len(view.facts.inputs(view.trainer)))
        values["shape.trainer_out"] = float(len(view.facts.outputs(view.trainer)))
    return values


GROUP = FeatureGroup(FEATURES, describe)


def _counts(view: View, name: str, members: list[Member]) -> dict[str, Value]:
    values: dict[str, Value] = {f"{name}_executions": float(len(members))}
    if members:
        taken = sum(len(view.facts.inputs(member.execution)) for member in members)
        put = sum(len(view.facts.outputs(member.execution)) for member in members)
        values[f"{name}_in"] = taken / len(members)
        values[f"{name}_out"] = put / len(members)
    return values
