"""Group ``history``: what became of the preceding graphlets, rhythm and cost.

The paper did not use it: it predicts each graphlet by itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfx_graphlets.features.evaluators import rerun_expected
from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.look_back import Rows, at, ratio
from tfx_graphlets.features.table import FeatureGroup, numbers
from tfx_graphlets.graphlets.timeline import NEVER
from tfx_graphlets.trace.ragged import medians
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import Outcome, PropertyName, Stage

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
LEAST_HELD = 2  # blessed models that were held back at such a moment: then the next will be
_NEAR_HOURS = 1.0  # hours of the day that count as the same
LEAST_DAYS = 3  # on which there were graphlets: then the hours of a pipeline are its schedule's
_WEEK_MS = 7 * _DAY_MS
# What is told of the hour of the day, and of the day of the week.
_CLOCK = (("hour_of_day", "held_by_hour"), ("day_of_week", "held_by_weekday"))
_NONE_YET = "no such earlier graphlet, or its outcome not known yet"
_NO_PUSH = "no push among the preceding graphlets"
_NO_SCHEDULE = (
    f"earlier graphlets on fewer than {LEAST_DAYS} days, or, of a week day, none a week old"
)
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
        _NO_PUSH,
        _OUTCOMES + "; MLMD ModelBlessing.blessed",
        held_by_runs="0 or 1: 1 if blessed models were held back so few runs after a push, "
        "skipped runs counted, and none was pushed",
        held_by_hours="0 or 1: so few hours after a push",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        f"{_NO_PUSH}, or {_NO_SCHEDULE}",
        _OUTCOMES + "; MLMD ModelBlessing.blessed",
        held_by_weekday="0 or 1: on this day of the week, UTC",
        held_by_hour="0 or 1: within an hour of this time of the day",
    ),
    *numbers(
        "history",
        Stage.INPUT,
        "no earlier graphlet, or its time is not recorded",
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
        f"the moment is not recorded, or {_NO_SCHEDULE}",
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
    values.update(_holds(rows))
    values.update(_rhythm(rows))
    values.update(_same_spans(rows))
    for at_time, scheduled in zip(_CLOCK, _by_schedule(rows)):
        values |= {name: np.where(scheduled, values[name], np.nan) for name in at_time}
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
    hours = np.where(timed, (rows.moment_ms - pushed_ms) / _HOUR_MS, np.nan)
    pushes, first = window.count(window.pushed), window.first(window.pushed)
    # The gap that would end if this graphlet were pushed, against those that ended.
    gap = ratio((last - first).astype(float), np.where(pushes > 1, pushes - 1, 0))
    return {
        "runs_since_push": runs,
        "hours_since_push": hours,
        "push_gap_ratio": ratio(runs + 1, np.nan_to_num(gap)),
    }


def _holds(rows: Rows) -> Mapping[str, FloatArray]:
    """1 where blessed models are held back at such a moment, by what that depends on; else 0.

    By the gap since a push: LEAST_HELD were held back at this gap or a longer one, which
    was shorter than that of any push. By the clock: LEAST_HELD were at this time, and
    none was pushed.
    """
    window, entries = rows.window, rows.entries
    row, latest = window.row, window.last_pushed
    held = (window.blessed == 1.0) & (window.outcome == Outcome.UNPUSHED)
    # The push before each place of the same window.
    before = np.maximum.accumulate(np.where(window.pushed, np.arange(len(row)), -1))
    before = np.append(np.int64(-1), before)[:-1]
    follows = before >= window.start[row]
    pushes = follows & window.pushed
    runs = entries.once("runs", lambda: _Runs.of(entries))
    began, order = runs.began_ms, runs.order
    # A run that has not begun by the row's moment begins then, for all that is known.
    now = np.minimum(began[rows.graphlet], rows.moment_ms)
    gaps = {
        "runs": (runs.before(rows.graphlet, now), order, order[window.graphlet]),
        "hours": (now, began, window.seen("pushed_ms")),
    }
    values: dict[str, BoolArray] = {}
    for name, (present, start, end) in gaps.items():
        gap = start[window.graphlet] - end[before]
        own = present - at(end, latest)
        shortest = np.full(len(rows), np.inf)
        np.minimum.at(shortest, row[pushes], gap[pushes])
        alike = follows & (gap >= own[row]) & (gap < shortest[row])
        values[f"held_by_{name}"] = window.count(held & alike) >= LEAST_HELD
    then = began[window.graphlet]
    times = {
        "weekday": _day_of_week(then) == _day_of_week(now[row]),
        "hour": _hours_apart(then, now[row]) <= _NEAR_HOURS,
    }
    for name, alike in times.items():
        values[f"held_by_{name}"] = (window.count(held & alike) >= LEAST_HELD) & (
            window.count(window.pushed & alike) == 0
        )
    return {name: np.where(latest >= 0, holds, np.nan) for name, holds in values.items()}


def _by_schedule(rows: Rows) -> tuple[BoolArray, BoolArray]:
    """Whether the hour of the day means something for each row, and the day of the week.

    Runs that were all made in one go (a backfill, a recording, a demonstration) have the
    hours of whoever made them. So hours are those of a schedule once there were graphlets on
    LEAST_DAYS days, and days of the week once, besides, the first of these lies a week back.
    """
    window = rows.window
    create_ms = rows.entries.lanes.create_ms[window.graphlet]
    day = create_ms // _DAY_MS
    # The places of a row are in the order of time: a day is new where it is not the last one's.
    new = np.ones(len(day), bool)
    new[1:] = (day[1:] != day[:-1]) | (window.row[1:] != window.row[:-1])
    hours = window.count(new & (create_ms > 0)) >= LEAST_DAYS
    earliest = at(create_ms, window.first(create_ms > 0))
    return hours, hours & (rows.moment_ms - earliest >= _WEEK_MS)


@dataclasses.dataclass(frozen=True, eq=False)
class _Runs:
    """The runs of graphlets.

    Attributes:
      began_ms: int64 [n], when the run of each graphlet began, milliseconds; without a run,
        when its Trainer did.
      order: int64 [n], how many runs of its pipeline had begun before. Skipped runs count,
        and those that failed early. Without a pipeline the graphlets of its lane count.
    """

    began_ms: IntArray
    order: IntArray
    _pipeline: IntArray  # int64 [n], -1 for none
    _times: IntArray  # at which any run began, ascending
    _begun: IntArray  # int64 [runs], pipeline and time of each as one number, ascending

    @classmethod
    def of(cls, entries: Entries) -> _Runs:
        """The runs in the trace of some graphlets."""
        trace, trainer = entries.trace, entries.graphlets.trainer
        run, pipeline = trace.run_of_execution, trace.pipeline_of_execution
        some = np.flatnonzero((run >= 0) & (pipeline >= 0))
        began_of_run = np.full(len(trace.contexts) + 1, NEVER, np.int64)  # the last for no run
        np.minimum.at(began_of_run, run[some], trace.executions.create_ms[some])
        pipeline_of_run = np.full(len(began_of_run), -1, np.int64)
        pipeline_of_run[run[some]] = pipeline[some]

        began = began_of_run[run[trainer]]
        began = np.where(began == NEVER, trace.executions.create_ms[trainer], began)
        runs = np.flatnonzero(pipeline_of_run >= 0)
        times = np.unique(began_of_run[runs])
        place = np.searchsorted(times, began_of_run[runs])
        begun = np.sort(pipeline_of_run[runs] * (len(times) + 1) + place)
        order = np.empty(len(trainer), np.int64)
        order[entries.lanes.order] = np.arange(len(trainer))
        order -= entries.lanes.start[entries.lanes.lane]
        made = cls(began, order, pipeline[trainer].astype(np.int64), times, begun)
        return dataclasses.replace(made, order=made.before(np.arange(len(trainer)), began))

    def before(self, graphlet: IntArray, moment_ms: IntArray) -> IntArray:
        """How many runs of the pipelines of graphlets had begun before moments, int64 [k]."""
        base = self._pipeline[graphlet] * (len(self._times) + 1)
        place = np.searchsorted(self._times, moment_ms)
        count = np.searchsorted(self._begun, base + place) - np.searchsorted(self._begun, base)
        return np.where(base >= 0, count, self.order[graphlet])


def _day_of_week(moment_ms: IntArray) -> IntArray:
    """0 Monday to 6 Sunday, UTC."""
    return (moment_ms // _DAY_MS + 3) % 7  # 1970-01-01 was a Thursday


def _hours_apart(left_ms: IntArray, right_ms: IntArray) -> FloatArray:
    """How far two times of the day are apart, 0..12 hours."""
    apart: FloatArray = np.abs(left_ms - right_ms) / _HOUR_MS % 24
    return np.minimum(apart, 24 - apart)


def _rhythm(rows: Rows) -> Mapping[str, FloatArray]:
    window = rows.window
    hours = _hours(rows.moment_ms)
    created = _hours(rows.entries.lanes.create_ms[window.graphlet])
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
    return np.where(times_ms > 0, times_ms / _HOUR_MS, np.nan)


def _same_spans(rows: Rows) -> Mapping[str, FloatArray]:
    window, spans = rows.window, rows.own.spans
    same = window.digest == spans.digest[window.row]
    some = spans.counts > 0
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
