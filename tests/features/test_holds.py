"""Holds: what keeps blessed models from being pushed, seen from what was held back before."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

import pytest

from tests.features.runs import Runs
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage

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


@pytest.mark.parametrize(("skipped", "held"), [(0, 1.0), (2, 0.0)])
def test_runs_that_were_skipped_count_for_the_gap(skipped: int, held: float) -> None:
    """A skipped run has no Trainer, and the wait for the next push goes on: else it never ended."""
    build = TraceBuilder()
    for number, push in enumerate((1, 0, 0, 1, 0, 0, 1, None)):
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
    assert table.numbers("history.held_by_runs")[-1] == held
