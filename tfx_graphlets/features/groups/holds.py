"""The part of group ``history`` that tells when blessed models are held back.

And whether the clock tells anything of a pipeline at all.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.look_back import Rows, at
from tfx_graphlets.features.table import numbers
from tfx_graphlets.features.wording import WITHHELD, Wording, flag
from tfx_graphlets.graphlets.graphlet import NEVER
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import DAY_MS, HOUR_MS, Outcome, Stage

_WEEK_MS = 7 * DAY_MS
LEAST_HELD = 2  # blessed models that were held back at such a moment: then the next will be
_NEAR_MS = HOUR_MS  # times of the day that are no further apart count as the same
LEAST_DAYS = 3  # on which there were graphlets: then the hours of a pipeline are its schedule's
NO_SCHEDULE = (
    f"earlier graphlets on fewer than {LEAST_DAYS} days, or, of a week day, none a week old"
)
_NO_PUSH = "no push among the preceding graphlets"
_SOURCE = "outcomes of the preceding graphlets, as of the moment; MLMD ModelBlessing.blessed"
_SO_FEW_RUNS = (
    "0 or 1: 1 if blessed models were held back so few runs after a push, "
    "skipped runs counted, and none was pushed"
)


def _held(when: str) -> Wording:
    return flag(
        WITHHELD,
        f"{when} blessed models have been held back, and none was pushed",
        f"nothing is known to hold blessed models back {when}",
    )


FEATURES = (
    *numbers(
        "history",
        Stage.INPUT,
        _NO_PUSH,
        _SOURCE,
        held_by_runs=(_SO_FEW_RUNS, _held("so few runs after a push")),
        held_by_hours=("0 or 1: so few hours after a push", _held("so few hours after a push")),
        held_by_weekday=("0 or 1: on this day of the week, UTC", _held("on this day of the week")),
        held_by_hour=(
            "0 or 1: within an hour of this time of the day",
            _held("at this time of the day"),
        ),
    ),
)


def columns(rows: Rows) -> dict[str, FloatArray]:
    """1 where blessed models are held back at such a moment, by what that depends on; else 0.

    By the gap since a push: LEAST_HELD were held back at this gap or a longer one, which
    was shorter than that of any push. By the clock: LEAST_HELD were at this time, and
    none was pushed; 0 where the clock tells nothing (``by_schedule``).
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
        np.minimum.at(shortest, row[pushes], gap[pushes].astype(float))
        alike = follows & (gap >= own[row]) & (gap < shortest[row])
        values[f"held_by_{name}"] = window.count(held & alike) >= LEAST_HELD
    # Of each graphlet and row once, not at every place.
    apart = np.abs((began % DAY_MS)[window.graphlet] - (now % DAY_MS)[row])
    times = {
        "hour": (apart <= _NEAR_MS) | (apart >= DAY_MS - _NEAR_MS),
        "weekday": _day_of_week(began)[window.graphlet] == _day_of_week(now)[row],
    }
    for (name, alike), scheduled in zip(times.items(), by_schedule(rows)):
        none_pushed = window.count(window.pushed & alike) == 0
        enough = window.count(held & alike) >= LEAST_HELD
        values[f"held_by_{name}"] = scheduled & enough & none_pushed
    return {name: np.where(latest >= 0, holds, np.nan) for name, holds in values.items()}


def by_schedule(rows: Rows) -> tuple[BoolArray, BoolArray]:
    """Whether the hour of the day means something for each row, and the day of the week.

    Runs that were all made in one go (a backfill, a recording, a demonstration) have the
    hours of whoever made them. So hours are those of a schedule once there were graphlets on
    LEAST_DAYS days, and days of the week once, besides, the first of these lies a week back.
    """
    window = rows.window
    of_graphlet = rows.entries.lanes.create_ms
    create_ms, day = of_graphlet[window.graphlet], (of_graphlet // DAY_MS)[window.graphlet]
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
    return (moment_ms // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
