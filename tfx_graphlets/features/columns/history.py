"""Group ``history`` in columns; see ``features.history``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfx_graphlets.features.columns.ragged import medians
from tfx_graphlets.features.columns.rows import Rows
from tfx_graphlets.features.columns.windows import at, ratio
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Outcome

_HOUR_MS = 3_600_000


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by feature name, float64 [rows], NaN where missing."""
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
    values.update(_rhythm(rows))
    values.update(_same_spans(rows))
    values["cost_so_far_ms"] = rows.own.cost_ms
    recent = window.in_last(5)
    places = np.flatnonzero(recent)
    cost = np.bincount(
        window.row[places], window.seen("cost_ms", places), minlength=window.num_rows
    )
    values["previous_cost_ms"] = ratio(cost, window.count(recent))
    return {f"history.{name}": value for name, value in values.items()}


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
    hours = np.where(some, (rows.moment_ms - pushed_ms) / _HOUR_MS, np.nan)
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
    hours = rows.moment_ms / _HOUR_MS
    days = (hours // 24).astype(np.int64)
    created = rows.entries.lanes.create_ms[window.graphlet] / _HOUR_MS
    since = hours - at(created, window.nth(1))
    recent = np.flatnonzero(window.in_last(11))
    # Gaps between neighbours in the same window.
    row = window.row[recent]
    same = row[1:] == row[:-1]
    gaps = np.diff(created[recent])[same]
    median = medians(row[1:][same], gaps, window.num_rows)
    return {
        "hour_of_day": hours % 24,
        "day_of_week": ((days + 3) % 7).astype(float),  # 1970-01-01 was a Thursday
        "hours_since_previous": since,
        "rhythm_ratio": ratio(since, np.nan_to_num(median)),
    }


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
    values["rerun_expected"] = np.where(some, window.rerun_expected(same), np.nan)
    return values
