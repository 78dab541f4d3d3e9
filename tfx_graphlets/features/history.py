"""Group ``history``: what became of the preceding graphlets, rhythm and cost.

The paper did not use it: it predicts each graphlet by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tfx_graphlets.features.evaluations import rerun_expected
from tfx_graphlets.features.facts import Member
from tfx_graphlets.features.registry import FeatureGroup, Value, numbers
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
    *numbers(
        "history",
        Stage.INPUT,
        _NONE_YET,
        _OUTCOMES,
        pushed_1="0 or 1",
        pushed_2="0 or 1",
        pushed_3="0 or 1",
        failed_1="0 or 1, the Trainer failed",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "never",
        _OUTCOMES,
        failures_5="failed Trainers among the last 5",
        labelled="graphlets with a known outcome",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        _NONE_YET,
        _OUTCOMES,
        push_rate="share 0..1",
        push_rate_5="share 0..1 of the last 5 labelled",
        push_rate_10="share 0..1 of the last 10 labelled",
        push_rate_20="share 0..1 of the last 20 labelled",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "never",
        _OUTCOMES,
        pushes_3="pushes among the last 3",
        unpushed_streak="consecutive unpushed, count",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        _NO_PUSH,
        _OUTCOMES,
        runs_since_push="graphlets, 0 if the last was pushed",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        _NO_PUSH,
        "MLMD last update of the Pusher",
        hours_since_push="hours from the end of the push",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "fewer than two pushes",
        _OUTCOMES,
        push_gap_ratio="graphlets since the push by the mean gap between pushes",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "no earlier graphlet",
        _TIMES,
        hours_since_previous="hours between Trainers",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "fewer than two earlier graphlets",
        _TIMES,
        rhythm_ratio="that by the median gap of the last 10",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "never",
        "moment of the decision",
        hour_of_day="hours 0..24, UTC",
        day_of_week="0 Monday to 6 Sunday, UTC",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "no spans",
        _SPANS,
        same_spans_runs="earlier graphlets on exactly these spans",
        same_spans_unpushed="unpushed ones among them",
        same_spans_pushed="pushed ones among them",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "no such earlier graphlet with a known outcome; or it was pushed and no threshold is known",
        _SPANS + "; MLMD Evaluator.eval_config",
        rerun_expected="0 or 1: 0 if the latest on these spans was not pushed, else clone_passes",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "never",
        _COST,
        cost_so_far_ms="ms, executions of this run",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "no earlier graphlet",
        _COST,
        previous_cost_ms="ms, mean of the last 5, executions of their runs",
    ),
)


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
        costs = [_cost(view, seen.members) for seen in view.seen_previous[-5:]]
        values["history.previous_cost_ms"] = float(np.mean(costs))
    return values


GROUP = FeatureGroup(FEATURES, describe)


def _since_push(view: View) -> dict[str, Value]:
    pushes = [at for at, outcome in enumerate(view.outcomes) if outcome is Outcome.PUSHED]
    if not pushes or view.last_pushed is None:
        return {}
    runs = len(view.outcomes) - 1 - pushes[-1]
    pushed_ms = view.seen(view.last_pushed).pushed_ms
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
    own = frozenset(view.spans)
    if not own:
        return {}
    same = [seen.outcome for seen in view.seen_previous if seen.span_set == own]
    values: dict[str, Value] = {
        "history.same_spans_runs": float(len(same)),
        "history.same_spans_unpushed": float(same.count(Outcome.UNPUSHED)),
        "history.same_spans_pushed": float(same.count(Outcome.PUSHED)),
    }
    expected = rerun_expected(view, same)
    if expected is not None:
        values["history.rerun_expected"] = expected
    return values


def _cost(view: View, members: Iterable[Member]) -> float:
    """Cost of the executions of a graphlet's own run; of all if it has no run."""
    cost = view.facts.graphlets.cost
    members = list(members)
    own_run = [member for member in members if member.in_run]
    return float(sum(cost[member.execution] for member in own_run or members))
