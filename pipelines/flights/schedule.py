"""What happens to a pipeline in operation: a declared schedule, drawn from a seed.

A schedule is a tuple of planned runs. Each names the causes that make it what it is, so that every
result can be broken down by cause afterwards.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import random
from dataclasses import dataclass, field

from pipelines.flights import data
from pipelines.flights.variants import Setting, VariantConfig


class Cause(str, enum.Enum):
    """Why a run differs from the plain daily run."""

    NEW_DATA = "new_data"  # a complete new day arrived
    RERUN = "rerun"  # the trigger fired again; upstream delivered nothing
    LATE_DATA = "late_data"  # the day is over, its data is not there; it comes with a later run
    PARTIAL_DATA = (
        "partial_data"  # only the first hours of the day arrived; the rest comes as a new version
    )
    COMPLETED_DATA = "completed_data"  # the full day that was partial before
    OUTAGE = "outage"  # upstream delivers the weather columns empty
    CODE_CHANGE = "code_change"  # a commit that was meant well, and is
    BAD_COMMIT = "bad_commit"  # a commit that makes the model worse is deployed
    FIX = "fix"  # the bad commit is taken back
    TRAINER_FAILURE = "trainer_failure"  # the deployed code raises in the Trainer
    MISSING_UPSTREAM = "missing_upstream"  # the input folder is not mounted: ExampleGen fails
    SERVING_FAILURE = "serving_failure"  # the serving folder cannot be written: Pusher fails


@dataclass(frozen=True)
class CodeRevision:
    """A state of the user's module: what it sets in the module's settings block.

    number: counts the commits of this pipeline from 0; it is written into the module too, so that
      every commit changes the hash that the store records.
    """

    number: int
    settings: tuple[tuple[str, Setting], ...] = ()

    def changed(self, number: int, **settings: Setting) -> CodeRevision:
        """The revision after a commit."""
        return CodeRevision(number, tuple(sorted({**dict(self.settings), **settings}.items())))


FIRST_REVISION = CodeRevision(0)


@dataclass(frozen=True)
class Delivery:
    """One day as upstream delivers it before a run; see data.FlightDays.day."""

    day: dt.date
    before_hour: int = 24
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedRun:
    """One run of the pipeline.

    day: the calendar day on which it runs, also when that day's data is late.
    deliveries: what arrives before it, in order; empty for none.
    at: when it starts by the schedule's clock, without a time zone; None for a variant that has no
      clock. The day's data are complete at its end, so that it starts on a later calendar day.
    """

    index: int
    day: dt.date
    causes: tuple[Cause, ...]
    revision: CodeRevision
    deliveries: tuple[Delivery, ...] = ()
    upstream_missing: bool = False
    serving_fails: bool = False
    at: dt.datetime | None = None


GOOD_COMMITS: tuple[dict[str, Setting], ...] = (
    {"USE_HOUR": True},  # the hour of departure is what delays depend on most
    {"REGULARIZATION": 5e-4},
    {"STEPS_FACTOR": 1.5},
    {"LEARNING_RATE": 0.008},
    {"BATCH_SIZE": 384},
)
BAD_COMMITS: tuple[dict[str, Setting], ...] = (
    {"LABEL_SIGN": -1},  # learns "on time" for "delayed"
    {"SCALE_AT_TRAINING": 25.0},  # trains on a scale that serving does not have
    {"LEARNING_RATE": 3.0},
    {"STEPS_FACTOR": 0.0},  # a debugging shortcut that was left in: nothing is trained
)
FAILING_COMMIT: dict[str, Setting] = {"FAIL_WITH": "KeyError: 'visibility' (renamed upstream)"}

# Chance of each event in a run in which nothing else goes on; what is left is a plain new day.
_RATES: tuple[tuple[Cause, float], ...] = (
    (Cause.RERUN, 0.17),
    (Cause.LATE_DATA, 0.06),
    (Cause.PARTIAL_DATA, 0.07),
    (Cause.OUTAGE, 0.04),
    (Cause.CODE_CHANGE, 0.07),
    (Cause.BAD_COMMIT, 0.06),
    (Cause.TRAINER_FAILURE, 0.03),
    (Cause.MISSING_UPSTREAM, 0.02),
    (Cause.SERVING_FAILURE, 0.02),
)


@dataclass
class _State:
    """What is going on between runs, while a schedule is drawn."""

    day: dt.date
    revision: CodeRevision = FIRST_REVISION
    commits: int = 0
    healthy: CodeRevision | None = None  # what a fix goes back to; None while the code is good
    runs_until_fix: int = 0
    outage_days: int = 0
    owed: list[dt.date] = field(default_factory=list)  # days that are late or partial
    good_commits: int = 0


def plan(variant: VariantConfig, number_of_runs: int | None = None) -> tuple[PlannedRun, ...]:
    """The schedule of a variant: a pure function of its seed, its first day and the number of runs.

    The first runs, one more than the window is long, are plain new days. A longer schedule begins
    with the shorter one.
    """
    draw = random.Random(variant.seed)
    state = _State(day=variant.first_day, revision=CodeRevision(0, variant.settings))
    count = variant.number_of_runs if number_of_runs is None else number_of_runs
    runs = tuple(
        _next_run(index, state, draw, variant.trouble, quiet=index <= variant.window)
        for index in range(count)
    )
    return _with_clock(_with_broken_deployment(runs, variant), variant)


def _with_broken_deployment(
    runs: tuple[PlannedRun, ...], variant: VariantConfig
) -> tuple[PlannedRun, ...]:
    """The runs with a serving folder that cannot be written in the variant's broken runs."""
    first, last = variant.broken_deployment or (1, 0)
    return tuple(
        run
        if not first <= run.index <= last or run.serving_fails
        else dataclasses.replace(
            run, serving_fails=True, causes=(*run.causes, Cause.SERVING_FAILURE)
        )
        for run in runs
    )


def _with_clock(runs: tuple[PlannedRun, ...], variant: VariantConfig) -> tuple[PlannedRun, ...]:
    """The runs with their start: at one of the variant's hours, or some hours after the last."""
    if not variant.trigger_hours:
        return runs
    draw = random.Random(f"clock-{variant.seed}")
    timed: list[PlannedRun] = []
    for run in runs:
        hour, minute = draw.choice(variant.trigger_hours), draw.randrange(60)
        again = dt.timedelta(hours=draw.randint(1, 5), minutes=minute)
        start = dt.datetime.combine(run.day + dt.timedelta(days=1), dt.time(hour, minute))
        previous = timed[-1] if timed else None
        if previous is not None and previous.at is not None:
            follows = previous.at + again
            start = follows if run.day == previous.day else max(start, follows)
        timed.append(dataclasses.replace(run, at=start))
    return tuple(timed)


def _next_run(
    index: int, state: _State, draw: random.Random, trouble: float, *, quiet: bool
) -> PlannedRun:
    event = None if quiet else _draw_event(draw, trouble)
    causes: list[Cause] = []
    if state.healthy is not None:
        causes += _progress_of_bad_code(state, state.healthy)
    elif event in (Cause.CODE_CHANGE, Cause.BAD_COMMIT, Cause.TRAINER_FAILURE):
        causes.append(event)
        _commit(event, state, draw)
    if event == Cause.RERUN:
        return PlannedRun(index, state.day, (*causes, Cause.RERUN), state.revision)
    if event == Cause.MISSING_UPSTREAM:
        return PlannedRun(index, state.day, (*causes, event), state.revision, upstream_missing=True)
    if index:
        state.day += dt.timedelta(days=1)
    deliveries = [Delivery(day) for day in state.owed]
    causes += [Cause.COMPLETED_DATA] if deliveries else []
    state.owed = []
    if event == Cause.OUTAGE and not state.outage_days:
        state.outage_days = draw.randint(2, 4)
    if event == Cause.LATE_DATA:
        state.owed.append(state.day)
        return PlannedRun(index, state.day, (*causes, event), state.revision, tuple(deliveries))
    before_hour = 24
    if event == Cause.PARTIAL_DATA:
        before_hour = draw.randint(9, 13)
        state.owed.append(state.day)
        causes.append(event)
    else:
        causes.append(Cause.NEW_DATA)
    without: tuple[str, ...] = ()
    if state.outage_days:
        state.outage_days -= 1
        without = data.WEATHER_COLUMNS
        causes.append(Cause.OUTAGE)
    if event == Cause.SERVING_FAILURE:
        causes.append(event)
    return PlannedRun(
        index,
        state.day,
        tuple(causes),
        state.revision,
        (*deliveries, Delivery(state.day, before_hour, without)),
        serving_fails=event == Cause.SERVING_FAILURE,
    )


def _draw_event(draw: random.Random, trouble: float) -> Cause | None:
    value = draw.random()
    for cause, rate in _RATES:
        value -= rate * trouble
        if value < 0:
            return cause
    return None


def _commit(kind: Cause, state: _State, draw: random.Random) -> None:
    state.commits += 1
    if kind == Cause.CODE_CHANGE:
        settings = GOOD_COMMITS[state.good_commits % len(GOOD_COMMITS)]
        state.good_commits += 1
        state.revision = state.revision.changed(state.commits, **settings)
        return
    state.healthy = state.revision
    if kind == Cause.BAD_COMMIT:
        settings, state.runs_until_fix = draw.choice(BAD_COMMITS), draw.randint(2, 4)
    else:
        settings, state.runs_until_fix = FAILING_COMMIT, draw.randint(1, 2)
    state.revision = state.revision.changed(state.commits, **settings)


def _progress_of_bad_code(state: _State, healthy: CodeRevision) -> list[Cause]:
    state.runs_until_fix -= 1
    if state.runs_until_fix > 0:
        failing = "FAIL_WITH" in dict(state.revision.settings)
        return [Cause.TRAINER_FAILURE if failing else Cause.BAD_COMMIT]
    state.commits += 1
    state.revision = CodeRevision(state.commits, healthy.settings)
    state.healthy = None
    return [Cause.FIX]
