"""Holds: what keeps blessed models from being pushed, seen from what was held back before."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

import pytest

from tests.features.runs import Runs, some
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ContextType, Stage

HOUR_MS = 3_600_000
MONDAY_MS = 4 * 24 * HOUR_MS  # 1970-01-05, midnight
KINDS = ("runs", "hours", "weekday", "hour")


@dataclasses.dataclass(frozen=True)
class Moment:
    """What a rule of operations is asked about."""

    hours: float  # since that Monday
    since_push: float  # hours
    runs: int  # since the last push
    chance: float  # drawn for this run

    @property
    def at_work(self) -> bool:
        """Nine to five, Monday to Friday."""
        return 9 <= self.hours % 24 < 17 and self.hours % 168 < 120


def operated(
    holds: Callable[[Moment], bool], every_hours: float, count: int = 80, blessed: float = 0.8
) -> tuple[list[dict[str, float]], list[bool], list[bool]]:
    """A pipeline under a rule: of each run the features, whether it was held, whether pushed."""
    draw, runs = random.Random(1), Runs()
    last_hours, since, held, pushed = -1000.0, 1000, [], []
    for number in range(count):
        hours = number * every_hours
        moment = Moment(hours, hours - last_hours, since, draw.random())
        good = draw.random() < blessed
        held.append(holds(moment))
        pushed.append(good and not held[-1])
        runs.build.clock_ms = MONDAY_MS + round(hours * HOUR_MS)
        runs.run(span=number, blessed=good, pushed=pushed[-1])
        last_hours, since = (hours, 0) if pushed[-1] else (last_hours, since + 1)
    table = describe(segment(runs.build.trace()), Stage.INPUT)
    rows = [
        {kind: float(table.numbers(f"history.held_by_{kind}")[row]) for kind in KINDS}
        for row in range(count)
    ]
    return rows, held, pushed


@pytest.mark.parametrize(
    ("rule", "every_hours", "kind", "least"),
    [
        pytest.param(lambda m: m.runs < 3, 24, "runs", 0.9, id="every fourth run"),
        pytest.param(lambda m: m.since_push < 20, 5.3, "hours", 0.8, id="one push in 20 hours"),
        pytest.param(lambda m: not m.at_work, 5, "hour", 0.5, id="business hours"),
        pytest.param(lambda m: m.hours % 168 >= 120, 7, "weekday", 0.7, id="no weekend"),
        pytest.param(
            lambda m: not m.at_work or m.chance < 0.5, 5, "hour", 0.3, id="approval at work"
        ),
        pytest.param(
            lambda m: m.since_push < 12 + 24 * m.chance, 6, "hours", 0.4, id="a canary first"
        ),
    ],
)
def test_a_hold_is_expected_after_it_was_seen(
    rule: Callable[[Moment], bool], every_hours: float, kind: str, least: float
) -> None:
    """The kind that fits tells most held runs of the second half, and hardly a push wrongly.

    None, but for what a person approves by chance: two that were not look like a rule.
    """
    rows, held, pushed = operated(rule, every_hours)
    late = range(40, 80)
    told = [row for row in late if rows[row][kind] == 1.0]
    assert len([row for row in told if held[row]]) >= least * sum(held[row] for row in late)
    wrong = sum(pushed[row] for row in told)
    assert wrong <= (0.1 * len(told) if kind == "hour" and least < 0.5 else 0)


def test_without_a_hold_none_is_expected() -> None:
    """Models that are not good enough are no sign of one, nor is an odd push that did not come."""
    rows, _, pushed = operated(lambda moment: moment.chance < 0.05, 24)
    assert any(pushed)
    for row in rows:
        assert row["runs"] != 1.0
        assert row["hours"] != 1.0


def test_before_the_first_push_nothing_is_known_of_a_gap() -> None:
    """Missing until one was pushed; then 0 until two were held."""
    rows, _, pushed = operated(lambda moment: moment.runs < 1, 24, count=4, blessed=1.0)
    assert pushed == [True, False, True, False]
    assert [row["runs"] != row["runs"] for row in rows] == [True, False, False, False]
    assert [row["runs"] for row in rows[1:]] == [0.0, 0.0, 0.0]


def counted_in_runs(
    outcomes: tuple[int | None, ...],
    *,
    skipped: int = 0,
    pipeline_first: bool = False,
    others: int = 0,
) -> float | str | None:
    """What the last of some runs of blessed models is told: 1 pushed, 0 held, None not yet known.

    Args:
      outcomes: of each run.
      skipped: runs without a Trainer before the last.
      pipeline_first: the pipeline is the first context of the store, else the first run is.
      others: runs of another pipeline before these.
    """
    build = TraceBuilder()
    for number in range(others):
        build.execution("Trainer", run=f"other-{number}", pipeline="q")
    if pipeline_first:
        build.associate(build.execution("Importer"), ContextType.PIPELINE, "p")
    for number, push in enumerate(outcomes):
        for extra in range(skipped if push is None else 0):
            build.execution("CsvExampleGen", run=f"skipped-{extra}", pipeline="p")
        where = {"run": f"run-{number}", "pipeline": "p"}
        data, model = build.artifact("Examples", span=number), build.artifact("Model")
        blessing = build.artifact("ModelBlessing", blessed=1)
        build.execution("CsvExampleGen", outputs={"examples": [data]}, **where)
        build.execution("Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, **where)
        if push is not None:
            served = build.artifact("PushedModel", pushed=push)
            build.execution(
                "Evaluator", inputs={"model": [model]}, outputs={"blessing": [blessing]}, **where
            )
            build.execution(
                "Pusher", inputs={"model": [model], "model_blessing": [blessing]},
                outputs={"pushed_model": [served]}, **where,
            )  # fmt: skip
    table = describe(segment(build.trace()), Stage.INPUT)
    return table.row(len(table) - 1)["history.held_by_runs"]


@pytest.mark.parametrize("pipeline_first", [False, True])
@pytest.mark.parametrize(("skipped", "held"), [(0, 1.0), (2, 0.0)])
def test_runs_that_were_skipped_count_for_the_gap(
    skipped: int, held: float, pipeline_first: bool
) -> None:
    """A skipped run has no Trainer, and the wait for the next push goes on: else it never ended."""
    outcomes = (1, 0, 0, 1, 0, 0, 1, None)
    assert counted_in_runs(outcomes, skipped=skipped, pipeline_first=pipeline_first) == held


def test_two_that_were_held_after_the_very_first_push_are_enough() -> None:
    """The third run after it was pushed: so the first after the next push is held, not the third.

    Of one that was held nothing follows yet.
    """
    assert counted_in_runs((1, 0, 0, 1, None)) == 1.0
    assert counted_in_runs((1, 0, 0, 1, None), skipped=2) == 0.0
    assert counted_in_runs((1, 0, 1, None)) == 0.0


def test_runs_of_another_pipeline_do_not_count_for_the_gap() -> None:
    """Its five are older, and there are as many contexts before those of this pipeline."""
    assert counted_in_runs((1, 0, 0, 1, None), others=5) == 1.0
    assert counted_in_runs((1, 0, 0, 1, None), others=5, skipped=2) == 0.0


def by_the_clock(days: int, blessed: bool, *, undated: bool = False) -> dict[str, object]:
    """A push every morning and two models that are not pushed every evening, the last is asked.

    Args:
      days: from that Monday on.
      blessed: what the evenings' models are.
      undated: a graphlet before them has no time.
    """
    runs = Runs()
    if undated:
        runs.build.execution(
            "Trainer", create_ms=0, duration_ms=0, run="old", pipeline="p", node="p.Trainer"
        )
    for day in range(days):
        for half_hour in (18, 36, 37):
            runs.build.clock_ms = MONDAY_MS + (48 * day + half_hour) * HOUR_MS // 2
            morning = half_hour == 18
            runs.run(span=runs.count, blessed=morning or blessed, pushed=morning)
    return some(runs.last(Stage.INPUT), "history", "held_by_hour", "held_by_weekday")


def test_models_that_are_not_good_enough_in_the_evening_are_no_hold() -> None:
    """Blessed ones that nobody pushed are; the day of the week holds nothing, as mornings push."""
    assert by_the_clock(4, blessed=True) == {"held_by_hour": 1.0, "held_by_weekday": 0.0}
    assert by_the_clock(4, blessed=False) == {"held_by_hour": 0.0, "held_by_weekday": 0.0}


def test_hours_are_a_schedules_after_three_days() -> None:
    """The day of the decision is one of them; a graphlet without a time is of no day."""
    assert by_the_clock(3, blessed=True)["held_by_hour"] == 1.0
    assert by_the_clock(2, blessed=True)["held_by_hour"] == 0.0
    assert by_the_clock(2, blessed=True, undated=True)["held_by_hour"] == 0.0
