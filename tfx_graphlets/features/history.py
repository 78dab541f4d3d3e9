"""Group ``history``: what became of the preceding graphlets, rhythm and cost.

The paper did not use it: it predicts each graphlet by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tfx_graphlets.features.facts import Member
from tfx_graphlets.features.registry import FeatureGroup, Value, number
from tfx_graphlets.features.view import View
from tfx_graphlets.vocabulary import Outcome, Stage

_HOUR_MS = 3_600_000
_LABELLED = (Outcome.PUSHED, Outcome.UNPUSHED)
_NONE_YET = "no such earlier graphlet, or its outcome not known yet"
_NO_PUSH = "no push among the preceding graphlets"
_OUTCOMES = "outcomes of the preceding graphlets, as of the moment"
_TIMES = "MLMD create time of the Trainers"
_COST = "MLMD create and last update times"
_SPANS = "spans and outcomes of the preceding graphlets"

FEATURES = (
    number("history.pushed_1", Stage.INPUT, "0 or 1", _NONE_YET, _OUTCOMES),
    number("history.pushed_2", Stage.INPUT, "0 or 1", _NONE_YET, _OUTCOMES),
    number("history.pushed_3", Stage.INPUT, "0 or 1", _NONE_YET, _OUTCOMES),
    number("history.failed_1", Stage.INPUT, "0 or 1, the Trainer failed", _NONE_YET, _OUTCOMES),
    number("history.failures_5", Stage.INPUT, "failed Trainers among the last 5", "never", _OUTCOMES),
    number("history.labelled", Stage.INPUT, "graphlets with a known outcome", "never", _OUTCOMES),
    number("history.push_rate", Stage.INPUT, "share 0..1", _NONE_YET, _OUTCOMES),
    number("history.push_rate_5", Stage.INPUT, "share 0..1 of the last 5 labelled", _NONE_YET, _OUTCOMES),
    number("history.push_rate_10", Stage.INPUT, "share 0..1 of the last 10 labelled", _NONE_YET, _OUTCOMES),
    number("history.push_rate_20", Stage.INPUT, "share 0..1 of the last 20 labelled", _NONE_YET, _OUTCOMES),
    number("history.pushes_3", Stage.INPUT, "pushes among the last 3", "never", _OUTCOMES),
    number("history.unpushed_streak", Stage.INPUT, "consecutive unpushed, count", "never", _OUTCOMES),
    number("history.runs_since_push", Stage.INPUT, "graphlets, 0 if the last was pushed", _NO_PUSH, _OUTCOMES),
    number("history.hours_since_push", Stage.INPUT, "hours from the end of the push", _NO_PUSH, "MLMD last update of the Pusher"),
    number("history.push_gap_ratio", Stage.INPUT, "graphlets since the push by the mean gap between pushes", "fewer than two pushes", _OUTCOMES),
    number("history.hours_since_previous", Stage.INPUT, "hours between Trainers", "no earlier graphlet", _TIMES),
    number("history.rhythm_ratio", Stage.INPUT, "that by the median gap of the last 10", "fewer than two earlier graphlets", _TIMES),
    number("history.hour_of_day", Stage.INPUT, "hours 0..24, UTC", "never", "moment of the decision"),
    number("history.day_of_week", Stage.INPUT, "0 Monday to 6 Sunday, UTC", "never", "moment of the decision"),
    number("history.same_spans_runs", Stage.INPUT, "earlier graphlets on exactly these spans", "no spans", _SPANS),
    number("history.same_spans_unpushed", Stage.INPUT, "unpushed ones among them", "no spans", _SPANS),
    number("history.same_spans_pushed", Stage.INPUT, "pushed ones among them", "no spans", _SPANS),
    number("history.cost_so_far_ms", Stage.INPUT, "ms, executions of this run", "never", _COST),
    number("history.previous_cost_ms", Stage.INPUT, "ms, mean of the last 5, executions of their runs", "no earlier graphlet", _COST),
)  # fmt: skip


def describe(view: View) -> dict[str, Value]:
    """Values of one row."""
    values: dict[str, Value] = {}
    outcomes = view.outcomes
    for n in (1, 2, 3):
        if n <= len(outcomes) and outcomes[-n] is not Outcome.INCOMPLETE:
            values[f"history.pushed_{n}"] = float(outcomes[-n] is Outcome.PUSHED)
    if outcomes and outcomes[-1] is not Outcome.INCOMPLETE:
        values["history.failed_1"] = float(outcomes[-1] is Outcome.FAILED)
    values["history.failures_5"] = float(outcomes[-5:].count(Outcome.FAILED))
    values["history.pushes_3"] = float(outcomes[-3:].count(Outcome.PUSHED))
    labels = [outcome is Outcome.PUSHED for outcome in outcomes if outcome in _LABELLED]
    values["history.labelled"] = float(len(labels))
    if labels:
        values["history.push_rate"] = sum(labels) / len(labels)
        for window in (5, 10, 20):
            recent = labels[-window:]
            values[f"history.push_rate_{window}"] = sum(recent) / len(recent)
    streak = next((n for n, pushed in enumerate(reversed(labels)) if pushed), len(labels))
    values["history.unpushed_streak"] = float(streak)
    values.update(_since_push(view))
    values.update(_rhythm(view))
    values.update(_same_spans(view))
    values["history.cost_so_far_ms"] = _cost(view, view.own)
    if view.previous:
        costs = [_cost(view, view.members(graphlet)) for graphlet in view.previous[-5:]]
        values["history.previous_cost_ms"] = float(np.mean(costs))
    return values


GROUP = FeatureGroup(FEATURES, describe)


def _since_push(view: View) -> dict[str, Value]:
    pushes = [at for at, outcome in enumerate(view.outcomes) if outcome is Outcome.PUSHED]
    if not pushes or view.last_pushed is None:
        return {}
    runs = len(view.outcomes) - 1 - pushes[-1]
    pushed_ms = view.facts.fate(view.last_pushed).pushed_ms
    values: dict[str, Value] = {
        "history.runs_since_push": float(runs),
        "history.hours_since_push": (view.moment_ms - pushed_ms) / _HOUR_MS,
    }
    if len(pushes) > 1:
        # The gap that would end if this graphlet were pushed, against those that ended.
        values["history.push_gap_ratio"] = (runs + 1) / float(np.mean(np.diff(pushes)))
    return values


def _rhythm(view: View) -> dict[str, Value]:
    moment_hours = view.moment_ms / _HOUR_MS
    values: dict[str, Value] = {
        "history.hour_of_day": moment_hours % 24,
        "history.day_of_week": float((int(moment_hours // 24) + 3) % 7),  # 1970-01-01: a Thursday
    }
    if view.previous:
        created = view.facts.lanes.create_ms[view.previous[-11:]] / _HOUR_MS
        gap = moment_hours - float(created[-1])
        values["history.hours_since_previous"] = gap
        median = float(np.median(np.diff(created))) if len(created) > 1 else math.nan
        if median > 0:
            values["history.rhythm_ratio"] = gap / median
    return values


def _same_spans(view: View) -> dict[str, Value]:
    own = view.spans.keys()
    if not own:
        return {}
    same = [
        outcome
        for graphlet, outcome in zip(view.previous, view.outcomes)
        if view.spans_of(graphlet).keys() == own
    ]
    return {
        "history.same_spans_runs": float(len(same)),
        "history.same_spans_unpushed": float(same.count(Outcome.UNPUSHED)),
        "history.same_spans_pushed": float(same.count(Outcome.PUSHED)),
    }


def _cost(view: View, members: Iterable[Member]) -> float:
    """Cost of the executions of a graphlet's own run; of all if it has no run."""
    cost = view.facts.graphlets.cost
    members = list(members)
    own_run = [member for member in members if member.in_run]
    return float(sum(cost[member.execution] for member in own_run or members))
