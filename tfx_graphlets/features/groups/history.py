"""Group ``history``: what became of the preceding graphlets, rhythm and cost.

The paper did not use it: it predicts each graphlet by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from tfx_graphlets.features.evaluators import rerun_expected
from tfx_graphlets.features.groups import holds
from tfx_graphlets.features.look_back import Rows, at, ratio
from tfx_graphlets.features.table import FeatureGroup, numbers
from tfx_graphlets.features.wording import (
    CALENDAR,
    CODE,
    DATA,
    NOTHING_NEW,
    OUTCOMES,
    SINCE_PUSH,
    TRAINED,
    Topic,
    Wording,
    above,
    clock,
    counted,
    duration,
    equal,
    flag,
    hours,
    share,
    times,
)
from tfx_graphlets.trace.ragged import medians
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import HOUR_MS, Outcome, PropertyName, Stage

_NONE_YET = "no such earlier graphlet, or its outcome not known yet"
_NO_PUSH = "no push among the preceding graphlets"
_OUTCOMES = "outcomes of the preceding graphlets, as of the moment"
_TIMES = "MLMD create time of the Trainers"
_COST = "MLMD create and last update times"
_SPANS = "spans and outcomes of the preceding graphlets"
_RHYTHM = Topic("rhythm", "how long ago the last trained run was")
_COST_TOPIC = Topic("cost", "what runs cost")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_RUNS = counted("trained run")


def _pushed(run: str) -> Wording:
    return flag(OUTCOMES, f"{run} was pushed", f"{run} was not pushed").ranked(1)


_at_input = functools.partial(numbers, "history", Stage.INPUT)

FEATURES = (
    *_at_input(
        _NONE_YET,
        _OUTCOMES,
        pushed_1=("0 or 1", _pushed(TRAINED)),
        pushed_2=("0 or 1", _pushed("the second last trained run")),
        pushed_3=("0 or 1", _pushed("the third last")),
        failed_1=(
            "0 or 1, the Trainer failed",
            flag(
                OUTCOMES, f"the Trainer of {TRAINED} failed", f"the Trainer of {TRAINED} succeeded"
            ).advising(equal(1), "Mend the Trainer: the last one failed"),
        ),
    ),
    *_at_input(
        "never",
        _OUTCOMES,
        failures_5=(
            "failed Trainers among the last 5",
            Wording(
                OUTCOMES,
                "of the last 5 Trainers {} failed",
                special={0.0: "no recent Trainer failed"},
            ),
        ),
        labelled=(
            "graphlets with a known outcome",
            Wording(OUTCOMES, "the outcome of {} is known", _RUNS),
        ),
    ),
    *_at_input(
        _NONE_YET,
        _OUTCOMES,
        push_rate=("share 0..1", share(OUTCOMES, "trained runs", "pushed")),
        **{
            f"push_rate_{count}": (
                f"share 0..1 of the last {count} labelled",
                share(OUTCOMES, f"last {count} trained runs", "pushed").ranked(2),
            )
            for count in (5, 10, 20)
        },
    ),
    *_at_input(
        "never",
        _OUTCOMES,
        pushes_3=(
            "pushes among the last 3",
            Wording(
                OUTCOMES,
                "of the last 3 trained runs {} were pushed",
                special={
                    0.0: "none of the last 3 trained runs was pushed",
                    1.0: "one of the last 3 trained runs was pushed",
                    3.0: "all of the last 3 trained runs were pushed",
                },
            ),
        ),
        unpushed_streak=(
            "consecutive unpushed, count",
            Wording(
                OUTCOMES,
                "the last {} not pushed",
                counted("trained run was", "trained runs were"),
                {0.0: f"{TRAINED} was pushed", 1.0: f"{TRAINED} was not pushed"},
            ),
        ),
    ),
    *_at_input(
        _NO_PUSH,
        _OUTCOMES,
        runs_since_push=(
            "graphlets, 0 if the last was pushed",
            Wording(
                SINCE_PUSH, "the last push was {} before", _RUNS, {0.0: f"{TRAINED} was pushed"}
            ),
        ),
    ),
    *_at_input(
        _NO_PUSH,
        "MLMD last update of the Pusher",
        hours_since_push=(
            "hours from the end of the push",
            Wording(SINCE_PUSH, "the last push was {} ago", hours),
        ),
    ),
    *_at_input(
        "fewer than two pushes",
        _OUTCOMES,
        push_gap_ratio=(
            "graphlets since the push by the mean gap between pushes",
            Wording(
                SINCE_PUSH,
                "the wait since the last push is {} as long as usual between pushes",
                times,
            ),
        ),
    ),
    *holds.FEATURES,
    *_at_input(
        "no earlier graphlet, or its time is not recorded",
        _TIMES,
        hours_since_previous=(
            "hours between Trainers",
            Wording(_RHYTHM, f"{TRAINED} was {{}} ago", hours),
        ),
    ),
    *_at_input(
        "fewer than two earlier graphlets",
        _TIMES,
        rhythm_ratio=(
            "that by the median gap of the last 10",
            Wording(_RHYTHM, f"the time since {TRAINED} is {{}} as long as usual", times),
        ),
    ),
    *_at_input(
        f"the moment is not recorded, or {holds.NO_SCHEDULE}",
        "moment of the decision",
        hour_of_day=("hours 0..24, UTC", Wording(CALENDAR, "it is {} UTC", clock)),
        day_of_week=(
            "0 Monday to 6 Sunday, UTC",
            Wording(CALENDAR, special={float(n): f"it is a {day}" for n, day in enumerate(_DAYS)}),
        ),
    ),
    *_at_input(
        "no spans",
        _SPANS,
        same_spans_runs=(
            "earlier graphlets on exactly these spans",
            Wording(
                DATA,
                "exactly these data have been trained on in {}",
                _RUNS,
                {0.0: "exactly these data have not been trained on before"},
            ).advising(above(0), NOTHING_NEW, unless_new=CODE),
        ),
        same_spans_unpushed=(
            "unpushed ones among them",
            Wording(
                DATA,
                "on exactly these data {} not pushed before",
                counted("trained run was", "trained runs were"),
                {0.0: "no model of exactly these data was turned down before"},
            ),
        ),
        same_spans_pushed=(
            "pushed ones among them",
            Wording(
                DATA,
                "of exactly these data {} pushed before",
                counted("model was", "models were"),
                {0.0: "no model of exactly these data was pushed before"},
            ),
        ),
    ),
    *_at_input(
        "no such earlier graphlet with a known outcome; or it was pushed and no threshold is known",
        _SPANS + "; MLMD Evaluator.eval_config",
        rerun_expected=(
            "0 or 1: 0 if the latest on these spans was not pushed, else clone_passes",
            flag(
                DATA,
                "a model like the last one on these data would be blessed",
                "a model like the last one on these data would not be pushed",
            ),
        ),
    ),
    *_at_input(
        "never",
        _COST,
        cost_so_far_ms=(
            "ms, executions of this run",
            Wording(_COST_TOPIC, "this run has taken {} so far", duration),
        ),
    ),
    *_at_input(
        "no earlier graphlet",
        _COST,
        previous_cost_ms=(
            "ms, mean of the last 5, executions of their runs",
            Wording(_COST_TOPIC, "the last trained runs took {} on average", duration),
        ),
    ),
)


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by the second part of the feature's name, float64 [rows], NaN where missing."""
    window = rows.window
    values: dict[str, FloatArray] = {}
    known = window.outcome != Outcome.INCOMPLETE
    failed = window.outcome == Outcome.FAILED
    for n in (1, 2, 3):
        values[f"pushed_{n}"] = at(np.where(known, window.pushed, np.nan), window.nth(n))
    values["failed_1"] = at(np.where(known, failed, np.nan), window.nth(1))
    values["failures_5"] = window.count(failed & window.in_last(5)).astype(float)
    values["pushes_3"] = window.count(window.pushed & window.in_last(3)).astype(float)
    labelled = window.count(window.labelled)
    values["labelled"] = labelled.astype(float)
    values["push_rate"] = ratio(window.count(window.pushed), labelled)
    for n in (5, 10, 20):
        recent = window.in_last_flagged(window.labelled, n)
        values[f"push_rate_{n}"] = ratio(window.count(window.pushed & recent), window.count(recent))
    values["unpushed_streak"] = _streak(rows)
    values.update(_since_push(rows))
    values.update(holds.columns(rows))
    values.update(_rhythm(rows))
    values.update(_same_spans(rows))
    for name, scheduled in zip(("hour_of_day", "day_of_week"), holds.by_schedule(rows)):
        values[name] = np.where(scheduled, values[name], np.nan)
    values["cost_so_far_ms"] = rows.own.cost_ms
    recent = window.in_last(5)
    places = np.flatnonzero(recent)
    cost = np.bincount(
        window.row[places], window.seen("cost_ms", places), minlength=window.num_rows
    )
    values["previous_cost_ms"] = ratio(cost, window.count(recent))
    return values


def _streak(rows: Rows) -> FloatArray:
    """Labelled graphlets after the last pushed one."""
    window = rows.window
    after = np.arange(len(window.row)) > window.last_pushed[window.row]
    return window.count(window.labelled & after).astype(float)


def _since_push(rows: Rows) -> Mapping[str, FloatArray]:
    window, last = rows.window, rows.window.last_pushed
    some = last >= 0
    runs = np.where(some, window.start[1:] - 1 - last, np.nan)
    pushed_ms = np.zeros(len(rows), np.int64)
    pushed_ms[some] = window.seen("pushed_ms", last[some])
    # A time of 0 is a missing time.
    timed = some & (pushed_ms > 0) & (rows.moment_ms > 0)
    hours = np.where(timed, (rows.moment_ms - pushed_ms) / HOUR_MS, np.nan)
    pushes, first = window.count(window.pushed), window.first(window.pushed)
    # The gap that would end if this graphlet were pushed, against those that ended.
    gap = ratio((last - first).astype(float), np.where(pushes > 1, pushes - 1, 0))
    return {
        "runs_since_push": runs,
        "hours_since_push": hours,
        "push_gap_ratio": ratio(runs + 1, np.nan_to_num(gap)),
    }


def _rhythm(rows: Rows) -> Mapping[str, FloatArray]:
    window = rows.window
    hours = _hours(rows.moment_ms)
    created = _hours(rows.entries.lanes.create_ms)[window.graphlet]
    since = hours - at(created, window.nth(1))
    recent = np.flatnonzero(window.in_last(11))
    # Gaps between neighbours in the same window.
    row = window.row[recent]
    gaps = np.diff(created[recent])
    known = (row[1:] == row[:-1]) & ~np.isnan(gaps)
    median = medians(row[1:][known], gaps[known], window.num_rows)
    return {
        "hour_of_day": hours % 24,
        "day_of_week": (hours // 24 + 3) % 7,  # 1970-01-01 was a Thursday
        "hours_since_previous": since,
        "rhythm_ratio": ratio(since, np.nan_to_num(median)),
    }


def _hours(times_ms: IntArray) -> FloatArray:
    """Hours since the epoch; NaN where the time is missing."""
    return np.where(times_ms > 0, times_ms / HOUR_MS, np.nan)


def _same_spans(rows: Rows) -> Mapping[str, FloatArray]:
    window, same, some = rows.window, rows.same_spans, rows.own.spans.counts > 0
    counts = {
        "same_spans_runs": same,
        "same_spans_unpushed": same & (window.outcome == Outcome.UNPUSHED),
        "same_spans_pushed": same & window.pushed,
    }
    values = {name: np.where(some, window.count(flag), np.nan) for name, flag in counts.items()}
    values["rerun_expected"] = np.where(some, rerun_expected(rows, same), np.nan)
    return values


GROUP = FeatureGroup(
    "history",
    FEATURES,
    columns,
    {Stage.INPUT: (PropertyName.PUSHED, PropertyName.BLESSED, PropertyName.EVAL_CONFIG)},
)
