"""Looks for leaks: features that change when the trace is cut at their moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import numpy as np

from tests.cut import cut_trace
from tfx_graphlets.features import GROUPS, FeatureGroup, decision_moment, describe
from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.vocabulary import Role, Stage

Value = Union[float, str, None]


def leaks(
    graphlets: Graphlets,
    stage: Stage,
    number: int,
    payloads: Payloads | None = None,
    groups: Sequence[FeatureGroup] = GROUPS,
    *,
    moment_ms: int | None = None,
) -> dict[str, tuple[Value, Value]]:
    """Features of one graphlet that differ, with their value in the whole and in the cut trace.

    The moment is that of the stage, if no other is given. Roles of classes are taken
    from the whole trace. A graphlet in which an execution is upstream and downstream at
    once (an artifact of a cache hit can close such a circle) has no leaks to speak of:
    the segmentation calls it downstream, so that less is seen of it, and the cut trace
    does not show the circle yet.
    """
    rows = np.array([number])
    moment = decision_moment(graphlets, stage)[rows]
    if moment_ms is not None:
        moment = np.array([moment_ms])
    trace = cut_trace(graphlets, number, stage, int(moment[0]))
    roles = _roles(graphlets)
    cut = segment(trace, role_of_type={name: roles[name] for name in trace.executions.type_names})
    there = cut.of_trainer(int(graphlets.trainer_id[number])).number
    if _turns_around(graphlets, cut):
        return {}
    options = {"payloads": payloads, "moment_ms": moment, "groups": groups}
    whole = describe(graphlets, stage, rows=rows, **options).row(0)  # type: ignore[arg-type]
    then = describe(cut, stage, rows=np.array([there]), **options).row(0)  # type: ignore[arg-type]
    assert whole.keys() == then.keys()
    return {
        name: (value, then[name]) for name, value in whole.items() if not _same(value, then[name])
    }


def _same(left: Value, right: Value) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return bool(np.isclose(left, right, rtol=1e-12, atol=0.0))
    return left == right


def _roles(graphlets: Graphlets) -> dict[str, Role]:
    types = graphlets.trace.executions.type
    names = graphlets.trace.executions.type_names
    return {
        name: Role(int(graphlets.role[types == code][0]))
        for code, name in enumerate(names)
        if (types == code).any()
    }


def _turns_around(whole: Graphlets, cut: Graphlets) -> bool:
    """True if a graphlet's execution is downstream in the whole and not so in the cut."""
    downstream = _pairs(whole, Part.DOWNSTREAM)
    return bool(downstream & (_pairs(cut, Part.UPSTREAM) | _pairs(cut, Part.ANALYSIS)))


def _pairs(graphlets: Graphlets, part: Part) -> set[tuple[int, int]]:
    """Ids of Trainer and execution of the members that one step brought in."""
    chosen = graphlets.part == part
    trainers = graphlets.trainer_id[graphlets.executions.rows()[chosen]]
    executions = graphlets.trace.executions.id[graphlets.executions.index[chosen]]
    return set(zip(trainers.tolist(), executions.tolist()))
